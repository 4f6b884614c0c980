//! The pair's life, stepped by hand: the order core on a virtual clock, with each venue answer given by the test. Every
//! test ends with no leg alone, no order twice and none open, and with a ledger that closes.

use bot4::journal::entry::Entry;
use bot4::order::core::{Core, Effect, Effects, Input, Start};
use bot4::order::news::SendOutcome;
use bot4::order::pair::Phase;
use bot4::types::order::{Reason, VenueOrderId};
use bot4::types::report::{AccountReport, Ask, Fact, OrderKey, TraderEvent};
use bot4::types::settings::{
    Basis, ExecutionSettings, Legs, PairSettings, RiskSettings, SignalSettings, VenueSettings,
};
use bot4::types::*;

const V: VenueId = VenueId(0);
const P: VenueId = VenueId(1);

fn usd(dollars: i64) -> Usd {
    Usd::from_raw(dollars * 100_000_000)
}

fn price(text: &str) -> Price {
    Price::parse(text.as_bytes()).unwrap()
}

fn qty(text: &str) -> Qty {
    Qty::parse(text.as_bytes()).unwrap()
}

/// As shipped.
fn upkeep() -> bot4::types::settings::Upkeep {
    let shipped = bot4::config::parse("shipped.toml", "", &bot4::venue::REGISTRY);
    shipped.map(|config| config.settings.upkeep).unwrap_or_else(|error| panic!("{error}"))
}

fn settings(legs: Legs) -> Settings {
    let venue = |id| VenueSettings {
        id,
        max_book_age_ms: 1_500,
        orders_per_s: 50,
        orders_per_day: 0,
        maintenance_minute: None,
    };
    Settings {
        pairs: vec![PairSettings {
            id: PairId(0),
            name: "BTC".into(),
            venues: [V, P],
            symbols: ["BTC-PERP".into(), "BTC-USD-PERP".into()],
            size: qty("1"),
            entry_threshold: Rate::from_bps(25),
            exit_threshold: Rate::from_bps(2),
        }],
        venues: vec![venue(V), venue(P)],
        signal: SignalSettings {
            basis: Basis::Raw,
            persistence_updates: 1,
            exit_requires_profit: false,
            expected_hold_h: 1,
        },
        execution: ExecutionSettings {
            legs,
            slack_share: Rate::from_raw(money::RATE_ONE / 2),
            completion_slippage: Rate::from_bps(15),
            max_unwind: Rate::from_bps(200),
            retry_attempts: 3,
            retry_delay_ms: 200,
            receive_window_ms: 500,
            pending_cancel_ms: 1_000,
            ack_deadline_ms: 1_500,
        },
        risk: RiskSettings {
            max_order_notional: usd(200),
            max_pair_notional: usd(500),
            max_gross_notional: usd(2_000),
            max_net_delta: usd(20),
            max_depth_share: Rate::from_bps(2_000),
            depth_band: Rate::from_bps(25),
            max_plausible: Rate::from_bps(200),
            max_skew_ms: 1_500,
            max_naked_ms: 5_000,
            max_hold_s: 86_400,
            min_profit: Rate::ZERO,
            slippage: Rate::ZERO,
            stop_widening: Rate::from_bps(100),
            daily_loss: usd(25),
            losing_pairs_pause: 5,
            cooldown_ms: 5_000,
            failed_leg_cooldown_ms: 60_000,
            link_cooldown_ms: 60_000,
            max_entries_per_hour: 20,
            max_entries_per_day: 200,
            max_order_errors_per_min: 5,
            price_collar: Rate::from_bps(300),
            leverage: 3,
            entry_free_margin: Rate::from_bps(4_000),
            clock_warn_ms: 50,
            clock_no_entries_ms: 250,
            clock_halt_ms: 1_000,
        },
        dedicated_account: false,
        upkeep: upkeep(),
    }
}

fn rules() -> MarketRules {
    MarketRules {
        tick: price("0.01"),
        lot: qty("0.0001"),
        min_qty: qty("0.0001"),
        max_qty: Qty::ZERO,
        min_notional: usd(10),
        price_places: 2,
        qty_places: 4,
        taker: Rate::from_bps(4),
        initial_margin: Rate::from_bps(1_000),
        maintenance_margin: Rate::from_bps(500),
        price_band: Rate::ZERO,
        status: MarketStatus::Trading,
    }
}

/// The core with two venues played by the test.
struct Rig {
    core: Core,
    now: Nanos,
    journal: Vec<Entry>,
    sent: Vec<OrderSpec>,
    cancels: usize,
    asks: Vec<Ask>,
    logs: Vec<RecordKind>,
    exposure: ExposureState,
    updates: u64,
}

