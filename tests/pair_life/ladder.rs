//! Each rung of the ladder made the one that works (SAFETY §2.3).

use bot4::order::core::Input;
use bot4::types::order::Reason;
use bot4::types::report::{Ask, Fact, TraderEvent};
use bot4::types::*;

use crate::rig::*;

/// Vest's leg has filled, Paradex's was refused, and taking Vest's back is the cheaper way home.
fn lone() -> Rig {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(0, "f", "1", "100.30");
    rig.quote(P, "100.12", "100.16");
    rig.quote(V, "100.20", "100.24");
    rig.reject(1, RejectClass::Definitive);
    assert_eq!((rig.sent[2].purpose, rig.sent[2].venue), (Purpose::Unwind, V));
    rig
}

#[test]
fn a_venue_that_refuses_is_asked_again_only_after_the_other() {
    let mut rig = lone();
    rig.reject(2, RejectClass::Definitive);
    rig.wait_ms(201);
    assert_eq!((rig.sent[3].purpose, rig.sent[3].venue), (Purpose::Complete, P), "dearer, and it may answer");
    rig.fill(3, "g", "1", "100.16");
    rig.assert_home();
    assert!(matches!(rig.exposure, ExposureState::Held { .. }));
}

#[test]
fn what_is_too_large_is_halved_until_it_is_taken() {
    let mut rig = lone();
    rig.quote(P, "103.00", "103.04");
    let mut sizes = Vec::new();
    for order in 2..5 {
        sizes.push(rig.sent[order].qty);
        rig.reject(order, RejectClass::TooLarge);
        rig.wait_ms(1_001);
    }
    assert_eq!(sizes, [qty("1"), qty("0.5"), qty("0.25")]);
    assert_eq!(rig.sent[5].qty, qty("0.125"));
    rig.fill(5, "a", "0.125", "100.24");
    rig.wait_ms(1_001);
    assert_eq!(rig.sent[6].qty, qty("0.2187"), "a quarter of the rest, on the step");
    while !rig.net().is_zero() {
        let last = rig.sent.len() - 1;
        let size = rig.sent[last].qty.to_string();
        rig.fill(last, "b", &size, "100.24");
        rig.wait_ms(1_001);
    }
    rig.assert_home();
}

#[test]
fn a_price_that_was_refused_is_not_made_smaller() {
    let mut rig = lone();
    rig.quote(P, "103.00", "103.04");
    rig.reject(2, RejectClass::Definitive);
    rig.wait_ms(1_001);
    assert_eq!(rig.sent[3].qty, qty("1"));
    rig.fill(3, "u", "1", "100.24");
    rig.assert_home();
}

/// An exit of which one venue takes its leg and the other refuses its own for as long as it is asked.
#[test]
fn a_leg_that_nobody_takes_is_hedged_again_on_the_other_venue() {
    let mut rig = Rig::new();
    rig.opened();
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    rig.fill(3, "g", "1", "100.10");
    rig.reject(2, RejectClass::Definitive);
    let mut refused = 4;
    while rig.sent.last().unwrap().purpose == Purpose::Unwind {
        let last = rig.sent.len() - 1;
        assert_eq!(rig.sent[last].venue, V);
        refused = last;
        rig.reject(last, RejectClass::Definitive);
        rig.account(V, "-1");
        rig.wait_ms(1_001);
        rig.quotes();
    }
    assert_eq!(refused, 7, "the venue was given its time");
    let last = rig.sent[rig.sent.len() - 1];
    assert_eq!((last.purpose, last.venue, last.side, last.qty), (Purpose::Complete, P, Side::Buy, qty("1")));
    rig.fill(rig.sent.len() - 1, "h", "1", "100.02");
    rig.assert_home();
    assert_eq!(rig.exposure, ExposureState::Blocked, "the venue that refuses is given a while");
    rig.now = rig.now.plus_ms(60_000);
    rig.wait_ms(2);
    assert!(matches!(rig.exposure, ExposureState::Held { .. }), "a whole pair again, sought to be closed");
}

