//! The configuration: a TOML or YAML file laid over the built-in defaults, and the secrets beside it, parsed once into
//! checked values. Called by the verbs at start; read-only afterwards. It never prints, never exports a secret to the
//! environment and holds no default in code: those stand in `config/bot4.toml`, which is compiled in.

pub mod env_file;
pub mod error;
pub mod machine;
mod node;
mod overlay;
mod reader;
mod settings;
mod upkeep;
pub mod url;
pub mod venues;

use std::fs;
use std::path::Path;

use sha3::{Digest, Sha3_256};

use crate::types::{Settings, VenueId};
use crate::venue::{REGISTRY, Secrets, Setup, Venue};
pub use env_file::{Credentials, SecretError};
pub use error::{ConfigError, Place};
pub use machine::{
    Alerts, Durability, JournalSection, Layout, LogLevel, StoreSection, ThreadSection, Threads, Wait,
};
use reader::{Effective, Section};
pub use url::{BaseUrl, Scheme};
pub use venues::VenueSection;

/// Every key, its default and its prose.
pub const DEFAULTS: &str = include_str!("../../config/bot4.toml");
/// Characters of a line of the log that are shown, `store::line::TEXT_MAX`.
const LOG_LINE: usize = 256;
/// Largest configuration file taken, bytes.
const FILE_MAX: u64 = 1 << 20;

/// Whether orders can reach a venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TradingMode {
    /// Real feeds, simulated fills, no credentials.
    Paper,
    /// Real orders; needs `--live` as well.
    Live,
}

impl TradingMode {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Live => "live",
        }
    }
}

/// A checked configuration. No `Debug`: it holds the addresses of webhooks, which are secrets.
pub struct Config {
    pub mode: TradingMode,
    pub settings: Settings,
    /// In the order of the registry; index = `VenueId`.
    pub venues: Vec<VenueSection>,
    pub store: StoreSection,
    pub journal: JournalSection,
    /// Path of the control socket.
    pub control_socket: std::path::PathBuf,
    pub threads: Threads,
    pub alerts: Alerts,
    pub status_listen: std::net::SocketAddr,
    pub log_level: LogLevel,
    /// Every value in force, one `path = value` a line, sorted, secrets as `(set)`.
    pub effective: String,
    /// First 16 hex digits of the SHA3-256 of `effective`: two engines with the same hash behave the same.
    pub hash: String,
}

/// Reads and checks a file.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let name = path.display().to_string();
    let unreadable = |got: String| ConfigError {
        place: Place::whole(&name),
        what: "configuration file".to_owned(),
        got,
        wanted: "a readable text file of at most 1 MiB".to_owned(),
        mend: "give its path with --config".to_owned(),
    };
    let size = fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if size > FILE_MAX {
        return Err(unreadable(format!("{size} bytes")));
    }
    let text = fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    parse(&name, &text, &REGISTRY)
}

/// Checks the text of a file against a registry of venues. The format follows the name's ending.
pub fn parse(name: &str, text: &str, registry: &[Venue]) -> Result<Config, ConfigError> {
    let defaults = node::parse(error::DEFAULTS_NAME, DEFAULTS)?;
    let merged = overlay::lay(defaults, node::parse(name, text)?, "")?;
    let effective = Effective::default();
    let mut config = read(&Section::root(&merged, &effective), registry)?;
    let mut lines = effective.into_lines();
    lines.sort();
    config.effective = lines.join("\n");
    config.hash = hex::encode(Sha3_256::digest(config.effective.as_bytes())).chars().take(16).collect();
    Ok(config)
}

fn read(root: &Section<'_>, registry: &[Venue]) -> Result<Config, ConfigError> {
    const MODES: [(&str, TradingMode); 2] = [("paper", TradingMode::Paper), ("live", TradingMode::Live)];
    let venues = venues::read(root, registry)?;
    let machine = machine::read(root, registry)?;
    Ok(Config {
        mode: root.word("mode", &MODES)?,
        settings: settings::read(root, registry, venues.iter().map(VenueSection::settings).collect())?,
        venues,
        store: machine.store,
        journal: machine.journal,
        control_socket: machine.control_socket,
        threads: machine.threads,
        alerts: machine.alerts,
        status_listen: machine.status_listen,
        log_level: machine.log_level,
        effective: String::new(),
        hash: String::new(),
    })
}

impl Config {
    /// What the parts of one venue are made from.
    pub fn setup(&self, section: &VenueSection, secrets: Secrets) -> Setup {
        Setup {
            id: section.id,
            env: section.env.clone(),
            rest_url: section.rest_url.as_str().to_owned(),
            ws_url: section.ws_url.as_str().to_owned(),
            order_kind: section.order_kind,
            profile: section.profile,
            pool: section.pool,
            ack_deadline_ms: self.settings.execution.ack_deadline_ms,
            markets: self.markets(section.id),
            secrets,
        }
    }

    /// Whether its orders move real money; the venues are of one kind.
    pub fn trades_real_money(&self) -> bool {
        self.mode == TradingMode::Live && self.venues.iter().any(VenueSection::is_production)
    }

    /// Our pairs on this venue and their symbols there.
    fn markets(&self, venue: VenueId) -> Vec<(crate::types::PairId, String)> {
        let legs = |pair: &crate::types::settings::PairSettings| {
            let at = pair.venues.iter().position(|id| *id == venue)?;
            Some((pair.id, pair.symbols.get(at)?.clone()))
        };
        self.settings.pairs.iter().filter_map(legs).collect()
    }

    /// The database in force: `DATABASE_URL` of the secrets, else `store.url`.
    pub fn database_url<'a>(&'a self, credentials: &'a Credentials) -> &'a str {
        credentials.database_url.as_ref().map_or(&self.store.url, |secret| secret.expose())
    }

