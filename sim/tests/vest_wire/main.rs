//! Vest over real TLS, by a small client written from the venue sheet: it registers, subscribes, trades,
//! sees its fills, and is refused where the sheet says so.

mod client;
mod serve;

use bot4_sim::control::VenueName;
use bot4_sim::core::fault::{Action, Class, Rule};
use bot4_sim::core::model::Script;
use bot4_sim::core::{Side, Socket, money};
use bot4_sim::options::ErrorShape;
use bot4_sim::{Options, Running, Sim};
use client::{Client, Reply, Ws, key, now_ms, sign_order};
use serde_json::{Value, json};

const SIGNING: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";

fn start() -> (Running, Client) {
    let running = Sim::start(Options::default()).unwrap();
    let client = Client::new(&running.endpoints.ca_file, &running.endpoints.vest.rest_url);
    (running, client)
}

/// Holds the book still around 72,000 so that prices can be predicted.
fn still(running: &Running) {
    let script =
        Script { mid: Some(money::parse("72000").unwrap()), basis_bps: Some(0), ..Script::default() };
    running.control.script(VenueName::Vest, "BTC-PERP", script).unwrap();
}

fn order(nonce: u64, is_buy: bool, size: &str, limit: &str, reduce_only: bool) -> Value {
    json!({"time": nonce, "nonce": nonce, "symbol": "BTC-PERP", "isBuy": is_buy, "size": size,
        "orderType": "MARKET", "limitPrice": limit, "reduceOnly": reduce_only})
}

fn place(client: &mut Client, order: &Value) -> Reply {
    let signature = sign_order(&key(SIGNING), order);
    let body = json!({"order": order, "recvWindow": 5000, "signature": signature});
    client.private("POST", "/orders", Some(&body))
}

fn code(reply: &Reply) -> i64 {
    let at = |pointer: &str| reply.json().pointer(pointer).and_then(Value::as_i64);
    at("/detail/code").or(at("/code")).unwrap_or(0)
}

fn private_socket(running: &Running, client: &mut Client) -> Ws {
    let reply = client.private("POST", "/account/listenKey", None);
    let listen_key = reply.json()["listenKey"].as_str().unwrap().to_owned();
    let query = format!("?version=1.0&xwebsocketserver=restserver0&listenKey={listen_key}");
    let mut ws = Ws::connect(&running.endpoints.ca_file, &running.endpoints.vest.ws_url, &query);
    ws.send(&json!({"method": "SUBSCRIBE", "params": ["account_private"], "id": 1}));
    assert_eq!(ws.next_json(), json!({"result": null, "id": 1}));
    ws
}

/// The next order event with this status.
fn order_event(ws: &mut Ws, status: &str) -> Value {
    loop {
        let message = ws.next_json();
        let args = &message["data"]["args"];
        if message["channel"] == "account_private" && args["status"] == status {
            return args.clone();
        }
    }
}

#[test]
fn an_order_is_signed_filled_and_accounted() {
    let (running, mut client) = start();
    still(&running);
    let mut ws = private_socket(&running, &mut client);
    let nonce = now_ms();
    let reply = place(&mut client, &order(nonce, true, "0.0100", "73000.00", false));
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(reply.json(), json!({ "id": id }), "the acknowledgement is only an id");
    assert_eq!(order_event(&mut ws, "NEW")["nonce"], json!(nonce));
    let filled = order_event(&mut ws, "FILLED");
    assert_eq!(
        (filled["id"].as_str(), filled["lastFilledSize"].as_str()),
        (Some(id.as_str()), Some("0.0100"))
    );

    let rows = client.private("GET", &format!("/orders?nonce={nonce}"), None).json();
    assert_eq!(rows[0]["status"], "FILLED");
    assert_eq!(rows[0]["avgFilledPrice"], filled["avgFilledPrice"]);
    let account = client.private("GET", &format!("/account?time={nonce}"), None).json();
    assert_eq!(account["positions"][0]["size"], "0.0100");
    let fee = money::parse(rows[0]["fees"].as_str().unwrap()).unwrap();
    let notional = money::parse(filled["avgFilledPrice"].as_str().unwrap()).unwrap() / 100;
    assert_eq!(fee, money::to_multiple(notional / 10_000, 100, money::Round::Nearest));
    let truth = running.control.truth().vest;
    assert_eq!((truth.ledger_total, truth.ledger_change), (truth.account.balance, -fee));

    let reply = place(&mut client, &order(nonce + 1, false, "0.0100", "71000.00", true));
    assert!(reply.json()["id"].is_string());
    let closed = order_event(&mut ws, "FILLED");
    assert_eq!(closed["reduceOnly"], json!(true));
    let rows = client.private("GET", &format!("/orders?nonce={}", nonce + 1), None).json();
    let truth = running.control.truth().vest;
    assert!(truth.is_flat());
    let realized = money::parse(rows[0]["realizedPnl"].as_str().unwrap()).unwrap();
    assert_eq!(truth.ledger_change, realized - fee, "the order rows add up to the change of the balance");
}

