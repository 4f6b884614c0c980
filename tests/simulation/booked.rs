//! What the journal says of executions against what the venues truly did (I4): no more is booked than was executed,
//! what is taken back is booked too, and nobody's deeds but others' are adjusted away.

use bot4::position::Adjustment;
use bot4::types::order::VenueOrderId;
use bot4::types::{ClientId, Fill, OrderSpec, PairId};
use bot4_sim::core::OrderView;

use super::check::{Checker, Meant};
use super::engine::Engine;
use super::run::SECOND;
use super::violation::{Violation, broken};
use super::world::{ROLLED_BACK, State, World};

/// A bust that its venue has told is booked by then, ns.
const BUST_KNOWN: u64 = 5 * SECOND;

/// Reads of a position may fail for so long, ns.
const UNREAD_FOR: u64 = 120 * SECOND;

/// A fill that its venue has taken back.
pub(super) struct Bust {
    pub(super) id: ClientId,
    pub(super) size: i64,
    at: u64,
}

impl Checker {
    /// By how much the books are off for a price that no venue told.
    pub(super) fn count_untold(&mut self, world: &World, id: ClientId, fill: &Fill) {
        let Some(meant) = self.meant.get(&id) else { return };
        let whole = |order: &OrderView| order.filled == fill.qty.raw();
        if let Some(order) = cancelled_untold(world, &meant.spec).filter(whole) {
            let booked = fill.price.times(fill.qty).raw();
            self.untold_money += meant.spec.side.sign() * (booked - order.notional);
            self.untold_funding = true;
        }
    }

    /// I4: nothing is booked that the venue has not executed.
    pub(super) fn booked(&mut self, world: &World, id: ClientId, fill: &Fill) -> Result<(), Violation> {
        self.count_untold(world, id, fill);
        let size = fill.qty.raw();
        let Some(meant) = self.meant.get_mut(&id) else { return Ok(()) };
        meant.booked += size;
        let Meant { booked, done, .. } = *meant;
        let spec = meant.spec;
        if booked > done && !world.was_rolled_back(&spec) {
            // What the position shows of an order that a power cut has taken from the journal may go to another one.
            if self.is_mistakable(world, id, booked - done) || world.meddled {
                self.strange_money = true;
                return Ok(());
            }
            return broken(format_args!("I4: {id} is booked with {booked}, its venue executed {done}"));
        }
        Ok(())
    }

    /// Of an order that the first venue cancelled it tells no fill figures (sheet `vest`, 5.2): only the position does,
    /// and what strangers did to that in the same direction, since it was last read, cannot be told from it. Each of
    /// their deals excuses once.
    fn is_mistakable(&mut self, world: &World, id: ClientId, excess: i64) -> bool {
        let Some(meant) = self.meant.get_mut(&id) else { return false };
        let spec = meant.spec;
        let Some(order) = cancelled_untold(world, &spec) else { return false };
        let since = (spec.signed_ms * 1_000_000).saturating_sub(UNREAD_FOR);
        let alike = |&&mut (market, at, size): &&mut (usize, u64, i64)| {
            market == order.market && at >= since && size.signum() == spec.side.sign()
        };
        let mut left = excess;
        for (_, _, size) in self.strangers.iter_mut().filter(alike) {
            let taken = left.min(size.abs());
            (*size, left) = (*size - taken * spec.side.sign(), left - taken);
        }
        meant.done += excess;
        self.truth.adjust(0, spec.pair.index(), excess * spec.side.sign());
        left == 0
    }

    /// The same the other way round: what had filled of such an order, and a stranger's deal has hidden, nobody can
    /// tell from the stranger's.
    pub(super) fn hide_untold(&mut self, world: &World, id: ClientId) {
        let Some(&Meant { spec, done, booked, .. }) = self.meant.get(&id) else { return };
        let since = (spec.signed_ms * 1_000_000).saturating_sub(UNREAD_FOR);
        let hidden = self.truth.touched(spec.pair.index()) >= since.max(1);
        if done > booked && hidden && cancelled_untold(world, &spec).is_some() {
            let by = spec.side.sign() * (done - booked);
            self.truth.take_for_outside(spec.pair.index(), by, world.now);
        }
    }

