//! The vocabulary of both wires: a request as it arrives, an answer and when it is due, a frame of a socket.
//!
//! Pure values, shared by `vest`, `paradex` and `stage`. Nothing here knows a venue, a socket or a clock.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::core::fault::Http;

/// Decoded parameters of a URL.
pub type Params = BTreeMap<String, String>;

/// A REST request whose last byte has arrived.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub method: &'a str,
    /// As on the request line: `/v2/orders?time=1`.
    pub path_and_query: &'a str,
    /// Names in any case.
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    pub fn path(&self) -> &'a str {
        self.path_and_query.split_once('?').map_or(self.path_and_query, |(path, _)| path)
    }

    pub fn params(&self) -> Params {
        params_of(self.path_and_query)
    }

    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    pub fn is_json(&self) -> bool {
        self.header("content-type").is_some_and(|kind| kind.starts_with("application/json"))
    }
}

/// A request that is kept for later.
#[derive(Debug, Clone)]
pub struct Letter {
    method: String,
    path_and_query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Letter {
    pub fn of(request: &Request) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            method: request.method.to_owned(),
            path_and_query: request.path_and_query.to_owned(),
            headers: request.headers.iter().map(owned).collect(),
            body: request.body.to_vec(),
        }
    }

    /// Hands the request over again.
    pub fn read<R>(&self, act: impl FnOnce(&Request) -> R) -> R {
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        act(&Request {
            method: &self.method,
            path_and_query: &self.path_and_query,
            headers: &headers,
            body: &self.body,
        })
    }
}

/// What a venue answers to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    /// Lower-case names.
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// Made by a fault: it goes out exactly so, nothing is added.
    pub is_fault: bool,
}

impl Response {
    pub fn json(status: u16, body: &Value) -> Self {
        Self::of(status, "application/json", body.to_string())
    }

    pub fn of(status: u16, kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type", kind.to_owned())], body: body.into(), is_fault: false }
    }

    /// What a fault rule wants answered, exactly.
    pub fn of_fault(http: &Http) -> Self {
        let retry = http.retry_after.clone().map(|text| ("retry-after", text));
        let headers = [("content-type", http.content_type.clone())].into_iter().chain(retry).collect();
        Self { status: http.status, headers, body: http.body.clone().into_bytes(), is_fault: true }
    }

    /// A status and nothing else.
    pub fn bare(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), is_fault: false }
    }
}

/// What follows from a request, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    At {
        due_us: i64,
        result: T,
    },
    /// The request is held up on its way: hand it in again at this time, held.
    Hold {
        until_us: i64,
    },
    /// Stay silent; leave the connection as it is.
    Never,
}

impl<T> Answer<T> {
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Answer::At { due_us, result } => Answer::At { due_us, result: change(result) },
            Answer::Hold { until_us } => Answer::Hold { until_us },
            Answer::Never => Answer::Never,
        }
    }
}

/// A frame that a venue sends on a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    Text(String),
    Binary(Vec<u8>),
    Ping,
    Pong,
    /// The last frame: the venue closes with this code.
    Close(u16),
    /// The connection is gone without a word.
    Gone,
}

/// What a text on a socket leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    Send(Frame),
    /// Hand this text in again, held: a fault kept it on its way.
    Repeat(String),
}

/// An effect and when it is due, Unix microseconds.
pub type Due = (i64, Effect);

/// The decoded parameters behind the `?`.
pub fn params_of(path_and_query: &str) -> Params {
    let query = path_and_query.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(k, v)| (decoded(k), decoded(v)))
        .collect()
}

/// Undoes percent encoding; what is no encoding stays as it is.
pub fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut plain, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                plain.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', ..) => plain.push(b' '),
            _ => plain.push(*byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_falls_into_path_and_parameters() {
        let headers = [("Content-Type", "application/json")];
        let request = Request {
            method: "GET",
            path_and_query: "/v2/orders?id=0x1%2C0x2&time=5&flag",
            headers: &headers,
            body: b"",
        };
        assert_eq!((request.path(), request.is_json()), ("/v2/orders", true));
        let params = request.params();
        assert_eq!((params["id"].as_str(), params["flag"].as_str()), ("0x1,0x2", ""));
        assert_eq!(Letter::of(&request).read(|again| again.params()), params);
    }

    #[test]
    fn a_broken_encoding_is_left_alone() {
        assert_eq!(decoded("a%2"), "a%2");
        assert_eq!(decoded("%zz+%41"), "%zz A");
    }
}
