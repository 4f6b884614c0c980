//! Journal entries as changes to the tables. Pure and deterministic: the same journal gives the same rows,
//! however often and in however many pieces it is projected.

use super::follow::{Follow, Order, Touched};
use super::lines::{order_state, purpose, side, stop_reason};
use super::names::Names;
use super::sql::{Statement, Value};
use crate::journal::entry::Entry;
use crate::position::{Ledger, LegBook};
use crate::types::message::StopReason;
use crate::types::{ClientId, Direction, Fill, Nanos, PairId, Price, Rate};

/// Turns entries into statements; holds what the entries so far add up to.
pub struct Projector {
    pub follow: Follow,
    pub names: Names,
    journal: i64,
}

impl Projector {
    /// For one journal, known by its birth.
    pub fn new(names: Names, journal: i64) -> Self {
        Self { follow: Follow::default(), names, journal }
    }

    /// Takes an entry; returns what changes in the tables.
    pub fn project(&mut self, seq: u64, entry: &Entry) -> Vec<Statement> {
        let touched = self.follow.apply(entry);
        let mut changes: Vec<Statement> = self.orders(&touched).collect();
        let key = [Value::Int(self.journal), Value::Int(seq as i64)];
        match *entry {
            Entry::Filled { id, fill, at } => changes.push(insert_fill(key, id, &fill, at)),
            Entry::Busted { id, fill, .. } => changes.push(self.bust(id, &fill)),
            Entry::PairOpened { pair, direction, spread, at, .. } => {
                changes.push(self.open(key, pair, direction, spread, at));
            }
            Entry::Named { pair, ref markets } => self.names.rename(pair, markets),
            Entry::PairHeld { pair, spread } => changes.extend(self.hold(key, pair, spread)),
            Entry::PairClosed { pair, reason, spread, ledger, at } => {
                changes.push(self.close(pair, reason, spread, &ledger, at));
                changes.push(self.ledger(key, pair, reason, &ledger, at));
            }
            _ => {}
        }
        changes.extend(touched.held.and_then(|pair| self.resize(pair)));
        changes
    }

    fn orders<'a>(&'a self, touched: &'a Touched) -> impl Iterator<Item = Statement> + 'a {
        let known = touched.orders.iter().flatten().filter_map(|id| self.follow.order(*id));
        known.map(|order| self.upsert_order(order))
    }

