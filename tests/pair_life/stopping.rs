//! The orderly end, stepped by hand: what it waits for, and that nothing is begun after it.

use bot4::journal::entry::Entry;
use bot4::order::core::Input;
use bot4::types::order::VenueOrderId;
use bot4::types::report::{Fact, OpenOrder};
use bot4::types::settings::Legs;
use bot4::types::*;

use crate::lost::begin;
use crate::rig::*;

fn stop(rig: &mut Rig) {
    rig.step(Input::Command(Command::Stop { flatten: false }));
    rig.wait_ms(2);
}

/// Both venues say that nothing of ours is open.
fn nothing_is_open(rig: &mut Rig) {
    for venue in [V, P] {
        let asked = rig.now;
        rig.fact(Fact::OpenOrders { venue, asked, orders: Vec::new() });
    }
    rig.wait_ms(2);
}

/// Both venues say what they hold.
fn accounts(rig: &mut Rig, held: [&str; 2]) {
    rig.account(V, held[0]);
    rig.account(P, held[1]);
    rig.wait_ms(2);
}

#[test]
fn stop_with_flatten_ends_flat_and_verified() {
    let mut rig = Rig::new();
    rig.opened();
    rig.step(Input::Command(Command::Stop { flatten: true }));
    rig.wait_ms(2);
    assert_eq!(rig.sent.len(), 4);
    rig.fill(2, "a", "1", "100.36");
    rig.fill(3, "b", "1", "99.98");
    rig.wait_ms(2);
    assert!(!rig.core.is_stopped(), "not before both venues were asked");
    nothing_is_open(&mut rig);
    assert!(!rig.core.is_stopped(), "not before both have said what they hold");
    accounts(&mut rig, ["0", "0"]);
    assert!(rig.core.is_stopped());
    rig.assert_home();
}

/// A close that is cancelled on its way leaves the other leg alone.
#[test]
fn a_stop_cancels_no_order_that_is_in_flight() {
    let mut rig = Rig::of(Settings { dedicated_account: true, ..settings(Legs::Together) });
    rig.opened();
    rig.step(Input::Command(Command::Stop { flatten: true }));
    rig.wait_ms(2);
    rig.ack(2);
    let listed = |rig: &Rig, nth: usize| {
        let OrderSpec { id, nonce, .. } = rig.sent[nth];
        OpenOrder { pair: Some(PairId(0)), venue_id: VenueOrderId::EMPTY, id: Some(id), nonce }
    };
    let (asked, orders) = (rig.now, vec![listed(&rig, 2)]);
    rig.fact(Fact::OpenOrders { venue: V, asked, orders });
    assert_eq!(rig.cancels, 0, "it ends by its own deadline");
    rig.fill(2, "a", "1", "100.36");
    rig.fill(3, "b", "1", "99.98");
    rig.wait_ms(2);
    let (asked, orders) = (rig.now, vec![listed(&rig, 2)]);
    rig.fact(Fact::OpenOrders { venue: V, asked, orders });
    assert_eq!(rig.cancels, 1, "nothing of ours may rest there any more");
    assert!(!rig.core.is_stopped());
}

#[test]
fn stop_without_flatten_keeps_a_hedged_pair() {
    let mut rig = Rig::new();
    rig.opened();
    rig.step(Input::Command(Command::Stop { flatten: false }));
    rig.wait_ms(2);
    nothing_is_open(&mut rig);
    accounts(&mut rig, ["-1", "1"]);
    assert!(rig.core.is_stopped());
    assert_eq!((rig.sent.len(), rig.net()), (2, Qty::ZERO));
}

/// A list that came before a later order proves nothing of that.
#[test]
fn what_was_verified_before_the_last_order_is_verified_anew() {
    let mut rig = Rig::new();
    rig.opened();
    stop(&mut rig);
    nothing_is_open(&mut rig);
    rig.news(1, OrderNews::Busted(VenueOrderId::cut("f")));
    rig.wait_ms(2);
    let home = rig.sent[2];
    rig.fill(2, "c", "1", if home.venue == P { "100.02" } else { "100.36" });
    assert_eq!((rig.net(), rig.sent.len()), (Qty::ZERO, 3), "what the bust left alone is mended");
    rig.wait_ms(2);
    let held = [0, 1].map(|leg| rig.core.pairs()[0].book.legs[leg].qty.to_string());
    accounts(&mut rig, [&held[0], &held[1]]);
    assert!(!rig.core.is_stopped());
    nothing_is_open(&mut rig);
    accounts(&mut rig, [&held[0], &held[1]]);
    assert!(rig.core.is_stopped());
}

