//! WebSocket frames (RFC 6455, client side), read in place and written masked. Owned by `ws`; knows no socket. Nothing
//! is copied for a message that came in one frame; a broken rule of the protocol ends the reading for good.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use thiserror::Error;

use crate::types::limits::{ORDER_BYTES_MAX, WS_BUFFER, WS_FRAGMENTS_MAX, WS_FRAME_MAX, WS_MESSAGE_MAX};

/// Bytes of the longest head of a frame of the venue (which never masks).
const HEAD_MAX: usize = 10;
/// Largest payload of a control frame.
const CONTROL_MAX: u64 = 125;
/// The protocol's own code for "closed without a code".
const NO_CODE: u16 = 1005;

/// What a frame or a finished message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// Why no further frame can be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    #[error("reserved bits are set")]
    ReservedBits,
    #[error("unknown kind of frame {0}")]
    Kind(u8),
    #[error("a frame of the venue is masked")]
    Masked,
    #[error("a control frame in fragments or longer than 125 bytes")]
    Control,
    #[error("a frame of {0} bytes")]
    FrameTooLarge(u64),
    #[error("a message beyond its size or number of fragments")]
    MessageTooLarge,
    #[error("a continuation of nothing")]
    Continuation,
    #[error("a new message inside an unfinished one")]
    Unfinished,
    #[error("a close frame with half a code")]
    Close,
}

/// Bounds of what is taken, bytes.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    pub frame: usize,
    pub message: usize,
}

impl Default for Caps {
    /// Nothing larger than a book (SAFETY M8).
    fn default() -> Self {
        Self { frame: WS_FRAME_MAX, message: WS_MESSAGE_MAX }
    }
}

/// A message that stands in the reader until the next call of [`FrameReader::find`].
#[derive(Clone, Debug)]
pub struct Found {
    pub kind: Kind,
    at: Range<usize>,
    /// In `parts`, not in `buffer`.
    assembled: bool,
}

/// Takes bytes as they come and finds messages in them.
pub struct FrameReader {
    caps: Caps,
    /// All of it is room; unread bytes stand at `unread`.
    buffer: Vec<u8>,
    unread: Range<usize>,
    /// Payload so far of a message that came in fragments, its kind, and their number.
    parts: Vec<u8>,
    unfinished: Option<Kind>,
    fragments: usize,
}

impl FrameReader {
    pub fn new(caps: Caps) -> Self {
        let (buffer, parts) = (vec![0; WS_BUFFER], Vec::new());
        Self { caps, buffer, unread: 0..0, parts, unfinished: None, fragments: 0 }
    }

    /// Where to read the next bytes to; never empty after `find` has found nothing.
    pub fn room(&mut self) -> &mut [u8] {
        if self.unread.is_empty() {
            self.unread = 0..0;
        }
        &mut self.buffer[self.unread.end..]
    }

    /// So many bytes were put at the front of the last [`FrameReader::room`].
    pub fn filled(&mut self, bytes: usize) {
        self.unread.end += bytes;
        assert!(self.unread.end <= self.buffer.len(), "more bytes than there was room");
    }

    /// The next message that is complete, `None` when more bytes are needed.
    pub fn find(&mut self) -> Result<Option<Found>, FrameError> {
        while let Some(head) = Head::read(&self.buffer[self.unread.clone()], self.caps.frame)? {
            let (from, to) =
                (self.unread.start + head.length, self.unread.start + head.length + head.payload);
            if to > self.unread.end {
                self.make_room(head.length + head.payload);
                return Ok(None);
            }
            self.unread.start = to;
            if let Some(found) = self.take(&head, from..to)? {
                return Ok(Some(found));
            }
        }
        self.make_room(HEAD_MAX);
        Ok(None)
    }

    /// The bytes of a message; of a close frame its reason.
    pub fn bytes(&self, found: &Found) -> &[u8] {
        let whole = if found.assembled { &self.parts } else { &self.buffer };
        let bytes = &whole[found.at.clone()];
        if found.kind == Kind::Close { bytes.get(2..).unwrap_or_default() } else { bytes }
    }

    /// The code of a close frame.
    pub fn close_code(&self, found: &Found) -> u16 {
        match self.buffer[found.at.clone()] {
            [high, low, ..] if found.kind == Kind::Close => u16::from_be_bytes([high, low]),
            _ => NO_CODE,
        }
    }

