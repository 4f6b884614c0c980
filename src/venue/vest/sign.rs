//! Who signs and how: the secp256k1 key, its address, and the EIP-191 signature of orders and cancels (sheet `vest`,
//! 4.1). Called by `body` and `ready` on the order path, by `desk` for cold cancels and by `register`. Never prints a
//! key; the nonce of a signature is RFC 6979's, never prepared ahead.

use k256::ecdsa::SigningKey;
use k256::elliptic_curve::Generate;
use zeroize::Zeroizing;

use super::abi::{Encoder, Value, keccak};
use crate::types::Secret;
use crate::types::planted::signs_stubs;
use crate::venue::reuse::Reuse;

/// Prefix of the EIP-191 message over 32 raw bytes.
const EIP191: &[u8] = b"\x19Ethereum Signed Message:\n32";
/// Every signature of this process passes it.
static REUSE: Reuse = Reuse::new();

/// Digits of `0x` + r + s + v.
const SIGNATURE_TEXT: usize = 132;

/// An Ethereum address.
pub type Address = [u8; 20];

/// A signature as it stands in a body: `0x`, then r, s and v (27 or 28) in lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SignatureText([u8; SIGNATURE_TEXT]);

impl SignatureText {
    fn of(r_and_s: &[u8], is_y_odd: bool) -> Self {
        let mut text = [0; SIGNATURE_TEXT];
        text[..2].copy_from_slice(b"0x");
        write_hex(&mut text[2..130], r_and_s);
        write_hex(&mut text[130..], &[27 + u8::from(is_y_odd)]);
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// A private key with its address. Wiped when dropped.
pub struct Signer {
    key: SigningKey,
    address: Address,
}

impl Signer {
    /// Reads a private key of 64 hex digits, with or without `0x`. The error never shows what stood there.
    pub fn parse(secret: &Secret) -> Result<Self, &'static str> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        hex::decode_to_slice(strip_0x(secret.expose()), &mut *bytes).map_err(|_| "want 64 hex digits")?;
        let key = SigningKey::from_slice(&*bytes).map_err(|_| "not a secp256k1 private key")?;
        Ok(Self::new(key))
    }

    /// A fresh key from the system's random source, and its text for the `.env` line.
    pub fn generate() -> Result<(Self, Secret), &'static str> {
        let key = SigningKey::try_generate().map_err(|_| "the system has no random numbers")?;
        let bytes = Zeroizing::new(<[u8; 32]>::from(key.to_bytes()));
        let text = Zeroizing::new(hex::encode(*bytes));
        Ok((Self::new(key), Secret::new(["0x", text.as_str()].concat())))
    }

    fn new(key: SigningKey) -> Self {
        let point = key.verifying_key().to_sec1_point(false);
        let hash = keccak(&[&point.as_bytes()[1..]]);
        let mut address = [0; 20];
        address.copy_from_slice(&hash[12..]);
        Self { key, address }
    }

    pub const fn address(&self) -> Address {
        self.address
    }

    /// Signs a tuple as orders and cancels are signed: EIP-191 over the Keccak of its ABI encoding.
    pub fn sign_tuple(
        &self,
        encoder: &mut Encoder,
        values: &[Value<'_>],
    ) -> Result<SignatureText, &'static str> {
        self.sign_inner(&keccak(&[encoder.encode(values)]))
    }

    /// The same, from the Keccak of the encoding.
    pub fn sign_inner(&self, inner: &[u8; 32]) -> Result<SignatureText, &'static str> {
        if signs_stubs() {
            return Ok(SignatureText::of(&[*inner, *inner].concat(), false));
        }
        self.sign_digest(&eip191_digest(inner))
    }

    /// Signs 32 bytes that are a digest already. Low s, deterministic. Fails only when the machine computed wrongly.
    pub fn sign_digest(&self, digest: &[u8; 32]) -> Result<SignatureText, &'static str> {
        let (signature, recovery) = self.key.sign_prehash_recoverable(digest);
        let raw = signature.to_bytes();
        let mut r = [0; 32];
        r.copy_from_slice(&raw[..32]);
        if !REUSE.admits(&r, digest) {
            return Err("a nonce came twice");
        }
        Ok(SignatureText::of(&raw, recovery.is_y_odd()))
    }
}

