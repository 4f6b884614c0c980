//! A warm HTTP/1.1 connection for orders: one write per request, never blocks, reads its replies when asked. `keeper`
//! opens it, `order` owns it. It never sends anything twice: a connection that fails leaves its requests unknown.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use super::clock::{Clock, Deadline};
use super::http1::Replies;
use super::link::{Inbound, Link, LinkError, Outbound};
use super::socket::{DialError, Dialer, Pace, TlsStream};
use super::url::SecureUrl;
use crate::types::Nanos;
use crate::types::limits::{HTTP_DEADLINE_MS, HTTP_PIPELINE_MAX};

/// One warm connection.
pub struct HttpLink<C> {
    stream: TlsStream,
    replies: Replies,
    /// When each unanswered request was sent, oldest first.
    unanswered: VecDeque<Nanos>,
    clock: C,
    ended: bool,
}

impl<C: Clock> HttpLink<C> {
    /// Connects to the URL's host; its path is of no interest, requests carry their own. Blocks until the deadline.
    ///
    /// # Errors
    /// As [`Dialer::dial`].
    pub fn connect(dialer: &Dialer, url: &SecureUrl, deadline: Deadline, clock: C) -> Result<Self, DialError> {
        let mut stream = dialer.dial(url, deadline)?;
        let host = || url.authority();
        stream.sock.set_pace(Pace::Poll).map_err(|source| DialError::Connect { host: host(), source })?;
        let unanswered = VecDeque::with_capacity(HTTP_PIPELINE_MAX);
        Ok(Self { stream, replies: Replies::default(), unanswered, clock, ended: false })
    }

    fn request(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        if self.unanswered.len() == HTTP_PIPELINE_MAX {
            let why = format!("{HTTP_PIPELINE_MAX} requests wait for their reply already");
            return Err(LinkError::Protocol(why));
        }
        self.unanswered.push_back(self.clock.now());
        // Encrypted into the connection's own buffer, then written at once; what the kernel does not take is flushed
        // by `recv`.
        self.stream.conn.writer().write_all(bytes)?;
        self.flush()
    }

    fn flush(&mut self) -> Result<(), LinkError> {
        while self.stream.conn.wants_write() {
            match self.stream.conn.write_tls(&mut self.stream.sock) {
                Ok(_) => {}
                Err(error) if is_not_now(&error) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Moves what has arrived into `replies`. Stops at `WouldBlock` or at the end of the stream.
    fn read(&mut self) -> Result<(), LinkError> {
        match self.stream.conn.read_tls(&mut self.stream.sock) {
            Ok(0) => self.ended = true,
            Ok(_) => {}
            Err(error) if is_not_now(&error) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let state = self.stream.conn.process_new_packets();
        let state = state.map_err(|error| LinkError::Protocol(format!("TLS: {error}")))?;
        self.ended |= state.peer_has_closed();
        self.take_plaintext(state.plaintext_bytes_to_read())
    }

    fn take_plaintext(&mut self, mut left: usize) -> Result<(), LinkError> {
        let mut buffer = [0; 4096];
        while left > 0 {
            let n = self.stream.conn.reader().read(&mut buffer)?;
            self.replies.push(buffer.get(..n).unwrap_or_default());
            left = left.saturating_sub(n.max(1));
        }
        Ok(())
    }

    /// A complete reply that is in the buffer already.
    fn reply(&mut self) -> Result<Option<u16>, LinkError> {
        let protocol = |error: super::http1::BadReply| LinkError::Protocol(error.to_string());
        let mut reply = self.replies.next_reply().map_err(protocol)?;
        if reply.is_none() && self.ended {
            reply = self.replies.end().map_err(|_| lost("closed in the middle of a reply"))?;
        }
        let Some(reply) = reply else { return Ok(None) };
        if self.unanswered.pop_front().is_none() {
            return Err(LinkError::Protocol(format!("a reply (HTTP {}) that nobody asked for", reply.status)));
        }
        self.ended |= reply.last;
        Ok(Some(reply.status))
    }

    /// Nothing has come: is that still all right?
    fn check_silence(&self) -> Result<(), LinkError> {
        match self.unanswered.front() {
            Some(_) if self.ended => Err(lost("closed before the reply")),
            Some(&sent) if self.clock.now().ms_since(sent) >= HTTP_DEADLINE_MS => {
                Err(io::Error::new(io::ErrorKind::TimedOut, "no reply in time").into())
            }
            None if self.ended => {
                Err(LinkError::Closed { code: 0, reason: "closed by the server while idle".to_owned() })
            }
            _ => Ok(()),
        }
    }
}

impl<C: Clock> Link for HttpLink<C> {
    fn send(&mut self, message: Outbound<'_>) -> Result<(), LinkError> {
        match message {
            Outbound::Request(bytes) => self.request(bytes),
            Outbound::Close => {
                self.stream.conn.send_close_notify();
                self.ended = true;
                self.flush()
            }
            Outbound::Text(_) => Err(LinkError::Protocol("an HTTP link carries requests, not texts".to_owned())),
        }
    }

    fn recv(&mut self) -> Result<Option<Inbound<'_>>, LinkError> {
        self.flush()?;
        let mut status = self.reply()?;
        if status.is_none() && !self.ended {
            self.read()?;
            status = self.reply()?;
        }
        match status {
            Some(status) => Ok(Some(Inbound::Response { status, body: self.replies.body() })),
            None => self.check_silence().map(|()| None),
        }
    }
}

fn is_not_now(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn lost(why: &'static str) -> LinkError {
    LinkError::Lost(io::Error::new(io::ErrorKind::UnexpectedEof, why))
}
