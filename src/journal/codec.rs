//! One journal entry as bytes: a frame of header and payload. Pure. The writer encodes, `tail` and `recover`
//! decode. It never panics on bytes, whatever they are, and never reads past them.
//!
//! ```text
//! magic u32 | length u32 | kind u8 | version u8 | rest u16 | seq u64 | crc32 u32 | payload (length bytes)
//! ```
//! All little-endian. The checksum covers header and payload except itself. `rest` counts the frames of the
//! same batch that follow: a batch (the snapshots that open a segment) is valid only as a whole.

use thiserror::Error;

use super::entry::Entry;
use super::fields::{FieldError, PAYLOAD_MAX, Reader, Writer};

/// First bytes of every frame.
pub const MAGIC: u32 = 0x4a34_b074;
/// Version of the format that is written; the only one that is read.
pub const VERSION: u8 = 6;
/// Bytes of a frame's header.
pub const HEADER: usize = 24;
/// Largest frame, bytes.
pub const FRAME_MAX: usize = HEADER + PAYLOAD_MAX;

const CRC_AT: usize = 20;

/// An entry with its place in the journal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// Number of the entry, rising by one over segments and runs.
    pub seq: u64,
    /// Frames of the same batch that follow.
    pub rest: u16,
    pub entry: Entry,
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CodecError {
    #[error("frame cut short: got {got} bytes, expected {expected}")]
    Short { got: usize, expected: usize },
    #[error("no frame starts here: got magic {0:#010x}, expected {MAGIC:#010x}")]
    Magic(u32),
    #[error("frame too long: got {0} bytes of payload, expected at most {PAYLOAD_MAX}")]
    Length(usize),
    #[error("checksum: got {got:#010x}, expected {expected:#010x}")]
    Checksum { got: u32, expected: u32 },
    #[error("format version: got {0}, expected {VERSION} (written by another release of bot4)")]
    Version(u8),
    #[error("entry of kind {kind}: {source}")]
    Field { kind: u8, source: FieldError },
    #[error("entry of kind {kind}: {left} bytes left over")]
    Leftover { kind: u8, left: usize },
}

/// Bytes of one frame, built in place without allocation.
pub struct Encoded {
    bytes: [u8; FRAME_MAX],
    len: usize,
}

