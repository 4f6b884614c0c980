//! `bot4 flatten`: a separate way to take everything of ours off both venues, for when the engine hangs. It halts the
//! engine by the file `HALT`, asks nothing of it, takes no lock of it and uses connections, a journal, an epoch and
//! nonces of its own; the engine's journal is read only for what is ours. Truth is what the venues say: it ends well
//! only when both show nothing of ours.

mod plan;
mod station;
mod trail;

use std::io::Write;
use std::time::Duration;

use super::output::plain;
use super::{Failure, FlattenArgs, SecretSource, exit};
use crate::config::{Config, TradingMode};
use crate::control::HaltFile;
use crate::store::Redactor;
use crate::sys::clock::{Clock, SystemClock};
use crate::telemetry::watch::UNLATCH_COMMAND;
use crate::types::limits::PAIRS_MAX;
use crate::types::report::OpenOrder;
use crate::types::settings::PairSettings;
use crate::types::{BookUpdate, ClientId, Nanos, OrderSpec, PairId, Purpose, Qty, Side, VenueId};
use plan::Offer;
use station::{Reading, Station, pause};
use trail::Trail;

/// Pause between two rounds.
const ROUND_EVERY: Duration = Duration::from_millis(200);

/// The verb. Exit: 0 only when both venues show nothing of ours.
pub(super) fn run(config: &Config, args: &FlattenArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    if config.mode == TradingMode::Paper {
        return Err(Failure::bad_config("mode: got \"paper\", wanted \"live\": paper trading holds nothing"));
    }
    let clock = SystemClock::start();
    let begun = clock.now();
    let mut say = Say { out, redactor: Redactor::default() };
    let say = &mut say;
    let halt = HaltFile::of(&config.journal.dir);
    match halt.write("bot4 flatten") {
        Ok(()) => say.line(&format!("{} is there: the engine opens nothing", halt.path().display()))?,
        Err(error) => say.line(&format!("{}: {error}: stop the engine by hand", halt.path().display()))?,
    }
    let credentials = SecretSource::of(&args.env).load(config.mode).map_err(Failure::bad_config)?;
    say.redactor = Redactor::new(credentials.venues.iter().flat_map(|secrets| secrets.0.values()));
    let trail = Trail::open(config, clock.now(), say)?;
    let mut secrets = credentials.venues.into_iter();
    let mut stations = Vec::new();
    for section in &config.venues {
        let secrets = secrets.next().unwrap_or_default();
        stations.push(Station::new(config, section, secrets, clock).map_err(Failure::bad_config)?);
    }
    let mut flatten = Flatten {
        config,
        clock,
        legs: Default::default(),
        readings: stations.iter().map(|_| Err("not asked".to_owned())).collect(),
        stations,
        trail,
        told: Vec::new(),
    };
    let limit_ms = u64::from(args.deadline_s) * 1_000;
    while !flatten.is_over(begun, say)? && clock.now().ms_since(begun) < limit_ms {
        pause(ROUND_EVERY);
    }
    flatten.stations.iter_mut().for_each(Station::close);
    flatten.conclude(begun, say)
}

/// What a person reads: without secrets, and without what would move a terminal's cursor.
struct Say<'a> {
    out: &'a mut dyn Write,
    redactor: Redactor,
}

impl Say<'_> {
    fn line(&mut self, text: &str) -> Result<(), Failure> {
        let clean = self.clean(text);
        Ok(writeln!(self.out, "{clean}")?)
    }

    fn clean(&self, text: &str) -> String {
        plain(&self.redactor.clean(text.to_owned()))
    }
}

/// Everything of one run.
struct Flatten<'a> {
    config: &'a Config,
    clock: SystemClock,
    stations: Vec<Station>,
    /// By venue: what it last said, or why it did not.
    readings: Vec<Result<Reading, String>>,
    legs: [[Leg; 2]; PAIRS_MAX],
    trail: Trail,
    /// Troubles already told, so that each is told once.
    told: Vec<String>,
}

