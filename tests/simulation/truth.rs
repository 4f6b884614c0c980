//! What the venues truly hold, as far as the checker reads it: orders and executions since the last look, positions
//! by pair. A look at a venue where nothing has happened costs a few comparisons. Nothing of it reaches the engine.

use bot4::config::Config;
use bot4_sim::core::{Arrival, FillView, OrderView, Reject, Side};

use super::world::World;

/// An execution.
#[derive(Clone, Debug)]
pub struct Deal {
    /// The client's name of the order: client id or nonce; empty = a stranger's.
    pub reference: String,
    pub market: usize,
    pub size: i64,
    pub price: i64,
    /// Position of its market before and after it, signed.
    pub before: i64,
    pub after: i64,
}

/// One venue.
#[derive(Default)]
struct Seen {
    version: u64,
    arrivals: usize,
    fills: usize,
    busts: usize,
    vanished: usize,
    /// By market.
    held: Vec<i64>,
    /// What others than we have changed of it, by market: strangers' deals, force, busts, rollbacks.
    outside: Vec<Outside>,
}

/// What others have done at one market since both legs of its pair were last flat.
#[derive(Clone, Copy, Debug, Default)]
struct Outside {
    /// When it last was, ns; 0 = nothing was.
    at: u64,
    /// What it has sold and bought, and what the engine's books have followed of it, signed.
    sold: i64,
    bought: i64,
    followed: i64,
}

impl Outside {
    fn change(&mut self, by: i64, now: u64) {
        self.at = now;
        (self.sold, self.bought) = (self.sold + by.min(0), self.bought + by.max(0));
    }
}

pub struct Truth {
    venues: [Seen; 2],
    /// Index of each pair's market at each venue.
    markets: Vec<[usize; 2]>,
    symbols: Vec<[String; 2]>,
    /// New since the last look, oldest first.
    pub placed: Vec<Arrival>,
    pub deals: Vec<Deal>,
    /// Fills taken back: the client's name of the order, and the size.
    pub busted: Vec<FillView>,
}

impl Truth {
    pub fn new(config: &Config) -> Self {
        let pairs = &config.settings.pairs;
        Self {
            venues: Default::default(),
            markets: Vec::new(),
            symbols: pairs.iter().map(|pair| pair.symbols.clone()).collect(),
            placed: Vec::new(),
            deals: Vec::new(),
            busted: Vec::new(),
        }
    }

    fn find_markets(&mut self, world: &World) {
        let index =
            |venue: usize, symbol: &str| world.venues[venue].exchange().market(symbol).unwrap_or_default();
        self.markets =
            self.symbols.iter().map(|both| [0, 1].map(|venue| index(venue, &both[venue]))).collect();
    }

    /// Reads what is new at a venue. False: nothing.
    pub fn look(&mut self, world: &World, venue: usize) -> bool {
        if self.markets.is_empty() {
            self.find_markets(world);
        }
        let truth = world.venues[venue].truth();
        let seen = &mut self.venues[venue];
        let markets = world.venues[venue].exchange().spec().markets.len();
        seen.held.resize(markets, 0);
        seen.outside.resize(markets, Outside::default());
        if truth.version() == seen.version {
            return false;
        }
        seen.version = truth.version();
        self.placed.extend_from_slice(truth.arrivals().get(seen.arrivals..).unwrap_or_default());
        seen.arrivals = truth.arrivals().len();
        for fill in truth.fills().get(seen.fills..).unwrap_or_default() {
            let before = seen.held[fill.market];
            let after = before + if fill.side == Side::Buy { fill.size } else { -fill.size };
            seen.held[fill.market] = after;
            let reference = fill.client_ref.clone();
            if reference.is_empty() {
                seen.outside[fill.market].change(after - before, world.now);
            }
            let (market, size, price) = (fill.market, fill.size, fill.price);
            self.deals.push(Deal { reference, market, size, price, before, after });
        }
        seen.fills = truth.fills().len();
        for id in truth.busted().get(seen.busts..).unwrap_or_default() {
            let fill = truth.fills().iter().rev().find(|fill| fill.id == *id);
            self.busted.extend(fill.cloned());
        }
        seen.busts = truth.busted().len();
        // A rollback undoes each fill for itself: what one of them hid of another is no less undone.
        for fill in truth.vanished().get(seen.vanished..).unwrap_or_default() {
            let undone = if fill.side == Side::Buy { -fill.size } else { fill.size };
            seen.held[fill.market] += undone;
            seen.outside[fill.market].change(undone, world.now);
        }
        seen.vanished = truth.vanished().len();
        for market in 0..markets {
            let (told, held) = (seen.held[market], truth.position(market));
            if held != told {
                seen.outside[market].change(held - told, world.now);
            }
            seen.held[market] = held;
        }
        true
    }

