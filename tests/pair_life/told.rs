//! What a venue has told of an order stands, by whichever way it came; and what one venue tells is enough to take a leg
//! off it.

use bot4::order::core::{Core, Effects, Input, Start};
use bot4::types::order::{Reason, VenueOrderId};
use bot4::types::report::{Fact, TraderEvent};
use bot4::types::settings::Legs;
use bot4::types::*;

use crate::rig::*;

/// A leg is to be unwound at Paradex, whose socket is down; the order goes over REST.
fn by_rest() -> Rig {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(1, "f", "1", "100.02");
    rig.event(V, TraderEvent::Ready(false));
    rig.event(P, TraderEvent::Ready(false));
    rig.account(P, "1");
    rig.reject(0, RejectClass::Definitive);
    assert_eq!((rig.sent[2].purpose, rig.sent[2].venue), (Purpose::Unwind, P));
    rig
}

#[test]
fn what_was_acknowledged_over_rest_is_not_called_dead_when_reads_lag() {
    let mut rig = by_rest();
    let id = rig.sent[2].id;
    rig.fact(Fact::Placed { venue: P, id, news: OrderNews::Acked });
    for _ in 0..8 {
        rig.wait_ms(500);
        rig.not_found(2);
        assert!(rig.core.pairs()[0].has_live_orders(), "the venue said that it has it");
    }
    rig.report(2, "1", true);
    rig.account(P, "0");
    rig.assert_home();
}

#[test]
fn what_was_refused_over_rest_is_sent_again() {
    let mut rig = by_rest();
    let (id, code) = (rig.sent[2].id, Reason::cut("NO"));
    let news = OrderNews::Rejected(Reject { class: RejectClass::Definitive, code });
    rig.fact(Fact::Placed { venue: P, id, news });
    rig.wait_ms(1_100);
    assert_eq!((rig.sent[3].purpose, rig.sent[3].qty), (Purpose::Unwind, qty("1")));
}

/// Vest cancels by its own name of an order alone. The acknowledgement of the stream brings none.
#[test]
fn the_name_of_an_order_is_learnt_from_its_row_after_its_acknowledgement() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(1, "f", "1", "100.02");
    rig.reject(0, RejectClass::Ambiguous);
    rig.ack(0);
    rig.wait_ms(1_100);
    assert_eq!(rig.cancelled, VenueOrderId::EMPTY, "nothing names it");
    rig.report(0, "0", false);
    rig.wait_ms(1_100);
    assert_eq!(rig.cancelled, VenueOrderId::cut("v1"));
    rig.report(0, "1", true);
    rig.assert_home();
}

/// The run before left a leg at Paradex. Vest does not answer: the journal has its rules.
#[test]
fn a_leg_is_taken_off_the_venue_that_answers_though_the_other_tells_nothing() {
    let mut before = Rig::new();
    before.enter();
    before.fill(1, "f", "1", "100.02");
    before.reject(0, RejectClass::Definitive);
    let left = before.sent.len();
    before.reject(left - 1, RejectClass::Definitive);

    let mut rig = Rig { core: Core::new(settings(Legs::Together)), now: before.now, ..before };
    rig.journal.iter().for_each(|entry| rig.core.recover(entry));
    assert!(rig.core.holds_something());
    rig.sent.clear();
    let mut fx = Effects::new();
    rig.core.end_recovery(rig.now);
    rig.core.start(rig.now, Start { epoch: 2, mode: Mode::Paused, paper: false }, &mut fx);
    rig.carry_out(fx);
    rig.fact(Fact::Unprepared { venue: V });
    rig.event(P, TraderEvent::Ready(true));
    rig.account(P, "1");
    rig.quote(P, "99.98", "100.02");
    rig.wait_ms(1_000);
    rig.account(P, "1");
    rig.step(Input::Tick);
    let unwind = rig.sent[0];
    assert_eq!((unwind.venue, unwind.purpose, unwind.qty), (P, Purpose::Unwind, qty("1")));
    rig.fill(0, "u", "1", "99.98");
    assert_eq!(rig.net(), Qty::ZERO);
}

/// The exit reckons with raw prices and takes off the basis itself.
#[test]
fn the_edge_that_an_exit_reckons_with_holds_the_basis_of_its_entry() {
    let edge = |basis: Rate| {
        let mut rig = Rig::new();
        let wish = rig.wish(IntentKind::Enter(Direction::B), ["100.29", "100.03"], ["100.30", "100.02"]);
        rig.step(Input::Intent(Intent { basis, ..wish }));
        rig.fill(0, "f", "1", "100.30");
        rig.fill(1, "g", "1", "100.02");
        match rig.exposure {
            ExposureState::Held { edge, basis: frozen, .. } => (edge, frozen),
            other => panic!("not held: {other:?}"),
        }
    };
    let (raw, _) = edge(Rate::ZERO);
    for basis in [Rate::from_bps(10), Rate::from_bps(-40)] {
        assert_eq!(edge(basis), (raw, basis));
    }
}
