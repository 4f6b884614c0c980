//! THE table: which threads run where and which ring joins whom; it builds and starts them, and ends them in order.
//! Called by the verb `run`. With its folder the only code that sees every stage.
//!
//! | ring | from → to | depth | when full |
//! |---|---|---|---|
//! | `md_spread[v]`, `md_order[v]` | `md:<venue>` → `spread`, `order` | `QUOTE_RING` | conflate |
//! | `spread_order` | `spread` → `order` | `INTENT_RING` | refuse: an old intent is worthless |
//! | `order_spread` | `order` → `spread` | `EXPOSURE_RING` | one pending slot a pair, newest wins |
//! | `order_rules` | `order` → `spread`, `signer` | `KEEPER_RING` | drop: refreshed every five minutes |
//! | `spread_signer` | `spread` → `signer` | `NEAR_RING` | drop: told again within moments |
//! | `signer_order` | `signer` → `order` | `READY_RING` | drop: signed again within 200 ms |
//! | `order_keeper[v]` | `order` → `keeper:<venue>` | `KEEPER_RING` | one pending slot, newest wins |
//! | `keeper_order[v]` | `keeper:<venue>` → `order` | `KEEPER_RING` | drop: asked again |
//! | `md_keeper[v]`, `keeper_md[v]` | `md:<venue>` ↔ `keeper:<venue>` | `COMMAND_RING` | drop: stays wanted |
//! | `main_order` | `main` → `order` | `COMMAND_RING` | refused to the operator |
//! | `*_store` | everyone → `store` | `RECORD_RING` | drop and count |
//! | `*_alerts` | `store`, `main` → `alerts` | `ALERT_RING` | drop, count and say so |

mod engine;
mod finish;
mod growth;
mod hearts;
mod operator;
mod plan;
mod restore;
pub mod startup;
mod watch;
mod wires;
mod wiring;
mod workers;

use std::io;
use std::path::Path;

use crate::config::{Config, Credentials, Durability, LogLevel, VenueSection};
use crate::control::HaltFile;
use crate::journal::entry::Entry;
use crate::journal::recover::{Recovered, can_be_salvaged, readable, recover, salvage};
use crate::journal::used::{flatten_dir, used};
use crate::journal::{self, FileJournal, Supply};
use crate::order::core::Core;
use crate::order::misplaced::misplaced;
use crate::store::{Claim, Level, Output, Redactor, Target};
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::lock::InstanceLock;
use crate::sys::process;
use crate::sys::signals::Signals;
use crate::telemetry;
use crate::types::order::Reason;
use crate::types::{Mode, Nanos, Pool, Secret};
use crate::venue::paper::PaperTrader;
use crate::venue::{Desk, Feed, Presigner, REGISTRY, SetupError, Trader};
use startup::Opening;
pub use wires::Wires;

/// What the command line decides about a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// Given together with `mode = "live"`, or neither; the verb has checked that they agree.
    pub live: bool,
    /// Start trading after the reconcile instead of waiting for `resume`; a latched halt overrides it.
    pub auto_resume: bool,
    /// Close every pair on SIGINT and SIGTERM instead of keeping hedged ones.
    pub flatten_on_stop: bool,
}

/// Exit codes of DESIGN §4.
const CLEAN: u8 = 0;
const SOMETHING_OPEN: u8 = 4;

