//! From a wish to approved orders: entries, exits and mending orders are built here, journalled as one intent and only
//! then sent. Part of `order::core`.

use super::core::{Core, Effect, Effects};
use super::gate::{Approved, floor_lot};
use super::mend::{Route, price_for};
use super::pair::Phase;
use super::shelf::Wanted;
use crate::journal::entry::{Entry, IntentEntry, IntentOrder};
use crate::types::limits::LATE_MAX_MS;
use crate::types::order::Reason;
use crate::types::planted::planted;
use crate::types::ready::{Made, Ready};
use crate::types::record::{Refusal, Stamps};
use crate::types::settings::Legs;
use crate::types::{
    ClientId, Direction, Intent, IntentKind, Nanos, OrderSpec, OrderState, Price, Purpose, Qty, Rate,
    RecordKind, Side, StopReason, VenueId,
};

/// Longest receive window, ms.
const WINDOW_MAX_MS: u32 = 2_000;
/// An exit that is older was decided on books that have moved on, ms; `spread` wishes again.
const EXIT_AGE_MAX_MS: u64 = 1_000;

/// What distinguishes the orders of one intent.
struct Draft {
    leg: usize,
    side: Side,
    purpose: Purpose,
    qty: Qty,
    limit: Price,
}

impl Core {
    pub(super) fn take_intent(&mut self, now: Nanos, intent: &Intent, fx: &mut Effects) {
        if intent.pair.index() >= self.pairs.len() {
            return;
        }
        match intent.kind {
            IntentKind::Enter(direction) => self.enter(now, intent, direction, fx),
            // One that waited is made anew by what is seen now.
            IntentKind::Exit(_) if now.ms_since(intent.t_decide) > EXIT_AGE_MAX_MS => {
                self.pass_over(now, intent, Refusal::OldIntent, fx);
            }
            IntentKind::Exit(reason) => self.exit(now, intent, reason, fx),
        }
    }

    fn enter(&mut self, now: Nanos, intent: &Intent, direction: Direction, fx: &mut Effects) {
        let index = intent.pair.index();
        let outcome = self.may_enter(now, index).and_then(|()| {
            self.refresh_gross();
            let seq = self.next_seq();
            let specs = [0, 1].map(|leg| {
                let draft = Draft {
                    leg,
                    side: direction.open_side(leg),
                    purpose: Purpose::Enter,
                    qty: intent.qty,
                    limit: intent.limits[leg],
                };
                self.spec(now, index, seq, &draft)
            });
            self.gate.approve_entry(now, &self.pairs, intent, &specs, &self.venues)
        });
        match outcome {
            Ok(approved) => self.open(now, intent, approved, fx),
            Err(refusal) => self.pass_over(now, intent, refusal, fx),
        }
    }

    /// A wish that is not followed. An entry is told again after a moment, so that the signal may fire again.
    pub fn pass_over(&mut self, now: Nanos, intent: &Intent, refusal: Refusal, fx: &mut Effects) {
        fx.push(Effect::Log(RecordKind::EntryRefused { pair: intent.pair, refusal }));
        let pair = self.pairs.get_mut(intent.pair.index());
        if let (IntentKind::Enter(_), Some(pair)) = (intent.kind, pair) {
            pair.cool_until = now.plus_ms(u64::from(self.settings.risk.cooldown_ms).min(250));
        }
    }

    fn may_enter(&self, now: Nanos, index: usize) -> Result<(), Refusal> {
        let pair = &self.pairs[index];
        let active = self.mode == crate::types::Mode::Active || planted("enters_in_every_mode");
        if !active || self.stop.is_some() {
            return Err(Refusal::Mode);
        }
        if self.is_held_back() {
            return Err(Refusal::JournalFull);
        }
        if pair.phase != Phase::Idle || pair.has_live_orders() || !pair.book.is_flat() {
            return Err(Refusal::Busy);
        }
        if now < pair.cool_until {
            return Err(Refusal::Cooldown);
        }
        if self.is_strange(pair) {
            return Err(Refusal::Foreign);
        }
        Ok(())
    }

    fn open(&mut self, now: Nanos, intent: &Intent, approved: [Approved; 2], fx: &mut Effects) {
        let pair = intent.pair.index();
        let orders = [0, 1].map(|leg| {
            Some(IntentOrder { spec: *approved[leg].spec(), leg: leg as u8, expected: intent.expected[leg] })
        });
        self.write_intent(now, pair, Some(intent.kind), (intent.edge, intent.basis, intent.mid), orders, fx);
        self.pairs[pair].phase = Phase::Opening;
        let stamps = self.stamps(now, Some(intent));
        let first = match self.settings.execution.legs {
            Legs::Together => None,
            Legs::First(venue) => self.pairs[pair].leg_of(venue),
        };
        for leg in self.written_order(pair) {
            let approved = approved[leg];
            if first.is_some_and(|first| first != leg) {
                self.hold_back(now, approved.spec().id, fx);
            } else {
                self.send(approved, stamps, fx);
            }
        }
    }

