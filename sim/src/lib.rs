//! Two simulated exchanges in one process, each speaking its venue's own protocol over TLS on loopback.
//!
//! Written from the venues' public documents alone: it imports nothing of the engine, so that a misread
//! of a document cannot cancel itself out. Reading order:
//!
//! ```text
//! options ─▶ run (Sim::start) ─▶ tls, server ─▶ service ─┐   (sockets and HTTP: bytes in and out)
//!                                 control ───────────────┴─▶ venue   (a stage behind a lock, driven by the clock)
//!                                 meter, line                  │      (what the venues see; cutting connections)
//! a simulation on a virtual clock ─────────────────────────▶ stage   (one venue, pure: requests, sockets, truth)
//!                                        vest | paradex, wire ─┤      (pure: text and bytes to and from the core)
//!                                                              └─▶ core   (pure: books, orders, accounts, faults)
//! ```
#![forbid(unsafe_code)]

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
mod service;
mod soak;
pub mod stage;
mod summary;
pub mod tls;
pub mod venue;
pub mod vest;
pub mod wire;

pub use control::Control;
pub use options::Options;
pub use run::{Endpoints, Running, Sim};
