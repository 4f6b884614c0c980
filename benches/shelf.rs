//! The shelf of orders that are signed ahead: putting one there, and the look-up of a decision in a full row.

use std::hint::black_box;

use bot4::order::rungs::{RUNGS, rungs};
use bot4::order::shelf::{Shelf, Wanted};
use bot4::types::ready::{Made, Ready, SignedText};
use bot4::types::{ClientId, Nanos, OrderSpec, PairId, Price, Purpose, Qty, Rate, Side, VenueId};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

const NOW: Nanos = Nanos::from_ms(1_767_225_600_124);
const CENTRE: Price = Price::from_raw(8_725_000_000_000);
const TICK: Price = Price::from_raw(10_000_000);

fn ladder(nonce: u64) -> Vec<Ready> {
    let ready = |limit| Ready {
        spec: OrderSpec {
            id: ClientId::default(),
            venue: VenueId(0),
            pair: PairId(0),
            side: Side::Buy,
            purpose: Purpose::Enter,
            qty: Qty::from_raw(100_000),
            limit,
            reduce_only: false,
            signed_ms: NOW.ms(),
            nonce,
            window_ms: 0,
        },
        made: Made::Signed(SignedText::EMPTY),
    };
    rungs(CENTRE, Side::Buy, TICK, Some(Rate::from_bps(5))).map(ready).collect()
}

fn shelf(c: &mut Criterion) {
    let ladders = [ladder(1), ladder(2)].concat();
    assert!(ladders.len() > RUNGS && ladders.len() <= 2 * RUNGS);
    let full = || {
        let mut shelf = Shelf::new(1, 2);
        ladders.iter().for_each(|ready| shelf.put(0, ready));
        shelf
    };
    let wanted = Wanted {
        pair: PairId(0),
        leg: 0,
        side: Side::Buy,
        reduce_only: false,
        qty: Qty::from_raw(100_000),
        limit: CENTRE.moved(Rate::from_bps(1)),
        least: CENTRE,
    };
    c.bench_function("shelf/look-up in two ladders", |b| {
        b.iter_batched_ref(full, |shelf| shelf.take(NOW, black_box(&wanted)), BatchSize::SmallInput);
    });
    let mut shelf = full();
    c.bench_function("shelf/put", |b| b.iter(|| shelf.put(0, black_box(&ladders[7]))));
}

criterion_group!(benches, shelf);
criterion_main!(benches);
