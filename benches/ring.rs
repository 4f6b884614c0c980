//! One hop of a quote through a ring, producer and consumer on one thread: the copies without the distance between
//! two cores.

use std::hint::black_box;

use bot4::sys::ring::ring;
use bot4::types::Quote;
use bot4::types::limits::QUOTE_RING;
use criterion::{Criterion, criterion_group, criterion_main};

fn hop(c: &mut Criterion) {
    let (mut tx, mut rx) = ring::<Quote>(QUOTE_RING);
    c.bench_function("ring/quote_hop", |b| {
        b.iter(|| {
            assert!(tx.push(black_box(Quote::default())).is_ok());
            black_box(rx.pop())
        });
    });
}

criterion_group!(benches, hop);
criterion_main!(benches);
