//! Life of one WebSocket of this venue, public or private (sheet `vest`, 7): pings of ours, silence of theirs, and the
//! text of a subscription. Used by `feed` and `private`. Knows no message but these.

use crate::types::Nanos;
use crate::venue::WireError;
use crate::venue::pulse::Pulse;

const PING: &[u8] = br#"{"method":"PING","params":[],"id":0}"#;

/// One connection.
#[derive(Debug, Default)]
pub struct Session {
    pulse: Pulse,
    requests: u64,
}

impl Session {
    /// A fresh connection.
    pub fn open(&mut self, now: Nanos) {
        *self = Self { pulse: Pulse::new(now), requests: 0 };
    }

    pub fn alive(&mut self) {
        self.pulse.beat();
    }

    /// The ping, when one is due; an error when the connection is dead.
    pub fn tick(&mut self, now: Nanos) -> Result<Option<&'static [u8]>, WireError> {
        Ok(self.pulse.tick(now)?.then_some(PING))
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
    fn request_ids_differ() {
        let mut session = Session::default();
        assert_eq!(session.subscribe("tickers"), r#"{"method":"SUBSCRIBE","params":["tickers"],"id":1}"#);
        assert!(session.subscribe("tickers").ends_with(r#""id":2}"#));
    }
}
