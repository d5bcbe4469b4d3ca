//! rat-service
