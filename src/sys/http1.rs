//! Replies of an HTTP/1.1 server, cut out of the byte stream. Pure: bytes in, whole replies out, at whatever places the
//! stream was split. It never allocates more than [`HTTP_BODY_MAX`] and its heads for a peer, and trusts no length.

use httparse::{EMPTY_HEADER, Header, Status};
use thiserror::Error;

use super::retry_after::RetryAfter;
use crate::types::limits::{HTTP_BODY_MAX, HTTP_HEAD_MAX};

/// Header lines of one reply; a venue behind a proxy sends about 25.
const HEADERS_MAX: usize = 96;

/// Reads the replies to requests that were sent in order (never `HEAD`).
#[derive(Debug, Default)]
pub struct Replies {
    input: Vec<u8>,
    body: Vec<u8>,
    stage: Stage,
    reply: Reply,
}

/// A complete reply; its body is [`Replies::body`] until the next call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    /// The server closes the connection after it.
    pub last: bool,
    pub retry_after: Option<RetryAfter>,
}

/// Bytes that are no reply that we could have asked for. The connection is of no more use.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadReply {
    #[error("HTTP head: {0}")]
    Head(httparse::Error),
    #[error("HTTP {what}: got more than {max} bytes")]
    TooLarge { what: &'static str, max: usize },
    #[error("HTTP header {header}: got {got:?}, expected {expected}")]
    Header { header: &'static str, got: String, expected: &'static str },
    #[error("HTTP chunk: expected {0}")]
    Chunk(&'static str),
    #[error("HTTP reply cut short by the end of the connection")]
    Cut,
}

/// What the next bytes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Head,
    /// Body with so many bytes to come.
    Sized(usize),
    ChunkSize,
    ChunkData(usize),
    ChunkEnd,
    Trailer,
    UntilEnd,
}

