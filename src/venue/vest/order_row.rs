//! One order as the venue states it, in an event of the private stream or in a row of `GET /orders` (sheet `vest`, 5.2
//! and 7). Used by `private` and `desk`. Every key may be missing; what is there must be readable.

use serde::Deserialize;

use super::errors;
use super::json::{self, Code};
use crate::types::order::Reason;
use crate::types::{
    Nanos, OrderNews, PairId, Price, Qty, Reject, RejectClass, Side, Told, ToldMarket, Usd, quoted,
};
use crate::venue::{OrderKey, WireError};

/// Keys that both sources share; the rest is ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderRow<'a> {
    pub id: Option<&'a str>,
    pub nonce: Option<u64>,
    pub symbol: Option<&'a str>,
    pub is_buy: Option<bool>,
    pub order_type: Option<&'a str>,
    pub size: Option<&'a str>,
    status: Option<&'a str>,
    pub code: Option<Code>,
    last_filled_size: Option<&'a str>,
    last_filled_price: Option<&'a str>,
    last_filled_time: Option<u64>,
    avg_filled_price: Option<&'a str>,
    settled_funding: Option<&'a str>,
    fees: Option<&'a str>,
    post_time: Option<u64>,
}

/// Documented statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    New,
    PartiallyFilled,
    Filled,
    Cancelled,
    Rejected,
    /// Not in the sheet: neither open nor terminal for us.
    Unknown,
}

impl Status {
    pub const fn is_open(self) -> bool {
        matches!(self, Self::New | Self::PartiallyFilled)
    }

    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Filled | Self::Cancelled | Self::Rejected)
    }
}

/// What was executed of an order, over its whole life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Executed {
    pub filled: Qty,
    pub average: Price,
    pub fee: Usd,
    pub funding: Usd,
}

