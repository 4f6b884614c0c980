//! What REST and socket have in common: log-in, order entry, cancels, budgets.
//!
//! `rest` and `session` parse their own envelopes and call this with the exchange at hand. Pure: time is an
//! argument, and an answer says when it is due instead of waiting. Source: Paradex sheet §2.6, §3, §4.4, §6.

use std::collections::BTreeSet;

use serde_json::Value;
use starknet_crypto::Felt;

use super::directory::{Directory, Trader};
use super::error::ApiError;
use super::felt;
use super::limits::{Limits, Scope, Standing};
use super::market::MAX_SLIPPAGE;
use super::order_request::OrderRequest;
use super::record::OrderType;
use super::token::{Mint, Usage};
use super::typed_data::Signature;
use super::view::Note;
use crate::core::money::{self, Round};
use crate::core::{AccountId, Exchange, Mode, NewOrder, OrderId, Reject, Reply, Side};
use crate::options::{Keys, Switches};

/// The speed bump of Retail orders and cancels.
const RETAIL_BUMP_US: i64 = 300_000;
/// Smallest receive window, milliseconds.
const WINDOW_MIN_MS: i64 = 10;
/// How long a log-in signature may be valid: one week.
const EXPIRATION_MAX_S: i64 = 7 * 86_400;
/// How far a log-in's timestamp may be off.
const LOGIN_SKEW_S: i64 = 1_800;

/// Who makes a private call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub account: AccountId,
    pub usage: Usage,
}

/// The headers of a log-in or an onboarding, as text.
#[derive(Clone, Debug, Default)]
pub struct Login {
    pub account: String,
    pub signature: String,
    pub timestamp: String,
    pub expiration: Option<String>,
    /// The key in the path of `/auth/{public_key}`.
    pub public_key: Option<String>,
}

/// What to answer and when.
pub type Answer<T> = crate::wire::Answer<Result<T, ApiError>>;

/// The venue's front desk.
#[derive(Clone)]
pub struct Desk {
    pub directory: Directory,
    pub switches: Switches,
    /// Tokens issued before this moment are void, Unix microseconds.
    pub revoked_us: i64,
    /// Every token given out, oldest first.
    pub issued: Vec<String>,
    /// Connections so far.
    pub connections: u64,
    mint: Mint,
    limits: Limits,
    /// Signatures already used, by the order they made: a signature is the replay nonce.
    used: BTreeSet<[[u8; 32]; 2]>,
}

impl Desk {
    /// `None` when a key of the run is no field element.
    pub fn new(keys: &Keys, switches: Switches, seed: u64) -> Option<Desk> {
        Some(Desk {
            directory: Directory::of(keys)?,
            mint: Mint::new(seed, switches.stub_signatures),
            switches,
            revoked_us: 0,
            issued: Vec::new(),
            connections: 0,
            limits: Limits::default(),
            used: BTreeSet::new(),
        })
    }

    /// Spends one request of `scope`; the standing goes into the reply's headers.
    pub fn spend(&mut self, now_us: i64, scope: Scope, owner: &str) -> Result<Standing, Standing> {
        self.limits.take(now_us, scope, owner)
    }

    /// The standing of `owner` without a request.
    pub fn standing(&mut self, now_us: i64, scope: Scope, owner: &str) -> Standing {
        self.limits.standing(now_us, scope, owner)
    }

    /// Checks a log-in's signature and issues a token.
    pub fn log_in(&mut self, now_us: i64, login: &Login, usage: Usage) -> Result<String, ApiError> {
        let now_s = now_us / 1_000_000;
        let (trader, signature) = self.claimant(login)?;
        let (timestamp, expiration) = login_times(login, now_s)?;
        let keys = named_keys(trader, login.public_key.as_deref())?;
        let verifies = || {
            let hash = self.directory.domain.auth(&trader.address, timestamp, expiration);
            keys.iter().any(|key| signature.verifies(key, &hash))
        };
        if !self.switches.stub_signatures && !verifies() {
            let text = "starknet signature verification failed";
            return Err(unauthorized("STARKNET_SIGNATURE_VERIFICATION_FAILED", text));
        }
        let address = felt::to_hex(&trader.address);
        let token = self.mint.issue(&address, usage, now_us);
        self.issued.push(token.clone());
        Ok(token)
    }

