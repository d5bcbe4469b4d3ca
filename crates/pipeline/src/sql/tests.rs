use super::*;

fn told(template: &str, rendered: &str) -> Option<String> {
    check("pipeline.sql", template, rendered).map(|problem| problem.to_string())
}

#[test]
fn what_the_engine_reads_is_accepted() {
    for sql in [
        "SELECT 1",
        "SELECT 1;",
        "(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1 LIMIT 3",
        "WITH RECURSIVE c AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM c) SELECT * FROM c",
        "VALUES (1, 'a'), (2, 'b')",
        "FROM \"shop\".\"bronze\".\"orders\" SELECT id",
        "FROM t",
        "SELECT * EXCLUDE (a) FROM t",
        "SELECT * FROM read_csv('landing://n/z/**', header => false, delim := ';', \
         types => {'n': 'TIMESTAMPTZ'}, nullstr = ['', 'NA']) AS t",
        "SELECT * FROM read_csv(['landing://n/z/a', 'landing://n/z/b'])",
        "SELECT a::INT, b->>'x', {'x': 1}, [1, 2][1], INTERVAL '1' DAY, DATE '2026-01-01', \
         TIMESTAMPTZ '2020-01-01 00:00:00+02', x ~ 'y', EXTRACT(year FROM d), \
         row_number() OVER (PARTITION BY a ORDER BY b DESC NULLS LAST) FROM t \
         QUALIFY row_number() OVER (ORDER BY a) = 1",
        "SELECT count(*) FILTER (WHERE a > 1), array_agg(a ORDER BY b) FROM t \
         GROUP BY GROUPING SETS ((a), ()) HAVING count(*) > 1",
        "SELECT * FROM a LEFT JOIN b USING (id), LATERAL (SELECT 1), UNNEST([1]) AS u(x)",
        "-- a comment\nSELECT 'it''s', \"x\"\"y\", E'\\n', $$text$$ /* another */",
    ] {
        assert_eq!(told(sql, sql), None, "{sql}");
    }
}

#[test]
fn a_mistake_has_its_line() {
    let sql = "SELECT 1,\n2 AS b\nFROM WHERE a = 1";
    let message = told(sql, sql).unwrap();
    assert!(
        message.starts_with("pipeline.sql:3: ") && !message.contains("Line:"),
        "{message}"
    );
    let message = told(&format!("{{#\n#}}{sql}"), sql).unwrap();
    assert!(
        message.starts_with("pipeline.sql: ") && message.contains("line 3 of the rendered SQL"),
        "{message}"
    );
    assert!(told("SELECT 'open", "SELECT 'open").is_some());
}

#[test]
fn exactly_one_query_is_accepted() {
    for (sql, expected) in [
        ("SELECT 1; SELECT 2", "there are 2 statements"),
        ("-- nothing", "there is no statement"),
        ("INSERT INTO t VALUES (1)", "only a query"),
        ("EXPLAIN SELECT 1", "only a query"),
    ] {
        let message = told(sql, sql).unwrap();
        assert!(message.contains(expected), "{sql}: {message}");
    }
}

#[test]
fn a_tree_that_would_be_too_deep_is_not_made() {
    let chain = format!("SELECT {}1", "1+".repeat(200_000));
    assert!(
        told(&chain, &chain)
            .unwrap()
            .contains("operators and joins")
    );
    let nested = format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(told(&nested, &nested).unwrap().contains("nested deeper"));
}
