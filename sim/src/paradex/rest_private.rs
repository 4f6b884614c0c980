//! The private REST calls: account, positions, orders, fills, and order entry.
//!
//! Every handler takes a [`Principal`], so none can be reached without a valid token. Lists come newest first,
//! in pages with opaque cursors. Source: Paradex sheet §4.2.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::desk::{Principal, market_index};
use super::error::ApiError;
use super::json::{self as form, millis};
use super::rest::{Outcome, Visit, body, gated, now, principal, responded};
use super::session::{Floor, cancel_one};
use super::token::Usage;
use super::{feed, felt, view};
use crate::core::account::{LedgerEntry, LedgerKind};
use crate::core::fault::Class;
use crate::core::money::trimmed;
use crate::core::{FillView, OrderView};
use crate::wire::{self, Params, Response};

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 5_000;

type Reading<'a> = dyn Fn(&Floor, &Principal, &Params) -> Outcome + 'a;

/// The answer to a private call; `None` = no such path here.
pub fn route(
    floor: &mut Floor,
    visit: &Visit,
    method: &str,
    steps: &[&str],
) -> Option<wire::Answer<Response>> {
    let read = |floor: &mut Floor, look: &Reading| Some(query(floor, visit, look));
    match (method, steps) {
        ("GET", ["account"] | ["account", "summary"]) => read(floor, &account),
        ("GET", ["account", "info"]) => read(floor, &account_info),
        ("GET", ["positions"]) => read(floor, &positions),
        ("GET", ["balance"]) => read(floor, &balance),
        ("GET", ["orders"]) => read(floor, &open_orders),
        ("GET", ["orders-history"]) => read(floor, &orders_history),
        ("GET", ["fills"]) => read(floor, &fills),
        ("GET", ["tradebusts"]) => read(floor, &tradebusts),
        ("GET", ["funding", "payments"]) => read(floor, &funding_payments),
        ("GET", ["orders", id]) => read(floor, &|floor, who, _| order(floor, who, id)),
        ("GET", ["orders", "by_client_id", id]) => {
            read(floor, &|floor, who, _| order_by_client_id(floor, who, id))
        }
        ("POST" | "DELETE", ["orders", rest @ ..]) => {
            let who = match principal(floor, visit.request) {
                Ok(who) => who,
                Err(error) => return Some(now(floor, Err(error))),
            };
            entry(floor, visit, &who, method, rest)
        }
        _ => None,
    }
}

/// Order entry and cancels.
fn entry(
    floor: &mut Floor,
    visit: &Visit,
    who: &Principal,
    method: &str,
    steps: &[&str],
) -> Option<wire::Answer<Response>> {
    match (method, steps) {
        ("POST", []) => Some(create(floor, visit, who)),
        ("DELETE", []) => {
            let market = visit.params.get("market").filter(|market| !market.is_empty());
            let done = floor.desk.cancel_all(floor.exchange, floor.now_us, who, market.map(String::as_str));
            Some(now(floor, done.map(|_| json!({}))))
        }
        ("DELETE", ["batch"]) => {
            let outcome = cancel_batch(floor, visit, who);
            Some(now(floor, outcome))
        }
        ("DELETE", [id]) => Some(cancel(floor, visit, who, id)),
        ("DELETE", ["by_client_id", client_id]) => {
            let mut open = floor.exchange.open_orders(who.account);
            let id = open.find(|order| order.client_ref == *client_id).map(|order| order.id.clone());
            drop(open);
            Some(match id {
                Some(id) => cancel(floor, visit, who, &id),
                None => now(floor, Err(unknown_client_id(client_id))),
            })
        }
        _ => None,
    }
}

/// A private read: passes the fault rules, then looks.
fn query(floor: &mut Floor, visit: &Visit, look: &Reading) -> wire::Answer<Response> {
    match principal(floor, visit.request) {
        Ok(who) => gated(floor, visit, Class::Query, |floor| look(floor, &who, visit.params)),
        Err(error) => now(floor, Err(error)),
    }
}

fn account(floor: &Floor, who: &Principal, _: &Params) -> Outcome {
    let view = floor.exchange.past(floor.now_us).account(who.account, floor.now_us);
    Ok(form::account(&view::account(&view, floor.desk.directory.address(who.account))))
}

fn account_info(floor: &Floor, who: &Principal, _: &Params) -> Outcome {
    let pro = floor.exchange.spec().markets.first().map_or(0, |market| market.taker_fee);
    let rate = if who.usage == Usage::Retail { 0 } else { pro };
    let fees = json!({"maker_rate": "0", "taker_rate": trimmed(rate)});
    let account = felt::to_hex(&floor.desk.directory.address(who.account));
    Ok(json!({"account": account, "kind": "main", "username": "trader", "fees": fees}))
}

fn positions(floor: &Floor, who: &Principal, _: &Params) -> Outcome {
    let all = floor.exchange.past(floor.now_us).positions(who.account);
    let scene = floor.scene();
    let known = all.iter().filter(|p| !p.last_fill.is_empty());
    let results: Vec<Value> = known.map(|p| form::position(&feed::position(&scene, p))).collect();
    Ok(json!({"results": results}))
}

fn balance(floor: &Floor, who: &Principal, _: &Params) -> Outcome {
    let view = floor.exchange.past(floor.now_us).account(who.account, floor.now_us);
    let usdc = json!({"token": "USDC", "size": trimmed(view.balance), "last_updated_at": millis(view.at_us)});
    Ok(json!({"results": [usdc]}))
}

