//! The end of a run: no entries, resolve, cancel, close when asked to, and only then verify by query on every venue
//! that nothing of ours is open and that it holds what our books say (SAFETY L8). Part of `order::core`.

use super::core::{Core, Effect, Effects};
use super::mend;
use super::pair::{LAG_MS, Pair, Phase};
use crate::journal::entry::Entry;
use crate::types::report::Ask;
use crate::types::{Intent, IntentKind, Nanos, Price, Qty, Rate, RecordKind, StopReason, VenueId};

/// Pause between two verifications, ms.
const VERIFY_EVERY_MS: u64 = 500;

/// How long after a start a close of both legs waits for a price of today, ms: the books' own reference may be hours
/// old, and one leg alone would fill by it.
const PRICES_WAIT_MS: u64 = 5_000;

/// A stop under way.
#[derive(Clone, Debug)]
pub struct Stop {
    pub flatten: bool,
    pub since: Nanos,
    /// Venues whose open orders were read, after everything was quiet, and held none of ours.
    verified: Vec<bool>,
    next_ask: Nanos,
    quiet_since: Nanos,
    pub(super) cancelled: u32,
    pub done: bool,
}

impl Core {
    pub(super) fn begin_stop(&mut self, now: Nanos, flatten: bool, fx: &mut Effects) {
        if let Some(stop) = &mut self.stop {
            stop.flatten = flatten;
            return;
        }
        self.stop = Some(Stop {
            flatten,
            since: now,
            verified: vec![self.paper; self.venues.len()],
            next_ask: Nanos::NEVER,
            quiet_since: Nanos::NEVER,
            cancelled: 0,
            done: false,
        });
        if self.settings.dedicated_account {
            self.cancel_everything(fx);
        }
    }

    /// One message a market, where the venue has one and it cannot meet a close of ours; what is open after it is found
    /// by query and cancelled by name.
    fn cancel_everything(&self, fx: &mut Effects) {
        let rests =
            |pair: &&Pair| pair.book.is_flat() && pair.phase == Phase::Idle && !pair.has_live_orders();
        for pair in self.pairs.iter().filter(rests) {
            fx.extend(pair.settings.venues.map(|venue| Effect::CancelAll(venue, pair.settings.id)));
        }
    }

    pub(super) fn tick_stop(&mut self, now: Nanos, fx: &mut Effects) {
        let Some(stop) = &self.stop else { return };
        if stop.done {
            return;
        }
        if stop.flatten {
            self.flatten_pairs(now, fx);
        }
        let quiet = (0..self.pairs.len()).all(|index| self.is_quiet(now, index));
        let (paper, venues) = (self.paper, &self.venues);
        let Some(stop) = &mut self.stop else { return };
        if !quiet {
            stop.quiet_since = Nanos::NEVER;
            stop.verified.fill(paper);
            return;
        }
        if stop.quiet_since == Nanos::NEVER {
            stop.quiet_since = now;
        }
        // A position that is not what our books say has ended the quiet.
        let stated = venues.iter().all(|facts| paper || facts.stated >= Some(stop.quiet_since));
        if stated && stop.verified.iter().all(|&verified| verified) {
            stop.done = true;
            let orders = stop.cancelled;
            fx.push(Effect::Log(RecordKind::Cancelled { orders }));
            return self.record(Entry::Stopped { at: now }, fx);
        }
        if now >= stop.next_ask {
            stop.next_ask = now.plus_ms(VERIFY_EVERY_MS);
            for venue in (0..stop.verified.len()).map(|venue| VenueId(venue as u8)) {
                fx.extend([Ask::OpenOrders { venue }, Ask::Account { venue }].map(Effect::Ask));
            }
        }
    }

    /// Nothing in flight, nothing unknown, legs matched; and flat when the stop asks for it.
    fn is_quiet(&self, now: Nanos, index: usize) -> bool {
        let pair = &self.pairs[index];
        let flat = !self.stop.as_ref().is_some_and(|stop| stop.flatten) || !pair.opened;
        pair.phase == Phase::Idle && !pair.has_live_orders() && flat && self.doubted_leg(now, pair).is_none()
    }

