//! The service: routes, shared state, and what every call passes: rate limits, headers, bearer tokens.
//!
//! `Sim::start` calls [`router`]. Locks are taken in one order, core then desk, and never held across an
//! await. Source: Paradex sheet §4.3, §4.4.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};

use super::desk::{Answer, Desk, Principal};
use super::directory::Directory;
use super::error::ApiError;
use super::feed::Look;
use super::limits::{Scope, Standing};
use super::session::Floor;
use super::{felt, rest_private, rest_public, ws};
use crate::core::fault::Class;
use crate::core::{BookUpdate, Reject};
use crate::venue::Venue;

/// Owner of the per-address budgets: everybody is on loopback.
const LOOPBACK: &str = "127.0.0.1";

/// What all handlers share.
pub struct App {
    pub venue: Arc<Venue>,
    pub directory: Arc<Directory>,
    desk: Mutex<Desk>,
    connections: AtomicU64,
}

/// A reply of a handler: JSON, or a refusal in the venue's words.
pub type Reply = Result<Json<serde_json::Value>, ApiError>;

/// The Paradex service of a venue. Panics when a key of the options is no field element.
pub fn router(venue: Arc<Venue>) -> Router {
    let markets = venue.with(|exchange, _| exchange.spec().markets.clone());
    let seed = venue.with(|exchange, _| exchange.spec().seed);
    let Some(directory) = Directory::of(&venue.keys, markets) else {
        panic!("the Paradex keys of the options must be hexadecimal field elements")
    };
    let directory = Arc::new(directory);
    let desk = Mutex::new(Desk::new(directory.clone(), seed));
    let app = Arc::new(App { venue, directory, desk, connections: AtomicU64::new(1) });
    Router::new()
        .nest("/v1", rest_public::routes().merge(rest_private::routes()))
        .route("/v1", axum::routing::get(ws::upgrade))
        .fallback(unknown_path)
        .layer(middleware::from_fn_with_state(app.clone(), limit))
        .with_state(app)
}

impl App {
    /// Acts on exchange and desk at this moment.
    pub fn floor<R>(&self, act: impl FnOnce(&mut Floor) -> R) -> R {
        self.venue.with(|exchange, now_us| {
            let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
            desk.revoked_us = self.venue.revoked_before_us();
            act(&mut Floor { now_us, desk: &mut desk, exchange })
        })
    }

    /// A number for the next connection.
    pub fn serial(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }

    /// Passes a read or a log-in through the fault rules; returns when it may be answered.
    pub async fn gate(&self, class: Class) -> Result<(), ApiError> {
        match self.venue.gate(class).await {
            None => std::future::pending().await,
            Some(Ok(())) => Ok(()),
            Some(Err(Reject::Injected { code, message })) => Err(ApiError::bad_request(&code, message)),
            Some(Err(other)) => Err(ApiError::validation(format!("{other:?}"))),
        }
    }

    /// Asks until there is an answer, and returns it when it is due.
    pub async fn answered<T>(
        &self,
        mut ask: impl FnMut(&mut Floor, bool) -> Answer<T>,
    ) -> Result<T, ApiError> {
        let mut held = false;
        loop {
            match self.floor(|floor| ask(floor, held)) {
                Answer::Never => std::future::pending().await,
                Answer::Hold { until_us } => {
                    self.venue.wait_until(until_us).await;
                    held = true;
                }
                Answer::At { due_us, result } => {
                    self.venue.wait_until(due_us).await;
                    return result;
                }
            }
        }
    }
}

impl Look for App {
    fn snapshot(&self, market: usize) -> BookUpdate {
        self.venue.with(|exchange, now_us| exchange.snapshot(market, now_us))
    }

    fn order_note(&self, id: &str) -> String {
        self.venue.with(|exchange, _| exchange.order(id).map(|order| order.note.clone()).unwrap_or_default())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self.body())).into_response()
    }
}

impl FromRequestParts<Arc<App>> for Principal {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Principal, ApiError> {
        let missing = || ApiError::invalid_token("invalid bearer jwt: missing value in request header");
        let token = bearer(&parts.headers).ok_or_else(missing)?;
        app.floor(|floor| floor.desk.principal(floor.now_us, token))
    }
}

/// The token of an `Authorization: Bearer` header.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

async fn unknown_path() -> ApiError {
    ApiError::not_found("NOT_FOUND", "path not found")
}

/// Spends one request of its scope and puts the standing on the response, whatever it is.
async fn limit(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let standing = app.floor(|floor| {
        let scope = scope_of(request.method(), request.uri().path());
        let owner = owner_of(floor, scope, request.headers());
        floor.desk.spend(floor.now_us, scope, &owner)
    });
    let now_s = app.venue.now_us() / 1_000_000;
    match standing {
        Ok(standing) => with_standing(next.run(request).await, standing, now_s),
        Err(standing) => with_standing(ApiError::too_many().into_response(), standing, now_s),
    }
}

fn scope_of(method: &Method, path: &str) -> Scope {
    let path = path.strip_prefix("/v1").unwrap_or(path);
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    match (method, first) {
        (_, "") => Scope::Connect,
        (&Method::POST, "auth" | "onboarding") => Scope::Auth,
        (&Method::POST | &Method::PUT | &Method::DELETE, "orders") => Scope::Orders,
        (_, "system" | "markets" | "bbo" | "orderbook" | "trades" | "onboarding") => Scope::Public,
        _ => Scope::PrivateGet,
    }
}

/// Per-account scopes belong to the token's account; all others, and bad tokens, to the address.
fn owner_of(floor: &Floor, scope: Scope, headers: &HeaderMap) -> String {
    let by_account = matches!(scope, Scope::Orders | Scope::PrivateGet);
    let token = bearer(headers).filter(|_| by_account);
    let who = token.and_then(|token| floor.desk.principal(floor.now_us, token).ok());
    who.map_or(LOOPBACK.to_owned(), |who| felt::to_hex(&floor.desk.directory.address(who.account)))
}

fn with_standing(mut response: Response, standing: Standing, now_s: i64) -> Response {
    let limited = response.status() == StatusCode::TOO_MANY_REQUESTS;
    let retry_after = if limited { standing.retry_after_s.max(1) } else { standing.retry_after_s };
    let values = [
        ("x-ratelimit-limit", standing.limit),
        ("x-ratelimit-remaining", standing.remaining),
        ("x-ratelimit-reset", now_s + standing.reset_s),
        ("x-ratelimit-window", standing.window_s),
        ("retry-after", retry_after),
    ];
    for (name, value) in values {
        response.headers_mut().insert(name, HeaderValue::from(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_in_their_scope() {
        let scope = |method: Method, path: &str| scope_of(&method, path);
        assert_eq!(scope(Method::GET, "/v1"), Scope::Connect);
        assert_eq!(scope(Method::POST, "/v1/auth/0x1"), Scope::Auth);
        assert_eq!(scope(Method::DELETE, "/v1/orders/1"), Scope::Orders);
        assert_eq!(scope(Method::GET, "/v1/orders/1"), Scope::PrivateGet);
        assert_eq!(scope(Method::GET, "/v1/markets/summary"), Scope::Public);
    }
}
