//! One seed from its start to its verdict: faults, then healing and convergence, then an orderly end with everything
//! flat (SAFETY §3). What a violation prints is all that is needed to see it again.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bot4::types::Command;

use super::coverage::Tags;
use super::options::Options;
use super::run::{Run, SECOND};
use super::violation::Violation;
use super::world::lock;

/// Virtual seconds that the engine gets to come to rest once nothing goes wrong any more, and to stop.
const CONVERGE_S: u64 = 900;
const STOP_S: u64 = 120;

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub violation: Option<String>,
    /// The last lines before a violation.
    pub tail: String,
    pub hash: u64,
    pub events: u64,
    /// Virtual nanoseconds.
    pub lasted: u64,
    pub starts: u64,
    pub crashes: u64,
    pub pairs_opened: u64,
    pub pairs_closed: u64,
    pub orders: u64,
    /// Nanoseconds with one leg, and the seed.
    pub longest_lone: (u64, u64),
    pub longest_quiet_lone: (u64, u64),
    pub alerts: Vec<(&'static str, u64)>,
    /// Alerts of what is true.
    pub founded: u64,
    pub tags: Tags,
    /// Effects of the first run of the engine, its start included.
    pub effects_of_first_run: u64,
}

/// Runs one seed. A panic of the engine is a violation like any other.
pub fn simulate(options: &Options) -> Outcome {
    let mut run = Run::new(options.clone());
    run.faults.crash_plan = options.deaths.clone();
    let begun = run.now();
    let verdict = catch_unwind(AssertUnwindSafe(|| phases(&mut run)));
    let violation = match verdict {
        Ok(Ok(())) => None,
        Ok(Err(Violation(what))) => Some(what),
        Err(panic) => Some(format!("panic: {}", text_of(&*panic))),
    };
    let world = lock(&run.world);
    let tail = violation.as_ref().map(|_| world.trace.tail()).unwrap_or_default();
    Outcome {
        tail,
        hash: world.trace.hash(),
        events: run.events,
        lasted: world.now - begun,
        starts: run.starts,
        crashes: run.crashes,
        pairs_opened: run.check.pairs_opened,
        pairs_closed: run.check.pairs_closed,
        orders: run.check.orders,
        longest_lone: (run.check.lone.longest, options.seed),
        longest_quiet_lone: (run.check.lone.longest_counted, options.seed),
        alerts: run.check.alerts.iter().map(|(kind, count)| (*kind, *count)).collect(),
        founded: run.check.founded,
        tags: world.tags.clone(),
        effects_of_first_run: run.effects_of_first_run,
        violation: violation
            .map(|what| format!("{what} at {:.6} s of virtual time", world.trace.seconds(world.now))),
    }
}

fn phases(run: &mut Run) -> Result<(), Violation> {
    run.seconds(run.options.seconds)?;
    run.effects_of_first_run = lock(&run.world).effects;
    run.heal();
    converge(run)?;
    stop(run)
}

/// Until the promises of liveness hold, at most so long.
fn converge(run: &mut Run) -> Result<(), Violation> {
    run.seconds(60)?;
    let until = run.now() + CONVERGE_S * SECOND;
    loop {
        let Err(open) = run.has_converged() else { return Ok(()) };
        if run.now() >= until {
            return Err(open);
        }
        run.seconds(5)?;
    }
}

/// SIGTERM with `--flatten-on-stop`: the engine ends by itself, and both venues hold nothing of ours. One seed in four
/// dies in the middle of it, is started again and told again.
fn stop(run: &mut Run) -> Result<(), Violation> {
    lock(&run.world).tags.hit("L8");
    run.command(Command::Stop { flatten: true });
    if run.options.seed % 4 == 1 {
        let world = &mut *lock(&run.world);
        world.crash_at = Some(world.effects + 1 + run.options.seed / 4 % 8);
    }
    let until = run.now() + STOP_S * SECOND;
    while !run.is_stopped() {
        if run.has_forgotten_the_stop() {
            run.command(Command::Stop { flatten: true });
        }
        if run.now() >= until {
            return Err(Violation(format!("L8: no end of the stop: {:?}", run.remains())));
        }
        run.seconds(1)?;
    }
    run.ended_flat()
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_default()
}
