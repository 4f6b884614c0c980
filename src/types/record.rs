//! What the hot threads tell `store`: fixed-size facts on a ring. `store` alone turns them into text.

use super::ids::{ClientId, Direction, PairId, Side, VenueId};
use super::message::{Mode, StopReason};
use super::money::{Price, Qty, Rate, Usd};
use super::order::{Purpose, Reason, RejectClass};
use super::time::Nanos;

/// Sockets that the engine keeps up per venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Public book stream, owned by `md:<venue>`.
    MarketData,
    /// Order entry, owned by `order`.
    Orders,
    /// Private events, owned by `order`; the same socket as `Orders` where the venue allows it.
    Private,
    /// One that stands by, connected and logged in, to take the place of `Orders` at once.
    Spare,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::MarketData, Self::Orders, Self::Private, Self::Spare];

    pub const fn name(self) -> &'static str {
        match self {
            Self::MarketData => "market data",
            Self::Orders => "orders",
            Self::Private => "private",
            Self::Spare => "spare",
        }
    }
}

/// Stages of one order or decision, for histograms. Nanoseconds since the epoch, zero = not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamps {
    pub t_wire: Nanos,
    pub t_book: Nanos,
    pub t_decide: Nanos,
    pub t_gate: Nanos,
    pub t_send: Nanos,
    /// The order was signed ahead.
    pub ready: bool,
}

/// The whole way of one order, from the last byte of the book that started it to its end. `NEVER` = not reached, or not
/// told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderTimes {
    pub id: ClientId,
    pub venue: VenueId,
    pub pair: PairId,
    pub purpose: Purpose,
    pub stamps: Stamps,
    pub t_acked: Nanos,
    /// First fill heard of.
    pub t_filled: Nanos,
    pub t_closed: Nanos,
    /// By the venue's own clock, of its last news.
    pub t_venue: Nanos,
}

impl OrderTimes {
    /// Every part of the way that was gone, ns, under the name that its figure in microseconds has.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let Stamps { t_wire, t_book, t_decide, t_gate, t_send, .. } = self.stamps;
        let parts = [
            ("wire_to_book_us", t_wire, t_book),
            ("book_to_decide_us", t_book, t_decide),
            ("decide_to_gate_us", t_decide, t_gate),
            ("gate_to_send_us", t_gate, t_send),
            ("tick_to_wire_us", t_wire, t_send),
            ("send_to_ack_us", t_send, self.t_acked),
            ("send_to_fill_us", t_send, self.t_filled),
            ("send_to_close_us", t_send, self.t_closed),
        ];
        let gone = parts.into_iter().filter(|(_, from, to)| *from != Nanos::NEVER && *to != Nanos::NEVER);
        gone.map(|(name, from, to)| (name, to.since(from)))
    }

    /// From the book's last byte to the order's, ns; `None` for an order that bad news and no book started.
    pub fn tick_to_wire_ns(&self) -> Option<u64> {
        let opens_or_closes = matches!(self.purpose, Purpose::Enter | Purpose::Exit);
        self.parts().find(|(name, _)| opens_or_closes && *name == "tick_to_wire_us").map(|(_, ns)| ns)
    }

    /// The venue's clock at its last news minus ours at the send, ms: transport, matching and the offset of the clocks.
    pub fn venue_ms(&self) -> Option<i64> {
        let both = self.t_venue != Nanos::NEVER && self.stamps.t_send != Nanos::NEVER;
        both.then(|| self.t_venue.ms().cast_signed() - self.stamps.t_send.ms().cast_signed())
    }
}

/// One fact with its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record {
    pub at: Nanos,
    pub kind: RecordKind,
}

