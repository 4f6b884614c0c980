//! Hops of the Vest wire: decode of a book, signature of an order, its body, and the whole send into a link that drops
//! it. Each is as the engine calls it, with warm buffers.

use std::collections::BTreeMap;
use std::hint::black_box;

use bot4::sys::link::{Inbound, Link, LinkError, Outbound};
use bot4::types::record::Role;
use bot4::types::{
    BookUpdate, ClientId, MarketRules, MarketStatus, Nanos, OrderKind, OrderSpec, PairId, Price, Profile,
    Purpose, Qty, Rate, Secret, Side, Ticker, Usd, VenueId,
};
use bot4::venue::vest::VENUE;
use bot4::venue::vest::abi::Encoder;
use bot4::venue::vest::body::{BodyWriter, Terms};
use bot4::venue::vest::sign::Signer;
use bot4::venue::{FeedSink, ReadyLink, Secrets, Setup};
use criterion::{Criterion, criterion_group, criterion_main};

/// Published throw-away key of a development chain.
const KEY: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
const ADDRESS: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
const PAIR: PairId = PairId(0);
const NOW: Nanos = Nanos::from_ms(1_767_225_600_124);

fn decode(c: &mut Criterion) {
    let mut feed = (VENUE.feed)(&setup()).expect("a valid set-up");
    let frame = book_frame(20);
    let mut sink = Nowhere(0);
    c.bench_function("vest/decode depth 20x20", |b| {
        b.iter(|| {
            let frame = Inbound::Text(black_box(&frame));
            feed.on_frame(NOW, frame, &mut sink, &mut Vec::new()).expect("a valid book");
        });
    });
    assert!(sink.0 > 0, "no book arrived");
}

fn sign(c: &mut Criterion) {
    let signer = Signer::parse(&Secret::new(KEY.into())).expect("a valid key");
    let (mut encoder, values) = (Encoder::default(), order_values());
    c.bench_function("vest/encode order", |b| b.iter(|| encoder.encode(black_box(&values)).len()));
    c.bench_function("vest/sign order", |b| b.iter(|| signer.sign_tuple(&mut encoder, black_box(&values))));
}

fn body(c: &mut Criterion) {
    let signer = Signer::parse(&Secret::new(KEY.into())).expect("a valid key");
    let (mut writer, terms) = (BodyWriter::default(), Terms::new("BTC-PERP", &rules(), OrderKind::Market));
    let spec = spec();
    c.bench_function("vest/body with signature", |b| {
        b.iter(|| writer.order(&signer, &terms, black_box(&spec)).expect("a valid order").len());
    });
}

fn send(c: &mut Criterion) {
    let mut trader = (VENUE.trader)(&setup()).expect("a valid set-up");
    trader.set_rules(PAIR, &rules());
    trader.install(
        ReadyLink { venue: VenueId(0), role: Role::Orders, link: Box::new(Echo(0)), secret: None },
        NOW,
    );
    let (spec, mut events) = (spec(), Vec::with_capacity(8));
    c.bench_function("vest/send and acknowledgement", |b| {
        b.iter(|| {
            trader.send(black_box(&spec), NOW).expect("an idle link");
            trader.poll(NOW, &mut events);
            events.drain(..).count()
        });
    });
}

/// A ladder of orders signed ahead differs in the price only; at the send the body is put around the signature.
fn ahead(c: &mut Criterion) {
    let mut presigner = (VENUE.presigner)(&setup()).expect("a valid set-up");
    presigner.set_rules(PAIR, &rules());
    let mut limit = spec().limit;
    c.bench_function("vest/sign ahead, next rung", |b| {
        b.iter(|| {
            limit += rules().tick;
            presigner.sign(&OrderSpec { limit, ..spec() }).expect("a valid order")
        });
    });
    let mut trader = (VENUE.trader)(&setup()).expect("a valid set-up");
    trader.set_rules(PAIR, &rules());
    let link = ReadyLink { venue: VenueId(0), role: Role::Orders, link: Box::new(Echo(0)), secret: None };
    trader.install(link, NOW);
    let (spec, mut events) = (spec(), Vec::with_capacity(8));
    let signature = presigner.sign(&spec).expect("a valid order");
    c.bench_function("vest/send signed ahead and acknowledgement", |b| {
        b.iter(|| {
            trader.send_signed(black_box(&spec), &signature, NOW).expect("an idle link");
            trader.poll(NOW, &mut events);
            events.drain(..).count()
        });
    });
}

fn order_values() -> [bot4::venue::vest::abi::Value<'static>; 8] {
    use bot4::venue::vest::abi::Value::{Bool, Text, Uint};
    let time = Uint(NOW.ms());
    [time, time, Text("MARKET"), Text("BTC-PERP"), Bool(true), Text("0.0010"), Text("87250.00"), Bool(false)]
}

/// A book of `levels` a side, as long as a recorded one.
fn book_frame(levels: usize) -> Vec<u8> {
    let side = |from: f64, step: f64| {
        let level = |at: usize| format!(r#"["{:.2}","12.8362"]"#, from + step * at as f64);
        (0..levels).map(level).collect::<Vec<_>>().join(",")
    };
    let (bids, asks) = (side(31478.75, -0.25), side(31480.0, 0.25));
    format!(r#"{{"channel":"BTC-PERP@depth","data":{{"bids":[{bids}],"asks":[{asks}]}}}}"#).into_bytes()
}

fn setup() -> Setup {
    let keys =
        [("PRIMARY_ADDRESS", ADDRESS), ("SIGNING_KEY", KEY), ("API_KEY", "bench"), ("ACCOUNT_GROUP", "0")];
    Setup {
        id: VenueId(0),
        env: "sim".into(),
        rest_url: "https://127.0.0.1:8443/v2".into(),
        ws_url: "wss://127.0.0.1:8444/ws-api".into(),
        order_kind: OrderKind::Market,
        profile: Profile::Pro,
        pool: bot4::types::Pool::default(),
        markets: vec![(PAIR, "BTC-PERP".into())],
        secrets: Secrets(BTreeMap::from(keys.map(|(key, text)| (key, Secret::new(text.into()))))),
    }
}

fn rules() -> MarketRules {
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

fn spec() -> OrderSpec {
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

/// Counts books and forgets them.
struct Nowhere(u64);

impl FeedSink for Nowhere {
    fn book(&mut self, update: &BookUpdate) {
        self.0 += black_box(update).bids.len() as u64;
    }
    fn ticker(&mut self, _: PairId, _: Ticker) {}
    fn gap(&mut self, _: PairId, _: &'static str) {}
    fn alive(&mut self, _: PairId) {}
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

criterion_group!(benches, decode, sign, body, send, ahead);
criterion_main!(benches);
