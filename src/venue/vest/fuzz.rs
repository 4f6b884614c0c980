//! Every decoder of this folder against a million damaged frames: any result will do but a panic.

#![cfg(test)]

use super::access::Access;
use super::errors;
use super::feed::PublicFeed;
use super::json;
use super::order_row::OrderRow;
use super::private;
use super::statements::{self, Account, ExchangeInfo, Tickers};
use super::testing::{BTC, ETH, frame, frames, paper_setup};
use crate::sys::fuzz::fuzz;
use crate::sys::link::Inbound;
use crate::types::order::VenueOrderId;
use crate::types::{BookUpdate, ClientId, Nanos, PairId, Qty, Side, Ticker, VenueId};
use crate::venue::{Feed, FeedSink, OrderQuery, Setup};

const TICKERS: &[u8] = br#"{"tickers":[{"symbol":"BTC-PERP","status":"TRADING"}]}"#;
/// Counts what came through, so that the test is known to reach the deep ends.
#[derive(Debug, Default)]
struct Count {
    books: u32,
    tickers: u32,
    gaps: u32,
}

impl FeedSink for Count {
    fn book(&mut self, update: &BookUpdate) {
        assert!(update.bids.is_sorted_by(|a, b| a.price >= b.price));
        assert!(update.asks.iter().all(|level| level.price.raw() > 0 && level.qty.raw() > 0));
        self.books += 1;
    }
    fn ticker(&mut self, _: PairId, _: Ticker) {
        self.tickers += 1;
    }
    fn gap(&mut self, _: PairId, _: &'static str) {
        self.gaps += 1;
    }
    fn alive(&mut self, _: PairId) {}
    fn foreign(&mut self, _: &str) {}
}

fn setup() -> Setup {
    Setup { markets: vec![(BTC, "DOGE-PERP".into()), (ETH, "kBONK-PERP".into())], ..paper_setup() }
}

#[test]
fn no_frame_of_the_public_stream_panics() {
    let samples = ["depth", "tickers", "PONG"].map(frame);
    let (mut feed, mut count) = (PublicFeed::new(&setup()).unwrap(), Count::default());
    fuzz("vest public", &samples, |frame| {
        feed.on_frame(Nanos(1), Inbound::Text(frame), &mut count, &mut Vec::new()).is_ok()
    });
    assert!(count.books > 0 && count.tickers > 0 && count.gaps > 0, "{count:?}");
}

#[test]
fn no_frame_of_the_private_stream_panics() {
    let samples: Vec<Vec<u8>> =
        frames().into_iter().filter(|frame| frame.0.starts_with("ORDER")).map(|frame| frame.1).collect();
    assert_eq!(samples.len(), 4);
    let mut events = Vec::new();
    fuzz("vest private", &samples, |frame| {
        let _ = private::read(frame, &setup().markets, &mut events);
        events.drain(..).count() > 0
    });
}

fn access() -> Access {
    Access::read(&Setup { markets: vec![(BTC, "BTC-PERP".into())], ..setup() }).unwrap()
}

#[test]
fn no_account_panics() {
    let access = access();
    fuzz("vest account", &[frame("GET /account")], |reply| {
        json::from_slice::<Account>(reply).is_ok_and(|account| account.report(&access).is_ok())
    });
}

#[test]
fn no_list_of_orders_panics() {
    let access = access();
    fuzz("vest orders", &[frame("GET /orders")], |reply| reads_orders(&access, reply));
}

#[test]
fn no_list_of_markets_panics() {
    let access = access();
    let tickers = json::from_slice::<Tickers>(TICKERS).unwrap();
    fuzz("vest exchange info", &[frame("GET /exchangeInfo")], |reply| {
        json::from_slice::<ExchangeInfo>(reply)
            .is_ok_and(|info| statements::rules(&access, &info, &tickers).is_ok())
    });
}

#[test]
fn no_ticker_or_refusal_panics() {
    fuzz("vest ticker", &[frame("GET /ticker/latest")], |reply| json::from_slice::<Tickers>(reply).is_ok());
    fuzz("vest refusal", &[frame("PUT /account/listenKey error")], |reply| {
        errors::read_refusal(200, reply).reject() == errors::reject(1125)
    });
}

fn reads_orders(access: &Access, reply: &[u8]) -> bool {
    let query = OrderQuery {
        id: ClientId::default(),
        pair: BTC,
        venue_id: VenueOrderId::EMPTY,
        nonce: 0,
        side: Side::Buy,
        qty: Qty::from_raw(1),
        signed_ms: 0,
    };
    let Ok(rows) = json::from_slice::<Vec<OrderRow>>(reply) else { return false };
    let found = statements::order_report(VenueId(0), &access.markets, &query, &rows, Nanos(1));
    statements::open_orders(access, &rows).is_ok() && matches!(found, Ok(Some(_)))
}
