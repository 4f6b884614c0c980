//! The machine: threads, clock, rings, sockets, TLS, WebSocket and HTTP connections. It knows bytes, never money.

// `parked` and `seqlock` take their atomics from here, so that the model checker in `loom/` can put its own in their
// place.
use std::sync::atomic;

pub mod allocations;
pub mod clock;
pub mod cores;
pub mod frame;
#[cfg(test)]
pub mod fuzz;
pub mod host;
pub mod http;
pub mod http1;
pub mod link;
pub mod lock;
#[cfg(test)]
mod loopback;
pub mod mmap;
pub mod notify;
pub mod pages;
mod parked;
pub mod process;
pub mod realtime;
pub mod rest;
pub mod retry_after;
pub mod ring;
mod seqlock;
pub mod signals;
pub mod socket;
pub mod thread;
pub mod tls;
mod tsc;
mod upgrade;
pub mod url;
pub mod waker;
pub mod ws;
