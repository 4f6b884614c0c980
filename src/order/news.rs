//! What the venues say of our orders, and what it makes of them: outcomes of writes, private events, answers to
//! queries. Each is idempotent and may come in any order (SAFETY O14–O19). Part of `order::core`.

use super::core::{Core, Effect, Effects, holder};
use super::lifecycle::Order;
use super::pair::Phase;
use crate::journal::entry::Entry;
use crate::types::order::{Reason, VenueOrderId};
use crate::types::planted::planted;
use crate::types::record::{Role, Stamps};
use crate::types::report::{Ask, OrderKey, TraderEvent};
use crate::types::{
    ClientId, Fill, Mode, Nanos, OrderNews, OrderReport, OrderState, Price, Qty, RecordKind, Reject,
    RejectClass, Told, VenueId,
};

/// A venue that said "later" is left alone for this long, ms; the other leg's is not.
const RETRY_LATER_MS: u64 = 1_000;

/// As long at most where the venue names a time of its own, ms: it may ask for a minute, and a leg that is alone has to
/// come home within five seconds of its first fill (SAFETY §7), which leaves room for two tries.
const CLOSES_LATER_MAX_MS: u64 = 2_000;

/// And opens nothing for this long, ms.
const ENTRIES_LATER_MS: u64 = 5_000;
/// A mending order is cut to no less than 1/16 of what is missing.
const HALVINGS_MAX: u32 = 4;

/// What became of the write of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    Written {
        at: Nanos,
        nth: u8,
    },
    /// Not one byte left.
    Nothing(Reason),
    /// It may have left.
    Unclear,
}

impl Core {
    /// The thread reports what became of an `Effect::Send`. Call before the next step.
    pub fn sent(&mut self, now: Nanos, id: ClientId, outcome: SendOutcome, fx: &mut Effects) {
        let Some(index) = holder(id, &self.pairs) else { return };
        match outcome {
            SendOutcome::Written { at, nth } => {
                self.record(Entry::Sent { id, at }, fx);
                self.log_placed(index, id, at, nth, fx);
            }
            SendOutcome::Nothing(reason) => {
                let state = OrderState::NeverAccepted;
                self.record(Entry::Closed { id, state, filled: Qty::ZERO, reason, at: now }, fx);
                self.settle(now, index, fx);
            }
            SendOutcome::Unclear => {
                self.record(Entry::Sent { id, at: now }, fx);
                self.doubt(now, index, id, fx);
            }
        }
    }

    fn log_placed(&mut self, index: usize, id: ClientId, at: Nanos, nth: u8, fx: &mut Effects) {
        let Some(order) = self.pairs[index].order_mut(id) else { return };
        order.stamps.t_send = at;
        let spec = order.spec;
        fx.push(Effect::Log(RecordKind::OrderPlaced {
            id,
            venue: spec.venue,
            pair: spec.pair,
            side: spec.side,
            purpose: spec.purpose,
            qty: spec.qty,
            limit: spec.limit,
            nth,
            stamps: Stamps { t_send: at, ..order.stamps },
        }));
    }

    pub(super) fn take_news(&mut self, now: Nanos, venue: VenueId, event: TraderEvent, fx: &mut Effects) {
        match event {
            TraderEvent::Order { key, news, t_venue } => {
                self.note_time(venue, key, t_venue);
                self.take_order_news(now, venue, key, news, fx);
            }
            TraderEvent::Ready(ready) => self.set_ready(now, venue, ready, fx),
            TraderEvent::LinkDown { role, why } => self.link_down(now, venue, role, why, fx),
            TraderEvent::LinkRefused { role, why, mend } => {
                fx.push(Effect::Log(RecordKind::LinkRefused { venue, role, why, mend }));
            }
            TraderEvent::LinkUp { role } => fx.push(Effect::Log(RecordKind::LinkUp { venue, role })),
            TraderEvent::BadFrame { why } => fx.push(Effect::Log(RecordKind::BadFrame { venue, why })),
            TraderEvent::Limited { for_ms } => {
                self.hold_entries(now, venue, u64::from(for_ms));
                let closes_ms = u64::from(for_ms).min(CLOSES_LATER_MAX_MS);
                self.venues[venue.index()].closes_later = now.plus_ms(closes_ms);
            }
            TraderEvent::Account { equity, free } => {
                if let Some(account) = &mut self.venues[venue.index()].account {
                    (account.equity, account.free_margin) = (equity, free);
                }
                self.watch_margin(now, venue, None, fx);
            }
            TraderEvent::Position { pair, qty } => self.hear_position(venue, pair, qty, fx),
            TraderEvent::Liquidation => {
                self.halt(now, venue, "account in liquidation", fx);
                self.suspect(now, venue, fx);
            }
        }
    }

