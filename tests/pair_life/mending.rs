//! One leg too many, or an outcome that is not known: the ways home.

use bot4::journal::entry::Entry;
use bot4::order::core::{Core, Effects, Start};
use bot4::position::Adjustment;
use bot4::types::order::Reason;
use bot4::types::report::{Ask, TraderEvent};
use bot4::types::settings::Legs;
use bot4::types::*;

use crate::rig::*;

#[test]
fn one_leg_rejected_definitively_is_retried_then_unwound() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(0, "f", "1", "100.30");
    rig.reject(1, RejectClass::Definitive);
    assert_eq!(rig.sent.len(), 3, "the mending order leaves at once");
    for attempt in 2..5 {
        assert_eq!(rig.sent[attempt].purpose, Purpose::Complete);
        assert_eq!(rig.sent[attempt].venue, P);
        rig.reject(attempt, RejectClass::Definitive);
        rig.wait_ms(1_100);
        rig.quotes();
        rig.wait_ms(1);
    }
    let unwind = rig.sent.len() - 1;
    assert!(rig.logged(|kind| matches!(kind, RecordKind::Retry { .. })) >= 3);
    let last = rig.sent[unwind];
    if last.purpose == Purpose::Complete {
        rig.reject(unwind, RejectClass::Definitive);
        rig.wait_ms(1_100);
    }
    let last = rig.sent.len() - 1;
    assert_eq!((rig.sent[last].purpose, rig.sent[last].venue), (Purpose::Unwind, V));
    assert!(rig.sent[last].reduce_only);
    rig.fill(last, "u", "1", "100.36");
    rig.assert_home();
    assert!(rig.core.pairs()[0].book.is_flat());
    assert!(rig.core.totals().ledger.unwinds.raw() < 0);
}

#[test]
fn a_missing_leg_that_has_run_away_is_not_chased() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(0, "f", "1", "100.30");
    rig.quote(P, "101.00", "101.04");
    rig.reject(1, RejectClass::Definitive);
    assert_eq!((rig.sent[2].purpose, rig.sent[2].side), (Purpose::Unwind, Side::Buy));
    rig.fill(2, "u", "1", "100.36");
    rig.assert_home();
}

#[test]
fn missed_unwinds_widen_the_collar_and_never_end() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(0, "f", "1", "100.30");
    rig.quote(P, "103.00", "103.04");
    rig.reject(1, RejectClass::Definitive);
    let mut limits = Vec::new();
    for _ in 0..8 {
        let last = rig.sent.len() - 1;
        limits.push(rig.sent[last].limit);
        rig.close(last, "0");
        rig.wait_ms(1_100);
    }
    assert!(limits.windows(2).all(|pair| pair[0] <= pair[1]), "{limits:?}");
    assert_eq!(limits[0], price("100.56"), "20 bps beyond the ask");
    assert_eq!(limits[7], price("102.36"), "never beyond 200 bps");
    let last = rig.sent.len() - 1;
    rig.fill(last, "u", "1", "102.00");
    rig.assert_home();
}

/// What was decided is then further from the price than the gate lets any order reach.
#[test]
fn a_missing_leg_that_has_become_much_cheaper_is_brought_within_reach_of_the_gate() {
    let mut rig = Rig::new();
    rig.enter();
    rig.quote(P, "97.00", "97.04");
    rig.fill(0, "f", "1", "100.30");
    rig.reject(1, RejectClass::Definitive);
    assert_eq!((rig.sent[2].purpose, rig.sent[2].venue), (Purpose::Complete, P));
    assert!(rig.sent[2].limit <= price("98.99"), "2 % at most: {}", rig.sent[2].limit);
    rig.fill(2, "g", "1", "97.04");
    rig.assert_home();
}

#[test]
fn a_partial_fill_is_matched_by_completing_the_rest() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(0, "f", "1", "100.30");
    rig.fill(1, "a", "0.4", "100.02");
    rig.close(1, "0.4");
    assert_eq!((rig.sent[2].purpose, rig.sent[2].qty), (Purpose::Complete, qty("0.6")));
    rig.fill(2, "b", "0.6", "100.03");
    rig.assert_home();
    assert!(matches!(rig.exposure, ExposureState::Held { qty: held, .. } if held == qty("1")));
}

