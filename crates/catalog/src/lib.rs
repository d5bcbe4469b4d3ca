//! rat-catalog
