//! What a venue is made of: style, markets, prices, delays, accounts, and the rules that may change while it trades.
//!
//! Filled from `options`; read by the whole core. Amounts, fractions and times as in `types`.

use serde::{Deserialize, Serialize};

use super::money;

/// How a venue trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Every trade is against the venue itself: one fill at the size-weighted price of the displayed
    /// levels, whole-book messages, fees at 6 decimals, funding settled when a position is reduced.
    House,
    /// Central limit order book: one fill for each level, deltas, fees at 8 decimals, funding
    /// realised at every change of a position.
    OrderBook,
}

/// What a `House` does with a MARKET order that its book cannot fill inside the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThinBook {
    Reject,
    Partial,
}

/// Uniform delay in microseconds, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delay {
    pub lo_us: i64,
    pub hi_us: i64,
}

impl Delay {
    pub const fn of(lo_us: i64, hi_us: i64) -> Self {
        Self { lo_us, hi_us }
    }
}

/// The stages of an order's way through a venue, each with its own delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// From arrival to the acknowledgement's first byte.
    pub ack: Delay,
    /// From arrival to the risk check.
    pub accept: Delay,
    /// From the risk check to the match.
    pub fill: Delay,
    /// From a change to the private event about it.
    pub event: Delay,
}

/// The seeded shape and cadence of a market's prices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceSpec {
    /// First common mid; the walk is reflected at `mid_min` and `mid_max`.
    pub mid: i64,
    pub mid_min: i64,
    pub mid_max: i64,
    /// Standard deviation of the common mid over one second, as a fraction at 1e-8.
    pub vol_1s: i64,
    /// Stationary standard deviation of this venue's basis, as a fraction at 1e-8 (1 bps = 10,000).
    pub basis_amplitude: i64,
    /// Mean that the basis returns to, as a fraction at 1e-8.
    pub basis_mean: i64,
    /// Time in which half of the basis decays, in microseconds.
    pub basis_half_life_us: i64,
    /// Half of the displayed spread, as a fraction at 1e-8.
    pub half_spread: i64,
    /// Distance of neighbouring levels, as a fraction at 1e-8.
    pub level_gap: i64,
    /// Displayed notional of an ordinary level, USD.
    pub level_notional: i64,
    pub bid_levels: usize,
    pub ask_levels: usize,
    /// Time between book messages before the load factor.
    pub cadence: Delay,
    /// Share of book messages without a change, in parts per million (`OrderBook` only).
    pub empty_ppm: u32,
    /// The walk of mid and basis moves on this grid, so that it does not depend on when it is looked at.
    pub grid_us: i64,
}

/// One market of a venue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarketSpec {
    pub symbol: String,
    pub base: String,
    pub price_decimals: u32,
    pub size_decimals: u32,
    pub tick: i64,
    pub step: i64,
    pub min_notional: i64,
    pub max_order: i64,
    pub max_open_orders: usize,
    /// Published taker fee, fraction at 1e-8.
    pub taker_fee: i64,
    /// Charged on top of the fee and not published, fraction at 1e-8.
    pub premium: i64,
    /// Initial and maintenance margin, fractions at 1e-8.
    pub imf: i64,
    pub mmf: i64,
    /// Aggressive limits beyond mark x (1 +/- band) are refused; 0 = no band. Fraction at 1e-8.
    pub price_band: i64,
    /// What longs pay in one hour, fraction at **1e-12**.
    pub funding_rate_1h_e12: i64,
    pub price: PriceSpec,
}

/// An account and what it starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSpec {
    pub name: String,
    pub deposit: i64,
}

/// A maintenance that comes round on weekdays: cancel-only, then post-only, then all is well again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cycle {
    /// Minute of the day, UTC.
    pub minute: i64,
    pub cancel_only_us: i64,
    pub post_only_us: i64,
}

/// Rules of a market that change while it trades; absent ones stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    #[serde(with = "money::text::option")]
    pub tick: Option<i64>,
    #[serde(with = "money::text::option")]
    pub step: Option<i64>,
    #[serde(with = "money::text::option")]
    pub min_notional: Option<i64>,
    #[serde(with = "money::text::option")]
    pub max_order: Option<i64>,
    #[serde(with = "money::text::option")]
    pub imf: Option<i64>,
    #[serde(with = "money::text::option")]
    pub mmf: Option<i64>,
    #[serde(with = "money::text::option")]
    pub taker_fee: Option<i64>,
}

impl Rules {
    /// The market under these rules.
    pub fn over(&self, spec: &MarketSpec) -> MarketSpec {
        let (tick, step) = (self.tick.unwrap_or(spec.tick).max(1), self.step.unwrap_or(spec.step).max(1));
        MarketSpec {
            tick,
            step,
            price_decimals: money::places(tick),
            size_decimals: money::places(step),
            min_notional: self.min_notional.unwrap_or(spec.min_notional),
            max_order: self.max_order.unwrap_or(spec.max_order),
            imf: self.imf.unwrap_or(spec.imf),
            mmf: self.mmf.unwrap_or(spec.mmf),
            taker_fee: self.taker_fee.unwrap_or(spec.taker_fee),
            ..spec.clone()
        }
    }
}

/// A whole venue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VenueSpec {
    pub name: &'static str,
    pub style: Style,
    pub seed: u64,
    /// When the venue starts, microseconds; venues with equal seed and start share their common mids.
    pub start_us: i64,
    /// Multiplies the cadence of the books.
    pub load: u32,
    pub latency: Latency,
    /// How often prices and funding are published.
    pub ticker_us: i64,
    pub thin_book: ThinBook,
    /// The round of modes on weekdays.
    pub cycle: Option<Cycle>,
    /// Share of `House` orders refused because the house re-quoted before the fill, ppm.
    pub requote_ppm: u32,
    pub markets: Vec<MarketSpec>,
    pub accounts: Vec<AccountSpec>,
}