    pub(super) fn take_order_news(
        &mut self,
        now: Nanos,
        venue: VenueId,
        key: OrderKey,
        news: OrderNews,
        fx: &mut Effects,
    ) {
        let found = self.find(venue, key).or_else(|| match news {
            OrderNews::Busted(fill) => self.find_by_fill(venue, fill),
            _ => None,
        });
        let Some((index, id)) = found else {
            return self.stranger(now, venue, key, news, fx);
        };
        if let (Some(order), false) = (self.pairs[index].order_mut(id), matches!(news, OrderNews::Acked)) {
            order.heard = true;
        }
        if self.takes_misfit(now, index, id, &news, fx) {
            return self.settle(now, index, fx);
        }
        match news {
            OrderNews::Acked => self.acked(now, index, id, key, fx),
            OrderNews::Fill(fill, _) => self.filled(now, index, id, fill, fx),
            OrderNews::Closed { filled, average, fee, reason, .. } => {
                if !average.is_zero() {
                    self.whole_execution(now, index, id, filled, average, fee, fx);
                }
                self.closed(now, index, id, filled, reason, fx);
            }
            OrderNews::Rejected(reject) => self.rejected(now, index, id, reject, fx),
            OrderNews::Busted(fill) => self.busted(now, index, id, fill, fx),
        }
        self.settle(now, index, fx);
    }

    fn note_time(&mut self, venue: VenueId, key: OrderKey, t_venue: Nanos) {
        let found = self.find(venue, key).and_then(|(index, id)| self.pairs[index].order_mut(id));
        if let Some(order) = found.filter(|_| t_venue != Nanos::NEVER) {
            order.t_venue = t_venue;
        }
    }

    /// News of an order that is in no slot: one that was closed before (a late copy), or not ours.
    fn stranger(&mut self, now: Nanos, venue: VenueId, key: OrderKey, news: OrderNews, fx: &mut Effects) {
        if let OrderKey::Client(id) = key
            && id.epoch > self.epoch
        {
            return self.meet_another_engine(now, venue, fx);
        }
        let late = match news {
            // Mostly a fill that a query had told before: an alarm only if the position holds more than the books.
            OrderNews::Fill(..) => matches!(key, OrderKey::Client(_)),
            // It names the fill alone, and a fill of a run before is not known by its name.
            OrderNews::Busted(_) => !planted("bust_ignored"),
            OrderNews::Closed { filled, .. } => self.bygones.have_outgrown(venue, key, filled),
            _ => false,
        };
        if late {
            self.suspect_late(now, venue, fx);
        }
    }

    /// An order of ours that is in no slot has filled, or a fill of it was taken back: what is more on a leg is of it.
    pub(super) fn suspect_late(&mut self, now: Nanos, venue: VenueId, fx: &mut Effects) {
        self.venues[venue.index()].late_fill = now;
        self.suspect(now, venue, fx);
    }

    /// What is held may have changed without an order of this run: the venue is asked at once.
    fn suspect(&mut self, now: Nanos, venue: VenueId, fx: &mut Effects) {
        self.venues[venue.index()].suspect = now;
        fx.push(Effect::Ask(Ask::Account { venue }));
    }

    fn find(&self, venue: VenueId, key: OrderKey) -> Option<(usize, ClientId)> {
        self.find_order(venue, |order| match key {
            OrderKey::Client(id) => order.id() == id,
            OrderKey::Nonce(nonce) => order.spec.nonce == nonce,
            OrderKey::Venue(id) => order.venue_id == id && !id.is_empty(),
        })
    }

