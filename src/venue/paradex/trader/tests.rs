//! Tests of the trader against a scripted venue at the far end of its link.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::super::fixture::{self, BTC};
use super::super::sbe::build;
use super::*;
use crate::sys::link::Inbound;
use crate::types::order::VenueOrderId;
use crate::types::{ClientId, OrderNews, Price, Purpose, Qty, RejectClass, Secret, Side, VenueId};
use crate::venue::OrderKey;

mod links;

/// The venue's end of a link: what it reads and writes.
struct Far {
    from_us: Receiver<String>,
    to_us: Sender<Frame>,
}

enum Frame {
    Text(String),
    Binary(Vec<u8>),
    Closed,
}

/// Our end of a link.
struct Near {
    to_venue: Sender<String>,
    from_venue: Receiver<Frame>,
    held: Vec<u8>,
    broken: bool,
}

impl Link for Near {
    fn send(&mut self, message: Outbound<'_>) -> Result<(), LinkError> {
        let text = match message {
            Outbound::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
            other => format!("{other:?}"),
        };
        if self.broken && text.contains("order.create") {
            return Err(LinkError::Protocol("pulled".into()));
        }
        self.to_venue.send(text).map_err(|_| LinkError::Protocol("gone".into()))
    }

    fn recv(&mut self) -> Result<Option<Inbound<'_>>, LinkError> {
        match self.from_venue.try_recv() {
            Ok(Frame::Text(text)) => {
                self.held = text.into_bytes();
                Ok(Some(Inbound::Text(&self.held)))
            }
            Ok(Frame::Binary(bytes)) => {
                self.held = bytes;
                Ok(Some(Inbound::Binary(&self.held)))
            }
            Ok(Frame::Closed) => Err(LinkError::Closed { code: 4031, reason: "idle".into() }),
            Err(_) => Ok(None),
        }
    }
}

struct Bench {
    trader: ParadexTrader,
    far: Far,
    now: Nanos,
}

impl Far {
    fn sent(&self) -> VecDeque<serde_json::Value> {
        self.from_us.try_iter().map(|text| serde_json::from_str(&text).unwrap()).collect()
    }

    fn says(&self, text: String) {
        self.to_us.send(Frame::Text(text)).unwrap();
    }

    /// Confirms everything asked so far; returns the methods.
    fn grant(&self) -> Vec<String> {
        let mut methods = Vec::new();
        for request in self.sent() {
            self.says(format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"enabled":true}}}}"#, request["id"]));
            methods.push(request["method"].as_str().unwrap().to_owned());
        }
        methods
    }
}

fn ready_link(role: Role, broken: bool) -> (ReadyLink, Far) {
    let ((to_venue, from_us), (to_us, from_venue)) = (channel(), channel());
    let link = Box::new(Near { to_venue, from_venue, held: Vec::new(), broken });
    let secret = Some(Secret::new("a.b.c".into()));
    (ReadyLink { venue: VenueId(1), role, link, secret }, Far { from_us, to_us })
}

const ID: ClientId = ClientId { epoch: 7, seq: 42, leg: 1 };

const UP: [TraderEvent; 2] = [TraderEvent::LinkUp { role: Role::Orders }, TraderEvent::Ready(true)];

impl Bench {
    fn connect(broken: bool) -> Self {
        let now = Nanos::from_ms(1);
        let (ready, far) = ready_link(Role::Orders, broken);
        let mut trader = ParadexTrader::new(&fixture::setup()).unwrap();
        trader.install(ready, now);
        Self { trader, far, now }
    }

    /// A second connection, logged in.
    fn stand_by(&mut self) -> Far {
        assert_eq!(self.trader.missing(), [false, false, false, true]);
        let (ready, far) = ready_link(Role::Spare, false);
        self.trader.install(ready, self.now);
        for step in 0..3 {
            self.now = self.now.plus_ms(SPARE_EVERY_MS);
            let up = [TraderEvent::LinkUp { role: Role::Spare }];
            assert_eq!(self.poll(), up[..usize::from(step == 2)]);
            assert_eq!(far.grant().len(), [1, 6, 0][step]);
        }
        assert!(self.trader.missing().iter().all(|missing| !missing));
        far
    }

    fn up() -> Self {
        let mut bench = Self::connect(false);
        bench.poll();
        bench.answer();
        bench.poll();
        bench.answer();
        assert_eq!(bench.poll(), UP);
        bench
    }

    fn poll(&mut self) -> Vec<TraderEvent> {
        let mut events = Vec::new();
        self.trader.poll(self.now, &mut events);
        events
    }

    fn sent(&mut self) -> VecDeque<serde_json::Value> {
        self.far.sent()
    }

    fn says(&mut self, text: String) {
        self.far.says(text);
    }

