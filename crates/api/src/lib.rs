//! rat-api
