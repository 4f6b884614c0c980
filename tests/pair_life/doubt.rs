//! Whom to believe about a position: reads that lag, get lost, or come while orders of ours are out.

use bot4::journal::entry::Entry;
use bot4::types::report::{AccountReport, Ask, OrderKey, TraderEvent};
use bot4::types::*;

use crate::limits::restart;
use crate::rig::*;

/// A pair that has been held until no read lags behind its fills, with the books of a moment ago.
fn held() -> Rig {
    let mut rig = Rig::new();
    rig.opened();
    rig.wait_ms(6_000);
    rig.quotes();
    rig
}

fn exit(rig: &mut Rig) {
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    assert_eq!(rig.sent.len(), 4);
}

fn qty_of(rig: &Rig, leg: usize) -> Qty {
    rig.core.pairs()[0].book.legs[leg].qty
}

/// News of an order that is in no slot any more.
fn late_fill(rig: &mut Rig) {
    let key = OrderKey::Client(ClientId { epoch: 1, seq: 900, leg: 1 });
    let id = order::VenueOrderId::cut("z");
    let fill = Fill { id, qty: qty("1"), price: price("100"), fee: Usd::ZERO, funding: Usd::ZERO };
    rig.event(
        P,
        TraderEvent::Order { key, news: OrderNews::Fill(fill, Told::default()), t_venue: Nanos::NEVER },
    );
}

#[test]
fn a_live_order_explains_no_more_than_its_size() {
    let mut rig = held();
    exit(&mut rig);
    for _ in 0..2 {
        rig.account(P, "0");
        rig.wait_ms(501);
    }
    assert_eq!(qty_of(&rig, 1), qty("1"), "the exit may have filled");
    for _ in 0..2 {
        rig.account(P, "-1");
        rig.wait_ms(501);
    }
    assert_eq!(qty_of(&rig, 1), Qty::ZERO, "it cannot have sold more than one");
    rig.fill(2, "g", "1", "100.11");
    rig.close(3, "0");
    assert_eq!(rig.net(), Qty::ZERO);
    rig.assert_replay();
}

#[test]
fn what_was_shown_before_an_order_left_is_not_its_doing() {
    let mut rig = held();
    rig.account(P, "0");
    exit(&mut rig);
    rig.fill(2, "g", "1", "100.11");
    rig.wait_ms(501);
    rig.account(P, "0");
    assert_eq!(qty_of(&rig, 1), Qty::ZERO, "the fill of the other leg makes this read no older");
    rig.close(3, "0");
    rig.assert_home();
}

#[test]
fn a_read_that_may_lag_does_not_speak_against_an_order_that_left_after_it() {
    let mut rig = Rig::new();
    rig.opened();
    rig.wait_ms(4_900);
    rig.account(P, "0");
    rig.quotes();
    exit(&mut rig);
    rig.wait_ms(600);
    rig.account(P, "0");
    assert_eq!(qty_of(&rig, 1), qty("1"));
    rig.fill(2, "g", "1", "100.11");
    rig.fill(3, "g", "1", "100.10");
    rig.assert_home();
}

#[test]
fn a_venue_in_doubt_is_asked_until_it_has_answered_and_nothing_is_opened_meanwhile() {
    let mut rig = Rig::new();
    late_fill(&mut rig);
    rig.wait_ms(30_000);
    rig.quotes();
    rig.asks.clear();
    rig.wait_ms(501);
    assert!(rig.asks.contains(&Ask::Account { venue: P }), "no answer has come");
    rig.enter();
    assert!(rig.sent.is_empty());
    rig.account(P, "0");
    rig.asks.clear();
    rig.wait_ms(501);
    assert!(rig.asks.is_empty());
    rig.enter();
    assert_eq!(rig.sent.len(), 2);
}

/// Mostly it is a copy of what a query has told: whether it is more, the position says.
#[test]
fn the_event_of_a_fill_that_is_booked_calls_nobody() {
    let mut rig = Rig::new();
    late_fill(&mut rig);
    rig.account(P, "0");
    rig.wait_ms(501);
    assert_eq!(rig.logged(|kind| matches!(kind, RecordKind::Alarm { .. })), 0);
    assert_eq!(rig.core.mode(), Mode::Active);
    late_fill(&mut rig);
    rig.account(P, "1");
    assert_eq!(rig.core.mode(), Mode::Halted, "it was more");
}

