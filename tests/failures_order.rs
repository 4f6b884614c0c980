//! One order goes wrong in its answer or in its execution: refused with each class of code, filled in part, delayed,
//! lost. The real binary on both simulated venues; in the end no leg is alone, no order was sent twice, none is open,
//! and the ledger agrees with the venues.

mod common;

use bot4_sim::control::VenueName::{self, Paradex, Vest};
use bot4_sim::core::fault::{Action, Class, Rule};
use common::Bench;
use common::bench::{PARADEX, VEST};
use common::trouble::{VENUES, late_reject, name, reject};

/// One entry order is refused; a pair comes to stand all the same, and closes.
fn one_leg_refused(venue: VenueName, action: Action, class: &str) {
    let mut bench = Bench::new();
    bench.start();
    bench.fault_opening(venue, 1, action);
    bench.gap_bps(60);
    let line = bench.wait_at(venue, "ORDER_REJECTED");
    assert_eq!(line["class"], class, "{line}");
    bench.open_through_trouble();
    bench.close_and_settle();
}

/// A refusal that needs a person: the lone leg is mended all the same, and no entry follows.
fn one_leg_refused_for_good(venue: VenueName, action: Action) {
    let mut bench = Bench::new();
    bench.spawn(&["--live", "--auto-resume", "--flatten-on-stop"]);
    bench.wait_for("STARTED");
    bench.fault_opening(venue, 1, action);
    bench.gap_bps(60);
    bench.wait_for("HALT");
    bench.wait_for("MENDED");
    let intents = |bench: &Bench| {
        let entry =
            |line: &&common::bench::Line| line["event_type"] == "ORDER_PLACED" && line["purpose"] == "enter";
        bench.log.iter().filter(entry).count()
    };
    bench.stop_and_settle();
    assert_eq!(intents(&bench), 2, "an entry after the halt:\n{}", bench.tail());
}

#[test]
fn vest_refuses_one_leg_definitively() {
    one_leg_refused(Vest, reject("3002"), "too_large");
}

#[test]
fn vest_refuses_one_leg_definitively_after_its_ack() {
    one_leg_refused(Vest, late_reject("3001"), "definitive");
}

#[test]
fn paradex_refuses_one_leg_definitively() {
    one_leg_refused(Paradex, reject("INVALID_ORDER_SIZE"), "too_large");
}

#[test]
fn paradex_refuses_one_leg_definitively_after_its_ack() {
    one_leg_refused(Paradex, late_reject("NOT_ENOUGH_MARGIN"), "too_large");
}

#[test]
fn vest_is_closed_for_one_leg() {
    one_leg_refused(Vest, reject("1148"), "retry_later");
}

#[test]
fn vest_is_closed_for_one_leg_after_its_ack() {
    one_leg_refused(Vest, late_reject("3024"), "retry_later");
}

#[test]
fn paradex_is_closed_for_one_leg() {
    one_leg_refused(Paradex, reject("MARKET_NOT_OPEN"), "retry_later");
}

#[test]
fn vest_says_too_many_requests_to_one_leg() {
    one_leg_refused(Vest, reject("429"), "retry_later");
}

#[test]
fn paradex_says_too_many_requests_to_one_leg() {
    one_leg_refused(Paradex, reject("42901"), "retry_later");
}

#[test]
fn vest_refuses_one_leg_for_good() {
    one_leg_refused_for_good(Vest, reject("1099"));
}

#[test]
fn vest_refuses_one_leg_for_good_after_its_ack() {
    one_leg_refused_for_good(Vest, late_reject("3007"));
}

#[test]
fn paradex_refuses_one_leg_for_good() {
    one_leg_refused_for_good(Paradex, reject("INVALID_ORDER_SIGNATURE"));
}

#[test]
fn vest_refuses_one_leg_with_a_code_that_nobody_knows() {
    one_leg_refused(Vest, reject("9876"), "ambiguous");
}

#[test]
fn vest_refuses_one_leg_after_its_ack_with_a_code_that_nobody_knows() {
    one_leg_refused(Vest, late_reject("9876"), "ambiguous");
}

#[test]
fn paradex_refuses_one_leg_with_a_code_that_nobody_knows() {
    one_leg_refused(Paradex, reject("SOME_NEW_RULE"), "ambiguous");
}

/// A reason of no known meaning closes the order without a judgement: it is a miss like any other.
#[test]
fn paradex_ends_one_leg_after_its_ack_for_a_reason_that_nobody_knows() {
    one_leg_refused(Paradex, late_reject("SOME_NEW_RULE"), "definitive");
}

