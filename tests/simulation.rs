//! What every commit runs of the deterministic simulation (SAFETY §4.1): a calm hour, seeds with every fault, deaths
//! and recoveries, the same seed twice, seeds that once found something, and deliberate mistakes that must be found.
//! Built optimized and with the feature `planted`, by `scripts/test.sh`. More of each, and deaths at every effect, are
//! run by `scripts/campaign.sh`; what those still find stands in README, "What is not covered".

#[allow(dead_code, reason = "the campaign uses the rest")]
#[path = "simulation/batch.rs"]
mod batch;
#[path = "simulation/mod.rs"]
mod simulation;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use simulation::coverage::{By, TABLE, Tags, is_death, is_power};
use simulation::options::Options;
use simulation::planted::MISTAKES;
use simulation::simulate::simulate;

/// Threads of a batch; the runner starts one batch at a time.
fn jobs() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// A count that the environment may raise.
fn count(name: &str, or: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or)
}

#[test]
fn an_hour_without_faults_trades_and_pages_nobody() {
    let outcome = simulate(&Options::calm(7, 3_600));
    assert_eq!(outcome.violation, None, "{}", outcome.tail);
    assert!(outcome.pairs_closed >= 10, "{outcome:?}");
    let paged = outcome.alerts.iter().filter(|(kind, _)| *kind != "DAILY_SUMMARY");
    assert_eq!(paged.count(), 0, "{:?}", outcome.alerts);
}

/// What a network does every day: nobody is called for it, unless a leg truly is alone.
#[test]
fn a_lost_packet_pages_nobody() {
    assert!(batch::packets(1, count("BOT4_SIM_PACKET_HOURS", 20), 3_600, jobs()));
}

/// Hours of trading, each with a random subset of all faults.
#[test]
fn with_all_faults_no_promise_is_broken_and_all_comes_home() {
    assert!(batch::swarm(1, count("BOT4_SIM_SEEDS", 500), u64::MAX, 3_600, jobs()));
}

/// What a power cut takes from the journal is found in the histories, or nothing was there.
#[test]
fn the_power_fails_again_and_again_and_no_leg_stays_alone() {
    assert!(batch::power(1, count("BOT4_SIM_POWER_HOURS", 100), 3_600, jobs()));
}

#[test]
fn the_engine_dies_again_and_again_and_always_comes_home() {
    assert!(batch::storm(1, count("BOT4_SIM_CRASHES", 10_000), u64::MAX, jobs()));
}

/// A campaign fails for a row that it is for and has not reached: a second in which the power never failed is no proof.
#[test]
fn what_was_never_reached_is_not_shown() {
    let mut tags = Tags::default();
    let ours = |row: &&(&'static str, By, &str)| matches!(row.1, By::Simulation);
    TABLE.iter().filter(ours).for_each(|row| tags.hit(row.0));
    assert!(tags.missing(|_| true).is_empty());
    for (row, is_meant) in [("K2", is_power as fn(&str) -> bool), ("K22", is_death), ("L16", is_death)] {
        let mut without = tags.clone();
        without.0.remove(row);
        assert_eq!(without.missing(is_meant), [row]);
    }
    assert_eq!(simulate(&Options::power(1, 1)).violation, None);
    assert!(!batch::power(1, 1, 1, 1));
}

#[test]
fn the_same_seed_does_the_same() {
    assert!(batch::twice(1, count("BOT4_SIM_PAIRS", 20), 900, jobs()));
}

/// Seeds that once found something, one a line: kind, seed, virtual seconds, and a sentence.
#[test]
fn seeds_that_found_something_find_nothing_any_more() {
    let lines = include_str!("simulation/seeds.txt").lines().filter(|line| !line.starts_with('#'));
    let lines: Vec<&str> = lines.collect();
    let one = |nth: u64| {
        let line = lines[nth as usize];
        let words: Vec<&str> = line.split_whitespace().collect();
        let [kind, seed, seconds, ..] = words[..] else { panic!("not a seed: {line}") };
        let make = match kind {
            "swarm" => Options::swarm,
            "storm" => Options::storm,
            "busy" => Options::busy,
            "power" => Options::power,
            other => panic!("no such kind: {other}"),
        };
        let outcome = simulate(&make(seed.parse().unwrap(), seconds.parse().unwrap()));
        assert_eq!(outcome.violation, None, "{line}\n{}", outcome.tail);
    };
    batch::each(0, jobs(), |nth| nth < lines.len() as u64, one);
}

/// A row that the simulation does not count names what shows it instead.
#[test]
fn every_other_row_of_the_catalogue_names_a_test_that_is_there() {
    for (tag, by, _) in TABLE {
        let (By::Process(proof) | By::Ci(proof)) = by else { continue };
        let (file, test) = proof.split_once("::").unwrap();
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        assert!(text.contains(&format!("fn {test}()")), "{tag}: {proof}");
    }
}

/// Every mistake of the list is planted in exactly one place or named by all of its places, and none is planted that
/// the list does not know.
#[test]
fn the_list_of_mistakes_is_what_is_planted() {
    let mut planted = BTreeSet::new();
    find(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut planted);
    let listed: BTreeSet<String> = MISTAKES.iter().map(|row| row.0.to_owned()).collect();
    assert_eq!(planted, listed);
    assert!(listed.len() >= 40, "{} mistakes", listed.len());
}

/// Mistakes that a few seeds are enough for; all of them are searched for by `scripts/campaign.sh planted`.
const FOUND_SOON: [&str; 13] = [
    "not_found_is_dead",
    "timeout_is_failure",
    "window_not_waited_for",
    "position_not_read",
    "intent_after_send",
    "bust_ignored",
    "lone_leg_ignored",
    "close_not_reduce_only",
    "enters_in_every_mode",
    "recovery_skips_fills",
    "failed_query_is_flat",
    "exit_by_configured_size",
    "gross_cap_off",
];

#[test]
fn deliberate_mistakes_are_found() {
    assert!(FOUND_SOON.iter().all(|name| MISTAKES.iter().any(|row| row.0 == *name)));
    assert!(batch::planted(Some(&FOUND_SOON.join(",")), usize::MAX, 8, jobs()));
}

fn find(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, names);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let calls = text.match_indices("planted(\"").map(|(at, mark)| &text[at + mark.len()..]);
        names.extend(calls.filter_map(|rest| rest.split_once('"')).map(|(name, _)| name.to_owned()));
    }
}
