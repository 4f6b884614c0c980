//! Margin, keys, clocks, prices and funding: what is said, what stops, and what is reduced.

use bot4::order::core::Input;
use bot4::types::order::Reason;
use bot4::types::report::{AccountReport, Ask, Fact, KeyLife, PositionReport, TraderEvent};
use bot4::types::*;

use crate::rig::*;

/// A venue's statement: equity 1000 USD, this much of it free, this position.
fn account(rig: &mut Rig, venue: VenueId, free: i64, position: &str, liquidation: &str) {
    let mut report = AccountReport { equity: usd(1_000), free_margin: usd(free), ..AccountReport::default() };
    report.positions[0] = PositionReport {
        qty: qty(position),
        entry_price: price("100"),
        liquidation_price: price(liquidation),
    };
    rig.account_report(venue, report);
}

/// A pair that has been held for a while.
fn held() -> Rig {
    let mut rig = Rig::new();
    rig.opened();
    rig.now = rig.now.plus_ms(10_000);
    rig.quotes();
    rig
}

fn lows(rig: &Rig) -> Vec<(VenueId, Usd, bool)> {
    let low = |kind: &RecordKind| match *kind {
        RecordKind::MarginLow { venue, wanted, reducing, .. } => Some((venue, wanted, reducing)),
        _ => None,
    };
    rig.logs.iter().filter_map(low).collect()
}

#[test]
fn low_margin_is_told_with_what_mends_it_and_reduces_nothing_yet() {
    let mut rig = held();
    account(&mut rig, V, 400, "-1", "0");
    assert_eq!(lows(&rig), []);
    account(&mut rig, V, 340, "-1", "0");
    account(&mut rig, V, 330, "-1", "0");
    assert_eq!(lows(&rig), [(V, usd(100), false)], "once: (340 + 100) of 1100 is 40 %");
    rig.wait_ms(3_000);
    assert_eq!(rig.sent.len(), 2);
    rig.now = rig.now.plus_ms(60_000);
    account(&mut rig, V, 340, "-1", "0");
    assert_eq!(lows(&rig).len(), 2, "told again while it lasts");
}

#[test]
fn a_shortage_halves_both_legs_at_once_until_it_is_over() {
    let mut rig = held();
    account(&mut rig, P, 240, "1", "0");
    assert!(matches!(lows(&rig)[..], [(P, _, true)]));
    rig.wait_ms(1);
    assert_eq!(rig.sent.len(), 4, "both legs leave");
    let closes = [(rig.sent[2].qty, rig.sent[2].reduce_only), (rig.sent[3].qty, rig.sent[3].reduce_only)];
    assert_eq!(closes, [(qty("0.5"), true); 2]);
    rig.fill(2, "g", "0.5", "100.36");
    rig.fill(3, "g", "0.5", "99.98");
    rig.wait_ms(500);
    account(&mut rig, P, 240, "0.5", "0");
    rig.wait_ms(1_000);
    assert_eq!(rig.sent.len(), 4, "a statement that may be older than the fills halves nothing again");
    rig.asks.clear();
    rig.wait_ms(2_000);
    assert!(rig.asks.contains(&Ask::Account { venue: P }), "it is looked at again soon");
    account(&mut rig, P, 240, "0.5", "0");
    rig.wait_ms(1);
    assert_eq!([rig.sent[4].qty, rig.sent[5].qty], [qty("0.25"); 2]);
    rig.fill(4, "h", "0.25", "100.36");
    rig.fill(5, "h", "0.25", "99.98");
    account(&mut rig, P, 500, "0.25", "0");
    rig.wait_ms(5_000);
    assert_eq!(rig.sent.len(), 6);
    assert!(matches!(rig.exposure, ExposureState::Held { qty: left, .. } if left == qty("0.25")));
    rig.assert_home();
}

#[test]
fn a_near_liquidation_price_reduces_and_blocks_entries() {
    let mut rig = held();
    account(&mut rig, V, 900, "-1", "120");
    rig.wait_ms(1);
    assert_eq!(rig.sent.len(), 2, "a fifth away");
    account(&mut rig, V, 900, "-1", "114");
    rig.wait_ms(1);
    assert_eq!([rig.sent[2].qty, rig.sent[3].qty], [qty("0.5"); 2]);
    rig.fill(2, "g", "0.5", "100.36");
    rig.fill(3, "g", "0.5", "99.98");
    rig.assert_home();

    let mut rig = Rig::new();
    account(&mut rig, V, 900, "-1", "114");
    rig.enter();
    assert!(rig.sent.is_empty(), "{:?}", rig.logs.last());
}

