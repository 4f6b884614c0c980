//! The `keeper:<venue>` thread: does what [`Schedule`] says, one blocking call at a time, and hands results and ready
//! sockets to the thread that needs them.

use std::sync::Arc;

use super::schedule::{Job, Schedule};
use crate::sys::clock::Clock;
use crate::sys::link::Link;
use crate::sys::rest::{Http, HttpError, Request, Response};
use crate::sys::ring::{Rx, Tx};
use crate::types::limits::HTTP_DEADLINE_MS;
use crate::types::planted::planted;
use crate::types::record::Role;
use crate::types::report::{Ask, Fact};
use crate::types::settings::Reconcile;
use crate::types::{Level, Nanos, PairId, Price, Record, RecordKind, VenueId, VenueMode};
use crate::venue::{Answer, Desk, DeskError, REGISTRY, ReadyLink, Sighting, Target, reason};

/// How long a venue that asks for patience is spared when it names no time, and at least, ms.
const PATIENCE_MS: u64 = 2_000;
const PATIENCE_LEAST_MS: u64 = 1_000;

/// How long an answer is waited for at least, ms: one that is lost must not keep the fate of an order waiting.
const DEADLINE_LEAST_MS: u64 = 1_000;
/// A venue that is slow is waited for so many times as long as the slowest of its last answers took.
const SLOWER: u64 = 3;
const ANSWERS: usize = 16;
/// What is due by the clock alone and tells of no position never waits longer than this, ms: a close may be next.
const ROUTINE_MS: u64 = 2_000;

/// Opens links: production over TCP and TLS, a simulation over queues. Blocks, with a deadline.
pub trait Connector: Send {
    /// An error says why without the URL.
    fn open(&mut self, target: &Target, role: Role) -> Result<Box<dyn Link>, String>;
}

/// Ring ends of one keeper.
pub struct Rings {
    pub from_order: Rx<Ask>,
    pub to_order: Tx<Answer>,
    pub from_md: Rx<Ask>,
    pub to_md: Tx<Answer>,
    pub records: Tx<Record>,
}

pub struct KeeperThread {
    venue: VenueId,
    desk: Box<dyn Desk>,
    http: Heeding,
    connector: Box<dyn Connector>,
    clock: Arc<dyn Clock>,
    schedule: Schedule,
    /// What the venue last said; entries are off unless it is `Ok`.
    mode: VenueMode,
    /// The pair whose rules are told first.
    first_rules: PairId,
    rings: Rings,
}

impl KeeperThread {
    /// `private` = live trading: accounts and orders are asked for.
    #[expect(clippy::too_many_arguments, reason = "called once, by the topology")]
    pub fn new(
        venue: VenueId,
        desk: Box<dyn Desk>,
        http: Box<dyn Http>,
        connector: Box<dyn Connector>,
        clock: Box<dyn Clock>,
        every: Reconcile,
        private: bool,
        rings: Rings,
    ) -> Self {
        let schedule = Schedule::new(clock.now(), desk.login_due(), every, private);
        let clock: Arc<dyn Clock> = Arc::from(clock);
        let http = Heeding::new(http, Arc::clone(&clock));
        Self {
            venue,
            desk,
            http,
            connector,
            clock,
            schedule,
            mode: VenueMode::Ok,
            first_rules: PairId(0),
            rings,
        }
    }

    /// Does the next thing that is due; may block for seconds.
    pub fn poll(&mut self, now: Nanos) -> bool {
        while let Some(ask) = self.rings.from_order.pop() {
            self.schedule.ask(ask, now);
        }
        while let Some(ask) = self.rings.from_md.pop() {
            self.schedule.ask(ask, now);
        }
        match self.schedule.next(now) {
            Some(job) => {
                self.run(job);
                self.schedule.ended(&job, self.clock.now());
                self.heed();
                true
            }
            None => false,
        }
    }

