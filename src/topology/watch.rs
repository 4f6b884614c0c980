//! Thread `main` while the engine runs: signals, the control socket, heartbeats and the end. It never trades; it sends
//! commands to `order` and waits for what the board shows.

use std::path::Path;
use std::sync::Arc;

use super::growth::Growth;
use super::hearts::Hearts;
use super::operator::Operator;
use crate::control;
use crate::order::board::Board;
use crate::store::{DbHealth, StoreHealth};
use crate::sys::clock::Clock;
use crate::sys::notify::{Notifier, State};
use crate::sys::process::resident_bytes;
use crate::sys::ring::Tx;
use crate::sys::signals::Signals;
use crate::telemetry::alert::{Alert, Kind};
use crate::telemetry::pager::Pulse;
use crate::types::limits::LATE_MAX_MS;
use crate::types::settings::DatabaseLag;
use crate::types::{Command, Nanos};

/// Pause between two looks, ms.
pub const LOOK_EVERY_MS: u64 = 10;
/// The watchdog is fed this often, ms; the unit's `WatchdogSec` is 5 s.
const FEED_EVERY_MS: u64 = 1_000;
/// The clock of the hot threads is checked this often, ms.
const CLOCK_CHECK_MS: u64 = 1_000;
/// The engine's time is behind the machine's in so many looks (a machine that slept): the run ends, and the next one
/// begins at the right time (SAFETY C15).
const LATE_LOOKS: u32 = 3;
/// Its own memory is looked at this often, ms.
const MEMORY_EVERY_MS: u64 = 60_000;

/// Everything that `main` holds while the engine runs.
pub struct Watch<C> {
    pub clock: C,
    pub signals: Signals,
    pub notifier: Notifier,
    pub control: control::Server,
    pub operator: Operator,
    pub board: Arc<Board>,
    pub hearts: Hearts,
    pub stop_deadline_ms: u64,
    pub flatten_on_stop: bool,
    pub store_health: Arc<StoreHealth>,
    pub database: Arc<DbHealth>,
    pub database_lag: DatabaseLag,
    pub growth: Growth,
    pub alerts: Tx<Alert>,
    pub pulse: Pulse,
    /// What was last said of the database and of the blocked.
    pub said: Said,
    /// Looks in a row that found the engine's time too far behind.
    pub late: u32,
    pub last: Last,
    /// Status object of the verb `status`.
    pub status: Box<dyn FnMut() -> serde_json::Value>,
}

/// What `main` has said already, so that it says it once.
#[derive(Debug, Default)]
pub struct Said {
    database_late: bool,
    held: bool,
    blocked: Option<String>,
    slow_clock: bool,
}

/// When `main` last did what it does not do at every look.
#[derive(Debug, Default)]
pub struct Last {
    fed: Nanos,
    checked: Nanos,
    weighed: Nanos,
}

/// How the run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing open, nothing unknown, verified on the venues.
    Clean,
    /// The deadline came first.
    Open,
    /// A thread died, or the clock stood still.
    Broken,
}

impl<C: Clock> Watch<C> {
    /// Runs until the engine has stopped.
    pub fn run(&mut self) -> End {
        self.notifier.say(State::Ready);
        loop {
            if let Some(end) = self.look(self.clock.now()) {
                return end;
            }
            pause();
        }
    }

    /// One look at everything; the end, where it has come.
    fn look(&mut self, now: Nanos) -> Option<End> {
        self.answer(now);
        self.operator.watch(self.signals.halts());
        self.watch_journal(now);
        if self.signals.stops() > 0 {
            return Some(self.stop(now));
        }
        if self.is_broken(now) {
            self.stop(now);
            return Some(End::Broken);
        }
        self.watch_claim(now);
        self.watch_database(now);
        self.watch_blocked(now);
        if now.ms_since(self.last.checked) >= CLOCK_CHECK_MS {
            self.last.checked = now;
            self.check_clock();
        }
        if now.ms_since(self.last.weighed) >= MEMORY_EVERY_MS {
            self.last.weighed = now;
            self.watch_memory(now, resident_bytes());
        }
        if now.ms_since(self.last.fed) >= FEED_EVERY_MS && self.hearts.beat(now) {
            self.last.fed = now;
            self.pulse.beat(now);
            self.notifier.say(State::Watchdog);
        }
        None
    }

    /// Whether the run cannot go on; says why.
    fn is_broken(&mut self, now: Nanos) -> bool {
        if self.hearts.has_one_ended() {
            tracing::error!(event_type = "SHUTDOWN", "a thread has ended: stopping");
            let doing = "stops, keeping hedged pairs";
            self.alert(Kind::Broken, now, "a thread has ended", doing, "bot4 flatten");
            return true;
        }
        if self.late >= LATE_LOOKS {
            let what = format!("the clock stood still for {} s", self.clock.drift_ms() / 1_000);
            tracing::error!(event_type = "SHUTDOWN", "{what}: no order is in time; stopping, to start anew");
            self.alert(Kind::Broken, now, what, "ends, to be started again by the service", "bot4 status");
            return true;
        }
        false
    }

    /// The counter that the hot threads read is held to the kernel's clock.
    fn check_clock(&mut self) {
        if !self.clock.check() && !std::mem::replace(&mut self.said.slow_clock, true) {
            tracing::info!(event_type = "CLOCK", "the clock is read from the kernel, not from the processor");
        }
        let late = self.clock.drift_ms() > LATE_MAX_MS;
        self.late = if late { self.late + 1 } else { 0 };
    }

