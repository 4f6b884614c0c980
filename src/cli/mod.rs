//! The verbs: what the operator types, parsed once, and which exit code it ends with. Called by `main` only. Verbs
//! print to stdout, errors are one line on stderr; a secret is printed by one verb alone, which exists for that.

mod check;
mod engine;
mod flatten;
mod output;
mod prompt;
mod register;
mod status;
mod stored;
mod tools;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{self, Config, ConfigError};
use crate::control::Verb;
use crate::venue::{REGISTRY, Venue};
pub use tools::Tools;

/// Exit codes of every verb (DESIGN §4).
pub mod exit {
    pub const OK: u8 = 0;
    pub const FAILED: u8 = 1;
    pub const BAD_CONFIG: u8 = 2;
    pub const REFUSED: u8 = 3;
    pub const SOMETHING_OPEN: u8 = 4;
}

const EXAMPLES: &str = "\
Examples:
  bot4 check                                   is everything in place?
  bot4 run                                     paper: real feeds, simulated fills
  bot4 run --config my.toml --live             real orders; starts paused
  bot4 resume                                  lets it trade
  bot4 status --json | jq .mode";

const RUN_HELP: &str = "\
Exit: 0 flat or hedged and nothing open, 2 bad configuration, 3 refused to start, 4 ended with something open,
which is named.

Examples:
  bot4 run
  bot4 run --config my.toml --env-file my.env --live --auto-resume";

const HALT_HELP: &str = "\
The latch outlives restarts: only `bot4 unlatch --reason` takes it away. SIGUSR1 and a file named HALT in the
journal's directory halt too. When the engine does not answer: `bot4 flatten`.

Examples:
  bot4 halt
  bot4 halt --flatten                          close every pair as well
  touch var/journal/HALT                       without the control socket";

const FLATTEN_HELP: &str = "\
A separate path: own connections, own journal, no lock, nothing asked of the engine, which is halted by
the file HALT. Ours is what the engine's journal explains; with dedicated_account = true everything on the
accounts is. Both legs of a pair leave together in reduce-only clips priced from the venues' books; while
one venue cannot be reached, what hedges its leg is kept.

Exit: 0 both venues show nothing of ours, 4 something remains, which is named, 1 and 2 it could not begin.

Examples:
  bot4 flatten
  bot4 flatten --config my.toml --env-file my.env --deadline-s 300";

const UNLATCH_HELP: &str = "\
Takes the latch and the file HALT away; the mode that follows is Paused, `bot4 resume` lets it trade.

Examples:
  bot4 unlatch --reason \"clock offset mended, positions checked on both venues\"";

const CHECK_HELP: &str = "\
Exit: 0 all well, 1 not.

Examples:
  bot4 check
  bot4 check --config my.toml --json";

/// Trades the gap between two perpetual-futures exchanges.
#[derive(Parser)]
#[command(name = "bot4", version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct Cli {
    /// Configuration, TOML or YAML (.yaml, .yml).
    #[arg(long, global = true, value_name = "FILE", default_value = "config/bot4.toml")]
    config: PathBuf,
    #[command(subcommand)]
    verb: CliVerb,
}

#[derive(Subcommand)]
enum CliVerb {
    /// Run the engine until SIGINT or SIGTERM.
    #[command(after_help = RUN_HELP)]
    Run(RunArgs),
    /// Check everything that a run needs; a mend for each failure.
    #[command(after_help = CHECK_HELP)]
    Check(CheckArgs),
    /// Live state of a running engine.
    #[command(after_help = "Examples:\n  bot4 status\n  bot4 status --json | jq .pairs")]
    Status(JsonArg),
    /// Stop opening pairs. Exits, stops and hedging go on.
    Pause(JsonArg),
    /// Open pairs again.
    Resume(JsonArg),
    /// Latch the engine: nothing is opened, entry orders are cancelled; hedging, exits and stops go on.
    #[command(after_help = HALT_HELP)]
    Halt(HaltArgs),
    /// Re-arm a halted engine, to Paused. A person does this, after looking.
    #[command(after_help = UNLATCH_HELP)]
    Unlatch(UnlatchArgs),
    /// Take what the venues hold of a pair as ours, after FOREIGN_POSITION.
    #[command(after_help = "Examples:\n  bot4 adopt BTC")]
    Adopt(AdoptArgs),
    /// Cancel and close everything of ours on both venues without the engine: for when it hangs.
    #[command(after_help = FLATTEN_HELP)]
    Flatten(FlattenArgs),
    /// Open and recent positions, from the store.
    #[command(after_help = "Examples:\n  bot4 positions\n  bot4 positions --json")]
    Positions(StoredArgs),
    /// Profit of every pair, line by line, from the store.
    #[command(after_help = "Examples:\n  bot4 pnl\n  bot4 pnl --json")]
    Pnl(StoredArgs),
    /// Bring the database to this version's schema; give an administrator's DATABASE_URL.
    #[command(after_help = "Examples:\n  bot4 migrate --env-file admin.env")]
    Migrate(EnvArg),
}

