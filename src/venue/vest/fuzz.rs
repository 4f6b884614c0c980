//! Every decoder of this folder against a million mutated frames: any result will do but a panic. The mutator is cheap
//! and seeded, so that a failure can be run again.

use super::access::Access;
use super::errors;
use super::feed::PublicFeed;
use super::json;
use super::order_row::OrderRow;
use super::private;
use super::statements::{self, Account, ExchangeInfo, Tickers};
use super::testing::{BTC, ETH, frame, frames, paper_setup};
use crate::sys::link::Inbound;
use crate::types::order::VenueOrderId;
use crate::types::{BookUpdate, ClientId, Nanos, PairId, Qty, Side, Ticker, VenueId};
use crate::venue::{Feed, FeedSink, OrderQuery, Setup};

const TICKERS: &[u8] = br#"{"tickers":[{"symbol":"BTC-PERP","status":"TRADING"}]}"#;
const PUBLIC_FRAMES: u32 = 500_000;
const PRIVATE_FRAMES: u32 = 400_000;
const REPLIES: u32 = 100_000;
const _: () = assert!(PUBLIC_FRAMES + PRIVATE_FRAMES + REPLIES == 1_000_000);

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 33) as usize % end.max(1)
    }
}

const PIECES: [&[u8]; 18] = [
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"-",
    b"9",
    b"null",
    b"\\u0000",
    b"\\",
    b"\xff",
    b"1e400",
    b"99999999999999999999",
    b"0.0000000001",
    b"\"code\":3008,",
    b"\"status\":\"FILLED\",",
];

/// One to three edits: a flipped byte, a cut, a doubled stretch, or an inserted piece.
fn mutate(frame: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let (a, b) = (random.below(frame.len()), random.below(frame.len()));
        let (from, to) = (a.min(b), a.max(b).min(a.min(b) + 40));
        match random.below(5) {
            0 if !frame.is_empty() => frame[a] = random.next() as u8,
            1 => frame.truncate(b),
            2 => drop(frame.drain(from..to)),
            3 => frame.extend_from_within(from..to),
            _ => drop(frame.splice(a..a, PIECES[random.below(PIECES.len())].iter().copied())),
        }
    }
}

/// Counts what came through, so that the test is known to reach the deep ends.
#[derive(Debug, Default)]
struct Count {
    books: u32,
    tickers: u32,
    gaps: u32,
}

impl FeedSink for Count {
    fn book(&mut self, update: &BookUpdate) {
        assert!(update.bids.is_sorted_by(|a, b| a.price >= b.price));
        assert!(update.asks.iter().all(|level| level.price.raw() > 0 && level.qty.raw() > 0));
        self.books += 1;
    }
    fn ticker(&mut self, _: PairId, _: Ticker) {
        self.tickers += 1;
    }
    fn gap(&mut self, _: PairId, _: &'static str) {
        self.gaps += 1;
    }
    fn alive(&mut self, _: PairId) {}
}

fn setup() -> Setup {
    Setup { markets: vec![(BTC, "DOGE-PERP".into()), (ETH, "kBONK-PERP".into())], ..paper_setup() }
}

#[test]
fn no_frame_of_the_public_stream_panics() {
    let samples = ["depth", "tickers", "PONG"].map(frame);
    let (mut feed, mut count, mut random) = (PublicFeed::new(&setup()).unwrap(), Count::default(), Random(7));
    let mut frame = Vec::new();
    for _ in 0..PUBLIC_FRAMES {
        frame.clone_from(&samples[random.below(samples.len())]);
        mutate(&mut frame, &mut random);
        let _ = feed.on_frame(Nanos(1), Inbound::Text(&frame), &mut count, &mut Vec::new());
    }
    assert!(count.books > 500 && count.tickers > 500 && count.gaps > 500, "{count:?}");
}

#[test]
fn no_frame_of_the_private_stream_panics() {
    let samples: Vec<Vec<u8>> =
        frames().into_iter().filter(|frame| frame.0.starts_with("ORDER")).map(|frame| frame.1).collect();
    assert_eq!(samples.len(), 4);
    let (mut events, mut random, mut frame) = (Vec::new(), Random(8), Vec::new());
    let mut told = 0;
    for _ in 0..PRIVATE_FRAMES {
        frame.clone_from(&samples[random.below(samples.len())]);
        mutate(&mut frame, &mut random);
        let _ = private::read(&frame, &mut events);
        told += events.drain(..).count();
    }
    assert!(told > 1_000);
}

#[test]
fn no_reply_panics() {
    let access = Access::read(&Setup { markets: vec![(BTC, "BTC-PERP".into())], ..setup() }).unwrap();
    let decoders = replies();
    let (mut random, mut frame, mut read) = (Random(9), Vec::new(), [0; 5]);
    for _ in 0..REPLIES {
        let at = random.below(decoders.len());
        frame.clone_from(&decoders[at].0);
        mutate(&mut frame, &mut random);
        read[at] += u32::from((decoders[at].1)(&access, &frame));
    }
    assert!(read.iter().all(|&read| read > 100), "{read:?}");
}

type Decoder = fn(&Access, &[u8]) -> bool;

/// A sample of each reply, and whether its decoder took one.
fn replies() -> [(Vec<u8>, Decoder); 5] {
    [
        (frame("GET /account"), |access, reply| {
            json::from_slice::<Account>(reply).is_ok_and(|account| account.report(access).is_ok())
        }),
        (frame("GET /orders"), reads_orders),
        (frame("GET /exchangeInfo"), |access, reply| {
            let tickers = json::from_slice::<Tickers>(TICKERS).unwrap();
            json::from_slice::<ExchangeInfo>(reply)
                .is_ok_and(|info| statements::rules(access, &info, &tickers).is_ok())
        }),
        (frame("GET /ticker/latest"), |_, reply| json::from_slice::<Tickers>(reply).is_ok()),
        (frame("PUT /account/listenKey error"), |_, reply| {
            errors::read_refusal(200, reply).reject() == errors::reject(1125)
        }),
    ]
}

fn reads_orders(access: &Access, reply: &[u8]) -> bool {
    let query = OrderQuery {
        id: ClientId::default(),
        pair: BTC,
        venue_id: VenueOrderId::EMPTY,
        nonce: 0,
        side: Side::Buy,
        qty: Qty::from_raw(1),
        signed_ms: 0,
    };
    let Ok(rows) = json::from_slice::<Vec<OrderRow>>(reply) else { return false };
    let found = statements::order_report(VenueId(0), "BTC-PERP", &query, &rows, Nanos(1));
    statements::open_orders(access, &rows).is_ok() && matches!(found, Ok(Some(_)))
}
