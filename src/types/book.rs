//! A book message, decoded: what a feed hands to the ladders.

use super::ids::PairId;
use super::money::{Price, Qty};

/// One price level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    pub price: Price,
    pub qty: Qty,
}

/// A book message, decoded. `whole` replaces the book; otherwise each level sets the absolute size at its price and
/// zero deletes it.
#[derive(Clone, Debug, Default)]
pub struct BookUpdate {
    pub pair: PairId,
    pub whole: bool,
    /// Venue's sequence; zero where it has none.
    pub sequence: u64,
    /// Venue's time, ms since the epoch; zero where it has none.
    pub venue_ms: u64,
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
}
