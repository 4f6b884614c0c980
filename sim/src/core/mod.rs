//! The exchange core: two styles of venue, their books, accounts and order life, pure and seeded.
//!
//! ```text
//! types ─ spec ─ money ─ rng
//!   └─▶ model ─▶ book ─▶ feed ──────┐        prices, quotes, what is published
//!       lifecycle ─▶ matching ──────┼─▶ exchange (the queue of what is due)
//!       fault ─ account ─ history ──┤        what goes wrong, who owns what, what was
//!       past ─ upheaval ────────────┘        going back, busts, liquidations, new rules
//! ```
//!
//! Called by the wires (`crate::vest`, `crate::paradex`) through `crate::venue::Venue`, and by any
//! simulation that steps it in virtual time. Time is always an argument (microseconds since the epoch).
//! Nothing here may read a clock, spawn, block, open a socket or iterate a hash table: the same seed and
//! the same calls give the same events.

pub mod account;
#[cfg(test)]
mod bench;
pub mod book;
pub mod exchange;
pub mod fault;
mod feed;
pub mod history;
mod lifecycle;
mod matching;
pub mod model;
pub mod money;
pub mod past;
pub mod rng;
pub mod spec;
mod tell;
pub mod types;
mod upheaval;
pub mod watch;

pub use exchange::Exchange;
pub use types::*;
