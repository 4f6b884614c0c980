//! `bot4-sim demo`: both venues, the production binary trading on them, and a closing summary.
//!
//! Called by `main`. It starts the engine as its own process with the run's addresses and keys, follows
//! its log, interrupts it when the time is over, and compares its profit with the venues' balances. It
//! reaches into the engine by nothing but its command line, its log and its exit code.

use std::io::{IsTerminal, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::soak::Soak;
pub use crate::summary::Outcome;
use crate::{Options, Running, Sim};

/// The engine may take so long to come to rest after the interrupt; then it is killed.
const REST_MAX: Duration = Duration::from_secs(90);
/// Refresh of the progress line on a terminal; elsewhere a line comes every so many refreshes.
const REFRESH: Duration = Duration::from_millis(250);
const REFRESHES_PER_LINE: u32 = 20;
/// Lines of the engine's standard error that are shown when something went wrong.
const STDERR_LINES: usize = 12;

/// What `demo` was asked to do.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    pub seconds: u64,
    /// `None` = `bot4` beside the running executable.
    pub bot4: Option<PathBuf>,
    pub config: PathBuf,
    pub json: bool,
    /// Watch the engine's memory, and check afterwards that nothing was lost.
    pub soak: bool,
    pub sim: Options,
}

/// What the engine's log has told so far.
#[derive(Debug, Default)]
struct Progress {
    opportunities: u64,
    opened: u64,
    closed: u64,
    spread: Option<String>,
    summary: Map<String, Value>,
    soak: Option<Soak>,
}

/// Runs the demo to its end and prints the summary. True when all is as it should be.
pub fn run(options: DemoOptions) -> anyhow::Result<bool> {
    let engine = engine_path(&options)?;
    let mut running = Sim::start(options.sim.clone()).context("cannot start the venues")?;
    let config = write_config(&options.config, &running)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (exit, mut progress) = runtime.block_on(trade(&engine, &config, &options, &running))?;
    let (truth, stats) = (running.control.truth(), running.control.stats());
    let summary = std::mem::take(&mut progress.summary);
    let outcome = Outcome::new(options.sim.seed, exit, summary, &truth, stats);
    match options.json {
        true => println!("{}", outcome.json()),
        false => println!("{}", outcome.text()),
    }
    let mut good = outcome.is_good();
    if let Some(soak) = &progress.soak {
        let verdict = soak.verdict(&truth, &running.state_dir.join("bot4.db"))?;
        tell(&verdict.lines.join("\n"), options.json);
        good &= verdict.good;
    }
    if !good {
        running.keep_files();
        explain(&running.state_dir);
    }
    Ok(good)
}

/// Waits for SIGINT or SIGTERM.
pub async fn interrupted() -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

fn engine_path(options: &DemoOptions) -> anyhow::Result<PathBuf> {
    let path = match &options.bot4 {
        Some(path) => path.clone(),
        None => std::env::current_exe().context("where is this executable?")?.with_file_name("bot4"),
    };
    if !path.is_file() {
        bail!("no engine at {}: build it, or name it with --bot4", path.display());
    }
    Ok(path)
}

/// The given configuration with the run's addresses, paths and mode laid over it.
fn write_config(base: &Path, running: &Running) -> anyhow::Result<PathBuf> {
    let text = std::fs::read_to_string(base).with_context(|| format!("cannot read {}", base.display()))?;
    let mut config: toml::Table = text.parse().with_context(|| format!("{} is no TOML", base.display()))?;
    let (ends, dir) = (&running.endpoints, &running.state_dir);
    let path = |name: &str| dir.join(name).display().to_string();
    config.insert("mode".into(), "live".into());
    for (venue, urls) in [("vest", &ends.vest), ("paradex", &ends.paradex)] {
        let ca_file = ends.ca_file.display().to_string();
        for (key, value) in
            [("env", "sim"), ("rest_url", &urls.rest_url), ("ws_url", &urls.ws_url), ("ca_file", &ca_file)]
        {
            lay(&mut config, &["venues", venue, key], value)?;
        }
    }
    lay(&mut config, &["store", "url"], &format!("sqlite:{}", path("bot4.db")))?;
    lay(&mut config, &["journal", "dir"], &path("journal"))?;
    lay(&mut config, &["control", "socket"], &path("bot4.sock"))?;
    let target = dir.join("demo.toml");
    std::fs::write(&target, toml::to_string(&config)?).context("cannot write the run's configuration")?;
    Ok(target)
}

