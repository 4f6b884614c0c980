//! Vest's JSON: how books, tickers, accounts and orders look on its wire.
//!
//! Source: the venue sheet, sections 5 and 7. Pure; called by the REST handlers and the sockets.

use serde_json::{Value, json};

use super::reply::code_of;
use crate::core::account::{AccountView, PositionView};
use crate::core::money::{self, ONE, Round};
use crate::core::{
    BookUpdate, Cause, FillView, Kind, Level, MarketSpec, Mode, OrderView, Side, State, TickerView,
};

/// Dollars with the collateral's 6 places, rounded to the nearest.
pub fn dollars(value: i64) -> String {
    money::print(money::to_multiple(value, 100, Round::Nearest), 6)
}

/// A figure at 1e-12 with 12 places.
pub fn twelve(value: i128) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let magnitude = value.unsigned_abs();
    format!("{sign}{}.{:012}", magnitude / 1_000_000_000_000, magnitude % 1_000_000_000_000)
}

fn price(value: i64, spec: &MarketSpec) -> String {
    money::print(money::to_multiple(value, spec.tick, Round::Nearest), spec.price_decimals)
}

/// What an order was filled at, with the places of its last fill where the step has grown since: what happened stays.
fn dealt(value: i64, o: &OrderView, spec: &MarketSpec) -> String {
    let of_fill = o.last_fill.as_ref().map_or(0, |fill| money::places(fill.price));
    let places = of_fill.max(spec.price_decimals);
    let step = if places > spec.price_decimals { money::quantum(places) } else { spec.tick };
    money::print(money::to_multiple(value, step, Round::Nearest), places)
}

/// With the market's places; with more where a step has grown and the size is no multiple of it: what is held is told.
fn size(value: i64, spec: &MarketSpec) -> String {
    money::print(value, money::places(value).max(spec.size_decimals))
}

pub fn exchange_info<'a>(markets: impl Iterator<Item = (&'a MarketSpec, Mode)>) -> Value {
    let rows: Vec<Value> = markets
        .map(|(m, mode)| {
            json!({
                "symbol": m.symbol, "displayName": m.symbol, "base": m.base, "quote": "USDC",
                "sizeDecimals": m.size_decimals, "priceDecimals": m.price_decimals,
                "initMarginRatio": money::trimmed(m.imf), "maintMarginRatio": money::trimmed(m.mmf),
                "takerFee": money::trimmed(m.taker_fee), "isolated": false,
                "asset": "crypto", "tradingStatus": status(mode),
            })
        })
        .collect();
    let exchange = json!({"lp": "100000.000000", "insurance": "10000000000.000000", "collateralDecimals": 6});
    json!({"symbols": rows, "exchange": exchange})
}

/// One row of `tickers`; the WebSocket's rows carry the change of the day as well.
pub fn ticker(t: &TickerView, spec: &MarketSpec) -> Value {
    json!({
        "symbol": spec.symbol, "markPrice": price(t.mark, spec), "indexPrice": price(t.index, spec),
        "imbalance": "0.0000", "oneHrFundingRate": twelve(t.funding_rate_1h_e12.into()),
        "cumFunding": twelve(t.funding_index_e12), "status": status(t.mode),
        "priceChange": "0.000000", "priceChangePercent": "0.00",
    })
}

/// A whole book, at most `limit` levels a side.
pub fn depth(book: &BookUpdate, spec: &MarketSpec, limit: usize) -> Value {
    let side = |levels: &[Level]| -> Vec<[String; 2]> {
        let text =
            |l: &Level| [money::print(l.0, spec.price_decimals), money::print(l.1, spec.size_decimals)];
        levels.iter().take(limit).map(text).collect()
    };
    json!({"bids": side(&book.bids), "asks": side(&book.asks)})
}

/// The message of `<symbol>@depth`, all levels: by far the most frequent one, so it is written without a tree.
pub fn depth_message(book: &BookUpdate, spec: &MarketSpec) -> String {
    let mut text = String::with_capacity(96 + 32 * (book.bids.len() + book.asks.len()));
    text.push_str("{\"channel\":\"");
    text.push_str(&spec.symbol);
    text.push_str("@depth\",\"data\":{\"asks\":");
    write_levels(&mut text, &book.asks, spec);
    text.push_str(",\"bids\":");
    write_levels(&mut text, &book.bids, spec);
    text.push_str("}}");
    text
}

fn write_levels(text: &mut String, levels: &[Level], spec: &MarketSpec) {
    text.push('[');
    for (at, (price, size)) in levels.iter().enumerate() {
        text.push_str(if at == 0 { "[\"" } else { ",[\"" });
        money::write(text, *price, spec.price_decimals);
        text.push_str("\",\"");
        money::write(text, *size, spec.size_decimals);
        text.push_str("\"]");
    }
    text.push(']');
}

