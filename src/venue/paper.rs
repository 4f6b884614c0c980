//! Paper trading: a trader that cannot reach a venue. It holds no link, no key and no order-entry code; it fills from
//! the real books after a sampled latency, at the worse of the books before and after, within the limit, consuming what
//! is displayed until the next update. It does not flatter.

use std::collections::VecDeque;

use super::{ReadyLink, SendError, Trader};
use crate::types::limits::{PAIRS_MAX, SIZES};
use crate::types::order::{Fill, OrderNews, Reason};
use crate::types::record::Role;
use crate::types::report::{CancelSpec, OrderKey, TraderEvent};
use crate::types::{MarketRules, Nanos, OrderSpec, PairId, Price, Qty, Quote, Rate, Side, Text, Told, Usd};

/// An order on its way to a venue that does not exist.
struct Pending {
    spec: OrderSpec,
    due: Nanos,
    /// Price that the book showed when it left.
    before: Option<Price>,
}

pub struct PaperTrader {
    quotes: [Quote; PAIRS_MAX],
    /// Taken from the displayed book of each pair and side since its last update.
    consumed: [[Qty; 2]; PAIRS_MAX],
    taker: [Rate; PAIRS_MAX],
    pending: VecDeque<Pending>,
    latency_ms: (u32, u32),
    /// State of the latency sampler.
    seed: u64,
    fills: u64,
    announced: bool,
}

impl PaperTrader {
    /// `latency_ms`: shortest and longest time from the send to the fill.
    pub fn new(latency_ms: (u32, u32), seed: u64) -> Self {
        Self {
            quotes: [Quote::default(); PAIRS_MAX],
            consumed: [[Qty::ZERO; 2]; PAIRS_MAX],
            taker: [Rate::ZERO; PAIRS_MAX],
            pending: VecDeque::with_capacity(PAIRS_MAX * 2),
            latency_ms,
            seed,
            fills: 0,
            announced: false,
        }
    }

    fn sample_ms(&mut self) -> u64 {
        // Knuth's 64-bit linear congruential generator; the high bits are good enough for a latency.
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (low, high) = (u64::from(self.latency_ms.0), u64::from(self.latency_ms.1));
        low + (self.seed >> 33) % (high - low + 1)
    }

    /// Price of the smallest priced size that covers the order and what was taken before; `None` when the book is too
    /// thin, stale or untradable.
    fn price(&self, spec: &OrderSpec) -> Option<Price> {
        let quote = &self.quotes[spec.pair.index()];
        let walks = match spec.side {
            Side::Buy => &quote.buy,
            Side::Sell => &quote.sell,
        };
        let wanted = spec.qty + self.consumed[spec.pair.index()][spec.side as usize];
        let fits = |i: &usize| quote.sizes[*i] >= wanted && walks[*i].is_defined();
        let size = (0..SIZES).rev().find(fits)?;
        quote.tradable.then_some(walks[size].worst)
    }

    fn execute(&mut self, order: &Pending, now: Nanos, events: &mut Vec<TraderEvent>) {
        let spec = &order.spec;
        let worse = match (order.before, self.price(spec)) {
            (Some(before), Some(after)) if spec.side == Side::Buy => Some(before.max(after)),
            (Some(before), Some(after)) => Some(before.min(after)),
            _ => None,
        };
        let inside = worse.filter(|&price| match spec.side {
            Side::Buy => price <= spec.limit,
            Side::Sell => price >= spec.limit,
        });
        let mut tell = |news| {
            events.push(TraderEvent::Order { key: OrderKey::Client(spec.id), news, t_venue: now });
        };
        tell(OrderNews::Acked);
        let filled = if inside.is_some() { spec.qty } else { Qty::ZERO };
        if let Some(price) = inside {
            self.consumed[spec.pair.index()][spec.side as usize] += spec.qty;
            self.fills += 1;
            let fee = price.times(spec.qty).part(self.taker[spec.pair.index()]);
            let id = Text::cut(&format!("paper-{}", self.fills));
            let fill = Fill { id, qty: spec.qty, price, fee, funding: Usd::ZERO };
            tell(OrderNews::Fill(fill, Told::default()));
        }
        let reason = if inside.is_some() { Reason::EMPTY } else { Reason::cut("no fill inside the limit") };
        let told = Told::default();
        tell(OrderNews::Closed { filled, average: Price::ZERO, fee: Usd::ZERO, reason, told });
    }
}

impl Trader for PaperTrader {
    /// Paper mode asks for no link; one that comes all the same is dropped.
    fn install(&mut self, _link: ReadyLink, _now: Nanos) {}

    fn missing(&self) -> [bool; Role::ALL.len()] {
        [false; Role::ALL.len()]
    }

    fn poll(&mut self, now: Nanos, events: &mut Vec<TraderEvent>) -> bool {
        if !self.announced {
            self.announced = true;
            events.push(TraderEvent::Ready(true));
        }
        let mut worked = false;
        while let Some(at) = self.pending.iter().position(|order| now >= order.due) {
            if let Some(order) = self.pending.remove(at) {
                self.execute(&order, now, events);
                worked = true;
            }
        }
        worked
    }

    fn send(&mut self, spec: &OrderSpec, now: Nanos) -> Result<(), SendError> {
        let due = now.plus_ms(self.sample_ms());
        self.pending.push_back(Pending { spec: *spec, due, before: self.price(spec) });
        Ok(())
    }

    /// A paper order that is under way is filled or closed within its latency.
    fn cancel(&mut self, _target: &CancelSpec, _now: Nanos) -> Result<(), SendError> {
        Ok(())
    }

    fn set_rules(&mut self, pair: PairId, rules: &MarketRules) {
        self.taker[pair.index()] = rules.taker;
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn close(&mut self) {}

    fn on_quote(&mut self, quote: &Quote) {
        let pair = quote.pair.index();
        if quote.updates != self.quotes[pair].updates {
            self.consumed[pair] = [Qty::ZERO; 2];
        }
        self.quotes[pair] = *quote;
    }
}
