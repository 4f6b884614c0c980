//! `md:<venue>` on a scripted connection and a clock set by hand.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use super::*;
use crate::book::market::tests::{rules, settings, whole};
use crate::sys::link::{Inbound, LinkError};
use crate::sys::ring::ring;
use crate::types::MarketStatus;
use crate::types::Price;
use crate::venue::{Outbox, ReadyLink, WireError};

const HERE: VenueId = VenueId(1);

#[derive(Clone, Default)]
struct TestClock(Arc<AtomicU64>);

impl TestClock {
    fn set_ms(&self, ms: u64) -> Nanos {
        self.0.store(ms, Ordering::Relaxed);
        Nanos::from_ms(ms)
    }
}

impl Clock for TestClock {
    fn now(&self) -> Nanos {
        Nanos::from_ms(self.0.load(Ordering::Relaxed))
    }
}

/// Frames to read; an empty one breaks the connection, `4000` is the close code by which this venue refuses it.
struct TestLink {
    waiting: mpsc::Receiver<Vec<u8>>,
    held: Vec<u8>,
}

impl Link for TestLink {
    fn send(&mut self, message: Outbound<'_>) -> Result<(), LinkError> {
        match message {
            Outbound::Text(bytes) => assert_eq!(bytes, b"subscribe"),
            Outbound::Close => {}
            other => panic!("unexpected {other:?}"),
        }
        Ok(())
    }

    fn recv(&mut self) -> Result<Option<Inbound<'_>>, LinkError> {
        let Ok(frame) = self.waiting.try_recv() else { return Ok(None) };
        self.held = frame;
        let code = match &self.held[..] {
            b"" => 1006,
            b"4000" => 4000,
            text => return Ok(Some(Inbound::Text(text))),
        };
        Err(LinkError::Closed { code, reason: "gone".into() })
    }
}

/// Reads `m<mid>` as a whole book, `a` as a sign of life, `u` as one of an unknown pair, `w` as a message of another
/// market, `g` as a gap, `t` as word that the market trades, `h` that it does not; anything else is bad.
struct TestFeed;

impl Feed for TestFeed {
    fn on_open(&mut self, _: Nanos, out: &mut dyn Outbox) {
        out.text(b"subscribe");
    }

    fn tells_status(&self) -> bool {
        true
    }

    fn on_frame(
        &mut self,
        _: Nanos,
        frame: Inbound<'_>,
        sink: &mut dyn FeedSink,
        _: &mut dyn Outbox,
    ) -> Result<(), WireError> {
        let Inbound::Text(bytes) = frame else { return Ok(()) };
        match bytes {
            [b'm', mid @ ..] => sink.book(&whole(std::str::from_utf8(mid).unwrap().parse().unwrap())),
            b"a" => sink.alive(PairId(0)),
            b"u" => sink.alive(PairId(9)),
            b"t" => sink.ticker(PairId(0), Ticker::default()),
            b"h" => {
                sink.ticker(PairId(0), Ticker { status: MarketStatus::Halted, ..Ticker::default() });
            }
            b"w" => sink.foreign("DOGE"),
            b"g" => sink.gap(PairId(0), "sequence"),
            other => return Err(WireError::new("frame", other, "a test frame")),
        }
        Ok(())
    }

    fn on_tick(&mut self, now: Nanos, _: &mut dyn Outbox) -> Result<(), WireError> {
        if now.ms() >= 60_000 { Err(WireError::new("pong", b"", "one")) } else { Ok(()) }
    }
}

struct Bench {
    thread: BookThread,
    clock: TestClock,
    frames: Option<mpsc::Sender<Vec<u8>>>,
    quotes: Rx<Quote>,
    order: Rx<Quote>,
    asks: Rx<Ask>,
    answers: Tx<Answer>,
    records: Rx<Record>,
}

fn bench(depth: usize) -> Bench {
    bench_at(HERE, depth)
}

fn bench_at(venue: VenueId, depth: usize) -> Bench {
    let (spread, quotes) = ring(depth);
    let (order_tx, order) = ring(1_024);
    let (ask, asks) = ring(8);
    let (answers, answers_rx) = ring(8);
    let (records_tx, records) = ring(256);
    let clock = TestClock::default();
    clock.set_ms(1_000);
    let rings = BookRings { spread, order: order_tx, ask, answers: answers_rx, records: records_tx };
    let mut thread = BookThread::new(venue, Box::new(TestFeed), Box::new(clock.clone()), &settings(), rings);
    thread.set_lot(PairId(0), Qty::from_raw(1), Qty::from_raw(1));
    Bench { thread, clock, frames: None, quotes, order, asks, answers, records }
}

