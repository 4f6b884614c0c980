//! What an earlier run left: positions of the journal compared with the database, and, when the journal is gone,
//! positions of the database alone, taken only where both venues confirm them (requirements, FR11). Called once, before
//! any thread runs; a database that does not answer is said and waited for by nobody.

use super::{Part, watch};
use crate::config::Config;
use crate::journal::entry::Entry;
use crate::order::core::Core;
use crate::position::{LegBook, PairBook};
use crate::store::read::{self, CostRow, PositionRow, version_of};
use crate::store::sql::Database;
use crate::store::{Claim, DbError, Target};
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::signals::Signals;
use crate::types::report::Fact;
use crate::types::settings::PairSettings;
use crate::types::{Direction, Nanos, PairId, Price, Qty, Usd, VenueId};
use crate::venue::REGISTRY;

/// Pauses of `watch` between two tries for the accounts' lock: 0.3 s.
const ASK_AGAIN: u32 = 30;

/// Whether the database can be used now, and the session that has taken the accounts' lock. A schema of another
/// version, or a pooler that would lose our sessions, is refused; a database that does not answer is a warning, since
/// trading needs the journal alone. Where something is `held` both are warnings: a leg does not wait for a database.
/// Two engines on one account are never right: where another has the lock this one does not start.
pub fn check_database(
    database: &Target,
    claim: Option<&mut Claim>,
    held: bool,
    clock: &SystemClock,
    signals: &Signals,
) -> Result<(Option<Box<dyn Database>>, bool), String> {
    match open(database, claim, clock, signals) {
        Ok(session) => Ok((session, true)),
        Err(error @ DbError::Claimed { .. }) => Err(error.to_string()),
        Err(error @ (DbError::Version { .. } | DbError::TransactionPooler)) if !held => {
            Err(error.to_string())
        }
        Err(error) => {
            tracing::warn!(
                event_type = "DATABASE",
                "the database does not answer; the journal keeps everything until it does: {error}"
            );
            Ok((None, false))
        }
    }
}

/// A dead engine's session may linger for half a minute: it is waited for until it is known to live.
fn open(
    database: &Target,
    claim: Option<&mut Claim>,
    clock: &SystemClock,
    signals: &Signals,
) -> Result<Option<Box<dyn Database>>, DbError> {
    let mut session = database.open()?;
    version_of(session.as_mut())?;
    let Some(claim) = claim else { return Ok(None) };
    let mut told = false;
    loop {
        let error = match claim.take(session.as_mut(), clock.now()) {
            Err(error @ DbError::Claimed { sure: false, .. }) if signals.stops() == 0 => error,
            taken => return taken.map(|()| Some(session)),
        };
        if !std::mem::replace(&mut told, true) {
            tracing::warn!(event_type = "START", "waits up to 40 s, in case that one is dead: {error}");
        }
        (0..ASK_AGAIN).for_each(|_| watch::pause());
    }
}

/// Compares the recovered core with the database, or fills an empty one from it.
pub fn compare(
    core: &mut Core,
    journal_is_empty: bool,
    database: &Target,
    config: &Config,
    parts: &[Part],
    now: Nanos,
) {
    let restored = Restore { database, parts, now }.all(core, journal_is_empty, config);
    match restored {
        Ok(count) => tracing::info!(
            event_type = "POSITIONS_RESTORED",
            count,
            "[STATE] Restored {count} positions from database"
        ),
        Err(error) => {
            tracing::warn!(event_type = "DATABASE", "positions cannot be compared: {error}");
        }
    }
}

/// The database and what the venues said at start.
struct Restore<'a> {
    database: &'a Target,
    parts: &'a [Part],
    now: Nanos,
}

