//! The journal on disk, writer's side. Owned by `order`: `append` is encode, copy and one release store,
//! without a system call; `supply` prepares the segments it moves on to. It never rewrites a byte that was
//! published.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::codec::{self, Encoded, FRAME_MAX, Frame};
use super::entry::Entry;
use super::recover::Recovered;
use super::segment::{self, HEADER, Segment};
use super::supply::{Room, Supply};
use super::{Journal, JournalError};
use crate::sys::ring::{Rx, Tx};
use crate::types::Nanos;

/// How the journal is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of one segment.
    pub segment_bytes: usize,
    pub durability: Durability,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, durability: Durability::Process }
    }
}

/// What an appended entry survives (`journal.durability`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The death of the process. The disk follows within the sync interval of `disk`.
    #[default]
    Process,
    /// A power cut: `append` waits for the disk.
    Power,
}

/// The one writer.
pub struct FileJournal {
    current: Segment,
    /// Where the next frame goes.
    at: usize,
    /// Number of the next entry.
    seq: u64,
    durability: Durability,
    spares: Rx<Segment>,
    retired: Tx<Segment>,
    room: Arc<Room>,
}

impl FileJournal {
    /// Goes on after what `recover` found: closes the last segment of the earlier run and opens one that
    /// begins with `opening` (an `Epoch`, then snapshots). The other half, [`Supply`], belongs to `disk`.
    pub fn start(
        dir: &Path,
        options: Options,
        recovered: &Recovered,
        opening: &[Entry],
        now: Nanos,
    ) -> Result<(Self, Supply), JournalError> {
        assert!(options.segment_bytes >= 4 * FRAME_MAX, "a segment must hold more than a few entries");
        tidy_up(recovered)?;
        let birth = recovered.birth.unwrap_or(now.0);
        let first = Segment::create(dir, recovered.next_index, birth, options.segment_bytes)?;
        let (supply, ends) = Supply::new(dir, options, first.index + 1, birth)?;
        let mut journal = Self {
            current: first,
            at: HEADER,
            seq: recovered.next_seq,
            durability: options.durability,
            spares: ends.spares,
            retired: ends.retired,
            room: ends.room,
        };
        journal.current.begin(journal.seq);
        journal.open_with(opening)?;
        // No order of this run may be older than its number: what a power cut takes is known by that.
        journal.current.sync()?;
        Ok((journal, supply))
    }

    /// Number that the next entry will have.
    pub const fn next_seq(&self) -> u64 {
        self.seq
    }

    fn left(&self) -> usize {
        self.current.len() - self.at
    }

    /// Moves to the next prepared segment, or stays where it is when there is none.
    fn advance(&mut self, wanted: usize) -> Result<(), JournalError> {
        let mut next = self.spares.pop().ok_or(JournalError::Full { wanted })?;
        self.room.spares.fetch_sub(1, Ordering::AcqRel);
        next.begin(self.seq);
        self.at = HEADER;
        let mut old = std::mem::replace(&mut self.current, next);
        old.seal();
        // Unmapping is a system call: it is left to the other half. A full ring means that nobody polls it.
        drop(self.retired.push(old));
        Ok(())
    }

    /// Writes the batch that opens a segment; readers see it whole or not at all.
    fn open_with(&mut self, batch: &[Entry]) -> Result<(), JournalError> {
        assert!(matches!(batch.first(), Some(Entry::Epoch { .. })), "a segment begins with its epoch");
        let from = self.at;
        for (done, entry) in batch.iter().enumerate() {
            let rest = (batch.len() - done - 1) as u16;
            let frame = Frame { seq: self.seq + done as u64, rest, entry: *entry };
            self.copy(&codec::encode(&frame)).inspect_err(|_| self.at = from)?;
        }
        self.seq += batch.len() as u64;
        self.publish(from)
    }

    fn copy(&mut self, frame: &Encoded) -> Result<(), JournalError> {
        let bytes = frame.bytes();
        if bytes.len() > self.left() {
            return Err(JournalError::Full { wanted: bytes.len() });
        }
        self.current.write(self.at, bytes);
        self.at += bytes.len();
        Ok(())
    }

    fn publish(&mut self, from: usize) -> Result<(), JournalError> {
        self.current.publish(self.at);
        match self.durability {
            Durability::Process => Ok(()),
            Durability::Power => self.current.sync_range(from, self.at - from),
        }
    }
}

impl Journal for FileJournal {
    fn append(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let encoded = codec::encode(&Frame { seq: self.seq, rest: 0, entry: *entry });
        if encoded.bytes().len() > self.left() {
            self.advance(encoded.bytes().len())?;
        }
        let from = self.at;
        self.copy(&encoded)?;
        self.seq += 1;
        self.publish(from)
    }

    fn free_bytes(&self) -> u64 {
        let spares = self.room.spares.load(Ordering::Acquire);
        if spares == 0 {
            // Whatever the disk says, no segment could be had: the one in use is kept for what closes (SAFETY L5).
            return 0;
        }
        self.left() as u64 + spares * self.current.len() as u64 + self.room.disk_free.load(Ordering::Acquire)
    }

    fn wants_rotation(&self) -> bool {
        self.left() < self.current.len() / 4
    }

    fn warm(&mut self) {
        self.current.warm(self.at);
    }

