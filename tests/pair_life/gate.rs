//! Each check of the gate alone: an entry that would leave but for the one thing that a row changes, on both sides of
//! its limit where it has one.

use bot4::order::core::{Effects, Input};
use bot4::order::gate::Gate;
use bot4::order::news::SendOutcome;
use bot4::types::record::Refusal;
use bot4::types::report::{AccountReport, Fact, TraderEvent};
use bot4::types::settings::{Legs, PairSettings};
use bot4::types::*;

use crate::rig::*;

const FREE: Option<Refusal> = None;

type Change = fn(&mut MarketRules);
/// What happens at a venue before the entry.
type Event<'a> = &'a dyn Fn(&mut Rig, VenueId);

/// So many pairs on the same two venues, all of them ready to enter.
fn rig_of(pairs: u8, change: impl FnOnce(&mut Settings)) -> Rig {
    let mut settings = settings(Legs::Together);
    let first = settings.pairs[0].clone();
    settings.pairs = (0..pairs).map(|id| PairSettings { id: PairId(id), ..first.clone() }).collect();
    change(&mut settings);
    let mut rig = Rig::of(settings);
    for pair in (1..pairs).map(PairId) {
        for (venue, bid, ask) in [(V, "100.30", "100.36"), (P, "99.98", "100.02")] {
            rig.fact(Fact::Rules { venue, pair, rules: rules() });
            let quote = Quote { pair, ..rig.quoted(venue, bid, ask) };
            rig.step(Input::Quote(quote));
        }
    }
    rig
}

fn entry(rig: &Rig, pair: u8) -> Intent {
    let enter = IntentKind::Enter(Direction::B);
    Intent { pair: PairId(pair), ..rig.wish(enter, ["100.29", "100.03"], ["100.30", "100.02"]) }
}

fn exit(rig: &Rig, pair: u8) -> Intent {
    let exit = IntentKind::Exit(StopReason::Threshold);
    Intent { pair: PairId(pair), ..rig.wish(exit, ["100.12", "100.09"], ["100.11", "100.10"]) }
}

/// Why the wish was refused; where it was not, both of its orders have left.
fn refusal(rig: &mut Rig, intent: Intent) -> Option<Refusal> {
    let before = rig.sent.len();
    rig.logs.clear();
    rig.step(Input::Intent(intent));
    let told = rig.logs.iter().find_map(|kind| match kind {
        RecordKind::EntryRefused { refusal, .. } => Some(*refusal),
        _ => None,
    });
    assert_eq!(rig.sent.len() - before, if told.is_some() { 0 } else { 2 });
    told
}

fn enters(rig: &mut Rig, pair: u8) -> Option<Refusal> {
    let intent = entry(rig, pair);
    refusal(rig, intent)
}

/// Each row says what it is, what is wanted and what was seen. All that differ are told, so that a check which is gone
/// shows what it carried.
fn assert_rows(rows: impl IntoIterator<Item = (String, Option<Refusal>, Option<Refusal>)>) {
    let wrong: Vec<_> = rows.into_iter().filter(|(_, wanted, seen)| wanted != seen).collect();
    assert!(wrong.is_empty(), "(row, wanted, seen): {wrong:?}");
}

fn on_each_venue<R: Copy>(rows: &[R]) -> impl Iterator<Item = (VenueId, R)> {
    [V, P].into_iter().flat_map(move |venue| rows.iter().map(move |row| (venue, *row)))
}

#[test]
fn a_wish_older_than_a_tenth_of_a_second_is_refused() {
    assert_rows([(100, FREE), (101, Some(Refusal::OldIntent))].map(|(age_ms, wanted)| {
        let mut rig = Rig::new();
        let intent = entry(&rig, 0);
        rig.now = rig.now.plus_ms(age_ms - 1);
        (format!("{age_ms} ms"), wanted, refusal(&mut rig, intent))
    }));
}

#[test]
fn books_that_are_too_far_apart_open_nothing_whichever_is_the_older() {
    assert_rows(on_each_venue(&[(100, FREE), (101, Some(Refusal::Skewed))]).map(
        |(older, (apart, wanted))| {
            let mut rig = rig_of(1, |limits| limits.risk.max_skew_ms = 100);
            let mut books = [rig.quoted(V, "100.30", "100.36"), rig.quoted(P, "99.98", "100.02")];
            books
                .iter_mut()
                .filter(|book| book.venue != older)
                .for_each(|book| book.t_wire = book.t_wire.plus_ms(apart));
            rig.now = rig.now.plus_ms(apart);
            books.into_iter().for_each(|book| rig.step(Input::Quote(book)));
            (format!("{older:?} {apart} ms"), wanted, enters(&mut rig, 0))
        },
    ));
}

