//! The body of an order as clients send it: parsed, its signature checked, turned into the core's order.
//!
//! `desk` calls it for REST and socket alike. What is sent must be exact; what the sheet disputes (§10 rows
//! 8 to 10: spaces in the signature, absent prices on MARKET, nulls) is accepted. Source: §3.1, §3.2.

use serde::Deserialize;
use serde_json::Value;
use sha3::{Digest, Keccak256};
use starknet_crypto::Felt;

use super::error::ApiError;
use super::record::{OrderType, Stp};
use super::typed_data::{Domain, Signature, SignedOrder};
use crate::core::{self, Kind, Tif, money};

/// Receive window when the client names none, milliseconds.
const WINDOW_DEFAULT_MS: i64 = 300_000;
const CLIENT_ID_MAX: usize = 64;

/// A well-formed order whose signature has not been looked at yet.
#[derive(Clone, Debug)]
pub struct OrderRequest {
    pub market: String,
    pub side: core::Side,
    pub kind: OrderType,
    pub tif: Tif,
    pub size: i64,
    /// Zero for MARKET.
    pub price: i64,
    pub client_id: String,
    pub reduce_only: bool,
    pub stp: Stp,
    pub signed_at_ms: i64,
    pub window_ms: i64,
    pub signature: Signature,
}

/// The members of the body, before anything is checked.
#[derive(Deserialize)]
struct Body {
    market: String,
    side: String,
    #[serde(rename = "type")]
    kind: String,
    size: String,
    price: Option<String>,
    instruction: Option<String>,
    client_id: Option<String>,
    flags: Option<Vec<String>>,
    signature: String,
    signature_timestamp: i64,
    recv_window: Option<i64>,
    stp: Option<String>,
}

impl OrderRequest {
    /// Parses a body; the error names the member that is wrong.
    pub fn parse(body: &Value) -> Result<OrderRequest, ApiError> {
        let body: Body = serde_json::from_value(body.clone())
            .map_err(|error| ApiError::bad_request("BINDING_ERROR", error.to_string()))?;
        let kind = order_type(&body.kind)?;
        Ok(OrderRequest {
            side: side(&body.side)?,
            tif: instruction(kind, body.instruction.as_deref())?,
            size: amount("size", &body.size)?,
            price: price(kind, body.price.as_deref())?,
            client_id: client_id(body.client_id)?,
            reduce_only: reduce_only(body.flags.as_deref().unwrap_or_default())?,
            stp: stp(body.stp.as_deref())?,
            signed_at_ms: body.signature_timestamp,
            window_ms: body.recv_window.unwrap_or(WINDOW_DEFAULT_MS),
            signature: Signature::parse(&body.signature)
                .ok_or_else(|| invalid("signature", "[\"r\",\"s\"], decimal", &body.signature))?,
            market: body.market,
            kind,
        })
    }

    /// Whether one of `keys` signed this order for `account`.
    pub fn is_signed_by(&self, domain: &Domain, account: &Felt, keys: &[Felt]) -> bool {
        let Ok(timestamp_ms) = u64::try_from(self.signed_at_ms) else { return false };
        let signed = SignedOrder {
            timestamp_ms,
            market: &self.market,
            is_buy: self.side == core::Side::Buy,
            order_type: self.kind.name(),
            size: self.size,
            price: self.price,
        };
        let hash = domain.order(account, &signed);
        hash.is_some_and(|hash| keys.iter().any(|key| self.signature.verifies(key, &hash)))
    }

    /// A digest of the signed fields.
    pub fn digest(&self) -> [[u8; 32]; 2] {
        let side = self.side == core::Side::Buy;
        let fields =
            (self.signed_at_ms, &self.market, side, self.kind.name(), self.size, self.price, &self.client_id);
        let half = |salt: u8| Keccak256::digest(format!("{salt} {fields:?}")).into();
        [half(0), half(1)]
    }

    /// The core's kind of this order.
    pub fn core_kind(&self) -> Kind {
        match self.kind {
            OrderType::Limit => Kind::Limit,
            OrderType::Market => Kind::Market,
        }
    }
}

fn invalid(field: &str, expected: &str, got: &str) -> ApiError {
    let got: String = got.chars().take(80).collect();
    ApiError::bad_request("INVALID_REQUEST_PARAMETER", format!("{field}: must be {expected}, got {got:?}"))
}

fn amount(field: &str, text: &str) -> Result<i64, ApiError> {
    let value = money::parse(text).map_err(|error| invalid(field, &error.to_string(), text))?;
    if value > 0 { Ok(value) } else { Err(invalid(field, "positive", text)) }
}

fn price(kind: OrderType, text: Option<&str>) -> Result<i64, ApiError> {
    match (kind, text) {
        (OrderType::Market, None | Some("")) => Ok(0),
        (OrderType::Market, Some(text)) => match money::parse(text) {
            Ok(0) => Ok(0),
            _ => Err(invalid("price", "0 for MARKET", text)),
        },
        (OrderType::Limit, Some(text)) => amount("price", text),
        (OrderType::Limit, None) => Err(invalid("price", "given for LIMIT", "")),
    }
}