    fn run(&mut self, job: Job) {
        let routine = matches!(job, Job::Rules | Job::Mode | Job::Clock);
        self.http.most_ms = if routine { ROUTINE_MS } else { HTTP_DEADLINE_MS };
        match job {
            Job::Ask(ask) => self.answer(ask),
            Job::Link { role, attempt } => self.link(role, attempt),
            Job::Login => self.login(),
            Job::Account => self.answer(Ask::Account { venue: self.venue }),
            Job::OpenOrders => self.answer(Ask::OpenOrders { venue: self.venue }),
            Job::Rules => self.rules(),
            Job::Mode => self.mode(),
            Job::Clock => self.clock(),
        }
    }

    /// The venue asked for patience: only what closes goes on meanwhile.
    fn heed(&mut self) {
        let Some(for_ms) = self.http.limited_ms.take() else { return };
        self.schedule.hold(self.clock.now().plus_ms(for_ms));
        tracing::warn!(
            event_type = "RATE_LIMITED",
            for_ms,
            "{}: asked for patience",
            REGISTRY[self.venue.index()].title
        );
        self.tell(Fact::Limited { venue: self.venue, for_ms });
    }

    /// A question of `order`, or one that is due. No answer is said to be none, unless nobody was asked: what cannot
    /// even be put says nothing of the venue.
    fn answer(&mut self, ask: Ask) {
        let (asked, calls) = (self.clock.now(), self.http.calls);
        let (venue, http, desk) = (self.venue, &mut self.http, self.desk.as_mut());
        let fact = match ask {
            Ask::Order { query, .. } => desk.order(http, &query, asked).map(|sighting| {
                let Sighting { asked, report } = sighting;
                Some(Fact::Order { venue, id: query.id, asked, report })
            }),
            Ask::Account { .. } => {
                desk.account(http, asked).map(|report| Some(Fact::Account { venue, asked, report }))
            }
            Ask::OpenOrders { .. } => {
                desk.open_orders(http, asked).map(|orders| Some(Fact::OpenOrders { venue, asked, orders }))
            }
            Ask::PastOrders { since_ms, .. } => {
                let past = desk.past_orders(http, since_ms, asked);
                past.map(|orders| Some(Fact::PastOrders { venue, asked, orders }))
            }
            Ask::Cancel { target } => desk.cancel(http, &target, asked).map(|()| None),
            Ask::CancelAll { pair, .. } => desk.cancel_all(http, pair, asked).map(|()| None),
            Ask::Place { spec } => {
                desk.place(http, &spec, asked).map(|news| Some(Fact::Placed { venue, id: spec.id, news }))
            }
            Ask::Book { pair, .. } => desk.book(http, pair).map(|book| {
                let best = |levels: &[Level]| levels.first().map_or(Price::ZERO, |level| level.price);
                let (bid, ask) = (best(&book.bids), best(&book.asks));
                Some(Fact::Book { venue, pair, asked, bid, ask })
            }),
            Ask::Rules { .. } | Ask::Link { .. } => Ok(None),
        };
        match &fact {
            Ok(_) => self.schedule.answered(),
            Err(error) if error.may_pass() => self.schedule.unanswered(&ask, self.clock.now()),
            Err(_) => {}
        }
        let left = self.http.calls > calls;
        let fact = self.checked(fact, "query").unwrap_or_else(|| left.then(|| no_answer(ask, asked)));
        if let Some(fact) = fact {
            self.tell(fact);
        }
    }

    fn link(&mut self, role: Role, attempt: u32) {
        if attempt > 1 {
            self.log(RecordKind::Reconnecting { venue: self.venue, role, attempt });
        }
        let now = self.clock.now();
        if self.desk.login_due() <= now && role != Role::MarketData {
            self.login();
        }
        let target = match self.desk.target(&mut self.http, role, now) {
            Ok(target) => target,
            Err(error) => return self.complain(&error, "link"),
        };
        match self.connector.open(&target, role) {
            Ok(link) => self.hand_over(role, link, target),
            Err(why) => {
                self.desk.link_failed(role, &why);
                self.log(RecordKind::LinkDown { venue: self.venue, role, why: reason(&why) });
            }
        }
    }

