//! The standing basis: a slow average of the gap between the two mids (MONEY, standing basis). Pure integers; one per
//! pair, owned by `signal`. It never counts time in which a book was not to be trusted.
//!
//! The gap seen last stands until the next one, so each is weighted by how long it stood, with half the weight per
//! half-life of age. The weights are normalised, so that a young average is a plain mean and not the first value.
//!
//! Error: time is counted in 2^-32 of a half-life (0.4 µs of 30 min) without drift; each decay factor is right to
//! 2^-47; the mean is cut at 1e-12. In all, far below a thousandth of a basis point.

use crate::types::{Nanos, Rate};

/// Fraction bits of a time counted in half-lives.
const PHASE_BITS: u32 = 32;
/// Fraction bits of a decay factor and of the weight of everything seen.
const DECAY_BITS: u32 = 47;
/// Fraction bits of the weighted sum, beyond the units of a [`Rate`].
const SUM_BITS: u32 = 32;
/// 2^(-2^-k) for k = 1 to 32, with 62 fraction bits: a decay factor is a product of these.
const ROOTS: [u64; PHASE_BITS as usize] = roots();

/// Exponentially weighted mean of a gap over time.
#[derive(Clone, Debug)]
pub struct Average {
    half_life_ns: u64,
    warmup_ns: u64,
    origin: Nanos,
    last: Nanos,
    standing: Option<Rate>,
    seen_ns: u64,
    /// Sum of gaps, each times its weight.
    sum: i128,
    /// Sum of weights; tends to one.
    weight: i128,
}

impl Average {
    /// `half_life_s` must be positive.
    pub fn new(half_life_s: u32, warmup_s: u32) -> Self {
        assert!(half_life_s > 0, "a half-life is positive");
        Self {
            half_life_ns: u64::from(half_life_s) * 1_000_000_000,
            warmup_ns: u64::from(warmup_s) * 1_000_000_000,
            origin: Nanos::NEVER,
            last: Nanos::NEVER,
            standing: None,
            seen_ns: 0,
            sum: 0,
            weight: 0,
        }
    }

    /// The gap is `gap` from `now` on (a receive time; an earlier one than before counts as the same moment).
    pub fn observe(&mut self, now: Nanos, gap: Rate) {
        let now = now.max(self.last);
        if self.origin == Nanos::NEVER {
            self.origin = now;
        } else if let Some(standing) = self.standing {
            self.seen_ns += now.since(self.last);
            self.advance(self.phase(now) - self.phase(self.last), standing);
        }
        self.last = now;
        self.standing = Some(gap);
    }

    /// The gap is unknown from here on, until the next [`Average::observe`].
    pub fn pause(&mut self) {
        self.standing = None;
    }

    /// The mean, once the warm-up has been seen.
    pub fn mean(&self) -> Option<Rate> {
        if self.seen_ns < self.warmup_ns || self.weight == 0 {
            return None;
        }
        let mean = (self.sum << (DECAY_BITS - SUM_BITS)) / self.weight;
        i64::try_from(mean).ok().map(Rate::from_raw)
    }

    /// Half-lives since the first observation.
    fn phase(&self, now: Nanos) -> u128 {
        (u128::from(now.since(self.origin)) << PHASE_BITS) / u128::from(self.half_life_ns)
    }

    fn advance(&mut self, phase: u128, gap: Rate) {
        let decay = decay(phase);
        let fresh = (1_i128 << DECAY_BITS) - decay;
        // |gap| is below 2^41 (200 % of the mean mid), so a sum stays below 2^73 and its product below 2^121.
        self.sum = (self.sum * decay) >> DECAY_BITS;
        self.sum += (i128::from(gap.raw()) * fresh) >> (DECAY_BITS - SUM_BITS);
        self.weight = ((self.weight * decay) >> DECAY_BITS) + fresh;
    }
}

