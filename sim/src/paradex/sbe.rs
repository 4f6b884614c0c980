//! SBE frames of the public channels: books, tops, summaries, funding, heartbeats.
//!
//! `feed` encodes each event once per schema version in use. The writer appends fields in wire order and
//! checks the block length it announced; it never reads. Source: Paradex sheet §5.4.

/// Schema id of every frame.
const SCHEMA_ID: u16 = 1;
/// What a nullable 64-bit field holds when it is absent.
pub const NULL: i64 = i64::MIN;
/// Block length of one book level: price and size.
const LEVEL_BLOCK: u16 = 16;

/// A schema version that this simulator can encode, 0 to 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u16);

impl Version {
    /// Versions with a known layout. Of version 3 only the longer market summary is known.
    pub const ALL: [Version; 4] = [Version(0), Version(1), Version(2), Version(3)];

    /// `None` for a version whose layout is unknown.
    pub fn new(number: u16) -> Option<Version> {
        Version::ALL.into_iter().find(|version| version.0 == number)
    }

    pub fn number(self) -> u16 {
        self.0
    }

    /// Whether fields that came with version `number` are present.
    pub(super) fn has(self, number: u16) -> bool {
        self.0 >= number
    }
}

/// One frame being written.
pub(super) struct Frame {
    bytes: Vec<u8>,
    block_end: usize,
}

impl Frame {
    pub(super) fn new(version: Version, template: u16, block: u16, capacity: usize) -> Frame {
        let mut bytes = Vec::with_capacity(8 + usize::from(block) + capacity);
        for word in [block, template, SCHEMA_ID, version.0] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        Frame { block_end: 8 + usize::from(block), bytes }
    }

    pub(super) fn u8(&mut self, value: u8) -> &mut Frame {
        self.bytes.push(value);
        self
    }

