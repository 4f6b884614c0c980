//! The pair's life, stepped by hand: the order core on a virtual clock, with each venue answer given by the test. Every
//! test ends with no leg alone, no order twice and none open, and with a ledger that closes.

mod ahead;
mod doubt;
mod gate;
mod halting;
mod health;
mod ladder;
mod limits;
mod lost;
mod mending;
mod misfit;
mod newest;
mod owed;
mod rig;
mod stopping;
mod strange;
mod told;
mod trouble;
mod untold;

use bot4::order::core::{Core, Effect, Effects, Input, Start};
use bot4::types::order::VenueOrderId;
use bot4::types::report::{Ask, Fact, OpenOrder, TraderEvent};
use bot4::types::settings::Legs;
use bot4::types::*;

use rig::*;

#[test]
fn a_pair_opens_and_closes_and_its_ledger_adds_up() {
    let mut rig = Rig::new();
    assert_eq!(rig.exposure, ExposureState::MayEnter);
    rig.opened();
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    assert!(rig.sent[2..].iter().all(|spec| spec.reduce_only), "closes are reduce-only");
    rig.fill(2, "g", "1", "100.11");
    rig.fill(3, "g", "1", "100.10");
    rig.assert_home();
    let total = rig.core.totals().ledger.total();
    let cash = price("100.30").raw() - price("100.02").raw() - price("100.11").raw() + price("100.10").raw();
    let notional = price("400.53").raw();
    assert_eq!(total.raw(), cash - notional / 10_000 * 4);
    assert_eq!(rig.core.totals().pairs_closed, 1);
}

#[test]
fn nothing_is_sent_twice_while_orders_are_out() {
    let mut rig = Rig::new();
    rig.enter();
    rig.enter();
    assert_eq!(rig.sent.len(), 2);
}

#[test]
fn a_pair_that_is_being_closed_is_not_opened() {
    let mut rig = Rig::new();
    rig.opened();
    rig.wait_ms(6_000);
    rig.quotes();
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    rig.enter();
    assert_eq!(rig.sent.len(), 4, "the exit alone");
}

#[test]
fn a_position_that_is_not_ours_blocks_entries_and_is_not_touched() {
    let mut rig = Rig::new();
    rig.account(V, "3");
    assert_eq!(
        rig.exposure,
        ExposureState::Blocked,
        "one read may be old, and entries can wait for the next"
    );
    rig.account(V, "0");
    assert_eq!(rig.exposure, ExposureState::MayEnter);
    rig.account(V, "3");
    rig.enter();
    assert!(rig.sent.is_empty());
    rig.wait_ms(500);
    rig.account(V, "3");
    assert_eq!(rig.exposure, ExposureState::Blocked);
    rig.enter();
    assert!(rig.sent.is_empty());
    rig.account(V, "0");
    rig.wait_ms(300);
    assert_eq!(rig.exposure, ExposureState::MayEnter);
}

#[test]
fn each_cap_refuses_an_entry() {
    let refused = |change: fn(&mut Settings), wanted: Refusal| {
        let mut rig = Rig::new();
        let mut limits = settings(Legs::Together);
        change(&mut limits);
        let mut fx = Effects::new();
        let mut core = Core::new(limits);
        std::mem::swap(&mut rig.core, &mut core);
        rig.core.start(rig.now, Start { epoch: 1, mode: Mode::Active, paper: false }, &mut fx);
        for venue in [V, P] {
            rig.fact(Fact::Rules { venue, pair: PairId(0), rules: rules() });
            rig.event(venue, TraderEvent::Ready(true));
            rig.account(venue, "0");
            let asked = rig.now;
            rig.fact(Fact::OpenOrders { venue, asked, orders: Vec::new() });
        }
        rig.quotes();
        rig.enter();
        assert!(rig.sent.is_empty());
        let seen =
            rig.logged(|kind| matches!(kind, RecordKind::EntryRefused { refusal, .. } if *refusal == wanted));
        assert_eq!(seen, 1, "{wanted:?}: {:?}", rig.logs);
    };
    use record::Refusal;
    refused(|s| s.risk.max_order_notional = usd(100), Refusal::OrderCap);
    refused(|s| s.risk.max_pair_notional = usd(150), Refusal::PairCap);
    refused(|s| s.risk.max_gross_notional = usd(100), Refusal::GrossCap);
    refused(|s| s.risk.max_entries_per_hour = 0, Refusal::Rate);
    refused(|s| s.risk.price_collar = Rate::from_bps(5), Refusal::Collar);
    refused(|s| s.risk.entry_free_margin = Rate::from_bps(9_950), Refusal::Margin);
    refused(|s| s.venues[0].max_book_age_ms = 0, Refusal::Stale);
}

