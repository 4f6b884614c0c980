//! The public REST calls: system, markets, books, log-in and onboarding.
//!
//! Source: Paradex sheet §2.6, §2.7, §4.1.

use serde_json::{Value, json};

use super::desk::{Login, market_index};
use super::directory::{ACCOUNT_HASH, CHAIN_ID, L1_CHAIN_ID, PROXY_HASH};
use super::error::ApiError;
use super::json::millis;
use super::rest::{Outcome, Visit, gated};
use super::session::Floor;
use super::token::Usage;
use super::{felt, market};
use crate::core::Mode;
use crate::core::fault::Class;
use crate::wire::{Answer, Params, Request, Response};

/// Levels a side when `depth` is absent, and the most that are given.
const DEPTH_DEFAULT: usize = 20;
const DEPTH_MAX: usize = 100;
/// A contract address of this simulation: nothing is ever sent to it.
const CONTRACT: &str = "0x1";

/// The answer to a public call; `None` = no such path here.
pub fn route(floor: &mut Floor, visit: &Visit, method: &str, steps: &[&str]) -> Option<Answer<Response>> {
    let params = visit.params;
    let public = |floor: &mut Floor, act: &dyn Fn(&Floor) -> Outcome| {
        Some(gated(floor, visit, Class::PublicQuery, |floor| act(floor)))
    };
    match (method, steps) {
        ("GET", ["system", "time"]) => public(floor, &time),
        ("GET", ["system", "state"]) => public(floor, &state),
        ("GET", ["system", "config"]) => public(floor, &|_| Ok(config())),
        ("GET", ["markets"]) => public(floor, &|floor| markets(floor, params)),
        ("GET", ["markets", "summary"]) => public(floor, &|floor| summaries(floor, params)),
        ("GET", ["bbo", symbol] | ["bbo", symbol, "interactive"]) => {
            public(floor, &|floor| bbo(floor, symbol))
        }
        ("GET", ["orderbook", symbol] | ["orderbook", symbol, "interactive"]) => {
            public(floor, &|floor| orderbook(floor, symbol, params))
        }
        // Public prints are not simulated: the list is empty and well-formed.
        ("GET", ["trades"] | ["funding", "data"]) => {
            public(floor, &|_| Ok(json!({"next": null, "prev": null, "results": []})))
        }
        ("GET", ["onboarding"]) => public(floor, &|floor| onboarding(floor, params)),
        ("POST", ["onboarding"]) => {
            public(floor, &|floor| floor.desk.onboard(&login_of(visit.request, None)).map(|()| json!({})))
        }
        ("POST", ["auth"]) => Some(log_in(floor, visit, None)),
        ("POST", ["auth", public_key]) => Some(log_in(floor, visit, Some(public_key))),
        _ => None,
    }
}

fn time(floor: &Floor) -> Outcome {
    Ok(json!({"server_time": millis(floor.now_us).to_string()}))
}

fn state(floor: &Floor) -> Outcome {
    let status = match floor.exchange.mode() {
        Mode::Ok | Mode::Halt => "ok",
        Mode::PostOnly => "post_only",
        Mode::CancelOnly => "cancel_only",
        Mode::Maintenance => "maintenance",
    };
    Ok(json!({"status": status}))
}

fn config() -> Value {
    let token = json!({
        "name": "USDC", "symbol": "USDC", "decimals": 6, "l1_token_address": CONTRACT,
        "l1_bridge_address": CONTRACT, "l2_token_address": CONTRACT, "l2_bridge_address": CONTRACT,
    });
    json!({
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
    })
}

fn markets(floor: &Floor, params: &Params) -> Outcome {
    let wanted = wanted_markets(floor, params)?;
    let specs = &floor.exchange.spec().markets;
    Ok(json!({"results": wanted.iter().map(|m| market::spec(&specs[*m])).collect::<Vec<Value>>()}))
}

fn summaries(floor: &Floor, params: &Params) -> Outcome {
    if !params.contains_key("market") {
        return Err(ApiError::validation("market: must be a symbol or ALL"));
    }
    let specs = &floor.exchange.spec().markets;
    let summary = |m: &usize| market::summary_json(&specs[*m], &floor.exchange.ticker(*m, floor.now_us));
    Ok(json!({"results": wanted_markets(floor, params)?.iter().map(summary).collect::<Vec<Value>>()}))
}

