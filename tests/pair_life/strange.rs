//! What venues should not do, and what happens beside our own orders: fills beyond the order, histories that go back,
//! liquidations, another engine, streams and feeds that fall silent.

use bot4::journal::entry::Entry;
use bot4::order::core::Input;
use bot4::types::order::{Reason, VenueOrderId};
use bot4::types::report::{Ask, Fact, OpenOrder, OrderKey, TraderEvent};
use bot4::types::*;

use crate::rig::*;

fn is_halted_for(rig: &Rig, why: &str) -> bool {
    let halted = |kind: &RecordKind| match kind {
        RecordKind::ModeChanged { mode: Mode::Halted, why: told } => told.as_str() == why,
        _ => false,
    };
    rig.core.mode() == Mode::Halted && rig.logged(halted) == 1
}

#[test]
fn a_fill_beyond_its_limit_counts_and_halts() {
    for (at, strange) in [("100.28", false), ("100.27", true)] {
        let mut rig = Rig::new();
        rig.enter();
        rig.fill(0, "f", "1", at);
        rig.fill(1, "f", "1", "100.02");
        assert_eq!(
            is_halted_for(&rig, "filled beyond its limit"),
            strange,
            "a tick of rounding is none: {at}"
        );
        rig.assert_home();
    }
}

#[test]
fn a_fill_for_more_than_ordered_counts_halts_and_is_mended() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(1, "f", "1", "100.02");
    rig.fill(0, "f", "1.5", "100.30");
    assert!(is_halted_for(&rig, "filled for more than ordered"));
    let mend = rig.sent[2];
    assert_eq!((mend.venue, mend.qty, mend.reduce_only), (V, qty("0.5"), true));
    rig.fill(2, "u", "0.5", "100.36");
    rig.assert_home();
}

#[test]
fn a_row_of_another_order_under_our_name_is_not_booked() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(1, "f", "1", "100.02");
    rig.wait_ms(1_600);
    rig.row_told(0, "1", true, Told::of(PairId(0), Side::Buy));
    assert!(is_halted_for(&rig, "the venue shows another order under our name"));
    assert_eq!(rig.core.pairs()[0].book.legs[0].qty, Qty::ZERO);
    rig.report(0, "1", true);
    rig.assert_home();
}

#[test]
fn a_history_that_goes_back_halts_at_the_second_look() {
    let mut rig = Rig::new();
    rig.opened();
    rig.report(0, "0", true);
    assert_eq!(rig.core.mode(), Mode::Active, "a read may lag");
    rig.asks.clear();
    rig.wait_ms(501);
    assert!(rig.asks.iter().any(|ask| matches!(ask, Ask::Order { venue, .. } if *venue == V)));
    rig.report(0, "1", true);
    rig.wait_ms(600);
    assert_eq!(rig.core.mode(), Mode::Active, "it had lagged");
    rig.report(0, "0", true);
    rig.wait_ms(501);
    rig.report(0, "0", true);
    assert!(is_halted_for(&rig, "the venue's history went back"));
    assert!(rig.asks.contains(&Ask::Account { venue: V }), "the positions are the truth now");
    rig.assert_home();
}

#[test]
fn a_liquidated_leg_is_believed_at_first_sight_and_the_other_closed_at_once() {
    let mut rig = Rig::new();
    rig.opened();
    rig.later_ms(6_000);
    rig.asks.clear();
    rig.event(V, TraderEvent::Liquidation);
    assert_eq!(rig.core.mode(), Mode::Halted);
    assert!(rig.asks.contains(&Ask::Account { venue: V }));
    rig.account(V, "-1");
    rig.asks.clear();
    rig.wait_ms(501);
    assert!(rig.asks.contains(&Ask::Account { venue: V }), "the read had lagged: asked again soon");
    rig.account(V, "0");
    assert_eq!((rig.sent[2].venue, rig.sent[2].purpose, rig.sent[2].qty), (P, Purpose::Unwind, qty("1")));
    rig.fill(2, "u", "1", "99.98");
    rig.assert_home();
    assert!(rig.core.pairs()[0].book.is_flat());
}

/// The venue that lags may show what was there before the pair was opened.
#[test]
fn a_leg_that_has_just_been_opened_is_not_gone_at_first_sight() {
    let mut rig = Rig::new();
    rig.opened();
    rig.event(V, TraderEvent::Liquidation);
    rig.account(V, "0");
    rig.wait_ms(600);
    rig.account(V, "0");
    assert_eq!(rig.sent.len(), 2);
    rig.now = rig.now.plus_ms(6_000);
    rig.account(V, "0");
    assert_eq!((rig.sent[2].venue, rig.sent[2].purpose), (P, Purpose::Unwind), "no read is so old any more");
}

