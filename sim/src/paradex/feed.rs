//! What a subscription turns the venue's events into: SBE frames, or JSON where the option says so.
//!
//! `session` owns one [`Subscription`] for each channel. Public channels are SBE always; private ones by
//! option (sheet §10, row 1). Source: Paradex sheet §5.4 to §5.6.

use serde_json::{Value, json};

use super::channel::{Channel, Markets};
use super::directory::Directory;
use super::record::Position;
use super::sbe::{self, Package, Stamp, Version};
use super::{felt, json, market, rpc, sbe_private, view};
use crate::core::account::PositionView;
use crate::core::{AccountId, BookUpdate, Event, Exchange, FillView, Level, OrderView, TickerView};
use crate::wire::Frame;

/// Levels a side of a periodic snapshot.
const TOP_LEVELS: usize = 15;

/// The negotiated form of a connection's frames.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    pub version: Version,
    /// Whether private events are SBE frames; else JSON text.
    pub private_sbe: bool,
}

/// What an event is shown with: names that never change, and the exchange.
pub struct Scene<'a> {
    pub now_us: i64,
    pub directory: &'a Directory,
    pub exchange: &'a Exchange,
}

impl<'a> Scene<'a> {
    fn symbol(&self, market: usize) -> &'a str {
        self.exchange.symbol(market)
    }
}

/// One subscribed channel and what was last sent on it.
#[derive(Clone)]
pub struct Subscription {
    pub channel: Channel,
    /// The sequence number of the snapshot; older changes are in it already.
    from_seq: u64,
    last_top: Option<(Option<Level>, Option<Level>)>,
    last_sent_us: i64,
}

impl Form {
    /// The frame for an idle connection.
    pub fn heartbeat(self, now_us: i64) -> Frame {
        Frame::Binary(sbe::heartbeat(self.version, now_us, now_us))
    }

    fn private(
        self,
        name: &str,
        sbe: impl FnOnce(Version) -> Vec<u8>,
        json: impl FnOnce() -> Value,
    ) -> Frame {
        match self.private_sbe {
            true => Frame::Binary(sbe(self.version)),
            false => Frame::Text(rpc::event(name, &json())),
        }
    }
}

impl Subscription {
    pub fn new(channel: Channel) -> Subscription {
        Subscription { channel, from_seq: 0, last_top: None, last_sent_us: 0 }
    }

    /// What follows the acknowledgement at once: the whole book, the present top.
    pub fn first_frame(&mut self, form: Form, scene: &Scene) -> Option<Frame> {
        let symbol = match &self.channel {
            Channel::Deltas { market, .. } | Channel::Top15 { market, .. } => market,
            Channel::Bbo { markets: Markets::One(market), .. } => market,
            _ => return None,
        };
        let index = scene.exchange.market(symbol)?;
        let whole = scene.exchange.snapshot(index, scene.now_us);
        match &self.channel {
            Channel::Deltas { market, .. } => {
                self.from_seq = whole.seq;
                Some(book(form, Package::Snapshot, market, &whole))
            }
            Channel::Top15 { market, .. } => Some(top(form, market, whole)),
            _ => self.top_of_book(form, scene, index),
        }
    }

    /// The frames that `event` means on this channel for the connection of `account`.
    pub fn frames(
        &mut self,
        form: Form,
        name: &str,
        account: Option<AccountId>,
        scene: &Scene,
        event: &Event,
    ) -> Option<Frame> {
        match event {
            Event::Book(update) => self.on_book(form, scene, update),
            Event::Ticker(ticker) => self.on_ticker(form, scene, ticker),
            Event::Raw { market, bytes } => self.on_raw(scene, *market, bytes),
            Event::Order(order) if account == Some(order.account) => self.on_order(form, name, scene, order),
            Event::Fill(fill) if account == Some(fill.account) => self.on_fill(form, name, scene, fill),
            Event::Bust(fill) if account == Some(fill.account) => self.on_bust(name, scene, fill),
            Event::Position(p) if account == Some(p.account) && self.channel == Channel::Positions => {
                let p = position(scene, p);
                Some(form.private(name, |v| sbe_private::position(v, &p), || json::position(&p)))
            }
            Event::Account(a) if account == Some(a.account) && self.channel == Channel::Account => {
                let a = view::account(a, scene.directory.address(a.account));
                Some(form.private(name, |v| sbe_private::account(v, &a), || json::account(&a)))
            }
            _ => None,
        }
    }

    fn on_book(&mut self, form: Form, scene: &Scene, update: &BookUpdate) -> Option<Frame> {
        let symbol = scene.symbol(update.market);
        match &self.channel {
            Channel::Deltas { market, .. } if market == symbol && update.seq > self.from_seq => {
                let package = if update.snapshot { Package::Snapshot } else { Package::Delta };
                Some(book(form, package, symbol, update))
            }
            Channel::Top15 { market, period_ms } if market == symbol => {
                let due_us = self.last_sent_us + period_ms * 1_000;
                (scene.now_us >= due_us).then(|| {
                    self.last_sent_us = scene.now_us;
                    top(form, symbol, scene.exchange.snapshot(update.market, scene.now_us))
                })
            }
            Channel::Bbo { markets, .. } if markets.covers(symbol) => {
                self.top_of_book(form, scene, update.market)
            }
            _ => None,
        }
    }

