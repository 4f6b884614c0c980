//! The `order` thread around the core: it judges a wish by the newest quotes, also by one that comes after its turn has
//! begun, and a journal that cannot be written to the disk halts it and keeps it from nothing that closes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bot4::journal::entry::Entry;
use bot4::journal::memory::MemoryJournal;
use bot4::journal::{Journal, JournalError};
use bot4::order::board::Board;
use bot4::order::thread::{OrderThread, Rings};
use bot4::sys::clock::{Clock, ManualClock};
use bot4::sys::ring::{Rx, Tx, ring};
use bot4::types::order::Reason;
use bot4::types::record::Role;
use bot4::types::report::{Ask, CancelSpec};
use bot4::venue::{ReadyLink, SendError, Trader};

use super::*;

/// A venue that counts the orders it gets. Its book moves while `order` reads its news.
struct Moving {
    quotes: Tx<Quote>,
    on_the_way: Option<Quote>,
    orders: Arc<AtomicUsize>,
    /// Date of its last order, ns.
    dated: Arc<AtomicU64>,
    lanes: Lanes,
}

/// How a venue takes orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Lanes {
    #[default]
    Idle,
    /// Each connection waits for a reply, and it is known.
    Busy,
    /// The same, found out by the order.
    Deceptive,
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

    fn send(&mut self, _: &OrderSpec, now: Nanos) -> Result<(), SendError> {
        if self.lanes != Lanes::Idle {
            return Err(SendError::Nothing(Reason::cut("no idle connection")));
        }
        self.orders.fetch_add(1, Ordering::Relaxed);
        self.dated.store(now.0, Ordering::Relaxed);
        Ok(())
    }

    fn cancel(&mut self, _: &CancelSpec, _: Nanos) -> Result<(), SendError> {
        Ok(())
    }

    fn set_rules(&mut self, _: PairId, _: &MarketRules) {}

    fn is_ready(&self) -> bool {
        true
    }

    fn can_send(&self) -> bool {
        self.lanes != Lanes::Busy
    }

    fn close(&mut self) {}
}

/// The thread of a rig, with the ends of the rings that a test uses.
struct Threaded {
    order: OrderThread,
    wishes: Tx<Intent>,
    commands: Tx<Command>,
    /// What the first venue is asked; there is room for one question.
    asked: Rx<Ask>,
    /// Orders that the venues got.
    orders: Arc<AtomicUsize>,
    dated: Arc<AtomicU64>,
    now: Nanos,
}

impl Threaded {
    /// `late` is a quote of the first venue that arrives in the first turn.
    fn new(rig: Rig, journal: Box<dyn Journal>, late: Option<Quote>) -> Self {
        Self::with(rig, journal, late, [Lanes::Idle; 2])
    }

    fn with(rig: Rig, journal: Box<dyn Journal>, late: Option<Quote>, lanes: [Lanes; 2]) -> Self {
        let clock = ManualClock::at(rig.now);
        Self::with_clock(rig, clock, journal, late, lanes)
    }

    fn with_clock(
        rig: Rig,
        clock: ManualClock,
        journal: Box<dyn Journal>,
        mut late: Option<Quote>,
        lanes: [Lanes; 2],
    ) -> Self {
        let (orders, dated) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
        let (mut quotes, mut traders) = (Vec::new(), Vec::<Box<dyn Trader>>::new());
        let (asks, asked): (Vec<_>, Vec<_>) = lanes.iter().map(|_| ring(1)).unzip();
        let asked = asked.into_iter().next().unwrap();
        for lanes in lanes {
            let (quotes_tx, quotes_rx) = ring(8);
            quotes.push(quotes_rx);
            let (orders, dated) = (Arc::clone(&orders), Arc::clone(&dated));
            let venue = Moving { quotes: quotes_tx, on_the_way: late.take(), orders, dated, lanes };
            traders.push(Box::new(venue));
        }
        let ((wishes, intents), (commands, from_main)) = (ring(1), ring(8));
        let (exposures, rules, records) = (ring(8).0, ring(8).0, ring(64).0);
        let (answers, commands_rx) = (Vec::new(), from_main);
        let rings =
            Rings { quotes, intents, commands: commands_rx, answers, asks, exposures, rules, records };
        let (board, clock) = (Arc::new(Board::default()), Box::new(clock));
        let now = rig.now;
        let order = OrderThread::new(rig.core, Effects::new(), 0, board, traders, journal, clock, rings);
        Self { order, wishes, commands, asked, orders, dated, now }
    }

