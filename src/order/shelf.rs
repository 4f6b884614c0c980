//! Orders that lie ready, signed: put here as they come from `signer`, taken once by a decision that they fit. Pure;
//! owned by `core`. Never hands out an order that is old, of the future, or signed before the last thing that made
//! what was signed untrue.

use super::rungs::{AGE_MAX_MS, RUNGS};
use crate::types::ready::{Ready, SignedText};
use crate::types::{ClientId, Nanos, OrderSpec, PairId, Price, Qty, Side, VenueId};

/// Orders kept of one kind: two ladders, so that a new one may come in while the old one still serves.
const ROW: usize = 2 * RUNGS;
/// Kinds of one pair: two legs, two sides, opening or reducing.
const KINDS: usize = 8;
/// Orders taken and not yet written: one step sends no more.
const TAKEN: usize = 4;

/// An order that a decision wants.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub pair: PairId,
    pub leg: usize,
    pub side: Side,
    pub reduce_only: bool,
    pub qty: Qty,
    /// The limit may be no more willing than this,
    pub limit: Price,
    /// and no less: inside it the order could not fill as a whole.
    pub least: Price,
}

/// The shelf of all pairs.
pub struct Shelf {
    rows: Vec<Row>,
    taken: [Option<(ClientId, SignedText)>; TAKEN],
    next_taken: usize,
    /// Per venue: what was signed up to this moment is void, and nonces up to this one are spent.
    void_until: Vec<Nanos>,
    spent: Vec<u64>,
}

/// Orders of one kind; a newer one takes the place of the oldest.
struct Row {
    /// Their limits, apart, because a look-up reads all of them and few of the orders.
    limits: Vec<Price>,
    orders: Vec<Ready>,
    next: usize,
}

/// Nothing lies here: no limit that is wanted reaches so far down.
const VACANT: Price = Price::from_raw(i64::MIN);

impl Shelf {
    pub fn new(pairs: usize, venues: usize) -> Self {
        let row = || Row { limits: Vec::with_capacity(ROW), orders: Vec::with_capacity(ROW), next: 0 };
        Self {
            rows: (0..pairs * KINDS).map(|_| row()).collect(),
            taken: [None; TAKEN],
            next_taken: 0,
            void_until: vec![Nanos::NEVER; venues],
            spent: vec![0; venues],
        }
    }

    /// Puts an order of this leg of its pair on the shelf.
    pub fn put(&mut self, leg: usize, ready: &Ready) {
        let spec = &ready.spec;
        let Some(row) = self.rows.get_mut(place(spec.pair, leg, spec.side, spec.reduce_only)) else { return };
        if row.limits.len() < ROW {
            row.limits.push(spec.limit);
            row.orders.push(*ready);
        } else {
            row.limits[row.next] = spec.limit;
            row.orders[row.next] = *ready;
            row.next = (row.next + 1) % ROW;
        }
    }

    /// The most willing order that fits, if one does. It will never be handed out again.
    pub fn take(&mut self, now: Nanos, wanted: &Wanted) -> Option<Ready> {
        let row = self.rows.get_mut(place(wanted.pair, wanted.leg, wanted.side, wanted.reduce_only))?;
        let venue = row.orders.first()?.spec.venue.index();
        let (void_until, spent) = (self.void_until.get(venue)?.ms(), *self.spent.get(venue)?);
        let (low, high) = match wanted.side {
            Side::Buy => (wanted.least, wanted.limit),
            Side::Sell => (wanted.limit, wanted.least),
        };
        let now_ms = now.ms();
        let fits = |spec: &OrderSpec| {
            let young = spec.signed_ms <= now_ms && now_ms - spec.signed_ms <= AGE_MAX_MS;
            young && spec.signed_ms > void_until && spec.nonce > spent && spec.qty == wanted.qty
        };
        let priced = row.limits.iter().enumerate().filter(|(_, limit)| (low..=high).contains(limit));
        let fitting = priced.filter(|(at, _)| fits(&row.orders[*at].spec));
        // Of two equally willing ones the younger.
        let willing = |limit: Price| limit.raw() * wanted.side.sign();
        let (at, _) = fitting.max_by_key(|(at, limit)| (willing(**limit), row.orders[*at].spec.signed_ms))?;
        row.limits[at] = VACANT;
        Some(row.orders[at])
    }

