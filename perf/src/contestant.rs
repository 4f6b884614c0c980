//! Who trades: each is a process of its own that is told where the venues are, and says at its end what it measured of
//! itself.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bot4_sim::Running;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// How long it may take to start and to end.
const PATIENCE: Duration = Duration::from_secs(60);

pub enum Kind {
    Engine {
        name: &'static str,
        binary: PathBuf,
        extra: String,
    },
    /// The engine with an allocator that counts.
    Counted {
        binary: PathBuf,
        extra: String,
    },
    Usual(PathBuf),
    Python(PathBuf),
}

impl Kind {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Engine { name, .. } => name,
            Self::Counted { .. } => "bot4, counting",
            Self::Usual(_) => "usual stack",
            Self::Python(_) => "Python stack",
        }
    }

    const fn is_engine(&self) -> bool {
        matches!(self, Self::Engine { .. } | Self::Counted { .. })
    }
}

/// What a contestant says of itself at its end.
#[derive(Default)]
pub struct Own {
    /// Microseconds from the message to each order, in its own process.
    pub tick_to_wire_us: Value,
    /// Allocations of each thread between the marks.
    pub allocations: Vec<(String, u64)>,
    /// Other fields of the engine's summary.
    pub summary: Value,
}

pub struct Contestant {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    said: Vec<String>,
    is_engine: bool,
    _dir: TempDir,
}

impl Contestant {
    /// Starts it and waits until it is ready.
    pub fn start(kind: &Kind, venues: &Running) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut command = match kind {
            Kind::Engine { binary, extra, .. } | Kind::Counted { binary, extra } => {
                engine(binary, extra, venues, dir.path())?
            }
            Kind::Usual(binary) => {
                let mut command = Command::new(binary);
                command.arg(run_file(venues, dir.path())?);
                command
            }
            Kind::Python(python) => {
                let mut command = Command::new(python);
                command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/python/stack.py"));
                command.arg(run_file(venues, dir.path())?);
                command
            }
        };
        let stderr = if kind.is_engine() { Stdio::null() } else { Stdio::inherit() };
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr).spawn()?;
        let stdout = child.stdout.take().context("it is piped")?;
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _gone = send.send(line);
            }
        });
        let stdin = child.stdin.take();
        let is_engine = kind.is_engine();
        let mut contestant = Self { child, stdin, lines, said: Vec::new(), is_engine, _dir: dir };
        if is_engine {
            contestant.wait_for("\"STARTED\"")?;
        }
        Ok(contestant)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// From here on, or up to here: for whoever counts.
    pub fn mark(&mut self) {
        if let Some(stdin) = &mut self.stdin {
            let _nobody_counts = stdin.write_all(b"mark\n").and_then(|()| stdin.flush());
        }
    }

    /// Everything it has said so far.
    pub fn said(&mut self) -> String {
        self.said.extend(self.lines.try_iter());
        self.said.join("\n")
    }

    fn wait_for(&mut self, text: &str) -> anyhow::Result<()> {
        let end = Instant::now() + PATIENCE;
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            let found = line.contains(text);
            self.said.push(line);
            if found {
                return Ok(());
            }
        }
        bail!("{text} did not come; it said:\n{}", self.said.join("\n"))
    }

    /// Ends it in its own way and reads what it has measured.
    pub fn stop(mut self) -> anyhow::Result<Own> {
        if self.is_engine {
            kill_process(Pid::from_child(&self.child), Signal::INT)?;
        }
        self.stdin = None;
        let end = Instant::now() + PATIENCE;
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.said.push(line);
        }
        let status = self.child.wait()?;
        if !status.success() {
            bail!("{status}; it said:\n{}", self.said.join("\n"));
        }
        let parsed = |line: &String| serde_json::from_str::<Value>(line).ok();
        if !self.is_engine {
            let tick_to_wire_us = self.said.iter().rev().find_map(parsed).unwrap_or_default();
            return Ok(Own { tick_to_wire_us, ..Own::default() });
        }
        let lines: Vec<Value> = self.said.iter().filter_map(parsed).collect();
        let event = |name| lines.iter().find(|line| line["event_type"] == name).cloned().unwrap_or_default();
        let (mut summary, hops) = (event("SUMMARY"), event("LATENCY")["hops_us"].clone());
        summary["hops_us"] = hops;
        let marks: Vec<&Map<String, Value>> =
            lines.iter().filter_map(|line| line["allocations"].as_object()).collect();
        let allocations = match marks[..] {
            [before, after] => difference(before, after),
            _ => Vec::new(),
        };
        Ok(Own { tick_to_wire_us: summary["tick_to_wire_us"].clone(), allocations, summary })
    }
}

