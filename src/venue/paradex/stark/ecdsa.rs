//! Signatures on the Stark curve with the nonce of RFC 6979. Called by `sign`. The nonce is made from the key and the
//! digest each time, never ahead and never from anything else, and is wiped.

use std::sync::LazyLock;

use starknet_crypto::{Felt, rfc6979_generate_k};
use zeroize::Zeroizing;

use super::mont::{Limbs, Scalar, is_below};
use super::pedersen::point;
use super::point::Sum;
use super::window::Windows;

const GENERATOR: [&str; 2] = [
    "0x01ef15c18599971b7beced415a40f0c7deacfd9b0d1819e03d723d8bc943cfca",
    "0x005668060aa49730b7be4801df46ec62de53ecd11abe43a32873000c36e8dc1f",
];
/// Digests and both halves of a signature lie below 2^251.
const BOUND: Limbs = [0, 0, 0, 1 << 59];

/// 5.5 MiB, made at first use.
static TABLE: LazyLock<Windows> = LazyLock::new(|| Windows::new(&[(0, point(GENERATOR))]));

/// Public key of a private one: the x coordinate of its point.
pub fn public_key(key: &Felt) -> Felt {
    multiple(&key.to_le_digits())
}

/// The halves r and s. `None` when the digest is too large or, with a chance below 2^-50, when its nonce leads to a
/// half that the curve's users do not take.
pub fn sign(key: &Felt, digest: &Felt) -> Option<(Felt, Felt)> {
    let nonce = Zeroizing::new(rfc6979_generate_k(digest, key, None));
    let plain = Zeroizing::new(nonce.to_le_digits());
    let r = multiple(&plain);
    let scalar = |felt: &Felt| Scalar::from_plain(&felt.to_le_digits());
    let of_key = scalar(&r).times(&scalar(key));
    let s = Scalar::from_plain(&plain).inverse().times(&of_key.plus(&scalar(digest))).plain();
    let takes = |limbs: &Limbs| is_below(limbs, &BOUND) && *limbs != [0; 4];
    let valid = is_below(&digest.to_le_digits(), &BOUND) && takes(&r.to_le_digits()) && takes(&s);
    valid.then(|| (r, felt(&s)))
}

fn multiple(scalar: &Limbs) -> Felt {
    TABLE.add(Sum::INFINITY, scalar).x().into()
}

fn felt(plain: &Limbs) -> Felt {
    let mut bytes = [0; 32];
    for (eight, limb) in bytes.chunks_exact_mut(8).zip(plain.iter().rev()) {
        eight.copy_from_slice(&limb.to_be_bytes());
    }
    Felt::from_bytes_be(&bytes)
}

#[cfg(test)]
mod tests {
    use starknet_crypto::{get_public_key, verify};

    use super::*;
    use crate::venue::paradex::stark::play::Felts;

    #[test]
    fn signatures_are_those_of_the_reference() {
        let mut felts = Felts::new(2);
        for _ in 0..felts.cases() {
            let (key, digest) = (felts.key(), felts.any());
            let k = rfc6979_generate_k(&digest, &key, None);
            let expected = starknet_crypto::sign(&key, &digest, &k).ok().map(|pair| (pair.r, pair.s));
            assert_eq!(sign(&key, &digest), expected, "{digest:#x}");
            let public = public_key(&key);
            assert_eq!(public, get_public_key(&key));
            if let Some((r, s)) = expected {
                assert!(verify(&public, &digest, &r, &s).unwrap());
            }
        }
    }
}
