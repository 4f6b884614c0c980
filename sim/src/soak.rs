//! What a soak looks at beside the demo's own account: the memory of the engine while it runs, where every market
//! message went, and whether the engine's records hold every order and every fill that the venues know.
//!
//! Owned by `demo` for `bot4-sim soak`. It reads the engine's `/proc` entry, its `BOOK_COUNTS` log lines and, after the
//! end, its SQLite database; it never talks to the engine.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use rusqlite::{Connection, OpenFlags};
use serde::Deserialize;

use crate::control::{Truth, VenueTruth};

/// Memory is looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Buffers, caches and histograms fill up to here; from then on memory has to stay where it is.
const SETTLED: Duration = Duration::from_secs(60);
/// Growth of anonymous memory after [`SETTLED`] that still counts as flat, KiB: allocator noise, not a leak.
const GROWTH_MAX_KIB: i64 = 2_048;

/// The engine's memory at one moment, KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sample {
    at: Duration,
    /// All that is resident, mapped journal pages included.
    resident: i64,
    /// Heap, stacks and rings.
    anonymous: i64,
}

/// One `BOOK_COUNTS` line of the engine's log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Counts {
    exchange: String,
    messages: u64,
    applied: u64,
    conflated: u64,
    rejected: u64,
    waiting: u64,
}

impl Counts {
    fn adds_up(&self) -> bool {
        self.messages > 0
            && self.messages == self.applied + self.conflated + self.rejected + self.waiting
            && self.rejected == 0
    }
}

/// Orders and executed size of one venue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Traded {
    orders: i64,
    /// Sum of all fills, at 1e-8 base units.
    filled: i64,
}

/// The watch of one run.
#[derive(Debug, Default)]
pub struct Soak {
    samples: Vec<Sample>,
    counts: Vec<Counts>,
}

/// How a soak ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub lines: Vec<String>,
    pub good: bool,
}

impl Soak {
    /// Takes a sample when one is due; the line to show, then.
    pub fn look(&mut self, process: u32, at: Duration) -> Option<String> {
        let last = self.samples.last().map_or(Duration::ZERO, |last| last.at);
        let due = at >= last + LOOK_EVERY;
        let text = due.then(|| std::fs::read_to_string(format!("/proc/{process}/status")))?.ok()?;
        let (resident, anonymous) = (kib(&text, "VmRSS:")?, kib(&text, "RssAnon:")?);
        self.samples.push(Sample { at, resident, anonymous });
        Some(format!("{:>4} s  resident {resident} KiB, of it anonymous {anonymous} KiB", at.as_secs()))
    }

    /// Takes in one line of the engine's log; most are for others.
    pub fn read(&mut self, line: &str) {
        if line.contains(r#""BOOK_COUNTS""#)
            && let Ok(counts) = serde_json::from_str(line)
        {
            self.counts.push(counts);
        }
    }

    /// The account of the run: memory, messages, orders and fills. `database` is the engine's, after its end.
    pub fn verdict(&self, truth: &Truth, database: &Path) -> anyhow::Result<Verdict> {
        let kept = recorded(database)?;
        let mut verdict = Verdict { lines: vec![String::new(), "soak".to_owned()], good: true };
        self.memory(&mut verdict);
        self.messages(&mut verdict);
        for (name, venue) in [("vest", &truth.vest), ("paradex", &truth.paradex)] {
            trades(&mut verdict, name, known(venue), kept.get(name).copied().unwrap_or_default());
        }
        Ok(verdict)
    }

    fn memory(&self, verdict: &mut Verdict) {
        let settled = self.samples.iter().find(|sample| sample.at >= SETTLED);
        let (Some(settled), Some(last)) = (settled, self.samples.last()) else {
            return verdict.note("memory", "not judged: the run was shorter than a minute", true);
        };
        let grown = last.anonymous - settled.anonymous;
        let text = format!(
            "resident {} KiB after a minute, {} at the end; anonymous {} then {}: {grown:+} KiB",
            settled.resident, last.resident, settled.anonymous, last.anonymous
        );
        verdict.note("memory", &text, grown <= GROWTH_MAX_KIB);
    }

    fn messages(&self, verdict: &mut Verdict) {
        for counts in &self.counts {
            let Counts { exchange, messages, applied, conflated, rejected, waiting } = counts;
            let text = format!(
                "{exchange}: in {messages} = applied {applied} + conflated {conflated} + rejected {rejected} \
                 + waiting {waiting}"
            );
            verdict.note("messages", &text, counts.adds_up());
        }
        if self.counts.len() != 2 {
            verdict.note("messages", "the engine did not account for both feeds", false);
        }
    }
}

impl Verdict {
    fn note(&mut self, label: &str, text: &str, good: bool) {
        let mark = if good { "" } else { "  <== NOT GOOD" };
        self.lines.push(format!("  {label:<12}{text}{mark}"));
        self.good &= good;
    }
}

/// An order that a venue knows and the engine does not is lost, and so is a difference in what was filled. The engine
/// may know more orders: those that were refused at the door.
fn trades(verdict: &mut Verdict, name: &str, known: Traded, kept: Traded) {
    let lost = (known.orders - kept.orders).max(0);
    let text = format!("{name}: venue {}, engine {}, lost {lost}", known.orders, kept.orders);
    verdict.note("orders", &text, lost == 0);
    let lost = known.filled - kept.filled;
    let text = format!("{name}: venue {}, engine {}, lost {lost} (1e-8 base)", known.filled, kept.filled);
    verdict.note("fills", &text, lost == 0);
}

fn known(venue: &VenueTruth) -> Traded {
    let filled = venue.fills.iter().map(|fill| fill.size).sum();
    Traded { orders: venue.orders.len() as i64, filled }
}

/// What the engine's database holds, by venue. It is written from the journal.
fn recorded(database: &Path) -> anyhow::Result<BTreeMap<String, Traded>> {
    let place = || format!("cannot read {}", database.display());
    let rows = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).with_context(place)?;
    let sql = "SELECT LOWER(exchange), COUNT(DISTINCT o.client_id), COALESCE(SUM(f.qty_e8), 0) \
               FROM orders o LEFT JOIN fills f ON f.journal = o.journal AND f.client_id = o.client_id \
               AND f.busted = 0 GROUP BY 1";
    let mut statement = rows.prepare(sql).with_context(place)?;
    let traded =
        statement.query_map([], |row| Ok((row.get(0)?, Traded { orders: row.get(1)?, filled: row.get(2)? })));
    traded.with_context(place)?.collect::<Result<_, _>>().with_context(place)
}

