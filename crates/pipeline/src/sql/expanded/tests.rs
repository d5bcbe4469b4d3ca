use std::time::{Duration, Instant};

use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

use crate::sql::{MAX_SQL_NESTING, check_sql_text, check_sql_tree};

/// Why `sql` is not planned.
fn told(sql: &str) -> Option<String> {
    if let Err(error) = check_sql_text(sql) {
        return Some(error.to_string());
    }
    let statements = Parser::new(&GenericDialect {})
        .with_recursion_limit(MAX_SQL_NESTING)
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_statements());
    let statements = statements.unwrap_or_else(|error| panic!("{error}: {sql}"));
    let error = check_sql_tree(&statements[0], &|_| None).err()?;
    Some(error.to_string())
}

/// Joins the texts that `part` makes of 0 to `count` - 1.
fn list(count: usize, separator: &str, part: impl Fn(usize) -> String) -> String {
    (0..count).map(part).collect::<Vec<_>>().join(separator)
}

/// A common table expression for each of 1 to `count` - 1, which reads the one before.
fn with(count: usize, first: &str, next: impl Fn(String) -> String) -> String {
    let tables = list(count, ", ", |n| match n {
        0 => format!("a0 AS ({first})"),
        n => format!("a{n} AS ({})", next(format!("a{}", n - 1))),
    });
    format!("WITH {tables} SELECT * FROM a{}", count - 1)
}

/// `next` within itself.
fn nested(count: usize, next: impl Fn(String) -> String) -> String {
    (0..count).fold("(SELECT id AS x FROM b.t)".to_owned(), |inner, _| {
        format!("({})", next(inner))
    })
}

