//! The gate: the only maker of [`Approved`], the permission that the one function which writes to a link takes. It
//! checks an entry against every cap, and a close against what must never be exceeded even in trouble. Pure.

use std::collections::VecDeque;

use super::facts::VenueFacts;
use super::mend;
use super::pair::Pair;
use super::throttle::Throttle;
use crate::spread::arithmetic;
use crate::types::money::RATE_ONE;
use crate::types::planted::planted;
use crate::types::record::Refusal;
use crate::types::settings::{RiskSettings, Upkeep, VenueSettings};
use crate::types::{
    Intent, MarketRules, MarketStatus, Nanos, OrderSpec, Price, Purpose, Qty, Rate, Settings, Side, Usd,
    VenueId, VenueMode,
};

/// Share of every rate budget that only closing orders may use (SAFETY §7, rate limits), of one in 10.
const CLOSING_RESERVE_TENTHS: u64 = 3;
/// An account that was last stated so many of its periods ago is not known: nobody answers there (SAFETY, rule 9).
const STATEMENT_PERIODS: u64 = 3;
/// An intent older than this was decided on a book that has moved on, ms.
const INTENT_AGE_MAX_MS: u64 = 100;
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 86_400_000;

/// An order that may leave. Made here only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Approved(OrderSpec);

impl Approved {
    pub fn spec(&self) -> &OrderSpec {
        &self.0
    }
}

/// Message budget of one venue: a bucket that fills with `per_s` tokens a second, in thousandths of a token.
#[derive(Clone, Copy, Debug)]
struct Budget {
    per_s: u64,
    tokens: u64,
    filled_at: Nanos,
}

impl Budget {
    fn refill(&mut self, now: Nanos) {
        let earned = now.ms_since(self.filled_at) * self.per_s;
        if earned > 0 {
            self.tokens = (self.tokens + earned).min(self.per_s * 1_000);
            self.filled_at = now;
        }
    }
}

pub struct Gate {
    risk: RiskSettings,
    /// Widest step of the ladder.
    max_unwind: Rate,
    budgets: Vec<Budget>,
    venues: Vec<VenueSettings>,
    upkeep: Upkeep,
    pub(super) throttle: Throttle,
    /// Definitive rejections of the last minute.
    errors: VecDeque<Nanos>,
}

impl Gate {
    pub fn new(settings: &Settings) -> Self {
        let (risk, venues) = (settings.risk, &settings.venues);
        let budget = |venue: &VenueSettings| Budget {
            per_s: u64::from(venue.orders_per_s),
            tokens: u64::from(venue.orders_per_s) * 1_000,
            filled_at: Nanos::NEVER,
        };
        Self {
            risk,
            max_unwind: settings.execution.max_unwind,
            budgets: venues.iter().map(budget).collect(),
            throttle: Throttle::new(settings.upkeep.throttle, &risk, venues.len()),
            venues: venues.clone(),
            upkeep: settings.upkeep.clone(),
            errors: VecDeque::with_capacity(risk.max_order_errors_per_min as usize + 1),
        }
    }

    /// A definitive rejection; true when there were too many in a minute.
    pub fn count_error(&mut self, at: Nanos) -> bool {
        self.errors.push_back(at);
        while self.errors.front().is_some_and(|&first| at.ms_since(first) > 60_000) {
            self.errors.pop_front();
        }
        self.errors.len() >= self.risk.max_order_errors_per_min as usize
    }

