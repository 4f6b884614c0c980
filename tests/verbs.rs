//! The operator's verbs, as the real binary against both simulated venues: what they do, what they print for people and
//! for programs, and which mend they name when something is wrong.

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bot4_sim::Options;
use common::port::Claim;
use common::postgres::Server;
use common::{Bench, admin};
use serde_json::Value;

/// How a verb ended and what it printed.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().expect("it exits by itself");
        Self { code, out: text(output.stdout), err: text(output.stderr) }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }
}

/// A verb with this bench's configuration and credentials.
fn verb(bench: &Bench, verb: &str, args: &[&str]) -> Said {
    let env = bench.sim.endpoints.env_file.clone();
    verb_with(&bench.config, &env, verb, args)
}

fn verb_with(config: &Path, env: &Path, verb: &str, args: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bot4"));
    command.arg(verb).arg("--config").arg(config).args(args);
    if !matches!(verb, "status" | "pause" | "resume" | "register-vest") {
        command.arg("--env-file").arg(env);
    }
    Said::of(command.output().unwrap())
}

/// A file only we can read.
fn secret(bench: &Bench, name: &str, text: &str) -> PathBuf {
    let path = bench.dir.path().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path
}

fn env_text(bench: &Bench) -> String {
    fs::read_to_string(&bench.sim.endpoints.env_file).unwrap()
}

/// The row of a check, by name.
fn row<'a>(report: &'a Value, check: &str) -> &'a Value {
    let rows = report["checks"].as_array().unwrap();
    rows.iter().find(|row| row["check"] == check).unwrap_or_else(|| panic!("no {check} in {report:#}"))
}

/// The only check that failed.
fn only_failure(said: &Said) -> (String, String, String) {
    let report = said.json();
    assert_eq!((said.code, &report["passed"]), (1, &Value::Bool(false)), "{report:#}");
    let rows = report["checks"].as_array().unwrap();
    let failed: Vec<&Value> = rows.iter().filter(|row| row["verdict"] == "failed").collect();
    assert_eq!(failed.len(), 1, "{failed:#?}");
    let text = |key: &str| failed[0][key].as_str().unwrap().to_owned();
    (text("check"), text("found"), text("mend"))
}

#[test]
fn check_passes_on_a_good_set_up_and_sends_no_order() {
    let bench = Bench::new();
    let said = verb(&bench, "check", &["--json"]);
    let report = said.json();
    assert_eq!((said.code, &report["passed"]), (0, &Value::Bool(true)), "{report:#}");
    for check in [
        "configuration",
        "credentials",
        "Vest clock",
        "Vest keys",
        "Vest margin",
        "Vest BTC",
        "Paradex keys",
        "Paradex BTC",
        "arithmetic BTC",
        "journal",
        "cores",
        "database",
    ] {
        assert_ne!(row(&report, check)["verdict"], "failed", "{check}");
    }
    let page = verb(&bench, "check", &[]);
    assert_eq!(page.code, 0, "{}", page.err);
    assert!(page.out.starts_with("CHECK"), "{}", page.out);
    assert!(page.out.contains("bps left: the thresholds pay"), "{}", page.out);
    assert!(page.out.ends_with("All is well.\n"), "{}", page.out);
    let truth = bench.control().truth();
    assert!(truth.vest.orders.is_empty() && truth.paradex.orders.is_empty());
}

#[test]
fn check_measures_each_configured_core_and_never_fails_for_it() {
    let core = bot4::sys::cores::allowed()[0];
    let bench = Bench::with(Options::default(), &format!("[threads.spread]\ncore = {core}"));
    let report = verb(&bench, "check", &["--json"]).json();
    for check in ["clock source", "huge pages", "card polling", "clock rate", "sleep states", "interrupts"] {
        assert_ne!(row(&report, check)["verdict"], "failed", "{check}");
    }
    let jitter = row(&report, &format!("jitter of core {core}"));
    assert!(jitter["found"].as_str().unwrap().starts_with("longest gap "), "{jitter}");
    assert_ne!(jitter["verdict"], "failed");
}

#[test]
fn check_names_the_mend_for_a_wrong_key_of_each_venue() {
    let bench = Bench::new();
    let keys = &Options::default().keys;
    let wrong = env_text(&bench).replace(&keys.vest_api_key, "sim-vest-api-key-9999");
    let env = secret(&bench, "vest.env", &wrong);
    let (check, _, mend) = only_failure(&verb_with(&bench.config, &env, "check", &["--json"]));
    assert_eq!(check, "Vest keys");
    assert!(mend.contains("make a new one"), "{mend}");
    let wrong = env_text(&bench).replace(&keys.paradex_subkey, "0x1234567");
    let env = secret(&bench, "paradex.env", &wrong);
    let said = verb_with(&bench.config, &env, "check", &["--json"]);
    let (check, found, mend) = only_failure(&said);
    assert_eq!(check, "Paradex keys");
    assert!(mend.contains("make a new one"), "{mend}");
    assert!(!found.contains("1234567") && !said.err.contains("1234567"), "a key is never shown");
}

