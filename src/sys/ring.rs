//! Single-producer single-consumer rings between threads (`rtrb`), with a counter for what did not fit. The names and
//! depths stand in `topology`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::waker::Waker;

/// A ring of `depth` messages.
pub fn ring<T>(depth: usize) -> (Tx<T>, Rx<T>) {
    let (producer, consumer) = rtrb::RingBuffer::new(depth);
    let refused = Arc::new(AtomicU64::new(0));
    (Tx { producer, refused: Arc::clone(&refused), waker: None }, Rx { consumer, refused })
}

/// Producing end. Owned by one thread.
pub struct Tx<T> {
    producer: rtrb::Producer<T>,
    refused: Arc<AtomicU64>,
    waker: Option<Waker>,
}

impl<T> Tx<T> {
    /// The same end, waking the consumer's thread when it sleeps.
    pub fn waking(self, waker: &Waker) -> Self {
        Self { waker: Some(waker.clone()), ..self }
    }

    /// Hands over a message, or gives it back (and counts it) when the ring is full.
    #[inline]
    pub fn push(&mut self, message: T) -> Result<(), T> {
        let pushed = self.producer.push(message).map_err(|rtrb::PushError::Full(message)| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            message
        });
        if let Some(waker) = &self.waker {
            waker.wake();
        }
        pushed
    }

    /// Messages refused since start because the ring was full.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// The consumer is gone.
    pub fn is_abandoned(&self) -> bool {
        self.producer.is_abandoned()
    }
}

/// Consuming end. Owned by one thread.
pub struct Rx<T> {
    consumer: rtrb::Consumer<T>,
    refused: Arc<AtomicU64>,
}

impl<T> Rx<T> {
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        self.consumer.pop().ok()
    }

    /// Messages refused since start because the ring was full.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// The producer is gone; what it left can still be popped.
    pub fn is_abandoned(&self) -> bool {
        self.consumer.is_abandoned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_gives_the_message_back_and_counts_it() {
        let (mut tx, mut rx) = ring(2);
        assert_eq!((tx.push(1), tx.push(2), tx.push(3)), (Ok(()), Ok(()), Err(3)));
        assert_eq!((tx.refused(), rx.refused()), (1, 1));
        assert_eq!((rx.pop(), rx.pop(), rx.pop()), (Some(1), Some(2), None));
    }

    #[test]
    fn a_push_wakes_a_sleeping_consumer() {
        let waker = Waker::new().unwrap();
        let (tx, mut rx) = ring(1);
        let mut tx = tx.waking(&waker);
        waker.arm();
        assert_eq!(rx.pop(), None);
        tx.push('a').unwrap();
        waker.sleep(std::time::Duration::from_secs(3_600));
        assert_eq!(rx.pop(), Some('a'));
    }

    #[test]
    fn each_end_sees_the_other_leave() {
        let (tx, rx) = ring::<u8>(1);
        assert!(!tx.is_abandoned());
        drop(rx);
        assert!(tx.is_abandoned());
    }
}
