//! What the keeper has to do next: questions first, then links, then what is due by the clock (SAFETY §7, reconcile).
//! Pure.

use std::collections::VecDeque;

use crate::types::Nanos;
use crate::types::record::Role;
use crate::types::report::Ask;
use crate::types::settings::Reconcile;

const MODE_EVERY_MS: u64 = 5_000;
const CLOCK_EVERY_MS: u64 = 30_000;
/// Pauses between attempts to connect: doubling from the first to the last, so that a venue that answers again is
/// reached well inside five seconds (NFR9).
const BACKOFF_FIRST_MS: u64 = 100;
const BACKOFF_LAST_MS: u64 = 2_000;
/// Shortest time between two links of one role: a venue that takes connections only to drop them is not stormed (the
/// strictest venue takes 600 in a minute).
const LINK_PAUSE_MS: u64 = 150;
/// A login that failed is tried again after this, ms.
const LOGIN_RETRY_MS: u64 = 1_000;

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    Ask(Ask),
    /// Open this link; `attempt` counts from 1.
    Link {
        role: Role,
        attempt: u32,
    },
    Login,
    Account,
    OpenOrders,
    Rules,
    Mode,
    Clock,
}

/// A link that is wanted.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    attempt: u32,
    next: Nanos,
}

/// When each regular job is next due.
#[derive(Clone, Copy, Debug, Default)]
struct Due {
    login: Nanos,
    account: Nanos,
    open_orders: Nanos,
    rules: Nanos,
    mode: Nanos,
    clock: Nanos,
}

pub struct Schedule {
    asks: VecDeque<Ask>,
    links: [Option<Wanted>; Role::ALL.len()],
    /// When the last link of each role was made.
    linked: [Nanos; Role::ALL.len()],
    due: Due,
    /// Until then only closing orders, cancels, links and logins are made: the venue asked for patience.
    held_until: Nanos,
    every: Reconcile,
    /// Private calls are made (not in paper mode).
    private: bool,
}

impl Schedule {
    /// `now` is the end of start-up, when everything has just been read.
    pub fn new(now: Nanos, login_due: Nanos, every: Reconcile, private: bool) -> Self {
        let due = Due {
            login: login_due,
            account: now.plus_ms(seconds(every.positions_s)),
            open_orders: now.plus_ms(seconds(every.orders_s)),
            rules: now.plus_ms(seconds(every.rules_s)),
            mode: now.plus_ms(MODE_EVERY_MS),
            clock: now.plus_ms(CLOCK_EVERY_MS),
        };
        let linked = [Nanos::NEVER; Role::ALL.len()];
        let links = [None; Role::ALL.len()];
        Self { asks: VecDeque::new(), links, linked, due, held_until: Nanos::NEVER, every, private }
    }

    /// Takes a question. A link that is wanted already, or a question that waits already, is not taken twice.
    pub fn ask(&mut self, ask: Ask, now: Nanos) {
        match ask {
            Ask::Link { role, .. } => {
                let next = match self.linked[role as usize] {
                    Nanos::NEVER => now,
                    last => now.max(last.plus_ms(LINK_PAUSE_MS)),
                };
                self.links[role as usize].get_or_insert(Wanted { attempt: 0, next });
            }
            // Not before what an order waits for.
            Ask::Rules { .. } => self.due.rules = now,
            _ if self.asks.contains(&ask) => {}
            _ => self.asks.push_back(ask),
        }
    }

    /// The next thing to do at `now`, or nothing yet.
    pub fn next(&mut self, now: Nanos) -> Option<Job> {
        let held = now < self.held_until;
        let first = self.asks.iter().position(|ask| !held || closes(ask));
        if let Some(ask) = first.and_then(|at| self.asks.remove(at)) {
            return Some(Job::Ask(ask));
        }
        for role in Role::ALL {
            if let Some(wanted) = &mut self.links[role as usize]
                && now >= wanted.next
            {
                wanted.attempt += 1;
                wanted.next = now.plus_ms(backoff_ms(wanted.attempt));
                return Some(Job::Link { role, attempt: wanted.attempt });
            }
        }
        self.next_regular(now, held)
    }

    /// The venue asked for patience until then.
    pub fn hold(&mut self, until: Nanos) {
        self.held_until = self.held_until.max(until);
    }

    fn next_regular(&mut self, now: Nanos, held: bool) -> Option<Job> {
        let due = &mut self.due;
        if self.private && now >= due.login {
            due.login = now.plus_ms(LOGIN_RETRY_MS);
            return Some(Job::Login);
        }
        if held {
            return None;
        }
        let (private, every) = (self.private, self.every);
        let mut table = [
            (Job::Account, &mut due.account, seconds(every.positions_s), private),
            (Job::Mode, &mut due.mode, MODE_EVERY_MS, true),
            (Job::Clock, &mut due.clock, CLOCK_EVERY_MS, true),
            (Job::OpenOrders, &mut due.open_orders, seconds(every.orders_s), private),
            (Job::Rules, &mut due.rules, seconds(every.rules_s), true),
        ];
        let row = table.iter_mut().find(|(_, at, _, wanted)| *wanted && now >= **at)?;
        *row.1 = now.plus_ms(row.2);
        Some(row.0)
    }

