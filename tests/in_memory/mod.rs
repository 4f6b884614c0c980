//! The hot threads of one engine with real venues' wire code on links of memory and a clock set by hand: frames go in,
//! orders come out, and every entry is refused by both venues, so that it can be asked for again. For `no_alloc` and
//! the bench of the whole path.

// Each of them uses a part.
#![allow(dead_code)]

mod frames;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bot4::book::thread::{BookRings, BookThread};
use bot4::journal::memory::MemoryJournal;
use bot4::order::board::Board;
use bot4::order::core::{Core, Effects, Input, Start};
use bot4::order::signer::{SignerRings, SignerThread};
use bot4::order::thread::{OrderThread, Rings, SignerEnds};
use bot4::spread::thread::{SpreadRings, SpreadThread};
use bot4::sys::clock::ManualClock;
use bot4::sys::frame::{Caps, FrameReader, Kind};
use bot4::sys::link::{Inbound, Link, LinkError, Outbound};
use bot4::sys::ring::{Rx, Tx, ring};
use bot4::types::ready::Near;
use bot4::types::record::Role;
use bot4::types::report::{AccountReport, Fact};
use bot4::types::settings::Basis;
use bot4::types::*;
use bot4::venue::ask::Ask;
use bot4::venue::{Answer, REGISTRY, ReadyLink, Secrets, Setup};
use frames::{paradex_book, paradex_delta, vest_book, vest_ticker};

/// Published throw-away keys: of a development chain, and of the signing vectors.
const SECRETS: [&[(&str, &str)]; 2] = [
    &[
        ("PRIMARY_ADDRESS", "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
        ("SIGNING_KEY", "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
        ("API_KEY", "memory"),
        ("ACCOUNT_GROUP", "0"),
    ],
    &[
        ("ACCOUNT_ADDRESS", "0x168f27d2408ddc98c6a86a7f50e5ec9a733a3bcada0260a41bb93d3da13de8b"),
        ("SUBKEY", "0x51020ffca36c46756ed57142004f7180e14f15a6fe5e4c5344cce536e3c9620"),
    ],
];
const SYMBOLS: [&str; 2] = ["BTC-PERP", "BTC-USD-PERP"];
const PAIR: PairId = PairId(0);
const DEPTH: usize = 64;
/// Bytes of an order in which its method and its number stand.
const HEAD: usize = 64;
/// Room for the ladders of one trade.
const LADDERS: usize = 1_024;
const E8: i64 = 100_000_000;

/// The public side of a venue: a frame that the test puts in is read once.
struct Public {
    frames: Arc<[Vec<u8>]>,
    /// One more than the index of the frame to read; zero: none.
    next: Arc<AtomicUsize>,
    /// Where the frames of this venue have a sequence, which rises by itself.
    sequence: Option<(usize, u64)>,
    scratch: Vec<u8>,
    reader: FrameReader,
}

impl Link for Public {
    fn send(&mut self, _: Outbound<'_>) -> Result<(), LinkError> {
        Ok(())
    }

    fn recv(&mut self) -> Result<Option<Inbound<'_>>, LinkError> {
        let Some(nth) = self.next.swap(0, Ordering::Relaxed).checked_sub(1) else { return Ok(None) };
        self.scratch.clear();
        self.scratch.extend_from_slice(&self.frames[nth]);
        if let Some((at, sequence)) = &mut self.sequence {
            *sequence += 1;
            self.scratch[*at..*at + 8].copy_from_slice(&sequence.to_le_bytes());
        }
        self.reader.room()[..self.scratch.len()].copy_from_slice(&self.scratch);
        self.reader.filled(self.scratch.len());
        let Ok(Some(found)) = self.reader.find() else { panic!("a whole frame") };
        let bytes = self.reader.bytes(&found);
        Ok(Some(if found.kind == Kind::Binary { Inbound::Binary(bytes) } else { Inbound::Text(bytes) }))
    }
}

/// The private side of a venue: grants what is asked for, and refuses every order.
struct Private {
    venue: usize,
    /// Bytes of orders written.
    written: Arc<AtomicUsize>,
    /// Replies that wait, and room for one text.
    replies: Vec<Reply>,
    text: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Reply {
    Granted(u64),
    Refused(u64),
}

impl Link for Private {
    fn send(&mut self, message: Outbound<'_>) -> Result<(), LinkError> {
        let (Outbound::Text(bytes) | Outbound::Request(bytes)) = message else { return Ok(()) };
        // A search through a whole order would be timed with the path.
        let head = &bytes[..bytes.len().min(HEAD)];
        let is_order = head.starts_with(b"POST ") || find(head, b"order.create").is_some();
        if is_order {
            self.written.fetch_add(bytes.len(), Ordering::Relaxed);
        }
        let numbered = if is_order { head } else { bytes };
        let id = find(numbered, b"\"id\":").map_or(0, |at| number(&numbered[at + 5..]));
        self.replies.push(if is_order { Reply::Refused(id) } else { Reply::Granted(id) });
        Ok(())
    }

    fn recv(&mut self) -> Result<Option<Inbound<'_>>, LinkError> {
        if self.replies.is_empty() {
            return Ok(None);
        }
        self.text.clear();
        let text = &mut self.text;
        match (self.venue, self.replies.remove(0)) {
            (0, Reply::Refused(_)) => {
                let body = br#"{"code":3003,"msg":"stale"}"#;
                return Ok(Some(Inbound::Response { status: 400, body, retry_after: None }));
            }
            (0, Reply::Granted(id)) => write!(text, r#"{{"result":null,"id":{id}}}"#)?,
            (_, Reply::Refused(id)) => write!(
                text,
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32600,"message":"INVALID_ORDER_SIZE"}}}}"#
            )?,
            (_, Reply::Granted(id)) => {
                write!(text, r#"{{"jsonrpc":"2.0","id":{id},"result":{{"enabled":true,"channel":"x"}}}}"#)?;
            }
        }
        Ok(Some(Inbound::Text(&self.text)))
    }
}

