//! The simulated venues of a measurement, and the ticks that make every contestant trade.

use std::time::{Duration, Instant};

use bot4_sim::control::VenueName;
use bot4_sim::core::model::Script;
use bot4_sim::meter::Tick;
use bot4_sim::options::Switches;
use bot4_sim::{Options, Running, Sim};

const VEST: &str = "BTC-PERP";
const PARADEX: &str = "BTC-USD-PERP";
/// Gaps of a round, bps: one that comes near what opens a pair and the one that opens it, then the same for the close.
/// Leapt over, they come from nowhere near, so that nothing can have been made ready.
const NEARING: [[i64; 2]; 2] = [[24, 36], [8, -6]];
const LEAPING: [[i64; 2]; 2] = [[-20, 60], [60, -20]];
/// So long a gap is near before it opens or closes a pair.
const NEAR: Duration = Duration::from_millis(400);
/// A contestant that has not sent both orders by then has missed the tick.
const TICK_MAX: Duration = Duration::from_secs(5);
/// Between two ticks: fills arrive, cool-downs pass.
const REST: Duration = Duration::from_millis(700);
/// Both venues, the prices standing still.
pub struct Stage {
    pub venues: Running,
    round: [[i64; 2]; 2],
}

impl Stage {
    /// `options` says what differs: latency and load. `leaps`: every tick comes from nowhere near.
    pub fn start(options: Options, leaps: bool) -> anyhow::Result<Self> {
        let options = Options {
            bases: vec!["BTC".to_owned()],
            // ccxt asks for the newest schema, the engine for the one that it knows.
            switches: Switches { paradex_sbe_versions: [true; 4], ..Switches::default() },
            ..options
        };
        let round = if leaps { LEAPING } else { NEARING };
        let stage = Self { venues: Sim::start(options)?, round };
        stage.gap(VenueName::Paradex, PARADEX, 0)?;
        stage.gap(VenueName::Vest, VEST, 0)?;
        Ok(stage)
    }

    fn gap(&self, venue: VenueName, market: &str, bps: i64) -> anyhow::Result<()> {
        let e8 = 100_000_000;
        let still = Script {
            basis_bps: Some(bps * e8),
            mid: Some(80_000 * e8),
            level_usd: Some(50_000 * e8),
            ..Script::default()
        };
        Ok(self.venues.control.script(venue, market, still)?)
    }

    /// One tick; how long after it each order came in, or `None` when one did not come.
    fn tick(&self, [near, bps]: [i64; 2]) -> anyhow::Result<Option<[i64; 2]>> {
        self.gap(VenueName::Vest, VEST, near)?;
        std::thread::sleep(NEAR);
        self.venues.control.arm(VenueName::Vest);
        self.gap(VenueName::Vest, VEST, bps)?;
        let end = Instant::now() + TICK_MAX;
        while Instant::now() < end {
            if let Tick { first_us: Some(first), second_us: Some(second) } = self.venues.control.tick() {
                std::thread::sleep(REST);
                return Ok(Some([first, second]));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(None)
    }

    /// Opens and closes one pair; how many of the two ticks were missed.
    pub fn round(&self, samples: &mut Vec<[i64; 2]>) -> anyhow::Result<usize> {
        let mut missed = 0;
        for gaps in self.round {
            match self.tick(gaps)? {
                Some(sample) => samples.push(sample),
                None => missed += 1,
            }
        }
        Ok(missed)
    }

    pub fn is_flat(&self) -> bool {
        let truth = self.venues.control.truth();
        truth.vest.is_flat() && truth.paradex.is_flat()
    }
}