    fn rotate(&mut self, snapshot: &[Entry]) -> Result<(), JournalError> {
        self.advance(FRAME_MAX)?;
        self.open_with(snapshot)
    }
}

/// Leaves the directory of an earlier run as if it had ended well: torn tail cut, unused segments gone.
fn tidy_up(recovered: &Recovered) -> Result<(), JournalError> {
    if let Some((path, len)) = &recovered.last {
        segment::retire(path, *len)?;
    }
    let gone = |path: &PathBuf| std::fs::remove_file(path).map_err(JournalError::io("cannot remove", path));
    recovered.unused.iter().try_for_each(gone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::recover::recover;
    use crate::journal::samples;
    use crate::journal::tail::Tail;

    const SMALL: Options = Options { segment_bytes: 4 * FRAME_MAX, durability: Durability::Process };

    fn start(dir: &Path, options: Options, opening: &[Entry]) -> (FileJournal, Supply) {
        FileJournal::start(dir, options, &recover(dir).unwrap(), opening, Nanos(5)).unwrap()
    }

    fn entries(tail: &mut Tail) -> Vec<Entry> {
        std::iter::from_fn(|| tail.pull().unwrap()).map(|frame| frame.entry).collect()
    }

    #[test]
    fn a_tail_sees_what_was_appended_over_many_segments() {
        let dir = tempfile::tempdir().unwrap();
        let (all, epoch) = (samples::all(), samples::all()[0]);
        let (mut journal, mut supply) = start(dir.path(), SMALL, &[epoch]);
        let mut tail = Tail::open(dir.path(), 0).unwrap();
        assert_eq!(entries(&mut tail), [epoch]);
        for round in 0..20 {
            for entry in &all {
                journal.warm();
                journal.append(entry).unwrap();
                supply.poll().unwrap();
            }
            journal.warm();
            assert_eq!(entries(&mut tail), all, "round {round}");
        }
        assert!(tail.segment() > 10);
        assert_eq!(journal.next_seq(), 1 + 20 * all.len() as u64);
    }

    /// Page faults of this thread so far.
    fn faults() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        fields.split_whitespace().nth(7).unwrap().parse().unwrap()
    }

    /// Of so many appends, each after a sync: how many had to wait for a page.
    fn appends_that_fault(is_warmed: bool) -> usize {
        // Beside the tests themselves: a temporary directory may be in memory, where nothing is synced.
        let binary = std::env::current_exe().unwrap();
        let dir = tempfile::tempdir_in(binary.parent().unwrap()).unwrap();
        let all = samples::all();
        let options = Options { segment_bytes: 64 * FRAME_MAX, ..SMALL };
        let (mut journal, _supply) = start(dir.path(), options, &all[..1]);
        let mut one = || {
            journal.current.sync().unwrap();
            if is_warmed {
                journal.warm();
            }
            let before = faults();
            journal.append(&all[1]).unwrap();
            usize::from(faults() > before)
        };
        (0..32).map(|_| one()).sum()
    }

    #[test]
    fn an_append_to_a_warm_page_waits_for_none() {
        let (cold, warm) = (appends_that_fault(false), appends_that_fault(true));
        // Cold, it is nearly all of them on a disk, and none in memory.
        assert!(warm <= 8, "{warm} of 32 appends faulted, {cold} without");
    }

    #[test]
    fn rotation_opens_with_the_snapshot_and_restart_reads_no_further_back() {
        let dir = tempfile::tempdir().unwrap();
        let all = samples::all();
        let (mut journal, _supply) = start(dir.path(), SMALL, &all[..1]);
        assert!(!journal.wants_rotation());
        while !journal.wants_rotation() {
            journal.append(&all[1]).unwrap();
        }
        let snapshot = [all[0], all[all.len() - 7]];
        journal.rotate(&snapshot).unwrap();
        journal.append(&all[2]).unwrap();
        let found = recover(dir.path()).unwrap();
        assert_eq!(found.entries, [snapshot[0], snapshot[1], all[2]]);
        assert!(found.torn.is_none());
    }

    #[test]
    fn without_a_prepared_segment_it_says_full_and_goes_on_when_there_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let all = samples::all();
        let (mut journal, mut supply) = start(dir.path(), SMALL, &all[..1]);
        let full = loop {
            if let Err(error) = journal.append(&all[1]) {
                break error;
            }
        };
        assert!(matches!(full, JournalError::Full { .. }), "{full}");
        supply.poll().unwrap();
        journal.append(&all[1]).unwrap();
        let count = journal.next_seq() as usize;
        let mut tail = Tail::open(dir.path(), 0).unwrap();
        assert_eq!(entries(&mut tail).len(), count);
    }

    #[test]
    fn a_second_run_goes_on_in_the_same_journal() {
        let dir = tempfile::tempdir().unwrap();
        let all = samples::all();
        let power = Options { durability: Durability::Power, ..SMALL };
        drop(start(dir.path(), power, &all[..1]));
        let (mut journal, _supply) = start(dir.path(), power, &all[..1]);
        journal.append(&all[1]).unwrap();
        let mut tail = Tail::open(dir.path(), 0).unwrap();
        assert_eq!(entries(&mut tail), [all[0], all[0], all[1]]);
        assert_eq!(tail.birth(), 5);
        let mut tail = Tail::open(dir.path(), 1).unwrap();
        assert_eq!(tail.pull().unwrap().unwrap().seq, 1);
    }
}
