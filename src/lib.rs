//! bot4.

pub mod cli;
pub mod config;
pub mod control;
pub mod journal;
pub mod position;
pub mod sys;
pub mod topology;
pub mod types;
pub mod venue;
