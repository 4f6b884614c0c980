//! Whose is what, and what `flatten` writes of itself: the engine's journal, read and never touched, and a journal of
//! its own in a directory beside it, with a higher epoch and a block of nonces above every one used before.

use std::collections::HashSet;
use std::path::Path;

use super::{Failure, Say};
use crate::config::Config;
use crate::journal::entry::{Entry, IntentEntry, IntentOrder};
use crate::journal::recover::recover;
use crate::journal::tail::Tail;
use crate::journal::used::{flatten_dir, nonces as nonces_of, used};
use crate::journal::{self, FileJournal, Journal, Supply};
use crate::order::core::Core;
use crate::order::misplaced::misplaced;
use crate::order::pair::Pair;
use crate::sys::lock::{InstanceLock, LockError};
use crate::topology;
use crate::types::report::OpenOrder;
use crate::types::settings::Settings;
use crate::types::{ClientId, Nanos, OrderSpec, PairId, Price, Qty, Rate};

/// Nonces of ours begin so far above the highest that is known or that an engine could take from its clock, ms.
const NONCE_BLOCK: u64 = 10_000;
/// A receive window with its margin, and reads that lag (SAFETY V13), ms.
const SETTLED_AFTER_MS: u64 = 6_000;
/// A run of this verb writes a few hundred entries.
const SEGMENT_BYTES: usize = 1 << 20;

/// What the engine has written, as far as it was read.
struct Books {
    core: Core,
    /// Nonces of its orders, for venues that keep no client id.
    nonces: HashSet<u64>,
    /// Number of the next entry, and where it will stand; missing when there is no journal yet.
    next_seq: u64,
    tail: Option<Tail>,
}

impl Books {
    fn empty(settings: &Settings) -> Self {
        Self { core: Core::new(settings.clone()), nonces: HashSet::new(), next_seq: 0, tail: None }
    }

    fn read(dir: &Path, settings: &Settings, now: Nanos) -> Result<Self, String> {
        let found = recover(dir).map_err(|error| error.to_string())?;
        if let Some(misplaced) = misplaced(settings, &found.entries, false, now) {
            return Err(misplaced.to_string());
        }
        let tail = Tail::open(dir, found.next_seq).ok();
        let mut books = Self { next_seq: found.next_seq, tail, ..Self::empty(settings) };
        found.entries.iter().for_each(|entry| books.take(entry, settings));
        Ok(books)
    }

    /// What was written since; where it cannot be read, what was read before stands.
    fn catch_up(&mut self, settings: &Settings) {
        while let Some(Ok(Some(frame))) = self.tail.as_mut().map(Tail::pull) {
            if frame.seq >= self.next_seq {
                self.next_seq = frame.seq + 1;
                self.take(&frame.entry, settings);
            }
        }
    }

    fn take(&mut self, entry: &Entry, settings: &Settings) {
        if matches!(entry, Entry::Epoch { .. }) {
            // The snapshots behind it tell the whole state.
            self.core = Core::new(settings.clone());
        }
        self.core.recover(entry);
        self.nonces.extend(nonces_of(entry));
    }
}

pub(super) struct Trail {
    engine: Books,
    /// The account is ours alone.
    dedicated: bool,
    /// Nonces of this run's own orders.
    nonces: HashSet<u64>,
    nonce: u64,
    epoch: u32,
    seq: u32,
    /// Missing when the disk takes nothing: closing goes on all the same.
    journal: Option<(FileJournal, Supply)>,
    _lock: Option<InstanceLock>,
}

impl Trail {
    /// Reads what the engine wrote and begins a journal of its own. A journal that cannot be read leaves nothing to go
    /// by, unless the account is dedicated.
    pub(super) fn open(config: &Config, now: Nanos, say: &mut Say<'_>) -> Result<Self, Failure> {
        let dedicated = config.settings.dedicated_account;
        let engine = match Books::read(&config.journal.dir, &config.settings, now) {
            Ok(books) => books,
            Err(error) if dedicated => {
                say.line(&format!("{error}: everything on the accounts is taken"))?;
                Books::empty(&config.settings)
            }
            Err(error) => {
                return Err(Failure::failed(format!(
                    "{error}: what is ours cannot be told; close by hand, or, on accounts of its own, set \
                     dedicated_account = true"
                )));
            }
        };
        let dir = flatten_dir(&config.journal.dir);
        let lock = match InstanceLock::take(&dir) {
            Ok(lock) => Some(lock),
            Err(error @ LockError::Held { .. }) => return Err(Failure::failed(error)),
            Err(error) => {
                say.line(&format!("{error}: going on without"))?;
                None
            }
        };
        let before = used(&dir);
        let epoch = topology::next_epoch(engine.core.epoch().max(before.epoch), now);
        let nonce = engine.core.totals().nonce_high.max(before.nonce).max(now.ms()) + NONCE_BLOCK;
        let journal = begin(&dir, epoch, now);
        if let Err(why) = &journal {
            say.line(&format!("{why}: going on without"))?;
        }
        let journal = journal.ok();
        Ok(Self { engine, dedicated, nonces: HashSet::new(), nonce, epoch, seq: 0, journal, _lock: lock })
    }

