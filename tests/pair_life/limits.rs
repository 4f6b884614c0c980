//! What holds entries back and for how long, over restarts too: pauses, the latch, the brake on repeated execution.

use bot4::journal::entry::Entry;
use bot4::order::core::{Core, Effects, Input, Start};
use bot4::types::order::{Reason, VenueOrderId};
use bot4::types::report::AccountReport;
use bot4::types::settings::Legs;
use bot4::types::*;

use crate::rig::*;

/// The next run: what the journal says now is carried into a fresh segment, and nothing else is.
pub fn restart(rig: &mut Rig, wanted: Mode) {
    restart_without_books(rig, wanted);
    rig.quotes();
    rig.wait_ms(1);
}

pub fn restart_without_books(rig: &mut Rig, wanted: Mode) {
    let mut core = Core::new(rig.core.settings().clone());
    rig.journal.iter().for_each(|entry| core.recover(entry));
    core.end_recovery(rig.now);
    let epoch = core.epoch() + 1;
    rig.journal = core.snapshot(epoch, 0, rig.now);
    let mut fx = Effects::new();
    core.start(rig.now, Start { epoch, mode: wanted, paper: false }, &mut fx);
    rig.core = core;
    rig.carry_out(fx);
    rig.connect_without_books();
}

/// An entry whose second leg is refused and whose first is taken back.
fn failed_entry(rig: &mut Rig) {
    let first = rig.sent.len();
    rig.enter();
    rig.fill(first, "f", "1", "100.30");
    rig.reject(first + 1, RejectClass::RetryLater);
    rig.fill(first + 2, "u", "1", "100.36");
    rig.wait_ms(1_000);
    rig.later_ms(120_000);
    rig.quotes();
}

fn command(rig: &mut Rig, command: Command) {
    rig.step(Input::Command(command));
}

fn unlatch(rig: &mut Rig) {
    command(rig, Command::Unlatch { why: Reason::cut("looked") });
}

/// Two runs may not be told apart by their first entry alone: the rig's own journal begins without one.
fn begun() -> Rig {
    let mut rig = Rig::new();
    rig.journal.insert(0, Entry::Epoch { epoch: 1, config_hash: 0, at: rig.now });
    rig
}

fn pause_by_errors(rig: &mut Rig) {
    rig.quotes();
    for _ in 0..2 {
        let first = rig.sent.len();
        rig.enter();
        rig.reject(first, RejectClass::Definitive);
        rig.reject(first + 1, RejectClass::Definitive);
        rig.wait_ms(5_001);
        rig.quotes();
    }
    let first = rig.sent.len();
    rig.enter();
    rig.reject(first, RejectClass::Definitive);
    assert_eq!(rig.core.mode(), Mode::Paused);
    rig.reject(first + 1, RejectClass::Definitive);
}

#[test]
fn a_pause_of_a_person_outlasts_one_of_the_engine() {
    let mut rig = begun();
    pause_by_errors(&mut rig);
    command(&mut rig, Command::Pause);
    rig.now = rig.now.plus_ms(400_000);
    rig.wait_ms(2);
    assert_eq!(rig.core.mode(), Mode::Paused);
}

#[test]
fn what_a_person_unlatches_stays_paused() {
    let mut rig = begun();
    pause_by_errors(&mut rig);
    command(&mut rig, Command::Halt { flatten: false, why: Reason::cut("drill") });
    rig.now = rig.now.plus_ms(400_000);
    unlatch(&mut rig);
    rig.wait_ms(2);
    assert_eq!(rig.core.mode(), Mode::Paused, "a pause that was under way does not end in Active");
}

#[test]
fn a_pause_under_way_outlives_restarts_and_ends_in_time() {
    let mut rig = begun();
    pause_by_errors(&mut rig);
    rig.now = rig.now.plus_ms(100_000);
    restart(&mut rig, Mode::Active);
    assert_eq!(rig.core.mode(), Mode::Paused);
    rig.now = rig.now.plus_ms(100_000);
    restart(&mut rig, Mode::Active);
    assert_eq!(rig.core.mode(), Mode::Paused);
    rig.later_ms(101_000);
    rig.wait_ms(2);
    assert_eq!(rig.core.mode(), Mode::Active, "five minutes after it began");
    pause_by_errors(&mut rig);
    rig.journal.push(Entry::Stopped { at: rig.now });
    restart(&mut rig, Mode::Paused);
    rig.now = rig.now.plus_ms(400_000);
    rig.wait_ms(2);
    assert_eq!(rig.core.mode(), Mode::Paused, "a run that was to start paused waits for a person");
}

