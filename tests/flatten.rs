//! `bot4 flatten`, as the real binary against both simulated venues: with an engine that hangs, a venue that refuses, a
//! venue that cannot be reached, and positions that are not ours.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use bot4_sim::Options;
use bot4_sim::control::{self, Truth, VenueName};
use bot4_sim::core::types::Side;
use common::Bench;
use common::bench::{PARADEX, VEST};
use common::campaign::{Figures, number};
use common::port::Claim;
use common::trouble::reject;
use rustix::process::Signal;

/// How the verb ended, what it printed, and the line on stderr.
struct Said {
    code: i32,
    out: String,
    err: String,
}

fn flatten(bench: &Bench, config: &Path, deadline_s: &str) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bot4"));
    command.arg("flatten").arg("--config").arg(config).args(["--deadline-s", deadline_s]);
    command.arg("--env-file").arg(&bench.sim.endpoints.env_file);
    let begun = Instant::now();
    let Output { status, stdout, stderr } = command.output().unwrap();
    println!("flatten took {} ms", begun.elapsed().as_millis());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
}

/// An engine that holds a pair and no longer answers.
fn hung(extra: &str) -> Bench {
    let mut bench = Bench::with(Options::default(), extra);
    bench.start();
    bench.open_pair();
    bench.signal(Signal::STOP);
    bench
}

fn is_flat(truth: &Truth) -> bool {
    let open = truth.vest.open_orders.len() + truth.paradex.open_orders.len();
    truth.vest.is_flat() && truth.paradex.is_flat() && open == 0
}

fn orders(truth: &Truth) -> usize {
    truth.vest.orders.len() + truth.paradex.orders.len()
}

#[test]
fn a_hung_engine_is_flattened_and_opens_nothing_when_it_comes_back() {
    let mut bench = hung("dedicated_account = false");
    let said = flatten(&bench, &bench.config, "60");
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
    let truth = bench.control().truth();
    assert!(is_flat(&truth), "{}", said.out);
    assert_eq!(orders(&truth), 4, "one close a leg: {}", said.out);
    assert!(said.out.contains("both venues hold nothing of ours"), "{}", said.out);
    assert!(bench.dir.path().join("journal/HALT").exists());
    assert!(bench.dir.path().join("journal/flatten").is_dir(), "its own journal");
    bench.gap_bps(60);
    // Long enough to be noticed as a stall, however fast the command was.
    std::thread::sleep(Duration::from_millis(1_500));
    bench.signal(Signal::CONT);
    let line = bench.wait_until("the halt", |line| line["mode"] == "Halted");
    // It reads first that the file is there, or that orders of its own account are not its own.
    let why = line["why"].as_str().unwrap_or_default();
    assert!(why == "the file HALT is there" || why.contains("bot4 flatten"), "{line}");
    bench.saw_within(Duration::from_secs(5), |_| false);
    assert!(bench.count("STALLED") > 0, "{}", bench.tail());
    let truth = bench.control().truth();
    assert!(is_flat(&truth), "nothing is opened again");
    bench.kill();
    let again = flatten(&bench, &bench.config, "60");
    assert_eq!((again.code, orders(&bench.control().truth())), (0, orders(&truth)), "{}", again.out);
}

/// How long it takes from the command until neither venue holds anything or has an order open, as the venues see it.
/// Nobody has stopped the engine: it goes on writing, and what it does meanwhile is nobody else's.
#[test]
fn beside_an_engine_that_runs_both_venues_end_flat() {
    let mut bench = Bench::with(Options::default(), "dedicated_account = false");
    bench.start();
    bench.open_pair();
    let said = flatten(&bench, &bench.config, "60");
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
    let truth = bench.control().truth();
    assert!(is_flat(&truth), "{}", said.out);
    bench.wait_until("the halt", |line| line["mode"] == "Halted");
    bench.gap_bps(60);
    bench.saw_within(Duration::from_secs(3), |_| false);
    assert!(is_flat(&bench.control().truth()), "nothing is opened again");
}

/// The machine of the engine, and of this command, is three seconds late.
#[test]
fn a_clock_that_is_late_keeps_no_close_away() {
    let bench = hung("dedicated_account = false");
    for venue in [VenueName::Vest, VenueName::Paradex] {
        bench.control().perform(control::Command::Clock { venue, offset_ms: 3_000, drift_ppm: 0 }).unwrap();
    }
    let said = flatten(&bench, &bench.config, "30");
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
    assert!(is_flat(&bench.control().truth()), "{}", said.out);
}

