//! A WebSocket over our own TLS stream, seen as a [`Link`]. `keeper` opens it; a reader thread owns it in blocking mode
//! (reads come back after 250 ms), a busy-polling thread in non-blocking mode. tungstenite upgrades the connection; the
//! frames after that are our own, read where TLS put them. Pings are answered here.

use std::io::{self, Read, Write};

use thiserror::Error;
use tungstenite::HandshakeError;
use tungstenite::client::ClientRequestBuilder;
use tungstenite::error::Error as WsError;
use tungstenite::http::Uri;

use super::clock::{Clock, Deadline};
use super::frame::{Caps, Found, FrameError, FrameReader, FrameWriter, Kind};
use super::link::{Inbound, Link, LinkError, Outbound};
use super::socket::{DialError, Dialer, Pace, TlsStream};
use super::upgrade::Upgrade;
use super::url::{Scheme, SecureUrl, UrlError};
use crate::types::{Nanos, quoted};

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
    stream: TlsStream,
    incoming: FrameReader,
    outgoing: FrameWriter,
    /// Return of the last read that brought bytes.
    read_at: Nanos,
    /// We have said goodbye.
    closing: bool,
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
        let upgraded = tungstenite::client::client_with_config(request, Upgrade::new(stream), None);
        let (socket, _response) = upgraded.map_err(|error| match error {
            HandshakeError::Failure(error) => failed(error),
            HandshakeError::Interrupted(_) => failed(io::Error::from(io::ErrorKind::TimedOut).into()),
        })?;
        let (mut stream, early) = socket.into_inner().finish();
        let pace = match mode {
            Mode::Blocking => Pace::Tick,
            Mode::NonBlocking => Pace::Poll,
        };
        stream.sock.set_pace(pace).map_err(|error| failed(error.into()))?;
        if mode == Mode::NonBlocking {
            stream.sock.poll_the_card();
        }
        let mut incoming = FrameReader::new(Caps::default());
        incoming.room()[..early.len()].copy_from_slice(&early);
        incoming.filled(early.len());
        Ok(Self { stream, incoming, outgoing: FrameWriter::new(), read_at: Nanos::NEVER, closing: false })
    }

    /// The next message, with the time of the read that brought its last byte.
    fn receive(&mut self, clock: &dyn Clock) -> Result<Option<Found>, LinkError> {
        self.flush()?;
        self.stream.sock.refill();
        loop {
            if let Some(found) = self.incoming.find()? {
                self.answer(&found)?;
                return Ok(Some(found));
            }
            if !self.read(clock)? {
                return Ok(None);
            }
        }
    }

    /// Moves what was decrypted to the frames, or else reads once. False when nothing is there.
    fn read(&mut self, clock: &dyn Clock) -> Result<bool, LinkError> {
        let TlsStream { conn, sock } = &mut self.stream;
        loop {
            match conn.reader().read(self.incoming.room()) {
                Ok(0) => return Err(LinkError::Lost(io::ErrorKind::UnexpectedEof.into())),
                Ok(bytes) => {
                    self.incoming.filled(bytes);
                    return Ok(true);
                }
                Err(error) if is_not_now(&error) => {}
                Err(error) => return Err(LinkError::Lost(error)),
            }
            match conn.read_tls(sock) {
                Ok(0) => return Err(LinkError::Lost(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => self.read_at = clock.now(),
                Err(error) if is_not_now(&error) => return Ok(false),
                Err(error) => return Err(LinkError::Lost(error)),
            }
            conn.process_new_packets().map_err(|error| LinkError::Protocol(error.to_string()))?;
        }
    }

    /// What the protocol wants said at once.
    fn answer(&mut self, found: &Found) -> Result<(), LinkError> {
        match found.kind {
            Kind::Text | Kind::Binary | Kind::Pong => return Ok(()),
            // It goes whether or not it hears us.
            Kind::Close if self.closing => return Ok(()),
            Kind::Close => {
                let code = self.incoming.close_code(found).to_be_bytes();
                let _ = self.write(Kind::Close, &code);
                return Ok(());
            }
            Kind::Ping => {}
        }
        let Self { incoming, outgoing, stream, closing, .. } = self;
        if !*closing {
            stream.conn.writer().write_all(outgoing.frame(Kind::Pong, incoming.bytes(found)))?;
        }
        self.flush()
    }

    fn write(&mut self, kind: Kind, payload: &[u8]) -> Result<(), LinkError> {
        if self.closing {
            return Err(LinkError::Protocol("nothing is sent after the close".to_owned()));
        }
        self.closing = kind == Kind::Close;
        // Fails when a venue that does not read has filled what TLS is willing to hold.
        self.stream.conn.writer().write_all(self.outgoing.frame(kind, payload))?;
        self.flush()
    }

    /// Hands over to the kernel; what it does not take now is flushed by the next call.
    fn flush(&mut self) -> Result<(), LinkError> {
        let TlsStream { conn, sock } = &mut self.stream;
        while conn.wants_write() {
            match conn.write_tls(sock) {
                Ok(_) => {}
                Err(error) if is_not_now(&error) => break,
                Err(error) => return Err(LinkError::Lost(error)),
            }
        }
        Ok(())
    }

    fn lend(&self, found: &Found) -> Result<Inbound<'_>, LinkError> {
        let bytes = self.incoming.bytes(found);
        match found.kind {
            Kind::Text => Ok(Inbound::Text(bytes)),
            Kind::Binary => Ok(Inbound::Binary(bytes)),
            Kind::Ping | Kind::Pong => Ok(Inbound::Heartbeat),
            Kind::Close => Err(LinkError::Closed {
                code: self.incoming.close_code(found),
                reason: quoted(&String::from_utf8_lossy(bytes)),
            }),
        }
    }
}

