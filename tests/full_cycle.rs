//! The whole story with the real binary: configuration and credentials, both simulated venues over TLS, a scripted gap,
//! a pair opened, saved, kept over restarts, restored, closed, and found again on the venues, in the journal and in the
//! database. Once with Postgres over verified TLS, once with SQLite; then with the journal lost.

mod common;

use std::fs;
use std::path::PathBuf;

use bot4::journal::entry::Entry;
use bot4::journal::recover::recover;
use bot4::store::follow::Follow;
use bot4::store::read::{self, PositionRow};
use bot4::store::{Target, check_version};
use bot4::types::Usd;
use bot4_sim::Options;
use bot4_sim::control::VenueName;
use bot4_sim::core::Side;
use common::bench::{PARADEX, VEST};
use common::postgres::Server;
use common::{Bench, admin};
use rustix::process::Signal;

/// Size of a pair's leg in the bench's configuration.
const SIZE: i64 = 200_000;

/// A bench and the database that its engine writes.
struct Cycle {
    bench: Bench,
    target: Target,
}

impl Cycle {
    fn sqlite() -> Self {
        let bench = Bench::new();
        let path = bench.dir.path().join("bot4.db");
        Self { bench, target: Target::Sqlite(path) }
    }

    /// On a server whose schema the verb `migrate` has made, as the role that a run should have.
    fn postgres(server: &Server) -> Self {
        server.psql("CREATE ROLE bot4 LOGIN");
        let url = server.url("bot4", server.port());
        let extra = format!("[store]\nurl = '{}'\nca_file = '{}'", url.expose(), server.ca().display());
        let bench = Bench::with(Options::default(), &extra);
        let target = Target::parse(&url, Some(&server.ca())).unwrap();
        assert!(check_version(&target).is_err(), "nothing is there yet");
        let said = admin::migrate(&bench, &server.url("postgres", server.port()));
        assert!(said.contains("up to date"), "{said}");
        check_version(&target).unwrap();
        Self { bench, target }
    }

    /// Waits until this run and those before have said it so often.
    fn saw(&mut self, event_type: &str, times: usize) {
        while self.bench.count(event_type) < times {
            self.bench.wait_for(event_type);
        }
        assert_eq!(self.bench.count(event_type), times, "{event_type}");
    }

    /// Opens a pair and waits until its row is in the database; `nth` counts all pairs so far.
    fn open(&mut self, nth: usize) {
        self.bench.open_pair();
        self.saw("POSITION_SAVED", nth);
        let line = last(&self.bench, "POSITION_SAVED");
        assert!(line.starts_with("[STATE] Position saved: pair=BTC, entry_spread=0."), "{line}");
        assert!(line.ends_with('%'), "{line}");
        let row = self.open_row();
        assert_eq!((row.long_exchange.as_str(), row.short_exchange.as_str()), ("paradex", "vest"));
        assert_eq!((row.long_qty.raw(), row.short_qty.raw()), (SIZE, SIZE));
        self.assert_held();
    }

    fn open_row(&self) -> PositionRow {
        let mut open = read::restore(&self.target).unwrap();
        assert_eq!(open.len(), 1, "{open:?}");
        open.remove(0)
    }

    /// The venues hold the pair: short where it is dear, long where it is cheap.
    fn assert_held(&self) {
        let truth = self.bench.control().truth();
        assert_eq!([truth.vest.position(VEST), truth.paradex.position(PARADEX)], [-SIZE, SIZE]);
    }

    /// Starts again and finds the pair that an earlier run left.
    fn restart(&mut self) {
        self.bench.start();
        self.assert_restored(1);
    }

    fn assert_restored(&self, count: usize) {
        let line = last(&self.bench, "POSITIONS_RESTORED");
        assert_eq!(line, format!("[STATE] Restored {count} positions from database"));
    }

