//! The engine's seams: connections, the cold HTTP client and the connector, each ending at a simulated venue. They
//! carry the bytes of the real codecs; they break where the run's faults say so.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bot4::keeper::thread::Connector;
use bot4::sys::clock::{Clock, ManualClock};
use bot4::sys::link::{Inbound, Link, LinkError, Outbound};
use bot4::sys::rest::{Http, HttpError, Method, Request, Response};
use bot4::sys::retry_after::RetryAfter;
use bot4::types::Nanos;
use bot4::types::limits::HTTP_DEADLINE_MS;
use bot4::types::record::Role;
use bot4::venue::Target;
use bot4_sim::stage;
use bot4_sim::wire::{self, Frame};

use super::world::{Left, Shared, State, Way, Wire, World, lock};

/// Template of a book message in the order-book venue's binary schema.
const BOOK_TEMPLATE: u16 = 3;
const DEADLINE_NS: u64 = HTTP_DEADLINE_MS * 1_000_000;

/// The clock of a thread that may block: the common hand, and how long its calls have taken since.
#[derive(Clone)]
pub struct ColdClock {
    pub hand: ManualClock,
    pub spent: Arc<AtomicU64>,
}

impl Clock for ColdClock {
    fn now(&self) -> Nanos {
        self.hand.now() + self.spent.load(Ordering::Relaxed)
    }
}

/// One connection.
pub struct SimLink {
    world: Shared,
    id: usize,
    /// The message that was read last.
    bytes: Vec<u8>,
}

fn lost(why: &'static str) -> LinkError {
    LinkError::Lost(std::io::Error::new(std::io::ErrorKind::ConnectionReset, why))
}

impl Link for SimLink {
    fn send(&mut self, message: Outbound<'_>) -> Result<(), LinkError> {
        let mut world = lock(&self.world);
        if !world.effect(kind_of(message)) {
            return Ok(());
        }
        match world.wires[self.id].state {
            State::Cut => return Err(lost("reset")),
            State::Dark => {
                let venue = world.wires[self.id].venue;
                if matches!(kind_of(message), "order" | "cancel") {
                    world.excuse_link(venue);
                }
                return Ok(());
            }
            State::Up => {}
        }
        let venue = world.wires[self.id].venue;
        let breaks = world.networks[venue].break_send_ppm;
        if breaks > 0 && world.rng.chance(breaks) && !matches!(message, Outbound::Close) {
            return self.break_send(&mut world, message);
        }
        self.deliver(&mut world, message);
        Ok(())
    }

    fn recv(&mut self) -> Result<Option<Inbound<'_>>, LinkError> {
        let world = &mut *lock(&self.world);
        if world.dead {
            return Ok(None);
        }
        match world.wires[self.id].state {
            State::Cut => return Err(lost("reset by peer")),
            State::Dark => return Ok(None),
            State::Up => {}
        }
        let (now, at) = (world.us(), world.now);
        let wire = &mut world.wires[self.id];
        let venue = &mut world.venues[wire.venue];
        match &mut wire.way {
            Way::Socket(socket) => match venue.recv(now, *socket) {
                None => Ok(None),
                Some(Frame::Text(text)) => {
                    self.bytes = text.into_bytes();
                    world.trace.mix(at, "text", &self.bytes);
                    if is_book(&self.bytes) {
                        world.md_read[wire.venue] = at;
                    }
                    Ok(Some(Inbound::Text(&self.bytes)))
                }
                Some(Frame::Binary(bytes)) => {
                    self.bytes = bytes;
                    world.trace.mix(at, "binary", &self.bytes);
                    if is_book(&self.bytes) {
                        world.md_read[wire.venue] = at;
                    }
                    Ok(Some(Inbound::Binary(&self.bytes)))
                }
                Some(Frame::Ping) => {
                    venue.pong(now, *socket);
                    Ok(Some(Inbound::Heartbeat))
                }
                Some(Frame::Pong) => Ok(Some(Inbound::Heartbeat)),
                Some(Frame::Close(code)) => {
                    wire.state = State::Cut;
                    Err(LinkError::Closed { code, reason: "closed by the venue".to_owned() })
                }
                Some(Frame::Gone) => {
                    wire.state = State::Cut;
                    Err(lost("reset by peer"))
                }
            },
            Way::Http(calls) => {
                let Some((call, sent)) = calls.front().copied() else { return Ok(None) };
                match venue.answer(call, now) {
                    stage::Answered::Reply(wire::Response { status, headers, body, .. }) => {
                        calls.pop_front();
                        self.bytes = body;
                        world.trace.mix(at, "reply", &self.bytes);
                        let retry = headers.iter().find(|(name, _)| *name == "retry-after");
                        let retry_after = retry.and_then(|(_, value)| RetryAfter::read(value.as_bytes()));
                        Ok(Some(Inbound::Response { status, body: &self.bytes, retry_after }))
                    }
                    _ if at >= sent + DEADLINE_NS => Err(lost("no reply in time")),
                    _ => Ok(None),
                }
            }
        }
    }
}

