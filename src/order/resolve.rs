//! An order whose outcome is not known: doubted, asked after, cancelled when it stays pending, and either found or
//! proven dead; never sent again meanwhile (SAFETY rules 1, 2 and 5). Part of `order::core`.

use super::core::{Core, Effect, Effects, holder};
use super::lifecycle::{Need, Order};
use super::misfit::misfit;
use crate::journal::entry::Entry;
use crate::types::order::Reason;
use crate::types::planted::planted;
use crate::types::report::{Ask, CancelSpec, PositionReport};
use crate::types::{
    ClientId, Nanos, OrderReport, OrderSpec, OrderState, Price, Qty, RecordKind, RejectClass,
};

impl Core {
    /// Its outcome is not known from here on: it counts as nothing and as everything until it is resolved.
    pub(super) fn doubt(&mut self, now: Nanos, index: usize, id: ClientId, fx: &mut Effects) {
        if planted("timeout_is_failure") {
            return self.bury(now, index, id, fx);
        }
        let Some(order) = self.pairs[index].order_mut(id) else { return };
        order.ask_soon(now, &self.settings.upkeep.mending.query_at_ms);
        if order.is_live() && order.state != OrderState::Unknown {
            let (venue, pair) = (order.spec.venue, order.spec.pair);
            self.record(Entry::Unknown { id, at: now }, fx);
            fx.push(Effect::Log(RecordKind::OrderUnknown { id, venue, pair, for_ms: 0 }));
        }
    }

    /// Deadlines of the live orders of one pair.
    pub(super) fn tick_orders(&mut self, now: Nanos, index: usize, fx: &mut Effects) {
        for leg in 0..2 {
            let Some(order) = &self.pairs[index].orders[leg] else { continue };
            let id = order.id();
            match order.need(now, &self.settings.execution) {
                Need::Nothing => {}
                Need::Doubt => self.doubt(now, index, id, fx),
                Need::Query => self.query(now, index, id, fx),
                Need::Cancel => self.cancel(now, index, id, fx),
            }
            self.alarm_unknown(now, index, leg, fx);
            self.judge_silence(now, index, id);
        }
    }

    fn alarm_unknown(&mut self, now: Nanos, index: usize, leg: usize, fx: &mut Effects) {
        let Some(order) = &mut self.pairs[index].orders[leg] else { return };
        let waited = now.ms_since(order.unknown_since);
        let limit = u64::from(self.settings.upkeep.mending.unknown_alarm_s) * 1_000;
        let due = order.state == OrderState::Unknown && waited >= limit && !order.alarmed;
        if due {
            order.alarmed = true;
            let (id, venue, pair) = (order.id(), order.spec.venue, order.spec.pair);
            fx.push(Effect::Log(RecordKind::OrderUnknown { id, venue, pair, for_ms: waited }));
        }
    }

    fn query(&mut self, now: Nanos, index: usize, id: ClientId, fx: &mut Effects) {
        let Some(order) = self.pairs[index].order_mut(id) else { return };
        order.asked(now, &self.settings.upkeep.mending.query_at_ms);
        let spec = order.spec;
        let query = order.query();
        let untold = order.ended != Nanos::NEVER;
        let lapsed = now > order.window_end();
        // Death needs an unchanged position too; and what an end left untold is asked for after its row.
        let account = ((lapsed || untold) && order.is_live()).then_some(Ask::Account { venue: spec.venue });
        // A ring that has room for one of them takes the other one the next time.
        let (first, last) = if order.queries % 2 == 0 && !untold { (account, None) } else { (None, account) };
        fx.extend(first.map(Effect::Ask));
        fx.push(Effect::Ask(Ask::Order { venue: spec.venue, query }));
        fx.extend(last.map(Effect::Ask));
    }

    pub(super) fn cancel(&mut self, now: Nanos, index: usize, id: ClientId, fx: &mut Effects) {
        let nonce = self.next_nonce(now);
        let Some(order) = self.pairs[index].order_mut(id) else { return };
        let (venue, pair, venue_id) = (order.spec.venue, order.spec.pair, order.venue_id);
        order.cancelled_at = now;
        order.ask_anew(now, &self.settings.upkeep.mending.query_at_ms);
        self.shelf.spend(venue, nonce);
        let signed_ms = self.signing_ms(venue, now);
        fx.push(Effect::Cancel(CancelSpec { id, venue, pair, venue_id, signed_ms, nonce }));
        if planted("cancel_is_an_end") {
            self.close(now, index, id, Reason::EMPTY, fx);
        }
    }

