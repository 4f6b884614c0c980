//! Signatures of this venue: the account, its key and the prefixes that are hashed once (sheet 2.4, 2.5, 3.1). Owned by
//! `trader` and `desk`, one each. The key never leaves this file; nothing here can be printed.

use std::fmt::{self, Write};

use starknet_crypto::Felt;
use zeroize::Zeroizing;

use super::hash::{self, BeforeLast, Chain};
use super::stark::ecdsa;
use super::stark::pedersen::Half;
use super::{ACCOUNT_ADDRESS, SUBKEY, chain_id};
use crate::types::money::write_whole;
use crate::types::planted::signs_stubs;
use crate::types::ready::{Begun, SignedText};
use crate::types::{Price, Qty, Side};
use crate::venue::reuse::Reuse;
use crate::venue::{Setup, SetupError};

/// Order of the Stark curve; a private key lies strictly between zero and it (sheet 2.2).
const CURVE_ORDER: Felt =
    Felt::from_hex_unchecked("0x800000000000010ffffffffffffffffb781126dcae7b2321e66a241adc64d2f");

/// Felts of an order's struct: its type and six fields.
const ORDER_FELTS: u64 = 7;

/// Every signature of this process passes it.
static REUSE: Reuse = Reuse::new();

/// ECDSA signature on the Stark curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    pub r: Felt,
    pub s: Felt,
}

/// Signs for one account with one key on one chain. No `Debug` and no `Clone`: it holds the key, wiped when dropped.
pub struct Signer {
    account: Felt,
    key: Zeroizing<Felt>,
    public_key: Felt,
    message: BeforeLast,
    order: Chain,
    order_closing: Half,
    login: Chain,
    limit: Felt,
}

impl Signer {
    /// From the credentials of a set-up. Fails when one is missing, is not hex, or cannot be a key.
    pub fn from_setup(setup: &Setup) -> Result<Self, SetupError> {
        let account = felt(setup, ACCOUNT_ADDRESS)?;
        let key = felt(setup, SUBKEY)?;
        if key == Felt::ZERO || key >= CURVE_ORDER {
            return Err(SetupError::Malformed { key: SUBKEY, why: "not a private key of the Stark curve" });
        }
        Ok(Self::new(account, key, chain_id(&setup.env)?))
    }

    /// `key` must be a valid private key and `chain_id` a short string.
    pub fn new(account: Felt, key: Felt, chain_id: &str) -> Self {
        Self {
            account,
            public_key: ecdsa::public_key(&key),
            key: Zeroizing::new(key),
            message: hash::message_prefix(chain_id, account).before_last(),
            order: Chain::of_type(hash::ORDER_TYPE),
            order_closing: hash::closing(ORDER_FELTS),
            login: login_prefix(),
            limit: hash::short_string("LIMIT").unwrap_or_default(),
        }
    }

    /// Address of the trading account: the main one, also when a subkey signs.
    pub fn account(&self) -> Felt {
        self.account
    }

    /// Public key that belongs to the signing key.
    pub fn public_key(&self) -> Felt {
        self.public_key
    }

    /// Everything of a LIMIT order's hash but its price (sheet 3.1): five of nine Pedersen evaluations.
    pub fn order_prefix(&self, market: Felt, side: Side, qty: Qty, signed_ms: u64) -> OrderPrefix {
        let side = match side {
            Side::Buy => Felt::ONE,
            Side::Sell => Felt::TWO,
        };
        let chain = self.order.then(Felt::from(signed_ms)).then(market).then(side);
        OrderPrefix(chain.then(self.limit).then(Felt::from(qty.raw())).half())
    }

    /// Message hash of the order of this prefix at this price.
    pub fn order_hash(&self, prefix: &OrderPrefix, limit: Price) -> Felt {
        let fields = prefix.0.with_right(Felt::from(limit.raw()));
        self.message.finish(self.order_closing.with_left(fields))
    }

    /// Message hash of a log-in request, times in unix seconds. The signed path is `/v1/auth` whatever the URL says
    /// (sheet 2.6).
    pub fn auth_hash(&self, timestamp_s: u64, expiration_s: u64) -> Felt {
        let structure = self.login.then(Felt::from(timestamp_s)).then(Felt::from(expiration_s));
        self.message.finish(structure.finish())
    }

    /// Signs a message hash with the nonce of RFC 6979, no extra entropy. `None` only when the hash is one of the few
    /// that the curve cannot sign (chance below 2^-50), or when the machine computed wrongly.
    pub fn sign(&self, message_hash: Felt) -> Option<Signature> {
        if signs_stubs() {
            return Some(Signature { r: message_hash, s: Felt::ONE });
        }
        let (r, s) = ecdsa::sign(&self.key, &message_hash)?;
        let leaves = REUSE.admits(&r.to_bytes_be(), &message_hash.to_bytes_be());
        leaves.then_some(Signature { r, s })
    }
}

