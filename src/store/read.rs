//! What the verbs and the start read back: schema, open pairs, profit.

use serde::Serialize;

use super::number;
use super::profit::Pnl;
use super::schema;
use super::sql::{Database, DbError, Row, Statement, Target, Value};
use crate::types::{Nanos, Price, Qty, Rate, Usd};

/// A pair that is or was held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PositionRow {
    pub pair: String,
    /// `A` = long the pair's first venue, `B` = long its second.
    pub direction: String,
    pub long_exchange: String,
    pub short_exchange: String,
    #[serde(serialize_with = "number::money")]
    pub long_qty: Qty,
    #[serde(serialize_with = "number::money")]
    pub short_qty: Qty,
    #[serde(serialize_with = "number::money")]
    pub long_price: Price,
    #[serde(serialize_with = "number::money")]
    pub short_price: Price,
    #[serde(rename = "entry_spread_percent", serialize_with = "number::percent")]
    pub entry_spread: Rate,
    #[serde(rename = "basis_percent", serialize_with = "number::percent")]
    pub basis: Rate,
    #[serde(rename = "opened_ns", serialize_with = "nanos")]
    pub opened: Nanos,
    /// `open` or `closed`; what follows is empty while it is open.
    pub status: String,
    pub close_reason: String,
    #[serde(rename = "exit_spread_percent", serialize_with = "number::percent")]
    pub exit_spread: Rate,
    #[serde(rename = "pnl_usd", serialize_with = "number::money")]
    pub pnl: Usd,
    #[serde(rename = "closed_ns", serialize_with = "nanos")]
    pub closed: Nanos,
}

/// Profit of one pair over all its closed round trips, line by line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PnlRow {
    pub pair: String,
    pub closed: i64,
    #[serde(flatten)]
    pub pnl: Pnl,
}

/// Creates or completes the schema; on a server this takes an administrator's URL.
pub fn migrate(target: &Target) -> Result<(), DbError> {
    target.open()?.migrate()
}

/// Refuses a schema of another version (SQLite brings its own up to date when opened).
pub fn check_version(target: &Target) -> Result<(), DbError> {
    version_of(target.open()?.as_mut())
}

/// Pairs that the database believes open, for comparison with journal and venues at start.
pub fn restore(target: &Target) -> Result<Vec<PositionRow>, DbError> {
    open_positions(target.open()?.as_mut())
}

/// What a pair has cost on one venue since it was last flat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostRow {
    pub exchange: String,
    /// Paid, positive.
    pub fees: Usd,
    /// Received (+) or paid (-) with the fills.
    pub funding: Usd,
}

/// Costs of a pair's open position by venue, from the fills after its last closed round trip.
pub fn costs(target: &Target, pair: &str) -> Result<Vec<CostRow>, DbError> {
    let sql = "SELECT orders.exchange, CAST(SUM(fee_usd_e8) AS BIGINT), CAST(SUM(funding_usd_e8) AS BIGINT)
               FROM fills JOIN orders ON orders.journal = fills.journal AND orders.client_id = fills.client_id
               WHERE orders.pair = $1 AND busted = 0
               AND filled_ns > (SELECT COALESCE(MAX(booked_ns), 0) FROM ledger WHERE pair = $1)
               GROUP BY orders.exchange ORDER BY orders.exchange";
    let rows = target.open()?.query(&Statement { sql, params: vec![Value::Text(pair.to_owned())] })?;
    let cost = |row: &Row| CostRow {
        exchange: text(row, 0),
        fees: Usd::from_raw(int(row, 1)),
        funding: Usd::from_raw(int(row, 2)),
    };
    Ok(rows.iter().map(cost).collect())
}

/// Ends the open rows of a pair that both venues show flat: it was closed by other hands, and no journal knows how.
pub fn dismiss(target: &Target, pair: &str, now: Nanos) -> Result<(), DbError> {
    target.open()?.transact(&[Statement {
        sql: "UPDATE positions SET status = 'closed', close_reason = 'not_held', closed_ns = $2
              WHERE pair = $1 AND status = 'open'",
        params: vec![Value::Text(pair.to_owned()), Value::Int(now.0.cast_signed())],
    }])
}

