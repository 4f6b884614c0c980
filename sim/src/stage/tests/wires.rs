//! Requests, sockets and time.

use serde_json::{Value, json};

use super::*;
use crate::core::fault::{Action, Class};
use crate::core::{Side, State};

#[test]
fn a_vest_order_goes_its_whole_way() {
    let mut run = Run::vest();
    let key = run.private("POST", "/v2/account/listenKey", "").1["listenKey"].as_str().unwrap().to_owned();
    let target = format!("/ws-api?version=1.0&xwebsocketserver=restserver0&listenKey={key}");
    let id = run.stage.open(run.now_us, &target, &[]).unwrap();
    run.send(id, &json!({"method": "SUBSCRIBE", "params": ["account_private"], "id": 1}));
    let body = run.vest_order(true, "0.1000", "90000.00", 7);
    let (status, reply) = run.private("POST", "/v2/orders", &body);
    assert_eq!(status, 200, "{reply}");
    assert!(run.stage.truth().position(0) == 0, "acknowledged is not filled");
    run.pass(SECOND);
    let states: Vec<Value> =
        texts(&run.drain(id)).iter().map(|m| m["data"]["args"]["status"].clone()).collect();
    assert_eq!(states, [Value::Null, json!("NEW"), json!("FILLED")]);
    assert_eq!(run.stage.truth().position(0), ONE / 10);
    let rows = run.private("GET", "/v2/orders?nonce=7", "").1;
    assert_eq!((&rows[0]["id"], &rows[0]["status"]), (&reply["id"], &json!("FILLED")));
    assert_eq!(run.private("POST", "/v2/orders", &body).1["detail"]["code"], 3015, "the same bytes again");
}

#[test]
fn a_paradex_order_goes_its_whole_way() {
    let mut run = Run::paradex();
    let id = run.paradex_socket();
    run.subscribe(id, "fills.ALL");
    let order = run.paradex_order("BUY", "0.1", "73000", "a1");
    run.send(id, &json!({"jsonrpc": "2.0", "id": 2, "method": "order.create", "params": order}));
    run.pass(SECOND);
    let frames = run.drain(id);
    let created = texts(&frames).into_iter().find(|m| m["id"] == 2).unwrap();
    assert_eq!(created["result"]["order"]["status"], "NEW", "{created}");
    assert!(frames.iter().any(|f| matches!(f, Frame::Binary(bytes) if bytes[2] == 21)), "a fill as SBE");
    assert_eq!(run.stage.truth().position(0), ONE / 10);
    run.send(id, &json!({"jsonrpc": "2.0", "id": 3, "method": "order.create", "params": order}));
    run.pass(SECOND);
    assert_eq!(texts(&run.drain(id))[0]["error"]["data"], "DUPLICATED_CLIENT_ID");
    let (status, position) = run.private("GET", "/v1/positions", "");
    assert_eq!((status, &position["results"][0]["size"]), (200, &json!("0.1")));
}

#[test]
fn the_same_seed_and_calls_give_the_same_bytes() {
    let frames = || {
        let mut run = Run::paradex();
        run.stage.fault(Rule {
            probability_ppm: Some(300_000),
            ..Rule::always(Class::BookEvent, Action::DelayEvent { ms: 90 })
        });
        let id = run.paradex_socket();
        run.subscribe(id, &format!("order_book.{BTC}.deltas"));
        let mut frames = Vec::new();
        while run.now_us < START_US + 20 * SECOND {
            run.now_us = run.stage.next_due();
            frames.extend(run.drain(id).into_iter().map(|frame| (run.now_us, frame)));
        }
        frames
    };
    let first = frames();
    assert!(first.len() > 150, "{}", first.len());
    assert_eq!(first, frames());
}

#[test]
fn what_is_due_is_readable_then_and_not_before() {
    let mut run = Run::vest();
    let id = run.stage.open(run.now_us, "/ws-api?version=1.0", &[]).unwrap();
    run.send(id, &json!({"method": "SUBSCRIBE", "params": ["BTC-PERP@depth"], "id": 1}));
    run.drain(id);
    let mut books = Vec::new();
    for _ in 0..50 {
        let due_us = run.stage.next_due();
        assert!(due_us > run.now_us);
        run.now_us = due_us - 1;
        assert_eq!(run.drain(id), []);
        run.now_us = due_us;
        books.extend(run.drain(id));
    }
    assert!(books.len() > 10);
    assert!(texts(&books).iter().all(|book| book["channel"] == "BTC-PERP@depth"));
}

