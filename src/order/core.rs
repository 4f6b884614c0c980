//! The order stage as one pure state machine: `step(now, input) -> effects`. It owns every pair, order and limit; the
//! thread around it moves bytes. Nothing here reads a clock, a socket or a file, and whatever matters is journalled
//! before it is acted on (`Effect::Append` stands before the `Effect::Send` it permits).

use super::bygone::Bygones;
use super::facts::VenueFacts;
use super::gate::{Approved, Gate};
use super::lifecycle::Order;
use super::pair::{Pair, Phase};
use super::shelf::Shelf;
use super::stop::Stop;
use crate::journal::entry::{Entry, IntentOrder, Markets, Totals};
use crate::types::order::Reason;
use crate::types::planted::planted;
use crate::types::ready::{Made, Ready};
use crate::types::report::{Ask, CancelSpec, Fact, TraderEvent};
use crate::types::{
    ClientId, Command, Exposure, ExposureState, Intent, Mode, Nanos, PairId, Purpose, Quote, RecordKind,
    Settings, Ticker, VenueId,
};

/// What happens to the order stage.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "never stored; a box would be freed on a hot thread")]
pub enum Input {
    Quote(Quote),
    Intent(Intent),
    Trader(VenueId, TraderEvent),
    Fact(Fact),
    Command(Command),
    /// At least every few milliseconds: deadlines.
    Tick,
}

/// What the order stage wants done, in this order.
#[derive(Clone, Copy, Debug)]
pub enum Effect {
    Append(Entry),
    /// Write to the venue; the outcome of the write comes back by [`Core::sent`].
    Send(Approved),
    Cancel(CancelSpec),
    /// Cancel everything on a market; only where the account is ours alone.
    CancelAll(VenueId, PairId),
    Ask(Ask),
    Tell(Exposure),
    Log(RecordKind),
}

/// Collected effects of one step.
pub type Effects = Vec<Effect>;

/// Why entries are held back while everything else goes on (SAFETY L1, L5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holds {
    /// The journal has little room left.
    pub journal: bool,
    /// The database lags too far behind the journal.
    pub database: bool,
}

/// How the engine was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    pub epoch: u32,
    pub mode: Mode,
    /// Paper mode: no accounts, nothing to reconcile.
    pub paper: bool,
}

pub struct Core {
    pub(super) settings: Settings,
    pub(super) pairs: Vec<Pair>,
    pub(super) venues: Vec<VenueFacts>,
    pub(super) gate: Gate,
    pub(super) shelf: Shelf,
    pub(super) mode: Mode,
    pub(super) paper: bool,
    pub(super) epoch: u32,
    pub(super) seq: u32,
    pub(super) totals: Totals,
    pub(super) stop: Option<Stop>,
    /// Why it is in this mode, and since when.
    pub(super) mode_why: Reason,
    pub(super) mode_since: Nanos,
    /// An automatic pause under way ends by itself then, unless a person says otherwise first; kept over restarts.
    pub(super) paused_until: Option<Nanos>,
    /// A halt asked for every pair to be closed.
    pub(super) halt_flattens: bool,
    /// Entries are held back for these reasons; nothing else is.
    pub(super) holds: Holds,
    /// When this run began.
    pub(super) started: Nanos,
    /// Orders that the journal has lost, by their nonces, where a venue keeps no name of ours.
    pub(super) lost_nonces: Vec<(VenueId, u64)>,
    /// The last entry was the orderly end of a run.
    pub(super) ended: bool,
    /// Orders that have left their slots.
    pub(super) bygones: Bygones,
    told: Vec<ExposureState>,
}

impl Core {
    pub fn new(settings: Settings) -> Self {
        let pairs: Vec<Pair> = settings.pairs.iter().cloned().map(Pair::new).collect();
        Self {
            gate: Gate::new(&settings),
            shelf: Shelf::new(pairs.len(), settings.venues.len()),
            venues: vec![VenueFacts::default(); settings.venues.len()],
            told: vec![ExposureState::Blocked; pairs.len()],
            pairs,
            mode: Mode::Paused,
            paper: false,
            epoch: 0,
            seq: 0,
            totals: Totals::default(),
            stop: None,
            mode_why: Reason::EMPTY,
            mode_since: Nanos::NEVER,
            paused_until: None,
            halt_flattens: false,
            holds: Holds::default(),
            started: Nanos::NEVER,
            lost_nonces: Vec::new(),
            ended: false,
            bygones: Bygones::default(),
            settings,
        }
    }