/// Everything of a log-in's struct but its two times: method, path and an empty body.
fn login_prefix() -> Chain {
    let word = |text| hash::short_string(text).unwrap_or_default();
    Chain::of_type(hash::REQUEST_TYPE).then(word("POST")).then(word("/v1/auth")).then(Felt::ZERO)
}

/// An order of one market, side, size and signed time, hashed up to its price.
#[derive(Clone, Copy)]
pub struct OrderPrefix(Half);

impl OrderPrefix {
    /// As it travels from thread to thread.
    pub fn begun(&self) -> Begun {
        self.0.words()
    }

    /// Of what [`OrderPrefix::begun`] gave.
    pub fn from_begun(begun: &Begun) -> Self {
        Self(Half::from_words(begun))
    }
}

impl Signature {
    /// Writes `["r","s"]` in decimal without blanks. `quote` is what stands for a quotation mark: `"` in a header, `\"`
    /// inside a JSON text.
    pub fn write(&self, out: &mut impl Write, quote: &str) -> fmt::Result {
        for (open, felt) in [("[", self.r), (",", self.s)] {
            out.write_str(open)?;
            out.write_str(quote)?;
            write_decimal(out, felt)?;
            out.write_str(quote)?;
        }
        out.write_char(']')
    }

    /// As it stands in the body of an order: a JSON text inside a JSON text.
    pub fn text(&self) -> SignedText {
        let mut text = SignedText::EMPTY;
        let written = self.write(&mut text, "\\\"");
        debug_assert!(written.is_ok(), "two felts of 76 digits fit");
        text
    }
}

/// A hex felt among the credentials; the error names the key and not the value.
fn felt(setup: &Setup, key: &'static str) -> Result<Felt, SetupError> {
    let text = setup.secrets.get(key)?.expose();
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let hex = !digits.is_empty() && digits.len() <= 64 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let malformed = SetupError::Malformed { key, why: "expected up to 64 hex digits after 0x" };
    if !hex {
        return Err(malformed);
    }
    Felt::from_hex(text).or_else(|_| Felt::from_hex(&format!("0x{digits}"))).map_err(|_| malformed)
}

