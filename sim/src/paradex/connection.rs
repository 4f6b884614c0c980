//! A socket from its upgrade to its end: negotiation, its session, and what is due on it by itself: pings, heartbeats,
//! and the close of one that is not used.
//!
//! Pure: `stage` keeps the frames. Source: Paradex sheet §5.2, §5.3.

use super::error::ApiError;
use super::feed::Form;
use super::rest;
use super::sbe::Version;
use super::session::{Floor, Session};
use crate::core::{Event, Socket};
use crate::wire::{Due, Effect, Frame, Request};

const PING_EVERY_US: i64 = 55_000_000;
const PONG_WITHIN_US: i64 = 5_000_000;
const HEARTBEAT_AFTER_US: i64 = 20_000_000;
/// How long a connection may hold no subscription.
const UNSUBSCRIBED_US: i64 = 10_000_000;
const CLOSE_UNSUBSCRIBED: u16 = 4031;

/// The state of one connection.
#[derive(Clone)]
pub struct Connection {
    session: Session,
    /// When things last happened, Unix microseconds.
    sent_us: i64,
    pinged_us: i64,
    awaits_pong: bool,
    subscribed_us: i64,
}

impl Connection {
    /// `GET /v1?sbeSchemaId=1&sbeSchemaVersion=V`: HTTP 400 without a schema that is served, no downgrade.
    pub fn open(floor: &mut Floor, request: &Request) -> Result<Connection, ApiError> {
        rest::spend_connect(floor)?;
        let form = negotiate(floor, request)?;
        floor.desk.connections += 1;
        let mut session = Session::new(form, floor.desk.connections);
        if let Some(token) = rest::bearer(request) {
            session.present(floor, token);
        }
        let now_us = floor.now_us;
        Ok(Connection {
            session,
            sent_us: now_us,
            pinged_us: now_us,
            awaits_pong: false,
            subscribed_us: now_us,
        })
    }

    /// Answers one text frame. `held` marks a text that was handed back by [`Effect::Repeat`].
    pub fn on_text(&mut self, floor: &mut Floor, text: &str, held: bool) -> Vec<Due> {
        let effects = self.session.on_text(floor, text, held);
        if !self.session.is_idle() {
            self.subscribed_us = floor.now_us;
        }
        if effects.iter().any(|(due_us, effect)| matches!(effect, Effect::Send(_)) && *due_us <= floor.now_us)
        {
            self.sent_us = floor.now_us;
        }
        effects
    }

    /// Appends the frames that an event of the venue means for this connection.
    pub fn on_event(&mut self, floor: &Floor, event: &Event, out: &mut Vec<Frame>) {
        if let Event::Close { socket, code: Some(code) } = event {
            out.extend(self.is_kind(*socket).then_some(Frame::Close(*code)));
            return;
        }
        let before = out.len();
        self.session.on_event(&floor.scene(), event, out);
        if out.len() > before {
            self.sent_us = floor.now_us;
        }
    }

    pub fn on_pong(&mut self) {
        self.awaits_pong = false;
    }

    /// When [`Connection::tick`] has something to do.
    pub fn next_tick(&self) -> i64 {
        let pong = if self.awaits_pong { self.pinged_us + PONG_WITHIN_US } else { i64::MAX };
        let unused = if self.session.is_idle() { self.subscribed_us + UNSUBSCRIBED_US } else { i64::MAX };
        pong.min(unused).min(self.pinged_us + PING_EVERY_US).min(self.sent_us + HEARTBEAT_AFTER_US)
    }

    /// What is due by itself.
    pub fn tick(&mut self, now_us: i64) -> Option<Frame> {
        if self.session.is_idle() && now_us >= self.subscribed_us + UNSUBSCRIBED_US {
            return Some(Frame::Close(CLOSE_UNSUBSCRIBED));
        }
        if self.awaits_pong && now_us >= self.pinged_us + PONG_WITHIN_US {
            return Some(Frame::Gone);
        }
        if now_us >= self.pinged_us + PING_EVERY_US {
            (self.pinged_us, self.awaits_pong) = (now_us, true);
            return Some(Frame::Ping);
        }
        if now_us >= self.sent_us + HEARTBEAT_AFTER_US {
            self.sent_us = now_us;
            return Some(self.session.heartbeat(now_us));
        }
        None
    }

    /// The connection is gone.
    pub fn on_close(&mut self, floor: &mut Floor) {
        self.session.on_close(floor);
    }

    /// Whether a cut or a stall of `socket` concerns this connection.
    pub fn is_kind(&self, socket: Socket) -> bool {
        // One that has not said what it is for counts as market data.
        self.session.is_kind(socket) || (socket == Socket::Md && self.session.is_unused())
    }

    /// The venue's clock was set forward by `us`.
    pub fn shift(&mut self, us: i64) {
        self.sent_us += us;
        self.pinged_us += us;
        self.subscribed_us += us;
    }
}

fn negotiate(floor: &Floor, request: &Request) -> Result<Form, ApiError> {
    let refused = || ApiError::validation("sbeSchemaId=1 and a supported sbeSchemaVersion are required");
    let params = request.params();
    let number = |key: &str| params.get(key).and_then(|text| text.parse::<u16>().ok());
    let switches = &floor.desk.switches;
    let version = number("sbeSchemaVersion").and_then(Version::new).ok_or_else(refused)?;
    let accepted = switches.paradex_sbe_versions.get(usize::from(version.number())).copied().unwrap_or(false);
    if number("sbeSchemaId") != Some(1) || !accepted {
        return Err(refused());
    }
    Ok(Form { version, private_sbe: switches.paradex_private_sbe })
}
