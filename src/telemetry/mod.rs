//! What the engine tells about itself: latency histograms, the closing summary, the status object, and the
//! layer that turns `tracing` events into the same flat lines as everything else.
//!
//! `Telemetry` watches every record and journal entry that the `store` thread sees; nothing here is on the
//! hot path.

pub mod alert;
pub mod alerts;
pub mod attribution;
mod counts;
pub mod latency;
mod links;
pub mod log;
pub mod pager;
pub mod status;
pub mod summary;
mod told;
pub mod watch;

pub use latency::Percentiles;
pub use status::Status;
pub use summary::Summary;
pub use watch::Telemetry;
