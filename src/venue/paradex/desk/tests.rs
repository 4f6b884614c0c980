//! Tests of the desk against scripted answers.

use std::collections::VecDeque;

use super::super::auth;
use super::super::fixture::{self, ACCOUNT, BTC};
use super::*;
use crate::sys::rest::{HttpError, Request, Response};
use crate::types::{Price, Purpose, Qty, RejectClass, Side};

/// Answers by method and the beginning of the path, each entry once; anything else is out of reach.
struct Script {
    answers: VecDeque<(&'static str, u16, String)>,
    asked: Vec<Request>,
}

impl Script {
    fn new(answers: &[(&'static str, u16, &str)]) -> Self {
        let owned = |&(call, status, body): &(&'static str, u16, &str)| (call, status, body.to_owned());
        Self { answers: answers.iter().map(owned).collect(), asked: Vec::new() }
    }

    fn path(&self, nth: usize) -> &str {
        self.asked[nth].url.strip_prefix("https://localhost:1/v1").unwrap()
    }
}

impl Http for Script {
    fn call(&mut self, request: Request) -> Result<Response, HttpError> {
        let call = format!("{:?} {}", request.method, &request.url["https://localhost:1/v1".len()..]);
        self.asked.push(request);
        let at = self.answers.iter().position(|(wanted, ..)| call.starts_with(wanted));
        let Some((_, status, body)) = at.and_then(|at| self.answers.remove(at)) else {
            return Err(HttpError(format!("no route for {call}")));
        };
        Ok(Response { status, body: body.into_bytes(), retry_after: None })
    }
}

const NOW: Nanos = Nanos::from_ms(1_767_225_601_000);
const TOKEN: (&str, u16, &str) = ("Post /auth/", 200, r#"{"jwt_token":"aaa.bbb.ccc"}"#);
const NOT_OPEN: (&str, u16, &str) =
    ("Get /orders/by_client_id/", 404, r#"{"error":"CLIENT_ORDER_ID_NOT_FOUND","message":"no"}"#);
const NOTHING: &str = r#"{"next":null,"prev":null,"results":[]}"#;

fn desk() -> ParadexDesk {
    ParadexDesk::new(&fixture::setup()).unwrap()
}

fn query() -> OrderQuery {
    OrderQuery {
        id: ClientId { epoch: 7, seq: 42, leg: 1 },
        pair: PairId(0),
        venue_id: VenueOrderId::EMPTY,
        nonce: 0,
        side: Side::Buy,
        qty: Qty::from_raw(123_000),
        signed_ms: 1_767_225_600_123,
    }
}

fn order_json(status: &str, remaining: &str, reason: &str) -> String {
    format!(
        r#"{{"id":"77","client_id":"7-42-1","market":"{BTC}","status":"{status}","size":"0.00123",
            "remaining_size":"{remaining}","avg_fill_price":"","cancel_reason":"{reason}",
            "last_updated_at":1767225600500}}"#
    )
}

fn fill_json(id: &str, size: &str, price: &str) -> String {
    format!(
        r#"{{"id":"{id}","order_id":"77","client_id":"7-42-1","market":"{BTC}","side":"BUY","price":"{price}",
            "size":"{size}","fee":"0.01","fill_type":"FILL","created_at":1767225600400}}"#
    )
}

fn list(items: &[String], next: &str) -> String {
    format!(r#"{{"next":"{next}","results":[{}]}}"#, items.join(","))
}

#[test]
fn a_token_is_fetched_once_and_renewed_when_due() {
    let (mut desk, mut http) = (desk(), Script::new(&[TOKEN, TOKEN]));
    assert_eq!(desk.login_due(), Nanos::NEVER);
    desk.login(&mut http, NOW).unwrap();
    desk.login(&mut http, NOW.plus_ms(149_999)).unwrap();
    assert_eq!((http.asked.len(), desk.login_due()), (1, NOW.plus_ms(150_000)));
    desk.login(&mut http, NOW.plus_ms(150_000)).unwrap();
    assert_eq!(http.asked.len(), 2);
    assert_eq!(http.path(0), format!("/auth/{}", fixture::PUBLIC_KEY));
}

#[test]
fn what_auth_answered_never_stands_in_an_error() {
    for body in [r#"{"jwt_token":"sec\"ret"}"#, r#"{"jwt_token":"secret""#, r#"{"token":"secret"}"#] {
        let error = desk().login(&mut Script::new(&[("Post /auth/", 200, body)]), NOW).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("sec"), "{error}");
    }
}

#[test]
fn a_token_that_the_venue_refuses_is_replaced_once() {
    let refused = ("Get /orders", 401, r#"{"error":"INVALID_TOKEN","message":"expired"}"#);
    let mut http = Script::new(&[TOKEN, refused, TOKEN, ("Get /orders", 200, NOTHING)]);
    assert_eq!(desk().open_orders(&mut http, NOW), Ok(vec![]));
    let mut http = Script::new(&[TOKEN, refused, TOKEN, refused]);
    let error = desk().open_orders(&mut http, NOW).unwrap_err();
    assert_eq!(error.to_string(), "Paradex: open orders: HTTP 401, code INVALID_TOKEN: expired");
}

#[test]
fn the_environment_is_proven_by_chain_and_account() {
    let config = |chain: &str| format!(r#"{{"starknet_chain_id":"{chain}","l1_chain_id":"1"}}"#);
    let account = |name: &str| format!(r#"{{"account":"{name}","account_value":"1","free_collateral":"1"}}"#);
    let padded = ACCOUNT.replace("0x", "0x0");
    for (chain, name, proven) in [
        ("PRIVATE_SN_POTC_SEPOLIA", ACCOUNT, true),
        ("PRIVATE_SN_POTC_SEPOLIA", &padded, true),
        ("PRIVATE_SN_PARACLEAR_MAINNET", ACCOUNT, false),
        ("PRIVATE_SN_POTC_SEPOLIA", "0x1", false),
    ] {
        let (config, account) = (config(chain), account(name));
        let mut http =
            Script::new(&[TOKEN, ("Get /system/config", 200, &config), ("Get /account", 200, &account)]);
        let mut desk = desk();
        desk.login(&mut http, NOW).unwrap();
        assert_eq!(desk.check_environment(&mut http).is_ok(), proven, "{chain} {name}");
    }
}

#[test]
fn rules_carry_the_accounts_own_fee() {
    let market = format!(
        r#"{{"results":[{{"symbol":"{BTC}","asset_kind":"PERP","price_tick_size":"0.1",
            "order_size_increment":"0.00001","delta1_cross_margin_params":{{"imf_base":"0.02",
            "mmf_factor":"0.5"}}}}]}}"#
    );
    let info = r#"{"fees":{"maker_rate":"0.00003","taker_rate":"0.00042"}}"#;
    let mut http =
        Script::new(&[TOKEN, ("Get /account/info", 200, info), ("Get /markets?market=BTC", 200, &market)]);
    let mut desk = desk();
    desk.login(&mut http, NOW).unwrap();
    let rules = desk.rules(&mut http).unwrap();
    assert_eq!((rules[0].0, rules[0].1.taker), (PairId(0), Rate::from_raw(420_000_000)));
}

