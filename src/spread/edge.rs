//! The exact arithmetic of a trade over two books (MONEY, notation and limits): edge, cost and limits. Pure integers;
//! called by `signal` on every quote.

use crate::types::money::RATE_ONE;
use crate::types::{Direction, Price, Qty, Quote, Rate, Side};

/// Both legs of one trade, priced. Closing a pair held in direction d is the same trade as opening it in the opposite
/// direction, so the exit cost of d is minus the edge of this trade: `C_A = -E_B`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Direction that the trade opens: leg 0 bought in A, leg 1 bought in B.
    pub direction: Direction,
    pub qty: Qty,
    /// Volume-weighted price per leg.
    pub expected: [Price; 2],
    /// Worst price touched per leg.
    pub worst: [Price; 2],
    /// Both legs stay within the allowed share of the displayed depth.
    pub within_depth: bool,
}

impl Trade {
    /// Prices the trade at size `size` of the quotes. `None` when a book holds less, when the quotes were priced at
    /// different sizes, or when the walk ends beyond twice or below half of the touch: that is no price.
    pub fn price(quotes: &[Quote; 2], direction: Direction, size: usize) -> Option<Self> {
        let qty = quotes[0].sizes[size];
        let walks = [0, 1].map(|leg| match direction.open_side(leg) {
            Side::Buy => quotes[leg].buy[size],
            Side::Sell => quotes[leg].sell[size],
        });
        let within = [0, 1].map(|leg: usize| match direction.open_side(leg) {
            Side::Buy => quotes[leg].buy_within.contains(size),
            Side::Sell => quotes[leg].sell_within.contains(size),
        });
        let sane = (0..2).all(|leg| walks[leg].is_defined() && is_near_touch(walks[leg].worst, &quotes[leg]));
        (sane && qty == quotes[1].sizes[size]).then(|| Self {
            direction,
            qty,
            expected: walks.map(|walk| walk.vwap),
            worst: walks.map(|walk| walk.worst),
            within_depth: within == [true; 2],
        })
    }

    /// Edge at the average prices, of the mean mid: `E/M`.
    pub fn edge(&self, mid: Price) -> Rate {
        edge(self.direction, self.expected, mid)
    }

    /// Edge of the last unit, from the worst prices.
    pub fn marginal_edge(&self, mid: Price) -> Rate {
        edge(self.direction, self.worst, mid)
    }

    /// Worst acceptable price per leg: `give` beyond the worst touched price, rounded inward to the tick but never
    /// inside that price, which would guarantee a partial fill. Ticks must be positive.
    pub fn limits(&self, give: [Price; 2], ticks: [Price; 2]) -> [Price; 2] {
        std::array::from_fn(|leg| {
            let (worst, give, tick) = (self.worst[leg], give[leg], ticks[leg]);
            match self.direction.open_side(leg) {
                Side::Buy => (worst + give).floor_to(tick).max(worst.ceil_to(tick)),
                Side::Sell => (worst - give).ceil_to(tick).min(worst.floor_to(tick)).max(tick),
            }
        })
    }
}

/// Keeps every rate that is computed from a price far inside the range of a [`Rate`].
fn is_near_touch(worst: Price, quote: &Quote) -> bool {
    worst.raw() / 2 <= quote.ask.raw() && worst.raw() >= quote.bid.raw() / 2
}

/// Money in per unit for the trade that opens `direction` at these prices per leg: `E`, exact; negative = paid.
pub fn gain(direction: Direction, prices: [Price; 2]) -> Price {
    let [first, second] = prices;
    match direction {
        Direction::A => second - first,
        Direction::B => first - second,
    }
}

/// [`gain`] of the mean mid: `E/M`, higher is better, cut toward zero at 1e-12.
pub fn edge(direction: Direction, prices: [Price; 2], mid: Price) -> Rate {
    gain(direction, prices).ratio(mid)
}

/// Cost of closing `direction` at these prices per leg, of the mean mid: `C/M`, lower is better.
pub fn exit_cost(direction: Direction, prices: [Price; 2], mid: Price) -> Rate {
    -edge(direction.opposite(), prices, mid)
}

/// Mean of the two mids: the denominator of every edge and cost.
pub fn mean_mid(quotes: &[Quote; 2]) -> Price {
    let sum: i128 =
        quotes.iter().flat_map(|quote| [quote.bid, quote.ask]).map(|price| i128::from(price.raw())).sum();
    // A mean of four 64-bit values fits.
    Price::from_raw((sum / 4) as i64)
}

