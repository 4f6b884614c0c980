//! What the keeper has to do next. A call that gets no answer and a link that hangs cost seconds, so that the order
//! matters: what takes risk away, always; then what tells what happened; links, prices and what is due by the clock
//! (SAFETY §7, reconcile) in turns, so that none of them keeps another waiting for ever. Pure.

use std::collections::VecDeque;

use crate::types::Nanos;
use crate::types::record::Role;
use crate::types::report::{After, Ask};
use crate::types::settings::Reconcile;

const MODE_EVERY_MS: u64 = 5_000;
const CLOCK_EVERY_MS: u64 = 30_000;
/// Pauses from the end of an attempt to connect to the next: doubling from the first to the last, so that a venue that
/// answers again is reached inside five seconds (NFR9), also by a link that has just hung for its three.
const BACKOFF_FIRST_MS: u64 = 100;
const BACKOFF_LAST_MS: u64 = 1_500;
/// After a close no link is begun for so long, ms: the next try of a close that was refused follows at once, and its
/// window would lapse while a link hangs.
const CLOSE_FOLLOWS_MS: u64 = 100;
/// Shortest time between two links of one role.
const LINK_PAUSE_MS: u64 = 150;
/// A link that is lost sooner than this after it was made has brought nothing, and its loss counts as a failed attempt:
/// a venue that takes connections only to drop them is not stormed. It is more than any log-in may take. The strictest
/// venue takes 600 new connections in a minute from one address (SAFETY C1); three roles at their longest pauses make
/// 160.
const YOUNG_MS: u64 = 12_000;
/// Pause after a link that is refused until a person acts (SAFETY C5, C17): the venue may take it back unasked.
const REFUSED_MS: u64 = 30_000;
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

/// What takes turns where several are due, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Link,
    Prices,
    Regular,
}

impl Turn {
    const ALL: [Self; 3] = [Self::Link, Self::Prices, Self::Regular];
}

/// A link that is wanted.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    attempt: u32,
    next: Nanos,
}