impl Rig {
    fn new() -> Self {
        Self::with(Legs::Together)
    }

    fn with(legs: Legs) -> Self {
        let mut rig = Self {
            core: Core::new(settings(legs)),
            now: Nanos::from_ms(1_800_000_000_000),
            journal: Vec::new(),
            sent: Vec::new(),
            cancels: 0,
            asks: Vec::new(),
            logs: Vec::new(),
            exposure: ExposureState::Blocked,
            updates: 0,
        };
        let mut fx = Effects::new();
        let start = Start { epoch: 1, mode: Mode::Active, paper: false };
        rig.core.start(rig.now, start, &mut fx);
        rig.carry_out(fx);
        for venue in [V, P] {
            rig.fact(Fact::Rules { venue, pair: PairId(0), rules: rules() });
            rig.event(venue, TraderEvent::Ready(true));
            rig.account(venue, "0");
            let asked = rig.now;
            rig.fact(Fact::OpenOrders { venue, asked, orders: Vec::new() });
        }
        rig.quotes();
        rig
    }

    fn step(&mut self, input: Input) {
        self.now = self.now + 1_000_000;
        let mut fx = Effects::new();
        self.core.step(self.now, input, &mut fx);
        self.carry_out(fx);
    }

    fn carry_out(&mut self, mut fx: Effects) {
        let mut done = 0;
        while done < fx.len() {
            let effect = fx[done];
            done += 1;
            match effect {
                Effect::Append(entry) => self.journal.push(entry),
                Effect::Send(approved) => {
                    let spec = *approved.spec();
                    assert!(self.has_intent(spec.id), "no byte leaves before its intent is written (I2)");
                    assert!(self.sent.iter().all(|other| other.id != spec.id), "no identity twice (I3)");
                    self.sent.push(spec);
                    let outcome = SendOutcome::Written { at: self.now, nth: 0 };
                    self.core.sent(self.now, spec.id, outcome, &mut fx);
                }
                Effect::Cancel(_) => self.cancels += 1,
                Effect::Ask(ask) => self.asks.push(ask),
                Effect::Tell(exposure) => self.exposure = exposure.state,
                Effect::Log(kind) => self.logs.push(kind),
            }
        }
    }

    fn has_intent(&self, id: ClientId) -> bool {
        self.journal.iter().any(|entry| match entry {
            Entry::Intent { intent } => intent.orders.iter().flatten().any(|order| order.spec.id == id),
            _ => false,
        })
    }

    fn fact(&mut self, fact: Fact) {
        self.step(Input::Fact(fact));
    }

    fn event(&mut self, venue: VenueId, event: TraderEvent) {
        self.step(Input::Trader(venue, event));
    }

    fn account(&mut self, venue: VenueId, position: &str) {
        let mut report = AccountReport { equity: usd(1_000), free_margin: usd(1_000), ..Default::default() };
        report.positions[0].qty = qty(position);
        self.now = self.now + 1;
        let asked = self.now;
        self.fact(Fact::Account { venue, asked, report });
    }

    /// Vest 100.30/100.36, Paradex 99.98/100.02 (MONEY, worked quotes).
    fn quotes(&mut self) {
        self.quote(V, "100.30", "100.36");
        self.quote(P, "99.98", "100.02");
    }

    fn quote(&mut self, venue: VenueId, bid: &str, ask: &str) {
        self.updates += 1;
        let walk = |text| Walk { vwap: price(text), worst: price(text), within_depth: true };
        let quote = Quote {
            venue,
            tradable: true,
            updates: self.updates,
            t_wire: self.now,
            t_book: self.now,
            bid: price(bid),
            ask: price(ask),
            bid_qty: qty("10"),
            ask_qty: qty("10"),
            sizes: [qty("1"), qty("0.5"), qty("0.25")],
            buy: [walk(ask); 3],
            sell: [walk(bid); 3],
            ..Quote::default()
        };
        self.step(Input::Quote(quote));
    }

    fn intent(&mut self, kind: IntentKind, limits: [&str; 2], expected: [&str; 2]) {
        let now = self.now;
        self.step(Input::Intent(Intent {
            pair: PairId(0),
            kind,
            qty: qty("1"),
            limits: limits.map(price),
            expected: expected.map(price),
            edge: Rate::from_bps(28),
            basis: Rate::ZERO,
            mid: price("100.16"),
            t_wire: now,
            t_book: now,
            t_decide: now,
        }));
    }