impl Bench {
    /// Hands over a fresh connection, as `keeper` would.
    fn connect(&mut self) {
        let (frames, waiting) = mpsc::channel();
        self.frames = Some(frames);
        let link = Box::new(TestLink { waiting, held: Vec::new() });
        let venue = self.thread.markets.venue;
        let ready = ReadyLink { venue, role: Role::MarketData, link, secret: None };
        assert!(self.answers.push(Answer::Link(ready)).is_ok());
        self.at(self.clock.now().ms());
    }

    fn frame(&mut self, bytes: &str) {
        self.frames.as_ref().unwrap().send(bytes.into()).unwrap();
        self.at(self.clock.now().ms());
    }

    fn at(&mut self, ms: u64) {
        let now = self.clock.set_ms(ms);
        self.thread.poll(now);
    }

    fn quote(&mut self) -> Option<Quote> {
        std::iter::from_fn(|| self.quotes.pop()).last()
    }

    fn records(&mut self) -> Vec<RecordKind> {
        std::iter::from_fn(|| self.records.pop()).map(|record| record.kind).collect()
    }

    fn asks(&mut self) -> usize {
        std::iter::from_fn(|| self.asks.pop()).count()
    }
}

#[test]
fn a_connection_is_asked_for_once_and_used() {
    let mut bench = bench(16);
    bench.at(1_000);
    bench.at(1_001);
    assert_eq!(bench.asks(), 1);
    bench.connect();
    bench.frame("m10000");
    let quote = bench.quote().unwrap();
    assert!(quote.tradable && quote.venue == HERE);
    assert_eq!((quote.ask, quote.t_wire), (Price::from_raw(10_001), Nanos::from_ms(1_001)));
    assert_eq!(std::iter::from_fn(|| bench.order.pop()).last(), Some(quote));
    bench.at(1_900);
    bench.frame("a");
    let renewed = bench.quote().unwrap();
    assert_eq!((renewed.t_wire, renewed.updates), (Nanos::from_ms(1_900), 2));
}

#[test]
fn a_connection_is_up_when_the_venue_has_answered_and_refused_where_it_never_did() {
    let (venue, role) = (VenueId(0), Role::MarketData);
    for (answered, after) in [(false, After::Refusal), (true, After::Loss)] {
        let mut bench = bench_at(venue, 16);
        bench.at(1_000);
        bench.connect();
        assert_eq!(bench.records(), [], "connected is not up");
        if answered {
            ["t", "t"].into_iter().for_each(|frame| bench.frame(frame));
            assert_eq!(bench.records(), [RecordKind::LinkUp { venue, role }], "once");
        }
        bench.asks();
        bench.frame("4000");
        let told = bench.records();
        let refused = matches!(told[0], RecordKind::LinkRefused { venue: VenueId(0), .. });
        assert_eq!((refused, told.len()), (!answered, 2 + usize::from(!answered)), "{told:?}");
        assert_eq!(bench.asks.pop(), Some(Ask::Link { venue, role, after }));
    }
}

#[test]
fn a_lost_connection_takes_its_quotes_along() {
    let mut bench = bench(16);
    bench.at(1_000);
    bench.connect();
    bench.frame("m10000");
    bench.records();
    bench.asks();
    bench.frame("");
    assert!(!bench.quote().unwrap().tradable);
    let told = bench.records();
    let wanted = "the loss, and the new attempt at once";
    assert!(matches!(told[0], RecordKind::LinkDown { venue: HERE, .. }), "{wanted}: {told:?}");
    assert!(
        matches!(told[1], RecordKind::Reconnecting { venue: HERE, attempt: 1, .. }),
        "{wanted}: {told:?}"
    );
    assert_eq!(told.len(), 2, "{wanted}: {told:?}");
    assert_eq!(bench.asks(), 1);
    bench.connect();
    assert!(!bench.quote().unwrap().tradable, "nothing is known before the first whole book");
    bench.frame("m10000");
    assert!(bench.quote().unwrap().tradable);
}

#[test]
fn a_feed_that_gives_up_and_a_flood_of_bad_frames_replace_the_connection() {
    let mut bench = bench(64);
    bench.connect();
    bench.asks();
    bench.at(60_000);
    assert_eq!(bench.asks(), 1, "half open");
    bench.at(1_000);
    bench.connect();
    (0..19).for_each(|_| bench.frame("?"));
    assert_eq!(bench.asks(), 0);
    bench.frame("?");
    assert_eq!(bench.asks(), 1, "flood");
    assert_eq!(bench.thread.counts().rejected, 20);
}

