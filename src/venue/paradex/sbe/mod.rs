//! Simple Binary Encoding, schema 1, versions 0 to 2, as this venue sends it (sheet 5.4): header, block, groups, texts.
//! Zero-copy readers; every read is bounds-checked, so that no frame can panic. Called by `feed` and `session`.
//!
//! What a version added is recognised by the block length and not by the version number, because version 2 exists in
//! two layouts. Unknown templates are skipped; a text that the frame does not reach is absent.

pub mod market;
pub mod private;

use crate::types::Nanos;
use crate::venue::WireError;
use crate::venue::paradex::events::Fact;

pub use market::{Bbo, Book, Funding, Levels, Summary};

/// The only schema; its number stands in every header.
pub const SCHEMA_ID: u16 = 1;
/// Versions this decoder was written for, preferred one first.
pub const VERSIONS: [u16; 3] = [2, 1, 0];
/// A nullable number that is not there.
const NULL: i64 = i64::MIN;
const HEADER: usize = 8;

/// One decoded frame.
#[derive(Debug)]
pub enum Message<'a> {
    Bbo(Bbo<'a>),
    Book(Book<'a>),
    Summary(Summary<'a>),
    Funding(Funding<'a>),
    /// Something about our account.
    Private(Fact<'a>),
    /// Sent every 20 s on an idle connection.
    Heartbeat,
    /// A template that nobody here reads.
    Skipped(u16),
}

/// Decodes one frame. An error names the field, and the frame is to be dropped.
pub fn decode(frame: &[u8]) -> Result<Message<'_>, WireError> {
    let (template, block, tail) = open(frame)?;
    Ok(match template {
        2 => Message::Bbo(Bbo::read(block.of("BboEvent", 48)?, tail)?),
        3 => Message::Book(Book::read(block.of("BookEvent", 89)?, tail)?),
        4 => Message::Summary(Summary::read(block.of("MarketSummaryEvent", 216)?, tail)?),
        5 => Message::Funding(Funding::read(block.of("FundingDataEvent", 58)?, tail)?),
        20 => Message::Private(private::order(block.of("OrderEvent", 126)?, tail)?),
        21 => Message::Private(private::fill(block.of("FillEvent", 107)?, tail)?),
        22 => Message::Private(private::position(block.of("PositionEvent", 154)?, tail)?),
        23 => Message::Private(private::account(block.of("AccountEvent", 113)?)?),
        40 => Message::Heartbeat,
        other => Message::Skipped(other),
    })
}

/// Splits a frame into template id, block and what follows the block.
fn open(frame: &[u8]) -> Result<(u16, Block<'_>, Tail<'_>), WireError> {
    let short = || WireError::new("SBE header", frame, "8 bytes and the block they announce");
    let (header, rest) = frame.split_at_checked(HEADER).ok_or_else(short)?;
    let word = |at| u16_at(header, at).ok_or_else(short);
    let (length, template, schema) = (word(0)?, word(2)?, word(4)?);
    if schema != SCHEMA_ID {
        // As a number: eight bytes of whatever else this is may be a piece of a key.
        return Err(WireError::new("SBE schema", schema.to_string().as_bytes(), "schema id 1"));
    }
    let (block, tail) = rest.split_at_checked(length.into()).ok_or_else(short)?;
    Ok((template, Block { what: "SBE block", bytes: block }, Tail { what: "SBE tail", bytes: tail }))
}

/// The fixed part of a message.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    what: &'static str,
    bytes: &'a [u8],
}

impl Block<'_> {
    /// The same block, known to be a message that had at least `least` bytes from its first version on.
    fn of(self, what: &'static str, least: usize) -> Result<Self, WireError> {
        if self.bytes.len() < least {
            return Err(WireError::new(what, self.bytes, "a block of the documented length"));
        }
        Ok(Self { what, ..self })
    }

    /// A number; `None` when it is null or the block ends before it.
    fn number(&self, at: usize) -> Option<i64> {
        let bytes = self.bytes.get(at..at.checked_add(8)?)?.try_into().ok()?;
        Some(i64::from_le_bytes(bytes)).filter(|&number| number != NULL)
    }

    /// A number that the schema does not allow to be null.
    fn required(&self, at: usize) -> Result<i64, WireError> {
        self.number(at).ok_or_else(|| self.bad("a number at a field that cannot be null"))
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    /// A sequence number: not negative.
    fn sequence(&self, at: usize) -> Result<u64, WireError> {
        u64::try_from(self.required(at)?).map_err(|_| self.bad("a sequence that is not negative"))
    }

    /// A time in microseconds, as the engine counts it.
    fn time(&self, at: usize) -> Result<Nanos, WireError> {
        let micros = u64::try_from(self.required(at)?).ok();
        let nanos = micros.and_then(|us| us.checked_mul(1000));
        nanos.map(Nanos).ok_or_else(|| self.bad("microseconds since 1970"))
    }

    fn bad(&self, expected: &'static str) -> WireError {
        WireError::new(self.what, self.bytes, expected)
    }
}

/// What follows the block: groups, then texts, in the order of the schema.
pub(super) struct Tail<'a> {
    what: &'static str,
    bytes: &'a [u8],
}

impl<'a> Tail<'a> {
    /// The next group, as a number of entries of `stride` bytes each, of which at least `least` are wanted.
    fn group(&mut self, least: usize) -> Result<(usize, &'a [u8]), WireError> {
        let header = self.take(4)?;
        let (stride, count) = match (u16_at(header, 0), u16_at(header, 2)) {
            (Some(stride), Some(count)) => (usize::from(stride), usize::from(count)),
            _ => return Err(self.bad("a group header")),
        };
        if count > 0 && stride < least {
            return Err(self.bad("group entries of the documented length"));
        }
        Ok((stride, self.take(stride * count)?))
    }

    /// The next text; empty when the frame ends before it, which is how older layouts look.
    fn text(&mut self) -> Result<&'a str, WireError> {
        if self.bytes.is_empty() {
            return Ok("");
        }
        let length = self.take(1)?.first().copied().unwrap_or_default();
        let bytes = self.take(length.into())?;
        std::str::from_utf8(bytes).map_err(|_| WireError::new(self.what, bytes, "UTF-8"))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or_else(|| self.bad("more bytes"))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn bad(&self, expected: &'static str) -> WireError {
        WireError::new(self.what, self.bytes, expected)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

#[cfg(test)]
pub mod build {
    //! Frames for tests, written from the table of the sheet.

    /// A frame of this template with a block of `block` bytes, filled by `fill`, and these texts after it.
    pub fn frame(
        template: u16,
        version: u16,
        block: usize,
        fill: impl Fn(&mut [u8]),
        texts: &[&str],
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [block as u16, template, super::SCHEMA_ID, version] {
            bytes.extend(word.to_le_bytes());
        }
        let mut body = vec![0; block];
        fill(&mut body);
        bytes.extend(body);
        for text in texts {
            bytes.push(text.len() as u8);
            bytes.extend(text.as_bytes());
        }
        bytes
    }

    /// Writes a number at its offset in a block.
    pub fn put(block: &mut [u8], at: usize, number: i64) {
        block[at..at + 8].copy_from_slice(&number.to_le_bytes());
    }

    /// A book frame with its two groups.
    pub fn book(seq: i64, snapshot: bool, bids: &[(i64, i64)], asks: &[(i64, i64)], market: &str) -> Vec<u8> {
        let fill = |block: &mut [u8]| {
            put(block, 0, 1_791_421_535_936_000);
            put(block, 8, seq);
            block[16] = u8::from(!snapshot);
            (17..89).step_by(8).for_each(|at| put(block, at, i64::MIN));
        };
        let mut bytes = frame(3, 2, 89, fill, &[]);
        for levels in [bids, asks] {
            bytes.extend(16_u16.to_le_bytes());
            bytes.extend((levels.len() as u16).to_le_bytes());
            for (price, qty) in levels {
                bytes.extend(price.to_le_bytes());
                bytes.extend(qty.to_le_bytes());
            }
        }
        bytes.push(market.len() as u8);
        bytes.extend(market.as_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::frame;
    use super::*;
    use crate::sys::fuzz::fuzz;

    #[test]
    fn unknown_templates_are_skipped_and_longer_blocks_honoured() {
        let strange = build::frame(99, 7, 12, |_| {}, &["anything"]);
        assert!(matches!(decode(&strange), Ok(Message::Skipped(99))));
        let later = build::frame(2, 9, 64, |block| build::put(block, 8, 5), &["BTC-USD-PERP"]);
        let Ok(Message::Bbo(bbo)) = decode(&later) else { panic!("not a bbo") };
        assert_eq!((bbo.sequence, bbo.market), (5, "BTC-USD-PERP"));
    }

    #[test]
    fn short_headers_blocks_and_texts_are_errors() {
        let whole = frame("pdx-12");
        for length in 0..whole.len() {
            let told = decode(&whole[..length]);
            let market_missing = length == 56;
            assert_eq!(told.is_err(), !market_missing, "{length}");
        }
        let mut other_schema = whole.clone();
        other_schema[4] = 2;
        assert!(decode(&other_schema).is_err());
    }

    #[test]
    fn no_damaged_book_panics() {
        // The long snapshot is one in a hundred, so that a million frames take seconds.
        let deltas = (0..99).map(|nth| frame(["pdx-03", "pdx-12"][nth % 2]));
        let samples: Vec<Vec<u8>> = deltas.chain([frame("pdx-02")]).collect();
        fuzz("paradex public SBE", &samples, |bytes| match decode(bytes) {
            Ok(Message::Book(book)) => book.bids.iter().count() <= bytes.len(),
            told => told.is_ok(),
        });
    }

    #[test]
    fn no_damaged_private_message_panics() {
        let fills = |block: &mut [u8]| block.iter_mut().for_each(|b| *b = 1);
        let samples = [
            build::frame(20, 2, 128, fills, &["1", "1-2-0", "BTC-USD-PERP", "", "", ""]),
            build::frame(21, 2, 116, fills, &["9", "1", "1-2-0", "t", "BTC-USD-PERP", "USDC"]),
            build::frame(22, 1, 154, fills, &["BTC-USD-PERP", "9"]),
            build::frame(23, 2, 121, fills, &["USDC"]),
        ];
        fuzz("paradex private SBE", &samples, |bytes| decode(bytes).is_ok());
    }
}
