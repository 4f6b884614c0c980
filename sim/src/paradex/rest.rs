//! The REST service: routes, and what every call passes: rate limits, headers, bearer tokens, fault rules.
//!
//! Pure: a request and the time go in, an answer and its time come out. Source: Paradex sheet §4.3, §4.4.

use serde_json::Value;

use super::desk::{Answer, Principal, order_error};
use super::error::ApiError;
use super::felt;
use super::limits::{Scope, Standing};
use super::session::Floor;
use super::{rest_private, rest_public};
use crate::core::Reply;
use crate::core::fault::Class;
use crate::wire::{self, Params, Request, Response, decoded};

/// Owner of the per-address budgets: everybody is on loopback.
const LOOPBACK: &str = "127.0.0.1";

/// What a handler answers: JSON, or a refusal in the venue's words.
pub type Outcome = Result<Value, ApiError>;

/// A request on its way to its handler.
pub struct Visit<'a> {
    pub request: &'a Request<'a>,
    pub params: &'a Params,
    /// It was handed back by `Answer::Hold`.
    pub held: bool,
}

/// Answers a request below `/v1`. `held` marks one that was handed back by `Answer::Hold`.
pub fn call(floor: &mut Floor, request: &Request, held: bool) -> wire::Answer<Response> {
    let scope = scope_of(request.method, request.path());
    let owner = owner_of(floor, scope, request);
    let now_s = floor.now_us / 1_000_000;
    let standing = match held {
        true => Ok(floor.desk.standing(floor.now_us, scope, &owner)),
        false => floor.desk.spend(floor.now_us, scope, &owner),
    };
    match standing {
        Ok(standing) => {
            let params = request.params();
            let visit = Visit { request, params: &params, held };
            route(floor, &visit).map(|response| with_standing(response, standing, now_s))
        }
        Err(standing) => {
            let response = with_standing(ApiError::too_many().respond(), standing, now_s);
            wire::Answer::At { due_us: floor.now_us, result: response }
        }
    }
}

fn route(floor: &mut Floor, visit: &Visit) -> wire::Answer<Response> {
    let path = visit.request.path();
    let steps: Vec<String> = path.split('/').skip(1).map(decoded).collect();
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    let answer = match (visit.request.method, steps.as_slice()) {
        (method, ["v1", rest @ ..]) => rest_public::route(floor, visit, method, rest)
            .or_else(|| rest_private::route(floor, visit, method, rest)),
        _ => None,
    };
    let nowhere = || now(floor, Err(ApiError::not_found("NOT_FOUND", "path not found")));
    answer.unwrap_or_else(nowhere)
}

/// An answer that is due at once.
pub fn now(floor: &Floor, outcome: Outcome) -> wire::Answer<Response> {
    responded(200, Answer::At { due_us: floor.now_us, result: outcome })
}

/// The answer as a response, of `status` when nothing is refused.
pub fn responded(status: u16, answer: Answer<Value>) -> wire::Answer<Response> {
    answer.map(|outcome| match outcome {
        Ok(_) if status == 204 => Response::bare(204),
        Ok(body) => Response::json(status, &body),
        Err(error) => error.respond(),
    })
}

/// Passes a read or a log-in through the fault rules, then lets it act; nothing but the answer is late.
pub fn gated(
    floor: &mut Floor,
    visit: &Visit,
    class: Class,
    act: impl FnOnce(&mut Floor) -> Outcome,
) -> wire::Answer<Response> {
    let answer = match floor.exchange.gate(floor.now_us, class, visit.held) {
        Reply::Hold { until_us } => Answer::Hold { until_us },
        Reply::Never => Answer::Never,
        Reply::At { due_us, result } => {
            let passed = result.map_err(|reject| order_error(&reject));
            Answer::At { due_us, result: passed.and_then(|()| act(floor)) }
        }
    };
    responded(200, answer)
}

/// The token of an `Authorization: Bearer` header.
pub fn bearer<'a>(request: &Request<'a>) -> Option<&'a str> {
    request.header("authorization")?.strip_prefix("Bearer ")
}

/// Who makes a private call.
pub fn principal(floor: &Floor, request: &Request) -> Result<Principal, ApiError> {
    let missing = || ApiError::invalid_token("invalid bearer jwt: missing value in request header");
    floor.desk.principal(floor.now_us, bearer(request).ok_or_else(missing)?)
}

/// The body of a call that must have one.
pub fn body(request: &Request) -> Result<Value, ApiError> {
    let bad = |text: String| ApiError::bad_request("BINDING_ERROR", text);
    if !request.is_json() {
        return Err(bad("expected a body of application/json".to_owned()));
    }
    serde_json::from_slice(request.body).map_err(|error| bad(error.to_string()))
}

/// Spends one new connection.
pub fn spend_connect(floor: &mut Floor) -> Result<(), ApiError> {
    let spent = floor.desk.spend(floor.now_us, Scope::Connect, LOOPBACK);
    spent.map(drop).map_err(|_| ApiError::too_many())
}

fn scope_of(method: &str, path: &str) -> Scope {
    let path = path.strip_prefix("/v1").unwrap_or(path);
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    match (method, first) {
        (_, "") => Scope::Connect,
        ("POST", "auth" | "onboarding") => Scope::Auth,
        ("POST" | "PUT" | "DELETE", "orders") => Scope::Orders,
        (_, "system" | "markets" | "bbo" | "orderbook" | "trades" | "onboarding") => Scope::Public,
        _ => Scope::PrivateGet,
    }
}

/// Per-account scopes belong to the token's account; all others, and bad tokens, to the address.
fn owner_of(floor: &Floor, scope: Scope, request: &Request) -> String {
    let by_account = matches!(scope, Scope::Orders | Scope::PrivateGet);
    let token = bearer(request).filter(|_| by_account);
    let who = token.and_then(|token| floor.desk.principal(floor.now_us, token).ok());
    who.map_or(LOOPBACK.to_owned(), |who| felt::to_hex(&floor.desk.directory.address(who.account)))
}

/// Puts the standing on a response; one that a fault made keeps what it says.
fn with_standing(mut response: Response, standing: Standing, now_s: i64) -> Response {
    if response.is_fault {
        return response;
    }
    let least = i64::from(response.status == 429);
    let values = [
        ("x-ratelimit-limit", standing.limit),
        ("x-ratelimit-remaining", standing.remaining),
        ("x-ratelimit-reset", now_s + standing.reset_s),
        ("x-ratelimit-window", standing.window_s),
        ("retry-after", standing.retry_after_s.max(least)),
    ];
    response.headers.extend(values.map(|(name, value)| (name, value.to_string())));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_in_their_scope() {
        assert_eq!(scope_of("GET", "/v1"), Scope::Connect);
        assert_eq!(scope_of("POST", "/v1/auth/0x1"), Scope::Auth);
        assert_eq!(scope_of("DELETE", "/v1/orders/1"), Scope::Orders);
        assert_eq!(scope_of("GET", "/v1/orders/1"), Scope::PrivateGet);
        assert_eq!(scope_of("GET", "/v1/markets/summary"), Scope::Public);
    }
}
