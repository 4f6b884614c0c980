//! Watches: a test's own code, called on the spot when a venue meets the nth message of a class. What a fault
//! cannot say (kill the client now, at just this message) is said here. The venue is locked meanwhile.
//!
//! Owned by the fault rules of an exchange, filled by `control`. A copy of a venue has no watches.

use super::fault::Class;

struct Watch {
    class: Class,
    /// Messages of the class that still pass before this one.
    left: u32,
    call: Box<dyn FnOnce() + Send>,
}

/// The watches of one venue.
#[derive(Default)]
pub struct Watches(Vec<Watch>);

impl Clone for Watches {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Watches {
    /// Calls `call` once, when `skipped` messages of the class have passed and the next one is met: a request before
    /// the exchange acts on it, an event before it is sent.
    pub fn add(&mut self, class: Class, skipped: u32, call: Box<dyn FnOnce() + Send>) {
        self.0.push(Watch { class, left: skipped, call });
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// A message of the class is here.
    pub fn meet(&mut self, class: Class) {
        if self.0.is_empty() {
            return;
        }
        let (due, kept): (Vec<_>, Vec<_>) =
            self.0.drain(..).partition(|watch| watch.class == class && watch.left == 0);
        self.0 = kept;
        for watch in self.0.iter_mut().filter(|watch| watch.class == class) {
            watch.left -= 1;
        }
        for watch in due {
            (watch.call)();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn the_call_comes_once_at_its_message() {
        let mut watches = Watches::default();
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
