//! The cold side: environment proof, rules, account, queries and cancels over REST (sheet 4, 7), and where to open the
//! sockets. Owned by `keeper` and by the verbs `check` and `flatten`; `client` makes the calls.
//!
//! `login` comes before `check_environment` and `rules` wherever there are credentials: those two are not told the
//! time, and use the token at hand.

use starknet_crypto::Felt;

use super::client::{Client, Next, elsewhere, is_of_login, says_not_open, unreadable};
use super::events::{AccountFact, FillFact, OrderFact};
use super::history::{self, Part, Trail};
use super::json::{self, AccountJson, FillJson, OrderJson, PastFillJson, PositionJson};
use super::rest::{self, AccountInfoJson, BalanceJson, BookJson, ConfigJson, MarketJson, Page};
use super::rpc;
use super::sign::Signer;
use super::{Markets, chain_id, errors, orders, sbe};
use crate::sys::rest::{Http, Method};
use crate::types::order::{Reason, VenueOrderId};
use crate::types::record::Role;
use crate::types::{
    BookUpdate, ClientId, MarketRules, Nanos, OrderNews, OrderSpec, PairId, Profile, Rate, Reject,
    RejectClass, Secret, Usd, VenueId, VenueMode,
};
use crate::venue::{
    AccountReport, CancelSpec, Desk, DeskError, ListedRules, OpenOrder, OrderQuery, PastOrder,
    PositionReport, Setup, SetupError, Sighting, Target, WireError, WsTarget,
};

/// How a failed upgrade shows that the venue does not speak the schema version that was asked for (sheet 5.3).
const VERSION_REFUSED: &str = "HTTP 400";
/// Collateral whose balance is the account's cash.
const COLLATERAL: &str = "USDC";
/// Levels of a book that are asked for.
const BOOK_LEVELS: u32 = 100;

/// The cold side of this venue.
pub struct ParadexDesk {
    id: VenueId,
    ws_url: String,
    profile: Profile,
    chain_id: &'static str,
    markets: Markets,
    client: Client,
    /// Per role, the place in `sbe::VERSIONS` of the schema version to ask for: the newest until it is refused, then
    /// the next older one, and after the oldest the newest again.
    versions: [usize; Role::ALL.len()],
    /// Per role, whether a socket was opened with the token at hand.
    token_used: [bool; Role::ALL.len()],
    /// What the last query had found when a call of it failed.
    unfinished: Option<Trail>,
    /// The account's money as it was last read.
    money: Option<Money>,
}

/// What an account is worth, in its own two calls.
#[derive(Clone, Copy)]
struct Money {
    asked: Nanos,
    account: AccountFact,
    venue_ms: u64,
    cash: Usd,
}

impl ParadexDesk {
    /// Without credentials it does public calls only (paper mode); malformed ones are refused.
    pub fn new(setup: &Setup) -> Result<Self, SetupError> {
        let signer = if setup.secrets.0.is_empty() { None } else { Some(Signer::from_setup(setup)?) };
        Ok(Self {
            id: setup.id,
            ws_url: setup.ws_url.clone(),
            profile: setup.profile,
            chain_id: chain_id(&setup.env)?,
            markets: Markets::new(setup)?,
            client: Client::new(setup.rest_url.clone(), setup.profile, signer),
            versions: Default::default(),
            token_used: Default::default(),
            unfinished: None,
            money: None,
        })
    }

    /// A socket that was lost may have been lost because its token was revoked: the next one gets a fresh token.
    fn socket_token(&mut self, http: &mut dyn Http, role: Role, now: Nanos) -> Result<(), DeskError> {
        if std::mem::replace(&mut self.token_used[role as usize], true) {
            return self.client.renew(http, now);
        }
        self.client.login(http, now)
    }

    fn symbol(&self, what: &'static str, pair: PairId) -> Result<String, DeskError> {
        let symbol = self.markets.symbol(pair).map(str::to_owned);
        symbol.ok_or_else(|| unreadable(what, WireError::new("pair", &[pair.0], "a pair of this venue")))
    }

    fn is_our_account(&self, text: &str) -> bool {
        let ours = self.client.signer().map(Signer::account);
        ours.is_some() && Felt::from_hex(text).ok() == ours
    }

