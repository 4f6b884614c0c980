//! The questions and answers between the hot threads and `keeper`, under one name.

pub use super::{Answer, Ask};