    fn hand_over(&mut self, role: Role, link: Box<dyn Link>, target: Target) {
        let secret = match target {
            Target::WebSocket(target) => target.secret,
            Target::Http { secret, .. } => secret,
        };
        let ready = Answer::Link(ReadyLink { venue: self.venue, role, link, secret });
        let ring = if role == Role::MarketData { &mut self.rings.to_md } else { &mut self.rings.to_order };
        // A ring that is full gets the link at the next attempt: it stays wanted.
        if ring.push(ready).is_ok() {
            self.schedule.linked(role, self.clock.now());
        }
    }

    fn login(&mut self) {
        let now = self.clock.now();
        let outcome = self.desk.login(&mut self.http, now);
        if self.checked(outcome, "login").is_some() {
            self.schedule.logged_in(self.desk.login_due());
        }
    }

    fn rules(&mut self) {
        let outcome = self.desk.rules(&mut self.http);
        let mut told = self.checked(outcome, "rules").unwrap_or_default();
        // What found no room in a full ring goes first the next time.
        let first = told.iter().position(|(pair, _)| *pair == self.first_rules);
        told.rotate_left(first.unwrap_or_default());
        let mut missed = None;
        for (pair, rules) in told {
            let fact = Fact::Rules { venue: self.venue, pair, rules };
            // Whether its market is open.
            let heard = self.rings.to_md.push(Answer::Fact(fact.clone())).is_ok();
            if self.rings.to_order.push(Answer::Fact(fact)).is_err() || !heard {
                missed = missed.or(Some(pair));
            }
        }
        self.first_rules = missed.unwrap_or_default();
    }

    fn mode(&mut self) {
        let outcome = self.desk.mode(&mut self.http);
        if let Some(mode) = self.checked(outcome, "mode") {
            self.tell(Fact::Mode { venue: self.venue, mode });
            if mode != self.mode {
                let venue = REGISTRY[self.venue.index()].title;
                tracing::warn!(event_type = "VENUE_MODE", "{venue} is in mode {mode:?}, was {:?}", self.mode);
            }
            self.mode = mode;
        }
    }

    fn clock(&mut self) {
        let offset = clock_offset(self.desk.as_mut(), &mut self.http, self.clock.as_ref());
        if let Some(Some(offset_ms)) = self.checked(offset, "clock") {
            self.tell(Fact::Clock { venue: self.venue, offset_ms });
        }
    }

    fn tell(&mut self, fact: Fact) {
        // Sized from what can be in flight; a full ring is counted and the next deadline asks again.
        let _ = self.rings.to_order.push(Answer::Fact(fact));
    }

    fn checked<T>(&mut self, outcome: Result<T, DeskError>, what: &'static str) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(error) => {
                self.complain(&error, what);
                None
            }
        }
    }

    fn complain(&mut self, error: &DeskError, what: &'static str) {
        if error.asks_for_patience() {
            self.http.limited_ms.get_or_insert(PATIENCE_MS);
        }
        tracing::warn!(event_type = "KEEPER", what, "{error}");
    }

    fn log(&mut self, kind: RecordKind) {
        let _ = self.rings.records.push(Record { at: self.clock.now(), kind });
    }
}

/// Calls, and remembers that the venue asked for patience (SAFETY C9) and how long its answers take.
struct Heeding {
    http: Box<dyn Http>,
    clock: Arc<dyn Clock>,
    limited_ms: Option<u64>,
    /// Calls so far.
    calls: u64,
    /// How long the last answers took, ms; one that did not come took as long as it was waited for.
    took_ms: [u64; ANSWERS],
    next: usize,
    /// How long an answer is waited for at most, ms.
    most_ms: u64,
}

impl Heeding {
    fn new(http: Box<dyn Http>, clock: Arc<dyn Clock>) -> Self {
        Self {
            http,
            clock,
            limited_ms: None,
            calls: 0,
            took_ms: [0; ANSWERS],
            next: 0,
            most_ms: HTTP_DEADLINE_MS,
        }
    }

    fn deadline_ms(&self) -> u64 {
        let slowest = self.took_ms.iter().max().copied().unwrap_or_default();
        (SLOWER * slowest).clamp(DEADLINE_LEAST_MS, HTTP_DEADLINE_MS).min(self.most_ms)
    }
}

