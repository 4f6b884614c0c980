//! The engine of one run, wired as `topology` wires it: the real threads as values, the real rings, and the
//! simulation's seams. A start does what the verb `run` does before any thread runs; a crash drops everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bot4::book::market::common_steps;
use bot4::book::thread::{BookRings, BookThread};
use bot4::config::Config;
use bot4::journal::Recovered;
use bot4::journal::entry::Entry;
use bot4::journal::recover::{can_be_salvaged, readable};
use bot4::keeper::thread::{KeeperThread, Rings as KeeperRings};
use bot4::order::board::Board;
use bot4::order::core::Core;
use bot4::order::signer::{SignerRings, SignerThread};
use bot4::order::thread::{OrderThread, Rings as OrderRings, SignerEnds};
use bot4::spread::thread::{SpreadRings, SpreadThread};
use bot4::store::{Names, Observer, PairName, VenueName};
use bot4::sys::clock::Clock;
use bot4::sys::ring::{Rx, Tx, ring};
use bot4::telemetry::alert::Alert;
use bot4::telemetry::alerts::AlertWatch;
use bot4::telemetry::watch::Telemetry;
use bot4::topology::startup::{Opening, begin, open};
use bot4::topology::{RunOptions, next_epoch};
use bot4::types::limits::{ALERT_RING, READY_RING, RECORD_RING};
use bot4::types::order::Reason;
use bot4::types::ready::Near;
use bot4::types::report::{Ask, Fact};
use bot4::types::{Command, MarketRules, Mode, Nanos, PairId, Quote, Record, VenueId};
use bot4::venue::{Answer, Desk, Feed, Presigner, REGISTRY, Trader};

use super::disk::SimJournal;
use super::options::Options;
use super::seams::{ColdClock, SimConnector, SimHttp};
use super::setting::setup;
use super::world::{Shared, lock};

/// Messages of a keeper on their way: it blocks while it works, so that what it says is seen only when it is done.
pub struct Pump {
    from: Rx<Answer>,
    to: Tx<Answer>,
    held: Option<Answer>,
}

impl Pump {
    fn new(depth: usize) -> (Tx<Answer>, Self, Rx<Answer>) {
        let (tx, from) = ring(depth);
        let (to, rx) = ring(depth);
        (tx, Self { from, to, held: None }, rx)
    }

    /// Moves what there is room for; true when anything moved.
    pub fn run(&mut self) -> bool {
        let mut moved = false;
        while let Some(answer) = self.held.take().or_else(|| self.from.pop()) {
            match self.to.push(answer) {
                Ok(()) => moved = true,
                Err(answer) => {
                    self.held = Some(answer);
                    break;
                }
            }
        }
        moved
    }
}

/// One keeper with its clock and the ways out of it.
pub struct Keeper {
    pub thread: KeeperThread,
    pub clock: ColdClock,
    pub pumps: [Pump; 2],
}

pub struct Engine {
    pub md: Vec<BookThread>,
    pub spread: SpreadThread,
    pub order: OrderThread,
    /// Where orders are signed ahead.
    pub signer: Option<SignerThread>,
    pub keepers: Vec<Keeper>,
    pub commands: Tx<Command>,
    records: Vec<Rx<Record>>,
    pub telemetry: Telemetry,
    pub alerts: Rx<Alert>,
    pub epoch: u32,
}

/// Why an engine did not start, and how long it tried, ns.
pub struct NotStarted {
    pub why: String,
    pub after: u64,
    /// The journal cannot be believed: a person has to look.
    pub damaged: bool,
}

struct Part {
    feed: Box<dyn Feed>,
    trader: Box<dyn Trader>,
    presigner: Option<Box<dyn Presigner>>,
    desk: Box<dyn Desk>,
    opening: Opening,
}

