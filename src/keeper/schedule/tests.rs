//! Tests of the order in which the keeper works.

use super::*;
use crate::types::order::VenueOrderId;
use crate::types::report::{After, CancelSpec};
use crate::types::{ClientId, PairId, VenueId};

const VENUE: VenueId = VenueId(0);
const EVERY: Reconcile = Reconcile { orders_s: 60, positions_s: 15, rules_s: 300 };

#[test]
fn questions_come_before_links_and_links_before_routine() {
    let start = Nanos::from_ms(1_000);
    let mut schedule = Schedule::new(start, start.plus_ms(60_000), EVERY, true);
    schedule.ask(Ask::Link { venue: VENUE, role: Role::Orders, after: After::Nothing }, start);
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
        schedule.ask(Ask::Link { venue: VENUE, role, after: After::Nothing }, start);
    }
    let mut turn = || {
        // Answers that do not come leave something to be asked for at any time.
        schedule.ask(Ask::Account { venue: VENUE }, start);
        matches!(schedule.next(start), Some(Job::Link { .. }))
    };
    assert_eq!([turn(), turn(), turn(), turn(), turn()], [false, true, false, true, false]);
}

/// Longest time that a link hangs, ms.
const HANGS_MS: u64 = 3_000;

#[test]
fn a_close_goes_before_any_link_and_none_begins_right_after_it() {
    let start = Nanos::from_ms(1_000);
    let mut schedule = quiet(start);
    let account = Ask::Account { venue: VENUE };
    schedule.ask(account, start);
    assert_eq!(schedule.next(start), Some(Job::Ask(account)));
    [Ask::Link { venue: VENUE, role: Role::Orders, after: After::Nothing }, account, cancel(1, 1)]
        .into_iter()
        .for_each(|ask| schedule.ask(ask, start));
    let closes = Job::Ask(cancel(1, 1));
    assert_eq!(schedule.next(start), Some(closes), "though it is the turn of the link");
    let refused = start.plus_ms(400);
    schedule.ended(&closes, refused);
    assert_eq!(schedule.next(refused), Some(Job::Ask(account)));
    assert_eq!(schedule.next(refused.plus_ms(CLOSE_FOLLOWS_MS - 1)), None, "its next try follows");
    let link = Job::Link { role: Role::Orders, attempt: 1 };
    assert_eq!(schedule.next(refused.plus_ms(CLOSE_FOLLOWS_MS)), Some(link));
}

#[test]
fn the_pause_after_a_link_that_hangs_and_a_login_that_does_begins_at_their_end() {
    let start = Nanos::from_ms(1_000);
    let mut schedule = quiet(start);
    schedule.ask(Ask::Link { venue: VENUE, role: Role::Orders, after: After::Nothing }, start);
    for attempt in 1..20 {
        let job = Job::Link { role: Role::Orders, attempt };
        let began = start.plus_ms(u64::from(attempt) * 10_000);
        let looks = std::iter::from_fn(|| schedule.next(began));
        assert!(looks.take(9).any(|next| next == job), "{attempt}");
        let ended = began.plus_ms(HANGS_MS);
        schedule.ended(&job, ended);
        let linked = |next: Option<Job>| matches!(next, Some(Job::Link { .. }));
        assert!(!linked(schedule.next(ended)) && linked(schedule.next(ended.plus_ms(BACKOFF_LAST_MS))));
        schedule.links[Role::Orders as usize].as_mut().unwrap().attempt = attempt;
    }
    let late = start.plus_ms(700_000);
    schedule.linked(Role::Orders, late);
    let mut looks = |ended: Option<&Job>, at: Nanos| -> Vec<Job> {
        ended.into_iter().for_each(|job| schedule.ended(job, at));
        std::iter::from_fn(|| schedule.next(at)).collect()
    };
    assert!(looks(None, late).contains(&Job::Login));
    let ended = late.plus_ms(5_000);
    assert_eq!(looks(Some(&Job::Login), ended), [Job::Mode], "others are not kept waiting");
    assert_eq!(looks(None, ended.plus_ms(RETRY_MS)), [Job::Login]);
}

