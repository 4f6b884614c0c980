//! What the private channels say, in one form for both encodings (`sbe::private` and `json` make the facts), and its
//! translation into the engine's events. Owned by `trader` through `session`; pure. It never guesses: an order is
//! named by our client id, else by the venue's id.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::{Markets, errors};
use crate::types::order::{Reason, VenueOrderId};
use crate::types::{ClientId, Fill, Nanos, OrderNews, Price, Qty, Side, Told, ToldMarket, Usd, quoted};
use crate::venue::{OrderKey, TraderEvent, WireError};

/// Orders and fills remembered so that a message which names only the venue's id finds its order. A bust may come
/// minutes after its fill; the engine makes some dozens of orders in an hour.
const REMEMBERED: usize = 256;

/// One message of a private channel.
#[derive(Debug)]
pub enum Fact<'a> {
    Order(OrderFact<'a>),
    Fill(FillFact<'a>),
    Position(PositionFact<'a>),
    Account(AccountFact),
    /// The venue undid the fill with this id; the order is not named.
    Bust(Cow<'a, str>),
}

/// State of an order. Prices and sizes as in the engine; `average` zero = none stated.
#[derive(Debug)]
pub struct OrderFact<'a> {
    pub venue_id: Cow<'a, str>,
    pub client_id: Cow<'a, str>,
    pub market: Cow<'a, str>,
    /// `None` where the message does not say.
    pub side: Option<Side>,
    pub closed: bool,
    pub size: Qty,
    /// Not filled: still open, or cancelled when `closed`.
    pub open: Qty,
    pub average: Price,
    pub cancel_reason: Cow<'a, str>,
    /// Treated as a Retail order; `None` where the message does not say.
    pub interactive: Option<bool>,
    pub at: Nanos,
}

impl OrderFact<'_> {
    pub fn told(&self, markets: &Markets) -> Told {
        Told { side: self.side, market: ToldMarket::looked_up(markets.pair(&self.market)) }
    }

    /// Cumulative quantity filled, or an error when more is open than was ordered.
    pub fn filled(&self) -> Result<Qty, WireError> {
        if self.open > self.size {
            let got = self.open.to_string();
            return Err(WireError::new("open size of an order", got.as_bytes(), "at most the order's size"));
        }
        Ok(self.size - self.open)
    }

    /// The refusal that closed this order, if one did and nothing was filled.
    pub fn refusal(&self) -> Result<Option<crate::types::Reject>, WireError> {
        let unfilled = self.closed && self.filled()?.is_zero();
        Ok(if unfilled { errors::cancel_refusal(&self.cancel_reason) } else { None })
    }
}

/// One execution of ours.
#[derive(Debug)]
pub struct FillFact<'a> {
    pub id: Cow<'a, str>,
    pub order_id: Cow<'a, str>,
    pub client_id: Cow<'a, str>,
    pub market: Cow<'a, str>,
    /// Ours; `None` where the message does not say it for certain (sheet 10, 16: that of a maker may be the taker's).
    pub side: Option<Side>,
    pub kind: FillKind,
    pub qty: Qty,
    pub price: Price,
    /// Positive = paid.
    pub fee: Usd,
    /// Funding realised with it, positive = received.
    pub funding: Usd,
    pub at: Nanos,
}

impl FillFact<'_> {
    pub fn told(&self, markets: &Markets) -> Told {
        Told { side: self.side, market: ToldMarket::looked_up(markets.pair(&self.market)) }
    }
}

/// Where a fill came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FillKind {
    /// An order met another; also a kind that this decoder does not know, because its money moved all the same.
    Trade,
    /// The venue took the position: liquidation, or an unwind transfer.
    Takeover,
    /// The market settled. The position message tells what is left.
    Settlement,
}

/// Position as the venue states it, signed.
#[derive(Debug)]
pub struct PositionFact<'a> {
    pub market: Cow<'a, str>,
    pub qty: Qty,
}

#[derive(Clone, Copy, Debug)]
pub struct AccountFact {
    pub equity: Usd,
    pub free: Usd,
    pub liquidation: bool,
}

/// Which order a venue's id belongs to, for messages without our client id. Bounded; the oldest is forgotten.
#[derive(Default)]
pub struct Memory {
    orders: VecDeque<(VenueOrderId, ClientId)>,
    fills: VecDeque<(VenueOrderId, OrderKey)>,
}

impl Memory {
    /// The name of an order, learning which venue id belongs to which of our ids.
    pub fn key(&mut self, client_id: &str, venue_id: &str) -> OrderKey {
        let venue_id = VenueOrderId::cut(venue_id);
        match ClientId::parse(client_id) {
            Some(id) => {
                self.learn(id, venue_id);
                OrderKey::Client(id)
            }
            None => match self.orders.iter().rev().find(|(known, _)| *known == venue_id) {
                Some(&(_, id)) => OrderKey::Client(id),
                None => OrderKey::Venue(venue_id),
            },
        }
    }

