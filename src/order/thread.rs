//! The `order` thread: carries bytes and messages between the rings, the venues' traders, the journal and
//! [`Core`]. It never blocks and decides nothing.

mod asks;

use std::sync::Arc;

use super::board::Board;
use super::core::{Core, Effect, Effects, Input};
use super::gate::Approved;
use super::news::SendOutcome;
use super::pair::Pair;
use crate::journal::entry::Entry;
use crate::journal::{Journal, JournalError};
use crate::sys::clock::Clock;
use crate::sys::ring::{Rx, Tx};
use crate::types::limits::PAIRS_MAX;
use crate::types::order::Reason;
use crate::types::planted::planted;
use crate::types::ready::{Made, Ready};
use crate::types::record::Refusal;
use crate::types::report::{Ask, CancelSpec, Fact, TraderEvent};
use crate::types::{
    ClientId, Command, Exposure, Intent, IntentKind, MarketRules, Nanos, OrderSpec, PairId, Quote, Record,
    RecordKind, VenueId,
};
use crate::venue::{Answer, REGISTRY, SendError, Trader};
use asks::Asks;

/// Deadlines are looked at this often, ns.
const TICK_NS: u64 = 1_000_000;

/// Orders signed ahead that are put on the shelf in one turn, so that a whole ladder holds up nothing.
const READY_PER_TURN: usize = 16;

/// A fresh segment that could not be had is asked for again after this, ms: a full disk stays full for a while.
const ROTATE_AGAIN_MS: u64 = 1_000;

/// A turn that comes so long after the last one was held up, ms.
const STALL_MS: u64 = 1_000;

/// Ring ends of the thread; venues by index.
pub struct Rings {
    pub quotes: Vec<Rx<Quote>>,
    pub intents: Rx<Intent>,
    pub commands: Rx<Command>,
    pub answers: Vec<Rx<Answer>>,
    pub asks: Vec<Tx<Ask>>,
    pub exposures: Tx<Exposure>,
    /// Rules that changed, passed on to `spread`.
    pub rules: Tx<(VenueId, PairId, MarketRules)>,
    pub records: Tx<Record>,
}

/// The order thread's ends of its rings with `signer`.
pub struct SignerEnds {
    pub ready: Rx<Ready>,
    pub rules: Tx<(VenueId, PairId, MarketRules)>,
}

/// Run and number of an intent.
type Meant = (u32, u32);

/// How far the journal holds what has happened in this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trust {
    Whole,
    /// Entries found no room (SAFETY L5), until a segment opens with all that is known.
    Gap,
    /// The disk failed: nothing of it is believed again before a restart (SAFETY L6).
    Lost,
}

pub struct OrderThread {
    core: Core,
    traders: Vec<Box<dyn Trader>>,
    journal: Box<dyn Journal>,
    clock: Box<dyn Clock>,
    rings: Rings,
    signer: Option<SignerEnds>,
    effects: Effects,
    events: Vec<TraderEvent>,
    /// By venue.
    asks: Vec<Asks>,
    /// Exposures that did not fit, newest per pair.
    untold: Vec<Option<Exposure>>,
    next_tick: Nanos,
    last_turn: Nanos,
    trust: Trust,
    /// By pair and leg, the order that stands in the journal and has not been given to a trader yet: no other leaves.
    meant: [[Option<ClientId>; 2]; PAIRS_MAX],
    /// No earlier than this is another segment tried.
    next_rotation: Nanos,
    config_hash: u64,
    /// Bytes of room under which nothing is opened.
    journal_free_min: u64,
    board: Arc<Board>,
}

impl OrderThread {
    /// `effects` are those of [`Core::start`]; they are carried out first. `config_hash` opens every journal segment.
    #[expect(clippy::too_many_arguments, reason = "called once, by the topology")]
    pub fn new(
        core: Core,
        effects: Effects,
        config_hash: u64,
        board: Arc<Board>,
        traders: Vec<Box<dyn Trader>>,
        journal: Box<dyn Journal>,
        clock: Box<dyn Clock>,
        mut rings: Rings,
    ) -> Self {
        let pairs = core.pairs().len();
        let core_free_min = u64::from(core.settings().upkeep.journal_free_min_mb) << 20;
        Self {
            core,
            asks: std::mem::take(&mut rings.asks).into_iter().map(Asks::new).collect(),
            traders,
            journal,
            clock,
            rings,
            signer: None,
            effects,
            events: Vec::with_capacity(64),
            untold: vec![None; pairs],
            next_tick: Nanos::NEVER,
            last_turn: Nanos::NEVER,
            trust: Trust::Whole,
            meant: [[None; 2]; PAIRS_MAX],
            next_rotation: Nanos::NEVER,
            config_hash,
            journal_free_min: core_free_min,
            board,
        }
    }

