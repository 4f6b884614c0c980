//! The operator's latch, stepped by hand: what a halt stops, what it lets go on, and what takes it away.

use bot4::journal::entry::Entry;
use bot4::order::core::{Core, Effects, Input, Start};
use bot4::position::Adjustment;
use bot4::types::order::Reason;
use bot4::types::report::{AccountReport, Fact};
use bot4::types::settings::Legs;
use bot4::types::*;

use crate::ladder::halt_market;
use crate::limits::{restart, restart_without_books};
use crate::rig::*;

fn halt(flatten: bool) -> Input {
    Input::Command(Command::Halt { flatten, why: Reason::cut("operator: halt") })
}

fn unlatch() -> Input {
    Input::Command(Command::Unlatch { why: Reason::cut("unlatched: looked") })
}

#[test]
fn a_halt_stops_entries_and_lets_exits_go_on() {
    let mut rig = Rig::new();
    rig.opened();
    rig.step(halt(false));
    rig.wait_ms(5_000);
    assert_eq!((rig.core.mode(), rig.sent.len()), (Mode::Halted, 2), "the pair is kept");
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    rig.fill(2, "g", "1", "100.11");
    rig.fill(3, "g", "1", "100.10");
    rig.wait_ms(6_000);
    rig.quotes();
    rig.enter();
    assert_eq!(rig.sent.len(), 4, "nothing is opened");
    rig.assert_home();
}

#[test]
fn a_halt_with_flatten_closes_the_pair_and_the_engine_goes_on() {
    let mut rig = Rig::new();
    rig.opened();
    rig.step(halt(false));
    rig.step(halt(true));
    rig.wait_ms(2);
    assert!(rig.sent.len() == 4 && rig.sent[2..].iter().all(|spec| spec.reduce_only));
    rig.fill(2, "a", "1", "100.36");
    rig.fill(3, "b", "1", "99.98");
    rig.wait_ms(2);
    assert!(!rig.core.is_stopped());
    rig.assert_home();
}

/// The books' reference may be hours old: by it one leg fills and the other does not.
#[test]
fn a_close_right_after_a_start_waits_for_prices_of_today_and_not_for_ever() {
    let restarted = || {
        let mut rig = Rig::new();
        rig.opened();
        restart(&mut rig, Mode::Active);
        restart_without_books(&mut rig, Mode::Active);
        rig.step(halt(true));
        rig.wait_ms(1_000);
        assert_eq!(rig.sent.len(), 2, "no price is known");
        rig
    };
    let mut rig = restarted();
    rig.quotes();
    rig.wait_ms(2);
    assert_eq!(rig.sent.len(), 4);
    let mut rig = restarted();
    rig.wait_ms(3_900);
    assert_eq!(rig.sent.len(), 2);
    rig.wait_ms(200);
    assert_eq!(rig.sent.len(), 4, "it goes by what there is");
}

/// How long after the outcome of each of six closes the next one leaves, ms, to the tenth of a second.
fn pauses(outcome: impl Fn(&mut Rig)) -> Vec<u64> {
    let mut rig = Rig::new();
    rig.opened();
    rig.step(halt(true));
    rig.wait_ms(2);
    let pause = |_| {
        outcome(&mut rig);
        let (from, sent) = (rig.now, rig.sent.len());
        while rig.sent.len() == sent {
            rig.quotes();
            rig.wait_ms(1);
        }
        (rig.now.ms_since(from) + 50) / 100 * 100
    };
    (0..6).map(pause).collect()
}

/// The market of a venue may be closed for hours, and each leg that is brought back costs fees and the spread.
#[test]
fn a_close_that_a_venue_refuses_again_and_again_is_tried_less_and_less_often() {
    let both = |rig: &Rig| [rig.sent.len() - 2, rig.sent.len() - 1];
    let refused =
        pauses(|rig| both(rig).into_iter().for_each(|order| rig.reject(order, RejectClass::Definitive)));
    let missed = pauses(|rig| both(rig).into_iter().for_each(|order| rig.close(order, "0")));
    let brought_back = pauses(|rig| {
        let [vest, paradex] = both(rig);
        rig.fill(paradex, &format!("close {paradex}"), "1", "100.02");
        halt_market(rig, MarketStatus::Halted);
        rig.reject(vest, RejectClass::RetryLater);
        rig.wait_ms(50);
        let back = rig.sent.len() - 1;
        assert_eq!(rig.sent[back].purpose, Purpose::Complete);
        rig.fill(back, &format!("back {back}"), "1", "100.02");
        halt_market(rig, MarketStatus::Trading);
    });
    assert_eq!(missed, [200; 6]);
    assert_eq!(refused, [200, 400, 800, 1_600, 1_600, 1_600]);
    assert_eq!(brought_back, [2_000, 4_000, 8_000, 16_000, 16_000, 16_000]);
}

#[test]
fn closes_in_vain_are_forgotten_once_the_pair_is_flat() {
    let mut rig = Rig::new();
    rig.opened();
    rig.step(halt(true));
    rig.wait_ms(2);
    (2..4).for_each(|order| rig.reject(order, RejectClass::Definitive));
    assert_eq!(rig.core.pairs()[0].mend.vain_exits, 1);
    rig.wait_ms(201);
    rig.fill(4, "g", "1", "100.11");
    rig.fill(5, "h", "1", "100.10");
    rig.assert_home();
    assert_eq!(rig.core.pairs()[0].mend.vain_exits, 0);
}