    /// The account's own taker rate; `None` without a token.
    fn account_taker(&self, http: &mut dyn Http) -> Result<Option<Rate>, DeskError> {
        const WHAT: &str = "fees";
        if self.client.token().is_none() {
            return Ok(None);
        }
        let body = self.client.call(http, WHAT, Method::Get, "/account/info")?;
        let info = json::read::<AccountInfoJson>(WHAT, &body);
        let rate = info.and_then(|info| info.taker(&|account| self.is_our_account(account)));
        rate.map(Some).map_err(|source| unreadable(WHAT, source))
    }

    fn market_rules(
        &self,
        http: &mut dyn Http,
        pair: PairId,
        account_taker: Option<Rate>,
    ) -> Result<MarketRules, DeskError> {
        const WHAT: &str = "markets";
        let symbol = self.symbol(WHAT, pair)?;
        let body = self.client.call(http, WHAT, Method::Get, &format!("/markets?market={symbol}"))?;
        let read = || {
            let page: Page<MarketJson> = json::read(WHAT, &body)?;
            let market = page.results.iter().find(|market| market.symbol == symbol);
            let missing = || WireError::new("market", symbol.as_bytes(), "a market that the venue lists");
            market.ok_or_else(missing)?.rules(self.profile, account_taker)
        };
        read().map_err(|source| unreadable(WHAT, source))
    }

    /// Asks for the parts of an answer that are still missing.
    fn follow(&mut self, http: &mut dyn Http, trail: &mut Trail, now: Nanos) -> Result<(), DeskError> {
        let OrderQuery { id, pair, signed_ms, .. } = trail.query;
        let symbol = self.symbol("order", pair)?;
        let start = signed_ms.saturating_sub(history::MARGIN_MS);
        let search = format!("market={symbol}&start_at={start}&page_size=100");
        if trail.next == Part::OpenOrder {
            self.open_order(http, trail, id, now)?;
            trail.next = if trail.is_listed() { Part::Fills } else { Part::History };
        }
        if trail.next == Part::History {
            self.follow_history(http, trail, &search, now)?;
            trail.next = Part::Fills;
        }
        self.follow_fills(http, trail, &search, now)
    }

    /// The open order with this id, if there is one.
    fn open_order(
        &mut self,
        http: &mut dyn Http,
        trail: &mut Trail,
        id: ClientId,
        now: Nanos,
    ) -> Result<(), DeskError> {
        const WHAT: &str = "open order";
        let body =
            match self.client.private(http, now, WHAT, Method::Get, &format!("/orders/by_client_id/{id}")) {
                Ok(body) => body,
                Err(error) if says_not_open(&error) => return Ok(()),
                Err(error) => return Err(error),
            };
        let read = json::read::<OrderJson>(WHAT, &body).and_then(OrderJson::fact);
        read.and_then(|order| trail.order(&order, &self.markets)).map_err(|source| unreadable(WHAT, source))
    }

    fn follow_history(
        &mut self,
        http: &mut dyn Http,
        trail: &mut Trail,
        search: &str,
        now: Nanos,
    ) -> Result<(), DeskError> {
        let path = format!("/orders-history?{search}");
        self.client.pages(http, now, "order history", &path, &mut |body| {
            let page: Page<OrderJson> = json::read("order history", body)?;
            for order in page.results {
                let order: OrderFact = order.fact()?;
                trail.order(&order, &self.markets)?;
            }
            Ok(if trail.is_listed() { Next::Enough } else { Next::Page(page.next.unwrap_or_default()) })
        })
    }

    fn follow_fills(
        &mut self,
        http: &mut dyn Http,
        trail: &mut Trail,
        search: &str,
        now: Nanos,
    ) -> Result<(), DeskError> {
        let path = format!("/fills?{search}");
        self.client.pages(http, now, "fills", &path, &mut |body| {
            let page: Page<FillJson> = json::read("fills", body)?;
            for fill in page.results {
                let fill: FillFact = fill.fact()?;
                trail.fill(&fill, &self.markets);
            }
            Ok(Next::Page(page.next.unwrap_or_default()))
        })
    }