    /// The link is made and handed over.
    pub fn linked(&mut self, role: Role, now: Nanos) {
        self.links[role as usize] = None;
        self.linked[role as usize] = now;
    }

    /// The login holds until then.
    pub fn logged_in(&mut self, due: Nanos) {
        self.due.login = due;
    }
}

/// What is not put off when a venue asks for patience: it takes risk away.
const fn closes(ask: &Ask) -> bool {
    matches!(ask, Ask::Cancel { .. } | Ask::CancelAll { .. } | Ask::Place { .. })
}

fn seconds(s: u32) -> u64 {
    u64::from(s) * 1_000
}

/// Pause after a failed attempt; a quarter of it is spread by the attempt's number so that restarts do not align.
fn backoff_ms(attempt: u32) -> u64 {
    let base = (BACKOFF_FIRST_MS << attempt.min(6).saturating_sub(1)).min(BACKOFF_LAST_MS);
    base - u64::from(attempt % 4) * base / 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{PairId, VenueId};

    const VENUE: VenueId = VenueId(0);
    const EVERY: Reconcile = Reconcile { orders_s: 60, positions_s: 15, rules_s: 300 };

    #[test]
    fn questions_come_before_links_and_links_before_routine() {
        let start = Nanos::from_ms(1_000);
        let mut schedule = Schedule::new(start, start.plus_ms(60_000), EVERY, true);
        schedule.ask(Ask::Link { venue: VENUE, role: Role::Orders }, start);
        schedule.ask(Ask::Account { venue: VENUE }, start);
        schedule.ask(Ask::Account { venue: VENUE }, start);
        assert_eq!(schedule.next(start), Some(Job::Ask(Ask::Account { venue: VENUE })));
        assert_eq!(schedule.next(start), Some(Job::Link { role: Role::Orders, attempt: 1 }));
        assert_eq!(schedule.next(start), None);
        assert_eq!(schedule.next(start.plus_ms(5_001)), Some(Job::Link { role: Role::Orders, attempt: 2 }));
        schedule.linked(Role::Orders, start.plus_ms(5_001));
        assert_eq!(schedule.next(start.plus_ms(5_001)), Some(Job::Mode));
    }

    #[test]
    fn a_link_that_drops_at_once_is_not_stormed() {
        let start = Nanos::from_ms(1_000);
        let mut schedule = Schedule::new(start, start.plus_ms(60_000), EVERY, true);
        let wish = Ask::Link { venue: VENUE, role: Role::Private };
        schedule.ask(wish, start);
        assert!(schedule.next(start).is_some());
        schedule.linked(Role::Private, start);
        schedule.ask(wish, start.plus_ms(1));
        assert_eq!(schedule.next(start.plus_ms(LINK_PAUSE_MS - 1)), None);
        let job = Job::Link { role: Role::Private, attempt: 1 };
        assert_eq!(schedule.next(start.plus_ms(LINK_PAUSE_MS)), Some(job));
    }

    #[test]
    fn a_venue_that_asks_for_patience_is_asked_for_nothing_but_what_closes() {
        let start = Nanos::from_ms(1_000);
        let mut schedule = Schedule::new(start, start.plus_ms(600_000), EVERY, true);
        schedule.hold(start.plus_ms(20_000));
        schedule.ask(Ask::Account { venue: VENUE }, start);
        let cancel = Ask::CancelAll { venue: VENUE, pair: PairId(0) };
        schedule.ask(cancel, start);
        assert_eq!(schedule.next(start), Some(Job::Ask(cancel)));
        assert_eq!(schedule.next(start.plus_ms(19_999)), None, "the rest waits, routine too");
        assert_eq!(schedule.next(start.plus_ms(20_000)), Some(Job::Ask(Ask::Account { venue: VENUE })));
        assert!(schedule.next(start.plus_ms(20_000)).is_some());
    }

    #[test]
    fn rules_that_may_have_changed_come_soon_and_after_what_an_order_waits_for() {
        let start = Nanos::from_ms(1_000);
        let mut schedule = Schedule::new(start, start.plus_ms(600_000), EVERY, true);
        schedule.ask(Ask::Rules { venue: VENUE }, start);
        schedule.ask(Ask::Account { venue: VENUE }, start);
        assert_eq!(schedule.next(start), Some(Job::Ask(Ask::Account { venue: VENUE })));
        assert_eq!(schedule.next(start), Some(Job::Rules));
        assert_eq!(schedule.next(start), None, "once");
    }

    #[test]
    fn back_off_grows_and_stays_under_the_promise() {
        assert!(backoff_ms(1) <= BACKOFF_FIRST_MS);
        assert!((1..100).all(|attempt| backoff_ms(attempt) <= BACKOFF_LAST_MS));
    }

    #[test]
    fn paper_makes_no_private_call() {
        let start = Nanos::from_ms(1_000);
        let mut schedule = Schedule::new(start, start, EVERY, false);
        let late = start.plus_ms(10_000_000);
        let jobs: Vec<_> = std::iter::from_fn(|| schedule.next(late)).take(10).collect();
        assert_eq!(jobs, [Job::Mode, Job::Clock, Job::Rules]);
    }
}
