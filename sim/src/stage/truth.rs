//! A venue's private truth: what is really held, owed and on the books. For a checker, never for a client.

use serde::Serialize;

use super::Stage;
use super::control::TRADER;
use crate::core::account::{AccountView, LedgerEntry, LedgerKind, PositionView};
use crate::core::{Arrival, Exchange, FillView, Mode, OrderView};

/// A look that costs nothing; amounts are at 1e-8, times the venue's own microseconds.
#[derive(Clone, Copy)]
pub struct Truth<'a> {
    exchange: &'a Exchange,
}

impl<'a> Truth<'a> {
    /// Rises with every arrival, change of an order, fill, bust, transfer, mode or rule; prices alone do not move it.
    /// While it stands still there is nothing new to read.
    pub fn version(&self) -> u64 {
        self.exchange.version()
    }

    /// Signed position in a market, by its index.
    pub fn position(&self, market: usize) -> i64 {
        self.exchange.held(TRADER, market)
    }

    /// Cash: deposits + realised results + funding - fees.
    pub fn balance(&self) -> i64 {
        self.exchange.accounts()[TRADER].balance
    }

    pub fn mode(&self) -> Mode {
        self.exchange.mode()
    }

    /// Every order that reached the venue, refused ones and repeats included, oldest first. It only grows.
    pub fn arrivals(&self) -> &'a [Arrival] {
        self.exchange.arrivals()
    }

    /// Every order taken, forced ones included, oldest first.
    pub fn orders(&self) -> impl DoubleEndedIterator<Item = &'a OrderView> {
        self.exchange.orders(TRADER)
    }

    pub fn open_orders(&self) -> impl DoubleEndedIterator<Item = &'a OrderView> {
        self.exchange.open_orders(TRADER)
    }

    /// Every fill that stands or was busted, oldest first. It grows, but for a rollback.
    pub fn fills(&self) -> &'a [FillView] {
        self.exchange.all_fills()
    }

    /// Ids of the fills taken back, in the order in which that happened.
    pub fn busted(&self) -> &'a [String] {
        self.exchange.busted()
    }

    /// Fills that a rollback undid. It only grows.
    pub fn vanished(&self) -> &'a [FillView] {
        self.exchange.vanished()
    }

    pub fn exchange(&self) -> &'a Exchange {
        self.exchange
    }
}

/// The whole truth as one value. Amounts are integers at 1e-8, times microseconds, funding indices at 1e-12.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VenueTruth {
    pub mode: Mode,
    pub account: AccountView,
    /// All markets, flat ones included, in the order of `markets`.
    pub positions: Vec<PositionView>,
    pub markets: Vec<String>,
    pub open_orders: Vec<OrderView>,
    /// Every order ever taken, oldest first.
    pub orders: Vec<OrderView>,
    pub fills: Vec<FillView>,
    /// Fills that a rollback undid.
    pub vanished: Vec<FillView>,
    pub ledger: Vec<LedgerEntry>,
    /// Sum of the ledger: equal to `account.balance`.
    pub ledger_total: i64,
    /// Sum of the ledger without deposits: what trading has changed.
    pub ledger_change: i64,
    pub faults_fired: u64,
}

impl VenueTruth {
    /// Signed position in a market, 0 when it does not exist.
    pub fn position(&self, symbol: &str) -> i64 {
        let at = self.markets.iter().position(|m| m == symbol);
        at.and_then(|index| self.positions.get(index)).map_or(0, |p| p.size)
    }

    pub fn is_flat(&self) -> bool {
        self.positions.iter().all(|p| p.size == 0)
    }
}

impl Stage {
    /// The truth, to be read after every event.
    pub fn truth(&self) -> Truth<'_> {
        Truth { exchange: &self.exchange }
    }

    /// The whole truth, copied.
    pub fn report(&self, now_us: i64) -> VenueTruth {
        let core = &self.exchange;
        let account = &core.accounts()[TRADER];
        let sum = |entries: &mut dyn Iterator<Item = &LedgerEntry>| entries.map(|entry| entry.amount).sum();
        let is_trade = |entry: &&LedgerEntry| entry.kind != LedgerKind::Deposit;
        VenueTruth {
            mode: core.mode(),
            account: core.account(TRADER, self.shown(now_us)),
            positions: core.positions(TRADER),
            markets: core.spec().markets.iter().map(|m| m.symbol.clone()).collect(),
            open_orders: core.open_orders(TRADER).cloned().collect(),
            orders: core.orders(TRADER).cloned().collect(),
            fills: core.fills(TRADER).cloned().collect(),
            vanished: core.vanished().to_vec(),
            ledger: account.ledger.clone(),
            ledger_total: sum(&mut account.ledger.iter()),
            ledger_change: sum(&mut account.ledger.iter().filter(is_trade)),
            faults_fired: core.fired(),
        }
    }
}
