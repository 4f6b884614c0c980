//! The demo end to end, with a small program in the engine's place: how it is called, stopped and judged.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn demo(total: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bot4-sim"));
    let engine = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fake_engine.sh");
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/demo.toml");
    command.args(["demo", "--seed", "9", "--bot4"]).arg(engine).arg("--config").arg(config);
    command.env("FAKE_TOTAL", total).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn last_line(output: &Output) -> Value {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn it_interrupts_the_engine_and_reports_one_object() {
    let output = demo("0").args(["--seconds", "1", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let object = last_line(&output);
    assert_eq!(object["seed"], 9);
    assert_eq!(object["exit_code"], 0);
    assert_eq!(object["pairs_opened"], 1);
    assert_eq!(object["ledger_difference_usd"], 0.0);
    assert!(object["venue_view_us"]["second"]["p99"].is_number());
}

#[test]
fn a_profit_that_the_venues_do_not_know_is_a_failure() {
    let output = demo("0.000001").args(["--seconds", "1", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(last_line(&output)["ledger_difference_usd"], 0.000001);
    let errors = String::from_utf8(output.stderr).unwrap();
    let kept = errors.lines().last().unwrap().rsplit(' ').next().unwrap();
    std::fs::remove_dir_all(kept).unwrap();
}

#[test]
fn an_interrupt_is_passed_on_and_the_summary_still_comes() {
    let mut child = demo("0").args(["--seconds", "600"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    // The first line of progress: the engine runs, and signals are waited for.
    let mut text = lines.find(|line| line.contains("updates")).expect("it shows its progress");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    lines.for_each(|line| text += &format!("\n{line}"));
    assert!(child.wait().unwrap().success(), "{text}");
    assert!(text.contains("all accounts agree"), "{text}");
    assert!(text.contains("spread 0.33"), "{text}");
}

#[test]
fn an_engine_that_refuses_to_start_is_quoted() {
    let mut command = demo("0");
    command.env("FAKE_REFUSAL", "config: no such pair");
    let output = command.args(["--seconds", "30"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("engine: config: no such pair"), "{errors}");
    let kept = errors.lines().last().unwrap().rsplit(' ').next().unwrap();
    std::fs::remove_dir_all(kept).unwrap();
}

#[test]
fn a_missing_engine_is_named() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bot4-sim"));
    let output = command.args(["demo", "--bot4", "/nonexistent/bot4"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("/nonexistent/bot4"));
}