fn open_orders(floor: &Floor, who: &Principal, params: &Params) -> Outcome {
    let filter = Filter::of(floor, params)?;
    let past = floor.exchange.past(floor.now_us);
    let open = past.open_orders(who.account).filter(|o| filter.covers(o.market, o.received_us));
    Ok(json!({"results": open.map(|o| order_json(floor, o)).collect::<Vec<Value>>()}))
}

fn orders_history(floor: &Floor, who: &Principal, params: &Params) -> Outcome {
    let filter = Filter::of(floor, params)?;
    let client_id = params.get("client_id");
    let past = floor.exchange.past(floor.now_us);
    let orders = past.orders(who.account).filter(|o| filter.covers(o.market, o.received_us));
    let orders = orders.filter(|o| client_id.is_none_or(|wanted| o.client_ref == *wanted));
    page(orders.map(|o| order_json(floor, o)), params)
}

fn fills(floor: &Floor, who: &Principal, params: &Params) -> Outcome {
    let filter = Filter::of(floor, params)?;
    let past = floor.exchange.past(floor.now_us);
    let fills = past.fills(who.account).filter(|f| !f.busted && filter.covers(f.market, f.at_us));
    page(fills.map(|f| fill_json(floor, f)), params)
}

fn tradebusts(floor: &Floor, who: &Principal, params: &Params) -> Outcome {
    let past = floor.exchange.past(floor.now_us);
    let busted = past.fills(who.account).filter(|f| f.busted);
    page(busted.map(|f| feed::bust_json(&floor.scene(), f)), params)
}

/// Funding is paid at changes of a position: one payment for each ledger line.
fn funding_payments(floor: &Floor, who: &Principal, params: &Params) -> Outcome {
    let filter = Filter::of(floor, params)?;
    let account = floor.exchange.accounts().get(who.account);
    let lines = account.map(|account| account.ledger.as_slice()).unwrap_or_default().iter().rev();
    let paid = lines.filter(|line| line.kind == LedgerKind::Funding);
    let paid = paid.filter(|line| line.market.is_some_and(|market| filter.covers(market, line.at_us)));
    let address = felt::to_hex(&floor.desk.directory.address(who.account));
    let payment = |line: &LedgerEntry| {
        json!({
            "id": format!("{}-{}", line.at_us, line.reference), "account": address,
            "market": floor.exchange.symbol(line.market.unwrap_or(usize::MAX)),
            "payment": trimmed(line.amount), "fill_id": line.reference, "created_at": millis(line.at_us),
        })
    };
    page(paid.map(payment), params)
}

fn order(floor: &Floor, who: &Principal, id: &str) -> Outcome {
    let past = floor.exchange.past(floor.now_us);
    let order = past.order(id).filter(|order| order.account == who.account);
    let missing = || ApiError::not_found("ORDER_ID_NOT_FOUND", format!("order {id:.40} not found"));
    Ok(order_json(floor, order.ok_or_else(missing)?))
}

/// Open orders only: a filled or cancelled one is not found by its client id.
fn order_by_client_id(floor: &Floor, who: &Principal, id: &str) -> Outcome {
    let past = floor.exchange.past(floor.now_us);
    let order = past.open_orders(who.account).find(|order| order.client_ref == id);
    Ok(order_json(floor, order.ok_or_else(|| unknown_client_id(id))?))
}

fn create(floor: &mut Floor, visit: &Visit, who: &Principal) -> wire::Answer<Response> {
    let body = match body(visit.request) {
        Ok(body) => body,
        Err(error) => return now(floor, Err(error)),
    };
    let answer = floor.desk.create(floor.exchange, floor.now_us, who, &body, visit.held);
    let shown = |id: String| floor.exchange.order(&id).map(|o| order_json(floor, o)).unwrap_or_default();
    responded(201, answer.map(|result| result.map(shown)))
}

fn cancel(floor: &mut Floor, visit: &Visit, who: &Principal, id: &str) -> wire::Answer<Response> {
    let answer = floor.desk.cancel(floor.exchange, floor.now_us, who, id, visit.held);
    responded(204, answer.map(|result: Result<(), ApiError>| result.map(|()| Value::Null)))
}

/// By order ids and by client ids of open orders.
fn cancel_batch(floor: &mut Floor, visit: &Visit, who: &Principal) -> Outcome {
    let body = body(visit.request)?;
    let texts = |key: &str| -> Vec<String> {
        let list = body.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut ids = texts("order_ids");
    for client_id in texts("client_order_ids") {
        let open = floor.exchange.open_orders(who.account).find(|order| order.client_ref == client_id);
        ids.push(open.map_or(client_id, |order| order.id.clone()));
    }
    Ok(json!({"results": ids.iter().map(|id| cancel_one(floor, who, id)).collect::<Vec<_>>()}))
}

fn unknown_client_id(id: &str) -> ApiError {
    ApiError::not_found("CLIENT_ORDER_ID_NOT_FOUND", format!("client order {id:.64} not found"))
}

fn order_json(floor: &Floor, order: &OrderView) -> Value {
    let symbol = floor.exchange.symbol(order.market);
    let address = floor.desk.directory.address(order.account);
    form::order(&view::order(order, address, symbol, floor.now_us))
}

fn fill_json(floor: &Floor, fill: &FillView) -> Value {
    let interactive = feed::is_interactive(&floor.scene(), fill);
    let (address, symbol) = (floor.desk.directory.address(fill.account), floor.exchange.symbol(fill.market));
    form::fill(&view::fill(fill, address, symbol, interactive))
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
