use super::*;

fn own() -> TableIdent {
    "shop.silver.orders".parse().unwrap()
}

fn try_render(text: &str) -> Result<Rendered, String> {
    let context = RenderContext {
        run_started_at: "2026-03-01T10:00:00.5Z".parse().unwrap(),
    };
    render(
        "pipeline.sql",
        text,
        &own(),
        MergeStrategy::AppendOnly,
        &context,
    )
    .map_err(|error| error.to_string())
}

fn sql(text: &str) -> String {
    try_render(text).unwrap().sql
}

fn error(text: &str) -> String {
    try_render(text).unwrap_err()
}

#[test]
fn references_become_quoted_names_and_are_recorded() {
    let rendered = try_render(
        "SELECT * FROM {{ ref('bronze.order-lines') }} JOIN {{ ref(\"crm.gold.people\") }} JOIN {{ this }}",
    )
    .unwrap();
    assert_eq!(
        rendered.sql,
        r#"SELECT * FROM "shop"."bronze"."order-lines" JOIN "crm"."gold"."people" JOIN "shop"."silver"."orders""#
    );
    let refs: Vec<String> = rendered.refs.iter().map(ToString::to_string).collect();
    assert_eq!(refs, ["crm.gold.people", "shop.bronze.order-lines"]);
}

#[test]
fn landing_zones_become_locations_and_are_recorded() {
    let rendered =
        try_render("'{{ landing_zone('raw') }}' '{{ landing_zone('raw', '2026/*.csv') }}'")
            .unwrap();
    assert_eq!(
        rendered.sql,
        "'landing://shop/raw/**' 'landing://shop/raw/2026/*.csv'"
    );
    assert_eq!(rendered.zones.len(), 1);
    let (zone, glob) = parse_landing_uri("landing://shop/raw/2026/*.csv").unwrap();
    assert_eq!(
        (zone.to_string().as_str(), glob),
        ("shop.raw", "2026/*.csv")
    );
}

#[test]
fn the_run_and_its_strategy_are_known() {
    assert_eq!(sql("{{ run_started_at }}"), "2026-03-01T10:00:00.500000Z");
    assert_eq!(
        sql("{% if is_append_only() %}a{% endif %}{% if is_incremental() %}b{% endif %}"),
        "a"
    );
}

#[test]
fn wrong_names_are_refused_with_file_line_and_reason() {
    assert_eq!(
        error("SELECT *\nFROM {{ ref('platinum.x') }}"),
        "pipeline.sql:2: ref: invalid layer \"platinum\": it must be bronze, silver or gold; write ref('layer.table') or ref('namespace.layer.table')"
    );
    for bad in [
        "ref()",
        "ref('a', 'b')",
        "ref(1)",
        "ref('bronze.a\"b')",
        "ref(name='bronze.a')",
    ] {
        assert!(
            error(&format!("{{{{ {bad} }}}}")).starts_with("pipeline.sql:1: "),
            "{bad}"
        );
    }
}

#[test]
fn path_tricks_in_patterns_are_refused() {
    for bad in [
        "../x",
        "/etc/passwd",
        "a//b",
        "a/./b",
        "a'b",
        "a\\\\b",
        "",
        "a\\nb",
    ] {
        let text = format!("{{{{ landing_zone('raw', \"{bad}\") }}}}");
        assert!(
            error(&text).contains("landing_zone: the pattern"),
            "{bad}: {}",
            error(&text)
        );
    }
    assert!(error("{{ landing_zone('../other') }}").contains("invalid landing zone"));
    assert_eq!(parse_landing_uri("landing://shop/raw/../../secret"), None);
    assert_eq!(parse_landing_uri("file:///etc/passwd"), None);
}

#[test]
fn undefined_names_are_errors_that_name_them() {
    assert!(
        error("SELECT {{ colour }}").contains("colour"),
        "{}",
        error("SELECT {{ colour }}")
    );
    assert!(error("{% if colour %}x{% endif %}").contains("undefined"));
    assert!(error("{{ env_var('HOME') }}").contains("env_var"));
}

#[test]
fn nothing_outside_the_template_can_be_reached() {
    for text in [
        "{% include 'config.yaml' %}",
        "{% import '/etc/passwd' as x %}",
        "{% extends 'a' %}",
    ] {
        assert!(
            error(text).contains("cannot include"),
            "{text}: {}",
            error(text)
        );
    }
    assert!(error("{{ debug() }}").contains("debug"));
}

#[test]
fn work_and_output_are_bounded() {
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
    assert!(error(endless).contains("endless"), "{}", error(endless));
    let long = "{% for a in range(9999) %}{{ range(999) }}{% endfor %}";
    assert!(
        error(long).contains("longer than 1000000 bytes"),
        "{}",
        error(long)
    );
    let deep = "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}";
    assert!(try_render(deep).is_err());
}

#[test]
fn the_syntax_is_checked_without_rendering() {
    assert!(check("pipeline.sql", "SELECT {{ unknown }}").is_ok());
    let error = check("pipeline.sql", "SELECT 1\n{% if %}").unwrap_err();
    assert_eq!(error.line, Some(2));
}

