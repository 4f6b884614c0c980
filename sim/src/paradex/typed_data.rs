//! StarkNet typed data, revision 0, as Paradex signs it: message hashes and their verification.
//!
//! Called at log-in (`session` tokens) and for every order. It holds public keys only and must never sign.
//! Source: Paradex sheet §2.4 (hashing), §2.5 (signature), §3.1 (what an order signs).

use sha3::{Digest, Keccak256};
use starknet_crypto::{Felt, PedersenHasher, pedersen_hash};

use super::felt;

const DOMAIN_TYPE: &str = "StarkNetDomain(name:felt,chainId:felt,version:felt)";
const ONBOARDING_TYPE: &str = "Constant(action:felt)";
const REQUEST_TYPE: &str = "Request(method:felt,path:felt,body:felt,timestamp:felt,expiration:felt)";
const ORDER_TYPE: &str = "Order(timestamp:felt,market:felt,side:felt,orderType:felt,size:felt,price:felt)";

/// The signing domain of one chain id.
#[derive(Clone, Debug)]
pub struct Domain {
    hash: Felt,
}

/// The six signed fields of an order; everything else in its body is unsigned.
#[derive(Clone, Debug)]
pub struct SignedOrder<'a> {
    /// `signature_timestamp`, Unix milliseconds.
    pub timestamp_ms: u64,
    pub market: &'a str,
    pub is_buy: bool,
    /// The API's order type, for example `LIMIT`.
    pub order_type: &'a str,
    /// Size at 1e-8.
    pub size: i64,
    /// Limit price at 1e-8; zero for MARKET.
    pub price: i64,
}

/// An ECDSA signature on the Stark curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    pub r: Felt,
    pub s: Felt,
}

impl Domain {
    /// `chain_id` is `starknet_chain_id` of `/system/config`, a short string. `None` when it is not one.
    pub fn new(chain_id: &str) -> Option<Domain> {
        let name = felt::short_string("Paradex")?;
        let fields = [name, felt::short_string(chain_id)?, Felt::ONE];
        Some(Domain { hash: struct_hash(DOMAIN_TYPE, &fields) })
    }

    /// The hash that onboarding signs.
    pub fn onboarding(&self, account: &Felt) -> Felt {
        let action = felt::short_string("Onboarding").unwrap_or_default();
        self.message(account, struct_hash(ONBOARDING_TYPE, &[action]))
    }

    /// The hash that log-in signs: always `POST /v1/auth` with an empty body, times in Unix seconds.
    pub fn auth(&self, account: &Felt, timestamp_s: u64, expiration_s: u64) -> Felt {
        let method = felt::short_string("POST").unwrap_or_default();
        let path = felt::short_string("/v1/auth").unwrap_or_default();
        let fields = [method, path, Felt::ZERO, timestamp_s.into(), expiration_s.into()];
        self.message(account, struct_hash(REQUEST_TYPE, &fields))
    }

    /// The hash that an order signs. `None` when a text field is no short string.
    pub fn order(&self, account: &Felt, order: &SignedOrder) -> Option<Felt> {
        Some(self.message(account, struct_hash(ORDER_TYPE, &order.felts()?)))
    }

    fn message(&self, account: &Felt, content: Felt) -> Felt {
        let prefix = felt::short_string("StarkNet Message").unwrap_or_default();
        hash_all(&[prefix, self.hash, *account, content])
    }
}

impl SignedOrder<'_> {
    fn felts(&self) -> Option<[Felt; 6]> {
        Some([
            self.timestamp_ms.into(),
            felt::short_string(self.market)?,
            if self.is_buy { Felt::ONE } else { Felt::TWO },
            felt::short_string(self.order_type)?,
            u64::try_from(self.size).ok()?.into(),
            u64::try_from(self.price).ok()?.into(),
        ])
    }
}

impl Signature {
    /// Reads `["r","s"]`, decimal. Spaces between the two are accepted (sheet §10, row 8), and so is the
    /// hexadecimal form that a widely used client sends to the venue.
    pub fn parse(text: &str) -> Option<Signature> {
        let [r, s]: [String; 2] = serde_json::from_str(text).ok()?;
        Some(Signature { r: felt::from_number(&r)?, s: felt::from_number(&s)? })
    }

