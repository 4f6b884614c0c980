//! The pure parts of the path, each run so often as asked: `parts NAME TIMES`. perf/instructions.sh counts the
//! instructions of two runs of different length and divides the difference, so that setting up costs nothing.
//! `parts` alone lists the names.

use std::collections::BTreeMap;
use std::hint::black_box;

use anyhow::{Context, bail};
use bot4::book::ladder::Book;
use bot4::sys::link::{Inbound, Link, LinkError, Outbound};
use bot4::types::record::Role;
use bot4::types::{
    BookUpdate, ClientId, Level, MarketRules, MarketStatus, Nanos, OrderKind, OrderSpec, PairId, Pool, Price,
    Profile, Purpose, Qty, Rate, Secret, Side, Ticker, Usd, VenueId,
};
use bot4::venue::{FeedSink, REGISTRY, ReadyLink, Secrets, Setup};

const NOW: Nanos = Nanos::from_ms(1_767_225_600_124);
/// Published throw-away keys.
const KEYS: [(&str, &str); 4] = [
    ("PRIMARY_ADDRESS", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
    ("SIGNING_KEY", "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
    ("API_KEY", "throw-away"),
    ("ACCOUNT_GROUP", "0"),
];

fn vest() -> Setup {
    Setup {
        id: VenueId(0),
        env: "sim".to_owned(),
        rest_url: "https://127.0.0.1:1/v2".to_owned(),
        ws_url: "wss://127.0.0.1:1/ws-api".to_owned(),
        order_kind: OrderKind::Market,
        profile: Profile::Pro,
        pool: Pool::default(),
        markets: vec![(PairId(0), "BTC-PERP".to_owned())],
        secrets: Secrets(BTreeMap::from(KEYS.map(|(key, text)| (key, Secret::new(text.to_owned()))))),
    }
}

fn depth() -> Vec<u8> {
    let side = |from: i64, step: i64| {
        let level = |n: i64| format!(r#"["{}.{:02}","12.8362"]"#, (from + n * step) / 100, (from + n * step) % 100);
        (0..20).map(level).collect::<Vec<_>>().join(",")
    };
    let (bids, asks) = (side(3_147_875, -25), side(3_148_000, 25));
    format!(r#"{{"channel":"BTC-PERP@depth","data":{{"bids":[{bids}],"asks":[{asks}]}}}}"#).into_bytes()
}

struct Look(u64);

impl FeedSink for Look {
    fn book(&mut self, update: &BookUpdate) {
        self.0 += black_box(update).bids.len() as u64;
    }
    fn ticker(&mut self, _: PairId, _: Ticker) {}
    fn gap(&mut self, _: PairId, _: &'static str) {}
    fn alive(&mut self, _: PairId) {}
}

/// A depth message of 20 by 20 levels, decoded.
fn vest_depth(times: u64) -> anyhow::Result<()> {
    let mut feed = (REGISTRY[0].feed)(&vest())?;
    let (frame, mut out, mut look) = (depth(), Vec::<Vec<u8>>::new(), Look(0));
    feed.on_open(NOW, &mut out);
    for _ in 0..times {
        feed.on_frame(NOW, Inbound::Text(black_box(&frame)), &mut look, &mut out)?;
    }
    anyhow::ensure!(look.0 == 20 * times, "not every book arrived");
    Ok(())
}

/// Two deltas that undo each other, applied to a book of 100 by 60 levels.
fn ladder_delta(times: u64) -> anyhow::Result<()> {
    let level = |n: i64, qty: i64| Level {
        price: Price::from_raw(8_345_670_000_000 + n * 10_000_000),
        qty: Qty::from_raw(qty),
    };
    let whole = BookUpdate {
        whole: true,
        bids: (1..=100).map(|n| level(-n, n * 100)).collect(),
        asks: (1..=60).map(|n| level(n, n * 100)).collect(),
        ..BookUpdate::default()
    };
    let deltas = [0, 1].map(|turn| BookUpdate {
        bids: vec![level(-2, 200 * turn), level(-5, 700 + turn)],
        asks: vec![level(2, 200 * turn), level(5, 700 + turn)],
        ..BookUpdate::default()
    });
    let mut book = Book::new();
    book.apply(&whole).map_err(|error| anyhow::anyhow!("{error:?}"))?;
    for turn in 0..times {
        black_box(book.apply(black_box(&deltas[turn as usize % 2])).is_ok());
    }
    Ok(())
}

/// Acknowledges every request.
struct Echo(u32);

impl Link for Echo {
    fn send(&mut self, message: Outbound<'_>) -> Result<(), LinkError> {
        black_box(message);
        self.0 += 1;
        Ok(())
    }

    fn recv(&mut self) -> Result<Option<Inbound<'_>>, LinkError> {
        if self.0 == 0 {
            return Ok(None);
        }
        self.0 -= 1;
        Ok(Some(Inbound::Response { status: 200, body: br#"{"id":"0xabc"}"# }))
    }
}

/// An order of Vest, not signed ahead: encoded, signed, written into its request; and its answer read.
fn vest_order(times: u64) -> anyhow::Result<()> {
    let mut trader = (REGISTRY[0].trader)(&vest())?;
    let rules = MarketRules {
        tick: Price::from_raw(1_000_000),
        lot: Qty::from_raw(10_000),
        min_qty: Qty::from_raw(10_000),
        max_qty: Qty::ZERO,
        min_notional: Usd::ZERO,
        price_places: 2,
        qty_places: 4,
        taker: Rate::from_bps(1),
        initial_margin: Rate::from_bps(1000),
        maintenance_margin: Rate::from_bps(500),
        price_band: Rate::ZERO,
        ends_ms: None,
        status: MarketStatus::Trading,
    };
    trader.set_rules(PairId(0), &rules);
    let link = Box::new(Echo(0));
    trader.install(ReadyLink { venue: VenueId(0), role: Role::Orders, link, secret: None }, NOW);
    let mut events = Vec::with_capacity(8);
    for nth in 0..times {
        let spec = OrderSpec {
            id: ClientId { epoch: 1, seq: nth as u32 + 1, leg: 0 },
            venue: VenueId(0),
            pair: PairId(0),
            side: Side::Buy,
            purpose: Purpose::Enter,
            qty: Qty::from_raw(100_000),
            limit: Price::from_raw(8_725_000_000_000),
            reduce_only: false,
            signed_ms: NOW.ms() + nth,
            nonce: NOW.ms() + nth,
            window_ms: 500,
        };
        trader.send(black_box(&spec), NOW)?;
        trader.poll(NOW, &mut events);
        events.clear();
    }
    Ok(())
}

type Part = fn(u64) -> anyhow::Result<()>;

const PARTS: [(&str, Part); 3] =
    [("vest-depth-20x20", vest_depth), ("ladder-delta-4", ladder_delta), ("vest-order-cold", vest_order)];

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        PARTS.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(());
    };
    let times = arguments.next().context("how often?")?.parse()?;
    match PARTS.iter().find(|(part, _)| *part == name) {
        Some((_, part)) => part(times),
        None => bail!("no part {name}"),
    }
}
