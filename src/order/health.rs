//! What is watched beside orders: margin, signing keys, clocks, prices, funding, the ends of markets. A person is told
//! in time, entries stop by themselves, and pairs are reduced on both legs before a venue does it on one (SAFETY C8,
//! C15, M5, V6, V9, V11). Part of `order::core`.

use super::core::{Core, Effect, Effects};
use super::gate::{floor_lot, gross, within};
use super::pair::{Pair, Phase};
use crate::spread::view::is_absurd;
use crate::types::money::RATE_ONE;
use crate::types::order::Reason;
use crate::types::report::{AccountReport, Ask, KeyLife};
use crate::types::settings::MarginSettings;
use crate::types::{Nanos, Price, Qty, Rate, RecordKind, StopReason, Usd, VenueId};

/// What stays low is told again after this, ms; whoever pages a person bundles it further.
const TELL_AGAIN_MS: u64 = 60_000;
/// A venue short of margin is asked this often, ms.
const LOOK_EVERY_MS: u64 = 2_000;
/// A shortage is judged by a statement so much newer than what the legs last did, ms: nothing is reduced twice for one.
const REDUCED_AGAIN_AFTER_MS: u64 = 2_000;
const HOUR_MS: u64 = 3_600_000;
/// Clock readings in a row beyond the limit that halt: one may have waited in a queue on its way.
const CLOCK_READINGS: u32 = 2;
/// So many absurd prices of a pair within so long halt, ms: a venue that repeats them is not one to trade with.
const ABSURD_TIMES: u32 = 10;
const ABSURD_WITHIN_MS: u64 = 600_000;

/// What is known of a venue's margin, and what was said of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct MarginWatch {
    /// When the account that is judged was asked for.
    asked: Nanos,
    /// Pairs there are to be reduced.
    pub short: bool,
    /// A liquidation price is nearer than it may be.
    pub near: bool,
    told: Nanos,
    next_look: Nanos,
}

impl Core {
    /// An account as the venue has just stated it. `asked` = when it was asked for, where it was.
    pub(super) fn watch_margin(
        &mut self,
        now: Nanos,
        venue: VenueId,
        asked: Option<Nanos>,
        fx: &mut Effects,
    ) {
        let Some(account) = self.venues[venue.index()].account.filter(|_| !self.paper) else { return };
        let rules = self.settings.upkeep.margin;
        let held = gross(&self.pairs, venue);
        let free = if account.equity.raw() > 0 {
            account.free_margin.ratio(account.equity)
        } else if held.is_zero() {
            return;
        } else {
            Rate::ZERO
        };
        let near = self.pairs.iter().any(|pair| is_near_liquidation(pair, venue, &account, &rules));
        let watch = &mut self.venues[venue.index()].margin;
        watch.asked = asked.unwrap_or(watch.asked);
        watch.near = near;
        watch.short = !held.is_zero() && (near || free < rules.reduce_free);
        let reducing = watch.short;
        let low = near || free < rules.alert_free;
        let due = low && (watch.told == Nanos::NEVER || now.ms_since(watch.told) >= TELL_AGAIN_MS);
        watch.told = if due { now } else { watch.told };
        let runway = runway(&account, held, &rules);
        fx.push(Effect::Log(RecordKind::Margin { venue, free, runway }));
        if due {
            let wanted = wanted(&account, self.settings.risk.entry_free_margin);
            fx.push(Effect::Log(RecordKind::MarginLow { venue, free, wanted, reducing }));
        }
    }

