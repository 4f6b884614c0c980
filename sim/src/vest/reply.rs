//! Vest's answers to what it refuses: codes, texts and the three shapes of an error.
//!
//! Source: the venue sheet, section 6. Called by the REST handlers; it decides nothing itself.

use serde_json::json;

use crate::core::Reject;
use crate::core::fault::Http;
use crate::options::ErrorShape;
use crate::wire::Response;

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A numbered error.
    Code(u32, String),
    /// A required parameter is missing or has the wrong type (HTTP 422).
    Invalid { place: &'static str, field: String },
    /// The key is missing or unknown (HTTP 401).
    Unauthorized,
    /// An answer of HTTP's own, with a body that is no JSON of this venue.
    Http(Http),
    /// No such address.
    NotFound,
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
            Reject::Http(http) => return Refusal::Http(http.clone()),
            Reject::Closed | Reject::NotFound => {
                return Refusal::Code200(3017, "Order already processed or cancelled");
            }
            other => (code_of(other), text_of(other)),
        };
        Refusal::Code(code, text.to_owned())
    }

    pub fn respond(self, shape: ErrorShape) -> Response {
        match self {
            Refusal::Code(429, _) => Response::json(429, &json!({"code":429,"msg":"Rate limited"})),
            Refusal::Code(code, text) => match shape {
                ErrorShape::Detail => Response::json(400, &json!({"detail":{"code":code,"msg":text}})),
                ErrorShape::Envelope => Response::json(400, &json!({"code":code,"msg":text})),
                ErrorShape::Envelope200 => Response::json(200, &json!({"code":code,"msg":text})),
            },
            Refusal::Code200(code, text) => Response::json(200, &json!({"code":code,"msg":text})),
            Refusal::Unauthorized => {
                Response::json(401, &json!({"detail":{"code":1002,"msg":"Unauthorized"}}))
            }
            Refusal::Invalid { place, field } => {
                let row = json!({"type":"missing","loc":[place, field],"msg":"Field required","input":null});
                Response::json(422, &json!({ "detail": [row] }))
            }
            Refusal::Http(http) => Response::of_fault(&http),
            Refusal::NotFound => Response::json(404, &json!({"detail":"Not Found"})),
        }
    }
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
        Reject::PostOnlyCrosses | Reject::NotFilled | Reject::UserCancelled | Reject::RolledBack => 3004,
        Reject::Mode(_) => 1148,
        Reject::NotFound | Reject::Closed => 3017,
        Reject::Injected { code, .. } => code.parse().unwrap_or(0),
        Reject::Http(http) => http.status.into(),
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
        Ok(status @ 400..=599) if status != 429 => Refusal::Http(Http::of(status as u16)),
        Ok(code) => Refusal::code(code, message),
        Err(_) => Refusal::Http(Http::of(500)),
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
        let status = |shape| Refusal::code(1111, "x").respond(shape).status;
        assert_eq!(status(ErrorShape::Detail), 400);
        assert_eq!(status(ErrorShape::Envelope200), 200);
        let missing = Refusal::Invalid { place: "query", field: "time".into() };
        assert_eq!(missing.respond(ErrorShape::Detail).status, 422);
        assert_eq!(Refusal::of(&Reject::Closed).respond(ErrorShape::Detail).status, 200);
        let injected = Reject::Injected { code: "502".into(), message: String::new() };
        assert_eq!(Refusal::of(&injected).respond(ErrorShape::Detail).status, 502);
    }
}
