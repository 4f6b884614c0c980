//! Ways home while a feed is silent: its venue may still trade, and its REST may still tell the book (SAFETY §7, book
//! age). Nothing is ever opened on such a book. Part of `order::core`.

use super::core::{Core, Effect, Effects};
use super::pair::Phase;
use crate::types::report::Ask;
use crate::types::{MarketStatus, Nanos, PairId, Price, StopReason, VenueId};

/// A silent book is asked for this often while it is needed, ms.
const BOOK_EVERY_MS: u64 = 500;
/// Rules are asked for so often while a market that something is held on is halted by them, ms.
const RULES_EVERY_MS: u64 = 5_000;
/// A feed that is silent for so long does not come back in a moment, ms: until then `spread` closes what is held too
/// long, by both books.
const BLIND_MS: u64 = 30_000;

impl Core {
    /// Asks for the books that a pair needs and its feeds do not tell; closes what has been held too long meanwhile.
    pub(super) fn tick_book(&mut self, now: Nanos, index: usize, fx: &mut Effects) {
        self.note_blind(now, index);
        let overdue = self.is_overdue(now, index);
        let pair = &self.pairs[index];
        let closing = self.halt_flattens || self.stop.as_ref().is_some_and(|stop| stop.flatten);
        let short = pair.settings.venues.iter().any(|venue| self.venues[venue.index()].margin.short);
        let held = !pair.book.is_flat() && (closing || short || overdue);
        if self.paper || !(held || matches!(pair.phase, Phase::Mending { .. })) {
            return;
        }
        for leg in 0..2 {
            if self.is_silent(now, index, leg)
                && now >= self.pairs[index].book_asked[leg].plus_ms(BOOK_EVERY_MS)
            {
                let pair = &mut self.pairs[index];
                pair.book_asked[leg] = now;
                let (venue, pair) = (pair.settings.venues[leg], pair.settings.id);
                fx.push(Effect::Ask(Ask::Book { venue, pair }));
            }
        }
        if overdue {
            self.close_part(now, index, StopReason::MaxHold, self.pairs[index].book.hedged(), fx);
        }
    }

    /// A market is halted by rules that are read every few minutes, or its ticker has still to say whether it is: while
    /// something is held on it they are read often, so that it is closed as soon as it may be.
    pub(super) fn look_at_halts(&mut self, now: Nanos, fx: &mut Effects) {
        for pair in self.pairs.iter().filter(|pair| !pair.book.is_flat()) {
            let untold = |leg: usize| pair.quotes[leg].ticker.status == MarketStatus::Untold;
            for leg in (0..2).filter(|&leg| pair.is_halted(leg) || untold(leg)) {
                let venue = pair.settings.venues[leg];
                let asked = &mut self.venues[venue.index()].rules_asked;
                if now >= asked.plus_ms(RULES_EVERY_MS) {
                    *asked = now;
                    fx.push(Effect::Ask(Ask::Rules { venue }));
                }
            }
        }
    }

    /// Held for longer than it may be, and `spread` cannot close it: it does not see both books.
    fn is_overdue(&self, now: Nanos, index: usize) -> bool {
        let pair = &self.pairs[index];
        let hold_ms = u64::from(self.settings.risk.max_hold_s) * 1_000;
        pair.opened
            && now.ms_since(pair.book.opened_at) > hold_ms
            && pair.silent_since.iter().any(|&since| now.ms_since(since) > BLIND_MS && since != Nanos::NEVER)
    }

    /// Since when the books of what is held are silent. One that was asked for does not end it: it is no stream.
    fn note_blind(&mut self, now: Nanos, index: usize) {
        for leg in 0..2 {
            let silent = self.pairs[index].opened && self.is_silent(now, index, leg);
            let since = &mut self.pairs[index].silent_since[leg];
            *since = match (silent, *since) {
                (true, Nanos::NEVER) => now,
                (true, since) => since,
                (false, _) => Nanos::NEVER,
            };
        }
    }

    fn is_silent(&self, now: Nanos, index: usize, leg: usize) -> bool {
        let pair = &self.pairs[index];
        let age_max = self.settings.venues[pair.settings.venues[leg].index()].max_book_age_ms;
        !pair.quotes[leg].tradable || now.ms_since(pair.quotes[leg].t_wire) > u64::from(age_max)
    }

    /// The best prices of a book that was asked for, unless its feed has spoken since. They price closes alone.
    pub(super) fn take_book(&mut self, venue: VenueId, pair: PairId, asked: Nanos, best: [Price; 2]) {
        let Some(pair) = self.pairs.get_mut(pair.index()) else { return };
        let Some(leg) = pair.leg_of(venue) else { return };
        let quote = &mut pair.quotes[leg];
        let crossed = best.iter().all(|price| price.raw() > 0) && best[0] >= best[1];
        if asked <= quote.t_wire || crossed {
            return;
        }
        let told = |new: Price, old: Price| if new.raw() > 0 { new } else { old };
        (quote.bid, quote.ask) = (told(best[0], quote.bid), told(best[1], quote.ask));
        (quote.tradable, quote.t_wire) = (false, asked);
    }
}
