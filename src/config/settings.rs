//! The sections that become `types::Settings`: pairs, signal, execution and risk. Every range here is a hard ceiling
//! that no file can lift; defaults stand in the default file (SAFETY §7).

use super::error::ConfigError;
use super::reader::Section;
use super::upkeep;
use crate::types::limits::PAIRS_MAX;
use crate::types::settings::{
    Basis, ExecutionSettings, Legs, PairSettings, RiskSettings, SignalSettings, VenueSettings,
};
use crate::types::{PairId, Settings, Usd, VenueId};
use crate::venue::Venue;

/// Everything the pure stages read, checked.
pub(super) fn read(
    root: &Section<'_>,
    registry: &[Venue],
    venues: Vec<VenueSettings>,
) -> Result<Settings, ConfigError> {
    Ok(Settings {
        pairs: pairs(root, registry)?,
        venues,
        signal: signal(&root.section("signal")?)?,
        execution: execution(&root.section("execution")?, registry)?,
        risk: risk(&root.section("risk")?)?,
        dedicated_account: root.flag("dedicated_account")?,
        upkeep: upkeep::read(root)?,
    })
}

fn pairs(root: &Section<'_>, registry: &[Venue]) -> Result<Vec<PairSettings>, ConfigError> {
    let sections = root.tables("pairs")?;
    if sections.is_empty() || sections.len() > PAIRS_MAX {
        let got = format!("{} pairs", sections.len());
        return Err(root.refused_because("pairs", got, format!("1 to {PAIRS_MAX}"), "add a [[pairs]] table"));
    }
    let mut pairs: Vec<PairSettings> = Vec::with_capacity(sections.len());
    for (at, section) in sections.iter().enumerate() {
        let pair = pair(section, registry, PairId(at as u8))?;
        refuse_twins(section, &pairs, &pair, registry)?;
        pairs.push(pair);
    }
    Ok(pairs)
}

fn pair(section: &Section<'_>, registry: &[Venue], id: PairId) -> Result<PairSettings, ConfigError> {
    let mut known = vec!["name", "size", "entry_threshold", "exit_threshold"];
    known.extend(registry.iter().map(|venue| venue.name));
    section.only(&known)?;
    let name = section.name("name")?;
    let mut legs = Vec::new();
    for (at, venue) in registry.iter().enumerate().filter(|(_, venue)| section.has(venue.name)) {
        legs.push((VenueId(at as u8), section.name(venue.name)?));
    }
    let [(first, first_symbol), (second, second_symbol)] =
        <[_; 2]>::try_from(legs).map_err(|legs| wrong_legs(section, registry, legs.len()))?;
    Ok(PairSettings {
        id,
        name,
        venues: [first, second],
        symbols: [first_symbol, second_symbol],
        size: section.qty("size")?,
        entry_threshold: section.percent("entry_threshold", 0, 100)?,
        exit_threshold: section.percent("exit_threshold", -100, 100)?,
    })
}

/// The error of a pair that does not name two venues; where only one key is missing, that key.
fn wrong_legs(section: &Section<'_>, registry: &[Venue], count: usize) -> ConfigError {
    let missing = registry.iter().find(|venue| !section.has(venue.name));
    let key = missing.map_or("name", |venue| venue.name);
    let got = format!("{count} of 2 markets");
    section.refused_because(
        key,
        got,
        "the market's symbol on two venues".to_owned(),
        "name one market per venue",
    )
}

/// A market belongs to one pair, and a name to one pair.
fn refuse_twins(
    section: &Section<'_>,
    earlier: &[PairSettings],
    pair: &PairSettings,
    registry: &[Venue],
) -> Result<(), ConfigError> {
    let market =
        |pair: &PairSettings, leg: usize| Some((*pair.venues.get(leg)?, pair.symbols.get(leg)?.clone()));
    for other in earlier {
        if other.name == pair.name {
            let wanted = "a name of its own".to_owned();
            return Err(section.refused_because(
                "name",
                format!("{:?} again", pair.name),
                wanted,
                "rename it",
            ));
        }
        for leg in 0..2 {
            let Some((venue, symbol)) = market(pair, leg) else { continue };
            if (0..2).any(|at| market(other, at) == Some((venue, symbol.clone()))) {
                let key = registry.get(venue.index()).map_or("name", |venue| venue.name);
                let got = format!("{symbol:?} again");
                return Err(section.refused_because(
                    key,
                    got,
                    "one pair per market".to_owned(),
                    "remove a pair",
                ));
            }
        }
    }
    Ok(())
}

fn signal(s: &Section<'_>) -> Result<SignalSettings, ConfigError> {
    let half_life_s = s.int("basis_half_life_s", 10..=86_400)?;
    let warmup_s = s.int("basis_warmup_s", 0..=86_400)?;
    let ewma = Basis::Ewma { half_life_s, warmup_s };
    Ok(SignalSettings {
        basis: s.word("basis", &[("ewma", ewma), ("raw", Basis::Raw)])?,
        persistence_updates: s.int("persistence_updates", 1..=1_000)?,
        exit_requires_profit: s.flag("exit_requires_profit")?,
        expected_hold_h: s.int("expected_hold_h", 0..=168)?,
    })
}

