//! The same behaviour on SQLite in a file, on SQLite in memory and on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod binds;
mod faults;
mod files;
mod migrations;
mod pooling;
mod support;
mod tls;
mod transactions;
mod values;

/// Runs each test of a module once per database.
macro_rules! on_every_database {
    ($($module:ident: $($name:ident),+;)+) => {
        mod sqlite {
            $(mod $module { $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $name() {
                    let folder = tempfile::tempdir().unwrap();
                    let url = rat_sql::DatabaseUrl::sqlite(folder.path().join("rat.db"));
                    crate::$module::$name(crate::support::things(&url).await).await;
                }
            )+ })+
        }
        mod memory {
            $(mod $module { $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $name() {
                    let url = "sqlite::memory:".parse().unwrap();
                    crate::$module::$name(crate::support::things(&url).await).await;
                }
            )+ })+
        }
        mod postgres {
            $(mod $module { $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $name() {
                    if let Some(url) = rat_sql::test_util::postgres().await {
                        crate::$module::$name(crate::support::things(&url).await).await;
                    }
                }
            )+ })+
        }
    };
}

on_every_database! {
    binds: a_query_with_a_missing_value_is_refused_before_it_runs,
        a_built_query_numbers_its_parameters;
    faults: violated_constraints_are_told_apart,
        an_error_names_the_statement_and_no_value;
    migrations: a_second_run_changes_nothing,
        numbers_must_be_contiguous,
        an_edited_migration_is_found_out,
        a_newer_schema_is_refused,
        a_newer_schema_that_says_so_can_be_read,
        a_failing_migration_leaves_those_before_it,
        a_missing_number_in_the_database_is_found_out;
    transactions: what_is_not_committed_never_happened,
        a_committed_transaction_took_effect,
        sixteen_tasks_that_add_lose_no_update,
        a_failed_statement_undoes_the_whole_transaction,
        a_caller_that_goes_away_leaves_nothing_half_done;
    values: every_type_comes_back_as_it_went_in,
        nothing_of_every_type_comes_back_as_nothing,
        times_compare_in_the_database_as_they_do_here,
        a_column_that_holds_something_else_is_an_error,
        a_search_finds_wildcards_literally;
}
