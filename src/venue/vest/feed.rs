//! The public stream (sheet `vest`, 7): subscribes to the book of each market and to the tickers, pings, and turns
//! frames into books. Owned by `md:vest`. Never merges (each book is whole) and never trusts a market again after a bad
//! book until the next good one.

use serde::Deserialize;
use sonic_rs::LazyValue;

use super::access::Access;
use super::json::{self, Code};
use super::session::Session;
use super::{depth, scan};
use crate::sys::link::Inbound;
use crate::types::{BookUpdate, Nanos};
use crate::venue::{Feed, FeedSink, Outbox, Setup, SetupError, WireError};

const DEPTH: &str = "@depth";
const TICKERS: &str = "tickers";

/// Decoder and keeper-alive of one public connection.
pub struct PublicFeed {
    access: Access,
    session: Session,
    /// Filled anew by each book message.
    book: BookUpdate,
}

impl PublicFeed {
    /// Needs no credentials.
    pub fn new(setup: &Setup) -> Result<Self, SetupError> {
        Ok(Self { access: Access::read(setup)?, session: Session::default(), book: BookUpdate::default() })
    }

    fn on_message(&mut self, bytes: &[u8], sink: &mut dyn FeedSink) -> Result<(), WireError> {
        if let Some(symbol) = scan::scan(bytes, &mut self.book) {
            match self.access.pair_of(symbol) {
                Some(pair) => {
                    self.book.pair = pair;
                    sink.book(&self.book);
                }
                None => sink.foreign(symbol),
            }
            return Ok(());
        }
        let message: Message = json::read("frame", bytes, "a JSON object of the public stream")?;
        match (message.channel, message.data) {
            (Some(TICKERS), Some(data)) => self.on_tickers(data.as_raw_str(), sink),
            (Some(channel), Some(data)) => match channel.strip_suffix(DEPTH) {
                Some(symbol) => self.on_depth(symbol, data.as_raw_str(), sink),
                None => Ok(()),
            },
            _ => refused_subscription(message.code, bytes),
        }
    }

    fn on_depth(&mut self, symbol: &str, data: &str, sink: &mut dyn FeedSink) -> Result<(), WireError> {
        let (pair, read) = (self.access.pair_of(symbol), depth::read_book(data, &mut self.book));
        match (pair, &read) {
            (Some(pair), Ok(())) => {
                self.book.pair = pair;
                sink.book(&self.book);
            }
            (Some(pair), Err(_)) => sink.gap(pair, "unreadable book"),
            (None, Ok(())) => sink.foreign(symbol),
            // Damaged as it is, its symbol need not be the one that was sent.
            (None, Err(_)) => {}
        }
        read
    }

    /// Tickers do not prove that a market's book is alive: a frozen book beside a live ticker must grow stale.
    fn on_tickers(&self, data: &str, sink: &mut dyn FeedSink) -> Result<(), WireError> {
        let mut bad = None;
        depth::read_tickers(data, &mut |row| {
            let Some(pair) = self.access.pair_of(row.symbol) else { return };
            match row.ticker() {
                Ok(ticker) => sink.ticker(pair, ticker),
                Err(error) => bad = Some(error),
            }
        })?;
        bad.map_or(Ok(()), Err)
    }
}

impl Feed for PublicFeed {
    /// One subscription per market: a closed one can kill a large list (sheet `vest`, 7).
    fn on_open(&mut self, now: Nanos, out: &mut dyn Outbox) {
        self.session.open(now);
        for (_, symbol) in &self.access.markets {
            let message = self.session.subscribe(&[symbol, DEPTH].concat());
            out.text(message.as_bytes());
        }
        let message = self.session.subscribe(TICKERS);
        out.text(message.as_bytes());
    }

    fn tells_status(&self) -> bool {
        true
    }

    fn on_frame(
        &mut self,
        _now: Nanos,
        frame: Inbound<'_>,
        sink: &mut dyn FeedSink,
        _out: &mut dyn Outbox,
    ) -> Result<(), WireError> {
        self.session.alive();
        match frame {
            Inbound::Text(bytes) | Inbound::Binary(bytes) => self.on_message(bytes, sink),
            Inbound::Heartbeat => Ok(()),
            Inbound::Response { body, .. } => Err(WireError::new("frame", body, "a WebSocket message")),
        }
    }