/// Its order was cancelled without a word of what it filled, and the reads that showed nothing lag.
#[test]
fn a_leg_that_may_still_grow_holds_up_the_end() {
    let mut rig = Rig::new();
    rig.enter();
    rig.ack(0);
    rig.close(1, "0");
    stop(&mut rig);
    rig.reject(0, RejectClass::Ambiguous);
    for _ in 0..2 {
        rig.wait_ms(201);
        rig.cancelled_untold(0);
        accounts(&mut rig, ["0", "0"]);
    }
    assert!(!rig.core.pairs()[0].has_live_orders(), "the order is over");
    nothing_is_open(&mut rig);
    accounts(&mut rig, ["0", "0"]);
    assert!(!rig.core.is_stopped());
    assert!(rig.core.remains(rig.now)[0].contains("BTC-PERP"), "{:?}", rig.core.remains(rig.now));
    accounts(&mut rig, ["-0.4", "0"]);
    rig.wait_ms(600);
    accounts(&mut rig, ["-0.4", "0"]);
    rig.wait_ms(2);
    let home = *rig.sent.last().unwrap();
    assert_eq!((home.qty, home.side, home.venue), (qty("0.4"), Side::Buy, V), "and it is mended in the stop");
}

#[test]
fn a_difference_that_was_seen_once_holds_up_the_end() {
    let mut rig = Rig::new();
    rig.opened();
    rig.wait_ms(10_000);
    rig.account(P, "0");
    stop(&mut rig);
    nothing_is_open(&mut rig);
    accounts(&mut rig, ["-1", "0"]);
    assert!(!rig.core.is_stopped());
    rig.wait_ms(600);
    accounts(&mut rig, ["-1", "1"]);
    nothing_is_open(&mut rig);
    accounts(&mut rig, ["-1", "1"]);
    assert!(rig.core.is_stopped(), "it was an old read");
}

/// What a death has hidden is not known before the histories were read.
#[test]
fn an_unread_history_holds_up_the_end() {
    let mut rig = Rig::new();
    rig.journal.insert(0, Entry::Epoch { epoch: 1, config_hash: 0, at: rig.now });
    rig.opened();
    let mut rig = begin(rig, 2, false);
    stop(&mut rig);
    let say = |rig: &mut Rig| {
        nothing_is_open(rig);
        accounts(rig, ["-1", "1"]);
    };
    assert!(rig.core.awaits_past(V) && rig.core.awaits_past(P));
    (0..3).for_each(|_| say(&mut rig));
    assert!(!rig.core.is_stopped());
    for venue in [V, P] {
        let asked = rig.now;
        rig.fact(Fact::PastOrders { venue, asked, orders: Vec::new() });
    }
    rig.wait_ms(600);
    say(&mut rig);
    assert!(rig.core.is_stopped());
}

#[test]
fn nothing_leaves_after_the_end_and_what_comes_in_reopens_it() {
    let mut rig = Rig::new();
    rig.opened();
    stop(&mut rig);
    nothing_is_open(&mut rig);
    accounts(&mut rig, ["-1", "1"]);
    assert!(rig.core.is_stopped());
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.36", "99.98"], ["100.36", "99.98"]);
    assert_eq!(rig.sent.len(), 2, "nobody would look after these");
    assert!(rig.core.is_stopped());
    // A venue takes a fill back: the end is none.
    rig.news(1, OrderNews::Busted(VenueOrderId::cut("f")));
    assert!(!rig.core.is_stopped());
    rig.wait_ms(2);
    assert!(rig.sent.len() > 2, "what it left alone is mended");
    assert!(!matches!(rig.journal.last(), Some(Entry::Stopped { .. })));
}
