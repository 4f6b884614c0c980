//! The `Http` seam: one blocking HTTPS exchange of the cold path. Production uses ureq over rustls; a simulation answers
//! from memory. Never used by a hot thread.

use thiserror::Error;

/// One HTTP exchange of the cold path.
#[derive(Debug, Default)]
pub struct Request {
    pub method: Method,
    /// Absolute URL. May hold a secret (listen key): never logged.
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    #[default]
    Get,
    Post,
    Put,
    Delete,
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub body: Vec<u8>,
    /// Seconds of a `Retry-After` header.
    pub retry_after_s: Option<u64>,
}

/// Why there was no complete answer. Never holds the URL, which may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct HttpError(pub String);

/// The cold HTTP client that `keeper` lends to a venue's desk: TLS only, no redirects, capped body, total deadline.
/// Any status is an `Ok`.
pub trait Http: Send {
    fn call(&mut self, request: Request) -> Result<Response, HttpError>;
}
