//! Everything outside the engine: both venues, the disk, the wires between, the hand of the clock, and chance. The
//! seams reach it through a lock that nobody else ever holds: the whole simulation is one thread.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bot4::journal::entry::Entry;
use bot4::sys::clock::ManualClock;
use bot4::types::record::Role;
use bot4::types::{Nanos, OrderSpec};
use bot4_sim::core::rng::Rng;
use bot4_sim::stage::{Call, SocketId, Stage};

use super::coverage::Tags;
use super::disk::Disk;
use super::excuse::Excuses;
use super::progress::Progress;
use super::trace::Trace;

pub type Shared = Arc<Mutex<World>>;

pub fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What carries bytes of one connection.
pub enum Way {
    Socket(SocketId),
    /// A warm HTTP connection: calls not yet answered, oldest first, and when each was sent.
    Http(VecDeque<(Call, u64)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Up,
    /// Gone: the engine learns it at its next look.
    Cut,
    /// Half open: nothing comes, and what is sent goes nowhere.
    Dark,
}

/// One connection of the engine.
pub struct Wire {
    pub venue: usize,
    pub role: Role,
    pub way: Way,
    pub state: State,
    /// When it was cut, ns.
    pub cut_at: u64,
}

/// How long a venue keeps a connection from which nothing comes, ns.
const LINGERS: u64 = 60_000_000_000;

/// By then the engine knows what a rollback has changed, ns.
pub const ROLLED_BACK: u64 = 60_000_000_000;

/// An order that was given to a wire.
pub struct Left {
    pub venue: usize,
    /// Its own name: the client id or the nonce.
    pub name: String,
    /// Number of the first entry that was not safe then.
    pub safe: u64,
    /// It can only reduce a position, and the journal had no room when it left.
    pub excused: bool,
}

/// How a venue's network behaves at this moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Network {
    /// New connections are refused until then, ns.
    pub refuses_until: u64,
    /// REST calls fail until then, ns.
    pub rest_down_until: u64,
    /// Share of sends on which the connection breaks, ppm: before the bytes, or after them.
    pub break_send_ppm: u32,
    /// Round trip of a REST call and of a connect, ns.
    pub round_trip: (u64, u64),
}

pub struct World {
    pub clock: ManualClock,
    pub now: u64,
    pub rng: Rng,
    pub venues: [Stage; 2],
    pub networks: [Network; 2],
    pub wires: Vec<Wire>,
    /// Half-open connections that the engine has left, and when their venues end them, ns.
    pub lingering: VecDeque<(u64, usize)>,
    pub disk: Disk,
    pub trace: Trace,
    pub tags: Tags,
    /// The engine has crashed: whatever its code still does reaches nobody.
    pub dead: bool,
    /// When a venue last went back to an earlier state, ns; 0 = none has. What was true of the past is no more.
    pub rolled_back: u64,
    /// A fill was taken back while no engine ran, or none was connected: the money of a pair that was booked before is
    /// not told again.
    pub busted_unheard: bool,
    /// What the engine knew of its positions was lost, and they are not flat since.
    pub meddled: bool,
    /// Nothing had interfered for a while when the last fill was busted.
    pub calm_before_bust: bool,
    /// A person has lifted the latch, or Reducing, while the journal had no room: the next segment may be the first to
    /// say so.
    pub lifted_unwritten: bool,
    /// Money taken out of the accounts and not yet put back.
    pub moved: i64,
    /// The last death was a power cut: what was not synced may be lost.
    pub power_lost: bool,
    /// The next death will be one.
    pub cuts_power: bool,
    /// Effects of the present run of the engine, and at which of them it dies.
    pub effects: u64,
    pub crash_at: Option<u64>,
    /// Until when a venue's book may have lied, and when its clock was last off, ns.
    pub lied_until: u64,
    /// Until when questions may go unanswered for other reasons than a network that is down.
    pub rest_faulty: u64,
    pub clock_off: [u64; 2],
    /// What excuses a lone leg.
    pub excuses: Excuses,
    /// When the threads of the last start began, ns.
    pub began: u64,
    /// When a fault last interfered, ns: promises in seconds count from there.
    pub disturbed: u64,
    pub progress: Progress,
    /// Orders given to a wire that the checker has not seen.
    pub orders_out: Vec<Left>,
    /// When the last market message of each venue was read by the engine, ns.
    pub md_read: [u64; 2],
}

impl World {
    pub fn nanos(&self) -> Nanos {
        Nanos(self.now)
    }

    pub fn us(&self) -> i64 {
        (self.now / 1_000) as i64
    }

