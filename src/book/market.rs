//! One market as `md:<venue>` knows it: its book, its reference prices, the sizes it is priced at and the quote that
//! follows from them. Pure; called by `book::thread` only. It never lets an unsound or absurd book look tradable.

use super::ladder::{Book, BookError, BookState};
use super::pricing::{DepthRule, price, sizes};
use crate::types::money::RATE_ONE;
use crate::types::settings::{PairSettings, RiskSettings};
use crate::types::{BookUpdate, MarketRules, MarketStatus, Nanos, Price, Qty, Quote, Rate, Ticker, VenueId};

/// A price that jumped must stand this long before it is believed.
const STAND_MS: u64 = 3_000;
/// A book crossed for longer than this is corrupt: only a fresh connection mends it (SAFETY M3).
const CROSSED_MS: u64 = 3_000;
/// A book of which nothing has come for so long, while the connection lives, is fetched anew over another (SAFETY M13);
/// where that does not help, after twice as long each time.
pub const STILL_MS: u64 = 20_000;
/// A jump is this many times the largest plausible edge.
const JUMP: i64 = 10;

/// One market's book and the quote made from it.
pub struct Market {
    quote: Quote,
    book: Book,
    guard: JumpGuard,
    depth: DepthRule,
    size: Qty,
    crossed_since: Nanos,
    /// What arrives before this may be old: the connection was silent for long.
    settled_at: Nanos,
    /// Nothing of it has come over this connection yet.
    fresh: bool,
    /// When something last came that was not a connection's first: a book that is fetched anew moves no more for that.
    moved: Nanos,
    /// It was told that it stands still.
    pub told_still: bool,
    /// How long it may stand still before its connection is replaced, ms, and when one last was.
    pub still_ms: u64,
    pub replaced_at: Nanos,
    /// The quote holds prices of this book, made from its levels up to these (asks, bids).
    reach: Option<[Price; 2]>,
}

impl Market {
    /// An empty market. Its sizes are zero until [`Market::set_lot`].
    pub fn new(venue: VenueId, pair: &PairSettings, risk: &RiskSettings) -> Self {
        Self {
            quote: Quote { venue, pair: pair.id, ..Quote::default() },
            book: Book::new(),
            guard: JumpGuard::new(Rate::from_raw(risk.max_plausible.raw().saturating_mul(JUMP))),
            depth: DepthRule { share: risk.max_depth_share, band: risk.depth_band },
            size: pair.size,
            crossed_since: Nanos::NEVER,
            settled_at: Nanos::NEVER,
            fresh: true,
            moved: Nanos::NEVER,
            told_still: false,
            still_ms: STILL_MS,
            replaced_at: Nanos::NEVER,
            reach: None,
        }
    }

    /// Common lot of both venues and the larger of their minimums: from here on the sizes have prices.
    pub fn set_lot(&mut self, lot: Qty, min: Qty) {
        self.quote.sizes = sizes(self.size, lot, min);
        self.reach = None;
        if self.quote.tradable {
            self.price();
        }
    }

    /// Applies one book message read at `t_wire`. After a refusal the quote is untradable until the next whole book.
    pub fn apply(&mut self, update: &BookUpdate, t_wire: Nanos) -> Result<(), BookError> {
        let applied = self.book.apply(update);
        self.seen(t_wire);
        self.judge(t_wire);
        applied
    }

    /// A frame that proved life without changing the book.
    pub fn alive(&mut self, t_wire: Nanos) {
        self.seen(t_wire);
        // A price under suspicion may have stood long enough by now.
        if !self.quote.tradable {
            self.judge(t_wire);
        }
    }

    pub fn set_ticker(&mut self, ticker: Ticker) {
        self.quote.ticker = ticker;
    }

    /// Nothing that was told over this connection says that it does not trade.
    pub fn may_trade(&self) -> bool {
        self.quote.ticker.status != MarketStatus::Halted
    }

    /// A connection has opened.
    pub fn opened(&mut self, now: Nanos) {
        self.fresh = true;
        if self.moved == Nanos::NEVER {
            self.moved = now;
        }
    }

    /// Since when it stands still.
    pub fn moved(&self) -> Nanos {
        self.moved
    }

    /// It stands still for a reason, or it moves.
    pub fn move_at(&mut self, now: Nanos) {
        (self.moved, self.told_still) = (now, false);
    }

    /// What was told of the market's state may be over: nothing is opened until it is told again.
    pub fn forget_status(&mut self) {
        self.quote.ticker.status = MarketStatus::Untold;
    }

    /// Nothing that arrives before `at` is traded on.
    pub fn settle_at(&mut self, at: Nanos) {
        self.settled_at = at;
    }

    /// The book is not to be trusted until the next whole one: a gap, or a lost connection.
    pub fn invalidate(&mut self) {
        self.book.invalidate();
        self.crossed_since = Nanos::NEVER;
        self.blank();
    }

