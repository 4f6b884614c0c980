//! The Stark curve: arithmetic, tables and signatures, as fast as the order path needs them. Owned by `hash` and
//! `sign`; knows no order. Held against `starknet-crypto` by differential tests; verification stays with that crate.
//!
//! The time that an operation takes depends on its operands, as in every library for this curve: nobody else may run on
//! a trading host.

pub mod ecdsa;
mod inverse;
pub mod mont;
pub mod pedersen;
#[cfg(test)]
mod play;
mod point;
mod window;