/// Gap between the two mids in direction A, of the mean mid; in direction B it is the negative.
pub fn mid_gap(quotes: &[Quote; 2], mid: Price) -> Rate {
    let [first, second] = [0, 1].map(|leg: usize| Price::mid(quotes[leg].bid, quotes[leg].ask));
    edge(Direction::A, [first, second], mid)
}

/// Money per unit and leg when `rate` of `mid` is given away over both legs, half each. Never negative.
pub fn per_leg(rate: Rate, mid: Price) -> Price {
    let units = i128::from(mid.raw()) * i128::from(rate.raw().max(0)) / (2 * i128::from(RATE_ONE));
    Price::from_raw(i64::try_from(units).unwrap_or(mid.raw()).min(mid.raw()))
}

/// Share of a rate, cut toward zero; negative rates give nothing.
pub fn share_of(rate: Rate, share: Rate) -> Rate {
    let units = i128::from(rate.raw().max(0)) * i128::from(share.raw()) / i128::from(RATE_ONE);
    Rate::from_raw(i64::try_from(units).unwrap_or(i64::MAX))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::types::limits::SIZES;
    use crate::types::{SizeSet, Walk};

    pub fn price(text: &str) -> Price {
        Price::parse(text.as_bytes()).unwrap()
    }

    /// A tradable quote whose touch holds every size.
    pub fn quote(bid: &str, ask: &str) -> Quote {
        let walk = |price| Walk { vwap: price, worst: price };
        Quote {
            tradable: true,
            bid: price(bid),
            ask: price(ask),
            sizes: [400, 200, 100].map(Qty::from_raw),
            buy: [walk(price(ask)); SIZES],
            sell: [walk(price(bid)); SIZES],
            buy_within: SizeSet::ALL,
            sell_within: SizeSet::ALL,
            ..Quote::default()
        }
    }

    #[test]
    fn the_worked_quotes() {
        let quotes = [quote("100.30", "100.36"), quote("99.98", "100.02")];
        let mid = mean_mid(&quotes);
        assert_eq!(mid, price("100.165"));
        let edges = Direction::BOTH.map(|d| Trade::price(&quotes, d, 0).unwrap().edge(mid));
        assert_eq!(edges.map(|edge| edge.to_string()), ["-0.3793%", "0.2795%"]);
        let costs = Direction::BOTH.map(|d| {
            let close = Trade::price(&quotes, d.opposite(), 0).unwrap();
            exit_cost(d, close.expected, mid)
        });
        assert_eq!(costs, [-edges[1], -edges[0]]);
        assert_eq!(mid_gap(&quotes, mid), (price("100.00") - price("100.33")).ratio(mid));
    }

    #[test]
    fn limits_give_some_room_but_never_cut_the_fill() {
        let quotes = [quote("100.30", "100.36"), quote("99.98", "100.02")];
        let trade = Trade::price(&quotes, Direction::B, 0).unwrap();
        let tick = [price("0.01"); 2];
        assert_eq!(trade.limits([price("0.025"); 2], tick), [price("100.28"), price("100.04")]);
        assert_eq!(trade.limits([Price::ZERO; 2], tick), [price("100.30"), price("100.02")]);
        let coarse = [price("0.25"); 2];
        assert_eq!(trade.limits([price("0.1"); 2], coarse), [price("100.25"), price("100.25")]);
    }

    #[test]
    fn quotes_of_different_sizes_make_no_trade() {
        let mut quotes = [quote("100.30", "100.36"), quote("99.98", "100.02")];
        quotes[1].sizes[0] = Qty::from_raw(399);
        assert_eq!(Trade::price(&quotes, Direction::A, 0), None);
        quotes[1].buy[1] = Walk::default();
        assert_eq!(Trade::price(&quotes, Direction::B, 1), None);
        quotes[1].buy[2].worst = price("300");
        assert_eq!(Trade::price(&quotes, Direction::B, 2), None);
        assert!(Trade::price(&quotes, Direction::A, 1).is_some());
    }

    #[test]
    fn what_is_given_away_is_halved_between_the_legs() {
        assert_eq!(per_leg(Rate::from_bps(20), price("100")), price("0.1"));
        assert_eq!(per_leg(Rate::from_bps(-20), price("100")), Price::ZERO);
        assert_eq!(share_of(Rate::from_bps(20), Rate::from_bps(5_000)), Rate::from_bps(10));
    }
}
