//! The displayed ladder of one market: replaced by the model, walked and consumed by orders.
//!
//! Owned by `core::exchange`. It shows what the venue shows; it knows nothing of accounts.

use super::money::{self, ONE, Round};
use super::types::{Level, Side};

/// Both sides, best first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    bids: Vec<Level>,
    asks: Vec<Level>,
}

/// Levels that changed, with their new sizes (0 = gone), from the touch outwards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
}

impl Book {
    /// A book of these levels, best first; levels without size are left out, of two at one price the later counts.
    pub fn of(bids: Vec<Level>, asks: Vec<Level>) -> Self {
        Self { bids: tidy(bids, Side::Buy), asks: tidy(asks, Side::Sell) }
    }

    /// Bids, best first.
    pub fn bids(&self) -> &[Level] {
        &self.bids
    }

    /// Asks, best first.
    pub fn asks(&self) -> &[Level] {
        &self.asks
    }

    pub fn best(&self, side: Side) -> Option<Level> {
        match side {
            Side::Buy => self.bids.first().copied(),
            Side::Sell => self.asks.first().copied(),
        }
    }

    /// What an order of `side` would take, best level first: up to `size`, not beyond `limit`.
    pub fn walk(&self, side: Side, size: i64, limit: Option<i64>) -> Vec<Level> {
        let levels = if side == Side::Buy { &self.asks } else { &self.bids };
        let mut left = size;
        let mut taken = Vec::new();
        for (price, shown) in levels {
            if left == 0 || limit.is_some_and(|limit| !side.takes(*price, limit)) {
                break;
            }
            let part = left.min(*shown);
            taken.push((*price, part));
            left -= part;
        }
        taken
    }

    /// Removes what a walk took.
    pub fn consume(&mut self, side: Side, taken: &[Level]) -> Change {
        let levels = if side == Side::Buy { &mut self.asks } else { &mut self.bids };
        let mut changed = Vec::new();
        for (price, size) in taken {
            let shown = levels.iter_mut().find(|level| level.0 == *price);
            let left = shown.map_or(0, |level| {
                level.1 = (level.1 - size).max(0);
                level.1
            });
            changed.push((*price, left));
        }
        levels.retain(|level| level.1 > 0);
        match side {
            Side::Buy => Change { asks: changed, ..Change::default() },
            Side::Sell => Change { bids: changed, ..Change::default() },
        }
    }

    /// Shows `next` from now on and says what changed.
    pub fn replace(&mut self, next: Book) -> Change {
        let bids = diff(&self.bids, &next.bids, Side::Buy);
        let asks = diff(&self.asks, &next.asks, Side::Sell);
        *self = next;
        Change { bids, asks }
    }
}

/// Sorted, without doubles and without empty levels; what is so already (nearly always) is only looked at.
fn tidy(mut levels: Vec<Level>, side: Side) -> Vec<Level> {
    let is_before = |a: &Level, b: &Level| if side == Side::Buy { a.0 > b.0 } else { a.0 < b.0 };
    if !levels.windows(2).all(|pair| is_before(&pair[0], &pair[1])) {
        levels.reverse();
        levels.sort_by_key(|level| level.0 * -side.sign());
        levels.dedup_by_key(|level| level.0);
    }
    levels.retain(|level| level.1 > 0);
    levels
}

/// Total size and exact notional (at 1e-8, rounded to the nearest) of some levels.
pub fn total(levels: &[Level]) -> (i64, i64) {
    let size = levels.iter().map(|l| l.1).sum();
    let product: i128 = levels.iter().map(|l| i128::from(l.0) * i128::from(l.1)).sum();
    (size, money::clamp(money::divide(product, i128::from(ONE), Round::Nearest)))
}

/// Size-weighted price of some levels, rounded against the taker to `tick`; 0 for none.
pub fn average_against(side: Side, levels: &[Level], tick: i64) -> i64 {
    let size: i128 = levels.iter().map(|l| i128::from(l.1)).sum();
    if size == 0 {
        return 0;
    }
    let product: i128 = levels.iter().map(|l| i128::from(l.0) * i128::from(l.1)).sum();
    let round = if side == Side::Buy { Round::Up } else { Round::Down };
    let ticks = money::divide(product, size * i128::from(tick), round);
    money::clamp(ticks * i128::from(tick))
}

/// Walks both ladders from the touch outwards and lists the prices at which they differ.
fn diff(old: &[Level], new: &[Level], side: Side) -> Vec<Level> {
    let key = |level: Option<&Level>| level.map_or(i64::MAX, |level| level.0 * -side.sign());
    let (mut was, mut is) = (old.iter().peekable(), new.iter().peekable());
    let mut changed = Vec::new();
    while was.peek().is_some() || is.peek().is_some() {
        let (before, after) = (key(was.peek().copied()), key(is.peek().copied()));
        let gone = was.next_if(|_| before <= after);
        match is.next_if(|_| after <= before) {
            Some(level) if gone != Some(level) => changed.push(*level),
            Some(_) => {}
            None => changed.extend(gone.map(|level| (level.0, 0))),
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Book {
        Book::of(
            vec![(99 * ONE, ONE), (98 * ONE, 2 * ONE)],
            vec![(100 * ONE, ONE), (101 * ONE, 2 * ONE), (102 * ONE, ONE)],
        )
    }

    #[test]
    fn walks_inside_the_limit_and_consumes() {
        let mut book = sample();
        let taken = book.walk(Side::Buy, 2 * ONE, Some(101 * ONE));
        assert_eq!(taken, [(100 * ONE, ONE), (101 * ONE, ONE)]);
        assert_eq!(book.walk(Side::Buy, 9 * ONE, Some(100 * ONE)), [(100 * ONE, ONE)]);
        let change = book.consume(Side::Buy, &taken);
        assert_eq!(change.asks, [(100 * ONE, 0), (101 * ONE, ONE)]);
        assert_eq!(book.best(Side::Sell), Some((101 * ONE, ONE)));
    }

    #[test]
    fn the_average_is_rounded_against_the_taker() {
        let levels = [(100 * ONE, ONE), (101 * ONE, 2 * ONE)];
        assert_eq!(average_against(Side::Buy, &levels, ONE / 100), 10_067_000_000);
        assert_eq!(average_against(Side::Sell, &levels, ONE / 100), 10_066_000_000);
        assert_eq!(total(&levels), (3 * ONE, 302 * ONE));
    }

    #[test]
    fn replace_reports_only_differences() {
        let mut book = sample();
        let next = Book::of(
            vec![(99 * ONE, ONE), (97 * ONE, ONE)],
            vec![(100 * ONE, 3 * ONE), (101 * ONE, 2 * ONE), (102 * ONE, ONE)],
        );
        let change = book.replace(next.clone());
        assert_eq!(change.bids, [(98 * ONE, 0), (97 * ONE, ONE)]);
        assert_eq!(change.asks, [(100 * ONE, 3 * ONE)]);
        assert_eq!(book, next);
    }
}
