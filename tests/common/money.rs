//! What the books say was earned is what the accounts have changed by, to the last unit.

use bot4::position::Ledger;
use bot4_sim::control::VenueTruth;
use bot4_sim::core::account::LedgerKind;
use bot4_sim::core::{OrderView, State, money};

use super::bench::Bench;

/// The most that the books of a cut order may be poorer, and that one or a bust settles of funding, 1e-8 USD.
const POORER_MAX: i64 = 100_000_000;
const FUNDING_MAX: i64 = 100_000;

/// What was earned, and the part of it that is funding, 1e-8 USD.
#[derive(Clone, Copy, Debug)]
pub struct Earned {
    pub total: i64,
    pub funding: i64,
}

impl From<Ledger> for Earned {
    fn from(ledger: Ledger) -> Self {
        Self { total: ledger.total().raw(), funding: ledger.funding.raw() }
    }
}

impl Earned {
    /// As an account has it.
    fn at(venue: &VenueTruth) -> Self {
        let funding = venue.ledger.iter().filter(|entry| entry.kind == LedgerKind::Funding);
        Self { total: venue.ledger_change, funding: funding.map(|entry| entry.amount).sum() }
    }

    fn price_result(self) -> i64 {
        self.total - self.funding
    }
}

impl Bench {
    /// As [`Bench::assert_home`], with both venues flat and the profit ledger equal to the change of the balances.
    pub fn assert_flat_and_settled(&self) {
        let pnl = &self.summary()["pnl_usd"];
        let units = |key: &str| (pnl[key].as_f64().expect("a number") * 1e8).round() as i64;
        self.assert_flat_with(Earned { total: units("total"), funding: units("funding") });
    }

    /// Nothing is held, and what was booked is the change of the balances, but for what no venue tells: of an order
    /// that Vest cancelled after a part had filled, the price and the funding (sheet `vest`, 5.2), so that the books
    /// may take its limit, which is the worst price; and the funding that a bust settles (sheet `paradex`, 5.6).
    pub fn assert_flat_with(&self, booked: Earned) {
        self.assert_home();
        let truth = self.control().truth();
        let [vest, paradex] = [&truth.vest, &truth.paradex];
        assert!(vest.is_flat() && paradex.is_flat(), "something is held");
        let accounts = [vest, paradex].map(Earned::at);
        let of = |part: fn(Earned) -> i64| accounts.into_iter().map(part).sum::<i64>();
        let untold = |order: &&OrderView| order.state == State::Cancelled && order.filled > 0;
        let cut = vest.orders.iter().filter(untold);
        let poorer = cut.clone().map(|order| short_of_limit(order).min(POORER_MAX)).sum::<i64>();
        let change = of(Earned::price_result);
        let told = format!("{booked:?} booked, {accounts:?} earned\n{}", self.tail());
        assert!((change - poorer..=change).contains(&booked.price_result()), "{told}");
        let busted = [vest, paradex].iter().flat_map(|venue| &venue.fills).filter(|fill| fill.busted).count();
        let unheard = (cut.count() + busted) as i64 * FUNDING_MAX;
        assert!((booked.funding - of(|earned| earned.funding)).abs() <= unheard, "{told}");
    }
}

/// By how much an order's fills were better than its limit, USD at 1e-8.
fn short_of_limit(order: &OrderView) -> i64 {
    (money::mul(order.filled, order.limit, money::Round::Nearest) - order.notional).abs()
}
