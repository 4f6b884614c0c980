//! The pure parts of the path, each run so often as asked: `parts NAME TIMES`. perf/instructions.sh counts the
//! instructions of two runs of different length and divides the difference, so that setting up costs nothing.
//! `parts` alone lists the names.

use std::hint::black_box;

use anyhow::{Context, bail};
use bot4::book::ladder::Book;
use bot4::spread::signal::{Input, Signal};
use bot4::sys::link::Inbound;
use bot4::types::{BookUpdate, ExposureState, Level, Nanos, OrderSpec, Price, Qty, Quote, Rate, VenueId};
use bot4::venue::paradex::{orders, sbe};
use bot4::venue::{Parcel, REGISTRY, Setup};

#[path = "../../../tests/fixture/mod.rs"]
mod fixture;
#[path = "../../../benches/parts/mod.rs"]
mod parts;

use parts::{
    Look, NOW, PAIR, paradex_frame, paradex_setup, paradex_spec, vest_depth, vest_echo, vest_rules,
    vest_setup, vest_spec,
};

/// A depth message of 20 by 20 levels, decoded.
fn vest_decode(times: u64) -> anyhow::Result<()> {
    let mut feed = (REGISTRY[0].feed)(&vest_setup())?;
    let (frame, mut out, mut look) = (vest_depth(20), Vec::<Parcel>::new(), Look(0));
    feed.on_open(NOW, &mut out);
    for _ in 0..times {
        feed.on_frame(NOW, Inbound::Text(black_box(&frame)), &mut look, &mut out)?;
    }
    anyhow::ensure!(look.0 == 20 * times, "not every book arrived");
    Ok(())
}

/// A recorded delta, every level of it read.
fn paradex_decode(times: u64) -> anyhow::Result<()> {
    let frame = paradex_frame("pdx-03");
    for _ in 0..times {
        let Ok(sbe::Message::Book(book)) = sbe::decode(black_box(&frame)) else { bail!("no book") };
        black_box(book.bids.iter().chain(book.asks.iter()).count());
    }
    Ok(())
}

/// Two deltas that undo each other, applied to a book of 100 by 60 levels.
fn ladder_delta(times: u64) -> anyhow::Result<()> {
    let level = |n: i64, qty: i64| Level {
        price: Price::from_raw(8_345_670_000_000 + n * 10_000_000),
        qty: Qty::from_raw(qty),
    };
    let whole = BookUpdate {
        whole: true,
        bids: (1..=100).map(|n| level(-n, n * 100)).collect(),
        asks: (1..=60).map(|n| level(n, n * 100)).collect(),
        ..BookUpdate::default()
    };
    let deltas = [0, 1].map(|turn| BookUpdate {
        bids: vec![level(-2, 200 * turn), level(-5, 700 + turn)],
        asks: vec![level(2, 200 * turn), level(5, 700 + turn)],
        ..BookUpdate::default()
    });
    let mut book = Book::new();
    book.apply(&whole).map_err(|error| anyhow::anyhow!("{error:?}"))?;
    for turn in 0..times {
        black_box(book.apply(black_box(&deltas[turn as usize % 2])).is_ok());
    }
    Ok(())
}

/// A quote far from the threshold, priced in both directions and dismissed.
fn edge_idle(times: u64) -> anyhow::Result<()> {
    let now = Nanos(1_000_000_000);
    let quote = |venue| {
        let (bid, ask) = (Price::from_raw(100_00000000), Price::from_raw(100_01000000));
        Quote { venue: VenueId(venue), t_wire: now, t_book: now, ..fixture::top(bid, ask) }
    };
    let (settings, mut facts) = (fixture::settings(), Vec::with_capacity(64));
    let mut signal = Signal::new(&settings.pairs[0], &settings);
    for leg in 0..2 {
        let rules = fixture::rules(Rate::from_bps(3));
        signal.step(now, Input::Rules { leg, rules: &rules }, &mut facts);
    }
    signal.step(now, Input::Quote { leg: 1, quote: &quote(1) }, &mut facts);
    signal.step(now, Input::Exposure(ExposureState::MayEnter), &mut facts);
    let near = quote(0);
    for _ in 0..times {
        facts.clear();
        anyhow::ensure!(
            signal.step(now, Input::Quote { leg: 0, quote: black_box(&near) }, &mut facts).is_none()
        );
    }
    Ok(())
}

/// An order of Vest, not signed ahead: encoded, signed, written into its request; and its answer read.
fn vest_cold(times: u64) -> anyhow::Result<()> {
    let mut trader = (REGISTRY[0].trader)(&vest_setup())?;
    trader.set_rules(PAIR, &vest_rules());
    trader.install(vest_echo(), NOW);
    let mut events = Vec::with_capacity(8);
    for nth in 0..times {
        let mut spec = vest_spec();
        (spec.signed_ms, spec.nonce) = (NOW.ms() + nth, NOW.ms() + nth);
        trader.send(black_box(&spec), NOW)?;
        trader.poll(NOW, &mut events);
        events.clear();
    }
    Ok(())
}

/// The next rung of a ladder: only the price differs from the last.
fn rung(venue: usize, setup: &Setup, spec: &OrderSpec, times: u64) -> anyhow::Result<()> {
    let mut presigner = (REGISTRY[venue].presigner)(setup)?;
    presigner.set_rules(PAIR, &vest_rules());
    for nth in 0..times {
        let limit = spec.limit + Price::from_raw(10_000_000 * nth.cast_signed());
        black_box(presigner.sign(&OrderSpec { limit, ..*spec }).context("a valid order")?);
    }
    Ok(())
}

fn vest_rung(times: u64) -> anyhow::Result<()> {
    rung(0, &vest_setup(), &vest_spec(), times)
}

fn paradex_rung(times: u64) -> anyhow::Result<()> {
    rung(1, &paradex_setup(), &paradex_spec(), times)
}

/// An order of Paradex of which nothing is known ahead: each with a time of its own, so that its prefix is hashed too.
fn paradex_cold(times: u64) -> anyhow::Result<()> {
    let mut presigner = (REGISTRY[1].presigner)(&paradex_setup())?;
    presigner.set_rules(PAIR, &vest_rules());
    let mut body = String::with_capacity(2_048);
    for nth in 0..times {
        let spec = OrderSpec { signed_ms: NOW.ms() + nth, ..paradex_spec() };
        let signature = presigner.sign(black_box(&spec)).context("a valid order")?;
        body.clear();
        orders::write_body(&mut body, "BTC-USD-PERP", &spec, signature.as_str());
        black_box(&body);
    }
    Ok(())
}

type Part = fn(u64) -> anyhow::Result<()>;

const PARTS: [(&str, Part); 8] = [
    ("vest-depth-20x20", vest_decode),
    ("paradex-delta", paradex_decode),
    ("ladder-delta-4", ladder_delta),
    ("edge-idle", edge_idle),
    ("vest-order-cold", vest_cold),
    ("vest-order-next-rung", vest_rung),
    ("paradex-order-cold", paradex_cold),
    ("paradex-order-next-rung", paradex_rung),
];

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        PARTS.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(());
    };
    let times = arguments.next().context("how often?")?.parse()?;
    match PARTS.iter().find(|(part, _)| *part == name) {
        Some((_, part)) => part(times),
        None => bail!("no part {name}"),
    }
}