    fn positions(
        &mut self,
        http: &mut dyn Http,
        now: Nanos,
        report: &mut AccountReport,
    ) -> Result<(), DeskError> {
        const WHAT: &str = "positions";
        let body = self.client.private(http, now, WHAT, Method::Get, "/positions")?;
        let page: Page<PositionJson> = json::read(WHAT, &body).map_err(|source| unreadable(WHAT, source))?;
        for position in &page.results {
            let told = self.position(position, report);
            told.map_err(|source| unreadable(WHAT, source))?;
        }
        Ok(())
    }

    fn position(&self, position: &PositionJson<'_>, report: &mut AccountReport) -> Result<(), WireError> {
        let qty = position.qty()?;
        let slot =
            self.markets.pair(&position.market).and_then(|pair| report.positions.get_mut(pair.index()));
        match slot {
            Some(slot) => {
                *slot = PositionReport {
                    qty,
                    entry_price: position.entry_price()?,
                    liquidation_price: position.liquidation_price()?,
                };
            }
            None => report.foreign_markets += u32::from(!qty.is_zero()),
        }
        Ok(())
    }

    fn listed(&self, order: &OrderFact<'_>) -> OpenOrder {
        OpenOrder {
            pair: self.markets.pair(&order.market),
            venue_id: VenueOrderId::cut(&order.venue_id),
            id: ClientId::parse(&order.client_id),
            nonce: 0,
        }
    }

    /// The account's money; as it was last read where a call for it fails, for the positions do not wait for it.
    fn money(&mut self, http: &mut dyn Http, now: Nanos) -> Result<Money, DeskError> {
        let read = self.read_money(http, now);
        let money = read.or_else(|error| self.money.ok_or(error))?;
        self.money = Some(money);
        Ok(money)
    }

    fn read_money(&mut self, http: &mut dyn Http, now: Nanos) -> Result<Money, DeskError> {
        const WHAT: &str = "account";
        let body = self.client.private(http, now, WHAT, Method::Get, "/account")?;
        let read = json::read::<AccountJson>(WHAT, &body)
            .and_then(|account| Ok((account.fact()?, account.updated_at.unwrap_or_default())));
        let (account, venue_ms) = read.map_err(|source| unreadable(WHAT, source))?;
        Ok(Money { asked: now, account, venue_ms, cash: self.cash(http, now)? })
    }

    fn cash(&mut self, http: &mut dyn Http, now: Nanos) -> Result<Usd, DeskError> {
        const WHAT: &str = "balance";
        let body = self.client.private(http, now, WHAT, Method::Get, "/balance")?;
        let read = || {
            let page: Page<BalanceJson> = json::read(WHAT, &body)?;
            let collateral = page.results.iter().find(|balance| balance.token == COLLATERAL);
            collateral.map_or(Ok(Usd::ZERO), BalanceJson::size)
        };
        read().map_err(|source| unreadable(WHAT, source))
    }
}

/// What a refused order means, or the error when it proves nothing. One that got no token was certainly not taken.
fn refusal(error: DeskError) -> Result<Reject, DeskError> {
    if is_of_login(&error) {
        let code = Reason::cut(&format!("not placed: {error}"));
        return Ok(Reject { class: RejectClass::RetryLater, code });
    }
    let DeskError::Refused { status, code, .. } = &error else { return Err(error) };
    let reject = errors::rest_refusal(code);
    // A server that failed may have taken the order first.
    if *status >= 500 || reject.class == RejectClass::Ambiguous { Err(error) } else { Ok(reject) }
}

impl Desk for ParadexDesk {
    fn login(&mut self, http: &mut dyn Http, now: Nanos) -> Result<(), DeskError> {
        self.client.login(http, now)
    }

    fn login_due(&self) -> Nanos {
        self.client.login_due()
    }