#[test]
fn margin_is_reckoned_at_the_leverage_that_is_set() {
    let mut rig = Rig::new();
    let lenient = MarketRules { initial_margin: Rate::from_bps(100), ..rules() };
    rig.fact(Fact::Rules { venue: V, pair: PairId(0), rules: lenient });
    account(&mut rig, V, 430, "0", "0");
    rig.enter();
    let margin = RecordKind::EntryRefused { pair: PairId(0), refusal: record::Refusal::Margin };
    assert!(rig.logs.contains(&margin), "100 USD at 3x need 33, and 397 of 1000 is less than 40 %");
}

#[test]
fn a_key_that_lapses_is_told_each_hour_and_stops_entries_in_time() {
    let mut rig = Rig::new();
    let left =
        |rig: &Rig, low| rig.logged(|kind| matches!(kind, RecordKind::KeyLeft { low: l, .. } if *l == low));
    let hour = 3_600_000;
    let at_ms = rig.now.ms() + 74 * hour;
    rig.fact(Fact::KeyExpiry { venue: V, life: KeyLife::Until(at_ms) });
    rig.wait_ms(1);
    assert_eq!((left(&rig, false), left(&rig, true)), (1, 0));
    for _ in 0..3 {
        rig.now = rig.now.plus_ms(hour);
        rig.wait_ms(2);
    }
    assert!(left(&rig, true) >= 1, "a long run is told when its time comes");
    rig.later_ms(at_ms - 47 * hour - rig.now.ms());
    rig.quotes();
    rig.enter();
    let expiry = RecordKind::EntryRefused { pair: PairId(0), refusal: record::Refusal::KeyExpiry };
    assert!(rig.sent.is_empty() && rig.logs.contains(&expiry));
    let mut rig = held();
    rig.fact(Fact::KeyExpiry { venue: V, life: KeyLife::Until(rig.now.ms() + hour) });
    rig.quotes();
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    assert_eq!(rig.sent.len(), 4, "closing is never held back");
}

#[test]
fn a_key_is_told_within_a_second_of_its_72nd_hour_and_each_hour_after() {
    let (mut rig, hour) = (Rig::new(), 3_600_000);
    let crossing = rig.now.plus_ms(1_805_000);
    rig.fact(Fact::KeyExpiry { venue: V, life: KeyLife::Until(crossing.ms() + 72 * hour) });
    let mut told = Vec::new();
    for _ in 0..3 * 3_600 {
        rig.now = rig.now.plus_ms(999);
        rig.wait_ms(1);
        let low = |log: &RecordKind| matches!(log, RecordKind::KeyLeft { low: true, .. });
        told.extend(rig.logs.drain(..).filter(low).map(|_| rig.now.ms_since(crossing)));
    }
    assert_eq!(told.len(), 3, "{told:?}");
    let late = |at: usize| told[at] - at as u64 * hour;
    assert!((0..3).all(|at| late(at) <= 1_000), "{told:?}");
}

#[test]
fn a_key_whose_end_nobody_has_told_opens_nothing_says_so_and_keeps_nothing_from_closing() {
    let mut rig = held();
    rig.later_ms(6_000);
    rig.fact(Fact::KeyExpiry { venue: V, life: KeyLife::Untold });
    rig.wait_ms(1);
    assert!(rig.logs.contains(&RecordKind::KeyLeft { venue: V, hours: None, low: true }));
    rig.quotes();
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    assert_eq!(rig.sent.len(), 4, "closing is never held back");
    let mut rig = Rig::new();
    rig.fact(Fact::KeyExpiry { venue: V, life: KeyLife::Untold });
    rig.enter();
    let expiry = RecordKind::EntryRefused { pair: PairId(0), refusal: record::Refusal::KeyExpiry };
    assert!(rig.sent.is_empty() && rig.logs.contains(&expiry));
}