#[test]
fn both_partial_is_cut_to_the_smaller_when_the_rest_cannot_be_had() {
    let mut rig = Rig::new();
    rig.enter();
    rig.quote(P, "101.00", "101.04");
    rig.fill(0, "f", "0.7", "100.30");
    rig.close(0, "0.7");
    rig.fill(1, "a", "0.4", "100.02");
    rig.close(1, "0.4");
    assert_eq!((rig.sent[2].purpose, rig.sent[2].venue, rig.sent[2].qty), (Purpose::Unwind, V, qty("0.3")));
    rig.fill(2, "u", "0.3", "100.36");
    rig.assert_home();
    assert!(matches!(rig.exposure, ExposureState::Held { qty: held, .. } if held == qty("0.4")));
}

#[test]
fn ack_lost_and_filled_is_found_by_query_and_never_sent_again() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(1, "f", "1", "100.02");
    rig.wait_ms(1_600);
    assert_eq!(rig.logged(|kind| matches!(kind, RecordKind::OrderUnknown { .. })), 1);
    assert_eq!(rig.sent.len(), 2, "an unknown order is not sent again");
    rig.wait_ms(300);
    assert!(rig.asks.iter().any(|ask| matches!(ask, Ask::Order { venue, .. } if *venue == V)));
    rig.report(0, "1", true);
    rig.assert_home();
    assert!(matches!(rig.exposure, ExposureState::Held { .. }));
}

#[test]
fn ack_lost_and_not_accepted_is_dead_only_after_window_reads_and_position() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(1, "f", "1", "100.02");
    rig.not_found(0);
    rig.not_found(0);
    rig.wait_ms(100);
    assert_eq!(rig.sent.len(), 2, "inside the window nothing is proven");
    rig.wait_ms(2_000);
    rig.not_found(0);
    rig.not_found(0);
    assert_eq!(rig.sent.len(), 2, "the position has not been read");
    rig.quotes();
    rig.account(V, "0");
    assert_eq!(rig.sent.len(), 3, "now it is dead and the lone leg is mended");
    let mend = rig.sent[2];
    let at = if mend.side == Side::Buy { "100.36" } else { "100.29" };
    rig.fill(2, "m", "1", at);
    rig.assert_home();
}

/// A close without an answer, whose venue shows ours and a stranger's share; that was seen before it left, or after.
fn dead_beside_a_stranger(known_before: bool) -> bool {
    let mut rig = Rig::new();
    rig.opened();
    rig.later_ms(6_000);
    let appears = |rig: &mut Rig| {
        (0..2).for_each(|_| {
            rig.account(V, "-3");
            rig.wait_ms(501);
        });
        assert!(rig.core.pairs()[0].foreign[0]);
    };
    if known_before {
        appears(&mut rig);
        rig.quotes();
    }
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    rig.fill(3, "g", "1", "100.10");
    rig.reject(2, RejectClass::Ambiguous);
    rig.wait_ms(2_000);
    rig.not_found(2);
    rig.not_found(2);
    rig.account(V, "-2");
    assert_eq!(rig.sent.len(), 4, "it may have filled");
    if !known_before {
        rig.wait_ms(6_000);
        appears(&mut rig);
    }
    rig.quotes();
    rig.account(V, "-3");
    rig.sent.len() > 4
}

#[test]
fn a_share_that_was_known_before_an_order_left_and_is_the_same_says_that_nothing_filled() {
    assert!(dead_beside_a_stranger(true));
    assert!(!dead_beside_a_stranger(false), "it may hide a fill");
}

/// An open pair, and Vest shows this of both, ours and a stranger's.
fn opened_beside(shown: &str) -> Rig {
    let mut rig = Rig::new();
    rig.opened();
    rig.later_ms(6_000);
    for _ in 0..2 {
        rig.account(V, shown);
        rig.wait_ms(501);
    }
    rig
}

