//! The thread `spread` as a value: it watches both books of every pair and sends wishes to `order`. Run by `topology`,
//! polled. It never decides on a quote when a newer one waits, and never waits itself.

use super::signal::{Input, Signal};
use crate::sys::clock::Clock;
use crate::sys::ring::{Rx, Tx};
use crate::types::limits::PAIRS_MAX;
use crate::types::message::PairSet;
use crate::types::ready::Near;
use crate::types::{
    Exposure, Intent, MarketRules, Nanos, PairId, Quote, Record, RecordKind, Settings, VenueId,
};

/// Facts of one cycle that find room without allocating: every pair can report all it has to say.
const FACTS: usize = 8 * PAIRS_MAX;

/// The rings of `spread`.
pub struct SpreadRings {
    /// One per venue.
    pub quotes: Vec<Rx<Quote>>,
    pub exposure: Rx<Exposure>,
    /// Market rules that changed while running.
    pub rules: Rx<(VenueId, PairId, MarketRules)>,
    pub intents: Tx<Intent>,
    pub records: Tx<Record>,
}

/// `spread`.
pub struct SpreadThread {
    clock: Box<dyn Clock>,
    rings: SpreadRings,
    signals: Vec<Signal>,
    legs: Vec<[VenueId; 2]>,
    /// Newest quote per pair and leg, and which of them the signals have not seen.
    newest: [[Quote; 2]; PAIRS_MAX],
    unseen: [PairSet; 2],
    superseded: u64,
    facts: Vec<RecordKind>,
    /// To `signer`.
    near: Option<Tx<Near>>,
}

impl SpreadThread {
    /// `settings.pairs` stand at the index that their id names. `clock` stamps decisions.
    pub fn new(clock: Box<dyn Clock>, settings: &Settings, rings: SpreadRings) -> Self {
        assert!(settings.pairs.len() <= PAIRS_MAX, "more pairs than the engine has room for");
        for (index, pair) in settings.pairs.iter().enumerate() {
            assert!(pair.id.index() == index, "a pair's id is its index");
        }
        Self {
            clock,
            rings,
            signals: settings.pairs.iter().map(|pair| Signal::new(pair, settings)).collect(),
            legs: settings.pairs.iter().map(|pair| pair.venues).collect(),
            newest: [[Quote::default(); 2]; PAIRS_MAX],
            unseen: [PairSet::default(); 2],
            superseded: 0,
            facts: Vec::with_capacity(FACTS),
            near: None,
        }
    }

    /// Tells `signer` which trades are near; `None` where nothing is signed ahead.
    pub fn with_signer(self, near: Option<Tx<Near>>) -> Self {
        Self { near, ..self }
    }

    /// Rules of one leg, before the start. While running they come by ring.
    pub fn set_rules(&mut self, venue: VenueId, pair: PairId, rules: &MarketRules) {
        let Some(leg) = self.leg(venue, pair) else { return };
        self.step(Nanos::NEVER, pair, Input::Rules { leg, rules });
    }

    /// One cycle. True when it did any work.
    pub fn poll(&mut self, now: Nanos) -> bool {
        let mut work = self.take_rules(now);
        work |= self.take_exposures(now);
        work |= self.take_quotes();
        self.judge(now);
        for index in 0..self.signals.len() as u8 {
            self.step(now, PairId(index), Input::Tick);
        }
        self.record(now);
        work
    }

    /// When the first quote becomes too old: entries are switched off then, not at the end of a sleep.
    pub fn due(&self) -> Nanos {
        Nanos::first_of(self.signals.iter().map(Signal::due))
    }

    /// Quotes that a newer one overtook before they were looked at.
    pub fn superseded(&self) -> u64 {
        self.superseded
    }

    fn take_rules(&mut self, now: Nanos) -> bool {
        let mut work = false;
        while let Some((venue, pair, rules)) = self.rings.rules.pop() {
            work = true;
            if let Some(leg) = self.leg(venue, pair) {
                self.step(now, pair, Input::Rules { leg, rules: &rules });
            }
        }
        work
    }

