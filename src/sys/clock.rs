//! The `Clock` seam: where a thread reads the time once per cycle and hands it down.

use crate::types::Nanos;

/// Source of the engine's timeline. Production anchors the monotonic clock once; a simulation supplies its own.
pub trait Clock: Send {
    fn now(&self) -> Nanos;
}
