//! The `store` thread: drains the records of every hot thread, tails the journal, writes lines and shows both to
//! the telemetry. It may be late; it never holds anyone up, and waits for nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::line::{Level, Line};
use super::lines;
use super::names::Names;
use super::output::Output;
use crate::journal::entry::Entry;
use crate::journal::{JournalError, Tail};
use crate::sys::ring::Rx;
use crate::types::{Nanos, Record};

/// How often what was dropped is counted, ms.
const COUNT_MS: u64 = 50;
/// Records or entries taken from one source per poll, so that none starves another.
const TURN: usize = 512;

/// Who else wants to see every fact: the telemetry.
pub trait Observer: Send {
    fn on_record(&mut self, record: &Record);
    fn on_entry(&mut self, entry: &Entry);
    /// Once per poll: questions of other threads.
    fn on_poll(&mut self, _now: Nanos) {}
}

/// Figures that other threads read.
#[derive(Debug, Default)]
pub struct StoreHealth {
    journal_failed: AtomicBool,
    lines_dropped: AtomicU64,
    records_dropped: AtomicU64,
}

impl StoreHealth {
    /// The journal could not be synced or read once: `main` halts the engine (SAFETY L6). Stays true.
    pub fn journal_failed(&self) -> bool {
        self.journal_failed.load(Ordering::Acquire)
    }

    /// Says that it could not.
    pub fn show_failed_journal(&self) {
        self.journal_failed.store(true, Ordering::Release);
    }

    /// What the disk holds is not known from here on; what the writer appends is followed all the same.
    pub(super) fn fail_journal(&self, output: &mut Output, now: Nanos, error: &JournalError) {
        self.show_failed_journal();
        output.write(Line::new(now, Level::Error, lines::TARGET, error).event("JOURNAL_FAILED"));
    }

    /// Log lines that found stdout blocked.
    pub fn lines_dropped(&self) -> u64 {
        self.lines_dropped.load(Ordering::Relaxed)
    }

    /// Records that found their ring full.
    pub fn records_dropped(&self) -> u64 {
        self.records_dropped.load(Ordering::Relaxed)
    }
}

/// The thread as a value.
pub struct StoreThread<O> {
    records: Vec<Rx<Record>>,
    tail: Option<Tail>,
    names: Names,
    output: Output,
    observer: O,
    health: Arc<StoreHealth>,
    next_count: Nanos,
}

impl<O: Observer> StoreThread<O> {
    /// `tail` is absent where nothing is journalled.
    pub fn new(
        records: Vec<Rx<Record>>,
        tail: Option<Tail>,
        names: Names,
        output: Output,
        observer: O,
    ) -> Self {
        Self { records, tail, names, output, observer, health: Arc::default(), next_count: Nanos::NEVER }
    }

    pub fn health(&self) -> Arc<StoreHealth> {
        Arc::clone(&self.health)
    }

    /// Telemetry so far.
    pub const fn observer(&self) -> &O {
        &self.observer
    }

    /// One turn; true when there was work.
    pub fn poll(&mut self, now: Nanos) -> bool {
        let worked = self.drain_records() | self.drain_journal(now);
        if now >= self.next_count {
            self.next_count = now.plus_ms(COUNT_MS);
            self.count_drops();
        }
        self.observer.on_poll(now);
        worked
    }

    /// At the end: everything that is still there.
    pub fn finish(&mut self, now: Nanos) {
        while self.drain_records() | self.drain_journal(now) {}
        self.observer.on_poll(now);
    }

    fn drain_records(&mut self) -> bool {
        let mut worked = false;
        for ring in &mut self.records {
            for _ in 0..TURN {
                let Some(record) = ring.pop() else { break };
                self.observer.on_record(&record);
                self.output.write(lines::record(&self.names, &record));
                worked = true;
            }
        }
        worked
    }

    fn drain_journal(&mut self, now: Nanos) -> bool {
        let mut worked = false;
        for _ in 0..TURN {
            let Some(next) = self.tail.as_mut().map(Tail::pull) else { break };
            match next {
                Ok(Some(frame)) => self.entry(&frame.entry),
                Ok(None) => break,
                Err(error) => {
                    // There is no way past what cannot be read.
                    self.tail = None;
                    self.health.fail_journal(&mut self.output, now, &error);
                }
            }
            worked = true;
        }
        worked
    }

    fn entry(&mut self, entry: &Entry) {
        self.observer.on_entry(entry);
        if let Some(line) = lines::entry(&self.names, entry) {
            self.output.write(line);
        }
    }

    fn count_drops(&self) {
        let records = self.records.iter().map(Rx::refused).sum();
        self.health.records_dropped.store(records, Ordering::Relaxed);
        self.health.lines_dropped.store(self.output.dropped(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::journal::{FileJournal, Journal, Options, recover, samples};
    use crate::store::names::tests::names;
    use crate::store::output::tests::Lines;
    use crate::store::redact::Redactor;
    use crate::sys::ring::ring;
    use crate::types::VenueId;
    use crate::types::record::{RecordKind, Role};

    #[derive(Default)]
    struct Count(usize, usize);

    impl Observer for Count {
        fn on_record(&mut self, _: &Record) {
            self.0 += 1;
        }
        fn on_entry(&mut self, _: &Entry) {
            self.1 += 1;
        }
    }

    #[test]
    fn records_and_entries_become_lines_and_are_observed() {
        let dir = tempfile::tempdir().unwrap();
        let entries = samples::round_trip();
        let found = recover::recover(dir.path()).unwrap();
        let options = Options { segment_bytes: 16 << 10, ..Options::default() };
        let (mut journal, _supply) =
            FileJournal::start(dir.path(), options, &found, &entries[..1], Nanos(5)).unwrap();
        let (mut tx, rx) = ring(2);
        let (sender, lines) = mpsc::channel();
        let (output, guard) = Output::to(Lines(sender), Redactor::default(), Level::Info);
        let tail = Tail::open(dir.path(), 0).unwrap();
        let mut store = StoreThread::new(vec![rx], Some(tail), names(), output, Count::default());
        let kind = RecordKind::LinkUp { venue: VenueId(0), role: Role::MarketData };
        for at in 0..3 {
            let _ = tx.push(Record { at: Nanos(at), kind });
        }
        entries[1..].iter().for_each(|entry| journal.append(entry).unwrap());
        assert!(store.poll(Nanos::from_ms(1)));
        assert!(!store.poll(Nanos::from_ms(2)));
        assert_eq!((store.observer().0, store.observer().1), (2, entries.len()));
        assert_eq!(store.health().records_dropped(), 1);
        assert!(!store.health().journal_failed());
        store.finish(Nanos::from_ms(3));
        drop(store);
        drop(guard);
        let text: String = lines.try_iter().collect();
        assert_eq!(text.matches("Vest WebSocket connected").count(), 2);
        assert!(text.contains("[TRADE] Auto-executed: spread=0.3100%"), "{text}");
        assert!(text.contains("\"event_type\":\"PAIR_CLOSED\""), "{text}");
    }
}