#[test]
fn an_order_has_the_steps_and_sizes_of_its_venue_and_its_unwind_at_the_far_end_has_them_too() {
    let minimum = Some(Refusal::Minimum);
    let rows: [(&str, Change, Option<Refusal>); 10] = [
        ("whole steps", |rules| rules.lot = qty("0.25"), FREE),
        ("a part of a step", |rules| rules.lot = qty("0.3"), minimum),
        ("a part of a tick", |rules| rules.tick = price("0.04"), minimum),
        ("the least", |rules| rules.min_qty = qty("1"), FREE),
        ("less than the least", |rules| rules.min_qty = qty("1.0001"), minimum),
        ("the most", |rules| rules.max_qty = qty("1"), FREE),
        ("more than the most", |rules| rules.max_qty = qty("0.9999"), minimum),
        // The order is worth 100.16, and 98.16 two hundred basis points away.
        ("enough to unwind", |rules| rules.min_notional = usd(98), FREE),
        ("too little to unwind", |rules| rules.min_notional = usd(99), minimum),
        ("halted", |rules| rules.status = MarketStatus::Halted, Some(Refusal::VenueState)),
    ];
    assert_rows(on_each_venue(&rows).map(|(venue, (what, change, wanted))| {
        let mut rig = Rig::new();
        let mut rules = rules();
        change(&mut rules);
        rig.fact(Fact::Rules { venue, pair: PairId(0), rules });
        (format!("{venue:?} {what}"), wanted, enters(&mut rig, 0))
    }));
}

#[test]
fn a_venue_that_is_planned_to_go_down_is_not_entered() {
    let near = Some(Refusal::VenueState);
    // The rig begins at 08:00 of a Friday; as shipped, 15 minutes before and one after.
    let rows = [(496, FREE), (495, near), (480, near), (479, FREE)];
    assert_rows(on_each_venue(&rows).map(|(venue, (minute, wanted))| {
        let mut rig = rig_of(1, |limits| limits.venues[venue.index()].maintenance_minute = Some(minute));
        (format!("{venue:?} minute {minute}"), wanted, enters(&mut rig, 0))
    }));
}

#[test]
fn a_venue_that_is_not_itself_is_not_entered() {
    let fact = |fact: fn(VenueId) -> Fact| move |rig: &mut Rig, venue| rig.fact(fact(venue));
    let down = fact(|venue| Fact::Mode { venue, mode: VenueMode::Maintenance });
    let posts = fact(|venue| Fact::Mode { venue, mode: VenueMode::PostOnly });
    let cancels = fact(|venue| Fact::Mode { venue, mode: VenueMode::CancelOnly });
    let untold = fact(|venue| Fact::Mode { venue, mode: VenueMode::Untold });
    let near = fact(|venue| Fact::Clock { venue, offset_ms: 250 });
    let ahead = fact(|venue| Fact::Clock { venue, offset_ms: 251 });
    let behind = fact(|venue| Fact::Clock { venue, offset_ms: -251 });
    let lost = |rig: &mut Rig, venue| rig.event(venue, TraderEvent::Ready(false));
    let halted = |rig: &mut Rig, venue: VenueId| {
        let mut quote = rig.core.pairs()[0].quotes[venue.index()];
        quote.ticker.status = MarketStatus::Halted;
        rig.step(Input::Quote(quote));
    };
    let (state, clock) = (Some(Refusal::VenueState), Some(Refusal::ClockOffset));
    let rows: [(&str, Event, Option<Refusal>); 9] = [
        ("maintenance", &down, state),
        ("a state that no sheet knows", &untold, state),
        ("post only", &posts, state),
        ("cancel only", &cancels, state),
        ("market halted", &halted, state),
        ("link lost", &lost, Some(Refusal::LinkDown)),
        ("clock near enough", &near, FREE),
        ("clock ahead", &ahead, clock),
        ("clock behind", &behind, clock),
    ];
    assert_rows(on_each_venue(&rows).map(|(venue, (what, change, wanted))| {
        let mut rig = Rig::new();
        change(&mut rig, venue);
        (format!("{venue:?} {what}"), wanted, enters(&mut rig, 0))
    }));
}

