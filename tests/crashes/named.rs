//! One life that ends at a named point, and the start after it, which may be killed as well.

use std::collections::BTreeMap;
use std::fs;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use bot4_sim::control::{Login, Truth, VenueName};
use bot4_sim::core::fault::{Action, Class};
use rustix::process::Signal;

use super::Campaign;
use super::common::bench::{PARADEX, VEST, patience};
use super::common::gate::Way;
use super::common::spy::{self, Mark, Spy};
use super::common::trouble::VENUES;
use super::points::{self, Die, Hold, ON_PATH, OTHERS, OnPath};

/// Longer than the journal's sync interval, several times.
const SYNCED: Duration = Duration::from_millis(250);
/// Deaths of one start-up or shutdown are looked for among so many messages.
const STEPS: i64 = 5;

/// Every named point was reached at least once.
pub fn assert_all_reached(reached: &BTreeMap<String, u32>) {
    let names = ON_PATH.iter().map(|point| point.name).chain(OTHERS);
    let missing: Vec<&str> = names.filter(|name| !reached.contains_key(*name)).collect();
    assert!(missing.is_empty(), "never reached: {missing:?}");
}

impl Campaign {
    /// A life that ends at the nth named point, round and round.
    pub fn named(&mut self, nth: usize) {
        let nth = nth % (ON_PATH.len() + OTHERS.len());
        self.begin();
        match ON_PATH.get(nth) {
            Some(point) => self.on_path(point),
            None => self.other(OTHERS[nth - ON_PATH.len()]),
        }
        for gate in &self.gates {
            gate.open();
        }
        self.database.allow(i64::MAX);
        self.database.delay_ms(0);
        self.bench.control().unwatch();
        if self.rng.chance(500_000) {
            self.die_again();
        }
    }

    /// A well engine that holds nothing.
    fn begin(&mut self) {
        self.bench.control().clear();
        self.bench.gap_bps(0);
        self.bench.start();
        self.bench.wait_truth("every leg closed and every order ended", |truth| {
            let open = truth.vest.open_orders.len() + truth.paradex.open_orders.len();
            open == 0 && truth.vest.position(VEST) == 0 && truth.paradex.position(PARADEX) == 0
        });
    }

    fn journal(&self) -> std::path::PathBuf {
        self.bench.dir.path().join("journal")
    }

    fn on_path(&mut self, point: &OnPath) {
        let venue = self.pick(&VENUES);
        let before = orders(&self.bench.control().truth());
        let spy = Spy::set(&self.journal());
        // What is cut off the journal may not stand in the database.
        self.database.allow(0);
        (point.trouble)(&self.bench, venue);
        self.hold(point.hold, &spy);
        self.bench.gap_bps(60);
        self.wait(point.name, |campaign| campaign.dies(point.die, &spy, &before));
        if matches!(point.die, Die::HeldLong) {
            std::thread::sleep(SYNCED);
        }
        self.bench.kill();
        if let Some((place, mark)) = point.cut {
            let found = spy::cut(&self.journal(), &spy, place, mark);
            assert!(found || matches!(point.die, Die::TakenBoth), "{}: nothing to cut", point.name);
        }
        if let Hold::Both(_) = point.hold
            && matches!(point.name, "K0" | "K1" | "K2" | "K3")
        {
            assert_eq!(orders(&self.bench.control().truth()), before, "{}: an order got through", point.name);
        }
        self.reached(point.name);
    }

    fn hold(&self, hold: Hold, spy: &Spy) {
        let due = |mark: Mark| {
            let spy = spy.clone();
            move || spy.shows(mark)
        };
        let [vest, paradex] = &self.gates;
        match hold {
            Hold::Nothing => {}
            Hold::Both(mark) => self.gates.iter().for_each(|gate| gate.shut_when(Way::Nothing, due(mark))),
            Hold::Second(mark) => paradex.shut_when(Way::Nothing, due(mark)),
            Hold::Half(mark, VenueName::Vest) => {
                vest.shut_when(Way::Half, due(mark));
                paradex.shut_when(Way::Nothing, due(mark));
            }
            Hold::Half(mark, VenueName::Paradex) => paradex.shut_when(Way::Half, due(mark)),
        }
    }

    fn dies(&self, die: Die, spy: &Spy, before: &[usize; 2]) -> bool {
        let taken = || {
            let now = orders(&self.bench.control().truth());
            [now[0] > before[0], now[1] > before[1]]
        };
        match die {
            Die::Held | Die::HeldLong => self.gates.iter().any(super::Gate::is_shut),
            Die::Journal(mark) => spy.shows(mark),
            Die::TakenFirst => taken()[0],
            Die::TakenBoth => taken() == [true; 2],
            Die::Closing => {
                let truth = self.bench.control().truth();
                let closes = |venue: &bot4_sim::control::VenueTruth, from: usize| {
                    venue.orders[from..].iter().any(|order| order.reduce_only)
                };
                closes(&truth.vest, before[0]) || closes(&truth.paradex, before[1])
            }
        }
    }

    /// Looks as often as it can.
    fn wait(&mut self, name: &str, due: impl Fn(&Self) -> bool) {
        let end = Instant::now() + patience();
        while !due(self) {
            assert!(Instant::now() < end, "{name} was not reached\n{}", self.bench.tail());
            if self.bench.ended_within(Duration::from_micros(200)).is_some() {
                panic!("{name}: it ended by itself\n{}", self.bench.tail());
            }
        }
    }

    fn other(&mut self, name: &'static str) {
        match name {
            "K16" => self.in_transaction(),
            "K17" => self.after_commit(),
            "K18" => self.starting(),
            "K19" => self.stopping(),
            "K20" => self.rotating(),
            "K21" => self.taking_over(),
            _ => self.renewing(),
        }
        self.reached(name);
    }

