//! Orders that left and that the journal does not know, because the machine died before the disk had them.

use bot4::journal::entry::{Entry, IntentEntry, IntentOrder};
use bot4::order::core::{Core, Effects, Input, Start};
use bot4::position::Adjustment;
use bot4::types::order::{Reason, VenueOrderId};
use bot4::types::report::{Ask, Fact, OpenOrder, PastOrder};
use bot4::types::*;

use crate::rig::*;

/// An engine that has traded once and died; what it did after its first pair is not in its journal. Nothing was told of
/// the venues yet but rules and links.
fn after_power_cut(orderly: bool) -> Rig {
    let mut rig = Rig::new();
    rig.journal.insert(0, Entry::Epoch { epoch: 1, config_hash: 0, at: rig.now });
    rig.opened();
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    rig.fill(2, "g", "1", "100.11");
    rig.fill(3, "g", "1", "100.10");
    rig.now = rig.now.plus_ms(10_000);
    begin(rig, 2, orderly)
}

/// The next run, two minutes after the last one ended in order or without a word.
pub fn begin(mut rig: Rig, epoch: u32, orderly: bool) -> Rig {
    if orderly {
        rig.journal.push(Entry::Stopped { at: rig.now });
    }
    let mut core = Core::new(rig.core.settings().clone());
    rig.journal.iter().for_each(|entry| core.recover(entry));
    core.end_recovery(rig.now);
    rig.journal = core.snapshot(epoch, 0, rig.now);
    let mut fx = Effects::new();
    rig.now = rig.now.plus_ms(120_000);
    core.start(rig.now, Start { epoch, mode: Mode::Active, paper: false }, &mut fx);
    rig.core = core;
    rig.sent.clear();
    rig.carry_out(fx);
    rig.connect_without_history();
    // What was in flight has arrived.
    rig.now = rig.now.plus_ms(ARRIVED_MS);
    rig.wait_ms(1);
    rig.quotes();
    rig
}

/// So long after a start a history holds all that was in flight.
const ARRIVED_MS: u64 = 6_000;

/// What a venue's history shows of an order: at Vest by a nonce so long after the last one known, at Paradex by a name.
fn past(rig: &Rig, seq: u32, side: Side, qty: &str) -> [PastOrder; 2] {
    let at_ms = rig.now.ms() - 131_000;
    let order = |id, nonce| PastOrder { pair: PairId(0), id, nonce, side, qty: self::qty(qty), at_ms };
    [order(None, at_ms), order(Some(ClientId { epoch: 1, seq, leg: 1 }), 0)]
}

fn tell(rig: &mut Rig, venue: VenueId, orders: Vec<PastOrder>) {
    let asked = rig.now;
    rig.fact(Fact::PastOrders { venue, asked, orders });
}

/// Both accounts, twice, so that what they show is believed.
fn shown(rig: &mut Rig, vest: &str, paradex: &str) {
    for _ in 0..2 {
        rig.account(V, vest);
        rig.account(P, paradex);
        rig.wait_ms(600);
    }
}

fn is_foreign(rig: &Rig) -> bool {
    rig.core.pairs()[0].foreign.contains(&true)
}

#[test]
fn a_leg_that_a_power_cut_took_from_the_journal_is_found_in_the_history_and_mended() {
    for venue in [V, P] {
        let mut rig = after_power_cut(false);
        rig.wait_ms(1);
        let asked = |ask: &&Ask| matches!(ask, Ask::PastOrders { .. });
        assert_eq!(rig.asks.iter().filter(asked).count(), 2, "both histories are asked for");
        let lost = past(&rig, 3, Side::Sell, "1")[venue.index()];
        tell(&mut rig, venue, vec![lost]);
        tell(&mut rig, VenueId(1 - venue.0), Vec::new());
        shown(&mut rig, if venue == V { "-1" } else { "0" }, if venue == P { "-1" } else { "0" });
        rig.wait_ms(3_000);
        assert!(!is_foreign(&rig));
        let [close] = rig.sent[..] else { panic!("{:?}", rig.sent) };
        assert_eq!(
            (close.venue, close.side, close.qty, close.reduce_only),
            (venue, Side::Buy, qty("1"), true)
        );
    }
}

