//! The state that the journal's entries add up to, as far as rows and reports need it: orders not yet
//! forgotten and the books of each pair. Pure; fed with every entry in order, from an opening of a segment
//! on.

use crate::journal::entry::{Entry, IntentEntry, IntentOrder};
use crate::position::{Execution, PairBook};
use crate::types::limits::PAIRS_MAX;
use crate::types::order::{Reason, VenueOrderId};
use crate::types::{ClientId, Fill, IntentKind, Nanos, OrderState, PairId, Qty};

/// One order as far as the journal tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    pub order: IntentOrder,
    pub state: OrderState,
    pub venue_id: VenueOrderId,
    pub filled: Qty,
    pub reason: Reason,
    /// When it was decided (zero when an older segment told) and when it last changed.
    pub decided: Nanos,
    pub changed: Nanos,
}

/// What an entry was about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    pub orders: [Option<ClientId>; 2],
    /// Pair whose holdings changed.
    pub held: Option<PairId>,
}

/// Orders and books after the entries seen so far.
#[derive(Clone, Debug, Default)]
pub struct Follow {
    orders: Vec<Order>,
    books: [PairBook; PAIRS_MAX],
    /// Both legs of the pair's entry stand.
    whole: [bool; PAIRS_MAX],
}

impl Follow {
    /// Takes one entry and says what it touched.
    pub fn apply(&mut self, entry: &Entry) -> Touched {
        match *entry {
            Entry::Epoch { .. } => *self = Self::default(),
            Entry::PairSnapshot { pair, book } => self.books[pair.index()] = book,
            Entry::OrderSnapshot { order, state, venue_id, done, at } => {
                let filled = done.filled;
                self.orders.push(Order { state, venue_id, filled, ..fresh(order, Nanos::NEVER, at) });
            }
            Entry::Intent { intent } => return self.decide(&intent),
            Entry::Sent { id, at } => return self.change(id, at, |order| order.state = OrderState::Sent),
            Entry::Unknown { id, at } => {
                return self.change(id, at, |order| order.state = OrderState::Unknown);
            }
            Entry::Acked { id, venue_id, at } => {
                return self.change(id, at, |order| {
                    (order.state, order.venue_id) = (OrderState::Acked, venue_id);
                });
            }
            Entry::Closed { id, state, filled, reason, at } => {
                return self.change(id, at, |order| {
                    (order.state, order.filled, order.reason) = (state, filled, reason);
                });
            }
            Entry::Filled { id, fill, at } => return self.fill(id, &fill, at),
            Entry::Busted { id, fill, at } => return self.fill(id, &undone(&fill), at),
            Entry::Adjusted { pair, by, at } => {
                self.books[pair.index()].adjust(&by, at);
                return Touched { orders: [None; 2], held: Some(pair) };
            }
            Entry::PairClosed { pair, .. } => {
                self.books[pair.index()] = self.books[pair.index()].rest();
                self.whole[pair.index()] = false;
            }
            Entry::PairOpened { pair, .. } | Entry::PairHeld { pair, .. } => self.whole[pair.index()] = true,
            Entry::Funding { venue, pair, amount, .. } => self.settle(venue, pair, amount),
            Entry::TotalsSnapshot { .. }
            | Entry::Tally { .. }
            | Entry::Unproven { .. }
            | Entry::History { .. }
            | Entry::Named { .. }
            | Entry::Rules { .. }
            | Entry::Mode { .. }
            | Entry::Stopped { .. } => {}
        }
        Touched::default()
    }

    pub fn order(&self, id: ClientId) -> Option<&Order> {
        self.orders.iter().find(|order| order.order.spec.id == id)
    }

    pub fn book(&self, pair: PairId) -> &PairBook {
        &self.books[pair.index()]
    }

    /// Both legs of its entry stand: it is a pair, and not what is left of an entry that is being taken back.
    pub fn is_whole(&self, pair: PairId) -> bool {
        self.whole[pair.index()]
    }

    /// Orders not yet forgotten, oldest first.
    pub fn orders(&self) -> &[Order] {
        &self.orders
    }

    /// Orders whose end is not known.
    pub fn open_orders(&self) -> usize {
        self.orders.iter().filter(|order| !order.state.is_terminal()).count()
    }

