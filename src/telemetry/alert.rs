//! One call of a person: what it is about, which leg, how many USD, what bot4 is doing and what to type next. Raised by
//! `alerts`, sent by `pager`, written to the log as it is sent.

use crate::order::modes::{ERRORS, LOSING, UNPREPARED};
use crate::store::line::{Level, Line};
use crate::store::{Names, lines};
use crate::types::order::Reason;
use crate::types::{Mode, Nanos, PairId, Qty, Rate, Usd, VenueId};
use crate::venue::{REGISTRATIONS, Registration};

use super::watch::UNLATCH_COMMAND;

pub(super) const STATUS: &str = "bot4 status";
const RESUME: &str = "bot4 status; bot4 resume";

/// What an alert is about; its name is a contract with whoever routes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    LoneLeg,
    UnknownOrder,
    Halted,
    ForeignPosition,
    /// An alarm of a stage (funding rates, positions that differ, busts, books that stand still), or a pause of the
    /// engine's own; the text says which.
    Alarm,
    LinkDown,
    /// A venue tells of a market that was not subscribed to.
    WrongMarket,
    /// A venue refuses a connection until a person acts.
    LinkRefused,
    Margin,
    KeyExpiry,
    ClockOffset,
    DatabaseLag,
    /// The journal could not be synced or read.
    JournalFailed,
    /// Another engine trades the same accounts.
    SecondEngine,
    ThreadBlocked,
    MemoryGrowth,
    /// A thread ended; the engine stops.
    Broken,
    DailySummary,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::LoneLeg => "LONE_LEG",
            Self::UnknownOrder => "UNKNOWN_ORDER",
            Self::Halted => "HALTED",
            Self::ForeignPosition => "FOREIGN_POSITION",
            Self::Alarm => "ALARM",
            Self::LinkDown => "LINK_DOWN",
            Self::WrongMarket => "WRONG_MARKET",
            Self::LinkRefused => "LINK_REFUSED",
            Self::Margin => "MARGIN",
            Self::KeyExpiry => "KEY_EXPIRY",
            Self::ClockOffset => "CLOCK_OFFSET",
            Self::MemoryGrowth => "MEMORY_GROWTH",
            Self::DatabaseLag => "DATABASE_LAG",
            Self::JournalFailed => "JOURNAL_FAILED",
            Self::SecondEngine => "SECOND_ENGINE",
            Self::ThreadBlocked => "THREAD_BLOCKED",
            Self::Broken => "BROKEN",
            Self::DailySummary => "DAILY_SUMMARY",
        }
    }
}

/// One call of a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    pub kind: Kind,
    pub at: Nanos,
    pub pair: Option<PairId>,
    pub venue: Option<VenueId>,
    /// What that leg holds, signed.
    pub leg: Option<Qty>,
    pub usd: Option<Usd>,
    pub what: String,
    /// What bot4 is doing about it.
    pub doing: &'static str,
    /// What a person types next.
    pub next_command: String,
}

impl Alert {
    /// About the engine as a whole.
    pub fn new(kind: Kind, at: Nanos, what: impl ToString, doing: &'static str, next: &str) -> Self {
        let (what, next_command) = (what.to_string(), next.to_owned());
        Self { kind, at, pair: None, venue: None, leg: None, usd: None, what, doing, next_command }
    }

    pub(super) fn about(self, pair: PairId, venue: VenueId) -> Self {
        Self { pair: Some(pair), venue: Some(venue), ..self }
    }

    /// The log line, which is also the body of the POST: flat JSON, texts escaped and capped.
    pub fn line(&self, names: &Names) -> Line {
        let level = if self.kind == Kind::DailySummary { Level::Info } else { Level::Error };
        let mut line = Line::new(self.at, level, lines::TARGET, &self.what).event("ALERT");
        line = line.text("kind", self.kind.name());
        if let Some(pair) = self.pair {
            line = line.text("pair", names.pair(pair));
        }
        if let Some(venue) = self.venue {
            line = line.text("exchange", names.venue(venue));
        }
        if let Some(leg) = self.leg {
            line = line.text("side", if leg.raw() < 0 { "short" } else { "long" });
            line = line.number("size", leg.abs());
        }
        if let Some(usd) = self.usd {
            line = line.number("usd", usd);
        }
        line = line.text("doing", self.doing).text("next_command", &self.next_command);
        line.text("text", self.sentence(names))
    }