#[test]
fn registration_is_verified_and_gives_a_working_key() {
    let (_running, mut client) = start();
    let expiry = now_ms() + 86_400_000;
    let primary = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    let signing = "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a";
    let body = client::registration(&key(primary), &key(signing), expiry);
    let reply = client.public("POST", "/register", Some(&body));
    assert_eq!(reply.json()["accGroup"], json!(0));
    client.api_key = reply.json()["apiKey"].as_str().unwrap().to_owned();
    assert_eq!(client.private("GET", "/account?time=1", None).status, 200);

    let mut forged = body.clone();
    forged["expiryTime"] = json!(expiry + 1);
    assert_eq!(code(&client.public("POST", "/register", Some(&forged))), 1022);
    client.api_key = "wrong".into();
    assert_eq!(client.private("GET", "/account?time=1", None).status, 401);
}

#[test]
fn the_strict_refusals_happen() {
    let (running, mut client) = start();
    still(&running);
    let nonce = now_ms();
    let good = order(nonce, true, "0.0100", "73000.00", false);
    assert!(place(&mut client, &good).json()["id"].is_string());
    assert_eq!(code(&place(&mut client, &good)), 3015, "the same signed fields again");
    assert_eq!(code(&place(&mut client, &order(nonce + 1, true, "0.01", "73000.00", false))), 1111);
    assert_eq!(code(&place(&mut client, &order(nonce - 60_000, true, "0.0100", "73000.00", false))), 1132);

    let mut wrong_key = json!({"order": good, "recvWindow": 5000});
    wrong_key["signature"] = json!(sign_order(&key(&SIGNING.replace("59c6", "59c7")), &good));
    assert_eq!(code(&client.private("POST", "/orders", Some(&wrong_key))), 1022);
    assert_eq!(client.private("GET", "/account", None).status, 422);
    client.group = None;
    assert_eq!(code(&client.private("GET", "/account?time=1", None)), 1146);
}

#[test]
fn a_cancel_needs_time_and_a_finished_order_cannot_be_cancelled() {
    let (running, mut client) = start();
    still(&running);
    let mut ws = private_socket(&running, &mut client);
    running.control.fault(VenueName::Vest, Rule::once(Class::Order, Action::HoldFill { ms: 30_000 }));
    let nonce = now_ms();
    let id = place(&mut client, &order(nonce, true, "0.0100", "73000.00", false)).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    order_event(&mut ws, "NEW");
    let body = client::cancellation(&key(SIGNING), nonce + 1, &id);
    assert_eq!(client.private("POST", "/orders/cancel", Some(&body)).status, 422);
    let reply = client.private("POST", &format!("/orders/cancel?time={nonce}"), Some(&body));
    assert_eq!(reply.json()["id"], json!(id));
    assert_eq!(order_event(&mut ws, "CANCELLED")["id"], json!(id));
    let reply = client.private("POST", &format!("/orders/cancel?time={nonce}"), Some(&body));
    assert_eq!((reply.status, code(&reply)), (200, 3017));
}

#[test]
fn a_house_rejects_what_lies_outside_the_limit_or_reduces_nothing() {
    let (running, mut client) = start();
    still(&running);
    let mut ws = private_socket(&running, &mut client);
    let nonce = now_ms();
    place(&mut client, &order(nonce, true, "0.0100", "71000.00", false));
    assert_eq!(order_event(&mut ws, "REJECTED")["code"], json!(3001));
    place(&mut client, &order(nonce + 1, true, "0.0100", "73000.00", true));
    assert_eq!(order_event(&mut ws, "REJECTED")["code"], json!(3018));
    assert!(running.control.truth().vest.is_flat());
}