/// 2^-phase with [`DECAY_BITS`] fraction bits.
fn decay(phase: u128) -> i128 {
    let halvings = phase >> PHASE_BITS;
    if halvings > u128::from(DECAY_BITS) {
        return 0;
    }
    let mut product = 1_u128 << 62;
    for (bit, root) in ROOTS.iter().rev().enumerate() {
        if phase & (1 << bit) != 0 {
            product = (product * *root as u128) >> 62;
        }
    }
    (product >> (62 - DECAY_BITS) >> halvings) as i128
}

/// Each root is the square root of the one before, the first that of a half.
const fn roots() -> [u64; PHASE_BITS as usize] {
    let mut table = [0; PHASE_BITS as usize];
    let mut square = 1_u128 << 61;
    let mut k = 0;
    while k < table.len() {
        square = (square << 62).isqrt();
        table[k] = square as u64;
        k += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_LIFE_S: u32 = 1_800;

    fn at(ms: u64) -> Nanos {
        Nanos::from_ms(1_000_000 + ms)
    }

    fn within(got: Rate, wanted: Rate, units: i64) {
        assert!((got - wanted).abs().raw() <= units, "got {got:?}, wanted {wanted:?}");
    }

    #[test]
    fn decay_factors_are_powers_of_one_half() {
        assert_eq!(decay(0), 1 << DECAY_BITS);
        assert_eq!(decay(1 << PHASE_BITS) * 2, 1 << DECAY_BITS);
        let half = decay(1 << (PHASE_BITS - 1));
        assert!(((half * half) >> DECAY_BITS) - (1 << (DECAY_BITS - 1)) <= 1);
        assert_eq!(decay(u128::MAX), 0);
        // ln 2 of 2^-32 half-lives, with 47 bits: 22,713 units.
        assert!((22_713 - ((1 << DECAY_BITS) - decay(1))).abs() <= 1);
    }

    #[test]
    fn a_constant_gap_is_its_own_mean_however_often_it_is_seen() {
        for step_ms in [1, 100, 60_000] {
            let mut average = Average::new(HALF_LIFE_S, 60);
            for n in 0..2_000 {
                average.observe(at(n * step_ms), Rate::from_bps(37));
            }
            assert_eq!(average.mean().is_some(), step_ms > 1, "2 s are no minute");
            within(average.mean().unwrap_or(Rate::from_bps(37)), Rate::from_bps(37), 1_000);
        }
    }

    #[test]
    fn half_a_step_is_forgotten_per_half_life() {
        let mut average = Average::new(HALF_LIFE_S, 0);
        average.observe(at(0), Rate::ZERO);
        let day = 86_400_000;
        average.observe(at(day), Rate::from_bps(40));
        for n in 1..=18_000 {
            average.observe(at(day + n * 100), Rate::from_bps(40));
        }
        within(average.mean().unwrap(), Rate::from_bps(20), 10_000);
    }

    #[test]
    fn a_young_average_is_a_mean_and_not_the_first_value() {
        let mut average = Average::new(HALF_LIFE_S, 120);
        average.observe(at(0), Rate::from_bps(100));
        average.observe(at(60_000), Rate::ZERO);
        assert_eq!(average.mean(), None);
        average.observe(at(120_000), Rate::ZERO);
        within(average.mean().unwrap(), Rate::from_bps(50), Rate::from_bps(1).raw());
    }

    #[test]
    fn an_outage_counts_for_nothing() {
        let mut average = Average::new(HALF_LIFE_S, 120);
        average.observe(at(0), Rate::from_bps(10));
        average.observe(at(60_000), Rate::from_bps(10));
        average.pause();
        average.observe(at(90_000_000), Rate::from_bps(10));
        assert_eq!(average.mean(), None, "one minute was seen, not a day");
        average.observe(at(90_060_000), Rate::from_bps(90));
        within(average.mean().unwrap(), Rate::from_bps(10), 1_000);
    }
}
