//! Long trading at many times the load while things break: sockets are cut, private and public messages lost, orders
//! dropped, delayed, refused and held, Postgres stopped and started again. Afterwards every market message is accounted
//! for, every order and fill of the venues stands in the database, the database equals the journal, the journal equals
//! the venues' books, and memory has stayed where it was.
//!
//! `scripts/campaign.sh soak --seconds 3600`; in CI a short one with the same questions.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use bot4::store::sql::Statement;
use bot4::store::{DbThread, Target};
use bot4::types::Nanos;
use bot4_sim::Options;
use bot4_sim::control::{VenueName, VenueTruth};
use bot4_sim::core::fault::{Action, Class, Rule};
use bot4_sim::core::rng::Rng;
use common::Bench;
use common::bench::Line;
use common::campaign::{number, slope};
use common::postgres::Server;
use common::run::names;
use common::tables::{catch_up, migrated, postgres, rows};
use common::trouble::{SOCKETS, VENUES, late_reject, name, reject};

/// Limits that a day of faults would meet, out of the way; the database may be away for a while.
const LIMITS: &str = r#"
[risk]
daily_loss_usd = 10000
max_order_errors_per_min = 100
losing_pairs_pause = 100
[pauses]
daily_loss_share = 0.2
"#;

/// Seconds between two faults, and between two restarts of the database, on average.
const FAULT_EVERY_S: i64 = 4;
const RESTART_EVERY_S: i64 = 60;
/// Runs from this length on are judged by their memory, seconds; the first sixth of a run is its warm-up.
const JUDGED_FROM_S: u64 = 1_800;
/// Rise of anonymous memory that is allowed, MiB an hour.
const SLOPE_MAX: f64 = 1.0;

struct Soak {
    bench: Bench,
    server: Server,
    rng: Rng,
    began: Instant,
    length: Duration,
    /// Hours since the start and anonymous memory, MiB.
    memory: Vec<(f64, f64)>,
    done: BTreeMap<&'static str, u32>,
}

impl Soak {
    fn start(seed: u64, load: u32, length: Duration) -> Self {
        let server = migrated();
        let store = format!(
            "{LIMITS}\n[store]\nurl = \"{}\"\nca_file = \"{}\"",
            server.url("bot4", server.port()).expose(),
            server.ca().display()
        );
        let moving = Options { basis_amplitude_cbps: 3_500, basis_half_life_ms: 1_500, ..Options::default() };
        let mut bench = Bench::free(Options { seed, load, ..moving }, &store);
        bench.spawn(&["--live", "--auto-resume", "--flatten-on-stop"]);
        bench.wait_for("STARTED");
        let rng = Rng::new(seed, "soak");
        let (began, memory, done) = (Instant::now(), Vec::new(), BTreeMap::new());
        let mut soak = Self { bench, server, rng, began, length, memory, done };
        soak.lose_messages();
        soak
    }

    /// What is lost all the time, parts per million of each class.
    fn lose_messages(&mut self) {
        let lost = [
            (Class::OrderEvent, 5_000),
            (Class::FillEvent, 5_000),
            (Class::PositionEvent, 5_000),
            (Class::AccountEvent, 5_000),
            (Class::Query, 5_000),
            (Class::BookEvent, 20),
        ];
        for venue in VENUES {
            for (class, ppm) in lost {
                let action = if class == Class::Query { Action::DropRequest } else { Action::DropEvent };
                let rule = Rule { probability_ppm: Some(ppm), ..Rule::always(class, action) };
                self.bench.control().fault(venue, rule);
            }
        }
    }

    fn run(&mut self) {
        let mut fault_at = Duration::ZERO;
        let mut restart_at = self.soon(RESTART_EVERY_S);
        let mut sample_at = Duration::ZERO;
        while self.began.elapsed() < self.length {
            let wait = Duration::from_millis(200);
            assert!(self.bench.ended_within(wait).is_none(), "it ended\n{}", self.bench.tail());
            self.forget_lines();
            let now = self.began.elapsed();
            if now >= sample_at {
                self.sample(now);
                sample_at = now + Duration::from_secs(10);
            }
            if now >= fault_at {
                self.fault();
                fault_at = now + self.soon(FAULT_EVERY_S);
            }
            if now >= restart_at {
                self.restart_database();
                restart_at = now + self.soon(RESTART_EVERY_S);
            }
        }
    }

