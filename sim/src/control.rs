//! Control of a served run: faults, scripts, cuts, modes, and the venues' own truth.
//!
//! Called by in-process tests, by the demo, and over HTTP by `control_port`. It is no part of either venue's protocol,
//! and no client under test may call it. What an operation does is `stage`'s.

use std::sync::Arc;

use serde::Serialize;

use crate::core::fault::{Class, Rule};
use crate::core::model::Script;
use crate::core::{Event, Mode, Side, Socket};
use crate::meter::{Meter, Stats, Tick};
use crate::venue::Venue;

pub use crate::stage::{Command, ControlError, Login, Size, VenueName, VenueTruth};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Truth {
    pub vest: VenueTruth,
    pub paradex: VenueTruth,
}

/// The handle; cheap to clone.
#[derive(Clone)]
pub struct Control {
    vest: Arc<Venue>,
    paradex: Arc<Venue>,
    meter: Arc<Meter>,
}

impl Control {
    pub fn new(vest: Arc<Venue>, paradex: Arc<Venue>, meter: Arc<Meter>) -> Self {
        Self { vest, paradex, meter }
    }

    pub fn venue(&self, name: VenueName) -> &Arc<Venue> {
        match name {
            VenueName::Vest => &self.vest,
            VenueName::Paradex => &self.paradex,
        }
    }

    /// Does what a command says, at the venues it is for.
    pub fn perform(&self, command: Command) -> Result<(), ControlError> {
        match command.venue() {
            Some(venue) => self.venue(venue).perform(command),
            None => [&self.vest, &self.paradex].into_iter().try_for_each(|v| v.perform(command.clone())),
        }
    }

    /// Adds a fault rule.
    pub fn fault(&self, venue: VenueName, rule: Rule) {
        self.venue(venue).with(|core, _| core.add_fault(rule));
    }

    /// Calls `call` on the spot at a message of this class, after `skipped` of them; see [`crate::core::watch`].
    pub fn watch(&self, venue: VenueName, class: Class, skipped: u32, call: impl FnOnce() + Send + 'static) {
        self.venue(venue).with(|core, _| core.faults().watches.add(class, skipped, Box::new(call)));
    }

    /// Removes all watches of both venues.
    pub fn unwatch(&self) {
        for venue in [&self.vest, &self.paradex] {
            venue.with(|core, _| core.faults().watches.clear());
        }
    }

    /// Removes all fault rules, scripts and stalls of both venues, and sets both modes to ok.
    pub fn clear(&self) {
        for venue in [&self.vest, &self.paradex] {
            venue.lines.stall(Socket::All, false);
            venue.stage(|stage, now| stage.clear(now));
        }
    }

    /// Overrides the price model of a market; replaces the script set before.
    pub fn script(&self, venue: VenueName, market: &str, script: Script) -> Result<(), ControlError> {
        self.perform(Command::Script { venue, market: market.to_owned(), script })
    }

    /// Sends these bytes as one frame to the subscribers of a market's book.
    pub fn raw(&self, venue: VenueName, market: &str, bytes: Vec<u8>) -> Result<(), ControlError> {
        self.venue(venue).with(|core, now| {
            let found = core.market(market).ok_or_else(|| ControlError::NoMarket(market.to_owned()));
            found.map(|market| core.say(now, Event::Raw { market, bytes }))
        })
    }

    /// Drops connections: without a code at once and silently, with one by a WebSocket close frame.
    pub fn disconnect(&self, venue: VenueName, socket: Socket, code: Option<u16>) {
        self.venue(venue).with(|core, now| core.say(now, Event::Close { socket, code }));
    }

    /// Holds up every byte of the open connections of a kind without closing them, or lets them flow.
    pub fn stall(&self, venue: VenueName, socket: Socket, stalled: bool) {
        self.venue(venue).lines.stall(socket, stalled);
    }

    pub fn mode(&self, venue: VenueName, mode: Mode) {
        self.venue(venue).with(|core, now| core.set_mode(now, mode));
    }

    /// Sets what longs pay in an hour, at 1e-12.
    pub fn funding(&self, venue: VenueName, market: &str, rate_1h_e12: i64) -> Result<(), ControlError> {
        self.perform(Command::Funding { venue, market: market.to_owned(), rate_1h_e12 })
    }

    /// Ends a login before its time: the listen key (its sockets are closed with 4005) or all JWTs.
    pub fn expire(&self, what: Login) {
        // Expiring cannot be refused.
        let _ = self.perform(Command::Expire { what });
    }

    /// Takes a fill back.
    pub fn bust(&self, venue: VenueName, fill: &str) -> Result<(), ControlError> {
        self.perform(Command::Bust { venue, fill: fill.to_owned() })
    }

    /// Trades at the market on the trader's account without the client's knowledge.
    pub fn trade(&self, venue: VenueName, market: &str, side: Side, size: i64) -> Result<(), ControlError> {
        self.perform(Command::Trade { venue, market: market.to_owned(), side, size: Size(size) })
    }

    pub fn truth(&self) -> Truth {
        let report = |venue: &Venue| venue.stage(|stage, now| stage.report(now));
        Truth { vest: report(&self.vest), paradex: report(&self.paradex) }
    }

    /// Every listen key and token given out so far: what a client's output must never hold.
    pub fn issued(&self) -> Vec<String> {
        let issued = |venue: &Venue| venue.stage(|stage, _| stage.issued().to_vec());
        [issued(&self.vest), issued(&self.paradex)].concat()
    }

    pub fn stats(&self) -> Stats {
        self.meter.stats()
    }

    /// Times the orders that follow the next update of this venue; see [`Meter::arm`](crate::meter::Meter::arm).
    pub fn arm(&self, venue: VenueName) {
        self.meter.arm(match venue {
            VenueName::Vest => "vest",
            VenueName::Paradex => "paradex",
        });
    }

    pub fn tick(&self) -> Tick {
        self.meter.tick()
    }
}
