//! bot4.

pub mod book;
pub mod journal;
pub mod position;
pub mod spread;
pub mod sys;
pub mod types;
pub mod venue;
