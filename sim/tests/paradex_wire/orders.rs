//! Orders that the venue takes: acknowledged as NEW, then told of by events, and accounted exactly.

use bot4_sim::Options;
use bot4_sim::control::VenueName;
use serde_json::json;

use crate::client::{Delivery, MARKET, Socket, Venue};
use crate::sbe::Frame;

const CHANNELS: [&str; 4] = ["orders.ALL", "fills.ALL", "positions", "account"];
const ONE: i128 = 100_000_000;

/// The fee that a rate (at 1e-8) takes of a fill, rounded to the nearest 1e-8.
fn fee(price: i64, size: i64, rate: i128) -> i64 {
    let notional = (i128::from(price) * i128::from(size) + ONE / 2) / ONE;
    ((notional * rate + ONE / 2) / ONE) as i64
}

fn fill_of(socket: &mut Socket, order: &str) -> (i64, i64, i64) {
    socket.find(|delivery| match delivery {
        Delivery::Frame(Frame::Fill { price, size, fee, order_id, currency, .. }) if order_id == order => {
            assert_eq!(currency, "USDC");
            Some((*price, *size, *fee))
        }
        _ => None,
    })
}

#[test]
fn an_ioc_order_is_acknowledged_new_then_filled_and_accounted() {
    let venue = Venue::start().still();
    let token = venue.token("");
    let mut socket = venue.private_socket(&token, &CHANNELS);
    let mut order = venue.order("BUY", "LIMIT", "0.01", "72500", "IOC");
    order["client_id"] = json!("first-1-a");
    let reply = socket.request("order.create", order);
    let shown = &reply["result"]["order"];
    assert_eq!(
        (shown["status"].as_str(), shown["remaining_size"].as_str()),
        (Some("NEW"), Some("0.01")),
        "{reply}"
    );
    assert_eq!(
        (shown["client_id"].as_str(), shown["avg_fill_price"].as_str()),
        (Some("first-1-a"), Some(""))
    );
    let id = shown["id"].as_str().unwrap().to_owned();
    assert_eq!(id.len(), 28, "{id}");

    let (price, size, paid) = fill_of(&mut socket, &id);
    assert!(price <= 7_250_000_000_000 && size == 1_000_000, "{price} {size}");
    assert_eq!(paid, fee(price, size, 45_000));
    let position = socket.find(|delivery| match delivery {
        Delivery::Frame(Frame::Position { side, size, status }) => Some((*side, *size, *status)),
        _ => None,
    });
    assert_eq!(position, (1, 1_000_000, 1));
    assert_eq!(socket.closed_order(&id), (String::new(), 0));

    let truth = venue.sim.control.truth().paradex;
    assert_eq!(truth.position(MARKET), 1_000_000);
    assert_eq!(truth.ledger_change, -paid);
    assert_eq!(truth.ledger_total, truth.account.balance);
    let fills = venue.get(&token, &format!("/fills?market={MARKET}")).body;
    assert_eq!(fills["results"][0]["order_id"], id.as_str());
    let by_client_id = venue.get(&token, "/orders/by_client_id/first-1-a");
    assert_eq!(
        by_client_id.body["error"], "CLIENT_ORDER_ID_NOT_FOUND",
        "filled orders are not found by client id"
    );
    assert_eq!(
        venue.get(&token, "/orders-history?client_id=first-1-a").body["results"][0]["status"],
        "CLOSED"
    );
}

#[test]
fn a_round_trip_over_rest_leaves_the_ledger_equal_to_the_balance() {
    let venue = Venue::start();
    let token = venue.token("");
    let mut socket = venue.private_socket(&token, &["orders.ALL"]);
    for (side, price, reduce_only) in [("BUY", "74500", false), ("SELL", "69500", true)] {
        let mut order = venue.order(side, "LIMIT", "0.5", price, "IOC");
        if reduce_only {
            order["flags"] = json!(["REDUCE_ONLY"]);
        }
        let reply = venue.place(&token, &order);
        assert_eq!((reply.status, reply.body["status"].as_str()), (201, Some("NEW")), "{}", reply.body);
        assert_eq!(socket.closed_order(reply.body["id"].as_str().unwrap()), (String::new(), 0));
    }
    let truth = venue.sim.control.truth().paradex;
    assert!(truth.is_flat() && truth.fills.len() >= 2);
    let earned: i64 = truth.fills.iter().map(|f| f.realized_pnl + f.funding - f.fee).sum();
    assert_eq!((truth.ledger_change, truth.ledger_total), (earned, truth.account.balance));
    let position = &venue.get(&token, "/positions").body["results"][0];
    assert_eq!((position["status"].as_str(), position["size"].as_str()), (Some("CLOSED"), Some("0")));
}