    /// A bust names its fill alone, and a trader that has started since does not know whose that was.
    fn find_by_fill(&self, venue: VenueId, fill: VenueOrderId) -> Option<(usize, ClientId)> {
        self.find_order(venue, |order| order.seen_fill(fill).is_some())
    }

    fn find_order(&self, venue: VenueId, wanted: impl Fn(&Order) -> bool) -> Option<(usize, ClientId)> {
        self.pairs.iter().enumerate().find_map(|(index, pair)| {
            let mut there = pair.orders.iter().flatten().filter(|order| order.spec.venue == venue);
            there.find(|order| wanted(order)).map(|order| (index, order.id()))
        })
    }

    fn acked(&mut self, now: Nanos, index: usize, id: ClientId, key: OrderKey, fx: &mut Effects) {
        let Some(order) = self.pairs[index].order_mut(id) else { return };
        if !matches!(order.state, OrderState::Intent | OrderState::Sent | OrderState::Unknown) {
            return;
        }
        let venue_id = if let OrderKey::Venue(id) = key { id } else { order.venue_id };
        let (venue, pair) = (order.spec.venue, order.spec.pair);
        let latency_ns = now.since(order.sent_at);
        order.unknown_since = Nanos::NEVER;
        self.record(Entry::Acked { id, venue_id, at: now }, fx);
        if planted("acknowledged_is_filled") {
            return self.close_as_filled(now, index, id, fx);
        }
        fx.push(Effect::Log(RecordKind::OrderAcked { id, venue, pair, latency_ns }));
    }

    /// What is not filled is taken for filled. Only planted mistakes do that.
    fn close_as_filled(&mut self, now: Nanos, index: usize, id: ClientId, fx: &mut Effects) {
        let Some(order) = self.pairs[index].order_mut(id) else { return };
        let (qty, price) = (order.spec.qty - order.done.filled, order.expected);
        let fill = Fill {
            id: VenueOrderId::EMPTY,
            qty,
            price,
            fee: crate::types::Usd::ZERO,
            funding: crate::types::Usd::ZERO,
        };
        self.record(Entry::Filled { id, fill, at: now }, fx);
        self.close(now, index, id, Reason::EMPTY, fx);
    }

    fn filled(&mut self, now: Nanos, index: usize, id: ClientId, fill: Fill, fx: &mut Effects) {
        let Some(order) = self.pairs[index].order_mut(id) else { return };
        if order.is_resurrected_by(&fill) {
            return self.adopt(now, index, id, fill, fx);
        }
        if !order.is_new_fill(&fill) {
            return;
        }
        if order.has_unnamed_fills() && !planted("fills_counted_twice") {
            return self.doubt(now, index, id, fx);
        }
        self.record(Entry::Filled { id, fill, at: now }, fx);
        self.check_fill(now, index, id, &fill, fx);
        let Some(order) = self.pairs[index].order_mut(id) else { return };
        let filled = order.done.filled;
        if filled >= order.spec.qty || order.closed_with.is_some_and(|all| filled >= all) {
            self.close(now, index, id, Reason::EMPTY, fx);
        }
    }

    /// What no venue may do with an order: the fill counts all the same, and a person has to look (SAFETY O17).
    pub(super) fn check_fill(
        &mut self,
        now: Nanos,
        index: usize,
        id: ClientId,
        fill: &Fill,
        fx: &mut Effects,
    ) {
        let pair = &mut self.pairs[index];
        let rules = pair.rules;
        let Some(order) = pair.order_mut(id) else { return };
        let tick = rules[order.leg].map_or(Price::ZERO, |rules| rules.tick);
        let venue = order.spec.venue;
        if order.done.filled > order.spec.qty {
            self.halt(now, venue, "filled for more than ordered", fx);
        } else if order.is_beyond_limit(fill.price, tick) {
            self.halt(now, venue, "filled beyond its limit", fx);
        }
    }

