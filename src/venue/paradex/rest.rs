//! Shapes of the REST answers that no stream shares (sheet 4.1, 4.2, 7) and how they become the engine's words. Called
//! by `desk`; pure.

use std::borrow::Cow;

use serde::Deserialize;

use super::json;
use crate::types::money::PLACES;
use crate::types::{
    BookUpdate, Level, MarketRules, MarketStatus, PairId, Price, Profile, Qty, Rate, Usd, VenueMode,
};
use crate::venue::WireError;

type Word<'a> = Cow<'a, str>;

/// A list, or one page of it.
#[derive(Debug, Deserialize)]
pub struct Page<T> {
    pub results: Vec<T>,
    /// Cursor of the next page.
    #[serde(default)]
    pub next: Option<String>,
}

/// Body of a refusal.
#[derive(Debug, Deserialize)]
pub struct ErrorBody<'a> {
    #[serde(borrow)]
    pub error: Word<'a>,
    #[serde(borrow, default)]
    pub message: Option<Word<'a>>,
}

/// Answer of `POST /auth`. Not `Debug`: it is a token.
#[derive(Deserialize)]
pub struct TokenJson {
    pub jwt_token: String,
}

/// The part of `GET /system/config` that proves the environment.
#[derive(Debug, Deserialize)]
pub struct ConfigJson<'a> {
    #[serde(borrow)]
    pub starknet_chain_id: Word<'a>,
}

#[derive(Debug, Deserialize)]
struct StateJson<'a> {
    #[serde(borrow)]
    status: Word<'a>,
}

#[derive(Debug, Deserialize)]
struct TimeJson<'a> {
    #[serde(borrow)]
    server_time: sonic_rs::LazyValue<'a>,
}

/// `GET /orderbook/{market}`: a whole book, best level first.
#[derive(Debug, Deserialize)]
pub struct BookJson<'a> {
    seq_no: u64,
    #[serde(borrow)]
    bids: Vec<(Word<'a>, Word<'a>)>,
    #[serde(borrow)]
    asks: Vec<(Word<'a>, Word<'a>)>,
}

impl BookJson<'_> {
    /// A level without a price or a size is refused, and so is a side out of order.
    pub fn update(&self, pair: PairId) -> Result<BookUpdate, WireError> {
        let side = |levels: &[(Word<'_>, Word<'_>)]| -> Result<Vec<Level>, WireError> {
            levels.iter().map(|(at, size)| level(at, size)).collect()
        };
        let (bids, asks) = (side(&self.bids)?, side(&self.asks)?);
        if !bids.is_sorted_by(|a, b| a.price > b.price) || !asks.is_sorted_by(|a, b| a.price < b.price) {
            return Err(WireError::new("order book", b"levels out of order", "the best level first"));
        }
        Ok(BookUpdate { pair, whole: true, sequence: self.seq_no, venue_ms: 0, bids, asks })
    }
}

fn level(at: &str, size: &str) -> Result<Level, WireError> {
    let level = Level { price: json::price("level price", at)?, qty: json::qty("level size", size)? };
    if level.price.raw() > 0 && level.qty.raw() > 0 {
        return Ok(level);
    }
    Err(WireError::new("level", at.as_bytes(), "a positive price and size"))
}

/// One balance of `GET /balance`.
#[derive(Debug, Deserialize)]
pub struct BalanceJson<'a> {
    #[serde(borrow)]
    pub token: Word<'a>,
    #[serde(borrow)]
    size: Word<'a>,
}

impl BalanceJson<'_> {
    pub fn size(&self) -> Result<Usd, WireError> {
        json::usd("balance size", &self.size)
    }
}

/// `GET /account/info`: the account itself, or a list of accounts.
#[derive(Debug, Deserialize)]
pub struct AccountInfoJson<'a> {
    #[serde(borrow, default)]
    account: Option<Word<'a>>,
    #[serde(borrow, default)]
    fees: Option<FeesJson<'a>>,
    #[serde(borrow, default)]
    results: Option<Vec<AccountInfoJson<'a>>>,
}

