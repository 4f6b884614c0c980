//! One run: who is awake when. One thread, a virtual clock, and a seeded scheduler that decides which thread of the
//! engine runs next, how long it is held up and how far the clock jumps: to the next moment at which anything is due.

use std::sync::atomic::Ordering;

use bot4::config::Config;
use bot4::order::pair::Phase;
use bot4::types::{Command, Nanos};
use bot4_sim::core::rng::Rng;

use super::check::Checker;
use super::engine::{Engine, NotStarted, start};
use super::faults::Faults;
use super::options::Options;
use super::progress::Progress;
use super::setting;
use super::violation::Violation;
use super::world::{Shared, lock};

pub const MS: u64 = 1_000_000;
pub const SECOND: u64 = 1_000 * MS;

/// Who can be awake. Readers and keepers come in pairs, by venue.
const MD: usize = 0;
const SPREAD: usize = 2;
const ORDER: usize = 3;
const KEEPER: usize = 4;
const STORE: usize = 6;
/// The fault driver and the operator.
const DRIVER: usize = 7;
/// Whoever starts the engine again.
const STARTER: usize = 8;
const SIGNER: usize = 9;
const ACTORS: usize = 10;
/// The threads of the engine.
const THREADS: [usize; 8] = [MD, MD + 1, SPREAD, ORDER, KEEPER, KEEPER + 1, STORE, SIGNER];

/// How often a thread looks by itself when nothing wakes it. In production all but the cold ones spin; here the clock
/// jumps, and a deadline is met this late at most.
const IDLE: u64 = 200 * MS;
const STORE_EVERY: u64 = 50 * MS;
const DRIVER_EVERY: u64 = 500 * MS;

pub struct Run {
    pub world: Shared,
    pub options: Options,
    pub config: Config,
    pub engine: Option<Engine>,
    pub check: Checker,
    pub faults: Faults,
    next: [u64; ACTORS],
    /// A keeper in a blocking call.
    busy: [bool; 2],
    rng: Rng,
    /// When each run of the engine began, or would have, had it not been killed while it started.
    began: Vec<u64>,
    pub events: u64,
    /// Runs of the engine that began, and attempts that did not.
    pub starts: u64,
    pub failed_starts: u64,
    pub crashes: u64,
    pub effects_of_first_run: u64,
}

impl Run {
    pub fn new(options: Options) -> Self {
        bot4::types::planted::stub_signatures(!options.signed);
        let config = setting::config(&options);
        let world = setting::world(&options);
        let now = lock(&world).now;
        let mut next = [u64::MAX; ACTORS];
        (next[STARTER], next[DRIVER]) = (now, now + DRIVER_EVERY);
        Self {
            check: Checker::new(&options),
            faults: Faults::new(&options, now),
            rng: Rng::new(options.seed, "scheduler"),
            world,
            options,
            config,
            engine: None,
            next,
            busy: [false; 2],
            began: Vec::new(),
            events: 0,
            starts: 0,
            failed_starts: 0,
            crashes: 0,
            effects_of_first_run: 0,
        }
    }

    pub fn now(&self) -> u64 {
        lock(&self.world).now
    }

    /// Runs until a moment, or until something is wrong.
    pub fn until(&mut self, end: u64) -> Result<(), Violation> {
        loop {
            let (at, actor) = self.next_up();
            if at > end {
                lock(&self.world).set_time(end);
                return Ok(());
            }
            lock(&self.world).set_time(at);
            self.events += 1;
            match actor {
                None => self.advance_venues(),
                Some(actor) => self.turn(actor, at),
            }
            if lock(&self.world).dead {
                // What it did before it died is judged by the connections that it had.
                self.check.after_event(&self.world, None)?;
                self.bury();
            }
            self.check.after_event(&self.world, self.engine.as_ref())?;
        }
    }

    pub fn seconds(&mut self, seconds: u64) -> Result<(), Violation> {
        let end = self.now() + seconds * SECOND;
        self.until(end)
    }

