//! The sum that every pair must pass before it may trade: the thresholds have to leave a profit after four fees and
//! slippage (MONEY, rules, "at start"). It is made at the start, and again by `order` when a venue's fee has changed.
//! Pure; the fees are the venues' own.

use std::fmt;

use crate::types::settings::{PairSettings, RiskSettings};
use crate::types::{PairId, Rate};

/// Whether a round trip of this pair at its thresholds earns what it costs at these taker rates, by leg.
pub fn pays(pair: &PairSettings, risk: &RiskSettings, taker: [Rate; 2]) -> bool {
    pair.entry_threshold - pair.exit_threshold >= needed(taker, risk.slippage, risk.min_profit)
}

/// Each leg pays its taker rate twice; then slippage and the profit wanted.
fn needed([first, second]: [Rate; 2], slippage: Rate, min_profit: Rate) -> Rate {
    let fees = first.saturating_add(second);
    fees.saturating_add(fees).saturating_add(slippage).saturating_add(min_profit)
}

/// The sum of one pair, line by line. Its text is what the operator reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arithmetic {
    pub pair: PairId,
    pub name: String,
    pub entry: Rate,
    pub exit: Rate,
    /// Taker rates of leg 0 and leg 1, with their venues' titles.
    pub fees: [(String, Rate); 2],
    pub slippage: Rate,
    pub min_profit: Rate,
}

impl Arithmetic {
    /// The sum of this pair at these taker rates, by leg.
    pub fn of(pair: &PairSettings, risk: &RiskSettings, fees: [(&str, Rate); 2]) -> Self {
        Self {
            pair: pair.id,
            name: pair.name.clone(),
            entry: pair.entry_threshold,
            exit: pair.exit_threshold,
            fees: fees.map(|(title, rate)| (title.to_owned(), rate)),
            slippage: risk.slippage,
            min_profit: risk.min_profit,
        }
    }

    /// What a round trip at the thresholds earns before costs.
    pub fn earned(&self) -> Rate {
        self.entry - self.exit
    }

    /// What a round trip costs, the profit wanted included.
    pub fn needed(&self) -> Rate {
        let [(_, first), (_, second)] = &self.fees;
        needed([*first, *second], self.slippage, self.min_profit)
    }

    /// What is left of it; negative = the thresholds lose money.
    pub fn left(&self) -> Rate {
        Rate::from_raw(self.earned().raw().saturating_sub(self.needed().raw()))
    }

    pub fn passes(&self) -> bool {
        self.left() >= Rate::ZERO
    }
}

impl fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, sign: char, rate: Rate, what: &dyn fmt::Display| {
            writeln!(f, "  {sign} {:>8} bps  {what}", rate.bps().to_string())
        };
        writeln!(f, "{}", self.name)?;
        line(f, ' ', self.entry, &"entry_threshold")?;
        line(f, '-', self.exit, &"exit_threshold")?;
        for (title, rate) in &self.fees {
            line(
                f,
                '-',
                rate.saturating_add(*rate),
                &format_args!("{title} taker fee, twice {}", rate.bps()),
            )?;
        }
        line(f, '-', self.slippage, &"slippage_bps")?;
        line(f, '-', self.min_profit, &"min_profit_bps")?;
        let even = self.needed() - self.min_profit;
        writeln!(f, "    {:>8} bps  between the thresholds break even", even.bps().to_string())?;
        let verdict =
            if self.passes() { "left: the thresholds pay" } else { "left: the thresholds lose money" };
        write!(f, "  = {:>8} bps  {verdict}", self.left().bps().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(entry: i64, exit: i64) -> Arithmetic {
        Arithmetic {
            pair: PairId(0),
            name: "BTC".to_owned(),
            entry: Rate::from_bps(entry),
            exit: Rate::from_bps(exit),
            fees: [("One".to_owned(), Rate::from_bps(2)), ("Two".to_owned(), Rate::from_raw(450_000_000))],
            slippage: Rate::from_bps(4),
            min_profit: Rate::from_bps(5),
        }
    }

    #[test]
    fn four_fees_slippage_and_profit_are_needed() {
        assert_eq!(sum(30, 2).needed(), Rate::from_bps(22));
        assert!(sum(24, 2).passes());
        assert!(!sum(23, 2).passes());
        assert!(sum(20, -2).passes(), "a negative exit threshold earns");
        let absurd = Arithmetic { slippage: Rate::from_raw(i64::MIN), ..sum(20, 2) };
        assert!(absurd.left() > Rate::ZERO, "no wrap at the ends of the range");
    }

    #[test]
    fn the_sum_is_printed_line_by_line() {
        let text = sum(20, 2).to_string();
        assert_eq!(
            text,
            "BTC\n\
             \u{20}      20.00 bps  entry_threshold\n\
             \u{20} -     2.00 bps  exit_threshold\n\
             \u{20} -     4.00 bps  One taker fee, twice 2.00\n\
             \u{20} -     9.00 bps  Two taker fee, twice 4.50\n\
             \u{20} -     4.00 bps  slippage_bps\n\
             \u{20} -     5.00 bps  min_profit_bps\n\
             \u{20}      17.00 bps  between the thresholds break even\n\
             \u{20} =    -4.00 bps  left: the thresholds lose money"
        );
    }
}
