//! One venue: its markets, accounts and orders, and the queue of what is due.
//!
//! Called by the wires (requests) and by whoever drives time (`advance`). It answers at once with when
//! and what to reply; everything else comes out of `advance` as events. It must never look at a clock.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use super::account::{Account, AccountView, Marks, PositionView, set_liquidation_prices};
use super::book::Book;
use super::fault::{Action, Class, Faults, Rule, Subject, Wrong};
use super::history::History;
use super::model::{Model, Script};
use super::money;
use super::past::{Memory, Past};
use super::rng::Rng;
use super::types::*;

#[derive(Clone)]
pub(super) struct Market {
    pub spec: MarketSpec,
    pub model: Model,
    pub book: Book,
    pub seq: u64,
    pub mode: Mode,
    /// Which queued quote counts; older ones have been overtaken.
    pub quote: u64,
    pub last: i64,
    pub funding_rate_e12: i64,
    pub funding_index_e12: i128,
    pub funded_us: i64,
    /// The next message is the whole book: deltas would not undo a falsehood.
    pub resync: bool,
    pub history: History,
}

/// What the venue intends to do with an order besides the ordinary.
#[derive(Clone, Default)]
pub(super) struct Plan {
    pub hold_us: i64,
    pub requote: bool,
    pub wrong: Option<Wrong>,
    pub bust_after_us: Option<i64>,
    pub late_reject: Option<(String, String)>,
    pub fill_at_most: Option<i64>,
}

#[derive(Clone)]
pub(super) struct Live {
    pub view: OrderView,
    pub plan: Plan,
}

#[derive(Clone)]
pub(super) enum Work {
    Quote {
        market: usize,
        quote: u64,
    },
    Ticker(usize),
    Check(OrderId),
    Match(OrderId),
    Cancel(OrderId),
    /// The same order or cancel once more.
    Again(Box<NewOrder>),
    CancelAgain(OrderId),
    /// Takes a fill back, by its id.
    Bust(String),
    /// The next mode of the weekday cycle.
    Cycle(Mode),
    Emit(Box<Event>),
}

/// One venue, all its markets and accounts.
#[derive(Clone)]
pub struct Exchange {
    pub(super) spec: VenueSpec,
    pub(super) markets: Vec<Market>,
    pub(super) accounts: Vec<Account>,
    pub(super) orders: IndexMap<OrderId, Live>,
    /// Places in `orders` of those that are not terminal.
    pub(super) live: BTreeSet<usize>,
    pub(super) client_refs: BTreeSet<(AccountId, String)>,
    pub(super) fills: Vec<FillView>,
    /// Fills ever made: their ids stay unique when some vanish.
    pub(super) made_fills: u64,
    /// Fills that a rollback undid.
    pub(super) vanished: Vec<FillView>,
    /// Ids of the fills taken back, in order.
    pub(super) busted: Vec<String>,
    pub(super) arrivals: Vec<Arrival>,
    pub(super) memory: Memory,
    /// Rises with every change that is more than a price.
    pub(super) version: u64,
    /// How far back the read under way looks.
    pub(super) lag_us: i64,
    /// The same for orders that have filled, and for fills.
    pub(super) history_lag_us: i64,
    /// The request under way is answered twice.
    pub(super) is_echoed: bool,
    pub(super) faults: Faults,
    pub(super) rng: Rng,
    pub(super) work: BTreeMap<(i64, u64), Work>,
    work_seq: u64,
    /// Private events keep their order: none is due before the one queued last.
    pub(super) last_event_us: i64,
}