    /// Confirms everything asked so far; returns the methods.
    fn answer(&mut self) -> Vec<String> {
        self.far.grant()
    }

    fn order(&mut self) -> u64 {
        self.trader.send(&spec(), self.now).unwrap();
        self.sent()[0]["id"].as_u64().unwrap()
    }
}

fn spec() -> OrderSpec {
    OrderSpec {
        id: ID,
        venue: VenueId(1),
        pair: PairId(0),
        side: Side::Buy,
        purpose: Purpose::Enter,
        qty: Qty::from_raw(123_000),
        limit: Price::from_raw(8_345_670_000_000),
        reduce_only: false,
        signed_ms: 1_767_225_600_123,
        nonce: 0,
        window_ms: 500,
    }
}

#[test]
fn it_is_ready_only_when_every_step_was_confirmed() {
    let mut bench = Bench::connect(false);
    assert!(bench.trader.missing().iter().all(|missing| !missing));
    assert_eq!(bench.poll(), []);
    assert_eq!(bench.answer(), ["auth"]);
    bench.poll();
    assert!(!bench.trader.can_send());
    assert!(matches!(bench.trader.send(&spec(), bench.now), Err(SendError::Nothing(_))));
    let methods = bench.answer();
    assert_eq!(methods[..5], ["subscribe"; 5]);
    assert_eq!(methods[5..], ["order.cancel_on_disconnect"]);
    assert_eq!(bench.poll(), UP);
    assert!(bench.trader.is_ready() && bench.trader.can_send());
}

#[test]
fn a_whole_market_is_cancelled_on_the_socket_or_not_at_all() {
    let mut bench = Bench::connect(false);
    assert!(matches!(bench.trader.cancel_all(PairId(0), bench.now), Err(SendError::Nothing(_))));
    let mut bench = Bench::up();
    bench.trader.cancel_all(PairId(0), bench.now).unwrap();
    let request = &bench.sent()[0];
    assert_eq!(request["method"], "order.cancel_all");
    assert!(request["params"]["market"].is_string());
}

#[test]
fn a_refused_log_in_or_disarmed_connection_is_dropped() {
    for (step, answer) in
        [(0, r#""error":{"code":40111,"message":"bad"}"#), (6, r#""result":{"enabled":false}"#)]
    {
        let mut bench = Bench::connect(false);
        bench.poll();
        if step > 0 {
            bench.answer();
            bench.poll();
        }
        let id = bench.sent().pop_back().unwrap()["id"].clone();
        bench.says(format!(r#"{{"jsonrpc":"2.0","id":{id},{answer}}}"#));
        let events = bench.poll();
        assert!(matches!(events[..], [TraderEvent::LinkDown { role: Role::Orders, .. }]), "{events:?}");
        assert_eq!(bench.trader.missing(), [false, true, false, false]);
    }
}

#[test]
fn orders_are_acknowledged_or_refused_by_the_id_of_the_request() {
    let mut bench = Bench::up();
    let id = bench.order();
    bench.says(format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"order":{{"id":"77","status":"NEW"}},"created_at":1}}}}"#
    ));
    let key = OrderKey::Client(ID);
    assert_eq!(bench.poll(), [TraderEvent::Order { key, news: OrderNews::Acked, t_venue: bench.now }]);
    assert_eq!(bench.trader.memory.venue_id(ID), Some(VenueOrderId::cut("77")));
    let id = bench.order();
    bench.says(format!(
        r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32600,"message":"x","data":"MARKET_NOT_OPEN"}}}}"#
    ));
    let [TraderEvent::Order { news: OrderNews::Rejected(reject), .. }] = bench.poll()[..] else {
        panic!("not rejected")
    };
    assert_eq!((reject.class, reject.code.as_str()), (RejectClass::RetryLater, "MARKET_NOT_OPEN"));
}

#[test]
fn private_events_come_in_either_encoding() {
    let mut bench = Bench::up();
    let fill = |block: &mut [u8]| {
        block[16] = 1;
        build::put(block, 19, 100);
        build::put(block, 27, 5);
    };
    let texts = ["f1", "77", "7-42-1", "t", BTC, "USDC"];
    bench.far.to_us.send(Frame::Binary(build::frame(21, 2, 116, fill, &texts))).unwrap();
    bench.says(POSITION.into());
    bench.says("not json".into());
    let events = bench.poll();
    let key = OrderKey::Client(ID);
    assert!(matches!(events[0], TraderEvent::Order { key: k, news: OrderNews::Fill(..), .. } if k == key));
    assert_eq!(events[1], TraderEvent::Position { pair: PairId(0), qty: Qty::from_raw(-50_000_000) });
    assert!(matches!(events[2], TraderEvent::BadFrame { .. }));
    assert!(bench.trader.is_ready(), "a bad frame does not cost the connection");
}

