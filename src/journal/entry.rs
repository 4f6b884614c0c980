//! The facts that the journal holds. Applying them in order, from the last snapshot on, gives the engine's whole
//! state; so nothing that matters may change without an entry.

use crate::position::{Adjustment, Ledger, PairBook};
use crate::types::limits::NAME_MAX;
use crate::types::message::{Mode, StopReason};
use crate::types::order::{Reason, VenueOrderId};
use crate::types::settings::PairSettings;
use crate::types::tally::{Counted, Tally};
use crate::types::{
    ClientId, Direction, Fill, IntentKind, MarketRules, Nanos, OrderSpec, OrderState, PairId, Price, Qty,
    Rate, Text, Usd, VenueId,
};

/// One fact. Fixed size, `Copy`; `journal::codec` gives it bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Entry {
    /// A run begins. `epoch` rises with each run and is part of every order id.
    Epoch { epoch: u32, config_hash: u64, at: Nanos },
    /// Books of one pair at the start of a segment.
    PairSnapshot { pair: PairId, book: PairBook },
    /// Totals at the start of a segment.
    TotalsSnapshot { totals: Totals },
    /// The last order of a leg at the start of a segment, over or not: later entries may still name it.
    OrderSnapshot { order: IntentOrder, state: OrderState, venue_id: VenueOrderId, done: Done, at: Nanos },
    /// What is about to be sent: both legs in one entry, before the first byte of either leaves.
    Intent { intent: IntentEntry },
    /// The bytes of this order were given to the socket.
    Sent { id: ClientId, at: Nanos },
    /// The venue named it.
    Acked { id: ClientId, venue_id: VenueOrderId, at: Nanos },
    /// The outcome is not known.
    Unknown { id: ClientId, at: Nanos },
    /// One execution, or the whole of them where the venue has no fills.
    Filled { id: ClientId, fill: Fill, at: Nanos },
    /// A fill undone by the venue.
    Busted { id: ClientId, fill: Fill, at: Nanos },
    /// What the venue shows of a leg is not what our fills say; our books follow it.
    Adjusted { pair: PairId, by: Adjustment, at: Nanos },
    /// The order is terminal.
    Closed { id: ClientId, state: OrderState, filled: Qty, reason: Reason, at: Nanos },
    /// Both legs of an entry stand.
    PairOpened { pair: PairId, direction: Direction, qty: Qty, spread: Rate, at: Nanos },
    /// A pair that stood already when the segment began; follows its snapshot. No news: it was opened before.
    PairHeld { pair: PairId, spread: Rate },
    /// A pair is flat; its books are closed into the totals.
    PairClosed { pair: PairId, reason: StopReason, spread: Rate, ledger: Ledger, at: Nanos },
    /// Funding settled outside an order.
    Funding { venue: VenueId, pair: PairId, amount: Usd, at: Nanos },
    /// Mode of the engine.
    Mode { mode: Mode, why: Reason, at: Nanos },
    /// Orderly end: nothing open, nothing unknown.
    Stopped { at: Nanos },
    /// What orders may have filled beyond what was booked at their ends: their venue told no figures, and reads of the
    /// position may lag.
    Unproven { pair: PairId, leg: u8, open: Unproven, at: Nanos },
    /// Rules of a leg's market, when they are told and when they change: what a start without its venue goes by.
    Rules { pair: PairId, leg: u8, rules: MarketRules, at: Nanos },
    /// How often something was done lately, at the start of a segment.
    Tally { of: Counted, venue: VenueId, tally: Tally },
    /// What of a venue's history is known, at the start of a segment and once it was read.
    History { venue: VenueId, history: History },
    /// Which markets a pair's number stands for, at the start of a segment: the configuration may be edited.
    Named { pair: PairId, markets: Markets },
}

/// A name or a symbol of the configuration, which allows no longer one.
pub type Name = Text<NAME_MAX>;

/// What a pair is called and what it trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Markets {
    pub name: Name,
    /// Venues of leg 0 and leg 1 and their symbols.
    pub venues: [VenueId; 2],
    pub symbols: [Name; 2],
}

impl Markets {
    pub fn of(pair: &PairSettings) -> Self {
        let [first, second] = &pair.symbols;
        Self {
            name: Name::cut(&pair.name),
            venues: pair.venues,
            symbols: [Name::cut(first), Name::cut(second)],
        }
    }
}

/// What orders of ours that are over may still show of a leg beyond our books: at most so much of either sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unproven {
    /// Never positive.
    pub sold: Qty,
    /// Never negative.
    pub bought: Qty,
}

/// What the journal knows of a venue's history of orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    pub newest: Newest,
    /// Part of it that has still to be read: a run ended without a word, and its last orders may not stand here.
    pub unread: Option<Tail>,
}

/// The newest order of a venue that the journal has had an intent for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Newest {
    /// Its run and number.
    pub epoch: u32,
    pub seq: u32,
    pub nonce: u64,
    /// When it was meant.
    pub at: Nanos,
}

/// Where the journal of a run ends that ended without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The last run that may have sent something.
    pub epoch: u32,
    pub newest: Newest,
    /// Orders that are not known left after this, less a margin, and before that: the next run began, ms.
    pub since_ms: u64,
    pub before_ms: u64,
}

impl Unproven {
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// With another order that may have filled so much, signed.
    #[must_use]
    pub fn with(self, open: Qty) -> Self {
        let Self { sold, bought } = self;
        Self {
            sold: sold.saturating_add(open.min(Qty::ZERO)),
            bought: bought.saturating_add(open.max(Qty::ZERO)),
        }
    }

    /// What either of them holds.
    #[must_use]
    pub fn widened(self, other: Self) -> Self {
        Self { sold: self.sold.min(other.sold), bought: self.bought.max(other.bought) }
    }

    /// So much, signed, may be of these orders.
    pub fn explains(self, more: Qty) -> bool {
        !more.is_zero() && self.sold <= more && more <= self.bought
    }

    /// What is left once so much was shown.
    #[must_use]
    pub fn less(self, more: Qty) -> Self {
        Self { sold: self.sold - more.min(Qty::ZERO), bought: self.bought - more.max(Qty::ZERO) }
    }
}

/// One leg's order in an intent, with the price expected at the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntentOrder {
    pub spec: OrderSpec,
    /// Leg of the pair, 0 or 1.
    pub leg: u8,
    pub expected: Price,
}

/// What has become of an order so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Executed and not taken back, its fees, and the sum of price × quantity.
    pub filled: Qty,
    pub fee: Usd,
    pub cost: Usd,
    /// Executed and taken back by the venue, whose lists may show it as filled all the same.
    pub busted: Qty,
    /// The funding that it settled was read and booked.
    pub funding_told: bool,
}

/// A decision as it stands in the journal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IntentEntry {
    pub seq: u32,
    pub pair: PairId,
    /// `None` for a mending order.
    pub kind: Option<IntentKind>,
    pub edge: Rate,
    pub basis: Rate,
    pub mid: Price,
    pub orders: [Option<IntentOrder>; 2],
    /// Positions per leg before it, from our books.
    pub before: [Qty; 2],
    pub at: Nanos,
}

/// Running totals of all pairs over all runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub ledger: Ledger,
    pub pairs_opened: u64,
    pub pairs_closed: u64,
    pub orders_sent: u64,
    /// Highest nonce ever used.
    pub nonce_high: u64,
    pub losing_in_a_row: u32,
    /// Realised result of the day `day` (days since the epoch).
    pub day: u32,
    pub day_result: Usd,
    pub halted: bool,
    /// The last result has not been held against what the accounts hold: not all of them had been read.
    pub unjudged: bool,
}
