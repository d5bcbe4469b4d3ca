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
    let long = "{% for a in range(9999) %}{{ 'x' * 1000 }}{% endfor %}";
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
