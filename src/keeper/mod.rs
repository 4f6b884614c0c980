//! 7 KEEPER. Everything cold that blocks: REST queries, tokens and listen keys, reconnects, reconciliation. One keeper
//! per venue, so that a venue that hangs never delays the other's way home. `schedule` says what is due (pure);
//! `thread` does it.

pub mod schedule;
pub mod thread;
