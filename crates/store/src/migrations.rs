//! The schema's history: one change each, in one file per database with the same number.
//!
//! To add one: the next number, a file in `migrations/sqlite` and one in `migrations/postgres`, a
//! line in [`ALL`]. Never edit a file that was released; its checksum is in every database. In
//! PostgreSQL, names, ids and paths have collation "C", so that both databases sort alike.

use rat_sql::Migration;

macro_rules! migration {
    ($name:literal) => {
        Migration {
            name: $name,
            oldest_reader: None,
            sqlite: include_str!(concat!("../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../migrations/postgres/", $name, ".sql")),
        }
    };
}

const ALL: &[Migration] = &[
    migration!("0001_namespaces"),
    migration!("0002_pipelines"),
    migration!("0003_files"),
    migration!("0004_runs"),
    migration!("0005_run_logs"),
    migration!("0006_quality_results"),
    migration!("0007_landing_zones"),
    migration!("0008_plugins"),
    migration!("0009_iceberg_catalog"),
    migration!("0010_staged_tables"),
    migration!("0011_table_metadata"),
    migration!("0012_settings"),
    migration!("0013_landing_file_hash"),
    migration!("0014_run_cancelled_by"),
    migration!("0015_run_creator_roles"),
    migration!("0016_audit_log"),
];

/// Every migration of the platform database, in order.
pub fn migrations() -> &'static [Migration] {
    ALL
}
