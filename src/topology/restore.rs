//! What an earlier run left: positions of the journal compared with the database, and, when the journal is gone,
//! positions of the database alone, taken only where both venues confirm them (requirements, FR11).

use super::Part;
use crate::config::Config;
use crate::journal::entry::Entry;
use crate::order::core::Core;
use crate::position::{LegBook, PairBook};
use crate::store::Target;
use crate::store::read::{self, PositionRow};
use crate::types::report::Fact;
use crate::types::settings::PairSettings;
use crate::types::{Direction, PairId, Price, Qty, Usd, VenueId};

/// Reads the open positions of the database. A database that does not answer is said to and waited for by nobody.
pub fn compare(core: &mut Core, journal_is_empty: bool, database: &Target, config: &Config, parts: &[Part]) {
    let rows = match read::restore(database) {
        Ok(rows) => rows,
        Err(error) => {
            tracing::warn!(event_type = "DATABASE", "positions cannot be compared: {error}");
            return;
        }
    };
    for pair in &config.settings.pairs {
        let row = rows.iter().find(|row| row.pair == pair.name);
        if journal_is_empty {
            if let Some(row) = row {
                adopt(core, pair, row, parts);
            }
        } else {
            report(core, pair, row);
        }
    }
}

/// The journal is the truth; a difference is the lag of the database or damage, and is said.
fn report(core: &Core, pair: &PairSettings, row: Option<&PositionRow>) {
    let ours = core.pairs()[pair.id.index()].book.hedged();
    let theirs = row.map_or(Qty::ZERO, |row| row.long_qty.abs());
    if ours != theirs {
        tracing::warn!(
            event_type = "RESTORE_DIFFERS",
            pair = %pair.name,
            "journal holds {ours}, database {theirs}: the journal counts"
        );
    }
}

/// Takes a pair from the database when both venues show exactly what it says.
fn adopt(core: &mut Core, pair: &PairSettings, row: &PositionRow, parts: &[Part]) {
    let Some(direction) = direction(row) else { return };
    let qty = |leg: usize| {
        let sign = direction.open_side(leg).sign();
        let held = if sign > 0 { row.long_qty } else { row.short_qty };
        Qty::from_raw(sign * held.abs().raw())
    };
    let confirmed =
        (0..2).all(|leg| position(parts, pair.venues[leg], pair.id).is_some_and(|at| at == qty(leg)));
    if !confirmed {
        tracing::warn!(
            event_type = "RESTORE_REFUSED",
            pair = %pair.name,
            "the venues do not show the position of the database: it is not taken"
        );
        return;
    }
    let prices = [0, 1].map(|leg| if qty(leg).raw() > 0 { row.long_price } else { row.short_price });
    let leg = |leg: usize| {
        let (held, price) = (qty(leg), prices[leg]);
        LegBook { qty: held, cash: -price.times(held), fees: Usd::ZERO, funding: Usd::ZERO }
    };
    let book = PairBook {
        legs: [leg(0), leg(1)],
        direction: Some(direction),
        reference: Price::mid(prices[0], prices[1]),
        basis: row.basis,
        opened_at: row.opened,
        ..PairBook::default()
    };
    core.recover(&Entry::PairSnapshot { pair: pair.id, book });
    tracing::info!(event_type = "RESTORED", pair = %pair.name, "position taken from the database");
}

fn direction(row: &PositionRow) -> Option<Direction> {
    match row.direction.as_str() {
        "A" => Some(Direction::A),
        "B" => Some(Direction::B),
        _ => None,
    }
}

/// What a venue said at start that it holds for us.
fn position(parts: &[Part], venue: VenueId, pair: PairId) -> Option<Qty> {
    parts[venue.index()].opening.facts.iter().find_map(|fact| match fact {
        Fact::Account { report, .. } => Some(report.positions[pair.index()].qty),
        _ => None,
    })
}