    /// Onboarding is idempotent: the accounts of a run exist from its start, only the signature is checked.
    pub fn onboard(&self, login: &Login) -> Result<(), ApiError> {
        let (trader, signature) = self.claimant(login)?;
        let hash = self.directory.domain.onboarding(&trader.address);
        if trader.keys.iter().any(|key| signature.verifies(key, &hash)) {
            return Ok(());
        }
        Err(unauthorized("STARKNET_SIGNATURE_VERIFICATION_FAILED", "starknet signature verification failed"))
    }

    /// Who a bearer token is for.
    pub fn principal(&self, now_us: i64, token: &str) -> Result<Principal, ApiError> {
        let claims = self
            .mint
            .check(token, now_us, self.revoked_us)
            .map_err(|error| ApiError::invalid_token(error.to_string()))?;
        let address = felt::from_hex(&claims.sub);
        let account = address.and_then(|address| self.directory.account(&address));
        let account =
            account.ok_or_else(|| ApiError::invalid_token("invalid bearer jwt: unknown account"))?;
        Ok(Principal { account, usage: claims.token_usage })
    }

    /// Places an order: `Ok` means NEW, queued for the risk check.
    pub fn create(
        &mut self,
        exchange: &mut Exchange,
        now_us: i64,
        who: &Principal,
        body: &Value,
        held: bool,
    ) -> Answer<OrderId> {
        let (request, order) = match self.admit(exchange, now_us, who, body, held) {
            Ok(admitted) => admitted,
            Err(error) => return Answer::At { due_us: now_us, result: Err(error) },
        };
        match exchange.submit(now_us, order) {
            Reply::Hold { until_us } => Answer::Hold { until_us },
            Reply::Never => Answer::Never,
            Reply::At { due_us, result } => {
                if result.is_ok() {
                    self.used.insert(self.replay_key(&request));
                }
                Answer::At { due_us, result: result.map_err(|reject| order_error(&reject)) }
            }
        }
    }

    /// Queues a cancel. `Ok` means queued: a fill may still come first.
    pub fn cancel(
        &mut self,
        exchange: &mut Exchange,
        now_us: i64,
        who: &Principal,
        id: &str,
        held: bool,
    ) -> Answer<()> {
        if exchange.order(id).is_none_or(|order| order.account != who.account) {
            let error = ApiError::not_found("ORDER_ID_NOT_FOUND", format!("order {id:.40} not found"));
            return Answer::At { due_us: now_us, result: Err(error) };
        }
        let bump_us = if who.usage == Usage::Retail { RETAIL_BUMP_US } else { 0 };
        match exchange.cancel(now_us, id, bump_us, held) {
            Reply::Hold { until_us } => Answer::Hold { until_us },
            Reply::Never => Answer::Never,
            Reply::At { due_us, result } => {
                Answer::At { due_us, result: result.map_err(|reject| order_error(&reject)) }
            }
        }
    }

    /// Cancels all live orders of the account, of one market or of all. Says how many were queued.
    pub fn cancel_all(
        &mut self,
        exchange: &mut Exchange,
        now_us: i64,
        who: &Principal,
        market: Option<&str>,
    ) -> Result<usize, ApiError> {
        let only = market.map(|symbol| market_index(exchange, symbol)).transpose()?;
        let orders = exchange.open_orders(who.account);
        let ids: Vec<OrderId> =
            orders.filter(|o| only.is_none_or(|only| o.market == only)).map(|o| o.id.clone()).collect();
        for id in &ids {
            // What has ended meanwhile needs no cancel, and a cancel-all has a single answer.
            let _ = self.cancel(exchange, now_us, who, id, false);
        }
        Ok(ids.len())
    }

