//! When a held pair is closed and at which limits (MONEY, exit and stops). Pure; called by `signal` for every pair of
//! quotes while a pair is held. It never lets a moving basis into an exit: the basis is the one frozen at entry.

use super::edge::{Trade, exit_cost, per_leg};
use super::view::{View, carry, clip, covering};
use crate::types::record::Refusal;
use crate::types::settings::{PairSettings, RiskSettings, SignalSettings};
use crate::types::{Direction, Nanos, Price, Qty, Quote, Rate, StopReason};

/// Nanoseconds of an hour: funding is stated per hour.
const HOUR_NS: i128 = 3_600_000_000_000;

/// What decides an exit, besides the quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitRules {
    pub threshold: Rate,
    pub requires_profit: bool,
    pub min_profit: Rate,
    pub slippage: Rate,
    /// Zero = off.
    pub stop_widening: Rate,
    /// Zero = off.
    pub max_hold_s: u32,
    /// Limits stay within half of it, so that no close is refused for its own width.
    pub collar: Rate,
}

/// A pair as `order` says it is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub direction: Direction,
    pub qty: Qty,
    /// Basis frozen at entry.
    pub basis: Rate,
    /// Edge at the entry fills, of the mean mid at entry.
    pub edge: Rate,
    pub since: Nanos,
}

/// A decision to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    pub reason: StopReason,
    pub trade: Trade,
    /// Raw cost `C/M` at the average prices.
    pub cost: Rate,
    pub limits: [Price; 2],
}

impl ExitRules {
    pub fn new(pair: &PairSettings, signal: &SignalSettings, risk: &RiskSettings) -> Self {
        Self {
            threshold: pair.exit_threshold,
            requires_profit: signal.exit_requires_profit,
            min_profit: risk.min_profit,
            slippage: risk.slippage,
            stop_widening: risk.stop_widening,
            max_hold_s: risk.max_hold_s,
            collar: risk.price_collar,
        }
    }

    /// Whether and how to close now. `fees` are those of the whole round trip, both venues. By threshold a pair is
    /// closed whole (or by its largest priced size, if it is larger than that); a stop takes what the books hold.
    pub fn decide(
        &self,
        held: &Held,
        quotes: &[Quote; 2],
        view: &View,
        fees: Rate,
        ticks: [Price; 2],
        now: Nanos,
    ) -> Option<Exit> {
        let closing = held.direction.opposite();
        let whole = covering(quotes, closing, held.qty);
        let close = |reason, trade: Trade| {
            let cost = exit_cost(held.direction, trade.expected, view.mid);
            let give = [self.give(reason, held, &trade, view.mid, fees); 2];
            let give = [give[0].max(ticks[0]), give[1].max(ticks[1])];
            Exit { reason, trade, cost, limits: trade.limits(give, ticks) }
        };
        if let Some(trade) = whole {
            let cost = exit_cost(held.direction, trade.expected, view.mid);
            let believed = view.no_entry != Some(Refusal::Implausible);
            if believed && self.gap_is_gone(held, cost, quotes, fees, now) {
                return Some(close(StopReason::Threshold, trade));
            }
        }
        let reason = self.stop(held, quotes, view, fees, now)?;
        let trade = whole.or_else(|| clip(quotes, closing, held.qty))?;
        Some(close(reason, trade))
    }

    /// The closing trade that the threshold will ask for if the cost falls by `within`.
    pub fn approaching(&self, held: &Held, quotes: &[Quote; 2], view: &View, within: Rate) -> Option<Trade> {
        let trade = covering(quotes, held.direction.opposite(), held.qty)?;
        let cost = exit_cost(held.direction, trade.expected, view.mid);
        (cost - held.basis <= self.threshold + within).then_some(trade)
    }

    fn gap_is_gone(&self, held: &Held, cost: Rate, quotes: &[Quote; 2], fees: Rate, now: Nanos) -> bool {
        let earned = held.edge - cost - fees - self.slippage + accrued(held, quotes, now).min(Rate::ZERO);
        cost - held.basis <= self.threshold && (!self.requires_profit || earned >= self.min_profit)
    }

    fn stop(
        &self,
        held: &Held,
        quotes: &[Quote; 2],
        view: &View,
        fees: Rate,
        now: Nanos,
    ) -> Option<StopReason> {
        // Measured on the side of the books that the entry was made on: the spread and the fees, which a fresh pair
        // owes in any case, are no widening.
        let widened = view.touch[held.direction.index()] - held.edge;
        let pays = carry(quotes, held.direction) > Rate::ZERO;
        let hold_ns = u64::from(self.max_hold_s) * 1_000_000_000;
        let planned = (held.edge - held.basis - self.threshold).max(fees + self.min_profit);
        if self.stop_widening > Rate::ZERO && widened >= self.stop_widening {
            Some(StopReason::Widening)
        } else if hold_ns > 0 && now.since(held.since) >= hold_ns && !pays {
            Some(StopReason::MaxHold)
        } else if -accrued(held, quotes, now) >= planned {
            Some(StopReason::Carry)
        } else {
            None
        }
    }

