//! Vest.

use super::{Setup, SetupError, Venue};

/// This venue's line in the registry.
pub const VENUE: Venue = Venue {
    name: "vest",
    title: "Vest",
    env_prefix: "VEST",
    environments: &[],
    required_secrets: &[],
    optional_secrets: &[],
    paper_latency_ms: (350, 500),
    feed: |_: &Setup| Err(SetupError::Config(String::new())),
    trader: |_: &Setup| Err(SetupError::Config(String::new())),
    desk: |_: &Setup| Err(SetupError::Config(String::new())),
};
