//! Vest's history endpoints: the day's ticker, bars, funding rates, open interest.
//!
//! Source: the venue sheet, section 5.1. Nobody else trades in the simulator, so volumes are zero and the
//! open interest is the trader's own.

use serde_json::{Value, json};

use super::reply::Refusal;
use super::rest::{Outcome, chosen, one_market};
use super::{Floor, TRADER};
use crate::core::history::Bar;
use crate::core::{MarketSpec, money};
use crate::wire::Params;

const MINUTE_US: i64 = 60_000_000;
const DAY_US: i64 = 24 * 60 * MINUTE_US;
/// The venue returned only so many of the newest bars, whatever was asked (section 9, row 15).
const BARS_MAX: usize = 501;
const RATES_MAX: usize = 1_000;

pub fn ticker_24hr(floor: &Floor, params: &Params) -> Outcome {
    let row = |(index, spec): (usize, &MarketSpec)| {
        let bars = floor.exchange.history(index).bars(DAY_US);
        bars.last().map(|bar| day(bar, spec))
    };
    Ok(json!({"tickers": chosen(floor, params)?.into_iter().filter_map(row).collect::<Vec<Value>>()}))
}

pub fn klines(floor: &Floor, params: &Params) -> Outcome {
    let (index, spec) = one_market(floor, params)?;
    let span_us = span(params.get("interval").map(String::as_str))?;
    let bars = floor.exchange.history(index).bars(span_us);
    let rows = bars.iter().skip(bars.len().saturating_sub(BARS_MAX));
    Ok(json!(rows.map(|bar| kline(bar, spec, span_us, json!(0))).collect::<Vec<Value>>()))
}

pub fn funding(floor: &Floor, params: &Params) -> Outcome {
    let (index, spec) = one_market(floor, params)?;
    let span_us = span(params.get("interval").map(String::as_str))?;
    let bars = floor.exchange.history(index).bars(span_us);
    let row = |bar: &Bar| {
        let rate = super::view::twelve(bar.funding_rate_1h_e12.into());
        json!({"symbol": spec.symbol, "time": bar.open_us / 1_000, "oneHrFundingRate": rate})
    };
    let newest = bars.iter().skip(bars.len().saturating_sub(RATES_MAX));
    Ok(json!(newest.map(row).collect::<Vec<Value>>()))
}

pub fn open_interest(floor: &Floor, params: &Params) -> Outcome {
    let row = |(index, spec): (usize, &MarketSpec)| {
        let held = floor.exchange.held(TRADER, index);
        let text = |size: i64| money::print(size.max(0), spec.size_decimals);
        json!({"symbol": spec.symbol, "longOi": text(held), "shortOi": text(-held)})
    };
    Ok(json!({"ois": chosen(floor, params)?.into_iter().map(row).collect::<Vec<Value>>()}))
}

/// A bar as an array; the number of trades is a number in REST answers and a text on the socket.
pub fn kline(bar: &Bar, spec: &MarketSpec, span_us: i64, trades: Value) -> Value {
    let price = |value| price_text(value, spec);
    json!([
        bar.open_us / 1_000,
        price(bar.open),
        price(bar.high),
        price(bar.low),
        price(bar.close),
        (bar.open_us + span_us) / 1_000 - 1,
        money::print(0, spec.size_decimals),
        "0.000000",
        trades
    ])
}

/// Length of an interval in microseconds; one minute when absent.
pub fn span(name: Option<&str>) -> Result<i64, Refusal> {
    let minutes = match name.unwrap_or("1m") {
        "1m" => 1,
        "3m" => 3,
        "5m" => 5,
        "15m" => 15,
        "30m" => 30,
        "1h" => 60,
        "2h" => 120,
        "4h" => 240,
        "6h" => 360,
        "8h" => 480,
        "12h" => 720,
        "1d" => 1_440,
        "3d" => 4_320,
        "1w" => 10_080,
        "1M" => 43_200,
        other => return Err(Refusal::code(1130, format!("interval: unknown {other:?}"))),
    };
    Ok(minutes * MINUTE_US)
}

fn day(bar: &Bar, spec: &MarketSpec) -> Value {
    let price = |value| price_text(value, spec);
    let change =
        i128::from(bar.close - bar.open) * 100 * i128::from(money::ONE) / i128::from(bar.open.max(1));
    json!({
        "symbol": spec.symbol, "openPrice": price(bar.open), "closePrice": price(bar.close),
        "highPrice": price(bar.high), "lowPrice": price(bar.low), "quoteVolume": "0.000000",
        "volume": money::print(0, spec.size_decimals), "priceChange": price(bar.close - bar.open),
        "priceChangePercent": money::print(money::clamp(change), 3),
        "openTime": bar.open_us / 1_000, "closeTime": (bar.open_us + DAY_US) / 1_000 - 1,
    })
}

fn price_text(value: i64, spec: &MarketSpec) -> String {
    money::print(money::to_multiple(value, spec.tick, money::Round::Nearest), spec.price_decimals)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    #[test]
    fn bars_and_days_have_the_documented_shape() {
        let spec = &Options::default().vest_spec(0).markets[0];
        let usd = |dollars: i64| dollars * money::ONE;
        let bar = Bar {
            open_us: 0,
            open: usd(100),
            high: usd(110),
            low: usd(90),
            close: usd(95),
            funding_rate_1h_e12: 0,
        };
        let row = kline(&bar, spec, MINUTE_US, json!(0));
        assert_eq!(row, json!([0, "100.00", "110.00", "90.00", "95.00", 59_999, "0.0000", "0.000000", 0]));
        assert_eq!(day(&bar, spec)["priceChangePercent"], "-5.000");
        assert!(span(Some("7m")).is_err());
    }
}
