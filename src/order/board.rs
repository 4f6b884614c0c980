//! What `order` shows of itself to `main`: a few atomics, written each tick, read by whoever waits for the end.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use super::core::Core;
use crate::types::Mode;

/// State of the order stage at its last tick.
#[derive(Debug, Default)]
pub struct Board {
    mode: AtomicU8,
    stopped: AtomicBool,
    live_orders: AtomicU32,
    /// Pairs that hold something, and those of them whose legs do not match.
    held: AtomicU32,
    lone: AtomicU32,
}

impl Board {
    pub(super) fn show(&self, core: &Core) {
        let pairs = core.pairs();
        let live: usize = pairs.iter().map(|pair| pair.live_orders().count()).sum();
        let held = pairs.iter().filter(|pair| !pair.book.is_flat()).count();
        let lone = pairs.iter().filter(|pair| pair.is_lone()).count();
        self.show_mode(core.mode());
        self.live_orders.store(live as u32, Ordering::Relaxed);
        self.held.store(held as u32, Ordering::Relaxed);
        self.lone.store(lone as u32, Ordering::Relaxed);
        // Last, so that whoever sees the end sees the rest as it was then.
        self.show_stopped(core.is_stopped());
    }

    /// Shows whether the stop has ended.
    pub fn show_stopped(&self, stopped: bool) {
        self.stopped.store(stopped, Ordering::Release);
    }

    /// Shows the mode alone.
    pub fn show_mode(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::Relaxed);
    }

    /// The stop has ended: nothing open, nothing unknown, verified by query.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    pub fn mode(&self) -> Mode {
        const MODES: [Mode; 4] = [Mode::Active, Mode::Paused, Mode::Reducing, Mode::Halted];
        MODES[usize::from(self.mode.load(Ordering::Relaxed)) % MODES.len()]
    }

    pub fn live_orders(&self) -> u32 {
        self.live_orders.load(Ordering::Relaxed)
    }

    pub fn held_pairs(&self) -> u32 {
        self.held.load(Ordering::Relaxed)
    }

    pub fn lone_legs(&self) -> u32 {
        self.lone.load(Ordering::Relaxed)
    }
}
