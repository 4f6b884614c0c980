//! Orders that lie ready, signed or begun: put here as they come from `signer`, taken once by a decision that they
//! fit. Pure; owned by `core`. Never hands out an order that is old, of the future, or signed before the last thing
//! that made what was signed untrue.

use super::rungs::{AGE_MAX_MS, RUNGS};
use crate::types::ready::{Made, Ready};
use crate::types::{ClientId, Nanos, OrderSpec, PairId, Price, Qty, Side, VenueId};

/// Orders kept of one kind: two ladders, so that a new one may come in while the old one still serves.
const ROW: usize = 2 * RUNGS;
/// Kinds of one pair: two legs, two sides, opening or reducing.
const KINDS: usize = 8;
/// Kinds of what is only begun: two legs, two sides.
const STARTS: usize = 4;
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
    /// The newest order of each kind that was begun.
    begun: Vec<Option<Ready>>,
    taken: [Option<(ClientId, Made)>; TAKEN],
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
            begun: vec![None; pairs * STARTS],
            taken: [None; TAKEN],
            next_taken: 0,
            void_until: vec![Nanos::NEVER; venues],
            spent: vec![0; venues],
        }
    }

    /// Puts an order of this leg of its pair on the shelf.
    pub fn put(&mut self, leg: usize, ready: &Ready) {
        let spec = &ready.spec;
        if let Made::Begun(_) = ready.made {
            if let Some(place) = self.begun.get_mut(start(spec.pair, leg, spec.side)) {
                *place = Some(*ready);
            }
            return;
        }
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
        let fits = |spec: &OrderSpec| {
            holds(spec.signed_ms, now, void_until) && spec.nonce > spent && spec.qty == wanted.qty
        };
        let priced = row.limits.iter().enumerate().filter(|(_, limit)| (low..=high).contains(limit));
        let fitting = priced.filter(|(at, _)| fits(&row.orders[*at].spec));
        // Of two equally willing ones the younger.
        let willing = |limit: Price| limit.raw() * wanted.side.sign();
        let (at, _) = fitting.max_by_key(|(at, limit)| (willing(**limit), row.orders[*at].spec.signed_ms))?;
        row.limits[at] = VACANT;
        Some(row.orders[at])
    }

    /// The order that was begun for this leg, side and size, at any limit. It will never be handed out again: no two
    /// orders are signed for the same time and price.
    pub fn take_begun(&mut self, now: Nanos, wanted: &Wanted) -> Option<Ready> {
        let place = self.begun.get_mut(start(wanted.pair, wanted.leg, wanted.side))?;
        let spec = place.as_ref()?.spec;
        let void_until = self.void_until.get(spec.venue.index())?.ms();
        let fits = spec.qty == wanted.qty && holds(spec.signed_ms, now, void_until);
        place.take_if(|_| fits)
    }

    /// Keeps what was made of a taken order for the write that follows; `None` = it is signed at the send. What lay
    /// there under this name is gone: the gate refused that attempt, and its name is given again.
    pub fn lay_out(&mut self, id: ClientId, made: Option<Made>) {
        let _ = self.pick_up(id);
        if let Some(made) = made {
            self.taken[self.next_taken] = Some((id, made));
            self.next_taken = (self.next_taken + 1) % TAKEN;
        }
    }

    /// Whether a signature is laid out for this order.
    pub fn lays_out(&self, id: ClientId) -> bool {
        self.taken.iter().flatten().any(|(of, made)| *of == id && matches!(made, Made::Signed(_)))
    }

    /// What is laid out for this order, once.
    pub fn pick_up(&mut self, id: ClientId) -> Option<Made> {
        let place = self.taken.iter_mut().find(|place| place.is_some_and(|(of, _)| of == id))?;
        place.take().map(|(_, made)| made)
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

/// Whether what was signed for this time may still be sent: it is not old, not of the future, and not void.
fn holds(signed_ms: u64, now: Nanos, void_until: u64) -> bool {
    signed_ms <= now.ms() && now.ms() - signed_ms <= AGE_MAX_MS && signed_ms > void_until
}

fn start(pair: PairId, leg: usize, side: Side) -> usize {
    pair.index() * STARTS + leg * 2 + usize::from(side == Side::Sell)
}

fn place(pair: PairId, leg: usize, side: Side, reduce_only: bool) -> usize {
    pair.index() * KINDS + leg * 4 + usize::from(side == Side::Sell) * 2 + usize::from(reduce_only)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Purpose;
    use crate::types::ready::SignedText;

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
        Ready { spec, made: signed(&limit.to_string()) }
    }

    fn signed(text: &str) -> Made {
        Made::Signed(SignedText::cut(text))
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
    fn what_was_begun_serves_one_order_at_any_limit_while_it_holds() {
        let begin =
            |signed_ms| Ready { made: Made::Begun([signed_ms; 16]), ..ready(Side::Buy, 0, signed_ms, 0) };
        let want = wanted(Side::Buy, 1, 1);
        let times = |shelf: &mut Shelf, wanted: &Wanted| {
            [(); 2].map(|()| shelf.take_begun(NOW, wanted).map(|ready| ready.spec.signed_ms))
        };
        let (new, old) = (shelf(&[begin(9_800), begin(9_900)]), shelf(&[begin(8_499)]));
        let (mut new, mut old, mut coming) = (new, old, shelf(&[begin(10_001)]));
        assert_eq!(taken(&mut new, &want), None, "it is not signed");
        for other in [
            Wanted { qty: Qty::from_raw(6), ..want },
            Wanted { side: Side::Sell, ..want },
            Wanted { leg: 0, ..want },
        ] {
            assert_eq!(times(&mut new, &other), [None; 2]);
        }
        assert_eq!(times(&mut new, &Wanted { reduce_only: true, ..want }), [Some(9_900), None]);
        assert_eq!((times(&mut old, &want), times(&mut coming, &want)), ([None; 2], [None; 2]));
        new.put(1, &begin(9_950));
        new.void(VenueId(1), Nanos::from_ms(9_950));
        assert_eq!(times(&mut new, &want), [None; 2], "void");
        new.put(1, &begin(9_951));
        new.void_all(NOW);
        assert_eq!(times(&mut new, &want), [None; 2], "halted");
        let id = ClientId { epoch: 1, seq: 1, leg: 0 };
        new.lay_out(id, Some(begin(9_960).made));
        assert!(!new.lays_out(id), "it is signed at the send");
        assert_eq!(new.pick_up(id), Some(begin(9_960).made));
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
        shelf.lay_out(id(1), Some(signed("one")));
        shelf.lay_out(id(2), Some(signed("two")));
        assert_eq!(shelf.pick_up(id(2)), Some(signed("two")));
        assert_eq!(shelf.pick_up(id(2)), None);
        shelf.void_all(NOW);
        assert_eq!(shelf.pick_up(id(1)), None);
    }

    #[test]
    fn a_refused_attempt_leaves_nothing_under_its_name() {
        let mut shelf = Shelf::new(1, 1);
        let id = ClientId { epoch: 1, seq: 1, leg: 0 };
        shelf.lay_out(id, Some(signed("refused")));
        shelf.lay_out(id, Some(signed("sent")));
        assert_eq!(shelf.pick_up(id), Some(signed("sent")));
        shelf.lay_out(id, Some(signed("refused")));
        shelf.lay_out(id, None);
        assert!(!shelf.lays_out(id), "signed at the send, and by nothing older");
    }
}
