//! The machine: threads, clock, rings, sockets, TLS, WebSocket and HTTP connections. It knows bytes, never money.

pub mod clock;
pub mod link;
pub mod mmap;
pub mod rest;
pub mod ring;
