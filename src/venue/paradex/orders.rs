//! The order on the wire (sheet 3.2, 6): `order.create` and `order.cancel` in one reused buffer, signed by `sign`.
//! Called by `trader`, on the path of an order: nothing here allocates once warm.

use std::fmt::Write;

use starknet_crypto::Felt;

use super::rpc::Requests;
use super::sign::{OrderPrefix, Signature, Signer};
use super::{Markets, hash};
use crate::types::limits::ORDER_BYTES_MAX;
use crate::types::money::{write_trimmed, write_whole};
use crate::types::order::Reason;
use crate::types::ready::{Begun, SignedText};
use crate::types::{ClientId, MarketRules, OrderSpec, PairId, Qty, Side};
use crate::venue::{Presigner, Setup, SetupError};

/// Shortest receive window that the venue takes, ms (sheet 3.1).
const WINDOW_MIN_MS: u32 = 10;

/// Writes signed orders. Keeps each market's symbol as text and as felt.
pub struct OrderWriter {
    signer: Signer,
    markets: Vec<(PairId, String, Felt)>,
    requests: Requests,
}

impl OrderWriter {
    pub fn new(signer: Signer, markets: &Markets) -> Result<Self, SetupError> {
        let markets = felts(markets)?;
        Ok(Self { signer, markets, requests: Requests::new(ORDER_BYTES_MAX) })
    }

    /// Requests of the session share the numbering.
    pub fn requests(&mut self) -> &mut Requests {
        &mut self.requests
    }

    /// A signed `order.create`: LIMIT, IOC, no more than `spec` says. Returns the request's id and its bytes, or why
    /// this order cannot be written.
    pub fn create(&mut self, spec: &OrderSpec) -> Result<(u64, &[u8]), Reason> {
        let (_, felt) = market(&self.markets, spec.pair)?;
        let signature = sign(&self.signer, felt, spec)?.text();
        self.create_signed(spec, &signature)
    }

    /// The same with a signature that was made ahead.
    pub fn create_signed(
        &mut self,
        spec: &OrderSpec,
        signature: &SignedText,
    ) -> Result<(u64, &[u8]), Reason> {
        if spec.qty.raw() <= 0 || spec.limit.raw() <= 0 {
            return Err(Reason::cut("size and limit must be positive"));
        }
        let (symbol, _) = market(&self.markets, spec.pair)?;
        Ok(self.requests.write("order.create", |out| write_body(out, symbol, spec, signature.as_str())))
    }

    /// The same of an order that was begun ahead: only its limit is hashed now.
    pub fn create_begun(&mut self, spec: &OrderSpec, begun: &Begun) -> Result<(u64, &[u8]), Reason> {
        let signature = finish(&self.signer, &OrderPrefix::from_begun(begun), spec)?.text();
        self.create_signed(spec, &signature)
    }

    /// `order.cancel_all` of a market; unsigned.
    pub fn cancel_all(&mut self, pair: PairId) -> Result<(u64, &[u8]), Reason> {
        let (symbol, _) = market(&self.markets, pair)?;
        Ok(self.requests.write("order.cancel_all", |out| {
            push(out, format_args!("{{\"market\":\"{symbol}\"}}"));
        }))
    }

    /// `order.cancel` by our id and the market; unsigned.
    pub fn cancel(&mut self, id: ClientId, pair: PairId) -> Result<(u64, &[u8]), Reason> {
        let (symbol, _) = market(&self.markets, pair)?;
        Ok(self.requests.write("order.cancel", |out| {
            push(out, format_args!("{{\"client_id\":\"{}\",\"market\":\"{symbol}\"}}", id.text()));
        }))
    }
}

/// The body of `POST /orders`: the same signed order as on the socket.
pub fn rest_body(signer: &Signer, symbol: &str, spec: &OrderSpec) -> Result<String, Reason> {
    let felt = hash::short_string(symbol).ok_or_else(|| Reason::cut("the market's name is too long"))?;
    let signature = sign(signer, felt, spec)?;
    let mut body = String::with_capacity(ORDER_BYTES_MAX);
    write_body(&mut body, symbol, spec, signature.text().as_str());
    Ok(body)
}

fn sign(signer: &Signer, market: Felt, spec: &OrderSpec) -> Result<Signature, Reason> {
    finish(signer, &signer.order_prefix(market, spec.side, spec.qty, spec.signed_ms), spec)
}

fn finish(signer: &Signer, prefix: &OrderPrefix, spec: &OrderSpec) -> Result<Signature, Reason> {
    let hash = signer.order_hash(prefix, spec.limit);
    signer.sign(hash).ok_or_else(|| Reason::cut("hash cannot be signed"))
}