    /// The quote as of the last call that changed it, stamped with the time at which it was ready.
    pub fn quote(&mut self, t_book: Nanos) -> &Quote {
        self.quote.t_book = t_book;
        &self.quote
    }

    /// The quote that was made last.
    pub fn last(&self) -> &Quote {
        &self.quote
    }

    /// The book has been crossed for so long that it must be fetched anew.
    pub fn is_corrupt(&self, now: Nanos) -> bool {
        self.crossed_since != Nanos::NEVER && now.ms_since(self.crossed_since) > CROSSED_MS
    }

    fn seen(&mut self, t_wire: Nanos) {
        self.quote.updates += 1;
        self.quote.t_wire = t_wire;
        if !std::mem::replace(&mut self.fresh, false) {
            self.move_at(t_wire);
        }
    }

    /// Decides whether the book is tradable, and prices it if so.
    fn judge(&mut self, now: Nanos) {
        let state = self.book.state();
        self.note_crossed(state, now);
        let sides = (state, self.book.bids().best(), self.book.asks().best());
        let (BookState::Sound, Some(bid), Some(ask)) = sides else { return self.blank() };
        if now < self.settled_at {
            return self.blank();
        }
        if self.guard.admits(Price::mid(bid.price, ask.price), now) {
            return self.price();
        }
        self.blank();
        self.quote.wild = true;
    }

    fn note_crossed(&mut self, state: BookState, now: Nanos) {
        if state != BookState::Crossed {
            self.crossed_since = Nanos::NEVER;
        } else if self.crossed_since == Nanos::NEVER {
            self.crossed_since = now;
        }
    }

    fn price(&mut self) {
        let bid = self.book.bids().best().unwrap_or_default();
        let ask = self.book.asks().best().unwrap_or_default();
        assert!(bid.price > Price::ZERO && bid.price < ask.price, "only a sound book is priced");
        let quote = &mut self.quote;
        (quote.tradable, quote.wild) = (true, false);
        (quote.bid, quote.ask) = (bid.price, ask.price);
        let [asks, bids] = self.book.changed_within(self.reach.unwrap_or_default());
        let (stale, mut reach) = (self.reach.is_none(), self.reach.unwrap_or_default());
        if asks || stale {
            let priced = price(self.book.asks(), &quote.sizes, self.depth);
            (quote.buy, quote.buy_within, reach[0]) = (priced.walks, priced.within, priced.reach);
        }
        if bids || stale {
            let priced = price(self.book.bids(), &quote.sizes, self.depth);
            (quote.sell, quote.sell_within, reach[1]) = (priced.walks, priced.within, priced.reach);
        }
        self.reach = Some(reach);
    }

    /// An untradable quote names no price at all, so that none can be used by mistake.
    fn blank(&mut self) {
        let Quote { venue, pair, updates, t_wire, t_book, sizes, ticker, .. } = self.quote;
        self.quote = Quote { venue, pair, updates, t_wire, t_book, sizes, ticker, ..Quote::default() };
        self.reach = None;
    }
}

/// Holds back a price that leaps away from the last believed one (SAFETY M5) until it has stood for a while.
struct JumpGuard {
    limit: Rate,
    believed: Price,
    suspect: Price,
    since: Nanos,
}

impl JumpGuard {
    const fn new(limit: Rate) -> Self {
        Self { limit, believed: Price::ZERO, suspect: Price::ZERO, since: Nanos::NEVER }
    }

    /// Whether `mid` may be traded on. The first price is believed: other guards compare it with the other venue.
    fn admits(&mut self, mid: Price, now: Nanos) -> bool {
        let stood = self.is_near(mid, self.suspect) && now.ms_since(self.since) >= STAND_MS;
        if self.believed.is_zero() || self.is_near(mid, self.believed) || stood {
            self.believed = mid;
            self.suspect = Price::ZERO;
            return true;
        }
        if !self.is_near(mid, self.suspect) {
            self.suspect = mid;
            self.since = now;
        }
        false
    }

    fn is_near(&self, price: Price, of: Price) -> bool {
        let away = i128::from((price - of).abs().raw()) * i128::from(RATE_ONE);
        !of.is_zero() && away <= i128::from(of.raw()) * i128::from(self.limit.raw())
    }
}

