//! Two simulated exchanges in one process, each speaking its venue's own protocol over TLS.
#![forbid(unsafe_code)]

pub mod core;
pub mod options;
