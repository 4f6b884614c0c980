//! The public REST calls: system, markets, books, log-in and onboarding.
//!
//! Source: Paradex sheet §2.6, §2.7, §4.1.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::app::{App, Reply};
use super::desk::{Login, market_index};
use super::directory::{ACCOUNT_HASH, CHAIN_ID, L1_CHAIN_ID, PROXY_HASH};
use super::error::ApiError;
use super::json::millis;
use super::session::Floor;
use super::token::Usage;
use super::{felt, market};
use crate::core::Mode;
use crate::core::fault::Class;

/// Levels a side when `depth` is absent, and the most that are given.
const DEPTH_DEFAULT: usize = 20;
const DEPTH_MAX: usize = 100;
/// A contract address of this simulation: nothing is ever sent to it.
const CONTRACT: &str = "0x1";

type Params = Query<BTreeMap<String, String>>;

/// The routes below `/v1`.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/system/time", get(time))
        .route("/system/state", get(state))
        .route("/system/config", get(config))
        .route("/markets", get(markets))
        .route("/markets/summary", get(summaries))
        .route("/bbo/{market}", get(bbo))
        .route("/bbo/{market}/interactive", get(bbo))
        .route("/orderbook/{market}", get(orderbook))
        .route("/orderbook/{market}/interactive", get(orderbook))
        .route("/trades", get(trades))
        .route("/funding/data", get(trades))
        .route("/auth", post(log_in))
        .route("/auth/{public_key}", post(log_in_with_key))
        .route("/onboarding", get(onboarding).post(onboard))
}

async fn time(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({"server_time": millis(app.venue.now_us()).to_string()}))
}

async fn state(State(app): State<Arc<App>>) -> Json<Value> {
    let status = match app.floor(|floor| floor.exchange.mode()) {
        Mode::Ok | Mode::Halt => "ok",
        Mode::PostOnly => "post_only",
        Mode::CancelOnly => "cancel_only",
        Mode::Maintenance => "maintenance",
    };
    Json(json!({"status": status}))
}

async fn config() -> Json<Value> {
    let token = json!({
        "name": "USDC", "symbol": "USDC", "decimals": 6, "l1_token_address": CONTRACT,
        "l1_bridge_address": CONTRACT, "l2_token_address": CONTRACT, "l2_bridge_address": CONTRACT,
    });
    Json(json!({
        "starknet_chain_id": CHAIN_ID,
        "l1_chain_id": L1_CHAIN_ID,
        "paraclear_account_hash": ACCOUNT_HASH,
        "paraclear_account_proxy_hash": PROXY_HASH,
        "paraclear_evm_account_hash": CONTRACT,
        "paraclear_address": CONTRACT,
        "paraclear_decimals": 8,
        "bridged_tokens": [token],
        "liquidation_fee": "0.20",
        "oracle_address": CONTRACT,
        "l1_core_contract_address": CONTRACT,
        "l1_operator_address": CONTRACT,
        "block_explorer_url": "",
        "starknet_gateway_url": "",
        "starknet_fullnode_rpc_url": "",
        "starknet_fullnode_rpc_base_url": "",
    }))
}

async fn markets(State(app): State<Arc<App>>, Query(params): Params) -> Reply {
    let wanted = wanted_markets(&app, &params)?;
    let results: Vec<Value> = wanted.iter().map(|m| market::spec(&app.directory.markets[*m])).collect();
    Ok(Json(json!({"results": results})))
}

async fn summaries(State(app): State<Arc<App>>, Query(params): Params) -> Reply {
    if !params.contains_key("market") {
        return Err(ApiError::validation("market: must be a symbol or ALL"));
    }
    let wanted = wanted_markets(&app, &params)?;
    let results = app.floor(|floor| {
        let ticker = |m: &usize| floor.exchange.ticker(*m, floor.now_us);
        let summary = |m: &usize| market::summary_json(&app.directory.markets[*m], &ticker(m));
        wanted.iter().map(summary).collect::<Vec<_>>()
    });
    Ok(Json(json!({"results": results})))
}

async fn bbo(State(app): State<Arc<App>>, Path(symbol): Path<String>) -> Reply {
    app.floor(|floor| {
        let book = floor.exchange.snapshot(market_index(floor.exchange, &symbol)?, floor.now_us);
        let side = |level: Option<&(i64, i64)>| level.map(market::level).unwrap_or_else(|| json!(["", ""]));
        let (bid, ask) = (side(book.bids.first()), side(book.asks.first()));
        Ok(Json(json!({
            "market": symbol, "bid": bid[0], "bid_size": bid[1], "ask": ask[0], "ask_size": ask[1],
            "last_updated_at": millis(book.at_us), "seq_no": book.seq,
        })))
    })
}