    fn take_exposures(&mut self, now: Nanos) -> bool {
        let mut work = false;
        while let Some(Exposure { pair, state }) = self.rings.exposure.pop() {
            work = true;
            self.step(now, pair, Input::Exposure(state));
        }
        work
    }

    /// Empties the rings, so that only the newest quote of each market is looked at.
    fn take_quotes(&mut self) -> bool {
        let mut work = false;
        for ring in 0..self.rings.quotes.len() {
            while let Some(quote) = self.rings.quotes[ring].pop() {
                work = true;
                self.keep_newest(quote);
            }
        }
        work
    }

    fn keep_newest(&mut self, quote: Quote) {
        let pair = quote.pair;
        let Some(leg) = self.leg(quote.venue, pair) else { return };
        self.superseded += u64::from(self.unseen[leg].contains(pair));
        self.unseen[leg].insert(pair);
        self.newest[pair.index()][leg] = quote;
    }

    fn judge(&mut self, now: Nanos) {
        for leg in 0..2 {
            for pair in std::mem::take(&mut self.unseen[leg]).iter() {
                let quote = self.newest[pair.index()][leg];
                self.step(now, pair, Input::Quote { leg, quote: &quote });
            }
        }
    }

    fn step(&mut self, now: Nanos, pair: PairId, input: Input<'_>) {
        let Some(signal) = self.signals.get_mut(pair.index()) else { return };
        let intent = signal.step(now, input, &mut self.facts);
        // With a wish nothing is told: to wake `signer` would come before the orders where `order` shares this thread.
        // What is near is told again within moments.
        let near = signal.take_near().filter(|_| intent.is_none());
        if let Some(intent) = intent {
            let t_decide = self.clock.now();
            // A full ring refuses and counts: an old wish is worthless, and the signal wishes again.
            let _ = self.rings.intents.push(Intent { t_decide, ..intent });
        }
        if let (Some(ring), Some(near)) = (&mut self.near, near) {
            // What does not fit is told again, too.
            let _ = ring.push(near);
        }
    }

    /// Records that do not fit are dropped; the ring counts them.
    fn record(&mut self, now: Nanos) {
        for kind in self.facts.drain(..) {
            let _ = self.rings.records.push(Record { at: now, kind });
        }
    }

    fn leg(&self, venue: VenueId, pair: PairId) -> Option<usize> {
        self.legs.get(pair.index())?.iter().position(|&leg| leg == venue)
    }
}

#[cfg(test)]
mod tests {
    use super::super::edge::tests::{price, quote};
    use super::*;
    use crate::book::market::tests::{rules, settings};
    use crate::sys::ring::ring;
    use crate::types::{ExposureState, IntentKind};

    struct FixedClock;

    impl Clock for FixedClock {
        fn now(&self) -> Nanos {
            Nanos(77)
        }
    }

    struct Bench {
        thread: SpreadThread,
        quotes: [Tx<Quote>; 2],
        exposure: Tx<Exposure>,
        rules: Tx<(VenueId, PairId, MarketRules)>,
        intents: Rx<Intent>,
        records: Rx<Record>,
    }

    fn bench() -> Bench {
        let ((first, first_rx), (second, second_rx)) = (ring(8), ring(8));
        let (exposure, exposure_rx) = ring(8);
        let (rules, rules_rx) = ring(8);
        let (intents_tx, intents) = ring(8);
        let (records_tx, records) = ring(64);
        let rings = SpreadRings {
            quotes: vec![first_rx, second_rx],
            exposure: exposure_rx,
            rules: rules_rx,
            intents: intents_tx,
            records: records_tx,
        };
        let thread = SpreadThread::new(Box::new(FixedClock), &settings(), rings);
        Bench { thread, quotes: [first, second], exposure, rules, intents, records }
    }

    impl Bench {
        fn push(&mut self, venue: u8, bid: &str, ask: &str, ms: u64) {
            let t_wire = Nanos::from_ms(ms);
            let quote = Quote { venue: VenueId(venue), t_wire, t_book: t_wire, ..quote(bid, ask) };
            self.quotes[usize::from(venue)].push(quote).unwrap();
        }

