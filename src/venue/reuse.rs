//! The last look at a signature before it leaves: two digests under one `r` give the private key away. Nonces are
//! RFC 6979's, so that this never happens unless the machine computes wrongly; then the second signature is withheld.
//! Shared by all threads that sign on one curve; lock-free.

use std::sync::atomic::{AtomicU64, Ordering};

/// Signatures remembered; a newer one takes the place of an older.
const ROWS: usize = 4_096;
/// Of the bits of a row those that come from `r`; the rest come from the digest.
const OF_R: u64 = 0xffff_ffff_ff00_0000;

/// What was signed lately with the keys of one curve.
pub struct Reuse {
    rows: [AtomicU64; ROWS],
}

impl Reuse {
    pub const fn new() -> Self {
        Self { rows: [const { AtomicU64::new(0) }; ROWS] }
    }

    /// Remembers a signature by its `r` and its digest, both big-endian. False when the same `r` was seen with another
    /// digest: then the signature must not leave.
    pub fn admits(&self, r: &[u8; 32], digest: &[u8; 32]) -> bool {
        let low = |bytes: &[u8; 32]| bytes[24..].iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
        let (of_r, of_digest) = (low(r), low(digest));
        let row = &self.rows[of_r as usize % ROWS];
        // The twelve bits that chose the row are shifted out.
        let now = (of_r << 12 & OF_R) | (of_digest & !OF_R);
        let before = row.swap(now, Ordering::Relaxed);
        before == 0 || (before ^ now) & OF_R != 0 || before == now
    }
}

impl Default for Reuse {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use starknet_crypto::Felt;

    use super::*;
    use crate::types::Secret;
    use crate::venue::{paradex, vest};

    #[test]
    fn one_r_is_taken_with_one_digest_only() {
        let reuse = Reuse::new();
        let (r, other) = ([7; 32], [8; 32]);
        assert!(reuse.admits(&r, &[1; 32]));
        assert!(reuse.admits(&r, &[1; 32]), "the same order signed again is the same signature");
        assert!(reuse.admits(&other, &[2; 32]));
        assert!(!reuse.admits(&r, &[3; 32]));
    }

    /// Signs a digest with the throw-away key of one venue's tests; `r` as it leaves.
    type Sign = Box<dyn Fn(u64) -> String + Send>;

    fn stark() -> Sign {
        let signer = paradex::sign::Signer::from_setup(&paradex::fixture::setup()).unwrap();
        Box::new(move |nth| format!("{:#x}", signer.sign(Felt::from(nth) * Felt::from(u64::MAX)).unwrap().r))
    }

    fn secp256k1() -> Sign {
        let key = Secret::new(vest::testing::TEST_KEY.into());
        let signer = vest::sign::Signer::parse(&key).unwrap();
        Box::new(move |nth| {
            let digest = vest::abi::keccak(&[&nth.to_be_bytes()]);
            signer.sign_digest(&digest).unwrap().as_str()[..66].to_owned()
        })
    }

    /// As many as `BOT4_SIGNATURES` says, both curves together. Two threads sign the same digests, each with a signer
    /// that is made anew many times, as after a restart.
    #[test]
    fn no_r_ever_stands_for_two_digests() {
        let all = std::env::var("BOT4_SIGNATURES").map_or(10_000, |text| text.parse().unwrap());
        for make in [stark as fn() -> Sign, secp256k1] {
            let count = all / 4;
            let run = move |restarts: u64| {
                let of = |chunk: u64| {
                    let sign = make();
                    (chunk * count / restarts..(chunk + 1) * count / restarts)
                        .map(move |nth| (sign(nth), nth))
                };
                (0..restarts).flat_map(of).collect::<HashMap<String, u64>>()
            };
            let other = std::thread::spawn(move || run(7));
            let (ours, theirs) = (run(3), other.join().unwrap());
            assert_eq!(ours.len() as u64, count, "an r came twice");
            assert_eq!(ours, theirs, "a digest has one r, whoever signs it and when");
        }
    }
}
