//! One cold call to the venue's REST interface: address, headers, and which replies are a success (sheet `vest`, 2 and
//! 6). Used by `desk`. Never logs; its errors hold no key and no URL.

use serde::Deserialize;

use super::access::{Access, Keys};
use super::{errors, json};
use crate::sys::rest::{Http, Method, Request, Response};
use crate::venue::{DeskError, WireError};

/// Title of the venue in errors.
pub const TITLE: &str = "Vest";

/// What is the same in every call, and the credentials of the private ones.
pub struct Rest {
    base: String,
    group: u32,
    keys: Option<Keys>,
}

impl Rest {
    /// Takes the credentials out of `access`.
    pub fn new(access: &mut Access) -> Self {
        Self { base: access.rest.url.clone(), group: access.group(), keys: access.keys.take() }
    }

    /// Without credentials: paper mode.
    pub const fn is_public_only(&self) -> bool {
        self.keys.is_none()
    }

    /// Routing group of the account; 0 without one.
    pub const fn group(&self) -> u32 {
        self.group
    }

    /// Credentials, or an error that names the call which needs them.
    pub fn keys(&self, what: &'static str) -> Result<&Keys, DeskError> {
        let none = || own_refusal(what, "NO CREDENTIALS", "this call needs an account".to_owned());
        self.keys.as_ref().ok_or_else(none)
    }

    /// Public `GET`. `path` begins with a slash.
    pub fn get(&self, http: &mut dyn Http, what: &'static str, path: &str) -> Result<Response, DeskError> {
        self.send(http, what, self.request(Method::Get, path, None))
    }

    /// Private call: with the API key, and a JSON body where there is one.
    pub fn private(
        &self,
        http: &mut dyn Http,
        what: &'static str,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<Response, DeskError> {
        let mut request = self.request(method, path, body);
        request.headers.push(("X-API-KEY", self.keys(what)?.api_key.expose().to_owned()));
        self.send(http, what, request)
    }

    fn request(&self, method: Method, path: &str, body: Option<String>) -> Request {
        let mut headers = vec![("xrestservermm", format!("restserver{}", self.group))];
        if method == Method::Post || method == Method::Put {
            headers.push(("Content-Type", "application/json".to_owned()));
        }
        Request { method, url: [&self.base, path].concat(), headers, body, ..Request::default() }
    }

    fn send(&self, http: &mut dyn Http, what: &'static str, request: Request) -> Result<Response, DeskError> {
        http.call(request).map_err(|error| DeskError::Unreachable {
            venue: TITLE,
            what,
            why: error.to_string(),
        })
    }
}

/// Reads the reply of a call. Success is a reply of the expected shape with a status of success: errors arrive with
/// status 200 as well. A reply that is neither is unreadable.
pub fn read<'a, T: Deserialize<'a>>(
    what: &'static str,
    response: &'a Response,
    expected: &'static str,
) -> Result<T, DeskError> {
    let success = (200..300).contains(&response.status);
    match json::from_slice::<T>(&response.body) {
        Ok(reply) if success => Ok(reply),
        _ => Err(refused(what, response, expected)),
    }
}

/// As [`read`], for a reply that holds a secret: where it has the wrong shape, none of it is shown.
pub fn read_secret<'a, T: Deserialize<'a>>(
    what: &'static str,
    response: &'a Response,
    expected: &'static str,
) -> Result<T, DeskError> {
    read(what, response, expected).map_err(|error| match error {
        DeskError::Unreadable { .. } => unreadable(what, WireError::new(what, b"(withheld)", expected)),
        other => other,
    })
}

/// Why a reply is not what was asked for: the venue's refusal, or bytes that say nothing known.
pub fn refused(what: &'static str, response: &Response, expected: &'static str) -> DeskError {
    let refusal = errors::read_refusal(response.status, &response.body);
    if refusal.status < 300 && refusal.code.is_none() {
        return unreadable(what, WireError::new(what, &response.body, expected));
    }
    let (status, code) = (refusal.status, refusal.code_text());
    DeskError::Refused { venue: TITLE, what, status, code, message: refusal.message }
}

/// The call was answered, and the answer does not say what it should.
pub fn unreadable(what: &'static str, source: WireError) -> DeskError {
    DeskError::Unreadable { venue: TITLE, what, source }
}

/// A refusal of our own, before or after a call.
pub fn own_refusal(what: &'static str, code: &str, message: String) -> DeskError {
    DeskError::Refused { venue: TITLE, what, status: 0, code: code.to_owned(), message }
}

/// Whether an error is the venue's refusal with this code.
pub fn is_code(error: &DeskError, code: i64) -> bool {
    let is = |text: &str| text.split(' ').next().and_then(|first| first.parse().ok()) == Some(code);
    matches!(error, DeskError::Refused { code, .. } if is(code))
}
