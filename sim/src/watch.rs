//! Watches: a test's own code, called on the spot when a venue meets the nth message of a class. What a fault
//! cannot say (kill the client now, at just this message) is said here. The venue is locked meanwhile.
//!
//! Owned by `venue`, filled by `control`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::core::fault::Class;

struct Watch {
    class: Class,
    /// Messages of the class that still pass before this one.
    left: u32,
    call: Box<dyn FnOnce() + Send>,
}

/// The watches of one venue.
#[derive(Default)]
pub struct Watches(Mutex<Vec<Watch>>);

impl Watches {
    /// Calls `call` once, when `skipped` messages of the class have passed and the next one is met: a request before
    /// the exchange acts on it, an event before it is sent.
    pub fn add(&self, class: Class, skipped: u32, call: Box<dyn FnOnce() + Send>) {
        self.lock().push(Watch { class, left: skipped, call });
    }

    pub fn clear(&self) {
        self.lock().clear();
    }

    /// A message of the class is here.
    pub fn meet(&self, class: Class) {
        let mut watches = self.lock();
        let (due, kept): (Vec<_>, Vec<_>) =
            watches.drain(..).partition(|watch| watch.class == class && watch.left == 0);
        *watches = kept;
        for watch in watches.iter_mut().filter(|watch| watch.class == class) {
            watch.left -= 1;
        }
        drop(watches);
        for watch in due {
            (watch.call)();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Watch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn the_call_comes_once_at_its_message() {
        let watches = Watches::default();
        let called = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&called);
        watches.add(Class::Order, 1, Box::new(move || _ = counter.fetch_add(1, Ordering::Relaxed)));
        let after = [Class::Order, Class::Cancel, Class::Order, Class::Order].map(|class| {
            watches.meet(class);
            called.load(Ordering::Relaxed)
        });
        assert_eq!(after, [0, 0, 1, 1]);
    }
}
