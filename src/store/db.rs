//! The database's own thread: tails the journal from the marker that the database itself holds, and writes
//! rows and marker in one transaction. It blocks as it likes; nothing waits for it. After any error it
//! forgets what it thought it had written, asks the database, and goes on from there, so that an unknown
//! COMMIT doubles nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use super::claim::Claim;
use super::names::Names;
use super::project::Projector;
use super::read::version_of;
use super::schema;
use super::sql::{Database, DbError, Statement, Target};
use crate::journal::Tail;
use crate::journal::entry::Entry;
use crate::types::{Nanos, Rate};

/// Entries of one transaction at most.
const BATCH: usize = 256;
/// First and longest pause after a failure, ms.
const PAUSE_MIN_MS: u64 = 100;
const PAUSE_MAX_MS: u64 = 10_000;
/// Failures in a row after which the operator is warned, and again after each further so many.
const WARN_AFTER: u32 = 3;
/// Pause between two tries for a lock that another holds, ms: it is soon known whether that one lives.
const CLAIM_PAUSE_MS: u64 = 1_000;

/// Who has the accounts' lock in the database: nobody else; another, who may be dead; another, who is alive.
const CLEAR: u8 = 0;
const DOUBTED: u8 = 1;
const TAKEN: u8 = 2;

/// How far the database is behind, for the gate (SAFETY §7, database) and the status page; and whether another engine
/// was seen in it.
#[derive(Debug, Default)]
pub struct DbHealth {
    claim: AtomicU8,
    lag_ms: AtomicU64,
    failures: AtomicU64,
}

impl DbHealth {
    /// Time since the database last held everything; zero while it does. It counts while the database is
    /// down, even when nothing happens.
    pub fn lag_ms(&self) -> u64 {
        self.lag_ms.load(Ordering::Relaxed)
    }

    /// Says that the database lags so far.
    pub fn show_lag(&self, ms: u64) {
        self.lag_ms.store(ms, Ordering::Relaxed);
    }

    /// Another session holds the accounts' lock: of an engine that trades, or of one that is dead.
    pub fn is_doubted(&self) -> bool {
        self.claim.load(Ordering::Relaxed) != CLEAR
    }

    /// Another engine trades these accounts: `main` halts this one (SAFETY L10).
    pub fn is_taken(&self) -> bool {
        self.claim.load(Ordering::Relaxed) == TAKEN
    }

    /// Failed attempts since start.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

/// The projection, as a value that a thread polls.
pub struct DbThread {
    journal_dir: PathBuf,
    target: Target,
    names: Names,
    health: Arc<DbHealth>,
    /// Absent where nobody else can be met: on paper, and in a database of this host alone.
    claim: Option<Claim>,
    /// Made before the start, with the lock; used at the first connect.
    opened: Option<Box<dyn Database>>,
    session: Option<Session>,
    /// Last moment at which nothing was missing.
    whole_at: Nanos,
    retry_at: Nanos,
    failures: u32,
}

/// A connection and the place reached with it.
struct Session {
    database: Box<dyn Database>,
    tail: Tail,
    projector: Projector,
    journal: i64,
    next_seq: u64,
}

/// What one transaction writes.
#[derive(Default)]
struct Batch {
    statements: Vec<Statement>,
    entries: usize,
    /// Pairs that were opened, by their names.
    opened: Vec<(String, Rate)>,
}

impl DbThread {
    /// Nothing is opened before the first `poll`.
    pub fn new(journal_dir: PathBuf, target: Target, names: Names, now: Nanos) -> Self {
        Self {
            journal_dir,
            target,
            names,
            health: Arc::default(),
            claim: None,
            opened: None,
            session: None,
            whole_at: now,
            retry_at: Nanos::NEVER,
            failures: 0,
        }
    }

    /// Nothing is written but by a session that holds this lock. `opened`: one that has taken it already.
    #[must_use]
    pub fn with_claim(mut self, claim: Option<Claim>, opened: Option<Box<dyn Database>>) -> Self {
        (self.claim, self.opened) = (claim, opened);
        self
    }

