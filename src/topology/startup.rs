//! What is done before any thread runs: the venues are asked for rules, clocks, accounts and open orders, and the
//! arithmetic must leave a profit. An engine that cannot reconcile does not start (exit 3), unless something is held:
//! then it begins with the venues that answer, paused, and trades nothing that does not pay.

use super::{Part, RunOptions, watch};
use crate::config::Config;
use crate::keeper::thread::clock_offset;
use crate::order::core::{Core, Effects, Input, Start};
use crate::order::pair::Pair;
use crate::spread::arithmetic::Arithmetic;
use crate::sys::clock::Clock;
use crate::sys::rest::Http;
use crate::sys::signals::Signals;
use crate::types::order::Reason;
use crate::types::report::{Fact, KeyLife};
use crate::types::{Command, MarketRules, Mode, Nanos, PairId, Rate, VenueId};
use crate::venue::{Desk, DeskError, REGISTRY};

/// Pauses of `watch` between two tries: a second.
const ASK_AGAIN: u32 = 100;
/// Tries after which the engine begins without a venue.
const TRIES: u32 = 5;

/// Everything that one venue said at start.
pub struct Opening {
    pub facts: Vec<Fact>,
    pub rules: Vec<(PairId, MarketRules)>,
}

impl Opening {
    /// With how long the venue's signing key lives, which the operator says and not the venue (SAFETY C8).
    #[must_use]
    pub fn with_key(mut self, venue: VenueId, life: KeyLife) -> Self {
        if life == KeyLife::Untold {
            let title = REGISTRY[venue.index()].title;
            tracing::warn!(
                event_type = "KEY_EXPIRY",
                "{title}: nobody has said when the signing key lapses: nothing is opened there (.env.example)"
            );
        }
        self.facts.push(Fact::KeyExpiry { venue, life });
        self
    }

    /// Of a venue that tells nothing: by the rules that it told the run before. While the engine runs it is asked
    /// again; nothing is opened before a person says so.
    pub fn unanswered(venue: VenueId, before: &Core) -> Self {
        let known = |pair: &Pair| Some((pair.settings.id, pair.rules[pair.leg_of(venue)?]?));
        Self {
            facts: vec![Fact::Unprepared { venue }],
            rules: before.pairs().iter().filter_map(known).collect(),
        }
    }
}

/// Asks one venue. `private` = live trading.
pub fn open(
    venue: VenueId,
    desk: &mut dyn Desk,
    http: &mut dyn Http,
    clock: &dyn Clock,
    private: bool,
    leverage: u32,
) -> Result<Opening, DeskError> {
    if private {
        desk.login(http, clock.now())?;
        desk.check_environment(http)?;
    }
    let rules = desk.rules(http)?;
    let mut facts: Vec<Fact> =
        rules.iter().map(|&(pair, rules)| Fact::Rules { venue, pair, rules }).collect();
    facts.push(Fact::Mode { venue, mode: desk.mode(http)? });
    if let Some(offset_ms) = clock_offset(desk, http, clock)? {
        facts.push(Fact::Clock { venue, offset_ms });
    }
    if private {
        let prepared = desk.prepare_trading(http, leverage, clock.now());
        let asked = clock.now();
        let report = desk.account(http, asked)?;
        facts.extend(unprepared(venue, prepared)?);
        facts.push(Fact::Account { venue, asked, report });
        let asked = clock.now();
        facts.push(Fact::OpenOrders { venue, asked, orders: desk.open_orders(http, asked)? });
    }
    Ok(Opening { facts, rules })
}

/// How long a venue that does not answer is waited for. Where something is held the engine begins without it after a
/// while: an engine that is down mends no leg, and one on the other venue does not wait (SAFETY rule 6).
pub struct Patience<'a> {
    pub signals: &'a Signals,
    /// What the run before left, where that is something.
    pub held: Option<&'a Core>,
}