    /// Moves the hand; it never goes back.
    pub fn set_time(&mut self, now: u64) {
        self.now = self.now.max(now);
        self.clock.set(Nanos(self.now));
    }

    /// The engine is about to do something that the outside sees. False: it died just before.
    pub fn effect(&mut self, what: &'static str) -> bool {
        self.effect_of(what, None)
    }

    /// The same for an entry about to be appended.
    pub fn effect_of(&mut self, what: &'static str, entry: Option<&Entry>) -> bool {
        if self.dead {
            return false;
        }
        self.effects += 1;
        if self.crash_at == Some(self.effects) {
            let point = self.progress.point(what, entry);
            self.tags.hit(point);
            self.die(what);
            return false;
        }
        match entry {
            Some(entry) => {
                let rung = self.progress.on_entry(entry);
                rung.into_iter().for_each(|rung| self.tags.hit(rung));
            }
            None if what == "order" => self.progress.on_send(),
            None => {}
        }
        true
    }

    /// kill -9.
    pub fn die(&mut self, before: &'static str) {
        let effects = self.effects;
        self.trace.note(self.now, "CRASH", format_args!("before {before}, effect {effects}"));
        self.dead = true;
        self.crash_at = None;
    }

    pub fn note(&mut self, what: &'static str, text: std::fmt::Arguments<'_>) {
        self.trace.note(self.now, what, text);
    }

    /// A fault: noted and counted.
    pub fn fault(&mut self, tag: &'static str, text: std::fmt::Arguments<'_>) {
        self.tags.hit(tag);
        self.disturb(self.now);
        self.trace.note(self.now, "FAULT", format_args!("{tag} {text}"));
    }

    /// Something interferes until then: a later fault that is shorter does not hide it.
    pub fn disturb(&mut self, until: u64) {
        self.disturbed = self.disturbed.max(until);
    }

    /// An order that was signed so soon after a rollback, or before it, was decided by what is no more.
    pub fn was_rolled_back(&self, spec: &OrderSpec) -> bool {
        self.rolled_back > 0 && spec.signed_ms * 1_000_000 < self.rolled_back + ROLLED_BACK
    }

    /// Nothing has interfered for so long. A state of a venue that a fault brought about lasts until its own end.
    pub fn disturbed_before(&self, ns: u64, venue: usize) -> bool {
        let network = &self.networks[venue];
        self.now > network.rest_down_until.saturating_add(ns)
            && self.now > self.rest_faulty.saturating_add(ns)
    }

    /// A venue whose clock was off took orders by it.
    pub fn venue_clock_was_off(&self, venue: usize) -> bool {
        self.now < self.clock_off[venue].saturating_add(30_000_000_000)
    }

    /// Ends a connection on both sides; the engine sees it when it looks.
    pub fn cut(&mut self, id: usize) {
        let (now, at, wire) = (self.us(), self.now, &mut self.wires[id]);
        if wire.state == State::Cut {
            return;
        }
        (wire.state, wire.cut_at) = (State::Cut, at);
        if let Way::Socket(socket) = wire.way {
            self.venues[wire.venue].close(now, socket);
        }
    }

    /// The engine lets go of a connection; of one that is half open the venue hears no end.
    pub fn leave(&mut self, id: usize) {
        match self.wires.get(id).map(|wire| wire.state) {
            Some(State::Up) => self.cut(id),
            Some(State::Dark) => self.lingering.push_back((self.now + LINGERS, id)),
            Some(State::Cut) | None => {}
        }
    }

    /// Venues end what they have heard nothing of for long.
    pub fn end_lingering(&mut self) {
        while self.lingering.front().is_some_and(|(until, _)| *until <= self.now) {
            let (_, id) = self.lingering.pop_front().unwrap_or_default();
            self.cut(id);
        }
    }

    /// The process is gone: the kernel closes what it had open.
    pub fn drop_wires(&mut self) {
        for id in 0..self.wires.len() {
            self.cut(id);
        }
        self.wires.clear();
        self.lingering.clear();
    }

    /// Connections that are not cut.
    pub fn up_wires(&self) -> Vec<usize> {
        (0..self.wires.len()).filter(|id| self.wires[*id].state == State::Up).collect()
    }

    /// What this venue says of orders reaches the engine.
    pub fn is_heard(&self, venue: usize) -> bool {
        self.up_wires().iter().map(|id| &self.wires[*id]).any(|w| w.venue == venue && w.role == Role::Orders)
    }

    /// When either venue has something to do, ns.
    pub fn venue_due(&self, venue: usize) -> u64 {
        let due = self.venues[venue].next_due();
        if due == i64::MAX { u64::MAX } else { (due.max(0) as u64).saturating_mul(1_000) }
    }
}
