//! What the venues state about accounts, open orders, rules and clocks. A failed question proves nothing. Positions are
//! compared in `differ`. Part of `order::core`.

use super::core::{Core, Effect, Effects};
use super::modes::UNPREPARED;
use super::pair::Pair;
use crate::journal::entry::Entry;
use crate::types::order::Reason;
use crate::types::planted::planted;
use crate::types::report::{AccountReport, Ask, CancelSpec, Fact, OpenOrder, OrderKey};
use crate::types::{
    MarketRules, Mode, Nanos, OrderNews, PairId, RecordKind, RejectClass, Usd, VenueId, VenueMode,
};

/// Open orders of earlier runs are cancelled, and may be listed a little longer, ms.
const LEFT_OVER_MS: u64 = 60_000;
/// A venue where closes wait for its REST is asked this often whether it answers, ms.
const REST_LOOK_MS: u64 = 300;

impl Core {
    pub(super) fn take_fact(&mut self, now: Nanos, fact: Fact, fx: &mut Effects) {
        self.note_rest(&fact);
        match fact {
            Fact::Order { id, asked, report, .. } => self.take_report(now, id, asked, report, fx),
            Fact::Account { venue, asked, report } => self.take_account(now, venue, asked, &report, fx),
            Fact::OpenOrders { venue, asked, orders } => {
                self.take_open_orders(now, venue, asked, &orders, fx);
            }
            Fact::PastOrders { venue, asked, orders } => self.take_past(now, venue, asked, &orders, fx),
            Fact::Rules { venue, pair, rules } => self.take_rules(now, venue, pair, rules, fx),
            Fact::Mode { venue, mode } => self.take_mode(now, venue, mode),
            Fact::Clock { venue, offset_ms } => self.take_clock(now, venue, offset_ms, fx),
            Fact::KeyExpiry { venue, life } => {
                let facts = &mut self.venues[venue.index()];
                (facts.key, facts.key_told) = (life, Nanos::NEVER);
            }
            Fact::Unprepared { .. } if self.comes_to_active() => {
                self.set_mode(now, Mode::Paused, UNPREPARED, fx);
            }
            Fact::Limited { venue, for_ms } => self.hold_entries(now, venue, for_ms),
            Fact::Book { venue, pair, asked, bid, ask } => self.take_book(venue, pair, asked, [bid, ask]),
            Fact::Placed { venue, id, news } => {
                self.take_order_news(now, venue, OrderKey::Client(id), news, fx);
            }
            // The next deadline asks again.
            Fact::Failed { .. } | Fact::Unprepared { .. } => {}
        }
    }

    /// Whether the venue's REST answers private calls of ours, as the last of them shows; public ones say nothing of
    /// it.
    fn note_rest(&mut self, fact: &Fact) {
        let (venue, answers) = match fact {
            Fact::Order { venue, .. }
            | Fact::Account { venue, .. }
            | Fact::OpenOrders { venue, .. }
            | Fact::PastOrders { venue, .. } => (*venue, true),
            Fact::Failed { ask } if is_private(ask) => (ask.venue(), false),
            // Not now, it says, or it lets nobody log in: the next close there waits for an answer to something else.
            Fact::Placed { venue, news: OrderNews::Rejected(reject), .. }
                if reject.class == RejectClass::RetryLater =>
            {
                (*venue, false)
            }
            _ => return,
        };
        self.venues[venue.index()].rest_answers = answers;
    }

    /// While closes can leave over REST alone and are held back because it did not answer, it is asked whether it does
    /// again: the regular look may be long in coming, and legs are held.
    pub(super) fn look_for_rest(&mut self, now: Nanos, fx: &mut Effects) {
        for (facts, settings) in self.venues.iter_mut().zip(&self.settings.venues) {
            let venue = settings.id;
            let held_back = !facts.ready && !facts.rest_answers && facts.mode.takes_closes();
            let holds = |pair: &Pair| {
                pair.leg_of(venue).is_some() && (!pair.book.is_flat() || pair.has_live_orders())
            };
            let wanted = settings.closes_by_rest && held_back && !self.paper;
            if wanted && now >= facts.next_rest_look && self.pairs.iter().any(holds) {
                facts.next_rest_look = now.plus_ms(REST_LOOK_MS);
                fx.push(Effect::Ask(Ask::Account { venue }));
            }
        }
    }

