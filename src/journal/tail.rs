//! A reader of the journal while it is being written: its own mapping, published entries only, across
//! segments and runs. `store` and `db` own one each.

use std::path::{Path, PathBuf};

use super::JournalError;
use super::codec::{self, FRAME_MAX, Frame};
use super::entry::Entry;
use super::handover::Next;
use super::segment::{self, HEADER, Segment};

/// One reader's place in the journal.
pub struct Tail {
    dir: PathBuf,
    segment: Segment,
    at: usize,
}

impl Tail {
    /// Stands at the newest opening of a segment (`Epoch` and snapshots) that is not after entry `from_seq`,
    /// or at the oldest one there is. The reader passes over what it knows; the snapshots give it the state
    /// before.
    pub fn open(dir: &Path, from_seq: u64) -> Result<Self, JournalError> {
        let mut found = None;
        for index in segment::list(dir)?.into_iter().rev() {
            let Some(segment) = Segment::open(dir, index)? else { continue };
            let tail = Self { dir: dir.to_owned(), segment, at: HEADER };
            if !tail.opens_with_epoch()? {
                continue;
            }
            let first = tail.segment.first_seq();
            found = Some(tail);
            if first <= from_seq {
                break;
            }
        }
        found.ok_or_else(|| JournalError::Segment {
            path: dir.to_owned(),
            got: "no segment that begins with an epoch".to_owned(),
            expected: "a journal".to_owned(),
        })
    }

    /// When the journal was made, ns since the epoch: its identity in the database.
    pub fn birth(&self) -> u64 {
        self.segment.birth()
    }

    /// Index of the segment being read.
    pub const fn segment(&self) -> u64 {
        self.segment.index
    }

    /// The next published entry, or `None` when there is none yet. The only system calls are at a change of
    /// segment.
    pub fn pull(&mut self) -> Result<Option<Frame>, JournalError> {
        loop {
            match self.segment.next(self.at) {
                Next::Bytes(_) => {
                    let (frame, len) = self.frame()?;
                    self.at += len;
                    return Ok(Some(frame));
                }
                Next::Sealed if self.follow()? => {}
                Next::Sealed | Next::Nothing => return Ok(None),
            }
        }
    }

    fn frame(&self) -> Result<(Frame, usize), JournalError> {
        let mut bytes = [0; FRAME_MAX];
        let end = self.segment.published().min(self.segment.len());
        let bytes = &mut bytes[..end.saturating_sub(self.at).min(FRAME_MAX)];
        self.segment.read(self.at, bytes);
        let damaged = |source| JournalError::Damaged { path: self.segment.path.clone(), at: self.at, source };
        codec::decode(bytes).map_err(damaged)
    }

    /// Goes to the next segment when it is in use; the one left behind is complete.
    fn follow(&mut self) -> Result<bool, JournalError> {
        let next = Segment::open(&self.dir, self.segment.index + 1)?;
        let moved = next.is_some();
        if let Some(next) = next {
            self.segment = next;
            self.at = HEADER;
        }
        Ok(moved)
    }

    fn opens_with_epoch(&self) -> Result<bool, JournalError> {
        if self.at >= self.segment.published() {
            return Ok(false);
        }
        self.frame().map(|(frame, _)| matches!(frame.entry, Entry::Epoch { .. }))
    }
}
