//! The example as a process: what a unit of systemd sees of it, and what callers see.

mod configuration;
mod lifecycle;
mod load;
mod support;
