//! When every order of a pair is terminal: is it flat, held, or does one leg hold more than the other? The one routine
//! that must not fail is `Core::mend` (SAFETY §2.3): it never ends on "retries exhausted". Part of `order::core`.

use super::core::{Core, Effect, Effects, day_of};
use super::mend::{self, Mend};
use super::modes::LOSING;
use super::pair::{Pair, Phase};
use crate::journal::entry::Entry;
use crate::types::order::Reason;
use crate::types::planted::planted;
use crate::types::report::Ask;
use crate::types::settings::RiskSettings;
use crate::types::{Mode, Nanos, OrderState, Purpose, Rate, RecordKind, StopReason, Usd, VenueId, VenueMode};

/// A confirmation that has not come by then is not waited for, ms: time for a query without an answer and one with.
const CONFIRM_MAX_MS: u64 = 12_000;
const ALARM_EVERY_MS: u64 = 5_000;
/// Longest pause between two mending orders, ms.
const MEND_PAUSE_MAX_MS: u64 = 1_000;
/// Pause before a mend that found no price or no venue looks again, ms.
const MEND_RECHECK_MS: u64 = 50;
/// Pause after an exit that did not fill, ms.
const EXIT_PAUSE_MS: u64 = 200;
/// The same after the close left one leg and it was brought back, where a person wants the pair closed.
const BROUGHT_BACK_PAUSE_MS: u64 = 2_000;
/// So often these double, while one exit after another is in vain.
const PAUSE_DOUBLINGS: u32 = 3;
/// Refusals of an unwind in a row after which the other venue has to take the leg: two or three seconds.
const PUT_OFF_MAX: u32 = 4;
/// A venue to which nothing can be sent is waited for so long, ms: most lost connections are back by then.
const AWAY_MAX_MS: u64 = 2_000;

impl Core {
    /// Looks at a pair after anything has changed and does the next thing that it needs.
    pub(super) fn settle(&mut self, now: Nanos, index: usize, fx: &mut Effects) {
        let pair = &self.pairs[index];
        let Some(lot) = pair.common_lot() else { return };
        let lone = pair.is_lone();
        self.watch_lone(now, index, lone);
        let pair = &self.pairs[index];
        if pair.has_live_orders() && !planted("mends_while_unknown") {
            return self.alarm_lone(now, index, fx);
        }
        let lone = lone && !planted("lone_leg_ignored");
        if lone || (pair.book.hedged() < lot && !pair.book.is_flat() && sweepable(pair).is_some()) {
            return self.mend(now, index, fx);
        }
        if pair.phase == Phase::Idle || self.waits_for_confirmation(now, index) {
            return;
        }
        self.finish(now, index, fx);
    }

    /// Keeps the time for which one leg was known to hold more than the other.
    fn watch_lone(&mut self, now: Nanos, index: usize, lone: bool) {
        let pair = &mut self.pairs[index];
        if lone && pair.lone_since == Nanos::NEVER {
            pair.lone_since = now;
        } else if !lone && pair.lone_since != Nanos::NEVER {
            pair.lone_ns = now.since(pair.lone_since);
            pair.lone_since = Nanos::NEVER;
        }
    }

    fn waits_for_confirmation(&mut self, now: Nanos, index: usize) -> bool {
        let pair = &mut self.pairs[index];
        if !pair.awaits_confirmation() {
            return false;
        }
        if now.ms_since(pair.touched) < CONFIRM_MAX_MS {
            return true;
        }
        pair.orders.iter_mut().flatten().for_each(|order| order.unconfirmed = false);
        false
    }

    /// Nothing in flight and the legs match: the pair is flat or held.
    fn finish(&mut self, now: Nanos, index: usize, fx: &mut Effects) {
        let pair = &self.pairs[index];
        // Less than a lot on both legs is no pair: no exit could take it along (SAFETY V7).
        let held = pair.common_lot().is_some_and(|lot| pair.book.hedged() >= lot);
        let phase = pair.phase;
        self.log_mended(index, phase, fx);
        match (held, self.pairs[index].opened) {
            (true, false) => self.opened(now, index, fx),
            (true, true) => {
                let pause = self.exit_pause_ms(index);
                self.pairs[index].exit_after = now.plus_ms(pause);
            }
            (false, _) => {
                self.flat(now, index, phase, fx);
                self.tell_rest(index, fx);
            }
        }
        let pair = &mut self.pairs[index];
        pair.phase = Phase::Idle;
        let vain_exits = if held { pair.mend.vain_exits } else { 0 };
        pair.mend = Mend { vain_exits, ..Mend::default() };
        pair.lone_ns = 0;
        let pause = cooldown(&self.settings.risk, phase);
        pair.cool_until = now.plus_ms(pause);
    }

