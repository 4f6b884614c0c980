//! One pass over a depth push, written as the venue writes it: channel, then bids, then asks, without a blank. Called
//! by `feed` before the general reader, which judges whatever looks otherwise: this one takes no frame that the
//! general reader would refuse, and reads the same book out of it. Pure; allocates nothing once the lists are warm.

use super::depth;
use crate::types::limits::LEVELS_MAX;
use crate::types::money::PLACES;
use crate::types::{BookUpdate, Level, Price, Qty};

const HEAD: &[u8] = br#"{"channel":""#;
const CHANNEL_END: &[u8] = br#"@depth","data":{"bids":["#;
const BETWEEN: &[u8] = br#"],"asks":["#;
const END: &[u8] = b"]}}";
/// Digits before the point that cannot overflow together with [`PLACES`] after it.
const WHOLE_DIGITS: usize = 10;
/// Units of 1e-8 in a unit of the last place, by the number of places.
const UNITS: [u64; PLACES as usize + 1] =
    [100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];

/// Reads a push into `book`, best level first on both sides, and returns the symbol. `None` = the general reader must
/// look at this frame; `book` then holds nothing of use.
pub fn scan<'a>(frame: &'a [u8], book: &mut BookUpdate) -> Option<&'a str> {
    let rest = frame.strip_prefix(HEAD)?;
    let symbol = rest.get(..rest.iter().position(|&byte| !is_plain(byte))?)?;
    let mut scanner = Scanner { rest: rest.get(symbol.len()..)? };
    scanner.word(CHANNEL_END)?;
    book.whole = true;
    let mut sorted = scanner.side(&mut book.bids, |last, price| last > price)?;
    scanner.word(BETWEEN)?;
    sorted &= scanner.side(&mut book.asks, |last, price| last < price)?;
    if scanner.rest != END {
        return None;
    }
    if !sorted {
        depth::sort(book);
    }
    std::str::from_utf8(symbol).ok()
}

/// Bytes of a symbol that need no unquoting.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// What is left of the frame.
struct Scanner<'a> {
    rest: &'a [u8],
}

