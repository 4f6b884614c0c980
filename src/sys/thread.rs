//! The one loop that every thread of the engine runs: naming, pinning, priority, waiting, heartbeat and stopping. A
//! thread's logic is a [`Worker`]; the topology starts it here. The only file that starts threads of the engine; `log`
//! is started by its library.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use thiserror::Error;

use super::clock::Clock;
use super::cores::{PinError, pin_current};
use super::realtime::make_realtime;
use super::waker::Waker;
use crate::types::Nanos;

/// The logic of one thread, as a plain value: a test calls `poll` itself and needs no thread.
pub trait Worker: Send {
    /// One cycle. True when it did any work; `now` is the only time it may look at.
    fn poll(&mut self, now: Nanos) -> bool;
    /// When it has something to do by the clock alone, so that a thread that parks does not sleep through it; `NEVER`
    /// where that can wait for the end of any sleep.
    fn due(&self) -> Nanos {
        Nanos::NEVER
    }
    /// The last call: flush and close. The orderly stop of trading has happened long before, by message.
    fn on_stop(&mut self, _now: Nanos) {}
}

/// Several workers on one OS thread, polled in turn.
pub struct Shared(pub Vec<Box<dyn Worker>>);

impl Worker for Shared {
    fn poll(&mut self, now: Nanos) -> bool {
        let mut worked = false;
        for worker in &mut self.0 {
            worked |= worker.poll(now);
        }
        worked
    }

    fn due(&self) -> Nanos {
        Nanos::first_of(self.0.iter().map(|worker| worker.due()))
    }

    fn on_stop(&mut self, now: Nanos) {
        for worker in &mut self.0 {
            worker.on_stop(now);
        }
    }
}

/// What a thread does when a cycle found no work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Looks again at once: least latency, a core of its own.
    Spin,
    /// Gives the core to whoever is runnable, then looks again.
    Yield,
    /// Sleeps until its [`Waker`] is used or its worker is due, at most `timeout_ms`.
    Park { timeout_ms: u32 },
    /// Nothing: the worker blocks in its own link read.
    Block,
}

/// Who the thread is and where it runs.
#[derive(Clone, Debug)]
pub struct ThreadSpec {
    /// At most 15 bytes, the kernel's limit; shown by `top -H`.
    pub name: String,
    /// `None` = wherever the scheduler likes.
    pub core: Option<usize>,
    /// Real-time priority; `None` = shares its core as everybody does.
    pub realtime: Option<u8>,
    /// Nice value, 0 for the hot threads, 1..=19 for those that must give way.
    pub nice: i32,
    pub wait: Wait,
    /// Handed to the producers of its rings before it starts.
    pub waker: Waker,
}

/// Why a thread could not be started as its specification says.
#[derive(Debug, Error)]
pub enum ThreadError {
    #[error("thread {name}: cannot be started: {source}")]
    Start { name: String, source: io::Error },
    #[error("thread {name}: {source}")]
    Pin { name: String, source: PinError },
    #[error(
        "thread {name}: real-time priority {priority} is refused: {source}; raise LimitRTPRIO= of the unit \
         and set RestrictRealtime=no there, or [threads] realtime_priority = 0"
    )]
    Realtime { name: String, priority: u8, source: io::Error },
    #[error("thread {name}: nice {nice} is refused: {source}")]
    Nice { name: String, nice: i32, source: io::Error },
}

/// When a thread last began a cycle. Copies read the same heart.
#[derive(Clone, Debug, Default)]
pub struct Heartbeat(Arc<AtomicU64>);

impl Heartbeat {
    fn beat(&self, now: Nanos) {
        self.0.store(now.0, Ordering::Relaxed);
    }

    /// Start of the last cycle; zero before the first.
    pub fn last(&self) -> Nanos {
        Nanos(self.0.load(Ordering::Relaxed))
    }
}

/// A running thread. Dropping the handle lets it run on.
#[derive(Debug)]
pub struct Handle {
    pub name: String,
    pub heartbeat: Heartbeat,
    stop: Arc<AtomicBool>,
    waker: Waker,
    thread: JoinHandle<()>,
}

impl Handle {
    /// Asks the thread to end after its current cycle.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the end. False when the thread panicked.
    pub fn join(self) -> bool {
        self.thread.join().is_ok()
    }
}

