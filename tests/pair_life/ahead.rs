//! Orders that were signed before they were wanted: which one a decision takes, and when it must take none.

use bot4::journal::entry::{Entry, Totals};
use bot4::order::core::{Core, Effects, Input, Start};
use bot4::types::ready::{Made, Ready, SignedText};
use bot4::types::report::TraderEvent;
use bot4::types::*;

use super::rig::*;

/// Lays an order ready that was signed `age_ms` ago.
fn stock(rig: &mut Rig, venue: VenueId, side: Side, purpose: Purpose, limit: &str, age_ms: u64) -> OrderSpec {
    let signed_ms = rig.now.ms() - age_ms;
    let spec = OrderSpec {
        id: ClientId::default(),
        venue,
        pair: PairId(0),
        side,
        purpose,
        qty: qty("1"),
        limit: price(limit),
        reduce_only: purpose.reduce_only(),
        signed_ms,
        nonce: signed_ms,
        window_ms: 0,
    };
    rig.core.stock(&Ready { spec, made: Made::Signed(SignedText::cut(limit)) });
    spec
}

/// A rig that has stood for long enough to hold what was signed in it.
fn rig() -> Rig {
    let mut rig = Rig::new();
    rig.wait_ms(900);
    rig.quotes();
    rig
}

fn ladder(rig: &mut Rig, age_ms: u64) {
    for limit in ["100.28", "100.29", "100.30", "100.31"] {
        stock(rig, V, Side::Sell, Purpose::Enter, limit, age_ms);
    }
    for limit in ["100.01", "100.02", "100.04"] {
        stock(rig, P, Side::Buy, Purpose::Enter, limit, age_ms);
    }
}

/// Sent with this signature, which is handed out once; `None` = signed at the send.
fn signature(rig: &mut Rig, order: usize) -> Option<String> {
    let id = rig.sent[order].id;
    let first = rig.core.made_ahead(id);
    assert_eq!(rig.core.made_ahead(id), None, "single use");
    first.map(|made| match made {
        Made::Signed(text) => text.to_string(),
        Made::Begun(_) => panic!("only begun"),
    })
}

fn assert_nonces_rise(rig: &Rig) {
    for venue in [V, P] {
        let nonces: Vec<u64> =
            rig.sent.iter().filter(|spec| spec.venue == venue).map(|spec| spec.nonce).collect();
        assert!(nonces.windows(2).all(|two| two[0] < two[1]), "{nonces:?}");
    }
}

#[test]
fn an_entry_takes_the_most_willing_rungs_inside_its_limits() {
    let mut rig = rig();
    ladder(&mut rig, 200);
    rig.enter();
    let limits = [0, 1].map(|order: usize| rig.sent[order].limit);
    assert_eq!(limits, [price("100.29"), price("100.02")]);
    for order in 0..2 {
        let spec = rig.sent[order];
        assert_eq!(spec.nonce, spec.signed_ms);
        // One step of the rig lies between the stocking and the decision.
        assert_eq!(u64::from(spec.window_ms), 500 + 201, "it lives no longer than one signed now");
        assert_eq!(signature(&mut rig, order), Some(spec.limit.to_string()));
    }
    let ready = |kind: &RecordKind| matches!(kind, RecordKind::OrderPlaced { stamps, .. } if stamps.ready);
    assert_eq!(rig.logged(ready), 2);
    rig.fill(0, "a", "1", "100.30");
    rig.fill(1, "b", "1", "100.02");
    rig.assert_home();
}

#[test]
fn what_is_too_old_is_signed_at_the_send() {
    let mut rig = rig();
    rig.wait_ms(700);
    rig.quotes();
    ladder(&mut rig, 1_500);
    rig.enter();
    assert_eq!(rig.sent[0].signed_ms, rig.now.ms());
    assert_eq!([signature(&mut rig, 0), signature(&mut rig, 1)], [None, None]);
    assert_eq!(rig.sent[0].limit, price("100.29"), "at the limit of the decision");
}

#[test]
fn the_way_home_is_taken_from_the_shelf_under_a_later_nonce() {
    let mut rig = rig();
    ladder(&mut rig, 200);
    // Signed with the entry's ladder or before it: its nonce may not follow.
    stock(&mut rig, V, Side::Buy, Purpose::Unwind, "100.50", 200);
    rig.enter();
    let home = [
        stock(&mut rig, V, Side::Buy, Purpose::Unwind, "100.40", 100),
        stock(&mut rig, P, Side::Buy, Purpose::Enter, "100.10", 100),
    ];
    rig.ack(0);
    rig.fill(0, "a", "1", "100.30");
    rig.reject(1, RejectClass::Definitive);
    rig.wait_ms(300);
    let sent = rig.sent[2];
    assert!(home.iter().any(|ready| ready.nonce == sent.nonce && ready.limit == sent.limit), "{sent:?}");
    assert!(signature(&mut rig, 2).is_some());
    assert_nonces_rise(&rig);
    rig.fill(2, "h", "1", &sent.limit.to_string());
    rig.assert_home();
}