    /// Permission for both legs of an entry, or the first reason against it.
    pub fn approve_entry(
        &mut self,
        now: Nanos,
        pairs: &[Pair],
        intent: &Intent,
        specs: &[OrderSpec; 2],
        facts: &[VenueFacts],
    ) -> Result<[Approved; 2], Refusal> {
        let pair = pairs.get(intent.pair.index()).ok_or(Refusal::Minimum)?;
        if now.ms_since(intent.t_decide) > INTENT_AGE_MAX_MS {
            return Err(Refusal::OldIntent);
        }
        let tired = self.throttle.tripped(now).is_some() || !self.throttle.has_room(now);
        if tired && !planted("entry_throttle_off") {
            return Err(Refusal::Rate);
        }
        let mut notional = Usd::ZERO;
        for spec in specs {
            let leg = pair.leg_of(spec.venue).ok_or(Refusal::Minimum)?;
            let venue = facts.get(spec.venue.index()).ok_or(Refusal::LinkDown)?;
            let rules = pair.rules[leg].ok_or(Refusal::NotReconciled)?;
            if pair.ends_before(self.needed_until(now)) {
                return Err(Refusal::VenueState);
            }
            self.check_venue(now, spec.venue, venue)?;
            self.check_book(now, pair, leg)?;
            check_minimums(spec, &rules, intent.mid, self.max_unwind)?;
            self.check_caps(spec, venue, &rules, intent.mid)?;
            self.check_collar(spec, pair, &rules)?;
            self.check_budget(now, spec)?;
            notional += intent.mid.times(spec.qty);
        }
        if notional > self.risk.max_pair_notional {
            return Err(Refusal::PairCap);
        }
        if !self.pays(pair) {
            return Err(Refusal::Fees);
        }
        self.check_skew(pair)?;
        if net_delta(pairs) > self.risk.max_net_delta {
            return Err(Refusal::PairCap);
        }
        Ok([self.grant(&specs[0]), self.grant(&specs[1])])
    }

    /// Permission for an order that closes, completes or unwinds. Caps of entries do not hold it back; its size and its
    /// price are still bounded (SAFETY I8, I9).
    pub fn approve_mending(
        &mut self,
        now: Nanos,
        pair: &Pair,
        spec: &OrderSpec,
    ) -> Result<Approved, Refusal> {
        let leg = pair.leg_of(spec.venue).ok_or(Refusal::Minimum)?;
        let held = pair.book.legs[leg].qty;
        if spec.reduce_only && (spec.qty > held.abs() || held.raw().signum() == spec.side.sign()) {
            return Err(Refusal::Minimum);
        }
        // What opens in a mend brings no more than is missing.
        let net = pair.book.net();
        let brings_more = spec.qty > net.abs() || net.raw().signum() == spec.side.sign();
        let mistaken = planted("close_not_reduce_only") || planted("completes_the_wrong_side");
        if !spec.reduce_only && (brings_more || spec.purpose != Purpose::Complete) && !mistaken {
            return Err(Refusal::Minimum);
        }
        if spec.qty.raw() <= 0 || spec.limit.raw() <= 0 {
            return Err(Refusal::Minimum);
        }
        if self.is_reckless(spec, pair, leg) {
            return Err(Refusal::Collar);
        }
        let budget = self.budgets.get_mut(spec.venue.index()).ok_or(Refusal::Rate)?;
        budget.refill(now);
        if budget.tokens < 1_000 {
            return Err(Refusal::Rate);
        }
        Ok(self.grant(spec))
    }

    /// A close gives away more than any step of the ladder may (SAFETY I8): the last check against our own arithmetic.
    fn is_reckless(&self, spec: &OrderSpec, pair: &Pair, leg: usize) -> bool {
        let Some(seen) = mend::best_price(pair, leg, spec.side) else { return true };
        let widest = self.max_unwind.max(self.risk.price_collar);
        let given = match spec.side {
            Side::Buy => spec.limit - seen,
            Side::Sell => seen - spec.limit,
        };
        given.ratio(seen) > widest
    }

    fn grant(&mut self, spec: &OrderSpec) -> Approved {
        let budget = &mut self.budgets[spec.venue.index()];
        budget.tokens = budget.tokens.saturating_sub(1_000);
        Approved(*spec)
    }

    /// Orders of the last 24 hours, where the profile has a budget (sheet `paradex`, 7: Retail).
    fn check_day(&mut self, now: Nanos, venue: VenueId) -> Result<(), Refusal> {
        let budget = self.venues[venue.index()].orders_per_day;
        let full = budget > 0 && self.throttle.orders_of_day(venue, now) >= budget;
        if full && !planted("entry_throttle_off") { Err(Refusal::Rate) } else { Ok(()) }
    }

