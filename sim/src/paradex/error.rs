//! Refusals as Paradex words them: an HTTP status with a coded body, and the JSON-RPC form of the same.
//!
//! `desk` and `orders` refuse with [`ApiError`]; `rest` and `session` print it. Source: Paradex sheet §4.3, §5.1.

use serde_json::{Value, json};

use crate::core::fault::Http;
use crate::wire::Response;

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    pub status: u16,
    /// The venue's code, for example `INVALID_ORDER_SIGNATURE`.
    pub code: String,
    pub message: String,
    /// Sent instead of all this: an answer of HTTP's own.
    pub http: Option<Box<Http>>,
}

impl ApiError {
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> ApiError {
        ApiError { status, code: code.to_owned(), message: message.into(), http: None }
    }

    /// An answer of HTTP's own.
    pub fn of_http(http: &Http) -> ApiError {
        ApiError { http: Some(Box::new(http.clone())), ..ApiError::new(http.status, "", "") }
    }

    /// The refusal as a REST answer.
    pub fn respond(&self) -> Response {
        match &self.http {
            Some(http) => Response::of_fault(http),
            None => Response::json(self.status, &self.body()),
        }
    }

    /// HTTP 400 with `code`.
    pub fn bad_request(code: &str, message: impl Into<String>) -> ApiError {
        ApiError::new(400, code, message)
    }

    pub fn validation(message: impl Into<String>) -> ApiError {
        ApiError::bad_request("VALIDATION_ERROR", message)
    }

    /// HTTP 401: no token, or one that is refused.
    pub fn invalid_token(message: impl Into<String>) -> ApiError {
        ApiError::new(401, "INVALID_TOKEN", message)
    }

    /// HTTP 404 with `code`.
    pub fn not_found(code: &str, message: impl Into<String>) -> ApiError {
        ApiError::new(404, code, message)
    }

    /// HTTP 429: over a rate limit.
    pub fn too_many() -> ApiError {
        ApiError::new(429, "RATE_LIMIT_EXCEEDED", "rate limit exceeded")
    }

    /// The body `{"error", "message", "data"}`.
    pub fn body(&self) -> Value {
        json!({"error": self.code, "message": self.message, "data": null})
    }
}

/// A JSON-RPC error: one of the codes of sheet §5.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcError {
    pub code: i64,
    pub message: String,
    pub data: Option<String>,
}

impl RpcError {
    pub const PARSE: i64 = -32700;
    pub const INVALID_REQUEST: i64 = -32600;
    pub const METHOD_NOT_FOUND: i64 = -32601;
    pub const INVALID_PARAMS: i64 = -32602;
    pub const INTERNAL: i64 = -32603;
    pub const METHOD_ERROR: i64 = 100;
    pub const MALFORMED_BEARER: i64 = 40110;
    pub const INVALID_BEARER: i64 = 40111;
    pub const NOT_AUTHENTICATED: i64 = 40300;
    pub const RATE_LIMIT: i64 = 42901;

    pub fn new(code: i64, message: &str) -> RpcError {
        RpcError { code, message: message.to_owned(), data: None }
    }

    /// The recorded refusal of a subscription: same code and message, `data` says why.
    pub fn subscribe(data: &str) -> RpcError {
        let message = "invalid subscribe request".to_owned();
        RpcError { code: RpcError::INVALID_REQUEST, message, data: Some(data.to_owned()) }
    }

    pub fn not_authenticated() -> RpcError {
        RpcError::new(RpcError::NOT_AUTHENTICATED, "not authenticated")
    }

    /// The `error` member of a reply.
    pub fn body(&self) -> Value {
        match &self.data {
            Some(data) => json!({"code": self.code, "message": self.message, "data": data}),
            None => json!({"code": self.code, "message": self.message}),
        }
    }
}

/// Business refusals are not enumerated for the socket: the general method error carries the REST code. A number is one
/// of the socket's own codes (only fault rules refuse with one).
impl From<ApiError> for RpcError {
    fn from(error: ApiError) -> RpcError {
        if let Ok(code) = error.code.parse() {
            return RpcError::new(code, &error.message);
        }
        if error.status == 429 {
            return RpcError::new(RpcError::RATE_LIMIT, "rate limit exceeded");
        }
        if error.http.is_some() {
            return RpcError::new(RpcError::INTERNAL, "internal error");
        }
        let message = format!("{}: {}", error.code, error.message);
        RpcError { code: RpcError::METHOD_ERROR, message, data: Some(error.code) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_business_refusal_keeps_its_code_on_the_socket() {
        let rpc = RpcError::from(ApiError::bad_request("DUPLICATED_CLIENT_ID", "client id in use"));
        let expected = json!({
            "code": 100,
            "message": "DUPLICATED_CLIENT_ID: client id in use",
            "data": "DUPLICATED_CLIENT_ID",
        });
        assert_eq!(rpc.body(), expected);
        assert_eq!(RpcError::from(ApiError::too_many()).code, 42901);
        assert_eq!(RpcError::from(ApiError::bad_request("-32603", "internal error")).code, -32603);
    }

    #[test]
    fn the_rest_body_has_the_documented_members() {
        let body = ApiError::invalid_token("invalid bearer jwt: missing value in request header").body();
        assert_eq!(body["error"], "INVALID_TOKEN");
        assert!(body["data"].is_null());
    }
}
