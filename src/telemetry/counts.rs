//! What telemetry counts of one feed and of one venue's orders, and its row of the status. Pure; owned by `watch`.

use std::collections::VecDeque;

use super::latency::Times;
use super::status::VenueStatus;
use crate::types::money::RATE_ONE;
use crate::types::{Nanos, Rate};

/// Orders of a venue whose moment is kept for the rate of the last minute.
const PLACED_KEPT: usize = 1_024;
const MINUTE_NS: u64 = 60_000_000_000;

/// Orders of one venue.
#[derive(Default)]
pub struct VenueTimes {
    pub ack: Times,
    fill: Times,
    placed: u64,
    /// When the latest orders were placed, oldest first.
    placed_at: VecDeque<Nanos>,
    filled: u64,
    pub rejected: u64,
    /// Free margin of equity, and how far prices may run.
    pub margin: Option<(Rate, Rate)>,
    pub key_hours: Option<u64>,
}

/// Updates of one market.
#[derive(Clone, Copy, Default)]
pub struct Feed {
    pub updates: u64,
    pub per_s: u64,
    pub conflated: u64,
    pub at: Nanos,
}

impl Feed {
    pub fn count(&mut self, updates: u64, conflated: u64, at: Nanos) {
        let ms = at.ms_since(self.at);
        let per_s = if self.at == Nanos::NEVER || ms == 0 {
            0
        } else {
            (updates - self.updates.min(updates)) * 1_000 / ms
        };
        *self = Self { updates, per_s, conflated, at };
    }
}

impl VenueTimes {
    pub fn place(&mut self, at: Nanos) {
        self.placed += 1;
        if self.placed_at.len() == PLACED_KEPT {
            self.placed_at.pop_front();
        }
        self.placed_at.push_back(at);
    }

    fn placed_since(&self, from_ns: u64) -> u64 {
        self.placed_at.iter().filter(|at| at.0 >= from_ns).count() as u64
    }

    pub fn filled(&mut self, latency_ns: u64) {
        self.filled += 1;
        self.fill.add(latency_ns);
    }

    /// Orders that ended with nothing filled, of all that ended.
    fn miss(&self) -> Rate {
        let ended = self.filled + self.rejected;
        let part = i128::from(self.rejected) * i128::from(RATE_ONE) / i128::from(ended.max(1));
        Rate::from_raw(part as i64)
    }

    /// This venue's row of the status.
    pub fn row(&self, exchange: &'static str, now: Nanos) -> VenueStatus {
        let percent = |rate: Rate| rate.raw() as f64 / (RATE_ONE / 100) as f64;
        VenueStatus {
            exchange,
            ack_ms: self.ack.millis(),
            fill_ms: self.fill.millis(),
            placed: self.placed,
            placed_last_minute: self.placed_since(now.0.saturating_sub(MINUTE_NS)),
            rejected: self.rejected,
            miss: self.miss(),
            margin_free_percent: self.margin.map(|(free, _)| percent(free)),
            margin_runway_percent: self.margin.map(|(_, runway)| percent(runway)),
            key_days_left: self.key_hours.map(|hours| hours as f64 / 24.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_misses_margin_and_the_keys_days() {
        let mut venue = VenueTimes::default();
        let blank = venue.row("vest", Nanos(1));
        assert_eq!((blank.miss, blank.margin_free_percent, blank.key_days_left), (Rate::ZERO, None, None));
        (0..3).for_each(|_| venue.filled(1_000_000));
        venue.rejected = 1;
        venue.margin = Some((Rate::from_bps(4_100), Rate::from_bps(1_250)));
        venue.key_hours = Some(36);
        let row = venue.row("vest", Nanos(1));
        assert_eq!(row.miss, Rate::from_bps(2_500));
        assert_eq!((row.margin_free_percent, row.margin_runway_percent), (Some(41.0), Some(12.5)));
        assert_eq!(row.key_days_left, Some(1.5));
    }
}
