//! 5 JOURNAL. What was meant and what happened, in order, surviving the death of the process. `order` appends, `store`
//! tails, restart reads the same bytes.

pub mod entry;

use entry::Entry;
use thiserror::Error;

/// Why an entry could not be written. The engine then opens nothing more.
#[derive(Debug, Error)]
pub enum JournalError {
    #[error("journal: {0}")]
    Io(#[from] std::io::Error),
    #[error("journal: no room left for another segment")]
    Full,
}

/// The `Journal` seam: one writer. When `append` returns, the entry survives the death of the process (or, with
/// durability `power`, of the machine).
pub trait Journal: Send {
    fn append(&mut self, entry: &Entry) -> Result<(), JournalError>;
    /// Bytes that can still be appended without a new segment from the file system.
    fn free_bytes(&self) -> u64;

    /// The current segment is nearly full: call [`Journal::rotate`] at the next quiet moment.
    fn wants_rotation(&self) -> bool {
        false
    }

    /// Goes on in a fresh segment that opens with `snapshot` (an `Epoch` first), so that a restart needs no older one.
    fn rotate(&mut self, snapshot: &[Entry]) -> Result<(), JournalError> {
        snapshot.iter().try_for_each(|entry| self.append(entry))
    }
}
