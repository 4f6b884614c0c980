//! The price model: one common mid for all venues, a mean-reverting basis for each, the books around it.
//!
//! Owned by `core::exchange`, one per market. Two venues with the same seed and start walk the same
//! common mid without talking to each other. It decides what is quoted, never what is filled.

use serde::{Deserialize, Serialize};

use super::book::Book;
use super::money::{self, ONE, Round};
use super::rng::{Rng, mix};
use super::types::{Level, MarketSpec, PriceSpec, Side, Style};

/// A level of an order book keeps its size for this long.
const LEVEL_LIFE_US: i64 = 5_000_000;

/// Overrides of the model, set by tests and the control port. `None` = the model decides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Basis of this venue against the common mid, in bps ("35.5"; 1e-8 of a bps).
    #[serde(with = "money::text::option")]
    pub basis_bps: Option<i64>,
    /// Common mid as this venue sees it: hold it still to make a test exact.
    #[serde(with = "money::text::option")]
    pub mid: Option<i64>,
    /// Best bid and ask; the levels behind them keep the model's shape.
    #[serde(with = "money::text::option")]
    pub bid: Option<i64>,
    #[serde(with = "money::text::option")]
    pub ask: Option<i64>,
    /// Displayed notional of an ordinary level, USD.
    #[serde(with = "money::text::option")]
    pub level_usd: Option<i64>,
    /// No book or ticker message leaves, while the book itself moves on and orders are matched.
    pub freeze: bool,
    /// Mark and index as they are published, in percent of the true ones (0 = nothing).
    pub mark_percent: Option<i64>,
    /// Prices that are wrong on the wire only; matching uses the true book.
    pub lie: Option<Lie>,
}

/// A falsehood of the published book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lie {
    /// Bids above asks.
    Crossed,
    /// All prices 0.
    Zero,
    /// All prices times this many percent (50, 200, 100000000 ...).
    ScalePercent(i64),
    /// Both sides without levels.
    Empty,
}

/// Prices of one market of one venue.
#[derive(Debug, Clone)]
pub struct Model {
    spec: MarketSpec,
    style: Style,
    seed: u64,
    common: i64,
    common_rng: Rng,
    basis: i64,
    basis_rng: Rng,
    shape_rng: Rng,
    next_us: i64,
    step: Step,
    pub script: Script,
}

/// Sizes of one step of the walk, fractions at 1e-8.
#[derive(Debug, Clone, Copy)]
struct Step {
    mid_deviation: i64,
    basis_pull: i64,
    basis_deviation: i64,
}

impl Step {
    fn of(price: &PriceSpec) -> Self {
        const LN_2: i64 = 69_314_718;
        let grid_us = price.grid_us;
        let basis_pull = (LN_2 * grid_us / price.basis_half_life_us.max(grid_us)).min(ONE);
        Self {
            mid_deviation: money::mul(price.vol_1s, fraction_root(grid_us, 1_000_000), Round::Nearest),
            basis_pull,
            basis_deviation: money::mul(price.basis_amplitude, root(2 * basis_pull), Round::Nearest),
        }
    }
}

impl Model {
    pub fn new(spec: &MarketSpec, style: Style, venue: &str, seed: u64, start_us: i64) -> Self {
        Self {
            common: spec.price.mid,
            common_rng: Rng::new(seed, &format!("mid {}", spec.base)),
            basis: spec.price.basis_mean,
            basis_rng: Rng::new(seed, &format!("basis {venue} {}", spec.base)),
            shape_rng: Rng::new(seed, &format!("shape {venue} {}", spec.base)),
            seed: mix(seed ^ spec.base.len() as u64),
            spec: spec.clone(),
            style,
            next_us: start_us + spec.price.grid_us,
            step: Step::of(&spec.price),
            script: Script::default(),
        }
    }

    /// Walks up to `now_us`.
    pub fn advance(&mut self, now_us: i64) {
        while self.next_us <= now_us {
            self.step_mid();
            self.step_basis();
            self.next_us += self.spec.price.grid_us;
        }
    }

    /// The rules or the cadence of the market have changed.
    pub fn set_spec(&mut self, spec: &MarketSpec) {
        self.spec = spec.clone();
    }

    /// The venue's clock was set forward by `us`.
    pub fn shift(&mut self, us: i64) {
        self.next_us += us;
    }

    /// The common mid: the index price of this venue.
    pub fn index(&self) -> i64 {
        self.script.mid.unwrap_or(self.common)
    }

    /// This venue's mid: its mark price.
    pub fn mark(&self) -> i64 {
        let basis = self.script.basis_bps.map_or(self.basis, |bps| bps / 10_000);
        money::mul(self.index(), ONE + basis, Round::Nearest)
    }

