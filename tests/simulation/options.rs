//! What a seed decides before its run: how the engine is set up, how the venues behave, which faults exist and how
//! often each strikes. Any of it can be printed, and the same seed always gives the same (swarm testing, SAFETY
//! §4.2).

use std::fmt;

use bot4::journal::Durability;
use bot4_sim::core::rng::Rng;

use super::faults::FaultKind;
use super::venue_faults::VenueFault;

/// Depths of the engine's rings.
#[derive(Clone, Copy, Debug)]
pub struct Depths {
    pub quote: usize,
    pub intent: usize,
    pub exposure: usize,
    pub keeper: usize,
    pub command: usize,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Options {
    pub seed: u64,
    /// Length of the phase with faults, virtual seconds.
    pub seconds: u64,
    pub pairs: usize,
    pub legs: &'static str,
    pub dedicated: bool,
    pub auto_resume: bool,
    /// A thread signs orders ahead.
    pub ahead: bool,
    /// Signatures are made, and the venues look at every one; else stubs stand for them.
    pub signed: bool,
    pub durability: Durability,
    pub rings: Depths,
    pub segment_bytes: usize,
    pub cooldown_s: u32,
    pub entries_per_hour: u32,
    /// Mean pause between two book messages of a market, ms.
    pub cadence_ms: [i64; 2],
    /// Deviation of each venue's basis, 1/100 bps, and its half-life, ms.
    pub basis_cbps: i64,
    pub half_life_ms: i64,
    /// As clients reported instead of a few milliseconds.
    pub slow_venues: bool,
    pub requote_ppm: u32,
    /// Shares of private events, requests and answers that go wrong, ppm; zero = never.
    pub wire_ppm: u32,
    /// Faults of this run and the mean pause between two of a kind, virtual seconds.
    pub faults: Vec<(FaultKind, u64)>,
    pub venue_faults: Vec<(VenueFault, u64)>,
    /// Caps that bind: three pairs on a gross cap for two, and a day's loss of 1 USD.
    pub tight: bool,
    /// Every run of the engine dies at a random effect among so many of its first ones; 0 = none does.
    pub storm: u64,
    /// Deaths at these effects, in order: of a start (true), or of the run after it.
    pub deaths: Vec<(bool, u64)>,
    /// Print everything as it happens.
    pub loud: bool,
}

impl Options {
    /// A run without faults.
    pub fn calm(seed: u64, seconds: u64) -> Self {
        Self {
            seed,
            seconds,
            pairs: 1,
            legs: "together",
            dedicated: true,
            auto_resume: true,
            // A ladder is hashed and written at each near tick, so that few runs do.
            ahead: seed.is_multiple_of(16) || seed % 49 == 48,
            // Real signatures cost some hundred times what everything else does.
            signed: seed % 49 == 48,
            durability: Durability::Process,
            rings: Depths { quote: 64, intent: 8, exposure: 16, keeper: 64, command: 8 },
            segment_bytes: 64 << 10,
            cooldown_s: 5,
            entries_per_hour: 20,
            cadence_ms: [700, 700],
            basis_cbps: 2_000,
            half_life_ms: 20_000,
            slow_venues: false,
            requote_ppm: 0,
            wire_ppm: 0,
            faults: Vec::new(),
            venue_faults: Vec::new(),
            tight: false,
            storm: 0,
            deaths: Vec::new(),
            loud: false,
        }
    }

