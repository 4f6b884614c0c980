//! bot4.

// Tests may start threads, read clocks, print and unwrap; the engine may not (clippy.toml says why).
#![cfg_attr(not(test), warn(clippy::disallowed_methods, clippy::disallowed_types))]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]
#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

pub mod book;
pub mod cli;
pub mod config;
pub mod control;
pub mod journal;
pub mod keeper;
pub mod order;
pub mod position;
pub mod spread;
pub mod store;
pub mod sys;
pub mod telemetry;
pub mod topology;
pub mod types;
pub mod venue;
