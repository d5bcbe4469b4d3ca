//! Time, rows, memory, places.

use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use ratq::Config;
use tonic::Code;

use crate::support::{Ratq, config, reason};

/// A query that has no end.
const ENDLESS: &str = "SELECT value FROM range(1000000000000000)";

#[tokio::test]
async fn rows_beyond_the_limit_are_cut_and_it_says_so() {
    let ratq = Ratq::start(Config {
        max_rows: 10,
        ..config()
    })
    .await;
    let count = async |limit: u64| {
        let mut request = ratq.request("SELECT value FROM range(50)");
        request.limit = limit;
        let messages = ratq.messages(request).await.unwrap();
        let truncated = messages.last().unwrap().truncated;
        assert!(
            messages[..messages.len() - 1]
                .iter()
                .all(|message| !message.truncated)
        );
        let stream: Vec<u8> = messages.into_iter().flat_map(|m| m.arrow_ipc).collect();
        let reader = arrow::ipc::reader::StreamReader::try_new(stream.as_slice(), None).unwrap();
        (
            reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(),
            truncated,
        )
    };
    assert_eq!(count(3).await, (3, true));
    assert_eq!(count(0).await, (10, true), "the limit of the service");
    assert_eq!(count(1000).await, (10, true), "never above it");
    let (batches, truncated) = ratq.rows("SELECT value FROM range(10)").await.unwrap();
    assert_eq!(
        (
            batches.iter().map(|b| b.num_rows()).sum::<usize>(),
            truncated
        ),
        (10, false)
    );
}

#[tokio::test]
async fn a_query_that_takes_too_long_ends_with_deadline_exceeded() {
    let ratq = Ratq::start(Config {
        timeout: Duration::from_millis(300),
        ..config()
    })
    .await;
    let begin = Instant::now();
    let status = ratq
        .refused("SELECT sum(value) FROM range(1000000000000)")
        .await;
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert_eq!(reason(&status), "TIMEOUT");
    assert!(
        begin.elapsed() < Duration::from_secs(20),
        "{:?}",
        begin.elapsed()
    );
    assert!(ratq.rows("SELECT 1").await.is_ok());
}

#[tokio::test]
async fn a_caller_that_does_not_read_is_cut_off_with_an_error() {
    let limits = Config {
        timeout: Duration::from_millis(500),
        max_rows: 1 << 50,
        ..config()
    };
    let ratq = Ratq::start(Config {
        concurrent_queries: 1,
        ..limits
    })
    .await;
    let mut stream = ratq.open(ratq.request(ENDLESS)).await.unwrap();
    stream.message().await.unwrap();
    // The place becomes free although nobody reads: the next query gets it.
    let next = ratq.rows("SELECT 1").await;
    assert!(
        next.is_ok()
            || next
                .as_ref()
                .is_err_and(|s| reason(s) == "TOO_MANY_QUERIES")
    );
    let end = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(status) => break Some(status.code()),
        }
    };
    assert_eq!(
        end,
        Some(Code::DeadlineExceeded),
        "a cut answer does not look complete"
    );
}

#[tokio::test]
async fn a_query_that_needs_too_much_memory_ends_with_resource_exhausted() {
    let ratq = Ratq::start(Config {
        memory_limit: 16 << 20,
        ..config()
    })
    .await;
    let sql = "SELECT count(*) FROM range(5000000) a JOIN range(5000000) b ON a.value = b.value";
    let status = ratq.refused(sql).await;
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert_eq!(reason(&status), "OUT_OF_MEMORY");
    assert!(ratq.rows("SELECT 1").await.is_ok());
}

#[tokio::test]
async fn a_caller_that_goes_away_frees_its_place() {
    let ratq = Ratq::start(Config {
        concurrent_queries: 1,
        max_rows: 1 << 50,
        ..config()
    })
    .await;
    for _ in 0..3 {
        let mut stream = ratq.open(ratq.request(ENDLESS)).await.unwrap();
        assert!(stream.message().await.unwrap().is_some());
        drop(stream);
    }
    // An aggregate sends nothing, so only the broken call can tell that nobody waits.
    let endless = ratq.request("SELECT sum(value) FROM range(1000000000000000)");
    let unread = ratq.open(endless).await.unwrap();
    drop(unread);
    assert!(ratq.rows("SELECT 1").await.is_ok());
}