#[derive(Args)]
struct EnvArg {
    /// Credentials: mode 0600, our own. systemd's credentials directory goes first when this is not given.
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
}

#[derive(Args)]
struct RunArgs {
    #[command(flatten)]
    env: EnvArg,
    /// Send real orders; the configuration must say mode = "live" too.
    #[arg(long)]
    live: bool,
    /// Trade after the start-up reconcile without waiting for `bot4 resume`.
    #[arg(long)]
    auto_resume: bool,
    /// Close every pair at the end instead of keeping hedged ones.
    #[arg(long)]
    flatten_on_stop: bool,
}

#[derive(Args)]
struct CheckArgs {
    #[command(flatten)]
    env: EnvArg,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct JsonArg {
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct HaltArgs {
    /// Close every pair too.
    #[arg(long)]
    flatten: bool,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Args)]
struct FlattenArgs {
    #[command(flatten)]
    env: EnvArg,
    /// Give up after this long, naming what remains.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    deadline_s: u32,
}

#[derive(Args)]
struct UnlatchArgs {
    /// What was found and mended; kept in the journal and in the log.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Args)]
struct AdoptArgs {
    /// Name of the pair, as in the configuration.
    pair: String,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Args)]
struct StoredArgs {
    #[command(flatten)]
    env: EnvArg,
    /// A JSON list of objects.
    #[arg(long)]
    json: bool,
}

/// Why a verb failed: its exit code and one line.
pub struct Failure {
    pub code: u8,
    pub line: String,
}

impl Failure {
    fn failed(line: impl ToString) -> Self {
        Self { code: exit::FAILED, line: line.to_string() }
    }

    fn refused_to_start(line: impl ToString) -> Self {
        Self { code: exit::REFUSED, line: line.to_string() }
    }

    fn bad_config(line: impl ToString) -> Self {
        Self { code: exit::BAD_CONFIG, line: line.to_string() }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::failed(format!("cannot write the output: {error}"))
    }
}

/// Parses the command line, runs the verb and returns the exit code.
pub fn main(args: impl Iterator<Item = OsString>, tools: &Tools) -> u8 {
    let matches = match command(tools).try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => {
            let code = if error.use_stderr() { exit::BAD_CONFIG } else { exit::OK };
            // The reader of our help has gone: nothing is left to be said to anyone.
            let _ = error.print();
            return code;
        }
    };
    match dispatch(&matches, tools, &mut io::stdout()) {
        Ok(code) => code,
        Err(failure) => {
            let line = failure.line.lines().map(str::trim).collect::<Vec<_>>().join(" ");
            // Nobody reads stderr: the exit code still says it.
            let _ = writeln!(io::stderr(), "bot4: {line}");
            failure.code
        }
    }
}

/// The verbs that are always there and one `register-<venue>` for each venue that registers keys.
fn command(tools: &Tools) -> Command {
    let mut command = Cli::command();
    for (venue, registration) in register::venues(tools) {
        command = command.subcommand(register::command(venue, registration.verb));
    }
    command
}

