//! What the venues themselves do wrong: messages lost, late and doubled by rules that hold for the whole run, and
//! deeds at a moment (modes, busts, lies of the book, clocks, trades by hand).

use bot4_sim::core::fault::{Action, Class, Rule};
use bot4_sim::core::model::{Lie, Script};
use bot4_sim::core::rng::Rng;
use bot4_sim::core::{Mode, Rules, Side, Socket};
use bot4_sim::stage::{Command, Size, VenueName};

use super::options::Options;
use super::run::{MS, SECOND};
use super::venue_rules::{behind, count_rules, lose_one, refuse, refuse_closes, rules, tell_twice};
use super::world::World;

/// What a market's new rules refuse is asked about, ns.
const RULES_LEARNED: u64 = 15 * SECOND;

/// The run's only account.
const TRADER: usize = 0;

/// One deed of a venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VenueFault {
    /// Halt, cancel-only, post-only, maintenance for a while.
    Mode,
    /// A fill of the last ten minutes is taken back.
    Bust,
    /// The published book lies for a while.
    Lie,
    /// Books stand still while the connection lives.
    Freeze,
    /// The venue's clock jumps or drifts.
    Clock,
    /// Tokens and listen keys end early.
    Expire,
    /// Someone trades by hand.
    Hand,
    /// Someone leaves an order in the book.
    Rest,
    /// Part of a position is closed by force.
    Force,
    /// The venue goes back to an earlier state.
    Rollback,
    /// Tick, step, fee and margin of a market change.
    Rules,
    /// Money is taken out of the account.
    Margin,
    /// Private reads lag behind for a while.
    Lag,
    /// A connection is closed with a code.
    CloseCode,
    /// Bytes that are no message.
    Garbage,
    /// Funding of an absurd size.
    Funding,
    /// The next order of a leg is refused with some code.
    Refuse,
    /// The next closing orders are refused.
    RefuseCloses,
    /// The next order fills in part.
    Part,
    /// The next order stays pending for up to 30 s.
    Pending,
    /// Everything that comes is held up, then comes at once.
    Stall,
    /// The next order is given up by a gateway and arrives all the same.
    Gateway,
    // Not in the swarm: Behind and Late break what the checker takes for granted of a venue, Twice came after the days.
    /// An order that has filled is in no list for seconds, and told as late; positions are told at once.
    Behind,
    /// The next order arrives after its end by every clock but its venue's.
    Late,
    /// The next order fills in part, and its fill is told twice before its end is.
    Twice,
    /// One message is lost, doubled or late; for the count of false alarms, where nothing else goes wrong.
    Packet,
}

impl VenueFault {
    pub const ALL: [Self; 22] = [
        Self::Mode,
        Self::Bust,
        Self::Lie,
        Self::Freeze,
        Self::Clock,
        Self::Expire,
        Self::Hand,
        Self::Rest,
        Self::Force,
        Self::Rollback,
        Self::Rules,
        Self::Margin,
        Self::Lag,
        Self::CloseCode,
        Self::Garbage,
        Self::Funding,
        Self::Refuse,
        Self::RefuseCloses,
        Self::Part,
        Self::Pending,
        Self::Stall,
        Self::Gateway,
    ];
}

#[derive(Clone, Copy, Debug)]
enum Undo {
    Mode(usize),
    Script(usize),
    Clock(usize),
    Stall(usize),
    Funding(usize),
    Money(usize, i64),
}

pub struct VenueFaults {
    rng: Rng,
    plan: Vec<(VenueFault, u64, u64)>,
    undo: Vec<(u64, Undo)>,
    healed: bool,
}

impl VenueFaults {
    pub fn new(options: &Options, now: u64) -> Self {
        let mut rng = Rng::new(options.seed, "venue faults");
        let plan = options.venue_faults.iter().map(|&(kind, pause)| {
            let pause = pause * SECOND;
            (kind, pause, now + 30 * SECOND + rng.next() % (2 * pause))
        });
        Self { plan: plan.collect(), undo: Vec::new(), healed: false, rng }
    }

