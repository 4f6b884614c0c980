//! Vest's REST handlers: who asks, what for, what the core says, in the venue's words.
//!
//! Source: the venue sheet, sections 2, 3.3, 5 and 6. Each handler checks the caller, passes the fault
//! rules, and translates; no rule of trading is decided here.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::reply::{Refusal, json_reply};
use super::{Desk, Params, TRADER, request, view};
use crate::core::fault::Class;
use crate::core::{MarketSpec, NewOrder, OrderView, Reject};

const ROWS_MAX: usize = 1_000;
const DEPTH_DEFAULT: usize = 20;
const DEPTH_MAX: usize = 100;

type Handler = State<Arc<Desk>>;
pub(super) type Answer = Result<Value, Refusal>;

pub async fn exchange_info(State(desk): Handler, query: Params) -> Response {
    let answer = chosen(&desk, &query).map(|markets| {
        let mode = desk.venue.with(|core, _| core.mode());
        view::exchange_info(markets.into_iter().map(|(_, spec)| (spec, mode)))
    });
    finish(&desk, answer)
}

pub async fn ticker_latest(State(desk): Handler, query: Params) -> Response {
    let answer = chosen(&desk, &query).map(|markets| {
        let row = |(index, spec)| desk.venue.with(|core, now| view::ticker(&core.ticker(index, now), spec));
        json!({"tickers": markets.into_iter().map(row).collect::<Vec<Value>>()})
    });
    finish(&desk, answer)
}

pub async fn depth(State(desk): Handler, query: Params) -> Response {
    let answer = one_market(&desk, &query).map(|(index, spec)| {
        let wanted = query.get("limit").and_then(|text| text.parse().ok()).unwrap_or(DEPTH_DEFAULT);
        let book = desk.venue.with(|core, now| core.snapshot(index, now));
        view::depth(&book, spec, wanted.min(DEPTH_MAX))
    });
    finish(&desk, answer)
}

pub async fn trades(State(desk): Handler, query: Params) -> Response {
    let answer = one_market(&desk, &query).map(|(index, spec)| {
        let rows = desk.venue.with(|core, _| {
            let fills = core.fills(TRADER).enumerate().filter(|(_, fill)| fill.market == index);
            fills.map(|(id, fill)| view::trade(fill, spec, json!(id))).collect::<Vec<Value>>()
        });
        json!(rows)
    });
    finish(&desk, answer)
}

pub async fn register(State(desk): Handler, headers: HeaderMap, bytes: Bytes) -> Response {
    let Some(passed) = desk.venue.gate(Class::Auth).await else {
        return never().await;
    };
    finish(&desk, passed.map_err(|r| Refusal::of(&r)).and_then(|()| try_register(&desk, &headers, &bytes)))
}

fn try_register(desk: &Desk, headers: &HeaderMap, bytes: &[u8]) -> Answer {
    json_body(headers)?;
    let proof = request::registration(&request::body(bytes)?, &desk.venue.switches, desk.now_ms())?;
    let mut session = desk.session();
    if proof.primary != session.primary {
        return Err(Refusal::code(1099, "Account not found"));
    }
    let key = session.register(proof.signing, proof.expiry_ms);
    Ok(json!({"apiKey": key, "accGroup": desk.venue.keys.vest_account_group}))
}

pub async fn create_listen_key(State(desk): Handler, headers: HeaderMap) -> Response {
    let Some(passed) = gated(&desk, &headers, Class::Auth).await else {
        return never().await;
    };
    finish(
        &desk,
        passed.map(|()| {
            let (now, revoked) = (desk.venue.now_us(), desk.venue.revoked_before_us());
            let key = desk.session().create_listen_key(now, revoked);
            desk.venue.note_issued(&key);
            json!({"listenKey": key})
        }),
    )
}

