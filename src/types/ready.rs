//! Orders signed before they are wanted: what `spread` asks to be kept ready, and what `signer` hands to `order`.

use super::ids::{Direction, PairId};
use super::money::{Price, Qty, Rate};
use super::order::OrderSpec;
use super::text::Text;
use super::time::Nanos;

/// A signature as the body of its order carries it, quotation marks not included. The longest is two decimal numbers of
/// 76 digits.
pub type SignedText = Text<176>;

/// A trade that `spread` may soon wish. Newest wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Near {
    pub pair: PairId,
    /// Direction that the trade opens; closing is opening the other way.
    pub direction: Direction,
    /// The trade closes a held pair: its orders are reduce-only.
    pub closes: bool,
    /// Base units per leg.
    pub qty: Qty,
    /// Worst price that the trade touches now, per leg: where the limits will be.
    pub worst: [Price; 2],
    /// How far an entry's edge is from what it must be; negative when it is there.
    pub missing: Rate,
    pub at: Nanos,
}

/// What a venue has hashed of an order whose limit is not known yet, in words of its own.
pub type Begun = [u64; 16];

/// How far the signing has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    Signed(SignedText),
    /// All but the limit is in; that of `spec` means nothing.
    Begun(Begun),
}

/// One order, signed or begun. Everything that was signed stands in `spec`; its id and window are not signed by any
/// venue and are given at the send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    pub spec: OrderSpec,
    pub made: Made,
}
