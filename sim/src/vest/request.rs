//! Reading Vest's signed requests: fields, exact decimals, rules, and who signed.
//!
//! Source: the venue sheet, sections 3.1, 4 and 9. Pure: text in, checked values or a `Refusal` out.
//! Signatures are really verified; whether the signer may sign is the session's business.

use serde_json::Value as Json;

use super::reply::Refusal;
use super::signature::{self, Address, Value};
use crate::core::{Kind, MarketSpec, Side, Tif, money};
use crate::options::Switches;

/// Used when the body has none.
const DEFAULT_WINDOW_MS: i64 = 5_000;
/// The longest window in the venue's documents.
const WINDOW_MAX_MS: i64 = 60_000;
/// A signing time may lie this far ahead of the venue's clock.
const FUTURE_MAX_MS: i64 = 5_000;

/// An order whose text is in order and whose signer is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub market: usize,
    pub time_ms: i64,
    pub nonce: u64,
    pub side: Side,
    pub kind: Kind,
    pub tif: Tif,
    pub size: i64,
    pub limit: i64,
    pub reduce_only: bool,
    pub window_ms: i64,
    pub id: String,
    /// `None` when the run does not look at signatures.
    pub signer: Option<Address>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    pub order_id: String,
    pub time_ms: i64,
    pub window_ms: i64,
    pub signer: Option<Address>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    pub signing: Address,
    pub primary: Address,
    pub expiry_ms: i64,
}

/// The fields of a JSON object, read one by one; a missing one is a 422.
struct Fields<'a>(&'a Json);

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Result<&'a Json, Refusal> {
        self.0.get(name).filter(|v| !v.is_null()).ok_or_else(|| invalid(name))
    }

    fn text(&self, name: &str) -> Result<&'a str, Refusal> {
        self.get(name)?.as_str().ok_or_else(|| invalid(name))
    }

    fn whole(&self, name: &str) -> Result<u64, Refusal> {
        self.get(name)?.as_u64().ok_or_else(|| invalid(name))
    }

    fn flag(&self, name: &str) -> Result<bool, Refusal> {
        self.get(name)?.as_bool().ok_or_else(|| invalid(name))
    }
}

/// Reads the body of any request.
pub fn body(bytes: &[u8]) -> Result<Json, Refusal> {
    serde_json::from_slice(bytes).map_err(|_| invalid("body"))
}

/// The signed fields of an order, as they stand in the body.
struct Signed<'a> {
    time: u64,
    nonce: u64,
    kind: &'a str,
    symbol: &'a str,
    is_buy: bool,
    size: &'a str,
    limit: &'a str,
    reduce_only: bool,
}

impl<'a> Signed<'a> {
    fn read(fields: &Fields<'a>) -> Result<Self, Refusal> {
        Ok(Self {
            time: fields.whole("time")?,
            nonce: fields.whole("nonce")?,
            kind: fields.text("orderType")?,
            symbol: fields.text("symbol")?,
            is_buy: fields.flag("isBuy")?,
            size: fields.text("size")?,
            limit: fields.text("limitPrice")?,
            reduce_only: fields.flag("reduceOnly")?,
        })
    }

    /// In the order in which they are encoded.
    fn values(&self) -> [Value<'a>; 8] {
        [
            Value::Uint(self.time.into()),
            Value::Uint(self.nonce.into()),
            Value::Text(self.kind),
            Value::Text(self.symbol),
            Value::Bool(self.is_buy),
            Value::Text(self.size),
            Value::Text(self.limit),
            Value::Bool(self.reduce_only),
        ]
    }
}

/// Checks the body of `POST /orders` as far as the text goes; `now_ms` is the venue's clock.
pub fn order(
    body: &Json,
    markets: &[MarketSpec],
    switches: &Switches,
    now_ms: i64,
) -> Result<Order, Refusal> {
    let envelope = Fields(body);
    let fields = Fields(envelope.get("order")?);
    let signed = Signed::read(&fields)?;
    let window_ms = window(&envelope, signed.time, now_ms)?;
    let (market, spec) = market_of(signed.symbol, markets)?;
    let kind = kind_of(signed.kind)?;
    let tif = tif_of(&fields, kind, switches)?;
    let (size, limit) = size_and_limit(&signed, spec, switches)?;
    refuse_unsupported(&fields, &signed, switches)?;
    let (inner, signer) = signed_by(&signed.values(), envelope.text("signature")?, switches)?;
    Ok(Order {
        market,
        time_ms: signed.time as i64,
        nonce: signed.nonce,
        side: if signed.is_buy { Side::Buy } else { Side::Sell },
        kind,
        tif,
        size,
        limit,
        reduce_only: signed.reduce_only,
        window_ms,
        id: format!("0x{}", hex::encode(inner)),
        signer,
    })
}

