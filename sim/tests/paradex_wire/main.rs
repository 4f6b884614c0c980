//! Paradex over real TLS, by a small client written from the venue sheet: it logs in, streams, trades, sees its
//! fills, and is refused where the sheet says so. It shares no code with the simulator it talks to.

mod auth;
mod client;
mod lifecycle;
mod orders;
mod refusals;
mod sbe;
mod signer;
mod streams;
