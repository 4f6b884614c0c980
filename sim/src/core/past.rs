//! What was: the changes of orders and positions of the last minutes, for reads that lag and for going back.
//!
//! `Exchange` notes each change before it makes it, and hands out a [`Past`] to the wires' queries. Bounded.

use std::collections::VecDeque;

use super::account::{Account, AccountView, Position, PositionView};
use super::exchange::Exchange;
use super::types::*;

/// How far back it reaches.
const KEEP_US: i64 = 900_000_000;
const CHANGES_MAX: usize = 4_096;

/// Something as it was before a change.
#[derive(Debug, Clone)]
pub(super) enum Was {
    /// `None` = the order did not exist.
    Order(OrderId, Option<Box<OrderView>>),
    Position(AccountId, usize, Position),
}

/// The changes, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory(VecDeque<(i64, Was)>);

impl Memory {
    pub fn note(&mut self, now_us: i64, was: Was) {
        while self.0.front().is_some_and(|(at_us, _)| *at_us < now_us - KEEP_US)
            || self.0.len() >= CHANGES_MAX
        {
            self.0.pop_front();
        }
        self.0.push_back((now_us, was));
    }

    /// The newest change, when it was made after `since_us`; it is forgotten.
    pub fn pop_after(&mut self, since_us: i64) -> Option<Was> {
        self.0.back().filter(|(at_us, _)| *at_us > since_us)?;
        self.0.pop_back().map(|(_, was)| was)
    }

    fn after(&self, since_us: i64) -> impl Iterator<Item = &Was> {
        self.0.iter().filter(move |(at_us, _)| *at_us > since_us).map(|(_, was)| was)
    }
}

/// A look at the exchange, as it is or as it was.
#[derive(Clone, Copy)]
pub struct Past<'a> {
    exchange: &'a Exchange,
    /// `i64::MAX` = now.
    as_of_us: i64,
    /// What has filled since is in no list yet; `i64::MAX` = all is.
    listed_until_us: i64,
}

impl<'a> Past<'a> {
    pub(super) fn of(exchange: &'a Exchange, as_of_us: i64, listed_until_us: i64) -> Self {
        Self { exchange, as_of_us, listed_until_us }
    }

    pub fn order(&self, id: &str) -> Option<&'a OrderView> {
        self.exchange.order(id).and_then(|order| self.then(order))
    }

    /// Orders of an account, newest first.
    pub fn orders(self, account: AccountId) -> impl Iterator<Item = &'a OrderView> {
        self.exchange.orders(account).rev().filter_map(move |order| self.then(order))
    }

    /// Orders that are not terminal, newest first.
    pub fn open_orders(self, account: AccountId) -> Box<dyn Iterator<Item = &'a OrderView> + 'a> {
        match self.is_now() {
            true => Box::new(self.exchange.open_orders(account).rev()),
            false => Box::new(self.orders(account).filter(|order| order.state.is_live())),
        }
    }

    /// Fills, newest first.
    pub fn fills(self, account: AccountId) -> impl Iterator<Item = &'a FillView> {
        self.exchange
            .fills(account)
            .rev()
            .filter(move |fill| fill.at_us <= self.as_of_us.min(self.listed_until_us))
    }

    pub fn positions(&self, account: AccountId) -> Vec<PositionView> {
        self.exchange.positions_of(account, &self.account_then(account))
    }

    pub fn account(&self, account: AccountId, now_us: i64) -> AccountView {
        self.exchange.account_of(account, &self.account_then(account), now_us)
    }

    fn is_now(&self) -> bool {
        self.as_of_us == i64::MAX
    }

    /// The order as it was; `None` = it did not exist, or was in no list.
    fn then(&self, order: &'a OrderView) -> Option<&'a OrderView> {
        let ended = |at_us: i64| self.as_of(order, at_us).is_some_and(|order| !order.state.is_live());
        let open = |order: &OrderView| order.state.is_live() || order.filled == 0;
        self.as_of(order, self.as_of_us).filter(|order| open(order) || ended(self.listed_until_us))
    }

    fn as_of(&self, order: &'a OrderView, at_us: i64) -> Option<&'a OrderView> {
        if at_us == i64::MAX {
            return Some(order);
        }
        let changed = self.exchange.memory.after(at_us).find_map(|was| match was {
            Was::Order(id, view) if *id == order.id => Some(view),
            _ => None,
        });
        changed.map_or(Some(order), |was| was.as_deref())
    }

    fn account_then(&self, id: AccountId) -> Account {
        let account = &self.exchange.accounts()[id];
        let mut then = account.without_ledger();
        if self.is_now() {
            return then;
        }
        let later = account.ledger.iter().rev().take_while(|line| line.at_us > self.as_of_us);
        then.balance -= later.map(|line| line.amount).sum::<i64>();
        let changes: Vec<&Was> = self.exchange.memory.after(self.as_of_us).collect();
        for was in changes.into_iter().rev() {
            if let Was::Position(owner, market, position) = was
                && *owner == id
            {
                then.positions[*market] = position.clone();
            }
        }
        then
    }
}
