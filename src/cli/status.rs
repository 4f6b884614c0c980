//! `bot4 status` for people: the status object as a few tables. It knows the names of its fields and nothing else; a
//! field that is not there shows as nothing. Programs take the object itself (`--json`).

use std::io::{self, Write};

use serde_json::Value;

use super::output::{Column, Table, cut, plain};

const LINKS: [Column; 4] = [
    Column::text("exchange", "exchange"),
    Column::text("link", "link"),
    Column::text("up", "up"),
    Column::span("for", "since_ms"),
];
const FEEDS: [Column; 6] = [
    Column::text("exchange", "exchange"),
    Column::text("pair", "pair"),
    Column::text("updates", "updates"),
    Column::cut("per s", "updates_per_s", 1),
    Column::text("conflated", "conflated"),
    Column::span("last", "age_ms"),
];
const SPREADS: [Column; 5] = [
    Column::text("spread of", "pair"),
    Column::cut("a %", "a_percent", 4),
    Column::cut("b %", "b_percent", 4),
    Column::cut("raw a %", "raw_a_percent", 4),
    Column::cut("raw b %", "raw_b_percent", 4),
];
const PAIRS: [Column; 5] = [
    Column::text("pair held", "pair"),
    Column::text("first leg", "first_leg"),
    Column::text("second leg", "second_leg"),
    Column::text("unhedged", "unhedged"),
    Column::span("for", "held_ms"),
];
const VENUES: [Column; 9] = [
    Column::text("orders at", "exchange"),
    Column::text("placed", "placed"),
    Column::text("last minute", "placed_last_minute"),
    Column::text("rejected", "rejected"),
    Column::cut("miss %", "miss_percent", 1),
    Column::cut("ack ms p50", "/ack_ms/p50", 3),
    Column::cut("p99", "/ack_ms/p99", 3),
    Column::cut("fill ms p50", "/fill_ms/p50", 3),
    Column::cut("p99", "/fill_ms/p99", 3),
];
const ACCOUNTS: [Column; 4] = [
    Column::text("account at", "exchange"),
    Column::cut("margin free %", "margin_free_percent", 1),
    Column::cut("runway %", "margin_runway_percent", 1),
    Column::cut("key days left", "key_days_left", 1),
];
const TIMES: [Column; 4] = [
    Column::text("latency", "name"),
    Column::cut("p50", "/times/p50", 3),
    Column::cut("p99", "/times/p99", 3),
    Column::cut("max", "/times/max", 3),
];
const WORST: [Column; 8] = [
    Column::text("slowest orders", "order"),
    Column::text("exchange", "exchange"),
    Column::text("purpose", "purpose"),
    Column::cut("us to wire", "tick_to_wire_us", 1),
    Column::cut("book", "wire_to_book_us", 1),
    Column::cut("decide", "book_to_decide_us", 1),
    Column::cut("gate", "decide_to_gate_us", 1),
    Column::cut("send", "gate_to_send_us", 1),
];
/// What is timed, its unit in the name, and where it stands in the object.
const TIMED: [(&str, &str); 14] = [
    ("tick to wire, first leg, us", "/tick_to_wire_us/first"),
    ("  wire to book, us", "/hops_us/first/wire_to_book"),
    ("  book to decision, us", "/hops_us/first/book_to_decide"),
    ("  decision to gate, us", "/hops_us/first/decide_to_gate"),
    ("  gate to send, us", "/hops_us/first/gate_to_send"),
    ("  signed ahead, us", "/hops_us/first/tick_to_wire_ready"),
    ("  not signed ahead, us", "/hops_us/first/tick_to_wire_cold"),
    ("tick to wire, second leg, us", "/tick_to_wire_us/second"),
    ("  decision to gate, us", "/hops_us/second/decide_to_gate"),
    ("  gate to send, us", "/hops_us/second/gate_to_send"),
    ("  signed ahead, us", "/hops_us/second/tick_to_wire_ready"),
    ("  not signed ahead, us", "/hops_us/second/tick_to_wire_cold"),
    ("decision to terminal, ms", "/decision_to_terminal_ms"),
    ("fill skew, ms", "/fill_skew_ms"),
];