/// All links hang, questions are never at an end, and from some time on no log-in succeeds.
#[test]
fn links_that_hang_starve_neither_each_other_nor_questions_nor_looks() {
    let (account, book) = (Ask::Account { venue: VENUE }, Ask::Book { venue: VENUE, pair: PairId(0) });
    let (mut now, mut jobs) = (Nanos::from_ms(1_000), Vec::new());
    let mut schedule = Schedule::new(now, now.plus_ms(150_000), EVERY, true);
    for role in Role::ALL {
        schedule.ask(Ask::Link { venue: VENUE, role, after: After::Nothing }, now);
    }
    while now < Nanos::from_ms(400_000) {
        [account, book].into_iter().for_each(|ask| schedule.ask(ask, now));
        let job = schedule.next(now).unwrap();
        now = now.plus_ms(if matches!(job, Job::Link { .. }) { HANGS_MS } else { 20 });
        schedule.ended(&job, now);
        jobs.push(job);
    }
    let times = |wanted: &dyn Fn(&Job) -> bool| jobs.iter().filter(|job| wanted(job)).count();
    let tries =
        Role::ALL.map(|role| times(&|job| matches!(job, Job::Link { role: one, .. } if *one == role)));
    assert!(tries.iter().all(|&tried| tried > 20 && tried.abs_diff(tries[0]) <= 1), "{tries:?}");
    for (job, least) in [
        (Job::Ask(account), 100),
        (Job::Ask(book), 50),
        (Job::Login, 20),
        (Job::Account, 15),
        (Job::OpenOrders, 5),
        (Job::Rules, 1),
        (Job::Mode, 30),
        (Job::Clock, 10),
    ] {
        assert!(times(&|one| *one == job) >= least, "{job:?} {}", times(&|one| *one == job));
    }
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
fn one_more_link_of_a_role_comes_after_the_shortest_pause() {
    let start = Nanos::from_ms(1_000);
    let mut schedule = Schedule::new(start, start.plus_ms(60_000), EVERY, true);
    let wish = Ask::Link { venue: VENUE, role: Role::Orders, after: After::Nothing };
    let job = Job::Link { role: Role::Orders, attempt: 1 };
    for nth in 0..4 {
        let now = start.plus_ms(nth * LINK_PAUSE_MS);
        schedule.ask(wish, now);
        assert_eq!(schedule.next(Nanos(now.0 - 1)), None);
        assert_eq!(schedule.next(now), Some(job), "{nth}");
        schedule.linked(Role::Orders, now);
    }
}

/// A venue that takes every connection and drops it at once, for this long, all roles together.
fn links_to_a_venue_that_drops_them(ms: u64) -> Vec<(Role, u64)> {
    let start = Nanos::from_ms(1_000);
    let mut schedule = Schedule::new(start, start.plus_ms(600_000), EVERY, true);
    let roles = [Role::MarketData, Role::Orders, Role::Spare];
    let mut made = Vec::new();
    for role in roles {
        schedule.ask(Ask::Link { venue: VENUE, role, after: After::Nothing }, start);
    }
    for at in 0..ms {
        let now = start.plus_ms(at);
        while let Some(job) = schedule.next(now) {
            if let Job::Link { role, .. } = job {
                made.push((role, at));
                schedule.linked(role, now);
                schedule.ask(Ask::Link { venue: VENUE, role, after: After::Loss }, now);
            }
            schedule.ended(&job, now);
        }
    }
    made
}

#[test]
fn a_venue_that_drops_every_link_at_once_is_not_stormed() {
    let made = links_to_a_venue_that_drops_them(60_000);
    let times =
        |role: Role| -> Vec<u64> { made.iter().filter(|(one, _)| *one == role).map(|(_, at)| *at).collect() };
    assert!(made.len() < 200, "{} in a minute, the venue takes 600", made.len());
    let busiest = (0..60).map(|s| made.iter().filter(|(_, at)| at / 1_000 == s).count()).max();
    assert!(busiest.unwrap() <= 15, "{busiest:?} in a second, the venue takes 20");
    let (one, other) = (times(Role::Orders), times(Role::Spare));
    assert!(one.windows(2).all(|two| two[1] - two[0] <= BACKOFF_LAST_MS), "{one:?}");
    let together = one.iter().filter(|at| other.contains(at)).count();
    assert!(together < one.len() / 4, "what failed together tries again apart: {one:?} {other:?}");
}

#[test]
fn a_link_that_has_held_is_made_again_at_once_and_a_refused_one_half_a_minute_later() {
    let start = Nanos::from_ms(1_000);
    let mut schedule = quiet(start);
    let link = |after| Ask::Link { venue: VENUE, role: Role::Private, after };
    let job = |attempt| Some(Job::Link { role: Role::Private, attempt });
    schedule.ask(link(After::Nothing), start);
    assert_eq!(schedule.next(start), job(1));
    schedule.linked(Role::Private, start);
    schedule.ask(link(After::Loss), start.plus_ms(YOUNG_MS - 1));
    assert_eq!(schedule.links[Role::Private as usize].unwrap().attempt, 1, "it died young");
    schedule.linked(Role::Private, start);
    let lost = start.plus_ms(YOUNG_MS);
    schedule.ask(link(After::Loss), lost);
    assert_eq!(schedule.due_link(lost), Some(Role::Private));
    assert_eq!(schedule.next_link(lost), job(1));
    schedule.linked(Role::Private, lost);
    schedule.ask(link(After::Refusal), lost);
    assert_eq!(schedule.due_link(lost.plus_ms(REFUSED_MS - 1)), None);
    assert_eq!(schedule.next_link(lost.plus_ms(REFUSED_MS)), job(2));
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
    for seed in 0..100 {
        assert!((1..100).all(|attempt| backoff_ms(attempt, seed) <= BACKOFF_LAST_MS));
        assert!((1..100).all(|attempt| backoff_ms(attempt, seed) >= BACKOFF_FIRST_MS * 3 / 4));
        assert!(backoff_ms(1, seed) <= BACKOFF_FIRST_MS && backoff_ms(9, seed) >= BACKOFF_LAST_MS * 3 / 4);
        assert!(HANGS_MS + backoff_ms(9, seed) < 5_000, "after a link that hung, too");
    }
}

#[test]
fn paper_makes_no_private_call() {
    let start = Nanos::from_ms(1_000);
    let mut schedule = Schedule::new(start, start, EVERY, false);
    let late = start.plus_ms(10_000_000);
    let jobs: Vec<_> = std::iter::from_fn(|| schedule.next(late)).take(10).collect();
    assert_eq!(jobs, [Job::Mode, Job::Clock, Job::Rules]);
}
