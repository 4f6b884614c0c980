//! What became of one order, put together from the open orders, the history and the fills (SAFETY rules 4, 5, 8). Fed
//! by `desk`; pure. It never says "nothing more will happen" before the parts agree, or before they had time to.

use super::Markets;
use super::events::{FillFact, FillKind, OrderFact};
use crate::types::order::VenueOrderId;
use crate::types::{Nanos, OrderReport, Price, Qty, Reject, Told, Usd, VenueId};
use crate::venue::{OrderQuery, WireError};

/// How far before its signed time an order is looked for, ms: our clock may be ahead of the venue's.
pub const MARGIN_MS: u64 = 60_000;
/// Age of an order at which its receive window (at most 2 s) has lapsed and lists no longer lag, ms: what the parts say
/// then is final, even where one of them is silent.
const SETTLED_MS: u64 = 10_000;

/// What a query found before a call of it failed is worth this much longer, ms.
const KEPT_MS: u64 = 20_000;

/// The parts of an answer, in the order in which they are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    OpenOrder,
    History,
    Fills,
}

/// The evidence about one order.
pub struct Trail {
    pub query: OrderQuery,
    /// When its first part was asked for.
    pub asked: Nanos,
    /// The part that is missing next.
    pub next: Part,
    client_id: String,
    order: Option<Listed>,
    /// What it is by its parts; what contradicts the query outweighs the rest.
    told: Told,
    seen: Vec<VenueOrderId>,
    filled: Qty,
    notional: i128,
    fee: Usd,
    funding: Usd,
    at: Nanos,
}

/// The order as a list of the venue shows it.
struct Listed {
    venue_id: VenueOrderId,
    closed: bool,
    filled: Qty,
    average: Price,
    rejected: Option<Reject>,
}

impl Trail {
    pub fn new(query: &OrderQuery, asked: Nanos) -> Self {
        Self {
            query: *query,
            asked,
            next: Part::OpenOrder,
            client_id: query.id.to_string(),
            order: None,
            told: Told::default(),
            seen: Vec::new(),
            filled: Qty::ZERO,
            notional: 0,
            fee: Usd::ZERO,
            funding: Usd::ZERO,
            at: Nanos::NEVER,
        }
    }

    /// This unfinished trail may go on for the query: it is of the same order, not old, and was begun when nothing more
    /// could happen to the order, so that parts from different moments agree.
    pub fn serves(&self, query: &OrderQuery, now: Nanos) -> bool {
        self.query.id == query.id && now.ms_since(self.asked) < KEPT_MS && self.is_settled(self.asked)
    }

    /// Its receive window has lapsed and lists no longer lag.
    fn is_settled(&self, now: Nanos) -> bool {
        now.ms() > self.query.signed_ms.saturating_add(SETTLED_MS)
    }

    /// Takes the order from a list, if it is the one. A closed entry outweighs an open one.
    pub fn order(&mut self, order: &OrderFact<'_>, markets: &Markets) -> Result<(), WireError> {
        if !self.names(&order.client_id, &order.venue_id) || self.order.as_ref().is_some_and(|o| o.closed) {
            return Ok(());
        }
        self.hear(order.told(markets));
        self.at = self.at.max(order.at);
        self.order = Some(Listed {
            venue_id: VenueOrderId::cut(&order.venue_id),
            closed: order.closed,
            filled: order.filled()?,
            average: order.average,
            rejected: order.refusal()?,
        });
        Ok(())
    }

    /// Adds a fill, if it is of this order and new.
    pub fn fill(&mut self, fill: &FillFact<'_>, markets: &Markets) {
        let id = VenueOrderId::cut(&fill.id);
        let ours = self.names(&fill.client_id, &fill.order_id) && fill.kind == FillKind::Trade;
        if !ours || self.seen.contains(&id) {
            return;
        }
        self.hear(fill.told(markets));
        self.seen.push(id);
        self.filled = self.filled.saturating_add(fill.qty);
        let value = i128::from(fill.price.raw()) * i128::from(fill.qty.raw());
        self.notional = self.notional.saturating_add(value);
        self.fee = self.fee.saturating_add(fill.fee);
        self.funding = self.funding.saturating_add(fill.funding);
        self.at = self.at.max(fill.at);
    }

