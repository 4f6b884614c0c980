//! The `SUMMARY` event: what a run did, in one object. Its fields are a contract (scripts and the
//! demonstration read them).

use serde::Serialize;

use super::latency::Percentiles;
use crate::store::line::{Level, Line};
use crate::store::lines;
use crate::store::profit::Pnl;
use crate::types::Nanos;

/// Everything a run ends with.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    pub seconds: u64,
    pub updates: u64,
    pub opportunities: u64,
    pub pairs_opened: u64,
    pub pairs_closed: u64,
    pub pnl_usd: Pnl,
    /// Last byte of the book update to the order on the wire, per leg in the order of sending.
    pub tick_to_wire_us: Legs,
    pub decision_to_terminal_ms: Percentiles,
    pub fill_skew_ms: Percentiles,
    pub miss_to_mend_us: Percentiles,
    pub stale_to_off_us: Percentiles,
    pub longest_one_leg_ms: u64,
    pub one_leg_count: u64,
    pub orders_sent: u64,
    /// Of these, signed before they were wanted.
    pub orders_ready: u64,
    pub open_orders: u64,
    pub positions_left: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Legs {
    pub first: Percentiles,
    pub second: Percentiles,
}

impl Summary {
    /// The event's log line: the fields stand beside `timestamp`, `level`, `target`, `message`.
    pub fn line(&self, at: Nanos) -> Line {
        let mut line = Line::new(at, Level::Info, lines::TARGET, "SUMMARY").event("SUMMARY");
        // A struct of numbers always becomes an object.
        if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(self) {
            for (name, value) in fields {
                line = line.raw(&name, value);
            }
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Ledger;
    use crate::types::Usd;

    #[test]
    fn the_fields_are_the_contract() {
        let ledger = Ledger {
            entry_edge: Usd::from_raw(28_000_000),
            fees: Usd::from_raw(-8_000_000),
            ..Ledger::default()
        };
        let summary = Summary { seconds: 60, pnl_usd: Pnl::from(&ledger), ..Summary::default() };
        let line = summary.line(Nanos(1)).finish();
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        let mut names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "decision_to_terminal_ms",
                "event_type",
                "fill_skew_ms",
                "level",
                "longest_one_leg_ms",
                "message",
                "miss_to_mend_us",
                "one_leg_count",
                "open_orders",
                "opportunities",
                "orders_ready",
                "orders_sent",
                "pairs_closed",
                "pairs_opened",
                "pnl_usd",
                "positions_left",
                "seconds",
                "stale_to_off_us",
                "target",
                "tick_to_wire_us",
                "timestamp",
                "updates",
            ]
        );
        assert_eq!(json["pnl_usd"]["total"], 0.2);
        assert_eq!(json["tick_to_wire_us"]["second"]["p99"], 0.0);
        assert_eq!(json["message"], "SUMMARY");
    }
}