    /// The rules that hold for the whole run: every message class, lost, late, doubled.
    pub fn install(options: &Options, world: &mut World) {
        if options.wire_ppm == 0 {
            return;
        }
        let mut rng = Rng::new(options.seed, "wire rules");
        for venue in 0..2 {
            for (class, action) in rules(&mut rng) {
                if rng.chance(350_000) {
                    let share = (options.wire_ppm >> rng.between(0, 3)).max(1);
                    let (count, probability_ppm) = (Some(u32::MAX), Some(share));
                    let rule = Rule { count, probability_ppm, ..Rule::always(class, action) };
                    world.put_rule(venue, rule);
                }
            }
        }
    }

    pub fn due(&mut self, world: &mut World, now: u64) {
        let due: Vec<Undo> = self.undo.iter().filter(|row| now >= row.0).map(|row| row.1).collect();
        self.undo.retain(|row| now < row.0);
        due.into_iter().for_each(|what| undo(world, what));
        if self.healed {
            return;
        }
        for at in 0..self.plan.len() {
            let (kind, pause, next) = self.plan[at];
            if now >= next {
                self.plan[at].2 = now + MS + self.rng.next() % (2 * pause);
                self.strike(kind, world, now);
            }
        }
    }

    fn span(&mut self, least_ms: u64, doublings: i64) -> u64 {
        let base = (least_ms << self.rng.between(0, doublings)) * MS;
        base + self.rng.next() % base
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[(self.rng.next() % of.len() as u64) as usize]
    }

    fn undo_later(&mut self, world: &mut World, at: u64, what: Undo) {
        self.undo.push((at, what));
        world.disturb(at);
        match what {
            Undo::Script(venue) | Undo::Stall(venue) | Undo::Clock(venue) => {
                world.excuse(venue, at + 5 * SECOND);
            }
            Undo::Mode(_) | Undo::Funding(_) | Undo::Money(..) => {}
        }
    }

    fn strike(&mut self, kind: VenueFault, world: &mut World, now: u64) {
        let venue = self.rng.between(0, 1) as usize;
        match kind {
            VenueFault::Mode => self.change_mode(world, venue, now),
            VenueFault::Bust => self.bust(world, now),
            VenueFault::Lie => self.lie(world, venue, now),
            VenueFault::Freeze => self.freeze(world, venue, now),
            VenueFault::Clock => self.move_clock(world, venue, now),
            VenueFault::Hand => self.by_hand(world, venue),
            VenueFault::Rest => self.rest(world, venue),
            VenueFault::Force => self.force(world, venue),
            VenueFault::Rules => self.change_rules(world, venue),
            VenueFault::Margin => self.move_money(world, venue, now),
            VenueFault::Rollback => {
                let ms = self.pick(&[1_000, 10_000, 60_000, 600_000]);
                world.fault("V5", format_args!("{venue} by {ms} ms"));
                world.rolled_back = now;
                perform(world, venue, Command::Rollback { venue: name(venue), ms });
            }
            VenueFault::Lag => {
                let ms = self.pick(&[200, 1_000, 3_000]);
                world.fault("V13", format_args!("{venue} {ms} ms"));
                let count = Some(1 << self.rng.between(0, 4));
                let rule = Rule { count, ..Rule::always(Class::Query, Action::Lag { ms }) };
                world.put_rule(venue, rule);
            }
            VenueFault::CloseCode => self.close(world, venue),
            VenueFault::Garbage => self.say_garbage(world, venue),
            VenueFault::Funding => self.change_funding(world, venue, now),
            VenueFault::Refuse => refuse(&mut self.rng, world, venue),
            VenueFault::RefuseCloses => refuse_closes(&mut self.rng, world, venue),
            VenueFault::Part => self.fill_in_part(world, venue),
            VenueFault::Stall => self.stall(world, venue, now),
            VenueFault::Expire => {
                world.fault("C6", format_args!("{venue}"));
                world.excuse_link(venue);
                let now_us = world.us();
                world.venues[venue].revoke_tokens(now_us);
            }
            VenueFault::Gateway => {
                let ms = self.pick(&[50, 150, 300, 450, 800, 2_500]);
                world.fault("O3", format_args!("{venue} gives up and arrives {ms} ms later"));
                world.put_rule(venue, Rule::once(Class::Order, Action::GiveUp { ms }));
            }
            VenueFault::Pending => {
                let ms = self.pick(&[500, 2_000, 10_000, 30_000]);
                world.fault("V12", format_args!("{venue} {ms} ms"));
                world.put_rule(venue, Rule::once(Class::Order, Action::HoldFill { ms }));
            }
            VenueFault::Behind => self.fall_behind(world, venue),
            VenueFault::Twice => tell_twice(world, venue),
            VenueFault::Packet => lose_one(&mut self.rng, world, venue),
            VenueFault::Late => self.arrive_late(world, venue, now),
        }
    }

