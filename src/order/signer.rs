//! The thread `signer` as a value: signs a ladder of orders for every trade that `spread` says is near, begins one of
//! each kind for whatever else may come, and hands them to `order`. Run by `topology` on a cold core. What is near and
//! when it is due is decided by `rungs`; whether a signed order ever leaves is decided by `order` alone.

use super::rungs::{RENEW_MS, Schedule, rungs, unwinds};
use crate::sys::clock::Clock;
use crate::sys::ring::{Rx, Tx};
use crate::types::ready::{Made, Near, Ready};
use crate::types::{
    ClientId, MarketRules, Nanos, OrderSpec, PairId, Price, Purpose, Qty, Settings, Side, VenueId,
};
use crate::venue::Presigner;

/// Ring ends of the thread.
pub struct SignerRings {
    pub near: Rx<Near>,
    /// Market rules that changed while running.
    pub rules: Rx<(VenueId, PairId, MarketRules)>,
    pub ready: Tx<Ready>,
}

pub struct SignerThread {
    clock: Box<dyn Clock>,
    rings: SignerRings,
    /// By venue.
    presigners: Vec<Box<dyn Presigner>>,
    schedule: Schedule,
    /// Venue and tick of each leg of each pair; no tick, no orders.
    legs: Vec<[(VenueId, Option<Price>); 2]>,
    /// Size of each pair, and when its orders were last begun.
    begun: Vec<(Qty, Nanos)>,
    /// The last nonce given to a ladder. Rising and never below the clock, as those of `order`, which takes an order
    /// only while its nonce is above every one that was sent.
    nonce: u64,
}

impl SignerThread {
    /// `presigners` by venue; `settings.pairs` stand at the index that their id names.
    pub fn new(
        clock: Box<dyn Clock>,
        settings: &Settings,
        presigners: Vec<Box<dyn Presigner>>,
        rings: SignerRings,
    ) -> Self {
        let legs = settings.pairs.iter().map(|pair| pair.venues.map(|venue| (venue, None)));
        Self {
            clock,
            rings,
            presigners,
            schedule: Schedule::new(settings.pairs.len()),
            legs: legs.collect(),
            begun: settings.pairs.iter().map(|pair| (pair.size, Nanos::NEVER)).collect(),
            nonce: 0,
        }
    }

    /// Rules of one leg, before the start. While running they come by ring.
    pub fn set_rules(&mut self, venue: VenueId, pair: PairId, rules: &MarketRules) {
        let Some(legs) = self.legs.get_mut(pair.index()) else { return };
        let Some(leg) = legs.iter_mut().find(|leg| leg.0 == venue) else { return };
        leg.1 = (rules.tick > Price::ZERO).then_some(rules.tick);
        self.presigners[venue.index()].set_rules(pair, rules);
    }

    /// One cycle: at most the orders of one trade. True when it did any work.
    pub fn poll(&mut self, now: Nanos) -> bool {
        let mut worked = false;
        while let Some((venue, pair, rules)) = self.rings.rules.pop() {
            self.set_rules(venue, pair, &rules);
            worked = true;
        }
        while let Some(near) = self.rings.near.pop() {
            self.schedule.take(near);
            worked = true;
        }
        let Some(near) = self.schedule.due(now) else { return self.begin_next(now) | worked };
        let start = self.clock.now();
        self.sign_trade(&near);
        self.schedule.spent(start, self.clock.now());
        true
    }

    /// Begins the orders of one pair whose turn it is. They are of a millisecond ago, so that none is signed for the
    /// time of a rung.
    fn begin_next(&mut self, now: Nanos) -> bool {
        let due = |at: Nanos| at == Nanos::NEVER || now.ms_since(at) >= RENEW_MS;
        let Some(index) = self.begun.iter().position(|(_, at)| due(*at)) else { return false };
        self.begun[index].1 = now;
        let qty = self.begun[index].0;
        for leg in 0..2 {
            let (venue, Some(_)) = self.legs[index][leg] else { continue };
            for side in [Side::Buy, Side::Sell] {
                let (pair, limit) = (PairId(index as u8), Price::ZERO);
                let signed_ms = self.clock.now().ms().saturating_sub(1);
                let spec = OrderSpec { signed_ms, ..draft(venue, pair, side, Purpose::Enter, qty, limit) };
                if let Some(begun) = self.presigners[venue.index()].begin(&spec) {
                    let _ = self.rings.ready.push(Ready { spec, made: Made::Begun(begun) });
                }
            }
        }
        true
    }

