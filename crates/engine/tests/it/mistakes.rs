//! What a function cannot compute.

use crate::support::{Lake, Source};

/// Whatever was asked for, it is not the engine's fault.
#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told_as_such() {
    let lake = Lake::start().await;
    let far = "arrow_cast(to_timestamp_micros(253402214400000000), 'Timestamp(Microsecond, None)')";
    for (expression, told) in [
        (
            "'a' ~ '('".to_owned(),
            "the regular expression does not compile: unclosed group",
        ),
        ("regexp_replace('a', '(', 'b')".to_owned(), "unclosed group"),
        ("regexp_like('a', '(')".to_owned(), "unclosed group"),
        ("regexp_match('a', '(')".to_owned(), "unclosed group"),
        ("array_resize([1], -1)".to_owned(), "array_resize"),
        ("count(*) FILTER (WHERE NULL)".to_owned(), "non-boolean"),
        (
            "overlay('abc' placing 'x' from -9223372036854775808)".to_owned(),
            "a text",
        ),
        ("overlay('äbc' placing 'x' from 2)".to_owned(), "a text"),
        (
            format!("date_bin(INTERVAL '1 day', {far})"),
            "from 1684 to 2255",
        ),
    ] {
        let sql = format!("SELECT {expression} AS x");
        let error = lake.try_query(&sql).await.unwrap_err();
        let source = Source {
            ident: "shop.gold.mistake",
            sql: &sql,
            files: &[],
        };
        let failure = lake.run(&source, &[]).await.failure.unwrap();
        for (code, message) in [
            (error.reason(), error.to_string()),
            (failure.code.as_str(), failure.message.clone()),
        ] {
            assert_eq!(code, "EXECUTION_FAILED", "{sql}: {message}");
            assert!(message.contains(told), "{sql}: {message}");
            for noise in ["DataFusion", "panicked", "bug", "~~~"] {
                assert!(!message.contains(noise), "{sql}: {message}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dates_far_away_are_truncated_rightly() {
    let lake = Lake::start().await;
    let source = Source {
        ident: "shop.gold.far",
        sql: "SELECT t, arrow_cast(t, 'Timestamp(Microsecond, None)') AS plain \
              FROM (VALUES (to_timestamp_micros(253402214400000000)), (NULL), \
              (to_timestamp_micros(1)), (to_timestamp_micros(-62104060800000000))) AS v(t)",
        files: &[],
    };
    assert_eq!(lake.run(&source, &[]).await.failure, None);
    for (unit, expected) in [
        (
            "day",
            [
                "9999-12-31T00:00:00",
                "1970-01-01T00:00:00",
                "0002-01-01T00:00:00",
            ],
        ),
        (
            "week",
            [
                "9999-12-27T00:00:00",
                "1969-12-29T00:00:00",
                "0001-12-31T00:00:00",
            ],
        ),
        (
            "month",
            [
                "9999-12-01T00:00:00",
                "1970-01-01T00:00:00",
                "0002-01-01T00:00:00",
            ],
        ),
        (
            "quarter",
            [
                "9999-10-01T00:00:00",
                "1970-01-01T00:00:00",
                "0002-01-01T00:00:00",
            ],
        ),
        (
            "year",
            [
                "9999-01-01T00:00:00",
                "1970-01-01T00:00:00",
                "0002-01-01T00:00:00",
            ],
        ),
    ] {
        for column in ["t", "plain"] {
            let sql = format!("SELECT date_trunc('{unit}', {column}) AS x FROM gold.far");
            let text = lake.query(&sql).await;
            for expected in expected {
                assert!(text.contains(expected), "{sql}: {text}");
            }
        }
    }
}