#[test]
fn the_account_is_put_together_and_foreign_markets_counted() {
    let account = r#"{"account":"0x1","account_value":"1001.5","free_collateral":"900","updated_at":5}"#;
    let balance =
        r#"{"results":[{"token":"DIME","size":"9"},{"token":"USDC","size":"1000.123456789012345678"}]}"#;
    let positions = format!(
        r#"{{"results":[{{"market":"{BTC}","side":"SHORT","status":"OPEN","size":"-0.01",
            "average_entry_price":"64839.96053748","liquidation_price":""}},{{"market":"SOL-USD-PERP",
            "side":"LONG","status":"OPEN","size":"3"}},{{"market":"ETH-USD-PERP","side":"LONG",
            "status":"CLOSED","size":"0"}}]}}"#
    );
    let mut http = Script::new(&[
        TOKEN,
        ("Get /account", 200, account),
        ("Get /balance", 200, balance),
        ("Get /positions", 200, &positions),
    ]);
    let report = desk().account(&mut http, NOW).unwrap();
    assert_eq!(
        (report.balance.to_string(), report.equity.to_string()),
        ("1000.12345678".into(), "1001.5".into())
    );
    assert_eq!((report.positions[0].qty.to_string(), report.foreign_markets), ("-0.01".into(), 1));
    assert_eq!((report.free_margin.to_string(), report.venue_ms), ("900".into(), 5));
}

