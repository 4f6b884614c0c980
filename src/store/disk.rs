//! The `disk` thread: syncs the journal, keeps it supplied with segments and puts the full ones to rest. Everything
//! that waits for the disk is here, so that a disk which hangs mutes no alert and no line: those are `store`'s.

use std::sync::Arc;

use super::line::{Level, Line};
use super::lines;
use super::output::Output;
use super::thread::StoreHealth;
use crate::journal::{Supply, Syncer};
use crate::types::Nanos;

/// How often the journal is synced and supplied, ms.
const SYNC_MS: u64 = 50;

/// The thread as a value.
pub struct DiskThread {
    syncer: Syncer,
    supply: Supply,
    output: Output,
    /// Shared with `store`: whoever finds the journal failed says so there.
    health: Arc<StoreHealth>,
    next_sync: Nanos,
    supply_error: String,
}

impl DiskThread {
    pub fn new(syncer: Syncer, supply: Supply, output: Output, health: Arc<StoreHealth>) -> Self {
        Self { syncer, supply, output, health, next_sync: Nanos::NEVER, supply_error: String::new() }
    }

    /// Does what is due. May wait for as long as the disk does.
    pub fn poll(&mut self, now: Nanos) -> bool {
        if now >= self.next_sync {
            self.next_sync = now.plus_ms(SYNC_MS);
            self.keep_journal(now);
        }
        false
    }

    /// At the end, after the writer's: the last sync.
    pub fn finish(&mut self, now: Nanos) {
        self.keep_journal(now);
    }

    fn keep_journal(&mut self, now: Nanos) {
        // After an error a sync proves nothing any more, also where it says that it has worked.
        if !self.health.journal_failed()
            && let Err(error) = self.syncer.sync()
        {
            self.health.fail_journal(&mut self.output, now, &error);
        }
        let error = self.supply.poll().err().map(|error| error.to_string()).unwrap_or_default();
        self.tell_supply(now, error);
    }

    /// Said once per change: the writer works on with the segments in hand, and its free bytes fall.
    fn tell_supply(&mut self, now: Nanos, error: String) {
        if error != self.supply_error {
            let (level, event) = match error.as_str() {
                "" => (Level::Info, "JOURNAL_OK"),
                _ => (Level::Error, "JOURNAL_LOW"),
            };
            let message = if error.is_empty() { "journal supplied again" } else { &error };
            self.output.write(Line::new(now, level, lines::TARGET, message).event(event));
            self.supply_error = error;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::journal::{FileJournal, Journal, Options, recover, samples};
    use crate::store::output::tests::Lines;
    use crate::store::redact::Redactor;

    #[test]
    fn a_failed_sync_is_told_once_and_never_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let all = samples::all();
        let found = recover::recover(dir.path()).unwrap();
        let (mut journal, supply) =
            FileJournal::start(dir.path(), Options::default(), &found, &all[..1], Nanos(5)).unwrap();
        let mut syncer = Syncer::open(dir.path()).unwrap();
        syncer.break_sync().unwrap();
        let (sender, lines) = mpsc::channel();
        let (output, guard) = Output::to(Lines(sender), Redactor::default(), Level::Info);
        let health: Arc<StoreHealth> = Arc::default();
        let mut disk = DiskThread::new(syncer, supply, output, Arc::clone(&health));
        disk.poll(Nanos::from_ms(1));
        assert!(health.journal_failed());
        for turn in 1..=3 {
            journal.append(&all[1]).unwrap();
            disk.poll(Nanos::from_ms(1 + turn * SYNC_MS));
        }
        assert!(health.journal_failed());
        drop(disk);
        drop(guard);
        let text: String = lines.try_iter().collect();
        assert_eq!(text.matches("JOURNAL_FAILED").count(), 1, "{text}");
    }
}