    /// The second leg of `vest_first`-like modes is never sent as an entry: when the first has filled, completing the
    /// missing leg is the mending that follows.
    fn hold_back(&mut self, now: Nanos, id: ClientId, fx: &mut Effects) {
        let reason = Reason::cut("held back: the other leg goes first");
        let state = OrderState::NeverAccepted;
        self.record(Entry::Closed { id, state, filled: Qty::ZERO, reason, at: now }, fx);
    }

    fn exit(&mut self, now: Nanos, intent: &Intent, reason: StopReason, fx: &mut Effects) {
        let index = intent.pair.index();
        let pair = &self.pairs[index];
        let Some(direction) = pair.book.direction else { return };
        if pair.phase != Phase::Idle || pair.has_live_orders() || pair.book.is_flat() {
            return;
        }
        // The wish may be older than the news that one of the markets takes nothing.
        if !self.takes_both_closes(pair) {
            return;
        }
        let seq = self.next_seq();
        // A close of all that is hedged takes a residual along.
        let whole = intent.qty >= pair.book.hedged();
        let mut approved = [None, None];
        for (leg, slot) in approved.iter_mut().enumerate() {
            let pair = &self.pairs[index];
            // A step that has grown since the entry leaves dust, which no order can take along (SAFETY V7).
            let lot = pair.rules[leg].map_or(Qty::ZERO, |rules| rules.lot);
            let held = match planted("exit_by_configured_size") {
                true => pair.settings.size,
                false => floor_lot(pair.book.legs[leg].qty.abs(), lot),
            };
            let draft = Draft {
                leg,
                side: direction.close_side(leg),
                purpose: Purpose::Exit,
                qty: if whole { held } else { intent.qty.min(held) },
                limit: intent.limits[leg],
            };
            let spec = self.spec(now, index, seq, &draft);
            match self.gate.approve_mending(now, &self.pairs[index], &spec) {
                Ok(yes) => *slot = Some(yes),
                Err(refusal) => {
                    fx.push(Effect::Log(RecordKind::EntryRefused { pair: intent.pair, refusal }));
                    return;
                }
            }
        }
        let orders = [0, 1].map(|leg| {
            approved[leg].map(|yes: Approved| IntentOrder {
                spec: *yes.spec(),
                leg: leg as u8,
                expected: intent.expected[leg],
            })
        });
        self.write_intent(now, index, Some(intent.kind), (intent.edge, intent.basis, intent.mid), orders, fx);
        self.pairs[index].phase = Phase::Closing(reason);
        let stamps = self.stamps(now, Some(intent));
        for yes in self.written_order(index).into_iter().filter_map(|leg| approved[leg]) {
            self.send(yes, stamps, fx);
        }
    }

    /// The legs in the order in which they are written when both leave.
    fn written_order(&self, pair: usize) -> [usize; 2] {
        match self.pairs[pair].leg_of(self.settings.execution.written_first) {
            Some(1) => [1, 0],
            _ => [0, 1],
        }
    }

    /// Sends one mending order. False when the gate refused it.
    pub(super) fn send_route(&mut self, now: Nanos, index: usize, route: &Route, fx: &mut Effects) -> bool {
        let seq = self.next_seq();
        let Route { leg, side, purpose, qty, limit, .. } = *route;
        let spec = self.spec(now, index, seq, &Draft { leg, side, purpose, qty, limit });
        let Ok(approved) = self.gate.approve_mending(now, &self.pairs[index], &spec) else { return false };
        let mut orders = [None, None];
        orders[leg] = Some(IntentOrder { spec, leg: leg as u8, expected: route.expected });
        let mid = self.pairs[index].mean_mid();
        self.write_intent(now, index, None, (Rate::ZERO, Rate::ZERO, mid), orders, fx);
        self.send(approved, self.stamps(now, None), fx);
        true
    }

    fn write_intent(
        &mut self,
        now: Nanos,
        index: usize,
        kind: Option<IntentKind>,
        (edge, basis, mid): (Rate, Rate, Price),
        orders: [Option<IntentOrder>; 2],
        fx: &mut Effects,
    ) {
        let pair = &self.pairs[index];
        let intent = IntentEntry {
            seq: self.next_seq(),
            pair: pair.settings.id,
            kind,
            edge,
            basis,
            mid,
            orders,
            before: [pair.book.legs[0].qty, pair.book.legs[1].qty],
            at: now,
        };
        self.record(Entry::Intent { intent }, fx);
    }