/// A venue takes back a fill of a held pair.
fn bust(rig: &mut Rig) {
    rig.news(1, OrderNews::Busted(VenueOrderId::cut("f")));
}

/// A venue shows twice that a leg is gone.
fn lose(rig: &mut Rig) {
    for after in [5_100, 600] {
        rig.now = rig.now.plus_ms(after);
        rig.quotes();
        rig.account(P, "0");
    }
}

#[test]
fn what_a_venue_takes_back_in_an_automatic_pause_is_reduced_until_a_person_resumes() {
    for taken_back in [bust, lose] {
        let mut rig = begun();
        rig.opened();
        let pause = Entry::Mode { mode: Mode::Paused, why: Reason::cut("order errors"), at: rig.now };
        rig.core.recover(&pause);
        rig.journal.push(pause);
        taken_back(&mut rig);
        assert_eq!(rig.core.mode(), Mode::Reducing);
        rig.fill(2, "u", "1", "100.36");
        rig.assert_home_now();
        rig.now = rig.now.plus_ms(400_000);
        rig.wait_ms(2);
        assert_eq!(rig.core.mode(), Mode::Reducing, "the pause would be over");
        for wanted in [Mode::Active, Mode::Paused, Mode::Active] {
            rig.logs.clear();
            rig.journal.push(Entry::Stopped { at: rig.now });
            restart(&mut rig, wanted);
            assert_eq!(rig.core.mode(), Mode::Reducing, "and it outlives restarts");
            let told =
                |kind: &RecordKind| matches!(kind, RecordKind::ModeChanged { mode: Mode::Reducing, .. });
            assert_eq!(rig.logged(told), 1, "which say so");
        }
        command(&mut rig, Command::Resume);
        rig.journal.push(Entry::Stopped { at: rig.now });
        restart(&mut rig, Mode::Active);
        assert_eq!(rig.core.mode(), Mode::Active);
    }
}

#[test]
fn entries_that_fail_in_a_row_latch_until_a_person_has_looked() {
    let mut rig = begun();
    failed_entry(&mut rig);
    failed_entry(&mut rig);
    assert_eq!(rig.core.mode(), Mode::Active);
    restart(&mut rig, Mode::Active);
    assert_eq!(rig.core.mode(), Mode::Halted, "two and a run that ended without a word are three");
    restart(&mut rig, Mode::Active);
    assert_eq!(rig.core.mode(), Mode::Halted, "the latch outlives the restart");
    unlatch(&mut rig);
    command(&mut rig, Command::Resume);
    rig.wait_ms(2);
    assert_eq!(rig.core.mode(), Mode::Active);
    failed_entry(&mut rig);
    failed_entry(&mut rig);
    assert_eq!(rig.core.mode(), Mode::Active, "counted anew from there");
    let first = rig.sent.len();
    rig.enter();
    rig.fill(first, "f", "1", "100.30");
    rig.fill(first + 1, "f", "1", "100.02");
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    rig.fill(first + 2, "g", "1", "100.11");
    rig.fill(first + 3, "g", "1", "100.10");
    rig.later_ms(70_000);
    rig.wait_ms(2);
    rig.quotes();
    failed_entry(&mut rig);
    assert_eq!(rig.core.mode(), Mode::Active, "a pair that stood ends the row");
    failed_entry(&mut rig);
    failed_entry(&mut rig);
    assert_eq!(rig.core.mode(), Mode::Halted);
    rig.assert_home_now();
}

#[test]
fn a_crash_loop_comes_to_rest() {
    let mut rig = begun();
    for _ in 0..2 {
        restart(&mut rig, Mode::Active);
        assert_eq!(rig.core.mode(), Mode::Active);
    }
    rig.journal.push(Entry::Stopped { at: rig.now });
    restart(&mut rig, Mode::Active);
    assert_eq!(rig.core.mode(), Mode::Active, "an orderly end is no crash");
    restart(&mut rig, Mode::Active);
    assert_eq!(rig.core.mode(), Mode::Halted);
}