#[test]
fn a_market_that_ends_soon_is_not_entered_and_left_in_time() {
    let mut rig = held();
    let hour = 3_600_000;
    let end = rig.now.ms() + 49 * hour;
    let ends = MarketRules { ends_ms: Some(end), ..rules() };
    rig.fact(Fact::Rules { venue: P, pair: PairId(0), rules: ends });
    rig.wait_ms(1);
    assert_eq!(rig.sent.len(), 2, "two days are left");
    rig.now = Nanos::from_ms(end - 24 * hour + 1);
    rig.quotes();
    rig.wait_ms(1);
    assert_eq!([rig.sent[2].purpose, rig.sent[3].purpose], [Purpose::Exit; 2]);
    rig.fill(2, "g", "1", "100.36");
    rig.fill(3, "g", "1", "99.98");
    rig.assert_home();
    assert!(rig.core.pairs()[0].book.is_flat());

    let mut rig = Rig::new();
    let ends = MarketRules { ends_ms: Some(rig.now.ms() + 47 * hour), ..rules() };
    rig.fact(Fact::Rules { venue: P, pair: PairId(0), rules: ends });
    rig.enter();
    let refused = RecordKind::EntryRefused { pair: PairId(0), refusal: record::Refusal::VenueState };
    assert!(rig.sent.is_empty() && rig.logs.contains(&refused), "the longest hold and a day");
}

/// Measured from a clock that runs late, a window of half a second is over before it begins.
#[test]
fn what_closes_is_not_dead_on_arrival_where_our_clock_runs_late() {
    let rows =
        [(800, 1_300, 0), (-800, 500, 0), (1_500, 2_000, 0), (3_000, 500, 3_000), (i64::MAX, 500, 30_000)];
    for (offset_ms, window_ms, ahead_ms) in rows {
        let mut rig = Rig::new();
        rig.enter();
        rig.fill(0, "f", "1", "100.30");
        rig.fact(Fact::Clock { venue: V, offset_ms });
        rig.fact(Fact::Clock { venue: P, offset_ms });
        rig.reject(1, RejectClass::Definitive);
        assert_eq!(rig.sent[2].window_ms, window_ms, "the venue is {offset_ms} ms ahead");
        assert_eq!(rig.sent[2].signed_ms, rig.now.ms() + ahead_ms, "no window reaches further");
    }
}

#[test]
fn one_reading_of_a_clock_halts_nothing_and_two_do() {
    let mut rig = Rig::new();
    let read = |rig: &mut Rig, offset_ms| rig.fact(Fact::Clock { venue: P, offset_ms });
    read(&mut rig, 1_500);
    assert_eq!(rig.core.mode(), Mode::Active);
    rig.enter();
    assert!(rig.sent.is_empty(), "and it opens nothing");
    read(&mut rig, 10);
    read(&mut rig, -1_500);
    assert_eq!(rig.core.mode(), Mode::Active);
    read(&mut rig, -1_500);
    assert_eq!(rig.core.mode(), Mode::Halted);
}

#[test]
fn an_account_told_by_a_stream_is_judged_too() {
    let mut rig = held();
    account(&mut rig, P, 900, "1", "0");
    rig.event(P, TraderEvent::Account { equity: usd(1_000), free: usd(300) });
    assert_eq!(lows(&rig).len(), 1);
}

#[test]
fn an_account_that_is_not_set_up_as_configured_opens_nothing_until_a_person_resumes() {
    let mut rig = Rig::new();
    rig.opened();
    rig.fact(Fact::Unprepared { venue: V });
    assert_eq!(rig.core.mode(), Mode::Paused);
    rig.quotes();
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    assert_eq!(rig.sent.len(), 4, "what is held is closed all the same");
    rig.event(V, TraderEvent::Liquidation);
    rig.fact(Fact::Unprepared { venue: V });
    assert_eq!(rig.core.mode(), Mode::Halted, "a latch is not lifted by it");
}

