//! The signal of one pair: from quotes and what `order` allows to the wish to open or to close. Pure; owned by
//! `spread::thread`. It never wishes twice for one opportunity, and never on a book that is old, unsound or absurd.

use super::basis::Average;
use super::edge::Trade;
use super::entry::{EntryRules, Offer};
use super::exit::{ExitRules, Held};
use super::view::{Bounds, View, expiry};
use crate::types::ready::Near;
use crate::types::record::Refusal;
use crate::types::settings::{Basis, PairSettings};
use crate::types::{
    Direction, ExposureState, Intent, IntentKind, MarketRules, Nanos, Price, Quote, Rate, RecordKind,
    Settings,
};

/// After a wish that `order` did not answer, the next one waits this long.
const REFIRE_MS: u64 = 500;
/// Spreads and repeated findings are recorded at most this often.
const REPORT_MS: u64 = 1_000;

/// A trade this close to its threshold is signed ahead.
const NEAR: Rate = Rate::from_bps(20);
/// What is near is told at most this often, ms; where nothing moves, a ladder needs no more.
const NEAR_MS: u64 = 20;

/// What happened, as the signal sees it.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    Quote {
        leg: usize,
        quote: &'a Quote,
    },
    Exposure(ExposureState),
    Rules {
        leg: usize,
        rules: &'a MarketRules,
    },
    /// Time passed.
    Tick,
}

/// State of one pair.
pub struct Signal {
    pair: PairSettings,
    persistence: u32,
    bounds: Bounds,
    entry: EntryRules,
    exit: ExitRules,
    average: Option<Average>,
    quotes: [Quote; 2],
    /// Quotes after this moment are too old on a leg; `NEVER` when there is none or its end was noted.
    expires: [Nanos; 2],
    rules: [Option<MarketRules>; 2],
    exposure: ExposureState,
    /// Time of a wish that was not answered yet.
    wished: Option<Nanos>,
    /// Consecutive quotes that showed an edge, per direction.
    streak: [u32; 2],
    announced: bool,
    announced_at: Nanos,
    refused_at: Nanos,
    next_report: Nanos,
    /// A trade that came near and was not told yet.
    near: Option<Near>,
    next_near: Nanos,
}

impl Signal {
    /// The pair's venues stand in `settings.venues` at their index.
    pub fn new(pair: &PairSettings, settings: &Settings) -> Self {
        let age_ms = pair.venues.map(|venue| settings.venues[venue.index()].max_book_age_ms);
        let average = match settings.signal.basis {
            Basis::Raw => None,
            Basis::Ewma { half_life_s, warmup_s } => Some(Average::new(half_life_s, warmup_s)),
        };
        let (skew_ms, plausible) = (settings.risk.max_skew_ms, settings.risk.max_plausible);
        Self {
            pair: pair.clone(),
            persistence: settings.signal.persistence_updates.max(1),
            bounds: Bounds { age_ms, skew_ms, plausible },
            entry: EntryRules::new(pair, &settings.signal, &settings.execution),
            exit: ExitRules::new(pair, &settings.signal, &settings.risk),
            average,
            quotes: [Quote::default(); 2],
            expires: [Nanos::NEVER; 2],
            rules: [None; 2],
            exposure: ExposureState::Blocked,
            wished: None,
            streak: [0; 2],
            announced: false,
            announced_at: Nanos::NEVER,
            refused_at: Nanos::NEVER,
            next_report: Nanos::NEVER,
            near: None,
            next_near: Nanos::NEVER,
        }
    }

    /// What `signer` should keep orders ready for, once.
    pub fn take_near(&mut self) -> Option<Near> {
        self.near.take()
    }

    /// When a tick will find a quote too old; `NEVER` when none can become so.
    pub fn due(&self) -> Nanos {
        Nanos::first_of(self.expires.into_iter())
    }

