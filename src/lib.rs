//! bot4.

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
