//! Control of a venue: faults, scripts, cuts, modes, clock; as methods, and by the `command`s of a served run.
//!
//! Called by simulations directly and by `crate::control` for a served run. It is no part of the venue's protocol.

use thiserror::Error;

use super::Stage;
use super::command::Command;
use super::front::Front;
use crate::core::fault::{Class, Rule};
use crate::core::model::Script;
use crate::core::{Cause, Delay, Event, Exchange, Kind, Mode, NewOrder, Reject, Reply, Side, Socket, Tif};
use crate::wire::Frame;

/// The run's only account.
pub(super) const TRADER: usize = 0;
/// Vest's close code for a listen key that has expired.
const LISTEN_KEY_EXPIRED: u16 = 4005;

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ControlError {
    #[error("no market {0:?} at this venue")]
    NoMarket(String),
    #[error("no fill {0:?} that could be busted")]
    NoFill(String),
    #[error("nothing is held in {0:?}")]
    Flat(String),
    #[error("the venue refused the order: {0:?}")]
    Refused(Reject),
}

impl Stage {
    /// The exchange behind the wire. Its times are the venue's own: see [`Stage::shown`].
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    pub fn exchange_mut(&mut self) -> &mut Exchange {
        &mut self.exchange
    }

    /// What the venue's clock shows at a true time.
    pub fn shown(&self, now_us: i64) -> i64 {
        self.clock.shown(now_us)
    }

    /// Does what a command says; whom it is for has been looked at by the caller.
    pub fn perform(&mut self, now_us: i64, command: Command) -> Result<(), ControlError> {
        self.advance(now_us);
        let shown_us = self.shown(now_us);
        match command {
            Command::Fault { rule, .. } => self.exchange.add_fault(rule),
            Command::Clear {} => self.clear(now_us),
            Command::Script { market, script, .. } => {
                let market = self.market(&market)?;
                self.exchange.set_script(shown_us, market, script);
            }
            Command::Raw { market, text, .. } => {
                let (market, bytes) = (self.market(&market)?, text.into_bytes());
                self.exchange.say(shown_us, Event::Raw { market, bytes });
            }
            Command::Disconnect { socket, code, .. } => {
                self.exchange.say(shown_us, Event::Close { socket, code });
            }
            Command::Stall { socket, stalled, .. } => self.stall(now_us, socket, stalled),
            Command::Mode { mode, .. } => self.exchange.set_mode(shown_us, mode),
            Command::Funding { market, rate_1h_e12, .. } => {
                let market = self.market(&market)?;
                self.exchange.set_funding(shown_us, market, rate_1h_e12);
            }
            Command::Expire { .. } => self.revoke_tokens(now_us),
            Command::Bust { fill, .. } => {
                if !self.exchange.bust(shown_us, &fill) {
                    return Err(ControlError::NoFill(fill));
                }
            }
            Command::BustNewest { count, .. } => {
                self.exchange.bust_newest(shown_us, TRADER, count);
            }
            Command::Trade { market, side, size, .. } => {
                self.trade_by_hand(shown_us, &market, side, size.0, None)?;
            }
            Command::Rest { market, side, size, limit, .. } => {
                self.trade_by_hand(shown_us, &market, side, size.0, Some(limit.0))?;
            }
            other => self.upset(now_us, other)?,
        }
        self.advance(now_us);
        Ok(())
    }