#[test]
fn a_book_that_stands_still_is_fetched_anew_and_told_when_that_does_not_help() {
    let mut bench = bench(8);
    bench.connect();
    bench.frame("m100");
    bench.at(10_000);
    bench.frame("m100");
    bench.at(29_900);
    // The connection lives, and what it tells is not the book.
    bench.frame("t");
    bench.at(29_950);
    let lost = |records: Vec<RecordKind>| {
        let why = Reason::cut("a book stands still");
        let down = records
            .iter()
            .filter(|kind| matches!(kind, RecordKind::LinkDown { why: told, .. } if *told == why));
        (down.count(), records.iter().filter(|kind| matches!(kind, RecordKind::Alarm { .. })).count())
    };
    assert_eq!(lost(bench.records()), (0, 0));
    bench.at(30_300);
    assert_eq!((lost(bench.records()), bench.asks()), ((1, 0), 1));
    bench.connect();
    bench.frame("m100");
    bench.frame("t");
    bench.at(49_000);
    assert_eq!(lost(bench.records()), (0, 0));
    bench.at(50_700);
    assert_eq!(
        lost(bench.records()),
        (0, 1),
        "a fresh connection has brought the book, and it stands still again"
    );
    bench.at(59_000);
    assert_eq!(lost(bench.records()), (0, 0), "told once, and no connection is replaced so soon again");
    bench.frame("m101");
    bench.at(59_900);
    assert_eq!(lost(bench.records()), (0, 0));
}

#[test]
fn a_market_that_does_not_trade_may_stand_still() {
    let mut bench = bench(8);
    bench.connect();
    bench.frame("m100");
    bench.frame("h");
    for ms in (2_000..59_000).step_by(1_000) {
        bench.at(ms);
    }
    let told = |kind: &RecordKind| matches!(kind, RecordKind::LinkDown { .. } | RecordKind::Alarm { .. });
    assert!(!bench.records().iter().any(told));
}

#[test]
fn what_an_earlier_connection_told_of_a_market_holds_no_more() {
    let mut bench = bench(16);
    let status = |bench: &mut Bench, frame: &str| {
        bench.frame(frame);
        bench.quote().unwrap().ticker.status
    };
    bench.connect();
    assert_eq!(status(&mut bench, "m100"), MarketStatus::Untold, "not told yet");
    bench.frame("t");
    assert_eq!(status(&mut bench, "m101"), MarketStatus::Trading);
    bench.frame("");
    bench.connect();
    assert_eq!(status(&mut bench, "m102"), MarketStatus::Untold);
    bench.frame("t");
    assert_eq!(status(&mut bench, "m103"), MarketStatus::Trading);
}

#[test]
fn a_gap_makes_the_book_untradable_until_the_next_whole_one() {
    let mut bench = bench(16);
    bench.connect();
    bench.frame("m10000");
    bench.frame("g");
    assert!(!bench.quote().unwrap().tradable);
    bench.frame("a");
    assert!(!bench.quote().unwrap().tradable);
    bench.frame("m10000");
    assert!(bench.quote().unwrap().tradable);
}

#[test]
fn what_had_piled_up_behind_a_silence_is_not_believed() {
    let mut bench = bench(16);
    bench.connect();
    let mut trades = |ms: u64, frame: &str| {
        bench.at(ms);
        bench.frame(frame);
        bench.quote().unwrap().tradable
    };
    assert!(trades(1_000, "m10000"));
    assert!(trades(2_000, "m10001"), "as long as a book may be old is no silence");
    assert!(!trades(21_000, "m10002"), "it may be as old as the silence");
    assert!(!trades(21_000, "a"));
    assert!(!trades(21_900, "m10003"));
    assert!(trades(22_000, "m10004"), "for so long nothing can have been held up");
}

#[test]
fn every_message_is_counted_exactly_once() {
    let mut bench = bench(2);
    bench.connect();
    bench.frame("m10000");
    for frame in ["m10001", "a", "?", "m10002", "m0", "g", "m10003"] {
        bench.frame(frame);
    }
    let Counts { messages, applied, conflated, rejected, waiting } = bench.thread.counts();
    assert_eq!((messages, rejected, waiting), (7, 2, 1));
    assert_eq!(messages, applied + conflated + rejected + waiting);
    let mut last = None;
    while let Some(quote) = bench.quote() {
        last = Some(quote);
        bench.at(1_002);
    }
    assert_eq!(last.unwrap().ask, Price::from_raw(10_004), "the newest state arrives");
    assert_eq!(bench.thread.counts().waiting, 0);
}

