//! The `Clock` seam: where a thread reads the time once per cycle and hands it down, and the deadlines of the cold
//! path. The only file that asks the operating system for the time; nothing between a book update and an order may call
//! it more than once per cycle.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::tsc::Tsc;
use crate::types::Nanos;

/// Source of the engine's timeline. Production anchors the monotonic clock once; a simulation supplies its own.
pub trait Clock: Send + Sync {
    fn now(&self) -> Nanos;
    /// Holds a fast reading to the clock of the kernel; called every second by one thread. False when none is used (any
    /// more).
    fn check(&self) -> bool {
        true
    }

    /// Wall clock minus this timeline, ms: what the operating system has corrected (or slept) since the start.
    fn drift_ms(&self) -> i64 {
        0
    }
}

/// The monotonic clock, anchored to the wall clock when it was started. It never steps: a correction of the wall clock
/// shows in [`SystemClock::drift_ms`] instead. Copies share the anchor.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
    origin_ns: u64,
    /// Read in place of the monotonic clock where it can be trusted.
    counter: Option<&'static Tsc>,
}

impl SystemClock {
    /// Anchors the timeline. Called once per process; every thread gets a copy.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clocks")]
    pub fn start() -> Self {
        Self { origin: Instant::now(), origin_ns: wall_ns(), counter: None }
    }

    /// As [`SystemClock::start`], reading the processor's own counter where it can be trusted. For the engine, which
    /// calls [`Clock::check`] every second; takes some milliseconds and, once per process, some bytes for good.
    pub fn start_fast() -> Self {
        let slow = Self::start();
        let counter = Tsc::calibrate(&|| slow.monotonic_ns());
        Self { counter: counter.map(|counter| &*Box::leak(Box::new(counter))), ..slow }
    }

    /// Nanoseconds since the start, by the kernel.
    fn monotonic_ns(&self) -> u64 {
        nanos(self.origin.elapsed())
    }
}

impl Clock for SystemClock {
    #[inline]
    fn now(&self) -> Nanos {
        let since_start = self.counter.and_then(Tsc::nanos).unwrap_or_else(|| self.monotonic_ns());
        Nanos(self.origin_ns.saturating_add(since_start))
    }

    fn check(&self) -> bool {
        self.counter.is_some_and(|counter| counter.check(&|| self.monotonic_ns()))
    }

    fn drift_ms(&self) -> i64 {
        wall_ns().wrapping_sub(self.now().0).cast_signed() / 1_000_000
    }
}

/// A clock that stands still until it is moved. Copies share the hand.
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    pub fn at(now: Nanos) -> Self {
        Self(Arc::new(AtomicU64::new(now.0)))
    }

    pub fn advance_ms(&self, ms: u64) {
        self.0.fetch_add(ms * 1_000_000, Ordering::Relaxed);
    }

    /// # Panics
    /// When `now` lies before the time shown: the timeline never steps back.
    pub fn set(&self, now: Nanos) {
        assert!(self.0.swap(now.0, Ordering::Relaxed) <= now.0, "the timeline never steps back");
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Nanos {
        Nanos(self.0.load(Ordering::Relaxed))
    }
}

/// The moment at which a blocking operation of the cold path gives up.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clocks")]
    pub fn after(limit: Duration) -> Self {
        Self(Instant::now() + limit)
    }

    /// Time left, `None` when it has passed. Never zero, so that it can be used as a socket timeout.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clocks")]
    pub fn left(self) -> Option<Duration> {
        self.0.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }
}

/// Wall clock, ns since the Unix epoch; zero before it.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clocks")]
fn wall_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanos)
}

/// 584 years fit.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeline_never_steps_back_and_is_near_the_wall_clock() {
        for clock in [SystemClock::start(), SystemClock::start_fast()] {
            let readings: Vec<Nanos> = (0..1_000).map(|_| clock.now()).collect();
            assert!(readings.is_sorted());
            assert!(clock.now().ms() > 1_700_000_000_000, "after 2023");
            assert!(clock.drift_ms().abs() < 3_600_000);
        }
    }

    #[test]
    fn checks_do_not_make_it_step() {
        let clock = SystemClock::start_fast();
        let start = clock.now();
        let mut last = start;
        // Long enough for some new lines.
        while last.ms_since(start) < 350 {
            clock.check();
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn copies_of_a_manual_clock_share_the_hand() {
        let clock = ManualClock::at(Nanos::from_ms(5));
        let other = clock.clone();
        clock.advance_ms(7);
        assert_eq!(other.now(), Nanos::from_ms(12));
        other.set(Nanos::from_ms(20));
        assert_eq!(clock.now(), Nanos::from_ms(20));
    }

    #[test]
    #[should_panic(expected = "never steps back")]
    fn a_manual_clock_refuses_to_go_back() {
        ManualClock::at(Nanos(2)).set(Nanos(1));
    }

    #[test]
    fn a_deadline_passes() {
        assert!(Deadline::after(Duration::ZERO).left().is_none());
        assert!(Deadline::after(Duration::from_secs(3600)).left().is_some());
    }
}
