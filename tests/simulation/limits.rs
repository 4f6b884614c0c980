//! What an entry and a price must keep to (I5, I6, I8), judged by what the venues truly show and by when the engine
//! could know it: a fault of a moment ago is no broken promise, one that has lasted is.

use std::collections::VecDeque;

use bot4::config::Config;
use bot4::journal::entry::Totals;
use bot4::position::Ledger;
use bot4::types::record::Role;
use bot4::types::{Mode as Engine, Nanos, OrderSpec, Purpose, Usd};
use bot4_sim::core::Mode;

use super::run::SECOND;
use super::truth::Truth;
use super::violation::{Violation, broken};
use super::world::{State, Wire, World};

/// A mode or an offset that a venue shows for so long must be known: asked for every 5 s and every 30 s.
const MODE_KNOWN: u64 = 15 * SECOND;
const CLOCK_KNOWN: u64 = 65 * SECOND;
/// No order is priced further than this from the index, of 1,000: unwinds reach 20, books move and differ.
const PRICE_MAX_PERMILLE: i128 = 45;

/// Only a person takes the latch away, and only a person lets entries go on after Reducing: by this word (I10).
pub const fn lifted_by(from: Engine, to: Engine) -> Option<&'static str> {
    match (from, to) {
        (Engine::Halted, Engine::Active | Engine::Paused | Engine::Reducing) => Some("looked at it"),
        (Engine::Reducing, Engine::Active) => Some("operator"),
        _ => None,
    }
}

pub struct Limits {
    config: Config,
    /// When entries were decided, the last hour, and by which entries of the journal.
    entered: VecDeque<(u64, u64)>,
    /// Since when each venue takes no orders, and since when its clock is off; 0 = is not.
    closed_since: [u64; 2],
    off_since: [u64; 2],
    /// Realised result of the day `day`.
    day: u64,
    result: i64,
    /// The day's loss is over its limit and no halt has been seen since.
    pub over: bool,
}

impl Limits {
    pub fn new(config: Config) -> Self {
        let (closed_since, off_since) = ([0; 2], [0; 2]);
        Self { config, entered: VecDeque::new(), closed_since, off_since, day: 0, result: 0, over: false }
    }

    /// Keeps the time for which a venue has been in a state that forbids entries.
    pub fn look(&mut self, world: &World, venue: usize) {
        let since = |is: bool, since: u64| match (is, since) {
            (false, _) => 0,
            (true, 0) => world.now,
            (true, since) => since,
        };
        let stage = &world.venues[venue];
        // The order book has no word for a halt (sheet `paradex`, system state): refusals alone tell it.
        let untold = if venue == 1 { Mode::Halt } else { Mode::Ok };
        let closed = ![Mode::Ok, untold].contains(&stage.exchange().mode());
        self.closed_since[venue] = since(closed, self.closed_since[venue]);
        let off_ms = (stage.shown(world.us()) - world.us()).abs() / 1_000;
        let allowed = i64::from(self.config.settings.risk.clock_no_entries_ms) + 60;
        self.off_since[venue] = since(off_ms > allowed, self.off_since[venue]);
    }

    /// A run begins. It reads the clocks while the calls take their time and the venues' clocks stand still: only its
    /// next reading counts.
    pub fn begin(&mut self) {
        self.off_since = [0; 2];
    }

    /// An entry is decided now.
    pub fn entry(&mut self, world: &World, seq: u64, spec: &OrderSpec) -> Result<(), Violation> {
        for venue in 0..2 {
            self.venue_is_sound(world, venue, spec)?;
        }
        // From a quarter of an hour before the planned maintenance of 04:30 UTC until a minute after its beginning.
        let minute = world.now / (60 * SECOND) % 1_440;
        if (256..=269).contains(&minute) {
            return broken(format_args!("V4: entry {} in the planned maintenance", spec.id));
        }
        if self.over {
            return broken(format_args!(
                "I5: entry {} after the day lost {}",
                spec.id,
                Usd::from_raw(self.result)
            ));
        }
        if spec.id.leg > 0 {
            return Ok(());
        }
        self.entered.push_back((world.now, seq));
        while self.entered.front().is_some_and(|(at, _)| at + 3_600 * SECOND < world.now) {
            self.entered.pop_front();
        }
        let most = self.config.settings.risk.max_entries_per_hour as usize;
        if self.entered.len() > most {
            return broken(format_args!("I5: {} entries in an hour, at most {most}", self.entered.len()));
        }
        Ok(())
    }

