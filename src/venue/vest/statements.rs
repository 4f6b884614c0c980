//! What the venue states over REST, decoded: market rules, the account, leverages, orders (sheet `vest`, 5). Called by
//! `desk`. Pure. Statements are cut to our places; a market that is ours must be stated whole.

use serde::Deserialize;

use super::access::Access;
use super::calls::ROWS;
use super::depth::{TRADING, TickerRow};
use super::json;
use super::order_row::{Executed, OrderRow, Status};
use crate::types::money::PLACES;
use crate::types::{
    MarketRules, MarketStatus, Nanos, OrderReport, PairId, Price, Qty, Rate, Told, Usd, VenueId,
};
use crate::venue::{AccountReport, ListedRules, OpenOrder, OrderQuery, PastOrder, PositionReport, WireError};

/// `GET /exchangeInfo`.
#[derive(Deserialize)]
pub struct ExchangeInfo<'a> {
    #[serde(borrow)]
    symbols: Vec<SymbolRow<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SymbolRow<'a> {
    symbol: &'a str,
    size_decimals: Option<u8>,
    price_decimals: Option<u8>,
    init_margin_ratio: Option<&'a str>,
    maint_margin_ratio: Option<&'a str>,
    taker_fee: Option<&'a str>,
    trading_status: Option<&'a str>,
}

/// `GET /ticker/latest`.
#[derive(Deserialize)]
pub struct Tickers<'a> {
    #[serde(borrow)]
    tickers: Vec<TickerRow<'a>>,
}

/// Rules of every market of ours that is listed. A market trades when neither statement says otherwise and the ticker
/// says so.
pub fn rules(
    access: &Access,
    info: &ExchangeInfo<'_>,
    tickers: &Tickers<'_>,
) -> Result<Vec<(PairId, MarketRules)>, WireError> {
    let one = |symbol: &String| {
        let missing = |what| WireError::new(what, symbol.as_bytes(), "a listed market");
        let row =
            info.symbols.iter().find(|row| row.symbol == symbol).ok_or_else(|| missing("exchangeInfo"))?;
        let ticker = tickers.tickers.iter().find(|row| row.symbol == symbol);
        let mut rules = row.rules()?;
        if ticker.ok_or_else(|| missing("ticker/latest"))?.status() != MarketStatus::Trading {
            rules.status = MarketStatus::Halted;
        }
        Ok(rules)
    };
    let mut listed = ListedRules::default();
    access.markets.iter().for_each(|(pair, symbol)| listed.add(*pair, one(symbol)));
    listed.end()
}

impl SymbolRow<'_> {
    /// Step and smallest size are one unit of the last place, the tick likewise (sheet `vest`, 8).
    fn rules(&self) -> Result<MarketRules, WireError> {
        let (price_places, tick) = step("priceDecimals", self.price_decimals)?;
        let (qty_places, lot) = step("sizeDecimals", self.size_decimals)?;
        let halted = self.trading_status.is_some_and(|status| status != TRADING);
        Ok(MarketRules {
            tick: Price::from_raw(tick),
            lot: Qty::from_raw(lot),
            min_qty: Qty::from_raw(lot),
            max_qty: Qty::ZERO,
            min_notional: Usd::ZERO,
            price_places,
            qty_places,
            taker: rate("takerFee", self.taker_fee)?,
            initial_margin: rate("initMarginRatio", self.init_margin_ratio)?,
            maintenance_margin: rate("maintMarginRatio", self.maint_margin_ratio)?,
            price_band: Rate::ZERO,
            ends_ms: None,
            status: if halted { MarketStatus::Halted } else { MarketStatus::Trading },
        })
    }
}

/// Places, and the raw units of one step of them.
fn step(what: &'static str, places: Option<u8>) -> Result<(u8, i64), WireError> {
    let told = || places.map_or_else(|| "nothing".to_owned(), |places| places.to_string());
    let places = places.filter(|&places| u32::from(places) <= PLACES);
    let places = places.ok_or_else(|| WireError::new(what, told().as_bytes(), "0 to 8 places"))?;
    Ok((places, 10_i64.pow(PLACES - u32::from(places))))
}

fn rate(what: &'static str, text: Option<&str>) -> Result<Rate, WireError> {
    let text = text.unwrap_or_default().as_bytes();
    Rate::parse_cut(text).map_err(|_| WireError::new(what, text, "a plain decimal"))
}

/// `GET /account`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account<'a> {
    pub address: &'a str,
    collateral: &'a str,
    withdrawable: &'a str,
    total_account_value: &'a str,
    #[serde(borrow)]
    positions: Vec<PositionRow<'a>>,
    #[serde(borrow, default)]
    pub leverages: Vec<Leverage<'a>>,
    pub time: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PositionRow<'a> {
    symbol: &'a str,
    is_long: bool,
    size: &'a str,
    entry_price: Option<&'a str>,
    liq_price: Option<&'a str>,
}