    fn soon(&mut self, mean_s: i64) -> Duration {
        Duration::from_millis(self.rng.between(0, 2_000 * mean_s) as u64)
    }

    fn fault(&mut self) {
        let venue = VENUES[self.rng.between(0, 1) as usize];
        let ms = self.rng.between(50, 2_500) as u32;
        let unknown = if venue == VenueName::Vest { "3001" } else { "ORDER_REJECTED" };
        let (what, action) = match self.rng.between(0, 9) {
            0 => ("order lost", Action::DropRequest),
            1 => ("acknowledgement lost", Action::DropAck),
            2 => ("order late", Action::DelayRequest { ms }),
            3 => ("acknowledgement late", Action::DelayAck { ms }),
            4 => ("fill held", Action::HoldFill { ms }),
            5 => ("order refused", reject(unknown)),
            6 => ("order refused late", late_reject(unknown)),
            7 => ("filled in part", Action::PartialFill { size: 50_000 }),
            _ => return self.cut(),
        };
        self.bench.control().fault(venue, Rule::once(Class::Order, action));
        *self.done.entry(what).or_default() += 1;
    }

    fn cut(&mut self) {
        let (venue, socket, _) = SOCKETS[self.rng.between(0, SOCKETS.len() as i64 - 1) as usize];
        let code = self.rng.chance(300_000).then_some(1001);
        self.bench.control().disconnect(venue, socket, code);
        *self.done.entry("socket cut").or_default() += 1;
    }

    fn restart_database(&mut self) {
        self.server.stop();
        let away = Duration::from_millis(self.rng.between(0, 5_000) as u64);
        self.bench.saw_within(away, |_| false);
        self.server.resume(true);
        *self.done.entry("database restarted").or_default() += 1;
    }

    fn sample(&mut self, now: Duration) {
        let path = format!("/proc/{}/status", self.bench.pid());
        let status = fs::read_to_string(path).expect("the engine runs");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux tells it");
        let kib: f64 = line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number");
        self.memory.push((now.as_secs_f64() / 3_600.0, kib / 1_024.0));
        if self.memory.len() % 30 == 1 {
            let opened = self.bench.count("ENTRY_EXECUTED");
            println!("{:>5} s  anonymous memory {:.1} MiB  pairs {opened}", now.as_secs(), kib / 1_024.0);
        }
    }

    /// The log of an hour is not kept whole.
    fn forget_lines(&mut self) {
        if self.bench.log.len() < 4_000 {
            return;
        }
        let kept = ["ENTRY_EXECUTED", "MODE", "HALT", "ALARM", "BOOK_COUNTS", "SUMMARY"];
        let from = self.bench.log.len().saturating_sub(1_000);
        let old = self.bench.log.split_off(0).into_iter().enumerate();
        let keep = |(at, line): &(usize, Line)| {
            *at >= from || line["event_type"].as_str().is_some_and(|kind| kept.contains(&kind))
        };
        self.bench.log = old.filter(keep).map(|(_, line)| line).collect();
    }

    /// Ends the run and answers every question.
    fn finish(mut self) {
        self.bench.control().clear();
        self.bench.stop_and_settle_journal();
        assert_eq!(self.bench.count("HALT"), 0, "these faults are no reason to halt\n{}", self.bench.tail());
        let opened = self.bench.count("ENTRY_EXECUTED");
        println!("{opened} pairs opened; summary {}", self.bench.summary()["pnl_usd"]);
        assert!(opened as u64 >= self.length.as_secs() / 60, "it hardly traded: {opened} pairs");
        self.messages();
        self.rows();
        self.trades();
        self.growth();
        for (what, count) in &self.done {
            println!("{count:>6} {what}");
        }
    }

