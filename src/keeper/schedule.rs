//! What the keeper has to do next. A call that gets no answer costs seconds, so that the order matters: what takes risk
//! away, what tells what happened and links (these in turns), then prices, then what is due by the clock (SAFETY §7,
//! reconcile). Pure.

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
/// While the venue asks for patience a question of the first need is asked so often, ms.
const SPARED_EVERY_MS: u64 = 2_000;
/// A login or a look at what is held that failed is tried again after this, ms.
const RETRY_MS: u64 = 1_000;

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
    /// A question was the last to be served: a link that is due comes next, so that neither keeps the other waiting.
    links_turn: bool,
    links: [Option<Wanted>; Role::ALL.len()],
    /// When the last link of each role was made.
    linked: [Nanos; Role::ALL.len()],
    due: Due,
    /// Until then only closing orders, cancels, links and logins are made, and now and then a question about what is
    /// held: the venue asked for patience.
    held_until: Nanos,
    /// When the next such question is due.
    spared_at: Nanos,
    /// Looks in a row that got no answer.
    unanswered: u32,
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
        let asks = VecDeque::new();
        Self {
            asks,
            links_turn: false,
            links,
            linked,
            due,
            held_until: Nanos::NEVER,
            spared_at: Nanos::NEVER,
            unanswered: 0,
            every,
            private,
        }
    }

    /// Takes a question. A link that is wanted already, or a question that waits already, is not taken twice; of two
    /// cancels of one order the newer stands, whose signature is fresh.
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
            Ask::Rules { .. } => (self.due.rules, self.due.clock) = (now, now),
            _ => match self.asks.iter_mut().find(|waiting| is_same(waiting, &ask)) {
                Some(waiting) => *waiting = ask,
                None => self.asks.push_back(ask),
            },
        }
    }

    /// The next thing to do at `now`, or nothing yet.
    pub fn next(&mut self, now: Nanos) -> Option<Job> {
        let held = now < self.held_until;
        let link = if self.links_turn { self.next_link(now) } else { None };
        let job = link.or_else(|| self.next_ask(now, held)).or_else(|| self.next_link(now));
        self.links_turn = matches!(job, Some(Job::Ask(_)));
        let prices = |schedule: &mut Self| if held { None } else { schedule.take(Rank::Prices) };
        job.or_else(|| prices(self)).or_else(|| self.next_regular(now, held))
    }

    /// A question that does not wait for a link. An order without an outcome may be a leg: what became of it is asked
    /// in spite of all patience, though seldom (SAFETY C9).
    fn next_ask(&mut self, now: Nanos, held: bool) -> Option<Job> {
        if let Some(closes) = self.take(Rank::Closes) {
            return Some(closes);
        }
        if held && now < self.spared_at {
            return None;
        }
        let truth = self.take(Rank::Truth);
        if held && truth.is_some() {
            self.spared_at = now.plus_ms(SPARED_EVERY_MS);
        }
        truth
    }

    /// The question of this rank that has waited longest.
    fn take(&mut self, wanted: Rank) -> Option<Job> {
        let at = self.asks.iter().position(|ask| rank(ask) == wanted)?;
        self.asks.remove(at).map(Job::Ask)
    }

    fn next_link(&mut self, now: Nanos) -> Option<Job> {
        let due = |wanted: &Wanted| now >= wanted.next;
        let role = Role::ALL.into_iter().find(|role| self.links[*role as usize].as_ref().is_some_and(due))?;
        let wanted = self.links[role as usize].as_mut()?;
        wanted.attempt += 1;
        wanted.next = now.plus_ms(backoff_ms(wanted.attempt));
        Some(Job::Link { role, attempt: wanted.attempt })
    }

    /// The venue asked for patience until then.
    pub fn hold(&mut self, until: Nanos) {
        self.held_until = self.held_until.max(until);
    }

    fn next_regular(&mut self, now: Nanos, held: bool) -> Option<Job> {
        let due = &mut self.due;
        if self.private && now >= due.login {
            due.login = now.plus_ms(RETRY_MS);
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

    /// A look got no answer: what is held is not left unread until the next one is due. Ever more seldom, while there
    /// is none.
    pub fn unanswered(&mut self, ask: &Ask, now: Nanos) {
        let again = now.plus_ms(RETRY_MS << self.unanswered.min(6));
        match ask {
            Ask::Account { .. } => self.due.account = self.due.account.min(again),
            Ask::OpenOrders { .. } => self.due.open_orders = self.due.open_orders.min(again),
            _ => return,
        }
        self.unanswered += 1;
    }

    pub fn answered(&mut self) {
        self.unanswered = 0;
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

/// What a question is for; the first are served first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rank {
    /// It takes risk away, and is not put off when a venue asks for patience.
    Closes,
    /// What is held, and what became of orders: all else is decided by it.
    Truth,
    /// What a close would cost: it is sent without, too.
    Prices,
}

const fn rank(ask: &Ask) -> Rank {
    match ask {
        Ask::Cancel { .. } | Ask::CancelAll { .. } | Ask::Place { .. } => Rank::Closes,
        Ask::Book { .. } => Rank::Prices,
        _ => Rank::Truth,
    }
}

/// Both want the same thing.
fn is_same(one: &Ask, other: &Ask) -> bool {
    match (one, other) {
        (Ask::Cancel { target: one }, Ask::Cancel { target: other }) => {
            (one.id, one.venue_id) == (other.id, other.venue_id)
        }
        _ => one == other,
    }
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
    use crate::types::order::VenueOrderId;
    use crate::types::report::CancelSpec;
    use crate::types::{ClientId, PairId, VenueId};

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

    fn cancel(seq: u32, signed_ms: u64) -> Ask {
        let id = ClientId { epoch: 1, seq, leg: 0 };
        let (pair, venue_id) = (PairId(0), VenueOrderId::EMPTY);
        Ask::Cancel { target: CancelSpec { id, venue: VENUE, pair, venue_id, signed_ms, nonce: signed_ms } }
    }

    /// A schedule without anything due by the clock.
    fn quiet(start: Nanos) -> Schedule {
        let mut schedule = Schedule::new(start, start.plus_ms(600_000), EVERY, true);
        while schedule.next(start).is_some() {}
        schedule
    }

    #[test]
    fn a_look_that_failed_is_soon_done_again() {
        let start = Nanos::from_ms(1_000);
        let mut schedule = quiet(start);
        let (due, account) = (start.plus_ms(15_000), Ask::Account { venue: VENUE });
        let until = |schedule: &mut Schedule, to: Nanos| -> Vec<Job> {
            std::iter::from_fn(|| schedule.next(to)).filter(|job| *job == Job::Account).collect()
        };
        assert_eq!(until(&mut schedule, due), [Job::Account]);
        schedule.unanswered(&account, due);
        assert_eq!(until(&mut schedule, due.plus_ms(999)), []);
        let again = due.plus_ms(1_000);
        assert_eq!(until(&mut schedule, again), [Job::Account]);
        schedule.unanswered(&account, again);
        assert_eq!(until(&mut schedule, again.plus_ms(1_999)), [], "ever more seldom");
        assert_eq!(until(&mut schedule, again.plus_ms(2_000)), [Job::Account]);
        schedule.answered();
        assert_eq!(until(&mut schedule, again.plus_ms(16_999)), [], "fifteen seconds from then");
    }

    #[test]
    fn what_takes_risk_away_comes_first_and_prices_after_what_is_held() {
        let start = Nanos::from_ms(1_000);
        let mut schedule = quiet(start);
        let book = Ask::Book { venue: VENUE, pair: PairId(0) };
        let (account, open) = (Ask::Account { venue: VENUE }, Ask::OpenOrders { venue: VENUE });
        for ask in [book, account, cancel(1, 1), open, cancel(2, 1)] {
            schedule.ask(ask, start);
        }
        let order = [cancel(1, 1), cancel(2, 1), account, open, book];
        assert_eq!(order.map(|_| schedule.next(start)), order.map(|ask| Some(Job::Ask(ask))));
    }

    #[test]
    fn links_and_questions_take_turns() {
        let start = Nanos::from_ms(1_000);
        let mut schedule = quiet(start);
        for role in [Role::Orders, Role::Private] {
            schedule.ask(Ask::Link { venue: VENUE, role }, start);
        }
        let mut turn = || {
            // Answers that do not come leave something to be asked for at any time.
            schedule.ask(Ask::Account { venue: VENUE }, start);
            matches!(schedule.next(start), Some(Job::Link { .. }))
        };
        assert_eq!([turn(), turn(), turn(), turn(), turn()], [false, true, false, true, false]);
    }

    #[test]
    fn of_two_cancels_of_one_order_the_newer_is_made() {
        let start = Nanos::from_ms(1_000);
        let mut schedule = quiet(start);
        [cancel(1, 1), cancel(2, 1), cancel(1, 2)].into_iter().for_each(|ask| schedule.ask(ask, start));
        assert_eq!(schedule.next(start), Some(Job::Ask(cancel(1, 2))));
        assert_eq!(schedule.next(start), Some(Job::Ask(cancel(2, 1))));
        assert_eq!(schedule.next(start), None);
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
    fn a_venue_that_asks_for_patience_is_asked_for_what_closes_and_seldom_for_what_is_held() {
        let start = Nanos::from_ms(1_000);
        let mut schedule = Schedule::new(start, start.plus_ms(600_000), EVERY, true);
        schedule.hold(start.plus_ms(20_000));
        let account = Ask::Account { venue: VENUE };
        let open = Ask::OpenOrders { venue: VENUE };
        let book = Ask::Book { venue: VENUE, pair: PairId(0) };
        let cancel = Ask::CancelAll { venue: VENUE, pair: PairId(0) };
        [account, open, book, cancel].into_iter().for_each(|ask| schedule.ask(ask, start));
        assert_eq!(schedule.next(start), Some(Job::Ask(cancel)));
        assert_eq!(schedule.next(start), Some(Job::Ask(account)));
        assert_eq!(schedule.next(start.plus_ms(SPARED_EVERY_MS - 1)), None);
        assert_eq!(schedule.next(start.plus_ms(SPARED_EVERY_MS)), Some(Job::Ask(open)));
        assert_eq!(
            schedule.next(start.plus_ms(19_999)),
            None,
            "prices wait, and so does what is due by the clock"
        );
        assert_eq!(schedule.next(start.plus_ms(20_000)), Some(Job::Ask(book)));
        assert!(schedule.next(start.plus_ms(20_000)).is_some());
    }

    #[test]
    fn rules_that_may_have_changed_come_soon_and_after_what_an_order_waits_for() {
        let start = Nanos::from_ms(1_000);
        let mut schedule = Schedule::new(start, start.plus_ms(600_000), EVERY, true);
        schedule.ask(Ask::Rules { venue: VENUE }, start);
        schedule.ask(Ask::Account { venue: VENUE }, start);
        assert_eq!(schedule.next(start), Some(Job::Ask(Ask::Account { venue: VENUE })));
        let next = [schedule.next(start), schedule.next(start)];
        assert!([Job::Clock, Job::Rules].iter().all(|job| next.contains(&Some(*job))), "{next:?}");
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