    /// Keeps the signature of a taken order for the write that follows; `None` = it is signed at the send. What lay
    /// there under this name is gone: the gate refused that attempt, and its name is given again.
    pub fn lay_out(&mut self, id: ClientId, signature: Option<SignedText>) {
        let _ = self.pick_up(id);
        if let Some(signature) = signature {
            self.taken[self.next_taken] = Some((id, signature));
            self.next_taken = (self.next_taken + 1) % TAKEN;
        }
    }

    /// Whether a signature is laid out for this order.
    pub fn lays_out(&self, id: ClientId) -> bool {
        self.taken.iter().flatten().any(|(of, _)| *of == id)
    }

    /// The signature laid out for this order, once.
    pub fn pick_up(&mut self, id: ClientId) -> Option<SignedText> {
        let place = self.taken.iter_mut().find(|place| place.is_some_and(|(of, _)| of == id))?;
        place.take().map(|(_, signature)| signature)
    }

    /// An order or a cancel with this nonce goes to this venue: what has an older one, or the same, is spent.
    pub fn spend(&mut self, venue: VenueId, nonce: u64) {
        if let Some(spent) = self.spent.get_mut(venue.index()) {
            *spent = (*spent).max(nonce);
        }
    }

    /// What is signed for this venue is void: a connection was lost, or rules changed.
    pub fn void(&mut self, venue: VenueId, now: Nanos) {
        if let Some(until) = self.void_until.get_mut(venue.index()) {
            *until = (*until).max(now);
        }
    }

    /// Nothing that is signed may be sent: a halt.
    pub fn void_all(&mut self, now: Nanos) {
        self.void_until.iter_mut().for_each(|until| *until = (*until).max(now));
        self.taken = [None; TAKEN];
    }
}