#[test]
fn a_market_order_is_ioc_and_guarded_against_slippage() {
    let venue = Venue::start().still();
    let token = venue.token("");
    let mut socket = venue.private_socket(&token, &["orders.ALL", "fills.ALL"]);
    let small = socket.request("order.create", venue.order("SELL", "MARKET", "0.01", "0", "GTC"));
    let order = &small["result"]["order"];
    assert_eq!((order["instruction"].as_str(), order["price"].as_str()), (Some("IOC"), Some("0")));
    let id = order["id"].as_str().unwrap().to_owned();
    assert_eq!(socket.closed_order(&id), (String::new(), 0));
    let huge = socket.request("order.create", venue.order("BUY", "MARKET", "60", "0", "GTC"));
    let id = huge["result"]["order"]["id"].as_str().unwrap().to_owned();
    let (reason, open) = socket.closed_order(&id);
    assert!(reason == "EXPIRED" && open > 0 && open < 6_000_000_000, "{reason} {open}");
    let filled = venue.get(&token, &format!("/orders/{id}")).body;
    let average: f64 = filled["avg_fill_price"].as_str().unwrap().parse().unwrap();
    assert!(average < 72_010.0 * 1.001, "{average}");
}

#[test]
fn a_retail_token_pays_nothing_waits_for_the_bump_and_falls_back_to_pro() {
    let venue = Venue::start().still();
    let token = venue.token("?token_usage=interactive");
    assert_eq!(venue.get(&token, "/account/info").body["fees"]["taker_rate"], "0");
    let mut socket = venue.private_socket(&token, &["orders.ALL", "fills.ALL"]);
    let sizes = ["0.001", "0.002", "0.003", "0.004"];
    let bodies = sizes.map(|size| venue.order("BUY", "LIMIT", size, "72500", "IOC"));
    let orders = bodies.map(|body| {
        let reply = socket.request("order.create", body);
        reply["result"]["order"]["id"].as_str().unwrap().to_owned()
    });
    let truth = || venue.sim.control.truth().paradex;
    let mut open = orders.to_vec();
    while !open.is_empty() {
        // The fourth overtakes the others: it has no bump.
        let closed = socket.find(|delivery| match delivery {
            Delivery::Frame(Frame::Order { status: 4, id, .. }) => Some(id.clone()),
            _ => None,
        });
        open.retain(|id| *id != closed);
    }
    let fees: Vec<bool> =
        orders.iter().map(|id| truth().orders.iter().any(|o| o.id == *id && o.fees > 0)).collect();
    assert_eq!(fees, [false, false, false, true], "the fourth in a second counts as Pro");
    let bumped = truth().orders.iter().filter(|o| o.updated_us - o.received_us >= 300_000).count();
    assert_eq!(bumped, 3);
    let flags = venue.get(&token, &format!("/orders/{}", orders[0])).body["flags"].clone();
    assert_eq!(flags, json!(["INTERACTIVE"]));
}

#[test]
fn private_events_are_json_when_the_switch_says_so() {
    let mut options = Options::default();
    options.switches.paradex_private_sbe = false;
    let venue = Venue::with(options).still();
    let mut socket = venue.private_socket(&venue.token(""), &["orders.ALL", "fills.ALL"]);
    let reply = socket.request("order.create", venue.order("BUY", "LIMIT", "0.001", "72500", "IOC"));
    let id = reply["result"]["order"]["id"].clone();
    let mut event = |channel: &str| {
        socket.find(|delivery| match delivery {
            Delivery::Event(event) if event["params"]["channel"] == channel => {
                Some(event["params"]["data"].clone())
            }
            _ => None,
        })
    };
    let fill = event("fills.ALL");
    assert_eq!((&fill["order_id"], fill["liquidity"].as_str()), (&id, Some("TAKER")));
    assert_eq!((fill["size"].as_str(), fill["remaining_size"].as_str()), (Some("0.001"), Some("0")));
}

#[test]
fn a_busted_fill_is_taken_back() {
    let venue = Venue::start().still();
    // However long the fill stands, it costs nothing but its fee.
    venue.sim.control.funding(VenueName::Paradex, MARKET, 0).unwrap();
    let token = venue.token("");
    let mut socket = venue.private_socket(&token, &["orders.ALL", "tradebusts"]);
    let reply = socket.request("order.create", venue.order("BUY", "LIMIT", "0.001", "72500", "IOC"));
    assert_eq!(socket.closed_order(reply["result"]["order"]["id"].as_str().unwrap()), (String::new(), 0));
    let fill = venue.sim.control.truth().paradex.fills[0].id.clone();
    venue.sim.control.bust(VenueName::Paradex, &fill).unwrap();
    let bust = socket.find(|delivery| match delivery {
        Delivery::Event(event) => Some(event["params"]["data"].clone()),
        _ => None,
    });
    assert_eq!(bust["busted_fill_id"], fill.as_str());
    let truth = venue.sim.control.truth().paradex;
    assert!(truth.is_flat() && truth.ledger_change == 0);
    assert_eq!(venue.get(&token, "/fills").body["results"], json!([]));
    assert_eq!(venue.get(&token, "/tradebusts").body["results"][0]["busted_fill_id"], fill.as_str());
}
