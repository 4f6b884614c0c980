//! Bounds that more than one stage relies on, each with its reason; relations between them are asserted at compile
//! time. A bound of one file stands in that file.

/// Venues that arrays are indexed by; two today, a third fits without a change of type.
pub const VENUES_MAX: usize = 4;
/// Pairs of one process; `Quote` traffic and the pair table are sized from it.
pub const PAIRS_MAX: usize = 16;
/// Levels kept per side of a ladder. Paradex showed up to 124 (sheet `paradex`, 5.5), Vest 40.
pub const LEVELS_MAX: usize = 512;
/// Sizes a `Quote` is priced at: the configured size, a half and a quarter of it.
pub const SIZES: usize = 3;
/// Largest WebSocket message taken, bytes; a whole Paradex book is under 4 KiB (SAFETY M8).
pub const WS_MESSAGE_MAX: usize = 1 << 20;
/// Largest WebSocket frame taken, bytes (SAFETY M8).
pub const WS_FRAME_MAX: usize = 256 << 10;
/// Fragments of one WebSocket message: empty ones would never reach [`WS_MESSAGE_MAX`] (SAFETY M8).
pub const WS_FRAGMENTS_MAX: usize = 4_096;
/// Bytes that a WebSocket's buffer begins with; it grows to a larger frame when one is announced.
pub const WS_BUFFER: usize = 64 << 10;
/// Largest HTTP response body taken, bytes, after decompression (SAFETY C14).
pub const HTTP_BODY_MAX: usize = 4 << 20;
/// Largest head of an HTTP response taken, bytes; also the bound of a chunked body's trailer.
pub const HTTP_HEAD_MAX: usize = 16 << 10;
/// Requests that may wait for their reply on one warm connection: more than the live orders of all pairs.
pub const HTTP_PIPELINE_MAX: usize = 64;
/// A whole HTTP exchange lasts at most so long, from the request to the last byte of the reply (SAFETY C13).
pub const HTTP_DEADLINE_MS: u64 = 5_000;
/// A venue that asks to be left alone is heeded for so long at most: what it asks may be absurd (SAFETY C9).
pub const RETRY_AFTER_MAX_MS: u64 = 60_000;
/// A blocking link comes back from an idle read after this, so that its owner can ping and check deadlines.
pub const LINK_READ_TIMEOUT_MS: u64 = 250;
/// Bytes sent and not acknowledged by the peer's kernel for so long end a connection (SAFETY C4).
pub const TCP_USER_TIMEOUT_MS: u32 = 10_000;
/// Bytes of one serialised order with its HTTP head or WebSocket envelope.
pub const ORDER_BYTES_MAX: usize = 2048;
/// Bytes of a venue's order id; Vest's may be a 66-character hash (sheet `vest`, 4.1).
pub const VENUE_ORDER_ID_MAX: usize = 80;
/// Bytes of the name of a pair and of a market's symbol.
pub const NAME_MAX: usize = 32;
/// Bytes of a venue's code or reason kept for logs (SAFETY 5.5 caps venue text).
pub const REASON_MAX: usize = 64;
/// Live orders one pair can have at once: two legs, and a mending order is only sent when they are terminal.
pub const ORDERS_PER_PAIR: usize = 2;
/// A clock of ours that is later than a venue's by more than this is for a restart, which sets it anew, ms.
pub const LATE_MAX_MS: i64 = 30_000;
/// Depths of the rings; what happens to what finds one full stands in `topology`. A spread thread that sleeps through
/// so many quotes conflates.
pub const QUOTE_RING: usize = 1024;
/// One wish of each pair, twice.
pub const INTENT_RING: usize = 64;
/// What each pair may do, told at each change; the newest counts.
pub const EXPOSURE_RING: usize = 256;
/// Trades that came near: told many times a second, the newest of each counts.
pub const NEAR_RING: usize = 256;
/// Orders signed ahead on their way: several ladders of both legs.
pub const READY_RING: usize = 1024;
/// Questions and answers of all that can be in flight, eight times over.
pub const KEEPER_RING: usize = 1024;
/// What people type.
pub const COMMAND_RING: usize = 64;
/// A second of records at twenty times the market data, while `store` sleeps.
pub const RECORD_RING: usize = 8192;
/// Alerts on their way to their thread; a condition is told once, so that few can be on their way at once.
pub const ALERT_RING: usize = 64;

const _: () = assert!(WS_FRAME_MAX <= WS_MESSAGE_MAX);
const _: () = assert!(ORDER_BYTES_MAX < WS_FRAME_MAX);
const _: () = assert!(EXPOSURE_RING >= PAIRS_MAX);
const _: () = assert!(KEEPER_RING >= 8 * PAIRS_MAX * ORDERS_PER_PAIR);
const _: () = assert!(INTENT_RING >= PAIRS_MAX);
const _: () = assert!(HTTP_PIPELINE_MAX >= PAIRS_MAX * ORDERS_PER_PAIR);
const _: () = assert!(HTTP_HEAD_MAX < HTTP_BODY_MAX);
