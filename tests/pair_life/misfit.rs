//! An execution under the name of our order that is not of what was ordered: the wrong side, another market. It is not
//! booked as told; the positions say what was done, it is mended home, and a person has to look (SAFETY O17).

use bot4::journal::entry::Entry;
use bot4::order::core::Input;
use bot4::types::order::{Reason, VenueOrderId};
use bot4::types::report::{AccountReport, Ask, Fact};
use bot4::types::settings::{Legs, PairSettings};
use bot4::types::*;

use crate::rig::*;

const SIDE: &str = "executed on the wrong side";
const MARKET: &str = "executed on another market";

/// An execution of the whole order, as it is told.
fn execute(rig: &mut Rig, order: usize, told: Told) {
    let (id, spec) = (VenueOrderId::cut("f"), rig.sent[order]);
    let fill = Fill { id, qty: spec.qty, price: spec.limit, fee: usd(0), funding: Usd::ZERO };
    rig.news(order, OrderNews::Fill(fill, told));
}

/// Its end, as a venue without fill messages tells it.
fn end(rig: &mut Rig, order: usize, told: Told) {
    let OrderSpec { qty: filled, limit: average, .. } = rig.sent[order];
    rig.news(order, OrderNews::Closed { filled, average, fee: usd(0), reason: Reason::EMPTY, told });
}

fn wrong_side(rig: &Rig, order: usize) -> Told {
    Told { side: Some(rig.sent[order].side.opposite()), ..Told::default() }
}

fn elsewhere() -> Told {
    Told { market: ToldMarket::Foreign, ..Told::default() }
}

fn assert_halted(rig: &Rig, why: &str) {
    assert_eq!(rig.core.mode(), Mode::Halted);
    let alarm = |kind: &RecordKind| matches!(kind, RecordKind::Alarm { what, .. } if what.as_str() == why);
    assert_eq!(rig.logged(alarm), 1, "{why}: {:?}", rig.logs);
}

fn held(rig: &Rig, leg: usize) -> Qty {
    rig.core.pairs()[0].book.legs[leg].qty
}

/// The position of this venue, so long after the last.
fn read(rig: &mut Rig, venue: VenueId, position: &str) {
    rig.wait_ms(201);
    rig.account(venue, position);
}

/// Each order that is sent after the pair's two fills; then everything is home.
fn comes_home(rig: &mut Rig) {
    let mut next = 2;
    while next < rig.sent.len() {
        let OrderSpec { qty, limit, .. } = rig.sent[next];
        rig.fill(next, "home", &qty.to_string(), &limit.to_string());
        rig.wait_ms(600);
        next += 1;
    }
    rig.assert_home();
}

/// Vest sells and Paradex buys; Vest has filled.
fn half() -> Rig {
    let mut rig = Rig::new();
    rig.enter();
    rig.ack(1);
    rig.fill(0, "f", "1", "100.30");
    rig.asks.clear();
    rig
}

#[test]
fn the_wrong_side_is_not_booked_and_what_the_position_shows_is_brought_home() {
    let mut rig = half();
    let told = wrong_side(&rig, 1);
    execute(&mut rig, 1, told);
    assert_halted(&rig, SIDE);
    assert_eq!((held(&rig, 1), rig.sent.len()), (Qty::ZERO, 2), "nothing is brought before it is known");
    assert!(rig.asks.contains(&Ask::Account { venue: P }));
    rig.wait_ms(1);
    assert!(rig.asks.iter().any(|ask| matches!(ask, Ask::Order { venue, .. } if *venue == P)));
    end(&mut rig, 1, told);
    rig.account(P, "-1");
    assert_eq!(held(&rig, 1), qty("-1"), "it is ours");
    read(&mut rig, P, "-1");
    assert_eq!(rig.sent.len(), 3);
    assert!(rig.sent[2].side == Side::Buy && rig.sent[2].reduce_only);
    assert_halted(&rig, SIDE);
    comes_home(&mut rig);
    assert!(rig.core.pairs()[0].book.is_flat());
}

#[test]
fn a_venue_without_fill_messages_is_read_the_same_way() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(1, "f", "1", "100.02");
    let told = wrong_side(&rig, 0);
    end(&mut rig, 0, told);
    assert_halted(&rig, SIDE);
    assert_eq!((held(&rig, 0), rig.sent.len()), (Qty::ZERO, 2));
    rig.account(V, "1");
    read(&mut rig, V, "1");
    assert_eq!(held(&rig, 0), qty("1"));
    comes_home(&mut rig);
}

/// The side that was told is wrong, and not the one that was taken.
#[test]
fn a_position_that_shows_what_was_ordered_is_the_orders_fill() {
    let mut rig = half();
    let told = wrong_side(&rig, 1);
    end(&mut rig, 1, told);
    assert_halted(&rig, SIDE);
    rig.account(P, "1");
    assert_eq!((held(&rig, 1), rig.sent.len()), (qty("1"), 2));
    assert!(!rig.journal.iter().any(|entry| matches!(entry, Entry::Adjusted { .. })));
    rig.assert_home();
}