    /// Both legs, and for an entry the way back of each: with a later nonce, since it leaves after the entry has.
    fn sign_trade(&mut self, near: &Near) {
        let purpose = if near.closes { Purpose::Exit } else { Purpose::Enter };
        for leg in 0..2 {
            let side = near.direction.open_side(leg);
            self.sign_ladder(near, leg, side, purpose);
        }
        for leg in (0..2).filter(|_| !near.closes) {
            let side = near.direction.close_side(leg);
            self.sign_ladder(near, leg, side, Purpose::Unwind);
        }
    }

    fn sign_ladder(&mut self, near: &Near, leg: usize, side: Side, purpose: Purpose) {
        let (venue, Some(tick)) = self.legs[near.pair.index()][leg] else { return };
        let signed_ms = self.clock.now().ms();
        self.nonce = (self.nonce + 1).max(signed_ms);
        let spec = draft(venue, near.pair, side, purpose, near.qty, near.worst[leg]);
        let spec = OrderSpec { signed_ms, nonce: self.nonce, ..spec };
        match purpose {
            Purpose::Unwind => unwinds(spec.limit, side, tick).for_each(|limit| self.sign(&spec, limit)),
            Purpose::Enter => {
                rungs(spec.limit, side, tick, Some(near.missing)).for_each(|limit| self.sign(&spec, limit));
            }
            _ => rungs(spec.limit, side, tick, None).for_each(|limit| self.sign(&spec, limit)),
        }
    }

    fn sign(&mut self, spec: &OrderSpec, limit: Price) {
        let spec = OrderSpec { limit, ..*spec };
        // What a venue's format cannot hold is not signed: such an order fails at its send too, where it is told.
        let Some(signature) = self.presigners[spec.venue.index()].sign(&spec) else { return };
        // A full ring refuses and counts: the next ladder comes soon.
        let _ = self.rings.ready.push(Ready { spec, made: Made::Signed(signature) });
    }
}

