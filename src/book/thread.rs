//! The thread `md:<venue>` as a value: it reads one public stream, keeps its books and sends quotes. Run by
//! `topology`. It never sends an order, never waits for a reader of its rings, and never keeps a connection that lies.

mod outlet;

use super::flood::FloodGuard;
use super::market::{Market, common_steps};
use crate::sys::clock::Clock;
use crate::sys::link::{Inbound, Link, Outbound};
use crate::sys::ring::{Rx, Tx};
use crate::types::limits::PAIRS_MAX;
use crate::types::order::Reason;
use crate::types::planted::planted;
use crate::types::record::Role;
use crate::types::report::{After, Fact};
use crate::types::{
    BookUpdate, MarketRules, Nanos, PairId, Qty, Quote, Record, RecordKind, Settings, Ticker, VenueId,
};
use crate::venue::ask::{Answer, Ask};
use crate::venue::end::End;
use crate::venue::{Feed, FeedSink, Parcel, REGISTRY, flush, reason};
use outlet::Outlet;

/// Feeds are ticked this often, so that pings and deadlines are kept.
const TICK_MS: u64 = 250;
/// Book counts are recorded this often per market.
const REPORT_MS: u64 = 1_000;

/// The rings of one `md:<venue>`.
pub struct BookRings {
    pub spread: Tx<Quote>,
    pub order: Tx<Quote>,
    pub ask: Tx<Ask>,
    pub answers: Rx<Answer>,
    pub records: Tx<Record>,
}

/// Where the market messages went: `messages = applied + conflated + rejected + waiting`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Market messages and undecodable frames since start.
    pub messages: u64,
    /// Applied, and their quote reached `spread`.
    pub applied: u64,
    /// Applied, but a newer quote took the place of theirs before `spread` had room.
    pub conflated: u64,
    /// Refused by the feed or the ladder.
    pub rejected: u64,
    /// Applied, and their quote waits for room.
    pub waiting: u64,
}

/// `md:<venue>`.
pub struct BookThread {
    feed: Box<dyn Feed>,
    link: Option<Box<dyn Link>>,
    asked: bool,
    next_tick: Nanos,
    next_report: Nanos,
    outbox: Vec<Parcel>,
    /// The venue has answered on this connection.
    confirmed: bool,
    /// How the last connection ended.
    after: After,
    ask: Tx<Ask>,
    answers: Rx<Answer>,
    markets: Markets,
}

impl BookThread {
    /// `clock` stamps frames on their arrival, which on a blocking link is later than the start of the cycle.
    pub fn new(
        venue: VenueId,
        feed: Box<dyn Feed>,
        clock: Box<dyn Clock>,
        settings: &Settings,
        rings: BookRings,
    ) -> Self {
        let BookRings { spread, order, ask, answers, records } = rings;
        Self {
            feed,
            link: None,
            asked: false,
            next_tick: Nanos::NEVER,
            next_report: Nanos::NEVER,
            outbox: Vec::new(),
            confirmed: false,
            after: After::Nothing,
            ask,
            answers,
            markets: Markets::new(venue, clock, settings, spread, order, records),
        }
    }

    /// Common lot and larger minimum of a pair's two venues. Until it is known, the pair's sizes are zero. Rules that
    /// arrive as [`Fact::Rules`] for both venues do the same.
    pub fn set_lot(&mut self, pair: PairId, lot: Qty, min: Qty) {
        if let Some(market) = self.markets.get(pair) {
            market.set_lot(lot, min);
        }
    }

    /// One cycle: answers of `keeper`, at most one frame, ticks that are due. True when it did any work.
    pub fn poll(&mut self, now: Nanos) -> bool {
        let mut work = self.markets.flush();
        work |= self.take_answers(now);
        work |= if self.link.is_some() { self.read() } else { self.ask_link() };
        // A read may have blocked.
        let now = if work { self.markets.t_wire.max(now) } else { self.markets.clock.now() };
        self.tick(now);
        self.report(now);
        work
    }

    pub fn counts(&self) -> Counts {
        self.markets.counts()
    }

