//! One of Vest's WebSockets: subscriptions, pushes, the private channel and its close codes.
//!
//! Source: the venue sheet, section 7. Pure: texts and events come in, frames go out; `stage` keeps the frames and
//! says who is there. Protocol pings are answered below this.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::session::KeyState;
use super::{Floor, history, view};
use crate::core::fault::Class;
use crate::core::{BookUpdate, Event, FillView, OrderView, Reply, Socket};
use crate::wire::{Due, Effect, Frame, Params};

/// Close codes of the sheet's section 6.
const WRONG_VERSION: u16 = 4000;
const GROUP_NOT_FOUND: u16 = 4001;
const GROUP_INVALID: u16 = 4002;
const KEY_REQUIRED: u16 = 4003;
const KEY_NOT_FOUND: u16 = 4004;
const KEY_EXPIRED: u16 = 4005;

/// The state of one connection.
#[derive(Clone)]
pub struct Connection {
    channels: BTreeSet<String>,
    /// The listen key it came with.
    private: Option<String>,
}

impl Connection {
    /// Checks the connection's parameters; an error is a close code.
    pub fn open(floor: &Floor, query: &Params) -> Result<Self, u16> {
        if query.get("version").map(String::as_str) != Some("1.0") {
            return Err(WRONG_VERSION);
        }
        for name in ["xwebsocketserver", "websocketserver"] {
            let Some(route) = query.get(name) else { continue };
            let group: u32 =
                route.strip_prefix("restserver").and_then(|g| g.parse().ok()).ok_or(GROUP_INVALID)?;
            if group != floor.desk.group {
                return Err(GROUP_NOT_FOUND);
            }
        }
        let private = query.get("listenKey").cloned();
        private.as_ref().map_or(Ok(()), |key| listen_key(floor, key))?;
        Ok(Self { channels: BTreeSet::new(), private })
    }

    /// Answers one text frame. `held` marks a text that was handed back by [`Effect::Repeat`].
    pub fn on_text(&mut self, floor: &mut Floor, text: &str, held: bool) -> Vec<Due> {
        let due_us = match floor.exchange.gate(floor.now_us, Class::Socket, held) {
            Reply::Never => return Vec::new(),
            Reply::Hold { until_us } => return vec![(until_us, Effect::Repeat(text.to_owned()))],
            Reply::At { due_us, result: Ok(()) } => due_us,
            Reply::At { due_us, result: Err(_) } => {
                return vec![(due_us, said(&json!({"code": 1130, "msg": "Invalid parameter"})))];
            }
        };
        let request: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        match self.answer(floor, &request) {
            Ok(reply) => {
                let copies = 1 + usize::from(floor.exchange.take_echo());
                vec![(due_us, said(&reply)); copies]
            }
            Err(code) => vec![(due_us, Effect::Send(Frame::Close(code)))],
        }
    }

    fn answer(&mut self, floor: &Floor, request: &Value) -> Result<Value, u16> {
        let id = request.get("id").cloned().unwrap_or(Value::Null);
        let names = |request: &Value| -> Option<Vec<String>> {
            request.get("params")?.as_array()?.iter().map(|p| p.as_str().map(str::to_owned)).collect()
        };
        let error = |code: u32, text: &str| json!({"code": code, "msg": text, "id": id});
        match (request.get("method").and_then(Value::as_str), names(request)) {
            (Some("PING"), _) => Ok(json!({"data": "PONG"})),
            (Some("SUBSCRIBE"), Some(names)) => {
                if names.iter().any(|name| name == "account_private") && self.private.is_none() {
                    return Err(KEY_REQUIRED);
                }
                if !names.iter().all(|name| is_channel(floor, name)) {
                    return Ok(error(1121, "Bad symbol"));
                }
                self.channels.extend(names);
                Ok(json!({"result": null, "id": id}))
            }
            (Some("UNSUBSCRIBE"), Some(names)) => {
                self.channels.retain(|channel| !names.contains(channel));
                Ok(json!({"result": null, "id": id}))
            }
            _ => Ok(error(1130, "Invalid parameter")),
        }
    }

