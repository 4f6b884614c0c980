//! A WebSocket over our own TLS stream, seen as a [`Link`]. `keeper` opens it; a reader thread owns it in blocking mode
//! (reads come back after 250 ms), a busy-polling thread in non-blocking mode. Pings are answered here.

use std::io;

use thiserror::Error;
use tungstenite::client::ClientRequestBuilder;
use tungstenite::error::Error as WsError;
use tungstenite::http::Uri;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{HandshakeError, Message, Utf8Bytes, WebSocket};

use super::clock::Deadline;
use super::link::{Inbound, Link, LinkError, Outbound};
use super::socket::{DialError, Dialer, Pace, TlsStream};
use super::url::{Scheme, SecureUrl, UrlError};
use crate::types::limits::{WS_FRAME_MAX, WS_MESSAGE_MAX};
use crate::types::quoted;

/// How the owner of a link waits for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `recv` blocks for up to 250 ms.
    Blocking,
    /// `recv` never blocks.
    NonBlocking,
}

/// Why there is no WebSocket. Never holds the URL's path or a header.
#[derive(Debug, Error)]
pub enum WsConnectError {
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("{host}: upgrade refused: HTTP {status}: {body}")]
    Refused { host: String, status: u16, body: String },
    #[error("{host}: upgrade failed: {why}")]
    Upgrade { host: String, why: String },
}

/// One WebSocket.
pub struct WsLink {
    socket: WebSocket<TlsStream>,
    /// What `recv` lends out.
    held: Message,
    /// The kernel did not take everything; `recv` flushes the rest.
    unflushed: bool,
}

impl WsLink {
    /// Connects and upgrades. Blocks until the deadline.
    ///
    /// # Errors
    /// An `https://` URL, no connection (see [`Dialer::dial`]), or a server that refuses the upgrade: then with its
    /// status and the beginning of its answer.
    pub fn connect(
        dialer: &Dialer,
        url: SecureUrl,
        headers: &[(&'static str, String)],
        deadline: Deadline,
        mode: Mode,
    ) -> Result<Self, WsConnectError> {
        let url = url.with_scheme(Scheme::Wss)?;
        let request = request(&url, headers)?;
        let stream = dialer.dial(&url, deadline)?;
        let failed = |error| upgrade_error(url.authority(), error);
        let (mut socket, _response) =
            tungstenite::client::client_with_config(request, stream, Some(framing())).map_err(|error| {
                match error {
                    HandshakeError::Failure(error) => failed(error),
                    HandshakeError::Interrupted(_) => failed(io::Error::from(io::ErrorKind::TimedOut).into()),
                }
            })?;
        let pace = match mode {
            Mode::Blocking => Pace::Tick,
            Mode::NonBlocking => Pace::Poll,
        };
        socket.get_mut().sock.set_pace(pace).map_err(|error| failed(error.into()))?;
        Ok(Self { socket, held: Message::Close(None), unflushed: false })
    }

    /// Hands over to the kernel; what it does not take now is kept and flushed by `recv`.
    fn deliver(&mut self, outcome: Result<(), WsError>) -> Result<(), LinkError> {
        match outcome {
            Ok(()) => self.unflushed = false,
            Err(WsError::Io(error)) if is_not_now(&error) => self.unflushed = true,
            Err(error) => return Err(link_error(error)),
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), LinkError> {
        let outcome = self.socket.flush();
        self.deliver(outcome)
    }
}

impl Link for WsLink {
    fn send(&mut self, message: Outbound<'_>) -> Result<(), LinkError> {
        let outcome = match message {
            Outbound::Text(bytes) => {
                let text = Utf8Bytes::try_from(bytes.to_vec());
                let text =
                    text.map_err(|_| LinkError::Protocol("a text to be sent is not UTF-8".to_owned()))?;
                self.socket.send(Message::Text(text))
            }
            Outbound::Close => {
                self.socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() }))
            }
            Outbound::Request(_) => {
                return Err(LinkError::Protocol("a WebSocket carries texts, not requests".to_owned()));
            }
        };
        self.deliver(outcome)
    }

