//! A gap that comes and goes, seen through books 6 and 4 bps wide, with taker fees of 2 and 4.5 bps: the signal earns
//! on every round trip, and the formulas of the requirements' letter lose on each of thousands. It shows that the
//! signs are right; it says nothing about returns.

use bot4::spread::edge::{edge, mean_mid};
use bot4::spread::signal::{Input, Signal};
use bot4::types::{
    Direction, ExposureState, Intent, IntentKind, Nanos, Price, Quote, Rate, RecordKind, StopReason, VenueId,
};

use super::fixture::{rules, settings, top};

const TICKS: u64 = 200_000;
/// Ticks in which the gap loses 1/e of its distance to zero.
const RELAXATION: i64 = 800;
/// Units of the gap: a thousandth of a basis point.
const MILLI_BPS: i64 = 1_000;
const CENTRE: i64 = 100_00000000;

/// Xorshift64: a fixed series without a dependency.
struct Series {
    state: u64,
    gap: i64,
}

impl Series {
    fn uniform(&mut self) -> i64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 40) as i64 - (1 << 23)
    }

    /// The next pair of quotes: leg 0 away from the centre by the gap, leg 1 on it.
    fn next(&mut self, t_wire: Nanos) -> [Quote; 2] {
        // Four uniform steps make a nearly normal one with a deviation of about 1.1 bps.
        let noise: i64 = (0..4).map(|_| self.uniform()).sum();
        self.gap += -self.gap / RELAXATION + noise * 950 / (1 << 23);
        let away = CENTRE / 10_000 * self.gap / MILLI_BPS;
        [quote(0, CENTRE + away, 3, t_wire), quote(1, CENTRE, 2, t_wire)]
    }
}

fn quote(venue: u8, mid: i64, half_width_bps: i64, t_wire: Nanos) -> Quote {
    let half = CENTRE / 10_000 * half_width_bps;
    let (bid, ask) = (Price::from_raw(mid - half), Price::from_raw(mid + half));
    Quote { venue: VenueId(venue), t_wire, t_book: t_wire, ..top(bid, ask) }
}

/// A round trip: the fees are those of four fills.
fn result(entry: Rate, cost: Rate) -> Rate {
    entry - cost - Rate::from_bps(13)
}

/// Fills every wish at its expected prices and gathers the results.
struct Desk {
    signal: Signal,
    facts: Vec<RecordKind>,
    results: Vec<Rate>,
    entry: Rate,
}

impl Desk {
    fn step(&mut self, now: Nanos, input: Input<'_>) -> Option<Intent> {
        self.facts.clear();
        self.signal.step(now, input, &mut self.facts)
    }

    fn fill(&mut self, now: Nanos, intent: &Intent) {
        let state = match intent.kind {
            IntentKind::Enter(direction) => {
                self.entry = intent.edge;
                let (qty, basis, edge) = (intent.qty, intent.basis, intent.edge);
                ExposureState::Held { direction, qty, basis, edge, since: now }
            }
            IntentKind::Exit(reason) => {
                assert_eq!(reason, StopReason::Threshold);
                self.results.push(result(self.entry, intent.edge));
                ExposureState::MayEnter
            }
        };
        self.step(now, Input::Exposure(state));
    }
}

#[test]
fn every_round_trip_of_the_signal_wins_and_every_literal_one_loses() {
    let settings = settings();
    let signal = Signal::new(&settings.pairs[0], &settings);
    let mut desk = Desk { signal, facts: Vec::with_capacity(64), results: Vec::new(), entry: Rate::ZERO };
    for (leg, taker) in [Rate::from_bps(2), Rate::from_raw(450_000_000)].into_iter().enumerate() {
        desk.step(Nanos(1), Input::Rules { leg, rules: &rules(taker) });
    }
    desk.step(Nanos(1), Input::Exposure(ExposureState::MayEnter));
    let mut series = Series { state: 7, gap: 0 };
    let mut literal = Literal::default();
    for tick in 1..=TICKS {
        let now = Nanos::from_ms(tick * 100);
        let quotes = series.next(now);
        for (leg, quote) in quotes.iter().enumerate() {
            if let Some(intent) = desk.step(now, Input::Quote { leg, quote }) {
                // The first leg of a tick is judged against the other's last quote, 100 ms old, as in life.
                desk.fill(now, &intent);
            }
        }
        literal.step(&quotes);
    }
    let mean = |results: &[Rate]| results.iter().map(|rate| rate.raw()).sum::<i64>() / results.len() as i64;
    assert!((25..=100).contains(&desk.results.len()), "{} round trips", desk.results.len());
    assert!(desk.results.iter().all(|&rate| rate > Rate::ZERO), "{:?}", desk.results);
    assert!(
        (16..=21).contains(&(mean(&desk.results) / Rate::from_bps(1).raw())),
        "{:?}",
        mean(&desk.results)
    );
    assert!((5_000..=25_000).contains(&literal.results.len()), "{} literal", literal.results.len());
    assert!(literal.results.iter().all(|&rate| rate < Rate::ZERO));
    assert_eq!(mean(&literal.results) / Rate::from_bps(1).raw(), -23);
}

/// The letter of the requirements: entry spread = first ask - second bid, exit spread = second ask - first bid.
#[derive(Default)]
struct Literal {
    entry: Option<Rate>,
    results: Vec<Rate>,
}

impl Literal {
    fn step(&mut self, quotes: &[Quote; 2]) {
        let mid = mean_mid(quotes);
        let opens_at = [quotes[0].ask, quotes[1].bid];
        let closes_at = [quotes[0].bid, quotes[1].ask];
        match self.entry {
            None if (opens_at[0] - opens_at[1]).ratio(mid) >= Rate::from_bps(30) => {
                self.entry = Some(edge(Direction::A, opens_at, mid));
            }
            Some(entry) if (closes_at[1] - closes_at[0]).ratio(mid) <= Rate::ZERO => {
                self.results.push(result(entry, -edge(Direction::B, closes_at, mid)));
                self.entry = None;
            }
            _ => {}
        }
    }
}
