//! What the venues have executed, held against what was meant (I3, I5, I9). Part of the checker.

use super::check::Checker;
use super::truth::Deal;
use super::violation::{Violation, broken};
use super::world::World;

impl Checker {
    /// A venue has executed something.
    pub(super) fn deal(&mut self, world: &mut World, venue: usize, deal: &Deal) -> Result<(), Violation> {
        let Some(id) = self.named(venue, &deal.reference) else {
            if venue == 0 {
                self.strangers.push((deal.market, world.now, deal.after - deal.before));
            }
            // What shrinks a position of ours is a loss to be followed; anything else is a stranger's.
            let shrinks =
                deal.after.abs() < deal.before.abs() && deal.after.signum() * deal.before.signum() >= 0;
            let ours = self.unwritten.contains(&deal.reference);
            if ours && !shrinks {
                return broken(format_args!("I9: {deal:?} of a closing order at venue {venue}"));
            }
            self.strange_money |= !ours;
            return Ok(());
        };
        world.trace.note(world.now, "deal", format_args!("{venue} {id} {} at {}", deal.size, deal.price));
        let Some(meant) = self.meant.get_mut(&id) else { return Ok(()) };
        meant.done += deal.size;
        let spec = meant.spec;
        if meant.done > spec.qty.raw() {
            return broken(format_args!("I3: {id} executed {} of {}", meant.done, spec.qty));
        }
        let (before, after) = (deal.before, deal.after);
        if spec.purpose.reduce_only()
            && !world.was_rolled_back(&spec)
            && (after.abs() > before.abs() || after.signum() * before.signum() < 0)
        {
            return broken(format_args!(
                "I9: {id} ({:?}) took venue {venue} from {before} to {after}",
                spec.purpose
            ));
        }
        let size = self.config.settings.pairs[spec.pair.index()].size.raw();
        let most = size + self.truth.returned(spec.pair.index());
        // A person may have adopted more: what truly stands on the other leg may be hedged, and not a unit beyond.
        let most = most.max((self.truth.delta(spec.pair.index()) - after).abs());
        let excused = self.strange || world.was_rolled_back(&spec);
        if after.abs() > most && !excused {
            return broken(format_args!("I5: venue {venue} holds {after} after {id}, more than {most}"));
        }
        Ok(())
    }
}
