//! The JSON forms of the private objects, the same on REST and on private channels.
//!
//! Prices and sizes are decimal strings, times integer milliseconds. Source: Paradex sheet §4.2 and the
//! recorded samples of orders, fills and positions.

use serde_json::{Value, json};

use super::felt;
use super::record::{Account, Fill, Order, Position};
use crate::core::money::trimmed;

/// `OrderResp`.
pub fn order(o: &Order) -> Value {
    json!({
        "id": o.id,
        "account": felt::to_hex(&o.account),
        "market": o.market,
        "side": o.side.name(),
        "type": o.kind.name(),
        "instruction": o.instruction.name(),
        "size": trimmed(o.size),
        "remaining_size": trimmed(o.remaining),
        "price": trimmed(o.price),
        "avg_fill_price": o.avg_fill_price.map(trimmed).unwrap_or_default(),
        "status": o.status.name(),
        "cancel_reason": o.cancel_reason,
        "client_id": o.client_id,
        "flags": o.flags.names(),
        "stp": o.stp.name(),
        "trigger_price": "0",
        "timestamp": o.signed_at_ms,
        "received_at": millis(o.received_at_us),
        "created_at": millis(o.created_at_us),
        "last_updated_at": millis(o.updated_at_us),
        "published_at": millis(o.published_at_us),
        "seq_no": o.seq_no,
        "request_info": null,
    })
}

/// `FillResult`.
pub fn fill(f: &Fill) -> Value {
    json!({
        "id": f.id,
        "order_id": f.order_id,
        "client_id": f.client_id,
        "account": felt::to_hex(&f.account),
        "market": f.market,
        "side": f.side.name(),
        "liquidity": if f.is_taker { "TAKER" } else { "MAKER" },
        "price": trimmed(f.price),
        "size": trimmed(f.size),
        "remaining_size": trimmed(f.remaining),
        "fee": trimmed(f.fee),
        "fee_currency": "USDC",
        "fill_type": f.kind.name(),
        "flags": if f.interactive { vec!["interactive"] } else { vec![] },
        "realized_pnl": trimmed(f.realized_pnl),
        "realized_funding": trimmed(f.realized_funding),
        "underlying_price": trimmed(f.underlying_price),
        "orderbook_seq_no": f.book_seq,
        "created_at": millis(f.created_at_us),
    })
}

/// `PositionResp`; the size is signed.
pub fn position(p: &Position) -> Value {
    let account = felt::to_hex(&p.account);
    json!({
        "id": format!("{account}-{}", p.market),
        "account": account,
        "market": p.market,
        "status": if p.is_open() { "OPEN" } else { "CLOSED" },
        "side": if p.is_long() { "LONG" } else { "SHORT" },
        "size": trimmed(p.size),
        "average_entry_price": trimmed(p.avg_entry_price),
        "average_entry_price_usd": trimmed(p.avg_entry_price),
        "average_exit_price": "0",
        "unrealized_pnl": trimmed(p.unrealized_pnl),
        "unrealized_funding_pnl": trimmed(p.unrealized_funding),
        "realized_positional_pnl": trimmed(p.realized_pnl),
        "realized_positional_funding_pnl": "0",
        "cost": trimmed(p.cost),
        "cost_usd": trimmed(p.cost),
        "cached_funding_index": trimmed(p.funding_index),
        "liquidation_price": p.liquidation_price.map(trimmed).unwrap_or_default(),
        "leverage": trimmed(p.leverage),
        "last_fill_id": p.last_fill_id,
        "seq_no": p.seq_no,
        "created_at": millis(p.created_at_us),
        "last_updated_at": millis(p.updated_at_us),
        "closed_at": if p.is_open() { 0 } else { millis(p.updated_at_us) },
    })
}

/// `AccountSummary`.
pub fn account(a: &Account) -> Value {
    json!({
        "account": felt::to_hex(&a.account),
        "account_value": trimmed(a.value),
        "total_collateral": trimmed(a.total_collateral),
        "free_collateral": trimmed(a.free_collateral),
        "initial_margin_requirement": trimmed(a.initial_margin),
        "maintenance_margin_requirement": trimmed(a.maintenance_margin),
        "margin_cushion": trimmed(a.value.saturating_sub(a.maintenance_margin)),
        "settlement_asset": "USDC",
        "status": "ACTIVE",
        "seq_no": a.seq_no,
        "updated_at": millis(a.updated_at_us),
    })
}

/// Unix microseconds to the milliseconds of the API.
pub fn millis(us: i64) -> i64 {
    us.div_euclid(1_000)
}
