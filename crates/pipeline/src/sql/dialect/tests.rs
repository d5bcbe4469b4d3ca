use std::time::{Duration, Instant};

use sqlparser::ast::{SelectItem, SetExpr, Statement};

use super::*;
use crate::sql::MAX_SQL_NESTING;

fn parse(sql: &str) -> Result<usize, String> {
    let dialect = SqlDialect::new(sql);
    let parsed = Parser::new(&dialect)
        .with_recursion_limit(MAX_SQL_NESTING)
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_statements());
    dialect.check().map_err(|error| error.to_string())?;
    parsed
        .map(|parsed| parsed.len())
        .map_err(|error| error.to_string())
}

#[test]
fn a_mistake_within_many_parentheses_is_found_or_given_up_at_once() {
    for start in [
        "NOT (",
        "CASE (",
        "CAST (",
        "TRY_CAST(",
        "EXISTS (",
        "POSITION(",
        "SUBSTRING(",
        "TRIM(",
        "CEIL(",
        "FLOOR(",
        "OVERLAY(",
        "CONVERT(",
        "CURRENT_DATE(",
        "EXTRACT(",
        "INTERVAL (",
        "MAP (",
        "STRUCT(",
        "ARRAY (",
        "LEFT(",
        "IF(",
        "f(x -> ",
        "(SELECT ",
        "(SELECT 1 FROM (",
        "(1, (CASE ",
        "1 IN (",
        "((",
        "[(",
        "a[(",
        "{'a': (",
    ] {
        for depth in [14, 26, 60] {
            for end in ["1 1 1", "1", "", "1 FROM FROM"] {
                for close in ["", ")"] {
                    let close = close.repeat(depth);
                    let sql = format!("SELECT {}{end}{close}", start.repeat(depth));
                    let begin = Instant::now();
                    let _ = parse(&sql);
                    let took = begin.elapsed();
                    assert!(took < Duration::from_secs(1), "{took:?}: {sql}");
                }
            }
        }
    }
    let sql = format!("SELECT {}1 1 1", "NOT (".repeat(25));
    let message = parse(&sql).unwrap_err();
    assert!(message.contains("ways of reading it"), "{message}");
}

#[test]
fn what_is_right_is_read_far_fewer_times_than_allowed() {
    let case = "CASE WHEN (a = 1) THEN coalesce(nullif(trim(b), ''), 'x') ELSE NOT (c) END";
    for sql in [
        format!("SELECT {}", vec![case; 2_000].join(", ")),
        format!("SELECT {}1{}", "NOT (".repeat(25), ")".repeat(25)),
        format!("SELECT {}", vec!["f(g(h(x)), y => 1)"; 5_000].join(", ")),
        format!(
            "VALUES {}",
            vec!["(1, -2, DATE '2026-01-01')"; 20_000].join(", ")
        ),
        format!("SELECT 1 IN ({})", vec!["1"; 200_000].join(", ")),
        format!("SELECT 1 FROM {}t{}", "(".repeat(25), ")".repeat(25)),
        format!(
            "SELECT 1 FROM {}",
            vec!["(SELECT a FROM ((b JOIN c USING (d))))"; 50].join(", ")
        ),
    ] {
        let dialect = SqlDialect::new(&sql);
        let parsed = Parser::new(&dialect)
            .with_recursion_limit(MAX_SQL_NESTING)
            .try_with_sql(&sql)
            .and_then(|mut parser| parser.parse_statements());
        let shown: String = sql.chars().take(80).collect();
        assert!(parsed.is_ok(), "{shown}: {parsed:?}");
        let read = dialect.read.load(Ordering::Relaxed);
        eprintln!("{read} of {}: {shown}", dialect.limit);
        assert!(
            read < dialect.limit / 2,
            "{shown}: {read} of {}",
            dialect.limit
        );
    }
}

/// The only expression of `SELECT expression`, all parentheses written out.
fn explicit(expression: &str) -> String {
    fn write(expr: &Expr) -> String {
        use sqlparser::ast::Expr as E;
        match expr {
            E::Nested(inner) => write(inner),
            E::BinaryOp { left, op, right } => {
                format!("({} {op} {})", write(left), write(right))
            }
            E::UnaryOp { op, expr } => format!("({op} {})", write(expr)),
            E::IsDistinctFrom(left, right) => {
                format!("({} IS DISTINCT FROM {})", write(left), write(right))
            }
            E::IsNotDistinctFrom(left, right) => {
                format!("({} IS NOT DISTINCT FROM {})", write(left), write(right))
            }
            E::IsNull(inner) => format!("({} IS NULL)", write(inner)),
            other => other.to_string(),
        }
    }
    let sql = format!("SELECT {expression}");
    let dialect = SqlDialect::new(&sql);
    let parsed = Parser::new(&dialect)
        .with_recursion_limit(MAX_SQL_NESTING)
        .try_with_sql(&sql)
        .and_then(|mut parser| parser.parse_statements())
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let [Statement::Query(query)] = parsed.as_slice() else {
        panic!("{sql}");
    };
    let SetExpr::Select(select) = query.body.as_ref() else {
        panic!("{sql}");
    };
    match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(expr)] => write(expr),
        other => panic!("{sql}: {other:?}"),
    }
}

