//! The socket: negotiation, and moving frames between the connection, its session and the venue's events.
//!
//! `session` decides what is said; this file waits, writes, pings and closes. A writer task has its own queue,
//! so that a client that does not read is dropped and never holds anything up. Source: Paradex sheet §5.2, §5.3.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::mpsc;

use super::app::{App, bearer};
use super::error::ApiError;
use super::feed::{Form, Scene};
use super::sbe::Version;
use super::session::{Due, Effect, Session, Wire};
use crate::core::{Event, Socket};
use crate::line::Peer;

/// A client with more unread messages than this is dropped.
const BACKLOG_MAX: usize = 2_000;
const PING_EVERY_US: i64 = 55_000_000;
const PONG_WITHIN_US: i64 = 5_000_000;
const HEARTBEAT_AFTER_US: i64 = 20_000_000;
/// How long a connection may hold no subscription.
const UNSUBSCRIBED_US: i64 = 10_000_000;
const CLOSE_UNSUBSCRIBED: u16 = 4031;
/// How often the times above are looked at.
const HOUSEKEEPING: Duration = Duration::from_millis(500);
/// How long the rest of the queue may take to be written after the end.
const DRAIN: Duration = Duration::from_secs(1);
/// Template of a book frame; the meter counts those.
const BOOK_TEMPLATE: [u8; 2] = [3, 0];

/// `GET /v1?sbeSchemaId=1&sbeSchemaVersion=V`: HTTP 400 without a schema that is served, no downgrade.
pub async fn upgrade(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(params): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let form = match negotiate(&app, &params) {
        Ok(form) => form,
        Err(error) => return error.into_response(),
    };
    let token = bearer(&headers).map(str::to_owned);
    match upgrade {
        Err(rejection) => rejection.into_response(),
        Ok(upgrade) => {
            // Before the client learns that it is connected, so that a cut that follows finds it.
            peer.mark(Socket::Md);
            upgrade.on_upgrade(move |socket| serve(app, peer, socket, form, token))
        }
    }
}

fn negotiate(app: &App, params: &BTreeMap<String, String>) -> Result<Form, ApiError> {
    let refused = || ApiError::validation("sbeSchemaId=1 and a supported sbeSchemaVersion are required");
    let number = |key: &str| params.get(key).and_then(|text| text.parse::<u16>().ok());
    let served = &app.venue.switches.paradex_sbe_versions;
    let version = number("sbeSchemaVersion").and_then(Version::new).ok_or_else(refused)?;
    let accepted = served.get(usize::from(version.number())).copied().unwrap_or(false);
    if number("sbeSchemaId") != Some(1) || !accepted {
        return Err(refused());
    }
    Ok(Form { version, private_sbe: app.venue.switches.paradex_private_sbe })
}

/// One connection from its upgrade to its end.
async fn serve(app: Arc<App>, peer: Peer, socket: WebSocket, form: Form, token: Option<String>) {
    let mut session = Session::new(form, app.serial());
    if let Some(token) = token {
        app.floor(|floor| session.present(floor, &token));
    }
    let ((), events) = app.venue.listen(|_, _| ());
    let (sink, stream) = socket.split();
    let (outbox, queue) = mpsc::channel(BACKLOG_MAX);
    let writer = tokio::spawn(write(app.clone(), sink, queue));
    let now_us = app.venue.now_us();
    let mut connection = Connection {
        times: Times { sent_us: now_us, pinged_us: now_us, awaits_pong: false, subscribed_us: now_us },
        app: app.clone(),
        peer,
        session,
        outbox,
        delayed: BTreeMap::new(),
        serial: 0,
    };
    connection.run(stream, events).await;
    app.floor(|floor| connection.session.on_close(floor));
    drop(connection);
    // The writer ends when its queue is written; a client that does not read must not keep it.
    let stop = writer.abort_handle();
    if tokio::time::timeout(DRAIN, writer).await.is_err() {
        stop.abort();
    }
}

async fn write(app: Arc<App>, mut sink: SplitSink<WebSocket, Message>, mut queue: mpsc::Receiver<Message>) {
    while let Some(message) = queue.recv().await {
        let is_book = matches!(&message, Message::Binary(bytes) if bytes.get(2..4) == Some(&BOOK_TEMPLATE));
        if sink.send(message).await.is_err() {
            return;
        }
        if is_book {
            app.venue.update_written();
        }
    }
}

/// When things last happened, Unix microseconds.
struct Times {
    sent_us: i64,
    pinged_us: i64,
    awaits_pong: bool,
    subscribed_us: i64,
}

struct Connection {
    app: Arc<App>,
    peer: Peer,
    session: Session,
    outbox: mpsc::Sender<Message>,
    delayed: BTreeMap<(i64, u64), Effect>,
    serial: u64,
    times: Times,
}

/// The connection is over.
struct Closed;