/// An order that bears a name of ours and is in no slot of this run.
fn named(epoch: u32) -> OpenOrder {
    let id = Some(ClientId { epoch, seq: 9, leg: 0 });
    OpenOrder { pair: Some(PairId(0)), venue_id: VenueOrderId::EMPTY, id, nonce: 0 }
}

fn list(rig: &mut Rig, orders: Vec<OpenOrder>) {
    let asked = rig.now;
    rig.fact(Fact::OpenOrders { venue: V, asked, orders });
}

#[test]
fn orders_of_another_engine_halt_and_are_left_alone() {
    let why = "another engine or bot4 flatten traded on this account";
    let mut rig = Rig::new();
    list(&mut rig, vec![named(2)]);
    assert!(is_halted_for(&rig, why));
    assert_eq!(rig.cancels, 0);

    let mut rig = Rig::new();
    let key = OrderKey::Client(ClientId { epoch: 2, seq: 1, leg: 0 });
    rig.event(P, TraderEvent::Order { key, news: OrderNews::Acked, t_venue: Nanos::NEVER });
    assert!(is_halted_for(&rig, why));
}

#[test]
fn what_an_earlier_run_left_is_cancelled_at_the_start_and_strange_later() {
    let settings = settings(settings::Legs::Together);
    let mut rig = Rig::of_epoch(settings, 5);
    list(&mut rig, vec![named(4)]);
    assert_eq!((rig.cancels, rig.core.mode()), (1, Mode::Active));
    rig.now = rig.now.plus_ms(61_000);
    list(&mut rig, vec![named(4)]);
    assert_eq!((rig.cancels, rig.core.mode()), (1, Mode::Halted));
}

#[test]
fn a_stream_that_kept_an_outcome_to_itself_holds_entries_back() {
    let mut rig = Rig::new();
    rig.enter();
    rig.ack(0);
    rig.reject(1, RejectClass::Definitive);
    rig.wait_ms(1_100);
    rig.report(0, "0", true);
    rig.wait_ms(5_001);
    rig.quotes();
    rig.enter();
    let down = RecordKind::EntryRefused { pair: PairId(0), refusal: record::Refusal::LinkDown };
    assert!(rig.sent.len() == 2 && rig.logs.contains(&down));
    rig.later_ms(60_000);
    rig.wait_ms(2);
    rig.quotes();
    rig.enter();
    assert_eq!(rig.sent.len(), 4, "for a while");
}

#[test]
fn a_venue_that_asks_for_patience_is_spared_entries_and_takes_closes() {
    let mut rig = Rig::new();
    rig.opened();
    rig.fact(Fact::Limited { venue: V, for_ms: 8_000 });
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    rig.fill(2, "g", "1", "100.11");
    rig.fill(3, "g", "1", "100.10");
    rig.wait_ms(5_100);
    rig.quotes();
    rig.enter();
    assert_eq!(rig.sent.len(), 4);
    rig.wait_ms(3_000);
    rig.quotes();
    rig.enter();
    assert_eq!(rig.sent.len(), 6);
}

#[test]
fn a_lone_leg_behind_a_silent_feed_is_priced_from_the_book_that_is_asked_for() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(0, "f", "1", "100.30");
    rig.event(P, TraderEvent::Ready(false));
    rig.now = rig.now.plus_ms(3_000);
    rig.reject(1, RejectClass::Definitive);
    assert_eq!((rig.sent[2].venue, rig.sent[2].limit), (V, price("100.56")), "by the last book known");
    rig.wait_ms(1);
    assert!(rig.asks.contains(&Ask::Book { venue: V, pair: PairId(0) }));
    let asked = rig.now;
    let book = |bid, ask| Fact::Book { venue: V, pair: PairId(0), asked, bid: price(bid), ask: price(ask) };
    rig.fact(book("101.00", "101.10"));
    rig.close(2, "0");
    rig.wait_ms(500);
    assert_eq!(rig.sent[3].limit, price("101.60"), "50 bps beyond the book of now");
    rig.fact(book("90.00", "90.10"));
    assert_eq!(rig.core.pairs()[0].quotes[0].ask, price("101.10"), "an answer of the same age is no news");
    rig.fill(3, "u", "1", "101.10");
    rig.assert_home();
    rig.enter();
    assert_eq!(rig.sent.len(), 4, "nothing is opened on such a book");
}

