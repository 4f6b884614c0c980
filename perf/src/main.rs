//! Side by side in one run: the engine and the usual stacks, one after the other and again, each on its own pair of
//! simulated venues, with the same ticks. `perf/compare.sh` builds all of them and calls this.
//!
//! A tick is one update of the Vest book that opens or closes the gap. As the venues see it: from the last byte of that
//! update written to the last byte of each order read. In the process: what each contestant says of itself.

mod contestant;
mod report;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bot4_sim::control::VenueName;
use bot4_sim::core::model::Script;
use bot4_sim::meter::Tick;
use bot4_sim::options::{Profile, Switches};
use bot4_sim::{Options, Running, Sim};
use clap::Parser;

use contestant::{Contestant, Kind};
use report::Report;

const VEST: &str = "BTC-PERP";
const PARADEX: &str = "BTC-USD-PERP";
/// Gap at which a pair is opened, and at which it is closed, bps.
const OPEN: i64 = 60;
const CLOSED: i64 = -20;
/// A contestant that has not sent both orders by then has missed the tick.
const TICK_MAX: Duration = Duration::from_secs(5);
/// Between two ticks: fills arrive, cool-downs pass.
const REST: Duration = Duration::from_millis(700);
/// Round trips before anything is measured: connections are warm, pages are touched.
const WARM_UP: usize = 5;

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
    /// Lines of TOML laid over the engine's configuration.
    #[arg(long, default_value = "")]
    extra: String,
    /// Where all samples go.
    #[arg(long)]
    raw: Option<PathBuf>,
}

/// Both venues, the prices standing still.
struct Stage(Running);

impl Stage {
    fn start() -> anyhow::Result<Self> {
        let options = Options {
            vest_latency: Profile::Fast,
            paradex_latency: Profile::Fast,
            bases: vec!["BTC".to_owned()],
            // ccxt asks for the newest schema, the engine for the one that it knows.
            switches: Switches { paradex_sbe_versions: [true; 4], ..Switches::default() },
            ..Options::default()
        };
        let stage = Self(Sim::start(options)?);
        stage.gap(VenueName::Paradex, PARADEX, 0)?;
        stage.gap(VenueName::Vest, VEST, 0)?;
        Ok(stage)
    }

    fn gap(&self, venue: VenueName, market: &str, bps: i64) -> anyhow::Result<()> {
        let e8 = 100_000_000;
        let still = Script {
            basis_bps: Some(bps * e8),
            mid: Some(80_000 * e8),
            level_usd: Some(50_000 * e8),
            ..Script::default()
        };
        Ok(self.0.control.script(venue, market, still)?)
    }

    /// One tick; how long after it each order came in, or `None` when one did not come.
    fn tick(&self, bps: i64) -> anyhow::Result<Option<[i64; 2]>> {
        self.0.control.arm(VenueName::Vest);
        self.gap(VenueName::Vest, VEST, bps)?;
        let end = Instant::now() + TICK_MAX;
        while Instant::now() < end {
            if let Tick { first_us: Some(first), second_us: Some(second) } = self.0.control.tick() {
                std::thread::sleep(REST);
                return Ok(Some([first, second]));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(None)
    }

    fn round(&self, samples: &mut Vec<[i64; 2]>) -> anyhow::Result<usize> {
        let mut missed = 0;
        for bps in [OPEN, CLOSED] {
            match self.tick(bps)? {
                Some(sample) => samples.push(sample),
                None => missed += 1,
            }
        }
        Ok(missed)
    }

    fn is_flat(&self) -> bool {
        let truth = self.0.control.truth();
        truth.vest.is_flat() && truth.paradex.is_flat()
    }
}

/// One contestant's turn.
fn turn(kind: &Kind, rounds: usize, report: &mut Report) -> anyhow::Result<()> {
    let stage = Stage::start()?;
    let mut contestant = Contestant::start(kind, &stage.0)?;
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
    let mut kinds = vec![Kind::Engine { binary: arguments.bot4, extra: arguments.extra.clone() }];
    kinds.extend(arguments.baseline.map(Kind::Usual));
    kinds.extend(arguments.python.map(Kind::Python));
    let mut report = Report::default();
    for _ in 0..arguments.turns {
        for kind in &kinds {
            eprintln!("turn of {}", kind.name());
            turn(kind, arguments.rounds, &mut report)?;
        }
    }
    if let Some(binary) = arguments.counted {
        let kind = Kind::Counted { binary, extra: arguments.extra };
        turn(&kind, arguments.rounds, &mut report)?;
    }
    print!("{report}");
    if let Some(path) = arguments.raw {
        std::fs::write(path, report.raw())?;
    }
    Ok(())
}