    /// A leg of which its venue may still show something else than our books: a difference was seen once, an order
    /// ended without a word of what it filled, or what a death has hidden was not read.
    fn doubted_leg(&self, now: Nanos, pair: &Pair) -> Option<usize> {
        let doubted = |leg: usize| {
            let hidden = pair.lost[leg] || pair.may_grow(leg, now, LAG_MS);
            pair.differs[leg].is_some() || hidden || self.awaits_past(pair.settings.venues[leg])
        };
        (0..2).find(|&leg| !self.paper && doubted(leg))
    }

    /// What came in after the end is no end any more: it is looked at again.
    pub(super) fn reopen_stop(&mut self) {
        self.stop.iter_mut().for_each(|stop| stop.done = false);
    }

    /// Closes what is held, pair by pair, each whenever it can be.
    pub(super) fn flatten_pairs(&mut self, now: Nanos, fx: &mut Effects) {
        for index in 0..self.pairs.len() {
            self.close_part(now, index, StopReason::Operator, self.pairs[index].book.hedged(), fx);
        }
    }

    /// Closes `qty` of a held pair on both legs, as soon as both venues take it.
    pub(super) fn close_part(
        &mut self,
        now: Nanos,
        index: usize,
        reason: StopReason,
        qty: Qty,
        fx: &mut Effects,
    ) {
        let pair = &self.pairs[index];
        let idle = pair.phase == Phase::Idle && !pair.has_live_orders() && now >= pair.exit_after;
        if !pair.opened || !idle || !self.takes_both_closes(pair) {
            return;
        }
        let waits = now.ms_since(self.started) < PRICES_WAIT_MS;
        if waits && !(0..2).all(|leg| mend::is_priced(pair, leg)) {
            return;
        }
        let routes = [0, 1].map(|leg| mend::unwind(pair, leg, qty, &self.settings));
        let [Some(a), Some(b)] = routes.map(|route| route.filter(mend::Route::reaches)) else { return };
        let spend = match a.side {
            crate::types::Side::Buy => a.expected - b.expected,
            crate::types::Side::Sell => b.expected - a.expected,
        };
        let mid = Price::mid(a.expected, b.expected);
        let intent = Intent {
            pair: pair.settings.id,
            kind: IntentKind::Exit(reason),
            qty,
            limits: [a.limit, b.limit],
            expected: [a.expected, b.expected],
            edge: if mid.is_zero() { Rate::ZERO } else { spend.ratio(mid) },
            basis: pair.book.basis,
            mid,
            t_wire: now,
            t_book: now,
            t_decide: now,
        };
        self.take_intent(now, &intent, fx);
    }

    /// A list of open orders came in: does it prove that a venue holds none of ours any more?
    pub(super) fn verified(&mut self, venue: VenueId, asked: Nanos, ours_open: u32) {
        let Some(stop) = &mut self.stop else { return };
        if stop.quiet_since != Nanos::NEVER && asked >= stop.quiet_since {
            stop.verified[venue.index()] = ours_open == 0;
        }
    }

    /// The stop has ended: nothing open, nothing unknown, verified.
    pub fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.done)
    }

    /// What stands in the way of a clean end, for the operator; empty when nothing does.
    pub fn remains(&self, now: Nanos) -> Vec<String> {
        let mut lines = Vec::new();
        for pair in &self.pairs {
            for order in pair.live_orders() {
                lines.push(format!("{}: order {} is {:?}", pair.settings.name, order.id(), order.state));
            }
            if pair.opened && self.stop.as_ref().is_some_and(|stop| stop.flatten) {
                lines.push(format!("{}: {} are still held", pair.settings.name, pair.book.hedged()));
            }
            if let Some(leg) = self.doubted_leg(now, pair) {
                let (name, leg) = (&pair.settings.name, &pair.settings.symbols[leg]);
                lines.push(format!("{name}: what is held of {leg} is not known for certain"));
            }
            if pair.is_lone() {
                lines.push(format!("{}: net position {}", pair.settings.name, pair.book.net()));
            }
        }
        lines
    }
}
