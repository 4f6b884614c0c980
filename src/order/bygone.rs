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
