//! What happens when a reader is slower than the market: one waiting quote per pair, and the newest wins. Pure; owned
//! by `book::thread`, one per ring. It never drops the newest state of a market.

use crate::types::limits::PAIRS_MAX;
use crate::types::{Quote, message::PairSet};

/// Quotes on their way into one ring.
pub struct Conflator {
    slots: [Waiting; PAIRS_MAX],
    waiting: PairSet,
    passed: u64,
    conflated: [u64; PAIRS_MAX],
}

/// A quote that found the ring full. `message` marks one that a market message of the venue caused.
#[derive(Clone, Copy, Default)]
struct Waiting {
    quote: Quote,
    message: bool,
}

impl Conflator {
    pub fn new() -> Self {
        Self {
            slots: [Waiting::default(); PAIRS_MAX],
            waiting: PairSet::default(),
            passed: 0,
            conflated: [0; PAIRS_MAX],
        }
    }

    /// Sends a quote, or keeps it (in place of an older one of its pair) until there is room. `message` says that a
    /// market message caused it, so that it is counted. `push` tells whether the ring took the quote.
    #[inline]
    pub fn offer(&mut self, quote: &Quote, message: bool, push: impl FnOnce(Quote) -> bool) {
        let at = quote.pair.index();
        if self.waiting.contains(quote.pair) {
            self.hold(at, quote, message);
            self.release(at, push);
        } else if push(*quote) {
            self.passed += u64::from(message);
        } else {
            self.hold(at, quote, message);
        }
    }

    /// Puts a quote in the slot of its pair, in place of an older one.
    #[cold]
    fn hold(&mut self, at: usize, quote: &Quote, message: bool) {
        if self.waiting.contains(quote.pair) && self.slots[at].message {
            self.conflated[at] += 1;
        }
        self.slots[at] = Waiting { quote: *quote, message };
        self.waiting.insert(quote.pair);
    }

    /// Sends what waits, as far as there is room. True when something left.
    pub fn flush(&mut self, mut push: impl FnMut(Quote) -> bool) -> bool {
        let mut moved = false;
        for pair in self.waiting.iter() {
            if !self.release(pair.index(), &mut push) {
                break;
            }
            moved = true;
        }
        moved
    }

    /// Market messages whose quote reached the ring.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// Market messages of one pair whose quote was replaced before it reached the ring.
    pub fn conflated(&self, pair: usize) -> u64 {
        self.conflated[pair]
    }

    /// As [`Conflator::conflated`], over all pairs.
    pub fn conflated_total(&self) -> u64 {
        self.conflated.iter().sum()
    }

    /// Market messages whose quote still waits.
    pub fn waiting(&self) -> u64 {
        self.waiting.iter().filter(|pair| self.slots[pair.index()].message).count() as u64
    }

    fn release(&mut self, at: usize, push: impl FnOnce(Quote) -> bool) -> bool {
        let Waiting { quote, message } = self.slots[at];
        if !push(quote) {
            return false;
        }
        self.waiting = PairSet(self.waiting.0 & !(1 << at));
        self.passed += u64::from(message);
        true
    }
}

impl Default for Conflator {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::PairId;

    fn quote(pair: u8, updates: u64) -> Quote {
        Quote { pair: PairId(pair), updates, ..Quote::default() }
    }

    #[test]
    fn the_newest_wins_and_every_message_is_counted_once() {
        let mut conflator = Conflator::new();
        let full = |_| false;
        conflator.offer(&quote(0, 1), true, full);
        conflator.offer(&quote(0, 2), true, full);
        conflator.offer(&quote(3, 7), true, full);
        conflator.offer(&quote(3, 7), false, full);
        assert_eq!((conflator.passed(), conflator.conflated_total(), conflator.waiting()), (0, 2, 1));
        let mut sent = Vec::new();
        assert!(conflator.flush(|quote| {
            sent.push((quote.pair.0, quote.updates));
            true
        }));
        assert_eq!(sent, [(0, 2), (3, 7)]);
        assert_eq!((conflator.passed(), conflator.conflated(0), conflator.waiting()), (1, 1, 0));
    }
}
