//! Makes the rings, puts each thread's values together, starts them in the order of the data and ends them in the same
//! order.

use std::sync::Arc;

use super::plan::{Place, Plan, plan};
use super::watch::{End, Watch, remove_socket};
use super::{CLEAN, Opened, Part, RunOptions, SOMETHING_OPEN, wires};
use crate::book::market::common_steps;
use crate::book::thread::{BookRings, BookThread};
use crate::config::Config;
use crate::control;
use crate::journal::Tail;
use crate::keeper::thread::{KeeperThread, Rings as KeeperRings};
use crate::order::board::Board;
use crate::order::core::{Core, Effects, Input, Start};
use crate::order::thread::{OrderThread, Rings as OrderRings};
use crate::spread::thread::{SpreadRings, SpreadThread};
use crate::store::{DbThread, Names, Output, PairName, StoreThread, Target, VenueName};
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::cores;
use crate::sys::notify::Notifier;
use crate::sys::ring::{Rx, Tx, ring};
use crate::sys::signals::Signals;
use crate::sys::thread::{Handle, Shared, ThreadSpec, Wait, Worker, spawn};
use crate::sys::waker::Waker;
use crate::telemetry::watch::{StatusPort, Telemetry};
use crate::types::limits::{COMMAND_RING, EXPOSURE_RING, INTENT_RING, KEEPER_RING, QUOTE_RING, RECORD_RING};
use crate::types::report::{Ask, Fact};
use crate::types::{Command, MarketRules, Mode, Nanos, PairId, Record, VenueId};
use crate::venue::{Answer, REGISTRY};

/// The engine, wired and not yet running.
pub struct Engine {
    hot: Vec<(ThreadSpec, Box<dyn Worker>)>,
    keepers: Vec<(ThreadSpec, Box<dyn Worker>)>,
    db: (ThreadSpec, Box<dyn Worker>),
    store: (ThreadSpec, Box<dyn Worker>),
    commands: Tx<Command>,
    board: Arc<Board>,
    status: StatusEnds,
    remains: std::sync::mpsc::Receiver<Vec<String>>,
    clock: SystemClock,
    control: control::Server,
    socket: std::path::PathBuf,
    options: RunOptions,
    heartbeat_max_ms: u64,
    stop_deadline_ms: u64,
}

/// How `main` asks the telemetry for the status object.
struct StatusEnds {
    ask: Tx<()>,
    answers: Rx<Box<crate::telemetry::status::Status>>,
}

/// One waker per thread, made before its rings so that producers can use it.
struct Wakers {
    spread: Waker,
    order: Waker,
    keepers: Vec<Waker>,
    store: Waker,
    db: Waker,
}

impl Wakers {
    fn new(venues: usize) -> std::io::Result<Self> {
        Ok(Self {
            spread: Waker::new()?,
            order: Waker::new()?,
            keepers: (0..venues).map(|_| Waker::new()).collect::<Result<_, _>>()?,
            store: Waker::new()?,
            db: Waker::new()?,
        })
    }
}

/// The rings of one venue, both ends, until their threads take them.
struct VenueRings {
    md_spread: (Tx<crate::types::Quote>, Rx<crate::types::Quote>),
    md_order: (Tx<crate::types::Quote>, Rx<crate::types::Quote>),
    md_keeper: (Tx<Ask>, Rx<Ask>),
    keeper_md: (Tx<Answer>, Rx<Answer>),
    order_keeper: (Tx<Ask>, Rx<Ask>),
    keeper_order: (Tx<Answer>, Rx<Answer>),
}

fn waking<T>((tx, rx): (Tx<T>, Rx<T>), waker: &Waker) -> (Tx<T>, Rx<T>) {
    (tx.waking(waker), rx)
}

impl VenueRings {
    fn new(wakers: &Wakers, venue: usize) -> Self {
        Self {
            md_spread: waking(ring(QUOTE_RING), &wakers.spread),
            md_order: ring(QUOTE_RING),
            md_keeper: waking(ring(COMMAND_RING), &wakers.keepers[venue]),
            keeper_md: ring(COMMAND_RING),
            order_keeper: waking(ring(KEEPER_RING), &wakers.keepers[venue]),
            keeper_order: waking(ring(KEEPER_RING), &wakers.order),
        }
    }
}