/// What prices are, the own leg's first: books, marks and limits, and the own venue's band in basis points.
type Prices = ([&'static str; 2], [&'static str; 2], [&'static str; 2], i64);

/// The entry of leg `own` and of the other one, with a collar of 1 %.
fn collared(own: usize, (mids, marks, limits, band): Prices) -> Option<Refusal> {
    let mut rig = rig_of(1, |limits| limits.risk.price_collar = Rate::from_bps(100));
    let mut intent = entry(&rig, 0);
    for (of, leg) in [own, 1 - own].into_iter().enumerate() {
        let venue = [V, P][leg];
        let price_band = if leg == own { Rate::from_bps(band) } else { Rate::ZERO };
        rig.fact(Fact::Rules { venue, pair: PairId(0), rules: MarketRules { price_band, ..rules() } });
        rig.marks[leg] = price(marks[of]);
        rig.quote(venue, mids[of], mids[of]);
        intent.limits[leg] = price(limits[of]);
    }
    refusal(&mut rig, intent)
}

#[test]
fn each_source_of_the_collar_refuses_alone() {
    let (even, none, collar) = (["100", "100"], ["0", "0"], Some(Refusal::Collar));
    let rows: [(&str, Prices, _); 9] = [
        ("near all", (even, even, ["100.6", "100"], 0), FREE),
        ("own book", (["101", "100"], none, ["99.5", "100.2"], 0), collar),
        ("the other's book", (["101", "100"], none, ["101.5", "100.2"], 0), collar),
        ("own mark", (even, ["99.5", "0"], ["100.8", "100"], 0), collar),
        ("the other's mark", (even, ["0", "99.5"], ["100.8", "100"], 0), collar),
        ("own band", (even, even, ["100.6", "100"], 50), collar),
        ("a band without a mark", (even, none, ["100.6", "100"], 50), FREE),
        ("own band at the other's mark", (even, ["0", "100"], ["100.6", "100"], 50), FREE),
        ("a band wider than the collar", (even, ["99.5", "0"], ["100.8", "100"], 500), collar),
    ];
    assert_rows([0, 1].into_iter().flat_map(|own| {
        rows.map(|(what, prices, wanted)| (format!("leg {own}: {what}"), wanted, collared(own, prices)))
    }));
}

#[test]
fn what_other_pairs_hold_and_have_in_flight_counts_towards_the_gross_cap() {
    let rows = [
        ("nothing", 150, false, false, FREE),
        ("in flight", 150, true, false, Some(Refusal::GrossCap)),
        ("held", 150, true, true, Some(Refusal::GrossCap)),
        ("in flight, with room for both", 250, true, false, FREE),
    ];
    assert_rows(rows.map(|(what, cap, other, held, wanted)| {
        let mut rig = rig_of(2, |limits| limits.risk.max_gross_notional = usd(cap));
        if other {
            assert_eq!(enters(&mut rig, 1), FREE);
        }
        if held {
            rig.fill(0, "f", "1", "100.30");
            rig.fill(1, "f", "1", "100.02");
        }
        (what.to_owned(), wanted, enters(&mut rig, 0))
    }));
}

/// The account as last stated knows nothing of what another pair has just taken: a third of each notional.
#[test]
fn what_other_pairs_tie_up_is_no_free_margin_before_the_venue_says_so() {
    // 40 % of 120 must stay free, which leaves 72: room for two legs of 33, not for three.
    let rows = [("one", 1, FREE), ("two", 2, Some(Refusal::Margin))];
    assert_rows(rows.map(|(what, others, wanted)| {
        let mut rig = rig_of(3, |_| {});
        for venue in [V, P] {
            let (equity, free_margin) = (usd(120), usd(120));
            rig.account_report(venue, AccountReport { equity, free_margin, ..Default::default() });
        }
        (1..=others).for_each(|pair| assert_eq!(enters(&mut rig, pair), FREE));
        (what.to_owned(), wanted, enters(&mut rig, 0))
    }));
}

/// One leg of each other pair has filled that much, the other leg's order is out.
fn lone(fills: &[&str]) -> Rig {
    let mut rig = rig_of(3, |_| {});
    for (pair, amount) in (1..).zip(fills) {
        let first = rig.sent.len();
        assert_eq!(enters(&mut rig, pair), FREE);
        rig.fill(first, "f", amount, "100.30");
    }
    rig
}

/// Nobody can say whether the orders of another pair have left.
fn doubted() -> Rig {
    let mut rig = rig_of(2, |_| {});
    assert_eq!(enters(&mut rig, 1), FREE);
    let mut fx = Effects::new();
    rig.core.sent(rig.now, rig.sent[0].id, SendOutcome::Unclear, &mut fx);
    rig.carry_out(fx);
    rig
}

/// The limit is 20, and a unit is worth 100.16.
#[test]
fn what_all_pairs_hold_unhedged_or_may_hold_blocks_every_entry() {
    let cap = Some(Refusal::PairCap);
    let rows = [
        ("a small leg", lone(&["0.15"]), FREE),
        ("a leg", lone(&["0.25"]), cap),
        ("two small legs", lone(&["0.15", "0.15"]), cap),
        ("an order in doubt", doubted(), cap),
    ];
    assert_rows(rows.map(|(what, mut rig, wanted)| (what.to_owned(), wanted, enters(&mut rig, 0))));
}

#[test]
fn entries_leave_three_tenths_of_the_messages_to_closes() {
    let mut rig = rig_of(3, |limits| limits.venues.iter_mut().for_each(|venue| venue.orders_per_s = 3));
    for (pair, first) in [(0, 0), (1, 2)] {
        assert_eq!(enters(&mut rig, pair), FREE);
        rig.fill(first, "f", "1", "100.30");
        rig.fill(first + 1, "f", "1", "100.02");
    }
    assert_eq!(
        enters(&mut rig, 2),
        Some(Refusal::Rate),
        "one message is left, and nine tenths of one are kept"
    );
    let [first, second] = [0, 1].map(|pair| exit(&rig, pair));
    assert_eq!(refusal(&mut rig, first), FREE);
    assert_eq!(refusal(&mut rig, second), Some(Refusal::Rate), "the venue would refuse it");
}

#[test]
fn a_minute_with_too_many_entries_refuses_the_next_before_anybody_has_latched() {
    let mut rig = rig_of(2, |limits| limits.upkeep.throttle.max_entries_per_min = 1);
    assert_eq!(enters(&mut rig, 1), FREE);
    assert_eq!(enters(&mut rig, 0), Some(Refusal::Rate));
}

#[test]
fn a_venue_where_another_pair_is_near_its_liquidation_is_not_entered() {
    assert_rows([("130", FREE), ("114", Some(Refusal::Margin))].map(|(liquidation, wanted)| {
        let mut rig = rig_of(2, |_| {});
        assert_eq!(enters(&mut rig, 1), FREE);
        rig.fill(0, "f", "1", "100.30");
        rig.fill(1, "f", "1", "100.02");
        let mut report = AccountReport { equity: usd(1_000), free_margin: usd(900), ..Default::default() };
        report.positions[1].qty = qty("-1");
        report.positions[1].liquidation_price = price(liquidation);
        rig.account_report(V, report);
        (liquidation.to_owned(), wanted, enters(&mut rig, 0))
    }));
}

#[test]
fn a_venue_that_asks_for_more_than_our_leverage_gets_it() {
    let rows = [(3_000, FREE), (5_000, Some(Refusal::Margin))];
    assert_rows(on_each_venue(&rows).map(|(venue, (bps, wanted))| {
        let mut rig = Rig::new();
        let initial_margin = Rate::from_bps(bps);
        rig.fact(Fact::Rules { venue, pair: PairId(0), rules: MarketRules { initial_margin, ..rules() } });
        // An entry at 3x leaves 407 of 1000, one at 2x 390: 400 are to stay.
        rig.account_report(
            venue,
            AccountReport { equity: usd(1_000), free_margin: usd(440), ..Default::default() },
        );
        (format!("{venue:?} {bps} bps"), wanted, enters(&mut rig, 0))
    }));
}

/// The last look at our own arithmetic: nothing upstream asks for any of this.
#[test]
fn a_close_is_no_larger_than_what_is_held_and_no_gift() {
    let mut rig = Rig::new();
    rig.opened();
    let close = exit(&rig, 0);
    assert_eq!(refusal(&mut rig, close), FREE);
    let (pair, buy) = (&rig.core.pairs()[0], rig.sent[2]);
    let minimum = Some(Refusal::Minimum);
    let rows = [
        ("as it was sent", buy, FREE),
        ("more than is held", OrderSpec { qty: qty("1.0001"), ..buy }, minimum),
        ("the side that is held", OrderSpec { side: Side::Sell, ..buy }, minimum),
        ("nothing", OrderSpec { qty: Qty::ZERO, ..buy }, minimum),
        ("for nothing", OrderSpec { limit: Price::ZERO, ..buy }, minimum),
        ("inside the widest step", OrderSpec { limit: price("103.36"), ..buy }, FREE),
        ("beyond it", OrderSpec { limit: price("103.38"), ..buy }, Some(Refusal::Collar)),
    ];
    assert_rows(rows.map(|(what, spec, wanted)| {
        let seen = Gate::new(rig.core.settings()).approve_mending(rig.now, pair, &spec).err();
        (what.to_owned(), wanted, seen)
    }));
}
