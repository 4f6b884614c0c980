//! A stage from outside, at a virtual time.