    /// The earliest of all; `None` = a venue.
    fn next_up(&self) -> (u64, Option<usize>) {
        let (mut at, mut who) = (u64::MAX, None);
        for (actor, &due) in self.next.iter().enumerate() {
            if due < at {
                (at, who) = (due, Some(actor));
            }
        }
        let world = lock(&self.world);
        let venues = world.venue_due(0).min(world.venue_due(1)).max(world.now);
        if venues <= at { (venues, None) } else { (at.max(world.now), who) }
    }

    fn advance_venues(&mut self) {
        let mut awake = [false; 2];
        {
            let world = &mut *lock(&self.world);
            let now = world.us();
            for (venue, awake) in awake.iter_mut().enumerate() {
                if world.venue_due(venue) <= world.now {
                    world.venues[venue].advance(now);
                    *awake = true;
                }
            }
        }
        for (venue, woken) in awake.into_iter().enumerate() {
            if woken && self.engine.is_some() {
                self.wake(MD + venue);
                self.wake(ORDER);
            }
        }
    }

    /// Something may be there for this thread: it sees it a moment later, or much later when it is held up.
    fn wake(&mut self, actor: usize) {
        let now = self.now();
        if (KEEPER..KEEPER + 2).contains(&actor) && self.busy[actor - KEEPER] {
            return;
        }
        let held = self.faults.hold(actor, now);
        let at = now.max(held) + 200 + self.rng.next() % 20_000;
        self.next[actor] = self.next[actor].min(at);
    }

    fn turn(&mut self, actor: usize, now: u64) {
        match actor {
            DRIVER => return self.drive(now),
            STARTER => return self.try_start(now),
            _ => {}
        }
        let held = self.faults.hold(actor, now);
        if held > now {
            self.next[actor] = held;
            return;
        }
        match actor {
            SPREAD => self.turn_spread(now),
            ORDER => self.turn_order(now),
            STORE => self.turn_store(now),
            SIGNER => self.turn_signer(now),
            KEEPER.. => self.turn_keeper(actor - KEEPER, now),
            _ => self.turn_md(actor - MD, now),
        }
    }

    fn turn_md(&mut self, venue: usize, now: u64) {
        let Some(engine) = &mut self.engine else { return };
        let reader = &mut engine.md[venue];
        let worked = reader.poll(Nanos(now));
        let waits = reader.counts().waiting > 0;
        self.next[MD + venue] = now + if waits { MS / 2 } else { IDLE };
        if worked {
            self.next[MD + venue] = now + 1_000 + self.rng.next() % 10_000;
            [SPREAD, ORDER, KEEPER + venue].into_iter().for_each(|actor| self.wake(actor));
        }
        self.wake_store(now);
    }

    fn turn_spread(&mut self, now: u64) {
        let Some(engine) = &mut self.engine else { return };
        let worked = engine.spread.poll(Nanos(now));
        self.next[SPREAD] = now + IDLE;
        if worked {
            self.wake(ORDER);
            self.wake_signer();
        }
    }

    fn wake_signer(&mut self) {
        if self.options.ahead {
            self.wake(SIGNER);
        }
    }

    /// One ladder a turn, as in production; it is on the shelf when `order` next looks.
    fn turn_signer(&mut self, now: u64) {
        self.next[SIGNER] = u64::MAX;
        let Some(signer) = self.engine.as_mut().and_then(|engine| engine.signer.as_mut()) else { return };
        self.next[SIGNER] = now + if signer.poll(Nanos(now)) { MS } else { IDLE };
    }

