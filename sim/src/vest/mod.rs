//! Vest on the wire (v2): REST and WebSocket over the exchange core, strict by default.
//!
//! Source: the venue sheet, sections 2 to 7. Pure: a request and the time go in, an answer and its time come out.
//! The wire holds the session (keys, listen key, leverages); money and orders are the core's.

mod history;
mod reply;
mod request;
mod rest;
mod session;
mod signature;
mod socket;
mod view;

use crate::core::{AccountId, Exchange, MarketSpec};
use crate::options::{Keys, Switches};
use session::Session;

pub use rest::call;
pub use signature::Address;
pub use socket::Connection;

/// Where the WebSocket is.
pub const SOCKET_PATH: &str = "/ws-api";
/// The run's only account.
const TRADER: AccountId = 0;

/// What all requests share.
#[derive(Clone)]
pub struct Desk {
    /// Listen keys issued before this moment are void, Unix microseconds.
    pub revoked_us: i64,
    /// Every listen key given out, oldest first.
    pub issued: Vec<String>,
    session: Session,
    switches: Switches,
    group: u32,
}

impl Desk {
    /// `None` when the run's keys are no keys.
    pub fn new(keys: &Keys, switches: Switches, now_us: i64) -> Option<Self> {
        let session = Session::new(keys, now_us)?;
        let (issued, group) = (Vec::new(), keys.vest_account_group);
        Some(Self { revoked_us: 0, issued, session, switches, group })
    }
}

/// The venue as a request sees it.
pub struct Floor<'a> {
    pub now_us: i64,
    pub desk: &'a mut Desk,
    pub exchange: &'a mut Exchange,
}

impl Floor<'_> {
    fn markets(&self) -> &[MarketSpec] {
        &self.exchange.spec().markets
    }

    fn now_ms(&self) -> i64 {
        self.now_us / 1_000
    }

    /// The rows of `tickers` for all markets whose feed is not frozen.
    fn tickers(&self) -> Vec<serde_json::Value> {
        let live = self.markets().iter().enumerate().filter(|(at, _)| !self.exchange.script(*at).freeze);
        live.map(|(at, spec)| view::ticker(&self.exchange.ticker(at, self.now_us), spec)).collect()
    }
}
