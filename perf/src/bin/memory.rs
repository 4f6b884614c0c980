//! The engine without venues, beside `bot4-baseline memory`: from the bytes of a frame to the bytes of both orders, one
//! thread after the other on one core. Prints p50 and p99 in microseconds.

use std::time::Instant;

#[path = "../../../tests/in_memory/mod.rs"]
mod in_memory;

use in_memory::Engine;

const TIMES: usize = 500;
const WARM_UP: usize = 20;

fn measure(name: &str, mut engine: Engine) {
    let mut samples: Vec<f64> = (0..TIMES + WARM_UP)
        .map(|_| {
            let start = Instant::now();
            let bytes = engine.trade();
            let took = start.elapsed();
            assert!(bytes.iter().all(|&bytes| bytes > 200), "both orders are written");
            engine.recover();
            took.as_secs_f64() * 1e6
        })
        .skip(WARM_UP)
        .collect();
    samples.sort_by(f64::total_cmp);
    println!("{name:<48}{:>10.1}{:>10.1}", samples[TIMES / 2], samples[TIMES * 99 / 100]);
}

fn main() {
    println!("{:<48}{:>10}{:>10}", "in memory: message to both orders, us", "p50", "p99");
    measure("bot4, both signed ahead", Engine::signing_ahead());
    measure("bot4, begun ahead, signed at the send", Engine::beginning_ahead());
    measure("bot4, none signed ahead", Engine::new());
}