/// Rings to `store`, one per producer.
#[derive(Default)]
struct Records(Vec<Rx<Record>>);

impl Records {
    fn tx(&mut self) -> Tx<Record> {
        let (tx, rx) = ring(RECORD_RING);
        self.0.push(rx);
        tx
    }
}

impl Engine {
    pub fn new(
        config: &Config,
        parts: Vec<Part>,
        opened: Opened,
        database: Target,
        output: Output,
        clock: &SystemClock,
        options: RunOptions,
    ) -> Result<Self, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let plan = plan(&config.threads, &cores::allowed());
        for note in &plan.notes {
            tracing::info!(event_type = "LAYOUT", "{note}");
        }
        let wakers = Wakers::new(parts.len()).map_err(|error| text(&error))?;
        let mut maker = Maker { config, plan: &plan, wakers: &wakers, clock, records: Records::default() };
        let names = names(config);
        let board = Arc::new(Board::default());
        let tail_seq = 0;
        let tail = Tail::open(&config.journal.dir, tail_seq).map_err(|error| text(&error))?;
        let (commands, from_main) = waking(ring(COMMAND_RING), &wakers.order);
        let (remains_tx, remains) = std::sync::mpsc::channel();
        let Opened { core, journal, supply, config_hash } = opened;
        let wired = maker.wire(parts, options.live, |mut core_parts, rest| {
            let (core, effects) = begin(core, &core_parts.facts, clock.now(), options);
            let thread = OrderThread::new(
                core,
                effects,
                config_hash,
                Arc::clone(&board),
                std::mem::take(&mut core_parts.traders),
                Box::new(journal),
                Box::new(*clock),
                core_parts.rings(from_main, rest),
            );
            OrderWorker { thread, remains: remains_tx }
        })?;
        let (ask, asked) = ring(COMMAND_RING);
        let (answers, status_answers) = ring(COMMAND_RING);
        let telemetry = Telemetry::new(names.clone(), clock.now(), Some(StatusPort { asked, answers }));
        let records = maker.records.0;
        let store = StoreThread::new(records, Some((tail, supply)), names.clone(), output.clone(), telemetry);
        let store = StoreWorker { thread: store, output };
        let db = DbThread::new(config.journal.dir.clone(), database, names, clock.now());
        let control = control::Server::bind(&config.control_socket).map_err(|error| text(&error))?;
        Ok(Self {
            hot: wired.hot,
            keepers: wired.keepers,
            db: (spec("db", &plan.db, &wakers.db), Box::new(DbWorker(db))),
            store: (spec("store", &plan.store, &wakers.store), Box::new(store)),
            commands,
            board,
            status: StatusEnds { ask, answers: status_answers },
            remains,
            clock: *clock,
            control,
            socket: config.control_socket.clone(),
            options,
            heartbeat_max_ms: u64::from(config.upkeep.heartbeat_max_ms),
            stop_deadline_ms: u64::from(config.upkeep.stop_deadline_s) * 1_000,
        })
    }

    /// Starts everything, waits for the end, and ends everything: producers before those who read them.
    pub fn run(self, signals: Signals) -> Result<u8, String> {
        let start = |(spec, worker): (ThreadSpec, Box<dyn Worker>)| {
            spawn(spec, self.clock, worker).map_err(|error| error.to_string())
        };
        let store = start(self.store)?;
        let db = start(self.db)?;
        let keepers = self.keepers.into_iter().map(&start).collect::<Result<Vec<_>, _>>()?;
        let hot = self.hot.into_iter().map(&start).collect::<Result<Vec<_>, _>>()?;
        tracing::info!(event_type = "STARTED", "Bot runtime started");
        let StatusEnds { mut ask, mut answers } = self.status;
        let mut watch = Watch {
            clock: self.clock,
            signals,
            notifier: Notifier::from_env().map_err(|error| error.to_string())?,
            control: self.control,
            commands: self.commands,
            board: self.board,
            handles: hot,
            may_block: keepers.into_iter().chain([db]).collect(),
            heartbeat_max_ms: self.heartbeat_max_ms,
            stop_deadline_ms: self.stop_deadline_ms,
            flatten_on_stop: self.options.flatten_on_stop,
            status: Box::new(move || status(&mut ask, &mut answers)),
        };
        let end = watch.run();
        let code = conclude(end, &watch.board);
        remove_socket(&self.socket);
        let Watch { handles, may_block, .. } = watch;
        finish(handles);
        for line in self.remains.try_iter().flatten() {
            tracing::error!(event_type = "SHUTDOWN", "left behind: {line}");
        }
        finish(may_block);
        if code == CLEAN {
            tracing::info!(event_type = "SHUTDOWN", "[SHUTDOWN] Clean exit, no pending orders");
        }
        finish(vec![store]);
        Ok(code)
    }
}

