//! Orders of this venue signed ahead. Owned by `signer`, with a copy of the key.

use super::abi::Prefix;
use super::access::{API_KEY, Access};
use super::body::{BodyWriter, Terms};
use super::sign::Signer;
use crate::types::limits::PAIRS_MAX;
use crate::types::ready::SignedText;
use crate::types::{MarketRules, OrderKind, OrderSpec, PairId};
use crate::venue::{Presigner, Setup, SetupError};

/// Signs ahead for one account.
pub struct VestPresigner {
    signer: Signer,
    bodies: BodyWriter,
    prefix: Prefix,
    order_kind: OrderKind,
    markets: Vec<(PairId, String)>,
    terms: [Option<Terms>; PAIRS_MAX],
}

impl VestPresigner {
    /// Needs all credentials.
    pub fn new(setup: &Setup) -> Result<Self, SetupError> {
        let mut access = Access::read(setup)?;
        let keys = access.keys.take().ok_or(SetupError::Missing(API_KEY))?;
        Ok(Self {
            signer: keys.signer,
            bodies: BodyWriter::default(),
            prefix: Prefix::default(),
            order_kind: access.order_kind,
            markets: access.markets,
            terms: [const { None }; PAIRS_MAX],
        })
    }
}

impl Presigner for VestPresigner {
    fn set_rules(&mut self, pair: PairId, rules: &MarketRules) {
        if let Some((_, symbol)) = self.markets.iter().find(|market| market.0 == pair) {
            self.terms[pair.index()] = Some(Terms::new(symbol, rules, self.order_kind));
        }
    }

    fn sign(&mut self, spec: &OrderSpec) -> Option<SignedText> {
        let terms = self.terms[spec.pair.index()].as_ref()?;
        let signature = self.bodies.sign_ahead(&self.signer, &mut self.prefix, terms, spec).ok()?;
        SignedText::new(signature.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{ClientId, Price, Purpose, Qty, Side, VenueId};
    use crate::venue::vest::requests::RequestWriter;
    use crate::venue::vest::testing::{BTC, rules, setup};

    #[test]
    fn an_order_signed_ahead_leaves_with_the_bytes_of_one_signed_at_the_send() {
        let mut access = Access::read(&setup()).unwrap();
        let keys = access.keys.take().unwrap();
        let mut writer = RequestWriter::new(&access, keys);
        let mut presigner = VestPresigner::new(&setup()).unwrap();
        writer.set_rules(BTC, &rules(2, 4));
        presigner.set_rules(BTC, &rules(2, 4));
        for (nonce, limit) in [(1, "99999.99"), (1, "100000"), (1, "100000.01"), (2, "100000.01")] {
            let spec = OrderSpec {
                id: ClientId { epoch: 1, seq: 1, leg: 0 },
                venue: VenueId(0),
                pair: BTC,
                side: Side::Buy,
                purpose: Purpose::Enter,
                qty: Qty::parse(b"0.03").unwrap(),
                limit: Price::parse(limit.as_bytes()).unwrap(),
                reduce_only: false,
                signed_ms: 1_767_225_600_124,
                nonce,
                window_ms: 650,
            };
            let signature = presigner.sign(&spec).unwrap();
            let ahead = writer.signed_order(&spec, signature.as_str()).unwrap().to_vec();
            assert_eq!(ahead, writer.order(&spec).unwrap());
        }
    }
}
