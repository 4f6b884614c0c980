//! The JSON forms of orders, fills, positions, account and busts, which REST and the private channels share (sheet 4.2,
//! 5.6), read into the facts of `events`. Called by `session` and `desk`; pure. Unknown fields are passed over, wrong
//! types and repeated keys refused, absent and null taken alike.

use std::borrow::Cow;

use serde::Deserialize;

use super::events::{AccountFact, Fact, FillFact, FillKind, OrderFact, PositionFact};
use crate::types::report::PastOrder;
use crate::types::{ClientId, DecimalError, Nanos, PairId, Price, Qty, Side, Usd};
use crate::venue::WireError;
use crate::venue::nesting::is_shallow;

/// Reads any of the shapes below; the error says which message did not have its shape.
pub fn read<'a, T: Deserialize<'a>>(what: &'static str, text: &'a [u8]) -> Result<T, WireError> {
    let bad = |expected| WireError::new(what, text, expected);
    // The JSON reader passes over what it does not know by recursion.
    if !is_shallow(text) {
        return Err(bad("JSON that is not nested for ever"));
    }
    // It makes texts of raw values before it has validated them, so the bytes are validated first.
    let text = std::str::from_utf8(text).map_err(|_| bad("UTF-8"))?;
    sonic_rs::from_str(text).map_err(|_| bad("JSON of the documented shape"))
}

type Word<'a> = Cow<'a, str>;

#[derive(Debug, Deserialize)]
pub struct OrderJson<'a> {
    #[serde(borrow)]
    pub id: Word<'a>,
    #[serde(borrow, default)]
    client_id: Option<Word<'a>>,
    #[serde(borrow)]
    pub market: Word<'a>,
    #[serde(borrow, default)]
    side: Option<Word<'a>>,
    #[serde(borrow)]
    pub status: Word<'a>,
    #[serde(borrow)]
    size: Word<'a>,
    #[serde(borrow)]
    remaining_size: Word<'a>,
    #[serde(borrow, default)]
    avg_fill_price: Option<Word<'a>>,
    #[serde(borrow, default)]
    cancel_reason: Option<Word<'a>>,
    #[serde(borrow, default)]
    flags: Option<Vec<Word<'a>>>,
    #[serde(default)]
    last_updated_at: Option<u64>,
}

impl<'a> OrderJson<'a> {
    /// The order as a fact. An order that is not CLOSED is alive.
    pub fn fact(self) -> Result<OrderFact<'a>, WireError> {
        Ok(OrderFact {
            size: qty("order size", &self.size)?,
            open: qty("order remaining_size", &self.remaining_size)?,
            average: price_cut("order avg_fill_price", self.avg_fill_price.as_deref().unwrap_or_default())?,
            side: side(self.side.as_deref()),
            closed: self.status == "CLOSED",
            interactive: self.flags.map(|flags| flags.iter().any(|flag| flag == "INTERACTIVE")),
            at: time("order last_updated_at", self.last_updated_at)?,
            venue_id: self.id,
            client_id: self.client_id.unwrap_or_default(),
            market: self.market,
            cancel_reason: self.cancel_reason.unwrap_or_default(),
        })
    }
}

#[derive(Debug, Deserialize)]
pub struct FillJson<'a> {
    #[serde(borrow)]
    id: Word<'a>,
    #[serde(borrow, default)]
    order_id: Option<Word<'a>>,
    #[serde(borrow, default)]
    client_id: Option<Word<'a>>,
    #[serde(borrow)]
    market: Word<'a>,
    #[serde(borrow, default)]
    side: Option<Word<'a>>,
    #[serde(borrow, default)]
    liquidity: Option<Word<'a>>,
    #[serde(borrow)]
    price: Word<'a>,
    #[serde(borrow)]
    size: Word<'a>,
    #[serde(borrow)]
    fee: Word<'a>,
    #[serde(borrow, default)]
    realized_funding: Option<Word<'a>>,
    #[serde(borrow, default)]
    fill_type: Option<Word<'a>>,
    #[serde(default)]
    created_at: Option<u64>,
}

/// A fill by the names of its order alone: whose it was, and which way.
#[derive(Debug, Deserialize)]
pub struct PastFillJson<'a> {
    #[serde(borrow, default)]
    client_id: Option<Word<'a>>,
    #[serde(borrow)]
    pub market: Word<'a>,
    #[serde(borrow)]
    side: Word<'a>,
    #[serde(borrow)]
    size: Word<'a>,
    #[serde(default)]
    created_at: Option<u64>,
}

