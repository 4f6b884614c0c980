//! The promises (SAFETY §3), held against the venues' private truth after every event. What did not change costs
//! nothing: entries are looked at once as the journal's bytes bring them, a venue's truth when its version has moved.

use std::collections::{BTreeMap, BTreeSet};

use bot4::config::Config;
use bot4::journal::entry::{Entry, IntentEntry};
use bot4::store::follow::Follow;
use bot4::types::{ClientId, Mode, OrderSpec, OrderState, PairId, Purpose, Side};
use bot4_sim::core::Arrival;

use super::booked::Bust;
use super::engine::Engine;
use super::limits::Limits;
use super::lone::Lone;
use super::options::Options;
use super::truth::Truth;
use super::violation::{Violation, broken};
use super::world::{Left, Shared, World, lock};

/// What each venue starts with.
pub const DEPOSIT_USD: i64 = 100_000;

/// An order as the journal meant it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meant {
    pub(super) spec: OrderSpec,
    /// Number of its intent's entry.
    seq: u64,
    /// What was executed of it at its venue.
    pub(super) done: i64,
    /// What the journal says of that.
    pub(super) booked: i64,
    pub(super) closed: bool,
    /// Its venue has accepted it.
    taken: bool,
}

pub struct Checker {
    pub(super) config: Config,
    pub follow: Follow,
    mode: Mode,
    /// The operator has asked for it since the latch fell.
    pub(super) meant: BTreeMap<ClientId, Meant>,
    /// By venue: nonces are a venue's own names.
    by_nonce: [BTreeMap<u64, ClientId>; 2],
    /// Names of closing orders that left when the journal had no room.
    pub(super) unwritten: BTreeSet<String>,
    /// Busts of fills that the engine has, and that its journal does not tell yet.
    pub(super) busts: Vec<Bust>,
    pub truth: Truth,
    pub(super) limits: Limits,
    last_seq: Option<u64>,
    last_epoch: u32,
    last_intent: u32,
    pub(super) lone: Lone,
    /// Of what it holds the engine was left nothing to know by: anything may be foreign to it until all is flat.
    pub strange: bool,
    /// Others have moved money, or orders of ours whose price nobody told; never forgotten.
    pub(super) strange_money: bool,
    /// What the books have followed of a venue: number of the entry, venue, pair, and by how much.
    pub(super) followed: Vec<(u64, usize, usize, i64)>,
    /// What others have traded at the first venue: market, when, and how much, signed.
    pub(super) strangers: Vec<(usize, u64, i64)>,
    /// What the books of fills whose price was not told are off by, exactly; and the funding of one was not told.
    pub(super) untold_money: i64,
    pub(super) untold_funding: bool,
    /// Entries that the telemetry has not seen.
    untold: Vec<Entry>,
    pub alerts: BTreeMap<&'static str, u64>,
    /// When the last start began.
    pub(super) began: u64,
    /// Alerts of what is true.
    pub founded: u64,
    pub pairs_opened: u64,
    pub pairs_closed: u64,
    pub orders: u64,
    journal_gone: bool,
    /// The power was cut, and nothing has been decided since.
    power_cut: bool,
    /// Nothing goes wrong in this run.
    pub(super) calm: bool,
    /// Found where nothing could be returned.
    late: Option<Violation>,
    /// Nothing of this run keeps a venue's word of an execution from the engine.
    pub(super) hears_all: bool,
}

impl Checker {
    pub fn new(options: &Options) -> Self {
        let config = super::setting::config(options);
        let pairs = config.settings.pairs.len();
        Self {
            truth: Truth::new(&config),
            limits: Limits::new(super::setting::config(options)),
            config,
            follow: Follow::default(),
            mode: Mode::Paused,
            meant: BTreeMap::new(),
            by_nonce: [BTreeMap::new(), BTreeMap::new()],
            unwritten: BTreeSet::new(),
            busts: Vec::new(),
            last_seq: None,
            last_epoch: 0,
            last_intent: 0,
            lone: Lone::new(options, pairs),
            strange: false,
            strange_money: false,
            followed: Vec::new(),
            strangers: Vec::new(),
            untold_money: 0,
            untold_funding: false,
            untold: Vec::new(),
            alerts: BTreeMap::new(),
            began: 0,
            founded: 0,
            pairs_opened: 0,
            pairs_closed: 0,
            orders: 0,
            journal_gone: false,
            power_cut: false,
            calm: options.is_calm(),
            late: None,
            hears_all: options.hears_all(),
        }
    }

