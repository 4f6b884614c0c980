//! The engine seen from outside its process: who may look into it, where its keys may come from, and what hostile texts
//! of a venue do to the lines that it writes.

mod common;

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bot4_sim::control::VenueName;
use bot4_sim::core::fault::{Action, Class, Rule};
use bot4_sim::options::Options;
use common::Bench;
use common::bench::{PARADEX, VEST};
use common::logged::Logged;
use rustix::process::geteuid;
use serde_json::Value;

/// A user without any right: as root nothing is refused.
const NOBODY: u32 = 65_534;

/// Runs a program as a user without rights; as ourselves when we are one.
fn as_nobody(command: &mut Command) -> &mut Command {
    if geteuid().is_root() { command.uid(NOBODY).gid(NOBODY) } else { command }
}

/// Whether that user may read the memory map of a process of its own.
fn may_look_into(pid: u32) -> bool {
    let mut reader = Command::new("cat");
    reader.arg(format!("/proc/{pid}/environ")).stdout(Stdio::null()).stderr(Stdio::null());
    as_nobody(&mut reader).status().expect("cat is there").success()
}

/// Gives that user a directory with everything that a run needs: binary, keys, CA, configuration.
fn give_away(bench: &Bench) -> Command {
    let dir = bench.dir.path();
    let ends = &bench.sim.endpoints;
    let copy = |from: &Path, name: &str| fs::copy(from, dir.join(name)).expect("it can be copied");
    copy(Path::new(env!("CARGO_BIN_EXE_bot4")), "bot4");
    copy(&ends.env_file, ".env");
    copy(&ends.ca_file, "ca.pem");
    let config = fs::read_to_string(&bench.config).expect("it is there");
    let ca = |path: &Path| path.display().to_string();
    fs::write(&bench.config, config.replace(&ca(&ends.ca_file), &ca(&dir.join("ca.pem"))))
        .expect("it is ours");
    if geteuid().is_root() {
        for entry in fs::read_dir(dir).expect("it is there").flatten() {
            chown(entry.path(), Some(NOBODY), Some(NOBODY)).expect("root may");
        }
        chown(dir, Some(NOBODY), Some(NOBODY)).expect("root may");
    }
    let mut command = Command::new(dir.join("bot4"));
    command.arg("run").arg("--config").arg(&bench.config).arg("--env-file").arg(dir.join(".env"));
    command.args(["--live", "--auto-resume"]).stdin(Stdio::null()).current_dir(dir);
    as_nobody(&mut command);
    command
}

/// Ends with the test.
struct Sleeper(Child);

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn nobody_looks_into_the_process_not_even_its_own_user() {
    let bench = Bench::new();
    let command = give_away(&bench);
    let mut engine = Logged::spawn(&bench, command);
    engine.wait_for("\"STARTED\"", 1);
    // A process as any other is open to its user: the look itself works.
    let other = Sleeper(as_nobody(Command::new("sleep").arg("600")).spawn().expect("sleep is there"));
    assert!(may_look_into(other.0.id()), "the look is blind");
    assert!(!may_look_into(engine.id()), "environment, memory and registers are open to a debugger");
    engine.trade(1);
    assert_eq!(engine.stop(), Some(0), "{}", engine.log());
    bench.assert_home();
}

#[test]
fn keys_come_from_the_credentials_directory_of_systemd() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().expect("a directory");
    let env = fs::read_to_string(&bench.sim.endpoints.env_file).expect("it is there");
    for (name, value) in env.lines().filter_map(|line| line.split_once('=')) {
        fs::write(dir.path().join(name), format!("{value}\n")).expect("it is ours");
    }
    let run = |primary_key: bool| {
        if primary_key {
            fs::write(dir.path().join("VEST_PRIMARY_KEY"), "0x01").expect("it is ours");
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_bot4"));
        command.arg("run").arg("--config").arg(&bench.config).args(["--live", "--auto-resume"]);
        command.env("CREDENTIALS_DIRECTORY", dir.path()).stdin(Stdio::null());
        Logged::spawn(&bench, command)
    };
    let mut engine = run(false);
    engine.wait_for("\"STARTED\"", 1);
    engine.trade(1);
    assert_eq!(engine.stop(), Some(0), "{}", engine.log());
    bench.assert_home();
    let mut engine = run(true);
    assert_eq!(engine.join().code(), Some(2), "a primary key is refused from there too");
}

#[test]
fn without_the_end_of_its_key_a_live_engine_opens_nothing_and_calls_a_person() {
    let bench = Bench::with(Options::default(), "[log]\nlevel = \"debug\"\n");
    let env = fs::read_to_string(&bench.sim.endpoints.env_file).expect("it is there");
    let without: Vec<&str> = env.lines().filter(|line| !line.starts_with("VEST_SIGNER_EXPIRY_MS=")).collect();
    fs::write(&bench.sim.endpoints.env_file, without.join("\n")).expect("it is ours");
    let mut engine = Logged::start(&bench);
    engine.wait_for("put VEST_SIGNER_EXPIRY_MS into .env", 1);
    bench.gap_bps(60);
    engine.wait_for("Entry refused: KeyExpiry", 1);
    assert_eq!(engine.stop(), Some(0), "{}", engine.log());
    assert!(!engine.log().contains("ORDER_PLACED"), "{}", engine.log());
    bench.assert_home();
}