    /// I4, O18: a bust of a fill that the engine has is booked soon, where nothing keeps it from hearing of it.
    pub(super) fn watch_busts(&mut self, world: &World, engine: Option<&Engine>) -> Result<(), Violation> {
        let Some(engine) = engine else {
            self.busts.clear();
            self.truth.busted.clear();
            return Ok(());
        };
        for fill in std::mem::take(&mut self.truth.busted) {
            // What a snapshot took over of an order does not tell its fills apart: its position tells of this one.
            let (id, fill_id) = (ClientId::parse(&fill.client_ref), VenueOrderId::cut(&fill.id));
            let held = |id: &ClientId| {
                let mut orders =
                    engine.order.core().pairs().iter().flat_map(|pair| pair.orders.iter().flatten());
                orders.any(|order| order.id() == *id && order.seen_fill(fill_id).is_some())
            };
            if let Some(id) = id.filter(held).filter(|_| world.calm_before_bust) {
                self.busts.push(Bust { id, size: fill.size, at: world.now });
            }
        }
        if self.busts.is_empty() {
            return Ok(());
        }
        let dark = world.wires.iter().any(|wire| wire.venue == 1 && wire.state == State::Dark);
        let rolled = world.rolled_back > 0 && world.now < world.rolled_back + ROLLED_BACK;
        let deaf = dark || world.rest_faulty > 0 || rolled;
        self.busts.retain(|bust| !deaf && world.disturbed <= bust.at);
        match self.busts.iter().find(|bust| world.now > bust.at + BUST_KNOWN) {
            Some(Bust { id, size, .. }) => broken(format_args!("I4: a bust of {size} of {id} is not booked")),
            None => Ok(()),
        }
    }

    /// I4: our books follow a venue only as far as someone else has touched what it holds, or where our journal was
    /// lost.
    pub(super) fn adjusted(
        &mut self,
        world: &World,
        seq: u64,
        pair: PairId,
        by: &Adjustment,
    ) -> Result<(), Violation> {
        self.strange_money = true;
        let late = (0..2).any(|venue| world.venue_clock_was_off(venue));
        let venue = self.config.settings.pairs[pair.index()].venues[usize::from(by.leg)].index();
        let change = by.side.sign() * by.qty.raw();
        if self.truth.adjust(venue, pair.index(), change) {
            self.followed.push((seq, venue, pair.index(), change));
            return Ok(());
        }
        if world.meddled || late {
            // It follows what an order of ours has done that the journal does not know.
            self.truth.adjust(venue, pair.index(), -change);
            return Ok(());
        }
        broken(format_args!("I4: {by:?} of {pair:?}, and nobody has touched so much of what the venue holds"))
    }

    /// A run begins with the entry of this number: what a power cut has taken beyond it the books follow anew.
    pub(super) fn unfollow(&mut self, seq: u64) {
        self.limits.forget(seq);
        for (_, venue, pair, change) in self.followed.extract_if(.., |one| one.0 >= seq) {
            self.truth.unfollow(venue, pair, change);
        }
    }

    /// I4: an order that has ended for the engine has ended in its journal too.
    pub(super) fn ends_are_journalled(&self, world: &World, engine: &Engine) -> Result<(), Violation> {
        let pairs = engine.order.core().pairs().iter().filter(|_| !world.disk.gap);
        let mut ended = pairs.flat_map(|pair| pair.orders.iter().flatten()).filter(|order| !order.is_live());
        let open = |id: ClientId| self.meant.get(&id).is_some_and(|meant| !meant.closed);
        match ended.find(|order| open(order.id())) {
            Some(order) => broken(format_args!(
                "I4: {} is {:?}, and its journal does not say so",
                order.id(),
                order.state
            )),
            None => Ok(()),
        }
    }

    /// I4, O5: whatever was executed of an order is booked in the end, late or not, where nothing kept its venue's word
    /// from the engine.
    pub(super) fn all_is_booked(&self, world: &World) -> Result<(), Violation> {
        if !self.hears_all || world.meddled || world.rolled_back > 0 {
            return Ok(());
        }
        match self.meant.iter().find(|(_, meant)| meant.booked != meant.done) {
            Some((id, Meant { booked, done, .. })) => {
                broken(format_args!("I4: {id} executed {done}, and {booked} of it is booked"))
            }
            None => Ok(()),
        }
    }
}

/// The order at the first venue, once that has cancelled it: it tells neither what had filled, nor the price and the
/// funding of that (sheet `vest`, 5.2).
fn cancelled_untold(world: &World, spec: &OrderSpec) -> Option<OrderView> {
    if spec.venue.index() != 0 {
        return None;
    }
    let name = spec.nonce.to_string();
    let truth = world.venues[0].truth();
    let mut orders = truth.orders().filter(|order| order.state == bot4_sim::core::State::Cancelled);
    orders.find(|order| order.client_ref == name).cloned()
}
