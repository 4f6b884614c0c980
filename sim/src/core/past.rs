//! The state of an account as private reads see it.
//!
//! Made by `Exchange::past` for the wires' queries.

use super::account::{AccountView, PositionView};
use super::exchange::Exchange;
use super::types::*;

/// A look at the exchange.
pub struct Past<'a> {
    exchange: &'a Exchange,
}

impl<'a> Past<'a> {
    pub(super) fn of(exchange: &'a Exchange) -> Self {
        Self { exchange }
    }

    pub fn order(&self, id: &str) -> Option<&'a OrderView> {
        self.exchange.order(id)
    }

    /// Orders of an account, newest first.
    pub fn orders(&self, account: AccountId) -> impl Iterator<Item = &'a OrderView> {
        self.exchange.orders(account).rev()
    }

    /// Orders that are not terminal, newest first.
    pub fn open_orders(&self, account: AccountId) -> impl Iterator<Item = &'a OrderView> {
        self.exchange.open_orders(account).rev()
    }

    /// Fills, newest first.
    pub fn fills(&self, account: AccountId) -> impl Iterator<Item = &'a FillView> {
        self.exchange.fills(account).rev()
    }

    pub fn positions(&self, account: AccountId) -> Vec<PositionView> {
        self.exchange.positions(account)
    }

    pub fn account(&self, account: AccountId, now_us: i64) -> AccountView {
        self.exchange.account(account, now_us)
    }
}
