//! The engine's own lock-free code under every order of memory operations that the model allows, in small models:
//! `cargo test --manifest-path loom/Cargo.toml`. The source is the engine's file itself; only its atomics are replaced.
//! The rings are `rtrb`'s, which checks its own.

#![cfg(test)]

#[path = "../../src/journal/handover.rs"]
mod handover;
#[path = "../../src/sys/parked.rs"]
mod parked;
#[path = "../../src/sys/seqlock.rs"]
mod seqlock;

use handover::{Handover, Next};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{self, AtomicU64, AtomicUsize, Ordering};
use loom::sync::{Arc, Notify};
use loom::thread;
use parked::Parked;
use seqlock::SeqLock;

/// What stands for the ring (a count of messages) and for the eventfd (a notification that waits for its reader).
struct Bed {
    messages: AtomicUsize,
    event: Notify,
    parked: Parked,
}

impl Bed {
    fn new() -> Arc<Self> {
        Arc::new(Self { messages: AtomicUsize::new(0), event: Notify::new(), parked: Parked::new() })
    }

    fn push(&self) {
        self.messages.fetch_add(1, Ordering::Release);
    }

    fn wake(&self) {
        if self.parked.claim() {
            self.event.notify();
        }
    }

    /// As the thread's loop waits: announce, look once more, sleep. Returns when all messages are seen; a wake that is
    /// lost leaves every thread asleep, which the checker reports.
    fn consume(&self, all: usize) {
        while self.messages.load(Ordering::Acquire) < all {
            self.parked.announce();
            if self.messages.load(Ordering::Acquire) < all {
                self.event.wait();
            }
            self.parked.withdraw();
        }
    }
}

#[test]
fn no_wake_is_lost() {
    loom::model(|| {
        let bed = Bed::new();
        let producer = Arc::clone(&bed);
        let producer = thread::spawn(move || {
            for _ in 0..2 {
                producer.push();
                producer.wake();
            }
        });
        bed.consume(2);
        producer.join().unwrap();
    });
}

#[test]
fn two_producers_wake_one_consumer() {
    // Three threads have too many orders to try them all: those with at most two changes of thread forced on them.
    let mut bounded = loom::model::Builder::new();
    bounded.preemption_bound = Some(2);
    bounded.check(|| {
        let bed = Bed::new();
        let producers = [(); 2].map(|()| {
            let producer = Arc::clone(&bed);
            thread::spawn(move || {
                producer.push();
                producer.wake();
            })
        });
        bed.consume(2);
        for producer in producers {
            producer.join().unwrap();
        }
    });
}

/// One push against one consumer who is about to sleep: when both have done, a sleeper without a signal is a lost wake.
fn one_push(produce: fn(&Parked, &AtomicUsize) -> bool) {
    loom::model(move || {
        let bed = Arc::new((Parked::new(), AtomicUsize::new(0)));
        let producer = Arc::clone(&bed);
        let producer = thread::spawn(move || produce(&producer.0, &producer.1));
        bed.0.announce();
        let sleeps = bed.1.load(Ordering::Acquire) == 0;
        let signalled = producer.join().unwrap();
        assert!(!sleeps || signalled, "lost wake");
    });
}

#[test]
fn a_sleeper_has_its_signal() {
    one_push(|parked, messages| {
        messages.store(1, Ordering::Release);
        parked.claim()
    });
}

/// That the checker sees a lost wake: here the producer looks before its message is in place.
#[test]
#[should_panic(expected = "lost wake")]
fn a_wake_before_the_message_is_lost() {
    one_push(|parked, messages| {
        let signalled = parked.claim();
        messages.store(1, Ordering::Release);
        signalled
    });
}

/// One write while another thread reads twice: what it sees belongs together, and is no older than what it saw before.
#[test]
fn words_are_read_as_they_were_written() {
    loom::model(|| {
        let lock = Arc::new(SeqLock::new([0, 0]));
        let writer = Arc::clone(&lock);
        let writer = thread::spawn(move || writer.write([1, 1]));
        let mut last = 0;
        for [a, b] in (0..2).filter_map(|_| lock.read()) {
            assert_eq!(a, b, "torn");
            assert!(a >= last, "back in time");
            last = a;
        }
        writer.join().unwrap();
        assert_eq!(lock.read(), Some([1, 1]));
    });
}

/// A segment of the journal as two mappings share it: the words of its header, and room for two entries.
#[derive(Default)]
struct Segment {
    entries: [UnsafeCell<u64>; 2],
    published: AtomicU64,
    sealed: AtomicU64,
}

impl Segment {
    fn words(&self) -> Handover<'_> {
        Handover { published: &self.published, sealed: &self.sealed }
    }

    fn append(&self, at: usize, entry: u64) {
        // SAFETY: what is not published is the writer's alone. The checker holds us to it.
        self.entries[at].with_mut(|place| unsafe { *place = entry });
        self.words().publish(at as u64 + 1);
    }

    fn read(&self, at: usize) -> u64 {
        // SAFETY: what is published is never written again. The checker holds us to it.
        self.entries[at].with(|place| unsafe { *place })
    }
}

/// One writer, over two segments, against one reader who asks `next` where it is: every entry is seen once, in order.
fn a_reader_sees_all(next: fn(&Segment, u64) -> Next) {
    loom::model(move || {
        let journal: Arc<[Segment; 2]> = Arc::default();
        let writer = Arc::clone(&journal);
        let writer = thread::spawn(move || {
            let [first, second] = &*writer;
            first.append(0, 1);
            first.append(1, 2);
            first.words().seal();
            second.append(0, 3);
        });
        let (mut segment, mut at, mut seen) = (0, 0, 0);
        let mut look = || match next(&journal[segment], at as u64) {
            Next::Bytes(end) => {
                assert!(end as usize > at, "nothing new");
                seen += 1;
                assert_eq!(journal[segment].read(at), seen, "lost entry");
                at += 1;
                true
            }
            Next::Sealed if segment == 0 && journal[1].words().published() > 0 => {
                (segment, at) = (1, 0);
                true
            }
            Next::Sealed | Next::Nothing => false,
        };
        for _ in 0..3 {
            look();
        }
        writer.join().unwrap();
        while look() {}
        assert_eq!(seen, 3);
    });
}

#[test]
fn no_entry_is_passed_over_at_a_seal() {
    a_reader_sees_all(|segment, at| segment.words().next(at));
}

/// That the checker sees a lost entry: here the reader looks first whether there is more, then at the seal.
#[test]
#[should_panic(expected = "lost entry")]
fn a_seal_looked_at_last_passes_over_entries() {
    a_reader_sees_all(|segment, at| {
        let published = segment.published.load(Ordering::Acquire);
        let sealed = segment.sealed.load(Ordering::Acquire) == 1;
        match (at < published, sealed) {
            (true, _) => Next::Bytes(published),
            (false, true) => Next::Sealed,
            (false, false) => Next::Nothing,
        }
    });
}
