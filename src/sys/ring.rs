//! Single-producer single-consumer rings between threads (`rtrb`), with a counter for what did not fit. The names and
//! depths stand in `topology`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A ring of `depth` messages.
pub fn ring<T>(depth: usize) -> (Tx<T>, Rx<T>) {
    let (producer, consumer) = rtrb::RingBuffer::new(depth);
    let refused = Arc::new(AtomicU64::new(0));
    (Tx { producer, refused: Arc::clone(&refused) }, Rx { consumer, refused })
}

/// Producing end. Owned by one thread.
pub struct Tx<T> {
    producer: rtrb::Producer<T>,
    refused: Arc<AtomicU64>,
}

impl<T> Tx<T> {
    /// Hands over a message, or gives it back (and counts it) when the ring is full.
    pub fn push(&mut self, message: T) -> Result<(), T> {
        self.producer.push(message).map_err(|rtrb::PushError::Full(message)| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            message
        })
    }
}

/// Consuming end. Owned by one thread.
pub struct Rx<T> {
    consumer: rtrb::Consumer<T>,
    refused: Arc<AtomicU64>,
}

impl<T> Rx<T> {
    pub fn pop(&mut self) -> Option<T> {
        self.consumer.pop().ok()
    }

    /// Messages refused since start because the ring was full.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}
