//! Side by side in one run: the engine and the usual stacks, one after the other and again, each on its own pair of
//! simulated venues, with the same ticks. `perf/compare.sh` builds all of them and calls this.
//!
//! A tick is one update of the Vest book that opens or closes the gap. As the venues see it: from the last byte of that
//! update written to the last byte of each order read. In the process: what each contestant says of itself.

// `goals` uses the rest.
#[allow(dead_code)]
mod contestant;
mod report;
mod stage;

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use bot4_sim::Options;
use clap::Parser;

use contestant::{Contestant, Kind};
use report::Report;
use stage::Stage;

/// Round trips before anything is measured: connections are warm, pages are touched.
const WARM_UP: usize = 5;

/// A thread each, asleep when idle: what the engine does by itself where cores are few.
const PARKED: &str = "threads.layout = \"auto\"";

/// Measures the contestants side by side.
#[derive(Parser)]
struct Arguments {
    /// Round trips of each contestant in each turn; two ticks each.
    #[arg(long, default_value_t = 50)]
    rounds: usize,
    /// How often the contestants take turns.
    #[arg(long, default_value_t = 2)]
    turns: usize,
    /// The production binary.
    #[arg(long)]
    bot4: PathBuf,
    /// The binary that counts allocations, if it shall run too.
    #[arg(long)]
    counted: Option<PathBuf>,
    /// The usual stack, as a binary.
    #[arg(long)]
    baseline: Option<PathBuf>,
    /// An interpreter with the packages of perf/python/requirements.txt.
    #[arg(long)]
    python: Option<PathBuf>,
    /// Every tick comes from nowhere near, so that no order can be ready.
    #[arg(long)]
    leaps: bool,
    /// Lines of TOML laid over the engine's configuration.
    #[arg(long, default_value = "")]
    extra: String,
    /// Where all samples go.
    #[arg(long)]
    raw: Option<PathBuf>,
}

/// One contestant's turn.
fn turn(kind: &Kind, rounds: usize, leaps: bool, report: &mut Report) -> anyhow::Result<()> {
    let stage = Stage::start(Options::default(), leaps)?;
    let mut contestant = Contestant::start(kind, &stage.venues)?;
    let mut samples = Vec::new();
    for _ in 0..WARM_UP {
        stage.round(&mut samples)?;
    }
    ensure!(!samples.is_empty(), "{} has sent nothing:\n{}", kind.name(), contestant.said());
    samples.clear();
    contestant.mark();
    let mut missed = 0;
    for _ in 0..rounds {
        missed += stage.round(&mut samples)?;
    }
    contestant.mark();
    let own = contestant.stop().with_context(|| format!("{} did not end well", kind.name()))?;
    if !stage.is_flat() {
        bail!("{} has left something open", kind.name());
    }
    report.add(kind.name(), &samples, missed, own);
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let engine = |name, more| Kind::Engine {
        name,
        binary: arguments.bot4.clone(),
        extra: format!("{}\n{more}", arguments.extra),
    };
    let mut kinds = vec![engine("bot4", ""), engine("bot4, parked", PARKED)];
    kinds.extend(arguments.baseline.map(Kind::Usual));
    kinds.extend(arguments.python.map(Kind::Python));
    let mut report = Report::default();
    for _ in 0..arguments.turns {
        for kind in &kinds {
            eprintln!("turn of {}", kind.name());
            turn(kind, arguments.rounds, arguments.leaps, &mut report)?;
        }
    }
    if let Some(binary) = arguments.counted {
        let kind = Kind::Counted { binary, extra: arguments.extra };
        turn(&kind, arguments.rounds, arguments.leaps, &mut report)?;
    }
    print!("{report}");
    if let Some(path) = arguments.raw {
        std::fs::write(path, report.raw())?;
    }
    Ok(())
}