impl Patience<'_> {
    pub fn ask(
        &self,
        venue: VenueId,
        mut open: impl FnMut() -> Result<Opening, DeskError>,
    ) -> Result<Opening, DeskError> {
        let Some(held) = self.held else { return open() };
        for _ in 0..TRIES {
            match open() {
                Err(error) if self.waits_for(&error) => {
                    tracing::warn!(event_type = "START", "{error}; something is held: asked again");
                    (0..ASK_AGAIN).for_each(|_| watch::pause());
                }
                other => return other,
            }
        }
        let title = REGISTRY[venue.index()].title;
        tracing::error!(
            event_type = "START",
            "begins without {title}, for something is held; entries are off: when it answers, `bot4 resume`"
        );
        Ok(Opening::unanswered(venue, held))
    }

    /// Not for an account or an environment that is not the one configured.
    fn waits_for(&self, error: &DeskError) -> bool {
        !matches!(error, DeskError::Elsewhere { .. }) && self.signals.stops() == 0
    }
}

/// A venue that refuses to be set up as configured does not keep the engine from its work: a leg on the other venue, or
/// an order that is still on its way, waits for it. It starts, opens nothing, and says why.
fn unprepared(venue: VenueId, prepared: Result<(), DeskError>) -> Result<Option<Fact>, DeskError> {
    match prepared {
        Err(refused @ DeskError::Refused { .. }) => {
            let mend = "set it up with the venue, then `bot4 resume`";
            tracing::warn!(event_type = "ACCOUNT", "{refused}; entries are off: {mend}");
            Ok(Some(Fact::Unprepared { venue }))
        }
        other => other.map(|()| None),
    }
}

/// The sum of every pair at the venues' own fees; an error is what a venue did not tell. Where something is `held`, a
/// pair without rules has no sum: nothing is opened without them.
pub(super) fn check_arithmetic(
    config: &Config,
    parts: &[Part],
    held: bool,
) -> Result<Vec<Arithmetic>, String> {
    let mut sums = Vec::new();
    for pair in &config.settings.pairs {
        let taker = |leg: usize| -> Result<(&str, Rate), String> {
            let venue = pair.venues[leg].index();
            let found = parts[venue].opening.rules.iter().find(|(id, _)| *id == pair.id);
            let title = REGISTRY[venue].title;
            let rules = found
                .ok_or_else(|| format!("{title} does not list {}: check the pair", pair.symbols[leg]))?;
            Ok((title, rules.1.taker))
        };
        match (taker(0), taker(1)) {
            (Ok(first), Ok(second)) => {
                sums.push(Arithmetic::of(pair, &config.settings.risk, [first, second]));
            }
            (Err(why), _) | (_, Err(why)) if held => tracing::warn!(event_type = "ARITHMETIC", "{why}"),
            (Err(why), _) | (_, Err(why)) => return Err(why),
        }
    }
    Ok(sums)
}

/// Thresholds that lose money keep the engine from starting; where something is `held`, from entries alone: a fee that
/// has risen must leave no leg alone.
pub(super) fn what_pays(options: RunOptions, sums: &[Arithmetic], held: bool) -> Result<RunOptions, String> {
    let Some(sum) = sums.iter().find(|sum| !sum.passes()) else { return Ok(options) };
    let why = format!("the thresholds of {} lose money; widen them:\n{sum}", sum.name);
    if !held {
        return Err(why);
    }
    tracing::error!(event_type = "ARITHMETIC", "paused, for something is held: {}", why.replace('\n', ";"));
    Ok(RunOptions { auto_resume: false, ..options })
}

/// Real money is traded from locked memory only (SAFETY L14); where something is `held`, its legs are managed and
/// nothing is opened.
pub(super) fn what_memory_allows(
    options: RunOptions,
    locked: Result<(), String>,
    real: bool,
    held: bool,
) -> Result<RunOptions, String> {
    match locked {
        Err(why) if real && !held => Err(why),
        Err(why) if real => {
            tracing::error!(event_type = "PROCESS", "paused, for something is held: {why}");
            Ok(RunOptions { auto_resume: false, ..options })
        }
        _ => Ok(options),
    }
}

