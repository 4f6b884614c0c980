//! How often something happened lately, in buckets of time: bounded, and small enough to stand in the journal, so
//! that a restart forgets nothing (SAFETY L16).

use super::time::Nanos;

/// Buckets of a tally: a span is cut into 24, and the one that is being filled stands beside them.
pub const TALLY_BUCKETS: usize = 25;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    EntriesPerMinute,
    EntriesPerHour,
    EntriesPerDay,
    /// Entries that were taken back, and runs that ended in a crash, since a pair last stood.
    FailedEntries,
    /// Lone legs that were unwound.
    UnwindsPerHour,
    /// Orders sent to one venue.
    OrdersPerDay,
}

impl Counted {
    pub const fn span_ms(self) -> u64 {
        match self {
            Self::EntriesPerMinute => 60_000,
            Self::EntriesPerHour | Self::UnwindsPerHour => 3_600_000,
            Self::EntriesPerDay | Self::FailedEntries | Self::OrdersPerDay => 86_400_000,
        }
    }
}

/// Counts over a span. An event is counted for the whole span and for up to one bucket longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Number of the newest bucket since 1970.
    pub newest: u64,
    /// By the bucket's number modulo their count.
    pub counts: [u32; TALLY_BUCKETS],
}

impl Tally {
    /// Counts one at `at`; one that comes late counts as of the newest bucket.
    pub fn add(&mut self, what: Counted, at: Nanos) {
        self.roll(what, at);
        let slot = &mut self.counts[(self.newest % TALLY_BUCKETS as u64) as usize];
        *slot = slot.saturating_add(1);
    }

    /// How many in the span before `now`.
    pub fn total(&mut self, what: Counted, now: Nanos) -> u32 {
        self.roll(what, now);
        self.counts.iter().fold(0, |sum, &count| sum.saturating_add(count))
    }

    pub fn clear(&mut self) {
        self.counts = [0; TALLY_BUCKETS];
    }

    /// Empties the buckets that have passed since the newest one.
    fn roll(&mut self, what: Counted, now: Nanos) {
        let bucket = now.ms() / (what.span_ms() / (TALLY_BUCKETS as u64 - 1));
        let passed = bucket.saturating_sub(self.newest).min(TALLY_BUCKETS as u64);
        for back in 0..passed {
            self.counts[((bucket - back) % TALLY_BUCKETS as u64) as usize] = 0;
        }
        self.newest = self.newest.max(bucket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Counted = Counted::EntriesPerHour;
    const START: u64 = 1_800_000_000_000;

    fn at(ms: u64) -> Nanos {
        Nanos::from_ms(START + ms)
    }

    #[test]
    fn a_count_lasts_a_span_and_at_most_a_bucket_more() {
        for offset in [0, 1, 149_999, 150_000, 1_234_567] {
            let mut tally = Tally::default();
            tally.add(HOUR, at(offset));
            assert_eq!(tally.total(HOUR, at(offset + 3_600_000)), 1, "a whole hour, from {offset}");
            assert_eq!(tally.total(HOUR, at(offset + 3_600_000 + 150_000)), 0);
        }
    }

    #[test]
    fn many_add_up_and_time_that_steps_back_loses_none() {
        let mut tally = Tally::default();
        for minute in 0..60 {
            tally.add(HOUR, at(minute * 60_000));
        }
        assert_eq!(tally.total(HOUR, at(3_599_999)), 60);
        tally.add(HOUR, at(0));
        assert_eq!(tally.total(HOUR, at(3_599_999)), 61);
        assert_eq!(tally.total(HOUR, at(1_000_000_000)), 0);
    }
}
