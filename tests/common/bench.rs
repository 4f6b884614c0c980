//! One engine on one pair of simulated venues.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use bot4_sim::control::{Truth, VenueName};
use bot4_sim::core::fault::{Action, Class, Rule};
use bot4_sim::core::model::Script;
use bot4_sim::options::Profile;
use bot4_sim::{Control, Options, Running, Sim};
use serde_json::Value;

use super::gate::Gate;

/// One log line.
pub type Line = Value;

/// Symbols of the pair that the tests trade.
pub const VEST: &str = "BTC-PERP";
pub const PARADEX: &str = "BTC-USD-PERP";

/// How long a test waits for something that must happen. Generous: the machine is shared, and nothing is timed.
pub fn patience() -> Duration {
    Duration::from_secs(60)
}

/// Both venues, still and without a gap, and room for one engine at a time.
pub struct Bench {
    pub sim: Running,
    pub dir: tempfile::TempDir,
    pub config: PathBuf,
    engine: Option<Engine>,
    /// Lines of all engines of this bench so far.
    pub log: Vec<Line>,
}

struct Engine {
    child: Child,
    lines: Receiver<Line>,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(Options::default(), "")
    }

    /// `extra` is laid over the test's configuration, table by table.
    pub fn with(options: Options, extra: &str) -> Self {
        let bench = Self::free(options, extra);
        bench.gap_bps(0);
        bench
    }

    /// As [`Bench::with`], with prices that move by themselves.
    pub fn free(options: Options, extra: &str) -> Self {
        let options = Options {
            vest_latency: Profile::Fast,
            paradex_latency: Profile::Fast,
            bases: vec!["BTC".to_owned()],
            ..options
        };
        let sim = Sim::start(options).expect("the simulated venues start");
        let dir = tempfile::tempdir().expect("a directory for the run");
        let config = dir.path().join("bot4.toml");
        let text = config_text(&sim, dir.path(), extra);
        fs::write(&config, text).expect("the configuration is written");
        Self { sim, dir, config, engine: None, log: Vec::new() }
    }

    /// Puts gates before both venues. Call it before an engine starts.
    pub fn put_gates(&self) -> [Gate; 2] {
        let ends = &self.sim.endpoints;
        let mut text = fs::read_to_string(&self.config).expect("the configuration is there");
        let gates = [&ends.vest, &ends.paradex].map(|urls| {
            let port = urls.rest_url.split([':', '/']).find_map(|part| part.parse::<u16>().ok());
            let port = port.expect("a URL names its port");
            let gate = Gate::start(port);
            text = text.replace(&format!("localhost:{port}/"), &format!("localhost:{}/", gate.port()));
            gate
        });
        fs::write(&self.config, text).expect("the configuration is written");
        gates
    }

    pub fn control(&self) -> &Control {
        &self.sim.control
    }

    /// Vest dearer than Paradex by this many basis points, both books standing still.
    pub fn gap_bps(&self, bps: i64) {
        let e8 = 100_000_000;
        let script = |basis: i64| Script {
            basis_bps: Some(basis * e8),
            mid: Some(80_000 * e8),
            level_usd: Some(50_000 * e8),
            ..Script::default()
        };
        self.script(VenueName::Vest, script(bps));
        self.script(VenueName::Paradex, script(0));
    }

    pub fn script(&self, venue: VenueName, script: Script) {
        let market = if venue == VenueName::Vest { VEST } else { PARADEX };
        self.control().script(venue, market, script).expect("the market exists");
    }

    /// Lets the next message of a class go wrong.
    pub fn fault_once(&self, venue: VenueName, class: Class, action: Action) {
        self.control().fault(venue, Rule::once(class, action));
    }

    /// Starts the production binary; it must say that it has started.
    pub fn start(&mut self) {
        self.spawn(&["--live", "--auto-resume"]);
        self.wait_for("STARTED");
    }

    /// Starts the production binary with these arguments after `run`.
    pub fn spawn(&mut self, args: &[&str]) {
        let mut command = self.command("run");
        command.args(args);
        self.spawn_as(command);
    }

    /// As [`Bench::spawn`], with this library laid before the system's.
    pub fn spawn_under(&mut self, library: &Path, args: &[&str]) {
        let mut command = self.command("run");
        command.args(args).env("LD_PRELOAD", library);
        self.spawn_as(command);
    }

    /// As [`Bench::spawn`]; the kernel's signal for a file that grows too large is ignored, so that a limit on its
    /// files is to the engine what a full disk is: an error.
    pub fn spawn_ignoring_limits(&mut self, args: &[&str]) {
        let engine = self.command("run");
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(engine.get_program());
        command.args(engine.get_args()).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        self.spawn_as(command);
    }

    fn spawn_as(&mut self, mut command: Command) {
        assert!(self.engine.is_none(), "one engine at a time");
        let mut child = command.spawn().expect("the binary starts");
        let stdout = child.stdout.take().expect("its output is piped");
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let parsed = serde_json::from_str(&line);
                let _ = send.send(parsed.unwrap_or_else(|_| panic!("not one JSON object a line: {line}")));
            }
        });
        self.engine = Some(Engine { child, lines });
    }

    /// A verb of the production binary with this bench's files.
    pub fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bot4"));
        command.arg(verb).arg("--config").arg(&self.config);
        if !matches!(verb, "status" | "pause" | "resume" | "unlatch" | "adopt") {
            command.arg("--env-file").arg(&self.sim.endpoints.env_file);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        command
    }

    /// The next line with this `event_type`, from here on.
    pub fn wait_for(&mut self, event_type: &str) -> Line {
        self.wait_until(event_type, |line| line["event_type"] == event_type)
    }

    /// The next line that fits.
    pub fn wait_until(&mut self, what: &str, fits: impl Fn(&Line) -> bool) -> Line {
        let end = Instant::now() + patience();
        while let Some(line) = self.next_line(end) {
            if fits(&line) {
                return line;
            }
        }
        panic!("never saw {what}; the last lines were:\n{}", self.tail());
    }

    /// Whether a line that fits comes within `limit`; for what may have to be asked for again.
    pub fn saw_within(&mut self, limit: Duration, fits: impl Fn(&Line) -> bool) -> bool {
        let end = Instant::now() + limit;
        while let Some(line) = self.next_line(end) {
            if fits(&line) {
                return true;
            }
        }
        false
    }

    fn next_line(&mut self, end: Instant) -> Option<Line> {
        let engine = self.engine.as_ref().expect("an engine runs");
        let line = engine.lines.recv_timeout(end.saturating_duration_since(Instant::now())).ok()?;
        self.log.push(line.clone());
        Some(line)
    }

    /// Waits until the venues' truth is as wanted.
    pub fn wait_truth(&self, what: &str, fits: impl Fn(&Truth) -> bool) -> Truth {
        let end = Instant::now() + patience();
        loop {
            let truth = self.control().truth();
            if fits(&truth) {
                return truth;
            }
            assert!(Instant::now() < end, "the venues never showed {what}\n{}", self.tail());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Opens one pair by a gap and waits until the engine says so.
    pub fn open_pair(&mut self) -> Line {
        self.gap_bps(60);
        let line = self.wait_for("ENTRY_EXECUTED");
        self.gap_bps(20);
        line
    }

    /// Lets the gap go and waits for the close.
    pub fn close_pair(&mut self) -> Line {
        self.gap_bps(-20);
        self.wait_for("EXIT_EXECUTED")
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let engine = self.engine.as_ref().expect("an engine runs");
        let pid = rustix::process::Pid::from_child(&engine.child);
        rustix::process::kill_process(pid, signal).expect("the engine is there");
    }

    /// Process id of the engine.
    pub fn pid(&self) -> u32 {
        self.engine.as_ref().expect("an engine runs").child.id()
    }

    /// Kills it without a word.
    pub fn kill(&mut self) {
        self.signal(rustix::process::Signal::KILL);
        self.join();
    }

    /// What kills this engine without a word, from whichever thread.
    pub fn killer(&self) -> impl FnOnce() + Send + 'static {
        let engine = self.engine.as_ref().expect("an engine runs");
        let pid = rustix::process::Pid::from_child(&engine.child);
        // It may have died already: until it is waited for, the pid is still its own.
        move || {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }

    /// How it ended, if it does within `limit`.
    pub fn ended_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + limit;
        while self.next_line(end).is_some() {}
        let engine = self.engine.as_mut().expect("an engine runs");
        // Its output ends a moment before it does.
        let status = loop {
            match engine.child.try_wait().expect("it can be waited for") {
                Some(status) => break status,
                None if Instant::now() >= end => return None,
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        self.engine = None;
        Some(status)
    }

    /// SIGINT, all its lines, its exit code.
    pub fn stop(&mut self) -> i32 {
        self.signal(rustix::process::Signal::INT);
        self.join().code().expect("it exits by itself")
    }

    /// Waits for the end.
    pub fn join(&mut self) -> ExitStatus {
        let end = Instant::now() + patience();
        while self.next_line(end).is_some() {}
        let mut engine = self.engine.take().expect("an engine runs");
        engine.child.wait().expect("it can be waited for")
    }

    /// Lines so far with this `event_type`.
    pub fn count(&self, event_type: &str) -> usize {
        self.log.iter().filter(|line| line["event_type"] == event_type).count()
    }

    pub fn summary(&self) -> &Line {
        let last = self.log.iter().rev().find(|line| line["event_type"] == "SUMMARY");
        last.unwrap_or_else(|| panic!("no summary in:\n{}", self.tail()))
    }

    /// The end that every test wants: no leg alone, no order open, none twice.
    pub fn assert_home(&self) {
        let truth = self.control().truth();
        let legs = [truth.vest.position(VEST), truth.paradex.position(PARADEX)];
        assert_eq!(legs[0] + legs[1], 0, "a leg is alone: {legs:?}\n{}", self.tail());
        for venue in [&truth.vest, &truth.paradex] {
            assert!(venue.open_orders.is_empty(), "an order is open: {:?}", venue.open_orders);
            let mut names: Vec<&str> = venue.orders.iter().map(|order| order.client_ref.as_str()).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "an identity was used twice");
        }
    }

    /// The last lines, for a failing test.
    pub fn tail(&self) -> String {
        let from = self.log.len().saturating_sub(40);
        self.log[from..].iter().map(|line| format!("{line}\n")).collect()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(engine) = &mut self.engine {
            let _ = engine.child.kill();
            let _ = engine.child.wait();
        }
    }
}

/// Small cool-downs, and limits that a busy machine would meet (late orders are refused by the venues) out of the way.
fn config_text(sim: &Running, dir: &Path, extra: &str) -> String {
    let ends = &sim.endpoints;
    let path = |name: &str| dir.join(name).display().to_string();
    let base = format!(
        r#"
        mode = "live"
        dedicated_account = true
        [[pairs]]
        name = "BTC"
        vest = "{VEST}"
        paradex = "{PARADEX}"
        size = "0.002"
        entry_threshold = 0.30
        exit_threshold = 0.02
        [signal]
        basis = "raw"
        basis_warmup_s = 0
        [risk]
        cooldown_s = 0.3
        failed_leg_cooldown_s = 0.3
        link_cooldown_s = 0.3
        max_entries_per_hour = 3600
        max_entries_per_day = 10000
        max_order_errors_per_min = 100
        losing_pairs_pause = 100
        [throttle]
        max_entries_per_min = 1000
        max_failed_entries = 1000
        max_unwinds_per_hour = 100000
        [venues.vest]
        env = "sim"
        rest_url = "{}"
        ws_url = "{}"
        ca_file = "{ca}"
        orders_per_s = 50
        [venues.paradex]
        env = "sim"
        rest_url = "{}"
        ws_url = "{}"
        ca_file = "{ca}"
        maintenance_utc = ""
        [store]
        url = "sqlite:{}"
        [maintenance]
        entries_on_after_s = 1
        [stop]
        deadline_s = 55
        [journal]
        dir = "{}"
        free_min_mb = 64
        segment_kb = 1024
        [control]
        socket = "{}"
        "#,
        ends.vest.rest_url,
        ends.vest.ws_url,
        ends.paradex.rest_url,
        ends.paradex.ws_url,
        path("bot4.db"),
        path("journal"),
        path("bot4.sock"),
        ca = ends.ca_file.display(),
    );
    let mut table: toml::Table = base.parse().expect("the base is TOML");
    let extra: toml::Table = extra.parse().expect("the extra is TOML");
    lay(&mut table, extra);
    toml::to_string(&table).expect("TOML prints")
}

fn lay(table: &mut toml::Table, extra: toml::Table) {
    for (key, value) in extra {
        match (table.get_mut(&key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(more)) => lay(inner, more),
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
}