    /// A close that a venue refused, or whose closed leg had to be brought back, is not tried again at once, and later
    /// each time: a closed market stays closed for a while, and bringing a leg back costs fees and the spread.
    fn exit_pause_ms(&mut self, index: usize) -> u64 {
        let wanted = self.halt_flattens || self.stop.as_ref().is_some_and(|stop| stop.flatten);
        let cooldown_ms = u64::from(self.settings.risk.failed_leg_cooldown_ms);
        let pair = &mut self.pairs[index];
        let brought_back = matches!(pair.phase, Phase::Mending { .. }) && pair.mend.last_completed;
        let refused = pair.orders.iter().flatten().any(|order| order.state == OrderState::Rejected);
        let first = match (brought_back, wanted) {
            (true, false) => return cooldown_ms,
            (true, true) => BROUGHT_BACK_PAUSE_MS,
            (false, _) => EXIT_PAUSE_MS,
        };
        let before = pair.mend.vain_exits;
        pair.mend.vain_exits = if brought_back || refused { before + 1 } else { 0 };
        first << before.min(PAUSE_DOUBLINGS)
    }

    fn opened(&mut self, now: Nanos, index: usize, fx: &mut Effects) {
        let pair = &self.pairs[index];
        let Some(direction) = pair.book.direction else { return };
        let qty = pair.book.hedged();
        let spread = entry_spread(pair);
        let (decision_ns, skew) = (decision_to(now, pair), fill_skew(pair));
        let id = pair.settings.id;
        self.record(Entry::PairOpened { pair: id, direction, qty, spread, at: now }, fx);
        fx.push(Effect::Log(RecordKind::EntryExecuted {
            pair: id,
            direction,
            spread,
            qty,
            decision_to_terminal_ns: decision_ns,
            fill_skew_ns: skew,
        }));
    }

    fn flat(&mut self, now: Nanos, index: usize, phase: Phase, fx: &mut Effects) {
        let pair = &self.pairs[index];
        if !pair.book.has_traded() {
            return;
        }
        let ledger = pair.book.ledger();
        let reason = match (phase, pair.decision.and_then(|decision| decision.kind)) {
            (Phase::Closing(reason), _) => reason,
            _ if pair.gone => StopReason::Gone,
            (_, Some(crate::types::IntentKind::Exit(reason))) => reason,
            _ => StopReason::Operator,
        };
        let spread = pair.decision.map_or(Rate::ZERO, |decision| decision.edge - decision.basis);
        let (decision_ns, skew) = (decision_to(now, pair), fill_skew(pair));
        let (id, opened) = (pair.settings.id, pair.opened);
        self.record(Entry::PairClosed { pair: id, reason, spread, ledger, at: now }, fx);
        if opened {
            fx.push(Effect::Log(RecordKind::ExitExecuted {
                pair: id,
                spread,
                pnl: ledger.total(),
                reason,
                decision_to_terminal_ns: decision_ns,
                fill_skew_ns: skew,
            }));
        }
        self.judge(now, fx);
    }

    /// What no order can close waits for a person.
    fn tell_rest(&self, index: usize, fx: &mut Effects) {
        let pair = &self.pairs[index];
        if !pair.book.is_flat() {
            let (id, venue) = (pair.settings.id, pair.settings.venues[mend::heavy_leg(pair)]);
            let what = Reason::cut("less than the venue trades is left: close it there");
            fx.push(Effect::Log(RecordKind::Alarm { pair: id, venue, what }));
        }
    }

    /// Does what the results forbid. Until every account has been read, the last word is not spoken.
    fn judge(&mut self, now: Nanos, fx: &mut Effects) {
        self.totals.unjudged &= !self.knows_equity();
        match self.verdict(now) {
            Some((Mode::Halted, why)) => self.halt(now, VenueId(0), why, fx),
            Some((mode, why)) => self.set_mode(now, mode, why, fx),
            None => {}
        }
    }

    /// What the results of the day and of the last pairs forbid: the mode that they ask for, and why.
    fn verdict(&self, now: Nanos) -> Option<(Mode, &'static str)> {
        let today = self.totals.day == day_of(now);
        let lost = if today { -self.totals.day_result } else { Usd::ZERO };
        let share = self.settings.upkeep.pauses.daily_loss_share;
        let of_equity = !share.is_zero() && !self.equity().is_zero() && lost > self.equity().part(share);
        if (lost > self.settings.risk.daily_loss || of_equity) && !planted("daily_loss_ignored") {
            return Some((Mode::Halted, "daily loss limit"));
        }
        let in_a_row = self.totals.losing_in_a_row >= self.settings.risk.losing_pairs_pause;
        (in_a_row && self.comes_to_active()).then_some((Mode::Paused, LOSING))
    }

