//! Bodies of orders and cancels (sheet `vest`, 4): the text of every number is made once and stands byte for byte the
//! same in what is signed and in what is sent. Called by `requests` on the order path and by `desk`. Never allocates
//! once its buffers are warm; never sends.

use super::abi::{Encoder, Prefix, Value};
use super::sign::{SignatureText, Signer};
use crate::types::limits::ORDER_BYTES_MAX;
use crate::types::money::{PLACES, write_padded, write_whole};
use crate::types::{MarketRules, OrderKind, OrderSpec, Side};

/// Receive window of a cancel, ms: the venue's own default. A cancel that arrives late does no harm.
const CANCEL_WINDOW_MS: u64 = 5_000;

/// What an order on one market needs beside its spec; made when the rules are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    symbol: String,
    price_places: u8,
    qty_places: u8,
    order_type: &'static str,
    /// Only LIMIT takes one (sheet `vest`, 4.2).
    time_in_force: Option<&'static str>,
}

impl Terms {
    pub fn new(symbol: &str, rules: &MarketRules, kind: OrderKind) -> Self {
        let (order_type, time_in_force) = match kind {
            OrderKind::Market => ("MARKET", None),
            OrderKind::Fok => ("LIMIT", Some("FOK")),
            OrderKind::Ioc => ("LIMIT", Some("IOC")),
        };
        let (price_places, qty_places) = (rules.price_places, rules.qty_places);
        Self { symbol: symbol.to_owned(), price_places, qty_places, order_type, time_in_force }
    }
}

/// Writes bodies into buffers that are used again.
pub struct BodyWriter {
    encoder: Encoder,
    size: String,
    price: String,
    body: String,
}

impl Default for BodyWriter {
    fn default() -> Self {
        let text = || String::with_capacity(32);
        let body = String::with_capacity(ORDER_BYTES_MAX);
        Self { encoder: Encoder::default(), size: text(), price: text(), body }
    }
}

impl BodyWriter {
    /// Body of `POST /orders`. The error says why the spec cannot be written on this market.
    pub fn order(&mut self, signer: &Signer, terms: &Terms, spec: &OrderSpec) -> Result<&str, &'static str> {
        self.write_amounts(terms, spec)?;
        let signature = signer.sign_tuple(&mut self.encoder, &tuple(terms, spec, &self.size, &self.price))?;
        Ok(self.write_order(terms, spec, signature.as_str()))
    }

    /// The same body with a signature that was made ahead, of the same spec.
    pub fn signed_order(
        &mut self,
        terms: &Terms,
        spec: &OrderSpec,
        signature: &str,
    ) -> Result<&str, &'static str> {
        self.write_amounts(terms, spec)?;
        Ok(self.write_order(terms, spec, signature))
    }

    /// Signs an order ahead: quickly when it differs from the last one in its price only.
    pub fn sign_ahead(
        &mut self,
        signer: &Signer,
        prefix: &mut Prefix,
        terms: &Terms,
        spec: &OrderSpec,
    ) -> Result<SignatureText, &'static str> {
        self.write_amounts(terms, spec)?;
        let encoded = self.encoder.encode(&tuple(terms, spec, &self.size, &self.price));
        signer.sign_inner(&prefix.keccak(encoded))
    }

    fn write_amounts(&mut self, terms: &Terms, spec: &OrderSpec) -> Result<(), &'static str> {
        padded(&mut self.size, spec.qty.raw(), terms.qty_places, "size does not fit the market's places")?;
        let why = "limit does not fit the market's places";
        padded(&mut self.price, spec.limit.raw(), terms.price_places, why)
    }

    fn write_order(&mut self, terms: &Terms, spec: &OrderSpec, signature: &str) -> &str {
        self.begin(spec.signed_ms, spec.nonce);
        self.put(&[",\"symbol\":\"", &terms.symbol, "\",\"isBuy\":", bool_text(spec.side == Side::Buy)]);
        put(&mut self.body, &[",\"size\":\"", &self.size, "\",\"orderType\":\"", terms.order_type]);
        put(&mut self.body, &["\",\"limitPrice\":\"", &self.price, "\",\"reduceOnly\":"]);
        self.put(&[bool_text(spec.reduce_only)]);
        if let Some(time_in_force) = terms.time_in_force {
            self.put(&[",\"timeInForce\":\"", time_in_force, "\""]);
        }
        self.end(u64::from(spec.window_ms), signature)
    }

    /// Body of `POST /orders/cancel`. `id` must be one that [`super::json::order_id`] took.
    pub fn cancel(
        &mut self,
        signer: &Signer,
        id: &str,
        signed_ms: u64,
        nonce: u64,
    ) -> Result<&str, &'static str> {
        let values = [Value::Uint(signed_ms), Value::Uint(nonce), Value::Text(id)];
        let signature = signer.sign_tuple(&mut self.encoder, &values)?;
        self.begin(signed_ms, nonce);
        self.put(&[",\"id\":\"", id, "\""]);
        Ok(self.end(CANCEL_WINDOW_MS, signature.as_str()))
    }

    fn begin(&mut self, signed_ms: u64, nonce: u64) {
        self.body.clear();
        self.put(&["{\"order\":{\"time\":"]);
        put_number(&mut self.body, signed_ms);
        self.put(&[",\"nonce\":"]);
        put_number(&mut self.body, nonce);
    }

    fn end(&mut self, window_ms: u64, signature: &str) -> &str {
        self.put(&["},\"recvWindow\":"]);
        put_number(&mut self.body, window_ms);
        self.put(&[",\"signature\":\"", signature, "\"}"]);
        &self.body
    }

    fn put(&mut self, pieces: &[&str]) {
        put(&mut self.body, pieces);
    }
}