    /// Direction B: long Paradex, short Vest.
    fn enter(&mut self) {
        self.intent(IntentKind::Enter(Direction::B), ["100.29", "100.03"], ["100.30", "100.02"]);
    }

    fn news(&mut self, order: usize, news: OrderNews) {
        let (venue, key) = (self.sent[order].venue, OrderKey::Client(self.sent[order].id));
        self.event(venue, TraderEvent::Order { key, news, t_venue: Nanos::NEVER });
    }

    fn ack(&mut self, order: usize) {
        self.news(order, OrderNews::Acked);
    }

    fn fill(&mut self, order: usize, id: &str, amount: &str, at: &str) {
        let fill = Fill {
            id: VenueOrderId::cut(id),
            qty: qty(amount),
            price: price(at),
            fee: price(at).times(qty(amount)).part(Rate::from_bps(4)),
            funding: Usd::ZERO,
        };
        self.news(order, OrderNews::Fill(fill));
    }

    fn close(&mut self, order: usize, filled: &str) {
        let closed = OrderNews::Closed {
            filled: qty(filled),
            average: Price::ZERO,
            fee: Usd::ZERO,
            reason: Reason::EMPTY,
        };
        self.news(order, closed);
    }

    fn reject(&mut self, order: usize, class: RejectClass) {
        self.news(order, OrderNews::Rejected(Reject { class, code: Reason::cut("TEST") }));
    }

    fn report(&mut self, order: usize, filled: &str, terminal: bool) {
        let spec = self.sent[order];
        let report = OrderReport {
            venue: spec.venue,
            id: spec.id,
            venue_id: VenueOrderId::cut("v1"),
            pair: spec.pair,
            side: spec.side,
            qty: spec.qty,
            terminal,
            rejected: None,
            filled: qty(filled),
            average: spec.limit,
            fee: usd(0),
            funding: Usd::ZERO,
            at: self.now,
        };
        let asked = self.now;
        self.fact(Fact::Order { venue: spec.venue, id: spec.id, asked, report: Some(report) });
    }

    fn not_found(&mut self, order: usize) {
        let (venue, id, asked) = (self.sent[order].venue, self.sent[order].id, self.now);
        self.fact(Fact::Order { venue, id, asked, report: None });
    }

    fn wait_ms(&mut self, ms: u64) {
        for _ in 0..ms {
            self.step(Input::Tick);
        }
    }

    fn opened(&mut self) {
        self.enter();
        for (order, at) in [(0, "100.30"), (1, "100.02")] {
            self.ack(order);
            self.fill(order, "f", "1", at);
        }
        assert!(matches!(self.exposure, ExposureState::Held { .. }));
    }

    fn net(&self) -> Qty {
        self.core.pairs()[0].book.net()
    }

    fn logged(&self, wanted: impl Fn(&RecordKind) -> bool) -> usize {
        self.logs.iter().filter(|kind| wanted(kind)).count()
    }

    /// What every test ends with.
    fn assert_home(&mut self) {
        let pair = &self.core.pairs()[0];
        assert_eq!(pair.book.net(), Qty::ZERO, "a leg is alone");
        assert!(!pair.has_live_orders(), "an order is open");
        assert_eq!(pair.phase, Phase::Idle);
        let cash: i64 = pair.book.legs.iter().map(|leg| leg.cash.raw() - leg.fees.raw()).sum();
        if pair.book.is_flat() {
            assert_eq!(cash, 0, "the books of a closed pair are in the totals");
        }
        self.assert_replay();
    }

    /// Replaying the journal alone gives the same books (I4).
    fn assert_replay(&self) {
        let mut core = Core::new(settings(Legs::Together));
        self.journal.iter().for_each(|entry| core.recover(entry));
        assert_eq!(core.pairs()[0].book, self.core.pairs()[0].book);
        assert_eq!(core.totals().ledger, self.core.totals().ledger);
        assert_eq!(core.totals().orders_sent, self.sent.len() as u64);
    }
}

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
fn one_leg_rejected_definitively_is_retried_then_unwound() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(0, "f", "1", "100.30");
    rig.reject(1, RejectClass::Definitive);
    assert_eq!(rig.sent.len(), 3, "the mending order leaves at once");
    for attempt in 2..5 {
        assert_eq!(rig.sent[attempt].purpose, Purpose::Complete);
        assert_eq!(rig.sent[attempt].venue, P);
        rig.reject(attempt, RejectClass::Definitive);
        rig.wait_ms(1_100);
        rig.quotes();
        rig.wait_ms(1);
    }
    let unwind = rig.sent.len() - 1;
    assert!(rig.logged(|kind| matches!(kind, RecordKind::Retry { .. })) >= 3);
    let last = rig.sent[unwind];
    if last.purpose == Purpose::Complete {
        rig.reject(unwind, RejectClass::Definitive);
        rig.wait_ms(1_100);
    }
    let last = rig.sent.len() - 1;
    assert_eq!((rig.sent[last].purpose, rig.sent[last].venue), (Purpose::Unwind, V));
    assert!(rig.sent[last].reduce_only);
    rig.fill(last, "u", "1", "100.36");
    rig.assert_home();
    assert!(rig.core.pairs()[0].book.is_flat());
    assert!(rig.core.totals().ledger.unwinds.raw() < 0);
}

