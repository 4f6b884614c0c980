//! Identities that a journal says were used: the next run, and the verb `flatten` with its journal beside the engine's,
//! take higher ones.

use std::path::{Path, PathBuf};

use super::entry::Entry;
use super::recover::recover;

/// Highest of each kind; zero = none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    pub epoch: u32,
    pub nonce: u64,
}

/// Where `flatten` keeps its journal: beside the engine's segments, which it never touches.
pub fn flatten_dir(journal: &Path) -> PathBuf {
    journal.join("flatten")
}

/// Looks into the journal at `dir`; one that is not there, or cannot be read, used none.
pub fn used(dir: &Path) -> Used {
    let mut used = Used::default();
    if !dir.is_dir() {
        return used;
    }
    for entry in recover(dir).map(|found| found.entries).unwrap_or_default() {
        if let Entry::Epoch { epoch, .. } = entry {
            used.epoch = used.epoch.max(epoch);
        }
        used.nonce = nonces(&entry).fold(used.nonce, u64::max);
    }
    used
}

/// Nonces of the orders that an entry holds.
pub fn nonces(entry: &Entry) -> impl Iterator<Item = u64> + use<> {
    let orders = match entry {
        Entry::Intent { intent } => intent.orders,
        Entry::OrderSnapshot { order, .. } => [Some(*order), None],
        _ => [None, None],
    };
    orders.into_iter().flatten().map(|order| order.spec.nonce).filter(|nonce| *nonce != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{FileJournal, Journal, Options, samples};
    use crate::types::Nanos;

    #[test]
    fn the_highest_of_each_kind_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let place = flatten_dir(dir.path());
        assert_eq!(used(&place), Used::default());
        let found = recover(&place).unwrap();
        let options = Options { segment_bytes: 1 << 20, ..Options::default() };
        let epoch = Entry::Epoch { epoch: 7, config_hash: 0, at: Nanos(1) };
        let (mut journal, _supply) = FileJournal::start(&place, options, &found, &[epoch], Nanos(1)).unwrap();
        let trip = samples::round_trip();
        let highest = trip.iter().flat_map(nonces).max().unwrap();
        for entry in trip.iter().filter(|entry| matches!(entry, Entry::Intent { .. })) {
            journal.append(entry).unwrap();
        }
        assert_eq!(used(&place), Used { epoch: 7, nonce: highest });
    }
}
