//! The way of quotes from a book thread to one of their readers.

use crate::book::conflate::Conflator;
use crate::sys::ring::Tx;
use crate::types::Quote;

/// A ring of quotes with its waiting slots.
pub(super) struct Outlet {
    ring: Tx<Quote>,
    pub conflator: Conflator,
}

impl Outlet {
    pub fn new(ring: Tx<Quote>) -> Self {
        Self { ring, conflator: Conflator::new() }
    }

    #[inline]
    pub fn offer(&mut self, quote: &Quote, message: bool) {
        self.conflator.offer(quote, message, |quote| self.ring.push(quote).is_ok());
    }

    pub fn flush(&mut self) -> bool {
        self.conflator.flush(|quote| self.ring.push(quote).is_ok())
    }
}
