//! Control of a venue: faults, scripts, cuts, modes, clock; as methods, and as data for the control port and scenarios.
//!
//! Called by simulations directly and by `crate::control` for a served run. It is no part of the venue's protocol.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Stage;
use super::front::Front;
use crate::core::fault::Rule;
use crate::core::model::Script;
use crate::core::{
    Cause, Delay, Event, Exchange, Kind, Mode, NewOrder, Reject, Reply, Rules, Side, Socket, Tif, money,
};
use crate::wire::Frame;

/// The run's only account.
pub(super) const TRADER: usize = 0;
/// Vest's close code for a listen key that has expired.
const LISTEN_KEY_EXPIRED: u16 = 4005;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VenueName {
    Vest,
    Paradex,
}

/// A login that `expire` ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Login {
    ListenKey,
    Jwt,
}

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

/// An operation with its fields, as it is posted or written in a scenario: one JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    Fault {
        venue: VenueName,
        rule: Rule,
    },
    Clear {},
    Script {
        venue: VenueName,
        market: String,
        script: Script,
    },
    Raw {
        venue: VenueName,
        market: String,
        text: String,
    },
    Disconnect {
        venue: VenueName,
        socket: Socket,
        code: Option<u16>,
    },
    Stall {
        venue: VenueName,
        socket: Socket,
        stalled: bool,
    },
    Mode {
        venue: VenueName,
        mode: Mode,
    },
    Funding {
        venue: VenueName,
        market: String,
        rate_1h_e12: i64,
    },
    Expire {
        what: Login,
    },
    Bust {
        venue: VenueName,
        fill: String,
    },
    /// Takes the newest fills back, one after the other.
    BustNewest {
        venue: VenueName,
        count: usize,
    },
    /// Trades by hand, on the trader's account and without the client's knowledge: at the market, or resting at a limit.
    Trade {
        venue: VenueName,
        market: String,
        side: Side,
        size: Size,
        #[serde(default)]
        limit: Option<Size>,
    },
    /// Cancels by hand: one order, or all.
    Cancel {
        venue: VenueName,
        #[serde(default)]
        order: Option<String>,
    },
    /// Closes a share of a position by force, parts per million, for want of margin.
    Liquidate {
        venue: VenueName,
        market: String,
        share_ppm: u32,
    },
    /// The same against a loser of the other side, at the mark.
    Deleverage {
        venue: VenueName,
        market: String,
        share_ppm: u32,
    },
    /// Goes back to the state of so long ago (at most 15 minutes).
    Rollback {
        venue: VenueName,
        ms: u32,
    },
    Rules {
        venue: VenueName,
        market: String,
        rules: Rules,
    },
    /// Pays in, or takes out when negative.
    Transfer {
        venue: VenueName,
        usd: Size,
    },
    /// Sets the venue's clock so far ahead (behind when negative), gaining so many microseconds a second.
    Clock {
        venue: VenueName,
        offset_ms: i64,
        #[serde(default)]
        drift_ppm: i64,
    },
    /// Time between the book messages of every market.
    Cadence {
        venue: VenueName,
        lo_ms: u32,
        hi_ms: u32,
    },
}

/// An amount in a command: a decimal text or a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Size(#[serde(with = "money::text")] pub i64);

impl Command {
    /// Whom it is for; `None` = both.
    pub fn venue(&self) -> Option<VenueName> {
        match self {
            Command::Clear {} => None,
            Command::Expire { what: Login::ListenKey } => Some(VenueName::Vest),
            Command::Expire { what: Login::Jwt } => Some(VenueName::Paradex),
            Command::Fault { venue, .. }
            | Command::Script { venue, .. }
            | Command::Raw { venue, .. }
            | Command::Disconnect { venue, .. }
            | Command::Stall { venue, .. }
            | Command::Mode { venue, .. }
            | Command::Funding { venue, .. }
            | Command::Bust { venue, .. }
            | Command::BustNewest { venue, .. }
            | Command::Trade { venue, .. }
            | Command::Cancel { venue, .. }
            | Command::Liquidate { venue, .. }
            | Command::Deleverage { venue, .. }
            | Command::Rollback { venue, .. }
            | Command::Rules { venue, .. }
            | Command::Transfer { venue, .. }
            | Command::Clock { venue, .. }
            | Command::Cadence { venue, .. } => Some(*venue),
        }
    }
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
            Command::Trade { market, side, size, limit, .. } => {
                let order = by_hand(self.market(&market)?, side, size.0, limit, shown_us);
                if let Reply::At { result: Err(reject), .. } = self.exchange.submit(shown_us, order) {
                    return Err(ControlError::Refused(reject));
                }
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

    /// Sets the venue's clock: `offset_us` ahead of the true time from now on, gaining `drift_ppm` microseconds a second.
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
        self.unreported_cuts.push(socket);
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

/// A hand at the venue's own screen.
fn by_hand(market: usize, side: Side, size: i64, limit: Option<Size>, now_us: i64) -> NewOrder {
    let (kind, tif) = if limit.is_some() { (Kind::Limit, Tif::Gtc) } else { (Kind::Market, Tif::Ioc) };
    NewOrder {
        account: TRADER,
        market,
        side,
        kind,
        tif,
        size,
        limit: limit.map_or(0, |limit| limit.0),
        reduce_only: false,
        client_ref: String::new(),
        signed_at_ms: now_us / 1_000,
        window_ms: 5_000,
        id: None,
        bump_us: 0,
        taker_fee: None,
        note: String::new(),
        held: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_read_from_json() {
        for text in [
            r#"{"fault":{"venue":"vest","rule":{"class":"order","action":{"hold_fill":{"ms":30000}}}}}"#,
            r#"{"clear":{}}"#,
            r#"{"script":{"venue":"paradex","market":"BTC-USD-PERP",
                "script":{"basis_bps":"-40","freeze":true}}}"#,
            r#"{"disconnect":{"venue":"vest","socket":"private","code":1012}}"#,
            r#"{"disconnect":{"venue":"vest","socket":"md"}}"#,
            r#"{"mode":{"venue":"paradex","mode":"cancel_only"}}"#,
            r#"{"expire":{"what":"listen_key"}}"#,
            r#"{"trade":{"venue":"vest","market":"BTC-PERP","side":"buy","size":"0.01"}}"#,
            r#"{"trade":{"venue":"vest","market":"BTC-PERP","side":"buy","size":"0.01","limit":"70000"}}"#,
            r#"{"cancel":{"venue":"paradex"}}"#,
            r#"{"bust_newest":{"venue":"paradex","count":3}}"#,
            r#"{"liquidate":{"venue":"paradex","market":"BTC-USD-PERP","share_ppm":500000}}"#,
            r#"{"deleverage":{"venue":"vest","market":"BTC-PERP","share_ppm":1}}"#,
            r#"{"rollback":{"venue":"paradex","ms":60000}}"#,
            r#"{"rules":{"venue":"vest","market":"BTC-PERP","rules":{"tick":"0.5","imf":"0.2"}}}"#,
            r#"{"transfer":{"venue":"vest","usd":"-99000"}}"#,
            r#"{"clock":{"venue":"vest","offset_ms":-300,"drift_ppm":50}}"#,
            r#"{"cadence":{"venue":"paradex","lo_ms":500,"hi_ms":900}}"#,
        ] {
            serde_json::from_str::<Command>(text).unwrap();
        }
        assert!(serde_json::from_str::<Command>(r#"{"mode":{"venue":"vest","mode":"ok","x":1}}"#).is_err());
    }
}