/// Checks the body of `POST /orders/cancel`.
pub fn cancel(body: &Json, switches: &Switches, now_ms: i64) -> Result<Cancel, Refusal> {
    let envelope = Fields(body);
    let fields = Fields(envelope.get("order")?);
    let (time, nonce, id) = (fields.whole("time")?, fields.whole("nonce")?, fields.text("id")?);
    let window_ms = window(&envelope, time, now_ms)?;
    let values = [Value::Uint(time.into()), Value::Uint(nonce.into()), Value::Text(id)];
    let (_, signer) = signed_by(&values, envelope.text("signature")?, switches)?;
    if now_ms > time as i64 + window_ms {
        return Err(Refusal::code(1132, "Order expired"));
    }
    Ok(Cancel { order_id: id.to_owned(), time_ms: time as i64, window_ms, signer })
}

/// Checks the body of `POST /register`: the proof must be the primary key's own.
pub fn registration(body: &Json, switches: &Switches, now_ms: i64) -> Result<Registration, Refusal> {
    let fields = Fields(body);
    let address = |name: &str| {
        let text = fields.text(name)?;
        Address::parse(text)
            .ok_or_else(|| Refusal::code(1130, format!("{name}: expected 0x and 40 lower-case hex digits")))
    };
    let (signing, primary) = (address("signingAddr")?, address("primaryAddr")?);
    let expiry = fields.whole("expiryTime")?;
    if fields.whole("networkType")? != 0 {
        return Err(Refusal::code(1024, "Invalid network type"));
    }
    if expiry as i64 <= now_ms {
        return Err(Refusal::code(1130, "expiryTime lies in the past"));
    }
    let contract =
        if switches.vest_dev_contract { signature::DEV_CONTRACT } else { signature::PROD_CONTRACT };
    let contract = Address::parse(contract).ok_or_else(bad_signature)?;
    let digest = signature::register_digest(&contract, &signing, expiry);
    let signer = signature::recover(&digest, fields.text("signature")?).map_err(|_| bad_signature())?;
    match signer == primary {
        true => Ok(Registration { signing, primary, expiry_ms: expiry as i64 }),
        false => Err(bad_signature()),
    }
}

/// Checks the body of `POST /account/leverage` (not signed): symbol and whole leverage.
pub fn leverage(body: &Json, markets: &[MarketSpec]) -> Result<(String, u32), Refusal> {
    let fields = Fields(body);
    fields.whole("time")?;
    let symbol = fields.text("symbol")?;
    let spec =
        markets.iter().find(|m| m.symbol == symbol).ok_or_else(|| Refusal::code(1121, "Bad symbol"))?;
    let value = fields.whole("value")?;
    let most = (money::ONE / spec.imf.max(1)) as u64;
    match (1..=most).contains(&value) {
        true => Ok((symbol.to_owned(), value as u32)),
        false => Err(Refusal::code(1130, format!("value: expected 1 to {most}, got {value}"))),
    }
}

pub fn bad_signature() -> Refusal {
    Refusal::code(1022, "Invalid signature")
}

/// The hash that was signed, and by whom.
fn signed_by(
    values: &[Value],
    text: &str,
    switches: &Switches,
) -> Result<([u8; 32], Option<Address>), Refusal> {
    let inner = signature::keccak(&signature::abi_encode(values));
    if switches.stub_signatures {
        return if signature::is_shaped(text) { Ok((inner, None)) } else { Err(bad_signature()) };
    }
    let digest = signature::personal_digest(&inner);
    let signer = signature::recover(&digest, text).map_err(|_| bad_signature())?;
    Ok((inner, Some(signer)))
}

fn window(envelope: &Fields, time: u64, now_ms: i64) -> Result<i64, Refusal> {
    let bad = || Refusal::code(1131, "Bad recvWindow");
    let window = match envelope.0.get("recvWindow") {
        None | Some(Json::Null) => DEFAULT_WINDOW_MS,
        Some(value) => value.as_i64().ok_or_else(bad)?,
    };
    let time = i64::try_from(time).map_err(|_| bad())?;
    if !(1..=WINDOW_MAX_MS).contains(&window) || time > now_ms + FUTURE_MAX_MS {
        return Err(bad());
    }
    Ok(window)
}

fn market_of<'a>(symbol: &str, markets: &'a [MarketSpec]) -> Result<(usize, &'a MarketSpec), Refusal> {
    let found = markets.iter().enumerate().find(|(_, spec)| spec.symbol == symbol);
    found.ok_or_else(|| Refusal::code(1121, "Bad symbol"))
}

fn size_and_limit(signed: &Signed, spec: &MarketSpec, switches: &Switches) -> Result<(i64, i64), Refusal> {
    let size = amount(signed.size, spec.size_decimals, switches)?;
    let limit = amount(signed.limit, spec.price_decimals, switches)?;
    match (size > 0, limit > 0) {
        (true, true) => Ok((size, limit)),
        (false, _) => Err(Refusal::code(1130, "size must be positive")),
        (_, false) => Err(Refusal::code(3011, "Invalid limit price")),
    }
}

fn refuse_unsupported(fields: &Fields, signed: &Signed, switches: &Switches) -> Result<(), Refusal> {
    if fields.get("tpPrice").is_ok() || fields.get("slPrice").is_ok() {
        return Err(Refusal::code(1145, "take profit and stop loss are not simulated"));
    }
    match signed.reduce_only && switches.vest_refuses_reduce_only {
        true => Err(Refusal::code(3018, "Reduce only order increases position")),
        false => Ok(()),
    }
}

