//! An order that its venue has ended without a word of what it filled: what its rows, its position and its limit make
//! of that (SAFETY rule 2). Pure; called by `order::resolve`.

use super::lifecycle::Order;
use super::pair::LAG_MS;
use crate::types::order::VenueOrderId;
use crate::types::{Fill, Nanos, OrderReport, Price, Qty, Usd};

/// What a position shows of an order that ended without a word of its fills is believed when a read so much later
/// shows the same, ms.
const SHOWN_AGAIN_MS: u64 = 100;
/// Until that read, ms.
const LOOK_AGAIN_MS: u64 = 200;

impl Order {
    /// Takes from the row of a live order what its end may leave untold. True when that is where it stands now. A row
    /// that is no end any more lags, and so may the positions that were read since.
    pub fn ends_untold(&mut self, now: Nanos, report: &OrderReport) -> bool {
        if report.filled > self.at_least.0 {
            self.at_least = (report.filled.min(self.spec.qty), Some(report.average));
        }
        if !report.terminal || report.tells_fill {
            self.lags();
            return false;
        }
        self.fees_told = report.fee;
        self.end_untold(now);
        true
    }

    /// It is over from here on, and the position has to say what it filled.
    pub(super) fn end_untold(&mut self, now: Nanos) {
        if self.ended == Nanos::NEVER {
            (self.ended, self.queries) = (now, 0);
            self.next_query = now.plus_ms(LOOK_AGAIN_MS);
        }
    }

    /// The venue's reads are older than the end that they had shown.
    pub fn lags(&mut self) {
        (self.ended, self.shown) = (Nanos::NEVER, None);
    }

    /// Its end left untold what it filled, and a read of `asked` is newer than that end.
    pub fn is_shown_by(&self, asked: Nanos) -> bool {
        self.is_live() && self.ended != Nanos::NEVER && asked >= self.ended
    }

    /// What it filled beyond our fills, when a position that differs from our books by `by` settles that: all there
    /// was to fill, or the same in two reads. Never less than was told before (SAFETY V13).
    pub fn filled_by_position(&mut self, asked: Nanos, by: Qty) -> Option<Qty> {
        let shown = (self.done.filled + by.abs()).min(self.spec.qty);
        if shown > self.at_least.0 {
            self.at_least = (shown, None);
        }
        let filled = self.at_least.0.max(self.done.filled);
        let again = self.shown.filter(|&(_, before)| before == filled);
        let first = again.map_or(asked, |(first, _)| first);
        self.shown = Some((first, filled));
        let stands = filled >= self.spec.qty || asked >= first.plus_ms(SHOWN_AGAIN_MS);
        (stands && !self.hides_a_fill(filled, asked)).then_some(filled - self.done.filled)
    }

    /// Its row tells a fee and the position no execution for it: the read is older than the row (SAFETY V13).
    fn hides_a_fill(&self, filled: Qty, asked: Nanos) -> bool {
        let paid = self.fees_told > self.done.fee;
        paid && filled == self.done.filled && asked < self.ended.plus_ms(LAG_MS)
    }

    /// An execution that only the position told. Its price is the one told of it, else `entry`, that of a position
    /// which it alone has made, else the worst one: its limit.
    pub fn untold_fill(&self, qty: Qty, entry: Option<Price>) -> Fill {
        let told = self.at_least.1.filter(|_| self.done.filled.is_zero() && self.at_least.0 == qty);
        let price = told.or(entry).unwrap_or(self.spec.limit);
        let fee = self.fees_told - self.done.fee;
        Fill { id: VenueOrderId::EMPTY, qty, price, fee, funding: Usd::ZERO }
    }
}
