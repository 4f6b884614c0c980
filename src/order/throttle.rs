//! The brake on repeated execution: how many entries, failures, unwinds and orders there were lately. What passes a
//! limit of repetition latches, and only a person re-arms it (SAFETY §6, RTS 6 15(3)). It is fed by journal entries
//! alone and stands in every snapshot, so that restarts count and forget nothing (L16). Pure; owned by `gate`.

use crate::journal::entry::Entry;
use crate::types::settings::{RiskSettings, ThrottleSettings};
use crate::types::tally::{Counted, Tally};
use crate::types::{IntentKind, Nanos, Purpose, VenueId};

/// Counts that belong to no venue, in the order of `Throttle::tallies`.
const SHARED: [Counted; 5] = [
    Counted::EntriesPerMinute,
    Counted::EntriesPerHour,
    Counted::EntriesPerDay,
    Counted::FailedEntries,
    Counted::UnwindsPerHour,
];

/// Counts of what was done lately.
#[derive(Clone, Debug)]
pub struct Throttle {
    limits: ThrottleSettings,
    per_hour: u32,
    per_day: u32,
    tallies: [Tally; SHARED.len()],
    /// Orders sent, by venue.
    orders: Vec<Tally>,
}

impl Throttle {
    pub fn new(limits: ThrottleSettings, risk: &RiskSettings, venues: usize) -> Self {
        let (per_hour, per_day) = (risk.max_entries_per_hour, risk.max_entries_per_day);
        Self {
            limits,
            per_hour,
            per_day,
            tallies: [Tally::default(); SHARED.len()],
            orders: vec![Tally::default(); venues],
        }
    }

    /// Takes what an entry counts for. `retried` = the unwind in it follows another of the same lone leg;
    /// `stood` = the pair that it closes was whole once.
    pub fn apply(&mut self, entry: &Entry, retried: bool, stood: bool) {
        match entry {
            Entry::Intent { intent } => {
                if let Some(IntentKind::Enter(_)) = intent.kind {
                    for what in [Counted::EntriesPerMinute, Counted::EntriesPerHour, Counted::EntriesPerDay] {
                        self.add(what, intent.at);
                    }
                }
                for order in intent.orders.iter().flatten() {
                    if let Some(orders) = self.orders.get_mut(order.spec.venue.index()) {
                        orders.add(Counted::OrdersPerDay, intent.at);
                    }
                    if order.spec.purpose == Purpose::Unwind && !retried {
                        self.add(Counted::UnwindsPerHour, intent.at);
                    }
                }
            }
            Entry::PairOpened { .. } => self.tally(Counted::FailedEntries).clear(),
            Entry::PairClosed { at, .. } if !stood => self.add(Counted::FailedEntries, *at),
            Entry::Tally { of, venue, tally } => self.restore(*of, *venue, *tally),
            _ => {}
        }
    }

    /// A run ended without a word: that counts like an entry that failed.
    pub fn count_crash(&mut self, at: Nanos) {
        self.add(Counted::FailedEntries, at);
    }

    /// A person has looked: what latches starts anew.
    pub fn rearm(&mut self) {
        for what in [Counted::EntriesPerMinute, Counted::FailedEntries, Counted::UnwindsPerHour] {
            self.tally(what).clear();
        }
    }

    /// Why nothing more may be opened until a person has looked, if so.
    pub fn tripped(&mut self, now: Nanos) -> Option<&'static str> {
        let ThrottleSettings { max_entries_per_min, max_failed_entries, max_unwinds_per_hour } = self.limits;
        if self.total(Counted::EntriesPerMinute, now) >= max_entries_per_min {
            Some("too many entries in a minute")
        } else if self.total(Counted::FailedEntries, now) >= max_failed_entries {
            Some("too many failed entries in a row")
        } else if self.total(Counted::UnwindsPerHour, now) >= max_unwinds_per_hour {
            Some("too many unwinds in an hour")
        } else {
            None
        }
    }

    /// Entries of the hour and of the day leave room for one more.
    pub fn has_room(&mut self, now: Nanos) -> bool {
        self.total(Counted::EntriesPerHour, now) < self.per_hour
            && self.total(Counted::EntriesPerDay, now) < self.per_day
    }

    /// Orders sent to a venue in the last 24 hours.
    pub fn orders_of_day(&mut self, venue: VenueId, now: Nanos) -> u32 {
        self.orders.get_mut(venue.index()).map_or(0, |tally| tally.total(Counted::OrdersPerDay, now))
    }

    /// Everything, as a journal segment begins with it.
    pub fn snapshot(&self) -> impl Iterator<Item = Entry> + '_ {
        let nobody = VenueId(0);
        let shared = SHARED.into_iter().zip(&self.tallies).map(move |(of, tally)| (of, nobody, *tally));
        let venues = self.orders.iter().enumerate();
        let venues = venues.map(|(venue, tally)| (Counted::OrdersPerDay, VenueId(venue as u8), *tally));
        shared.chain(venues).map(|(of, venue, tally)| Entry::Tally { of, venue, tally })
    }

    fn restore(&mut self, of: Counted, venue: VenueId, tally: Tally) {
        if of == Counted::OrdersPerDay {
            if let Some(slot) = self.orders.get_mut(venue.index()) {
                *slot = tally;
            }
        } else {
            *self.tally(of) = tally;
        }
    }

    fn add(&mut self, what: Counted, at: Nanos) {
        self.tally(what).add(what, at);
    }

    fn total(&mut self, what: Counted, now: Nanos) -> u32 {
        self.tally(what).total(what, now)
    }

    fn tally(&mut self, what: Counted) -> &mut Tally {
        let at = SHARED.iter().position(|&shared| shared == what).unwrap_or_default();
        &mut self.tallies[at]
    }
}