#[test]
fn a_missing_leg_that_has_run_away_is_not_chased() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(0, "f", "1", "100.30");
    rig.quote(P, "101.00", "101.04");
    rig.reject(1, RejectClass::Definitive);
    assert_eq!((rig.sent[2].purpose, rig.sent[2].side), (Purpose::Unwind, Side::Buy));
    rig.fill(2, "u", "1", "100.36");
    rig.assert_home();
}

#[test]
fn missed_unwinds_widen_the_collar_and_never_end() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(0, "f", "1", "100.30");
    rig.quote(P, "103.00", "103.04");
    rig.reject(1, RejectClass::Definitive);
    let mut limits = Vec::new();
    for _ in 0..8 {
        let last = rig.sent.len() - 1;
        limits.push(rig.sent[last].limit);
        rig.close(last, "0");
        rig.wait_ms(1_100);
    }
    assert!(limits.windows(2).all(|pair| pair[0] <= pair[1]), "{limits:?}");
    assert_eq!(limits[0], price("100.56"), "20 bps beyond the ask");
    assert_eq!(limits[7], price("102.36"), "never beyond 200 bps");
    let last = rig.sent.len() - 1;
    rig.fill(last, "u", "1", "102.00");
    rig.assert_home();
}

#[test]
fn a_partial_fill_is_matched_by_completing_the_rest() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(0, "f", "1", "100.30");
    rig.fill(1, "a", "0.4", "100.02");
    rig.close(1, "0.4");
    assert_eq!((rig.sent[2].purpose, rig.sent[2].qty), (Purpose::Complete, qty("0.6")));
    rig.fill(2, "b", "0.6", "100.03");
    rig.assert_home();
    assert!(matches!(rig.exposure, ExposureState::Held { qty: held, .. } if held == qty("1")));
}

#[test]
fn both_partial_is_cut_to_the_smaller_when_the_rest_cannot_be_had() {
    let mut rig = Rig::new();
    rig.enter();
    rig.quote(P, "101.00", "101.04");
    rig.fill(0, "f", "0.7", "100.30");
    rig.close(0, "0.7");
    rig.fill(1, "a", "0.4", "100.02");
    rig.close(1, "0.4");
    assert_eq!((rig.sent[2].purpose, rig.sent[2].venue, rig.sent[2].qty), (Purpose::Unwind, V, qty("0.3")));
    rig.fill(2, "u", "0.3", "100.36");
    rig.assert_home();
    assert!(matches!(rig.exposure, ExposureState::Held { qty: held, .. } if held == qty("0.4")));
}

#[test]
fn ack_lost_and_filled_is_found_by_query_and_never_sent_again() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(1, "f", "1", "100.02");
    rig.wait_ms(1_600);
    assert_eq!(rig.logged(|kind| matches!(kind, RecordKind::OrderUnknown { .. })), 1);
    assert_eq!(rig.sent.len(), 2, "an unknown order is not sent again");
    rig.wait_ms(300);
    assert!(rig.asks.iter().any(|ask| matches!(ask, Ask::Order { venue, .. } if *venue == V)));
    rig.report(0, "1", true);
    rig.assert_home();
    assert!(matches!(rig.exposure, ExposureState::Held { .. }));
}

#[test]
fn ack_lost_and_not_accepted_is_dead_only_after_window_reads_and_position() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(1, "f", "1", "100.02");
    rig.not_found(0);
    rig.not_found(0);
    rig.wait_ms(100);
    assert_eq!(rig.sent.len(), 2, "inside the window nothing is proven");
    rig.wait_ms(2_000);
    rig.not_found(0);
    rig.not_found(0);
    assert_eq!(rig.sent.len(), 2, "the position has not been read");
    rig.quotes();
    rig.account(V, "0");
    assert_eq!(rig.sent.len(), 3, "now it is dead and the lone leg is mended");
    let mend = rig.sent[2];
    let at = if mend.side == Side::Buy { "100.36" } else { "100.29" };
    rig.fill(2, "m", "1", at);
    rig.assert_home();
}

