//! Which orders are signed ahead, and when: a ladder of limit prices around where a trade's limits will be, made anew
//! while the trade stays near. Pure; used by `signer`.

use crate::types::ready::Near;
use crate::types::{Nanos, Price, Rate, Side};

/// An order signed longer ago than this is not sent, ms.
pub const AGE_MAX_MS: u64 = 1_500;
/// A ladder, and what is begun without a limit, is made anew after this, ms.
pub const RENEW_MS: u64 = 200;
/// A ladder is kept for so long after its trade was last near, ms: what was just sent may have to be mended.
const KEEP_MS: u64 = 2_000;
/// After a ladder the signer rests for so many times as long as it took.
const REST_TIMES: u64 = 4;
/// A ladder is made anew at once when its centre has moved this far, quarters of a basis point.
const MOVED: i64 = 1;

/// Most rungs of one ladder. What brings a trade over its threshold is a leg whose price has just become better, so
/// that its limit lies inward of where it was: the ladder reaches far that way and thinly the other.
pub const RUNGS: usize = 77;
/// Quarters of a basis point: inward two by two, then at every whole one, to 30 bps.
const INWARD: [(i64, i64, usize); 2] = [(0, 2, 21), (44, 4, 20)];
/// And the other way.
const OUTWARD: [i64; 8] = [1, 2, 3, 4, 8, 16, 32, 80];
/// An entry's limit may give away a share of what its edge is above the bar, a quarter on each leg as shipped. Rungs
/// beyond the bar that lie apart by less than that share of their own height leave no height without a rung: from a
/// sixteenth of a basis point, each farther than the last by a quarter, to 30 bps.
const OVERSHOOTS: usize = 28;

/// Basis points beyond the entry's price at which taking it back is kept ready: an unwind reaches some twenty beyond
/// the touch, so that steps of four always leave one that it may use.
const UNWIND: [i64; 7] = [2, 6, 10, 14, 18, 22, 26];

/// Limits of a ladder around `centre`, rounded inward to the tick; each price once. `missing` = how far an entry's edge
/// is from its bar: that far the leg that moves will move at least.
pub fn rungs(centre: Price, side: Side, tick: Price, missing: Option<Rate>) -> impl Iterator<Item = Price> {
    let over = missing.into_iter().flat_map(overshoots);
    let inward =
        INWARD.into_iter().flat_map(|(from, step, count)| (from..).step_by(step as usize).take(count));
    let beyond = inward.map(|n| quarters(-n)).chain(over.map(|rate| -rate)).chain(OUTWARD.map(quarters));
    distinct(beyond, centre, side, tick)
}

/// Distances inward at which a moving leg brings the edge to its bar and above it, as far as that leads inward.
fn overshoots(missing: Rate) -> impl Iterator<Item = Rate> {
    let heights = std::iter::successors(Some(Rate::from_bps(1).raw() / 16), |height| Some(height * 5 / 4));
    let rates = heights.take(OVERSHOOTS).map(move |height| missing + Rate::from_raw(height));
    rates.filter(|rate| *rate > Rate::ZERO)
}

fn quarters(n: i64) -> Rate {
    Rate::from_raw(Rate::from_bps(n).raw() / 4)
}

/// Limits at which an entry at `centre` would be taken back. `side` is that of the unwind.
pub fn unwinds(centre: Price, side: Side, tick: Price) -> impl Iterator<Item = Price> {
    distinct(UNWIND.into_iter().map(Rate::from_bps), centre, side, tick)
}

/// `beyond` is how far each limit reaches to the side that makes it more willing.
fn distinct(
    beyond: impl Iterator<Item = Rate>,
    centre: Price,
    side: Side,
    tick: Price,
) -> impl Iterator<Item = Price> {
    let mut seen = [Price::ZERO; RUNGS];
    let mut count = 0;
    beyond.filter_map(move |rate| {
        let price = match side {
            Side::Buy => centre.moved(rate).floor_to(tick),
            Side::Sell => centre.moved(-rate).ceil_to(tick),
        };
        let fresh = price > Price::ZERO && count < RUNGS && !seen[..count].contains(&price);
        if fresh {
            seen[count] = price;
            count += 1;
        }
        fresh.then_some(price)
    })
}

