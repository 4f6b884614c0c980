//! What the failure tests of the order path brought to light, stepped by hand.

use bot4::types::order::Reason;
use bot4::types::record::Role;
use bot4::types::report::{Ask, Fact, TraderEvent};
use bot4::types::*;

use crate::ladder::halt_market;
use crate::rig::*;

#[test]
fn a_missing_leg_is_tried_three_times_and_no_more() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(0, "f", "1", "100.30");
    rig.reject(1, RejectClass::Definitive);
    while rig.sent.last().unwrap().purpose == Purpose::Complete {
        rig.reject(rig.sent.len() - 1, RejectClass::Definitive);
        rig.wait_ms(1_100);
        rig.quotes();
        rig.wait_ms(1);
    }
    assert_eq!(rig.sent.len(), 2 + 3 + 1, "three tries, then the unwind");
    let tries = |kind: &RecordKind| matches!(kind, RecordKind::Retry { attempt, max, .. } if attempt <= max);
    assert_eq!(rig.logged(tries), 3);
    rig.fill(5, "u", "1", "100.36");
    rig.assert_home();
}

#[test]
fn a_venue_that_says_later_does_not_hold_up_the_other_way_home() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(0, "f", "1", "100.30");
    rig.reject(1, RejectClass::RetryLater);
    assert_eq!((rig.sent[2].purpose, rig.sent[2].venue), (Purpose::Unwind, V), "at once");
    rig.fill(2, "u", "1", "100.36");
    rig.assert_home();
}

#[test]
fn a_leg_that_waits_for_an_order_without_an_outcome_is_told() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(0, "f", "1", "100.30");
    rig.reject(1, RejectClass::Ambiguous);
    let alarms = |rig: &Rig| rig.logged(|kind| matches!(kind, RecordKind::Alarm { .. }));
    rig.wait_ms(4_900);
    assert_eq!((rig.sent.len(), alarms(&rig)), (2, 0), "nothing more may leave, and nobody is called yet");
    rig.wait_ms(200);
    assert_eq!((rig.sent.len(), alarms(&rig)), (2, 1));
    rig.wait_ms(5_100);
    assert_eq!((alarms(&rig), rig.core.mode()), (2, Mode::Active));
}

#[test]
fn a_halted_engine_unwinds_rather_than_completes() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(0, "f", "1", "100.30");
    rig.reject(1, RejectClass::Halt);
    assert_eq!(rig.core.mode(), Mode::Halted);
    assert_eq!((rig.sent[2].purpose, rig.sent[2].venue), (Purpose::Unwind, V));
    rig.fill(2, "u", "1", "100.36");
    rig.assert_home();
}

/// 0.05 at about 100 USD is below both venues' minimum of 10 USD.
#[test]
fn a_difference_too_small_to_trade_leaves_with_the_close() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(0, "f", "1", "100.30");
    rig.fill(1, "f", "0.95", "100.02");
    rig.close(1, "0.95");
    assert_eq!(rig.sent.len(), 2, "nothing that the venue would refuse is sent");
    assert!(matches!(rig.exposure, ExposureState::Held { .. }));
    rig.wait_ms(1_000);
    assert_eq!(rig.core.mode(), Mode::Active);
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    assert_eq!([rig.sent[2].qty, rig.sent[3].qty], [qty("1"), qty("0.95")], "each leg closes whole");
    rig.fill(2, "g", "1", "100.11");
    rig.fill(3, "g", "0.95", "100.10");
    rig.assert_home();
    assert!(rig.core.pairs()[0].book.is_flat());
}

#[test]
fn an_order_that_was_called_dead_and_fills_is_adopted() {
    let mut rig = Rig::new();
    rig.enter();
    rig.reject(0, RejectClass::Definitive);
    rig.fill(0, "late", "1", "100.30");
    assert_eq!(rig.core.mode(), Mode::Halted, "what proved it dead was wrong");
    assert_eq!(rig.logged(|kind| matches!(kind, RecordKind::Alarm { .. })), 1);
    rig.fill(1, "f", "1", "100.02");
    assert_eq!(rig.sent.len(), 2, "the legs match: nothing is left to mend");
    assert!(matches!(rig.exposure, ExposureState::Held { .. }), "it closes in every mode");
    rig.assert_home();
}

#[test]
fn a_lost_cancel_is_sent_again() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(1, "f", "1", "100.02");
    rig.ack(0);
    rig.wait_ms(1_100);
    assert_eq!(rig.cancels, 1);
    rig.wait_ms(1_100);
    assert_eq!(rig.cancels, 2);
    rig.fill(0, "f", "1", "100.30");
    rig.assert_home();
}

