//! The public stream: the book by `order_book.{market}.deltas`, mark price and funding by `markets_summary.{market}`
//! and `funding_data.{market}` (sheet 5.5, 5.6). Owned by this venue's market data thread; pure. It never lets a book
//! pass whose sequence has a hole.
//!
//! Funding: the venue states a rate per funding period (8 h unless `funding_data` says otherwise) and accrues it by
//! the second, so the rate per hour is that rate divided by the hours of the period.

use super::Markets;
use super::rpc::{self, Incoming, Requests};
use super::sbe::{self, Book, Funding, Message, Summary};
use super::sync::{BookState, Verdict, fill_update, judge};
use crate::sys::link::Inbound;
use crate::types::limits::LEVELS_MAX;
use crate::types::{BookUpdate, Nanos, PairId, Profile, Rate, Ticker};
use crate::venue::pulse::Pulse;
use crate::venue::{Feed, FeedSink, Outbox, Setup, SetupError, WireError};

/// Longest wait for the whole book after asking for it, ms; then the connection is replaced.
const SNAPSHOT_WAIT_MS: u64 = 5_000;
/// Funding period until the venue tells it, hours (sheet 7).
const FUNDING_PERIOD_H: u16 = 8;
/// Requests that may wait for an acknowledgement; a venue that never answers must not make the list grow.
const ASKED_MAX: usize = 256;
/// Bytes of the longest request.
const REQUEST_MAX: usize = 256;

/// The public stream of this venue.
pub struct ParadexFeed {
    markets: Markets,
    streams: Vec<Stream>,
    channel_suffix: &'static str,
    requests: Requests,
    /// Requests without an answer.
    asked: Vec<(u64, Asked)>,
    pulse: Pulse,
    update: BookUpdate,
}

/// What one market's stream knows.
struct Stream {
    pair: PairId,
    book: BookState,
    ticker: Ticker,
    period_h: u16,
}

/// What a request was for. Only the book's subscription must not be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Book,
    Rest,
}

impl ParadexFeed {
    pub fn new(setup: &Setup) -> Result<Self, SetupError> {
        let markets = Markets::new(setup)?;
        let stream = |(pair, _)| Stream {
            pair,
            book: BookState::Awaiting { since: Nanos::NEVER },
            ticker: Ticker::default(),
            period_h: FUNDING_PERIOD_H,
        };
        Ok(Self {
            streams: markets.iter().map(stream).collect(),
            markets,
            channel_suffix: match setup.profile {
                Profile::Pro => "deltas",
                Profile::Retail => "interactive_deltas",
            },
            requests: Requests::new(REQUEST_MAX),
            asked: Vec::new(),
            pulse: Pulse::default(),
            update: BookUpdate {
                bids: Vec::with_capacity(LEVELS_MAX),
                asks: Vec::with_capacity(LEVELS_MAX),
                ..BookUpdate::default()
            },
        })
    }

    fn on_text(&mut self, text: &[u8]) -> Result<(), WireError> {
        let (id, error) = match rpc::read(text)? {
            Incoming::Reply { id, .. } => (Some(id), None),
            Incoming::Error { id, error } => (id, Some(error.refusal())),
            Incoming::Event { .. } => return Ok(()),
        };
        let at = self.asked.iter().position(|&(asked, _)| Some(asked) == id);
        let asked = at.map(|at| self.asked.swap_remove(at).1);
        match (asked, error) {
            (Some(_), None) => Ok(()),
            (Some(Asked::Rest), Some(_)) => Ok(()),
            (None, None) => Err(WireError::new("reply", text, "the id of a request of ours")),
            (_, Some(_)) => Err(WireError::new("subscription", text, "an acknowledgement")),
        }
    }

