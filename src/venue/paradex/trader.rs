//! Order entry and private stream over one WebSocket (sheet 6): moves bytes between the link and `session`, signs and
//! writes orders. A second one stands by and takes its place at once when it is lost or falls silent. Owned by `order`;
//! never blocks, never reads a clock. `Private` is the same socket as `Orders`, so only `Orders` and `Spare` are ever
//! missing.

use super::Markets;
use super::errors::CLOSE_CODES;
use super::events::Memory;
use super::orders::OrderWriter;
use super::rpc::Requests;
use super::session::{Asked, Session};
use super::sign::Signer;
use crate::sys::link::{Link, LinkError, Outbound};
use crate::types::order::Reason;
use crate::types::ready::{Begun, SignedText};
use crate::types::record::Role;
use crate::types::{ClientId, MarketRules, Nanos, OrderSpec, PairId, Profile};
use crate::venue::end::End;
use crate::venue::{CancelSpec, ReadyLink, SendError, Setup, SetupError, Trader, TraderEvent};

/// Messages taken per poll, so that a flood cannot keep the thread from its other sockets.
const FRAMES_PER_POLL: usize = 32;

/// The spare is looked at this often, ms: often enough for its pings, and off the path of orders.
const SPARE_EVERY_MS: u64 = 5;

/// Connections that fell silent and are kept at the same time. With the one that serves and its spare they are four,
/// far from what the venue takes.
const ASIDE_MAX: usize = 2;
/// None of them is given up before this, ms: the venue cancels what a lost connection has open, and if it is only slow,
/// the order that closes a lone leg may still be queued. Meanwhile the next one is not put aside either.
const ASIDE_MS: u64 = 5_000;

/// Order entry and private stream of this venue.
pub struct ParadexTrader {
    markets: Markets,
    writer: OrderWriter,
    profile: Profile,
    /// Outlives connections: a bust may name a fill of an earlier one.
    memory: Memory,
    connection: Option<Connection>,
    /// Stands by for `connection`, which is there while this is.
    spare: Option<Connection>,
    /// Those that fell silent, with the time of that, oldest first: what they were asked may still be answered.
    aside: Vec<(Connection, Nanos)>,
    spare_due: Nanos,
    /// Silence after an order or a cancel that puts a connection in doubt, ms.
    reply_max_ms: u64,
    /// Why the last connection was dropped or is in doubt, and whether the spare was used up, until `poll` has told it.
    lost: Option<End>,
    spare_used: bool,
    /// What `poll` last said about being ready.
    announced: bool,
}

struct Connection {
    link: Box<dyn Link>,
    session: Session,
    /// It fell silent after a request: nothing more is sent on it until it talks.
    doubted: bool,
    /// It was said to be up in the place that it has.
    told: bool,
}

impl Connection {
    fn new(link: Box<dyn Link>, session: Session) -> Self {
        Self { link, session, doubted: false, told: false }
    }

    fn takes_orders(&self) -> bool {
        self.session.is_up() && !self.doubted
    }

    /// True once: it is up in its place, and nobody knows yet.
    fn comes_up(&mut self) -> bool {
        let (told, up) = (self.told, self.takes_orders());
        self.told = up;
        up && !told
    }

    /// Moves what is there to be moved; an error means that the connection is no more.
    fn run(
        &mut self,
        now: Nanos,
        requests: &mut Requests,
        markets: &Markets,
        memory: &mut Memory,
        events: &mut Vec<TraderEvent>,
    ) -> Result<bool, End> {
        let Self { link, session, .. } = self;
        let mut worked = false;
        let ended = |error| End::of(&CLOSE_CODES, &error);
        for _ in 0..FRAMES_PER_POLL {
            let sent = session.advance(requests, &mut |text| link.send(Outbound::Text(text)));
            worked |= sent.map_err(ended)?;
            let Some(frame) = link.recv().map_err(ended)? else { break };
            worked = true;
            session.on_frame(now, frame, markets, memory, events)?;
        }
        if session.tick(now)? {
            link.send(Outbound::Ping).map_err(ended)?;
        }
        Ok(worked)
    }
}

impl ParadexTrader {
    /// Fails without credentials.
    pub fn new(setup: &Setup) -> Result<Self, SetupError> {
        let markets = Markets::new(setup)?;
        let writer = OrderWriter::new(Signer::from_setup(setup)?, &markets)?;
        Ok(Self {
            markets,
            writer,
            profile: setup.profile,
            memory: Memory::default(),
            connection: None,
            spare: None,
            aside: Vec::with_capacity(ASIDE_MAX + 1),
            spare_due: Nanos::NEVER,
            reply_max_ms: u64::from(setup.ack_deadline_ms),
            lost: None,
            spare_used: false,
            announced: false,
        })
    }

