//! What a size costs on a ladder: the walk from the touch, rounded against us. Pure; called by `book::market` after
//! every update. It never extrapolates: a size that the book does not hold has no price (SAFETY M15).

use super::ladder::Ladder;
use crate::types::limits::SIZES;
use crate::types::money::RATE_ONE;
use crate::types::{Price, Qty, Rate, Side, Walk};

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

/// Prices each size on one side: walking asks is buying, walking bids is selling. The first size is the largest.
pub fn walks(ladder: &Ladder, sizes: &[Qty; SIZES], rule: DepthRule) -> [Walk; SIZES] {
    let displayed = displayed(ladder, sizes[0], rule);
    sizes.map(|size| Walk { within_depth: rule.allows(size, displayed), ..walk(ladder, size) })
}

/// Volume-weighted and worst price of `qty`; undefined when `qty` is not positive or the ladder holds less.
pub fn walk(ladder: &Ladder, qty: Qty) -> Walk {
    if qty <= Qty::ZERO {
        return Walk::default();
    }
    let mut rest = qty;
    let mut cost = 0_i128;
    for level in ladder.iter() {
        let take = level.qty.min(rest);
        rest -= take;
        cost += i128::from(level.price.raw()) * i128::from(take.raw());
        if rest.is_zero() {
            // The most common case, and it saves the one slow division of a walk.
            let whole_at_touch = take == qty;
            let vwap = if whole_at_touch { level.price } else { average(ladder.side(), cost, qty) };
            return Walk { vwap, worst: level.price, within_depth: false };
        }
    }
    Walk::default()
}

/// Quantity within the band of the touch, counted until it allows `largest`: more is not asked for.
pub fn displayed(ladder: &Ladder, largest: Qty, rule: DepthRule) -> Qty {
    let Some(touch) = ladder.best() else { return Qty::ZERO };
    let reach = i128::from(touch.price.raw()) * i128::from(rule.band.raw());
    let mut sum = Qty::ZERO;
    for level in ladder.iter() {
        let away = i128::from((level.price - touch.price).abs().raw()) * i128::from(RATE_ONE);
        if away > reach || rule.allows(largest, sum) {
            break;
        }
        sum = sum.saturating_add(level.qty);
    }
    sum
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

/// Mean price of `cost`, rounded against us. It lies between the first and the last price touched, so it fits.
fn average(side: Side, cost: i128, qty: Qty) -> Price {
    let qty = i128::from(qty.raw());
    let against_us = match side {
        Side::Buy => cost / qty,
        Side::Sell => (cost + qty - 1) / qty,
    };
    Price::from_raw(against_us as i64)
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

    #[test]
    fn the_average_is_rounded_against_us() {
        let book = book();
        let buy = walk(book.asks(), qty(13));
        assert_eq!((buy.vwap.raw(), buy.worst.raw()), (10_003, 10_010), "10,002.3 rounds up");
        let sell = walk(book.bids(), qty(13));
        assert_eq!((sell.vwap.raw(), sell.worst.raw()), (9_987, 9_980), "9,987.7 rounds down");
        assert_eq!(walk(book.asks(), qty(10)).vwap, Price::from_raw(10_000));
    }

    #[test]
    fn what_the_book_does_not_hold_has_no_price() {
        let book = book();
        assert!(walk(book.asks(), qty(100)).is_defined());
        for size in [101, 0, -5] {
            assert_eq!(walk(book.asks(), qty(size)), Walk::default(), "{size}");
        }
    }

    #[test]
    fn depth_counts_what_stands_near_the_touch() {
        let book = book();
        let rule = DepthRule { share: Rate::from_bps(2_000), band: Rate::from_bps(10) };
        assert_eq!(displayed(book.asks(), qty(400), rule), qty(20));
        assert_eq!(displayed(book.bids(), qty(400), rule), qty(10), "9,980 lies 10.01 bps away");
        assert_eq!(displayed(book.asks(), qty(2), rule), qty(10), "enough for 2");
        let priced = walks(book.asks(), &[qty(8), qty(4), qty(2)], rule);
        assert_eq!(priced.map(|walk| walk.within_depth), [false, true, true]);
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
