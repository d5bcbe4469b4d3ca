//! Mistakes in the structure of the text, before any setting is looked at.

use expect_test::{Expect, expect};

use crate::support::problems;

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&problems(text));
}

#[test]
fn what_is_not_yaml_is_said_with_its_place() {
    check(
        "server:\n  listen: [1,\n",
        expect![[r#"
        rat.yaml:3:1: not valid YAML: while parsing a node, did not find expected node content
    "#]],
    );
    check(
        "server:\n\tlisten: x\n",
        expect![[r#"
        rat.yaml:2:2: not valid YAML: tabs disallowed within this context (block indentation)
    "#]],
    );
    check(
        "server: {listen: a}}\n",
        expect![[r#"
        rat.yaml:1:20: not valid YAML: misplaced bracket
    "#]],
    );
    check(
        "a: b: c\n",
        expect![[r#"
        rat.yaml:1:5: not valid YAML: mapping values are not allowed in this context
    "#]],
    );
    check(
        "a: *nowhere\n",
        expect![[r#"
        rat.yaml:1:4: not valid YAML: while parsing node, found unknown anchor
    "#]],
    );
    check(
        "runner: {slots: 99999999999999999999999999}\n",
        expect![[r#"
            rat.yaml:1:17: cannot be read: runner.slots: JSON number out of range
        "#]],
    );
}

#[test]
fn a_file_that_is_no_mapping_is_refused() {
    check(
        "- a\n- b\n",
        expect![[r#"
        rat.yaml:1:1: must be a mapping, not a list
    "#]],
    );
    check(
        "just words\n",
        expect![[r#"
            rat.yaml:1:1: must be a mapping, not a text
        "#]],
    );
}

#[test]
fn keys_given_twice_are_all_reported_with_everything_else() {
    check(
        "\
server:
  listen: 127.0.0.1:1
  listen: 127.0.0.1:2
log: {level: info, level: loud}
server: {}
",
        expect![[r#"
            rat.yaml:3:3: server.listen: this key is given twice; it also stands in line 2
            rat.yaml:4:20: log.level: this key is given twice; it also stands in line 4
            rat.yaml:4:27: log.level: must be one of error, warn, info, debug, trace, not "loud"
            rat.yaml:5:1: server: this key is given twice; it also stands in line 1
        "#]],
    );
}

#[test]
fn structures_that_can_be_read_in_two_ways_are_refused() {
    check(
        "1: a\ntrue: b\nnull: c\n",
        expect![[r#"
        rat.yaml:1:1: a key must be a string; put quotes around "1"
        rat.yaml:2:1: a key must be a string; put quotes around "true"
        rat.yaml:3:1: a key must be a string; put quotes around "null"
    "#]],
    );
    check(
        "auth:\n  a: b\u{2028}c\n",
        expect![[r#"
        rat.yaml:2:7: the character '\u{2028}' ends a line for some and not for others; remove it
    "#]],
    );
    check(
        "? [a, b]\n: c\n",
        expect![[r#"
        rat.yaml:1:3: a key must be a string, not a list or a mapping
    "#]],
    );
    check(
        "a: &x b\n*x : c\n",
        expect![[r#"
        rat.yaml:2:1: a key must be a string, not an alias
    "#]],
    );
    check(
        "a: 1\n---\nb: 2\n",
        expect![[r#"
        rat.yaml:2:1: a second document starts here; write all settings into one
    "#]],
    );
    check(
        "server: !include other.yaml\nlog: !!binary aGk=\n",
        expect![[r#"
            rat.yaml:1:9: server: tags (!…) are not supported
            rat.yaml:2:6: log: tags (!…) are not supported
        "#]],
    );
    check(
        "base: &base {a: 1}\nserver:\n  <<: *base\n",
        expect![[r#"
            rat.yaml:3:3: server: merge keys (<<) are not supported; repeat the keys
        "#]],
    );
}

#[test]
fn bombs_are_refused_before_they_unfold() {
    check(
        &format!("a: {}", "x".repeat(1024 * 1024)),
        expect![[r#"
        rat.yaml: has 1048579 bytes; the limit is 1 MiB
    "#]],
    );
    check(
        &"[".repeat(500_000),
        expect![[r#"
        rat.yaml:1:256: nested more than 64 levels deep
    "#]],
    );
    let mut laughs = "a: &a [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n".to_owned();
    for (name, before) in [
        ("b", "a"),
        ("c", "b"),
        ("d", "c"),
        ("e", "d"),
        ("f", "e"),
        ("g", "f"),
    ] {
        laughs += &format!(
            "{name}: &{name} [{}]\n",
            vec![format!("*{before}"); 10].join(", ")
        );
    }
    check(
        &laughs,
        expect![[r#"
        rat.yaml:5:24: e[5]: holds more than 50000 values, repeated ones included
    "#]],
    );
}

#[test]
fn aliases_are_fine_and_mistakes_in_them_are_shown_where_they_stand() {
    check(
        "\
plugins:
  auth: {image: a, address: 'https://a', tls: &tls {ca: ../ca}}
  cloud: {image: b, address: 'https://b', tls: *tls}
",
        expect![[r#"
            rat.yaml:2:57: plugins.auth.tls.ca: must be an absolute path, or a bare name that is looked up in $CREDENTIALS_DIRECTORY
            rat.yaml:2:57: plugins.cloud.tls.ca: must be an absolute path, or a bare name that is looked up in $CREDENTIALS_DIRECTORY
        "#]],
    );
}