impl Exchange {
    pub fn new(spec: VenueSpec) -> Self {
        let start = spec.start_us;
        let market = |m: &MarketSpec| Market {
            model: Model::new(m, spec.style, spec.name, spec.seed, start),
            book: Book::default(),
            seq: 1,
            mode: Mode::Ok,
            quote: 0,
            last: m.price.mid,
            funding_rate_e12: m.funding_rate_1h_e12,
            funding_index_e12: 0,
            funded_us: start,
            resync: false,
            history: History::default(),
            spec: m.clone(),
        };
        let account =
            |a: &AccountSpec| Account::new(&a.name, spec.style, spec.markets.len(), a.deposit, start);
        let mut exchange = Self {
            markets: spec.markets.iter().map(market).collect(),
            accounts: spec.accounts.iter().map(account).collect(),
            orders: IndexMap::new(),
            live: BTreeSet::new(),
            client_refs: BTreeSet::new(),
            fills: Vec::new(),
            made_fills: 0,
            vanished: Vec::new(),
            busted: Vec::new(),
            arrivals: Vec::new(),
            memory: Memory::default(),
            version: 0,
            lag_us: 0,
            history_lag_us: 0,
            is_echoed: false,
            faults: Faults::new(spec.seed, spec.name),
            rng: Rng::new(spec.seed, &format!("latency {}", spec.name)),
            work: BTreeMap::new(),
            work_seq: 0,
            last_event_us: 0,
            spec,
        };
        for market in 0..exchange.markets.len() {
            let book = exchange.markets[market].model.quote(start);
            exchange.markets[market].book.replace(book);
            exchange.schedule_quote(start, market);
            exchange.schedule(start, Work::Ticker(market));
        }
        exchange.schedule_cycle(start);
        exchange
    }

    /// Does all that is due up to `now_us`, in order of time, and appends what the venue says.
    pub fn advance(&mut self, now_us: i64, out: &mut Vec<Event>) {
        while let Some(entry) = self.work.first_entry() {
            let due = entry.key().0;
            if due > now_us {
                break;
            }
            let work = entry.remove();
            self.perform(due, work, out);
        }
    }

    /// When `advance` has something to do again.
    pub fn next_due(&self) -> i64 {
        self.work.first_key_value().map_or(i64::MAX, |(key, _)| key.0)
    }

    pub fn spec(&self) -> &VenueSpec {
        &self.spec
    }

    /// Index of a market by its exact symbol.
    pub fn market(&self, symbol: &str) -> Option<usize> {
        self.markets.iter().position(|m| m.spec.symbol == symbol)
    }

    /// Symbol of a market; empty for one that does not exist.
    pub fn symbol(&self, market: usize) -> &str {
        self.markets.get(market).map_or("", |m| m.spec.symbol.as_str())
    }