    /// Closes the connection politely and asks for no other.
    pub fn close(&mut self) {
        if let Some(mut link) = self.link.take() {
            // The peer may be gone already; there is nothing left to do about it.
            let _ = link.send(Outbound::Close);
        }
        self.asked = true;
        self.forget_markets();
        self.markets.record_counts();
    }

    fn take_answers(&mut self, now: Nanos) -> bool {
        let mut work = false;
        while let Some(answer) = self.answers.pop() {
            work = true;
            match answer {
                Answer::Link(ready)
                    if ready.role == Role::MarketData && ready.venue == self.markets.venue =>
                {
                    self.install(ready.link, now);
                }
                Answer::Fact(Fact::Failed { ask: Ask::Link { role: Role::MarketData, .. } }) => {
                    self.asked = false;
                }
                Answer::Fact(Fact::Rules { venue, pair, rules }) => {
                    self.markets.set_rules(venue, pair, rules);
                }
                _ => {}
            }
        }
        work
    }

    fn install(&mut self, link: Box<dyn Link>, now: Nanos) {
        self.link = Some(link);
        self.asked = false;
        self.next_tick = now.plus_ms(TICK_MS);
        self.confirmed = false;
        (self.markets.t_wire, self.markets.opened) = (now, now);
        self.markets.markets.iter_mut().flatten().for_each(|market| market.opened(now));
        self.forget_markets();
        self.markets.bad = FloodGuard::default();
        self.feed.on_open(now, &mut self.outbox);
        self.send_outbox();
    }

    /// Asks for a connection once; a full ring means asking again in the next cycle.
    fn ask_link(&mut self) -> bool {
        if self.asked {
            return false;
        }
        let wish = Ask::Link { venue: self.markets.venue, role: Role::MarketData, after: self.after };
        self.asked = self.ask.push(wish).is_ok();
        self.asked
    }

    fn read(&mut self) -> bool {
        let Some(link) = self.link.as_mut() else { return false };
        let (now, frame) = match link.recv_timed(self.markets.clock.as_ref()) {
            Ok(Some(timed)) => timed,
            Ok(None) => return false,
            Err(error) => {
                let end = End::of(REGISTRY[self.markets.venue.index()].close_codes, &error);
                self.lose(end.after(self.confirmed));
                return true;
            }
        };
        self.markets.arrived(now);
        let said = !matches!(frame, Inbound::Heartbeat);
        match self.feed.on_frame(now, frame, &mut self.markets, &mut self.outbox) {
            Ok(()) if said && !self.confirmed => {
                self.confirmed = true;
                let (venue, role) = (self.markets.venue, Role::MarketData);
                self.markets.record(now, RecordKind::LinkUp { venue, role });
            }
            Ok(()) => {}
            Err(error) => {
                self.markets.messages += 1;
                self.markets.reject(reason(&error));
            }
        }
        self.send_outbox();
        if self.markets.bad.is_flood() {
            self.lose(End::loss("too many bad frames"));
        }
        true
    }

    fn tick(&mut self, now: Nanos) {
        if self.link.is_none() || now < self.next_tick {
            return;
        }
        self.next_tick = now.plus_ms(TICK_MS);
        match self.feed.on_tick(now, &mut self.outbox) {
            Ok(()) if self.markets.any_corrupt(now) => self.lose(End::loss("a book stays crossed")),
            Ok(()) if self.markets.any_still(now) => self.lose(End::loss("a book stands still")),
            Ok(()) => self.send_outbox(),
            Err(error) => self.lose(End::loss(&error.to_string())),
        }
    }

    fn send_outbox(&mut self) {
        let Some(link) = self.link.as_mut() else { return };
        if self.outbox.is_empty() {
            return;
        }
        if let Err(error) = flush(&mut self.outbox, link.as_mut()) {
            self.lose(End::loss(&error.to_string()));
        }
    }

    /// The connection is no more: readers forget this venue's books, and a fresh connection is asked for.
    fn lose(&mut self, End { why, mend }: End) {
        self.link = None;
        self.outbox.clear();
        let now = self.markets.clock.now();
        let (venue, role) = (self.markets.venue, Role::MarketData);
        self.after = if mend.is_some() { After::Refusal } else { After::Loss };
        if let Some(mend) = mend {
            self.markets.record(now, RecordKind::LinkRefused { venue, role, why, mend });
        }
        self.markets.record(now, RecordKind::LinkDown { venue, role, why });
        self.markets.record(now, RecordKind::Reconnecting { venue, role, attempt: 1 });
        self.forget_markets();
        self.ask_link();
    }

