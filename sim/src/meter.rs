//! What the venues see of a client's speed: book updates written, orders read, and the time between.
//!
//! Fed by the wires of both venues, read by the control port and the demo. For each order it keeps the
//! time from the last byte of the newest book update that either venue had written to the order's last
//! byte read. The second order of a pair (other venue, same base, within `PAIR_US`) is kept apart.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;

/// Two orders of one base asset on different venues this close together are the legs of one pair.
const PAIR_US: i64 = 20_000;
/// Samples kept for each leg; later ones are counted only.
const SAMPLES_MAX: usize = 1_000_000;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Percentiles {
    pub count: usize,
    pub p50: i64,
    pub p99: i64,
    pub max: i64,
}

/// A summary of the meter; latencies in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    pub updates_sent: BTreeMap<&'static str, u64>,
    pub orders_received: BTreeMap<&'static str, u64>,
    pub venue_view_us: Legs,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Legs {
    pub first: Percentiles,
    pub second: Percentiles,
}

/// One chosen update and the orders that followed it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tick {
    /// From the update's last byte to the first order's, and to the first order of the other venue.
    pub first_us: Option<i64>,
    pub second_us: Option<i64>,
}

/// A tick that is waited for or measured.
#[derive(Debug, Default)]
struct Chosen {
    venue: &'static str,
    written_us: Option<i64>,
    first_at: Option<&'static str>,
    tick: Tick,
}

impl Chosen {
    fn order(&mut self, venue: &'static str, now: i64) {
        let Some(written) = self.written_us else { return };
        let second = self.first_at.is_some_and(|first| first != venue);
        match self.tick {
            Tick { first_us: None, .. } => {
                self.first_at = Some(venue);
                self.tick.first_us = Some(now - written);
            }
            Tick { second_us: None, .. } if second => self.tick.second_us = Some(now - written),
            Tick { .. } => {}
        }
    }
}

#[derive(Default)]
struct Inner {
    chosen: Chosen,
    updates: BTreeMap<&'static str, u64>,
    orders: BTreeMap<&'static str, u64>,
    last_update_us: Option<i64>,
    unpaired: Option<(&'static str, String, i64)>,
    first: Vec<i64>,
    second: Vec<i64>,
}

/// Shared by both venues.
pub struct Meter {
    started: Instant,
    inner: Mutex<Inner>,
}

impl Default for Meter {
    fn default() -> Self {
        Self { started: Instant::now(), inner: Mutex::default() }
    }
}

impl Meter {
    /// The last byte of a book update has been written.
    pub fn update_written(&self, venue: &'static str) {
        let now = self.now_us();
        let mut inner = self.lock();
        *inner.updates.entry(venue).or_default() += 1;
        inner.last_update_us = Some(now);
        let chosen = &mut inner.chosen;
        if chosen.venue == venue && chosen.written_us.is_none() {
            chosen.written_us = Some(now);
        }
    }

    /// The next update of this venue is a tick: the orders after it are timed from it, whatever else is written
    /// meanwhile. For clients so slow that the newest update is not the one that they act on.
    pub fn arm(&self, venue: &'static str) {
        self.lock().chosen = Chosen { venue, ..Chosen::default() };
    }

    /// What the last armed tick has brought so far.
    pub fn tick(&self) -> Tick {
        self.lock().chosen.tick
    }

    /// The last byte of an order has been read.
    pub fn order_read(&self, venue: &'static str, base: &str) {
        let now = self.now_us();
        self.lock().order(venue, base, now);
    }

    pub fn stats(&self) -> Stats {
        let inner = self.lock();
        Stats {
            updates_sent: inner.updates.clone(),
            orders_received: inner.orders.clone(),
            venue_view_us: Legs { first: percentiles(&inner.first), second: percentiles(&inner.second) },
        }
    }

    fn now_us(&self) -> i64 {
        self.started.elapsed().as_micros() as i64
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn order(&mut self, venue: &'static str, base: &str, now: i64) {
        *self.orders.entry(venue).or_default() += 1;
        self.chosen.order(venue, now);
        let partner =
            self.unpaired.take().filter(|(v, b, at)| *v != venue && b == base && now - at <= PAIR_US);
        if partner.is_none() {
            self.unpaired = Some((venue, base.to_owned(), now));
        }
        let Some(update) = self.last_update_us else { return };
        let leg = if partner.is_some() { &mut self.second } else { &mut self.first };
        if leg.len() < SAMPLES_MAX {
            leg.push(now - update);
        }
    }
}

fn percentiles(samples: &[i64]) -> Percentiles {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let at = |percent: usize| sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1)));
    Percentiles {
        count: sorted.len(),
        p50: at(50).copied().unwrap_or(0),
        p99: at(99).copied().unwrap_or(0),
        max: sorted.last().copied().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_leg_is_kept_apart() {
        let mut inner = Inner { last_update_us: Some(100), ..Inner::default() };
        inner.order("vest", "BTC", 150);
        inner.order("paradex", "BTC", 170);
        inner.order("vest", "ETH", 200);
        inner.order("paradex", "BTC", 210);
        assert_eq!((inner.first, inner.second), (vec![50, 100, 110], vec![70]));
    }

    #[test]
    fn a_tick_is_the_armed_update_and_the_first_order_of_each_venue() {
        let meter = Meter::default();
        meter.order_read("vest", "BTC");
        assert_eq!(meter.tick(), Tick::default(), "nothing is armed");
        meter.arm("vest");
        meter.update_written("paradex");
        meter.order_read("vest", "BTC");
        assert_eq!(meter.tick(), Tick::default(), "an order before the tick");
        meter.update_written("vest");
        let mut inner = meter.lock();
        inner.chosen.written_us = Some(100);
        for (venue, now) in [("paradex", 150), ("paradex", 160), ("vest", 175), ("vest", 180)] {
            inner.order(venue, "BTC", now);
        }
        assert_eq!(inner.chosen.tick, Tick { first_us: Some(50), second_us: Some(75) });
    }

    #[test]
    fn percentiles_of_a_hundred() {
        let samples: Vec<i64> = (1..=100).collect();
        assert_eq!(percentiles(&samples), Percentiles { count: 100, p50: 51, p99: 100, max: 100 });
        assert_eq!(percentiles(&[]), Percentiles::default());
    }
}
