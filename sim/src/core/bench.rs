//! A venue on a test bench: BTC held still, its clock in the test's hand. Only for this crate's tests.

use super::exchange::Exchange;
use super::model::Script;
use super::money::ONE;
use super::types::*;
use crate::options::Options;

pub const SECOND: i64 = 1_000_000;

/// A venue whose BTC mid stands still at 72,000, and its clock.
pub struct Bench {
    pub exchange: Exchange,
    pub now_us: i64,
    pub events: Vec<Event>,
}

impl Bench {
    pub fn new(style: Style) -> Self {
        let options = Options { vest_premium_cbps: 50, ..Options::default() };
        let spec = if style == Style::House { options.vest_spec(0) } else { options.paradex_spec(0) };
        let mut bench = Self { exchange: Exchange::new(spec), now_us: 0, events: Vec::new() };
        let still = Script { mid: Some(72_000 * ONE), basis_bps: Some(0), ..Script::default() };
        bench.exchange.set_script(0, 0, still);
        bench.pass(SECOND);
        bench
    }

    pub fn pass(&mut self, us: i64) {
        self.now_us += us;
        self.exchange.advance(self.now_us, &mut self.events);
    }

    pub fn order(&self, side: Side, size: i64, limit: i64) -> NewOrder {
        NewOrder {
            account: 0,
            market: 0,
            side,
            kind: Kind::Limit,
            tif: Tif::Ioc,
            size,
            limit: limit * ONE,
            reduce_only: false,
            client_ref: String::new(),
            signed_at_ms: self.now_us / 1_000,
            window_ms: 1_000,
            id: None,
            bump_us: 0,
            taker_fee: None,
            note: String::new(),
            held: false,
        }
    }

    pub fn submit(&mut self, order: NewOrder) -> Reply<OrderId> {
        self.exchange.submit(self.now_us, order)
    }

    /// Submits, lets a second pass and returns the order.
    pub fn trade(&mut self, order: NewOrder) -> OrderView {
        let Reply::At { result: Ok(id), .. } = self.submit(order) else { panic!("not accepted") };
        self.pass(SECOND);
        self.exchange.order(&id).unwrap().clone()
    }

    pub fn refusal(&mut self, order: NewOrder) -> Reject {
        match self.submit(order) {
            Reply::At { result: Err(reject), .. } => reject,
            other => panic!("{other:?}"),
        }
    }
}
