//! What happens to trading when the machine around it fails or the operator errs: database, certificates,
//! configuration, credentials, signals, stdout, threads. The real binary on both simulated venues.

mod common;

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, ChildStdout, Output, Stdio};
use std::time::{Duration, Instant};

use bot4::store::{DbThread, Target};
use bot4::types::Nanos;
use bot4_sim::Options;
use bot4_sim::control::{Truth, VenueName};
use bot4_sim::core::fault::{Action, Class, Rule};
use bot4_sim::tls::Flavour;
use common::Bench;
use common::bench::{PARADEX, VEST, patience};
use common::run::names;
use common::tables::{catch_up, migrated, postgres, rows};
use rustix::process::{Pid, Signal, kill_process};

/// How long the database is away.
const OUTAGE: Duration = Duration::from_secs(30);

fn trades(bench: &mut Bench) {
    bench.open_pair();
    bench.close_pair();
}

fn ends_flat(mut bench: Bench) {
    assert_eq!(bench.stop(), 0, "{}", bench.tail());
    bench.assert_flat_and_settled();
}

/// Runs the binary to its end with these arguments after `run`.
fn output(bench: &Bench, args: &[&str]) -> Output {
    bench.command("run").args(args).stderr(Stdio::piped()).output().expect("the binary starts")
}

/// It must end with this code, one line on stderr that says all of this, and without an order.
fn refused(bench: &Bench, args: &[&str], code: i32, says: &[&str]) {
    let output = output(bench, args);
    let line = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(code), "{line}");
    assert_eq!(line.trim_end().lines().count(), 1, "{line}");
    for text in says {
        assert!(line.contains(text), "{text:?} is not in: {line}");
    }
    assert_no_orders(bench);
}

fn assert_no_orders(bench: &Bench) {
    let truth = bench.control().truth();
    assert!(truth.vest.orders.is_empty() && truth.paradex.orders.is_empty(), "orders were sent");
}

const BAD_CERTIFICATES: [Flavour; 5] =
    [Flavour::Expired, Flavour::NotYetValid, Flavour::WrongHost, Flavour::SelfSigned, Flavour::UnknownCa];

#[test]
fn a_wrong_certificate_of_vest_is_refused_at_start() {
    for vest_tls in BAD_CERTIFICATES {
        let bench = Bench::with(Options { vest_tls, ..Options::default() }, "");
        refused(&bench, &["--live"], 3, &["Vest", "certificate"]);
    }
}

#[test]
fn a_wrong_certificate_of_paradex_is_refused_at_start() {
    for paradex_tls in BAD_CERTIFICATES {
        let bench = Bench::with(Options { paradex_tls, ..Options::default() }, "");
        refused(&bench, &["--live"], 3, &["Paradex", "certificate"]);
    }
}

/// The place of a word in the bench's configuration, as an error names it.
fn place(bench: &Bench, word: &str) -> String {
    let text = fs::read_to_string(&bench.config).expect("the configuration is there");
    let (at, line) =
        text.lines().enumerate().find(|(_, line)| line.contains(word)).expect("the word stands there");
    format!("bot4.toml:{}:{}", at + 1, line.find(word).unwrap_or_default() + 1)
}

#[test]
fn plaintext_urls_are_refused_with_their_place() {
    for (key, url) in [("rest_url", "http://localhost:1/v2"), ("ws_url", "ws://localhost:1/ws-api")] {
        for venue in ["vest", "paradex"] {
            let bench = Bench::with(Options::default(), &format!("[venues.{venue}]\n{key} = \"{url}\""));
            let at = place(&bench, url);
            let line = at.rsplit_once(':').expect("line and column").0;
            refused(&bench, &["--live"], 2, &[line, &format!("venues.{venue}.{key}")]);
        }
    }
}

#[test]
fn an_unknown_key_is_refused_with_its_place() {
    let bench = Bench::with(Options::default(), "[risk]\nmax_depht_share = 0.2");
    let at = place(&bench, "max_depht_share");
    refused(&bench, &["--live"], 2, &[&at, "max_depht_share"]);
}

#[test]
fn credentials_that_others_can_read_are_refused() {
    let bench = Bench::new();
    for mode in [0o644, 0o640, 0o604] {
        fs::set_permissions(&bench.sim.endpoints.env_file, Permissions::from_mode(mode)).expect("it is ours");
        refused(&bench, &["--live"], 2, &["chmod 600", &format!("{mode:o}")]);
    }
}

#[test]
fn a_missing_credential_is_named() {
    let bench = Bench::new();
    let file = &bench.sim.endpoints.env_file;
    let whole = fs::read_to_string(file).expect("it is there");
    for key in [
        "VEST_SIGNING_KEY",
        "VEST_API_KEY",
        "VEST_PRIMARY_ADDRESS",
        "PARADEX_SUBKEY",
        "PARADEX_ACCOUNT_ADDRESS",
    ] {
        let rest: String =
            whole.lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n")).collect();
        fs::write(file, rest).expect("it is ours");
        refused(&bench, &["--live"], 2, &[key, "missing"]);
    }
}