#[test]
fn vest_answers_one_leg_with_a_502_page() {
    one_leg_refused(Vest, reject("502"), "ambiguous");
}

#[test]
fn paradex_answers_one_leg_with_an_internal_error() {
    one_leg_refused(Paradex, reject("-32603"), "ambiguous");
}

/// Three refused tries at the missing leg, then the filled one is closed: with the words of stories 2.4 and 2.5.
fn completion_is_given_up(venue: VenueName, code: &str) {
    let mut bench = Bench::new();
    bench.start();
    bench.fault_opening(venue, 4, reject(code));
    bench.gap_bps(60);
    bench.wait_for("AUTO_CLOSE");
    bench.gap_bps(0);
    bench.wait_for("MENDED");
    for attempt in 1..=3 {
        assert!(bench.said(&format!("[RETRY] Order failed, attempt {attempt}/3...")), "{}", bench.tail());
    }
    assert!(!bench.said("[RETRY] Order failed, attempt 4/3..."));
    assert!(bench.said("[SAFETY] Auto-closing successful leg to avoid exposure"));
    bench.stop_and_settle();
}

#[test]
fn three_refused_tries_at_vest_end_in_closing_the_other_leg() {
    completion_is_given_up(Vest, "3002");
}

#[test]
fn three_refused_tries_at_paradex_end_in_closing_the_other_leg() {
    completion_is_given_up(Paradex, "INVALID_ORDER_SIZE");
}

#[test]
fn both_legs_refused_leave_nothing() {
    let mut bench = Bench::new();
    bench.start();
    bench.fault_opening(Vest, 1, reject("3001"));
    bench.fault_opening(Paradex, 1, reject("INVALID_ORDER_SIZE"));
    bench.open_through_trouble();
    assert_eq!(bench.count("MENDED"), 0, "there was nothing to mend");
    bench.close_and_settle();
}

/// `fills` = what each venue lets an entry order fill at most, at 1e-8; the pair's size is 0.002.
fn partially_filled(fills: &[(VenueName, i64)]) {
    let mut bench = Bench::new();
    bench.start();
    for (venue, size) in fills {
        bench.fault_opening(*venue, 1, Action::PartialFill { size: *size });
    }
    bench.open_through_trouble();
    assert_eq!(bench.faults_fired(), fills.len() as u64);
    bench.close_and_settle();
}

#[test]
fn vest_fills_half_of_one_leg() {
    partially_filled(&[(Vest, 100_000)]);
}

#[test]
fn paradex_fills_half_of_one_leg() {
    partially_filled(&[(Paradex, 100_000)]);
}

#[test]
fn vest_fills_one_lot_of_one_leg() {
    partially_filled(&[(Vest, 10_000)]);
}

#[test]
fn paradex_fills_one_lot_of_one_leg() {
    partially_filled(&[(Paradex, 1_000)]);
}

/// What is missing is too small to be sent: it stays a tracked residual until the close takes it along.
#[test]
fn vest_fills_all_but_one_lot() {
    partially_filled(&[(Vest, 190_000)]);
}

#[test]
fn paradex_fills_all_but_one_lot() {
    partially_filled(&[(Paradex, 199_000)]);
}

#[test]
fn both_legs_fill_in_part() {
    partially_filled(&[(Vest, 50_000), (Paradex, 123_000)]);
}

#[test]
fn both_legs_fill_one_lot() {
    partially_filled(&[(Vest, 10_000), (Paradex, 1_000)]);
}

/// One entry order whose fate has to be found out; `unknown` = it must have been in doubt.
fn fate_found_out(venue: VenueName, action: Action, unknown: bool) {
    let mut bench = Bench::new();
    bench.start();
    bench.fault_opening(venue, 1, action);
    bench.open_through_trouble();
    let doubts = |bench: &Bench| {
        let doubt = |line: &&common::bench::Line| {
            line["event_type"] == "ORDER_UNKNOWN" && line["exchange"] == name(venue)
        };
        bench.log.iter().filter(doubt).count()
    };
    assert!(!unknown || doubts(&bench) > 0, "never in doubt:\n{}", bench.tail());
    bench.close_and_settle();
}

#[test]
fn the_ack_of_vest_is_lost_and_the_order_filled() {
    fate_found_out(Vest, Action::DropAck, false);
}

#[test]
fn the_ack_of_paradex_is_lost_and_the_order_filled() {
    fate_found_out(Paradex, Action::DropAck, false);
}