fn put(out: &mut String, pieces: &[&str]) {
    for piece in pieces {
        out.push_str(piece);
    }
}

const fn bool_text(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}

/// Decimal digits of `number`.
pub fn put_number(out: &mut String, number: u64) {
    let written = write_whole(out, number);
    debug_assert!(written.is_ok(), "a String takes every text");
}

/// What is signed of an order, in the order of the sheet.
fn tuple<'a>(terms: &'a Terms, spec: &OrderSpec, size: &'a str, price: &'a str) -> [Value<'a>; 8] {
    [
        Value::Uint(spec.signed_ms),
        Value::Uint(spec.nonce),
        Value::Text(terms.order_type),
        Value::Text(&terms.symbol),
        Value::Bool(spec.side == Side::Buy),
        Value::Text(size),
        Value::Text(price),
        Value::Bool(spec.reduce_only),
    ]
}

/// Text of a positive amount with exactly `places` places, or why there is none.
fn padded(out: &mut String, units: i64, places: u8, why: &'static str) -> Result<(), &'static str> {
    let beyond = PLACES.checked_sub(u32::from(places)).ok_or(why)?;
    if units <= 0 || units % 10_i64.pow(beyond) != 0 {
        return Err(why);
    }
    out.clear();
    write_padded(out, units, u32::from(places)).map_err(|_| why)
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;
    use crate::types::{ClientId, Price, Purpose, Qty, Secret, VenueId};
    use crate::venue::vest::testing::{BTC, TEST_KEY, rules, vectors};

    fn spec_of(order: &Json) -> OrderSpec {
        let text = |field: &str| order[field].as_str().unwrap().as_bytes();
        OrderSpec {
            id: ClientId::default(),
            venue: VenueId(0),
            pair: BTC,
            side: if order["isBuy"] == true { Side::Buy } else { Side::Sell },
            purpose: Purpose::Enter,
            qty: Qty::parse(text("size")).unwrap(),
            limit: Price::parse(text("limitPrice")).unwrap(),
            reduce_only: order["reduceOnly"] == true,
            signed_ms: order["time"].as_u64().unwrap(),
            nonce: order["nonce"].as_u64().unwrap(),
            window_ms: 60_000,
        }
    }

    fn places(text: &Json) -> u8 {
        text.as_str().unwrap().split('.').nth(1).map_or(0, str::len) as u8
    }

    fn signer_of(vector: &Json) -> Signer {
        Signer::parse(&Secret::new(vector["key"].as_str().unwrap().into())).unwrap()
    }

    #[test]
    fn order_bodies_are_those_of_the_vectors() {
        let mut checked = 0;
        for vector in vectors().iter().filter(|v| v["kind"] == "order") {
            let order = &vector["body"]["order"];
            // GTC and TP/SL are not used by the engine, so only the signature of such a vector can be compared.
            let kind = if order["orderType"] == "MARKET" { OrderKind::Market } else { OrderKind::Fok };
            let rules = rules(places(&order["limitPrice"]), places(&order["size"]));
            let terms = Terms::new(order["symbol"].as_str().unwrap(), &rules, kind);
            let mut writer = BodyWriter::default();
            let body = writer.order(&signer_of(vector), &terms, &spec_of(order)).unwrap();
            let body: Json = serde_json::from_str(body).unwrap();
            assert_eq!(body["signature"], vector["signature"], "{}", vector["id"]);
            if kind == OrderKind::Market {
                assert_eq!(body, vector["body"], "{}", vector["id"]);
                checked += 1;
            }
        }
        assert_eq!(checked, 2);
    }

    #[test]
    fn cancel_bodies_are_those_of_the_vectors() {
        let vectors = vectors();
        let vector = vectors.iter().find(|v| v["kind"] == "cancel").unwrap();
        let mut writer = BodyWriter::default();
        let body = writer.cancel(&signer_of(vector), "order123", 1_683_849_600_076, 1).unwrap();
        let mut body: Json = serde_json::from_str(body).unwrap();
        assert_eq!(body["recvWindow"], CANCEL_WINDOW_MS);
        body["recvWindow"] = vector["body"]["recvWindow"].clone();
        assert_eq!(body, vector["body"]);
    }

    #[test]
    fn kinds_are_written_as_the_sheet_wants_them() {
        let signer = Signer::parse(&Secret::new(TEST_KEY.into())).unwrap();
        let order = &vectors()[2]["body"]["order"];
        let mut writer = BodyWriter::default();
        for (kind, order_type, time_in_force) in [
            (OrderKind::Market, "MARKET", Json::Null),
            (OrderKind::Fok, "LIMIT", "FOK".into()),
            (OrderKind::Ioc, "LIMIT", "IOC".into()),
        ] {
            let terms = Terms::new("BTC-PERP", &rules(2, 4), kind);
            let body = writer.order(&signer, &terms, &spec_of(order)).unwrap();
            let body: Json = serde_json::from_str(body).unwrap();
            assert_eq!(body["order"]["orderType"], order_type);
            assert_eq!(body["order"]["timeInForce"], time_in_force);
            assert_eq!(body["order"]["size"], "0.1000");
        }
    }

    #[test]
    fn what_cannot_be_written_exactly_is_refused() {
        let signer = Signer::parse(&Secret::new(TEST_KEY.into())).unwrap();
        let spec = spec_of(&vectors()[2]["body"]["order"]);
        let mut writer = BodyWriter::default();
        let mut write = |rules, spec| {
            writer
                .order(&signer, &Terms::new("BTC-PERP", &rules, OrderKind::Market), &spec)
                .map(str::to_owned)
        };
        assert!(write(rules(2, 4), spec).is_ok());
        assert!(write(rules(2, 0), spec).is_err());
        assert!(write(rules(2, 4), OrderSpec { limit: Price::from_raw(1), ..spec }).is_err());
        assert!(write(rules(2, 4), OrderSpec { qty: Qty::ZERO, ..spec }).is_err());
        assert!(write(rules(2, 4), OrderSpec { qty: -spec.qty, ..spec }).is_err());
        assert!(write(MarketRules { price_places: 9, ..rules(2, 4) }, spec).is_err());
    }

    #[test]
    fn numbers_are_written_whole() {
        for number in [0, 9, 10, u64::MAX] {
            let mut text = String::new();
            put_number(&mut text, number);
            assert_eq!(text, number.to_string());
        }
    }
}