    /// Takes orders that are signed ahead; `None` where nothing is.
    pub fn with_signer(self, signer: Option<SignerEnds>) -> Self {
        Self { signer, ..self }
    }

    /// One turn: news of the venues first, then wishes, then what is cold.
    pub fn poll(&mut self, now: Nanos) -> bool {
        self.notice_stall(now);
        let mut worked = self.run_effects(now);
        worked |= self.poll_quotes(now);
        worked |= self.poll_traders(now);
        worked |= self.poll_ready();
        // What forbids is heard before what is wished: both may have come while this thread stood still.
        worked |= self.poll_answers(now);
        worked |= self.poll_commands(now);
        worked |= self.poll_intents();
        if now >= self.next_tick {
            self.next_tick = now + TICK_NS;
            self.core.step(now, Input::Tick, &mut self.effects);
            self.run_effects(now);
            self.ask_rest();
            self.tell_rest();
            self.rotate(now);
            self.watch_journal(now);
            self.journal.warm();
            self.board.show(&self.core);
        }
        worked
    }

    fn notice_stall(&mut self, now: Nanos) {
        let last = std::mem::replace(&mut self.last_turn, now);
        let lag_ms = now.ms_since(last);
        if last != Nanos::NEVER && lag_ms > STALL_MS {
            self.core.hold_after_stall(now);
            tracing::warn!(
                event_type = "STALLED",
                lag_ms,
                "held up for {lag_ms} ms: entries off for a moment"
            );
        }
    }

    fn poll_quotes(&mut self, now: Nanos) -> bool {
        let mut worked = false;
        for venue in 0..self.rings.quotes.len() {
            while let Some(quote) = self.rings.quotes[venue].pop() {
                worked = true;
                self.traders[venue].on_quote(&quote);
                self.core.step(now, Input::Quote(quote), &mut self.effects);
            }
        }
        worked | self.run_effects(now)
    }

    fn poll_traders(&mut self, now: Nanos) -> bool {
        let mut worked = false;
        for venue in 0..self.traders.len() {
            worked |= self.traders[venue].poll(now, &mut self.events);
            let mut events = std::mem::take(&mut self.events);
            for event in events.drain(..) {
                self.note_link(now, venue, &event);
                self.core.step(now, Input::Trader(VenueId(venue as u8), event), &mut self.effects);
                worked |= self.run_effects(now);
            }
            self.events = events;
        }
        worked
    }

    fn poll_ready(&mut self) -> bool {
        let Some(SignerEnds { ready, .. }) = &mut self.signer else { return false };
        let mut taken = 0;
        while taken < READY_PER_TURN
            && let Some(ready) = ready.pop()
        {
            self.core.stock(&ready);
            taken += 1;
        }
        taken > 0
    }

    /// Wishes take the time at which they are looked at: an order is never dated before its decision. The quotes that a
    /// wish was made of are here by then, perhaps since a moment ago: it is judged by them and not by older ones.
    fn poll_intents(&mut self) -> bool {
        let mut worked = false;
        while let Some(intent) = self.rings.intents.pop() {
            let now = self.clock.now();
            self.poll_quotes(now);
            if self.can_send(&intent) {
                self.core.step(now, Input::Intent(intent), &mut self.effects);
            } else {
                self.core.pass_over(now, &intent, Refusal::LinkDown, &mut self.effects);
            }
            self.run_effects(now);
            worked = true;
        }
        worked
    }

    /// Both legs could leave now: a venue may be ready while each of its connections waits for a reply.
    fn can_send(&self, intent: &Intent) -> bool {
        let Some(pair) = self.core.pairs().get(intent.pair.index()) else { return false };
        let closes = matches!(intent.kind, IntentKind::Exit(_));
        pair.settings.venues.iter().all(|&venue| {
            let by_rest = closes && REGISTRY[venue.index()].order_fallback && self.core.takes_closes(venue);
            self.traders[venue.index()].can_send() || by_rest
        })
    }

    fn poll_answers(&mut self, now: Nanos) -> bool {
        let mut worked = false;
        for venue in 0..self.rings.answers.len() {
            while let Some(answer) = self.rings.answers[venue].pop() {
                worked = true;
                match answer {
                    Answer::Link(link) => {
                        self.asks[venue].link_came(link.role);
                        self.traders[venue].install(link, now);
                    }
                    Answer::Fact(fact) => {
                        self.pass_rules(venue, &fact);
                        self.core.step(now, Input::Fact(fact), &mut self.effects);
                        self.run_effects(now);
                    }
                }
            }
        }
        worked
    }

