//! Vest (sheet `vest`, API v2): public books over WebSocket, signed orders over warm HTTP connections, outcomes from a
//! private WebSocket and from queries. Reached through the
//! registry; the one other door is [`register`]. Encoding, signing and bodies are public for their benches alone.

pub mod abi;
mod access;
pub mod body;
mod calls;
mod depth;
mod desk;
mod errors;
mod feed;
#[cfg(test)]
mod fuzz;
mod json;
mod order_links;
mod order_row;
mod private;
pub mod register;
mod requests;
mod rest;
mod session;
pub mod sign;
mod statements;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod testing_http;
#[cfg(test)]
mod testing_link;
mod trader;

use super::Venue;

/// This venue's line in the registry.
pub const VENUE: Venue = Venue {
    name: "vest",
    title: "Vest",
    env_prefix: "VEST",
    environments: &access::ENVIRONMENT_NAMES,
    required_secrets: &[access::PRIMARY_ADDRESS, access::SIGNING_KEY, access::API_KEY, access::ACCOUNT_GROUP],
    optional_secrets: &[access::SIGNER_EXPIRY_MS],
    order_wire: "REST",
    paper_latency_ms: (350, 500),
    feed: |setup| Ok(Box::new(feed::PublicFeed::new(setup)?)),
    trader: |setup| Ok(Box::new(trader::VestTrader::new(setup)?)),
    desk: |setup| Ok(Box::new(desk::VestDesk::new(setup)?)),
};