fn find(bytes: &[u8], word: &[u8]) -> Option<usize> {
    bytes.windows(word.len()).position(|window| window == word)
}

fn number(bytes: &[u8]) -> u64 {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

/// The four hot threads, polled by hand, and `signer` where orders are signed ahead.
pub struct Engine {
    pub md: [BookThread; 2],
    pub spread: SpreadThread,
    pub order: OrderThread,
    signer: Option<SignerThread>,
    pub clock: ManualClock,
    next: [Arc<AtomicUsize>; 2],
    written: [Arc<AtomicUsize>; 2],
    asks: Vec<Rx<Ask>>,
    records: Vec<Rx<Record>>,
    keepers: Vec<Tx<Answer>>,
    ahead: Ahead,
    /// Ring ends that nobody uses and that must not close.
    unused: (Vec<Tx<Answer>>, Tx<Command>, Option<Tx<Near>>),
}

/// What is done of orders before they are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ahead {
    Nothing,
    /// All that needs no price, where a venue's signatures allow it.
    Begun,
    Signed,
}

/// The frames that a venue can send.
#[derive(Clone, Copy)]
pub enum Frame {
    /// Both venues at the same price.
    Even = 1,
    /// 36 basis points above the other: a trade.
    Rich = 2,
    /// A change far from the touch (Paradex), or the same book again (Vest).
    Far = 3,
    /// 26 basis points above the other: a trade is near.
    Near = 4,
    /// The market trades (Vest).
    Ticker = 5,
}

impl Engine {
    /// Ready to trade, both books at one price, nothing signed ahead.
    pub fn new() -> Self {
        Self::start(Ahead::Nothing)
    }

    /// The same with orders signed ahead of each trade, while nobody times it.
    pub fn signing_ahead() -> Self {
        Self::of(Ahead::Signed)
    }

    /// The same with orders that are begun ahead and signed when they are sent.
    pub fn beginning_ahead() -> Self {
        Self::of(Ahead::Begun)
    }

    fn of(ahead: Ahead) -> Self {
        let mut engine = Self::start(ahead);
        engine.recover();
        engine
    }