    fn upsert_order(&self, order: &Order) -> Statement {
        let spec = &order.order.spec;
        Statement {
            sql: "INSERT INTO orders (journal, client_id, pair, exchange, exchange_id, side, purpose, qty_e8,
                  limit_e8, expected_e8, state, filled_e8, reason, decided_ns, changed_ns)
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
                  ON CONFLICT (journal, client_id) DO UPDATE SET exchange_id = excluded.exchange_id,
                  state = excluded.state, filled_e8 = excluded.filled_e8, reason = excluded.reason,
                  changed_ns = excluded.changed_ns",
            params: vec![
                Value::Int(self.journal),
                text(spec.id),
                text(self.names.pair(spec.pair)),
                text(self.names.venue(spec.venue)),
                text(order.venue_id),
                text(side(spec.side)),
                text(purpose(spec.purpose)),
                Value::Int(spec.qty.raw()),
                Value::Int(spec.limit.raw()),
                Value::Int(order.order.expected.raw()),
                text(order_state(order.state)),
                Value::Int(order.filled.raw()),
                text(order.reason),
                time(order.decided),
                time(order.changed),
            ],
        }
    }

    fn bust(&self, id: ClientId, fill: &Fill) -> Statement {
        Statement {
            sql: "UPDATE fills SET busted = 1 WHERE journal = $1 AND client_id = $2 AND fill_id = $3",
            params: vec![Value::Int(self.journal), text(id), text(fill.id)],
        }
    }

    fn open(
        &self,
        key: [Value; 2],
        pair: PairId,
        direction: Direction,
        spread: Rate,
        at: Nanos,
    ) -> Statement {
        let (long, short) = long_short(direction);
        let exchange = |leg| self.names.leg(pair, leg).map_or("unknown", |venue| self.names.venue(venue));
        let book = self.follow.book(pair);
        let mut params = Vec::from(key);
        params.extend([
            text(self.names.pair(pair)),
            text(if direction == Direction::A { "A" } else { "B" }),
            text(exchange(long)),
            text(exchange(short)),
            Value::Int(book.legs[long].qty.abs().raw()),
            Value::Int(book.legs[short].qty.abs().raw()),
            Value::Int(average(&book.legs[long]).raw()),
            Value::Int(average(&book.legs[short]).raw()),
            Value::Int(spread.raw()),
            Value::Int(book.basis.raw()),
            time(at),
        ]);
        Statement {
            sql: "INSERT INTO positions (journal, seq, pair, direction, long_exchange, short_exchange,
                  long_qty_e8, short_qty_e8, long_price_e8, short_price_e8, entry_spread_e12, basis_e12,
                  opened_ns, status, close_reason, exit_spread_e12, pnl_usd_e8, closed_ns)
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 'open', '', 0, 0, 0)
                  ON CONFLICT (journal, seq) DO NOTHING",
            params,
        }
    }

    /// A pair that stood before this segment has its row, unless the database is younger than the pair.
    fn hold(&self, key: [Value; 2], pair: PairId, spread: Rate) -> Option<Statement> {
        let book = self.follow.book(pair);
        let opened = self.open(key, pair, book.direction?, spread, book.opened_at);
        Some(Statement {
            sql: "INSERT INTO positions (journal, seq, pair, direction, long_exchange, short_exchange,
                  long_qty_e8, short_qty_e8, long_price_e8, short_price_e8, entry_spread_e12, basis_e12,
                  opened_ns, status, close_reason, exit_spread_e12, pnl_usd_e8, closed_ns)
                  SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT), CAST($3 AS TEXT), CAST($4 AS TEXT),
                  CAST($5 AS TEXT), CAST($6 AS TEXT), CAST($7 AS BIGINT), CAST($8 AS BIGINT),
                  CAST($9 AS BIGINT), CAST($10 AS BIGINT), CAST($11 AS BIGINT), CAST($12 AS BIGINT),
                  CAST($13 AS BIGINT), 'open', '', 0, 0, 0
                  WHERE NOT EXISTS (SELECT 1 FROM positions WHERE pair = $3 AND status = 'open')
                  ON CONFLICT (journal, seq) DO NOTHING",
            params: opened.params,
        })
    }

    /// Keeps the held quantities of an open row in step with the fills, also one of an earlier, lost journal.
    fn resize(&self, pair: PairId) -> Option<Statement> {
        let book = self.follow.book(pair);
        let (long, short) = long_short(book.direction?);
        Some(Statement {
            sql: "UPDATE positions SET long_qty_e8 = $2, short_qty_e8 = $3
                  WHERE pair = $1 AND status = 'open'",
            params: vec![
                text(self.names.pair(pair)),
                Value::Int(book.legs[long].qty.abs().raw()),
                Value::Int(book.legs[short].qty.abs().raw()),
            ],
        })
    }

    /// Closes the open row of a pair, also one that an earlier, lost journal opened.
    fn close(&self, pair: PairId, reason: StopReason, spread: Rate, ledger: &Ledger, at: Nanos) -> Statement {
        Statement {
            sql:
                "UPDATE positions SET status = 'closed', long_qty_e8 = 0, short_qty_e8 = 0, close_reason = $2,
                  exit_spread_e12 = $3, pnl_usd_e8 = $4, closed_ns = $5 WHERE pair = $1 AND status = 'open'",
            params: vec![
                text(self.names.pair(pair)),
                text(stop_reason(reason)),
                Value::Int(spread.raw()),
                Value::Int(ledger.total().raw()),
                time(at),
            ],
        }
    }

    fn ledger(
        &self,
        key: [Value; 2],
        pair: PairId,
        reason: StopReason,
        ledger: &Ledger,
        at: Nanos,
    ) -> Statement {
        let lines = [
            ledger.entry_edge,
            ledger.exit_cost,
            ledger.slippage,
            ledger.fees,
            ledger.funding,
            ledger.unwinds,
        ];
        let mut params = Vec::from(key);
        params.extend([text(self.names.pair(pair)), text(stop_reason(reason))]);
        params.extend(lines.iter().chain([&ledger.total()]).map(|line| Value::Int(line.raw())));
        params.push(time(at));
        Statement {
            sql: "INSERT INTO ledger (journal, seq, pair, reason, entry_edge_e8, exit_cost_e8, slippage_e8,
                  fees_e8, funding_e8, unwinds_e8, total_e8, booked_ns)
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
                  ON CONFLICT (journal, seq) DO NOTHING",
            params,
        }
    }
}

fn insert_fill(key: [Value; 2], id: ClientId, fill: &Fill, at: Nanos) -> Statement {
    let mut params = Vec::from(key);
    params.extend([
        text(id),
        text(fill.id),
        Value::Int(fill.qty.raw()),
        Value::Int(fill.price.raw()),
        Value::Int(fill.fee.raw()),
        Value::Int(fill.funding.raw()),
        time(at),
    ]);
    Statement {
        sql: "INSERT INTO fills (journal, seq, client_id, fill_id, qty_e8, price_e8, fee_usd_e8,
              funding_usd_e8, filled_ns, busted) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)
              ON CONFLICT (journal, seq) DO NOTHING",
        params,
    }
}

/// Legs that are long and short.
const fn long_short(direction: Direction) -> (usize, usize) {
    match direction {
        Direction::A => (0, 1),
        Direction::B => (1, 0),
    }
}

/// Average price of what a leg holds, from the money that its fills moved; zero for an empty leg.
fn average(leg: &LegBook) -> Price {
    let units = i128::from(leg.cash.raw()) * i128::from(crate::types::money::SCALE);
    let price = units.checked_div(i128::from(leg.qty.raw())).unwrap_or_default().abs();
    Price::from_raw(i64::try_from(price).unwrap_or(i64::MAX))
}

fn text(value: impl std::fmt::Display) -> Value {
    // Postgres refuses zero bytes in texts, and venue texts may hold anything.
    Value::Text(value.to_string().replace('\0', ""))
}

fn time(at: Nanos) -> Value {
    Value::Int(i64::try_from(at.0).unwrap_or(i64::MAX))
}