#[test]
fn live_trading_needs_the_word_of_the_command_line() {
    refused(&Bench::new(), &[], 2, &["--live"]);
}

#[test]
fn a_second_instance_is_refused_and_the_first_trades_on() {
    let mut bench = Bench::new();
    bench.start();
    let second = output(&bench, &["--live", "--auto-resume"]);
    let line = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(3), "{line}");
    assert!(line.contains("another instance (process "), "{line}");
    trades(&mut bench);
    ends_flat(bench);
}

#[test]
fn sigterm_ends_as_sigint_does() {
    let mut bench = Bench::new();
    bench.start();
    trades(&mut bench);
    bench.signal(Signal::TERM);
    assert_eq!(bench.join().code(), Some(0), "{}", bench.tail());
    assert!(bench.count("SHUTDOWN") > 0);
    bench.assert_flat_and_settled();
}

#[test]
fn sigterm_keeps_a_hedged_pair_that_the_next_run_closes() {
    let mut bench = Bench::new();
    bench.start();
    bench.open_pair();
    bench.signal(Signal::TERM);
    assert_eq!(bench.join().code(), Some(0), "{}", bench.tail());
    bench.assert_home();
    assert_ne!(bench.control().truth().vest.position(VEST), 0, "a hedged pair is kept");
    bench.start();
    bench.close_pair();
    assert_eq!(bench.stop(), 0, "{}", bench.tail());
    bench.assert_home();
    assert!(bench.control().truth().vest.is_flat());
}

/// L11: the journal names pairs by their places, and what is held must stay where it is.
#[test]
fn a_held_pair_that_the_configuration_has_no_longer_is_refused_by_name() {
    let mut bench = Bench::new();
    bench.start();
    bench.open_pair();
    assert_eq!(bench.stop(), 0, "{}", bench.tail());
    let whole = fs::read_to_string(&bench.config).unwrap();
    let edited = whole.replace("name = \"BTC\"", "name = \"XBT\"");
    fs::write(&bench.config, edited.replace("dedicated_account = true", "dedicated_account = false"))
        .unwrap();
    let wants =
        "[[pairs]] number 1: got XBT (BTC-PERP / BTC-USD-PERP), expected BTC (BTC-PERP / BTC-USD-PERP)";
    for (verb, args, code) in [("run", vec!["--live"], 3), ("flatten", vec![], 1)] {
        let said = bench.command(verb).args(args).stderr(Stdio::piped()).output().unwrap();
        let text = String::from_utf8([said.stdout, said.stderr].concat()).unwrap();
        assert!(text.contains(wants), "{verb}: {text}");
        assert_eq!(said.status.code(), Some(code), "{verb}: {text}");
    }
    assert_ne!(bench.control().truth().vest.position(VEST), 0, "nothing was touched");
    fs::write(&bench.config, whole).unwrap();
    bench.start();
    bench.close_pair();
    assert_eq!(bench.stop(), 0, "{}", bench.tail());
    bench.assert_home();
}

#[test]
fn a_second_sigint_leaves_no_leg_alone_and_no_order_open() {
    let mut bench = Bench::new();
    bench.spawn(&["--live", "--auto-resume", "--flatten-on-stop"]);
    bench.wait_for("STARTED");
    bench.open_pair();
    bench.signal(Signal::INT);
    bench.signal(Signal::INT);
    assert_eq!(bench.join().code(), Some(0), "{}", bench.tail());
    bench.assert_home();
}

#[test]
fn sighup_is_ignored() {
    let mut bench = Bench::new();
    bench.start();
    bench.open_pair();
    bench.signal(Signal::HUP);
    bench.close_pair();
    bench.signal(Signal::HUP);
    trades(&mut bench);
    ends_flat(bench);
}

/// An engine whose stdout the test holds in its own hands.
struct Mute {
    child: Child,
}

impl Mute {
    fn start(bench: &Bench) -> (Self, ChildStdout) {
        let mut command = bench.command("run");
        let mut child = command.args(["--live", "--auto-resume"]).spawn().expect("the binary starts");
        let stdout = child.stdout.take().expect("its output is piped");
        (Self { child }, stdout)
    }