    /// Stops; exit 0, and the end is the same on the venues, in the journal and in the database.
    fn finish(&mut self, pairs: usize) {
        assert_eq!(self.bench.stop(), 0, "{}", self.bench.tail());
        self.bench.assert_home();
        let truth = self.bench.control().truth();
        assert!(truth.vest.is_flat() && truth.paradex.is_flat(), "something is held");
        self.assert_journal_ended();
        let change = Usd::from_raw(truth.vest.ledger_change + truth.paradex.ledger_change);
        let rows = read::positions(&self.target, 100).unwrap();
        assert_eq!(rows.len(), pairs, "{rows:?}");
        assert!(rows.iter().all(|row| row.status == "closed" && row.close_reason == "threshold"));
        assert_near(rows.iter().fold(Usd::ZERO, |sum, row| sum + row.pnl), change);
        let pnl = read::pnl(&self.target).unwrap();
        assert_eq!((pnl.len(), pnl[0].closed), (1, pairs as i64));
        assert_near(pnl[0].pnl.total, change);
    }

    /// Nothing open, nothing held, and an orderly end as the last word.
    fn assert_journal_ended(&self) {
        let found = recover(&self.journal()).unwrap();
        let mut follow = Follow::default();
        found.entries.iter().for_each(|entry| _ = follow.apply(entry));
        assert_eq!((follow.open_orders(), follow.held_pairs()), (0, 0));
        assert!(matches!(found.entries.last(), Some(Entry::Stopped { .. })), "{:?}", found.entries.last());
    }

    fn journal(&self) -> PathBuf {
        self.bench.dir.path().join("journal")
    }
}