pub async fn extend_listen_key(State(desk): Handler, headers: HeaderMap) -> Response {
    let Some(passed) = gated(&desk, &headers, Class::Auth).await else {
        return never().await;
    };
    finish(
        &desk,
        passed.and_then(|()| {
            let (now, revoked) = (desk.venue.now_us(), desk.venue.revoked_before_us());
            let key = desk.session().extend_listen_key(now, revoked);
            key.map(|key| json!({"listenKey": key}))
                .ok_or(Refusal::Code200(1125, "Listen key expired. Make a POST request to create a new key."))
        }),
    )
}

pub async fn close_listen_key(State(desk): Handler, headers: HeaderMap) -> Response {
    let Some(passed) = gated(&desk, &headers, Class::Auth).await else {
        return never().await;
    };
    finish(
        &desk,
        passed.map(|()| {
            desk.session().close_listen_key();
            json!({})
        }),
    )
}

pub async fn account(State(desk): Handler, headers: HeaderMap, query: Params) -> Response {
    let Some(passed) = gated(&desk, &headers, Class::Query).await else {
        return never().await;
    };
    finish(
        &desk,
        passed.and_then(|()| needs_time(&query)).map(|()| {
            let (view, positions) =
                desk.venue.with(|core, now| (core.account(TRADER, now), core.positions(TRADER)));
            let session = desk.session();
            let leverage = |symbol: &str| session.leverage(symbol);
            let extras = view::AccountExtras { address: session.primary.text(), leverage: &leverage };
            view::account(&view, &positions, &desk.markets, &extras)
        }),
    )
}

pub async fn nonce(State(desk): Handler, headers: HeaderMap, query: Params) -> Response {
    let Some(passed) = gated(&desk, &headers, Class::Query).await else {
        return never().await;
    };
    finish(
        &desk,
        passed.and_then(|()| needs_time(&query)).map(|()| json!({"lastNonce": desk.session().last_nonce})),
    )
}

pub async fn leverage(State(desk): Handler, headers: HeaderMap, bytes: Bytes) -> Response {
    let Some(passed) = gated(&desk, &headers, Class::Query).await else {
        return never().await;
    };
    finish(
        &desk,
        passed.and_then(|()| {
            json_body(&headers)?;
            let (symbol, value) = request::leverage(&request::body(&bytes)?, &desk.markets)?;
            refuse_unsafe_leverage(&desk, &symbol, value)?;
            desk.session().set_leverage(&symbol, value);
            Ok(json!({"symbol": symbol, "value": value}))
        }),
    )
}

/// Leverage may not be lowered under an open position (3021).
fn refuse_unsafe_leverage(desk: &Desk, symbol: &str, value: u32) -> Result<(), Refusal> {
    let held = desk.venue.with(|core, _| core.market(symbol).map_or(0, |m| core.position(TRADER, m).size));
    match held != 0 && value < desk.session().leverage(symbol) {
        true => Err(Refusal::code(3021, "Decrease leverage with position")),
        false => Ok(()),
    }
}

/// Liquidity and transfers: the run's account never has any.
pub async fn nothing(State(desk): Handler, headers: HeaderMap) -> Response {
    let Some(passed) = gated(&desk, &headers, Class::Query).await else { return never().await };
    finish(&desk, passed.map(|()| json!([])))
}

pub async fn orders(State(desk): Handler, headers: HeaderMap, query: Params) -> Response {
    let Some(passed) = gated(&desk, &headers, Class::Query).await else {
        return never().await;
    };
    finish(&desk, passed.and_then(|()| list_orders(&desk, &query)))
}

fn list_orders(desk: &Desk, query: &Params) -> Answer {
    let filter = Filter::read(desk, query)?;
    let session = desk.session();
    let rows = desk.venue.with(|core, _| {
        let matching = core.orders(TRADER).rev().filter(|order| filter.keeps(order));
        let row = |o: &OrderView| {
            let spec = &desk.markets[o.market];
            view::order_row(o, spec, session.leverage(&spec.symbol))
        };
        matching.take(filter.limit).map(row).collect::<Vec<Value>>()
    });
    Ok(json!(rows))
}

