//! bot4.

pub mod journal;
pub mod position;
pub mod store;
pub mod sys;
pub mod telemetry;
pub mod types;
pub mod venue;
