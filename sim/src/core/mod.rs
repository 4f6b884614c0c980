//! The exchange core: two styles of venue, their books, accounts and order life, pure and seeded.
//!
//! Called by the wires (`crate::vest`, `crate::paradex`) through `crate::server::Venue`, and by any
//! simulation that steps it in virtual time. Time is always an argument (microseconds since the epoch).
//! Nothing here may read a clock, spawn, block, allocate a socket or iterate a hash table: the same
//! seed and the same calls give the same events.

pub mod account;
#[cfg(test)]
mod bench;
pub mod book;
pub mod exchange;
pub mod fault;
mod lifecycle;
mod matching;
pub mod model;
pub mod money;
mod rng;
pub mod types;

pub use exchange::Exchange;
pub use types::*;