    /// The figures that other threads read.
    pub fn health(&self) -> Arc<DbHealth> {
        Arc::clone(&self.health)
    }

    /// Writes what is due; true when rows were written. May block for as long as the database does.
    pub fn poll(&mut self, now: Nanos) -> bool {
        if now < self.retry_at {
            self.tell_lag(now);
            return false;
        }
        match self.write_some(now) {
            Ok(Some(batch)) => {
                self.succeeded(now, &batch);
                true
            }
            Ok(None) => {
                self.succeeded(now, &Batch::default());
                self.whole_at = now;
                self.tell_lag(now);
                false
            }
            Err(error) => {
                self.failed(now, &error);
                false
            }
        }
    }

    /// One transaction's worth; `None` when nothing was missing.
    fn write_some(&mut self, now: Nanos) -> Result<Option<Batch>, DbError> {
        if self.session.is_none() {
            let database = self.connect(now)?;
            self.session = Some(Session::open(database, &self.journal_dir, &self.names)?);
        }
        let Some(session) = &mut self.session else { return Ok(None) };
        if let Some(claim) = &mut self.claim {
            claim.keep(session.database.as_mut(), now)?;
        }
        let batch = session.collect()?;
        if batch.entries == 0 {
            return Ok(None);
        }
        session.database.transact(&batch.statements)?;
        Ok(Some(batch))
    }

    /// A session with the right schema and the accounts' lock.
    fn connect(&mut self, now: Nanos) -> Result<Box<dyn Database>, DbError> {
        if let Some(opened) = self.opened.take() {
            return Ok(opened);
        }
        let mut database = self.target.open()?;
        version_of(database.as_mut())?;
        if let Some(claim) = &mut self.claim {
            claim.take(database.as_mut(), now)?;
            self.health.claim.store(CLEAR, Ordering::Relaxed);
        }
        Ok(database)
    }

    fn succeeded(&mut self, now: Nanos, batch: &Batch) {
        if self.failures >= WARN_AFTER {
            tracing::info!(event_type = "STATE_SYNC_OK", "[STATE] Database reachable again, catching up");
        }
        self.failures = 0;
        self.tell_lag(now);
        for (pair, spread) in &batch.opened {
            tracing::info!(
                event_type = "POSITION_SAVED",
                pair,
                spread = %spread.percent(),
                "[STATE] Position saved: pair={pair}, entry_spread={spread}"
            );
        }
    }

    fn failed(&mut self, now: Nanos, error: &DbError) {
        self.session = None;
        self.failures = self.failures.saturating_add(1);
        self.health.failures.fetch_add(1, Ordering::Relaxed);
        let pause = PAUSE_MIN_MS << self.failures.min(7);
        self.retry_at = now.plus_ms(pause.min(PAUSE_MAX_MS));
        self.tell_lag(now);
        match error {
            DbError::Claimed { sure, .. } => {
                self.retry_at = now.plus_ms(CLAIM_PAUSE_MS);
                self.meet(*sure, error);
            }
            _ if self.failures.is_multiple_of(WARN_AFTER) => self.warn(error),
            _ => {}
        }
    }

    fn warn(&self, error: &DbError) {
        let (attempts, lag_ms) = (self.failures, self.health.lag_ms());
        tracing::warn!(
            event_type = "STATE_SYNC_FAILED",
            attempts,
            lag_ms,
            "[STATE] Position sync failed after {attempts} attempts, still retrying: {error}"
        );
    }

    /// Another session has the accounts' lock. Said once when it is met, and once when it is known to live.
    fn meet(&self, sure: bool, error: &DbError) {
        let before = self.health.claim.fetch_max(if sure { TAKEN } else { DOUBTED }, Ordering::Relaxed);
        if sure && before != TAKEN {
            tracing::error!(event_type = "SECOND_ENGINE", "{error}");
        } else if before == CLEAR {
            tracing::warn!(
                event_type = "SECOND_ENGINE",
                "entries are off until it is known to be dead: {error}"
            );
        }
    }