    /// The next order is taken in time; its answer, its events and the reads of orders come late.
    fn fall_behind(&mut self, world: &mut World, venue: usize) {
        let ms = self.pick(&[1_500, 2_500, 4_000]);
        world.fault("V13", format_args!("orders of {venue} are told {ms} ms late"));
        behind(ms).into_iter().for_each(|rule| world.put_rule(venue, rule));
    }

    /// The clock of a venue goes back for a moment, and the next order meets it when every other clock calls it dead.
    fn arrive_late(&mut self, world: &mut World, venue: usize, now: u64) {
        self.shift_clock(world, venue, (-6_000, 0), now + 20 * SECOND);
        world.put_rule(venue, Rule::once(Class::Order, Action::GiveUp { ms: 6_000 }));
    }

    fn change_mode(&mut self, world: &mut World, venue: usize, now: u64) {
        // A house has no orders that rest, and no word for taking nothing else.
        let modes = [Mode::Halt, Mode::CancelOnly, Mode::Maintenance, Mode::PostOnly];
        let mode = self.pick(if venue == 0 { &modes[..3] } else { &modes });
        let until = now + self.span(1_000, 9);
        world.fault("V4", format_args!("{venue} {mode:?}"));
        perform(world, venue, Command::Mode { venue: name(venue), mode });
        self.undo_later(world, until, Undo::Mode(venue));
    }

    fn freeze(&mut self, world: &mut World, venue: usize, now: u64) {
        world.fault("M13", format_args!("{venue}"));
        script_all(world, venue, &Script { freeze: true, ..Script::default() });
        let until = now + self.span(1_000, 7);
        self.undo_later(world, until, Undo::Script(venue));
    }

    fn move_clock(&mut self, world: &mut World, venue: usize, now: u64) {
        let offset_ms = self.rng.between(-3_000, 3_000) / i64::from(self.pick(&[1, 1, 10, 30]));
        let drift = self.pick(&[0, 0, 20, -100]);
        let until = now + self.span(1_000, 8);
        self.shift_clock(world, venue, (offset_ms, drift), until);
    }

    fn shift_clock(&mut self, world: &mut World, venue: usize, (offset_ms, drift): (i64, i64), until: u64) {
        world.fault("C15", format_args!("{venue} by {offset_ms} ms, {drift} ppm"));
        world.tags.hit("M16");
        let now_us = world.us();
        world.venues[venue].set_clock(now_us, offset_ms * 1_000, drift);
        world.clock_off[venue] = world.clock_off[venue].max(until);
        self.undo_later(world, until, Undo::Clock(venue));
    }

    fn close(&mut self, world: &mut World, venue: usize) {
        let socket = self.pick(&[Socket::Md, Socket::Private, Socket::Orders]);
        let code = self.pick(&[1_001, 1_011, 1_012, 4_000, 4_004, 4_005]);
        world.fault("C5", format_args!("{venue} {socket:?} {code}"));
        world.excuse_link(venue);
        perform(world, venue, Command::Disconnect { venue: name(venue), socket, code: Some(code) });
    }

    fn say_garbage(&mut self, world: &mut World, venue: usize) {
        let text = self.pick(&["{", "[]", "{\"channel\":\"x\"}", "\u{0}\u{0}", "{\"data\":{\"a\":1e400}}"]);
        world.fault("garbage", format_args!("{venue}"));
        for market in symbols(world, venue) {
            let text = text.to_owned();
            perform(world, venue, Command::Raw { venue: name(venue), market, text });
        }
    }

    fn change_funding(&mut self, world: &mut World, venue: usize, now: u64) {
        let rate_1h_e12 = self.pick(&[12_500_000, -12_500_000, 10_000_000_000, -100_000_000_000]);
        world.fault("V6", format_args!("{venue} {rate_1h_e12}"));
        for market in symbols(world, venue) {
            perform(world, venue, Command::Funding { venue: name(venue), market, rate_1h_e12 });
        }
        let until = now + self.span(10_000, 8);
        self.undo.push((until, Undo::Funding(venue)));
    }

