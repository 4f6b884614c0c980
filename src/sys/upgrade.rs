//! The stream while an HTTP connection becomes a WebSocket: it holds back what follows the head of the venue's answer,
//! so that no frame is lost in the parser of the head. Used by `ws` only.

use std::io::{self, Read, Write};

/// What a head that is taken begins with, and how every head ends.
const SWITCHING: &[u8] = b"HTTP/1.1 101";
const HEAD_END: &[u8] = b"\r\n\r\n";

/// Wraps a stream until the upgrade is done.
pub struct Upgrade<S> {
    stream: S,
    /// All that was read, and how much of it was given on.
    seen: Vec<u8>,
    given: usize,
}

impl<S> Upgrade<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, seen: Vec::new(), given: 0 }
    }

    /// The stream, and the bytes after the head.
    pub fn finish(mut self) -> (S, Vec<u8>) {
        let early = self.seen.split_off(self.given);
        (self.stream, early)
    }

    /// Where the head of a granted upgrade ends; a refusal is given on to its last byte.
    fn end(&self) -> usize {
        let end = self.seen.windows(HEAD_END.len()).position(|window| window == HEAD_END);
        match end {
            Some(end) if self.seen.starts_with(SWITCHING) => end + HEAD_END.len(),
            _ => self.seen.len(),
        }
    }
}

impl<S: Read> Read for Upgrade<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.end() {
            let bytes = self.stream.read(buffer)?;
            self.seen.extend_from_slice(&buffer[..bytes]);
        }
        let given = buffer.len().min(self.end() - self.given);
        buffer[..given].copy_from_slice(&self.seen[self.given..self.given + given]);
        self.given += given;
        Ok(given)
    }
}

impl<S: Write> Write for Upgrade<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRANTED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";

    /// Gives its bytes in pieces of this size.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let (now, rest) = self.0.split_at(self.1.min(self.0.len()).min(buffer.len()));
            buffer[..now.len()].copy_from_slice(now);
            self.0 = rest;
            Ok(now.len())
        }
    }

    #[test]
    fn what_follows_the_head_is_held_back_wherever_it_is_cut() {
        let stream = [GRANTED, b"\x81\x02hi"].concat();
        for size in 1..=stream.len() {
            let mut upgrade = Upgrade::new(Pieces(&stream, size));
            let (mut head, mut buffer) = (Vec::new(), [0; 4_096]);
            while !head.ends_with(HEAD_END) {
                let bytes = upgrade.read(&mut buffer).unwrap();
                head.extend_from_slice(&buffer[..bytes]);
            }
            assert_eq!(head, GRANTED);
            let (stream, early) = upgrade.finish();
            assert_eq!([&early[..], stream.0].concat(), b"\x81\x02hi", "{size}");
        }
    }

    #[test]
    fn a_refusal_is_given_on_whole() {
        let refused = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
        let mut text = Vec::new();
        Upgrade::new(Pieces(refused, 7)).read_to_end(&mut text).unwrap();
        assert_eq!(text, refused);
    }
}