pub async fn place(State(desk): Handler, headers: HeaderMap, bytes: Bytes) -> Response {
    let order = match try_place(&desk, &headers, &bytes) {
        Ok(order) => order,
        Err(refusal) => return finish(&desk, Err(refusal)),
    };
    let Some(result) = desk.venue.submit(order).await else {
        return never().await;
    };
    finish(&desk, result.map(|id| json!({ "id": id })).map_err(|reject| Refusal::of(&reject)))
}

fn try_place(desk: &Desk, headers: &HeaderMap, bytes: &[u8]) -> Result<NewOrder, Refusal> {
    let body = request::body(bytes)?;
    let symbol = request::symbol_of(&body).unwrap_or_default();
    desk.venue.order_read(symbol.split('-').next().unwrap_or_default());
    authorised(desk, headers)?;
    json_body(headers)?;
    let order = request::order(&body, &desk.markets, &desk.venue.switches, desk.now_ms())?;
    let mut session = desk.session();
    if !session.may_sign(&order.signer, desk.venue.now_us()) {
        return Err(request::bad_signature());
    }
    session.last_nonce = session.last_nonce.max(order.nonce);
    Ok(NewOrder {
        account: TRADER,
        market: order.market,
        side: order.side,
        kind: order.kind,
        tif: order.tif,
        size: order.size,
        limit: order.limit,
        reduce_only: order.reduce_only,
        client_ref: order.nonce.to_string(),
        signed_at_ms: order.time_ms,
        window_ms: order.window_ms,
        id: Some(order.id),
        bump_us: 0,
        taker_fee: None,
        note: String::new(),
        held: false,
    })
}

pub async fn cancel(State(desk): Handler, headers: HeaderMap, query: Params, bytes: Bytes) -> Response {
    let id = match try_cancel(&desk, &headers, &query, &bytes) {
        Ok(id) => id,
        Err(refusal) => return finish(&desk, Err(refusal)),
    };
    let Some(result) = desk.venue.cancel(&id, 0).await else {
        return never().await;
    };
    finish(&desk, result.map(|()| json!({ "id": id })).map_err(|reject| Refusal::of(&reject)))
}

fn try_cancel(desk: &Desk, headers: &HeaderMap, query: &Params, bytes: &[u8]) -> Result<String, Refusal> {
    authorised(desk, headers)?;
    json_body(headers)?;
    if desk.venue.switches.vest_cancel_needs_time {
        needs_time(query)?;
    }
    let cancel = request::cancel(&request::body(bytes)?, desk.now_ms())?;
    match desk.session().may_sign(&cancel.signer, desk.venue.now_us()) {
        true => Ok(cancel.order_id),
        false => Err(request::bad_signature()),
    }
}

/// The filters of `GET /orders`.
struct Filter {
    ids: Option<Vec<String>>,
    nonce: Option<String>,
    market: Option<usize>,
    kind: Option<String>,
    status: Option<String>,
    from_ms: i64,
    to_ms: i64,
    limit: usize,
}

impl Filter {
    fn read(desk: &Desk, query: &Params) -> Result<Self, Refusal> {
        let text = |name: &str| query.get(name).cloned();
        let whole = |name: &str, otherwise: i64| match query.get(name) {
            None => Ok(otherwise),
            Some(text) => {
                text.parse().map_err(|_| Refusal::code(1130, format!("{name}: expected a whole number")))
            }
        };
        let status = text("status");
        if status.as_deref().is_some_and(|s| s.contains(',')) {
            return Err(Refusal::code(1130, "status: expected one status"));
        }
        let market = match query.get("symbol") {
            None => None,
            Some(_) => Some(one_market(desk, query)?.0),
        };
        Ok(Self {
            ids: text("id").map(|ids| ids.split(',').map(str::to_owned).collect()),
            nonce: text("nonce"),
            market,
            kind: text("orderType"),
            status,
            from_ms: whole("startTime", 0)?,
            to_ms: whole("endTime", i64::MAX)?,
            limit: whole("limit", ROWS_MAX as i64)?.clamp(0, ROWS_MAX as i64) as usize,
        })
    }

