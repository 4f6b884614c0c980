//! One open socket of a stage: what its client has not read yet, what is due later, and whether it is held up.
//!
//! Owned by `Stage`. It keeps frames in order; what they say is the wire's.

use std::collections::{BTreeMap, VecDeque};

use super::front::Connection;
use crate::wire::{Due, Effect, Frame};

/// Names a socket for life; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SocketId(pub u64);

#[derive(Clone)]
pub struct Line {
    pub id: SocketId,
    /// `None` once the venue is done with it.
    pub connection: Option<Connection>,
    /// Readable, oldest first.
    pub ready: VecDeque<Frame>,
    /// Due later, by time and order.
    pub later: BTreeMap<(i64, u64), Effect>,
    serial: u64,
    /// Nothing goes in or out, and nobody is told.
    pub is_stalled: bool,
    /// What the client has sent meanwhile.
    pub inbox: Vec<String>,
}

impl Line {
    pub fn new(id: SocketId, connection: Option<Connection>, first: Option<Frame>) -> Self {
        Self {
            id,
            connection,
            ready: first.into_iter().collect(),
            later: BTreeMap::new(),
            serial: 0,
            is_stalled: false,
            inbox: Vec::new(),
        }
    }

    /// When something happens here by itself.
    pub fn next_due(&self) -> i64 {
        let later = self.later.first_key_value().map_or(i64::MAX, |(key, _)| key.0);
        self.connection.as_ref().map_or(later, |connection| later.min(connection.next_tick()))
    }

    pub fn keep(&mut self, (due_us, effect): Due) {
        self.serial += 1;
        self.later.insert((due_us, self.serial), effect);
    }

    /// The next thing that is due at `now_us`.
    pub fn due(&mut self, now_us: i64) -> Option<Effect> {
        let entry = self.later.first_entry().filter(|entry| entry.key().0 <= now_us)?;
        Some(entry.remove())
    }

    /// Makes a frame readable; an ending one is the last.
    pub fn push(&mut self, frame: Frame) {
        if matches!(frame, Frame::Close(_) | Frame::Gone) {
            self.later.clear();
        }
        self.ready.push_back(frame);
    }

    /// Drops the connection: what was on its way is lost.
    pub fn cut(&mut self) {
        self.ready.clear();
        self.later.clear();
        self.inbox.clear();
        self.ready.push_back(Frame::Gone);
    }

    /// The venue's clock was set forward by `us`.
    pub fn shift(&mut self, us: i64) {
        let later = std::mem::take(&mut self.later);
        self.later =
            later.into_iter().map(|((due_us, serial), effect)| ((due_us + us, serial), effect)).collect();
        if let Some(connection) = self.connection.as_mut() {
            connection.shift(us);
        }
    }

    /// Whether the newest frame ends the connection.
    pub fn is_over(&self) -> bool {
        matches!(self.ready.back(), Some(Frame::Close(_) | Frame::Gone))
    }
}