/// Why an entry was not made; the reason stands in the log and in the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refusal {
    Stale,
    Skewed,
    Implausible,
    TooThin,
    NotReconciled,
    LinkDown,
    Mode,
    Busy,
    Cooldown,
    OrderCap,
    PairCap,
    GrossCap,
    Rate,
    Collar,
    Margin,
    Minimum,
    VenueState,
    Loss,
    ClockOffset,
    KeyExpiry,
    Foreign,
    JournalFull,
    OldIntent,
    /// The thresholds lose money at the fees that the venues tell now.
    Fees,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RecordKind {
    /// `updates` book updates of this market since start; logged at DEBUG.
    BookUpdated {
        venue: VenueId,
        pair: PairId,
        updates: u64,
        conflated: u64,
    },
    /// Once, when the reader of a venue ends: `messages = applied + conflated + rejected + waiting`.
    BookCounts {
        venue: VenueId,
        messages: u64,
        applied: u64,
        conflated: u64,
        rejected: u64,
        waiting: u64,
    },
    /// The venue has confirmed that the connection does its work.
    LinkUp {
        venue: VenueId,
        role: Role,
    },
    LinkDown {
        venue: VenueId,
        role: Role,
        why: Reason,
    },
    /// The venue refuses the connection until a person has done what `mend` says.
    LinkRefused {
        venue: VenueId,
        role: Role,
        why: Reason,
        mend: &'static str,
    },
    Reconnecting {
        venue: VenueId,
        role: Role,
        attempt: u32,
    },
    /// Bytes that a venue should not have sent, counted and dropped.
    BadFrame {
        venue: VenueId,
        why: Reason,
    },
    /// A whole message of a market that was not subscribed to, counted and dropped.
    WrongMarket {
        venue: VenueId,
        market: Reason,
    },
    /// Spreads of one pair for the status page, about once a second: adjusted edge per direction.
    Spread {
        pair: PairId,
        raw: [Rate; 2],
        adjusted: [Rate; 2],
        basis: [Rate; 2],
    },
    SpreadDetected {
        pair: PairId,
        direction: Direction,
        spread: Rate,
        raw: Rate,
        threshold: Rate,
        qty: Qty,
    },
    ExitDetected {
        pair: PairId,
        reason: StopReason,
        spread: Rate,
        raw: Rate,
        threshold: Rate,
    },
    EntryRefused {
        pair: PairId,
        refusal: Refusal,
    },
    OrderPlaced {
        id: ClientId,
        venue: VenueId,
        pair: PairId,
        side: Side,
        purpose: Purpose,
        qty: Qty,
        limit: Price,
        /// 0 for the first leg written after a decision, 1 for the second.
        nth: u8,
        stamps: Stamps,
    },
    /// Reply of the order socket.
    OrderAcked {
        id: ClientId,
        venue: VenueId,
        pair: PairId,
        latency_ns: u64,
    },
    OrderFilled {
        id: ClientId,
        venue: VenueId,
        pair: PairId,
        side: Side,
        qty: Qty,
        average: Price,
        fee: Usd,
        latency_ns: u64,
    },
    /// An order is over.
    OrderTimes(OrderTimes),
    OrderRejected {
        id: ClientId,
        venue: VenueId,
        pair: PairId,
        class: RejectClass,
        code: Reason,
    },
    OrderUnknown {
        id: ClientId,
        venue: VenueId,
        pair: PairId,
        for_ms: u64,
    },
    OrderResolved {
        id: ClientId,
        venue: VenueId,
        pair: PairId,
        filled: Qty,
    },
    Retry {
        pair: PairId,
        venue: VenueId,
        attempt: u32,
        max: u32,
    },
    AutoClose {
        pair: PairId,
        venue: VenueId,
        qty: Qty,
        complete: bool,
        notional: Usd,
    },
    /// A mending order was sent: which way home, what it is reckoned to cost, and what the other way would have.
    MendRoute {
        pair: PairId,
        venue: VenueId,
        complete: bool,
        cost: Usd,
        instead: Option<Usd>,
    },
    /// Both legs of an entry are filled and matched.
    EntryExecuted {
        pair: PairId,
        direction: Direction,
        spread: Rate,
        qty: Qty,
        decision_to_terminal_ns: u64,
        fill_skew_ns: u64,
    },
    /// A pair is flat again.
    ExitExecuted {
        pair: PairId,
        spread: Rate,
        pnl: Usd,
        reason: StopReason,
        decision_to_terminal_ns: u64,
        fill_skew_ns: u64,
    },
    /// A lone leg was mended after `ns` with one leg; `wire_ns` from the news to the mending order on the wire.
    Mended {
        pair: PairId,
        one_leg_ns: u64,
        wire_ns: u64,
        completed: bool,
        cost: Usd,
    },
    /// A book passed its age limit; `ns` later entries were off.
    StaleToOff {
        venue: VenueId,
        pair: PairId,
        ns: u64,
    },
    ModeChanged {
        mode: Mode,
        why: Reason,
    },
    Reconciled {
        venue: VenueId,
        open_orders: u32,
        positions: u32,
    },
    /// A position that our own orders do not explain.
    Foreign {
        venue: VenueId,
        pair: PairId,
        qty: Qty,
        ours: Qty,
    },
    ClockOffset {
        venue: VenueId,
        ms: i64,
        /// So far off that nothing is opened.
        blocks: bool,
    },
    /// An account, for the status: free margin of equity, and how far prices may run against what is held there until
    /// it is reduced (all of it when nothing is held).
    Margin {
        venue: VenueId,
        free: Rate,
        runway: Rate,
    },
    /// Free margin or a liquidation price is nearer than a person should leave it; `wanted` mends it.
    MarginLow {
        venue: VenueId,
        free: Rate,
        wanted: Usd,
        reducing: bool,
    },
    /// What is left of a signing key, `None` = nobody has said; `low` = a person has to do something about it.
    KeyLeft {
        venue: VenueId,
        hours: Option<u64>,
        low: bool,
    },
    /// Shutdown: orders cancelled so far.
    Cancelled {
        orders: u32,
    },
    Alarm {
        pair: PairId,
        venue: VenueId,
        what: Reason,
    },
}
