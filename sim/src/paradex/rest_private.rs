//! The private REST calls: account, positions, orders, fills, and order entry.
//!
//! Every handler takes a [`Principal`], so none can be reached without a valid token. Lists come newest first,
//! in pages with opaque cursors. Source: Paradex sheet §4.2.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{delete, get};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::app::{App, Reply};
use super::desk::{Principal, market_index};
use super::error::ApiError;
use super::json::{self as form, millis};
use super::session::{Floor, cancel_one};
use super::token::Usage;
use super::{feed, felt, view};
use crate::core::account::LedgerKind;
use crate::core::fault::Class;
use crate::core::money::trimmed;
use crate::core::{FillView, OrderView};

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 5_000;

type Params = BTreeMap<String, String>;
type Service = State<Arc<App>>;
type Body = Result<Json<Value>, JsonRejection>;

/// The routes below `/v1`.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/account", get(account))
        .route("/account/summary", get(account))
        .route("/account/info", get(account_info))
        .route("/positions", get(positions))
        .route("/balance", get(balance))
        .route("/orders", get(open_orders).post(create).delete(cancel_all))
        .route("/orders/batch", delete(cancel_batch))
        .route("/orders/{id}", get(order).delete(cancel))
        .route("/orders/by_client_id/{id}", get(order_by_client_id).delete(cancel_by_client_id))
        .route("/orders-history", get(orders_history))
        .route("/fills", get(fills))
        .route("/tradebusts", get(tradebusts))
        .route("/funding/payments", get(funding_payments))
}

async fn account(State(app): Service, who: Principal) -> Reply {
    query(&app, |floor| {
        let view = floor.exchange.account(who.account, floor.now_us);
        Ok(form::account(&view::account(&view, floor.desk.directory.address(who.account))))
    })
    .await
}

async fn account_info(State(app): Service, who: Principal) -> Reply {
    query(&app, |floor| {
        let pro = floor.desk.directory.markets.first().map_or(0, |market| market.taker_fee);
        let rate = if who.usage == Usage::Retail { 0 } else { pro };
        let fees = json!({"maker_rate": "0", "taker_rate": trimmed(rate)});
        let account = felt::to_hex(&floor.desk.directory.address(who.account));
        Ok(json!({"account": account, "kind": "main", "username": "trader", "fees": fees}))
    })
    .await
}

async fn positions(State(app): Service, who: Principal) -> Reply {
    query(&app, |floor| {
        let all = floor.exchange.positions(who.account);
        let scene = floor.scene();
        let known = all.iter().filter(|p| !p.last_fill.is_empty());
        let results: Vec<Value> = known.map(|p| form::position(&feed::position(&scene, p))).collect();
        Ok(json!({"results": results}))
    })
    .await
}

async fn balance(State(app): Service, who: Principal) -> Reply {
    query(&app, |floor| {
        let view = floor.exchange.account(who.account, floor.now_us);
        let usdc =
            json!({"token": "USDC", "size": trimmed(view.balance), "last_updated_at": millis(view.at_us)});
        Ok(json!({"results": [usdc]}))
    })
    .await
}

async fn open_orders(State(app): Service, who: Principal, Query(params): Query<Params>) -> Reply {
    query(&app, |floor| {
        let filter = Filter::of(floor, &params)?;
        let open = floor.exchange.open_orders(who.account).rev();
        let results: Vec<Value> =
            open.filter(|o| filter.covers(o.market, o.received_us)).map(|o| order_json(floor, o)).collect();
        Ok(json!({"results": results}))
    })
    .await
}

async fn orders_history(State(app): Service, who: Principal, Query(params): Query<Params>) -> Reply {
    query(&app, |floor| {
        let filter = Filter::of(floor, &params)?;
        let client_id = params.get("client_id");
        let orders = floor.exchange.orders(who.account).rev();
        let orders = orders.filter(|o| filter.covers(o.market, o.received_us));
        let orders = orders.filter(|o| client_id.is_none_or(|wanted| o.client_ref == *wanted));
        page(orders.map(|o| order_json(floor, o)), &params)
    })
    .await
}

async fn fills(State(app): Service, who: Principal, Query(params): Query<Params>) -> Reply {
    query(&app, |floor| {
        let filter = Filter::of(floor, &params)?;
        let fills = floor.exchange.fills(who.account).rev().filter(|f| !f.busted);
        let fills = fills.filter(|f| filter.covers(f.market, f.at_us));
        page(fills.map(|f| fill_json(floor, f)), &params)
    })
    .await
}

