//! What a venue tells under the name of an order of ours and was not ordered: another side, another market (SAFETY
//! O17). None of it is booked as told: the positions say what was done, and a person has to look. Part of
//! `order::core`.

use super::core::{Core, Effects};
use crate::types::{ClientId, Nanos, OrderNews, OrderReport, OrderSpec, Told};

/// What speaks against its being of this order.
pub(super) fn misfit(spec: &OrderSpec, told: Told) -> Option<&'static str> {
    if !told.fits_market(spec.pair) {
        return Some("executed on another market");
    }
    (!told.fits_side(spec.side)).then_some("executed on the wrong side")
}

impl Core {
    /// Takes news of an execution that is not of what was ordered. True when it was that.
    pub(super) fn takes_misfit(
        &mut self,
        now: Nanos,
        index: usize,
        id: ClientId,
        news: &OrderNews,
        fx: &mut Effects,
    ) -> bool {
        let (told, over) = match news {
            OrderNews::Fill(_, told) => (*told, false),
            OrderNews::Closed { filled, told, .. } if !filled.is_zero() => (*told, true),
            _ => return false,
        };
        let Some(order) = self.pairs[index].order_mut(id) else { return false };
        let Some(why) = misfit(&order.spec, told) else { return false };
        self.disown(now, index, id, why, over, fx);
        true
    }

    /// The same by the row of the order. One that is still open is cancelled in its time, as any is.
    pub(super) fn take_misfit_row(
        &mut self,
        now: Nanos,
        index: usize,
        id: ClientId,
        report: &OrderReport,
        fx: &mut Effects,
    ) {
        let why = "the venue shows another order under our name";
        self.disown(now, index, id, why, report.terminal, fx);
        if !report.terminal {
            self.acknowledge(now, index, id, report, fx);
        }
    }

    /// Nothing of it counts. What the venue holds is asked for and adopted, as after a late fill; where the order is
    /// over, its own leg's position tells what that filled, so that it does not wait for a row that fits.
    fn disown(&mut self, now: Nanos, index: usize, id: ClientId, why: &str, over: bool, fx: &mut Effects) {
        let Some(order) = self.pairs[index].order_mut(id) else { return };
        let (venue, again) = (order.spec.venue, order.disowned);
        order.disowned = true;
        if order.is_live() {
            if !again {
                order.ask_now(now);
            }
            if over {
                order.end_untold(now);
            }
        }
        if again {
            return;
        }
        self.suspect_late(now, venue, fx);
        self.doubt(now, index, id, fx);
        self.halt(now, venue, why, fx);
    }
}