    fn hear(&mut self, told: Told) {
        if self.told.fits_side(self.query.side) && self.told.fits_market(self.query.pair) {
            self.told = told;
        }
    }

    /// The order was found in a list.
    pub fn is_listed(&self) -> bool {
        self.order.is_some()
    }

    /// What is known; `None` when there is no trace of the order.
    pub fn report(&self, venue: VenueId, now: Nanos) -> Option<OrderReport> {
        if self.order.is_none() && self.seen.is_empty() {
            return None;
        }
        let settled = self.is_settled(now);
        let stated = self.order.as_ref().map_or(self.filled, |order| order.filled);
        let filled = stated.max(self.filled);
        let whole = self.filled == filled;
        let over = match &self.order {
            Some(order) => order.closed && (whole || settled),
            None => self.filled >= self.query.qty || settled,
        };
        let known_id = self.order.as_ref().map_or(self.query.venue_id, |order| order.venue_id);
        Some(OrderReport {
            venue,
            id: self.query.id,
            venue_id: known_id,
            told: self.told,
            qty: self.query.qty,
            terminal: over,
            rejected: self.order.as_ref().and_then(|order| order.rejected),
            tells_fill: true,
            filled,
            average: if whole {
                self.average()
            } else {
                self.order.as_ref().map_or(Price::ZERO, |o| o.average)
            },
            fee: self.fee,
            funding: self.funding,
            at: self.at,
        })
    }

    /// Average price of the fills, rounded to the nearest unit.
    fn average(&self) -> Price {
        let qty = i128::from(self.filled.raw());
        if qty == 0 {
            return Price::ZERO;
        }
        let rounded = self.notional.saturating_add(qty / 2) / qty;
        Price::from_raw(i64::try_from(rounded).unwrap_or(i64::MAX))
    }