    fn keeps(&self, order: &OrderView) -> bool {
        let at_ms = order.received_us / 1_000;
        self.ids.as_ref().is_none_or(|ids| ids.contains(&order.id))
            && self.nonce.as_ref().is_none_or(|nonce| *nonce == order.client_ref)
            && self.market.is_none_or(|market| market == order.market)
            && self.kind.as_deref().is_none_or(|kind| kind == view::kind(order.kind))
            && self.status.as_deref().is_none_or(|status| status == view::order_status(order))
            && (self.from_ms..=self.to_ms).contains(&at_ms)
    }
}

/// Passes a private request through the key check and the fault rules; `None` = never answer.
async fn gated(desk: &Desk, headers: &HeaderMap, class: Class) -> Option<Result<(), Refusal>> {
    if let Err(refusal) = authorised(desk, headers) {
        return Some(Err(refusal));
    }
    let passed: Result<(), Reject> = desk.venue.gate(class).await?;
    Some(passed.map_err(|reject| Refusal::of(&reject)))
}

/// Private calls carry the API key and the routing header of the account's group.
fn authorised(desk: &Desk, headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if !text("x-api-key").is_some_and(|key| desk.session().knows_api_key(key)) {
        return Err(Refusal::Unauthorized);
    }
    match text("xrestservermm").and_then(|value| value.strip_prefix("restserver")) {
        Some(group) if group.parse() == Ok(desk.venue.keys.vest_account_group) => Ok(()),
        Some(_) => Err(Refusal::code(1099, "Account not found")),
        None => Err(Refusal::code(1146, "Invalid account group")),
    }
}

fn json_body(headers: &HeaderMap) -> Result<(), Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match kind.is_some_and(|kind| kind.starts_with("application/json")) {
        true => Ok(()),
        false => Err(Refusal::Invalid { place: "header", field: "content-type".into() }),
    }
}

fn needs_time(query: &Params) -> Result<(), Refusal> {
    match query.get("time").is_some_and(|text| text.parse::<u64>().is_ok()) {
        true => Ok(()),
        false => Err(Refusal::Invalid { place: "query", field: "time".into() }),
    }
}

/// The markets named in `symbols` (all when absent).
pub(super) fn chosen<'a>(desk: &'a Desk, query: &Params) -> Result<Vec<(usize, &'a MarketSpec)>, Refusal> {
    let all = desk.markets.iter().enumerate();
    let Some(names) = query.get("symbols") else {
        return Ok(all.collect());
    };
    let find = |name: &str| all.clone().find(|(_, spec)| spec.symbol == name).ok_or_else(bad_symbol);
    names.split(',').map(find).collect()
}

pub(super) fn one_market<'a>(desk: &'a Desk, query: &Params) -> Result<(usize, &'a MarketSpec), Refusal> {
    let name = query.get("symbol").ok_or(Refusal::Invalid { place: "query", field: "symbol".into() })?;
    desk.markets.iter().enumerate().find(|(_, spec)| spec.symbol == *name).ok_or_else(bad_symbol)
}

fn bad_symbol() -> Refusal {
    Refusal::code(1121, "Bad symbol")
}

pub(super) fn finish(desk: &Desk, answer: Answer) -> Response {
    match answer {
        Ok(body) => json_reply(StatusCode::OK, &body),
        Err(refusal) => refusal.respond(desk.venue.switches.vest_error_shape),
    }
}

/// Leaves the request without an answer, for as long as the client waits.
async fn never() -> Response {
    std::future::pending().await
}
