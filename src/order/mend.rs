//! Two ways home with one leg too many (SAFETY rule 6 and §2.3): complete the missing leg or unwind the filled one.
//! Both are priced from the live books, fees included; the cheaper one inside its band is taken. Pure.

use super::gate::floor_lot;
use super::pair::Pair;
use crate::types::settings::Settings;
use crate::types::{IntentKind, Price, Purpose, Qty, Rate, Side, Usd};

/// One priced order on the way home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    pub leg: usize,
    pub side: Side,
    pub purpose: Purpose,
    pub qty: Qty,
    pub limit: Price,
    /// Price that the book shows now: what the cost was computed with.
    pub expected: Price,
    /// What it costs against having both legs at the decision's prices, fees included.
    pub cost: Usd,
    /// What the other way home would cost, where it was open and could be priced.
    pub instead: Option<Usd>,
}

/// What may be used on the way home.
#[derive(Clone, Copy, Debug)]
pub struct Means {
    /// Venues that take orders which close, by leg.
    pub closing: [bool; 2],
    /// Venues that take orders which open.
    pub opening: [bool; 2],
    /// False in Halted: there the missing leg is only brought when the filled one cannot be unwound.
    pub completing: bool,
}

/// The cheaper way home on the venues that can be used now, or `None` when neither can be priced or reached.
pub fn choose(pair: &Pair, means: Means, rules: &Settings) -> Option<Route> {
    let net = pair.book.net();
    let heavy = heavy_leg(pair);
    let unwind = means.closing[heavy].then(|| unwind(pair, heavy, net.abs(), rules)).flatten();
    let unwind =
        unwind.map(|route| Route { cost: route.cost.saturating_add(forgone(pair, route.qty)), ..route });
    let light = 1 - heavy;
    let complete = means.opening[light].then(|| complete(pair, light, net.abs(), rules)).flatten();
    match (complete, unwind) {
        (Some(complete), Some(unwind)) => Some(match means.completing && complete.cost <= unwind.cost {
            true => Route { instead: Some(unwind.cost), ..complete },
            false => Route { instead: Some(complete.cost), ..unwind },
        }),
        (one, other) => one.or(other),
    }
}

/// What the pair was opened for and an unwind gives up: the edge of the decision less what closing it would cost. Never
/// negative.
fn forgone(pair: &Pair, qty: Qty) -> Usd {
    let (Some(decision), [Some(a), Some(b)]) = (&pair.decision, &pair.rules) else { return Usd::ZERO };
    let kept = decision.edge - decision.basis - pair.settings.exit_threshold - a.taker - b.taker;
    decision.mid.times(qty).part(kept).max(Usd::ZERO)
}

/// An order that takes a leg to nothing, reduce-only, at the collar of the next step of the ladder.
pub fn unwind(pair: &Pair, leg: usize, qty: Qty, rules: &Settings) -> Option<Route> {
    let market = pair.rules[leg]?;
    let held = pair.book.legs[leg].qty;
    let side = if held.raw() > 0 { Side::Sell } else { Side::Buy };
    let qty = floor_lot(qty.min(held.abs()), market.lot);
    let seen = best_price(pair, leg, side)?;
    let bands = &rules.upkeep.mending.unwind_bands;
    let widest = rules.execution.max_unwind;
    let collar = bands.get(pair.mend.missed_unwinds as usize).map_or(widest, |&band| band.min(widest));
    let limit = bounded(seen, side, collar, market.tick);
    let paid = pair.decided_price(leg).unwrap_or(seen);
    let cost = adverse(paid, seen, side, qty).saturating_add(seen.times(qty).part(market.taker));
    (!qty.is_zero()).then_some(Route {
        leg,
        side,
        purpose: Purpose::Unwind,
        qty,
        limit,
        expected: seen,
        cost,
        instead: None,
    })
}

/// An order that brings the missing leg of an entry, while that is within `completion_slippage` of the decision.
fn complete(pair: &Pair, leg: usize, qty: Qty, rules: &Settings) -> Option<Route> {
    let market = pair.rules[leg]?;
    let decision = pair.decision.as_ref()?;
    let direction = pair.book.direction?;
    let entering = !pair.opened && !matches!(decision.kind, Some(IntentKind::Exit(_)));
    if !entering || pair.mend.completions >= rules.execution.retry_attempts || !pair.quotes[leg].tradable {
        return None;
    }
    let side = direction.open_side(leg);
    let decided = pair.decided_price(leg)?;
    let qty = floor_lot(qty, market.lot);
    let seen = price_for(pair, leg, side, qty)?;
    let limit = bounded(decided, side, rules.execution.completion_slippage, market.tick);
    let inside = match side {
        Side::Buy => seen <= limit,
        Side::Sell => seen >= limit,
    };
    let large_enough = qty >= market.min_qty && seen.times(qty) >= market.min_notional;
    let cost = adverse(decided, seen, side, qty).saturating_add(seen.times(qty).part(market.taker));
    (inside && large_enough).then_some(Route {
        leg,
        side,
        purpose: Purpose::Complete,
        qty,
        limit,
        expected: seen,
        cost,
        instead: None,
    })
}

/// The leg that holds more than the other.
pub fn heavy_leg(pair: &Pair) -> usize {
    usize::from(pair.book.legs[1].qty.abs() > pair.book.legs[0].qty.abs())
}

/// Limit `rate` beyond `price` on the aggressive side, on the tick, never further.
pub fn bounded(price: Price, side: Side, rate: Rate, tick: Price) -> Price {
    match side {
        Side::Buy => price.moved(rate).floor_to(tick),
        Side::Sell => price.moved(-rate).ceil_to(tick),
    }
}

/// Best price on the side that this order takes from; the mark or the books' reference where no quote was ever seen.
pub fn best_price(pair: &Pair, leg: usize, side: Side) -> Option<Price> {
    let quote = &pair.quotes[leg];
    let best = match side {
        Side::Buy => quote.ask,
        Side::Sell => quote.bid,
    };
    [best, quote.ticker.mark, pair.book.reference].into_iter().find(|price| price.raw() > 0)
}

/// Worst price that an order of this size touches in the last quote.
pub(super) fn price_for(pair: &Pair, leg: usize, side: Side, qty: Qty) -> Option<Price> {
    let quote = &pair.quotes[leg];
    let walks = match side {
        Side::Buy => &quote.buy,
        Side::Sell => &quote.sell,
    };
    let fitting = (0..quote.sizes.len()).rev().find(|&i| quote.sizes[i] >= qty && walks[i].is_defined());
    fitting.map(|i| walks[i].worst)
}

/// What it costs to trade at `seen` on `side` what was reckoned at `at`; negative when it earns.
fn adverse(at: Price, seen: Price, side: Side, qty: Qty) -> Usd {
    let moved = match side {
        Side::Sell => at - seen,
        Side::Buy => seen - at,
    };
    moved.times(qty)
}