/// Its venue trades beyond every collar of ours: its book tells other prices than it deals at.
#[test]
fn a_leg_that_every_order_misses_is_hedged_again_on_the_other_venue() {
    let mut rig = Rig::new();
    half_closed(&mut rig);
    rig.close(2, "0");
    let from = rig.now;
    while rig.sent.last().unwrap().purpose == Purpose::Unwind {
        let last = rig.sent.len() - 1;
        assert!(rig.now.ms_since(from) < 20_000, "it is asked for ever");
        rig.close(last, "0");
        rig.account(V, "-1");
        rig.wait_ms(401);
        rig.quotes();
    }
    let waited = rig.now.ms_since(from);
    assert!((3_000..6_000).contains(&waited), "after {waited} ms");
    let last = rig.sent.len() - 1;
    assert_eq!((rig.sent[last].purpose, rig.sent[last].venue), (Purpose::Complete, P));
    rig.fill(last, "h", "1", "100.02");
    rig.assert_home();
}

#[test]
fn an_unwind_stays_inside_the_band_that_its_venue_takes() {
    let mut rig = Rig::new();
    rig.marks = [price("100.20"); 2];
    let banded = MarketRules { price_band: Rate::from_bps(20), ..rules() };
    rig.fact(Fact::Rules { venue: V, pair: PairId(0), rules: banded });
    rig.quotes();
    rig.enter();
    rig.fill(0, "f", "1", "100.30");
    rig.quote(P, "103.00", "103.04");
    rig.quote(V, "100.30", "100.36");
    rig.reject(1, RejectClass::Definitive);
    for _ in 0..6 {
        let last = rig.sent.len() - 1;
        assert!(rig.sent[last].limit <= price("100.40"), "20 bps above the mark: {}", rig.sent[last].limit);
        rig.close(last, "0");
        rig.wait_ms(1_100);
    }
    let last = rig.sent.len() - 1;
    assert_eq!(rig.sent[last].limit, price("100.40"));
    rig.fill(last, "u", "1", "100.40");
    rig.assert_home();
}

#[test]
fn a_book_that_lies_prices_no_unwind() {
    for (bid, ask) in [("100300000", "100360000"), ("50.15", "50.18")] {
        let mut rig = Rig::new();
        rig.marks[V.index()] = price("100.20");
        rig.quotes();
        rig.enter();
        rig.fill(0, "f", "1", "100.30");
        rig.quote(P, "103.00", "103.04");
        rig.quote(V, bid, ask);
        rig.reject(1, RejectClass::Definitive);
        let unwind = rig.sent.last().unwrap();
        assert_eq!((unwind.purpose, unwind.venue), (Purpose::Unwind, V));
        assert_eq!(unwind.limit, price("100.40"), "20 bps above the mark");
    }
}

#[test]
fn an_entry_far_from_either_mark_is_refused() {
    for venue in [V, P] {
        let mut rig = Rig::new();
        rig.marks[venue.index()] = price("97.00");
        rig.quotes();
        rig.enter();
        assert!(rig.sent.is_empty());
        let collar = RecordKind::EntryRefused { pair: PairId(0), refusal: record::Refusal::Collar };
        assert!(rig.logs.contains(&collar));
    }
}

#[test]
fn a_close_leaves_what_a_larger_step_cannot_carry() {
    let mut rig = Rig::new();
    rig.opened();
    let coarse = MarketRules { lot: qty("0.3"), ..rules() };
    rig.fact(Fact::Rules { venue: P, pair: PairId(0), rules: coarse });
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    assert_eq!([rig.sent[2].qty, rig.sent[3].qty], [qty("1"), qty("0.9")]);
    rig.fill(2, "g", "1", "100.11");
    rig.fill(3, "g", "0.9", "100.10");
    rig.wait_ms(2_000);
    assert_eq!(rig.sent.len(), 4, "nothing that no venue takes is sent");
    // What is left stays in the books, so that nobody takes it for a stranger's.
    rig.account(P, "0.1");
    rig.wait_ms(2_000);
    rig.account(P, "0.1");
    let pair = &rig.core.pairs()[0];
    assert_eq!((pair.book.net(), pair.opened, pair.foreign), (qty("0.1"), false, [false; 2]));
    let told = Reason::cut("less than the venue trades is left: close it there");
    assert_eq!(rig.logged(|kind| matches!(kind, RecordKind::Alarm { what, .. } if *what == told)), 1);
    rig.assert_replay();
}