    fn turn(&mut self) {
        self.order.poll(self.now);
        self.now = self.now.plus_ms(2);
    }

    fn command(&mut self, command: Command) {
        assert!(self.commands.push(command).is_ok());
        self.turn();
    }

    fn orders(&self) -> usize {
        self.orders.load(Ordering::Relaxed)
    }
}

fn wish_to_enter(rig: &Rig) -> Intent {
    rig.wish(IntentKind::Enter(Direction::B), ["100.29", "100.03"], ["100.30", "100.02"])
}

/// Orders that a wish to enter becomes when this quote of the first venue arrives in the turn that takes it.
fn orders_of_a_turn(late: impl FnOnce(&mut Rig) -> Option<Quote>) -> usize {
    let mut rig = Rig::new();
    let late = late(&mut rig);
    let wish = wish_to_enter(&rig);
    let mut thread = Threaded::new(rig, Box::new(MemoryJournal::default()), late);
    assert!(thread.wishes.push(wish).is_ok());
    thread.turn();
    thread.orders()
}

#[test]
fn a_wish_is_judged_by_a_quote_that_comes_in_its_own_turn() {
    assert_eq!(orders_of_a_turn(|_| None), 2);
    assert_eq!(orders_of_a_turn(|rig| Some(rig.quoted(V, "100.30", "100.36"))), 2, "as it was");
    let gone = |rig: &mut Rig| Some(Quote { tradable: false, ..rig.quoted(V, "100.30", "100.36") });
    assert_eq!(orders_of_a_turn(gone), 0, "the book is no more");
}

#[test]
fn what_forbids_an_entry_is_heard_before_the_wish_that_waits_beside_it() {
    let rig = Rig::new();
    let wish = wish_to_enter(&rig);
    let mut thread = Threaded::new(rig, Box::new(MemoryJournal::default()), None);
    assert!(thread.wishes.push(wish).is_ok() && thread.commands.push(Command::Pause).is_ok());
    thread.turn();
    assert_eq!((thread.orders(), thread.order.core().mode()), (0, Mode::Paused));
}

/// Orders that reach the venues of a wish to enter.
fn orders_over(lanes: [Lanes; 2]) -> usize {
    let rig = Rig::new();
    let wish = wish_to_enter(&rig);
    let mut thread = Threaded::with(rig, Box::new(MemoryJournal::default()), None, lanes);
    assert!(thread.wishes.push(wish).is_ok());
    thread.turn();
    thread.orders()
}

#[test]
fn no_leg_leaves_while_the_other_cannot() {
    assert_eq!(orders_over([Lanes::Idle; 2]), 2);
    assert_eq!(orders_over([Lanes::Busy, Lanes::Idle]), 0);
    assert_eq!(orders_over([Lanes::Idle, Lanes::Busy]), 0, "known before the first leg leaves");
    assert_eq!(orders_over([Lanes::Deceptive, Lanes::Idle]), 0, "found out by the first leg");
    assert_eq!(orders_over([Lanes::Idle, Lanes::Deceptive]), 1, "one byte that left cannot be taken back");
}

/// A journal that takes its time.
struct Slow(ManualClock);

impl Journal for Slow {
    fn append(&mut self, _: &Entry) -> Result<(), JournalError> {
        self.0.advance_ms(2_000);
        Ok(())
    }

    fn free_bytes(&self) -> u64 {
        u64::MAX
    }
}

#[test]
fn an_order_that_the_journal_held_up_is_dated_by_its_write() {
    let rig = Rig::new();
    let (wish, clock) = (wish_to_enter(&rig), ManualClock::at(rig.now));
    let mut thread =
        Threaded::with_clock(rig, clock.clone(), Box::new(Slow(clock.clone())), None, [Lanes::Idle; 2]);
    assert!(thread.wishes.push(wish).is_ok());
    thread.turn();
    assert_eq!(thread.orders(), 2);
    let dated = Nanos(thread.dated.load(Ordering::Relaxed));
    assert!(dated.ms_since(wish.t_decide) >= 2_000 && dated <= clock.now());
}

/// A journal whose disk has failed.
struct Failing;

impl Journal for Failing {
    fn append(&mut self, _: &Entry) -> Result<(), JournalError> {
        let source = std::io::Error::from_raw_os_error(5);
        Err(JournalError::Io { what: "cannot sync", path: "failing".into(), source })
    }