    /// The last run may have died between a close and what its result forbids: the next one begins with that. What a
    /// person has lifted since is not asked for again.
    pub(super) fn judge_recovered(&mut self, now: Nanos) {
        if let Some((mode, why)) = self.verdict(now).filter(|_| self.totals.unjudged) {
            self.apply_mode(mode, Reason::cut(why), now);
        }
    }

    /// The same for a loss that is a share of what the accounts hold, as soon as all of them have been read.
    pub(super) fn judge_by_equity(&mut self, now: Nanos, fx: &mut Effects) {
        if self.totals.unjudged && self.knows_equity() {
            self.judge(now, fx);
        }
    }

    fn knows_equity(&self) -> bool {
        self.venues.iter().all(|facts| facts.account.is_some())
    }

    /// Equity over all venues, as last stated.
    fn equity(&self) -> Usd {
        let stated = self.venues.iter().filter_map(|facts| facts.account);
        stated.fold(Usd::ZERO, |sum, report| sum.saturating_add(report.equity))
    }

    /// One leg too many: take the cheaper way home that can be taken now, again and again, until there is none.
    fn mend(&mut self, now: Nanos, index: usize, fx: &mut Effects) {
        self.begin_mend(now, index);
        self.count_miss(index, fx);
        let gave_up = planted("gives_up_after_three_tries") && self.pairs[index].mend.tries >= 3;
        if now < self.pairs[index].mend.next_try || gave_up || self.may_be_hedged(now, index) {
            return;
        }
        let means = self.means(now, index);
        let pair = &self.pairs[index];
        let route = match sweepable(pair) {
            Some(leg) if !pair.is_lone() => {
                mend::unwind(pair, leg, pair.book.legs[leg].qty.abs(), &self.settings)
            }
            _ => mend::choose(pair, means, &self.settings),
        };
        let sent = route.is_some_and(|route| {
            let sent = self.send_route(now, index, &route, fx);
            if sent {
                self.after_route(now, index, &route, fx);
            }
            sent
        });
        if !sent {
            self.pairs[index].mend.next_try = now.plus_ms(MEND_RECHECK_MS);
        }
        self.alarm_lone(now, index, fx);
    }

    fn begin_mend(&mut self, now: Nanos, index: usize) {
        let pair = &mut self.pairs[index];
        if let Phase::Mending { .. } = pair.phase {
            return;
        }
        let since = if pair.lone_since == Nanos::NEVER { now } else { pair.lone_since };
        let Mend { not_before, put_off, vain_exits, .. } = pair.mend;
        pair.phase = Phase::Mending { since };
        pair.mend = Mend {
            not_before,
            put_off,
            vain_exits,
            progress: now,
            last_alarm: now,
            cost_before: pair.book.unwinds.raw(),
            began: now,
            ..Mend::default()
        };
    }

    /// An unwind that was sent at a price and did not fill widens the next one's collar.
    fn count_miss(&mut self, index: usize, fx: &mut Effects) {
        let bands = self.settings.upkeep.mending.unwind_bands.len();
        let pair = &mut self.pairs[index];
        for order in pair.orders.iter().flatten() {
            if Some(order.id()) != pair.mend.last {
                continue;
            }
            pair.mend.last = None;
            let missed = order.spec.purpose == Purpose::Unwind && order.state == OrderState::NoFill;
            pair.mend.missed_unwinds += u32::from(missed);
            // The collar was at its widest: this venue trades elsewhere than its book says.
            let beyond = missed && pair.mend.missed_unwinds as usize > bands;
            let refused = match order.state {
                OrderState::Rejected => 1,
                // None of its connections was free.
                OrderState::NeverAccepted if order.sent_at == Nanos::NEVER => 1,
                // It was waited for as long as for two refusals.
                OrderState::NeverAccepted => 2,
                _ => 0,
            };
            pair.mend.put_off[order.leg] += refused + u32::from(beyond);
            pair.mend.refused = (refused > 0 || beyond).then_some(order.leg);
            if order.spec.reduce_only && order.done.filled.is_zero() {
                // Perhaps there is nothing left to reduce.
                fx.push(Effect::Ask(Ask::Account { venue: order.spec.venue }));
            }
            if !order.done.filled.is_zero() {
                pair.mend.progress = order.filled_at;
                pair.mend.put_off[order.leg] = 0;
                let halvings = &mut pair.mend.halvings[order.leg];
                *halvings = halvings.saturating_sub(1);
            }
        }
    }