/// The trades that are near, per pair, direction and purpose, and when their ladders are due.
pub struct Schedule {
    slots: Vec<Option<Slot>>,
    /// Nothing is due before this.
    rest_until: Nanos,
}

#[derive(Clone, Copy)]
struct Slot {
    near: Near,
    made: Nanos,
    /// Where the centres were when the ladder was made.
    centres: [Price; 2],
}

/// Two directions, opening or closing.
const SLOTS_PER_PAIR: usize = 4;

impl Schedule {
    pub fn new(pairs: usize) -> Self {
        Self { slots: vec![None; pairs * SLOTS_PER_PAIR], rest_until: Nanos::NEVER }
    }

    /// A trade is near; of a pair that is not ours it is ignored.
    pub fn take(&mut self, near: Near) {
        let at = near.pair.index() * SLOTS_PER_PAIR + near.direction.index() * 2 + usize::from(near.closes);
        let Some(slot) = self.slots.get_mut(at) else { return };
        match slot {
            Some(slot) => slot.near = near,
            None => *slot = Some(Slot { near, made: Nanos::NEVER, centres: [Price::ZERO; 2] }),
        }
    }

    /// One trade whose ladder is to be made now, and which then counts as made.
    pub fn due(&mut self, now: Nanos) -> Option<Near> {
        if now < self.rest_until {
            return None;
        }
        // The one that waits longest: with many near, none is forgotten.
        let due = self.slots.iter_mut().flatten().filter(|slot| slot.is_due(now));
        let slot = due.min_by_key(|slot| slot.made)?;
        (slot.made, slot.centres) = (now, slot.near.worst);
        Some(slot.near)
    }

    /// The last ladder was made from `start` to `end`: a slow machine signs less, so that it has time for the rest.
    pub fn spent(&mut self, start: Nanos, end: Nanos) {
        self.rest_until = end + REST_TIMES * end.since(start);
    }
}