/// Sets a text deep inside a table, making the tables on the way.
fn lay(table: &mut toml::Table, path: &[&str], value: &str) -> anyhow::Result<()> {
    match path {
        [] => bail!("a key needs a name"),
        [key] => {
            table.insert((*key).to_owned(), value.into());
            Ok(())
        }
        [key, rest @ ..] => {
            let inner = table.entry(*key).or_insert_with(|| toml::Table::new().into());
            lay(inner.as_table_mut().with_context(|| format!("{key} must be a table"))?, rest, value)
        }
    }
}

/// Lets the engine trade, stops it, and returns its exit code and what it told.
async fn trade(
    engine: &Path,
    config: &Path,
    options: &DemoOptions,
    running: &Running,
) -> anyhow::Result<(Option<i32>, Progress)> {
    let (mut child, stdout) = spawn(engine, config, running)?;
    let process = child.id().unwrap_or_default();
    let mut progress = Progress { soak: options.soak.then(Soak::default), ..Progress::default() };
    let mut screen = Screen::new(options.json);
    let started = Instant::now();
    let time = Duration::from_secs(options.seconds);
    let mut log = std::fs::File::create(running.state_dir.join("engine.jsonl"))?;
    follow(&mut child, stdout, time, |line| match line {
        Some(line) => {
            progress.read(line);
            // The copy is for people who look for an error later; the demo does not depend on it.
            let _ = writeln!(log, "{line}");
        }
        None => {
            if let Some(line) = progress.soak.as_mut().and_then(|soak| soak.look(process, started.elapsed()))
            {
                screen.print(&line);
            }
            screen.refresh(&progress, running, started);
        }
    })
    .await?;
    screen.show(&progress, running, started);
    screen.end();
    // The log has ended; an engine that closed it early still gets its time, and no more.
    let exit = tokio::time::timeout(REST_MAX, child.wait()).await;
    if exit.is_err() {
        child.start_kill()?;
    }
    Ok((exit.ok().transpose()?.and_then(|status| status.code()), progress))
}

/// Hands every line of the log to `tell`, and `None` now and then, until the log ends. Interrupts the
/// engine when its time is over or a signal comes, and kills it when it does not come to rest.
async fn follow(
    child: &mut Child,
    stdout: ChildStdout,
    time: Duration,
    mut tell: impl FnMut(Option<&str>),
) -> anyhow::Result<()> {
    let mut lines = BufReader::new(stdout).lines();
    let mut ticks = tokio::time::interval(REFRESH);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut deadline = Box::pin(tokio::time::sleep(time));
    let mut stopping = false;
    loop {
        let over = tokio::select! {
            line = lines.next_line() => match line? {
                Some(line) => {
                    tell(Some(&line));
                    continue;
                }
                None => return Ok(()),
            },
            _ = ticks.tick() => {
                tell(None);
                continue;
            }
            _ = interrupt.recv() => false,
            _ = terminate.recv() => false,
            () = &mut deadline => true,
        };
        if over && stopping {
            child.start_kill()?;
            return Ok(());
        }
        pass_interrupt(child);
        if !stopping {
            stopping = true;
            deadline.as_mut().reset(tokio::time::Instant::now() + REST_MAX);
        }
    }
}

/// The engine gets a process group of its own, so that Ctrl-C reaches it once, through this process.
fn spawn(engine: &Path, config: &Path, running: &Running) -> anyhow::Result<(Child, ChildStdout)> {
    let errors = std::fs::File::create(running.state_dir.join("engine.stderr"))?;
    let mut command = std::process::Command::new(engine);
    command.arg("run").arg("--config").arg(config).arg("--env-file").arg(&running.endpoints.env_file);
    command.args(["--live", "--auto-resume", "--flatten-on-stop"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).process_group(0);
    let spawned = Command::from(command).kill_on_drop(true).spawn();
    let mut child = spawned.with_context(|| format!("cannot start {}", engine.display()))?;
    let stdout = child.stdout.take().context("the engine has no output")?;
    Ok((child, stdout))
}

/// Interrupts the engine; one that is already gone needs no signal.
fn pass_interrupt(child: &Child) {
    if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id as i32)) {
        let _ = kill_process(pid, Signal::INT);
    }
}

