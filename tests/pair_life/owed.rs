//! Funding that a close settles and only its row tells, when the engine dies between the close and the reading.

use bot4::journal::entry::Entry;
use bot4::types::order::{OrderReport, Reason, VenueOrderId};
use bot4::types::report::Fact;
use bot4::types::*;

use crate::limits::restart;
use crate::rig::*;

/// What the venue's row of a closed order says.
fn row(rig: &Rig, order: usize, funding: i64) -> Fact {
    let spec = rig.sent[order];
    let report = OrderReport {
        venue: spec.venue,
        id: spec.id,
        venue_id: VenueOrderId::cut("v1"),
        told: Told::of(spec.pair, spec.side),
        qty: spec.qty,
        terminal: true,
        rejected: None,
        tells_fill: true,
        filled: spec.qty,
        average: spec.limit,
        fee: usd(0),
        funding: Usd::from_raw(funding),
        at: rig.now,
    };
    Fact::Order { venue: spec.venue, id: spec.id, asked: rig.now, report: Some(report) }
}

/// A pair whose closes, orders 2 and 3, have left.
fn closing() -> Rig {
    let mut rig = Rig::new();
    rig.opened();
    rig.quotes();
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    rig
}

/// Both closes filled and journalled, and the row of the first one not read.
fn closed_unread() -> Rig {
    let mut rig = closing();
    let spec = rig.sent[2];
    // As a venue without fill messages tells it.
    let (filled, average) = (spec.qty, price("100.11"));
    rig.news(
        2,
        OrderNews::Closed { filled, average, fee: usd(0), reason: Reason::EMPTY, told: Told::default() },
    );
    rig.fill(3, "x", "1", "100.10");
    rig.close(3, "1");
    assert!(
        !rig.journal.iter().any(|entry| matches!(entry, Entry::PairClosed { .. })),
        "it waits for the row"
    );
    rig
}

#[test]
fn it_is_read_after_one_restart_and_after_two() {
    for restarts in [1, 2] {
        let mut rig = closed_unread();
        (0..restarts).for_each(|_| restart(&mut rig, Mode::Active));
        let row = row(&rig, 2, -7);
        rig.fact(row);
        rig.wait_ms(13_000);
        assert_eq!(rig.core.totals().ledger.funding, Usd::from_raw(-7), "after {restarts}");
        assert!(rig.core.pairs()[0].book.is_flat());
    }
}

/// The venue with fill messages tells funding with each of them; one is lost, and the row tells that of both.
#[test]
fn funding_that_a_part_has_told_is_not_booked_again_with_the_rest() {
    let mut rig = closing();
    rig.fill(2, "x", "1", "100.11");
    rig.close(2, "1");
    let (id, funding) = (VenueOrderId::cut("a"), Usd::from_raw(-6));
    let fill = Fill { id, qty: qty("0.6"), price: price("100.10"), fee: usd(0), funding };
    rig.news(3, OrderNews::Fill(fill, Told::default()));
    let row = row(&rig, 3, -10);
    rig.fact(row);
    rig.wait_ms(13_000);
    assert_eq!(rig.core.totals().ledger.funding, Usd::from_raw(-10));
    rig.assert_home();
}

#[test]
fn it_is_read_after_a_death_between_the_fill_and_the_end() {
    for told_again in [false, true] {
        let mut rig = closing();
        rig.fill(3, "x", "1", "100.10");
        rig.close(3, "1");
        let (filled, average) = (rig.sent[2].qty, price("100.11"));
        let told = Told::default();
        let end = OrderNews::Closed { filled, average, fee: usd(0), reason: Reason::EMPTY, told };
        rig.news(2, end);
        let is_fill = |entry: &Entry| matches!(entry, Entry::Filled { id, .. } if *id == rig.sent[2].id);
        let last = rig.journal.iter().rposition(is_fill).expect("it has filled");
        rig.journal.truncate(last + 1);
        restart(&mut rig, Mode::Active);
        if told_again {
            rig.news(2, end);
        }
        let row = row(&rig, 2, -7);
        rig.fact(row);
        rig.wait_ms(13_000);
        assert_eq!(rig.core.totals().ledger.funding, Usd::from_raw(-7), "told again: {told_again}");
        rig.assert_home_now();
    }
}

/// A row told the whole fill, the engine died before the order's end was written, and the stream tells the fill by its
/// name.
#[test]
fn a_fill_that_a_row_has_told_is_not_booked_again_by_its_name_after_a_death() {
    let mut rig = closing();
    rig.fill(2, "x", "1", "100.11");
    rig.close(2, "1");
    rig.reject(3, RejectClass::Ambiguous);
    rig.report(3, "1", true);
    let is_fill = |entry: &Entry| matches!(entry, Entry::Filled { id, .. } if *id == rig.sent[3].id);
    let last = rig.journal.iter().rposition(is_fill).expect("it has filled");
    rig.journal.truncate(last + 1);
    restart(&mut rig, Mode::Active);
    assert!(rig.core.pairs()[0].has_live_orders(), "its end was not written");
    rig.fill(3, "y", "1", "100.10");
    assert_eq!(rig.core.pairs()[0].book.legs[1].qty, Qty::ZERO, "nothing is booked twice");
    let row = row(&rig, 3, -7);
    rig.fact(row);
    rig.wait_ms(13_000);
    assert!(rig.core.pairs()[0].book.is_flat());
    rig.assert_home_now();
}
