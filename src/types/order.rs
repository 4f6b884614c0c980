//! Orders: what we ask of a venue (`OrderSpec`), what it tells us on its streams (`OrderNews`) and what it answers to
//! a query (`OrderReport`).

use super::ids::{ClientId, PairId, Side, VenueId};
use super::limits::{REASON_MAX, VENUE_ORDER_ID_MAX};
use super::money::{Price, Qty, Usd};
use super::text::Text;
use super::time::Nanos;

/// A venue's own id of an order or a fill. Opaque.
pub type VenueOrderId = Text<VENUE_ORDER_ID_MAX>;
/// A venue's code or reason text.
pub type Reason = Text<REASON_MAX>;

/// How a taker order is expressed where the venue gives a choice (`venues.<name>.order_kind`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrderKind {
    /// MARKET with a limit price as the worst acceptable one.
    #[default]
    Market,
    /// LIMIT, fill or kill.
    Fok,
    /// LIMIT, immediate or cancel.
    Ioc,
}

/// Fee and speed-bump profile of an account (`venues.<name>.profile`; sheet `paradex`, 7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// No speed bump, pays fees.
    #[default]
    Pro,
    /// No fees, 300 ms bump, small order budget.
    Retail,
}

/// The warm connections that orders leave on, where a venue takes them by HTTP (`venues.<name>`; story 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Connections kept, 2 to 8: one is never used to keep warm, so that an order finds it idle.
    pub connections: u32,
    /// A connection idle for this long is used once, so that neither side closes it, s.
    pub keep_warm_s: u32,
}

impl Default for Pool {
    fn default() -> Self {
        Self { connections: 3, keep_warm_s: 15 }
    }
}

/// What an order is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Opens its leg of a pair.
    Enter,
    /// Closes its leg of a pair.
    Exit,
    /// Completes the missing leg after the other filled.
    Complete,
    /// Closes the filled leg after the other failed.
    Unwind,
}

impl Purpose {
    /// Orders that can only shrink a position carry the venue's reduce-only flag (SAFETY rule 7).
    pub const fn reduce_only(self) -> bool {
        matches!(self, Self::Exit | Self::Unwind)
    }
}

/// One order, complete: nothing is added later but the signature and the receive window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderSpec {
    pub id: ClientId,
    pub venue: VenueId,
    pub pair: PairId,
    pub side: Side,
    pub purpose: Purpose,
    pub qty: Qty,
    pub limit: Price,
    pub reduce_only: bool,
    /// Signed time, ms since the epoch, never in the future.
    pub signed_ms: u64,
    /// Unique rising number for venues that identify an order by it (Vest `nonce`).
    pub nonce: u64,
    /// Receive window from `signed_ms`, ms: after it the venue refuses the order (SAFETY rule 2).
    pub window_ms: u32,
}

/// Life of one order as we know it (SAFETY §2.0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderState {
    /// In the journal, not on the wire.
    Intent,
    /// Written to the socket.
    Sent,
    /// The venue has it. Not a fill.
    Acked,
    /// No answer, or one that proves nothing: it counts as nothing and as everything.
    Unknown,
    /// Terminal, filled in part or whole.
    Filled,
    /// Terminal, nothing filled.
    NoFill,
    /// Terminal, refused by the venue.
    Rejected,
    /// Terminal, proven never to have arrived.
    NeverAccepted,
}

impl OrderState {
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Filled | Self::NoFill | Self::Rejected | Self::NeverAccepted)
    }
}

/// What a reject means for us (SAFETY O10). A code that no sheet lists is `Ambiguous`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectClass {
    /// This order is dead; a new one may be tried at once after the delay.
    Definitive,
    /// This order is dead for its size (open interest, margin, position limit): a smaller one may do.
    TooLarge,
    /// This order is dead; the venue asks for patience (rate limit, market state).
    RetryLater,
    /// This order is dead and a person is needed (keys, permissions, account).
    Halt,
    /// It proves nothing: resolve by query.
    Ambiguous,
}

/// A refusal with the venue's own code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reject {
    pub class: RejectClass,
    pub code: Reason,
}

/// One execution. `fee` positive = paid. `funding` positive = received with this fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Venue's fill id; empty where it has none (then fills are known by the cumulative quantity).
    pub id: VenueOrderId,
    pub qty: Qty,
    pub price: Price,
    pub fee: Usd,
    pub funding: Usd,
}

/// The market of an order or an execution, as its venue names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ToldMarket {
    /// The message names none.
    #[default]
    Untold,
    Of(PairId),
    /// One that no pair names.
    Foreign,
}

impl ToldMarket {
    /// What a message names, looked up among the markets of our pairs.
    pub fn looked_up(pair: Option<PairId>) -> Self {
        pair.map_or(Self::Foreign, Self::Of)
    }
}

/// Which way and where an order or an execution was, as its venue tells it: what it should be is known, and this may
/// contradict it (SAFETY O17).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// `None` = not told.
    pub side: Option<Side>,
    pub market: ToldMarket,
}

impl Told {
    pub fn of(pair: PairId, side: Side) -> Self {
        Self { side: Some(side), market: ToldMarket::Of(pair) }
    }

    /// Nothing of it contradicts this side.
    pub fn fits_side(self, side: Side) -> bool {
        self.side.is_none_or(|told| told == side)
    }

    /// Nothing of it contradicts the market of this pair.
    pub fn fits_market(self, pair: PairId) -> bool {
        matches!(self.market, ToldMarket::Untold) || self.market == ToldMarket::Of(pair)
    }
}

/// What the private stream or the reply to an order says. `spread` never sees it; `order` matches it by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderNews {
    /// Accepted for its checks; `venue_id` is known from here on.
    Acked,
    /// One execution, with a fill id.
    Fill(Fill, Told),
    /// Closed by the venue with this cumulative quantity filled; the fills may still be under way. Where the venue
    /// has no fill messages, `average`, `fee` tell the execution of the whole order (`average` zero otherwise).
    Closed { filled: Qty, average: Price, fee: Usd, reason: Reason, told: Told },
    /// Refused. Nothing was filled.
    Rejected(Reject),
    /// The venue undid a fill (SAFETY O18).
    Busted(VenueOrderId),
}

/// Answer to a query for one order, by any of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderReport {
    pub venue: VenueId,
    pub id: ClientId,
    pub venue_id: VenueOrderId,
    pub told: Told,
    pub qty: Qty,
    /// Whether the venue says that nothing more will happen to it.
    pub terminal: bool,
    pub rejected: Option<Reject>,
    /// Whether it tells what was filled. The end of an order that does not leaves that to the position.
    pub tells_fill: bool,
    pub filled: Qty,
    /// Average price of `filled`, exact to the venue's own rounding; zero when nothing is filled.
    pub average: Price,
    pub fee: Usd,
    /// Funding settled with this order, positive = received.
    pub funding: Usd,
    pub at: Nanos,
}