/// The body of `order.create` and of `POST /orders`.
pub fn write_body(out: &mut String, symbol: &str, spec: &OrderSpec, signature: &str) {
    let side = match spec.side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    };
    let flags = if spec.reduce_only { "\"flags\":[\"REDUCE_ONLY\"]," } else { "" };
    let window_ms = spec.window_ms.max(WINDOW_MIN_MS);
    for text in ["{\"market\":\"", symbol, "\",\"side\":\"", side, "\",\"type\":\"LIMIT\",\"size\":\""] {
        out.push_str(text);
    }
    let numbers = write_trimmed(out, spec.qty.raw())
        .and_then(|()| out.write_str("\",\"price\":\""))
        .and_then(|()| write_trimmed(out, spec.limit.raw()))
        .and_then(|()| out.write_str("\",\"instruction\":\"IOC\",\"client_id\":\""))
        .and_then(|()| spec.id.write(out))
        .and_then(|()| out.write_str("\","))
        .and_then(|()| out.write_str(flags))
        .and_then(|()| out.write_str("\"stp\":\"EXPIRE_TAKER\",\"recv_window\":"))
        .and_then(|()| write_whole(out, window_ms.into()))
        .and_then(|()| out.write_str(",\"signature_timestamp\":"))
        .and_then(|()| write_whole(out, spec.signed_ms));
    debug_assert!(numbers.is_ok(), "a String takes every text");
    for text in [",\"signature\":\"", signature, "\"}"] {
        out.push_str(text);
    }
}

/// Signs orders ahead, for `signer`: with a key and a hash prefix of its own.
pub struct ParadexPresigner {
    signer: Signer,
    markets: Vec<(PairId, String, Felt)>,
    last: Option<(Common, OrderPrefix)>,
}

/// What the orders of one ladder have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Common {
    pair: PairId,
    side: Side,
    qty: Qty,
    signed_ms: u64,
}

impl ParadexPresigner {
    /// Fails without credentials.
    pub fn new(setup: &Setup) -> Result<Self, SetupError> {
        let markets = felts(&Markets::new(setup)?)?;
        Ok(Self { signer: Signer::from_setup(setup)?, markets, last: None })
    }
}

impl Presigner for ParadexPresigner {
    fn set_rules(&mut self, _pair: PairId, _rules: &MarketRules) {
        // Orders are signed from their specification alone.
    }

    fn sign(&mut self, spec: &OrderSpec) -> Option<SignedText> {
        let &OrderSpec { pair, side, qty, signed_ms, limit, .. } = spec;
        let common = Common { pair, side, qty, signed_ms };
        let (_, felt) = market(&self.markets, pair).ok()?;
        let kept = self.last.filter(|(of, _)| *of == common);
        let prefix = kept.map_or_else(|| self.signer.order_prefix(felt, side, qty, signed_ms), |kept| kept.1);
        self.last = Some((common, prefix));
        Some(self.signer.sign(self.signer.order_hash(&prefix, limit))?.text())
    }

    fn begin(&mut self, spec: &OrderSpec) -> Option<Begun> {
        let (_, felt) = market(&self.markets, spec.pair).ok()?;
        Some(self.signer.order_prefix(felt, spec.side, spec.qty, spec.signed_ms).begun())
    }
}

/// Each market's symbol as text and as felt.
fn felts(markets: &Markets) -> Result<Vec<(PairId, String, Felt)>, SetupError> {
    let felt = |(pair, symbol): (PairId, &str)| {
        let felt = hash::short_string(symbol);
        let felt = felt.ok_or_else(|| SetupError::Config(format!("market {symbol:?} is too long")))?;
        Ok((pair, symbol.to_owned(), felt))
    };
    markets.iter().map(felt).collect()
}

fn market(markets: &[(PairId, String, Felt)], pair: PairId) -> Result<(&str, Felt), Reason> {
    let found = markets.iter().find(|(known, ..)| *known == pair);
    found
        .map(|(_, symbol, felt)| (symbol.as_str(), *felt))
        .ok_or_else(|| Reason::cut("no market for the pair"))
}

fn push(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(arguments);
    debug_assert!(written.is_ok(), "a String takes every text");
}

#[cfg(test)]
mod tests {
    use starknet_crypto::verify;

    use super::super::fixture;
    use super::*;
    use crate::types::{Price, Purpose, VenueId};

    fn spec(reduce_only: bool) -> OrderSpec {
        OrderSpec {
            id: ClientId { epoch: 7, seq: 42, leg: 1 },
            venue: VenueId(1),
            pair: PairId(0),
            side: Side::Buy,
            purpose: if reduce_only { Purpose::Exit } else { Purpose::Enter },
            qty: Qty::from_raw(123_000),
            limit: Price::from_raw(8_345_670_000_000),
            reduce_only,
            signed_ms: 1_767_225_600_123,
            nonce: 0,
            window_ms: 500,
        }
    }

