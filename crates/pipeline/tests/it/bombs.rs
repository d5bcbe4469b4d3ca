//! Templates that are too much, with a part of what is said about them, and what is just possible.

use rat_pipeline::MAX_TEST_BYTES;

/// Each reason with the templates that are refused for it.
pub(crate) type Bombs = Vec<(&'static str, Vec<String>)>;

/// `part` so many times, with `#` replaced by the count.
fn times(count: usize, part: &str) -> String {
    (0..count)
        .map(|n| part.replace('#', &n.to_string()))
        .collect()
}

/// `part` as often as a file may hold it.
fn full(part: &str) -> String {
    part.repeat((MAX_TEST_BYTES - 10_000) / part.len())
}

fn long() -> String {
    format!("{{% set a = '{}' %}}", "x".repeat(60_000))
}

/// Values that get a name and grow from statement to statement.
pub(crate) fn growing_names() -> Bombs {
    let text = "{% set a = 'x' %}";
    let list = "{% set a = ['x', 'y'] %}";
    let nested = "cannot hold other names such as `a`";
    vec![
        (
            "`~` is not possible within {% … %}",
            vec![
                format!("{text}{}{{{{ a }}}}", times(60, "{% set a = a ~ a %}")),
                format!("{text}{}", times(60, "{% set a = ('' ~ a) if a else (a ~ a) %}")),
                format!("{text}{{% with a = a ~ a %}}{{% endwith %}}"),
                format!("{text}{{% for a in [a ~ a] %}}{{% endfor %}}"),
                format!("{text}{{% for b in a if a ~ a ~ a %}}{{% endfor %}}"),
                format!("{text}{{% if a ~ a %}}{{% elif 1 %}}{{% endif %}}"),
                format!("{text}{{% set a = ref(a ~ a) %}}"),
                format!("{text}{{% set a = (a\n~ a) | upper %}}"),
            ],
        ),
        (
            "`+` is possible within {% … %} only with numbers",
            vec![
                format!("{text}{}{{{{ a }}}}", times(60, "{% set a = a + a %}")),
                format!("{list}{}{{{{ a }}}}", times(60, "{% set a = a + a %}")),
                format!("{text}{{% set a = a + 0 | default(a, true) %}}"),
                format!("{text}{{% set a = a + (1 if false else a) %}}"),
                format!("{list}{{% set a = a + a.0 %}}"),
            ],
        ),
        (
            "`*` is for numbers",
            vec![
                "{% set a = 'x' * 99999999 %}{{ a | length }}".to_owned(),
                "{{ 'x' * 100000000 }}".to_owned(),
                format!("{{{{ [{}] }}}}", times(100, "'x' * 100000000,")),
                "{{ 99999999 * [1] }}".to_owned(),
                "{{ (1,) * 100000000 }}".to_owned(),
                "{{ ('x' | int(default='x')) * 100000000 }}".to_owned(),
            ],
        ),
        (
            "is not possible within {% … %}, write",
            vec![
                format!("{list}{{% set a = a | join(a | first) %}}"),
                format!("{text}{}", times(60, "{% set a = a | replace('x', 'xx') %}")),
                format!("{list}{{% set a = a | string | list %}}"),
                format!("{list}{{% for b in a | join %}}{{% endfor %}}"),
            ],
        ),
        (
            nested,
            vec![
                format!("{list}{}{{{{ a }}}}", times(8_000, "{% set a = [a] %}")),
                format!("{list}{}{{{{ a }}}}", times(40, "{% set a = [a, a] %}")),
                format!("{list}{}", times(7_000, "{% set a = (a,) %}")),
                format!("{list}{}", times(5_000, "{% set a = {1: a} %}")),
                format!("{list}{{% set a = b | default([a, a]) %}}"),
                format!("{list}{{% set a = [1 or a] %}}"),
                format!("{list}{{% set a = [a[0], a | list, a.0] %}}"),
                format!("{list}{{% set a = 1, [a] %}}"),
                format!("{list}{{% with a = {{'a': a}} | items %}}{{% endwith %}}"),
                format!("{list}{{% for a in [[a, a]] %}}{{% endfor %}}"),
                format!("{list}{{% for a in [a] | list %}}{{% endfor %}}"),
            ],
        ),
        (
            "`{% set %}` needs a value",
            vec![
                times(60, "{% set a %}{{ a }}{{ a }}{% endset %}"),
                "{% set a | upper %}x{% endset %}".to_owned(),
                "{%-set a-%}x{%-endset-%}".to_owned(),
            ],
        ),
        (
            "unknown function `namespace`",
            vec!["{% set n = namespace(a='x') %}{% for i in range(99) %}{% set n.a = n.a ~ n.a %}{% endfor %}".to_owned()],
        ),
    ]
}

/// Statements, filters, tests and functions that do not exist here.
pub(crate) fn other_ways() -> Bombs {
    let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    vec![
        (
            "cannot define macros",
            list(&[
                "{% macro m(a) %}{{ m(a ~ a) }}{% endmacro %}{{ m('x') }}",
                "{% call m() %}x{% endcall %}",
            ]),
        ),
        (
            "cannot include another one",
            list(&[
                "{% include 'a' %}",
                "{% import 'a' as b %}",
                "{% extends 'a' %}",
                "{% block a %}{% endblock %}{{ self.a() }}",
            ]),
        ),
        (
            "filters stand within an expression",
            list(&["{% filter upper %}x{% endfilter %}"]),
        ),
        (
            "unknown statement",
            list(&[
                "{% autoescape 'html' %}x{% endautoescape %}",
                "{% do range(1) %}",
            ]),
        ),
        (
            "cannot be `recursive`",
            list(&["{% for a in [1] recursive %}{{ loop([a, a]) }}{% endfor %}"]),
        ),
        (
            "is not possible, use a loop",
            list(&[
                "{{ range(9999) | batch(100000000, 'x') | list }}",
                "{{ 'x' | indent(1000000000, true) }}",
                "{{ '%1000000000d' | format(1) }}",
                "{{ [1] | slice(1000000000, 1) | list }}",
                "{% set a = a | groupby(0) %}",
                "{{ ['x'] | sum(start='x') }}",
                "{{ 'x' | list | map('list') }}",
                "{{ [1] | sort(attribute='0,0,0,0') }}",
            ]),
        ),
        (
            "unknown filter",
            list(&["{{ 'x' | center(1000000000) }}", "{{ 'x' | j . oin }}"]),
        ),
        ("unknown test", list(&["{{ 1 is divisibleby 0 }}"])),
        (
            "only functions can be called",
            list(&[
                "{% for a in range(9999) %}{{ loop.changed(loop) }}{% endfor %}",
                "{% for a in [1] %}{{ loop.cycle() }}{% endfor %}",
                "{{ [range][0](10) }}",
                "{{ 'x'.center(1000000000) }}",
            ]),
        ),
        (
            "unknown function",
            list(&[
                "{{ dict(a=1) }}",
                "{{ loop(1) }}",
                "{{ super() }}",
                "{{ debug() }}",
            ]),
        ),
        (
            "arguments are written one by one",
            list(&["{{ ref(*range(9999)) }}", "{{ ref(**{'a': 1}) }}"]),
        ),
        (
            "range: more than 10000 numbers",
            list(&["{{ range(-9223372036854775807, 9223372036854775807) | list }}"]),
        ),
        (
            "a list cannot hold a `range`",
            list(&["{% set a = [range(9999), range(9999)] %}"]),
        ),
        ("a slice cannot have a step", list(&["{{ 'abc'[0:2:-1] }}"])),
    ]
}

/// Expressions that are written, and too much of anything.
pub(crate) fn too_much() -> Bombs {
    let long = long();
    let depth = "more than 200 operators and brackets stand within each other";
    let blocks = "more than 50 statements stand within each other";
    vec![
        (
            "has at most 16 names",
            vec![
                format!("{long}{{{{ a{} | length }}}}", times(190, " ~ a")),
                format!("{long}{{{{ [{}] | length }}}}", times(9_000, "a + a,")),
                format!("{long}{{{{ [{}] in 'x' }}}}", times(9_000, "a,")),
                format!(
                    "{long}{{% if 1 < 2 not in [{}] %}}{{% endif %}}",
                    times(9_000, "a,")
                ),
            ],
        ),
        (
            "value is too large",
            vec![
                format!("{long}{{{{ [{}] | join | length }}}}", times(9_000, "a,")),
                format!("{long}{{{{ [{}] | string }}}}", times(9_000, "a,")),
                format!("{long}{{{{ [{}] | upper }}}}", times(9_000, "a,")),
                format!("{long}{{{{ a | list }}}}"),
                format!("{long}{{{{ (a ~ a) | upper }}}}"),
                format!(
                    "{{% set a = 'x' %}}{}",
                    times(60, "{% set a = a | list | upper %}")
                ),
            ],
        ),
        (
            "a text within a tag may have at most 65536 bytes",
            vec![
                "{{ range(9999) | join(range(9999) | join(range(9999) | join)) }}".to_owned(),
                format!(
                    "{{{{ 'x'{} }}}}",
                    times(60, " | replace('x', 'xxxxxxxxxx')")
                ),
                format!("{long}{{{{ a | replace('', a) }}}}"),
                "{{ [range(9999), range(9999)] | string }}".to_owned(),
            ],
        ),
        (
            "the filters handle more values",
            vec![
                format!("{long}{}", times(8_000, "{% set a# = a | upper %}")),
                times(2_500, "{% set a# = range(9999) | sort %}"),
                format!(
                    "{long}{{% for b in range(9999) %}}{{{{ '' if a | lower }}}}{{% endfor %}}"
                ),
                "{% set a = range(9999) | list %}{% for b in range(9999) %}{% if a | length %}{% endif %}{% endfor %}".to_owned(),
            ],
        ),
        (
            "at most 64 slices",
            vec![format!("{long}{}", times(6_000, "{% set a# = a[:] %}"))],
        ),
        (
            "at most 256 calls",
            vec![format!(
                "{{% set a = [{}] %}}",
                times(9_000, "ref('gold.a'),")
            )],
        ),
        (
            "names more than 1000 tables",
            vec!["{% for a in range(9999) %}{{ '' if ref('gold.a' ~ a) }}{% endfor %}".to_owned()],
        ),
        (
            "names more than 1000 landing zones",
            vec![
                "{% for a in range(9999) %}{{ '' if landing_zone('a' ~ a) }}{% endfor %}"
                    .to_owned(),
            ],
        ),
        ("longer than 65536 bytes together", vec![long.repeat(2)]),
        (
            "there is more in the tags than 50000",
            vec![
                full("{{1}}"),
                format!("{{{{ [{}] }}}}", full("{},")),
                full("{% set a = 1 %}"),
            ],
        ),
        (
            depth,
            [
                ("-", "1"),
                ("not ", "1"),
                ("[", ""),
                ("{1:", ""),
                ("(1+1+1+1+1+1+", ""),
                ("1+", "1"),
                ("1 or ", "1"),
                ("a.", "a"),
                ("a if a else ", "1"),
            ]
            .iter()
            .map(|(part, end)| format!("{{{{ {}{end} }}}}", part.repeat(3_000)))
            .chain([
                format!("{{{{ a{} }}}}", "[0]".repeat(9_000)),
                format!("{{{{ ref{} }}}}", "()".repeat(9_000)),
                format!("{{{{ 1{} }}}}", "|d".repeat(9_000)),
                format!("{{{{ 1{} }}}}", " is odd".repeat(9_000)),
                format!("{{% set {}", "(".repeat(9_000)),
            ])
            .collect(),
        ),
        (
            blocks,
            vec![
                format!("{{% if 1 %}}{}{{% endif %}}", "{% elif 1 %}".repeat(9_000)),
                "{% if 1 %}".repeat(9_000),
                "{% for a in [1] %}".repeat(9_000),
            ],
        ),
        (
            "more than 250000 steps",
            vec![
                format!(
                    "{{% set a = range(9999) | list %}}{}{}",
                    times(24, "{% for a# in a if true %}{% for b# in a %}"),
                    "{% endfor %}{% endfor %}".repeat(24)
                ),
                format!(
                    "{long}{}{}",
                    times(24, "{% for b# in a %}{% if loop.first %}"),
                    "{% endif %}{% endfor %}".repeat(24)
                ),
            ],
        ),
        (
            "longer than 1000000 bytes",
            vec![
                "{% for a in range(9999) %}{{ range(9999) }}{% endfor %}".to_owned(),
                format!("{long}{}", times(16_000, "{{ a ~ a }}")),
            ],
        ),
    ]
}

/// What is possible, and as much of it as can be.
pub(crate) fn limits() -> Vec<String> {
    let long = long();
    let escaped = format!("{{% set a = ['{}'] %}}", "\u{1}".repeat(60_000));
    let open = "{% if 1 %}";
    let close = "{% endif %}";
    vec![
        format!("{long}{{{{ 1 if [a{}] }}}}", times(15, " ~ a")),
        format!("{escaped}{{{{ 1 if [a{}] }}}}", times(15, " ~ a")),
        format!("{{{{ [{}] | count }}}}", times(16_000, "{},")),
        times(16_000, "{%if 1%}{%endif%}"),
        times(12_000, "{% set a# = 1 %}"),
        full("x{##}"),
        full("{%raw%}{{{%endraw%}"),
        full("SELECT 1, "),
        times(
            340,
            &format!("{{{{ {}{} | d }}}}", "[".repeat(70), "]".repeat(70)),
        ),
        times(45, "{% set a# = range(9999) | list %}"),
        format!("{long}{}", times(64, "{% set a# = a[:] %}")),
        format!("{{{{ 1{} }}}}", "+1".repeat(199)),
        format!("{{{{ {}1 }}}}", "-".repeat(199)),
        format!(
            "{}{{{{ {}1 }}}}{}",
            open.repeat(50),
            "not ".repeat(199),
            close.repeat(50)
        ),
        format!(
            "{}{{{{ {}{}{} | d }}}}{}",
            open.repeat(45),
            "[not ".repeat(50),
            "1",
            "]".repeat(50),
            close.repeat(45)
        ),
        format!("{open}{}{close}", "{% elif 1 %}".repeat(49)),
    ]
}
