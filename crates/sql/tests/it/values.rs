//! What goes in comes out.

use chrono::{DateTime, Utc};
use rat_sql::{Pool, like_contains, sql};

pub(crate) async fn every_type_comes_back_as_it_went_in(pool: Pool) {
    let at = DateTime::from_timestamp(1_700_000_000, 123_456_789).unwrap();
    let bytes: Vec<u8> = (0..=255).collect();
    let name = "Ratte \u{1f400} 'quoted' \"twice\" \\ $1 % \r\n\t";
    let insert = sql!(
        "INSERT INTO things (id, name, flag, amount, bytes, at) VALUES ($1, $2, $3, $4, $5, $6)",
        i64::MIN,
        name,
        true,
        u64::MAX,
        bytes.clone(),
        at,
    );
    pool.execute(insert).await.unwrap();
    let row = pool
        .fetch_optional_row(sql!("SELECT * FROM things"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.get::<i64>("id").unwrap(), i64::MIN);
    assert_eq!(row.get::<String>("name").unwrap(), name);
    assert!(row.get::<bool>("flag").unwrap());
    assert_eq!(row.get::<u64>("amount").unwrap(), i64::MAX as u64);
    assert_eq!(row.get::<Vec<u8>>("bytes").unwrap(), bytes);
    let microseconds = DateTime::from_timestamp(1_700_000_000, 123_456_000).unwrap();
    assert_eq!(row.get::<DateTime<Utc>>("at").unwrap(), microseconds);
}

pub(crate) async fn nothing_of_every_type_comes_back_as_nothing(pool: Pool) {
    let insert = sql!(
        "INSERT INTO things (id, name, flag, amount, bytes, at) VALUES ($1, $2, $3, $4, $5, $6)",
        1_i64,
        None::<&str>,
        None::<bool>,
        None::<i64>,
        None::<Vec<u8>>,
        None::<DateTime<Utc>>,
    );
    pool.execute(insert).await.unwrap();
    let row = pool
        .fetch_optional_row(sql!("SELECT * FROM things"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.get::<Option<String>>("name").unwrap(), None);
    assert_eq!(row.get::<Option<bool>>("flag").unwrap(), None);
    assert_eq!(row.get::<Option<u32>>("amount").unwrap(), None);
    assert_eq!(row.get::<Option<Vec<u8>>>("bytes").unwrap(), None);
    assert_eq!(row.get::<Option<DateTime<Utc>>>("at").unwrap(), None);
    assert_eq!(row.optional_json::<Vec<u8>>("name").unwrap(), None);
}

pub(crate) async fn times_compare_in_the_database_as_they_do_here(pool: Pool) {
    // Whole seconds, trailing zeros, and a year that needs no other width.
    let times = [
        (0, 0),
        (0, 1_000),
        (0, 500_000_000),
        (0, 500_001_000),
        (1, 0),
        (253_402_300_799, 0),
    ];
    let times = times.map(|(s, n)| DateTime::from_timestamp(s, n).unwrap());
    for (id, time) in (0_i64..).zip(times) {
        let insert = sql!("INSERT INTO things (id, at) VALUES ($1, $2)", id, time);
        pool.execute(insert).await.unwrap();
    }
    for (number, time) in (1_i64..).zip(times) {
        let query = sql!("SELECT COUNT(*) FROM things WHERE at <= $1", time);
        assert_eq!(
            pool.fetch_one::<i64>(query).await.unwrap(),
            number,
            "{time}"
        );
    }
    let sorted: Vec<DateTime<Utc>> = pool
        .fetch_all(sql!("SELECT at FROM things ORDER BY at"))
        .await
        .unwrap();
    assert_eq!(sorted, times);
}

pub(crate) async fn a_column_that_holds_something_else_is_an_error(pool: Pool) {
    let insert = sql!("INSERT INTO things (id, name) VALUES (-1, 'x')");
    pool.execute(insert).await.unwrap();
    let row = pool
        .fetch_optional_row(sql!("SELECT * FROM things"))
        .await
        .unwrap()
        .unwrap();
    let errors = [
        row.get::<u64>("id").map(drop).unwrap_err(),
        row.get::<i64>("amount").map(drop).unwrap_err(),
        row.get::<bool>("flag").map(drop).unwrap_err(),
        row.get::<String>("owner").map(drop).unwrap_err(),
        row.get::<Vec<u8>>("bytes").map(drop).unwrap_err(),
        row.get::<DateTime<Utc>>("at").map(drop).unwrap_err(),
        row.get::<i64>("name").map(drop).unwrap_err(),
        row.get::<i64>("missing").map(drop).unwrap_err(),
        row.parse::<u16>("name").map(drop).unwrap_err(),
        row.json::<u16>("name").map(drop).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.reason(), "DATABASE_VALUE_INVALID", "{error}");
    }
}

pub(crate) async fn a_search_finds_wildcards_literally(pool: Pool) {
    for (id, name) in (1_i64..).zip(["100% Rat", "100 rats", r"a\b", "a_b", "aXb", "RÄT"]) {
        let insert = sql!("INSERT INTO things (id, name) VALUES ($1, $2)", id, name);
        pool.execute(insert).await.unwrap();
    }
    let find = async |text: &str| -> Vec<i64> {
        let query = sql!(
            r"SELECT id FROM things WHERE LOWER(name) LIKE $1 ESCAPE '\' ORDER BY id",
            like_contains(text),
        );
        pool.fetch_all(query).await.unwrap()
    };
    assert_eq!(find("RAT").await, [1, 2]);
    assert_eq!(find("0% r").await, [1]);
    assert_eq!(find("a_b").await, [4]);
    assert_eq!(find(r"\").await, [3]);
}