/// The core, told everything that was asked at start. `halted` = the file `HALT` is there.
pub fn begin(
    mut core: Core,
    epoch: u32,
    facts: &[Fact],
    now: Nanos,
    options: RunOptions,
    halted: bool,
) -> (Core, Effects) {
    let mut effects = Effects::with_capacity(256);
    let trades = !halted && (!options.live || options.auto_resume);
    let mode = if trades { Mode::Active } else { Mode::Paused };
    let start = Start { epoch, mode, paper: !options.live };
    core.start(now, start, &mut effects);
    if halted {
        let why = Reason::cut("the file HALT is there");
        core.step(now, Input::Command(Command::Halt { flatten: false, why }), &mut effects);
    }
    for fact in facts {
        core.step(now, Input::Fact(fact.clone()), &mut effects);
    }
    (core, effects)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::WireError;

    #[test]
    fn a_refusal_to_be_set_up_keeps_nobody_from_managing_what_is_held() {
        let (what, why) = ("leverage", "gone".to_owned());
        let (code, message) = ("3021".to_owned(), "held".to_owned());
        let refused = Err(DeskError::Refused { venue: "v", what, status: 400, code, message });
        let unreachable = Err(DeskError::Unreachable { venue: "v", what, why });
        let of = |prepared| unprepared(VenueId(0), prepared).map(|fact| fact.is_some());
        assert_eq!(of(refused).ok(), Some(true));
        assert_eq!(of(Ok(())).ok(), Some(false));
        assert!(of(unreachable).is_err(), "not known: started again later");
    }

    #[test]
    fn where_something_is_held_a_venue_is_waited_for() {
        let refused = |status: u16| {
            let (code, message) = ("x".to_owned(), "y".to_owned());
            DeskError::Refused { venue: "v", what: "rules", status, code, message }
        };
        let unreachable = || DeskError::Unreachable { venue: "v", what: "rules", why: "gone".to_owned() };
        let source = || WireError::new("chain id", b"other", "ours");
        let tries = |held: bool, answers: Vec<Option<DeskError>>| {
            let (signals, mut answers) = (Signals::default(), answers.into_iter());
            let opening = || Opening { facts: Vec::new(), rules: Vec::new() };
            let core = Core::new(crate::book::market::tests::settings());
            let patience = Patience { signals: &signals, held: held.then_some(&core) };
            let open = || answers.next().flatten().map_or_else(|| Ok(opening()), Err);
            let facts = patience.ask(VenueId(1), open).ok().map(|opening| opening.facts.len());
            (facts, answers.len())
        };
        assert_eq!(tries(true, vec![Some(unreachable()), Some(refused(502)), None]), (Some(0), 0));
        assert_eq!(tries(false, vec![Some(unreachable()), None]), (None, 1), "nothing waits for it");
        let elsewhere = DeskError::Elsewhere { venue: "v", source: source() };
        assert_eq!(tries(true, vec![Some(elsewhere), None]), (None, 1), "those are not our positions");
        let silent = vec![Some(refused(401)), Some(unreachable()), Some(refused(401)), Some(unreachable())];
        let unreadable = DeskError::Unreadable { venue: "v", what: "mode", source: source() };
        let silent = silent.into_iter().chain([Some(unreadable), None]).collect();
        assert_eq!(tries(true, silent), (Some(1), 1), "the other venue's leg does not wait");
    }

    #[test]
    fn real_money_is_traded_from_locked_memory_only() {
        let options = RunOptions { live: true, auto_resume: true, flatten_on_stop: false };
        let decide = |locked: Result<(), &str>, real, held| {
            what_memory_allows(options, locked.map_err(str::to_owned), real, held)
        };
        assert_eq!(decide(Err("why"), true, false), Err("why".to_owned()));
        assert_eq!(decide(Err("why"), true, true), Ok(RunOptions { auto_resume: false, ..options }));
        assert_eq!(decide(Err("why"), false, false), Ok(options), "a simulation, a test network");
        assert_eq!(decide(Ok(()), true, false), Ok(options));
    }

    #[test]
    fn thresholds_that_lose_money_leave_what_is_held_to_the_engine() {
        let fees = ["One", "Two"].map(|name| (name.to_owned(), Rate::from_bps(5)));
        let [entry, exit, slippage, min_profit] = [20, 2, 4, 5].map(Rate::from_bps);
        let name = "BTC".to_owned();
        let sums = [Arithmetic { pair: PairId(0), name, entry, exit, fees, slippage, min_profit }];
        let options = RunOptions { live: true, auto_resume: true, flatten_on_stop: false };
        assert_eq!(what_pays(options, &[], false), Ok(options));
        assert!(what_pays(options, &sums, false).is_err());
        assert_eq!(what_pays(options, &sums, true), Ok(RunOptions { auto_resume: false, ..options }));
    }
}
