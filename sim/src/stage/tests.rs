//! A stage from outside, at a virtual time.

use serde_json::{Value, json};

use super::*;
use crate::core::fault::{Action, Class, Rule};
use crate::core::model::Script;
use crate::core::money::ONE;
use crate::core::{Side, State};
use crate::options::Switches;

const START_US: i64 = 1_767_225_600_000_000;
const SECOND: i64 = 1_000_000;
const BTC: &str = "BTC-USD-PERP";

fn options() -> Options {
    let switches = Switches { stub_signatures: true, ..Switches::default() };
    Options { switches, bases: vec!["BTC".into()], ..Options::default() }
}

/// A stage, its clock, and what its clients do.
struct Run {
    stage: Stage,
    now_us: i64,
    token: String,
}

impl Run {
    fn vest() -> Run {
        Run { stage: Stage::vest(&options(), START_US).unwrap(), now_us: START_US, token: String::new() }
    }

    fn paradex() -> Run {
        let stage = Stage::paradex(&options(), START_US).unwrap();
        let mut run = Run { stage, now_us: START_US, token: String::new() };
        run.token = run.log_in().1["jwt_token"].as_str().unwrap().to_owned();
        run
    }

    fn log_in(&mut self) -> (u16, Value) {
        let keys = options().keys;
        let seconds = (self.stage.shown(self.now_us) / SECOND).to_string();
        let headers = [
            ("PARADEX-STARKNET-ACCOUNT", keys.paradex_account.as_str()),
            ("PARADEX-STARKNET-SIGNATURE", r#"["1","2"]"#),
            ("PARADEX-TIMESTAMP", seconds.as_str()),
        ];
        self.call("POST", "/v1/auth", &headers, "")
    }

    /// Calls and waits for the answer.
    fn call(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
        let request = Request { method, path_and_query: target, headers, body: body.as_bytes() };
        let call = self.stage.call(self.now_us, request);
        loop {
            match self.stage.answer(call, self.now_us) {
                Answered::Reply(reply) => {
                    return (reply.status, serde_json::from_slice(&reply.body).unwrap_or_default());
                }
                Answered::Pending { due_us } => self.now_us = due_us,
                Answered::Never => panic!("never"),
            }
        }
    }

    fn private(&mut self, method: &str, target: &str, body: &str) -> (u16, Value) {
        let bearer = format!("Bearer {}", self.token);
        let headers = [
            ("content-type", "application/json"),
            ("authorization", bearer.as_str()),
            ("x-api-key", "sim-vest-api-key-0001"),
            ("xrestservermm", "restserver0"),
        ];
        self.call(method, target, &headers, body)
    }

    fn pass(&mut self, us: i64) {
        self.now_us += us;
        self.stage.advance(self.now_us);
    }

    fn send(&mut self, id: SocketId, message: &Value) {
        self.stage.send(self.now_us, id, message.to_string().as_bytes());
    }

    /// All that is readable.
    fn drain(&mut self, id: SocketId) -> Vec<Frame> {
        std::iter::from_fn(|| self.stage.recv(self.now_us, id)).collect()
    }

    fn paradex_socket(&mut self) -> SocketId {
        let bearer = format!("Bearer {}", self.token);
        let target = "/v1?sbeSchemaId=1&sbeSchemaVersion=1";
        self.stage.open(self.now_us, target, &[("authorization", &bearer)]).unwrap()
    }

    fn subscribe(&mut self, id: SocketId, channel: &str) {
        let params = json!({"channel": channel});
        self.send(id, &json!({"jsonrpc": "2.0", "id": 1, "method": "subscribe", "params": params}));
    }

    fn paradex_order(&self, side: &str, size: &str, price: &str, client_id: &str) -> Value {
        json!({
            "market": BTC, "side": side, "type": "LIMIT", "size": size, "price": price, "instruction": "IOC",
            "client_id": client_id, "signature": r#"["1","2"]"#, "recv_window": 2_000,
            "signature_timestamp": self.stage.shown(self.now_us) / 1_000,
        })
    }

    fn vest_order(&self, is_buy: bool, size: &str, limit: &str, nonce: u64) -> String {
        let order = json!({
            "time": self.stage.shown(self.now_us) / 1_000, "nonce": nonce, "symbol": "BTC-PERP", "isBuy": is_buy,
            "size": size, "orderType": "MARKET", "limitPrice": limit, "reduceOnly": false,
        });
        let signature = format!("0x{}1b", "11".repeat(64));
        json!({"order": order, "recvWindow": 2_000, "signature": signature}).to_string()
    }
}

fn texts(frames: &[Frame]) -> Vec<Value> {
    let text = |frame: &Frame| match frame {
        Frame::Text(text) => serde_json::from_str(text).ok(),
        _ => None,
    };
    frames.iter().filter_map(text).collect()
}

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
