//! Once warm, nothing between the bytes of a frame and the bytes of an order asks the allocator for anything: the real
//! books, signal, gate and wire code, on links of memory.

mod in_memory;

use std::time::Duration;

use bot4::sys::allocations::{Counting, count};
use bot4::sys::clock::{Deadline, SystemClock};
use bot4::sys::http::HttpLink;
use bot4::sys::link::{Link, Outbound};
use bot4::sys::socket::Dialer;
use bot4::sys::tls::Tls;
use bot4::sys::url::SecureUrl;
use bot4::types::RecordKind;
use bot4_sim::{Options, Sim};
use in_memory::{Engine, Frame};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations while `work` runs, and its result.
fn counted<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = count();
    let result = work();
    (count() - before, result)
}

#[test]
fn the_count_counts() {
    assert_eq!(counted(|| drop(Box::new(7))).0, 2);
}

#[test]
fn from_frame_to_quote_to_wish_nothing_is_allocated() {
    let mut engine = Engine::new();
    for _ in 0..3 {
        for (venue, frame) in [(0, Frame::Even), (1, Frame::Even), (1, Frame::Far)] {
            engine.read(venue, frame);
        }
        engine.recover();
    }
    for (venue, frame) in [(0, Frame::Even), (1, Frame::Even), (1, Frame::Far), (0, Frame::Rich)] {
        assert_eq!(counted(|| engine.read(venue, frame)).0, 0, "venue {venue}, frame {}", frame as usize);
        let (allocations, worked) = counted(|| engine.wish());
        assert_eq!((allocations, worked), (0, true));
    }
}

/// A trade when everything is warm, and how many of its two orders had been signed ahead.
fn trade_allocates_nothing(mut engine: Engine) -> usize {
    for _ in 0..3 {
        let bytes = engine.trade();
        assert!(bytes.iter().all(|&bytes| bytes > 200), "both are written: {bytes:?} {:#?}", engine.told());
        engine.recover();
    }
    let (allocations, bytes) = counted(|| engine.trade());
    assert!(bytes.iter().all(|&bytes| bytes > 200), "both orders are written: {bytes:?}");
    assert_eq!(allocations, 0);
    let ahead = |kind: &RecordKind| matches!(kind, RecordKind::OrderPlaced { stamps, .. } if stamps.ready);
    engine.told().iter().filter(|kind| ahead(kind)).count()
}

#[test]
fn from_frame_to_both_orders_nothing_is_allocated() {
    assert_eq!(trade_allocates_nothing(Engine::new()), 0);
}

#[test]
fn nor_is_it_when_they_were_begun_ahead() {
    assert_eq!(trade_allocates_nothing(Engine::beginning_ahead()), 0);
}

#[test]
fn nor_is_it_when_both_were_signed_ahead() {
    assert_eq!(trade_allocates_nothing(Engine::signing_ahead()), 2);
}

/// What links of memory do not show: rustls makes a record in a block of its own, which is given back when the kernel
/// has it. That is all that a send over TLS asks for.
#[test]
fn over_tls_a_request_takes_one_block_and_gives_it_back() {
    const REQUEST: &[u8] = b"GET /v2/exchangeInfo?symbols=BTC-PERP HTTP/1.1\r\nHost: localhost\r\n\
        xrestservermm: restserver0\r\n\r\n";
    let venues = Sim::start(Options::default()).expect("the venues start");
    let dialer = Dialer::new(Tls::new(Some(&venues.endpoints.ca_file)).expect("a CA"));
    let url = SecureUrl::parse(&venues.endpoints.vest.rest_url).expect("a URL");
    let deadline = Deadline::after(Duration::from_secs(60));
    let link = HttpLink::connect(&dialer, &url, deadline, SystemClock::start());
    let mut link = link.expect("a connection");
    for warm in [false, true, true] {
        let (taken, sent) = counted(|| link.send(Outbound::Request(REQUEST)));
        sent.expect("the request leaves");
        assert!(taken == 2 || !warm, "{taken}");
        while link.recv().expect("the connection holds").is_none() {
            std::thread::yield_now();
        }
    }
}