    fn take_account(
        &mut self,
        now: Nanos,
        venue: VenueId,
        asked: Nanos,
        report: &AccountReport,
        fx: &mut Effects,
    ) {
        self.tell_nameless(venue, report.foreign_markets, fx);
        let facts = &mut self.venues[venue.index()];
        // An answer that a newer one has overtaken is compared, and tells nothing of now.
        if facts.stated.is_none_or(|stated| asked >= stated) {
            facts.stated = Some(asked);
            // Of money that was read a while ago more is known since.
            let known = facts.account.filter(|_| report.money_age_ms > 0);
            let AccountReport { positions, foreign_markets, .. } = *report;
            let told = known.map(|known| AccountReport { positions, foreign_markets, ..known });
            facts.account = Some(told.unwrap_or(*report));
        }
        self.judge_by_equity(now, fx);
        self.watch_margin(now, venue, Some(asked.minus_ms(u64::from(report.money_age_ms))), fx);
        for index in 0..self.pairs.len() {
            if let Some(leg) = self.pairs[index].leg_of(venue) {
                self.compare(now, index, leg, asked, report, fx);
                self.settle(now, index, fx);
            }
        }
        self.looked(venue, asked);
    }

    /// On an account of its own, a position at a market that no pair names is nobody's: perhaps of a pair that the
    /// configuration had (SAFETY L11).
    fn tell_nameless(&mut self, venue: VenueId, markets: u32, fx: &mut Effects) {
        let known = self.venues[venue.index()].account.map_or(0, |account| account.foreign_markets);
        if self.settings.dedicated_account && markets > known {
            let what = Reason::cut("a position at a market that no pair names: close it by hand");
            fx.push(Effect::Log(RecordKind::Alarm { pair: PairId(0), venue, what }));
        }
    }

    /// Says once that entries are held because an account cannot be read, and once that it can.
    pub(super) fn tick_statements(&mut self, now: Nanos, fx: &mut Effects) {
        for (venue, facts) in self.venues.iter_mut().enumerate() {
            let unread = self.gate.is_unread(now, facts);
            if unread != facts.told_unread {
                facts.told_unread = unread;
                let what = if unread {
                    "entries held: the account cannot be read"
                } else {
                    "the account is read again"
                };
                let (pair, venue, what) = (PairId(0), VenueId(venue as u8), Reason::cut(what));
                fx.push(Effect::Log(RecordKind::Alarm { pair, venue, what }));
            }
        }
    }

    fn take_open_orders(
        &mut self,
        now: Nanos,
        venue: VenueId,
        asked: Nanos,
        orders: &[OpenOrder],
        fx: &mut Effects,
    ) {
        let (mut ours_open, mut left_over) = (0, false);
        for open in orders {
            let another = self.is_of_another_engine(now, open);
            if another {
                self.meet_another_engine(now, venue, fx);
            }
            if another && !self.settings.dedicated_account || !self.is_ours(venue, open) {
                continue;
            }
            ours_open += 1;
            // What is in flight ends by its own deadlines, in a stop too: a cancelled close leaves its leg alone.
            if !self.is_live_here(open) {
                left_over = true;
                self.cancel_listed(now, venue, open, fx);
                self.stop.iter_mut().for_each(|stop| stop.cancelled += 1);
            }
        }
        let facts = &mut self.venues[venue.index()];
        facts.left_over = left_over;
        let first = !facts.reconciled && facts.account.is_some();
        facts.reconciled |= facts.account.is_some();
        if first {
            let positions = facts.account.map_or(0, |report| {
                report.positions.iter().filter(|position| !position.qty.is_zero()).count() as u32
            });
            let open_orders = orders.len() as u32;
            fx.push(Effect::Log(RecordKind::Reconciled { venue, open_orders, positions }));
        }
        self.verified(venue, asked, ours_open);
    }

    /// By name; an order that bears no name of ours (which a whole account of ours allows) goes with its market, where
    /// the venue has that and nothing of ours is in flight there.
    fn cancel_listed(&mut self, now: Nanos, venue: VenueId, open: &OpenOrder, fx: &mut Effects) {
        let nonce = self.next_nonce(now);
        self.shelf.spend(venue, nonce);
        let pair = open.pair.unwrap_or_default();
        fx.push(Effect::Cancel(CancelSpec {
            id: open.id.unwrap_or_default(),
            venue,
            pair,
            venue_id: open.venue_id,
            signed_ms: self.signing_ms(venue, now),
            nonce,
        }));
        let nameless = open.id.is_none() && open.pair.is_some();
        if nameless && self.pairs.get(pair.index()).is_some_and(|pair| !pair.has_live_orders()) {
            fx.push(Effect::CancelAll(venue, pair));
        }
    }

    /// Ours by client id, by a nonce that we used, or because the whole account is ours.
    fn is_ours(&self, venue: VenueId, open: &OpenOrder) -> bool {
        let specs = self.pairs.iter().flat_map(|pair| pair.orders.iter().flatten()).map(|order| order.spec);
        let mut nonces = specs.map(|spec| (spec.venue, spec.nonce)).chain(self.lost_nonces.iter().copied());
        let by_nonce = open.nonce != 0 && nonces.any(|used| used == (venue, open.nonce));
        open.id.is_some() || by_nonce || self.settings.dedicated_account || planted("strangers_cancelled")
    }