/// No rung fits: the order is signed at the send, for the time for which it was begun, and lives no longer for that.
#[test]
fn what_was_begun_serves_any_limit_once() {
    let mut rig = rig();
    let begun_ms = rig.now.ms() - 150;
    for (side, age_ms) in [(Side::Buy, 150), (Side::Sell, 1_501)] {
        let spec = stock(&mut rig, P, side, Purpose::Enter, "1", age_ms);
        rig.core.stock(&Ready { spec, made: Made::Begun([spec.signed_ms; 16]) });
    }
    rig.enter();
    let buy = rig.sent.iter().position(|spec| spec.venue == P).expect("sent");
    let sent = rig.sent[buy];
    assert_eq!(
        (sent.side, sent.signed_ms, sent.window_ms),
        (Side::Buy, begun_ms, (500 + rig.now.ms() - begun_ms) as u32)
    );
    assert_eq!(rig.core.made_ahead(sent.id), Some(Made::Begun([begun_ms; 16])));
    rig.fill(1 - buy, "a", "1", "100.30");
    rig.fill(buy, "b", "1", "100.02");
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    let sell = rig.sent[2..].iter().find(|spec| spec.venue == P).expect("sent");
    assert_eq!((sell.side, sell.signed_ms), (Side::Sell, rig.now.ms()), "what was begun is too old");
    assert_nonces_rise(&rig);
}

#[test]
fn a_halt_a_lost_link_and_new_rules_make_what_is_signed_void() {
    let halt = Command::Halt { flatten: false, why: order::Reason::cut("test") };
    let down = TraderEvent::LinkDown { role: record::Role::Orders, why: order::Reason::EMPTY };
    let new = report::Fact::Rules {
        venue: V,
        pair: PairId(0),
        rules: MarketRules { taker: Rate::from_bps(5), ..rules() },
    };
    let causes =
        [("halt", Input::Command(halt)), ("link", Input::Trader(V, down)), ("rules", Input::Fact(new))];
    for (name, cause) in causes {
        let mut rig = rig();
        rig.opened();
        rig.wait_ms(10);
        stock(&mut rig, V, Side::Buy, Purpose::Exit, "100.12", 5);
        rig.step(cause);
        rig.quote(V, "100.05", "100.11");
        rig.quote(P, "100.10", "100.14");
        rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
        assert_eq!(signature(&mut rig, 2), None, "{name}");
        assert_eq!(rig.sent[2].signed_ms, rig.now.ms(), "{name}: signed at the send");
        // What is signed afterwards serves again, where the engine still trades.
        assert_nonces_rise(&rig);
    }
}

#[test]
fn identities_rise_whatever_is_served_from_where() {
    let mut rig = rig();
    for round in 0..4_u64 {
        if round % 2 == 0 {
            ladder(&mut rig, 3);
        }
        rig.quotes();
        rig.enter();
        let first = rig.sent.len() - 2;
        rig.fill(first, &format!("a{round}"), "1", "100.30");
        rig.fill(first + 1, &format!("b{round}"), "1", "100.02");
        stock(&mut rig, P, Side::Sell, Purpose::Exit, "100.09", round % 3);
        rig.quote(V, "100.05", "100.11");
        rig.quote(P, "100.10", "100.14");
        rig.wait_ms(300);
        rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
        rig.fill(first + 2, &format!("c{round}"), "1", "100.11");
        rig.fill(first + 3, &format!("d{round}"), "1", "100.10");
        rig.assert_home();
        rig.wait_ms(6_000);
        rig.quotes();
    }
    assert_eq!(rig.sent.len(), 16);
    assert_nonces_rise(&rig);
}

#[test]
fn the_configured_leg_is_written_first() {
    for (written_first, venues) in [(V, [V, P]), (P, [P, V])] {
        let mut settings = settings(settings::Legs::Together);
        settings.execution.written_first = written_first;
        let mut rig = Rig::of(settings);
        rig.enter();
        assert_eq!([rig.sent[0].venue, rig.sent[1].venue], venues);
        let at = |venue| if venue == V { "100.30" } else { "100.02" };
        (0..2).for_each(|order| rig.fill(order, "f", "1", at(venues[order])));
        rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
        assert_eq!([rig.sent[2].venue, rig.sent[3].venue], venues);
    }
}

#[test]
fn after_a_clock_was_set_back_no_nonce_of_the_last_run_comes_again() {
    let mut rig = rig();
    let nonce_high = rig.now.ms() + 60_000;
    rig.core = Core::new(settings(settings::Legs::Together));
    rig.core.recover(&Entry::TotalsSnapshot { totals: Totals { nonce_high, ..Totals::default() } });
    let mut fx = Effects::new();
    rig.core.start(rig.now, Start { epoch: 2, mode: Mode::Active, paper: false }, &mut fx);
    rig.carry_out(fx);
    rig.connect();
    rig.wait_ms(900);
    rig.quotes();
    ladder(&mut rig, 200);
    rig.enter();
    assert_eq!([signature(&mut rig, 0), signature(&mut rig, 1)], [None, None], "signed at the send");
    assert!(rig.sent.iter().all(|spec| spec.nonce > nonce_high));
}
