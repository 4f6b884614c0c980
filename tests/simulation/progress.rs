//! Where the engine stands in the life of a pair, as its last effects tell: gives a death the name of its crash point
//! (SAFETY §2.2).

use bot4::journal::entry::Entry;
use bot4::types::OrderState;

/// The newest intent and what has become of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    pub starting: bool,
    pub stopping: bool,
    mending: bool,
    /// Orders of the intent, and how many of them were sent, acknowledged, filled, ended.
    orders: u8,
    sent: u8,
    acked: u8,
    filled: u8,
    ended: u8,
}

impl Progress {
    /// A run of the engine begins.
    pub fn start() -> Self {
        Self { starting: true, ..Self::default() }
    }

    pub fn on_entry(&mut self, entry: &Entry) {
        match entry {
            Entry::Intent { intent } => {
                *self = Self {
                    mending: intent.kind.is_none(),
                    orders: intent.orders.iter().flatten().count() as u8,
                    starting: self.starting,
                    stopping: self.stopping,
                    ..Self::default()
                };
            }
            Entry::Acked { .. } => self.acked += 1,
            Entry::Filled { .. } => self.filled += 1,
            Entry::Closed { state, .. } => {
                self.ended += 1;
                self.filled = self.filled.max(u8::from(*state == OrderState::Filled));
            }
            _ => {}
        }
    }

    pub fn on_send(&mut self) {
        self.sent += 1;
    }

    /// The point at which a death right before this effect falls.
    pub fn point(&self, before: &str, entry: Option<&Entry>) -> &'static str {
        match (before, entry) {
            ("login", _) => "K22",
            _ if self.starting => "K18",
            _ if self.stopping => "K19",
            ("rotate", _) => "killed before a segment changes",
            (_, Some(Entry::Intent { intent })) if intent.kind.is_none() => "K11",
            (_, Some(Entry::Intent { .. })) => "K0",
            (_, Some(Entry::Acked { .. })) => "K7",
            (_, Some(Entry::Filled { .. })) if self.mending => "K14",
            (_, Some(Entry::Filled { .. })) => "K9",
            _ if self.orders == 0 || self.ended >= self.orders => "killed at rest",
            _ => self.between(),
        }
    }

    const fn between(&self) -> &'static str {
        match (self.mending, self.sent) {
            (true, 0) => "K12",
            (true, _) => "K13",
            (false, 0) => "K3",
            (false, _) if self.filled > 0 => "K10",
            (false, _) if self.acked > 0 => "K8",
            (false, 1) if self.orders > 1 => "K5",
            (false, _) => "K6",
        }
    }
}