/// `count` pairs, opened and closed, each of four orders.
fn round_trips(rig: &mut Rig, count: usize) {
    for _ in 0..count {
        rig.later_ms(60_000);
        rig.wait_ms(2);
        rig.quotes();
        let first = rig.sent.len();
        rig.opened_from(first);
        rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
        rig.fill(first + 2, "g", "1", "100.11");
        rig.fill(first + 3, "g", "1", "100.10");
    }
    rig.later_ms(60_000);
    rig.wait_ms(2);
    rig.quotes();
}

/// Whether an entry is refused for its rate.
fn is_throttled(rig: &mut Rig) -> bool {
    let before = rig.sent.len();
    rig.enter();
    let rate = RecordKind::EntryRefused { pair: PairId(0), refusal: record::Refusal::Rate };
    rig.sent.len() == before && rig.logs.contains(&rate)
}

#[test]
fn hourly_entries_and_the_orders_of_a_day_are_counted_over_restarts() {
    let mut limits = settings(Legs::Together);
    limits.risk.max_entries_per_hour = 3;
    let mut rig = Rig::of(limits);
    round_trips(&mut rig, 3);
    for _ in 0..2 {
        rig.journal.push(Entry::Stopped { at: rig.now });
        restart(&mut rig, Mode::Active);
        assert!(is_throttled(&mut rig));
    }
    rig.later_ms(3_800_000);
    rig.quotes();
    assert!(!is_throttled(&mut rig), "an hour later");

    let mut limits = settings(Legs::Together);
    limits.venues[0].orders_per_day = 4;
    let mut rig = Rig::of(limits);
    round_trips(&mut rig, 2);
    for _ in 0..2 {
        rig.journal.push(Entry::Stopped { at: rig.now });
        restart(&mut rig, Mode::Active);
        assert!(is_throttled(&mut rig));
    }
}

#[test]
fn too_many_entries_in_a_minute_and_unwinds_in_an_hour_latch() {
    let mut limits = settings(Legs::Together);
    limits.upkeep.throttle.max_entries_per_min = 1;
    let mut rig = Rig::of(limits);
    rig.opened();
    rig.wait_ms(1);
    assert_eq!(rig.core.mode(), Mode::Halted);

    let mut limits = settings(Legs::Together);
    limits.upkeep.throttle.max_unwinds_per_hour = 2;
    limits.upkeep.throttle.max_failed_entries = 100;
    let mut rig = Rig::of(limits);
    failed_entry(&mut rig);
    assert_eq!(rig.core.mode(), Mode::Active);
    failed_entry(&mut rig);
    assert_eq!(rig.core.mode(), Mode::Halted);
    rig.assert_home();
}

/// A pair that lost, as a death in its last write leaves it: the close is in the journal, what it forbids is not.
fn died_over_a_loss(limits: Settings) -> Rig {
    let mut rig = Rig::of(limits);
    rig.opened();
    rig.intent(IntentKind::Exit(StopReason::MaxHold), ["100.37", "99.97"], ["100.36", "99.98"]);
    rig.fill(2, "g", "1", "100.36");
    rig.fill(3, "g", "1", "99.98");
    let close = rig.journal.iter().rposition(|entry| matches!(entry, Entry::PairClosed { .. }));
    rig.journal.truncate(close.map_or(0, |at| at + 1));
    rig
}

fn losing(change: fn(&mut Settings)) -> Settings {
    let mut limits = settings(Legs::Together);
    limits.upkeep.pauses.daily_loss_share = Rate::ZERO;
    change(&mut limits);
    limits
}