/// Writes the whole page.
pub(super) fn write(status: &Value, out: &mut dyn Write) -> io::Result<()> {
    head(status, out)?;
    for (columns, field) in [
        (&LINKS[..], "links"),
        (&FEEDS[..], "feeds"),
        (&SPREADS[..], "spreads"),
        (&PAIRS[..], "pairs"),
        (&VENUES[..], "venues"),
        (&ACCOUNTS[..], "venues"),
    ] {
        let rows = status.get(field).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        section(columns, rows, out)?;
    }
    section(&TIMES, &times(status), out)?;
    let slow = status.get("worst_orders").and_then(Value::as_array);
    section(&WORST, slow.map_or(&[][..], Vec::as_slice), out)
}

/// What a person wants first: does it trade, what does it hold, what has it earned.
fn head(status: &Value, out: &mut dyn Write) -> io::Result<()> {
    let text = |path: &str| match status.pointer(path) {
        Some(Value::String(text)) => plain(text),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let usd = |line: &str| cut(&text(&format!("/pnl_usd/{line}")), 4);
    writeln!(out, "{} ({}) for {} s", text("/mode"), text("/mode_why"), text("/seconds"))?;
    if text("/mode") == "Halted" {
        writeln!(out, "latched until a person has looked; to re-arm: {}", text("/next_command"))?;
    }
    writeln!(
        out,
        "{} pairs opened, {} closed; {} orders sent ({} signed ahead), {} open; one leg alone {} times",
        text("/pairs_opened"),
        text("/pairs_closed"),
        text("/orders_sent"),
        text("/orders_ready"),
        text("/open_orders"),
        text("/one_leg_count"),
    )?;
    let lines = ["entry_edge", "exit_cost", "slippage", "fees", "funding", "unwinds"];
    let sum: Vec<String> =
        lines.iter().map(|line| format!("{} {}", line.replace('_', " "), usd(line))).collect();
    writeln!(out, "profit {} USD: {}", usd("total"), sum.join(", "))
}

fn section(columns: &[Column], rows: &[Value], out: &mut dyn Write) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    Table::of(columns, rows).write_text(out)
}

/// The times that have been measured.
fn times(status: &Value) -> Vec<Value> {
    let row = |(name, path): &(&str, &str)| {
        let times = status.pointer(path)?;
        let measured = times.get("max").and_then(Value::as_f64).is_some_and(|max| max > 0.0);
        measured.then(|| serde_json::json!({ "name": name, "times": times }))
    };
    TIMED.iter().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_what_a_person_wants_and_leaves_out_what_is_empty() {
        let status = serde_json::json!({
            "mode": "Active", "mode_why": "operator", "seconds": 7, "pairs_opened": 1, "pairs_closed": 0,
            "orders_sent": 2, "orders_ready": 1, "open_orders": 0, "one_leg_count": 0,
            "pnl_usd": { "total": 0.3123456, "entry_edge": 0.5, "exit_cost": 0, "slippage": 0, "fees": -0.2,
                         "funding": 0, "unwinds": 0 },
            "links": [{ "exchange": "vest", "link": "private", "up": true, "since_ms": 61_500 }],
            "feeds": [], "spreads": [{ "pair": "BTC", "a_percent": 0.604_148, "b_percent": -0.639_141 }],
            "fill_skew_ms": { "p50": 1.0494, "p99": 2.0, "max": 3.0 },
            "decision_to_terminal_ms": { "p50": 0.0, "p99": 0.0, "max": 0.0 },
        });
        let mut out = Vec::new();
        write(&status, &mut out).unwrap();
        let expected = "\
Active (operator) for 7 s
1 pairs opened, 0 closed; 2 orders sent (1 signed ahead), 0 open; one leg alone 0 times
profit 0.3123 USD: entry edge 0.5, exit cost 0, slippage 0, fees -0.2, funding 0, unwinds 0

EXCHANGE  LINK     UP    FOR
vest      private  true  61.5 s

SPREAD OF  A %     B %      RAW A %  RAW B %
BTC        0.6041  -0.6391

LATENCY        P50    P99  MAX
fill skew, ms  1.049  2.0  3.0
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
