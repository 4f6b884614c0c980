//! Accounts: balance, positions, margin, fees, funding, and the ledger from which the balance follows.
//!
//! Owned by `core::exchange`. This is the venue's private truth, in the venue's own rounding: whoever
//! adds up a ledger gets the balance, to the last unit.

use serde::Serialize;

use super::money::{self, ONE, Round};
use super::types::{AccountId, MarketSpec, Side, Style};

/// 1e-20: what size (1e-8) times funding index (1e-12) is counted in.
const E20_PER_UNIT: i128 = 1_000_000_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerKind {
    Deposit,
    RealizedPnl,
    Fee,
    Funding,
    Bust,
}

/// One change of a balance; positive = credited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LedgerEntry {
    pub at_us: i64,
    pub kind: LedgerKind,
    pub market: Option<usize>,
    pub amount: i64,
    pub reference: String,
}

/// A position; size is signed (long positive).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position {
    pub size: i64,
    /// Signed entry notional: size x average entry price, exactly.
    pub cost: i64,
    /// Sum of size x funding index at entry, at 1e-20.
    funding_basis: i128,
    pub settled_funding: i64,
    pub realized_pnl: i64,
    pub last_fill: String,
    pub updated_us: i64,
}

/// What a fill does besides changing the size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effect {
    pub realized_pnl: i64,
    pub funding: i64,
}

/// One trade as the account needs to know it.
#[derive(Debug, Clone, Copy)]
pub struct Trade<'a> {
    pub market: usize,
    pub side: Side,
    pub price: i64,
    pub size: i64,
    pub fee: i64,
    pub funding_index_e12: i128,
    pub at_us: i64,
    pub fill_id: &'a str,
}

