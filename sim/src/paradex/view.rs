//! From the exchange's truth to what Paradex shows: orders, fills, positions, the account.
//!
//! Pure translation for `rest` and `session`. Prices, fees and results are passed on exactly; only names and
//! shapes change. Source: Paradex sheet §3.2 (status, cancel reasons), §4.2.

use starknet_crypto::Felt;

use super::record::{
    Account, Fill, FillType, Instruction, Order, OrderFlags, OrderStatus, OrderType, Position, Side, Stp,
};
use crate::core::account::{AccountView, PositionView};
use crate::core::money::{self, ONE, Round};
use crate::core::{self, Cause, FillView, Kind, OrderView, Reject, State, Tif};

/// What an order's note keeps for its views: self-trade mode and whether a Retail token sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    pub stp: Stp,
    pub interactive: bool,
}

impl Note {
    /// The text that travels with the order through the core.
    pub fn to_text(self) -> String {
        format!("{}{}", self.stp.name(), if self.interactive { "/interactive" } else { "" })
    }

    /// Reads it back; an unknown text is the default.
    pub fn from_text(text: &str) -> Note {
        let (stp, flag) = text.split_once('/').unwrap_or((text, ""));
        let stp = match stp {
            "EXPIRE_MAKER" => Stp::Maker,
            "EXPIRE_BOTH" => Stp::Both,
            _ => Stp::Taker,
        };
        Note { stp, interactive: flag == "interactive" }
    }
}

/// An order of the account at `address`, as of `now_us`.
pub fn order(o: &OrderView, address: Felt, market: &str, now_us: i64) -> Order {
    let note = Note::from_text(&o.note);
    let is_market = o.kind == Kind::Market;
    Order {
        id: o.id.clone(),
        account: address,
        market: market.to_owned(),
        side: side(o.side),
        kind: if is_market { OrderType::Market } else { OrderType::Limit },
        instruction: instruction(o.tif),
        size: o.size,
        remaining: o.remaining(),
        price: if is_market { 0 } else { o.limit },
        avg_fill_price: (o.filled > 0).then(|| o.average()),
        status: status(o.state),
        cancel_reason: o.reason.as_ref().map(cancel_reason).unwrap_or_default(),
        client_id: o.client_ref.clone(),
        flags: flags(o, note),
        stp: note.stp,
        signed_at_ms: o.signed_at_ms,
        received_at_us: o.received_us,
        created_at_us: o.received_us,
        updated_at_us: o.updated_us,
        published_at_us: now_us,
        seq_no: o.updated_us.saturating_mul(1_000),
    }
}

/// A fill of the account at `address`; `interactive` when a Retail token sent its order.
pub fn fill(f: &FillView, address: Felt, market: &str, interactive: bool) -> Fill {
    Fill {
        id: f.id.clone(),
        trade_id: f.id.clone(),
        kind: fill_type(f.cause),
        order_id: f.order_id.clone(),
        client_id: f.client_ref.clone(),
        account: address,
        market: market.to_owned(),
        side: side(f.side),
        is_taker: !f.maker,
        price: f.price,
        size: f.size,
        remaining: f.remaining,
        fee: f.fee,
        realized_pnl: f.realized_pnl,
        realized_funding: f.funding,
        underlying_price: f.index,
        book_seq: f.book_seq,
        interactive,
        created_at_us: f.at_us,
        seq_no: f.at_us.saturating_mul(1_000),
    }
}

/// A position of the account at `address`.
pub fn position(p: &PositionView, address: Felt, market: &str, leverage: i64) -> Position {
    Position {
        account: address,
        market: market.to_owned(),
        size: p.size,
        avg_entry_price: p.entry_price,
        unrealized_pnl: p.unrealized_pnl.saturating_add(p.unrealized_funding),
        unrealized_funding: p.unrealized_funding,
        realized_pnl: p.realized_pnl,
        liquidation_price: (p.liquidation_price != 0).then_some(p.liquidation_price),
        leverage,
        cost: p.cost,
        funding_index: money::clamp(p.entry_funding_e12 / 10_000),
        last_fill_id: p.last_fill.clone(),
        created_at_us: p.updated_us,
        updated_at_us: p.updated_us,
        seq_no: p.updated_us.saturating_mul(1_000),
    }
}