    /// A random set-up with a random subset of the faults.
    pub fn swarm(seed: u64, seconds: u64) -> Self {
        let mut rng = Rng::new(seed, "options");
        let mut one = |of: &[i64]| of[rng.between(0, of.len() as i64 - 1) as usize];
        let mut options = Self {
            pairs: one(&[1, 1, 1, 2, 3]) as usize,
            tight: one(&[0, 0, 0, 1]) == 1,
            legs: ["together", "together", "vest_first", "paradex_first"][one(&[0, 1, 2, 3]) as usize],
            dedicated: one(&[0, 1, 1]) == 1,
            auto_resume: one(&[0, 1, 1, 1]) == 1,
            durability: if one(&[0, 0, 1]) == 0 { Durability::Process } else { Durability::Power },
            rings: Depths {
                quote: one(&[1, 2, 4, 64, 1024]) as usize,
                intent: one(&[1, 2, 64]) as usize,
                exposure: one(&[2, 4, 256]) as usize,
                keeper: one(&[1, 2, 4, 16, 1024]) as usize,
                command: one(&[1, 2, 64]) as usize,
            },
            segment_bytes: one(&[16, 32, 64, 256]) as usize * 1024,
            cooldown_s: one(&[1, 5, 20]) as u32,
            entries_per_hour: one(&[20, 60, 400]) as u32,
            cadence_ms: [one(&[200, 700, 700, 1_200]), one(&[100, 700, 700, 900])],
            basis_cbps: one(&[1_500, 2_000, 3_000]),
            half_life_ms: one(&[5_000, 20_000, 120_000]),
            slow_venues: one(&[0, 1]) == 1,
            requote_ppm: one(&[0, 0, 20_000, 200_000]) as u32,
            ..Self::calm(seed, seconds)
        };
        options.draw_faults();
        options
    }

    /// A run without faults that trades as often as it may, in a set-up that the seed draws.
    pub fn busy(seed: u64, seconds: u64) -> Self {
        let swarm = Self::swarm(seed, seconds);
        let (faults, venue_faults) = (Vec::new(), Vec::new());
        Self {
            faults,
            venue_faults,
            wire_ppm: 0,
            cooldown_s: 1,
            entries_per_hour: 400,
            auto_resume: true,
            ..swarm
        }
    }

    /// A run that trades as often as it may and whose machine loses power again and again, its disk being slow, with
    /// some of what keeps the next run from finding out.
    pub fn power(seed: u64, seconds: u64) -> Self {
        use {FaultKind as F, VenueFault as V};
        let mut rng = Rng::new(seed, "power");
        let often = 40;
        let mut faults = vec![(F::PowerCut, often), (F::PowerCutNext, often), (F::Hold, often)];
        for kind in [F::Crash, F::CrashNow, F::RestDown, F::Outage, F::BreakSends, F::Cut, F::DiskFull] {
            if rng.chance(300_000) {
                faults.push((kind, often));
            }
        }
        let mut venue_faults = Vec::new();
        for kind in [V::Hand, V::Force, V::Refuse, V::Part, V::Lag, V::Mode, V::Pending] {
            if rng.chance(150_000) {
                venue_faults.push((kind, often));
            }
        }
        let durability = Durability::Process;
        Self { faults, venue_faults, durability, ..Self::busy(seed, seconds) }
    }

    /// A run that trades and in which single messages get lost, doubled or late and single connections are cut; all
    /// else is calm, since misses of the market and entries by the minute are reasons of their own to call someone.
    pub fn packets(seed: u64, seconds: u64) -> Self {
        let (faults, venue_faults) = (vec![(FaultKind::Cut, 300)], vec![(VenueFault::Packet, 60)]);
        let Self { pairs, dedicated, durability, cadence_ms, .. } = Self::swarm(seed, seconds);
        let calm =
            Self { faults, venue_faults, cooldown_s: 60, entries_per_hour: 60, ..Self::calm(seed, seconds) };
        Self { pairs, dedicated, durability, cadence_ms, ..calm }
    }

    /// Nothing goes wrong but the engine itself, which dies again and again, in its starts too.
    pub fn storm(seed: u64, seconds: u64) -> Self {
        let mut rng = Rng::new(seed, "storm");
        let mut one = |of: &[u64]| of[rng.between(0, of.len() as i64 - 1) as usize];
        let mut options = Self {
            legs: ["together", "together", "vest_first", "paradex_first"][one(&[0, 1, 2, 3]) as usize],
            durability: if one(&[0, 1]) == 0 { Durability::Process } else { Durability::Power },
            segment_bytes: one(&[16, 64]) as usize * 1024,
            cooldown_s: 0,
            entries_per_hour: 4_000,
            basis_cbps: 4_000,
            half_life_ms: one(&[2_000, 5_000]) as i64,
            slow_venues: one(&[0, 1]) == 1,
            requote_ppm: one(&[0, 100_000]) as u32,
            storm: one(&[60, 120, 250]),
            ..Self::calm(seed, seconds)
        };
        if one(&[0, 1]) == 1 {
            options.wire_ppm = 20_000;
        }
        options
    }