#[test]
fn a_whole_pair_that_was_lost_is_no_lone_leg() {
    let mut rig = after_power_cut(false);
    let [sold, _] = past(&rig, 3, Side::Sell, "1");
    let [_, bought] = past(&rig, 3, Side::Buy, "1");
    rig.now = rig.now.minus_ms(ARRIVED_MS);
    tell(&mut rig, V, vec![sold]);
    rig.account(V, "-1");
    rig.wait_ms(600);
    rig.account(V, "-1");
    rig.wait_ms(100);
    assert_eq!(rig.core.pairs()[0].book.legs[0].qty, qty("-1"));
    assert!(rig.sent.is_empty(), "its other leg may still be found");
    tell(&mut rig, P, vec![bought]);
    shown(&mut rig, "-1", "1");
    rig.wait_ms(3_000);
    assert!(rig.sent.is_empty() && rig.core.pairs()[0].opened, "{:?}", rig.sent);
}

/// Its venue is away for long, and the one that holds the other leg closes nothing.
#[test]
fn a_leg_that_may_be_among_what_was_lost_is_not_brought_again() {
    let mut rig = after_power_cut(false);
    let [sold, _] = past(&rig, 3, Side::Sell, "1");
    let [_, bought] = past(&rig, 3, Side::Buy, "1");
    rig.fact(Fact::Mode { venue: V, mode: VenueMode::CancelOnly });
    tell(&mut rig, V, vec![sold]);
    (0..2).for_each(|_| {
        rig.account(V, "-1");
        rig.wait_ms(600);
    });
    assert_eq!(rig.core.pairs()[0].book.legs[0].qty, qty("-1"));
    let waits = |rig: &mut Rig, ms: u64| {
        rig.now = rig.now.plus_ms(ms);
        rig.quotes();
        rig.wait_ms(1_000);
        assert!(rig.sent.is_empty(), "{:?}", rig.sent);
    };
    waits(&mut rig, 20_000);
    tell(&mut rig, P, vec![bought]);
    waits(&mut rig, 1);
    shown(&mut rig, "-1", "1");
    waits(&mut rig, 3_000);
    assert!(rig.core.pairs()[0].opened);
}

#[test]
fn what_is_not_ours_stays_a_strangers_also_after_a_power_cut() {
    let rig = after_power_cut(false);
    let [vest, paradex] = past(&rig, 3, Side::Sell, "1");
    let known = [past(&rig, 2, Side::Sell, "1")[1], PastOrder { id: None, ..paradex }];
    let later = ClientId { epoch: 2, seq: 1, leg: 1 };
    let strangers = [
        (V, PastOrder { nonce: 77, ..vest }),
        (V, PastOrder { nonce: rig.now.ms(), at_ms: rig.now.ms(), ..vest }),
        (V, PastOrder { at_ms: vest.at_ms + 60_000, ..vest }),
        (P, known[0]),
        (P, known[1]),
        (P, PastOrder { id: Some(later), ..paradex }),
    ];
    for (venue, stranger) in strangers {
        let mut rig = after_power_cut(false);
        tell(&mut rig, venue, vec![stranger]);
        tell(&mut rig, VenueId(1 - venue.0), Vec::new());
        shown(&mut rig, if venue == V { "-1" } else { "0" }, if venue == P { "-1" } else { "0" });
        rig.wait_ms(3_000);
        assert!(is_foreign(&rig) && rig.sent.is_empty(), "{stranger:?}");
    }
}

#[test]
fn a_strangers_position_that_was_seen_before_the_history_still_blocks_after_it() {
    let mut rig = after_power_cut(false);
    shown(&mut rig, "0", "1");
    tell(&mut rig, V, Vec::new());
    tell(&mut rig, P, Vec::new());
    rig.quotes();
    assert_eq!(rig.exposure, ExposureState::Blocked, "not only when it is read the next time");
    shown(&mut rig, "0", "1");
    assert!(is_foreign(&rig));
}

