//! A journal in memory, for tests and simulations: same seam, no disk.

use super::entry::Entry;
use super::{Journal, JournalError};

/// Everything appended, in order. `room` entries fit; then it is full.
#[derive(Clone, Debug)]
pub struct MemoryJournal {
    pub entries: Vec<Entry>,
    pub room: usize,
}

impl Default for MemoryJournal {
    fn default() -> Self {
        Self { entries: Vec::new(), room: usize::MAX }
    }
}

/// What an entry is reckoned at, bytes.
const ENTRY_BYTES: u64 = 256;

impl Journal for MemoryJournal {
    fn append(&mut self, entry: &Entry) -> Result<(), JournalError> {
        if self.entries.len() >= self.room {
            return Err(JournalError::Full { wanted: ENTRY_BYTES as usize });
        }
        self.entries.push(*entry);
        Ok(())
    }

    fn free_bytes(&self) -> u64 {
        (self.room.saturating_sub(self.entries.len()) as u64).saturating_mul(ENTRY_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::samples;

    #[test]
    fn it_fills_up_like_the_real_one() {
        let all = samples::all();
        let mut journal = MemoryJournal { room: 1, ..MemoryJournal::default() };
        assert_eq!(journal.free_bytes(), ENTRY_BYTES);
        journal.append(&all[0]).unwrap();
        assert!(matches!(journal.append(&all[1]), Err(JournalError::Full { .. })));
        assert_eq!(journal.entries, all[..1]);
    }
}
