//! The cold side of the account (sheet `vest`, 3.3, 5.2, 5.3): listen key, account, rules, order queries, leverage.
//! Owned by `keeper`, and by the verbs `check` and `flatten`; blocks. Never takes a failed call for an empty answer.

use std::collections::BTreeMap;

use super::access::{Access, signer_life};
use super::body::BodyWriter;
use super::depth;
use super::errors::{DECREASE_LEVERAGE_WITH_POSITION, ORDER_NOT_FOUND};
use super::json;
use super::order_row::OrderRow;
use super::rest::{self, Rest};
use super::statements::{self, ExchangeInfo, Tickers};
use crate::sys::rest::{Http, Method};
use crate::types::record::Role;
use crate::types::report::KeyLife;
use crate::types::{BookUpdate, MarketRules, Nanos, PairId, Secret, VenueId, VenueMode};
use crate::venue::{
    AccountReport, CancelSpec, Desk, DeskError, OpenOrder, OrderQuery, PastOrder, Setup, SetupError,
    Sighting, Target, WireError, WsTarget,
};

/// A listen key lives 60 minutes (sheet `vest`, 3.3); half of that and some room for retries.
const LOGIN_MS: u64 = 25 * 60_000;
/// How far before its signing an order is searched in the history, ms: clocks differ.
const HISTORY_MS: u64 = 60_000;
/// Pages of open orders of one status, of which most accounts fill none.
const PAGES_MAX: usize = 20;
/// Levels of a book that are asked for: the most that the venue gives.
const BOOK_LEVELS: u32 = 100;

/// The desk of one account; without credentials it answers the public questions only.
pub struct VestDesk {
    venue: VenueId,
    access: Access,
    rest: Rest,
    bodies: BodyWriter,
    listen_key: Option<Secret>,
    login_due: Nanos,
    /// Time of the last call that was given one; the venue wants one with every account query.
    clock: Nanos,
    signer: KeyLife,
}

impl VestDesk {
    pub fn new(setup: &Setup) -> Result<Self, SetupError> {
        let mut access = Access::read(setup)?;
        Ok(Self {
            venue: setup.id,
            rest: Rest::new(&mut access),
            access,
            bodies: BodyWriter::default(),
            listen_key: None,
            login_due: Nanos::NEVER,
            clock: Nanos::NEVER,
            signer: signer_life(&setup.secrets)?,
        })
    }