impl Http for Heeding {
    fn call(&mut self, request: Request) -> Result<Response, HttpError> {
        let asked = self.clock.now();
        let deadline_ms = self.deadline_ms();
        self.calls += 1;
        let answer = self.http.call(Request { deadline_ms, ..request });
        let took_ms = self.clock.now().ms_since(asked);
        // Who is refused at once learns nothing of how long an answer takes.
        if answer.is_ok() || took_ms >= deadline_ms {
            self.took_ms[self.next] = took_ms;
            self.next = (self.next + 1) % ANSWERS;
        }
        let response = answer?;
        if response.status == 429 {
            let told = response.retry_after.map(|told| told.wait_ms(self.clock.now()));
            self.limited_ms = Some(told.unwrap_or(PATIENCE_MS).max(PATIENCE_LEAST_MS));
        }
        Ok(response)
    }
}

/// A question that got no answer proves nothing.
fn no_answer(ask: Ask, asked: Nanos) -> Fact {
    match ask {
        Ask::Account { venue } if planted("failed_query_is_flat") => {
            Fact::Account { venue, asked, report: Default::default() }
        }
        Ask::Order { venue, query } if planted("failed_query_is_not_found") => {
            Fact::Order { venue, id: query.id, asked, report: None }
        }
        _ => Fact::Failed { ask },
    }
}

/// A round trip up to this leaves the offset as good as known, ms; what a longer one leaves open is not held against
/// the clocks.
const ROUND_TRIP_MS: u64 = 100;

/// Venue's clock minus ours in ms, half the round trip corrected; `None` where the venue does not tell the time. Of a
/// slow exchange only what is certain: a venue that answers late is no reason to halt.
pub fn clock_offset(
    desk: &mut dyn Desk,
    http: &mut dyn Http,
    clock: &dyn Clock,
) -> Result<Option<i64>, DeskError> {
    let before = clock.now();
    let told = desk.venue_time_ms(http, before)?;
    let after = clock.now();
    Ok(told.map(|ms| certain_offset(ms, before, after)))
}

