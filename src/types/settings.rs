//! What the operator decided, checked and in the engine's units. Made by `config`, read-only afterwards; defaults are
//! the table of SAFETY §7 and live in `config`.

use super::ids::{PairId, VenueId};
use super::money::{Qty, Rate, Usd};

/// One pair of markets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairSettings {
    pub id: PairId,
    /// Name for people, e.g. `BTC`.
    pub name: String,
    /// Venues of leg 0 and leg 1 and their wire symbols.
    pub venues: [VenueId; 2],
    pub symbols: [String; 2],
    /// Base units per leg.
    pub size: Qty,
    /// Edge at which a pair is opened, of the mean mid.
    pub entry_threshold: Rate,
    /// Cost at or under which it is closed; may be negative.
    pub exit_threshold: Rate,
}

/// Standing basis (MONEY).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Compare the raw gap with the thresholds.
    Raw,
    /// Subtract a slow average with this half-life; no entries before the warm-up has passed.
    Ewma { half_life_s: u32, warmup_s: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalSettings {
    pub basis: Basis,
    /// Consecutive quotes that must show the edge.
    pub persistence_updates: u32,
    /// Close by threshold only when the pair has earned `risk.min_profit`.
    pub exit_requires_profit: bool,
    /// Hours over which adverse carry is charged to an entry.
    pub expected_hold_h: u32,
}

/// Which leg leaves first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Legs {
    /// Both at once from one thread.
    Together,
    /// The named leg first, the other when it has filled.
    First(VenueId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecutionSettings {
    pub legs: Legs,
    /// Of two orders that leave at once, the one that is written first.
    pub written_first: VenueId,
    /// Share of the slack above the threshold that the limits may give away, of one (default half).
    pub slack_share: Rate,
    /// How far beyond the decision price the missing leg may be completed.
    pub completion_slippage: Rate,
    /// Absolute band of every unwind.
    pub max_unwind: Rate,
    pub retry_attempts: u32,
    pub retry_delay_ms: u32,
    /// Receive window beyond the age of the order at the send, ms.
    pub receive_window_ms: u32,
    /// An acknowledged order without terminal event is cancelled after this, ms.
    pub pending_cancel_ms: u32,
    /// Without an acknowledgement after this an order is Unknown, ms.
    pub ack_deadline_ms: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RiskSettings {
    pub max_order_notional: Usd,
    pub max_pair_notional: Usd,
    pub max_gross_notional: Usd,
    /// Net delta over all pairs tolerated, USD.
    pub max_net_delta: Usd,
    pub max_depth_share: Rate,
    /// Depth counted for `max_depth_share`: within this of the touch.
    pub depth_band: Rate,
    pub max_plausible: Rate,
    pub max_skew_ms: u32,
    pub max_naked_ms: u32,
    pub max_hold_s: u32,
    pub min_profit: Rate,
    pub slippage: Rate,
    /// Zero = off.
    pub stop_widening: Rate,
    pub daily_loss: Usd,
    pub losing_pairs_pause: u32,
    pub cooldown_ms: u32,
    pub failed_leg_cooldown_ms: u32,
    pub link_cooldown_ms: u32,
    pub max_entries_per_hour: u32,
    pub max_entries_per_day: u32,
    pub max_order_errors_per_min: u32,
    /// Collar of every limit around own book, other venue's book and mark.
    pub price_collar: Rate,
    pub leverage: u32,
    /// Free margin wanted for entries, of equity.
    pub entry_free_margin: Rate,
    pub clock_warn_ms: u32,
    pub clock_no_entries_ms: u32,
    pub clock_halt_ms: u32,
}

/// Per venue, what the stages need to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VenueSettings {
    pub id: VenueId,
    pub max_book_age_ms: u32,
    /// Order messages per second that we allow ourselves; 30 % of it is kept for closing.
    pub orders_per_s: u32,
    /// Orders in 24 h allowed by the account's profile; zero = no such budget.
    pub orders_per_day: u32,
    /// Minute of the day, UTC, at which the venue's planned maintenance begins on weekdays.
    pub maintenance_minute: Option<u32>,
    /// Orders that close can go over REST while the venue's sockets are down.
    pub closes_by_rest: bool,
}

/// Everything the pure stages read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub pairs: Vec<PairSettings>,
    /// In the order of the registry; index = `VenueId`.
    pub venues: Vec<VenueSettings>,
    pub signal: SignalSettings,
    pub execution: ExecutionSettings,
    pub risk: RiskSettings,
    pub dedicated_account: bool,
    pub upkeep: Upkeep,
}

/// Periods, deadlines and bands of what goes on beside trading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upkeep {
    pub mending: Mending,
    pub throttle: ThrottleSettings,
    pub margin: MarginSettings,
    pub reconcile: Reconcile,
    pub pauses: Pauses,
    pub stop_deadline_s: u32,
    pub maintenance: Maintenance,
    pub keys: KeyExpiry,
    pub database: DatabaseLag,
    pub journal_free_min_mb: u32,
    pub heartbeat_max_ms: u32,
    /// For `store`, which gives way to all others.
    pub store_heartbeat_max_ms: u32,
    /// For the threads that may block.
    pub blocking_heartbeat_max_ms: u32,
    /// Growth of the resident memory within an hour that a person is told of.
    pub memory_growth_max_mb: u32,
}

