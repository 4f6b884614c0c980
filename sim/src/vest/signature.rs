//! Verification of Vest's signatures: ABI encoding, keccak, EIP-191 and EIP-712, recovery of the signer.
//!
//! Source: the venue sheet, sections 3.1 and 4.1. Called by `vest::request` only. It never signs and
//! holds no key.

use k256::ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey};
use sha3::{Digest, Keccak256};
use thiserror::Error;

/// A 20-byte Ethereum address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(pub [u8; 20]);

/// A value in a signed tuple.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    Uint(u128),
    Text(&'a str),
    Bool(bool),
}

/// `verifyingContract` of the registration domain.
pub const PROD_CONTRACT: &str = "0x919386306c47b2fe1036e3b4f7c40d22d2461a23";
pub const DEV_CONTRACT: &str = "0x8e4d87aef4ac4d5415c35a12319013e34223825b";

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadSignature {
    #[error("expected 0x and 130 hex digits, got {0} characters")]
    Shape(usize),
    #[error("expected v = 27 or 28, got {0}")]
    Parity(u8),
    #[error("r and s are no signature of this digest")]
    Point,
}

impl Address {
    /// Reads `0x` and 40 hex digits; upper case is refused as the venue asks for lower case.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("0x")?;
        let lower = digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !lower {
            return None;
        }
        let bytes = hex::decode(digits).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// The address of a private key given as hex; `None` when it is no key.
    pub fn of_key(private_hex: &str) -> Option<Self> {
        let bytes = hex::decode(private_hex.trim_start_matches("0x")).ok()?;
        let key = SigningKey::from_slice(&bytes).ok()?;
        Some(Self::of(key.verifying_key()))
    }

    pub fn text(&self) -> String {
        format!("0x{}", hex::encode(self.0))
    }

    fn of(key: &VerifyingKey) -> Self {
        let point = key.to_sec1_point(false);
        let hash = keccak(point.as_bytes().get(1..).unwrap_or_default());
        let mut address = [0; 20];
        address.copy_from_slice(&hash[12..]);
        Self(address)
    }
}

