//! rat-store
