//! What a run of the simulator can be told: seed, load, latency, markets, money, strictness, ports.
//!
//! Read by `Sim::start` and by the command line. Everything has a default that runs the demo.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::core::money::{self, ONE};
use crate::core::*;
use crate::scenario::Step;
use crate::tls::Flavour;

/// Named or explicit stage delays of a venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// A few milliseconds for each stage.
    Fast,
    /// As clients reported: Vest 350 to 500 ms to a fill, Paradex 5 to 40 ms.
    Realistic,
    Explicit(Latency),
}

/// How Vest wraps a business error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorShape {
    /// HTTP 400 with `{"detail":{"code","msg"}}`.
    Detail,
    /// HTTP 400 with `{"code","msg"}`.
    Envelope,
    /// HTTP 200 with `{"code","msg"}`.
    Envelope200,
}

/// Where the strict reading of a sheet is relaxed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// Vest: `?time=` must be present on a cancel (sheet, section 9, row 3).
    pub vest_cancel_needs_time: bool,
    /// Vest: LIMIT with IOC is accepted (row 5).
    pub vest_accepts_ioc: bool,
    /// Vest: sizes and prices with fewer decimals than the market's are accepted (row 9).
    pub vest_accepts_trimmed: bool,
    /// Vest: shape of business errors (section 6).
    pub vest_error_shape: ErrorShape,
    /// Vest: reduce-only orders are refused with 3018, as one client saw (row 6).
    pub vest_refuses_reduce_only: bool,
    /// Vest: registrations are signed for the dev contract, so that what is signed for a simulated venue is worth
    /// nothing on the real one; else for the prod contract.
    pub vest_dev_contract: bool,
    /// Both: signatures are read but not verified, and stand for the approved key; all else that is signed is checked.
    pub stub_signatures: bool,
    /// Paradex: schema versions accepted on connect.
    pub paradex_sbe_versions: [bool; 4],
    /// Paradex: private channels as SBE frames on an SBE socket; else JSON.
    pub paradex_private_sbe: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            vest_cancel_needs_time: true,
            vest_accepts_ioc: false,
            vest_accepts_trimmed: false,
            vest_error_shape: ErrorShape::Detail,
            vest_refuses_reduce_only: false,
            vest_dev_contract: true,
            stub_signatures: false,
            paradex_sbe_versions: [true, true, true, false],
            paradex_private_sbe: true,
        }
    }
}

/// Throw-away keys of the run's only trader. They are published test keys: never fund them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// Vest primary key, which signs the registration.
    pub vest_primary: String,
    /// Vest signing key, approved by the primary one.
    pub vest_signing: String,
    /// Vest API key that the venue knows from the start; registration makes new ones.
    pub vest_api_key: String,
    pub vest_account_group: u32,
    /// Paradex main account address, and the public half of the Stark key that it was made from.
    pub paradex_account: String,
    pub paradex_main_public: String,
    /// Paradex Stark private key of the subkey.
    pub paradex_subkey: String,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            vest_primary: "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80".into(),
            vest_signing: "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d".into(),
            vest_api_key: "sim-vest-api-key-0001".into(),
            vest_account_group: 0,
            paradex_account: "0x168f27d2408ddc98c6a86a7f50e5ec9a733a3bcada0260a41bb93d3da13de8b".into(),
            paradex_main_public: "0x53a5194e8d267d6de2564f6c335788207ee98b0ab9ed2f3b9fcaa17c13c65d2".into(),
            paradex_subkey: "0x3a5c1f7e9b2d4860a1c3e5f708192a3b4c5d6e7f8091a2b3c4d5e6f70819203".into(),
        }
    }
}