    /// Takes one input; returns a wish, and appends what should be recorded. Wishes come from quotes only; none is
    /// made before the rules of both legs are known.
    pub fn step(&mut self, now: Nanos, input: Input<'_>, facts: &mut Vec<RecordKind>) -> Option<Intent> {
        match input {
            Input::Quote { leg, quote } => {
                self.take_quote(leg, quote);
                return self.judge(now, facts);
            }
            Input::Exposure(state) => {
                self.exposure = state;
                self.wished = None;
            }
            Input::Rules { leg, rules } => self.rules[leg] = Some(*rules),
            Input::Tick => self.note_expiry(now, facts),
        }
        None
    }

    fn take_quote(&mut self, leg: usize, quote: &Quote) {
        self.quotes[leg] = *quote;
        self.expires[leg] =
            if quote.tradable { expiry(quote, self.bounds.age_ms[leg]) } else { Nanos::NEVER };
    }

    /// A quote that passed its age limit switches entries off, once.
    fn note_expiry(&mut self, now: Nanos, facts: &mut Vec<RecordKind>) {
        for leg in 0..2 {
            let expires = self.expires[leg];
            if expires != Nanos::NEVER && now > expires {
                self.expires[leg] = Nanos::NEVER;
                self.forget();
                let (venue, ns) = (self.pair.venues[leg], now.since(expires));
                facts.push(RecordKind::StaleToOff { venue, pair: self.pair.id, ns });
            }
        }
    }

    /// Nothing is known any more: what had built up starts anew.
    fn forget(&mut self) {
        self.streak = [0; 2];
        self.announced = false;
        if let Some(average) = &mut self.average {
            average.pause();
        }
    }

    fn judge(&mut self, now: Nanos, facts: &mut Vec<RecordKind>) -> Option<Intent> {
        self.note_expiry(now, facts);
        let Ok(view) = View::new(&self.quotes, &self.bounds, now) else {
            self.forget();
            return None;
        };
        let basis = self.observe(&view);
        self.report(&view, basis, now, facts);
        match self.exposure {
            ExposureState::Held { direction, qty, basis, edge, since } => {
                let held = Held { direction, qty, basis, edge, since };
                let near = self.exit.approaching(&held, &self.quotes, &view, NEAR);
                self.look_ahead(now, true, near.map(|trade| (trade, Rate::ZERO)));
                self.judge_exit(&held, &view, now, facts)
            }
            _ => {
                let basis = basis?;
                for direction in Direction::BOTH {
                    let of = View::directed(basis, direction);
                    let near = self.entry.approaching(&self.quotes, &view, direction, of, NEAR);
                    self.look_ahead(now, false, near);
                }
                self.judge_entry(&view, basis, now, facts)
            }
        }
    }

    fn look_ahead(&mut self, now: Nanos, closes: bool, near: Option<(Trade, Rate)>) {
        let Some((trade, missing)) = near.filter(|_| now >= self.next_near) else { return };
        let Trade { direction, qty, worst, .. } = trade;
        self.next_near = now.plus_ms(NEAR_MS);
        self.near = Some(Near { pair: self.pair.id, direction, closes, qty, worst, missing, at: now });
    }

    /// Basis in direction A, once it is known. An absurd gap does not enter the average.
    fn observe(&mut self, view: &View) -> Option<Rate> {
        let Some(average) = &mut self.average else { return Some(Rate::ZERO) };
        if view.no_entry == Some(Refusal::Implausible) {
            average.pause();
        } else {
            average.observe(view.t_wire, view.gap);
        }
        average.mean()
    }

    fn report(&mut self, view: &View, basis: Option<Rate>, now: Nanos, facts: &mut Vec<RecordKind>) {
        if now < self.next_report {
            return;
        }
        self.next_report = now.plus_ms(REPORT_MS);
        let raw = view.touch;
        let basis = Direction::BOTH.map(|direction| View::directed(basis.unwrap_or_default(), direction));
        let adjusted = [raw[0] - basis[0], raw[1] - basis[1]];
        facts.push(RecordKind::Spread { pair: self.pair.id, raw, adjusted, basis });
    }