#[test]
fn paradex_pings_beats_and_closes_by_itself() {
    let mut run = Run::paradex();
    let unused = run.paradex_socket();
    run.pass(10 * SECOND);
    assert_eq!(run.drain(unused), [Frame::Close(4031)]);
    let id = run.paradex_socket();
    run.subscribe(id, "positions");
    run.drain(id);
    run.pass(20 * SECOND);
    assert!(matches!(run.drain(id)[..], [Frame::Binary(ref beat)] if beat[2] == 40));
    run.pass(35 * SECOND);
    assert!(run.drain(id).contains(&Frame::Ping));
    run.stage.pong(run.now_us, id);
    run.pass(55 * SECOND);
    assert!(run.drain(id).contains(&Frame::Ping));
    run.pass(6 * SECOND);
    assert_eq!(run.drain(id).last(), Some(&Frame::Gone), "no pong");
}

#[test]
fn a_cut_loses_what_was_on_its_way_and_a_stall_keeps_it() {
    let mut run = Run::vest();
    let id = run.stage.open(run.now_us, "/ws-api?version=1.0", &[]).unwrap();
    run.send(id, &json!({"method": "SUBSCRIBE", "params": ["BTC-PERP@depth"], "id": 1}));
    run.stage.stall(run.now_us, Socket::Md, true);
    run.send(id, &json!({"method": "PING", "params": [], "id": 2}));
    run.pass(SECOND);
    assert_eq!(run.drain(id), []);
    run.stage.stall(run.now_us, Socket::Md, false);
    let frames = run.drain(id);
    assert!(frames.len() > 3);
    assert!(texts(&frames).contains(&json!({"data": "PONG"})));
    run.pass(SECOND);
    run.stage.cut(run.now_us, Socket::All);
    assert_eq!(run.drain(id), [Frame::Gone]);
    assert_eq!((run.stage.cuts(Socket::Md), run.stage.cuts(Socket::Orders)), (1, 1));
    run.send(id, &json!({"method": "PING"}));
    assert_eq!(run.drain(id), []);
}

#[test]
fn a_step_of_the_clock_is_shown_and_moves_nothing_else() {
    let mut run = Run::paradex();
    let id = run.paradex_socket();
    run.subscribe(id, &format!("order_book.{BTC}.deltas"));
    run.pass(SECOND);
    let before = run.drain(id).len() as i64;
    let time = |run: &mut Run| -> i64 {
        let reply = run.call("GET", "/v1/system/time", &[], "").1;
        reply["server_time"].as_str().unwrap().parse().unwrap()
    };
    for offset_us in [3 * SECOND, -2 * SECOND] {
        run.stage.set_clock(run.now_us, offset_us, 0);
        assert_eq!(time(&mut run), (run.now_us + offset_us) / 1_000);
        run.pass(SECOND);
        let frames = run.drain(id).len() as i64;
        assert!((frames - before).abs() < 6, "{frames} frames in a second, {before} before");
    }
    run.stage.set_clock(run.now_us, 0, 1_000);
    let started_us = run.now_us;
    run.pass(100 * SECOND);
    assert_eq!(time(&mut run), (started_us + 100 * SECOND + 100_000) / 1_000, "1 ms gained in a second");
}

#[test]
fn a_held_request_arrives_later_and_a_lost_one_never() {
    let mut run = Run::paradex();
    run.stage.fault(Rule::once(Class::Order, Action::DelayRequest { ms: 500 }));
    let body = run.paradex_order("BUY", "0.1", "73000", "late").to_string();
    let before = run.now_us;
    let (status, order) = run.private("POST", "/v1/orders", &body);
    assert_eq!((status, &order["status"]), (201, &json!("NEW")));
    assert!(run.now_us >= before + 500_000);
    run.stage.fault(Rule::once(Class::Order, Action::DropAck));
    let body = run.paradex_order("SELL", "0.1", "70000", "unheard").to_string();
    let bearer = format!("Bearer {}", run.token);
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    let request =
        Request { method: "POST", path_and_query: "/v1/orders", headers: &headers, body: body.as_bytes() };
    let call = run.stage.call(run.now_us, request);
    run.pass(60 * SECOND);
    assert_eq!(run.stage.answer(call, run.now_us), Answered::Never);
    let orders: Vec<State> = run.stage.truth().exchange().orders(0).map(|order| order.state).collect();
    assert_eq!(orders, [State::Filled, State::Filled]);
}

#[test]
fn a_command_is_performed_and_seen_in_the_truth() {
    let mut run = Run::paradex();
    let market = BTC.to_owned();
    let trade = Command::Trade { venue: VenueName::Paradex, market, side: Side::Sell, size: Size(ONE / 100) };
    run.stage.perform(run.now_us, trade).unwrap();
    run.pass(SECOND);
    assert_eq!(run.stage.truth().position(0), -ONE / 100);
    let fill = run.stage.report(run.now_us).fills[0].id.clone();
    run.stage.perform(run.now_us, Command::Bust { venue: VenueName::Paradex, fill }).unwrap();
    assert_eq!(run.stage.truth().position(0), 0);
    let script = Script { freeze: true, ..Script::default() };
    let nowhere = Command::Script { venue: VenueName::Paradex, market: "XRP".into(), script };
    assert_eq!(run.stage.perform(run.now_us, nowhere), Err(ControlError::NoMarket("XRP".into())));
}
