//! What several integration tests share.

pub mod postgres;
pub mod proxy;
pub mod run;
