//! Orders that left and that the journal does not know: the machine died before the disk had them (SAFETY 2.2, K2). The
//! venues' histories since the journal's last order are read until all that was in flight has arrived; what bears a
//! name of that run beyond the last one known is ours, and what it may have filled is mended like any late fill. A run
//! that ends before leaves that to the next one. Part of `order::core`.

use super::core::{Core, Effect, Effects};
use super::pair::Pair;
use crate::journal::entry::{Entry, History, Newest, Tail, Unproven};
use crate::types::order::Reason;
use crate::types::planted::planted;
use crate::types::report::{Ask, PastOrder};
use crate::types::{Nanos, OrderSpec, Qty, RecordKind, VenueId};

/// How far before the journal's last order the histories are read, ms: clocks differ.
const MARGIN_MS: u64 = 60_000;
/// The same where the journal knows of no order: runs that died in their start may have followed the one that traded.
const MARGIN_EMPTY_MS: u64 = 3_600_000;
/// Nonces follow our clock, and the venue posts an order within its window, ms.
const NONCE_OFF_MS: u64 = 5_000;
/// A history without an answer is asked for again after this, ms.
const ASK_AGAIN_MS: u64 = 2_000;
/// One that was asked for so long after the start holds all that the run before has sent: what was in flight has
/// arrived or lapsed, and reads lag no more, ms.
const ARRIVED_MS: u64 = 6_000;
/// A history that has not come by then is told, and a position that nothing explains is called a stranger's, ms.
const UNREAD_MS: u64 = 10_000;
/// So long after a start a lone leg waits for the histories, ms; and once they show a lost order, for the positions
/// that tell what it filled: those are believed once reads lag no more.
const READ_BY_MS: u64 = 3_000;
const FOUND_FOR_MS: u64 = 6_000;

impl Core {
    /// The recovered journal has ended, perhaps without a word: then both histories are to be read. What the run before
    /// has not read is read with it. Call before anything of the new run.
    pub(super) fn note_torn(&mut self, at: Nanos) {
        if self.ended || self.epoch == 0 || planted("lost_tail_ignored") {
            return;
        }
        let (epoch, before_ms) = (self.epoch, at.ms());
        let last = self.venues.iter().map(|facts| facts.history.newest.at).max().unwrap_or_default();
        let (last_ms, margin_ms) = match last {
            Nanos::NEVER => (u64::from(epoch) * 1_000, MARGIN_EMPTY_MS),
            at => (at.ms(), MARGIN_MS),
        };
        for History { newest, unread } in self.venues.iter_mut().map(|facts| &mut facts.history) {
            let (newest, since_ms) = unread.map_or_else(
                || (*newest, last_ms.saturating_sub(margin_ms)),
                |older: Tail| (older.newest, older.since_ms),
            );
            *unread = Some(Tail { epoch, newest, since_ms, before_ms });
        }
    }

    /// An intent of ours is known.
    pub(super) fn note_newest(&mut self, spec: &OrderSpec, at: Nanos) {
        let Some(facts) = self.venues.get_mut(spec.venue.index()) else { return };
        facts.history.newest = Newest { epoch: spec.id.epoch, seq: spec.id.seq, nonce: spec.nonce, at };
    }

    /// Asks the venues for their histories until each has told it.
    pub(super) fn tick_past(&mut self, now: Nanos, fx: &mut Effects) {
        let overdue = now.ms_since(self.started) > UNREAD_MS;
        for venue in (0..self.venues.len()).map(|venue| VenueId(venue as u8)) {
            let Some(tail) = self.unread(venue) else { continue };
            let finds = self.finds_lost(venue);
            let facts = &mut self.venues[venue.index()];
            if now >= facts.next_past {
                facts.next_past = now.plus_ms(ASK_AGAIN_MS);
                fx.push(Effect::Ask(Ask::PastOrders { venue, since_ms: tail.since_ms }));
            }
            if overdue && !finds && !facts.told_past {
                facts.told_past = true;
                let (pair, what) =
                    (Default::default(), Reason::cut("entries held: the history cannot be read"));
                fx.push(Effect::Log(RecordKind::Alarm { pair, venue, what }));
            }
        }
    }

    /// What the venue's history shows beyond the journal may be there more than our books hold.
    pub(super) fn take_past(
        &mut self,
        now: Nanos,
        venue: VenueId,
        asked: Nanos,
        orders: &[PastOrder],
        fx: &mut Effects,
    ) {
        let Some(tail) = self.unread(venue) else { return };
        self.lost_nonces.retain(|(of, _)| *of != venue);
        for index in 0..self.pairs.len() {
            let pair = &self.pairs[index];
            let Some(leg) = pair.leg_of(venue) else { continue };
            let lost = orders.iter().filter(|past| past.pair == pair.settings.id);
            let lost: Vec<&PastOrder> =
                lost.filter(|past| lacks(&tail, past) && !is_known(pair, past)).collect();
            let sizes = lost.iter().map(|past| Qty::from_raw(past.qty.raw() * past.side.sign()));
            let total = sizes.fold(Unproven::default(), Unproven::with);
            let total = total.widened(self.pairs[index].found[leg]);
            let nonces = lost.iter().filter(|past| past.id.is_none()).map(|past| (venue, past.nonce));
            self.lost_nonces.extend(nonces);
            let found = &mut self.pairs[index].found[leg];
            let before = std::mem::replace(found, total);
            if total != before && !self.pairs[index].adopted {
                let open = Unproven { sold: total.sold - before.sold, bought: total.bought - before.bought };
                self.find_lost(now, index, leg, open, fx);
            }
        }
        // What they have filled is journalled first: another death would hide it.
        if asked >= self.started.plus_ms(ARRIVED_MS) && !self.finds_lost(venue) {
            self.close_past(venue, tail, fx);
        }
    }

