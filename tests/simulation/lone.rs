//! Legs that are alone, by the venues' truth: how long each was, and that none is for too long. Part of the checker.

use bot4::telemetry::alert::{Alert, Kind};

use super::check::Checker;
use super::engine::Engine;
use super::run::SECOND;
use super::violation::{Violation, broken};
use super::world::World;

/// How long one leg may be alone while nothing interferes, ns: what is unknown has to be resolved first.
const LONE_MAX: u64 = 60 * SECOND;

/// What an alert of a lone leg may come earlier or later than a leg that was alone for a second.
const ALERT_SLACK: u64 = SECOND / 2;

impl Checker {
    /// Whether an alert tells of a leg that is alone by the venues' truth, or just was; of a limit that trading itself
    /// has reached; or of a clock in a start, where the venues' clocks stand still while the calls take their time.
    pub(super) fn is_founded(&self, alert: &Alert, now: u64) -> bool {
        let starts = alert.kind == Kind::ClockOffset && now < self.began + 2 * SECOND;
        if starts || alert.what.contains("too many entries in a minute") {
            return true;
        }
        let Some(pair) = alert.pair.filter(|_| alert.kind == Kind::LoneLeg) else { return false };
        let since = self.lone_since[pair.index()];
        let (from, until) = if since > 0 { (since, now) } else { self.last_lone[pair.index()] };
        until >= from + SECOND - ALERT_SLACK && now <= until + SECOND + ALERT_SLACK
    }

    /// I1, while nothing interferes and the engine runs. What a venue has done to a position and the engine has
    /// reported as not its own waits for a person (SAFETY V1).
    pub(super) fn lone_legs(&mut self, world: &World, engine: Option<&Engine>) -> Result<(), Violation> {
        if self.strange && self.truth.is_flat() && self.follow.held_pairs() == 0 {
            self.strange = false;
        }
        for pair in 0..self.lone_since.len() {
            let lone = self.truth.delta(pair).abs() > self.truth.dust(world, pair);
            if !lone || self.strange {
                let since = self.lone_since[pair];
                if since > 0 {
                    self.last_lone[pair] = (since, world.now);
                    self.longest_lone = self.longest_lone.max(world.now - since);
                }
                // Where the network is faulty all along, something interferes at every moment.
                let interfered = world.disturbed.max(world.rest_faulty).max(world.orders_faulty);
                if since > interfered.saturating_add(10 * SECOND) {
                    self.longest_quiet_lone = self.longest_quiet_lone.max(world.now - since);
                }
                self.lone_since[pair] = 0;
                continue;
            }
            if self.lone_since[pair] == 0 {
                self.lone_since[pair] = world.now;
            }
            let Some(engine) = engine else { continue };
            if world.meddled && engine.order.core().pairs()[pair].foreign.contains(&true) {
                self.reported[pair] = world.now;
            }
            // A later fault may have overwritten the end of an outage that goes on. It excuses where the venue holds
            // the leg that is too much, or an order of which nobody else knows.
            let held = [0, 1].map(|venue| self.truth.position(venue, pair).abs());
            let live = |leg| engine.order.core().pairs()[pair].live_orders().any(|order| order.leg == leg);
            let needed = (0..2).filter(|&venue| held[venue] >= held[1 - venue] || live(venue));
            let networks = needed.map(|venue| &world.networks[venue]);
            let away = networks.map(|network| network.refuses_until.max(network.rest_down_until));
            let away = away.max().unwrap_or_default().min(world.now);
            let interfered = world.disturbed.max(world.orders_faulty).max(self.reported[pair]).max(away);
            let from = self.lone_since[pair].max(interfered);
            if world.now > from + LONE_MAX {
                let delta = self.truth.delta(pair);
                return broken(format_args!("I1: pair {pair} has been off by {delta} for too long"));
            }
        }
        Ok(())
    }
}
