//! What a simulated day costs, and that it leaves nothing behind. The first prints; look at it with
//! `BOT4_STAGE_HOURS=24 cargo test --release -p bot4-sim --lib hours_of_both -- --nocapture`.

use std::time::Instant;

use serde_json::json;

use super::*;
use crate::core::Delay;

/// Books of both venues about once in 700 ms, everything else sparse.
fn sparse() -> Options {
    let cadence = Delay::of(500_000, 900_000);
    let slow = Options { ticker_us: 5 * SECOND, grid_us: 500_000, ..options() };
    Options { vest_cadence: cadence, paradex_cadence: cadence, ..slow }
}

/// Simulated hours that are measured; in a day's run `BOT4_STAGE_HOURS` says 24.
fn hours() -> i64 {
    std::env::var("BOT4_STAGE_HOURS").map_or(1, |text| text.parse().unwrap())
}

fn listened(mut run: Run, subscribe: impl Fn(&mut Run) -> SocketId) -> (u64, usize) {
    let id = subscribe(&mut run);
    let (mut frames, mut bytes) = (0, 0);
    while run.now_us < START_US + hours() * 3_600 * SECOND {
        run.now_us = run.stage.next_due();
        while let Some(frame) = run.stage.recv(run.now_us, id) {
            frames += 1;
            match frame {
                Frame::Text(text) => bytes += text.len(),
                Frame::Binary(raw) => bytes += raw.len(),
                Frame::Ping => run.stage.pong(run.now_us, id),
                _ => {}
            }
        }
    }
    (frames, bytes)
}

#[test]
fn hours_of_both_venues() {
    let vest = |run: &mut Run| {
        let id = run.stage.open(run.now_us, "/ws-api?version=1.0", &[]).unwrap();
        run.send(id, &json!({"method": "SUBSCRIBE", "params": ["BTC-PERP@depth"], "id": 1}));
        id
    };
    let paradex = |run: &mut Run| {
        let id = run.paradex_socket();
        run.subscribe(id, &format!("order_book.{BTC}.deltas"));
        id
    };
    for (name, options) in [("sparse", sparse()), ("realistic", options())] {
        for venue in ["vest", "paradex"] {
            let started = Instant::now();
            let (frames, bytes) = match venue {
                "vest" => listened(Run::vest_of(options.clone()), vest),
                _ => listened(Run::paradex_of(options.clone()), paradex),
            };
            let took = started.elapsed();
            assert!(frames > 3_600 * hours() as u64, "both venues publish more than once a second");
            println!(
                "{name}, {} h of {venue}: {:.2} s, {frames} frames of {} bytes, {:.2} us a frame",
                hours(),
                took.as_secs_f64(),
                bytes as u64 / frames,
                took.as_secs_f64() * 1e6 / frames as f64
            );
        }
    }
}

#[test]
fn a_copy_goes_on_as_the_original_does() {
    let mut run = Run::paradex();
    let id = run.paradex_listener(&[&format!("order_book.{BTC}.deltas")]);
    let mut copy = run.stage.clone();
    run.pass(10 * SECOND);
    let frames = run.drain(id);
    assert!(frames.len() > 50);
    assert_eq!(std::iter::from_fn(|| copy.recv(run.now_us, id)).collect::<Vec<_>>(), frames);
}
