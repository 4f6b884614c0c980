//! What a book message costs `md:<venue>`, from the bytes of its WebSocket frame to the quote on the ring of
//! `spread`: a recorded Paradex delta on a deep ladder, and a Vest push of 20 levels a side, each beside the JSON
//! readers that could have read it, in the same run. No socket and no TLS.

use std::hint::black_box;

use bot4::book::thread::{BookRings, BookThread};
use bot4::sys::clock::SystemClock;
use bot4::sys::frame::{Caps, Found, FrameReader, Kind};
use bot4::sys::link::{Inbound, Link, LinkError, Outbound};
use bot4::sys::ring::{Rx, ring};
use bot4::types::limits::{COMMAND_RING, QUOTE_RING, RECORD_RING};
use bot4::types::record::Role;
use bot4::types::{Nanos, OrderKind, PairId, Pool, Profile, Qty, Quote, Record, VenueId};
use bot4::venue::{Answer, REGISTRY, ReadyLink, Secrets, Setup};
use criterion::{Criterion, criterion_group, criterion_main};
use serde::Deserialize;

#[path = "../tests/fixture/mod.rs"]
mod fixture;
mod parts;

use parts::{paradex_frame, vest_depth};

/// What the venue sends next; the bytes of one frame.
type Script = Box<dyn FnMut() -> Vec<u8> + Send>;

/// A connection on which the same frame comes for ever, changed in place by `renew`.
struct Endless {
    first: Script,
    frame: Vec<u8>,
    renew: fn(&mut [u8]),
    reader: FrameReader,
    opened: bool,
}

impl Endless {
    fn take(&mut self) -> Option<Found> {
        let opening = (!self.opened).then(|| (self.first)());
        self.opened = true;
        (self.renew)(&mut self.frame);
        let frame = opening.as_ref().unwrap_or(&self.frame);
        self.reader.room()[..frame.len()].copy_from_slice(frame);
        self.reader.filled(frame.len());
        self.reader.find().expect("a frame")
    }
}

impl Link for Endless {
    fn send(&mut self, _: Outbound<'_>) -> Result<(), LinkError> {
        Ok(())
    }

    fn recv(&mut self) -> Result<Option<Inbound<'_>>, LinkError> {
        let found = self.take();
        Ok(found.map(|found| match found.kind {
            Kind::Binary => Inbound::Binary(self.reader.bytes(&found)),
            _ => Inbound::Text(self.reader.bytes(&found)),
        }))
    }
}

/// `md:<venue>` on such a connection, past its first whole book.
struct Bench {
    thread: BookThread,
    quotes: Rx<Quote>,
    order: Rx<Quote>,
    records: Rx<Record>,
}

impl Bench {
    fn new(venue: u8, symbol: &str, link: Endless) -> Self {
        let (spread, quotes) = ring(QUOTE_RING);
        let (to_order, order) = ring(QUOTE_RING);
        let (ask, _) = ring(COMMAND_RING);
        let (mut keeper, answers) = ring(COMMAND_RING);
        let (to_store, records) = ring(RECORD_RING);
        let rings = BookRings { spread, order: to_order, ask, answers, records: to_store };
        let feed = (REGISTRY[usize::from(venue)].feed)(&setup(venue, symbol)).expect("a feed");
        let clock = Box::new(SystemClock::start_fast());
        let mut thread = BookThread::new(VenueId(venue), feed, clock, &fixture::settings(), rings);
        thread.set_lot(PairId(0), Qty::from_raw(1), Qty::from_raw(1));
        let (venue, role, link) = (VenueId(venue), Role::MarketData, Box::new(link));
        let ready = ReadyLink { venue, role, link, secret: None };
        assert!(keeper.push(Answer::Link(ready)).is_ok());
        let mut bench = Self { thread, quotes, order, records };
        while !bench.turn().tradable {}
        bench
    }

    /// One message in, its quote out.
    fn turn(&mut self) -> Quote {
        self.thread.poll(Nanos(1));
        let mut last = None;
        while let Some(quote) = self.quotes.pop() {
            last = Some(quote);
            self.order.pop();
        }
        while self.records.pop().is_some() {}
        last.expect("every message makes a quote")
    }
}