/// A stranger is four short at Vest, where we hold one: the position of both is three short.
fn one_beside_four_short() -> Rig {
    let mut rig = opened_beside("-5");
    assert_eq!(rig.core.pairs()[0].strangers[0], qty("-4"));
    // The pair turns round beside it, as it does when closes are taken back and the leg is hedged again.
    for (leg, side) in [(0, Side::Buy), (1, Side::Sell)] {
        let by = Adjustment { leg, side, qty: qty("2"), price: price("100.16") };
        rig.core.recover(&Entry::Adjusted { pair: PairId(0), by, at: rig.now });
    }
    rig
}

fn held(rig: &Rig) -> [Qty; 2] {
    rig.core.pairs()[0].book.legs.map(|leg| leg.qty)
}

/// The position of both is short, whichever way round ours is.
#[test]
fn a_share_the_other_way_round_that_was_known_takes_none_of_a_leg_that_hedges() {
    let mut rig = one_beside_four_short();
    for _ in 0..3 {
        rig.wait_ms(6_000);
        rig.account(V, "-3");
        assert_eq!(held(&rig), [qty("1"), qty("-1")], "four short of a stranger's and one long of ours");
    }
    assert_eq!(rig.sent.len(), 2, "nothing is mended");
    assert_eq!(rig.core.pairs()[0].strangers[0], qty("-4"));
}

/// Nothing of it can be closed there, and what cannot be closed is no leg to wait with.
#[test]
fn a_leg_that_a_larger_share_hides_has_gone_once_it_is_alone() {
    let mut rig = one_beside_four_short();
    let by = Adjustment { leg: 1, side: Side::Buy, qty: qty("1"), price: price("100.16") };
    rig.core.recover(&Entry::Adjusted { pair: PairId(0), by, at: rig.now });
    for _ in 0..3 {
        rig.wait_ms(6_000);
        if rig.sent.len() > 2 {
            rig.reject(rig.sent.len() - 1, RejectClass::Definitive);
        }
        rig.account(V, "-3");
    }
    assert_eq!(held(&rig), [Qty::ZERO; 2]);
    assert_eq!(rig.core.pairs()[0].strangers[0], qty("-3"), "no more than the position is a stranger's");
}

/// Of a leg that a smaller share the other way round takes from, what is left can be closed.
#[test]
fn a_smaller_share_the_other_way_round_takes_its_part_of_our_leg() {
    let mut rig = one_beside_four_short();
    for (leg, side) in [(0, Side::Buy), (1, Side::Sell)] {
        let by = Adjustment { leg, side, qty: qty("5"), price: price("100.16") };
        rig.core.recover(&Entry::Adjusted { pair: PairId(0), by, at: rig.now });
    }
    for _ in 0..2 {
        rig.wait_ms(6_000);
        rig.account(V, "2");
    }
    assert_eq!(held(&rig)[0], qty("2"), "six of ours, four short of a stranger's");
    let pair = &rig.core.pairs()[0];
    assert_eq!(
        (pair.strangers[0], pair.foreign[0]),
        (Qty::ZERO, false),
        "nothing of it is left for the next read"
    );
}

/// This order is in doubt, twice no list has it, and Vest goes on showing one short.
fn nobody_knows(rig: &mut Rig, order: usize) {
    rig.reject(order, RejectClass::Ambiguous);
    rig.wait_ms(2_000);
    for _ in 0..2 {
        rig.not_found(order);
        rig.quotes();
        rig.account(V, "-1");
    }
}

