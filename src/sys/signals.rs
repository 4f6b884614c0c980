//! Signals as counters that `main` reads: a handler only adds one. Installed once, before the threads.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

/// Counts since [`Signals::install`]. Copies read the same counters.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    stops: Arc<AtomicU32>,
    hangups: Arc<AtomicU32>,
    halts: Arc<AtomicU32>,
}

impl Signals {
    /// Catches SIGINT and SIGTERM (stop), SIGHUP (the terminal closed; it must not kill) and SIGUSR1 (halt).
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn install() -> io::Result<Self> {
        let signals = Self::default();
        for (signal, counter) in [
            (SIGINT, &signals.stops),
            (SIGTERM, &signals.stops),
            (SIGHUP, &signals.hangups),
            (SIGUSR1, &signals.halts),
        ] {
            count(signal, counter)?;
        }
        Ok(signals)
    }

    /// SIGINT and SIGTERM so far: the first asks for a stop, the second shortens its waits.
    pub fn stops(&self) -> u32 {
        self.stops.load(Ordering::Relaxed)
    }

    /// SIGHUP so far.
    pub fn hangups(&self) -> u32 {
        self.hangups.load(Ordering::Relaxed)
    }

    /// SIGUSR1 so far: latch Halted.
    pub fn halts(&self) -> u32 {
        self.halts.load(Ordering::Relaxed)
    }
}

#[allow(unsafe_code)]
fn count(signal: i32, counter: &Arc<AtomicU32>) -> io::Result<()> {
    let counter = Arc::clone(counter);
    let add = move || {
        counter.fetch_add(1, Ordering::Relaxed);
    };
    // SAFETY: the handler is one atomic addition; it neither allocates, locks, panics nor touches `errno`.
    unsafe { signal_hook::low_level::register(signal, add) }.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_signal_is_counted_and_kills_nobody() {
        let signals = Signals::install().unwrap();
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGUSR1] {
            signal_hook::low_level::raise(signal).unwrap();
        }
        assert_eq!((signals.stops(), signals.hangups(), signals.halts()), (2, 1, 1));
    }
}