/// A public trade; `id` is an integer in REST answers and a string on the socket.
pub fn trade(fill: &FillView, spec: &MarketSpec, id: Value) -> Value {
    json!({
        "id": id, "price": price(fill.price, spec), "qty": size(fill.size, spec),
        "quoteQty": dollars(money::mul(fill.price, fill.size, Round::Nearest)), "time": fill.at_us / 1_000,
    })
}

/// `GET /account`; flat positions of markets once traded stay as rows of size zero.
pub fn account(
    view: &AccountView,
    positions: &[PositionView],
    markets: &[MarketSpec],
    desk: &AccountExtras,
) -> Value {
    let rows: Vec<Value> = positions
        .iter()
        .filter(|p| p.updated_us > 0)
        .map(|p| position(p, &markets[p.market], (desk.leverage)(&markets[p.market].symbol)))
        .collect();
    let leverages: Vec<Value> =
        markets.iter().map(|m| json!({"symbol": m.symbol, "value": (desk.leverage)(&m.symbol)})).collect();
    json!({
        "address": desk.address,
        "balances": [{"asset": "USDC", "total": dollars(view.balance), "locked": "0.000000"}],
        "collateral": dollars(view.balance), "withdrawable": dollars(view.free),
        "totalAccountValue": dollars(view.value), "openOrderMargin": "0.000000",
        "totalMaintMargin": dollars(view.maintenance_margin),
        "positions": rows, "leverages": leverages,
        "lp": {"balance": "0.000000", "shares": "0.000000", "unrealizedPnl": "0.000000"},
        "time": view.at_us / 1_000, "twitterUsername": null, "discordUsername": null,
    })
}

/// What `GET /account` shows besides money.
pub struct AccountExtras<'a> {
    pub address: String,
    pub leverage: &'a dyn Fn(&str) -> u32,
}

fn position(p: &PositionView, spec: &MarketSpec, leverage: u32) -> Value {
    json!({
        "symbol": spec.symbol, "isLong": p.size >= 0, "size": size(p.size.abs(), spec),
        "entryPrice": price(p.entry_price, spec), "entryFunding": twelve(p.entry_funding_e12),
        "unrealizedPnl": dollars(p.unrealized_pnl + p.unrealized_funding),
        "settledFunding": dollars(p.settled_funding), "markPrice": price(p.mark, spec),
        "indexPrice": price(p.index, spec), "liqPrice": price(p.liquidation_price, spec),
        "initMargin": dollars(p.initial_margin), "maintMargin": dollars(p.maintenance_margin),
        "initMarginRatio": ratio(leverage),
    })
}

/// A row of `GET /orders`. The fill figures are null unless it is FILLED (sheet 5.2, to the letter): a part that was
/// filled is not told, neither while the order is open nor when the rest of it was cancelled. `fees` always are.
pub fn order_row(o: &OrderView, spec: &MarketSpec, leverage: u32) -> Value {
    let filled = o.state == State::Filled;
    let when = |value: Value| if filled { value } else { Value::Null };
    let last = o.last_fill.as_ref().filter(|_| filled);
    json!({
        "id": o.id, "nonce": nonce(o), "symbol": spec.symbol, "isBuy": o.side == Side::Buy,
        "orderType": order_type(o), "limitPrice": price(o.limit, spec), "markPrice": price(o.mark, spec),
        "size": size(o.size, spec), "status": order_status(o), "reduceOnly": o.reduce_only,
        "initMarginRatio": ratio(leverage), "code": code(o),
        "lastFilledSize": last.map(|f| size(f.size, spec)),
        "lastFilledPrice": last.map(|f| dealt(f.price, o, spec)),
        "lastFilledTime": last.map(|f| f.at_us / 1_000),
        "avgFilledPrice": when(json!(dealt(o.average(), o, spec))),
        "settledFunding": when(json!(dollars(o.settled_funding))),
        "fees": dollars(o.fees),
        "realizedPnl": when(json!(dollars(o.realized_pnl + o.settled_funding - o.fees))),
        "postTime": o.received_us / 1_000, "tpPrice": null, "slPrice": null,
    })
}

