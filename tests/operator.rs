//! The operator's controls, as the real binary against both simulated venues: the latch by verb, by file and by signal,
//! and what takes it away.

mod common;

use std::fs;
use std::process::Output;

use common::Bench;
use rustix::process::Signal;
use serde_json::Value;

/// Runs a verb of the control socket; its exit code, what it printed and what it said on stderr.
fn verb(bench: &Bench, name: &str, args: &[&str]) -> (i32, String, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_bot4"));
    command.arg(name).arg("--config").arg(&bench.config).args(args);
    said(&command.output().unwrap())
}

fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn wait_mode(bench: &mut Bench, mode: &str) -> Value {
    bench.wait_until(mode, |line| line["mode"] == mode)
}

#[test]
fn halt_latches_over_a_restart_until_unlatch() {
    let mut bench = Bench::new();
    bench.start();
    bench.open_pair();
    let (code, _, err) = verb(&bench, "unlatch", &["--reason", "too early"]);
    assert_eq!(code, 1);
    assert!(err.contains("it is not halted, it is Active"), "{err}");
    let (code, _, err) = verb(&bench, "adopt", &["DOGE"]);
    assert_eq!(code, 1);
    assert!(err.contains("unknown pair DOGE: pairs are BTC"), "{err}");
    let (code, out, _) = verb(&bench, "halt", &[]);
    assert_eq!(code, 0);
    assert!(out.starts_with("Halted: latched; nothing is opened"), "{out}");
    wait_mode(&mut bench, "Halted");
    bench.close_pair();
    assert_eq!(bench.stop(), 0, "{}", bench.tail());
    // Which of the latch and the start is told first is nobody's promise.
    bench.spawn(&["--live", "--auto-resume"]);
    wait_mode(&mut bench, "Halted");
    let (_, page, _) = verb(&bench, "status", &[]);
    assert!(page.starts_with("Halted (operator: halt) for "), "{page}");
    assert!(page.contains("to re-arm: bot4 unlatch --reason"), "{page}");
    assert_eq!(verb(&bench, "resume", &[]).0, 1);
    bench.gap_bps(60);
    bench.wait_for("SPREAD_DETECTED");
    let (code, out, err) = verb(&bench, "unlatch", &["--reason", "looked at both venues"]);
    assert_eq!((code, out.as_str()), (0, "Paused: re-armed; nothing is opened until bot4 resume\n"), "{err}");
    assert_eq!(wait_mode(&mut bench, "Paused")["why"], "unlatched: looked at both venues");
    assert_eq!(bench.control().truth().vest.orders.len(), 2, "nothing was opened meanwhile");
    assert_eq!(verb(&bench, "resume", &[]).0, 0);
    bench.wait_for("ENTRY_EXECUTED");
    bench.close_pair();
    assert_eq!(bench.stop(), 0, "{}", bench.tail());
    bench.assert_home();
}

#[test]
fn halt_with_flatten_closes_the_pair_and_the_engine_runs_on() {
    let mut bench = Bench::new();
    bench.start();
    bench.open_pair();
    let (code, out, err) = verb(&bench, "halt", &["--flatten"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("every pair is being closed"), "{out}");
    bench.wait_for("EXIT_EXECUTED");
    let status: Value = serde_json::from_str(&verb(&bench, "status", &["--json"]).1).unwrap();
    assert_eq!(
        (&status["mode"], &status["mode_why"]),
        (&"Halted".into(), &"operator: halt --flatten".into())
    );
    assert_eq!(bench.stop(), 0, "{}", bench.tail());
    bench.assert_flat_and_settled();
}

#[test]
fn the_file_and_the_signal_halt_and_the_file_does_so_at_start() {
    let mut bench = Bench::new();
    let file = bench.dir.path().join("journal/HALT");
    bench.start();
    fs::write(&file, "a person\n").unwrap();
    assert_eq!(wait_mode(&mut bench, "Halted")["why"], "the file HALT is there");
    assert_eq!(verb(&bench, "unlatch", &["--reason", "drill"]).0, 0);
    wait_mode(&mut bench, "Paused");
    assert!(!file.exists(), "unlatch takes it away");
    bench.signal(Signal::USR1);
    assert_eq!(wait_mode(&mut bench, "Halted")["why"], "SIGUSR1");
    assert_eq!(verb(&bench, "unlatch", &["--reason", "drill"]).0, 0);
    wait_mode(&mut bench, "Paused");
    assert_eq!(bench.stop(), 0, "{}", bench.tail());
    fs::write(&file, "a person\n").unwrap();
    bench.spawn(&["--live", "--auto-resume"]);
    let line = bench.wait_for("HALT");
    assert!(line["message"].as_str().unwrap().contains("starts Halted: "), "{line}");
    assert_eq!(wait_mode(&mut bench, "Halted")["why"], "the file HALT is there");
    assert_eq!(bench.stop(), 0, "{}", bench.tail());
}
