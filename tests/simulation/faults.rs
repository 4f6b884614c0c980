//! What goes wrong, and when: the driver of the run's faults, and the operator who does what the engine asks for.

use bot4::types::order::Reason;
use bot4::types::record::Role;
use bot4::types::{Command, Mode, PairId};
use bot4_sim::core::rng::Rng;

use super::engine::Engine;
use super::options::Options;
use super::run::{MS, SECOND};
use super::venue_faults::VenueFaults;
use super::world::{Shared, State, World, lock};

/// One way of going wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// One connection is cut.
    Cut,
    /// All connections of a venue are cut.
    CutVenue,
    /// A connection goes dark: nothing comes, what is sent goes nowhere.
    Dark,
    /// A venue takes no new connection for a while.
    Refuse,
    /// A venue's REST does not answer for a while.
    RestDown,
    /// A venue is gone, for a second to two hours.
    Outage,
    /// Connections break in the middle of sends for a while.
    BreakSends,
    /// A thread is held up.
    Hold,
    /// kill -9 at a random effect that comes next.
    Crash,
    /// kill -9 at a random moment.
    CrashNow,
    /// The machine loses power.
    PowerCut,
    /// It does at a random effect that comes next; in runs of that alone.
    PowerCutNext,
    /// The disk of the journal is full for a while.
    DiskFull,
    /// The database lags for a while.
    Database,
    /// A person pauses, resumes, halts, flattens.
    Operator,
}

impl FaultKind {
    pub const ALL: [Self; 14] = [
        Self::Cut,
        Self::CutVenue,
        Self::Dark,
        Self::Refuse,
        Self::RestDown,
        Self::Outage,
        Self::BreakSends,
        Self::Hold,
        Self::Crash,
        Self::CrashNow,
        Self::PowerCut,
        Self::DiskFull,
        Self::Database,
        Self::Operator,
    ];
}

/// What the run itself has to do.
#[derive(Clone, Copy, Debug)]
pub enum Deed {
    CrashNow,
    CutPower,
    Command(Command),
}

/// Something to be undone later.
#[derive(Clone, Copy, Debug)]
enum Undo {
    BreakSends(usize),
    DiskFull,
    Database,
}

pub struct Faults {
    rng: Rng,
    /// Kind, mean pause and when it next strikes.
    plan: Vec<(FaultKind, u64, u64)>,
    undo: Vec<(u64, Undo)>,
    /// Threads that are held up, by the run's numbers, and until when.
    held: [u64; 7],
    pub venue: VenueFaults,
    healed: bool,
    storm: u64,
    /// Crashes to come, in order: in a start or in a run, and at which of its effects.
    pub crash_plan: Vec<(bool, u64)>,
    /// When the operator next looks.
    look_at: u64,
}

impl Faults {
    pub fn new(options: &Options, now: u64) -> Self {
        let mut rng = Rng::new(options.seed, "faults");
        let plan = options.faults.iter().map(|&(kind, pause)| {
            let pause = pause * SECOND;
            (kind, pause, now + 30 * SECOND + rng.next() % (2 * pause))
        });
        Self {
            plan: plan.collect(),
            undo: Vec::new(),
            held: [0; 7],
            venue: VenueFaults::new(options, now),
            healed: false,
            storm: options.storm,
            crash_plan: Vec::new(),
            look_at: 0,
            rng,
        }
    }

    /// Until when a thread of the engine is held up.
    pub fn hold(&self, actor: usize, _now: u64) -> u64 {
        self.held.get(actor).copied().unwrap_or_default()
    }

    /// Strikes what is due; what only the run can do comes back.
    pub fn due(&mut self, world: &Shared, now: u64) -> Vec<Deed> {
        let mut deeds = Vec::new();
        self.undo_due(world, now, &mut deeds);
        if self.healed {
            return deeds;
        }
        let world = &mut *lock(world);
        self.venue.due(world, now);
        for at in 0..self.plan.len() {
            let (kind, pause, next) = self.plan[at];
            if now >= next {
                self.plan[at].2 = now + MS + self.rng.next() % (2 * pause);
                self.strike(kind, world, now, &mut deeds);
            }
        }
        deeds
    }

