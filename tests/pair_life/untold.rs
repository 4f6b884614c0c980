//! A venue that says CANCELLED and not what had filled before: the position tells it, and no leg is left alone over it.

use bot4::journal::entry::Entry;
use bot4::types::report::{AccountReport, Ask};
use bot4::types::*;

use crate::limits::restart;
use crate::rig::*;

/// Paradex has filled whole; Vest's order is over, and its row says no more than that.
fn cut() -> Rig {
    let mut rig = Rig::new();
    rig.enter();
    rig.ack(0);
    rig.fill(1, "f", "1", "100.02");
    rig.reject(0, RejectClass::Ambiguous);
    rig.wait_ms(1);
    rig.asks.clear();
    rig.cancelled_untold(0);
    assert!(rig.asks.contains(&Ask::Account { venue: V }), "its position is asked for at once");
    rig
}

/// The position once more, after the row once more.
fn look_again(rig: &mut Rig, position: &str) {
    rig.asks.clear();
    rig.wait_ms(201);
    assert!(rig.asks.iter().any(|ask| matches!(ask, Ask::Order { venue, .. } if *venue == V)));
    assert!(rig.asks.contains(&Ask::Account { venue: V }));
    rig.cancelled_untold(0);
    rig.account(V, position);
}

fn is_foreign(rig: &Rig) -> bool {
    rig.logged(|kind| matches!(kind, RecordKind::Foreign { .. })) > 0
}

/// What is missing is bought or sold, wherever; then the pair is home and nothing is anybody else's.
fn mended(rig: &mut Rig, missing: &str) {
    let last = rig.sent.len() - 1;
    let mend = rig.sent[last];
    assert_eq!((mend.qty, rig.net().abs()), (qty(missing), qty(missing)));
    let at = [["100.30", "100.36"], ["99.98", "100.02"]][mend.venue.index()];
    rig.fill(last, "m", missing, at[usize::from(mend.side == Side::Buy)]);
    assert!(!is_foreign(rig));
    assert_eq!(rig.core.mode(), Mode::Active);
}

#[test]
fn what_had_filled_is_taken_from_two_reads_of_the_position_and_the_rest_is_mended_once() {
    let mut rig = cut();
    let asked = rig.now;
    rig.account(V, "-0.4");
    assert_eq!((rig.sent.len(), rig.core.pairs()[0].book.legs[0].qty), (2, Qty::ZERO), "one read may lag");
    look_again(&mut rig, "-0.4");
    assert_eq!(rig.core.pairs()[0].book.legs[0].qty, qty("-0.4"));
    assert!(rig.now.ms_since(asked) < 1_000);
    mended(&mut rig, "0.6");
    rig.assert_home();
    let booked = rig.journal.iter().filter(|entry| matches!(entry, Entry::Adjusted { .. })).count();
    assert_eq!(booked, 0, "it is a fill of the order");
}

#[test]
fn an_order_that_had_filled_whole_needs_one_read_and_one_that_had_not_none_but_two() {
    let mut rig = cut();
    rig.account(V, "-1");
    assert_eq!((rig.sent.len(), rig.net()), (2, Qty::ZERO));
    rig.assert_home();

    let mut rig = cut();
    rig.account(V, "0");
    assert_eq!(rig.sent.len(), 2);
    look_again(&mut rig, "0");
    mended(&mut rig, "1");
    rig.assert_home();
}

/// A death between the two leaves an order that is measured again, and not one whose fill is a stranger's.
#[test]
fn what_an_order_may_have_filled_is_written_before_its_end() {
    let mut rig = cut();
    rig.account(V, "0");
    look_again(&mut rig, "0");
    let id = rig.sent[0].id;
    let at = |wanted: &dyn Fn(&Entry) -> bool| rig.journal.iter().position(wanted).unwrap();
    let unproven =
        at(&|entry| matches!(entry, Entry::Unproven { leg: 0, open, .. } if open.sold == qty("-1")));
    let closed = at(&|entry| matches!(entry, Entry::Closed { id: ended, .. } if *ended == id));
    assert!(unproven < closed);
}

/// Fees are paid for executions alone: a position without one is older than the row.
#[test]
fn a_row_that_tells_a_fee_is_not_called_unfilled() {
    let mut rig = cut();
    rig.cancelled_with_a_fee(0);
    for _ in 0..20 {
        rig.account(V, "0");
        rig.wait_ms(201);
        rig.cancelled_with_a_fee(0);
        assert_eq!((rig.sent.len(), rig.net()), (2, qty("1")), "nothing is brought twice");
    }
    rig.account(V, "-0.7");
    rig.wait_ms(201);
    rig.cancelled_with_a_fee(0);
    rig.account(V, "-0.7");
    mended(&mut rig, "0.3");
    rig.assert_home();

    let mut rig = cut();
    rig.cancelled_with_a_fee(0);
    rig.wait_ms(5_001);
    rig.account(V, "0");
    rig.wait_ms(201);
    rig.account(V, "0");
    assert_eq!(rig.sent.len(), 3, "no read is so old for longer");
}

