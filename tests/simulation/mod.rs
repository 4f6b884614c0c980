//! Deterministic simulation of the whole engine: the real threads as values, the real rings, journal format, gate,
//! codecs and state machines, in one thread on a virtual clock, against both simulated venues; a seed decides
//! everything. Used by `tests/simulation.rs` (what every commit runs) and by the example `campaign` (the long runs).
//! Only signatures are believed unseen in most runs, and sockets, clock and file replaced at their seams.
//!
//! ```text
//!  options ─▶ run ─▶ engine: the threads, wired as `topology` wires them
//!              │  ▲         │ seams (connections, HTTP, clock) · disk (journal)
//!    faults ───┤  └─────── world: both venues, time, chance, trace
//!    venue_faults           │
//!              └─▶ check ◀─ truth: what the venues really hold         coverage: what was reached
//! ```
#![allow(dead_code, reason = "the tests and the campaign each use their part")]

pub mod booked;
pub mod check;
pub mod coverage;
pub mod deals;
pub mod disk;
pub mod engine;
pub mod excuse;
pub mod faults;
pub mod limits;
pub mod lone;
pub mod options;
pub mod planted;
pub mod progress;
pub mod run;
pub mod seams;
pub mod setting;
pub mod simulate;
pub mod trace;
pub mod truth;
pub mod venue_faults;
pub mod venue_rules;
pub mod verdict;
pub mod violation;
pub mod world;