/// Starts `worker` on a thread of its own and returns once it is named, pinned and about to poll.
///
/// # Errors
/// When the system refuses the thread, the core or the nice value; the worker has then not been polled.
///
/// # Panics
/// When the name is longer than the kernel keeps.
#[expect(clippy::disallowed_methods, reason = "the one place that starts threads")]
pub fn spawn<C: Clock + 'static>(
    spec: ThreadSpec,
    clock: C,
    worker: Box<dyn Worker>,
) -> Result<Handle, ThreadError> {
    assert!(spec.name.len() <= 15, "thread name {:?} is longer than 15 bytes", spec.name);
    let (name, waker) = (spec.name.clone(), spec.waker.clone());
    let (heartbeat, stop) = (Heartbeat::default(), Arc::new(AtomicBool::new(false)));
    // Whoever looks before its first cycle sees a thread that is young, not one that is late.
    heartbeat.beat(clock.now());
    let (settled, outcome) = mpsc::sync_channel(1);
    let mut cycle = Cycle { spec, clock, worker, heartbeat: heartbeat.clone(), stop: Arc::clone(&stop) };
    let start = |source| ThreadError::Start { name: name.clone(), source };
    let thread = Builder::new()
        .name(name.clone())
        .spawn(move || {
            let outcome = settle(&cycle.spec);
            let ready = outcome.is_ok();
            if settled.send(outcome).is_ok() && ready {
                cycle.run();
            }
        })
        .map_err(start)?;
    outcome.recv().map_err(|_| start(io::Error::other("it ended at once")))??;
    Ok(Handle { name, heartbeat, stop, waker, thread })
}

/// Runs `work` on a thread of its own and waits for it at most `limit`; `None` when it took longer. The thread then
/// ends on its own and its result is dropped: only for work that is bounded by itself, such as a name look-up.
#[expect(clippy::disallowed_methods, reason = "the one place that starts threads")]
pub fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, result) = mpsc::sync_channel(1);
    Builder::new()
        .name("bounded".to_owned())
        .spawn(move || {
            let _too_late = done.send(work());
        })
        .ok()?;
    result.recv_timeout(limit).ok()
}

/// Takes the place that the specification names; on the new thread.
fn settle(spec: &ThreadSpec) -> Result<(), ThreadError> {
    let name = || spec.name.clone();
    if let Some(core) = spec.core {
        pin_current(core).map_err(|source| ThreadError::Pin { name: name(), source })?;
    }
    if let Some(priority) = spec.realtime {
        make_realtime(priority).map_err(|source| ThreadError::Realtime { name: name(), priority, source })?;
    }
    if spec.nice != 0 {
        // On Linux the nice value belongs to the thread, and "this process" means the calling thread.
        rustix::process::setpriority_process(None, spec.nice).map_err(|errno| ThreadError::Nice {
            name: name(),
            nice: spec.nice,
            source: errno.into(),
        })?;
    }
    Ok(())
}

/// The loop.
struct Cycle<C> {
    spec: ThreadSpec,
    clock: C,
    worker: Box<dyn Worker>,
    heartbeat: Heartbeat,
    stop: Arc<AtomicBool>,
}

impl<C: Clock> Cycle<C> {
    fn run(&mut self) {
        while !self.stop.load(Ordering::Acquire) {
            if !self.poll() {
                self.wait();
            }
        }
        self.worker.on_stop(self.clock.now());
    }

    #[inline]
    fn poll(&mut self) -> bool {
        let now = self.clock.now();
        self.heartbeat.beat(now);
        self.worker.poll(now)
    }

    fn wait(&mut self) {
        match self.spec.wait {
            Wait::Spin => std::hint::spin_loop(),
            Wait::Yield => std::thread::yield_now(),
            Wait::Park { timeout_ms } => self.park(timeout_ms),
            Wait::Block => {}
        }
    }

    fn park(&mut self, timeout_ms: u32) {
        self.spec.waker.arm();
        // A stop or a message that came before `arm` woke nobody: look again before sleeping.
        if self.poll() || self.stop.load(Ordering::Acquire) {
            self.spec.waker.disarm();
        } else {
            self.spec.waker.sleep(self.longest_sleep(timeout_ms));
        }
    }