    fn check_venue(&self, now: Nanos, id: VenueId, venue: &VenueFacts) -> Result<(), Refusal> {
        if (!venue.ready || now < venue.settled_at) && !planted("enters_without_private_stream") {
            return Err(Refusal::LinkDown);
        }
        if !self.is_reconciled(now, venue) {
            return Err(Refusal::NotReconciled);
        }
        let planned = self.venues[id.index()].maintenance_minute;
        let mode_ok = venue.mode == VenueMode::Ok || planted("venue_mode_ignored");
        if !mode_ok || planned.is_some_and(|at| near_maintenance(now, at, &self.upkeep)) {
            return Err(Refusal::VenueState);
        }
        if !venue.key.lasts_until(self.needed_until(now)) {
            return Err(Refusal::KeyExpiry);
        }
        let off_ms = venue.clock_offset_ms.unsigned_abs();
        if off_ms > u64::from(self.risk.clock_no_entries_ms) && !planted("clock_offset_ignored") {
            return Err(Refusal::ClockOffset);
        }
        Ok(())
    }

    /// What the venue holds is known, and known since not too long ago.
    pub fn is_reconciled(&self, now: Nanos, venue: &VenueFacts) -> bool {
        venue.reconciled && !self.is_unread(now, venue)
    }

    /// The account has been asked for in vain for several periods of the reconciliation.
    pub fn is_unread(&self, now: Nanos, venue: &VenueFacts) -> bool {
        let max_ms = STATEMENT_PERIODS * u64::from(self.upkeep.reconcile.positions_s) * 1_000;
        venue.stated.is_some_and(|asked| now.ms_since(asked) > max_ms)
    }

    /// A key, and the market itself, must outlive the longest hold and a day to spare; closing is never blocked by it
    /// (SAFETY C8, V11).
    fn needed_until(&self, now: Nanos) -> u64 {
        let spare = u64::from(self.upkeep.keys.spare_h) * HOUR_MS;
        now.ms() + u64::from(self.risk.max_hold_s) * 1_000 + spare
    }

    /// The book is fresh and sane at the send too, not only at the decision (SAFETY I6).
    fn check_book(&self, now: Nanos, pair: &Pair, leg: usize) -> Result<(), Refusal> {
        let quote = &pair.quotes[leg];
        let age_max = self.venues[pair.settings.venues[leg].index()].max_book_age_ms;
        let fresh = now.ms_since(quote.t_wire) <= u64::from(age_max) || planted("age_of_books_ignored");
        if !quote.tradable || !fresh {
            return Err(Refusal::Stale);
        }
        let told = quote.ticker.status != MarketStatus::Untold;
        if !told || pair.is_halted(leg) { Err(Refusal::VenueState) } else { Ok(()) }
    }

    fn check_skew(&self, pair: &Pair) -> Result<(), Refusal> {
        let [a, b] = [pair.quotes[0].t_wire, pair.quotes[1].t_wire];
        let apart = a.ms_since(b).max(b.ms_since(a));
        if apart > u64::from(self.risk.max_skew_ms) { Err(Refusal::Skewed) } else { Ok(()) }
    }

    fn check_caps(
        &self,
        spec: &OrderSpec,
        venue: &VenueFacts,
        rules: &MarketRules,
        mid: Price,
    ) -> Result<(), Refusal> {
        let notional = mid.times(spec.qty);
        if notional > self.risk.max_order_notional {
            return Err(Refusal::OrderCap);
        }
        if venue.gross + notional > self.risk.max_gross_notional && !planted("gross_cap_off") {
            return Err(Refusal::GrossCap);
        }
        let Some(account) = venue.account else { return Err(Refusal::NotReconciled) };
        let free = account.free_margin.min(account.equity - venue.tied);
        let left = free - notional.part(self.margin_rate(rules));
        if venue.margin.near || left < account.equity.part(self.risk.entry_free_margin) {
            return Err(Refusal::Margin);
        }
        Ok(())
    }