/// The lone-leg ladder and the resolution of unknown orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mending {
    /// Collars of successive unwinds that were priced and missed, rising; then `execution.max_unwind`.
    pub unwind_bands: Vec<Rate>,
    /// Without a fill for this long the latch falls, s. The ladder goes on.
    pub no_progress_halt_s: u32,
    /// When an unknown order is asked for, ms after it became unknown, rising; the last step repeats. Never empty.
    pub query_at_ms: Vec<u32>,
    pub unknown_alarm_s: u32,
}

/// Repetitions that latch Halted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottleSettings {
    pub max_entries_per_min: u32,
    /// In a row, crashes of the engine included.
    pub max_failed_entries: u32,
    pub max_unwinds_per_hour: u32,
}

/// Margin at which a person is told and pairs are reduced, of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarginSettings {
    /// Free margin, of equity: below it a person is told what to send.
    pub alert_free: Rate,
    /// Free margin, of equity: below it pairs are reduced on both legs.
    pub reduce_free: Rate,
    /// Distance of a position's liquidation price, of the price: the same.
    pub liquidation_distance: Rate,
}

/// Periods of the running reconciliation, s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reconcile {
    /// Open orders.
    pub orders_s: u32,
    /// Positions and balances.
    pub positions_s: u32,
    pub rules_s: u32,
}

/// How long the automatic pauses last, and the loss of a day, of equity, that halts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pauses {
    pub losing_pairs_s: u32,
    pub order_errors_s: u32,
    /// Zero = off.
    pub daily_loss_share: Rate,
}

/// Around a venue's planned maintenance, s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maintenance {
    pub entries_off_before_s: u32,
    pub entries_on_after_s: u32,
}

/// Hours left of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyExpiry {
    pub warn_h: u32,
    /// Beyond the longest hold, needed for entries.
    pub spare_h: u32,
}

/// When a person is called; a person is never called for less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertRules {
    /// One leg holds more than the other for so long.
    pub lone_leg_ms: u32,
    /// The outcome of an order is not known for so long.
    pub unknown_ms: u32,
    /// A connection is down for so long.
    pub link_down_ms: u32,
    /// What goes on is told again after so long.
    pub repeat_ms: u32,
    /// Minute of the day, UTC, of the daily summary; `None` = none.
    pub summary_minute: Option<u32>,
}

/// Time for which the database may lack what the journal holds, s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatabaseLag {
    pub alert_s: u32,
    pub no_entries_s: u32,
}