    /// The venue's answer to a query.
    pub(super) fn take_report(
        &mut self,
        now: Nanos,
        id: ClientId,
        asked: Nanos,
        report: Option<OrderReport>,
        fx: &mut Effects,
    ) {
        let Some(index) = holder(id, &self.pairs) else { return };
        match report {
            Some(report) => self.take_found(now, index, id, asked, &report, fx),
            None => self.take_missing(now, index, id, asked, fx),
        }
        self.settle(now, index, fx);
    }

    fn take_found(
        &mut self,
        now: Nanos,
        index: usize,
        id: ClientId,
        asked: Nanos,
        report: &OrderReport,
        fx: &mut Effects,
    ) {
        let Some(order) = self.pairs[index].order_mut(id) else { return };
        if misfit(&order.spec, report.told).is_some() {
            return self.take_misfit_row(now, index, id, report, fx);
        }
        if !order.is_live() {
            if order.has_shrunk(report, asked) {
                order.shrunk = Nanos::NEVER;
                fx.push(Effect::Ask(Ask::Account { venue: report.venue }));
                return self.halt(now, report.venue, "the venue's history went back", fx);
            }
            if let Some(fill) = order.missing_fill(report).filter(|_| report.terminal) {
                return self.adopt(now, index, id, fill, fx);
            }
            return self.confirm(now, index, id, report, fx);
        }
        let (doubted, known) = (order.state == OrderState::Unknown, order.ended != Nanos::NEVER);
        let untold = order.ends_untold(now, report) && !planted("untold_is_unfilled");
        if untold && known {
            return;
        }
        self.acknowledge(now, index, id, report, fx);
        if untold {
            self.note_silence(now, index, id);
            self.doubt(now, index, id, fx);
            return fx.push(Effect::Ask(Ask::Account { venue: report.venue }));
        }
        let Some(order) = self.pairs[index].order_mut(id) else { return };
        if !report.terminal {
            return;
        }
        match order.missing_fill(report) {
            Some(fill) => {
                self.record(Entry::Filled { id, fill, at: now }, fx);
                self.check_fill(now, index, id, &fill, fx);
            }
            None => self.take_funding(now, index, id, report, fx),
        }
        self.note_silence(now, index, id);
        let (venue, pair, filled) = (report.venue, self.pairs[index].settings.id, report.filled);
        match report.rejected {
            Some(reject) if reject.class != RejectClass::Ambiguous => {
                self.rejected(now, index, id, reject, fx);
            }
            _ => self.close(now, index, id, Reason::EMPTY, fx),
        }
        if doubted {
            fx.push(Effect::Log(RecordKind::OrderResolved { id, venue, pair, filled }));
        }
    }

    /// The venue has it. An event may have acknowledged it before its row named it, and no cancel goes without that
    /// name.
    pub(super) fn acknowledge(
        &mut self,
        now: Nanos,
        index: usize,
        id: ClientId,
        report: &OrderReport,
        fx: &mut Effects,
    ) {
        let Some(order) = self.pairs[index].order_mut(id) else { return };
        let named =
            order.state == OrderState::Acked && order.venue_id.is_empty() && !report.venue_id.is_empty();
        if named || matches!(order.state, OrderState::Intent | OrderState::Sent | OrderState::Unknown) {
            self.record(Entry::Acked { id, venue_id: report.venue_id, at: now }, fx);
        }
    }

    /// The end of an order came by query and the private stream has said nothing of it, though it was up all the time:
    /// what a stream keeps to itself once it may keep again, so that entries wait for a while.
    fn note_silence(&mut self, now: Nanos, index: usize, id: ClientId) {
        let patience = u64::from(self.settings.execution.pending_cancel_ms);
        let Some(order) = self.pairs[index].order_mut(id) else { return };
        // A stream that lags a little keeps nothing to itself.
        order.silent_at = now.max(order.sent_at.plus_ms(patience));
        self.judge_silence(now, index, id);
    }

    fn judge_silence(&mut self, now: Nanos, index: usize, id: ClientId) {
        let pause = u64::from(self.settings.risk.link_cooldown_ms);
        let Some(order) = self.pairs[index].order_mut(id) else { return };
        if order.silent_at == Nanos::NEVER || now < order.silent_at {
            return;
        }
        order.silent_at = Nanos::NEVER;
        let (heard, sent, venue) = (order.heard, order.sent_at, order.spec.venue);
        let facts = &mut self.venues[venue.index()];
        if !heard && facts.ready && sent >= facts.ready_since {
            facts.settled_at = facts.settled_at.max(now.plus_ms(pause));
        }
    }

