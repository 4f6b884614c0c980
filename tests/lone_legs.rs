//! Legs that miss: each order of the legs (`execution.legs`) trades while orders at both venues find nothing to trade
//! with at a given rate and the prices move on. How often does a leg stay alone, for how long, what does the way home
//! cost, and was it the cheaper one? Times and positions are those of the venues' own fills; costs are those of the
//! engine's log (`MEND_ROUTE`).
//!
//! `scripts/campaign.sh lone-legs --count 200`, or `BOT4_ENTRIES`, `BOT4_SEED` and `BOT4_WORKERS` by hand.

mod common;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bot4::journal::entry::Entry;
use bot4::journal::recover::recover;
use bot4::types::{IntentKind, OrderState};
use bot4_sim::Options;
use bot4_sim::control::Truth;
use bot4_sim::core::fault::{Action, Class, Rule};
use bot4_sim::core::rng::Rng;
use common::Bench;
use common::bench::{Line, patience};
use common::campaign::{Figures, number};
use common::trouble::VENUES;

const LEGS: [&str; 3] = ["together", "vest_first", "paradex_first"];
/// Orders that find nothing to trade with, percent.
const MISSES: [u32; 4] = [1, 5, 10, 20];
/// Notional of a leg, USD: 0.002 at 80,000.
const NOTIONAL: f64 = 160.0;
/// One leg longer than this is too long, ms (SAFETY §7).
const TOO_LONG_MS: f64 = 5_000.0;

fn config(legs: &str) -> String {
    format!(
        r#"
        [execution]
        legs = "{legs}"
        [risk]
        cooldown_s = 0
        failed_leg_cooldown_s = 0
        daily_loss_usd = 10000
        max_order_errors_per_min = 100
        losing_pairs_pause = 100
        [pauses]
        daily_loss_share = 0.2
        order_errors_s = 1
        losing_pairs_s = 1
        [journal]
        segment_kb = 65536
        "#
    )
}

/// What one order of the legs did at one rate.
#[derive(Default)]
struct Cell {
    entries: usize,
    /// A leg stayed alone because the other one missed.
    lone: usize,
    completed: usize,
    /// What the way home cost that was taken in the end, bps of the leg's notional, against both legs at the decision's
    /// prices: price, fee, and for an unwind the edge that it gives up.
    cost_bps: Figures,
    /// Choices between two priced ways, and those of them that took the dearer one: forced to, since the venue of the
    /// cheaper one had just refused it (rung 5 of the ladder), or not.
    choices: usize,
    forced: usize,
    dearer: usize,
    /// Time with one leg by the venues' fills, ms: all, and those that lasted too long.
    one_leg_ms: Figures,
    too_long: usize,
}

/// Trades until so many entries were tried, on prices that jump.
fn trade(legs: &str, miss: u32, entries: usize, seed: u64) -> Cell {
    let mut bench = Bench::with(Options { seed, ..Options::default() }, &config(legs));
    let mut rng = Rng::new(seed, "lone legs");
    bench.spawn(&["--live", "--auto-resume", "--flatten-on-stop"]);
    bench.wait_for("STARTED");
    for venue in VENUES {
        let rule = Rule::always(Class::Order, Action::PartialFill { size: 0 });
        bench.control().fault(venue, Rule { probability_ppm: Some(miss * 10_000), ..rule });
    }
    let enters = |line: &&Line| line["event_type"] == "ORDER_PLACED" && line["purpose"] == "enter";
    let each = if legs == "together" { 2 } else { 1 };
    let mut end = Instant::now() + patience();
    let mut seen = 0;
    while seen < entries * each {
        let gap = [60, 60, 45, 20, -20, -60][rng.between(0, 5) as usize];
        bench.gap_bps(gap);
        let wait = Duration::from_millis(rng.between(40, 160) as u64);
        assert!(bench.ended_within(wait).is_none(), "it ended\n{}", bench.tail());
        let now = bench.log.iter().filter(enters).count();
        if now > seen {
            end = Instant::now() + patience();
        }
        assert!(Instant::now() < end, "{legs}, {miss} %: no entry any more\n{}", bench.tail());
        seen = now;
    }
    bench.control().clear();
    bench.gap_bps(0);
    bench.stop_and_settle_journal();
    measure(&bench, legs)
}

