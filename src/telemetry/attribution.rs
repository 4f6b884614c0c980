//! Where the time of orders goes: each hop of each leg, and the ten slowest orders kept whole. Fed by `Telemetry` from
//! time stamps that travelled with the facts.

use serde::{Serialize, Serializer};

use super::latency::{Hops, HopsReport, Percentiles, Thousandths, Times};
use crate::store::Names;
use crate::store::line::{Level, Line};
use crate::store::lines::{self, purpose};
use crate::types::Nanos;
use crate::types::record::{OrderTimes, Stamps};

/// Orders kept whole.
const WORST: usize = 10;

/// Hops of both legs and the slowest orders of a run.
#[derive(Default)]
pub struct Attribution {
    /// By place in the order of sending.
    legs: [Leg; 2],
    /// Slowest first.
    worst: Vec<OrderTimes>,
}

/// Hops of one leg, and its whole way from the book to the wire: for orders that were signed ahead and for the others.
#[derive(Default)]
struct Leg {
    hops: Hops,
    ready: Times,
    cold: Times,
}

/// One leg as it is reported, µs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LegReport {
    #[serde(flatten)]
    pub hops: HopsReport,
    pub tick_to_wire_ready: Percentiles,
    pub tick_to_wire_cold: Percentiles,
}

/// Of the leg that is sent first and of the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LegHops {
    pub first: LegReport,
    pub second: LegReport,
}

/// One slow order, for people and scripts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SlowOrder {
    pub order: String,
    pub pair: String,
    pub exchange: &'static str,
    pub purpose: &'static str,
    /// It was signed ahead.
    pub ready: bool,
    #[serde(flatten, serialize_with = "as_map")]
    pub parts: Vec<(&'static str, Thousandths)>,
    /// The venue's clock at its last news minus ours at the send.
    pub venue_ms: Option<i64>,
}

impl Attribution {
    /// An order that opens or closes a pair has left, as the `nth` of its decision.
    pub fn placed(&mut self, nth: u8, stamps: &Stamps) {
        let Some(leg) = self.legs.get_mut(usize::from(nth)) else { return };
        leg.hops.add(stamps);
        let times = if stamps.ready { &mut leg.ready } else { &mut leg.cold };
        times.add_between(stamps.t_wire, stamps.t_send);
    }

    /// An order is over. Mending orders start from news and not from a book: they are not compared.
    pub fn closed(&mut self, order: &OrderTimes) {
        let Some(ns) = order.tick_to_wire_ns() else { return };
        let at = self.worst.partition_point(|other| other.tick_to_wire_ns() >= Some(ns));
        if at < WORST {
            self.worst.truncate(WORST - 1);
            self.worst.insert(at, *order);
        }
    }

    pub fn hops(&self) -> LegHops {
        let [first, second] = self.legs.each_ref().map(|leg| LegReport {
            hops: leg.hops.micros(),
            tick_to_wire_ready: leg.ready.micros(),
            tick_to_wire_cold: leg.cold.micros(),
        });
        LegHops { first, second }
    }

    /// The slowest orders from the book to the wire, slowest first.
    pub fn worst(&self, names: &Names) -> Vec<SlowOrder> {
        let slow = |order: &OrderTimes| SlowOrder {
            order: order.id.to_string(),
            pair: names.pair(order.pair).to_owned(),
            exchange: names.venue(order.venue),
            purpose: purpose(order.purpose),
            ready: order.stamps.ready,
            parts: order.parts().map(|(name, ns)| (name, Thousandths(ns))).collect(),
            venue_ms: order.venue_ms(),
        };
        self.worst.iter().map(slow).collect()
    }

    /// The event `LATENCY`, which stands before `SUMMARY`: hops of both legs and the slowest orders.
    pub fn line(&self, names: &Names, at: Nanos) -> Line {
        let json = |value: serde_json::Result<String>| value.unwrap_or_else(|_| "null".to_owned());
        Line::new(at, Level::Info, lines::TARGET, "Where the orders' time went")
            .event("LATENCY")
            .raw("hops_us", json(serde_json::to_string(&self.hops())))
            .raw("worst_orders", json(serde_json::to_string(&self.worst(names))))
    }
}

fn as_map<S: Serializer>(parts: &[(&'static str, Thousandths)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(parts.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::names::tests::names;
    use crate::types::order::Purpose;
    use crate::types::{ClientId, PairId, VenueId};

    fn order(seq: u32, purpose: Purpose, micros: u64) -> OrderTimes {
        let t_wire = Nanos::from_ms(1_000);
        let t_send = Nanos(t_wire.0 + micros * 1_000);
        OrderTimes {
            id: ClientId { epoch: 1, seq, leg: 0 },
            venue: VenueId(0),
            pair: PairId(0),
            purpose,
            stamps: Stamps { t_wire, t_book: Nanos(t_wire.0 + 500), t_send, ..Stamps::default() },
            t_acked: Nanos(t_send.0 + 2_000_000),
            t_filled: Nanos::NEVER,
            t_closed: Nanos(t_send.0 + 3_000_000),
            t_venue: Nanos::from_ms(1_002),
        }
    }

    #[test]
    fn the_ten_slowest_are_kept_whole_and_in_order() {
        let mut attribution = Attribution::default();
        for seq in 0..30 {
            attribution.closed(&order(seq, Purpose::Enter, u64::from(seq * 7 % 30) + 1));
        }
        attribution.closed(&order(99, Purpose::Unwind, 1_000));
        let worst = attribution.worst(&names());
        let times: Vec<u64> = worst.iter().map(|slow| slow.parts[1].1.0 / 1_000).collect();
        assert_eq!(times, [30, 29, 28, 27, 26, 25, 24, 23, 22, 21]);
        let json = serde_json::to_value(&worst[0]).unwrap();
        assert_eq!((&json["tick_to_wire_us"], &json["wire_to_book_us"]), (&30.0.into(), &0.5.into()));
        assert_eq!((&json["send_to_ack_us"], &json["venue_ms"]), (&2_000.0.into(), &2.into()));
        assert!(json.get("send_to_fill_us").is_none(), "it was never filled: {json}");
    }

    #[test]
    fn hops_are_told_for_each_leg() {
        let mut attribution = Attribution::default();
        attribution.placed(0, &order(1, Purpose::Enter, 10).stamps);
        attribution.placed(1, &order(1, Purpose::Enter, 40).stamps);
        attribution.placed(7, &order(1, Purpose::Enter, 40).stamps);
        let hops = attribution.hops();
        assert_eq!((hops.first.hops.wire_to_book.max.0, hops.second.hops.wire_to_book.max.0), (500, 500));
        assert_eq!((hops.first.tick_to_wire_cold.max.0 / 100, hops.first.tick_to_wire_ready.max.0), (100, 0));
        let line = attribution.line(&names(), Nanos(1)).finish();
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&json["event_type"], &json["hops_us"]["first"]["wire_to_book"]["p50"]),
            (&"LATENCY".into(), &0.5.into())
        );
        assert_eq!(json["worst_orders"], serde_json::json!([]));
    }
}
