//! Log-in and tokens (sheet §2.6).

use bot4_sim::control::Login;

use crate::client::Venue;
use crate::signer::Signer;

const ACCOUNT: &str = "0x168f27d2408ddc98c6a86a7f50e5ec9a733a3bcada0260a41bb93d3da13de8b";
const STRANGER: &str = "0x2482c217d9d4f7cab57ca16f93d64edcfeff9aa1874a1dc57fa1c28dafcd0aa";

#[test]
fn a_subkey_logs_in_for_the_main_account() {
    let venue = Venue::start();
    let token = venue.token("");
    let reply = venue.get(&token, "/account");
    assert_eq!((reply.status, reply.body["account"].as_str()), (200, Some(ACCOUNT)));
    assert_eq!(reply.body["total_collateral"], "100000");
}

#[test]
fn a_stranger_is_refused_at_each_door() {
    let venue = Venue::start();
    let stranger = Signer::new(STRANGER, ACCOUNT);
    let refused = venue.log_in_with(&stranger, "/auth");
    assert_eq!(
        (refused.status, refused.body["error"].as_str()),
        (401, Some("STARKNET_SIGNATURE_VERIFICATION_FAILED"))
    );
    let refused = venue.log_in_with(&stranger, &format!("/auth/{}", stranger.public_key()));
    assert_eq!(refused.body["error"], "INVALID_SUBKEY");
    let elsewhere = venue.log_in_with(&Signer::new(STRANGER, "0x123"), "/auth");
    assert_eq!((elsewhere.status, elsewhere.body["error"].as_str()), (400, Some("NOT_ONBOARDED")));
}

#[test]
fn no_token_gives_the_recorded_error_and_rate_limit_headers() {
    let venue = Venue::start();
    let reply = venue.call("GET", "/positions", &[], None);
    assert_eq!((reply.status, reply.body["error"].as_str()), (401, Some("INVALID_TOKEN")));
    assert_eq!(reply.body["message"], "invalid bearer jwt: missing value in request header");
    for name in [
        "x-ratelimit-limit: 120",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "x-ratelimit-window: 1",
        "retry-after",
    ] {
        assert!(reply.head.contains(name), "{name} in {}", reply.head);
    }
}

#[test]
fn an_expired_token_is_refused_and_a_socket_stays_authenticated() {
    let venue = Venue::start().still();
    let token = venue.token("");
    let mut socket = venue.private_socket(&token, &["orders.ALL"]);
    venue.sim.control.expire(Login::Jwt);
    assert_eq!(venue.get(&token, "/positions").body["message"], "invalid bearer jwt: token is expired");
    let order = venue.order("BUY", "LIMIT", "0.001", "73000", "IOC");
    let id = socket.request("order.create", order)["result"]["order"]["id"].as_str().unwrap().to_owned();
    assert_eq!(socket.closed_order(&id), (String::new(), 0));
    assert_eq!(venue.get(&venue.token(""), "/positions").status, 200);
}
