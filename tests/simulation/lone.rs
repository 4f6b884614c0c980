//! Legs that are alone, by the venues' truth: how long each was, and that none is for too long. Part of the checker.

use bot4::order::pair::Pair;
use bot4::telemetry::alert::{Alert, Kind};
use bot4::types::{OrderState, Usd, VenueId};

use super::check::Checker;
use super::engine::Engine;
use super::options::Options;
use super::run::SECOND;
use super::violation::{Violation, broken};
use super::world::World;

/// How long one leg may be alone in all, ns, where little goes wrong; and where so much does that one thing hides
/// another: counted is only what nothing excuses.
const LONE_QUIET: u64 = 5 * SECOND;
const LONE_MAX: u64 = 15 * SECOND;

/// A start has to read what both venues hold before it can do anything, ns.
const RECOVERY: u64 = 5 * SECOND;

/// What others did to a position is seen by then, ns: positions are read so often, and twice before it is believed.
const OUTSIDE_SEEN: u64 = 15 * SECOND;

/// What others did is remembered at least so long, ns.
const FORGOTTEN: u64 = 60 * SECOND;

/// What an alert of a lone leg may come earlier or later than a leg that was alone for a second.
const ALERT_SLACK: u64 = SECOND / 2;

/// A leg that the engine has known to be alone for so long without an alert is a call that was missed: it is told after
/// a second, within one more, and by a thread that may be late. What follows soon on a call is told a minute after it.
const UNTOLD_MAX: u64 = 4 * SECOND;
const TOLD_FOR: u64 = 62 * SECOND;

/// How long a leg of each pair has been alone.
pub(super) struct Lone {
    /// By pair: since when, 0 = is not; and for how long of that nothing excused it.
    since: Vec<u64>,
    counted: Vec<u64>,
    /// By pair: since when the engine has known it (`MAX` = it does not), for how long of that the thread that calls
    /// has had its turns, and when it last called for one.
    known: Vec<u64>,
    untold: Vec<u64>,
    told: Vec<u64>,
    /// By pair: since when the engine has known that it is not alone (`MAX` = it is).
    hedged: Vec<u64>,
    /// When the thread that calls last had a turn.
    pub(super) drained: u64,
    /// By pair: when its last lone leg began and ended.
    last: Vec<(u64, u64)>,
    /// By pair: until when what others did may not have been seen.
    unseen: Vec<u64>,
    /// When they were last looked at.
    looked: u64,
    most: u64,
    /// Longest of all, and longest that nothing excused, ns.
    pub(super) longest: u64,
    pub(super) longest_counted: u64,
}

impl Lone {
    pub(super) fn new(options: &Options, pairs: usize) -> Self {
        Self {
            since: vec![0; pairs],
            counted: vec![0; pairs],
            known: vec![u64::MAX; pairs],
            untold: vec![0; pairs],
            told: vec![0; pairs],
            hedged: vec![0; pairs],
            drained: 0,
            last: vec![(0, 0); pairs],
            unseen: vec![0; pairs],
            looked: 0,
            most: if options.is_quiet() { LONE_QUIET } else { LONE_MAX },
            longest: 0,
            longest_counted: 0,
        }
    }
}

impl Checker {
    /// Whether an alert tells of a leg that is alone by the venues' truth, or just was; of a limit that trading itself
    /// has reached; or of a clock in a start, where the venues' clocks stand still while the calls take their time.
    pub(super) fn is_founded(&self, alert: &Alert, now: u64) -> bool {
        let starts = alert.kind == Kind::ClockOffset && now < self.began + 2 * SECOND;
        let limits = ["too many entries in a minute", "losing pairs in a row"];
        if starts || limits.iter().any(|limit| alert.what.contains(limit)) {
            return true;
        }
        let Some(pair) = alert.pair.filter(|_| alert.kind == Kind::LoneLeg) else { return false };
        let since = self.lone.since[pair.index()];
        let (from, until) = if since > 0 { (since, now) } else { self.lone.last[pair.index()] };
        until >= from + SECOND - ALERT_SLACK && now <= until + SECOND + ALERT_SLACK
    }