    /// Pairs that hold something on any leg.
    pub fn held_pairs(&self) -> usize {
        self.books.iter().filter(|book| !book.is_flat()).count()
    }

    /// A decision opens the books of a flat pair and lets its dead orders be forgotten.
    fn decide(&mut self, intent: &IntentEntry) -> Touched {
        let book = &mut self.books[intent.pair.index()];
        if book.is_flat() {
            let pair = intent.pair;
            self.orders.retain(|order| order.order.spec.pair != pair || !order.state.is_terminal());
            if let Some(IntentKind::Enter(direction)) = intent.kind {
                book.open(direction, intent.mid, intent.basis, intent.edge, intent.at);
            }
        }
        let new = intent.orders.iter().flatten();
        self.orders.extend(new.map(|order| fresh(*order, intent.at, intent.at)));
        Touched { orders: intent.orders.map(|order| order.map(|order| order.spec.id)), held: None }
    }

    fn change(&mut self, id: ClientId, at: Nanos, change: impl FnOnce(&mut Order)) -> Touched {
        if let Some(order) = self.orders.iter_mut().find(|order| order.order.spec.id == id) {
            change(order);
            order.changed = at;
        }
        Touched { orders: [Some(id), None], held: None }
    }

    fn fill(&mut self, id: ClientId, fill: &Fill, at: Nanos) -> Touched {
        let mut touched = self.change(id, at, |order| order.filled = order.filled.saturating_add(fill.qty));
        let Some(IntentOrder { spec, leg, expected }) = self.order(id).map(|order| order.order) else {
            return touched;
        };
        self.books[spec.pair.index()].execute(&Execution {
            leg: usize::from(leg),
            side: spec.side,
            purpose: spec.purpose,
            qty: fill.qty,
            price: fill.price,
            expected,
            fee: fill.fee,
            funding: fill.funding,
        });
        touched.held = Some(spec.pair);
        touched
    }

    /// Funding belongs to the leg that the venue held an order for; with none known, to the first.
    fn settle(&mut self, venue: crate::types::VenueId, pair: PairId, amount: crate::types::Usd) {
        let of_venue = |order: &&Order| order.order.spec.pair == pair && order.order.spec.venue == venue;
        let leg = self.orders.iter().find(of_venue).map_or(0, |order| usize::from(order.order.leg));
        self.books[pair.index()].legs[leg].funding += amount;
    }
}

const fn fresh(order: IntentOrder, decided: Nanos, changed: Nanos) -> Order {
    Order {
        order,
        state: OrderState::Intent,
        venue_id: VenueOrderId::EMPTY,
        filled: Qty::ZERO,
        reason: Reason::EMPTY,
        decided,
        changed,
    }
}

/// The execution that takes a busted fill back.
fn undone(fill: &Fill) -> Fill {
    Fill { qty: -fill.qty, fee: -fill.fee, funding: -fill.funding, ..*fill }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::samples;
    use crate::types::Usd;

    #[test]
    fn a_round_trip_opens_and_closes_the_books() {
        let entries = samples::round_trip();
        let mut follow = Follow::default();
        let mut held = Vec::new();
        for entry in &entries {
            follow.apply(entry);
            held.push((follow.held_pairs(), follow.open_orders()));
        }
        assert_eq!(held[1], (0, 2), "both orders of the intent are open");
        assert_eq!(held[9], (1, 0), "both legs stand");
        assert_eq!(held[entries.len() - 1], (0, 0));
        assert!(follow.book(PairId(0)).direction.is_none());
    }

    #[test]
    fn a_busted_fill_is_taken_back() {
        let entries = samples::round_trip();
        let mut follow = Follow::default();
        for entry in &entries[..5] {
            follow.apply(entry);
        }
        let Entry::Filled { id, fill, at } = entries[4] else { panic!("got {:?}", entries[4]) };
        assert_eq!(follow.book(PairId(0)).legs[0].qty, fill.qty);
        let touched = follow.apply(&Entry::Busted { id, fill, at });
        assert_eq!(touched.held, Some(PairId(0)));
        assert!(follow.book(PairId(0)).is_flat());
        assert_eq!(follow.book(PairId(0)).legs[0].cash, Usd::ZERO);
        assert_eq!(follow.order(id).unwrap().filled, Qty::ZERO);
    }
}
