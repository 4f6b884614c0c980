//! Positions that the venues show against those of our fills (SAFETY V1 to V3, V13). What is missing there is gone: our
//! books follow, and the other leg is mended like any lone one. What is more there is not ours: it is never touched and
//! blocks entries until a person adopts it. Part of `order::core`.

use super::core::{Core, Effect, Effects};
use super::facts::VenueFacts;
use super::lifecycle::Order;
use super::mend;
use super::pair::{Adopting, Difference, LATE_FILL_MS, Pair, Phase};
use crate::journal::entry::Entry;
use crate::position::Adjustment;
use crate::types::order::Reason;
use crate::types::planted::planted;
use crate::types::report::{AccountReport, Ask, PositionReport};
use crate::types::{Nanos, PairId, Price, Qty, RecordKind, Side, StopReason, VenueId};

/// A difference is believed when the venue shows it twice, this long apart, ms.
const TWICE_AFTER_MS: u64 = 500;
/// A report that was asked for so long after such news ends the close look: reads do not lag further behind, ms.
const SUSPECT_MS: u64 = 10_000;
/// Positions that are adopted together were asked for within this, ms.
const ADOPT_APART_MS: u64 = 5_000;
/// A late fill is told when no position that was asked for after it has come for so long, ms.
const LATE_UNREAD_MS: u64 = 5_000;

impl VenueFacts {
    /// A fill came too late, and nobody can say what it did.
    fn is_late_fill_unread(&self, now: Nanos) -> bool {
        let unread = self.stated.is_none_or(|asked| asked < self.late_fill);
        self.late_fill != Nanos::NEVER && unread && now.ms_since(self.late_fill) > LATE_UNREAD_MS
    }
}

impl Core {
    /// One leg's position against the venue's.
    pub(super) fn compare(
        &mut self,
        now: Nanos,
        index: usize,
        leg: usize,
        asked: Nanos,
        report: &AccountReport,
        fx: &mut Effects,
    ) {
        let theirs = report.positions[index];
        if planted("positions_not_compared") {
            return;
        }
        self.note_adoption(now, index, leg, asked, theirs, fx);
        self.measure(now, index, leg, asked, theirs, fx);
        let pair = &mut self.pairs[index];
        let ours = pair.book.legs[leg].qty;
        let all_there = hides_ours(pair, leg, theirs.qty) || split(ours, theirs.qty).0.is_zero();
        if all_there {
            pair.confirmed[leg] = pair.confirmed[leg].max(asked);
        }
        if ours == theirs.qty {
            return self.agree(now, index, leg, asked, fx);
        }
        if pair.foreign[leg] && all_there {
            if asked > pair.touched {
                pair.differs[leg] = None;
                self.share(now, index, leg, asked, theirs.qty - ours, fx);
            }
            return;
        }
        let first = self.first_sight(now, index, leg, theirs.qty, asked, fx);
        let urgent = self.is_suspect(index, leg, theirs.qty, asked);
        let pair = &self.pairs[index];
        let caught_up = |asked: Nanos| pair.has_caught_up(leg, asked);
        // What a live order of ours may have done is put aside: no more than its size, and nothing that was there
        // before it left.
        let own = pair.nearest(leg, theirs.qty, if caught_up(first) { first } else { asked });
        // What an end without a word may have filled, and the leg has never held, is no old read.
        let grown = !pair.unproven(leg, now).is_zero() && !pair.is_perhaps_old(leg, theirs.qty, asked);
        let settled = caught_up(asked) || ((urgent || grown) && asked > pair.touched);
        let again = asked >= first.plus_ms(TWICE_AFTER_MS);
        if own == theirs.qty || !settled || !(again || urgent) {
            return;
        }
        let shown = theirs.qty - (own - ours);
        let (gone, more) = split(ours, shown);
        let gone = if caught_up(asked) { gone } else { least_gone(pair, leg, shown, gone) };
        // What may still grow explains more, never less: that may be a read which lags behind our last change.
        if !gone.is_zero() && !caught_up(asked) && !urgent {
            return;
        }
        // So may one that shows what was held before that beside what is more.
        if !caught_up(asked) && shows_held(pair, leg, shown, more) && !pair.unproven(leg, now).explains(more)
        {
            return;
        }
        // Whose it is its venue's history has still to say: nothing is opened meanwhile, and it is looked at again. The
        // next order has not filled it.
        let unread = self.may_be_lost(now, pair.settings.venues[leg]) && !pair.adopted;
        if !more.is_zero() && unread && pair.unproven(leg, now).is_zero() {
            self.pairs[index].strangers[leg] = shown - ours;
            return;
        }
        // Of a share the other way round the netting has left nothing where all that is shown is ours.
        let pair = &mut self.pairs[index];
        (pair.differs[leg], pair.shared_at[leg], pair.strangers[leg]) = (None, asked, Qty::ZERO);
        pair.foreign[leg] &= !more.is_zero();
        if !gone.is_zero() && !planted("gone_leg_ignored") {
            self.lose(now, index, leg, gone, fx);
        }
        if !more.is_zero() {
            self.find_more(now, index, leg, more, fx);
        }
    }