async fn tradebusts(State(app): Service, who: Principal, Query(params): Query<Params>) -> Reply {
    query(&app, |floor| {
        let busted = floor.exchange.fills(who.account).rev().filter(|f| f.busted);
        page(busted.map(|f| feed::bust_json(&floor.scene(), f)), &params)
    })
    .await
}

/// Funding is paid at changes of a position: one payment for each ledger line.
async fn funding_payments(State(app): Service, who: Principal, Query(params): Query<Params>) -> Reply {
    query(&app, |floor| {
        let filter = Filter::of(floor, &params)?;
        let account = floor.exchange.accounts().get(who.account);
        let lines = account.map(|account| account.ledger.as_slice()).unwrap_or_default().iter().rev();
        let paid = lines.filter(|line| line.kind == LedgerKind::Funding);
        let paid = paid.filter(|line| line.market.is_some_and(|market| filter.covers(market, line.at_us)));
        let address = felt::to_hex(&floor.desk.directory.address(who.account));
        let payment = |line: &crate::core::account::LedgerEntry| {
            json!({
                "id": format!("{}-{}", line.at_us, line.reference), "account": address,
                "market": floor.desk.directory.symbol(line.market.unwrap_or(usize::MAX)),
                "payment": trimmed(line.amount), "fill_id": line.reference, "created_at": millis(line.at_us),
            })
        };
        page(paid.map(payment), &params)
    })
    .await
}

async fn order(State(app): Service, who: Principal, Path(id): Path<String>) -> Reply {
    query(&app, |floor| {
        let order = floor.exchange.order(&id).filter(|order| order.account == who.account);
        let missing = || ApiError::not_found("ORDER_ID_NOT_FOUND", format!("order {id:.40} not found"));
        Ok(order_json(floor, order.ok_or_else(missing)?))
    })
    .await
}

/// Open orders only: a filled or cancelled one is not found by its client id.
async fn order_by_client_id(State(app): Service, who: Principal, Path(id): Path<String>) -> Reply {
    query(&app, |floor| {
        let order = floor.exchange.open_orders(who.account).find(|order| order.client_ref == id);
        Ok(order_json(floor, order.ok_or_else(|| unknown_client_id(&id))?))
    })
    .await
}

async fn create(
    State(app): Service,
    who: Principal,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let Json(body) = body.map_err(|error| ApiError::bad_request("BINDING_ERROR", error.body_text()))?;
    let symbol = body.get("market").and_then(Value::as_str).unwrap_or_default();
    if let Some(market) = app.directory.markets.iter().find(|market| market.symbol == symbol) {
        app.venue.order_read(&market.base);
    }
    let mut shown = Value::Null;
    app.answered(|floor, held| {
        let answer = floor.desk.create(floor.exchange, floor.now_us, &who, &body, held);
        if let super::desk::Answer::At { result: Ok(id), .. } = &answer {
            shown = floor.exchange.order(id).map(|order| order_json(floor, order)).unwrap_or_default();
        }
        answer
    })
    .await?;
    Ok((StatusCode::CREATED, Json(shown)))
}