    fn tell_lag(&self, now: Nanos) {
        let behind = self.failures > 0 || self.whole_at != now;
        let lag = if behind { now.ms_since(self.whole_at) } else { 0 };
        self.health.show_lag(lag);
    }
}

impl Session {
    /// Asks how far the database is, and reads the journal's state up to there.
    fn open(
        mut database: Box<dyn Database>,
        journal_dir: &std::path::Path,
        names: &Names,
    ) -> Result<Self, DbError> {
        let newest = Tail::open(journal_dir, u64::MAX)?;
        let journal = i64::try_from(newest.birth()).unwrap_or(i64::MAX);
        let marker = database.query(&schema::get_marker(journal))?;
        let next_seq =
            marker.first().and_then(|row| row.first()).map_or(0, |value| value.int().unsigned_abs());
        let tail = Tail::open(journal_dir, next_seq)?;
        let projector = Projector::new(names.clone(), journal);
        Ok(Self { database, tail, projector, journal, next_seq })
    }

    /// Statements of the next entries and of the marker behind them.
    fn collect(&mut self) -> Result<Batch, DbError> {
        let mut batch = Batch::default();
        while batch.entries < BATCH {
            let Some(frame) = self.tail.pull()? else { break };
            let changes = self.projector.project(frame.seq, &frame.entry);
            if frame.seq < self.next_seq {
                continue;
            }
            self.next_seq = frame.seq + 1;
            batch.entries += 1;
            batch.statements.extend(changes);
            if let Entry::PairOpened { pair, spread, .. } = frame.entry {
                batch.opened.push((self.projector.names.pair(pair).to_owned(), spread));
            }
        }
        batch.statements.push(schema::set_marker(self.journal, self.next_seq));
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::journal::{FileJournal, Journal, Options, recover, samples};
    use crate::store::names::tests::names;
    use crate::store::read;
    use crate::types::{PairId, Usd};

    fn journal(dir: &Path, entries: &[Entry]) -> FileJournal {
        let found = recover::recover(dir).unwrap();
        let options = Options { segment_bytes: 16 << 10, ..Options::default() };
        let start = FileJournal::start(dir, options, &found, &entries[..1], Nanos(5));
        let (mut journal, _) = start.unwrap();
        entries[1..].iter().for_each(|entry| journal.append(entry).unwrap());
        journal
    }

    fn thread(dir: &Path) -> DbThread {
        let target = Target::Sqlite(dir.join("db/bot4.db"));
        DbThread::new(dir.join("journal"), target, names(), Nanos(1))
    }

    #[test]
    fn a_round_trip_becomes_rows_and_twice_is_once() {
        let dir = tempfile::tempdir().unwrap();
        let entries = samples::round_trip();
        let _writer = journal(&dir.path().join("journal"), &entries);
        let mut db = thread(dir.path());
        assert!(db.poll(Nanos::from_ms(10)));
        assert!(!db.poll(Nanos::from_ms(20)));
        assert_eq!(db.health().lag_ms(), 0);
        let target = Target::Sqlite(dir.path().join("db/bot4.db"));
        let rows = read::positions(&target, 10).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].pair.as_str(), rows[0].status.as_str()), ("BTC", "closed"));
        assert_eq!(rows[0].long_price, crate::types::Price::from_raw(9_900_000_000));
        assert_eq!(rows[0].short_price, crate::types::Price::from_raw(10_100_000_000));
        let pnl = read::pnl(&target).unwrap();
        assert_eq!((pnl[0].closed, pnl[0].pnl.total), (1, Usd::from_raw(92_000_000)));
        let before = (rows, pnl);
        let mut again = target.open().unwrap();
        again.transact(&[Statement { sql: "DELETE FROM marker", params: Vec::new() }]).unwrap();
        assert!(thread(dir.path()).poll(Nanos::from_ms(30)));
        let after = (read::positions(&target, 10).unwrap(), read::pnl(&target).unwrap());
        assert_eq!(after, before);
    }

    #[test]
    fn an_open_pair_is_restored_and_a_later_session_closes_it() {
        let dir = tempfile::tempdir().unwrap();
        let entries = samples::round_trip();
        let opened = entries.iter().position(|entry| matches!(entry, Entry::PairOpened { .. })).unwrap();
        let mut writer = journal(&dir.path().join("journal"), &entries[..=opened]);
        assert!(thread(dir.path()).poll(Nanos::from_ms(10)));
        let target = Target::Sqlite(dir.path().join("db/bot4.db"));
        let open = restore_one(&target);
        assert_eq!((open.long_exchange.as_str(), open.short_exchange.as_str()), ("vest", "paradex"));
        assert_eq!(open.long_qty.raw(), 100_000_000);
        entries[opened + 1..].iter().for_each(|entry| writer.append(entry).unwrap());
        assert!(thread(dir.path()).poll(Nanos::from_ms(20)));
        assert!(read::restore(&target).unwrap().is_empty());
    }

    /// What a second run writes while the pair of the first one stands.
    fn second_run(dir: &Path, entries: &[Entry]) -> FileJournal {
        let pair = PairId(0);
        let mut follow = crate::store::follow::Follow::default();
        entries.iter().for_each(|entry| _ = follow.apply(entry));
        let book = *follow.book(pair);
        let spread = Rate::from_bps(31);
        journal(
            dir,
            &[
                Entry::Epoch { epoch: 2, config_hash: 5, at: Nanos(9) },
                Entry::PairSnapshot { pair, book },
                Entry::PairHeld { pair, spread },
            ],
        )
    }

    #[test]
    fn a_pair_held_over_a_restart_keeps_its_one_row() {
        let dir = tempfile::tempdir().unwrap();
        let entries = samples::round_trip();
        let opened = entries.iter().position(|entry| matches!(entry, Entry::PairOpened { .. })).unwrap();
        let held = &entries[..=opened];
        drop(journal(&dir.path().join("journal"), held));
        assert!(thread(dir.path()).poll(Nanos::from_ms(10)));
        let target = Target::Sqlite(dir.path().join("db/bot4.db"));
        let before = restore_one(&target);
        drop(second_run(&dir.path().join("journal"), held));
        assert!(thread(dir.path()).poll(Nanos::from_ms(20)));
        assert_eq!(read::positions(&target, 10).unwrap(), std::slice::from_ref(&before));
        std::fs::remove_dir_all(dir.path().join("db")).unwrap();
        std::fs::remove_dir_all(dir.path().join("journal")).unwrap();
        drop(second_run(&dir.path().join("journal"), held));
        assert!(thread(dir.path()).poll(Nanos::from_ms(30)));
        let young = restore_one(&target);
        assert_eq!(young.opened, Nanos(samples_decided_at(held)));
        assert_eq!(read::PositionRow { opened: before.opened, ..young }, before);
    }

    /// When the pair was decided: a book knows that moment, not the one at which both legs stood.
    fn samples_decided_at(entries: &[Entry]) -> u64 {
        let at = entries.iter().find_map(|entry| match entry {
            Entry::Intent { intent } => Some(intent.at.0),
            _ => None,
        });
        at.unwrap()
    }

    fn restore_one(target: &Target) -> read::PositionRow {
        let mut open = read::restore(target).unwrap();
        assert_eq!(open.len(), 1);
        open.remove(0)
    }

    #[test]
    fn while_it_is_down_the_lag_grows_and_tries_are_spaced() {
        let dir = tempfile::tempdir().unwrap();
        let _writer = journal(&dir.path().join("journal"), &samples::round_trip());
        std::fs::write(dir.path().join("db"), "not a directory").unwrap();
        let mut db = thread(dir.path());
        let health = db.health();
        for ms in 0..5000 {
            db.poll(Nanos::from_ms(ms));
        }
        assert!((3..10).contains(&health.failures()), "{}", health.failures());
        assert_eq!(health.lag_ms(), 4998);
        std::fs::remove_file(dir.path().join("db")).unwrap();
        assert!(db.poll(Nanos::from_ms(60_000)));
        assert!(!db.poll(Nanos::from_ms(60_001)));
        assert_eq!(health.lag_ms(), 0);
    }
}