    /// Everything in one sentence, for chat services.
    fn sentence(&self, names: &Names) -> String {
        let pair = self.pair.map(|pair| format!(" {}", names.pair(pair))).unwrap_or_default();
        let venue = self.venue.map(|venue| format!(" {}", names.title(venue))).unwrap_or_default();
        let usd = self.usd.map(|usd| format!(" ({usd} USD)")).unwrap_or_default();
        let (kind, what, doing) = (self.kind.name(), &self.what, self.doing);
        format!("bot4 {kind}{pair}{venue}: {what}{usd}. bot4: {doing}. Next: {}", self.next_command)
    }
}

/// A mode without entries that no person has asked for, and the latch whoever asked for it.
pub(super) fn held_back(at: Nanos, mode: Mode, why: Reason) -> Option<Alert> {
    let waits = "opens nothing until a person resumes; hedging, exits and stops run";
    let (kind, name, doing, next) = match (mode, why.as_str()) {
        (Mode::Halted, _) => {
            let latched = "opens nothing until a person re-arms it; hedging, exits and stops run";
            (Kind::Halted, "latched", latched, UNLATCH_COMMAND)
        }
        (Mode::Reducing, _) => (Kind::Alarm, "reducing", waits, RESUME),
        (Mode::Paused, UNPREPARED) => (Kind::Alarm, "paused", waits, RESUME),
        (Mode::Paused, LOSING | ERRORS) => {
            let pauses = "opens nothing until it is over or a person resumes; hedging, exits and stops run";
            (Kind::Alarm, "paused", pauses, RESUME)
        }
        (Mode::Paused | Mode::Active, _) => return None,
    };
    Some(Alert::new(kind, at, format!("{name}: {why}"), doing, next))
}

pub(super) fn wrong_market(at: Nanos, venue: VenueId, market: Reason) -> Alert {
    let what = format!("a message of market {market} came, which was not subscribed to");
    let doing = "drops such messages; its books follow their own";
    let next = "bot4 status; if its prices differ from the venue's page: bot4 pause";
    Alert { venue: Some(venue), ..Alert::new(Kind::WrongMarket, at, what, doing, next) }
}

pub(super) fn margin_low(at: Nanos, venue: VenueId, free: Rate, wanted: Usd, reducing: bool) -> Alert {
    let what = format!("free margin is {} % of equity: send {wanted} USD there", free.percent());
    let doing = if reducing {
        "halves its pairs there, both legs at once, until the margin is restored"
    } else {
        "holds its pairs; opens nothing there until the margin is restored"
    };
    let next = "send the amount on the venue's own page; then bot4 status";
    let alert = Alert::new(Kind::Margin, at, what, doing, next);
    Alert { venue: Some(venue), usd: Some(wanted), ..alert }
}

/// `hours` are left of the key; `None` = nobody has said.
pub(super) fn key_lapses(at: Nanos, venue: VenueId, hours: Option<u64>) -> Alert {
    let registration = REGISTRATIONS.get(venue.index()).copied().flatten();
    let what = match hours {
        Some(hours) => format!("the signing key lapses in {hours} hours"),
        None => "nobody has said when the signing key lapses".to_owned(),
    };
    let doing = match hours {
        Some(_) => "opens nothing once the key would not outlive a pair; closing is never held back",
        None => "opens nothing there, since the key might not outlive a pair; closing is never held back",
    };
    let next = match (registration, hours) {
        (None, _) => "make a new key on the venue's own page, put it into .env, restart".to_owned(),
        (Some(Registration { verb, .. }), Some(_)) => {
            format!("bot4 {verb}, on the machine of the primary key; then restart")
        }
        (Some(Registration { verb, expiry_key, .. }), None) => {
            format!("put {expiry_key} into .env, as bot4 {verb} printed it; then restart")
        }
    };
    Alert { venue: Some(venue), ..Alert::new(Kind::KeyExpiry, at, what, doing, &next) }
}
