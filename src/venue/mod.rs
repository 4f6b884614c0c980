//! 1 WIRE. The seam between the stages and the venues: each venue is one folder that implements `Feed` (public
//! stream, in `md:<venue>`), `Trader` (order entry and private stream, in `order`) and `Desk` (cold REST, in `keeper`).
//! Wire code is pure translation: bytes in, facts out. It holds connections only as `Link`s that were handed to it.

pub mod ask;
pub mod end;
mod nesting;
pub mod paper;
pub mod paradex;
pub mod pulse;
mod reuse;
pub mod vest;

use thiserror::Error;

pub use crate::types::report::{
    AccountReport, Ask, CancelSpec, Fact, KeyLife, OpenOrder, OrderKey, OrderQuery, PastOrder,
    PositionReport, TraderEvent,
};

use crate::sys::link::{Inbound, Link, LinkError, Outbound};
use crate::sys::rest::Http;
use crate::types::order::Reason;
use crate::types::ready::{Begun, SignedText};
use crate::types::record::Role;
use crate::types::{
    BookUpdate, MarketRules, Nanos, OrderKind, OrderNews, OrderReport, OrderSpec, PairId, Pool, Profile,
    Reject, RejectClass, Secret, Ticker, VenueId, VenueMode, quoted,
};

/// One venue of the registry: its names and how its three parts are made.
pub struct Venue {
    /// Word of the configuration, of database rows and of labels.
    pub name: &'static str,
    /// Word of log texts.
    pub title: &'static str,
    /// Prefix of its keys in `.env`.
    pub env_prefix: &'static str,
    /// Values of `venues.<name>.env`.
    pub environments: &'static [&'static str],
    /// Keys in `.env` (without the prefix) that live trading needs, and those that may be absent.
    pub required_secrets: &'static [&'static str],
    pub optional_secrets: &'static [&'static str],
    /// Which of them is the account's own address: it tells one account from another.
    pub account_secret: &'static str,
    /// How orders travel, a word of log texts: `WS` or `REST`.
    pub order_wire: &'static str,
    /// Orders are requests over HTTP: they leave while the private stream is down.
    pub orders_by_request: bool,
    /// Orders that close may go over REST, by `Desk::place`, while the order connection is down.
    pub order_fallback: bool,
    /// Every close code that it documents.
    pub close_codes: &'static [end::CloseCode],
    /// Shortest and longest time from send to fill that paper trading samples, ms.
    pub paper_latency_ms: (u32, u32),
    pub feed: fn(&Setup) -> Result<Box<dyn Feed>, SetupError>,
    pub trader: fn(&Setup) -> Result<Box<dyn Trader>, SetupError>,
    pub desk: fn(&Setup) -> Result<Box<dyn Desk>, SetupError>,
    pub presigner: fn(&Setup) -> Result<Box<dyn Presigner>, SetupError>,
}

/// Every venue that bot4 speaks. A new one is a folder and a line here; `VenueId` is the index.
pub const REGISTRY: [Venue; 2] = [vest::VENUE, paradex::VENUE];

/// What trades a primary key for the keys of `.env`.
pub struct RegisterRequest<'a> {
    pub env: &'a str,
    pub rest_url: &'a str,
    /// Prefix of the lines that come back.
    pub env_prefix: &'a str,
    /// Everything hangs on this key: it is used here once and forgotten.
    pub primary_key: &'a Secret,
    /// Signing key to register; `None` = a fresh one is made.
    pub signing_key: Option<&'a Secret>,
    /// When the registration lapses, ms since the Unix epoch.
    pub expiry_ms: u64,
}

