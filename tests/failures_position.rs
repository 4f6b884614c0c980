//! Positions that change at a venue without an order of ours: closed by hand, wholly or in part, on one venue or on
//! both, while the engine runs and while it is down; and a pair opened by hand that a person lets the engine adopt. The
//! real binary on both simulated venues; in the end no leg is alone.

mod common;

use std::fs;
use std::time::Duration;

use bot4::journal::codec::decode;
use bot4::journal::entry::Entry;
use bot4_sim::control::VenueName::{self, Paradex, Vest};
use bot4_sim::core::Side;
use common::Bench;
use common::bench::{Line, PARADEX, VEST};
use common::port::Claim;
use common::trouble::reject;

fn symbol(venue: VenueName) -> &'static str {
    if venue == Vest { VEST } else { PARADEX }
}

/// Signed position at a venue, at 1e-8.
fn position(bench: &Bench, venue: VenueName) -> i64 {
    let truth = bench.control().truth();
    if venue == Vest { truth.vest.position(VEST) } else { truth.paradex.position(PARADEX) }
}

/// A person trades on the venue's own screen.
fn by_hand(bench: &Bench, venue: VenueName, size: i64) {
    let side = if size > 0 { Side::Buy } else { Side::Sell };
    bench.control().trade(venue, symbol(venue), side, size.abs()).expect("the hand's order is taken");
}

/// Takes a part of what is held away by hand.
fn take_away(bench: &Bench, venue: VenueName, percent: i64) {
    by_hand(bench, venue, -position(bench, venue) * percent / 100);
}

fn holding() -> Bench {
    let mut bench = Bench::new();
    bench.start();
    bench.open_pair();
    bench
}

/// The books of the engine must have ended where the venues are.
fn ends_flat(mut bench: Bench) -> Bench {
    bench.wait_truth("both venues flat", |truth| truth.vest.is_flat() && truth.paradex.is_flat());
    bench.gap_bps(0);
    assert_eq!(bench.stop(), 0, "{}", bench.tail());
    bench.assert_home();
    assert_eq!(bench.summary()["positions_left"], 0, "{}", bench.tail());
    bench
}

/// What hedged the lost leg is closed, entries stop, and the operator is told.
fn a_leg_is_lost(venue: VenueName, percent: i64) {
    let mut bench = holding();
    take_away(&bench, venue, percent);
    let line = bench.wait_for("POSITION_ADJUSTED");
    assert_eq!(line["exchange"], common::trouble::name(venue));
    bench
        .wait_truth("no leg alone", |truth| truth.vest.position(VEST) + truth.paradex.position(PARADEX) == 0);
    bench.gap_bps(-20);
    let bench = ends_flat(bench);
    let reduced = |line: &Line| line["event_type"] == "MODE" && line["mode"] == "Reducing";
    assert!(bench.log.iter().any(reduced), "entries are off\n{}", bench.tail());
    let closed =
        bench.log.iter().find(|line| line["event_type"] == "PAIR_CLOSED").expect("the pair is closed");
    // Half of a pair is still a pair, and goes when the gap does.
    assert_eq!(closed["reason"], if percent == 100 { "gone" } else { "threshold" });
}

#[test]
fn a_leg_closed_by_hand_at_vest_takes_the_other_along() {
    a_leg_is_lost(Vest, 100);
}

#[test]
fn a_leg_closed_by_hand_at_paradex_takes_the_other_along() {
    a_leg_is_lost(Paradex, 100);
}

#[test]
fn half_a_leg_closed_by_hand_at_vest_halves_the_pair() {
    a_leg_is_lost(Vest, 50);
}

#[test]
fn half_a_leg_closed_by_hand_at_paradex_halves_the_pair() {
    a_leg_is_lost(Paradex, 50);
}

#[test]
fn both_legs_closed_by_hand_close_the_pair() {
    let mut bench = holding();
    for venue in [Vest, Paradex] {
        take_away(&bench, venue, 100);
    }
    let closed = bench.wait_for("PAIR_CLOSED");
    assert_eq!(closed["reason"], "gone");
    ends_flat(bench);
}