#[test]
fn faults_do_what_they_say() {
    let (running, mut client) = start();
    still(&running);
    let mut ws = private_socket(&running, &mut client);
    let control = &running.control;
    control.fault(VenueName::Vest, Rule::once(Class::Order, Action::DropAck));
    let nonce = now_ms();
    client.send_order(&key(SIGNING), &order(nonce, true, "0.0100", "73000.00", false));
    assert_eq!(order_event(&mut ws, "FILLED")["nonce"], json!(nonce), "no answer, and yet filled");
    client.reconnect();

    let cut = Action::Disconnect { socket: Socket::Orders, code: None };
    control.fault(VenueName::Vest, Rule::once(Class::Order, cut));
    client.send_order(&key(SIGNING), &order(nonce + 9, true, "0.0100", "73000.00", false));
    assert!(client.was_cut());
    assert_eq!(order_event(&mut ws, "FILLED")["nonce"], json!(nonce + 9), "cut off, and yet filled");
    client.reconnect();

    let size = money::parse("0.004").unwrap();
    control.fault(VenueName::Vest, Rule::once(Class::Order, Action::PartialFill { size }));
    place(&mut client, &order(nonce + 1, false, "0.0100", "71000.00", true));
    assert_eq!(order_event(&mut ws, "PARTIALLY_FILLED")["lastFilledSize"], Value::Null);
    let cut = order_event(&mut ws, "CANCELLED");
    assert_eq!(cut.as_object().map(|keys| keys.len()), Some(4), "id, status, postTime and nonce: {cut}");
    let row = &client.private("GET", &format!("/orders?nonce={}", nonce + 1), None).json()[0];
    let figures = ["lastFilledSize", "lastFilledPrice", "lastFilledTime", "avgFilledPrice"];
    let figures = figures.iter().chain(&["settledFunding", "realizedPnl"]);
    assert!(figures.into_iter().all(|key| row[key].is_null()), "what had filled is not told: {row}");
    assert_ne!(row["fees"], "0.000000", "its fees are");

    let reject = Action::Reject { code: "3010".into(), message: "cap".into() };
    control.fault(VenueName::Vest, Rule { side: Some(Side::Buy), ..Rule::once(Class::Order, reject) });
    assert_eq!(code(&place(&mut client, &order(nonce + 2, true, "0.0100", "73000.00", false))), 3010);

    let late = Action::LateReject { code: "3002".into(), message: String::new() };
    control.fault(VenueName::Vest, Rule::once(Class::Order, late));
    place(&mut client, &order(nonce + 3, true, "0.0100", "73000.00", false));
    assert_eq!(order_event(&mut ws, "REJECTED")["code"], json!(3002));

    control.disconnect(VenueName::Vest, Socket::Private, None);
    assert_eq!(ws.closed_with(), None);
    let mut ws = private_socket(&running, &mut client);
    control.expire(bot4_sim::control::Login::ListenKey);
    assert_eq!(ws.closed_with(), Some(4005));
    assert_eq!(code(&client.private("PUT", "/account/listenKey", None)), 1125);
    assert_eq!(running.control.truth().vest.faults_fired, 5);
}

#[test]
fn depth_is_a_whole_book_and_can_be_frozen_and_falsified() {
    let (running, _client) = start();
    let endpoints = &running.endpoints;
    let mut ws = Ws::connect(&endpoints.ca_file, &endpoints.vest.ws_url, "?version=1.0");
    ws.send(&json!({"method": "PING", "params": [], "id": 0}));
    assert_eq!(ws.next_json(), json!({"data": "PONG"}));
    ws.send(&json!({"method": "SUBSCRIBE", "params": ["BTC-PERP@depth"], "id": 5}));
    assert_eq!(ws.next_json(), json!({"result": null, "id": 5}));
    let book = ws.next_json();
    assert_eq!(book["channel"], "BTC-PERP@depth");
    let bids = book["data"]["bids"].as_array().unwrap();
    assert!((20..=40).contains(&bids.len()), "{} bids", bids.len());
    let decimals = |text: &Value| money::places_of(text.as_str().unwrap());
    assert!(bids.iter().all(|l| (decimals(&l[0]), decimals(&l[1])) == (2, 4)));

    let lie = Script { lie: Some(bot4_sim::core::model::Lie::Zero), ..Script::default() };
    running.control.script(VenueName::Vest, "BTC-PERP", lie).unwrap();
    while ws.next_json()["data"]["bids"][0][0] != "0.00" {}
    running.control.raw(VenueName::Vest, "BTC-PERP", b"{not json".to_vec()).unwrap();
    while ws.next_text() != "{not json" {}
    assert!(running.control.stats().updates_sent["vest"] >= 2);
}