/// How a venue registers signing keys.
#[derive(Clone, Copy)]
pub struct Registration {
    /// The verb of the command line, `register-<name>`.
    pub verb: &'static str,
    /// The line of `.env` that says when the key lapses.
    pub expiry_key: &'static str,
    /// Registers; returns the lines of `.env`, which are secret. The error never holds a key.
    pub register: fn(&mut dyn Http, &RegisterRequest<'_>) -> Result<Secret, String>,
}

/// By `VenueId`: the venues that register keys.
pub const REGISTRATIONS: [Option<Registration>; REGISTRY.len()] = [Some(vest::REGISTRATION), None];

/// What a venue's parts are made from: its section of the configuration and its keys.
pub struct Setup {
    pub id: VenueId,
    /// One of `Venue::environments`.
    pub env: String,
    /// Bases without a query or a trailing slash: `https://host/v2`, `wss://host/ws-api`.
    pub rest_url: String,
    pub ws_url: String,
    pub order_kind: OrderKind,
    pub profile: Profile,
    pub pool: Pool,
    /// A connection that has told nothing for so long after an order or a cancel is in doubt, ms: from then on that
    /// order is unknown, and another may follow it (`execution.ack_deadline_ms`).
    pub ack_deadline_ms: u32,
    /// Our pairs on this venue and their wire symbols.
    pub markets: Vec<(PairId, String)>,
    /// Secrets by their key without the prefix. Empty in paper mode.
    pub secrets: Secrets,
}

/// Secrets of one venue.
#[derive(Default)]
pub struct Secrets(pub std::collections::BTreeMap<&'static str, Secret>);

impl Secrets {
    /// The secret of this key, or which one is missing.
    pub fn get(&self, key: &'static str) -> Result<&Secret, SetupError> {
        self.0.get(key).ok_or(SetupError::Missing(key))
    }
}

/// Why a venue's part cannot be made. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SetupError {
    #[error("credential {0} is missing")]
    Missing(&'static str),
    #[error("credential {key} is malformed: {why}")]
    Malformed { key: &'static str, why: &'static str },
    #[error("{0}")]
    Config(String),
}

/// Venue bytes that do not say what the sheet says they should. Counted, logged (capped), never fatal by themselves.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what}: got {got}, expected {expected}")]
pub struct WireError {
    /// Which message or field.
    pub what: &'static str,
    /// What stood there, at most 64 bytes, control characters escaped.
    pub got: String,
    pub expected: &'static str,
}

/// Where a feed puts what it decoded; `md:<venue>` implements it over its ladders.
pub trait FeedSink {
    fn book(&mut self, update: &BookUpdate);
    fn ticker(&mut self, pair: PairId, ticker: Ticker);
    /// The book of this market is not to be trusted until the next whole one.
    fn gap(&mut self, pair: PairId, why: &'static str);
    /// A frame of this market proved life without changing the book.
    fn alive(&mut self, pair: PairId);
    /// A whole message of a market that was not subscribed to; it was dropped (SAFETY M12).
    fn foreign(&mut self, market: &str);
}

/// Where wire code puts what it wants sent on its link; the caller sends it in order.
pub trait Outbox {
    fn text(&mut self, message: &[u8]);
    /// A ping of the protocol itself.
    fn ping(&mut self);
}

/// One thing that wire code wants sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parcel {
    Text(Vec<u8>),
    Ping,
}

/// A venue's public stream, decoded. Owned by `md:<venue>`; pure.
pub trait Feed: Send {
    /// A fresh connection: subscribe to everything; forget sequences.
    fn on_open(&mut self, now: Nanos, out: &mut dyn Outbox);
    /// Whether this stream tells the state of its markets: what an earlier connection told of it then holds no more.
    fn tells_status(&self) -> bool {
        false
    }
    /// One message. An error drops the message (and the book it was for is reported by `gap`), not the connection.
    fn on_frame(
        &mut self,
        now: Nanos,
        frame: Inbound<'_>,
        sink: &mut dyn FeedSink,
        out: &mut dyn Outbox,
    ) -> Result<(), WireError>;
    /// At least every 250 ms: pings and deadlines. An error means that the connection is dead (half open) and must be
    /// replaced.
    fn on_tick(&mut self, now: Nanos, out: &mut dyn Outbox) -> Result<(), WireError>;
}

/// Bytes of a message that a [`WireError`] looks at, and characters that it shows.
const GOT_READ_MAX: usize = 512;
const GOT_MAX: usize = 64;

/// What comes back from `keeper`: a connection, or a fact.
#[expect(clippy::large_enum_variant, reason = "moved once, by ring; a box would be freed on a hot thread")]
pub enum Answer {
    Link(ReadyLink),
    Fact(Fact),
}

/// A connection made by `keeper` for a hot thread, with what is needed to log in on it.
pub struct ReadyLink {
    pub venue: VenueId,
    pub role: Role,
    pub link: Box<dyn Link>,
    /// Bearer or key for the login message or the request head on this link, where it needs one.
    pub secret: Option<Secret>,
}

/// Why an order did not leave. `Nothing` = not one byte was written; `Unclear` = it may have arrived.
#[derive(Debug, Error)]
pub enum SendError {
    #[error("nothing was sent: {0}")]
    Nothing(Reason),
    #[error("the connection failed while sending: {0}")]
    Unclear(#[from] LinkError),
}

/// A venue's order entry and private stream. Owned by `order`; never blocks, never looks at a file or a clock.
pub trait Trader: Send {
    /// Takes a connected link; logs in and subscribes on it from `poll`.
    fn install(&mut self, link: ReadyLink, now: Nanos);
    /// Roles for which a link is missing and must be asked of `keeper`.
    fn missing(&self) -> [bool; Role::ALL.len()];
    /// Moves bytes, answers what must be answered, reports events. True when it did any work.
    fn poll(&mut self, now: Nanos, events: &mut Vec<TraderEvent>) -> bool;
    /// Signs and writes one order with one `write`, at `now`. The caller holds the gate's approval.
    fn send(&mut self, spec: &OrderSpec, now: Nanos) -> Result<(), SendError>;
    /// Writes one order that a [`Presigner`] of this venue has signed: with this signature as it stands. One that can
    /// have no such orders signs anew.
    fn send_signed(&mut self, spec: &OrderSpec, signature: &SignedText, now: Nanos) -> Result<(), SendError> {
        let _ = signature;
        self.send(spec, now)
    }
    /// Writes one order that a [`Presigner`] of this venue has begun.
    fn send_begun(&mut self, spec: &OrderSpec, begun: &Begun, now: Nanos) -> Result<(), SendError> {
        let _ = begun;
        self.send(spec, now)
    }
    /// Asks for the cancel of one order.
    fn cancel(&mut self, target: &CancelSpec, now: Nanos) -> Result<(), SendError>;
    /// Asks for the cancel of everything on a market, whoever placed it. Not every venue can.
    fn cancel_all(&mut self, pair: PairId, now: Nanos) -> Result<(), SendError> {
        let _ = (pair, now);
        Err(SendError::Nothing(Reason::cut("the venue has no cancel of a whole market")))
    }
    /// Rules changed: what was prepared for this market is stale.
    fn set_rules(&mut self, pair: PairId, rules: &MarketRules);
    /// All that is needed to send and to learn outcomes is up.
    fn is_ready(&self) -> bool;
    /// An order handed over now would be written. A venue whose connections carry one request each may be ready and yet
    /// have none to spare.
    fn can_send(&self) -> bool {
        self.is_ready()
    }
    /// Closes the links politely.
    fn close(&mut self);
    /// A book has moved. Only the simulated fills of paper mode look at it.
    fn on_quote(&mut self, quote: &crate::types::Quote) {
        let _ = quote;
    }
}

/// Signs a venue's orders ahead. Owned by `signer`, with a copy of the key; pure.
pub trait Presigner: Send {
    fn set_rules(&mut self, pair: PairId, rules: &MarketRules);
    /// The signature of this order, to be given to `Trader::send_signed` with the same order; `id` and `window_ms` are
    /// not signed. Quick for orders that differ from the last one in their limit only. `None` = it cannot be written.
    fn sign(&mut self, spec: &OrderSpec) -> Option<SignedText>;
    /// All that can be done before the limit of this order is known, to be given to `Trader::send_begun` with the same
    /// order at any limit. `None` where that is nothing.
    fn begin(&mut self, spec: &OrderSpec) -> Option<Begun> {
        let _ = spec;
        None
    }
}

/// Why a cold call gave no answer. Never read as "nothing there" (SAFETY rule 8).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeskError {
    #[error("{venue}: {what}: cannot reach the venue: {why}")]
    Unreachable { venue: &'static str, what: &'static str, why: String },
    #[error("{venue}: {what}: HTTP {status}, code {code}: {message}")]
    Refused { venue: &'static str, what: &'static str, status: u16, code: String, message: String },
    #[error("{venue}: {what}: {source}")]
    Unreadable { venue: &'static str, what: &'static str, source: WireError },
    #[error("{venue}: not what is configured: {source}")]
    Elsewhere { venue: &'static str, source: WireError },
}

impl DeskError {
    /// The same question may be answered later: nothing was said, or that the venue cannot at the moment.
    pub fn may_pass(&self) -> bool {
        let later = |status: u16| status == 429 || status >= 500;
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => later(*status) || self.asks_for_patience(),
            Self::Unreadable { .. } | Self::Elsewhere { .. } => false,
        }
    }

    /// The venue asks for patience in the body alone: code 429 or 1003 TOO_MANY_REQUESTS (sheet `vest`, 6).
    pub fn asks_for_patience(&self) -> bool {
        let asks = |code: &str| code.split(' ').next().is_some_and(|code| ["429", "1003"].contains(&code));
        matches!(self, Self::Refused { code, .. } if asks(code))
    }
}

/// Rules of the markets that a venue lists. One that it does not, or that cannot be read, leaves the others to be
/// traded.
pub(crate) struct ListedRules<E> {
    rules: Vec<(PairId, MarketRules)>,
    missing: Option<E>,
}

impl<E: std::fmt::Display> ListedRules<E> {
    pub(crate) fn add(&mut self, pair: PairId, told: Result<MarketRules, E>) {
        match told {
            Ok(rules) => self.rules.push((pair, rules)),
            Err(error) => {
                tracing::warn!(event_type = "RULES", "{error}");
                self.missing = Some(error);
            }
        }
    }

    /// An error where nothing could be read at all.
    pub(crate) fn end(self) -> Result<Vec<(PairId, MarketRules)>, E> {
        self.missing.filter(|_| self.rules.is_empty()).map_or(Ok(self.rules), Err)
    }
}

impl<E> Default for ListedRules<E> {
    fn default() -> Self {
        Self { rules: Vec::new(), missing: None }
    }
}

/// Where to open a WebSocket. The URL may hold a listen key and the headers a token: never logged.
pub struct WsTarget {
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub secret: Option<Secret>,
}

/// Connection settings for a role: a WebSocket, or a warm HTTP/1.1 connection to a host.
pub enum Target {
    WebSocket(WsTarget),
    Http { host: String, port: u16, secret: Option<Secret> },
}

/// What a venue knows of one order. No report = it answered and knows no such order: weak evidence (SAFETY rule 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// When the oldest part of the answer was asked for.
    pub asked: Nanos,
    pub report: Option<OrderReport>,
}

/// A venue's cold side. Owned by `keeper` (and by the verbs `check` and `flatten`); blocks, may take seconds. Pure
/// translation over an [`Http`]; keeps its own tokens.
pub trait Desk: Send {
    /// Makes the desk able to do private calls (token, key check). Cheap when nothing is due.
    fn login(&mut self, http: &mut dyn Http, now: Nanos) -> Result<(), DeskError>;
    /// When `login` should next be called so that nothing lapses; never later than the lapse.
    fn login_due(&self) -> Nanos;
    /// How long the key lives that signs orders.
    fn key_life(&self) -> KeyLife {
        KeyLife::Endless
    }
    /// Environment proof: chain id, contract, account address agree with the configuration.
    fn check_environment(&mut self, http: &mut dyn Http) -> Result<(), DeskError>;
    /// Rules of every market of ours that the venue lists.
    fn rules(&mut self, http: &mut dyn Http) -> Result<Vec<(PairId, MarketRules)>, DeskError>;
    /// Venue's time in ms, where it tells it.
    fn venue_time_ms(&mut self, http: &mut dyn Http, now: Nanos) -> Result<Option<u64>, DeskError>;
    fn mode(&mut self, http: &mut dyn Http) -> Result<VenueMode, DeskError>;
    fn account(&mut self, http: &mut dyn Http, now: Nanos) -> Result<AccountReport, DeskError>;
    fn open_orders(&mut self, http: &mut dyn Http, now: Nanos) -> Result<Vec<OpenOrder>, DeskError>;
    /// What may have been executed for this account since then, in our markets, whoever sent it.
    fn past_orders(
        &mut self,
        http: &mut dyn Http,
        since_ms: u64,
        now: Nanos,
    ) -> Result<Vec<PastOrder>, DeskError>;
    fn order(&mut self, http: &mut dyn Http, query: &OrderQuery, now: Nanos) -> Result<Sighting, DeskError>;
    fn cancel(&mut self, http: &mut dyn Http, target: &CancelSpec, now: Nanos) -> Result<(), DeskError>;
    /// Places one order, which `Trader::send` could not take: acknowledged, or refused for certain. Asked only of a
    /// venue with `order_fallback`.
    fn place(&mut self, http: &mut dyn Http, spec: &OrderSpec, now: Nanos) -> Result<OrderNews, DeskError> {
        let _ = (http, spec, now);
        let code = Reason::cut("no orders over REST");
        Ok(OrderNews::Rejected(Reject { class: RejectClass::Definitive, code }))
    }
    /// Cancels everything on a market, whoever placed it. Asked only of a venue with `order_fallback`.
    fn cancel_all(&mut self, http: &mut dyn Http, pair: PairId, now: Nanos) -> Result<(), DeskError> {
        let _ = (http, pair, now);
        Ok(())
    }
    /// Book of one market at this moment, best level first, for whoever has no stream.
    fn book(&mut self, http: &mut dyn Http, pair: PairId) -> Result<BookUpdate, DeskError>;
    /// Sets leverage and whatever else must be set before the first order; at start only.
    fn prepare_trading(&mut self, http: &mut dyn Http, leverage: u32, now: Nanos) -> Result<(), DeskError>;
    /// Where and how to open the link of a role; makes or renews a listen key where one is needed.
    fn target(&mut self, http: &mut dyn Http, role: Role, now: Nanos) -> Result<Target, DeskError>;
    /// The target of this role could not be opened; `why` holds the HTTP status of a refused upgrade.
    fn link_failed(&mut self, role: Role, why: &str) {
        let _ = (role, why);
    }
}

/// Keeps what wire code asked for.
impl Outbox for Vec<Parcel> {
    fn text(&mut self, message: &[u8]) {
        self.push(Parcel::Text(message.to_vec()));
    }

    fn ping(&mut self) {
        self.push(Parcel::Ping);
    }
}

impl WireError {
    /// `got` is capped and escaped and tells no token: venue bytes are hostile and end in a log.
    pub fn new(what: &'static str, got: &[u8], expected: &'static str) -> Self {
        let shown = String::from_utf8_lossy(&got[..got.len().min(GOT_READ_MAX)]);
        let mut got = quoted(&shown);
        got.truncate(GOT_MAX);
        Self { what, got, expected }
    }
}

/// Text of a [`LinkError`] short enough for a [`Reason`].
pub fn reason(error: &impl std::fmt::Display) -> Reason {
    Reason::cut(&error.to_string())
}

/// Sends everything in an outbox over a link.
pub fn flush(out: &mut Vec<Parcel>, link: &mut dyn Link) -> Result<(), LinkError> {
    for parcel in out.drain(..) {
        link.send(match &parcel {
            Parcel::Text(text) => Outbound::Text(text),
            Parcel::Ping => Outbound::Ping,
        })?;
    }
    Ok(())
}