fn dispatch(matches: &clap::ArgMatches, tools: &Tools, out: &mut dyn Write) -> Result<u8, Failure> {
    if let Some((name, sub)) = matches.subcommand()
        && let Some((venue, registration)) = register::venues(tools).find(|(_, line)| line.verb == name)
    {
        return register::run(venue, registration, sub, &load(&config_path(matches))?, tools, out);
    }
    let cli = Cli::from_arg_matches(matches).map_err(Failure::bad_config)?;
    let config = load(&cli.config)?;
    match cli.verb {
        CliVerb::Run(args) => engine::run(config, &args),
        CliVerb::Check(args) => check::run(&config, &args, tools, out),
        CliVerb::Status(args) => engine::ask(&config, Verb::Status, args.json, out),
        CliVerb::Pause(args) => engine::ask(&config, Verb::Pause, args.json, out),
        CliVerb::Resume(args) => engine::ask(&config, Verb::Resume, args.json, out),
        CliVerb::Halt(args) => {
            engine::ask(&config, Verb::Halt { flatten: args.flatten }, args.json.json, out)
        }
        CliVerb::Flatten(args) => flatten::run(&config, &args, out),
        CliVerb::Unlatch(args) => {
            engine::ask(&config, Verb::Unlatch { reason: args.reason }, args.json.json, out)
        }
        CliVerb::Adopt(args) => engine::ask(&config, Verb::Adopt { pair: args.pair }, args.json.json, out),
        CliVerb::Positions(args) => {
            stored::show(&config, &args, tools.store.positions, &stored::POSITIONS, out)
        }
        CliVerb::Pnl(args) => stored::show(&config, &args, tools.store.pnl, &stored::PNL, out),
        CliVerb::Migrate(args) => stored::migrate(&config, &args, tools, out),
    }
}

fn config_path(matches: &clap::ArgMatches) -> PathBuf {
    matches.get_one::<PathBuf>("config").cloned().unwrap_or_default()
}

fn load(path: &Path) -> Result<Config, Failure> {
    config::load(path).map_err(|error: ConfigError| Failure::bad_config(error))
}

/// Where the secrets are: the file that was named, else systemd's directory, else `.env`.
struct SecretSource {
    file: PathBuf,
    dir: Option<PathBuf>,
}

impl SecretSource {
    fn of(args: &EnvArg) -> Self {
        let dir = match args.env_file {
            Some(_) => None,
            None => std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
        };
        Self { file: args.env_file.clone().unwrap_or_else(|| PathBuf::from(".env")), dir }
    }

    fn load(&self, mode: config::TradingMode) -> Result<config::Credentials, config::SecretError> {
        config::env_file::load(&self.file, self.dir.as_deref(), mode, &REGISTRY)
    }

    /// Whether a run may take its keys from there. `flatten` does not ask: it has to work in any case.
    fn suits(&self, config: &Config) -> Result<(), config::SecretError> {
        match self.dir {
            None if config.trades_real_money() => config::env_file::refuse_work_tree(&self.file),
            _ => Ok(()),
        }
    }

    fn exists(&self) -> bool {
        self.dir.as_deref().unwrap_or(&self.file).exists()
    }
}

/// A venue's line in the registry.
fn venue_of(id: crate::types::VenueId) -> Option<&'static Venue> {
    REGISTRY.get(id.index())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command(&Tools::production()).debug_assert();
    }

    #[test]
    fn help_names_every_verb() {
        let help = command(&tools::fakes::tools()).render_long_help().to_string();
        for verb in [
            "run",
            "check",
            "status",
            "pause",
            "resume",
            "halt",
            "flatten",
            "unlatch",
            "adopt",
            "positions",
            "pnl",
        ]
        .into_iter()
        .chain(["migrate", "register-one"])
        {
            assert!(help.contains(&format!("\n  {verb} ")), "{verb}: {help}");
        }
    }

    #[test]
    fn unlatch_wants_a_reason() {
        let args = ["bot4", "unlatch"].map(OsString::from);
        assert_eq!(main(args.into_iter(), &Tools::production()), exit::BAD_CONFIG);
    }

    #[test]
    fn a_usage_error_is_a_bad_configuration() {
        let args = ["bot4", "fly"].map(OsString::from);
        assert_eq!(main(args.into_iter(), &Tools::production()), exit::BAD_CONFIG);
    }
}
