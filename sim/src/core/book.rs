//! The displayed ladder of one market: replaced by the model, walked and consumed by orders.
//!
//! Owned by `core::exchange`. It shows what the venue shows; it knows nothing of accounts.

use std::collections::BTreeMap;

use super::money::{self, ONE, Round};
use super::types::{Level, Side};

/// Both sides, keyed by price.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

/// Levels that changed, with their new sizes (0 = gone).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
}

impl Book {
    /// A book of these levels; levels without size are left out.
    pub fn of(bids: &[Level], asks: &[Level]) -> Self {
        let side = |levels: &[Level]| levels.iter().copied().filter(|l| l.1 > 0).collect();
        Self { bids: side(bids), asks: side(asks) }
    }

    /// Bids, best first.
    pub fn bids(&self) -> Vec<Level> {
        self.bids.iter().rev().map(|(p, s)| (*p, *s)).collect()
    }

    /// Asks, best first.
    pub fn asks(&self) -> Vec<Level> {
        self.asks.iter().map(|(p, s)| (*p, *s)).collect()
    }

    pub fn best(&self, side: Side) -> Option<Level> {
        let level = match side {
            Side::Buy => self.bids.last_key_value(),
            Side::Sell => self.asks.first_key_value(),
        };
        level.map(|(p, s)| (*p, *s))
    }

    /// What an order of `side` would take, best level first: up to `size`, not beyond `limit`.
    pub fn walk(&self, side: Side, size: i64, limit: Option<i64>) -> Vec<Level> {
        let (levels, reaches): (Vec<Level>, fn(i64, i64) -> bool) = match side {
            Side::Buy => (self.asks(), |price, limit| price <= limit),
            Side::Sell => (self.bids(), |price, limit| price >= limit),
        };
        let mut left = size;
        let mut taken = Vec::new();
        for (price, shown) in levels {
            if left == 0 || limit.is_some_and(|l| !reaches(price, l)) {
                break;
            }
            let part = shown.min(left);
            taken.push((price, part));
            left -= part;
        }
        taken
    }

    /// Removes what a walk took.
    pub fn consume(&mut self, side: Side, taken: &[Level]) -> Change {
        let levels = match side {
            Side::Buy => &mut self.asks,
            Side::Sell => &mut self.bids,
        };
        let mut changed = Vec::new();
        for (price, size) in taken {
            let left = levels.get(price).map_or(0, |shown| (shown - size).max(0));
            if left == 0 {
                levels.remove(price);
            } else {
                levels.insert(*price, left);
            }
            changed.push((*price, left));
        }
        match side {
            Side::Buy => Change { asks: changed, ..Change::default() },
            Side::Sell => Change { bids: changed, ..Change::default() },
        }
    }

    /// Shows `next` from now on and says what changed.
    pub fn replace(&mut self, next: Book) -> Change {
        let change = Change { bids: diff(&self.bids, &next.bids), asks: diff(&self.asks, &next.asks) };
        *self = next;
        change
    }
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

fn diff(old: &BTreeMap<i64, i64>, new: &BTreeMap<i64, i64>) -> Vec<Level> {
    let gone = old.keys().filter(|p| !new.contains_key(p)).map(|p| (*p, 0));
    let changed = new.iter().filter(|(p, s)| old.get(p) != Some(s)).map(|(p, s)| (*p, *s));
    gone.chain(changed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Book {
        Book::of(
            &[(99 * ONE, ONE), (98 * ONE, 2 * ONE)],
            &[(100 * ONE, ONE), (101 * ONE, 2 * ONE), (102 * ONE, ONE)],
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
            &[(99 * ONE, ONE), (97 * ONE, ONE)],
            &[(100 * ONE, 3 * ONE), (101 * ONE, 2 * ONE), (102 * ONE, ONE)],
        );
        let change = book.replace(next.clone());
        assert_eq!(change.bids, [(98 * ONE, 0), (97 * ONE, ONE)]);
        assert_eq!(change.asks, [(100 * ONE, 3 * ONE)]);
        assert_eq!(book, next);
    }
}