fn bbo(floor: &Floor, symbol: &str) -> Outcome {
    let book = floor.exchange.snapshot(market_index(floor.exchange, symbol)?, floor.now_us);
    let side = |level: Option<&(i64, i64)>| level.map(market::level).unwrap_or_else(|| json!(["", ""]));
    let (bid, ask) = (side(book.bids.first()), side(book.asks.first()));
    Ok(json!({
        "market": symbol, "bid": bid[0], "bid_size": bid[1], "ask": ask[0], "ask_size": ask[1],
        "last_updated_at": millis(book.at_us), "seq_no": book.seq,
    }))
}

fn orderbook(floor: &Floor, symbol: &str, params: &Params) -> Outcome {
    let depth = params.get("depth").map_or(Ok(DEPTH_DEFAULT), |text| text.parse());
    let depth = depth.map_err(|_| ApiError::validation("depth: must be a number"))?.min(DEPTH_MAX);
    let book = floor.exchange.snapshot(market_index(floor.exchange, symbol)?, floor.now_us);
    let side = |levels: &[(i64, i64)]| levels.iter().take(depth).map(market::level).collect::<Vec<_>>();
    let (bids, asks) = (side(&book.bids), side(&book.asks));
    let best = |levels: &[Value]| levels.first().cloned().unwrap_or_else(|| json!(["", ""]));
    Ok(json!({
        "market": symbol, "seq_no": book.seq, "last_updated_at": millis(book.at_us),
        "best_bid_api": best(&bids), "best_ask_api": best(&asks),
        "best_bid_interactive": best(&bids), "best_ask_interactive": best(&asks),
        "bids": bids, "asks": asks,
    }))
}

fn log_in(floor: &mut Floor, visit: &Visit, public_key: Option<&str>) -> Answer<Response> {
    gated(floor, visit, Class::Auth, |floor| {
        let usage = match visit.params.get("token_usage").map(String::as_str) {
            None | Some("") => Usage::Pro,
            Some("interactive") => Usage::Retail,
            Some(_) => return Err(ApiError::validation("token_usage: must be interactive")),
        };
        let token = floor.desk.log_in(floor.now_us, &login_of(visit.request, public_key), usage)?;
        Ok(json!({"jwt_token": token}))
    })
}

/// Whether the account of a public key exists, and where.
fn onboarding(floor: &Floor, params: &Params) -> Outcome {
    let key = params.get("public_key").and_then(|text| felt::from_hex(text));
    let key =
        key.ok_or_else(|| ApiError::bad_request("PUBLIC_KEY_INVALID", "public_key must be 0x hexadecimal"))?;
    let trader = floor.desk.directory.traders.iter().find(|trader| trader.keys.contains(&key));
    let address = trader.map(|trader| felt::to_hex(&trader.address)).unwrap_or_default();
    Ok(json!({
        "address": address, "exists": trader.is_some(), "account_signer_type": "starknet",
        "derivation_info": {"salt": felt::to_hex(&key), "class_hash": PROXY_HASH},
    }))
}

fn login_of(request: &Request, public_key: Option<&str>) -> Login {
    let text = |name: &str| request.header(name).map(str::to_owned);
    Login {
        account: text("paradex-starknet-account").unwrap_or_default(),
        signature: text("paradex-starknet-signature").unwrap_or_default(),
        timestamp: text("paradex-timestamp").unwrap_or_default(),
        expiration: text("paradex-signature-expiration"),
        public_key: public_key.map(str::to_owned),
    }
}

/// Indices of the markets asked for: one symbol, or all.
fn wanted_markets(floor: &Floor, params: &Params) -> Result<Vec<usize>, ApiError> {
    match params.get("market").map(String::as_str) {
        None | Some("" | "ALL") => Ok((0..floor.exchange.spec().markets.len()).collect()),
        Some(symbol) => Ok(vec![market_index(floor.exchange, symbol)?]),
    }
}
