//! What the benches of the venues' wires and `perf/src/bin/parts.rs` measure with: set-ups with published throw-away
//! keys, one order of each venue, messages, a sink and a link that only look.

// Each of them uses a part.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::hint::black_box;

use base64::prelude::{BASE64_STANDARD, Engine};
use bot4::sys::link::{Inbound, Link, LinkError, Outbound};
use bot4::types::record::Role;
use bot4::types::{
    BookUpdate, ClientId, MarketRules, MarketStatus, Nanos, OrderKind, OrderSpec, PairId, Pool, Price,
    Profile, Purpose, Qty, Rate, Secret, Side, Ticker, Usd, VenueId,
};
use bot4::venue::{FeedSink, ReadyLink, Secrets, Setup};

pub const NOW: Nanos = Nanos::from_ms(1_767_225_600_124);
pub const PAIR: PairId = PairId(0);
pub const SYMBOLS: [&str; 2] = ["BTC-PERP", "BTC-USD-PERP"];
/// Of a development chain.
pub const VEST_KEY: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
/// Of the signing vectors.
pub const PARADEX_KEY: &str = "0x51020ffca36c46756ed57142004f7180e14f15a6fe5e4c5344cce536e3c9620";
pub const PARADEX_ACCOUNT: &str = "0x168f27d2408ddc98c6a86a7f50e5ec9a733a3bcada0260a41bb93d3da13de8b";

pub fn vest_setup() -> Setup {
    let address = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
    let keys = [
        ("PRIMARY_ADDRESS", address),
        ("SIGNING_KEY", VEST_KEY),
        ("API_KEY", "bench"),
        ("ACCOUNT_GROUP", "0"),
    ];
    setup(0, OrderKind::Market, &keys)
}

pub fn paradex_setup() -> Setup {
    setup(1, OrderKind::Ioc, &[("SUBKEY", PARADEX_KEY), ("ACCOUNT_ADDRESS", PARADEX_ACCOUNT)])
}

fn setup(venue: u8, order_kind: OrderKind, keys: &[(&'static str, &str)]) -> Setup {
    let secrets = keys.iter().map(|&(key, text)| (key, Secret::new(text.into())));
    Setup {
        id: VenueId(venue),
        env: "sim".into(),
        rest_url: "https://127.0.0.1:8443/v1".into(),
        ws_url: "wss://127.0.0.1:8444/v1".into(),
        order_kind,
        profile: Profile::Pro,
        pool: Pool::default(),
        ack_deadline_ms: 1_000,
        markets: vec![(PAIR, SYMBOLS[usize::from(venue)].into())],
        secrets: Secrets(BTreeMap::from_iter(secrets)),
    }
}

pub fn vest_rules() -> MarketRules {
    MarketRules {
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
    }
}

pub fn vest_spec() -> OrderSpec {
    OrderSpec {
        id: ClientId { epoch: 1, seq: 1, leg: 0 },
        venue: VenueId(0),
        pair: PAIR,
        side: Side::Buy,
        purpose: Purpose::Enter,
        qty: Qty::from_raw(100_000),
        limit: Price::from_raw(8_725_000_000_000),
        reduce_only: false,
        signed_ms: NOW.ms(),
        nonce: NOW.ms(),
        window_ms: 500,
    }
}

pub fn paradex_spec() -> OrderSpec {
    OrderSpec {
        id: ClientId { epoch: 7, seq: 42, leg: 1 },
        venue: VenueId(1),
        qty: Qty::from_raw(123_000),
        limit: Price::from_raw(8_345_670_000_000),
        nonce: 0,
        ..vest_spec()
    }
}

/// A depth message of Vest with `levels` a side, as long as a recorded one.
pub fn vest_depth(levels: usize) -> Vec<u8> {
    let side = |from: f64, step: f64| {
        let level = |at: usize| format!(r#"["{:.2}","12.8362"]"#, from + step * at as f64);
        (0..levels).map(level).collect::<Vec<_>>().join(",")
    };
    let (bids, asks) = (side(31478.75, -0.25), side(31480.0, 0.25));
    format!(r#"{{"channel":"BTC-PERP@depth","data":{{"bids":[{bids}],"asks":[{asks}]}}}}"#).into_bytes()
}

/// Recorded frame of Paradex in the test data.
pub fn paradex_frame(id: &str) -> Vec<u8> {
    let frames: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/data/paradex_frames.json")).expect("test data");
    BASE64_STANDARD.decode(frames[id]["frame"].as_str().expect("a frame")).expect("base64")
}

/// Counts the levels that it sees and forgets them.
#[derive(Default)]
pub struct Look(pub u64);

impl FeedSink for Look {
    fn book(&mut self, update: &BookUpdate) {
        self.0 += black_box(update).bids.len() as u64;
    }
    fn ticker(&mut self, pair: PairId, ticker: Ticker) {
        black_box((pair, ticker));
    }
    fn gap(&mut self, pair: PairId, why: &'static str) {
        black_box((pair, why));
    }
    fn alive(&mut self, pair: PairId) {
        black_box(pair);
    }
    fn foreign(&mut self, market: &str) {
        black_box(market);
    }
}

/// The order connection of a Vest that takes every request.
pub fn vest_echo() -> ReadyLink {
    ReadyLink { venue: VenueId(0), role: Role::Orders, link: Box::new(Echo(0)), secret: None }
}

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
        Ok(Some(Inbound::Response { status: 200, body: br#"{"id":"0xabc"}"#, retry_after: None }))
    }
}