#[test]
fn a_crash_with_orders_out_resumes_them_in_doubt() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(1, "f", "1", "100.02");
    let mut core = Core::new(settings(Legs::Together));
    rig.journal.iter().for_each(|entry| core.recover(entry));
    let mut fx = Effects::new();
    core.start(rig.now, Start { epoch: 2, mode: Mode::Paused, paper: false }, &mut fx);
    let mut next = Rig { core, journal: std::mem::take(&mut rig.journal), ..rig };
    next.carry_out(fx);
    for venue in [V, P] {
        next.fact(Fact::Rules { venue, pair: PairId(0), rules: rules() });
        next.event(venue, TraderEvent::Ready(true));
    }
    next.quotes();
    next.wait_ms(1);
    assert!(next.asks.iter().any(|ask| matches!(ask, Ask::Order { venue, .. } if *venue == V)));
    next.report(0, "0", true);
    assert_eq!(next.sent.len(), 3, "the lone leg is mended in Paused mode too");
    let at = if next.sent[2].side == Side::Buy { "100.36" } else { "99.98" };
    next.fill(2, "m", "1", at);
    let pair = &next.core.pairs()[0];
    assert_eq!(pair.book.net(), Qty::ZERO);
    assert!(!pair.has_live_orders());
    assert!(pair.book.is_flat() || pair.opened);
}

#[test]
fn a_budget_of_orders_a_day_stops_entries_and_never_a_close() {
    let mut limits = settings(Legs::Together);
    limits.venues[0].orders_per_day = 1;
    let mut rig = Rig::of(limits);
    rig.opened();
    rig.intent(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    rig.fill(2, "g", "1", "100.11");
    rig.fill(3, "g", "1", "100.10");
    rig.wait_ms(5_100);
    rig.quotes();
    rig.enter();
    assert_eq!(rig.sent.len(), 4, "the second entry is over the budget");
    let rate = RecordKind::EntryRefused { pair: PairId(0), refusal: record::Refusal::Rate };
    assert_eq!(rig.logged(|kind| *kind == rate), 1);
}

/// What is cancelled when a venue lists two orders of ours and a nameless one that nobody here waits for: how many by
/// name, and how many whole markets.
fn cancels(dedicated_account: bool) -> (usize, usize) {
    let mut rig = Rig::of(Settings { dedicated_account, ..settings(Legs::Together) });
    let ours = |seq| Some(ClientId { epoch: 1, seq, leg: 1 });
    let open = |id| OpenOrder { pair: Some(PairId(0)), venue_id: VenueOrderId::EMPTY, id, nonce: 0 };
    let orders = vec![open(ours(1)), open(ours(2)), open(None)];
    let (mut fx, asked) = (Effects::new(), rig.now);
    rig.core.step(rig.now, Input::Fact(Fact::OpenOrders { venue: P, asked, orders }), &mut fx);
    let named = fx.iter().filter(|effect| matches!(effect, Effect::Cancel(_))).count();
    (named, fx.iter().filter(|effect| matches!(effect, Effect::CancelAll(P, PairId(0)))).count())
}

#[test]
fn a_nameless_order_goes_with_its_market_and_only_on_an_account_of_our_own() {
    assert_eq!(cancels(true), (3, 1));
    assert_eq!(cancels(false), (2, 0), "another's order stays");
}
