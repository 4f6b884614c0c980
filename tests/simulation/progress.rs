//! Where the engine stands in the life of a pair, as its last effects tell: gives a death the name of its crash point
//! (SAFETY §2.2).

use bot4::journal::entry::{Entry, IntentOrder};
use bot4::types::{OrderState, Purpose, Qty};

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
    mend: Mend,
}

/// What the ladder of a lone leg has met since the last decision.
#[derive(Clone, Copy, Debug, Default)]
struct Mend {
    /// Leg of the newest mending order, and whether it unwinds.
    newest: Option<(u8, bool)>,
    missed_unwind: bool,
    /// Leg and size of the one that its venue refused.
    refused: Option<(u8, Qty)>,
    /// Of the newest.
    size: Qty,
}

impl Progress {
    /// A run of the engine begins.
    pub fn start() -> Self {
        Self { starting: true, ..Self::default() }
    }

    /// Returns the rung of the ladder that an intent climbs, if it is a later one (SAFETY §2.3).
    pub fn on_entry(&mut self, entry: &Entry) -> Option<&'static str> {
        match entry {
            Entry::Intent { intent } => {
                *self = Self {
                    mending: intent.kind.is_none(),
                    orders: intent.orders.iter().flatten().count() as u8,
                    starting: self.starting,
                    stopping: self.stopping,
                    mend: if intent.kind.is_none() { self.mend } else { Mend::default() },
                    ..Self::default()
                };
                return intent.orders.iter().flatten().find_map(|order| self.mend.climb(order));
            }
            Entry::Acked { .. } => self.acked += 1,
            Entry::Filled { .. } => self.filled += 1,
            Entry::Closed { state, .. } => {
                self.mend.on_closed(*state);
                self.ended += 1;
                self.filled = self.filled.max(u8::from(*state == OrderState::Filled));
            }
            _ => {}
        }
        None
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

impl Mend {
    fn climb(&mut self, order: &IntentOrder) -> Option<&'static str> {
        let unwinds = order.spec.purpose == Purpose::Unwind;
        if !unwinds && order.spec.purpose != Purpose::Complete {
            return None;
        }
        self.newest = Some((order.leg, unwinds));
        let (leg, qty) = (order.leg, order.spec.qty);
        let refused = self.refused.take();
        self.size = qty;
        match refused {
            Some((other, _)) if other != leg => Some("R5"),
            Some((_, whole)) if qty < whole => Some("R6"),
            _ => (unwinds && self.missed_unwind).then_some("R4"),
        }
    }

    fn on_closed(&mut self, state: OrderState) {
        let Some((leg, unwinds)) = self.newest else { return };
        match state {
            OrderState::NoFill => self.missed_unwind |= unwinds,
            OrderState::Rejected | OrderState::NeverAccepted => self.refused = Some((leg, self.size)),
            _ => {}
        }
    }
}
