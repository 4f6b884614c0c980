//! 4 POSITION. The books of one pair: what each leg holds, what it cost, and the profit ledger that must close
//! (MONEY, "the profit ledger must close"). Pure; fed by journal entries only, so that a replay gives the same books.

use crate::types::planted::planted;
use crate::types::{Direction, Nanos, Price, Purpose, Qty, Rate, Side, Usd};

/// What one leg holds and what it has cost since the pair was last flat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LegBook {
    /// Signed position from our own fills.
    pub qty: Qty,
    /// Money in (+) and out (-) at fill prices.
    pub cash: Usd,
    /// Fees paid, positive.
    pub fees: Usd,
    /// Funding received (+) or paid (-).
    pub funding: Usd,
}

/// Profit of a pair, line by line, each signed so that they add up to the total; positive = earned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Edge at the decision to enter.
    pub entry_edge: Usd,
    /// Cost at the decision to exit.
    pub exit_cost: Usd,
    /// Fills against the prices expected at decision.
    pub slippage: Usd,
    pub fees: Usd,
    pub funding: Usd,
    /// Completing and unwinding lone legs.
    pub unwinds: Usd,
}

impl Ledger {
    pub fn total(&self) -> Usd {
        self.entry_edge + self.exit_cost + self.slippage + self.fees + self.funding + self.unwinds
    }

    pub fn add(&mut self, other: &Self) {
        self.entry_edge += other.entry_edge;
        self.exit_cost += other.exit_cost;
        self.slippage += other.slippage;
        self.fees += other.fees;
        self.funding += other.funding;
        self.unwinds += other.unwinds;
    }
}

/// The books of one pair since it was last flat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PairBook {
    pub legs: [LegBook; 2],
    pub direction: Option<Direction>,
    /// Mean mid when the pair was opened: the common reference of every ledger line (zero while flat).
    pub reference: Price,
    /// Basis frozen at entry.
    pub basis: Rate,
    /// Raw edge at the decision to enter.
    pub decided_edge: Rate,
    pub opened_at: Nanos,
    /// Edge, exit and mending lines at their expected prices, before slippage, fees and funding.
    pub entry_edge: Usd,
    pub exit_cost: Usd,
    pub unwinds: Usd,
}

/// One execution as the books see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Execution {
    pub leg: usize,
    pub side: Side,
    pub purpose: Purpose,
    pub qty: Qty,
    pub price: Price,
    /// Price expected at the decision.
    pub expected: Price,
    pub fee: Usd,
    pub funding: Usd,
}

/// What a venue shows of a leg that no order of ours explains: a part that is gone (closed by hand, liquidated), or one
/// that a person had adopted. The money of it is an estimate: the venue knows better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// 0 or 1.
    pub leg: u8,
    /// Side of the trade that would explain it.
    pub side: Side,
    pub qty: Qty,
    pub price: Price,
}

impl PairBook {
    /// Books what the venue shows as if it had been traded, without a fee. A flat pair is opened by it.
    pub fn adjust(&mut self, adjustment: &Adjustment, at: Nanos) {
        let Adjustment { leg, side, qty, price } = *adjustment;
        let leg = usize::from(leg);
        if self.is_flat() && !self.has_traded() {
            let direction = if Direction::A.open_side(leg) == side { Direction::A } else { Direction::B };
            self.open(direction, price, Rate::ZERO, Rate::ZERO, at);
        }
        self.execute(&Execution {
            leg,
            side,
            purpose: Purpose::Unwind,
            qty,
            price,
            expected: price,
            fee: Usd::ZERO,
            funding: Usd::ZERO,
        });
    }

    /// Starts the books of a fresh entry. The pair must be flat.
    pub fn open(&mut self, direction: Direction, reference: Price, basis: Rate, edge: Rate, at: Nanos) {
        assert!(self.is_flat(), "books of an open pair cannot be opened again");
        *self = Self {
            direction: Some(direction),
            reference,
            basis,
            decided_edge: edge,
            opened_at: at,
            ..Self::default()
        };
    }

    /// Books one execution.
    pub fn execute(&mut self, execution: &Execution) {
        let Execution { leg, side, qty, price, expected, .. } = *execution;
        let book = &mut self.legs[leg];
        book.qty += Qty::from_raw(side.sign() * qty.raw());
        book.cash += signed(price.times(qty), side);
        if !planted("fees_forgotten") {
            book.fees += execution.fee;
        }
        book.funding += execution.funding;
        let off = |price: Price| signed((price - self.reference).times(qty), side);
        match execution.purpose {
            Purpose::Enter => self.entry_edge += off(expected),
            Purpose::Exit => self.exit_cost += off(expected),
            Purpose::Complete | Purpose::Unwind => self.unwinds += off(price),
        }
        self.follow_what_is_held();
    }

    /// The direction is that of what is held: of two legs on one side, as a person may have adopted them, either may be
    /// left. While both are there they have none, and the last one stays.
    fn follow_what_is_held(&mut self) {
        let heavy = usize::from(self.legs[1].qty.abs() > self.legs[0].qty.abs());
        let [held, other] = [heavy, 1 - heavy].map(|leg| self.legs[leg].qty.raw().signum());
        if held != 0 && held * other <= 0 && self.direction.is_some() {
            let is_a = Direction::A.open_side(heavy).sign() == held;
            self.direction = Some(if is_a { Direction::A } else { Direction::B });
        }
    }

    /// No leg holds anything.
    pub fn is_flat(&self) -> bool {
        self.legs.iter().all(|leg| leg.qty.is_zero())
    }