/// A row of the account's leverages, and the reply to setting one.
#[derive(Deserialize)]
pub struct Leverage<'a> {
    pub symbol: &'a str,
    pub value: u32,
}

impl Account<'_> {
    /// The account in our units. Free margin is what the venue would let us withdraw.
    pub fn report(&self, access: &Access) -> Result<AccountReport, WireError> {
        let mut report = AccountReport {
            balance: json::usd_cut("collateral", self.collateral)?,
            equity: json::usd_cut("totalAccountValue", self.total_account_value)?,
            free_margin: json::usd_cut("withdrawable", self.withdrawable)?,
            venue_ms: json::venue_time(self.time).ms(),
            ..AccountReport::default()
        };
        for row in &self.positions {
            let position = row.report()?;
            match access.pair_of(row.symbol) {
                Some(pair) => report.positions[pair.index()] = position,
                None if position.qty.is_zero() => {}
                None => report.foreign_markets += 1,
            }
        }
        Ok(report)
    }
}

impl PositionRow<'_> {
    /// `size` is stated without sign; a flat market may have a row of zero size (sheet `vest`, 5.2).
    fn report(&self) -> Result<PositionReport, WireError> {
        let size = json::qty_cut("size", self.size)?.abs();
        let price = |what, text: Option<&str>| json::price_cut(what, text.unwrap_or("0"));
        Ok(PositionReport {
            qty: if self.is_long { size } else { -size },
            entry_price: price("entryPrice", self.entry_price)?,
            liquidation_price: price("liqPrice", self.liq_price)?,
        })
    }
}

/// Open orders among the rows. Whose they are is told by the nonce: the venue keeps no id of ours.
pub fn open_orders(access: &Access, rows: &[OrderRow<'_>]) -> Result<Vec<OpenOrder>, WireError> {
    let open = |row: &&OrderRow<'_>| row.status().is_open();
    let one = |row: &OrderRow<'_>| {
        let id = row.id.unwrap_or_default();
        let pair = row.symbol.and_then(|symbol| access.pair_of(symbol));
        Ok(OpenOrder { pair, venue_id: json::order_id(id)?, id: None, nonce: row.nonce.unwrap_or(0) })
    };
    rows.iter().filter(open).map(one).collect()
}

