//! How a segment's writer hands bytes to readers with mappings of their own, and leads them on to the next segment: two
//! words of the header, a lock-free protocol of our own. `loom/` runs this file through every order that the memory
//! model allows.

use super::atomic::{AtomicU64, Ordering};

/// The words of one mapping of a segment.
#[derive(Clone, Copy)]
pub struct Handover<'a> {
    pub published: &'a AtomicU64,
    pub sealed: &'a AtomicU64,
}

/// What a reader finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Everything before this place may be read, and is never written again.
    Bytes(u64),
    /// No more yet.
    Nothing,
    /// Nothing more will come here: the next segment goes on, once it has published something.
    Sealed,
}

impl Handover<'_> {
    /// By the writer, after the bytes before `end` were written.
    pub fn publish(&self, end: u64) {
        self.published.store(end, Ordering::Release);
    }

    /// By the writer, after its last [`Self::publish`].
    pub fn seal(&self) {
        self.sealed.store(1, Ordering::Release);
    }

    /// Bytes that may be read; zero = not in use yet.
    pub fn published(&self) -> u64 {
        self.published.load(Ordering::Acquire)
    }

    /// What there is for a reader who has read everything before `at`.
    pub fn next(&self, at: u64) -> Next {
        // The seal first: what was published before it is then seen too. The other way round, a reader would pass over
        // what is published between its two looks.
        let sealed = self.sealed.load(Ordering::Acquire) == 1;
        let published = self.published();
        match at < published {
            true => Next::Bytes(published),
            false if sealed => Next::Sealed,
            false => Next::Nothing,
        }
    }
}
