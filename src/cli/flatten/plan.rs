//! What `flatten` closes and at which price, as plain values: how much of a position is ours, which part of a pair goes
//! next, and the limit that the book allows. Pure.

use crate::order::gate::floor_lot;
use crate::order::mend::bounded;
use crate::order::pair::Pair;
use crate::types::settings::Settings;
use crate::types::{BookUpdate, MarketRules, Nanos, Price, Qty, Rate, Side};

/// The most short and the most long that the journal can explain on a leg: what its books hold, what its orders without
/// an outcome may have filled, and what one whose end told no figures may have, shown late. Holds zero.
pub(super) fn explained(pair: &Pair, leg: usize, now: Nanos) -> [Qty; 2] {
    let held = pair.book.legs[leg].qty.raw();
    let late = pair.unproven(leg, now);
    let (low, high) = (held.saturating_add(late.sold.raw()), held.saturating_add(late.bought.raw()));
    let (mut low, mut high) = (low.min(0), high.max(0));
    for order in pair.live_orders().filter(|order| order.leg == leg) {
        let open = (order.spec.qty - order.done.filled).raw() * order.spec.side.sign();
        low = low.min(held + open.min(0));
        high = high.max(held + open.max(0));
    }
    [Qty::from_raw(low), Qty::from_raw(high)]
}

/// The part of a position that is not ours and is never touched.
pub(super) fn foreign(position: Qty, [low, high]: [Qty; 2], dedicated: bool) -> Qty {
    if dedicated { Qty::ZERO } else { position - position.clamp(low, high) }
}

/// What is to be closed next of a pair's legs. A difference between the legs goes first, then both together; while one
/// venue does not answer (`None`), its leg counts as what the journal says, and what hedges it is kept.
pub(super) fn wanted(held: [Option<Qty>; 2], believed: [Qty; 2], dust: [Qty; 2]) -> [Qty; 2] {
    let [a, b] = [0, 1].map(|leg| held[leg].unwrap_or(believed[leg]));
    let opposite = a.raw().signum() * b.raw().signum() < 0;
    let hedged = if opposite { a.abs().min(b.abs()) } else { Qty::ZERO };
    let excess = [0, 1].map(|leg| {
        let over = held[leg].map_or(Qty::ZERO, |qty| qty.abs() - hedged);
        if over < dust[leg] { Qty::ZERO } else { over }
    });
    let both = held.iter().all(Option::is_some);
    match excess {
        [Qty::ZERO, Qty::ZERO] if both => [a.abs(), b.abs()],
        _ => excess,
    }
}

/// A close that the book can take: its limit and how much is displayed inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) limit: Price,
    pub(super) displayed: Qty,
}

/// The side of the book that an order of `side` takes from, up to `band` beyond its best price.
pub(super) fn offer(book: &BookUpdate, side: Side, band: Rate, tick: Price) -> Option<Offer> {
    let levels = match side {
        Side::Buy => &book.asks,
        Side::Sell => &book.bids,
    };
    let limit = bounded(levels.first()?.price, side, band, tick);
    let inside = |price: Price| match side {
        Side::Buy => price <= limit,
        Side::Sell => price >= limit,
    };
    let taken = levels.iter().take_while(|level| inside(level.price));
    let displayed = taken.fold(Qty::ZERO, |sum, level| sum.saturating_add(level.qty));
    (!displayed.is_zero()).then_some(Offer { limit, displayed })
}

/// How far a close may go after so many that missed: the same steps as the engine's ladder.
pub(super) fn band(misses: usize, settings: &Settings) -> Rate {
    let widest = settings.execution.max_unwind;
    settings.upkeep.mending.unwind_bands.get(misses).map_or(widest, |&band| band.min(widest))
}