fn certain_offset(told_ms: u64, before: Nanos, after: Nanos) -> i64 {
    let round_trip = after.ms_since(before);
    let offset = told_ms as i64 - (before.ms() + round_trip / 2) as i64;
    let open = (round_trip.saturating_sub(ROUND_TRIP_MS) / 2) as i64;
    offset - offset.clamp(-open, open)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::sys::clock::ManualClock;
    use crate::sys::ring::ring;
    use crate::types::{OrderKind, PairId, Profile};
    use crate::venue::Setup;

    /// Takes so many ms for each answer, in order, and notes how long it would have been waited for.
    struct Played {
        takes_ms: Vec<u64>,
        clock: ManualClock,
        waited: Arc<Mutex<Vec<u64>>>,
    }

    impl Http for Played {
        fn call(&mut self, request: Request) -> Result<Response, HttpError> {
            self.waited.lock().unwrap().push(request.deadline_ms);
            let takes_ms = self.takes_ms.remove(0);
            self.clock.advance_ms(takes_ms.min(request.deadline_ms));
            match takes_ms {
                // Nobody listens there.
                0 => Err(HttpError("refused".to_owned())),
                _ if takes_ms <= request.deadline_ms => {
                    Ok(Response { status: 200, body: Vec::new(), retry_after: None })
                }
                _ => Err(HttpError("none".to_owned())),
            }
        }
    }

    /// How long each of these answers was waited for.
    fn waits(takes_ms: &[u64]) -> Vec<u64> {
        let (clock, waited) = (ManualClock::at(Nanos::from_ms(1)), Arc::new(Mutex::new(Vec::new())));
        let (calls, takes_ms) = (takes_ms.len(), takes_ms.to_vec());
        let played = Played { takes_ms, clock: clock.clone(), waited: Arc::clone(&waited) };
        let mut heeding = Heeding::new(Box::new(played), Arc::new(clock));
        for _ in 0..calls {
            let _ = heeding.call(Request::default());
        }
        let waited = waited.lock().unwrap();
        waited.clone()
    }

    #[test]
    fn a_lost_answer_is_waited_for_a_second_and_a_slow_venue_as_long_as_it_needs() {
        const LOST: u64 = 60_000;
        assert_eq!(waits(&[20, LOST, 20, 20]), [1_000, 1_000, 3_000, 3_000]);
        let forgotten = [&[LOST][..], &[20; ANSWERS + 1]].concat();
        assert_eq!(waits(&forgotten).last(), Some(&1_000), "sixteen answers later it is forgotten");
        assert_eq!(waits(&[LOST, LOST, LOST]), [1_000, 3_000, 5_000]);
        let fast_and_slow = [20, 1_200, 20, 1_200, 20, 1_200];
        assert_eq!(
            waits(&fast_and_slow),
            [1_000, 1_000, 3_000, 3_000, 3_600, 3_600],
            "the slow one is answered"
        );
        assert_eq!(waits(&[0, 0, 0, LOST]), [1_000; 4], "who is refused at once has not waited");
    }

    impl Connector for () {
        fn open(&mut self, _: &Target, _: Role) -> Result<Box<dyn Link>, String> {
            Err("nowhere".to_owned())
        }
    }

    /// What `order` is told of a question to a venue whose REST does not answer.
    fn told(ask: Ask) -> Option<Fact> {
        let setup = Setup {
            id: ask.venue(),
            env: "sim".to_owned(),
            rest_url: "https://localhost:1/v1".to_owned(),
            ws_url: "wss://localhost:1/v1".to_owned(),
            order_kind: OrderKind::Ioc,
            profile: Profile::Pro,
            pool: Default::default(),
            ack_deadline_ms: 1_500,
            markets: vec![(PairId(0), "BTC-USD-PERP".to_owned())],
            secrets: Default::default(),
        };
        let desk = (REGISTRY[ask.venue().index()].desk)(&setup).unwrap();
        let (clock, waited) = (ManualClock::at(Nanos::from_ms(1)), Arc::default());
        let played = Played { takes_ms: vec![0; 9], clock: clock.clone(), waited };
        let (mut from_here, from_order) = ring(4);
        let (to_order, mut heard) = ring(4);
        let (from_md, to_md, records) = (ring(1).1, ring(1).0, ring(4).0);
        let rings = Rings { from_order, to_order, from_md, to_md, records };
        let every = Reconcile { orders_s: 60, positions_s: 15, rules_s: 300 };
        let (http, boxed) = (Box::new(played), Box::new(clock.clone()));
        let mut keeper = KeeperThread::new(ask.venue(), desk, http, Box::new(()), boxed, every, true, rings);
        from_here.push(ask).unwrap();
        assert!(keeper.poll(clock.now()));
        match heard.pop() {
            Some(Answer::Fact(fact)) => Some(fact),
            _ => None,
        }
    }

    #[test]
    fn a_question_that_never_left_says_nothing_of_the_venue() {
        let nth = REGISTRY.iter().position(|venue| venue.order_fallback).unwrap();
        let cancel = |pair| Ask::CancelAll { venue: VenueId(nth as u8), pair };
        let lost = cancel(PairId(0));
        assert_eq!(told(lost), Some(Fact::Failed { ask: lost }));
        assert_eq!(told(cancel(PairId(1))), None, "no market of ours: nobody was asked");
    }

    #[test]
    fn a_slow_answer_says_nothing_against_the_clock() {
        let offset = |told, round_trip: u64| {
            certain_offset(told, Nanos::from_ms(10_000), Nanos::from_ms(10_000 + round_trip))
        };
        assert_eq!((offset(10_040, 80), offset(10_400, 80), offset(9_000, 80)), (0, 360, -1_040));
        assert_eq!((offset(12_900, 3_000), offset(10_010, 3_000)), (0, -40));
        assert_eq!((offset(14_000, 3_000), offset(8_000, 3_000)), (1_050, -2_050), "certain all the same");
    }
}
