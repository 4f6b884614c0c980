//! Vest.

use super::{Setup, SetupError, Venue};

/// This venue's line in the registry.
pub const VENUE: Venue = Venue {
    name: "vest",
    title: "Vest",
    env_prefix: "VEST",
    environments: &["prod", "dev", "sim"],
    required_secrets: &["PRIMARY_ADDRESS", "SIGNING_KEY", "API_KEY", "ACCOUNT_GROUP"],
    optional_secrets: &["SIGNER_EXPIRY_MS"],
    feed: |_: &Setup| Err(SetupError::Config(String::new())),
    trader: |_: &Setup| Err(SetupError::Config(String::new())),
    desk: |_: &Setup| Err(SetupError::Config(String::new())),
};
