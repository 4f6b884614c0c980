//! The Pedersen hash of two felts: the x coordinate of a fixed point plus a multiple for each operand. A hash of which
//! one operand is known ahead is half made ahead. Called by `hash`.

use std::sync::LazyLock;

use starknet_crypto::Felt;

use super::mont::Fe;
use super::point::{Affine, Sum};
use super::window::Windows;
use crate::types::planted::signs_stubs;

/// Bit from which an operand multiplies the second of its two points.
const HIGH_FROM: usize = 248;

/// The published constants: where every hash starts, and the two points of each operand.
const START: [&str; 2] = [
    "0x049ee3eba8c1600700ee1b87eb599f16716b0b1022947733551fde4050ca6804",
    "0x03ca0cfe4b3bc6ddf346d49d06ea0ed34e621062c0e056c1d0405d266e10268a",
];
const LEFT: [[&str; 2]; 2] = [
    [
        "0x0234287dcbaffe7f969c748655fca9e58fa8120b6d56eb0c1080d17957ebe47b",
        "0x03b056f100f96fb21e889527d41f4e39940135dd7a6c94cc6ed0268ee89e5615",
    ],
    [
        "0x04fa56f376c83db33f9dab2656558f3399099ec1de5e3018b7a6932dba8aa378",
        "0x03fa0984c931c9e38113e0c0e47e4401562761f92a7a23b45168f4e80ff5b54d",
    ],
];
const RIGHT: [[&str; 2]; 2] = [
    [
        "0x04ba4cc166be8dec764910f75b45f74b40c690c74709e90f3aa372f0bd2d6997",
        "0x0040301cf5c1751f4b971e46c4ede85fcac5c59a5ce5ae7c48151f27b24b219c",
    ],
    [
        "0x054302dcb0e6cc1c6e44cca8f61a63bb2ca65048d53fb325d36ff12c49a58202",
        "0x01b77b3e37d13504b348046268d8ae25ce98ad783c25561a879dcc77e99c2426",
    ],
];

struct Tables {
    left: Windows,
    right: Windows,
}

/// 11 MiB, made at first use: `Signer::new` is called at start.
static TABLES: LazyLock<Tables> = LazyLock::new(|| Tables {
    left: Windows::new(&[(0, point(LEFT[0])), (HIGH_FROM, point(LEFT[1]))]),
    right: Windows::new(&[(0, point(RIGHT[0])), (HIGH_FROM, point(RIGHT[1]))]),
});

/// A hash of which one operand or none is in.
#[derive(Clone, Copy)]
pub struct Half(Sum);

impl Half {
    /// The first operand is known.
    pub fn left(felt: Felt) -> Self {
        if signs_stubs() {
            return stub::half(felt * stub::LEFT);
        }
        Self(TABLES.left.add(start(), &felt.to_le_digits()))
    }

    /// The second operand is known.
    pub fn right(felt: Felt) -> Self {
        if signs_stubs() {
            return stub::half(felt * stub::RIGHT);
        }
        Self(TABLES.right.add(start(), &felt.to_le_digits()))
    }

    /// In words that [`Half::from_words`] takes back.
    pub fn words(&self) -> [u64; 16] {
        self.0.words()
    }

    pub fn from_words(words: &[u64; 16]) -> Self {
        Self(Sum::from_words(words))
    }

    /// The hash, of one that has its first operand.
    pub fn with_right(self, felt: Felt) -> Felt {
        if signs_stubs() {
            return stub::known(self) + felt * stub::RIGHT;
        }
        TABLES.right.add(self.0, &felt.to_le_digits()).x().into()
    }

    /// The hash, of one that has its second operand.
    pub fn with_left(self, felt: Felt) -> Felt {
        if signs_stubs() {
            return stub::known(self) + felt * stub::LEFT;
        }
        TABLES.left.add(self.0, &felt.to_le_digits()).x().into()
    }
}

/// Pedersen hash of two felts.
pub fn hash(left: Felt, right: Felt) -> Felt {
    Half::left(left).with_right(right)
}

pub(super) fn point([x, y]: [&str; 2]) -> Affine {
    Affine { x: Fe::from(Felt::from_hex_unchecked(x)), y: Fe::from(Felt::from_hex_unchecked(y)) }
}

fn start() -> Sum {
    Sum::from(point(START))
}

/// What stands for the hash where signatures are stubs: the sum of both operands, each times a number that no sum of
/// small numbers meets by chance.
mod stub {
    use super::{Fe, Felt, Half, Sum};

    pub const LEFT: Felt = Felt::from_hex_unchecked(super::LEFT[0][0]);
    pub const RIGHT: Felt = Felt::from_hex_unchecked(super::RIGHT[0][0]);

    pub fn half(felt: Felt) -> Half {
        let mut words = [0; 16];
        words[..4].copy_from_slice(&Fe::from(felt).words());
        Half(Sum::from_words(&words))
    }

    pub fn known(half: Half) -> Felt {
        let words = half.0.words();
        Fe::from_words([words[0], words[1], words[2], words[3]]).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::paradex::stark::play::Felts;

    #[test]
    fn hashes_are_those_of_the_reference() {
        let mut felts = Felts::new(1);
        for _ in 0..felts.cases() {
            let (a, b) = (felts.any(), felts.any());
            let expected = starknet_crypto::pedersen_hash(&a, &b);
            assert_eq!(hash(a, b), expected, "{a:#x} {b:#x}");
            assert_eq!(Half::right(b).with_left(a), expected, "{a:#x} {b:#x}");
        }
    }
}
