//! The rings and who gets which end; the stages' values put together, one per thread.

use super::plan::{Place, Plan, Together};
use super::workers::{BookWorker, KeeperWorker, OrderWorker, SignerWorker, SpreadWorker};
use super::{Part, wires};
use crate::book::market::common_steps;
use crate::book::thread::{BookRings, BookThread};
use crate::config::Config;
use crate::keeper::thread::{KeeperThread, Rings as KeeperRings};
use crate::order::signer::{SignerRings, SignerThread};
use crate::order::thread::{Rings as OrderRings, SignerEnds};
use crate::spread::thread::{SpreadRings, SpreadThread};
use crate::sys::clock::SystemClock;
use crate::sys::ring::{Rx, Tx, ring};
use crate::sys::thread::{Shared, ThreadSpec, Wait, Worker};
use crate::sys::waker::Waker;
use crate::types::limits::{
    COMMAND_RING, EXPOSURE_RING, INTENT_RING, KEEPER_RING, NEAR_RING, QUOTE_RING, READY_RING, RECORD_RING,
};
use crate::types::ready::Near;
use crate::types::report::{Ask, Fact};
use crate::types::{Command, Exposure, Intent, MarketRules, PairId, Quote, Record, VenueId};
use crate::venue::{Answer, Desk, Feed, Presigner, REGISTRY, Trader};

/// A thread to be started and what it runs.
pub type Task = (ThreadSpec, Box<dyn Worker>);

/// One waker per thread, made before its rings so that producers can use it.
pub(super) struct Wakers {
    pub(super) spread: Waker,
    pub(super) order: Waker,
    pub(super) signer: Waker,
    pub(super) keepers: Vec<Waker>,
    pub(super) store: Waker,
    pub(super) db: Waker,
    pub(super) disk: Waker,
    pub(super) alerts: Waker,
}

impl Wakers {
    pub(super) fn new(venues: usize, plan: &Plan) -> std::io::Result<Self> {
        let order = Waker::new()?;
        Ok(Self {
            // One thread sleeps once.
            spread: if plan.together == Together::All { order.clone() } else { Waker::new()? },
            order,
            signer: Waker::new()?,
            keepers: (0..venues).map(|_| Waker::new()).collect::<Result<_, _>>()?,
            store: Waker::new()?,
            db: Waker::new()?,
            disk: Waker::new()?,
            alerts: Waker::new()?,
        })
    }
}

/// The rings of one venue, both ends, until their threads take them.
pub(super) struct VenueRings {
    md_spread: (Tx<Quote>, Rx<Quote>),
    md_order: (Tx<Quote>, Rx<Quote>),
    md_keeper: (Tx<Ask>, Rx<Ask>),
    keeper_md: (Tx<Answer>, Rx<Answer>),
    order_keeper: (Tx<Ask>, Rx<Ask>),
    keeper_order: (Tx<Answer>, Rx<Answer>),
}

pub(super) fn waking<T>((tx, rx): (Tx<T>, Rx<T>), waker: &Waker) -> (Tx<T>, Rx<T>) {
    (tx.waking(waker), rx)
}

