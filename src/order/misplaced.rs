//! Pairs of the journal that the configuration has no longer, or has at another place. The journal names pairs by
//! their places: an edited list would give one market's position to another, and lose what stands behind its end
//! (SAFETY L11).

use std::fmt;

use super::core::Core;
use super::pair::Pair;
use crate::journal::entry::{Entry, Markets, Name};
use crate::types::limits::PAIRS_MAX;
use crate::types::settings::PairSettings;
use crate::types::{Nanos, PairId, Qty, Rate, Settings};

/// A pair that holds something, or may, and what the configuration says of its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misplaced {
    /// From 0.
    pub place: usize,
    pub held: Markets,
    /// `None` = the list ends before it.
    pub configured: Option<Markets>,
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |markets: &Markets| {
            let [first, second] = markets.symbols;
            format!("{} ({first} / {second})", markets.name)
        };
        let (place, held) = (self.place + 1, text(&self.held));
        let got = self.configured.as_ref().map_or("no pair".to_owned(), text);
        write!(
            f,
            "[[pairs]] number {place}: got {got}, expected {held}, which the journal holds or may hold: \
             put it back there and new pairs behind it, until it is closed"
        )
    }
}

/// The first pair that these entries leave with a position, an order or a doubt and that these settings do not have at
/// its place. A pair that holds nothing may go anywhere. `live`: orders may have left that the entries do not know.
pub fn misplaced(settings: &Settings, entries: &[Entry], live: bool, now: Nanos) -> Option<Misplaced> {
    let named = named(entries);
    let places = named.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    let pairs = named.iter().take(places).enumerate().map(|(place, markets)| of_old(place, markets.as_ref()));
    let mut core = Core::new(Settings { pairs: pairs.collect(), ..settings.clone() });
    entries.iter().for_each(|entry| core.recover(entry));
    if live {
        core.end_recovery(now);
    }
    let may_hold = |pair: &Pair| {
        let unread = pair.settings.venues.iter().any(|venue| live && core.awaits_past(*venue));
        unread || !pair.book.is_flat() || pair.has_live_orders() || pair.unproven_parts(now).next().is_some()
    };
    let held = named.iter().zip(core.pairs()).enumerate().filter(|(_, (_, pair))| may_hold(pair));
    let mut held = held.filter_map(|(place, (markets, _))| Some((place, (*markets)?)));
    let of_place = |place: usize| settings.pairs.get(place).map(Markets::of);
    let (place, held) = held.find(|&(place, held)| of_place(place) != Some(held))?;
    Some(Misplaced { place, held, configured: of_place(place) })
}

/// What each place stands for, by the newest word.
fn named(entries: &[Entry]) -> [Option<Markets>; PAIRS_MAX] {
    let mut named = [None; PAIRS_MAX];
    for entry in entries {
        match entry {
            // Each opening names all pairs there are.
            Entry::Epoch { .. } => named = [None; PAIRS_MAX],
            Entry::Named { pair, markets } => named[pair.index()] = Some(*markets),
            _ => {}
        }
    }
    named
}

/// The pair of that time, for its books alone: nothing is judged by its sizes and thresholds.
fn of_old(place: usize, markets: Option<&Markets>) -> PairSettings {
    let text =
        |pick: fn(&Markets) -> Name| markets.map_or(String::new(), |markets| pick(markets).to_string());
    PairSettings {
        id: PairId(place as u8),
        name: text(|markets| markets.name),
        venues: markets.map_or_else(Default::default, |markets| markets.venues),
        symbols: [text(|markets| markets.symbols[0]), text(|markets| markets.symbols[1])],
        size: Qty::ZERO,
        entry_threshold: Rate::ZERO,
        exit_threshold: Rate::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::market::tests::settings;
    use crate::journal::samples::round_trip;
    use crate::types::VenueId;

    const NOW: Nanos = Nanos::from_ms(1_800_000_000_000);

    /// A journal in which the settings' first pair is held, or was closed again.
    fn journal(settings: &Settings, held: bool) -> Vec<Entry> {
        let mut entries = round_trip();
        let named = Entry::Named { pair: PairId(0), markets: Markets::of(&settings.pairs[0]) };
        entries.insert(1, named);
        let opened = entries.iter().position(|entry| matches!(entry, Entry::PairOpened { .. }));
        entries.truncate(if held { opened.unwrap_or_default() + 1 } else { entries.len() });
        entries.push(Entry::Stopped { at: NOW });
        entries
    }

    fn one_pair(edit: impl Fn(&mut PairSettings)) -> Settings {
        let mut settings = settings();
        settings.pairs.truncate(1);
        settings.pairs.iter_mut().for_each(edit);
        settings
    }

    /// The configuration after each edit that a person may make.
    fn edits(settings: &Settings) -> [(&'static str, Settings); 4] {
        let other = || {
            let mut other = settings.pairs[0].clone();
            other.name = "DOGE".into();
            other.symbols = ["DOGE-PERP".into(), "DOGE-USD-PERP".into()];
            other
        };
        let with = |pairs: Vec<PairSettings>| Settings { pairs, ..settings.clone() };
        let mut swapped = settings.pairs[0].clone();
        swapped.venues = [VenueId(1), VenueId(0)];
        [
            ("removed", with(Vec::new())),
            ("replaced", with(vec![other()])),
            ("moved", with(vec![other(), settings.pairs[0].clone()])),
            ("on other venues", with(vec![swapped])),
        ]
    }

    #[test]
    fn a_held_pair_that_is_gone_or_moved_is_named() {
        let settings = one_pair(|_| {});
        for (edit, edited) in edits(&settings) {
            assert!(misplaced(&edited, &journal(&settings, true), true, NOW).is_some(), "{edit}");
            assert_eq!(misplaced(&edited, &journal(&settings, false), true, NOW), None, "{edit}, but closed");
        }
        let removed = Settings { pairs: Vec::new(), ..settings.clone() };
        let text = misplaced(&removed, &journal(&settings, true), true, NOW).unwrap().to_string();
        assert!(text.starts_with("[[pairs]] number 1: got no pair, expected "), "{text}");
    }

    #[test]
    fn other_sizes_and_pairs_behind_the_others_change_nothing() {
        let settings = one_pair(|_| {});
        let mut longer = one_pair(|pair| pair.size = Qty::from_raw(5));
        longer.pairs.push(PairSettings { id: PairId(1), name: "DOGE".into(), ..longer.pairs[0].clone() });
        assert_eq!(misplaced(&longer, &journal(&settings, true), true, NOW), None);
    }

    /// Only a live run can have sent what it did not write.
    #[test]
    fn after_a_death_every_pair_may_hold_something() {
        let settings = one_pair(|_| {});
        let mut entries = journal(&settings, false);
        entries.pop();
        let removed = Settings { pairs: Vec::new(), ..settings };
        assert!(misplaced(&removed, &entries, true, NOW).is_some());
        assert_eq!(misplaced(&removed, &entries, false, NOW), None);
    }
}
