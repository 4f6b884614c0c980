//! Two ways home with one leg too many (SAFETY rule 6 and §2.3): complete the missing leg or unwind the filled one.
//! Both are priced from the live books, fees included; the cheaper one inside its band is taken. Pure.

use super::gate::{floor_lot, within};
use super::pair::Pair;
use crate::types::planted::planted;
use crate::types::settings::Settings;
use crate::types::{ClientId, Nanos, Price, Purpose, Qty, Rate, Side, Usd};

/// A book this far from the mark and from the reference is not priced from (SAFETY M5).
const FAR: Rate = Rate::from_bps(2_000);

/// Book-keeping of a mend: what was tried and when the next try is due.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mend {
    /// Orders tried to complete the missing leg.
    pub completions: u32,
    /// No completion is left to try.
    pub spent: bool,
    /// Unwinds that were priced and missed: the collar widens with them.
    pub missed_unwinds: u32,
    pub next_try: Nanos,
    /// Before this the venue of a leg is not tried: it said "later".
    pub not_before: [Nanos; 2],
    /// Result of the unwinding lines when the mend began, for its cost.
    pub cost_before: i64,
    pub last_alarm: Nanos,
    /// The last progress (a fill), for the latch after ten seconds without any.
    pub progress: Nanos,
    pub last_completed: bool,
    /// Leg whose venue refused the last mending order, or let it pass at the widest collar.
    pub refused: Option<usize>,
    /// Refusals in a row by the venue of a leg; "later" counts more.
    pub put_off: [u32; 2],
    /// How often the size was halved because the venue of a leg refused it.
    pub halvings: [u32; 2],
    /// Mending orders sent.
    pub tries: u32,
    /// The last of them, until its outcome was counted.
    pub last: Option<ClientId>,
    /// Closes in a row that a venue refused, or whose closed leg had to be brought back.
    pub vain_exits: u32,
    /// The automatic close was logged.
    pub announced: bool,
    /// When the lone leg became known with nothing in flight.
    pub began: Nanos,
}

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
    /// Nothing has helped for a while: the other leg is brought (again) at whatever the unwind would pay.
    pub desperate: bool,
}

/// The cheaper way home on the venues that can be used now, or `None` when neither can be priced or reached.
pub fn choose(pair: &Pair, means: Means, rules: &Settings) -> Option<Route> {
    let net = pair.book.net();
    let heavy = heavy_leg(pair);
    let unwind =
        means.closing[heavy].then(|| unwind(pair, heavy, slice(pair, heavy, net.abs()), rules)).flatten();
    let unwind =
        unwind.map(|route| Route { cost: route.cost.saturating_add(forgone(pair, route.qty)), ..route });
    let light = 1 - heavy;
    // Two legs on the same side, as a person may have adopted them: each of them has to go.
    let lighter = pair.book.legs[light].qty;
    if lighter.raw().signum() * net.raw().signum() > 0
        && (unwind.is_none() || pair.mend.refused == Some(heavy))
        && means.closing[light]
    {
        return self::unwind(pair, light, slice(pair, light, lighter.abs()), rules).or(unwind);
    }
    let qty = slice(pair, light, net.abs());
    let opening = means.opening[light];
    let complete = opening.then(|| complete(pair, light, qty, rules)).flatten();
    // A venue that has just refused the unwind is not asked again before the other one (rung 5).
    let refused = pair.mend.refused == Some(heavy);
    match (complete, unwind) {
        (Some(complete), Some(unwind)) => {
            let completes = refused || (means.completing && complete.cost <= unwind.cost);
            Some(match completes {
                true => Route { instead: Some(unwind.cost), ..complete },
                false => Route { instead: Some(complete.cost), ..unwind },
            })
        }
        (None, Some(unwind)) if !(refused && means.desperate) => Some(unwind),
        (None, unwind) => {
            let again = (opening && means.desperate).then(|| bring_again(pair, light, qty, rules)).flatten();
            again.or(unwind)
        }
        (complete, None) => complete,
    }
}