/// Every pair held so far, newest first, at most `limit`.
pub fn positions(target: &Target, limit: u32) -> Result<Vec<PositionRow>, DbError> {
    let sql =
        "SELECT pair, direction, long_exchange, short_exchange, long_qty_e8, short_qty_e8, long_price_e8,
               short_price_e8, entry_spread_e12, basis_e12, opened_ns, status, close_reason, exit_spread_e12,
               pnl_usd_e8, closed_ns FROM positions ORDER BY opened_ns DESC, seq DESC LIMIT $1";
    let rows = target.open()?.query(&Statement { sql, params: vec![Value::Int(i64::from(limit))] })?;
    Ok(rows.iter().map(position).collect())
}

/// Profit per pair, by name.
pub fn pnl(target: &Target) -> Result<Vec<PnlRow>, DbError> {
    let sql = "SELECT pair, CAST(COUNT(*) AS BIGINT), CAST(SUM(entry_edge_e8) AS BIGINT),
               CAST(SUM(exit_cost_e8) AS BIGINT), CAST(SUM(slippage_e8) AS BIGINT),
               CAST(SUM(fees_e8) AS BIGINT),
               CAST(SUM(funding_e8) AS BIGINT), CAST(SUM(unwinds_e8) AS BIGINT), CAST(SUM(total_e8) AS BIGINT)
               FROM ledger GROUP BY pair ORDER BY pair";
    let rows = target.open()?.query(&Statement { sql, params: Vec::new() })?;
    Ok(rows.iter().map(profit).collect())
}

/// As [`check_version`], in a session that is open.
pub fn version_of(database: &mut dyn Database) -> Result<(), DbError> {
    let expected = schema::VERSION;
    let rows = database.query(&schema::get_version());
    // A missing table and a table that we may not read both mean: not migrated for us.
    let got = match rows {
        Ok(rows) => rows.first().and_then(|row| row.first()).map_or(0, Value::int),
        Err(DbError::Query(_)) => 0,
        Err(error) => return Err(error),
    };
    if got == expected { Ok(()) } else { Err(DbError::Version { got, expected }) }
}

fn open_positions(database: &mut dyn Database) -> Result<Vec<PositionRow>, DbError> {
    let sql =
        "SELECT pair, direction, long_exchange, short_exchange, long_qty_e8, short_qty_e8, long_price_e8,
               short_price_e8, entry_spread_e12, basis_e12, opened_ns, status, close_reason, exit_spread_e12,
               pnl_usd_e8, closed_ns FROM positions WHERE status = 'open' ORDER BY pair, opened_ns";
    let rows = database.query(&Statement { sql, params: Vec::new() })?;
    Ok(rows.iter().map(position).collect())
}

fn position(row: &Row) -> PositionRow {
    let (int, text) = (|at| int(row, at), |at| text(row, at));
    PositionRow {
        pair: text(0),
        direction: text(1),
        long_exchange: text(2),
        short_exchange: text(3),
        long_qty: Qty::from_raw(int(4)),
        short_qty: Qty::from_raw(int(5)),
        long_price: Price::from_raw(int(6)),
        short_price: Price::from_raw(int(7)),
        entry_spread: Rate::from_raw(int(8)),
        basis: Rate::from_raw(int(9)),
        opened: Nanos(int(10).unsigned_abs()),
        status: text(11),
        close_reason: text(12),
        exit_spread: Rate::from_raw(int(13)),
        pnl: Usd::from_raw(int(14)),
        closed: Nanos(int(15).unsigned_abs()),
    }
}

fn profit(row: &Row) -> PnlRow {
    let usd = |at| Usd::from_raw(int(row, at));
    let pnl = Pnl {
        entry_edge: usd(2),
        exit_cost: usd(3),
        slippage: usd(4),
        fees: usd(5),
        funding: usd(6),
        unwinds: usd(7),
        total: usd(8),
    };
    PnlRow { pair: text(row, 0), closed: int(row, 1), pnl }
}

fn int(row: &Row, at: usize) -> i64 {
    row.get(at).map_or(0, Value::int)
}

fn text(row: &Row, at: usize) -> String {
    row.get(at).map_or("", Value::text).to_owned()
}

fn nanos<S: serde::Serializer>(at: &Nanos, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(at.0)
}