impl Drop for SimLink {
    fn drop(&mut self) {
        lock(&self.world).leave(self.id);
    }
}

impl SimLink {
    fn deliver(&self, world: &mut World, message: Outbound<'_>) {
        let (now, at) = (world.us(), world.now);
        match (kind_of(message), message) {
            ("cancel", _) => world.tags.hit("O19"),
            ("order", Outbound::Text(bytes) | Outbound::Request(bytes)) => {
                order_leaves(world, world.wires[self.id].venue, bytes);
            }
            _ => {}
        }
        let wire = &mut world.wires[self.id];
        let venue = &mut world.venues[wire.venue];
        match (&mut wire.way, message) {
            (Way::Socket(socket), Outbound::Text(text)) => {
                world.trace.note(at, "send", format_args!("{} {}", wire.venue, Shown(text)));
                venue.send(now, *socket, text);
            }
            (Way::Socket(socket), Outbound::Ping) => venue.ping(now, *socket),
            (Way::Http(calls), Outbound::Request(bytes)) => {
                world.trace.note(at, "send", format_args!("{} {}", wire.venue, Shown(bytes)));
                if let Some(call) = call_bytes(venue, now, bytes) {
                    calls.push_back((call, at));
                }
            }
            _ => {
                let id = self.id;
                world.cut(id);
            }
        }
    }

    /// The connection breaks in the middle of a send: the bytes arrive or they do not, and the engine learns it at
    /// once or at its next read (SAFETY O7).
    fn break_send(&self, world: &mut World, message: Outbound<'_>) -> Result<(), LinkError> {
        let (arrives, told) = (world.rng.chance(500_000), world.rng.chance(500_000));
        let venue = world.wires[self.id].venue;
        world.fault("O7", format_args!("venue {venue} breaks in a send, arrives={arrives} told={told}"));
        world.excuse_link(venue);
        if arrives {
            self.deliver(world, message);
        }
        world.cut(self.id);
        if told { Err(lost("broken pipe")) } else { Ok(()) }
    }
}

/// A message of a book, told by its own venue's marks: only it makes a book younger.
fn is_book(bytes: &[u8]) -> bool {
    let depth = b"@depth";
    match bytes.first() {
        Some(b'{') => bytes.windows(depth.len()).any(|window| window == depth),
        // The second word of an SBE header names the template.
        _ => bytes.get(2..4).is_some_and(|word| u16::from_le_bytes([word[0], word[1]]) == BOOK_TEMPLATE),
    }
}

/// What a message is, as far as crash points and the coverage ask.
fn kind_of(message: Outbound<'_>) -> &'static str {
    let bytes = match message {
        Outbound::Text(bytes) | Outbound::Request(bytes) => bytes,
        Outbound::Ping => b"",
        Outbound::Close => return "close",
    };
    let starts = |words: &[&str]| words.iter().any(|word| bytes.starts_with(word.as_bytes()));
    let holds = |word: &str| bytes.windows(word.len()).any(|window| window == word.as_bytes());
    if starts(&["POST /v2/orders/cancel"]) || holds("\"order.cancel") {
        "cancel"
    } else if starts(&["POST /v2/orders"]) || holds("\"order.create") {
        "order"
    } else {
        "send"
    }
}

/// Notes for the checker that an order is given to a venue's wire (SAFETY I2, L5).
fn order_leaves(world: &mut World, venue: usize, bytes: &[u8]) {
    let holds = |word: &[u8]| bytes.windows(word.len()).any(|window| window == word);
    let reduces = holds(b"\"REDUCE_ONLY\"") || holds(b"\"reduceOnly\":true");
    let (safe, excused) = (world.disk.safe_seq(), reduces && world.disk.gap);
    world.orders_out.push(Left { venue, name: name_of(bytes), safe, excused });
}

/// The name that an order gives itself: its client id, or its nonce.
fn name_of(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let after = |mark: &str, ends: fn(char) -> bool| {
        let rest = &text[text.find(mark)? + mark.len()..];
        Some(rest[..rest.find(ends)?].to_owned())
    };
    after("\"client_id\":\"", |c| c == '"')
        .or_else(|| after("\"nonce\":", |c| !c.is_ascii_digit()))
        .unwrap_or_default()
}

/// Bytes for people: as text, without line ends.
pub struct Shown<'a>(pub &'a [u8]);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut rest = self.0;
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| !(b' '..=b'~').contains(byte)).unwrap_or(rest.len());
            out.write_str(std::str::from_utf8(&rest[..end]).unwrap_or_default())?;
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        Ok(())
    }
}

