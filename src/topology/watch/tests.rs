//! What `main` calls a person for, and how soon after it can see it, on a clock set by hand.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::Sender;

use super::*;
use crate::control::HaltFile;
use crate::sys::clock::ManualClock;
use crate::sys::ring::{Rx, ring};
use crate::sys::thread::Handle;
use crate::topology::hearts::MaxAges;
use crate::topology::hearts::tests::{thread, until};

const START: Nanos = Nanos::from_ms(1_000_000);
/// Between two looks here; production looks ten times as often.
const STEP_MS: u64 = 100;

/// A clock set by hand that the machine's own may have left behind.
#[derive(Clone)]
struct TestClock(ManualClock, Arc<AtomicI64>);

impl Clock for TestClock {
    fn now(&self) -> Nanos {
        self.0.now()
    }
    fn drift_ms(&self) -> i64 {
        self.1.load(Ordering::Relaxed)
    }
}

struct Bench {
    watch: Watch<TestClock>,
    clock: TestClock,
    raised: Rx<Alert>,
    commands: Rx<Command>,
    dir: tempfile::TempDir,
    /// `keeper` waits for a venue while this is there.
    keeper_held: Option<Sender<()>>,
}

impl Bench {
    fn new() -> Self {
        let clock = TestClock(ManualClock::at(START), Arc::default());
        let ((hot, _), (store, _)) = (thread("hot", &clock.0), thread("store", &clock.0));
        let (keeper, keeper_held) = thread("keeper:one", &clock.0);
        let ((commands, sent), (alerts, raised)) = (ring(8), ring(8));
        let (dir, board) = (tempfile::tempdir().unwrap(), Arc::new(Board::default()));
        // A run that ends here ends at once: nobody stops `order`, and the clock stands.
        board.show_stopped(true);
        let watch = Watch {
            clock: clock.clone(),
            signals: Signals::default(),
            notifier: Notifier::from_env().unwrap(),
            control: control::Server::bind(&dir.path().join("sock")).unwrap(),
            operator: Operator::new(commands, HaltFile::of(dir.path()), Vec::new(), false),
            board,
            hearts: Hearts {
                hot: vec![hot],
                store,
                may_block: vec![keeper],
                max_ms: MaxAges { hot: 2_000, store: 10_000, may_block: 30_000 },
            },
            stop_deadline_ms: 1_000,
            flatten_on_stop: false,
            store_health: Arc::default(),
            database: Arc::default(),
            database_lag: DatabaseLag { alert_s: 60, no_entries_s: 900 },
            growth: Growth::new(START, 64),
            alerts,
            pulse: Pulse::default(),
            said: Said::default(),
            late: 0,
            last: Last::default(),
            status: Box::new(|| serde_json::Value::Null),
        };
        Self { watch, clock, raised, commands: sent, dir, keeper_held: Some(keeper_held) }
    }

    /// Looks until so long after the start, or until the end; what was raised and when, ms after the start.
    fn run(&mut self, until_ms: u64) -> (Vec<(Kind, u64)>, Option<End>) {
        let (end_at, mut told) = (START.plus_ms(until_ms), Vec::new());
        while self.clock.now() < end_at {
            self.clock.0.advance_ms(STEP_MS);
            let now = self.clock.now();
            self.wait_for_beats(now);
            let end = self.watch.look(now);
            told.extend(self.told());
            if end.is_some() {
                return (told, end);
            }
        }
        (told, None)
    }

    fn told(&mut self) -> Vec<(Kind, u64)> {
        std::iter::from_fn(|| self.raised.pop()).map(|alert| (alert.kind, alert.at.ms_since(START))).collect()
    }

    /// Whoever goes on beats at the new time.
    fn wait_for_beats(&self, now: Nanos) {
        let Hearts { hot, store, may_block, .. } = &self.watch.hearts;
        let keeper = may_block.iter().filter(|_| self.keeper_held.is_none());
        let beats = |handle: &Handle| handle.is_finished() || handle.heartbeat.last() == now;
        hot.iter().chain([store]).chain(keeper).for_each(|handle| until(|| beats(handle)));
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let Hearts { hot, store, may_block, .. } = &self.watch.hearts;
        hot.iter().chain([store]).chain(may_block).for_each(Handle::stop);
    }
}