    /// The book that the venue wants to show at `now_us`.
    pub fn quote(&mut self, now_us: i64) -> Book {
        let bids = self.side(Side::Buy, now_us);
        let asks = self.side(Side::Sell, now_us);
        Book::of(bids, asks)
    }

    /// Time to the next message about the book.
    pub fn pause(&mut self, load: u32) -> i64 {
        let cadence = self.spec.price.cadence;
        (self.shape_rng.between(cadence.lo_us, cadence.hi_us) / i64::from(load.max(1))).max(1)
    }

    /// True when the next message of an order book carries no change.
    pub fn is_empty_turn(&mut self) -> bool {
        self.style == Style::OrderBook && self.shape_rng.chance(self.spec.price.empty_ppm)
    }

    /// The levels as they are published: the truth, or the scripted falsehood.
    pub fn published(&self, bids: Vec<Level>, asks: Vec<Level>) -> (Vec<Level>, Vec<Level>) {
        let scale = |levels: Vec<Level>, percent: i64| -> Vec<Level> {
            levels.into_iter().map(|(price, size)| (money::percent(price, percent), size)).collect()
        };
        match self.script.lie {
            None => (bids, asks),
            Some(Lie::Crossed) => (asks, bids),
            Some(Lie::Zero) => (scale(bids, 0), scale(asks, 0)),
            Some(Lie::ScalePercent(percent)) => (scale(bids, percent), scale(asks, percent)),
            Some(Lie::Empty) => (Vec::new(), Vec::new()),
        }
    }

    fn step_mid(&mut self) {
        let price = &self.spec.price;
        let move_e8 = money::mul(self.step.mid_deviation, self.common_rng.normal(), Round::Nearest);
        let next = money::mul(self.common, ONE + move_e8, Round::Nearest);
        let reflected = if next > price.mid_max {
            2 * price.mid_max - next
        } else if next < price.mid_min {
            2 * price.mid_min - next
        } else {
            next
        };
        self.common = reflected.clamp(price.mid_min, price.mid_max);
    }

    /// One step of an Ornstein-Uhlenbeck process with the spec's deviation and half-life.
    fn step_basis(&mut self) {
        let Step { basis_pull, basis_deviation, .. } = self.step;
        let shock = money::mul(basis_deviation, self.basis_rng.normal(), Round::Nearest);
        let back = money::mul(self.basis - self.spec.price.basis_mean, basis_pull, Round::Nearest);
        self.basis += shock - back;
    }

    fn side(&mut self, side: Side, now_us: i64) -> Vec<Level> {
        let count = if side == Side::Buy { self.spec.price.bid_levels } else { self.spec.price.ask_levels };
        let scripted = if side == Side::Buy { self.script.bid } else { self.script.ask };
        let half = money::mul(self.mark(), self.spec.price.half_spread, Round::Up);
        let best = scripted.unwrap_or(self.mark().saturating_sub(side.sign() * half));
        match self.style {
            Style::House => self.house_side(side, best, count),
            Style::OrderBook => self.grid_side(side, best, count, scripted.is_some(), now_us),
        }
    }

    /// A quoting curve: sizes in multiples of one unit that grow away from the touch.
    fn house_side(&mut self, side: Side, best: i64, count: usize) -> Vec<Level> {
        const CURVE: [i64; 24] = [3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 4, 4, 4, 4, 6, 8, 8, 8, 8, 10, 10, 12, 12];
        let gap = money::mul(best, self.spec.price.level_gap, Round::Up).max(self.spec.tick);
        let count = self.shape_rng.between(count as i64 / 2, count as i64);
        let unit = self.unit(best) + self.spec.step * self.shape_rng.between(0, 3);
        let mut price = self.outward(side, best);
        (0..count)
            .map(|i| {
                let level = (price, unit * CURVE[(i as usize).min(CURVE.len() - 1)]);
                let distance = self.shape_rng.between(gap / 2, gap + gap / 2);
                price = self.outward(side, price.saturating_sub(side.sign() * distance));
                level
            })
            .collect()
    }