#[test]
fn public_reads_have_the_documented_shapes() {
    let (running, mut client) = start();
    let mut get = |path: &str| client.public("GET", path, None);
    let info = get("/exchangeInfo?symbols=ETH-PERP").json();
    assert_eq!(
        (&info["symbols"][0]["sizeDecimals"], &info["symbols"][0]["priceDecimals"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(get("/ticker/latest").json()["tickers"].as_array().unwrap().len(), 3);
    assert_eq!(get("/ticker/24hr?symbols=SOL-PERP").json()["tickers"][0]["symbol"], "SOL-PERP");
    assert_eq!(get("/depth?symbol=BTC-PERP&limit=5").json()["bids"].as_array().unwrap().len(), 5);
    assert_eq!(get("/klines?symbol=BTC-PERP&interval=1h").json()[0].as_array().unwrap().len(), 9);
    assert_eq!(get("/funding/history?symbol=BTC-PERP").json()[0]["oneHrFundingRate"], "0.000012500000");
    assert_eq!(get("/oi?symbols=BTC-PERP").json()["ois"][0]["longOi"], "0.0000");
    assert_eq!(get("/trades?symbol=BTC-PERP").json(), json!([]));
    assert_eq!(code(&get("/depth?symbol=NONE-PERP")), 1121);
    assert_eq!(get("/depth").status, 422);

    let mut ws = Ws::connect(&running.endpoints.ca_file, &running.endpoints.vest.ws_url, "?version=1.0");
    ws.send(&json!({"method": "SUBSCRIBE", "params": ["BTC-PERP@kline_1m", "tickers"], "id": 2}));
    assert_eq!(ws.next_json(), json!({"result": null, "id": 2}));
    assert_eq!(ws.next_json()["data"].as_array().unwrap().len(), 3, "all symbols in one array");
    assert_eq!(ws.next_json()["data"][8], "0", "the number of trades is a text here");
    ws.send(&json!({"method": "SUBSCRIBE", "params": ["BTC-PERP@depth", "NONE-PERP@depth"], "id": 3}));
    while ws.next_json()["code"] != json!(1121) {}
}

#[test]
fn the_switches_relax_what_is_disputed() {
    let mut options = Options::default();
    options.switches.vest_accepts_ioc = true;
    options.switches.vest_accepts_trimmed = true;
    options.switches.vest_cancel_needs_time = false;
    options.switches.vest_error_shape = ErrorShape::Envelope200;
    let running = Sim::start(options).unwrap();
    let mut client = Client::new(&running.endpoints.ca_file, &running.endpoints.vest.rest_url);
    still(&running);
    let mut ws = private_socket(&running, &mut client);
    let nonce = now_ms();
    let ioc = |nonce: u64, tif: &str| {
        let mut order = order(nonce, true, "0.01", "73000", false);
        order["orderType"] = json!("LIMIT");
        order["timeInForce"] = json!(tif);
        order
    };
    assert!(place(&mut client, &ioc(nonce, "IOC")).json()["id"].is_string());
    assert_eq!(order_event(&mut ws, "FILLED")["lastFilledSize"], "0.0100");
    let reply = place(&mut client, &ioc(nonce + 1, "DAY"));
    assert_eq!((reply.status, reply.json()["code"].as_i64()), (200, Some(1133)));
    let body = client::cancellation(&key(SIGNING), nonce + 2, "0x00");
    assert_eq!(code(&client.private("POST", "/orders/cancel", Some(&body))), 3017);
}

#[test]
fn a_fill_or_kill_that_cannot_be_filled_whole_is_cancelled() {
    let (running, mut client) = start();
    still(&running);
    let mut ws = private_socket(&running, &mut client);
    let nonce = now_ms();
    let mut fok = order(nonce, true, "99.0000", "72040.00", false);
    fok["orderType"] = json!("LIMIT");
    fok["timeInForce"] = json!("FOK");
    assert!(place(&mut client, &fok).json()["id"].is_string());
    // Ninety-nine bitcoin are beyond the margin before they are beyond the book.
    assert_eq!(order_event(&mut ws, "REJECTED")["code"], json!(3002));
    fok["nonce"] = json!(nonce + 1);
    fok["size"] = json!("20.0000");
    assert!(place(&mut client, &fok).json()["id"].is_string());
    order_event(&mut ws, "CANCELLED");
    let rows = client.private("GET", &format!("/orders?nonce={}", nonce + 1), None).json();
    assert_eq!((&rows[0]["status"], &rows[0]["lastFilledSize"]), (&json!("CANCELLED"), &Value::Null));
}

#[test]
fn sockets_are_closed_with_the_codes_of_the_sheet() {
    let (running, _client) = start();
    let endpoints = &running.endpoints;
    let code = |query: &str| Ws::connect(&endpoints.ca_file, &endpoints.vest.ws_url, query).closed_with();
    assert_eq!(code("?version=2.0"), Some(4000));
    assert_eq!(code("?version=1.0&xwebsocketserver=restserver7"), Some(4001));
    assert_eq!(code("?version=1.0&xwebsocketserver=seven"), Some(4002));
    assert_eq!(code("?version=1.0&listenKey=00"), Some(4004));
    let mut ws = Ws::connect(&endpoints.ca_file, &endpoints.vest.ws_url, "?version=1.0");
    ws.send(&json!({"method": "SUBSCRIBE", "params": ["account_private"], "id": 1}));
    assert_eq!(ws.closed_with(), Some(4003));
}