#[test]
fn book_counts_are_recorded_once_a_second() {
    let mut bench = bench(64);
    bench.connect();
    for ms in (2_000..4_100).step_by(100) {
        bench.at(ms);
        bench.frame("m10000");
    }
    let counts = bench.records();
    let counts = counts.iter().filter(|kind| matches!(kind, RecordKind::BookUpdated { .. })).count();
    assert_eq!(counts, 2);
}

#[test]
fn the_end_accounts_for_every_message() {
    let mut bench = bench(16);
    bench.connect();
    ["m10000", "m10001", "?"].iter().for_each(|frame| bench.frame(frame));
    bench.records();
    bench.thread.close();
    let told = bench.records().into_iter().find(|kind| matches!(kind, RecordKind::BookCounts { .. }));
    let (venue, messages, applied, rejected) = (HERE, 3, 2, 1);
    let counts = RecordKind::BookCounts { venue, messages, applied, conflated: 0, rejected, waiting: 0 };
    assert_eq!(told, Some(counts));
}

#[test]
fn lots_follow_the_rules_of_both_venues() {
    let mut bench = bench(16);
    bench.connect();
    bench.frame("m10000");
    for (venue, lot) in [(0, 30), (1, 20)] {
        let rules = MarketRules { lot: Qty::from_raw(lot), min_qty: Qty::from_raw(150), ..rules() };
        let told = Answer::Fact(Fact::Rules { venue: VenueId(venue), pair: PairId(0), rules });
        assert!(bench.answers.push(told).is_ok());
    }
    bench.frame("m10000");
    assert_eq!(bench.quote().unwrap().sizes.map(Qty::raw), [360, 180, 0]);
}

/// A reader that takes a quote from the ring of `spread` finds it in that of `order`, however quick it is: no wish
/// overtakes the quotes that it was made of.
#[test]
fn no_quote_reaches_spread_before_order() {
    const ROUNDS: u64 = 50_000;
    // So far `order` may be behind and still has room: what waits for room comes later by right.
    const BEHIND: u64 = 500;
    let mut bench = bench(16);
    bench.connect();
    let Bench { mut thread, clock, frames: Some(frames), mut quotes, mut order, .. } = bench else {
        panic!("not connected")
    };
    let (told, ended) = (AtomicU64::new(0), AtomicU64::new(0));
    let overtaken = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut overtaken = 0;
            loop {
                let over = ended.load(Ordering::Acquire) > 0;
                let taken = quotes.pop();
                if let Some(newest) = std::iter::from_fn(|| order.pop()).last() {
                    told.store(newest.updates, Ordering::Release);
                }
                match taken {
                    Some(quote) => overtaken += u64::from(quote.updates > told.load(Ordering::Relaxed)),
                    None if over => break overtaken,
                    None => std::hint::spin_loop(),
                }
            }
        });
        for round in 1..=ROUNDS {
            frames.send(b"m10000".to_vec()).unwrap();
            thread.poll(clock.now());
            while round > told.load(Ordering::Acquire) + BEHIND {
                std::thread::yield_now();
            }
        }
        ended.store(1, Ordering::Release);
        reader.join().unwrap()
    });
    assert!(told.into_inner() >= ROUNDS, "every quote reached `order`");
    assert_eq!(overtaken, 0);
}

#[test]
fn a_market_that_no_pair_names_is_rejected() {
    let mut bench = bench(16);
    bench.connect();
    bench.quote();
    bench.frame("u");
    assert_eq!(bench.quote(), None);
    assert_eq!((bench.thread.counts().messages, bench.thread.counts().rejected), (1, 1));
}

#[test]
fn a_message_of_another_market_is_dropped_counted_and_told_and_moves_no_book() {
    let mut bench = bench(16);
    bench.connect();
    bench.quote();
    while bench.records.pop().is_some() {}
    bench.frame("w");
    assert_eq!(bench.quote(), None);
    assert_eq!((bench.thread.counts().messages, bench.thread.counts().rejected), (1, 1));
    let told = std::iter::from_fn(|| bench.records.pop()).map(|record| record.kind);
    let told = told.filter(|kind| !matches!(kind, RecordKind::LinkUp { .. }));
    let wrong = RecordKind::WrongMarket { venue: HERE, market: Reason::cut("DOGE") };
    assert_eq!(told.collect::<Vec<_>>(), [wrong]);
}

#[test]
fn a_closed_thread_asks_for_nothing() {
    let mut bench = bench(16);
    bench.connect();
    bench.frame("m10000");
    bench.asks();
    bench.thread.close();
    bench.at(5_000);
    assert!(!bench.quote().unwrap().tradable);
    assert_eq!(bench.asks(), 0);
}
