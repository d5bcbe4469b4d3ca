//! Answers.

use arrow::array::{AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use tonic::Code;

use crate::support::{LIMIT, Ratq, config, reason};

#[tokio::test]
async fn a_query_is_answered_as_one_arrow_stream() {
    let ratq = Ratq::start(config()).await;
    let (batches, truncated) = ratq.rows("SELECT 1 + 1 AS two, 'x' AS text").await.unwrap();
    assert!(!truncated);
    assert_eq!(batches.len(), 1);
    assert_eq!(batches[0].column(0).as_ref(), &Int64Array::from(vec![2]));
    assert_eq!(batches[0].column(1).as_string::<i32>().value(0), "x");
}

#[tokio::test]
async fn the_schema_comes_first_and_the_end_last() {
    let ratq = Ratq::start(config()).await;
    let messages = ratq
        .messages(ratq.request("SELECT 1 AS one"))
        .await
        .unwrap();
    assert_eq!(messages.len(), 3);
    assert_eq!(messages[2].arrow_ipc, [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
}

#[tokio::test]
async fn a_result_without_rows_still_has_its_columns() {
    let ratq = Ratq::start(config()).await;
    let (batches, _) = ratq.rows("SELECT 1 AS one WHERE false").await.unwrap();
    assert_eq!((batches.len(), batches[0].num_rows()), (1, 0));
    assert_eq!(batches[0].schema().field(0).name(), "one");
}

#[tokio::test]
async fn a_missing_table_is_named() {
    let ratq = Ratq::start(config()).await;
    for (sql, table) in [
        ("SELECT * FROM gold.nothing", "shop.gold.nothing"),
        ("SELECT * FROM other.gold.nothing", "other.gold.nothing"),
        (
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM silver.\"no-thing\")",
            "shop.silver.no-thing",
        ),
    ] {
        let status = ratq.refused(sql).await;
        assert_eq!(status.code(), Code::NotFound, "{sql}: {status}");
        assert!(status.message().contains(table), "{}", status.message());
        assert_eq!(reason(&status), "TABLE_NOT_FOUND");
    }
}

#[tokio::test]
async fn a_catalog_that_is_away_is_unavailable() {
    let ratq = Ratq::start(config()).await;
    let mut request = ratq.request("SELECT * FROM gold.x");
    request.control_plane = "unix:/nonexistent/internal.sock".to_owned();
    let status = ratq.messages(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
}

#[tokio::test]
async fn messages_for_people_have_no_noise_of_the_engine() {
    let ratq = Ratq::start(config()).await;
    for sql in [
        "SELEC 1",
        "SELECT nope FROM range(3)",
        "SELECT nosuchfunction(1)",
        "SELECT CAST('x' AS INT)",
        "SELECT 1 +",
        "SELECT * FROM range(3) WHERE value = DATE '2020-13-01'",
    ] {
        let status = ratq.refused(sql).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{sql}: {status}");
        for noise in [
            "DataFusion",
            "backtrace",
            "ArrowError",
            "Diagnostic",
            "SchemaError(",
            "ParserError(",
        ] {
            assert!(
                !status.message().contains(noise),
                "{sql}: {}",
                status.message()
            );
        }
    }
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_before_they_wait() {
    let ratq = Ratq::start(config()).await;
    let refused = async |change: fn(&mut rat_proto::query::v1::ExecuteQueryRequest)| {
        let mut request = ratq.request("SELECT 1");
        change(&mut request);
        let status = ratq.messages(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        reason(&status).to_owned()
    };
    assert_eq!(refused(|request| request.sql.clear()).await, "SQL_INVALID");
    assert_eq!(
        refused(|request| request.sql = " \n".to_owned()).await,
        "SQL_INVALID"
    );
    assert_eq!(
        refused(|request| request.sql = "x".repeat(100_001)).await,
        "SQL_TOO_LONG"
    );
    assert_eq!(
        refused(|request| request.namespace = "../x".to_owned()).await,
        "REQUEST_INVALID"
    );
    assert_eq!(
        refused(|request| request.token.clear()).await,
        "REQUEST_INVALID"
    );
    assert_eq!(
        refused(|request| request.control_plane.clear()).await,
        "REQUEST_INVALID"
    );
}

#[tokio::test]
async fn a_large_result_arrives_whole_in_messages_of_at_most_4_mib() {
    let ratq = Ratq::start(config()).await;
    let sql = "SELECT value, repeat('x', 1000) AS text FROM range(30000)";
    let messages = ratq.messages(ratq.request(sql)).await.unwrap();
    let largest = messages
        .iter()
        .map(|message| message.arrow_ipc.len())
        .max()
        .unwrap();
    assert!(largest <= 4 << 20, "{largest}");
    let (batches, truncated) = ratq.rows(sql).await.unwrap();
    let mut values: Vec<i64> = batches
        .iter()
        .flat_map(|batch| {
            batch
                .column(0)
                .as_primitive::<Int64Type>()
                .values()
                .to_vec()
        })
        .collect();
    values.sort_unstable();
    assert!(!truncated && values.iter().copied().eq(0..30000));
}

#[tokio::test]
async fn explain_shows_a_plan() {
    let ratq = Ratq::start(config()).await;
    let (batches, _) = tokio::time::timeout(LIMIT, ratq.rows("EXPLAIN SELECT 1"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(batches[0].schema().field(0).name(), "plan_type");
}