    /// What a connection has told holds no more, once it is over and again when the next one begins.
    fn forget_markets(&mut self) {
        if self.feed.tells_status() {
            self.markets.forget_status();
        }
        self.markets.invalidate_all();
    }

    fn report(&mut self, now: Nanos) {
        if now >= self.next_report {
            self.next_report = now.plus_ms(REPORT_MS);
            self.markets.report(now);
            self.markets.tell_still(now, self.link.is_some());
        }
    }
}

/// The books of one venue and the way out of them.
struct Markets {
    venue: VenueId,
    clock: Box<dyn Clock>,
    /// When the frame in hand was read; since a connection has opened, that time.
    t_wire: Nanos,
    /// When the connection opened.
    opened: Nanos,
    /// Seconds without a connection.
    unlinked: u32,
    /// What a book may be old.
    max_age_ms: u64,
    markets: [Option<Market>; PAIRS_MAX],
    /// Rules of both legs of each pair, as far as `keeper` told them.
    rules: [[Option<MarketRules>; 2]; PAIRS_MAX],
    legs: [[VenueId; 2]; PAIRS_MAX],
    reported: [u64; PAIRS_MAX],
    to_spread: Outlet,
    to_order: Outlet,
    records: Tx<Record>,
    bad: FloodGuard,
    messages: u64,
    rejected: u64,
}

impl Markets {
    fn new(
        venue: VenueId,
        clock: Box<dyn Clock>,
        settings: &Settings,
        spread: Tx<Quote>,
        order: Tx<Quote>,
        records: Tx<Record>,
    ) -> Self {
        assert!(settings.pairs.len() <= PAIRS_MAX, "more pairs than the engine has room for");
        let mut markets = [const { None }; PAIRS_MAX];
        let mut legs = [[venue; 2]; PAIRS_MAX];
        for pair in settings.pairs.iter().filter(|pair| pair.venues.contains(&venue)) {
            markets[pair.id.index()] = Some(Market::new(venue, pair, &settings.risk));
            legs[pair.id.index()] = pair.venues;
        }
        Self {
            venue,
            clock,
            t_wire: Nanos::NEVER,
            opened: Nanos::NEVER,
            unlinked: 0,
            max_age_ms: u64::from(settings.venues[venue.index()].max_book_age_ms),
            markets,
            rules: [[None; 2]; PAIRS_MAX],
            legs,
            reported: [0; PAIRS_MAX],
            to_spread: Outlet::new(spread),
            to_order: Outlet::new(order),
            records,
            bad: FloodGuard::default(),
            messages: 0,
            rejected: 0,
        }
    }

    fn get(&mut self, pair: PairId) -> Option<&mut Market> {
        self.markets.get_mut(pair.index())?.as_mut()
    }

    fn set_rules(&mut self, venue: VenueId, pair: PairId, rules: MarketRules) {
        let Some(legs) = self.legs.get(pair.index()) else { return };
        let Some(leg) = legs.iter().position(|&leg| leg == venue) else { return };
        let both = &mut self.rules[pair.index()];
        both[leg] = Some(rules);
        let steps = match both {
            [Some(first), Some(second)] => common_steps([first, second]),
            _ => None,
        };
        if let (Some((lot, min)), Some(market)) = (steps, self.get(pair)) {
            market.set_lot(lot, min);
        }
    }

    /// A frame was read. After a silence longer than a book may be old, what had piled up on the way comes first:
    /// nothing is believed until frames have flowed for as long again (SAFETY M13).
    fn arrived(&mut self, now: Nanos) {
        if now.ms_since(self.t_wire) > self.max_age_ms {
            let settled_at = now.plus_ms(self.max_age_ms);
            self.markets.iter_mut().flatten().for_each(|market| market.settle_at(settled_at));
        }
        self.t_wire = now;
    }