    pub(super) fn i16(&mut self, value: i16) -> &mut Frame {
        self.bytes.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(super) fn u64(&mut self, value: u64) -> &mut Frame {
        self.bytes.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(super) fn i64s(&mut self, values: &[i64]) -> &mut Frame {
        values.iter().for_each(|value| self.bytes.extend_from_slice(&value.to_le_bytes()));
        self
    }

    pub(super) fn nulls(&mut self, count: usize) -> &mut Frame {
        (0..count).for_each(|_| self.bytes.extend_from_slice(&NULL.to_le_bytes()));
        self
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Frame {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Ends the block; groups and texts may follow.
    pub(super) fn end_block(&mut self) -> &mut Frame {
        assert_eq!(self.bytes.len(), self.block_end, "the fields must fill the block exactly");
        self
    }

    fn levels(&mut self, levels: &[(i64, i64)]) -> &mut Frame {
        let count = u16::try_from(levels.len()).unwrap_or(u16::MAX);
        self.raw(&LEVEL_BLOCK.to_le_bytes()).raw(&count.to_le_bytes());
        levels.iter().take(usize::from(count)).for_each(|(price, size)| {
            self.i64s(&[*price, *size]);
        });
        self
    }

    /// A text of at most 255 bytes; a longer one is cut at a character.
    pub(super) fn text(&mut self, text: &str) -> &mut Frame {
        let mut end = text.len().min(255);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.u8(end as u8).raw(text.get(..end).unwrap_or_default().as_bytes())
    }

    pub(super) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

/// Whether a book frame is the whole book or a change to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Package {
    Snapshot = 0,
    Delta = 1,
}

/// Template 3. Levels are (price, size) at 1e-8; in a delta a size is absolute and 0 removes the level.
///
/// The best-price fields stay null, as on the recorded plain deltas channel.
pub fn book(
    version: Version,
    package: Package,
    stamp: Stamp,
    bids: &[(i64, i64)],
    asks: &[(i64, i64)],
) -> Vec<u8> {
    let mut frame = Frame::new(version, 3, 89, 24 + 16 * (bids.len() + asks.len()));
    frame.i64s(&[stamp.time_us, stamp.seq]).u8(package as u8).nulls(9).end_block();
    frame.levels(bids).levels(asks).text(stamp.market).finish()
}

/// What every market-data frame carries: venue time (Unix microseconds), sequence number, market.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    pub time_us: i64,
    pub seq: i64,
    pub market: &'a str,
}

/// Template 2: the best bid and ask, (price, size) at 1e-8. An empty side is null.
pub fn bbo(version: Version, stamp: Stamp, bid: Option<(i64, i64)>, ask: Option<(i64, i64)>) -> Vec<u8> {
    let side = |level: Option<(i64, i64)>| level.unwrap_or((NULL, NULL));
    let (bid, ask) = (side(bid), side(ask));
    let mut frame = Frame::new(version, 2, 48, 24);
    frame.i64s(&[stamp.time_us, stamp.seq, bid.0, bid.1, ask.0, ask.1]).end_block();
    frame.text(stamp.market).finish()
}

/// The fields of a market summary that a perpetual has; all at 1e-8 except `funding_rate_precise`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    pub mark: i64,
    pub index: i64,
    pub last: i64,
    pub volume_24h: i64,
    pub open_interest: i64,
    /// Rate per funding period of 8 hours.
    pub funding_rate: i64,
    pub bid: Option<(i64, i64)>,
    pub ask: Option<(i64, i64)>,
    pub total_volume: i64,
    pub change_24h: i64,
    pub fair: i64,
}

/// Template 4: 216 bytes in version 0, 240 in 1 and 2, 248 in 3.
pub fn market_summary(version: Version, stamp: Stamp, summary: &Summary) -> Vec<u8> {
    let block = if version.has(3) {
        248
    } else if version.has(1) {
        240
    } else {
        216
    };
    let price = |level: Option<(i64, i64)>| level.map_or(NULL, |l| l.0);
    let size = |level: Option<(i64, i64)>| level.map_or(NULL, |l| l.1);
    let s = summary;
    let mut frame = Frame::new(version, 4, block, 24);
    frame.i64s(&[stamp.time_us, stamp.seq, s.mark, s.index, s.last, s.volume_24h, s.open_interest]);
    frame.i64s(&[s.funding_rate, price(s.bid), price(s.ask), s.total_volume, s.change_24h]);
    // The implied volatilities, the greeks and the future funding rate belong to other kinds of market.
    frame.nulls(12).i64s(&[s.fair, size(s.bid), size(s.ask)]);
    if version.has(1) {
        frame.nulls(2).i64s(&[s.funding_rate.saturating_mul(10_000)]);
    }
    if version.has(3) {
        frame.nulls(1);
    }
    frame.end_block().text(stamp.market).finish()
}

/// The funding state of a market; rates and index at 1e-8, times in Unix microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Funding {
    /// Rate per funding period.
    pub rate: i64,
    pub index: i64,
    pub premium: i64,
    pub rate_8h: i64,
    pub period_hours: i16,
    pub created_at_us: i64,
}

/// Template 5: 58 bytes in version 0, 66 from version 1.
pub fn funding(version: Version, stamp: Stamp, funding: &Funding) -> Vec<u8> {
    let block = if version.has(1) { 66 } else { 58 };
    let mut frame = Frame::new(version, 5, block, 24);
    frame.i64s(&[stamp.time_us, stamp.seq, funding.rate, funding.index, funding.created_at_us]);
    frame.i64s(&[funding.premium, funding.rate_8h]).i16(funding.period_hours);
    if version.has(1) {
        frame.nulls(1);
    }
    frame.end_block().text(stamp.market).finish()
}

/// Template 40, sent on idle connections.
pub fn heartbeat(version: Version, time_us: i64, seq: i64) -> Vec<u8> {
    Frame::new(version, 40, 16, 0).i64s(&[time_us, seq]).end_block().finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    fn stamp(time_us: i64, seq: i64) -> Stamp<'static> {
        Stamp { time_us, seq, market: "BTC-USD-PERP" }
    }

