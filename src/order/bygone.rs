//! Orders that have left their slots. A venue may name one once more, by its own id or by our nonce: what it then tells
//! beyond what was booked is a late fill of ours (SAFETY O5, O15), which its client id alone would not say. Pure; kept
//! by `order::core`.

use super::lifecycle::Order;
use crate::types::order::VenueOrderId;
use crate::types::report::OrderKey;
use crate::types::{Qty, VenueId};

/// The last so many are kept: more than a busy minute has.
const KEPT: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Bygone {
    venue: VenueId,
    nonce: u64,
    venue_id: VenueOrderId,
    /// Booked, and taken back by the venue or not.
    filled: Qty,
}

#[derive(Clone, Debug)]
pub struct Bygones {
    orders: Vec<Bygone>,
    /// Place of the oldest.
    next: usize,
}

impl Default for Bygones {
    fn default() -> Self {
        Self { orders: Vec::with_capacity(KEPT), next: 0 }
    }
}

impl Bygones {
    pub fn note(&mut self, order: &Order) {
        let filled = order.done.filled + order.done.busted;
        let spec = &order.spec;
        let bygone = Bygone { venue: spec.venue, nonce: spec.nonce, venue_id: order.venue_id, filled };
        match self.orders.get_mut(self.next) {
            Some(oldest) => *oldest = bygone,
            None => self.orders.push(bygone),
        }
        self.next = (self.next + 1) % KEPT;
    }

    /// One of them has filled more than was booked.
    pub fn have_outgrown(&self, venue: VenueId, key: OrderKey, filled: Qty) -> bool {
        let named = |bygone: &&Bygone| match key {
            OrderKey::Client(_) => false,
            OrderKey::Nonce(nonce) => bygone.nonce == nonce,
            OrderKey::Venue(id) => bygone.venue_id == id && !id.is_empty(),
        };
        let mut there = self.orders.iter().filter(|bygone| bygone.venue == venue);
        there.find(named).is_some_and(|bygone| filled > bygone.filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::samples;
    use crate::types::{Purpose, Side};

    const VENUE: VenueId = VenueId(0);

    /// An order with this nonce and venue id that has filled so much.
    fn order(nonce: u64, id: &str, filled: i64) -> Order {
        let intended = samples::order(1, 0, Side::Buy, Purpose::Enter);
        let mut order = Order::new(intended.spec, 0, intended.expected);
        (order.spec.nonce, order.venue_id) = (nonce, VenueOrderId::cut(id));
        order.done.filled = Qty::from_raw(filled);
        order
    }

    #[test]
    fn only_what_was_not_booked_of_an_order_that_was_kept_is_late() {
        let mut bygones = Bygones::default();
        let mut busted = order(7, "x", 3);
        busted.done.busted = Qty::from_raw(2);
        bygones.note(&busted);
        let outgrown = |venue, key, filled| bygones.have_outgrown(venue, key, Qty::from_raw(filled));
        let by_nonce = OrderKey::Nonce(7);
        assert!(
            !outgrown(VENUE, by_nonce, 5) && outgrown(VENUE, by_nonce, 6),
            "what was taken back is known too"
        );
        assert!(outgrown(VENUE, OrderKey::Venue(VenueOrderId::cut("x")), 6));
        for key in
            [OrderKey::Nonce(8), OrderKey::Venue(VenueOrderId::EMPTY), OrderKey::Client(samples::id(1, 0))]
        {
            assert!(!outgrown(VENUE, key, 6), "{key:?}");
        }
        assert!(!outgrown(VenueId(1), by_nonce, 6), "a nonce is its venue's");
    }

    #[test]
    fn the_newest_are_kept() {
        let mut bygones = Bygones::default();
        (0..=KEPT as u64).for_each(|nonce| bygones.note(&order(nonce, "", 0)));
        let knows = |nonce| bygones.have_outgrown(VENUE, OrderKey::Nonce(nonce), Qty::from_raw(1));
        assert_eq!([0, 1, KEPT as u64].map(knows), [false, true, true]);
    }
}