#[test]
fn the_order_to_vest_is_lost() {
    fate_found_out(Vest, Action::DropRequest, true);
}

#[test]
fn the_order_to_paradex_is_lost() {
    fate_found_out(Paradex, Action::DropRequest, true);
}

#[test]
fn the_order_to_vest_is_late_but_in_its_window() {
    fate_found_out(Vest, Action::DelayRequest { ms: 250 }, false);
}

#[test]
fn the_order_to_paradex_is_late_but_in_its_window() {
    fate_found_out(Paradex, Action::DelayRequest { ms: 250 }, false);
}

#[test]
fn the_order_to_vest_comes_after_its_window() {
    fate_found_out(Vest, Action::DelayRequest { ms: 2_500 }, true);
}

#[test]
fn the_order_to_paradex_comes_after_its_window() {
    fate_found_out(Paradex, Action::DelayRequest { ms: 2_500 }, true);
}

#[test]
fn the_ack_of_vest_is_late() {
    fate_found_out(Vest, Action::DelayAck { ms: 3_000 }, false);
}

#[test]
fn the_ack_of_paradex_is_late() {
    fate_found_out(Paradex, Action::DelayAck { ms: 3_000 }, false);
}

/// Acknowledged and then pending for half a minute: cancelled after a second, and what became of it found out.
fn pending_order_is_cancelled(venue: VenueName, lost_cancels: u32) {
    let mut bench = Bench::new();
    bench.start();
    bench.fault_opening(venue, 1, Action::HoldFill { ms: 30_000 });
    let rule = Rule { count: Some(lost_cancels), ..Rule::always(Class::Cancel, Action::DropRequest) };
    bench.control().fault(venue, rule);
    bench.open_through_trouble();
    assert!(bench.faults_fired() > u64::from(lost_cancels), "no cancel was lost");
    let truth = bench.control().truth();
    let (orders, symbol) = match venue {
        Vest => (truth.vest.orders, VEST),
        Paradex => (truth.paradex.orders, PARADEX),
    };
    let first = orders.first().unwrap_or_else(|| panic!("no order in {symbol}"));
    assert_eq!(first.filled, 0, "the pending order was cancelled, not waited for");
    bench.close_and_settle();
}

#[test]
fn a_pending_order_of_vest_is_cancelled() {
    pending_order_is_cancelled(Vest, 0);
}

#[test]
fn a_pending_order_of_paradex_is_cancelled() {
    pending_order_is_cancelled(Paradex, 0);
}

#[test]
fn a_pending_order_of_vest_is_cancelled_again_when_the_cancel_is_lost() {
    pending_order_is_cancelled(Vest, 1);
}

#[test]
fn a_pending_order_of_paradex_is_cancelled_again_when_the_cancel_is_lost() {
    pending_order_is_cancelled(Paradex, 1);
}

/// The first `count` closing orders of a leg are refused; the pair comes home all the same.
fn closes_refused(venue: VenueName, count: u32, action: Action) {
    let mut bench = Bench::new();
    bench.start();
    bench.open_pair();
    bench.fault_closing(venue, count, action);
    bench.gap_bps(-20);
    bench.wait_for("EXIT_EXECUTED");
    assert_eq!(bench.faults_fired(), u64::from(count), "{}", bench.tail());
    bench.stop_and_settle();
}

#[test]
fn the_first_close_at_vest_is_refused() {
    closes_refused(Vest, 1, reject("3002"));
}

#[test]
fn the_first_close_at_paradex_is_refused() {
    closes_refused(Paradex, 1, reject("INVALID_ORDER_SIZE"));
}

#[test]
fn the_first_six_closes_at_vest_are_refused() {
    closes_refused(Vest, 6, late_reject("3001"));
}

#[test]
fn the_first_six_closes_at_paradex_are_refused() {
    closes_refused(Paradex, 6, late_reject("NOT_ENOUGH_MARGIN"));
}

#[test]
fn the_first_closes_at_both_venues_are_refused() {
    let mut bench = Bench::new();
    bench.start();
    bench.open_pair();
    bench.fault_closing(Vest, 2, reject("3002"));
    bench.fault_closing(Paradex, 2, reject("INVALID_ORDER_SIZE"));
    bench.close_and_settle();
}

#[test]
fn closes_fill_in_part_at_both_venues() {
    let mut bench = Bench::new();
    bench.start();
    bench.open_pair();
    for venue in VENUES {
        bench.fault_closing(venue, 2, Action::PartialFill { size: 70_000 });
    }
    bench.close_and_settle();
}