/// A line of `/proc/PID/status`, such as `VmRSS:     1234 kB`.
fn kib(status: &str, name: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soak(anonymous: [i64; 3], lines: &[&str]) -> Soak {
        let at = [10, 60, 70].map(Duration::from_secs);
        let samples = at.into_iter().zip(anonymous);
        let samples = samples.map(|(at, anonymous)| Sample { at, resident: 9_000, anonymous }).collect();
        let mut soak = Soak { samples, counts: Vec::new() };
        lines.iter().for_each(|line| soak.read(line));
        soak
    }

    fn line(exchange: &str, rejected: u64) -> String {
        format!(
            r#"{{"event_type":"BOOK_COUNTS","exchange":"{exchange}","messages":9,"applied":7,"conflated":2,
                "rejected":{rejected},"waiting":0}}"#
        )
    }

    fn judged(soak: &Soak) -> Verdict {
        let mut verdict = Verdict { good: true, ..Verdict::default() };
        soak.memory(&mut verdict);
        soak.messages(&mut verdict);
        verdict
    }

    #[test]
    fn memory_is_read_from_the_status_file() {
        let status = "Name:\tbot4\nVmRSS:\t   12345 kB\nRssAnon:\t    4321 kB\n";
        assert_eq!(
            (kib(status, "VmRSS:"), kib(status, "RssAnon:"), kib(status, "VmHWM:")),
            (Some(12_345), Some(4_321), None)
        );
        let mut soak = Soak::default();
        let own = std::process::id();
        assert_eq!(soak.look(own, Duration::from_secs(9)), None, "not due yet");
        assert!(soak.look(own, Duration::from_secs(10)).is_some());
        assert_eq!(soak.look(own, Duration::from_secs(19)), None, "not due again");
    }

    #[test]
    fn growth_after_the_first_minute_is_not_good() {
        let both = [line("vest", 0), line("paradex", 0)];
        let both: Vec<&str> = both.iter().map(String::as_str).collect();
        assert!(judged(&soak([1_000, 5_000, 5_000 + GROWTH_MAX_KIB], &both)).good);
        assert!(!judged(&soak([1_000, 5_000, 5_001 + GROWTH_MAX_KIB], &both)).good);
    }

    #[test]
    fn every_message_of_both_feeds_must_be_accounted_for() {
        let (vest, paradex, bad) = (line("vest", 0), line("paradex", 0), line("paradex", 1));
        assert!(judged(&soak([1, 1, 1], &[&vest, "not json", &paradex])).good);
        assert!(!judged(&soak([1, 1, 1], &[&vest, &bad])).good);
        assert!(!judged(&soak([1, 1, 1], &[&vest])).good);
    }

    #[test]
    fn an_order_or_a_fill_that_the_engine_does_not_know_is_lost() {
        let judge = |known, kept| {
            let mut verdict = Verdict { good: true, ..Verdict::default() };
            trades(&mut verdict, "vest", known, kept);
            verdict.good
        };
        let known = Traded { orders: 2, filled: 5 };
        assert!(judge(known, known) && judge(known, Traded { orders: 3, ..known }));
        assert!(!judge(known, Traded { orders: 1, ..known }) && !judge(known, Traded { filled: 4, ..known }));
    }
}
