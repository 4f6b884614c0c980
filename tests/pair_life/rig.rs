//! The order core on a virtual clock, with both venues played by the test.

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

pub const V: VenueId = VenueId(0);
pub const P: VenueId = VenueId(1);

pub fn usd(dollars: i64) -> Usd {
    Usd::from_raw(dollars * 100_000_000)
}

pub fn price(text: &str) -> Price {
    Price::parse(text.as_bytes()).unwrap()
}

pub fn qty(text: &str) -> Qty {
    Qty::parse(text.as_bytes()).unwrap()
}

/// As shipped.
pub fn upkeep() -> settings::Upkeep {
    let shipped = bot4::config::parse("shipped.toml", "", &bot4::venue::REGISTRY);
    shipped.map_or_else(|error| panic!("{error}"), |config| config.settings.upkeep)
}

pub fn settings(legs: Legs) -> Settings {
    let venue = |id| VenueSettings {
        id,
        max_book_age_ms: 1_500,
        orders_per_s: 50,
        orders_per_day: 0,
        maintenance_minute: None,
        closes_by_rest: true,
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
            written_first: VenueId(0),
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

pub fn rules() -> MarketRules {
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
        ends_ms: None,
        status: MarketStatus::Trading,
    }
}

/// The core with two venues played by the test.
pub struct Rig {
    pub core: Core,
    pub now: Nanos,
    pub journal: Vec<Entry>,
    pub sent: Vec<OrderSpec>,
    /// Venue none of whose connections is free: what is sent there does not leave.
    pub jammed: Option<VenueId>,
    pub cancels: usize,
    /// Name by which the last cancel went.
    pub cancelled: VenueOrderId,
    pub asks: Vec<Ask>,
    pub logs: Vec<RecordKind>,
    pub exposure: ExposureState,
    pub updates: u64,
    /// Marks that the quotes carry, by venue; zero = none.
    pub marks: [Price; 2],
    /// Funding per hour that the quotes carry.
    pub funding: Rate,
}

impl Rig {
    pub fn new() -> Self {
        Self::with(Legs::Together)
    }

    pub fn with(legs: Legs) -> Self {
        Self::of(settings(legs))
    }

    pub fn of(settings: Settings) -> Self {
        Self::of_epoch(settings, 1)
    }

    pub fn of_epoch(settings: Settings, epoch: u32) -> Self {
        let mut rig = Self {
            core: Core::new(settings),
            now: Nanos::from_ms(1_800_000_000_000),
            journal: Vec::new(),
            sent: Vec::new(),
            jammed: None,
            cancels: 0,
            cancelled: VenueOrderId::EMPTY,
            asks: Vec::new(),
            logs: Vec::new(),
            exposure: ExposureState::Blocked,
            updates: 0,
            marks: [Price::ZERO; 2],
            funding: Rate::ZERO,
        };
        let mut fx = Effects::new();
        let start = Start { epoch, mode: Mode::Active, paper: false };
        rig.core.start(rig.now, start, &mut fx);
        rig.carry_out(fx);
        rig.connect();
        rig
    }

    /// Both venues answer: rules, streams, a flat account without orders, and books.
    pub fn connect(&mut self) {
        self.connect_without_books();
        self.quotes();
    }

    pub fn connect_without_books(&mut self) {
        self.connect_without_history();
        for venue in [V, P] {
            let asked = self.now.plus_ms(60_000);
            self.fact(Fact::PastOrders { venue, asked, orders: Vec::new() });
        }
    }

    /// What a venue has executed of late is not told.
    pub fn connect_without_history(&mut self) {
        for venue in [V, P] {
            self.fact(Fact::Rules { venue, pair: PairId(0), rules: rules() });
            self.event(venue, TraderEvent::Ready(true));
            self.account(venue, "0");
            let asked = self.now;
            self.fact(Fact::OpenOrders { venue, asked, orders: Vec::new() });
        }
    }

    pub fn step(&mut self, input: Input) {
        self.now = self.now + 1_000_000;
        let mut fx = Effects::new();
        self.core.step(self.now, input, &mut fx);
        self.carry_out(fx);
    }

    pub fn carry_out(&mut self, mut fx: Effects) {
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
                    let outcome = match self.jammed == Some(spec.venue) {
                        true => SendOutcome::Nothing(Reason::cut("no connection is free")),
                        false => SendOutcome::Written { at: self.now, nth: 0 },
                    };
                    self.core.sent(self.now, spec.id, outcome, &mut fx);
                }
                Effect::Cancel(target) => {
                    self.cancels += 1;
                    self.cancelled = target.venue_id;
                }
                Effect::CancelAll(..) => self.cancels += 1,
                Effect::Ask(ask) => self.asks.push(ask),
                Effect::Tell(exposure) => self.exposure = exposure.state,
                Effect::Log(kind) => self.logs.push(kind),
            }
        }
    }

    pub fn has_intent(&self, id: ClientId) -> bool {
        self.journal.iter().any(|entry| match entry {
            Entry::Intent { intent } => intent.orders.iter().flatten().any(|order| order.spec.id == id),
            _ => false,
        })
    }

    pub fn fact(&mut self, fact: Fact) {
        self.step(Input::Fact(fact));
    }

    pub fn event(&mut self, venue: VenueId, event: TraderEvent) {
        self.step(Input::Trader(venue, event));
    }

    pub fn account(&mut self, venue: VenueId, position: &str) {
        self.now = self.now + 1;
        self.stated(venue, self.now, position);
    }

    /// The account as it was asked for then; a newer answer may have overtaken this one.
    pub fn stated(&mut self, venue: VenueId, asked: Nanos, position: &str) {
        let mut report = AccountReport { equity: usd(1_000), free_margin: usd(1_000), ..Default::default() };
        report.positions[0].qty = qty(position);
        self.fact(Fact::Account { venue, asked, report });
    }

    pub fn account_report(&mut self, venue: VenueId, report: AccountReport) {
        self.now = self.now + 1;
        let asked = self.now;
        self.fact(Fact::Account { venue, asked, report });
    }

    /// Vest 100.30/100.36, Paradex 99.98/100.02 (MONEY, worked quotes).
    pub fn quotes(&mut self) {
        self.quote(V, "100.30", "100.36");
        self.quote(P, "99.98", "100.02");
    }

    pub fn quote(&mut self, venue: VenueId, bid: &str, ask: &str) {
        let quote = self.quoted(venue, bid, ask);
        self.step(Input::Quote(quote));
    }

    pub fn quoted(&mut self, venue: VenueId, bid: &str, ask: &str) -> Quote {
        self.updates += 1;
        let walk = |text| Walk { vwap: price(text), worst: price(text) };
        Quote {
            venue,
            tradable: true,
            updates: self.updates,
            t_wire: self.now,
            t_book: self.now,
            bid: price(bid),
            ask: price(ask),
            sizes: [qty("1"), qty("0.5"), qty("0.25")],
            buy: [walk(ask); 3],
            sell: [walk(bid); 3],
            buy_within: SizeSet::ALL,
            sell_within: SizeSet::ALL,
            ticker: Ticker { mark: self.marks[venue.index()], funding_1h: self.funding, ..Ticker::default() },
            ..Quote::default()
        }
    }

    pub fn intent(&mut self, kind: IntentKind, limits: [&str; 2], expected: [&str; 2]) {
        let intent = self.wish(kind, limits, expected);
        self.step(Input::Intent(intent));
    }

    pub fn wish(&self, kind: IntentKind, limits: [&str; 2], expected: [&str; 2]) -> Intent {
        let now = self.now;
        Intent {
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
        }
    }

    /// Direction B: long Paradex, short Vest.
    pub fn enter(&mut self) {
        self.intent(IntentKind::Enter(Direction::B), ["100.29", "100.03"], ["100.30", "100.02"]);
    }

    pub fn news(&mut self, order: usize, news: OrderNews) {
        let (venue, key) = (self.sent[order].venue, OrderKey::Client(self.sent[order].id));
        self.event(venue, TraderEvent::Order { key, news, t_venue: Nanos::NEVER });
    }

    pub fn ack(&mut self, order: usize) {
        self.news(order, OrderNews::Acked);
    }

    pub fn fill(&mut self, order: usize, id: &str, amount: &str, at: &str) {
        let fill = Fill {
            id: VenueOrderId::cut(id),
            qty: qty(amount),
            price: price(at),
            fee: price(at).times(qty(amount)).part(Rate::from_bps(4)),
            funding: Usd::ZERO,
        };
        self.news(order, OrderNews::Fill(fill, Told::default()));
    }

    pub fn close(&mut self, order: usize, filled: &str) {
        let closed = OrderNews::Closed {
            filled: qty(filled),
            average: Price::ZERO,
            fee: Usd::ZERO,
            reason: Reason::EMPTY,
            told: Told::default(),
        };
        self.news(order, closed);
    }

    pub fn reject(&mut self, order: usize, class: RejectClass) {
        self.news(order, OrderNews::Rejected(Reject { class, code: Reason::cut("TEST") }));
    }

    pub fn report(&mut self, order: usize, filled: &str, terminal: bool) {
        let report = self.row(order, filled, terminal);
        self.answer(order, report);
    }

    /// A row that tells this of its side and market.
    pub fn row_told(&mut self, order: usize, filled: &str, terminal: bool, told: Told) {
        let report = OrderReport { told, ..self.row(order, filled, terminal) };
        self.answer(order, report);
    }

    /// The row of a cancelled order that does not tell what had filled.
    pub fn cancelled_untold(&mut self, order: usize) {
        let report = OrderReport { tells_fill: false, ..self.row(order, "0", true) };
        self.answer(order, report);
    }

    /// The same, and that a fee was paid.
    pub fn cancelled_with_a_fee(&mut self, order: usize) {
        let report =
            OrderReport { tells_fill: false, fee: Usd::from_raw(1_000), ..self.row(order, "0", true) };
        self.answer(order, report);
    }

    fn answer(&mut self, order: usize, report: OrderReport) {
        let (venue, id, asked) = (self.sent[order].venue, self.sent[order].id, self.now);
        self.fact(Fact::Order { venue, id, asked, report: Some(report) });
    }

    fn row(&self, order: usize, filled: &str, terminal: bool) -> OrderReport {
        let spec = self.sent[order];
        OrderReport {
            venue: spec.venue,
            id: spec.id,
            venue_id: VenueOrderId::cut("v1"),
            told: Told::of(spec.pair, spec.side),
            qty: spec.qty,
            terminal,
            rejected: None,
            tells_fill: true,
            filled: qty(filled),
            average: spec.limit,
            fee: usd(0),
            funding: Usd::ZERO,
            at: self.now,
        }
    }

    pub fn not_found(&mut self, order: usize) {
        let (venue, id, asked) = (self.sent[order].venue, self.sent[order].id, self.now);
        self.fact(Fact::Order { venue, id, asked, report: None });
    }

    /// So much later the accounts have been read again, and hold what the books say.
    pub fn later_ms(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
        for (leg, venue) in [V, P].into_iter().enumerate() {
            let held = self.core.pairs()[0].book.legs[leg].qty;
            self.account(venue, &held.to_string());
        }
    }

    pub fn wait_ms(&mut self, ms: u64) {
        for _ in 0..ms {
            self.step(Input::Tick);
        }
    }

    pub fn opened(&mut self) {
        self.opened_from(0);
    }

    /// A pair whose first order is number `first` of all that were sent.
    pub fn opened_from(&mut self, first: usize) {
        self.enter();
        for (leg, at) in ["100.30", "100.02"].into_iter().enumerate() {
            self.ack(first + leg);
            self.fill(first + leg, "f", "1", at);
        }
        assert!(matches!(self.exposure, ExposureState::Held { .. }));
    }

    pub fn net(&self) -> Qty {
        self.core.pairs()[0].book.net()
    }

    pub fn logged(&self, wanted: impl Fn(&RecordKind) -> bool) -> usize {
        self.logs.iter().filter(|kind| wanted(kind)).count()
    }

    /// What every test ends with.
    pub fn assert_home(&mut self) {
        self.assert_home_now();
        self.assert_replay();
    }

    /// The same where the journal does not reach back to the first order.
    pub fn assert_home_now(&self) {
        let pair = &self.core.pairs()[0];
        assert_eq!(pair.book.net(), Qty::ZERO, "a leg is alone");
        assert!(!pair.has_live_orders(), "an order is open");
        assert_eq!(pair.phase, Phase::Idle);
        let cash: i64 = pair.book.legs.iter().map(|leg| leg.cash.raw() - leg.fees.raw()).sum();
        if pair.book.is_flat() {
            assert_eq!(cash, 0, "the books of a closed pair are in the totals");
        }
    }

    /// Replaying the journal alone gives the same books (I4).
    pub fn assert_replay(&self) {
        let mut core = Core::new(settings(Legs::Together));
        self.journal.iter().for_each(|entry| core.recover(entry));
        assert_eq!(core.pairs()[0].book, self.core.pairs()[0].book);
        assert_eq!(core.totals().ledger, self.core.totals().ledger);
        assert_eq!(core.totals().orders_sent, self.sent.len() as u64);
    }
}
