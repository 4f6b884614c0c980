//! The payloads of the public stream, decoded (sheet `vest`, 7): whole books and tickers. Called by `feed`. Pure; the
//! lists it fills are the caller's, so that a warm feed allocates nothing.

use std::cmp::Reverse;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use sonic_rs::LazyValue;

use super::json;
use crate::types::limits::LEVELS_MAX;
use crate::types::{BookUpdate, Level, MarketStatus, Price, Qty, Rate, Ticker};
use crate::venue::WireError;

/// Word of a market that takes orders.
pub const TRADING: &str = "TRADING";

/// Reads `{bids, asks}` into `book` as a whole book, best level first on both sides whatever the order on the wire.
/// Every level must have a positive price and size of at most 8 places; a side may be empty but must be there.
pub fn read_book(data: &str, book: &mut BookUpdate) -> Result<(), WireError> {
    book.whole = true;
    book.bids.clear();
    book.asks.clear();
    json::read_into(data, Book { bids: &mut book.bids, asks: &mut book.asks })
        .map_err(|_| WireError::new("depth", data.as_bytes(), "bids and asks of positive plain decimals"))?;
    sort(book);
    Ok(())
}

/// Puts the best level first on both sides.
pub fn sort(book: &mut BookUpdate) {
    book.bids.sort_unstable_by_key(|level| Reverse(level.price));
    book.asks.sort_unstable_by_key(|level| level.price);
}

struct Book<'a> {
    bids: &'a mut Vec<Level>,
    asks: &'a mut Vec<Level>,
}

impl<'de> DeserializeSeed<'de> for Book<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Book<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of bids and asks")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut bids, mut asks) = (false, false);
        while let Some(key) = map.next_key::<Key>()? {
            let (side, seen) = match key {
                Key::Bids => (&mut *self.bids, &mut bids),
                Key::Asks => (&mut *self.asks, &mut asks),
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if std::mem::replace(seen, true) {
                return Err(de::Error::custom("a side stands twice"));
            }
            map.next_value_seed(Levels(side))?;
        }
        if bids && asks { Ok(()) } else { Err(de::Error::custom("a side is missing")) }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Key {
    Bids,
    Asks,
    #[serde(other)]
    Other,
}

struct Levels<'a>(&'a mut Vec<Level>);

impl<'de> DeserializeSeed<'de> for Levels<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Levels<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of levels")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some((price, qty)) = seq.next_element::<(&str, &str)>()? {
            if self.0.len() == LEVELS_MAX {
                return Err(de::Error::custom("more levels than a ladder holds"));
            }
            self.0.push(level(price, qty).ok_or_else(|| de::Error::custom("not a level"))?);
        }
        Ok(())
    }
}

fn level(price: &str, qty: &str) -> Option<Level> {
    let price = Price::parse(price.as_bytes()).ok()?;
    let qty = Qty::parse(qty.as_bytes()).ok()?;
    (price > Price::ZERO && qty > Qty::ZERO).then_some(Level { price, qty })
}

/// One row of `tickers` or of `GET /ticker/latest`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TickerRow<'a> {
    pub symbol: &'a str,
    mark_price: Option<&'a str>,
    one_hr_funding_rate: Option<&'a str>,
    status: Option<&'a str>,
}

impl TickerRow<'_> {
    /// The row in our units. A market without the word for trading does not trade.
    pub fn ticker(&self) -> Result<Ticker, WireError> {
        let funding = self.one_hr_funding_rate.unwrap_or("0");
        let funding_1h = Rate::parse_cut(funding.as_bytes())
            .map_err(|_| WireError::new("oneHrFundingRate", funding.as_bytes(), "a plain decimal"))?;
        let mark = self.mark_price.map_or(Ok(Price::ZERO), |text| json::price_cut("markPrice", text))?;
        Ok(Ticker { mark, funding_1h, status: self.status() })
    }

    pub fn status(&self) -> MarketStatus {
        if self.status == Some(TRADING) { MarketStatus::Trading } else { MarketStatus::Halted }
    }
}

