//! One venue, whole, on a clock that its owner moves: exchange core, wire, sockets and truth, in one thread, without
//! sockets, threads or randomness of the machine's.
//!
//! ```text
//!   call ─▶ answer          a REST exchange: the request's last byte arrives now, its answer is due later
//!   open, send ─▶ recv      a WebSocket: texts arrive now, frames become readable when they are due
//!   advance, next_due       time
//!   truth                   what is really held, owed and on the books: for a checker, never for a client
//! ```
//!
//! Every moment is an argument: Unix microseconds of the run's true time, never decreasing. What a venue's own clock
//! shows is [`Stage::set_clock`]'s business. The same options and the same calls give the same bytes: all chance
//! comes from the seed. `crate::venue` serves the same stages over TLS by the wall clock.

mod calls;
mod clock;
mod command;
mod control;
mod front;
mod socket;
#[cfg(test)]
mod tests;
mod truth;

use crate::core::{Event, Exchange, Socket};
use crate::options::Options;
use crate::wire::{Effect, Frame, Request, Response};
use crate::{paradex, vest};
use calls::Calls;
use clock::VenueClock;
use front::{Front, Scene};
use socket::Line;

pub use calls::{Answered, Call};
pub use command::{Command, Login, Size, VenueName};
pub use control::ControlError;
pub use socket::SocketId;
pub use truth::{Truth, VenueTruth};

/// One venue.
#[derive(Clone)]
pub struct Stage {
    exchange: Exchange,
    front: Front,
    clock: VenueClock,
    lines: Vec<Line>,
    opened: u64,
    calls: Calls,
    /// How often connections of a kind were cut: market data, private, orders.
    cuts: [u64; 3],
    /// Kinds to be cut by whoever owns real connections.
    unreported_cuts: Vec<Socket>,
    orders_stalled: bool,
    /// Something has become readable since the last look.
    stirred: bool,
    events: Vec<Event>,
    frames: Vec<Frame>,
}

impl Stage {
    /// The house venue of a run that starts at `now_us`. `None` when a key of the options is no key.
    pub fn vest(options: &Options, now_us: i64) -> Option<Stage> {
        let desk = vest::Desk::new(&options.keys, options.switches, now_us)?;
        Some(Stage::of(Exchange::new(options.vest_spec(now_us)), Front::Vest(Box::new(desk))))
    }

    /// The order-book venue of a run that starts at `now_us`. `None` when a key of the options is no key.
    pub fn paradex(options: &Options, now_us: i64) -> Option<Stage> {
        let desk = paradex::Desk::new(&options.keys, options.switches, options.seed)?;
        Some(Stage::of(Exchange::new(options.paradex_spec(now_us)), Front::Paradex(Box::new(desk))))
    }

    fn of(exchange: Exchange, front: Front) -> Stage {
        Stage {
            exchange,
            front,
            clock: VenueClock::default(),
            lines: Vec::new(),
            opened: 0,
            calls: Calls::default(),
            cuts: [0; 3],
            unreported_cuts: Vec::new(),
            orders_stalled: false,
            stirred: false,
            events: Vec::new(),
            frames: Vec::new(),
        }
    }

    /// Lets everything happen that is due by `now_us`, in order of time.
    pub fn advance(&mut self, now_us: i64) {
        self.advance_to(self.clock.shown(now_us));
    }

    /// The next moment at which anything happens by itself: work of the venue, a frame, an answer. What is readable
    /// already does not count.
    pub fn next_due(&self) -> i64 {
        self.clock.hidden(self.due())
    }

    /// A REST request arrives, whole.
    pub fn call(&mut self, now_us: i64, request: Request) -> Call {
        let now_us = self.clock.shown(now_us);
        self.advance_to(now_us);
        let answer = self.scene(now_us).call(&request, false);
        let call = self.calls.add(now_us, answer, &request);
        self.advance_to(now_us);
        call
    }