    /// Lost orders were found there, and a position has still to show what they filled.
    fn finds_lost(&self, venue: VenueId) -> bool {
        self.pairs.iter().any(|pair| pair.leg_of(venue).is_some_and(|leg| pair.lost[leg]))
    }

    fn find_lost(&mut self, now: Nanos, index: usize, leg: usize, open: Unproven, fx: &mut Effects) {
        let pair = &mut self.pairs[index];
        let (id, venue, known) = (pair.settings.id, pair.settings.venues[leg], pair.unproven(leg, now));
        // A difference that was seen before is explained now.
        (pair.differs[leg], pair.foreign[leg], pair.strangers[leg]) = (None, false, Qty::ZERO);
        pair.lost[leg] = true;
        let open = known.with(open.sold).with(open.bought);
        self.record(Entry::Unproven { pair: id, leg: leg as u8, open, at: now }, fx);
        let what = Reason::cut("orders left that the journal has lost: their fills are ours");
        fx.push(Effect::Log(RecordKind::Alarm { pair: id, venue, what }));
        // They may still be open.
        self.venues[venue.index()].left_over = true;
        fx.extend([Ask::OpenOrders { venue }, Ask::Account { venue }].map(Effect::Ask));
    }

    /// The history was read up to this run: what it held is known, whatever becomes of this run.
    fn close_past(&mut self, venue: VenueId, tail: Tail, fx: &mut Effects) {
        let History { newest, .. } = self.venues[venue.index()].history;
        let nonce = newest.nonce.max(tail.before_ms);
        let read = Newest { epoch: tail.epoch, seq: u32::MAX, nonce, at: newest.at };
        let history = History { newest: newest.max(read), unread: None };
        self.record(Entry::History { venue, history }, fx);
    }

    /// A person took a pair as its venues hold it: once all of a venue are, nothing that was lost there matters.
    pub(super) fn settle_past(&mut self, index: usize, fx: &mut Effects) {
        self.pairs[index].adopted = true;
        for venue in self.pairs[index].settings.venues {
            let settled = |pair: &Pair| pair.leg_of(venue).is_none() || pair.adopted;
            if let Some(tail) = self.unread(venue).filter(|_| self.pairs.iter().all(settled)) {
                self.close_past(venue, tail, fx);
            }
        }
    }

    /// What is still to be read of a venue's history; nobody can be asked in paper mode.
    fn unread(&self, venue: VenueId) -> Option<Tail> {
        self.venues[venue.index()].history.unread.filter(|_| !self.paper)
    }

    /// The venue's history has still to say whether the journal has lost something.
    pub fn awaits_past(&self, venue: VenueId) -> bool {
        self.unread(venue).is_some()
    }

    /// What is more on a leg than our books hold may be of an order that the journal has lost.
    pub(super) fn may_be_lost(&self, now: Nanos, venue: VenueId) -> bool {
        self.awaits_past(venue) && now.ms_since(self.started) < UNREAD_MS
    }

    /// What looks like a lone leg right after a start may have its other leg among what the journal has lost.
    pub(super) fn may_be_hedged(&self, now: Nanos, index: usize) -> bool {
        let pair = &self.pairs[index];
        let starts = now.ms_since(self.started) < READ_BY_MS;
        let open = |leg: usize| {
            let found = pair.lost[leg] && pair.may_grow(leg, now, FOUND_FOR_MS);
            found || (starts && self.awaits_past(pair.settings.venues[leg]))
        };
        (0..2).any(open)
    }

    /// What is missing of a leg may be there, by an order that the journal has lost: to bring it would bring it twice.
    pub(super) fn may_hold_lost(&self, pair: &Pair, leg: usize) -> bool {
        pair.lost[leg] || (self.awaits_past(pair.settings.venues[leg]) && !pair.adopted)
    }
}

/// An order of ours that the journal does not know. Where a venue keeps no name of ours its nonce tells: it lies beyond
/// the last one known, before the next run, and by our clock.
fn lacks(tail: &Tail, past: &PastOrder) -> bool {
    match past.id {
        Some(id) => id.epoch <= tail.epoch && (id.epoch, id.seq) > (tail.newest.epoch, tail.newest.seq),
        None => {
            let beyond = past.nonce > tail.newest.nonce && past.nonce < tail.before_ms;
            beyond && past.nonce.abs_diff(past.at_ms) <= NONCE_OFF_MS
        }
    }
}

/// A run that died before it had read the history may have sent it, and told its journal.
fn is_known(pair: &Pair, past: &PastOrder) -> bool {
    let mut orders = pair.orders.iter().flatten().filter(|order| order.spec.side == past.side);
    orders.any(|order| past.id.map_or(order.spec.nonce == past.nonce, |id| id == order.id()))
}