/// One of a stranger's is what is left once a close of one is filled: the same as ours before it.
#[test]
fn a_share_that_may_hide_a_fill_is_no_proof_that_an_order_never_arrived() {
    let mut rig = opened_beside("-2");
    rig.quotes();
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    rig.fill(3, "g", "1", "100.10");
    nobody_knows(&mut rig, 2);
    assert_eq!(rig.sent.len(), 4, "it may have filled");
    assert_eq!(rig.core.pairs()[0].strangers[0], qty("-1"));
    rig.later_ms(26_000);
    let older = rig.now;
    rig.quotes();
    rig.account(V, "-1");
    rig.stated(V, older, "-2");
    (0..3).for_each(|_| rig.not_found(2));
    assert_eq!(rig.core.pairs()[0].strangers[0], Qty::ZERO, "it has not, and the share is gone");
    rig.wait_ms(1_001);
    assert_eq!((rig.sent.len(), rig.sent[4].venue), (5, V));
    nobody_knows(&mut rig, 4);
    rig.wait_ms(1_001);
    assert_eq!(rig.sent.len(), 6, "no share hides what the next one does");
}

/// Reads lag: the last statement was asked for too soon after the end of the order, or after a change of ours.
#[test]
fn a_statement_that_may_lag_behind_an_order_or_a_change_of_ours_tells_no_share() {
    for waited_ms in [0, 15_000] {
        let mut rig = opened_beside("-2");
        rig.quotes();
        rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
        nobody_knows(&mut rig, 2);
        rig.wait_ms(waited_ms);
        if waited_ms > 0 {
            let by = Adjustment { leg: 0, side: Side::Buy, qty: qty("1"), price: price("100.16") };
            rig.core.recover(&Entry::Adjusted { pair: PairId(0), by, at: rig.now });
            rig.account(V, "-3");
        }
        rig.wait_ms(26_000 - waited_ms);
        (0..3).for_each(|_| rig.not_found(2));
        assert!(!rig.core.pairs()[0].live_orders().any(|order| order.leg == 0), "it is called dead");
        assert_eq!(rig.core.pairs()[0].strangers[0], qty("-1"), "the share is what it was");
    }
}

/// What leg 0 holds once both legs have moved by `by`, its venue then telling of a liquidation and showing this.
fn left_after(by: [(Side, &str); 2], shown: &str) -> Qty {
    let mut rig = Rig::new();
    rig.opened();
    rig.later_ms(6_000);
    for (leg, (side, amount)) in by.into_iter().enumerate() {
        let by = Adjustment { leg: leg as u8, side, qty: qty(amount), price: price("100") };
        rig.core.recover(&Entry::Adjusted { pair: PairId(0), by, at: rig.now });
    }
    rig.event(V, TraderEvent::Liquidation);
    rig.account(V, shown);
    rig.core.pairs()[0].book.legs[0].qty
}

/// A read that is older than our last change shows no more gone than what was held before it explains.
#[test]
fn no_more_of_a_leg_is_gone_than_a_read_from_before_its_last_fill_would_show() {
    assert_eq!(left_after([(Side::Sell, "0.1"), (Side::Buy, "0.1")], "-0.5"), qty("-0.6"));
    assert_eq!(left_after([(Side::Buy, "3"), (Side::Sell, "3")], "0"), Qty::ZERO, "the leg had turned round");
}

/// Acknowledged, in doubt because its cancel was answered strangely, and not known to any read since.
fn acknowledged_and_missing() -> Rig {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(1, "f", "1", "100.02");
    rig.ack(0);
    rig.wait_ms(1_100);
    rig.reject(0, RejectClass::Ambiguous);
    rig.wait_ms(1_000);
    rig.not_found(0);
    rig.not_found(0);
    rig.account(V, "0");
    assert!(rig.core.pairs()[0].has_live_orders(), "it did arrive: the reads lag");
    rig
}

#[test]
fn what_was_acknowledged_is_not_dead_for_reads_that_lag() {
    let mut rig = acknowledged_and_missing();
    assert_eq!(rig.sent.len(), 2, "its leg may be filled");
    rig.report(0, "1", true);
    rig.assert_home();
    assert!(matches!(rig.exposure, ExposureState::Held { .. }));
}

