//! What prices and rates were: one bar a minute, for the venues' history endpoints.
//!
//! Fed by `core::exchange` at every quote. Bounded: a day and a little more. No rule of trading reads it.

use std::collections::VecDeque;

/// Minutes kept.
const BARS_MAX: usize = 1_500;
const MINUTE_US: i64 = 60_000_000;

/// Mark prices over a span of time, and the funding rate at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar {
    pub open_us: i64,
    pub open: i64,
    pub high: i64,
    pub low: i64,
    pub close: i64,
    pub funding_rate_1h_e12: i64,
}

#[derive(Debug, Clone, Default)]
pub struct History {
    bars: VecDeque<Bar>,
}

impl History {
    pub fn record(&mut self, now_us: i64, mark: i64, funding_rate_1h_e12: i64) {
        let open_us = now_us.div_euclid(MINUTE_US) * MINUTE_US;
        let instant = Bar { open_us, open: mark, high: mark, low: mark, close: mark, funding_rate_1h_e12 };
        match self.bars.back_mut() {
            Some(last) if last.open_us == open_us => *last = last.then(&instant),
            _ => self.bars.push_back(instant),
        }
        if self.bars.len() > BARS_MAX {
            self.bars.pop_front();
        }
    }

    /// Bars of `span_us` (a multiple of a minute), oldest first.
    pub fn bars(&self, span_us: i64) -> Vec<Bar> {
        let mut merged: Vec<Bar> = Vec::new();
        for bar in &self.bars {
            let open_us = bar.open_us.div_euclid(span_us.max(MINUTE_US)) * span_us.max(MINUTE_US);
            match merged.last_mut() {
                Some(last) if last.open_us == open_us => *last = last.then(bar),
                _ => merged.push(Bar { open_us, ..*bar }),
            }
        }
        merged
    }
}

impl Bar {
    /// This bar with a later one added to it.
    fn then(&self, later: &Bar) -> Bar {
        Bar {
            open_us: self.open_us,
            open: self.open,
            high: self.high.max(later.high),
            low: self.low.min(later.low),
            close: later.close,
            funding_rate_1h_e12: later.funding_rate_1h_e12,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_kept_and_merged() {
        let mut history = History::default();
        for (second, mark) in [(0, 10), (30, 14), (59, 9), (60, 11), (130, 20)] {
            history.record(second * 1_000_000, mark, second);
        }
        let minutes = history.bars(MINUTE_US);
        assert_eq!(minutes.len(), 3);
        let first = Bar { open_us: 0, open: 10, high: 14, low: 9, close: 9, funding_rate_1h_e12: 59 };
        assert_eq!(minutes[0], first);
        let both = history.bars(5 * MINUTE_US);
        assert_eq!((both.len(), both[0].low, both[0].close), (1, 9, 20));
    }

    #[test]
    fn it_is_bounded() {
        let mut history = History::default();
        (0..2_000).for_each(|minute| history.record(minute * MINUTE_US, 1, 0));
        assert_eq!(history.bars(MINUTE_US).len(), BARS_MAX);
    }
}