    /// Takes a whole frame; `Some` when it ends a message.
    fn take(&mut self, head: &Head, at: Range<usize>) -> Result<Option<Found>, FrameError> {
        let found = |kind, at, assembled| Ok(Some(Found { kind, at, assembled }));
        match (head.kind, self.unfinished) {
            (Some(Kind::Close), _) if at.len() == 1 => Err(FrameError::Close),
            (Some(kind @ (Kind::Close | Kind::Ping | Kind::Pong)), _) => found(kind, at, false),
            (Some(kind), None) if head.is_last => found(kind, at, false),
            (Some(_), Some(_)) => Err(FrameError::Unfinished),
            (None, None) => Err(FrameError::Continuation),
            (Some(kind), None) => {
                self.parts.clear();
                self.fragments = 0;
                self.append(kind, at)?;
                Ok(None)
            }
            (None, Some(kind)) => {
                self.append(kind, at)?;
                if !head.is_last {
                    return Ok(None);
                }
                self.unfinished = None;
                found(kind, 0..self.parts.len(), true)
            }
        }
    }

    fn append(&mut self, kind: Kind, at: Range<usize>) -> Result<(), FrameError> {
        self.unfinished = Some(kind);
        self.fragments += 1;
        if self.parts.len() + at.len() > self.caps.message || self.fragments > WS_FRAGMENTS_MAX {
            return Err(FrameError::MessageTooLarge);
        }
        self.parts.extend_from_slice(&self.buffer[at]);
        Ok(())
    }

    /// Sees to it that `wanted` bytes fit from the first unread one on, and at least one more than there are.
    fn make_room(&mut self, wanted: usize) {
        if self.unread.start + wanted <= self.buffer.len() {
            return;
        }
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        if wanted > self.buffer.len() {
            self.buffer.resize(wanted, 0);
        }
    }
}

/// The head of a frame.
struct Head {
    /// Bytes of the head and of what follows it.
    length: usize,
    payload: usize,
    is_last: bool,
    /// `None`: the frame continues a message.
    kind: Option<Kind>,
}

impl Head {
    /// `None` when the bytes end before the head does.
    fn read(bytes: &[u8], frame_max: usize) -> Result<Option<Self>, FrameError> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        let (length, payload) = match (second & 0x7F, rest) {
            (126, [a, b, ..]) => (4, u64::from(u16::from_be_bytes([*a, *b]))),
            (127, rest) => match rest.first_chunk() {
                Some(eight) => (10, u64::from_be_bytes(*eight)),
                None => return Ok(None),
            },
            (126, _) => return Ok(None),
            (short, _) => (2, u64::from(short)),
        };
        if first & 0x70 != 0 {
            return Err(FrameError::ReservedBits);
        }
        if second & 0x80 != 0 {
            return Err(FrameError::Masked);
        }
        let is_last = first & 0x80 != 0;
        let kind = match first & 0x0F {
            0 => None,
            1 => Some(Kind::Text),
            2 => Some(Kind::Binary),
            8 => Some(Kind::Close),
            9 => Some(Kind::Ping),
            10 => Some(Kind::Pong),
            unknown => return Err(FrameError::Kind(unknown)),
        };
        if first & 0x08 != 0 && (!is_last || payload > CONTROL_MAX) {
            return Err(FrameError::Control);
        }
        let fitting = usize::try_from(payload).ok().filter(|&payload| payload <= frame_max);
        let payload = fitting.ok_or(FrameError::FrameTooLarge(payload))?;
        Ok(Some(Self { length, payload, is_last, kind }))
    }
}

/// Makes frames of ours, each with a mask that the venue cannot foresee.
pub struct FrameWriter {
    keys: RandomState,
    frames: u64,
    frame: Vec<u8>,
}

impl FrameWriter {
    pub fn new() -> Self {
        Self { keys: RandomState::new(), frames: 0, frame: Vec::with_capacity(2 * ORDER_BYTES_MAX) }
    }

    /// One message as one frame, lent until the next call.
    pub fn frame(&mut self, kind: Kind, payload: &[u8]) -> &[u8] {
        const MASKED: u8 = 0x80;
        self.frames += 1;
        // A keyed hash of a counter: as unforeseeable as its key, without a system call a frame.
        let mask = (self.keys.hash_one(self.frames) as u32).to_ne_bytes();
        self.frame.clear();
        self.frame.push(0x80 | kind as u8);
        match payload.len() {
            length @ 0..=125 => self.frame.push(MASKED | length as u8),
            length @ 126..=0xFFFF => {
                self.frame.push(MASKED | 126);
                self.frame.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                self.frame.push(MASKED | 127);
                self.frame.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        self.frame.extend_from_slice(&mask);
        let from = self.frame.len();
        self.frame.extend_from_slice(payload);
        apply_mask(&mut self.frame[from..], mask);
        &self.frame
    }
}

impl Default for FrameWriter {
    fn default() -> Self {
        Self::new()
    }
}

fn apply_mask(bytes: &mut [u8], mask: [u8; 4]) {
    let mut chunks = bytes.chunks_exact_mut(4);
    for chunk in &mut chunks {
        chunk.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    }
    chunks.into_remainder().iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
}

#[cfg(test)]
mod tests;
