//! The vocabulary of the core: what a venue is made of, what is sent to it, what it says.
//!
//! Wires translate between these types and a venue's own text or bytes. All amounts are fixed point at
//! 1e-8 (`core::money`) unless the name says otherwise; all times are microseconds since the epoch
//! unless the name says milliseconds.

use serde::{Deserialize, Serialize};

use super::account::{AccountView, PositionView};
use super::fault::Http;
use super::money;
pub use super::spec::*;

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

/// An order that arrived, and what became of it at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    pub at_us: i64,
    pub order: NewOrder,
    pub outcome: Result<OrderId, Reject>,
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
    /// The venue went back to an earlier state, in which the order was not executed.
    RolledBack,
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

/// Why something is executed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Somebody ordered it.
    #[default]
    Order,
    /// The venue closes a position for want of margin.
    Liquidation,
    /// The venue closes a position against a loser of the other side (auto-deleveraging).
    Deleveraging,
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
    pub cause: Cause,
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
    pub cause: Cause,
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
