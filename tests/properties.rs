//! Properties of the money, the ladders and the signal, against models that are too simple to be wrong.

use std::collections::BTreeMap;

use bot4::book::ladder::{Book, BookState, Ladder};
use bot4::book::pricing::{DepthRule, price as priced};
use bot4::position::{Execution, PairBook};
use bot4::spread::edge::{Trade, edge, exit_cost, gain, mean_mid, per_leg, share_of};
use bot4::types::money::{DecimalError, SCALE, parse_fixed};
use bot4::types::{BookUpdate, Direction, Level, Nanos, Price, Purpose, Qty, Rate, Usd, Walk};
use proptest::collection::vec;
use proptest::prelude::*;

mod fixture;
mod mean_reversion;

use fixture::top;

fn price(text: &str) -> Price {
    Price::parse(text.as_bytes()).unwrap()
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::A), Just(Direction::B)]
}

// --- Ladders -------------------------------------------------------------------------------------------------------

const CAPACITY: usize = 12;
const RULE: DepthRule = DepthRule { share: Rate::from_bps(10_000), band: Rate::from_bps(10) };

/// A book as sorted maps from price to size.
#[derive(Default)]
struct Model {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

type RawLevels = Vec<(i64, i64)>;

impl Model {
    fn apply(&mut self, whole: bool, bids: &RawLevels, asks: &RawLevels) {
        if whole {
            *self = Self::default();
        }
        for &(price, qty) in bids {
            set(&mut self.bids, price, qty, BTreeMap::pop_first);
        }
        for &(price, qty) in asks {
            set(&mut self.asks, price, qty, BTreeMap::pop_last);
        }
    }
}

fn set(
    side: &mut BTreeMap<i64, i64>,
    price: i64,
    qty: i64,
    drop_worst: impl Fn(&mut BTreeMap<i64, i64>) -> Option<(i64, i64)>,
) {
    if qty == 0 {
        side.remove(&price);
    } else {
        side.insert(price, qty);
    }
    if side.len() > CAPACITY {
        drop_worst(side);
    }
}

fn update(whole: bool, bids: &RawLevels, asks: &RawLevels) -> BookUpdate {
    let levels = |side: &RawLevels| {
        side.iter().map(|&(p, q)| Level { price: Price::from_raw(p), qty: Qty::from_raw(q) }).collect()
    };
    BookUpdate { whole, bids: levels(bids), asks: levels(asks), ..BookUpdate::default() }
}

fn raw(ladder: &Ladder) -> RawLevels {
    ladder.iter().map(|level| (level.price.raw(), level.qty.raw())).collect()
}

/// Levels in any order, with twins only in deltas.
fn side(whole: bool) -> BoxedStrategy<RawLevels> {
    if whole {
        let distinct = proptest::collection::btree_map(1_i64..60, 1_i64..50, 0..30);
        distinct.prop_map(|map| map.into_iter().collect::<Vec<_>>()).prop_shuffle().boxed()
    } else {
        vec((1_i64..60, 0_i64..50), 0..6).boxed()
    }
}

fn any_update() -> impl Strategy<Value = (bool, RawLevels, RawLevels)> {
    prop::bool::weighted(0.2).prop_flat_map(|whole| (Just(whole), side(whole), side(whole)))
}

proptest! {
    #[test]
    fn a_book_equals_its_model(updates in vec(any_update(), 1..60)) {
        let (mut book, mut model) = (Book::with_capacity(CAPACITY), Model::default());
        let mut known = false;
        for (whole, bids, asks) in updates {
            let applied = book.apply(&update(whole, &bids, &asks));
            known |= whole;
            prop_assert_eq!(applied.is_ok(), known);
            if known {
                model.apply(whole, &bids, &asks);
            }
            let bids: Vec<(i64, i64)> = model.bids.iter().rev().map(|(&p, &q)| (p, q)).collect();
            let asks: Vec<(i64, i64)> = model.asks.iter().map(|(&p, &q)| (p, q)).collect();
            prop_assert_eq!(raw(book.bids()), bids);
            prop_assert_eq!(raw(book.asks()), asks);
            let tops = (model.bids.last_key_value(), model.asks.first_key_value());
            let state = match tops {
                _ if !known => BookState::Incomplete,
                (Some((bid, _)), Some((ask, _))) if bid < ask => BookState::Sound,
                (Some(_), Some(_)) => BookState::Crossed,
                _ => BookState::OneSided,
            };
            prop_assert_eq!(book.state(), state);
        }
    }

    #[test]
    fn a_walk_costs_what_its_units_cost(asks in side(true), bids in side(true), qty in 1_i64..400) {
        let mut book = Book::new();
        book.apply(&update(true, &bids, &asks)).unwrap();
        for (ladder, against_us) in [(book.asks(), 1), (book.bids(), -1)] {
            let units: Vec<i64> =
                ladder.iter().flat_map(|level| vec![level.price.raw(); level.qty.raw() as usize]).collect();
            let sizes = [qty, qty / 2, qty / 4].map(Qty::from_raw);
            let got = priced(ladder, &sizes, RULE).walks[0];
            let Some(touched) = units.get(..qty as usize) else {
                prop_assert_eq!(got, Walk::default());
                continue;
            };
            prop_assert_eq!(got.worst.raw(), touched[qty as usize - 1]);
            let over = (got.vwap.raw() * qty - touched.iter().sum::<i64>()) * against_us;
            prop_assert!((0..qty).contains(&over), "rounded against us by less than a unit, got {}", over);
        }
    }
}

// --- Edges ---------------------------------------------------------------------------------------------------------

fn any_price() -> impl Strategy<Value = Price> {
    (1_000_000_i64..10_000_000_000_000).prop_map(Price::from_raw)
}

fn prices() -> impl Strategy<Value = [Price; 2]> {
    [any_price(), any_price()]
}

/// Fills of one leg in the books of a pair.
fn fill(book: &mut PairBook, direction: Direction, leg: usize, purpose: Purpose, at: Price, qty: Qty) {
    let side = match purpose {
        Purpose::Enter => direction.open_side(leg),
        _ => direction.close_side(leg),
    };
    let (fee, funding) = (Usd::ZERO, Usd::ZERO);
    book.execute(&Execution { leg, side, purpose, qty, price: at, expected: at, fee, funding });
}

proptest! {
    /// Profit per unit = E(at the entry fills) - C(at the exit fills), to the last unit, in the books of the pair.
    #[test]
    fn profit_is_edge_minus_cost(
        d in direction(),
        entry in prices(),
        exit in prices(),
        units in 1_i64..1_000,
    ) {
        let qty = Qty::from_raw(units * SCALE);
        let mut book = PairBook::default();
        book.open(d, entry[0], Rate::ZERO, Rate::ZERO, Nanos(1));
        for (leg, at) in entry.into_iter().enumerate() {
            fill(&mut book, d, leg, Purpose::Enter, at, qty);
        }
        prop_assert_eq!(book.hedged(), qty);
        for (leg, at) in exit.into_iter().enumerate() {
            fill(&mut book, d, leg, Purpose::Exit, at, qty);
        }
        prop_assert!(book.is_flat());
        let cost = -gain(d.opposite(), exit);
        prop_assert_eq!(book.ledger().total().raw(), (gain(d, entry) - cost).raw() * units);
        prop_assert_eq!(book.ledger().slippage, Usd::ZERO);
    }

    #[test]
    fn the_cost_of_one_direction_is_minus_the_edge_of_the_other(
        d in direction(),
        at in prices(),
        mid in any_price(),
    ) {
        prop_assert_eq!(exit_cost(d, at, mid), -edge(d.opposite(), at, mid));
        prop_assert_eq!(gain(d, at), -gain(d.opposite(), at));
    }

    /// Opening and closing at once loses both spreads: no book can be milked by a sign error.
    #[test]
    fn an_instant_round_trip_loses_both_spreads(
        bids in prices(),
        widths in [1_i64..1_000_000, 1_i64..1_000_000],
        d in direction(),
    ) {
        let quotes = [0, 1].map(|leg| top(bids[leg], bids[leg] + Price::from_raw(widths[leg])));
        let open = Trade::price(&quotes, d, 0);
        let close = Trade::price(&quotes, d.opposite(), 0);
        let (Some(open), Some(close)) = (open, close) else {
            return Err(TestCaseError::fail("both are priced"));
        };
        let result = gain(d, open.expected) + gain(d.opposite(), close.expected);
        prop_assert_eq!(result.raw(), -(widths[0] + widths[1]));
    }

    /// Limits lie on the tick, never inside the worst price, and filled at both the trade still meets the bar.
    #[test]
    fn entry_limits_keep_the_bar(
        at in [1_000_i64..2_000_000, 1_000_i64..2_000_000],
        tick in 1_i64..5_000_000,
        bar in 0_i64..50,
        share in 0_i64..=10_000,
        d in direction(),
    ) {
        let (tick, bar) = (Price::from_raw(tick), Rate::from_bps(bar));
        let worst = at.map(|steps| Price::from_raw(steps * tick.raw()));
        let trade = Trade { direction: d, qty: Qty::from_raw(1), expected: worst, worst, within_depth: true };
        let mid = Price::mid(worst[0], worst[1]);
        prop_assume!(trade.marginal_edge(mid) >= bar);
        let slack = share_of(trade.marginal_edge(mid) - bar, Rate::from_bps(share));
        let limits = trade.limits([per_leg(slack, mid); 2], [tick; 2]);
        for leg in 0..2 {
            let beyond = (limits[leg] - worst[leg]).raw() * d.open_side(leg).sign();
            prop_assert!(beyond >= 0, "leg {} is {} inside", leg, beyond);
            prop_assert_eq!(limits[leg].raw() % tick.raw(), 0);
        }
        prop_assert!(edge(d, limits, mid) >= bar);
    }
}

/// The worked quotes of the definitions, from books on.
#[test]
fn worked_quotes() {
    let quotes = [("100.30", "100.36"), ("99.98", "100.02")].map(|(bid, ask)| {
        let level = |text| vec![Level { price: price(text), qty: Qty::from_raw(1_000) }];
        let mut book = Book::new();
        let whole = BookUpdate { whole: true, bids: level(bid), asks: level(ask), ..BookUpdate::default() };
        book.apply(&whole).unwrap();
        let quote = top(price(bid), price(ask));
        let [buy, sell] = [book.asks(), book.bids()].map(|ladder| priced(ladder, &quote.sizes, RULE));
        assert_eq!((buy.walks, sell.walks), (quote.buy, quote.sell));
        assert_eq!((buy.within, sell.within), (quote.buy_within, quote.sell_within));
        quote
    });
    let mid = mean_mid(&quotes);
    let open = |d| Trade::price(&quotes, d, 0).unwrap();
    let [a, b] = Direction::BOTH.map(|d| open(d).edge(mid));
    assert_eq!([a.to_string(), b.to_string()], ["-0.3793%", "0.2795%"]);
    let [close_a, close_b] =
        Direction::BOTH.map(|d| exit_cost(d, open(d.opposite()).expected, mid).to_string());
    assert_eq!([close_a, close_b], ["-0.2795%", "0.3793%"]);
    assert!(b < Rate::from_bps(30) && b >= Rate::from_bps(25));
}

/// Two identical books: every edge is negative, though the ask of one stands above the bid of the other.
#[test]
fn two_identical_wide_books_offer_nothing() {
    let quotes = [top(price("99.85"), price("100.15")); 2];
    for d in Direction::BOTH {
        assert_eq!(Trade::price(&quotes, d, 0).unwrap().edge(mean_mid(&quotes)), Rate::from_bps(-30));
    }
}

// --- Decimals ------------------------------------------------------------------------------------------------------

/// The grammar, spelled out: an optional minus, digits, and digits after a point if there is one.
fn is_plain(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let body = text.strip_prefix('-').unwrap_or(text);
    match body.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(body),
    }
}

