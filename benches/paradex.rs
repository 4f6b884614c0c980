//! The hops of this venue's wire: decoding a recorded delta and a recorded whole book, hashing and signing an order,
//! and writing its body. `empty` measures the harness itself.

use std::hint::black_box;

use base64::prelude::{BASE64_STANDARD, Engine};
use bot4::sys::link::Inbound;
use bot4::types::order::OrderKind;
use bot4::types::{
    BookUpdate, ClientId, Nanos, OrderSpec, PairId, Price, Profile, Purpose, Qty, Secret, Side, Ticker,
    VenueId,
};
use bot4::venue::paradex::VENUE;
use bot4::venue::paradex::feed::ParadexFeed;
use bot4::venue::paradex::sign::Signer;
use bot4::venue::paradex::stark::pedersen;
use bot4::venue::paradex::{hash, orders, sbe};
use bot4::venue::{Feed, FeedSink, Secrets, Setup};
use criterion::{Criterion, criterion_group, criterion_main};
use starknet_crypto::Felt;

/// Recorded frame of the test data.
fn frame(id: &str) -> Vec<u8> {
    let frames: serde_json::Value =
        serde_json::from_str(include_str!("../tests/data/paradex_frames.json")).expect("test data");
    BASE64_STANDARD.decode(frames[id]["frame"].as_str().expect("a frame")).expect("base64")
}

fn setup() -> Setup {
    Setup {
        id: VenueId(1),
        env: "sim".into(),
        rest_url: "https://localhost/v1".into(),
        ws_url: "wss://localhost/v1".into(),
        order_kind: OrderKind::Ioc,
        profile: Profile::Pro,
        pool: bot4::types::Pool::default(),
        markets: vec![(PairId(0), "BTC-USD-PERP".into())],
        secrets: Secrets::default(),
    }
}

fn spec() -> OrderSpec {
    OrderSpec {
        id: ClientId { epoch: 7, seq: 42, leg: 1 },
        venue: VenueId(1),
        pair: PairId(0),
        side: Side::Buy,
        purpose: Purpose::Enter,
        qty: Qty::from_raw(123_000),
        limit: Price::from_raw(8_345_670_000_000),
        reduce_only: false,
        signed_ms: 1_767_225_600_123,
        nonce: 0,
        window_ms: 500,
    }
}

/// A sink that only looks.
struct Look;

impl FeedSink for Look {
    fn book(&mut self, update: &BookUpdate) {
        black_box(update);
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
}

fn decode(c: &mut Criterion) {
    let (delta, snapshot) = (frame("pdx-03"), frame("pdx-02"));
    c.bench_function("paradex/empty", |b| b.iter(|| black_box(0)));
    for (name, bytes) in [("delta", &delta), ("snapshot", &snapshot)] {
        c.bench_function(&format!("paradex/decode {name}"), |b| {
            b.iter(|| match sbe::decode(black_box(bytes)) {
                Ok(sbe::Message::Book(book)) => book.bids.iter().chain(book.asks.iter()).count(),
                _ => 0,
            });
        });
    }
    let mut feed = ParadexFeed::new(&setup()).expect("a feed");
    c.bench_function("paradex/feed snapshot and delta", |b| {
        b.iter(|| {
            let mut out = Vec::new();
            for bytes in [&snapshot, &delta] {
                let frame = Inbound::Binary(black_box(bytes));
                let _ = black_box(feed.on_frame(Nanos(1), frame, &mut Look, &mut out));
            }
            feed.on_open(Nanos(1), &mut out);
        });
    });
}

fn sign(c: &mut Criterion) {
    // Published throw-away key of the signing vectors.
    let hex = |text| Felt::from_hex(text).expect("hex");
    let account = hex("0x168f27d2408ddc98c6a86a7f50e5ec9a733a3bcada0260a41bb93d3da13de8b");
    let key = hex("0x51020ffca36c46756ed57142004f7180e14f15a6fe5e4c5344cce536e3c9620");
    let signer = Signer::new(account, key, "PRIVATE_SN_POTC_SEPOLIA");
    let market = hash::short_string("BTC-USD-PERP").expect("a short string");
    let spec = spec();
    let prefix = || signer.order_prefix(black_box(market), spec.side, spec.qty, spec.signed_ms);
    let ready = prefix();
    let digest = signer.order_hash(&ready, spec.limit);
    let signature = signer.sign(digest).expect("a signature").text();
    let other = Felt::from(0x1234_5678_9abc_def0_u64) * digest;
    c.bench_function("paradex/pedersen", |b| b.iter(|| pedersen::hash(black_box(digest), other)));
    c.bench_function("paradex/pedersen, starknet-crypto", |b| {
        b.iter(|| starknet_crypto::pedersen_hash(black_box(&digest), &other));
    });
    c.bench_function("paradex/order prefix", |b| b.iter(prefix));
    c.bench_function("paradex/order hash after prefix", |b| {
        b.iter(|| signer.order_hash(&ready, black_box(spec.limit)));
    });
    c.bench_function("paradex/sign, starknet-crypto", |b| {
        let nonce = |digest| starknet_crypto::rfc6979_generate_k(digest, &key, None);
        b.iter(|| starknet_crypto::sign(&key, &digest, &nonce(black_box(&digest))));
    });
    c.bench_function("paradex/sign", |b| b.iter(|| signer.sign(black_box(digest))));
    let mut body = String::with_capacity(2048);
    c.bench_function("paradex/order body", |b| {
        b.iter(|| {
            body.clear();
            orders::write_body(&mut body, "BTC-USD-PERP", black_box(&spec), signature.as_str());
            body.len()
        });
    });
}

/// A ladder of orders signed ahead differs in the price only.
fn ahead(c: &mut Criterion) {
    let key = "0x51020ffca36c46756ed57142004f7180e14f15a6fe5e4c5344cce536e3c9620";
    let account = "0x168f27d2408ddc98c6a86a7f50e5ec9a733a3bcada0260a41bb93d3da13de8b";
    let mut setup = setup();
    setup.secrets.0.insert("SUBKEY", Secret::new(key.into()));
    setup.secrets.0.insert("ACCOUNT_ADDRESS", Secret::new(account.into()));
    let mut presigner = (VENUE.presigner)(&setup).expect("a presigner");
    let mut limit = spec().limit;
    c.bench_function("paradex/sign ahead, next rung", |b| {
        b.iter(|| {
            limit += Price::from_raw(10_000_000);
            presigner.sign(&OrderSpec { limit, ..spec() }).expect("a valid order")
        });
    });
}

criterion_group!(benches, decode, sign, ahead);
criterion_main!(benches);