    /// The lines that the requirements want at start, word for word (stories 4.1 and 4.2), then every value in force
    /// (SAFETY §7), as many to a line as a line of the log shows whole.
    pub fn announcements(&self) -> Vec<String> {
        let names: Vec<&str> = self.settings.pairs.iter().map(|pair| pair.name.as_str()).collect();
        let mut lines = vec![format!("[CONFIG] Loaded pairs: [{}]", names.join(", "))];
        lines.extend(self.settings.pairs.iter().map(|pair| {
            format!("[CONFIG] Thresholds: entry={}, exit={}", pair.entry_threshold, pair.exit_threshold)
        }));
        lines.push(format!("[CONFIG] Effective values: mode={}, hash={}", self.mode.name(), self.hash));
        lines.extend(bundled(&self.effective));
        lines
    }
}

/// Lines joined until they fill one of the log.
fn bundled(effective: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for value in effective.lines() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 2 + value.chars().count() <= LOG_LINE => {
                line.push_str(", ");
                line.push_str(value);
            }
            _ => lines.push(format!("[CONFIG] {value}")),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::line::TEXT_MAX;
    use crate::sys::fuzz::{fuzz, fuzz_share};

    fn leaves(node: &node::Node, path: &str, out: &mut Vec<String>) {
        match &node.value {
            node::Value::Table(entries) => {
                entries.iter().for_each(|entry| leaves(&entry.node, &overlay::join(path, &entry.key), out));
            }
            node::Value::List(items) if path == "pairs" => {
                items.iter().enumerate().for_each(|(at, item)| leaves(item, &format!("{path}[{at}]"), out));
            }
            _ => out.push(path.to_owned()),
        }
    }

    #[test]
    fn every_key_of_the_defaults_is_read() {
        let config = parse("empty.toml", "", &REGISTRY).map_err(|error| error.to_string()).ok().unwrap();
        let mut keys = Vec::new();
        leaves(&node::parse("bot4.toml", DEFAULTS).unwrap(), "", &mut keys);
        keys.sort();
        let mut noted: Vec<&str> = config
            .effective
            .lines()
            .filter_map(|line| line.split_once(" = ").map(|(path, _)| path))
            .collect();
        noted.sort_unstable();
        assert_eq!(noted, keys);
    }

    #[test]
    fn the_hash_follows_the_values_only() {
        let hash = |text: &str| parse("t.toml", text, &REGISTRY).ok().unwrap().hash;
        assert_eq!(hash(""), hash("# a comment\nmode = \"paper\"\n"));
        assert_ne!(hash(""), hash("[risk]\nleverage = 2\n"));
        assert_eq!(hash("").len(), 16);
    }

    #[test]
    fn announcements_are_the_requirements_texts() {
        let lines = parse("t.toml", "", &REGISTRY).ok().unwrap().announcements();
        assert_eq!(lines[0], "[CONFIG] Loaded pairs: [BTC]");
        assert_eq!(lines[1], "[CONFIG] Thresholds: entry=0.3000%, exit=0.0200%");
        assert!(lines[2].starts_with("[CONFIG] Effective values: mode=paper, hash="), "{}", lines[2]);
    }

    #[test]
    fn every_value_in_force_is_announced_whole_and_addresses_that_are_keys_are_not() {
        let text = "[risk]\nleverage = 2\n[alerts]\nwebhook_url = \"https://a.b/c4n4ry\"\n";
        let config = parse("t.toml", text, &REGISTRY).ok().unwrap();
        let lines = config.announcements();
        let told = lines[3..].iter().flat_map(|line| line.strip_prefix("[CONFIG] ").unwrap().split(", "));
        let wanted = config.effective.lines().flat_map(|line| line.split(", "));
        assert!(told.eq(wanted), "{lines:?}");
        let all = lines.join("\n");
        assert!(all.contains("risk.leverage = 2") && all.contains("risk.max_hold_s = 86400"), "{all}");
        assert!(all.contains("alerts.webhook_url = (set)") && !all.contains("c4n4ry"), "{all}");
        assert_eq!(LOG_LINE, TEXT_MAX);
        let long = |line: &&String| line.chars().count() > TEXT_MAX;
        assert_eq!(lines.iter().find(long), None);
    }

    /// The text alone, without the defaults below it and the checks, which take a hundred times as long.
    fn read_damaged((name, text): (&str, Vec<u8>)) {
        fuzz(&format!("{name}, text"), &[text], |bytes| {
            node::parse(name, &String::from_utf8_lossy(bytes)).is_ok()
        });
    }

    #[test]
    fn no_damaged_toml_panics() {
        read_damaged(damaged()[0].clone());
    }

    #[test]
    fn no_damaged_yaml_panics() {
        read_damaged(damaged()[1].clone());
    }

    #[test]
    fn no_damaged_file_panics() {
        for (name, text) in damaged() {
            fuzz_share(name, 500, &[text], |bytes| {
                parse(name, &String::from_utf8_lossy(bytes), &REGISTRY).is_ok()
            });
        }
    }

    /// One file in both languages.
    fn damaged() -> [(&'static str, Vec<u8>); 2] {
        let toml = b"mode = \"paper\"\n[risk]\nleverage = 2\ncooldown_s = 0.3\n[log]\nlevel = \"trace\"\n";
        let yaml = b"mode: paper\nrisk:\n  leverage: 2\n  cooldown_s: 0.3\nlog:\n  level: trace\n";
        [("bot4.toml", toml.to_vec()), ("bot4.yaml", yaml.to_vec())]
    }
}