    /// A position is just what our books hold. A report asked for before our last change proves nothing, nor does one
    /// in which a share that was known may hide what an order of ours has filled.
    fn agree(&mut self, now: Nanos, index: usize, leg: usize, asked: Nanos, fx: &mut Effects) {
        let pair = &mut self.pairs[index];
        let may_hide = !pair.strangers[leg].is_zero() && pair.live_orders().any(|order| order.leg == leg);
        if asked > pair.touched && !may_hide {
            (pair.differs[leg], pair.foreign[leg], pair.strangers[leg]) = (None, false, Qty::ZERO);
            pair.lost[leg] &= !pair.shows_lost(leg, asked);
            self.bury_if_dead(now, index, leg, asked, fx);
        }
    }

    /// A stranger's share of a leg, as a position shows it that our last change is in. One that no order of ours can
    /// have changed is as large as it is now; one that was known before an order left, and is the same, says that
    /// nothing of that order has filled.
    fn share(&mut self, now: Nanos, index: usize, leg: usize, asked: Nanos, more: Qty, fx: &mut Effects) {
        let pair = &mut self.pairs[index];
        let sent = pair.live_orders().find(|order| order.leg == leg).map(|order| order.sent_at);
        match sent {
            None => (pair.strangers[leg], pair.shared_at[leg]) = (more, asked),
            Some(sent) if sent > pair.shared_at[leg] && more == pair.strangers[leg] => {
                self.bury_if_dead(now, index, leg, asked, fx);
            }
            Some(_) => {}
        }
    }

    /// Nothing of an order that is dead has filled: what was stated so long after it is a stranger's share. The next
    /// order may leave at once.
    pub(super) fn share_after(&mut self, index: usize, leg: usize, dead: Nanos) {
        let pair = &mut self.pairs[index];
        let facts = &self.venues[pair.settings.venues[leg].index()];
        let (Some(asked), Some(stated)) = (facts.stated, facts.account) else { return };
        let late = asked >= dead.plus_ms(SUSPECT_MS) && pair.has_caught_up(leg, asked);
        if pair.strangers[leg].is_zero() || !late {
            return;
        }
        let (ours, theirs) = (pair.book.legs[leg].qty, stated.positions[index].qty);
        if split(ours, theirs).0.is_zero() {
            (pair.strangers[leg], pair.shared_at[leg]) = (theirs - ours, asked);
            pair.foreign[leg] &= ours != theirs;
        }
    }

    /// When this difference was first asked for. Its first sight asks for what our own orders explain, and for a second
    /// look after a while.
    fn first_sight(
        &mut self,
        now: Nanos,
        index: usize,
        leg: usize,
        theirs: Qty,
        asked: Nanos,
        fx: &mut Effects,
    ) -> Nanos {
        let look_at = now.plus_ms(TWICE_AFTER_MS);
        let pair = &mut self.pairs[index];
        let moved = pair.moved[leg];
        // What was shown before our own last change is another difference.
        let same = |seen: &&mut Difference| seen.theirs == theirs && (seen.asked > moved || asked <= moved);
        if let Some(seen) = pair.differs[leg].as_mut().filter(same) {
            seen.look_at = look_at;
            return seen.asked;
        }
        pair.differs[leg] = Some(Difference { theirs, asked, look_at });
        let last = pair.orders[leg].as_ref().map(Order::query);
        let venue = pair.settings.venues[leg];
        fx.extend(last.map(|query| Effect::Ask(Ask::Order { venue, query })));
        asked
    }

