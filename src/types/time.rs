//! Time as the engine counts it: one timeline of nanoseconds since the Unix epoch that never steps.
//!
//! `sys::clock` anchors the monotonic clock to the wall clock once at start; durations are exact, and the distance to
//! the venues' own clocks is measured by `keeper` (SAFETY C15).

use std::ops::{Add, Sub};

/// A moment on the engine's timeline, nanoseconds since the Unix epoch. Zero means "never".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    pub const NEVER: Self = Self(0);

    /// The first of those that are not [`Self::NEVER`].
    pub fn first_of(times: impl Iterator<Item = Self>) -> Self {
        times.filter(|&time| time != Self::NEVER).min().unwrap_or_default()
    }

    /// From milliseconds since the Unix epoch.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms * 1_000_000)
    }

    /// Milliseconds since the Unix epoch, rounded down (a signed time is never in the future).
    pub const fn ms(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Nanoseconds since `earlier`; zero when `earlier` lies ahead.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whole milliseconds since `earlier`; zero when `earlier` lies ahead.
    pub const fn ms_since(self, earlier: Self) -> u64 {
        self.since(earlier) / 1_000_000
    }

    /// This moment and `ms` milliseconds.
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1_000_000)))
    }

    /// `ms` milliseconds before this moment.
    pub const fn minus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(ms.saturating_mul(1_000_000)))
    }
}

impl Add<u64> for Nanos {
    type Output = Self;
    fn add(self, ns: u64) -> Self {
        Self(self.0 + ns)
    }
}

impl Sub for Nanos {
    type Output = i64;
    fn sub(self, other: Self) -> i64 {
        self.0.wrapping_sub(other.0) as i64
    }
}
