//! Wakes a parked thread through an eventfd. Producers hold it beside their ring, the thread's loop owns the waiting.
//! A wake costs a fence while the consumer is awake and one system call when it sleeps; so it stands on no ring that a
//! hot thread feeds to a parked one, unless the topology says that the delay would cost more.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::parked::Parked;

/// Handle to wake one thread. Copies wake the same thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    parked: Parked,
    event: OwnedFd,
}

impl Waker {
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self(Arc::new(Shared { parked: Parked::new(), event })))
    }

    /// Called by a producer after its message is in the ring.
    #[inline]
    pub fn wake(&self) {
        if self.0.parked.claim() {
            self.signal();
        }
    }

    /// Announces sleep. The consumer must look at its rings once more between this and [`Waker::sleep`].
    pub fn arm(&self) {
        self.0.parked.announce();
    }

    /// Takes the announcement back: that last look found work.
    pub fn disarm(&self) {
        if !self.0.parked.withdraw() {
            self.drain();
        }
    }

    /// Sleeps until woken, at most `timeout`. A wake that came before is not lost.
    pub fn sleep(&self, timeout: Duration) {
        let timeout = Timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        // An interrupted wait is a wake that found nothing: the loop looks at its rings and sleeps again.
        let _interrupted = poll(&mut [PollFd::new(&self.0.event, PollFlags::IN)], Some(&timeout));
        self.disarm();
    }

    fn signal(&self) {
        // The counter cannot overflow: it is written once per sleep and drained after it.
        let _written = rustix::io::write(&self.0.event, &1_u64.to_ne_bytes());
    }

    fn drain(&self) {
        let _empty = rustix::io::read(&self.0.event, &mut [0_u8; 8]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_before_the_sleep_is_not_lost() {
        let waker = Waker::new().unwrap();
        waker.arm();
        waker.clone().wake();
        // Would last an hour if the wake had been lost.
        waker.sleep(Duration::from_secs(3_600));
        assert!(!waker.0.parked.claim(), "no announcement is left");
    }

    #[test]
    fn an_awake_consumer_costs_no_system_call() {
        let waker = Waker::new().unwrap();
        waker.wake();
        assert!(rustix::io::read(&waker.0.event, &mut [0_u8; 8]).is_err(), "nothing was written");
    }

    #[test]
    fn disarm_leaves_no_old_wake_behind() {
        let waker = Waker::new().unwrap();
        waker.arm();
        waker.wake();
        waker.disarm();
        assert!(rustix::io::read(&waker.0.event, &mut [0_u8; 8]).is_err(), "drained");
    }
}