#[derive(Debug, Deserialize)]
struct FeesJson<'a> {
    #[serde(borrow)]
    taker_rate: Word<'a>,
}

impl AccountInfoJson<'_> {
    /// Taker rate of the account that `is_ours` recognises, or of the only one told.
    pub fn taker(&self, is_ours: &dyn Fn(&str) -> bool) -> Result<Rate, WireError> {
        let accounts = self.results.as_deref().unwrap_or(std::slice::from_ref(self));
        let ours = accounts.iter().find(|info| info.account.as_deref().is_some_and(is_ours));
        let missing = || WireError::new("/account/info", b"no fees", "fees.taker_rate of our account");
        let fees = ours.or(accounts.first()).and_then(|info| info.fees.as_ref()).ok_or_else(missing)?;
        rate("taker_rate", &fees.taker_rate)
    }
}

/// One market of `GET /markets`.
#[derive(Debug, Deserialize)]
pub struct MarketJson<'a> {
    #[serde(borrow)]
    pub symbol: Word<'a>,
    #[serde(borrow)]
    asset_kind: Word<'a>,
    #[serde(borrow, default)]
    market_kind: Option<Word<'a>>,
    #[serde(borrow, default)]
    trading_mode: Option<Word<'a>>,
    #[serde(borrow)]
    price_tick_size: Word<'a>,
    #[serde(borrow)]
    order_size_increment: Word<'a>,
    #[serde(borrow, default)]
    min_notional: Option<Word<'a>>,
    #[serde(borrow, default)]
    max_order_size: Option<Word<'a>>,
    #[serde(borrow, default)]
    price_bands_width: Option<Word<'a>>,
    #[serde(borrow, default)]
    expiry_at: Option<sonic_rs::LazyValue<'a>>,
    #[serde(borrow)]
    delta1_cross_margin_params: MarginJson<'a>,
    #[serde(borrow, default)]
    fee_config: Option<FeeConfigJson<'a>>,
}

#[derive(Debug, Deserialize)]
struct MarginJson<'a> {
    #[serde(borrow)]
    imf_base: Word<'a>,
    #[serde(borrow)]
    mmf_factor: Word<'a>,
}

#[derive(Debug, Deserialize)]
struct FeeConfigJson<'a> {
    #[serde(borrow, default)]
    api_fee: Option<FeeSideJson<'a>>,
    #[serde(borrow, default)]
    interactive_fee: Option<FeeSideJson<'a>>,
}

#[derive(Debug, Deserialize)]
struct FeeSideJson<'a> {
    #[serde(borrow, default)]
    taker_fee: Option<FeeJson<'a>>,
}

#[derive(Debug, Deserialize)]
struct FeeJson<'a> {
    #[serde(borrow)]
    fee: Word<'a>,
}

