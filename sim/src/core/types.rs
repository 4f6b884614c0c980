//! The vocabulary of the core: what a venue is made of, what is sent to it, what it says.
//!
//! Wires translate between these types and a venue's own text or bytes. All amounts are fixed point at
//! 1e-8 (`core::money`) unless the name says otherwise; all times are microseconds since the epoch
//! unless the name says milliseconds.

use serde::{Deserialize, Serialize};

use super::account::{AccountView, PositionView};
use super::fault::Http;
use super::money;

/// Index of an account in its venue.
pub type AccountId = usize;
/// The venue's own order id, opaque to clients.
pub type OrderId = String;
/// Price and size of one level of a book.
pub type Level = (i64, i64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Buy,
    Sell,
}

impl Side {
    /// +1 for a buy, -1 for a sell.
    pub fn sign(self) -> i64 {
        match self {
            Side::Buy => 1,
            Side::Sell => -1,
        }
    }

    /// Whether an order of this side with this limit may trade at a price.
    pub fn takes(self, price: i64, limit: i64) -> bool {
        match self {
            Side::Buy => price <= limit,
            Side::Sell => price >= limit,
        }
    }

    pub fn opposite(self) -> Side {
        match self {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Market,
    Limit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tif {
    Gtc,
    Ioc,
    Fok,
    PostOnly,
}

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

/// What a market accepts at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Ok,
    PostOnly,
    CancelOnly,
    Maintenance,
    Halt,
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
    /// Share of `House` orders refused because the house re-quoted before the fill, ppm.
    pub requote_ppm: u32,
    pub markets: Vec<MarketSpec>,
    pub accounts: Vec<AccountSpec>,
}

/// An order as it arrives, parsed and with its signature already verified by the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrder {
    pub account: AccountId,
    pub market: usize,
    pub side: Side,
    pub kind: Kind,
    pub tif: Tif,
    pub size: i64,
    /// Worst acceptable price; 0 on a MARKET order means none.
    pub limit: i64,
    pub reduce_only: bool,
    /// The client's own name of the order (nonce or client id); "" = none.
    pub client_ref: String,
    pub signed_at_ms: i64,
    /// The order is refused when it arrives later than `signed_at_ms + window_ms`.
    pub window_ms: i64,
    /// The venue's id when the wire derives it (a hash of the signed fields); `None` = made here.
    pub id: Option<OrderId>,
    /// Extra delay before the risk check (a speed bump), microseconds.
    pub bump_us: i64,
    /// Taker fee of this order instead of the market's, fraction at 1e-8.
    pub taker_fee: Option<i64>,
    /// Text that the wire wants back with the order's views, not read here.
    pub note: String,
    /// Set by the caller when it repeats a submit after `Reply::Hold`; faults are not drawn again.
    pub held: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Received, not yet risk-checked or not yet matched.
    New,
    /// Resting.
    Open,
    Filled,
    Cancelled,
    Rejected,
}

impl State {
    pub fn is_live(self) -> bool {
        matches!(self, State::New | State::Open)
    }
}

/// Why an order was refused, now or later. Wires map it to the venue's code and text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reject {
    /// Arrived after its receive window.
    Expired,
    /// The window itself is out of range.
    BadWindow,
    /// An order with this id or client reference exists.
    Duplicate,
    BadSize,
    BadPrice,
    MinNotional,
    TooLarge,
    TooManyOpen,
    /// Limit beyond the price band.
    PriceBand,
    /// Nothing to trade inside the limit, or the house re-quoted.
    PriceCheck,
    Margin,
    ReduceOnlyIncreases,
    ReduceOnlyExceeds,
    PostOnlyCrosses,
    /// Rest of an IOC, or a FOK that could not be filled whole.
    NotFilled,
    UserCancelled,
    /// The market's mode does not allow it.
    Mode(Mode),
    NotFound,
    /// The order is already terminal.
    Closed,
    /// Made by a fault rule; the wire sends code and text as they are.
    Injected {
        code: String,
        message: String,
    },
    /// Made by a fault rule: an answer of HTTP's own.
    Http(Http),
}