async fn orderbook(State(app): State<Arc<App>>, Path(symbol): Path<String>, Query(params): Params) -> Reply {
    let depth = params.get("depth").map_or(Ok(DEPTH_DEFAULT), |text| text.parse());
    let depth = depth.map_err(|_| ApiError::validation("depth: must be a number"))?.min(DEPTH_MAX);
    app.floor(|floor| {
        let book = floor.exchange.snapshot(market_index(floor.exchange, &symbol)?, floor.now_us);
        let side = |levels: &[(i64, i64)]| levels.iter().take(depth).map(market::level).collect::<Vec<_>>();
        let (bids, asks) = (side(&book.bids), side(&book.asks));
        let best = |levels: &[Value]| levels.first().cloned().unwrap_or_else(|| json!(["", ""]));
        Ok(Json(json!({
            "market": symbol, "seq_no": book.seq, "last_updated_at": millis(book.at_us),
            "best_bid_api": best(&bids), "best_ask_api": best(&asks),
            "best_bid_interactive": best(&bids), "best_ask_interactive": best(&asks),
            "bids": bids, "asks": asks,
        })))
    })
}

/// Public prints are not simulated: the list is empty and well-formed.
async fn trades() -> Json<Value> {
    Json(json!({"next": null, "prev": null, "results": []}))
}

async fn log_in(State(app): State<Arc<App>>, Query(params): Params, headers: HeaderMap) -> Reply {
    log_in_as(&app, &params, login_of(&headers, None)).await
}

async fn log_in_with_key(
    State(app): State<Arc<App>>,
    Path(public_key): Path<String>,
    Query(params): Params,
    headers: HeaderMap,
) -> Reply {
    log_in_as(&app, &params, login_of(&headers, Some(public_key))).await
}

async fn log_in_as(app: &App, params: &BTreeMap<String, String>, login: Login) -> Reply {
    let usage = match params.get("token_usage").map(String::as_str) {
        None | Some("") => Usage::Pro,
        Some("interactive") => Usage::Retail,
        Some(_) => return Err(ApiError::validation("token_usage: must be interactive")),
    };
    app.gate(Class::Auth).await?;
    let token = app.floor(|floor| floor.desk.log_in(floor.now_us, &login, usage))?;
    app.venue.note_issued(&token);
    Ok(Json(json!({"jwt_token": token})))
}

/// Whether the account of a public key exists, and where.
async fn onboarding(State(app): State<Arc<App>>, Query(params): Params) -> Reply {
    let key = params.get("public_key").and_then(|text| felt::from_hex(text));
    let key =
        key.ok_or_else(|| ApiError::bad_request("PUBLIC_KEY_INVALID", "public_key must be 0x hexadecimal"))?;
    let trader = app.directory.traders.iter().find(|trader| trader.keys.contains(&key));
    let address = trader.map(|trader| felt::to_hex(&trader.address)).unwrap_or_default();
    Ok(Json(json!({
        "address": address, "exists": trader.is_some(), "account_signer_type": "starknet",
        "derivation_info": {"salt": felt::to_hex(&key), "class_hash": PROXY_HASH},
    })))
}

async fn onboard(State(app): State<Arc<App>>, headers: HeaderMap) -> Reply {
    let login = login_of(&headers, None);
    app.floor(|floor: &mut Floor| floor.desk.onboard(&login))?;
    Ok(Json(json!({})))
}

fn login_of(headers: &HeaderMap, public_key: Option<String>) -> Login {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Login {
        account: text("paradex-starknet-account").unwrap_or_default(),
        signature: text("paradex-starknet-signature").unwrap_or_default(),
        timestamp: text("paradex-timestamp").unwrap_or_default(),
        expiration: text("paradex-signature-expiration"),
        public_key,
    }
}

/// Indices of the markets asked for: one symbol, or all.
fn wanted_markets(app: &App, params: &BTreeMap<String, String>) -> Result<Vec<usize>, ApiError> {
    match params.get("market").map(String::as_str) {
        None | Some("" | "ALL") => Ok((0..app.directory.markets.len()).collect()),
        Some(symbol) => Ok(vec![app.floor(|floor| market_index(floor.exchange, symbol))?]),
    }
}
