//! The announcement of sleep between one consumer and its producers: a lock-free protocol of our own. `loom/`
//! runs this file through every order that the memory model allows.

use super::atomic::{AtomicBool, Ordering, fence};

/// The consumer has said that it is about to sleep, and nobody has claimed the wake since.
#[derive(Debug)]
pub struct Parked(AtomicBool);

impl Parked {
    pub fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// By the consumer. It must look for messages once more before it sleeps.
    pub fn announce(&self) {
        // An exchange, not a store: it takes its place after the last claim, also for the checker.
        self.0.swap(true, Ordering::Relaxed);
        // Pairs with the fence in `claim`: either our last look sees the message, or the producer sees this.
        fence(Ordering::SeqCst);
    }

    /// By the consumer, awake again. False: a producer has claimed the wake, its signal is there or on its way.
    pub fn withdraw(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }

    /// By a producer after its message is in place. True for one of them: it must send the signal.
    #[inline]
    pub fn claim(&self) -> bool {
        fence(Ordering::SeqCst);
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::AcqRel)
    }
}