proptest! {
    #[test]
    fn decimals_survive_print_and_parse(raw in -i64::MAX..=i64::MAX) {
        let text = Price::from_raw(raw).to_string();
        prop_assert_eq!(Price::parse(text.as_bytes()), Ok(Price::from_raw(raw)));
        prop_assert_eq!(Qty::parse(text.as_bytes()), Ok(Qty::from_raw(raw)));
        prop_assert_eq!(Usd::parse_cut(text.as_bytes()), Ok(Usd::from_raw(raw)));
    }

    #[test]
    fn padded_decimals_survive_too(steps in -9_000_000_000_i64..=9_000_000_000, places in 0_u32..=8) {
        let raw = steps * 10_i64.pow(8 - places);
        let mut text = String::new();
        bot4::types::money::write_padded(&mut text, raw, places).unwrap();
        prop_assert_eq!(parse_fixed(text.as_bytes(), 8), Ok(raw));
        let fraction = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        prop_assert_eq!(fraction, places as usize);
    }

    #[test]
    fn anything_but_a_plain_decimal_is_refused(text in "[-+0-9.,eE xNaif_]{0,12}") {
        let parsed = Price::parse(text.as_bytes());
        if !is_plain(&text) {
            prop_assert!(parsed.is_err(), "{:?} was read as {:?}", text, parsed);
        } else {
            let refused_for_form = matches!(parsed, Err(DecimalError::Malformed | DecimalError::Empty));
            prop_assert!(!refused_for_form, "{:?} is plain", text);
        }
    }

    #[test]
    fn bytes_of_any_kind_never_panic(bytes in vec(any::<u8>(), 0..40), places in 0_u32..=12) {
        let plain = std::str::from_utf8(&bytes).is_ok_and(is_plain);
        prop_assert!(plain || parse_fixed(&bytes, places).is_err());
    }
}