    /// The order as it will leave: one that lies ready signed, where one fits, or one that is signed at the send, for
    /// the time of what was begun of it.
    fn spec(&mut self, now: Nanos, index: usize, seq: u32, draft: &Draft) -> OrderSpec {
        let pair = &self.pairs[index].settings;
        let (venue, pair) = (pair.venues[draft.leg], pair.id);
        let id = ClientId { epoch: self.epoch, seq, leg: draft.leg as u8 };
        let window_ms = self.settings.execution.receive_window_ms;
        let ready = self.take_ready(now, index, draft);
        let (limit, signed_ms, nonce) = match &ready {
            Some(Ready { spec, made: Made::Signed(_) }) => (spec.limit, spec.signed_ms, spec.nonce),
            Some(Ready { spec, made: Made::Begun(_) }) => (draft.limit, spec.signed_ms, self.next_nonce(now)),
            None => (draft.limit, self.signing_ms(venue, now), self.next_nonce(now)),
        };
        self.raise_nonce(nonce);
        self.shelf.lay_out(id, ready.map(|ready| ready.made));
        self.shelf.spend(venue, nonce);
        OrderSpec {
            id,
            venue,
            pair,
            side: draft.side,
            purpose: draft.purpose,
            qty: draft.qty,
            limit,
            reduce_only: draft.purpose.reduce_only() && !planted("close_not_reduce_only"),
            signed_ms,
            nonce,
            window_ms: match planted("window_of_five_minutes") {
                true => 300_000,
                false => (window_ms + self.age_at(venue, now, signed_ms)).min(WINDOW_MAX_MS),
            },
        }
    }

    /// How old a signature is by its venue's clock, ms. The window counts from the signature: an order made ahead lives
    /// no longer for that, and one of a clock that runs late is not dead on arrival (SAFETY C15).
    fn age_at(&self, venue: VenueId, now: Nanos, signed_ms: u64) -> u32 {
        let age_ms = (now.ms() + self.late_ms(venue)).saturating_sub(signed_ms);
        u32::try_from(age_ms).unwrap_or(WINDOW_MAX_MS).min(WINDOW_MAX_MS)
    }

    /// The time that an order or a cancel states: ours, or, where no window reaches from ours to the venue's, the
    /// venue's own. What closes is taken from an engine whose machine stood still, too (SAFETY rule 10).
    pub(super) fn signing_ms(&self, venue: VenueId, now: Nanos) -> u64 {
        let late_ms = self.late_ms(venue);
        let carried_ms =
            u64::from(WINDOW_MAX_MS - self.settings.execution.receive_window_ms.min(WINDOW_MAX_MS));
        now.ms() + if late_ms > carried_ms { late_ms } else { 0 }
    }

    /// How much our clock is behind the venue's, as it was measured.
    fn late_ms(&self, venue: VenueId) -> u64 {
        self.venues[venue.index()].clock_offset_ms.clamp(0, LATE_MAX_MS).unsigned_abs()
    }

    fn take_ready(&mut self, now: Nanos, index: usize, draft: &Draft) -> Option<Ready> {
        let &Draft { leg, side, purpose, qty, limit } = draft;
        let pair = &self.pairs[index];
        // Inside the worst price that the newest quote shows it could not fill as a whole.
        let least = price_for(pair, leg, side, qty)?;
        let (pair, reduce_only) = (pair.settings.id, purpose.reduce_only());
        let wanted = Wanted { pair, leg, side, reduce_only, qty, limit, least };
        self.shelf.take(now, &wanted).or_else(|| self.shelf.take_begun(now, &wanted))
    }

    fn stamps(&self, now: Nanos, intent: Option<&Intent>) -> Stamps {
        intent.map_or(Stamps { t_gate: now, ..Stamps::default() }, |intent| Stamps {
            t_wire: intent.t_wire,
            t_book: intent.t_book,
            t_decide: intent.t_decide,
            t_gate: now,
            ..Stamps::default()
        })
    }

    fn send(&mut self, approved: Approved, stamps: Stamps, fx: &mut Effects) {
        let id = approved.spec().id;
        if let Some(pair) = super::core::holder(id, &self.pairs)
            && let Some(order) = self.pairs[pair].order_mut(id)
        {
            order.stamps = Stamps { ready: self.shelf.lays_out(id), ..stamps };
        }
        fx.push(Effect::Send(approved));
    }
}
