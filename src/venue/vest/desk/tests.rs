//! The desk against scripted answers.

use super::*;
use crate::types::order::VenueOrderId;
use crate::types::{ClientId, Qty, Side};
use crate::venue::vest::testing::{BTC, TEST_ADDRESS, frame, paper_setup, setup};
use crate::venue::vest::testing_http::Script;

const NOW: Nanos = Nanos::from_ms(1_000_000);
const KEY: &str = r#"{"listenKey":"579e1280448d4843b190c50fbd170078"}"#;

fn desk() -> VestDesk {
    VestDesk::new(&setup()).unwrap()
}

fn account() -> String {
    let text = String::from_utf8(frame("GET /account")).unwrap();
    text.replace("0x3d4fcE3C4b9435C2aB6A880D37F346fa10C844e1", TEST_ADDRESS)
}

fn text(name: &str) -> String {
    String::from_utf8(frame(name)).unwrap()
}

#[test]
fn login_makes_then_extends_the_listen_key() {
    let (mut desk, account) = (desk(), account());
    let mut http = Script::new(&[(200, KEY), (200, &account), (200, KEY), (200, &account)]);
    desk.login(&mut http, NOW).unwrap();
    assert_eq!(desk.login_due(), NOW.plus_ms(LOGIN_MS));
    desk.login(&mut http, NOW.plus_ms(1)).unwrap();
    desk.login(&mut http, desk.login_due()).unwrap();
    let calls: Vec<_> = http.calls.iter().map(|call| call.method).collect();
    assert_eq!(calls, [Method::Post, Method::Get, Method::Put, Method::Get]);
    assert_eq!(http.paths()[..2], ["/account/listenKey", "/account?time=1000000"]);
    assert!(http.calls.iter().all(|call| call.headers.contains(&("X-API-KEY", "test-api-key".into()))));
    assert!(http.calls.iter().all(|call| call.headers.contains(&("xrestservermm", "restserver3".into()))));
}

#[test]
fn a_lapsed_listen_key_is_made_anew() {
    let (mut desk, account) = (desk(), account());
    let lapsed = text("PUT /account/listenKey error");
    let mut http = Script::new(&[(200, KEY), (200, &account), (200, &lapsed), (200, KEY), (200, &account)]);
    desk.login(&mut http, NOW).unwrap();
    desk.login(&mut http, desk.login_due()).unwrap();
    assert_eq!(http.calls[3].method, Method::Post);
}

