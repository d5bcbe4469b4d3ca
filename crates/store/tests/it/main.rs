//! One contract, on SQLite in a file, on SQLite in memory and on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod audit_log;
mod claims;
mod files;
mod lists;
mod migrations;
mod namespaces;
mod open;
mod owners;
mod pipelines;
mod plugins;
mod queries;
mod run_logs;
mod runs;
mod settings;
mod support;
mod table_metadata;
mod tables;
mod zones;

/// Runs each test of a module once per database.
macro_rules! on_every_database {
    ($($module:ident: $($name:ident),+;)+) => {
        mod sqlite {
            $(mod $module { $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $name() {
                    let folder = tempfile::tempdir().unwrap();
                    let url = rat_sql::DatabaseUrl::sqlite(folder.path().join("rat.db"));
                    crate::$module::$name(rat_store::Store::open(&url).await.unwrap()).await;
                }
            )+ })+
        }
        mod memory {
            $(mod $module { $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $name() {
                    let url = "sqlite::memory:".parse().unwrap();
                    crate::$module::$name(rat_store::Store::open(&url).await.unwrap()).await;
                }
            )+ })+
        }
        mod postgres {
            $(mod $module { $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $name() {
                    if let Some(url) = rat_sql::test_util::postgres().await {
                        crate::$module::$name(rat_store::Store::open(&url).await.unwrap()).await;
                    }
                }
            )+ })+
        }
    };
}

on_every_database! {
    audit_log: entries_are_listed_newest_first_and_filtered,
        an_entry_is_stored_once,
        old_and_surplus_entries_are_removed;
    claims: a_claimed_run_is_running_without_an_executor,
        the_oldest_run_of_each_pipeline_is_claimed_first,
        a_pipeline_never_has_two_running_runs,
        sixteen_claimers_share_the_runs_without_overlap,
        a_cancelled_run_is_never_claimed;
    files: a_file_comes_back_as_it_was_put,
        files_are_listed_by_prefix_and_exact_case,
        impossible_paths_and_sources_that_are_no_text_are_refused,
        the_source_hash_follows_the_files_of_a_pipeline,
        sources_lie_beside_a_pipeline_that_there_is,
        a_blob_lives_as_long_as_a_path_names_it,
        sixteen_tasks_that_write_one_pipeline_agree_on_its_hash,
        tasks_that_write_and_delete_one_content_lose_no_blob;
    lists: pages_cover_a_list_without_gap_or_overlap,
        runs_are_filtered_by_every_field,
        runs_are_sorted_by_every_field,
        a_run_that_has_not_started_is_listed_last,
        pipelines_are_filtered_and_searched,
        a_selection_of_pipelines_limits_both_lists,
        pipelines_are_sorted_alike_in_both_databases,
        an_unknown_field_is_ignored;
    namespaces: default_is_always_there,
        a_namespace_is_created_changed_and_deleted,
        a_namespace_that_is_used_cannot_be_deleted,
        deleting_a_namespace_takes_its_leftovers_along,
        of_sixteen_that_create_the_same_namespace_one_succeeds;
    open: a_store_tells_its_database_and_answers,
        a_closed_store_is_unavailable;
    owners: what_somebody_owns_is_found_and_given_away;
    pipelines: a_pipeline_is_created_and_found,
        a_pipeline_needs_its_namespace_and_a_free_name,
        an_update_changes_what_it_names,
        a_deleted_pipeline_frees_its_name_and_keeps_its_runs;
    plugins: a_plugin_is_configured_asked_and_forgotten;
    run_logs: lines_are_read_from_any_point,
        lines_that_are_there_are_left_alone,
        a_log_needs_its_run,
        sixteen_tasks_that_append_lose_no_line;
    runs: a_run_goes_through_its_whole_life,
        a_run_needs_its_pipeline_and_a_new_id,
        an_attempt_that_no_executor_took_does_not_count,
        a_token_dies_with_its_run,
        a_run_ends_once,
        a_pending_run_can_fail_and_not_succeed,
        a_run_that_goes_back_begins_anew,
        the_first_outcome_of_an_attempt_counts,
        cancelling_depends_on_the_state,
        a_run_that_was_asked_to_stop_does_not_start_again,
        sixteen_that_finish_one_run_agree_on_its_end,
        the_latest_success_is_found,
        quality_results_are_replaced_together;
    settings: a_setting_is_replaced;
    table_metadata: descriptions_are_replaced_and_listed;
    tables: a_pointer_moves_only_from_where_it_stands,
        tables_are_listed_by_namespace_and_layer,
        a_table_needs_its_namespace_and_a_free_name,
        sixteen_commits_from_one_location_have_one_winner,
        sixteen_tasks_that_retry_their_commit_lose_none,
        a_staged_table_is_seen_by_its_run_only,
        promoting_makes_a_staged_table_visible_once,
        promoting_over_an_existing_table_changes_nothing,
        namespace_properties_are_set_and_removed_together;
    zones: a_zone_is_created_changed_and_deleted,
        a_zone_needs_its_namespace_and_a_free_name,
        files_are_counted_and_found,
        the_same_path_is_replaced_only_on_request;
}
