//! The cold side of the account (sheet `vest`, 3.3, 5.2, 5.3): listen key, account, rules, order queries, leverage.
//! Owned by `keeper`, and by the verbs `check` and `flatten`; blocks. Never takes a failed call for an empty answer.

use std::collections::BTreeMap;

use super::access::{Access, signer_expiry_ms};
use super::body::BodyWriter;
use super::depth;
use super::errors::{DECREASE_LEVERAGE_WITH_POSITION, ORDER_NOT_FOUND};
use super::json;
use super::order_row::OrderRow;
use super::rest::{self, Rest};
use super::statements::{self, ExchangeInfo, Tickers};
use crate::sys::rest::{Http, Method};
use crate::types::record::Role;
use crate::types::{BookUpdate, MarketRules, Nanos, PairId, Secret, VenueId, VenueMode};
use crate::venue::{
    AccountReport, CancelSpec, Desk, DeskError, OpenOrder, OrderQuery, Setup, SetupError, Sighting, Target,
    WireError, WsTarget,
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
    signer_expires_ms: Option<u64>,
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
            signer_expires_ms: signer_expiry_ms(&setup.secrets)?,
        })
    }

    /// Open orders of one status, by the venue's id. A full page is followed by the one that ends where it begins.
    fn open_of(
        &self,
        http: &mut dyn Http,
        status: &str,
        open: &mut BTreeMap<String, OpenOrder>,
    ) -> Result<(), DeskError> {
        let mut filter = format!("status={status}&");
        for _ in 0..PAGES_MAX {
            let read = |rows: &[OrderRow<'_>]| {
                Ok((statements::open_orders(&self.access, rows)?, statements::earlier_page(rows)?))
            };
            let (listed, earlier) = self.rest.orders(http, self.clock, &filter, read)?;
            open.extend(listed.into_iter().map(|order| (order.venue_id.to_string(), order)));
            let Some(end_ms) = earlier else { return Ok(()) };
            filter = format!("status={status}&endTime={end_ms}&");
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

    fn key_expires_ms(&self) -> Option<u64> {
        self.signer_expires_ms
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
            self.open_of(http, status, &mut open)?;
        }
        Ok(open.into_values().collect())
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
            let find = |rows: &[OrderRow<'_>]| statements::order_report(self.venue, symbol, query, rows, now);
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
mod tests {
    use super::*;
    use crate::types::order::VenueOrderId;
    use crate::types::{ClientId, Qty, Side};
    use crate::venue::vest::testing::{BTC, TEST_ADDRESS, frame, paper_setup, setup};
    use crate::venue::vest::testing_http::Script;

    const NOW: Nanos = Nanos::from_ms(1_000_000);
    const KEY: &str = r#"{"listenKey":"579e1280448d4843b190c50fbd170078"}"#;

    fn desk() -> VestDesk {
        VestDesk::new(&setup()).unwrap()
    }

    fn account() -> String {
        let text = String::from_utf8(frame("GET /account")).unwrap();
        text.replace("0x3d4fcE3C4b9435C2aB6A880D37F346fa10C844e1", TEST_ADDRESS)
    }

    fn text(name: &str) -> String {
        String::from_utf8(frame(name)).unwrap()
    }

    #[test]
    fn login_makes_then_extends_the_listen_key() {
        let (mut desk, account) = (desk(), account());
        let mut http = Script::new(&[(200, KEY), (200, &account), (200, KEY), (200, &account)]);
        desk.login(&mut http, NOW).unwrap();
        assert_eq!(desk.login_due(), NOW.plus_ms(LOGIN_MS));
        desk.login(&mut http, NOW.plus_ms(1)).unwrap();
        desk.login(&mut http, desk.login_due()).unwrap();
        let calls: Vec<_> = http.calls.iter().map(|call| call.method).collect();
        assert_eq!(calls, [Method::Post, Method::Get, Method::Put, Method::Get]);
        assert_eq!(http.paths()[..2], ["/account/listenKey", "/account?time=1000000"]);
        assert!(http.calls.iter().all(|call| call.headers.contains(&("X-API-KEY", "test-api-key".into()))));
        assert!(
            http.calls.iter().all(|call| call.headers.contains(&("xrestservermm", "restserver3".into())))
        );
    }

    #[test]
    fn a_lapsed_listen_key_is_made_anew() {
        let (mut desk, account) = (desk(), account());
        let lapsed = text("PUT /account/listenKey error");
        let mut http =
            Script::new(&[(200, KEY), (200, &account), (200, &lapsed), (200, KEY), (200, &account)]);
        desk.login(&mut http, NOW).unwrap();
        desk.login(&mut http, desk.login_due()).unwrap();
        assert_eq!(http.calls[3].method, Method::Post);
    }

    #[test]
    fn an_odd_reply_does_not_leak_the_listen_key() {
        for reply in
            [r#"{"ListenKey":"canary"}"#, r#"{"listenKey":"canary\"}"#, r#"{"listenKey":"canary&x=1"}"#]
        {
            let error = desk().login(&mut Script::new(&[(200, reply)]), NOW).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
    }

    #[test]
    fn another_account_is_refused() {
        let wrong = text("GET /account");
        let error = desk().account(&mut Script::new(&[(200, &wrong)]), NOW).unwrap_err();
        assert!(matches!(error, DeskError::Refused { ref code, .. } if code == "WRONG ACCOUNT"), "{error}");
    }

    #[test]
    fn failures_are_never_an_empty_answer() {
        let html = "<html>Bad Gateway</html>";
        for (answers, what) in [
            (vec![], "unreachable"),
            (vec![(502, html)], "refused"),
            (vec![(200, html)], "unreadable"),
            (vec![(200, r#"{"code":1002,"msg":"who"}"#)], "refused"),
            (vec![(200, r#"{"positions":[]}"#)], "unreadable"),
        ] {
            let told = match desk().account(&mut Script::new(&answers), NOW).unwrap_err() {
                DeskError::Unreachable { .. } => "unreachable",
                DeskError::Refused { .. } => "refused",
                DeskError::Unreadable { .. } => "unreadable",
                DeskError::Elsewhere { .. } => "elsewhere",
            };
            assert_eq!(told, what, "{answers:?}");
            assert!(desk().open_orders(&mut Script::new(&answers), NOW).is_err());
        }
    }

    #[test]
    fn open_orders_are_asked_by_status_and_told_once() {
        let new = r#"[{"id":"0xa","nonce":1,"symbol":"BTC-PERP","status":"NEW"}]"#;
        let both = r#"[{"id":"0xa","nonce":1,"status":"PARTIALLY_FILLED"},
            {"id":"0xb","nonce":2,"status":"FILLED"},{"id":"0xc","nonce":3,"status":"PARTIALLY_FILLED"}]"#;
        let mut http = Script::new(&[(200, new), (200, both)]);
        let open = desk().open_orders(&mut http, NOW).unwrap();
        assert_eq!(open.iter().map(|order| order.nonce).collect::<Vec<_>>(), [1, 3]);
        let asked = |status| format!("/orders?status={status}&limit=1000&time={}", NOW.ms());
        assert_eq!(http.paths(), [asked("NEW"), asked("PARTIALLY_FILLED")]);

        let half = Script::new(&[(200, new)]);
        assert!(desk().open_orders(&mut { half }, NOW).is_err(), "one answer of two is no answer");
    }

    #[test]
    fn a_full_page_of_open_orders_is_followed_by_the_earlier_one() {
        let row =
            |n: u32| format!(r#"{{"id":"{n:#x}","nonce":{n},"status":"NEW","postTime":{}}}"#, 90_000 - n);
        let page = |from: u32, to: u32| format!("[{}]", (from..to).map(row).collect::<Vec<_>>().join(","));
        let (full, rest) = (page(1, 1_001), page(1_000, 1_003));
        let mut http = Script::new(&[(200, &full), (200, &rest), (200, "[]")]);
        assert_eq!(desk().open_orders(&mut http, NOW).unwrap().len(), 1_002, "the one in both is told once");
        let second = format!("/orders?status=NEW&endTime=89000&limit=1000&time={}", NOW.ms());
        assert_eq!(http.paths()[1], second);

        let always = vec![(200, full.as_str()); 40];
        assert!(desk().open_orders(&mut Script::new(&always), NOW).is_err(), "a venue that pages for ever");
    }

    fn query(venue_id: &str) -> OrderQuery {
        OrderQuery {
            id: ClientId::default(),
            pair: BTC,
            venue_id: VenueOrderId::cut(venue_id),
            nonce: 0,
            side: Side::Buy,
            qty: Qty::parse(b"0.1").unwrap(),
            signed_ms: 500_000,
        }
    }

    #[test]
    fn an_order_is_looked_for_by_every_name() {
        let mut http = Script::new(&[(200, "[]"), (200, "[]"), (200, &text("GET /orders"))]);
        assert!(desk().order(&mut http, &query("0x0"), NOW).unwrap().report.is_some());
        assert_eq!(
            http.paths(),
            [
                "/orders?nonce=0&limit=1000&time=1000000",
                "/orders?id=0x0&limit=1000&time=1000000",
                "/orders?symbol=BTC-PERP&startTime=440000&limit=1000&time=1000000",
            ]
        );
        let mut http = Script::new(&[(200, "[]"), (200, "[]")]);
        assert_eq!(desk().order(&mut http, &query(""), NOW), Ok(Sighting { asked: NOW, report: None }));
        assert!(desk().order(&mut Script::new(&[(200, "[]"), (500, "")]), &query(""), NOW).is_err());
    }

    #[test]
    fn a_cancel_of_a_finished_order_is_no_error() {
        let target = CancelSpec {
            id: ClientId::default(),
            venue: VenueId(0),
            pair: BTC,
            venue_id: VenueOrderId::cut("0xab"),
            signed_ms: 77,
            nonce: 78,
        };
        let done = text("cancel of an already terminal order");
        for (status, body, fine) in [(200, r#"{"id":"0xab"}"#, true), (200, &done, true), (400, "", false)] {
            let mut http = Script::new(&[(status, body)]);
            assert_eq!(desk().cancel(&mut http, &target, NOW).is_ok(), fine, "{body}");
            assert_eq!(http.paths(), ["/orders/cancel?time=77"]);
        }
        let nameless = CancelSpec { venue_id: VenueOrderId::EMPTY, ..target };
        assert!(desk().cancel(&mut Script::new(&[]), &nameless, NOW).is_err());
    }

    #[test]
    fn leverage_that_stands_already_is_fine() {
        let (held, account) = (r#"{"code":3021,"msg":"held"}"#, account());
        let eth = r#"{"symbol":"ETH-PERP","value":20}"#;
        let mut http = Script::new(&[(200, held), (200, &account), (200, eth)]);
        desk().prepare_trading(&mut http, 20, NOW).unwrap();
        assert_eq!(http.calls[0].body.as_deref(), Some(r#"{"time":1000000,"symbol":"BTC-PERP","value":20}"#));
        let mut http = Script::new(&[(200, held), (200, &account)]);
        assert!(desk().prepare_trading(&mut http, 3, NOW).is_err());
        assert!(desk().prepare_trading(&mut Script::new(&[(200, eth)]), 3, NOW).is_err());
    }

    #[test]
    fn targets_carry_what_each_link_needs() {
        let mut http = Script::new(&[(200, KEY)]);
        let mut desk = desk();
        let mut url = |role| match desk.target(&mut http, role, NOW).unwrap() {
            Target::WebSocket(target) => target.url,
            Target::Http { host, port, secret } => format!("{host} {port} {}", secret.unwrap().expose()),
        };
        let base = "wss://localhost:8444/ws-api?version=1.0&xwebsocketserver=restserver3";
        assert_eq!(url(Role::MarketData), base);
        assert_eq!(url(Role::Orders), "127.0.0.1 8443 test-api-key");
        let key = "579e1280448d4843b190c50fbd170078";
        assert_eq!(url(Role::Private), format!("{base}&websocketserver=restserver3&listenKey={key}"));
    }

    #[test]
    fn a_book_is_read_best_level_first_and_a_refusal_is_none() {
        let whole = r#"{"bids":[["99","1"],["100","2"]],"asks":[["101","3"]]}"#;
        let mut http = Script::new(&[(200, whole), (200, r#"{"code":429,"msg":"slow"}"#), (500, whole)]);
        let mut desk = VestDesk::new(&paper_setup()).unwrap();
        let book = desk.book(&mut http, BTC).unwrap();
        assert_eq!((book.bids[0].price, book.asks.len()), (crate::types::Price::parse(b"100").unwrap(), 1));
        assert_eq!(http.paths(), ["/depth?symbol=BTC-PERP&limit=100"]);
        let patience = |book: Result<_, DeskError>| book.unwrap_err().asks_for_patience();
        assert!(patience(desk.book(&mut http, BTC)));
        assert!(!patience(desk.book(&mut http, BTC)));
    }

    #[test]
    fn paper_mode_reads_the_public_side_only() {
        let mut desk = VestDesk::new(&paper_setup()).unwrap();
        let mut http = Script::new(&[]);
        desk.login(&mut http, NOW).unwrap();
        assert_eq!(desk.venue_time_ms(&mut http, NOW), Ok(None));
        assert!(matches!(desk.account(&mut http, NOW), Err(DeskError::Refused { .. })));
        assert!(desk.target(&mut http, Role::Private, NOW).is_err());
        assert!(http.calls.is_empty());
        assert!(matches!(desk.target(&mut http, Role::MarketData, NOW), Ok(Target::WebSocket(_))));
        assert!(
            desk.rules(&mut http).is_err() && http.paths() == ["/exchangeInfo?symbols=BTC-PERP,ETH-PERP"]
        );
    }
}
