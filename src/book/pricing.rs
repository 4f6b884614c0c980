//! What a size costs on a ladder: the walk from the touch, rounded against us. Pure; called by `book::market` after
//! every update. It never extrapolates: a size that the book does not hold has no price (SAFETY M15).

use super::ladder::Ladder;
use crate::types::limits::SIZES;
use crate::types::money::RATE_ONE;
use crate::types::{Price, Qty, Rate, Side, SizeSet, Walk};

/// How much of what is displayed one order may take (`risk.max_depth_share`, `risk.depth_band`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthRule {
    /// Largest share of the displayed quantity, of one.
    pub share: Rate,
    /// Only levels within this of the touch count as displayed.
    pub band: Rate,
}

impl DepthRule {
    /// Whether an order of `size` may be sent where `displayed` stands. A product instead of a quotient: it is exact,
    /// and faster.
    pub fn allows(&self, size: Qty, displayed: Qty) -> bool {
        let (size, displayed) = (i128::from(size.raw()), i128::from(displayed.raw()));
        size * i128::from(RATE_ONE) <= displayed * i128::from(self.share.raw())
    }
}

/// One side of a book, priced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Priced {
    /// By size; undefined where the size is not positive or the ladder holds less.
    pub walks: [Walk; SIZES],
    /// The sizes that the depth rule allows.
    pub within: SizeSet,
    /// Price of the last level that was looked at: what changes beyond it changes nothing here. Zero when the ladder
    /// ended first.
    pub reach: Price,
}

/// Prices each size on one side, in one walk from the touch: walking asks is buying, walking bids is selling. The first
/// size is the largest.
pub fn price(ladder: &Ladder, sizes: &[Qty; SIZES], rule: DepthRule) -> Priced {
    let Some(touch) = ladder.best() else { return Priced::default() };
    let mut priced = Priced::default();
    let mut shown = Shown::new(touch.price, sizes[0], rule);
    // Of the levels before this one: their quantity, and what they cost away from the touch.
    let (mut sum, mut away) = (Qty::ZERO, 0_i128);
    let mut open = SIZES;
    for level in ladder.iter() {
        let step = i128::from((level.price - touch.price).abs().raw());
        let upto = sum.saturating_add(level.qty);
        while open > 0 && sizes[open - 1] <= upto {
            open -= 1;
            if sizes[open] > Qty::ZERO {
                let rest = i128::from((sizes[open] - sum).raw());
                let vwap = average(ladder.side(), touch.price, away + step * rest, sizes[open]);
                priced.walks[open] = Walk { vwap, worst: level.price };
            }
        }
        if shown.is_complete(level.qty, step) && open == 0 {
            priced.reach = level.price;
            break;
        }
        if open > 0 {
            away += step * i128::from(level.qty.raw());
        }
        sum = upto;
    }
    for (size, &qty) in sizes.iter().enumerate() {
        if rule.allows(qty, shown.sum) {
            priced.within.insert(size);
        }
    }
    priced
}

/// Quantity within the band of the touch, counted until it allows the largest size: more is not asked for.
struct Shown {
    sum: Qty,
    rule: DepthRule,
    largest: Qty,
    /// Largest distance from the touch that counts, times [`RATE_ONE`].
    band: i128,
    complete: bool,
}

impl Shown {
    fn new(touch: Price, largest: Qty, rule: DepthRule) -> Self {
        let band = i128::from(touch.raw()) * i128::from(rule.band.raw());
        Self { sum: Qty::ZERO, rule, largest, band, complete: false }
    }

    /// Counts the next level, `away` from the touch. True when no further one is wanted.
    fn is_complete(&mut self, qty: Qty, away: i128) -> bool {
        if !self.complete {
            self.complete = away * i128::from(RATE_ONE) > self.band;
            if !self.complete {
                self.sum = self.sum.saturating_add(qty);
                self.complete = self.rule.allows(self.largest, self.sum);
            }
        }
        self.complete
    }
}

/// The sizes a quote is priced at: `size`, a half and a quarter of it, floored to `lot`; zero where that is below
/// `min`, and everywhere while `lot` is unknown (zero).
pub fn sizes(size: Qty, lot: Qty, min: Qty) -> [Qty; SIZES] {
    std::array::from_fn(|halvings| {
        let part = Qty::from_raw(size.raw() >> halvings);
        let floored = if lot > Qty::ZERO { part.floor_to(lot) } else { Qty::ZERO };
        if floored < min { Qty::ZERO } else { floored }
    })
}