    fn on_book(
        &mut self,
        now: Nanos,
        book: &Book<'_>,
        sink: &mut dyn FeedSink,
        out: &mut dyn Outbox,
    ) -> Result<(), WireError> {
        let Some(nth) = self.nth(book.market) else {
            sink.foreign(book.market);
            return Ok(());
        };
        let stream = &mut self.streams[nth];
        match judge(stream.book, book) {
            Verdict::Drop => Ok(()),
            Verdict::Gap => {
                self.resubscribe(now, nth, "sequence gap", sink, out);
                Ok(())
            }
            Verdict::Take => {
                stream.book = BookState::Live { sequence: book.sequence };
                let pair = stream.pair;
                if !book.snapshot && book.bids.is_empty() && book.asks.is_empty() {
                    sink.alive(pair);
                    return Ok(());
                }
                if let Err(error) = fill_update(&mut self.update, pair, book) {
                    self.resubscribe(now, nth, "unusable book message", sink, out);
                    return Err(error);
                }
                sink.book(&self.update);
                Ok(())
            }
        }
    }

    fn on_summary(&mut self, summary: &Summary<'_>, sink: &mut dyn FeedSink) -> Result<(), WireError> {
        let Some(nth) = self.nth(summary.market) else {
            sink.foreign(summary.market);
            return Ok(());
        };
        let stream = &mut self.streams[nth];
        if summary.mark.raw() <= 0 || summary.index.raw() < 0 {
            let got = format!("{} / {}", summary.mark, summary.index);
            return Err(WireError::new("mark and index price", got.as_bytes(), "positive prices"));
        }
        stream.ticker.mark = summary.mark;
        stream.ticker.funding_1h = per_hour(summary.funding, stream.period_h);
        sink.ticker(stream.pair, stream.ticker);
        Ok(())
    }

    fn on_funding(&mut self, funding: &Funding<'_>, sink: &mut dyn FeedSink) -> Result<(), WireError> {
        let Some(nth) = self.nth(funding.market) else {
            sink.foreign(funding.market);
            return Ok(());
        };
        let stream = &mut self.streams[nth];
        stream.period_h = funding.period_h;
        stream.ticker.funding_1h = per_hour(funding.rate, funding.period_h);
        sink.ticker(stream.pair, stream.ticker);
        Ok(())
    }

    /// Index of the stream of a market; `None` = it is none of ours.
    fn nth(&self, market: &str) -> Option<usize> {
        self.markets.iter().position(|(_, symbol)| symbol == market)
    }

    /// The book is lost: says so and asks for a whole one.
    fn resubscribe(
        &mut self,
        now: Nanos,
        nth: usize,
        why: &'static str,
        sink: &mut dyn FeedSink,
        out: &mut dyn Outbox,
    ) {
        let Some(stream) = self.streams.get_mut(nth) else { return };
        stream.book = BookState::Awaiting { since: now };
        let pair = stream.pair;
        sink.gap(pair, why);
        if let Some(symbol) = self.markets.symbol(pair) {
            let channel = book_channel(symbol, self.channel_suffix);
            ask(&mut self.requests, &mut self.asked, Asked::Rest, "unsubscribe", &channel, out);
            ask(&mut self.requests, &mut self.asked, Asked::Book, "subscribe", &channel, out);
        }
    }
}

impl Feed for ParadexFeed {
    fn on_open(&mut self, now: Nanos, out: &mut dyn Outbox) {
        self.pulse = Pulse::new(now);
        self.asked.clear();
        for stream in &mut self.streams {
            stream.book = BookState::Awaiting { since: now };
        }
        for (_, symbol) in self.markets.iter() {
            let book = book_channel(symbol, self.channel_suffix);
            ask(&mut self.requests, &mut self.asked, Asked::Book, "subscribe", &book, out);
            for topic in ["markets_summary", "funding_data"] {
                let channel = format!("{topic}.{symbol}");
                ask(&mut self.requests, &mut self.asked, Asked::Rest, "subscribe", &channel, out);
            }
        }
    }