    fn after_route(&mut self, now: Nanos, index: usize, route: &mend::Route, fx: &mut Effects) {
        let retry = &self.settings.execution;
        let (max, delay) = (retry.retry_attempts, u64::from(retry.retry_delay_ms));
        let seq = self.seq;
        let (id, epoch) = (self.pairs[index].settings.id, self.epoch);
        let pair = &mut self.pairs[index];
        let venue = pair.settings.venues[route.leg];
        pair.mend.tries += 1;
        pair.mend.last = Some(crate::types::ClientId { epoch, seq, leg: route.leg as u8 });
        let pause = (delay << pair.mend.tries.min(3).saturating_sub(1)).min(MEND_PAUSE_MAX_MS);
        pair.mend.next_try = now.plus_ms(pause);
        pair.mend.last_completed = route.purpose == Purpose::Complete;
        let (complete, cost, instead) = (pair.mend.last_completed, route.cost, route.instead);
        fx.push(Effect::Log(RecordKind::MendRoute { pair: id, venue, complete, cost, instead }));
        if pair.mend.last_completed {
            pair.mend.completions += 1;
            pair.mend.spent = pair.mend.completions >= max;
            let attempt = pair.mend.completions;
            fx.push(Effect::Log(RecordKind::Retry { pair: id, venue, attempt, max }));
        } else if !pair.mend.announced {
            pair.mend.announced = true;
            let notional = route.expected.times(route.qty);
            let (qty, complete) = (route.qty, false);
            fx.push(Effect::Log(RecordKind::AutoClose { pair: id, venue, qty, complete, notional }));
        }
    }

    fn alarm_lone(&mut self, now: Nanos, index: usize, fx: &mut Effects) {
        let pair = &mut self.pairs[index];
        // An order without an outcome holds up the mending: that one leg is alone is told all the same.
        let (since, mending) = match pair.phase {
            Phase::Mending { since } => (since, true),
            _ if pair.lone_since != Nanos::NEVER => (pair.lone_since, false),
            _ => return,
        };
        let naked_ms = now.ms_since(since);
        let late = naked_ms > u64::from(self.settings.risk.max_naked_ms);
        if late && now.ms_since(pair.mend.last_alarm) >= ALARM_EVERY_MS {
            pair.mend.last_alarm = now;
            let (id, venue) = (pair.settings.id, pair.settings.venues[mend::heavy_leg(pair)]);
            let what = Reason::cut("lone leg not mended yet");
            fx.push(Effect::Log(RecordKind::Alarm { pair: id, venue, what }));
        }
        let stuck = mending && now.ms_since(pair.mend.progress) > self.no_progress_ms();
        if stuck && self.mode != Mode::Halted {
            self.set_mode(now, Mode::Halted, "lone leg without progress", fx);
        }
    }

    fn no_progress_ms(&self) -> u64 {
        u64::from(self.settings.upkeep.mending.no_progress_halt_s) * 1_000
    }

    fn log_mended(&mut self, index: usize, phase: Phase, fx: &mut Effects) {
        if !matches!(phase, Phase::Mending { .. }) {
            return;
        }
        let pair = &self.pairs[index];
        let one_leg_ns = pair.lone_ns;
        let wire = pair.orders.iter().flatten().map(|order| order.stamps.t_send).max().unwrap_or_default();
        fx.push(Effect::Log(RecordKind::Mended {
            pair: pair.settings.id,
            one_leg_ns,
            wire_ns: if pair.mend.tries == 1 { wire.since(pair.mend.began) } else { 0 },
            completed: pair.mend.last_completed,
            cost: Usd::from_raw(pair.book.unwinds.raw() - pair.mend.cost_before),
        }));
    }

    fn means(&self, now: Nanos, index: usize) -> mend::Means {
        let pair = &self.pairs[index];
        let off = planted("mode_holds_back_mending") && self.mode != Mode::Active;
        let rested = |leg: usize| now >= pair.mend.not_before[leg] && !off;
        let closing = [0, 1].map(|leg| rested(leg) && self.takes_closes(pair.settings.venues[leg]));
        // Nothing is brought beside a leg that may be gone, nor where a lost order may have brought it already.
        let missing = |leg: usize| !pair.is_doubted(1 - leg) && !self.may_hold_lost(pair, leg);
        let opening =
            [0, 1].map(|leg| rested(leg) && missing(leg) && self.takes_orders(pair.settings.venues[leg]));
        // A venue that takes nothing now will not take it in the next seconds either.
        let heavy = mend::heavy_leg(pair);
        let venue = pair.settings.venues[heavy];
        let shut = !self.venues[venue.index()].mode.takes_closes();
        let away = !self.takes_closes(venue) && now.ms_since(pair.mend.began) > AWAY_MAX_MS;
        // What its venue still shows is there: an unwind is also refused because nothing is left of the leg.
        let put_off = pair.mend.put_off[heavy] >= PUT_OFF_MAX && pair.confirmed[heavy] > pair.mend.began;
        let refuses = shut || away || pair.is_halted(heavy) || put_off;
        let desperate = refuses || now.ms_since(pair.mend.progress) > self.no_progress_ms();
        mend::Means { closing, opening, completing: self.mode != Mode::Halted, desperate }
    }

