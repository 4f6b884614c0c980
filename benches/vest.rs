//! Hops of the Vest wire: decode of a book, signature of an order, its body, and the whole send into a link that drops
//! it. Each is as the engine calls it, with warm buffers.

use std::hint::black_box;

use bot4::sys::link::Inbound;
use bot4::types::{OrderKind, OrderSpec, Secret};
use bot4::venue::vest::VENUE;
use bot4::venue::vest::abi::Encoder;
use bot4::venue::vest::body::{BodyWriter, Terms};
use bot4::venue::vest::sign::Signer;
use criterion::{Criterion, criterion_group, criterion_main};

mod parts;

use parts::{
    Look, NOW, PAIR, VEST_KEY as KEY, vest_depth, vest_echo, vest_rules as rules, vest_setup as setup,
    vest_spec as spec,
};

fn decode(c: &mut Criterion) {
    let mut feed = (VENUE.feed)(&setup()).expect("a valid set-up");
    let frame = vest_depth(20);
    let mut sink = Look(0);
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
    trader.install(vest_echo(), NOW);
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
    trader.install(vest_echo(), NOW);
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

criterion_group!(benches, decode, sign, body, send, ahead);
criterion_main!(benches);
