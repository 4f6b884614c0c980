//! What several integration tests share.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod admin;
pub mod bench;
pub mod campaign;
pub mod canary;
pub mod disk;
pub mod gate;
pub mod logged;
pub mod money;
pub mod port;
pub mod postgres;
pub mod proxy;
pub mod receiver;
pub mod run;
pub mod spy;
pub mod tables;
pub mod trouble;

#[allow(unused_imports, reason = "the store tests have no engine")]
pub use bench::Bench;
