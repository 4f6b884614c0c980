//! One pair: its books, its live orders, where it stands in its life. State changes only through [`Pair::apply`], fed
//! by journal entries, so that a replay after a crash gives the same pair. Pure.

use super::gate::floor_lot;
use super::health::Absurd;
use super::lately::Lately;
use super::lifecycle::Order;
use super::mend::Mend;
use crate::journal::entry::{Entry, IntentEntry, Unproven};
use crate::position::{Execution, PairBook};
use crate::types::report::PositionReport;
use crate::types::settings::PairSettings;
use crate::types::{
    ClientId, Fill, IntentKind, MarketRules, MarketStatus, Nanos, OrderState, Price, Qty, Quote, Rate,
    StopReason,
};

/// For so long what a venue was late to show may be ours, ms.
pub const LATE_FILL_MS: u64 = 60_000;

/// A venue's reads may lag behind its stream by seconds (SAFETY V13), and a leg that is taken for gone costs the other
/// one, ms.
pub(super) const LAG_MS: u64 = 5_000;

/// Where a pair stands. Orders in flight are in `Pair::orders`; the phase says what for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Nothing in flight; flat or held.
    #[default]
    Idle,
    /// Both legs of an entry are out.
    Opening,
    /// Both legs of an exit are out.
    Closing(StopReason),
    /// One leg is more than the other; `since` = first known fill of the lone part.
    Mending { since: Nanos },
}

/// A person wants what the venues hold to be this pair.
#[derive(Clone, Copy, Debug)]
pub struct Adopting {
    pub since: Nanos,
    /// What each leg's venue has shown last, and when it was asked for.
    pub shown: [Option<(Nanos, PositionReport)>; 2],
}

/// A venue's position that is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Signed, as the venue has it.
    pub theirs: Qty,
    /// When it was first asked for.
    pub asked: Nanos,
    /// When the next look at it is due.
    pub look_at: Nanos,
}

#[derive(Clone, Debug)]
pub struct Pair {
    pub settings: PairSettings,
    pub book: PairBook,
    pub phase: Phase,
    /// The last order of each leg; live ones are in flight.
    pub orders: [Option<Order>; 2],
    pub quotes: [Quote; 2],
    pub rules: [Option<MarketRules>; 2],
    /// The last decision of `spread` that was acted on (mending orders are not decisions).
    pub decision: Option<IntentEntry>,
    /// An entry stands: `PairOpened` was written, or `PairHeld` by a later segment.
    pub opened: bool,
    /// Spread at the entry fills (adjusted), for the exposure.
    pub entry_spread: Rate,
    pub mend: Mend,
    /// No entries before this.
    pub cool_until: Nanos,
    /// No exit before this.
    pub exit_after: Nanos,
    /// Since when one leg is known to hold more than the other, and for how long it last did.
    pub lone_since: Nanos,
    pub lone_ns: u64,
    /// The venue shows a position that is not ours: no entries until adopted.
    pub foreign: [bool; 2],
    /// How much of it is not, signed, also before its venue's history has said whose it is; and when what last told so
    /// was asked for.
    pub strangers: [Qty; 2],
    pub shared_at: [Nanos; 2],
    /// What orders of a leg whose end left their fill untold may have filled beyond what the position had shown, and
    /// when the last was closed.
    unproven: [(Unproven, Nanos); 2],
    /// Orders of this leg were found that the journal has lost, and no position that has caught up was read since.
    pub lost: [bool; 2],
    /// All that those may have filled.
    pub found: [Unproven; 2],
    /// A person has said that what the venues hold is ours: what the journal may have lost is settled with it.
    pub adopted: bool,
    /// When a statement that shows all that our books hold of a leg was last asked for.
    pub confirmed: [Nanos; 2],
    /// What the venue showed when it last differed from our books: a second look is due.
    pub differs: [Option<Difference>; 2],
    /// What its venues tell that cannot be meant.
    pub absurd: Absurd,
    /// Since when the book of a leg that is held cannot be traded on; `NEVER` = it can.
    pub silent_since: [Nanos; 2],
    /// When the book of a silent feed was last asked for.
    pub book_asked: [Nanos; 2],
    /// Part of a leg was gone at its venue since the pair was opened.
    pub gone: bool,
    pub adopting: Option<Adopting>,
    /// Last time anything changed the positions; older reports are not believed.
    pub touched: Nanos,
    /// Last time a leg's position changed in our books.
    pub moved: [Nanos; 2],
    /// And what it held before.
    pub(super) lately: [Lately; 2],
}