    /// The best bid and ask, when they changed since the last frame of this subscription.
    fn top_of_book(&mut self, form: Form, scene: &Scene, market: usize) -> Option<Frame> {
        let whole = scene.exchange.snapshot(market, scene.now_us);
        let best = (whole.bids.first().copied(), whole.asks.first().copied());
        let single = matches!(self.channel, Channel::Bbo { markets: Markets::One(_), .. });
        if single && self.last_top == Some(best) {
            return None;
        }
        self.last_top = Some(best);
        let stamp = stamp(scene.symbol(market), whole.at_us, whole.seq);
        Some(Frame::Binary(sbe::bbo(form.version, stamp, best.0, best.1)))
    }

    fn on_ticker(&self, form: Form, scene: &Scene, ticker: &TickerView) -> Option<Frame> {
        let symbol = scene.symbol(ticker.market);
        let stamp = stamp(symbol, ticker.at_us, ticker.at_us as u64);
        match &self.channel {
            Channel::Summary(markets) if markets.covers(symbol) => {
                Some(Frame::Binary(sbe::market_summary(form.version, stamp, &market::summary(ticker))))
            }
            Channel::FundingData(markets) if markets.covers(symbol) => {
                Some(Frame::Binary(sbe::funding(form.version, stamp, &market::funding(ticker))))
            }
            _ => None,
        }
    }

    fn on_raw(&self, scene: &Scene, market: usize, bytes: &[u8]) -> Option<Frame> {
        match &self.channel {
            Channel::Deltas { market: mine, .. } if mine == scene.symbol(market) => {
                Some(Frame::Binary(bytes.to_vec()))
            }
            _ => None,
        }
    }

    fn on_order(&self, form: Form, name: &str, scene: &Scene, order: &OrderView) -> Option<Frame> {
        let symbol = scene.symbol(order.market);
        let Channel::Orders(markets) = &self.channel else { return None };
        markets.covers(symbol).then(|| {
            let o = view::order(order, scene.directory.address(order.account), symbol, scene.now_us);
            form.private(name, |v| sbe_private::order(v, &o), || json::order(&o))
        })
    }

    fn on_fill(&self, form: Form, name: &str, scene: &Scene, fill: &FillView) -> Option<Frame> {
        let symbol = scene.symbol(fill.market);
        let Channel::Fills(markets) = &self.channel else { return None };
        markets.covers(symbol).then(|| {
            let f =
                view::fill(fill, scene.directory.address(fill.account), symbol, is_interactive(scene, fill));
            form.private(name, |v| sbe_private::fill(v, &f), || json::fill(&f))
        })
    }

    /// There is no template for busts: they are JSON in either form.
    fn on_bust(&self, name: &str, scene: &Scene, fill: &FillView) -> Option<Frame> {
        (self.channel == Channel::Tradebusts).then(|| {
            let data = bust_json(scene, fill);
            Frame::Text(rpc::event(name, &data))
        })
    }
}

/// Whether the fill's order came with a Retail token.
pub fn is_interactive(scene: &Scene, fill: &FillView) -> bool {
    scene.exchange.order(&fill.order_id).is_some_and(|o| view::Note::from_text(&o.note).interactive)
}

/// A fill taken back, as `GET /tradebusts` and the channel show it.
pub fn bust_json(scene: &Scene, fill: &FillView) -> Value {
    json!({
        "account": felt::to_hex(&scene.directory.address(fill.account)),
        "market": scene.symbol(fill.market),
        "order_id": fill.order_id,
        "busted_fill_id": fill.id,
        "created_at": json::millis(scene.now_us),
    })
}

/// A position with the names of the directory.
pub fn position(scene: &Scene, p: &PositionView) -> Position {
    let imf = scene.exchange.spec().markets.get(p.market).map_or(0, |spec| spec.imf);
    let symbol = scene.symbol(p.market);
    view::position(p, scene.directory.address(p.account), symbol, view::leverage(imf))
}

fn stamp(market: &str, time_us: i64, seq: u64) -> Stamp<'_> {
    Stamp { time_us, seq: i64::try_from(seq).unwrap_or(i64::MAX), market }
}

fn book(form: Form, package: Package, market: &str, update: &BookUpdate) -> Frame {
    let stamp = stamp(market, update.at_us, update.seq);
    Frame::Binary(sbe::book(form.version, package, stamp, &update.bids, &update.asks))
}

fn top(form: Form, market: &str, mut whole: BookUpdate) -> Frame {
    whole.bids.truncate(TOP_LEVELS);
    whole.asks.truncate(TOP_LEVELS);
    book(form, Package::Snapshot, market, &whole)
}