#[test]
fn the_time_from_the_command_to_flat_is_told() {
    let (mut flat, mut ended) = (Figures::default(), Figures::default());
    for _ in 0..number("BOT4_FLATTENS", 1) {
        let bench = hung("dedicated_account = false");
        let mut command = bench.command("flatten");
        let begun = Instant::now();
        let mut child = command.spawn().unwrap();
        bench.wait_truth("nothing held and nothing open", is_flat);
        flat.add(begun.elapsed().as_secs_f64() * 1e3);
        assert_eq!(child.wait().unwrap().code(), Some(0));
        ended.add(begun.elapsed().as_secs_f64() * 1e3);
        assert!(is_flat(&bench.control().truth()));
    }
    println!("ms from the command, engine stopped by SIGSTOP:  runs");
    println!("  until both venues are flat, no order open    {flat}");
    println!("  until the command has verified it and ended  {ended}");
}

#[test]
fn a_venue_that_refuses_the_first_closes_is_asked_again_with_a_wider_band() {
    let bench = hung("");
    bench.fault_closing(VenueName::Vest, 2, reject("3001"));
    let said = flatten(&bench, &bench.config, "60");
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("BTC: Vest refused: 3001"), "{}", said.out);
    assert!(is_flat(&bench.control().truth()), "{}", said.out);
}

#[test]
fn a_venue_that_cannot_be_reached_is_named_and_what_hedges_it_is_kept() {
    let bench = hung("");
    let nobody = Claim::new();
    let good = fs::read_to_string(&bench.config).unwrap();
    let url = &bench.sim.endpoints.vest.rest_url;
    let config = bench.dir.path().join("down.toml");
    fs::write(&config, good.replace(url, &format!("https://localhost:{}/v2", nobody.port()))).unwrap();
    let said = flatten(&bench, &config, "2");
    assert_eq!(said.code, 4, "{}{}", said.out, said.err);
    assert_eq!(said.err.lines().count(), 1, "{}", said.err);
    for part in ["Vest: not read", "BTC: Vest holds -0.002 by the journal", "BTC: Paradex holds 0.002"] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
    assert_eq!(orders(&bench.control().truth()), 2, "one leg is not closed alone");
    let said = flatten(&bench, &bench.config, "60");
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(is_flat(&bench.control().truth()));
}

#[test]
fn what_is_not_ours_stays_unless_the_account_is_dedicated() {
    let bench = hung("dedicated_account = false");
    bench.control().trade(VenueName::Paradex, PARADEX, Side::Buy, 500_000).unwrap();
    let said = flatten(&bench, &bench.config, "60");
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let truth = bench.control().truth();
    assert_eq!((truth.vest.position(VEST), truth.paradex.position(PARADEX)), (0, 500_000), "{}", said.out);
    let config = bench.dir.path().join("dedicated.toml");
    let text = fs::read_to_string(&bench.config).unwrap();
    fs::write(&config, text.replace("dedicated_account = false", "dedicated_account = true")).unwrap();
    let said = flatten(&bench, &config, "60");
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(is_flat(&bench.control().truth()));
    assert!(said.out.contains("both venues hold nothing and no order is open"), "{}", said.out);
}

#[test]
fn a_damaged_journal_says_so_and_a_dedicated_account_is_flattened_all_the_same() {
    let mut bench = hung("dedicated_account = false");
    bench.kill();
    let dir = bench.dir.path().join("journal");
    let files = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    let segment =
        files.filter(|path| path.is_file() && path.metadata().unwrap().len() > 4_096).min().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    bytes[1_000..1_040].fill(0xff);
    fs::write(&segment, bytes).unwrap();
    let said = flatten(&bench, &bench.config, "60");
    assert_eq!(said.code, 1, "{}", said.out);
    assert!(said.err.contains("is damaged") && said.err.contains("dedicated_account = true"), "{}", said.err);
    assert_eq!(orders(&bench.control().truth()), 2, "what is not known to be ours is left alone");
    let config = bench.dir.path().join("dedicated.toml");
    let text = fs::read_to_string(&bench.config).unwrap();
    fs::write(&config, text.replace("dedicated_account = false", "dedicated_account = true")).unwrap();
    let said = flatten(&bench, &config, "60");
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("everything on the accounts is taken"), "{}", said.out);
    assert!(is_flat(&bench.control().truth()));
}

#[test]
fn paper_trading_has_nothing_to_flatten() {
    let bench = Bench::new();
    let config = bench.dir.path().join("paper.toml");
    let text = fs::read_to_string(&bench.config).unwrap();
    fs::write(&config, text.replace("mode = \"live\"", "mode = \"paper\"")).unwrap();
    let said = flatten(&bench, &config, "60");
    assert_eq!(said.code, 2);
    assert!(said.err.contains("paper trading holds nothing"), "{}", said.err);
    assert!(!bench.dir.path().join("journal/HALT").exists());
}
