//! A scripted [`Link`] for the tests of this folder: the near end goes to the code under test, the far end plays the
//! venue.

#![cfg(test)]

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::sys::link::{Inbound, Link, LinkError, Outbound};
use crate::sys::retry_after::RetryAfter;

enum Play {
    Frame(Vec<u8>),
    Response(u16, Vec<u8>, Option<RetryAfter>),
    Close(u16),
    FailSends,
}

pub(super) struct Wire {
    plays: Receiver<Play>,
    queue: VecDeque<Play>,
    sent: Sender<String>,
    current: Vec<u8>,
    fail_sends: bool,
}

pub(super) struct Far {
    plays: Sender<Play>,
    sent: Receiver<String>,
}

impl Wire {
    pub(super) fn pair() -> (Box<dyn Link>, Far) {
        let (plays, near) = channel();
        let (out, sent) = channel();
        let wire =
            Self { plays: near, queue: VecDeque::new(), sent: out, current: Vec::new(), fail_sends: false };
        (Box::new(wire), Far { plays, sent })
    }

    fn take(&mut self) {
        for play in self.plays.try_iter() {
            if matches!(play, Play::FailSends) {
                self.fail_sends = true;
            } else {
                self.queue.push_back(play);
            }
        }
    }
}

impl Link for Wire {
    fn send(&mut self, message: Outbound<'_>) -> Result<(), LinkError> {
        self.take();
        if self.fail_sends {
            return Err(LinkError::Protocol("broken pipe".into()));
        }
        let text = match message {
            Outbound::Text(bytes) | Outbound::Request(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            Outbound::Close => "close".into(),
            Outbound::Ping => "ping".into(),
        };
        self.sent.send(text).ok();
        Ok(())
    }

    fn recv(&mut self) -> Result<Option<Inbound<'_>>, LinkError> {
        self.take();
        match self.queue.pop_front() {
            Some(Play::Frame(bytes)) => {
                self.current = bytes;
                Ok(Some(Inbound::Text(&self.current)))
            }
            Some(Play::Response(status, body, retry_after)) => {
                self.current = body;
                Ok(Some(Inbound::Response { status, body: &self.current, retry_after }))
            }
            Some(Play::Close(code)) => Err(LinkError::Closed { code, reason: "bye".into() }),
            Some(Play::FailSends) | None => Ok(None),
        }
    }
}

impl Far {
    pub(super) fn say(&self, frame: &[u8]) {
        self.plays.send(Play::Frame(frame.to_vec())).unwrap();
    }

    pub(super) fn reply(&self, status: u16, body: &str) {
        self.plays.send(Play::Response(status, body.as_bytes().to_vec(), None)).unwrap();
    }

    /// The venue refuses a request for now.
    pub(super) fn put_off(&self, retry_after: &str) {
        let told = RetryAfter::read(retry_after.as_bytes());
        self.plays.send(Play::Response(429, Vec::new(), told)).unwrap();
    }

    pub(super) fn close(&self, code: u16) {
        self.plays.send(Play::Close(code)).unwrap();
    }

    pub(super) fn fail_sends(&self) {
        self.plays.send(Play::FailSends).unwrap();
    }

    /// What was sent since the last look.
    pub(super) fn sent(&self) -> Vec<String> {
        self.sent.try_iter().collect()
    }
}
