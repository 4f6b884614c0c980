//! The Paradex wire: REST and WebSocket in front of the exchange core, written from the Paradex sheet alone.
//!
//! ```text
//! rest ─▶ rest_public, rest_private ─┐             ┌─ order_request ─ typed_data ─ felt
//!                                    ├─▶ desk ─────┼─ token, limits
//! connection ─▶ session ─────────────┘             └─ core::Exchange
//!                  └─▶ feed ─▶ view, market ─▶ record ─▶ sbe, sbe_private | json
//! ```
//!
//! It knows how Paradex words things; prices, matching and money are the core's. Strict where the sheet is
//! firm, lenient where its table of disputed points says so.

mod channel;
mod connection;
mod desk;
mod directory;
mod error;
mod feed;
mod felt;
mod json;
mod limits;
mod market;
mod order_request;
mod record;
mod rest;
mod rest_private;
mod rest_public;
mod rpc;
mod sbe;
mod sbe_private;
mod session;
mod token;
mod typed_data;
mod view;

pub use connection::Connection;
pub use desk::Desk;
pub use rest::call;
pub use session::Floor;

/// Where the WebSocket is.
pub const SOCKET_PATH: &str = "/v1";