    /// Anything was executed since it was last booked.
    pub fn has_traded(&self) -> bool {
        let moved = |leg: &LegBook| leg.cash != -self.reference.times(leg.qty) || !leg.fees.is_zero();
        self.legs.iter().any(moved)
    }

    /// The books once what was traded is booked: empty, or what its venue takes no part of (SAFETY V7), at the
    /// reference price, as the ledger has valued it.
    pub fn rest(&self) -> Self {
        if self.is_flat() {
            return Self::default();
        }
        let left = |leg: LegBook| LegBook {
            qty: leg.qty,
            cash: -self.reference.times(leg.qty),
            ..LegBook::default()
        };
        let (direction, reference, opened_at) = (self.direction, self.reference, self.opened_at);
        Self { legs: self.legs.map(left), direction, reference, opened_at, ..Self::default() }
    }

    /// Net signed quantity over both legs: zero when hedged.
    pub fn net(&self) -> Qty {
        self.legs[0].qty + self.legs[1].qty
    }

    /// Quantity that both legs hold against each other.
    pub fn hedged(&self) -> Qty {
        if self.legs[0].qty.raw().signum() * self.legs[1].qty.raw().signum() >= 0 {
            return Qty::ZERO;
        }
        self.legs[0].qty.abs().min(self.legs[1].qty.abs())
    }

    /// Profit so far, line by line. It closes by construction: slippage is what the other lines leave of the cash.
    /// While legs are open their quantity is valued at the reference price.
    pub fn ledger(&self) -> Ledger {
        let fees = -(self.legs[0].fees + self.legs[1].fees);
        let funding = self.legs[0].funding + self.legs[1].funding;
        let open = self.legs.iter().fold(Usd::ZERO, |sum, leg| sum + self.reference.times(leg.qty));
        let cash = self.legs[0].cash + self.legs[1].cash + open;
        Ledger {
            entry_edge: self.entry_edge,
            exit_cost: self.exit_cost,
            unwinds: self.unwinds,
            slippage: cash - self.entry_edge - self.exit_cost - self.unwinds,
            fees,
            funding,
        }
    }
}

/// Money that a trade on this side moves: out for a buy, in for a sell.
fn signed(value: Usd, side: Side) -> Usd {
    Usd::from_raw(-side.sign() * value.raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Usd {
        Usd::parse_cut(text.as_bytes()).unwrap()
    }

    fn price(text: &str) -> Price {
        Price::parse(text.as_bytes()).unwrap()
    }

    fn execution(leg: usize, side: Side, purpose: Purpose, at: &str, expected: &str) -> Execution {
        Execution {
            leg,
            side,
            purpose,
            qty: Qty::from_raw(100_000_000),
            price: price(at),
            expected: price(expected),
            fee: usd("0.02"),
            funding: Usd::ZERO,
        }
    }

    #[test]
    fn a_round_trip_adds_up() {
        let mut book = PairBook::default();
        book.open(Direction::B, price("100.165"), Rate::ZERO, Rate::from_bps(28), Nanos(1));
        book.execute(&execution(1, Side::Buy, Purpose::Enter, "100.02", "100.02"));
        book.execute(&execution(0, Side::Sell, Purpose::Enter, "100.29", "100.30"));
        assert_eq!(book.net(), Qty::ZERO);
        assert_eq!(book.hedged(), Qty::from_raw(100_000_000));
        book.execute(&execution(1, Side::Sell, Purpose::Exit, "100.10", "100.10"));
        book.execute(&execution(0, Side::Buy, Purpose::Exit, "100.12", "100.11"));
        let ledger = book.ledger();
        assert!(book.is_flat());
        assert_eq!(ledger.entry_edge, usd("0.28"));
        assert_eq!(ledger.exit_cost, usd("-0.01"));
        assert_eq!(ledger.slippage, usd("-0.02"));
        assert_eq!(ledger.fees, usd("-0.08"));
        assert_eq!(ledger.total(), usd("0.17"));
    }

    #[test]
    fn what_is_left_of_a_booked_pair_stays_at_its_reference_and_adds_nothing_twice() {
        let mut book = PairBook::default();
        book.open(Direction::A, price("100"), Rate::ZERO, Rate::ZERO, Nanos(1));
        book.execute(&execution(0, Side::Buy, Purpose::Enter, "100.01", "100.01"));
        let first = book.ledger().total();
        let mut rest = book.rest();
        assert_eq!((rest.net(), rest.ledger().total(), rest.has_traded()), (book.net(), Usd::ZERO, false));
        let last = execution(0, Side::Sell, Purpose::Unwind, "99.95", "99.96");
        rest.execute(&last);
        book.execute(&last);
        assert!(rest.has_traded() && rest.is_flat() && rest.rest() == PairBook::default());
        assert_eq!(first + rest.ledger().total(), book.ledger().total());
    }

    #[test]
    fn an_unwound_leg_shows_its_cost() {
        let mut book = PairBook::default();
        book.open(Direction::A, price("100"), Rate::ZERO, Rate::ZERO, Nanos(1));
        book.execute(&execution(0, Side::Buy, Purpose::Enter, "100.01", "100.01"));
        assert_eq!(book.hedged(), Qty::ZERO);
        book.execute(&execution(0, Side::Sell, Purpose::Unwind, "99.95", "99.96"));
        assert_eq!(book.ledger().unwinds, usd("-0.05"));
        assert_eq!(book.ledger().total(), usd("-0.10"));
    }
}
