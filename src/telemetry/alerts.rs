//! When a person is called, and with which words: conditions that last, not events, so that a lost packet pages nobody.
//! Pure; `watch` feeds it with what the `store` thread sees, `pager` sends what it raises. Each alert is raised within
//! a second of its condition; what lasts is told again after a while, what ended and comes anew at once (see `told`).

use crate::journal::entry::Entry;
use crate::order::modes::OPERATOR;
use crate::position::PairBook;
use crate::store::Names;
use crate::store::follow::Follow;
use crate::types::limits::{PAIRS_MAX, VENUES_MAX};
use crate::types::planted::planted;
use crate::types::record::{Record, RecordKind, Role};
use crate::types::settings::AlertRules;
use crate::types::{Mode, Nanos, OrderState, PairId, Usd, VenueId};

use super::alert::{Alert, Kind, STATUS, held_back, key_lapses, margin_low, wrong_market};
use super::links::LinkState;
use super::told::Told;

/// A difference between the legs that no venue trades for being too small is no lone leg: both want some 10 USD.
const LONE_MIN_USD: Usd = Usd::from_raw(10 * 100_000_000);
const DAY_MS: u64 = 86_400_000;

/// Looks at the facts and raises alerts.
#[derive(Debug)]
pub struct AlertWatch {
    rules: AlertRules,
    lone_since: [Nanos; PAIRS_MAX],
    links: [[LinkState; Role::ALL.len()]; VENUES_MAX],
    told: Told,
    /// The mode by the last entry that told one.
    mode: Mode,
    /// When the next daily summary is due.
    summary_at: Nanos,
    out: Vec<Alert>,
}

impl AlertWatch {
    pub fn new(rules: AlertRules, now: Nanos) -> Self {
        Self {
            rules,
            lone_since: [Nanos::NEVER; PAIRS_MAX],
            links: Default::default(),
            told: Told::new(u64::from(rules.repeat_ms)),
            mode: Mode::default(),
            summary_at: next_summary(rules.summary_minute, now),
            out: Vec::new(),
        }
    }

    pub fn on_record(&mut self, record: &Record) {
        let at = record.at;
        match record.kind {
            RecordKind::LinkUp { venue, role } => self.links[venue.index()][role as usize].comes_up(at),
            RecordKind::LinkDown { venue, role, .. } => self.links[venue.index()][role as usize].is_lost(at),
            RecordKind::LinkRefused { venue, role, why, mend } => {
                self.links[venue.index()][role as usize].is_refused(why, mend);
                self.look_at_link(at, venue, role);
            }
            RecordKind::Foreign { venue, pair, qty, ours } => {
                let what = format!("the venue shows {qty}, our own orders explain {ours}");
                let doing = "leaves it alone; nothing is opened in this market";
                let mut alert = Alert::new(Kind::ForeignPosition, at, what, doing, STATUS);
                alert.leg = Some(qty);
                self.raise(alert.about(pair, venue));
            }
            RecordKind::Alarm { pair, venue, what } => {
                let doing = "goes on within its limits; hedging, exits and stops run";
                self.raise(Alert::new(Kind::Alarm, at, what, doing, STATUS).about(pair, venue));
            }
            RecordKind::MarginLow { venue, free, wanted, reducing } => {
                self.raise(margin_low(at, venue, free, wanted, reducing));
            }
            RecordKind::WrongMarket { venue, market } => self.raise(wrong_market(at, venue, market)),
            RecordKind::KeyLeft { venue, hours, low: true } => self.raise(key_lapses(at, venue, hours)),
            RecordKind::ClockOffset { venue, ms, blocks: true } => {
                let what = format!("the clocks are {ms} ms apart");
                let doing = "opens nothing; hedging, exits and stops run";
                let mut alert = Alert::new(
                    Kind::ClockOffset,
                    at,
                    what,
                    doing,
                    "timedatectl; restart bot4; then bot4 check",
                );
                alert.venue = Some(venue);
                self.raise(alert);
            }
            _ => {}
        }
    }

