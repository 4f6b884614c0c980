//! The wire of a stage's venue, whichever it is: requests and sockets go to `vest` or to `paradex`.

use crate::core::{Event, Exchange, Socket};
use crate::wire::{Answer, Due, Frame, Request, Response};
use crate::{paradex, vest};

/// What a venue's wire knows besides its sockets.
#[derive(Clone)]
pub enum Front {
    Vest(Box<vest::Desk>),
    Paradex(Box<paradex::Desk>),
}

/// One open socket of either venue.
#[derive(Clone)]
pub enum Connection {
    Vest(vest::Connection),
    Paradex(Box<paradex::Connection>),
}

/// A venue at one moment: its wire, its exchange, its clock.
pub struct Scene<'a> {
    pub front: &'a mut Front,
    pub exchange: &'a mut Exchange,
    pub now_us: i64,
}

impl Scene<'_> {
    pub fn call(&mut self, request: &Request, held: bool) -> Answer<Response> {
        let (exchange, now_us) = (&mut *self.exchange, self.now_us);
        match self.front {
            Front::Vest(desk) => vest::call(&mut vest::Floor { now_us, desk, exchange }, request, held),
            Front::Paradex(desk) => {
                paradex::call(&mut paradex::Floor { now_us, desk, exchange }, request, held)
            }
        }
    }

    /// Opens a socket; an error is the answer to the upgrade. The first frame may be the last.
    pub fn open(&mut self, request: &Request) -> Result<(Option<Connection>, Option<Frame>), Response> {
        let (exchange, now_us) = (&mut *self.exchange, self.now_us);
        match self.front {
            Front::Vest(_) if request.path() != vest::SOCKET_PATH => Err(Response::bare(404)),
            Front::Paradex(_) if request.path() != paradex::SOCKET_PATH => Err(Response::bare(404)),
            Front::Vest(desk) => {
                let floor = vest::Floor { now_us, desk, exchange };
                match vest::Connection::open(&floor, &request.params()) {
                    Ok(connection) => Ok((Some(Connection::Vest(connection)), None)),
                    Err(code) => Ok((None, Some(Frame::Close(code)))),
                }
            }
            Front::Paradex(desk) => {
                let mut floor = paradex::Floor { now_us, desk, exchange };
                let opened =
                    paradex::Connection::open(&mut floor, request).map_err(|error| error.respond())?;
                Ok((Some(Connection::Paradex(Box::new(opened))), None))
            }
        }
    }

    pub fn on_text(&mut self, connection: &mut Connection, text: &str, held: bool) -> Vec<Due> {
        let (exchange, now_us) = (&mut *self.exchange, self.now_us);
        match (&mut *self.front, connection) {
            (Front::Vest(desk), Connection::Vest(connection)) => {
                connection.on_text(&mut vest::Floor { now_us, desk, exchange }, text, held)
            }
            (Front::Paradex(desk), Connection::Paradex(connection)) => {
                connection.on_text(&mut paradex::Floor { now_us, desk, exchange }, text, held)
            }
            _ => unreachable!("a stage opens the sockets of its own venue"),
        }
    }

    pub fn on_event(&mut self, connection: &mut Connection, event: &Event, out: &mut Vec<Frame>) {
        let (exchange, now_us) = (&mut *self.exchange, self.now_us);
        match (&mut *self.front, connection) {
            (Front::Vest(desk), Connection::Vest(connection)) => {
                connection.on_event(&vest::Floor { now_us, desk, exchange }, event, out);
            }
            (Front::Paradex(desk), Connection::Paradex(connection)) => {
                connection.on_event(&paradex::Floor { now_us, desk, exchange }, event, out);
            }
            _ => unreachable!("a stage opens the sockets of its own venue"),
        }
    }

    pub fn on_close(&mut self, connection: &mut Connection) {
        let (exchange, now_us) = (&mut *self.exchange, self.now_us);
        if let (Front::Paradex(desk), Connection::Paradex(connection)) = (&mut *self.front, connection) {
            connection.on_close(&mut paradex::Floor { now_us, desk, exchange });
        }
    }
}

impl Front {
    /// Tokens and listen keys issued before this moment are no longer valid.
    pub fn revoke(&mut self, now_us: i64) {
        match self {
            Front::Vest(desk) => desk.revoked_us = now_us,
            Front::Paradex(desk) => desk.revoked_us = now_us,
        }
    }

    pub fn issued(&self) -> &[String] {
        match self {
            Front::Vest(desk) => &desk.issued,
            Front::Paradex(desk) => &desk.issued,
        }
    }

    /// Frames that a client may leave unread before it is dropped, and with which frame.
    pub fn backlog(&self) -> (usize, Frame) {
        match self {
            Front::Vest(_) => (16_384, Frame::Close(1011)),
            Front::Paradex(_) => (2_000, Frame::Gone),
        }
    }
}

impl Connection {
    pub fn is_kind(&self, socket: Socket) -> bool {
        match self {
            Connection::Vest(connection) => connection.is_kind(socket),
            Connection::Paradex(connection) => connection.is_kind(socket),
        }
    }

    pub fn on_pong(&mut self) {
        if let Connection::Paradex(connection) = self {
            connection.on_pong();
        }
    }

    /// When [`Connection::tick`] has something to do.
    pub fn next_tick(&self) -> i64 {
        match self {
            Connection::Vest(_) => i64::MAX,
            Connection::Paradex(connection) => connection.next_tick(),
        }
    }

    /// What is due by itself.
    pub fn tick(&mut self, now_us: i64) -> Option<Frame> {
        match self {
            Connection::Vest(_) => None,
            Connection::Paradex(connection) => connection.tick(now_us),
        }
    }

    /// The venue's clock was set forward by `us`.
    pub fn shift(&mut self, us: i64) {
        if let Connection::Paradex(connection) = self {
            connection.shift(us);
        }
    }
}