    fn run(&mut self, now: Nanos, events: &mut Vec<TraderEvent>) -> Result<bool, End> {
        let Some(connection) = &mut self.connection else { return Ok(false) };
        connection.run(now, self.writer.requests(), &self.markets, &mut self.memory, events)
    }

    /// Keeps the spare alive, and hears those that were put aside.
    fn run_spare(&mut self, now: Nanos, events: &mut Vec<TraderEvent>) -> bool {
        if now < self.spare_due || self.spare.is_none() && self.aside.is_empty() {
            return false;
        }
        self.spare_due = now.plus_ms(SPARE_EVERY_MS);
        let mut run = |connection: &mut Connection, events: &mut Vec<TraderEvent>| {
            connection.run(now, self.writer.requests(), &self.markets, &mut self.memory, events)
        };
        let mut worked = false;
        if let Some(spare) = &mut self.spare {
            worked = run(spare, events).unwrap_or_else(|end| {
                self.spare = None;
                tell_end(Role::Spare, end, events);
                true
            });
        }
        // What a lost one was asked is asked for by other ways since it was put aside.
        self.aside.retain_mut(|(connection, since)| {
            let lives = run(connection, events).is_ok();
            lives && (connection.session.owes() || now.ms_since(*since) < ASIDE_MS)
        });
        worked |= self.reuse();
        if self.spare.as_mut().is_some_and(Connection::comes_up) {
            events.push(TraderEvent::LinkUp { role: Role::Spare });
        }
        worked
    }

    /// One that was put aside and has talked since was only slow: it may stand by again, where nothing else does.
    fn reuse(&mut self) -> bool {
        let talks = |(connection, _): &(Connection, Nanos)| !connection.session.owes();
        let Some(at) = self.aside.iter().position(talks).filter(|_| self.spare.is_none()) else {
            return false;
        };
        self.spare = Some(Connection { doubted: false, told: false, ..self.aside.remove(at).0 });
        true
    }

    /// A connection that owes the venue's first word for too long may be half open, and the next order of a lone leg
    /// must not go into it: the spare serves. Without one nothing serves until it talks or a fresh one is up, and what
    /// closes goes over REST; it is not dropped, since the venue may be slow and would cancel what it has queued. Two
    /// that are silent do not take turns: one that owes a word is no spare.
    fn watch(&mut self, now: Nanos) {
        let Some(connection) = &mut self.connection else { return };
        let silent = connection.session.is_silent(now, self.reply_max_ms);
        if silent && !connection.doubted {
            self.lost = Some(End::loss("silent after a request"));
        }
        connection.doubted = silent;
        let room = match &self.aside[..] {
            [(_, oldest), ..] if self.aside.len() == ASIDE_MAX => now.ms_since(*oldest) >= ASIDE_MS,
            _ => true,
        };
        if silent && room && self.spare.as_ref().is_some_and(|spare| spare.session.is_up()) {
            let silent = self.connection.take();
            self.serve_by_spare();
            silent.into_iter().for_each(|connection| self.put_aside(connection, now));
        }
    }

    fn put_aside(&mut self, mut connection: Connection, now: Nanos) {
        connection.session.stand_by();
        self.aside.push((connection, now));
        if self.aside.len() > ASIDE_MAX {
            self.aside.remove(0);
        }
    }

    /// Says what changed about the connection. A loss is told as one also where the spare serves at once: what it was
    /// not told of has to be asked for.
    fn announce(&mut self, events: &mut Vec<TraderEvent>) -> bool {
        let before = events.len();
        let lost = self.lost.take();
        if self.announced && (lost.is_some() || !self.is_ready()) {
            self.announced = false;
            events.push(TraderEvent::Ready(false));
        }
        if let Some(end) = lost {
            tell_end(Role::Orders, end, events);
        }
        if self.connection.as_mut().is_some_and(Connection::comes_up) {
            events.push(TraderEvent::LinkUp { role: Role::Orders });
        }
        if std::mem::take(&mut self.spare_used) {
            let why = Reason::cut("took the place of the order connection");
            events.push(TraderEvent::LinkDown { role: Role::Spare, why });
        }
        if !self.announced && self.is_ready() {
            self.announced = true;
            events.push(TraderEvent::Ready(true));
        }
        events.len() > before
    }

    fn drop_connection(&mut self, end: End) {
        self.serve_by_spare();
        self.lost = Some(end);
    }

    /// From here on the spare serves, if there is one.
    fn serve_by_spare(&mut self) {
        self.connection = self.spare.take();
        if let Some(connection) = &mut self.connection {
            connection.session.take_over();
            connection.told = false;
        }
        self.spare_used = self.connection.is_some();
    }

