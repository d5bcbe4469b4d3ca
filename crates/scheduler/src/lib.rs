//! rat-scheduler