/// When a link was made, and how many attempts in a row it took; earlier links that died young count.
#[derive(Clone, Copy, Debug, Default)]
struct Made {
    at: Nanos,
    attempts: u32,
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
    /// A question was the last to be served: where a link is due, what takes turns with it comes next, so that neither
    /// keeps the other waiting.
    asked: bool,
    /// Who of those comes first.
    turn: Turn,
    /// No link is begun before this: a close was served.
    lull_until: Nanos,
    links: [Option<Wanted>; Role::ALL.len()],
    /// The last link of each role.
    made: [Made; Role::ALL.len()],
    /// Spreads the pauses of this engine's roles, so that what failed together does not try again together.
    seed: u64,
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
        let links = [None; Role::ALL.len()];
        let asks = VecDeque::new();
        Self {
            asks,
            asked: false,
            turn: Turn::Link,
            lull_until: Nanos::NEVER,
            links,
            made: Default::default(),
            seed: now.0,
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
            Ask::Link { role, after, .. } => {
                let wanted = self.wanted(role, after, now);
                self.links[role as usize].get_or_insert(wanted);
            }
            // Not before what an order waits for.
            Ask::Rules { .. } => (self.due.rules, self.due.clock) = (now, now),
            _ => match self.asks.iter_mut().find(|waiting| is_same(waiting, &ask)) {
                Some(waiting) => *waiting = ask,
                None => self.asks.push_back(ask),
            },
        }
    }

    /// From when on a link may be begun, and which attempt in a row it is.
    fn wanted(&self, role: Role, after: After, now: Nanos) -> Wanted {
        let Made { at, attempts } = self.made[role as usize];
        if at == Nanos::NEVER {
            return Wanted { attempt: 0, next: now };
        }
        let young = after != After::Nothing && now.ms_since(at) < YOUNG_MS;
        let attempt = if young { attempts } else { 0 };
        let pause_ms = match after {
            After::Refusal => REFUSED_MS,
            After::Loss if young => self.backoff_ms(role, attempt),
            After::Loss | After::Nothing => 0,
        };
        Wanted { attempt, next: now.plus_ms(pause_ms).max(at.plus_ms(LINK_PAUSE_MS)) }
    }

    /// The next thing to do at `now`, or nothing yet.
    pub fn next(&mut self, now: Nanos) -> Option<Job> {
        let closes = self.take(Rank::Closes);
        if closes.is_some() {
            return closes;
        }
        let held = now < self.held_until;
        if !(self.asked && self.due_link(now).is_some()) {
            let truth = self.next_truth(now, held);
            self.asked = truth.is_some();
            if truth.is_some() {
                return truth;
            }
        }
        self.asked = false;
        self.next_in_turn(now, held)
    }

    /// Links, prices and regular looks, each after the others. Where nobody waits, links come first again.
    fn next_in_turn(&mut self, now: Nanos, held: bool) -> Option<Job> {
        let first = self.turn as usize;
        self.turn = Turn::Link;
        for nth in (first..).take(Turn::ALL.len()) {
            let job = match Turn::ALL[nth % Turn::ALL.len()] {
                Turn::Link => self.next_link(now),
                Turn::Prices if held => None,
                Turn::Prices => self.take(Rank::Prices),
                Turn::Regular => self.next_regular(now, held),
            };
            if job.is_some() {
                self.turn = Turn::ALL[(nth + 1) % Turn::ALL.len()];
                return job;
            }
        }
        None
    }

    /// What is held and what became of orders. An order without an outcome may be a leg: what became of it is asked in
    /// spite of all patience, though seldom (SAFETY C9).
    fn next_truth(&mut self, now: Nanos, held: bool) -> Option<Job> {
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

    /// The role whose link has been due for longest, so that none that hangs keeps another from being made.
    fn due_link(&self, now: Nanos) -> Option<Role> {
        let next = |role: &Role| self.links[*role as usize].map(|wanted| wanted.next);
        let due = Role::ALL.into_iter().filter(|role| next(role).is_some_and(|next| now >= next));
        due.min_by_key(next).filter(|_| now >= self.lull_until)
    }

    fn next_link(&mut self, now: Nanos) -> Option<Job> {
        let role = self.due_link(now)?;
        let attempt = self.links[role as usize]?.attempt.saturating_add(1);
        let next = now.plus_ms(self.backoff_ms(role, attempt));
        self.links[role as usize] = Some(Wanted { attempt, next });
        Some(Job::Link { role, attempt })
    }

    /// Pause of this role after so many attempts in a row.
    fn backoff_ms(&self, role: Role, attempt: u32) -> u64 {
        backoff_ms(attempt, scattered(self.seed.wrapping_add(role as u64)))
    }

    /// A job is done at `now`, well or not. A link that was not made is tried again after a pause that begins only
    /// here, for its attempt may have hung for seconds.
    pub fn ended(&mut self, job: &Job, now: Nanos) {
        match job {
            Job::Link { role, attempt } => {
                let next = now.plus_ms(self.backoff_ms(*role, *attempt));
                if let Some(wanted) = &mut self.links[*role as usize] {
                    wanted.next = next;
                }
            }
            Job::Ask(ask) if rank(ask) == Rank::Closes => self.lull_until = now.plus_ms(CLOSE_FOLLOWS_MS),
            // One that fails leaves room for the looks that come after it.
            Job::Login => self.due.login = self.due.login.max(now.plus_ms(RETRY_MS)),
            _ => {}
        }
    }

    /// The venue asked for patience until then.
    pub fn hold(&mut self, until: Nanos) {
        self.held_until = self.held_until.max(until);
    }

    /// What has been due for longest: a log-in that fails is due again and again.
    fn next_regular(&mut self, now: Nanos, held: bool) -> Option<Job> {
        let (due, every, private) = (&mut self.due, self.every, self.private);
        let mut table = [
            (Job::Login, &mut due.login, RETRY_MS, private),
            (Job::Account, &mut due.account, seconds(every.positions_s), private && !held),
            (Job::Mode, &mut due.mode, MODE_EVERY_MS, !held),
            (Job::Clock, &mut due.clock, CLOCK_EVERY_MS, !held),
            (Job::OpenOrders, &mut due.open_orders, seconds(every.orders_s), private && !held),
            (Job::Rules, &mut due.rules, seconds(every.rules_s), !held),
        ];
        let waiting = table.iter_mut().filter(|(_, at, _, wanted)| *wanted && now >= **at);
        let (job, at, pause, _) = waiting.min_by_key(|(_, at, ..)| **at)?;
        **at = now.plus_ms(*pause);
        Some(*job)
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
        let wanted = self.links[role as usize].take();
        self.made[role as usize] = Made { at: now, attempts: wanted.map_or(0, |wanted| wanted.attempt) };
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

/// Pause after so many attempts in a row; up to a quarter less, by the seed.
fn backoff_ms(attempt: u32, seed: u64) -> u64 {
    let base = (BACKOFF_FIRST_MS << attempt.min(6).saturating_sub(1)).min(BACKOFF_LAST_MS);
    base - (base / 4) * (scattered(seed ^ u64::from(attempt)) % 256) / 256
}

/// Neighbours come out far apart (the finaliser of SplitMix64).
const fn scattered(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests;