    /// What has become of a call. A reply is given once; the call is forgotten with it.
    pub fn answer(&mut self, call: Call, now_us: i64) -> Answered {
        self.advance(now_us);
        match self.calls.answer(call, self.clock.shown(now_us)) {
            Answered::Pending { due_us } => Answered::Pending { due_us: self.clock.hidden(due_us) },
            other => other,
        }
    }

    /// The answer that a call will get and when, as far as it is settled; a client that blocks looks ahead with this.
    /// The call is forgotten with it.
    pub fn foresee(&mut self, call: Call) -> Option<(i64, Response)> {
        let (due_us, response) = self.calls.foresee(call)?;
        Some((self.clock.hidden(due_us), response))
    }

    /// A WebSocket upgrade; an error is the HTTP status of its refusal. A venue may also accept and close at once.
    pub fn open(
        &mut self,
        now_us: i64,
        path_and_query: &str,
        headers: &[(&str, &str)],
    ) -> Result<SocketId, u16> {
        let request = Request { method: "GET", path_and_query, headers, body: b"" };
        self.upgrade(now_us, &request).map_err(|response| response.status)
    }

    /// The same, with the whole answer of a refusal.
    pub fn upgrade(&mut self, now_us: i64, request: &Request) -> Result<SocketId, Response> {
        let now_us = self.clock.shown(now_us);
        self.advance_to(now_us);
        let (connection, first) = self.scene(now_us).open(request)?;
        self.opened += 1;
        let id = SocketId(self.opened);
        self.lines.push(Line::new(id, connection, first));
        Ok(id)
    }

    /// A text frame arrives. Nothing happens on a socket that is gone.
    pub fn send(&mut self, now_us: i64, id: SocketId, text: &[u8]) {
        let now_us = self.clock.shown(now_us);
        self.advance_to(now_us);
        let text = String::from_utf8_lossy(text);
        match self.lines.iter_mut().find(|line| line.id == id) {
            Some(line) if line.is_stalled => line.inbox.push(text.into_owned()),
            _ => self.hear(now_us, id, &text, false),
        }
        self.advance_to(now_us);
    }

    /// A protocol ping arrives and is answered.
    pub fn ping(&mut self, now_us: i64, id: SocketId) {
        self.advance(now_us);
        if let Some(line) = self.line(id).filter(|line| !line.is_over()) {
            line.push(Frame::Pong);
        }
        self.stirred = true;
    }

    /// A protocol pong arrives.
    pub fn pong(&mut self, now_us: i64, id: SocketId) {
        self.advance(now_us);
        let line = self.line(id).filter(|line| !line.is_stalled);
        if let Some(connection) = line.and_then(|line| line.connection.as_mut()) {
            connection.on_pong();
        }
    }

    /// The client closes or drops its socket; what it has not read is lost.
    pub fn close(&mut self, now_us: i64, id: SocketId) {
        let now_us = self.clock.shown(now_us);
        self.advance_to(now_us);
        self.end(now_us, id);
        self.lines.retain(|line| line.id != id);
        self.advance_to(now_us);
    }

    /// The next readable frame. After [`Frame::Close`] or [`Frame::Gone`] the socket is forgotten.
    pub fn recv(&mut self, now_us: i64, id: SocketId) -> Option<Frame> {
        self.advance(now_us);
        let line =
            self.line(id).filter(|line| !line.is_stalled || line.ready.front() == Some(&Frame::Gone))?;
        let frame = line.ready.pop_front()?;
        if matches!(frame, Frame::Close(_) | Frame::Gone) {
            self.lines.retain(|line| line.id != id);
        }
        Some(frame)
    }

    /// Whether [`Stage::recv`] has a frame without any time passing.
    pub fn is_readable(&self, id: SocketId) -> bool {
        let line = self.lines.iter().find(|line| line.id == id);
        line.is_some_and(|line| !line.is_stalled && !line.ready.is_empty())
    }

    /// Whether a socket is used for this kind of traffic.
    pub fn is_kind(&self, id: SocketId, socket: Socket) -> bool {
        let line = self.lines.iter().find(|line| line.id == id);
        line.and_then(|line| line.connection.as_ref()).is_some_and(|connection| connection.is_kind(socket))
    }

