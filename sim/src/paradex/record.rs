//! The private objects as Paradex shows them: order, fill, position, account.
//!
//! `view` makes them from the exchange's truth; `sbe_private` and `json` print the same object in its two
//! wire forms. Prices and sizes at 1e-8, times in Unix microseconds. Source: Paradex sheet §4.2, §5.4.

use starknet_crypto::Felt;

/// Side of an order, or aggressor of a fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Buy = 1,
    Sell = 2,
}

/// Order types that this venue executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderType {
    Limit = 1,
    Market = 2,
}

/// How long an order lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction {
    Gtc = 1,
    Ioc = 2,
    PostOnly = 3,
}

/// State of an order: NEW is "queued for the risk check".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderStatus {
    New = 1,
    Open = 3,
    Closed = 4,
}

/// Self-trade prevention: whose order expires. Carried through unused, for one account never trades with itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stp {
    Maker = 1,
    Taker = 2,
    Both = 3,
}

/// Flags of an order, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct OrderFlags(pub u8);

impl OrderFlags {
    pub const REDUCE_ONLY: u8 = 1 << 0;
    pub const INTERACTIVE: u8 = 1 << 3;
    pub const TARGET_STRATEGY_VWAP: u8 = 1 << 4;
}

/// An order as of one moment.
#[derive(Clone, Debug)]
pub struct Order {
    pub id: String,
    pub account: Felt,
    pub market: String,
    pub side: Side,
    pub kind: OrderType,
    pub instruction: Instruction,
    pub size: i64,
    pub remaining: i64,
    pub price: i64,
    pub avg_fill_price: Option<i64>,
    pub status: OrderStatus,
    /// Empty while open and after a full fill.
    pub cancel_reason: String,
    pub client_id: String,
    pub flags: OrderFlags,
    pub stp: Stp,
    /// `signature_timestamp`, Unix milliseconds.
    pub signed_at_ms: i64,
    pub received_at_us: i64,
    pub created_at_us: i64,
    pub updated_at_us: i64,
    pub published_at_us: i64,
    /// Increasing, not consecutive.
    pub seq_no: i64,
}

/// What kind of trade a fill was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FillType {
    Fill = 1,
    Liquidation = 2,
    UnwindTransfer = 3,
}

/// One fill of an order of the account.
#[derive(Clone, Debug)]
pub struct Fill {
    pub id: String,
    pub trade_id: String,
    pub kind: FillType,
    pub order_id: String,
    pub client_id: String,
    pub account: Felt,
    pub market: String,
    pub side: Side,
    pub is_taker: bool,
    pub price: i64,
    pub size: i64,
    pub remaining: i64,
    /// Positive = paid.
    pub fee: i64,
    pub realized_pnl: i64,
    pub realized_funding: i64,
    pub underlying_price: i64,
    pub book_seq: u64,
    pub interactive: bool,
    pub created_at_us: i64,
    pub seq_no: i64,
}

/// A position of the account; `size` is signed.
#[derive(Clone, Debug)]
pub struct Position {
    pub account: Felt,
    pub market: String,
    pub size: i64,
    pub avg_entry_price: i64,
    pub unrealized_pnl: i64,
    pub unrealized_funding: i64,
    pub realized_pnl: i64,
    pub liquidation_price: Option<i64>,
    pub leverage: i64,
    pub cost: i64,
    pub funding_index: i64,
    pub last_fill_id: String,
    pub created_at_us: i64,
    pub updated_at_us: i64,
    pub seq_no: i64,
}

/// The account as a whole, USDC.
#[derive(Clone, Debug)]
pub struct Account {
    pub account: Felt,
    pub value: i64,
    pub total_collateral: i64,
    pub free_collateral: i64,
    pub initial_margin: i64,
    pub maintenance_margin: i64,
    pub updated_at_us: i64,
    pub seq_no: i64,
}

impl Side {
    pub fn name(self) -> &'static str {
        match self {
            Side::Buy => "BUY",
            Side::Sell => "SELL",
        }
    }
}

impl FillType {
    pub fn name(self) -> &'static str {
        match self {
            FillType::Fill => "FILL",
            FillType::Liquidation => "LIQUIDATION",
            FillType::UnwindTransfer => "UNWIND_TRANSFER",
        }
    }
}

impl OrderType {
    pub fn name(self) -> &'static str {
        match self {
            OrderType::Limit => "LIMIT",
            OrderType::Market => "MARKET",
        }
    }
}

impl Instruction {
    pub fn name(self) -> &'static str {
        match self {
            Instruction::Gtc => "GTC",
            Instruction::Ioc => "IOC",
            Instruction::PostOnly => "POST_ONLY",
        }
    }
}

impl OrderStatus {
    pub fn name(self) -> &'static str {
        match self {
            OrderStatus::New => "NEW",
            OrderStatus::Open => "OPEN",
            OrderStatus::Closed => "CLOSED",
        }
    }
}

impl Stp {
    pub fn name(self) -> &'static str {
        match self {
            Stp::Maker => "EXPIRE_MAKER",
            Stp::Taker => "EXPIRE_TAKER",
            Stp::Both => "EXPIRE_BOTH",
        }
    }
}

impl OrderFlags {
    pub fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    pub fn names(self) -> Vec<&'static str> {
        let all = [
            (OrderFlags::REDUCE_ONLY, "REDUCE_ONLY"),
            (OrderFlags::INTERACTIVE, "INTERACTIVE"),
            (OrderFlags::TARGET_STRATEGY_VWAP, "TARGET_STRATEGY_VWAP"),
        ];
        all.into_iter().filter(|(bit, _)| self.has(*bit)).map(|(_, name)| name).collect()
    }
}

impl Position {
    /// A long position, or one that is flat.
    pub fn is_long(&self) -> bool {
        self.size >= 0
    }

    pub fn is_open(&self) -> bool {
        self.size != 0
    }
}
