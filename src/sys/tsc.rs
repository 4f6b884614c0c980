//! The processor's time stamp counter, read as nanoseconds: a third of the price of the kernel's clock. Owned by
//! `clock`. It never vouches for itself: it is measured against the monotonic clock at the start and every second after
//! that, and given up for good once the two have parted.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::seqlock::SeqLock;

/// Length of one measurement at the start, ns, and how many of them must agree within [`AGREE_PPM`].
const MEASURE_NS: u64 = 2_000_000;
const MEASUREMENTS: usize = 3;
const AGREE_PPM: u64 = 200;
/// Distance from the monotonic clock at which the counter is believed no more, ns.
const PARTED_NS: u64 = 1_000_000;
/// Shortest time between two lines, ns: speeds measured over less are noise.
const CHECK_MIN_NS: u64 = 100_000_000;
/// What a check puts right is spread over the time to the next one, ns.
const CHECK_EVERY_NS: i128 = 1_000_000_000;
/// Binary places of a speed.
const POINT: u32 = 32;
/// Readings of which the tightest one counts.
const TRIES: usize = 8;
/// Ticks between reading both clocks and using what they said: more, and we were interrupted.
const INTERRUPTED: u64 = 1_000_000;

/// The counter and the line through it: `nanos + (counter - ticks) × speed`.
#[derive(Debug)]
pub struct Tsc {
    line: SeqLock<3>,
    /// What the monotonic clock said where the line begins.
    checked: AtomicU64,
    parted: AtomicBool,
}

/// Both clocks read at once.
#[derive(Clone, Copy)]
struct Sample {
    ticks: u64,
    monotonic: u64,
}

impl Tsc {
    /// Measures the counter against `monotonic`, ns; takes some milliseconds. `None` when the processor does not
    /// promise one speed in all its states, or the measurements disagree.
    pub fn calibrate(monotonic: &dyn Fn() -> u64) -> Option<Self> {
        if !is_invariant() {
            return None;
        }
        let mut samples = [sample(monotonic); MEASUREMENTS + 1];
        for nth in 1..samples.len() {
            while monotonic() < samples[nth - 1].monotonic + MEASURE_NS {
                std::hint::spin_loop();
            }
            samples[nth] = sample(monotonic);
        }
        let speeds: [Option<u64>; MEASUREMENTS] =
            std::array::from_fn(|nth| speed(samples[nth], samples[nth + 1]));
        let whole = speed(samples[0], samples[MEASUREMENTS])?;
        let agrees = |speed: &Option<u64>| {
            speed.is_some_and(|speed| speed.abs_diff(whole) <= whole / 1_000_000 * AGREE_PPM)
        };
        let Sample { ticks, monotonic } = samples[MEASUREMENTS];
        speeds.iter().all(agrees).then(|| Self {
            line: SeqLock::new([ticks, monotonic, whole]),
            checked: AtomicU64::new(monotonic),
            parted: AtomicBool::new(false),
        })
    }

    /// Now, in the nanoseconds of the monotonic clock; `None` once they have parted.
    #[inline]
    pub fn nanos(&self) -> Option<u64> {
        if self.parted.load(Ordering::Relaxed) {
            return None;
        }
        Some(self.line().at(counter()))
    }

    /// Compares with the monotonic clock and bends the line so that what differs is gone by the next check, in a
    /// second. Called by one thread. False when they have parted: `nanos` answers no more.
    pub fn check(&self, monotonic: &dyn Fn() -> u64) -> bool {
        if self.parted.load(Ordering::Relaxed) {
            return false;
        }
        let (now, line) = (sample(monotonic), self.line());
        let shown = line.at(now.ticks);
        if shown.abs_diff(now.monotonic) > PARTED_NS {
            self.parted.store(true, Ordering::Relaxed);
            return false;
        }
        let last = Sample { ticks: line.ticks, monotonic: self.checked.load(Ordering::Relaxed) };
        if now.monotonic.saturating_sub(last.monotonic) < CHECK_MIN_NS {
            return true;
        }
        let Some(measured) = speed(last, now) else { return true };
        let behind = i128::from(now.monotonic) - i128::from(shown);
        let bent = i128::from(measured) + i128::from(measured) * behind / CHECK_EVERY_NS;
        if counter() - now.ticks < INTERRUPTED {
            self.draw(Line { ticks: now.ticks, nanos: shown, speed: bent as u64 }, now.monotonic);
        }
        true
    }

    #[inline]
    fn line(&self) -> Line {
        loop {
            if let Some([ticks, nanos, speed]) = self.line.read() {
                return Line { ticks, nanos, speed };
            }
            std::hint::spin_loop();
        }
    }

    /// The new line begins where the old one has come to.
    fn draw(&self, line: Line, checked: u64) {
        self.line.write([line.ticks, line.nanos, line.speed]);
        self.checked.store(checked, Ordering::Relaxed);
    }
}

