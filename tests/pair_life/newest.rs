//! The `order` thread judges a wish by the newest quotes, also by one that comes after its turn has begun.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bot4::journal::memory::MemoryJournal;
use bot4::order::board::Board;
use bot4::order::thread::{OrderThread, Rings};
use bot4::sys::clock::ManualClock;
use bot4::sys::ring::{Tx, ring};
use bot4::types::record::Role;
use bot4::types::report::CancelSpec;
use bot4::venue::{ReadyLink, SendError, Trader};

use super::*;

/// A venue that counts the orders it gets. Its book moves while `order` reads its news.
struct Moving {
    quotes: Tx<Quote>,
    on_the_way: Option<Quote>,
    orders: Arc<AtomicUsize>,
}

impl Trader for Moving {
    fn install(&mut self, _: ReadyLink, _: Nanos) {}

    fn missing(&self) -> [bool; Role::ALL.len()] {
        [false; Role::ALL.len()]
    }

    fn poll(&mut self, _: Nanos, _: &mut Vec<TraderEvent>) -> bool {
        let arrives = self.on_the_way.take();
        arrives.is_some_and(|quote| self.quotes.push(quote).is_ok())
    }

    fn send(&mut self, _: &OrderSpec, _: Nanos) -> Result<(), SendError> {
        self.orders.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn cancel(&mut self, _: &CancelSpec, _: Nanos) -> Result<(), SendError> {
        Ok(())
    }

    fn set_rules(&mut self, _: PairId, _: &MarketRules) {}

    fn is_ready(&self) -> bool {
        true
    }

    fn close(&mut self) {}
}

/// Orders that a wish to enter becomes when this quote of the first venue arrives in the turn that takes it.
fn orders_of_a_turn(late: impl FnOnce(&mut Rig) -> Option<Quote>) -> usize {
    let mut rig = Rig::new();
    let mut late = late(&mut rig);
    let limits = ["100.29", "100.03"];
    let wish = rig.wish(IntentKind::Enter(Direction::B), limits, ["100.30", "100.02"]);
    let (mut wishes, intents) = ring(1);
    assert!(wishes.push(wish).is_ok());
    let orders = Arc::new(AtomicUsize::new(0));
    let (mut quotes, mut traders) = (Vec::new(), Vec::<Box<dyn Trader>>::new());
    let (mut asks, mut asked) = (Vec::new(), Vec::new());
    for _ in [V, P] {
        let ((quotes_tx, quotes_rx), (ask, asks_rx)) = (ring(8), ring(64));
        quotes.push(quotes_rx);
        asks.push(ask);
        asked.push(asks_rx);
        let venue = Moving { quotes: quotes_tx, on_the_way: late.take(), orders: Arc::clone(&orders) };
        traders.push(Box::new(venue));
    }
    let ((_commands, commands), (exposures, _exposure)) = (ring(8), ring(8));
    let ((rules, _rules), (records, _records)) = (ring(8), ring(64));
    let rings = Rings { quotes, intents, commands, answers: Vec::new(), asks, exposures, rules, records };
    let (board, journal) = (Arc::new(Board::default()), Box::new(MemoryJournal::default()));
    let clock = Box::new(ManualClock::at(rig.now));
    let mut order = OrderThread::new(rig.core, Effects::new(), 0, board, traders, journal, clock, rings);
    order.poll(rig.now);
    orders.load(Ordering::Relaxed)
}

#[test]
fn a_wish_is_judged_by_a_quote_that_comes_in_its_own_turn() {
    assert_eq!(orders_of_a_turn(|_| None), 2);
    assert_eq!(orders_of_a_turn(|rig| Some(rig.quoted(V, "100.30", "100.36"))), 2, "as it was");
    let gone = |rig: &mut Rig| Some(Quote { tradable: false, ..rig.quoted(V, "100.30", "100.36") });
    assert_eq!(orders_of_a_turn(gone), 0, "the book is no more");
}