    /// Looks at everything that has changed.
    pub fn after_event(&mut self, world: &Shared, engine: Option<&Engine>) -> Result<(), Violation> {
        if let Some(late) = self.late.take() {
            return Err(late);
        }
        let world = &mut *lock(world);
        while let Some(frame) = world.disk.pull() {
            self.entry(world, frame.seq, &frame.entry)?;
            if engine.is_some() {
                self.untold.push(frame.entry);
            }
        }
        self.look_at_venues(world)?;
        self.watch_busts(world, engine)?;
        if let Some(engine) = engine.filter(|_| !world.disk.gap) {
            self.books_agree(engine)?;
        }
        self.lone_legs(world, engine)
    }

    /// One journal entry, in order.
    fn entry(&mut self, world: &mut World, seq: u64, entry: &Entry) -> Result<(), Violation> {
        // A frame that was written whole and not yet shown when the process died is found by the next start.
        let opens = matches!(entry, Entry::Epoch { .. });
        if self.last_seq.is_some_and(|last| seq != last + 1) && !opens {
            return broken(format_args!("I11: entry {seq} follows {:?}", self.last_seq));
        }
        self.last_seq = Some(seq);
        world.trace.note(world.now, "entry", format_args!("{entry:?}"));
        match entry {
            Entry::Epoch { epoch, .. } => {
                if *epoch < self.last_epoch {
                    return broken(format_args!("I11: epoch {epoch} after {}", self.last_epoch));
                }
                if *epoch > self.last_epoch {
                    self.last_intent = 0;
                }
                self.unfollow(seq);
                self.last_epoch = *epoch;
                self.journal_gone = false;
                self.power_cut |= world.power_lost;
            }
            Entry::Intent { intent } => {
                self.power_cut = false;
                self.intent(world, seq, intent)?;
            }
            Entry::Mode { mode, why, .. } => self.mode_changes(world, *mode, why.as_str())?,
            Entry::Closed { id, state, .. } => {
                if let Some(meant) = self.meant.get_mut(id) {
                    meant.closed = true;
                    if *state == OrderState::NeverAccepted
                        && meant.taken
                        && !world.was_rolled_back(&meant.spec)
                    {
                        return broken(format_args!("I3: {id} was called dead after its venue had taken it"));
                    }
                }
                self.hide_untold(world, *id);
                world.tags.hit(super::coverage::closed(*state));
            }
            Entry::Filled { id, fill, .. } => {
                self.booked(world, *id, fill)?;
                let part = self.meant.get(id).is_some_and(|meant| fill.qty < meant.spec.qty);
                world.tags.hit(if part { "fill in part" } else { "fill" });
            }
            Entry::Busted { id, fill, .. } => {
                world.tags.hit("O18");
                if let Some(Meant { spec, .. }) = self.meant.get(id) {
                    let change = -spec.side.sign() * fill.qty.raw();
                    self.truth.adjust(spec.venue.index(), spec.pair.index(), change);
                }
                self.busts.retain(|bust| (bust.id, bust.size) != (*id, fill.qty.raw()));
            }
            Entry::OrderSnapshot { order, state, done, .. } => {
                if let Some(meant) = self.meant.get_mut(&order.spec.id) {
                    // What found no room before this segment is known from here on.
                    meant.closed |= state.is_terminal();
                    // What a power cut took of the journal is booked again.
                    if self.power_cut {
                        meant.booked = meant.booked.min(done.filled.raw() + done.busted.raw());
                    }
                }
            }
            Entry::Unknown { .. } => world.tags.hit("unknown"),
            Entry::Adjusted { pair, by, .. } => {
                self.adjusted(world, seq, *pair, by)?;
                world.tags.hit("adjusted");
            }
            Entry::TotalsSnapshot { totals } if world.power_lost => self.limits.recount(totals),
            Entry::PairOpened { .. } => self.pairs_opened += 1,
            Entry::PairClosed { ledger, at, .. } => {
                self.pairs_closed += 1;
                self.limits.closed(ledger, *at);
                self.limits.over &= self.mode != Mode::Halted;
            }
            _ => {}
        }
        self.follow.apply(entry);
        Ok(())
    }

    fn intent(&mut self, world: &mut World, seq: u64, intent: &IntentEntry) -> Result<(), Violation> {
        if intent.seq <= self.last_intent {
            return broken(format_args!("I11: intent {} after {}", intent.seq, self.last_intent));
        }
        self.last_intent = intent.seq;
        for order in intent.orders.iter().flatten() {
            let spec = order.spec;
            world.tags.hit(super::coverage::purpose(spec.purpose));
            if spec.purpose == Purpose::Enter && self.mode != Mode::Active {
                return broken(format_args!("I10: entry {} in mode {:?}", spec.id, self.mode));
            }
            Limits::flags(&spec)?;
            self.limits.price(world, &spec)?;
            self.goes_home(world, &spec)?;
            if self.meant.contains_key(&spec.id) {
                return broken(format_args!("I11: the name {} is used again", spec.id));
            }
            let nonces = &mut self.by_nonce[spec.venue.index()];
            if nonces.last_key_value().is_some_and(|(&last, _)| spec.nonce <= last) {
                return broken(format_args!("I11: nonce {} of {} does not rise", spec.nonce, spec.id));
            }
            nonces.insert(spec.nonce, spec.id);
            if spec.purpose == Purpose::Enter {
                self.limits.entry(world, seq, &spec)?;
            }
            self.meant.insert(spec.id, Meant { spec, seq, done: 0, booked: 0, closed: false, taken: false });
        }
        Ok(())
    }