    fn interrupt(&mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::INT).expect("the engine is there");
        let end = Instant::now() + patience();
        loop {
            match self.child.try_wait().expect("it can be waited for") {
                Some(status) => return status.code(),
                None => assert!(Instant::now() < end, "it does not end"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Mute {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One pair opened and closed, seen by the venues alone.
fn trades_unseen(bench: &Bench) {
    let held = |truth: &Truth| [truth.vest.position(VEST), truth.paradex.position(PARADEX)];
    bench.gap_bps(60);
    bench.wait_truth("both legs", |truth| {
        let [vest, paradex] = held(truth);
        vest != 0 && vest + paradex == 0
    });
    bench.gap_bps(-20);
    bench.wait_truth("both legs closed", |truth| held(truth) == [0, 0]);
    bench.gap_bps(0);
}

#[test]
fn trading_goes_on_when_stdout_is_closed() {
    let bench = Bench::with(Options::default(), "[log]\nlevel = \"debug\"");
    let (mut engine, stdout) = Mute::start(&bench);
    let mut lines = BufReader::new(stdout).lines();
    assert!(lines.next().is_some_and(|line| line.is_ok()), "one line is read");
    drop(lines);
    trades_unseen(&bench);
    trades_unseen(&bench);
    assert_eq!(engine.interrupt(), Some(0));
    bench.assert_home();
}

#[test]
fn trading_goes_on_when_nobody_reads_stdout() {
    let bench = Bench::with(Options::default(), "[log]\nlevel = \"debug\"");
    let (mut engine, stdout) = Mute::start(&bench);
    rustix::pipe::fcntl_setpipe_size(&stdout, 4_096).expect("a pipe can be made small");
    trades_unseen(&bench);
    trades_unseen(&bench);
    let waiting = rustix::io::ioctl_fionread(&stdout).expect("a pipe tells how full it is");
    assert!(waiting > 3_000, "the pipe must be full for this to show anything: {waiting} bytes");
    assert_eq!(engine.interrupt(), Some(0));
    bench.assert_home();
    drop(stdout);
}

#[test]
fn paper_trading_needs_no_credentials_and_the_venues_see_nothing_of_it() {
    let mut bench = Bench::with(Options::default(), "mode = \"paper\"");
    fs::remove_file(&bench.sim.endpoints.env_file).expect("it was there");
    // A rule that fires counts: any order, private query or login would be seen.
    for venue in [VenueName::Vest, VenueName::Paradex] {
        for class in [Class::Order, Class::Cancel, Class::Query, Class::Auth] {
            bench.control().fault(venue, Rule::always(class, Action::DropRequest));
        }
    }
    bench.spawn(&[]);
    bench.wait_for("STARTED");
    trades(&mut bench);
    trades(&mut bench);
    assert_eq!(bench.stop(), 0, "{}", bench.tail());
    assert_eq!(bench.summary()["pairs_closed"], 2);
    assert_no_orders(&bench);
    let truth = bench.control().truth();
    assert_eq!((truth.vest.faults_fired, truth.paradex.faults_fired), (0, 0), "a private call was made");
}

fn layout_trades(layout: &str) {
    let mut bench = Bench::with(Options::default(), &format!("[threads]\nlayout = \"{layout}\""));
    bench.start();
    trades(&mut bench);
    trades(&mut bench);
    ends_flat(bench);
}

#[test]
fn the_shared_layout_trades() {
    layout_trades("shared");
}

#[test]
fn the_single_layout_trades() {
    layout_trades("single");
}

#[test]
fn the_dedicated_layout_trades() {
    layout_trades("dedicated");
}

#[test]
fn trading_goes_on_while_postgres_is_away_and_the_rows_are_caught_up_with() {
    let mut server = migrated();
    let (port, ca) = (server.port(), server.ca());
    let store = format!(
        "[store]\nurl = \"postgres://bot4@127.0.0.1:{port}/postgres?sslmode=verify-full\"\nca_file = \"{}\"",
        ca.display()
    );
    let mut bench = Bench::with(Options::default(), &store);
    bench.start();
    trades(&mut bench);
    server.stop();
    let back = Instant::now() + OUTAGE;
    let mut pairs = 1;
    while Instant::now() < back {
        trades(&mut bench);
        pairs += 1;
    }
    server.resume(true);
    trades(&mut bench);
    pairs += 1;
    let end = Instant::now() + patience();
    while server.psql("SELECT count(*) FROM ledger") != pairs.to_string() {
        assert!(Instant::now() < end, "the database never caught up with {pairs} pairs");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(bench.count("STATE_SYNC_FAILED") > 0, "the outage was said");
    assert_eq!(bench.stop(), 0, "{}", bench.tail());
    bench.assert_flat_and_settled();
    let copy = Target::Sqlite(bench.dir.path().join("expected.db"));
    let journal = bench.dir.path().join("journal");
    let target = || Target::Sqlite(bench.dir.path().join("expected.db"));
    catch_up(&mut DbThread::new(journal, target(), names(), Nanos::from_ms(1)), 1);
    assert_eq!(rows(&postgres(&server, "bot4")), rows(&copy));
}