    fn claimant(&self, login: &Login) -> Result<(&Trader, Signature), ApiError> {
        let address = felt::from_hex(&login.account).ok_or_else(|| {
            ApiError::bad_request("INVALID_STARKNET_ADDRESS", "account must be 0x hexadecimal")
        })?;
        let signature = Signature::parse(&login.signature).ok_or_else(|| {
            ApiError::bad_request("INVALID_STARKNET_SIGNATURE", "signature must be [\"r\",\"s\"]")
        })?;
        let trader = self.directory.account(&address).and_then(|account| self.directory.traders.get(account));
        let unknown = || ApiError::bad_request("NOT_ONBOARDED", "user has never called /onboarding endpoint");
        Ok((trader.ok_or_else(unknown)?, signature))
    }

    /// Everything that is checked before the exchange sees the order.
    fn admit(
        &mut self,
        exchange: &Exchange,
        now_us: i64,
        who: &Principal,
        body: &Value,
        held: bool,
    ) -> Result<(OrderRequest, NewOrder), ApiError> {
        let request = OrderRequest::parse(body)?;
        let market = market_index(exchange, &request.market)?;
        self.check_signature(who, &request)?;
        if request.window_ms < WINDOW_MIN_MS {
            return Err(order_error(&Reject::BadWindow));
        }
        let interactive = who.usage == Usage::Retail && (held || self.within_retail(now_us, who));
        let order = NewOrder {
            account: who.account,
            market,
            side: request.side,
            kind: request.core_kind(),
            tif: request.tif,
            size: request.size,
            limit: limit_of(exchange, market, &request),
            reduce_only: request.reduce_only,
            client_ref: request.client_id.clone(),
            signed_at_ms: request.signed_at_ms,
            window_ms: request.window_ms,
            id: None,
            bump_us: if interactive { RETAIL_BUMP_US } else { 0 },
            taker_fee: interactive.then_some(0),
            note: Note { stp: request.stp, interactive }.to_text(),
            held,
        };
        Ok((request, order))
    }

    /// A signature is the replay nonce; where signatures are not looked at, what it would sign is.
    fn replay_key(&self, request: &OrderRequest) -> [[u8; 32]; 2] {
        match self.switches.stub_signatures {
            true => request.digest(),
            false => [request.signature.r.to_bytes_be(), request.signature.s.to_bytes_be()],
        }
    }

    fn check_signature(&self, who: &Principal, request: &OrderRequest) -> Result<(), ApiError> {
        let Directory { domain, traders } = &self.directory;
        let trader = traders.get(who.account);
        let valid = self.switches.stub_signatures
            || trader.is_some_and(|t| request.is_signed_by(domain, &t.address, &t.keys));
        if !valid {
            return Err(ApiError::bad_request(
                "INVALID_ORDER_SIGNATURE",
                "order signature verification failed",
            ));
        }
        if self.used.contains(&self.replay_key(request)) {
            // The same bytes again: the client id, when there is one, says that the first one got there.
            let reject = if request.client_id.is_empty() { None } else { Some(Reject::Duplicate) };
            let replay =
                || ApiError::bad_request("INVALID_ORDER_SIGNATURE", "order signature was already used");
            return Err(reject.map_or_else(replay, |reject| order_error(&reject)));
        }
        Ok(())
    }

    /// Above its own budget a Retail order silently counts as Pro.
    fn within_retail(&mut self, now_us: i64, who: &Principal) -> bool {
        let owner = felt::to_hex(&self.directory.address(who.account));
        self.limits.take(now_us, Scope::RetailOrders, &owner).is_ok()
    }
}

/// Index of a market by its symbol.
pub fn market_index(exchange: &Exchange, symbol: &str) -> Result<usize, ApiError> {
    let unknown = || ApiError::bad_request("MARKET_NOT_FOUND", format!("market {symbol:.40} not found"));
    exchange.market(symbol).ok_or_else(unknown)
}

