//! bot4.

pub mod journal;
pub mod keeper;
pub mod order;
pub mod position;
pub mod sys;
pub mod types;
pub mod venue;