    fn check_environment(&mut self, http: &mut dyn Http) -> Result<(), DeskError> {
        const WHAT: &str = "environment";
        let body = self.client.call(http, WHAT, Method::Get, "/system/config")?;
        let config: ConfigJson = json::read(WHAT, &body).map_err(|source| unreadable(WHAT, source))?;
        if config.starknet_chain_id != self.chain_id {
            let error = WireError::new("chain id", config.starknet_chain_id.as_bytes(), self.chain_id);
            return Err(elsewhere(error));
        }
        if self.client.signer().is_none() {
            return Ok(());
        }
        let body = self.client.call(http, WHAT, Method::Get, "/account")?;
        let account: AccountJson = json::read(WHAT, &body).map_err(|source| unreadable(WHAT, source))?;
        let name = account.account.as_deref().unwrap_or_default();
        if self.is_our_account(name) {
            return Ok(());
        }
        Err(elsewhere(WireError::new("account", name.as_bytes(), "the configured account address")))
    }

    fn rules(&mut self, http: &mut dyn Http) -> Result<Vec<(PairId, MarketRules)>, DeskError> {
        let taker = self.account_taker(http)?;
        let pairs: Vec<PairId> = self.markets.iter().map(|(pair, _)| pair).collect();
        let mut rules = ListedRules::default();
        for pair in pairs {
            match self.market_rules(http, pair, taker) {
                Err(error) if error.may_pass() => return Err(error),
                told => rules.add(pair, told),
            }
        }
        rules.end()
    }

    fn venue_time_ms(&mut self, http: &mut dyn Http, _now: Nanos) -> Result<Option<u64>, DeskError> {
        const WHAT: &str = "time";
        let body = self.client.call(http, WHAT, Method::Get, "/system/time")?;
        rest::time_ms(&body).map(Some).map_err(|source| unreadable(WHAT, source))
    }

    fn mode(&mut self, http: &mut dyn Http) -> Result<VenueMode, DeskError> {
        const WHAT: &str = "system state";
        let body = self.client.call(http, WHAT, Method::Get, "/system/state")?;
        rest::mode(&body).map_err(|source| unreadable(WHAT, source))
    }

    fn account(&mut self, http: &mut dyn Http, now: Nanos) -> Result<AccountReport, DeskError> {
        let mut report = AccountReport::default();
        self.positions(http, now, &mut report)?;
        let money = self.money(http, now)?;
        Ok(AccountReport {
            balance: money.cash,
            equity: money.account.equity,
            free_margin: money.account.free,
            money_age_ms: u32::try_from(now.ms_since(money.asked)).unwrap_or(u32::MAX),
            venue_ms: money.venue_ms,
            ..report
        })
    }

    fn open_orders(&mut self, http: &mut dyn Http, now: Nanos) -> Result<Vec<OpenOrder>, DeskError> {
        const WHAT: &str = "open orders";
        let body = self.client.private(http, now, WHAT, Method::Get, "/orders")?;
        let read = || {
            let page: Page<OrderJson> = json::read(WHAT, &body)?;
            let facts = page.results.into_iter().map(OrderJson::fact);
            facts.map(|fact| Ok(self.listed(&fact?))).collect::<Result<Vec<_>, WireError>>()
        };
        read().map_err(|source| unreadable(WHAT, source))
    }

    fn past_orders(
        &mut self,
        http: &mut dyn Http,
        since_ms: u64,
        now: Nanos,
    ) -> Result<Vec<PastOrder>, DeskError> {
        let mut past = Vec::new();
        let markets: Vec<_> = self.markets.iter().map(|(pair, symbol)| (pair, symbol.to_owned())).collect();
        for (pair, symbol) in markets {
            let path = format!("/fills?market={symbol}&start_at={since_ms}&page_size=100");
            self.client.pages(http, now, "fills", &path, &mut |body| {
                let page: Page<PastFillJson> = json::read("fills", body)?;
                let ours = page.results.iter().filter(|fill| fill.market == symbol);
                past.extend(ours.map(|fill| fill.of(pair)).collect::<Result<Vec<_>, _>>()?);
                Ok(Next::Page(page.next.unwrap_or_default()))
            })?;
        }
        Ok(past)
    }

    fn order(&mut self, http: &mut dyn Http, query: &OrderQuery, now: Nanos) -> Result<Sighting, DeskError> {
        let kept = self.unfinished.take().filter(|trail| trail.serves(query, now));
        let mut trail = kept.unwrap_or_else(|| Trail::new(query, now));
        let followed = self.follow(http, &mut trail, now);
        let sighting = Sighting { asked: trail.asked, report: trail.report(self.id, now) };
        self.unfinished = followed.is_err().then_some(trail);
        followed.map(|()| sighting)
    }

