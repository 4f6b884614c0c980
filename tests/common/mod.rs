//! What several integration tests share.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

pub mod bench;
pub mod postgres;
pub mod proxy;
pub mod run;

pub use bench::Bench;