/// The exit code of an end (DESIGN §4).
fn conclude(end: End, board: &Board) -> u8 {
    let closed = board.live_orders() == 0 && board.lone_legs() == 0;
    if end == End::Clean && closed {
        return CLEAN;
    }
    let (orders, lone, held) = (board.live_orders(), board.lone_legs(), board.held_pairs());
    tracing::error!(
        event_type = "SHUTDOWN",
        "[SHUTDOWN] ended with {orders} orders open or unknown, {lone} lone legs, {held} pairs held; look at both venues"
    );
    SOMETHING_OPEN
}

fn finish(handles: Vec<Handle>) {
    handles.iter().for_each(Handle::stop);
    for handle in handles {
        let name = handle.name.clone();
        if !handle.join() {
            tracing::error!(event_type = "SHUTDOWN", thread = %name, "a thread ended by a panic");
        }
    }
}

/// The status object, asked of the telemetry; it answers within a few polls of `store`.
fn status(ask: &mut Tx<()>, answers: &mut Rx<Box<crate::telemetry::status::Status>>) -> serde_json::Value {
    while answers.pop().is_some() {}
    if ask.push(()).is_err() {
        return serde_json::Value::Null;
    }
    for _ in 0..100 {
        if let Some(status) = answers.pop() {
            return serde_json::to_value(status).unwrap_or_default();
        }
        super::watch::pause();
    }
    serde_json::Value::Null
}

/// The core, told everything that was asked at start.
fn begin(mut core: Core, facts: &[Fact], now: Nanos, options: RunOptions) -> (Core, Effects) {
    let mut effects = Effects::with_capacity(256);
    let mode = if !options.live || options.auto_resume { Mode::Active } else { Mode::Paused };
    let start = Start { epoch: core.epoch() + 1, mode, paper: !options.live };
    core.start(now, start, &mut effects);
    for fact in facts {
        core.step(now, Input::Fact(fact.clone()), &mut effects);
    }
    (core, effects)
}

fn names(config: &Config) -> Names {
    let pairs = config.settings.pairs.iter();
    let pairs = pairs.map(|pair| PairName { name: pair.name.clone(), venues: pair.venues }).collect();
    let venues = REGISTRY.iter();
    let venues = venues
        .map(|venue| VenueName { name: venue.name, title: venue.title, order_wire: venue.order_wire })
        .collect();
    Names { pairs, venues }
}

fn spec(name: impl Into<String>, place: &Place, waker: &Waker) -> ThreadSpec {
    ThreadSpec {
        name: name.into(),
        core: place.core,
        nice: place.nice,
        wait: place.wait,
        waker: waker.clone(),
    }
}

/// A thread name with the venue in it.
fn named(prefix: &str, venue: usize) -> String {
    format!("{prefix}:{}", REGISTRY[venue].name)
}

/// What the order thread is made of, gathered while the venues are wired.
#[derive(Default)]
struct OrderParts {
    traders: Vec<Box<dyn crate::venue::Trader>>,
    facts: Vec<Fact>,
    quotes: Vec<Rx<crate::types::Quote>>,
    answers: Vec<Rx<Answer>>,
    asks: Vec<Tx<Ask>>,
}

/// The order thread's ends of the rings that are not a venue's.
struct OrderRest {
    intents: Rx<crate::types::Intent>,
    exposures: Tx<crate::types::Exposure>,
    rules: Tx<(VenueId, PairId, MarketRules)>,
    records: Tx<Record>,
}

impl OrderParts {
    fn rings(self, commands: Rx<Command>, rest: OrderRest) -> OrderRings {
        OrderRings {
            quotes: self.quotes,
            intents: rest.intents,
            commands,
            answers: self.answers,
            asks: self.asks,
            exposures: rest.exposures,
            rules: rest.rules,
            records: rest.records,
        }
    }
}

