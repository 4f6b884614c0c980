//! The client's side of the signatures: typed data, revision 0, written again from the sheet (§2.4, §3.1).

use sha3::{Digest, Keccak256};
use starknet_crypto::{Felt, pedersen_hash, rfc6979_generate_k, sign};

/// A key and the account that it signs for.
pub struct Signer {
    key: Felt,
    account: Felt,
}

impl Signer {
    pub fn new(key: &str, account: &str) -> Signer {
        Signer { key: Felt::from_hex(key).unwrap(), account: Felt::from_hex(account).unwrap() }
    }

    pub fn public_key(&self) -> String {
        self.public().to_hex_string()
    }

    pub fn account(&self) -> String {
        self.account.to_hex_string()
    }

    fn public(&self) -> Felt {
        starknet_crypto::get_public_key(&self.key)
    }

    /// The log-in signature, `["r","s"]`.
    pub fn auth(&self, timestamp_s: u64, expiration_s: u64) -> String {
        let kind = "Request(method:felt,path:felt,body:felt,timestamp:felt,expiration:felt)";
        let times = [Felt::from(timestamp_s), Felt::from(expiration_s)];
        self.signature(kind, &[text("POST"), text("/v1/auth"), Felt::ZERO, times[0], times[1]])
    }

    /// The signature of an order: size and price as the API's decimal strings.
    pub fn order(
        &self,
        time_ms: u64,
        market: &str,
        side: &str,
        kind: &str,
        size: &str,
        price: &str,
    ) -> String {
        let type_string = "Order(timestamp:felt,market:felt,side:felt,orderType:felt,size:felt,price:felt)";
        let side = if side == "BUY" { Felt::ONE } else { Felt::TWO };
        let fields = [Felt::from(time_ms), text(market), side, text(kind), scaled(size), scaled(price)];
        self.signature(type_string, &fields)
    }

    fn signature(&self, type_string: &str, fields: &[Felt]) -> String {
        let domain_type = "StarkNetDomain(name:felt,chainId:felt,version:felt)";
        let domain = [text("Paradex"), text("PRIVATE_SN_POTC_SEPOLIA"), Felt::ONE];
        let domain = structure(domain_type, &domain);
        let message = [text("StarkNet Message"), domain, self.account, structure(type_string, fields)];
        let hash = chain(&message);
        let nonce = rfc6979_generate_k(&hash, &self.key, None);
        let signature = sign(&self.key, &hash, &nonce).unwrap();
        format!("[\"{}\",\"{}\"]", signature.r, signature.s)
    }
}

fn structure(type_string: &str, fields: &[Felt]) -> Felt {
    let mut keccak: [u8; 32] = Keccak256::digest(type_string).into();
    keccak[0] &= 3;
    chain(&[&[Felt::from_bytes_be(&keccak)], fields].concat())
}

fn chain(values: &[Felt]) -> Felt {
    let hash = values.iter().fold(Felt::ZERO, |hash, value| pedersen_hash(&hash, value));
    pedersen_hash(&hash, &Felt::from(values.len()))
}

fn text(text: &str) -> Felt {
    Felt::from_bytes_be_slice(text.as_bytes())
}

/// A decimal string at 1e-8.
fn scaled(decimal: &str) -> Felt {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    Felt::from_dec_str(&format!("{whole}{fraction:0<8}")).unwrap()
}
