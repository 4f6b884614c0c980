//! The sections about this machine: store, journal, control socket, threads, alerts, status and log.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::error::{ConfigError, shown};
use super::reader::Section;
use crate::types::Secret;
use crate::types::settings::AlertRules;
use crate::venue::Venue;

/// `[store]`. The URL of a database with a password stands in `.env` as `DATABASE_URL`, which goes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSection {
    /// `sqlite:<path>` or `postgres://…` without a password.
    pub url: String,
    pub ca_file: Option<PathBuf>,
}

/// What a record has survived when the first byte of its order leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The death of the process.
    Process,
    /// A power cut.
    Power,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalSection {
    pub dir: PathBuf,
    pub durability: Durability,
    /// Bytes of one file of the journal.
    pub segment_bytes: usize,
}

/// How values become OS threads (DESIGN §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Dedicated; with too few cores for it, its threads sleep when idle.
    Auto,
    /// A thread each.
    Dedicated,
    /// The readers and `spread` on one thread.
    Shared,
    /// The readers, `spread` and `order` on one thread.
    Single,
}

/// What a thread does when there is no work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// What the layout and the number of cores suggest.
    Auto,
    Spin,
    Yield,
    Park,
    /// In its socket's read; readers of market data only.
    Block,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadSection {
    /// `None` = not pinned by the operator.
    pub core: Option<u16>,
    pub wait: Wait,
}

/// `[threads]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threads {
    pub layout: Layout,
    /// Real-time priority of the hot threads; zero = none.
    pub realtime_priority: u8,
    /// By `VenueId`.
    pub md: Vec<ThreadSection>,
    pub spread: ThreadSection,
    pub order: ThreadSection,
    pub signer: ThreadSection,
    pub keeper: ThreadSection,
    pub store: ThreadSection,
    pub db: ThreadSection,
    pub main: ThreadSection,
}

