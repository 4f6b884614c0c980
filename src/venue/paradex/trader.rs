//! Order entry and private stream over one WebSocket (sheet 6): moves bytes between the link and `session`, signs and
//! writes orders. Owned by `order`; never blocks, never reads a clock. `Private` is the same socket as `Orders`, so
//! only `Orders` is ever missing.

use super::Markets;
use super::events::Memory;
use super::orders::OrderWriter;
use super::session::{Asked, Fatal, Session};
use super::sign::Signer;
use crate::sys::link::{Link, LinkError, Outbound};
use crate::types::order::Reason;
use crate::types::ready::SignedText;
use crate::types::record::Role;
use crate::types::{MarketRules, Nanos, OrderSpec, PairId, Profile};
use crate::venue::{CancelSpec, ReadyLink, SendError, Setup, SetupError, Trader, TraderEvent, reason};

/// Messages taken per poll, so that a flood cannot keep the thread from its other sockets.
const FRAMES_PER_POLL: usize = 32;

/// Order entry and private stream of this venue.
pub struct ParadexTrader {
    markets: Markets,
    writer: OrderWriter,
    profile: Profile,
    /// Outlives connections: a bust may name a fill of an earlier one.
    memory: Memory,
    connection: Option<Connection>,
    /// Why the last connection was dropped, until `poll` has told it.
    lost: Option<Reason>,
    /// What `poll` last said about being ready.
    announced: bool,
}

struct Connection {
    link: Box<dyn Link>,
    session: Session,
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
            lost: None,
            announced: false,
        })
    }

    /// Moves what is there to be moved; an error means that the connection is no more.
    fn run(&mut self, now: Nanos, events: &mut Vec<TraderEvent>) -> Result<bool, Reason> {
        let Some(Connection { link, session }) = &mut self.connection else { return Ok(false) };
        let mut worked = false;
        for _ in 0..FRAMES_PER_POLL {
            let requests = self.writer.requests();
            let sent = session.advance(requests, &mut |text| link.send(Outbound::Text(text)));
            worked |= sent.map_err(|error| reason(&error))?;
            let Some(frame) = link.recv().map_err(|error| reason(&error))? else { break };
            worked = true;
            let told = session.on_frame(now, frame, &self.markets, &mut self.memory, events);
            told.map_err(|Fatal(why)| why)?;
        }
        session.check(now).map_err(|Fatal(why)| why)?;
        Ok(worked)
    }

    /// Says what changed about the connection.
    fn announce(&mut self, events: &mut Vec<TraderEvent>) -> bool {
        let ready = self.is_ready();
        let changed = ready != self.announced;
        if changed {
            self.announced = ready;
            events.push(TraderEvent::Ready(ready));
        }
        let lost = self.lost.take();
        if let Some(why) = lost {
            events.push(TraderEvent::LinkDown { role: Role::Orders, why });
        }
        changed || lost.is_some()
    }

    fn drop_connection(&mut self, why: Reason) {
        self.connection = None;
        self.lost = Some(why);
    }

    fn written(&mut self, id: u64, asked: Asked, sent: Result<(), LinkError>) -> Result<(), SendError> {
        if let Err(error) = sent {
            self.drop_connection(reason(&error));
            return Err(SendError::Unclear(error));
        }
        if let Some(connection) = &mut self.connection {
            connection.session.sent(id, asked);
        }
        Ok(())
    }
}

impl Trader for ParadexTrader {
    fn install(&mut self, ready: ReadyLink, now: Nanos) {
        self.connection = None;
        match ready.secret {
            Some(token) => {
                let session = Session::new(token, self.profile, now);
                self.connection = Some(Connection { link: ready.link, session });
            }
            None => self.lost = Some(Reason::cut("connected without a token")),
        }
    }

    fn missing(&self) -> [bool; Role::ALL.len()] {
        Role::ALL.map(|role| role == Role::Orders && self.connection.is_none())
    }

    fn poll(&mut self, now: Nanos, events: &mut Vec<TraderEvent>) -> bool {
        let worked = self.run(now, events).unwrap_or_else(|why| {
            self.drop_connection(why);
            true
        });
        self.announce(events) | worked
    }

    fn send(&mut self, spec: &OrderSpec, _now: Nanos) -> Result<(), SendError> {
        if !self.is_ready() {
            return Err(no_connection());
        }
        let (id, text) = self.writer.create(spec).map_err(SendError::Nothing)?;
        let Some(connection) = &mut self.connection else { return Err(no_connection()) };
        let sent = connection.link.send(Outbound::Text(text));
        self.written(id, Asked::Order(spec.id), sent)
    }

    fn send_signed(
        &mut self,
        spec: &OrderSpec,
        signature: &SignedText,
        _now: Nanos,
    ) -> Result<(), SendError> {
        if !self.is_ready() {
            return Err(no_connection());
        }
        let (id, text) = self.writer.create_signed(spec, signature).map_err(SendError::Nothing)?;
        let Some(connection) = &mut self.connection else { return Err(no_connection()) };
        let sent = connection.link.send(Outbound::Text(text));
        self.written(id, Asked::Order(spec.id), sent)
    }

    fn cancel(&mut self, target: &CancelSpec, _now: Nanos) -> Result<(), SendError> {
        let (id, text) = self.writer.cancel(target.id, target.pair).map_err(SendError::Nothing)?;
        let Some(connection) = self.connection.as_mut().filter(|c| c.session.is_up()) else {
            return Err(no_connection());
        };
        let sent = connection.link.send(Outbound::Text(text));
        self.written(id, Asked::Cancel, sent)
    }

    fn cancel_all(&mut self, pair: PairId, _now: Nanos) -> Result<(), SendError> {
        let (id, text) = self.writer.cancel_all(pair).map_err(SendError::Nothing)?;
        let Some(connection) = self.connection.as_mut().filter(|c| c.session.is_up()) else {
            return Err(no_connection());
        };
        let sent = connection.link.send(Outbound::Text(text));
        self.written(id, Asked::Cancel, sent)
    }

    fn set_rules(&mut self, _pair: PairId, _rules: &MarketRules) {
        // Orders are written from their specification alone: nothing was prepared with the old rules.
    }

    fn is_ready(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.session.is_up())
    }

    fn close(&mut self) {
        if let Some(mut connection) = self.connection.take() {
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
