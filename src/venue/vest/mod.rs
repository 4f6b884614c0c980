//! Vest (sheet `vest`, API v2): public books over WebSocket, signed orders over warm HTTP connections, outcomes from a
//! private WebSocket and from queries. The registry is the only caller, but for the verb that uses [`register`]. It
//! must never hold a connection that was not handed to it, and never let a key into an error or a log.
//!
//! Read `abi`, `sign`, `body` (what is signed), `json`, `depth`, `order_row`, `errors`, `statements` (what is on the
//! wire), then the three parts: `feed`, `trader` (over `order_links` and `private`), `desk` (over `rest` and `calls`).

pub mod abi;
pub mod access;
pub mod body;
pub mod calls;
pub mod depth;
pub mod desk;
pub mod errors;
pub mod feed;
mod fuzz;
pub mod json;
pub mod order_links;
pub mod order_row;
pub mod private;
pub mod ready;
pub mod register;
pub mod requests;
pub mod rest;
mod scan;
pub mod session;
pub mod sign;
pub mod statements;
pub(super) mod testing;
mod testing_http;
mod testing_link;
pub mod trader;

use super::{Registration, Venue};

/// This venue's line in the registry.
pub const VENUE: Venue = Venue {
    name: "vest",
    title: "Vest",
    env_prefix: "VEST",
    environments: &access::ENVIRONMENT_NAMES,
    required_secrets: &[access::PRIMARY_ADDRESS, access::SIGNING_KEY, access::API_KEY, access::ACCOUNT_GROUP],
    optional_secrets: &[access::SIGNER_EXPIRY_MS],
    account_secret: access::PRIMARY_ADDRESS,
    order_wire: "REST",
    orders_by_request: true,
    order_fallback: false,
    close_codes: &errors::CLOSE_CODES,
    paper_latency_ms: (350, 500),
    feed: |setup| Ok(Box::new(feed::PublicFeed::new(setup)?)),
    trader: |setup| Ok(Box::new(trader::VestTrader::new(setup)?)),
    desk: |setup| Ok(Box::new(desk::VestDesk::new(setup)?)),
    presigner: |setup| Ok(Box::new(ready::VestPresigner::new(setup)?)),
};

/// How this venue registers signing keys.
pub const REGISTRATION: Registration = Registration {
    verb: "register-vest",
    expiry_key: "VEST_SIGNER_EXPIRY_MS",
    register: register::env_lines_for,
};
