//! Books that stand still while their connection lives: when a connection is replaced for one, and when a person is
//! called (SAFETY M13). Part of `book::thread`.

use super::Markets;
use crate::book::market::{Market, STILL_MS};
use crate::types::limits::PAIRS_MAX;
use crate::types::order::Reason;
use crate::types::{MarketStatus, Nanos, Quote, RecordKind};

/// How long a book may stand still at most before its connection is replaced, ms, where fresh ones have not helped;
/// an hour after the last that is forgotten.
const STILL_MAX_MS: u64 = 640_000;
const FORGET_STILL_MS: u64 = 3_600_000;
/// Looks in a row without a connection, a second apart, that are more than a replacement takes.
const UNLINKED: u32 = 3;

impl Markets {
    /// A book of a market that may trade stands still, and the connection is to be replaced. Where that did not help,
    /// its next wait is twice as long: the other books pay for it.
    pub(super) fn any_still(&mut self, now: Nanos) -> bool {
        (0..PAIRS_MAX).any(|index| self.is_still(index, now))
    }

    fn is_still(&mut self, index: usize, now: Nanos) -> bool {
        let (may_trade, opened) = (self.may_trade(index), self.opened);
        let Some(market) = self.markets[index].as_mut().filter(|_| may_trade) else { return false };
        if now.ms_since(market.replaced_at) > FORGET_STILL_MS {
            market.still_ms = STILL_MS;
        }
        let still = now.ms_since(market.moved().max(opened)) > market.still_ms;
        if still {
            (market.replaced_at, market.still_ms) = (now, (2 * market.still_ms).min(STILL_MAX_MS));
        }
        still
    }

    /// Neither the venue's stream nor its rules say that the market is closed.
    fn may_trade(&self, index: usize) -> bool {
        let leg = self.legs[index].iter().position(|&leg| leg == self.venue);
        let rules = leg.and_then(|leg| self.rules[index][leg]);
        let closed = rules.is_some_and(|rules| rules.status != MarketStatus::Trading);
        !closed && self.markets[index].as_ref().is_some_and(Market::may_trade)
    }

    /// A person is called for a book that no fresh connection has set going again. Once a second; `linked` = there is a
    /// connection. Where there is none for long, that is told by others.
    pub(super) fn tell_still(&mut self, now: Nanos, linked: bool) {
        self.unlinked = if linked { 0 } else { self.unlinked + 1 };
        for index in 0..PAIRS_MAX {
            let may_trade = self.may_trade(index) && self.unlinked < UNLINKED;
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