    fn names(&self, client_id: &str, venue_id: &str) -> bool {
        let known = self.order.as_ref().map_or(self.query.venue_id, |order| order.venue_id);
        client_id == self.client_id || (!known.is_empty() && known.as_str() == venue_id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, BTC};
    use super::*;
    use crate::types::{ClientId, PairId, RejectClass, Side, ToldMarket};

    const SOON: Nanos = Nanos::from_ms(1_001_000);
    const LATER: Nanos = Nanos::from_ms(1_020_000);

    fn markets() -> Markets {
        Markets::new(&fixture::setup()).unwrap()
    }

    fn query() -> OrderQuery {
        OrderQuery {
            id: ClientId { epoch: 3, seq: 9, leg: 1 },
            pair: PairId(0),
            venue_id: VenueOrderId::EMPTY,
            nonce: 0,
            side: Side::Buy,
            qty: Qty::from_raw(300),
            signed_ms: 1_000_000,
        }
    }

    fn order(closed: bool, open: i64, reason: &'static str) -> OrderFact<'static> {
        OrderFact {
            venue_id: "77".into(),
            client_id: "3-9-1".into(),
            market: BTC.into(),
            side: Some(Side::Buy),
            closed,
            size: Qty::from_raw(300),
            open: Qty::from_raw(open),
            average: Price::from_raw(999),
            cancel_reason: reason.into(),
            interactive: None,
            at: Nanos(5),
        }
    }

    fn fill(id: &'static str, qty: i64, price: i64) -> FillFact<'static> {
        FillFact {
            id: id.into(),
            order_id: "77".into(),
            client_id: "".into(),
            market: BTC.into(),
            side: None,
            kind: FillKind::Trade,
            qty: Qty::from_raw(qty),
            price: Price::from_raw(price),
            fee: Usd::from_raw(2),
            funding: Usd::from_raw(-1),
            at: Nanos(6),
        }
    }

    #[test]
    fn no_trace_is_none() {
        let mut trail = Trail::new(&query(), SOON);
        trail.fill(&fill("f", 1, 1), &markets());
        trail.order(&OrderFact { client_id: "3-9-0".into(), ..order(true, 0, "") }, &markets()).unwrap();
        assert_eq!(trail.report(VenueId(1), LATER), None);
    }

    #[test]
    fn a_closed_order_is_priced_by_its_fills() {
        let mut trail = Trail::new(&query(), SOON);
        trail.order(&order(true, 0, ""), &markets()).unwrap();
        trail.fill(&fill("a", 100, 1000), &markets());
        trail.fill(&fill("a", 100, 1000), &markets());
        let early = trail.report(VenueId(1), SOON).unwrap();
        assert!(!early.terminal, "the fills are not whole yet");
        trail.fill(&fill("b", 200, 1001), &markets());
        let report = trail.report(VenueId(1), SOON).unwrap();
        assert!(report.terminal && report.rejected.is_none());
        assert_eq!((report.filled.raw(), report.average.raw()), (300, 1001));
        assert_eq!((report.fee.raw(), report.funding.raw(), report.venue_id.as_str()), (4, -2, "77"));
    }

    #[test]
    fn what_contradicts_the_order_is_reported_whatever_else_is_told() {
        let told = |fills: [FillFact<'_>; 3]| {
            let mut trail = Trail::new(&query(), SOON);
            trail.order(&order(true, 0, ""), &markets()).unwrap();
            fills.iter().for_each(|fill| trail.fill(fill, &markets()));
            trail.report(VenueId(1), SOON).unwrap().told
        };
        let taken = |id, side| FillFact { side, ..fill(id, 100, 1000) };
        let [ours, theirs] = [Side::Buy, Side::Sell].map(Some);
        assert!(told([taken("a", ours), taken("b", None), taken("c", ours)]).fits_side(Side::Buy));
        assert_eq!(told([taken("a", ours), taken("b", theirs), taken("c", ours)]).side, theirs);
        let elsewhere = FillFact { market: "ETH-USD-PERP".into(), ..taken("b", ours) };
        assert_eq!(told([taken("a", ours), elsewhere, taken("c", ours)]).market, ToldMarket::Foreign);
    }

    #[test]
    fn fills_that_never_come_do_not_hold_an_order_for_ever() {
        let mut trail = Trail::new(&query(), SOON);
        trail.order(&order(true, 0, ""), &markets()).unwrap();
        let report = trail.report(VenueId(1), LATER).unwrap();
        assert_eq!((report.terminal, report.filled.raw(), report.average.raw()), (true, 300, 999));
    }

    #[test]
    fn a_refused_order_says_why() {
        let mut trail = Trail::new(&query(), SOON);
        trail.order(&order(true, 300, "NOT_ENOUGH_MARGIN"), &markets()).unwrap();
        let report = trail.report(VenueId(1), SOON).unwrap();
        assert_eq!((report.terminal, report.filled, report.average), (true, Qty::ZERO, Price::ZERO));
        assert_eq!(report.rejected.map(|reject| reject.class), Some(RejectClass::TooLarge));
    }

    #[test]
    fn an_open_order_is_not_over() {
        let mut trail = Trail::new(&query(), SOON);
        trail.order(&order(false, 300, ""), &markets()).unwrap();
        assert!(!trail.report(VenueId(1), LATER).unwrap().terminal);
        trail.order(&order(true, 300, "EXPIRED"), &markets()).unwrap();
        assert!(trail.report(VenueId(1), SOON).unwrap().terminal);
    }

    #[test]
    fn fills_without_a_listed_order_count() {
        let query = OrderQuery { venue_id: VenueOrderId::cut("77"), ..query() };
        let mut trail = Trail::new(&query, SOON);
        trail.fill(&fill("a", 100, 1000), &markets());
        assert!(!trail.report(VenueId(1), SOON).unwrap().terminal, "more may come");
        assert!(trail.report(VenueId(1), LATER).unwrap().terminal);
        trail.fill(&fill("b", 200, 1000), &markets());
        assert!(trail.report(VenueId(1), SOON).unwrap().terminal);
    }
}
