//! A few words that one thread writes and any thread reads as they were written together. `loom/` runs this file
//! through every order that the memory model allows. Used by `tsc`; never blocks the writer.

use super::atomic::{AtomicU64, Ordering, fence};

/// Words of one moment. An odd version says that they are being written.
#[derive(Debug)]
pub struct SeqLock<const N: usize> {
    version: AtomicU64,
    words: [AtomicU64; N],
}

impl<const N: usize> SeqLock<N> {
    pub fn new(words: [u64; N]) -> Self {
        Self { version: AtomicU64::new(0), words: words.map(AtomicU64::new) }
    }

    /// The words as last written; `None` when they changed meanwhile: look again.
    #[inline]
    pub fn read(&self) -> Option<[u64; N]> {
        let version = self.version.load(Ordering::Acquire);
        let words = std::array::from_fn(|at| self.words[at].load(Ordering::Relaxed));
        // Pairs with the fence of `write`: whoever saw a new word sees the version that announced it.
        fence(Ordering::Acquire);
        let whole = version & 1 == 0 && self.version.load(Ordering::Relaxed) == version;
        whole.then_some(words)
    }

    /// By one thread at a time.
    pub fn write(&self, words: [u64; N]) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        for (at, word) in words.into_iter().enumerate() {
            self.words[at].store(word, Ordering::Relaxed);
        }
        self.version.store(version + 2, Ordering::Release);
    }
}
