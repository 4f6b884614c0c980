//! What a market publishes by itself: quotes, whole books and changes, tickers, the funding index.
//!
//! Part of `Exchange`, driven by its queue of work. A frozen feed is silent here while the market itself
//! moves on.

use super::book::Change;
use super::exchange::{Exchange, Work};
use super::fault::{Class, Subject};
use super::money::{self, Round};
use super::types::*;

const HOUR_US: i128 = 3_600_000_000;

impl Exchange {
    pub(super) fn requote(&mut self, now_us: i64, market: usize) {
        self.accrue(market, now_us);
        let style = self.spec.style;
        let m = &mut self.markets[market];
        m.model.advance(now_us);
        m.history.record(now_us, m.model.mark(), m.funding_rate_e12);
        let change = match m.model.is_empty_turn() {
            true => Change::default(),
            false => {
                let next = m.model.quote(now_us);
                m.book.replace(next)
            }
        };
        let pause = m.model.pause(self.spec.load);
        if style == Style::House || m.resync {
            self.publish_whole(now_us, market);
        } else {
            self.publish_change(now_us, market, change);
        }
        self.match_resting(now_us, market);
        self.watch_margin(now_us, market);
        self.schedule_quote(now_us + pause, market);
    }

    fn publish_whole(&mut self, now_us: i64, market: usize) {
        let m = &mut self.markets[market];
        m.seq += 1;
        m.resync = m.model.script.lie.is_some();
        let whole = self.snapshot(market, now_us);
        self.publish_book(now_us, whole);
    }

    /// One quote of a market counts at any time, whoever asked for an extra one.
    pub(super) fn schedule_quote(&mut self, due_us: i64, market: usize) {
        self.markets[market].quote += 1;
        let quote = self.markets[market].quote;
        self.schedule(due_us, Work::Quote { market, quote });
    }

    pub(super) fn publish_ticker(&mut self, now_us: i64, market: usize) {
        self.accrue(market, now_us);
        if !self.markets[market].model.script.freeze {
            let ticker = Event::Ticker(self.ticker(market, now_us));
            self.publish(now_us, market, ticker);
        }
        self.schedule(now_us + self.spec.ticker_us, Work::Ticker(market));
    }

    /// Lets the funding index grow: rate x index price x time.
    pub(super) fn accrue(&mut self, market: usize, now_us: i64) {
        let m = &mut self.markets[market];
        let elapsed = i128::from((now_us - m.funded_us).max(0));
        let per_hour = i128::from(m.funding_rate_e12) * i128::from(m.model.index());
        let growth = money::divide(per_hour * elapsed, HOUR_US * i128::from(money::ONE), Round::Down);
        m.funding_index_e12 += growth;
        m.funded_us = m.funded_us.max(now_us);
    }

    /// Publishes a change of a book that an order made.
    pub(super) fn publish_change(&mut self, now_us: i64, market: usize, change: Change) {
        let m = &mut self.markets[market];
        m.seq += 1;
        let (bids, asks) = m.model.published(change.bids, change.asks);
        let update = BookUpdate { market, seq: m.seq, at_us: now_us, snapshot: false, bids, asks };
        self.publish_book(now_us, update);
    }

    fn publish_book(&mut self, now_us: i64, update: BookUpdate) {
        let market = update.market;
        if !self.markets[market].model.script.freeze {
            self.publish(now_us, market, Event::Book(update));
        }
    }

    /// Sends a public message; the rules may lose, double or delay it.
    fn publish(&mut self, now_us: i64, market: usize, event: Event) {
        let class = Class::of(&event).unwrap_or(Class::BookEvent);
        let subject = Subject { market: Some(&self.markets[market].spec.symbol), ..Subject::of(class) };
        let actions = self.faults.draw(subject);
        self.emit(now_us, now_us, actions, event);
    }
}
