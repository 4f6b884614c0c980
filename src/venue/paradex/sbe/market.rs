//! Public templates: best prices, the book, the market summary and the funding (sheet 5.4, templates 2 to 5).

use super::{Block, Tail};
use crate::types::{Level, Nanos, Price, Qty, Rate};
use crate::venue::WireError;

/// Units of a rate per unit of 1e-8.
const RATE_PER_UNIT: i64 = 10_000;
/// Bytes of one level: price and size.
const LEVEL: usize = 16;

/// Best prices of the book. A side that is empty is zero.
#[derive(Debug)]
pub struct Bbo<'a> {
    pub at: Nanos,
    pub sequence: u64,
    pub bid: Level,
    pub ask: Level,
    pub market: &'a str,
}

impl<'a> Bbo<'a> {
    pub(super) fn read(block: Block<'a>, mut tail: Tail<'a>) -> Result<Self, WireError> {
        let level = |at| Level {
            price: Price::from_raw(block.number(at).unwrap_or(0)),
            qty: Qty::from_raw(block.number(at + 8).unwrap_or(0)),
        };
        Ok(Self {
            at: block.time(0)?,
            sequence: block.sequence(8)?,
            bid: level(16),
            ask: level(32),
            market: tail.text()?,
        })
    }
}

/// A book message: the whole book, or the new absolute sizes of some levels (zero removes).
#[derive(Debug)]
pub struct Book<'a> {
    pub at: Nanos,
    pub sequence: u64,
    pub snapshot: bool,
    pub bids: Levels<'a>,
    pub asks: Levels<'a>,
    pub market: &'a str,
}

impl<'a> Book<'a> {
    pub(super) fn read(block: Block<'a>, mut tail: Tail<'a>) -> Result<Self, WireError> {
        Ok(Self {
            at: block.time(0)?,
            sequence: block.sequence(8)?,
            snapshot: match block.byte(16) {
                Some(0) => true,
                Some(1) => false,
                _ => return Err(block.bad("package type 0 (snapshot) or 1 (delta)")),
            },
            bids: Levels::read(&mut tail)?,
            asks: Levels::read(&mut tail)?,
            market: tail.text()?,
        })
    }
}

/// Levels of one side, still in the frame. Values are as sent: the reader of a level judges it.
#[derive(Clone, Copy, Debug)]
pub struct Levels<'a> {
    stride: usize,
    bytes: &'a [u8],
}

impl<'a> Levels<'a> {
    fn read(tail: &mut Tail<'a>) -> Result<Self, WireError> {
        let (stride, bytes) = tail.group(LEVEL)?;
        Ok(Self { stride, bytes })
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = Level> + use<'a> {
        // An empty group may announce entries of zero bytes.
        self.bytes.chunks_exact(self.stride.max(LEVEL)).map_while(|entry| {
            let (price, rest) = entry.split_first_chunk()?;
            let (qty, _) = rest.split_first_chunk()?;
            Some(Level {
                price: Price::from_raw(i64::from_le_bytes(*price)),
                qty: Qty::from_raw(i64::from_le_bytes(*qty)),
            })
        })
    }
}

/// Ticker of one market.
#[derive(Debug)]
pub struct Summary<'a> {
    pub at: Nanos,
    pub mark: Price,
    pub index: Price,
    /// Funding rate over the market's funding period; the precise field where the version has it.
    pub funding: Rate,
    pub market: &'a str,
}

impl<'a> Summary<'a> {
    pub(super) fn read(block: Block<'a>, mut tail: Tail<'a>) -> Result<Self, WireError> {
        let funding = match block.number(232) {
            Some(precise) => Rate::from_raw(precise),
            None => rate(&block, 56)?,
        };
        Ok(Self {
            at: block.time(0)?,
            mark: Price::from_raw(block.required(16)?),
            index: Price::from_raw(block.required(24)?),
            funding,
            market: tail.text()?,
        })
    }
}

/// Funding of one market, sent about each second.
#[derive(Debug)]
pub struct Funding<'a> {
    pub at: Nanos,
    /// Funding rate over `period_h`.
    pub rate: Rate,
    pub period_h: u16,
    pub market: &'a str,
}

impl<'a> Funding<'a> {
    pub(super) fn read(block: Block<'a>, mut tail: Tail<'a>) -> Result<Self, WireError> {
        let period = match (block.byte(56), block.byte(57)) {
            (Some(low), Some(high)) => i16::from_le_bytes([low, high]),
            _ => 0,
        };
        let period_h = u16::try_from(period).ok().filter(|&hours| hours > 0);
        Ok(Self {
            at: block.time(0)?,
            rate: rate(&block, 16)?,
            period_h: period_h.ok_or_else(|| block.bad("a funding period of at least one hour"))?,
            market: tail.text()?,
        })
    }
}