    fn recorded(text: &str) -> Vec<u8> {
        STANDARD.decode(text).unwrap()
    }

    const V1: Version = Version(1);

    #[test]
    fn a_delta_equals_the_recorded_frame() {
        let frame = book(
            V1,
            Package::Delta,
            stamp(1_791_421_535_936_000, 7_687_289_235),
            &[(8_341_220_000_000, 19_000)],
            &[],
        );
        let expected = concat!(
            "WQADAAEAAQAA3krUSV0GAJO5MsoBAAAAAQAAAAAAAACAAAAAAAAAAIAAAAAAAAAAgAAAAAAAAACAAAAAAAAA",
            "AIAAAAAAAAAAgAAAAAAAAACAAAAAAAAAAIAAAAAAAAAAgBAAAQAAgXQXlgcAADhKAAAAAAAAEAAAAAxCVEMt",
            "VVNELVBFUlA=",
        );
        assert_eq!(frame, recorded(expected));
    }

    #[test]
    fn an_empty_delta_equals_the_recorded_frame() {
        let frame = book(V1, Package::Delta, stamp(1_791_421_536_000_000, 7_687_289_236), &[], &[]);
        let expected = concat!(
            "WQADAAEAAQAA2EvUSV0GAJS5MsoBAAAAAQAAAAAAAACAAAAAAAAAAIAAAAAAAAAAgAAAAAAAAACAAAAAAAAA",
            "AIAAAAAAAAAAgAAAAAAAAACAAAAAAAAAAIAAAAAAAAAAgBAAAAAQAAAADEJUQy1VU0QtUEVSUA==",
        );
        assert_eq!(frame, recorded(expected));
    }

    #[test]
    fn a_bbo_equals_the_recorded_frame() {
        let frame = bbo(
            V1,
            stamp(1_791_421_897_743_000, 7_687_292_177),
            Some((8_342_270_000_000, 15_000)),
            Some((8_345_290_000_000, 31_000)),
        );
        let expected =
            "MAACAAEAAQCYmtvpSV0GABHFMsoBAAAAgDsKVpYHAACYOgAAAAAAAIDGCwqXBwAAGHkAAAAAAAAMQlRDLVVTRC1QRVJQ";
        assert_eq!(frame, recorded(expected));
    }

    #[test]
    fn an_empty_side_of_a_bbo_is_null() {
        let frame = bbo(V1, stamp(1, 2), None, Some((3, 4)));
        assert_eq!(frame[24..40], [NULL.to_le_bytes(), NULL.to_le_bytes()].concat());
    }

    #[test]
    fn block_lengths_follow_the_version() {
        let block = |frame: Vec<u8>| u16::from_le_bytes([frame[0], frame[1]]);
        let summary = |v| block(market_summary(v, stamp(1, 2), &Summary::default()));
        let funding = |v| block(funding(v, stamp(1, 2), &Funding::default()));
        assert_eq!(Version::ALL.map(summary), [216, 240, 240, 248]);
        assert_eq!(Version::ALL.map(funding), [58, 66, 66, 66]);
        assert_eq!(block(heartbeat(V1, 1, 2)), 16);
        assert_eq!(Version::new(4), None);
    }

    #[test]
    fn the_summary_puts_each_field_at_its_offset() {
        let summary = Summary {
            mark: 11,
            fair: 12,
            bid: Some((13, 14)),
            ask: None,
            funding_rate: 15,
            ..Summary::default()
        };
        let frame = market_summary(V1, stamp(1, 2), &summary);
        let at = |offset: usize| i64::from_le_bytes(frame[8 + offset..16 + offset].try_into().unwrap());
        assert_eq!([at(16), at(192), at(64), at(200), at(72), at(208)], [11, 12, 13, 14, NULL, NULL]);
        assert_eq!([at(56), at(184), at(232)], [15, NULL, 150_000]);
        assert_eq!(&frame[248..], b"\x0cBTC-USD-PERP");
    }
}
