//! One private connection from its first byte to its last: log in, subscribe, arm cancel-on-disconnect, match replies
//! to requests (sheet 5.1, 6). Owned by `trader`, which moves the bytes; pure. It is up only when every step was
//! confirmed by the venue.

use std::collections::VecDeque;

use serde::Deserialize;

use super::events::{self, Fact, Memory};
use super::rpc::{self, ErrorJson, Incoming, Requests};
use super::sbe::{self, Message};
use super::{Markets, errors, json};
use crate::sys::link::{Inbound, LinkError};
use crate::types::order::{Reason, VenueOrderId};
use crate::types::{ClientId, Nanos, OrderNews, Profile, Reject, Secret};
use crate::venue::end::End;
use crate::venue::pulse::Pulse;
use crate::venue::{OrderKey, TraderEvent, WireError, reason};

/// Longest way from a connected socket to a confirmed session, ms.
const LOGIN_MAX_MS: u64 = 5_000;
/// Requests that may wait for a reply; older ones are forgotten, and their orders run into the acknowledgement
/// deadline.
const WAITING_MAX: usize = 512;

/// Channels of the account. Only the last may be refused: busts are also seen in the position.
const CHANNELS: [(&str, Need); 5] = [
    ("orders.ALL", Need::Must),
    ("fills.ALL", Need::Must),
    ("positions", Need::Must),
    ("account", Need::Must),
    ("tradebusts", Need::May),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Must,
    May,
}

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Order(ClientId),
    Cancel,
    LogIn,
    Channel(&'static str, bool),
    Arm,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// Connected, nothing said.
    Fresh,
    /// The token is out.
    LoggingIn,
    /// Logged in, nothing subscribed.
    LoggedIn,
    /// Waiting for this many confirmations.
    Confirming(usize),
    Up,
}

/// State of one connection.
pub struct Session {
    phase: Phase,
    /// Until it was sent.
    token: Option<Secret>,
    opened: Nanos,
    pulse: Pulse,
    /// When the first order or cancel left since anything was heard.
    asked_at: Nanos,
    waiting: VecDeque<(u64, Asked)>,
    retail: bool,
    /// The venue's view of our profile was compared once; a mismatch is told once.
    mismatch_told: bool,
    /// What happens to the account is told by another connection.
    stands_by: bool,
}

impl Session {
    pub fn new(token: Secret, profile: Profile, now: Nanos) -> Self {
        Self {
            phase: Phase::Fresh,
            token: Some(token),
            opened: now,
            pulse: Pulse::new(now),
            asked_at: Nanos::NEVER,
            waiting: VecDeque::with_capacity(WAITING_MAX),
            retail: profile == Profile::Retail,
            mismatch_told: false,
            stands_by: false,
        }
    }

    /// One that subscribes like any other, since the venue closes a connection without a channel (sheet 5.2) and since
    /// it must lose nothing when its turn comes, and tells nothing until [`Session::take_over`].
    pub fn standing_by(token: Secret, profile: Profile, now: Nanos) -> Self {
        Self { stands_by: true, ..Self::new(token, profile, now) }
    }

    /// From now on it tells what happens to the account.
    pub fn take_over(&mut self) {
        self.stands_by = false;
    }

    /// From now on another connection tells that. This one still tells what its own requests are answered, which no
    /// other does. Its events it does not: what two connections tell comes twice, and the older state may come last.
    pub fn stand_by(&mut self) {
        self.stands_by = true;
    }

    /// An order or a cancel left, and not a word was heard since.
    pub fn owes(&self) -> bool {
        self.asked_at != Nanos::NEVER
    }

    /// The first word after an order or a cancel is late: a connection that answers with nothing may be half open.
    pub fn is_silent(&self, now: Nanos, reply_max_ms: u64) -> bool {
        self.owes() && now.ms_since(self.asked_at) > reply_max_ms
    }