#[test]
fn a_lost_connection_is_told_and_asked_for() {
    let mut bench = Bench::up();
    bench.far.to_us.send(Frame::Closed).unwrap();
    let events = bench.poll();
    assert_eq!(events[0], TraderEvent::Ready(false));
    assert!(matches!(events[1], TraderEvent::LinkDown { role: Role::Orders, .. }));
    assert_eq!(bench.trader.missing(), [false, true, false, false]);
    assert_eq!(bench.poll(), []);
}

const POSITION: &str = r#"{"jsonrpc":"2.0","method":"subscription","params":{"channel":"positions",
    "data":{"market":"BTC-USD-PERP","status":"OPEN","side":"SHORT","size":"-0.5"}}}"#;

#[test]
fn a_spare_takes_over_at_once_and_another_is_wanted() {
    let mut bench = Bench::up();
    let spare = bench.stand_by();
    spare.says(POSITION.into());
    bench.now = bench.now.plus_ms(SPARE_EVERY_MS);
    assert_eq!(bench.poll(), [], "what the account does is told by one connection");
    bench.far.to_us.send(Frame::Closed).unwrap();
    swapped(&bench.poll());
    bench.far = spare;
    let id = bench.order();
    bench.says(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"order":{{"id":"77"}}}}}}"#));
    bench.says(POSITION.into());
    let events = bench.poll();
    assert!(matches!(events[0], TraderEvent::Order { news: OrderNews::Acked, .. }), "{events:?}");
    assert_eq!(events[1], TraderEvent::Position { pair: PairId(0), qty: Qty::from_raw(-50_000_000) });
    drop(bench.stand_by());
}

#[test]
fn after_a_failed_write_the_next_order_leaves_on_the_spare() {
    let mut bench = Bench::connect(true);
    bench.poll();
    bench.answer();
    bench.poll();
    bench.answer();
    bench.poll();
    let spare = bench.stand_by();
    assert!(matches!(bench.trader.send(&spec(), bench.now), Err(SendError::Unclear(_))));
    assert_eq!(spare.sent().len(), 0, "an order that may have arrived is not sent again");
    bench.trader.send(&OrderSpec { id: ClientId { seq: 43, ..ID }, ..spec() }, bench.now).unwrap();
    assert_eq!(spare.sent()[0]["params"]["client_id"], "7-43-1");
    let events = bench.poll();
    assert_eq!((&events[0], &events[4]), (&TraderEvent::Ready(false), &TraderEvent::Ready(true)));
}

#[test]
fn the_loss_of_the_spare_costs_nothing_but_the_spare() {
    let mut bench = Bench::up();
    let spare = bench.stand_by();
    spare.to_us.send(Frame::Closed).unwrap();
    bench.now = bench.now.plus_ms(SPARE_EVERY_MS);
    assert!(matches!(bench.poll()[..], [TraderEvent::LinkDown { role: Role::Spare, .. }]));
    assert!(bench.trader.is_ready());
    assert_eq!(bench.trader.missing(), [false, false, false, true]);
}

/// Of the fixture.
const REPLY_MAX_MS: u64 = 1_000;

#[test]
fn silence_after_a_request_hands_the_next_order_to_the_spare() {
    let mut bench = Bench::up();
    let spare = bench.stand_by();
    bench.order();
    bench.now = bench.now.plus_ms(REPLY_MAX_MS);
    bench.says(POSITION.into());
    assert_eq!(bench.poll().len(), 1, "a venue that talks is only slow");
    bench.now = bench.now.plus_ms(REPLY_MAX_MS);
    assert_eq!(bench.poll(), [], "nothing was asked since");
    bench.order();
    bench.now = bench.now.plus_ms(REPLY_MAX_MS / 2);
    let late = bench.order();
    bench.now = bench.now.plus_ms(REPLY_MAX_MS / 2);
    assert_eq!(bench.poll(), []);
    bench.now = bench.now.plus_ms(1);
    swapped(&bench.poll());
    let silent = std::mem::replace(&mut bench.far, spare);
    bench.order();
    silent.says(POSITION.into());
    silent.says(format!(r#"{{"jsonrpc":"2.0","id":{late},"result":{{"order":{{"id":"77"}}}}}}"#));
    bench.now = bench.now.plus_ms(SPARE_EVERY_MS);
    let events = bench.poll();
    let [TraderEvent::Order { news: OrderNews::Acked, .. }, TraderEvent::LinkUp { role: Role::Spare }] =
        events[..]
    else {
        panic!("the late reply counts, the position is told by one connection: {events:?}")
    };
    assert!(bench.trader.missing().iter().all(|missing| !missing), "what was only slow stands by");
}

fn swapped(events: &[TraderEvent]) {
    let [
        TraderEvent::Ready(false),
        TraderEvent::LinkDown { role: Role::Orders, .. },
        TraderEvent::LinkUp { role: Role::Orders },
        TraderEvent::LinkDown { role: Role::Spare, .. },
        TraderEvent::Ready(true),
    ] = events[..]
    else {
        panic!("{events:?}")
    };
}

#[test]
fn without_a_spare_a_silent_connection_is_kept_and_takes_no_order() {
    let mut bench = Bench::up();
    let id = bench.order();
    bench.now = bench.now.plus_ms(REPLY_MAX_MS + 1);
    let events = bench.poll();
    let [TraderEvent::Ready(false), TraderEvent::LinkDown { role: Role::Orders, .. }] = events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(bench.poll(), []);
    assert!(!bench.trader.can_send());
    assert!(matches!(bench.trader.send(&spec(), bench.now), Err(SendError::Nothing(_))));
    assert_eq!(bench.trader.missing(), [false, false, false, true], "a fresh one is wanted at once");
    bench.says(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"order":{{"id":"77"}}}}}}"#));
    let events = bench.poll();
    assert!(matches!(events[0], TraderEvent::Order { news: OrderNews::Acked, .. }), "{events:?}");
    assert_eq!(events[1..], UP);
    bench.order();
    bench.now = bench.now.plus_ms(REPLY_MAX_MS + 1);
    assert_eq!(bench.poll().len(), 2);
    let fresh = bench.stand_by();
    let events = bench.poll();
    assert_eq!((events.len(), &events[2]), (3, &TraderEvent::Ready(true)), "{events:?}");
    bench.far = fresh;
    bench.order();
}

