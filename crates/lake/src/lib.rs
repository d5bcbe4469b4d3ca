//! rat-lake
