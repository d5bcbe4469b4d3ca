//! ratq