    /// Orders that this filter leaves, by the venue's id. A full page is followed by the one that ends where it begins.
    fn listed<T>(
        &self,
        http: &mut dyn Http,
        begin: &str,
        of: impl Fn(&[OrderRow<'_>]) -> Result<Vec<(String, T)>, WireError>,
    ) -> Result<BTreeMap<String, T>, DeskError> {
        let (mut all, mut filter) = (BTreeMap::new(), begin.to_owned());
        for _ in 0..PAGES_MAX {
            let read = |rows: &[OrderRow<'_>]| Ok((of(rows)?, statements::earlier_page(rows)?));
            let (page, earlier) = self.rest.orders(http, self.clock, &filter, read)?;
            all.extend(page);
            let Some(end_ms) = earlier else { return Ok(all) };
            filter = format!("{begin}endTime={end_ms}&");
        }
        let full = WireError::new("orders", b"one full page after the other", "an end of them: cancel some");
        Err(rest::unreadable("GET /orders", full))
    }

    /// A new key, or the one in force with a new hour.
    fn create_listen_key(&mut self, http: &mut dyn Http) -> Result<(), DeskError> {
        self.listen_key = Some(self.rest.listen_key(http, Method::Post)?);
        Ok(())
    }

    /// Extends the key; where it has lapsed a new one is made.
    fn renew_listen_key(&mut self, http: &mut dyn Http) -> Result<(), DeskError> {
        if self.listen_key.is_none() {
            return self.create_listen_key(http);
        }
        match self.rest.listen_key(http, Method::Put) {
            Ok(key) => self.listen_key = Some(key),
            Err(DeskError::Refused { .. }) => self.create_listen_key(http)?,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Both spellings of the routing parameter are in use (sheet `vest`, 9, row 4).
    fn private_url(&self, listen_key: &str) -> String {
        let (base, group) = (&self.access.ws.url, self.rest.group());
        format!(
            "{base}?version=1.0&xwebsocketserver=restserver{group}&websocketserver=restserver{group}\
             &listenKey={listen_key}"
        )
    }

    fn public_url(&self) -> String {
        format!("{}?version=1.0&xwebsocketserver=restserver{}", self.access.ws.url, self.rest.group())
    }
}

impl Desk for VestDesk {
    /// Listen key and account check. In paper mode there is nothing to log in to.
    fn login(&mut self, http: &mut dyn Http, now: Nanos) -> Result<(), DeskError> {
        self.clock = now;
        if self.rest.is_public_only() {
            self.login_due = Nanos(u64::MAX);
            return Ok(());
        }
        if now < self.login_due {
            return Ok(());
        }
        self.renew_listen_key(http)?;
        self.rest.account(http, self.clock, |_| Ok(()))?;
        self.login_due = now.plus_ms(LOGIN_MS);
        Ok(())
    }

    fn login_due(&self) -> Nanos {
        self.login_due
    }

    fn key_life(&self) -> KeyLife {
        self.signer
    }

    /// Our markets are listed and the account is ours. Call it after `login`, which brings the time.
    fn check_environment(&mut self, http: &mut dyn Http) -> Result<(), DeskError> {
        self.rules(http)?;
        if !self.rest.is_public_only() {
            self.rest.account(http, self.clock, |_| Ok(()))?;
        }
        Ok(())
    }

    fn rules(&mut self, http: &mut dyn Http) -> Result<Vec<(PairId, MarketRules)>, DeskError> {
        const WHAT: &str = "GET /exchangeInfo";
        let symbols: Vec<&str> = self.access.markets.iter().map(|market| market.1.as_str()).collect();
        let symbols = symbols.join(",");
        let info = self.rest.get(http, WHAT, &format!("/exchangeInfo?symbols={symbols}"))?;
        let info: ExchangeInfo = rest::read(WHAT, &info, "a list of markets")?;
        let tickers =
            self.rest.get(http, "GET /ticker/latest", &format!("/ticker/latest?symbols={symbols}"))?;
        let tickers: Tickers = rest::read("GET /ticker/latest", &tickers, "a list of tickers")?;
        statements::rules(&self.access, &info, &tickers).map_err(|error| rest::unreadable(WHAT, error))
    }

    /// Vest has no time call; the account statement carries one.
    fn venue_time_ms(&mut self, http: &mut dyn Http, now: Nanos) -> Result<Option<u64>, DeskError> {
        self.clock = now;
        if self.rest.is_public_only() {
            return Ok(None);
        }
        self.rest.account(http, self.clock, |account| Ok(account.time))
    }

    /// Vest has no such notion; single markets halt.
    fn mode(&mut self, _http: &mut dyn Http) -> Result<VenueMode, DeskError> {
        Ok(VenueMode::Ok)
    }

    fn account(&mut self, http: &mut dyn Http, now: Nanos) -> Result<AccountReport, DeskError> {
        self.clock = now;
        self.rest.account(http, self.clock, |account| account.report(&self.access))
    }

    /// One question for each status that is open: the venue refuses a list of statuses, and without one it gives the
    /// history (sheet `vest`, 5.2). NEW goes first, because no order goes back to it: what fills in between is in one
    /// of the two. Whether a row is open is read from the row again. No id is known to the venue, so `OpenOrder::id` is
    /// always `None`; ours are found by nonce.
    fn open_orders(&mut self, http: &mut dyn Http, now: Nanos) -> Result<Vec<OpenOrder>, DeskError> {
        self.clock = now;
        let mut open = BTreeMap::new();
        for status in ["NEW", "PARTIALLY_FILLED"] {
            let of = |rows: &[OrderRow<'_>]| {
                let orders = statements::open_orders(&self.access, rows)?;
                Ok(orders.into_iter().map(|order| (order.venue_id.to_string(), order)).collect())
            };
            open.extend(self.listed(http, &format!("status={status}&"), of)?);
        }
        Ok(open.into_values().collect())
    }

    fn past_orders(
        &mut self,
        http: &mut dyn Http,
        since_ms: u64,
        now: Nanos,
    ) -> Result<Vec<PastOrder>, DeskError> {
        self.clock = now;
        let mut past = Vec::new();
        for (_, symbol) in &self.access.markets {
            let of = |rows: &[OrderRow<'_>]| statements::past_orders(&self.access, rows);
            past.extend(
                self.listed(http, &format!("symbol={symbol}&startTime={since_ms}&"), of)?.into_values(),
            );
        }
        Ok(past)
    }

    /// By nonce, then by the venue's id, then in the history of the market. A CANCELLED row does not always tell what
    /// was filled before the cancel, so that the position has the last word.
    fn order(&mut self, http: &mut dyn Http, query: &OrderQuery, now: Nanos) -> Result<Sighting, DeskError> {
        self.clock = now;
        let symbol = self.access.symbol_of(query.pair).unwrap_or_default();
        let mut filters = vec![format!("nonce={}&", query.nonce)];
        if let Ok(id) = json::order_id(query.venue_id.as_str()) {
            filters.push(format!("id={id}&"));
        }
        filters.push(format!("symbol={symbol}&startTime={}&", query.signed_ms.saturating_sub(HISTORY_MS)));
        for filter in filters {
            let markets = &self.access.markets;
            let find =
                |rows: &[OrderRow<'_>]| statements::order_report(self.venue, markets, query, rows, now);
            let report = self.rest.orders(http, self.clock, &filter, find)?;
            if report.is_some() {
                return Ok(Sighting { asked: now, report });
            }
        }
        Ok(Sighting { asked: now, report: None })
    }

    /// An order that is already done is not an error: its end is learned by a query.
    fn cancel(&mut self, http: &mut dyn Http, target: &CancelSpec, now: Nanos) -> Result<(), DeskError> {
        const WHAT: &str = "POST /orders/cancel";
        let id = json::order_id(target.venue_id.as_str()).map_err(|error| rest::unreadable(WHAT, error))?;
        let signer = &self.rest.keys(WHAT)?.signer;
        let body = self.bodies.cancel(signer, id.as_str(), target.signed_ms, target.nonce);
        let unsigned = |why: &str| DeskError::Unreachable { venue: "vest", what: WHAT, why: why.to_owned() };
        let body = body.map_err(unsigned)?.to_owned();
        self.clock = now;
        match self.rest.cancel(http, target.signed_ms, body) {
            Err(error) if rest::is_code(&error, ORDER_NOT_FOUND) => Ok(()),
            other => other,
        }
    }

    fn book(&mut self, http: &mut dyn Http, pair: PairId) -> Result<BookUpdate, DeskError> {
        const WHAT: &str = "GET /depth";
        let symbol = self.access.symbol_of(pair).unwrap_or_default();
        let reply = self.rest.get(http, WHAT, &format!("/depth?symbol={symbol}&limit={BOOK_LEVELS}"))?;
        let mut book = BookUpdate { pair, ..BookUpdate::default() };
        let text = std::str::from_utf8(&reply.body).unwrap_or_default();
        match depth::read_book(text, &mut book) {
            Ok(()) if reply.status == 200 => Ok(book),
            _ => Err(rest::refused(WHAT, &reply, "bids and asks of positive plain decimals")),
        }
    }

    /// Leverage of every market of ours. The venue refuses to lower it under a position; that is fine only where it
    /// stands at the wanted value already.
    fn prepare_trading(&mut self, http: &mut dyn Http, leverage: u32, now: Nanos) -> Result<(), DeskError> {
        self.clock = now;
        for (_, symbol) in &self.access.markets {
            match self.rest.set_leverage(http, now, symbol, leverage) {
                Err(error) if rest::is_code(&error, DECREASE_LEVERAGE_WITH_POSITION) => {
                    if !self.rest.has_leverage(http, now, symbol, leverage)? {
                        return Err(error);
                    }
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// A private stream always starts with a key that has its full hour.
    fn target(&mut self, http: &mut dyn Http, role: Role, now: Nanos) -> Result<Target, DeskError> {
        self.clock = now;
        let socket = |url| Target::WebSocket(WsTarget { url, headers: Vec::new(), secret: None });
        match role {
            Role::MarketData => Ok(socket(self.public_url())),
            Role::Orders | Role::Spare => {
                let secret = Some(self.rest.keys("order connection")?.api_key.duplicate());
                Ok(Target::Http { host: self.access.rest.host.clone(), port: self.access.rest.port, secret })
            }
            Role::Private => {
                self.create_listen_key(http)?;
                let key = self.listen_key.as_ref().map_or("", Secret::expose);
                Ok(socket(self.private_url(key)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