#[test]
fn reads_that_are_older_than_the_end_settle_nothing() {
    let mut rig = cut();
    rig.account(V, "-0.4");
    rig.wait_ms(201);
    rig.report(0, "0", false);
    rig.account(V, "0");
    rig.wait_ms(201);
    rig.account(V, "0");
    assert_eq!(rig.sent.len(), 2, "the row had gone back: what is read lags");
    rig.cancelled_untold(0);
    rig.account(V, "0");
    look_again(&mut rig, "0");
    assert_eq!(rig.core.pairs()[0].book.legs[0].qty, qty("-0.4"), "never less than was shown");
    mended(&mut rig, "0.6");
    rig.assert_home();
}

#[test]
fn what_a_partial_fill_had_told_is_the_least() {
    let mut rig = Rig::new();
    rig.enter();
    rig.ack(0);
    rig.fill(1, "f", "1", "100.02");
    rig.report(0, "0.3", false);
    rig.cancelled_untold(0);
    rig.account(V, "0");
    look_again(&mut rig, "0");
    assert_eq!(rig.core.pairs()[0].book.legs[0].qty, qty("-0.3"));
    mended(&mut rig, "0.7");
    rig.assert_home();
}

#[test]
fn its_price_is_the_entry_of_a_position_that_it_alone_made_else_its_limit() {
    for (entry, at) in [("100.31", "100.31"), ("0", "100.29")] {
        let mut rig = cut();
        let mut report =
            AccountReport { equity: usd(1_000), free_margin: usd(1_000), ..AccountReport::default() };
        (report.positions[0].qty, report.positions[0].entry_price) = (qty("-1"), price(entry));
        rig.account_report(V, report);
        let told = rig.journal.iter().rev().find_map(|entry| match entry {
            Entry::Filled { fill, .. } => Some(fill.price),
            _ => None,
        });
        assert_eq!(told, Some(price(at)));
        rig.assert_home();
    }
}

#[test]
fn a_restart_asks_again_and_takes_it_for_ours() {
    let mut rig = cut();
    rig.account(V, "-0.4");
    let minute_ago = Nanos::from_ms(rig.now.ms() - 60_000);
    rig.journal.insert(0, Entry::Epoch { epoch: 1, config_hash: 0, at: minute_ago });
    restart(&mut rig, Mode::Active);
    rig.account(V, "-0.4");
    assert_eq!(rig.core.pairs()[0].book.legs[0].qty, Qty::ZERO, "its row was not read again");
    rig.cancelled_untold(0);
    rig.account(V, "-0.4");
    look_again(&mut rig, "-0.4");
    mended(&mut rig, "0.6");
    rig.assert_home_now();
}

/// Something of a leg may still grow, and a stranger trades: what a read shows that may lag is no loss.
#[test]
fn what_may_grow_has_not_gone_because_a_read_that_may_lag_shows_less() {
    let mut rig = cut();
    rig.account(V, "-0.4");
    look_again(&mut rig, "-0.4");
    mended(&mut rig, "0.6");
    let held = rig.core.pairs()[0].book.legs[0].qty;
    rig.wait_ms(1_000);
    for _ in 0..3 {
        rig.account(V, "-0.1");
        rig.wait_ms(600);
    }
    assert_eq!(rig.core.pairs()[0].book.legs[0].qty, held, "within the seconds that reads may lag");
    rig.wait_ms(5_000);
    for _ in 0..2 {
        rig.account(V, "-0.1");
        rig.wait_ms(600);
    }
    assert_ne!(rig.core.pairs()[0].book.legs[0].qty, held, "later it is");
}

/// What was held before is what a read that lags shows.
#[test]
fn a_close_soon_after_its_entry_is_not_measured_by_what_was_held_before() {
    let mut rig = Rig::new();
    rig.opened();
    rig.quotes();
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    rig.ack(2);
    rig.fill(3, "x", "1", "100.10");
    rig.reject(2, RejectClass::Ambiguous);
    rig.wait_ms(1);
    rig.cancelled_untold(2);
    rig.account(V, "0");
    assert_eq!(rig.core.pairs()[0].book.legs[0].qty, qty("-1"), "flat a moment ago too");
    for _ in 0..2 {
        rig.wait_ms(201);
        rig.account(V, "-0.3");
    }
    assert_eq!(rig.core.pairs()[0].book.legs[0].qty, qty("-0.3"), "that was never held before");
    mended(&mut rig, "0.3");
    rig.assert_home();
}