#[test]
fn a_pair_held_too_long_is_closed_though_a_feed_is_silent() {
    let mut rig = Rig::new();
    rig.opened();
    rig.wait_ms(1);
    rig.now = rig.now.plus_ms(86_401_000);
    rig.wait_ms(2);
    assert_eq!(rig.sent.len(), 2, "the feed may come back in a moment");
    rig.now = rig.now.plus_ms(30_000);
    rig.wait_ms(2);
    assert_eq!(rig.sent.len(), 4);
    assert!(rig.sent[2..].iter().all(|spec| spec.reduce_only && spec.purpose == Purpose::Exit));
    rig.fill(2, "g", "1", "100.36");
    rig.fill(3, "g", "1", "99.98");
    rig.assert_home();
    let held =
        |kind: &RecordKind| matches!(kind, RecordKind::ExitExecuted { reason: StopReason::MaxHold, .. });
    assert_eq!(rig.logged(held), 1);
}

#[test]
fn an_absurd_funding_rate_is_said_once() {
    let mut rig = Rig::new();
    let alarms = |rig: &Rig| {
        let absurd = Reason::cut("absurd funding rate");
        rig.logged(|kind| matches!(kind, RecordKind::Alarm { what, .. } if *what == absurd))
    };
    for (raw, said) in [(money::RATE_ONE / 100, 0), (money::RATE_ONE / 99, 1), (-money::RATE_ONE, 1)] {
        rig.funding = Rate::from_raw(raw);
        rig.quotes();
        rig.wait_ms(2);
        assert_eq!(alarms(&rig), said * 2, "both venues' quotes carry it");
    }
}

/// A held pair whose second leg's fill the venue takes back, the lone first leg closed.
fn busted(rig: &mut Rig) {
    let taken_back = VenueOrderId::cut("f");
    (0..2).for_each(|_| rig.news(1, OrderNews::Busted(taken_back)));
    assert_eq!(rig.core.pairs()[0].book.legs[1].qty, Qty::ZERO, "taken back once, told twice");
}

#[test]
fn a_bust_that_names_its_fill_alone_finds_the_order() {
    let mut rig = Rig::new();
    rig.opened();
    let (key, news) = (OrderKey::Venue(VenueOrderId::EMPTY), OrderNews::Busted(VenueOrderId::cut("f")));
    rig.event(P, TraderEvent::Order { key, news, t_venue: Nanos::NEVER });
    let taken_back = |entry: &Entry| matches!(entry, Entry::Busted { id, .. } if *id == rig.sent[1].id);
    assert_eq!(rig.journal.iter().filter(|entry| taken_back(entry)).count(), 1);
    assert_eq!((rig.sent[2].venue, rig.sent[2].purpose), (V, Purpose::Unwind));
    rig.fill(2, "u", "1", "100.36");
    rig.assert_home();
}

/// A snapshot takes over what an order filled, and not the names of its fills.
#[test]
fn a_bust_of_a_fill_that_nobody_knows_any_more_asks_what_is_held() {
    for key in [None, Some(OrderKey::Venue(VenueOrderId::EMPTY))] {
        let mut rig = Rig::new();
        rig.opened();
        let key = key.unwrap_or(OrderKey::Client(rig.sent[1].id));
        rig.later_ms(10_000);
        rig.asks.clear();
        let news = OrderNews::Busted(VenueOrderId::cut("of another run"));
        rig.event(P, TraderEvent::Order { key, news, t_venue: Nanos::NEVER });
        assert!(rig.asks.contains(&Ask::Account { venue: P }));
        rig.account(P, "0");
        rig.wait_ms(1_000);
        rig.account(P, "0");
        assert_eq!((rig.sent[2].venue, rig.sent[2].purpose), (V, Purpose::Unwind));
    }
}

/// A pair that was opened and closed, and what its slots held is forgotten.
fn closed() -> Rig {
    let mut rig = Rig::new();
    rig.opened();
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    rig.fill(2, "g", "1", "100.11");
    rig.fill(3, "g", "1", "100.10");
    rig.later_ms(10_000);
    rig
}