/// Over-closed: our leg is gone, and what is there now is another's, which is never touched.
#[test]
fn a_leg_turned_round_by_hand_leaves_a_foreign_position() {
    let mut bench = holding();
    take_away(&bench, Paradex, 150);
    bench.wait_truth("our other leg closed", |truth| truth.vest.is_flat());
    bench.wait_for("PAIR_CLOSED");
    assert_eq!(bench.count("POSITION_ADJUSTED"), 1, "{}", bench.tail());
    assert_eq!(bench.count("FOREIGN_POSITION"), 1, "{}", bench.tail());
    let foreign = position(&bench, Paradex);
    assert_ne!(foreign, 0);
    assert_eq!(bench.stop(), 0, "{}", bench.tail());
    assert_eq!(position(&bench, Paradex), foreign, "it was touched");
}

#[test]
fn a_leg_closed_by_hand_while_the_engine_is_down_is_found_at_the_start() {
    let mut bench = holding();
    bench.kill();
    take_away(&bench, Vest, 100);
    bench.start();
    bench.wait_for("POSITION_ADJUSTED");
    ends_flat(bench);
}

/// The run before left a leg at Paradex, and Vest does not answer when the next one begins: what is mended at the venue
/// that answers does not wait for the other.
#[test]
fn a_lone_leg_goes_home_at_a_start_though_the_other_venue_is_away() {
    let mut bench = Bench::new();
    bench.start();
    bench.fault_opening(Vest, 1_000, reject("3001"));
    bench.fault_closing(Paradex, 1_000, reject("NOT_ENOUGH_MARGIN"));
    bench.gap_bps(60);
    bench.wait_truth("a leg alone", |truth| !truth.paradex.is_flat());
    bench.saw_within(Duration::from_secs(1), |_| false);
    bench.kill();
    bench.control().clear();
    let good = fs::read_to_string(&bench.config).unwrap();
    let nobody = Claim::new();
    let away =
        good.replace(&bench.sim.endpoints.vest.rest_url, &format!("https://localhost:{}/v2", nobody.port()));
    assert_ne!(good, away);
    fs::write(&bench.config, away).unwrap();
    bench.start();
    bench.wait_truth("the leg gone home", |truth| truth.paradex.is_flat());
    assert!(bench.tail().contains("begins without Vest"), "{}", bench.tail());
    bench.kill();
    fs::write(&bench.config, good).unwrap();
    bench.start();
    ends_flat(bench);
}

#[test]
fn a_pair_opened_by_hand_is_closed_by_the_engine_once_it_is_adopted() {
    let mut bench = Bench::new();
    bench.start();
    by_hand(&bench, Vest, -200_000);
    by_hand(&bench, Paradex, 200_000);
    bench.wait_for("FOREIGN_POSITION");
    let said = bench.command("adopt").arg("BTC").output().expect("the verb runs");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    bench.wait_for("AUTO_EXECUTED");
    bench.close_pair();
    ends_flat(bench);
}

/// The first order intent of the newest journal segment is made unreadable; more stands behind it.
fn damage_the_journal(bench: &Bench) {
    let files = fs::read_dir(bench.dir.path().join("journal")).unwrap().map(|file| file.unwrap().path());
    let used = |path: &std::path::PathBuf| {
        fs::read(path).is_ok_and(|bytes| bytes.get(64..).is_some_and(|frames| decode(frames).is_ok()))
    };
    let newest = files.filter(|path| path.is_file()).filter(used).max().expect("a segment in use");
    let mut bytes = fs::read(&newest).unwrap();
    let mut at = 64;
    loop {
        let (frame, length) = decode(&bytes[at..]).expect("an intent comes first");
        if matches!(frame.entry, Entry::Intent { .. }) {
            bytes[at + length / 2] ^= 0xff;
            return fs::write(&newest, bytes).unwrap();
        }
        at += length;
    }
}

#[test]
fn a_journal_damaged_in_the_middle_begins_halted_and_the_venues_tell_the_rest() {
    let mut bench = holding();
    bench.kill();
    damage_the_journal(&bench);
    fs::remove_file(bench.dir.path().join("bot4.db")).expect("the database is there");
    bench.spawn(&["--live", "--auto-resume"]);
    let halted = bench.wait_for("HALT");
    assert_eq!(halted["why"], "the journal is damaged: compare both venues");
    // Their histories name the orders as ours: the pair is whole again without a person.
    bench.wait_for("AUTO_EXECUTED");
    assert_eq!((bench.count("MEND_ROUTE"), bench.count("FOREIGN_POSITION")), (0, 0));
    bench.close_pair();
    let bench = ends_flat(bench);
    let aside = fs::read_dir(bench.dir.path().join("journal")).unwrap();
    let kept =
        aside.filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().starts_with("damaged-"));
    assert_eq!(kept.count(), 1, "what is damaged is kept for a person to read");
}
