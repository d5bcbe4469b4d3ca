//! What planning costs, for the largest statements that are planned at all.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::MemTable;
use rat_types::TableIdent;

use super::*;
use crate::Threads;
use crate::fake::FakeTables;
use crate::tables::{Pinned, pin};

/// In a debug build, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn list(count: usize, separator: &str, part: impl Fn(usize) -> String) -> String {
    (0..count).map(part).collect::<Vec<_>>().join(separator)
}

fn with(count: usize, first: &str, next: impl Fn(String) -> String) -> String {
    let tables = list(count, ", ", |n| match n {
        0 => format!("a0 AS ({first})"),
        n => format!("a{n} AS ({})", next(format!("a{}", n - 1))),
    });
    format!("WITH {tables} SELECT * FROM a{}", count - 1)
}

fn nested(count: usize, next: impl Fn(String) -> String) -> String {
    let first = "(SELECT id AS x FROM bronze.orders)".to_owned();
    (0..count).fold(first, |inner, _| format!("({})", next(inner)))
}

/// Plans `sql` as a query of its own threads does. There is a table with a thousand columns.
async fn plan(sql: &str) -> Result<(), Error> {
    let folder = tempfile::tempdir().unwrap();
    let sessions = Sessions::new(64 << 20, folder.path(), 2).unwrap();
    let namespace: NamespaceName = "shop".parse().unwrap();
    let orders: TableIdent = "shop.bronze.orders".parse().unwrap();
    let mut pinned = Pinned::new();
    let tables = FakeTables::new(&[("shop.bronze.orders", 100)]);
    pin(&tables, &namespace, &BTreeSet::from([orders]), &mut pinned).await?;
    let columns = (0..1000).map(|n| Field::new(format!("c{n}"), DataType::Int64, true));
    let wide = Schema::new(columns.collect::<Vec<_>>());
    let wide = MemTable::try_new(Arc::new(wide), vec![vec![]])?;
    pinned.insert("shop.bronze.wide".parse().unwrap(), Arc::new(wide));
    let mut session = sessions.open(&namespace);
    session.add_tables(pinned)?;
    let parsed = statement::parse(sql, Purpose::Query)?;
    let plan = session.plan(parsed.statement, Purpose::Query).await?;
    session.prepare(&plan).await.map(drop)
}

fn peak_mebibytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes / 1024)
}