/// Restarted with what Paradex tells, whose leg is gone; and what Vest's is then closed for at most.
fn closed_for(rig: &mut Rig, told: Option<[&str; 2]>) -> Price {
    let by = Adjustment { leg: 1, side: Side::Sell, qty: qty("1"), price: price("100") };
    rig.journal.push(Entry::Adjusted { pair: PairId(0), by, at: rig.now });
    let sent = rig.sent.len();
    restart_without_books(rig, Mode::Paused);
    if let Some([bid, ask]) = told {
        rig.quote(P, bid, ask);
    }
    rig.account(V, "-1");
    rig.account(P, "0");
    rig.wait_ms(1_001);
    let unwind = rig.sent[sent];
    assert_eq!((unwind.venue, unwind.side), (V, Side::Buy));
    unwind.limit
}

/// Its venue is silent since the start, and the books' reference may be hours old.
#[test]
fn a_lone_leg_right_after_a_start_is_priced_by_the_other_venue_else_by_its_last_order() {
    let mut rig = Rig::new();
    rig.opened();
    restart(&mut rig, Mode::Active);
    let limit = closed_for(&mut rig, Some(["95.00", "95.02"]));
    assert!(limit < price("96"), "{limit}");

    let mut rig = Rig::new();
    rig.opened();
    restart(&mut rig, Mode::Active);
    rig.marks[P.index()] = price("95");
    let limit = closed_for(&mut rig, Some(["0", "0"]));
    assert!(limit < price("96"), "of an empty book the mark: {limit}");

    let mut rig = Rig::new();
    rig.opened();
    rig.later_ms(6_000);
    rig.quote(V, "95.00", "95.02");
    rig.quote(P, "95.00", "95.02");
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["95.04", "94.98"], ["95.02", "95.00"]);
    (2..4).for_each(|order| rig.reject(order, RejectClass::Definitive));
    restart_without_books(&mut rig, Mode::Active);
    let limit = closed_for(&mut rig, None);
    assert!(limit < price("96"), "{limit}");
}

#[test]
fn a_halt_with_flatten_goes_on_after_a_restart() {
    let mut rig = Rig::new();
    rig.opened();
    rig.fact(Fact::Mode { venue: P, mode: VenueMode::Maintenance });
    rig.step(halt(false));
    rig.step(halt(true));
    rig.wait_ms(2);
    assert_eq!(rig.sent.len(), 2, "one venue takes nothing: the pair stays whole");
    let held = [report("-1"), report("1")];
    rig.journal.insert(0, Entry::Epoch { epoch: 1, config_hash: 0, at: rig.now });
    restart(&mut rig, Mode::Active);
    for (venue, report) in [V, P].into_iter().zip(held) {
        rig.account_report(venue, report);
    }
    rig.wait_ms(100);
    assert!(rig.sent.len() == 4 && rig.sent[2..].iter().all(|spec| spec.reduce_only));
    rig.fill(2, "a", "1", "100.36");
    rig.fill(3, "b", "1", "99.98");
    rig.wait_ms(2);
    rig.step(unlatch());
    assert_eq!(rig.core.mode(), Mode::Paused);
    rig.assert_home_now();
}

fn report(position: &str) -> AccountReport {
    let mut report =
        AccountReport { equity: usd(1_000), free_margin: usd(1_000), ..AccountReport::default() };
    report.positions[0].qty = qty(position);
    report
}

#[test]
fn a_halt_cancels_what_may_still_open() {
    let mut rig = Rig::new();
    rig.enter();
    rig.ack(0);
    rig.step(halt(false));
    assert_eq!(rig.cancels, 2, "both legs are called back");
    rig.fill(0, "f", "1", "100.30");
    rig.close(1, "0");
    assert_eq!((rig.sent[2].purpose, rig.sent[2].venue), (Purpose::Unwind, V), "the lone leg is mended");
    rig.fill(2, "u", "1", "100.36");
    rig.assert_home();
}

#[test]
fn the_latch_and_its_reason_outlive_restarts_and_segments_until_a_person_takes_them_away() {
    let mut rig = Rig::new();
    rig.step(halt(false));
    rig.step(Input::Command(Command::Resume));
    rig.step(Input::Command(Command::Pause));
    assert_eq!(rig.core.mode(), Mode::Halted);
    let mut core = Core::new(settings(Legs::Together));
    rig.journal.iter().for_each(|entry| core.recover(entry));
    let segment = core.snapshot(2, 0, rig.now);
    let mut core = Core::new(settings(Legs::Together));
    segment.iter().for_each(|entry| core.recover(entry));
    let mut fx = Effects::new();
    core.start(rig.now, Start { epoch: 3, mode: Mode::Active, paper: false }, &mut fx);
    let mut next = Rig { core, ..rig };
    next.carry_out(fx);
    assert_eq!(next.core.mode(), Mode::Halted);
    let why = RecordKind::ModeChanged { mode: Mode::Halted, why: Reason::cut("operator: halt") };
    assert_eq!(next.logged(|kind| *kind == why), 2, "the restart says why it is halted: {:?}", next.logs);
    next.step(unlatch());
    assert_eq!((next.core.mode(), next.core.totals().halted), (Mode::Paused, false));
    next.step(unlatch());
    next.step(Input::Command(Command::Resume));
    assert_eq!(next.core.mode(), Mode::Active);
}

#[test]
fn a_thread_that_was_held_up_opens_nothing_for_a_moment_and_closes_at_once() {
    let mut rig = Rig::new();
    rig.core.hold_after_stall(rig.now);
    rig.enter();
    assert!(rig.sent.is_empty());
    rig.wait_ms(2_100);
    rig.quotes();
    rig.opened();
    rig.core.hold_after_stall(rig.now);
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    rig.fill(2, "g", "1", "100.11");
    rig.fill(3, "g", "1", "100.10");
    rig.assert_home();
}
