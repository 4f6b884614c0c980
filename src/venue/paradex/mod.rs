//! Paradex.

use super::{Setup, SetupError, Venue};

/// This venue's line in the registry.
pub const VENUE: Venue = Venue {
    name: "paradex",
    title: "Paradex",
    env_prefix: "PARADEX",
    environments: &["prod", "testnet", "nightly", "sim"],
    required_secrets: &["ACCOUNT_ADDRESS", "SUBKEY"],
    optional_secrets: &[],
    paper_latency_ms: (5, 40),
    feed: |_: &Setup| Err(SetupError::Config(String::new())),
    trader: |_: &Setup| Err(SetupError::Config(String::new())),
    desk: |_: &Setup| Err(SetupError::Config(String::new())),
};
