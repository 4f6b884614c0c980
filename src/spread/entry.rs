//! When a pair is worth opening, how much of it and at which limits (MONEY, size at the margin, enter, limits). Pure;
//! called by `signal` for every pair of quotes while nothing is held.

use super::edge::{Trade, per_leg, share_of};
use super::view::{View, carry};
use crate::types::limits::SIZES;
use crate::types::settings::{ExecutionSettings, PairSettings, SignalSettings};
use crate::types::{Direction, Price, Quote, Rate};

/// What decides an entry, besides the quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryRules {
    pub threshold: Rate,
    /// Hours over which adverse carry is charged.
    pub expected_hold_h: u32,
    /// Share of the slack above the bar that both limits together may give away, of one.
    pub slack_share: Rate,
}

/// An opening that the quotes offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    pub trade: Trade,
    /// Standing basis in the trade's direction.
    pub basis: Rate,
    /// Raw edge of the last unit.
    pub marginal: Rate,
    /// Raw edge that it had to meet: basis, threshold and adverse carry.
    pub bar: Rate,
}

impl EntryRules {
    pub fn new(pair: &PairSettings, signal: &SignalSettings, execution: &ExecutionSettings) -> Self {
        Self {
            threshold: pair.entry_threshold,
            expected_hold_h: signal.expected_hold_h,
            slack_share: execution.slack_share,
        }
    }

    /// The largest size whose last unit still meets the bar: within the displayed depth if any is, and otherwise the
    /// largest of all (its trade says so). `basis` is that of `direction`.
    pub fn offer(
        &self,
        quotes: &[Quote; 2],
        view: &View,
        direction: Direction,
        basis: Rate,
    ) -> Option<Offer> {
        let bar = self.bar(quotes, direction, basis);
        // Nearly every quote ends here: no size is better than the touch.
        if view.touch[direction.index()] < bar {
            return None;
        }
        let offers = (0..SIZES).filter_map(|size| {
            let trade = Trade::price(quotes, direction, size)?;
            let marginal = trade.marginal_edge(view.mid);
            (marginal >= bar).then_some(Offer { trade, basis, marginal, bar })
        });
        let mut thin = None;
        for offer in offers {
            if offer.trade.within_depth {
                return Some(offer);
            }
            thin = thin.or(Some(offer));
        }
        thin
    }

    /// The trade that will be offered if the edge rises by `within`, at the largest size that the books bear, and by
    /// how much it must rise.
    pub fn approaching(
        &self,
        quotes: &[Quote; 2],
        view: &View,
        direction: Direction,
        basis: Rate,
        within: Rate,
    ) -> Option<(Trade, Rate)> {
        let bar = self.bar(quotes, direction, basis);
        if view.touch[direction.index()] < bar - within {
            return None;
        }
        let mut trades = (0..SIZES).filter_map(|size| Trade::price(quotes, direction, size));
        let trade = trades.find(|trade| trade.within_depth)?;
        Some((trade, bar - trade.marginal_edge(view.mid)))
    }

    /// Raw edge that an entry must have.
    fn bar(&self, quotes: &[Quote; 2], direction: Direction, basis: Rate) -> Rate {
        basis + self.threshold + self.adverse_carry(quotes, direction)
    }

    /// Worst acceptable price per leg. Filled at both, the trade still meets the bar.
    pub fn limits(&self, offer: &Offer, mid: Price, ticks: [Price; 2]) -> [Price; 2] {
        let slack = share_of(offer.marginal - offer.bar, self.slack_share);
        offer.trade.limits([per_leg(slack, mid); 2], ticks)
    }

    fn adverse_carry(&self, quotes: &[Quote; 2], direction: Direction) -> Rate {
        let hourly = carry(quotes, direction).raw().min(0).saturating_neg();
        Rate::from_raw(hourly.saturating_mul(i64::from(self.expected_hold_h)).min(i64::MAX / 4))
    }
}

#[cfg(test)]
mod tests {
    use super::super::edge::{edge, tests::price, tests::quote};
    use super::super::view::Bounds;
    use super::*;
    use crate::types::{Nanos, Qty, SizeSet};

    const RULES: EntryRules =
        EntryRules { threshold: Rate::from_bps(25), expected_hold_h: 4, slack_share: Rate::from_bps(5_000) };

    fn worked() -> [Quote; 2] {
        [quote("100.30", "100.36"), quote("99.98", "100.02")]
    }

    fn view(quotes: &[Quote; 2]) -> View {
        let bounds = Bounds { age_ms: [1_000; 2], skew_ms: 1_000, plausible: Rate::from_bps(200) };
        View::new(quotes, &bounds, Nanos::from_ms(1)).unwrap()
    }

    fn offer(rules: &EntryRules, quotes: &[Quote; 2], direction: Direction) -> Option<Offer> {
        rules.offer(quotes, &view(quotes), direction, Rate::ZERO)
    }

    #[test]
    fn the_worked_quotes_open_one_way_only() {
        let quotes = worked();
        assert_eq!(offer(&RULES, &quotes, Direction::A), None);
        assert!(offer(&RULES, &quotes, Direction::B).is_some());
        let wider = EntryRules { threshold: Rate::from_bps(30), ..RULES };
        assert_eq!(offer(&wider, &quotes, Direction::B), None);
    }

    #[test]
    fn limits_leave_the_threshold() {
        let quotes = worked();
        let (offer, mid) = (offer(&RULES, &quotes, Direction::B).unwrap(), view(&quotes).mid);
        let limits = RULES.limits(&offer, mid, [price("0.001"); 2]);
        // Slack 2.95 bps of 100.165, half of it, half per leg: 0.0073.
        assert_eq!(limits, [price("100.293"), price("100.027")]);
        assert!(edge(Direction::B, limits, mid) >= RULES.threshold);
    }

    #[test]
    fn the_size_shrinks_until_its_margin_pays() {
        let mut quotes = worked();
        quotes[0].sell[0].worst = price("100.25");
        quotes[0].sell_within = SizeSet(0b101);
        assert_eq!(offer(&RULES, &quotes, Direction::B).unwrap().trade.qty, Qty::from_raw(100));
        quotes[0].sell_within = SizeSet(0b001);
        let thin = offer(&RULES, &quotes, Direction::B).unwrap().trade;
        assert_eq!((thin.qty, thin.within_depth), (Qty::from_raw(200), false));
    }

    #[test]
    fn a_basis_and_adverse_carry_raise_the_bar() {
        let mut quotes = worked();
        let rules = EntryRules { threshold: Rate::from_bps(20), ..RULES };
        assert_eq!(rules.offer(&quotes, &view(&quotes), Direction::B, Rate::from_bps(10)), None);
        quotes[1].ticker.funding_1h = Rate::from_bps(1);
        assert!(offer(&rules, &quotes, Direction::B).is_some(), "4 h of 1 bps fit into 7.9");
        quotes[1].ticker.funding_1h = Rate::from_bps(2);
        assert_eq!(offer(&rules, &quotes, Direction::B), None);
        quotes[1].ticker.funding_1h = Rate::from_bps(-9);
        assert!(offer(&RULES, &quotes, Direction::B).is_some(), "carry that pays is no discount and no bar");
    }
}