    /// Orders of ours that this run did not make: another engine trades on the account (SAFETY L10).
    pub(super) fn meet_another_engine(&mut self, now: Nanos, venue: VenueId, fx: &mut Effects) {
        if self.mode != Mode::Halted {
            self.halt(now, venue, "another engine or bot4 flatten traded on this account", fx);
        }
    }

    /// An order that was called dead has filled: it counts, its leg is mended, and a person has to look.
    pub(super) fn adopt(&mut self, now: Nanos, index: usize, id: ClientId, fill: Fill, fx: &mut Effects) {
        let Some(order) = self.pairs[index].order_mut(id) else { return };
        let venue = order.spec.venue;
        if planted("late_fill_ignored") {
            return;
        }
        let filled = order.done.filled + fill.qty;
        self.record(Entry::Filled { id, fill, at: now }, fx);
        let (state, reason) = (OrderState::Filled, Reason::cut("filled after it was dead"));
        self.record(Entry::Closed { id, state, filled, reason, at: now }, fx);
        if self.pairs[index].phase == Phase::Idle {
            self.pairs[index].phase = Phase::Opening;
        }
        self.halt(now, venue, "a dead order filled", fx);
    }

    /// A venue without fill messages tells the execution of the whole order at once.
    #[expect(clippy::too_many_arguments, reason = "one venue message, field by field")]
    fn whole_execution(
        &mut self,
        now: Nanos,
        index: usize,
        id: ClientId,
        filled: Qty,
        average: Price,
        fee: crate::types::Usd,
        fx: &mut Effects,
    ) {
        let Some(order) = self.pairs[index].order_mut(id) else { return };
        let report = OrderReport {
            venue: order.spec.venue,
            id,
            venue_id: VenueOrderId::EMPTY,
            told: Told::default(),
            qty: order.spec.qty,
            terminal: true,
            rejected: None,
            tells_fill: true,
            filled,
            average,
            fee,
            funding: crate::types::Usd::ZERO,
            at: now,
        };
        let missing = order.missing_fill(&report);
        if let Some(fill) = missing.filter(|fill| order.is_resurrected_by(fill)) {
            return self.adopt(now, index, id, fill, fx);
        }
        let missing = missing.filter(|_| order.is_live());
        // A close settles funding that only the order's row tells.
        let owes = order.is_live() && order.may_owe_funding();
        order.unconfirmed |= owes || missing.is_some() && order.spec.reduce_only;
        if order.unconfirmed {
            order.ask_now(now);
        }
        if let Some(fill) = missing {
            self.record(Entry::Filled { id, fill, at: now }, fx);
            self.check_fill(now, index, id, &fill, fx);
        }
    }

    fn closed(
        &mut self,
        now: Nanos,
        index: usize,
        id: ClientId,
        filled: Qty,
        reason: Reason,
        fx: &mut Effects,
    ) {
        let Some(order) = self.pairs[index].order_mut(id) else { return };
        if !order.is_live() {
            return;
        }
        if planted("partial_is_whole") && !filled.is_zero() {
            return self.close_as_filled(now, index, id, fx);
        }
        if order.done.filled >= filled || planted("fills_not_waited_for") {
            return self.close(now, index, id, reason, fx);
        }
        order.closed_with = Some(filled);
        order.ask_soon(now, &self.settings.upkeep.mending.query_at_ms);
    }

    /// Ends the order with what is filled.
    pub(super) fn close(&mut self, now: Nanos, index: usize, id: ClientId, reason: Reason, fx: &mut Effects) {
        let Some(order) = self.pairs[index].order_mut(id) else { return };
        if !order.is_live() {
            return;
        }
        let (state, filled, spec) = (order.closed_state(), order.done.filled, order.spec);
        let (average, fee, latency_ns) = (order.average(), order.done.fee, now.since(order.sent_at));
        fx.push(Effect::Log(RecordKind::OrderTimes(order.times(now))));
        self.record(Entry::Closed { id, state, filled, reason, at: now }, fx);
        if !filled.is_zero() {
            fx.push(Effect::Log(RecordKind::OrderFilled {
                id,
                venue: spec.venue,
                pair: spec.pair,
                side: spec.side,
                qty: filled,
                average,
                fee,
                latency_ns,
            }));
        } else {
            let class = RejectClass::Definitive;
            let (venue, pair) = (spec.venue, spec.pair);
            fx.push(Effect::Log(RecordKind::OrderRejected { id, venue, pair, class, code: reason }));
        }
    }