    fn line(&mut self, id: SocketId) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.id == id)
    }

    fn scene(&mut self, now_us: i64) -> Scene<'_> {
        Scene { front: &mut self.front, exchange: &mut self.exchange, now_us }
    }

    /// The earliest due moment, by the venue's clock.
    fn due(&self) -> i64 {
        let lines = self.lines.iter().map(Line::next_due).min().unwrap_or(i64::MAX);
        self.exchange.next_due().min(lines).min(self.calls.next_due())
    }

    fn advance_to(&mut self, now_us: i64) {
        loop {
            let due_us = self.due();
            if due_us > now_us {
                self.calls.reach(now_us);
                return;
            }
            self.exchange.advance(due_us, &mut self.events);
            self.publish(due_us);
            self.run_lines(due_us);
            while let Some((call, letter)) = self.calls.held(due_us) {
                let answer = letter.read(|request| self.scene(due_us).call(request, true));
                self.calls.settle(call, due_us, answer, letter);
            }
            self.stirred |= self.calls.reach(due_us);
        }
    }

    /// Hands what the exchange says to the sockets.
    fn publish(&mut self, now_us: i64) {
        let mut events = std::mem::take(&mut self.events);
        for event in events.drain(..) {
            match event {
                Event::Close { socket, code: None } => self.cut_at(now_us, socket),
                event => self.show(now_us, &event),
            }
        }
        self.events = events;
    }

    fn show(&mut self, now_us: i64, event: &Event) {
        let mut frames = std::mem::take(&mut self.frames);
        let (most, last) = self.front.backlog();
        let mut ended = Vec::new();
        for line in &mut self.lines {
            let Some(connection) = line.connection.as_mut() else { continue };
            let mut scene = Scene { front: &mut self.front, exchange: &mut self.exchange, now_us };
            scene.on_event(connection, event, &mut frames);
            self.stirred |= !frames.is_empty();
            frames.drain(..).for_each(|frame| line.push(frame));
            if line.ready.len() > most && !line.is_over() {
                line.push(last.clone());
            }
            if line.is_over() {
                ended.push(line.id);
            }
        }
        self.frames = frames;
        ended.into_iter().for_each(|id| self.end(now_us, id));
    }

    fn run_lines(&mut self, now_us: i64) {
        for at in 0..self.lines.len() {
            let id = self.lines[at].id;
            while let Some(effect) = self.lines[at].due(now_us) {
                match effect {
                    Effect::Send(frame) => self.lines[at].push(frame),
                    Effect::Repeat(text) => self.hear(now_us, id, &text, true),
                }
                self.stirred = true;
            }
            while self.lines[at].connection.as_ref().is_some_and(|c| c.next_tick() <= now_us) {
                let Some(frame) = self.lines[at].connection.as_mut().and_then(|c| c.tick(now_us)) else {
                    break;
                };
                self.lines[at].push(frame);
                self.stirred = true;
                if self.lines[at].is_over() {
                    self.end(now_us, id);
                }
            }
            if self.lines[at].is_over() {
                self.end(now_us, id);
            }
        }
    }

    fn hear(&mut self, now_us: i64, id: SocketId, text: &str, held: bool) {
        let Some(line) = self.lines.iter_mut().find(|line| line.id == id) else { return };
        let Some(connection) = line.connection.as_mut() else { return };
        let mut scene = Scene { front: &mut self.front, exchange: &mut self.exchange, now_us };
        scene.on_text(connection, text, held).into_iter().for_each(|due| line.keep(due));
    }

    /// The venue is done with a socket; what is readable stays readable.
    fn end(&mut self, now_us: i64, id: SocketId) {
        let Some(line) = self.lines.iter_mut().find(|line| line.id == id) else { return };
        if let Some(mut connection) = line.connection.take() {
            self.scene(now_us).on_close(&mut connection);
        }
    }
}