    /// What others have changed at a pair's markets, and what hedges it: no limit speaks of it.
    pub fn returned(&self, pair: usize) -> i64 {
        self.outside(pair).iter().map(|one| one.bought - one.sold).sum()
    }

    /// The account of a venue has no margin for the smallest order that halving leads to.
    pub fn is_poor(&self, world: &World, venue: usize, pair: usize) -> bool {
        let Some(both) = self.markets.get(pair) else { return false };
        let exchange = world.venues[venue].exchange();
        let market = &exchange.spec().markets[both[venue]];
        let price = i128::from(exchange.ticker(both[venue], 0).index);
        let step = i128::from(market.step) * price / 100_000_000;
        let needed = 2 * step.max(i128::from(market.min_notional)) * i128::from(market.imf) / 100_000_000;
        i128::from(exchange.account(0, world.us()).free) < needed
    }

    fn outside(&self, pair: usize) -> [Outside; 2] {
        let both = self.markets.get(pair).copied().unwrap_or_default();
        [0, 1].map(|venue| self.venues[venue].outside.get(both[venue]).copied().unwrap_or_default())
    }

    /// When others last changed anything at a pair's markets, ns; 0 = not since it was flat.
    pub fn touched(&self, pair: usize) -> u64 {
        self.outside(pair).iter().map(|one| one.at).max().unwrap_or_default()
    }

    /// What others have changed at a pair's markets and the engine has not taken over, signed.
    pub fn outside_net(&self, pair: usize) -> [i64; 2] {
        self.outside(pair).map(|one| one.bought + one.sold - one.followed)
    }

    /// Whether what others have changed explains all by which a pair is off.
    pub fn is_outside(&self, pair: usize, dust: i64) -> bool {
        let net = self.outside_net(pair);
        let (least, most) = (net[0].min(0) + net[1].min(0), net[0].max(0) + net[1].max(0));
        (least - dust..=most + dust).contains(&self.delta(pair))
    }

    /// Others have bought or sold so much of a leg.
    pub fn have_traded(&self, venue: usize, pair: usize, by: i64) -> bool {
        let one = self.outside(pair)[venue];
        (one.sold..=one.bought).contains(&by)
    }

    /// The engine's books follow a leg by so much. False: nobody has changed so much of it.
    pub fn adjust(&mut self, venue: usize, pair: usize, by: i64) -> bool {
        let market = self.markets.get(pair).map_or(0, |both| both[venue]);
        let Some(one) = self.venues[venue].outside.get_mut(market) else { return false };
        one.followed += by;
        (one.sold..=one.bought).contains(&one.followed)
    }

    /// That was lost again.
    pub fn unfollow(&mut self, venue: usize, pair: usize, by: i64) {
        let market = self.markets.get(pair).map_or(0, |both| both[venue]);
        let known = self.venues[venue].outside.get_mut(market).filter(|one| one.at > 0);
        known.into_iter().for_each(|one| one.followed -= by);
    }

    /// What an order of ours has changed at the first venue counts as others' from now on.
    pub fn take_for_outside(&mut self, pair: usize, by: i64, now: u64) {
        let market = self.markets.get(pair).map_or(0, |both| both[0]);
        if let Some(one) = self.venues[0].outside.get_mut(market) {
            one.change(by, now);
        }
    }