    /// Rule 6: an order that mends brings its pair nearer to whole, by the books that the journal gives.
    fn goes_home(&self, world: &World, spec: &OrderSpec) -> Result<(), Violation> {
        let net = self.follow.book(spec.pair).net().raw();
        let mends = matches!(spec.purpose, Purpose::Complete | Purpose::Unwind);
        let dust = self.truth.dust(world, spec.pair.index());
        if mends && net.abs() > dust && spec.side.sign() == net.signum() {
            return broken(format_args!(
                "rule 6: {} ({:?}) adds to the {net} too much",
                spec.id, spec.purpose
            ));
        }
        Ok(())
    }

    fn mode_changes(&mut self, world: &mut World, mode: Mode, why: &str) -> Result<(), Violation> {
        world.tags.hit(super::coverage::mode(mode));
        if std::mem::take(&mut world.power_lost) {
            // What was not yet on the disk is gone, the latch of that moment too.
            self.mode = mode;
        }
        let by = super::limits::lifted_by(self.mode, mode);
        if by.is_some() && !std::mem::take(&mut world.lifted_unwritten) && by != Some(why) {
            return broken(format_args!("I10: from {:?} to {mode:?} because of {why:?}", self.mode));
        }
        self.mode = mode;
        self.limits.over &= mode != Mode::Halted;
        Ok(())
    }

    fn look_at_venues(&mut self, world: &mut World) -> Result<(), Violation> {
        for left in std::mem::take(&mut world.orders_out) {
            self.left(world, left)?;
        }
        for venue in 0..2 {
            self.limits.look(world, venue);
            if !self.truth.look(world, venue) {
                continue;
            }
            for placed in std::mem::take(&mut self.truth.placed) {
                self.placed(world, venue, &placed)?;
            }
            for deal in std::mem::take(&mut self.truth.deals) {
                self.deal(world, venue, &deal)?;
            }
            if !self.strange {
                self.limits.gross(world, venue, &self.truth)?;
            }
        }
        Ok(())
    }

    pub(super) fn know_nothing(&mut self) {
        (self.strange, self.strange_money) = (true, true);
    }

    pub(super) fn named(&self, venue: usize, reference: &str) -> Option<ClientId> {
        ClientId::parse(reference)
            .or_else(|| {
                reference.parse().ok().and_then(|nonce: u64| self.by_nonce[venue].get(&nonce).copied())
            })
            .filter(|id| self.meant.get(id).is_some_and(|meant| meant.spec.venue.index() == venue))
    }

    /// I2: an order was given to a wire. Without room in the journal what closes may go all the same (SAFETY L5).
    fn left(&mut self, world: &mut World, left: Left) -> Result<(), Violation> {
        let Left { venue, name, safe, excused } = left;
        match self.named(venue, &name) {
            Some(id) if self.meant[&id].seq >= safe => {
                broken(format_args!("I2: {id} left before its intent was durable"))
            }
            Some(_) => Ok(()),
            None if excused => {
                world.tags.hit("closed without a journal");
                self.unwritten.insert(name);
                Ok(())
            }
            None => broken(format_args!("I2: {name:?} left for venue {venue}, and no intent names it")),
        }
    }

    /// A venue has taken an order.
    fn placed(&mut self, world: &mut World, venue: usize, placed: &Arrival) -> Result<(), Violation> {
        let order = &placed.order;
        if order.client_ref.is_empty() {
            return Ok(());
        }
        self.orders += 1;
        let Some(id) = self.named(venue, &order.client_ref) else {
            if self.unwritten.contains(&order.client_ref) && order.reduce_only {
                return Ok(());
            }
            return broken(format_args!(
                "I2: venue {venue} met {:?}, which no intent names",
                order.client_ref
            ));
        };
        let meant = self.meant[&id];
        let spec = meant.spec;
        let same = order.size == spec.qty.raw()
            && (order.side == bot4_sim::core::Side::Buy) == (spec.side == Side::Buy)
            && order.limit == spec.limit.raw()
            && (order.reduce_only == spec.reduce_only || !spec.reduce_only);
        if !same {
            return broken(format_args!("I3: {id} was meant as {spec:?} and arrived as {order:?}"));
        }
        if placed.outcome.is_err() {
            return Ok(());
        }
        // No window bounds an order where a venue judges it by a clock that is off.
        let bounded = !world.venue_clock_was_off(venue);
        if meant.closed && bounded {
            return broken(format_args!("I3: {id} was taken after it was called dead"));
        }
        self.meant.entry(id).and_modify(|meant| meant.taken = true);
        if let Some(other) = self.truth.other_live(world, venue, placed).filter(|_| bounded) {
            return broken(format_args!("I3: {id} was taken while {other:?} lives on the same leg"));
        }
        Ok(())
    }