    /// What a venue does to an account, a market or its clock by itself.
    fn upset(&mut self, now_us: i64, command: Command) -> Result<(), ControlError> {
        let shown_us = self.shown(now_us);
        match command {
            Command::Cancel { order, .. } => {
                let all = self.exchange.open_orders(TRADER).map(|order| order.id.clone());
                for id in order.map_or_else(|| all.collect(), |id| vec![id]) {
                    // What has ended meanwhile needs no cancel.
                    let _ = self.exchange.cancel(shown_us, &id, 0, true);
                }
            }
            Command::Liquidate { market, share_ppm, .. } => {
                self.close_by_force(shown_us, &market, share_ppm, Cause::Liquidation)?;
            }
            Command::Deleverage { market, share_ppm, .. } => {
                self.close_by_force(shown_us, &market, share_ppm, Cause::Deleveraging)?;
            }
            Command::Rollback { ms, .. } => self.exchange.roll_back(shown_us, i64::from(ms) * 1_000),
            Command::Rules { market, rules, .. } => {
                let market = self.market(&market)?;
                self.exchange.set_rules(shown_us, market, &rules);
            }
            Command::Transfer { usd, .. } => self.exchange.transfer(shown_us, TRADER, usd.0),
            Command::Clock { offset_ms, drift_ppm, .. } => {
                self.set_clock(now_us, offset_ms.saturating_mul(1_000), drift_ppm);
            }
            Command::Cadence { lo_ms, hi_ms, .. } => {
                let micros = |ms: u32| i64::from(ms) * 1_000;
                self.set_cadence(Delay::of(micros(lo_ms), micros(hi_ms.max(lo_ms))));
            }
            _ => unreachable!("perform does the others"),
        }
        Ok(())
    }

    /// Changes the time between the book messages of every market, from their next ones on.
    pub fn set_cadence(&mut self, cadence: Delay) {
        (0..self.exchange.spec().markets.len()).for_each(|market| self.exchange.set_cadence(market, cadence));
    }

    /// A hand at the venue's own screen.
    fn trade_by_hand(
        &mut self,
        shown_us: i64,
        market: &str,
        side: Side,
        size: i64,
        limit: Option<i64>,
    ) -> Result<(), ControlError> {
        let (kind, tif) = if limit.is_some() { (Kind::Limit, Tif::Gtc) } else { (Kind::Market, Tif::Ioc) };
        let order = NewOrder {
            account: TRADER,
            market: self.market(market)?,
            side,
            kind,
            tif,
            size,
            limit: limit.unwrap_or_default(),
            reduce_only: false,
            client_ref: String::new(),
            signed_at_ms: shown_us / 1_000,
            window_ms: 5_000,
            id: None,
            bump_us: 0,
            taker_fee: None,
            note: String::new(),
            held: true,
        };
        match self.exchange.submit(shown_us, order) {
            Reply::At { result: Err(reject), .. } => Err(ControlError::Refused(reject)),
            _ => Ok(()),
        }
    }

    fn close_by_force(
        &mut self,
        shown_us: i64,
        market: &str,
        share_ppm: u32,
        cause: Cause,
    ) -> Result<(), ControlError> {
        let index = self.market(market)?;
        match self.exchange.close_by_force(shown_us, TRADER, index, share_ppm, cause) {
            true => Ok(()),
            false => Err(ControlError::Flat(market.to_owned())),
        }
    }

    /// Adds a fault rule.
    pub fn fault(&mut self, rule: Rule) {
        self.exchange.add_fault(rule);
    }

    /// Whether a fault of a certain number waits for a message of this class.
    pub fn has_fault_for(&self, class: Class) -> bool {
        self.exchange.has_fault_for(class)
    }

    /// Removes all fault rules, scripts and stalls, and sets the mode to ok. The clock stays as it is.
    pub fn clear(&mut self, now_us: i64) {
        let shown_us = self.shown(now_us);
        self.exchange.faults().clear();
        for market in 0..self.exchange.spec().markets.len() {
            self.exchange.set_script(shown_us, market, Script::default());
        }
        if self.exchange.mode() != Mode::Ok {
            self.exchange.set_mode(shown_us, Mode::Ok);
        }
        self.stall(now_us, Socket::All, false);
        self.advance(now_us);
    }

    /// Ends all logins before their time: tokens, or the listen key, whose sockets are closed.
    pub fn revoke_tokens(&mut self, now_us: i64) {
        let shown_us = self.shown(now_us);
        self.front.revoke(shown_us);
        if matches!(self.front, Front::Vest(_)) {
            let (socket, code) = (Socket::Private, Some(LISTEN_KEY_EXPIRED));
            self.exchange.say(shown_us, Event::Close { socket, code });
        }
        self.advance(now_us);
    }

