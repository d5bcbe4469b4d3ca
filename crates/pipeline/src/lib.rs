//! rat-pipeline