/// The part of `qty` that the next order takes: halved each time that a venue refused a mending order for good (size,
/// open interest, margin; rung 6), as long as what is left is an order that it takes.
fn slice(pair: &Pair, leg: usize, qty: Qty) -> Qty {
    let Some(market) = pair.rules[leg] else { return qty };
    let price = pair.book.reference;
    let fits =
        |part: &Qty| *part >= market.min_qty && price.times(*part) >= market.min_notional && !part.is_zero();
    let parts = (0..=pair.mend.halvings[leg]).rev();
    let part = |halvings: u32| floor_lot(Qty::from_raw(qty.raw() >> halvings), market.lot);
    let capped = |part: Qty| if market.max_qty.is_zero() { part } else { part.min(market.max_qty) };
    parts.map(part).find(fits).map_or(qty, capped)
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
    let limit = last_price(pair, leg, side, seen, rules);
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
    let direction = pair.book.direction?;
    if !pair.is_entering()
        || pair.mend.completions >= rules.execution.retry_attempts
        || !pair.quotes[leg].tradable
    {
        return None;
    }
    let side = if planted("completes_the_wrong_side") {
        direction.close_side(leg)
    } else {
        direction.open_side(leg)
    };
    let decided = pair.decided_price(leg)?;
    let qty = floor_lot(qty, market.lot);
    let seen = price_for(pair, leg, side, qty)?;
    let limit = bounded(decided, side, rules.execution.completion_slippage, market.tick);
    // Where the price has run in our favour, what was decided is further from it than the gate lets any order reach.
    let reach = bounded(best_price(pair, leg, side)?, side, rules.execution.max_unwind, market.tick);
    let limit = within_band(drawn_in(limit, reach, side), pair, leg, side);
    let large_enough = qty >= market.min_qty && seen.times(qty) >= market.min_notional;
    let cost = adverse(decided, seen, side, qty).saturating_add(seen.times(qty).part(market.taker));
    let route =
        Route { leg, side, purpose: Purpose::Complete, qty, limit, expected: seen, cost, instead: None };
    (large_enough && route.reaches()).then_some(route)
}