    /// Takes one recovered journal entry. Call for each, in order, before [`Core::start`].
    pub fn recover(&mut self, entry: &Entry) {
        if planted("recovery_skips_fills") && matches!(entry, Entry::Filled { .. }) {
            return;
        }
        self.apply(entry);
    }

    /// The last recovered entry was applied. A run that ended without a word counts against the throttle, so that a
    /// crash loop comes to rest, and one that died over a loss is judged now. Call before [`Core::snapshot`].
    pub fn end_recovery(&mut self, at: Nanos) {
        if self.epoch > 0 && !self.ended {
            self.gate.throttle.count_crash(at);
        }
        self.note_torn(at);
        self.judge_recovered(at);
    }

    /// Begins the run whose journal segment was opened with [`Core::snapshot`] of the same epoch, and puts every
    /// recovered order that is not terminal in doubt.
    pub fn start(&mut self, now: Nanos, start: Start, fx: &mut Effects) {
        assert!(start.epoch > self.epoch, "the epoch rises with each run");
        self.paper = start.paper;
        self.started = now;
        self.epoch = start.epoch;
        self.seq = 0;
        // A clock may have been set back since the last run.
        self.settings.venues.iter().for_each(|venue| self.shelf.spend(venue.id, self.totals.nonce_high));
        self.start_mode(now, start.mode, fx);
        self.resume_recovered(now, fx);
    }

    /// What a journal segment begins with: enough to forget everything before it.
    pub fn snapshot(&self, epoch: u32, config_hash: u64, at: Nanos) -> Vec<Entry> {
        let mut entries = vec![Entry::Epoch { epoch, config_hash, at }];
        let halted = self.totals.halted && !planted("snapshot_forgets_latch");
        entries.push(Entry::TotalsSnapshot { totals: Totals { halted, ..self.totals } });
        let histories = (0..).map(VenueId).zip(&self.venues);
        entries.extend(histories.map(|(venue, facts)| Entry::History { venue, history: facts.history }));
        entries.extend(self.gate.throttle.snapshot());
        entries.extend(self.lasting_mode(at));
        for pair in &self.pairs {
            entries.push(Entry::Named { pair: pair.settings.id, markets: Markets::of(&pair.settings) });
            if !planted("snapshot_forgets_books") {
                entries.push(Entry::PairSnapshot { pair: pair.settings.id, book: pair.book });
            }
            for order in pair.orders.iter().flatten().filter(|_| !planted("snapshot_forgets_orders")) {
                entries.push(Entry::OrderSnapshot {
                    order: IntentOrder { spec: order.spec, leg: order.leg as u8, expected: order.expected },
                    state: order.lasting_state(),
                    venue_id: order.venue_id,
                    done: order.done,
                    at: order.sent_at,
                });
            }
            if pair.opened {
                entries.push(Entry::PairHeld { pair: pair.settings.id, spread: pair.entry_spread });
            }
            entries.extend(pair.unproven_parts(at));
            let rules = pair.rules.into_iter().zip(0..);
            let told = |(rules, leg)| Some(Entry::Rules { pair: pair.settings.id, leg, rules: rules?, at });
            entries.extend(rules.filter_map(told));
        }
        entries
    }

    /// One step. Effects are appended to `fx` and must be carried out in order.
    pub fn step(&mut self, now: Nanos, input: Input, fx: &mut Effects) {
        match input {
            // After its end nobody looks after what a run would begin.
            Input::Intent(_) | Input::Tick if self.is_stopped() => {}
            Input::Quote(quote) => self.take_quote(&quote),
            Input::Intent(intent) => self.take_intent(now, &intent, fx),
            Input::Trader(venue, event) => self.take_news(now, venue, event, fx),
            Input::Fact(fact) => self.take_fact(now, fact, fx),
            Input::Command(command) => self.take_command(now, command, fx),
            Input::Tick => self.tick(now, fx),
        }
        self.tell(now, fx);
    }

    fn take_quote(&mut self, quote: &Quote) {
        let Some(pair) = self.pairs.get_mut(quote.pair.index()) else { return };
        let Some(leg) = pair.leg_of(quote.venue) else { return };
        let mut next = *quote;
        if !quote.tradable {
            // The last prices stay known for mending; the flag alone forbids entries.
            let last = &pair.quotes[leg];
            let ticker = Ticker { status: quote.ticker.status, ..last.ticker };
            next = Quote { tradable: false, wild: quote.wild, ticker, ..*last };
        }
        pair.quotes[leg] = next;
    }

