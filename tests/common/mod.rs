//! What the end-to-end tests share: both simulated venues in this process, the real binary as a child, its log as
//! lines, and the venues' private truth to judge it by.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod bench;

pub use bench::{Bench, Line, patience};