    /// Share of a notional that a position ties up: the venue's initial margin, and not less than our own leverage.
    fn margin_rate(&self, rules: &MarketRules) -> Rate {
        rules.initial_margin.max(Rate::from_raw(RATE_ONE / i64::from(self.risk.leverage.max(1))))
    }

    /// Refreshes the worst case of what the pairs hold and have in flight on a venue.
    pub fn measure(&self, pairs: &[Pair], venue: VenueId, facts: &mut VenueFacts) {
        facts.gross = gross(pairs, venue);
        facts.tied = pairs.iter().fold(Usd::ZERO, |sum, pair| {
            let rules = pair.leg_of(venue).and_then(|leg| pair.rules[leg]);
            let rate = rules.map_or(Rate::from_raw(RATE_ONE), |rules| self.margin_rate(&rules));
            sum.saturating_add(worst_notional(pair, venue).part(rate))
        });
    }

    /// The thresholds of the pair still pay at the fees that its venues tell now.
    pub fn pays(&self, pair: &Pair) -> bool {
        let [Some(a), Some(b)] = &pair.rules else { return false };
        arithmetic::pays(&pair.settings, &self.risk, [a.taker, b.taker])
    }

    /// The limit is near our own book, the other venue's book and both marks, and inside the venue's band.
    fn check_collar(&self, spec: &OrderSpec, pair: &Pair, rules: &MarketRules) -> Result<(), Refusal> {
        for quote in &pair.quotes {
            let mid = Price::mid(quote.bid, quote.ask);
            if !within(spec.limit, mid, self.risk.price_collar) {
                return Err(Refusal::Collar);
            }
        }
        let own = pair.leg_of(spec.venue);
        for (leg, quote) in pair.quotes.iter().enumerate().filter(|(_, quote)| !quote.ticker.mark.is_zero()) {
            let banded = Some(leg) == own && !rules.price_band.is_zero();
            let band = if banded { rules.price_band } else { self.risk.price_collar };
            if !within(spec.limit, quote.ticker.mark, band.min(self.risk.price_collar)) {
                return Err(Refusal::Collar);
            }
        }
        Ok(())
    }

    /// An entry leaves the closing reserve untouched: it may need two more orders to come home.
    fn check_budget(&mut self, now: Nanos, spec: &OrderSpec) -> Result<(), Refusal> {
        self.check_day(now, spec.venue)?;
        let budget = self.budgets.get_mut(spec.venue.index()).ok_or(Refusal::Rate)?;
        budget.refill(now);
        let reserve = budget.per_s * 1_000 * CLOSING_RESERVE_TENTHS / 10;
        if budget.tokens < reserve + 1_000 { Err(Refusal::Rate) } else { Ok(()) }
    }
}

/// From some minutes before a weekday's planned maintenance until a while after its beginning; from then on the venue's
/// own mode tells (SAFETY V4).
fn near_maintenance(now: Nanos, minute: u32, upkeep: &Upkeep) -> bool {
    let before = u64::from(upkeep.maintenance.entries_off_before_s) * 1_000;
    let after = u64::from(upkeep.maintenance.entries_on_after_s) * 1_000;
    let today = now.ms() / DAY_MS;
    [today, today + 1].into_iter().any(|day| {
        // The first of January 1970 was a Thursday, day 3 of a week that begins on Monday.
        let weekday = (day + 3) % 7 < 5;
        let start = day * DAY_MS + u64::from(minute) * 60_000;
        weekday && now.ms() + before >= start && now.ms() < start + after
    })
}

/// Sum of what the pairs hold unhedged at the worst end of what their unknown orders may have become, valued at the
/// books' reference.
fn net_delta(pairs: &[Pair]) -> Usd {
    let lone = |pair: &Pair| pair.book.reference.times(pair.worst_net());
    pairs.iter().fold(Usd::ZERO, |sum, pair| sum.saturating_add(lone(pair)))
}