    fn start(ahead: Ahead) -> Self {
        let clock = ManualClock::at(Nanos::from_ms(1_800_000_000_000));
        let settings = settings();
        let mut records = Vec::new();
        let mut record = || {
            let (tx, rx) = ring(1_024);
            records.push(rx);
            tx
        };
        let next = [0, 1].map(|_| Arc::new(AtomicUsize::new(0)));
        let written = [0, 1].map(|_| Arc::new(AtomicUsize::new(0)));
        let (mut to_spread, mut to_order, mut asks, mut held) = (vec![], vec![], vec![], vec![]);
        let md = [0, 1].map(|venue: usize| {
            let ((spread, spread_rx), (order, order_rx)) = (ring(DEPTH), ring(DEPTH));
            let ((ask, asked), (mut keeper, answers)) = (ring(DEPTH), ring(DEPTH));
            let rings = BookRings { spread, order, ask, answers, records: record() };
            let link = Box::new(Public::new(venue, Arc::clone(&next[venue])));
            push(&mut keeper, venue, Role::MarketData, link);
            to_spread.push(spread_rx);
            to_order.push(order_rx);
            asks.push(asked);
            held.push(keeper);
            let feed = (REGISTRY[venue].feed)(&setup(venue)).expect("a feed");
            let mut md = BookThread::new(id(venue), feed, Box::new(clock.clone()), &settings, rings);
            md.set_lot(PAIR, rules().lot, rules().min_qty);
            md
        });
        let ((intents, wishes), (exposures, exposure)) = (ring(DEPTH), ring(DEPTH));
        let (rules_tx, rules_rx) = ring(DEPTH);
        let rings = SpreadRings { quotes: to_spread, exposure, rules: rules_rx, intents, records: record() };
        let mut spread = SpreadThread::new(Box::new(clock.clone()), &settings, rings);
        let (mut answers, mut keepers) = (Vec::new(), Vec::new());
        let mut order_asks = Vec::new();
        for (venue, written) in written.iter().enumerate() {
            let ((ask, asked), (mut keeper, answers_rx)) = (ring(256), ring(DEPTH));
            let link = || Box::new(Private::new(venue, Arc::clone(written)));
            push(&mut keeper, venue, Role::Orders, link());
            push(&mut keeper, venue, Role::Private, link());
            spread.set_rules(id(venue), PAIR, &rules());
            asks.push(asked);
            order_asks.push(ask);
            answers.push(answers_rx);
            keepers.push(keeper);
        }
        let (commands_tx, commands) = ring(DEPTH);
        let rings = Rings {
            quotes: to_order,
            intents: wishes,
            commands,
            answers,
            asks: order_asks,
            exposures,
            rules: rules_tx,
            records: record(),
        };
        let (core, effects) = core(settings.clone(), Nanos::from_ms(1_800_000_000_000));
        let mut traders: Vec<_> =
            (0..2).map(|venue| (REGISTRY[venue].trader)(&setup(venue)).expect("a trader")).collect();
        traders.iter_mut().for_each(|trader| trader.set_rules(PAIR, &rules()));
        let journal = MemoryJournal { entries: Vec::with_capacity(100_000), room: usize::MAX };
        let (board, journal) = (Arc::new(Board::default()), Box::new(journal));
        let order =
            OrderThread::new(core, effects, 0, board, traders, journal, Box::new(clock.clone()), rings);
        let (mut signer, mut near, mut ends) = (None, None, None);
        if ahead != Ahead::Nothing {
            let (thread, near_tx, signer_ends) = signing(&settings, &clock);
            (signer, near, ends) = (Some(thread), Some(near_tx), Some(signer_ends));
        }
        let told = near.take_if(|_| ahead == Ahead::Signed);
        let (spread, order) = (spread.with_signer(told), order.with_signer(ends));
        let unused = (held, commands_tx, near);
        let mut engine =
            Self { md, spread, order, signer, clock, next, written, asks, records, keepers, ahead, unused };
        for (venue, frame) in [(0, Frame::Ticker), (0, Frame::Even), (1, Frame::Even)] {
            engine.read(venue, frame);
        }
        (0..20).for_each(|_| engine.settle());
        engine
    }