#[test]
fn a_database_that_lags_is_told_at_the_next_look_and_anew_when_it_lags_again() {
    let mut bench = Bench::new();
    bench.watch.database.show_lag(60_000);
    assert_eq!(bench.run(1_000), (vec![], None), "a minute is allowed");
    bench.watch.database.show_lag(60_001);
    assert_eq!(bench.run(2_000), (vec![(Kind::DatabaseLag, 1_100)], None));
    bench.watch.database.show_lag(0);
    assert_eq!(bench.run(3_000), (vec![], None));
    bench.watch.database.show_lag(61_000);
    assert_eq!(bench.run(4_000), (vec![(Kind::DatabaseLag, 3_100)], None));
}

#[test]
fn a_failed_journal_is_told_at_the_next_look_and_once() {
    let mut bench = Bench::new();
    assert_eq!(bench.run(1_000), (vec![], None));
    bench.watch.store_health.show_failed_journal();
    assert_eq!(bench.run(5_000), (vec![(Kind::JournalFailed, 1_100)], None));
}

#[test]
fn a_thread_that_does_not_come_back_is_told_when_its_time_is_over() {
    let mut bench = Bench::new();
    assert_eq!(bench.run(32_000), (vec![(Kind::ThreadBlocked, 30_000)], None));
    bench.keeper_held = None;
    assert_eq!(bench.run(40_000), (vec![], None));
}

#[test]
fn a_thread_that_ended_is_told_at_the_next_look_and_ends_the_run() {
    let mut bench = Bench::new();
    assert_eq!(bench.run(1_000), (vec![], None));
    let hot = &bench.watch.hearts.hot[0];
    hot.stop();
    until(|| hot.is_finished());
    assert_eq!(bench.run(5_000), (vec![(Kind::Broken, 1_100)], Some(End::Broken)));
}

/// Three looks at the clock, a second apart, tell a machine that slept from one that was corrected.
#[test]
fn a_clock_that_stood_still_is_told_with_the_third_look_at_it() {
    let mut bench = Bench::new();
    bench.clock.1.store(LATE_MAX_MS + 1, Ordering::Relaxed);
    let (told, end) = bench.run(10_000);
    assert_eq!((told, end), (vec![(Kind::Broken, 2_200)], Some(End::Broken)));
}

/// Memory is weighed once a minute: an alert comes at most so long after the growth.
#[test]
fn memory_that_grows_is_told_when_it_is_next_weighed() {
    let mut bench = Bench::new();
    let base = 100 << 20;
    for minute in 0..=15 {
        bench.watch.watch_memory(START.plus_ms(minute * MEMORY_EVERY_MS), Some(base));
    }
    bench.watch.watch_memory(START.plus_ms(16 * MEMORY_EVERY_MS), Some(base + (64 << 20) + 1));
    assert_eq!(bench.told(), [(Kind::MemoryGrowth, 16 * 60_000)]);
    bench.watch.watch_memory(START.plus_ms(17 * MEMORY_EVERY_MS), None);
    assert_eq!(bench.told(), []);
    let weighed = |bench: &Bench| bench.watch.last.weighed.ms_since(START);
    bench.run(60_000);
    assert_eq!(weighed(&bench), 100);
    bench.run(60_100);
    assert_eq!(weighed(&bench), 60_100);
}

/// The service may start the engine anew: a latch is not lost with the end of a run.
#[test]
fn a_halt_that_comes_during_a_stop_is_sent() {
    let mut bench = Bench::new();
    bench.watch.board.show_stopped(false);
    HaltFile::of(bench.dir.path()).write("test").unwrap();
    let (board, mut commands) =
        (Arc::clone(&bench.watch.board), std::mem::replace(&mut bench.commands, ring(1).1));
    let halted = std::thread::scope(|scope| {
        // `order` comes to its end when it has heard of the halt, or never will.
        let order = scope.spawn(move || {
            let halted = (0..10_000).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(1));
                matches!(commands.pop(), Some(Command::Halt { .. }))
            });
            board.show_stopped(true);
            halted
        });
        assert_eq!(bench.watch.stop(START), End::Clean);
        order.join().unwrap()
    });
    assert!(halted);
}