#[test]
fn a_leg_that_its_venue_closes_no_part_of_is_told_and_not_tried() {
    // Below a step of both, and above it with a venue that does not take the other leg either.
    for (lot, least) in [("0.1", 10), ("0.0001", 20)] {
        let mut rig = Rig::new();
        rig.marks = [price("100"); 2];
        rig.quotes();
        let other = MarketRules { lot: qty(lot), min_notional: usd(least), ..rules() };
        let coarse = MarketRules { lot: qty("0.04"), ..rules() };
        rig.fact(Fact::Rules { venue: V, pair: PairId(0), rules: other });
        rig.fact(Fact::Rules { venue: P, pair: PairId(0), rules: coarse });
        rig.step(Input::Command(Command::Adopt(PairId(0))));
        rig.account(V, "0");
        rig.account(P, "-0.1");
        rig.wait_ms(15_000);
        assert_eq!((rig.sent.len(), rig.core.mode()), (0, Mode::Active), "0.08 is below what Paradex takes");
        assert_eq!((rig.net(), rig.exposure), (qty("-0.1"), ExposureState::Blocked));
        let left = Reason::cut("less than the venue trades is left: close it there");
        let told = RecordKind::Alarm { pair: PairId(0), venue: P, what: left };
        assert_eq!(rig.logged(|kind| *kind == told), 1);
        // Once a part is enough, it is closed.
        let taken = MarketRules { min_notional: usd(5), ..coarse };
        rig.fact(Fact::Rules { venue: P, pair: PairId(0), rules: taken });
        rig.wait_ms(2);
        let swept = rig.sent[0];
        let meant = (P, Side::Buy, qty("0.08"), true);
        assert_eq!((swept.venue, swept.side, swept.qty, swept.reduce_only), meant);
    }
}

/// 0.14 at about 100 USD is enough for either venue, and the 0.08 of it that a step leaves is not.
#[test]
fn what_a_close_has_left_is_not_tried_again_for_being_enough_on_the_other_leg() {
    let mut rig = Rig::new();
    rig.opened();
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    rig.fill(2, "g", "1", "100.11");
    rig.fill(3, "g", "0.86", "100.10");
    let coarse = MarketRules { lot: qty("0.08"), ..rules() };
    rig.fact(Fact::Rules { venue: P, pair: PairId(0), rules: coarse });
    rig.close(3, "0.86");
    rig.wait_ms(20_000);
    assert_eq!((rig.sent.len(), rig.core.mode()), (4, Mode::Active), "nothing that no venue takes is sent");
    rig.fact(Fact::Rules { venue: P, pair: PairId(0), rules: rules() });
    rig.wait_ms(1_000);
    let last = rig.sent.last().map(|spec| (spec.venue, spec.qty));
    assert_eq!(last, Some((P, qty("0.14"))), "now it can leave");
}

#[test]
fn less_than_a_lot_on_both_legs_is_no_pair() {
    let mut rig = Rig::new();
    rig.opened();
    for venue in [V, P] {
        rig.fact(Fact::Rules { venue, pair: PairId(0), rules: MarketRules { lot: qty("0.3"), ..rules() } });
    }
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    rig.fill(2, "g", "0.9", "100.11");
    rig.fill(3, "g", "0.9", "100.10");
    rig.wait_ms(2_000);
    let pair = &rig.core.pairs()[0];
    assert_eq!((pair.book.hedged(), pair.opened, rig.sent.len()), (qty("0.1"), false, 4));
    rig.assert_replay();
}

/// One leg of an exit has gone, and the market of the other takes no orders.
fn half_closed(rig: &mut Rig) {
    rig.opened();
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    rig.fill(3, "g", "1", "100.10");
}

pub fn halt_market(rig: &mut Rig, status: MarketStatus) {
    rig.fact(Fact::Rules { venue: V, pair: PairId(0), rules: MarketRules { status, ..rules() } });
}

#[test]
fn a_leg_whose_venue_takes_no_orders_is_hedged_again_at_once() {
    let mut rig = Rig::new();
    half_closed(&mut rig);
    halt_market(&mut rig, MarketStatus::Halted);
    rig.reject(2, RejectClass::RetryLater);
    rig.wait_ms(50);
    assert_eq!((rig.sent[4].purpose, rig.sent[4].venue), (Purpose::Complete, P));

    let mut rig = Rig::new();
    half_closed(&mut rig);
    rig.fact(Fact::Mode { venue: V, mode: VenueMode::CancelOnly });
    rig.reject(2, RejectClass::RetryLater);
    rig.wait_ms(50);
    assert_eq!((rig.sent[4].purpose, rig.sent[4].venue), (Purpose::Complete, P));

    let mut rig = Rig::new();
    half_closed(&mut rig);
    rig.event(V, TraderEvent::Ready(false));
    rig.reject(2, RejectClass::RetryLater);
    rig.wait_ms(1_900);
    assert_eq!(rig.sent.len(), 4, "it may be back any moment");
    rig.wait_ms(200);
    assert_eq!((rig.sent[4].purpose, rig.sent[4].venue), (Purpose::Complete, P));

    let mut rig = Rig::new();
    half_closed(&mut rig);
    rig.reject(2, RejectClass::RetryLater);
    let from = rig.now;
    while rig.sent.last().unwrap().purpose != Purpose::Complete {
        let last = rig.sent.len() - 1;
        if last > 3 {
            rig.reject(last, RejectClass::RetryLater);
        }
        rig.account(V, "-1");
        rig.wait_ms(1_001);
        rig.quotes();
    }
    assert!(rig.now.ms_since(from) < 4_000, "a venue that says later again and again");
    assert_eq!(rig.core.mode(), Mode::Active);
}

