//! What a run needs of one venue: that it answers, that its clock agrees with ours, that it still takes these keys, and
//! that our markets, sizes and margin fit its rules. Asks through the venue's desk; sends no order.

use super::Report;
use crate::config::Config;
use crate::sys::clock::Clock;
use crate::sys::rest::Http;
use crate::types::report::KeyLife;
use crate::types::settings::PairSettings;
use crate::types::{MarketRules, MarketStatus, PairId, VenueId, VenueMode};
use crate::venue::{AccountReport, Desk, DeskError};

const HOUR_MS: u64 = 3_600_000;

/// One venue under examination.
pub(super) struct Asked<'a> {
    pub title: &'static str,
    pub id: VenueId,
    pub config: &'a Config,
    /// There are keys: its private side is asked too.
    pub private: bool,
}

impl Asked<'_> {
    /// Every check of this venue; returns the rules of our markets, empty when it did not tell.
    pub(super) fn check(
        &self,
        desk: &mut dyn Desk,
        http: &mut dyn Http,
        clock: &dyn Clock,
        report: &mut Report,
    ) -> Vec<(PairId, MarketRules)> {
        self.clock_offset(desk, http, clock, report);
        self.mode(desk, http, report);
        if self.private {
            self.keys(desk, http, clock, report);
        } else {
            report.skipped(&self.name("keys"), "no credentials");
        }
        self.markets(desk, http, report)
    }

    fn name(&self, what: &str) -> String {
        format!("{} {what}", self.title)
    }

    fn cannot(&self, what: &str, error: &DeskError, report: &mut Report) {
        let mend = match error {
            DeskError::Unreachable { .. } => "check the network, the venue's URLs and ca_file",
            DeskError::Refused { .. } => "look the code up; a key may have lapsed: make a new one",
            DeskError::Elsewhere { .. } => "set the environment and the account that are meant",
            DeskError::Unreadable { .. } => "the venue may have changed its interface: do not trade",
        };
        report.failed(&self.name(what), error, mend);
    }

    /// Half of the round trip is taken to be the way back.
    fn clock_offset(&self, desk: &mut dyn Desk, http: &mut dyn Http, clock: &dyn Clock, report: &mut Report) {
        let name = self.name("clock");
        let asked = clock.now();
        let told = desk.venue_time_ms(http, asked);
        let answered = clock.now();
        let venue_ms = match told {
            Ok(Some(venue_ms)) => venue_ms,
            Ok(None) => return report.skipped(&name, "the venue does not tell its time"),
            Err(DeskError::Refused { .. }) if self.private => {
                return report.skipped(&name, "the venue tells its time with keys that it takes only");
            }
            Err(error) => return self.cannot("clock", &error, report),
        };
        let ours_ms = asked.ms() + answered.ms_since(asked) / 2;
        let offset_ms = i128::from(venue_ms) - i128::from(ours_ms);
        let said = format!("{offset_ms:+} ms, round trip {} ms", answered.ms_since(asked));
        let risk = &self.config.settings.risk;
        if offset_ms.abs() >= i128::from(risk.clock_no_entries_ms) {
            report.failed(&name, said, "set this machine's clock (chrony)");
        } else if offset_ms.abs() >= i128::from(risk.clock_warn_ms) {
            report.warning(&name, said, "watch this machine's clock (chrony)");
        } else {
            report.ok(&name, said);
        }
    }

    fn mode(&self, desk: &mut dyn Desk, http: &mut dyn Http, report: &mut Report) {
        match desk.mode(http) {
            Ok(VenueMode::Ok) => report.ok(&self.name("state"), "takes orders"),
            Ok(mode) => report.warning(
                &self.name("state"),
                format!("{mode:?}"),
                "wait: entries are off until it is over",
            ),
            Err(error) => self.cannot("state", &error, report),
        }
    }

    /// Logs in, proves the environment, then looks at the account with these keys.
    fn keys(&self, desk: &mut dyn Desk, http: &mut dyn Http, clock: &dyn Clock, report: &mut Report) {
        let accepted = desk.login(http, clock.now()).and_then(|()| desk.check_environment(http));
        if let Err(error) = accepted {
            return self.cannot("keys", &error, report);
        }
        report.ok(&self.name("keys"), "taken, and of the configured environment");
        self.key_life(desk.key_life(), clock, report);
        match desk.account(http, clock.now()) {
            Ok(account) => self.account(&account, report),
            Err(error) => self.cannot("account", &error, report),
        }
        match desk.open_orders(http, clock.now()) {
            Ok(orders) if orders.is_empty() => report.ok(&self.name("orders"), "none open"),
            Ok(orders) => {
                let said = format!("{} open", orders.len());
                report.warning(&self.name("orders"), said, "a run will cancel its own and leave the others");
            }
            Err(error) => self.cannot("orders", &error, report),
        }
    }

    /// The key has to outlive a pair (SAFETY C8).
    fn key_life(&self, life: KeyLife, clock: &dyn Clock, report: &mut Report) {
        let name = self.name("key life");
        let settings = &self.config.settings;
        let wanted_h = u64::from(settings.risk.max_hold_s) / 3_600 + u64::from(settings.upkeep.keys.spare_h);
        let now = clock.now();
        let enough = life.lasts_until(now.ms() + wanted_h * HOUR_MS);
        match life {
            KeyLife::Endless => {}
            KeyLife::Until(at_ms) => {
                let said = format!(
                    "{} hours left, entries want {wanted_h}",
                    at_ms.saturating_sub(now.ms()) / HOUR_MS
                );
                let mend = "register another key, see .env.example";
                if enough { report.ok(&name, said) } else { report.failed(&name, said, mend) }
            }
            KeyLife::Untold => {
                let mend = "put its expiry into .env, see .env.example: nothing is opened there without";
                report.failed(&name, "nobody has said when the key lapses", mend);
            }
        }
    }

    fn account(&self, account: &AccountReport, report: &mut Report) {
        let name = self.name("margin");
        let share = account.free_margin.ratio(account.equity);
        let wanted = self.config.settings.risk.entry_free_margin;
        let said = format!("equity {} USD, free {} USD ({share})", account.equity, account.free_margin);
        if share < wanted {
            report.failed(&name, said, &format!("deposit: entries need {wanted} free"));
        } else {
            report.ok(&name, said);
        }
        if account.foreign_markets > 0 {
            let said = format!("{} markets that no pair names", account.foreign_markets);
            report.warning(
                &self.name("positions"),
                said,
                "bot4 will not touch them; use an account of its own",
            );
        }
    }

    fn markets(
        &self,
        desk: &mut dyn Desk,
        http: &mut dyn Http,
        report: &mut Report,
    ) -> Vec<(PairId, MarketRules)> {
        let rules = match desk.rules(http) {
            Ok(rules) => rules,
            Err(error) => {
                self.cannot("markets", &error, report);
                return Vec::new();
            }
        };
        for pair in self.config.settings.pairs.iter().filter(|pair| pair.venues.contains(&self.id)) {
            let name = self.name(&pair.name);
            match rules.iter().find(|(id, _)| *id == pair.id) {
                Some((_, rules)) => market(&name, pair, rules, report),
                None => report.failed(&name, "the venue lists no such market", "mend the pair's symbol"),
            }
        }
        rules
    }
}