    /// Writes an order whose text `write` makes.
    fn create(
        &mut self,
        order: ClientId,
        now: Nanos,
        write: impl FnOnce(&mut OrderWriter) -> Result<(u64, &[u8]), Reason>,
    ) -> Result<(), SendError> {
        let Some(connection) = self.connection.as_mut().filter(|c| c.takes_orders()) else {
            return Err(no_connection());
        };
        let (id, text) = write(&mut self.writer).map_err(SendError::Nothing)?;
        let sent = connection.link.send(Outbound::Text(text));
        self.written(id, Asked::Order(order), now, sent)
    }

    fn written(
        &mut self,
        id: u64,
        asked: Asked,
        now: Nanos,
        sent: Result<(), LinkError>,
    ) -> Result<(), SendError> {
        if let Err(error) = sent {
            self.drop_connection(End::of(&CLOSE_CODES, &error));
            return Err(SendError::Unclear(error));
        }
        if let Some(connection) = &mut self.connection {
            connection.session.sent(id, asked, now);
        }
        Ok(())
    }
}

impl Trader for ParadexTrader {
    /// Into the first place that is free, whatever it was asked for. A fresh one is the better spare.
    fn install(&mut self, ready: ReadyLink, now: Nanos) {
        let (link, serves) = (ready.link, self.connection.is_some());
        match ready.secret {
            Some(token) if serves => {
                let fresh = Connection::new(link, Session::standing_by(token, self.profile, now));
                if let Some(older) = self.spare.replace(fresh) {
                    self.put_aside(older, now);
                }
            }
            Some(token) => {
                self.connection = Some(Connection::new(link, Session::new(token, self.profile, now)));
            }
            None if serves => {}
            None => self.lost = Some(End::loss("connected without a token")),
        }
    }

    /// A spare is wanted beside a connection that is up, also one in doubt: until then nothing keeps that one from
    /// coming up.
    fn missing(&self) -> [bool; Role::ALL.len()] {
        Role::ALL.map(|role| match role {
            Role::Orders => self.connection.is_none(),
            Role::Spare => {
                self.spare.is_none() && self.connection.as_ref().is_some_and(|c| c.session.is_up())
            }
            Role::MarketData | Role::Private => false,
        })
    }

    fn poll(&mut self, now: Nanos, events: &mut Vec<TraderEvent>) -> bool {
        let worked = self.run(now, events).unwrap_or_else(|end| {
            self.drop_connection(end);
            true
        });
        self.watch(now);
        let spare = self.run_spare(now, events);
        self.announce(events) | worked | spare
    }

    fn send(&mut self, spec: &OrderSpec, now: Nanos) -> Result<(), SendError> {
        self.create(spec.id, now, |writer| writer.create(spec))
    }

    fn send_signed(&mut self, spec: &OrderSpec, signature: &SignedText, now: Nanos) -> Result<(), SendError> {
        self.create(spec.id, now, |writer| writer.create_signed(spec, signature))
    }

    fn send_begun(&mut self, spec: &OrderSpec, begun: &Begun, now: Nanos) -> Result<(), SendError> {
        self.create(spec.id, now, |writer| writer.create_begun(spec, begun))
    }

    fn cancel(&mut self, target: &CancelSpec, now: Nanos) -> Result<(), SendError> {
        let (id, text) = self.writer.cancel(target.id, target.pair).map_err(SendError::Nothing)?;
        let Some(connection) = self.connection.as_mut().filter(|c| c.takes_orders()) else {
            return Err(no_connection());
        };
        let sent = connection.link.send(Outbound::Text(text));
        self.written(id, Asked::Cancel, now, sent)
    }

    fn cancel_all(&mut self, pair: PairId, now: Nanos) -> Result<(), SendError> {
        let (id, text) = self.writer.cancel_all(pair).map_err(SendError::Nothing)?;
        let Some(connection) = self.connection.as_mut().filter(|c| c.takes_orders()) else {
            return Err(no_connection());
        };
        let sent = connection.link.send(Outbound::Text(text));
        self.written(id, Asked::Cancel, now, sent)
    }

    fn set_rules(&mut self, _pair: PairId, _rules: &MarketRules) {
        // Orders are written from their specification alone: nothing was prepared with the old rules.
    }

    fn is_ready(&self) -> bool {
        self.connection.as_ref().is_some_and(Connection::takes_orders)
    }

    fn close(&mut self) {
        let aside = self.aside.drain(..).map(|(connection, _)| connection);
        for mut connection in self.connection.take().into_iter().chain(self.spare.take()).chain(aside) {
            // A link that cannot even say goodbye is dropped all the same.
            let _ = connection.link.send(Outbound::Close);
        }
    }
}

fn tell_end(role: Role, End { why, mend }: End, events: &mut Vec<TraderEvent>) {
    events.extend(mend.map(|mend| TraderEvent::LinkRefused { role, why, mend }));
    events.push(TraderEvent::LinkDown { role, why });
}

fn no_connection() -> SendError {
    SendError::Nothing(Reason::cut("the order connection is not up"))
}

#[cfg(test)]
mod tests;
