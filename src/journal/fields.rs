//! How each field of an [`Entry`] lies in bytes: little-endian, in the order written here, no padding. Called
//! by `codec` alone. A change of order, width or meaning is a new version of the format.

use super::entry::{Done, Entry, History, IntentEntry, IntentOrder, Markets, Newest, Tail, Totals, Unproven};
use crate::position::{Adjustment, Ledger, LegBook, PairBook};
use crate::types::limits::{PAIRS_MAX, VENUES_MAX};
use crate::types::message::{Mode, StopReason};
use crate::types::tally::{Counted, Tally};
use crate::types::{
    ClientId, Direction, Fill, IntentKind, MarketRules, MarketStatus, Nanos, OrderSpec, OrderState, PairId,
    Price, Purpose, Qty, Rate, Side, Text, Usd, VenueId,
};

/// Largest payload of one entry, bytes. An intent with two orders takes under 300.
pub const PAYLOAD_MAX: usize = 768;

/// Bytes being written, in place.
pub struct Writer {
    bytes: [u8; PAYLOAD_MAX],
    len: usize,
}

impl Writer {
    pub const fn new() -> Self {
        Self { bytes: [0; PAYLOAD_MAX], len: 0 }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }
}

/// Bytes being read. Every take is checked: the bytes may be anything.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], FieldError> {
        let short = FieldError { what: "entry", got: self.0.len() as u64, expected: "more bytes" };
        let (taken, rest) = self.0.split_at_checked(count).ok_or(short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FieldError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }
}

/// A field that cannot be what its bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: got {got}, expected {expected}")]
pub struct FieldError {
    pub what: &'static str,
    pub got: u64,
    pub expected: &'static str,
}

