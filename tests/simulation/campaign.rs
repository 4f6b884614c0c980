//! The long runs of the simulation, by `scripts/campaign.sh simulation`: seeds in order on all cores, each line of a
//! failing seed complete enough to run it again.

mod batch;
#[path = "mod.rs"]
mod simulation;

use std::process::ExitCode;

use simulation::options::Options;
use simulation::planted::SEEDS_MAX;
use simulation::simulate::{Outcome, simulate};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |flag: &str, or: u64| {
        let at = words.iter().position(|word| word == flag);
        at.and_then(|at| words.get(at + 1)).and_then(|text| text.parse().ok()).unwrap_or(or)
    };
    let (seconds, jobs) = (number("--seconds", 3_600), number("--jobs", 2) as usize);
    let (first, minutes) = (number("--first", 1), number("--minutes", u64::MAX));
    let good = match words.first().map(String::as_str) {
        Some("seed") => one(&words, number("--seed", 1), seconds),
        Some("swarm") => batch::swarm(first, number("--count", 100), minutes, seconds, jobs),
        Some("power") => batch::power(first, number("--count", 100), seconds, jobs),
        Some("packets") => batch::packets(first, number("--count", 100), seconds, jobs),
        Some("storm") => batch::storm(first, number("--cycles", 10_000), minutes, jobs),
        Some("points") => batch::points(number("--scenarios", 2), jobs),
        Some("twice") => batch::twice(first, number("--count", 20), seconds, jobs),
        Some("planted") => {
            let at = words.iter().position(|word| word == "--only");
            let only = at.and_then(|at| words.get(at + 1)).map(String::as_str);
            batch::planted(only, number("--count", 1_000) as usize, number("--seeds", SEEDS_MAX), jobs)
        }
        _ => {
            eprintln!(
                "campaign: one of seed --seed N [--calm|--storm|--busy|--packets|--power|--points] \
                 [--run-dies EFFECT] [--start-dies EFFECT] [--loud], \
                 swarm --count N, power --count N, packets --count N, storm --cycles N, \
                 points --scenarios N, twice --count N, planted --count N --seeds N --only NAME,NAME; \
                 with --first N --seconds S --minutes M (no new seed after so long) --jobs N"
            );
            return ExitCode::from(2);
        }
    };
    ExitCode::from(u8::from(!good))
}

/// One seed, to look at: `--loud` prints everything as it happens.
fn one(words: &[String], seed: u64, seconds: u64) -> bool {
    let has = |flag: &str| words.iter().any(|word| word == flag);
    let make = match () {
        () if has("--calm") => Options::calm,
        () if has("--storm") => Options::storm,
        () if has("--busy") => Options::busy,
        () if has("--packets") => Options::packets,
        () if has("--power") => Options::power,
        () if has("--points") => Options::points,
        () => Options::swarm,
    };
    let death = |pair: &[String]| match (pair[0].as_str(), pair[1].parse()) {
        ("--run-dies", Ok(effect)) => Some((false, effect)),
        ("--start-dies", Ok(effect)) => Some((true, effect)),
        _ => None,
    };
    let deaths = words.windows(2).filter_map(death).collect();
    let options = Options { deaths, loud: has("--loud"), ..make(seed, seconds) };
    println!("{options}");
    let outcome = simulate(&options);
    println!("{}", outcome.tail);
    println!("{:?}", Outcome { tail: String::new(), ..outcome.clone() });
    outcome.violation.is_none()
}