    fn on_frame(
        &mut self,
        now: Nanos,
        frame: Inbound<'_>,
        sink: &mut dyn FeedSink,
        out: &mut dyn Outbox,
    ) -> Result<(), WireError> {
        self.pulse.beat();
        let bytes = match frame {
            Inbound::Binary(bytes) => bytes,
            Inbound::Text(text) => return self.on_text(text),
            Inbound::Heartbeat => return Ok(()),
            Inbound::Response { body, .. } => {
                return Err(WireError::new("frame", body, "a WebSocket message"));
            }
        };
        match sbe::decode(bytes)? {
            Message::Book(book) => self.on_book(now, &book, sink, out),
            Message::Summary(summary) => self.on_summary(&summary, sink),
            Message::Funding(funding) => self.on_funding(&funding, sink),
            Message::Bbo(_) | Message::Private(_) | Message::Heartbeat | Message::Skipped(_) => Ok(()),
        }
    }

    /// The venue has no ping of its own language (sheet 5.1): ours is the protocol's.
    fn on_tick(&mut self, now: Nanos, out: &mut dyn Outbox) -> Result<(), WireError> {
        if self.pulse.tick(now)? {
            out.ping();
        }
        let late = |stream: &Stream| match stream.book {
            BookState::Awaiting { since } => now.ms_since(since) > SNAPSHOT_WAIT_MS,
            BookState::Live { .. } => false,
        };
        if self.streams.iter().any(late) {
            return Err(WireError::new("book", b"no snapshot", "the whole book within 5 s of asking"));
        }
        Ok(())
    }
}

fn per_hour(rate: Rate, period_h: u16) -> Rate {
    Rate::from_raw(rate.raw() / i64::from(period_h.max(1)))
}

fn book_channel(symbol: &str, suffix: &str) -> String {
    format!("order_book.{symbol}.{suffix}")
}

