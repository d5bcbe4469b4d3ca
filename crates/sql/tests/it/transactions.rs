//! Together or not at all.

use rat_sql::{Pool, retry, sql};

async fn count(pool: &Pool) -> i64 {
    pool.fetch_one(sql!("SELECT COUNT(*) FROM things"))
        .await
        .unwrap()
}

pub(crate) async fn what_is_not_committed_never_happened(pool: Pool) {
    let mut dropped = pool.begin().await.unwrap();
    dropped
        .execute(sql!("INSERT INTO things (id) VALUES (1)"))
        .await
        .unwrap();
    drop(dropped);
    let mut taken_back = pool.begin().await.unwrap();
    taken_back
        .execute(sql!("INSERT INTO things (id) VALUES (2)"))
        .await
        .unwrap();
    taken_back.rollback().await.unwrap();
    assert_eq!(count(&pool).await, 0);
}

pub(crate) async fn a_committed_transaction_took_effect(pool: Pool) {
    let mut tx = pool.begin().await.unwrap();
    tx.execute(sql!("INSERT INTO things (id) VALUES (1)"))
        .await
        .unwrap();
    assert_eq!(
        tx.fetch_one::<i64>(sql!("SELECT COUNT(*) FROM things"))
            .await
            .unwrap(),
        1
    );
    tx.commit().await.unwrap();
    assert_eq!(count(&pool).await, 1);
}

pub(crate) async fn sixteen_tasks_that_add_lose_no_update(pool: Pool) {
    pool.execute(sql!("INSERT INTO things (id, amount) VALUES (1, 0)"))
        .await
        .unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let pool = pool.clone();
        tasks.spawn(async move {
            for _ in 0..10 {
                retry(|| add_one(&pool)).await.unwrap();
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    let amount: i64 = pool
        .fetch_one(sql!("SELECT amount FROM things"))
        .await
        .unwrap();
    assert_eq!(amount, 160);
}

/// Reads and writes in two statements, under the row lock that an UPDATE is.
async fn add_one(pool: &Pool) -> Result<(), rat_sql::Error> {
    let mut tx = pool.begin().await?;
    tx.execute(sql!("UPDATE things SET amount = amount WHERE id = 1"))
        .await?;
    let amount: i64 = tx
        .fetch_one(sql!("SELECT amount FROM things WHERE id = 1"))
        .await?;
    tx.execute(sql!(
        "UPDATE things SET amount = $1 WHERE id = 1",
        amount + 1
    ))
    .await?;
    tx.commit().await
}

pub(crate) async fn a_failed_statement_undoes_the_whole_transaction(pool: Pool) {
    let insert = || sql!("INSERT INTO things (id) VALUES (1)");
    let attempt = async {
        let mut tx = pool.begin().await?;
        tx.execute(insert()).await?;
        tx.execute(insert()).await?;
        tx.commit().await
    };
    assert!(attempt.await.unwrap_err().is_unique_violation());
    assert_eq!(count(&pool).await, 0);
}

pub(crate) async fn a_caller_that_goes_away_leaves_nothing_half_done(pool: Pool) {
    // Given up after anything from "not begun" to "committed", at every point in between.
    for step in 0..60_u64 {
        let attempt = async {
            let first = i64::try_from(step).unwrap() * 2;
            let mut tx = pool.begin().await?;
            tx.execute(sql!("INSERT INTO things (id) VALUES ($1)", first))
                .await?;
            tx.execute(sql!("INSERT INTO things (id) VALUES ($1)", first + 1))
                .await?;
            tx.commit().await
        };
        let limit = std::time::Duration::from_micros(step * 50);
        if let Ok(outcome) = tokio::time::timeout(limit, attempt).await {
            outcome.unwrap();
        }
    }
    pool.execute(sql!("INSERT INTO things (id) VALUES (-2), (-1)"))
        .await
        .unwrap();
    assert_eq!(count(&pool).await % 2, 0);
}