#[test]
fn a_late_fill_of_which_no_position_tells_calls_a_person_once() {
    let mut rig = Rig::new();
    late_fill(&mut rig);
    let alarms = |rig: &Rig| rig.logged(|kind| matches!(kind, RecordKind::Alarm { .. }));
    rig.wait_ms(5_000);
    assert_eq!(alarms(&rig), 0, "it may be a copy");
    rig.wait_ms(2);
    assert_eq!(alarms(&rig), 1);
    rig.wait_ms(5_000);
    assert_eq!(alarms(&rig), 1);
}

/// The end of an acknowledged order may be known and lost on the way: it is asked for before the order is cancelled.
#[test]
fn an_order_without_an_end_is_asked_for_at_half_its_time() {
    let mut rig = held();
    exit(&mut rig);
    rig.ack(2);
    rig.fill(3, "g", "1", "100.10");
    rig.asks.clear();
    rig.wait_ms(499);
    assert!(!rig.asks.iter().any(|ask| matches!(ask, Ask::Order { .. })), "most have ended by then");
    rig.wait_ms(3);
    assert!(rig.asks.iter().any(|ask| matches!(ask, Ask::Order { .. })));
    assert_eq!(rig.cancels, 0);
    rig.report(2, "1", true);
    rig.assert_home();
}

#[test]
fn a_late_fill_is_believed_at_first_sight_however_late_that_comes() {
    let mut rig = Rig::new();
    late_fill(&mut rig);
    rig.wait_ms(30_000);
    rig.account(P, "1");
    assert!(rig.journal.iter().any(|entry| matches!(entry, Entry::Adjusted { .. })));
    assert_eq!((rig.sent[0].venue, rig.sent[0].side, rig.sent[0].reduce_only), (P, Side::Sell, true));
    rig.fill(0, "u", "1", "99.98");
    rig.assert_home();
}

#[test]
fn a_late_fill_lends_no_belief_to_a_read_that_shows_what_was_held_a_moment_ago() {
    let mut rig = held();
    exit(&mut rig);
    rig.fill(2, "g", "1", "100.11");
    rig.fill(3, "g", "1", "100.10");
    late_fill(&mut rig);
    rig.wait_ms(1_000);
    rig.account(P, "1");
    rig.wait_ms(1_000);
    rig.account(P, "1");
    assert_eq!(rig.sent.len(), 4, "the exit has closed that");
    rig.account(P, "2");
    assert_eq!(rig.sent.len(), 4, "nor is that what has filled late beside it");
    rig.account(P, "-1");
    assert_eq!(rig.sent.len(), 5, "that was never held: it is what has filled late");
}

/// What a journal segment begins with does not tell since when that is held: for five seconds a read may be older.
#[test]
fn a_start_that_follows_another_at_once_believes_no_old_read() {
    let mut rig = held();
    restart(&mut rig, Mode::Active);
    restart(&mut rig, Mode::Active);
    late_fill(&mut rig);
    rig.wait_ms(1_000);
    rig.account(P, "0");
    assert_eq!(qty_of(&rig, 1), qty("1"));
    rig.wait_ms(5_000);
    rig.account(P, "0");
    assert_eq!(qty_of(&rig, 1), Qty::ZERO);
}

#[test]
fn nothing_is_brought_beside_a_leg_that_its_venue_does_not_show() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(0, "f", "1", "100.30");
    rig.account(V, "0");
    rig.reject(1, RejectClass::Definitive);
    assert_eq!(
        rig.sent[2].purpose,
        Purpose::Unwind,
        "it may be gone: what closes is refused then, and no more"
    );
    rig.reject(2, RejectClass::RetryLater);
    rig.account(V, "-1");
    rig.wait_ms(1_100);
    rig.quotes();
    rig.wait_ms(1);
    assert_eq!((rig.sent[3].purpose, rig.sent[3].venue), (Purpose::Complete, P));
    rig.fill(3, "g", "1", "100.03");
    rig.assert_home();
}

#[test]
fn positions_without_money_leave_the_money_that_was_known() {
    let mut rig = Rig::new();
    let (equity, free) = (usd(900), usd(10));
    rig.event(P, TraderEvent::Account { equity, free });
    let old =
        AccountReport { equity: usd(1_000), free_margin: usd(1_000), money_age_ms: 1, ..Default::default() };
    rig.account_report(P, old);
    let told = rig.logs.iter().rev().find_map(|kind| match *kind {
        RecordKind::Margin { venue: P, free, .. } => Some(free),
        _ => None,
    });
    assert_eq!(told, Some(free.ratio(equity)));
}
