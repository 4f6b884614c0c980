//! SIGKILL at any moment. The production binary trades on both simulated venues, which now and then lose or delay
//! something; it is killed at the named points of SAFETY §2.2 (`points.rs`), at messages of every class, while it
//! starts, while it stops and at random, and started again. After every few kills all must come home: no leg alone, no
//! order open, no identity used twice, the journal of all runs equal to the venues' books, the database equal to the
//! journal.
//!
//! `scripts/campaign.sh kills --count 1000`, or `BOT4_KILLS`, `BOT4_SEED`, `BOT4_WORKERS` and
//! `BOT4_FIRST_POINT` (where the round of named points begins) by hand.

#[path = "../common/mod.rs"]
mod common;
mod named;
mod points;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use bot4::store::{DbThread, Target};
use bot4::types::Nanos;
use bot4_sim::Options;
use bot4_sim::control::VenueName;
use bot4_sim::core::fault::{Action, Class, Rule};
use bot4_sim::core::rng::Rng;
use common::Bench;
use common::bench::{PARADEX, VEST};
use common::campaign::number;
use common::gate::Gate;
use common::postgres::Server;
use common::proxy::Proxy;
use common::run::names;
use common::tables::{catch_up, migrated, postgres, rows};
use common::trouble::{VENUES, late_reject, reject};
use rustix::process::Signal;

/// Kills of a run unless `BOT4_KILLS` says otherwise. Every second one is at a named point.
const KILLS: u32 = 50;
/// Kills between two looks at whether all has come home.
const STRETCH: u32 = 5;
/// How long a kill waits for its message; then it comes without.
const WAIT: Duration = Duration::from_millis(1_500);

/// Limits that a day of crashes would meet, out of the way; segments so small that they rotate all the time.
const LIMITS: &str = r#"
[risk]
daily_loss_usd = 10000
max_order_errors_per_min = 100
losing_pairs_pause = 100
[pauses]
daily_loss_share = 0.2
[journal]
segment_kb = 16
[throttle]
max_failed_entries = 1000
"#;

/// When the engine is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So long after it was started: reading the journal, asking the venues, waiting out windows.
    Starting,
    /// So long after a message of this class at this venue.
    Message(VenueName, Class),
    /// At any time while it trades.
    Trading,
    /// So long after SIGINT: resolving, cancelling, verifying.
    Stopping,
}

const MESSAGES: [Class; 8] = [
    Class::Order,
    Class::Order,
    Class::OrderEvent,
    Class::FillEvent,
    Class::PositionEvent,
    Class::Cancel,
    Class::Query,
    Class::Auth,
];

struct Campaign {
    bench: Bench,
    gates: [Gate; 2],
    server: Server,
    database: Proxy,
    rng: Rng,
    reached: BTreeMap<String, u32>,
}

impl Campaign {
    fn new(seed: u64) -> Self {
        let server = migrated();
        let database = Proxy::start(server.port());
        let (url, ca) = (server.url("bot4", database.port()), server.ca());
        let store = format!("{LIMITS}\n[store]\nurl = \"{}\"\nca_file = \"{}\"", url.expose(), ca.display());
        let bench = Bench::with(Options { seed, ..Options::default() }, &store);
        let gates = bench.put_gates();
        Self { bench, gates, server, database, rng: Rng::new(seed, "crashes"), reached: BTreeMap::new() }
    }