fn side(text: &str) -> Result<core::Side, ApiError> {
    match text {
        "BUY" => Ok(core::Side::Buy),
        "SELL" => Ok(core::Side::Sell),
        _ => Err(invalid("side", "BUY or SELL", text)),
    }
}

fn order_type(text: &str) -> Result<OrderType, ApiError> {
    match text {
        "LIMIT" => Ok(OrderType::Limit),
        "MARKET" => Ok(OrderType::Market),
        _ => Err(invalid("type", "LIMIT or MARKET (no triggers in this simulation)", text)),
    }
}

fn instruction(kind: OrderType, text: Option<&str>) -> Result<Tif, ApiError> {
    match (kind, text.unwrap_or("GTC")) {
        (OrderType::Market, "GTC" | "IOC") => Ok(Tif::Ioc),
        (OrderType::Limit, "GTC") => Ok(Tif::Gtc),
        (OrderType::Limit, "IOC") => Ok(Tif::Ioc),
        (OrderType::Limit, "POST_ONLY") => Ok(Tif::PostOnly),
        (OrderType::Limit, "RPI") => {
            Err(ApiError::bad_request("RPI_ACCOUNT_NOT_WHITELISTED", "account is not whitelisted for RPI"))
        }
        (_, other) => Err(invalid("instruction", "GTC, IOC or POST_ONLY", other)),
    }
}

fn client_id(text: Option<String>) -> Result<String, ApiError> {
    let text = text.unwrap_or_default();
    if text.chars().count() > CLIENT_ID_MAX {
        return Err(invalid("client_id", "at most 64 characters", &text));
    }
    Ok(text)
}

fn reduce_only(flags: &[String]) -> Result<bool, ApiError> {
    if let Some(unknown) = flags.iter().find(|flag| *flag != "REDUCE_ONLY") {
        return Err(invalid("flags", "REDUCE_ONLY", unknown));
    }
    Ok(!flags.is_empty())
}

fn stp(text: Option<&str>) -> Result<Stp, ApiError> {
    match text {
        None | Some("" | "EXPIRE_TAKER") => Ok(Stp::Taker),
        Some("EXPIRE_MAKER") => Ok(Stp::Maker),
        Some("EXPIRE_BOTH") => Ok(Stp::Both),
        Some(other) => Err(invalid("stp", "EXPIRE_MAKER, EXPIRE_TAKER or EXPIRE_BOTH", other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body() -> Value {
        json!({
            "market": "BTC-USD-PERP", "side": "BUY", "type": "LIMIT", "size": "0.00123", "price": "83456.7",
            "instruction": "IOC", "client_id": "a1", "signature_timestamp": 1_767_225_600_123_i64,
            "signature": "[\"1\",\"2\"]", "recv_window": 500, "stp": "EXPIRE_TAKER",
        })
    }

    fn with(field: &str, value: Value) -> Result<OrderRequest, ApiError> {
        let mut body = body();
        body[field] = value;
        OrderRequest::parse(&body)
    }

    #[test]
    fn the_documented_body_parses() {
        let order = OrderRequest::parse(&body()).unwrap();
        assert_eq!((order.size, order.price, order.window_ms), (123_000, 8_345_670_000_000, 500));
        assert_eq!((order.tif, order.kind, order.reduce_only), (Tif::Ioc, OrderType::Limit, false));
    }

    #[test]
    fn nulls_empty_ids_and_a_missing_market_price_are_accepted() {
        for field in ["recv_window", "stp", "client_id", "flags"] {
            assert!(with(field, Value::Null).is_ok(), "{field}");
        }
        let mut market = body();
        market["type"] = json!("MARKET");
        market.as_object_mut().unwrap().remove("price");
        assert_eq!(OrderRequest::parse(&market).unwrap().price, 0);
        market["price"] = json!("0");
        assert_eq!(OrderRequest::parse(&market).unwrap().tif, Tif::Ioc);
    }

    #[test]
    fn what_is_not_exact_is_refused() {
        let bad = [
            ("size", json!("0")),
            ("size", json!("-1")),
            ("size", json!("1e3")),
            ("size", json!(1.5)),
            ("size", json!("0.000000001")),
            ("price", json!("NaN")),
            ("side", json!("buy")),
            ("type", json!("STOP_MARKET")),
            ("instruction", json!("FOK")),
            ("instruction", json!("RPI")),
            ("signature", json!("0x1")),
            ("flags", json!(["MMP"])),
            ("stp", json!("NONE")),
            ("client_id", json!("x".repeat(65))),
            ("signature_timestamp", json!("1")),
        ];
        for (field, value) in bad {
            assert!(with(field, value.clone()).is_err(), "{field} = {value}");
        }
    }
}