    /// The venue has told of a liquidation or of a late fill, and this was asked for after it: the first sight counts;
    /// but reads may lag, and what was held a moment ago proves nothing.
    fn is_suspect(&self, index: usize, leg: usize, shown: Qty, asked: Nanos) -> bool {
        let pair = &self.pairs[index];
        let facts = &self.venues[pair.settings.venues[leg].index()];
        facts.suspect != Nanos::NEVER && asked > facts.suspect && !pair.is_perhaps_old(leg, shown, asked)
    }

    /// A venue shows what our books do not, or may do so: nothing is opened before it is explained or adopted.
    pub(super) fn is_strange(&self, pair: &Pair) -> bool {
        let suspect = |venue: &VenueId| self.venues[venue.index()].suspect != Nanos::NEVER;
        let unread = |venue: &VenueId| self.awaits_past(*venue) && !pair.adopted;
        let left_over = |venue: &VenueId| self.venues[venue.index()].left_over;
        let strange = |venue: &VenueId| suspect(venue) || unread(venue) || left_over(venue);
        pair.is_strange() || pair.settings.venues.iter().any(strange)
    }

    /// After such news a venue is asked at once and often, until a read has come that has caught up: those that got no
    /// answer have shown nothing. So is one that has ended an order without a word of what it filled.
    pub(super) fn look_urgently(&mut self, now: Nanos, fx: &mut Effects) {
        for venue in (0..self.venues.len()).map(|venue| VenueId(venue as u8)) {
            let leg_grows =
                |pair: &Pair| pair.leg_of(venue).is_some_and(|leg| pair.may_grow(leg, now, SUSPECT_MS));
            let facts = &mut self.venues[venue.index()];
            if facts.is_late_fill_unread(now) && facts.told_late < facts.late_fill {
                facts.told_late = now;
                let (pair, what) = (PairId(0), Reason::cut("late fill of a closed order, position not read"));
                fx.push(Effect::Log(RecordKind::Alarm { pair, venue, what }));
            }
            let facts = &self.venues[venue.index()];
            let wanted = facts.suspect != Nanos::NEVER || self.pairs.iter().any(leg_grows);
            if wanted && now >= facts.next_look {
                self.venues[venue.index()].next_look = now.plus_ms(TWICE_AFTER_MS);
                fx.push(Effect::Ask(Ask::Account { venue }));
            }
        }
    }

    /// A report has been compared; it ends the close look when it has caught up with what that was for.
    pub(super) fn looked(&mut self, venue: VenueId, asked: Nanos) {
        let suspect = &mut self.venues[venue.index()].suspect;
        if asked >= suspect.plus_ms(SUSPECT_MS) {
            *suspect = Nanos::NEVER;
        }
    }

    /// Asks for the next look when it is due.
    pub(super) fn look_again(&mut self, now: Nanos, index: usize, fx: &mut Effects) {
        let pair = &mut self.pairs[index];
        for leg in 0..2 {
            let venue = pair.settings.venues[leg];
            if let Some(seen) = pair.differs[leg].as_mut().filter(|seen| now >= seen.look_at) {
                seen.look_at = now.plus_ms(TWICE_AFTER_MS);
                fx.push(Effect::Ask(Ask::Account { venue }));
            }
        }
    }

    /// A stream told a position. Its age is not known, so that it only hastens the comparison.
    pub(super) fn hear_position(&self, venue: VenueId, pair: PairId, qty: Qty, fx: &mut Effects) {
        let Some(pair) = self.pairs.get(pair.index()) else { return };
        let Some(leg) = pair.leg_of(venue) else { return };
        if pair.book.legs[leg].qty != qty && !pair.has_live_orders() {
            fx.push(Effect::Ask(Ask::Account { venue }));
        }
    }

    /// Part of what we hold is not there any more: the books follow, and what it hedged is mended.
    fn lose(&mut self, now: Nanos, index: usize, leg: usize, gone: Qty, fx: &mut Effects) {
        let venue = self.pairs[index].settings.venues[leg];
        self.adjust(now, index, leg, Qty::ZERO - gone, None, fx);
        let pair = &mut self.pairs[index];
        if pair.phase == Phase::Idle {
            pair.phase = Phase::Closing(StopReason::Gone);
        }
        let (id, what) = (pair.settings.id, Reason::cut("a held leg is gone at its venue"));
        fx.push(Effect::Log(RecordKind::Alarm { pair: id, venue, what }));
        self.reduce(now, what.as_str(), fx);
    }

