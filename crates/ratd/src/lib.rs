//! ratd
