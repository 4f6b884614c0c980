//! What travels between the threads by ring. Facts are nouns, a wish is an `Intent`; each carries its time stamps, so
//! that latency is a subtraction in `store` and not work on the path. All are `Copy` and of fixed size.

use super::ids::{Direction, PairId, VenueId};
use super::limits::{PAIRS_MAX, SIZES};
use super::market::Ticker;
use super::money::{Price, Qty, Rate};
use super::order::Reason;
use super::time::Nanos;

/// The price of walking one side of a book for one size; all zero when the book holds less than the size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// Volume-weighted price, rounded against us (up for a buy, down for a sell).
    pub vwap: Price,
    /// Worst price touched: a limit inside it would guarantee a partial fill.
    pub worst: Price,
}

impl Walk {
    /// The book holds the size.
    pub const fn is_defined(&self) -> bool {
        !self.vwap.is_zero()
    }
}

/// Some of the sizes that a quote is priced at, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SizeSet(pub u8);

const _: () = assert!(SIZES <= 8);

impl SizeSet {
    pub const ALL: Self = Self((1 << SIZES) - 1);

    pub fn insert(&mut self, size: usize) {
        self.0 |= 1 << size;
    }

    pub const fn contains(self, size: usize) -> bool {
        self.0 & (1 << size) != 0
    }
}

/// One market's book after an update, priced at the pair's sizes. Sent by `md:<venue>` to `spread` and `order`. It
/// fills three cache lines, twelve prices being a line and a half: what nobody decides on is not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(64))]
pub struct Quote {
    pub venue: VenueId,
    pub pair: PairId,
    /// The book is whole, uncrossed and positive. An untradable quote tells the reader to forget the last one.
    pub tradable: bool,
    /// It is not, because its price has leapt away from the last that was believed (SAFETY M5).
    pub wild: bool,
    /// Sizes that are at most `risk.max_depth_share` of what is displayed near the touch, bought and sold.
    pub buy_within: SizeSet,
    pub sell_within: SizeSet,
    /// Updates of this market seen since start, conflated ones included.
    pub updates: u64,
    /// Return of the read that brought the last byte.
    pub t_wire: Nanos,
    /// Book applied and priced.
    pub t_book: Nanos,
    pub bid: Price,
    pub ask: Price,
    /// Sizes priced: the configured size, 1/2 and 1/4 of it, floored to the common lot; zero = below the minimum.
    pub sizes: [Qty; SIZES],
    /// Walking the asks (what we pay) and the bids (what we get) for each of `sizes`.
    pub buy: [Walk; SIZES],
    pub sell: [Walk; SIZES],
    pub ticker: Ticker,
}

const _: () = assert!(size_of::<Quote>() == 192);

/// Why a pair is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The gap has gone: cost at or under `exit_threshold`.
    Threshold,
    /// Adjusted spread wider than at entry by `risk.stop_widening_bps`.
    Widening,
    /// Longer than `risk.max_hold_s`.
    MaxHold,
    /// Carry eats the pair.
    Carry,
    /// Margin or liquidation distance.
    Margin,
    /// A person or a stop of the engine asked for it.
    Operator,
    /// A leg was gone at its venue: closed by hand, liquidated, taken back.
    Gone,
    /// The venue takes the market off soon.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntentKind {
    Enter(Direction),
    Exit(StopReason),
}

/// The wish of `spread`: open or close this pair now, at most this size, at these limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    pub pair: PairId,
    pub kind: IntentKind,
    /// Base units per leg.
    pub qty: Qty,
    /// Worst acceptable price per leg, on the tick, rounded inward.
    pub limits: [Price; 2],
    /// Expected average price per leg (the edge at decision is computed from these).
    pub expected: [Price; 2],
    /// Raw entry edge, or raw exit cost, at `qty`, of the mean mid.
    pub edge: Rate,
    /// Standing basis subtracted (frozen at entry; MONEY, standing basis).
    pub basis: Rate,
    /// Mean of the two mids at decision: the denominator.
    pub mid: Price,
    /// `t_wire` and `t_book` of the newer quote.
    pub t_wire: Nanos,
    pub t_book: Nanos,
    pub t_decide: Nanos,
}

/// What `spread` may do with one pair. Sent by `order` whenever it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exposure {
    pub pair: PairId,
    pub state: ExposureState,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExposureState {
    /// Neither: orders in flight, cooling down, links down, not reconciled, mode forbids.
    #[default]
    Blocked,
    /// Flat, entries allowed.
    MayEnter,
    /// Held: look for the exit of `qty` in `direction`.
    Held {
        direction: Direction,
        qty: Qty,
        /// Basis frozen at entry.
        basis: Rate,
        /// Edge at the entry fills, of the mean mid at entry.
        edge: Rate,
        since: Nanos,
    },
}

/// Modes of SAFETY rule 10. Hedging, exits and stops run in every one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    Active,
    /// No entries.
    #[default]
    Paused,
    /// No entries, exits are sought.
    Reducing,
    /// As Paused, latched on disk until a person re-arms it.
    Halted,
}

impl Mode {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Paused => "Paused",
            Self::Reducing => "Reducing",
            Self::Halted => "Halted",
        }
    }
}

/// A word of the operator (or of `main` on a signal) to `order`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Pause,
    Resume,
    /// Latch Halted: no entries, entry orders of ours are cancelled, hedging, exits and stops go on. Every pair is
    /// closed too when `flatten`.
    Halt {
        flatten: bool,
        why: Reason,
    },
    /// A person has looked: from Halted to Paused.
    Unlatch {
        why: Reason,
    },
    /// Take what the venues hold as the book of this pair.
    Adopt(PairId),
    /// Stop entries, resolve, cancel; then close every pair when `flatten`, else keep them.
    Stop {
        flatten: bool,
    },
    /// The database lags too far behind the journal (or no more): no entries meanwhile.
    HoldForDatabase(bool),
}

/// Small set of pairs, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PairSet(pub u16);

const _: () = assert!(PAIRS_MAX <= 16);

impl PairSet {
    pub fn insert(&mut self, pair: PairId) {
        self.0 |= 1 << pair.0;
    }

    pub const fn contains(self, pair: PairId) -> bool {
        self.0 & (1 << pair.0) != 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = PairId> {
        (0..PAIRS_MAX as u8).map(PairId).filter(move |&pair| self.contains(pair))
    }
}