    /// Halves every pair on a venue that is short of margin, both legs at once, and looks again.
    pub(super) fn tick_margin(&mut self, now: Nanos, fx: &mut Effects) {
        for venue in 0..self.venues.len() {
            let watch = &mut self.venues[venue].margin;
            if !watch.short {
                continue;
            }
            let (venue, asked) = (VenueId(venue as u8), watch.asked);
            if now >= watch.next_look {
                watch.next_look = now.plus_ms(LOOK_EVERY_MS);
                fx.push(Effect::Ask(Ask::Account { venue }));
            }
            for index in 0..self.pairs.len() {
                let pair = &self.pairs[index];
                let settled = |leg: usize| asked >= pair.moved[leg].plus_ms(REDUCED_AGAIN_AFTER_MS);
                if pair.leg_of(venue).is_some_and(settled) && pair.phase == Phase::Idle {
                    self.close_part(now, index, StopReason::Margin, half(pair), fx);
                }
            }
        }
    }

    /// Closes what is held on a market that its venue is about to take off (SAFETY V11).
    pub(super) fn tick_ends(&mut self, now: Nanos, fx: &mut Effects) {
        let lead_ms = u64::from(self.settings.upkeep.keys.spare_h) * HOUR_MS;
        for index in 0..self.pairs.len() {
            let pair = &self.pairs[index];
            if pair.opened && pair.ends_before(now.ms() + lead_ms) {
                self.close_part(now, index, StopReason::Ended, pair.book.hedged(), fx);
            }
        }
    }

    /// What is left of the keys: each hour, and at once when it becomes too little.
    pub(super) fn tick_keys(&mut self, now: Nanos, fx: &mut Effects) {
        let warn_h = u64::from(self.settings.upkeep.keys.warn_h);
        for (venue, facts) in self.venues.iter_mut().enumerate() {
            let hours = match facts.key {
                KeyLife::Endless => continue,
                KeyLife::Until(at_ms) => Some(at_ms.saturating_sub(now.ms()) / HOUR_MS),
                KeyLife::Untold => None,
            };
            let (venue, low) = (VenueId(venue as u8), hours.is_none_or(|hours| hours < warn_h));
            let was_low = std::mem::replace(&mut facts.key_low, low);
            let due = facts.key_told == Nanos::NEVER || now.ms_since(facts.key_told) >= HOUR_MS;
            if due || low && !was_low {
                facts.key_told = now;
                fx.push(Effect::Log(RecordKind::KeyLeft { venue, hours, low }));
            }
        }
    }

    pub(super) fn take_clock(&mut self, now: Nanos, venue: VenueId, offset_ms: i64, fx: &mut Effects) {
        let risk = &self.settings.risk;
        let off = offset_ms.unsigned_abs();
        let facts = &mut self.venues[venue.index()];
        facts.clock_offset_ms = offset_ms;
        let beyond = off > u64::from(risk.clock_halt_ms);
        facts.clock_beyond = if beyond { facts.clock_beyond + 1 } else { 0 };
        let halts = facts.clock_beyond >= CLOCK_READINGS;
        if off > u64::from(risk.clock_warn_ms) {
            let blocks = off > u64::from(risk.clock_no_entries_ms);
            fx.push(Effect::Log(RecordKind::ClockOffset { venue, ms: offset_ms, blocks }));
        }
        if halts {
            self.halt(now, venue, "clock offset", fx);
        }
    }

    /// A rate that cannot be meant is said once; `spread` does not reckon with it.
    pub(super) fn watch_funding(&mut self, index: usize, fx: &mut Effects) {
        let pair = &mut self.pairs[index];
        for leg in 0..2 {
            let absurd = is_absurd(pair.quotes[leg].ticker.funding_1h);
            if absurd && !pair.absurd.funding[leg] {
                let (id, venue, what) =
                    (pair.settings.id, pair.settings.venues[leg], Reason::cut("absurd funding rate"));
                fx.push(Effect::Log(RecordKind::Alarm { pair: id, venue, what }));
            }
            pair.absurd.funding[leg] = absurd;
        }
    }

