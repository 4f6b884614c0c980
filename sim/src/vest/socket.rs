//! Vest's WebSocket: subscriptions, pushes, the private channel and its close codes.
//!
//! Source: the venue sheet, section 7. One task for each connection; it reads requests and forwards the
//! venue's events. Protocol pings are answered by the WebSocket library.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::State;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::session::KeyState;
use super::{Desk, Params, history, view};
use crate::core::{BookUpdate, Event, FillView, OrderView, Socket};
use crate::line::Peer;

/// Close codes of the sheet's section 6.
const WRONG_VERSION: u16 = 4000;
const GROUP_NOT_FOUND: u16 = 4001;
const GROUP_INVALID: u16 = 4002;
const KEY_REQUIRED: u16 = 4003;
const KEY_NOT_FOUND: u16 = 4004;
const KEY_EXPIRED: u16 = 4005;

/// What a connection ends with.
enum End {
    /// The client went away, or a write failed.
    Gone,
    Close(u16),
}

struct Session {
    desk: Arc<Desk>,
    channels: BTreeSet<String>,
    private: Option<String>,
    ws: WebSocket,
}

pub async fn upgrade(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    query: Params,
    ws: WebSocketUpgrade,
) -> Response {
    // Before the client learns that it is connected, so that a cut that follows finds it.
    peer.mark(if query.0.contains_key("listenKey") { Socket::Private } else { Socket::Md });
    ws.on_upgrade(move |ws| serve(desk, query.0, ws))
}

async fn serve(desk: Arc<Desk>, query: BTreeMap<String, String>, mut ws: WebSocket) {
    if let Err(code) = admit(&desk, &query) {
        return close(&mut ws, code).await;
    }
    let ((), events) = desk.venue.listen(|_, _| ());
    let private = query.get("listenKey").cloned();
    let mut session = Session { desk, channels: BTreeSet::new(), private, ws };
    if let End::Close(code) = session.run(events).await {
        close(&mut session.ws, code).await;
    }
}

/// Checks the connection's parameters; an error is a close code.
fn admit(desk: &Desk, query: &BTreeMap<String, String>) -> Result<(), u16> {
    if query.get("version").map(String::as_str) != Some("1.0") {
        return Err(WRONG_VERSION);
    }
    for name in ["xwebsocketserver", "websocketserver"] {
        let Some(route) = query.get(name) else { continue };
        let group: u32 =
            route.strip_prefix("restserver").and_then(|g| g.parse().ok()).ok_or(GROUP_INVALID)?;
        if group != desk.venue.keys.vest_account_group {
            return Err(GROUP_NOT_FOUND);
        }
    }
    query.get("listenKey").map_or(Ok(()), |key| listen_key(desk, key))
}

fn listen_key(desk: &Desk, key: &str) -> Result<(), u16> {
    let (now, revoked) = (desk.venue.now_us(), desk.venue.revoked_before_us());
    match desk.session().listen_key_state(key, now, revoked) {
        KeyState::Valid => Ok(()),
        KeyState::Expired => Err(KEY_EXPIRED),
        KeyState::Unknown => Err(KEY_NOT_FOUND),
    }
}

async fn close(ws: &mut WebSocket, code: u16) {
    let frame = CloseFrame { code, reason: "".into() };
    let _ = ws.send(Message::Close(Some(frame))).await;
}