/// The refusal that a core reject stands for when it is known at once.
pub fn order_error(reject: &Reject) -> ApiError {
    let bad = ApiError::bad_request;
    match reject {
        Reject::Expired => bad("INVALID_TIMESTAMP", "order arrived after signature_timestamp + recv_window"),
        Reject::BadWindow => bad("INVALID_REQUEST_PARAMETER", "recv_window: must be 10 to 300000"),
        Reject::Duplicate => bad("DUPLICATED_CLIENT_ID", "client id already in use"),
        Reject::BadSize => bad("INVALID_ORDER_SIZE", "size: must be a multiple of order_size_increment"),
        Reject::BadPrice => bad("INVALID_REQUEST_PARAMETER", "price: must be a multiple of price_tick_size"),
        Reject::NotFound => ApiError::not_found("ORDER_ID_NOT_FOUND", "order not found"),
        Reject::Closed => bad("ORDER_IS_CLOSED", "order is closed"),
        Reject::Mode(Mode::PostOnly) => bad("SYSTEM_STATUS_POST_ONLY", "system is in post only mode"),
        Reject::Mode(Mode::CancelOnly) => bad("SYSTEM_STATUS_CANCEL_ONLY", "system is in cancel only mode"),
        Reject::Mode(Mode::Halt) => bad("MARKET_NOT_OPEN", "market is not open"),
        Reject::Mode(_) => unavailable(),
        Reject::Injected { code, message } => bad(code, message),
        Reject::Http(http) => ApiError::of_http(http),
        other => ApiError::validation(format!("{other:?}")),
    }
}

fn unavailable() -> ApiError {
    ApiError::new(503, "SERVICE_UNAVAILABLE", "system maintenance")
}

fn unauthorized(code: &str, message: &str) -> ApiError {
    ApiError::new(401, code, message)
}

/// The signed times of a log-in, Unix seconds, or why they are refused at `now_s`.
fn login_times(login: &Login, now_s: i64) -> Result<(u64, u64), ApiError> {
    let invalid = |text: &str| ApiError::bad_request("INVALID_TIMESTAMP", text);
    let seconds = |text: &str| text.parse::<i64>().ok().filter(|seconds| *seconds >= 0);
    let timestamp = seconds(&login.timestamp).ok_or_else(|| invalid("timestamp must be unix seconds"))?;
    let expiration = match &login.expiration {
        Some(text) => seconds(text).ok_or_else(|| invalid("expiration must be unix seconds"))?,
        None => timestamp.saturating_add(LOGIN_SKEW_S),
    };
    if timestamp > now_s + LOGIN_SKEW_S {
        return Err(invalid("timestamp is in the future"));
    }
    if expiration <= now_s || expiration > timestamp.saturating_add(EXPIRATION_MAX_S) {
        return Err(ApiError::bad_request(
            "INVALID_SIGNATURE_EXPIRATION",
            "signature expired or valid too long",
        ));
    }
    Ok((timestamp as u64, expiration as u64))
}

/// The keys a log-in may have been signed with: the one in the path, or all of the account.
fn named_keys<'a>(trader: &'a Trader, named: Option<&str>) -> Result<&'a [Felt], ApiError> {
    let Some(text) = named else { return Ok(&trader.keys) };
    let key = felt::from_hex(text)
        .ok_or_else(|| ApiError::bad_request("PUBLIC_KEY_INVALID", "public key must be 0x hexadecimal"))?;
    let known = trader.keys.iter().find(|known| **known == key).map(std::slice::from_ref);
    known.ok_or_else(|| unauthorized("INVALID_SUBKEY", "public key is not registered for the account"))
}

/// The core's limit: the order's own price, or for MARKET the worst price that keeps the average inside the
/// venue's slippage guard on the book as it stands at arrival.
fn limit_of(exchange: &Exchange, market: usize, request: &OrderRequest) -> i64 {
    if request.kind == OrderType::Limit {
        return request.price;
    }
    let levels = exchange.book(market).walk(request.side, request.size, None);
    let Some((best, _)) = levels.first() else { return 0 };
    let room = money::mul(*best, MAX_SLIPPAGE, Round::Down);
    let (mut notional, mut size, mut worst) = (0i128, 0i128, *best);
    for (price, part) in &levels {
        notional += i128::from(*price) * i128::from(*part);
        size += i128::from(*part);
        let drift = notional - i128::from(*best) * size;
        let against = if request.side == Side::Buy { drift } else { -drift };
        if against > i128::from(room) * size {
            break;
        }
        worst = *price;
    }
    worst
}
