//! What a venue's own clock shows: the true time, off by an offset and drifting.
//!
//! Owned by `Stage`, which speaks true time outwards and the venue's time inwards.

/// A clock that may be wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct VenueClock {
    /// Shown minus true at `since_us`.
    offset_us: i64,
    /// Microseconds gained in a second.
    drift_ppm: i64,
    /// True time from which it drifts.
    since_us: i64,
}

impl VenueClock {
    /// What is shown at a true time.
    pub fn shown(&self, true_us: i64) -> i64 {
        true_us + self.offset_us + self.gained(true_us)
    }

    /// The first true time at which `shown_us` or more is shown.
    pub fn hidden(&self, shown_us: i64) -> i64 {
        if shown_us == i64::MAX || (self.offset_us == 0 && self.drift_ppm == 0) {
            return shown_us;
        }
        let elapsed = i128::from(shown_us - self.offset_us - self.since_us);
        let rate = i128::from(1_000_000 + self.drift_ppm);
        let mut true_us = self.since_us + (elapsed * 1_000_000).div_euclid(rate) as i64;
        while self.shown(true_us) < shown_us {
            true_us += 1;
        }
        true_us
    }

    /// Sets offset and drift at a true time; returns by how much the clock jumped.
    pub fn set(&mut self, true_us: i64, offset_us: i64, drift_ppm: i64) -> i64 {
        let before = self.shown(true_us);
        *self = Self { offset_us, drift_ppm: drift_ppm.clamp(-500_000, 500_000), since_us: true_us };
        self.shown(true_us) - before
    }

    fn gained(&self, true_us: i64) -> i64 {
        (i128::from(true_us - self.since_us) * i128::from(self.drift_ppm)).div_euclid(1_000_000) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_is_the_inverse_of_shown() {
        let mut clock = VenueClock::default();
        assert_eq!((clock.shown(5), clock.hidden(5)), (5, 5));
        for (offset_us, drift_ppm) in [(3_000_000, 0), (-250_000, 100), (17, -40_000)] {
            clock.set(1_000_000, offset_us, drift_ppm);
            for true_us in [1_000_000, 1_000_001, 99_123_457, 86_400_000_000] {
                let shown = clock.shown(true_us);
                assert!(clock.shown(clock.hidden(shown)) >= shown);
                assert!(clock.shown(clock.hidden(shown) - 1) < shown);
            }
        }
    }
}
