//! The closing account of a demo: what the engine says of itself against what the venues know.
//!
//! Made by `demo` from the engine's `SUMMARY` event and the venues' truth. Pure: values in, verdict and
//! text out.

use serde_json::{Map, Value, json};

use crate::control::{Truth, VenueTruth};
use crate::core::money::{self, ONE};
use crate::meter::Stats;

/// Largest difference between the engine's profit and the venues' balances: 1e-6 USD.
const DIFFERENCE_MAX: i64 = 100;

/// How a demo ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub seed: u64,
    /// The engine's exit code; `None` = killed, or ended by a signal.
    pub engine_exit: Option<i32>,
    /// The fields of the engine's `SUMMARY` event; empty when there was none.
    pub summary: Map<String, Value>,
    /// Engine's total minus the change of both balances, at 1e-8 USD; `None` without a summary.
    pub ledger_difference: Option<i64>,
    pub balance_change: i64,
    pub open_orders: usize,
    /// Signed sum over both venues for each base asset that is not flat on both.
    pub left: Vec<(String, i64)>,
    pub stats: Stats,
}

impl Outcome {
    pub fn new(
        seed: u64,
        engine_exit: Option<i32>,
        summary: Map<String, Value>,
        truth: &Truth,
        stats: Stats,
    ) -> Self {
        let balance_change = truth.vest.ledger_change + truth.paradex.ledger_change;
        Self {
            seed,
            engine_exit,
            ledger_difference: pnl_line(&summary, "total").map(|total| total - balance_change),
            summary,
            balance_change,
            open_orders: truth.vest.open_orders.len() + truth.paradex.open_orders.len(),
            left: left_over(&truth.vest, &truth.paradex),
            stats,
        }
    }

    /// Engine content, nothing open, every position flat or hedged, ledgers in agreement.
    pub fn is_good(&self) -> bool {
        self.engine_exit == Some(0)
            && self.open_orders == 0
            && self.left.iter().all(|(_, net)| *net == 0)
            && self.ledger_difference.is_some_and(|difference| difference.abs() < DIFFERENCE_MAX)
    }

    /// The object of `--json`.
    pub fn json(&self) -> Value {
        let mut object = self.summary.clone();
        for noise in ["timestamp", "level", "target", "message", "event_type"] {
            object.remove(noise);
        }
        object.insert("seed".into(), json!(self.seed));
        object.insert("ledger_difference_usd".into(), json!(self.ledger_difference.map(as_number)));
        object.insert("venue_view_us".into(), json!(self.stats.venue_view_us));
        object.insert("exit_code".into(), json!(self.engine_exit));
        Value::Object(object)
    }

    /// The summary for people.
    pub fn text(&self) -> String {
        let mut lines = vec![String::new(), "summary".to_owned()];
        for (label, key) in COUNTS {
            lines.push(format!("  {label:<28}{}", self.summary.get(*key).map_or("-".into(), plain)));
        }
        lines.push("  profit and loss, USD".to_owned());
        for key in PNL_LINES {
            let amount = pnl_line(&self.summary, key).map_or("-".into(), |v| money::print(v, 6));
            lines.push(format!("    {:<26}{amount:>16}", key.replace('_', " ")));
        }
        lines.push(format!(
            "    {:<26}{:>16}",
            "change of both balances",
            money::print(self.balance_change, 6)
        ));
        let difference = self.ledger_difference.map_or("-".into(), |v| money::print(v, 8));
        lines.push(format!("    {:<26}{difference:>16}", "difference"));
        lines.push("  book update to order, microseconds (p50 / p99 / max)".to_owned());
        lines.extend(self.latency_lines());
        lines.push(format!("  {:<28}{}", "open orders at the venues", self.open_orders));
        lines.push(format!("  {:<28}{}", "positions at the venues", self.positions_text()));
        lines.push(format!(
            "  {:<28}{}",
            "engine's exit code",
            self.engine_exit.map_or("killed".into(), |c| c.to_string())
        ));
        lines.push(format!(
            "  {}",
            if self.is_good() { "all accounts agree" } else { "NOT GOOD: see the lines above" }
        ));
        lines.join("\n")
    }

    fn latency_lines(&self) -> Vec<String> {
        let engine = |leg: &str| {
            let of = |p: &str| self.find(&["tick_to_wire_us", leg, p]).map_or("-".into(), |v| plain(&v));
            format!("{} / {} / {}", of("p50"), of("p99"), of("max"))
        };
        let hop = |leg: &str, name: &str| {
            let of = |p: &str| self.find(&["hops_us", leg, name, p]).map_or("-".into(), |v| plain(&v));
            let label = format!("  {}", name.replace('_', " "));
            format!("    {label:<26}{} / {} / {}", of("p50"), of("p99"), of("max"))
        };
        let hops = |leg: &str, names: &[&str]| names.iter().map(|name| hop(leg, name)).collect::<Vec<_>>();
        let venue = |p: &crate::meter::Percentiles| format!("{} / {} / {}", p.p50, p.p99, p.max);
        let view = &self.stats.venue_view_us;
        let row = |label: &str, times: String| vec![format!("    {label:<26}{times}")];
        [
            row("engine, first leg", engine("first")),
            hops(
                "first",
                &[
                    "wire_to_book",
                    "book_to_decide",
                    "decide_to_gate",
                    "gate_to_send",
                    "tick_to_wire_ready",
                    "tick_to_wire_cold",
                ],
            ),
            row("engine, second leg", engine("second")),
            hops("second", &["decide_to_gate", "gate_to_send", "tick_to_wire_ready", "tick_to_wire_cold"]),
            row("venues, first leg", venue(&view.first)),
            row("venues, second leg", venue(&view.second)),
        ]
        .concat()
    }