    /// Lets a reader read one frame.
    pub fn read(&mut self, venue: usize, frame: Frame) {
        self.next[venue].store(frame as usize, Ordering::Relaxed);
        self.md[venue].poll(self.now());
    }

    /// Lets `spread` look at what has come.
    pub fn wish(&mut self) -> bool {
        self.spread.poll(self.now())
    }

    /// The frame of the first venue that opens a gap, up to the bytes of both orders; how many bytes.
    pub fn trade(&mut self) -> [usize; 2] {
        let before = self.bytes();
        self.read(0, Frame::Rich);
        self.wish();
        self.order.poll(self.now());
        let after = self.bytes();
        [after[0] - before[0], after[1] - before[1]]
    }

    /// What has been recorded since the last turn, for a test that fails.
    pub fn told(&mut self) -> Vec<RecordKind> {
        let records = self.records.iter_mut().flat_map(|ring| std::iter::from_fn(|| ring.pop()));
        records.map(|record| record.kind).collect()
    }

    /// Both refusals arrive, the gap goes, and time passes until the next entry may be made and is signed ahead.
    pub fn recover(&mut self) {
        self.state();
        self.settle();
        self.read(0, Frame::Even);
        self.read(1, Frame::Far);
        (0..20).for_each(|_| self.settle());
        if self.ahead == Ahead::Signed {
            self.read(0, Frame::Near);
            self.settle();
        }
        if self.ahead != Ahead::Nothing {
            let now = self.now();
            self.signer.iter_mut().for_each(|signer| while signer.poll(now) {});
            (0..20).for_each(|_| self.settle());
        }
    }

    /// A turn of everybody who is downstream of the books, and of those who listen.
    fn settle(&mut self) {
        self.clock.advance_ms(10);
        self.order.poll(self.now());
        self.spread.poll(self.now());
        self.records.iter_mut().for_each(|ring| while ring.pop().is_some() {});
        self.answer();
    }

    /// Both accounts are read, as the keepers do it now and then.
    fn state(&mut self) {
        let asked = self.now();
        for venue in [0, 1] {
            let fact = Fact::Account { venue: id(venue), asked, report: account() };
            assert!(self.keepers[venue].push(Answer::Fact(fact)).is_ok());
        }
    }

    /// Both accounts are there and have no order open.
    fn answer(&mut self) {
        let asked = self.now();
        for ring in &mut self.asks {
            while let Some(ask) = ring.pop() {
                let fact = match ask {
                    Ask::Account { venue } => Fact::Account { venue, asked, report: account() },
                    Ask::OpenOrders { venue } => Fact::OpenOrders { venue, asked, orders: Vec::new() },
                    _ => continue,
                };
                assert!(self.keepers[ask.venue().index()].push(Answer::Fact(fact)).is_ok());
            }
        }
    }

    fn now(&self) -> Nanos {
        bot4::sys::clock::Clock::now(&self.clock)
    }

    fn bytes(&self) -> [usize; 2] {
        [0, 1].map(|venue| self.written[venue].load(Ordering::Relaxed))
    }
}

impl Public {
    fn new(venue: usize, next: Arc<AtomicUsize>) -> Self {
        let even = 80_000 * E8;
        let [rich, near] = [36, 26].map(|bps| even + even / 10_000 * bps);
        let (frames, sequence): (Vec<_>, _) = if venue == 0 {
            let mut frames = [even, rich, even, near].map(vest_book).to_vec();
            frames.push(vest_ticker());
            (frames, None)
        } else {
            // After the head of the frame, that of SBE and the time.
            (vec![paradex_book(even, 60), paradex_book(rich, 60), paradex_delta(even)], Some((4 + 16, 100)))
        };
        let reader = FrameReader::new(Caps::default());
        Self { frames: frames.into(), next, sequence, scratch: Vec::with_capacity(8_192), reader }
    }
}

impl Private {
    fn new(venue: usize, written: Arc<AtomicUsize>) -> Self {
        Self { venue, written, replies: Vec::with_capacity(64), text: Vec::with_capacity(1_024) }
    }
}