    /// Sends the current quote of a market to both readers. `message` marks one caused by an applied market message.
    /// `order` has it first: no wish that `spread` makes of a quote overtakes it.
    fn send(&mut self, pair: PairId, message: bool) {
        let now = self.clock.now();
        let Some(market) = self.markets.get_mut(pair.index()).and_then(Option::as_mut) else { return };
        let quote = market.quote(now);
        self.to_order.offer(quote, message);
        self.to_spread.offer(quote, message);
    }

    fn flush(&mut self) -> bool {
        let order = self.to_order.flush();
        self.to_spread.flush() | order
    }

    fn invalidate_all(&mut self) {
        for index in 0..PAIRS_MAX as u8 {
            if let Some(market) = self.get(PairId(index)) {
                market.invalidate();
                self.send(PairId(index), false);
            }
        }
    }

    fn forget_status(&mut self) {
        self.markets.iter_mut().flatten().for_each(Market::forget_status);
    }

    fn any_corrupt(&self, now: Nanos) -> bool {
        self.markets.iter().flatten().any(|market| market.is_corrupt(now))
    }

    fn count_reject(&mut self) {
        self.rejected += u64::from(!planted("rejects_not_counted"));
        self.bad.note(self.t_wire);
    }

    fn reject(&mut self, why: Reason) {
        self.count_reject();
        self.record(self.t_wire, RecordKind::BadFrame { venue: self.venue, why });
    }

    /// Records that do not fit are dropped; the ring counts them.
    fn record(&mut self, at: Nanos, kind: RecordKind) {
        let _ = self.records.push(Record { at, kind });
    }

    fn report(&mut self, now: Nanos) {
        for index in 0..PAIRS_MAX {
            let Some(Quote { venue, pair, updates, .. }) =
                self.markets[index].as_ref().map(|market| *market.last())
            else {
                continue;
            };
            if updates != self.reported[index] {
                self.reported[index] = updates;
                let conflated = self.to_spread.conflator.conflated(index);
                self.record(now, RecordKind::BookUpdated { venue, pair, updates, conflated });
            }
        }
    }

    fn record_counts(&mut self) {
        let Counts { messages, applied, conflated, rejected, waiting } = self.counts();
        let venue = self.venue;
        let kind = RecordKind::BookCounts { venue, messages, applied, conflated, rejected, waiting };
        self.record(self.clock.now(), kind);
    }

    fn counts(&self) -> Counts {
        let conflator = &self.to_spread.conflator;
        Counts {
            messages: self.messages,
            applied: conflator.passed(),
            conflated: conflator.conflated_total(),
            rejected: self.rejected,
            waiting: conflator.waiting(),
        }
    }
}

impl FeedSink for Markets {
    fn book(&mut self, update: &BookUpdate) {
        self.messages += 1;
        let t_wire = self.t_wire;
        let Some(market) = self.get(update.pair) else {
            return self.reject(Reason::cut("book of a market that no pair names"));
        };
        let applied = market.apply(update, t_wire);
        self.send(update.pair, applied.is_ok());
        if let Err(error) = applied {
            self.reject(reason(&error));
        }
    }

    fn ticker(&mut self, pair: PairId, ticker: Ticker) {
        // It says nothing about the age of the book, so the quote keeps its time of arrival.
        if let Some(market) = self.get(pair) {
            market.set_ticker(ticker);
            self.send(pair, false);
        }
    }

    fn gap(&mut self, pair: PairId, why: &'static str) {
        if let Some(market) = self.get(pair) {
            market.invalidate();
            self.send(pair, false);
            self.record(self.t_wire, RecordKind::BadFrame { venue: self.venue, why: Reason::cut(why) });
        }
    }

    fn alive(&mut self, pair: PairId) {
        self.messages += 1;
        let t_wire = self.t_wire;
        let Some(market) = self.get(pair) else {
            return self.reject(Reason::cut("frame of a market that no pair names"));
        };
        market.alive(t_wire);
        self.send(pair, true);
    }

    fn foreign(&mut self, market: &str) {
        self.messages += 1;
        self.count_reject();
        let kind = RecordKind::WrongMarket { venue: self.venue, market: Reason::cut(market) };
        self.record(self.t_wire, kind);
    }
}

mod still;
#[cfg(test)]
mod tests;
