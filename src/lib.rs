//! bot4
