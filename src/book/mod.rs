//! 2 BOOK. What stands in one venue's books and what our sizes would cost there. Pure ladders, their pricing and the
//! thread `md:<venue>` that feeds them from the wire.

pub mod conflate;
pub mod flood;
pub mod ladder;
pub mod market;
pub mod pricing;
pub mod thread;