/// Hands every readable row of a list of tickers to `each`. A bad row spoils only itself: it is told at the end.
pub fn read_tickers(data: &str, each: &mut dyn FnMut(&TickerRow<'_>)) -> Result<(), WireError> {
    let mut bad = None;
    json::read_into(data, Rows { each, bad: &mut bad })
        .map_err(|_| WireError::new("tickers", data.as_bytes(), "a list of tickers"))?;
    bad.map_or(Ok(()), Err)
}

struct Rows<'a> {
    each: &'a mut dyn FnMut(&TickerRow<'_>),
    bad: &'a mut Option<WireError>,
}

impl<'de> DeserializeSeed<'de> for Rows<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tickers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(row) = seq.next_element::<LazyValue<'de>>()? {
            let text = row.as_raw_str();
            match json::from_slice::<TickerRow>(text.as_bytes()) {
                Ok(row) => (self.each)(&row),
                Err(_) => {
                    *self.bad = Some(WireError::new("ticker", text.as_bytes(), "symbol, prices, status"));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices(levels: &[Level]) -> Vec<String> {
        levels.iter().map(|level| format!("{}x{}", level.price, level.qty)).collect()
    }

    #[test]
    fn sides_are_sorted_and_the_last_book_is_gone() {
        let mut book = BookUpdate::default();
        read_book(r#"{"asks":[["9","9"]],"bids":[["8","8"]]}"#, &mut book).unwrap();
        let data = r#"{"asks":[["3","1"],["2.5","2"]],"x":{"y":[1]},"bids":[["1","1.5"],["2","2"]]}"#;
        read_book(data, &mut book).unwrap();
        assert!(book.whole);
        assert_eq!(prices(&book.bids), ["2x2", "1x1.5"]);
        assert_eq!(prices(&book.asks), ["2.5x2", "3x1"]);
    }

    #[test]
    fn an_empty_side_is_a_book_and_a_missing_one_is_not() {
        let mut book = BookUpdate::default();
        assert!(read_book(r#"{"asks":[],"bids":[["1","1"]]}"#, &mut book).is_ok());
        for bad in [
            r#"{"bids":[["1","1"]]}"#,
            r#"{"bids":[],"asks":[],"bids":[]}"#,
            r#"{"bids":[["1","0"]],"asks":[]}"#,
            r#"{"bids":[["-1","1"]],"asks":[]}"#,
            r#"{"bids":[["NaN","1"]],"asks":[]}"#,
            r#"{"bids":[["1e5","1"]],"asks":[]}"#,
            r#"{"bids":[[1,2]],"asks":[]}"#,
            r#"{"bids":[["1"]],"asks":[]}"#,
            r#"{"bids":[["0.123456789","1"]],"asks":[]}"#,
            r#"{"bids":null,"asks":[]}"#,
            r#"{"bids":[],"asks":[]} x"#,
            "[]",
        ] {
            assert!(read_book(bad, &mut book).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_side_longer_than_a_ladder_is_refused() {
        let side = |levels: usize| vec![r#"["1","1"]"#; levels].join(",");
        let mut book = BookUpdate::default();
        let mut read = |levels| read_book(&format!(r#"{{"bids":[{}],"asks":[]}}"#, side(levels)), &mut book);
        assert!(read(LEVELS_MAX).is_ok());
        assert!(read(LEVELS_MAX + 1).is_err());
    }

    #[test]
    fn a_bad_ticker_row_spoils_only_itself() {
        let data = r#"[{"symbol":"A-PERP","markPrice":1},{"symbol":"B-PERP","markPrice":"2.5",
            "oneHrFundingRate":"-0.00125","status":"TRADING"}]"#;
        let mut seen = Vec::new();
        let told = read_tickers(data, &mut |row| seen.push(row.ticker().unwrap()));
        assert_eq!(told.unwrap_err().what, "ticker");
        let expected = Ticker {
            mark: Price::parse(b"2.5").unwrap(),
            funding_1h: Rate::from_raw(-1_250_000_000),
            status: MarketStatus::Trading,
        };
        assert_eq!(seen, [expected]);
    }

    #[test]
    fn what_is_not_trading_is_halted() {
        for status in [r#""HALT""#, r#""MARKET_CLOSED""#, "null"] {
            let text = format!(r#"{{"symbol":"A","status":{status}}}"#);
            let row: TickerRow = json::from_slice(text.as_bytes()).unwrap();
            assert_eq!(row.ticker().unwrap().status, MarketStatus::Halted);
        }
    }
}