/// The bytes of an HTTP/1.1 request as a call.
fn call_bytes(venue: &mut stage::Stage, now: i64, bytes: &[u8]) -> Option<stage::Call> {
    let split = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..split]).ok()?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let headers: Vec<(&str, &str)> =
        lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim())).collect();
    let request =
        wire::Request { method, path_and_query: path, headers: &headers, body: &bytes[split + 4..] };
    Some(venue.call(now, request))
}

/// The path and query of an absolute URL.
fn path_of(url: &str) -> &str {
    let from = url.find("://").map_or(0, |at| at + 3);
    url[from..].find('/').map_or("/", |at| &url[from + at..])
}

/// The cold client of one keeper, or of a start.
pub struct SimHttp {
    pub world: Shared,
    pub venue: usize,
    pub clock: ColdClock,
}

impl SimHttp {
    fn spend(&self, ns: u64) {
        self.clock.spent.fetch_add(ns, Ordering::Relaxed);
    }
}

impl Http for SimHttp {
    fn call(&mut self, request: Request) -> Result<Response, HttpError> {
        let world = &mut *lock(&self.world);
        let is_login = ["/auth", "listenKey", "/register"].iter().any(|word| request.url.contains(word));
        if !world.effect(if is_login { "login" } else { "call" }) {
            return Err(HttpError("the process is dead".to_owned()));
        }
        let trip = round_trip(world, self.venue);
        let deadline_ns = request.deadline_ms * 1_000_000;
        self.spend(trip);
        if world.now < world.networks[self.venue].rest_down_until {
            self.spend(world.rng.between(0, deadline_ns as i64) as u64);
            return Err(HttpError("cannot connect".to_owned()));
        }
        let path = path_of(&request.url);
        let method = match request.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        };
        let headers: Vec<(&str, &str)> =
            request.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = request.body.as_deref().unwrap_or_default().as_bytes();
        let (now, at) = (world.us(), world.now);
        world.trace.note(at, "call", format_args!("{} {method} {path} {}", self.venue, Shown(body)));
        if method == "POST" && path == "/v1/orders" {
            order_leaves(world, self.venue, body);
        }
        let venue = &mut world.venues[self.venue];
        let call = venue.call(now, wire::Request { method, path_and_query: path, headers: &headers, body });
        let deadline_us = now + (deadline_ns / 1_000) as i64;
        match venue.foresee(call).filter(|(due_us, _)| *due_us <= deadline_us) {
            Some((due_us, wire::Response { status, headers, body, .. })) => {
                self.spend((due_us - now).max(0) as u64 * 1_000);
                world.trace.note(at, "answer", format_args!("{} {status} {}", self.venue, Shown(&body)));
                let retry = headers.iter().find(|(name, _)| *name == "retry-after");
                let retry_after = retry.and_then(|(_, value)| RetryAfter::read(value.as_bytes()));
                Ok(Response { status, body, retry_after })
            }
            None => {
                self.spend(deadline_ns.saturating_sub(trip));
                world.note("answer", format_args!("{} none in time", self.venue));
                Err(HttpError("timed out".to_owned()))
            }
        }
    }
}

fn round_trip(world: &mut World, venue: usize) -> u64 {
    let (least, most) = world.networks[venue].round_trip;
    world.rng.between(least as i64, most as i64) as u64
}

/// Opens connections for one keeper.
pub struct SimConnector {
    pub world: Shared,
    pub venue: usize,
    pub clock: ColdClock,
}

impl Connector for SimConnector {
    fn open(&mut self, target: &Target, role: Role) -> Result<Box<dyn Link>, String> {
        let world = &mut *lock(&self.world);
        if !world.effect("connect") {
            return Err("the process is dead".to_owned());
        }
        // TCP, TLS, upgrade.
        let trip = 3 * round_trip(world, self.venue);
        self.clock.spent.fetch_add(trip, Ordering::Relaxed);
        if world.now < world.networks[self.venue].refuses_until {
            world.note("connect", format_args!("{} {} refused", self.venue, role.name()));
            return Err("connection refused".to_owned());
        }
        let way = match target {
            Target::WebSocket(target) => {
                let headers: Vec<(&str, &str)> =
                    target.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let opened = world.venues[self.venue].open(world.us(), path_of(&target.url), &headers);
                Way::Socket(opened.map_err(|status| format!("the venue refused the upgrade: HTTP {status}"))?)
            }
            Target::Http { .. } => Way::Http(VecDeque::new()),
        };
        world.note("connect", format_args!("{} {}", self.venue, role.name()));
        let id = world.wires.len();
        world.wires.push(Wire { venue: self.venue, role, way, state: State::Up, cut_at: 0 });
        Ok(Box::new(SimLink { world: Arc::clone(&self.world), id, bytes: Vec::new() }))
    }
}
