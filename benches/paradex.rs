//! The hops of this venue's wire: decoding a recorded delta and a recorded whole book, hashing and signing an order,
//! and writing its body. `empty` measures the harness itself.

use std::hint::black_box;

use bot4::sys::link::Inbound;
use bot4::types::{Nanos, OrderSpec, Price};
use bot4::venue::Feed;
use bot4::venue::paradex::VENUE;
use bot4::venue::paradex::feed::ParadexFeed;
use bot4::venue::paradex::sign::Signer;
use bot4::venue::paradex::stark::pedersen;
use bot4::venue::paradex::{hash, orders, sbe};
use criterion::{Criterion, criterion_group, criterion_main};
use starknet_crypto::Felt;

mod parts;

use parts::{
    Look, PARADEX_ACCOUNT, PARADEX_KEY, paradex_frame as frame, paradex_setup as setup, paradex_spec as spec,
};

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
    let (mut feed, mut look) = (ParadexFeed::new(&setup()).expect("a feed"), Look(0));
    c.bench_function("paradex/feed snapshot and delta", |b| {
        b.iter(|| {
            let mut out = Vec::new();
            for bytes in [&snapshot, &delta] {
                let frame = Inbound::Binary(black_box(bytes));
                let _ = black_box(feed.on_frame(Nanos(1), frame, &mut look, &mut out));
            }
            feed.on_open(Nanos(1), &mut out);
        });
    });
}

fn sign(c: &mut Criterion) {
    let [account, key] = [PARADEX_ACCOUNT, PARADEX_KEY].map(|text| Felt::from_hex(text).expect("hex"));
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
    let mut presigner = (VENUE.presigner)(&setup()).expect("a presigner");
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
