//! SQLite takes a parameter without value for NULL: we do not let it come to that.

use rat_sql::{Builder, Pool, Query, Value, sql};

pub(crate) async fn a_query_with_a_missing_value_is_refused_before_it_runs(pool: Pool) {
    let insert = "INSERT INTO things (id, name) VALUES ($1, $2)";
    let missing = || Query::new(insert, vec![Value::from(1_i64)]);
    let outcomes = [
        pool.execute(missing()).await.unwrap_err(),
        pool.fetch_rows(missing()).await.map(drop).unwrap_err(),
        pool.execute(Query::new("SELECT $2", vec![Value::from(1_i64)]))
            .await
            .unwrap_err(),
        pool.execute(Query::new("SELECT 1", vec![Value::from(1_i64)]))
            .await
            .unwrap_err(),
    ];
    for error in outcomes {
        assert_eq!(error.reason(), "DATABASE_BIND_MISMATCH", "{error}");
    }
    let mut tx = pool.begin().await.unwrap();
    assert_eq!(
        tx.execute(missing()).await.unwrap_err().reason(),
        "DATABASE_BIND_MISMATCH"
    );
    assert_eq!(
        tx.fetch_rows(missing())
            .await
            .map(drop)
            .unwrap_err()
            .reason(),
        "DATABASE_BIND_MISMATCH"
    );
    tx.rollback().await.unwrap();
    assert_eq!(
        pool.fetch_one::<i64>(sql!("SELECT COUNT(*) FROM things"))
            .await
            .unwrap(),
        0
    );
}

pub(crate) async fn a_built_query_numbers_its_parameters(pool: Pool) {
    let mut query = Builder::new("INSERT INTO things (id, name) VALUES ");
    for id in 0..300_i64 {
        query.push(if id == 0 { "(" } else { ", (" }).bind(id);
        query.push(", ").bind(format!("thing {id}")).push(")");
    }
    assert_eq!(pool.execute(query.build()).await.unwrap(), 300);
    let name: String = pool
        .fetch_one(sql!("SELECT name FROM things WHERE id = $1", 299_i64))
        .await
        .unwrap();
    assert_eq!(name, "thing 299");
}
