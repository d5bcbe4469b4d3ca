//! rat-engine
