//! The simulator's command line: `serve` runs both venues until stopped, `demo` trades on them.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use bot4_sim::demo::{self, DemoOptions};
use bot4_sim::options::{Options, Profile};
use bot4_sim::{Running, Sim, scenario};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Two simulated exchanges that speak Vest's and Paradex's own protocols over TLS on loopback.
#[derive(Parser)]
#[command(name = "bot4-sim", version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Start both venues, print where they are as one JSON object, and run until interrupted.
    ///
    /// Example: bot4-sim serve --seed 7 --profile realistic
    Serve(RunArgs),
    /// Start both venues, run the production `bot4` binary against them, and print a summary.
    ///
    /// Example: bot4-sim demo --seconds 60 --seed 7 --json
    Demo(DemoArgs),
    /// As `demo`, and watch the engine's memory, account for every market message, and look for lost orders and fills.
    ///
    /// Example: bot4-sim soak --load 20 --seconds 600
    Soak(DemoArgs),
}

#[derive(Args)]
struct RunArgs {
    /// Seed of prices, delays and faults.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Multiplies the cadence of the books.
    #[arg(long, default_value_t = 1, overrides_with = "load")]
    load: u32,
    /// Delays of both venues.
    #[arg(long, value_enum, default_value = "fast")]
    profile: ProfileArg,
    /// Stationary deviation of each venue's basis, in basis points.
    #[arg(long, default_value_t = 20)]
    basis_bps: u32,
    /// Half-life of the basis, milliseconds.
    #[arg(long, default_value_t = 2_500)]
    half_life_ms: u32,
    /// Premium that Vest charges and does not publish, in hundredths of a basis point.
    #[arg(long, default_value_t = 0)]
    premium_cbps: u32,
    /// Vest orders refused because the house re-quoted, parts per million.
    #[arg(long, default_value_t = 0)]
    requote_ppm: u32,
    /// Fixed ports; 0 = any free one.
    #[arg(long, default_value_t = 0)]
    vest_port: u16,
    #[arg(long, default_value_t = 0)]
    paradex_port: u16,
    #[arg(long, default_value_t = 0)]
    control_port: u16,
    /// Schema versions that Paradex accepts, such as 0,1,2.
    #[arg(long, value_delimiter = ',', default_value = "0,1,2")]
    sbe_versions: Vec<u8>,
    /// Send Paradex's private channels as JSON on SBE sockets too.
    #[arg(long)]
    private_json: bool,
    /// Control operations that happen by themselves: a file of JSON lines.
    #[arg(long)]
    scenario: Option<PathBuf>,
    /// Where the CA and the keys are written; default: a new temporary directory.
    #[arg(long)]
    state_dir: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ProfileArg {
    Fast,
    Realistic,
}

#[derive(Args)]
struct DemoArgs {
    #[command(flatten)]
    run: RunArgs,
    /// How long the engine trades.
    #[arg(long, default_value_t = 60, overrides_with = "seconds")]
    seconds: u64,
    /// The engine's binary; default: `bot4` beside this one.
    #[arg(long)]
    bot4: Option<PathBuf>,
    /// Configuration that the run's addresses are merged over.
    #[arg(long, default_value = "config/demo.toml")]
    config: PathBuf,
    /// Print one JSON object as the last line instead of the summary for people.
    #[arg(long)]
    json: bool,
}

impl RunArgs {
    fn options(self) -> anyhow::Result<Options> {
        let profile = match self.profile {
            ProfileArg::Fast => Profile::Fast,
            ProfileArg::Realistic => Profile::Realistic,
        };
        let mut options = Options {
            seed: self.seed,
            load: self.load,
            vest_latency: profile,
            paradex_latency: profile,
            basis_amplitude_cbps: i64::from(self.basis_bps) * 100,
            basis_half_life_ms: i64::from(self.half_life_ms),
            vest_premium_cbps: i64::from(self.premium_cbps),
            requote_ppm: self.requote_ppm,
            vest_port: self.vest_port,
            paradex_port: self.paradex_port,
            control_port: self.control_port,
            state_dir: self.state_dir,
            ..Options::default()
        };
        for (version, accepted) in options.switches.paradex_sbe_versions.iter_mut().enumerate() {
            *accepted = self.sbe_versions.contains(&(version as u8));
        }
        options.switches.paradex_private_sbe = !self.private_json;
        if let Some(path) = self.scenario {
            options.scenario = scenario::load(&path)?;
        }
        Ok(options)
    }
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().verb {
        Verb::Serve(args) => args.options().and_then(serve).map(|()| ExitCode::SUCCESS),
        Verb::Demo(args) => run_demo(args, false),
        Verb::Soak(args) => run_demo(args, true),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("bot4-sim: {error:#}");
        ExitCode::FAILURE
    })
}

fn serve(options: Options) -> anyhow::Result<()> {
    let running = Sim::start(options).context("cannot start the venues")?;
    println!("{}", serde_json::to_string(&running.endpoints)?);
    wait_for_interrupt(&running)
}

fn wait_for_interrupt(_running: &Running) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(demo::interrupted()).context("cannot listen for signals")
}

fn run_demo(args: DemoArgs, soak: bool) -> anyhow::Result<ExitCode> {
    let options = DemoOptions {
        seconds: args.seconds,
        bot4: args.bot4,
        config: args.config,
        json: args.json,
        soak,
        sim: args.run.options()?,
    };
    Ok(if demo::run(options)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