#[test]
fn a_fill_told_twice_counts_once() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(1, "f", "0.5", "100.02");
    rig.fill(1, "f", "0.5", "100.02");
    rig.fill(1, "g", "0.5", "100.02");
    rig.fill(0, "h", "1", "100.30");
    rig.fill(0, "h", "1", "100.30");
    rig.assert_home();
}

#[test]
fn an_acknowledged_order_without_outcome_is_cancelled_and_then_resolved() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(1, "f", "1", "100.02");
    rig.ack(0);
    rig.wait_ms(1_100);
    assert_eq!(rig.cancels, 1);
    rig.wait_ms(300);
    rig.report(0, "1", false);
    assert!(rig.core.pairs()[0].has_live_orders());
    rig.report(0, "1", true);
    rig.assert_home();
}

#[test]
fn a_socket_lost_with_orders_in_flight_asks_at_once() {
    let mut rig = Rig::new();
    rig.enter();
    rig.asks.clear();
    let down = TraderEvent::LinkDown { role: record::Role::Orders, why: Reason::cut("reset") };
    rig.event(P, down);
    rig.wait_ms(2);
    assert!(rig.asks.iter().any(|ask| matches!(ask, Ask::Order { venue, .. } if *venue == P)));
    rig.report(1, "1", true);
    rig.fill(0, "h", "1", "100.30");
    rig.assert_home();
}

#[test]
fn with_one_venue_down_the_other_unwinds() {
    let mut rig = Rig::new();
    rig.enter();
    rig.fill(0, "f", "1", "100.30");
    rig.event(P, TraderEvent::Ready(false));
    rig.reject(1, RejectClass::Definitive);
    assert_eq!((rig.sent[2].purpose, rig.sent[2].venue), (Purpose::Unwind, V));
    rig.fill(2, "u", "1", "100.36");
    rig.assert_home();
}

#[test]
fn the_uncertain_leg_may_go_first() {
    let mut rig = Rig::with(Legs::First(V));
    rig.enter();
    assert_eq!(rig.sent.iter().map(|spec| spec.venue).collect::<Vec<_>>(), [V]);
    rig.fill(0, "f", "1", "100.30");
    assert_eq!((rig.sent[1].venue, rig.sent[1].purpose), (P, Purpose::Complete));
    rig.fill(1, "g", "1", "100.02");
    let pair = &rig.core.pairs()[0];
    assert_eq!(pair.book.net(), Qty::ZERO);
    assert!(matches!(rig.exposure, ExposureState::Held { .. }));
}

#[test]
fn a_position_that_is_not_ours_blocks_entries_and_is_not_touched() {
    let mut rig = Rig::new();
    rig.account(V, "3");
    assert_eq!(rig.exposure, ExposureState::MayEnter, "one read may be old");
    rig.account(V, "3");
    assert_eq!(rig.exposure, ExposureState::Blocked);
    rig.enter();
    assert!(rig.sent.is_empty());
    rig.account(V, "0");
    rig.wait_ms(300);
    assert_eq!(rig.exposure, ExposureState::MayEnter);
}

#[test]
fn stop_with_flatten_ends_flat_and_verified() {
    let mut rig = Rig::new();
    rig.opened();
    rig.step(Input::Command(Command::Stop { flatten: true }));
    rig.wait_ms(2);
    assert_eq!(rig.sent.len(), 4);
    rig.fill(2, "a", "1", "100.36");
    rig.fill(3, "b", "1", "99.98");
    rig.wait_ms(2);
    assert!(!rig.core.is_stopped(), "not before both venues were asked");
    for venue in [V, P] {
        let asked = rig.now;
        rig.fact(Fact::OpenOrders { venue, asked, orders: Vec::new() });
    }
    rig.wait_ms(2);
    assert!(rig.core.is_stopped());
    rig.assert_home();
}

#[test]
fn stop_without_flatten_keeps_a_hedged_pair() {
    let mut rig = Rig::new();
    rig.opened();
    rig.step(Input::Command(Command::Stop { flatten: false }));
    rig.wait_ms(2);
    for venue in [V, P] {
        let asked = rig.now;
        rig.fact(Fact::OpenOrders { venue, asked, orders: Vec::new() });
    }
    rig.wait_ms(2);
    assert!(rig.core.is_stopped());
    assert_eq!((rig.sent.len(), rig.net()), (2, Qty::ZERO));
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