impl Pair {
    pub fn new(settings: PairSettings) -> Self {
        Self {
            settings,
            book: PairBook::default(),
            phase: Phase::Idle,
            orders: [None, None],
            quotes: [Quote::default(); 2],
            rules: [None; 2],
            decision: None,
            opened: false,
            entry_spread: Rate::ZERO,
            mend: Mend::default(),
            cool_until: Nanos::NEVER,
            exit_after: Nanos::NEVER,
            lone_since: Nanos::NEVER,
            lone_ns: 0,
            foreign: [false; 2],
            strangers: [Qty::ZERO; 2],
            shared_at: [Nanos::NEVER; 2],
            unproven: [(Unproven::default(), Nanos::NEVER); 2],
            lost: [false; 2],
            found: [Unproven::default(); 2],
            adopted: false,
            confirmed: [Nanos::NEVER; 2],
            differs: [None; 2],
            absurd: Absurd::default(),
            silent_since: [Nanos::NEVER; 2],
            book_asked: [Nanos::NEVER; 2],
            gone: false,
            adopting: None,
            touched: Nanos::NEVER,
            moved: [Nanos::NEVER; 2],
            lately: [Lately::default(); 2],
        }
    }

    /// Applies one fact of this pair. The same code runs live and in recovery.
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::PairSnapshot { book, .. } => {
                self.book = *book;
                // An entry that stands is told by the `PairHeld` behind it.
                self.opened = false;
            }
            Entry::OrderSnapshot { order, state, venue_id, done, at } => {
                let mut restored = Order::new(order.spec, usize::from(order.leg), order.expected);
                (restored.state, restored.venue_id) = (*state, *venue_id);
                (restored.sent_at, restored.done) = (*at, *done);
                restored.acked_at = if *state == OrderState::Acked { *at } else { Nanos::NEVER };
                self.orders[usize::from(order.leg)] = Some(restored);
            }
            Entry::Intent { intent } => self.apply_intent(intent),
            Entry::Sent { id, at } => self.with_order(*id, |order| {
                order.sent_at = *at;
                order.state = OrderState::Sent;
            }),
            Entry::Acked { id, venue_id, at } => self.with_order(*id, |order| {
                order.venue_id = *venue_id;
                order.acked_at = *at;
                order.state = OrderState::Acked;
            }),
            Entry::Unknown { id, at } => self.with_order(*id, |order| {
                order.unknown_since = *at;
                order.state = OrderState::Unknown;
            }),
            Entry::Filled { id, fill, at } => self.apply_fill(*id, fill, *at),
            Entry::Busted { id, fill, at } => self.apply_bust(*id, fill, *at),
            Entry::Adjusted { by, at, .. } => {
                let before = self.book.legs[usize::from(by.leg)].qty;
                if self.book.is_flat() {
                    // What is adopted was decided by nobody here.
                    self.decision = None;
                }
                self.book.adjust(by, *at);
                self.gone |= self.book.legs[usize::from(by.leg)].qty.abs() < before.abs();
                self.touched = *at;
                self.note_move(usize::from(by.leg), before, *at);
            }
            Entry::Unproven { leg, open, at, .. } => {
                if let Some(unproven) = self.unproven.get_mut(usize::from(*leg)) {
                    *unproven = (*open, *at);
                }
            }
            Entry::Rules { leg, rules, .. } => {
                if let Some(known) = self.rules.get_mut(usize::from(*leg)) {
                    *known = Some(*rules);
                }
            }
            Entry::Closed { id, state, .. } => self.with_order(*id, |order| order.state = *state),
            Entry::PairOpened { spread, .. } | Entry::PairHeld { spread, .. } => {
                self.opened = true;
                self.entry_spread = *spread;
            }
            Entry::PairClosed { .. } => {
                self.opened = false;
                self.gone = false;
                self.book = self.book.rest();
                self.orders = [None, None];
            }
            Entry::Funding { venue, amount, .. } => {
                if let Some(leg) = self.leg_of(*venue) {
                    self.book.legs[leg].funding += *amount;
                    self.orders[leg].iter_mut().for_each(|order| order.done.funding_told = true);
                }
            }
            _ => {}
        }
    }

    fn apply_intent(&mut self, intent: &IntentEntry) {
        if let Some(IntentKind::Enter(direction)) = intent.kind {
            self.book.open(direction, intent.mid, intent.basis, intent.edge, intent.at);
        }
        for order in intent.orders.iter().flatten() {
            let leg = usize::from(order.leg);
            let spent = self.orders[leg].take();
            self.orders[leg] = Some(Order::in_place_of(spent, order.spec, leg, order.expected));
        }
        if intent.kind.is_some() {
            self.decision = Some(*intent);
        }
        self.touched = intent.at;
    }

    fn apply_fill(&mut self, id: ClientId, fill: &Fill, at: Nanos) {
        self.touched = at;
        let Some(order) = self.orders.iter_mut().flatten().find(|order| order.id() == id) else { return };
        let leg = order.leg;
        let before = self.book.legs[leg].qty;
        order.fill(fill, at);
        self.book.execute(&Execution {
            leg,
            side: order.spec.side,
            purpose: order.spec.purpose,
            qty: fill.qty,
            price: fill.price,
            expected: order.expected,
            fee: fill.fee,
            funding: fill.funding,
        });
        self.note_move(leg, before, at);
    }

    /// A bust is the opposite execution at the same price with its fee given back.
    fn apply_bust(&mut self, id: ClientId, fill: &Fill, at: Nanos) {
        let Some(order) = self.orders.iter_mut().flatten().find(|order| order.id() == id) else { return };
        let leg = order.leg;
        let before = self.book.legs[leg].qty;
        order.bust(fill);
        self.book.execute(&Execution {
            leg,
            side: order.spec.side.opposite(),
            purpose: order.spec.purpose,
            qty: fill.qty,
            price: fill.price,
            expected: order.expected,
            fee: -fill.fee,
            funding: -fill.funding,
        });
        self.note_move(leg, before, at);
    }

    /// A leg has moved from `before` to what its book holds now.
    fn note_move(&mut self, leg: usize, before: Qty, at: Nanos) {
        if self.has_caught_up(leg, at) {
            self.lately[leg] = Lately::default();
        }
        self.lately[leg].note(before);
        self.moved[leg] = at;
    }

    /// A journal segment begins with what is held, and does not tell since when.
    pub fn forget_lately(&mut self, at: Nanos) {
        (self.moved, self.lately) = ([at; 2], [Lately::LOST; 2]);
    }

    /// A read that was asked for then has caught up with the leg's last change.
    pub fn has_caught_up(&self, leg: usize, asked: Nanos) -> bool {
        asked >= self.moved[leg].plus_ms(LAG_MS)
    }

    /// It has not, and shows what the leg has held before.
    pub fn is_perhaps_old(&self, leg: usize, shown: Qty, asked: Nanos) -> bool {
        !self.has_caught_up(leg, asked) && self.lately[leg].may_hold(shown)
    }

    /// Its venue has shown less of a leg since that last moved.
    pub fn is_doubted(&self, leg: usize) -> bool {
        let held = self.book.legs[leg].qty;
        self.differs[leg].is_some_and(|seen| {
            seen.asked > self.moved[leg] && (held - seen.theirs).raw().signum() * held.raw().signum() > 0
        })
    }

    fn with_order(&mut self, id: ClientId, change: impl FnOnce(&mut Order)) {
        if let Some(order) = self.order_mut(id) {
            change(order);
        }
    }

    /// Price expected for a leg when the last decision was made.
    pub fn decided_price(&self, leg: usize) -> Option<Price> {
        self.decision.as_ref().and_then(|decision| decision.orders[leg]).map(|order| order.expected)
    }

    pub fn order_mut(&mut self, id: ClientId) -> Option<&mut Order> {
        self.orders.iter_mut().flatten().find(|order| order.id() == id)
    }

    pub fn live_orders(&self) -> impl Iterator<Item = &Order> {
        self.orders.iter().flatten().filter(|order| order.is_live())
    }

    /// A venue shows what our books do not.
    pub fn is_strange(&self) -> bool {
        self.foreign.contains(&true) || self.differs.iter().any(Option::is_some)
    }

    /// What orders of ours that are over may have filled on a leg beyond our books.
    pub fn unproven(&self, leg: usize, now: Nanos) -> Unproven {
        let open = self.lost[leg] || self.may_grow(leg, now, LATE_FILL_MS);
        if open { self.unproven[leg].0 } else { Unproven::default() }
    }

    /// A position that was asked for then shows all that lost orders of the leg have done.
    pub fn shows_lost(&self, leg: usize, asked: Nanos) -> bool {
        asked >= self.unproven[leg].1.plus_ms(LAG_MS)
    }

    /// Reads may show more of a leg any moment: its last order has just ended without a word of what it filled.
    pub fn may_grow(&self, leg: usize, now: Nanos, for_ms: u64) -> bool {
        let (open, since) = self.unproven[leg];
        !open.is_zero() && now.ms_since(since) < for_ms
    }

    /// The same, as a journal segment begins with it.
    pub fn unproven_parts(&self, now: Nanos) -> impl Iterator<Item = Entry> {
        let told = (0..2).filter(move |&leg| !self.unproven(leg, now).is_zero());
        told.map(|leg| {
            let (open, at) = self.unproven[leg];
            Entry::Unproven { pair: self.settings.id, leg: leg as u8, open, at }
        })
    }

    /// Its venue takes no orders on this market now.
    pub fn is_halted(&self, leg: usize) -> bool {
        let ruled = self.rules[leg].is_some_and(|rules| rules.status == MarketStatus::Halted);
        ruled || self.quotes[leg].ticker.status == MarketStatus::Halted
    }

    pub fn has_live_orders(&self) -> bool {
        self.live_orders().next().is_some()
    }

    /// An entry is under way whose missing leg may still be brought.
    pub fn is_entering(&self) -> bool {
        let exits = |decision: &IntentEntry| matches!(decision.kind, Some(IntentKind::Exit(_)));
        let enters = self.decision.as_ref().is_some_and(|decision| !exits(decision));
        !self.opened && self.phase != Phase::Idle && enters
    }

    /// One leg holds more than the other by what could be traded away.
    pub fn is_lone(&self) -> bool {
        let net = self.book.net().abs();
        self.common_lot().map_or(!net.is_zero(), |lot| net >= lot && !self.is_residual(net))
    }

    /// A difference that the heavy leg's venue does not trade for being too small: it stays in the books, beside a
    /// hedge until the close takes it along, else until a person closes it (SAFETY O8, V7).
    fn is_residual(&self, net: Qty) -> bool {
        let heavy = usize::from(self.book.legs[1].qty.abs() > self.book.legs[0].qty.abs());
        let completable = self.is_entering() && !self.mend.spent && self.is_large_enough(1 - heavy, net);
        !self.takes_close(heavy, net) && !completable
    }

    /// The venue of a leg takes an order that closes up to so much of it: whole steps, enough of them or all that is
    /// held (sheet `paradex`, 3.3).
    pub fn takes_close(&self, leg: usize, qty: Qty) -> bool {
        let held = self.book.legs[leg].qty.abs();
        let part = self.rules[leg].map_or(Qty::ZERO, |rules| floor_lot(qty.min(held), rules.lot));
        !part.is_zero() && (part == held || self.is_large_enough(leg, part))
    }

    /// Not below what the venue of a leg takes, at the higher of the prices known; without one it may be enough.
    fn is_large_enough(&self, leg: usize, qty: Qty) -> bool {
        let price = self.book.reference.max(self.quotes[leg].ticker.mark);
        self.rules[leg].is_some_and(|rules| {
            qty >= rules.min_qty && (price.is_zero() || price.times(qty) >= rules.min_notional)
        })
    }

    /// Funding of a close is still being read.
    pub fn awaits_confirmation(&self) -> bool {
        self.orders.iter().flatten().any(|order| order.unconfirmed)
    }

    pub fn leg_of(&self, venue: crate::types::VenueId) -> Option<usize> {
        self.settings.venues.iter().position(|&other| other == venue)
    }

    /// A venue takes one of its markets off before this moment, ms since the epoch.
    pub fn ends_before(&self, at_ms: u64) -> bool {
        self.rules.iter().flatten().any(|rules| rules.ends_ms.is_some_and(|end| end < at_ms))
    }

    /// Smallest step that both venues can trade; `None` until both rules are known.
    pub fn common_lot(&self) -> Option<Qty> {
        let [Some(a), Some(b)] = self.rules else { return None };
        Some(common_multiple(a.lot, b.lot))
    }

    /// Mean of the two mids of the last quotes; zero when one is missing.
    pub fn mean_mid(&self) -> Price {
        if self.quotes.iter().any(|quote| quote.bid.is_zero() || quote.ask.is_zero()) {
            return Price::ZERO;
        }
        let mids = self.quotes.map(|quote| Price::mid(quote.bid, quote.ask));
        Price::mid(mids[0], mids[1])
    }

    /// Largest unhedged quantity that the pair may have: an order whose outcome is not known counts as nothing and as
    /// everything.
    pub fn worst_net(&self) -> Qty {
        let net = self.book.net().raw();
        let (mut low, mut high) = (net, net);
        for order in self.live_orders().filter(|order| order.state == OrderState::Unknown) {
            let open = (order.spec.qty - order.done.filled).raw() * order.spec.side.sign();
            low += open.min(0);
            high += open.max(0);
        }
        Qty::from_raw(low.abs().max(high.abs()))
    }

    /// Worst-case quantity at risk on a leg.
    pub fn worst_case(&self, leg: usize) -> Qty {
        let [low, high] = self.reach(leg, Nanos(u64::MAX));
        low.abs().max(high.abs())
    }

    /// Of the positions that a leg may have by our own doing the nearest to the one that its venue shows since then.
    pub fn nearest(&self, leg: usize, shown: Qty, since: Nanos) -> Qty {
        let [low, high] = self.reach(leg, since);
        shown.clamp(low, high)
    }

    /// The least and the most that a leg may hold by our own doing, signed: what is held and what may still fill of the
    /// orders that had left until then.
    fn reach(&self, leg: usize, until: Nanos) -> [Qty; 2] {
        let held = self.book.legs[leg].qty;
        let (mut low, mut high) = (held, held);
        for order in self.live_orders().filter(|order| order.leg == leg && order.sent_at <= until) {
            let open = (order.spec.qty - order.done.filled).raw() * order.spec.side.sign();
            low += Qty::from_raw(open.min(0));
            high += Qty::from_raw(open.max(0));
        }
        [low, high]
    }
}

/// Least common multiple of two lots (both positive).
fn common_multiple(a: Qty, b: Qty) -> Qty {
    let gcd = |mut x: i64, mut y: i64| {
        while y != 0 {
            (x, y) = (y, x % y);
        }
        x
    };
    Qty::from_raw(a.raw() / gcd(a.raw(), b.raw()) * b.raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_lot_is_a_multiple_of_both() {
        let lot = |raw| Qty::from_raw(raw);
        assert_eq!(common_multiple(lot(10_000), lot(1_000)), lot(10_000));
        assert_eq!(common_multiple(lot(4), lot(6)), lot(12));
    }
}
