//! Fault rules: which request or event they meet, how often, and what then goes wrong.
//!
//! Owned by `core::exchange`, filled by the control port. Draws come from the venue's own seeded stream,
//! so that a run with faults repeats like any other.

use serde::{Deserialize, Serialize};

use super::money;
use super::rng::Rng;
use super::types::{Event, Side, Socket};
use super::watch::Watches;

/// What a rule applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Order placement.
    Order,
    Cancel,
    /// Private reads.
    Query,
    /// Public reads.
    PublicQuery,
    /// Requests on a socket that are no orders and no cancels: subscriptions, logins, pings.
    Socket,
    /// Logins, registrations, listen keys.
    Auth,
    /// Logins on a socket; only refusals apply.
    SocketAuth,
    BookEvent,
    TickerEvent,
    OrderEvent,
    FillEvent,
    PositionEvent,
    AccountEvent,
}

impl Class {
    /// Class of an event; `None` = no rule speaks of it.
    pub fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Book(_) => Some(Self::BookEvent),
            Event::Order(_) => Some(Self::OrderEvent),
            Event::Fill(_) | Event::Bust(_) => Some(Self::FillEvent),
            Event::Position(_) => Some(Self::PositionEvent),
            Event::Account(_) => Some(Self::AccountEvent),
            Event::Ticker(_) => Some(Self::TickerEvent),
            Event::Mode { .. } | Event::Raw { .. } | Event::Close { .. } => None,
        }
    }
}

/// An answer of HTTP's own, whatever the venue's manners are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    pub status: u16,
    /// Text of a `Retry-After` header: seconds, a date, nonsense.
    #[serde(default)]
    pub retry_after: Option<String>,
    #[serde(default = "html")]
    pub content_type: String,
    #[serde(default = "bad_gateway")]
    pub body: String,
}

impl Http {
    /// A status with the page of a proxy.
    pub fn of(status: u16) -> Self {
        Self { status, retry_after: None, content_type: html(), body: bad_gateway() }
    }
}

fn html() -> String {
    "text/html".to_owned()
}

fn bad_gateway() -> String {
    "<html><body>Bad Gateway</body></html>".to_owned()
}

/// What is wrong about an execution, or about the message that tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrong {
    Side,
    /// Twice what was ordered.
    Size,
    /// The market after the right one.
    Market,
    /// A tenth worse than the limit.
    Price,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The request never reaches the venue, and nobody answers.
    DropRequest,
    /// The venue acts, and nobody answers.
    DropAck,
    /// The request arrives later (its window may lapse on the way).
    DelayRequest {
        ms: u32,
    },
    /// Orders and cancels: the same request arrives once more, so much later; nobody hears of its answer.
    DuplicateRequest {
        ms: u32,
    },
    /// The venue acts in time and answers late.
    DelayAck {
        ms: u32,
    },
    /// Requests on a socket: answered twice.
    DuplicateAck,
    /// An answer of HTTP's own; `acted`: the venue has done what was asked nevertheless.
    Respond {
        http: Http,
        #[serde(default)]
        acted: bool,
    },
    /// Orders: a gateway answers 504 at once, and the request reaches the venue so much later all the same.
    GiveUp {
        ms: u32,
    },
    /// Private reads: answered with the state of so long ago.
    Lag {
        ms: u32,
    },
    /// Private reads: what was executed for the last so long is not in their lists yet, an order that has just filled
    /// is in none. Open orders, positions and balances are as they are.
    LagHistory {
        ms: u32,
    },
    /// The order is acknowledged and stays pending for so long before it is matched.
    HoldFill {
        ms: u32,
    },
    /// Refused at once with this code.
    Reject {
        code: String,
        message: String,
    },
    /// Acknowledged, then refused by an order event with this code.
    LateReject {
        code: String,
        message: String,
    },
    /// Acknowledged, then refused because the prices moved before the fill.
    Requote,
    /// At most this size is filled; the rest is cancelled.
    PartialFill {
        #[serde(with = "money::text")]
        size: i64,
    },
    /// The same, in steps of the market.
    PartialSteps {
        steps: u32,
    },
    /// Anything from one step to the whole is filled.
    PartialAny,
    /// The order is executed wrongly: the account holds what it must not.
    CorruptFill {
        wrong: Wrong,
    },
    /// Each fill of the order is taken back so much later.
    BustFill {
        ms: u32,
    },
    /// The connection goes away right after the request was taken; with a code, by a close frame.
    Disconnect {
        socket: Socket,
        code: Option<u16>,
    },
    /// Events only: lost, sent twice, sent late (later events overtake it).
    DropEvent,
    DuplicateEvent,
    DelayEvent {
        ms: u32,
    },
    /// Orders and fills: told wrongly, while the truth is in order.
    CorruptEvent {
        wrong: Wrong,
    },
}