impl Scanner<'_> {
    #[inline]
    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    /// Levels up to the bracket that closes the list, which is left. True when each price and the next are as
    /// `in_order` wants them.
    #[inline]
    fn side(&mut self, levels: &mut Vec<Level>, in_order: impl Fn(Price, Price) -> bool) -> Option<bool> {
        levels.clear();
        let mut sorted = true;
        if self.rest.first() == Some(&b']') {
            return Some(sorted);
        }
        loop {
            let level = self.level()?;
            if levels.len() == LEVELS_MAX {
                return None;
            }
            sorted &= levels.last().is_none_or(|last| in_order(last.price, level.price));
            levels.push(level);
            match self.rest.first()? {
                b',' => self.rest = &self.rest[1..],
                b']' => return Some(sorted),
                _ => return None,
            }
        }
    }

    /// `["price","size"]`, both positive.
    #[inline]
    fn level(&mut self) -> Option<Level> {
        self.word(b"[\"")?;
        let price = self.number()?;
        self.word(b",\"")?;
        let qty = self.number()?;
        self.word(b"]")?;
        (price > 0 && qty > 0).then_some(Level { price: Price::from_raw(price), qty: Qty::from_raw(qty) })
    }

    /// Units of 1e-8 of a plain decimal, its closing quote included.
    #[inline]
    fn number(&mut self) -> Option<i64> {
        let (whole, digits) = self.digits(0);
        if digits == 0 || digits > WHOLE_DIGITS {
            return None;
        }
        let (units, places) = match self.rest.first()? {
            b'.' => {
                self.rest = &self.rest[1..];
                let (units, places) = self.digits(whole);
                (units, if places == 0 { return None } else { places })
            }
            _ => (whole, 0),
        };
        self.word(b"\"")?;
        // Too many places have no entry: the number that wrapped is not looked at.
        i64::try_from(units.wrapping_mul(*UNITS.get(places)?)).ok()
    }

    /// Appends the digits that follow to `value`; how many there were tells whether it may have wrapped.
    #[inline]
    fn digits(&mut self, value: u64) -> (u64, usize) {
        let (mut value, mut count) = (value, 0);
        for byte in self.rest {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            count += 1;
        }
        self.rest = &self.rest[count..];
        (value, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fuzz::{Random, damage, fuzz};
    use crate::venue::vest::depth;

    /// What the general reader makes of a frame that holds `{bids, asks}` after the channel.
    fn general(frame: &[u8]) -> Option<BookUpdate> {
        let text = std::str::from_utf8(frame).ok()?;
        let (_, data) = text.split_once(r#"","data":"#)?;
        let mut book = BookUpdate::default();
        depth::read_book(data.strip_suffix('}')?, &mut book).ok()?;
        Some(book)
    }

    /// What is scanned is what the general reader reads. True when it was scanned.
    fn compare(frame: &[u8], book: &mut BookUpdate) -> bool {
        let Some(symbol) = scan(frame, book) else { return false };
        let shown = || frame.escape_ascii().to_string();
        let expected = general(frame).unwrap_or_else(|| panic!("refused: {}", shown()));
        assert!(book.whole && book.bids == expected.bids && book.asks == expected.asks, "{}", shown());
        assert!(shown().contains(symbol));
        true
    }

    /// A push of random levels near each other, mostly in order.
    fn push(random: &mut Random) -> Vec<u8> {
        let places = [0, 1, 2, 4, 8][random.below(5)];
        let mut text = br#"{"channel":"BTC-PERP@depth","data":{"bids":["#.to_vec();
        let shuffled = random.below(8) == 0;
        for (side, step) in [(0, -1_i64), (1, 1)] {
            if side == 1 {
                text.extend(BETWEEN);
            }
            for nth in 0..random.below(42) as i64 {
                let off = if shuffled { random.below(40) as i64 } else { nth };
                let price = (80_000 + step * (1 + off)) * 100 + random.below(3) as i64;
                let comma = if nth > 0 { "," } else { "" };
                let cents = price.rem_euclid(100);
                let (price, size) = (price / 100, random.below(100_000));
                let fraction = &format!("{cents:02}000000")[..places];
                let point = if places > 0 { "." } else { "" };
                text.extend(
                    format!(r#"{comma}["{price}{point}{fraction}","{size}.{}"]"#, random.below(9)).bytes(),
                );
            }
        }
        text.extend(END);
        text
    }

    #[test]
    fn fuzz_whole_pushes_are_scanned_and_read_alike() {
        let (mut random, mut book) = (Random::new(5), BookUpdate::default());
        let pushes: u64 = std::env::var("BOT4_DEPTH_PUSHES").map_or(100_000, |text| text.parse().unwrap());
        let mut scanned = 0;
        for _ in 0..pushes {
            let mut frame = push(&mut random);
            if random.below(4) == 0 {
                damage(&mut frame, &mut random);
            }
            scanned += u64::from(compare(&frame, &mut book));
        }
        assert!(scanned > pushes / 2 && scanned < pushes, "{scanned} of {pushes}");
    }

    #[test]
    fn fuzz_nothing_damaged_is_taken_that_the_general_reader_refuses() {
        let mut book = BookUpdate::default();
        let samples =
            [frame(r#"["10.5","1"],["9","0.25"]"#, r#"["11","2.0"]"#), frame("", r#"["3000.12345678","7"]"#)];
        fuzz("vest depth scanner", &samples, |bytes| compare(bytes, &mut book));
    }

    fn frame(bids: &str, asks: &str) -> Vec<u8> {
        format!(r#"{{"channel":"BTC-PERP@depth","data":{{"bids":[{bids}],"asks":[{asks}]}}}}"#).into_bytes()
    }

    #[test]
    fn every_surprise_is_left_to_the_general_reader() {
        let mut book = BookUpdate::default();
        assert_eq!(scan(&frame("", ""), &mut book), Some("BTC-PERP"));
        assert_eq!(scan(&frame(r#"["9999999999.99999999","1"]"#, ""), &mut book), Some("BTC-PERP"));
        for level in [
            r#"["1","0"]"#,
            r#"["0","1"]"#,
            r#"["-1","1"]"#,
            r#"["+1","1"]"#,
            r#"["1.","1"]"#,
            r#"[".5","1"]"#,
            r#"["1e5","1"]"#,
            r#"["NaN","1"]"#,
            r#"["","1"]"#,
            r#"["1.2.3","1"]"#,
            r#"["0.123456789","1"]"#,
            r#"["0.000000000","1"]"#,
            r#"["10000000000","1"]"#,
            r#"["1", "1"]"#,
            r#"["1"]"#,
            r#"["1","1","1"]"#,
            r#"["1","1"],"#,
            r#"[1,1]"#,
            r#"["\u0031","1"]"#,
            r#"[["1","1"]]"#,
        ] {
            assert_eq!(scan(&frame(level, ""), &mut book), None, "{level}");
            assert_eq!(scan(&frame("", level), &mut book), None, "{level}");
        }
        for text in [
            r#"{"channel":"BTC-PERP@depth","data":{"asks":[],"bids":[]}}"#,
            r#"{"channel":"BTC-PERP@depth","data":{"bids":[],"asks":[],"bids":[]}}"#,
            r#"{"channel":"BTC-PERP@depth","data":{"bids":[],"asks":[]}} "#,
            r#"{"channel":"BTC-PERP@depth","data":{"bids":[],"asks":[]}}}"#,
            r#"{"channel":"BTC-PERP@depth","data":{"bids":[]}}"#,
            r#"{"channel":"BTC\u002dPERP@depth","data":{"bids":[],"asks":[]}}"#,
            r#"{"channel":"tickers","data":{"bids":[],"asks":[]}}"#,
            r#"{"data":{"bids":[],"asks":[]},"channel":"BTC-PERP@depth"}"#,
            "",
        ] {
            assert_eq!(scan(text.as_bytes(), &mut book), None, "{text}");
        }
        let side = |levels| vec![r#"["1","1"]"#; levels].join(",");
        assert!(scan(&frame(&side(LEVELS_MAX), ""), &mut book).is_some());
        assert!(scan(&frame(&side(LEVELS_MAX + 1), ""), &mut book).is_none());
    }

    #[test]
    fn sides_in_any_order_are_sorted() {
        let mut book = BookUpdate::default();
        let bids = r#"["1","1"],["3","1"],["2.5","1"]"#;
        scan(&frame(bids, bids), &mut book).unwrap();
        let prices =
            |levels: &[Level]| levels.iter().map(|level| level.price.to_string()).collect::<Vec<_>>();
        assert_eq!(prices(&book.bids), ["3", "2.5", "1"]);
        assert_eq!(prices(&book.asks), ["1", "2.5", "3"]);
    }
}