/// A felt in decimal: five groups of 19 digits, split off by long division over 64-bit limbs.
fn write_decimal(out: &mut impl Write, felt: Felt) -> fmt::Result {
    const GROUP: u64 = 10_000_000_000_000_000_000;
    let mut limbs = felt.to_be_digits();
    let mut groups = [0_u64; 5];
    let mut used = 0;
    for group in &mut groups {
        let mut rest = 0_u64;
        for limb in &mut limbs {
            let value = u128::from(rest) << 64 | u128::from(*limb);
            *limb = (value / u128::from(GROUP)) as u64;
            rest = (value % u128::from(GROUP)) as u64;
        }
        *group = rest;
        used += 1;
        if limbs == [0; 4] {
            break;
        }
    }
    for (nth, group) in groups[..used].iter().rev().enumerate() {
        let leading = if nth == 0 { 0 } else { 19 - group.max(&1).ilog10() as usize - 1 };
        out.write_str(&"0000000000000000000"[..leading])?;
        write_whole(out, *group)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use starknet_crypto::verify;

    use super::super::fixture;
    use super::*;
    use crate::types::{ClientId, OrderSpec, PairId, Purpose, Secret, VenueId};

    fn vectors() -> serde_json::Value {
        serde_json::from_str(include_str!("../../../tests/data/paradex_vectors.json")).unwrap()
    }

    fn hex(value: &serde_json::Value) -> Felt {
        Felt::from_hex(value.as_str().unwrap()).unwrap()
    }

    fn signer(vector: &serde_json::Value) -> Signer {
        Signer::new(hex(&vector["account"]), hex(&vector["key"]), vector["chain_id"].as_str().unwrap())
    }

    fn limit_order(vector: &serde_json::Value) -> OrderSpec {
        let decimal = |field: &str| vector[field].as_str().unwrap().as_bytes();
        OrderSpec {
            id: ClientId::default(),
            venue: VenueId(1),
            pair: PairId(0),
            side: if vector["side"] == "BUY" { Side::Buy } else { Side::Sell },
            purpose: Purpose::Enter,
            qty: Qty::parse(decimal("size")).unwrap(),
            limit: Price::parse(decimal("price")).unwrap(),
            reduce_only: false,
            signed_ms: vector["signature_timestamp_ms"].as_u64().unwrap(),
            nonce: 0,
            window_ms: 500,
        }
    }

    #[test]
    fn every_vector_hashes_signs_and_verifies() {
        for vector in vectors()["messages"].as_array().unwrap() {
            let signer = signer(vector);
            let chain = Chain::of_type(vector["type_string"].as_str().unwrap());
            let chain = vector["felts"].as_array().unwrap().iter().fold(chain, |c, felt| c.then(hex(felt)));
            assert_eq!(chain.finish(), hex(&vector["struct_hash"]), "{}", vector["id"]);
            let message = signer.message.finish(chain.finish());
            assert_eq!(message, hex(&vector["message_hash"]), "{}", vector["id"]);
            let signature = signer.sign(message).unwrap();
            assert_eq!((signature.r, signature.s), (hex(&vector["r"]), hex(&vector["s"])));
            assert_eq!(signer.public_key(), hex(&vector["public_key"]));
            assert!(verify(&signer.public_key(), &message, &signature.r, &signature.s).unwrap());
            let mut wire = String::new();
            signature.write(&mut wire, "\"").unwrap();
            assert_eq!(wire, vector["wire"].as_str().unwrap());
        }
    }

    #[test]
    fn limit_orders_and_log_ins_hash_as_the_vectors_say() {
        let (mut orders, mut logins) = (0, 0);
        for vector in vectors()["messages"].as_array().unwrap() {
            let signer = signer(vector);
            if vector["type_string"] == hash::ORDER_TYPE && vector["type"] == "LIMIT" {
                let market = hash::short_string(vector["market"].as_str().unwrap()).unwrap();
                let spec = limit_order(vector);
                let prefix = signer.order_prefix(market, spec.side, spec.qty, spec.signed_ms);
                let hash = signer.order_hash(&prefix, spec.limit);
                assert_eq!(hash, hex(&vector["message_hash"]), "{}", vector["id"]);
                orders += 1;
            } else if vector["kind"] == "auth" {
                let time = |field: &str| vector[field].as_u64().unwrap();
                let hash = signer.auth_hash(time("timestamp"), time("expiration"));
                assert_eq!(hash, hex(&vector["message_hash"]), "{}", vector["id"]);
                logins += 1;
            }
        }
        assert_eq!((orders, logins), (4, 2));
    }

    #[test]
    fn published_hashes_of_other_clients_agree() {
        let vectors = vectors();
        let auth = &vectors["published_auth"];
        let signer = Signer::new(hex(&auth["account"]), Felt::ONE, auth["chain_id"].as_str().unwrap());
        let time = |field: &str| auth[field].as_u64().unwrap();
        assert_eq!(signer.auth_hash(time("timestamp"), time("expiration")), hex(&auth["message_hash"]));

        let order = &vectors["published_market_order"];
        let signer = Signer::new(hex(&order["account"]), Felt::ONE, order["chain_id"].as_str().unwrap());
        let word = |field: &str| hash::short_string(order[field].as_str().unwrap()).unwrap();
        let number = |field: &str| Felt::from(order[field].as_u64().unwrap());
        let fields = [
            number("timestamp"),
            word("market"),
            number("side"),
            word("type"),
            number("size"),
            number("price"),
        ];
        let chain = fields.into_iter().fold(signer.order, Chain::then);
        assert_eq!(signer.message.finish(chain.finish()), hex(&order["message_hash"]));

        let signed = &vectors["published_signature"];
        let signer = Signer::new(hex(&signed["account"]), hex(&signed["private_key"]), "any");
        let signature = signer.sign(hex(&signed["message_hash"])).unwrap();
        assert_eq!((signature.r, signature.s), (hex(&signed["r"]), hex(&signed["s"])));
    }

    #[test]
    fn decimals_of_felts() {
        for felt in [Felt::ZERO, Felt::ONE, Felt::from(u64::MAX), CURVE_ORDER, Felt::MAX] {
            let mut text = String::new();
            write_decimal(&mut text, felt).unwrap();
            assert_eq!(text, felt.to_biguint().to_string());
        }
    }

    #[test]
    fn credentials_that_cannot_be_are_refused_without_being_shown() {
        for bad in ["", "0x", "0xzz", "0x0", "not hex", &"f".repeat(65), &"f".repeat(64)] {
            let mut setup = fixture::setup();
            setup.secrets.0.insert(SUBKEY, Secret::new(bad.into()));
            let error = Signer::from_setup(&setup).err().unwrap();
            assert!(matches!(error, SetupError::Malformed { key: SUBKEY, .. }), "{error}");
        }
        assert!(Signer::from_setup(&fixture::setup()).is_ok());
    }
}