#[test]
fn what_dbt_users_write_works() {
    let loops = "\
SELECT order_id,
{%- set methods = ['card', 'cash'] %}
{%- for method in methods %}
  sum(CASE WHEN method = '{{ method }}' THEN amount END) AS {{ method }}_amount
  {%- if not loop.last %},{% endif %}
{%- endfor %}
FROM {{ ref('bronze.payments') }} {# all of them #}";
    assert_eq!(
        sql(loops),
        "\
SELECT order_id,
  sum(CASE WHEN method = 'card' THEN amount END) AS card_amount,
  sum(CASE WHEN method = 'cash' THEN amount END) AS cash_amount
FROM \"shop\".\"bronze\".\"payments\" "
    );
    for (template, expected) in [
        ("{% set c = ['a', 'b'] %}{{ c | join(', ') }}", "a, b"),
        ("{{ ['a', 'b'] | join }}", "ab"),
        ("{% if is_append_only() %}x{% else %}y{% endif %}", "x"),
        (
            "{% for t in ['a', 'b'] %}{{ ref('gold.' ~ t) }} {% endfor %}",
            r#""shop"."gold"."a" "shop"."gold"."b" "#,
        ),
        (
            "{% for t in [ref('gold.a'), this] %}{{ t }} {% endfor %}",
            r#""shop"."gold"."a" "shop"."silver"."orders" "#,
        ),
        (
            "{% set x, y = 1, 2 %}{% for t in [x, y] %}{{ t }}{% endfor %}",
            "12",
        ),
        (
            "{% for k, v in {'a': 1, 'b': 2} | items %}{{ k }}={{ v }} {% endfor %}",
            "a=1 b=2 ",
        ),
        (
            "{% for c in 'b,a' | split(',') | sort %}{{ c | upper }}{% endfor %}",
            "AB",
        ),
        (
            "{% for i in range(3) %}{{ (i | int) * 10 }} {% endfor %}",
            "0 10 20 ",
        ),
        (
            "{% for i in range(5, 0, -2) if i != 3 %}{{ i }} {% endfor %}",
            "5 1 ",
        ),
        (
            "{% for i in range(2) %}{% set n = loop.index + 1 %}{{ n }}{% endfor %}",
            "23",
        ),
        (
            "{% set day = run_started_at[:10] %}DATE '{{ day }}'",
            "DATE '2026-03-01'",
        ),
        (
            "{% with n = 2 %}{% if n in [1, 2] and n is even %}y{% endif %}{% endwith %}",
            "y",
        ),
        ("{{ 'a-b' | replace('-', '_') | title }}", "A_b"),
        ("{{ 'aaa' | replace('', '.') }}", ".a.a.a."),
        ("{{ nothing | default('x') }}", "x"),
        ("{{ 'x' if nothing is undefined }}", "x"),
        (
            "{{ [3, 1, 2] | sort | first }}{{ [3, 1] | max }}{{ ['a', 'a'] | unique | length }}",
            "131",
        ),
        (
            "{{ 7 // 2 + 1 }} {{ 2 ** 3 - 1 }} {{ -3 * 2 }} {{ '4' | int + 1 }}",
            "4 7 -6 5",
        ),
        ("{{ 'a' ~ 1 ~ ['b'] }}{{ [1] + [2] }}", "a1['b'][1, 2]"),
        (
            "{% raw %}{{ 'x' * 9 }}{% macro %}{% endraw %}",
            "{{ 'x' * 9 }}{% macro %}",
        ),
        ("'{% set x = \"%} ~ +\" %}{{ x }}'", "'%} ~ +'"),
    ] {
        assert_eq!(
            try_render(template).map(|r| r.sql).as_deref(),
            Ok(expected),
            "{template}"
        );
    }
}

#[test]
fn what_is_not_possible_is_named_with_its_line_and_a_way_out() {
    for (template, expected) in [
        (
            "SELECT 1\n\n{% macro m() %}{% endmacro %}",
            "pipeline.sql:3: `{% macro %}` is not possible: a template cannot define macros, write the SQL where it is needed or loop over a list",
        ),
        (
            "{% set a = 'x' %}\n{% set b =\n a ~ a %}",
            "pipeline.sql:3: `~` is not possible within {% … %}, put texts together within {{ … }}",
        ),
        (
            "{% elsif 1 %}",
            "pipeline.sql:1: unknown statement `elsif`, did you mean `elif`?",
        ),
        (
            "{{ 1 | uper }}",
            "pipeline.sql:1: unknown filter `uper`, did you mean `upper`?",
        ),
        (
            "{{ 1 | map }}",
            "pipeline.sql:1: the filter `map` is not possible, use a loop",
        ),
        (
            "{{ 1 is od }}",
            "pipeline.sql:1: unknown test `od`, did you mean `odd`?",
        ),
        (
            "{{ reff('a') }}",
            "pipeline.sql:1: unknown function `reff`, did you mean `ref`?",
        ),
        (
            "{% set this = 1 %}",
            "pipeline.sql:1: `this` means something already, use another name",
        ),
        (
            "{% set a.b = 1 %}",
            "pipeline.sql:1: only a name can be set",
        ),
    ] {
        assert_eq!(error(template), expected);
        let found = check("pipeline.sql", template).unwrap_err();
        assert_eq!(found.to_string(), expected);
    }
}
