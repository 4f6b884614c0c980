//! Orders that rest, are cancelled, or meet faults on their way (sheet §6).

use bot4_sim::control::VenueName;
use bot4_sim::core::fault::{Action, Class, Rule};
use serde_json::json;

use crate::client::{Delivery, Socket, Venue};
use crate::sbe::Frame;

/// Rests a bid far below the market and returns its id once it is OPEN.
fn rest(venue: &Venue, socket: &mut Socket, client_id: &str) -> String {
    let mut order = venue.order("BUY", "LIMIT", "0.001", "50000", "GTC");
    order["client_id"] = json!(client_id);
    let reply = socket.request("order.create", order);
    let id = reply["result"]["order"]["id"].as_str().unwrap().to_owned();
    socket.find(|delivery| match delivery {
        Delivery::Frame(Frame::Order { status: 3, id: this, client_id: named, .. }) if *this == id => {
            assert_eq!(named, client_id);
            Some(())
        }
        _ => None,
    });
    id
}

#[test]
fn a_resting_order_is_found_and_cancelled() {
    let venue = Venue::start().still();
    let token = venue.token("");
    let mut socket = venue.private_socket(&token, &["orders.ALL"]);
    let id = rest(&venue, &mut socket, "resting");
    assert_eq!(venue.get(&token, "/orders/by_client_id/resting").body["status"], "OPEN");
    assert_eq!(venue.get(&token, "/orders").body["results"][0]["id"], id.as_str());
    let reply = socket.request("order.cancel", json!({"id": id}));
    assert_eq!(reply["result"], json!({"order_id": id, "status": "QUEUED_FOR_CANCELLATION"}));
    assert_eq!(socket.closed_order(&id), ("USER_CANCELED".to_owned(), 100_000));
    let again = socket.request("order.cancel", json!({"id": id}));
    assert_eq!(again["error"]["data"], "ORDER_IS_CLOSED");
    assert_eq!(venue.get(&token, "/orders").body["results"], json!([]));
}

#[test]
fn cancels_by_client_id_in_batches_and_all_at_once() {
    let venue = Venue::start().still();
    let token = venue.token("");
    let mut socket = venue.private_socket(&token, &["orders.ALL"]);
    let ids: Vec<String> = ["a", "b", "c", "d"].map(|name| rest(&venue, &mut socket, name)).into();
    let by_name = socket.request("order.cancel", json!({"client_id": "a", "market": "BTC-USD-PERP"}));
    assert_eq!(by_name["result"]["order_id"], ids[0].as_str());
    assert_eq!(socket.closed_order(&ids[0]).0, "USER_CANCELED");
    let batch = socket.request("order.cancel_batch", json!({"order_ids": [ids[0], ids[1], "1"]}));
    let statuses: Vec<&str> = batch["result"]["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["ALREADY_CLOSED", "QUEUED_FOR_CANCELLATION", "NOT_FOUND"]);
    assert_eq!(socket.request("order.cancel_all", json!({}))["result"]["status"], "ok");
    assert_all_cancelled(&mut socket, &ids[1..]);
}

/// Waits until each of these orders was cancelled, in whatever order the venue tells it.
fn assert_all_cancelled(socket: &mut Socket, ids: &[String]) {
    let mut open: Vec<&String> = ids.iter().collect();
    while !open.is_empty() {
        let closed = socket.find(|delivery| match delivery {
            Delivery::Frame(Frame::Order { status: 4, id, reason, .. }) => Some((id.clone(), reason.clone())),
            _ => None,
        });
        assert_eq!(closed.1, "USER_CANCELED");
        open.retain(|id| **id != closed.0);
    }
}

#[test]
fn cancel_on_disconnect_cancels_what_the_connection_placed() {
    let venue = Venue::start().still();
    let token = venue.token("");
    let mut watcher = venue.private_socket(&token, &["orders.ALL"]);
    let mut kept = venue.private_socket(&token, &["orders.ALL"]);
    let stays = rest(&venue, &mut kept, "stays");
    let mut dropped = venue.private_socket(&token, &["orders.ALL"]);
    let reply = dropped.request("order.cancel_on_disconnect", json!({"enabled": true}));
    assert_eq!(reply["result"], json!({"enabled": true}));
    let goes = rest(&venue, &mut dropped, "goes");
    drop(kept);
    drop(dropped);
    assert_eq!(watcher.closed_order(&goes).0, "USER_CANCELED");
    let open = venue.get(&token, "/orders").body["results"].clone();
    assert_eq!((open.as_array().unwrap().len(), &open[0]["id"]), (1, &json!(stays)));
}

#[test]
fn a_lost_acknowledgement_still_means_an_order() {
    let venue = Venue::start().still();
    let token = venue.token("");
    let mut socket = venue.private_socket(&token, &["orders.ALL"]);
    venue.sim.control.fault(VenueName::Paradex, Rule::once(Class::Order, Action::DropAck));
    let mut order = venue.order("BUY", "LIMIT", "0.001", "72500", "IOC");
    order["client_id"] = json!("silent");
    socket.send("order.create", order.clone());
    let id = socket.find(|delivery| match delivery {
        Delivery::Frame(Frame::Order { status: 4, id, client_id, .. }) if client_id == "silent" => {
            Some(id.clone())
        }
        _ => None,
    });
    assert_eq!(venue.get(&token, &format!("/orders/{id}")).body["status"], "CLOSED");
    let replayed = socket.request("order.create", order);
    assert_eq!(replayed["error"]["data"], "DUPLICATED_CLIENT_ID");
    assert_eq!(venue.sim.control.truth().paradex.orders.len(), 1);
}

#[test]
fn a_request_lost_on_its_way_leaves_no_order() {
    let venue = Venue::start().still();
    let token = venue.token("");
    let mut socket = venue.private_socket(&token, &["orders.ALL"]);
    venue.sim.control.fault(VenueName::Paradex, Rule::once(Class::Order, Action::DropRequest));
    let order = venue.order("BUY", "LIMIT", "0.001", "72500", "IOC");
    socket.send("order.create", order.clone());
    let reply = socket.request("order.create", order);
    assert_eq!(reply["result"]["order"]["status"], "NEW", "the same signed bytes are new to the venue");
    assert_eq!(venue.sim.control.truth().paradex.orders.len(), 1);
}

#[test]
fn a_late_refusal_and_a_partial_fill_come_as_events() {
    let venue = Venue::start().still();
    let mut socket = venue.private_socket(&venue.token(""), &["orders.ALL"]);
    let late = Action::LateReject { code: "NOT_ENOUGH_MARGIN".into(), message: String::new() };
    venue.sim.control.fault(VenueName::Paradex, Rule::once(Class::Order, late));
    let mut outcome = || {
        let reply = socket.request("order.create", venue.order("BUY", "LIMIT", "0.001", "72500", "IOC"));
        socket.closed_order(reply["result"]["order"]["id"].as_str().unwrap())
    };
    assert_eq!(outcome(), ("NOT_ENOUGH_MARGIN".to_owned(), 100_000));
    let partial = Action::PartialFill { size: 40_000 };
    venue.sim.control.fault(VenueName::Paradex, Rule::once(Class::Order, partial));
    assert_eq!(outcome(), ("EXPIRED".to_owned(), 60_000));
}
