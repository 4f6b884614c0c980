//! A promise that was broken, in words.

use std::fmt;

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

pub fn broken<T>(what: impl fmt::Display) -> Result<T, Violation> {
    Err(Violation(what.to_string()))
}