/// The account at `address`.
pub fn account(a: &AccountView, address: Felt) -> Account {
    Account {
        account: address,
        value: a.value,
        total_collateral: a.balance,
        free_collateral: a.free,
        initial_margin: a.initial_margin,
        maintenance_margin: a.maintenance_margin,
        updated_at_us: a.at_us,
        seq_no: a.at_us.saturating_mul(1_000),
    }
}

/// The highest leverage that an initial margin fraction allows, at 1e-8.
pub fn leverage(imf: i64) -> i64 {
    if imf <= 0 {
        return ONE;
    }
    money::clamp(money::divide(i128::from(ONE) * i128::from(ONE), i128::from(imf), Round::Down))
}

/// The venue's word for why an order ended; unlisted ones are this simulation's choice.
pub fn cancel_reason(reason: &Reject) -> String {
    let text = match reason {
        Reject::UserCancelled => "USER_CANCELED",
        Reject::Margin => "NOT_ENOUGH_MARGIN",
        Reject::PostOnlyCrosses => "POST_ONLY_WOULD_CROSS",
        Reject::TooLarge => "ORDER_EXCEEDS_POSITION_LIMIT",
        Reject::NotFilled => "EXPIRED",
        Reject::ReduceOnlyIncreases | Reject::ReduceOnlyExceeds => "REDUCE_ONLY_WOULD_INCREASE",
        Reject::MinNotional => "MIN_NOTIONAL",
        Reject::PriceBand => "PRICE_OUT_OF_BAND",
        Reject::TooManyOpen => "MAX_OPEN_ORDERS",
        Reject::Injected { code, .. } => code,
        _ => "REJECTED",
    };
    text.to_owned()
}

fn side(side: core::Side) -> Side {
    match side {
        core::Side::Buy => Side::Buy,
        core::Side::Sell => Side::Sell,
    }
}

fn fill_type(cause: Cause) -> FillType {
    match cause {
        Cause::Order => FillType::Fill,
        Cause::Liquidation => FillType::Liquidation,
        Cause::Deleveraging => FillType::UnwindTransfer,
    }
}

fn instruction(tif: Tif) -> Instruction {
    match tif {
        Tif::Gtc => Instruction::Gtc,
        Tif::Ioc | Tif::Fok => Instruction::Ioc,
        Tif::PostOnly => Instruction::PostOnly,
    }
}

fn status(state: State) -> OrderStatus {
    match state {
        State::New => OrderStatus::New,
        State::Open => OrderStatus::Open,
        State::Filled | State::Cancelled | State::Rejected => OrderStatus::Closed,
    }
}

fn flags(o: &OrderView, note: Note) -> OrderFlags {
    let bit = |on: bool, bit: u8| if on { bit } else { 0 };
    OrderFlags(
        bit(o.reduce_only, OrderFlags::REDUCE_ONLY)
            | bit(note.interactive, OrderFlags::INTERACTIVE)
            | bit(o.kind == Kind::Market, OrderFlags::TARGET_STRATEGY_VWAP),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_survives_the_way_through_the_core() {
        for stp in [Stp::Maker, Stp::Taker, Stp::Both] {
            for interactive in [false, true] {
                let note = Note { stp, interactive };
                assert_eq!(Note::from_text(&note.to_text()), note);
            }
        }
    }

    #[test]
    fn leverage_is_the_inverse_of_the_margin_fraction() {
        assert_eq!(leverage(ONE / 50), 50 * ONE);
        assert_eq!(leverage(0), ONE);
    }

    #[test]
    fn reasons_that_the_sheet_lists_keep_their_names() {
        assert_eq!(cancel_reason(&Reject::UserCancelled), "USER_CANCELED");
        assert_eq!(cancel_reason(&Reject::Margin), "NOT_ENOUGH_MARGIN");
        assert_eq!(cancel_reason(&Reject::PostOnlyCrosses), "POST_ONLY_WOULD_CROSS");
    }
}