/// Runs the engine until it is told to stop. `Ok` is the exit code: 0 nothing open or unknown and every pair flat or
/// hedged, 4 ended with something open, which has been named. `Err` says why it did not start (exit 3).
pub fn run(config: Config, credentials: Credentials, options: RunOptions) -> Result<u8, String> {
    let clock = SystemClock::start_fast();
    let (output, _flush) = logging(&config, &credentials, &clock);
    let signals = Signals::install().map_err(|error| error.to_string())?;
    let locked = process::lock_memory();
    if let Err(why) = &locked {
        tracing::warn!(event_type = "PROCESS", "{why}");
    }
    config.announcements().iter().for_each(|line| tracing::info!(event_type = "CONFIG", "{line}"));
    if options.live {
        config.venues.iter().for_each(announce_pool);
    }
    let _lock = InstanceLock::take(&config.journal.dir).map_err(|error| error.to_string())?;
    let url = Secret::new(config.database_url(&credentials).to_owned());
    let database = Target::parse(&url, config.store.ca_file.as_deref()).map_err(|error| error.to_string())?;
    let left = held_before(&config, options.live, clock.now())?;
    let held = left.is_some();
    let options = startup::what_memory_allows(options, locked, config.trades_real_money(), held)?;
    let mut claim =
        options.live.then(|| claim(&config, &credentials, &clock)).filter(|_| database.is_shared());
    let (session, answers) = restore::check_database(&database, claim.as_mut(), held, &clock, &signals)?;
    let patience = startup::Patience { signals: &signals, held: left.as_ref() };
    let parts = open_venues(&config, credentials, &clock, options.live, &patience)?;
    let sums = startup::check_arithmetic(&config, &parts, held)?;
    for sum in &sums {
        let text = sum.to_string().replace('\n', ";");
        tracing::info!(event_type = "ARITHMETIC", pair = %sum.name, "{text}");
    }
    let options = startup::what_pays(options, &sums, held)?;
    let opened = open_journal(&config, (&database, answers), &parts, &clock)?;
    let db = engine::DbParts { target: database, claim, session };
    let engine = engine::Engine::new(&config, parts, opened, db, output, &clock, options)?;
    engine.run(signals)
}

/// The lock of the accounts that this run trades.
fn claim(config: &Config, credentials: &Credentials, clock: &SystemClock) -> Claim {
    let sections = config.venues.iter().zip(&credentials.venues).zip(&REGISTRY);
    let accounts = sections.filter_map(|((section, secrets), venue)| {
        let account = secrets.get(venue.account_secret).ok()?;
        Some([venue.name, &section.env, account.expose()])
    });
    Claim::new(accounts, &process::own_name(), clock.now())
}

/// Standard output as JSON lines, with every secret of this run taken out.
fn logging(config: &Config, credentials: &Credentials, clock: &SystemClock) -> (Output, impl Sized + use<>) {
    let secrets = credentials.venues.iter().flat_map(|secrets| secrets.0.values());
    let addresses = config.alerts.webhook_url.iter().chain(&config.alerts.dead_man_url);
    let redactor = Redactor::new(secrets.chain(&credentials.database_url).chain(addresses));
    let (output, guard) = Output::stdout(redactor, level(config.log_level));
    // Installed once per process: `run` is the last thing that a process does.
    let _ = telemetry::log::install(output.clone(), Box::new(*clock));
    (output, guard)
}

fn level(level: LogLevel) -> Level {
    match level {
        LogLevel::Error => Level::Error,
        LogLevel::Warn => Level::Warn,
        LogLevel::Info => Level::Info,
        LogLevel::Debug | LogLevel::Trace => Level::Debug,
    }
}

/// What orders leave on (story 7.2); where they travel by a socket there is one.
fn announce_pool(section: &VenueSection) {
    let venue = &REGISTRY[section.id.index()];
    let Pool { connections, keep_warm_s } = section.pool;
    let text = match venue.order_wire {
        "REST" => format!("{connections} kept open over TLS, each used after {keep_warm_s} s of silence"),
        wire => format!("1 kept open over TLS ({wire})"),
    };
    tracing::info!(
        event_type = "POOL",
        exchange = venue.name,
        "[CONFIG] {} order connections: {text}",
        venue.title
    );
}

/// One venue, ready to be wired in.
struct Part {
    feed: Box<dyn Feed>,
    trader: Box<dyn Trader>,
    /// `None` in paper mode.
    presigner: Option<Box<dyn Presigner>>,
    desk: Box<dyn Desk>,
    opening: Opening,
}