/// The leg of this venue is there again, as the account shows twice: it is brought home, and a person has to look.
fn comes_back(rig: &mut Rig, venue: VenueId, held: &str) {
    (0..2).for_each(|_| {
        rig.account(venue, held);
        rig.wait_ms(600);
    });
    let home = *rig.sent.last().unwrap();
    assert_eq!((home.venue, home.purpose, rig.sent.len()), (venue, Purpose::Unwind, 5));
    assert_eq!(rig.core.mode(), Mode::Halted);
    rig.fill(4, "u", "1", if venue == V { "100.36" } else { "99.98" });
    rig.assert_home();
}

#[test]
fn a_bust_of_a_close_that_nobody_knows_any_more_brings_its_leg_back() {
    let mut rig = closed();
    let (key, news) = (OrderKey::Venue(VenueOrderId::EMPTY), OrderNews::Busted(VenueOrderId::cut("g")));
    rig.event(P, TraderEvent::Order { key, news, t_venue: Nanos::NEVER });
    comes_back(&mut rig, P, "1");
}

/// Vest has no client ids: the nonce says whose it is.
#[test]
fn a_late_execution_of_an_order_that_has_left_its_slot_is_ours_by_its_nonce() {
    let told = |rig: &mut Rig, nonce: u64, filled: &str| {
        let (filled, average, fee) = (qty(filled), price("100.30"), Usd::ZERO);
        let (reason, told) = (Reason::cut("FILLED"), Told::default());
        let news = OrderNews::Closed { filled, average, fee, reason, told };
        let (key, t_venue) = (OrderKey::Nonce(nonce), Nanos::NEVER);
        rig.event(V, TraderEvent::Order { key, news, t_venue });
    };
    let mut rig = closed();
    let nonce = rig.sent[0].nonce;
    told(&mut rig, nonce, "2");
    comes_back(&mut rig, V, "-1");
    // What was booked already, and what no order of ours has as its nonce, explains nothing.
    for (nonce, filled) in [(nonce, "1"), (nonce + 77, "2")] {
        let mut rig = closed();
        told(&mut rig, nonce, filled);
        rig.account(V, "-1");
        rig.wait_ms(600);
        rig.account(V, "-1");
        assert_eq!(rig.sent.len(), 4);
        assert!(rig.core.pairs()[0].foreign[0], "it is a stranger's");
    }
}

#[test]
fn a_row_that_still_shows_a_busted_fill_brings_nothing_back() {
    let mut rig = Rig::new();
    rig.opened();
    busted(&mut rig);
    rig.report(1, "1", true);
    assert_eq!(rig.core.pairs()[0].book.legs[1].qty, Qty::ZERO);
    assert_eq!(rig.core.mode(), Mode::Reducing, "no dead order has filled");
    rig.fill(2, "u", "1", "100.36");
    rig.assert_home();
}

#[test]
fn news_of_an_order_that_was_over_when_its_segment_began_is_replayed() {
    let mut rig = Rig::new();
    rig.opened();
    rig.journal = rig.core.snapshot(1, 0, rig.now);
    busted(&mut rig);
    rig.assert_replay();
}

#[test]
fn what_is_missing_of_an_order_that_filled_in_part_before_a_restart_has_its_own_price() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(0, "f", "1", "100.30");
    rig.fill(1, "f", "0.5", "100.02");
    rig.journal = rig.core.snapshot(1, 0, rig.now);
    crate::limits::restart(&mut rig, Mode::Active);
    rig.report(1, "1", true);
    let cash = rig.core.pairs()[0].book.legs[1].cash;
    assert_eq!(cash, Usd::ZERO - price("100.03").times(qty("1")), "the row's average over the whole order");
    rig.assert_home_now();
}

#[test]
fn what_was_shown_before_the_pair_closed_is_not_adopted_after() {
    let mut rig = Rig::new();
    rig.opened();
    rig.wait_ms(3_000);
    rig.step(Input::Command(Command::Adopt(PairId(0))));
    rig.account(V, "-1");
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    rig.fill(2, "g", "1", "100.11");
    rig.fill(3, "g", "1", "100.10");
    rig.account(P, "0");
    assert!(rig.core.pairs()[0].book.is_flat(), "what Vest showed was closed since");
    rig.wait_ms(2_000);
    [V, P].into_iter().for_each(|venue| rig.account(venue, "0"));
    assert!(!rig.journal.iter().any(|entry| matches!(entry, Entry::Adjusted { .. })));
    rig.assert_home();
}

