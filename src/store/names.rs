//! What things are called for people: given at start by `topology`, read by everything that writes text or
//! rows.

use crate::journal::entry::Markets;
use crate::types::{PairId, VenueId};

/// Names of the configured pairs and of the venues of the registry, indexed by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub pairs: Vec<PairName>,
    pub venues: Vec<VenueName>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairName {
    pub name: String,
    /// Venues of leg 0 and leg 1.
    pub venues: [VenueId; 2],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VenueName {
    /// Word of rows and labels.
    pub name: &'static str,
    /// Word of log texts.
    pub title: &'static str,
    /// How orders travel there: `WS` or `REST`.
    pub order_wire: &'static str,
}

const UNKNOWN: &str = "unknown";

impl Names {
    pub fn pair(&self, id: PairId) -> &str {
        self.pairs.get(id.index()).map_or(UNKNOWN, |pair| &pair.name)
    }

    /// The journal goes by the names of the configuration of its time.
    pub fn rename(&mut self, id: PairId, markets: &Markets) {
        while self.pairs.len() <= id.index() {
            self.pairs.push(PairName { name: UNKNOWN.to_owned(), venues: markets.venues });
        }
        self.pairs[id.index()] = PairName { name: markets.name.to_string(), venues: markets.venues };
    }

    pub fn venue(&self, id: VenueId) -> &'static str {
        self.venues.get(id.index()).map_or(UNKNOWN, |venue| venue.name)
    }

    pub fn title(&self, id: VenueId) -> &'static str {
        self.venues.get(id.index()).map_or(UNKNOWN, |venue| venue.title)
    }

    pub fn order_wire(&self, id: VenueId) -> &'static str {
        self.venues.get(id.index()).map_or(UNKNOWN, |venue| venue.order_wire)
    }

    /// Venue of a leg (0 or 1) of a pair.
    pub fn leg(&self, pair: PairId, leg: usize) -> Option<VenueId> {
        self.pairs.get(pair.index()).and_then(|pair| pair.venues.get(leg)).copied()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Two venues and two pairs.
    pub(crate) fn names() -> Names {
        let pair = |name: &str| PairName { name: name.to_owned(), venues: [VenueId(0), VenueId(1)] };
        let venue = |name, title, order_wire| VenueName { name, title, order_wire };
        Names {
            pairs: vec![pair("BTC"), pair("ETH")],
            venues: vec![venue("vest", "Vest", "REST"), venue("paradex", "Paradex", "WS")],
        }
    }

    #[test]
    fn what_is_not_configured_is_unknown() {
        assert_eq!(names().pair(PairId(1)), "ETH");
        assert_eq!(names().pair(PairId(9)), "unknown");
        assert_eq!(names().leg(PairId(0), 1), Some(VenueId(1)));
        assert_eq!(names().leg(PairId(9), 1), None);
    }
}