    /// What was prepared under old rules is stale, here and in `spread`.
    fn pass_rules(&mut self, venue: usize, fact: &Fact) {
        if let Fact::Rules { venue: id, pair, rules } = fact {
            self.traders[venue].set_rules(*pair, rules);
            // Refreshed every few minutes: one that finds the ring full comes again.
            let _ = self.rings.rules.push((*id, *pair, *rules));
            if let Some(signer) = &mut self.signer {
                let _ = signer.rules.push((*id, *pair, *rules));
            }
        }
    }

    fn poll_commands(&mut self, now: Nanos) -> bool {
        let Some(command) = self.rings.commands.pop() else { return false };
        self.core.step(now, Input::Command(command), &mut self.effects);
        self.run_effects(now);
        true
    }

    /// Carries out what the core wants, in order. Outcomes of writes may add to the list while it runs.
    fn run_effects(&mut self, now: Nanos) -> bool {
        let mut done = 0;
        let mut nth = 0;
        let mut late = None;
        let mut stayed = None;
        while done < self.effects.len() {
            let effect = self.effects[done];
            done += 1;
            match effect {
                Effect::Append(entry @ Entry::Intent { .. }) if planted("intent_after_send") => {
                    self.permit(&entry);
                    late = Some(entry);
                }
                Effect::Append(entry) => self.append(&entry),
                Effect::Send(approved) => {
                    stayed = self.write(now, &approved, nth, stayed).or(stayed);
                    nth += 1;
                }
                Effect::Cancel(target) => self.cancel(&target),
                Effect::CancelAll(venue, pair) => self.cancel_all(venue, pair),
                Effect::Ask(ask) => self.ask(ask),
                Effect::Tell(exposure) => self.tell(exposure),
                Effect::Log(kind) => self.log(now, kind),
            }
        }
        if let Some(entry) = late {
            self.append(&entry);
        }
        self.effects.clear();
        done > 0
    }

    fn append(&mut self, entry: &Entry) {
        if planted("fills_not_journalled") && matches!(entry, Entry::Filled { .. })
            || planted("closes_not_journalled") && matches!(entry, Entry::Closed { .. })
        {
            return;
        }
        match self.journal.append(entry) {
            Ok(()) => self.permit(entry),
            Err(error) => {
                let gap = matches!(error, JournalError::Full { .. });
                self.trust = self.trust.max(if gap { Trust::Gap } else { Trust::Lost });
                tracing::error!(event_type = "JOURNAL", "{error}");
            }
        }
    }

    /// The orders of an intent that stands in the journal may leave.
    fn permit(&mut self, entry: &Entry) {
        if let Entry::Intent { intent } = entry {
            self.meant[intent.pair.index()] = intent.orders.map(|order| order.map(|order| order.spec.id));
        }
    }

    fn watch_journal(&mut self, now: Nanos) {
        let low = self.trust != Trust::Whole || self.journal.free_bytes() < self.journal_free_min;
        self.core.hold_for_journal(low, &mut self.effects);
        if self.trust == Trust::Lost {
            self.core.halt_for_journal(now, &mut self.effects);
        }
        self.run_effects(now);
    }

    /// Goes on in a fresh journal segment, at a moment when nothing is in flight. It opens with all that is known, also
    /// with what found no room before it.
    fn rotate(&mut self, now: Nanos) {
        let wanted = self.journal.wants_rotation() || self.trust == Trust::Gap;
        let busy = || self.core.pairs().iter().any(Pair::has_live_orders);
        if !wanted || now < self.next_rotation || busy() {
            return;
        }
        let opening = self.core.snapshot(self.core.epoch(), self.config_hash, now);
        match self.journal.rotate(&opening) {
            Ok(()) if self.trust == Trust::Gap => self.trust = Trust::Whole,
            Ok(()) => {}
            Err(error) => {
                self.next_rotation = now.plus_ms(ROTATE_AGAIN_MS);
                tracing::error!(event_type = "JOURNAL", "{error}");
            }
        }
    }

