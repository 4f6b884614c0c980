//! A book update applied and priced, on books of the depths that the venues show: 100 by 60 levels with deltas of a
//! few levels, and whole snapshots of 40 levels a side.

use std::hint::black_box;

use bot4::book::ladder::Book;
use bot4::book::market::Market;
use bot4::types::{BookUpdate, Level, Nanos, Price, Qty, VenueId};
use criterion::{Criterion, criterion_group, criterion_main};

#[path = "../tests/fixture/mod.rs"]
mod fixture;

const MID: i64 = 8_345_670_000_000;
const TICK: i64 = 10_000_000;

fn levels(count: i64, side: i64) -> Vec<Level> {
    let level = |n| Level { price: Price::from_raw(MID + side * n * TICK), qty: Qty::from_raw(n * 100) };
    (1..=count).map(level).collect()
}

fn whole(bids: i64, asks: i64) -> BookUpdate {
    BookUpdate { whole: true, bids: levels(bids, -1), asks: levels(asks, 1), ..BookUpdate::default() }
}

/// Two deltas that undo each other near the touch, so that the book stays as it is.
fn deltas() -> [BookUpdate; 2] {
    let level = |n: i64, qty: i64| Level { price: Price::from_raw(MID + n * TICK), qty: Qty::from_raw(qty) };
    [0, 1].map(|turn| BookUpdate {
        bids: vec![level(-2, 200 * turn), level(-5, 700 + turn)],
        asks: vec![level(2, 200 * turn), level(5, 700 + turn)],
        ..BookUpdate::default()
    })
}

fn apply(c: &mut Criterion) {
    let mut book = Book::new();
    book.apply(&whole(100, 60)).expect("a sound book");
    let deltas = deltas();
    let mut turn = 0;
    c.bench_function("ladder/delta_4_levels", |b| {
        b.iter(|| {
            turn ^= 1;
            book.apply(black_box(&deltas[turn]))
        });
    });
    let snapshot = whole(40, 40);
    c.bench_function("ladder/whole_40x40", |b| b.iter(|| book.apply(black_box(&snapshot))));
}

fn apply_and_price(c: &mut Criterion) {
    let settings = fixture::settings();
    let mut market = Market::new(VenueId(1), &settings.pairs[0], &settings.risk);
    market.set_lot(Qty::from_raw(1), Qty::from_raw(1));
    market.apply(&whole(100, 60), Nanos(1)).expect("a sound book");
    let deltas = deltas();
    let mut turn = 0;
    c.bench_function("ladder/delta_applied_and_priced", |b| {
        b.iter(|| {
            turn ^= 1;
            market.apply(black_box(&deltas[turn]), Nanos(2)).map(|()| market.quote(Nanos(3)).buy)
        });
    });
}

criterion_group!(benches, apply, apply_and_price);
criterion_main!(benches);
