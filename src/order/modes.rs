//! Modes (SAFETY rule 10): what a person, the limits and the machine allow. They hold back entries alone; hedging,
//! exits and stops run in every one of them. Part of `order::core`.

use super::core::{Core, Effect, Effects, Holds};
use super::lifecycle::Order;
use crate::journal::entry::Entry;
use crate::types::order::Reason;
use crate::types::planted::planted;
use crate::types::{ClientId, Command, Mode, Nanos, OrderState, PairId, RecordKind, VenueId};

/// How long entries are off after the thread was held up: time to read what has piled up, and the file `HALT`.
const STALL_HOLD_MS: u64 = 2_000;
/// Why the engine pauses by itself; the journal's word for it, which a restart reads.
pub const LOSING: &str = "losing pairs in a row";
pub const ERRORS: &str = "order errors";
/// Why it pauses until a person resumes.
pub const UNPREPARED: &str = "an account is not known to be set up";
/// Why the mode changes when a person pauses or resumes.
pub const OPERATOR: &str = "operator";
/// A person's halt that also closes every pair: so it goes on after a restart.
const FLATTENS: &str = "operator: halt --flatten";
/// Why the order thread halts when the journal cannot be written to the disk.
const JOURNAL_FAILED: &str = "the journal cannot be written to the disk";

impl Core {
    /// The mode that a run begins in: the latch, Reducing and a pause under way outlive the last run.
    pub(super) fn start_mode(&mut self, now: Nanos, wanted: Mode, fx: &mut Effects) {
        if self.totals.halted {
            return self.set_mode(now, Mode::Halted, &self.mode_why.to_string(), fx);
        }
        let pauses = wanted == Mode::Active && self.paused_until.is_some_and(|until| now < until);
        if pauses || self.mode == Mode::Reducing {
            let (mode, why) = (self.mode, self.mode_why);
            return fx.push(Effect::Log(RecordKind::ModeChanged { mode, why }));
        }
        self.set_mode(now, wanted, "start", fx);
    }

    /// What a journal segment has to say of the mode: the latch, Reducing, or the pause under way.
    pub(super) fn lasting_mode(&self, at: Nanos) -> Option<Entry> {
        if self.totals.halted && !planted("snapshot_forgets_latch") {
            return Some(Entry::Mode { mode: Mode::Halted, why: self.mode_why, at });
        }
        let lasts = self.mode == Mode::Reducing || self.paused_until.is_some();
        lasts.then_some(Entry::Mode { mode: self.mode, why: self.mode_why, at: self.mode_since })
    }

    /// Takes a journalled change of mode.
    pub(super) fn apply_mode(&mut self, mode: Mode, why: Reason, at: Nanos) {
        let pauses = &self.settings.upkeep.pauses;
        let lasts_s = match why.as_str() {
            LOSING => Some(pauses.losing_pairs_s),
            ERRORS => Some(pauses.order_errors_s),
            _ => None,
        };
        let paused = lasts_s.filter(|_| mode == Mode::Paused);
        self.paused_until = paused.map(|s| at.plus_ms(u64::from(s) * 1_000));
        if self.paused_until.is_some() && why.as_str() == LOSING {
            self.totals.losing_in_a_row = 0;
        }
        if self.totals.halted && mode != Mode::Halted {
            // A person has looked.
            self.gate.throttle.rearm();
            self.totals.unjudged = false;
        }
        (self.mode, self.mode_why, self.mode_since) = (mode, why, at);
        self.totals.halted = mode == Mode::Halted;
        self.halt_flattens = mode == Mode::Halted && (self.halt_flattens || why.as_str() == FLATTENS);
    }

    /// Active, or in an automatic pause, which would end in it: what holds entries back for longer takes its place.
    pub(super) fn comes_to_active(&self) -> bool {
        self.mode == Mode::Active || self.paused_until.is_some()
    }

    /// A venue has taken back what we held: no entries until a person resumes (SAFETY O18, V1).
    pub(super) fn reduce(&mut self, now: Nanos, why: &str, fx: &mut Effects) {
        if self.comes_to_active() {
            self.set_mode(now, Mode::Reducing, why, fx);
        }
    }

    /// Too many order errors in a minute.
    pub(super) fn pause_for_errors(&mut self, now: Nanos, fx: &mut Effects) {
        self.set_mode(now, Mode::Paused, ERRORS, fx);
    }

    pub(super) fn end_pause(&mut self, now: Nanos, fx: &mut Effects) {
        if self.paused_until.is_some_and(|until| now >= until) && self.stop.is_none() {
            self.set_mode(now, Mode::Active, "pause over", fx);
        }
    }