    fn reached(&mut self, name: &str) {
        *self.reached.entry(name.to_owned()).or_default() += 1;
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.rng.between(0, all.len() as i64 - 1) as usize]
    }

    fn ms(&mut self, most: i64) -> Duration {
        Duration::from_micros(self.rng.between(0, most * 1_000) as u64)
    }

    /// One life of the engine, from its start to its sudden end.
    fn life(&mut self) {
        let moment = match self.rng.between(0, 9) {
            0 => Moment::Starting,
            1 => Moment::Stopping,
            2 | 3 => Moment::Trading,
            _ => Moment::Message(self.pick(&VENUES), self.pick(&MESSAGES)),
        };
        self.trouble();
        self.bench.spawn(&["--live", "--auto-resume"]);
        if let Moment::Message(venue, class) = moment {
            self.arm(venue, class);
        }
        let limit = if matches!(moment, Moment::Starting) { self.ms(400) } else { WAIT + self.ms(500) };
        let mut died = self.trade(limit).inspect(|status| self.assert_killed(*status)).is_some();
        let name = match moment {
            Moment::Message(..) if !died => "Trading".to_owned(),
            moment => format!("{moment:?}"),
        };
        self.reached(&name);
        self.bench.control().unwatch();
        if let (Moment::Stopping, false) = (moment, died) {
            self.bench.signal(Signal::INT);
            let limit = self.ms(400);
            died = self.bench.ended_within(limit).is_some();
        }
        if !died {
            self.bench.kill();
        }
    }

    /// The kill waits at the venue for a message of the class, not always the first, and may come a moment later.
    fn arm(&mut self, venue: VenueName, class: Class) {
        let skipped = self.rng.between(0, 3) as u32;
        let later = if self.rng.chance(500_000) { Duration::ZERO } else { self.ms(20) };
        let kill = self.bench.killer();
        self.bench.control().watch(venue, class, skipped, move || {
            if later.is_zero() {
                kill();
            } else {
                std::thread::spawn(move || {
                    std::thread::sleep(later);
                    kill();
                });
            }
        });
    }

    /// Half of the lives meet one fault on the order path.
    fn trouble(&mut self) {
        if self.rng.chance(500_000) {
            return;
        }
        let venue = self.pick(&VENUES);
        let ms = self.rng.between(1, 1_500) as u32;
        let unknown = if venue == VenueName::Vest { "3001" } else { "ORDER_REJECTED" };
        let (class, action) = match self.rng.between(0, 9) {
            0 => (Class::Order, Action::DropRequest),
            1 => (Class::Order, Action::DropAck),
            2 => (Class::Order, Action::DelayRequest { ms }),
            3 => (Class::Order, Action::DelayAck { ms }),
            4 => (Class::Order, Action::HoldFill { ms }),
            5 => (Class::Order, reject(unknown)),
            6 => (Class::Order, late_reject(unknown)),
            7 => (Class::Order, Action::PartialFill { size: 100_000 }),
            8 => (Class::OrderEvent, Action::DropEvent),
            _ => (Class::FillEvent, Action::DropEvent),
        };
        self.bench
            .control()
            .fault(venue, Rule { skip: self.rng.between(0, 2) as u32, ..Rule::once(class, action) });
    }

    fn assert_killed(&self, status: ExitStatus) {
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "it ended by itself\n{}", self.bench.tail());
    }

    /// The gap comes and goes until the engine dies or `limit` is over.
    fn trade(&mut self, limit: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + limit;
        loop {
            let gap = self.pick(&[60, 60, 20, -20, -60]);
            self.bench.gap_bps(gap);
            let left = end.saturating_duration_since(Instant::now());
            let step = Duration::from_millis(100) + self.ms(400);
            let ended = self.bench.ended_within(step.min(left));
            if ended.is_some() || left.is_zero() {
                return ended;
            }
        }
    }

    /// No more trouble: everything comes home, is closed and accounted for.
    fn come_home(&mut self) {
        self.bench.control().clear();
        self.bench.gap_bps(0);
        self.bench.start();
        self.bench.wait_truth("every leg closed and every order ended", |truth| {
            let open = truth.vest.open_orders.len() + truth.paradex.open_orders.len();
            open == 0 && truth.vest.position(VEST) == 0 && truth.paradex.position(PARADEX) == 0
        });
        self.bench.stop_and_settle_journal();
        self.assert_rows();
    }

    /// The database holds what the journal says; another reader of the journal brings what the dead engines did not.
    fn assert_rows(&self) {
        let journal = self.bench.dir.path().join("journal");
        let copy = self.bench.dir.path().join("expected.db");
        let _ = std::fs::remove_file(&copy);
        for target in [postgres(&self.server, "bot4"), Target::Sqlite(copy.clone())] {
            catch_up(&mut DbThread::new(journal.clone(), target, names(), Nanos::from_ms(1)), 1);
        }
        let (database, journal) = (rows(&postgres(&self.server, "bot4")), rows(&Target::Sqlite(copy)));
        assert!(database == journal, "database and journal differ\n{}", self.bench.tail());
    }

    /// So many kills, at random and at named points in turn.
    fn run(&mut self, kills: u32, first_point: usize) {
        for kill in 0..kills {
            if kill % 2 == 0 {
                self.named(first_point + kill as usize / 2);
            } else {
                self.life();
            }
            if kill % STRETCH == STRETCH - 1 || kill + 1 == kills {
                self.come_home();
            }
            if kill % 50 == 49 {
                println!("after {} kills: home", kill + 1);
            }
        }
    }
}

#[test]
fn killed_at_any_moment_it_comes_home() {
    let (kills, seed) = (number("BOT4_KILLS", u64::from(KILLS)) as u32, number("BOT4_SEED", 1));
    let workers = number("BOT4_WORKERS", 1) as u32;
    println!("seed {seed}, {kills} kills, {workers} engines at a time");
    let work = |worker: u32| {
        let mut campaign = Campaign::new(seed + u64::from(worker));
        let share = kills / workers + u32::from(worker < kills % workers);
        campaign.run(share, number("BOT4_FIRST_POINT", 0) as usize + worker as usize * 5);
        let truth = campaign.bench.control().truth();
        println!("orders: {} on Vest, {} on Paradex", truth.vest.orders.len(), truth.paradex.orders.len());
        campaign.reached
    };
    let mut reached: BTreeMap<String, u32> = BTreeMap::new();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..workers).map(|worker| scope.spawn(move || work(worker))).collect();
        for one in all {
            let counts = one.join().expect("a worker came home");
            counts.into_iter().for_each(|(name, count)| *reached.entry(name).or_default() += count);
        }
    });
    for (moment, count) in &reached {
        println!("{count:>6} {moment}");
    }
    if kills >= KILLS {
        named::assert_all_reached(&reached);
    }
}