impl Encoded {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The bytes of a frame.
pub fn encode(frame: &Frame) -> Encoded {
    let mut payload = Writer::new();
    frame.entry.put(&mut payload);
    let payload = payload.bytes();
    let mut bytes = [0; FRAME_MAX];
    bytes[..4].copy_from_slice(&MAGIC.to_le_bytes());
    bytes[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    bytes[8] = frame.entry.kind();
    bytes[9] = VERSION;
    bytes[10..12].copy_from_slice(&frame.rest.to_le_bytes());
    bytes[12..CRC_AT].copy_from_slice(&frame.seq.to_le_bytes());
    bytes[HEADER..HEADER + payload.len()].copy_from_slice(payload);
    let crc = checksum(&bytes[..CRC_AT], payload);
    bytes[CRC_AT..HEADER].copy_from_slice(&crc.to_le_bytes());
    Encoded { bytes, len: HEADER + payload.len() }
}

/// Reads the frame at the start of `bytes`; returns it and its length. An unknown version or kind is an
/// error, told apart from damage by a checksum that holds.
pub fn decode(bytes: &[u8]) -> Result<(Frame, usize), CodecError> {
    let (header, body) = split(bytes, HEADER)?;
    let magic = u32::from_le_bytes(field(header, 0));
    if magic != MAGIC {
        return Err(CodecError::Magic(magic));
    }
    let length = u32::from_le_bytes(field(header, 4)) as usize;
    if length > PAYLOAD_MAX {
        return Err(CodecError::Length(length));
    }
    let (payload, _) = split(body, length)?;
    let got = u32::from_le_bytes(field(header, CRC_AT));
    let expected = checksum(header.get(..CRC_AT).unwrap_or_default(), payload);
    if got != expected {
        return Err(CodecError::Checksum { got, expected });
    }
    let [kind, version] = field(header, 8);
    if version != VERSION {
        return Err(CodecError::Version(version));
    }
    let entry = payload_entry(kind, payload)?;
    let rest = u16::from_le_bytes(field(header, 10));
    let seq = u64::from_le_bytes(field(header, 12));
    Ok((Frame { seq, rest, entry }, HEADER + length))
}

fn payload_entry(kind: u8, payload: &[u8]) -> Result<Entry, CodecError> {
    let mut reader = Reader(payload);
    let entry = Entry::take(kind, &mut reader).map_err(|source| CodecError::Field { kind, source })?;
    match reader.0.len() {
        0 => Ok(entry),
        left => Err(CodecError::Leftover { kind, left }),
    }
}

fn split(bytes: &[u8], at: usize) -> Result<(&[u8], &[u8]), CodecError> {
    bytes.split_at_checked(at).ok_or(CodecError::Short { got: bytes.len(), expected: at })
}

/// `N` bytes at `at`; zeros where the slice ends (the callers have checked its length).
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

fn checksum(head: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::journal::samples;

    #[test]
    fn every_kind_of_entry_comes_back() {
        for (seq, entry) in samples::all().into_iter().enumerate() {
            let frame = Frame { seq: seq as u64, rest: 3, entry };
            let bytes = encode(&frame);
            assert_eq!(decode(bytes.bytes()), Ok((frame, bytes.bytes().len())));
        }
    }

    #[test]
    fn the_layout_is_fixed() {
        let id = crate::types::ClientId { epoch: 7, seq: 42, leg: 1 };
        let entry = Entry::Sent { id, at: crate::types::Nanos(0x0102_0304_0506_0708) };
        let encoded = encode(&Frame { seq: 9, rest: 0, entry });
        let payload = "070000002a000000010807060504030201";
        assert_eq!(
            hex::encode(&encoded.bytes()[..CRC_AT]),
            "74b0344a1100000006060000\
             0900000000000000"
        );
        assert_eq!(hex::encode(&encoded.bytes()[HEADER..]), payload);
    }

    #[test]
    fn another_version_is_refused_by_name() {
        let mut bytes = encode(&Frame { seq: 1, rest: 0, entry: samples::all()[0] }).bytes().to_vec();
        bytes[9] = VERSION + 1;
        reseal(&mut bytes);
        assert_eq!(decode(&bytes), Err(CodecError::Version(VERSION + 1)));
        bytes[9] = VERSION;
        bytes[8] = 99;
        reseal(&mut bytes);
        let text = decode(&bytes).unwrap_err().to_string();
        assert_eq!(text, "entry of kind 99: kind of entry: got 99, expected a value that this version knows");
    }

    #[test]
    fn a_million_mutations_never_panic_and_never_pass_as_other_entries() {
        let frames: Vec<Vec<u8>> = samples::all()
            .into_iter()
            .map(|entry| encode(&Frame { seq: 1, rest: 0, entry }).bytes().to_vec())
            .collect();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut resealed_ok = 0;
        for round in 0..1_000_000_usize {
            let mut bytes = frames[round % frames.len()].clone();
            for _ in 0..1 + round % 3 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let at = (random >> 8) as usize % bytes.len();
                bytes[at] ^= (random as u8) | 1;
            }
            if round % 2 == 0 {
                reseal(&mut bytes);
                resealed_ok += u32::from(decode(&bytes).is_ok());
            } else if let Ok((frame, _)) = decode(&bytes) {
                assert_eq!(
                    encode(&frame).bytes(),
                    frames[round % frames.len()],
                    "a flipped byte went unseen"
                );
            }
        }
        assert!(resealed_ok > 100_000, "the field decoders were hardly reached: {resealed_ok}");
    }

    /// Gives mutated bytes a checksum that holds, so that the field decoders are reached.
    fn reseal(bytes: &mut [u8]) {
        let crc = checksum(&bytes[..CRC_AT], &bytes[HEADER..]);
        bytes[CRC_AT..HEADER].copy_from_slice(&crc.to_le_bytes());
    }
}