    /// Logged in, subscribed and armed, each confirmed.
    pub fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }

    /// Remembers an order or a cancel, which has to be answered soon.
    pub fn sent(&mut self, id: u64, asked: Asked, now: Nanos) {
        if !self.owes() {
            self.asked_at = now;
        }
        self.remember(id, asked);
    }

    /// Remembers what a request was for.
    fn remember(&mut self, id: u64, asked: Asked) {
        if self.waiting.len() == WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back((id, asked));
    }

    /// Writes what is due in this phase. True when something was written.
    pub fn advance(
        &mut self,
        requests: &mut Requests,
        send: &mut dyn FnMut(&[u8]) -> Result<(), LinkError>,
    ) -> Result<bool, LinkError> {
        match self.phase {
            Phase::Fresh => {
                let token = self.token.take();
                let bearer = token.as_ref().map_or("", Secret::expose);
                let (id, text) = requests.with_text("auth", "bearer", bearer);
                send(text)?;
                self.remember(id, Asked::LogIn);
                self.phase = Phase::LoggingIn;
            }
            Phase::LoggedIn => {
                for (channel, need) in CHANNELS {
                    let (id, text) = requests.with_text("subscribe", "channel", channel);
                    send(text)?;
                    self.remember(id, Asked::Channel(channel, need == Need::Must));
                }
                let arm = |out: &mut String| out.push_str("{\"enabled\":true}");
                let (id, text) = requests.write("order.cancel_on_disconnect", arm);
                send(text)?;
                self.remember(id, Asked::Arm);
                self.phase = Phase::Confirming(CHANNELS.len() + 1);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Deadlines of the connection. True when a ping of the protocol is due: the venue has none of its own language.
    pub fn tick(&mut self, now: Nanos) -> Result<bool, End> {
        if !self.is_up() && now.ms_since(self.opened) > LOGIN_MAX_MS {
            return Err(End::loss("not logged in and subscribed within 5 s"));
        }
        self.pulse.tick(now).map_err(|error| End::loss(&error.to_string()))
    }

    /// One message. A message that cannot be read becomes a `BadFrame` event; only a refused step is fatal.
    pub fn on_frame(
        &mut self,
        now: Nanos,
        frame: Inbound<'_>,
        markets: &Markets,
        memory: &mut Memory,
        events: &mut Vec<TraderEvent>,
    ) -> Result<(), End> {
        self.pulse.beat();
        self.asked_at = Nanos::NEVER;
        let told = match frame {
            Inbound::Text(text) => match rpc::read(text) {
                Ok(Incoming::Event { .. }) if self.stands_by => Ok(()),
                Ok(Incoming::Event { channel, data }) => {
                    match json::event(&channel, data.as_raw_str().as_bytes()) {
                        Ok(Some(fact)) => self.on_fact(&fact, now, markets, memory, events),
                        Ok(None) => Ok(()),
                        Err(error) => Err(error),
                    }
                }
                Ok(Incoming::Reply { id, result }) => {
                    return self.on_reply(id, result.as_raw_str().as_bytes(), now, memory, events);
                }
                Ok(Incoming::Error { id, error }) => return self.on_error(id, &error, now, events),
                Err(error) => Err(error),
            },
            Inbound::Binary(_) if self.stands_by => Ok(()),
            Inbound::Binary(bytes) => match sbe::decode(bytes) {
                Ok(Message::Private(fact)) => self.on_fact(&fact, now, markets, memory, events),
                Ok(_) => Ok(()),
                Err(error) => Err(error),
            },
            Inbound::Heartbeat => Ok(()),
            Inbound::Response { body, .. } => Err(WireError::new("frame", body, "a WebSocket message")),
        };
        if let Err(error) = told {
            events.push(TraderEvent::BadFrame { why: reason(&error) });
        }
        Ok(())
    }

    fn on_fact(
        &mut self,
        fact: &Fact<'_>,
        now: Nanos,
        markets: &Markets,
        memory: &mut Memory,
        events: &mut Vec<TraderEvent>,
    ) -> Result<(), WireError> {
        if let Fact::Order(order) = fact
            && order.interactive.is_some_and(|interactive| interactive != self.retail)
            && ClientId::parse(&order.client_id).is_some()
            && !self.mismatch_told
        {
            self.mismatch_told = true;
            events.push(TraderEvent::BadFrame { why: Reason::cut("order not treated as the profile says") });
        }
        events::translate(fact, now, markets, memory, events)
    }

    fn on_reply(
        &mut self,
        id: u64,
        result: &[u8],
        now: Nanos,
        memory: &mut Memory,
        events: &mut Vec<TraderEvent>,
    ) -> Result<(), End> {
        match self.take(id) {
            Some(Asked::LogIn) => self.phase = Phase::LoggedIn,
            Some(Asked::Channel(..)) => self.confirm(),
            Some(Asked::Arm) => match json::read::<ArmJson>("cancel_on_disconnect", result) {
                Ok(ArmJson { enabled: true }) => self.confirm(),
                _ => return Err(End::loss("cancel-on-disconnect was not confirmed")),
            },
            Some(Asked::Order(order)) => match created(order, result, now, memory) {
                Ok(event) => events.push(event),
                Err(error) => events.push(TraderEvent::BadFrame { why: reason(&error) }),
            },
            Some(Asked::Cancel) => {}
            None => events.push(TraderEvent::BadFrame { why: Reason::cut("reply to no request of ours") }),
        }
        Ok(())
    }

    fn on_error(
        &mut self,
        id: Option<u64>,
        error: &ErrorJson<'_>,
        now: Nanos,
        events: &mut Vec<TraderEvent>,
    ) -> Result<(), End> {
        let refusal = error.refusal();
        match id.and_then(|id| self.take(id)) {
            Some(Asked::LogIn) => return Err(refused("log-in", &refusal)),
            Some(Asked::Channel(channel, true)) => return Err(refused(channel, &refusal)),
            Some(Asked::Arm) => return Err(refused("cancel-on-disconnect", &refusal)),
            Some(Asked::Channel(channel, false)) => {
                events.push(TraderEvent::BadFrame { why: refused(channel, &refusal).why });
                self.confirm();
            }
            Some(Asked::Order(order)) => {
                let (key, news) = (OrderKey::Client(order), OrderNews::Rejected(refusal));
                events.push(TraderEvent::Order { key, news, t_venue: now });
            }
            // The order was not open any more: what happened to it comes by its own events.
            Some(Asked::Cancel) => {}
            None => events.push(TraderEvent::BadFrame { why: refused("unknown request", &refusal).why }),
        }
        Ok(())
    }

    fn take(&mut self, id: u64) -> Option<Asked> {
        let at = self.waiting.iter().position(|&(waiting, _)| waiting == id)?;
        self.waiting.remove(at).map(|(_, asked)| asked)
    }

    fn confirm(&mut self) {
        self.phase = match self.phase {
            Phase::Confirming(left) if left > 1 => Phase::Confirming(left - 1),
            _ => Phase::Up,
        };
    }
}

/// Reads the result of `order.create`: accepted for its risk check, nothing more.
fn created(
    order: ClientId,
    result: &[u8],
    now: Nanos,
    memory: &mut Memory,
) -> Result<TraderEvent, WireError> {
    let CreatedJson { order: CreatedOrder { id } } = json::read("order.create result", result)?;
    memory.learn(order, VenueOrderId::cut(&id));
    Ok(TraderEvent::Order { key: OrderKey::Client(order), news: OrderNews::Acked, t_venue: now })
}

#[derive(Deserialize)]
struct ArmJson {
    enabled: bool,
}

#[derive(Deserialize)]
struct CreatedJson<'a> {
    #[serde(borrow)]
    order: CreatedOrder<'a>,
}

#[derive(Deserialize)]
struct CreatedOrder<'a> {
    #[serde(borrow)]
    id: std::borrow::Cow<'a, str>,
}

fn refused(what: &str, refusal: &Reject) -> End {
    End { why: Reason::cut(&format!("{what} refused: {}", refusal.code)), mend: errors::mend(refusal) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fuzz::fuzz;

    #[test]
    fn no_damaged_result_panics() {
        fuzz("paradex cancel on disconnect", &[br#"{"enabled":true}"#.to_vec()], |result| {
            json::read::<ArmJson>("cancel_on_disconnect", result).is_ok_and(|arm| arm.enabled)
        });
        let made = br#"{"order":{"id":"1718941725080201704028870000","status":"NEW","client_id":"7-42-1"}}"#;
        let mut memory = Memory::default();
        fuzz("paradex order.create", &[made.to_vec()], |result| {
            created(ClientId::default(), result, Nanos(1), &mut memory).is_ok()
        });
    }
}