    fn on_tick(&mut self, now: Nanos, out: &mut dyn Outbox) -> Result<(), WireError> {
        if let Some(ping) = self.session.tick(now)? {
            out.text(ping);
        }
        Ok(())
    }
}

/// Push, acknowledgement, PONG or error: the four shapes of the stream. The payload of a push is read in a second pass,
/// when it is known what it is.
#[derive(Deserialize)]
struct Message<'a> {
    channel: Option<&'a str>,
    #[serde(borrow)]
    data: Option<LazyValue<'a>>,
    code: Option<Code>,
}

/// Acknowledgements and PONGs have done their work by arriving.
fn refused_subscription(code: Option<Code>, bytes: &[u8]) -> Result<(), WireError> {
    match code {
        Some(Code(_)) => Err(WireError::new("subscription", bytes, "an acknowledgement")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{MarketStatus, PairId, Ticker};
    use crate::venue::Parcel;
    use crate::venue::vest::testing::{BTC, ETH, frame, paper_setup};

    /// Keeps what a feed says.
    #[derive(Default)]
    struct Seen {
        books: Vec<BookUpdate>,
        tickers: Vec<(PairId, Ticker)>,
        gaps: Vec<PairId>,
        foreign: Vec<String>,
    }

    impl FeedSink for Seen {
        fn book(&mut self, update: &BookUpdate) {
            self.books.push(update.clone());
        }
        fn ticker(&mut self, pair: PairId, ticker: Ticker) {
            self.tickers.push((pair, ticker));
        }
        fn gap(&mut self, pair: PairId, _why: &'static str) {
            self.gaps.push(pair);
        }
        fn alive(&mut self, _pair: PairId) {}
        fn foreign(&mut self, market: &str) {
            self.foreign.push(market.to_owned());
        }
    }

    const NOW: Nanos = Nanos::from_ms(1_000_000);

    fn feed(symbols: [&str; 2]) -> PublicFeed {
        let markets = vec![(BTC, symbols[0].to_owned()), (ETH, symbols[1].to_owned())];
        PublicFeed::new(&Setup { markets, ..paper_setup() }).unwrap()
    }

    fn say(feed: &mut PublicFeed, frame: &[u8]) -> (Result<(), WireError>, Seen) {
        let mut seen = Seen::default();
        let result = feed.on_frame(NOW, Inbound::Text(frame), &mut seen, &mut Vec::new());
        (result, seen)
    }

    #[test]
    fn brackets_alone_do_not_run_the_stack_out() {
        let mut feed = feed(["BTC-PERP", "ETH-PERP"]);
        for head in ["", "{\"id\":", "{\"channel\":\"BTC-PERP@depth\",\"data\":", "{\"channel\":"] {
            for bracket in ["[", "{\"a\":"] {
                let frame = [head, &bracket.repeat(200_000)].concat();
                assert!(say(&mut feed, frame.as_bytes()).0.is_err(), "{head}");
            }
        }
    }

    #[test]
    fn each_market_is_subscribed_alone() {
        let mut out: Vec<Parcel> = Vec::new();
        feed(["BTC-PERP", "ETH-PERP"]).on_open(NOW, &mut out);
        let text = |parcel: &Parcel| match parcel {
            Parcel::Text(text) => String::from_utf8(text.clone()).unwrap(),
            Parcel::Ping => panic!("the pings of this venue are texts"),
        };
        let sent: Vec<String> = out.iter().map(text).collect();
        assert_eq!(
            sent,
            [
                r#"{"method":"SUBSCRIBE","params":["BTC-PERP@depth"],"id":1}"#,
                r#"{"method":"SUBSCRIBE","params":["ETH-PERP@depth"],"id":2}"#,
                r#"{"method":"SUBSCRIBE","params":["tickers"],"id":3}"#,
            ]
        );
    }

    #[test]
    fn the_sample_book_and_tickers_are_read() {
        let mut feed = feed(["NDX-USD-PERP", "kBONK-PERP"]);
        let (result, seen) = say(&mut feed, &frame("depth push"));
        assert_eq!(result, Ok(()));
        let book = &seen.books[0];
        assert_eq!((book.pair, book.bids.len(), book.asks.len()), (BTC, 20, 20));
        assert_eq!(book.bids[0].price.to_string(), "31478.75");
        assert_eq!(book.asks[19].qty.to_string(), "12.8362");
        let (result, seen) = say(&mut feed, &frame("tickers"));
        assert_eq!(result, Ok(()));
        let (pair, ticker) = seen.tickers[0];
        assert_eq!((pair, ticker.mark.to_string().as_str()), (ETH, "0.017446"));
        assert_eq!(
            (ticker.funding_1h.bps().to_string().as_str(), ticker.status),
            ("12.50", MarketStatus::Trading)
        );
    }

    #[test]
    fn acknowledgements_and_other_channels_change_nothing() {
        let mut feed = feed(["BTC-PERP", "ETH-PERP"]);
        for what in ["PONG", "subscription ack", "kline", "trade"] {
            let (result, seen) = say(&mut feed, &frame(what));
            assert_eq!(result, Ok(()), "{what}");
            assert!(seen.books.is_empty() && seen.gaps.is_empty());
        }
    }

    #[test]
    fn data_may_stand_before_its_channel() {
        let swapped = br#"{"data":{"bids":[["1","1"]],"asks":[]},"channel":"BTC-PERP@depth"}"#;
        assert_eq!(say(&mut feed(["BTC-PERP", "ETH-PERP"]), swapped).1.books.len(), 1);
    }

    #[test]
    fn bad_frames_are_told() {
        let mut feed = feed(["BTC-PERP", "ETH-PERP"]);
        let (result, seen) =
            say(&mut feed, br#"{"channel":"ETH-PERP@depth","data":{"bids":[["0","1"]],"asks":[]}}"#);
        assert!(result.is_err());
        assert_eq!(seen.gaps, [ETH]);
        for bad in [
            &b"\x1b\x9c\x00brotli"[..],
            br#"{"channel":"DOGE-PERP@depth","data":{"bids":[["0","1"]],"asks":[]}}"#,
            br#"{"channel":"BTC-PERP@depth","channel":"ETH-PERP@depth","data":{"bids":[],"asks":[]}}"#,
            br#"{"code":1121,"msg":"unknown symbol"}"#,
            b"\xff",
            b"",
        ] {
            let (result, seen) = say(&mut feed, bad);
            assert!(result.is_err() && seen.books.is_empty(), "{}", bad.escape_ascii());
            assert!(seen.foreign.is_empty(), "what is damaged is no foreign market: {}", bad.escape_ascii());
        }
    }

    #[test]
    fn a_book_of_a_market_that_was_not_subscribed_to_is_dropped_and_named() {
        let mut feed = feed(["BTC-PERP", "ETH-PERP"]);
        for book in [
            r#"{"channel":"DOGE-PERP@depth","data":{"bids":[["1","1"]],"asks":[["2","1"]]}}"#,
            r#"{"data":{"asks":[],"bids":[["1","1"]]},"channel":"DOGE-PERP@depth"}"#,
        ] {
            let (result, seen) = say(&mut feed, book.as_bytes());
            assert_eq!((result, seen.books.len()), (Ok(()), 0));
            assert_eq!(seen.foreign, ["DOGE-PERP"]);
        }
    }

    #[test]
    fn a_silent_connection_is_dead() {
        let (mut feed, mut out) = (feed(["BTC-PERP", "ETH-PERP"]), Vec::<Parcel>::new());
        feed.on_open(NOW, &mut out);
        out.clear();
        assert_eq!(feed.on_tick(NOW.plus_ms(15_000), &mut out), Ok(()));
        assert_eq!(out, [Parcel::Text(br#"{"method":"PING","params":[],"id":0}"#.to_vec())]);
        let pong = Inbound::Text(br#"{"data":"PONG"}"#);
        feed.on_frame(NOW.plus_ms(19_999), pong, &mut Seen::default(), &mut out).unwrap();
        assert!(feed.on_tick(NOW.plus_ms(30_000), &mut out).is_ok());
        assert!(feed.on_tick(NOW.plus_ms(34_999), &mut out).is_ok());
        assert!(feed.on_tick(NOW.plus_ms(35_000), &mut out).is_err());
    }
}
