//! A stage from outside, at a virtual time: its wires, and every fault it can be told to have.

mod bench;
mod events;
mod requests;
mod upheaval;
mod wires;

use serde_json::{Value, json};

use super::*;
use crate::core::fault::Rule;
use crate::core::model::Script;
use crate::core::money::ONE;
use crate::core::{FillView, OrderView};
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
        Run::vest_of(options())
    }

    fn vest_of(options: Options) -> Run {
        Run { stage: Stage::vest(&options, START_US).unwrap(), now_us: START_US, token: String::new() }
    }

    fn paradex() -> Run {
        Run::paradex_of(options())
    }

    fn paradex_of(options: Options) -> Run {
        let stage = Stage::paradex(&options, START_US).unwrap();
        let mut run = Run { stage, now_us: START_US, token: String::new() };
        run.log_in_again();
        run
    }

    fn log_in_again(&mut self) {
        self.token = self.log_in().1["jwt_token"].as_str().unwrap().to_owned();
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

    /// Holds the prices still at 72,000.
    fn still(mut self) -> Run {
        let script = Script { mid: Some(72_000 * ONE), basis_bps: Some(0), ..Script::default() };
        self.stage.exchange_mut().set_script(self.now_us, 0, script);
        self.pass(SECOND);
        self
    }

    fn fault(&mut self, rule: Rule) {
        self.stage.fault(rule);
    }

    fn perform(&mut self, command: Command) {
        self.stage.perform(self.now_us, command).unwrap();
    }

    fn perform_json(&mut self, text: &str) {
        self.perform(serde_json::from_str(text).unwrap());
    }

    /// Sends an order and lets `us` pass; what was answered, when there was an answer.
    fn post(&mut self, body: &str, us: i64) -> Answered {
        let bearer = format!("Bearer {}", self.token);
        let headers = [
            ("content-type", "application/json"),
            ("authorization", bearer.as_str()),
            ("x-api-key", "sim-vest-api-key-0001"),
            ("xrestservermm", "restserver0"),
        ];
        let target = if self.token.is_empty() { "/v2/orders" } else { "/v1/orders" };
        let body = body.as_bytes();
        let request = Request { method: "POST", path_and_query: target, headers: &headers, body };
        let call = self.stage.call(self.now_us, request);
        self.pass(us);
        self.stage.answer(call, self.now_us)
    }

    /// Buys (or sells) on Paradex at the market and lets a second pass.
    fn trade(&mut self, side: &str, size: &str, client_id: &str) -> OrderView {
        let limit = if side == "BUY" { "73000" } else { "71000" };
        let body = self.paradex_order(side, size, limit, client_id).to_string();
        self.post(&body, SECOND);
        self.order(client_id).unwrap()
    }

    fn order(&self, client_ref: &str) -> Option<OrderView> {
        self.stage.truth().orders().rfind(|order| order.client_ref == client_ref).cloned()
    }

    fn fills(&self) -> Vec<FillView> {
        self.stage.truth().fills().to_vec()
    }

    fn position(&self) -> i64 {
        self.stage.truth().position(0)
    }

    /// The position that the fills which stand add up to, and the balance that the ledger does.
    fn assert_truth_adds_up(&self) {
        let truth = self.stage.truth();
        let standing = truth.fills().iter().filter(|fill| !fill.busted);
        let mut held = vec![0; truth.exchange().spec().markets.len()];
        standing.for_each(|fill| held[fill.market] += fill.side.sign() * fill.size);
        for (market, held) in held.into_iter().enumerate() {
            assert_eq!(truth.position(market), held, "market {market}");
        }
        let report = self.stage.report(self.now_us);
        assert_eq!(report.ledger_total, truth.balance());
    }

    /// A socket subscribed to these channels, with nothing left to read.
    fn paradex_listener(&mut self, channels: &[&str]) -> SocketId {
        let id = self.paradex_socket();
        channels.iter().for_each(|channel| self.subscribe(id, channel));
        self.pass(SECOND);
        self.drain(id);
        id
    }

    /// A Vest socket of the account, subscribed to the private channel.
    fn vest_listener(&mut self) -> SocketId {
        let reply = self.private("POST", "/v2/account/listenKey", "").1;
        let key = reply["listenKey"].as_str().unwrap();
        let id = self.stage.open(self.now_us, &format!("/ws-api?version=1.0&listenKey={key}"), &[]).unwrap();
        self.send(id, &json!({"method": "SUBSCRIBE", "params": ["account_private"], "id": 1}));
        self.drain(id);
        id
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
        let time = self.stage.shown(self.now_us) / 1_000;
        let order = json!({
            "time": time, "nonce": nonce, "isBuy": is_buy, "symbol": "BTC-PERP",
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

/// Frames of an SBE template.
fn templates(frames: &[Frame], template: u8) -> usize {
    frames.iter().filter(|frame| matches!(frame, Frame::Binary(bytes) if bytes[2] == template)).count()
}

/// Templates of Paradex's private frames.
const ORDER: u8 = 20;
const FILL: u8 = 21;
const POSITION: u8 = 22;
const ACCOUNT: u8 = 23;