    fn free_bytes(&self) -> u64 {
        u64::MAX
    }
}

#[test]
fn a_journal_that_cannot_be_synced_opens_nothing_and_halts_until_a_restart() {
    let rig = Rig::new();
    let wish = wish_to_enter(&rig);
    let mut thread = Threaded::new(rig, Box::new(Failing), None);
    thread.turn();
    assert_eq!(thread.order.core().mode(), Mode::Active, "nothing was written yet");
    assert!(thread.wishes.push(Intent { t_decide: thread.now, ..wish }).is_ok());
    thread.turn();
    thread.turn();
    assert_eq!((thread.orders(), thread.order.core().mode()), (0, Mode::Halted));
    thread.command(Command::Unlatch { why: Reason::cut("looked") });
    thread.turn();
    thread.command(Command::Resume);
    thread.turn();
    assert_eq!(thread.order.core().mode(), Mode::Halted, "the disk is not believed again in this run");
}

#[test]
fn a_pair_is_closed_though_the_journal_cannot_be_synced() {
    let mut rig = Rig::new();
    rig.opened();
    rig.quotes();
    let wish = rig.wish(IntentKind::Exit(StopReason::Threshold), ["100.12", "100.09"], ["100.11", "100.10"]);
    let mut thread = Threaded::new(rig, Box::new(Failing), None);
    thread.command(Command::Pause);
    thread.turn();
    assert_eq!(thread.order.core().mode(), Mode::Halted);
    assert!(thread.wishes.push(Intent { t_decide: thread.now, ..wish }).is_ok());
    thread.turn();
    assert_eq!(thread.orders(), 2, "both legs close");
}

/// Who asks counts a question as asked, and asks again only after a while.
#[test]
fn a_question_that_finds_its_ring_full_waits_for_room() {
    let mut thread = Threaded::new(Rig::new(), Box::new(MemoryJournal::default()), None);
    while thread.asked.pop().is_some() {
        thread.turn();
    }
    let adopts = |thread: &mut Threaded| thread.command(Command::Adopt(PairId(0)));
    (0..2).for_each(|_| adopts(&mut thread));
    let account = Some(Ask::Account { venue: V });
    assert_eq!(thread.asked.pop(), account);
    thread.turn();
    assert_eq!(thread.asked.pop(), account, "it came as soon as there was room");
}

/// A journal whose segment is full until another is there, and whose disk has none for as long as `none` says.
struct Full {
    none: Arc<AtomicU64>,
    full: bool,
    tried: Arc<AtomicUsize>,
}

impl Journal for Full {
    fn append(&mut self, _: &Entry) -> Result<(), JournalError> {
        if self.full { Err(JournalError::Full { wanted: 1 }) } else { Ok(()) }
    }

    fn free_bytes(&self) -> u64 {
        u64::MAX
    }

    fn rotate(&mut self, _: &[Entry]) -> Result<(), JournalError> {
        self.tried.fetch_add(1, Ordering::Relaxed);
        self.full = self.none.load(Ordering::Relaxed) == 1;
        if self.full { Err(JournalError::Full { wanted: 1 }) } else { Ok(()) }
    }
}

#[test]
fn a_gap_in_the_journal_ends_with_the_first_segment_that_can_be_had_and_is_not_asked_for_all_the_time() {
    let rig = Rig::new();
    let wish = wish_to_enter(&rig);
    let (none, tried) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicUsize::new(0)));
    let journal = Full { none: Arc::clone(&none), full: true, tried: Arc::clone(&tried) };
    let mut thread = Threaded::new(rig, Box::new(journal), None);
    let wishes = |thread: &mut Threaded| {
        assert!(thread.wishes.push(Intent { t_decide: thread.now, ..wish }).is_ok());
        thread.turn();
    };
    wishes(&mut thread);
    assert_eq!(thread.orders(), 0, "it does not stand in the journal");
    for _ in 0..1_000 {
        thread.turn();
    }
    let tries = tried.load(Ordering::Relaxed);
    assert!((1..=3).contains(&tries), "{tries} in two seconds");
    none.store(0, Ordering::Relaxed);
    for _ in 0..600 {
        thread.turn();
    }
    assert_eq!(tried.load(Ordering::Relaxed), tries + 1, "whole again, and asked no more");
}
