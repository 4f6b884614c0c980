//! Whether a WebSocket still has somebody at its other end (SAFETY C4): when to ping, and when to give up. Used by
//! every stream of every venue. Pure; how a ping is said is the venue's own matter.

use super::WireError;
use crate::types::Nanos;

/// Interval of our pings, ms. One venue leaves them to the client, and 15 to 30 s are in use (sheet `vest`, 7).
const PING_MS: u64 = 15_000;
/// Silence after a ping of ours that ends the connection, ms: as long as a venue waits for our pong (sheet `paradex`,
/// 5.2). With the interval it bounds how long a half-open connection may be taken for a living one: 20 s.
const PONG_MS: u64 = 5_000;

/// Clock of one connection. Any frame is a sign of life, not the answer to a ping alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pulse {
    pinged: Nanos,
    /// When the first ping left since anything was heard.
    unanswered: Nanos,
}

impl Pulse {
    /// A fresh connection.
    pub fn new(now: Nanos) -> Self {
        Self { pinged: now, unanswered: Nanos::NEVER }
    }

    /// A frame was read.
    pub fn beat(&mut self) {
        self.unanswered = Nanos::NEVER;
    }

    /// True when a ping is due, which the caller sends now. To be asked after what has come was read: a caller that
    /// was held up has heard nothing meanwhile, and that proves nothing.
    ///
    /// # Errors
    /// The connection is dead: nothing was heard for 5 s after a ping.
    pub fn tick(&mut self, now: Nanos) -> Result<bool, WireError> {
        if self.unanswered != Nanos::NEVER && now.ms_since(self.unanswered) >= PONG_MS {
            return Err(WireError::new("connection", b"silence", "any frame within 5 s of a ping"));
        }
        if now.ms_since(self.pinged) < PING_MS {
            return Ok(false);
        }
        self.pinged = now;
        if self.unanswered == Nanos::NEVER {
            self.unanswered = now;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Nanos = Nanos::from_ms(1_000);

    #[test]
    fn a_connection_that_answers_is_pinged_again_and_again() {
        let mut pulse = Pulse::new(START);
        for ms in 0..120_000 {
            let due = pulse.tick(START.plus_ms(ms)).unwrap();
            assert_eq!(due, ms > 0 && ms % PING_MS == 0, "{ms}");
            if ms % PING_MS == PONG_MS - 1 {
                pulse.beat();
            }
        }
    }

    #[test]
    fn silence_after_a_ping_is_death_and_silence_before_it_is_not() {
        let mut pulse = Pulse::new(START);
        let asked = START.plus_ms(3_600_000);
        assert_eq!(pulse.tick(asked), Ok(true), "the caller was held up for an hour");
        assert_eq!(pulse.tick(asked.plus_ms(PONG_MS - 1)), Ok(false));
        assert!(pulse.tick(asked.plus_ms(PONG_MS)).is_err());
        pulse.beat();
        assert_eq!(pulse.tick(asked.plus_ms(PONG_MS)), Ok(false));
    }
}
