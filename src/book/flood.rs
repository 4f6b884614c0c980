//! When bad frames are too many to be an accident (SAFETY M9). Pure; owned by `book::thread`.

use crate::types::Nanos;

/// This many bad frames within [`WINDOW_MS`] and the connection is replaced.
const FRAMES: usize = 20;
const WINDOW_MS: u64 = 10_000;

/// Times of the last bad frames, the oldest at `next`.
#[derive(Default)]
pub struct FloodGuard {
    times: [Nanos; FRAMES],
    next: usize,
    flood: bool,
}

impl FloodGuard {
    /// Counts one bad frame.
    pub fn note(&mut self, now: Nanos) {
        self.times[self.next] = now;
        self.next = (self.next + 1) % FRAMES;
        let oldest = self.times[self.next];
        self.flood = oldest != Nanos::NEVER && now.ms_since(oldest) <= WINDOW_MS;
    }

    /// The last frames noted all lie within one window.
    pub const fn is_flood(&self) -> bool {
        self.flood
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_in_ten_seconds_are_a_flood() {
        let mut guard = FloodGuard::default();
        for n in 1..FRAMES as u64 {
            guard.note(Nanos::from_ms(n));
            assert!(!guard.is_flood(), "{n} frames");
        }
        guard.note(Nanos::from_ms(10_002));
        assert!(!guard.is_flood(), "the first is out of the window");
        guard.note(Nanos::from_ms(10_002));
        assert!(guard.is_flood());
    }
}