#[test]
fn only_private_calls_tell_whether_closes_may_leave_over_rest() {
    let mut rig = Rig::new();
    rig.opened();
    rig.event(P, TraderEvent::Ready(false));
    assert!(!rig.core.takes_closes(P), "nothing has answered since");
    rig.account(P, "1");
    assert!(rig.core.takes_closes(P));
    let after = |rig: &mut Rig, fact: Fact| {
        rig.account(P, "1");
        rig.fact(fact);
        rig.core.takes_closes(P)
    };
    let (venue, pair) = (P, PairId(0));
    let past = Ask::PastOrders { venue, since_ms: 0 };
    for ask in [
        Ask::Book { venue, pair },
        Ask::Rules { venue },
        Ask::Link { venue, role: Role::Orders, after: report::After::Nothing },
        past,
    ] {
        assert!(after(&mut rig, Fact::Failed { ask }), "{ask:?}");
    }
    let spec = rig.sent[1];
    for ask in [Ask::Account { venue }, Ask::CancelAll { venue, pair }, Ask::Place { spec }] {
        assert!(!after(&mut rig, Fact::Failed { ask }), "{ask:?}");
    }
    for (class, takes) in [(RejectClass::Definitive, true), (RejectClass::RetryLater, false)] {
        let news = OrderNews::Rejected(Reject { class, code: Reason::cut("TEST") });
        assert_eq!(after(&mut rig, Fact::Placed { venue, id: spec.id, news }), takes, "{class:?}");
    }
}

#[test]
fn a_venue_where_closes_wait_for_rest_is_asked_soon_and_not_at_each_tick() {
    let mut rig = Rig::new();
    let asked = |rig: &mut Rig, ms: u64| {
        rig.asks.clear();
        rig.wait_ms(ms);
        rig.asks.iter().filter(|ask| **ask == Ask::Account { venue: P }).count()
    };
    rig.event(P, TraderEvent::Ready(false));
    assert_eq!(asked(&mut rig, 1_000), 0, "nothing is held");
    let mut rig = Rig::new();
    rig.opened();
    rig.event(P, TraderEvent::Ready(false));
    assert_eq!(rig.asks.last(), Some(&Ask::Account { venue: P }), "at once");
    assert_eq!(asked(&mut rig, 1_000), 3);
    rig.account(P, "1");
    assert!(rig.core.takes_closes(P));
    assert_eq!(asked(&mut rig, 1_000), 0, "it has answered");
}

/// The wish has waited in its ring while the news came.
#[test]
fn a_wish_of_before_the_market_shut_is_not_followed() {
    let exit = |rig: &mut Rig| {
        rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
        rig.sent.len()
    };
    let shut: [fn(&mut Rig); 3] = [
        |rig| halt_market(rig, MarketStatus::Halted),
        |rig| rig.fact(Fact::Mode { venue: P, mode: VenueMode::CancelOnly }),
        |rig| rig.event(P, TraderEvent::Ready(false)),
    ];
    for shut in shut {
        let mut rig = Rig::new();
        rig.opened();
        shut(&mut rig);
        assert_eq!(exit(&mut rig), 2);
    }
    // Of a state that no sheet knows nobody can say that it takes no closes.
    let mut rig = Rig::new();
    rig.opened();
    rig.fact(Fact::Mode { venue: P, mode: VenueMode::Untold });
    assert_eq!(exit(&mut rig), 4);
}

/// A venue that names a time is heeded, by a close for two seconds at most: a lone leg has to come home.
#[test]
fn a_close_that_is_put_off_waits_as_long_as_the_venue_asks_up_to_two_seconds() {
    for (asked, pause_ms) in [(None, 1_000), (Some(1), 1_000), (Some(1_500), 1_500), (Some(60_000), 2_000)] {
        let mut rig = Rig::new();
        rig.opened();
        rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
        rig.fill(3, "g", "1", "100.10");
        if let Some(for_ms) = asked {
            rig.event(V, TraderEvent::Limited { for_ms });
        }
        rig.reject(2, RejectClass::RetryLater);
        let from = rig.now;
        while rig.sent.len() == 4 {
            rig.wait_ms(10);
            rig.quotes();
        }
        let took_ms = rig.now.ms_since(from);
        assert_eq!(rig.sent[4].venue, V, "{asked:?}");
        assert!((pause_ms..pause_ms + 50).contains(&took_ms), "{asked:?} after {took_ms} ms");
    }
}

#[test]
fn nothing_is_opened_for_as_long_as_a_venue_asks() {
    for (later_ms, orders) in [(28_000, 0), (31_000, 2)] {
        let mut rig = Rig::new();
        rig.event(V, TraderEvent::Limited { for_ms: 30_000 });
        rig.later_ms(later_ms);
        rig.quotes();
        rig.enter();
        assert_eq!(rig.sent.len(), orders, "after {later_ms} ms");
    }
}
