//! What the harness itself costs: the floor under every other figure.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};

fn empty(c: &mut Criterion) {
    c.bench_function("empty", |b| b.iter(|| black_box(0_u64)));
}

criterion_group!(benches, empty);
criterion_main!(benches);