/// Neither its venue's lists nor its own market know it: the order does not wait for them.
#[test]
fn an_order_that_went_to_another_market_ends_with_nothing_on_its_own() {
    let mut rig = half();
    execute(&mut rig, 1, elsewhere());
    end(&mut rig, 1, elsewhere());
    assert_halted(&rig, MARKET);
    rig.account(P, "0");
    rig.not_found(1);
    read(&mut rig, P, "0");
    assert_eq!((held(&rig, 1), rig.sent.len()), (Qty::ZERO, 3), "Vest's leg is alone, and is mended");
    comes_home(&mut rig);
}

#[test]
fn what_went_to_the_market_of_another_pair_is_brought_home_there() {
    let mut both = settings(Legs::Together);
    let symbols = ["ETH-PERP".into(), "ETH-USD-PERP".into()];
    both.pairs.push(PairSettings { id: PairId(1), name: "ETH".into(), symbols, ..both.pairs[0].clone() });
    let mut rig = Rig::of(both);
    for venue in [V, P] {
        rig.fact(Fact::Rules { venue, pair: PairId(1), rules: rules() });
        let [bid, ask] = [["100.30", "100.36"], ["99.98", "100.02"]][venue.index()];
        let quote = Quote { pair: PairId(1), ..rig.quoted(venue, bid, ask) };
        rig.step(Input::Quote(quote));
    }
    rig.enter();
    rig.fill(0, "f", "1", "100.30");
    end(&mut rig, 1, Told::of(PairId(1), Side::Buy));
    assert_halted(&rig, MARKET);
    let mut report = AccountReport { equity: usd(1_000), free_margin: usd(1_000), ..Default::default() };
    report.positions[1].qty = qty("1");
    rig.account_report(P, report);
    assert_eq!(rig.core.pairs()[1].book.legs[1].qty, qty("1"));
    rig.wait_ms(201);
    rig.account_report(P, report);
    let mut home: Vec<_> = rig.sent[2..].iter().map(|spec| (spec.pair.0, spec.venue, spec.side)).collect();
    home.sort_by_key(|order| order.0);
    assert_eq!(home, [(0, V, Side::Buy), (1, P, Side::Sell)]);
    for order in 2..4 {
        let OrderSpec { limit, .. } = rig.sent[order];
        rig.fill(order, "home", "1", &limit.to_string());
    }
    assert!(rig.core.pairs().iter().all(|pair| pair.book.is_flat() && !pair.has_live_orders()));
}

#[test]
fn a_row_that_does_not_fit_is_told_once_and_holds_the_order_no_longer_than_its_position() {
    let mut rig = half();
    rig.wait_ms(1_100);
    let told = wrong_side(&rig, 1);
    for _ in 0..3 {
        rig.row_told(1, "1", true, told);
    }
    assert_halted(&rig, "the venue shows another order under our name");
    rig.account(P, "-1");
    rig.row_told(1, "1", true, told);
    read(&mut rig, P, "-1");
    assert_eq!(held(&rig, 1), qty("-1"));
    comes_home(&mut rig);
}

#[test]
fn an_open_order_that_does_not_fit_is_cancelled() {
    let mut rig = half();
    let (told, cancels) = (wrong_side(&rig, 1), rig.cancels);
    for _ in 0..4 {
        rig.row_told(1, "0", false, told);
        rig.wait_ms(400);
    }
    assert!(rig.cancels > cancels);
    assert_halted(&rig, "the venue shows another order under our name");
    rig.row_told(1, "0", true, told);
    rig.account(P, "0");
    read(&mut rig, P, "0");
    comes_home(&mut rig);
}

#[test]
fn a_late_fill_on_the_wrong_side_is_adopted_as_its_position_shows_it() {
    let mut rig = half();
    rig.step(Input::Command(Command::Pause));
    rig.quote(P, "99.98", "110.02");
    rig.close(1, "0");
    assert_eq!((rig.sent[2].venue, rig.sent[2].purpose), (V, Purpose::Unwind));
    let told = wrong_side(&rig, 1);
    execute(&mut rig, 1, told);
    assert_halted(&rig, SIDE);
    assert_eq!(held(&rig, 1), Qty::ZERO);
    rig.account(P, "-1");
    assert_eq!(held(&rig, 1), qty("-1"));
    comes_home(&mut rig);
}

#[test]
fn what_fits_or_is_not_told_is_booked() {
    for told in [Told::default(), Told::of(PairId(0), Side::Buy)] {
        let mut rig = half();
        execute(&mut rig, 1, told);
        end(&mut rig, 1, told);
        assert_eq!((held(&rig, 1), rig.core.mode()), (qty("1"), Mode::Active));
        rig.assert_home();
    }
}
