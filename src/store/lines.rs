//! Facts as log lines: a `Record` of a hot thread, or a journal entry that has no record of its own. Pure.
//! The messages of the requirements stand here word for word; each line says its `event_type`, pair and
//! venue, so that the timeline of a pair can be rebuilt from its lines.

mod entry;
mod record;

pub use entry::entry;
pub use record::record;

use super::line::{Level, Line};
use super::names::Names;
use crate::types::message::StopReason;
use crate::types::order::{Purpose, RejectClass};
use crate::types::{Nanos, OrderState, PairId, Side, VenueId};

/// `target` of every line made from a fact.
pub const TARGET: &str = "bot4";

/// What the lines of one fact have in common.
#[derive(Clone, Copy)]
struct Scribe<'a> {
    names: &'a Names,
    at: Nanos,
}

impl Scribe<'_> {
    fn line(self, level: Level, event: &'static str, message: impl std::fmt::Display) -> Line {
        Line::new(self.at, level, TARGET, message).event(event)
    }

    fn info(self, event: &'static str, message: impl std::fmt::Display) -> Line {
        self.line(Level::Info, event, message)
    }

    fn warn(self, event: &'static str, message: impl std::fmt::Display) -> Line {
        self.line(Level::Warn, event, message)
    }

    fn debug(self, event: &'static str, message: impl std::fmt::Display) -> Line {
        self.line(Level::Debug, event, message)
    }

    fn pair(self, line: Line, pair: PairId) -> Line {
        line.text("pair", self.names.pair(pair))
    }

    fn exchange(self, line: Line, venue: VenueId) -> Line {
        line.text("exchange", self.names.venue(venue))
    }

    fn both(self, line: Line, pair: PairId, venue: VenueId) -> Line {
        self.exchange(self.pair(line, pair), venue)
    }
}

/// A duration in nanoseconds as milliseconds with three decimals.
fn ms(ns: u64) -> impl std::fmt::Display {
    let micros = ns / 1000;
    std::fmt::from_fn(move |f| write!(f, "{}.{:03}", micros / 1000, micros % 1000))
}

/// A duration in nanoseconds as microseconds with three decimals.
fn us(ns: u64) -> impl std::fmt::Display {
    std::fmt::from_fn(move |f| write!(f, "{}.{:03}", ns / 1000, ns % 1000))
}

/// Word of a side in fields of orders.
pub const fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

pub const fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Enter => "enter",
        Purpose::Exit => "exit",
        Purpose::Complete => "complete",
        Purpose::Unwind => "unwind",
    }
}

pub const fn stop_reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Threshold => "threshold",
        StopReason::Widening => "widening",
        StopReason::MaxHold => "max_hold",
        StopReason::Carry => "carry",
        StopReason::Margin => "margin",
        StopReason::Operator => "operator",
        StopReason::Gone => "gone",
        StopReason::Ended => "ended",
    }
}

pub const fn order_state(state: OrderState) -> &'static str {
    match state {
        OrderState::Intent => "intent",
        OrderState::Sent => "sent",
        OrderState::Acked => "acked",
        OrderState::Unknown => "unknown",
        OrderState::Filled => "filled",
        OrderState::NoFill => "no_fill",
        OrderState::Rejected => "rejected",
        OrderState::NeverAccepted => "never_accepted",
    }
}

const fn reject_class(class: RejectClass) -> &'static str {
    match class {
        RejectClass::Definitive => "definitive",
        RejectClass::TooLarge => "too_large",
        RejectClass::RetryLater => "retry_later",
        RejectClass::Halt => "halt",
        RejectClass::Ambiguous => "ambiguous",
    }
}