/// What the verb `run` does until its threads start; also says how long that took, ns.
pub fn start(world: &Shared, config: &Config, options: &Options) -> Result<(Engine, u64), NotStarted> {
    let spent = Arc::new(AtomicU64::new(0));
    let clock = ColdClock { hand: lock(world).clock.clone(), spent: Arc::clone(&spent) };
    let failed = |why: String, damaged| NotStarted { why, after: spent.load(Ordering::Relaxed), damaged };
    let mut parts = Vec::new();
    for (index, venue) in REGISTRY.iter().enumerate() {
        let part = open_venue(world, config, options.ahead, index, &clock);
        parts.push(part.map_err(|why| failed(format!("{}: {why}", venue.title), false))?);
    }
    let (found, damage) = read_journal(world, &clock).map_err(|why| failed(why, true))?;
    if lock(world).dead {
        return Err(failed("killed".into(), false));
    }
    let mut core = Core::new(config.settings.clone());
    found.entries.iter().for_each(|entry| core.recover(entry));
    damage.iter().for_each(|entry| core.recover(entry));
    core.end_recovery(clock.now());
    if found.entries.is_empty() {
        // Whoever lost its journal begins no sooner than the next second.
        let into = clock.now().0 % 1_000_000_000;
        spent.fetch_add(1_000_000_000 - into, Ordering::Relaxed);
    }
    let now = clock.now();
    let epoch = next_epoch(core.epoch(), now);
    let opening = core.snapshot(epoch, 0, now);
    {
        let mut world = lock(world);
        if !world.effect("open journal") {
            return Err(failed("killed".into(), false));
        }
        world.disk.start(&found, &opening, now.0);
        world.note("start", format_args!("epoch {epoch}, {} entries", found.entries.len()));
    }
    let rules = parts.iter().map(|part| part.opening.rules.clone()).collect();
    let mut wiring = Wiring { world, config, options, rules, ends: Ends::default() };
    let venues = parts.into_iter().enumerate().map(|(index, part)| wiring.venue(index, part)).collect();
    let engine = wiring.rest((core, epoch, now), venues);
    Ok((engine, spent.load(Ordering::Relaxed)))
}

/// What the journal holds; of a damaged one what can be read, and the latch that goes with it.
fn read_journal(world: &Shared, clock: &ColdClock) -> Result<(Recovered, Option<Entry>), String> {
    let mut world = lock(world);
    let error = match world.disk.recover() {
        Ok(found) => return Ok((found, None)),
        Err(error) if can_be_salvaged(&error) => error,
        Err(error) => return Err(error.to_string()),
    };
    world.note("start", format_args!("{error}"));
    world.tags.hit("journal damaged");
    let entries = readable(&world.disk).map_err(|error| error.to_string())?;
    world.disk.put_away();
    let why = Reason::cut("the journal is damaged: compare both venues");
    let latch = Entry::Mode { mode: Mode::Halted, why, at: clock.now() };
    Ok((Recovered { entries, ..Recovered::default() }, Some(latch)))
}

fn held_before(world: &Shared, config: &Config) -> Option<Core> {
    let world = lock(world);
    let entries =
        world.disk.recover().map_or_else(|_| readable(&world.disk).ok(), |found| Some(found.entries))?;
    let mut core = Core::new(config.settings.clone());
    entries.iter().for_each(|entry| core.recover(entry));
    core.holds_something().then_some(core)
}

fn open_venue(
    world: &Shared,
    config: &Config,
    ahead: bool,
    index: usize,
    clock: &ColdClock,
) -> Result<Part, String> {
    let (section, venue) = (&config.venues[index], &REGISTRY[index]);
    let setup = setup(config, index, lock(world).now / 1_000_000);
    let text = |error: bot4::venue::SetupError| error.to_string();
    let feed = (venue.feed)(&setup).map_err(text)?;
    let mut desk = (venue.desk)(&setup).map_err(text)?;
    let trader = (venue.trader)(&setup).map_err(text)?;
    let presigner = ahead.then(|| (venue.presigner)(&setup).map_err(text)).transpose()?;
    let mut http = SimHttp { world: Arc::clone(world), venue: index, clock: clock.clone() };
    let leverage = config.settings.risk.leverage;
    let opening = open(section.id, desk.as_mut(), &mut http, clock, true, leverage);
    let opening = match opening {
        // As where production has asked often enough.
        Err(error) => {
            let held = held_before(world, config).filter(|_| !lock(world).dead);
            let held = held.ok_or_else(|| error.to_string())?;
            let world = &mut *lock(world);
            world.tags.hit("begun without a venue");
            world.note("start", format_args!("without {}: {error}", venue.title));
            Opening::unanswered(section.id, &held)
        }
        Ok(opening) => opening,
    };
    let opening = opening.with_key(section.id, desk.key_life());
    Ok(Part { feed, trader, presigner, desk, opening })
}