pub fn keccak(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

/// Standard ABI encoding of a tuple: heads, then the tails of the strings.
pub fn abi_encode(values: &[Value]) -> Vec<u8> {
    let mut heads = Vec::with_capacity(values.len() * 32);
    let mut tails = Vec::new();
    for value in values {
        match value {
            Value::Uint(number) => heads.extend(word(*number)),
            Value::Bool(flag) => heads.extend(word(u128::from(*flag))),
            Value::Text(text) => {
                heads.extend(word((values.len() * 32 + tails.len()) as u128));
                tails.extend(word(text.len() as u128));
                tails.extend(text.as_bytes());
                tails.resize(tails.len().next_multiple_of(32), 0);
            }
        }
    }
    heads.extend(tails);
    heads
}

/// The digest that is signed for an order or a cancel, from the hash of its encoding.
pub fn personal_digest(inner: &[u8; 32]) -> [u8; 32] {
    let mut preimage = b"\x19Ethereum Signed Message:\n32".to_vec();
    preimage.extend(inner);
    keccak(&preimage)
}

/// The digest that the primary key signs to approve a signing key.
pub fn register_digest(contract: &Address, signer: &Address, expiry_ms: u64) -> [u8; 32] {
    let mut domain = Vec::with_capacity(128);
    domain.extend(keccak(b"EIP712Domain(string name,string version,address verifyingContract)"));
    domain.extend(keccak(b"VestRouterV2"));
    domain.extend(keccak(b"0.0.1"));
    domain.extend(padded(contract));
    let mut proof = Vec::with_capacity(96);
    proof.extend(keccak(b"SignerProof(address approvedSigner,uint256 signerExpiry)"));
    proof.extend(padded(signer));
    proof.extend(word(u128::from(expiry_ms)));
    let mut preimage = vec![0x19, 0x01];
    preimage.extend(keccak(&domain));
    preimage.extend(keccak(&proof));
    keccak(&preimage)
}

/// Who signed this digest.
pub fn recover(digest: &[u8; 32], text: &str) -> Result<Address, BadSignature> {
    let shape = || BadSignature::Shape(text.len());
    let bytes = hex::decode(text.strip_prefix("0x").ok_or_else(shape)?).map_err(|_| shape())?;
    let bytes: [u8; 65] = bytes.try_into().map_err(|_| shape())?;
    let parity = match bytes[64] {
        27 => false,
        28 => true,
        other => return Err(BadSignature::Parity(other)),
    };
    let signature = Signature::from_slice(&bytes[..64]).map_err(|_| BadSignature::Point)?;
    let key = VerifyingKey::recover_from_prehash(digest, &signature, RecoveryId::new(parity, false));
    key.map(|key| Address::of(&key)).map_err(|_| BadSignature::Point)
}

/// Whether a text looks like a signature: `0x`, 65 bytes, v = 27 or 28.
pub fn is_shaped(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or_default();
    let parity = digits.get(128..).unwrap_or_default();
    digits.bytes().all(|b| b.is_ascii_hexdigit()) && matches!(parity, "1b" | "1c" | "1B" | "1C")
}

fn word(number: u128) -> [u8; 32] {
    let mut word = [0; 32];
    word[16..].copy_from_slice(&number.to_be_bytes());
    word
}

fn padded(address: &Address) -> [u8; 32] {
    let mut word = [0; 32];
    word[12..].copy_from_slice(&address.0);
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value as Json;

    fn vectors() -> Vec<Json> {
        let text = include_str!("../../tests/data/vest_signing.json");
        serde_json::from_str(text).unwrap()
    }

    fn text<'a>(json: &'a Json, pointer: &str) -> &'a str {
        json.pointer(pointer).and_then(Json::as_str).unwrap()
    }

    fn signer(json: &Json) -> Address {
        Address::parse(&text(json, "/signer").to_lowercase()).unwrap()
    }

    #[test]
    fn orders_and_cancels_match_the_vectors() {
        let mut seen = 0;
        for vector in vectors().iter().filter(|v| text(v, "/kind") != "register") {
            let fields = vector["values"].as_array().unwrap();
            let value = |field: &'_ Json| match field {
                Json::Number(n) => Value::Uint(u128::from(n.as_u64().unwrap())),
                Json::Bool(b) => Value::Bool(*b),
                other => Value::Text(Box::leak(other.as_str().unwrap().to_owned().into_boxed_str())),
            };
            let values: Vec<Value> = fields.iter().map(value).collect();
            let inner = keccak(&abi_encode(&values));
            assert_eq!(
                format!("0x{}", hex::encode(inner)),
                text(vector, "/inner"),
                "{}",
                text(vector, "/id")
            );
            let digest = personal_digest(&inner);
            assert_eq!(format!("0x{}", hex::encode(digest)), text(vector, "/digest"));
            assert_eq!(recover(&digest, text(vector, "/signature")), Ok(signer(vector)));
            seen += 1;
        }
        assert!(seen >= 6);
    }

    #[test]
    fn registrations_match_the_vectors() {
        for vector in vectors().iter().filter(|v| text(v, "/kind") == "register") {
            let contract = Address::parse(&text(vector, "/contract").to_lowercase()).unwrap();
            let approved = Address::parse(&text(vector, "/approved").to_lowercase()).unwrap();
            let digest = register_digest(&contract, &approved, vector["expiry"].as_u64().unwrap());
            assert_eq!(format!("0x{}", hex::encode(digest)), text(vector, "/digest"));
            assert_eq!(recover(&digest, text(vector, "/signature")), Ok(signer(vector)));
        }
    }

    #[test]
    fn malformed_signatures_are_refused() {
        let digest = [7; 32];
        assert_eq!(recover(&digest, "0x00"), Err(BadSignature::Shape(4)));
        assert_eq!(recover(&digest, &"11".repeat(65)), Err(BadSignature::Shape(130)));
        assert_eq!(recover(&digest, &format!("0x{}00", "11".repeat(64))), Err(BadSignature::Parity(0)));
        assert_eq!(recover(&digest, &format!("0x{}1b", "00".repeat(64))), Err(BadSignature::Point));
    }

    #[test]
    fn addresses_are_lower_case() {
        assert!(Address::parse(PROD_CONTRACT).is_some());
        assert!(Address::parse(DEV_CONTRACT).is_some());
        assert!(Address::parse("0x919386306C47b2Fe1036e3B4F7C40D22D2461a23").is_none());
    }
}