async fn cancel(State(app): Service, who: Principal, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    app.answered(|floor, held| floor.desk.cancel(floor.exchange, floor.now_us, &who, &id, held)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn cancel_by_client_id(
    State(app): Service,
    who: Principal,
    Path(client_id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let find = |floor: &mut Floor| {
        let order = floor.exchange.open_orders(who.account).find(|order| order.client_ref == client_id);
        order.map(|order| order.id.clone())
    };
    let id = app.floor(find).ok_or_else(|| unknown_client_id(&client_id))?;
    app.answered(|floor, held| floor.desk.cancel(floor.exchange, floor.now_us, &who, &id, held)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn cancel_all(State(app): Service, who: Principal, Query(params): Query<Params>) -> Reply {
    let market = params.get("market").filter(|market| !market.is_empty()).map(String::as_str);
    app.floor(|floor| floor.desk.cancel_all(floor.exchange, floor.now_us, &who, market))?;
    Ok(Json(json!({})))
}

/// By order ids and by client ids of open orders.
async fn cancel_batch(State(app): Service, who: Principal, body: Body) -> Reply {
    let Json(body) = body.map_err(|error| ApiError::bad_request("BINDING_ERROR", error.body_text()))?;
    let texts = |key: &str| -> Vec<String> {
        let list = body.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let results = app.floor(|floor| {
        let mut ids = texts("order_ids");
        for client_id in texts("client_order_ids") {
            let open = floor.exchange.open_orders(who.account).find(|order| order.client_ref == client_id);
            ids.push(open.map_or(client_id, |order| order.id.clone()));
        }
        ids.iter().map(|id| cancel_one(floor, &who, id)).collect::<Vec<_>>()
    });
    Ok(Json(json!({"results": results})))
}

/// A private read: passes the fault rules, then looks.
async fn query(app: &App, look: impl FnOnce(&Floor) -> Result<Value, ApiError>) -> Reply {
    app.gate(Class::Query).await?;
    app.floor(|floor| look(floor)).map(Json)
}

fn unknown_client_id(id: &str) -> ApiError {
    ApiError::not_found("CLIENT_ORDER_ID_NOT_FOUND", format!("client order {id:.64} not found"))
}

fn order_json(floor: &Floor, order: &OrderView) -> Value {
    let directory = &floor.desk.directory;
    let symbol = directory.symbol(order.market);
    form::order(&view::order(order, directory.address(order.account), symbol, floor.now_us))
}

fn fill_json(floor: &Floor, fill: &FillView) -> Value {
    let directory = &floor.desk.directory;
    let interactive = feed::is_interactive(&floor.scene(), fill);
    form::fill(&view::fill(fill, directory.address(fill.account), directory.symbol(fill.market), interactive))
}

/// `market`, `start_at` and `end_at` (milliseconds, both included) of a list.
struct Filter {
    market: Option<usize>,
    from_ms: i64,
    to_ms: i64,
}

impl Filter {
    fn of(floor: &Floor, params: &Params) -> Result<Filter, ApiError> {
        let market = params.get("market").filter(|symbol| !symbol.is_empty());
        let market = market.map(|symbol| market_index(floor.exchange, symbol)).transpose()?;
        let time = |key: &str, default: i64| params.get(key).map_or(Ok(default), |text| text.parse());
        let number = |_| ApiError::validation("start_at, end_at: must be unix milliseconds");
        let from_ms = time("start_at", i64::MIN).map_err(number)?;
        Ok(Filter { market, from_ms, to_ms: time("end_at", i64::MAX).map_err(number)? })
    }

    fn covers(&self, market: usize, at_us: i64) -> bool {
        let inside = (self.from_ms..=self.to_ms).contains(&millis(at_us));
        inside && self.market.is_none_or(|wanted| wanted == market)
    }
}

/// One page of a list: `page_size` entries from an opaque `cursor` on.
fn page(items: impl Iterator<Item = Value>, params: &Params) -> Result<Value, ApiError> {
    let size = params.get("page_size").map_or(Ok(PAGE_DEFAULT), |text| text.parse());
    let size = size.map_err(|_| ApiError::validation("page_size: must be a number"))?.clamp(1, PAGE_MAX);
    let start = match params.get("cursor").filter(|cursor| !cursor.is_empty()) {
        None => 0,
        Some(cursor) => offset_of(cursor).ok_or_else(|| ApiError::validation("cursor: unknown"))?,
    };
    let mut rest = items.skip(start);
    let results: Vec<Value> = rest.by_ref().take(size).collect();
    let next = rest.next().map(|_| URL_SAFE_NO_PAD.encode(format!("from:{}", start + size)));
    Ok(json!({"next": next, "prev": null, "results": results}))
}

fn offset_of(cursor: &str) -> Option<usize> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    text.strip_prefix("from:")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Params {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    #[test]
    fn pages_follow_each_other_by_cursor() {
        let items = || (0..5).map(Value::from);
        let first = page(items(), &params(&[("page_size", "3")])).unwrap();
        assert_eq!(first["results"], json!([0, 1, 2]));
        let cursor = first["next"].as_str().unwrap();
        let second = page(items(), &params(&[("page_size", "3"), ("cursor", cursor)])).unwrap();
        assert_eq!((&second["results"], &second["next"]), (&json!([3, 4]), &Value::Null));
    }

    #[test]
    fn a_made_up_cursor_or_size_is_refused() {
        for pair in [("cursor", "3"), ("cursor", "ZnJvbTp4"), ("page_size", "-1")] {
            assert!(page(std::iter::empty(), &params(&[pair])).is_err(), "{pair:?}");
        }
    }
}