    /// The alerts of SAFETY §7: whatever excuses the leg, a person is called.
    fn is_told(
        &mut self,
        world: &World,
        passed: u64,
        engine: Option<&Engine>,
        pair: usize,
    ) -> Result<(), Violation> {
        let lone = &mut self.lone;
        let known = engine.is_some_and(|one| is_worth_a_call(&one.order.core().pairs()[pair]));
        // It calls by the journal: what found no room there, for which another call goes out, it cannot know.
        let now = world.now;
        let looks = now < lone.drained + 2 * SECOND && !world.disk.gap;
        lone.hedged[pair] = if known { u64::MAX } else { lone.hedged[pair].min(now) };
        // A hedge between two of its turns is none to who calls: the leg was told, and goes on.
        let ended = !known && (engine.is_none() || lone.drained > lone.hedged[pair]);
        if ended {
            lone.known[pair] = u64::MAX;
        } else if known {
            lone.known[pair] = lone.known[pair].min(now);
        }
        lone.untold[pair] = if known && looks { lone.untold[pair] + passed } else { 0 };
        let told = lone.told[pair];
        let called = told >= lone.known[pair] || now < told + TOLD_FOR;
        if lone.untold[pair] > UNTOLD_MAX && !called {
            return broken(format_args!("rule 6: nobody was called for the lone leg of pair {pair}"));
        }
        Ok(())
    }

    /// A person was called.
    pub(super) fn note_call(&mut self, alert: &Alert, now: u64) {
        if let Some(pair) = alert.pair.filter(|_| alert.kind == Kind::LoneLeg) {
            self.lone.told[pair.index()] = now;
        }
    }

    /// I1: the time with one leg in which the engine runs and nothing excuses it. It goes on over a restart.
    pub(super) fn lone_legs(&mut self, world: &mut World, engine: Option<&Engine>) -> Result<(), Violation> {
        self.forget_strangers(world, engine);
        world.look_for_excuses();
        let passed = world.now - std::mem::replace(&mut self.lone.looked, world.now).min(world.now);
        for pair in 0..self.lone.since.len() {
            self.is_told(world, passed, engine, pair)?;
            let delta = self.truth.delta(pair);
            if delta.abs() <= self.truth.dust(world, pair) {
                self.end_lone(world.now, pair);
                continue;
            }
            if self.lone.since[pair] == 0 {
                self.lone.since[pair] = world.now;
                continue;
            }
            let Some(engine) = engine.filter(|_| world.now > world.began + RECOVERY) else { continue };
            self.look_for_unseen(world, pair);
            if self.is_excused(world, engine, pair) {
                continue;
            }
            self.lone.counted[pair] += passed;
            let counted = self.lone.counted[pair];
            self.lone.longest_counted = self.lone.longest_counted.max(counted);
            if counted > self.lone.most {
                return self.is_lone_too_long(world.now, engine, pair);
            }
        }
        Ok(())
    }

    fn is_lone_too_long(&self, now: u64, engine: &Engine, pair: usize) -> Result<(), Violation> {
        let seconds = (now - self.lone.since[pair]) as f64 / 1e9;
        let (delta, outside) = (self.truth.delta(pair), self.truth.outside_net(pair));
        let foreign = engine.order.core().pairs()[pair].foreign;
        broken(format_args!(
            "I1: pair {pair} has been off by {delta} for too long, {seconds:.1} s in all; \
             others did {outside:?}, foreign: {foreign:?}"
        ))
    }

    fn end_lone(&mut self, now: u64, pair: usize) {
        let lone = &mut self.lone;
        let since = std::mem::take(&mut lone.since[pair]);
        if since > 0 {
            lone.last[pair] = (since, now);
            lone.longest = lone.longest.max(now - since);
            lone.counted[pair] = 0;
        }
    }

