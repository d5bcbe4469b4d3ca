//! rat-config
