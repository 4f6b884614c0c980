//! What a venue says about a market: its rules, its reference prices and whether it trades.

use super::money::{Price, Qty, Rate, Usd};

/// Trading rules of one market on one venue, as read from the venue. Refreshed while running (SAFETY V7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketRules {
    /// Price step, positive.
    pub tick: Price,
    /// Size step, positive.
    pub lot: Qty,
    /// Smallest order.
    pub min_qty: Qty,
    /// Largest order; zero = not published.
    pub max_qty: Qty,
    /// Smallest `size × mark`; zero = none published.
    pub min_notional: Usd,
    /// Decimal places that prices and sizes are signed with (Vest pads to exactly these).
    pub price_places: u8,
    pub qty_places: u8,
    /// Taker fee rate of this account.
    pub taker: Rate,
    /// Initial and maintenance margin fractions.
    pub initial_margin: Rate,
    pub maintenance_margin: Rate,
    /// How far from mark an aggressive limit may be; zero = not published.
    pub price_band: Rate,
    /// When the venue ends the market, ms since the epoch; `None` = not told.
    pub ends_ms: Option<u64>,
    pub status: MarketStatus,
}

/// Whether a market takes orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MarketStatus {
    #[default]
    Trading,
    Halted,
    /// A ticker has still to tell it on the present connection. Rules always know it.
    Untold,
}

/// State of a whole venue (sheet `paradex`, 4.1 `/system/state`; a venue without the notion is always `Ok`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VenueMode {
    #[default]
    Ok,
    PostOnly,
    CancelOnly,
    Maintenance,
    /// A word that no sheet knows: nothing is opened, and whether it takes closes is tried.
    Untold,
}

impl VenueMode {
    /// A close that goes there may be taken.
    pub const fn takes_closes(self) -> bool {
        matches!(self, Self::Ok | Self::Untold)
    }
}

/// Reference prices and funding of one market.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticker {
    /// Mark price; zero = unknown.
    pub mark: Price,
    /// Funding per hour, positive: longs pay shorts.
    pub funding_1h: Rate,
    pub status: MarketStatus,
}