impl Progress {
    /// Takes in one line of the log; what is no JSON object is not for us.
    fn read(&mut self, line: &str) {
        if let Some(soak) = &mut self.soak {
            soak.read(line);
        }
        let Ok(Value::Object(event)) = serde_json::from_str(line) else {
            return;
        };
        match event.get("event_type").and_then(Value::as_str) {
            Some("SPREAD_DETECTED") => {
                self.opportunities += 1;
                self.spread = event.get("spread").map(|v| v.as_str().map_or(v.to_string(), str::to_owned));
            }
            Some("ENTRY_EXECUTED") => self.opened += 1,
            Some("EXIT_EXECUTED") => self.closed += 1,
            Some("SUMMARY") => self.summary.extend(event),
            Some("LATENCY") => {
                let told = ["hops_us", "worst_orders"].map(str::to_owned).into_iter();
                self.summary
                    .extend(told.filter_map(|field| Some((field.clone(), event.get(&field)?.clone()))));
            }
            _ => {}
        }
    }
}

/// Live progress: one refreshed line on a terminal, a line now and then elsewhere.
struct Screen {
    terminal: bool,
    json: bool,
    refreshes: u32,
}

impl Screen {
    fn new(json: bool) -> Self {
        Self { terminal: std::io::stdout().is_terminal() && !json, json, refreshes: 0 }
    }

    fn refresh(&mut self, progress: &Progress, running: &Running, started: Instant) {
        self.refreshes += 1;
        if self.terminal || self.refreshes.is_multiple_of(REFRESHES_PER_LINE) {
            self.show(progress, running, started);
        }
    }

    fn show(&mut self, progress: &Progress, running: &Running, started: Instant) {
        let stats = running.control.stats();
        let line = format!(
            "{:>4} s  updates {}  found {}  opened {}  closed {}  orders {}  spread {}",
            started.elapsed().as_secs(),
            stats.updates_sent.values().sum::<u64>(),
            progress.opportunities,
            progress.opened,
            progress.closed,
            stats.orders_received.values().sum::<u64>(),
            progress.spread.as_deref().unwrap_or("-"),
        );
        self.print(&line);
    }

    /// A closed output is no reason to stop the demo.
    fn print(&mut self, line: &str) {
        let _ = match (self.terminal, self.json) {
            (true, _) => {
                write!(std::io::stdout(), "\r\x1b[2K{line}").and_then(|()| std::io::stdout().flush())
            }
            (false, true) => writeln!(std::io::stderr(), "{line}"),
            (false, false) => writeln!(std::io::stdout(), "{line}"),
        };
    }

    fn end(&mut self) {
        if self.terminal {
            let _ = writeln!(std::io::stdout());
        }
    }
}

/// Shows the end of what the engine wrote to its standard error, and where the rest is.
fn explain(dir: &Path) {
    let text = std::fs::read_to_string(dir.join("engine.stderr")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    for line in lines.iter().skip(lines.len().saturating_sub(STDERR_LINES)) {
        eprintln!("engine: {line}");
    }
    eprintln!("the engine's log and configuration are in {}", dir.display());
}

/// Text for people: beside the last line of standard output, which with `--json` belongs to a program.
fn tell(text: &str, json: bool) {
    match json {
        true => eprintln!("{text}"),
        false => println!("{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_followed() {
        let mut progress = Progress::default();
        for line in [
            r#"{"event_type":"SPREAD_DETECTED","spread":0.31}"#,
            r#"{"event_type":"ENTRY_EXECUTED"}"#,
            "not json",
            r#"{"event_type":"EXIT_EXECUTED"}"#,
            r#"{"event_type":"LATENCY","level":"INFO","hops_us":{"first":1},"worst_orders":[]}"#,
            r#"{"event_type":"SUMMARY","updates":12}"#,
        ] {
            progress.read(line);
        }
        assert_eq!((progress.opportunities, progress.opened, progress.closed), (1, 1, 1));
        assert_eq!(progress.spread.as_deref(), Some("0.31"));
        assert_eq!(
            (&progress.summary["updates"], &progress.summary["hops_us"]["first"]),
            (&12.into(), &1.into())
        );
    }

    #[test]
    fn values_are_laid_over_a_configuration() {
        let mut config: toml::Table =
            "mode = \"paper\"\n[venues.vest]\norder_kind = \"fok\"\n".parse().unwrap();
        lay(&mut config, &["venues", "vest", "rest_url"], "https://x").unwrap();
        lay(&mut config, &["store", "url"], "sqlite:a").unwrap();
        assert_eq!(config["venues"]["vest"]["order_kind"].as_str(), Some("fok"));
        assert_eq!(config["venues"]["vest"]["rest_url"].as_str(), Some("https://x"));
        assert_eq!(config["store"]["url"].as_str(), Some("sqlite:a"));
        assert!(lay(&mut config, &["mode", "x"], "y").is_err());
    }
}