    /// The state as private reads see it.
    pub fn past(&self, now_us: i64) -> Past<'_> {
        let before = |lag_us: i64| if lag_us == 0 { i64::MAX } else { now_us - lag_us };
        Past::of(self, before(self.lag_us), before(self.history_lag_us))
    }

    /// Whether the answer under way is said twice.
    pub fn take_echo(&mut self) -> bool {
        std::mem::take(&mut self.is_echoed)
    }

    pub fn order(&self, id: &str) -> Option<&OrderView> {
        self.orders.get(id).map(|live| &live.view)
    }

    /// All orders of an account, oldest first.
    pub fn orders(&self, account: AccountId) -> impl DoubleEndedIterator<Item = &OrderView> {
        self.orders.values().map(|live| &live.view).filter(move |o| o.account == account)
    }

    pub fn open_orders(&self, account: AccountId) -> impl DoubleEndedIterator<Item = &OrderView> {
        let live = self.live.iter().filter_map(|at| self.orders.get_index(*at)).map(|(_, live)| &live.view);
        live.filter(move |o| o.account == account)
    }

    /// All fills of an account, oldest first.
    pub fn fills(&self, account: AccountId) -> impl DoubleEndedIterator<Item = &FillView> {
        self.fills.iter().filter(move |f| f.account == account)
    }

    /// Rises with every change that is more than a price.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// All fills, oldest first.
    pub fn all_fills(&self) -> &[FillView] {
        &self.fills
    }

    /// Fills that a rollback undid, in that order.
    pub fn vanished(&self) -> &[FillView] {
        &self.vanished
    }

    /// Ids of the fills taken back, in that order.
    pub fn busted(&self) -> &[String] {
        &self.busted
    }

    /// All orders that arrived, refused ones included.
    pub fn arrivals(&self) -> &[Arrival] {
        &self.arrivals
    }

    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// Signed position in a market.
    pub fn held(&self, account: AccountId, market: usize) -> i64 {
        self.accounts[account].positions[market].size
    }

    pub fn position(&self, account: AccountId, market: usize) -> PositionView {
        let mut positions = self.positions(account);
        positions.swap_remove(market)
    }

    /// Positions of an account, flat ones included, in the order of the markets.
    pub fn positions(&self, account: AccountId) -> Vec<PositionView> {
        self.positions_of(account, &self.accounts[account])
    }

    pub fn account(&self, account: AccountId, now_us: i64) -> AccountView {
        self.account_of(account, &self.accounts[account], now_us)
    }

    pub(super) fn positions_of(&self, id: AccountId, account: &Account) -> Vec<PositionView> {
        let view =
            |market: usize| account.position_view(id, market, &self.markets[market].spec, self.marks(market));
        let mut positions: Vec<PositionView> = (0..self.markets.len()).map(view).collect();
        set_liquidation_prices(account.balance, &mut positions);
        positions
    }

    pub(super) fn account_of(&self, id: AccountId, account: &Account, now_us: i64) -> AccountView {
        let positions = self.positions_of(id, account);
        let open: i64 = positions.iter().map(|p| p.unrealized_pnl + p.unrealized_funding).sum();
        let initial_margin = positions.iter().map(|p| p.initial_margin).sum();
        let value = account.balance + open;
        AccountView {
            account: id,
            name: account.name.clone(),
            balance: account.balance,
            value,
            initial_margin,
            maintenance_margin: positions.iter().map(|p| p.maintenance_margin).sum(),
            free: (value - initial_margin).max(0),
            at_us: now_us,
        }
    }

    /// The true displayed book.
    pub fn book(&self, market: usize) -> &Book {
        &self.markets[market].book
    }

    /// The whole book as a new subscriber gets it, with the sequence that the next delta continues.
    pub fn snapshot(&self, market: usize, now_us: i64) -> BookUpdate {
        let m = &self.markets[market];
        let (bids, asks) = m.model.published(m.book.bids().to_vec(), m.book.asks().to_vec());
        BookUpdate { market, seq: m.seq, at_us: now_us, snapshot: true, bids, asks }
    }

    pub fn ticker(&self, market: usize, now_us: i64) -> TickerView {
        let m = &self.markets[market];
        let shown =
            |price: i64| m.model.script.mark_percent.map_or(price, |share| money::percent(price, share));
        TickerView {
            market,
            at_us: now_us,
            mark: shown(m.model.mark()),
            index: shown(m.model.index()),
            bid: m.book.best(Side::Buy),
            ask: m.book.best(Side::Sell),
            last: m.last,
            funding_rate_1h_e12: m.funding_rate_e12,
            funding_index_e12: m.funding_index_e12,
            mode: m.mode,
        }
    }

    pub fn history(&self, market: usize) -> &History {
        &self.markets[market].history
    }

    /// Mode of the venue as a whole: that of its first market.
    pub fn mode(&self) -> Mode {
        self.markets.first().map_or(Mode::Ok, |m| m.mode)
    }

    pub fn set_mode(&mut self, now_us: i64, mode: Mode) {
        self.version += 1;
        for market in 0..self.markets.len() {
            self.markets[market].mode = mode;
            self.schedule(now_us, Work::Emit(Box::new(Event::Mode { market, mode })));
        }
    }

    /// Rate that longs pay in an hour from now on, at 1e-12.
    pub fn set_funding(&mut self, now_us: i64, market: usize, rate_1h_e12: i64) {
        self.accrue(market, now_us);
        self.markets[market].funding_rate_e12 = rate_1h_e12;
    }

    /// Overrides the model; the book follows at its next message, or at once for orders.
    pub fn set_script(&mut self, now_us: i64, market: usize, script: Script) {
        let m = &mut self.markets[market];
        m.resync |= m.model.script.lie.is_some() || script.lie.is_some();
        m.model.script = script;
        self.schedule_quote(now_us, market);
    }

    pub fn script(&self, market: usize) -> &Script {
        &self.markets[market].model.script
    }

    /// How often any fault rule fired.
    pub fn fired(&self) -> u64 {
        self.faults.fired
    }

    /// The venue's clock was set forward by `us`: all that is under way keeps its true time.
    pub fn shift(&mut self, us: i64) {
        let work = std::mem::take(&mut self.work);
        self.work = work.into_iter().map(|((due_us, serial), work)| ((due_us + us, serial), work)).collect();
        self.last_event_us += us;
        for market in &mut self.markets {
            market.model.shift(us);
            market.funded_us += us;
        }
    }

    pub fn faults(&mut self) -> &mut Faults {
        &mut self.faults
    }

    /// Whether a fault of a certain number waits for a message of this class.
    pub fn has_fault_for(&self, class: Class) -> bool {
        self.faults.waits_for(class)
    }

    pub fn add_fault(&mut self, rule: Rule) {
        self.faults.add(rule);
    }

    /// Queues an event to go out at `now_us` as it is.
    pub fn say(&mut self, now_us: i64, event: Event) {
        self.schedule(now_us, Work::Emit(Box::new(event)));
    }

    /// Rules on a request that is no order and no cancel: when to answer it, if at all.
    pub fn gate(&mut self, now_us: i64, class: Class, held: bool) -> Reply<()> {
        let actions = if held { Vec::new() } else { self.faults.draw_request(Subject::of(class)) };
        let mut due_us = now_us;
        (self.lag_us, self.history_lag_us, self.is_echoed) = (0, 0, false);
        for action in actions {
            match action {
                Action::Lag { ms } => self.lag_us = i64::from(ms) * 1_000,
                Action::LagHistory { ms } => self.history_lag_us = i64::from(ms) * 1_000,
                Action::DuplicateAck => self.is_echoed = true,
                Action::Respond { http, .. } => {
                    return Reply::At { due_us, result: Err(Reject::Http(http)) };
                }
                Action::DropRequest | Action::DropAck => return Reply::Never,
                Action::DelayRequest { ms } => {
                    return Reply::Hold { until_us: now_us + i64::from(ms) * 1_000 };
                }
                Action::DelayAck { ms } => due_us += i64::from(ms) * 1_000,
                Action::Reject { code, message } => {
                    return Reply::At { due_us, result: Err(Reject::Injected { code, message }) };
                }
                other => self.side_effect(now_us, &other),
            }
        }
        Reply::At { due_us, result: Ok(()) }
    }

    pub(super) fn schedule(&mut self, due_us: i64, work: Work) {
        self.work_seq += 1;
        self.work.insert((due_us, self.work_seq), work);
    }

    pub(super) fn sample(&mut self, delay: Delay) -> i64 {
        self.rng.between(delay.lo_us, delay.hi_us)
    }

    pub(super) fn marks(&self, market: usize) -> Marks {
        let m = &self.markets[market];
        Marks { mark: m.model.mark(), index: m.model.index(), funding_index_e12: m.funding_index_e12 }
    }

    fn perform(&mut self, now_us: i64, work: Work, out: &mut Vec<Event>) {
        match work {
            Work::Quote { market, quote } if self.markets[market].quote == quote => {
                self.requote(now_us, market);
            }
            Work::Quote { .. } => {}
            Work::Ticker(market) => self.publish_ticker(now_us, market),
            Work::Check(id) => self.check(now_us, &id),
            Work::Match(id) => self.try_match(now_us, &id),
            Work::Cancel(id) => self.finish_cancel(now_us, &id),
            Work::Again(order) => drop(self.take_in(now_us, *order, Plan::default())),
            Work::CancelAgain(id) => drop(self.queue_cancel(now_us, &id, 0)),
            Work::Bust(fill) => drop(self.bust(now_us, &fill)),
            Work::Cycle(mode) => self.turn_cycle(now_us, mode),
            Work::Emit(event) => {
                if let Some(class) = Class::of(&event) {
                    self.faults.watches.meet(class);
                }
                out.push(*event);
            }
        }
    }
}
