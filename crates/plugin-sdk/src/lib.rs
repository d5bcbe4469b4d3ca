//! All that a plugin of RAT in Rust needs besides its own work.
