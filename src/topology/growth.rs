//! Growth of the process's memory, so that a leak is told hours before it ends the run (SAFETY §7, disk and memory).
//! Pure; `main` feeds it.

use crate::types::Nanos;

/// What a start needs is no growth: the first look counts from here, ms.
const SETTLED_MS: u64 = 600_000;
const HOUR_MS: u64 = 3_600_000;

/// Watches one process.
#[derive(Debug)]
pub struct Growth {
    /// Growth within an hour that is told, bytes.
    max: u64,
    since: Nanos,
    base: Option<u64>,
}

impl Growth {
    pub const fn new(started: Nanos, max_mb: u32) -> Self {
        Self { max: (max_mb as u64) << 20, since: started, base: None }
    }

    /// Takes a look; says by how many bytes it has grown within the hour when that is too much, and begins the next.
    pub fn look(&mut self, now: Nanos, bytes: u64) -> Option<u64> {
        let Some(base) = self.base else {
            if now.ms_since(self.since) >= SETTLED_MS {
                (self.base, self.since) = (Some(bytes), now);
            }
            return None;
        };
        let grown = bytes.saturating_sub(base);
        let too_much = grown > self.max;
        if too_much || now.ms_since(self.since) >= HOUR_MS {
            (self.base, self.since) = (Some(bytes), now);
        }
        too_much.then_some(grown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_told_when_it_is_too_much_within_an_hour_and_after_the_start() {
        let start = Nanos::from_ms(1_000);
        let at = |minutes: u64| start.plus_ms(minutes * 60_000);
        let mut growth = Growth::new(start, 64);
        assert_eq!(growth.look(at(1), 500 << 20), None, "starting");
        assert_eq!(growth.look(at(10), 100 << 20), None);
        assert_eq!(growth.look(at(40), 164 << 20), None);
        assert_eq!(growth.look(at(41), (164 << 20) + 1), Some((64 << 20) + 1));
        assert_eq!(growth.look(at(90), 220 << 20), None);
        assert_eq!(growth.look(at(101), 226 << 20), None, "another hour begins");
        assert_eq!(growth.look(at(150), 280 << 20), None, "slow growth pages nobody");
    }
}
