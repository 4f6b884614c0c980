//! 5 JOURNAL. What was meant and what happened, in order, surviving the death of the process. `order` appends, `store`
//! tails, restart reads the same bytes.

pub mod entry;