    /// Nothing goes wrong in this run.
    pub fn is_calm(&self) -> bool {
        self.wire_ppm == 0 && self.storm == 0 && self.faults.is_empty() && self.venue_faults.is_empty()
    }

    /// Little goes wrong in this run: single messages and single connections.
    pub fn is_quiet(&self) -> bool {
        let single = self.venue_faults.iter().all(|(kind, _)| *kind == VenueFault::Packet);
        let cuts = self.faults.iter().all(|(kind, _)| *kind == FaultKind::Cut);
        self.wire_ppm == 0 && self.storm == 0 && single && cuts
    }

    /// The same without a death, until `deaths` say where.
    pub fn points(seed: u64, seconds: u64) -> Self {
        Self { storm: 0, ..Self::storm(seed, seconds) }
    }

    /// Messages, connections and the engine stay whole: what a venue tells arrives.
    pub fn hears_all(&self) -> bool {
        use VenueFault as V;
        // Those after which every stream goes on and every order of ours keeps its name and its fills.
        let loud = |kind: &VenueFault| {
            !matches!(kind, V::Clock | V::Gateway | V::Part | V::Pending | V::Behind | V::Late | V::Twice)
        };
        let quiet = !self.venue_faults.iter().any(|(kind, _)| loud(kind));
        let lives = self.storm == 0 && self.deaths.is_empty();
        self.wire_ppm == 0 && lives && self.faults.is_empty() && quiet
    }

    /// Rates are log-uniform, and every kind is off in most runs: rare faults meet calm, common ones meet each other.
    fn draw_faults(&mut self) {
        let mut rng = Rng::new(self.seed, "faults of the run");
        let log = |rng: &mut Rng, least: i64, doublings: i64| least << rng.between(0, doublings);
        if rng.chance(700_000) {
            self.wire_ppm = log(&mut rng, 1_000, 8) as u32;
        }
        let density = *[100_000, 250_000, 500_000].get(rng.between(0, 2) as usize).unwrap_or(&250_000);
        for kind in FaultKind::ALL {
            let pause = log(&mut rng, 15, 7) as u64;
            if rng.chance(density) {
                self.faults.push((kind, pause));
            }
        }
        for kind in VenueFault::ALL {
            let pause = log(&mut rng, 15, 7) as u64;
            if rng.chance(density) {
                self.venue_faults.push((kind, pause));
            }
        }
    }
}

impl fmt::Display for Options {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, seconds, pairs, legs, dedicated, auto_resume, ahead, signed, .. } = self;
        let Self { durability, rings, .. } = self;
        write!(out, "--seed {seed} --seconds {seconds}  pairs={pairs} legs={legs} dedicated={dedicated} ")?;
        write!(
            out,
            "auto_resume={auto_resume} ahead={ahead} signed={signed} {durability:?} {rings:?} segment={} ",
            self.segment_bytes
        )?;
        write!(
            out,
            "cadence={:?} basis={} half_life={} ",
            self.cadence_ms, self.basis_cbps, self.half_life_ms
        )?;
        write!(out, "slow={} requote={} wire={} ", self.slow_venues, self.requote_ppm, self.wire_ppm)?;
        write!(out, "cooldown={} entries/h={} ", self.cooldown_s, self.entries_per_hour)?;
        write!(out, "tight={} storm={} ", self.tight, self.storm)?;
        write!(out, "faults={:?} venue_faults={:?}", self.faults, self.venue_faults)?;
        for (at_start, effect) in &self.deaths {
            write!(out, " --{} {effect}", if *at_start { "start-dies" } else { "run-dies" })?;
        }
        Ok(())
    }
}
