//! What the venues say, beyond the books: events of the private stream, answers to questions, accounts. And the
//! questions that the hot threads have for `keeper`.

use super::ids::{ClientId, PairId, Side, VenueId};
use super::limits::PAIRS_MAX;
use super::market::{MarketRules, VenueMode};
use super::money::{Price, Qty, Usd};
use super::order::{OrderNews, OrderReport, OrderSpec, Reason, VenueOrderId};
use super::record::Role;
use super::time::Nanos;

/// What a venue's private side says, already matched to our identity where the message names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraderEvent {
    Order {
        key: OrderKey,
        news: OrderNews,
        t_venue: Nanos,
    },
    /// Position as the venue states it, signed.
    Position {
        pair: PairId,
        qty: Qty,
    },
    /// Equity and free margin.
    Account {
        equity: Usd,
        free: Usd,
    },
    /// Account taken over by the venue's liquidation.
    Liquidation,
    /// All that is needed to send orders and to learn their outcome is up (or no more).
    Ready(bool),
    LinkDown {
        role: Role,
        why: Reason,
    },
    /// The venue refuses this connection until a person has done what `mend` says; its `LinkDown` follows.
    LinkRefused {
        role: Role,
        why: Reason,
        mend: &'static str,
    },
    /// The connection does its work: the venue has confirmed every step, or another that works has taken its place.
    LinkUp {
        role: Role,
    },
    /// The venue asks to be left alone for so long, ms; what it refused therefore is told next.
    Limited {
        for_ms: u32,
    },
    BadFrame {
        why: Reason,
    },
}

/// By which name a message speaks of an order. `order` resolves `Nonce` and `Venue` against its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderKey {
    Client(ClientId),
    Nonce(u64),
    Venue(VenueOrderId),
}

/// A cancel of one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CancelSpec {
    pub id: ClientId,
    pub venue: VenueId,
    pub pair: PairId,
    pub venue_id: VenueOrderId,
    pub signed_ms: u64,
    pub nonce: u64,
}

/// An account as the venue states it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountReport {
    /// Cash balance (collateral without unrealised profit).
    pub balance: Usd,
    /// Balance with unrealised profit.
    pub equity: Usd,
    pub free_margin: Usd,
    /// How much earlier than the positions these three were asked for, ms: a later call for them got no answer.
    pub money_age_ms: u32,
    /// Positions by `PairId`; a market without a row is flat.
    pub positions: [PositionReport; PAIRS_MAX],
    /// Markets held that no pair names.
    pub foreign_markets: u32,
    /// Venue's own time of the report, ms; zero = not told.
    pub venue_ms: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PositionReport {
    /// Signed: positive = long.
    pub qty: Qty,
    pub entry_price: Price,
    /// Zero = none stated.
    pub liquidation_price: Price,
}

/// An open order as the venue lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOrder {
    pub pair: Option<PairId>,
    pub venue_id: VenueOrderId,
    /// `None` = not one of ours.
    pub id: Option<ClientId>,
    pub nonce: u64,
}

/// An order that a venue's history shows, whoever sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastOrder {
    pub pair: PairId,
    /// `None` = not one of ours, or the venue keeps no name of ours.
    pub id: Option<ClientId>,
    /// Zero = the venue has none.
    pub nonce: u64,
    pub side: Side,
    /// At most so much of it was executed.
    pub qty: Qty,
    /// When the venue took it, or executed it, ms since the epoch.
    pub at_ms: u64,
}

/// What a query wants to know of one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderQuery {
    pub id: ClientId,
    pub pair: PairId,
    pub venue_id: VenueOrderId,
    pub nonce: u64,
    pub side: Side,
    pub qty: Qty,
    /// When it was signed: bounds the search in the venue's history.
    pub signed_ms: u64,
}

/// What a wish for a link follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum After {
    /// No link of this role has ended: it is the first one, or one more.
    #[default]
    Nothing,
    /// The last one was lost.
    Loss,
    /// The last one was refused, and the next will be until a person acts.
    Refusal,
}

/// A wish for something that blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A fresh link for this role; `keeper` keeps trying with back-off until it has one.
    Link {
        venue: VenueId,
        role: Role,
        after: After,
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
    /// One closing order over REST, while the order connection is down.
    Place {
        spec: OrderSpec,
    },
    /// Cancel everything on a market over REST.
    CancelAll {
        venue: VenueId,
        pair: PairId,
    },
    /// Balances and positions.
    Account {
        venue: VenueId,
    },
    OpenOrders {
        venue: VenueId,
    },
    /// Orders since then, ms since the epoch, that may have been executed: the journal may have lost some.
    PastOrders {
        venue: VenueId,
        since_ms: u64,
    },
    /// Rules of every market of ours and the venue's clock, before their time: a refusal may be due to either (SAFETY
    /// V7, C16).
    Rules {
        venue: VenueId,
    },
    /// The book of one market, while its stream is silent.
    Book {
        venue: VenueId,
        pair: PairId,
    },
}

impl Ask {
    /// Venue that is asked.
    pub fn venue(&self) -> VenueId {
        match *self {
            Self::Link { venue, .. }
            | Self::Order { venue, .. }
            | Self::CancelAll { venue, .. }
            | Self::Account { venue }
            | Self::PastOrders { venue, .. }
            | Self::Rules { venue }
            | Self::Book { venue, .. }
            | Self::OpenOrders { venue } => venue,
            Self::Cancel { target } => target.venue,
            Self::Place { spec } => spec.venue,
        }
    }
}

/// How long a key lives that signs orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyLife {
    #[default]
    Endless,
    /// It lapses then, ms since the epoch.
    Until(u64),
    /// It lapses, and nobody has said when.
    Untold,
}

impl KeyLife {
    /// Whether it is known to live until then, ms since the epoch.
    pub const fn lasts_until(self, ms: u64) -> bool {
        match self {
            Self::Endless => true,
            Self::Until(at_ms) => at_ms >= ms,
            Self::Untold => false,
        }
    }
}

/// An answer to an `Ask`, or what `keeper` learned on its own schedule. `asked` is the time at which the question left:
/// an answer older than a later event is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// `None` = the venue answered and knows no such order.
    Order {
        venue: VenueId,
        id: ClientId,
        asked: Nanos,
        report: Option<OrderReport>,
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
    PastOrders {
        venue: VenueId,
        asked: Nanos,
        orders: Vec<PastOrder>,
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
    /// How long the key lives that signs orders.
    KeyExpiry {
        venue: VenueId,
        life: KeyLife,
    },
    /// The account is not known to be set up as configured: the venue refused, or did not answer (at start only).
    Unprepared {
        venue: VenueId,
    },
    /// An order placed over REST was taken, or refused for certain.
    Placed {
        venue: VenueId,
        id: ClientId,
        news: OrderNews,
    },
    /// The best prices of a book that was asked for; zero = that side is empty.
    Book {
        venue: VenueId,
        pair: PairId,
        asked: Nanos,
        bid: Price,
        ask: Price,
    },
    /// The venue answered that we ask too much: nothing is opened there meanwhile.
    Limited {
        venue: VenueId,
        for_ms: u64,
    },
    /// The question got no answer; it proves nothing (SAFETY rule 8).
    Failed {
        ask: Ask,
    },
}
