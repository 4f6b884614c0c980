//! Negotiation, subscriptions and the public streams (sheet §5).

use bot4_sim::control::VenueName;
use bot4_sim::core::Socket as Kind;
use bot4_sim::core::model::Script;
use serde_json::json;

use crate::client::{Delivery, MARKET, Socket, Venue};
use crate::sbe::{Frame, Ladder};

fn book_channel() -> String {
    format!("order_book.{MARKET}.deltas")
}

#[test]
fn a_socket_needs_a_schema_version_that_is_served() {
    let venue = Venue::start();
    for query in
        ["", "?sbeSchemaId=1", "?sbeSchemaId=2&sbeSchemaVersion=1", "?sbeSchemaId=1&sbeSchemaVersion=3"]
    {
        assert_eq!(venue.try_socket(query).err(), Some(400), "{query}");
    }
    for version in 0..3 {
        assert!(venue.try_socket(&format!("?sbeSchemaId=1&sbeSchemaVersion={version}")).is_ok());
    }
}

#[test]
fn the_book_is_a_snapshot_and_deltas_without_gaps_some_of_them_empty() {
    let venue = Venue::start();
    let mut socket = venue.socket();
    socket.subscribe(&book_channel());
    let (mut ladder, mut empty, mut frames) = (Ladder::default(), 0, 0);
    while empty == 0 || frames < 30 {
        let Delivery::Frame(frame) = socket.next() else { continue };
        let Frame::Book { snapshot, bids, asks, market, .. } = &frame else { continue };
        assert_eq!((*snapshot, market.as_str()), (frames == 0, MARKET));
        empty += usize::from(bids.is_empty() && asks.is_empty());
        frames += 1;
        ladder.apply(&frame);
        assert!(ladder.bids.last_key_value() < ladder.asks.first_key_value(), "the book is never crossed");
        assert!(
            ladder.bids.len() >= 90 && ladder.asks.len() >= 50,
            "{} x {}",
            ladder.bids.len(),
            ladder.asks.len()
        );
    }
}

#[test]
fn subscriptions_are_refused_as_the_sheet_says() {
    let venue = Venue::start();
    let mut socket = venue.socket();
    socket.subscribe(&book_channel());
    let suffixed = socket.request("subscribe", json!({"channel": format!("{}@15@50ms", book_channel())}));
    let recorded = json!({
        "code": -32600, "message": "invalid subscribe request", "data": "no parameters expected for deltas topic.",
    });
    assert_eq!(suffixed["error"], recorded);
    let mut code = |method: &str, channel: &str| {
        socket.request(method, json!({"channel": channel}))["error"]["code"].as_i64()
    };
    assert_eq!(code("subscribe", &book_channel()), Some(-32600));
    assert_eq!(code("subscribe", &format!("order_book.{MARKET}.interactive_deltas")), Some(-32600));
    assert_eq!(code("subscribe", "orders.ALL"), Some(40300));
    assert_eq!(code("unsubscribe", "bbo.ALL"), Some(-32600));
    assert_eq!(code("unsubscribe", &book_channel()), None);
    assert_eq!(code("order.create", ""), Some(40300));
    assert_eq!(code("ping", ""), Some(-32601));
}

#[test]
fn tops_and_tickers_arrive() {
    let venue = Venue::start();
    let mut socket = venue.socket();
    socket.subscribe(&format!("bbo.{MARKET}"));
    socket.subscribe("markets_summary");
    socket.subscribe("funding_data.ALL");
    let top = socket.find(|delivery| match delivery {
        Delivery::Frame(Frame::Bbo { bid, ask, .. }) => Some((*bid, *ask)),
        _ => None,
    });
    assert!(top.0 < top.1 && top.0 > 0);
    for template in [4, 5] {
        socket.find(|delivery| (*delivery == Delivery::Frame(Frame::Other(template))).then_some(()));
    }
}

#[test]
fn a_frozen_feed_is_silent_while_the_venue_trades() {
    let venue = Venue::start();
    let token = venue.token("");
    let mut socket = venue.private_socket(&token, &[&book_channel(), "fills.ALL"]);
    venue
        .sim
        .control
        .script(VenueName::Paradex, MARKET, Script { freeze: true, ..Script::default() })
        .unwrap();
    let path = format!("/orderbook/{MARKET}");
    let frozen_at = venue.call("GET", &path, &[], None).body["seq_no"].as_i64().unwrap();
    let order = venue.order("BUY", "LIMIT", "0.001", "73500", "IOC");
    assert!(socket.request("order.create", order)["result"].is_object());
    let traded_at = socket.find(|delivery| match delivery {
        Delivery::Frame(Frame::Fill { book_seq, .. }) => Some(*book_seq as i64),
        Delivery::Frame(Frame::Book { seq, .. }) => {
            assert!(*seq <= frozen_at, "{seq} was published after the freeze at {frozen_at}");
            None
        }
        _ => None,
    });
    assert!(traded_at > frozen_at, "the book itself has moved on");
}

#[test]
fn connections_are_cut_by_kind_and_closed_with_a_code() {
    let venue = Venue::start();
    let token = venue.token("");
    let mut public = venue.socket();
    public.subscribe(&book_channel());
    let mut private = venue.private_socket(&token, &["orders.ALL"]);
    venue.sim.control.disconnect(VenueName::Paradex, Kind::Private, None);
    assert_eq!(private.next(), Delivery::Closed(None));
    public.find(|delivery| {
        matches!(delivery, Delivery::Frame(Frame::Book { snapshot: false, .. })).then_some(())
    });
    let mut private = venue.private_socket(&token, &["orders.ALL"]);
    venue.sim.control.disconnect(VenueName::Paradex, Kind::Md, None);
    assert_eq!(end_of(&mut public), None);
    private.subscribe("fills.ALL");
    venue.sim.control.disconnect(VenueName::Paradex, Kind::Private, Some(1012));
    assert_eq!(end_of(&mut private), Some(1012));
}

/// Reads to the end: the close code, or `None` when the connection was cut.
fn end_of(socket: &mut Socket) -> Option<u16> {
    loop {
        if let Delivery::Closed(code) = socket.next() {
            return code;
        }
    }
}

#[test]
fn a_socket_without_subscriptions_is_closed_with_4031() {
    let venue = Venue::start();
    assert_eq!(venue.socket().next(), Delivery::Closed(Some(4031)));
}

/// RFC 6455, 5.5.3: a pong carries the payload of its ping.
#[test]
fn a_ping_is_answered_in_kind() {
    let venue = Venue::start();
    let mut socket = venue.private_socket(&venue.token(""), &["orders.ALL"]);
    assert_eq!((socket.ping(b""), socket.ping(b"are you there?")), (vec![], b"are you there?".to_vec()));
}