fn setup(venue: u8, symbol: &str) -> Setup {
    Setup {
        id: VenueId(venue),
        env: "sim".into(),
        rest_url: "https://localhost/v1".into(),
        ws_url: "wss://localhost/v1".into(),
        order_kind: OrderKind::Ioc,
        profile: Profile::Pro,
        pool: Pool::default(),
        ack_deadline_ms: 1_000,
        markets: vec![(PairId(0), symbol.into())],
        secrets: Secrets::default(),
    }
}

/// As a server frames a message of more than 125 bytes.
fn framed(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("short").to_be_bytes();
    let short = [first, payload.len() as u8];
    let head = if payload.len() < 126 { short.to_vec() } else { [&[first, 126], &length[..]].concat() };
    [&head, payload].concat()
}

/// Where the sequence stands in a book frame of Paradex, after the WebSocket's head of 2 or 4 bytes.
fn next_sequence(frame: &mut [u8]) {
    let at = if frame[1] == 126 { 4 } else { 2 } + 16;
    let bytes: &mut [u8; 8] = (&mut frame[at..at + 8]).try_into().expect("eight");
    *bytes = (u64::from_le_bytes(*bytes) + 1).to_le_bytes();
}

fn paradex(c: &mut Criterion) {
    let frame = |id| framed(0x82, &paradex_frame(id));
    // The recorded snapshot and the delta that follows it.
    let (snapshot, mut delta) = (frame("pdx-02"), frame("pdx-03"));
    let sequence = |bytes: &[u8]| {
        let at = if bytes[1] == 126 { 4 } else { 2 } + 16;
        u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight"))
    };
    assert_eq!(sequence(&snapshot) + 1, sequence(&delta));
    let at = if delta[1] == 126 { 4 } else { 2 } + 16;
    // The opening itself calls for the next number once.
    delta[at..at + 8].copy_from_slice(&(sequence(&snapshot) - 1).to_le_bytes());
    let reader = FrameReader::new(Caps::default());
    let first = Box::new(move || snapshot.clone());
    let link = Endless { first, frame: delta, renew: next_sequence, reader, opened: false };
    let mut bench = Bench::new(1, "BTC-USD-PERP", link);
    c.bench_function("receive/paradex delta to quote", |b| b.iter(|| bench.turn()));
}

fn vest(c: &mut Criterion) {
    let frame = framed(0x81, &vest_depth(20));
    let (first, reader) = (frame.clone(), FrameReader::new(Caps::default()));
    let link =
        Endless { first: Box::new(move || first.clone()), frame, renew: |_| {}, reader, opened: false };
    let mut bench = Bench::new(0, "BTC-PERP", link);
    c.bench_function("receive/vest depth 20x20 to quote", |b| b.iter(|| bench.turn()));
}

/// The same push read by what one would have taken: texts only, no numbers made of them.
fn rivals(c: &mut Criterion) {
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "what is read is what is measured")]
    struct Push<'a> {
        channel: &'a str,
        #[serde(borrow)]
        data: Sides<'a>,
    }
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "what is read is what is measured")]
    struct Sides<'a> {
        #[serde(borrow)]
        bids: Vec<(&'a str, &'a str)>,
        #[serde(borrow)]
        asks: Vec<(&'a str, &'a str)>,
    }
    let push = vest_depth(20);
    c.bench_function("receive/vest depth, sonic-rs alone", |b| {
        b.iter(|| black_box(sonic_rs::from_slice::<Push<'_>>(black_box(&push))).is_ok());
    });
    c.bench_function("receive/vest depth, serde_json alone", |b| {
        b.iter(|| black_box(serde_json::from_slice::<Push<'_>>(black_box(&push))).is_ok());
    });
    c.bench_function("receive/vest depth, serde_json tree alone", |b| {
        b.iter(|| black_box(serde_json::from_slice::<serde_json::Value>(black_box(&push))).is_ok());
    });
}

criterion_group!(benches, paradex, vest, rivals);
criterion_main!(benches);