fn execution(s: &Section<'_>, registry: &[Venue]) -> Result<ExecutionSettings, ConfigError> {
    let firsts: Vec<String> = registry.iter().map(|venue| format!("{}_first", venue.name)).collect();
    let mut words = vec![("together", Legs::Together)];
    let venues: Vec<(&str, VenueId)> =
        registry.iter().enumerate().map(|(at, venue)| (venue.name, VenueId(at as u8))).collect();
    words.extend(firsts.iter().enumerate().map(|(at, word)| (word.as_str(), Legs::First(VenueId(at as u8)))));
    Ok(ExecutionSettings {
        legs: s.word("legs", &words)?,
        written_first: s.word("written_first", &venues)?,
        slack_share: s.share("slack_share", 0..=100)?,
        completion_slippage: s.bps("completion_slippage_bps", 0..=200)?,
        max_unwind: s.bps("max_unwind_bps", 20..=1_000)?,
        retry_attempts: s.int("retry_attempts", 0..=10)?,
        retry_delay_ms: s.int("retry_delay_ms", 10..=10_000)?,
        receive_window_ms: s.int("receive_window_ms", 100..=2_000)?,
        pending_cancel_ms: s.int("pending_cancel_ms", 100..=10_000)?,
        ack_deadline_ms: s.int("ack_deadline_ms", 100..=10_000)?,
    })
}

fn risk(s: &Section<'_>) -> Result<RiskSettings, ConfigError> {
    let risk = RiskSettings {
        max_order_notional: s.usd("max_order_notional_usd", 1..=100_000)?,
        max_pair_notional: s.usd("max_pair_notional_usd", 1..=250_000)?,
        max_gross_notional: s.usd("max_gross_notional_usd", 1..=1_000_000)?,
        max_net_delta: s.usd("max_net_delta_usd", 1..=10_000)?,
        max_depth_share: s.share("max_depth_share", 1..=100)?,
        depth_band: s.bps("depth_band_bps", 1..=500)?,
        max_plausible: s.bps("max_plausible_bps", 10..=1_000)?,
        max_skew_ms: s.int("max_skew_ms", 50..=10_000)?,
        max_naked_ms: s.int("max_naked_ms", 1_000..=30_000)?,
        max_hold_s: s.int("max_hold_s", 10..=2_592_000)?,
        min_profit: s.bps("min_profit_bps", 0..=1_000)?,
        slippage: s.bps("slippage_bps", 0..=1_000)?,
        stop_widening: s.bps("stop_widening_bps", 0..=1_000)?,
        daily_loss: s.usd("daily_loss_usd", 1..=10_000)?,
        losing_pairs_pause: s.int("losing_pairs_pause", 1..=100)?,
        cooldown_ms: s.seconds_as_ms("cooldown_s", 0..=3_600)?,
        failed_leg_cooldown_ms: s.seconds_as_ms("failed_leg_cooldown_s", 0..=3_600)?,
        link_cooldown_ms: s.seconds_as_ms("link_cooldown_s", 0..=3_600)?,
        max_entries_per_hour: s.int("max_entries_per_hour", 1..=36_000)?,
        max_entries_per_day: s.int("max_entries_per_day", 1..=100_000)?,
        max_order_errors_per_min: s.int("max_order_errors_per_min", 1..=100)?,
        price_collar: s.bps("price_collar_bps", 10..=1_000)?,
        leverage: s.int("leverage", 1..=3)?,
        entry_free_margin: s.share("entry_free_margin", 10..=100)?,
        clock_warn_ms: s.int("clock_warn_ms", 1..=1_000)?,
        clock_no_entries_ms: s.int("clock_no_entries_ms", 1..=2_000)?,
        clock_halt_ms: s.int("clock_halt_ms", 1..=5_000)?,
    };
    relations(s, &risk)?;
    Ok(risk)
}

/// What must hold between keys: the first at least the second.
fn relations(s: &Section<'_>, risk: &RiskSettings) -> Result<(), ConfigError> {
    let usd = |first: Usd, second: Usd| (first >= second, first.to_string(), second.to_string());
    let int = |first: u32, second: u32| (first >= second, first.to_string(), second.to_string());
    let rules = [
        (
            "max_pair_notional_usd",
            "max_order_notional_usd",
            usd(risk.max_pair_notional, risk.max_order_notional),
        ),
        (
            "max_gross_notional_usd",
            "max_pair_notional_usd",
            usd(risk.max_gross_notional, risk.max_pair_notional),
        ),
        ("clock_no_entries_ms", "clock_warn_ms", int(risk.clock_no_entries_ms, risk.clock_warn_ms)),
        ("clock_halt_ms", "clock_no_entries_ms", int(risk.clock_halt_ms, risk.clock_no_entries_ms)),
        (
            "max_entries_per_day",
            "max_entries_per_hour",
            int(risk.max_entries_per_day, risk.max_entries_per_hour),
        ),
    ];
    for (key, other, (holds, first, second)) in rules {
        if !holds {
            return Err(s.clash(key, other, first, format!("at least {other} = {second}")));
        }
    }
    Ok(())
}