/// Smallest step that is a multiple of both venues' lots (SAFETY V8); `None` when a lot is not positive or the step
/// is out of range.
pub fn common_lot(lots: [Qty; 2]) -> Option<Qty> {
    let [a, b] = lots.map(Qty::raw);
    if a <= 0 || b <= 0 {
        return None;
    }
    let (mut divisor, mut rest) = (a, b);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (a / divisor).checked_mul(b).map(Qty::from_raw)
}

/// Mean price of `qty` that costs `away` more than at the touch (less, of bids), rounded against us. It lies between
/// the first and the last price touched, so it fits.
fn average(side: Side, touch: Price, away: i128, qty: Qty) -> Price {
    // The most common case, and it saves the one slow division of a walk.
    if away == 0 {
        return touch;
    }
    let qty = i128::from(qty.raw());
    let mean = Price::from_raw(((away + qty - 1) / qty) as i64);
    match side {
        Side::Buy => touch - mean,
        Side::Sell => touch + mean,
    }
}

#[cfg(test)]
mod tests {
    use super::super::ladder::Book;
    use super::*;
    use crate::types::{BookUpdate, Level};

    fn qty(raw: i64) -> Qty {
        Qty::from_raw(raw)
    }

    fn book() -> Book {
        let levels = |side: &[(i64, i64)]| {
            side.iter().map(|&(p, q)| Level { price: Price::from_raw(p), qty: Qty::from_raw(q) }).collect()
        };
        let mut book = Book::new();
        let update = BookUpdate {
            whole: true,
            bids: levels(&[(9_990, 10), (9_980, 10), (9_000, 80)]),
            asks: levels(&[(10_000, 10), (10_010, 10), (11_000, 80)]),
            ..BookUpdate::default()
        };
        book.apply(&update).unwrap();
        book
    }

    const RULE: DepthRule = DepthRule { share: Rate::from_bps(2_000), band: Rate::from_bps(10) };

    fn walk(ladder: &Ladder, size: i64) -> Walk {
        price(ladder, &[qty(size); SIZES], RULE).walks[0]
    }

    #[test]
    fn the_average_is_rounded_against_us() {
        let book = book();
        let buy = walk(book.asks(), 13);
        assert_eq!((buy.vwap.raw(), buy.worst.raw()), (10_003, 10_010), "10,002.3 rounds up");
        let sell = walk(book.bids(), 13);
        assert_eq!((sell.vwap.raw(), sell.worst.raw()), (9_987, 9_980), "9,987.7 rounds down");
        assert_eq!(walk(book.asks(), 10).vwap, Price::from_raw(10_000));
    }

    #[test]
    fn what_the_book_does_not_hold_has_no_price() {
        let book = book();
        assert!(walk(book.asks(), 100).is_defined());
        for size in [101, 0, -5] {
            assert_eq!(walk(book.asks(), size), Walk::default(), "{size}");
        }
    }

    #[test]
    fn no_further_level_is_looked_at_than_needed() {
        let book = book();
        let reach = |sizes: [i64; SIZES]| price(book.asks(), &sizes.map(qty), RULE).reach.raw();
        assert_eq!(reach([2, 1, 1]), 10_000, "the touch holds all and allows all");
        assert_eq!(reach([4, 1, 1]), 10_010, "ten at the touch do not allow four");
        assert_eq!(reach([8, 4, 2]), 11_000, "nor do twenty eight; this one is out of the band");
        assert_eq!(reach([101, 1, 1]), 0, "the ladder ended first");
    }

    #[test]
    fn depth_counts_what_stands_near_the_touch() {
        let book = book();
        let within = |ladder, sizes: [i64; SIZES]| price(ladder, &sizes.map(qty), RULE).within;
        assert_eq!(within(book.asks(), [8, 4, 2]), SizeSet(0b110), "20 allow 4");
        assert_eq!(within(book.bids(), [8, 4, 2]), SizeSet(0b100), "9,980 lies 10.01 bps away: 10 allow 2");
    }

    #[test]
    fn sizes_are_lots_or_nothing() {
        assert_eq!(sizes(qty(1_000), qty(30), qty(300)), [qty(990), qty(480), Qty::ZERO]);
        assert_eq!(sizes(qty(1_000), Qty::ZERO, Qty::ZERO), [Qty::ZERO; SIZES]);
        assert_eq!(common_lot([qty(20), qty(30)]), Some(qty(60)));
        assert_eq!(common_lot([qty(0), qty(30)]), None);
        assert_eq!(common_lot([qty(i64::MAX), qty(i64::MAX - 1)]), None);
    }
}
