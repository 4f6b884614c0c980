//! Two simulated exchanges in one process, each speaking its venue's own protocol over TLS on loopback.
//!
//! Written from the venues' public documents alone: it imports nothing of the engine, so that a misread
//! of a document cannot cancel itself out. Reading order:
//!
//! ```text
//! options ─▶ run (Sim::start) ─▶ tls, server ─▶ vest | paradex   (wires: text and bytes in and out)
//!                                             │
//!                          control ──▶ venue ─┘            (the core behind a lock, driven by the clock)
//!                                        └──▶ core         (pure: books, orders, accounts, faults)
//!                                    meter, line           (what the venues see; cutting connections)
//! ```
#![forbid(unsafe_code)]

pub mod command;
pub mod control;
mod control_port;
pub mod core;
pub mod demo;
pub mod line;
pub mod meter;
pub mod options;
pub mod paradex;
pub mod run;
pub mod scenario;
pub mod server;
mod soak;
mod summary;
pub mod tls;
pub mod venue;
pub mod vest;
pub mod watch;

pub use control::Control;
pub use options::Options;
pub use run::{Endpoints, Running, Sim};