    pub fn on_entry(&mut self, entry: &Entry) {
        let Entry::Mode { mode, why, at } = *entry else { return };
        let before = std::mem::replace(&mut self.mode, mode);
        if mode != before {
            self.told.left_mode();
        }
        let unlatches = before == Mode::Halted && mode != Mode::Halted;
        if unlatches || mode == Mode::Active && why.as_str() == OPERATOR {
            self.told.person_acted();
        }
        if let Some(alert) = held_back(at, mode, why) {
            self.raise(alert);
        }
    }

    /// At least twice a second: what has lasted too long. `follow` and `names` are as of the last entry.
    pub fn on_poll(&mut self, now: Nanos, follow: &Follow, names: &Names) {
        for pair in (0..names.pairs.len().min(PAIRS_MAX) as u8).map(PairId) {
            self.look_at_legs(now, pair, follow.book(pair), names);
        }
        for order in follow.orders().iter().filter(|order| order.state == OrderState::Unknown) {
            let waited = now.ms_since(order.changed);
            if waited > u64::from(self.rules.unknown_ms) {
                let spec = order.order.spec;
                let what = format!("order {} of {} has no known outcome yet", spec.id, spec.qty);
                let doing = "asks the venue for it, counts it as nothing and as everything, sends no other";
                let mut alert = Alert::new(Kind::UnknownOrder, now, what, doing, STATUS);
                alert.usd = Some(spec.limit.times(spec.qty));
                self.raise(alert.about(spec.pair, spec.venue));
            }
        }
        self.look_at_links(now);
        self.told.looked(now);
    }

    fn look_at_legs(&mut self, now: Nanos, pair: PairId, book: &PairBook, names: &Names) {
        let net = book.net();
        let usd = book.reference.times(net.abs());
        let since = &mut self.lone_since[pair.index()];
        if usd < LONE_MIN_USD {
            *since = Nanos::NEVER;
            return;
        }
        if *since == Nanos::NEVER {
            *since = now;
        }
        let lasted = now.ms_since(*since);
        if lasted < u64::from(self.rules.lone_leg_ms) || planted("lone_leg_not_told") {
            return;
        }
        let leg = usize::from(book.legs[1].qty.abs() > book.legs[0].qty.abs());
        let what = format!("one leg holds {net} more than the other for {lasted} ms");
        let doing = "brings the missing leg or closes this one, on whichever venue answers";
        let next = "bot4 status; if it stays: bot4 flatten";
        let mut alert = Alert::new(Kind::LoneLeg, now, what, doing, next);
        (alert.pair, alert.venue) = (Some(pair), names.leg(pair, leg));
        (alert.leg, alert.usd) = (Some(net), Some(usd));
        self.raise(alert);
    }

    fn look_at_links(&mut self, now: Nanos) {
        for venue in (0..VENUES_MAX as u8).map(VenueId) {
            for role in Role::ALL {
                self.links[venue.index()][role as usize].settle(now);
                self.look_at_link(now, venue, role);
            }
        }
    }

    fn look_at_link(&mut self, now: Nanos, venue: VenueId, role: Role) {
        let link = self.links[venue.index()][role as usize];
        if let Some(alert) = link.alert(now, venue, role, u64::from(self.rules.link_down_ms)) {
            self.raise(alert);
        }
    }

    /// Whether the daily summary is due now; true once a day.
    pub fn wants_summary(&mut self, now: Nanos) -> bool {
        let due = self.summary_at != Nanos::NEVER && now >= self.summary_at;
        if due {
            self.summary_at = next_summary(self.rules.summary_minute, now);
        }
        due
    }

    /// Raises an alert unless a person has been told the same a short while ago.
    pub fn raise(&mut self, alert: Alert) {
        if self.told.is_news(&alert) {
            self.out.push(alert);
        }
    }

    /// What was raised since the last call.
    pub fn take(&mut self) -> impl Iterator<Item = Alert> {
        self.out.drain(..)
    }
}

/// The next moment at this minute of the day, UTC.
fn next_summary(minute: Option<u32>, now: Nanos) -> Nanos {
    let Some(minute) = minute else { return Nanos::NEVER };
    let today = now.ms() / DAY_MS * DAY_MS + u64::from(minute) * 60_000;
    Nanos::from_ms(if today > now.ms() { today } else { today + DAY_MS })
}

#[cfg(test)]
mod tests;
