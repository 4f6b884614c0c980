//! Orders that left and that the journal does not know: the machine died before the disk had them (SAFETY 2.2, K2). The
//! venues' histories since the journal's last order are read once; what bears a name of that run beyond the last one
//! known is ours, and what it may have filled is mended like any late fill. Part of `order::core`.

use super::core::{Core, Effect, Effects};
use super::pair::Pair;
use crate::journal::entry::{Entry, Totals};
use crate::types::order::Reason;
use crate::types::planted::planted;
use crate::types::report::{Ask, PastOrder};
use crate::types::{Nanos, Qty, RecordKind, VenueId};

/// How far before the journal's last order the histories are read, ms: clocks differ.
const MARGIN_MS: u64 = 60_000;
/// The same where the journal knows of no order: runs that died in their start may have followed the one that traded.
const MARGIN_EMPTY_MS: u64 = 3_600_000;
/// Nonces follow our clock, and the venue posts an order within its window, ms.
const NONCE_OFF_MS: u64 = 5_000;
/// A history without an answer is asked for again after this, ms.
const ASK_AGAIN_MS: u64 = 2_000;
/// A history that has no answer by then is told, and a position that nothing explains is called a stranger's, ms.
const UNREAD_MS: u64 = 10_000;
/// So long after a start a lone leg waits for the histories, ms; and where they show a lost order, for the positions
/// that tell what it filled: those are believed once reads lag no more.
const READ_BY_MS: u64 = 3_000;
const FOUND_BY_MS: u64 = 8_000;

/// Where a journal ends whose run ended without a word.
#[derive(Clone, Copy, Debug)]
pub struct Tail {
    /// The last run that it knows.
    epoch: u32,
    /// Run and number of its newest order.
    newest: (u32, u32),
    nonce: u64,
    /// When that order left, less a margin.
    since_ms: u64,
    /// It was told that a history is not read.
    told: bool,
}

impl Core {
    /// Where the recovered journal ends. Call before anything of the new run.
    pub(super) fn torn_tail(&self) -> Option<Tail> {
        if self.paper || self.ended || self.epoch == 0 || planted("lost_tail_ignored") {
            return None;
        }
        let Totals { newest_epoch, newest_seq, newest_at, nonce_high: nonce, .. } = self.totals;
        let (at_ms, margin_ms) = match newest_at {
            Nanos::NEVER => (u64::from(self.epoch) * 1_000, MARGIN_EMPTY_MS),
            at => (at.ms(), MARGIN_MS),
        };
        let (newest, since_ms) = ((newest_epoch, newest_seq), at_ms.saturating_sub(margin_ms));
        Some(Tail { epoch: self.epoch, newest, nonce, since_ms, told: false })
    }

    /// Asks the venues for their histories until each has told it.
    pub(super) fn tick_past(&mut self, now: Nanos, fx: &mut Effects) {
        let Some(tail) = &mut self.tail else { return };
        let unread = now.ms_since(self.started) > UNREAD_MS;
        for (venue, facts) in self.venues.iter_mut().enumerate().filter(|(_, facts)| !facts.past_read) {
            let venue = VenueId(venue as u8);
            if now >= facts.next_past {
                facts.next_past = now.plus_ms(ASK_AGAIN_MS);
                fx.push(Effect::Ask(Ask::PastOrders { venue, since_ms: tail.since_ms }));
            }
            if unread && !tail.told {
                tail.told = true;
                let (pair, what) =
                    (Default::default(), Reason::cut("entries held: the history cannot be read"));
                fx.push(Effect::Log(RecordKind::Alarm { pair, venue, what }));
            }
        }
    }

    /// What the venue's history shows beyond the journal may be there more than our books hold.
    pub(super) fn take_past(&mut self, now: Nanos, venue: VenueId, orders: &[PastOrder], fx: &mut Effects) {
        let Some(tail) = self.tail else { return };
        if std::mem::replace(&mut self.venues[venue.index()].past_read, true) {
            return;
        }
        let started_ms = self.started.ms();
        for index in 0..self.pairs.len() {
            let Some(leg) = self.pairs[index].leg_of(venue) else { continue };
            let id = self.pairs[index].settings.id;
            let lost = orders.iter().filter(|past| past.pair == id && tail.lacks(past, started_ms));
            let open = lost.fold(Qty::ZERO, |sum, past| {
                sum.saturating_add(Qty::from_raw(past.qty.raw() * past.side.sign()))
            });
            if !open.is_zero() {
                self.find_lost(now, index, leg, open, fx);
            }
        }
    }

    fn find_lost(&mut self, now: Nanos, index: usize, leg: usize, open: Qty, fx: &mut Effects) {
        let pair = &mut self.pairs[index];
        let (id, venue, known) = (pair.settings.id, pair.settings.venues[leg], pair.unproven(leg, now));
        // A difference that was seen before is explained now.
        (pair.differs[leg], pair.foreign[leg], pair.strangers[leg]) = (None, false, Qty::ZERO);
        pair.lost[leg] = true;
        let open = known.saturating_add(open);
        self.record(Entry::Unproven { pair: id, leg: leg as u8, open, at: now }, fx);
        let what = Reason::cut("orders left that the journal has lost: their fills are ours");
        fx.push(Effect::Log(RecordKind::Alarm { pair: id, venue, what }));
        fx.push(Effect::Ask(Ask::Account { venue }));
    }

    /// The venue's history has still to say whether the journal has lost something.
    pub(super) fn awaits_past(&self, venue: VenueId) -> bool {
        self.tail.is_some() && !self.venues[venue.index()].past_read
    }

    /// What is more on a leg than our books hold may be of an order that the journal has lost.
    pub(super) fn may_be_lost(&self, now: Nanos, venue: VenueId) -> bool {
        self.awaits_past(venue) && now.ms_since(self.started) < UNREAD_MS
    }

    /// What looks like a lone leg right after a start may have its other leg among what the journal has lost.
    pub(super) fn may_be_hedged(&self, now: Nanos, index: usize) -> bool {
        let (pair, ran_ms): (&Pair, u64) = (&self.pairs[index], now.ms_since(self.started));
        let open = |leg: usize| {
            let found = pair.lost[leg] && !pair.unproven(leg, now).is_zero();
            found || (ran_ms < READ_BY_MS && self.awaits_past(pair.settings.venues[leg]))
        };
        self.tail.is_some() && ran_ms < FOUND_BY_MS && (0..2).any(open)
    }
}

impl Tail {
    /// An order of ours that the journal does not know. Where a venue keeps no name of ours its nonce tells: it lies
    /// beyond the last one known, before this run, and by our clock.
    fn lacks(&self, past: &PastOrder, started_ms: u64) -> bool {
        match past.id {
            Some(id) => id.epoch <= self.epoch && (id.epoch, id.seq) > self.newest,
            None => {
                let beyond = past.nonce > self.nonce && past.nonce < started_ms;
                beyond && past.nonce.abs_diff(past.at_ms) <= NONCE_OFF_MS
            }
        }
    }
}