    fn fill_in_part(&mut self, world: &mut World, venue: usize) {
        let size = self.pick(&[0, 10_000, 50_000, 100_000]);
        world.fault("O8", format_args!("{venue} at most {size}"));
        let both = self.rng.chance(300_000);
        if both {
            world.tags.hit(if size == 0 { "O11" } else { "O9" });
        }
        for venue in (0..2).filter(|&other| both || other == venue) {
            world.put_rule(venue, Rule::once(Class::Order, Action::PartialFill { size }));
        }
    }

    fn stall(&mut self, world: &mut World, venue: usize, now: u64) {
        world.fault("stall", format_args!("{venue}"));
        let now_us = world.us();
        world.venues[venue].stall(now_us, Socket::All, true);
        let until = now + self.span(100, 8);
        self.undo_later(world, until, Undo::Stall(venue));
    }

    fn bust(&mut self, world: &mut World, now: u64) {
        // Only the order book takes fills back.
        let from = world.us() - 600_000_000;
        let fills = world.venues[1].exchange().fills(TRADER).rev();
        let recent: Vec<String> = fills
            .take_while(|fill| fill.at_us >= from)
            .filter(|fill| !fill.busted)
            .map(|fill| fill.id.clone())
            .collect();
        if recent.is_empty() {
            return;
        }
        let fill = recent[(self.rng.next() % recent.len() as u64) as usize].clone();
        // A later fault may have overwritten the end of an outage that goes on.
        let away =
            world.networks.iter().map(|network| network.refuses_until.max(network.rest_down_until)).max();
        let disturbed = world.disturbed.max(away.unwrap_or_default());
        world.calm_before_bust = now > disturbed + 15 * SECOND;
        world.fault("bust", format_args!("{fill}"));
        world.busted_unheard |= !world.is_heard(1);
        perform(world, 1, Command::Bust { venue: VenueName::Paradex, fill });
    }

    fn lie(&mut self, world: &mut World, venue: usize, now: u64) {
        let (lie, tag) = self.pick(&[
            (Lie::Crossed, "M3"),
            (Lie::Zero, "M4"),
            (Lie::ScalePercent(50), "M5"),
            (Lie::ScalePercent(103), "M5"),
            (Lie::ScalePercent(100_000_000), "M5"),
            (Lie::Empty, "M15"),
        ]);
        world.fault(tag, format_args!("{venue} {lie:?}"));
        script_all(world, venue, &Script { lie: Some(lie), ..Script::default() });
        let until = now + self.span(500, 7);
        world.lied_until = world.lied_until.max(until);
        self.undo_later(world, until, Undo::Script(venue));
    }

    fn by_hand(&mut self, world: &mut World, venue: usize) {
        let side = self.pick(&[Side::Buy, Side::Sell]);
        let Some(market) = symbols(world, venue).into_iter().next() else { return };
        let size = Size(self.pick(&[100_000, 200_000, 400_000]));
        world.fault("V2", format_args!("{venue} {side:?} {size:?}"));
        perform(world, venue, Command::Trade { venue: name(venue), market, side, size });
    }

    /// An order that is not ours stands in the book, far from the market; so many that the venue takes no more of
    /// anybody no person leaves (sheet `paradex`, 4.4).
    fn rest(&mut self, world: &mut World, venue: usize) {
        let truth = world.venues[venue].truth();
        let resting = truth.open_orders().filter(|order| order.client_ref.is_empty()).count();
        let Some(market) = symbols(world, venue).into_iter().next().filter(|_| resting < 20) else { return };
        let exchange = world.venues[venue].exchange();
        let Some(index) = exchange.market(&market) else { return };
        let tick = exchange.spec().markets[index].tick;
        let far = exchange.ticker(index, 0).index / 100 * 97;
        let (size, limit) = (Size(100_000), Size(far / tick * tick));
        world.fault("V2", format_args!("{venue} rests"));
        perform(world, venue, Command::Rest { venue: name(venue), market, side: Side::Buy, size, limit });
    }