#[test]
fn the_refusal_table() {
    let malformed = [
        "NaN", "nan", "inf", "-inf", "infinity", "1e5", "1E5", "1e400", "1e-400", "+1", "-+1", "--1", " 1",
        "1 ", "1.", ".5", "-", "-.5", ".", "1.2.3", "1,5", "1_000", "0x10", "\u{661}", "1\0",
    ];
    for text in malformed {
        assert_eq!(Price::parse(text.as_bytes()), Err(DecimalError::Malformed), "{text:?}");
    }
    assert_eq!(Price::parse(b""), Err(DecimalError::Empty));
    assert_eq!(Price::parse(b"0.000000001"), Err(DecimalError::TooManyPlaces(8)));
    assert_eq!(
        Price::parse(b"0.1000000000"),
        Ok(Price::from_raw(SCALE / 10)),
        "zeros beyond the scale say nothing"
    );
    for text in ["92233720368.54775808", "99999999999999999999", "-92233720369"] {
        assert_eq!(Price::parse(text.as_bytes()), Err(DecimalError::Overflow), "{text}");
    }
    assert_eq!(Price::parse(b"92233720368.54775807"), Ok(Price::from_raw(i64::MAX)));
    assert_eq!(Price::parse(b"-0"), Ok(Price::ZERO));
}
