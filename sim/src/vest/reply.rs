//! Vest's answers to what it refuses: codes, texts and the three shapes of an error.
//!
//! Source: the venue sheet, section 6. Called by the REST handlers; it decides nothing itself.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::core::Reject;
use crate::options::ErrorShape;

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A numbered error.
    Code(u32, String),
    /// A required parameter is missing or has the wrong type (HTTP 422).
    Invalid { place: &'static str, field: String },
    /// The key is missing or unknown (HTTP 401).
    Unauthorized,
    /// Plain HTTP failure with a body that is no JSON.
    Http(u16),
    /// The text of an error with HTTP 200 whatever the switch says.
    Code200(u32, &'static str),
}

impl Refusal {
    pub fn code(code: u32, text: impl Into<String>) -> Self {
        Refusal::Code(code, text.into())
    }

    /// What an answer of the core means on this wire.
    pub fn of(reject: &Reject) -> Self {
        let (code, text) = match reject {
            Reject::Injected { code, message } => return injected(code, message),
            Reject::Closed | Reject::NotFound => {
                return Refusal::Code200(3017, "Order already processed or cancelled");
            }
            other => (code_of(other), text_of(other)),
        };
        Refusal::Code(code, text.to_owned())
    }

    pub fn respond(self, shape: ErrorShape) -> Response {
        match self {
            Refusal::Code(429, _) => {
                json_reply(StatusCode::TOO_MANY_REQUESTS, &json!({"code":429,"msg":"Rate limited"}))
            }
            Refusal::Code(code, text) => match shape {
                ErrorShape::Detail => {
                    json_reply(StatusCode::BAD_REQUEST, &json!({"detail":{"code":code,"msg":text}}))
                }
                ErrorShape::Envelope => json_reply(StatusCode::BAD_REQUEST, &json!({"code":code,"msg":text})),
                ErrorShape::Envelope200 => json_reply(StatusCode::OK, &json!({"code":code,"msg":text})),
            },
            Refusal::Code200(code, text) => json_reply(StatusCode::OK, &json!({"code":code,"msg":text})),
            Refusal::Unauthorized => {
                json_reply(StatusCode::UNAUTHORIZED, &json!({"detail":{"code":1002,"msg":"Unauthorized"}}))
            }
            Refusal::Invalid { place, field } => {
                let row = json!({"type":"missing","loc":[place, field],"msg":"Field required","input":null});
                json_reply(StatusCode::UNPROCESSABLE_ENTITY, &json!({ "detail": [row] }))
            }
            Refusal::Http(status) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
                (status, [(header::CONTENT_TYPE, "text/html")], "<html><body>Bad Gateway</body></html>")
                    .into_response()
            }
        }
    }
}

/// A body of JSON with its status.
pub fn json_reply(status: StatusCode, body: &serde_json::Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// The number of a rejection, in answers and in order events.
pub fn code_of(reject: &Reject) -> u32 {
    match reject {
        Reject::Expired => 1132,
        Reject::BadWindow => 1131,
        Reject::Duplicate => 3015,
        Reject::BadSize | Reject::BadPrice => 1111,
        Reject::MinNotional | Reject::TooManyOpen => 1130,
        Reject::TooLarge => 3010,
        Reject::PriceBand => 3011,
        Reject::PriceCheck => 3001,
        Reject::Margin => 3002,
        Reject::ReduceOnlyIncreases => 3018,
        Reject::ReduceOnlyExceeds => 3019,
        Reject::PostOnlyCrosses | Reject::NotFilled | Reject::UserCancelled => 3004,
        Reject::Mode(_) => 1148,
        Reject::NotFound | Reject::Closed => 3017,
        Reject::Injected { code, .. } => code.parse().unwrap_or(0),
    }
}

fn text_of(reject: &Reject) -> &'static str {
    match reject {
        Reject::Expired => "Order expired",
        Reject::BadWindow => "Bad recvWindow",
        Reject::Duplicate => "Duplicate order",
        Reject::BadSize | Reject::BadPrice => "Bad decimals",
        Reject::Mode(_) => "Market closed",
        Reject::ReduceOnlyIncreases => "Reduce only order increases position",
        Reject::ReduceOnlyExceeds => "Reduce only order exceeds position size",
        _ => "Order rejected",
    }
}

/// Codes of three digits are HTTP failures, except 429, which has a body of its own.
fn injected(code: &str, message: &str) -> Refusal {
    match code.parse::<u32>() {
        Ok(status @ 400..=599) if status != 429 => Refusal::Http(status as u16),
        Ok(code) => Refusal::code(code, message),
        Err(_) => Refusal::Http(500),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_sheet() {
        assert_eq!(code_of(&Reject::Expired), 1132);
        assert_eq!(code_of(&Reject::Duplicate), 3015);
        assert_eq!(code_of(&Reject::ReduceOnlyExceeds), 3019);
    }

    #[test]
    fn shapes_follow_the_switch() {
        let status = |shape| Refusal::code(1111, "x").respond(shape).status();
        assert_eq!(status(ErrorShape::Detail), StatusCode::BAD_REQUEST);
        assert_eq!(status(ErrorShape::Envelope200), StatusCode::OK);
        let missing = Refusal::Invalid { place: "query", field: "time".into() };
        assert_eq!(missing.respond(ErrorShape::Detail).status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(Refusal::of(&Reject::Closed).respond(ErrorShape::Detail).status(), StatusCode::OK);
        let injected = Reject::Injected { code: "502".into(), message: String::new() };
        assert_eq!(Refusal::of(&injected).respond(ErrorShape::Detail).status(), StatusCode::BAD_GATEWAY);
    }
}
