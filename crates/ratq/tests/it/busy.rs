//! Queries that take whole processors and do not let go of them.

use std::time::{Duration, Instant};

use ratq::Config;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::support::{Ratq, config, reason};

/// A join that drops every one of its rows: its operator never returns.
const BUSY: &str = "SELECT count(*) AS c \
    FROM generate_series(1, 1000000) AS a, generate_series(1, 10000000) AS b \
    WHERE a.value + b.value = -1";
/// Far less than what such a join takes, far more than a machine with other work needs.
const SOON: Duration = Duration::from_secs(10);

fn soon(begin: Instant, what: &str) {
    assert!(begin.elapsed() < SOON, "{what}: {:?}", begin.elapsed());
}

#[tokio::test]
async fn busy_queries_hold_up_nobody() {
    let ratq = Ratq::start(config()).await;
    let open = || ratq.open(ratq.request(BUSY));
    let (first, second) = tokio::join!(open(), open());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begin = Instant::now();
    assert!(ratq.rows("SELECT 1").await.is_ok());
    soon(begin, "a quick query");
    drop((first, second));
}

#[tokio::test]
async fn a_busy_service_is_healthy() {
    let ratq = Ratq::start(Config {
        concurrent_queries: 1,
        ..config()
    })
    .await;
    let busy = ratq.open(ratq.request(BUSY)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    // The only place is taken, and no health check waits for it.
    for _ in 0..3 {
        let (status, took) = ratq.health().await;
        assert_eq!(status, ServingStatus::Serving, "{took:?}");
    }
    drop(busy);
}

#[tokio::test]
async fn a_busy_query_ends_at_its_time_limit() {
    let ratq = Ratq::start(Config {
        timeout: Duration::from_secs(2),
        concurrent_queries: 1,
        ..config()
    })
    .await;
    let begin = Instant::now();
    let status = ratq.refused(BUSY).await;
    soon(begin, "a query that takes too long");
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    // The place comes back with the threads, so they have ended as well.
    assert!(ratq.rows("SELECT 1").await.is_ok());
    soon(begin, "the next query");
}

#[tokio::test]
async fn a_busy_query_whose_caller_went_away_gives_its_place_back() {
    let ratq = Ratq::start(Config {
        concurrent_queries: 1,
        ..config()
    })
    .await;
    let stream = ratq.open(ratq.request(BUSY)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begin = Instant::now();
    drop(stream);
    assert!(ratq.rows("SELECT 1").await.is_ok());
    soon(begin, "the next query");
}

#[tokio::test]
async fn more_text_than_fits_a_batch_is_the_fault_of_the_query() {
    let ratq = Ratq::start(Config {
        memory_limit: usize::MAX >> 1,
        ..config()
    })
    .await;
    for sql in [
        "SELECT repeat('abcdefghij', 100000) AS text FROM range(3000)",
        "SELECT repeat(CAST(value AS VARCHAR), 1000000) AS text FROM range(3000)",
    ] {
        let status = ratq.refused(sql).await;
        assert_eq!(reason(&status), "VALUE_TOO_LARGE", "{status}");
        assert!(status.message().contains("at most"), "{status}");
    }
}

#[tokio::test]
async fn a_batch_larger_than_the_memory_limit_is_not_sent() {
    let ratq = Ratq::start(Config {
        memory_limit: 16 << 20,
        ..config()
    })
    .await;
    let sql = "SELECT repeat('abcdefghij', 1000) AS text FROM range(8000)";
    let status = ratq.refused(sql).await;
    assert_eq!(reason(&status), "OUT_OF_MEMORY", "{status}");
}
