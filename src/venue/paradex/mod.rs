//! Paradex: StarkNet-signed orders and JSON-RPC over one authenticated WebSocket, market data in SBE, cold REST.
//! Owns everything that knows this venue's words; the registry (`venue::REGISTRY`) is the only caller. It must never
//! hold a connection that was not handed to it, and never let a key or token into an error or a log.
//!
//! Read `hash`, `sign`, `auth` (what is signed), then `sbe`, `json`, `rpc` (what is on the wire), then the three parts:
//! `feed`, `trader`, `desk`.

pub mod auth;
pub mod client;
pub mod desk;
pub mod errors;
pub mod events;
pub mod feed;
pub mod hash;
pub mod history;
pub mod json;
pub mod orders;
pub mod rest;
pub mod rpc;
pub mod sbe;
pub mod session;
pub mod sign;
pub mod stark;
pub mod sync;
pub mod trader;

use super::{Setup, SetupError, Venue};
use crate::types::PairId;

/// Main account (Starknet contract address), hex. A subkey signs for it.
pub const ACCOUNT_ADDRESS: &str = "ACCOUNT_ADDRESS";
/// Private Stark key of a subkey that may trade and not withdraw, hex.
pub const SUBKEY: &str = "SUBKEY";

/// This venue's line in the registry.
pub const VENUE: Venue = Venue {
    name: "paradex",
    title: "Paradex",
    env_prefix: "PARADEX",
    environments: &["prod", "testnet", "nightly", "sim"],
    required_secrets: &[ACCOUNT_ADDRESS, SUBKEY],
    optional_secrets: &[],
    account_secret: ACCOUNT_ADDRESS,
    order_wire: "WS",
    orders_by_request: false,
    order_fallback: true,
    close_codes: &errors::CLOSE_CODES,
    paper_latency_ms: (5, 40),
    feed: |setup| Ok(Box::new(feed::ParadexFeed::new(setup)?)),
    trader: |setup| Ok(Box::new(trader::ParadexTrader::new(setup)?)),
    desk: |setup| Ok(Box::new(desk::ParadexDesk::new(setup)?)),
    presigner: |setup| Ok(Box::new(orders::ParadexPresigner::new(setup)?)),
};

/// Chain id that an environment's `/system/config` must show and that its signatures carry (sheet 2.4). The one of
/// `nightly` is inferred; a wrong guess is refused at start by the comparison with `/system/config`.
pub fn chain_id(env: &str) -> Result<&'static str, SetupError> {
    match env {
        "prod" => Ok("PRIVATE_SN_PARACLEAR_MAINNET"),
        "testnet" | "sim" => Ok("PRIVATE_SN_POTC_SEPOLIA"),
        "nightly" => Ok("PRIVATE_SN_PARACLEAR_TESTNET"),
        other => Err(SetupError::Config(format!("unknown environment {other:?}"))),
    }
}

/// Our pairs and their symbols on this venue. At most 16, so a scan beats a map.
pub struct Markets(Vec<(PairId, String)>);

impl Markets {
    /// Refuses a symbol that is not a short string of letters, digits, `-` and `_`: it is signed, and it is written
    /// into JSON and URLs as it stands.
    pub fn new(setup: &Setup) -> Result<Self, SetupError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        for (_, symbol) in &setup.markets {
            if symbol.is_empty() || symbol.len() > hash::SHORT_STRING_MAX || !symbol.bytes().all(plain) {
                return Err(SetupError::Config(format!("market {symbol:?} is not a symbol of this venue")));
            }
        }
        Ok(Self(setup.markets.clone()))
    }

    /// The pair traded on this market; `None` for a market that no pair names.
    pub fn pair(&self, symbol: &str) -> Option<PairId> {
        self.0.iter().find(|(_, known)| known == symbol).map(|&(pair, _)| pair)
    }

    /// The symbol of a pair.
    pub fn symbol(&self, pair: PairId) -> Option<&str> {
        self.0.iter().find(|&&(known, _)| known == pair).map(|(_, symbol)| symbol.as_str())
    }

    /// Pairs with their symbols, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = (PairId, &str)> {
        self.0.iter().map(|(pair, symbol)| (*pair, symbol.as_str()))
    }
}

#[cfg(test)]
pub mod fixture {
    //! What the tests of this venue share: a configuration, a throw-away key and the recorded data.

    use super::*;
    use crate::types::{OrderKind, Profile, Secret, VenueId};
    use crate::venue::Secrets;

    /// Published throw-away test account (vectors `testnet-*`). Never fund it.
    pub const KEY: &str = "0x51020ffca36c46756ed57142004f7180e14f15a6fe5e4c5344cce536e3c9620";
    pub const PUBLIC_KEY: &str = "0x53a5194e8d267d6de2564f6c335788207ee98b0ab9ed2f3b9fcaa17c13c65d2";
    pub const ACCOUNT: &str = "0x168f27d2408ddc98c6a86a7f50e5ec9a733a3bcada0260a41bb93d3da13de8b";
    pub const BTC: &str = "BTC-USD-PERP";

    /// A live set-up for the simulated venue with one market.
    pub fn setup() -> Setup {
        let mut secrets = Secrets::default();
        secrets.0.insert(ACCOUNT_ADDRESS, Secret::new(ACCOUNT.into()));
        secrets.0.insert(SUBKEY, Secret::new(KEY.into()));
        Setup {
            id: VenueId(1),
            env: "sim".into(),
            rest_url: "https://localhost:1/v1".into(),
            ws_url: "wss://localhost:1/v1".into(),
            order_kind: OrderKind::Ioc,
            profile: Profile::Pro,
            pool: crate::types::Pool::default(),
            ack_deadline_ms: 1_000,
            markets: vec![(PairId(0), BTC.into())],
            secrets,
        }
    }

    /// Recorded SBE frames by id, with what they say.
    pub fn frames() -> serde_json::Value {
        serde_json::from_str(include_str!("../../../tests/data/paradex_frames.json")).unwrap()
    }

    /// One recorded frame.
    pub fn frame(id: &str) -> Vec<u8> {
        use base64::prelude::{BASE64_STANDARD, Engine};
        BASE64_STANDARD.decode(frames()[id]["frame"].as_str().unwrap()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_that_could_break_the_wire_are_refused() {
        for symbol in ["", "BTC\"-PERP", "BTC/USD", "A-MARKET-NAME-LONGER-THAN-31-BYTES"] {
            let mut setup = fixture::setup();
            setup.markets = vec![(PairId(0), symbol.into())];
            assert!(Markets::new(&setup).is_err(), "{symbol}");
        }
        let markets = Markets::new(&fixture::setup()).unwrap();
        assert_eq!(markets.pair(fixture::BTC), Some(PairId(0)));
        assert_eq!(markets.pair("ETH-USD-PERP"), None);
    }

    #[test]
    fn live_parts_need_their_credentials() {
        let mut setup = fixture::setup();
        setup.secrets.0.clear();
        assert!((VENUE.feed)(&setup).is_ok());
        assert!((VENUE.desk)(&setup).is_ok());
        assert_eq!((VENUE.trader)(&setup).err(), Some(SetupError::Missing(ACCOUNT_ADDRESS)));
    }
}
