//! An order book of one market: two ladders of price levels, kept sorted and checked. Owned by `book::market`. It never
//! allocates after construction, never guesses at a level it was not told, and never offers a book that it refused.

use thiserror::Error;

use crate::types::limits::LEVELS_MAX;
use crate::types::{BookUpdate, Level, Price, Qty, Side};

/// Both sides of one market's book. Not whole until the first whole update, and again after any refusal.
pub struct Book {
    bids: Ladder,
    asks: Ladder,
    whole: bool,
}

/// What a book is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookState {
    /// No whole update yet, or none since the last refusal or gap.
    Incomplete,
    /// A side is empty.
    OneSided,
    /// Best bid at or above best ask: crossed or locked (SAFETY M3).
    Crossed,
    /// Two positive sides that do not cross.
    Sound,
}

/// Why an update was refused. The book is incomplete until the next whole update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BookError {
    #[error("price: got {0}, expected a positive one below 23 billion")]
    Price(Price),
    #[error("size: got {0}, expected a positive one below 23 billion (zero only in a delta)")]
    Size(Qty),
    /// Two sizes for one price contradict each other, and nothing says which of them holds.
    #[error("whole book: got two levels at {0}, expected one")]
    Duplicate(Price),
    #[error("delta: got one before a whole book")]
    NotWhole,
}

impl Book {
    /// An empty, incomplete book of at most [`LEVELS_MAX`] levels a side.
    pub fn new() -> Self {
        Self::with_capacity(LEVELS_MAX)
    }

    /// As [`Book::new`], with `capacity` levels a side (positive).
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bids: Ladder::new(Side::Buy, capacity), asks: Ladder::new(Side::Sell, capacity), whole: false }
    }

    /// Applies a whole update or a delta, all of it or nothing. A refusal empties the book: what it missed is unknown.
    pub fn apply(&mut self, update: &BookUpdate) -> Result<(), BookError> {
        let applied = self.try_apply(update);
        if applied.is_err() {
            self.invalidate();
        }
        applied
    }

    /// Forgets everything until the next whole update.
    pub fn invalidate(&mut self) {
        self.whole = false;
        self.bids.clear();
        self.asks.clear();
    }

    pub fn state(&self) -> BookState {
        match (self.whole, self.bids.best(), self.asks.best()) {
            (false, ..) => BookState::Incomplete,
            (true, Some(bid), Some(ask)) if bid.price < ask.price => BookState::Sound,
            (true, Some(_), Some(_)) => BookState::Crossed,
            (true, ..) => BookState::OneSided,
        }
    }

    pub fn bids(&self) -> &Ladder {
        &self.bids
    }

    pub fn asks(&self) -> &Ladder {
        &self.asks
    }

    /// Levels dropped since construction because a side was full.
    pub fn dropped(&self) -> u64 {
        self.bids.dropped + self.asks.dropped
    }

    /// Whether the asks at this price or better, and the bids, have changed since the last call (at any price when it
    /// is zero).
    pub fn changed_within(&mut self, [asks, bids]: [Price; 2]) -> [bool; 2] {
        [self.asks.changed_within(asks), self.bids.changed_within(bids)]
    }

    fn try_apply(&mut self, update: &BookUpdate) -> Result<(), BookError> {
        for level in update.bids.iter().chain(&update.asks) {
            check(level, update.whole)?;
        }
        if update.whole {
            self.bids.load(&update.bids)?;
            self.asks.load(&update.asks)?;
            self.whole = true;
        } else if self.whole {
            update.bids.iter().for_each(|&level| self.bids.set(level));
            update.asks.iter().for_each(|&level| self.asks.set(level));
        } else {
            return Err(BookError::NotWhole);
        }
        Ok(())
    }
}

impl Default for Book {
    fn default() -> Self {
        Self::new()
    }
}

/// Largest raw price or size taken: two of them still add up without leaving the range.
const RAW_MAX: i64 = i64::MAX / 4;

/// Prices and sizes are positive; a size of zero deletes, in a delta only (SAFETY M4).
fn check(level: &Level, whole: bool) -> Result<(), BookError> {
    if !(1..=RAW_MAX).contains(&level.price.raw()) {
        return Err(BookError::Price(level.price));
    }
    let least = i64::from(whole);
    if !(least..=RAW_MAX).contains(&level.qty.raw()) {
        return Err(BookError::Size(level.qty));
    }
    Ok(())
}