impl Slot {
    fn is_due(&self, now: Nanos) -> bool {
        let moved = |leg: usize| {
            let (was, is) = (self.centres[leg], self.near.worst[leg]);
            was.is_zero() || (is - was).ratio(was).abs() > quarters(MOVED)
        };
        let kept = now.ms_since(self.near.at) <= KEEP_MS;
        kept && (now.ms_since(self.made) >= RENEW_MS || moved(0) || moved(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Direction, PairId, Qty};

    fn price(text: &str) -> Price {
        Price::parse(text.as_bytes()).unwrap()
    }

    fn near(ms: u64, worst: &str) -> Near {
        Near {
            pair: PairId(0),
            direction: Direction::A,
            closes: false,
            qty: Qty::from_raw(100_000),
            worst: [price(worst), price("90000")],
            missing: Rate::ZERO,
            at: Nanos::from_ms(ms),
        }
    }

    #[test]
    fn rungs_are_on_the_tick_and_reach_inward() {
        for side in [Side::Buy, Side::Sell] {
            let centre = price("90000.05");
            let prices: Vec<Price> = rungs(centre, side, price("0.1"), None).collect();
            assert_eq!(prices[0], price(if side == Side::Buy { "90000.0" } else { "90000.1" }), "inward");
            let mut reach: Vec<i64> =
                prices.iter().map(|&rung| (rung - centre).ratio(centre).raw() * side.sign()).collect();
            reach.sort_unstable();
            let bps = |n: i64| Rate::from_bps(n).raw();
            assert!(reach[0] < bps(-29) && reach[prices.len() - 1] > bps(19));
            let widest = |from: i64| {
                let steps = reach.windows(2).filter(|step| step[0] >= bps(from) && step[1] < bps(1));
                steps.map(|step| step[1] - step[0]).max().unwrap()
            };
            assert!(widest(-10) < bps(2) / 3, "half a bps, and the tick");
            assert!(widest(-30) < bps(4) / 3);
        }
    }

    #[test]
    fn wherever_the_moving_leg_ends_a_rung_lies_in_its_room() {
        let (centre, tick) = (price("90000"), price("0.1"));
        for side in [Side::Buy, Side::Sell] {
            for missing in [-3_i64, 0, 7, 19] {
                let missing = Rate::from_bps(missing);
                let ready: Vec<Price> = rungs(centre, side, tick, Some(missing)).collect();
                assert!(ready.len() <= RUNGS);
                let moved = |rate: Rate| centre.moved(Rate::from_raw(-rate.raw() * side.sign()));
                for tenths in 2..250 {
                    // So far above the bar; half of it may be given away, half of that on each leg.
                    let over = Rate::from_raw(Rate::from_bps(tenths).raw() / 10);
                    if missing + over <= Rate::ZERO {
                        continue;
                    }
                    let worst = moved(missing + over);
                    let limit = moved(missing + Rate::from_raw(over.raw() * 3 / 4));
                    let (low, high) = (worst.min(limit), worst.max(limit));
                    let fits = ready.iter().any(|&rung| rung >= low && rung <= high);
                    assert!(fits, "{side:?}, missing {missing:?}, {tenths} tenths above");
                }
            }
        }
    }

    #[test]
    fn a_coarse_tick_makes_few_rungs() {
        let prices: Vec<Price> = rungs(price("10"), Side::Buy, price("0.01"), None).collect();
        assert_eq!(prices.len(), 5, "{prices:?}");
        assert!(rungs(price("0.0001"), Side::Buy, price("1"), None).next().is_none(), "no price of zero");
    }

    #[test]
    fn an_unwind_finds_a_rung_wherever_its_collar_begins() {
        let (ask, tick) = (price("90000"), price("0.1"));
        let ready: Vec<Price> = unwinds(ask, Side::Sell, tick).collect();
        for spread in 0..60 {
            // The touch is up to 6 bps under the entry's price; the collar reaches 20 bps under the touch.
            let bid = ask.moved(Rate::from_raw(-Rate::from_bps(1).raw() * spread / 10));
            let limit = bid.moved(Rate::from_bps(-20));
            assert!(ready.iter().any(|&rung| rung >= limit && rung <= bid), "{spread}");
        }
    }

    #[test]
    fn a_ladder_is_renewed_while_its_trade_is_near_and_at_once_when_the_price_moves() {
        let mut schedule = Schedule::new(1);
        let due = |schedule: &mut Schedule, near: Option<Near>, ms| {
            near.into_iter().for_each(|near| schedule.take(near));
            schedule.due(Nanos::from_ms(ms)).is_some()
        };
        let all = &mut schedule;
        assert!(!due(all, None, 1));
        assert!(due(all, Some(near(1_000, "90000")), 1_000));
        assert!(!due(all, Some(near(1_100, "90001")), 1_199), "made a moment ago");
        assert!(due(all, None, 1_200));
        assert!(due(all, Some(near(1_210, "90020")), 1_210), "moved by two bps");
        assert!(due(all, None, 3_210), "kept for the mending");
        assert!(!due(all, None, 3_211), "no longer near");
        schedule.spent(Nanos::from_ms(3_300), Nanos::from_ms(3_400));
        schedule.take(near(3_500, "90000"));
        assert!(schedule.due(Nanos::from_ms(3_799)).is_none(), "the machine is slow");
        assert!(schedule.due(Nanos::from_ms(3_800)).is_some());
        let stranger = Near { pair: PairId(7), ..near(4_000, "1") };
        assert!(!due(&mut schedule, Some(stranger), 3_900));
    }
}
