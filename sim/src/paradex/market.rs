//! Market metadata and tickers, as `GET /markets`, `/markets/summary` and the ticker channels show them.
//!
//! Pure translation for `rest` and `session`. Source: Paradex sheet §4.1, §7 and the samples of `/markets`.

use serde_json::{Value, json};

use super::json::millis;
use super::sbe::{Funding, Summary};
use crate::core::money::{self, ONE, Round, trimmed};
use crate::core::{Level, MarketSpec, TickerView};

/// Hours of a funding period; published rates are per period.
pub const FUNDING_PERIOD_H: i64 = 8;
/// How far a MARKET order's average price may run from the touch: 0.1 %, at 1e-8.
pub const MAX_SLIPPAGE: i64 = ONE / 1_000;
/// Position limit in units of the largest order, as on BTC (100 and 300).
const POSITION_LIMIT_ORDERS: i64 = 3;

/// One entry of `GET /markets`.
pub fn spec(m: &MarketSpec) -> Value {
    let fee = |rate: i64| json!({"fee": trimmed(rate), "fee_cap": "0", "fee_floor": "0"});
    json!({
        "symbol": m.symbol,
        "base_currency": m.base,
        "quote_currency": "USD",
        "settlement_currency": "USDC",
        "asset_kind": "PERP",
        "market_kind": "cross",
        "trading_mode": "STANDARD",
        "price_tick_size": trimmed(m.tick),
        "order_size_increment": trimmed(m.step),
        "min_notional": trimmed(m.min_notional),
        "max_order_size": trimmed(m.max_order),
        "position_limit": trimmed(m.max_order.saturating_mul(POSITION_LIMIT_ORDERS)),
        "max_open_orders": m.max_open_orders,
        "price_bands_width": trimmed(m.price_band),
        "max_slippage": trimmed(MAX_SLIPPAGE),
        "max_funding_rate": "0.02",
        "max_funding_rate_change": "0.0005",
        "max_tob_spread": "0.01",
        "interest_rate": "0.0001",
        "clamp_rate": "0.0005",
        "funding_period_hours": FUNDING_PERIOD_H,
        "funding_multiplier": 1,
        "oracle_ewma_factor": "0.2",
        "open_at": 0,
        "expiry_at": 0,
        "delta1_cross_margin_params": {
            "imf_base": trimmed(m.imf),
            "imf_factor": "0",
            "imf_shift": "0",
            "mmf_factor": trimmed(ratio(m.mmf, m.imf)),
        },
        "fee_config": {
            "api_fee": {"maker_fee": fee(0), "taker_fee": fee(m.taker_fee)},
            "interactive_fee": {"maker_fee": fee(0), "taker_fee": fee(0)},
            "rpi_fee": {"maker_fee": fee(0), "taker_fee": fee(0)},
        },
        "tags": [],
    })
}

/// One entry of `GET /markets/summary`.
pub fn summary_json(m: &MarketSpec, t: &TickerView) -> Value {
    let price = |level: Option<Level>| level.map(|l| trimmed(l.0)).unwrap_or_default();
    let size = |level: Option<Level>| level.map(|l| trimmed(l.1)).unwrap_or_default();
    json!({
        "symbol": m.symbol,
        "mark_price": trimmed(t.mark),
        "last_traded_price": trimmed(t.last),
        "bid": price(t.bid),
        "bid_size": size(t.bid),
        "ask": price(t.ask),
        "ask_size": size(t.ask),
        "underlying_price": trimmed(t.index),
        "external_fair_price": trimmed(t.index),
        "funding_rate": trimmed(rate_8h(t)),
        "open_interest": "0",
        "volume_24h": "0",
        "total_volume": "0",
        "price_change_rate_24h": "0",
        "created_at": millis(t.at_us),
    })
}

/// The same for the `markets_summary` channel.
pub fn summary(t: &TickerView) -> Summary {
    Summary {
        mark: t.mark,
        index: t.index,
        last: t.last,
        funding_rate: rate_8h(t),
        bid: t.bid,
        ask: t.ask,
        fair: t.index,
        ..Summary::default()
    }
}

/// The `funding_data` channel's view of a ticker.
pub fn funding(t: &TickerView) -> Funding {
    Funding {
        rate: rate_8h(t),
        index: money::clamp(t.funding_index_e12 / 10_000),
        premium: money::mul(rate_8h(t), t.index, Round::Nearest),
        rate_8h: rate_8h(t),
        period_hours: FUNDING_PERIOD_H as i16,
        created_at_us: t.at_us,
    }
}

/// Price, tick and size of one level as `["price","size"]`.
pub fn level(level: &Level) -> Value {
    json!([trimmed(level.0), trimmed(level.1)])
}

/// The rate of one funding period, at 1e-8.
fn rate_8h(t: &TickerView) -> i64 {
    money::clamp(i128::from(t.funding_rate_1h_e12) * i128::from(FUNDING_PERIOD_H) / 10_000)
}

fn ratio(numerator: i64, denominator: i64) -> i64 {
    let scaled = i128::from(numerator) * i128::from(ONE);
    money::clamp(money::divide(scaled, i128::from(denominator.max(1)), Round::Nearest))
}