#[test]
fn positions_do_not_wait_for_the_money() {
    let account = ("Get /account", 200, r#"{"account":"0x1","account_value":"10","free_collateral":"9"}"#);
    let balance = ("Get /balance", 200, r#"{"results":[{"token":"USDC","size":"11"}]}"#);
    let positions = ("Get /positions", 200, NOTHING);
    let (lost, later) = (("Get /balance", 503, ""), NOW.plus_ms(70));
    let mut desk = desk();
    let mut read = |now, answers: &[_]| desk.account(&mut Script::new(answers), now);
    assert!(read(NOW, &[TOKEN, positions, account, lost]).is_err(), "the money was never read");
    assert!(read(NOW, &[account, balance]).is_err(), "money says nothing of positions");
    assert_eq!(read(NOW, &[positions, account, balance]).unwrap().money_age_ms, 0);
    let report = read(later, &[positions, account, lost]).unwrap();
    assert_eq!((report.balance.to_string(), report.money_age_ms), ("11".into(), 70));
    assert_eq!(read(later, &[positions]).unwrap().money_age_ms, 70);
}

#[test]
fn a_filled_order_is_found_in_history_and_priced_by_its_fills() {
    let history = list(&[order_json("CLOSED", "0.0", "")], "");
    let first = list(&[fill_json("a", "0.001", "83456.7")], "c=1&x");
    let second = list(&[fill_json("b", "0.00023", "83456.8")], "");
    let mut http = Script::new(&[
        TOKEN,
        NOT_OPEN,
        ("Get /orders-history?", 200, &history),
        ("Get /fills?", 200, &first),
        ("Get /fills?", 200, &second),
    ]);
    let report = desk().order(&mut http, &query(), NOW).unwrap().report.unwrap();
    assert!(report.terminal && report.rejected.is_none());
    assert_eq!(
        (report.filled.to_string(), report.average.to_string()),
        ("0.00123".into(), "83456.71869919".into())
    );
    assert_eq!((report.fee.to_string(), report.venue_id.as_str()), ("0.02".into(), "77"));
    assert_eq!(http.path(2), "/orders-history?market=BTC-USD-PERP&start_at=1767225540123&page_size=100");
    assert!(http.path(4).ends_with("&page_size=100&cursor=c%3D1%26x"));
}

#[test]
fn no_trace_is_weak_and_a_failed_query_is_no_answer() {
    let (history, fills) = (("Get /orders-history?", 200, NOTHING), ("Get /fills?", 200, NOTHING));
    let mut http = Script::new(&[TOKEN, NOT_OPEN, history, fills]);
    assert_eq!(desk().order(&mut http, &query(), NOW), Ok(Sighting { asked: NOW, report: None }));
    for broken in [
        [TOKEN, ("Get /orders/by_client_id/", 404, "<html>"), history, fills],
        [TOKEN, NOT_OPEN, ("Get /orders-history?", 503, ""), fills],
        [TOKEN, NOT_OPEN, history, ("Get /fills?", 200, "{}")],
        [TOKEN, NOT_OPEN, history, ("Get /nowhere", 200, "")],
    ] {
        assert!(desk().order(&mut Script::new(&broken), &query(), NOW).is_err(), "{broken:?}");
    }
}

#[test]
fn parts_that_answered_are_not_asked_for_again_once_nothing_more_can_happen() {
    let (history, fills) = (("Get /orders-history?", 200, NOTHING), ("Get /fills?", 200, NOTHING));
    let failed = ("Get /fills?", 503, "");
    let mut http =
        Script::new(&[TOKEN, NOT_OPEN, history, failed, fills, NOT_OPEN, history, failed, NOT_OPEN]);
    let mut desk = desk();
    let late = NOW.plus_ms(11_000);
    assert!(desk.order(&mut http, &query(), late).is_err());
    let next = desk.order(&mut http, &query(), late.plus_ms(9_000));
    assert_eq!(next, Ok(Sighting { asked: late, report: None }), "as old as its oldest part");
    // Another order, and one whose parts have grown old, begin anew.
    assert!(desk.order(&mut http, &query(), late).is_err());
    let other = OrderQuery { id: ClientId { epoch: 7, seq: 43, leg: 1 }, ..query() };
    assert!(desk.order(&mut http, &other, late).is_err());
    assert!(http.path(8).ends_with("/7-43-1"));
}

#[test]
fn parts_of_an_order_that_may_still_arrive_are_asked_for_again() {
    let (history, failed) = (("Get /orders-history?", 200, NOTHING), ("Get /fills?", 503, ""));
    let mut http =
        Script::new(&[TOKEN, NOT_OPEN, history, failed, NOT_OPEN, history, ("Get /fills?", 200, NOTHING)]);
    let mut desk = desk();
    assert!(desk.order(&mut http, &query(), NOW).is_err());
    let later = NOW.plus_ms(11_000);
    assert_eq!(desk.order(&mut http, &query(), later), Ok(Sighting { asked: later, report: None }));
}

#[test]
fn a_list_without_end_is_an_error() {
    let page = list(&[], "more");
    let mut answers = vec![TOKEN, NOT_OPEN];
    answers.extend([("Get /orders-history?", 200, page.as_str()); 9]);
    assert!(desk().order(&mut Script::new(&answers), &query(), NOW).is_err());
}

#[test]
fn a_refused_order_is_told_with_its_class() {
    let history = list(&[order_json("CLOSED", "0.00123", "NOT_ENOUGH_MARGIN")], "");
    let mut http = Script::new(&[
        TOKEN,
        NOT_OPEN,
        ("Get /orders-history?", 200, &history),
        ("Get /fills?", 200, NOTHING),
    ]);
    let report = desk().order(&mut http, &query(), NOW).unwrap().report.unwrap();
    assert_eq!(report.rejected.map(|reject| reject.class), Some(RejectClass::TooLarge));
}

#[test]
fn open_orders_say_which_are_ours() {
    let orders = list(
        &[order_json("OPEN", "0.00123", ""), order_json("NEW", "0.00123", "").replace("7-42-1", "ui")],
        "",
    );
    let mut http = Script::new(&[TOKEN, ("Get /orders", 200, &orders)]);
    let open = desk().open_orders(&mut http, NOW).unwrap();
    assert_eq!((open[0].id, open[0].pair), (Some(query().id), Some(PairId(0))));
    assert_eq!((open[1].id, open[1].venue_id.as_str()), (None, "77"));
}

#[test]
fn cancelling_what_is_not_open_is_no_error() {
    let target = CancelSpec {
        id: query().id,
        venue: VenueId(1),
        pair: PairId(0),
        venue_id: VenueOrderId::EMPTY,
        signed_ms: 0,
        nonce: 0,
    };
    for (status, body, done) in [
        (204, "", true),
        (400, r#"{"error":"ORDER_IS_CLOSED","message":""}"#, true),
        (404, "<html>", false),
        (500, r#"{"error":"INTERNAL_ERROR","message":""}"#, false),
    ] {
        let mut http = Script::new(&[TOKEN, ("Delete /orders/by_client_id/7-42-1?market=BTC", status, body)]);
        assert_eq!(desk().cancel(&mut http, &target, NOW).is_ok(), done, "{status}");
    }
}

#[test]
fn a_whole_market_is_cancelled_by_one_call() {
    let mut http = Script::new(&[TOKEN, ("Delete /orders?market=BTC", 200, "{}")]);
    assert_eq!(desk().cancel_all(&mut http, PairId(0), NOW), Ok(()));
}

fn closing() -> OrderSpec {
    OrderSpec {
        id: query().id,
        venue: VenueId(1),
        pair: PairId(0),
        side: Side::Sell,
        purpose: Purpose::Unwind,
        qty: Qty::from_raw(123_000),
        limit: Price::from_raw(8_345_670_000_000),
        reduce_only: true,
        signed_ms: NOW.ms() - 100,
        nonce: 0,
        window_ms: 500,
    }
}

#[test]
fn an_order_over_rest_is_the_signed_order_itself_also_after_a_new_token() {
    let refused = ("Post /orders", 401, r#"{"error":"INVALID_TOKEN","message":""}"#);
    let mut http = Script::new(&[TOKEN, refused, TOKEN, ("Post /orders", 201, r#"{"id":"1"}"#)]);
    assert_eq!(desk().place(&mut http, &closing(), NOW), Ok(OrderNews::Acked));
    let bodies: Vec<&str> = http.asked.iter().filter_map(|request| request.body.as_deref()).collect();
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[0], bodies[1], "byte for byte");
    let body: serde_json::Value = serde_json::from_str(bodies[0]).unwrap();
    assert_eq!((&body["client_id"], &body["flags"][0]), (&"7-42-1".into(), &"REDUCE_ONLY".into()));
}

#[test]
fn an_order_over_rest_is_refused_for_certain_or_unknown() {
    for (status, body, class) in [
        (400, r#"{"error":"NOT_ENOUGH_MARGIN","message":""}"#, Some(RejectClass::TooLarge)),
        (400, r#"{"error":"SOMETHING_NEW","message":""}"#, None),
        (400, r#"{"error":"DUPLICATED_CLIENT_ID","message":""}"#, None),
        (503, r#"{"error":"NOT_ENOUGH_MARGIN","message":""}"#, None),
        (502, "<html>", None),
    ] {
        let mut http = Script::new(&[TOKEN, ("Post /orders", status, body)]);
        let placed = desk().place(&mut http, &closing(), NOW);
        let refused = placed.ok().and_then(|news| match news {
            OrderNews::Rejected(reject) => Some(reject.class),
            _ => None,
        });
        assert_eq!(refused, class, "{status} {body}");
    }
}

#[test]
fn an_order_that_gets_no_token_is_refused_for_certain() {
    let refused = ("Post /orders", 401, r#"{"error":"UNAUTHORIZED_ERROR","message":""}"#);
    for answers in [&[][..], &[("Post /auth/", 503, "")], &[("Post /auth/", 200, "{}")], &[TOKEN, refused]] {
        let placed = desk().place(&mut Script::new(answers), &closing(), NOW).unwrap();
        let OrderNews::Rejected(reject) = placed else { panic!("{placed:?}") };
        assert_eq!(reject.class, RejectClass::RetryLater, "{answers:?} {}", reject.code);
    }
}

#[test]
fn an_order_whose_window_has_lapsed_is_not_placed() {
    let mut http = Script::new(&[]);
    let late = OrderSpec { signed_ms: NOW.ms() - 501, ..closing() };
    assert!(matches!(desk().place(&mut http, &late, NOW), Ok(OrderNews::Rejected(_))));
    assert!(http.asked.is_empty());
}

#[test]
fn a_refused_schema_version_is_followed_by_the_next_older_one() {
    let (mut desk, mut http) = (desk(), Script::new(&[TOKEN]));
    let mut version = |desk: &mut ParadexDesk, role| match desk.target(&mut http, role, NOW).unwrap() {
        Target::WebSocket(target) => {
            assert_eq!(target.secret.is_some(), role == Role::Orders);
            target
                .url
                .strip_prefix("wss://localhost:1/v1?sbeSchemaId=1&sbeSchemaVersion=")
                .unwrap()
                .to_owned()
        }
        Target::Http { .. } => panic!("not a WebSocket"),
    };
    let refused = "localhost: upgrade refused: HTTP 400: ";
    for (why, then) in [("refused", "2"), (refused, "1"), ("reset", "1"), (refused, "0"), (refused, "2")] {
        desk.link_failed(Role::MarketData, why);
        assert_eq!(version(&mut desk, Role::MarketData), then, "{why}");
    }
    desk.link_failed(Role::MarketData, refused);
    assert_eq!(version(&mut desk, Role::Orders), "2", "each connection has its own version");
}

#[test]
fn the_next_socket_gets_a_fresh_token() {
    let second = ("Post /auth", 200, r#"{"jwt_token":"second"}"#);
    let (mut desk, mut http) = (desk(), Script::new(&[TOKEN, second]));
    let mut token = |role| match desk.target(&mut http, role, NOW).unwrap() {
        Target::WebSocket(target) => target.secret.unwrap().expose().to_owned(),
        Target::Http { .. } => panic!("not a WebSocket"),
    };
    let first = token(Role::Orders);
    assert_ne!(first, "second");
    assert_eq!(token(Role::Spare), first, "nothing was lost yet");
    assert_eq!(token(Role::Orders), "second");
}

#[test]
fn the_token_at_hand_serves_until_there_is_another_or_the_venue_refuses_it() {
    let orders = ("Get /orders", 200, NOTHING);
    let refused = ("Get /orders", 401, r#"{"error":"INVALID_TOKEN","message":"revoked"}"#);
    let mut desk = desk();
    desk.target(&mut Script::new(&[TOKEN]), Role::Orders, NOW).unwrap();
    let mut http = Script::new(&[orders, orders, refused, orders, orders, orders]);
    assert!(desk.target(&mut http, Role::Orders, NOW).is_err(), "no socket without a fresh one");
    let mut read = |at: Nanos| desk.open_orders(&mut http, at).is_ok();
    assert!(read(NOW) && read(NOW.plus_ms(auth::TOKEN_USABLE_MS - 1)), "it is good for minutes");
    assert!(!read(NOW), "refused, and no other is to be had");
    assert!(!read(NOW), "then it is used no more");
    assert!(desk.open_orders(&mut Script::new(&[TOKEN, orders]), NOW).is_ok());
}

#[test]
fn venue_texts_in_errors_are_escaped_and_short() {
    let body = format!(r#"{{"error":"X","message":"\u001b[31m{}"}}"#, "a".repeat(5_000));
    let error = desk().mode(&mut Script::new(&[("Get /system/state", 400, &body)])).unwrap_err().to_string();
    assert!(error.len() < 400 && !error.contains('\u{1b}'), "{error}");
}

#[test]
fn without_credentials_only_public_calls_are_made() {
    let mut setup = fixture::setup();
    setup.secrets.0.clear();
    let mut desk = ParadexDesk::new(&setup).unwrap();
    let mut http =
        Script::new(&[("Get /system/config", 200, r#"{"starknet_chain_id":"PRIVATE_SN_POTC_SEPOLIA"}"#)]);
    desk.login(&mut http, NOW).unwrap();
    desk.check_environment(&mut http).unwrap();
    assert_eq!((http.asked.len(), desk.login_due()), (1, Nanos(u64::MAX)));
    assert!(http.asked[0].headers.is_empty());
}

#[test]
fn a_book_is_read_and_one_that_makes_no_sense_is_refused() {
    let read = |body: &str| {
        let mut http = Script::new(&[("Get /orderbook/", 200, body)]);
        desk().book(&mut http, PairId(0))
    };
    let book =
        read(r#"{"seq_no":7,"bids":[["100","1"],["99","2"]],"asks":[["101","3"]],"market":"x"}"#).unwrap();
    assert_eq!((book.sequence, book.bids.len(), book.asks[0].qty), (7, 2, Qty::parse(b"3").unwrap()));
    for wrong in [
        r#"{"seq_no":7,"bids":[["99","1"],["100","2"]],"asks":[]}"#,
        r#"{"seq_no":7,"bids":[["0","1"]],"asks":[]}"#,
        r#"{"seq_no":7,"bids":[["99","-1"]],"asks":[]}"#,
        r#"{"seq_no":7,"bids":[]}"#,
    ] {
        assert!(matches!(read(wrong), Err(DeskError::Unreadable { .. })), "{wrong}");
    }
}

#[test]
fn what_was_executed_is_read_from_the_fills_since_then() {
    let fill = |id: &str, client_id: &str, side: &str, market: &str| {
        fill_json(id, "0.001", "83456.7")
            .replace("7-42-1", client_id)
            .replace("BUY", side)
            .replace(BTC, market)
    };
    let first = list(&[fill("a", "7-43-1", "SELL", BTC), fill("b", "mine", "BUY", BTC)], "c");
    let second = list(&[fill("c", "7-44-1", "BUY", "ETH-USD-PERP")], "");
    let mut http = Script::new(&[TOKEN, ("Get /fills?", 200, &first), ("Get /fills?", 200, &second)]);
    let past = desk().past_orders(&mut http, 500, NOW).unwrap();
    let told: Vec<_> = past.iter().map(|past| (past.id, past.side, past.qty.to_string())).collect();
    let ours = Some(ClientId { epoch: 7, seq: 43, leg: 1 });
    assert_eq!(told, [(ours, Side::Sell, "0.001".into()), (None, Side::Buy, "0.001".into())]);
    assert_eq!(http.path(1), "/fills?market=BTC-USD-PERP&start_at=500&page_size=100");
    let broken = list(&[fill("a", "7-43-1", "LONG", BTC)], "");
    assert!(desk().past_orders(&mut Script::new(&[TOKEN, ("Get /fills?", 200, &broken)]), 0, NOW).is_err());
}