/// How a run ends under a shell's limit on locked memory, and what it says.
fn ends_with_little_memory(bench: &Bench) -> (Option<i32>, String) {
    let run = give_away(bench);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -l 64; exec \"$@\"", "sh"]).arg(run.get_program()).args(run.get_args());
    as_nobody(&mut limited).stdin(Stdio::null()).current_dir(bench.dir.path());
    let mut engine = Logged::spawn(bench, limited);
    let code = engine.join().code();
    (code, fs::read_to_string(bench.dir.path().join("stderr")).expect("it is there"))
}

#[test]
fn real_money_wants_keys_out_of_a_checkout_and_locked_memory() {
    let prod = "[venues]\nvest.env = \"prod\"\nparadex.env = \"prod\"\n";
    let bench = Bench::with(Options::default(), prod);
    let (code, said) = ends_with_little_memory(&bench);
    assert!(code == Some(3) && said.contains("LimitMEMLOCK=infinity"), "{code:?}: {said}");
    fs::create_dir(bench.dir.path().join(".git")).expect("it is ours");
    let (code, said) = ends_with_little_memory(&bench);
    assert!(code == Some(2) && said.contains("git work tree"), "{code:?}: {said}");
}

#[test]
fn a_start_says_every_value_in_force_and_whether_they_are_those_of_the_last_run() {
    let bench = Bench::new();
    let start = || {
        let mut engine = Logged::start(&bench);
        engine.wait_for("\"STARTED\"", 1);
        engine.stop();
        engine.log()
    };
    let changed = "Changed since the last run";
    let first = start();
    assert!(first.contains("risk.leverage = 3") && first.contains("keys.warn_h = 72"), "{first}");
    assert!(!first.contains(changed) && !start().contains(changed));
    let config = fs::read_to_string(&bench.config).expect("it is there");
    let other = config.replace("losing_pairs_pause = 100", "losing_pairs_pause = 99");
    fs::write(&bench.config, other).expect("it is ours");
    let third = start();
    assert!(third.contains("risk.losing_pairs_pause = 99") && third.contains(changed), "{third}");
}

/// No line of the log is longer, bytes.
const LINE_MAX: usize = 4_096;
/// What turns the direction of text around or ends a line.
const TURNS: [char; 7] = ['\u{202e}', '\u{2066}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{feff}', '\u{9b}'];

/// Texts that would break a line, a terminal or a reader, each but the last with a word to find it by.
fn hostile_texts() -> [String; 5] {
    let line = r#"{"level":"INFO","event_type":"EXIT_EXECUTED","message":"all is well"}"#;
    [
        format!("w0rd-a\n{line}\r\n{line}"),
        "w0rd-b\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{0}\u{7f}".to_owned(),
        "w0rd-c\u{202e}\u{2066}\u{200f}\u{2028}\u{2029}\u{feff}".to_owned(),
        r#"w0rd-d"},"level":"INFO\u000a","x":"\ud800"#.to_owned(),
        format!("w0rd-e{}", "x".repeat(1 << 20)),
    ]
}

#[test]
fn hostile_texts_stay_inside_their_one_line() {
    let bench = Bench::new();
    let mut engine = Logged::start(&bench);
    engine.wait_for("\"STARTED\"", 1);
    for (nth, text) in hostile_texts().into_iter().enumerate() {
        for (venue, market, code) in [(VenueName::Vest, VEST, "1001"), (VenueName::Paradex, PARADEX, &text)] {
            let refusal = Action::Reject { code: code.to_owned(), message: text.clone() };
            for class in [Class::Order, Class::Query] {
                bench.control().fault(venue, Rule::once(class, refusal.clone()));
            }
            bench.control().raw(venue, market, text.clone().into_bytes()).expect("the market exists");
        }
        bench.gap_bps(60);
        engine.wait_for("\"ORDER_UNKNOWN\"", 2 * (nth + 1));
        bench.gap_bps(0);
    }
    engine.stop();
    bench.assert_home();
    let log = engine.log();
    for (nth, line) in log.lines().enumerate() {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
        assert!(object.is_object() && line.len() < LINE_MAX, "line {nth}: {line}");
        assert!(!line.contains(|c: char| c.is_control() || TURNS.contains(&c)), "line {nth}: {line}");
        assert_ne!(object["message"], "all is well", "a venue has written a line of its own");
    }
    // The last one is too long for a message, and its connection is given up.
    for told in ["w0rd-a", "w0rd-b", "w0rd-c", "w0rd-d", "a frame of 1048582 bytes"] {
        assert!(log.contains(told), "{told} was not met:\n{log}");
    }
}