/// Ends of the rings that lead to the threads between the venues, gathered while the venues are wired.
#[derive(Default)]
struct Ends {
    traders: Vec<Box<dyn Trader>>,
    presigners: Vec<Box<dyn Presigner>>,
    facts: Vec<Fact>,
    to_spread: Vec<Rx<Quote>>,
    quotes: Vec<Rx<Quote>>,
    answers: Vec<Rx<Answer>>,
    asks: Vec<Tx<Ask>>,
    records: Vec<Rx<Record>>,
}

impl Ends {
    fn record(&mut self) -> Tx<Record> {
        let (tx, rx) = ring(RECORD_RING);
        self.records.push(rx);
        tx
    }
}

/// The wiring of one start.
struct Wiring<'a> {
    world: &'a Shared,
    config: &'a Config,
    options: &'a Options,
    rules: Vec<Vec<(PairId, MarketRules)>>,
    ends: Ends,
}

impl Wiring<'_> {
    fn venue(&mut self, index: usize, mut part: Part) -> (BookThread, Keeper) {
        let (venue, depth) = (VenueId(index as u8), self.options.rings);
        let (settings, hand) = (&self.config.settings, lock(self.world).clock.clone());
        let (md_spread, from_md) = ring(depth.quote);
        let (md_order, md_quotes) = ring(depth.quote);
        let (md_keeper, from_reader) = ring(depth.command);
        let (order_keeper, from_order) = ring(depth.keeper);
        let (to_md, md_pump, keeper_md) = Pump::new(depth.command);
        let (to_order, order_pump, keeper_order) = Pump::new(depth.keeper);
        let (spread, order, records) = (md_spread, md_order, self.ends.record());
        let rings = BookRings { spread, order, ask: md_keeper, answers: keeper_md, records };
        let mut reader = BookThread::new(venue, part.feed, Box::new(hand.clone()), settings, rings);
        set_lots(&mut reader, self.config, venue, &self.rules);
        let clock = ColdClock { hand, spent: Arc::default() };
        let records = self.ends.record();
        let rings = KeeperRings { from_order, to_order, from_md: from_reader, to_md, records };
        let world = || Arc::clone(self.world);
        let thread = KeeperThread::new(
            venue,
            part.desk,
            Box::new(SimHttp { world: world(), venue: index, clock: clock.clone() }),
            Box::new(SimConnector { world: world(), venue: index, clock: clock.clone() }),
            Box::new(clock.clone()),
            settings.upkeep.reconcile,
            true,
            rings,
        );
        for (pair, rules) in &part.opening.rules {
            part.trader.set_rules(*pair, rules);
        }
        self.ends.traders.push(part.trader);
        self.ends.presigners.extend(part.presigner);
        self.ends.facts.extend(part.opening.facts);
        self.ends.to_spread.push(from_md);
        self.ends.quotes.push(md_quotes);
        self.ends.answers.push(keeper_order);
        self.ends.asks.push(order_keeper);
        (reader, Keeper { thread, clock, pumps: [md_pump, order_pump] })
    }

    /// The thread that signs ahead, its ends that `order` takes, and the one that `spread` takes.
    fn signer(&mut self) -> (Option<SignerThread>, Option<SignerEnds>, Option<Tx<Near>>) {
        let presigners = std::mem::take(&mut self.ends.presigners);
        if presigners.is_empty() {
            return (None, None, None);
        }
        let depth = self.options.rings;
        let (near, from_spread) = ring(depth.command);
        let (to_order, ready) = ring(READY_RING);
        let (from_order, rules) = ring(depth.keeper);
        let rings = SignerRings { near: from_spread, rules, ready: to_order };
        let hand = lock(self.world).clock.clone();
        let mut thread = SignerThread::new(Box::new(hand), &self.config.settings, presigners, rings);
        for (venue, listed) in self.rules.iter().enumerate() {
            listed.iter().for_each(|(pair, rules)| thread.set_rules(VenueId(venue as u8), *pair, rules));
        }
        (Some(thread), Some(SignerEnds { ready, rules: from_order }), Some(near))
    }

    fn rest(mut self, (core, epoch, now): (Core, u32, Nanos), venues: Vec<(BookThread, Keeper)>) -> Engine {
        let (settings, depth) = (&self.config.settings, self.options.rings);
        let hand = lock(self.world).clock.clone();
        let (intents, from_spread) = ring(depth.intent);
        let (exposures, exposure) = ring(depth.exposure);
        let (rules_tx, rules_rx) = ring(depth.keeper);
        let (quotes, records) = (std::mem::take(&mut self.ends.to_spread), self.ends.record());
        let rings = SpreadRings { quotes, exposure, rules: rules_rx, intents, records };
        let (signer, signer_ends, near) = self.signer();
        let mut spread = SpreadThread::new(Box::new(hand.clone()), settings, rings).with_signer(near);
        for (venue, listed) in self.rules.iter().enumerate() {
            listed.iter().for_each(|(pair, rules)| spread.set_rules(VenueId(venue as u8), *pair, rules));
        }
        let (commands, from_main) = ring(depth.command);
        let run = RunOptions { live: true, auto_resume: self.options.auto_resume, flatten_on_stop: false };
        let (core, effects) = begin(core, epoch, &self.ends.facts, now, run, false);
        let records = self.ends.record();
        let Ends { traders, quotes, answers, asks, records: all_records, .. } = self.ends;
        let rings = OrderRings {
            quotes,
            intents: from_spread,
            commands: from_main,
            answers,
            asks,
            exposures,
            rules: rules_tx,
            records,
        };
        let journal = Box::new(SimJournal(Arc::clone(self.world)));
        let board = Arc::new(Board::default());
        let order = OrderThread::new(core, effects, 0, board, traders, journal, Box::new(hand), rings)
            .with_signer(signer_ends);
        let (raise, alerts) = ring(ALERT_RING);
        let telemetry = Telemetry::new(names(self.config), now, None)
            .with_alerts(AlertWatch::new(self.config.alerts.rules, now), raise);
        let (md, keepers) = venues.into_iter().unzip();
        Engine {
            md,
            spread,
            order,
            signer,
            keepers,
            commands,
            records: all_records,
            telemetry,
            alerts,
            epoch,
        }
    }
}