impl Drop for Contestant {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn difference(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<(String, u64)> {
    let count = |value: Option<&Value>| value.and_then(Value::as_u64).unwrap_or(0);
    after.iter().map(|(name, all)| (name.clone(), count(Some(all)) - count(before.get(name)))).collect()
}

/// Where the venues are, and the keys of this run, for whoever is not the engine.
fn run_file(venues: &Running, dir: &Path) -> anyhow::Result<PathBuf> {
    let ends = &venues.endpoints;
    let env = fs::read_to_string(&ends.env_file)?;
    let keys: Map<String, Value> = env
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect();
    let urls = |rest: &str, ws: &str| json!({"rest_url": rest, "ws_url": ws});
    let run = json!({
        "vest": urls(&ends.vest.rest_url, &ends.vest.ws_url),
        "paradex": urls(&ends.paradex.rest_url, &ends.paradex.ws_url),
        "ca_file": ends.ca_file, "keys": keys,
    });
    let path = dir.join("run.json");
    fs::write(&path, run.to_string())?;
    Ok(path)
}

fn engine(binary: &Path, extra: &str, venues: &Running, dir: &Path) -> anyhow::Result<Command> {
    let ends = &venues.endpoints;
    let mut table: toml::Table = include_str!("../engine.toml").parse()?;
    let path = |name: &str| dir.join(name).display().to_string();
    let ca = ends.ca_file.display().to_string();
    let laid = [
        ("venues.vest.rest_url", ends.vest.rest_url.clone()),
        ("venues.vest.ws_url", ends.vest.ws_url.clone()),
        ("venues.vest.ca_file", ca.clone()),
        ("venues.paradex.rest_url", ends.paradex.rest_url.clone()),
        ("venues.paradex.ws_url", ends.paradex.ws_url.clone()),
        ("venues.paradex.ca_file", ca),
        ("store.url", format!("sqlite:{}", path("bot4.db"))),
        ("journal.dir", path("journal")),
        ("control.socket", path("bot4.sock")),
    ];
    for (key, value) in laid {
        lay(&mut table, key, value.into())?;
    }
    for line in extra.lines().filter(|line| !line.trim().is_empty()) {
        let (key, value) = line.split_once('=').with_context(|| format!("not key = value: {line}"))?;
        let value: toml::Table = format!("value = {value}").parse()?;
        lay(&mut table, key.trim(), value["value"].clone())?;
    }
    let config = dir.join("bot4.toml");
    fs::write(&config, table.to_string())?;
    let mut command = Command::new(binary);
    command.arg("run").arg("--config").arg(config).arg("--env-file").arg(&ends.env_file);
    command.args(["--live", "--auto-resume", "--flatten-on-stop"]);
    Ok(command)
}

/// Sets `a.b.c`, making tables on the way.
fn lay(table: &mut toml::Table, path: &str, value: toml::Value) -> anyhow::Result<()> {
    match path.split_once('.') {
        None => drop(table.insert(path.to_owned(), value)),
        Some((head, rest)) => {
            let inner = table.entry(head).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            lay(inner.as_table_mut().with_context(|| format!("{head} is no table"))?, rest, value)?;
        }
    }
    Ok(())
}