/// The next clip of a leg: what is wanted, what is displayed and what the venue takes at most, on its step.
pub(super) fn clip(wanted: Qty, offer: Offer, rules: &MarketRules) -> Qty {
    let most = if rules.max_qty.is_zero() { wanted } else { wanted.min(rules.max_qty) };
    floor_lot(most.min(offer.displayed), rules.lot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::entry::{Entry, Unproven};
    use crate::types::{Level, PairId};

    fn qty(text: &str) -> Qty {
        Qty::parse(text.as_bytes()).unwrap()
    }

    fn price(text: &str) -> Price {
        Price::parse(text.as_bytes()).unwrap()
    }

    fn book() -> BookUpdate {
        let level = |at, size| Level { price: price(at), qty: qty(size) };
        BookUpdate {
            pair: PairId(0),
            bids: vec![level("100", "1"), level("99.9", "2"), level("98", "50")],
            asks: vec![level("101", "3"), level("101.1", "4"), level("103", "50")],
            ..BookUpdate::default()
        }
    }

    #[test]
    fn only_what_the_journal_explains_is_ours() {
        let bounds = [qty("-2"), qty("0")];
        assert_eq!(foreign(qty("-2"), bounds, false), qty("0"));
        assert_eq!(foreign(qty("-5"), bounds, false), qty("-3"), "more than ours");
        assert_eq!(foreign(qty("4"), bounds, false), qty("4"), "the other way round");
        assert_eq!(foreign(qty("-1"), bounds, false), qty("0"), "less than ours");
        assert_eq!(foreign(qty("-5"), bounds, true), qty("0"), "an account of its own");
    }

    #[test]
    fn what_an_order_may_have_filled_late_is_ours_for_a_while() {
        let settings = crate::types::settings::PairSettings {
            id: PairId(0),
            name: "BTC".into(),
            venues: [crate::types::VenueId(0), crate::types::VenueId(1)],
            symbols: ["a".into(), "b".into()],
            size: qty("1"),
            entry_threshold: Rate::ZERO,
            exit_threshold: Rate::ZERO,
        };
        let mut pair = Pair::new(settings);
        let at = Nanos::from_ms(1_000);
        let open = Unproven::default().with(qty("-0.6"));
        pair.apply(&Entry::Unproven { pair: PairId(0), leg: 0, open, at });
        assert_eq!(explained(&pair, 0, at.plus_ms(59_000)), [qty("-0.6"), qty("0")]);
        assert_eq!(explained(&pair, 0, at.plus_ms(61_000)), [qty("0"), qty("0")]);
        assert_eq!(explained(&pair, 1, at), [qty("0"), qty("0")]);
    }

    #[test]
    fn a_difference_goes_first_and_then_both_legs_together() {
        let dust = [qty("0.1"), qty("0.1")];
        let both = |a, b| wanted([Some(qty(a)), Some(qty(b))], [Qty::ZERO; 2], dust);
        assert_eq!(both("-2", "2"), [qty("2"), qty("2")]);
        assert_eq!(both("-2", "0.5"), [qty("1.5"), qty("0")]);
        assert_eq!(both("0", "2"), [qty("0"), qty("2")]);
        assert_eq!(both("-2", "1.95"), [qty("2"), qty("1.95")], "dust leaves with the rest");
        assert_eq!(both("2", "2"), [qty("2"), qty("2")], "two longs hedge nothing");
        assert_eq!(both("0", "0"), [qty("0"), qty("0")]);
    }

    #[test]
    fn what_hedges_a_leg_that_cannot_be_read_is_kept() {
        let dust = [qty("0.1"), qty("0.1")];
        let one = |a| wanted([Some(qty(a)), None], [qty("-2"), qty("2")], dust);
        assert_eq!(one("-2"), [qty("0"), qty("0")]);
        assert_eq!(one("-3"), [qty("1"), qty("0")]);
        assert_eq!(wanted([None, None], [qty("-2"), qty("2")], dust), [qty("0"), qty("0")]);
    }

    #[test]
    fn a_close_takes_what_is_displayed_inside_its_band() {
        let tick = price("0.01");
        let sell = offer(&book(), Side::Sell, Rate::from_bps(20), tick).unwrap();
        assert_eq!((sell.limit, sell.displayed), (price("99.8"), qty("3")));
        let buy = offer(&book(), Side::Buy, Rate::from_bps(20), tick).unwrap();
        assert_eq!((buy.limit, buy.displayed), (price("101.2"), qty("7")));
        assert_eq!(offer(&BookUpdate::default(), Side::Buy, Rate::from_bps(20), tick), None);
    }
}
