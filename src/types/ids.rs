//! Identities: venues, pairs, sides, the two directions of a pair and our own order ids.

use std::fmt;

use super::money::write_whole;
use super::text::Text;

/// Index of a venue in the registry (`venue::REGISTRY`); stages index arrays by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VenueId(pub u8);

impl VenueId {
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Index of a pair in the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PairId(pub u8);

impl PairId {
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Side of an order as the venue sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    Buy,
    Sell,
}

impl Side {
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// +1 for a buy, -1 for a sell: the sign of what a fill adds to a position.
    pub const fn sign(self) -> i64 {
        match self {
            Self::Buy => 1,
            Self::Sell => -1,
        }
    }

    /// The word of the requirements' log lines.
    pub const fn position_word(self) -> &'static str {
        match self {
            Self::Buy => "long",
            Self::Sell => "short",
        }
    }
}

/// The two ways to hold a pair (MONEY, notation). Leg 0 is the pair's first venue, leg 1 its second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Long leg 0, short leg 1.
    A,
    /// Long leg 1, short leg 0.
    B,
}

impl Direction {
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    pub const fn index(self) -> usize {
        self as usize
    }

    pub const fn opposite(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// Side of the order that opens leg `leg` (0 or 1).
    pub const fn open_side(self, leg: usize) -> Side {
        match (self, leg) {
            (Self::A, 0) | (Self::B, 1) => Side::Buy,
            _ => Side::Sell,
        }
    }

    /// Side of the order that closes leg `leg` (0 or 1).
    pub const fn close_side(self, leg: usize) -> Side {
        self.open_side(leg).opposite()
    }
}

/// Our identity of one order: epoch of the run, sequence of the intent in it, leg. Unique for ever, strictly rising
/// (SAFETY §2.0, identity).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId {
    pub epoch: u32,
    pub seq: u32,
    pub leg: u8,
}

impl ClientId {
    /// Text of the identity on the wire: `epoch-seq-leg`, at most 23 characters.
    pub fn text(self) -> Text<24> {
        Text::cut(&self.to_string())
    }

    /// Writes the same text.
    pub fn write(self, out: &mut impl fmt::Write) -> fmt::Result {
        write_whole(out, self.epoch.into())?;
        out.write_char('-')?;
        write_whole(out, self.seq.into())?;
        out.write_char('-')?;
        write_whole(out, self.leg.into())
    }

    /// Reads [`ClientId::text`] back; `None` for anything that is not one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let id = Self {
            epoch: parts.next()?.parse().ok()?,
            seq: parts.next()?.parse().ok()?,
            leg: parts.next()?.parse().ok()?,
        };
        (parts.next().is_none() && id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_ids_round_trip_and_refuse_others() {
        let id = ClientId { epoch: 7, seq: 42, leg: 1 };
        assert_eq!(ClientId::parse("7-42-1"), Some(id));
        for other in ["", "7-42", "7-42-1-0", "07-42-1", "a-b-c", "7-42-300"] {
            assert_eq!(ClientId::parse(other), None, "{other}");
        }
    }

    #[test]
    fn directions_mirror_each_other() {
        for leg in 0..2 {
            assert_eq!(Direction::A.open_side(leg), Direction::B.close_side(leg));
        }
        assert_eq!(Direction::A.open_side(0), Side::Buy);
    }
}