    fn turn_order(&mut self, now: u64) {
        let Some(engine) = &mut self.engine else { return };
        let worked = engine.order.poll(Nanos(now));
        let core = engine.order.core();
        let busy = core.pairs().iter().any(|pair| pair.phase != Phase::Idle || pair.has_live_orders());
        let pause = if busy { MS + self.rng.next() % (2 * MS) } else { IDLE };
        self.next[ORDER] = now + if worked { 1_000 + self.rng.next() % 10_000 } else { pause };
        if worked {
            [SPREAD, KEEPER, KEEPER + 1].into_iter().for_each(|actor| self.wake(actor));
            self.wake_store(now);
        }
    }

    /// A keeper blocks as long as its calls take: only then is seen what it says.
    fn turn_keeper(&mut self, venue: usize, now: u64) {
        let Some(engine) = &mut self.engine else { return };
        let keeper = &mut engine.keepers[venue];
        if self.busy[venue] {
            self.busy[venue] = false;
            keeper.clock.spent.store(0, Ordering::Relaxed);
        }
        let [to_md, to_order] = &mut keeper.pumps;
        let (md, order) = (to_md.run(), to_order.run());
        let worked = keeper.thread.poll(Nanos(now));
        let spent = keeper.clock.spent.load(Ordering::Relaxed);
        self.busy[venue] = worked;
        self.next[KEEPER + venue] = now + if worked { spent.max(1_000) } else { IDLE };
        if md {
            self.wake(MD + venue);
        }
        if order {
            self.wake(ORDER);
        }
    }

    fn wake_store(&mut self, now: u64) {
        self.next[STORE] = self.next[STORE].min(now + STORE_EVERY);
    }

    /// Records to the telemetry, entries after them, and the sync that makes the journal durable.
    fn turn_store(&mut self, now: u64) {
        let Some(engine) = &mut self.engine else { return };
        let world = &mut *lock(&self.world);
        self.check.drain_store(world, engine, now);
        world.disk.sync();
        world.disk.supply();
        self.next[STORE] = now + 5 * IDLE;
    }

    fn drive(&mut self, now: u64) {
        self.next[DRIVER] = now + DRIVER_EVERY;
        lock(&self.world).end_lingering();
        let deeds = self.faults.due(&self.world, now);
        for deed in deeds {
            self.carry_out(deed, now);
        }
        if let Some(engine) = &mut self.engine {
            self.faults.operate(&self.world, engine, now);
            self.wake(ORDER);
        }
    }

    fn carry_out(&mut self, deed: super::faults::Deed, now: u64) {
        use super::faults::Deed;
        match deed {
            Deed::CrashNow => {
                if self.engine.is_some() {
                    lock(&self.world).die("now");
                }
            }
            Deed::CutPower => {
                if self.engine.is_some() {
                    let world = &mut *lock(&self.world);
                    world.tags.hit("K2");
                    world.cuts_power = true;
                    world.die("power cut");
                }
            }
            Deed::Command(command) => {
                if let Some(engine) = &mut self.engine {
                    let _ = engine.commands.push(command);
                    lock(&self.world).note("operator", format_args!("{command:?}"));
                    self.wake(ORDER);
                }
            }
        }
        let _ = now;
    }

    /// The engine's process is gone.
    fn bury(&mut self) {
        let now = self.now();
        let cut = std::mem::take(&mut lock(&self.world).cuts_power);
        if cut {
            let world = &mut *lock(&self.world);
            world.disk.cut_power(&mut Rng::new(self.rng.next(), "power"));
            (world.power_lost, world.meddled) = (true, true);
        }
        if let Some(engine) = self.engine.take() {
            self.crashes += 1;
            self.check.crashed(&self.world, &engine);
            drop(engine);
        }
        let world = &mut *lock(&self.world);
        world.drop_wires();
        world.dead = false;
        THREADS.into_iter().for_each(|actor| self.next[actor] = u64::MAX);
        self.busy = [false; 2];
        let pause = self.faults.restart_pause(&mut self.rng);
        // Killed before its threads ran, it has spent the time of its start all the same.
        let now = self.began.last().map_or(now, |&began| now.max(began));
        self.next[STARTER] = now + pause;
        world.disturb(now + pause);
    }

