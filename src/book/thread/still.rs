//! Books that stand still while their connection lives: when a connection is replaced for one, and when a person is
//! called (SAFETY M13). Part of `book::thread`.

use super::Markets;
use crate::book::market::Market;
use crate::types::limits::PAIRS_MAX;
use crate::types::order::Reason;
use crate::types::{MarketStatus, Nanos, Quote, RecordKind};

/// A book of which nothing has come for so long, while the connection lives, is fetched anew over another (SAFETY M13);
/// where that does not help, after twice as long each time, up to the second. An hour later that is forgotten.
pub(super) const STILL_MS: u64 = 20_000;
const STILL_MAX_MS: u64 = 640_000;
const FORGET_STILL_MS: u64 = 3_600_000;
impl Markets {
    /// A book of a market that may trade stands still, and the connection is to be replaced. Where that did not help,
    /// the next wait is twice as long: the other books pay for it.
    pub(super) fn any_still(&mut self, now: Nanos) -> bool {
        if now.ms_since(self.replaced_at) > FORGET_STILL_MS {
            self.still_ms = STILL_MS;
        }
        let quiet = |market: &Market| now.ms_since(market.moved().max(self.opened)) > self.still_ms;
        let still = |index: usize| self.may_trade(index) && self.markets[index].as_ref().is_some_and(quiet);
        let any = (0..PAIRS_MAX).any(still);
        if any {
            (self.replaced_at, self.still_ms) = (now, (2 * self.still_ms).min(STILL_MAX_MS));
        }
        any
    }

    /// Neither the venue's stream nor its rules say that the market is closed.
    fn may_trade(&self, index: usize) -> bool {
        let leg = self.legs[index].iter().position(|&leg| leg == self.venue);
        let rules = leg.and_then(|leg| self.rules[index][leg]);
        let closed = rules.is_some_and(|rules| rules.status != MarketStatus::Trading);
        !closed && self.markets[index].as_ref().is_some_and(Market::may_trade)
    }

    /// A person is called for a book that no fresh connection has set going again.
    pub(super) fn tell_still(&mut self, now: Nanos) {
        for index in 0..PAIRS_MAX {
            let may_trade = self.may_trade(index);
            let Some(market) = self.markets[index].as_mut() else { continue };
            if !may_trade {
                market.move_at(now);
            }
            let stands = market.moved() != Nanos::NEVER && now.ms_since(market.moved()) > 2 * STILL_MS;
            if stands && !market.told_still {
                market.told_still = true;
                let Quote { venue, pair, .. } = *market.last();
                let what = Reason::cut("its book stands still, over a fresh connection too");
                self.record(now, RecordKind::Alarm { pair, venue, what });
            }
        }
    }
}
