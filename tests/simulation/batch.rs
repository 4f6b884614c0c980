//! Many runs on a few threads, and what they came to. Each of the public functions prints a report and says whether
//! all was well.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::simulation::coverage::{is_death, is_power};
use super::simulation::options::Options;
use super::simulation::planted::{Look, MISTAKES, search};
use super::simulation::simulate::{Outcome, simulate};
use super::simulation::venue_rules::missing_codes;

/// Virtual seconds of one storm; a few hundred deaths.
const STORM_S: u64 = 3_600;

/// Hands the numbers from `first` on to `jobs` threads until `more` says that it is enough.
pub fn each(first: u64, jobs: usize, more: impl Fn(u64) -> bool + Sync, work: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(first);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if !more(seed) {
                        break;
                    }
                    work(seed);
                }
            });
        }
    });
}

/// Sums of many runs, and how many of them broke a promise.
struct Sums {
    sum: Mutex<(Outcome, u64, u64)>,
    begun: Instant,
    jobs: usize,
}

impl Sums {
    fn new(jobs: usize) -> Self {
        Self { sum: Mutex::default(), begun: Instant::now(), jobs }
    }

    fn add(&self, options: &Options, outcome: &Outcome) {
        if let Some(what) = &outcome.violation {
            println!("VIOLATION {what}\n  commit {} {options}\n{}", commit(), outcome.tail);
        }
        let mut sums = self.sum.lock().unwrap();
        sums.1 += u64::from(outcome.violation.is_some());
        sums.2 += 1;
        add(&mut sums.0, outcome);
    }

    fn is_before(&self, minutes: u64) -> bool {
        self.begun.elapsed().as_secs() / 60 < minutes
    }

    fn runs(&self) -> u64 {
        self.sum.lock().unwrap().2
    }

    fn crashes(&self) -> u64 {
        self.sum.lock().unwrap().0.crashes
    }

    /// The rows that a campaign is for and never reached, which are printed: it has proved nothing there.
    fn unreached(&self, is_meant: impl Fn(&str) -> bool) -> bool {
        let missing = self.sum.lock().unwrap().0.tags.missing(is_meant);
        println!("rows never reached: {missing:?}");
        !missing.is_empty()
    }

    /// Prints everything; the number of violations.
    fn print(&self, table: bool) -> u64 {
        let sums = self.sum.lock().unwrap();
        let (sum, violations, runs) = (&sums.0, sums.1, sums.2);
        let real = self.begun.elapsed().as_secs_f64();
        let virtual_s = sum.lasted as f64 / 1e9;
        if table {
            println!("{}", sum.tags.report());
        }
        println!("runs {runs}, violations {violations}, commit {}", commit());
        println!(
            "{:.1} virtual hours in {real:.1} s on {} threads: {:.0} times real time, {:.0} a thread",
            virtual_s / 3600.0,
            self.jobs,
            virtual_s / real,
            virtual_s / real / self.jobs as f64
        );
        println!(
            "events/s {:.0}; orders {}, pairs opened {}, closed {}; runs of the engine {}, deaths {}",
            sum.events as f64 / real,
            sum.orders,
            sum.pairs_opened,
            sum.pairs_closed,
            sum.starts,
            sum.crashes
        );
        println!(
            "longest with one leg {:.3} s (seed {}), {:.3} s where nothing interfered (seed {}); alerts {:?}",
            sum.longest_lone.0 as f64 / 1e9,
            sum.longest_lone.1,
            sum.longest_quiet_lone.0 as f64 / 1e9,
            sum.longest_quiet_lone.1,
            sum.alerts
        );
        violations
    }
}

/// As the script that runs a campaign tells it.
fn commit() -> String {
    std::env::var("BOT4_COMMIT").unwrap_or_else(|_| "unknown".to_owned())
}

/// Virtual seconds of a seed in which every signature is made and looked at: they cost a hundred times the rest.
const SIGNED_S: u64 = 300;