/// One side of a book. Levels are stored worst to best: updates cluster at the touch, so most insertions move the few
/// levels at the end and not the whole side.
pub struct Ladder {
    side: Side,
    capacity: usize,
    levels: Vec<Level>,
    dropped: u64,
    /// Rank of the best price at which anything has changed since it was last asked.
    changed: i64,
}

/// Below the rank of every price, and above it.
const NOTHING: i64 = i64::MIN;
const EVERYTHING: i64 = i64::MAX;

impl Ladder {
    /// `side` is the side of the resting orders: `Buy` for bids, `Sell` for asks. `capacity` must be positive.
    pub fn new(side: Side, capacity: usize) -> Self {
        assert!(capacity > 0, "a ladder holds at least one level");
        let levels = Vec::with_capacity(capacity);
        Self { side, capacity, levels, dropped: 0, changed: EVERYTHING }
    }

    pub const fn side(&self) -> Side {
        self.side
    }

    pub fn best(&self) -> Option<Level> {
        self.levels.last().copied()
    }

    /// Levels from the touch outward.
    pub fn iter(&self) -> impl Iterator<Item = Level> + '_ {
        self.levels.iter().rev().copied()
    }

    /// The place of a price in the order of the levels: a better one is greater on either side.
    const fn rank(side: Side, price: Price) -> i64 {
        side.sign() * price.raw()
    }

    fn clear(&mut self) {
        self.levels.clear();
        self.changed = EVERYTHING;
    }

    fn changed_within(&mut self, reach: Price) -> bool {
        let changed = std::mem::replace(&mut self.changed, NOTHING);
        changed > NOTHING && (reach.is_zero() || changed >= Self::rank(self.side, reach))
    }

    /// Replaces the side. The input may come in any order.
    fn load(&mut self, levels: &[Level]) -> Result<(), BookError> {
        self.clear();
        if levels.len() > self.capacity {
            return levels.iter().try_for_each(|&level| self.set_new(level));
        }
        let side = self.side;
        let rank = |level: &Level| Self::rank(side, level.price);
        if levels.array_windows().all(|[a, b]| rank(a) > rank(b)) {
            // Best first, as feeds hand them over.
            self.levels.extend(levels.iter().rev());
            return Ok(());
        }
        self.levels.extend_from_slice(levels);
        self.levels.sort_unstable_by_key(rank);
        match self.levels.array_windows().find(|[a, b]| a.price == b.price) {
            Some([_, twin]) => Err(BookError::Duplicate(twin.price)),
            None => Ok(()),
        }
    }

    fn set_new(&mut self, level: Level) -> Result<(), BookError> {
        match self.find(level.price) {
            Ok(_) => Err(BookError::Duplicate(level.price)),
            Err(at) => {
                self.insert(at, level);
                Ok(())
            }
        }
    }

    /// Sets the absolute size at a price; zero deletes it.
    fn set(&mut self, level: Level) {
        self.changed = self.changed.max(Self::rank(self.side, level.price));
        match (self.find(level.price), level.qty.is_zero()) {
            (Ok(at), true) => drop(self.levels.remove(at)),
            (Ok(at), false) => self.levels[at] = level,
            (Err(_), true) => {}
            (Err(at), false) => self.insert(at, level),
        }
    }

    fn find(&self, price: Price) -> Result<usize, usize> {
        let rank = Self::rank(self.side, price);
        self.levels.binary_search_by_key(&rank, |level| Self::rank(self.side, level.price))
    }

    /// Inserts before `at`; a full side loses its farthest level, which may be the new one.
    fn insert(&mut self, at: usize, level: Level) {
        if self.levels.len() < self.capacity {
            return self.levels.insert(at, level);
        }
        self.dropped += 1;
        if at > 0 {
            self.levels[..at].rotate_left(1);
            self.levels[at - 1] = level;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(price: i64, qty: i64) -> Level {
        Level { price: Price::from_raw(price), qty: Qty::from_raw(qty) }
    }

    fn update(whole: bool, bids: &[(i64, i64)], asks: &[(i64, i64)]) -> BookUpdate {
        let levels = |side: &[(i64, i64)]| side.iter().map(|&(p, q)| level(p, q)).collect();
        BookUpdate { whole, bids: levels(bids), asks: levels(asks), ..BookUpdate::default() }
    }

    fn prices(ladder: &Ladder) -> Vec<i64> {
        ladder.iter().map(|level| level.price.raw()).collect()
    }

    #[test]
    fn a_whole_book_is_sorted_whatever_its_order() {
        let mut book = Book::new();
        book.apply(&update(true, &[(98, 1), (99, 2), (97, 3)], &[(102, 1), (101, 5), (103, 1)])).unwrap();
        assert_eq!(prices(book.bids()), [99, 98, 97]);
        assert_eq!(prices(book.asks()), [101, 102, 103]);
        assert_eq!(book.state(), BookState::Sound);
    }

    #[test]
    fn deltas_set_and_delete() {
        let mut book = Book::new();
        book.apply(&update(true, &[(99, 2)], &[(101, 5)])).unwrap();
        book.apply(&update(false, &[(100, 7), (99, 0), (50, 0)], &[(101, 6)])).unwrap();
        assert_eq!(book.bids().iter().collect::<Vec<_>>(), [level(100, 7)]);
        assert_eq!(book.asks().best(), Some(level(101, 6)));
    }

    #[test]
    fn impossible_updates_are_refused_and_empty_the_book() {
        let cases = [
            (update(true, &[(0, 1)], &[(101, 1)]), BookError::Price(Price::ZERO)),
            (update(false, &[(-5, 1)], &[]), BookError::Price(Price::from_raw(-5))),
            (update(true, &[(99, 1)], &[(i64::MAX, 1)]), BookError::Price(Price::from_raw(i64::MAX))),
            (update(true, &[(99, 0)], &[(101, 1)]), BookError::Size(Qty::ZERO)),
            (update(false, &[], &[(101, -1)]), BookError::Size(Qty::from_raw(-1))),
            (
                update(true, &[(99, 1), (98, 1), (99, 2)], &[(101, 1)]),
                BookError::Duplicate(Price::from_raw(99)),
            ),
        ];
        for (bad, why) in cases {
            let mut book = Book::new();
            book.apply(&update(true, &[(99, 2)], &[(101, 5)])).unwrap();
            assert_eq!(book.apply(&bad), Err(why));
            assert_eq!(book.state(), BookState::Incomplete);
            assert_eq!(book.bids().best(), None);
            assert_eq!(book.apply(&update(false, &[], &[])), Err(BookError::NotWhole));
        }
    }

    #[test]
    fn locked_crossed_and_one_sided_books_are_told_apart() {
        let mut book = Book::new();
        for (bids, asks, state) in [
            (&[(101, 1)][..], &[(101, 1)][..], BookState::Crossed),
            (&[(102, 1)], &[(101, 1)], BookState::Crossed),
            (&[], &[(101, 1)], BookState::OneSided),
            (&[(99, 1)], &[], BookState::OneSided),
        ] {
            book.apply(&update(true, bids, asks)).unwrap();
            assert_eq!(book.state(), state);
        }
    }

    #[test]
    fn a_full_side_drops_its_far_end() {
        let mut book = Book::with_capacity(2);
        book.apply(&update(true, &[(97, 1), (99, 1), (98, 1)], &[(101, 1)])).unwrap();
        assert_eq!(prices(book.bids()), [99, 98]);
        book.apply(&update(false, &[(96, 1), (100, 1)], &[])).unwrap();
        assert_eq!(prices(book.bids()), [100, 99]);
        assert_eq!(book.dropped(), 3);
        let twins = update(true, &[(99, 1), (98, 1), (99, 1)], &[]);
        assert_eq!(book.apply(&twins), Err(BookError::Duplicate(Price::from_raw(99))));
    }

    #[test]
    fn a_ladder_never_allocates_after_construction() {
        let mut book = Book::with_capacity(8);
        let before = (book.bids.levels.as_ptr(), book.bids.levels.capacity());
        let many: Vec<_> = (1..=100).map(|price| (price, 1)).collect();
        for levels in [&many[..], &many[..8]] {
            book.apply(&update(true, levels, &[])).unwrap();
            book.apply(&update(false, &many, &[])).unwrap();
        }
        assert_eq!((book.bids.levels.as_ptr(), book.bids.levels.capacity()), before);
    }
}