/// The last resort: the filled leg cannot be closed where it is, so the other one is brought, or brought back, at the
/// collar of an unwind. A pair that is whole costs less than a leg that nobody takes.
fn bring_again(pair: &Pair, leg: usize, qty: Qty, rules: &Settings) -> Option<Route> {
    let market = pair.rules[leg]?;
    let side = pair.book.direction?.open_side(leg);
    if side.sign() == pair.book.net().raw().signum() {
        return None;
    }
    let qty = floor_lot(qty, market.lot);
    let seen = best_price(pair, leg, side)?;
    let limit = last_price(pair, leg, side, seen, rules);
    let cost = seen.times(qty).part(market.taker);
    let large_enough = qty >= market.min_qty && seen.times(qty) >= market.min_notional;
    large_enough.then_some(Route {
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

/// The worst price of the next try: its collar beyond what is seen, inside what the venue takes and what else tells the
/// price.
fn last_price(pair: &Pair, leg: usize, side: Side, seen: Price, rules: &Settings) -> Price {
    let tick = pair.rules[leg].map_or(Price::ZERO, |market| market.tick);
    if planted("unwind_at_any_price") {
        return bounded(seen, side, Rate::from_bps(3_000), tick);
    }
    let limit = within_band(bounded(seen, side, collar(pair, rules), tick), pair, leg, side);
    anchored(limit, pair, leg, side, rules.execution.max_unwind)
}

/// The limit, or this edge where that reaches less far.
fn drawn_in(limit: Price, edge: Price, side: Side) -> Price {
    match side {
        Side::Buy => limit.min(edge),
        Side::Sell => limit.max(edge),
    }
}

/// How far the next try reaches: wider with each that was priced and missed, never beyond `max_unwind`.
fn collar(pair: &Pair, rules: &Settings) -> Rate {
    let bands = &rules.upkeep.mending.unwind_bands;
    let widest = rules.execution.max_unwind;
    bands.get(pair.mend.missed_unwinds as usize).map_or(widest, |&band| band.min(widest))
}

/// The limit, drawn in to the band around the mark that the venue takes aggressive orders in.
fn within_band(limit: Price, pair: &Pair, leg: usize, side: Side) -> Price {
    let (Some(market), mark) = (pair.rules[leg], pair.quotes[leg].ticker.mark) else { return limit };
    if market.price_band.is_zero() || mark.is_zero() {
        return limit;
    }
    drawn_in(limit, bounded(mark, side, market.price_band, market.tick), side)
}

/// The limit, drawn in to `max_unwind` beyond what else tells the price now: the mark, and the other venue's book. Of
/// two the one counts that lets it reach further, for either may lie; what is silent tells nothing.
fn anchored(limit: Price, pair: &Pair, leg: usize, side: Side, max_unwind: Rate) -> Price {
    let Some(market) = pair.rules[leg] else { return limit };
    let (own, other) = (&pair.quotes[leg], &pair.quotes[1 - leg]);
    let mark = Some(own.ticker.mark).filter(|_| own.tradable);
    let mid = Some(Price::mid(other.bid, other.ask)).filter(|_| other.tradable && other.bid.raw() > 0);
    let known = [mark, mid].into_iter().flatten().filter(|price| price.raw() > 0);
    let edges = known.map(|price| bounded(price, side, max_unwind, market.tick));
    let furthest = match side {
        Side::Buy => edges.max(),
        Side::Sell => edges.min(),
    };
    furthest.map_or(limit, |edge| drawn_in(limit, edge, side))
}

impl Route {
    /// What the book shows now is within the limit.
    pub fn reaches(&self) -> bool {
        match self.side {
            Side::Buy => self.expected <= self.limit,
            Side::Sell => self.expected >= self.limit,
        }
    }
}

/// The leg that holds more than the other.
pub fn heavy_leg(pair: &Pair) -> usize {
    let second = pair.book.legs[1].qty.abs() > pair.book.legs[0].qty.abs();
    usize::from(second != planted("lighter_leg_is_unwound"))
}

/// Limit `rate` beyond `price` on the aggressive side, on the tick, never further.
pub fn bounded(price: Price, side: Side, rate: Rate, tick: Price) -> Price {
    match side {
        Side::Buy => price.moved(rate).floor_to(tick),
        Side::Sell => price.moved(-rate).ceil_to(tick),
    }
}

/// Best price on the side that this order takes from. Where no quote was ever seen, and where the book is far from mark
/// and reference, the mark; then what the other venue trades at, what the leg's last order was to be had for, and the
/// reference of the books, which may be hours old.
pub fn best_price(pair: &Pair, leg: usize, side: Side) -> Option<Price> {
    let (quote, other) = (&pair.quotes[leg], &pair.quotes[1 - leg]);
    let best = match side {
        Side::Buy => quote.ask,
        Side::Sell => quote.bid,
    };
    let is_known = |price: &Price| price.raw() > 0;
    let (mark, reference) = (quote.ticker.mark, pair.book.reference);
    let known = [mark, reference].into_iter().filter(is_known);
    let lies = known.clone().next().is_some() && known.clone().all(|price| !within(best, price, FAR));
    let best = Some(best).filter(|price| is_known(price) && !lies);
    let mid = if is_known(&other.bid) && is_known(&other.ask) {
        Price::mid(other.bid, other.ask)
    } else {
        other.ticker.mark
    };
    let last = pair.orders[leg].as_ref().map_or(Price::ZERO, |order| order.expected);
    best.or_else(|| [mark, mid, last, reference].into_iter().find(is_known))
}

/// A venue has told a price of this leg's market since the start.
pub fn is_priced(pair: &Pair, leg: usize) -> bool {
    let quote = &pair.quotes[leg];
    quote.ticker.mark.raw() > 0 || (quote.bid.raw() > 0 && quote.ask.raw() > 0)
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