    /// Repetition beyond its limits latches until a person has looked.
    pub(super) fn watch_throttle(&mut self, now: Nanos, fx: &mut Effects) {
        if self.mode != Mode::Halted
            && let Some(why) = self.gate.throttle.tripped(now)
        {
            self.halt(now, VenueId(0), why, fx);
        }
    }

    pub(super) fn halt(&mut self, now: Nanos, venue: VenueId, why: &str, fx: &mut Effects) {
        let pair = PairId(0);
        fx.push(Effect::Log(RecordKind::Alarm { pair, venue, what: Reason::cut(why) }));
        if self.mode != Mode::Halted {
            self.set_mode(now, Mode::Halted, why, fx);
        }
    }

    pub(super) fn take_command(&mut self, now: Nanos, command: Command, fx: &mut Effects) {
        match command {
            Command::Pause if self.mode != Mode::Halted => self.set_mode(now, Mode::Paused, OPERATOR, fx),
            Command::Resume
                if (self.mode != Mode::Halted || planted("resume_lifts_latch")) && self.stop.is_none() =>
            {
                self.set_mode(now, Mode::Active, OPERATOR, fx);
            }
            Command::Halt { flatten, why } => self.take_halt(now, flatten, why, fx),
            Command::Unlatch { why } if self.mode == Mode::Halted => {
                self.set_mode(now, Mode::Paused, why.as_str(), fx);
            }
            Command::Adopt(pair) => self.adopt_positions(now, pair, fx),
            Command::Stop { flatten } => self.begin_stop(now, flatten, fx),
            Command::HoldForDatabase(on) => self.hold(Holds { database: on, ..self.holds }, fx),
            Command::Pause | Command::Resume | Command::Unlatch { .. } => {}
        }
    }

    /// A person halts: the latch, what may still open is called back, and every pair is closed when asked to.
    fn take_halt(&mut self, now: Nanos, flatten: bool, why: Reason, fx: &mut Effects) {
        if self.mode != Mode::Halted || flatten && !self.halt_flattens {
            self.set_mode(now, Mode::Halted, if flatten { FLATTENS } else { why.as_str() }, fx);
        }
        for index in 0..self.pairs.len() {
            let opens =
                |order: &&Order| order.state != OrderState::Intent && !order.spec.purpose.reduce_only();
            let opening: Vec<ClientId> =
                self.pairs[index].live_orders().filter(opens).map(Order::id).collect();
            opening.into_iter().for_each(|id| self.cancel(now, index, id, fx));
        }
    }

    /// The journal could not be written to the disk: nothing of it is believed before a restart, whatever a person
    /// lifts meanwhile; what is held is closed all the same (SAFETY L6).
    pub fn halt_for_journal(&mut self, now: Nanos, fx: &mut Effects) {
        if self.mode != Mode::Halted {
            let (pair, venue, what) = (PairId(0), VenueId(0), Reason::cut(JOURNAL_FAILED));
            fx.push(Effect::Log(RecordKind::Alarm { pair, venue, what }));
            self.take_halt(now, false, what, fx);
        }
    }

    /// The thread saw the journal's room fall under its limit, or rise above it again.
    pub fn hold_for_journal(&mut self, on: bool, fx: &mut Effects) {
        self.hold(Holds { journal: on, ..self.holds }, fx);
    }

    fn hold(&mut self, holds: Holds, fx: &mut Effects) {
        if holds == self.holds {
            return;
        }
        self.holds = holds;
        let what = match (holds.journal, holds.database) {
            (false, false) => "entries allowed again",
            (true, _) => "entries held: the journal has little room",
            (false, true) => "entries held: the database lags",
        };
        let (pair, venue, what) = (PairId(0), VenueId(0), Reason::cut(what));
        fx.push(Effect::Log(RecordKind::Alarm { pair, venue, what }));
    }

    pub(super) fn is_held_back(&self) -> bool {
        self.holds != Holds::default()
    }

    pub(super) fn set_mode(&mut self, now: Nanos, mode: Mode, why: &str, fx: &mut Effects) {
        let why = Reason::cut(why);
        if mode == Mode::Halted {
            self.shelf.void_all(now);
        }
        self.record(Entry::Mode { mode, why, at: now }, fx);
        fx.push(Effect::Log(RecordKind::ModeChanged { mode, why }));
    }

    /// The thread was held up (a stopped process, a machine that slept): what it reads first is old whatever its date
    /// says, and a halt may wait unread. No entries for a moment.
    pub fn hold_after_stall(&mut self, now: Nanos) {
        let until = now.plus_ms(STALL_HOLD_MS);
        self.venues.iter_mut().for_each(|facts| facts.settled_at = facts.settled_at.max(until));
    }
}