    fn judge_entry(
        &mut self,
        view: &View,
        basis: Rate,
        now: Nanos,
        facts: &mut Vec<RecordKind>,
    ) -> Option<Intent> {
        let Some(offer) = self.find_offer(view, basis) else {
            self.announced = false;
            return None;
        };
        if self.streak[offer.trade.direction.index()] < self.persistence {
            return None;
        }
        let thin = (!offer.trade.within_depth).then_some(Refusal::TooThin);
        if let Some(refusal) = view.no_entry.or(thin) {
            self.refuse(refusal, now, facts);
            return None;
        }
        let ticks = self.ticks()?;
        let fires = self.exposure == ExposureState::MayEnter && self.may_wish(now);
        self.announce(&offer, view, fires, now, facts);
        fires.then(|| self.wish(self.open(&offer, view, ticks, now)))
    }

    /// What the quotes offer, counted in the streaks. At most one direction can offer: the two edges add up to less
    /// than zero, the two bars to more.
    fn find_offer(&mut self, view: &View, basis: Rate) -> Option<Offer> {
        let offers = Direction::BOTH.map(|direction| {
            self.entry.offer(&self.quotes, view, direction, View::directed(basis, direction))
        });
        for (streak, offer) in self.streak.iter_mut().zip(&offers) {
            *streak = if offer.is_some() { streak.saturating_add(1) } else { 0 };
        }
        offers.into_iter().flatten().next()
    }

    fn open(&self, offer: &Offer, view: &View, ticks: [Price; 2], now: Nanos) -> Intent {
        Intent {
            pair: self.pair.id,
            kind: IntentKind::Enter(offer.trade.direction),
            qty: offer.trade.qty,
            limits: self.entry.limits(offer, view.mid, ticks),
            expected: offer.trade.expected,
            edge: offer.trade.edge(view.mid),
            basis: offer.basis,
            mid: view.mid,
            t_wire: view.t_wire,
            t_book: view.t_book,
            t_decide: now,
        }
    }

    fn judge_exit(
        &mut self,
        held: &Held,
        view: &View,
        now: Nanos,
        facts: &mut Vec<RecordKind>,
    ) -> Option<Intent> {
        let ticks = self.ticks()?;
        if !self.may_wish(now) {
            return None;
        }
        let exit = self.exit.decide(held, &self.quotes, view, self.fees(), ticks, now)?;
        facts.push(RecordKind::ExitDetected {
            pair: self.pair.id,
            reason: exit.reason,
            spread: exit.cost - held.basis,
            raw: exit.cost,
            threshold: self.pair.exit_threshold,
        });
        Some(self.wish(Intent {
            pair: self.pair.id,
            kind: IntentKind::Exit(exit.reason),
            qty: exit.trade.qty,
            limits: exit.limits,
            expected: exit.trade.expected,
            edge: exit.cost,
            basis: held.basis,
            mid: view.mid,
            t_wire: view.t_wire,
            t_book: view.t_book,
            t_decide: now,
        }))
    }

    fn ticks(&self) -> Option<[Price; 2]> {
        match self.rules {
            [Some(first), Some(second)] if first.tick.min(second.tick) > Price::ZERO => {
                Some([first.tick, second.tick])
            }
            _ => None,
        }
    }

    /// Taker fees of the round trip on both venues.
    fn fees(&self) -> Rate {
        let one_way = self.rules.iter().flatten().fold(Rate::ZERO, |sum, rules| sum + rules.taker);
        one_way + one_way
    }

    fn may_wish(&self, now: Nanos) -> bool {
        self.wished.is_none_or(|at| now.ms_since(at) >= REFIRE_MS)
    }

    fn wish(&mut self, intent: Intent) -> Intent {
        self.wished = Some(intent.t_decide);
        intent
    }