fn kind_of(text: &str) -> Result<Kind, Refusal> {
    match text {
        "MARKET" => Ok(Kind::Market),
        "LIMIT" => Ok(Kind::Limit),
        _ => Err(Refusal::code(1116, "Invalid order type")),
    }
}

fn tif_of(fields: &Fields, kind: Kind, switches: &Switches) -> Result<Tif, Refusal> {
    let text = fields.0.get("timeInForce").filter(|v| !v.is_null());
    match (kind, text.map(Json::as_str)) {
        (Kind::Market, None) => Ok(Tif::Ioc),
        (Kind::Limit, None | Some(Some("GTC"))) => Ok(Tif::Gtc),
        (Kind::Limit, Some(Some("FOK"))) => Ok(Tif::Fok),
        (Kind::Limit, Some(Some("IOC"))) if switches.vest_accepts_ioc => Ok(Tif::Ioc),
        _ => Err(Refusal::code(1133, "Invalid time in force")),
    }
}

/// A decimal with exactly the market's places (or, by switch, at most so many).
fn amount(text: &str, decimals: u32, switches: &Switches) -> Result<i64, Refusal> {
    let bad = || Refusal::code(1111, format!("{text:?}: expected exactly {decimals} decimals"));
    let places = money::places_of(text);
    let fits = if switches.vest_accepts_trimmed { places <= decimals } else { places == decimals };
    let canonical = !(text.len() > 1 && text.starts_with('0') && !text.starts_with("0."));
    match fits && canonical {
        true => money::parse(text).map_err(|_| bad()),
        false => Err(bad()),
    }
}

fn invalid(field: &str) -> Refusal {
    Refusal::Invalid { place: "body", field: field.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;
    use serde_json::json;

    const NOW_MS: i64 = 1_767_225_600_200;

    fn markets() -> Vec<MarketSpec> {
        Options::default().vest_spec(0).markets
    }

    /// A body whose signature is that of the vector `market_sell_btc_reduce_only`.
    fn sample() -> Json {
        let signature = concat!(
            "0x8dac67075af897c4620d8b81ce41014a0d3efa8e932be3cb341fe8d735ebf438",
            "0bb553424d85c3ac088af9bd59395b5575fdb68f4ed5e8e1399113118e23540e",
            "1b"
        );
        json!({"order":{"time":1767225600124u64,"nonce":1767225600124u64,"symbol":"BTC-PERP","isBuy":false,
            "size":"0.0300","orderType":"MARKET","limitPrice":"87250.00","reduceOnly":true},
            "recvWindow":60000,"signature":signature})
    }

    fn refused(change: impl FnOnce(&mut Json)) -> Refusal {
        let mut body = sample();
        change(&mut body);
        order(&body, &markets(), &Switches::default(), NOW_MS).unwrap_err()
    }

    fn code(refusal: &Refusal) -> u32 {
        match refusal {
            Refusal::Code(code, _) => *code,
            _ => 0,
        }
    }

    #[test]
    fn a_good_order_names_its_signer() {
        let order = order(&sample(), &markets(), &Switches::default(), NOW_MS).unwrap();
        assert_eq!(order.signer.unwrap().text(), "0x70997970c51812dc3a010c7d01b50e0d17dc79c8");
        assert_eq!((order.side, order.kind, order.size), (Side::Sell, Kind::Market, 3_000_000));
        assert_eq!(order.id, "0x1e9fd27cf300f16ce804040200b64bf2f3b434e88a6654ca0c8462474fa0032b");
    }

    #[test]
    fn a_changed_field_changes_the_signer() {
        let mut body = sample();
        body["order"]["nonce"] = json!(5);
        let order = order(&body, &markets(), &Switches::default(), NOW_MS).unwrap();
        assert_ne!(order.signer.unwrap().text(), "0x70997970c51812dc3a010c7d01b50e0d17dc79c8");
    }

    #[test]
    fn strict_refusals_have_their_codes() {
        assert_eq!(code(&refused(|b| b["order"]["size"] = json!("0.03"))), 1111);
        assert_eq!(code(&refused(|b| b["order"]["limitPrice"] = json!("87250.0"))), 1111);
        assert_eq!(code(&refused(|b| b["order"]["limitPrice"] = json!("0.00"))), 3011);
        assert_eq!(code(&refused(|b| b["order"]["symbol"] = json!("btc-perp"))), 1121);
        assert_eq!(code(&refused(|b| b["order"]["orderType"] = json!("STOP_LOSS"))), 1116);
        assert_eq!(code(&refused(|b| b["order"]["timeInForce"] = json!("GTC"))), 1133);
        assert_eq!(code(&refused(|b| b["recvWindow"] = json!(60_001))), 1131);
        assert_eq!(code(&refused(|b| b["signature"] = json!("0x00"))), 1022);
        let missing = Refusal::Invalid { place: "body", field: "limitPrice".into() };
        assert_eq!(refused(|b| b["order"]["limitPrice"] = Json::Null), missing);
    }
}
