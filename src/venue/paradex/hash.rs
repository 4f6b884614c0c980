//! StarkNet typed data, revision 0, as this venue signs it (sheet 2.4): Pedersen chains over felts, with the prefixes
//! that never change hashed once. Pure; called by `sign` and `auth`. Stock SNIP-12 code does not fit, because the
//! domain carries the integer 1 as its version.

use sha3::{Digest, Keccak256};
use starknet_crypto::Felt;

use super::stark::pedersen::{self, Half};

/// Longest text that fits a felt as a short string, bytes.
pub const SHORT_STRING_MAX: usize = 31;

/// Type strings of what is signed (sheet 2.4); their hashes are the first field of each struct.
pub const DOMAIN_TYPE: &str = "StarkNetDomain(name:felt,chainId:felt,version:felt)";
pub const REQUEST_TYPE: &str = "Request(method:felt,path:felt,body:felt,timestamp:felt,expiration:felt)";
pub const ORDER_TYPE: &str =
    "Order(timestamp:felt,market:felt,side:felt,orderType:felt,size:felt,price:felt)";

/// A Pedersen hash over a list of felts, under construction. `Copy`, so that a common prefix is hashed once and
/// continued many times.
#[derive(Clone, Copy)]
pub struct Chain {
    state: Felt,
    len: u64,
}

impl Chain {
    pub const EMPTY: Self = Self { state: Felt::ZERO, len: 0 };

    /// A chain that begins with the hash of this type string: the prefix of a struct.
    pub fn of_type(type_string: &str) -> Self {
        Self::EMPTY.then(type_hash(type_string))
    }

    /// The chain with one more felt.
    pub fn then(self, felt: Felt) -> Self {
        Self { state: pedersen::hash(self.state, felt), len: self.len + 1 }
    }

    /// The hash: the state closed with the number of felts.
    pub fn finish(self) -> Felt {
        pedersen::hash(self.state, Felt::from(self.len))
    }

    /// The chain with all that can be done before its last felt is known.
    pub fn before_last(self) -> BeforeLast {
        BeforeLast { state: self.half(), closing: closing(self.len + 1) }
    }

    /// The chain with all that can be done before its next felt is known.
    pub fn half(self) -> Half {
        Half::left(self.state)
    }
}

/// The end of a chain of so many felts, with all that can be done before they are known.
pub fn closing(len: u64) -> Half {
    Half::right(Felt::from(len))
}

/// A chain that waits for one more felt and then is closed.
#[derive(Clone, Copy)]
pub struct BeforeLast {
    state: Half,
    closing: Half,
}

impl BeforeLast {
    /// Hash of the whole chain.
    pub fn finish(&self, last: Felt) -> Felt {
        self.closing.with_left(self.state.with_right(last))
    }
}

/// What every message of one account on one chain begins with; only the struct's hash is missing.
pub fn message_prefix(chain_id: &str, account: Felt) -> Chain {
    let prefix = short_string("StarkNet Message").unwrap_or_default();
    Chain::EMPTY.then(prefix).then(domain_hash(chain_id)).then(account)
}

/// Hash of the domain. The chain id must be a short string (they are constants of `paradex::chain_id`).
pub fn domain_hash(chain_id: &str) -> Felt {
    let chain_id = short_string(chain_id);
    assert!(chain_id.is_some(), "a chain id is a short string");
    Chain::of_type(DOMAIN_TYPE)
        .then(short_string("Paradex").unwrap_or_default())
        .then(chain_id.unwrap_or_default())
        .then(Felt::ONE)
        .finish()
}

/// Keccak-256 of the type string, cut to 250 bits.
pub fn type_hash(type_string: &str) -> Felt {
    let mut digest: [u8; 32] = Keccak256::digest(type_string.as_bytes()).into();
    digest[0] &= 0x03;
    Felt::from_bytes_be(&digest)
}

/// Up to 31 ASCII bytes as a big-endian felt; the empty text is zero. `None` for anything else.
pub fn short_string(text: &str) -> Option<Felt> {
    let fits = text.len() <= SHORT_STRING_MAX && text.is_ascii();
    fits.then(|| Felt::from_bytes_be_slice(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors() -> serde_json::Value {
        serde_json::from_str(include_str!("../../../tests/data/paradex_vectors.json")).unwrap()
    }

    fn felt(value: &serde_json::Value) -> Felt {
        Felt::from_hex(value.as_str().unwrap()).unwrap()
    }

    #[test]
    fn type_hashes_and_domains_agree_with_the_published_ones() {
        for (text, hash) in vectors()["type_hashes"].as_object().unwrap() {
            assert_eq!(type_hash(text), felt(hash), "{text}");
        }
        for (chain, hash) in vectors()["domain_hashes"].as_object().unwrap() {
            assert_eq!(domain_hash(chain), felt(hash), "{chain}");
        }
    }

    #[test]
    fn short_strings_agree_and_refuse_what_does_not_fit() {
        for (text, value) in vectors()["short_strings"].as_object().unwrap() {
            assert_eq!(short_string(text), Some(felt(value)), "{text}");
        }
        assert_eq!(short_string(&"a".repeat(32)), None);
        assert_eq!(short_string("é"), None);
    }
}
