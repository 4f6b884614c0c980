//! The vocabulary: money, identities, time, messages and bounds. Every stage speaks it; it imports nothing.

pub mod book;
pub mod ids;
pub mod limits;
pub mod market;
pub mod message;
pub mod money;
pub mod order;
pub mod planted;
pub mod ready;
pub mod record;
pub mod report;
pub mod secret;
pub mod settings;
pub mod tally;
pub mod text;
pub mod time;

pub use book::{BookUpdate, Level};
pub use ids::{ClientId, Direction, PairId, Side, VenueId};
pub use market::{MarketRules, MarketStatus, Ticker, VenueMode};
pub use message::{
    Command, Exposure, ExposureState, Intent, IntentKind, Mode, Quote, SizeSet, StopReason, Walk,
};
pub use money::{DecimalError, Price, Qty, Rate, Usd};
pub use order::{
    Fill, OrderKind, OrderNews, OrderReport, OrderSpec, OrderState, Pool, Profile, Purpose, Reject,
    RejectClass, Told, ToldMarket,
};
pub use record::{Record, RecordKind};
pub use secret::Secret;
pub use settings::Settings;
pub use text::{Text, quoted};
pub use time::Nanos;