    /// I4: the order stage's books are those that the journal alone gives.
    fn books_agree(&self, engine: &Engine) -> Result<(), Violation> {
        for pair in engine.order.core().pairs() {
            let book = self.follow.book(pair.settings.id);
            for leg in 0..2 {
                if book.legs[leg].qty != pair.book.legs[leg].qty {
                    return broken(format_args!(
                        "I4: leg {leg}: the engine holds {}, its journal says {}",
                        pair.book.legs[leg].qty, book.legs[leg].qty
                    ));
                }
            }
        }
        Ok(())
    }

    /// The `store` thread's turn.
    pub fn drain_store(&mut self, world: &mut World, engine: &mut Engine, now: u64) {
        self.counts_add_up(engine);
        self.late = self.late.take().or(self.ends_are_journalled(world, engine).err());
        engine.drain_records(|record| super::coverage::record(&mut world.tags, record));
        for entry in self.untold.drain(..) {
            engine.tell_entry(&entry);
        }
        bot4::store::Observer::on_poll(&mut engine.telemetry, bot4::types::Nanos(now));
        self.lone.drained = now;
        while let Some(alert) = engine.alerts.pop() {
            let founded = self.is_founded(&alert, now);
            self.note_call(&alert, now);
            let (kind, what) = (alert.kind.name(), &alert.what);
            world.trace.note(now, "alert", format_args!("{kind} {what}; founded: {founded}"));
            *self.alerts.entry(kind).or_default() += 1;
            self.founded += u64::from(founded);
        }
    }

    /// I14, I16: every market message is somewhere. Told at the next look.
    fn counts_add_up(&mut self, engine: &Engine) {
        for (venue, reader) in engine.md.iter().enumerate() {
            let counts = reader.counts();
            let sum = counts.applied + counts.conflated + counts.rejected + counts.waiting;
            if sum != counts.messages {
                self.late = Some(Violation(format!("I16: reader {venue}: {counts:?} do not add up")));
            }
        }
    }

    /// A start has read the journal: the mode that it found there holds, also where the checker had not seen it.
    pub fn started(&mut self, world: &Shared) {
        let world = &mut *lock(world);
        self.began = world.now;
        self.limits.begin();
        for entry in std::mem::take(&mut world.disk.come_to_light) {
            world.trace.note(world.now, "found", format_args!("{entry:?}"));
            match &entry {
                Entry::Mode { mode, why, .. } => {
                    let changes = self.mode_changes(world, *mode, why.as_str());
                    self.late = self.late.take().or(changes.err());
                }
                Entry::Filled { id, fill, .. } => self.count_untold(world, *id, fill),
                Entry::Adjusted { pair, by, .. } => {
                    let adjusted = self.adjusted(world, 0, *pair, by);
                    self.late = self.late.take().or(adjusted.err());
                }
                Entry::PairClosed { ledger, at, .. } => self.limits.closed(ledger, *at),
                _ => {}
            }
        }
    }

    /// A run of the engine has ended without a word.
    pub fn crashed(&mut self, world: &Shared, _engine: &Engine) {
        // What found no room in the journal is known to nobody any more; positions are asked for, the money is not.
        let world = &mut *lock(world);
        self.strange_money |= world.disk.gap;
        world.meddled |= world.disk.gap;
        self.untold.clear();
        self.last_seq = None;
        // What was not synced may be gone with the power: what our orders left at the venues is ours all the same, but
        // what it has cost is estimated.
        self.strange_money |= world.power_lost && world.disk.is_behind();
    }

    /// A person has put the journal away.
    pub fn journal_lost(&mut self) {
        self.journal_gone = true;
        self.followed.clear();
        self.know_nothing();
        self.last_seq = None;
    }

    pub fn holds(&self, pair: PairId) -> bool {
        !self.follow.book(pair).is_flat()
    }

    /// An order of the pair whose end its journal does not know.
    pub(super) fn is_open(&self, pair: PairId) -> bool {
        let mut orders = self.follow.orders().iter();
        orders.any(|order| order.order.spec.pair == pair && !order.state.is_terminal())
    }
}