/// What the venue asks of the order, and of the one that would unwind it at the far end of the ladder.
fn check_minimums(
    spec: &OrderSpec,
    rules: &MarketRules,
    mid: Price,
    max_unwind: Rate,
) -> Result<(), Refusal> {
    let off_step = spec.qty.raw() % rules.lot.raw() != 0 || spec.limit.raw() % rules.tick.raw() != 0;
    let too_large = !rules.max_qty.is_zero() && spec.qty > rules.max_qty;
    let unwound = mid.moved(-max_unwind).times(spec.qty);
    if off_step || too_large || spec.qty < rules.min_qty || unwound < rules.min_notional {
        return Err(Refusal::Minimum);
    }
    Ok(())
}

/// Whether `price` is within `band` of `of`; never when `of` is unknown.
pub fn within(price: Price, of: Price, band: Rate) -> bool {
    !of.is_zero() && (price - of).ratio(of).abs() <= band
}

/// Worst-case notional of every pair on one venue.
pub fn gross(pairs: &[Pair], venue: VenueId) -> Usd {
    pairs.iter().fold(Usd::ZERO, |sum, pair| sum.saturating_add(worst_notional(pair, venue)))
}

/// Worst-case notional of a pair on one venue.
fn worst_notional(pair: &Pair, venue: VenueId) -> Usd {
    let Some(leg) = pair.leg_of(venue) else { return Usd::ZERO };
    let quote = &pair.quotes[leg];
    let price = if quote.bid.is_zero() { pair.book.reference } else { Price::mid(quote.bid, quote.ask) };
    price.times(pair.worst_case(leg))
}

/// Largest multiple of `lot` not above `qty`, or zero.
pub fn floor_lot(qty: Qty, lot: Qty) -> Qty {
    if lot.raw() <= 0 { Qty::ZERO } else { qty.floor_to(lot) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> Settings {
        let shipped = crate::config::parse("shipped.toml", "", &crate::venue::REGISTRY);
        shipped.map_or_else(|error| panic!("{error}"), |config| config.settings)
    }

    /// As shipped: 15 minutes before, one minute after.
    fn upkeep() -> Upkeep {
        shipped().upkeep
    }

    #[test]
    fn what_is_brought_in_a_mend_is_no_more_than_what_is_missing() {
        let settings = shipped();
        let mut gate = Gate::new(&settings);
        let mut pair = Pair::new(settings.pairs[0].clone());
        pair.book.legs[0].qty = Qty::from_raw(-500);
        for quote in &mut pair.quotes {
            (quote.bid, quote.ask) = (Price::from_raw(10_000_000), Price::from_raw(10_000_100));
        }
        let mut allows = |side, qty, purpose| {
            let spec = OrderSpec {
                id: Default::default(),
                venue: pair.settings.venues[1],
                pair: pair.settings.id,
                side,
                purpose,
                qty: Qty::from_raw(qty),
                limit: Price::from_raw(10_000_000),
                reduce_only: false,
                signed_ms: 0,
                nonce: 0,
                window_ms: 500,
            };
            gate.approve_mending(Nanos::from_ms(1_000), &pair, &spec).is_ok()
        };
        assert!(allows(Side::Buy, 500, Purpose::Complete));
        assert!(!allows(Side::Buy, 501, Purpose::Complete), "more than is missing");
        assert!(!allows(Side::Sell, 500, Purpose::Complete), "the wrong way");
        assert!(!allows(Side::Buy, 500, Purpose::Exit), "a close that is not reduce-only");
    }

    #[test]
    fn entries_stop_before_a_weekdays_maintenance_and_not_before_a_saturdays() {
        // 2026-11-23 is a Monday: 20,780 days after the epoch.
        let monday = 20_780 * DAY_MS;
        let at = |day: u64, minute: u64, second: u64| Nanos::from_ms(day + minute * 60_000 + second * 1_000);
        let near = |now| near_maintenance(now, 4 * 60 + 30, &upkeep());
        assert!(!near(at(monday, 254, 59)));
        assert!(near(at(monday, 255, 0)));
        assert!(near(at(monday, 270, 59)));
        assert!(!near(at(monday, 271, 0)));
        assert!(!near(at(monday - 2 * DAY_MS, 265, 0)), "a Saturday");
        assert!(near_maintenance(at(monday - 1, 0, 0), 5, &upkeep()), "a lead that begins on Sunday night");
    }
}
