//! What `bot4 status` shows: the engine at one moment, for people and scripts.

use serde::Serialize;

use super::attribution::{LegHops, SlowOrder};
use super::latency::Percentiles;
use super::summary::Legs;
use crate::store::number;
use crate::store::profit::Pnl;
use crate::types::{Qty, Rate};

/// The engine at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Status {
    /// `Active`, `Paused`, `Reducing` or `Halted`, and why.
    pub mode: &'static str,
    pub mode_why: String,
    /// Halted: what a person types to re-arm; empty otherwise.
    pub next_command: &'static str,
    pub seconds: u64,
    pub links: Vec<LinkStatus>,
    pub feeds: Vec<FeedStatus>,
    pub spreads: Vec<SpreadStatus>,
    pub pairs: Vec<PairStatus>,
    pub open_orders: u64,
    pub orders_sent: u64,
    pub orders_ready: u64,
    pub pairs_opened: u64,
    pub pairs_closed: u64,
    pub one_leg_count: u64,
    pub pnl_usd: Pnl,
    pub tick_to_wire_us: Legs,
    pub hops_us: LegHops,
    /// The ten slowest from the book to the wire, slowest first.
    pub worst_orders: Vec<SlowOrder>,
    /// By venue: from the order on the wire to the acknowledgement and to the fill, and how often it missed.
    pub venues: Vec<VenueStatus>,
    pub decision_to_terminal_ms: Percentiles,
    pub fill_skew_ms: Percentiles,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkStatus {
    pub exchange: &'static str,
    pub link: &'static str,
    pub up: bool,
    /// Time since it last went up or down.
    pub since_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FeedStatus {
    pub exchange: &'static str,
    pub pair: String,
    pub updates: u64,
    /// Between the last two times that the feed told its count.
    pub updates_per_s: u64,
    pub conflated: u64,
    /// Time since the feed last told a new count; while it lives it does so about once a second.
    pub age_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SpreadStatus {
    pub pair: String,
    #[serde(rename = "a_percent", serialize_with = "number::percent")]
    pub a: Rate,
    #[serde(rename = "b_percent", serialize_with = "number::percent")]
    pub b: Rate,
    #[serde(rename = "raw_a_percent", serialize_with = "number::percent")]
    pub raw_a: Rate,
    #[serde(rename = "raw_b_percent", serialize_with = "number::percent")]
    pub raw_b: Rate,
}

/// What we hold, by our own fills; positive = long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PairStatus {
    pub pair: String,
    #[serde(serialize_with = "number::money")]
    pub first_leg: Qty,
    #[serde(serialize_with = "number::money")]
    pub second_leg: Qty,
    /// What one leg holds beyond the other: zero when hedged.
    #[serde(serialize_with = "number::money")]
    pub unhedged: Qty,
    pub held_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VenueStatus {
    pub exchange: &'static str,
    pub ack_ms: Percentiles,
    pub fill_ms: Percentiles,
    pub placed: u64,
    /// Placed in the last 60 s, at most 1,024 of them.
    pub placed_last_minute: u64,
    pub rejected: u64,
    /// Orders that ended with nothing filled, of all that ended.
    #[serde(rename = "miss_percent", serialize_with = "number::percent")]
    pub miss: Rate,
    /// `null` until the account was read: free margin of equity, and how far prices may run against what is held there
    /// until it is reduced.
    pub margin_free_percent: Option<f64>,
    pub margin_runway_percent: Option<f64>,
    /// `null` where the expiry is not known.
    pub key_days_left: Option<f64>,
}
