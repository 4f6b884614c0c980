//! The ends of threads: told to stop, waited for, and named where they do not come.

use super::watch::{LOOK_EVERY_MS, pause};
use crate::sys::thread::Handle;

/// So long is waited for threads that wait for a venue, a database or a disk, ms: those may be for ever, and whoever
/// starts the engine anew waits for its end.
pub const BLOCKED_MAX_MS: u64 = 10_000;

/// Ends threads that never block.
pub fn finish(handles: Vec<Handle>) {
    handles.iter().for_each(Handle::stop);
    for handle in handles {
        let name = handle.name.clone();
        if !handle.join() {
            tracing::error!(event_type = "SHUTDOWN", thread = %name, "a thread ended by a panic");
        }
    }
}

/// Ends threads that may block; those that do for longer end with the process. True when all came.
pub fn finish_within(handles: Vec<Handle>, limit_ms: u64) -> bool {
    handles.iter().for_each(Handle::stop);
    for _ in 0..limit_ms / LOOK_EVERY_MS {
        if handles.iter().all(Handle::is_finished) {
            break;
        }
        pause();
    }
    let (ended, blocked): (Vec<Handle>, Vec<Handle>) = handles.into_iter().partition(Handle::is_finished);
    finish(ended);
    for handle in &blocked {
        let name = &handle.name;
        tracing::error!(event_type = "SHUTDOWN", thread = %name, "it waits for others: ending without it");
    }
    blocked.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock::ManualClock;
    use crate::topology::hearts::tests::thread;
    use crate::types::Nanos;

    #[test]
    fn a_thread_that_waits_for_ever_does_not_hold_up_the_end() {
        let clock = ManualClock::at(Nanos::from_ms(1_000_000));
        let ((keeper, free), (db, _held)) = (thread("keeper", &clock), thread("db", &clock));
        drop(free);
        assert!(finish_within(vec![keeper], 60_000), "it comes");
        assert!(!finish_within(vec![db], 50));
    }
}