    fn recv(&mut self) -> Result<Option<Inbound<'_>>, LinkError> {
        if self.unflushed {
            self.flush()?;
        }
        self.socket.get_mut().sock.refill();
        self.held = match self.socket.read() {
            Ok(message) => message,
            Err(WsError::Io(error)) if is_not_now(&error) => return Ok(None),
            Err(error) => return Err(link_error(error)),
        };
        if matches!(self.held, Message::Ping(_)) {
            self.flush()?;
        }
        match &self.held {
            Message::Text(text) => Ok(Some(Inbound::Text(text.as_bytes()))),
            Message::Binary(bytes) => Ok(Some(Inbound::Binary(bytes))),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(Some(Inbound::Heartbeat)),
            Message::Close(frame) => Err(closed(frame.as_ref())),
        }
    }
}

/// Every message is written at once and nothing larger than a book is taken (SAFETY M8).
pub fn framing() -> WebSocketConfig {
    WebSocketConfig::default()
        .write_buffer_size(0)
        .max_write_buffer_size(WS_MESSAGE_MAX)
        .max_message_size(Some(WS_MESSAGE_MAX))
        .max_frame_size(Some(WS_FRAME_MAX))
}

fn request(
    url: &SecureUrl,
    headers: &[(&'static str, String)],
) -> Result<ClientRequestBuilder, WsConnectError> {
    let text = format!("wss://{}{}", url.authority(), url.target());
    // The reason may quote the URL, so it is not passed on.
    let uri: Uri = text.parse().map_err(|_| WsConnectError::Upgrade {
        host: url.authority(),
        why: "the URL's path or query is malformed".to_owned(),
    })?;
    let start = ClientRequestBuilder::new(uri);
    Ok(headers.iter().fold(start, |request, (name, value)| request.with_header(*name, value.as_str())))
}

fn upgrade_error(host: String, error: WsError) -> WsConnectError {
    match error {
        WsError::Http(response) => WsConnectError::Refused {
            host,
            status: response.status().as_u16(),
            body: beginning(response.body().as_deref().unwrap_or_default()),
        },
        // May quote a header's value.
        WsError::HttpFormat(_) => {
            WsConnectError::Upgrade { host, why: "a header or the URL is malformed".to_owned() }
        }
        other => WsConnectError::Upgrade { host, why: other.to_string() },
    }
}

fn link_error(error: WsError) -> LinkError {
    match error {
        WsError::Io(error) => LinkError::Lost(error),
        WsError::ConnectionClosed | WsError::AlreadyClosed => closed(None),
        other => LinkError::Protocol(other.to_string()),
    }
}

/// 1005 is the protocol's own code for "closed without a code".
fn closed(frame: Option<&CloseFrame>) -> LinkError {
    frame.map_or(LinkError::Closed { code: 1005, reason: String::new() }, |frame| LinkError::Closed {
        code: frame.code.into(),
        reason: quoted(frame.reason.as_str()),
    })
}

/// Venue bytes end in a log.
fn beginning(body: &[u8]) -> String {
    quoted(&String::from_utf8_lossy(body.get(..1_024).unwrap_or(body)))
}

fn is_not_now(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use tungstenite::handshake::server::{ErrorResponse, Request, Response};

    use super::*;
    use crate::sys::loopback::{Flaw, Loopback, ServerStream, read_request, send, soon};

    type Server<'a> = WebSocket<&'a mut ServerStream>;

    fn serve(mut conduct: impl FnMut(&mut Server<'_>) + Send + 'static) -> Loopback {
        Loopback::serve(Flaw::Nothing, 1, move |stream| {
            #[expect(clippy::result_large_err, reason = "the callback's type is given")]
            let check = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
                assert_eq!(request.uri().path_and_query().unwrap().as_str(), "/v1?x=1");
                assert_eq!(request.headers()["authorization"], "Bearer t");
                Ok(response)
            };
            if let Ok(mut socket) = tungstenite::accept_hdr(stream, check) {
                conduct(&mut socket);
            }
        })
    }

    fn open(server: &Loopback, mode: Mode) -> Result<WsLink, WsConnectError> {
        let headers = [("Authorization", "Bearer t".to_owned())];
        WsLink::connect(&server.dialer(), server.url("wss", "/v1?x=1"), &headers, soon(), mode)
    }

    /// Polls until a message; its kind's letter and bytes.
    fn wait(link: &mut WsLink) -> Result<(char, Vec<u8>), LinkError> {
        loop {
            match link.recv()? {
                Some(Inbound::Text(bytes)) => return Ok(('t', bytes.to_vec())),
                Some(Inbound::Binary(bytes)) => return Ok(('b', bytes.to_vec())),
                Some(Inbound::Heartbeat) => return Ok(('h', Vec::new())),
                Some(other) => panic!("{other:?}"),
                None => std::thread::yield_now(),
            }
        }
    }

    #[test]
    fn messages_flow_both_ways_in_both_modes_and_pings_are_answered() {
        for mode in [Mode::Blocking, Mode::NonBlocking] {
            let server = serve(|socket| {
                assert_eq!(socket.read().unwrap(), Message::text("hi"));
                socket.send(Message::text("text")).unwrap();
                socket.send(Message::binary(vec![1, 2])).unwrap();
                socket.send(Message::Ping(vec![7].into())).unwrap();
                assert_eq!(socket.read().unwrap(), Message::Pong(vec![7].into()));
                let frame = CloseFrame { code: CloseCode::from(4004), reason: "key expired".into() };
                socket.close(Some(frame)).unwrap();
            });
            let mut link = open(&server, mode).unwrap();
            link.send(Outbound::Text(b"hi")).unwrap();
            assert_eq!(wait(&mut link).unwrap(), ('t', b"text".to_vec()), "{mode:?}");
            assert_eq!(wait(&mut link).unwrap(), ('b', vec![1, 2]));
            assert_eq!(wait(&mut link).unwrap().0, 'h');
            match wait(&mut link) {
                Err(LinkError::Closed { code: 4004, reason }) => assert_eq!(reason, "key expired"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn an_idle_blocking_link_comes_back_with_nothing() {
        let server = serve(|socket| {
            let _until_closed = socket.read();
        });
        let mut link = open(&server, Mode::Blocking).unwrap();
        assert!(link.recv().unwrap().is_none());
    }

    #[test]
    fn a_message_or_frame_that_is_too_large_ends_the_link() {
        let server = serve(|socket| {
            let _cut_off = socket.send(Message::binary(vec![0; WS_FRAME_MAX + 1]));
            let _until_closed = socket.read();
        });
        let mut link = open(&server, Mode::NonBlocking).unwrap();
        assert!(matches!(wait(&mut link), Err(LinkError::Protocol(_))));
    }

    #[test]
    fn a_server_that_goes_away_is_lost() {
        let server = serve(|_| {});
        let mut link = open(&server, Mode::Blocking).unwrap();
        let error = wait(&mut link).unwrap_err();
        assert!(matches!(error, LinkError::Lost(_) | LinkError::Protocol(_)), "{error}");
    }

    #[test]
    fn a_refused_upgrade_names_the_status_and_hides_the_url() {
        let server = Loopback::serve(Flaw::Nothing, 1, |stream| {
            read_request(stream);
            send(stream, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\nno\x1b[31m");
        });
        let url = server.url("wss", "/ws?listenKey=CANARY");
        let error =
            WsLink::connect(&server.dialer(), url, &[], soon(), Mode::Blocking).err().unwrap().to_string();
        assert!(error.contains("HTTP 403") && error.contains(r"no\u{1b}"), "{error}");
        assert!(!error.contains("CANARY") && !error.contains('\x1b'), "{error}");
    }

    #[test]
    fn https_urls_bad_headers_and_bad_certificates_are_refused() {
        let server = serve(|_| {});
        let https = server.url("https", "/");
        let connect = |url, headers: &[(&'static str, String)]| {
            WsLink::connect(&server.dialer(), url, headers, soon(), Mode::Blocking).err().unwrap().to_string()
        };
        assert!(connect(https, &[]).contains("Wss"));
        let split = [("Authorization", "CANARY\r\nX: y".to_owned())];
        let error = connect(server.url("wss", "/"), &split);
        assert!(error.contains("malformed") && !error.contains("CANARY"), "{error}");
        for (flaw, word) in Flaw::BAD {
            let error = open(&Loopback::serve(flaw, 1, |_| {}), Mode::Blocking).err().unwrap().to_string();
            assert!(error.contains(word), "{flaw:?}: {error}");
        }
    }

    #[test]
    fn a_url_without_a_path_is_upgraded_at_the_root() {
        let text = |target: &str| {
            let url = SecureUrl::parse(&format!("wss://h.example{target}")).unwrap();
            let uri = request(&url, &[]).map(tungstenite::client::IntoClientRequest::into_client_request);
            uri.unwrap().unwrap().uri().to_string()
        };
        assert_eq!(
            (text(""), text("?a=b")),
            ("wss://h.example/".to_owned(), "wss://h.example/?a=b".to_owned())
        );
    }
}