fn ask(
    requests: &mut Requests,
    asked: &mut Vec<(u64, Asked)>,
    what: Asked,
    method: &str,
    channel: &str,
    out: &mut dyn Outbox,
) {
    let (id, text) = requests.with_text(method, "channel", channel);
    if asked.len() == ASKED_MAX {
        asked.remove(0);
    }
    asked.push((id, what));
    out.text(text);
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, BTC, frame};
    use super::super::sbe::build;
    use super::*;
    use crate::sys::fuzz::fuzz;
    use crate::venue::Parcel;

    #[derive(Default)]
    struct Seen {
        books: Vec<(bool, u64, usize, usize)>,
        tickers: Vec<Ticker>,
        gaps: Vec<&'static str>,
        alive: usize,
        foreign: Vec<String>,
    }

    impl FeedSink for Seen {
        fn book(&mut self, update: &BookUpdate) {
            self.books.push((update.whole, update.sequence, update.bids.len(), update.asks.len()));
        }
        fn ticker(&mut self, _pair: PairId, ticker: Ticker) {
            self.tickers.push(ticker);
        }
        fn gap(&mut self, _pair: PairId, why: &'static str) {
            self.gaps.push(why);
        }
        fn alive(&mut self, _pair: PairId) {
            self.alive += 1;
        }
        fn foreign(&mut self, market: &str) {
            self.foreign.push(market.to_owned());
        }
    }

    struct Bench {
        feed: ParadexFeed,
        seen: Seen,
        out: Vec<Parcel>,
    }

    impl Bench {
        fn open() -> Self {
            let feed = ParadexFeed::new(&fixture::setup()).unwrap();
            let mut bench = Self { feed, seen: Seen::default(), out: Vec::new() };
            bench.feed.on_open(Nanos::from_ms(1), &mut bench.out);
            bench
        }

        fn frame(&mut self, bytes: &[u8]) -> Result<(), WireError> {
            let at = Nanos::from_ms(2);
            self.feed.on_frame(at, Inbound::Binary(bytes), &mut self.seen, &mut self.out)
        }

        fn text(&mut self, text: &str) -> Result<(), WireError> {
            let at = Nanos::from_ms(2);
            self.feed.on_frame(at, Inbound::Text(text.as_bytes()), &mut self.seen, &mut self.out)
        }

        /// Method and channel of what was sent since the last call.
        fn sent(&mut self) -> Vec<(String, String)> {
            let word = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            let read = |parcel: Parcel| {
                let Parcel::Text(text) = parcel else { panic!("{parcel:?}") };
                let request: serde_json::Value = serde_json::from_slice(&text).unwrap();
                (word(&request["method"]), word(&request["params"]["channel"]))
            };
            self.out.drain(..).map(read).collect()
        }
    }

    fn subscribe(channel: &str) -> (String, String) {
        ("subscribe".into(), channel.into())
    }

    #[test]
    fn a_connection_subscribes_book_mark_and_funding() {
        let mut bench = Bench::open();
        let book = subscribe("order_book.BTC-USD-PERP.deltas");
        let rest = ["markets_summary.BTC-USD-PERP", "funding_data.BTC-USD-PERP"].map(subscribe);
        assert_eq!(bench.sent(), [&[book][..], &rest[..]].concat());
        let mut setup = fixture::setup();
        setup.profile = Profile::Retail;
        bench.feed = ParadexFeed::new(&setup).unwrap();
        bench.feed.on_open(Nanos(1), &mut bench.out);
        assert_eq!(bench.sent()[0], subscribe("order_book.BTC-USD-PERP.interactive_deltas"));
    }

    #[test]
    fn the_recorded_stream_becomes_a_book() {
        let mut bench = Bench::open();
        bench.frame(&frame("pdx-03")).unwrap();
        assert_eq!(bench.seen.books, [], "a delta before the snapshot is dropped");
        for id in ["pdx-02", "pdx-03", "pdx-04"] {
            bench.frame(&frame(id)).unwrap();
        }
        let [(true, first, 115, asks), (false, second, 1, 0)] = bench.seen.books[..] else {
            panic!("{:?}", bench.seen.books)
        };
        assert_eq!((second - first, bench.seen.alive), (1, 1), "the empty delta proves life");
        assert!(asks > 20);
    }

    #[test]
    fn a_gap_drops_the_book_and_asks_for_a_new_one() {
        let mut bench = Bench::open();
        bench.sent();
        bench.frame(&frame("pdx-02")).unwrap();
        bench.frame(&frame("pdx-05")).unwrap();
        assert_eq!(bench.seen.gaps, ["sequence gap"]);
        let channel = "order_book.BTC-USD-PERP.deltas";
        assert_eq!(bench.sent(), [("unsubscribe".into(), channel.into()), subscribe(channel)]);
        bench.frame(&frame("pdx-08")).unwrap();
        assert_eq!(bench.seen.books.len(), 1, "deltas are dropped until the whole book");
        bench.frame(&build::book(9, true, &[(100, 1)], &[(101, 1)], BTC)).unwrap();
        bench.frame(&build::book(10, false, &[(100, 0)], &[], BTC)).unwrap();
        assert_eq!(bench.seen.books[1..], [(true, 9, 1, 1), (false, 10, 1, 0)]);
    }

    #[test]
    fn a_level_that_cannot_be_drops_the_book() {
        for bad in [(0, 1), (-5, 1), (100, -1)] {
            let mut bench = Bench::open();
            bench.frame(&build::book(1, true, &[(100, 1)], &[], BTC)).unwrap();
            assert!(bench.frame(&build::book(2, false, &[bad], &[], BTC)).is_err());
            assert_eq!(bench.seen.gaps, ["unusable book message"]);
        }
        let mut bench = Bench::open();
        assert!(bench.frame(&build::book(1, true, &[(100, 0)], &[], BTC)).is_err());
    }

    #[test]
    fn markets_that_were_not_asked_for_are_dropped_and_named() {
        let mut bench = Bench::open();
        let other = "ETH-USD-PERP";
        bench.frame(&build::book(1, true, &[(100, 1)], &[], other)).unwrap();
        bench.frame(&build::frame(4, 1, 240, |_| {}, &[other])).unwrap();
        assert_eq!((bench.seen.books.len(), bench.seen.tickers.len()), (0, 0));
        assert_eq!(bench.seen.foreign, [other, other]);
        let mut damaged = build::book(1, true, &[(100, 1)], &[], other);
        damaged.truncate(damaged.len() - 3);
        assert!(bench.frame(&damaged).is_err() && bench.seen.foreign.len() == 2);
    }

    #[test]
    fn funding_is_per_hour_of_the_period_that_the_venue_states() {
        let mut bench = Bench::open();
        let summary = |block: &mut [u8]| {
            build::put(block, 16, 8_000);
            build::put(block, 24, 7_000);
            build::put(block, 232, 8_000_000);
        };
        bench.frame(&build::frame(4, 1, 240, summary, &[BTC])).unwrap();
        let funding = |block: &mut [u8]| {
            build::put(block, 16, 1_600);
            block[56] = 4;
        };
        bench.frame(&build::frame(5, 0, 58, funding, &[BTC])).unwrap();
        bench.frame(&build::frame(4, 1, 240, summary, &[BTC])).unwrap();
        let rates: Vec<_> = bench.seen.tickers.iter().map(|ticker| ticker.funding_1h.raw()).collect();
        assert_eq!(rates, [1_000_000, 4_000_000, 2_000_000]);
        assert_eq!(bench.seen.tickers[1].mark.raw(), 8_000);
        assert!(bench.frame(&build::frame(4, 1, 240, |_| {}, &[BTC])).is_err(), "a mark price of zero");
    }

    #[test]
    fn acknowledgements_are_matched_and_only_the_books_must_not_be_refused() {
        let mut bench = Bench::open();
        let refused =
            |id: u64| format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32600,"message":"no"}}}}"#);
        bench.text(r#"{"jsonrpc":"2.0","id":2,"result":{"channel":"x"},"usIn":1}"#).unwrap();
        bench.text(&refused(3)).unwrap();
        assert!(bench.text(&refused(1)).is_err());
        assert!(
            bench.text(r#"{"jsonrpc":"2.0","id":2,"result":{"channel":"x"}}"#).is_err(),
            "answered twice"
        );
    }

    #[test]
    fn silence_and_a_missing_snapshot_kill_the_connection() {
        let mut bench = Bench::open();
        assert!(bench.feed.on_tick(Nanos::from_ms(5_000), &mut bench.out).is_ok());
        assert!(bench.feed.on_tick(Nanos::from_ms(5_002), &mut bench.out).is_err());
        bench.frame(&frame("pdx-02")).unwrap();
        bench.out.clear();
        for (ms, pings) in [(15_000, 0), (15_001, 1), (20_000, 1)] {
            assert!(bench.feed.on_tick(Nanos::from_ms(ms), &mut bench.out).is_ok());
            assert_eq!(bench.out, vec![Parcel::Ping; pings], "{ms}");
        }
        assert!(bench.feed.on_tick(Nanos::from_ms(20_001), &mut bench.out).is_err());
        let at = Nanos::from_ms(20_001);
        bench.feed.on_frame(at, Inbound::Heartbeat, &mut bench.seen, &mut bench.out).unwrap();
        assert!(bench.feed.on_tick(at, &mut bench.out).is_ok(), "a pong is a sign of life");
    }

    #[test]
    fn no_damage_panics() {
        let mut bench = Bench::open();
        let seeds = [frame("pdx-03"), build::book(5, true, &[(1, 1)], &[(2, 2)], BTC)];
        fuzz("paradex feed", &seeds, |bytes| {
            let told = bench.frame(bytes);
            bench.out.clear();
            bench.seen = Seen::default();
            told.is_ok()
        });
    }
}
