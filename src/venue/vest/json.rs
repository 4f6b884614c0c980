//! How Vest's JSON is read: the wrapper around the parser, and the few shapes that more than one message shares.
//! Called by every decoder of this folder. Refuses wrong types and keys that stand twice; ignores unknown keys.

use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, Visitor};

use crate::types::money::{self, PLACES};
use crate::types::order::VenueOrderId;
use crate::types::{Nanos, Price, Qty, Usd};
use crate::venue::WireError;
use crate::venue::nesting::is_shallow;

/// Milliseconds since the epoch beyond which a venue's time is nonsense (year 2286); keeps the product in range.
const MS_MAX: u64 = 9_999_999_999_999;

/// The text is not JSON of the wanted shape. Where and why would be the venue's words; the caller says what it wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotThis;

/// Reads a whole text. UTF-8 is checked first and as a whole: the parser hands out texts before its own check. So is
/// the nesting: the parser passes over what it does not know by recursion.
pub fn from_slice<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, NotThis> {
    let text = std::str::from_utf8(bytes).map_err(|_| NotThis)?;
    if !is_shallow(bytes) {
        return Err(NotThis);
    }
    sonic_rs::from_str(text).map_err(|_| NotThis)
}

/// Reads a whole text, or says which message could not be read.
pub fn read<'a, T: Deserialize<'a>>(
    what: &'static str,
    bytes: &'a [u8],
    expected: &'static str,
) -> Result<T, WireError> {
    from_slice(bytes).map_err(|NotThis| WireError::new(what, bytes, expected))
}

/// Reads a whole text into what the seed holds.
pub fn read_into<'a, S: DeserializeSeed<'a>>(text: &'a str, seed: S) -> Result<S::Value, NotThis> {
    let mut parser = sonic_rs::Deserializer::from_str(text);
    let value = seed.deserialize(&mut parser).map_err(|_| NotThis)?;
    parser.end().map_err(|_| NotThis)?;
    Ok(value)
}

/// An error code: documented as a number, taken as a text too (sheet `vest`, 6, is unsure of the wrapped shape).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(pub i64);

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Code;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an error code")
            }
            fn visit_u64<E: de::Error>(self, code: u64) -> Result<Code, E> {
                i64::try_from(code).map(Code).map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, code: i64) -> Result<Code, E> {
                Ok(Code(code))
            }
            fn visit_str<E: de::Error>(self, code: &str) -> Result<Code, E> {
                code.parse().map(Code).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// Time of the venue; [`Nanos::NEVER`] where it is absent or absurd.
pub fn venue_time(ms: Option<u64>) -> Nanos {
    ms.filter(|&ms| ms <= MS_MAX).map_or(Nanos::NEVER, Nanos::from_ms)
}

/// An order id that can be sent back safely, in a body and in a query: letters, digits and `-_.:`, at most as many as
/// the type holds.
pub fn order_id(text: &str) -> Result<VenueOrderId, WireError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    VenueOrderId::new(text)
        .filter(|id| !id.is_empty() && text.bytes().all(plain))
        .ok_or_else(|| WireError::new("id", text.as_bytes(), "a short plain text"))
}

/// A price that may carry more places than we keep: averages, marks and statements, never our own orders.
pub fn price_cut(what: &'static str, text: &str) -> Result<Price, WireError> {
    cut(what, text).map(Price::from_raw)
}

/// A quantity in a statement, cut to our places.
pub fn qty_cut(what: &'static str, text: &str) -> Result<Qty, WireError> {
    cut(what, text).map(Qty::from_raw)
}

/// An amount, cut to our places.
pub fn usd_cut(what: &'static str, text: &str) -> Result<Usd, WireError> {
    cut(what, text).map(Usd::from_raw)
}

fn cut(what: &'static str, text: &str) -> Result<i64, WireError> {
    money::parse_cut(text.as_bytes(), PLACES)
        .map_err(|_| WireError::new(what, text.as_bytes(), "a plain decimal"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_come_as_numbers_and_as_text() {
        assert_eq!(from_slice::<Code>(b"3010").unwrap(), Code(3010));
        assert_eq!(from_slice::<Code>(b"\"3010\"").unwrap(), Code(3010));
        for bad in [&b"3010.5"[..], b"\"x\"", b"{}", b"18446744073709551615"] {
            assert!(from_slice::<Code>(bad).is_err());
        }
    }

    #[test]
    fn absurd_times_are_no_times() {
        assert_eq!(venue_time(Some(1_683_849_600_076)), Nanos::from_ms(1_683_849_600_076));
        assert_eq!(venue_time(Some(u64::MAX)), Nanos::NEVER);
    }

    #[test]
    fn ids_that_could_break_out_of_a_body_are_refused() {
        assert!(order_id("0x0").is_ok());
        for bad in ["", "a\"b", "a\\b", "a&b", "a%b", "a b", "a\nb", "é", "x".repeat(81).as_str()] {
            assert!(order_id(bad).is_err(), "{bad}");
        }
    }
}