#[tokio::test]
async fn the_largest_statements_that_are_planned_take_seconds_and_little_memory() {
    let joins = |count: usize| {
        list(count, " ", |n| {
            let n = n + 1;
            format!("JOIN bronze.orders t{n} ON t{n}.id = t{}.id", n - 1)
        })
    };
    let before = peak_mebibytes();
    for sql in [
        format!("SELECT {}1 FROM bronze.orders", "id + ".repeat(990)),
        format!("SELECT {}'x' FROM bronze.orders", "name || ".repeat(990)),
        format!("SELECT {}[1] FROM bronze.orders", "[id] || ".repeat(60)),
        format!("SELECT [id]{} FROM bronze.orders", "[1:2]".repeat(60)),
        format!("SELECT 1 FROM bronze.orders WHERE {}", list(990, " OR ", |n| format!("id = {n}"))),
        format!("SELECT 1 FROM bronze.orders WHERE {}", list(600, " OR ", |n| format!("name LIKE '%{n}'"))),
        format!("SELECT 1 FROM bronze.orders WHERE id IN ({})", list(50_000, ",", |n| n.to_string())),
        list(990, " UNION ALL ", |n| format!("SELECT {n}")),
        list(900, " EXCEPT ", |_| "SELECT id FROM bronze.orders".to_owned()),
        format!("SELECT * FROM bronze.orders t0 {}", joins(99)),
        format!("SELECT 1 FROM {}", list(100, ", ", |n| format!("bronze.orders t{n}"))),
        format!("WITH c AS (SELECT t0.id FROM bronze.orders t0 {}) SELECT 1 FROM {}", joins(98), list(4, ", ", |n| format!("c c{n}"))),
        format!("SELECT {} FROM bronze.orders o", list(99, ", ", |n| format!("(SELECT max(id) FROM bronze.orders i WHERE i.id = o.id + {n}) AS c{n}"))),
        format!("SELECT 1 FROM bronze.orders o WHERE {}", list(99, " OR ", |n| format!("EXISTS (SELECT {n} FROM bronze.orders i WHERE i.id = o.id)"))),
        with(10, "SELECT id AS x FROM bronze.orders", |a| format!("SELECT a.x FROM {a} a JOIN {a} b ON a.x = b.x")),
        with(10, "SELECT id AS x FROM bronze.orders", |a| format!("SELECT * FROM {a} UNION ALL SELECT * FROM {a}")),
        with(60, "SELECT id AS x FROM bronze.orders", |a| format!("SELECT x + 1 AS x FROM {a} WHERE x > 1")),
        with(100, "SELECT id AS x FROM bronze.orders", |a| format!("SELECT count(*) AS x FROM {a} GROUP BY x")),
        format!("SELECT x FROM {} WHERE x > 1", nested(13, |inner| format!("SELECT x + x AS x FROM {inner}"))),
        format!("SELECT x FROM {} WHERE x > 1", nested(8, |inner| format!("SELECT CASE x WHEN 1 THEN x ELSE x END AS x FROM {inner}"))),
        format!("SELECT {} FROM bronze.orders ORDER BY 1", list(4_990, ",", |n| format!("id AS c{n}"))),
        format!("SELECT {} FROM bronze.orders", list(2_490, ",", |n| format!("sum({n})"))),
        format!("SELECT {} FROM bronze.orders", list(200, ",", |n| format!("sum(id) OVER (ORDER BY id + {n})"))),
        "SELECT * FROM bronze.wide a, bronze.wide b, bronze.wide c WHERE a.c1 = b.c2 AND b.c3 = c.c4 ORDER BY a.c5".to_owned(),
    ] {
        let shown: String = sql.chars().take(120).collect();
        let threads = Threads::start("test", 1, Arc::new(())).unwrap();
        let begin = Instant::now();
        let planned = threads.spawn(async move { plan(&sql).await });
        let planned = planned.await.unwrap();
        eprintln!("{:?} {shown}", begin.elapsed());
        assert!(planned.is_ok(), "{shown}: {}", planned.unwrap_err());
        assert!(begin.elapsed() < PATIENCE, "{shown}: {:?}", begin.elapsed());
    }
    if let (Some(before), Some(after)) = (before, peak_mebibytes()) {
        assert!(after - before < 600, "{before} MiB became {after} MiB");
    }
}

#[tokio::test]
async fn columns_of_tables_count_once_they_are_known() {
    for sql in [
        format!(
            "SELECT 1 FROM {}",
            list(40, ", ", |n| format!("bronze.wide t{n}"))
        ),
        format!(
            "SELECT * FROM {}",
            list(6, ", ", |n| format!("shop.bronze.wide t{n}"))
        ),
        "SELECT * FROM \"shop\".\"bronze\".\"wide\", bronze.wide a, bronze.wide b, bronze.wide c, \
         bronze.wide d, bronze.WIDE e"
            .to_owned(),
        "EXPLAIN SELECT * FROM (SELECT a.*, b.* FROM bronze.wide a, bronze.wide b) c, \
         (SELECT a.*, b.* FROM bronze.wide a, bronze.wide b) d, bronze.wide e, bronze.wide f"
            .to_owned(),
    ] {
        let error = plan(&sql).await.unwrap_err();
        assert_eq!(error.reason(), "SQL_TOO_COMPLEX", "{sql}: {error}");
        assert!(error.to_string().contains("columns in"), "{sql}: {error}");
    }
}

#[tokio::test]
async fn operators_that_become_functions_are_not_nested_without_end() {
    for sql in [
        format!("SELECT [id]{} FROM bronze.orders", "[1:2]".repeat(200)),
        format!("SELECT {}[1] FROM bronze.orders", "[id] || ".repeat(200)),
    ] {
        let error = plan(&sql).await.unwrap_err();
        assert_eq!(error.reason(), "SQL_INVALID", "{error}");
        assert!(
            error.to_string().contains("nested deeper than 64"),
            "{error}"
        );
    }
}