    /// The one place where an order goes to a venue, and the last count before it does: none leaves that the journal
    /// does not hold, except that without a journal what closes may still go (SAFETY L5).
    /// Of two legs none leaves after one that could not: `stayed` is the intent of such a one, and so is what is given
    /// back.
    fn write(&mut self, now: Nanos, approved: &Approved, nth: u8, stayed: Option<Meant>) -> Option<Meant> {
        let spec = *approved.spec();
        let meant = (spec.id.epoch, spec.id.seq);
        let failed = self.trust != Trust::Whole;
        let closes_unwritten = failed && spec.purpose.reduce_only();
        let mut written = self.meant.get_mut(spec.pair.index()).into_iter().flatten();
        let written = written.find_map(|order| order.take_if(|id| *id == spec.id)).is_some();
        let outcome = if (failed || !written) && !closes_unwritten {
            SendOutcome::Nothing(Reason::cut("it does not stand in the journal"))
        } else if stayed == Some(meant) {
            SendOutcome::Nothing(Reason::cut("its other leg could not leave"))
        } else {
            self.write_spec(&spec, nth)
        };
        self.core.sent(now, spec.id, outcome, &mut self.effects);
        matches!(outcome, SendOutcome::Nothing(_)).then_some(meant)
    }

    /// Dated by the clock: the journal may have held up this turn, and its beginning would be no time of a write.
    fn write_spec(&mut self, spec: &OrderSpec, nth: u8) -> SendOutcome {
        let now = self.clock.now();
        let trader = &mut self.traders[spec.venue.index()];
        let sent = match self.core.made_ahead(spec.id) {
            Some(Made::Signed(signature)) => trader.send_signed(spec, &signature, now),
            Some(Made::Begun(begun)) => trader.send_begun(spec, &begun, now),
            None => trader.send(spec, now),
        };
        match sent {
            Ok(()) => SendOutcome::Written { at: self.clock.now(), nth },
            // Not a byte of it has left: the same order may go the other way. What becomes of it there is asked for.
            Err(SendError::Nothing(_)) if spec.reduce_only && self.places_by_rest(spec) => {
                SendOutcome::Unclear
            }
            Err(SendError::Nothing(reason)) => SendOutcome::Nothing(reason),
            Err(SendError::Unclear(_)) => SendOutcome::Unclear,
        }
    }

    fn places_by_rest(&mut self, spec: &OrderSpec) -> bool {
        let (venue, ask) = (spec.venue, Ask::Place { spec: *spec });
        REGISTRY[venue.index()].order_fallback
            && self.core.takes_closes(venue)
            && self.asks[venue.index()].ask_now(ask)
    }

    /// Over the warm link; over REST when that is down. A venue without it is cancelled by name.
    fn cancel_all(&mut self, venue: VenueId, pair: PairId) {
        let now = self.clock.now();
        if self.traders[venue.index()].cancel_all(pair, now).is_err()
            && REGISTRY[venue.index()].order_fallback
        {
            self.ask(Ask::CancelAll { venue, pair });
        }
    }

    /// Over the warm link; over REST when that is down.
    fn cancel(&mut self, target: &CancelSpec) {
        let now = self.clock.now();
        if self.traders[target.venue.index()].cancel(target, now).is_err() {
            self.ask(Ask::Cancel { target: *target });
        }
    }

    fn ask(&mut self, ask: Ask) {
        self.asks[ask.venue().index()].ask(ask);
    }

    fn ask_rest(&mut self) {
        let venues = (0..).map(VenueId).zip(&self.traders).zip(&mut self.asks);
        venues.for_each(|((venue, trader), asks)| asks.ask_rest(venue, trader.missing()));
    }

    /// A link that went down is wanted back at once, unless another has taken its place; the operator is told so.
    fn note_link(&mut self, now: Nanos, venue: usize, event: &TraderEvent) {
        if let Some(role) = self.asks[venue].link_went(event, self.traders[venue].missing()) {
            self.log(now, RecordKind::Reconnecting { venue: VenueId(venue as u8), role, attempt: 1 });
        }
    }

    fn tell(&mut self, exposure: Exposure) {
        let slot = &mut self.untold[exposure.pair.index()];
        *slot = self.rings.exposures.push(exposure).err();
    }

    fn tell_rest(&mut self) {
        for slot in &mut self.untold {
            if let Some(exposure) = slot.take() {
                *slot = self.rings.exposures.push(exposure).err();
            }
        }
    }

    fn log(&mut self, now: Nanos, kind: RecordKind) {
        // A full ring drops and counts: logs never hold up an order.
        let _ = self.rings.records.push(Record { at: now, kind });
    }

    pub fn core(&self) -> &Core {
        &self.core
    }

    /// Closes the venues' links politely; the last call.
    pub fn close(&mut self) {
        for trader in &mut self.traders {
            trader.close();
        }
    }
}