/// Older tests had nothing after `IS DISTINCT FROM …`.
#[test]
fn is_distinct_from_takes_no_more_than_what_is_compared() {
    for (written, meant) in [
        (
            "a IS DISTINCT FROM b AND c",
            "((a IS DISTINCT FROM b) AND c)",
        ),
        (
            "x AND a IS DISTINCT FROM b OR c",
            "((x AND (a IS DISTINCT FROM b)) OR c)",
        ),
        (
            "NOT a IS NOT DISTINCT FROM b OR c",
            "((NOT (a IS NOT DISTINCT FROM b)) OR c)",
        ),
        (
            "a IS DISTINCT FROM (b AND c)",
            "(a IS DISTINCT FROM (b AND c))",
        ),
        (
            "a IS DISTINCT FROM b IS NULL",
            "((a IS DISTINCT FROM b) IS NULL)",
        ),
        (
            "a IS DISTINCT FROM b + 1 = c",
            "(a IS DISTINCT FROM ((b + 1) = c))",
        ),
        (
            "a IS DISTINCT FROM b IS DISTINCT FROM c AND d",
            "(((a IS DISTINCT FROM b) IS DISTINCT FROM c) AND d)",
        ),
        (
            "(a IS DISTINCT FROM (b IS NOT DISTINCT FROM c OR d)) AND e",
            "((a IS DISTINCT FROM ((b IS NOT DISTINCT FROM c) OR d)) AND e)",
        ),
    ] {
        assert_eq!(explicit(written), meant, "{written}");
    }
}

/// Every chain of four operands, against the same with the parentheses that precedence means.
#[test]
fn chains_with_is_distinct_from_are_read_by_precedence() {
    // Each with its precedence, all of them from left to right.
    let operators = [
        ("OR", 1),
        ("AND", 2),
        ("IS DISTINCT FROM", 3),
        ("IS NOT DISTINCT FROM", 3),
        ("=", 4),
        ("+", 5),
    ];
    let operands = ["a", "b", "c", "d"];
    for first in operators {
        for second in operators {
            for third in operators {
                let chain = [first, second, third];
                let mut written = operands[0].to_owned();
                // Operands and operators that wait for an operand to their right.
                let mut done = vec![operands[0].to_owned()];
                let mut waiting: Vec<(&str, u8)> = Vec::new();
                let close = |done: &mut Vec<String>, waiting: &mut Vec<(&str, u8)>| {
                    let (operator, _) = waiting.pop().unwrap();
                    let right = done.pop().unwrap();
                    let left = done.pop().unwrap();
                    done.push(format!("({left} {operator} {right})"));
                };
                for (operator, operand) in chain.into_iter().zip(&operands[1..]) {
                    written = format!("{written} {} {operand}", operator.0);
                    while waiting.last().is_some_and(|last| last.1 >= operator.1) {
                        close(&mut done, &mut waiting);
                    }
                    waiting.push(operator);
                    done.push((*operand).to_owned());
                }
                while !waiting.is_empty() {
                    close(&mut done, &mut waiting);
                }
                assert_eq!(explicit(&written), done[0], "{written}");
            }
        }
    }
}

#[test]
fn it_reads_what_the_generic_dialect_reads() {
    for sql in [
        "SELECT a::INT, b->>'x', {'x': 1}, MAP {'a': 1}, [1, 2][1], x ~ 'y', @v, #t, `q` FROM t",
        "FROM t |> WHERE a > 1 |> SELECT b",
        "SELECT * EXCEPT (a) REPLACE (b AS c) RENAME (d AS e) FROM t",
        "SELECT * EXCLUDE (a), f(x := 1, y => 2) FROM a LEFT JOIN b JOIN c ON 1 = 1 ON 2 = 2",
        "SELECT EXTRACT('year' FROM d), EXTRACT(week, d), U&'\\0041', E'\\n', q'[x]', 1 FROM t LIMIT 1, 2",
        "SELECT sum(x) FILTER (WHERE a) OVER w FROM t WINDOW w AS (ORDER BY b), w2 AS w",
        "SELECT a, FROM t GROUP BY ALL WITH ROLLUP",
        "SELECT x -> x + 1, f((a, b) -> a), TRY_CONVERT(INT, a) FROM t PREWHERE a FORMAT JSON",
        "SELECT -- comment\n 1 /* a /* b */ c */",
        "SELECT MATCH (a) AGAINST ('x'), a ! FROM t LIMIT 1 BY a SETTINGS b = 1",
    ] {
        let generic = Parser::parse_sql(&GenericDialect {}, sql);
        let dialect = SqlDialect::new(sql);
        assert_eq!(Parser::parse_sql(&dialect, sql), generic, "{sql}");
    }
}
