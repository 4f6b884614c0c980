//! One reading of the clock: as the engine reads it, and as the kernel offers it, in the same run.

use bot4::sys::clock::{Clock, SystemClock};
use criterion::{Criterion, criterion_group, criterion_main};

fn readings(c: &mut Criterion) {
    for (name, clock) in [("kernel", SystemClock::start()), ("counter", SystemClock::start_fast())] {
        clock.check();
        c.bench_function(&format!("clock/{name}"), |b| b.iter(|| clock.now()));
    }
}

criterion_group!(benches, readings);
criterion_main!(benches);
