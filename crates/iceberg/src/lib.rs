//! rat-iceberg