impl Action {
    /// How late it makes something, ms, where it does.
    pub fn ms(mut self) -> Option<u32> {
        self.ms_mut().copied()
    }

    /// The same, so much later.
    fn later(mut self, extra_ms: u32) -> Self {
        if let Some(ms) = self.ms_mut() {
            *ms = ms.saturating_add(extra_ms);
        }
        self
    }

    fn ms_mut(&mut self) -> Option<&mut u32> {
        match self {
            Action::DelayRequest { ms }
            | Action::DuplicateRequest { ms }
            | Action::DelayAck { ms }
            | Action::GiveUp { ms }
            | Action::Lag { ms }
            | Action::LagHistory { ms }
            | Action::HoldFill { ms }
            | Action::BustFill { ms }
            | Action::DelayEvent { ms } => Some(ms),
            _ => None,
        }
    }
}

/// One rule. Absent conditions match everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub class: Class,
    #[serde(default)]
    pub side: Option<Side>,
    /// Market symbol.
    #[serde(default)]
    pub market: Option<String>,
    #[serde(default)]
    pub reduce_only: Option<bool>,
    /// Let so many matches pass first.
    #[serde(default)]
    pub skip: u32,
    /// Fire at most so often; `None` = for ever.
    #[serde(default)]
    pub count: Option<u32>,
    /// Fire with this probability, in parts per million; `None` = always.
    #[serde(default)]
    pub probability_ppm: Option<u32>,
    /// Anything from nothing to this is added to the times of the action.
    #[serde(default)]
    pub jitter_ms: u32,
    pub action: Action,
}

impl Rule {
    /// A rule that fires always; narrow it with the fields.
    pub fn always(class: Class, action: Action) -> Self {
        Self {
            class,
            side: None,
            market: None,
            reduce_only: None,
            skip: 0,
            count: None,
            probability_ppm: None,
            jitter_ms: 0,
            action,
        }
    }

    /// A rule that fires once, at the next match.
    pub fn once(class: Class, action: Action) -> Self {
        Self { count: Some(1), ..Self::always(class, action) }
    }
}

/// What a request or an event shows to the rules.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub class: Class,
    pub side: Option<Side>,
    pub market: Option<&'a str>,
    pub reduce_only: Option<bool>,
}

impl Subject<'_> {
    pub fn of(class: Class) -> Self {
        Self { class, side: None, market: None, reduce_only: None }
    }
}

/// The rules of one venue, with their counters.
#[derive(Clone)]
pub struct Faults {
    rules: Vec<(Rule, u64)>,
    rng: Rng,
    /// How often any rule fired.
    pub fired: u64,
    pub watches: Watches,
}

impl Faults {
    pub fn new(seed: u64, venue: &str) -> Self {
        let rng = Rng::new(seed, &format!("faults {venue}"));
        Self { rules: Vec::new(), rng, fired: 0, watches: Watches::default() }
    }

    /// Those that are spent go.
    pub fn add(&mut self, rule: Rule) {
        self.rules.retain(|(rule, _)| rule.count != Some(0));
        self.rules.push((rule, 0));
    }

    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// Whether a rule that is to fire so many times more waits for a message of this class.
    pub fn waits_for(&self, class: Class) -> bool {
        let waits = |rule: &Rule| rule.class == class && rule.count.is_some_and(|left| left > 0);
        self.rules.iter().any(|(rule, _)| waits(rule))
    }

