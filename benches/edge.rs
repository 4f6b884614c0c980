//! From two quotes to a decision: the bare arithmetic, and a whole step of the signal, with nothing to do and with a
//! wish as its outcome.

use std::hint::black_box;

use bot4::spread::edge::{Trade, mean_mid};
use bot4::spread::signal::{Input, Signal};
use bot4::types::settings::Basis;
use bot4::types::{Direction, ExposureState, Nanos, Price, Quote, Rate, RecordKind, Settings, VenueId};
use criterion::{Criterion, criterion_group, criterion_main};

#[path = "../tests/fixture/mod.rs"]
mod fixture;

const NEAR: i64 = 100_00000000;
/// 60 bps above [`NEAR`].
const RICH: i64 = 100_60000000;
const NOW: Nanos = Nanos(1_000_000_000);

fn quote(venue: u8, bid: i64) -> Quote {
    let (bid, ask) = (Price::from_raw(bid), Price::from_raw(bid + 1_000_000));
    Quote { venue: VenueId(venue), t_wire: NOW, t_book: NOW, ..fixture::top(bid, ask) }
}

fn arithmetic(c: &mut Criterion) {
    let quotes = [quote(0, RICH), quote(1, NEAR)];
    c.bench_function("edge/both_directions", |b| {
        b.iter(|| {
            let quotes = black_box(&quotes);
            let mid = mean_mid(quotes);
            Direction::BOTH.map(|direction| Trade::price(quotes, direction, 0).map(|trade| trade.edge(mid)))
        });
    });
}

/// A signal with leg 1 in view and entries allowed.
fn signal(settings: &Settings, facts: &mut Vec<RecordKind>) -> Signal {
    let mut signal = Signal::new(&settings.pairs[0], settings);
    for leg in 0..2 {
        let rules = fixture::rules(Rate::from_bps(3));
        signal.step(NOW, Input::Rules { leg, rules: &rules }, facts);
    }
    signal.step(NOW, Input::Quote { leg: 1, quote: &quote(1, NEAR) }, facts);
    signal.step(NOW, Input::Exposure(ExposureState::MayEnter), facts);
    signal
}

fn idle_step(c: &mut Criterion) {
    let mut settings = fixture::settings();
    settings.signal.basis = Basis::Ewma { half_life_s: 1_800, warmup_s: 0 };
    let mut facts = Vec::with_capacity(64);
    let mut signal = signal(&settings, &mut facts);
    let near = quote(0, NEAR);
    c.bench_function("edge/signal_idle", |b| {
        b.iter(|| {
            facts.clear();
            signal.step(NOW, Input::Quote { leg: 0, quote: black_box(&near) }, &mut facts)
        });
    });
}

fn firing_step(c: &mut Criterion) {
    let settings = fixture::settings();
    let mut facts = Vec::with_capacity(64);
    let mut signal = signal(&settings, &mut facts);
    let rich = quote(0, RICH);
    c.bench_function("edge/signal_fires", |b| {
        b.iter(|| {
            facts.clear();
            signal.step(NOW, Input::Exposure(ExposureState::MayEnter), &mut facts);
            let intent = signal.step(NOW, Input::Quote { leg: 0, quote: black_box(&rich) }, &mut facts);
            assert!(intent.is_some());
            intent
        });
    });
}

criterion_group!(benches, arithmetic, idle_step, firing_step);
criterion_main!(benches);
