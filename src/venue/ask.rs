//! What the hot threads ask of `keeper` and what it answers (rings `md_keeper`, `order_keeper` and back). Everything
//! that may block goes this way.

use super::{AccountReport, CancelSpec, OpenOrder, OrderQuery, ReadyLink};
use crate::types::record::Role;
use crate::types::{ClientId, MarketRules, Nanos, OrderReport, PairId, VenueId, VenueMode};

/// A wish for something that blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A fresh link for this role; `keeper` keeps trying with back-off until it has one.
    Link {
        venue: VenueId,
        role: Role,
    },
    /// One order, by every name we know of it.
    Order {
        venue: VenueId,
        query: OrderQuery,
    },
    /// Cancel over REST, where the stream is down or has none.
    Cancel {
        target: CancelSpec,
    },
    /// Balances and positions.
    Account {
        venue: VenueId,
    },
    OpenOrders {
        venue: VenueId,
    },
}

/// An answer, or a fact that `keeper` learned on its own schedule. `asked` is the time at which the question left:
/// an answer older than a later event is not believed.
pub enum Answer {
    Link(ReadyLink),
    /// `None` = the venue answered and knows no such order.
    Order {
        venue: VenueId,
        id: ClientId,
        asked: Nanos,
        report: Option<OrderReport>,
    },
    Cancelled {
        venue: VenueId,
        id: ClientId,
    },
    Account {
        venue: VenueId,
        asked: Nanos,
        report: AccountReport,
    },
    OpenOrders {
        venue: VenueId,
        asked: Nanos,
        orders: Vec<OpenOrder>,
    },
    Rules {
        venue: VenueId,
        pair: PairId,
        rules: MarketRules,
    },
    Mode {
        venue: VenueId,
        mode: VenueMode,
    },
    /// Venue's clock minus ours.
    Clock {
        venue: VenueId,
        offset_ms: i64,
    },
    /// The question got no answer; it proves nothing (SAFETY rule 8).
    Failed {
        ask: Ask,
        asked: Nanos,
    },
}