/// An order without a time, a nonce, and what is given at the send.
fn draft(venue: VenueId, pair: PairId, side: Side, purpose: Purpose, qty: Qty, limit: Price) -> OrderSpec {
    OrderSpec {
        id: ClientId::default(),
        venue,
        pair,
        side,
        purpose,
        qty,
        limit,
        reduce_only: purpose.reduce_only(),
        signed_ms: 0,
        nonce: 0,
        window_ms: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::market::tests::{rules, settings};
    use crate::sys::clock::ManualClock;
    use crate::sys::ring::ring;
    use crate::types::ready::{Begun, SignedText};
    use crate::types::{Direction, Rate};

    /// Signs with the limit.
    struct Stamp;

    impl Presigner for Stamp {
        fn set_rules(&mut self, _pair: PairId, _rules: &MarketRules) {}
        fn sign(&mut self, spec: &OrderSpec) -> Option<SignedText> {
            SignedText::new(&spec.limit.to_string())
        }
        fn begin(&mut self, spec: &OrderSpec) -> Option<Begun> {
            (spec.venue == VenueId(1)).then_some([spec.signed_ms; 16])
        }
    }

    struct Bench {
        thread: SignerThread,
        clock: ManualClock,
        near: Tx<Near>,
        ready: Rx<Ready>,
    }

    fn bench() -> Bench {
        let clock = ManualClock::at(Nanos::from_ms(1_000));
        let ((near, near_rx), (_, rules_rx), (ready_tx, ready)) = (ring(8), ring(8), ring(1024));
        let rings = SignerRings { near: near_rx, rules: rules_rx, ready: ready_tx };
        let presigners: Vec<Box<dyn Presigner>> = vec![Box::new(Stamp), Box::new(Stamp)];
        let mut thread = SignerThread::new(Box::new(clock.clone()), &settings(), presigners, rings);
        (0..2).for_each(|venue| thread.set_rules(VenueId(venue), PairId(0), &rules()));
        Bench { thread, clock, near, ready }
    }

    fn near(closes: bool) -> Near {
        Near {
            pair: PairId(0),
            direction: Direction::A,
            closes,
            qty: Qty::from_raw(100),
            worst: [Price::parse(b"100.00").unwrap(), Price::parse(b"100.50").unwrap()],
            missing: Rate::from_bps(5),
            at: Nanos::from_ms(1_000),
        }
    }

    fn turn(bench: &mut Bench) -> Vec<Ready> {
        bench.thread.poll(bench.clock.now());
        std::iter::from_fn(|| bench.ready.pop()).collect()
    }

    /// What is signed in one turn, without what is begun.
    fn all(bench: &mut Bench) -> Vec<Ready> {
        let mut orders = turn(bench);
        orders.retain(|ready| matches!(ready.made, Made::Signed(_)));
        orders
    }

    #[test]
    fn both_sides_are_begun_every_200_ms_for_a_moment_that_is_over() {
        let mut bench = bench();
        for (after_ms, begun_ms) in [(0, Some(999)), (0, None), (199, None), (1, Some(1_199))] {
            bench.clock.advance_ms(after_ms);
            let orders = turn(&mut bench);
            let sides: Vec<Side> = orders.iter().map(|ready| ready.spec.side).collect();
            assert_eq!(sides, if begun_ms.is_some() { vec![Side::Buy, Side::Sell] } else { vec![] });
            let size = settings().pairs[0].size;
            for Ready { spec, made } in orders {
                assert_eq!((spec.venue, spec.qty, Some(spec.signed_ms)), (VenueId(1), size, begun_ms));
                assert_eq!(made, Made::Begun([spec.signed_ms; 16]));
            }
        }
    }

    #[test]
    fn an_entry_is_signed_with_its_way_back_under_later_nonces() {
        let mut bench = bench();
        bench.near.push(near(false)).unwrap();
        let orders = all(&mut bench);
        for leg in 0..2_u8 {
            let of = |purpose| {
                orders
                    .iter()
                    .filter(move |ready| ready.spec.venue == VenueId(leg) && ready.spec.purpose == purpose)
            };
            let enter: Vec<&Ready> = of(Purpose::Enter).collect();
            let back: Vec<&Ready> = of(Purpose::Unwind).collect();
            assert!(enter.len() > 10 && back.len() > 3);
            assert!(enter.iter().all(|ready| ready.spec.nonce < back[0].spec.nonce));
            assert!(enter.iter().all(|ready| ready.spec.nonce == enter[0].spec.nonce), "one per ladder");
            assert!(back.iter().all(|ready| ready.spec.reduce_only && ready.spec.side != enter[0].spec.side));
            assert!(enter.iter().all(|ready| ready.spec.signed_ms == 1_000));
            let signed = |ready: &&Ready| SignedText::new(&ready.spec.limit.to_string()).map(Made::Signed);
            assert!(enter.iter().all(|ready| Some(ready.made) == signed(ready)));
        }
    }

    #[test]
    fn a_close_has_no_way_back_and_nonces_rise_in_a_standing_clock() {
        let mut bench = bench();
        bench.near.push(near(true)).unwrap();
        let orders = all(&mut bench);
        assert!(orders.iter().all(|ready| ready.spec.purpose == Purpose::Exit && ready.spec.reduce_only));
        let last = orders.iter().map(|ready| ready.spec.nonce).max().unwrap();
        assert!(all(&mut bench).is_empty(), "nothing is due");
        bench.near.push(Near { direction: Direction::B, ..near(false) }).unwrap();
        assert!(all(&mut bench).iter().all(|ready| ready.spec.nonce > last));
    }
}