fn set_lots(reader: &mut BookThread, config: &Config, venue: VenueId, rules: &[Vec<(PairId, MarketRules)>]) {
    for pair in config.settings.pairs.iter().filter(|pair| pair.venues.contains(&venue)) {
        let of = |leg: usize| {
            let listed = &rules[pair.venues[leg].index()];
            listed.iter().find(|(id, _)| *id == pair.id).map(|(_, rules)| rules)
        };
        if let (Some(a), Some(b)) = (of(0), of(1))
            && let Some((lot, min)) = common_steps([a, b])
        {
            reader.set_lot(pair.id, lot, min);
        }
    }
}

impl Engine {
    /// The `store` thread's half: every record is shown to the telemetry. Entries come by [`Engine::tell_entry`].
    pub fn drain_records(&mut self, mut each: impl FnMut(&Record)) {
        for ring in &mut self.records {
            while let Some(record) = ring.pop() {
                self.telemetry.on_record(&record);
                each(&record);
            }
        }
    }

    pub fn tell_entry(&mut self, entry: &Entry) {
        self.telemetry.on_entry(entry);
    }
}

fn names(config: &Config) -> Names {
    let pairs = config.settings.pairs.iter();
    let pairs = pairs.map(|pair| PairName { name: pair.name.clone(), venues: pair.venues }).collect();
    let venues = REGISTRY.iter().map(|venue| VenueName {
        name: venue.name,
        title: venue.title,
        order_wire: venue.order_wire,
    });
    Names { pairs, venues: venues.collect() }
}
