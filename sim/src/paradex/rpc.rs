//! The JSON-RPC 2.0 envelope of the socket: parsing requests, printing replies and events.
//!
//! Pure text handling for `session`; it knows no method. Source: Paradex sheet §5.1.

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::RpcError;

/// A request as received. `params` is null when absent.
#[derive(Clone, Debug, Deserialize)]
pub struct Request {
    #[serde(default)]
    pub jsonrpc: String,
    #[serde(default)]
    pub id: Value,
    pub method: String,
    #[serde(default)]
    pub params: Value,
}

/// Parses one text frame. The error still says which id to answer, when there was one.
pub fn parse(text: &str) -> Result<Request, (Value, RpcError)> {
    let value: Value = serde_json::from_str(text)
        .map_err(|_| (Value::Null, RpcError::new(RpcError::PARSE, "parse error")))?;
    let id = value.get("id").cloned().unwrap_or_default();
    let invalid = || (id.clone(), RpcError::new(RpcError::INVALID_REQUEST, "invalid request"));
    let request: Request = serde_json::from_value(value).map_err(|_| invalid())?;
    if request.jsonrpc == "2.0" { Ok(request) } else { Err(invalid()) }
}

/// Prints the reply to `id`; times are Unix microseconds.
pub fn reply(id: &Value, outcome: Result<Value, RpcError>, in_us: i64, out_us: i64) -> String {
    let mut reply =
        json!({"jsonrpc": "2.0", "id": id, "usIn": in_us, "usDiff": out_us - in_us, "usOut": out_us});
    match outcome {
        Ok(result) => reply["result"] = result,
        Err(error) => reply["error"] = error.body(),
    }
    reply.to_string()
}

/// Prints an event on `channel`.
pub fn event(channel: &str, data: &Value) -> String {
    json!({"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": data}})
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_keeps_its_id_and_params() {
        let text = r#"{"jsonrpc":"2.0","id":7,"method":"subscribe","params":{"channel":"account"}}"#;
        let request = parse(text).unwrap();
        assert_eq!((request.id, request.method.as_str()), (json!(7), "subscribe"));
        assert_eq!(request.params["channel"], "account");
    }

    #[test]
    fn what_is_no_request_is_refused_with_its_id() {
        let code = |text: &str| parse(text).map(|_| ()).map_err(|(id, error)| (id, error.code));
        assert_eq!(code("{"), Err((Value::Null, -32700)));
        assert_eq!(code(r#"{"jsonrpc":"2.0","id":3}"#), Err((json!(3), -32600)));
        assert_eq!(code(r#"{"jsonrpc":"1.0","id":3,"method":"auth"}"#), Err((json!(3), -32600)));
        assert_eq!(code("[]"), Err((Value::Null, -32600)));
    }

    #[test]
    fn a_reply_carries_microsecond_times() {
        let text = reply(&json!(1), Ok(json!({"channel": "x"})), 1_000, 1_130);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&value["usIn"], &value["usDiff"], &value["usOut"]),
            (&json!(1000), &json!(130), &json!(1130))
        );
        assert_eq!(value["result"]["channel"], "x");
    }
}