/// Lot and minimum that hold on both venues, from the rules of both; `None` when the lots have no common step.
pub fn common_steps(rules: [&MarketRules; 2]) -> Option<(Qty, Qty)> {
    let lot = super::pricing::common_lot(rules.map(|rules| rules.lot))?;
    Some((lot, rules[0].min_qty.max(rules[1].min_qty)))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::sys::fuzz::Random;
    use crate::types::limits::SIZES;
    use crate::types::settings::{Basis, ExecutionSettings, Legs, SignalSettings, VenueSettings};
    use crate::types::{Level, PairId, Settings, Usd};

    pub fn pair() -> PairSettings {
        PairSettings {
            id: PairId(0),
            name: "BTC".into(),
            venues: [VenueId(0), VenueId(1)],
            symbols: ["BTC-PERP".into(), "BTC-USD-PERP".into()],
            size: Qty::from_raw(400),
            entry_threshold: Rate::from_bps(30),
            exit_threshold: Rate::from_bps(2),
        }
    }

    pub fn risk() -> RiskSettings {
        RiskSettings {
            max_order_notional: Usd::from_raw(200 * 100_000_000),
            max_pair_notional: Usd::ZERO,
            max_gross_notional: Usd::ZERO,
            max_net_delta: Usd::ZERO,
            max_depth_share: Rate::from_bps(2_000),
            depth_band: Rate::from_bps(50),
            max_plausible: Rate::from_bps(200),
            max_skew_ms: 1_500,
            max_naked_ms: 5_000,
            max_hold_s: 86_400,
            min_profit: Rate::from_bps(1),
            slippage: Rate::from_bps(2),
            stop_widening: Rate::from_bps(100),
            daily_loss: Usd::ZERO,
            losing_pairs_pause: 5,
            cooldown_ms: 5_000,
            failed_leg_cooldown_ms: 60_000,
            link_cooldown_ms: 60_000,
            max_entries_per_hour: 20,
            max_entries_per_day: 200,
            max_order_errors_per_min: 5,
            price_collar: Rate::from_bps(100),
            leverage: 3,
            entry_free_margin: Rate::from_bps(4_000),
            clock_warn_ms: 50,
            clock_no_entries_ms: 250,
            clock_halt_ms: 1_000,
        }
    }

    pub fn rules() -> MarketRules {
        MarketRules {
            tick: Price::from_raw(1_000_000),
            lot: Qty::from_raw(1),
            min_qty: Qty::from_raw(1),
            max_qty: Qty::ZERO,
            min_notional: Usd::ZERO,
            price_places: 2,
            qty_places: 8,
            taker: Rate::from_bps(3),
            initial_margin: Rate::ZERO,
            maintenance_margin: Rate::ZERO,
            price_band: Rate::ZERO,
            ends_ms: None,
            status: MarketStatus::Trading,
        }
    }

    /// As shipped.
    fn upkeep() -> crate::types::settings::Upkeep {
        let shipped = crate::config::parse("shipped.toml", "", &crate::venue::REGISTRY);
        shipped.map_or_else(|error| panic!("{error}"), |config| config.settings.upkeep)
    }

    pub fn settings() -> Settings {
        let venue = |id, max_book_age_ms| VenueSettings {
            id: VenueId(id),
            max_book_age_ms,
            orders_per_s: 5,
            orders_per_day: 0,
            maintenance_minute: None,
            closes_by_rest: false,
        };
        Settings {
            pairs: vec![pair()],
            venues: vec![venue(0, 1_500), venue(1, 1_000)],
            signal: SignalSettings {
                basis: Basis::Raw,
                persistence_updates: 1,
                exit_requires_profit: false,
                expected_hold_h: 4,
            },
            execution: ExecutionSettings {
                legs: Legs::Together,
                written_first: VenueId(0),
                slack_share: Rate::from_bps(5_000),
                completion_slippage: Rate::from_bps(15),
                max_unwind: Rate::from_bps(200),
                retry_attempts: 3,
                retry_delay_ms: 200,
                receive_window_ms: 500,
                pending_cancel_ms: 1_000,
                ack_deadline_ms: 1_500,
            },
            risk: risk(),
            dedicated_account: false,
            upkeep: upkeep(),
        }
    }

    /// A whole book with one unit either side of `mid` and 4,000 units at each touch.
    pub fn whole(mid: i64) -> BookUpdate {
        let level = |price| vec![Level { price: Price::from_raw(price), qty: Qty::from_raw(4_000) }];
        BookUpdate { whole: true, bids: level(mid - 1), asks: level(mid + 1), ..BookUpdate::default() }
    }

    fn market() -> Market {
        let mut market = Market::new(VenueId(1), &pair(), &risk());
        market.set_lot(Qty::from_raw(10), Qty::from_raw(150));
        market
    }

    #[test]
    fn a_sound_book_is_priced_at_its_sizes() {
        let mut market = market();
        market.apply(&whole(10_000), Nanos::from_ms(5)).unwrap();
        let quote = market.quote(Nanos::from_ms(6));
        assert!(quote.tradable);
        assert_eq!(quote.sizes.map(Qty::raw), [400, 200, 0]);
        assert_eq!(quote.buy[0].worst, Price::from_raw(10_001));
        assert!(quote.sell_within.contains(1) && !quote.sell[2].is_defined());
        assert_eq!((quote.t_wire, quote.t_book, quote.updates), (Nanos::from_ms(5), Nanos::from_ms(6), 1));
    }

    #[test]
    fn without_a_lot_nothing_has_a_price() {
        let mut market = Market::new(VenueId(1), &pair(), &risk());
        market.apply(&whole(10_000), Nanos::from_ms(5)).unwrap();
        assert_eq!(market.last().sizes, [Qty::ZERO; SIZES]);
        assert!(!market.last().buy[0].is_defined());
        market.set_lot(Qty::from_raw(1), Qty::from_raw(1));
        assert!(market.last().buy[0].is_defined());
    }

    /// Changes near and far, lots that come and go, crossed books: the quote is always that of the book as it stands.
    #[test]
    fn what_was_not_priced_anew_had_not_changed() {
        let (mut market, mut random) = (market(), Random::new(3));
        market.apply(&whole(10_000), Nanos(1)).unwrap();
        let mut tradable = 0;
        for _ in 0..20_000 {
            let mut levels = |from: i64| {
                let mut level = |_| Level {
                    price: Price::from_raw(from + random.below(40) as i64),
                    qty: Qty::from_raw(random.below(4) as i64 * 150),
                };
                (0..2).map(&mut level).collect()
            };
            let (bids, asks) = (levels(9_961), levels(9_999));
            market.apply(&BookUpdate { bids, asks, ..BookUpdate::default() }, Nanos(1)).unwrap();
            if random.below(50) == 0 {
                market.set_lot(Qty::from_raw(10 + random.below(90) as i64), Qty::from_raw(1));
            }
            let quote = *market.last();
            if quote.tradable {
                tradable += 1;
                let [buy, sell] = [market.book.asks(), market.book.bids()]
                    .map(|ladder| price(ladder, &quote.sizes, market.depth));
                assert_eq!((quote.buy, quote.buy_within), (buy.walks, buy.within));
                assert_eq!((quote.sell, quote.sell_within), (sell.walks, sell.within));
            }
        }
        assert!((1_000..19_000).contains(&tradable), "{tradable}");
    }

    #[test]
    fn unsound_books_show_no_price() {
        let mut market = market();
        let mut crossed = whole(10_000);
        crossed.bids[0].price = Price::from_raw(10_001);
        for bad in [crossed, BookUpdate { bids: Vec::new(), ..whole(10_000) }] {
            market.apply(&whole(10_000), Nanos::from_ms(1)).unwrap();
            market.apply(&bad, Nanos::from_ms(2)).unwrap();
            assert!(!market.last().tradable);
            assert!(market.last().bid.is_zero());
        }
        market.apply(&whole(10_000), Nanos::from_ms(3)).unwrap();
        market.invalidate();
        assert!(!market.last().tradable);
        assert!(market.apply(&BookUpdate::default(), Nanos::from_ms(4)).is_err());
    }

    #[test]
    fn a_book_that_stays_crossed_is_corrupt() {
        let mut market = market();
        let mut crossed = whole(10_000);
        crossed.asks[0].price = Price::from_raw(9_000);
        market.apply(&crossed, Nanos::from_ms(1_000)).unwrap();
        market.alive(Nanos::from_ms(3_500));
        assert!(!market.is_corrupt(Nanos::from_ms(4_000)));
        assert!(market.is_corrupt(Nanos::from_ms(4_001)));
        market.apply(&whole(10_000), Nanos::from_ms(4_002)).unwrap();
        assert!(!market.is_corrupt(Nanos::from_ms(9_000)));
    }

    #[test]
    fn an_absurd_price_must_stand_before_it_is_believed() {
        let mut market = market();
        let mut show = |mid: i64, ms: u64| {
            market.apply(&whole(mid), Nanos::from_ms(ms)).unwrap();
            assert_ne!(market.last().tradable, market.last().wild);
            market.last().tradable
        };
        assert!(show(10_000, 100));
        assert!(show(11_900, 200), "19 % in one step is wild, not absurd");
        assert!(!show(5_000, 300));
        assert!(show(11_900, 400), "the glitch is forgotten");
        assert!(!show(24_000, 500));
        assert!(!show(50_000, 1_000), "another glitch starts anew");
        assert!(!show(50_100, 3_999));
        assert!(show(50_100, 4_000), "it has stood for three seconds");
    }

    #[test]
    fn life_without_change_renews_the_quote() {
        let mut market = market();
        market.apply(&whole(10_000), Nanos::from_ms(5)).unwrap();
        let before = *market.last();
        market.alive(Nanos::from_ms(700));
        let after = Quote { t_wire: before.t_wire, updates: before.updates, ..*market.last() };
        assert_eq!(after, before);
        assert_eq!((market.last().t_wire, market.last().updates), (Nanos::from_ms(700), 2));
    }
}