    fn venue_is_sound(&self, world: &World, venue: usize, spec: &OrderSpec) -> Result<(), Violation> {
        let settings = &self.config.settings.venues[venue];
        let age_ms = (world.now - world.md_read[venue].min(world.now)) / 1_000_000;
        if age_ms > u64::from(settings.max_book_age_ms) + 5 {
            return broken(format_args!("I6: entry {} on a book of venue {venue}, {age_ms} ms old", spec.id));
        }
        // What a venue has just become is not known yet, and what disturbs the asking excuses.
        let lasts = |since: u64, known: u64| {
            since > 0 && world.now > since + known && world.disturbed_before(known, venue)
        };
        if lasts(self.closed_since[venue], MODE_KNOWN) {
            return broken(format_args!("I6: entry {} while venue {venue} takes no orders", spec.id));
        }
        if lasts(self.off_since[venue], CLOCK_KNOWN) {
            return broken(format_args!("I6: entry {} while the clock of venue {venue} is off", spec.id));
        }
        let up = |wanted: Role| {
            // A cut is learned at the next look.
            let lives = |wire: &Wire| wire.state != State::Cut || world.now < wire.cut_at + SECOND / 10;
            world.wires.iter().any(|wire| wire.venue == venue && wire.role == wanted && lives(wire))
        };
        // Where one connection is both, its spare is too.
        let both = venue == 1 && (up(Role::Orders) || up(Role::Spare));
        if !up(Role::Private) && !both {
            return broken(format_args!("I6: entry {} without the private stream of venue {venue}", spec.id));
        }
        Ok(())
    }

    /// I8: every order is priced near the market, and its window is short (rule 2).
    pub fn price(&self, world: &World, spec: &OrderSpec) -> Result<(), Violation> {
        if spec.window_ms > 2_000 {
            return broken(format_args!("rule 2: {} has a window of {} ms", spec.id, spec.window_ms));
        }
        let exchange = world.venues[spec.venue.index()].exchange();
        let symbols = &self.config.settings.pairs[spec.pair.index()];
        let leg = symbols.venues.iter().position(|venue| *venue == spec.venue).unwrap_or_default();
        let Some(market) = exchange.market(&symbols.symbols[leg]) else { return Ok(()) };
        let index = i128::from(exchange.ticker(market, 0).index);
        let off = (i128::from(spec.limit.raw()) - index).abs();
        let lied = world.now < world.lied_until + 60 * SECOND;
        // Where neither venue could tell a price since the start, that of hours ago is all there is to close a leg by.
        let blind = !world.wires.iter().any(|wire| wire.role == Role::MarketData);
        if off * 1_000 > index * PRICE_MAX_PERMILLE && !lied && !(blind && spec.reduce_only) {
            let far = off * 10_000 / index.max(1);
            return broken(format_args!("I8: {} ({:?}) is priced {far} bps off", spec.id, spec.purpose));
        }
        Ok(())
    }

    /// I5: what a venue holds over all pairs by our own orders, at the index.
    pub fn gross(&self, world: &World, venue: usize, truth: &Truth) -> Result<(), Violation> {
        let exchange = world.venues[venue].exchange();
        let mut gross = 0_i128;
        for (market, ours) in truth.ours(venue) {
            gross += i128::from(ours) * i128::from(exchange.ticker(market, 0).index) / 100_000_000;
        }
        let most = i128::from(self.config.settings.risk.max_gross_notional.raw());
        if gross > most * 102 / 100 {
            return broken(format_args!("I5: venue {venue} holds {gross}, at most {most}"));
        }
        Ok(())
    }

    /// A pair has been booked.
    pub fn closed(&mut self, ledger: &Ledger, at: Nanos) {
        let day = at.ms() / 86_400_000;
        if day != self.day {
            (self.day, self.result, self.over) = (day, 0, false);
        }
        self.result += ledger.total().raw();
        self.over |= -self.result > self.config.settings.risk.daily_loss.raw();
    }

    /// A run begins with the entry of this number: of what a power cut has taken beyond it the engine counts nothing.
    pub fn forget(&mut self, seq: u64) {
        self.entered.retain(|one| one.1 < seq);
    }

    /// A run that begins after a power cut tells what its journal still knows of the day.
    pub fn recount(&mut self, totals: &Totals) {
        (self.day, self.result) = (totals.day.into(), totals.day_result.raw());
    }

    /// Orders that shrink a position are named as such.
    pub fn flags(spec: &OrderSpec) -> Result<(), Violation> {
        let closes = matches!(spec.purpose, Purpose::Exit | Purpose::Unwind);
        if closes != spec.reduce_only {
            return broken(format_args!(
                "I9: {} is {:?}, reduce_only={}",
                spec.id, spec.purpose, spec.reduce_only
            ));
        }
        Ok(())
    }
}