/// A rate sent in units of 1e-8.
fn rate(block: &Block<'_>, at: usize) -> Result<Rate, WireError> {
    let units = block.required(at)?.checked_mul(RATE_PER_UNIT);
    units.map(Rate::from_raw).ok_or_else(|| block.bad("a rate in range"))
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture;
    use super::super::build::{frame, put};
    use super::super::{Message, decode};
    use super::*;

    fn price(value: &serde_json::Value) -> Price {
        value.as_str().map_or(Price::ZERO, |text| Price::parse(text.as_bytes()).unwrap())
    }

    fn qty(value: &serde_json::Value) -> Qty {
        value.as_str().map_or(Qty::ZERO, |text| Qty::parse(text.as_bytes()).unwrap())
    }

    fn levels(value: &serde_json::Value) -> Vec<Level> {
        let level = |l: &serde_json::Value| Level { price: price(&l[0]), qty: qty(&l[1]) };
        value.as_array().unwrap().iter().map(level).collect()
    }

    #[test]
    fn recorded_frames_say_what_was_printed() {
        let frames = fixture::frames();
        let mut seen = [0, 0];
        for (id, recorded) in frames.as_object().unwrap().iter().filter(|(id, _)| id.starts_with("pdx")) {
            let bytes = fixture::frame(id);
            let says = &recorded["says"];
            let (at, sequence, market) = match decode(&bytes).unwrap() {
                Message::Book(book) => {
                    seen[0] += 1;
                    assert_eq!(book.snapshot, says["pkg_type"] == "SNAPSHOT");
                    assert_eq!(book.bids.iter().collect::<Vec<_>>(), levels(&says["bids"]));
                    assert_eq!(book.asks.iter().collect::<Vec<_>>(), levels(&says["asks"]));
                    (book.at, book.sequence, book.market.to_owned())
                }
                Message::Bbo(bbo) => {
                    seen[1] += 1;
                    assert_eq!(
                        bbo.bid,
                        Level { price: price(&says["bid_price"]), qty: qty(&says["bid_size"]) }
                    );
                    assert_eq!(
                        bbo.ask,
                        Level { price: price(&says["ask_price"]), qty: qty(&says["ask_size"]) }
                    );
                    (bbo.at, bbo.sequence, bbo.market.to_owned())
                }
                other => panic!("{id}: {other:?}"),
            };
            assert_eq!(at, Nanos(says["ts_us"].as_u64().unwrap() * 1000));
            assert_eq!(sequence, says["seq"].as_u64().unwrap());
            assert_eq!(market, says["market"]);
        }
        assert_eq!(seen, [6, 2]);
    }

    #[test]
    fn the_summary_prefers_the_precise_rate_where_the_block_has_it() {
        let fill = |block: &mut [u8]| {
            put(block, 16, 8_345_670_000_000);
            put(block, 24, 8_345_000_000_000);
            put(block, 56, 1_234);
            if block.len() >= 240 {
                put(block, 232, 12_345_678);
            }
        };
        for (version, length, expected) in [(0, 216, 12_340_000), (1, 240, 12_345_678), (2, 240, 12_345_678)]
        {
            let bytes = frame(4, version, length, fill, &[fixture::BTC]);
            let Ok(Message::Summary(summary)) = decode(&bytes) else { panic!("version {version}") };
            assert_eq!(summary.funding, Rate::from_raw(expected));
            assert_eq!(summary.mark.to_string(), "83456.7");
            assert_eq!(summary.market, fixture::BTC);
        }
    }

    #[test]
    fn funding_carries_its_period() {
        let fill = |period: i16| {
            move |block: &mut [u8]| {
                put(block, 16, -800);
                block[56..58].copy_from_slice(&period.to_le_bytes());
            }
        };
        let bytes = frame(5, 0, 58, fill(8), &[fixture::BTC]);
        let Ok(Message::Funding(funding)) = decode(&bytes) else { panic!("not funding") };
        assert_eq!((funding.rate, funding.period_h), (Rate::from_raw(-8_000_000), 8));
        for period in [0, -1] {
            assert!(decode(&frame(5, 1, 66, fill(period), &[fixture::BTC])).is_err());
        }
    }
}