/// What is kept of one leg between the rounds.
#[derive(Clone, Debug, Default)]
struct Leg {
    /// The part of the venue's position that is not ours, as of the first reading.
    foreign: Option<Qty>,
    /// What was held when the last close left, until the next reading tells whether it filled.
    closing: Option<Qty>,
    /// Closes that filled nothing: the band widens with them.
    misses: usize,
    /// Why the last close was not taken.
    refused: Option<String>,
}

impl Flatten<'_> {
    /// Nothing of ours is left, and no order of the engine can still bring something.
    fn is_over(&mut self, begun: Nanos, say: &mut Say<'_>) -> Result<bool, Failure> {
        Ok(self.round(say)? && self.trail.is_settled(begun, self.clock.now()))
    }

    /// One look at both venues and one close of each pair. True when both show nothing of ours.
    fn round(&mut self, say: &mut Say<'_>) -> Result<bool, Failure> {
        for venue in 0..self.stations.len() {
            let reading = self.stations[venue].read();
            self.readings[venue] = reading;
            if let Err(why) = &self.readings[venue] {
                let text = format!("{}: {why}", self.stations[venue].title);
                self.tell(text, say)?;
            }
        }
        let config = self.config;
        self.trail.catch_up(&config.settings);
        for venue in 0..self.stations.len() {
            self.cancel_ours(venue, say)?;
        }
        for pair in &config.settings.pairs {
            self.close_pair(pair, say)?;
        }
        Ok(self.readings.iter().all(Result::is_ok) && self.remains().is_empty())
    }

    fn cancel_ours(&mut self, venue: usize, say: &mut Say<'_>) -> Result<(), Failure> {
        let Ok(reading) = &self.readings[venue] else { return Ok(()) };
        let ours: Vec<OpenOrder> =
            reading.orders.iter().filter(|order| self.trail.is_ours(order)).copied().collect();
        for order in ours {
            let station = &mut self.stations[venue];
            let nonce = self.trail.next_nonce();
            let title = station.title;
            let text = match station.cancel(&order, nonce) {
                Ok(()) => format!("{title}: order {} cancelled", order.venue_id),
                Err(why) => format!("{title}: order {} not cancelled: {why}", order.venue_id),
            };
            self.tell(text, say)?;
        }
        Ok(())
    }

    /// What is ours on each leg by the last reading; `None` where the venue did not answer.
    fn held(&mut self, pair: &PairSettings) -> [Option<Qty>; 2] {
        [0, 1].map(|leg| {
            let reading = self.readings[pair.venues[leg].index()].as_ref().ok()?;
            let position = reading.account.positions[pair.id.index()].qty;
            let state = &mut self.legs[pair.id.index()][leg];
            let explained = self.trail.explained(pair.id, leg, self.clock.now());
            let dedicated = self.config.settings.dedicated_account;
            let foreign = *state.foreign.get_or_insert_with(|| plan::foreign(position, explained, dedicated));
            Some(position - foreign)
        })
    }

    fn close_pair(&mut self, pair: &PairSettings, say: &mut Say<'_>) -> Result<(), Failure> {
        let held = self.held(pair);
        let some = held.iter().flatten().any(|qty| !qty.is_zero());
        for venue in pair.venues.iter().filter(|_| some) {
            // A venue that tells no rules cannot be closed at; the other one does not wait for it.
            if let Err(why) = self.stations[venue.index()].prepare() {
                self.tell(format!("{}: {why}", self.stations[venue.index()].title), say)?;
            }
        }
        for (state, now) in self.legs[pair.id.index()].iter_mut().zip(held) {
            if let (Some(before), Some(now)) = (state.closing, now) {
                state.closing = None;
                state.misses = if now == before { state.misses + 1 } else { 0 };
            }
        }
        let dust = [0, 1].map(|leg| {
            let rules = self.stations[pair.venues[leg].index()].rules(pair.id);
            rules.map_or(Qty::ZERO, |rules| rules.min_qty.max(rules.lot))
        });
        let wanted = plan::wanted(held, self.trail.believed(pair.id), dust);
        let mut offers = [None, None];
        for leg in 0..2 {
            let Some(position) = held[leg].filter(|_| !wanted[leg].is_zero()) else { continue };
            let side = if position.raw() > 0 { Side::Sell } else { Side::Buy };
            match self.offer(pair, leg, side) {
                Ok(offer) => offers[leg] = Some((side, offer)),
                Err(why) => {
                    let title = self.stations[pair.venues[leg].index()].title;
                    // Both legs leave together or not at all; alone goes only what is one leg too many.
                    return self.tell(format!("{}: {title}: {why}", pair.name), say);
                }
            }
        }
        let clips = self.clips(pair, wanted, offers);
        let mut specs = [None, None];
        self.trail.begin_intent();
        for leg in 0..2 {
            if let (Some((side, offer)), true) = (offers[leg], !clips[leg].is_zero()) {
                specs[leg] = Some(self.spec(pair, leg, side, clips[leg], offer));
            }
        }
        self.send(pair, specs, held, say)
    }

    /// The next clip of each leg; where both leave together, the smaller of the two.
    fn clips(&self, pair: &PairSettings, wanted: [Qty; 2], offers: [Option<(Side, Offer)>; 2]) -> [Qty; 2] {
        let clip = |leg: usize, wanted: Qty| {
            let rules = self.stations[pair.venues[leg].index()].rules(pair.id);
            let offered = offers[leg].zip(rules);
            offered.map_or(Qty::ZERO, |((_, offer), rules)| plan::clip(wanted, offer, rules))
        };
        let alone = [0, 1].map(|leg| clip(leg, wanted[leg]));
        if wanted.iter().any(|qty| qty.is_zero()) {
            return alone;
        }
        let whole = [0, 1].map(|leg| alone[leg] >= wanted[leg]) == [true; 2];
        let both = alone[0].min(alone[1]);
        if whole { alone } else { [clip(0, both), clip(1, both)] }
    }

    fn offer(&mut self, pair: &PairSettings, leg: usize, side: Side) -> Result<Offer, String> {
        let band = plan::band(self.legs[pair.id.index()][leg].misses, &self.config.settings);
        let station = &mut self.stations[pair.venues[leg].index()];
        station.connect()?;
        let tick = station.rules(pair.id).ok_or("the venue lists no such market")?.tick;
        let book: BookUpdate = station.book(pair.id)?;
        plan::offer(&book, side, band, tick).ok_or_else(|| "nobody trades the other way".to_owned())
    }

    fn spec(&mut self, pair: &PairSettings, leg: usize, side: Side, qty: Qty, offer: Offer) -> OrderSpec {
        OrderSpec {
            id: ClientId { epoch: self.trail.epoch(), seq: self.trail.seq(), leg: leg as u8 },
            venue: pair.venues[leg],
            pair: pair.id,
            side,
            purpose: Purpose::Unwind,
            qty,
            limit: offer.limit,
            reduce_only: true,
            signed_ms: self.stations[pair.venues[leg].index()].signing_ms(),
            nonce: self.trail.next_nonce(),
            window_ms: self.config.settings.execution.receive_window_ms,
        }
    }

    /// Writes the closes ahead, sends them and waits until each has its outcome.
    fn send(
        &mut self,
        pair: &PairSettings,
        specs: [Option<OrderSpec>; 2],
        held: [Option<Qty>; 2],
        say: &mut Say<'_>,
    ) -> Result<(), Failure> {
        if specs.iter().all(Option::is_none) {
            return Ok(());
        }
        let before = held.map(Option::unwrap_or_default);
        self.trail.write_intent(pair.id, specs, before, self.clock.now());
        for spec in specs.into_iter().flatten() {
            let station = &mut self.stations[spec.venue.index()];
            let (side, qty, limit) = (spec.side, spec.qty, spec.limit);
            say.line(&format!("{}: {side:?} {qty} at {}, limit {limit}", pair.name, station.title))?;
            station.send(spec);
            self.trail.write_sent(spec.id, self.clock.now());
        }
        while !self.stations.iter_mut().all(Station::is_done) {
            pause(Duration::from_millis(2));
        }
        for (leg, spec) in specs.into_iter().enumerate() {
            let Some(spec) = spec else { continue };
            let refused = self.stations[spec.venue.index()].outcome();
            let state = &mut self.legs[pair.id.index()][leg];
            state.closing = held[leg];
            if let Some(why) = &refused {
                say.line(&format!("{}: {} refused: {why}", pair.name, title(spec.venue)))?;
            }
            state.refused = refused;
        }
        Ok(())
    }

    /// What both venues still show of ours, a line each.
    fn remains(&mut self) -> Vec<String> {
        let config = self.config;
        let mut lines = Vec::new();
        for (venue, reading) in self.readings.iter().enumerate() {
            let name = self.stations[venue].title;
            match reading {
                Err(why) => lines.push(format!("{name}: not read ({why}); look there by hand")),
                Ok(reading) => {
                    let ours = reading.orders.iter().filter(|order| self.trail.is_ours(order)).count();
                    if ours > 0 {
                        lines.push(format!("{name}: {ours} orders of ours are open"));
                    }
                    let foreign = reading.account.foreign_markets;
                    if foreign > 0 && config.settings.dedicated_account {
                        lines.push(format!("{name}: positions in {foreign} markets that no pair names"));
                    }
                }
            }
        }
        for pair in &config.settings.pairs {
            let held = self.held(pair);
            let believed = self.trail.believed(pair.id);
            for leg in 0..2 {
                let (name, title) = (&pair.name, title(pair.venues[leg]));
                let refused = self.legs[pair.id.index()][leg].refused.as_ref();
                let why = refused.map(|why| format!(" (the last close was refused: {why})"));
                match held[leg] {
                    Some(qty) if qty.is_zero() => {}
                    Some(qty) => {
                        lines.push(format!("{name}: {title} holds {qty}{}", why.unwrap_or_default()));
                    }
                    None if believed[leg].is_zero() => {}
                    None => lines.push(format!("{name}: {title} holds {} by the journal", believed[leg])),
                }
            }
        }
        lines
    }

    fn conclude(mut self, begun: Nanos, say: &mut Say<'_>) -> Result<u8, Failure> {
        let took = self.clock.now().ms_since(begun);
        let remains = self.remains();
        if remains.is_empty() {
            self.trail.write_end(self.clock.now());
            let all = if self.config.settings.dedicated_account { "nothing" } else { "nothing of ours" };
            say.line(&format!("both venues hold {all} and no order is open; it took {took} ms"))?;
            say.line(&format!("the engine stays halted; to re-arm: {UNLATCH_COMMAND}"))?;
            return Ok(exit::OK);
        }
        for line in &remains {
            say.line(&format!("remains: {line}"))?;
        }
        let line = format!("after {took} ms not flat: {}; run it again or close by hand", remains.join("; "));
        Err(Failure { code: exit::SOMETHING_OPEN, line: say.clean(&line) })
    }

    fn tell(&mut self, text: String, say: &mut Say<'_>) -> Result<(), Failure> {
        if !self.told.contains(&text) {
            say.line(&text)?;
            self.told.push(text);
        }
        Ok(())
    }
}

fn title(venue: VenueId) -> &'static str {
    super::venue_of(venue).map_or("?", |venue| venue.title)
}

impl Trail {
    /// Our books of a pair by the engine's journal, per leg.
    fn believed(&self, pair: PairId) -> [Qty; 2] {
        self.pair(pair).map_or([Qty::ZERO; 2], |pair| [pair.book.legs[0].qty, pair.book.legs[1].qty])
    }

    fn explained(&self, pair: PairId, leg: usize, now: Nanos) -> [Qty; 2] {
        self.pair(pair).map_or([Qty::ZERO; 2], |pair| plan::explained(pair, leg, now))
    }
}