    pub fn rules(&self) -> Vec<Rule> {
        self.rules.iter().map(|(rule, _)| rule.clone()).collect()
    }

    /// The same for a request, which is met before the exchange acts on it.
    pub fn draw_request(&mut self, subject: Subject) -> Vec<Action> {
        self.watches.meet(subject.class);
        self.draw(subject)
    }

    /// The actions of all rules that fire on this subject, in the order in which they were added.
    pub fn draw(&mut self, subject: Subject) -> Vec<Action> {
        let mut actions = Vec::new();
        for (rule, seen) in &mut self.rules {
            if !meets(rule, subject) || rule.count == Some(0) {
                continue;
            }
            *seen += 1;
            if *seen <= u64::from(rule.skip) || rule.probability_ppm.is_some_and(|ppm| !self.rng.chance(ppm))
            {
                continue;
            }
            rule.count = rule.count.map(|left| left - 1);
            self.fired += 1;
            let extra_ms = match rule.jitter_ms {
                0 => 0,
                most => self.rng.between(0, i64::from(most)) as u32,
            };
            actions.push(rule.action.clone().later(extra_ms));
        }
        actions
    }
}

fn meets(rule: &Rule, subject: Subject) -> bool {
    rule.class == subject.class
        && rule.side.is_none_or(|side| subject.side == Some(side))
        && rule.market.as_deref().is_none_or(|market| subject.market == Some(market))
        && rule.reduce_only.is_none_or(|flag| subject.reduce_only == Some(flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skip_and_count_bound_a_rule() {
        let mut faults = Faults::new(1, "v");
        faults.add(Rule { skip: 1, ..Rule::once(Class::Order, Action::DropAck) });
        let draws: Vec<usize> = (0..4).map(|_| faults.draw(Subject::of(Class::Order)).len()).collect();
        assert_eq!(draws, [0, 1, 0, 0]);
        assert_eq!(faults.draw(Subject::of(Class::Cancel)), []);
    }

    #[test]
    fn conditions_narrow_a_rule() {
        let mut faults = Faults::new(1, "v");
        faults.add(Rule { side: Some(Side::Sell), ..Rule::always(Class::Order, Action::DropRequest) });
        let buy = Subject { side: Some(Side::Buy), ..Subject::of(Class::Order) };
        let sell = Subject { side: Some(Side::Sell), ..buy };
        assert!(faults.draw(buy).is_empty());
        assert_eq!(faults.draw(sell), [Action::DropRequest]);
    }

    #[test]
    fn jitter_lengthens_a_time() {
        let mut faults = Faults::new(1, "v");
        let rule = Rule::always(Class::BookEvent, Action::DelayEvent { ms: 10 });
        faults.add(Rule { jitter_ms: 5, ..rule });
        let drawn = || faults.draw(Subject::of(Class::BookEvent)).remove(0);
        let times: Vec<u32> = std::iter::repeat_with(drawn)
            .take(200)
            .map(|action| if let Action::DelayEvent { ms } = action { ms } else { 0 })
            .collect();
        assert_eq!((times.iter().min(), times.iter().max()), (Some(&10), Some(&15)));
    }

    #[test]
    fn rules_read_from_json() {
        let text = r#"{"class":"order","side":"sell","count":2,"action":{"partial_fill":{"size":"0.001"}}}"#;
        let rule: Rule = serde_json::from_str(text).unwrap();
        assert_eq!(rule.action, Action::PartialFill { size: 100_000 });
        assert_eq!(rule.count, Some(2));
        let rule: Rule = serde_json::from_str(r#"{"class":"order","action":"drop_ack"}"#).unwrap();
        assert_eq!(rule.action, Action::DropAck);
        let text = r#"{"class":"query","action":{"respond":{"http":{"status":429,"retry_after":"soon"}}}}"#;
        let rule: Rule = serde_json::from_str(text).unwrap();
        let http = Http { retry_after: Some("soon".into()), ..Http::of(429) };
        assert_eq!(rule.action, Action::Respond { http, acted: false });
    }
}