    /// Resting orders of many: fixed price points, each with a size that lives for some seconds.
    fn grid_side(&self, side: Side, best: i64, count: usize, exact: bool, now_us: i64) -> Vec<Level> {
        let grid = money::mul(self.spec.price.mid, self.spec.price.level_gap, Round::Up);
        let grid = money::to_multiple(grid, self.spec.tick, Round::Up).max(self.spec.tick);
        let round = if side == Side::Buy { Round::Down } else { Round::Up };
        let first = money::to_multiple(best, if exact { self.spec.tick } else { grid }, round);
        let unit = self.unit(self.spec.price.mid);
        (0..count as i64)
            .map(|i| {
                let price = first.saturating_sub(side.sign() * grid * i);
                let noise = mix(self.seed ^ price as u64 ^ ((side == Side::Buy) as u64));
                let epoch = (now_us + (noise % LEVEL_LIFE_US as u64) as i64) / LEVEL_LIFE_US;
                let share = 25 + (mix(noise ^ epoch as u64) % 150) as i64;
                let steps = (unit / 100 * share + self.spec.step - 1) / self.spec.step;
                (price, steps.max(1) * self.spec.step)
            })
            .take_while(|level| level.0 > 0)
            .collect()
    }

    /// The size whose notional is that of an ordinary level.
    fn unit(&self, price: i64) -> i64 {
        let notional = self.script.level_usd.unwrap_or(self.spec.price.level_notional);
        let size = i128::from(notional) * i128::from(ONE) / i128::from(price.max(1));
        money::to_multiple(money::clamp(size), self.spec.step, Round::Down).max(self.spec.step)
    }

    fn outward(&self, side: Side, price: i64) -> i64 {
        let down = price.div_euclid(self.spec.tick) * self.spec.tick;
        let up = if side == Side::Sell && down < price { down.saturating_add(self.spec.tick) } else { down };
        up.max(0)
    }
}

/// Square root of a fixed-point fraction.
fn root(value: i64) -> i64 {
    (i128::from(value) * i128::from(ONE)).isqrt() as i64
}

/// Square root of `part / whole` in fixed point.
fn fraction_root(part: i64, whole: i64) -> i64 {
    root(money::clamp(i128::from(part) * i128::from(ONE) / i128::from(whole)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    fn model(venue: &str, style: Style) -> Model {
        let options = Options::default();
        let spec = if style == Style::House { options.vest_spec(0) } else { options.paradex_spec(0) };
        Model::new(&spec.markets[0], style, venue, 7, 0)
    }

    #[test]
    fn two_venues_share_the_common_mid_and_not_the_basis() {
        let (mut a, mut b) = (model("a", Style::House), model("b", Style::OrderBook));
        a.advance(60_000_000);
        for step in 1..=60 {
            b.advance(step * 1_000_000);
        }
        assert_eq!(a.index(), b.index());
        assert_ne!(a.mark(), b.mark());
    }

    #[test]
    fn the_gap_crosses_the_entry_threshold_and_comes_back() {
        let (mut a, mut b) = (model("a", Style::House), model("b", Style::OrderBook));
        let (mut wide, mut crossings) = (false, 0);
        for tick in 1..1_200 {
            a.advance(tick * 50_000);
            b.advance(tick * 50_000);
            let gap = money::mul(
                a.mark() - b.mark(),
                money::clamp(i128::from(ONE) * i128::from(ONE) / i128::from(a.index())),
                Round::Nearest,
            )
            .abs();
            if !wide && gap > 300_000 {
                wide = true;
                crossings += 1;
            }
            wide &= gap > 20_000;
        }
        assert!(crossings >= 3, "{crossings} crossings of 0.30 % in a minute");
    }

    #[test]
    fn books_are_sorted_uncrossed_and_on_the_grid() {
        for style in [Style::House, Style::OrderBook] {
            let mut model = model("v", style);
            model.advance(1_000_000);
            let book = model.quote(1_000_000);
            let (bid, ask) = (book.best(Side::Buy).unwrap(), book.best(Side::Sell).unwrap());
            assert!(bid.0 < ask.0, "{style:?}");
            for (price, size) in book.bids().iter().chain(book.asks()) {
                assert_eq!((price % model.spec.tick, size % model.spec.step), (0, 0));
            }
            assert!(book.bids().len() >= 15);
        }
    }

    #[test]
    fn a_script_overrides_the_model() {
        let mut model = model("v", Style::OrderBook);
        model.script = Script { bid: Some(100 * ONE), ask: Some(90 * ONE), ..Script::default() };
        let book = model.quote(0);
        assert_eq!(
            (book.best(Side::Buy).unwrap().0, book.best(Side::Sell).unwrap().0),
            (100 * ONE, 90 * ONE)
        );
        let script: Script =
            serde_json::from_str(r#"{"basis_bps":"35.5","freeze":true,"lie":"crossed"}"#).unwrap();
        assert_eq!(script.basis_bps, Some(3_550_000_000));
        assert_eq!(script.lie, Some(Lie::Crossed));
    }
}
