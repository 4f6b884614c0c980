//! What has to hold when everything has come to rest, and when the engine has ended (SAFETY §3, liveness): judged by
//! the venues' private truth.

use bot4::order::pair::Pair;
use bot4::types::Mode;
use bot4_sim::core::account::LedgerKind;

use super::check::{Checker, DEPOSIT_USD};
use super::engine::Engine;
use super::violation::{Violation, broken};
use super::world::World;

impl Checker {
    /// Liveness, after faults stopped long ago (I4, I7, I18 to I21).
    pub fn has_converged(&self, world: &World, engine: &Engine) -> Result<(), Violation> {
        let core = engine.order.core();
        for pair in core.pairs() {
            if let Some(order) = pair.live_orders().next() {
                return broken(format_args!("I18: {} is {:?}", order.id(), order.state));
            }
            let index = pair.settings.id.index();
            let delta = self.truth.delta(index);
            if delta.abs() > self.truth.dust(world, index) {
                return broken(format_args!("I19: pair {index} is off by {delta}"));
            }
            for leg in 0..2 {
                let theirs = self.truth.position(pair.settings.venues[leg].index(), index);
                if pair.book.legs[leg].qty.raw() != theirs {
                    return broken(format_args!(
                        "I4: leg {leg} of pair {index}: our books say {}, the venue holds {theirs}",
                        pair.book.legs[leg].qty
                    ));
                }
            }
        }
        for venue in 0..2 {
            if let Some(order) = self.truth.open_order(world, venue) {
                return broken(format_args!("I7: venue {venue} still has {order:?}"));
            }
        }
        self.all_is_booked(world)?;
        if core.mode() != Mode::Active {
            return broken(format_args!("I20: mode is {:?}", core.mode()));
        }
        Ok(())
    }

    /// After a stop that closes everything.
    pub fn ended_flat(&self, world: &mut World, engine: &Engine) -> Result<(), Violation> {
        for pair in engine.order.core().pairs() {
            let index = pair.settings.id.index();
            let held = [0, 1].map(|venue| self.truth.position(venue, index));
            if held.iter().any(|held| held.abs() > self.truth.dust(world, index)) {
                return broken(format_args!("L8: pair {index} still holds {held:?}"));
            }
        }
        for venue in 0..2 {
            if let Some(order) = self.truth.open_order(world, venue) {
                return broken(format_args!("I7: venue {venue} still has {order:?}"));
            }
            let stranger = self.truth.cancelled_stranger(world, venue);
            if let Some(order) = stranger.filter(|_| !self.config.settings.dedicated_account) {
                return broken(format_args!("rule: a stranger's order was cancelled: {order:?}"));
            }
        }
        if !self.strange_money && world.rolled_back == 0 && !world.busted_unheard {
            self.money_adds_up(world, engine)?;
        }
        Ok(())
    }

    /// I17: what the ledger says was earned is what the balances have changed by, to the last unit. Funding that a
    /// close settles is told by a query alone: one that got no answer in time is missing in the books, and is
    /// counted. So is by how much a price that no venue told is off.
    fn money_adds_up(&self, world: &mut World, engine: &Engine) -> Result<(), Violation> {
        let deposits = 2 * DEPOSIT_USD * 100_000_000;
        let balances = world.venues.iter().map(|venue| venue.truth().balance()).sum::<i64>();
        let core = engine.order.core();
        let left = core.pairs().iter().map(|pair| self.left_over(world, pair)).sum::<i64>();
        let earned = balances + world.moved - deposits + left;
        let ledger = core.totals().ledger;
        let entries = world.venues.iter().flat_map(|venue| &venue.exchange().accounts()[0].ledger);
        let funding = entries.filter(|entry| entry.kind == LedgerKind::Funding).map(|entry| entry.amount);
        let untold = funding.sum::<i64>() - ledger.funding.raw();
        let off = earned != ledger.total().raw() + untold + self.untold_money;
        if off || untold != 0 && self.calm && !self.untold_funding {
            let booked = ledger.total();
            return broken(format_args!(
                "I17: balances changed by {earned}, {booked} booked, funding {untold} untold"
            ));
        }
        if untold != 0 {
            world.tags.hit("funding never told");
        }
        Ok(())
    }

    /// What no venue takes any more stands in the ledger at the pair's reference price, and its cost in no balance.
    fn left_over(&self, world: &World, pair: &Pair) -> i64 {
        let leg = |leg: usize| {
            let value = pair.book.reference.times(pair.book.legs[leg].qty).raw();
            value - self.truth.cost(world, pair.settings.venues[leg].index(), pair.settings.id.index())
        };
        leg(0) + leg(1)
    }
}