    /// The row of a closed order: funding that its event did not tell.
    fn confirm(&mut self, now: Nanos, index: usize, id: ClientId, report: &OrderReport, fx: &mut Effects) {
        let Some(order) = self.pairs[index].order_mut(id) else { return };
        if !order.unconfirmed || !report.terminal {
            return;
        }
        order.unconfirmed = false;
        self.take_funding(now, index, id, report, fx);
    }

    /// Funding that a close has settled and none of its fills has told.
    fn take_funding(
        &mut self,
        now: Nanos,
        index: usize,
        id: ClientId,
        report: &OrderReport,
        fx: &mut Effects,
    ) {
        let owes = self.pairs[index].order_mut(id).is_some_and(|order| order.may_owe_funding());
        if owes && !report.funding.is_zero() {
            let (venue, pair, amount) = (report.venue, self.pairs[index].settings.id, report.funding);
            self.record(Entry::Funding { venue, pair, amount, at: now }, fx);
        }
    }

    fn take_missing(&mut self, now: Nanos, index: usize, id: ClientId, asked: Nanos, fx: &mut Effects) {
        let Some(order) = self.pairs[index].order_mut(id) else { return };
        // One that its venue has elsewhere is not found here.
        if !order.disowned {
            order.lags();
        }
        if order.is_live() && (order.not_found(asked) || planted("not_found_is_dead")) {
            self.bury(now, index, id, fx);
        }
    }

    /// An order that ended without a word of what it filled has filled what the position shows (SAFETY rule 2). Reads
    /// may lag for longer than two of them show: what it may have filled beyond that stays ours for a while.
    pub(super) fn measure(
        &mut self,
        now: Nanos,
        index: usize,
        leg: usize,
        asked: Nanos,
        theirs: PositionReport,
        fx: &mut Effects,
    ) {
        let pair = &mut self.pairs[index];
        let held = pair.book.legs[leg].qty;
        let by = pair.nearest(leg, theirs.qty - pair.strangers[leg], asked) - held;
        let alone = held.is_zero() && theirs.qty == by && theirs.entry_price > Price::ZERO;
        // What was held a moment ago is no fill: it is waited for until no read is so old any more.
        let old = !by.is_zero() && pair.is_perhaps_old(leg, theirs.qty - pair.strangers[leg], asked);
        let moved = pair.moved[leg];
        let Some(order) = pair.orders[leg].as_mut().filter(|order| order.is_shown_by(asked)) else { return };
        if asked <= moved || old {
            return;
        }
        let Some(filled) = order.filled_by_position(asked, by) else { return };
        let id = order.id();
        let fill = order.untold_fill(filled, alone.then_some(theirs.entry_price));
        if !filled.is_zero() {
            self.record(Entry::Filled { id, fill, at: now }, fx);
            self.check_fill(now, index, id, &fill, fx);
        }
        let Some(Order { spec, done, .. }) = self.pairs[index].order_mut(id) else { return };
        let OrderSpec { venue, pair, side, qty, .. } = *spec;
        let filled = done.filled;
        // Before the end: a death between the two leaves an order that is measured again.
        if filled < qty {
            let rest = Qty::from_raw((qty - filled).raw() * side.sign());
            let open = self.pairs[index].unproven(leg, now).with(rest);
            self.record(Entry::Unproven { pair, leg: leg as u8, open, at: now }, fx);
        }
        self.close(now, index, id, Reason::EMPTY, fx);
        fx.push(Effect::Log(RecordKind::OrderResolved { id, venue, pair, filled }));
    }

    /// Proven never to have arrived (SAFETY O2).
    pub(super) fn bury(&mut self, now: Nanos, index: usize, id: ClientId, fx: &mut Effects) {
        let Some(order) = self.pairs[index].order_mut(id) else { return };
        let (venue, pair, sent_at) = (order.spec.venue, order.spec.pair, order.sent_at);
        let (leg, dead) = (order.leg, order.window_end());
        let (state, reason) = (OrderState::NeverAccepted, Reason::cut("never arrived"));
        self.reveal(now, venue, sent_at);
        self.record(Entry::Closed { id, state, filled: Qty::ZERO, reason, at: now }, fx);
        fx.push(Effect::Log(RecordKind::OrderResolved { id, venue, pair, filled: Qty::ZERO }));
        self.share_after(index, leg, dead);
    }
}