    fn positions_text(&self) -> String {
        if self.left.is_empty() {
            return "flat".into();
        }
        let row = |(base, net): &(String, i64)| match net {
            0 => format!("{base} hedged"),
            net => format!("{base} UNHEDGED {}", money::trimmed(*net)),
        };
        self.left.iter().map(row).collect::<Vec<String>>().join(", ")
    }

    fn find(&self, path: &[&str]) -> Option<Value> {
        find(&self.summary, path)
    }
}

const COUNTS: &[(&str, &str)] = &[
    ("seconds", "seconds"),
    ("book updates", "updates"),
    ("opportunities", "opportunities"),
    ("pairs opened", "pairs_opened"),
    ("pairs closed", "pairs_closed"),
    ("orders sent", "orders_sent"),
    ("of these signed ahead", "orders_ready"),
    ("times with one leg", "one_leg_count"),
    ("longest with one leg, ms", "longest_one_leg_ms"),
];

const PNL_LINES: &[&str] = &["entry_edge", "exit_cost", "slippage", "fees", "funding", "unwinds", "total"];

/// A line of the summary's `pnl_usd`, at 1e-8.
pub fn pnl_line(summary: &Map<String, Value>, key: &str) -> Option<i64> {
    match find(summary, &["pnl_usd", key])? {
        Value::String(text) => money::parse(&text).ok(),
        Value::Number(number) => money::parse(&format!("{:.8}", number.as_f64()?)).ok(),
        _ => None,
    }
}

/// Looks into nested objects; an object may also be written as a JSON text, as flat logs do.
fn find(object: &Map<String, Value>, path: &[&str]) -> Option<Value> {
    let (first, rest) = path.split_first()?;
    let value = object.get(*first)?.clone();
    if rest.is_empty() {
        return Some(value);
    }
    match value {
        Value::Object(inner) => find(&inner, rest),
        Value::String(text) => find(&serde_json::from_str(&text).ok()?, rest),
        _ => None,
    }
}

fn left_over(vest: &VenueTruth, paradex: &VenueTruth) -> Vec<(String, i64)> {
    let base = |symbol: &str| symbol.split('-').next().unwrap_or_default().to_owned();
    let held = |venue: &VenueTruth, wanted: &str| -> i64 {
        venue.markets.iter().filter(|m| base(m) == wanted).map(|m| venue.position(m)).sum()
    };
    let bases = vest.markets.iter().map(|symbol| base(symbol));
    bases
        .map(|base| (held(vest, &base), held(paradex, &base), base))
        .filter(|(a, b, _)| *a != 0 || *b != 0)
        .map(|(a, b, base)| (base, a + b))
        .collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn as_number(amount: i64) -> f64 {
    amount as f64 / ONE as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn totals_are_read_from_text_number_and_nested_text() {
        for form in [
            r#"{"pnl_usd":{"total":"1.25"}}"#,
            r#"{"pnl_usd":{"total":1.25}}"#,
            r#"{"pnl_usd":"{\"total\":1.25}"}"#,
        ] {
            assert_eq!(pnl_line(&summary(form), "total"), Some(125_000_000), "{form}");
        }
        assert_eq!(pnl_line(&summary("{}"), "total"), None);
    }

    #[test]
    fn only_a_clean_end_is_good() {
        let good = Outcome {
            seed: 7,
            engine_exit: Some(0),
            summary: summary(r#"{"timestamp":"t","updates":9,"pnl_usd":{"total":"0"}}"#),
            ledger_difference: Some(99),
            balance_change: 0,
            open_orders: 0,
            left: vec![("BTC".into(), 0)],
            stats: Stats::default(),
        };
        assert!(good.is_good());
        let object = good.json();
        assert_eq!((object["updates"].as_i64(), object["exit_code"].as_i64()), (Some(9), Some(0)));
        assert!(object.get("timestamp").is_none());
        assert!(good.text().contains("BTC hedged"));
        for bad in [
            Outcome { engine_exit: None, ..good.clone() },
            Outcome { ledger_difference: Some(100), ..good.clone() },
            Outcome { ledger_difference: None, ..good.clone() },
            Outcome { open_orders: 1, ..good.clone() },
            Outcome { left: vec![("ETH".into(), 1)], ..good.clone() },
        ] {
            assert!(!bad.is_good());
        }
    }
}