#[test]
fn what_its_venue_lost_for_good_is_dead_after_reads_that_no_lag_outlives() {
    let mut rig = acknowledged_and_missing();
    (0..17).for_each(|_| rig.not_found(0));
    assert!(rig.core.pairs()[0].has_live_orders(), "soon after its window");
    rig.wait_ms(25_000);
    rig.quotes();
    rig.not_found(0);
    assert_eq!(rig.sent.len(), 3, "the lone leg is mended");
}

#[test]
fn an_acknowledgement_outlives_segments_and_restarts() {
    let rig = acknowledged_and_missing();
    let mut core = Core::new(settings(Legs::Together));
    for epoch in 2..4 {
        let before = if epoch == 2 { &rig.core } else { &core };
        let segment = before.snapshot(epoch, 0, rig.now);
        core = Core::new(settings(Legs::Together));
        segment.iter().for_each(|entry| core.recover(entry));
        let start = Start { epoch: epoch + 1, mode: Mode::Active, paper: false };
        core.start(rig.now, start, &mut Effects::new());
        let order = core.pairs()[0].orders[0].as_ref().unwrap();
        assert_eq!((order.state, order.is_acknowledged()), (OrderState::Unknown, true));
    }
}

#[test]
fn a_fill_told_twice_counts_once() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(1, "f", "0.4", "100.02");
    rig.fill(1, "f", "0.4", "100.02");
    rig.fill(1, "g", "0.6", "100.02");
    rig.fill(0, "h", "1", "100.30");
    rig.fill(0, "h", "1", "100.30");
    rig.assert_home();
}

#[test]
fn an_acknowledged_order_without_outcome_is_cancelled_and_then_resolved() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(1, "f", "1", "100.02");
    rig.ack(0);
    rig.wait_ms(1_100);
    assert_eq!(rig.cancels, 1);
    rig.wait_ms(300);
    rig.report(0, "1", false);
    assert!(rig.core.pairs()[0].has_live_orders());
    rig.report(0, "1", true);
    rig.assert_home();
}

#[test]
fn a_socket_lost_with_orders_in_flight_asks_at_once() {
    let mut rig = Rig::new();
    rig.enter();
    rig.asks.clear();
    let down = TraderEvent::LinkDown { role: record::Role::Orders, why: Reason::cut("reset") };
    rig.event(P, down);
    rig.wait_ms(2);
    assert!(rig.asks.iter().any(|ask| matches!(ask, Ask::Order { venue, .. } if *venue == P)));
    rig.report(1, "1", true);
    rig.fill(0, "h", "1", "100.30");
    rig.assert_home();
}

#[test]
fn with_one_venue_down_the_other_unwinds() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(0, "f", "1", "100.30");
    rig.event(P, TraderEvent::Ready(false));
    rig.reject(1, RejectClass::Definitive);
    assert_eq!((rig.sent[2].purpose, rig.sent[2].venue), (Purpose::Unwind, V));
    rig.fill(2, "u", "1", "100.36");
    rig.assert_home();
}

#[test]
fn a_pair_is_closed_over_rest_while_the_order_connection_is_down() {
    let mut rig = Rig::new();
    rig.opened();
    for (venue, held) in [(P, "1"), (V, "-1")] {
        rig.event(venue, TraderEvent::Ready(false));
        assert_eq!(rig.exposure, ExposureState::Blocked, "nobody there has answered yet");
        rig.account(venue, held);
        assert!(matches!(rig.exposure, ExposureState::Held { .. }), "closing orders have another way");
    }
}

#[test]
fn the_uncertain_leg_may_go_first() {
    let mut rig = Rig::with(Legs::First(V));
    rig.enter();
    assert_eq!(rig.sent.iter().map(|spec| spec.venue).collect::<Vec<_>>(), [V]);
    rig.fill(0, "f", "1", "100.30");
    assert_eq!((rig.sent[1].venue, rig.sent[1].purpose), (P, Purpose::Complete));
    rig.fill(1, "g", "1", "100.02");
    let pair = &rig.core.pairs()[0];
    assert_eq!(pair.book.net(), Qty::ZERO);
    assert!(matches!(rig.exposure, ExposureState::Held { .. }));
}
