//! The REST client of one account (sheet 2.6, 4): calls, tokens, pages, and how a refusal becomes an error. Owned by
//! `desk`. Tokens and signed headers leave this file only towards the venue; no error holds what `/auth` answered.

use super::json;
use super::rest::{ErrorBody, TokenJson};
use super::sign::Signer;
use super::{VENUE, auth, errors, rpc};
use crate::sys::rest::{Http, HttpError, Method, Request, Response};
use crate::types::{Nanos, Profile, Secret, quoted};
use crate::venue::{DeskError, WireError};

/// Pages of one list read at most; a longer list is an error and never taken for its beginning.
const PAGES_MAX: usize = 8;
/// What a log-in is called in errors.
const LOGIN: &str = "log-in";

/// REST client with the token of one account, or without credentials for public calls only.
pub struct Client {
    rest_url: String,
    profile: Profile,
    signer: Option<Signer>,
    token: Option<Token>,
}

struct Token {
    jwt: Secret,
    minted: Nanos,
}

/// How a list goes on.
pub enum Next {
    Enough,
    /// Cursor of the next page; empty = there is none.
    Page(String),
}

impl Client {
    pub fn new(rest_url: String, profile: Profile, signer: Option<Signer>) -> Self {
        Self { rest_url, profile, signer, token: None }
    }

    /// Who signs; `None` without credentials.
    pub fn signer(&self) -> Option<&Signer> {
        self.signer.as_ref()
    }

    /// The token at hand.
    pub fn token(&self) -> Option<&Secret> {
        self.token.as_ref().map(|token| &token.jwt)
    }

    /// When the token wants renewing: at once without one, never without credentials.
    pub fn login_due(&self) -> Nanos {
        match (&self.signer, &self.token) {
            (None, _) => Nanos(u64::MAX),
            (Some(_), None) => Nanos::NEVER,
            (Some(_), Some(token)) => token.minted.plus_ms(auth::TOKEN_RENEW_MS),
        }
    }

    /// Gets a new token where one is due.
    pub fn login(&mut self, http: &mut dyn Http, now: Nanos) -> Result<(), DeskError> {
        if self.token.is_some() && now < self.login_due() {
            return Ok(());
        }
        self.renew(http, now)
    }

    /// Gets a new token whatever the age of the one at hand, which the venue may have revoked. That one stays until the
    /// new one has been read: mostly it is still good, and calls need it while log-ins fail. One that the venue refuses
    /// goes with that call ([`Client::private`]).
    pub fn renew(&mut self, http: &mut dyn Http, now: Nanos) -> Result<(), DeskError> {
        let Some(signer) = &self.signer else { return Ok(()) };
        let bad = |expected| unreadable(LOGIN, WireError::new("POST /auth", b"(withheld)", expected));
        let headers = auth::headers(signer, now).ok_or_else(|| bad("a hash that can be signed"))?;
        let path = auth::path(signer, self.profile);
        let body = self.exchange(http, LOGIN, Method::Post, &path, headers, None)?;
        let read = json::read::<TokenJson>(LOGIN, &body).map_err(|_| bad("a jwt_token"))?;
        if read.jwt_token.is_empty() || !rpc::is_plain(&read.jwt_token) {
            return Err(bad("a jwt_token of plain characters"));
        }
        self.token = Some(Token { jwt: Secret::new(read.jwt_token), minted: now });
        Ok(())
    }

    /// A call with the token at hand, if there is one.
    pub fn call(
        &self,
        http: &mut dyn Http,
        what: &'static str,
        method: Method,
        path: &str,
    ) -> Result<Vec<u8>, DeskError> {
        self.call_with(http, what, method, path, None)
    }

    fn call_with(
        &self,
        http: &mut dyn Http,
        what: &'static str,
        method: Method,
        path: &str,
        body: Option<&str>,
    ) -> Result<Vec<u8>, DeskError> {
        let bearer = |token: &Token| ("Authorization", format!("Bearer {}", token.jwt.expose()));
        let mut headers: Vec<_> = self.token.as_ref().map(bearer).into_iter().collect();
        headers.extend(body.map(|_| ("Content-Type", "application/json".to_owned())));
        self.exchange(http, what, method, path, headers, body)
    }