/// Our size against one market's rules.
fn market(name: &str, pair: &PairSettings, rules: &MarketRules, report: &mut Report) {
    let said = format!("size {}, lot {}, taker fee {} bps", pair.size, rules.lot, rules.taker.bps());
    if rules.status != MarketStatus::Trading {
        report.warning(name, format!("halted; {said}"), "wait until the venue trades it");
    } else if pair.size < rules.min_qty {
        report.failed(name, format!("smallest order {}; {said}", rules.min_qty), "raise the pair's size");
    } else if !rules.max_qty.is_zero() && pair.size > rules.max_qty {
        report.failed(name, format!("largest order {}; {said}", rules.max_qty), "lower the pair's size");
    } else if rules.lot.raw() > 0 && pair.size.raw() % rules.lot.raw() != 0 {
        report.failed(name, said, "make the pair's size a multiple of the lot");
    } else {
        report.ok(name, said);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tools::fakes::{Deaf, NOW_MS};
    use crate::sys::clock::ManualClock;
    use crate::types::record::Role;
    use crate::types::{BookUpdate, Nanos, Price, Qty, Rate, Usd};
    use crate::venue::{CancelSpec, OpenOrder, OrderQuery, PastOrder, Sighting, Target};

    /// A venue that says what the test wants.
    struct Scripted {
        offset_ms: i64,
        keys: bool,
        life: KeyLife,
        free: i64,
        lot: &'static [u8],
    }

    const GOOD: Scripted =
        Scripted { offset_ms: 3, keys: true, life: KeyLife::Endless, free: 80, lot: b"0.0001" };

    fn refused() -> DeskError {
        let (code, message) = ("1108".to_owned(), "key unknown".to_owned());
        DeskError::Refused { venue: "V", what: "login", status: 401, code, message }
    }

    impl Desk for Scripted {
        fn login(&mut self, _: &mut dyn Http, _: Nanos) -> Result<(), DeskError> {
            if self.keys { Ok(()) } else { Err(refused()) }
        }
        fn key_life(&self) -> KeyLife {
            self.life
        }
        fn login_due(&self) -> Nanos {
            Nanos::NEVER
        }
        fn check_environment(&mut self, _: &mut dyn Http) -> Result<(), DeskError> {
            Ok(())
        }
        fn rules(&mut self, _: &mut dyn Http) -> Result<Vec<(PairId, MarketRules)>, DeskError> {
            let qty = |text| Qty::parse(text).unwrap();
            let rules = MarketRules {
                tick: Price::parse(b"0.1").unwrap(),
                lot: qty(self.lot),
                min_qty: qty(self.lot),
                max_qty: Qty::ZERO,
                min_notional: Usd::ZERO,
                price_places: 1,
                qty_places: 4,
                taker: Rate::from_bps(2),
                initial_margin: Rate::from_bps(500),
                maintenance_margin: Rate::from_bps(250),
                price_band: Rate::ZERO,
                ends_ms: None,
                status: MarketStatus::Trading,
            };
            Ok(vec![(PairId(0), rules)])
        }
        fn venue_time_ms(&mut self, _: &mut dyn Http, now: Nanos) -> Result<Option<u64>, DeskError> {
            Ok(Some(now.ms().saturating_add_signed(self.offset_ms)))
        }
        fn mode(&mut self, _: &mut dyn Http) -> Result<VenueMode, DeskError> {
            Ok(VenueMode::Ok)
        }
        fn account(&mut self, _: &mut dyn Http, _: Nanos) -> Result<AccountReport, DeskError> {
            let usd = |whole: i64| Usd::from_raw(whole * 100_000_000);
            Ok(AccountReport { equity: usd(100), free_margin: usd(self.free), ..AccountReport::default() })
        }
        fn past_orders(&mut self, _: &mut dyn Http, _: u64, _: Nanos) -> Result<Vec<PastOrder>, DeskError> {
            unreachable!("not asked by check")
        }
        fn open_orders(&mut self, _: &mut dyn Http, _: Nanos) -> Result<Vec<OpenOrder>, DeskError> {
            Ok(Vec::new())
        }
        fn order(&mut self, _: &mut dyn Http, _: &OrderQuery, _: Nanos) -> Result<Sighting, DeskError> {
            panic!("check asks for no order")
        }
        fn cancel(&mut self, _: &mut dyn Http, _: &CancelSpec, _: Nanos) -> Result<(), DeskError> {
            panic!("check changes nothing")
        }
        fn book(&mut self, _: &mut dyn Http, _: PairId) -> Result<BookUpdate, DeskError> {
            panic!("check reads no book")
        }
        fn prepare_trading(&mut self, _: &mut dyn Http, _: u32, _: Nanos) -> Result<(), DeskError> {
            panic!("check changes nothing")
        }
        fn target(&mut self, _: &mut dyn Http, _: Role, _: Nanos) -> Result<Target, DeskError> {
            panic!("check opens no stream")
        }
    }

    /// Names of the rows that failed.
    fn failures(mut desk: Scripted) -> Vec<String> {
        let config = crate::config::parse("t.toml", "", &crate::venue::REGISTRY).ok().unwrap();
        let mut report = Report::default();
        let clock = ManualClock::at(Nanos::from_ms(NOW_MS));
        let asked = Asked { title: "V", id: VenueId(0), config: &config, private: true };
        asked.check(&mut desk, &mut Deaf, &clock, &mut report);
        let failed = report.rows.iter().filter(|row| row.verdict == super::super::Verdict::Failed);
        failed.map(|row| row.check.clone()).collect()
    }

    #[test]
    fn a_good_venue_passes() {
        assert_eq!(failures(GOOD), [""; 0]);
    }

    #[test]
    fn each_fault_fails_its_own_row() {
        assert_eq!(failures(Scripted { offset_ms: -300, ..GOOD }), ["V clock"]);
        assert_eq!(failures(Scripted { keys: false, ..GOOD }), ["V keys"]);
        for (left_h, fails) in [(47, true), (48, false)] {
            let life = KeyLife::Until(NOW_MS + left_h * HOUR_MS);
            assert_eq!(
                failures(Scripted { life, ..GOOD }).contains(&"V key life".to_owned()),
                fails,
                "{left_h}"
            );
        }
        assert_eq!(failures(Scripted { life: KeyLife::Untold, ..GOOD }), ["V key life"]);
        assert_eq!(failures(Scripted { free: 39, ..GOOD }), ["V margin"]);
        assert_eq!(failures(Scripted { lot: b"0.0003", ..GOOD }), ["V BTC"]);
        assert_eq!(failures(Scripted { lot: b"0.01", ..GOOD }), ["V BTC"]);
    }
}