    fn tick(&mut self, now: Nanos, fx: &mut Effects) {
        for index in 0..self.pairs.len() {
            self.tick_orders(now, index, fx);
            self.look_again(now, index, fx);
            self.settle(now, index, fx);
            self.watch_funding(index, fx);
            self.watch_prices(now, index, fx);
            self.tick_book(now, index, fx);
        }
        self.look_urgently(now, fx);
        self.tick_past(now, fx);
        self.look_at_halts(now, fx);
        self.look_for_rest(now, fx);
        self.tick_statements(now, fx);
        self.tick_margin(now, fx);
        self.tick_ends(now, fx);
        self.tick_keys(now, fx);
        if self.halt_flattens {
            self.flatten_pairs(now, fx);
        }
        self.tick_stop(now, fx);
        self.end_pause(now, fx);
        self.watch_throttle(now, fx);
    }

    /// Journals a fact and applies it: the only way in which anything that matters changes.
    pub(super) fn record(&mut self, entry: Entry, fx: &mut Effects) {
        fx.push(Effect::Append(entry));
        self.apply(&entry);
        if !self.ended {
            self.reopen_stop();
        }
    }

    fn apply(&mut self, entry: &Entry) {
        self.ended = matches!(entry, Entry::Stopped { .. });
        self.count(entry);
        match entry {
            Entry::Epoch { epoch, at, .. } => {
                self.epoch = *epoch;
                self.pairs.iter_mut().for_each(|pair| pair.forget_lately(*at));
            }
            Entry::TotalsSnapshot { totals } => self.totals = *totals,
            Entry::Mode { mode, why, at } => self.apply_mode(*mode, *why, *at),
            Entry::Intent { intent } => {
                self.seq = self.seq.max(intent.seq);
                for IntentOrder { spec, .. } in intent.orders.iter().flatten() {
                    self.totals.nonce_high = self.totals.nonce_high.max(spec.nonce);
                    self.note_newest(spec, intent.at);
                }
            }
            Entry::History { venue, history } => {
                if let Some(facts) = self.venues.get_mut(venue.index()) {
                    facts.history = *history;
                }
            }
            Entry::Sent { .. } => self.totals.orders_sent += 1,
            Entry::PairOpened { .. } => self.totals.pairs_opened += 1,
            Entry::PairClosed { pair, ledger, at, .. } => {
                // An entry that was taken back has a result, but was never a pair.
                let stood = self.pairs.get(pair.index()).is_some_and(|pair| pair.opened);
                self.totals.pairs_closed += u64::from(stood);
                self.close_totals(ledger, *at);
            }
            _ => {}
        }
        if let Some(pair) = pair_of(entry, &self.pairs).and_then(|pair| self.pairs.get_mut(pair)) {
            let leaves = |order: &&Order| match entry {
                Entry::Intent { intent } => intent.orders[order.leg].is_some(),
                entry => matches!(entry, Entry::PairClosed { .. }),
            };
            pair.orders.iter().flatten().filter(leaves).for_each(|order| self.bygones.note(order));
            pair.apply(entry);
        }
    }

    /// Feeds the throttle; before the entry changes its pair.
    fn count(&mut self, entry: &Entry) {
        let pair = pair_of(entry, &self.pairs).map(|index| &self.pairs[index]);
        let unwound = |order: &Order| order.spec.purpose == Purpose::Unwind;
        let retried = pair.is_some_and(|pair| pair.orders.iter().flatten().any(unwound));
        let stood = pair.is_some_and(|pair| pair.opened);
        self.gate.throttle.apply(entry, retried, stood);
    }

    fn close_totals(&mut self, ledger: &crate::position::Ledger, at: Nanos) {
        self.totals.unjudged = true;
        let day = day_of(at);
        if self.totals.day != day {
            self.totals.day = day;
            self.totals.day_result = crate::types::Usd::ZERO;
        }
        self.totals.ledger.add(ledger);
        self.totals.day_result += ledger.total();
        let lost = ledger.total().raw() < 0;
        self.totals.losing_in_a_row = if lost { self.totals.losing_in_a_row + 1 } else { 0 };
    }

    /// Tells `spread` what it may do with each pair, where that has changed.
    fn tell(&mut self, now: Nanos, fx: &mut Effects) {
        for index in 0..self.pairs.len() {
            let state = self.exposure(now, &self.pairs[index]);
            if self.told[index] != state {
                self.told[index] = state;
                fx.push(Effect::Tell(Exposure { pair: PairId(index as u8), state }));
            }
        }
    }