    /// A price that cannot be meant is not traded on; where one comes again and again a person has to look.
    pub(super) fn watch_prices(&mut self, now: Nanos, index: usize, fx: &mut Effects) {
        let plausible = self.settings.risk.max_plausible;
        let pair = &mut self.pairs[index];
        let [first, second] = pair.quotes.each_ref().map(|quote| Price::mid(quote.bid, quote.ask));
        let priced = pair.quotes.iter().all(|quote| quote.tradable);
        let wild = pair.quotes.iter().position(|quote| quote.wild);
        let absurd = wild.is_some() || (priced && !within(second, first, plausible));
        if pair.absurd.is_once_too_often(absurd, now) {
            let venue = pair.settings.venues[wild.unwrap_or(1)];
            self.halt(now, venue, "absurd prices again and again", fx);
        }
    }
}

/// What the venues of a pair tell that cannot be meant.
#[derive(Clone, Copy, Debug, Default)]
pub struct Absurd {
    /// The funding rate of a leg; it was said.
    funding: [bool; 2],
    /// A price: one that has leapt, or two that lie too far apart (SAFETY M5).
    price: bool,
    /// How often one has come since then.
    times: u32,
    since: Nanos,
}

impl Absurd {
    /// Whether a price has just become absurd for the last time that is borne within a while.
    fn is_once_too_often(&mut self, absurd: bool, now: Nanos) -> bool {
        let comes = absurd && !self.price;
        self.price = absurd;
        if !comes {
            return false;
        }
        if now.ms_since(self.since) > ABSURD_WITHIN_MS {
            (self.since, self.times) = (now, 0);
        }
        self.times += 1;
        self.times == ABSURD_TIMES
    }
}

/// Half of what is hedged, on the common lot; all of it when a half is no order.
fn half(pair: &Pair) -> Qty {
    let (whole, lot) = (pair.book.hedged(), pair.common_lot().unwrap_or_default());
    let half = floor_lot(Qty::from_raw(whole.raw() / 2), lot);
    let takes = |rules: &crate::types::MarketRules| {
        half >= rules.min_qty && pair.book.reference.times(half) >= rules.min_notional
    };
    let legal = pair.rules.iter().flatten().all(takes) && !half.is_zero();
    if legal { half } else { whole }
}

fn is_near_liquidation(pair: &Pair, venue: VenueId, account: &AccountReport, rules: &MarginSettings) -> bool {
    let Some(leg) = pair.leg_of(venue) else { return false };
    let position = account.positions[pair.settings.id.index()];
    let quote = &pair.quotes[leg];
    let mid = Price::mid(quote.bid, quote.ask);
    let stated = !position.qty.is_zero() && position.liquidation_price.raw() > 0 && mid.raw() > 0;
    stated && (mid - position.liquidation_price).ratio(mid).abs() < rules.liquidation_distance
}

/// How far prices may run against what is held until the free margin is at its lower limit.
fn runway(account: &AccountReport, held: Usd, rules: &MarginSettings) -> Rate {
    if held.is_zero() {
        return Rate::from_raw(RATE_ONE);
    }
    let spare = account.free_margin - account.equity.part(rules.reduce_free);
    spare.max(Usd::ZERO).ratio(held).min(Rate::from_raw(RATE_ONE))
}

/// What has to be sent for the free margin to be `share` of equity again: `(share * equity - free) / (1 - share)`.
fn wanted(account: &AccountReport, share: Rate) -> Usd {
    let missing = account.equity.part(share) - account.free_margin;
    let rest = i128::from(RATE_ONE - share.raw()).max(1);
    Usd::from_raw((i128::from(missing.raw().max(0)) * i128::from(RATE_ONE) / rest) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_restores_the_share() {
        let usd = |dollars: i64| Usd::from_raw(dollars * 100_000_000);
        let account = AccountReport { equity: usd(100), free_margin: usd(28), ..AccountReport::default() };
        assert_eq!(wanted(&account, Rate::from_bps(4_000)), usd(20), "(28 + 20) of (100 + 20) is 40 %");
        let rich = AccountReport { free_margin: usd(80), ..account };
        assert_eq!(wanted(&rich, Rate::from_bps(4_000)), Usd::ZERO);
    }
}
