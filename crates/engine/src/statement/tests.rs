use super::*;

fn tables(sql: &str) -> Vec<String> {
    parse(sql, Purpose::Pipeline)
        .unwrap()
        .tables
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn refused(sql: &str, purpose: Purpose) -> String {
    let error = parse(sql, purpose).unwrap_err();
    assert_eq!(error.reason(), "SQL_NOT_READ_ONLY", "{sql}: {error}");
    error.to_string()
}

#[test]
fn everything_but_a_query_is_refused() {
    for sql in [
        "INSERT INTO a.b VALUES (1)",
        "UPDATE a.b SET x = 1",
        "DELETE FROM a.b",
        "CREATE TABLE a.b (x INT)",
        "CREATE VIEW v AS SELECT 1",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "DROP TABLE a.b",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "COPY a.b TO '/tmp/x.parquet'",
        "SET datafusion.execution.batch_size = 1",
        "RESET datafusion.execution.batch_size",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "TRUNCATE TABLE a.b",
        "BEGIN",
        "SHOW ALL",
        "EXPLAIN INSERT INTO a.b VALUES (1)",
        "EXPLAIN EXPLAIN SELECT 1",
        "EXPLAIN DESCRIBE a.b",
        "WITH c AS (SELECT 1) INSERT INTO a.b SELECT * FROM c",
        "WITH c AS (SELECT 1) DELETE FROM a.b",
        "SELECT * INTO a.c FROM a.b",
        "SELECT * FROM (SELECT * INTO a.c FROM a.b)",
    ] {
        refused(sql, Purpose::Query);
        refused(sql, Purpose::Pipeline);
    }
}

#[test]
fn explain_is_for_people_only() {
    for sql in [
        "EXPLAIN SELECT 1",
        "EXPLAIN ANALYZE SELECT 1",
        "EXPLAIN VERBOSE SELECT 1",
    ] {
        assert!(parse(sql, Purpose::Query).is_ok(), "{sql}");
        assert!(refused(sql, Purpose::Pipeline).contains("EXPLAIN"));
    }
}

#[test]
fn a_statement_may_not_be_one_endless_chain() {
    let chain = |links: usize, link: &str| format!("SELECT {}1", link.repeat(links));
    for link in [
        "1+",
        "1 OR ",
        "NOT ",
        "- ",
        "1::INT::INT||",
        "1 UNION ALL SELECT ",
    ] {
        let error = parse(&chain(200_000 / link.len(), link), Purpose::Query).unwrap_err();
        assert!(
            error.to_string().contains("operators and joins"),
            "{link}: {error}"
        );
    }
    let list = format!("SELECT 1 IN ({}1)", "1,".repeat(50_000));
    assert!(parse(&list, Purpose::Query).is_ok());
    assert!(parse(&chain(300, "1+"), Purpose::Query).is_ok());
}

#[test]
fn exactly_one_statement_is_taken() {
    assert!(parse("SELECT 1;", Purpose::Query).is_ok());
    for sql in [
        "",
        ";",
        "-- nothing",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE a.b",
    ] {
        assert_eq!(
            parse(sql, Purpose::Query).unwrap_err().reason(),
            "SQL_INVALID",
            "{sql}"
        );
    }
    assert_eq!(
        parse("SELEC 1", Purpose::Query).unwrap_err().reason(),
        "SQL_INVALID"
    );
}

#[test]
fn tables_are_found_wherever_they_stand() {
    assert_eq!(
        tables(
            "WITH c AS (SELECT * FROM a.one) SELECT (SELECT max(x) FROM a.two) FROM c \
             WHERE EXISTS (SELECT 1 FROM a.three) UNION ALL SELECT x FROM (SELECT * FROM n.a.four)"
        ),
        ["a.one", "a.three", "a.two", "n.a.four"]
    );
}

#[test]
fn calls_of_file_functions_become_tables_of_their_own() {
    let parsed = parse(
        "SELECT * FROM read_csv('landing://n/z/**', header => false) AS t \
         JOIN (SELECT * FROM READ_PARQUET('landing://n/z/*')) ON true, range(3)",
        Purpose::Pipeline,
    )
    .unwrap();
    let names: Vec<&str> = parsed.calls.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["read_csv_1", "read_parquet_2"]);
    assert_eq!(parsed.tables, []);
    assert!(
        parsed.statement.to_string().contains("\"read_csv_1\" AS t"),
        "{}",
        parsed.statement
    );
}

#[test]
fn people_cannot_call_file_functions() {
    for sql in [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT 1 WHERE 1 IN (SELECT 1 FROM read_parquet('x'))",
        "WITH x AS (SELECT * FROM read_json('x')) SELECT * FROM x",
        "EXPLAIN SELECT * FROM read_csv('x')",
    ] {
        refused(sql, Purpose::Query);
    }
    for sql in [
        "SELECT * FROM parquet_metadata('x')",
        "SELECT * FROM \"read_csv\"('x')",
    ] {
        assert_eq!(
            parse(sql, Purpose::Query).unwrap_err().reason(),
            "SQL_INVALID",
            "{sql}"
        );
    }
    assert!(parse("SELECT * FROM generate_series(1, 3)", Purpose::Query).is_ok());
}