    fn in_transaction(&mut self) {
        self.database.delay_ms(60);
        self.bench.gap_bps(60);
        let open = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'bot4%' \
                    AND state IN ('active', 'idle in transaction') AND backend_xid IS NOT NULL";
        self.wait("K16", |campaign| campaign.server.psql(open) != "0");
        self.bench.kill();
    }

    fn after_commit(&mut self) {
        const MARKER: &str = "SELECT coalesce(max(next_seq), 0) FROM marker";
        let spy = Spy::set(&self.journal());
        self.database.delay_ms(60);
        let before: u64 = self.server.psql(MARKER).parse().expect("a number");
        self.bench.gap_bps(60);
        self.wait("K17", |campaign| {
            spy.shows(points::sent) && campaign.server.psql(MARKER) != before.to_string()
        });
        self.bench.kill();
    }

    /// A start that finds orders in doubt dies at one of its first questions.
    fn starting(&mut self) {
        self.leave_orders();
        let (venue, class) = (self.pick(&VENUES), self.pick(&[Class::Auth, Class::Query, Class::Query]));
        let skipped = self.rng.between(0, STEPS) as u32;
        self.bench.spawn(&["--live", "--auto-resume"]);
        self.die_at(venue, class, skipped);
    }

    /// Kills it at a message, or after a while when that many do not come.
    fn die_at(&mut self, venue: VenueName, class: Class, skipped: u32) {
        let kill = self.bench.killer();
        self.bench.control().watch(venue, class, skipped, kill);
        let end = self.bench.ended_within(Duration::from_secs(2));
        match end {
            Some(status) => self.assert_killed(status),
            None => self.bench.kill(),
        }
    }

    /// A death with both orders in flight.
    fn leave_orders(&mut self) {
        let before = orders(&self.bench.control().truth());
        let spy = Spy::set(&self.journal());
        points::silent(&self.bench, VenueName::Vest);
        self.bench.gap_bps(60);
        self.wait("orders in flight", |campaign| campaign.dies(Die::TakenBoth, &spy, &before));
        self.bench.kill();
    }

    fn stopping(&mut self) {
        self.bench.open_pair();
        let (venue, kill) = (self.pick(&VENUES), self.bench.killer());
        let class = self.pick(&[Class::Query, Class::Cancel]);
        self.bench.control().watch(venue, class, 0, kill);
        self.bench.signal(Signal::INT);
        let status = self.bench.ended_within(patience());
        if status.unwrap_or_else(|| panic!("K19: it lives on\n{}", self.bench.tail())).success() {
            // It had nothing to cancel: the next one dies at its first question.
            self.bench.start();
            let kill = self.bench.killer();
            self.bench.control().unwatch();
            self.bench.control().watch(venue, Class::Query, 0, kill);
            self.bench.signal(Signal::INT);
            let status = self.bench.ended_within(patience()).expect("it ends");
            self.assert_killed(status);
        }
    }

    fn rotating(&mut self) {
        let spy = Spy::set(&self.journal());
        let (segment, mut wide) = (spy.segment(), false);
        self.database.allow(0);
        let end = Instant::now() + patience();
        while spy.segment() == segment {
            assert!(Instant::now() < end, "K20: it never went on to another segment\n{}", self.bench.tail());
            let truth = self.bench.control().truth();
            let held = truth.vest.position(VEST) != 0 && truth.paradex.position(PARADEX) != 0;
            if held == wide {
                wide = !wide;
                self.bench.gap_bps(if wide { 60 } else { -20 });
            }
            let ended = self.bench.ended_within(Duration::from_millis(1));
            assert!(ended.is_none(), "K20: it ended by itself\n{}", self.bench.tail());
        }
        self.bench.kill();
        match self.rng.between(0, 2) {
            0 => spy::cut_opening(&self.journal(), false),
            1 => spy::cut_opening(&self.journal(), true),
            _ => {}
        }
    }

    fn taking_over(&mut self) {
        self.leave_orders();
        self.bench.spawn(&["--live", "--auto-resume"]);
        let (lock, pid) = (self.journal().join("lock"), self.bench.pid().to_string());
        self.wait("K21", |_| fs::read_to_string(&lock).is_ok_and(|text| text.trim() == pid));
        self.bench.kill();
    }

    fn renewing(&mut self) {
        for venue in VENUES {
            self.bench.fault_opening(venue, 1, Action::HoldFill { ms: 1_200 });
        }
        let spy = Spy::set(&self.journal());
        self.bench.gap_bps(60);
        self.wait("K22", |_| spy.shows(points::sent));
        let (login, venue) =
            self.pick(&[(Login::Jwt, VenueName::Paradex), (Login::ListenKey, VenueName::Vest)]);
        let (tell, told) = channel();
        let kill = self.bench.killer();
        self.bench.control().watch(venue, Class::Auth, 0, move || {
            kill();
            let _ = tell.send(());
        });
        self.bench.control().expire(login);
        let status = self.bench.ended_within(patience());
        let status = status.unwrap_or_else(|| panic!("{login:?}: it lives on\n{}", self.bench.tail()));
        self.assert_killed(status);
        told.try_recv().expect("it died at the login");
    }

    /// A death during the recovery from the death before.
    fn die_again(&mut self) {
        self.bench.spawn(&["--live", "--auto-resume"]);
        let limit = self.ms(700);
        match self.bench.ended_within(limit) {
            Some(status) => self.assert_killed(status),
            None => self.bench.kill(),
        }
        self.reached("again in recovery");
    }
}

/// Orders that each venue has taken so far.
fn orders(truth: &Truth) -> [usize; 2] {
    [truth.vest.orders.len(), truth.paradex.orders.len()]
}
