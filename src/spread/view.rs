//! Two quotes seen together: whether they may be compared at all, and what they say. Pure; made by `signal` for every
//! decision. It never lets an old, crossed or missing book through.

use super::edge::{Trade, edge, mean_mid, mid_gap};
use crate::types::limits::SIZES;
use crate::types::money::RATE_ONE;
use crate::types::planted::planted;
use crate::types::record::Refusal;
use crate::types::{Direction, MarketStatus, Nanos, Price, Qty, Quote, Rate};

/// Bounds on what two quotes may look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Largest age per leg by our receive clock, ms.
    pub age_ms: [u32; 2],
    /// Largest distance of the two receive times, ms.
    pub skew_ms: u32,
    /// Largest edge that is believed.
    pub plausible: Rate,
}

/// What two fresh, sound quotes say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    pub mid: Price,
    /// Gap of the mids in direction A.
    pub gap: Rate,
    /// Edge at the touches per direction: no size can have a better one.
    pub touch: [Rate; 2],
    /// Newer `t_wire`, and `t_book` of that quote.
    pub t_wire: Nanos,
    pub t_book: Nanos,
    /// Why no pair may be opened on these quotes, though a held one may be closed.
    pub no_entry: Option<Refusal>,
}

impl View {
    /// `Err` when nothing at all may be decided on these quotes.
    pub fn new(quotes: &[Quote; 2], bounds: &Bounds, now: Nanos) -> Result<Self, Refusal> {
        // Checked where the quote was formed, and here again where it is used.
        if !quotes.iter().all(|quote| quote.tradable && quote.bid > Price::ZERO && quote.bid < quote.ask) {
            return Err(Refusal::LinkDown);
        }
        if (0..2).any(|leg| now > expiry(&quotes[leg], bounds.age_ms[leg])) {
            return Err(Refusal::Stale);
        }
        let mid = mean_mid(quotes);
        let touch = Direction::BOTH.map(|direction| edge(direction, touch_prices(quotes, direction), mid));
        let newer = quotes[usize::from(quotes[1].t_wire > quotes[0].t_wire)];
        Ok(Self {
            mid,
            gap: mid_gap(quotes, mid),
            touch,
            t_wire: newer.t_wire,
            t_book: newer.t_book,
            no_entry: entry_refusal(quotes, bounds, touch),
        })
    }

    /// Standing basis in a direction, from that of direction A.
    pub fn directed(basis: Rate, direction: Direction) -> Rate {
        match direction {
            Direction::A => basis,
            Direction::B => -basis,
        }
    }
}

/// After this moment the quote is too old.
pub fn expiry(quote: &Quote, age_ms: u32) -> Nanos {
    if planted("age_of_books_ignored") {
        return Nanos(u64::MAX);
    }
    quote.t_wire.plus_ms(age_ms as u64)
}

/// More than one percent an hour is an error in the data, not a rate (SAFETY V6).
pub fn is_absurd(funding_1h: Rate) -> bool {
    funding_1h.raw().unsigned_abs() > RATE_ONE.unsigned_abs() / 100
}

/// Funding per hour that a pair in this direction earns (negative: pays), of its notional. A rate that cannot be meant
/// counts as none.
pub fn carry(quotes: &[Quote; 2], direction: Direction) -> Rate {
    let [first, second] = [0, 1].map(|leg: usize| {
        let rate = quotes[leg].ticker.funding_1h;
        if is_absurd(rate) { 0 } else { rate.raw() }
    });
    View::directed(Rate::from_raw(second - first), direction)
}

/// The trade that covers `qty`, priced at the smallest size that holds it; so its price is no better than what will
/// be paid. A larger `qty` than any size is covered in part.
pub fn covering(quotes: &[Quote; 2], direction: Direction, qty: Qty) -> Option<Trade> {
    let wanted = qty.min(quotes[0].sizes[0]);
    let fitting = (0..SIZES).rev().filter(|&size| quotes[0].sizes[size] >= wanted && wanted > Qty::ZERO);
    let trade = fitting.take(1).find_map(|size| Trade::price(quotes, direction, size))?;
    Some(Trade { qty: wanted, ..trade })
}

/// The largest trade below `qty` that the books hold.
pub fn clip(quotes: &[Quote; 2], direction: Direction, qty: Qty) -> Option<Trade> {
    let mut trades = (0..SIZES).filter_map(|size| Trade::price(quotes, direction, size));
    trades.find(|trade| trade.qty <= qty)
}