/// A value with a place in the format.
pub trait Field: Sized {
    fn put(&self, out: &mut Writer);
    fn take(from: &mut Reader<'_>) -> Result<Self, FieldError>;
}

macro_rules! integers {
    ($($int:ty),*) => {$(
        impl Field for $int {
            fn put(&self, out: &mut Writer) {
                out.put(&self.to_le_bytes());
            }
            fn take(from: &mut Reader<'_>) -> Result<Self, FieldError> {
                from.array().map(Self::from_le_bytes)
            }
        }
    )*};
}

macro_rules! money {
    ($($name:ident),*) => {$(
        impl Field for $name {
            fn put(&self, out: &mut Writer) {
                self.raw().put(out);
            }
            fn take(from: &mut Reader<'_>) -> Result<Self, FieldError> {
                i64::take(from).map(Self::from_raw)
            }
        }
    )*};
}

/// A small number that indexes a table of `$max` places.
macro_rules! indices {
    ($($name:ident < $max:expr),*) => {$(
        impl Field for $name {
            fn put(&self, out: &mut Writer) {
                self.0.put(out);
            }
            fn take(from: &mut Reader<'_>) -> Result<Self, FieldError> {
                let index = below(stringify!($name), u8::take(from)?, $max)?;
                Ok(Self(index))
            }
        }
    )*};
}

/// A struct is its fields in this order.
macro_rules! structs {
    ($($name:ident { $($field:ident),* })*) => {$(
        impl Field for $name {
            fn put(&self, out: &mut Writer) {
                $(self.$field.put(out);)*
            }
            fn take(from: &mut Reader<'_>) -> Result<Self, FieldError> {
                Ok(Self { $($field: Field::take(from)?),* })
            }
        }
    )*};
}

/// An enum without fields is one byte.
macro_rules! tags {
    ($($name:ident { $($variant:ident = $tag:literal),* })*) => {$(
        impl Field for $name {
            fn put(&self, out: &mut Writer) {
                let tag: u8 = match self { $(Self::$variant => $tag),* };
                tag.put(out);
            }
            fn take(from: &mut Reader<'_>) -> Result<Self, FieldError> {
                match u8::take(from)? {
                    $($tag => Ok(Self::$variant),)*
                    got => Err(unknown(stringify!($name), got)),
                }
            }
        }
    )*};
}

/// An entry is its kind (in the frame's header) and its fields in this order.
macro_rules! entries {
    ($($kind:literal $variant:ident { $($field:ident),* })*) => {
        impl Entry {
            /// Number of this kind of entry in the format. Numbers are never used again.
            pub const fn kind(&self) -> u8 {
                match self { $(Self::$variant { .. } => $kind),* }
            }

            pub(super) fn put(&self, out: &mut Writer) {
                match self { $(Self::$variant { $($field),* } => { $($field.put(out);)* })* }
            }

            pub(super) fn take(kind: u8, from: &mut Reader<'_>) -> Result<Self, FieldError> {
                match kind {
                    $($kind => Ok(Self::$variant { $($field: Field::take(from)?),* }),)*
                    got => Err(unknown("kind of entry", got)),
                }
            }
        }
    };
}

integers!(u8, u32, u64, i64);
money!(Price, Qty, Usd, Rate);
indices!(VenueId < VENUES_MAX, PairId < PAIRS_MAX);

structs! {
    ClientId { epoch, seq, leg }
    LegBook { qty, cash, fees, funding }
    Ledger { entry_edge, exit_cost, slippage, fees, funding, unwinds }
    PairBook { legs, direction, reference, basis, decided_edge, opened_at, entry_edge, exit_cost, unwinds }
    Fill { id, qty, price, fee, funding }
    Done { filled, fee, cost, busted, funding_told }
    OrderSpec {
        id, venue, pair, side, purpose, qty, limit, reduce_only, signed_ms, nonce, window_ms
    }
    MarketRules {
        tick, lot, min_qty, max_qty, min_notional, price_places, qty_places, taker, initial_margin,
        maintenance_margin, price_band, ends_ms, status
    }
    IntentEntry { seq, pair, kind, edge, basis, mid, orders, before, at }
    Totals {
        ledger, pairs_opened, pairs_closed, orders_sent, nonce_high, losing_in_a_row, day, day_result, halted,
        unjudged
    }
    Unproven { sold, bought }
    Newest { epoch, seq, nonce, at }
    Tail { epoch, newest, since_ms, before_ms }
    History { newest, unread }
    Markets { name, venues, symbols }
}

tags! {
    Counted {
        EntriesPerMinute = 0, EntriesPerHour = 1, EntriesPerDay = 2, FailedEntries = 3, UnwindsPerHour = 4,
        OrdersPerDay = 5
    }
    Side { Buy = 0, Sell = 1 }
    Direction { A = 0, B = 1 }
    MarketStatus { Trading = 0, Halted = 1, Untold = 2 }
    Purpose { Enter = 0, Exit = 1, Complete = 2, Unwind = 3 }
    Mode { Active = 0, Paused = 1, Reducing = 2, Halted = 3 }
    StopReason {
        Threshold = 0, Widening = 1, MaxHold = 2, Carry = 3, Margin = 4, Operator = 5, Gone = 6, Ended = 7
    }
    OrderState {
        Intent = 0, Sent = 1, Acked = 2, Unknown = 3, Filled = 4, NoFill = 5, Rejected = 6, NeverAccepted = 7
    }
}

entries! {
    1 Epoch { epoch, config_hash, at }
    2 PairSnapshot { pair, book }
    3 TotalsSnapshot { totals }
    4 OrderSnapshot { order, state, venue_id, done, at }
    5 Intent { intent }
    6 Sent { id, at }
    7 Acked { id, venue_id, at }
    8 Unknown { id, at }
    9 Filled { id, fill, at }
    10 Busted { id, fill, at }
    11 Closed { id, state, filled, reason, at }
    12 PairOpened { pair, direction, qty, spread, at }
    13 PairClosed { pair, reason, spread, ledger, at }
    14 Funding { venue, pair, amount, at }
    15 Mode { mode, why, at }
    16 Stopped { at }
    17 PairHeld { pair, spread }
    18 Adjusted { pair, by, at }
    19 Tally { of, venue, tally }
    20 Unproven { pair, leg, open, at }
    21 Rules { pair, leg, rules, at }
    22 History { venue, history }
    23 Named { pair, markets }
}

impl Field for Nanos {
    fn put(&self, out: &mut Writer) {
        self.0.put(out);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        u64::take(from).map(Self)
    }
}

impl Field for Tally {
    fn put(&self, out: &mut Writer) {
        self.newest.put(out);
        self.counts.iter().for_each(|count| count.put(out));
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        let mut tally = Self { newest: Field::take(from)?, ..Self::default() };
        for count in &mut tally.counts {
            *count = Field::take(from)?;
        }
        Ok(tally)
    }
}

impl Field for bool {
    fn put(&self, out: &mut Writer) {
        u8::from(*self).put(out);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        below("flag", u8::take(from)?, 2).map(|byte| byte == 1)
    }
}

impl Field for IntentOrder {
    fn put(&self, out: &mut Writer) {
        self.spec.put(out);
        self.leg.put(out);
        self.expected.put(out);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        let spec = Field::take(from)?;
        let leg = below("leg", u8::take(from)?, 2)?;
        Ok(Self { spec, leg, expected: Field::take(from)? })
    }
}

impl Field for Adjustment {
    fn put(&self, out: &mut Writer) {
        self.leg.put(out);
        self.side.put(out);
        self.qty.put(out);
        self.price.put(out);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        let leg = below("leg", u8::take(from)?, 2)?;
        Ok(Self { leg, side: Field::take(from)?, qty: Field::take(from)?, price: Field::take(from)? })
    }
}

impl Field for IntentKind {
    fn put(&self, out: &mut Writer) {
        match self {
            Self::Enter(direction) => {
                0_u8.put(out);
                direction.put(out);
            }
            Self::Exit(reason) => {
                1_u8.put(out);
                reason.put(out);
            }
        }
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        match u8::take(from)? {
            0 => Field::take(from).map(Self::Enter),
            1 => Field::take(from).map(Self::Exit),
            got => Err(unknown("IntentKind", got)),
        }
    }
}

impl<T: Field> Field for Option<T> {
    fn put(&self, out: &mut Writer) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        bool::take(from)?.then(|| T::take(from)).transpose()
    }
}

impl<T: Field> Field for [T; 2] {
    fn put(&self, out: &mut Writer) {
        self[0].put(out);
        self[1].put(out);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        Ok([T::take(from)?, T::take(from)?])
    }
}

impl<const N: usize> Field for Text<N> {
    fn put(&self, out: &mut Writer) {
        let text = self.as_str().as_bytes();
        (text.len() as u8).put(out);
        out.put(text);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        let len = u8::take(from)?;
        let bytes = from.take(usize::from(len))?;
        let text = std::str::from_utf8(bytes).ok().and_then(Self::new);
        text.ok_or(FieldError { what: "text", got: u64::from(len), expected: "UTF-8 that fits its field" })
    }
}

fn below(what: &'static str, got: u8, max: usize) -> Result<u8, FieldError> {
    let in_range = usize::from(got) < max;
    in_range.then_some(got).ok_or(FieldError { what, got: u64::from(got), expected: "an index in range" })
}

fn unknown(what: &'static str, got: u8) -> FieldError {
    FieldError { what, got: u64::from(got), expected: "a value that this version knows" }
}