impl PastFillJson<'_> {
    pub fn of(&self, pair: PairId) -> Result<PastOrder, WireError> {
        let unreadable = || WireError::new("fill side", self.side.as_bytes(), "BUY or SELL");
        let side = side(Some(&self.side)).ok_or_else(unreadable)?;
        Ok(PastOrder {
            pair,
            id: self.client_id.as_deref().and_then(ClientId::parse),
            nonce: 0,
            side,
            qty: qty("fill size", &self.size)?,
            at_ms: time("fill created_at", self.created_at)?.ms(),
        })
    }
}

impl<'a> FillJson<'a> {
    pub fn fact(self) -> Result<FillFact<'a>, WireError> {
        let kind = match self.fill_type.as_deref() {
            Some("LIQUIDATION" | "UNWIND_TRANSFER" | "TRANSFER") => FillKind::Takeover,
            Some("SETTLE_MARKET") => FillKind::Settlement,
            _ => FillKind::Trade,
        };
        let paid = price("fill price", &self.price)?;
        if paid.raw() <= 0 && kind == FillKind::Trade {
            return Err(WireError::new("fill price", self.price.as_bytes(), "a positive price"));
        }
        Ok(FillFact {
            price: paid,
            qty: qty("fill size", &self.size)?,
            fee: usd("fill fee", &self.fee)?,
            funding: usd("fill realized_funding", self.realized_funding.as_deref().unwrap_or("0"))?,
            kind,
            side: side(self.side.as_deref()).filter(|_| self.liquidity.as_deref() == Some("TAKER")),
            at: time("fill created_at", self.created_at)?,
            id: self.id,
            order_id: self.order_id.unwrap_or_default(),
            client_id: self.client_id.unwrap_or_default(),
            market: self.market,
        })
    }
}

#[derive(Debug, Deserialize)]
pub struct PositionJson<'a> {
    #[serde(borrow)]
    pub market: Word<'a>,
    #[serde(borrow, default)]
    status: Option<Word<'a>>,
    #[serde(borrow, default)]
    side: Option<Word<'a>>,
    #[serde(borrow)]
    size: Word<'a>,
    #[serde(borrow, default)]
    average_entry_price: Option<Word<'a>>,
    #[serde(borrow, default)]
    liquidation_price: Option<Word<'a>>,
}

impl PositionJson<'_> {
    /// Signed size. The sheet calls it signed; should it come without a sign, `side` gives it.
    pub fn qty(&self) -> Result<Qty, WireError> {
        let stated = signed_qty("position size", &self.size)?;
        Ok(match (self.status.as_deref(), self.side.as_deref()) {
            (Some("CLOSED"), _) => Qty::ZERO,
            (_, Some("SHORT")) => -stated.abs(),
            (_, Some("LONG")) if stated.raw() < 0 => {
                return Err(WireError::new("position size", self.size.as_bytes(), "not negative when LONG"));
            }
            _ => stated,
        })
    }

    /// Average entry price, cut to 8 places (the venue computes it); zero when flat.
    pub fn entry_price(&self) -> Result<Price, WireError> {
        price_cut("position average_entry_price", self.average_entry_price.as_deref().unwrap_or_default())
    }

    /// Zero = none stated.
    pub fn liquidation_price(&self) -> Result<Price, WireError> {
        price_cut("position liquidation_price", self.liquidation_price.as_deref().unwrap_or_default())
    }
}

#[derive(Debug, Deserialize)]
pub struct AccountJson<'a> {
    #[serde(borrow, default)]
    pub account: Option<Word<'a>>,
    #[serde(borrow)]
    account_value: Word<'a>,
    #[serde(borrow)]
    free_collateral: Word<'a>,
    #[serde(borrow, default)]
    status: Option<Word<'a>>,
    #[serde(default)]
    pub updated_at: Option<u64>,
}

impl AccountJson<'_> {
    pub fn fact(&self) -> Result<AccountFact, WireError> {
        Ok(AccountFact {
            equity: usd("account_value", &self.account_value)?,
            free: usd("free_collateral", &self.free_collateral)?,
            liquidation: self.status.as_deref() == Some("LIQUIDATION"),
        })
    }
}

