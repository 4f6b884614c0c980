//! Configuration and keys of a simulated engine: the shipped defaults under what the run's options overlay.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use bot4::config::{Config, parse};
use bot4::types::Secret;
use bot4::venue::{REGISTRY, Secrets, Setup};
use bot4_sim::core::Delay;
use bot4_sim::core::rng::Rng;
use bot4_sim::options::{Keys, Profile, Switches};
use bot4_sim::stage::Stage;

use super::coverage::Tags;
use super::disk::Disk;
use super::excuse::Excuses;
use super::options::Options;
use super::progress::Progress;
use super::trace::Trace;
use super::venue_faults::VenueFaults;
use super::world::{Network, Shared, World};

/// When every run begins: 2026-11-23, a Monday, 00:00 UTC.
const START_NS: u64 = 1_795_392_000 * 1_000_000_000;

/// Life of the signing key, ms.
const KEY_LIFE_MS: u64 = 30 * 86_400_000;

/// Symbols and size of a base asset's pair.
const PAIRS: [(&str, &str); 3] = [("BTC", "0.002"), ("ETH", "0.048"), ("SOL", "0.96")];

/// The engine's configuration for these options.
pub fn config(options: &Options) -> Config {
    let mut text = format!(
        "mode = \"live\"\ndedicated_account = {}\n[execution]\nlegs = \"{}\"\n",
        options.dedicated, options.legs
    );
    text += "[signal]\nbasis = \"raw\"\nbasis_warmup_s = 0\n";
    text += &format!(
        "[risk]\ncooldown_s = {}\nfailed_leg_cooldown_s = {}\nlink_cooldown_s = {}\n",
        options.cooldown_s,
        options.cooldown_s * 4,
        options.cooldown_s * 2
    );
    text += &format!(
        "max_entries_per_hour = {}\nmax_entries_per_day = {}\n",
        options.entries_per_hour,
        options.entries_per_hour * 24
    );
    if options.tight {
        text += "max_order_notional_usd = 160\nmax_pair_notional_usd = 310\nmax_gross_notional_usd = 310\n";
        text += "daily_loss_usd = 1\n";
    }
    text += "losing_pairs_pause = 100\n[journal]\nfree_min_mb = 64\n";
    text += "[venues.vest]\nenv = \"sim\"\nrest_url = \"https://localhost:8441/v2\"\n";
    text += "ws_url = \"wss://localhost:8441/ws-api\"\norders_per_s = 50\n";
    text += "[venues.paradex]\nenv = \"sim\"\nrest_url = \"https://localhost:8442/v1\"\n";
    text += "ws_url = \"wss://localhost:8442/v1\"\n";
    for (name, size) in &PAIRS[..options.pairs] {
        text += &format!(
            "[[pairs]]\nname = \"{name}\"\nvest = \"{name}-PERP\"\nparadex = \"{name}-USD-PERP\"\n\
             size = \"{size}\"\nentry_threshold = 0.30\nexit_threshold = 0.02\n"
        );
    }
    parse("simulation.toml", &text, &REGISTRY).unwrap_or_else(|error| panic!("{error}"))
}

/// What the parts of one venue are made from. The keys are published test keys.
pub fn setup(config: &Config, venue: usize, now_ms: u64) -> Setup {
    let keys = Keys::default();
    let secret = |text: &str| Secret::new(text.to_owned());
    let secrets: BTreeMap<&'static str, Secret> = match REGISTRY[venue].env_prefix {
        prefix if prefix.starts_with("VEST") => [
            ("PRIMARY_ADDRESS", secret(VEST_PRIMARY_ADDRESS)),
            ("SIGNING_KEY", secret(&keys.vest_signing)),
            ("API_KEY", secret(&keys.vest_api_key)),
            ("ACCOUNT_GROUP", secret(&keys.vest_account_group.to_string())),
            ("SIGNER_EXPIRY_MS", secret(&(now_ms + KEY_LIFE_MS).to_string())),
        ]
        .into(),
        _ => [("ACCOUNT_ADDRESS", secret(&keys.paradex_account)), ("SUBKEY", secret(&keys.paradex_subkey))]
            .into(),
    };
    config.setup(&config.venues[venue], Secrets(secrets))
}

/// Address of `Keys::default().vest_primary`.
const VEST_PRIMARY_ADDRESS: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

/// Both venues and all that lies between them and the engine, before anything has happened.
pub fn world(options: &Options) -> Shared {
    let latency = if options.slow_venues { Profile::Realistic } else { Profile::Fast };
    let cadence = |ms: i64| Delay::of(ms * 500, ms * 1_500);
    let staged = bot4_sim::Options {
        seed: options.seed,
        vest_latency: latency,
        paradex_latency: latency,
        bases: PAIRS[..options.pairs].iter().map(|(name, _)| (*name).to_owned()).collect(),
        basis_amplitude_cbps: options.basis_cbps,
        basis_half_life_ms: options.half_life_ms,
        requote_ppm: options.requote_ppm,
        deposit_usd: super::check::DEPOSIT_USD,
        switches: Switches { stub_signatures: !options.signed, ..Switches::default() },
        vest_cadence: cadence(options.cadence_ms[0]),
        paradex_cadence: cadence(options.cadence_ms[1]),
        ticker_us: 5_000_000,
        grid_us: 500_000,
        // Seen by runs that last until 04:30 of their Monday.
        paradex_cycle: options.seed.is_multiple_of(2),
        ..bot4_sim::Options::default()
    };
    let start_us = (START_NS / 1_000) as i64;
    let venues = [Stage::vest(&staged, start_us), Stage::paradex(&staged, start_us)];
    let venues = venues.map(|venue| venue.unwrap_or_else(|| panic!("the published test keys are keys")));
    let network = Network { round_trip: (1_000_000, 20_000_000), ..Network::default() };
    let clock = bot4::sys::clock::ManualClock::at(bot4::types::Nanos(START_NS));
    let mut world = World {
        clock,
        now: START_NS,
        rng: Rng::new(options.seed, "seams"),
        venues,
        networks: [network; 2],
        wires: Vec::new(),
        lingering: VecDeque::new(),
        disk: Disk::new(options.segment_bytes, options.durability),
        trace: Trace::new(START_NS, options.loud),
        tags: Tags::default(),
        dead: false,
        rolled_back: 0,
        busted_unheard: false,
        meddled: false,
        calm_before_bust: false,
        lifted_unwritten: false,
        moved: 0,
        power_lost: false,
        cuts_power: false,
        effects: 0,
        crash_at: None,
        disturbed: START_NS,
        lied_until: 0,
        rest_faulty: if options.wire_ppm > 0 { u64::MAX } else { 0 },
        clock_off: [0; 2],
        excuses: Excuses::default(),
        began: 0,
        progress: Progress::default(),
        orders_out: Vec::new(),
        md_read: [0; 2],
    };
    VenueFaults::install(options, &mut world);
    Arc::new(Mutex::new(world))
}