    /// An engine that still runs writes on. Read after the venues were, its journal names every order that they show.
    pub(super) fn catch_up(&mut self, settings: &Settings) {
        self.engine.catch_up(settings);
    }

    /// Whether no order of the engine can still arrive, and what its last one filled is shown: what is flat before has
    /// to be looked at again. A journal that is ahead of the clock counts from the `begun` of this run.
    pub(super) fn is_settled(&self, begun: Nanos, now: Nanos) -> bool {
        let touched = self.engine.core.pairs().iter().map(|pair| pair.touched).max().unwrap_or(Nanos::NEVER);
        let last = if touched > now { begun } else { touched };
        now >= last.plus_ms(SETTLED_AFTER_MS)
    }

    pub(super) fn pair(&self, pair: PairId) -> Option<&Pair> {
        self.engine.core.pairs().get(pair.index())
    }

    /// Ours by client id, by a nonce that we used, or because the whole account is.
    pub(super) fn is_ours(&self, order: &OpenOrder) -> bool {
        self.dedicated || order.id.is_some() || self.has_used(order.nonce)
    }

    fn has_used(&self, nonce: u64) -> bool {
        self.nonces.contains(&nonce) || self.engine.nonces.contains(&nonce)
    }

    pub(super) const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The closes that follow are one intent.
    pub(super) fn begin_intent(&mut self) {
        self.seq += 1;
    }

    pub(super) const fn seq(&self) -> u32 {
        self.seq
    }

    pub(super) fn next_nonce(&mut self) -> u64 {
        self.nonce += 1;
        self.nonces.insert(self.nonce);
        self.nonce
    }

    /// Before a byte leaves.
    pub(super) fn write_intent(
        &mut self,
        pair: PairId,
        specs: [Option<OrderSpec>; 2],
        before: [Qty; 2],
        at: Nanos,
    ) {
        let order =
            |leg: usize| specs[leg].map(|spec| IntentOrder { spec, leg: leg as u8, expected: spec.limit });
        let (edge, basis, mid) = (Rate::ZERO, Rate::ZERO, Price::ZERO);
        let (seq, orders) = (self.seq, [order(0), order(1)]);
        let intent = IntentEntry { seq, pair, kind: None, edge, basis, mid, orders, before, at };
        self.append(&Entry::Intent { intent });
    }

    pub(super) fn write_sent(&mut self, id: ClientId, at: Nanos) {
        self.append(&Entry::Sent { id, at });
    }

    pub(super) fn write_end(&mut self, at: Nanos) {
        self.append(&Entry::Stopped { at });
    }

    fn append(&mut self, entry: &Entry) {
        if let Some((journal, _)) = &mut self.journal
            && journal.append(entry).is_err()
        {
            self.journal = None;
        }
    }
}

fn begin(dir: &Path, epoch: u32, now: Nanos) -> Result<(FileJournal, Supply), String> {
    let found = recover(dir).map_err(|error| error.to_string())?;
    let options = journal::Options { segment_bytes: SEGMENT_BYTES, ..journal::Options::default() };
    let opening = [Entry::Epoch { epoch, config_hash: 0, at: now }];
    FileJournal::start(dir, options, &found, &opening, now).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::market::tests::settings;
    use crate::journal::samples::{filled, intent};
    use crate::types::{Direction, IntentKind, StopReason};

    const NOW: Nanos = Nanos::from_ms(1_800_000_000_000);

    /// The engine writes on after this verb has begun, also into another segment.
    #[test]
    fn what_the_engine_writes_meanwhile_is_its_own() {
        let (dir, settings) = (tempfile::tempdir().unwrap(), settings());
        let (mut journal, mut supply) = begin(dir.path(), 1, NOW).unwrap();
        let mut books = Books::read(dir.path(), &settings, NOW).unwrap();
        let held = |books: &Books| books.core.pairs()[0].book.legs.map(|leg| leg.qty.raw());
        assert_eq!(held(&books), [0, 0]);
        let enter = IntentKind::Enter(Direction::A);
        for entry in [intent(1, enter), filled(1, 0, 100), filled(1, 1, 101)] {
            journal.append(&entry).unwrap();
        }
        books.catch_up(&settings);
        assert_eq!(held(&books), [100_000_000, -100_000_000]);
        assert!(books.nonces.contains(&77));
        let mut core = Core::new(settings.clone());
        recover(dir.path()).unwrap().entries.iter().for_each(|entry| core.recover(entry));
        supply.poll().unwrap();
        journal.rotate(&core.snapshot(1, 0, NOW)).unwrap();
        journal.append(&intent(2, IntentKind::Exit(StopReason::Threshold))).unwrap();
        journal.append(&filled(2, 0, 100)).unwrap();
        books.catch_up(&settings);
        assert_eq!(held(&books), [0, -100_000_000], "nothing is counted twice");
    }
}