/// Message of the channel `tradebusts` (the venue's AsyncAPI page of that name).
#[derive(Debug, Deserialize)]
struct BustJson<'a> {
    #[serde(borrow)]
    busted_fill_id: Word<'a>,
}

/// Reads the data of an event on this private channel; `None` for a channel that nobody here asked for.
pub fn event<'a>(channel: &str, data: &'a [u8]) -> Result<Option<Fact<'a>>, WireError> {
    let topic = channel.split('.').next().unwrap_or_default();
    Ok(Some(match topic {
        "orders" => Fact::Order(read::<OrderJson>("orders event", data)?.fact()?),
        "fills" => Fact::Fill(read::<FillJson>("fills event", data)?.fact()?),
        "positions" => {
            let position: PositionJson = read("positions event", data)?;
            Fact::Position(PositionFact { qty: position.qty()?, market: position.market })
        }
        "account" => Fact::Account(read::<AccountJson>("account event", data)?.fact()?),
        "tradebusts" => Fact::Bust(read::<BustJson>("tradebusts event", data)?.busted_fill_id),
        _ => return Ok(None),
    }))
}

/// A price of at most 8 places, exact; empty = zero, which is how the venue writes "none".
pub fn price(what: &'static str, text: &str) -> Result<Price, WireError> {
    if text.is_empty() { Ok(Price::ZERO) } else { decimal(what, text, Price::parse(text.as_bytes())) }
}

/// Side of an order or a fill, where it is told.
fn side(text: Option<&str>) -> Option<Side> {
    match text? {
        "BUY" => Some(Side::Buy),
        "SELL" => Some(Side::Sell),
        _ => None,
    }
}

/// A size of at most 8 places, exact, not negative.
pub fn qty(what: &'static str, text: &str) -> Result<Qty, WireError> {
    let qty = signed_qty(what, text)?;
    if qty.raw() < 0 {
        return Err(WireError::new(what, text.as_bytes(), "a size that is not negative"));
    }
    Ok(qty)
}

/// An amount of money, cut to 8 places (the venue prints up to 18).
pub fn usd(what: &'static str, text: &str) -> Result<Usd, WireError> {
    decimal(what, text, Usd::parse_cut(text.as_bytes()))
}

fn signed_qty(what: &'static str, text: &str) -> Result<Qty, WireError> {
    decimal(what, text, Qty::parse(text.as_bytes()))
}

fn price_cut(what: &'static str, text: &str) -> Result<Price, WireError> {
    if text.is_empty() {
        return Ok(Price::ZERO);
    }
    decimal(what, text, Usd::parse_cut(text.as_bytes())).map(|amount| Price::from_raw(amount.raw()))
}

fn decimal<T>(what: &'static str, text: &str, read: Result<T, DecimalError>) -> Result<T, WireError> {
    read.map_err(|_| WireError::new(what, text.as_bytes(), "a plain decimal in range"))
}