impl MarketJson<'_> {
    /// The rules of a market that can be traded here: a perpetual, margined with the account. `account_taker` is the
    /// account's own rate; without it (and for Retail, whose fees are its own) the market's list price is taken.
    pub fn rules(&self, profile: Profile, account_taker: Option<Rate>) -> Result<MarketRules, WireError> {
        self.must_be_tradable()?;
        let tick = positive("price_tick_size", &self.price_tick_size)?;
        let lot = positive("order_size_increment", &self.order_size_increment)?;
        let initial_margin = rate("imf_base", &self.delta1_cross_margin_params.imf_base)?;
        let factor = rate("mmf_factor", &self.delta1_cross_margin_params.mmf_factor)?;
        let optional = |text: &Option<_>| text.as_deref().unwrap_or("0").to_owned();
        Ok(MarketRules {
            tick: Price::from_raw(tick),
            lot: Qty::from_raw(lot),
            min_qty: Qty::from_raw(lot),
            max_qty: json::qty("max_order_size", &optional(&self.max_order_size))?,
            min_notional: json::usd("min_notional", &optional(&self.min_notional))?,
            price_places: places(tick),
            qty_places: places(lot),
            taker: self.taker(profile, account_taker)?,
            initial_margin,
            maintenance_margin: product(initial_margin, factor),
            price_band: rate("price_bands_width", &optional(&self.price_bands_width))?,
            ends_ms: self.ends_ms()?,
            status: match self.trading_mode.as_deref() {
                None | Some("STANDARD") => MarketStatus::Trading,
                Some(_) => MarketStatus::Halted,
            },
        })
    }

    /// A perpetual says zero, or nothing, until it is about to be taken off.
    fn ends_ms(&self) -> Result<Option<u64>, WireError> {
        let Some(value) = &self.expiry_at else { return Ok(None) };
        let text = value.as_raw_str().trim_matches('"');
        if text.is_empty() || text == "null" {
            return Ok(None);
        }
        let wrong = |_| WireError::new("expiry_at", text.as_bytes(), "milliseconds since the epoch");
        Ok(Some(text.parse().map_err(wrong)?).filter(|&at| at > 0))
    }

    fn must_be_tradable(&self) -> Result<(), WireError> {
        if self.asset_kind != "PERP" {
            return Err(WireError::new("asset_kind", self.asset_kind.as_bytes(), "PERP"));
        }
        match self.market_kind.as_deref() {
            None | Some("cross") => Ok(()),
            Some(kind) => Err(WireError::new("market_kind", kind.as_bytes(), "cross")),
        }
    }

    fn taker(&self, profile: Profile, account: Option<Rate>) -> Result<Rate, WireError> {
        let listed = |side: &Option<FeeSideJson<'_>>| {
            let fee = side.as_ref().and_then(|side| side.taker_fee.as_ref());
            fee.map(|fee| rate("taker_fee", &fee.fee)).transpose()
        };
        let config = self.fee_config.as_ref();
        let listed = match profile {
            Profile::Pro if account.is_some() => None,
            Profile::Pro => config.map(|config| listed(&config.api_fee)).transpose()?.flatten(),
            Profile::Retail => config.map(|config| listed(&config.interactive_fee)).transpose()?.flatten(),
        };
        let missing = || WireError::new("fee_config", b"none", "the taker fee of the profile");
        listed.or(account).ok_or_else(missing)
    }
}

/// State of the venue from `GET /system/state`. One that the documents do not list may be anything.
pub fn mode(body: &[u8]) -> Result<VenueMode, WireError> {
    let StateJson { status } = json::read("/system/state", body)?;
    match &*status {
        "ok" => Ok(VenueMode::Ok),
        "post_only" => Ok(VenueMode::PostOnly),
        "cancel_only" => Ok(VenueMode::CancelOnly),
        "maintenance" => Ok(VenueMode::Maintenance),
        _ => Ok(VenueMode::Untold),
    }
}

/// Venue's time from `GET /system/time`, ms; a text in the documents, a number in a recording.
pub fn time_ms(body: &[u8]) -> Result<u64, WireError> {
    let TimeJson { server_time } = json::read("/system/time", body)?;
    let text = server_time.as_raw_str().trim_matches('"');
    text.parse().map_err(|_| WireError::new("server_time", text.as_bytes(), "ms since 1970"))
}

fn positive(what: &'static str, text: &str) -> Result<i64, WireError> {
    match json::qty(what, text)?.raw() {
        0 => Err(WireError::new(what, text.as_bytes(), "a positive step")),
        units => Ok(units),
    }
}

fn rate(what: &'static str, text: &str) -> Result<Rate, WireError> {
    Rate::parse_cut(text.as_bytes()).map_err(|_| WireError::new(what, text.as_bytes(), "a plain decimal"))
}

/// Product of two rates, rounded toward zero.
fn product(a: Rate, b: Rate) -> Rate {
    let product = i128::from(a.raw()) * i128::from(b.raw()) / i128::from(Rate::from_bps(10_000).raw());
    Rate::from_raw(i64::try_from(product).unwrap_or(i64::MAX))
}