    /// Named by a later run than this, or by an earlier one long after this one has cancelled what those had left.
    fn is_of_another_engine(&self, now: Nanos, open: &OpenOrder) -> bool {
        let left_over = now.ms_since(self.started) < LEFT_OVER_MS;
        open.id.is_some_and(|id| id.epoch > self.epoch || (id.epoch < self.epoch && !left_over))
            && !self.is_live_here(open)
    }

    fn is_live_here(&self, open: &OpenOrder) -> bool {
        self.pairs
            .iter()
            .flat_map(Pair::live_orders)
            .any(|order| Some(order.id()) == open.id || (open.nonce != 0 && order.spec.nonce == open.nonce))
    }

    fn take_rules(&mut self, now: Nanos, venue: VenueId, pair: PairId, rules: MarketRules, fx: &mut Effects) {
        let Some(found) = self.pairs.get_mut(pair.index()) else { return };
        let Some(leg) = found.leg_of(venue) else { return };
        if found.rules[leg] != Some(rules) {
            let paid = self.gate.pays(found);
            self.shelf.void(venue, now);
            self.record(Entry::Rules { pair, leg: leg as u8, rules, at: now }, fx);
            if paid && !self.gate.pays(&self.pairs[pair.index()]) {
                let what = Reason::cut("a fee rose: the thresholds lose money, nothing is opened");
                fx.push(Effect::Log(RecordKind::Alarm { pair, venue, what }));
            }
        }
        self.settle(now, pair.index(), fx);
    }

    /// Entries wait a while after a venue has come back (SAFETY §7, maintenance).
    fn take_mode(&mut self, now: Nanos, venue: VenueId, mode: VenueMode) {
        let facts = &mut self.venues[venue.index()];
        if facts.mode != VenueMode::Ok && mode == VenueMode::Ok {
            facts.settled_at =
                now.plus_ms(u64::from(self.settings.upkeep.maintenance.entries_on_after_s) * 1_000);
        }
        facts.mode = mode;
    }

    /// The venue asks for patience: nothing is opened there for a while.
    pub(super) fn hold_entries(&mut self, now: Nanos, venue: VenueId, for_ms: u64) {
        let facts = &mut self.venues[venue.index()];
        facts.settled_at = facts.settled_at.max(now.plus_ms(for_ms));
    }

    /// All that is needed to send to a venue and to learn outcomes is up, or no more. After an outage what happened
    /// meanwhile is asked for before entries go on.
    pub(super) fn set_ready(&mut self, now: Nanos, venue: VenueId, ready: bool, fx: &mut Effects) {
        let pause = u64::from(self.settings.risk.link_cooldown_ms);
        self.shelf.void(venue, now);
        let facts = &mut self.venues[venue.index()];
        let returned = ready && !facts.ready && facts.was_ready;
        let lost = facts.ready && !ready;
        facts.rest_answers &= !lost;
        facts.ready = ready;
        facts.was_ready |= ready;
        if ready {
            facts.ready_since = now;
        }
        if returned {
            facts.settled_at = now.plus_ms(pause);
        }
        if ready && !self.paper {
            facts.reconciled = false;
            fx.push(Effect::Ask(Ask::Account { venue }));
            fx.push(Effect::Ask(Ask::OpenOrders { venue }));
        }
        if lost && !self.paper {
            facts.next_rest_look = now.plus_ms(REST_LOOK_MS);
            fx.push(Effect::Ask(Ask::Account { venue }));
        }
        if self.paper {
            facts.reconciled = true;
            facts.account = Some(paper_account(self.settings.risk.max_gross_notional));
        }
    }

    /// Whether a person has to look before entries go on.
    pub fn is_halted(&self) -> bool {
        self.mode == Mode::Halted
    }
}

/// A call about our account: where such a one gets no answer, no order gets there either.
const fn is_private(ask: &Ask) -> bool {
    match ask {
        Ask::Order { .. } | Ask::Account { .. } | Ask::OpenOrders { .. } => true,
        Ask::Place { .. } | Ask::Cancel { .. } | Ask::CancelAll { .. } => true,
        // A history also fails for what it holds, again and again, and closes go on meanwhile.
        Ask::PastOrders { .. } => false,
        Ask::Book { .. } | Ask::Rules { .. } | Ask::Link { .. } => false,
    }
}

/// Paper trading has no account; it is given one that holds what the gross cap allows, so that the caps bind and not
/// the purse.
fn paper_account(gross_max: Usd) -> AccountReport {
    AccountReport {
        balance: gross_max,
        equity: gross_max,
        free_margin: gross_max,
        ..AccountReport::default()
    }
}
