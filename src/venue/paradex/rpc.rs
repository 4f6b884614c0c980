//! JSON-RPC 2.0 as this venue speaks it (sheet 5.1): requests are written into one reused buffer, texts from the venue
//! are read as reply, error or event. Called by `feed`, `session` and `orders`; pure.

use std::borrow::Cow;
use std::fmt::Write;

use serde::Deserialize;
use sonic_rs::LazyValue;

use super::json;
use crate::types::Reject;
use crate::venue::WireError;
use crate::venue::paradex::errors;

/// One text from the venue.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// The request with this id was done.
    Reply { id: u64, result: LazyValue<'a> },
    /// The request with this id was refused; without an id the venue could not even read it.
    Error { id: Option<u64>, error: ErrorJson<'a> },
    /// A message of a channel.
    Event { channel: Cow<'a, str>, data: LazyValue<'a> },
}

/// Error of a reply. `data` is a text or an object.
#[derive(Debug, Deserialize)]
pub struct ErrorJson<'a> {
    pub code: i64,
    #[serde(borrow, default)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<LazyValue<'a>>,
}

impl ErrorJson<'_> {
    /// What it means for an order.
    pub fn refusal(&self) -> Reject {
        let data = self.data.as_ref().map_or("", |data| data.as_raw_str());
        errors::socket_refusal(self.code, [self.message.as_deref().unwrap_or_default(), data])
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default)]
    id: Option<u64>,
    #[serde(borrow, default)]
    result: Option<LazyValue<'a>>,
    #[serde(borrow, default)]
    error: Option<ErrorJson<'a>>,
    #[serde(borrow, default)]
    params: Option<Params<'a>>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    channel: Cow<'a, str>,
    #[serde(borrow)]
    data: LazyValue<'a>,
}

/// Reads one text. Frames may end with a line feed.
pub fn read(text: &[u8]) -> Result<Incoming<'_>, WireError> {
    let envelope: Envelope = json::read("JSON-RPC message", text)?;
    match envelope {
        Envelope { params: Some(Params { channel, data }), .. } => Ok(Incoming::Event { channel, data }),
        Envelope { id, error: Some(error), .. } => Ok(Incoming::Error { id, error }),
        Envelope { id: Some(id), result: Some(result), .. } => Ok(Incoming::Reply { id, result }),
        _ => Err(WireError::new("JSON-RPC message", text, "params, or an id with a result or an error")),
    }
}

/// Writes requests with rising ids into one buffer.
pub struct Requests {
    last_id: u64,
    buffer: String,
}

impl Requests {
    /// With room for the largest request, so that writing never allocates.
    pub fn new(room: usize) -> Self {
        Self { last_id: 0, buffer: String::with_capacity(room) }
    }

    /// Writes a request whose `params` are written by `params`, braces included. Returns its id and its bytes.
    pub fn write(&mut self, method: &str, params: impl FnOnce(&mut String)) -> (u64, &[u8]) {
        self.last_id += 1;
        self.buffer.clear();
        let head =
            write!(self.buffer, "{{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"{method}\"", self.last_id);
        debug_assert!(head.is_ok(), "a String takes every text");
        self.buffer.push_str(",\"params\":");
        params(&mut self.buffer);
        self.buffer.push('}');
        (self.last_id, self.buffer.as_bytes())
    }

    /// Request with one member whose value is a text that needs no escaping (tokens, channels).
    pub fn with_text(&mut self, method: &str, member: &str, value: &str) -> (u64, &[u8]) {
        debug_assert!(is_plain(value), "the value would need escaping");
        self.write(method, |out| {
            for part in ["{\"", member, "\":\"", value, "\"}"] {
                out.push_str(part);
            }
        })
    }
}

/// Whether a text can stand in JSON as it is.
pub fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fuzz::fuzz;
    use crate::types::RejectClass;

    #[test]
    fn requests_are_numbered_and_plain_json() {
        let mut requests = Requests::new(64);
        requests.with_text("auth", "bearer", "a.b-c_d");
        let (id, text) = requests.with_text("subscribe", "channel", "order_book.BTC-USD-PERP.deltas");
        assert_eq!(id, 2);
        let expected = concat!(
            r#"{"jsonrpc":"2.0","id":2,"method":"subscribe","#,
            r#""params":{"channel":"order_book.BTC-USD-PERP.deltas"}}"#
        );
        assert_eq!(std::str::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn recorded_replies_errors_and_events_are_told_apart() {
        let ack = br#"{"jsonrpc":"2.0","id":1,"result":{"channel":"order_book.BTC-USD-PERP.deltas"},
            "usIn":1791421535351531,"usDiff":143,"usOut":1791421535351674}
"#;
        assert!(matches!(read(ack), Ok(Incoming::Reply { id: 1, .. })));
        let refused = br#"{"jsonrpc":"2.0","id":1,"error":{"code":-32600,
            "message":"invalid subscribe request","data":"no parameters expected for deltas topic."}}"#;
        let Ok(Incoming::Error { id: Some(1), error }) = read(refused) else { panic!("not an error") };
        assert_eq!(error.code, -32600);
        assert_eq!(error.refusal().class, RejectClass::Definitive);
        let event =
            br#"{"jsonrpc":"2.0","method":"subscription","params":{"channel":"account","data":{"a":1}}}"#;
        let Ok(Incoming::Event { channel, data }) = read(event) else { panic!("not an event") };
        assert_eq!((&*channel, data.as_raw_str()), ("account", r#"{"a":1}"#));
    }

    #[test]
    fn what_is_none_of_them_is_refused() {
        for text in ["", "{}", "[]", "null", r#"{"id":1}"#, r#"{"id":"1","result":{}}"#, r#"{"id":1,"id":2}"#]
        {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn no_damage_panics() {
        let seed = br#"{"jsonrpc":"2.0","id":4,"error":{"code":-32601,
            "message":"method \"x\" does not exist","data":{"a":[1]}}}"#;
        fuzz("paradex JSON-RPC", &[seed.to_vec()], |bytes| match read(bytes) {
            Ok(Incoming::Error { error, .. }) => error.refusal().code.as_str().len() <= 64,
            told => told.is_ok(),
        });
    }
}