    fn longest_sleep(&self, timeout_ms: u32) -> Duration {
        let timeout = Duration::from_millis(u64::from(timeout_ms));
        match self.worker.due() {
            Nanos::NEVER => timeout,
            due => timeout.min(Duration::from_nanos(due.since(self.clock.now()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock::{ManualClock, SystemClock};
    use crate::sys::ring::{Rx, ring};

    /// Adds up what it is sent and reports the sum at its end.
    struct Adder {
        from: Rx<u64>,
        sum: u64,
        report: mpsc::Sender<u64>,
    }

    impl Worker for Adder {
        fn poll(&mut self, _now: Nanos) -> bool {
            self.from.pop().map(|n| self.sum += n).is_some()
        }

        fn on_stop(&mut self, _now: Nanos) {
            while self.poll(Nanos::NEVER) {}
            self.report.send(self.sum).unwrap();
        }
    }

    fn spec(name: &str, wait: Wait) -> ThreadSpec {
        let (core, realtime, waker) = (None, None, Waker::new().unwrap());
        ThreadSpec { name: name.to_owned(), core, realtime, nice: 0, wait, waker }
    }

    #[test]
    fn every_waiting_policy_delivers_everything() {
        let hour = Wait::Park { timeout_ms: 3_600_000 };
        for wait in [Wait::Spin, Wait::Yield, hour, Wait::Block] {
            let spec = spec("adder", wait);
            let (tx, from) = ring(4);
            let mut tx = tx.waking(&spec.waker);
            let (report, sum) = mpsc::channel();
            let worker = Box::new(Adder { from, sum: 0, report });
            let handle = spawn(spec, SystemClock::start(), worker).unwrap();
            for n in 1..=1_000 {
                while tx.push(n).is_err() {
                    std::thread::yield_now();
                }
            }
            handle.stop();
            assert!(handle.join());
            assert_eq!(sum.recv().unwrap(), 500_500, "{wait:?}");
        }
    }

    /// Would sleep for an hour each time if it were not for what is due.
    #[test]
    fn a_parked_thread_wakes_for_what_is_due() {
        struct Alarm(Nanos, mpsc::Sender<Nanos>);
        impl Worker for Alarm {
            fn poll(&mut self, now: Nanos) -> bool {
                if now >= self.0 {
                    let _ended = self.1.send(now);
                    self.0 = now.plus_ms(1);
                }
                false
            }

            fn due(&self) -> Nanos {
                self.0
            }
        }
        let (tx, rings) = mpsc::channel();
        let clock = SystemClock::start();
        let first = clock.now().plus_ms(2);
        let hour = Wait::Park { timeout_ms: 3_600_000 };
        let workers =
            Shared(vec![Box::new(Alarm(Nanos::NEVER.plus_ms(1), tx.clone())), Box::new(Alarm(first, tx))]);
        let handle = spawn(spec("alarm", hour), clock, Box::new(workers)).unwrap();
        for _ in 0..4 {
            assert!(rings.recv_timeout(Duration::from_secs(60)).is_ok(), "it slept");
        }
        handle.stop();
        assert!(handle.join());
    }

    #[test]
    fn a_thread_has_its_name_and_beats() {
        struct NameOf(mpsc::Sender<Option<String>>);
        impl Worker for NameOf {
            fn poll(&mut self, _now: Nanos) -> bool {
                let _ended = self.0.send(std::thread::current().name().map(str::to_owned));
                false
            }
        }
        let (tx, names) = mpsc::channel();
        let clock = ManualClock::at(Nanos(42));
        let handle = spawn(spec("md:one", Wait::Yield), clock, Box::new(NameOf(tx))).unwrap();
        assert_eq!(names.recv().unwrap().as_deref(), Some("md:one"));
        assert_eq!(handle.heartbeat.last(), Nanos(42));
        handle.stop();
        assert!(handle.join());
    }

    #[test]
    fn a_core_that_is_not_there_is_refused_before_the_first_poll() {
        struct Never;
        impl Worker for Never {
            fn poll(&mut self, _now: Nanos) -> bool {
                panic!("polled although it could not be pinned")
            }
        }
        let spec = ThreadSpec { core: Some(1_000_000), ..spec("lost", Wait::Block) };
        let error = spawn(spec, SystemClock::start(), Box::new(Never)).unwrap_err();
        assert!(error.to_string().starts_with("thread lost: core 1000000"), "{error}");
    }

    #[test]
    fn shared_polls_everyone_even_after_one_worked() {
        struct Count(Arc<AtomicU64>, bool);
        impl Worker for Count {
            fn poll(&mut self, _now: Nanos) -> bool {
                self.0.fetch_add(1, Ordering::Relaxed);
                self.1
            }
        }
        let polls = Arc::new(AtomicU64::new(0));
        let one = |works| Box::new(Count(Arc::clone(&polls), works)) as Box<dyn Worker>;
        assert!(Shared(vec![one(true), one(false)]).poll(Nanos(1)));
        assert!(!Shared(vec![one(false), one(false)]).poll(Nanos(1)));
        assert_eq!(polls.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn work_that_takes_too_long_is_left_behind() {
        let (release, held) = mpsc::channel::<()>();
        assert_eq!(within(Duration::ZERO, move || held.recv().is_ok()), None);
        drop(release);
        assert_eq!(within(Duration::from_secs(60), || 7), Some(7));
    }
}