#[test]
fn a_venue_that_is_only_slow_loses_no_connection_with_an_order_in_its_queue() {
    let mut bench = Bench::up();
    let mut silent = Vec::new();
    for nth in 0..=ASIDE_MAX {
        let spare = bench.stand_by();
        bench.order();
        bench.now = bench.now.plus_ms(REPLY_MAX_MS + 1);
        let events = bench.poll();
        if nth < ASIDE_MAX {
            swapped(&events);
            silent.push((std::mem::replace(&mut bench.far, spare), bench.now));
        } else {
            assert_eq!((events.len(), &events[0]), (2, &TraderEvent::Ready(false)), "in doubt, and kept");
            silent.push((spare, bench.now));
        }
    }
    bench.now = Nanos(silent[0].1.plus_ms(ASIDE_MS).0 - 1);
    assert_eq!(bench.poll(), []);
    bench.now = silent[0].1.plus_ms(ASIDE_MS);
    assert_eq!(bench.poll().pop(), Some(TraderEvent::Ready(true)), "the fresh one serves");
    let lives = |nth: usize| silent[nth].0.to_us.send(Frame::Text(POSITION.into())).is_ok();
    assert_eq!([lives(0), lives(1)], [false, true]);
    assert!(bench.far.to_us.send(Frame::Closed).is_ok(), "only the oldest was given up");
}

#[test]
fn a_failed_write_is_unclear_and_costs_the_connection() {
    let mut bench = Bench::connect(true);
    bench.poll();
    bench.answer();
    bench.poll();
    bench.answer();
    bench.poll();
    assert!(matches!(bench.trader.send(&spec(), bench.now), Err(SendError::Unclear(_))));
    assert!(!bench.trader.is_ready());
    assert!(matches!(bench.poll()[..], [TraderEvent::Ready(false), TraderEvent::LinkDown { .. }]));
}

#[test]
fn a_refused_bust_channel_is_told_and_not_fatal() {
    let mut bench = Bench::connect(false);
    bench.poll();
    bench.answer();
    bench.poll();
    for request in bench.sent() {
        let id = &request["id"];
        bench.says(if request["params"]["channel"] == "tradebusts" {
            format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32600,"message":"no"}}}}"#)
        } else {
            format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"enabled":true}}}}"#)
        });
    }
    let events = bench.poll();
    assert!(matches!(events[0], TraderEvent::BadFrame { .. }) && events[1..] == UP, "{events:?}");
}

#[test]
fn cancel_and_close_are_written() {
    let mut bench = Bench::up();
    let target = CancelSpec {
        id: ID,
        venue: VenueId(1),
        pair: PairId(0),
        venue_id: VenueOrderId::EMPTY,
        signed_ms: 0,
        nonce: 0,
    };
    bench.trader.cancel(&target, bench.now).unwrap();
    let request = bench.sent().pop_front().unwrap();
    assert_eq!(request["method"], "order.cancel");
    bench.says(format!(r#"{{"id":{},"error":{{"code":100,"message":"ORDER_IS_CLOSED"}}}}"#, request["id"]));
    assert_eq!(bench.poll(), []);
    bench.trader.close();
    assert_eq!(bench.far.from_us.try_recv().unwrap(), "Close");
    assert!(!bench.trader.is_ready());
}