/// Message of the last line of this kind.
fn last(bench: &Bench, event_type: &str) -> String {
    let line = bench.log.iter().rev().find(|line| line["event_type"] == event_type);
    line.unwrap_or_else(|| panic!("no {event_type}:\n{}", bench.tail()))["message"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The ledger against the venues' balances: within 1e-6 USD.
fn assert_near(ledger: Usd, venues: Usd) {
    assert!((ledger.raw() - venues.raw()).abs() < 100, "ledger {ledger}, venues {venues}");
}

/// Opened and closed by the gap alone; opened again and kept over SIGINT; kept over kill -9; closed by the gap.
fn whole_story(mut cycle: Cycle) {
    cycle.bench.start();
    cycle.assert_restored(0);
    cycle.open(1);
    cycle.bench.close_pair();
    cycle.open(2);
    assert_eq!(cycle.bench.stop(), 0, "a hedged pair may be kept\n{}", cycle.bench.tail());
    cycle.assert_held();
    cycle.assert_journal_held();
    cycle.restart();
    cycle.bench.kill();
    cycle.assert_held();
    cycle.restart();
    assert_eq!(cycle.open_row().long_qty.raw(), SIZE);
    cycle.bench.close_pair();
    cycle.finish(2);
    assert_eq!(cycle.bench.count("POSITION_SAVED"), 2, "a restart saves nothing again");
    assert_eq!(cycle.bench.count("RESTORE_DIFFERS"), 0);
    let summary = cycle.bench.summary();
    assert_eq!((&summary["pairs_opened"], &summary["pairs_closed"]), (&0.into(), &1.into()), "of this run");
}

impl Cycle {
    fn assert_journal_held(&self) {
        let found = recover(&self.journal()).unwrap();
        let mut follow = Follow::default();
        found.entries.iter().for_each(|entry| _ = follow.apply(entry));
        assert_eq!((follow.open_orders(), follow.held_pairs()), (0, 1));
    }
}

#[test]
fn full_cycle_with_postgres() {
    let server = Server::start();
    whole_story(Cycle::postgres(&server));
    assert_eq!(server.psql("SELECT count(*) FROM positions WHERE status = 'open'"), "0");
    assert_eq!(server.psql("SELECT count(*) FROM orders WHERE state = 'filled'"), "8");
}

#[test]
fn full_cycle_with_sqlite() {
    whole_story(Cycle::sqlite());
}

/// The journal is gone while a pair is held.
fn lose_journal(cycle: &mut Cycle) {
    cycle.bench.start();
    cycle.open(1);
    assert_eq!(cycle.bench.stop(), 0);
    fs::remove_dir_all(cycle.journal()).unwrap();
}

#[test]
fn a_lost_journal_is_replaced_by_the_database_once_both_venues_confirm() {
    let mut cycle = Cycle::sqlite();
    lose_journal(&mut cycle);
    cycle.restart();
    assert_eq!(cycle.bench.count("RESTORED"), 1);
    cycle.bench.close_pair();
    cycle.finish(1);
    assert_eq!(cycle.bench.count("POSITION_SAVED"), 1, "the row of the lost journal goes on");
}

#[test]
fn a_pair_taken_from_the_database_outlives_another_death() {
    let server = Server::start();
    let mut cycle = Cycle::postgres(&server);
    lose_journal(&mut cycle);
    cycle.restart();
    cycle.bench.kill();
    cycle.restart();
    assert_eq!(cycle.bench.count("RESTORED"), 1, "the journal knows it now");
    cycle.bench.close_pair();
    cycle.finish(1);
}

#[test]
fn a_position_that_the_venues_do_not_hold_is_not_taken() {
    let mut cycle = Cycle::sqlite();
    lose_journal(&mut cycle);
    close_by_hand(&cycle.bench, VenueName::Vest);
    close_by_hand(&cycle.bench, VenueName::Paradex);
    cycle.bench.start();
    cycle.assert_restored(0);
    let line = last(&cycle.bench, "RESTORE_REFUSED");
    assert!(line.contains("it says long 0.002, short 0.002; the venues show 0 and 0"), "{line}");
    let rows = read::positions(&cycle.target, 10).unwrap();
    assert_eq!(
        (rows.len(), rows[0].status.as_str(), rows[0].close_reason.as_str()),
        (1, "closed", "not_held")
    );
    cycle.bench.open_pair();
    cycle.bench.close_pair();
    assert_eq!(cycle.bench.stop(), 0);
    cycle.bench.assert_home();
}

#[test]
fn a_position_that_one_venue_does_not_hold_is_left_to_a_person() {
    let mut cycle = Cycle::sqlite();
    lose_journal(&mut cycle);
    close_by_hand(&cycle.bench, VenueName::Vest);
    cycle.bench.start();
    cycle.assert_restored(0);
    let line = last(&cycle.bench, "RESTORE_REFUSED");
    assert!(line.contains("the venues show 0 and 0.002"), "{line}");
    assert_eq!(cycle.open_row().status, "open");
    cycle.bench.wait_for("FOREIGN_POSITION");
    let before = cycle.bench.control().truth();
    cycle.bench.gap_bps(60);
    assert_eq!(cycle.bench.stop(), 0, "{}", cycle.bench.tail());
    let after = cycle.bench.control().truth();
    assert_eq!(before.paradex.position(PARADEX), after.paradex.position(PARADEX), "not ours: not touched");
    assert_eq!(before.vest.orders.len(), after.vest.orders.len());
}

/// A person closes our leg at the venue's own screen.
fn close_by_hand(bench: &Bench, venue: VenueName) {
    let (market, side) = match venue {
        VenueName::Vest => (VEST, Side::Buy),
        VenueName::Paradex => (PARADEX, Side::Sell),
    };
    bench.control().trade(venue, market, side, SIZE).unwrap();
    let held = |truth: &bot4_sim::control::Truth| match venue {
        VenueName::Vest => truth.vest.position(VEST),
        VenueName::Paradex => truth.paradex.position(PARADEX),
    };
    bench.wait_truth("the leg closed by hand", |truth| held(truth) == 0);
}

#[test]
fn a_pair_is_kept_on_a_stop_while_the_database_is_away() {
    let mut server = Server::start();
    let mut cycle = Cycle::postgres(&server);
    cycle.bench.start();
    server.stop();
    cycle.bench.open_pair();
    cycle.bench.signal(Signal::INT);
    assert_eq!(cycle.bench.join().code(), Some(0), "{}", cycle.bench.tail());
    cycle.assert_held();
    cycle.bench.start();
    assert!(last(&cycle.bench, "DATABASE").contains("the database does not answer"));
    server.resume(true);
    cycle.saw("POSITION_SAVED", 1);
    cycle.bench.close_pair();
    cycle.finish(1);
}
