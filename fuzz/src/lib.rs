//! What each target does with its bytes: they go in by the seams that the engine itself uses, and any outcome will do
//! but a panic, an endless loop or memory without bound. Targets for a venue choose it by their first byte.

use std::collections::BTreeMap;

use bot4::config;
use bot4::control::Request;
use bot4::journal::codec;
use bot4::sys::http1::Replies;
use bot4::sys::link::{Inbound, Link, LinkError, Outbound};
use bot4::sys::rest::{self, Http, HttpError, Response};
use bot4::sys::url::SecureUrl;
use bot4::types::order::VenueOrderId;
use bot4::types::record::Role;
use bot4::types::{
    BookUpdate, ClientId, Nanos, OrderKind, OrderSpec, PairId, Pool, Price, Profile, Purpose, Qty, Secret,
    Side, Ticker, VenueId,
};
use bot4::venue::{CancelSpec, FeedSink, OrderQuery, Parcel, REGISTRY, ReadyLink, Secrets, Setup};

/// Messages of one input at most.
const MESSAGES_MAX: usize = 16;
const NOW: Nanos = Nanos::from_ms(1_750_000_000_000);
/// Throw-away keys, by what the venues call them.
const KEYS: [(&str, &str); 6] = [
    ("PRIMARY_ADDRESS", "0x2c7536e3605d9c16a7a3d7b1898e529396a65c23"),
    ("SIGNING_KEY", "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"),
    ("API_KEY", "throw-away"),
    ("ACCOUNT_GROUP", "3"),
    ("ACCOUNT_ADDRESS", "0x129a8c8bbbd5ad6bfd43e6ce9f5d5a15ad9b1c8ba1d6d9f6a6a1c9e0f3c6a11"),
    ("SUBKEY", "0x3c1e9550e66958296d11b60f8e8e7a7ad990d07fa65d5f7652c4a6c87d4e3cc"),
];

/// A venue by the first byte, its setup, and the rest of the input.
fn venue(data: &[u8]) -> Option<(usize, Setup, &[u8])> {
    let (&first, rest) = data.split_first()?;
    let index = usize::from(first) % REGISTRY.len();
    let symbols = [["BTC-PERP", "ETH-PERP"], ["BTC-USD-PERP", "ETH-USD-PERP"]][index];
    let setup = Setup {
        id: VenueId(index as u8),
        env: "sim".to_owned(),
        rest_url: "https://127.0.0.1:1/v1".to_owned(),
        ws_url: "wss://127.0.0.1:1/v1".to_owned(),
        order_kind: OrderKind::Market,
        profile: Profile::Pro,
        pool: Pool::default(),
        ack_deadline_ms: 1_000,
        markets: vec![(PairId(0), symbols[0].to_owned()), (PairId(1), symbols[1].to_owned())],
        secrets: Secrets(BTreeMap::from(KEYS.map(|(key, text)| (key, Secret::new(text.to_owned()))))),
    };
    Some((index, setup, rest))
}

/// The input as several messages: each begins with its length in two bytes.
fn messages(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_first_chunk::<2>()?;
        let (message, rest) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
        data = rest;
        Some(message)
    })
    .take(MESSAGES_MAX)
}

/// Text when it is, as a WebSocket would say it.
fn inbound(message: &[u8]) -> Inbound<'_> {
    match message.first() {
        Some(b'{' | b'[' | b'P') => Inbound::Text(message),
        _ => Inbound::Binary(message),
    }
}

/// Looks at nothing.
struct Ignore;

impl FeedSink for Ignore {
    fn book(&mut self, _: &BookUpdate) {}
    fn ticker(&mut self, _: PairId, _: Ticker) {}
    fn gap(&mut self, _: PairId, _: &'static str) {}
    fn alive(&mut self, _: PairId) {}
    fn foreign(&mut self, _: &str) {}
}

/// The public stream of a venue.
pub fn feed(data: &[u8]) {
    let Some((index, setup, rest)) = venue(data) else { return };
    let Ok(mut feed) = (REGISTRY[index].feed)(&setup) else { return };
    let mut out: Vec<Parcel> = Vec::new();
    feed.on_open(NOW, &mut out);
    for message in messages(rest) {
        let _any = feed.on_frame(NOW, inbound(message), &mut Ignore, &mut out);
        out.clear();
    }
}

/// A connection on which the input comes in.
struct Played {
    messages: Vec<Vec<u8>>,
    current: Vec<u8>,
    http: bool,
}

impl Link for Played {
    fn send(&mut self, _: Outbound<'_>) -> Result<(), LinkError> {
        Ok(())
    }

    fn recv(&mut self) -> Result<Option<Inbound<'_>>, LinkError> {
        let Some(message) = self.messages.pop() else { return Ok(None) };
        self.current = message;
        let status = 200 + u16::from(self.current.first().copied().unwrap_or(0)) * 2;
        Ok(Some(match self.http {
            true => Inbound::Response { status, body: &self.current, retry_after: None },
            false => inbound(&self.current),
        }))
    }
}

