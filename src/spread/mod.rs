//! 3 SPREAD. The gap between two venues' books: its exact arithmetic, when it is worth a trade, and the thread that
//! watches it.

pub mod arithmetic;
pub mod basis;
pub mod edge;
pub mod entry;
pub mod exit;
pub mod signal;
pub mod thread;
pub mod view;