#[test]
fn a_leg_brought_back_is_closed_again_soon_only_where_a_person_wants_it_closed() {
    for (flatten, after_ms, orders) in [(true, 2_100, 7), (false, 2_100, 5), (false, 61_000, 5)] {
        let mut rig = Rig::new();
        half_closed(&mut rig);
        halt_market(&mut rig, MarketStatus::Halted);
        rig.reject(2, RejectClass::RetryLater);
        rig.wait_ms(50);
        if flatten {
            rig.step(Input::Command(Command::Halt { flatten: true, why: Reason::cut("test") }));
        }
        rig.fill(4, "h", "1", "100.02");
        halt_market(&mut rig, MarketStatus::Trading);
        rig.quotes();
        rig.wait_ms(after_ms);
        assert_eq!(rig.sent.len(), orders, "{flatten} after {after_ms} ms");
        assert_eq!(matches!(rig.exposure, ExposureState::Held { .. }), after_ms > 60_000);
    }
}

/// What the venue of the missing leg refuses says nothing of the one that holds the lone leg.
#[test]
fn refusals_of_one_venue_are_not_counted_against_the_other() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(0, "f", "1", "100.30");
    let mut refused = 1;
    for _ in 0..3 {
        rig.reject(refused, RejectClass::RetryLater);
        rig.wait_ms(1_001);
        rig.quotes();
        let last = rig.sent.len() - 1;
        if rig.sent[last].venue == V {
            break;
        }
        refused = last;
    }
    let unwind = rig.sent.len() - 1;
    assert_eq!((rig.sent[unwind].purpose, rig.sent[unwind].venue), (Purpose::Unwind, V));
    rig.quote(P, "101.50", "101.60");
    rig.reject(unwind, RejectClass::Definitive);
    rig.wait_ms(1_001);
    rig.quote(P, "101.50", "101.60");
    rig.wait_ms(100);
    let next = rig.sent.last().unwrap();
    assert_eq!((next.purpose, next.venue), (Purpose::Unwind, V), "refused once: it is given its time");
}

#[test]
fn no_close_leaves_while_one_of_its_markets_is_halted() {
    let mut rig = Rig::new();
    rig.opened();
    halt_market(&mut rig, MarketStatus::Halted);
    assert_eq!(rig.exposure, ExposureState::Blocked);
    rig.step(Input::Command(Command::Halt { flatten: true, why: Reason::cut("test") }));
    rig.wait_ms(1_000);
    assert_eq!(rig.sent.len(), 2, "the pair is whole, and stays so");
    let asked = |rig: &Rig| rig.asks.iter().filter(|ask| **ask == Ask::Rules { venue: V }).count();
    let before = asked(&rig);
    rig.wait_ms(10_000);
    assert_eq!(asked(&rig), before + 2, "whether it has opened is asked for while something is held there");
    halt_market(&mut rig, MarketStatus::Trading);
    rig.wait_ms(1_000);
    assert_eq!(rig.sent.len(), 4);
}

/// A size may be refused because the step has changed.
#[test]
fn after_a_refused_size_the_rules_are_read() {
    let mut rig = Rig::new();
    half_closed(&mut rig);
    rig.asks.clear();
    rig.reject(2, RejectClass::TooLarge);
    assert!(rig.asks.contains(&Ask::Rules { venue: V }));
}

