//! The `Http` seam: one blocking HTTPS exchange of the cold path. Production uses ureq over our own connections; a
//! simulation answers from memory. Never used by a hot thread.

use std::fmt;
use std::io::{Read, Write};
use std::time::Duration;

use thiserror::Error;
use ureq::config::AutoHeaderValue;
use ureq::http::{self, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Agent, AsSendBody};

use super::clock::Deadline;
use super::retry_after::RetryAfter;
use super::socket::{DialError, Dialer, Pace, TlsStream};
use super::url::{Scheme, SecureUrl};
use crate::types::limits::{HTTP_BODY_MAX, HTTP_DEADLINE_MS, HTTP_HEAD_MAX};

/// One HTTP exchange of the cold path. No `Debug`: URL, headers and body may hold secrets.
pub struct Request {
    pub method: Method,
    /// Absolute URL. May hold a secret (listen key): never logged.
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Option<String>,
    /// How long the whole answer is waited for, ms; at most [`HTTP_DEADLINE_MS`].
    pub deadline_ms: u64,
}

impl Default for Request {
    fn default() -> Self {
        let (method, url, headers, body) = Default::default();
        Self { method, url, headers, body, deadline_ms: HTTP_DEADLINE_MS }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    #[default]
    Get,
    Post,
    Put,
    Delete,
}

/// What came back. No `Debug`: it may be a token.
pub struct Response {
    pub status: u16,
    pub body: Vec<u8>,
    pub retry_after: Option<RetryAfter>,
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

/// The real one: keeps its connections alive, ends every exchange after its deadline, follows no redirect, uses no
/// proxy and repeats nothing.
#[derive(Debug)]
pub struct UreqHttp(Agent);

impl UreqHttp {
    pub fn new(dialer: Dialer) -> Self {
        let config = Agent::config_builder()
            .https_only(true)
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .max_response_header_size(HTTP_HEAD_MAX)
            .user_agent(concat!("bot4/", env!("CARGO_PKG_VERSION")))
            .accept_encoding(AutoHeaderValue::None)
            .build();
        Self(Agent::with_parts(config, Dial(dialer), NoResolver))
    }
}

impl Http for UreqHttp {
    fn call(&mut self, request: Request) -> Result<Response, HttpError> {
        let url = SecureUrl::parse(&request.url).and_then(|url| url.with_scheme(Scheme::Https));
        let host = url.map_err(|error| HttpError(error.to_string()))?.authority();
        let deadline_ms = request.deadline_ms;
        let failed = |error| HttpError(explain(&host, deadline_ms, &error));
        run(&self.0, request).and_then(read).map_err(failed)
    }
}

impl Method {
    const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// Sends with a length, never in chunks; POST and PUT without a body say that theirs is empty.
fn run(agent: &Agent, request: Request) -> Result<http::Response<ureq::Body>, ureq::Error> {
    let start = http::Request::builder().method(request.method.name()).uri(request.url);
    let headers = request.headers.into_iter();
    let head = headers.fold(start, |head, (name, value)| head.header(name, value));
    let deadline = Duration::from_millis(request.deadline_ms.min(HTTP_DEADLINE_MS));
    match (request.body, request.method) {
        (Some(body), _) => run_until(agent, head.body(body)?, deadline),
        (None, Method::Post | Method::Put) => run_until(agent, head.body(String::new())?, deadline),
        (None, Method::Get | Method::Delete) => run_until(agent, head.body(())?, deadline),
    }
}

fn run_until(
    agent: &Agent,
    request: http::Request<impl AsSendBody>,
    deadline: Duration,
) -> Result<http::Response<ureq::Body>, ureq::Error> {
    agent.run(agent.configure_request(request).timeout_global(Some(deadline)).build())
}

fn read(mut response: http::Response<ureq::Body>) -> Result<Response, ureq::Error> {
    let header = response.headers().get("retry-after");
    let retry_after = header.and_then(|value| RetryAfter::read(value.as_bytes()));
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(HTTP_BODY_MAX as u64).read_to_vec()?;
    Ok(Response { status, body, retry_after })
}

/// What went wrong, without anything that ureq may quote of the request.
fn explain(host: &str, deadline_ms: u64, error: &ureq::Error) -> String {
    let why = match error {
        ureq::Error::Timeout(_) => format!("no complete answer within {deadline_ms} ms"),
        ureq::Error::BodyExceedsLimit(_) => format!("answer larger than {HTTP_BODY_MAX} bytes"),
        ureq::Error::LargeResponseHeader(..) => format!("answer's head larger than {HTTP_HEAD_MAX} bytes"),
        ureq::Error::Io(error) => format!("connection lost: {error}"),
        ureq::Error::Http(_) => "the request holds a malformed URL or header".to_owned(),
        // Our own, which names the host itself.
        ureq::Error::Other(error) if error.is::<DialError>() => return error.to_string(),
        _ => "answer is not HTTP".to_owned(),
    };
    format!("{host}: {why}")
}

/// Hands ureq connections that were made the one way that we make them.
struct Dial(Dialer);

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dial")
    }
}

impl Connector for Dial {
    type Out = Wire;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Wire>, ureq::Error> {
        let other = |error| ureq::Error::Other(error);
        let url = SecureUrl::parse(&details.uri.to_string()).map_err(|error| other(error.into()))?;
        let stream = self.0.dial(&url, deadline(details.timeout)).map_err(|error| other(error.into()))?;
        let buffers =
            LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Wire { stream, buffers }))
    }
}

