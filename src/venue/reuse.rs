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
    use super::*;

    #[test]
    fn one_r_is_taken_with_one_digest_only() {
        let reuse = Reuse::new();
        let (r, other) = ([7; 32], [8; 32]);
        assert!(reuse.admits(&r, &[1; 32]));
        assert!(reuse.admits(&r, &[1; 32]), "the same order signed again is the same signature");
        assert!(reuse.admits(&other, &[2; 32]));
        assert!(!reuse.admits(&r, &[3; 32]));
    }
}
