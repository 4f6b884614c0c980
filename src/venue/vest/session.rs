//! Life of one WebSocket of this venue, public or private (sheet `vest`, 7): pings of ours, silence of theirs, and the
//! text of a subscription. Used by `feed` and `private`. Knows no message but these.

use crate::types::Nanos;
use crate::venue::WireError;

/// Interval of our pings, ms; 15 to 30 s are in use.
const PING_MS: u64 = 15_000;
/// Silence after which a connection is taken for dead, ms: two pings without any frame.
const SILENCE_MS: u64 = 30_000;
const PING: &[u8] = br#"{"method":"PING","params":[],"id":0}"#;

/// Clock of one connection. Any frame is a sign of life, not PONG alone.
#[derive(Debug, Default)]
pub struct Session {
    last_frame: Nanos,
    last_ping: Nanos,
    requests: u64,
}

impl Session {
    /// A fresh connection.
    pub fn open(&mut self, now: Nanos) {
        *self = Self { last_frame: now, last_ping: now, requests: 0 };
    }

    pub fn alive(&mut self, now: Nanos) {
        self.last_frame = now;
    }

    /// The ping, when one is due; an error when the connection is dead.
    pub fn tick(&mut self, now: Nanos) -> Result<Option<&'static [u8]>, WireError> {
        if now.ms_since(self.last_frame) > SILENCE_MS {
            return Err(WireError::new("connection", b"silence", "any frame within 30 s"));
        }
        if now.ms_since(self.last_ping) < PING_MS {
            return Ok(None);
        }
        self.last_ping = now;
        Ok(Some(PING))
    }

    /// A subscription to one channel, with an id of its own (pings use 0).
    pub fn subscribe(&mut self, channel: &str) -> String {
        self.requests += 1;
        format!(r#"{{"method":"SUBSCRIBE","params":["{channel}"],"id":{}}}"#, self.requests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_come_on_time_and_silence_kills() {
        let start = Nanos::from_ms(1_000);
        let mut session = Session::default();
        session.open(start);
        assert_eq!(session.tick(start.plus_ms(PING_MS - 1)), Ok(None));
        assert_eq!(session.tick(start.plus_ms(PING_MS)), Ok(Some(PING)));
        assert_eq!(session.tick(start.plus_ms(PING_MS + 1)), Ok(None));
        assert!(session.tick(start.plus_ms(SILENCE_MS)).is_ok());
        assert!(session.tick(start.plus_ms(SILENCE_MS + 1)).is_err());
        session.alive(start.plus_ms(SILENCE_MS + 1));
        assert!(session.tick(start.plus_ms(SILENCE_MS + 2)).is_ok());
    }

    #[test]
    fn request_ids_differ() {
        let mut session = Session::default();
        assert_eq!(session.subscribe("tickers"), r#"{"method":"SUBSCRIBE","params":["tickers"],"id":1}"#);
        assert!(session.subscribe("tickers").ends_with(r#""id":2}"#));
    }
}