/// Whose it is nobody has said yet; it was there before the order left.
#[test]
fn what_was_shown_beyond_ours_before_the_history_is_not_what_the_next_order_fills() {
    let mut rig = Rig::new();
    rig.journal.insert(0, Entry::Epoch { epoch: 1, config_hash: 0, at: rig.now });
    rig.opened();
    let by = Adjustment { leg: 1, side: Side::Sell, qty: qty("1"), price: price("100") };
    rig.journal.push(Entry::Adjusted { pair: PairId(0), by, at: rig.now });
    let mut rig = begin(rig, 2, false);
    shown(&mut rig, "-1.4", "0");
    tell(&mut rig, V, Vec::new());
    tell(&mut rig, P, Vec::new());
    rig.wait_ms(1);
    let close = rig.sent[0];
    assert_eq!((rig.sent.len(), close.venue, close.side, close.qty), (1, V, Side::Buy, qty("1")));
    for _ in 0..2 {
        rig.cancelled_untold(0);
        rig.account(V, "-1");
        rig.wait_ms(201);
    }
    assert_eq!(
        rig.core.pairs()[0].book.legs[0].qty,
        qty("-0.6"),
        "0.4 were closed, and 0.4 are a stranger's"
    );
}

#[test]
fn nothing_is_opened_before_both_histories_are_read_and_one_that_is_not_is_told() {
    let mut rig = after_power_cut(false);
    shown(&mut rig, "0", "0");
    tell(&mut rig, V, Vec::new());
    rig.wait_ms(1);
    assert_eq!(rig.exposure, ExposureState::Blocked);
    let unread = Reason::cut("entries held: the history cannot be read");
    let alarms = |rig: &Rig| {
        rig.logged(|kind| matches!(kind, RecordKind::Alarm { what, venue: P, .. } if *what == unread))
    };
    rig.asks.clear();
    rig.wait_ms(12_000);
    assert_eq!(alarms(&rig), 1);
    assert!(rig.asks.iter().any(|ask| matches!(ask, Ask::PastOrders { venue: P, .. })), "asked again");
    assert!(!rig.asks.iter().any(|ask| matches!(ask, Ask::PastOrders { venue: V, .. })));
    tell(&mut rig, P, Vec::new());
    shown(&mut rig, "0", "0");
    rig.quotes();
    assert_eq!(rig.exposure, ExposureState::MayEnter);

    let mut rig = after_power_cut(true);
    shown(&mut rig, "0", "0");
    rig.quotes();
    assert_eq!(rig.exposure, ExposureState::MayEnter, "an orderly end loses nothing");
    assert!(!rig.asks.iter().any(|ask| matches!(ask, Ask::PastOrders { .. })));
}

/// The run that follows may end before it has read the histories, in order or not; the one after that reads them.
#[test]
fn what_one_run_has_not_read_the_next_one_does() {
    for orderly in [true, false] {
        let rig = after_power_cut(false);
        let lost = past(&rig, 3, Side::Sell, "1")[0];
        let mut rig = begin(rig, 3, orderly);
        tell(&mut rig, P, Vec::new());
        tell(&mut rig, V, vec![lost]);
        shown(&mut rig, "-1", "0");
        rig.wait_ms(3_000);
        assert!(!is_foreign(&rig));
        let [close] = rig.sent[..] else { panic!("{:?}", rig.sent) };
        assert_eq!((close.venue, close.side, close.reduce_only), (V, Side::Buy, true));
    }
}

/// One history was read and its leg is being closed when the machine dies again; what the other one has lost is older
/// than the orders of that run.
#[test]
fn a_second_death_hides_nothing_of_the_first() {
    let mut rig = after_power_cut(false);
    let [sold, _] = past(&rig, 3, Side::Sell, "1");
    let [_, bought] = past(&rig, 3, Side::Buy, "2");
    tell(&mut rig, P, vec![bought]);
    shown(&mut rig, "0", "2");
    rig.wait_ms(4_000);
    assert_eq!(rig.sent.len(), 1, "it is not waited for any longer");
    rig.fill(0, "u", "2", "100.10");
    let mut rig = begin(rig, 3, false);
    tell(&mut rig, P, vec![bought]);
    shown(&mut rig, "-1", "0");
    tell(&mut rig, V, vec![sold]);
    shown(&mut rig, "-1", "0");
    rig.wait_ms(4_000);
    assert!(!is_foreign(&rig));
    let [close] = rig.sent[..] else { panic!("{:?}", rig.sent) };
    assert_eq!((close.venue, close.side), (V, Side::Buy));
}

