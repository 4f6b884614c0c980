//! What is known of a venue at this moment, as the gate reads it. Owned by `core`; changed by what the venues tell.

use super::health::MarginWatch;
use crate::journal::entry::History;
use crate::types::report::{AccountReport, KeyLife};
use crate::types::{Nanos, Usd, VenueMode};

/// What is known of one venue.
#[derive(Clone, Copy, Debug, Default)]
pub struct VenueFacts {
    pub ready: bool,
    /// Private calls over REST were answered since `ready` was lost.
    pub rest_answers: bool,
    /// When it is next asked whether they are, while a close may need them.
    pub next_rest_look: Nanos,
    /// Since when it is ready.
    pub ready_since: Nanos,
    /// When something was told that changes positions without an order of this run: a liquidation, a late fill.
    pub suspect: Nanos,
    /// When it is next asked for what that did.
    pub next_look: Nanos,
    /// It was ready before in this run.
    pub was_ready: bool,
    /// No entries before this (a private stream has just returned).
    pub settled_at: Nanos,
    /// A close that the venue refuses for now is not tried again before.
    pub closes_later: Nanos,
    pub mode: VenueMode,
    pub account: Option<AccountReport>,
    /// When the newest statement of the account was asked for; `None` where nobody asks (paper).
    pub stated: Option<Nanos>,
    /// When its rules were last asked for because a market that something is held on is halted by them.
    pub rules_asked: Nanos,
    /// It was told that the statement is too old.
    pub told_unread: bool,
    pub reconciled: bool,
    /// When a fill came of an order of ours that is in no slot any more.
    pub late_fill: Nanos,
    /// Orders of ours are open there that nobody waits for; they are being cancelled.
    pub left_over: bool,
    /// What the journal knows of its orders.
    pub history: History,
    /// When the rest is next asked for, and that it was told that it is not read.
    pub next_past: Nanos,
    pub told_past: bool,
    /// When it was told that nobody can say what that fill did.
    pub told_late: Nanos,
    pub clock_offset_ms: i64,
    /// Readings in a row beyond what halts.
    pub clock_beyond: u32,
    pub margin: MarginWatch,
    /// How long the key lives that signs orders there.
    pub key: KeyLife,
    /// When it was last said how long that is.
    pub key_told: Nanos,
    /// That was too little.
    pub key_low: bool,
    /// Worst-case notional held and in flight on this venue, over all pairs.
    pub gross: Usd,
    /// Initial margin that `gross` asks for: the account as last stated may not know of all of it yet.
    pub tied: Usd,
}
