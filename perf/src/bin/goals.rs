//! The goals that are no tick to wire, a line each: what the engine costs when nothing happens, how soon a lone leg is
//! mended and a stale book noticed, what twenty times the market data does, and how much of a trade's time is ours.
//! `perf/goals.sh` builds the engine and calls this. It prints; nothing here passes or fails.

// Each binary uses a part.
#[allow(dead_code)]
#[path = "../contestant.rs"]
mod contestant;
#[allow(dead_code)]
#[path = "../stage.rs"]
mod stage;

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, ensure};
use bot4_sim::Options;
use bot4_sim::control::VenueName;
use bot4_sim::core::fault::{Action, Class, Rule};
use bot4_sim::core::{Delay, Socket};
use bot4_sim::options::Profile;
use clap::Parser;
use serde_json::Value;

use contestant::{Contestant, Kind};
use stage::Stage;

/// How long the idle engine is watched, and the kernel's ticks in a second.
const WATCHED: Duration = Duration::from_secs(20);
const TICKS_PER_S: f64 = 100.0;
/// Both limits of the ages of books lie below it.
const STALE: Duration = Duration::from_millis(2_500);
const STALE_TIMES: usize = 10;
const PARKED: &str =
    "threads.layout = \"auto\"\nthreads.spread.wait = \"park\"\nthreads.order.wait = \"park\"";

/// Measures the goals that `bot4-perf` does not.
#[derive(Parser)]
struct Arguments {
    /// Round trips of each measurement that trades.
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// The production binary.
    #[arg(long)]
    bot4: PathBuf,
    /// Lines of TOML laid over the engine's configuration.
    #[arg(long, default_value = "")]
    extra: String,
}

struct Run {
    stage: Stage,
    engine: Contestant,
}

impl Run {
    fn start(arguments: &Arguments, extra: &str, options: Options) -> anyhow::Result<Self> {
        let stage = Stage::start(options, false)?;
        let extra = format!("{}\n{extra}", arguments.extra);
        let kind = Kind::Engine { name: "bot4", binary: arguments.bot4.clone(), extra };
        let engine = Contestant::start(&kind, &stage.venues)?;
        Ok(Self { stage, engine })
    }

    /// So many round trips, `before` each of them something else.
    fn trade(&self, rounds: usize, before: impl Fn(&Stage)) -> anyhow::Result<()> {
        let mut samples = Vec::new();
        for _ in 0..rounds {
            before(&self.stage);
            self.stage.round(&mut samples)?;
        }
        ensure!(samples.len() >= rounds, "only {} of {} ticks were answered", samples.len(), 2 * rounds);
        Ok(())
    }

    /// Ends the engine; its summary.
    fn stop(self) -> anyhow::Result<Value> {
        let own = self.engine.stop()?;
        ensure!(self.stage.is_flat(), "something was left open");
        Ok(own.summary)
    }
}

/// Ticks of the kernel that each thread of a process has used.
fn used(pid: u32) -> anyhow::Result<Vec<(String, u64)>> {
    let mut threads = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may have ended since.
        let Ok(stat) = fs::read_to_string(task?.path().join("stat")) else { continue };
        let (head, tail) = stat.rsplit_once(')').context("a name in brackets")?;
        let name = head.split_once('(').map_or("", |(_, name)| name);
        let fields: Vec<&str> = tail.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        threads.push((name.to_owned(), ticks(11) + ticks(12)));
    }
    Ok(threads)
}

/// Every thread parked, a book of each venue once a second.
fn idle(arguments: &Arguments) -> anyhow::Result<()> {
    let second = Delay::of(900_000, 1_000_000);
    let quiet = Options { vest_cadence: second, paradex_cadence: second, ..Options::default() };
    let run = Run::start(arguments, PARKED, quiet)?;
    sleep(Duration::from_secs(5));
    let before = used(run.engine.pid())?;
    sleep(WATCHED);
    let after = used(run.engine.pid())?;
    let share = |ticks: u64| ticks as f64 / TICKS_PER_S / WATCHED.as_secs_f64() * 100.0;
    let mut threads: Vec<(f64, &str)> = after
        .iter()
        .map(|(name, ticks)| {
            let was = before.iter().find(|(known, _)| known == name).map_or(0, |row| row.1);
            (share(ticks.saturating_sub(was)), name.as_str())
        })
        .collect();
    threads.sort_by(|a, b| b.0.total_cmp(&a.0));
    let all: f64 = threads.iter().map(|row| row.0).sum();
    let most: Vec<String> =
        threads.iter().take(6).map(|(share, name)| format!("{name} {share:.1}")).collect();
    println!("idle, all parked: {all:.1} % of one core ({}); goal: under 5", most.join(", "));
    run.stop().map(drop)
}

