//! The engine without venues, beside `bot4-baseline memory`: from the bytes of a frame to the bytes of both orders, one
//! thread after the other on one core. Prints p50 and p99 in microseconds.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

#[path = "../../../tests/in_memory/mod.rs"]
mod in_memory;

use in_memory::Engine;

const TIMES: usize = 500;
const WARM_UP: usize = 20;
/// Rounds of what rests in between, and the rest: as long as a tick of `bot4-perf` lets the engine wait.
const RESTED: usize = 25;
const REST: Duration = Duration::from_millis(700);

fn measure(name: &str, engine: Engine) {
    measure_rested(name, engine, TIMES, Duration::ZERO);
}

/// The same after a rest, in which the caches go to others.
fn measure_rested(name: &str, mut engine: Engine, times: usize, rest: Duration) {
    let trade = || {
        spin(rest);
        let start = Instant::now();
        let bytes = engine.trade();
        let took = start.elapsed();
        assert!(bytes.iter().all(|&bytes| bytes > 200), "both orders are written");
        engine.recover();
        took
    };
    show(name, std::iter::repeat_with(trade).take(times + WARM_UP).skip(WARM_UP));
}

/// What the kernel takes for one write of an order's size to a reader that waits for it, after a rest.
fn bare_write(name: &str, times: usize, rest: Duration) -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut stream = TcpStream::connect(listener.local_addr()?)?;
    stream.set_nodelay(true)?;
    let (mut reader, _) = listener.accept()?;
    std::thread::spawn(move || while reader.read(&mut [0; 4_096]).is_ok_and(|read| read > 0) {});
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        spin(rest);
        let start = Instant::now();
        stream.write_all(&[0; 600])?;
        took.push(start.elapsed());
    }
    show(name, took.into_iter());
    Ok(())
}

fn spin(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

fn show(name: &str, took: impl Iterator<Item = Duration>) {
    let mut samples: Vec<f64> = took.map(|took| took.as_secs_f64() * 1e6).collect();
    samples.sort_by(f64::total_cmp);
    let at = |percent: usize| samples[(samples.len() * percent / 100).min(samples.len() - 1)];
    println!("{name:<48}{:>10.1}{:>10.1}", at(50), at(99));
}

fn main() -> std::io::Result<()> {
    println!("{:<48}{:>10}{:>10}", "in memory: message to both orders, us", "p50", "p99");
    measure("bot4, both signed ahead", Engine::signing_ahead());
    measure("bot4, begun ahead, signed at the send", Engine::beginning_ahead());
    measure("bot4, none signed ahead", Engine::new());
    measure_rested("bot4, both signed ahead, after 0.7 s of rest", Engine::signing_ahead(), RESTED, REST);
    bare_write("a bare write of 600 B to loopback, after 1 ms", TIMES, Duration::from_millis(1))?;
    bare_write("a bare write of 600 B to loopback, after 0.7 s", RESTED, REST)
}
