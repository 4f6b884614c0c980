//! The pool of warm HTTP connections that orders leave on (sheet `vest`, 2): at most one request in flight on each, so
//! that a reply always belongs to the request that is remembered. Owned by `trader`. Never sends a request twice.

use serde::Deserialize;

use super::errors::{self, DELETED_BY_LIQUIDATION};
use super::json;
use crate::sys::link::{Inbound, Link, LinkError, Outbound};
use crate::types::order::{Reason, VenueOrderId};
use crate::types::record::Role;
use crate::types::{ClientId, Nanos, OrderNews, Pool, Reject, RejectClass};
use crate::venue::{OrderKey, SendError, TraderEvent, reason};

/// An unanswered request after this means a dead connection, ms. The order is unknown long before.
const REPLY_MS: u64 = 10_000;
/// Places for each connection that is wanted: a lane that still waits for a late reply holds one, and a fresh one takes
/// over beside it.
const PLACES_EACH: usize = 2;

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    Order(ClientId),
    Cancel(ClientId),
    Warm,
}

struct Lane {
    link: Box<dyn Link>,
    flight: Option<Errand>,
    /// When it last sent or answered anything, and when it was made or last answered.
    used: Nanos,
    heard: Nanos,
    /// It has not answered anything since a request left whose reply is overdue, its own or that of another lane: a way
    /// that is lost is lost to all that were made before.
    doubted: bool,
    /// Why it must be dropped: a send failed.
    broken: Option<Reason>,
}

/// The pool.
pub struct OrderLinks {
    lanes: Vec<Option<Lane>>,
    /// Lanes that are to be there for the next orders.
    wanted: usize,
    /// One has come since the last poll. It has nothing to confirm: it is up.
    fresh: bool,
    /// A request without a reply for so long is overdue, ms.
    reply_max_ms: u64,
    /// A lane idle for this long is used once.
    warm_ms: u64,
}

/// What a poll of one lane came to.
enum Turn {
    Idle,
    /// With how long the venue asks to be left alone, ms.
    Answered(Errand, Answer, Option<u32>),
    Lost(Reason),
}

/// What the venue said to a request.
enum Answer {
    Named(VenueOrderId),
    Refused(Reject, Option<i64>),
    Ignored,
}

impl OrderLinks {
    /// `reply_max_ms`: a request without a reply for so long is overdue.
    pub fn new(pool: Pool, reply_max_ms: u64) -> Self {
        let wanted = pool.connections as usize;
        let lanes = (0..wanted * PLACES_EACH).map(|_| None).collect();
        Self { lanes, wanted, fresh: false, reply_max_ms, warm_ms: u64::from(pool.keep_warm_s) * 1_000 }
    }

    /// Takes a connection in the place of an idle one in doubt, which has nothing to lose, or into the first free
    /// place; one too many is dropped.
    pub fn install(&mut self, link: Box<dyn Link>, now: Nanos) {
        if self.is_full() {
            return;
        }
        let spent = self.lanes.iter().position(|lane| lane.as_ref().is_some_and(Lane::is_spent));
        if let Some(place) = spent.or_else(|| self.lanes.iter().position(Option::is_none)) {
            self.lanes[place] = Some(Lane::new(link, now));
            self.fresh = true;
        }
    }

    /// Neither a lane in doubt counts nor one whose reply is overdue: a fresh one is wanted in its stead at once, while
    /// there is a place for it.
    pub fn is_full(&self) -> bool {
        let room = |lane: &Option<Lane>| lane.as_ref().is_none_or(Lane::is_spent);
        self.sound() >= self.wanted || !self.lanes.iter().any(room)
    }

    fn sound(&self) -> usize {
        self.lanes.iter().flatten().filter(|lane| !lane.doubted).count()
    }

    pub fn is_up(&self) -> bool {
        self.lanes.iter().any(Option::is_some)
    }

    /// One of them waits for no reply and is not in doubt: a request could leave now.
    pub fn has_idle(&self) -> bool {
        self.lanes.iter().flatten().any(|lane| lane.is_idle() && !lane.doubted)
    }