impl OrderRow<'_> {
    /// When it was posted, ms since the epoch.
    pub const fn posted_ms(&self) -> Option<u64> {
        self.post_time
    }

    pub fn status(&self) -> Status {
        match self.status {
            Some("NEW") => Status::New,
            Some("PARTIALLY_FILLED") => Status::PartiallyFilled,
            Some("FILLED") => Status::Filled,
            Some("CANCELLED") => Status::Cancelled,
            Some("REJECTED") => Status::Rejected,
            _ => Status::Unknown,
        }
    }

    pub fn side(&self) -> Option<Side> {
        self.is_buy.map(|is_buy| if is_buy { Side::Buy } else { Side::Sell })
    }

    /// Which way and on which of these markets it was.
    pub fn told(&self, markets: &[(PairId, String)]) -> Told {
        let pair = |symbol| markets.iter().find(|market| market.1 == symbol).map(|market| market.0);
        let market = self.symbol.map_or(ToldMarket::Untold, |symbol| ToldMarket::looked_up(pair(symbol)));
        Told { side: self.side(), market }
    }

    /// The venue's refusal; one without a code proves nothing.
    pub fn reject(&self) -> Reject {
        self.code.map_or_else(|| self.ambiguous(), |Code(code)| errors::reject(code))
    }

    /// Amounts of the execution, by `lastFilledSize`. A FILLED order must state a size and a price.
    pub fn executed(&self) -> Result<Executed, WireError> {
        let size = self.last_filled_size.unwrap_or("0");
        let filled = Qty::parse(size.as_bytes())
            .map_err(|_| WireError::new("lastFilledSize", size.as_bytes(), "an exact decimal"))?;
        let price = self.avg_filled_price.or(self.last_filled_price).unwrap_or("0");
        let average = json::price_cut("avgFilledPrice", price)?;
        let told = filled > Qty::ZERO && average > Price::ZERO;
        let nothing = filled.is_zero() && self.status() != Status::Filled;
        if !told && !nothing {
            return Err(WireError::new("lastFilledSize", size.as_bytes(), "a size with its price"));
        }
        let fee = json::usd_cut("fees", self.fees.unwrap_or("0"))?;
        let funding = json::usd_cut("settledFunding", self.settled_funding.unwrap_or("0"))?;
        Ok(Executed { filled, average, fee, funding })
    }

    /// Whether it tells what was filled: the figures of an order that was cancelled may be missing though a part of it
    /// had filled.
    pub fn tells_fill(&self) -> bool {
        !self.tells_a_part() && (self.last_filled_size.is_some() || self.status() != Status::Cancelled)
    }

    /// FILLED with less than its size: the sheet does not say whether `lastFilledSize` counts one execution or all.
    fn tells_a_part(&self) -> bool {
        let qty = |text: Option<&str>| Qty::parse(text?.as_bytes()).ok();
        let part = qty(self.last_filled_size).zip(qty(self.size));
        self.status() == Status::Filled && part.is_some_and(|(filled, size)| filled < size)
    }

    /// Which order it speaks of: by our nonce, else by the venue's id.
    pub fn key(&self) -> Result<OrderKey, WireError> {
        match (self.nonce, self.id) {
            (Some(nonce), _) => Ok(OrderKey::Nonce(nonce)),
            (None, Some(id)) => json::order_id(id).map(OrderKey::Venue),
            (None, None) => Err(WireError::new("order", b"neither nonce nor id", "one of them")),
        }
    }

    /// What the state of the order means for us. Only FILLED and REJECTED settle anything: a cancel does not say how
    /// much had been filled before it, and a partial fill is followed by more, so that both are questions for a query.
    /// A FILLED with a part of its size is such a question as well, and one without readable amounts, beside the error.
    pub fn news(&self, told: Told) -> (OrderNews, Option<WireError>) {
        match self.status() {
            Status::New => (OrderNews::Acked, None),
            Status::Rejected => (OrderNews::Rejected(self.reject()), None),
            Status::Filled if self.tells_a_part() => (OrderNews::Rejected(self.ambiguous()), None),
            Status::Filled => match self.executed() {
                Ok(Executed { filled, average, fee, .. }) => {
                    (OrderNews::Closed { filled, average, fee, reason: Reason::cut("FILLED"), told }, None)
                }
                Err(error) => (OrderNews::Rejected(self.ambiguous()), Some(error)),
            },
            _ => (OrderNews::Rejected(self.ambiguous()), None),
        }
    }

    /// Latest time that the row states.
    pub fn time(&self) -> Nanos {
        json::venue_time(self.last_filled_time.or(self.post_time))
    }

    fn ambiguous(&self) -> Reject {
        Reject {
            class: RejectClass::Ambiguous,
            code: Reason::cut(&quoted(self.status.unwrap_or("no status"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(text: &str) -> (OrderNews, Option<WireError>) {
        json::from_slice::<OrderRow>(text.as_bytes()).unwrap().news(Told::default())
    }

    fn class(text: &str) -> (RejectClass, String) {
        match news(text).0 {
            OrderNews::Rejected(reject) => (reject.class, reject.code.to_string()),
            other => panic!("not a reject: {other:?}"),
        }
    }

    #[test]
    fn a_fill_tells_its_whole_execution() {
        let text = r#"{"status":"FILLED","lastFilledSize":"0.1000","avgFilledPrice":"30000.123456789",
            "fees":"0.01","settledFunding":"0E-8"}"#;
        let expected = OrderNews::Closed {
            filled: Qty::parse(b"0.1").unwrap(),
            average: Price::parse(b"30000.12345678").unwrap(),
            fee: Usd::parse_cut(b"0.01").unwrap(),
            reason: Reason::cut("FILLED"),
            told: Told::default(),
        };
        assert_eq!(news(text), (expected, None));
    }

    #[test]
    fn a_fill_of_less_than_the_order_is_a_question() {
        let text = |size: &str| {
            format!(r#"{{"status":"FILLED","size":"{size}","lastFilledSize":"0.4","avgFilledPrice":"1"}}"#)
        };
        assert_eq!(class(&text("1.0")), (RejectClass::Ambiguous, "FILLED".into()));
        assert!(matches!(news(&text("0.4000")).0, OrderNews::Closed { .. }));
        let row = text("1.0");
        let row: OrderRow<'_> = json::from_slice(row.as_bytes()).unwrap();
        assert!(!row.tells_fill(), "its position does");
        assert_eq!(row.executed().unwrap().filled, Qty::parse(b"0.4").unwrap(), "so much at least");
    }

    #[test]
    fn a_fill_without_amounts_is_a_question() {
        for text in [
            r#"{"status":"FILLED"}"#,
            r#"{"status":"FILLED","lastFilledSize":"0.1"}"#,
            r#"{"status":"FILLED","lastFilledSize":"0","avgFilledPrice":"1"}"#,
            r#"{"status":"FILLED","lastFilledSize":"-1","avgFilledPrice":"1"}"#,
            r#"{"status":"FILLED","lastFilledSize":"0.123456789","avgFilledPrice":"1"}"#,
        ] {
            assert_eq!(class(text), (RejectClass::Ambiguous, "FILLED".into()), "{text}");
            assert!(news(text).1.is_some());
        }
    }

    #[test]
    fn only_fills_and_rejects_settle() {
        assert_eq!(news(r#"{"status":"NEW"}"#).0, OrderNews::Acked);
        assert_eq!(class(r#"{"status":"CANCELLED"}"#), (RejectClass::Ambiguous, "CANCELLED".into()));
        assert_eq!(class(r#"{"status":"PARTIALLY_FILLED"}"#).0, RejectClass::Ambiguous);
        assert_eq!(class(r#"{"status":"MELTED"}"#), (RejectClass::Ambiguous, "MELTED".into()));
        assert_eq!(class(r#"{"status":"REJECTED"}"#).0, RejectClass::Ambiguous);
        let code = (RejectClass::TooLarge, "3010 OI_CAP_EXCEEDED".into());
        assert_eq!(class(r#"{"status":"REJECTED","code":3010}"#), code);
    }
}