#[test]
fn a_short_text_that_would_be_planned_for_long_is_refused_at_once() {
    let operators = "operators and joins";
    let in_a_row = "operators in a row";
    let common = "common table expressions";
    let one_select = "tables and subqueries in one SELECT";
    let all_tables = "tables, each counted";
    let expressions = "names, functions and operators, each";
    let growth = "in a column that is made of columns";
    let mut wrong = Vec::new();
    let chain = |count: usize, link: &str| format!("SELECT {}1", link.repeat(count));
    for (expected, sql) in [
        (operators, format!("SELECT 1{}", " IN (1)".repeat(15_000))),
        (
            operators,
            format!("SELECT 'a'{}", " LIKE 'a'".repeat(5_000)),
        ),
        (
            operators,
            format!("SELECT 1{}", " BETWEEN 0 AND 1".repeat(5_000)),
        ),
        (
            operators,
            format!("SELECT x{}", " AT TIME ZONE 'UTC'".repeat(5_000)),
        ),
        (operators, format!("SELECT x{}", " COLLATE c".repeat(5_000))),
        (operators, format!("SELECT x{}", "::INT".repeat(5_000))),
        (operators, format!("SELECT x{}", "[1]".repeat(5_000))),
        (
            operators,
            format!("SELECT x{}", " IS NOT NULL".repeat(5_000)),
        ),
        (
            operators,
            format!("FROM b.t{}", " |> WHERE x > 1".repeat(5_000)),
        ),
        (operators, chain(5_000, "x OPERATOR(pg_catalog.+) ")),
        (operators, chain(5_000, "1 XOR ")),
        (operators, chain(5_000, "1 UNION ALL SELECT ")),
        (in_a_row, chain(1_500, "1+")),
        (in_a_row, chain(1_500, "1 OR ")),
        (
            in_a_row,
            format!(
                "SELECT 1 FROM (SELECT 1 WHERE {}true)",
                "true AND ".repeat(1_500)
            ),
        ),
        (
            one_select,
            format!(
                "SELECT 1 FROM {}",
                list(3_000, ",", |n| format!("b.t t{n}"))
            ),
        ),
        (
            one_select,
            format!(
                "SELECT 1 FROM {}",
                list(3_000, ",", |n| format!("range(1) t{n}"))
            ),
        ),
        (
            one_select,
            format!("SELECT 1 FROM b.t{}", " CROSS JOIN b.t".repeat(1_500)),
        ),
        (
            one_select,
            format!("SELECT 1 FROM b.t{}", ", LATERAL (SELECT x)".repeat(1_500)),
        ),
        (
            one_select,
            format!("SELECT 1 FROM b.t{}", ", UNNEST([1])".repeat(500)),
        ),
        (
            one_select,
            format!("FROM b.t{}", " |> JOIN b.t USING (x)".repeat(900)).replace("|> JOIN", "JOIN"),
        ),
        (
            one_select,
            format!(
                "SELECT {}",
                list(1_500, ",", |n| format!("(SELECT {n} FROM b.t)"))
            ),
        ),
        (
            one_select,
            format!(
                "SELECT 1 FROM b.t WHERE {}",
                list(900, " AND ", |n| format!("EXISTS (SELECT {n} FROM b.t)"))
            ),
        ),
        (
            all_tables,
            list(1_500, " UNION ALL ", |n| format!("SELECT x FROM b.t{n}")),
        ),
        (
            all_tables,
            format!(
                "SELECT 1 FROM {}",
                list(20, ",", |n| {
                    format!(
                        "({}) t{n}",
                        list(60, " UNION ALL ", |_| "SELECT 1 FROM b.t".to_owned())
                    )
                })
            ),
        ),
        (
            common,
            with(2_500, "SELECT 1 AS x", |before| {
                format!("SELECT x FROM {before}")
            }),
        ),
        (
            all_tables,
            with(24, "SELECT 1 x", |a| format!("SELECT * FROM {a} a, {a} b")),
        ),
        (
            all_tables,
            with(60, "SELECT 1 x", |a| {
                format!("SELECT a.x FROM {a} a JOIN {a} b USING (x)")
            }),
        ),
        (
            all_tables,
            with(24, "SELECT 1 x", |a| {
                format!("SELECT * FROM {a} UNION ALL SELECT * FROM {a}")
            }),
        ),
        (
            growth,
            with(24, "SELECT 1 x", |a| {
                format!("SELECT (SELECT max(x) FROM {a}) + (SELECT min(x) FROM {a}) AS x")
            }),
        ),
        (
            expressions,
            with(24, "SELECT 1 x", |a| {
                format!("SELECT x FROM {a} WHERE EXISTS (SELECT 1 FROM {a})")
            }),
        ),
        (
            all_tables,
            with(24, "SELECT 1 x", |a| {
                format!("SELECT o.x FROM {a} o, LATERAL (SELECT o.x FROM {a}) l")
            }),
        ),
        (
            expressions,
            with(24, "SELECT 1 x", |a| {
                format!("FROM {a} |> UNION ALL (SELECT * FROM {a})")
            }),
        ),
        (
            growth,
            nested(20, |inner| format!("SELECT x + x AS x FROM {inner}")),
        ),
        (
            growth,
            nested(20, |inner| {
                format!("SELECT t.x + t.x AS x FROM {inner} AS t")
            }),
        ),
        (
            growth,
            nested(20, |inner| {
                format!("SELECT y + y AS x FROM {inner} AS t(y)")
            }),
        ),
        (
            growth,
            nested(20, |inner| format!("SELECT struct(x, x) AS x FROM {inner}")),
        ),
        (
            growth,
            nested(20, |inner| format!("SELECT [x, x] AS x FROM {inner}")),
        ),
        (
            growth,
            nested(20, |inner| {
                format!("SELECT * REPLACE (x + x AS x) FROM {inner}")
            }),
        ),
        (
            growth,
            nested(20, |inner| {
                format!("SELECT \"b.t.id + 1\" + \"b.t.id + 1\" FROM {inner}")
            }),
        ),
        (
            growth,
            nested(16, |inner| {
                format!("SELECT CASE x WHEN 1 THEN x ELSE x END AS x FROM {inner} WHERE x > 1")
            }),
        ),
        (
            expressions,
            with(80, "SELECT 1 x", |a| {
                format!("SELECT x + x AS x FROM {a} WHERE x > 1")
            }),
        ),
        (
            growth,
            with(80, "SELECT 1 x", |a| format!("SELECT x, x + x FROM {a}"))
                .replace("x + x", "\"x\" + \"x\" AS x"),
        ),
        (
            expressions,
            format!("FROM b.t{}", " |> EXTEND x + x AS x".repeat(100)),
        ),
        (
            expressions,
            format!(
                "SELECT * FROM ({}) WHERE {}",
                list(500, " UNION ALL ", |n| format!("SELECT x FROM b.t{n}")),
                list(60, " OR ", |n| format!("x = {n}"))
            ),
        ),
        (
            expressions,
            format!("SELECT {}", list(30_000, ",", |n| format!("x AS c{n}"))),
        ),
        (
            expressions,
            format!(
                "SELECT 1 FROM b.t GROUP BY CUBE ({})",
                list(20, ",", |n| format!("c{n}"))
            ),
        ),
        (
            expressions,
            with(
                60,
                &format!("SELECT {}", list(900, ",", |n| format!("c{n} + 1 AS c{n}"))),
                |a| {
                    format!(
                        "SELECT * FROM {a}, (SELECT {} FROM b.t) t",
                        list(400, ",", |n| format!("d{n}"))
                    )
                },
            ),
        ),
        (
            "columns in one SELECT",
            format!("SELECT {}", list(9_000, ",", |n| format!("{n}"))),
        ),
        (
            "calls of functions",
            format!("SELECT {}", list(4_000, ",", |n| format!("sum({n})"))),
        ),
        (
            "different windows",
            format!(
                "SELECT {}",
                list(400, ",", |n| format!("sum(x) OVER (ORDER BY x + {n})"))
            ),
        ),
        (
            "constants",
            with(
                12,
                &format!("VALUES {}", list(90_000, ",", |_| "(1)".to_owned())),
                |a| format!("SELECT * FROM {a} UNION ALL SELECT * FROM {a}"),
            ),
        ),
        (
            "levels",
            with(90, "SELECT 1 AS x", |a| {
                format!("SELECT x FROM (SELECT x FROM (SELECT x FROM {a}))")
            }),
        ),
    ] {
        let shown: String = sql.chars().take(200).collect();
        let begin = Instant::now();
        let message = told(&sql).unwrap_or_else(|| "it is accepted".to_owned());
        let took = begin.elapsed();
        if !(message.contains(expected) && message.contains("at most")) {
            wrong.push(format!("{shown}: {message}, not {expected}"));
        }
        if took >= Duration::from_secs(1) {
            wrong.push(format!("{shown}: {took:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_people_write_is_far_from_the_limits() {
    let columns = |count: usize| {
        list(count, ", ", |n| {
            format!("CAST(nullif(trim(c{n}), '') AS INT) AS c{n}")
        })
    };
    for sql in [
        format!("SELECT x FROM b.t WHERE x IN ({})", list(50_000, ",", |n| n.to_string())),
        format!("SELECT x FROM b.t WHERE x NOT IN ({})", list(50_000, ",", |n| format!("'{n}'"))),
        format!("SELECT * FROM (VALUES {}) AS v(a, b)", list(50_000, ",", |n| format!("(-{n}, 'x')"))),
        format!("SELECT x FROM b.t WHERE {}", list(450, " OR ", |n| format!("x = {n}"))),
        format!("SELECT x FROM b.t WHERE {}", list(450, " OR ", |n| format!("name LIKE '%{n}%'"))),
        format!("SELECT {} FROM b.t", columns(500)),
        format!("SELECT CASE {} END FROM b.t", list(800, " ", |n| format!("WHEN x = {n} THEN 'v{n}'"))),
        format!("SELECT 'a'{}", " || name".repeat(300)),
        list(400, " UNION ALL ", |n| format!("SELECT * FROM b.t{n} WHERE day > '2026-01-01'")),
        format!(
            "SELECT * FROM b.t t0 {}",
            list(60, " ", |n| format!("LEFT JOIN b.d{n} t{} ON t{}.id = t0.d{n}", n + 1, n + 1))
        ),
        with(80, "SELECT * FROM b.t", |a| format!("SELECT *, x + 1 AS y FROM {a} WHERE x > 0 AND y < 3")),
        // Layers that are made of each other, each column of a few of the layer before.
        with(8, &format!("SELECT {} FROM b.t", columns(100)), |a| {
            let columns = list(100, ", ", |n| format!("CASE WHEN c{n} > 0 THEN c{n} ELSE 0 END AS c{n}"));
            format!("SELECT {columns} FROM {a}")
        }),
        format!("SELECT {} FROM b.t", list(400, ",", |n| format!("sum(c{n}) OVER (PARTITION BY a ORDER BY b)"))),
        format!("SELECT {}1 FROM b.t", "x + ".repeat(990)),
        format!("SELECT sum(x) OVER (ORDER BY {}1) FROM b.t", "x + ".repeat(990)),
        list(990, " UNION ALL ", |n| format!("SELECT {n}")),
        // TPC-H 8, 19, 20 and 21, as far as their shape goes.
        "SELECT o_year, sum(CASE WHEN nation = 'BRAZIL' THEN volume ELSE 0 END) / sum(volume) FROM \
         (SELECT extract(year FROM o_orderdate) AS o_year, l_price * (1 - l_discount) AS volume, \
         n2.n_name AS nation FROM part, supplier, lineitem, orders, customer, nation n1, nation n2, \
         region WHERE p_partkey = l_partkey AND s_suppkey = l_suppkey AND l_orderkey = o_orderkey \
         AND o_custkey = c_custkey AND c_nationkey = n1.n_nationkey AND n1.n_regionkey = r_regionkey \
         AND s_nationkey = n2.n_nationkey AND o_orderdate BETWEEN DATE '1995-01-01' AND \
         DATE '1996-12-31') AS all_nations GROUP BY o_year ORDER BY o_year"
            .to_owned(),
        format!(
            "SELECT sum(l_price * (1 - l_discount)) FROM lineitem, part WHERE {}",
            list(3, " OR ", |n| format!(
                "(p_partkey = l_partkey AND p_brand = 'Brand#{n}' AND p_container IN ('SM CASE', \
                 'SM BOX') AND l_quantity >= {n} AND p_size BETWEEN 1 AND 5 AND \
                 l_shipmode IN ('AIR', 'AIR REG'))"
            ))
        ),
        "SELECT s_name FROM supplier, nation WHERE s_suppkey IN (SELECT ps_suppkey FROM partsupp WHERE \
         ps_partkey IN (SELECT p_partkey FROM part WHERE p_name LIKE 'forest%') AND ps_availqty > \
         (SELECT 0.5 * sum(l_quantity) FROM lineitem WHERE l_partkey = ps_partkey))"
            .to_owned(),
        "SELECT s_name, count(*) FROM supplier, lineitem l1, orders WHERE EXISTS (SELECT 1 FROM \
         lineitem l2 WHERE l2.l_orderkey = l1.l_orderkey) AND NOT EXISTS (SELECT 1 FROM lineitem l3 \
         WHERE l3.l_orderkey = l1.l_orderkey AND l3.l_receipt > l3.l_commit) GROUP BY s_name"
            .to_owned(),
        "SELECT 1 FROM b.t GROUP BY CUBE (a, b, c, d, e, f), ROLLUP (g, h)".to_owned(),
        "WITH RECURSIVE c AS (SELECT 1 AS n UNION ALL SELECT c.n + d.n FROM c, c d WHERE c.n < 9) SELECT * FROM c".to_owned(),
        "FROM b.t |> WHERE x > 1 |> EXTEND x + 1 AS y |> AGGREGATE sum(y) AS s GROUP BY x |> ORDER BY s |> LIMIT 3".to_owned(),
    ] {
        let shown: String = sql.chars().take(200).collect();
        // Half of what a worker thread of the daemon has.
        let thread = std::thread::Builder::new().stack_size(1 << 20);
        let told = thread.spawn(move || told(&sql)).unwrap().join().unwrap();
        assert_eq!(told, None, "{shown}");
    }
}
