//! Vest's REST handlers: who asks, what for, what the core says, in the venue's words.
//!
//! Source: the venue sheet, sections 2, 3.3, 5 and 6. Each handler checks the caller, passes the fault
//! rules, and translates; no rule of trading is decided here.

use serde_json::{Value, json};

use super::reply::Refusal;
use super::{Floor, TRADER, history, request, view};
use crate::core::fault::Class;
use crate::core::{MarketSpec, NewOrder, OrderView, Reply};
use crate::wire::{Answer, Params, Request, Response};

const ROWS_MAX: usize = 1_000;
const DEPTH_DEFAULT: usize = 20;
const DEPTH_MAX: usize = 100;

pub(super) type Outcome = Result<Value, Refusal>;

/// Answers a request below `/v2`. `held` marks one that was handed back by [`Answer::Hold`].
pub fn call(floor: &mut Floor, request: &Request, held: bool) -> Answer<Response> {
    let shape = floor.desk.switches.vest_error_shape;
    route(floor, request, held).map(|outcome| match outcome {
        Ok(body) => Response::json(200, &body),
        Err(refusal) => refusal.respond(shape),
    })
}

fn route(floor: &mut Floor, request: &Request, held: bool) -> Answer<Outcome> {
    let params = request.params();
    let private = |floor: &mut Floor, class, act: &dyn Fn(&mut Floor) -> Outcome| {
        if let Err(refusal) = authorised(floor, request) {
            return Answer::At { due_us: floor.now_us, result: Err(refusal) };
        }
        gated(floor, class, held, act)
    };
    let public = |floor: &mut Floor, act: &dyn Fn(&Floor) -> Outcome| {
        gated(floor, Class::PublicQuery, held, &|floor| act(floor))
    };
    let path = request.path().strip_prefix("/v2").unwrap_or_default();
    match (request.method, path) {
        ("GET", "/exchangeInfo") => public(floor, &|floor| exchange_info(floor, &params)),
        ("GET", "/ticker/latest") => public(floor, &|floor| ticker_latest(floor, &params)),
        ("GET", "/ticker/24hr") => public(floor, &|floor| history::ticker_24hr(floor, &params)),
        ("GET", "/klines") => public(floor, &|floor| history::klines(floor, &params)),
        ("GET", "/funding/history") => public(floor, &|floor| history::funding(floor, &params)),
        ("GET", "/oi") => public(floor, &|floor| history::open_interest(floor, &params)),
        ("GET", "/depth") => public(floor, &|floor| depth(floor, &params)),
        ("GET", "/trades") => public(floor, &|floor| trades(floor, &params)),
        ("POST", "/register") => gated(floor, Class::Auth, held, &|floor| register(floor, request)),
        ("GET", "/account") => private(floor, Class::Query, &|floor| account(floor, &params)),
        ("GET", "/account/nonce") => private(floor, Class::Query, &|floor| nonce(floor, &params)),
        ("POST", "/account/listenKey") => private(floor, Class::Auth, &create_listen_key),
        ("PUT", "/account/listenKey") => private(floor, Class::Auth, &extend_listen_key),
        ("DELETE", "/account/listenKey") => private(floor, Class::Auth, &close_listen_key),
        ("POST", "/account/leverage") => private(floor, Class::Query, &|floor| leverage(floor, request)),
        // Liquidity and transfers: the run's account never has any.
        ("GET", "/lp" | "/transfer") => private(floor, Class::Query, &|_| Ok(json!([]))),
        ("GET", "/orders") => private(floor, Class::Query, &|floor| list_orders(floor, &params)),
        ("POST", "/orders") => place(floor, request, held),
        ("POST", "/orders/cancel") => cancel(floor, request, &params, held),
        _ => Answer::At { due_us: floor.now_us, result: Err(Refusal::NotFound) },
    }
}

fn exchange_info(floor: &Floor, params: &Params) -> Outcome {
    let mode = floor.exchange.mode();
    let markets = chosen(floor, params)?;
    Ok(view::exchange_info(markets.into_iter().map(|(_, spec)| (spec, mode))))
}

fn ticker_latest(floor: &Floor, params: &Params) -> Outcome {
    let row = |(index, spec)| view::ticker(&floor.exchange.ticker(index, floor.now_us), spec);
    Ok(json!({"tickers": chosen(floor, params)?.into_iter().map(row).collect::<Vec<Value>>()}))
}