struct Line {
    ticks: u64,
    nanos: u64,
    /// Nanoseconds a tick, with [`POINT`] binary places.
    speed: u64,
}

impl Line {
    /// A core whose counter lies a little behind the anchor's reads the anchor.
    #[inline]
    fn at(&self, ticks: u64) -> u64 {
        let passed = u128::from(ticks.saturating_sub(self.ticks)) * u128::from(self.speed);
        self.nanos + (passed >> POINT) as u64
    }
}

/// Nanoseconds a tick between two samples; `None` when the counter stood still or ran back.
fn speed(from: Sample, to: Sample) -> Option<u64> {
    let ticks = to.ticks.checked_sub(from.ticks).filter(|&ticks| ticks > 0)?;
    let nanos = u128::from(to.monotonic.checked_sub(from.monotonic)?);
    u64::try_from((nanos << POINT) / u128::from(ticks)).ok().filter(|&speed| speed > 0)
}

/// The tightest of some readings: the counter before and after the monotonic clock.
fn sample(monotonic: &dyn Fn() -> u64) -> Sample {
    let mut best = (u64::MAX, Sample { ticks: 0, monotonic: 0 });
    for _ in 0..TRIES {
        let (before, monotonic, after) = (counter(), monotonic(), counter());
        let width = after.saturating_sub(before);
        if width < best.0 {
            best = (width, Sample { ticks: before + width / 2, monotonic });
        }
    }
    best.1
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn counter() -> u64 {
    // SAFETY: reads a register that every x86-64 processor has.
    #[allow(unsafe_code)]
    unsafe {
        std::arch::x86_64::_rdtsc()
    }
}

/// Leaf 0x8000_0007, bit 8: one speed in all power states.
#[cfg(target_arch = "x86_64")]
fn is_invariant() -> bool {
    use std::arch::x86_64::__cpuid;
    const POWER: u32 = 0x8000_0007;
    __cpuid(0x8000_0000).eax >= POWER && __cpuid(POWER).edx & (1 << 8) != 0
}

#[cfg(not(target_arch = "x86_64"))]
fn counter() -> u64 {
    0
}

#[cfg(not(target_arch = "x86_64"))]
fn is_invariant() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI64;

    use super::*;

    fn line(speed: u64) -> Tsc {
        let now = counter();
        Tsc {
            line: SeqLock::new([now, 0, speed]),
            checked: AtomicU64::new(0),
            parted: AtomicBool::new(false),
        }
    }

    /// A monotonic clock that runs with the counter, one nanosecond a tick, and `off` besides.
    fn beside(off: &AtomicI64) -> impl Fn() -> u64 + '_ {
        let start = counter();
        move || (counter() - start).saturating_add_signed(off.load(Ordering::Relaxed))
    }

    #[test]
    fn a_line_is_drawn_through_the_anchor() {
        let line = Line { ticks: 1_000, nanos: 50, speed: 1 << (POINT - 1) };
        assert_eq!([0, 1_000, 1_001, 1_010].map(|ticks| line.at(ticks)), [50, 50, 50, 55]);
        assert_eq!(line.at(1_000 + 20_000_000_000_000_000), 50 + 10_000_000_000_000_000, "months of ticks");
    }

    #[test]
    fn what_differs_is_bent_away_and_never_jumped() {
        if !is_invariant() {
            return;
        }
        let off = AtomicI64::new(0);
        let (tsc, monotonic) = (line(1 << POINT), beside(&off));
        // More than a busy machine keeps a thread between two readings.
        off.store(500_000, Ordering::Relaxed);
        while monotonic() < CHECK_MIN_NS {}
        let before = tsc.nanos().unwrap();
        let drawn = tsc.line().ticks;
        while !(tsc.check(&monotonic) && tsc.line().ticks > drawn) {}
        let after = tsc.nanos().unwrap();
        assert!(after >= before);
        assert!(tsc.line().speed > 1 << POINT, "it hurries, being behind");
        assert!(tsc.nanos().unwrap() < monotonic(), "and is not there at once");
    }

    #[test]
    fn a_counter_that_parts_from_the_clock_is_given_up_for_good() {
        if !is_invariant() {
            return;
        }
        let off = AtomicI64::new(0);
        let (tsc, monotonic) = (line(1 << POINT), beside(&off));
        assert!(tsc.nanos().is_some());
        off.store(3_000_000, Ordering::Relaxed);
        assert!(!tsc.check(&monotonic) && tsc.nanos().is_none());
        off.store(0, Ordering::Relaxed);
        assert!(!tsc.check(&monotonic) && tsc.nanos().is_none());
    }

    #[test]
    fn measurements_that_disagree_are_refused() {
        let start = counter();
        let ticks = || counter() - start;
        // Twice as fast after a while.
        let uneven = || ticks() + ticks().saturating_sub(MEASURE_NS * 3 / 2);
        assert!(Tsc::calibrate(&uneven).is_none());
    }
}