#[test]
fn check_names_the_mend_for_a_closed_port() {
    let bench = Bench::new();
    let nobody = Claim::new();
    let good = fs::read_to_string(&bench.config).unwrap();
    let url = &bench.sim.endpoints.vest.rest_url;
    let bad = good.replace(url, &format!("https://localhost:{}/v2", nobody.port()));
    assert_ne!(good, bad);
    fs::write(&bench.config, bad).unwrap();
    let said = verb(&bench, "check", &["--json"]);
    assert_eq!(said.code, 1);
    let report = said.json();
    let clock = row(&report, "Vest clock");
    assert_eq!(clock["verdict"], "failed");
    assert!(clock["found"].as_str().unwrap().contains("refused"), "{clock}");
    assert!(clock["mend"].as_str().unwrap().contains("check the network"), "{clock}");
    assert_eq!(row(&report, "Paradex keys")["verdict"], "ok", "the other venue is checked all the same");
}

#[test]
fn a_loose_file_mode_is_refused_with_its_mend() {
    let bench = Bench::new();
    let env = secret(&bench, "loose.env", &env_text(&bench));
    fs::set_permissions(&env, Permissions::from_mode(0o644)).unwrap();
    let said = verb_with(&bench.config, &env, "check", &["--json"]);
    assert_eq!(said.code, 1);
    let report = said.json();
    let found = row(&report, "credentials")["found"].as_str().unwrap().to_owned();
    assert!(found.contains("mode is 644") && found.contains("chmod 600"), "{found}");
    let run = verb_with(&bench.config, &env, "run", &["--live"]);
    assert_eq!(run.code, 2, "{}", run.err);
    assert!(run.err.contains("chmod 600") && run.err.lines().count() == 1, "{}", run.err);
}

/// A bench whose database is on this server.
fn on(server: &Server) -> Bench {
    let url = server.url("bot4", server.port());
    let extra = format!("[store]\nurl = '{}'\nca_file = '{}'", url.expose(), server.ca().display());
    Bench::with(Options::default(), &extra)
}

#[test]
fn an_unmigrated_database_is_refused_until_migrate_has_been_run() {
    let server = Server::start();
    server.psql("CREATE ROLE bot4 LOGIN");
    let mut bench = on(&server);
    let (check, found, mend) = only_failure(&verb(&bench, "check", &["--json"]));
    assert_eq!(check, "database");
    assert!(found.contains("got version 0") && mend.contains("bot4 migrate"), "{found}: {mend}");
    bench.spawn(&["--live", "--auto-resume"]);
    assert_eq!(bench.join().code(), Some(3), "{}", bench.tail());
    assert_eq!(bench.count("STARTED"), 0);
    let orders = bench.control().truth();
    assert!(orders.vest.orders.is_empty() && orders.paradex.orders.is_empty());
    admin::migrate(&bench, &server.url("postgres", server.port()));
    assert_eq!(verb(&bench, "check", &["--json"]).code, 0);
    server.psql("UPDATE schema_version SET version = 99");
    bench.spawn(&["--live", "--auto-resume"]);
    assert_eq!(bench.join().code(), Some(3), "a newer schema is not ours to write");
}