fn depth(floor: &Floor, params: &Params) -> Outcome {
    let (index, spec) = one_market(floor, params)?;
    let wanted = params.get("limit").and_then(|text| text.parse().ok()).unwrap_or(DEPTH_DEFAULT);
    Ok(view::depth(&floor.exchange.snapshot(index, floor.now_us), spec, wanted.min(DEPTH_MAX)))
}

fn trades(floor: &Floor, params: &Params) -> Outcome {
    let (index, spec) = one_market(floor, params)?;
    let fills = floor.exchange.fills(TRADER).enumerate().filter(|(_, fill)| fill.market == index);
    Ok(json!(fills.map(|(id, fill)| view::trade(fill, spec, json!(id))).collect::<Vec<Value>>()))
}

fn register(floor: &mut Floor, request: &Request) -> Outcome {
    json_body(request)?;
    let body = request::body(request.body)?;
    let proof = request::registration(&body, &floor.desk.switches, floor.now_ms())?;
    if proof.primary != floor.desk.session.primary {
        return Err(Refusal::code(1099, "Account not found"));
    }
    let key = floor.desk.session.register(proof.signing, proof.expiry_ms);
    Ok(json!({"apiKey": key, "accGroup": floor.desk.group}))
}

fn create_listen_key(floor: &mut Floor) -> Outcome {
    let key = floor.desk.session.create_listen_key(floor.now_us, floor.desk.revoked_us);
    floor.desk.issued.push(key.clone());
    Ok(json!({"listenKey": key}))
}

fn extend_listen_key(floor: &mut Floor) -> Outcome {
    let key = floor.desk.session.extend_listen_key(floor.now_us, floor.desk.revoked_us);
    let expired = "Listen key expired. Make a POST request to create a new key.";
    key.map(|key| json!({"listenKey": key})).ok_or(Refusal::Code200(1125, expired))
}

fn close_listen_key(floor: &mut Floor) -> Outcome {
    floor.desk.session.close_listen_key();
    Ok(json!({}))
}

fn account(floor: &Floor, params: &Params) -> Outcome {
    needs_time(params)?;
    let session = &floor.desk.session;
    let leverage = |symbol: &str| session.leverage(symbol);
    let extras = view::AccountExtras { address: session.primary.text(), leverage: &leverage };
    let past = floor.exchange.past(floor.now_us);
    Ok(view::account(&past.account(TRADER, floor.now_us), &past.positions(TRADER), floor.markets(), &extras))
}

fn nonce(floor: &Floor, params: &Params) -> Outcome {
    needs_time(params).map(|()| json!({"lastNonce": floor.desk.session.last_nonce}))
}

fn leverage(floor: &mut Floor, request: &Request) -> Outcome {
    json_body(request)?;
    let (symbol, value) = request::leverage(&request::body(request.body)?, floor.markets())?;
    refuse_unsafe_leverage(floor, &symbol, value)?;
    floor.desk.session.set_leverage(&symbol, value);
    Ok(json!({"symbol": symbol, "value": value}))
}

/// Leverage may not be lowered under an open position (3021).
fn refuse_unsafe_leverage(floor: &Floor, symbol: &str, value: u32) -> Result<(), Refusal> {
    let held = floor.exchange.market(symbol).map_or(0, |m| floor.exchange.held(TRADER, m));
    match held != 0 && value < floor.desk.session.leverage(symbol) {
        true => Err(Refusal::code(3021, "Decrease leverage with position")),
        false => Ok(()),
    }
}

fn list_orders(floor: &Floor, params: &Params) -> Outcome {
    let filter = Filter::read(floor, params)?;
    let past = floor.exchange.past(floor.now_us);
    let matching = past.orders(TRADER).filter(|order| filter.keeps(order));
    let row = |o: &OrderView| {
        let spec = &floor.markets()[o.market];
        view::order_row(o, spec, floor.desk.session.leverage(&spec.symbol))
    };
    Ok(json!(matching.take(filter.limit).map(row).collect::<Vec<Value>>()))
}

fn place(floor: &mut Floor, request: &Request, held: bool) -> Answer<Outcome> {
    match try_place(floor, request, held) {
        Err(refusal) => Answer::At { due_us: floor.now_us, result: Err(refusal) },
        Ok(order) => answer_of(floor.exchange.submit(floor.now_us, order)).map(|id| Ok(json!({ "id": id? }))),
    }
}