    /// It excuses where the venue holds the leg that is too much, or an order of which nobody else knows. What others
    /// did to a position is first to be seen; what of it is more than ours waits for a person (SAFETY V1).
    fn is_excused(&self, world: &World, engine: &Engine, pair: usize) -> bool {
        let ours = &engine.order.core().pairs()[pair];
        let live = |leg| ours.live_orders().any(|order| order.leg == leg);
        // An order whose end only its venue knows is waited for; else either venue offers a way home, the lighter one
        // where the pair has a direction in which it may be brought.
        let waits = (0..2).any(|venue| live(venue) && world.excuses(venue)) || self.is_blurred(ours, pair);
        // What the engine rightly calls a stranger's is no leg of ours.
        let others = self.truth.outside_net(pair);
        if (0..2).all(|venue| self.truth.position(venue, pair) == others[venue]) {
            // Nothing there is ours, also before a new run has said so.
            return true;
        }
        let known = |venue: usize| self.is_known_share(ours, venue, pair);
        let theirs = |venue: usize| match ours.foreign[venue] {
            true if known(venue) => ours.strangers[venue].raw(),
            true => others[venue],
            false => 0,
        };
        let held = [0, 1].map(|venue| self.truth.position(venue, pair) - theirs(venue));
        let dust = self.truth.dust(world, pair);
        if (0..2).any(known) && (held[0] + held[1]).abs() <= dust {
            return true;
        }
        let heavy = usize::from(held[1].abs() > held[0].abs());
        let brought = ours.book.direction.is_some();
        // What lost orders may have filled is not brought again while others' trades hide it.
        let hidden = |light: usize| ours.lost[light] && others[light] != 0;
        // An order that opens does not leave while the journal has no room for it (SAFETY L5).
        let shut = |light: usize| {
            let unwritten = world.disk.gap;
            unwritten || world.excuses(light) || hidden(light) || self.truth.is_poor(world, light, pair)
        };
        // A step that has become larger than what is held leaves that where it is (SAFETY V7).
        let stuck =
            |venue: usize| world.excuses(venue) || held[venue].abs() < self.truth.step(world, venue, pair);
        // Of two legs on the same side either has to go.
        let same_side = held[0].signum() * held[1].signum() > 0;
        let other_way = if same_side { !stuck(1 - heavy) } else { brought && !shut(1 - heavy) };
        if waits || (stuck(heavy) && !other_way) {
            return true;
        }
        // What a power cut took of a leg only its own venue knows.
        let core = engine.order.core();
        let unread =
            (0..2).any(|venue| core.awaits_past(VenueId(venue)) && world.excuses(usize::from(venue)));
        if unread || world.now < self.lone.unseen[pair] {
            return true;
        }
        // A run that holds nothing by its books has to see twice what it is to call a stranger's.
        let begins = world.now < world.began + OUTSIDE_SEEN && ours.book.is_flat() && !ours.has_live_orders();
        // Whose it is the venue's history has still to say, after a run that ended without a word.
        (reads_past(engine) || begins || ours.foreign.contains(&true))
            && (self.strange || self.truth.is_outside(pair, dust))
    }

    /// What others did may as well be what an order in doubt did, or hide that: where no list knows it, only time tells
    /// the two apart (SAFETY rule 2). What they did may have been booked, and undone by them after that.
    fn is_blurred(&self, ours: &Pair, pair: usize) -> bool {
        let others = self.truth.outside_net(pair);
        let mut in_doubt = ours.live_orders().filter(|order| order.state == OrderState::Unknown);
        in_doubt.any(|order| others[order.leg] != 0 || self.is_known_share(ours, order.leg, pair))
    }

    /// A stranger's share as the engine knows it explains the venue's position, and others have traded so much there.
    fn is_known_share(&self, ours: &Pair, venue: usize, pair: usize) -> bool {
        let (booked, share) = (ours.book.legs[venue].qty, ours.strangers[venue]);
        let explains = self.truth.position(venue, pair) == (booked + share).raw();
        ours.foreign[venue] && explains && self.truth.have_traded(venue, pair, share.raw())
    }

    /// What others did at a venue that is away is seen when that is back.
    fn look_for_unseen(&mut self, world: &World, pair: usize) {
        let outside = self.truth.outside_net(pair);
        let away = (0..2).any(|venue| outside[venue] != 0 && world.excuses(venue));
        let since = if away { world.now } else { self.truth.touched(pair) };
        self.lone.unseen[pair] = self.lone.unseen[pair].max(since + OUTSIDE_SEEN);
    }

    /// What others did is forgotten once nothing of it is left.
    fn forget_strangers(&mut self, world: &mut World, engine: Option<&Engine>) {
        // What a power cut has taken of the journal is told by the run that reads it, and by the venues' histories.
        let flat = self.truth.is_flat() && self.follow.held_pairs() == 0 && self.follow.open_orders() == 0;
        let flat = flat && !world.power_lost && engine.is_some_and(|engine| !reads_past(engine));
        if (self.strange || world.meddled) && flat {
            (self.strange, world.meddled) = (false, false);
        }
        for pair in 0..self.lone.since.len() {
            let touched = self.truth.touched(pair);
            // What an order of ours has just filled is not booked yet, and what it filled long ago may never have been
            // heard of: a bust of that is followed once it is.
            let old = touched > 0 && world.now > touched + FORGOTTEN;
            let id = self.config.settings.pairs[pair].id;
            if old && !self.holds(id) && !self.is_open(id) {
                self.truth.forget(pair);
                self.followed.retain(|one| one.2 != pair);
            }
        }
    }
}

/// By its books one leg holds more than the other by the 10 USD that a venue trades.
fn is_worth_a_call(pair: &Pair) -> bool {
    pair.book.reference.times(pair.book.net().abs()) >= Usd::from_raw(10 * 100_000_000)
}

/// It has still to read what the venues know of the run before.
fn reads_past(engine: &Engine) -> bool {
    (0..2).any(|venue| engine.order.core().awaits_past(VenueId(venue)))
}