    /// What each leg may give beyond the worst price touched: half the room above the least profit; for a stop at
    /// least half the slippage that the arithmetic at start allowed for, because a stop must get out.
    fn give(&self, reason: StopReason, held: &Held, trade: &Trade, mid: Price, fees: Rate) -> Price {
        let worst_cost = exit_cost(held.direction, trade.worst, mid);
        let room = held.edge - worst_cost - fees - self.min_profit;
        let least = if reason == StopReason::Threshold { Rate::ZERO } else { self.slippage };
        per_leg(room.max(least).min(self.collar), mid)
    }
}

/// Funding since the pair was opened, at today's rates; positive = earned.
fn accrued(held: &Held, quotes: &[Quote; 2], now: Nanos) -> Rate {
    let hourly = i128::from(carry(quotes, held.direction).raw());
    let units = hourly * i128::from(now.since(held.since)) / HOUR_NS;
    let bound = i128::from(i64::MAX / 4);
    Rate::from_raw(units.clamp(-bound, bound) as i64)
}

#[cfg(test)]
mod tests {
    use super::super::edge::tests::{price, quote};
    use super::super::view::Bounds;
    use super::*;
    use crate::types::Walk;

    const RULES: ExitRules = ExitRules {
        threshold: Rate::from_bps(2),
        requires_profit: false,
        min_profit: Rate::from_bps(1),
        slippage: Rate::from_bps(2),
        stop_widening: Rate::from_bps(100),
        max_hold_s: 86_400,
        collar: Rate::from_bps(100),
    };
    const FEES: Rate = Rate::from_bps(13);

    fn held() -> Held {
        let qty = Qty::from_raw(400);
        Held {
            direction: Direction::B,
            qty,
            basis: Rate::ZERO,
            edge: Rate::from_bps(30),
            since: Nanos::from_ms(1),
        }
    }

    fn decide(rules: &ExitRules, held: &Held, quotes: &[Quote; 2], hours: u64) -> Option<Exit> {
        let now = Nanos::from_ms(1 + hours * 3_600_000);
        let bounds = Bounds { age_ms: [u32::MAX; 2], skew_ms: u32::MAX, plausible: Rate::from_bps(200) };
        let view = View::new(quotes, &bounds, now).unwrap();
        rules.decide(held, quotes, &view, FEES, [price("0.01"); 2], now)
    }

    #[test]
    fn the_gap_has_gone() {
        let converged = [quote("100.00", "100.01"), quote("99.99", "100.00")];
        let exit = decide(&RULES, &held(), &converged, 1).unwrap();
        assert_eq!((exit.reason, exit.trade.direction), (StopReason::Threshold, Direction::A));
        assert_eq!(exit.cost.bps().to_string(), "2.00");
        // Room: 30 - 2 - 13 - 1 = 14 bps, half per leg.
        assert_eq!(exit.limits, [price("100.08"), price("99.92")]);
        let apart = [quote("100.02", "100.03"), quote("99.99", "100.00")];
        assert_eq!(decide(&RULES, &held(), &apart, 1), None);
        let frozen = Held { basis: Rate::from_bps(2), ..held() };
        assert!(decide(&RULES, &frozen, &apart, 1).is_some(), "measured against the basis of the entry");
    }

    #[test]
    fn profit_can_be_required() {
        let rules = ExitRules { requires_profit: true, ..RULES };
        let converged = [quote("100.00", "100.01"), quote("99.99", "100.00")];
        assert!(decide(&rules, &held(), &converged, 1).is_some());
        let poor = Held { edge: Rate::from_bps(17), ..held() };
        assert_eq!(decide(&rules, &poor, &converged, 1), None);
    }

    #[test]
    fn a_spread_that_runs_away_is_cut() {
        let wide = [quote("101.40", "101.41"), quote("99.99", "100.00")];
        let exit = decide(&RULES, &held(), &wide, 1).unwrap();
        assert_eq!(exit.reason, StopReason::Widening);
        assert_eq!(exit.limits, [price("101.42"), price("99.98")], "half the slippage at least");
        assert_eq!(decide(&ExitRules { stop_widening: Rate::ZERO, ..RULES }, &held(), &wide, 1), None);
    }

    #[test]
    fn time_and_carry_run_out() {
        let mut quotes = [quote("100.29", "100.30"), quote("99.99", "100.00")];
        let reason =
            |quotes: &[Quote; 2], hours| decide(&RULES, &held(), quotes, hours).map(|exit| exit.reason);
        assert_eq!(reason(&quotes, 23), None);
        assert_eq!(reason(&quotes, 24), Some(StopReason::MaxHold));
        quotes[0].ticker.funding_1h = Rate::from_bps(2);
        assert_eq!(reason(&quotes, 24), None, "held on while carry pays");
        quotes[0].ticker.funding_1h = Rate::from_bps(-2);
        assert_eq!(reason(&quotes, 13), None);
        assert_eq!(reason(&quotes, 14), Some(StopReason::Carry), "28 bps were planned");
    }

    #[test]
    fn a_stop_takes_what_the_book_holds_and_a_threshold_waits() {
        let mut wide = [quote("101.40", "101.41"), quote("99.99", "100.00")];
        wide[1].sell[0] = Walk::default();
        assert_eq!(decide(&RULES, &held(), &wide, 1).unwrap().trade.qty, Qty::from_raw(200));
        let mut converged = [quote("100.00", "100.01"), quote("99.99", "100.00")];
        converged[1].sell[0] = Walk::default();
        assert_eq!(decide(&RULES, &held(), &converged, 1), None);
    }
}