    /// Both legs are flat: what others did is over.
    pub fn forget(&mut self, pair: usize) {
        let both = self.markets.get(pair).copied().unwrap_or_default();
        if (0..2).any(|venue| self.position(venue, pair) != 0) {
            return;
        }
        for (venue, market) in both.into_iter().enumerate() {
            if let Some(one) = self.venues[venue].outside.get_mut(market) {
                *one = Outside::default();
            }
        }
    }

    /// Of a position of a venue, by pair: where others may have had a hand in it, their part is taken off.
    pub fn ours(&self, venue: usize) -> impl Iterator<Item = (usize, i64)> {
        let pairs = self.markets.iter().enumerate();
        pairs.map(move |(pair, both)| {
            (both[venue], (self.position(venue, pair).abs() - self.returned(pair)).max(0))
        })
    }

    /// Signed position of a pair's leg, as it was at the last look.
    pub fn position(&self, venue: usize, pair: usize) -> i64 {
        let market = self.markets.get(pair).map_or(0, |both| both[venue]);
        self.venues[venue].held.get(market).copied().unwrap_or_default()
    }

    /// What a pair's leg has cost at its venue, signed like its size.
    pub fn cost(&self, world: &World, venue: usize, pair: usize) -> i64 {
        let market = self.markets.get(pair).map_or(0, |both| both[venue]);
        world.venues[venue].exchange().accounts()[0].positions[market].cost
    }

    /// Signed positions of a venue, by market.
    pub fn held(&self, venue: usize) -> &[i64] {
        &self.venues[venue].held
    }

    pub fn is_flat(&self) -> bool {
        self.venues.iter().all(|venue| venue.held.iter().all(|held| *held == 0))
    }

    pub fn delta(&self, pair: usize) -> i64 {
        self.position(0, pair) + self.position(1, pair)
    }

    /// The least by which a venue lets a leg be changed.
    pub fn step(&self, world: &World, venue: usize, pair: usize) -> i64 {
        let market = self.markets.get(pair).map_or(0, |both| both[venue]);
        world.venues[venue].exchange().spec().markets[market].step
    }

    /// A difference beside a hedge that no venue trades: both want some 10 USD, and one step of theirs in common
    /// (SAFETY §7, net delta tolerance).
    pub fn dust(&self, world: &World, pair: usize) -> i64 {
        let Some(both) = self.markets.get(pair) else { return 0 };
        let [first, second] = [0, 1].map(|venue| self.step(world, venue, pair));
        let below_a_lot = common_multiple(first, second) - 1;
        let exchange = world.venues[1].exchange();
        let price = exchange.ticker(both[1], 0).index.max(1);
        let ten_usd = 10 * 100_000_000_i128 * 100_000_000 / i128::from(price);
        (ten_usd as i64).max(below_a_lot)
    }

    /// Another order of ours that lives on the leg of a new one.
    pub fn other_live<'a>(&self, world: &'a World, venue: usize, new: &Arrival) -> Option<&'a OrderView> {
        let order = &new.order;
        world.venues[venue].truth().open_orders().find(|other| {
            let ours = !other.client_ref.is_empty() && other.client_ref != order.client_ref;
            ours && other.market == order.market
        })
    }

    /// A stranger's order that was cancelled from outside the venue.
    pub fn cancelled_stranger<'a>(&self, world: &'a World, venue: usize) -> Option<&'a OrderView> {
        let cancelled = |order: &&OrderView| order.reason == Some(Reject::UserCancelled);
        world.venues[venue].truth().orders().filter(|order| order.client_ref.is_empty()).find(cancelled)
    }

    /// An order that is open at a venue.
    pub fn open_order<'a>(&self, world: &'a World, venue: usize) -> Option<&'a OrderView> {
        world.venues[venue].truth().open_orders().find(|order| !order.client_ref.is_empty())
    }
}

fn common_multiple(a: i64, b: i64) -> i64 {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x.max(1) * b
}
