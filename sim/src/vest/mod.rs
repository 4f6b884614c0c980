//! Vest on the wire (v2): REST and WebSocket over the exchange core, strict by default.
//!
//! Source: the venue sheet, sections 2 to 7. `router` is served by `crate::server`. The wire holds the
//! session (keys, listen key, leverages); money and orders are the core's.

mod reply;
mod request;
mod rest;
mod session;
mod signature;
mod socket;
mod view;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::Query;
use axum::routing::{get, post};

use crate::core::{AccountId, MarketSpec};
use crate::venue::Venue;
use session::Session;
pub use signature::Address;

/// The run's only account.
const TRADER: AccountId = 0;

/// Parameters of a URL.
type Params = Query<std::collections::BTreeMap<String, String>>;

/// What all handlers share.
pub struct Desk {
    pub venue: Arc<Venue>,
    markets: Vec<MarketSpec>,
    session: Mutex<Session>,
}

impl Desk {
    /// `None` when the run's keys are no keys.
    pub fn new(venue: Arc<Venue>) -> Option<Arc<Self>> {
        let session = Session::new(&venue.keys, venue.now_us())?;
        let markets = venue.with(|core, _| core.spec().markets.clone());
        Some(Arc::new(Self { venue, markets, session: Mutex::new(session) }))
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows of `tickers` for all markets whose feed is not frozen.
    fn tickers(&self) -> Vec<serde_json::Value> {
        self.venue.with(|core, now| {
            let live = self.markets.iter().enumerate().filter(|(index, _)| !core.script(*index).freeze);
            live.map(|(index, spec)| view::ticker(&core.ticker(index, now), spec)).collect()
        })
    }

    fn now_ms(&self) -> i64 {
        self.venue.now_us() / 1_000
    }
}

/// All of Vest's addresses: `/v2/...` and `/ws-api`.
pub fn router(desk: Arc<Desk>) -> Router {
    let listen_key =
        post(rest::create_listen_key).put(rest::extend_listen_key).delete(rest::close_listen_key);
    let v2 = Router::new()
        .route("/exchangeInfo", get(rest::exchange_info))
        .route("/ticker/latest", get(rest::ticker_latest))
        .route("/depth", get(rest::depth))
        .route("/trades", get(rest::trades))
        .route("/register", post(rest::register))
        .route("/account", get(rest::account))
        .route("/account/nonce", get(rest::nonce))
        .route("/account/listenKey", listen_key)
        .route("/account/leverage", post(rest::leverage))
        .route("/lp", get(rest::nothing))
        .route("/transfer", get(rest::nothing))
        .route("/orders", get(rest::orders).post(rest::place))
        .route("/orders/cancel", post(rest::cancel));
    Router::new().nest("/v2", v2).route("/ws-api", get(socket::upgrade)).with_state(desk)
}