    /// Liquidation, or deleveraging against a loser.
    fn force(&mut self, world: &mut World, venue: usize) {
        let share_ppm = self.pick(&[100_000, 500_000, 1_000_000]);
        let market = symbols(world, venue).into_iter().find(|symbol| {
            let exchange = world.venues[venue].exchange();
            exchange.market(symbol).is_some_and(|market| exchange.held(TRADER, market) != 0)
        });
        let Some(market) = market else { return };
        let (name, liquidates) = (name(venue), self.rng.chance(500_000));
        world.fault("V3", format_args!("{venue} {share_ppm} ppm, liquidates={liquidates}"));
        let command = match liquidates {
            true => Command::Liquidate { venue: name, market, share_ppm },
            false => Command::Deleverage { venue: name, market, share_ppm },
        };
        perform(world, venue, command);
    }

    fn change_rules(&mut self, world: &mut World, venue: usize) {
        let Some(market) = symbols(world, venue).into_iter().next() else { return };
        let exchange = world.venues[venue].exchange();
        let Some(spec) = exchange.market(&market).map(|at| &exchange.spec().markets[at]) else { return };
        // The house tells decimals alone; what is held and ordered must stay a few steps.
        let step = if venue == 0 { spec.step * 10 } else { spec.step * 2 };
        let (tick, small) = (spec.tick * 10, step <= if venue == 0 { 100_000 } else { 4_000 });
        let rules = match self.rng.between(0, 3) {
            0 if tick <= 100_000_000 => Rules { tick: Some(tick), ..Rules::default() },
            1 if small && market.starts_with("BTC") => Rules { step: Some(step), ..Rules::default() },
            2 => Rules { taker_fee: Some(spec.taker_fee + 1_000), ..Rules::default() },
            _ => Rules { imf: Some(spec.imf + 100_000), mmf: Some(spec.mmf + 50_000), ..Rules::default() },
        };
        world.fault("V7", format_args!("{venue} {rules:?}"));
        world.excuse(venue, world.now + RULES_LEARNED);
        perform(world, venue, Command::Rules { venue: name(venue), market, rules });
    }

    /// The account is drained to little more than nothing for a while.
    fn move_money(&mut self, world: &mut World, venue: usize, now: u64) {
        let taken = world.venues[venue].truth().balance() - self.pick(&[60, 200, 500]) * 100_000_000;
        if taken <= 0 {
            return;
        }
        world.fault("V9", format_args!("{venue} {taken}"));
        world.moved += taken;
        perform(world, venue, Command::Transfer { venue: name(venue), usd: Size(-taken) });
        let until = now + self.span(10_000, 6);
        self.undo_later(world, until, Undo::Money(venue, taken));
    }

    /// Everything is as it should be again.
    pub fn heal(&mut self, world: &mut World, _now: u64) {
        count_rules(world);
        self.healed = true;
        std::mem::take(&mut self.undo).into_iter().for_each(|(_, what)| undo(world, what));
        let now_us = world.us();
        world.venues.iter_mut().for_each(|venue| venue.clear(now_us));
    }
}

const fn name(venue: usize) -> VenueName {
    if venue == 0 { VenueName::Vest } else { VenueName::Paradex }
}

fn symbols(world: &World, venue: usize) -> Vec<String> {
    world.venues[venue].exchange().spec().markets.iter().map(|market| market.symbol.clone()).collect()
}

/// What a venue cannot do at this moment is not done.
fn perform(world: &mut World, venue: usize, command: Command) {
    let now_us = world.us();
    let _ = world.venues[venue].perform(now_us, command);
}

fn script_all(world: &mut World, venue: usize, script: &Script) {
    for market in symbols(world, venue) {
        perform(world, venue, Command::Script { venue: name(venue), market, script: script.clone() });
    }
}

fn undo(world: &mut World, what: Undo) {
    let now_us = world.us();
    world.note("healed", format_args!("{what:?}"));
    match what {
        Undo::Mode(venue) => perform(world, venue, Command::Mode { venue: name(venue), mode: Mode::Ok }),
        Undo::Script(venue) => script_all(world, venue, &Script::default()),
        Undo::Money(venue, usd) => {
            world.moved -= usd;
            perform(world, venue, Command::Transfer { venue: name(venue), usd: Size(usd) });
        }
        Undo::Clock(venue) => world.venues[venue].set_clock(now_us, 0, 0),
        Undo::Stall(venue) => world.venues[venue].stall(now_us, Socket::All, false),
        Undo::Funding(venue) => {
            for market in symbols(world, venue) {
                let rate_1h_e12 = 12_500_000;
                perform(world, venue, Command::Funding { venue: name(venue), market, rate_1h_e12 });
            }
        }
    }
}
