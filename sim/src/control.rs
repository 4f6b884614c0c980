//! Control of a run: faults, scripts, cuts, modes, and the venues' own truth.
//!
//! Called by in-process tests, by the demo, and over HTTP by `control_port`. It is no part of either venue's protocol,
//! and no client under test may call it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::core::account::{AccountView, LedgerEntry, PositionView};
use crate::core::fault::{Class, Rule};
use crate::core::model::Script;
use crate::core::{Event, FillView, Kind, Mode, NewOrder, OrderView, Reject, Reply, Side, Socket, Tif};
use crate::meter::{Meter, Stats};
use crate::venue::Venue;

/// The run's only account.
const TRADER: usize = 0;
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
    #[error("the venue refused the order: {0:?}")]
    Refused(Reject),
}

/// A venue's private truth. Amounts are integers at 1e-8, times microseconds, funding indices at 1e-12.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VenueTruth {
    pub mode: Mode,
    pub account: AccountView,
    /// All markets, flat ones included, in the order of `markets`.
    pub positions: Vec<PositionView>,
    pub markets: Vec<String>,
    pub open_orders: Vec<OrderView>,
    /// Every order ever taken, oldest first.
    pub orders: Vec<OrderView>,
    pub fills: Vec<FillView>,
    pub ledger: Vec<LedgerEntry>,
    /// Sum of the ledger: equal to `account.balance`.
    pub ledger_total: i64,
    /// Sum of the ledger without deposits: what trading has changed.
    pub ledger_change: i64,
    pub faults_fired: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Truth {
    pub vest: VenueTruth,
    pub paradex: VenueTruth,
}

impl VenueTruth {
    /// Signed position in a market, 0 when it does not exist.
    pub fn position(&self, symbol: &str) -> i64 {
        let at = self.markets.iter().position(|m| m == symbol);
        at.and_then(|index| self.positions.get(index)).map_or(0, |p| p.size)
    }

    pub fn is_flat(&self) -> bool {
        self.positions.iter().all(|p| p.size == 0)
    }
}

/// The handle; cheap to clone.
#[derive(Clone)]
pub struct Control {
    vest: Arc<Venue>,
    paradex: Arc<Venue>,
    meter: Arc<Meter>,
}

impl Control {
    pub fn new(vest: Arc<Venue>, paradex: Arc<Venue>, meter: Arc<Meter>) -> Self {
        Self { vest, paradex, meter }
    }

    pub fn venue(&self, name: VenueName) -> &Arc<Venue> {
        match name {
            VenueName::Vest => &self.vest,
            VenueName::Paradex => &self.paradex,
        }
    }

    /// Adds a fault rule.
    pub fn fault(&self, venue: VenueName, rule: Rule) {
        self.venue(venue).with(|core, _| core.add_fault(rule));
    }

    /// Calls `call` on the spot at a message of this class, after `skipped` of them; see [`crate::watch`].
    pub fn watch(&self, venue: VenueName, class: Class, skipped: u32, call: impl FnOnce() + Send + 'static) {
        self.venue(venue).watches.add(class, skipped, Box::new(call));
    }

    /// Removes all watches of both venues.
    pub fn unwatch(&self) {
        for venue in [&self.vest, &self.paradex] {
            venue.watches.clear();
        }
    }

    /// Removes all fault rules, scripts and stalls of both venues, and sets both modes to ok.
    pub fn clear(&self) {
        for venue in [&self.vest, &self.paradex] {
            venue.lines.stall(Socket::All, false);
            venue.with(|core, now| {
                core.faults().clear();
                for market in 0..core.spec().markets.len() {
                    core.set_script(now, market, Script::default());
                }
                if core.mode() != Mode::Ok {
                    core.set_mode(now, Mode::Ok);
                }
            });
        }
    }

    /// Overrides the price model of a market; replaces the script set before.
    pub fn script(&self, venue: VenueName, market: &str, script: Script) -> Result<(), ControlError> {
        let market = self.market(venue, market)?;
        self.venue(venue).with(|core, now| core.set_script(now, market, script));
        Ok(())
    }

    /// Sends these bytes as one frame to the subscribers of a market's book.
    pub fn raw(&self, venue: VenueName, market: &str, bytes: Vec<u8>) -> Result<(), ControlError> {
        let market = self.market(venue, market)?;
        self.venue(venue).with(|core, now| core.say(now, Event::Raw { market, bytes }));
        Ok(())
    }