    /// A private call: with a token that is still good, and once more with a new one where the venue says it is not.
    pub fn private(
        &mut self,
        http: &mut dyn Http,
        now: Nanos,
        what: &'static str,
        method: Method,
        path: &str,
    ) -> Result<Vec<u8>, DeskError> {
        self.private_with(http, now, what, method, path, None)
    }

    /// As [`Client::private`] with a body; after a refused token it is the very same one.
    pub fn private_with(
        &mut self,
        http: &mut dyn Http,
        now: Nanos,
        what: &'static str,
        method: Method,
        path: &str,
        body: Option<&str>,
    ) -> Result<Vec<u8>, DeskError> {
        let usable = |token: &Token| now.ms_since(token.minted) < auth::TOKEN_USABLE_MS;
        if !self.token.as_ref().is_some_and(usable) {
            self.token = None;
            self.login(http, now)?;
        }
        match self.call_with(http, what, method, path, body) {
            Err(DeskError::Refused { status: 401, .. }) => {
                self.token = None;
                self.login(http, now)?;
                self.call_with(http, what, method, path, body)
            }
            answer => answer,
        }
    }

    fn exchange(
        &self,
        http: &mut dyn Http,
        what: &'static str,
        method: Method,
        path: &str,
        headers: Vec<(&'static str, String)>,
        body: Option<&str>,
    ) -> Result<Vec<u8>, DeskError> {
        let url = format!("{}{path}", self.rest_url);
        let body = body.map(str::to_owned);
        let answer = http.call(Request { method, url, headers, body, ..Request::default() });
        let unreachable =
            |error: HttpError| DeskError::Unreachable { venue: VENUE.title, what, why: error.to_string() };
        let Response { status, body, .. } = answer.map_err(unreachable)?;
        if (200..300).contains(&status) { Ok(body) } else { Err(refused(what, status, &body)) }
    }

    /// Reads every page of a list; `visit` says whether it has seen enough.
    pub fn pages(
        &mut self,
        http: &mut dyn Http,
        now: Nanos,
        what: &'static str,
        path: &str,
        visit: &mut dyn FnMut(&[u8]) -> Result<Next, WireError>,
    ) -> Result<(), DeskError> {
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let page = match &cursor {
                None => path.to_owned(),
                Some(cursor) => format!("{path}&cursor={}", escaped(cursor)),
            };
            let body = self.private(http, now, what, Method::Get, &page)?;
            match visit(&body).map_err(|source| unreadable(what, source))? {
                Next::Page(next) if !next.is_empty() => cursor = Some(next),
                _ => return Ok(()),
            }
        }
        Err(unreadable(what, WireError::new("list", b"page after page", "an end within 8 pages")))
    }
}

fn refused(what: &'static str, status: u16, body: &[u8]) -> DeskError {
    let (code, message) = match json::read::<ErrorBody>(what, body) {
        Ok(told) => (quoted(&told.error), quoted(told.message.as_deref().unwrap_or_default())),
        Err(_) => ("none".to_owned(), "the body is not an error of this venue".to_owned()),
    };
    DeskError::Refused { venue: VENUE.title, what, status, code, message }
}

/// An answer that does not say what it should.
pub fn unreadable(what: &'static str, source: WireError) -> DeskError {
    DeskError::Unreadable { venue: VENUE.title, what, source }
}

/// The venue is another one than the configuration says.
pub fn elsewhere(source: WireError) -> DeskError {
    DeskError::Elsewhere { venue: VENUE.title, source }
}

/// The log-in failed that the call needed: the call itself did not leave, or was refused for its token.
pub fn is_of_login(error: &DeskError) -> bool {
    let (DeskError::Unreachable { what, .. }
    | DeskError::Refused { what, .. }
    | DeskError::Unreadable { what, .. }) = error
    else {
        return false;
    };
    *what == LOGIN
}

/// The venue answered that the order is not among the open ones. A bare 404 of something in between does not say so.
pub fn says_not_open(error: &DeskError) -> bool {
    matches!(error, DeskError::Refused { status: 400 | 404, code, .. } if errors::says_not_open(code))
}

/// A cursor as it may stand in a query.
fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
