//! The `Link` seam: one connection to a venue, seen as whole messages. Production has a WebSocket and a warm HTTP/1.1
//! connection over TLS; a simulation supplies queues.

use std::io;

use thiserror::Error;

use super::clock::Clock;
use super::retry_after::RetryAfter;
use crate::types::Nanos;

/// A message to the venue. WebSocket links take `Text` and `Ping`, HTTP links a complete serialised `Request`.
#[derive(Clone, Copy, Debug)]
pub enum Outbound<'a> {
    Text(&'a [u8]),
    /// Head and body of an HTTP/1.1 request in one buffer, written with one `write`.
    Request(&'a [u8]),
    /// WebSocket ping without a payload; the peer owes a pong (RFC 6455, 5.5.2), which is read as a `Heartbeat`.
    Ping,
    /// WebSocket close, normal closure. An HTTP link closes its connection.
    Close,
}

/// A message from the venue. Bytes are borrowed until the next call. Nobody has looked at them yet: a text need not be
/// UTF-8.
#[derive(Clone, Copy, Debug)]
pub enum Inbound<'a> {
    Text(&'a [u8]),
    Binary(&'a [u8]),
    /// Reply to the oldest unanswered request.
    Response {
        status: u16,
        body: &'a [u8],
        /// How long the venue asks to be left alone.
        retry_after: Option<RetryAfter>,
    },
    /// Protocol-level ping or pong; already answered, shown because it proves life.
    Heartbeat,
}

/// Why a link is no more. After any of these the link must be dropped; it never recovers.
#[derive(Debug, Error)]
pub enum LinkError {
    #[error("closed by the venue (code {code}): {reason}")]
    Closed { code: u16, reason: String },
    #[error("connection lost: {0}")]
    Lost(#[from] io::Error),
    #[error("protocol violation: {0}")]
    Protocol(String),
}

/// One connection. `recv` returns `Ok(None)` when nothing is there: at once on a non-blocking link, after its read
/// timeout on a blocking one. `send` never blocks longer than a full socket buffer allows; an error after any byte
/// left means that the message may or may not have arrived.
pub trait Link: Send {
    fn send(&mut self, message: Outbound<'_>) -> Result<(), LinkError>;
    fn recv(&mut self) -> Result<Option<Inbound<'_>>, LinkError>;
    /// As `recv`, with the return of the read that brought the message's last byte; of a link that does not know it,
    /// the time of now.
    fn recv_timed(&mut self, clock: &dyn Clock) -> Result<Option<(Nanos, Inbound<'_>)>, LinkError> {
        Ok(self.recv()?.map(|message| (clock.now(), message)))
    }
}
