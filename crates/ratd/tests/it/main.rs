//! The real binary: exit codes, sockets, signals, systemd, the internal listener.

mod configuration;
mod internal;
mod process;
mod support;
mod systemd;