/// Once it was read, what a stranger does afterwards is not explained by it again.
#[test]
fn what_was_read_once_explains_nothing_in_the_next_run() {
    let mut rig = after_power_cut(false);
    let lost = past(&rig, 3, Side::Sell, "1");
    tell(&mut rig, V, vec![lost[0]]);
    tell(&mut rig, P, vec![lost[1]]);
    rig.now = rig.now.plus_ms(6_000);
    shown(&mut rig, "0", "0");
    tell(&mut rig, V, vec![lost[0]]);
    tell(&mut rig, P, vec![lost[1]]);
    rig.now = rig.now.plus_ms(90_000);
    let mut rig = begin(rig, 3, false);
    tell(&mut rig, V, vec![lost[0]]);
    tell(&mut rig, P, vec![lost[1]]);
    shown(&mut rig, "-1", "0");
    assert!(is_foreign(&rig));
}

/// A lone leg whose unwinds missed: the history tells their size, and not that nothing of them has filled.
#[test]
fn orders_of_both_sides_that_were_lost_bound_a_leg_from_both_sides() {
    for (sells, shows, foreign) in [(1, "1", false), (2, "1", false), (2, "-1", false), (1, "2", true)] {
        let mut rig = after_power_cut(false);
        let mut lost = vec![past(&rig, 3, Side::Buy, "1")[0]];
        lost.extend((0..sells).map(|n| past(&rig, 4 + n, Side::Sell, "1")[0]));
        tell(&mut rig, V, lost);
        tell(&mut rig, P, Vec::new());
        shown(&mut rig, shows, "0");
        rig.wait_ms(4_000);
        assert_eq!((is_foreign(&rig), rig.sent.len()), (foreign, usize::from(!foreign)), "{sells} {shows}");
    }
}

/// Nonces that `bot4 flatten` has used in between say nothing of the orders before.
#[test]
fn orders_are_lost_also_where_flatten_has_closed_something_since() {
    let rig = after_power_cut(false);
    let lost = past(&rig, 3, Side::Sell, "1")[0];
    let mut core = Core::new(rig.core.settings().clone());
    rig.journal.iter().for_each(|entry| core.recover(entry));
    core.raise_nonce(rig.now.ms() + 10_000);
    let mut rig = rig;
    rig.journal = core.snapshot(2, 0, rig.now);
    let mut rig = begin(rig, 3, false);
    tell(&mut rig, P, Vec::new());
    tell(&mut rig, V, vec![lost]);
    shown(&mut rig, "-1", "0");
    assert!(!is_foreign(&rig));
}

/// A sell at Vest was lost, and both histories were read.
fn with_a_lost_sell() -> (Rig, PastOrder) {
    let mut rig = after_power_cut(false);
    let lost = past(&rig, 3, Side::Sell, "1")[0];
    tell(&mut rig, V, vec![lost]);
    tell(&mut rig, P, Vec::new());
    (rig, lost)
}

/// While the account does not answer, nothing tells what a lost order has filled.
#[test]
fn what_was_lost_is_ours_however_late_its_position_is_read() {
    let (mut rig, _) = with_a_lost_sell();
    rig.wait_ms(120_000);
    shown(&mut rig, "-1", "0");
    assert!(!is_foreign(&rig));
    assert_eq!(rig.core.pairs()[0].book.legs[0].qty, qty("-1"));
}

#[test]
fn a_person_who_adopts_ends_the_wait_for_a_history() {
    let mut rig = after_power_cut(false);
    rig.wait_ms(12_000);
    rig.step(Input::Command(Command::Adopt(PairId(0))));
    shown(&mut rig, "0", "0");
    rig.asks.clear();
    rig.wait_ms(5_000);
    assert!(!rig.asks.iter().any(|ask| matches!(ask, Ask::PastOrders { .. })));
    rig.quotes();
    assert_eq!(rig.exposure, ExposureState::MayEnter);
    let ended = |entry: &Entry| matches!(entry, Entry::History { history, .. } if history.unread.is_none());
    assert_eq!(rig.journal.iter().filter(|entry| ended(entry)).count(), 2, "and for the next run too");
}