/// Workers of the threads that trade, and of the keepers.
struct Wired {
    hot: Vec<(ThreadSpec, Box<dyn Worker>)>,
    keepers: Vec<(ThreadSpec, Box<dyn Worker>)>,
}

/// Puts threads together.
struct Maker<'a> {
    config: &'a Config,
    plan: &'a Plan,
    wakers: &'a Wakers,
    clock: &'a SystemClock,
    records: Records,
}

impl Maker<'_> {
    fn wire(
        &mut self,
        parts: Vec<Part>,
        live: bool,
        order: impl FnOnce(OrderParts, OrderRest) -> OrderWorker,
    ) -> Result<Wired, String> {
        let rules: Vec<Vec<(PairId, MarketRules)>> =
            parts.iter().map(|part| part.opening.rules.clone()).collect();
        let mut order_parts = OrderParts::default();
        let (mut readers, mut keepers, mut quotes): (Vec<Box<dyn Worker>>, _, _) =
            (Vec::new(), Vec::new(), Vec::new());
        for (index, mut part) in parts.into_iter().enumerate() {
            let rings = VenueRings::new(self.wakers, index);
            readers.push(Box::new(self.reader(
                index,
                part.feed,
                &rules,
                rings.md_spread.0,
                rings.md_order.0,
                rings.md_keeper.0,
                rings.keeper_md.1,
            )));
            let keeper_rings = KeeperRings {
                from_order: rings.order_keeper.1,
                to_order: rings.keeper_order.0,
                from_md: rings.md_keeper.1,
                to_md: rings.keeper_md.0,
                records: self.records.tx(),
            };
            keepers.push(self.keeper(index, part.desk, live, keeper_rings)?);
            quotes.push(rings.md_spread.1);
            for (pair, rules) in &part.opening.rules {
                part.trader.set_rules(*pair, rules);
            }
            order_parts.traders.push(part.trader);
            order_parts.facts.extend(part.opening.facts);
            order_parts.quotes.push(rings.md_order.1);
            order_parts.answers.push(rings.keeper_order.1);
            order_parts.asks.push(rings.order_keeper.0);
        }
        let (intents, from_spread) = waking(ring(INTENT_RING), &self.wakers.order);
        let (exposures, exposure) = waking(ring(EXPOSURE_RING), &self.wakers.spread);
        let (rules_tx, rules_rx) = ring(KEEPER_RING);
        let spread_rings =
            SpreadRings { quotes, exposure, rules: rules_rx, intents, records: self.records.tx() };
        let spread = self.spread(&rules, spread_rings);
        let records = self.records.tx();
        let rest = OrderRest { intents: from_spread, exposures, rules: rules_tx, records };
        let order = order(order_parts, rest);
        Ok(Wired { hot: self.place(readers, spread, order), keepers })
    }

    /// One OS thread each, or both readers and `spread` on one (DESIGN §1).
    fn place(
        &self,
        readers: Vec<Box<dyn Worker>>,
        spread: SpreadWorker,
        order: OrderWorker,
    ) -> Vec<(ThreadSpec, Box<dyn Worker>)> {
        let (plan, wakers) = (self.plan, self.wakers);
        let mut hot: Vec<(ThreadSpec, Box<dyn Worker>)> = Vec::new();
        if plan.shared {
            let mut workers = readers;
            workers.push(Box::new(spread));
            hot.push((spec("md+spread", &plan.spread, &wakers.spread), Box::new(Shared(workers))));
        } else {
            for (index, reader) in readers.into_iter().enumerate() {
                // A reader blocks in its socket, or spins: nobody wakes it.
                let waker = Waker::new().unwrap_or_else(|_| wakers.store.clone());
                hot.push((spec(named("md", index), &plan.md[index], &waker), reader));
            }
            hot.push((spec("spread", &plan.spread, &wakers.spread), Box::new(spread)));
        }
        hot.push((spec("order", &plan.order, &wakers.order), Box::new(order)));
        hot
    }

    #[expect(clippy::too_many_arguments, reason = "one reader, its feed and its ring ends")]
    fn reader(
        &mut self,
        index: usize,
        feed: Box<dyn crate::venue::Feed>,
        rules: &[Vec<(PairId, MarketRules)>],
        spread: Tx<crate::types::Quote>,
        order: Tx<crate::types::Quote>,
        ask: Tx<Ask>,
        answers: Rx<Answer>,
    ) -> BookWorker {
        let rings = BookRings { spread, order, ask, answers, records: self.records.tx() };
        let venue = VenueId(index as u8);
        let settings = &self.config.settings;
        let mut thread = BookThread::new(venue, feed, Box::new(*self.clock), settings, rings);
        for pair in settings.pairs.iter().filter(|pair| pair.venues.contains(&venue)) {
            let of = |leg: usize| {
                let listed = &rules[pair.venues[leg].index()];
                listed.iter().find(|(id, _)| *id == pair.id).map(|(_, rules)| rules)
            };
            if let (Some(a), Some(b)) = (of(0), of(1))
                && let Some((lot, min)) = common_steps([a, b])
            {
                thread.set_lot(pair.id, lot, min);
            }
        }
        BookWorker(thread)
    }

    fn spread(&self, rules: &[Vec<(PairId, MarketRules)>], rings: SpreadRings) -> SpreadWorker {
        let mut thread = SpreadThread::new(Box::new(*self.clock), &self.config.settings, rings);
        for (venue, listed) in rules.iter().enumerate() {
            for (pair, rules) in listed {
                thread.set_rules(VenueId(venue as u8), *pair, rules);
            }
        }
        SpreadWorker(thread)
    }

    fn keeper(
        &self,
        index: usize,
        desk: Box<dyn crate::venue::Desk>,
        live: bool,
        rings: KeeperRings,
    ) -> Result<(ThreadSpec, Box<dyn Worker>), String> {
        let md_blocks = !self.plan.shared && self.plan.md[index].wait == Wait::Block;
        let wires = wires(&self.config.venues[index], self.clock, md_blocks)?;
        let http = Box::new(wires.http());
        let venue = VenueId(index as u8);
        let clock = Box::new(*self.clock);
        let thread = KeeperThread::new(venue, desk, http, Box::new(wires), clock, live, rings);
        let spec = spec(named("keeper", index), &self.plan.keeper, &self.wakers.keepers[index]);
        Ok((spec, Box::new(KeeperWorker(thread))))
    }
}