#[test]
fn a_close_that_was_cut_leaves_the_rest_to_be_closed() {
    let mut rig = Rig::new();
    rig.opened();
    rig.wait_ms(6_000);
    rig.quotes();
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    rig.fill(3, "g", "1", "100.10");
    rig.cancelled_untold(2);
    for _ in 0..2 {
        rig.account(V, "-0.6");
        rig.wait_ms(201);
        rig.cancelled_untold(2);
    }
    mended(&mut rig, "0.6");
    assert!(rig.core.pairs()[0].book.is_flat());
    rig.assert_home();
}

#[test]
fn what_two_reads_did_not_show_yet_is_ours_and_mended_when_it_is() {
    for restarted in [false, true] {
        let mut rig = cut();
        rig.account(V, "0");
        look_again(&mut rig, "0");
        mended(&mut rig, "1");
        let held = rig.core.pairs()[0].book.legs[0].qty;
        let shown = (held - qty("0.4")).to_string();
        if restarted {
            rig.journal.insert(0, Entry::Epoch { epoch: 1, config_hash: 0, at: rig.now });
            restart(&mut rig, Mode::Active);
        }
        rig.wait_ms(6_000);
        rig.quotes();
        let before = rig.sent.len();
        for _ in 0..2 {
            rig.account(V, &shown);
            rig.wait_ms(501);
        }
        assert!(rig.sent.len() > before, "the late part is a lone leg");
        let mend = rig.sent[before];
        assert_eq!((mend.venue, mend.side, mend.reduce_only), (V, Side::Buy, true));
        mended(&mut rig, "0.4");
        rig.assert_home_now();
    }
}

/// Vest's order is over without a word, and Paradex took nothing: what Vest's position shows is all there is.
fn cut_alone() -> Rig {
    let mut rig = Rig::new();
    rig.enter();
    rig.ack(0);
    rig.reject(1, RejectClass::Definitive);
    rig.reject(0, RejectClass::Ambiguous);
    rig.wait_ms(1);
    rig.cancelled_untold(0);
    rig
}

#[test]
fn the_reads_that_told_a_part_are_no_doubt_that_keeps_the_other_leg_away() {
    let mut rig = cut_alone();
    rig.account(V, "-0.4");
    look_again(&mut rig, "-0.4");
    let OrderSpec { venue, purpose, qty: missing, .. } = rig.sent[2];
    assert_eq!((venue, purpose, missing), (P, Purpose::Complete, qty("0.4")), "it is the cheaper way");
    rig.fill(2, "m", "0.4", "100.02");
    rig.assert_home();
}

#[test]
fn what_no_read_has_shown_yet_is_looked_for_often_and_mended_within_two_seconds() {
    let mut rig = cut_alone();
    rig.account(V, "0");
    look_again(&mut rig, "0");
    assert_eq!(rig.sent.len(), 2, "flat, as far as is known");
    for _ in 0..2 {
        rig.asks.clear();
        rig.wait_ms(501);
        assert!(rig.asks.contains(&Ask::Account { venue: V }));
        rig.account(V, "-0.4");
    }
    mended(&mut rig, "0.4");
    rig.wait_ms(11_000);
    rig.asks.clear();
    rig.wait_ms(501);
    assert!(!rig.asks.contains(&Ask::Account { venue: V }), "in the end it is left to the regular look");
}

/// Of two orders that ended so within a minute, what the first may have filled is still ours when the second ends.
#[test]
fn a_second_untold_end_forgets_nothing_of_the_first() {
    let mut rig = cut();
    rig.account(V, "0");
    look_again(&mut rig, "0");
    let at = rig.now;
    let sold = |rig: &Rig| rig.core.pairs()[0].unproven(0, at).sold;
    assert_eq!(sold(&rig), qty("-1"));
    let next = rig.sent.len() - 1;
    assert_eq!((rig.sent[next].venue, rig.sent[next].side), (V, Side::Sell));
    rig.reject(next, RejectClass::Ambiguous);
    rig.wait_ms(1);
    for _ in 0..2 {
        rig.cancelled_untold(next);
        rig.account(V, "0");
        rig.wait_ms(201);
    }
    assert_eq!(sold(&rig), qty("-2"));
}