    /// Drops connections: without a code at once and silently, with one by a WebSocket close frame.
    pub fn disconnect(&self, venue: VenueName, socket: Socket, code: Option<u16>) {
        self.venue(venue).with(|core, now| core.say(now, Event::Close { socket, code }));
    }

    /// Holds up every byte of the open connections of a kind without closing them, or lets them flow.
    pub fn stall(&self, venue: VenueName, socket: Socket, stalled: bool) {
        self.venue(venue).lines.stall(socket, stalled);
    }

    pub fn mode(&self, venue: VenueName, mode: Mode) {
        self.venue(venue).with(|core, now| core.set_mode(now, mode));
    }

    /// Sets what longs pay in an hour, at 1e-12.
    pub fn funding(&self, venue: VenueName, market: &str, rate_1h_e12: i64) -> Result<(), ControlError> {
        let market = self.market(venue, market)?;
        self.venue(venue).with(|core, now| core.set_funding(now, market, rate_1h_e12));
        Ok(())
    }

    /// Ends a login before its time: the listen key (its sockets are closed with 4005) or all JWTs.
    pub fn expire(&self, login: Login) {
        match login {
            Login::Jwt => self.paradex.revoke_tokens(),
            Login::ListenKey => {
                self.vest.revoke_tokens();
                self.disconnect(VenueName::Vest, Socket::Private, Some(LISTEN_KEY_EXPIRED));
            }
        }
    }

    /// Takes a fill back.
    pub fn bust(&self, venue: VenueName, fill: &str) -> Result<(), ControlError> {
        match self.venue(venue).with(|core, now| core.bust(now, fill)) {
            true => Ok(()),
            false => Err(ControlError::NoFill(fill.to_owned())),
        }
    }

    /// Trades at the market on the trader's account without the client's knowledge (a hand at the
    /// venue's own screen).
    pub fn trade(&self, venue: VenueName, market: &str, side: Side, size: i64) -> Result<(), ControlError> {
        let market = self.market(venue, market)?;
        let reply = self.venue(venue).with(|core, now| core.submit(now, by_hand(market, side, size, now)));
        match reply {
            Reply::At { result: Err(reject), .. } => Err(ControlError::Refused(reject)),
            _ => Ok(()),
        }
    }

    pub fn truth(&self) -> Truth {
        Truth { vest: truth_of(&self.vest), paradex: truth_of(&self.paradex) }
    }

    /// Every listen key and token given out so far: what a client's output must never hold.
    pub fn issued(&self) -> Vec<String> {
        [self.vest.issued(), self.paradex.issued()].concat()
    }

    pub fn stats(&self) -> Stats {
        self.meter.stats()
    }

    fn market(&self, venue: VenueName, symbol: &str) -> Result<usize, ControlError> {
        let found = self.venue(venue).with(|core, _| core.market(symbol));
        found.ok_or_else(|| ControlError::NoMarket(symbol.to_owned()))
    }
}

fn truth_of(venue: &Venue) -> VenueTruth {
    venue.with(|core, now| {
        let account = &core.accounts()[TRADER];
        let sum = |entries: &mut dyn Iterator<Item = &LedgerEntry>| entries.map(|entry| entry.amount).sum();
        let is_trade = |entry: &&LedgerEntry| entry.kind != crate::core::account::LedgerKind::Deposit;
        VenueTruth {
            mode: core.mode(),
            account: core.account(TRADER, now),
            positions: core.positions(TRADER),
            markets: core.spec().markets.iter().map(|m| m.symbol.clone()).collect(),
            open_orders: core.open_orders(TRADER).cloned().collect(),
            orders: core.orders(TRADER).cloned().collect(),
            fills: core.fills(TRADER).cloned().collect(),
            ledger: account.ledger.clone(),
            ledger_total: sum(&mut account.ledger.iter()),
            ledger_change: sum(&mut account.ledger.iter().filter(is_trade)),
            faults_fired: core.faults().fired,
        }
    })
}

fn by_hand(market: usize, side: Side, size: i64, now_us: i64) -> NewOrder {
    NewOrder {
        account: TRADER,
        market,
        side,
        kind: Kind::Market,
        tif: Tif::Ioc,
        size,
        limit: 0,
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
