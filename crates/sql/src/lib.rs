//! rat-sql