fn time(what: &'static str, ms: Option<u64>) -> Result<Nanos, WireError> {
    let nanos = ms.unwrap_or(0).checked_mul(1_000_000);
    nanos.map(Nanos).ok_or_else(|| WireError::new(what, b"a number out of range", "ms since 1970"))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::BTC;
    use super::*;
    use crate::sys::fuzz::fuzz;

    const FILL: &str = r#"{"id":"1718947571560201703986670001","side":"BUY","liquidity":"TAKER",
        "market":"BTC-USD-PERP","order_id":"1718947571540201703992340000","price":"64852.9",
        "size":"0.01","fee":"0.1945587","fee_currency":"USDC","created_at":1718947571569,
        "remaining_size":"0","client_id":"","fill_type":"FILL"}"#;
    const ORDER: &str = r#"{"id":"1718941725080201704028870000","account":"0x49d",
        "market":"BTC-USD-PERP","side":"SELL","type":"LIMIT","size":"10.153","remaining_size":"10.153",
        "price":"70784.5","status":"CLOSED","created_at":1718941725082,"last_updated_at":1718958002991,
        "timestamp":1718941724678,"cancel_reason":"USER_CANCELED","client_id":"",
        "seq_no":1718958002991595738,"instruction":"GTC","avg_fill_price":"","stp":"EXPIRE_TAKER",
        "flags":[],"trigger_price":"0"}"#;
    const POSITION: &str = r#"{"id":"0x49d-BTC-USD-PERP","market":"BTC-USD-PERP","status":"OPEN",
        "side":"LONG","size":"0.01","average_entry_price":"64839.96053748",
        "unrealized_pnl":"-2.39677214","last_fill_id":"1718947571560201703986670001",
        "seq_no":1718950074249176253,"liquidation_price":""}"#;
    const ACCOUNT: &str = r#"{"account":"0x49d","account_value":"99980.2382266290601",
        "free_collateral":"90000","status":"ACTIVE"}"#;

    #[test]
    fn recorded_messages_are_read() {
        let Some(Fact::Fill(fill)) = event("fills.ALL", FILL.as_bytes()).unwrap() else {
            panic!("not a fill")
        };
        assert_eq!((fill.qty.to_string(), fill.price.to_string()), ("0.01".into(), "64852.9".into()));
        assert_eq!((fill.side, &*fill.market), (Some(Side::Buy), BTC));
        assert_eq!(
            (fill.fee.to_string(), fill.funding, fill.kind),
            ("0.1945587".into(), Usd::ZERO, FillKind::Trade)
        );
        let Some(Fact::Order(order)) = event("orders.ALL", ORDER.as_bytes()).unwrap() else {
            panic!("no order")
        };
        assert!(order.closed && order.filled().unwrap().is_zero());
        assert_eq!((order.side, &*order.market), (Some(Side::Sell), BTC));
        assert_eq!((&*order.cancel_reason, order.at.ms()), ("USER_CANCELED", 1_718_958_002_991));
        let position: PositionJson = read("position", POSITION.as_bytes()).unwrap();
        assert_eq!(position.qty().unwrap().to_string(), "0.01");
        assert_eq!(position.entry_price().unwrap().to_string(), "64839.96053748");
        assert_eq!((position.liquidation_price().unwrap(), &*position.market), (Price::ZERO, BTC));
        let Some(Fact::Account(account)) = event("account", ACCOUNT.as_bytes()).unwrap() else {
            panic!("none")
        };
        assert_eq!(account.equity.to_string(), "99980.23822662");
    }

    #[test]
    fn a_side_counts_where_it_is_told_for_certain() {
        let side = |from: &str, to: &str| {
            let text = FILL.replace(from, to);
            event("fills.ALL", text.as_bytes()).map(|fact| match fact {
                Some(Fact::Fill(fill)) => fill.side,
                other => panic!("{other:?}"),
            })
        };
        assert_eq!(side("BUY", "SELL"), Ok(Some(Side::Sell)));
        assert_eq!(side("TAKER", "MAKER"), Ok(None));
        assert_eq!(side("BUY", "HOLD"), Ok(None), "its money moved all the same");
        assert!(side("\"BUY\"", "1").is_err());
    }

    #[test]
    fn busts_and_channels_of_others() {
        let bust = event("tradebusts", br#"{"account":"0x1","busted_fill_id":"f9","created_at":1}"#);
        assert!(matches!(bust, Ok(Some(Fact::Bust(id))) if id == "f9"));
        assert!(matches!(event("transfers", b"{}"), Ok(None)));
    }

    #[test]
    fn short_positions_are_negative_with_or_without_a_sign() {
        for size in ["0.5", "-0.5"] {
            let text = format!(r#"{{"market":"M","side":"SHORT","status":"OPEN","size":"{size}"}}"#);
            let position: PositionJson = read("position", text.as_bytes()).unwrap();
            assert_eq!(position.qty().unwrap().to_string(), "-0.5");
        }
        let wrong: PositionJson = read("p", br#"{"market":"M","side":"LONG","size":"-1"}"#).unwrap();
        assert!(wrong.qty().is_err());
    }

    #[test]
    fn repeated_keys_wrong_types_and_odd_numbers_are_refused() {
        let twice = FILL.replace("\"id\"", "\"id\":\"1\",\"id\"");
        let number = FILL.replace("\"64852.9\"", "64852.9");
        let exponent = FILL.replace("64852.9", "6e4");
        let free = FILL.replace("64852.9", "0");
        for text in [twice, number, exponent, free, FILL[..100].to_owned(), String::new()] {
            assert!(event("fills.ALL", text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn no_damage_panics() {
        let seeds =
            [("orders.ALL", ORDER), ("fills.ALL", FILL), ("positions", POSITION), ("account", ACCOUNT)];
        for (channel, text) in seeds {
            let decoder = format!("paradex {channel} JSON");
            fuzz(&decoder, &[text.as_bytes().to_vec()], |bytes| event(channel, bytes).is_ok());
        }
    }
}