/// Prices that a position is valued with.
#[derive(Debug, Clone, Copy)]
pub struct Marks {
    pub mark: i64,
    pub index: i64,
    pub funding_index_e12: i128,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PositionView {
    pub account: AccountId,
    pub market: usize,
    /// Signed.
    pub size: i64,
    pub entry_price: i64,
    /// Funding index at entry (size-weighted), at 1e-12.
    pub entry_funding_e12: i128,
    pub cost: i64,
    /// At the mark, without funding.
    pub unrealized_pnl: i64,
    /// Accrued and not settled; positive = to be received.
    pub unrealized_funding: i64,
    pub settled_funding: i64,
    pub realized_pnl: i64,
    pub mark: i64,
    pub index: i64,
    pub initial_margin: i64,
    pub maintenance_margin: i64,
    /// 0 = none.
    pub liquidation_price: i64,
    pub last_fill: String,
    pub updated_us: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountView {
    pub account: AccountId,
    pub name: String,
    /// Cash: deposits + realised results + funding - fees.
    pub balance: i64,
    /// Balance + unrealised results.
    pub value: i64,
    pub initial_margin: i64,
    pub maintenance_margin: i64,
    /// Value above the initial margin, at least 0.
    pub free: i64,
    pub at_us: i64,
}

#[derive(Debug, Clone)]
pub struct Account {
    pub name: String,
    pub balance: i64,
    pub positions: Vec<Position>,
    pub ledger: Vec<LedgerEntry>,
    style: Style,
}

impl Account {
    pub fn new(name: &str, style: Style, markets: usize, deposit: i64, at_us: i64) -> Self {
        let mut account = Self {
            name: name.to_owned(),
            balance: 0,
            positions: vec![Position::default(); markets],
            ledger: Vec::new(),
            style,
        };
        account.book(at_us, LedgerKind::Deposit, None, deposit, "start");
        account
    }

    /// Balance and positions alone.
    pub fn without_ledger(&self) -> Self {
        let (name, positions) = (self.name.clone(), self.positions.clone());
        Self { name, balance: self.balance, positions, ledger: Vec::new(), style: self.style }
    }

    /// Takes back what was booked after `since_us`, deposits excepted.
    pub fn unbook(&mut self, since_us: i64) {
        let is_gone = |entry: &LedgerEntry| entry.at_us > since_us && entry.kind != LedgerKind::Deposit;
        let gone: i64 = self.ledger.iter().filter(|entry| is_gone(entry)).map(|entry| entry.amount).sum();
        self.ledger.retain(|entry| !is_gone(entry));
        self.balance -= gone;
    }

    /// Books a trade: position, realised result, funding, fee.
    pub fn trade(&mut self, trade: Trade) -> Effect {
        let index = self.index_quantum(trade.funding_index_e12);
        let style = self.style;
        let position = &mut self.positions[trade.market];
        let effect = position.apply(style, trade.side, trade.price, trade.size, index);
        position.settled_funding += effect.funding;
        position.realized_pnl += effect.realized_pnl;
        position.last_fill = trade.fill_id.to_owned();
        position.updated_us = trade.at_us;
        let market = Some(trade.market);
        self.book(trade.at_us, LedgerKind::RealizedPnl, market, effect.realized_pnl, trade.fill_id);
        self.book(trade.at_us, LedgerKind::Funding, market, effect.funding, trade.fill_id);
        self.book(trade.at_us, LedgerKind::Fee, market, -trade.fee, trade.fill_id);
        effect
    }

    /// Takes a trade back: the opposite trade at the same price, the fee returned. Funding up to now stays funding.
    pub fn bust(&mut self, trade: Trade) {
        let index = self.index_quantum(trade.funding_index_e12);
        let style = self.style;
        let side = trade.side.opposite();
        let effect = self.positions[trade.market].apply(style, side, trade.price, trade.size, index);
        let (market, amount) = (Some(trade.market), effect.realized_pnl + trade.fee);
        self.positions[trade.market].updated_us = trade.at_us;
        self.book(trade.at_us, LedgerKind::Bust, market, amount, trade.fill_id);
        self.book(trade.at_us, LedgerKind::Funding, market, effect.funding, trade.fill_id);
    }

    pub fn book(
        &mut self,
        at_us: i64,
        kind: LedgerKind,
        market: Option<usize>,
        amount: i64,
        reference: &str,
    ) {
        if amount == 0 {
            return;
        }
        self.balance += amount;
        self.ledger.push(LedgerEntry { at_us, kind, market, amount, reference: reference.to_owned() });
    }

    /// The dollar rounding of this venue: 6 places for a house, 8 for an order book.
    pub fn dollar_quantum(style: Style) -> i64 {
        match style {
            Style::House => 100,
            Style::OrderBook => 1,
        }
    }

    /// An order book publishes its funding index at 1e-8, and settles on what it publishes.
    fn index_quantum(&self, index_e12: i128) -> i128 {
        match self.style {
            Style::House => index_e12,
            Style::OrderBook => index_e12.div_euclid(10_000) * 10_000,
        }
    }

    pub fn position_view(
        &self,
        id: AccountId,
        market: usize,
        spec: &MarketSpec,
        marks: Marks,
    ) -> PositionView {
        let position = &self.positions[market];
        let size = i128::from(position.size);
        let index = self.index_quantum(marks.funding_index_e12);
        let per_unit = |total: i128| if size == 0 { 0 } else { total / size };
        let notional = money::mul(position.size.abs(), marks.index, Round::Nearest);
        PositionView {
            account: id,
            market,
            size: position.size,
            entry_price: money::clamp(per_unit(i128::from(position.cost) * i128::from(ONE))),
            entry_funding_e12: per_unit(position.funding_basis),
            cost: position.cost,
            unrealized_pnl: money::mul(position.size, marks.mark, Round::Nearest) - position.cost,
            unrealized_funding: position.accrued(self.style, index),
            settled_funding: position.settled_funding,
            realized_pnl: position.realized_pnl,
            mark: marks.mark,
            index: marks.index,
            initial_margin: money::mul(notional, spec.imf, Round::Up),
            maintenance_margin: money::mul(notional, spec.mmf, Round::Up),
            liquidation_price: 0,
            last_fill: position.last_fill.clone(),
            updated_us: position.updated_us,
        }
    }
}

impl Position {
    /// Funding accrued since entry or the last settlement; positive = to be received.
    fn accrued(&self, style: Style, index_e12: i128) -> i64 {
        let owed_e20 = i128::from(self.size) * index_e12 - self.funding_basis;
        dollars(-owed_e20, style)
    }

    fn apply(&mut self, style: Style, side: Side, price: i64, size: i64, index_e12: i128) -> Effect {
        let closing = if self.size.signum() == -side.sign() { size.min(self.size.abs()) } else { 0 };
        let mut effect = Effect::default();
        if style == Style::OrderBook {
            effect.funding = self.accrued(style, index_e12);
            self.funding_basis = i128::from(self.size) * index_e12;
        }
        if closing > 0 {
            let part = self.reduce(style, price, closing, index_e12);
            effect.realized_pnl = part.realized_pnl;
            effect.funding += part.funding;
        }
        let opened = side.sign() * (size - closing);
        self.size += opened;
        self.cost += money::mul(opened, price, Round::Nearest);
        self.funding_basis += i128::from(opened) * index_e12;
        effect
    }

    /// Closes `size` of the position at `price`; the last part takes all that is left of cost and basis.
    fn reduce(&mut self, style: Style, price: i64, size: i64, index_e12: i128) -> Effect {
        let held = i128::from(self.size.abs());
        let closed = self.size.signum() * size;
        let share = |total: i128| money::divide(total * i128::from(size), held, Round::Nearest);
        let quantum = Account::dollar_quantum(style);
        let cost = match i128::from(size) == held {
            true => self.cost,
            false => money::to_multiple(money::clamp(share(i128::from(self.cost))), quantum, Round::Nearest),
        };
        let basis = share(self.funding_basis);
        self.size -= closed;
        self.cost -= cost;
        self.funding_basis -= basis;
        Effect {
            realized_pnl: money::mul(closed, price, Round::Nearest) - cost,
            funding: dollars(basis - i128::from(closed) * index_e12, style),
        }
    }
}

/// The mark at which each position alone would bring the account's value down to its maintenance margin.
pub fn set_liquidation_prices(balance: i64, positions: &mut [PositionView]) {
    let open: i64 = positions.iter().map(|p| p.unrealized_pnl + p.unrealized_funding).sum();
    let margin: i64 = positions.iter().map(|p| p.maintenance_margin).sum();
    let cushion = i128::from(balance + open - margin) * i128::from(ONE);
    for position in positions.iter_mut().filter(|p| p.size != 0) {
        let distance = cushion / i128::from(position.size);
        position.liquidation_price = money::clamp(i128::from(position.mark) - distance).max(0);
    }
}

/// An amount at 1e-20 in the venue's dollars.
fn dollars(e20: i128, style: Style) -> i64 {
    let quantum = Account::dollar_quantum(style);
    let units = money::divide(e20, E20_PER_UNIT * i128::from(quantum), Round::Nearest);
    money::clamp(units * i128::from(quantum))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trade(side: Side, price: &str, size: &str, fee: &str, index_e12: i128) -> Trade<'static> {
        let amount = |text| money::parse(text).unwrap();
        Trade {
            market: 0,
            side,
            price: amount(price),
            size: amount(size),
            fee: amount(fee),
            funding_index_e12: index_e12,
            at_us: 1,
            fill_id: "f",
        }
    }

    fn total(account: &Account) -> i64 {
        account.ledger.iter().map(|entry| entry.amount).sum()
    }

    #[test]
    fn a_round_trip_with_funding_closes_to_the_last_unit() {
        let mut account = Account::new("a", Style::House, 1, 1_000 * ONE, 0);
        account.trade(trade(Side::Buy, "80000.01", "0.0100", "0.080000", 0));
        // The index rises by 2.5 USD for one unit: the long pays 0.025.
        let effect = account.trade(trade(Side::Sell, "80100.01", "0.0100", "0.080100", 2_500_000_000_000));
        assert_eq!(effect, Effect { realized_pnl: ONE, funding: -2_500_000 });
        assert_eq!(account.balance, money::parse("1000.814900").unwrap());
        assert_eq!(account.balance, total(&account));
        assert_eq!(account.positions[0].size, 0);
        assert_eq!(account.positions[0].cost, 0);
    }

    #[test]
    fn thirds_lose_nothing() {
        let mut account = Account::new("a", Style::House, 1, 0, 0);
        account.trade(trade(Side::Sell, "100.01", "0.01", "0", 0));
        account.trade(trade(Side::Sell, "100.02", "0.02", "0", 0));
        for _ in 0..3 {
            account.trade(trade(Side::Buy, "90", "0.01", "0", 0));
        }
        // Received 1.0001 + 2.0004, paid 2.7.
        assert_eq!(account.balance, money::parse("0.3005").unwrap());
        assert_eq!(account.positions[0].cost, 0);
    }

    #[test]
    fn a_flip_closes_and_reopens() {
        let mut account = Account::new("a", Style::OrderBook, 1, 0, 0);
        account.trade(trade(Side::Buy, "100", "1", "0", 0));
        let effect = account.trade(trade(Side::Sell, "110", "3", "0", 1_000_000_000_000));
        assert_eq!(effect, Effect { realized_pnl: 10 * ONE, funding: -ONE });
        assert_eq!((account.positions[0].size, account.positions[0].cost), (-2 * ONE, -220 * ONE));
        let effect = account.trade(trade(Side::Sell, "110", "1", "0", 2_000_000_000_000));
        assert_eq!(effect.funding, 2 * ONE, "an order book realises funding at every change");
    }

    #[test]
    fn the_liquidation_price_lies_where_the_cushion_ends() {
        let mut account = Account::new("a", Style::House, 1, 10 * ONE, 0);
        account.trade(trade(Side::Buy, "100", "1", "0", 0));
        let marks = Marks { mark: 100 * ONE, index: 100 * ONE, funding_index_e12: 0 };
        let spec = &crate::options::Options::default().vest_spec(0).markets[0];
        let mut views = [account.position_view(0, 0, spec, marks)];
        set_liquidation_prices(account.balance, &mut views);
        // 10 of equity, 2.50 of maintenance margin: 7.50 below the mark.
        assert_eq!(views[0].liquidation_price, money::parse("92.5").unwrap());
    }

    #[test]
    fn a_bust_gives_the_fee_back() {
        let mut account = Account::new("a", Style::OrderBook, 1, ONE, 0);
        account.trade(trade(Side::Buy, "100", "1", "0.5", 0));
        account.bust(trade(Side::Buy, "100", "1", "0.5", 0));
        assert_eq!((account.balance, account.positions[0].size), (ONE, 0));
        assert_eq!(account.balance, total(&account));
    }

    #[test]
    fn funding_up_to_a_bust_stays_funding() {
        let mut account = Account::new("a", Style::OrderBook, 1, ONE, 0);
        account.trade(trade(Side::Buy, "100", "1", "0.5", 0));
        account.bust(trade(Side::Buy, "100", "1", "0.5", 1_000_000_000_000));
        let funding = account.ledger.iter().filter(|entry| entry.kind == LedgerKind::Funding);
        let paid: i64 = funding.map(|entry| entry.amount).sum();
        assert!(paid < 0, "{:?}", account.ledger);
        assert_eq!(account.balance, ONE + paid);
    }
}