    fn exposure(&self, now: Nanos, pair: &Pair) -> ExposureState {
        let idle = pair.phase == Phase::Idle && !pair.has_live_orders();
        if !idle {
            return ExposureState::Blocked;
        }
        let venues = &pair.settings.venues;
        let may_exit = pair.opened && now >= pair.exit_after && self.takes_both_closes(pair);
        if let (true, Some(direction)) = (may_exit, pair.book.direction) {
            return ExposureState::Held {
                direction,
                qty: pair.book.hedged(),
                basis: pair.book.basis,
                edge: pair.entry_spread + pair.book.basis,
                since: pair.book.opened_at,
            };
        }
        let active = self.mode == Mode::Active || planted("enters_in_every_mode");
        let open = active
            && self.stop.is_none()
            && !self.is_held_back()
            && now >= pair.cool_until
            && pair.book.is_flat()
            && !self.is_strange(pair)
            && self.gate.pays(pair)
            && (venues.iter().all(|v| self.venues[v.index()].ready)
                || planted("enters_without_private_stream"))
            && (self.paper || venues.iter().all(|v| self.gate.is_reconciled(now, &self.venues[v.index()])));
        if open { ExposureState::MayEnter } else { ExposureState::Blocked }
    }

    /// Refreshes what the gate reads of each venue: the worst case of what the pairs hold there.
    pub(super) fn refresh_gross(&mut self) {
        for (index, facts) in self.venues.iter_mut().enumerate() {
            self.gate.measure(&self.pairs, VenueId(index as u8), facts);
        }
    }

    /// Number of the next intent.
    pub(super) fn next_seq(&self) -> u32 {
        self.seq + u32::from(!planted("number_used_twice"))
    }

    /// Nonces follow the clock and always rise (sheet `vest`, 9.10).
    pub(super) fn next_nonce(&mut self, now: Nanos) -> u64 {
        let next = if planted("nonce_by_clock_alone") { 0 } else { self.totals.nonce_high + 1 };
        self.totals.nonce_high = next.max(now.ms());
        self.totals.nonce_high
    }

    /// An order was signed or begun ahead.
    pub fn stock(&mut self, ready: &Ready) {
        let pair = self.pairs.get(ready.spec.pair.index());
        if let Some(leg) = pair.and_then(|pair| pair.leg_of(ready.spec.venue)) {
            self.shelf.put(leg, ready);
        }
    }

    /// What was made ahead of an order that is to be sent; handed out once.
    pub fn made_ahead(&mut self, id: ClientId) -> Option<Made> {
        self.shelf.pick_up(id)
    }

    /// Nonces up to this one were used by someone else in our name.
    pub fn raise_nonce(&mut self, used: u64) {
        self.totals.nonce_high = self.totals.nonce_high.max(used);
    }

    pub fn mode(&self) -> Mode {
        self.mode
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// A position, or an order that may still make one.
    pub fn holds_something(&self) -> bool {
        self.pairs.iter().any(|pair| !pair.book.is_flat() || pair.has_live_orders())
    }

    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    pub fn epoch(&self) -> u32 {
        self.epoch
    }
}

/// Number of a UTC day.
pub(super) fn day_of(at: Nanos) -> u32 {
    (at.ms() / 86_400_000) as u32
}

/// Index of the pair that an entry speaks of.
fn pair_of(entry: &Entry, pairs: &[Pair]) -> Option<usize> {
    let named = match entry {
        Entry::PairSnapshot { pair, .. }
        | Entry::PairOpened { pair, .. }
        | Entry::PairHeld { pair, .. }
        | Entry::PairClosed { pair, .. }
        | Entry::Adjusted { pair, .. }
        | Entry::Unproven { pair, .. }
        | Entry::Rules { pair, .. }
        | Entry::Funding { pair, .. } => *pair,
        Entry::OrderSnapshot { order, .. } => order.spec.pair,
        Entry::Intent { intent } => intent.pair,
        Entry::Sent { id, .. }
        | Entry::Acked { id, .. }
        | Entry::Unknown { id, .. }
        | Entry::Filled { id, .. }
        | Entry::Busted { id, .. }
        | Entry::Closed { id, .. } => return holder(*id, pairs),
        _ => return None,
    };
    (named.index() < pairs.len()).then_some(named.index())
}

/// Index of the pair that holds this order.
pub(super) fn holder(id: ClientId, pairs: &[Pair]) -> Option<usize> {
    pairs.iter().position(|pair| pair.orders.iter().flatten().any(|order| order.id() == id))
}