#[test]
fn a_loss_that_the_last_run_died_over_holds_entries_back_from_the_start() {
    let halts = |limits: &mut Settings| limits.risk.daily_loss = Usd::from_raw(1);
    let mut rig = died_over_a_loss(losing(halts));
    let mut core = Core::new(rig.core.settings().clone());
    rig.journal.iter().for_each(|entry| core.recover(entry));
    core.end_recovery(rig.now);
    rig.journal = core.snapshot(core.epoch() + 1, 0, rig.now);
    restart(&mut rig, Mode::Active);
    assert_eq!(rig.core.mode(), Mode::Halted, "also when the run that saw it died in its start");
    unlatch(&mut rig);
    command(&mut rig, Command::Resume);
    restart(&mut rig, Mode::Active);
    assert_eq!(rig.core.mode(), Mode::Active, "a person has looked");

    let mut rig = died_over_a_loss(losing(halts));
    rig.now = rig.now.plus_ms(86_400_000);
    restart(&mut rig, Mode::Active);
    assert_eq!(rig.core.mode(), Mode::Active, "the loss was yesterday's");

    let mut rig = died_over_a_loss(losing(|limits| limits.risk.losing_pairs_pause = 1));
    restart(&mut rig, Mode::Active);
    assert_eq!(rig.core.mode(), Mode::Paused, "one losing pair is enough here");

    let mut rig = died_over_a_loss(losing(|limits| {
        limits.upkeep.pauses.daily_loss_share = Rate::from_raw(1);
    }));
    restart(&mut rig, Mode::Active);
    assert_eq!(rig.core.mode(), Mode::Halted, "a share of what both accounts hold");
    unlatch(&mut rig);
    command(&mut rig, Command::Resume);
    restart(&mut rig, Mode::Active);
    assert_eq!(rig.core.mode(), Mode::Active, "a person has looked");

    let mut rig = died_over_a_loss(losing(|limits| {
        limits.upkeep.pauses.daily_loss_share = Rate::from_raw(1);
    }));
    let mut core = Core::new(rig.core.settings().clone());
    rig.journal.iter().for_each(|entry| core.recover(entry));
    core.end_recovery(rig.now);
    rig.journal = core.snapshot(core.epoch() + 1, 0, rig.now);
    restart(&mut rig, Mode::Active);
    assert_eq!(
        rig.core.mode(),
        Mode::Halted,
        "also when the run that was to see it died before it read the accounts"
    );

    let mut rig = died_over_a_loss(losing(|_| {}));
    restart(&mut rig, Mode::Active);
    assert_eq!(rig.core.mode(), Mode::Active);
}

#[test]
fn losses_in_a_row_pause_for_their_hour_also_in_a_pause_for_errors() {
    let limits = losing(|limits| {
        limits.risk.losing_pairs_pause = 1;
        limits.risk.max_order_errors_per_min = 1;
    });
    let mut rig = Rig::of(limits);
    rig.opened();
    let exit = |rig: &mut Rig| {
        rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.37", "99.97"], ["100.36", "99.98"]);
    };
    exit(&mut rig);
    (2..4).for_each(|order| rig.reject(order, RejectClass::Definitive));
    assert_eq!(rig.core.mode(), Mode::Paused);
    rig.wait_ms(10_000);
    rig.quotes();
    exit(&mut rig);
    rig.fill(4, "g", "1", "100.36");
    rig.fill(5, "g", "1", "99.98");
    assert_eq!(rig.core.mode(), Mode::Paused);
    rig.now = rig.now.plus_ms(400_000);
    rig.wait_ms(1);
    assert_eq!(rig.core.mode(), Mode::Paused, "the pause for errors would be over by now");
    rig.now = rig.now.plus_ms(3_600_000);
    rig.wait_ms(1);
    assert_eq!(rig.core.mode(), Mode::Active);
}

/// Perhaps of a pair that the configuration had once (SAFETY L11).
#[test]
fn a_position_that_no_pair_names_is_told_once_on_an_account_of_its_own() {
    for (dedicated_account, told) in [(true, 1), (false, 0)] {
        let mut rig = Rig::of(Settings { dedicated_account, ..settings(Legs::Together) });
        for foreign_markets in [1, 1, 0] {
            let money = AccountReport { equity: usd(1_000), free_margin: usd(1_000), ..Default::default() };
            rig.account_report(V, AccountReport { foreign_markets, ..money });
        }
        let nameless = Reason::cut("a position at a market that no pair names: close it by hand");
        let alarms = rig.logged(|kind| matches!(kind, RecordKind::Alarm { what, .. } if *what == nameless));
        assert_eq!(alarms, told);
    }
}