    fn messages(&self) {
        let lines = self.bench.log.iter().filter(|line| line["event_type"] == "BOOK_COUNTS");
        let lines: Vec<&Line> = lines.collect();
        assert_eq!(lines.len(), 2, "both feeds are accounted for");
        for line in lines {
            let of = |field: &str| line[field].as_u64().expect("a count");
            let parts = ["applied", "conflated", "rejected", "waiting"].map(of);
            println!(
                "{}: in {} = applied {} + conflated {} + rejected {} + waiting {}",
                line["exchange"],
                of("messages"),
                parts[0],
                parts[1],
                parts[2],
                parts[3]
            );
            assert_eq!(of("messages"), parts.iter().sum::<u64>(), "a market message is lost");
        }
    }

    /// Every order and fill that a venue knows stands in the database.
    fn trades(&self) {
        let sql = "SELECT LOWER(exchange), CAST(COUNT(DISTINCT o.client_id) AS BIGINT), \
                   CAST(COALESCE(SUM(f.qty_e8), 0) AS BIGINT) \
                   FROM orders o LEFT JOIN fills f ON f.journal = o.journal AND f.client_id = o.client_id \
                   AND f.busted = 0 GROUP BY 1";
        let mut database = postgres(&self.server, "bot4").open().expect("it answers");
        let kept = database.query(&Statement { sql, params: Vec::new() }).expect("it answers");
        let truth = self.bench.control().truth();
        for (venue, known) in [(VenueName::Vest, &truth.vest), (VenueName::Paradex, &truth.paradex)] {
            let row = kept.iter().find(|row| row[0].text() == name(venue)).expect("it has traded");
            let (orders, filled) = (row[1].int(), row[2].int());
            let VenueTruth { orders: taken, fills, .. } = known;
            let sum: i64 = fills.iter().filter(|fill| !fill.busted).map(|fill| fill.size).sum();
            println!("{}: orders {}, fills {sum} (1e-8 base)", name(venue), taken.len());
            assert!(orders >= taken.len() as i64, "{}: an order is lost", name(venue));
            assert_eq!(filled, sum, "{}: a fill is lost", name(venue));
        }
    }

    /// The engine may have ended before the database held everything: another reader of the journal does the rest, and
    /// a second one fills an empty database.
    fn rows(&self) {
        let copy = || Target::Sqlite(self.bench.dir.path().join("expected.db"));
        let journal = self.bench.dir.path().join("journal");
        for target in [postgres(&self.server, "bot4"), copy()] {
            catch_up(&mut DbThread::new(journal.clone(), target, names(), Nanos::from_ms(1)), 1);
        }
        assert_eq!(rows(&postgres(&self.server, "bot4")), rows(&copy()), "database and journal differ");
    }

    fn growth(&self) {
        let from = self.length.as_secs_f64() / 3_600.0 / 6.0;
        let settled: Vec<(f64, f64)> = self.memory.iter().copied().filter(|(at, _)| *at >= from).collect();
        let rise = slope(&settled);
        let ends = settled.first().zip(settled.last()).map(|(first, last)| (first.1, last.1));
        println!(
            "anonymous memory, MiB: first and last after the warm-up {ends:.2?}, slope {rise:.3} an hour"
        );
        if self.length.as_secs() >= JUDGED_FROM_S {
            assert!(rise < SLOPE_MAX, "memory grows by {rise} MiB an hour");
        }
    }
}

#[test]
fn nothing_is_lost_in_long_trading_through_faults() {
    let (seconds, seed) = (number("BOT4_SOAK_S", 20), number("BOT4_SEED", 1));
    let load = number("BOT4_SOAK_LOAD", 4) as u32;
    println!("soak: {seconds} s at {load} times the load, seed {seed}");
    let mut soak = Soak::start(seed, load, Duration::from_secs(seconds));
    soak.run();
    soak.finish();
}