    fn undo_due(&mut self, world: &Shared, now: u64, deeds: &mut Vec<Deed>) {
        let world = &mut *lock(world);
        self.undo.retain(|&(at, what)| {
            if now < at {
                return true;
            }
            match what {
                Undo::BreakSends(venue) => world.networks[venue].break_send_ppm = 0,
                Undo::DiskFull => world.disk.full = false,
                Undo::Database => deeds.push(Deed::Command(Command::HoldForDatabase(false))),
            }
            false
        });
    }

    /// Log-uniform between two powers of two of milliseconds.
    fn span(&mut self, least_ms: u64, doublings: i64) -> u64 {
        let base = (least_ms << self.rng.between(0, doublings)) * MS;
        base + self.rng.next() % base
    }

    fn strike(&mut self, kind: FaultKind, world: &mut World, now: u64, deeds: &mut Vec<Deed>) {
        let venue = self.rng.between(0, 1) as usize;
        match kind {
            FaultKind::Cut => self.one_wire(world, "C1", State::Cut),
            FaultKind::Dark => self.one_wire(world, "C4", State::Dark),
            FaultKind::CutVenue => {
                world.fault("C2", format_args!("all connections of {venue}"));
                cut_all(world, venue);
            }
            FaultKind::Refuse => {
                let until = now + self.span(200, 9);
                world.networks[venue].refuses_until = until;
                world.fault("refuse", format_args!("{venue} until {:.3}", world.trace.seconds(until)));
                world.disturb(until);
                cut_all(world, venue);
            }
            FaultKind::RestDown => {
                let until = now + self.span(200, 9);
                world.networks[venue].rest_down_until = until;
                world.fault("C10", format_args!("REST of {venue} until {:.3}", world.trace.seconds(until)));
                world.disturb(until);
            }
            FaultKind::Outage => self.outage(world, venue, now),
            FaultKind::BreakSends => {
                let until = now + self.span(1_000, 6);
                world.networks[venue].break_send_ppm = 10_000 << self.rng.between(0, 5);
                self.undo.push((until, Undo::BreakSends(venue)));
            }
            FaultKind::Hold => {
                let actor = self.rng.between(0, 6) as usize;
                let until = now + self.span(1, 13);
                self.held[actor] = until;
                if actor < 2 {
                    world.tags.hit("M14");
                }
                world.fault("L13", format_args!("thread {actor} until {:.3}", world.trace.seconds(until)));
                world.disturb(until);
                world.excuse_both(until + 3 * SECOND);
            }
            FaultKind::Crash => {
                let at = world.effects + 1 + self.rng.next() % 60;
                world.crash_at = Some(at);
                world.tags.hit("K");
            }
            FaultKind::CrashNow => deeds.push(Deed::CrashNow),
            FaultKind::PowerCut => deeds.push(Deed::CutPower),
            FaultKind::PowerCutNext => {
                world.crash_at = Some(world.effects + 1 + self.rng.next() % 60);
                world.cuts_power = true;
                world.tags.hit("K2");
            }
            FaultKind::DiskFull => {
                world.disk.full = true;
                let until = now + self.span(1_000, 8);
                self.undo.push((until, Undo::DiskFull));
                world.fault("L5", format_args!("until {:.3}", world.trace.seconds(until)));
                world.disturb(until);
            }
            FaultKind::Database => {
                deeds.push(Deed::Command(Command::HoldForDatabase(true)));
                let until = now + self.span(1_000, 8);
                self.undo.push((until, Undo::Database));
                world.tags.hit("L1");
            }
            FaultKind::Operator => deeds.push(Deed::Command(self.wish(world))),
        }
    }

    fn outage(&mut self, world: &mut World, venue: usize, now: u64) {
        let until = now + self.span(1_000, 12);
        let both = self.rng.chance(300_000);
        for venue in (0..2).filter(|&other| both || other == venue) {
            world.networks[venue].rest_down_until = until;
            world.networks[venue].refuses_until = until;
            cut_all(world, venue);
        }
        world.fault("outage", format_args!("{venue} both={both} until {:.3}", world.trace.seconds(until)));
        world.disturb(until);
    }