    /// Sends on the idle connection that was used last, being the least likely to have gone stale; on one in doubt only
    /// where there is no other. After a failed send the connection is marked, and the next poll reports and drops it.
    pub fn send(&mut self, request: &[u8], errand: Errand, now: Nanos) -> Result<(), SendError> {
        let idle = self.lanes.iter_mut().flatten().filter(|lane| lane.is_idle());
        let lane = idle.max_by_key(|lane| (!lane.doubted, lane.used));
        let lane = lane.ok_or_else(|| SendError::Nothing(Reason::cut("no idle order connection")))?;
        Ok(lane.send(request, errand, now)?)
    }

    /// Takes replies and reports losses. `named` is told of every id that the venue gave.
    pub fn poll(
        &mut self,
        now: Nanos,
        warm: &[u8],
        events: &mut Vec<TraderEvent>,
        named: &mut dyn FnMut(ClientId, VenueOrderId),
    ) -> bool {
        let (mut worked, mut lost) = (false, false);
        for place in &mut self.lanes {
            while let Some(lane) = place {
                match lane.turn(now) {
                    Turn::Idle => break,
                    Turn::Answered(errand, answer, for_ms) => {
                        if let (Answer::Refused(reject, _), Some(for_ms)) = (&answer, for_ms)
                            && reject.class == RejectClass::RetryLater
                        {
                            events.push(TraderEvent::Limited { for_ms });
                        }
                        report(errand, answer, events, named);
                    }
                    Turn::Lost(why) => {
                        report_loss(lane.flight, why, events);
                        (*place, lost) = (None, true);
                    }
                }
                worked = true;
            }
        }
        self.doubt(now);
        self.trim();
        let fresh = std::mem::take(&mut self.fresh) && self.is_up();
        // Where it was lost, fresh ones may have taken its place before.
        if fresh || lost && self.is_full() {
            events.push(TraderEvent::LinkUp { role: Role::Orders });
        }
        worked | self.keep_warm(now, warm)
    }

    /// A lane whose reply is overdue stays open to hear it late, and is in doubt with all the idle ones that have not
    /// answered since its request left: with the state of a router on the way they all die at once, and the orders of a
    /// lone leg would go into one after the other.
    fn doubt(&mut self, now: Nanos) {
        let reply_max_ms = self.reply_max_ms;
        let overdue = |lane: &&mut Lane| lane.flight.is_some() && now.ms_since(lane.used) > reply_max_ms;
        let late = self.lanes.iter_mut().flatten().filter(overdue);
        let asked = late.map(|lane| {
            lane.doubted = true;
            lane.used
        });
        let Some(asked) = asked.max() else { return };
        let idle = self.lanes.iter_mut().flatten().filter(|lane| lane.is_idle());
        idle.filter(|lane| lane.heard <= asked).for_each(|lane| lane.doubted = true);
    }

    /// Late replies have made more than are wanted: the idle one that was used longest ago goes.
    fn trim(&mut self) {
        if self.sound() <= self.wanted {
            return;
        }
        let idle = |place: &&mut Option<Lane>| place.as_ref().is_some_and(Lane::is_idle);
        let used = |place: &&mut Option<Lane>| place.as_ref().map(|lane| (!lane.doubted, lane.used));
        if let Some(place) = self.lanes.iter_mut().filter(idle).min_by_key(used) {
            *place = None;
        }
    }

    pub fn close(&mut self) {
        for lane in self.lanes.iter_mut().filter_map(Option::take) {
            let mut link = lane.link;
            // The connection ends either way.
            let _ = link.send(Outbound::Close);
        }
    }

    /// Uses one stale idle connection, only while another idle one stands by for an order.
    fn keep_warm(&mut self, now: Nanos, warm: &[u8]) -> bool {
        if self.lanes.iter().flatten().filter(|lane| lane.is_idle() && !lane.doubted).count() < 2 {
            return false;
        }
        let warm_ms = self.warm_ms;
        let mut stale = self.lanes.iter_mut().flatten();
        let Some(lane) = stale.find(|lane| lane.is_idle() && now.ms_since(lane.used) >= warm_ms) else {
            return false;
        };
        // A failure is reported by the next poll.
        let _ = lane.send(warm, Errand::Warm, now);
        true
    }
}

impl Lane {
    fn new(link: Box<dyn Link>, now: Nanos) -> Self {
        Self { link, flight: None, used: now, heard: now, doubted: false, broken: None }
    }

    const fn is_idle(&self) -> bool {
        self.flight.is_none() && self.broken.is_none()
    }