fn shortened_if_signed(options: Options) -> Options {
    let seconds = if options.signed { options.seconds.min(SIGNED_S) } else { options.seconds };
    Options { seconds, ..options }
}

/// Seeds of one kind, so many or as many as begin in so many minutes; `look` sees each before it is summed up.
fn run_all(
    (first, count, minutes): (u64, u64, u64),
    jobs: usize,
    make: impl Fn(u64) -> Options + Sync,
    look: impl Fn(&Options, &Outcome) + Sync,
) -> Sums {
    let sums = Sums::new(jobs);
    each(
        first,
        jobs,
        |seed| seed < first + count && sums.is_before(minutes),
        |seed| {
            let options = shortened_if_signed(make(seed));
            let outcome = simulate(&options);
            look(&options, &outcome);
            sums.add(&options, &outcome);
        },
    );
    sums
}

/// Hours in which the power fails again and again.
pub fn power(first: u64, count: u64, seconds: u64, jobs: usize) -> bool {
    let make = |seed| Options::power(seed, seconds);
    let sums = run_all((first, count, u64::MAX), jobs, make, |_, _| {});
    let violations = sums.print(false);
    violations == 0 && !sums.unreached(is_power)
}

/// Seeds with everything that goes wrong, so many or as many as begin in so many minutes. Rows of the catalogue that
/// were never reached fail a large campaign.
pub fn swarm(first: u64, count: u64, minutes: u64, seconds: u64, jobs: usize) -> bool {
    let make = |seed| Options::swarm(seed, seconds);
    let sums = run_all((first, count, minutes), jobs, make, |_, _| {});
    let violations = sums.print(true);
    let codes = missing_codes(&sums.sum.lock().unwrap().0.tags);
    println!("codes with which no order was refused: {codes:?}");
    let unreached = sums.unreached(|_| true) || !codes.is_empty();
    let vacuous = sums.runs() * seconds >= 500 * 3_600 && unreached;
    violations == 0 && !vacuous
}

/// Seeds in which single messages get lost and single connections are cut: a person is called for a leg that truly is
/// alone or a limit that is reached, and for nothing else.
pub fn packets(first: u64, count: u64, seconds: u64, jobs: usize) -> bool {
    let look = |options: &Options, outcome: &Outcome| {
        if false_alarms(outcome) > 0 {
            println!("FALSE ALARM {:?}, founded {}\n  {options}", outcome.alerts, outcome.founded);
        }
    };
    let make = |seed| Options::packets(seed, seconds);
    let sums = run_all((first, count, u64::MAX), jobs, make, look);
    let violations = sums.print(false);
    let sum = &sums.sum.lock().unwrap().0;
    let packets = sum.tags.count("packet") - sum.tags.count("rule without its message");
    let cuts = sum.tags.count("C1") + sum.tags.count("C3");
    let (founded, falsely) = (sum.founded, false_alarms(sum));
    println!("packets lost, doubled or late {packets}, connections cut {cuts}");
    println!("false alarms {falsely}; alerts of what was so {founded}");
    violations == 0 && falsely == 0 && packets > 0 && cuts > 0 && sum.pairs_closed > 0
}

/// Alerts beside the daily summary that tell of nothing that is so.
fn false_alarms(outcome: &Outcome) -> u64 {
    let alarms = outcome.alerts.iter().filter(|(kind, _)| *kind != "DAILY_SUMMARY");
    alarms.map(|(_, count)| count).sum::<u64>() - outcome.founded
}

/// Deaths and recoveries until there were so many, or for so many minutes. A moment of death that was never met fails
/// a large campaign.
pub fn storm(first: u64, cycles: u64, minutes: u64, jobs: usize) -> bool {
    let sums = Sums::new(jobs);
    each(
        first,
        jobs,
        |_| sums.crashes() < cycles && sums.is_before(minutes),
        |seed| {
            let options = shortened_if_signed(Options::storm(seed, STORM_S));
            sums.add(&options, &simulate(&options));
        },
    );
    let violations = sums.print(true);
    let vacuous = sums.unreached(is_death) && sums.crashes() >= 10_000;
    violations == 0 && !vacuous
}

