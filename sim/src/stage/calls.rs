//! REST calls under way: answers that are not due yet, and requests that a fault holds up.
//!
//! Owned by `Stage`. Times are the venue's.

use std::collections::{BTreeMap, BTreeSet};

use crate::wire::{Answer, Letter, Request, Response};

/// Names a call until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call(u64);

/// What has become of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// Ask again at this moment.
    Pending {
        due_us: i64,
    },
    /// There will be no answer; the connection stays as it is.
    Never,
    Reply(Response),
}

/// An answer nobody asks for is forgotten after this long.
const FORGET_US: i64 = 600_000_000;

#[derive(Clone)]
enum Pending {
    Held { until_us: i64, letter: Letter },
    Ready { due_us: i64, response: Response },
}

impl Pending {
    fn due_us(&self) -> i64 {
        match self {
            Pending::Held { until_us, .. } => *until_us,
            Pending::Ready { due_us, .. } => *due_us,
        }
    }
}

#[derive(Clone, Default)]
pub struct Calls {
    made: u64,
    pending: BTreeMap<Call, Pending>,
    /// What has yet to happen, by time: answers that are not ready, and every request that is held.
    ahead: BTreeSet<(i64, Call)>,
    /// The moment up to which everything has happened.
    reached_us: i64,
    /// An answer was ready as soon as it was kept.
    is_ready_at_once: bool,
}

impl Calls {
    pub fn add(&mut self, now_us: i64, answer: Answer<Response>, request: &Request) -> Call {
        let forgotten = |call: &Call, pending: &Pending| {
            pending.due_us() <= now_us - FORGET_US && !self.ahead.contains(&(pending.due_us(), *call))
        };
        self.pending.retain(|call, pending| !forgotten(call, pending));
        self.made += 1;
        let call = Call(self.made);
        match answer {
            Answer::At { due_us, result } => self.keep(call, Pending::Ready { due_us, response: result }),
            Answer::Hold { until_us } => {
                self.keep(call, Pending::Held { until_us, letter: Letter::of(request) });
            }
            Answer::Never => {}
        }
        call
    }

    /// A held request whose time has come.
    pub fn held(&mut self, now_us: i64) -> Option<(Call, Letter)> {
        let is_due =
            |pending: &Pending| matches!(pending, Pending::Held { until_us, .. } if *until_us <= now_us);
        let call = self.pending.iter().find(|(_, pending)| is_due(pending)).map(|(call, _)| *call)?;
        match self.take(call)? {
            Pending::Held { letter, .. } => Some((call, letter)),
            Pending::Ready { .. } => None,
        }
    }

    /// What came of a held request; held again, it waits at least a microsecond.
    pub fn settle(&mut self, call: Call, now_us: i64, answer: Answer<Response>, letter: Letter) {
        match answer {
            Answer::At { due_us, result } => self.keep(call, Pending::Ready { due_us, response: result }),
            Answer::Hold { until_us } => {
                self.keep(call, Pending::Held { until_us: until_us.max(now_us + 1), letter });
            }
            Answer::Never => {}
        }
    }

    pub fn answer(&mut self, call: Call, now_us: i64) -> Answered {
        let Some(pending) = self.pending.get(&call) else { return Answered::Never };
        if pending.due_us() > now_us || matches!(pending, Pending::Held { .. }) {
            return Answered::Pending { due_us: pending.due_us() };
        }
        match self.take(call) {
            Some(Pending::Ready { response, .. }) => Answered::Reply(response),
            _ => Answered::Never,
        }
    }

    /// Takes an answer out before it is due.
    pub fn foresee(&mut self, call: Call) -> Option<(i64, Response)> {
        if matches!(self.pending.get(&call)?, Pending::Held { .. }) {
            return None;
        }
        match self.take(call)? {
            Pending::Ready { due_us, response } => Some((due_us, response)),
            Pending::Held { .. } => None,
        }
    }