/// The dialer looks names up itself.
#[derive(Debug)]
struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(
        &self,
        _: &Uri,
        _: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

/// One connection under ureq.
#[derive(Debug)]
struct Wire {
    stream: TlsStream,
    buffers: LazyBuffers,
}

impl Transport for Wire {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_pace(Pace::Until(deadline(timeout)))?;
        self.stream.write_all(self.buffers.output().get(..amount).unwrap_or_default())?;
        Ok(self.stream.flush()?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_pace(Pace::Until(deadline(timeout)))?;
        let n = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(n);
        Ok(n > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.is_quiet()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

/// ureq's own notion of "never" does not fit a clock.
fn deadline(timeout: NextTimeout) -> Deadline {
    Deadline::after((*timeout.after).min(Duration::from_millis(HTTP_DEADLINE_MS)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::loopback::{Flaw, Loopback, ServerStream, read_request, send};

    const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

    fn http(server: &Loopback) -> UreqHttp {
        UreqHttp::new(server.dialer())
    }

    fn get(url: String) -> Request {
        Request { url, ..Request::default() }
    }

    /// Serves one connection per exchange and returns what the client made of it.
    fn exchange(conduct: impl FnMut(&mut ServerStream) + Send + 'static) -> Result<Response, HttpError> {
        let server = Loopback::serve(Flaw::Nothing, 1, conduct);
        http(&server).call(get(server.text("https", "/x?listenKey=CANARY")))
    }

    #[test]
    fn one_connection_serves_many_exchanges_of_every_method() {
        let server = Loopback::serve(Flaw::Nothing, 1, |stream| {
            for _ in 0..4 {
                let request = read_request(stream);
                let line = request.split(|&byte| byte == b'\r').next().unwrap();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", line.len());
                send(stream, &[head.as_bytes(), line].concat());
            }
        });
        let mut http = http(&server);
        for (method, body) in [
            (Method::Get, None),
            (Method::Post, Some("{}".to_owned())),
            (Method::Put, None),
            (Method::Delete, None),
        ] {
            let headers = vec![("X-Key", "k".to_owned())];
            let response = http
                .call(Request {
                    method,
                    url: server.text("https", "/p"),
                    headers,
                    body,
                    ..Request::default()
                })
                .unwrap();
            assert_eq!(response.body, format!("{} /p HTTP/1.1", method.name()).into_bytes());
        }
    }

    #[test]
    fn a_body_is_sent_whole_with_its_headers() {
        let server = Loopback::serve(Flaw::Nothing, 1, |stream| {
            let request = String::from_utf8(read_request(stream)).unwrap().to_lowercase();
            let sized = request.contains("content-length: 7\r\n") && request.ends_with("{\"a\":1}");
            let ok = sized && request.contains("x-key: k\r\n") && !request.contains("accept-encoding");
            send(stream, if ok { REPLY } else { b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n" });
        });
        let headers = vec![("X-Key", "k".to_owned())];
        let body = Some("{\"a\":1}".to_owned());
        let request = Request {
            method: Method::Post,
            url: server.text("https", "/p"),
            headers,
            body,
            ..Request::default()
        };
        assert_eq!(http(&server).call(request).unwrap().status, 200);
    }

    #[test]
    fn any_status_is_an_answer_and_redirects_are_not_followed() {
        for head in ["302 Found\r\nLocation: https://localhost:1/", "429 Slow\r\nRetry-After: 7", "500 Oops"]
        {
            let reply = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n");
            let response = exchange(move |stream| {
                read_request(stream);
                send(stream, reply.as_bytes());
            });
            let response = response.unwrap();
            assert!(head.starts_with(&response.status.to_string()));
            assert_eq!(response.retry_after, head.contains("429").then_some(RetryAfter::Wait(7_000)));
        }
    }

    #[test]
    fn chunked_answers_split_at_every_byte_are_whole() {
        const CHUNKED: &[u8] =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        for at in 1..CHUNKED.len() {
            let response = exchange(move |stream| {
                read_request(stream);
                send(stream, &CHUNKED[..at]);
                send(stream, &CHUNKED[at..]);
            });
            assert_eq!(response.unwrap().body, b"abcde", "split at {at}");
        }
    }

    #[test]
    fn an_answer_cut_short_is_an_error_without_the_url() {
        for at in [0, 10, REPLY.len() - 1] {
            let error = exchange(move |stream| {
                read_request(stream);
                send(stream, &REPLY[..at]);
            });
            let error = error.err().unwrap().to_string();
            assert!(error.starts_with("localhost:") && !error.contains("CANARY"), "cut at {at}: {error}");
        }
    }

    #[test]
    fn an_answer_that_is_too_large_or_not_http_is_refused() {
        let replies: [Vec<u8>; 3] = [
            [&b"HTTP/1.1 200 OK\r\nContent-Length: 4194305\r\n\r\n"[..], &vec![b'a'; HTTP_BODY_MAX + 1]]
                .concat(),
            [&b"HTTP/1.1 200 OK\r\nX: "[..], &vec![b'a'; 2 * HTTP_HEAD_MAX]].concat(),
            b"SSH-2.0-OpenSSH\r\n\r\n".to_vec(),
        ];
        for (reply, words) in replies.into_iter().zip(["answer larger", "head larger", "not HTTP"]) {
            let error = exchange(move |stream| {
                read_request(stream);
                send(stream, &reply);
            });
            let error = error.err().unwrap().to_string();
            assert!(error.contains(words), "{words}: {error}");
        }
    }

    #[test]
    fn plaintext_and_bad_certificates_are_refused_without_the_url() {
        let server = Loopback::serve(Flaw::Nothing, 0, |_| {});
        for scheme in ["http", "wss", "ftp"] {
            let error = http(&server).call(get(server.text(scheme, "/?CANARY"))).err().unwrap().to_string();
            assert!(!error.contains("CANARY") && error.contains("scheme"), "{error}");
        }
        for (flaw, word) in Flaw::BAD {
            let server = Loopback::serve(flaw, 1, |_| {});
            let error = http(&server).call(get(server.text("https", "/?CANARY"))).err().unwrap().to_string();
            assert!(error.contains(word) && !error.contains("CANARY"), "{flaw:?}: {error}");
        }
    }

    #[test]
    fn a_malformed_header_is_refused_without_its_value() {
        let server = Loopback::serve(Flaw::Nothing, 0, |_| {});
        let headers = vec![("Authorization", "CANARY\r\nX: y".to_owned())];
        let error = http(&server).call(Request { headers, ..get(server.text("https", "/")) }).err().unwrap();
        assert!(error.to_string().contains("malformed") && !error.to_string().contains("CANARY"), "{error}");
    }
}