/// `signer` and its rings' other ends: of `spread` and of `order`.
fn signing(settings: &Settings, clock: &ManualClock) -> (SignerThread, Tx<Near>, SignerEnds) {
    let ((near, near_rx), (ready_tx, ready), (rules_tx, rules_rx)) =
        (ring(DEPTH), ring(LADDERS), ring(DEPTH));
    let presigners =
        (0..2).map(|venue| (REGISTRY[venue].presigner)(&setup(venue)).expect("a presigner")).collect();
    let rings = SignerRings { near: near_rx, rules: rules_rx, ready: ready_tx };
    let mut thread = SignerThread::new(Box::new(clock.clone()), settings, presigners, rings);
    (0..2).for_each(|venue| thread.set_rules(id(venue), PAIR, &rules()));
    (thread, near, SignerEnds { ready, rules: rules_tx })
}

fn push(keeper: &mut Tx<Answer>, venue: usize, role: Role, link: Box<dyn Link>) {
    let secret = Some(Secret::new("token".into()));
    assert!(keeper.push(Answer::Link(ReadyLink { venue: id(venue), role, link, secret })).is_ok());
}

fn id(venue: usize) -> VenueId {
    VenueId(venue as u8)
}

fn setup(venue: usize) -> Setup {
    Setup {
        id: id(venue),
        env: "sim".into(),
        rest_url: "https://127.0.0.1:8443/v1".into(),
        ws_url: "wss://127.0.0.1:8444/v1".into(),
        order_kind: OrderKind::Ioc,
        profile: Profile::Pro,
        pool: Pool { connections: 1, ..Pool::default() },
        ack_deadline_ms: 1_500,
        markets: vec![(PAIR, SYMBOLS[venue].into())],
        secrets: Secrets(BTreeMap::from_iter(
            SECRETS[venue].iter().map(|(key, text)| (*key, Secret::new((*text).into()))),
        )),
    }
}

/// As shipped, but refused orders hold nothing up.
fn settings() -> Settings {
    let shipped = bot4::config::parse("memory.toml", "", &REGISTRY);
    let mut settings = shipped.unwrap_or_else(|error| panic!("{error}")).settings;
    settings.signal.basis = Basis::Raw;
    let risk = &mut settings.risk;
    (risk.cooldown_ms, risk.failed_leg_cooldown_ms, risk.link_cooldown_ms) = (0, 0, 0);
    (risk.max_entries_per_hour, risk.max_entries_per_day) = (1_000_000, 1_000_000);
    risk.max_order_errors_per_min = 1_000_000;
    settings.upkeep.throttle.max_entries_per_min = 1_000_000;
    settings.venues.iter_mut().for_each(|venue| venue.orders_per_s = 1_000_000);
    settings
}

fn rules() -> MarketRules {
    MarketRules {
        tick: Price::from_raw(10_000_000),
        lot: Qty::from_raw(10_000),
        min_qty: Qty::from_raw(10_000),
        max_qty: Qty::ZERO,
        min_notional: Usd::ZERO,
        price_places: 2,
        qty_places: 4,
        taker: Rate::from_bps(1),
        initial_margin: Rate::from_bps(1_000),
        maintenance_margin: Rate::from_bps(500),
        price_band: Rate::ZERO,
        ends_ms: None,
        status: MarketStatus::Trading,
    }
}

/// The core, told what the venues say at the start.
fn core(settings: Settings, now: Nanos) -> (Core, Effects) {
    let (mut core, mut effects) = (Core::new(settings), Effects::with_capacity(256));
    core.start(now, Start { epoch: 1, mode: Mode::Active, paper: false }, &mut effects);
    for venue in [0, 1].map(id) {
        core.step(now, Input::Fact(Fact::Rules { venue, pair: PAIR, rules: rules() }), &mut effects);
    }
    (core, effects)
}

fn account() -> AccountReport {
    let (equity, free_margin) = (Usd::from_raw(10_000 * E8), Usd::from_raw(10_000 * E8));
    AccountReport { equity, free_margin, ..Default::default() }
}
