//! Orders that the venue refuses: at once with a code, or after the acknowledgement with a reason.

use bot4_sim::control::VenueName;
use bot4_sim::core::Mode;
use bot4_sim::core::fault::{Action, Class, Rule};
use serde_json::{Value, json};

use crate::client::{Venue, now_ms};

fn code(venue: &Venue, token: &str, body: &Value) -> String {
    let reply = venue.place(token, body);
    assert!(reply.status >= 400, "{}", reply.body);
    reply.body["error"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_wrong_with_the_order_is_refused_at_once() {
    let venue = Venue::start().still();
    let token = venue.token("");
    let order = |size: &str, price: &str| venue.order("BUY", "LIMIT", size, price, "IOC");
    assert_eq!(code(&venue, &token, &order("0.000015", "72500")), "INVALID_ORDER_SIZE");
    assert_eq!(code(&venue, &token, &order("0.001", "72500.05")), "INVALID_REQUEST_PARAMETER");
    let changed = |field: &str, value: Value| {
        let mut body = order("0.001", "72500");
        body[field] = value;
        code(&venue, &token, &body)
    };
    assert_eq!(changed("size", json!("0.002")), "INVALID_ORDER_SIGNATURE");
    assert_eq!(changed("price", json!("72501")), "INVALID_ORDER_SIGNATURE");
    assert_eq!(changed("side", json!("SELL")), "INVALID_ORDER_SIGNATURE");
    assert_eq!(changed("signature_timestamp", json!(now_ms() + 1_000)), "INVALID_ORDER_SIGNATURE");
    assert_eq!(changed("market", json!("XRP-USD-PERP")), "MARKET_NOT_FOUND");
    assert_eq!(changed("recv_window", json!(9)), "INVALID_REQUEST_PARAMETER");
    assert_eq!(changed("instruction", json!("FOK")), "INVALID_REQUEST_PARAMETER");
    assert_eq!(changed("size", json!(0.001)), "BINDING_ERROR");
}

#[test]
fn a_window_that_has_lapsed_and_a_second_use_are_refused() {
    let venue = Venue::start().still();
    let token = venue.token("");
    let mut delayed = venue.order("BUY", "LIMIT", "0.001", "72500", "IOC");
    delayed["recv_window"] = json!(50);
    venue.sim.control.fault(VenueName::Paradex, Rule::once(Class::Order, Action::DelayRequest { ms: 100 }));
    assert_eq!(code(&venue, &token, &delayed), "INVALID_TIMESTAMP");
    let mut order = venue.order("BUY", "LIMIT", "0.001", "72500", "IOC");
    order["client_id"] = json!("once");
    assert_eq!(venue.place(&token, &order).status, 201);
    assert_eq!(code(&venue, &token, &order), "DUPLICATED_CLIENT_ID");
    let mut same_name = venue.order("SELL", "LIMIT", "0.001", "71500", "IOC");
    same_name["client_id"] = json!("once");
    assert_eq!(code(&venue, &token, &same_name), "DUPLICATED_CLIENT_ID");
    assert_eq!(venue.sim.control.truth().paradex.orders.len(), 1);
}

#[test]
fn the_risk_check_refuses_after_the_acknowledgement() {
    let venue = Venue::start().still();
    let mut socket = venue.private_socket(&venue.token(""), &["orders.ALL"]);
    let mut reason = |side: &str, size: &str, price: &str, instruction: &str, flags: Value| {
        let mut order = venue.order(side, "LIMIT", size, price, instruction);
        order["flags"] = flags;
        let reply = socket.request("order.create", order);
        socket.closed_order(reply["result"]["order"]["id"].as_str().unwrap_or_else(|| panic!("{reply}"))).0
    };
    assert_eq!(reason("BUY", "0.0001", "72500", "IOC", json!([])), "MIN_NOTIONAL");
    assert_eq!(reason("BUY", "0.001", "76000", "IOC", json!([])), "PRICE_OUT_OF_BAND");
    assert_eq!(reason("SELL", "0.001", "68000", "IOC", json!([])), "PRICE_OUT_OF_BAND");
    assert_eq!(reason("BUY", "90", "72500", "IOC", json!([])), "NOT_ENOUGH_MARGIN");
    assert_eq!(reason("SELL", "0.001", "71500", "IOC", json!(["REDUCE_ONLY"])), "REDUCE_ONLY_WOULD_INCREASE");
    assert_eq!(reason("BUY", "0.001", "72500", "POST_ONLY", json!([])), "POST_ONLY_WOULD_CROSS");
    assert_eq!(reason("BUY", "0.001", "71000", "IOC", json!([])), "EXPIRED");
    assert!(venue.sim.control.truth().paradex.is_flat());
}

#[test]
fn modes_stop_orders_and_leave_cancels() {
    let venue = Venue::start().still();
    let token = venue.token("");
    let modes = [
        (Mode::CancelOnly, "SYSTEM_STATUS_CANCEL_ONLY", "cancel_only"),
        (Mode::PostOnly, "SYSTEM_STATUS_POST_ONLY", "post_only"),
        (Mode::Maintenance, "SERVICE_UNAVAILABLE", "maintenance"),
        (Mode::Halt, "MARKET_NOT_OPEN", "ok"),
    ];
    let resting = venue.place(&token, &venue.order("BUY", "LIMIT", "0.001", "50000", "GTC"));
    for (mode, expected, state) in modes {
        venue.sim.control.mode(VenueName::Paradex, mode);
        assert_eq!(code(&venue, &token, &venue.order("BUY", "LIMIT", "0.001", "72500", "IOC")), expected);
        assert_eq!(venue.call("GET", "/system/state", &[], None).body["status"], state);
    }
    let bearer = format!("Bearer {token}");
    let path = format!("/orders/{}", resting.body["id"].as_str().unwrap());
    assert_eq!(venue.call("DELETE", &path, &[("Authorization", &bearer)], None).status, 204);
}

#[test]
fn an_injected_code_passes_through() {
    let venue = Venue::start().still();
    let token = venue.token("");
    let reject = Action::Reject { code: "ISOLATED_MARKET_ACCOUNT_MISMATCH".into(), message: "no".into() };
    venue.sim.control.fault(VenueName::Paradex, Rule::always(Class::Order, reject));
    let order = venue.order("BUY", "LIMIT", "0.001", "72500", "IOC");
    assert_eq!(code(&venue, &token, &order), "ISOLATED_MARKET_ACCOUNT_MISMATCH");
    let mut socket = venue.private_socket(&token, &["orders.ALL"]);
    let reply = socket.request("order.create", order);
    assert_eq!(reply["error"]["code"], 100);
    assert_eq!(reply["error"]["data"], "ISOLATED_MARKET_ACCOUNT_MISMATCH");
}