fn measure(bench: &Bench, legs: &str) -> Cell {
    let mut cell = Cell::default();
    let journal = recover(&bench.dir.path().join("journal")).expect("the journal reads");
    let enters = |entry: &&Entry| {
        let Entry::Intent { intent } = entry else { return false };
        matches!(intent.kind, Some(IntentKind::Enter(_)))
    };
    cell.entries = journal.entries.iter().filter(enters).count();
    // With one leg first, the first completion is the second leg itself.
    let usual = usize::from(legs != "together");
    let refused = |entry: &Entry| match entry {
        Entry::Closed { id, state: OrderState::Rejected | OrderState::NeverAccepted, .. } => {
            Some(id.to_string())
        }
        _ => None,
    };
    let refused: BTreeSet<String> = journal.entries.iter().filter_map(refused).collect();
    let (mut completions, mut unwinds, mut last_cost) = (0, 0, 0.0);
    let (mut began, mut last_unwind) = (0, None);
    for (at, line) in bench.log.iter().enumerate() {
        let number = |field: &str| line[field].as_f64();
        match line["event_type"].as_str() {
            Some("MEND_ROUTE") => {
                let complete = line["complete"] == true;
                completions += usize::from(complete);
                unwinds += usize::from(!complete);
                last_cost = number("cost_usd").expect("a cost");
                if let Some(instead) = number("instead_usd") {
                    let forced = complete && last_unwind.is_some_and(|id| refused.contains(id));
                    cell.choices += 1;
                    cell.forced += usize::from(forced && last_cost > instead);
                    if last_cost > instead && !forced {
                        cell.dearer += 1;
                        bench.log[began..=at].iter().for_each(|line| println!("{line}"));
                    }
                }
            }
            Some("ORDER_PLACED") => {
                last_unwind = line["order"].as_str().filter(|_| line["purpose"] == "unwind");
            }
            Some("MENDED") => {
                if completions > usual || unwinds > 0 {
                    cell.lone += 1;
                    cell.completed += usize::from(line["completed"] == true);
                    cell.cost_bps.add(last_cost / NOTIONAL * 1e4);
                }
                (completions, unwinds, began, last_unwind) = (0, 0, at, None);
            }
            _ => {}
        }
    }
    cell.one_leg_ms = one_leg(&bench.control().truth());
    cell.too_long = cell.one_leg_ms.above(TOO_LONG_MS);
    cell
}

/// How long the venues' positions did not match, each time, ms.
fn one_leg(truth: &Truth) -> Figures {
    let fills = truth.vest.fills.iter().chain(&truth.paradex.fills);
    let mut changes: Vec<(i64, i64)> = fills.map(|fill| (fill.at_us, fill.side.sign() * fill.size)).collect();
    changes.sort_unstable();
    let (mut net, mut since, mut times) = (0, 0, Figures::default());
    for (at, change) in changes {
        if net == 0 {
            since = at;
        }
        net += change;
        if net == 0 {
            times.add((at - since) as f64 / 1e3);
        }
    }
    times
}

#[test]
fn missed_legs_are_mended_the_cheaper_way() {
    let (entries, seed) = (number("BOT4_ENTRIES", 0) as usize, number("BOT4_SEED", 1));
    // In CI the highest rate alone.
    let (entries, misses) = if entries == 0 { (8, &MISSES[3..]) } else { (entries, &MISSES[..]) };
    let workers = number("BOT4_WORKERS", 1);
    println!("lone legs: {entries} entries each, seed {seed}, {workers} engines at a time");
    let cells: Vec<(&str, u32)> =
        LEGS.iter().flat_map(|legs| misses.iter().map(move |miss| (*legs, *miss))).collect();
    let todo = Mutex::new(cells.iter().enumerate());
    let done: Mutex<Vec<Option<Cell>>> = Mutex::new(cells.iter().map(|_| None).collect());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let next = todo.lock().unwrap().next();
                    let Some((at, (legs, miss))) = next else { break };
                    let cell = trade(legs, *miss, entries, seed + at as u64);
                    done.lock().unwrap()[at] = Some(cell);
                }
            });
        }
    });
    println!(
        "legs           miss  entries  lone  rate %  completed  bps of a leg: mean, max  dearer, forced"
    );
    let done = done.into_inner().unwrap();
    for ((legs, miss), cell) in cells.iter().zip(&done) {
        let cell = cell.as_ref().expect("every cell was measured");
        let rate = 100.0 * cell.lone as f64 / cell.entries as f64;
        println!(
            "{legs:<14} {miss:>2} %  {:>7} {:>5} {rate:>7.1} {:>10}  {:>21.2} {:>6.2}  {} of {}, {}",
            cell.entries,
            cell.lone,
            cell.completed,
            cell.cost_bps.mean(),
            cell.cost_bps.max(),
            cell.dearer,
            cell.choices,
            cell.forced
        );
    }
    println!("time with one leg by the venues' fills, ms:  times");
    for ((legs, miss), cell) in cells.iter().zip(done.iter().flatten()) {
        println!("  {legs:<14} {miss:>2} %  {}  over 5 s: {}", cell.one_leg_ms, cell.too_long);
        assert_eq!(cell.dearer, 0, "{legs}, {miss} %: the dearer way was taken");
    }
}
