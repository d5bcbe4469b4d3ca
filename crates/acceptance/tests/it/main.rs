//! RAT as its users meet it: real processes, asked through their public interfaces.

mod demo;
mod external_catalog;
mod failing_well;
mod interop;
mod plugin_examples;
mod plugins;
mod postgres;
mod recovery;
mod writers;