/// Asks every venue what must be known before the start.
fn open_venues(
    config: &Config,
    credentials: Credentials,
    clock: &SystemClock,
    live: bool,
    patience: &startup::Patience<'_>,
) -> Result<Vec<Part>, String> {
    let leverage = config.settings.risk.leverage;
    let mut secrets = credentials.venues.into_iter();
    let mut parts = Vec::new();
    for (section, venue) in config.venues.iter().zip(&REGISTRY) {
        let setup = config.setup(section, secrets.next().unwrap_or_default());
        let named = |error: SetupError| format!("{}: {error}", venue.title);
        let feed = (venue.feed)(&setup).map_err(named)?;
        let mut desk = (venue.desk)(&setup).map_err(named)?;
        let trader: Box<dyn Trader> = if live {
            (venue.trader)(&setup).map_err(named)?
        } else {
            Box::new(PaperTrader::new(venue.paper_latency_ms, clock.now().0))
        };
        let presigner = live.then(|| (venue.presigner)(&setup).map_err(named)).transpose()?;
        let wires = wires(section, clock, false)?;
        let mut http = wires.http();
        let ask = || startup::open(section.id, desk.as_mut(), &mut http, clock, live, leverage);
        let mut opening = patience.ask(section.id, ask).map_err(|error| error.to_string())?;
        if live {
            opening = opening.with_key(section.id, desk.key_life());
        }
        parts.push(Part { feed, trader, presigner, desk, opening });
    }
    Ok(parts)
}

fn wires(section: &VenueSection, clock: &SystemClock, md_blocks: bool) -> Result<Wires, String> {
    Wires::new(section, *clock, md_blocks).map_err(|error| error.to_string())
}

/// The journal, recovered and reopened, with the core that came out of it.
struct Opened {
    core: Core,
    /// Of this run, as its journal segment says.
    epoch: u32,
    journal: FileJournal,
    supply: Supply,
    config_hash: u64,
    /// Number of this run's first entry: what is older has been told by the run that wrote it.
    first_seq: u64,
}

/// Number of this run, part of every order's name: after the last one, and not before the seconds since 1970, so that a
/// run whose journal was lost uses no name again.
pub fn next_epoch(last: u32, now: Nanos) -> u32 {
    let seconds = u32::try_from(now.ms() / 1_000).unwrap_or(u32::MAX);
    seconds.max(last.saturating_add(1))
}

/// A lost journal may have belonged to a run of this very second.
fn outlast_this_second(clock: &SystemClock) {
    let second = clock.now().ms() / 1_000;
    while clock.now().ms() / 1_000 == second {
        watch::pause();
    }
}

/// What the run before left, where a pair, a leg or an order may be open: then nobody else looks after it. Of a damaged
/// journal that is not known.
///
/// # Errors
/// It holds a pair that the configuration has not, or not there.
fn held_before(config: &Config, live: bool, now: Nanos) -> Result<Option<Core>, String> {
    let (entries, damaged) = match recover(&config.journal.dir) {
        Ok(recovered) => (recovered.entries, false),
        Err(error) if can_be_salvaged(&error) => (readable(&*config.journal.dir).unwrap_or_default(), true),
        Err(_) => return Ok(None),
    };
    if let Some(misplaced) = misplaced(&config.settings, &entries, live, now) {
        return Err(misplaced.to_string());
    }
    let mut core = Core::new(config.settings.clone());
    entries.iter().for_each(|entry| core.recover(entry));
    Ok((live && (damaged || core.holds_something())).then_some(core))
}

/// The file `HALT` for as long as no journal says that the engine is halted: a death between the old one and the new
/// must not lose the latch.
struct Latch {
    file: HaltFile,
    /// A person's: it stays.
    was_there: bool,
}

impl Latch {
    fn of(dir: &Path) -> Self {
        let file = HaltFile::of(dir);
        Self { was_there: file.is_there(), file }
    }

    fn close(&self) -> io::Result<()> {
        self.file.write("the journal is damaged: compare both venues")
    }

    fn open(&self) -> io::Result<()> {
        if self.was_there { Ok(()) } else { self.file.remove().map(drop) }
    }
}

