//! What the tests of this folder share: setups with throw-away keys, the vectors and the sample frames.

#![cfg(test)]

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::access::{ACCOUNT_GROUP, API_KEY, PRIMARY_ADDRESS, SIGNING_KEY};
use crate::types::{
    MarketRules, MarketStatus, OrderKind, PairId, Pool, Price, Profile, Qty, Rate, Secret, Usd, VenueId,
};
use crate::venue::{Secrets, Setup};

/// Published throw-away keys of a development chain: the signing key, and the address of the account it signs for.
pub(in crate::venue) const TEST_KEY: &str =
    "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
pub(super) const TEST_ADDRESS: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
pub(super) const BTC: PairId = PairId(0);
pub(super) const ETH: PairId = PairId(1);

pub(super) fn vectors() -> Vec<Json> {
    serde_json::from_str(include_str!("../../../tests/data/vest_vectors.json")).unwrap()
}

/// Payload of every sample, with what it is.
pub(super) fn frames() -> Vec<(String, Vec<u8>)> {
    let rows: Vec<Json> = serde_json::from_str(include_str!("../../../tests/data/vest_frames.json")).unwrap();
    rows.iter()
        .map(|row| (row["what"].as_str().unwrap().into(), row["payload"].to_string().into_bytes()))
        .collect()
}

pub(super) fn frame(what: &str) -> Vec<u8> {
    frames().into_iter().find(|frame| frame.0 == what).unwrap().1
}

pub(super) fn paper_setup() -> Setup {
    Setup {
        id: VenueId(0),
        env: "sim".into(),
        rest_url: "https://127.0.0.1:8443/v2".into(),
        ws_url: "wss://localhost:8444/ws-api".into(),
        order_kind: OrderKind::Market,
        profile: Profile::Pro,
        pool: Pool::default(),
        ack_deadline_ms: 1_000,
        markets: vec![(BTC, "BTC-PERP".into()), (ETH, "ETH-PERP".into())],
        secrets: Secrets::default(),
    }
}

pub(super) fn setup() -> Setup {
    let keys = [
        (PRIMARY_ADDRESS, TEST_ADDRESS),
        (SIGNING_KEY, TEST_KEY),
        (API_KEY, "test-api-key"),
        (ACCOUNT_GROUP, "3"),
    ];
    let secrets = keys.map(|(key, text)| (key, Secret::new(text.into())));
    Setup { secrets: Secrets(BTreeMap::from(secrets)), ..paper_setup() }
}

pub(super) fn rules(price_places: u8, qty_places: u8) -> MarketRules {
    let step = |places: u8| 10_i64.pow(8 - u32::from(places));
    MarketRules {
        tick: Price::from_raw(step(price_places)),
        lot: Qty::from_raw(step(qty_places)),
        min_qty: Qty::from_raw(step(qty_places)),
        max_qty: Qty::ZERO,
        min_notional: Usd::ZERO,
        price_places,
        qty_places,
        taker: Rate::from_bps(1),
        initial_margin: Rate::from_bps(1000),
        maintenance_margin: Rate::from_bps(500),
        price_band: Rate::ZERO,
        ends_ms: None,
        status: MarketStatus::Trading,
    }
}