/// Orders of our markets among the rows that may have been executed, by the venue's id. A CANCELLED row does not always
/// tell what was filled before the cancel, so that the size bounds it. What has no nonce is not ours: each of ours has.
pub fn past_orders(access: &Access, rows: &[OrderRow<'_>]) -> Result<Vec<(String, PastOrder)>, WireError> {
    let mut past = Vec::new();
    for row in rows.iter().filter(|row| row.status() != Status::Rejected) {
        let Some(pair) = row.symbol.and_then(|symbol| access.pair_of(symbol)) else { continue };
        let Some(nonce) = row.nonce else { continue };
        let missing = |what: &'static str| WireError::new(what, b"", "told of every order in the history");
        let size = row.size.ok_or_else(|| missing("size"))?;
        let order = PastOrder {
            pair,
            id: None,
            nonce,
            side: row.side().ok_or_else(|| missing("isBuy"))?,
            qty: json::qty_cut("size", size)?.abs(),
            at_ms: row.posted_ms().ok_or_else(|| missing("postTime"))?,
        };
        past.push((row.id.ok_or_else(|| missing("id"))?.to_owned(), order));
    }
    Ok(past)
}

/// Where the page before this one ends, ms: a full page may have cut some off. `None` = there is none.
pub fn earlier_page(rows: &[OrderRow<'_>]) -> Result<Option<u64>, WireError> {
    if rows.len() < ROWS as usize {
        return Ok(None);
    }
    let oldest = rows.iter().map(OrderRow::posted_ms).min().flatten();
    oldest.map(Some).ok_or_else(|| WireError::new("postTime", b"", "the time of every order of a full page"))
}

/// The row of this order among the rows, as a report.
pub fn order_report(
    venue: VenueId,
    markets: &[(PairId, String)],
    query: &OrderQuery,
    rows: &[OrderRow<'_>],
    now: Nanos,
) -> Result<Option<OrderReport>, WireError> {
    let named = |row: &&OrderRow<'_>| match row.nonce {
        Some(nonce) => nonce == query.nonce,
        None => !query.venue_id.is_empty() && row.id == Some(query.venue_id.as_str()),
    };
    let Some(row) = rows.iter().find(named) else { return Ok(None) };
    report_row(venue, row.told(markets), query, row, now).map(Some)
}

fn report_row(
    venue: VenueId,
    told: Told,
    query: &OrderQuery,
    row: &OrderRow<'_>,
    now: Nanos,
) -> Result<OrderReport, WireError> {
    let Executed { filled, average, fee, funding } = row.executed()?;
    let at = if row.time() == Nanos::NEVER { now } else { row.time() };
    Ok(OrderReport {
        venue,
        id: query.id,
        venue_id: row.id.map_or(Ok(query.venue_id), json::order_id)?,
        told,
        qty: row.size.map_or(Ok(query.qty), |size| json::qty_cut("size", size))?,
        terminal: row.status().is_terminal(),
        rejected: (row.status() == Status::Rejected).then(|| row.reject()),
        tells_fill: row.tells_fill(),
        filled,
        average,
        fee,
        funding,
        at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{ClientId, RejectClass, Side};
    use crate::venue::vest::testing::{BTC, ETH, frame, paper_setup};

    fn access() -> Access {
        Access::read(&paper_setup()).unwrap()
    }

    const INFO: &str = r#"{"symbols":[
        {"symbol":"ETH-PERP","sizeDecimals":3,"priceDecimals":3,"initMarginRatio":"0.1",
         "maintMarginRatio":"0.05","takerFee":"0.000025","tradingStatus":"TRADING"},
        {"symbol":"X-PERP","takerFee":null},
        {"symbol":"BTC-PERP","sizeDecimals":4,"priceDecimals":2,"initMarginRatio":"0.1",
         "maintMarginRatio":"0.05","takerFee":"0.0001"}]}"#;
    const TICKERS: &str =
        r#"{"tickers":[{"symbol":"BTC-PERP","status":"TRADING"},{"symbol":"ETH-PERP","status":"HALT"}]}"#;

    fn read_rules(info: &str, tickers: &str) -> Result<Vec<(PairId, MarketRules)>, WireError> {
        let info = json::from_slice(info.as_bytes()).unwrap();
        rules(&access(), &info, &json::from_slice(tickers.as_bytes()).unwrap())
    }

    #[test]
    fn rules_are_read_for_our_markets() {
        let rules = read_rules(INFO, TICKERS).unwrap();
        let (btc, eth) = (rules[0].1, rules[1].1);
        assert_eq!((rules[0].0, rules[1].0), (BTC, ETH));
        assert_eq!((btc.tick.to_string().as_str(), btc.lot.to_string().as_str()), ("0.01", "0.0001"));
        assert_eq!((btc.price_places, btc.qty_places, btc.min_qty), (2, 4, btc.lot));
        assert_eq!((btc.taker, btc.initial_margin), (Rate::from_bps(1), Rate::from_bps(1000)));
        assert_eq!(eth.taker.raw(), 25_000_000);
        assert_eq!((btc.status, eth.status), (MarketStatus::Trading, MarketStatus::Halted));
    }

    #[test]
    fn a_market_that_is_not_stated_whole_leaves_the_others() {
        for (from, to) in [
            ("BTC-PERP", "BTC2-PERP"),
            ("\"sizeDecimals\":4", "\"sizeDecimals\":9"),
            ("\"takerFee\":\"0.0001\"", "\"takerFee\":\"free\""),
            ("\"priceDecimals\":2,", ""),
        ] {
            let listed = read_rules(&INFO.replace(from, to), TICKERS).unwrap();
            assert_eq!(listed.iter().map(|(pair, _)| *pair).collect::<Vec<_>>(), [PairId(1)], "{to}");
        }
        assert!(read_rules(INFO, r#"{"tickers":[]}"#).is_err());
        let closed =
            INFO.replace("\"takerFee\":\"0.0001\"", "\"takerFee\":\"0\",\"tradingStatus\":\"MARKET_CLOSED\"");
        assert_eq!(read_rules(&closed, TICKERS).unwrap()[0].1.status, MarketStatus::Halted);
    }

    #[test]
    fn the_sample_account_is_read() {
        let bytes = frame("GET /account");
        let account: Account = json::from_slice(&bytes).unwrap();
        let report = account.report(&access()).unwrap();
        assert_eq!(
            (report.balance.to_string().as_str(), report.equity.to_string().as_str()),
            ("1333", "200000.12")
        );
        assert_eq!(report.free_margin.to_string(), "111222.12");
        let position = report.positions[BTC.index()];
        assert_eq!(
            (position.qty.to_string().as_str(), position.liquidation_price.to_string().as_str()),
            ("0.1", "20")
        );
        assert_eq!((report.venue_ms, report.foreign_markets), (1_233_333_333_333, 0));
        assert_eq!(account.leverages[0].value, 20);
    }

    #[test]
    fn positions_take_their_sign_from_is_long() {
        let text = r#"{"address":"","collateral":"1.123456789012","withdrawable":"-1","totalAccountValue":"0",
            "positions":[{"symbol":"ETH-PERP","isLong":false,"size":"-0.5"},
            {"symbol":"X","isLong":true,"size":"0"},
            {"symbol":"Y","isLong":true,"size":"1","liqPrice":null}]}"#;
        let account: Account = json::from_slice(text.as_bytes()).unwrap();
        let report = account.report(&access()).unwrap();
        assert_eq!(report.positions[ETH.index()].qty.to_string(), "-0.5");
        assert_eq!((report.foreign_markets, report.balance.raw()), (1, 112_345_678));
    }

    fn query() -> OrderQuery {
        OrderQuery {
            id: ClientId { epoch: 1, seq: 2, leg: 0 },
            pair: BTC,
            venue_id: crate::types::order::VenueOrderId::EMPTY,
            nonce: 0,
            side: Side::Buy,
            qty: Qty::parse(b"0.1").unwrap(),
            signed_ms: 1,
        }
    }

    fn report(rows: &[u8], query: &OrderQuery) -> Result<Option<OrderReport>, WireError> {
        let rows: Vec<OrderRow> = json::from_slice(rows).unwrap();
        order_report(VenueId(0), &paper_setup().markets, query, &rows, Nanos(5))
    }

    #[test]
    fn the_sample_order_is_read() {
        let found = report(&frame("GET /orders"), &query()).unwrap().unwrap();
        assert_eq!((found.filled, found.average.to_string().as_str()), (query().qty, "30000"));
        assert_eq!((found.fee.to_string().as_str(), found.funding.to_string().as_str()), ("0.01", "0.1"));
        assert!(found.terminal && found.rejected.is_none());
        assert_eq!((found.venue_id.as_str(), found.at), ("0x0", Nanos::from_ms(1_683_849_600_076)));
        assert_eq!(report(b"[]", &query()), Ok(None));
        assert_eq!(report(&frame("GET /orders"), &OrderQuery { nonce: 7, ..query() }), Ok(None));
        assert_eq!(found.told, Told::of(BTC, Side::Buy));
    }

    #[test]
    fn other_states_are_told_apart() {
        let row = |rest: &str| format!(r#"[{{"nonce":0,"symbol":"BTC-PERP","isBuy":true,{rest}}}]"#);
        let read = |rest: &str| report(row(rest).as_bytes(), &query()).unwrap().unwrap();
        let new = read(r#""status":"NEW","size":"0.2""#);
        assert!(!new.terminal && new.filled.is_zero());
        assert_eq!((new.qty.to_string().as_str(), new.at), ("0.2", Nanos(5)));
        assert!(
            !read(r#""status":"PARTIALLY_FILLED","lastFilledSize":"0.05","avgFilledPrice":"3""#).terminal
        );
        let cut = read(r#""status":"CANCELLED","lastFilledSize":"0.05","avgFilledPrice":"3""#);
        assert!(cut.terminal && cut.tells_fill && cut.filled == Qty::parse(b"0.05").unwrap());
        let bare = read(r#""status":"CANCELLED","lastFilledSize":null,"avgFilledPrice":null,"fees":"0.02""#);
        assert!(bare.terminal && !bare.tells_fill, "a part of it may have filled");
        assert_eq!((bare.filled, bare.fee.to_string().as_str()), (Qty::ZERO, "0.02"));
        assert!(read(r#""status":"CANCELLED","lastFilledSize":"0""#).tells_fill);
        let rejected = read(r#""status":"REJECTED","code":3001"#).rejected.unwrap();
        assert_eq!(rejected.class, RejectClass::Definitive);
        assert!(read(r#""status":"REJECTED","code":3001"#).tells_fill, "a refused order has filled nothing");
        assert!(!read(r#""status":"MELTED""#).terminal);
    }

    #[test]
    fn open_orders_are_filtered_here() {
        let text = r#"[{"id":"a","nonce":1,"symbol":"BTC-PERP","status":"NEW"},
            {"id":"b","nonce":2,"status":"FILLED"},
            {"id":"c","nonce":3,"symbol":"X","status":"PARTIALLY_FILLED"},{"id":"d","status":"CANCELLED"}]"#;
        let rows: Vec<OrderRow> = json::from_slice(text.as_bytes()).unwrap();
        let open = open_orders(&access(), &rows).unwrap();
        let told: Vec<_> =
            open.iter().map(|order| (order.venue_id.to_string(), order.pair, order.nonce)).collect();
        assert_eq!(told, [("a".to_owned(), Some(BTC), 1), ("c".to_owned(), None, 3)]);
    }
}
