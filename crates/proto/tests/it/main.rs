//! The contracts themselves: what may change in them, and how they are written.

mod compatibility;
mod style;
mod support;