#[tokio::test]
async fn too_many_waiting_queries_are_refused_at_once() {
    let ratq = Ratq::start(Config {
        concurrent_queries: 1,
        max_rows: 1 << 50,
        ..config()
    })
    .await;
    let mut running = ratq.open(ratq.request(ENDLESS)).await.unwrap();
    running.message().await.unwrap();
    let mut queue: FuturesUnordered<_> = (0..20).map(|_| ratq.rows("SELECT 1")).collect();
    for _ in 0..12 {
        let refused = queue.next().await.unwrap().unwrap_err();
        assert_eq!(reason(&refused), "TOO_MANY_QUERIES", "{refused}");
    }
    // Those that may wait get the place when it is given back.
    drop(running);
    while let Some(answer) = queue.next().await {
        assert!(answer.is_ok(), "{answer:?}");
    }
}

fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes / 1024)
}

/// A common table expression for each of 1 to `count` - 1, which reads the one before.
fn with(count: usize, next: impl Fn(String) -> String) -> String {
    let tables = (1..count).map(|n| format!(", a{n} AS ({})", next(format!("a{}", n - 1))));
    let tables: String = tables.collect();
    format!(
        "WITH a0 AS (SELECT 1 AS x){tables} SELECT * FROM a{}",
        count - 1
    )
}

/// Each of these held a thread for minutes, or took all memory, before it could be stopped.
#[tokio::test]
async fn a_statement_that_would_be_planned_for_long_is_refused_at_once() {
    let ratq = Ratq::start(config()).await;
    let nested = (0..24).fold("(SELECT 1 AS x)".to_owned(), |inner, _| {
        format!("(SELECT x + x AS x FROM {inner} WHERE x > 1)")
    });
    let tables: Vec<String> = (0..3_000).map(|n| format!("range(1) t{n}")).collect();
    let before = peak();
    for sql in [
        format!("SELECT 1 FROM {}", tables.join(", ")),
        with(2_500, |before| format!("SELECT x FROM {before}")),
        with(24, |before| format!("SELECT * FROM {before} a, {before} b")),
        with(24, |before| {
            format!("SELECT x + x AS x FROM {before} WHERE x > 1")
        }),
        format!("SELECT * FROM {nested}"),
        format!("SELECT 1{}", " IN (1)".repeat(14_000)),
        format!("SELECT 'a'{}", " LIKE 'a'".repeat(10_000)),
        format!("SELECT now(){}", " AT TIME ZONE 'UTC'".repeat(5_000)),
        format!("EXPLAIN SELECT 1{}", " + 1".repeat(20_000)),
        format!("SELECT {}1 1 1", "NOT (".repeat(28)),
        format!("SELECT {}1{}", "NOT (CASE ".repeat(30), ")".repeat(30)),
    ] {
        let shown: String = sql.chars().take(80).collect();
        let begin = Instant::now();
        let status = ratq.refused(&sql).await;
        assert_eq!(reason(&status), "SQL_TOO_COMPLEX", "{shown}: {status}");
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains("at most"), "{status}");
        assert!(
            begin.elapsed() < Duration::from_secs(1),
            "{shown}: {:?}",
            begin.elapsed()
        );
    }
    let status = ratq
        .refused("SELECT repeat('x', 1000000) FROM range(1, 3000)")
        .await;
    assert_eq!(reason(&status), "VALUE_TOO_LARGE", "{status}");
    // What a list is unnested into is made a few rows at a time.
    let sql = "SELECT count(*), max(length(t)) FROM (SELECT unnest(range(1, 2000 + value)) AS n, \
               repeat(CAST(value AS VARCHAR), 2000) AS t FROM range(1000, 1100))";
    assert!(ratq.rows(sql).await.is_ok());
    let numbers: Vec<String> = (0..14_000).map(|n| n.to_string()).collect();
    let sql = format!(
        "SELECT value FROM range(3) WHERE value IN ({})",
        numbers.join(", ")
    );
    assert!(ratq.rows(&sql).await.is_ok());
    if let (Some(before), Some(after)) = (before, peak()) {
        assert!(after - before < 600, "{before} MiB became {after} MiB");
    }
}