    pub(super) fn rejected(
        &mut self,
        now: Nanos,
        index: usize,
        id: ClientId,
        reject: Reject,
        fx: &mut Effects,
    ) {
        let Some(order) = self.pairs[index].order_mut(id) else { return };
        if !order.is_live() {
            return;
        }
        let (venue, pair) = (order.spec.venue, order.spec.pair);
        fx.push(Effect::Log(RecordKind::OrderRejected {
            id,
            venue,
            pair,
            class: reject.class,
            code: reject.code,
        }));
        if reject.class == RejectClass::Ambiguous && !planted("ambiguous_is_refused") {
            order.ask_now(now);
            return self.doubt(now, index, id, fx);
        }
        let (state, filled, leg) = (OrderState::Rejected, order.done.filled, order.leg);
        fx.push(Effect::Log(RecordKind::OrderTimes(order.times(now))));
        self.record(Entry::Closed { id, state, filled, reason: reject.code, at: now }, fx);
        match reject.class {
            RejectClass::Halt => self.halt(now, venue, reject.code.as_str(), fx),
            RejectClass::TooLarge => {
                let halvings = &mut self.pairs[index].mend.halvings[leg];
                *halvings = (*halvings + 1).min(HALVINGS_MAX);
            }
            RejectClass::RetryLater => {
                self.hold_entries(now, venue, ENTRIES_LATER_MS);
                let mend = &mut self.pairs[index].mend;
                mend.not_before[leg] =
                    now.plus_ms(RETRY_LATER_MS).max(self.venues[venue.index()].closes_later);
                mend.put_off[leg] += 2;
            }
            _ => {}
        }
        if matches!(reject.class, RejectClass::Definitive | RejectClass::TooLarge) {
            // A step or a bound may have changed since the rules were read (SAFETY V7).
            fx.push(Effect::Ask(Ask::Rules { venue }));
        }
        if self.gate.count_error(now) && self.mode == Mode::Active {
            self.pause_for_errors(now, fx);
        }
    }

    fn busted(&mut self, now: Nanos, index: usize, id: ClientId, fill: VenueOrderId, fx: &mut Effects) {
        let Some(order) = self.pairs[index].order_mut(id) else { return };
        let venue = order.spec.venue;
        if planted("bust_ignored") {
            return;
        }
        let Some(fill) = order.seen_fill(fill) else { return self.suspect_late(now, venue, fx) };
        self.record(Entry::Busted { id, fill, at: now }, fx);
        let pair = self.pairs[index].settings.id;
        fx.push(Effect::Log(RecordKind::Alarm {
            pair,
            venue,
            what: Reason::cut("a fill was busted by the venue"),
        }));
        self.reduce(now, "trade bust", fx);
    }

    /// A socket of a venue went down: what is in flight there is asked after at once, without waiting for the stream
    /// (SAFETY C2).
    fn link_down(&mut self, now: Nanos, venue: VenueId, role: Role, why: Reason, fx: &mut Effects) {
        fx.push(Effect::Log(RecordKind::LinkDown { venue, role, why }));
        if role == Role::Spare {
            return;
        }
        self.shelf.void(venue, now);
        for index in 0..self.pairs.len() {
            for leg in 0..2 {
                let Some(order) = &mut self.pairs[index].orders[leg] else { continue };
                if order.spec.venue != venue || !order.is_live() || order.state == OrderState::Intent {
                    continue;
                }
                order.ask_now(now);
                let (id, sent) = (order.id(), order.state == OrderState::Sent);
                if planted("lost_link_is_lost_order") {
                    self.bury(now, index, id, fx);
                    continue;
                }
                if sent {
                    self.doubt(now, index, id, fx);
                }
            }
        }
    }
}