    fn wish(&mut self, world: &mut World) -> Command {
        let why = Reason::cut("simulated operator");
        match self.rng.between(0, 4) {
            0 => Command::Pause,
            1 => Command::Resume,
            2 => Command::Halt { flatten: false, why },
            3 => {
                world.tags.hit("halt --flatten");
                Command::Halt { flatten: true, why }
            }
            _ => Command::Adopt(PairId(0)),
        }
    }

    fn one_wire(&mut self, world: &mut World, tag: &'static str, state: State) {
        let up = world.up_wires();
        if up.is_empty() {
            return;
        }
        let id = up[(self.rng.next() % up.len() as u64) as usize];
        let (venue, role) = (world.wires[id].venue, world.wires[id].role);
        let tag = if role == Role::Private && state == State::Cut { "C3" } else { tag };
        world.fault(tag, format_args!("{venue} {}", role.name()));
        world.excuse_link(venue);
        match state {
            State::Dark => world.wires[id].state = State::Dark,
            _ => world.cut(id),
        }
    }

    /// At which effect of a start the engine dies.
    pub fn crash_in_start(&mut self, rng: &mut Rng) -> Option<u64> {
        if let Some(&(true, at)) = self.crash_plan.first() {
            self.crash_plan.remove(0);
            return Some(at);
        }
        let kills = self.storm > 0 || self.plan.iter().any(|row| row.0 == FaultKind::Crash);
        (kills && !self.healed && rng.chance(200_000)).then(|| 1 + rng.next() % 30)
    }

    /// At which effect of a run, counted from its start, the engine dies.
    pub fn crash_in_run(&mut self, rng: &mut Rng) -> Option<u64> {
        if let Some(&(false, at)) = self.crash_plan.first() {
            self.crash_plan.remove(0);
            return Some(at);
        }
        (self.storm > 0 && !self.healed).then(|| 20 + rng.next() % self.storm)
    }

    pub fn restart_pause(&mut self, rng: &mut Rng) -> u64 {
        let doublings = if self.storm > 0 { 4 } else { 9 };
        if self.healed { SECOND } else { (100 << rng.between(0, doublings)) * MS }
    }

    /// A person looks now and then and does what the engine asks for.
    pub fn operate(&mut self, world: &Shared, engine: &mut Engine, now: u64) {
        if now < self.look_at {
            return;
        }
        self.look_at = now + if self.healed { 5 * SECOND } else { self.span(5_000, 5) };
        let core = engine.order.core();
        let foreign = core.pairs().iter().find(|pair| pair.foreign.contains(&true));
        let adopted = foreign.filter(|_| self.rng.chance(500_000));
        let command = match (adopted, core.mode()) {
            (Some(pair), _) => Command::Adopt(pair.settings.id),
            (None, Mode::Halted) => Command::Unlatch { why: Reason::cut("looked at it") },
            (None, Mode::Paused | Mode::Reducing) => Command::Resume,
            (None, Mode::Active) => return,
        };
        let world = &mut *lock(world);
        let lifts = matches!(
            (core.mode(), &command),
            (Mode::Halted, Command::Unlatch { .. }) | (Mode::Reducing, Command::Resume)
        );
        world.lifted_unwritten |= world.disk.full && lifts;
        world.note("operator", format_args!("{command:?}"));
        let _ = engine.commands.push(command);
    }

    /// Nothing goes wrong any more, and what went wrong is undone.
    pub fn heal(&mut self, shared: &Shared, now: u64) {
        self.healed = true;
        // Whoever was called comes now.
        self.look_at = now;
        self.held = [0; 7];
        self.crash_plan.clear();
        self.undo.iter_mut().for_each(|row| row.0 = now);
        let world = &mut *lock(shared);
        for network in &mut world.networks {
            (network.refuses_until, network.rest_down_until, network.break_send_ppm) = (0, 0, 0);
        }
        for id in 0..world.wires.len() {
            if world.wires[id].state == State::Dark {
                world.cut(id);
            }
        }
        self.venue.heal(world, now);
        world.disturbed = now;
        world.excuse_both(now + 10 * SECOND);
    }
}

fn cut_all(world: &mut World, venue: usize) {
    for id in 0..world.wires.len() {
        if world.wires[id].venue == venue {
            world.cut(id);
        }
    }
    world.excuse_link(venue);
}