/// Decimal places that multiples of a step of this many units of 1e-8 need.
fn places(step: i64) -> u8 {
    let mut places = PLACES as u8;
    let mut rest = step;
    while places > 0 && rest % 10 == 0 {
        rest /= 10;
        places -= 1;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fuzz::fuzz;

    const BTC: &str = r#"{"symbol":"BTC-USD-PERP","asset_kind":"PERP","market_kind":"cross",
        "trading_mode":"STANDARD","price_tick_size":"0.1","order_size_increment":"0.00001",
        "min_notional":"10","max_order_size":"100","price_bands_width":"0.05",
        "delta1_cross_margin_params":{"imf_base":"0.02","imf_factor":"0","imf_shift":"0",
        "mmf_factor":"0.5"},"fee_config":{"api_fee":{"maker_fee":{"fee":"0.00003"},
        "taker_fee":{"fee":"0.00045"}},"interactive_fee":{"maker_fee":{"fee":"0"},
        "taker_fee":{"fee":"0"}}}}"#;
    /// Recorded on the test network, abridged by its recorder.
    const ETH: &str = r#"{"symbol":"ETH-USD-PERP","order_size_increment":"0.0001",
        "price_tick_size":"0.01","min_notional":"100","asset_kind":"PERP","market_kind":"cross",
        "price_bands_width":"0.05","delta1_cross_margin_params":{"imf_base":"0.02","mmf_factor":"0.5"}}"#;

    fn market(text: &str) -> MarketJson<'_> {
        json::read("market", text.as_bytes()).unwrap()
    }

    #[test]
    fn rules_of_a_market() {
        let rules = market(BTC).rules(Profile::Pro, None).unwrap();
        assert_eq!((rules.tick.to_string(), rules.lot.to_string()), ("0.1".into(), "0.00001".into()));
        assert_eq!((rules.price_places, rules.qty_places, rules.min_qty), (1, 5, rules.lot));
        assert_eq!((rules.max_qty.to_string(), rules.min_notional.to_string()), ("100".into(), "10".into()));
        assert_eq!(
            (rules.initial_margin, rules.maintenance_margin),
            (Rate::from_bps(200), Rate::from_bps(100))
        );
        assert_eq!((rules.price_band, rules.status), (Rate::from_bps(500), MarketStatus::Trading));
        assert_eq!(rules.taker, Rate::from_raw(450_000_000));
    }

    #[test]
    fn the_end_of_a_market_is_read() {
        let ends = |text: &str| {
            let told = BTC.replacen('{', &format!("{{\"expiry_at\":{text},"), 1);
            market(&told).rules(Profile::Pro, None).map(|rules| rules.ends_ms)
        };
        assert_eq!(market(BTC).rules(Profile::Pro, None).unwrap().ends_ms, None);
        assert_eq!((ends("0").unwrap(), ends("\"\"").unwrap()), (None, None));
        assert_eq!(ends("1796860800000").unwrap(), Some(1_796_860_800_000));
        assert!(ends("\"soon\"").is_err() && ends("-1").is_err());
    }

    #[test]
    fn fees_follow_the_profile_and_the_account() {
        let own = Some(Rate::from_bps(3));
        assert_eq!(market(BTC).rules(Profile::Pro, own).unwrap().taker, Rate::from_bps(3));
        assert_eq!(market(BTC).rules(Profile::Retail, own).unwrap().taker, Rate::ZERO);
        assert_eq!(market(ETH).rules(Profile::Pro, own).unwrap().taker, Rate::from_bps(3));
        assert!(market(ETH).rules(Profile::Pro, None).is_err());
    }

    #[test]
    fn what_cannot_be_traded_is_refused() {
        for (from, to) in [
            ("\"PERP\"", "\"OPTION\""),
            ("\"cross\"", "\"isolated\""),
            ("\"price_tick_size\":\"0.1\"", "\"price_tick_size\":\"0\""),
            ("\"order_size_increment\":\"0.00001\"", "\"order_size_increment\":\"-1\""),
            ("\"imf_base\":\"0.02\"", "\"imf_base\":\"2%\""),
        ] {
            assert!(market(&BTC.replace(from, to)).rules(Profile::Pro, None).is_err(), "{to}");
        }
        let halted = BTC.replace("STANDARD", "RFQ_ONLY");
        assert_eq!(market(&halted).rules(Profile::Pro, None).unwrap().status, MarketStatus::Halted);
    }

    #[test]
    fn account_info_alone_or_in_a_list() {
        let ours = |account: &str| account == "0x2";
        for text in [
            r#"{"account":"0x2","fees":{"maker_rate":"0.00003","taker_rate":"0.00045"}}"#,
            r#"{"results":[{"account":"0x1","fees":{"taker_rate":"1"}},{"account":"0x2",
                "fees":{"taker_rate":"0.00045"}}]}"#,
        ] {
            let info: AccountInfoJson = json::read("info", text.as_bytes()).unwrap();
            assert_eq!(info.taker(&ours).unwrap(), Rate::from_raw(450_000_000));
        }
        let none: AccountInfoJson = json::read("info", br#"{"results":[]}"#).unwrap();
        assert!(none.taker(&ours).is_err());
    }

    #[test]
    fn states_and_times() {
        assert_eq!(mode(br#"{"status":"cancel_only"}"#), Ok(VenueMode::CancelOnly));
        assert_eq!(mode(br#"{"status":"splendid"}"#), Ok(VenueMode::Untold));
        assert!(mode(br#"{"state":"ok"}"#).is_err());
        for text in [r#"{"server_time":"1681493415023"}"#, r#"{"server_time":1681493415023}"#] {
            assert_eq!(time_ms(text.as_bytes()), Ok(1_681_493_415_023));
        }
        assert!(time_ms(br#"{"server_time":"soon"}"#).is_err());
    }
    #[test]
    fn no_damage_panics() {
        let page = format!(r#"{{"next":null,"results":[{BTC}]}}"#).into_bytes();
        fuzz("paradex markets", &[page], |body| {
            let page = json::read::<Page<MarketJson>>("markets", body);
            page.is_ok_and(|page| page.results.iter().all(|market| market.rules(Profile::Pro, None).is_ok()))
        });
        fuzz("paradex state", &[br#"{"status":"ok"}"#.to_vec()], |body| mode(body).is_ok());
    }

    #[test]
    fn no_damaged_book_panics() {
        let book = br#"{"market":"BTC-USD-PERP","seq_no":20784,"last_updated_at":1718620592135,
            "bids":[["65925.6","0.281"],["65925.5","1"]],"asks":[["65926","0.04"],["65927.1","2"]]}"#;
        fuzz("paradex book", &[book.to_vec()], |body| {
            let update = json::read::<BookJson>("book", body).and_then(|book| book.update(PairId(0)));
            let positive = |level: &Level| level.price.raw() > 0 && level.qty.raw() > 0;
            update.is_ok_and(|update| update.bids.iter().chain(&update.asks).all(positive))
        });
    }

    #[test]
    fn no_damaged_account_refusal_or_token_panics() {
        let one = br#"{"account":"0x49d","fees":{"maker_rate":"0","taker_rate":"0.0003"},"kind":"main"}"#;
        let list = br#"{"results":[{"account":"0x1"},{"account":"0x49d","fees":{"taker_rate":"0.0003"}}]}"#;
        fuzz("paradex account info", &[one.to_vec(), list.to_vec()], |body| {
            let info = json::read::<AccountInfoJson>("account info", body);
            info.is_ok_and(|info| info.taker(&|account| account == "0x49d").is_ok())
        });
        let refusal = br#"{"error":"NOT_FOUND","message":"order with id 1 not found \"x\"","data":null}"#;
        fuzz("paradex refusal", &[refusal.to_vec()], |body| {
            json::read::<ErrorBody>("refusal", body).is_ok_and(|refusal| !refusal.error.is_empty())
        });
        let token = br#"{"jwt_token":"eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3fQ.c2ln"}"#;
        fuzz("paradex token", &[token.to_vec()], |body| json::read::<TokenJson>("token", body).is_ok());
    }
}
