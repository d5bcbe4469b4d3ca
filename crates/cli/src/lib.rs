//! rat-cli