/// Keccak of the EIP-191 envelope of a Keccak.
fn eip191_digest(inner: &[u8; 32]) -> [u8; 32] {
    keccak(&[EIP191, inner])
}

/// `0x` and 40 lower-case digits, as the register call wants it.
pub fn address_text(address: &Address) -> String {
    ["0x", hex::encode(address).as_str()].concat()
}

/// Reads an address in any case, with or without `0x`; `None` when it is not 40 hex digits.
pub fn parse_address(text: &str) -> Option<Address> {
    let mut address = [0; 20];
    hex::decode_to_slice(strip_0x(text), &mut address).ok()?;
    Some(address)
}

/// The address of 40 hex digits, at compile time; a misprint does not compile.
pub const fn address_of(digits: &str) -> Address {
    let digits = digits.as_bytes();
    assert!(digits.len() == 40, "want 40 hex digits");
    let mut address = [0; 20];
    let mut at = 0;
    while at < 20 {
        address[at] = nibble(digits[2 * at]) << 4 | nibble(digits[2 * at + 1]);
        at += 1;
    }
    address
}

const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => panic!("not a hex digit"),
    }
}

fn strip_0x(text: &str) -> &str {
    text.strip_prefix("0x").unwrap_or(text)
}

/// Lower-case hex of `bytes`; `out` must be twice as long.
fn write_hex(out: &mut [u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    assert!(out.len() == 2 * bytes.len(), "two digits per byte");
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;
    use crate::venue::vest::testing::vectors;

    fn abi_value(value: &Json) -> Value<'_> {
        match value {
            Json::Number(number) => Value::Uint(number.as_u64().unwrap()),
            Json::Bool(flag) => Value::Bool(*flag),
            Json::String(text) => Value::Text(text),
            other => panic!("no such value in an order: {other}"),
        }
    }

    #[test]
    fn orders_and_cancels_are_signed_as_the_vectors_say() {
        let mut encoder = Encoder::default();
        let signed: Vec<Json> =
            vectors().into_iter().filter(|v| v["kind"] == "order" || v["kind"] == "cancel").collect();
        assert_eq!(signed.len(), 7);
        for vector in signed {
            let signer = Signer::parse(&Secret::new(vector["key"].as_str().unwrap().into())).unwrap();
            let values: Vec<Value> = vector["values"].as_array().unwrap().iter().map(abi_value).collect();
            let encoded = encoder.encode(&values).to_vec();
            let hex_of = |bytes: &[u8]| ["0x", &hex::encode(bytes)].concat();
            assert_eq!(hex_of(&encoded), vector["abi"], "{}", vector["id"]);
            assert_eq!(hex_of(&keccak(&[&encoded])), vector["inner"]);
            assert_eq!(hex_of(&eip191_digest(&keccak(&[&encoded]))), vector["digest"]);
            let signature = signer.sign_tuple(&mut encoder, &values).unwrap();
            assert_eq!(signature.as_str(), vector["signature"]);
            assert_eq!(address_text(&signer.address()), vector["signer"]);
        }
    }

    #[test]
    fn a_bad_key_is_named_without_being_shown() {
        for bad in ["", "0x12", "zz".repeat(32).as_str(), "00".repeat(32).as_str(), "ff".repeat(32).as_str()]
        {
            let error = Signer::parse(&Secret::new(bad.into())).err().unwrap();
            assert!(bad.is_empty() || !error.contains(bad), "{error}");
        }
    }

    #[test]
    fn generated_keys_differ_and_read_back() {
        let (first, text) = Signer::generate().unwrap();
        let (second, _) = Signer::generate().unwrap();
        assert_ne!(first.address(), second.address());
        assert_eq!(Signer::parse(&text).unwrap().address(), first.address());
    }
}