    /// When the next answer becomes ready or a held request goes on.
    pub fn next_due(&self) -> i64 {
        self.ahead.first().map_or(i64::MAX, |(due_us, _)| *due_us)
    }

    /// Everything up to `now_us` has happened; true when an answer has become ready.
    pub fn reach(&mut self, now_us: i64) -> bool {
        self.reached_us = self.reached_us.max(now_us);
        let mut is_ready = std::mem::take(&mut self.is_ready_at_once);
        while let Some(&(due_us, call)) = self.ahead.first().filter(|(due_us, _)| *due_us <= self.reached_us)
        {
            if matches!(self.pending.get(&call), Some(Pending::Held { .. })) {
                break;
            }
            self.ahead.remove(&(due_us, call));
            is_ready = true;
        }
        is_ready
    }

    /// The venue's clock was set forward by `us`.
    pub fn shift(&mut self, us: i64) {
        self.reached_us += us;
        for pending in self.pending.values_mut() {
            match pending {
                Pending::Held { until_us, .. } => *until_us += us,
                Pending::Ready { due_us, .. } => *due_us += us,
            }
        }
        self.ahead =
            std::mem::take(&mut self.ahead).into_iter().map(|(due_us, call)| (due_us + us, call)).collect();
    }

    fn keep(&mut self, call: Call, pending: Pending) {
        match &pending {
            Pending::Ready { due_us, .. } if *due_us <= self.reached_us => self.is_ready_at_once = true,
            pending => {
                self.ahead.insert((pending.due_us(), call));
            }
        }
        self.pending.insert(call, pending);
    }

    fn take(&mut self, call: Call) -> Option<Pending> {
        let pending = self.pending.remove(&call)?;
        self.ahead.remove(&(pending.due_us(), call));
        Some(pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request<'static> {
        Request { method: "GET", path_and_query: "/", headers: &[], body: b"" }
    }

    fn answer(due_us: i64) -> Answer<Response> {
        Answer::At { due_us, result: Response::bare(200) }
    }

    #[test]
    fn an_answer_is_told_ready_once_and_stays() {
        let mut calls = Calls::default();
        let [late, soon] = [20, 10].map(|due_us| calls.add(0, answer(due_us), &request()));
        assert_eq!(calls.next_due(), 10);
        assert_eq!([9, 10, 11].map(|now_us| calls.reach(now_us)), [false, true, false]);
        assert_eq!(calls.next_due(), 20);
        assert_eq!(calls.answer(late, 11), Answered::Pending { due_us: 20 });
        assert!(matches!(calls.answer(soon, 11), Answered::Reply(_)));
        assert_eq!(calls.answer(soon, 11), Answered::Never, "given once");
        calls.add(11, answer(11), &request());
        assert!(calls.reach(11), "ready as soon as it was asked for");
    }

    #[test]
    fn a_held_request_stays_due_until_it_goes_on() {
        let mut calls = Calls::default();
        let call = calls.add(0, Answer::Hold { until_us: 10 }, &request());
        calls.reach(15);
        assert_eq!((calls.next_due(), calls.answer(call, 15)), (10, Answered::Pending { due_us: 10 }));
        let (held, letter) = calls.held(15).unwrap();
        assert_eq!((held, calls.next_due()), (call, i64::MAX));
        calls.settle(call, 15, answer(18), letter);
        calls.shift(100);
        assert_eq!(calls.next_due(), 118);
        assert!(calls.reach(118) && matches!(calls.answer(call, 118), Answered::Reply(_)));
    }

    #[test]
    fn answers_that_nobody_asks_for_are_forgotten() {
        let mut calls = Calls::default();
        calls.add(0, answer(5), &request());
        calls.reach(FORGET_US + 5);
        calls.add(FORGET_US + 5, answer(FORGET_US + 9), &request());
        assert_eq!((calls.pending.len(), calls.ahead.len()), (1, 1));
    }
}
