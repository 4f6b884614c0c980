//! The whole path in memory, one thread after the other: from the bytes of a frame to the wish of `spread`, and on to
//! the bytes of both orders, signed ahead or on the spot. What the threads' distance, TLS and the kernel add is
//! measured in `perf/`.

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};

#[path = "../tests/in_memory/mod.rs"]
mod in_memory;

use in_memory::{Engine, Frame};

/// Times `work` alone; every entry is refused and forgotten between two of them.
fn timed<T>(c: &mut Criterion, name: &str, mut engine: Engine, mut work: impl FnMut(&mut Engine) -> T) {
    c.bench_function(name, |bench| {
        bench.iter_custom(|times| {
            let mut total = Duration::ZERO;
            for _ in 0..times {
                let start = Instant::now();
                std::hint::black_box(work(&mut engine));
                total += start.elapsed();
                engine.recover();
            }
            total
        });
    });
}

fn both(engine: &mut Engine) {
    let bytes = engine.trade();
    assert!(bytes.iter().all(|&bytes| bytes > 200), "both orders are written");
}

fn path(c: &mut Criterion) {
    timed(c, "path/clock pair", Engine::new(), |_| ());
    timed(c, "path/frame to quote", Engine::new(), |engine| engine.read(0, Frame::Rich));
    timed(c, "path/frame to wish", Engine::new(), |engine| {
        engine.read(0, Frame::Rich);
        engine.wish()
    });
    timed(c, "path/frame to both orders, none signed ahead", Engine::new(), both);
    timed(c, "path/frame to both orders, begun ahead where it can be", Engine::beginning_ahead(), both);
    timed(c, "path/frame to both orders, both signed ahead", Engine::signing_ahead(), both);
}

criterion_group!(benches, path);
criterion_main!(benches);