/// `[alerts]`. Webhook addresses are bearer secrets.
pub struct Alerts {
    pub webhook_url: Option<Secret>,
    pub dead_man_url: Option<Secret>,
    /// Extra root for both, for tests and private receivers.
    pub ca_file: Option<PathBuf>,
    pub dead_man_every_s: u32,
    pub rules: AlertRules,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Everything about the machine.
pub struct Machine {
    pub store: StoreSection,
    pub journal: JournalSection,
    pub control_socket: PathBuf,
    pub threads: Threads,
    pub alerts: Alerts,
    /// Loopback address of the status page.
    pub status_listen: SocketAddr,
    pub log_level: LogLevel,
}

/// Reads the sections.
pub fn read(root: &Section<'_>, registry: &[Venue]) -> Result<Machine, ConfigError> {
    Ok(Machine {
        store: store(&root.section("store")?)?,
        journal: journal(&root.section("journal")?)?,
        control_socket: control_socket(&root.section("control")?)?,
        threads: threads(&root.section("threads")?, registry)?,
        alerts: alerts(&root.section("alerts")?)?,
        status_listen: status_listen(&root.section("status")?)?,
        log_level: log_level(&root.section("log")?)?,
    })
}

fn store(s: &Section<'_>) -> Result<StoreSection, ConfigError> {
    const WANTED: &str = "sqlite:<path>, or postgres://user@host/database without a password";
    let text = s.text_wanted("url", WANTED)?;
    let sqlite = text.strip_prefix("sqlite:").is_some_and(|path| !path.is_empty());
    let postgres = ["postgres://", "postgresql://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let user = postgres.and_then(|rest| rest.rsplit_once('@')).map_or("", |(user, _)| user);
    if user.contains(':') || postgres.is_some_and(|rest| rest.contains("password=")) {
        let (got, mend) = ("a URL with a password".to_owned(), "move it to .env as DATABASE_URL");
        return Err(s.refused_because("url", got, WANTED.to_owned(), mend));
    }
    if !sqlite && postgres.is_none() {
        return Err(s.refused("url", "another scheme".to_owned(), WANTED.to_owned()));
    }
    s.note("url", &format!("{text:?}"));
    Ok(StoreSection { url: text.to_owned(), ca_file: s.optional_path("ca_file")? })
}

fn journal(s: &Section<'_>) -> Result<JournalSection, ConfigError> {
    const WORDS: [(&str, Durability); 2] = [("process", Durability::Process), ("power", Durability::Power)];
    Ok(JournalSection {
        dir: s.path("dir")?,
        durability: s.word("durability", &WORDS)?,
        segment_bytes: s.int("segment_kb", 16..=1 << 22)? as usize * 1_024,
    })
}

/// The kernel takes 107 bytes of a socket's path.
fn control_socket(s: &Section<'_>) -> Result<PathBuf, ConfigError> {
    const BYTES_MAX: usize = 107;
    let path = s.path("socket")?;
    let length = path.as_os_str().len();
    if length > BYTES_MAX {
        let wanted = format!("a path of at most {BYTES_MAX} bytes");
        return Err(s.refused("socket", format!("{length} bytes"), wanted));
    }
    Ok(path)
}

/// Below the kernel's own threads, which serve interrupts at 50.
const REALTIME_MAX: u32 = 49;

fn threads(s: &Section<'_>, registry: &[Venue]) -> Result<Threads, ConfigError> {
    const LAYOUTS: [(&str, Layout); 4] = [
        ("auto", Layout::Auto),
        ("dedicated", Layout::Dedicated),
        ("shared", Layout::Shared),
        ("single", Layout::Single),
    ];
    const HOT: [(&str, Wait); 4] =
        [("auto", Wait::Auto), ("spin", Wait::Spin), ("yield", Wait::Yield), ("park", Wait::Park)];
    const COLD: [(&str, Wait); 2] = [("auto", Wait::Auto), ("park", Wait::Park)];
    const READER: [(&str, Wait); 3] = [("auto", Wait::Auto), ("block", Wait::Block), ("spin", Wait::Spin)];
    let md = |venue: &Venue| thread(&s.section(&format!("md_{}", venue.name))?, &READER);
    let hot = |name: &str| thread(&s.section(name)?, &HOT);
    let cold = |name: &str| thread(&s.section(name)?, &COLD);
    Ok(Threads {
        layout: s.word("layout", &LAYOUTS)?,
        realtime_priority: s.int("realtime_priority", 0..=REALTIME_MAX)? as u8,
        md: registry.iter().map(md).collect::<Result<_, _>>()?,
        spread: hot("spread")?,
        order: hot("order")?,
        signer: cold("signer")?,
        keeper: cold("keeper")?,
        store: cold("store")?,
        db: cold("db")?,
        main: cold("main")?,
    })
}

fn thread(s: &Section<'_>, waits: &[(&str, Wait)]) -> Result<ThreadSection, ConfigError> {
    const CORE_MAX: u32 = 1_023;
    let core = if s.is_number("core") {
        Some(s.int("core", 0..=CORE_MAX)? as u16)
    } else {
        s.word("core", &[("auto", ())])?;
        None
    };
    Ok(ThreadSection { core, wait: s.word("wait", waits)? })
}

fn alerts(s: &Section<'_>) -> Result<Alerts, ConfigError> {
    let rules = AlertRules {
        lone_leg_ms: s.int("lone_leg_ms", 200..=60_000)?,
        unknown_ms: s.int("unknown_ms", 1_000..=60_000)?,
        link_down_ms: s.int("link_down_s", 5..=3_600)? * 1_000,
        repeat_ms: s.int("repeat_s", 60..=86_400)? * 1_000,
        summary_minute: s.minute_of_day("daily_summary_utc")?,
    };
    Ok(Alerts {
        webhook_url: s.secret_url("webhook_url")?,
        dead_man_url: s.secret_url("dead_man_url")?,
        ca_file: s.optional_path("ca_file")?,
        dead_man_every_s: s.int("dead_man_every_s", 10..=3_600)?,
        rules,
    })
}

fn status_listen(s: &Section<'_>) -> Result<SocketAddr, ConfigError> {
    const WANTED: &str = "a loopback address and port, like 127.0.0.1:9464";
    let text = s.text_wanted("listen", WANTED)?;
    let address = text.parse::<SocketAddr>().ok().filter(|address| address.ip().is_loopback());
    let address = address.ok_or_else(|| s.refused("listen", shown(text), WANTED.to_owned()))?;
    s.note("listen", &format!("{text:?}"));
    Ok(address)
}

fn log_level(s: &Section<'_>) -> Result<LogLevel, ConfigError> {
    use LogLevel::{Debug, Error, Info, Trace, Warn};
    s.word("level", &[Error, Warn, Info, Debug, Trace].map(|level| (level.name(), level)))
}
