//! A warm HTTP/1.1 connection for orders: one write per request, never blocks, reads its replies when asked. `keeper`
//! opens it, `order` owns it. It never sends anything twice: a connection that fails leaves its requests unknown.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use super::clock::{Clock, Deadline};
use super::http1::{Replies, Reply};
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
    pub fn connect(
        dialer: &Dialer,
        url: &SecureUrl,
        deadline: Deadline,
        clock: C,
    ) -> Result<Self, DialError> {
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
    fn reply(&mut self) -> Result<Option<Reply>, LinkError> {
        let protocol = |error: super::http1::BadReply| LinkError::Protocol(error.to_string());
        let mut reply = self.replies.next_reply().map_err(protocol)?;
        if reply.is_none() && self.ended {
            reply = self.replies.end().map_err(|_| lost("closed in the middle of a reply"))?;
        }
        let Some(reply) = reply else { return Ok(None) };
        if self.unanswered.pop_front().is_none() {
            return Err(LinkError::Protocol(format!(
                "a reply (HTTP {}) that nobody asked for",
                reply.status
            )));
        }
        self.ended |= reply.last;
        Ok(Some(reply))
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
            Outbound::Text(_) | Outbound::Ping => {
                Err(LinkError::Protocol("an HTTP link carries requests, not texts".to_owned()))
            }
        }
    }

    fn recv(&mut self) -> Result<Option<Inbound<'_>>, LinkError> {
        self.flush()?;
        let mut reply = self.reply()?;
        if reply.is_none() && !self.ended {
            self.read()?;
            reply = self.reply()?;
        }
        match reply {
            Some(Reply { status, retry_after, .. }) => {
                Ok(Some(Inbound::Response { status, body: self.replies.body(), retry_after }))
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock::ManualClock;
    use crate::sys::loopback::{Flaw, Loopback, ServerStream, read_request, send, soon};

    const REQUEST: &[u8] = b"POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}";
    const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    const CHUNKED: &[u8] = b"HTTP/1.1 400 No\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n";

    fn open(conduct: impl FnMut(&mut ServerStream) + Send + 'static) -> (HttpLink<ManualClock>, ManualClock) {
        let server = Loopback::serve(Flaw::Nothing, 1, conduct);
        let clock = ManualClock::at(Nanos::from_ms(1));
        let link = HttpLink::connect(&server.dialer(), &server.url("https", "/"), soon(), clock.clone());
        (link.unwrap(), clock)
    }

    /// Polls until a reply or the end of the link.
    fn wait(link: &mut HttpLink<ManualClock>) -> Result<(u16, Vec<u8>), LinkError> {
        loop {
            match link.recv()? {
                Some(Inbound::Response { status, body, .. }) => return Ok((status, body.to_vec())),
                Some(other) => panic!("{other:?}"),
                None => std::thread::yield_now(),
            }
        }
    }

    #[test]
    fn requests_are_answered_in_order_on_one_connection() {
        let (mut link, _) = open(|stream| {
            for reply in [REPLY, CHUNKED, REPLY] {
                assert_eq!(read_request(stream), REQUEST);
                send(stream, reply);
            }
        });
        for (status, body) in [(200, &b"hello"[..]), (400, b"abcd"), (200, b"hello")] {
            assert!(link.recv().unwrap().is_none(), "idle");
            link.send(Outbound::Request(REQUEST)).unwrap();
            assert_eq!(wait(&mut link).unwrap(), (status, body.to_vec()));
        }
    }

    #[test]
    fn pipelined_replies_in_one_record_come_out_one_by_one() {
        let (mut link, _) = open(|stream| {
            let mut both = vec![0; 2 * REQUEST.len()];
            stream.read_exact(&mut both).unwrap();
            send(stream, &[REPLY, CHUNKED].concat());
        });
        link.send(Outbound::Request(REQUEST)).unwrap();
        link.send(Outbound::Request(REQUEST)).unwrap();
        assert_eq!(wait(&mut link).unwrap().0, 200);
        assert_eq!(wait(&mut link).unwrap().0, 400);
    }

    #[test]
    fn a_reply_split_at_every_byte_is_whole() {
        for at in 1..CHUNKED.len() {
            let (mut link, _) = open(move |stream| {
                read_request(stream);
                send(stream, &CHUNKED[..at]);
                send(stream, &CHUNKED[at..]);
            });
            link.send(Outbound::Request(REQUEST)).unwrap();
            assert_eq!(wait(&mut link).unwrap(), (400, b"abcd".to_vec()), "split at {at}");
        }
    }

    #[test]
    fn a_server_that_closes_in_the_middle_leaves_the_request_lost() {
        for at in [0, 1, REPLY.len() - 1] {
            let (mut link, _) = open(move |stream| {
                read_request(stream);
                send(stream, &REPLY[..at]);
            });
            link.send(Outbound::Request(REQUEST)).unwrap();
            assert!(matches!(wait(&mut link), Err(LinkError::Lost(_))), "cut at {at}");
        }
    }

    #[test]
    fn an_idle_close_is_seen_before_the_next_request() {
        let (mut link, _) = open(|stream| {
            stream.conn.send_close_notify();
            let _flushed = stream.flush();
        });
        assert!(matches!(wait(&mut link), Err(LinkError::Closed { .. })));
    }

    #[test]
    fn the_deadline_covers_the_whole_reply() {
        let (mut link, clock) = open(|stream| {
            read_request(stream);
            send(stream, &REPLY[..20]);
            let _until_closed = stream.read(&mut [0]);
        });
        link.send(Outbound::Request(REQUEST)).unwrap();
        clock.advance_ms(HTTP_DEADLINE_MS - 1);
        assert!(link.recv().unwrap().is_none());
        clock.advance_ms(1);
        let error = wait(&mut link).unwrap_err();
        assert!(matches!(&error, LinkError::Lost(e) if e.kind() == io::ErrorKind::TimedOut), "{error}");
    }

    #[test]
    fn a_large_request_is_flushed_by_recv() {
        const BODY: usize = 60_000;
        let (mut link, _) = open(|stream| {
            assert_eq!(read_request(stream).iter().filter(|&&byte| byte == b'x').count(), BODY);
            send(stream, REPLY);
        });
        let head = format!("POST / HTTP/1.1\r\nContent-Length: {BODY}\r\n\r\n").into_bytes();
        link.send(Outbound::Request(&[head, vec![b'x'; BODY]].concat())).unwrap();
        assert_eq!(wait(&mut link).unwrap().0, 200);
    }

    #[test]
    fn what_nobody_asked_for_and_what_is_too_large_end_the_link() {
        let (mut link, _) = open(|stream| send(stream, REPLY));
        assert!(matches!(wait(&mut link), Err(LinkError::Protocol(_))));
        let (mut link, _) = open(|stream| {
            read_request(stream);
            send(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n");
            let _until_closed = stream.read(&mut [0]);
        });
        link.send(Outbound::Request(REQUEST)).unwrap();
        assert!(matches!(wait(&mut link), Err(LinkError::Protocol(_))));
    }

    #[test]
    fn the_pipeline_is_bounded_and_texts_are_refused() {
        let (mut link, _) = open(|stream| {
            let _until_closed = io::copy(stream, &mut io::sink());
        });
        for _ in 0..HTTP_PIPELINE_MAX {
            link.send(Outbound::Request(REQUEST)).unwrap();
        }
        assert!(link.send(Outbound::Request(REQUEST)).is_err());
        assert!(link.send(Outbound::Text(b"{}")).is_err());
    }

    #[test]
    fn bad_certificates_are_refused() {
        for (flaw, word) in Flaw::BAD {
            let server = Loopback::serve(flaw, 1, |_| {});
            let clock = ManualClock::default();
            let link = HttpLink::connect(&server.dialer(), &server.url("https", "/"), soon(), clock);
            assert!(link.err().unwrap().to_string().contains(word), "{flaw:?}");
        }
    }
}