/// When and what the venue answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply<T> {
    /// Send this at `due_us`.
    At { due_us: i64, result: Result<T, Reject> },
    /// The request is held up on its way: repeat the call at `until_us` with `held = true`.
    Hold { until_us: i64 },
    /// Never answer; leave the connection as it is.
    Never,
}

/// An order as the venue sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrderView {
    pub id: OrderId,
    pub client_ref: String,
    pub account: AccountId,
    pub market: usize,
    pub side: Side,
    pub kind: Kind,
    pub tif: Tif,
    pub size: i64,
    pub limit: i64,
    pub reduce_only: bool,
    pub signed_at_ms: i64,
    pub received_us: i64,
    pub updated_us: i64,
    pub state: State,
    pub reason: Option<Reject>,
    pub filled: i64,
    /// Sum of price x size over the fills, USD.
    pub notional: i64,
    pub fees: i64,
    /// Funding settled by this order's fills; positive = received.
    pub settled_funding: i64,
    /// Price result of this order's fills, without funding and fees.
    pub realized_pnl: i64,
    pub last_fill: Option<FillView>,
    /// Mark price at arrival.
    pub mark: i64,
    pub note: String,
    #[serde(skip)]
    pub(super) taker_fee: i64,
}

impl OrderView {
    pub fn remaining(&self) -> i64 {
        self.size - self.filled
    }

    /// Average fill price, rounded to the nearest 1e-8; 0 before the first fill.
    pub fn average(&self) -> i64 {
        if self.filled == 0 {
            return 0;
        }
        let scaled = i128::from(self.notional) * i128::from(money::ONE);
        money::clamp(money::divide(scaled, i128::from(self.filled), money::Round::Nearest))
    }
}

/// One execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FillView {
    pub id: String,
    pub order_id: OrderId,
    pub client_ref: String,
    pub account: AccountId,
    pub market: usize,
    pub side: Side,
    pub maker: bool,
    pub price: i64,
    pub size: i64,
    pub remaining: i64,
    /// Positive = paid.
    pub fee: i64,
    /// Positive = received.
    pub funding: i64,
    pub realized_pnl: i64,
    pub index: i64,
    /// Book sequence after the trade.
    pub book_seq: u64,
    pub at_us: i64,
    pub busted: bool,
}

/// A message about a book: the whole of it, or the levels that changed (size 0 = gone).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BookUpdate {
    pub market: usize,
    pub seq: u64,
    pub at_us: i64,
    pub snapshot: bool,
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
}

/// Prices and funding of a market.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TickerView {
    pub market: usize,
    pub at_us: i64,
    pub mark: i64,
    pub index: i64,
    pub bid: Option<Level>,
    pub ask: Option<Level>,
    pub last: i64,
    pub funding_rate_1h_e12: i64,
    /// Cumulative funding in USD for one base unit, at **1e-12**.
    pub funding_index_e12: i128,
    pub mode: Mode,
}

/// A kind of connection, for faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Socket {
    Md,
    Private,
    Orders,
    All,
}

/// What a venue says; the wires turn it into frames for whom it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "events travel behind an Arc, never by value in bulk")]
pub enum Event {
    Book(BookUpdate),
    Ticker(TickerView),
    Order(OrderView),
    Fill(FillView),
    Bust(FillView),
    Position(PositionView),
    Account(AccountView),
    Mode {
        market: usize,
        mode: Mode,
    },
    /// Bytes for the next public frame of a market, sent as they are.
    Raw {
        market: usize,
        bytes: Vec<u8>,
    },
    /// Close connections of this kind, with a close code when the socket has such.
    Close {
        socket: Socket,
        code: Option<u16>,
    },
}