    /// Entries stop when the database lags too far, and while it is not known whether another that has the accounts'
    /// lock lives; trading is never held up otherwise (SAFETY L1).
    fn watch_database(&mut self, now: Nanos) {
        let lag_ms = self.database.lag_ms();
        let late = lag_ms > u64::from(self.database_lag.alert_s) * 1_000;
        if late != self.said.database_late {
            self.said.database_late = late;
            tracing::warn!(event_type = "DATABASE_LAG", lag_ms, "the database lags by {lag_ms} ms");
            if late {
                let what = format!("the database lags by {} s", lag_ms / 1_000);
                let doing = "trades on from its journal; entries stop when the lag grows further";
                self.alert(Kind::DatabaseLag, now, what, doing, "bot4 check");
            }
        }
        let hold = lag_ms > u64::from(self.database_lag.no_entries_s) * 1_000 || self.database.is_doubted();
        if hold != self.said.held && self.operator.send(Command::HoldForDatabase(hold)) {
            self.said.held = hold;
        }
    }

    /// Two engines on one account are one too many: nothing is opened before a person has looked (SAFETY L10).
    fn watch_claim(&mut self, now: Nanos) {
        if self.operator.watch_claim(self.database.is_taken()) {
            let what = "another engine trades these accounts: it has their lock in the database";
            let doing = "halted; closes what is held, and is not re-armed while the other runs";
            let next = "stop one of the two (log: SECOND_ENGINE names the other); then bot4 unlatch";
            self.alert(Kind::SecondEngine, now, what, doing, next);
        }
    }

    /// What a disk holds that could not sync is not known: nothing is opened before a person has looked (SAFETY L6).
    fn watch_journal(&mut self, now: Nanos) {
        if self.operator.watch_journal(self.store_health.journal_failed()) {
            let doing = "halted; closes what is held, and trades no more before a restart";
            let next = "bot4 status; then mend the disk and restart bot4";
            self.alert(Kind::JournalFailed, now, "the journal's disk failed", doing, next);
        }
    }

    /// `bytes` that the process holds now, where that is known.
    fn watch_memory(&mut self, now: Nanos, bytes: Option<u64>) {
        let Some(grown) = bytes.and_then(|bytes| self.growth.look(now, bytes)) else { return };
        let what = format!("memory has grown by {} MB within an hour", grown >> 20);
        tracing::warn!(event_type = "MEMORY_GROWTH", "{what}");
        let next = "bot4 status; when it goes on: bot4 pause, restart at a quiet moment";
        self.alert(Kind::MemoryGrowth, now, what, "trades on", next);
    }

    fn watch_blocked(&mut self, now: Nanos) {
        let blocked = self.hearts.blocked(now).map(str::to_owned);
        if blocked != self.said.blocked {
            if let Some(name) = &blocked {
                tracing::warn!(event_type = "THREAD_BLOCKED", thread = %name, "{name} has not come back");
                let what = format!("thread {name} has not come back");
                self.alert(Kind::ThreadBlocked, now, what, "trades on without it", "bot4 status");
            }
            self.said.blocked = blocked;
        }
    }

    fn alert(&mut self, kind: Kind, now: Nanos, what: impl ToString, doing: &'static str, next: &str) {
        // A full ring counts it, and the thread at its other end says so.
        let _ = self.alerts.push(Alert::new(kind, now, what, doing, next));
    }

    fn answer(&mut self, now: Nanos) {
        let (operator, board, status) = (&mut self.operator, &self.board, &mut self.status);
        self.control.poll(now, &mut |request| operator.answer(&request, board, status));
    }

    /// The orderly end: `order` does it, `main` waits for it. A second signal shortens the wait for pairs to be
    /// closed; it never skips the cancel and the verification.
    fn stop(&mut self, since: Nanos) -> End {
        tracing::info!(event_type = "SHUTDOWN", "[SHUTDOWN] Graceful shutdown initiated");
        self.notifier.say(State::Stopping);
        let mut flatten = self.flatten_on_stop;
        let mut sent = false;
        loop {
            let now = self.clock.now();
            self.answer(now);
            // A latch outlives this run: the next one may be started by the service.
            self.operator.watch(self.signals.halts());
            self.watch_journal(now);
            sent = sent || self.operator.send(Command::Stop { flatten });
            if self.board.is_stopped() {
                return End::Clean;
            }
            let hasty = self.signals.stops() > 1;
            if hasty && flatten {
                (flatten, sent) = (false, false);
            }
            let limit = if hasty { self.stop_deadline_ms / 2 } else { self.stop_deadline_ms };
            let dead = self.hearts.has_hot_one_ended();
            if dead || now.ms_since(since) > limit {
                return End::Open;
            }
            pause();
        }
    }
}

/// Removes the control socket of this run.
pub fn remove_socket(path: &Path) {
    // It may be gone already; a stale one is replaced at the next start.
    let _ = std::fs::remove_file(path);
}

#[expect(clippy::disallowed_methods, reason = "main sleeps between looks; it is on no path")]
pub fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(LOOK_EVERY_MS));
}

#[cfg(test)]
mod tests;