impl Replies {
    /// Bytes as they came. They are looked at by [`Replies::next_reply`].
    pub fn push(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The next complete reply, `None` when more bytes are needed.
    ///
    /// # Errors
    /// Bytes that are not HTTP/1.1, contradictory lengths, an encoding that was not asked for, anything too large.
    pub fn next_reply(&mut self) -> Result<Option<Reply>, BadReply> {
        while let Some(stage) = self.advance()? {
            self.stage = stage;
            if stage == Stage::Head {
                return Ok(Some(self.reply));
            }
        }
        Ok(None)
    }

    /// The stream has ended: the reply that lasts until the end, if one does.
    ///
    /// # Errors
    /// It ended inside a reply.
    pub fn end(&mut self) -> Result<Option<Reply>, BadReply> {
        match self.stage {
            Stage::Head if self.input.is_empty() => Ok(None),
            Stage::UntilEnd => {
                self.stage = Stage::Head;
                Ok(Some(self.reply))
            }
            _ => Err(BadReply::Cut),
        }
    }

    /// Body of the last complete reply.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// One step; `None` = needs more bytes. Returning `Head` from any other stage ends a reply.
    fn advance(&mut self) -> Result<Option<Stage>, BadReply> {
        match self.stage {
            Stage::Head => self.head(),
            Stage::Sized(length) => Ok(self.take_body(length).then_some(Stage::Head)),
            Stage::ChunkSize => self.chunk_size(),
            Stage::ChunkData(length) => Ok(self.take_body(length).then_some(Stage::ChunkEnd)),
            Stage::ChunkEnd => self.chunk_end(),
            Stage::Trailer => self.trailer(),
            Stage::UntilEnd => self.until_end(),
        }
    }

    /// Reads a head and skips interim ones (100, 103).
    fn head(&mut self) -> Result<Option<Stage>, BadReply> {
        loop {
            let mut headers = [EMPTY_HEADER; HEADERS_MAX];
            let mut head = httparse::Response::new(&mut headers);
            let Status::Complete(length) = head.parse(&self.input).map_err(BadReply::Head)? else {
                return self.need_more("head");
            };
            let (status, minor) = (head.code.unwrap_or(0), head.version.unwrap_or(0));
            let framing = Framing::of(head.headers)?;
            self.input.drain(..length);
            if matches!(status, 100 | 102 | 103) {
                continue;
            }
            self.body.clear();
            self.reply =
                Reply { status, last: framing.close || minor == 0, retry_after: framing.retry_after };
            return framing.stage(status, &mut self.reply).map(Some);
        }
    }

    fn chunk_size(&mut self) -> Result<Option<Stage>, BadReply> {
        match httparse::parse_chunk_size(&self.input) {
            Err(_) => Err(BadReply::Chunk("a size in hexadecimal digits")),
            Ok(Status::Partial) => self.need_more("chunk size"),
            Ok(Status::Complete((line, size))) => {
                self.input.drain(..line);
                let size = usize::try_from(size).unwrap_or(usize::MAX);
                if size > HTTP_BODY_MAX - self.body.len() {
                    return Err(BadReply::TooLarge { what: "body", max: HTTP_BODY_MAX });
                }
                Ok(Some(if size == 0 { Stage::Trailer } else { Stage::ChunkData(size) }))
            }
        }
    }

    fn chunk_end(&mut self) -> Result<Option<Stage>, BadReply> {
        match self.input.get(..2) {
            None => Ok(None),
            Some(b"\r\n") => {
                self.input.drain(..2);
                Ok(Some(Stage::ChunkSize))
            }
            Some(_) => Err(BadReply::Chunk("a line end after its data")),
        }
    }

    /// Trailer fields are read over; the empty line ends the reply.
    fn trailer(&mut self) -> Result<Option<Stage>, BadReply> {
        let Some(line) = self.input.windows(2).position(|pair| pair == b"\r\n") else {
            return self.need_more("trailer");
        };
        self.input.drain(..line + 2);
        Ok(Some(if line == 0 { Stage::Head } else { Stage::Trailer }))
    }

    fn until_end(&mut self) -> Result<Option<Stage>, BadReply> {
        if self.body.len() + self.input.len() > HTTP_BODY_MAX {
            return Err(BadReply::TooLarge { what: "body", max: HTTP_BODY_MAX });
        }
        self.body.append(&mut self.input);
        Ok(None)
    }

    /// Moves exactly `length` bytes into the body, once they are all there.
    fn take_body(&mut self, length: usize) -> bool {
        let there = self.input.len() >= length;
        if there {
            self.body.extend(self.input.drain(..length));
        }
        there
    }

    fn need_more(&self, what: &'static str) -> Result<Option<Stage>, BadReply> {
        if self.input.len() > HTTP_HEAD_MAX {
            return Err(BadReply::TooLarge { what, max: HTTP_HEAD_MAX });
        }
        Ok(None)
    }
}

/// What the headers say about the body's end (RFC 9112, 6.3) and about the next request.
#[derive(Default)]
struct Framing {
    length: Option<usize>,
    chunked: bool,
    close: bool,
    retry_after: Option<RetryAfter>,
}

impl Framing {
    fn of(headers: &[Header<'_>]) -> Result<Self, BadReply> {
        let mut framing = Self::default();
        for Header { name, value } in headers {
            if name.eq_ignore_ascii_case("content-length") {
                framing.set_length(value)?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                framing.chunked = true;
                only("transfer-encoding", value, "chunked")?;
            } else if name.eq_ignore_ascii_case("content-encoding") {
                only("content-encoding", value, "identity")?;
            } else if name.eq_ignore_ascii_case("retry-after") {
                framing.retry_after = RetryAfter::read(value);
            } else if name.eq_ignore_ascii_case("connection") {
                framing.close |= value.split(|&byte| byte == b',').any(|word| is_word(word, "close"));
            }
        }
        if framing.chunked && framing.length.is_some() {
            return Err(refused("content-length", b"with chunks", "one of the two"));
        }
        Ok(framing)
    }

    fn set_length(&mut self, value: &[u8]) -> Result<(), BadReply> {
        let digits =
            std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let length = digits.and_then(|text| text.parse().ok());
        let length: usize = length.ok_or_else(|| refused("content-length", value, "a number of bytes"))?;
        if self.length.is_some_and(|earlier| earlier != length) {
            return Err(refused("content-length", value, "one value"));
        }
        if length > HTTP_BODY_MAX {
            return Err(BadReply::TooLarge { what: "body", max: HTTP_BODY_MAX });
        }
        self.length = Some(length);
        Ok(())
    }

    fn stage(&self, status: u16, reply: &mut Reply) -> Result<Stage, BadReply> {
        match (status, self.length) {
            (0..200, _) => Err(refused("status", status.to_string().as_bytes(), "200 to 599")),
            (204 | 304, _) => Ok(Stage::Sized(0)),
            _ if self.chunked => Ok(Stage::ChunkSize),
            (_, Some(length)) => Ok(Stage::Sized(length)),
            (_, None) => {
                reply.last = true;
                Ok(Stage::UntilEnd)
            }
        }
    }
}

fn only(header: &'static str, got: &[u8], expected: &'static str) -> Result<(), BadReply> {
    if is_word(got, expected) { Ok(()) } else { Err(refused(header, got, expected)) }
}

fn is_word(bytes: &[u8], word: &str) -> bool {
    bytes.trim_ascii().eq_ignore_ascii_case(word.as_bytes())
}

fn refused(header: &'static str, got: &[u8], expected: &'static str) -> BadReply {
    let shown = got.get(..48).unwrap_or(got);
    BadReply::Header { header, got: String::from_utf8_lossy(shown).into_owned(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    const CHUNKED: &[u8] =
        b"HTTP/1.1 418 T\r\nTransfer-Encoding: Chunked\r\nConnection: keep-alive, Close\r\n\r\n\
        3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n";
    const INTERIM: &[u8] = b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";

    fn all(parts: &[&[u8]]) -> Result<Vec<(u16, bool, String)>, BadReply> {
        let (mut replies, mut out) = (Replies::default(), Vec::new());
        for part in parts {
            replies.push(part);
            while let Some(reply) = replies.next_reply()? {
                out.push((reply.status, reply.last, String::from_utf8_lossy(replies.body()).into_owned()));
            }
        }
        if let Some(reply) = replies.end()? {
            out.push((reply.status, reply.last, String::from_utf8_lossy(replies.body()).into_owned()));
        }
        Ok(out)
    }

    #[test]
    fn replies_come_out_whole_wherever_the_stream_is_split() {
        let stream = [SIZED, CHUNKED, INTERIM, SIZED].concat();
        let expected = vec![
            (200, false, "hello".to_owned()),
            (418, true, "abc0123456789".to_owned()),
            (204, false, String::new()),
            (200, false, "hello".to_owned()),
        ];
        for at in 0..=stream.len() {
            let (a, b) = stream.split_at(at);
            assert_eq!(all(&[a, b]).unwrap(), expected, "split at {at}");
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(all(&bytes).unwrap(), expected, "byte by byte");
    }

    #[test]
    fn each_reply_says_for_itself_when_to_come_back() {
        let mut replies = Replies::default();
        let limited = b"HTTP/1.1 429 Slow\r\nretry-after: 7\r\nContent-Length: 0\r\n\r\n";
        replies.push(&[limited, SIZED].concat());
        let mut next = || replies.next_reply().unwrap().unwrap().retry_after;
        assert_eq!([next(), next()], [Some(RetryAfter::Wait(7_000)), None]);
    }

    #[test]
    fn a_reply_without_a_length_lasts_until_the_end() {
        let parts: [&[u8]; 2] = [b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>", b"oops"];
        assert_eq!(all(&parts).unwrap(), [(502, true, "<html>oops".to_owned())]);
    }

    #[test]
    fn an_end_inside_a_reply_is_an_error_at_every_byte() {
        for stream in [SIZED, CHUNKED] {
            for at in 1..stream.len() {
                assert_eq!(all(&[&stream[..at]]), Err(BadReply::Cut), "cut at {at}");
            }
        }
    }

    #[test]
    fn hostile_heads_are_refused() {
        let head = |lines: &str| format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n").into_bytes();
        for lines in [
            "Content-Length: 5\r\nContent-Length: 6",
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Content-Length: -1",
            "Content-Length: +1",
            "Content-Length: 99999999999999999999",
            "Content-Length: 4194305",
            "Transfer-Encoding: gzip, chunked",
            "Content-Encoding: gzip",
        ] {
            assert!(all(&[&head(lines)]).is_err(), "{lines}");
        }
        for stream in [&b"SSH-2.0-x\r\n\r\n"[..], b"HTTP/1.1 101 Switching\r\n\r\n", b"HTTP/2 200 OK\r\n\r\n"]
        {
            assert!(all(&[stream]).is_err());
        }
    }

    #[test]
    fn sizes_are_bounded() {
        let endless_head = vec![b'a'; HTTP_HEAD_MAX + 1];
        let too_large = |what, max| Err(BadReply::TooLarge { what, max });
        assert_eq!(all(&[b"HTTP/1.1 200 OK\r\nX: ", &endless_head]), too_large("head", HTTP_HEAD_MAX));
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(all(&[chunked, b"400001\r\n"]), too_large("body", HTTP_BODY_MAX));
        assert_eq!(all(&[chunked, b"1\r\na\r\n400000\r\n"]), too_large("body", HTTP_BODY_MAX));
        assert!(all(&[chunked, b"FFFFFFFFFFFFFFFFF\r\n"]).is_err());
        assert_eq!(all(&[chunked, b"1\r\nabc"]), Err(BadReply::Chunk("a line end after its data")));
        assert_eq!(all(&[chunked, b"0\r\n", &endless_head]), too_large("trailer", HTTP_HEAD_MAX));
        let endless_body = vec![b'a'; HTTP_BODY_MAX + 1];
        assert_eq!(all(&[b"HTTP/1.1 200 OK\r\n\r\n", &endless_body]), too_large("body", HTTP_BODY_MAX));
    }
    #[test]
    fn no_damage_panics() {
        let samples = [SIZED.to_vec(), CHUNKED.to_vec()];
        super::super::fuzz::fuzz("HTTP reply", &samples, |bytes| all(&[bytes]).is_ok());
    }
}