    /// More than ours is there. A late fill of ours explains it; else it is a stranger's.
    fn find_more(&mut self, now: Nanos, index: usize, leg: usize, more: Qty, fx: &mut Effects) {
        let venue = self.pairs[index].settings.venues[leg];
        let late = self.venues[venue.index()].late_fill;
        if late != Nanos::NEVER && now.ms_since(late) < LATE_FILL_MS {
            self.adjust(now, index, leg, more, None, fx);
            self.reopen(index);
            return self.halt(now, venue, "late fill of a closed order", fx);
        }
        if self.take_unproven(now, index, leg, more, fx) {
            return;
        }
        let pair = &mut self.pairs[index];
        (pair.foreign[leg], pair.strangers[leg]) = (true, more);
        let (id, ours) = (pair.settings.id, pair.book.legs[leg].qty);
        fx.push(Effect::Log(RecordKind::Foreign { venue, pair: id, qty: ours + more, ours }));
    }

    /// An order of ours that might have filled is out of the way: what it hid of a late fill is explained anew.
    pub(super) fn reveal(&mut self, now: Nanos, venue: VenueId, since: Nanos) {
        let late = &mut self.venues[venue.index()].late_fill;
        if *late != Nanos::NEVER && late.plus_ms(LATE_FILL_MS) > since {
            *late = now;
        }
    }

    /// What an order of ours may have filled before it was cancelled, and reads that lagged did not show: it is mended.
    fn take_unproven(&mut self, now: Nanos, index: usize, leg: usize, more: Qty, fx: &mut Effects) -> bool {
        let pair = &self.pairs[index];
        let open = pair.unproven(leg, now);
        if !open.explains(more) {
            return false;
        }
        let (id, venue) = (pair.settings.id, pair.settings.venues[leg]);
        self.adjust(now, index, leg, more, None, fx);
        self.record(Entry::Unproven { pair: id, leg: leg as u8, open: open.less(more), at: now }, fx);
        self.pairs[index].lost[leg] = false;
        self.reopen(index);
        let what = Reason::cut("late fill of a cancelled order");
        fx.push(Effect::Log(RecordKind::Alarm { pair: id, venue, what }));
        true
    }

    /// A person wants this pair to be what the venues hold. Both are read anew, and taken together.
    pub(super) fn adopt_positions(&mut self, now: Nanos, pair: PairId, fx: &mut Effects) {
        let Some(pair) = self.pairs.get_mut(pair.index()) else { return };
        pair.adopting = Some(Adopting { since: now, shown: [None; 2] });
        fx.extend(pair.settings.venues.map(|venue| Effect::Ask(Ask::Account { venue })));
    }

    fn note_adoption(
        &mut self,
        now: Nanos,
        index: usize,
        leg: usize,
        asked: Nanos,
        theirs: PositionReport,
        fx: &mut Effects,
    ) {
        let pair = &mut self.pairs[index];
        let busy = pair.has_live_orders();
        let Some(Adopting { since, shown }) = &mut pair.adopting else { return };
        shown[leg] = Some((asked, theirs));
        // What was asked for before our own last change may show what is no more.
        let (shown, since) = (*shown, *since);
        let settled = |asked: Nanos| {
            asked >= since && asked > pair.touched && (0..2).all(|leg| pair.has_caught_up(leg, asked))
        };
        let [Some(a), Some(b)] = shown.map(|shown| shown.filter(|(asked, _)| settled(*asked))) else {
            return;
        };
        if busy {
            return;
        }
        // One venue may have been away meanwhile: what the other held before that is not what it holds.
        let (older, apart) = (usize::from(b.0 < a.0), a.0.ms_since(b.0).max(b.0.ms_since(a.0)));
        if apart > ADOPT_APART_MS {
            return fx.push(Effect::Ask(Ask::Account { venue: pair.settings.venues[older] }));
        }
        pair.adopting = None;
        for (leg, (_, theirs)) in [a, b].into_iter().enumerate() {
            let more = theirs.qty - self.pairs[index].book.legs[leg].qty;
            if !more.is_zero() {
                self.adjust(now, index, leg, more, Some(theirs.entry_price), fx);
            }
            let pair = &mut self.pairs[index];
            (pair.differs[leg], pair.foreign[leg], pair.strangers[leg]) = (None, false, Qty::ZERO);
        }
        self.reopen(index);
        self.settle_past(index, fx);
    }