/// What the journal holds. One that is damaged is set aside: its readable part counts, and the entry that comes with it
/// latches Halted, since the venues have to tell the rest and a person has to look (SAFETY 2.2).
fn read_journal(
    dir: &Path,
    latch: &Latch,
    clock: &SystemClock,
) -> Result<(Recovered, Option<Entry>), String> {
    let error = match recover(dir) {
        Ok(recovered) => return Ok((recovered, None)),
        Err(error) if can_be_salvaged(&error) => error,
        Err(error) => return Err(error.to_string()),
    };
    latch.close().map_err(|error| error.to_string())?;
    let at = clock.now();
    let found = salvage(dir, at).map_err(|error| error.to_string())?;
    tracing::error!(
        event_type = "JOURNAL",
        "{error}: its {} readable entries count, its files are now in {}; the venues tell the rest",
        found.recovered.entries.len(),
        found.aside.display()
    );
    let why = Reason::cut("the journal is damaged: compare both venues");
    Ok((found.recovered, Some(Entry::Mode { mode: Mode::Halted, why, at })))
}

/// What is said when the run before had another configuration: a limit that changed between two runs is the first
/// thing to look at (SAFETY L12).
fn config_change(entries: &[Entry], hash: u64) -> Option<String> {
    let before = entries.iter().rev().find_map(|entry| match entry {
        Entry::Epoch { config_hash, .. } => Some(*config_hash),
        _ => None,
    });
    let before = before.filter(|before| *before != hash)?;
    Some(format!("[CONFIG] Changed since the last run: hash {before:016x} then, {hash:016x} now"))
}

fn open_journal(
    config: &Config,
    (database, answers): (&Target, bool),
    parts: &[Part],
    clock: &SystemClock,
) -> Result<Opened, String> {
    let dir = &config.journal.dir;
    let latch = Latch::of(dir);
    let (recovered, damage) = read_journal(dir, &latch, clock)?;
    let damaged = damage.is_some();
    if let Some(torn) = &recovered.torn {
        let (at, lost) = (torn.at, torn.lost);
        tracing::warn!(event_type = "JOURNAL", "the torn end was cut at byte {at}: {lost} bytes lost");
    }
    let mut core = Core::new(config.settings.clone());
    recovered.entries.iter().for_each(|entry| core.recover(entry));
    if let Some(entry) = damage {
        core.recover(&entry);
    }
    core.end_recovery(clock.now());
    if answers {
        let journal_is_empty = recovered.entries.is_empty();
        restore::compare(&mut core, journal_is_empty, database, config, parts, clock.now());
    }
    let config_hash = u64::from_str_radix(&config.hash, 16).unwrap_or_default();
    if let Some(change) = config_change(&recovered.entries, config_hash) {
        tracing::warn!(event_type = "CONFIG", "{change}");
    }
    if recovered.entries.is_empty() {
        outlast_this_second(clock);
    }
    let now = clock.now();
    let flattened = used(&flatten_dir(dir));
    core.raise_nonce(flattened.nonce);
    let epoch = next_epoch(core.epoch().max(flattened.epoch), now);
    let opening = core.snapshot(epoch, config_hash, now);
    let durability = match config.journal.durability {
        Durability::Process => journal::Durability::Process,
        Durability::Power => journal::Durability::Power,
    };
    let settings = journal::Options { durability, segment_bytes: config.journal.segment_bytes };
    let (journal, supply) =
        FileJournal::start(dir, settings, &recovered, &opening, now).map_err(|error| error.to_string())?;
    if damaged {
        latch.open().map_err(|error| error.to_string())?;
    }
    Ok(Opened { core, epoch, journal, supply, config_hash, first_seq: recovered.next_seq })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_configuration_than_the_last_runs_is_said() {
        let run = |epoch, config_hash| Entry::Epoch { epoch, config_hash, at: Nanos(1) };
        assert_eq!(config_change(&[], 5), None, "the first run");
        assert_eq!(config_change(&[run(1, 9), run(2, 5)], 5), None);
        let said = config_change(&[run(1, 5), run(2, 0xab)], 5).unwrap();
        assert!(said.ends_with("hash 00000000000000ab then, 0000000000000005 now"), "{said}");
    }

    #[test]
    fn no_run_takes_the_number_of_another() {
        let now = Nanos::from_ms(1_800_000_000_999);
        assert_eq!(next_epoch(0, now), 1_800_000_000, "the journal was lost");
        assert_eq!(next_epoch(1_800_000_000, now), 1_800_000_001, "two runs in one second");
        assert_eq!(next_epoch(1_900_000_000, now), 1_900_000_001, "the clock was set back");
    }
}
