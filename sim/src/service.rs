//! HTTP and WebSockets in front of a venue: requests and frames are carried to its stage and back, nothing is decided.
//!
//! Served by `server` on every connection. One reader and one writer for each socket.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::connect_info::ConnectInfo;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Request as HttpRequest, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response as HttpResponse};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};

use crate::core::Socket;
use crate::line::Peer;
use crate::stage::SocketId;
use crate::venue::Venue;
use crate::wire::{Frame, Request, Response};

/// The largest body that is read.
const BODY_MAX: usize = 1 << 20;

/// All addresses of a venue.
pub fn router(venue: Arc<Venue>) -> Router {
    Router::new().fallback(serve).with_state(venue)
}

async fn serve(
    State(venue): State<Arc<Venue>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    request: HttpRequest,
) -> HttpResponse {
    let (parts, body) = request.into_parts();
    match upgrade {
        Ok(upgrade) => connect(venue, peer, upgrade, &parts),
        Err(_) => call(&venue, &parts, body).await,
    }
}

async fn call(venue: &Venue, parts: &Parts, body: Body) -> HttpResponse {
    let Ok(body) = axum::body::to_bytes(body, BODY_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    if parts.method == "POST" && parts.uri.path().ends_with("/orders") {
        venue.order_read(&String::from_utf8_lossy(&body));
    }
    let headers = headers_of(parts);
    respond(venue.call(request_of(parts, &headers, &body)).await)
}

fn connect(venue: Arc<Venue>, peer: Peer, upgrade: WebSocketUpgrade, parts: &Parts) -> HttpResponse {
    let headers = headers_of(parts);
    match venue.stage(|stage, now| stage.upgrade(now, &request_of(parts, &headers, &Bytes::new()))) {
        Err(refusal) => respond(refusal),
        Ok(id) => {
            // Before the client learns that it is connected, so that a cut that follows finds it.
            mark(&venue, &peer, id);
            upgrade.on_upgrade(move |socket| carry(venue, peer, id, socket))
        }
    }
}

/// One connection from its upgrade to its end.
async fn carry(venue: Arc<Venue>, peer: Peer, id: SocketId, socket: WebSocket) {
    let (sink, stream) = socket.split();
    tokio::select! {
        () = read(&venue, &peer, id, stream) => {}
        () = write(&venue, id, sink) => {}
    }
    venue.stage(|stage, now| stage.close(now, id));
}

async fn read(venue: &Venue, peer: &Peer, id: SocketId, mut stream: SplitStream<WebSocket>) {
    while let Some(Ok(message)) = stream.next().await {
        let text = match &message {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
            Message::Pong(_) => {
                venue.stage(|stage, now| stage.pong(now, id));
                continue;
            }
            Message::Ping(_) => continue,
            Message::Close(_) => return,
        };
        let text = String::from_utf8_lossy(text);
        if text.contains("\"order.create\"") {
            venue.order_read(&text);
        }
        venue.stage(|stage, now| stage.send(now, id, text.as_bytes()));
        mark(venue, peer, id);
    }
}

async fn write(venue: &Venue, id: SocketId, mut sink: SplitSink<WebSocket, Message>) {
    loop {
        let frame = venue.recv(id).await;
        let is_book = is_book(&frame);
        let message = match frame {
            Frame::Text(text) => Message::Text(text.into()),
            Frame::Binary(bytes) => Message::Binary(bytes.into()),
            Frame::Ping => Message::Ping(Bytes::new()),
            Frame::Pong => Message::Pong(Bytes::new()),
            Frame::Close(code) => Message::Close(Some(CloseFrame { code, reason: "".into() })),
            Frame::Gone => return,
        };
        let is_last = matches!(message, Message::Close(_));
        if sink.send(message).await.is_err() || is_last {
            return;
        }
        if is_book {
            venue.update_written();
        }
    }
}

/// What the meter counts: Vest's depth messages and Paradex's template 3.
fn is_book(frame: &Frame) -> bool {
    match frame {
        Frame::Text(text) => text.get(..64).is_some_and(|head| head.contains("@depth\"")),
        Frame::Binary(bytes) => bytes.get(2..4) == Some(&[3, 0]),
        _ => false,
    }
}

/// Says what a connection is used for now, so that it can be cut and stalled by that.
fn mark(venue: &Venue, peer: &Peer, id: SocketId) {
    let kinds = [Socket::Md, Socket::Private, Socket::Orders];
    let used = venue.stage(|stage, _| kinds.map(|kind| stage.is_kind(id, kind)));
    let mut used = kinds.into_iter().zip(used).filter(|(_, used)| *used).map(|(kind, _)| kind);
    if let Some(first) = used.next() {
        peer.mark(first);
        used.for_each(|kind| peer.also(kind));
    }
}

fn headers_of(parts: &Parts) -> Vec<(&str, &str)> {
    parts.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect()
}

fn request_of<'a>(parts: &'a Parts, headers: &'a [(&'a str, &'a str)], body: &'a [u8]) -> Request<'a> {
    let path_and_query = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    Request { method: parts.method.as_str(), path_and_query, headers, body }
}

fn respond(response: Response) -> HttpResponse {
    let mut answer =
        (StatusCode::from_u16(response.status).unwrap_or(StatusCode::BAD_GATEWAY), response.body)
            .into_response();
    answer.headers_mut().clear();
    for (name, value) in response.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            answer.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    answer
}