impl VenueRings {
    pub(super) fn new(wakers: &Wakers, venue: usize) -> Self {
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
pub(super) struct Records(pub(super) Vec<Rx<Record>>);

impl Records {
    fn tx(&mut self) -> Tx<Record> {
        let (tx, rx) = ring(RECORD_RING);
        self.0.push(rx);
        tx
    }
}

pub(super) fn spec(name: impl Into<String>, place: &Place, waker: &Waker) -> ThreadSpec {
    ThreadSpec {
        name: name.into(),
        core: place.core,
        realtime: place.realtime,
        nice: place.nice,
        wait: place.wait,
        waker: waker.clone(),
    }
}

/// A thread name with the venue in it.
pub(super) fn named(prefix: &str, venue: usize) -> String {
    format!("{prefix}:{}", REGISTRY[venue].name)
}

/// What the order thread is made of, gathered while the venues are wired.
#[derive(Default)]
pub(super) struct OrderParts {
    pub(super) traders: Vec<Box<dyn Trader>>,
    pub(super) facts: Vec<Fact>,
    pub(super) quotes: Vec<Rx<Quote>>,
    pub(super) answers: Vec<Rx<Answer>>,
    pub(super) asks: Vec<Tx<Ask>>,
    /// Ends of the rings with `signer`, where orders are signed ahead.
    pub(super) signer: Option<SignerEnds>,
}

/// The order thread's ends of the rings that are not a venue's.
pub(super) struct OrderRest {
    pub(super) intents: Rx<Intent>,
    pub(super) exposures: Tx<Exposure>,
    pub(super) rules: Tx<(VenueId, PairId, MarketRules)>,
    pub(super) records: Tx<Record>,
}

impl OrderParts {
    pub(super) fn rings(self, commands: Rx<Command>, rest: OrderRest) -> OrderRings {
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
pub(super) struct Wired {
    pub(super) hot: Vec<Task>,
    pub(super) keepers: Vec<Task>,
}

/// Puts threads together.
pub(super) struct Maker<'a> {
    pub(super) config: &'a Config,
    pub(super) plan: &'a Plan,
    pub(super) wakers: &'a Wakers,
    pub(super) clock: &'a SystemClock,
    pub(super) records: Records,
}

impl Maker<'_> {
    pub(super) fn wire(
        &mut self,
        parts: Vec<Part>,
        live: bool,
        order: impl FnOnce(OrderParts, OrderRest) -> OrderWorker,
    ) -> Result<Wired, String> {
        let rules: Vec<Vec<(PairId, MarketRules)>> =
            parts.iter().map(|part| part.opening.rules.clone()).collect();
        let mut order_parts = OrderParts::default();
        let mut presigners = Vec::new();
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
            presigners.extend(part.presigner);
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
        let (signer, near) = self.signer(&rules, presigners, &mut order_parts);
        let spread = self.spread(&rules, spread_rings, near);
        let records = self.records.tx();
        let rest = OrderRest { intents: from_spread, exposures, rules: rules_tx, records };
        let order = order(order_parts, rest);
        let mut hot = self.place(readers, spread, order);
        hot.extend(signer);
        Ok(Wired { hot, keepers })
    }

    /// One OS thread each, or several on one (DESIGN §1), polled in the order in which a tick passes through them.
    fn place(&self, readers: Vec<Box<dyn Worker>>, spread: SpreadWorker, order: OrderWorker) -> Vec<Task> {
        let (plan, wakers) = (self.plan, self.wakers);
        let on_order = spec("order", &plan.order, &wakers.order);
        let on_spread = |name| spec(name, &plan.spread, &wakers.spread);
        let (spread, order): (Box<dyn Worker>, Box<dyn Worker>) = (Box::new(spread), Box::new(order));
        let shared = |ends: Vec<Box<dyn Worker>>, readers: Vec<Box<dyn Worker>>| {
            Box::new(Shared(readers.into_iter().chain(ends).collect()))
        };
        match plan.together {
            Together::Nobody => {
                let mut hot: Vec<Task> = readers
                    .into_iter()
                    .enumerate()
                    .map(|(index, reader)| self.place_reader(index, reader))
                    .collect();
                hot.extend([(on_spread("spread"), spread), (on_order, order)]);
                hot
            }
            Together::Readers => {
                vec![(on_spread("md+spread"), shared(vec![spread], readers)), (on_order, order)]
            }
            Together::All => vec![(on_order, shared(vec![spread, order], readers))],
        }
    }

    fn place_reader(&self, index: usize, reader: Box<dyn Worker>) -> Task {
        // A reader blocks in its socket, or spins: nobody wakes it.
        let waker = Waker::new().unwrap_or_else(|_| self.wakers.store.clone());
        (spec(named("md", index), &self.plan.md[index], &waker), reader)
    }

    #[expect(clippy::too_many_arguments, reason = "one reader, its feed and its ring ends")]
    fn reader(
        &mut self,
        index: usize,
        feed: Box<dyn Feed>,
        rules: &[Vec<(PairId, MarketRules)>],
        spread: Tx<Quote>,
        order: Tx<Quote>,
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

    /// Where every venue can sign ahead: its thread, and the end of its ring that `spread` takes.
    fn signer(
        &self,
        rules: &[Vec<(PairId, MarketRules)>],
        presigners: Vec<Box<dyn Presigner>>,
        order: &mut OrderParts,
    ) -> (Option<Task>, Option<Tx<Near>>) {
        if presigners.len() < rules.len() {
            return (None, None);
        }
        let (near, from_spread) = waking(ring(NEAR_RING), &self.wakers.signer);
        let (to_order, ready) = ring(READY_RING);
        let (from_order, rules_rx) = waking(ring(KEEPER_RING), &self.wakers.signer);
        order.signer = Some(SignerEnds { ready, rules: from_order });
        let rings = SignerRings { near: from_spread, rules: rules_rx, ready: to_order };
        let clock = Box::new(*self.clock);
        let mut thread = SignerThread::new(clock, &self.config.settings, presigners, rings);
        for (venue, listed) in rules.iter().enumerate() {
            for (pair, rules) in listed {
                thread.set_rules(VenueId(venue as u8), *pair, rules);
            }
        }
        let spec = spec("signer", &self.plan.signer, &self.wakers.signer);
        (Some((spec, Box::new(SignerWorker(thread)))), Some(near))
    }

    fn spread(
        &self,
        rules: &[Vec<(PairId, MarketRules)>],
        rings: SpreadRings,
        near: Option<Tx<Near>>,
    ) -> SpreadWorker {
        let thread = SpreadThread::new(Box::new(*self.clock), &self.config.settings, rings);
        let mut thread = thread.with_signer(near);
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
        desk: Box<dyn Desk>,
        live: bool,
        rings: KeeperRings,
    ) -> Result<Task, String> {
        let md_blocks = self.plan.together == Together::Nobody && self.plan.md[index].wait == Wait::Block;
        let wires = wires(&self.config.venues[index], self.clock, md_blocks)?;
        let http = Box::new(wires.http());
        let venue = VenueId(index as u8);
        let clock = Box::new(*self.clock);
        let every = self.config.settings.upkeep.reconcile;
        let thread = KeeperThread::new(venue, desk, http, Box::new(wires), clock, every, live, rings);
        let spec = spec(named("keeper", index), &self.plan.keeper, &self.wakers.keepers[index]);
        Ok((spec, Box::new(KeeperWorker(thread))))
    }
}