impl Link for WsLink {
    fn send(&mut self, message: Outbound<'_>) -> Result<(), LinkError> {
        match message {
            Outbound::Text(text) => self.write(Kind::Text, text),
            Outbound::Ping => self.write(Kind::Ping, b""),
            Outbound::Close => self.write(Kind::Close, &NORMAL_CLOSURE.to_be_bytes()),
            Outbound::Request(_) => {
                Err(LinkError::Protocol("a WebSocket carries texts, not requests".to_owned()))
            }
        }
    }

    fn recv(&mut self) -> Result<Option<Inbound<'_>>, LinkError> {
        let found = self.receive(&Timeless)?;
        found.map(|found| self.lend(&found)).transpose()
    }

    fn recv_timed(&mut self, clock: &dyn Clock) -> Result<Option<(Nanos, Inbound<'_>)>, LinkError> {
        let found = self.receive(clock)?;
        // What came with the upgrade was read before there was a clock.
        let at = if self.read_at == Nanos::NEVER { clock.now() } else { self.read_at };
        found.map(|found| Ok((at, self.lend(&found)?))).transpose()
    }
}

/// Close code 1000.
const NORMAL_CLOSURE: u16 = 1000;

/// For those who do not ask when a message came.
struct Timeless;

impl Clock for Timeless {
    fn now(&self) -> Nanos {
        Nanos::NEVER
    }
}

impl From<FrameError> for LinkError {
    fn from(error: FrameError) -> Self {
        Self::Protocol(error.to_string())
    }
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
    use tungstenite::protocol::CloseFrame;
    use tungstenite::protocol::frame::coding::CloseCode;
    use tungstenite::{Message, WebSocket};

    use super::*;
    use crate::sys::loopback::{Flaw, Loopback, ServerStream, read_request, send, soon};
    use crate::types::limits::WS_FRAME_MAX;

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
    fn our_own_ping_is_answered_and_the_answer_is_a_sign_of_life() {
        let server = serve(|socket| {
            assert_eq!(socket.read().unwrap(), Message::Ping(Vec::new().into()));
            let _answered_and_closed = socket.read();
        });
        let mut link = open(&server, Mode::NonBlocking).unwrap();
        link.send(Outbound::Ping).unwrap();
        assert_eq!(wait(&mut link).unwrap().0, 'h');
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