    /// Whether this signs `hash` under the public key (an x coordinate). Out-of-range values do not verify.
    pub fn verifies(&self, public_key: &Felt, hash: &Felt) -> bool {
        starknet_crypto::verify(public_key, hash, &self.r, &self.s).unwrap_or(false)
    }
}

fn struct_hash(type_string: &str, fields: &[Felt]) -> Felt {
    let mut hasher = PedersenHasher::new();
    hasher.update(starknet_keccak(type_string));
    fields.iter().for_each(|field| hasher.update(*field));
    hasher.finalize()
}

fn hash_all(values: &[Felt]) -> Felt {
    let chained = values.iter().fold(Felt::ZERO, |hash, value| pedersen_hash(&hash, value));
    pedersen_hash(&chained, &values.len().into())
}

/// Keccak-256 cut to 250 bits.
fn starknet_keccak(text: &str) -> Felt {
    let mut bytes: [u8; 32] = Keccak256::digest(text.as_bytes()).into();
    bytes[0] &= 0x03;
    Felt::from_bytes_be(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const VECTORS: &str = include_str!("../../tests/data/paradex_signing.json");

    fn vectors() -> Vec<Value> {
        let all: Value = serde_json::from_str(VECTORS).unwrap();
        all["signing"].as_array().unwrap().clone()
    }

    fn text<'a>(value: &'a Value, key: &str) -> &'a str {
        value[key].as_str().unwrap()
    }

    fn hash_of(vector: &Value) -> Felt {
        let inputs = &vector["inputs"];
        let domain = Domain::new(text(inputs, "chain_id")).unwrap();
        let account = felt::from_hex(text(inputs, "account_address")).unwrap();
        match text(vector, "kind") {
            "onboarding" => domain.onboarding(&account),
            "auth" => {
                let time = |key: &str| inputs[key].as_u64().unwrap();
                domain.auth(&account, time("timestamp"), time("expiration"))
            }
            _ => domain.order(&account, &order_of(vector)).unwrap(),
        }
    }

    fn order_of(vector: &Value) -> SignedOrder<'_> {
        let (inputs, scaled) = (&vector["inputs"], &vector["intermediates"]["scaled"]);
        let number = |key: &str| text(scaled, key).parse().unwrap();
        SignedOrder {
            timestamp_ms: inputs["signature_timestamp_ms"].as_u64().unwrap(),
            market: text(inputs, "market"),
            is_buy: text(inputs, "side") == "BUY",
            order_type: text(inputs, "type"),
            size: number("size"),
            price: number("price"),
        }
    }

    #[test]
    fn message_hashes_match_the_vectors() {
        let vectors = vectors();
        assert_eq!(vectors.len(), 11);
        for vector in vectors {
            let expected = text(&vector["expected"], "message_hash");
            assert_eq!(felt::to_hex(&hash_of(&vector)), expected, "{}", vector["id"]);
        }
    }

    #[test]
    fn signatures_of_both_nonce_variants_verify() {
        for vector in vectors() {
            let key = felt::from_hex(text(&vector["inputs"], "l2_public_key")).unwrap();
            let hash = hash_of(&vector);
            for variant in ["signature_rfc6979_no_seed", "signature_rfc6979_seed32"] {
                let wire = text(&vector["expected"][variant], "wire");
                let signature = Signature::parse(wire).unwrap();
                assert!(signature.verifies(&key, &hash), "{} {variant}", vector["id"]);
                assert!(!signature.verifies(&key, &(hash + Felt::ONE)));
                assert!(!signature.verifies(&(key + Felt::ONE), &hash));
            }
        }
    }

    #[test]
    fn a_space_in_the_signature_is_accepted_and_anything_else_is_not() {
        let signature = Signature { r: 1u64.into(), s: 2u64.into() };
        assert_eq!(Signature::parse("[\"1\", \"2\"]"), Some(signature));
        assert_eq!(Signature::parse("[\"0x1\",\"0x2\"]"), Some(signature));
        for text in ["", "[1,2]", "[\"1\"]", "[\"1\",\"-2\"]", "[\"1\",\"2\",\"3\"]", "[\"\",\"2\"]"] {
            assert_eq!(Signature::parse(text), None, "{text}");
        }
        assert!(!Signature { r: Felt::ZERO, s: Felt::ZERO }.verifies(&Felt::ONE, &Felt::ONE));
    }
}