#[test]
fn register_vest_registers_and_its_lines_trade() {
    let mut bench = Bench::new();
    let key = secret(&bench, "primary.key", &format!("{}\n", Options::default().keys.vest_primary));
    let said = verb(&bench, "register-vest", &["--key-file", key.to_str().unwrap(), "--days", "3"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
    let names: Vec<&str> = said.out.lines().filter_map(|line| line.split('=').next()).collect();
    let expected = ["PRIMARY_ADDRESS", "SIGNING_KEY", "SIGNER_EXPIRY_MS", "API_KEY", "ACCOUNT_GROUP"];
    assert_eq!(names, expected.map(|name| format!("VEST_{name}")));
    let old = env_text(&bench);
    let paradex: Vec<&str> = old.lines().filter(|line| line.starts_with("PARADEX_")).collect();
    let text = format!("{}{}\n", said.out, paradex.join("\n"));
    assert!(!text.contains(&Options::default().keys.vest_api_key), "the venue gave a new key");
    let env = secret(&bench, "new.env", &text);
    let report = verb_with(&bench.config, &env, "check", &["--json"]).json();
    assert_eq!(row(&report, "Vest keys")["verdict"], "ok", "{report:#}");
    fs::write(&bench.sim.endpoints.env_file, text).unwrap();
    bench.start();
    bench.open_pair();
    bench.close_pair();
    assert_eq!(bench.stop(), 0, "{}", bench.tail());
    bench.assert_flat_and_settled();
}

#[test]
fn register_vest_says_what_the_venue_refused_and_prints_nothing() {
    let bench = Bench::new();
    let stranger = format!("0x{}", "7".repeat(64));
    let key = secret(&bench, "primary.key", &stranger);
    let said = verb(&bench, "register-vest", &["--key-file", key.to_str().unwrap()]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.starts_with("bot4: Vest: the venue refused:"), "{}", said.err);
    assert!(!said.err.contains(&"7".repeat(64)), "a key is never shown");
}

#[test]
fn status_shows_the_engine_to_people_and_programs() {
    let mut bench = Bench::new();
    let none = verb(&bench, "status", &[]);
    assert_eq!(none.code, 1);
    assert!(none.err.contains("no engine listens there"), "{}", none.err);
    bench.start();
    bench.open_pair();
    let status = status_until(&bench, |status| {
        status["feeds"].as_array().is_some_and(|feeds| feeds.iter().all(|feed| feed["updates"] != 0))
            && status["spreads"].as_array().is_some_and(|spreads| !spreads.is_empty())
            && status["pairs"].as_array().is_some_and(|pairs| !pairs.is_empty())
    });
    assert_eq!((&status["mode"], &status["pairs_opened"]), (&"Active".into(), &1.into()));
    assert!(status["feeds"][0]["age_ms"].is_u64() && status["feeds"][0]["updates_per_s"].is_u64());
    assert!(status["spreads"][0]["b_percent"].as_f64().unwrap() > 0.0);
    assert_eq!(status["pairs"][0]["first_leg"], -0.002);
    assert_eq!(status["pairs"][0]["unhedged"], 0.0);
    let rates: Vec<&Value> =
        status["venues"].as_array().unwrap().iter().map(|row| &row["placed_last_minute"]).collect();
    assert_eq!(rates, [&Value::from(1), &Value::from(1)]);
    assert!(status["tick_to_wire_us"]["first"]["p50"].as_f64().unwrap() > 0.0);
    let page = verb(&bench, "status", &[]);
    assert!(page.out.starts_with("Active (start) for "), "{}", page.out);
    let titles = ["EXCHANGE", "SPREAD OF", "PAIR HELD", "ORDERS AT", "LATENCY"];
    assert!(titles.iter().all(|title| page.out.contains(title)), "{}", page.out);
    bench.close_pair();
    assert_eq!(bench.stop(), 0);
}

/// Asks until the answer is as wanted: what it shows is collected once a second.
fn status_until(bench: &Bench, fits: impl Fn(&Value) -> bool) -> Value {
    let end = std::time::Instant::now() + common::bench::patience();
    loop {
        let status = verb(bench, "status", &["--json"]).json();
        if fits(&status) {
            return status;
        }
        assert!(std::time::Instant::now() < end, "{status:#}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

#[test]
fn pause_stops_entries_and_resume_lets_them_go_on() {
    let mut bench = Bench::new();
    bench.start();
    let said = verb(&bench, "pause", &[]);
    assert_eq!(
        (said.code, said.out.as_str()),
        (0, "Paused: nothing is opened; exits, stops and hedging go on\n")
    );
    bench.wait_until("the pause", |line| line["event_type"] == "MODE" && line["mode"] == "Paused");
    bench.gap_bps(60);
    bench.wait_for("SPREAD_DETECTED");
    assert_eq!(status_until(&bench, |status| status["mode"] == "Paused")["orders_sent"], 0);
    let said = verb(&bench, "resume", &["--json"]);
    assert_eq!((said.code, said.json()), (0, serde_json::json!({ "mode": "Active" })));
    bench.wait_for("ENTRY_EXECUTED");
    verb(&bench, "pause", &[]);
    bench.wait_until("the pause", |line| line["event_type"] == "MODE" && line["mode"] == "Paused");
    bench.close_pair();
    assert_eq!(bench.stop(), 0);
    bench.assert_flat_and_settled();
}

#[test]
fn positions_and_pnl_show_what_the_store_holds() {
    let mut bench = Bench::new();
    assert_eq!(verb(&bench, "positions", &[]).out, "no pair has been held yet\n");
    assert_eq!(verb(&bench, "pnl", &[]).out, "no pair has been closed yet\n");
    assert_eq!(verb(&bench, "pnl", &["--json"]).json(), serde_json::json!([]));
    bench.start();
    bench.open_pair();
    bench.close_pair();
    bench.open_pair();
    assert_eq!(bench.stop(), 0, "{}", bench.tail());
    let rows = verb(&bench, "positions", &["--json"]).json();
    let status: Vec<&str> =
        rows.as_array().unwrap().iter().map(|row| row["status"].as_str().unwrap()).collect();
    assert_eq!(status, ["open", "closed"], "the newest first");
    assert_eq!((&rows[0]["long_exchange"], &rows[0]["long_qty"]), (&"paradex".into(), &0.002.into()));
    assert_eq!(rows[1]["close_reason"], "threshold");
    let page = verb(&bench, "positions", &[]).out;
    assert!(page.starts_with("PAIR  STATUS  LONG     SHORT  SIZE"), "{page}");
    assert_eq!(page.lines().count(), 3, "{page}");
    let pnl = verb(&bench, "pnl", &["--json"]).json();
    assert_eq!((&pnl[0]["pair"], &pnl[0]["closed"]), (&"BTC".into(), &1.into()));
    assert_eq!(pnl[0]["total"], bench.summary()["pnl_usd"]["total"]);
    assert!(verb(&bench, "pnl", &[]).out.starts_with("PAIR  CLOSED  ENTRY EDGE"));
}