#[test]
fn what_one_venue_showed_before_the_other_came_back_is_asked_for_again_before_it_is_adopted() {
    let mut rig = Rig::new();
    rig.step(Input::Command(Command::Adopt(PairId(0))));
    rig.account(P, "1");
    rig.wait_ms(60_000);
    rig.asks.clear();
    rig.account(V, "0");
    assert!(rig.asks.contains(&Ask::Account { venue: P }) && rig.core.pairs()[0].book.is_flat());
    rig.account(P, "0.4");
    assert_eq!(rig.core.pairs()[0].book.legs[1].qty, qty("0.4"));
}

#[test]
fn one_step_beside_dust_is_swept_and_the_dust_is_told() {
    let mut rig = Rig::new();
    for (venue, lot) in [(V, "0.1"), (P, "0.3")] {
        let rules = MarketRules { lot: qty(lot), ..rules() };
        rig.fact(Fact::Rules { venue, pair: PairId(0), rules });
    }
    rig.step(Input::Command(Command::Adopt(PairId(0))));
    rig.account(V, "0.05");
    rig.account(P, "-0.3");
    let swept = rig.sent[0];
    assert_eq!((swept.venue, swept.side, swept.qty, swept.reduce_only), (P, Side::Buy, qty("0.3"), true));
    rig.fill(0, "u", "0.3", "100.02");
    rig.wait_ms(1_000);
    let told = Reason::cut("less than the venue trades is left: close it there");
    assert_eq!(rig.logged(|kind| matches!(kind, RecordKind::Alarm { what, .. } if *what == told)), 1);
    assert_eq!((rig.net(), rig.sent.len()), (qty("0.05"), 1));
    rig.assert_replay();
}

#[test]
fn a_leg_is_not_gone_for_reads_that_lag_by_seconds() {
    let mut rig = Rig::new();
    rig.opened();
    for _ in 0..8 {
        rig.wait_ms(600);
        rig.account(V, "0");
    }
    assert_eq!(rig.core.pairs()[0].book.legs[0].qty, qty("-1"), "its fill is not in them yet");
    rig.wait_ms(600);
    rig.account(V, "0");
    assert!(rig.core.pairs()[0].book.legs[0].qty.is_zero(), "no read lags for so long");
    assert_eq!((rig.sent[2].venue, rig.sent[2].purpose), (P, Purpose::Unwind));
}

/// Both venues hold the same side, as a person may adopt it, and one of them takes nothing.
#[test]
fn two_legs_on_the_same_side_both_go() {
    let mut rig = Rig::new();
    rig.step(Input::Command(Command::Adopt(PairId(0))));
    rig.account(V, "0.4");
    rig.account(P, "1");
    assert_eq!(rig.net(), qty("1.4"));
    rig.wait_ms(1);
    for _ in 0..6 {
        let last = rig.sent.len() - 1;
        assert!(rig.sent.iter().all(|spec| spec.reduce_only && spec.side == Side::Sell), "{:?}", rig.sent);
        match rig.sent[last].venue {
            P => rig.reject(last, RejectClass::Definitive),
            _ => rig.fill(last, "u", "0.4", "100.30"),
        }
        rig.wait_ms(1_001);
        rig.quotes();
    }
    assert_eq!(rig.core.pairs()[0].book.legs[0].qty, Qty::ZERO, "the one that could go has gone");
    rig.fill(rig.sent.len() - 1, "p", "1", "99.98");
    rig.assert_home();
}

/// The direction is that of the leg that is left, whichever was adopted first.
#[test]
fn what_is_left_of_two_legs_on_the_same_side_can_be_hedged() {
    let mut rig = Rig::new();
    rig.fact(Fact::Mode { venue: P, mode: VenueMode::Maintenance });
    rig.step(Input::Command(Command::Adopt(PairId(0))));
    rig.account(V, "-0.6");
    rig.account(P, "-0.3");
    rig.wait_ms(1);
    assert_eq!(rig.core.pairs()[0].book.direction, Some(Direction::B));
    rig.fill(0, "u", "0.6", "100.36");
    assert_eq!(rig.core.pairs()[0].book.direction, Some(Direction::A));
    rig.quotes();
    rig.wait_ms(1_001);
    let hedge = *rig.sent.last().unwrap();
    assert_eq!((hedge.venue, hedge.side, hedge.purpose), (V, Side::Buy, Purpose::Complete));
    rig.fill(1, "h", "0.3", "100.36");
    assert_eq!(rig.net(), Qty::ZERO);
    rig.assert_replay();
}