#[test]
fn an_unwind_reaches_no_further_than_its_band_from_what_else_tells_the_price() {
    // A book that has run off by 5 % alone: neither the mark nor the other venue says so.
    for (mark, limit) in [("100.20", "102.20"), ("104.00", "105.57"), ("0", "102.00")] {
        let mut rig = Rig::new();
        rig.enter();
        rig.fill(0, "f", "1", "100.30");
        rig.marks[V.index()] = price(mark);
        rig.quote(V, "105.30", "105.36");
        rig.reject(1, RejectClass::Halt);
        let unwind = rig.sent.last().unwrap();
        assert_eq!((unwind.purpose, unwind.venue), (Purpose::Unwind, V));
        assert_eq!(unwind.limit, price(limit), "2 % from the one that lets it reach further: {mark}");
    }
}

#[test]
fn an_exit_that_waited_is_made_anew() {
    let mut rig = Rig::new();
    rig.opened();
    let wish = rig.wish(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    rig.now = rig.now.plus_ms(1_001);
    rig.step(Input::Intent(wish));
    assert_eq!(rig.sent.len(), 2, "its limits are of a second ago");
    rig.step(Input::Intent(Intent { t_decide: rig.now, ..wish }));
    assert_eq!(rig.sent.len(), 4);
}

/// An unwind is also refused because the leg is gone: nothing is opened beside one that its venue no longer shows.
#[test]
fn no_leg_is_brought_back_beside_one_that_nobody_has_seen_since() {
    let mut rig = Rig::new();
    half_closed(&mut rig);
    rig.reject(2, RejectClass::Definitive);
    for _ in 0..6 {
        rig.wait_ms(1_001);
        rig.quotes();
        let last = rig.sent.len() - 1;
        assert_eq!(rig.sent[last].purpose, Purpose::Unwind, "the account has not answered yet");
        rig.reject(last, RejectClass::Definitive);
    }
    rig.account(V, "-1");
    rig.wait_ms(1_001);
    rig.quotes();
    rig.reject(rig.sent.len() - 1, RejectClass::Definitive);
    assert_eq!(rig.sent.last().unwrap().purpose, Purpose::Complete);
}

/// No connection was free, which the next one may be: four times are as much as four refusals, and two are not.
#[test]
fn an_order_that_could_not_leave_is_one_refusal() {
    let mut rig = Rig::new();
    half_closed(&mut rig);
    rig.jammed = Some(V);
    rig.reject(2, RejectClass::Definitive);
    let purposes = |rig: &Rig| rig.sent[4..].iter().map(|spec| spec.purpose).collect::<Vec<_>>();
    for _ in 0..40 {
        rig.account(V, "-1");
        rig.quotes();
        rig.wait_ms(97);
    }
    let sent = purposes(&rig);
    let tries = sent.iter().take_while(|purpose| **purpose == Purpose::Unwind).count();
    assert_eq!((tries, sent.get(tries)), (4, Some(&Purpose::Complete)), "{sent:?}");
}

/// What a market's ticker says of it, on the quotes of a book that can be traded on or not.
fn tell_status(rig: &mut Rig, status: MarketStatus, tradable: bool) {
    let mut quote = rig.quoted(V, "100.30", "100.36");
    (quote.ticker.status, quote.tradable) = (status, tradable);
    rig.step(Input::Quote(quote));
}

#[test]
fn a_market_whose_state_is_not_told_is_closed_by_its_rules_and_opened_by_nobody() {
    for tradable in [true, false] {
        let mut rig = Rig::new();
        rig.opened();
        tell_status(&mut rig, MarketStatus::Untold, tradable);
        rig.asks.clear();
        rig.wait_ms(1);
        assert!(rig.asks.contains(&Ask::Rules { venue: V }), "it may be halted: its rules are read at once");
        rig.step(Input::Command(Command::Halt { flatten: true, why: Reason::cut("test") }));
        rig.wait_ms(1_000);
        assert_eq!(rig.sent.len(), 4, "its rules say that it trades");
    }
    let mut rig = Rig::new();
    tell_status(&mut rig, MarketStatus::Untold, true);
    rig.enter();
    assert!(rig.sent.is_empty());
}

#[test]
fn a_halt_that_is_told_beside_a_book_without_prices_keeps_closes_back() {
    let mut rig = Rig::new();
    rig.opened();
    tell_status(&mut rig, MarketStatus::Halted, false);
    rig.step(Input::Command(Command::Halt { flatten: true, why: Reason::cut("test") }));
    rig.wait_ms(1_000);
    assert_eq!(rig.sent.len(), 2);
    tell_status(&mut rig, MarketStatus::Trading, false);
    rig.wait_ms(1_000);
    assert_eq!(rig.sent.len(), 4);
}