    /// Remembers the venue's id of an order of ours.
    pub fn learn(&mut self, id: ClientId, venue_id: VenueOrderId) {
        if venue_id.is_empty() || self.orders.iter().rev().any(|&(_, known)| known == id) {
            return;
        }
        remember(&mut self.orders, (venue_id, id));
    }

    /// The venue's id of an order of ours, once learnt.
    pub fn venue_id(&self, id: ClientId) -> Option<VenueOrderId> {
        self.orders.iter().rev().find(|&&(_, known)| known == id).map(|&(venue_id, _)| venue_id)
    }

    fn order_of_fill(&self, fill: VenueOrderId) -> OrderKey {
        let known = self.fills.iter().rev().find(|(id, _)| *id == fill);
        known.map_or(OrderKey::Venue(VenueOrderId::EMPTY), |&(_, key)| key)
    }
}

/// Turns a fact into events. Markets that no pair names are passed over, except where an order of ours is named.
pub fn translate(
    fact: &Fact<'_>,
    now: Nanos,
    markets: &Markets,
    memory: &mut Memory,
    events: &mut Vec<TraderEvent>,
) -> Result<(), WireError> {
    match fact {
        Fact::Order(order) => {
            let key = memory.key(&order.client_id, &order.venue_id);
            events.push(TraderEvent::Order { key, news: order_news(order, markets)?, t_venue: order.at });
        }
        Fact::Fill(fill) => translate_fill(fill, markets, memory, events),
        Fact::Position(position) => {
            if let Some(pair) = markets.pair(&position.market) {
                events.push(TraderEvent::Position { pair, qty: position.qty });
            }
        }
        Fact::Account(account) => {
            events.push(TraderEvent::Account { equity: account.equity, free: account.free });
            if account.liquidation {
                events.push(TraderEvent::Liquidation);
            }
        }
        Fact::Bust(fill) => {
            let fill = VenueOrderId::cut(fill);
            let key = memory.order_of_fill(fill);
            events.push(TraderEvent::Order { key, news: OrderNews::Busted(fill), t_venue: now });
        }
    }
    Ok(())
}

fn order_news(order: &OrderFact<'_>, markets: &Markets) -> Result<OrderNews, WireError> {
    let filled = order.filled()?;
    if !order.closed {
        return Ok(OrderNews::Acked);
    }
    Ok(match order.refusal()? {
        Some(reject) => OrderNews::Rejected(reject),
        None => OrderNews::Closed {
            filled,
            average: Price::ZERO,
            fee: Usd::ZERO,
            reason: Reason::cut(&quoted(&order.cancel_reason)),
            told: order.told(markets),
        },
    })
}

fn translate_fill(
    fill: &FillFact<'_>,
    markets: &Markets,
    memory: &mut Memory,
    events: &mut Vec<TraderEvent>,
) {
    match fill.kind {
        FillKind::Trade => {
            let key = memory.key(&fill.client_id, &fill.order_id);
            let id = VenueOrderId::cut(&fill.id);
            remember(&mut memory.fills, (id, key));
            let FillFact { qty, price, fee, funding, .. } = *fill;
            let news = OrderNews::Fill(Fill { id, qty, price, fee, funding }, fill.told(markets));
            events.push(TraderEvent::Order { key, news, t_venue: fill.at });
        }
        FillKind::Takeover => events.push(TraderEvent::Liquidation),
        FillKind::Settlement => {}
    }
}

