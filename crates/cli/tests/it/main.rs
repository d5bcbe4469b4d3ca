//! The command line as its users meet it: the real program, a server of the test's own.

mod apply;
mod dev;
mod help;
mod output;
mod query;
mod run;
mod support;
mod usage;