impl Connection {
    async fn run(&mut self, mut stream: SplitStream<WebSocket>, mut events: Receiver<Arc<Event>>) {
        let mut housekeeping = tokio::time::interval(HOUSEKEEPING);
        loop {
            let due_us = self.delayed.first_key_value().map_or(i64::MAX, |(key, _)| key.0);
            let step = tokio::select! {
                message = stream.next() => match message {
                    Some(Ok(message)) => self.on_message(message),
                    _ => Err(Closed),
                },
                event = events.recv() => self.on_event(event),
                () = self.app.venue.wait_until(due_us) => self.run_due(),
                _ = housekeeping.tick() => self.keep_house(),
            };
            if step.is_err() {
                return;
            }
        }
    }

    fn on_message(&mut self, message: Message) -> Result<(), Closed> {
        match message {
            Message::Text(text) => {
                self.meter(&text);
                self.request(&text, false)
            }
            Message::Pong(_) => {
                self.times.awaits_pong = false;
                Ok(())
            }
            Message::Close(_) => Err(Closed),
            // Clients send text only; pings are answered by the protocol layer.
            Message::Binary(_) | Message::Ping(_) => Ok(()),
        }
    }

    /// Tells the meter when an order's last byte has been read, before any work on it.
    fn meter(&self, text: &str) {
        if text.contains("\"order.create\"") {
            let named = self.app.directory.markets.iter().find(|market| text.contains(&market.symbol));
            if let Some(market) = named {
                self.app.venue.order_read(&market.base);
            }
        }
    }

    fn request(&mut self, text: &str, held: bool) -> Result<(), Closed> {
        let session = &mut self.session;
        let effects = self.app.floor(|floor| session.on_text(floor, text, held));
        self.mark();
        effects.into_iter().try_for_each(|due| self.schedule(due))
    }

    /// Says what the connection is used for now, so that it can be cut by that.
    fn mark(&self) {
        let mut kinds = self.session.kinds();
        if let Some(first) = kinds.next() {
            self.peer.mark(first);
            kinds.for_each(|kind| self.peer.also(kind));
        }
    }

    fn schedule(&mut self, (due_us, effect): Due) -> Result<(), Closed> {
        if due_us <= self.app.venue.now_us() {
            return self.perform(effect);
        }
        self.serial += 1;
        self.delayed.insert((due_us, self.serial), effect);
        Ok(())
    }

    fn run_due(&mut self) -> Result<(), Closed> {
        let now_us = self.app.venue.now_us();
        while let Some(entry) = self.delayed.first_entry().filter(|entry| entry.key().0 <= now_us) {
            let effect = entry.remove();
            self.perform(effect)?;
        }
        Ok(())
    }

    fn perform(&mut self, effect: Effect) -> Result<(), Closed> {
        match effect {
            Effect::Send(wire) => self.send(wire),
            Effect::Repeat(text) => self.request(&text, true),
        }
    }

    fn on_event(&mut self, event: Result<Arc<Event>, RecvError>) -> Result<(), Closed> {
        let event = event.map_err(|_| Closed)?;
        if let Event::Close { socket, code: Some(code) } = &*event {
            return if self.session.is_kind(*socket) { self.close(*code, "disconnected") } else { Ok(()) };
        }
        let (app, now_us) = (self.app.clone(), self.app.venue.now_us());
        let scene = Scene { now_us, directory: &app.directory, look: &*app };
        let frames = self.session.on_event(&scene, &event);
        frames.into_iter().try_for_each(|wire| self.send(wire))
    }

    fn keep_house(&mut self) -> Result<(), Closed> {
        let now_us = self.app.venue.now_us();
        if !self.session.is_idle() {
            self.times.subscribed_us = now_us;
        } else if now_us - self.times.subscribed_us > UNSUBSCRIBED_US {
            return self.close(CLOSE_UNSUBSCRIBED, "no active subscription");
        }
        if self.times.awaits_pong && now_us - self.times.pinged_us > PONG_WITHIN_US {
            return Err(Closed);
        }
        if now_us - self.times.pinged_us > PING_EVERY_US {
            self.times.pinged_us = now_us;
            self.times.awaits_pong = true;
            self.push(Message::Ping(Vec::new().into()))?;
        }
        if now_us - self.times.sent_us > HEARTBEAT_AFTER_US {
            return self.send(self.session.heartbeat(now_us));
        }
        Ok(())
    }

    fn send(&mut self, wire: Wire) -> Result<(), Closed> {
        self.times.sent_us = self.app.venue.now_us();
        match wire {
            Wire::Text(text) => self.push(Message::Text(text.into())),
            Wire::Binary(bytes) => self.push(Message::Binary(bytes.into())),
        }
    }

    fn close(&mut self, code: u16, reason: &'static str) -> Result<(), Closed> {
        self.push(Message::Close(Some(CloseFrame { code, reason: reason.into() })))?;
        Err(Closed)
    }

    fn push(&mut self, message: Message) -> Result<(), Closed> {
        self.outbox.try_send(message).map_err(|_| Closed)
    }
}