        fn allow(&mut self) {
            for venue in 0..2 {
                self.rules.push((VenueId(venue), PairId(0), rules())).unwrap();
            }
            let state = ExposureState::MayEnter;
            self.exposure.push(Exposure { pair: PairId(0), state }).unwrap();
        }

        fn poll(&mut self, ms: u64) -> Option<Intent> {
            self.thread.poll(Nanos::from_ms(ms));
            self.intents.pop()
        }
    }

    #[test]
    fn a_gap_becomes_a_wish_with_its_times() {
        let mut bench = bench();
        bench.allow();
        bench.push(0, "100.60", "100.61", 1_000);
        bench.push(1, "99.99", "100.00", 1_001);
        let intent = bench.poll(1_001).unwrap();
        assert!(matches!(intent.kind, IntentKind::Enter(_)));
        assert_eq!((intent.t_wire, intent.t_decide), (Nanos::from_ms(1_001), Nanos(77)));
        assert_eq!(intent.expected, [price("100.60"), price("100.00")]);
    }

    #[test]
    fn a_trade_near_its_threshold_is_told_to_the_signer_before_it_is_wished() {
        let (to_signer, mut near) = ring(8);
        let mut bench = bench();
        bench.thread = bench.thread.with_signer(Some(to_signer));
        bench.allow();
        bench.push(0, "100.00", "100.01", 1_000);
        bench.push(1, "99.99", "100.00", 1_001);
        assert_eq!(bench.poll(1_001), None);
        assert!(near.pop().is_none(), "far from thirty basis points");
        bench.push(0, "100.20", "100.21", 1_050);
        assert_eq!(bench.poll(1_050), None, "twenty are no wish yet");
        let told = near.pop().unwrap();
        assert_eq!((told.direction, told.closes), (crate::types::Direction::B, false));
        assert_eq!(told.worst, [price("100.20"), price("100.00")]);
        bench.push(0, "100.60", "100.61", 1_100);
        assert!(bench.poll(1_100).is_some());
        assert!(near.pop().is_none(), "nobody is woken before the orders of a wish");
    }

    #[test]
    fn only_the_newest_quote_counts() {
        let mut bench = bench();
        bench.allow();
        bench.push(0, "100.00", "100.01", 1_000);
        bench.push(1, "90.00", "90.01", 1_000);
        bench.push(1, "99.99", "100.00", 1_001);
        assert_eq!(bench.poll(1_002), None);
        assert_eq!(bench.thread.superseded(), 1);
    }

    #[test]
    fn an_old_book_switches_entries_off_within_one_poll() {
        let mut bench = bench();
        bench.allow();
        bench.push(0, "100.00", "100.01", 1_000);
        bench.push(1, "99.99", "100.00", 1_000);
        bench.poll(1_001);
        while bench.records.pop().is_some() {}
        bench.poll(2_000);
        assert!(bench.records.pop().is_none());
        assert_eq!(bench.thread.due(), Nanos::from_ms(2_000), "a parked thread wakes for it");
        bench.poll(2_001);
        let stale = RecordKind::StaleToOff { venue: VenueId(1), pair: PairId(0), ns: 1_000_000 };
        assert_eq!(bench.records.pop().unwrap().kind, stale);
        bench.poll(2_002);
        assert!(bench.records.pop().is_none(), "said once");
        assert_eq!(bench.thread.due(), Nanos::from_ms(2_500), "the other one");
        bench.push(0, "100.60", "100.61", 2_003);
        assert_eq!(bench.poll(2_003), None, "the other book is still old");
    }

    #[test]
    fn unknown_pairs_and_venues_are_ignored() {
        let mut bench = bench();
        let odd = Quote { pair: PairId(9), ..quote("1", "2") };
        bench.quotes[0].push(odd).unwrap();
        bench.exposure.push(Exposure { pair: PairId(9), state: ExposureState::MayEnter }).unwrap();
        bench.rules.push((VenueId(3), PairId(0), rules())).unwrap();
        assert_eq!(bench.poll(1), None);
    }
}