/// The stages' values as workers: what each does in a cycle and at its end.
struct BookWorker(BookThread);
struct SpreadWorker(SpreadThread);
struct KeeperWorker(KeeperThread);
struct DbWorker(DbThread);

struct OrderWorker {
    thread: OrderThread,
    /// What stood in the way of a clean end, for `main`.
    remains: std::sync::mpsc::Sender<Vec<String>>,
}

struct StoreWorker {
    thread: StoreThread<Telemetry>,
    output: Output,
}

impl Worker for BookWorker {
    fn poll(&mut self, now: Nanos) -> bool {
        self.0.poll(now)
    }

    fn on_stop(&mut self, _now: Nanos) {
        self.0.close();
    }
}

impl Worker for SpreadWorker {
    fn poll(&mut self, now: Nanos) -> bool {
        self.0.poll(now)
    }
}

impl Worker for KeeperWorker {
    fn poll(&mut self, now: Nanos) -> bool {
        self.0.poll(now)
    }
}

impl Worker for OrderWorker {
    fn poll(&mut self, now: Nanos) -> bool {
        self.thread.poll(now)
    }

    fn on_stop(&mut self, _now: Nanos) {
        self.thread.close();
        // `main` may have given up listening; the lines are for it alone.
        let _ = self.remains.send(self.thread.core().remains());
    }
}

impl Worker for DbWorker {
    fn poll(&mut self, now: Nanos) -> bool {
        self.0.poll(now)
    }

    /// What is written by now is caught up; what is not is caught up at the next start.
    fn on_stop(&mut self, now: Nanos) {
        while self.0.poll(now) {}
    }
}

impl Worker for StoreWorker {
    fn poll(&mut self, now: Nanos) -> bool {
        self.thread.poll(now)
    }

    fn on_stop(&mut self, now: Nanos) {
        self.thread.finish(now);
        self.output.write(self.thread.observer().summary(now).line(now));
    }
}