#[test]
fn an_odd_reply_does_not_leak_the_listen_key() {
    for reply in [r#"{"ListenKey":"canary"}"#, r#"{"listenKey":"canary\"}"#, r#"{"listenKey":"canary&x=1"}"#]
    {
        let error = desk().login(&mut Script::new(&[(200, reply)]), NOW).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
}

#[test]
fn another_account_is_refused() {
    let wrong = text("GET /account");
    let error = desk().account(&mut Script::new(&[(200, &wrong)]), NOW).unwrap_err();
    assert!(matches!(error, DeskError::Refused { ref code, .. } if code == "WRONG ACCOUNT"), "{error}");
}

#[test]
fn failures_are_never_an_empty_answer() {
    let html = "<html>Bad Gateway</html>";
    for (answers, what) in [
        (vec![], "unreachable"),
        (vec![(502, html)], "refused"),
        (vec![(200, html)], "unreadable"),
        (vec![(200, r#"{"code":1002,"msg":"who"}"#)], "refused"),
        (vec![(200, r#"{"positions":[]}"#)], "unreadable"),
    ] {
        let told = match desk().account(&mut Script::new(&answers), NOW).unwrap_err() {
            DeskError::Unreachable { .. } => "unreachable",
            DeskError::Refused { .. } => "refused",
            DeskError::Unreadable { .. } => "unreadable",
            DeskError::Elsewhere { .. } => "elsewhere",
        };
        assert_eq!(told, what, "{answers:?}");
        assert!(desk().open_orders(&mut Script::new(&answers), NOW).is_err());
    }
}

#[test]
fn open_orders_are_asked_by_status_and_told_once() {
    let new = r#"[{"id":"0xa","nonce":1,"symbol":"BTC-PERP","status":"NEW"}]"#;
    let both = r#"[{"id":"0xa","nonce":1,"status":"PARTIALLY_FILLED"},
        {"id":"0xb","nonce":2,"status":"FILLED"},{"id":"0xc","nonce":3,"status":"PARTIALLY_FILLED"}]"#;
    let mut http = Script::new(&[(200, new), (200, both)]);
    let open = desk().open_orders(&mut http, NOW).unwrap();
    assert_eq!(open.iter().map(|order| order.nonce).collect::<Vec<_>>(), [1, 3]);
    let asked = |status| format!("/orders?status={status}&limit=1000&time={}", NOW.ms());
    assert_eq!(http.paths(), [asked("NEW"), asked("PARTIALLY_FILLED")]);

    let half = Script::new(&[(200, new)]);
    assert!(desk().open_orders(&mut { half }, NOW).is_err(), "one answer of two is no answer");
}

#[test]
fn a_full_page_of_open_orders_is_followed_by_the_earlier_one() {
    let row = |n: u32| format!(r#"{{"id":"{n:#x}","nonce":{n},"status":"NEW","postTime":{}}}"#, 90_000 - n);
    let page = |from: u32, to: u32| format!("[{}]", (from..to).map(row).collect::<Vec<_>>().join(","));
    let (full, rest) = (page(1, 1_001), page(1_000, 1_003));
    let mut http = Script::new(&[(200, &full), (200, &rest), (200, "[]")]);
    assert_eq!(desk().open_orders(&mut http, NOW).unwrap().len(), 1_002, "the one in both is told once");
    let second = format!("/orders?status=NEW&endTime=89000&limit=1000&time={}", NOW.ms());
    assert_eq!(http.paths()[1], second);

    let always = vec![(200, full.as_str()); 40];
    assert!(desk().open_orders(&mut Script::new(&always), NOW).is_err(), "a venue that pages for ever");
}

fn query(venue_id: &str) -> OrderQuery {
    OrderQuery {
        id: ClientId::default(),
        pair: BTC,
        venue_id: VenueOrderId::cut(venue_id),
        nonce: 0,
        side: Side::Buy,
        qty: Qty::parse(b"0.1").unwrap(),
        signed_ms: 500_000,
    }
}

#[test]
fn an_order_is_looked_for_by_every_name() {
    let mut http = Script::new(&[(200, "[]"), (200, "[]"), (200, &text("GET /orders"))]);
    assert!(desk().order(&mut http, &query("0x0"), NOW).unwrap().report.is_some());
    assert_eq!(
        http.paths(),
        [
            "/orders?nonce=0&limit=1000&time=1000000",
            "/orders?id=0x0&limit=1000&time=1000000",
            "/orders?symbol=BTC-PERP&startTime=440000&limit=1000&time=1000000",
        ]
    );
    let mut http = Script::new(&[(200, "[]"), (200, "[]")]);
    assert_eq!(desk().order(&mut http, &query(""), NOW), Ok(Sighting { asked: NOW, report: None }));
    assert!(desk().order(&mut Script::new(&[(200, "[]"), (500, "")]), &query(""), NOW).is_err());
}

#[test]
fn a_cancel_of_a_finished_order_is_no_error() {
    let target = CancelSpec {
        id: ClientId::default(),
        venue: VenueId(0),
        pair: BTC,
        venue_id: VenueOrderId::cut("0xab"),
        signed_ms: 77,
        nonce: 78,
    };
    let done = text("cancel of an already terminal order");
    for (status, body, fine) in [(200, r#"{"id":"0xab"}"#, true), (200, &done, true), (400, "", false)] {
        let mut http = Script::new(&[(status, body)]);
        assert_eq!(desk().cancel(&mut http, &target, NOW).is_ok(), fine, "{body}");
        assert_eq!(http.paths(), ["/orders/cancel?time=77"]);
    }
    let nameless = CancelSpec { venue_id: VenueOrderId::EMPTY, ..target };
    assert!(desk().cancel(&mut Script::new(&[]), &nameless, NOW).is_err());
}

#[test]
fn leverage_that_stands_already_is_fine() {
    let (held, account) = (r#"{"code":3021,"msg":"held"}"#, account());
    let eth = r#"{"symbol":"ETH-PERP","value":20}"#;
    let mut http = Script::new(&[(200, held), (200, &account), (200, eth)]);
    desk().prepare_trading(&mut http, 20, NOW).unwrap();
    assert_eq!(http.calls[0].body.as_deref(), Some(r#"{"time":1000000,"symbol":"BTC-PERP","value":20}"#));
    let mut http = Script::new(&[(200, held), (200, &account)]);
    assert!(desk().prepare_trading(&mut http, 3, NOW).is_err());
    assert!(desk().prepare_trading(&mut Script::new(&[(200, eth)]), 3, NOW).is_err());
}

#[test]
fn targets_carry_what_each_link_needs() {
    let mut http = Script::new(&[(200, KEY)]);
    let mut desk = desk();
    let mut url = |role| match desk.target(&mut http, role, NOW).unwrap() {
        Target::WebSocket(target) => target.url,
        Target::Http { host, port, secret } => format!("{host} {port} {}", secret.unwrap().expose()),
    };
    let base = "wss://localhost:8444/ws-api?version=1.0&xwebsocketserver=restserver3";
    assert_eq!(url(Role::MarketData), base);
    assert_eq!(url(Role::Orders), "127.0.0.1 8443 test-api-key");
    let key = "579e1280448d4843b190c50fbd170078";
    assert_eq!(url(Role::Private), format!("{base}&websocketserver=restserver3&listenKey={key}"));
}

#[test]
fn a_book_is_read_best_level_first_and_a_refusal_is_none() {
    let whole = r#"{"bids":[["99","1"],["100","2"]],"asks":[["101","3"]]}"#;
    let mut http = Script::new(&[(200, whole), (200, r#"{"code":429,"msg":"slow"}"#), (500, whole)]);
    let mut desk = VestDesk::new(&paper_setup()).unwrap();
    let book = desk.book(&mut http, BTC).unwrap();
    assert_eq!((book.bids[0].price, book.asks.len()), (crate::types::Price::parse(b"100").unwrap(), 1));
    assert_eq!(http.paths(), ["/depth?symbol=BTC-PERP&limit=100"]);
    let patience = |book: Result<_, DeskError>| book.unwrap_err().asks_for_patience();
    assert!(patience(desk.book(&mut http, BTC)));
    assert!(!patience(desk.book(&mut http, BTC)));
}

#[test]
fn paper_mode_reads_the_public_side_only() {
    let mut desk = VestDesk::new(&paper_setup()).unwrap();
    let mut http = Script::new(&[]);
    desk.login(&mut http, NOW).unwrap();
    assert_eq!(desk.venue_time_ms(&mut http, NOW), Ok(None));
    assert!(matches!(desk.account(&mut http, NOW), Err(DeskError::Refused { .. })));
    assert!(desk.target(&mut http, Role::Private, NOW).is_err());
    assert!(http.calls.is_empty());
    assert!(matches!(desk.target(&mut http, Role::MarketData, NOW), Ok(Target::WebSocket(_))));
    assert!(desk.rules(&mut http).is_err() && http.paths() == ["/exchangeInfo?symbols=BTC-PERP,ETH-PERP"]);
}

#[test]
fn what_may_have_been_executed_is_read_from_each_market_since_then() {
    let row = |id: u64, symbol, buys, size, status| {
        format!(
            r#"{{"id":"{id:#x}","nonce":{id},"symbol":"{symbol}","isBuy":{buys},"size":"{size}",
                "status":"{status}","postTime":{}}}"#,
            10 - id
        )
    };
    let rows = [
        row(1, "BTC-PERP", true, "0.2", "FILLED"),
        row(2, "BTC-PERP", false, "0.1", "CANCELLED"),
        row(3, "BTC-PERP", false, "0.1", "REJECTED"),
        row(4, "DOGE-PERP", true, "5", "FILLED"),
    ];
    let rows = format!("[{}]", rows.join(","));
    let mut http = Script::new(&[(200, &rows), (200, "[]")]);
    let past = desk().past_orders(&mut http, 500, NOW).unwrap();
    let told: Vec<_> =
        past.iter().map(|past| (past.nonce, past.side, past.qty.to_string(), past.at_ms)).collect();
    assert_eq!(told, [(1, Side::Buy, "0.2".into(), 9), (2, Side::Sell, "0.1".into(), 8)]);
    let asked = |symbol| format!("/orders?symbol={symbol}&startTime=500&limit=1000&time={}", NOW.ms());
    assert_eq!(http.paths(), [asked("BTC-PERP"), asked("ETH-PERP")]);
    let nameless = rows.replace(r#""id":"0x1","#, "");
    let sizeless =
        r#"[{"id":"0xa","nonce":7,"symbol":"BTC-PERP","isBuy":true,"status":"FILLED","postTime":9}]"#;
    let read = |reply| desk().past_orders(&mut Script::new(&[(200, reply), (200, "[]")]), 500, NOW);
    for unread in [sizeless, "{}", &nameless] {
        assert!(read(unread).is_err(), "{unread}");
    }
    let not_ours = sizeless.replace(r#""nonce":7,"#, "");
    assert_eq!(read(&not_ours).unwrap().len(), 0, "each of ours has a nonce");
}