    /// Appends the frames that an event of the venue means for this connection.
    pub fn on_event(&mut self, floor: &Floor, event: &Event, out: &mut impl Extend<Frame>) {
        let end = match event {
            Event::Book(book) => self.on_book(floor, book),
            Event::Raw { market, bytes } => self.on_raw(floor, *market, bytes),
            Event::Ticker(ticker) => {
                out.extend(self.on_ticker(floor, ticker.market));
                None
            }
            Event::Fill(fill) => self.on_trade(floor, fill),
            Event::Order(order) if self.channels.contains("account_private") => {
                out.extend(order_frames(floor, order));
                None
            }
            Event::Close { socket, code: Some(code) } if self.is_kind(*socket) => Some(Frame::Close(*code)),
            _ => None,
        };
        out.extend(end);
    }

    /// Whether a cut or a stall of `socket` concerns this connection.
    pub fn is_kind(&self, socket: Socket) -> bool {
        match socket {
            Socket::All => true,
            Socket::Private => self.private.is_some(),
            Socket::Md => self.private.is_none(),
            Socket::Orders => false,
        }
    }

    fn has(&self, symbol: &str, topic: &str) -> bool {
        self.channels.iter().any(|channel| channel.strip_suffix(topic) == Some(symbol))
    }

    fn on_book(&self, floor: &Floor, book: &BookUpdate) -> Option<Frame> {
        let spec = &floor.markets()[book.market];
        self.has(&spec.symbol, "@depth").then(|| Frame::Text(view::depth_message(book, spec)))
    }

    fn on_raw(&self, floor: &Floor, market: usize, bytes: &[u8]) -> Option<Frame> {
        self.has(&floor.markets()[market].symbol, "@depth").then(|| match std::str::from_utf8(bytes) {
            Ok(text) => Frame::Text(text.to_owned()),
            Err(_) => Frame::Binary(bytes.to_vec()),
        })
    }

    /// All symbols travel in one array, once for each round of tickers; bars and the end of the listen
    /// key are looked at in the same rhythm.
    fn on_ticker(&self, floor: &Floor, market: usize) -> Vec<Frame> {
        if let Some(Err(code)) = self.private.as_ref().map(|key| listen_key(floor, key)) {
            return vec![Frame::Close(code)];
        }
        let mut frames = Vec::new();
        if market == 0 && self.channels.contains("tickers") {
            frames.push(text(&json!({"channel": "tickers", "data": floor.tickers()})));
        }
        frames.extend(self.bars(floor, market));
        frames
    }

    fn bars(&self, floor: &Floor, market: usize) -> Vec<Frame> {
        let spec = &floor.markets()[market];
        let bar = |channel: &String| {
            let (symbol, interval) = channel.split_once("@kline_")?;
            let span_us = history::span(Some(interval)).ok().filter(|_| symbol == spec.symbol)?;
            let bars = floor.exchange.history(market).bars(span_us);
            let data = history::kline(bars.last()?, spec, span_us, json!("0"));
            Some(text(&json!({"channel": channel, "data": data})))
        };
        self.channels.iter().filter_map(bar).collect()
    }

    fn on_trade(&self, floor: &Floor, fill: &FillView) -> Option<Frame> {
        let spec = &floor.markets()[fill.market];
        self.has(&spec.symbol, "@trades").then(|| {
            let data = view::trade(fill, spec, json!(fill.id));
            text(&json!({"channel": format!("{}@trades", spec.symbol), "data": data}))
        })
    }
}

fn order_frames(floor: &Floor, order: &OrderView) -> Vec<Frame> {
    let spec = &floor.markets()[order.market];
    let leverage = floor.desk.session.leverage(&spec.symbol);
    view::order_events(order, spec, leverage).iter().map(text).collect()
}

fn listen_key(floor: &Floor, key: &str) -> Result<(), u16> {
    match floor.desk.session.listen_key_state(key, floor.now_us, floor.desk.revoked_us) {
        KeyState::Valid => Ok(()),
        KeyState::Expired => Err(KEY_EXPIRED),
        KeyState::Unknown => Err(KEY_NOT_FOUND),
    }
}

fn is_channel(floor: &Floor, name: &str) -> bool {
    let known = |symbol: &str| floor.markets().iter().any(|m| m.symbol == symbol);
    let market = |topic| name.strip_suffix(topic).is_some_and(known);
    let bars = |(symbol, interval): (&str, &str)| known(symbol) && history::span(Some(interval)).is_ok();
    name.split_once("@kline_").is_some_and(bars)
        || name == "tickers"
        || name == "account_private"
        || market("@depth")
        || market("@trades")
}

fn text(message: &Value) -> Frame {
    Frame::Text(message.to_string())
}

fn said(message: &Value) -> Effect {
    Effect::Send(text(message))
}
