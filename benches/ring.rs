//! One hop of a quote: through a ring on one thread (the copies alone), and between two threads and back, beside a raw
//! atomic that does the same in the same run. Half a round trip is one hop; the ratio is what the ring adds.

use std::hint::{black_box, spin_loop};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use bot4::sys::ring::ring;
use bot4::types::Quote;
use bot4::types::limits::QUOTE_RING;
use criterion::{Criterion, criterion_group, criterion_main};

/// A thread that answers until it is dropped.
struct Partner {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Partner {
    fn new(mut answer: impl FnMut() + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                answer();
                spin_loop();
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the partner ends");
        }
    }
}

fn one_thread(c: &mut Criterion) {
    let (mut tx, mut rx) = ring::<Quote>(QUOTE_RING);
    c.bench_function("ring/quote, one thread", |b| {
        b.iter(|| {
            assert!(tx.push(black_box(Quote::default())).is_ok());
            black_box(rx.pop())
        });
    });
}

fn raw_atomic(c: &mut Criterion) {
    #[derive(Default)]
    #[repr(align(128))]
    struct Line(AtomicU64);
    let lines = Arc::new([Line::default(), Line::default()]);
    let theirs = Arc::clone(&lines);
    let _partner = Partner::new(move || {
        theirs[1].0.store(theirs[0].0.load(Ordering::Acquire), Ordering::Release);
    });
    let mut turn = 0;
    c.bench_function("ring/there and back, raw atomic", |b| {
        b.iter(|| {
            turn += 1;
            lines[0].0.store(turn, Ordering::Release);
            while lines[1].0.load(Ordering::Acquire) != turn {
                spin_loop();
            }
        });
    });
}

fn there_and_back<T: Copy + Send + 'static>(c: &mut Criterion, name: &str, message: T) {
    let ((mut tx, mut rx_there), (mut tx_back, mut rx)) = (ring::<T>(QUOTE_RING), ring::<T>(QUOTE_RING));
    let _partner = Partner::new(move || {
        if let Some(message) = rx_there.pop() {
            assert!(tx_back.push(message).is_ok());
        }
    });
    c.bench_function(name, |b| {
        b.iter(|| {
            assert!(tx.push(black_box(message)).is_ok());
            loop {
                if let Some(message) = rx.pop() {
                    return black_box(message);
                }
                spin_loop();
            }
        });
    });
}

fn two_threads(c: &mut Criterion) {
    raw_atomic(c);
    there_and_back(c, "ring/there and back, 64 B", [0_u64; 8]);
    there_and_back(c, "ring/there and back, quote", Quote::default());
}

criterion_group!(benches, one_thread, two_threads);
criterion_main!(benches);
