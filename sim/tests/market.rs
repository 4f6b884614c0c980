//! The demo's market, in virtual time: it offers the gaps that the demo trades, and trading them with a
//! naive trader closes both ledgers.

use bot4_sim::Options;
use bot4_sim::core::money::ONE;
use bot4_sim::core::*;

const TICK_US: i64 = 5_000;
const MINUTE_US: i64 = 60_000_000;
const SIZE: i64 = 1_000_000;
const ENTRY_BPS: i64 = 30;
const EXIT_BPS: i64 = 2;

/// Money in, per unit, when buying on one venue and selling on the other, in hundredths of a bps.
fn edge(buy: &Exchange, sell: &Exchange) -> i64 {
    let ask = buy.book(0).best(Side::Sell).unwrap().0;
    let bid = sell.book(0).best(Side::Buy).unwrap().0;
    (bid - ask) * 100 / (ask / 10_000)
}

fn order(side: Side, now_us: i64, limit: i64, tick: i64) -> NewOrder {
    NewOrder {
        account: 0,
        market: 0,
        side,
        kind: Kind::Limit,
        tif: Tif::Ioc,
        size: SIZE,
        limit: limit / tick * tick,
        reduce_only: false,
        client_ref: String::new(),
        signed_at_ms: now_us / 1_000,
        window_ms: 1_000,
        id: Some(format!("{now_us} {side:?}")),
        bump_us: 0,
        taker_fee: None,
        note: String::new(),
        held: false,
    }
}

/// Buys here and sells there, far enough inside the band that both fill.
fn swap(buy: &mut Exchange, sell: &mut Exchange, now_us: i64) {
    let dear = order(Side::Buy, now_us, buy.ticker(0, now_us).mark * 102 / 100, buy.spec().markets[0].tick);
    let cheap =
        order(Side::Sell, now_us, sell.ticker(0, now_us).mark * 98 / 100, sell.spec().markets[0].tick);
    assert!(matches!(buy.submit(now_us, dear), Reply::At { result: Ok(_), .. }));
    assert!(matches!(sell.submit(now_us, cheap), Reply::At { result: Ok(_), .. }));
}

fn balance(exchange: &Exchange) -> i64 {
    exchange.accounts()[0].balance
}

#[test]
fn a_minute_holds_at_least_five_round_trips_and_they_pay() {
    for seed in [7, 8, 9] {
        let options = Options { seed, ..Options::default() };
        let mut vest = Exchange::new(options.vest_spec(0));
        let mut paradex = Exchange::new(options.paradex_spec(0));
        let mut events = Vec::new();
        let (mut long_vest, mut trips, mut busy_until) = (None, 0, 0);
        for now_us in (TICK_US..MINUTE_US).step_by(TICK_US as usize) {
            vest.advance(now_us, &mut events);
            paradex.advance(now_us, &mut events);
            if now_us < busy_until {
                continue;
            }
            let (a, b) = (edge(&vest, &paradex), edge(&paradex, &vest));
            let buys_vest = match long_vest {
                None if a >= ENTRY_BPS * 100 => true,
                None if b >= ENTRY_BPS * 100 => false,
                Some(true) if -b <= EXIT_BPS * 100 => false,
                Some(false) if -a <= EXIT_BPS * 100 => true,
                _ => continue,
            };
            match buys_vest {
                true => swap(&mut vest, &mut paradex, now_us),
                false => swap(&mut paradex, &mut vest, now_us),
            }
            trips += i32::from(long_vest.is_some());
            long_vest = if long_vest.is_some() { None } else { Some(buys_vest) };
            busy_until = now_us + 100_000;
        }
        assert!(trips >= 5, "seed {seed}: {trips} round trips");
        if long_vest.is_none() {
            let earned = balance(&vest) + balance(&paradex) - 200_000 * ONE;
            assert!(earned > 0, "seed {seed}: {earned}");
        }
    }
}

#[test]
fn cadence_and_depth_are_those_of_the_sheets() {
    let count = |spec: VenueSpec| {
        let mut exchange = Exchange::new(spec);
        let mut events = Vec::new();
        exchange.advance(10_000_000, &mut events);
        let books: Vec<BookUpdate> = events
            .into_iter()
            .filter_map(|event| match event {
                Event::Book(book) if book.market == 0 => Some(book),
                _ => None,
            })
            .collect();
        (books, exchange)
    };
    let (books, vest) = count(Options::default().vest_spec(0));
    assert!((30..=70).contains(&books.len()), "{} messages in ten seconds", books.len());
    assert!(books.iter().all(|b| b.snapshot && (20..=40).contains(&b.bids.len())));
    assert!(vest.book(0).best(Side::Buy).unwrap().0 < vest.book(0).best(Side::Sell).unwrap().0);

    let (books, paradex) = count(Options::default().paradex_spec(0));
    assert!((80..=130).contains(&books.len()), "{} messages in ten seconds", books.len());
    assert!(books.iter().any(|b| b.bids.is_empty() && b.asks.is_empty()), "some deltas are empty");
    assert!(books.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1));
    assert_eq!((paradex.book(0).bids().len(), paradex.book(0).asks().len()), (100, 60));
    let (books, _) = count(Options { load: 20, ..Options::default() }.paradex_spec(0));
    assert!(books.len() > 1_600, "{} messages at twenty times the load", books.len());
}

#[test]
fn deltas_rebuild_the_displayed_book() {
    let mut exchange = Exchange::new(Options::default().paradex_spec(0));
    exchange.advance(0, &mut Vec::new());
    let first = exchange.snapshot(0, 0);
    let mut bids: std::collections::BTreeMap<i64, i64> = first.bids.into_iter().collect();
    let mut events = Vec::new();
    exchange.advance(20_000_000, &mut events);
    for event in events {
        let Event::Book(update) = event else { continue };
        if update.market == 0 && update.seq > first.seq {
            for (price, size) in update.bids {
                if size == 0 {
                    bids.remove(&price)
                } else {
                    bids.insert(price, size)
                };
            }
        }
    }
    let rebuilt: Vec<Level> = bids.into_iter().rev().collect();
    assert_eq!(rebuilt, exchange.book(0).bids());
}
