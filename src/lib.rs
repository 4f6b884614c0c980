//! bot4 trades the gap between two perpetual-futures exchanges. This page is the map.
//!
//! ```text
//!  vest    ══wss══▶ md:vest ────┬─ Quote ─▶ spread ── Intent ──▶        ┌─▶ https ═▶ vest     (signed orders)
//!                               │                             order ────┤
//!  paradex ══wss══▶ md:paradex ─┴─ Quote ───────────────────▶           └─▶ wss ═══▶ paradex  (signed orders)
//!                                                               │  ▲ ◀═ private streams of both venues
//!                 spread ── Near ──▶ signer ── Ready ──────────▶│  │
//!           main: signals, control socket ── Command ──▶        │  └─── Answer ── keeper (one per venue)
//!                                                               ▼
//!                                                            journal ─▶ store: log, summary, status
//!                                                                   └─▶ db: SQLite or Postgres
//! ```
//!
//! A thread is a plain value with `poll(now) -> worked`; [`topology`] is the only place that knows which value runs on
//! which operating-system thread and which ring joins whom. Between the last byte of a book update and the first byte
//! of an order nothing blocks, nothing formats and nothing computes in floating point. Threads share rings with one
//! producer and one consumer, the journal's mapping (one writer), a board of atomics, and read-only start-up data.
//!
//! # Reading order
//!
//! As the data flows; a stage imports itself and those above it.
//!
//! | stage | owns | file to begin with |
//! |---|---|---|
//! | [`types`] | the vocabulary: money, ids, time, messages, limits | `types/money.rs`, `types/message.rs` |
//! | [`sys`] | the machine: threads, rings, sockets, TLS, HTTP, WebSocket, clock | `sys/thread.rs`, `sys/link.rs` |
//! | [`venue`] | the wires; `mod.rs` is the seam and the registry | `venue/mod.rs` |
//! | [`book`] | ladders and quotes; thread `md:<venue>` | `book/ladder.rs`, `book/thread.rs` |
//! | [`spread`] | edge, cost, standing basis, signal; thread `spread` | `spread/edge.rs`, `spread/signal.rs` |
//! | [`position`] | fills to positions and a profit ledger that adds up | `position.rs` |
//! | [`journal`] | what was meant and what happened, in a mapped file | `journal/entry.rs` |
//! | [`order`] | gate, life of orders and pairs, stop; threads `order`, `signer` | `order/core.rs`, `order/thread.rs` |
//! | [`keeper`] | everything cold that blocks: tokens, queries, reconnects | `keeper/thread.rs` |
//! | [`store`] | the databases, the log lines, the disk; threads `store`, `db`, `disk`, `log` | `store/thread.rs` |
//! | [`telemetry`] | latencies, status, summary, alerts; thread `alerts` | `telemetry/{watch,alerts}.rs` |
//!
//! Beside them stand [`config`] (text to checked settings), [`control`] (the Unix socket), [`cli`] (the verbs) and
//! [`topology`] (the table; the only code that sees every stage).
//!
//! # What comments cite
//!
//! O1 to O22, M1 to M17, C1 to C17, V1 to V13, L1 to L20, R1 to R7 and K0 to K22 are rows of the failure catalogue: the
//! table in `tests/simulation/coverage.rs` says what each is. A "sheet" is what was read of a venue's public documents,
//! "MONEY" the sums of `spread/edge.rs` and `position.rs`, "SAFETY" the rules that README lists as promises (where it
//! does not stand before an `unsafe`).
//!
//! # Rules, held by `tests/tidy.rs`
//!
//! * Nobody imports a later stage. In `book`, `spread`, `position`, `order` and `keeper` only the threads' own files
//!   (`thread.rs`, `signer.rs`) know `sys` and `venue`; everything else there is pure: values in, values out.
//! * A venue's name stands in code only inside `venue/<name>/` and in the registry. A third venue is one folder, one
//!   line in the registry and one section of the configuration.
//! * `unsafe` stands only in `sys`, each use with its reason. Locks, clocks, threads and printing have one place each.
//! * Outside tests nothing unwraps: what a venue sends is an error with what was got and what was expected.

// Tests may start threads, read clocks, print and unwrap; the engine may not (clippy.toml says why).
#![cfg_attr(not(test), warn(clippy::disallowed_methods, clippy::disallowed_types))]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]
#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

pub mod book;
pub mod cli;
pub mod config;
pub mod control;
pub mod journal;
pub mod keeper;
pub mod order;
pub mod position;
pub mod spread;
pub mod store;
pub mod sys;
pub mod telemetry;
pub mod topology;
pub mod types;
pub mod venue;