/// Vest refuses one order of each entry.
fn mending(arguments: &Arguments) -> anyhow::Result<()> {
    let run = Run::start(arguments, "risk.max_order_errors_per_min = 100", Options::default())?;
    run.trade(arguments.rounds, |stage| {
        let action = Action::Reject { code: "3001".to_owned(), message: "refused".to_owned() };
        let rule = Rule::always(Class::Order, action);
        let rule = Rule { reduce_only: Some(false), count: Some(1), ..rule };
        stage.venues.control.fault(VenueName::Vest, rule);
    })?;
    let summary = run.stop()?;
    println!(
        "reject of one leg to mending order on the wire, us: {}; goal: p50 <= 50",
        of(&summary, "miss_to_mend_us")
    );
    Ok(())
}

/// A feed falls silent.
fn stale(arguments: &Arguments) -> anyhow::Result<()> {
    let run = Run::start(arguments, "", Options::default())?;
    for nth in 0..STALE_TIMES {
        let venue = if nth % 2 == 0 { VenueName::Vest } else { VenueName::Paradex };
        sleep(Duration::from_secs(1));
        run.stage.venues.control.stall(venue, Socket::Md, true);
        sleep(STALE);
        run.stage.venues.control.stall(venue, Socket::Md, false);
    }
    let summary = run.stop()?;
    println!("age limit passed to entries off, us: {}; goal: <= 1000", of(&summary, "stale_to_off_us"));
    Ok(())
}

fn trades(arguments: &Arguments, options: Options) -> anyhow::Result<Value> {
    let run = Run::start(arguments, "", options)?;
    run.trade(arguments.rounds, |_| ())?;
    run.stop()
}

fn load(once: &Value, twenty: &Value) {
    for leg in ["first", "second"] {
        let [light, heavy] = [once, twenty].map(|summary| figure(&summary["tick_to_wire_us"][leg], "p99"));
        let (a, b) = (legs(once, leg), legs(twenty, leg));
        let ratio = heavy / light;
        println!(
            "tick to wire, {leg} leg, us: {a}; at 20 times the market data: {b}; p99 times {ratio:.1}; goal: <= 2"
        );
    }
}

fn shares(name: &str, summary: &Value) {
    let ours = figure(&summary["tick_to_wire_us"]["second"], "p50") / 1_000.0;
    let all = figure(&summary["decision_to_terminal_ms"], "p50");
    println!(
        "{name}: decision to both terminal, ms: {}; fill skew, ms: {}; ours: {:.2} % ({ours:.3} ms); goal: < 1",
        of(summary, "decision_to_terminal_ms"),
        of(summary, "fill_skew_ms"),
        ours / all * 100.0
    );
}

fn figure(times: &Value, name: &str) -> f64 {
    times[name].as_f64().unwrap_or(f64::NAN)
}

fn told(times: &Value) -> String {
    ["p50", "p99", "max"].map(|name| format!("{name} {:.1}", figure(times, name))).join(" ")
}

fn of(summary: &Value, field: &str) -> String {
    told(&summary[field])
}

fn legs(summary: &Value, leg: &str) -> String {
    told(&summary["tick_to_wire_us"][leg])
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    idle(&arguments)?;
    mending(&arguments)?;
    stale(&arguments)?;
    let fast = trades(&arguments, Options::default())?;
    load(&fast, &trades(&arguments, Options { load: 20, ..Options::default() })?);
    shares("fast", &fast);
    let (vest_latency, paradex_latency) = (Profile::Realistic, Profile::Realistic);
    shares(
        "realistic",
        &trades(&arguments, Options { vest_latency, paradex_latency, ..Options::default() })?,
    );
    Ok(())
}
