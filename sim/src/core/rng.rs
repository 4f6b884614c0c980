//! The seeded source of chance of the core (SplitMix64): small, portable, the same on every machine.

use super::money::ONE;

/// A stream of pseudo-random numbers; two streams with different labels are independent.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// A stream for one purpose (`label`) of one run (`seed`).
    pub fn new(seed: u64, label: &str) -> Self {
        let mut state = seed;
        for byte in label.bytes() {
            state = mix(state ^ u64::from(byte));
        }
        Self(state)
    }

    #[expect(clippy::should_implement_trait, reason = "a stream of numbers has no end")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Uniform in `lo..=hi`.
    pub fn between(&mut self, lo: i64, hi: i64) -> i64 {
        assert!(lo <= hi, "an empty range has no member");
        lo + (self.next() % (hi - lo + 1) as u64) as i64
    }

    /// Approximately normal, mean 0, standard deviation 1.0 in fixed point (sum of twelve uniforms).
    pub fn normal(&mut self) -> i64 {
        (0..12).map(|_| self.between(0, ONE)).sum::<i64>() - 6 * ONE
    }

    /// True with a probability of `ppm` in a million.
    pub fn chance(&mut self, ppm: u32) -> bool {
        ppm > 0 && self.next() % 1_000_000 < u64::from(ppm)
    }
}

/// One round of mixing; also a hash of a number.
pub fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_stream_and_labels_differ() {
        let draw = |seed, label| {
            let mut rng = Rng::new(seed, label);
            [rng.next(), rng.next(), rng.next()]
        };
        assert_eq!(draw(7, "mid"), draw(7, "mid"));
        assert_ne!(draw(7, "mid"), draw(7, "basis"));
        assert_ne!(draw(7, "mid"), draw(8, "mid"));
    }

    #[test]
    fn the_normal_has_mean_zero_and_deviation_one() {
        let mut rng = Rng::new(1, "n");
        let draws: Vec<i128> = (0..20_000).map(|_| i128::from(rng.normal())).collect();
        let mean = draws.iter().sum::<i128>() / draws.len() as i128;
        let square = draws.iter().map(|x| x * x).sum::<i128>() / draws.len() as i128;
        let one = i128::from(ONE);
        assert!(mean.abs() < one / 50, "{mean}");
        assert!((square - one * one).abs() < one * one / 20, "{square}");
    }
}