    /// Records an opportunity when it begins, and when a wish is made of it.
    fn announce(&mut self, offer: &Offer, view: &View, fires: bool, now: Nanos, facts: &mut Vec<RecordKind>) {
        let due = fires || now.ms_since(self.announced_at) >= REPORT_MS;
        if self.announced || !due {
            return;
        }
        self.announced = true;
        self.announced_at = now;
        let raw = offer.trade.edge(view.mid);
        facts.push(RecordKind::SpreadDetected {
            pair: self.pair.id,
            direction: offer.trade.direction,
            spread: raw - offer.basis,
            raw,
            threshold: self.pair.entry_threshold,
            qty: offer.trade.qty,
        });
    }

    fn refuse(&mut self, refusal: Refusal, now: Nanos, facts: &mut Vec<RecordKind>) {
        if self.refused_at == Nanos::NEVER || now.ms_since(self.refused_at) >= REPORT_MS {
            self.refused_at = now;
            facts.push(RecordKind::EntryRefused { pair: self.pair.id, refusal });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::edge::tests::{price, quote};
    use super::*;
    use crate::book::market::tests::{rules, settings};
    use crate::types::{Qty, SizeSet};

    struct Bench {
        signal: Signal,
        facts: Vec<RecordKind>,
    }

    /// Leg 0 rich by about 60 bps over [`NEAR`], which differs by half a spread.
    const RICH: [&str; 2] = ["100.60", "100.61"];
    const NEAR: [&str; 2] = ["100.00", "100.01"];

    fn bench(change: impl FnOnce(&mut Settings)) -> Bench {
        let mut settings = settings();
        change(&mut settings);
        let mut bench = Bench { signal: Signal::new(&settings.pairs[0], &settings), facts: Vec::new() };
        for leg in 0..2 {
            bench.input(0, Input::Rules { leg, rules: &rules() });
        }
        bench.input(0, Input::Exposure(ExposureState::MayEnter));
        bench
    }

    impl Bench {
        fn input(&mut self, ms: u64, input: Input<'_>) -> Option<Intent> {
            self.signal.step(Nanos::from_ms(ms), input, &mut self.facts)
        }

        fn show(&mut self, ms: u64, leg: usize, sides: [&str; 2]) -> Option<Intent> {
            let quote = Quote { t_wire: Nanos::from_ms(ms), ..quote(sides[0], sides[1]) };
            self.input(ms, Input::Quote { leg, quote: &quote })
        }

        fn count(&self, wanted: impl Fn(&RecordKind) -> bool) -> usize {
            self.facts.iter().filter(|fact| wanted(fact)).count()
        }
    }

    #[test]
    fn an_opportunity_fires_once_until_answered() {
        let mut bench = bench(|_| ());
        assert_eq!(bench.show(1_000, 1, NEAR), None);
        let intent = bench.show(1_000, 0, RICH).unwrap();
        assert_eq!(intent.kind, IntentKind::Enter(Direction::B));
        // Slack 59 - 30 = 29 bps, half of it given away, half of that per leg: 0.073.
        assert_eq!(intent.limits, [price("100.53"), price("100.08")]);
        assert_eq!((intent.qty, intent.edge.bps().to_string()), (Qty::from_raw(400), "58.82".to_owned()));
        assert_eq!(bench.show(1_100, 0, RICH), None);
        assert!(bench.show(1_500, 0, RICH).is_some(), "unanswered for 500 ms");
        bench.input(1_550, Input::Exposure(ExposureState::MayEnter));
        assert!(bench.show(1_600, 0, RICH).is_some(), "answered");
        assert_eq!(bench.count(|fact| matches!(fact, RecordKind::SpreadDetected { .. })), 1);
    }

    #[test]
    fn entries_need_leave_and_exits_a_pair() {
        let mut bench = bench(|_| ());
        bench.show(1_000, 1, NEAR);
        bench.input(1_000, Input::Exposure(ExposureState::Blocked));
        assert_eq!(bench.show(1_000, 0, RICH), None);
        assert_eq!(
            bench.count(|fact| matches!(fact, RecordKind::SpreadDetected { .. })),
            1,
            "seen all the same"
        );
        let held = ExposureState::Held {
            direction: Direction::B,
            qty: Qty::from_raw(400),
            basis: Rate::ZERO,
            edge: Rate::from_bps(58),
            since: Nanos::from_ms(1_000),
        };
        bench.input(1_100, Input::Exposure(held));
        assert_eq!(bench.show(1_200, 0, RICH), None, "the gap is still there");
        let exit = bench.show(1_300, 0, NEAR).unwrap();
        assert_eq!(exit.kind, IntentKind::Exit(crate::types::StopReason::Threshold));
        assert_eq!(bench.show(1_400, 0, NEAR), None, "once");
    }

    #[test]
    fn persistence_counts_consecutive_quotes() {
        let mut bench = bench(|settings| settings.signal.persistence_updates = 3);
        bench.show(1_000, 1, NEAR);
        assert_eq!(bench.show(1_001, 0, RICH), None);
        assert_eq!(bench.show(1_002, 0, RICH), None);
        assert_eq!(bench.show(1_003, 0, NEAR), None);
        assert_eq!(bench.show(1_004, 0, RICH), None);
        assert_eq!(bench.show(1_005, 0, RICH), None);
        assert!(bench.show(1_006, 0, RICH).is_some());
    }

    #[test]
    fn a_thin_book_is_refused_aloud() {
        let mut bench = bench(|_| ());
        bench.show(1_000, 1, NEAR);
        let mut thin = Quote { t_wire: Nanos::from_ms(1_000), ..quote(RICH[0], RICH[1]) };
        thin.sell_within = SizeSet::default();
        assert_eq!(bench.input(1_000, Input::Quote { leg: 0, quote: &thin }), None);
        let refused = RecordKind::EntryRefused { pair: bench.signal.pair.id, refusal: Refusal::TooThin };
        assert!(bench.facts.contains(&refused));
    }

    #[test]
    fn a_standing_gap_is_no_opportunity() {
        let basis = Basis::Ewma { half_life_s: 1_800, warmup_s: 60 };
        let mut bench = bench(|settings| settings.signal.basis = basis);
        for second in 1..=1_000 {
            bench.show(second * 1_000, 1, NEAR);
            assert_eq!(bench.show(second * 1_000, 0, RICH), None, "second {second}");
        }
        let intent = bench.show(1_000_500, 0, ["101.00", "101.01"]).unwrap();
        assert_eq!(intent.basis.bps().to_string(), "59.81");
        let spread = intent.edge - intent.basis;
        assert!(spread > Rate::from_bps(30) && spread < Rate::from_bps(40), "{spread}");
    }

    #[test]
    fn doubtful_quotes_open_nothing_and_say_so() {
        let mut bench = bench(|_| ());
        bench.show(1_000, 1, NEAR);
        assert_eq!(bench.show(1_000, 0, ["103.00", "103.01"]), None);
        let absurd = RecordKind::EntryRefused { pair: bench.signal.pair.id, refusal: Refusal::Implausible };
        assert!(bench.facts.contains(&absurd));
        let untradable = Quote::default();
        bench.input(1_100, Input::Quote { leg: 1, quote: &untradable });
        assert_eq!(bench.show(1_100, 0, RICH), None);
    }

    #[test]
    fn without_rules_nothing_is_wished() {
        let settings = settings();
        let mut bench = Bench { signal: Signal::new(&settings.pairs[0], &settings), facts: Vec::new() };
        bench.input(0, Input::Exposure(ExposureState::MayEnter));
        bench.show(1_000, 1, NEAR);
        assert_eq!(bench.show(1_000, 0, RICH), None);
        bench.input(1_000, Input::Rules { leg: 0, rules: &rules() });
        bench.input(1_000, Input::Rules { leg: 1, rules: &MarketRules { tick: Price::ZERO, ..rules() } });
        assert_eq!(bench.show(1_100, 0, RICH), None);
        bench.input(1_100, Input::Rules { leg: 1, rules: &rules() });
        assert!(bench.show(1_200, 0, RICH).is_some());
    }
}