/// The private events of a venue and the answers to its orders.
pub fn events(data: &[u8]) {
    let Some((index, setup, rest)) = venue(data) else { return };
    let mut trader =
        (REGISTRY[index].trader)(&setup).unwrap_or_else(|why| panic!("the keys are good: {why}"));
    let mut all: Vec<Vec<u8>> = messages(rest).map(<[u8]>::to_vec).collect();
    all.reverse();
    for role in [Role::Orders, Role::Private] {
        let http = role == Role::Orders && REGISTRY[index].order_wire == "REST";
        let link = Box::new(Played { messages: all.clone(), current: Vec::new(), http });
        let secret = Some(Secret::new("throw-away".to_owned()));
        trader.install(ReadyLink { venue: VenueId(index as u8), role, link, secret }, NOW);
    }
    let mut events = Vec::new();
    for _ in 0..2 * MESSAGES_MAX {
        trader.poll(NOW, &mut events);
    }
}

/// A venue that answers every call with the next message.
struct Answers(Vec<Vec<u8>>);

impl Http for Answers {
    fn call(&mut self, _: rest::Request) -> Result<Response, HttpError> {
        let body = self.0.pop().ok_or_else(|| HttpError("no more".to_owned()))?;
        let status = if body.first() == Some(&b'!') { 400 } else { 200 };
        Ok(Response { status, body, retry_after: None })
    }
}

/// The answers of a venue to cold calls.
pub fn answers(data: &[u8]) {
    let Some((index, setup, rest)) = venue(data) else { return };
    let mut desk = (REGISTRY[index].desk)(&setup).unwrap_or_else(|why| panic!("the keys are good: {why}"));
    let all: Vec<Vec<u8>> = messages(rest).map(<[u8]>::to_vec).collect();
    let answers = || Answers(all.clone());
    let _any = desk.login(&mut answers(), NOW);
    let _any = desk.check_environment(&mut answers());
    let _any = desk.rules(&mut answers());
    let _any = desk.venue_time_ms(&mut answers(), NOW);
    let _any = desk.mode(&mut answers());
    let _any = desk.account(&mut answers(), NOW);
    let _any = desk.open_orders(&mut answers(), NOW);
    let _any = desk.book(&mut answers(), PairId(0));
    let _any = desk.prepare_trading(&mut answers(), 3, NOW);
    let (query, target) = (query(), target(index));
    let _any = desk.past_orders(&mut answers(), NOW.ms() - 60_000, NOW);
    let _any = desk.order(&mut answers(), &query, NOW);
    let _any = desk.cancel(&mut answers(), &target, NOW);
    let _any = desk.place(&mut answers(), &order(index), NOW);
    let _any = desk.cancel_all(&mut answers(), PairId(0), NOW);
    for role in Role::ALL {
        let _any = desk.target(&mut answers(), role, NOW);
    }
}

/// An order as the engine would send it, what it would ask about it, and how it would take it back.
fn order(venue: usize) -> OrderSpec {
    let OrderQuery { id, pair, nonce, side, qty, signed_ms, .. } = query();
    OrderSpec {
        id,
        venue: VenueId(venue as u8),
        pair,
        side,
        purpose: Purpose::Exit,
        qty,
        limit: Price::from_raw(8_000_000_000_000),
        reduce_only: true,
        signed_ms,
        nonce,
        window_ms: 500,
    }
}

fn query() -> OrderQuery {
    OrderQuery {
        id: ClientId { epoch: 7, seq: 42, leg: 1 },
        pair: PairId(0),
        venue_id: VenueOrderId::cut("0xab"),
        nonce: 42,
        side: Side::Buy,
        qty: Qty::from_raw(200_000),
        signed_ms: NOW.ms() - 1_000,
    }
}

fn target(venue: usize) -> CancelSpec {
    let OrderQuery { id, pair, venue_id, nonce, signed_ms, .. } = query();
    CancelSpec { id, venue: VenueId(venue as u8), pair, venue_id, signed_ms, nonce }
}

/// A stream of HTTP replies, in two pieces.
pub fn http(data: &[u8]) {
    let mut replies = Replies::default();
    let (first, second) = data.split_at(data.len() / 2);
    for piece in [first, second] {
        replies.push(piece);
        while let Ok(Some(_)) = replies.next_reply() {}
    }
    let _any = replies.end();
}

/// A configuration, in both forms.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for name in ["bot4.toml", "bot4.yaml"] {
        let _any = config::parse(name, &text, &REGISTRY);
    }
}

/// Frames of a journal; what is read is written as it was.
pub fn journal(data: &[u8]) {
    let mut rest = data;
    while let Ok((frame, length)) = codec::decode(rest) {
        let again = codec::encode(&frame);
        assert!(length > 0 && again.bytes() == &rest[..length], "another frame than was read");
        rest = &rest[length..];
    }
}

pub fn url(data: &[u8]) {
    let _any = SecureUrl::parse(&String::from_utf8_lossy(data));
}

/// A request on the control socket.
pub fn control(data: &[u8]) {
    let _any = serde_json::from_slice::<Request>(data);
}