impl Session {
    async fn run(&mut self, mut events: Receiver<Arc<Event>>) -> End {
        loop {
            let step = tokio::select! {
                message = self.ws.recv() => match message {
                    Some(Ok(message)) => self.request(message).await,
                    Some(Err(_)) | None => Err(End::Gone),
                },
                event = events.recv() => match event {
                    Ok(event) => self.forward(&event).await,
                    Err(RecvError::Lagged(_) | RecvError::Closed) => Err(End::Close(1011)),
                },
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    async fn request(&mut self, message: Message) -> Result<(), End> {
        let bytes = match &message {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
            Message::Close(_) => return Err(End::Gone),
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
        };
        let request: Value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
        let reply = self.answer(&request)?;
        self.send(&reply).await
    }

    fn answer(&mut self, request: &Value) -> Result<Value, End> {
        let id = request.get("id").cloned().unwrap_or(Value::Null);
        let names = |request: &Value| -> Option<Vec<String>> {
            request.get("params")?.as_array()?.iter().map(|p| p.as_str().map(str::to_owned)).collect()
        };
        let error = |code: u32, text: &str| json!({"code": code, "msg": text, "id": id});
        match (request.get("method").and_then(Value::as_str), names(request)) {
            (Some("PING"), _) => Ok(json!({"data": "PONG"})),
            (Some("SUBSCRIBE"), Some(names)) => {
                if names.iter().any(|name| name == "account_private") && self.private.is_none() {
                    return Err(End::Close(KEY_REQUIRED));
                }
                if !names.iter().all(|name| self.is_channel(name)) {
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

    fn is_channel(&self, name: &str) -> bool {
        let market = |suffix| {
            name.strip_suffix(suffix).is_some_and(|s| self.desk.markets.iter().any(|m| m.symbol == s))
        };
        let bars = |(symbol, interval): (&str, &str)| {
            self.desk.markets.iter().any(|m| m.symbol == symbol) && history::span(Some(interval)).is_ok()
        };
        name.split_once("@kline_").is_some_and(bars)
            || name == "tickers"
            || name == "account_private"
            || market("@depth")
            || market("@trades")
    }

    async fn forward(&mut self, event: &Event) -> Result<(), End> {
        match event {
            Event::Book(book) => self.forward_book(book).await,
            Event::Raw { market, bytes } => {
                let channel = format!("{}@depth", self.desk.markets[*market].symbol);
                if self.channels.contains(&channel) { self.send_raw(bytes).await } else { Ok(()) }
            }
            Event::Ticker(ticker) => self.forward_ticker(ticker.market).await,
            Event::Fill(fill) => self.forward_trade(fill).await,
            Event::Order(order) if self.channels.contains("account_private") => {
                self.forward_order(order).await
            }
            Event::Close { socket, code: Some(code) } if self.is_meant(*socket) => Err(End::Close(*code)),
            _ => Ok(()),
        }
    }

    async fn forward_book(&mut self, book: &BookUpdate) -> Result<(), End> {
        let spec = &self.desk.markets[book.market];
        let channel = format!("{}@depth", spec.symbol);
        if self.channels.contains(&channel) {
            let data = view::depth(book, spec, usize::MAX);
            self.send(&json!({"channel": channel, "data": data})).await?;
            self.desk.venue.update_written();
        }
        Ok(())
    }

    /// All symbols travel in one array, once for each round of tickers; bars and the end of the listen
    /// key are looked at in the same rhythm.
    async fn forward_ticker(&mut self, market: usize) -> Result<(), End> {
        if let Some(key) = &self.private {
            listen_key(&self.desk, key).map_err(End::Close)?;
        }
        if market == 0 && self.channels.contains("tickers") {
            let rows = self.desk.tickers();
            self.send(&json!({"channel": "tickers", "data": rows})).await?;
        }
        self.forward_bars(market).await
    }

    async fn forward_bars(&mut self, market: usize) -> Result<(), End> {
        let spec = &self.desk.markets[market];
        let prefix = format!("{}@kline_", spec.symbol);
        let channels: Vec<String> =
            self.channels.iter().filter(|c| c.starts_with(&prefix)).cloned().collect();
        for channel in channels {
            let Ok(span_us) = history::span(channel.strip_prefix(&prefix)) else { continue };
            let bars = self.desk.venue.with(|core, _| core.history(market).bars(span_us));
            if let Some(bar) = bars.last() {
                let data = history::kline(bar, &self.desk.markets[market], span_us, json!("0"));
                self.send(&json!({"channel": channel, "data": data})).await?;
            }
        }
        Ok(())
    }

    async fn forward_order(&mut self, order: &OrderView) -> Result<(), End> {
        let spec = &self.desk.markets[order.market];
        let leverage = self.desk.session().leverage(&spec.symbol);
        for message in view::order_events(order, spec, leverage) {
            self.send(&message).await?;
        }
        Ok(())
    }

    async fn forward_trade(&mut self, fill: &FillView) -> Result<(), End> {
        let spec = &self.desk.markets[fill.market];
        let channel = format!("{}@trades", spec.symbol);
        if !self.channels.contains(&channel) {
            return Ok(());
        }
        let data = view::trade(fill, spec, json!(fill.id));
        self.send(&json!({"channel": channel, "data": data})).await
    }

    fn is_meant(&self, socket: Socket) -> bool {
        match socket {
            Socket::All => true,
            Socket::Private => self.private.is_some(),
            Socket::Md => self.private.is_none(),
            Socket::Orders => false,
        }
    }

    async fn send(&mut self, message: &Value) -> Result<(), End> {
        self.ws.send(Message::Text(message.to_string().into())).await.map_err(|_| End::Gone)
    }

    async fn send_raw(&mut self, bytes: &[u8]) -> Result<(), End> {
        let message = match std::str::from_utf8(bytes) {
            Ok(text) => Message::Text(text.into()),
            Err(_) => Message::Binary(bytes.to_vec().into()),
        };
        self.ws.send(message).await.map_err(|_| End::Gone)
    }
}
