//! What an exchange says privately, and how fault rules garble what it says: lost, doubled, late, untrue.
//!
//! Part of `Exchange`; public messages are `feed`'s, which sends them through here.

use super::exchange::{Exchange, Market, Work};
use super::fault::{Action, Class, Subject, Wrong};
use super::money;
use super::types::*;

/// Copies of one event at most, however many rules double it.
const COPIES_MAX: u32 = 16;

impl Exchange {
    /// Queues a private event behind the ones before it, subject to the fault rules.
    pub(super) fn tell(&mut self, now_us: i64, event: Event) {
        let delay = self.sample(self.spec.latency.event);
        let due = (now_us + delay).max(self.last_event_us);
        self.last_event_us = due;
        let actions = self.faults.draw(event_subject(&event, &self.markets));
        self.emit(now_us, due, actions, event);
    }

    /// Queues an event for `due_us`, lost, doubled or late as the rules say.
    pub(super) fn emit(&mut self, now_us: i64, due_us: i64, actions: Vec<Action>, mut event: Event) {
        let mut copies = 1;
        let mut late = 0;
        for action in actions {
            match action {
                Action::DropEvent => copies = 0,
                Action::DuplicateEvent => copies = (copies * 2).min(COPIES_MAX),
                Action::DelayEvent { ms } => late += i64::from(ms) * 1_000,
                Action::CorruptEvent { wrong } => misread(&mut event, wrong, self.markets.len()),
                other => self.side_effect(now_us, &other),
            }
        }
        for _ in 1..copies {
            self.schedule(due_us + late, Work::Emit(Box::new(event.clone())));
        }
        if copies > 0 {
            self.schedule(due_us + late, Work::Emit(Box::new(event)));
        }
    }

    pub(super) fn tell_holdings(&mut self, now_us: i64, account: AccountId, market: usize) {
        let position = self.position(account, market);
        self.tell(now_us, Event::Position(position));
        let account = self.account(account, now_us);
        self.tell(now_us, Event::Account(account));
    }

    pub(super) fn side_effect(&mut self, now_us: i64, action: &Action) {
        if let Action::Disconnect { socket, code } = action {
            self.schedule(now_us, Work::Emit(Box::new(Event::Close { socket: *socket, code: *code })));
        }
    }
}

fn event_subject<'a>(event: &Event, markets: &'a [Market]) -> Subject<'a> {
    let (side, market) = match event {
        Event::Ticker(t) => (None, t.market),
        Event::Order(o) => (Some(o.side), o.market),
        Event::Fill(f) | Event::Bust(f) => (Some(f.side), f.market),
        Event::Position(p) => (None, p.market),
        _ => (None, 0),
    };
    let class = Class::of(event).unwrap_or(Class::AccountEvent);
    Subject { side, market: markets.get(market).map(|m| m.spec.symbol.as_str()), ..Subject::of(class) }
}

/// Falsifies a message about an order or a fill.
fn misread(event: &mut Event, wrong: Wrong, markets: usize) {
    let (side, size, market, price) = match event {
        Event::Order(o) => (&mut o.side, &mut o.filled, &mut o.market, &mut o.limit),
        Event::Fill(f) => (&mut f.side, &mut f.size, &mut f.market, &mut f.price),
        _ => return,
    };
    match wrong {
        Wrong::Side => *side = side.opposite(),
        Wrong::Size => *size = size.saturating_mul(2),
        Wrong::Market => *market = (*market + 1) % markets,
        Wrong::Price => *price = money::percent(*price, 90),
    }
}