    fn try_start(&mut self, now: u64) {
        self.next[STARTER] = u64::MAX;
        {
            let mut world = lock(&self.world);
            world.effects = 0;
            world.progress = Progress::start();
            world.crash_at = self.faults.crash_in_start(&mut self.rng);
        }
        let damaged = |run: &Self| lock(&run.world).tags.count("journal damaged");
        let damaged_before = damaged(self);
        let started = start(&self.world, &self.config, &self.options);
        if damaged(self) > damaged_before {
            self.check.journal_lost();
            lock(&self.world).meddled = true;
        }
        match started {
            Ok((engine, took)) => {
                self.starts += 1;
                self.check.started(&self.world);
                self.engine = Some(engine);
                let begin = now + took;
                for actor in THREADS.into_iter().filter(|actor| *actor != SIGNER || self.options.ahead) {
                    self.next[actor] = begin + self.rng.next() % 100_000;
                }
                let mut world = lock(&self.world);
                world.disturb(begin);
                world.began = begin;
                let crash = self.faults.crash_in_run(&mut self.rng);
                world.crash_at = world.crash_at.or(crash.map(|at| world.effects + at));
                world.progress.starting = false;
                self.began.push(begin);
                let recent = self.began.iter().rev().take_while(|at| begin < **at + 600 * SECOND).count();
                if recent >= 4 {
                    world.tags.hit("L16");
                }
            }
            Err(NotStarted { why, after, damaged }) => {
                self.failed_starts += 1;
                let mut world = lock(&self.world);
                world.note("start", format_args!("failed: {why}"));
                if damaged {
                    world.tags.hit("journal put away");
                    world.disk.put_away();
                    world.meddled = true;
                    self.check.journal_lost();
                }
                world.drop_wires();
                (world.dead, world.crash_at, world.cuts_power) = (false, None, false);
                self.next[STARTER] = now + after + self.faults.restart_pause(&mut self.rng);
                world.disturb(self.next[STARTER]);
            }
        }
    }

    /// Faults are over: everything answers again, and a person does what the engine asks for.
    pub fn heal(&mut self) {
        let now = self.now();
        self.faults.heal(&self.world, now);
        let world = &mut *lock(&self.world);
        (world.crash_at, world.cuts_power) = (None, false);
        world.note("heal", format_args!(""));
    }

    pub fn command(&mut self, command: Command) {
        if let Some(engine) = &mut self.engine {
            let taken = engine.commands.push(command).is_ok();
            // A ring that is full loses what is said: a person says it again.
            lock(&self.world).progress.stopping |= taken && matches!(command, Command::Stop { .. });
            lock(&self.world).note("operator", format_args!("{command:?}, taken: {taken}"));
            self.wake(ORDER);
        }
    }

    pub fn has_converged(&self) -> Result<(), Violation> {
        let Some(engine) = &self.engine else { return Err(Violation("I20: no engine runs".into())) };
        self.check.has_converged(&lock(&self.world), engine)
    }

    /// The stop has ended: nothing open, nothing unknown, verified by query.
    pub fn is_stopped(&self) -> bool {
        self.engine.as_ref().is_some_and(|engine| engine.order.core().is_stopped())
    }

    /// The engine was started again after a stop began.
    pub fn has_forgotten_the_stop(&self) -> bool {
        self.engine.is_some() && !lock(&self.world).progress.stopping
    }

    /// What stands in the way of a clean end.
    pub fn remains(&self) -> Vec<String> {
        self.engine.as_ref().map(|engine| engine.order.core().remains(Nanos(self.now()))).unwrap_or_default()
    }

    /// After a stop with flatten: both venues hold nothing of ours (I7), and the money adds up (I17).
    pub fn ended_flat(&self) -> Result<(), Violation> {
        let Some(engine) = &self.engine else { return Err(Violation("L8: no engine runs".into())) };
        self.check.ended_flat(&mut lock(&self.world), engine)
    }
}
