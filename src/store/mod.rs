//! 8 STORE. Everything cold that becomes of facts: log lines on stdout and rows in a database. Nothing here
//! is ever waited for by trading; what the database holds is a copy of the journal.
//!
//! `thread` drains the rings of records and tails the journal into lines; `db` tails the journal into tables,
//! on a thread of its own, so that a hung database stalls nothing else; `disk` syncs the journal, for the same reason.

pub mod claim;
pub mod db;
pub mod disk;
pub mod follow;
pub mod line;
pub mod lines;
pub mod names;
pub mod number;
pub mod output;
pub mod postgres;
pub mod profit;
pub mod project;
pub mod read;
pub mod redact;
pub mod schema;
pub mod sql;
pub mod sqlite;
pub mod thread;

pub use claim::Claim;
pub use db::{DbHealth, DbThread};
pub use disk::DiskThread;
pub use line::{Level, Line};
pub use names::{Names, PairName, VenueName};
pub use output::{Output, OutputGuard};
pub use read::{check_version, migrate, restore};
pub use redact::Redactor;
pub use sql::{DbError, Target};
pub use thread::{Observer, StoreHealth, StoreThread};