    fn writer() -> OrderWriter {
        let setup = fixture::setup();
        OrderWriter::new(Signer::from_setup(&setup).unwrap(), &Markets::new(&setup).unwrap()).unwrap()
    }

    #[test]
    fn an_order_has_exactly_these_bytes() {
        let mut writer = writer();
        let (id, bytes) = writer.create(&spec(false)).unwrap();
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/data/paradex_vectors.json")).unwrap();
        let vector = vectors["messages"].as_array().unwrap().iter();
        let vector = vector.clone().find(|v| v["id"] == "testnet-05-order_limit_buy").unwrap();
        let wire = vector["wire"].as_str().unwrap().replace('"', "\\\"");
        let expected = [
            format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"order.create","params":{{"market":"BTC-USD-PERP","#
            ),
            r#""side":"BUY","type":"LIMIT","size":"0.00123","price":"83456.7","instruction":"IOC","#.into(),
            r#""client_id":"7-42-1","stp":"EXPIRE_TAKER","recv_window":500,"#.into(),
            format!(r#""signature_timestamp":1767225600123,"signature":"{wire}"}}}}"#),
        ]
        .concat();
        assert_eq!(std::str::from_utf8(bytes).unwrap(), expected);
        assert!(bytes.len() < ORDER_BYTES_MAX);
    }

    #[test]
    fn a_closing_order_is_reduce_only_and_its_signature_verifies() {
        let mut writer = writer();
        let spec = OrderSpec { side: Side::Sell, window_ms: 1, ..spec(true) };
        let market = hash::short_string(fixture::BTC).unwrap();
        let prefix = writer.signer.order_prefix(market, spec.side, spec.qty, spec.signed_ms);
        let hash = writer.signer.order_hash(&prefix, spec.limit);
        let public_key = writer.signer.public_key();
        let (_, bytes) = writer.create(&spec).unwrap();
        let request: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        let params = &request["params"];
        assert_eq!(params["flags"], serde_json::json!(["REDUCE_ONLY"]));
        assert_eq!((&params["side"], &params["recv_window"]), (&"SELL".into(), &10.into()));
        let wire: Vec<String> = serde_json::from_str(params["signature"].as_str().unwrap()).unwrap();
        let [r, s] = [0, 1].map(|i| Felt::from_dec_str(&wire[i]).unwrap());
        assert!(verify(&public_key, &hash, &r, &s).unwrap());
    }

    #[test]
    fn an_order_signed_ahead_leaves_with_the_bytes_of_one_signed_at_the_send() {
        let (mut writer, mut presigner) = (writer(), ParadexPresigner::new(&fixture::setup()).unwrap());
        for (signed_ms, limit) in [(5, 8_345_670_000_000), (5, 8_345_680_000_000), (6, 8_345_680_000_000)] {
            let spec = OrderSpec { signed_ms, limit: Price::from_raw(limit), ..spec(true) };
            let signature = presigner.sign(&spec).unwrap();
            // The number of the request differs.
            let params =
                |bytes: &[u8]| String::from_utf8_lossy(bytes).split_once("\"method\"").unwrap().1.to_owned();
            let now = params(writer.create(&spec).unwrap().1);
            assert_eq!(params(writer.create_signed(&spec, &signature).unwrap().1), now);
            let begun = presigner.begin(&OrderSpec { limit: Price::ZERO, ..spec }).unwrap();
            assert_eq!(params(writer.create_begun(&spec, &begun).unwrap().1), now);
        }
    }

    #[test]
    fn a_cancel_names_our_id_and_the_market() {
        let mut writer = writer();
        let (_, bytes) = writer.cancel(spec(false).id, PairId(0)).unwrap();
        let request: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        assert_eq!(request["method"], "order.cancel");
        assert_eq!(request["params"], serde_json::json!({"client_id": "7-42-1", "market": "BTC-USD-PERP"}));
    }

    #[test]
    fn what_cannot_be_an_order_is_refused() {
        let mut writer = writer();
        assert!(writer.create(&OrderSpec { qty: Qty::ZERO, ..spec(false) }).is_err());
        assert!(writer.create(&OrderSpec { limit: Price::from_raw(-1), ..spec(false) }).is_err());
        assert!(writer.create(&OrderSpec { pair: PairId(9), ..spec(false) }).is_err());
        assert!(writer.cancel(spec(false).id, PairId(9)).is_err());
    }
}