fn try_place(floor: &mut Floor, request: &Request, held: bool) -> Result<NewOrder, Refusal> {
    let body = request::body(request.body)?;
    authorised(floor, request)?;
    json_body(request)?;
    let switches = &floor.desk.switches;
    let order = request::order(&body, floor.markets(), switches, floor.now_ms())?;
    if !signed_well(floor, order.signer.as_ref()) {
        return Err(request::bad_signature());
    }
    let session = &mut floor.desk.session;
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
        held,
    })
}

fn cancel(floor: &mut Floor, request: &Request, params: &Params, held: bool) -> Answer<Outcome> {
    match try_cancel(floor, request, params) {
        Err(refusal) => Answer::At { due_us: floor.now_us, result: Err(refusal) },
        Ok(id) => {
            let reply = floor.exchange.cancel(floor.now_us, &id, 0, held);
            answer_of(reply).map(|done| done.map(|()| json!({ "id": id })))
        }
    }
}

fn try_cancel(floor: &Floor, request: &Request, params: &Params) -> Result<String, Refusal> {
    authorised(floor, request)?;
    json_body(request)?;
    let switches = &floor.desk.switches;
    if switches.vest_cancel_needs_time {
        needs_time(params)?;
    }
    let cancel = request::cancel(&request::body(request.body)?, switches, floor.now_ms())?;
    match signed_well(floor, cancel.signer.as_ref()) {
        true => Ok(cancel.order_id),
        false => Err(request::bad_signature()),
    }
}

/// Whether the signer may sign; no signer = the run does not look at signatures, and takes the approved key's word.
fn signed_well(floor: &Floor, signer: Option<&super::Address>) -> bool {
    let session = &floor.desk.session;
    signer.map_or_else(|| session.has_signer(floor.now_us), |who| session.may_sign(who, floor.now_us))
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
    fn read(floor: &Floor, query: &Params) -> Result<Self, Refusal> {
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
            Some(_) => Some(one_market(floor, query)?.0),
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
            && self.kind.as_deref().is_none_or(|kind| kind == view::order_type(order))
            && self.status.as_deref().is_none_or(|status| status == view::order_status(order))
            && (self.from_ms..=self.to_ms).contains(&at_ms)
    }
}

/// Passes a request through the fault rules, then lets it act; nothing but the answer is late.
fn gated(
    floor: &mut Floor,
    class: Class,
    held: bool,
    act: &dyn Fn(&mut Floor) -> Outcome,
) -> Answer<Outcome> {
    let passed = floor.exchange.gate(floor.now_us, class, held);
    answer_of(passed).map(|passed| passed.and_then(|()| act(floor)))
}

fn answer_of<T>(reply: Reply<T>) -> Answer<Result<T, Refusal>> {
    match reply {
        Reply::At { due_us, result } => {
            Answer::At { due_us, result: result.map_err(|reject| Refusal::of(&reject)) }
        }
        Reply::Hold { until_us } => Answer::Hold { until_us },
        Reply::Never => Answer::Never,
    }
}

/// Private calls carry the API key and the routing header of the account's group.
fn authorised(floor: &Floor, request: &Request) -> Result<(), Refusal> {
    if !request.header("x-api-key").is_some_and(|key| floor.desk.session.knows_api_key(key)) {
        return Err(Refusal::Unauthorized);
    }
    match request.header("xrestservermm").and_then(|value| value.strip_prefix("restserver")) {
        Some(group) if group.parse() == Ok(floor.desk.group) => Ok(()),
        Some(_) => Err(Refusal::code(1099, "Account not found")),
        None => Err(Refusal::code(1146, "Invalid account group")),
    }
}

fn json_body(request: &Request) -> Result<(), Refusal> {
    match request.is_json() {
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
pub(super) fn chosen<'a>(floor: &'a Floor, query: &Params) -> Result<Vec<(usize, &'a MarketSpec)>, Refusal> {
    let all = floor.markets().iter().enumerate();
    let Some(names) = query.get("symbols") else {
        return Ok(all.collect());
    };
    let find = |name: &str| all.clone().find(|(_, spec)| spec.symbol == name).ok_or_else(bad_symbol);
    names.split(',').map(find).collect()
}

pub(super) fn one_market<'a>(floor: &'a Floor, query: &Params) -> Result<(usize, &'a MarketSpec), Refusal> {
    let name = query.get("symbol").ok_or(Refusal::Invalid { place: "query", field: "symbol".into() })?;
    floor.markets().iter().enumerate().find(|(_, spec)| spec.symbol == *name).ok_or_else(bad_symbol)
}

fn bad_symbol() -> Refusal {
    Refusal::code(1121, "Bad symbol")
}