    /// The venue takes orders now.
    fn takes_orders(&self, venue: VenueId) -> bool {
        let facts = &self.venues[venue.index()];
        facts.ready && matches!(facts.mode, VenueMode::Ok)
    }

    /// The venue takes orders that close, if need be over REST: what becomes of them is asked for.
    pub fn takes_closes(&self, venue: VenueId) -> bool {
        let facts = &self.venues[venue.index()];
        let by_rest = facts.rest_answers && self.settings.venues[venue.index()].closes_by_rest;
        (facts.ready || by_rest) && facts.mode.takes_closes()
    }

    /// Both legs can be closed now: one that goes into a market that is halted leaves the other alone.
    pub(super) fn takes_both_closes(&self, pair: &Pair) -> bool {
        (0..2).all(|leg| self.takes_closes(pair.settings.venues[leg]) && !pair.is_halted(leg))
    }

    /// What recovery found: orders without an outcome are in doubt, pairs without `PairOpened` are settled anew.
    pub(super) fn resume_recovered(&mut self, now: Nanos, fx: &mut Effects) {
        for index in 0..self.pairs.len() {
            for leg in 0..2 {
                let Some(order) = &mut self.pairs[index].orders[leg] else { continue };
                if order.is_live() {
                    order.ask_now(now);
                    let id = order.id();
                    if planted("recovery_calls_orders_dead") {
                        self.bury(now, index, id, fx);
                        continue;
                    }
                    self.doubt(now, index, id, fx);
                } else if order.may_owe_funding() {
                    order.unconfirmed = true;
                    order.ask_now(now);
                }
            }
            let pair = &mut self.pairs[index];
            // Held without an entry that stands, flat with one, or flat with a result that no close has booked.
            let torn = pair.opened == pair.book.is_flat() || (pair.book.is_flat() && pair.book.has_traded());
            if pair.has_live_orders() || torn {
                pair.phase = Phase::Opening;
            }
            pair.touched = now;
            // A clock may have been set back since the last run.
            pair.moved = pair.moved.map(|at| at.min(now));
        }
    }
}

/// Leg of a pair whose hedge is gone but for dust that this venue can still trade away.
fn sweepable(pair: &Pair) -> Option<usize> {
    let lot = pair.common_lot()?;
    (0..2).find(|&leg| pair.book.hedged() < lot && pair.takes_close(leg, pair.book.legs[leg].qty.abs()))
}

fn cooldown(risk: &RiskSettings, phase: Phase) -> u64 {
    u64::from(match phase {
        Phase::Mending { .. } => risk.failed_leg_cooldown_ms,
        _ => risk.cooldown_ms,
    })
}

/// Edge at the entry fills, adjusted by the frozen basis, of the mean mid.
fn entry_spread(pair: &Pair) -> Rate {
    let average = |leg: usize| {
        let book = &pair.book.legs[leg];
        let one = i128::from(crate::types::money::SCALE);
        let qty = i128::from(book.qty.raw().abs()).max(1);
        (i128::from(book.cash.raw().abs()) * one / qty) as i64
    };
    let [a, b] = [average(0), average(1)];
    let edge = if pair.book.legs[0].qty.raw() > 0 { b - a } else { a - b };
    crate::types::Price::from_raw(edge).ratio(pair.book.reference) - pair.book.basis
}

fn decision_to(now: Nanos, pair: &Pair) -> u64 {
    pair.decision.map_or(0, |decision| now.since(decision.at))
}

/// Time between the first fills of the two legs, by our receive clock.
fn fill_skew(pair: &Pair) -> u64 {
    let [Some(a), Some(b)] = &pair.orders else { return 0 };
    if a.filled_at == Nanos::NEVER || b.filled_at == Nanos::NEVER {
        return 0;
    }
    a.filled_at.since(b.filled_at).max(b.filled_at.since(a.filled_at))
}