#[test]
fn an_account_that_cannot_be_read_opens_nothing_is_told_once_and_keeps_nothing_from_closing() {
    let unread = |rig: &Rig| {
        let what = Reason::cut("entries held: the account cannot be read");
        rig.logged(|kind| matches!(kind, RecordKind::Alarm { venue: P, what: w, .. } if *w == what))
    };
    let mut rig = Rig::new();
    rig.opened();
    let asked = rig.now;
    rig.account(V, "-1");
    rig.account(P, "1");
    rig.now = rig.now.plus_ms(40_000);
    rig.account(V, "-1");
    rig.now = asked.plus_ms(45_100);
    rig.quotes();
    rig.wait_ms(100);
    assert_eq!(unread(&rig), 1);
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    rig.fill(2, "g", "1", "100.11");
    rig.fill(3, "g", "1", "100.10");
    rig.assert_home();
    rig.wait_ms(5_001);
    rig.quotes();
    assert_eq!(rig.exposure, ExposureState::Blocked);
    rig.enter();
    let refused = RecordKind::EntryRefused { pair: PairId(0), refusal: record::Refusal::NotReconciled };
    assert_eq!((rig.sent.len(), rig.logged(|kind| *kind == refused)), (4, 1));
    rig.account(P, "0");
    rig.account(V, "0");
    rig.wait_ms(5_001);
    rig.quotes();
    assert_eq!(rig.exposure, ExposureState::MayEnter, "read again");
    rig.enter();
    assert_eq!(rig.sent.len(), 6);
    assert_eq!(unread(&rig), 1);
    for order in [4, 5] {
        rig.close(order, "0");
    }
    rig.assert_home();
}

#[test]
fn a_fee_that_rises_while_running_opens_nothing_more_until_it_has_fallen() {
    let mut rig = Rig::new();
    let told = |rig: &mut Rig, bps: i64| {
        let rules = MarketRules { taker: Rate::from_bps(bps), ..rules() };
        rig.fact(Fact::Rules { venue: V, pair: PairId(0), rules });
        rig.quotes();
    };
    let alarms = |rig: &Rig| {
        let lost = Reason::cut("a fee rose: the thresholds lose money, nothing is opened");
        rig.logged(|kind| matches!(kind, RecordKind::Alarm { what, .. } if *what == lost))
    };
    assert_eq!(rig.exposure, ExposureState::MayEnter);
    // 25 - 2 bps between the thresholds; four fees of 4 and 7 bps make 22, of 4 and 8 make 24.
    told(&mut rig, 7);
    assert_eq!((rig.exposure, alarms(&rig)), (ExposureState::MayEnter, 0));
    told(&mut rig, 8);
    told(&mut rig, 9);
    assert_eq!((rig.exposure, alarms(&rig)), (ExposureState::Blocked, 1), "told once");
    rig.enter();
    let fees = RecordKind::EntryRefused { pair: PairId(0), refusal: record::Refusal::Fees };
    assert!(rig.sent.is_empty() && rig.logs.contains(&fees));
    told(&mut rig, 4);
    rig.wait_ms(6_000);
    rig.quotes();
    rig.enter();
    assert_eq!(rig.sent.len(), 2, "{:?}", rig.logs);
    rig.fill(0, "f", "1", "100.30");
    rig.fill(1, "f", "1", "100.02");
    told(&mut rig, 9);
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    assert_eq!(rig.sent.len(), 4, "what is held is closed all the same");
}

/// Two prices two per cent apart, or one that has leapt away from itself, and back.
#[test]
fn absurd_prices_again_and_again_halt() {
    for leaps in [false, true] {
        let mut rig = Rig::new();
        let absurd = |rig: &mut Rig| {
            match leaps {
                true => {
                    let wild = Quote { wild: true, venue: P, ..Quote::default() };
                    rig.step(Input::Quote(wild));
                }
                false => rig.quote(P, "102.60", "102.64"),
            }
            rig.wait_ms(2);
            rig.quotes();
            rig.wait_ms(2);
        };
        rig.quotes();
        (0..9).for_each(|_| absurd(&mut rig));
        assert_eq!(rig.core.mode(), Mode::Active, "nine in ten minutes");
        rig.later_ms(600_001);
        (0..9).for_each(|_| absurd(&mut rig));
        assert_eq!(rig.core.mode(), Mode::Active, "those before were longer ago");
        absurd(&mut rig);
        assert_eq!(rig.core.mode(), Mode::Halted);
        let what = Reason::cut("absurd prices again and again");
        let told = RecordKind::Alarm { pair: PairId(0), venue: P, what };
        assert_eq!(rig.logged(|kind| *kind == told), 1);
    }
}