    /// Idle and in doubt: its place is free for a fresh one.
    const fn is_spent(&self) -> bool {
        self.is_idle() && self.doubted
    }

    fn send(&mut self, request: &[u8], errand: Errand, now: Nanos) -> Result<(), LinkError> {
        (self.flight, self.used) = (Some(errand), now);
        self.link.send(Outbound::Request(request)).inspect_err(|error| self.broken = Some(reason(error)))
    }

    fn turn(&mut self, now: Nanos) -> Turn {
        if let Some(why) = self.broken {
            return Turn::Lost(why);
        }
        match self.link.recv() {
            Ok(Some(Inbound::Response { status, body, retry_after })) => {
                (self.used, self.heard, self.doubted) = (now, now, false);
                match self.flight.take() {
                    Some(errand) => {
                        let for_ms = retry_after.map(|told| told.wait_ms(now) as u32);
                        Turn::Answered(errand, read_answer(errand, status, body), for_ms)
                    }
                    None => Turn::Lost(Reason::cut("a reply without a request")),
                }
            }
            Ok(Some(_)) => Turn::Lost(Reason::cut("not an HTTP response")),
            Ok(None) if self.flight.is_some() && now.ms_since(self.used) > REPLY_MS => {
                Turn::Lost(Reason::cut("no reply within 10 s"))
            }
            Ok(None) => Turn::Idle,
            Err(error) => Turn::Lost(reason(&error)),
        }
    }
}

#[derive(Deserialize)]
struct Named<'a> {
    id: &'a str,
}

/// Success is the presence of a usable `id`, whatever the status; anything else is a refusal of some class (sheet
/// `vest`, 6).
fn read_answer(errand: Errand, status: u16, body: &[u8]) -> Answer {
    if errand == Errand::Warm {
        return Answer::Ignored;
    }
    match json::from_slice::<Named>(body).ok().and_then(|reply| json::order_id(reply.id).ok()) {
        Some(id) => Answer::Named(id),
        None => {
            let refusal = errors::read_refusal(status, body);
            Answer::Refused(refusal.reject(), refusal.code)
        }
    }
}

/// An acknowledged order, a refused one, or a refused cancel, which only says that the order must be asked for.
fn report(
    errand: Errand,
    answer: Answer,
    events: &mut Vec<TraderEvent>,
    named: &mut dyn FnMut(ClientId, VenueOrderId),
) {
    match (errand, answer) {
        (Errand::Order(id), Answer::Named(venue_id)) => {
            named(id, venue_id);
            events.push(news(id, OrderNews::Acked));
        }
        (Errand::Order(id), Answer::Refused(reject, code)) => {
            if code == Some(DELETED_BY_LIQUIDATION) {
                events.push(TraderEvent::Liquidation);
            }
            events.push(news(id, OrderNews::Rejected(reject)));
        }
        (Errand::Cancel(id), Answer::Refused(reject, _)) => events.push(unclear(id, reject.code)),
        (Errand::Cancel(_) | Errand::Warm, _) | (Errand::Order(_), Answer::Ignored) => {}
    }
}

/// The order of a lost connection may or may not have arrived.
fn report_loss(flight: Option<Errand>, why: Reason, events: &mut Vec<TraderEvent>) {
    if let Some(Errand::Order(id) | Errand::Cancel(id)) = flight {
        events.push(unclear(id, Reason::cut("LINK LOST")));
    }
    events.push(TraderEvent::LinkDown { role: Role::Orders, why });
}

fn unclear(id: ClientId, code: Reason) -> TraderEvent {
    news(id, OrderNews::Rejected(Reject { class: RejectClass::Ambiguous, code }))
}

const fn news(id: ClientId, news: OrderNews) -> TraderEvent {
    TraderEvent::Order { key: OrderKey::Client(id), news, t_venue: Nanos::NEVER }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fuzz::fuzz;
    use crate::venue::vest::testing::frame;

    #[test]
    fn no_damaged_answer_to_an_order_panics() {
        let made = "POST /orders, POST /orders/cancel, POST /lp, POST /transfer/withdraw response";
        let samples = [frame(made), frame("POST /orders error")];
        fuzz("vest order reply", &samples, |body| {
            match read_answer(Errand::Order(ClientId::default()), 200, body) {
                Answer::Named(id) => !id.as_str().is_empty(),
                Answer::Refused(..) | Answer::Ignored => false,
            }
        });
    }
}