/// All settings of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub seed: u64,
    /// Multiplies the cadence of both venues' books.
    pub load: u32,
    pub vest_latency: Profile,
    pub paradex_latency: Profile,
    /// Time between the book messages of a market before the load factor.
    pub vest_cadence: Delay,
    pub paradex_cadence: Delay,
    /// How often prices and funding are published.
    pub ticker_us: i64,
    /// The walk of the prices moves on this grid.
    pub grid_us: i64,
    /// Paradex goes through its weekday maintenance at 04:30 UTC.
    pub paradex_cycle: bool,
    /// Base assets, of BTC, ETH and SOL.
    pub bases: Vec<String>,
    /// Stationary deviation of each venue's basis, in hundredths of a basis point.
    pub basis_amplitude_cbps: i64,
    pub basis_half_life_ms: i64,
    /// Vest taker fee and hidden premium, in hundredths of a basis point.
    pub vest_fee_cbps: i64,
    pub vest_premium_cbps: i64,
    pub paradex_fee_cbps: i64,
    /// What longs pay in one hour, at 1e-12.
    pub vest_funding_1h_e12: i64,
    pub paradex_funding_1h_e12: i64,
    /// Share of Vest orders that meet a re-quoting house (3001), ppm.
    pub requote_ppm: u32,
    pub thin_book: ThinBook,
    /// Whole USD on each venue at the start.
    pub deposit_usd: i64,
    pub switches: Switches,
    pub keys: Keys,
    /// Certificates that the venues show; anything but `Good` must be refused by a client.
    pub vest_tls: Flavour,
    pub paradex_tls: Flavour,
    /// Control operations that happen by themselves, in order of time.
    pub scenario: Vec<Step>,
    /// 0 = any free port.
    pub vest_port: u16,
    pub paradex_port: u16,
    pub control_port: u16,
    /// Where the CA and the `.env` are written; `None` = a new directory under the system's temporary one.
    pub state_dir: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 7,
            load: 1,
            vest_latency: Profile::Fast,
            paradex_latency: Profile::Fast,
            vest_cadence: Delay::of(143_000, 333_000),
            paradex_cadence: Delay::of(60_000, 140_000),
            ticker_us: 750_000,
            grid_us: 50_000,
            paradex_cycle: false,
            bases: ["BTC", "ETH", "SOL"].map(str::to_owned).to_vec(),
            basis_amplitude_cbps: 2_000,
            basis_half_life_ms: 2_500,
            vest_fee_cbps: 100,
            vest_premium_cbps: 0,
            paradex_fee_cbps: 450,
            vest_funding_1h_e12: 12_500_000,
            paradex_funding_1h_e12: 12_500_000,
            requote_ppm: 0,
            thin_book: ThinBook::Reject,
            deposit_usd: 100_000,
            switches: Switches::default(),
            keys: Keys::default(),
            vest_tls: Flavour::Good,
            paradex_tls: Flavour::Good,
            scenario: Vec::new(),
            vest_port: 0,
            paradex_port: 0,
            control_port: 0,
            state_dir: None,
        }
    }
}

/// Figures of one base asset: prices in USD, decimals on Vest, decimals of tick and step on Paradex.
struct Base {
    mid: i64,
    mid_min: i64,
    mid_max: i64,
    vest: (u32, u32),
    paradex: (u32, u32),
    max_order: i64,
}

impl Base {
    fn of(name: &str) -> Option<Base> {
        let base = |mid, mid_min, mid_max, vest, paradex, max_order| Base {
            mid,
            mid_min,
            mid_max,
            vest,
            paradex,
            max_order,
        };
        match name {
            "BTC" => Some(base(72_000, 60_000, 84_000, (4, 2), (1, 5), 100)),
            "ETH" => Some(base(3_000, 2_500, 3_500, (3, 3), (2, 4), 2_000)),
            "SOL" => Some(base(150, 100, 200, (2, 4), (3, 2), 40_000)),
            _ => None,
        }
    }
}

impl Options {
    /// The house venue, starting at `start_us`.
    pub fn vest_spec(&self, start_us: i64) -> VenueSpec {
        let latency = match self.vest_latency {
            Profile::Fast => latency((200, 800), (500, 1_500), (1_500, 4_000), (200, 600)),
            Profile::Realistic => {
                latency((40_000, 90_000), (20_000, 50_000), (300_000, 420_000), (10_000, 40_000))
            }
            Profile::Explicit(latency) => latency,
        };
        self.venue("vest", Style::House, start_us, latency, |name, base| self.vest_market(name, base))
    }