/// A death at every effect of a pair's life, and again in the recovery.
pub fn points(scenarios: u64, jobs: usize) -> bool {
    let sums = Sums::new(jobs);
    for seed in 1..=scenarios {
        let options = Options::points(seed, 60);
        let effects = simulate(&options).effects_of_first_run;
        each(
            1,
            jobs,
            |at| at <= effects,
            |at| {
                let again = [None, Some((true, 1 + at % 30)), Some((false, 1 + at % 40))];
                for second in again {
                    let deaths = std::iter::once((false, at)).chain(second).collect();
                    let options = Options { deaths, ..options.clone() };
                    sums.add(&options, &simulate(&options));
                }
            },
        );
    }
    sums.print(true) == 0
}

/// The same seed twice; the hashes are printed, so that two builds can be compared.
pub fn twice(first: u64, count: u64, seconds: u64, jobs: usize) -> bool {
    let differ = AtomicU64::new(0);
    let hashes = Mutex::new(Vec::new());
    each(
        first,
        jobs,
        |seed| seed < first + count,
        |seed| {
            let options = Options::swarm(seed, seconds);
            let (one, two) = (simulate(&options).hash, simulate(&options).hash);
            differ.fetch_add(u64::from(one != two), Ordering::Relaxed);
            hashes.lock().unwrap().push((seed, one));
        },
    );
    let mut hashes = hashes.into_inner().unwrap();
    hashes.sort_unstable();
    hashes.iter().for_each(|(seed, hash)| println!("seed {seed} hash {hash:016x}"));
    let differ = differ.into_inner();
    println!("pairs {count}, differing {differ}");
    differ == 0
}

/// Each deliberate mistake, and after how many seeds it was found.
pub fn planted(only: Option<&str>, count: usize, seeds: u64, jobs: usize) -> bool {
    let wanted =
        |row: &&(&'static str, Look)| only.is_none_or(|only| only.split(',').any(|name| name == row.0));
    let mistakes: Vec<_> = MISTAKES.iter().filter(wanted).take(count).collect();
    let missed = AtomicU64::new(0);
    each(
        0,
        jobs,
        |at| at < mistakes.len() as u64,
        |at| {
            let &(name, look) = mistakes[at as usize];
            let (seeds, found) = search(name, look, seeds);
            match found.and_then(|outcome| outcome.violation) {
                Some(what) => println!("{name:<32} found by seed {seeds:>3}: {what:.140}"),
                None => {
                    missed.fetch_add(1, Ordering::Relaxed);
                    println!("{name:<32} NOT FOUND in {seeds} seeds");
                }
            }
        },
    );
    let missed = missed.into_inner();
    println!("mistakes {}, found {}", mistakes.len(), mistakes.len() as u64 - missed);
    missed == 0
}

fn add(sum: &mut Outcome, one: &Outcome) {
    sum.events += one.events;
    sum.lasted += one.lasted;
    sum.starts += one.starts;
    sum.crashes += one.crashes;
    sum.pairs_opened += one.pairs_opened;
    sum.pairs_closed += one.pairs_closed;
    sum.orders += one.orders;
    sum.longest_quiet_lone = sum.longest_quiet_lone.max(one.longest_quiet_lone);
    sum.longest_lone = sum.longest_lone.max(one.longest_lone);
    sum.founded += one.founded;
    sum.tags.add(&one.tags);
    for (kind, count) in &one.alerts {
        match sum.alerts.iter_mut().find(|row| row.0 == *kind) {
            Some(row) => row.1 += count,
            None => sum.alerts.push((kind, *count)),
        }
    }
}
