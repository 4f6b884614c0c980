//! 5 JOURNAL. What was meant and what happened, in order, surviving the death of the process. `order`
//! appends, `store` and `db` tail, `disk` syncs, restart reads the same bytes.

pub mod codec;
pub mod entry;
mod fields;
pub mod file;
mod handover;
pub mod memory;
pub mod recover;
#[cfg(test)]
pub mod samples;
mod segment;
pub mod supply;
pub mod syncer;
pub mod tail;
pub mod used;

use std::io;
use std::path::PathBuf;
// `handover` takes its atomics from here, so that the model checker in `loom/` can put its own in their place.
use std::sync::atomic;

use thiserror::Error;

use codec::CodecError;
use entry::Entry;

pub use file::{Durability, FileJournal, Options};
pub use memory::MemoryJournal;
pub use recover::Recovered;
pub use segment::{HEADER as SEGMENT_HEADER, Header as SegmentHeader};
pub use supply::Supply;
pub use syncer::Syncer;
pub use tail::Tail;

/// The seam through which `order` writes ahead. An entry counts only after `append` returned `Ok`.
pub trait Journal: Send {
    fn append(&mut self, entry: &Entry) -> Result<(), JournalError>;

    /// Bytes that can still be written, segments in hand and free disk together.
    fn free_bytes(&self) -> u64;

    /// The current segment is nearly full: call [`Journal::rotate`] at the next quiet moment.
    fn wants_rotation(&self) -> bool {
        false
    }

    /// Called at quiet moments: makes ready what the next entries will be written to.
    fn warm(&mut self) {}

    /// Goes on in a fresh segment that opens with `snapshot` (an `Epoch` first), so that a restart needs no
    /// older one.
    fn rotate(&mut self, snapshot: &[Entry]) -> Result<(), JournalError> {
        snapshot.iter().try_for_each(|entry| self.append(entry))
    }
}

/// Why the journal cannot be written or believed.
#[derive(Debug, Error)]
pub enum JournalError {
    #[error("journal: {what} {}: {source}", path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("journal: no room: {wanted} bytes wanted and no segment prepared (is the disk full?)")]
    Full { wanted: usize },
    #[error("journal: {} is damaged at byte {at}: {source}", path.display())]
    Damaged { path: PathBuf, at: usize, source: CodecError },
    #[error("journal: {} at byte {at}: got entry {got}, expected {expected}", path.display())]
    Gap { path: PathBuf, at: usize, got: u64, expected: u64 },
    #[error("journal: {}: got {got}, expected {expected}", path.display())]
    Segment { path: PathBuf, got: String, expected: String },
}

impl JournalError {
    /// For `map_err`: what was done to which path.
    fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}