    /// The order-book venue, starting at `start_us`.
    pub fn paradex_spec(&self, start_us: i64) -> VenueSpec {
        let latency = match self.paradex_latency {
            Profile::Fast => latency((200, 800), (300, 1_000), (500, 2_000), (200, 600)),
            Profile::Realistic => latency((2_000, 8_000), (1_000, 6_000), (2_000, 25_000), (1_000, 5_000)),
            Profile::Explicit(latency) => latency,
        };
        let market = |name: &str, base: &Base| self.paradex_market(name, base);
        let cycle = Cycle { minute: 4 * 60 + 30, cancel_only_us: 120_000_000, post_only_us: 120_000_000 };
        VenueSpec {
            cycle: self.paradex_cycle.then_some(cycle),
            ..self.venue("paradex", Style::OrderBook, start_us, latency, market)
        }
    }

    fn venue(
        &self,
        name: &'static str,
        style: Style,
        start_us: i64,
        latency: Latency,
        market: impl Fn(&str, &Base) -> MarketSpec,
    ) -> VenueSpec {
        let bases = self.bases.iter().filter_map(|name| Base::of(name).map(|base| market(name, &base)));
        VenueSpec {
            name,
            style,
            seed: self.seed,
            start_us,
            load: self.load,
            latency,
            ticker_us: self.ticker_us.max(1),
            cycle: None,
            thin_book: self.thin_book,
            requote_ppm: self.requote_ppm,
            markets: bases.collect(),
            accounts: vec![AccountSpec { name: "trader".into(), deposit: self.deposit_usd * ONE }],
        }
    }

    fn vest_market(&self, name: &str, base: &Base) -> MarketSpec {
        let (size_decimals, price_decimals) = base.vest;
        MarketSpec {
            symbol: format!("{name}-PERP"),
            base: name.to_owned(),
            price_decimals,
            size_decimals,
            tick: money::quantum(price_decimals),
            step: money::quantum(size_decimals),
            min_notional: 0,
            max_order: base.max_order * ONE,
            max_open_orders: 1_000,
            taker_fee: self.vest_fee_cbps * 100,
            premium: self.vest_premium_cbps * 100,
            imf: ONE / 20,
            mmf: ONE / 40,
            price_band: 0,
            funding_rate_1h_e12: self.vest_funding_1h_e12,
            price: PriceSpec {
                half_spread: 10_000,
                level_gap: 5_000,
                level_notional: 10_000 * ONE,
                bid_levels: 40,
                ask_levels: 40,
                cadence: self.vest_cadence,
                empty_ppm: 0,
                ..self.price(base)
            },
        }
    }

    fn paradex_market(&self, name: &str, base: &Base) -> MarketSpec {
        let (price_decimals, size_decimals) = base.paradex;
        MarketSpec {
            symbol: format!("{name}-USD-PERP"),
            base: name.to_owned(),
            price_decimals,
            size_decimals,
            tick: money::quantum(price_decimals),
            step: money::quantum(size_decimals),
            min_notional: 10 * ONE,
            max_order: base.max_order * ONE,
            max_open_orders: 150,
            taker_fee: self.paradex_fee_cbps * 100,
            premium: 0,
            imf: ONE / 50,
            mmf: ONE / 100,
            price_band: ONE / 20,
            funding_rate_1h_e12: self.paradex_funding_1h_e12,
            price: PriceSpec {
                half_spread: 5_000,
                level_gap: 5_000,
                level_notional: 20_000 * ONE,
                bid_levels: 100,
                ask_levels: 60,
                cadence: self.paradex_cadence,
                empty_ppm: 150_000,
                ..self.price(base)
            },
        }
    }

    /// What both venues share about a base asset's price.
    fn price(&self, base: &Base) -> PriceSpec {
        PriceSpec {
            mid: base.mid * ONE,
            mid_min: base.mid_min * ONE,
            mid_max: base.mid_max * ONE,
            vol_1s: 10_000,
            basis_amplitude: self.basis_amplitude_cbps * 100,
            basis_mean: 0,
            basis_half_life_us: self.basis_half_life_ms * 1_000,
            half_spread: 0,
            level_gap: 0,
            level_notional: 0,
            bid_levels: 0,
            ask_levels: 0,
            cadence: Delay::of(0, 0),
            empty_ppm: 0,
            grid_us: self.grid_us.max(1),
        }
    }
}

fn latency(ack: (i64, i64), accept: (i64, i64), fill: (i64, i64), event: (i64, i64)) -> Latency {
    let delay = |(lo, hi)| Delay::of(lo, hi);
    Latency { ack: delay(ack), accept: delay(accept), fill: delay(fill), event: delay(event) }
}
