//! Brings what was published to the disk, after the writer, over all segments of a run. Owned by `disk`; it looks at
//! the headers alone.

use std::path::{Path, PathBuf};

use super::JournalError;
use super::handover::Next;
use super::segment::{self, Segment};

/// How far a run is on the disk.
pub struct Syncer {
    dir: PathBuf,
    segment: Segment,
    /// Bytes of the segment that a sync has covered.
    synced: usize,
}

impl Syncer {
    /// Begins with the newest segment in use.
    ///
    /// # Errors
    /// There is none, or it cannot be opened.
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        for index in segment::list(dir)?.into_iter().rev() {
            if let Some(segment) = Segment::open(dir, index)? {
                return Ok(Self { dir: dir.to_owned(), segment, synced: 0 });
            }
        }
        Err(JournalError::Segment {
            path: dir.to_owned(),
            got: "no segment in use".to_owned(),
            expected: "a journal".to_owned(),
        })
    }

    /// Waits until everything that is published now is on the disk; nothing new costs nothing.
    ///
    /// # Errors
    /// Final: what the disk then holds is not known (SAFETY L6).
    pub fn sync(&mut self) -> Result<(), JournalError> {
        loop {
            if let Next::Bytes(end) = self.segment.next(self.synced) {
                self.segment.sync()?;
                self.synced = end as usize;
            }
            if self.segment.next(self.synced) != Next::Sealed {
                return Ok(());
            }
            let Some(next) = Segment::open(&self.dir, self.segment.index + 1)? else { return Ok(()) };
            (self.segment, self.synced) = (next, 0);
        }
    }

    /// From now on every sync fails, until the next segment.
    #[cfg(test)]
    pub fn break_sync(&mut self) -> std::io::Result<()> {
        self.segment.break_sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::file::{FileJournal, Options};
    use crate::journal::recover::recover;
    use crate::journal::{Journal, samples};
    use crate::types::Nanos;

    #[test]
    fn it_follows_the_writer_over_segments_and_touches_the_disk_for_what_is_new_alone() {
        let dir = tempfile::tempdir().unwrap();
        let all = samples::all();
        let found = recover(dir.path()).unwrap();
        let options = Options { segment_bytes: 16 << 10, ..Options::default() };
        let (mut journal, mut supply) =
            FileJournal::start(dir.path(), options, &found, &all[..1], Nanos(5)).unwrap();
        let mut syncer = Syncer::open(dir.path()).unwrap();
        let is_behind = |syncer: &Syncer, index| {
            let newest = Segment::open(dir.path(), index).unwrap().unwrap();
            (syncer.segment.index, syncer.synced) != (index, newest.published())
        };
        assert!(is_behind(&syncer, 0));
        syncer.sync().unwrap();
        assert!(!is_behind(&syncer, 0));
        for index in 1..6 {
            journal.rotate(&all[..1]).unwrap();
            journal.append(&all[1]).unwrap();
            supply.poll().unwrap();
            assert!(is_behind(&syncer, index));
            if index % 2 == 1 {
                syncer.sync().unwrap();
                assert!(!is_behind(&syncer, index));
            }
        }
        syncer.break_sync().unwrap();
        journal.rotate(&all[..1]).unwrap();
        syncer.synced = usize::MAX;
        syncer.sync().unwrap();
        syncer.break_sync().unwrap();
        syncer.sync().unwrap();
        journal.append(&all[1]).unwrap();
        syncer.sync().unwrap_err();
    }
}