/// It may be pending at its venue for half a minute.
#[test]
fn a_lost_order_that_is_still_open_is_cancelled_and_nothing_is_opened_beside_it() {
    let (mut rig, lost) = with_a_lost_sell();
    assert!(rig.asks.contains(&Ask::OpenOrders { venue: V }));
    shown(&mut rig, "0", "0");
    rig.quotes();
    assert_eq!(rig.exposure, ExposureState::Blocked, "nobody knows yet whether it is");
    let venue_id = VenueOrderId::cut("0xab");
    let list = |rig: &mut Rig, orders| {
        let asked = rig.now;
        rig.fact(Fact::OpenOrders { venue: V, asked, orders });
    };
    list(&mut rig, vec![OpenOrder { pair: Some(PairId(0)), venue_id, id: None, nonce: lost.nonce }]);
    assert!(rig.cancels > 0);
    let cancels = rig.cancels;
    rig.quotes();
    assert_eq!(rig.exposure, ExposureState::Blocked);
    list(&mut rig, vec![OpenOrder { pair: Some(PairId(0)), venue_id, id: None, nonce: 77 }]);
    rig.now = rig.now.plus_ms(6_000);
    shown(&mut rig, "0", "0");
    rig.quotes();
    assert_eq!(rig.exposure, ExposureState::Blocked, "the history is read once more");
    tell(&mut rig, V, vec![lost]);
    rig.quotes();
    assert_eq!((rig.exposure, rig.cancels), (ExposureState::MayEnter, cancels), "a stranger's is left alone");
}

/// What was in flight when the machine died arrives while the histories are read for the first time.
#[test]
fn an_order_that_arrives_after_the_start_is_found_too() {
    let rig = after_power_cut(false);
    let lost = past(&rig, 3, Side::Sell, "1")[0];
    let mut rig = begin(rig, 3, false);
    let early = rig.now.minus_ms(5_000);
    for orders in [Vec::new(), vec![lost]] {
        rig.fact(Fact::PastOrders { venue: V, asked: early, orders });
    }
    tell(&mut rig, P, Vec::new());
    tell(&mut rig, V, vec![lost]);
    let open = rig.core.pairs()[0].unproven(0, rig.now);
    assert_eq!((open.sold, open.bought), (qty("-1"), Qty::ZERO), "and counted once");
    shown(&mut rig, "-1", "0");
    assert!(!is_foreign(&rig));
}

/// What is known to be settled is not waited for: a list has to say that nothing of it is open.
#[test]
fn nothing_is_opened_before_a_list_shows_that_no_lost_order_is_open() {
    let (mut rig, lost) = with_a_lost_sell();
    rig.now = rig.now.plus_ms(6_000);
    shown(&mut rig, "0", "0");
    tell(&mut rig, V, vec![lost]);
    rig.quotes();
    assert_eq!(rig.exposure, ExposureState::Blocked);
    let asked = rig.now;
    rig.fact(Fact::OpenOrders { venue: V, asked, orders: Vec::new() });
    rig.quotes();
    assert_eq!(rig.exposure, ExposureState::MayEnter);
}

#[test]
fn a_history_that_was_read_is_not_told_to_be_unread() {
    let (mut rig, _) = with_a_lost_sell();
    rig.wait_ms(12_000);
    let unread = Reason::cut("entries held: the history cannot be read");
    assert_eq!(rig.logged(|kind| matches!(kind, RecordKind::Alarm { what, .. } if *what == unread)), 0);
}

/// The run that died before it had read the history has sent an order itself: what is older is still looked for, and
/// its own order is none of the lost.
#[test]
fn an_order_of_the_run_in_between_hides_none_and_is_none() {
    let mut rig = after_power_cut(false);
    let lost = past(&rig, 3, Side::Sell, "1")[0];
    let mut other = Rig::new();
    other.enter();
    let (id, nonce, at) = (ClientId { epoch: 2, seq: 1, leg: 0 }, rig.now.ms() - 1_000, rig.now);
    let spec = OrderSpec { id, nonce, ..other.sent[0] };
    let order = IntentOrder { spec, leg: 0, expected: spec.limit };
    let (mid, edge, before) = (spec.limit, Rate::ZERO, [Qty::ZERO; 2]);
    let orders = [Some(order), None];
    let intent =
        IntentEntry { seq: 1, pair: PairId(0), kind: None, edge, basis: edge, mid, orders, before, at };
    let (state, reason) = (OrderState::NoFill, Reason::EMPTY);
    rig.journal.push(Entry::Intent { intent });
    rig.journal.push(Entry::Closed { id, state, filled: Qty::ZERO, reason, at });
    let own = PastOrder { nonce, side: spec.side, at_ms: nonce, ..lost };
    let mut rig = begin(rig, 3, false);
    tell(&mut rig, V, vec![lost, own]);
    let open = rig.core.pairs()[0].unproven(0, rig.now);
    assert_eq!((open.sold, open.bought), (qty("-1"), Qty::ZERO));
}