fn place(pair: PairId, leg: usize, side: Side, reduce_only: bool) -> usize {
    pair.index() * KINDS + leg * 4 + usize::from(side == Side::Sell) * 2 + usize::from(reduce_only)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Purpose;

    const NOW: Nanos = Nanos::from_ms(10_000);

    fn ready(side: Side, limit: i64, signed_ms: u64, nonce: u64) -> Ready {
        let spec = OrderSpec {
            id: ClientId::default(),
            venue: VenueId(1),
            pair: PairId(0),
            side,
            purpose: Purpose::Enter,
            qty: Qty::from_raw(5),
            limit: Price::from_raw(limit),
            reduce_only: false,
            signed_ms,
            nonce,
            window_ms: 0,
        };
        Ready { spec, signature: SignedText::cut(&limit.to_string()) }
    }

    fn wanted(side: Side, limit: i64, least: i64) -> Wanted {
        let (limit, least) = (Price::from_raw(limit), Price::from_raw(least));
        Wanted { pair: PairId(0), leg: 1, side, reduce_only: false, qty: Qty::from_raw(5), limit, least }
    }

    fn shelf(orders: &[Ready]) -> Shelf {
        let mut shelf = Shelf::new(1, 2);
        orders.iter().for_each(|ready| shelf.put(1, ready));
        shelf
    }

    fn taken(shelf: &mut Shelf, wanted: &Wanted) -> Option<i64> {
        shelf.take(NOW, wanted).map(|ready| ready.spec.limit.raw())
    }

    #[test]
    fn the_most_willing_rung_that_meets_the_limit_is_taken_once() {
        let buys = [98, 100, 99, 101].map(|limit| ready(Side::Buy, limit, 9_900, 7));
        let mut shelf = shelf(&buys);
        let want = wanted(Side::Buy, 100, 98);
        assert_eq!([(); 4].map(|()| taken(&mut shelf, &want)), [Some(100), Some(99), Some(98), None]);
        let sells = [98, 100, 99, 101].map(|limit| ready(Side::Sell, limit, 9_900, 7));
        let mut shelf = self::shelf(&sells);
        assert_eq!(taken(&mut shelf, &wanted(Side::Sell, 99, 100)), Some(99));
        assert_eq!(taken(&mut shelf, &wanted(Side::Buy, 200, 0)), None, "the other side");
    }

    #[test]
    fn an_order_that_could_not_fill_is_left() {
        let mut shelf = shelf(&[ready(Side::Buy, 97, 9_900, 7)]);
        assert_eq!(taken(&mut shelf, &wanted(Side::Buy, 100, 98)), None);
        let other = Wanted { qty: Qty::from_raw(6), ..wanted(Side::Buy, 100, 90) };
        assert_eq!(taken(&mut shelf, &other), None, "another size");
        let closing = Wanted { reduce_only: true, ..wanted(Side::Buy, 100, 90) };
        assert_eq!(taken(&mut shelf, &closing), None, "another purpose");
    }

    #[test]
    fn old_future_void_and_spent_orders_are_left() {
        let want = wanted(Side::Buy, 100, 90);
        for (signed_ms, fits) in [(8_499, false), (8_500, true), (10_000, true), (10_001, false)] {
            let mut shelf = shelf(&[ready(Side::Buy, 95, signed_ms, 7)]);
            assert_eq!(taken(&mut shelf, &want).is_some(), fits, "{signed_ms}");
        }
        let mut shelf = shelf(&[ready(Side::Buy, 95, 9_900, 7), ready(Side::Buy, 94, 9_950, 8)]);
        shelf.spend(VenueId(0), 99);
        shelf.spend(VenueId(1), 7);
        shelf.spend(VenueId(1), 3);
        assert_eq!(taken(&mut shelf, &want), Some(94), "its nonce is newer than any that was sent");
        shelf.put(1, &ready(Side::Buy, 93, 9_960, 9));
        shelf.void(VenueId(1), Nanos::from_ms(9_960));
        assert_eq!(taken(&mut shelf, &want), None);
        shelf.put(1, &ready(Side::Buy, 93, 9_961, 9));
        assert_eq!(taken(&mut shelf, &want), Some(93));
    }

    #[test]
    fn a_newer_order_takes_the_place_of_the_oldest() {
        let mut shelf = Shelf::new(1, 2);
        for nth in 0..=ROW as u64 {
            shelf.put(1, &ready(Side::Buy, 1 + nth as i64, 9_900, 7));
        }
        assert_eq!(taken(&mut shelf, &wanted(Side::Buy, 1, 1)), None);
        assert_eq!(taken(&mut shelf, &wanted(Side::Buy, 2, 2)), Some(2));
    }

    #[test]
    fn a_signature_is_picked_up_once_and_not_after_a_halt() {
        let mut shelf = Shelf::new(1, 1);
        let id = |seq| ClientId { epoch: 1, seq, leg: 0 };
        shelf.lay_out(id(1), Some(SignedText::cut("one")));
        shelf.lay_out(id(2), Some(SignedText::cut("two")));
        assert_eq!(shelf.pick_up(id(2)).map(|text| text.to_string()), Some("two".to_owned()));
        assert_eq!(shelf.pick_up(id(2)), None);
        shelf.void_all(NOW);
        assert_eq!(shelf.pick_up(id(1)), None);
    }

    #[test]
    fn a_refused_attempt_leaves_nothing_under_its_name() {
        let mut shelf = Shelf::new(1, 1);
        let id = ClientId { epoch: 1, seq: 1, leg: 0 };
        shelf.lay_out(id, Some(SignedText::cut("refused")));
        shelf.lay_out(id, Some(SignedText::cut("sent")));
        assert_eq!(shelf.pick_up(id).map(|text| text.to_string()), Some("sent".to_owned()));
        shelf.lay_out(id, Some(SignedText::cut("refused")));
        shelf.lay_out(id, None);
        assert!(!shelf.lays_out(id), "signed at the send, and by nothing older");
    }
}