fn remember<T>(known: &mut VecDeque<T>, new: T) {
    if known.len() == REMEMBERED {
        known.pop_front();
    }
    known.push_back(new);
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::types::{PairId, RejectClass};

    const OURS: OrderKey = OrderKey::Client(ClientId { epoch: 3, seq: 9, leg: 1 });

    fn order(client_id: &'static str, closed: bool, open: i64, reason: &'static str) -> OrderFact<'static> {
        OrderFact {
            venue_id: "77".into(),
            client_id: client_id.into(),
            market: fixture::BTC.into(),
            side: Some(Side::Sell),
            closed,
            size: Qty::from_raw(300),
            open: Qty::from_raw(open),
            average: Price::ZERO,
            cancel_reason: reason.into(),
            interactive: None,
            at: Nanos(5),
        }
    }

    fn fill(client_id: &'static str, kind: FillKind) -> Fact<'static> {
        Fact::Fill(FillFact {
            id: "f1".into(),
            order_id: "77".into(),
            client_id: client_id.into(),
            market: fixture::BTC.into(),
            side: Some(Side::Sell),
            kind,
            qty: Qty::from_raw(1),
            price: Price::from_raw(2),
            fee: Usd::from_raw(3),
            funding: Usd::from_raw(4),
            at: Nanos(5),
        })
    }

    fn events(facts: &[Fact<'_>]) -> Vec<TraderEvent> {
        let markets = Markets::new(&fixture::setup()).unwrap();
        let (mut memory, mut events) = (Memory::default(), Vec::new());
        for fact in facts {
            translate(fact, Nanos(1), &markets, &mut memory, &mut events).unwrap();
        }
        events
    }

    fn news(order: OrderFact<'_>) -> OrderNews {
        match events(&[Fact::Order(order)])[..] {
            [TraderEvent::Order { key: OURS, news, t_venue: Nanos(5) }] => news,
            ref other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_order_is_acknowledged_then_closed_with_what_was_filled() {
        assert_eq!(news(order("3-9-1", false, 300, "")), OrderNews::Acked);
        let OrderNews::Closed { filled, reason, .. } = news(order("3-9-1", true, 100, "EXPIRED")) else {
            panic!("not closed")
        };
        assert_eq!((filled.raw(), reason.as_str()), (200, "EXPIRED"));
    }

    #[test]
    fn a_late_refusal_is_a_reject_only_when_nothing_was_filled() {
        let OrderNews::Rejected(reject) = news(order("3-9-1", true, 300, "NOT_ENOUGH_MARGIN")) else {
            panic!("not rejected")
        };
        assert_eq!((reject.class, reject.code.as_str()), (RejectClass::TooLarge, "NOT_ENOUGH_MARGIN"));
        assert!(matches!(news(order("3-9-1", true, 100, "NOT_ENOUGH_MARGIN")), OrderNews::Closed { .. }));
        assert!(matches!(news(order("3-9-1", true, 300, "NEVER_HEARD_OF")), OrderNews::Closed { .. }));
    }

    #[test]
    fn an_execution_tells_its_side_and_its_market() {
        let told = |order: OrderFact<'static>| match news(order) {
            OrderNews::Closed { told, .. } => told,
            other => panic!("{other:?}"),
        };
        let ours = Told::of(PairId(0), Side::Sell);
        assert_eq!(told(order("3-9-1", true, 100, "")), ours);
        let foreign = OrderFact { market: "ETH-USD-PERP".into(), ..order("3-9-1", true, 100, "") };
        assert_eq!(told(foreign), Told { market: ToldMarket::Foreign, ..ours });
        let [TraderEvent::Order { news: OrderNews::Fill(_, told), .. }] =
            events(&[fill("3-9-1", FillKind::Trade)])[..]
        else {
            panic!("not a fill")
        };
        assert_eq!(told, ours);
    }

    #[test]
    fn more_open_than_ordered_is_an_error() {
        assert!(order("3-9-1", true, 301, "").filled().is_err());
    }

    #[test]
    fn fills_and_busts_without_our_id_find_their_order() {
        let facts = [
            Fact::Order(order("3-9-1", false, 300, "")),
            fill("", FillKind::Trade),
            Fact::Bust("f1".into()),
            Fact::Bust("f2".into()),
        ];
        let keys: Vec<_> = events(&facts)
            .iter()
            .map(|event| match event {
                TraderEvent::Order { key, news, .. } => (*key, matches!(news, OrderNews::Busted(_))),
                other => panic!("{other:?}"),
            })
            .collect();
        let nobody = OrderKey::Venue(VenueOrderId::EMPTY);
        assert_eq!(keys, [(OURS, false), (OURS, false), (OURS, true), (nobody, true)]);
    }

    #[test]
    fn foreign_orders_keep_the_venues_name() {
        let foreign = events(&[Fact::Order(order("ui-order", false, 300, ""))]);
        let key = OrderKey::Venue(VenueOrderId::cut("77"));
        assert_eq!(foreign, [TraderEvent::Order { key, news: OrderNews::Acked, t_venue: Nanos(5) }]);
    }

    #[test]
    fn a_takeover_is_told_and_a_settlement_is_left_to_the_position() {
        assert_eq!(events(&[fill("", FillKind::Takeover)]), [TraderEvent::Liquidation]);
        assert_eq!(events(&[fill("", FillKind::Settlement)]), []);
        let (equity, free) = (Usd::from_raw(5), Usd::from_raw(4));
        let account = Fact::Account(AccountFact { equity, free, liquidation: true });
        assert_eq!(events(&[account]), [TraderEvent::Account { equity, free }, TraderEvent::Liquidation]);
    }
}
