//! rat-runner
