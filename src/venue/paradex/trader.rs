//! Order entry and private stream over one WebSocket (sheet 6): moves bytes between the link and `session`, signs and
//! writes orders. A second one stands by and takes its place at once when it is lost. Owned by `order`; never blocks,
//! never reads a clock. `Private` is the same socket as `Orders`, so only `Orders` and `Spare` are ever missing.

use super::Markets;
use super::events::Memory;
use super::orders::OrderWriter;
use super::rpc::Requests;
use super::session::{Asked, Fatal, Session};
use super::sign::Signer;
use crate::sys::link::{Link, LinkError, Outbound};
use crate::types::order::Reason;
use crate::types::ready::{Begun, SignedText};
use crate::types::record::Role;
use crate::types::{ClientId, MarketRules, Nanos, OrderSpec, PairId, Profile};
use crate::venue::{CancelSpec, ReadyLink, SendError, Setup, SetupError, Trader, TraderEvent, reason};

/// Messages taken per poll, so that a flood cannot keep the thread from its other sockets.
const FRAMES_PER_POLL: usize = 32;

/// The spare is looked at this often, ms: often enough for its pings, and off the path of orders.
const SPARE_EVERY_MS: u64 = 5;

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
    spare_due: Nanos,
    /// Why the last connection was dropped, and whether the spare was used up, until `poll` has told it.
    lost: Option<Reason>,
    spare_used: bool,
    /// What `poll` last said about being ready.
    announced: bool,
}

struct Connection {
    link: Box<dyn Link>,
    session: Session,
}

impl Connection {
    /// Moves what is there to be moved; an error means that the connection is no more.
    fn run(
        &mut self,
        now: Nanos,
        requests: &mut Requests,
        markets: &Markets,
        memory: &mut Memory,
        events: &mut Vec<TraderEvent>,
    ) -> Result<bool, Reason> {
        let Self { link, session } = self;
        let mut worked = false;
        for _ in 0..FRAMES_PER_POLL {
            let sent = session.advance(requests, &mut |text| link.send(Outbound::Text(text)));
            worked |= sent.map_err(|error| reason(&error))?;
            let Some(frame) = link.recv().map_err(|error| reason(&error))? else { break };
            worked = true;
            let told = session.on_frame(now, frame, markets, memory, events);
            told.map_err(|Fatal(why)| why)?;
        }
        session.check(now).map_err(|Fatal(why)| why)?;
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
            spare_due: Nanos::NEVER,
            lost: None,
            spare_used: false,
            announced: false,
        })
    }

    fn run(&mut self, now: Nanos, events: &mut Vec<TraderEvent>) -> Result<bool, Reason> {
        let Some(connection) = &mut self.connection else { return Ok(false) };
        connection.run(now, self.writer.requests(), &self.markets, &mut self.memory, events)
    }

    /// Keeps the spare alive.
    fn run_spare(&mut self, now: Nanos, events: &mut Vec<TraderEvent>) -> bool {
        let Some(spare) = self.spare.as_mut().filter(|_| now >= self.spare_due) else { return false };
        self.spare_due = now.plus_ms(SPARE_EVERY_MS);
        let ran = spare.run(now, self.writer.requests(), &self.markets, &mut self.memory, events);
        ran.unwrap_or_else(|why| {
            self.spare = None;
            events.push(TraderEvent::LinkDown { role: Role::Spare, why });
            true
        })
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
        if let Some(why) = lost {
            events.push(TraderEvent::LinkDown { role: Role::Orders, why });
        }
        if std::mem::take(&mut self.spare_used) {
            events.push(TraderEvent::LinkUp { role: Role::Orders });
            let why = Reason::cut("took the place of the order connection");
            events.push(TraderEvent::LinkDown { role: Role::Spare, why });
        }
        if !self.announced && self.is_ready() {
            self.announced = true;
            events.push(TraderEvent::Ready(true));
        }
        events.len() > before
    }

    /// From here on the spare serves, if there is one.
    fn drop_connection(&mut self, why: Reason) {
        self.connection = self.spare.take();
        if let Some(connection) = &mut self.connection {
            connection.session.take_over();
        }
        self.spare_used = self.connection.is_some();
        self.lost = Some(why);
    }

    /// Writes an order whose text `write` makes.
    fn create(
        &mut self,
        order: ClientId,
        now: Nanos,
        write: impl FnOnce(&mut OrderWriter) -> Result<(u64, &[u8]), Reason>,
    ) -> Result<(), SendError> {
        let Some(connection) = self.connection.as_mut().filter(|c| c.session.is_up()) else {
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
            self.drop_connection(reason(&error));
            return Err(SendError::Unclear(error));
        }
        if let Some(connection) = &mut self.connection {
            connection.session.sent(id, asked, now);
        }
        Ok(())
    }
}

impl Trader for ParadexTrader {
    /// Into the first place that is free, whatever it was asked for.
    fn install(&mut self, ready: ReadyLink, now: Nanos) {
        let (link, serves) = (ready.link, self.connection.is_some());
        match ready.secret {
            Some(token) if serves => {
                let session = Session::standing_by(token, self.profile, now);
                self.spare = Some(Connection { link, session });
            }
            Some(token) => {
                self.connection = Some(Connection { link, session: Session::new(token, self.profile, now) });
            }
            None if serves => {}
            None => self.lost = Some(Reason::cut("connected without a token")),
        }
    }

    /// A spare is wanted beside a connection that serves: until then nothing keeps that one from coming up.
    fn missing(&self) -> [bool; Role::ALL.len()] {
        Role::ALL.map(|role| match role {
            Role::Orders => self.connection.is_none(),
            Role::Spare => self.spare.is_none() && self.is_ready(),
            Role::MarketData | Role::Private => false,
        })
    }

    fn poll(&mut self, now: Nanos, events: &mut Vec<TraderEvent>) -> bool {
        let worked = self.run(now, events).unwrap_or_else(|why| {
            self.drop_connection(why);
            true
        });
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
        let Some(connection) = self.connection.as_mut().filter(|c| c.session.is_up()) else {
            return Err(no_connection());
        };
        let sent = connection.link.send(Outbound::Text(text));
        self.written(id, Asked::Cancel, now, sent)
    }

    fn cancel_all(&mut self, pair: PairId, now: Nanos) -> Result<(), SendError> {
        let (id, text) = self.writer.cancel_all(pair).map_err(SendError::Nothing)?;
        let Some(connection) = self.connection.as_mut().filter(|c| c.session.is_up()) else {
            return Err(no_connection());
        };
        let sent = connection.link.send(Outbound::Text(text));
        self.written(id, Asked::Cancel, now, sent)
    }

    fn set_rules(&mut self, _pair: PairId, _rules: &MarketRules) {
        // Orders are written from their specification alone: nothing was prepared with the old rules.
    }

    fn is_ready(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.session.is_up())
    }

    fn close(&mut self) {
        for mut connection in [self.connection.take(), self.spare.take()].into_iter().flatten() {
            // A link that cannot even say goodbye is dropped all the same.
            let _ = connection.link.send(Outbound::Close);
        }
    }
}

fn no_connection() -> SendError {
    SendError::Nothing(Reason::cut("the order connection is not up"))
}

#[cfg(test)]
mod tests;
