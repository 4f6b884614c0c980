//! Latency histograms: per hop of a decision, per leg of an order, and of the mending of lone legs. Fed from
//! time stamps that travelled with the facts.

use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};

use crate::types::Nanos;
use crate::types::record::Stamps;

/// Longest time told apart, ns; longer ones count as this.
const LONGEST_NS: u64 = 600_000_000_000;

/// Times in nanoseconds, three digits kept.
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        let bounds = Histogram::new_with_bounds(1, LONGEST_NS, 3);
        let mut times =
            bounds.unwrap_or_else(|_| unreachable!("the bounds are constants that the crate accepts"));
        // Writes every count: the memory of a histogram is there from the start and does not grow as times spread.
        times.reset();
        Self(times)
    }
}

impl Times {
    pub fn add(&mut self, ns: u64) {
        self.0.saturating_record(ns.clamp(1, LONGEST_NS));
    }

    /// Adds the time between two moments, unless one of them was never reached.
    pub fn add_between(&mut self, from: Nanos, to: Nanos) {
        if from != Nanos::NEVER && to != Nanos::NEVER {
            self.add(to.since(from));
        }
    }

    pub fn count(&self) -> u64 {
        self.0.len()
    }

    pub fn micros(&self) -> Percentiles {
        self.percentiles(1_000)
    }

    pub fn millis(&self) -> Percentiles {
        self.percentiles(1_000_000)
    }

    fn percentiles(&self, unit_ns: u64) -> Percentiles {
        let at = |quantile| Thousandths(self.0.value_at_quantile(quantile).saturating_mul(1000) / unit_ns);
        match self.count() {
            0 => Percentiles::default(),
            _ => Percentiles {
                p50: at(0.5),
                p99: at(0.99),
                max: Thousandths(self.0.max().saturating_mul(1000) / unit_ns),
            },
        }
    }
}

/// Median, 99th percentile and maximum in the unit that the field's name says; zeros when there was nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Percentiles {
    pub p50: Thousandths,
    pub p99: Thousandths,
    pub max: Thousandths,
}

/// A time in thousandths of its unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thousandths(pub u64);

impl Serialize for Thousandths {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(self.0 as f64 / 1000.0)
    }
}

/// The hops of a decision, from the wire to the wire.
#[derive(Default)]
pub struct Hops {
    wire_to_book: Times,
    book_to_decide: Times,
    decide_to_gate: Times,
    gate_to_send: Times,
}

/// [`Hops`] as they are reported, microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HopsReport {
    pub wire_to_book: Percentiles,
    pub book_to_decide: Percentiles,
    pub decide_to_gate: Percentiles,
    pub gate_to_send: Percentiles,
}

impl Hops {
    pub fn add(&mut self, stamps: &Stamps) {
        self.wire_to_book.add_between(stamps.t_wire, stamps.t_book);
        self.book_to_decide.add_between(stamps.t_book, stamps.t_decide);
        self.decide_to_gate.add_between(stamps.t_decide, stamps.t_gate);
        self.gate_to_send.add_between(stamps.t_gate, stamps.t_send);
    }

    pub fn micros(&self) -> HopsReport {
        HopsReport {
            wire_to_book: self.wire_to_book.micros(),
            book_to_decide: self.book_to_decide.micros(),
            decide_to_gate: self.decide_to_gate.micros(),
            gate_to_send: self.gate_to_send.micros(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_come_in_their_unit() {
        let mut times = Times::default();
        assert_eq!(times.micros(), Percentiles::default());
        for micros in 1..=100 {
            times.add(micros * 1000);
        }
        let got = times.micros();
        assert!((49_900..=50_100).contains(&got.p50.0), "{got:?}");
        assert!((98_900..=99_100).contains(&got.p99.0), "{got:?}");
        assert!((100_000..=100_100).contains(&got.max.0), "{got:?}");
        assert_eq!(serde_json::to_value(Thousandths(1500)).unwrap(), 1.5);
    }

    #[test]
    fn a_stamp_that_was_never_set_counts_nothing() {
        let mut hops = Hops::default();
        let stamps = Stamps { t_decide: Nanos(1000), t_gate: Nanos(3000), ..Stamps::default() };
        hops.add(&stamps);
        assert_eq!(hops.wire_to_book.count() + hops.book_to_decide.count() + hops.gate_to_send.count(), 0);
        assert_eq!(hops.decide_to_gate.count(), 1);
        let mut times = Times::default();
        times.add(u64::MAX);
        assert_eq!(times.count(), 1, "absurd times are kept at the end of the range");
    }
}
