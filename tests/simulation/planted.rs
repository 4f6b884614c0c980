//! The deliberate mistakes (`src/types/planted.rs`) and how each is looked for: every one must be found within its
//! seeds by the same checker that finds nothing without it.

use super::faults::FaultKind as F;
use super::options::Options;
use super::simulate::{Outcome, simulate};
use super::venue_faults::VenueFault as V;

/// Seeds tried before a mistake counts as not found.
pub const SEEDS_MAX: u64 = 400;
/// Virtual seconds of a try.
const TRY_S: u64 = 1_200;

/// How a run is made likely to meet a mistake. Nothing in it tells the checker anything.
#[derive(Clone, Copy, Debug)]
pub enum Look {
    /// As the swarm draws it.
    Swarm,
    /// A calm run with these faults often.
    Often(&'static [F], &'static [V]),
    /// Messages lost, late and doubled often, and nothing else.
    Wire,
    /// The engine dies again and again.
    Storm,
    /// The power fails again and again.
    Power,
}

use Look::{Often, Power, Storm, Swarm, Wire};

pub const MISTAKES: &[(&str, Look)] = &[
    ("timeout_is_failure", Wire),
    ("not_found_is_dead", Often(&[], &[V::Gateway])),
    ("window_not_waited_for", Often(&[F::Dark], &[V::Gateway, V::Lag])),
    ("position_not_read", Often(&[], &[V::Behind])),
    ("report_on_top_of_fills", Wire),
    ("fills_counted_twice", Often(&[], &[V::Twice])),
    ("cancel_is_an_end", Often(&[], &[V::Pending])),
    ("acknowledged_is_filled", Often(&[], &[V::Refuse, V::Part])),
    ("untold_is_unfilled", Often(&[], &[V::Part])),
    ("partial_is_whole", Often(&[], &[V::Part])),
    ("fills_not_waited_for", Wire),
    ("ambiguous_is_refused", Often(&[F::BreakSends], &[V::Pending])),
    ("late_fill_ignored", Often(&[], &[V::Late])),
    ("bust_ignored", Often(&[], &[V::Bust])),
    ("lost_link_is_lost_order", Often(&[F::CutVenue, F::Cut], &[V::Pending])),
    ("intent_after_send", Swarm),
    ("fills_not_journalled", Swarm),
    ("closes_not_journalled", Storm),
    ("mends_while_unknown", Wire),
    ("lone_leg_ignored", Often(&[], &[V::Part])),
    ("lone_leg_not_told", Often(&[], &[V::Part, V::RefuseCloses])),
    ("gives_up_after_three_tries", Often(&[], &[V::Part, V::RefuseCloses])),
    ("mode_holds_back_mending", Often(&[F::Operator], &[V::Part])),
    ("daily_loss_ignored", Often(&[], &[V::Part])),
    ("lost_tail_ignored", Power),
    ("recovery_calls_orders_dead", Storm),
    ("recovery_skips_fills", Storm),
    ("lighter_leg_is_unwound", Often(&[], &[V::Part])),
    ("unwind_at_any_price", Often(&[], &[V::Part])),
    ("completes_the_wrong_side", Often(&[], &[V::Part])),
    ("enters_in_every_mode", Often(&[F::Operator], &[])),
    ("exit_by_configured_size", Often(&[], &[V::Part])),
    ("close_not_reduce_only", Swarm),
    ("window_of_five_minutes", Swarm),
    ("snapshot_forgets_latch", Storm),
    ("snapshot_forgets_books", Storm),
    ("snapshot_forgets_orders", Storm),
    ("resume_lifts_latch", Often(&[F::Operator], &[])),
    ("number_used_twice", Swarm),
    ("nonce_by_clock_alone", Swarm),
    ("enters_without_private_stream", Often(&[F::Cut, F::Refuse], &[])),
    ("venue_mode_ignored", Often(&[], &[V::Mode])),
    ("entry_throttle_off", Swarm),
    ("age_of_books_ignored", Often(&[], &[V::Freeze])),
    ("gross_cap_off", Swarm),
    ("clock_offset_ignored", Often(&[], &[V::Clock])),
    ("strangers_cancelled", Often(&[], &[V::Rest])),
    ("positions_not_compared", Often(&[], &[V::Force])),
    ("gone_leg_ignored", Often(&[], &[V::Force])),
    ("failed_query_is_flat", Often(&[F::RestDown], &[])),
    ("failed_query_is_not_found", Often(&[F::RestDown, F::Cut], &[V::Pending])),
    ("fees_forgotten", Swarm),
    ("rejects_not_counted", Often(&[], &[V::Garbage, V::Lie])),
];

/// The options of one try.
pub fn options(look: Look, seed: u64) -> Options {
    let options = match look {
        Swarm => Options::swarm(seed, TRY_S),
        Storm => Options::storm(seed, TRY_S),
        Power => Options::power(seed, TRY_S),
        Wire => Options { wire_ppm: 120_000, ..Options::busy(seed, TRY_S) },
        Often(faults, venue_faults) => Options {
            faults: faults.iter().map(|&kind| (kind, 40)).collect(),
            venue_faults: venue_faults.iter().map(|&kind| (kind, 40)).collect(),
            ..Options::busy(seed, TRY_S)
        },
    };
    Options { signed: false, ..options }
}

/// A seed that breaks a promise without the mistake proves nothing about it, and is passed over.
fn proves(options: &Options) -> bool {
    make("");
    simulate(options).violation.is_none()
}

/// Seeds tried and the violation of the last of them, when it was found.
pub fn search(name: &'static str, look: Look, seeds: u64) -> (u64, Option<Outcome>) {
    for seed in 1..=seeds {
        let options = options(look, seed);
        make(name);
        let outcome = simulate(&options);
        if outcome.violation.is_some() && proves(&options) {
            return (seed, Some(outcome));
        }
    }
    make("");
    (seeds, None)
}

#[cfg(feature = "planted")]
fn make(name: &'static str) {
    bot4::types::planted::plant(name);
}

#[cfg(not(feature = "planted"))]
fn make(_name: &'static str) {
    panic!("built without the feature `planted`");
}
