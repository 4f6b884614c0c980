//! The control operations over plain HTTP with JSON, on loopback.
//!
//! `POST /<operation>` with the operation's fields as a JSON object, `GET /truth`, `GET /stats`. Called by
//! tests of the real binary and by people with curl; the operations themselves are `control`'s.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use crate::control::{Command, Control};

/// `GET /truth`, `GET /stats`, and a POST for every operation.
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
        Ok(command) => control.perform(command).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match outcome {
        Ok(()) => Json(json!({"ok": true})).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, Json(json!({"ok": false, "error": error}))).into_response(),
    }
}