/// The messages of `account_private` about a change of an order, in order. Only FILLED has fill figures: those of
/// PARTIALLY_FILLED have no example (sheet 7), and CANCELLED has four keys.
pub fn order_events(o: &OrderView, spec: &MarketSpec, leverage: u32) -> Vec<Value> {
    let short = |status: &str| {
        let posted = o.received_us / 1_000;
        json!({"id": o.id, "status": status, "postTime": posted, "nonce": nonce(o)})
    };
    let args = match o.state {
        State::New => vec![placed(o, spec, leverage, "NEW")],
        State::Open if o.filled > 0 => vec![placed(o, spec, leverage, "PARTIALLY_FILLED")],
        State::Open => Vec::new(),
        State::Filled => vec![executed(o, spec, leverage)],
        State::Cancelled if o.filled > 0 => {
            vec![placed(o, spec, leverage, "PARTIALLY_FILLED"), short("CANCELLED")]
        }
        State::Cancelled => vec![short("CANCELLED")],
        State::Rejected => {
            let mut row = short("REJECTED");
            row["code"] = code(o);
            vec![row]
        }
    };
    args.into_iter()
        .map(|args| json!({"channel": "account_private", "data": {"event": "ORDER", "args": args}}))
        .collect()
}

fn placed(o: &OrderView, spec: &MarketSpec, leverage: u32, status: &str) -> Value {
    json!({
        "id": o.id, "symbol": spec.symbol, "isBuy": o.side == Side::Buy, "orderType": order_type(o),
        "limitPrice": price(o.limit, spec), "size": size(o.size, spec), "reduceOnly": o.reduce_only,
        "initMarginRatio": ratio(leverage), "status": status, "postTime": o.received_us / 1_000,
        "nonce": nonce(o),
    })
}

fn executed(o: &OrderView, spec: &MarketSpec, leverage: u32) -> Value {
    let mut args = placed(o, spec, leverage, "FILLED");
    if let Some(last) = &o.last_fill {
        args["lastFilledSize"] = json!(size(last.size, spec));
        args["lastFilledPrice"] = json!(dealt(last.price, o, spec));
        args["lastFilledTime"] = json!(last.at_us / 1_000);
    }
    args["avgFilledPrice"] = json!(dealt(o.average(), o, spec));
    args["cumFunding"] = json!(dollars(o.settled_funding));
    args["fees"] = json!(dollars(o.fees));
    args
}

pub fn order_status(o: &OrderView) -> &'static str {
    match o.state {
        State::New => "NEW",
        State::Open if o.filled > 0 => "PARTIALLY_FILLED",
        State::Open => "NEW",
        State::Filled => "FILLED",
        State::Cancelled => "CANCELLED",
        State::Rejected => "REJECTED",
    }
}

pub fn order_type(o: &OrderView) -> &'static str {
    match (o.cause, o.kind) {
        (Cause::Order, Kind::Market) => "MARKET",
        (Cause::Order, Kind::Limit) => "LIMIT",
        _ => "LIQUIDATION",
    }
}

fn code(o: &OrderView) -> Value {
    match (&o.state, &o.reason) {
        (State::Rejected, Some(reason)) => json!(code_of(reason)),
        _ => Value::Null,
    }
}

fn nonce(o: &OrderView) -> u64 {
    o.client_ref.parse().unwrap_or(0)
}

fn ratio(leverage: u32) -> String {
    money::print(ONE / i64::from(leverage.max(1)), 4)
}

fn status(mode: Mode) -> &'static str {
    match mode {
        Mode::Ok | Mode::PostOnly => "TRADING",
        Mode::Halt => "HALT",
        Mode::CancelOnly | Mode::Maintenance => "MARKET_CLOSED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_depth_message_is_the_tree_of_values() {
        let spec = &crate::options::Options::default().vest_spec(0).markets[0];
        let (bids, asks) =
            (vec![(72_000 * ONE, ONE), (71_999 * ONE + 1_000_000, 10_000)], vec![(72_001 * ONE, 5)]);
        let book = BookUpdate { market: 0, seq: 1, at_us: 0, snapshot: true, bids, asks };
        let tree = json!({"channel": "BTC-PERP@depth", "data": depth(&book, spec, usize::MAX)});
        assert_eq!(depth_message(&book, spec), tree.to_string());
    }

    #[test]
    fn figures_are_padded_as_the_venue_does() {
        assert_eq!(dollars(1_333 * ONE), "1333.000000");
        assert_eq!(dollars(-30), "0.000000");
        assert_eq!(twelve(1_230_000_000_000), "1.230000000000");
        assert_eq!(twelve(-5), "-0.000000000005");
        assert_eq!(ratio(8), "0.1250");
    }

    #[test]
    fn what_a_grown_step_does_not_carry_is_told() {
        let spec = &crate::options::Options::default().vest_spec(0).markets[0];
        let coarse = MarketSpec { size_decimals: 3, ..spec.clone() };
        let texts = [size(ONE, &coarse), size(50_000, &coarse), size(0, &coarse)];
        assert_eq!(texts, ["1.000", "0.0005", "0.000"]);
    }
}