    /// What is held now has to be settled: it is a pair, a lone leg, or nothing.
    fn reopen(&mut self, index: usize) {
        let pair = &mut self.pairs[index];
        if pair.phase == Phase::Idle {
            pair.phase = Phase::Opening;
        }
    }

    /// Journals a change of `by` (signed) that no order of ours explains, at the best price known.
    fn adjust(
        &mut self,
        now: Nanos,
        index: usize,
        leg: usize,
        by: Qty,
        price: Option<Price>,
        fx: &mut Effects,
    ) {
        let pair = &self.pairs[index];
        let side = if by.raw() > 0 { Side::Buy } else { Side::Sell };
        let told = price.filter(|price| price.raw() > 0);
        let price = told.or_else(|| mend::best_price(pair, leg, side)).unwrap_or(pair.book.reference);
        let by = Adjustment { leg: leg as u8, side, qty: by.abs(), price };
        self.record(Entry::Adjusted { pair: pair.settings.id, by, at: now }, fx);
    }

    fn bury_if_dead(&mut self, now: Nanos, index: usize, leg: usize, asked: Nanos, fx: &mut Effects) {
        let Some(order) = &mut self.pairs[index].orders[leg] else { return };
        if order.is_live() && asked > order.window_end() {
            order.position_clean = true;
            if order.is_provably_dead() {
                let id = order.id();
                self.bury(now, index, id, fx);
            }
        }
    }
}

/// A read that may be older than our last changes: as much has gone of the leg as it shows of what was held on the way
/// too, and the next read tells the rest.
fn least_gone(pair: &Pair, leg: usize, shown: Qty, gone: Qty) -> Qty {
    // What was held the other way round says nothing of what has gone of this.
    let same_way = |one: Qty| one.raw().signum() == gone.raw().signum();
    let of = |held: &Qty| match split(*held, shown) {
        (one, more) if more.is_zero() && same_way(one) => Some(one),
        _ => None,
    };
    let least = pair.lately[leg].held().iter().filter_map(of).min_by_key(|one| one.abs());
    least.filter(|one| one.abs() < gone.abs()).unwrap_or(gone)
}

/// What is more than ours in this read is less where it is beside what the leg has held on the way.
fn shows_held(pair: &Pair, leg: usize, shown: Qty, more: Qty) -> bool {
    pair.lately[leg].held().iter().any(|held| {
        let (gone, rest) = split(*held, shown);
        gone.is_zero() && rest.abs() < more.abs()
    })
}

/// A stranger's share that was known and is the other way round is larger than our leg: the position of both shows none
/// of ours, which is all there while it hedges. Once it is to go, nothing of it can be closed there: it has gone.
fn hides_ours(pair: &Pair, leg: usize, theirs: Qty) -> bool {
    let ours = pair.book.legs[leg].qty;
    let as_known = pair.foreign[leg] && theirs - ours == pair.strangers[leg];
    let none_shown = split(ours, theirs).0 == ours;
    let has_to_go = pair.is_lone() && mend::heavy_leg(pair) == leg;
    as_known && none_shown && !has_to_go
}

/// What of our position is gone at the venue, and what is more there than ours; both signed like the positions.
fn split(ours: Qty, theirs: Qty) -> (Qty, Qty) {
    let same_side = ours.raw().signum() * theirs.raw().signum() > 0;
    let kept = match same_side {
        true if theirs.abs() < ours.abs() => theirs,
        true => ours,
        false => Qty::ZERO,
    };
    (ours - kept, theirs - kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_what_is_gone_and_what_is_more() {
        let parts = |ours, theirs| {
            let (gone, more) = split(Qty::from_raw(ours), Qty::from_raw(theirs));
            (gone.raw(), more.raw())
        };
        assert_eq!(parts(5, 3), (2, 0));
        assert_eq!(parts(-5, 0), (-5, 0));
        assert_eq!(parts(5, 8), (0, 3));
        assert_eq!(parts(0, -4), (0, -4));
        assert_eq!(parts(5, -2), (5, -2), "the wrong way round: ours is gone, and another's is there");
    }
}
