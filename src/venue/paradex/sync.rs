//! Whether a book message continues the book that we have (sheet 5.5), and its levels as the ladders want them. Called
//! by `feed`; pure. A hole in the sequence never passes.

use super::sbe::Book;
use crate::types::{BookUpdate, Level, Nanos, PairId, Price};
use crate::venue::WireError;

/// A sequence behind by less than this is a late copy and passed over; further behind, the counter has restarted.
const LATE_COPY: u64 = 1_000;

/// Where a book stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookState {
    /// Asked for; deltas are dropped until the whole book comes.
    Awaiting { since: Nanos },
    /// Whole up to this sequence.
    Live { sequence: u64 },
}

/// What to do with a book message.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Take,
    Drop,
    Gap,
}

/// Judges a message against where the book stands.
pub fn judge(state: BookState, book: &Book<'_>) -> Verdict {
    let BookState::Live { sequence: last } = state else {
        return if book.snapshot { Verdict::Take } else { Verdict::Drop };
    };
    let late = book.sequence <= last && last - book.sequence < LATE_COPY;
    if book.sequence == last.wrapping_add(1) || (book.snapshot && !late) {
        Verdict::Take
    } else if late {
        Verdict::Drop
    } else {
        Verdict::Gap
    }
}

/// Moves the levels of a message into the update, refusing what cannot be a level.
pub fn fill_update(update: &mut BookUpdate, pair: PairId, book: &Book<'_>) -> Result<(), WireError> {
    update.pair = pair;
    update.whole = book.snapshot;
    update.sequence = book.sequence;
    update.venue_ms = book.at.ms();
    update.bids.clear();
    update.bids.extend(book.bids.iter());
    update.asks.clear();
    update.asks.extend(book.asks.iter());
    let bad = |level: &&Level| {
        level.price <= Price::ZERO || level.qty.raw() < 0 || (book.snapshot && level.qty.is_zero())
    };
    match update.bids.iter().chain(&update.asks).find(bad) {
        None => Ok(()),
        Some(level) => {
            let got = format!("{} @ {}", level.qty, level.price);
            Err(WireError::new("book level", got.as_bytes(), "a positive price and a size"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::BTC;
    use super::super::sbe::{Message, build, decode};
    use super::*;

    fn verdict(state: BookState, sequence: i64, snapshot: bool) -> Verdict {
        let bytes = build::book(sequence, snapshot, &[(100, 1)], &[], BTC);
        match decode(&bytes).unwrap() {
            Message::Book(book) => judge(state, &book),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_the_next_message_or_a_whole_book_is_taken() {
        let live = BookState::Live { sequence: 50_000 };
        assert_eq!(verdict(live, 50_001, false), Verdict::Take);
        assert_eq!(verdict(live, 50_002, false), Verdict::Gap);
        assert_eq!(verdict(live, 50_009, true), Verdict::Take);
        let awaiting = BookState::Awaiting { since: Nanos(1) };
        assert_eq!(verdict(awaiting, 50_001, false), Verdict::Drop);
        assert_eq!(verdict(awaiting, 7, true), Verdict::Take);
    }

    #[test]
    fn late_copies_are_passed_over_and_a_restarted_counter_is_a_gap() {
        let live = BookState::Live { sequence: 50_000 };
        for late in [50_000, 49_999, 49_001] {
            assert_eq!(verdict(live, late, false), Verdict::Drop);
            assert_eq!(verdict(live, late, true), Verdict::Drop);
        }
        assert_eq!(verdict(live, 3, false), Verdict::Gap);
        assert_eq!(verdict(live, 3, true), Verdict::Take);
    }
}