fn touch_prices(quotes: &[Quote; 2], direction: Direction) -> [Price; 2] {
    match direction {
        Direction::A => [quotes[0].ask, quotes[1].bid],
        Direction::B => [quotes[0].bid, quotes[1].ask],
    }
}

fn entry_refusal(quotes: &[Quote; 2], bounds: &Bounds, touch: [Rate; 2]) -> Option<Refusal> {
    let [first, second] = [quotes[0].t_wire, quotes[1].t_wire];
    let apart_ms = first.ms_since(second).max(second.ms_since(first));
    if apart_ms > u64::from(bounds.skew_ms) {
        Some(Refusal::Skewed)
    } else if touch.iter().any(|&edge| edge > bounds.plausible) {
        Some(Refusal::Implausible)
    } else if quotes.iter().any(|quote| quote.ticker.status != MarketStatus::Trading) {
        Some(Refusal::VenueState)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::edge::tests::quote;
    use super::*;
    use crate::types::Walk;

    const BOUNDS: Bounds = Bounds { age_ms: [1_500, 1_000], skew_ms: 700, plausible: Rate::from_bps(200) };

    fn quotes(first_ms: u64, second_ms: u64) -> [Quote; 2] {
        let mut quotes = [quote("100.30", "100.36"), quote("99.98", "100.02")];
        quotes[0].t_wire = Nanos::from_ms(first_ms);
        quotes[1].t_wire = Nanos::from_ms(second_ms);
        quotes
    }

    #[test]
    fn old_books_are_refused_by_their_own_venues_limit() {
        let fresh = |now| View::new(&quotes(5_000, 5_400), &BOUNDS, Nanos::from_ms(now));
        assert!(fresh(6_400).is_ok());
        assert_eq!(fresh(6_401), Err(Refusal::Stale), "the second leg's limit");
        let first = View::new(&quotes(5_000, 5_600), &BOUNDS, Nanos::from_ms(6_501));
        assert_eq!(first, Err(Refusal::Stale), "the first leg's limit");
    }

    #[test]
    fn unsound_books_are_refused_even_when_marked_tradable() {
        let now = Nanos::from_ms(5_000);
        let mut crossed = quotes(5_000, 5_000);
        crossed[0].bid = crossed[0].ask;
        assert_eq!(View::new(&crossed, &BOUNDS, now), Err(Refusal::LinkDown));
        let mut untradable = quotes(5_000, 5_000);
        untradable[1].tradable = false;
        assert_eq!(View::new(&untradable, &BOUNDS, now), Err(Refusal::LinkDown));
    }

    #[test]
    fn doubtful_books_open_nothing() {
        let now = Nanos::from_ms(5_000);
        let no_entry = |quotes: &[Quote; 2]| View::new(quotes, &BOUNDS, now).unwrap().no_entry;
        assert_eq!(no_entry(&quotes(5_000, 4_300)), None);
        assert_eq!(no_entry(&quotes(4_299, 5_000)), Some(Refusal::Skewed));
        let mut absurd = quotes(5_000, 5_000);
        absurd[1] = Quote { t_wire: now, ..quote("90", "90.01") };
        assert_eq!(no_entry(&absurd), Some(Refusal::Implausible));
        let mut halted = quotes(5_000, 5_000);
        halted[0].ticker.status = MarketStatus::Halted;
        assert_eq!(no_entry(&halted), Some(Refusal::VenueState));
    }

    #[test]
    fn carry_is_what_the_pair_earns() {
        let mut quotes = quotes(1, 1);
        quotes[0].ticker.funding_1h = Rate::from_raw(30);
        quotes[1].ticker.funding_1h = Rate::from_raw(10);
        assert_eq!(carry(&quotes, Direction::A), Rate::from_raw(-20), "long where longs pay more");
        assert_eq!(carry(&quotes, Direction::B), Rate::from_raw(20));
    }

    #[test]
    fn a_held_size_is_priced_at_no_less_than_itself() {
        let mut quotes = quotes(1, 1);
        let qty = |size| covering(&quotes, Direction::A, Qty::from_raw(size)).map(|trade| trade.qty.raw());
        assert_eq!([qty(50), qty(150), qty(400), qty(900)], [Some(50), Some(150), Some(400), Some(400)]);
        assert_eq!(qty(0), None);
        quotes[0].buy[0] = Walk::default();
        assert_eq!(covering(&quotes, Direction::A, Qty::from_raw(400)), None);
        assert_eq!(clip(&quotes, Direction::A, Qty::from_raw(400)).unwrap().qty, Qty::from_raw(200));
    }
}