    fn cancel(&mut self, http: &mut dyn Http, target: &CancelSpec, now: Nanos) -> Result<(), DeskError> {
        const WHAT: &str = "cancel";
        let symbol = self.symbol(WHAT, target.pair)?;
        // An order that no client id of ours names goes by the venue's.
        let path = match (target.id == ClientId::default(), target.venue_id.as_str()) {
            (true, id) if rpc::is_plain(id) && !id.is_empty() => format!("/orders/{id}"),
            _ => format!("/orders/by_client_id/{}?market={symbol}", target.id),
        };
        match self.client.private(http, now, WHAT, Method::Delete, &path) {
            Err(error) if !says_not_open(&error) => Err(error),
            _ => Ok(()),
        }
    }

    fn cancel_all(&mut self, http: &mut dyn Http, pair: PairId, now: Nanos) -> Result<(), DeskError> {
        const WHAT: &str = "cancel all";
        let path = format!("/orders?market={}", self.symbol(WHAT, pair)?);
        self.client.private(http, now, WHAT, Method::Delete, &path).map(drop)
    }

    fn place(&mut self, http: &mut dyn Http, spec: &OrderSpec, now: Nanos) -> Result<OrderNews, DeskError> {
        const WHAT: &str = "order";
        let unsent = |code| OrderNews::Rejected(Reject { class: RejectClass::Definitive, code });
        if now.ms() > spec.signed_ms + u64::from(spec.window_ms) {
            return Ok(unsent(Reason::cut("its window lapsed before it could be placed")));
        }
        let symbol = self.symbol(WHAT, spec.pair)?;
        let no_key = Reason::cut("no key to sign with");
        let body = self.client.signer().ok_or(no_key).and_then(|key| orders::rest_body(key, &symbol, spec));
        let body = match body {
            Ok(body) => body,
            Err(code) => return Ok(unsent(code)),
        };
        match self.client.private_with(http, now, WHAT, Method::Post, "/orders", Some(&body)) {
            Ok(_) => Ok(OrderNews::Acked),
            Err(error) => refusal(error).map(OrderNews::Rejected),
        }
    }

    fn book(&mut self, http: &mut dyn Http, pair: PairId) -> Result<BookUpdate, DeskError> {
        const WHAT: &str = "order book";
        let path = format!("/orderbook/{}?depth={BOOK_LEVELS}", self.symbol(WHAT, pair)?);
        let body = self.client.call(http, WHAT, Method::Get, &path)?;
        let read = json::read::<BookJson>(WHAT, &body).and_then(|book| book.update(pair));
        read.map_err(|source| unreadable(WHAT, source))
    }

    fn prepare_trading(
        &mut self,
        _http: &mut dyn Http,
        _leverage: u32,
        _now: Nanos,
    ) -> Result<(), DeskError> {
        // Margin is cross and leverage follows from the size: nothing is set on this venue.
        Ok(())
    }

    fn target(&mut self, http: &mut dyn Http, role: Role, now: Nanos) -> Result<Target, DeskError> {
        let secret = match role {
            Role::MarketData => None,
            Role::Orders | Role::Private | Role::Spare => {
                self.socket_token(http, role, now)?;
                self.client.token().map(Secret::duplicate)
            }
        };
        let nth = self.versions.get(role as usize).copied().unwrap_or_default();
        let version = sbe::VERSIONS.get(nth).copied().unwrap_or_default();
        let url = format!("{}?sbeSchemaId={}&sbeSchemaVersion={version}", self.ws_url, sbe::SCHEMA_ID);
        Ok(Target::WebSocket(WsTarget { url, headers: Vec::new(), secret }))
    }

    fn link_failed(&mut self, role: Role, why: &str) {
        if let Some(nth) = self.versions.get_mut(role as usize).filter(|_| why.contains(VERSION_REFUSED)) {
            *nth = (*nth + 1) % sbe::VERSIONS.len();
        }
    }
}

#[cfg(test)]
mod tests;
