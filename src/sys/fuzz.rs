//! Damaged bytes for the tests of every decoder: cheap, seeded, so that a failure can be run again. A million inputs a
//! decoder of venue bytes, or as many as `BOT4_FUZZ_INPUTS` says, and a share of them where one takes long.

#![cfg(test)]

use std::time::{Duration, Instant};

/// Inputs a decoder unless the environment says otherwise.
const INPUTS: u64 = 1_000_000;
/// So few that even the slowest decoder is done within seconds, and enough that some damage is harmless.
const INPUTS_MIN: u64 = 100;

/// What the damage puts in.
const PIECES: [&[u8]; 18] = [
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"-",
    b"9",
    b"null",
    b"\\u0000",
    b"\\",
    b"\xff",
    b"1e400",
    b"99999999999999999999",
    b"0.0000000001",
    b"\"code\":3008,",
    b"\"status\":\"FILLED\",",
];

/// xorshift64*.
pub struct Random(u64);

impl Random {
    /// `seed` must not be zero.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `end`; zero when `end` is.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() >> 33) as usize % end.max(1)
    }
}

/// One to four injuries: a byte or a bit changed, a cut, a stretch lost or doubled, or a piece put in.
pub fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let (a, b) = (random.below(bytes.len()), random.below(bytes.len()));
        let (from, to) = (a.min(b), a.max(b).min(a.min(b) + 40));
        match random.below(8) {
            0 if !bytes.is_empty() => bytes[a] = random.next() as u8,
            1 | 2 if !bytes.is_empty() => bytes[a] ^= 1 << random.below(8),
            3 if random.below(4) == 0 => bytes.truncate(b),
            4 => drop(bytes.drain(from..to)),
            5 => bytes.extend_from_within(from..to),
            _ => drop(bytes.splice(a..a, PIECES[random.below(PIECES.len())].iter().copied())),
        }
    }
}

/// Gives a decoder a million damaged samples; `decode` says whether it took the input. Both must have happened, or the
/// test has not reached what it is for.
pub fn fuzz(decoder: &str, samples: &[Vec<u8>], decode: impl FnMut(&[u8]) -> bool) {
    fuzz_share(decoder, 1, samples, decode);
}

/// As [`fuzz`], with one of `share` inputs, for what is slow; never fewer than [`INPUTS_MIN`].
pub fn fuzz_share(decoder: &str, share: u64, samples: &[Vec<u8>], mut decode: impl FnMut(&[u8]) -> bool) {
    let all = std::env::var("BOT4_FUZZ_INPUTS").map_or(INPUTS, |text| text.parse().unwrap());
    let inputs = (all / share).max(INPUTS_MIN);
    let seed = decoder.bytes().fold(7_u64, |seed, byte| seed.rotate_left(7) ^ u64::from(byte));
    let (mut random, mut bytes) = (Random(seed), Vec::new());
    let (mut taken, mut slowest, mut longest) = (0_u64, Duration::ZERO, Vec::new());
    for _ in 0..inputs {
        bytes.clone_from(&samples[random.below(samples.len())]);
        damage(&mut bytes, &mut random);
        let start = Instant::now();
        taken += u64::from(decode(&bytes));
        let took = start.elapsed();
        if took > slowest {
            slowest = took;
            longest.clone_from(&bytes);
        }
    }
    let shown = longest[..longest.len().min(120)].escape_ascii().to_string();
    println!(
        "{decoder}: {inputs} inputs, {taken} taken; slowest {slowest:?}, {} bytes: {shown}",
        longest.len()
    );
    assert!(taken > inputs / 1_000, "{decoder}: hardly reached: {taken} of {inputs}");
    assert!(taken < inputs, "{decoder}: the damage hurts nobody");
}
