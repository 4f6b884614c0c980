//! Calling a person, as the real binary against both simulated venues and a receiver of its own: what is told, with
//! which fields; what is not told; and that a receiver which is not there stalls nothing.

mod common;

use std::time::Duration;

use bot4_sim::Options;
use bot4_sim::control::VenueName;
use bot4_sim::core::fault::{Class, Rule};
use bot4_sim::tls::Flavour;
use common::Bench;
use common::disk::HangingDisk;
use common::port::Claim;
use common::receiver::{AlertReceiver, SECRET};
use common::trouble::{SOCKETS, reject};
use serde_json::Value;

/// A bench whose alerts go to a receiver.
fn bench() -> (Bench, AlertReceiver, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let receiver = AlertReceiver::start(dir.path());
    let bench = Bench::with(Options::default(), &receiver.config());
    (bench, receiver, dir)
}

fn text<'a>(alert: &'a Value, field: &str) -> &'a str {
    alert[field].as_str().unwrap_or_else(|| panic!("no {field} in {alert}"))
}

#[test]
fn a_lone_leg_is_told_with_all_that_a_person_needs() {
    let (mut bench, mut receiver, _dir) = bench();
    bench.start();
    // The second leg never fills and the first cannot be closed: it stays alone until the faults are over.
    bench.control().fault(VenueName::Paradex, Rule::always(Class::Order, reject("INSUFFICIENT_MARGIN")));
    bench.fault_closing(VenueName::Vest, 1_000, reject("3001"));
    bench.gap_bps(60);
    let alert = receiver.wait_for("LONE_LEG");
    assert_eq!((text(&alert, "pair"), text(&alert, "exchange")), ("BTC", "vest"));
    assert_eq!((text(&alert, "side"), &alert["size"]), ("short", &0.002.into()));
    let usd = alert["usd"].as_f64().unwrap();
    assert!((150.0..170.0).contains(&usd), "{usd}");
    assert!(text(&alert, "doing").contains("closes this one"), "{alert}");
    assert!(text(&alert, "next_command").starts_with("bot4 status"), "{alert}");
    assert!(text(&alert, "text").contains("USD"), "{alert}");
    bench.gap_bps(0);
    bench.control().clear();
    bench.wait_for("MENDED");
    bench.stop();
    bench.assert_home();
    let log = bench.log.iter().map(Value::to_string).collect::<String>();
    assert!(!log.contains(SECRET), "the addresses are secret");
    assert!(log.contains("\"event_type\":\"ALERT\""), "every alert stands in the log too");
}

#[test]
fn a_disk_that_hangs_mutes_no_alert() {
    let dir = tempfile::tempdir().unwrap();
    let mut receiver = AlertReceiver::start(dir.path());
    let watchdog = "[watchdog]\nblocking_heartbeat_max_ms = 5000\n";
    let mut bench = Bench::with(Options::default(), &format!("{}{watchdog}", receiver.config()));
    let disk = HangingDisk::new(dir.path());
    bench.spawn_under(&disk.library, &["--live", "--auto-resume"]);
    bench.wait_for("STARTED");
    disk.hang();
    bench.control().fault(VenueName::Paradex, Rule::always(Class::Order, reject("INSUFFICIENT_MARGIN")));
    bench.fault_closing(VenueName::Vest, 1_000, reject("3001"));
    bench.gap_bps(60);
    receiver.wait_for("LONE_LEG");
    // The database lies on the same disk, and may be told before.
    while !text(&receiver.wait_for("THREAD_BLOCKED"), "text").contains("thread disk has not come back") {}
    bench.gap_bps(0);
    bench.control().clear();
    bench.wait_for("MENDED");
    disk.go_on();
    bench.stop();
    bench.assert_home();
}

#[test]
fn the_latch_is_told_with_its_reason_and_the_command_that_takes_it_away() {
    let (mut bench, mut receiver, _dir) = bench();
    bench.start();
    bench.signal(rustix::process::Signal::USR1);
    let alert = receiver.wait_for("HALTED");
    assert_eq!(text(&alert, "message"), "latched: SIGUSR1");
    assert_eq!(text(&alert, "next_command"), "bot4 unlatch --reason \"<why>\"");
    receiver.wait_for_ping();
    receiver.listen(Duration::from_secs(2));
    assert_eq!(receiver.alerts.len(), 1, "{:?}", receiver.alerts);
    assert_eq!(bench.stop(), 0, "{}", bench.tail());
}

#[test]
fn a_cut_of_any_socket_that_heals_pages_nobody() {
    let (mut bench, mut receiver, _dir) = bench();
    bench.start();
    bench.open_pair();
    for socket in SOCKETS {
        bench.reconnect(socket, None);
    }
    bench.close_pair();
    assert_eq!(bench.stop(), 0, "{}", bench.tail());
    bench.assert_flat_and_settled();
    receiver.wait_for_ping();
    receiver.listen(Duration::from_secs(1));
    assert!(receiver.alerts.is_empty(), "{:?}", receiver.alerts);
}

#[test]
fn a_dead_webhook_is_logged_and_trading_goes_on() {
    let nobody = Claim::new();
    let url = format!("https://localhost:{}/{SECRET}", nobody.port());
    let mut bench = Bench::with(Options::default(), &format!("[alerts]\nwebhook_url = \"{url}\""));
    bench.start();
    bench.signal(rustix::process::Signal::USR1);
    let line = bench.wait_for("WEBHOOK");
    assert!(text(&line, "message").contains("does not take alerts"), "{line}");
    let unlatch = |bench: &Bench, verb: &str, args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_bot4"));
        command.arg(verb).arg("--config").arg(&bench.config).args(args);
        assert!(command.status().unwrap().success());
    };
    unlatch(&bench, "unlatch", &["--reason", "drill"]);
    unlatch(&bench, "resume", &[]);
    bench.open_pair();
    bench.close_pair();
    assert_eq!(bench.stop(), 0, "{}", bench.tail());
    bench.assert_flat_and_settled();
    assert_eq!(bench.count("ALERTS_DROPPED"), 1, "what was never taken is counted at the end");
    let log = bench.log.iter().map(Value::to_string).collect::<String>();
    assert!(!log.contains(SECRET));
}

#[test]
fn a_webhook_with_a_wrong_certificate_hears_nothing() {
    for flavour in
        [Flavour::Expired, Flavour::NotYetValid, Flavour::WrongHost, Flavour::SelfSigned, Flavour::UnknownCa]
    {
        let dir = tempfile::tempdir().unwrap();
        let mut receiver = AlertReceiver::with(dir.path(), flavour);
        let mut bench = Bench::with(Options::default(), &receiver.config());
        bench.start();
        bench.signal(rustix::process::Signal::USR1);
        let line = bench.wait_for("WEBHOOK");
        assert!(text(&line, "message").contains("certificate"), "{flavour:?}: {line}");
        assert_eq!(bench.stop(), 0, "{}", bench.tail());
        receiver.listen(Duration::from_millis(100));
        assert!(receiver.alerts.is_empty() && receiver.pings == 0, "{flavour:?}");
    }
}
