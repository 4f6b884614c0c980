//! The control operations over plain HTTP with JSON, on loopback.
//!
//! `POST /<operation>` with the operation's fields as a JSON object, `GET /truth`, `GET /stats`. Called by
//! tests of the real binary and by people with curl; the operations themselves are `control`'s.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::control::{Control, ControlError, Login, VenueName};
use crate::core::fault::Rule;
use crate::core::model::Script;
use crate::core::{Mode, Side, Socket, money};

/// An operation as it is posted; the variant is the last part of the path.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Command {
    Fault { venue: VenueName, rule: Rule },
    Clear {},
    Script { venue: VenueName, market: String, script: Script },
    Raw { venue: VenueName, market: String, text: String },
    Disconnect { venue: VenueName, socket: Socket, code: Option<u16> },
    Stall { venue: VenueName, socket: Socket, stalled: bool },
    Mode { venue: VenueName, mode: Mode },
    Funding { venue: VenueName, market: String, rate_1h_e12: i64 },
    Expire { what: Login },
    Bust { venue: VenueName, fill: String },
    Trade { venue: VenueName, market: String, side: Side, size: Size },
}

#[derive(Debug, Deserialize)]
struct Size(#[serde(with = "money::text")] i64);

pub fn router(control: Control) -> Router {
    Router::new()
        .route("/truth", get(|State(control): State<Control>| async move { Json(control.truth()) }))
        .route("/stats", get(|State(control): State<Control>| async move { Json(control.stats()) }))
        .route("/{operation}", post(operate))
        .with_state(control)
}

async fn operate(
    State(control): State<Control>,
    Path(operation): Path<String>,
    Json(fields): Json<Value>,
) -> Response {
    let tagged = Value::Object(Map::from_iter([(operation, fields)]));
    let outcome = match serde_json::from_value::<Command>(tagged) {
        Ok(command) => perform(&control, command).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match outcome {
        Ok(()) => Json(json!({"ok": true})).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, Json(json!({"ok": false, "error": error}))).into_response(),
    }
}

fn perform(control: &Control, command: Command) -> Result<(), ControlError> {
    match command {
        Command::Fault { venue, rule } => control.fault(venue, rule),
        Command::Clear {} => control.clear(),
        Command::Script { venue, market, script } => return control.script(venue, &market, script),
        Command::Raw { venue, market, text } => return control.raw(venue, &market, text.into_bytes()),
        Command::Disconnect { venue, socket, code } => control.disconnect(venue, socket, code),
        Command::Stall { venue, socket, stalled } => control.stall(venue, socket, stalled),
        Command::Mode { venue, mode } => control.mode(venue, mode),
        Command::Funding { venue, market, rate_1h_e12 } => {
            return control.funding(venue, &market, rate_1h_e12);
        }
        Command::Expire { what } => control.expire(what),
        Command::Bust { venue, fill } => return control.bust(venue, &fill),
        Command::Trade { venue, market, side, size } => return control.trade(venue, &market, side, size.0),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_read_from_json() {
        for text in [
            r#"{"fault":{"venue":"vest","rule":{"class":"order","action":{"hold_fill":{"ms":30000}}}}}"#,
            r#"{"clear":{}}"#,
            r#"{"script":{"venue":"paradex","market":"BTC-USD-PERP","script":{"basis_bps":"-40","freeze":true}}}"#,
            r#"{"disconnect":{"venue":"vest","socket":"private","code":1012}}"#,
            r#"{"disconnect":{"venue":"vest","socket":"md"}}"#,
            r#"{"mode":{"venue":"paradex","mode":"cancel_only"}}"#,
            r#"{"expire":{"what":"listen_key"}}"#,
            r#"{"trade":{"venue":"vest","market":"BTC-PERP","side":"buy","size":"0.01"}}"#,
        ] {
            serde_json::from_str::<Command>(text).unwrap();
        }
        assert!(serde_json::from_str::<Command>(r#"{"mode":{"venue":"vest","mode":"ok","x":1}}"#).is_err());
    }
}