    /// Every listen key and token given out so far: what a client's output must never hold.
    pub fn issued(&self) -> &[String] {
        self.front.issued()
    }

    /// Drops all connections of a kind without a word. Those for orders are the caller's: it counts [`Stage::cuts`].
    pub fn cut(&mut self, now_us: i64, socket: Socket) {
        self.advance(now_us);
        self.cut_at(self.shown(now_us), socket);
        self.advance(now_us);
    }

    /// How often connections of this kind were cut so far.
    pub fn cuts(&self, socket: Socket) -> u64 {
        match socket {
            Socket::Md => self.cuts[0],
            Socket::Private => self.cuts[1],
            Socket::Orders => self.cuts[2],
            Socket::All => self.cuts.iter().sum(),
        }
    }

    /// Holds up every byte of the open connections of a kind without closing them, or lets them flow again.
    pub fn stall(&mut self, now_us: i64, socket: Socket, stalled: bool) {
        let shown_us = self.shown(now_us);
        if matches!(socket, Socket::Orders | Socket::All) {
            self.orders_stalled = stalled;
        }
        let is_meant = |stage: &Self, at: usize| {
            let connection = stage.lines[at].connection.as_ref();
            socket == Socket::All || connection.is_some_and(|connection| connection.is_kind(socket))
        };
        for at in 0..self.lines.len() {
            if !is_meant(self, at) {
                continue;
            }
            self.lines[at].is_stalled = stalled;
            if !stalled {
                let (id, texts) = (self.lines[at].id, std::mem::take(&mut self.lines[at].inbox));
                texts.iter().for_each(|text| self.hear(shown_us, id, text, false));
            }
        }
        self.stirred = true;
        self.advance(now_us);
    }

    /// Whether connections for orders are held up: their bytes are the caller's to keep.
    pub fn orders_are_stalled(&self) -> bool {
        self.orders_stalled
    }

    /// Sets the venue's clock: `offset_us` ahead of the true time from now on, gaining `drift_ppm` a second.
    /// What is under way keeps its true time; only what the clock is read for changes.
    pub fn set_clock(&mut self, now_us: i64, offset_us: i64, drift_ppm: i64) {
        self.advance(now_us);
        let jump_us = self.clock.set(now_us, offset_us, drift_ppm);
        self.exchange.shift(jump_us);
        self.calls.shift(jump_us);
        self.lines.iter_mut().for_each(|line| line.shift(jump_us));
    }

    /// Kinds that were cut since the last look, for whoever owns real connections.
    pub fn take_cuts(&mut self) -> Vec<Socket> {
        std::mem::take(&mut self.unreported_cuts)
    }

    /// Whether anything has become readable since the last look.
    pub fn take_stirred(&mut self) -> bool {
        std::mem::take(&mut self.stirred)
    }

    pub(super) fn cut_at(&mut self, shown_us: i64, socket: Socket) {
        let all = [Socket::Md, Socket::Private, Socket::Orders];
        for (count, kind) in self.cuts.iter_mut().zip(all) {
            *count += u64::from(socket == kind || socket == Socket::All);
        }
        if !self.unreported_cuts.contains(&socket) {
            self.unreported_cuts.push(socket);
        }
        for at in 0..self.lines.len() {
            let line = &mut self.lines[at];
            if !line.connection.as_ref().is_some_and(|connection| connection.is_kind(socket)) {
                continue;
            }
            line.cut();
            debug_assert_eq!(line.ready.back(), Some(&Frame::Gone));
            let id = line.id;
            self.end(shown_us, id);
        }
        self.stirred = true;
    }

    fn market(&self, symbol: &str) -> Result<usize, ControlError> {
        self.exchange.market(symbol).ok_or_else(|| ControlError::NoMarket(symbol.to_owned()))
    }
}