impl Restore<'_> {
    /// How many open positions of the database stand.
    fn all(&self, core: &mut Core, journal_is_empty: bool, config: &Config) -> Result<usize, DbError> {
        let rows = read::restore(self.database)?;
        let mut restored = 0;
        for pair in &config.settings.pairs {
            let row = rows.iter().find(|row| row.pair == pair.name);
            let stands = match row {
                Some(row) if journal_is_empty => self.adopt(core, pair, row)?,
                _ => agrees(core, pair, row),
            };
            restored += usize::from(stands);
        }
        Ok(restored)
    }

    /// Takes a pair from the database when both venues show exactly what it says.
    fn adopt(&self, core: &mut Core, pair: &PairSettings, row: &PositionRow) -> Result<bool, DbError> {
        let shown = [0, 1].map(|leg| self.shown(pair.venues[leg], pair.id));
        let held = direction(row).map(|direction| (direction, held(row, direction)));
        match held {
            Some((direction, qty)) if shown == qty.map(Some) => {
                let costs = read::costs(self.database, &pair.name)?;
                let book = book(pair, row, direction, qty, &costs);
                core.recover(&Entry::PairSnapshot { pair: pair.id, book });
                core.recover(&Entry::PairHeld { pair: pair.id, spread: row.entry_spread });
                let pair = &pair.name;
                tracing::info!(event_type = "RESTORED", pair, "position taken from the database");
                Ok(true)
            }
            _ => self.refuse(pair, row, shown).map(|()| false),
        }
    }

    /// The venues are the truth. Where both are flat the row ends; where they are not, it stays for a person to see.
    fn refuse(&self, pair: &PairSettings, row: &PositionRow, shown: [Option<Qty>; 2]) -> Result<(), DbError> {
        let text = |qty: Option<Qty>| qty.map_or("nothing known".to_owned(), |qty| qty.to_string());
        let (long, short) = (row.long_qty, row.short_qty);
        let [first, second] = shown.map(text);
        tracing::warn!(
            event_type = "RESTORE_REFUSED",
            pair = %pair.name,
            "[STATE] Position of the database not taken: it says long {long}, short {short}; \
             the venues show {first} and {second}"
        );
        if shown == [Some(Qty::ZERO); 2] {
            read::dismiss(self.database, &pair.name, self.now)
        } else {
            Ok(())
        }
    }

    /// What a venue said at start that it holds for us.
    fn shown(&self, venue: VenueId, pair: PairId) -> Option<Qty> {
        self.parts[venue.index()].opening.facts.iter().find_map(|fact| match fact {
            Fact::Account { report, .. } => Some(report.positions[pair.index()].qty),
            _ => None,
        })
    }
}

/// The journal is the truth; a difference is the lag of the database or damage, and is said. True when both hold the
/// same position.
fn agrees(core: &Core, pair: &PairSettings, row: Option<&PositionRow>) -> bool {
    let ours = core.pairs()[pair.id.index()].book.hedged();
    let theirs = row.map_or(Qty::ZERO, |row| row.long_qty.abs());
    if ours != theirs {
        tracing::warn!(
            event_type = "RESTORE_DIFFERS",
            pair = %pair.name,
            "[STATE] The journal holds {ours}, the database {theirs}: the journal counts"
        );
    }
    ours == theirs && !ours.is_zero()
}

/// The books as the fills would have left them. What was expected at the decision is lost with the journal: the fills
/// stand for it, so that the slippage of the entry is inside its edge and the sum is the same.
fn book(
    pair: &PairSettings,
    row: &PositionRow,
    direction: Direction,
    qty: [Qty; 2],
    costs: &[CostRow],
) -> PairBook {
    let prices = qty.map(|qty| if qty.raw() > 0 { row.long_price } else { row.short_price });
    let reference = Price::mid(prices[0], prices[1]);
    let leg = |leg: usize| {
        let venue = REGISTRY[pair.venues[leg].index()].name;
        let cost = costs.iter().find(|cost| cost.exchange == venue);
        LegBook {
            qty: qty[leg],
            cash: -prices[leg].times(qty[leg]),
            fees: cost.map_or(Usd::ZERO, |cost| cost.fees),
            funding: cost.map_or(Usd::ZERO, |cost| cost.funding),
        }
    };
    let edge = |leg: usize| -(prices[leg] - reference).times(qty[leg]);
    PairBook {
        legs: [leg(0), leg(1)],
        direction: Some(direction),
        reference,
        basis: row.basis,
        decided_edge: row.entry_spread + row.basis,
        opened_at: row.opened,
        entry_edge: edge(0) + edge(1),
        ..PairBook::default()
    }
}

/// Signed quantities by leg that a row speaks of.
fn held(row: &PositionRow, direction: Direction) -> [Qty; 2] {
    [0, 1].map(|leg| {
        let sign = direction.open_side(leg).sign();
        let qty = if sign > 0 { row.long_qty } else { row.short_qty };
        Qty::from_raw(sign * qty.abs().raw())
    })
}

fn direction(row: &PositionRow) -> Option<Direction> {
    match row.direction.as_str() {
        "A" => Some(Direction::A),
        "B" => Some(Direction::B),
        _ => None,
    }
}
