//! One venue as `flatten` works it: its desk for what is held and displayed, its trader for the orders, both on
//! connections of their own, opened when they are needed. Blocks, with deadlines; what fails is told and tried again.

use std::time::Duration;

use crate::config::{Config, VenueSection};
use crate::keeper::thread::{Connector, clock_offset};
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::rest::UreqHttp;
use crate::topology::Wires;
use crate::types::limits::LATE_MAX_MS;
use crate::types::record::Role;
use crate::types::report::{AccountReport, CancelSpec, OpenOrder, OrderKey, TraderEvent};
use crate::types::{
    BookUpdate, ClientId, MarketRules, OrderNews, OrderSpec, PairId, Qty, RejectClass, VenueId,
};
use crate::venue::{Desk, REGISTRY, ReadyLink, Secrets, Target, Trader};

/// Longest wait for the order connection and its log-in, ms.
const CONNECT_MAX_MS: u64 = 5_000;
/// Longest wait for a stream without which orders leave all the same, ms.
const STREAM_MAX_MS: u64 = 1_000;
/// How long after its window an order without an outcome is waited for, ms.
const OUTCOME_MARGIN_MS: u64 = 1_000;
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What one venue holds at one moment.
pub(super) struct Reading {
    pub(super) account: AccountReport,
    pub(super) orders: Vec<OpenOrder>,
}

pub(super) struct Station {
    pub(super) id: VenueId,
    pub(super) title: &'static str,
    desk: Box<dyn Desk>,
    trader: Box<dyn Trader>,
    http: UreqHttp,
    wires: Wires,
    clock: SystemClock,
    rules: Vec<(PairId, MarketRules)>,
    /// How much our clock is behind the venue's, ms.
    late_ms: Option<u64>,
    /// The order under way and what is known of it.
    flight: Option<Flight>,
}

struct Flight {
    spec: OrderSpec,
    filled: Qty,
    done: bool,
    /// Why the venue did not take it.
    refused: Option<String>,
}

impl Station {
    pub(super) fn new(
        config: &Config,
        section: &VenueSection,
        secrets: Secrets,
        clock: SystemClock,
    ) -> Result<Self, String> {
        let venue = &REGISTRY[section.id.index()];
        let setup = config.setup(section, secrets);
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", venue.title);
        let wires = Wires::new(section, clock, false).map_err(|error| named(&error))?;
        Ok(Self {
            id: section.id,
            title: venue.title,
            desk: (venue.desk)(&setup).map_err(|error| named(&error))?,
            trader: (venue.trader)(&setup).map_err(|error| named(&error))?,
            http: wires.http(),
            wires,
            clock,
            rules: Vec::new(),
            late_ms: None,
            flight: None,
        })
    }

    /// Positions and open orders, asked for now.
    pub(super) fn read(&mut self) -> Result<Reading, String> {
        let now = self.clock.now();
        let text = |error: crate::venue::DeskError| error.to_string();
        if now >= self.desk.login_due() {
            self.desk.login(&mut self.http, now).map_err(text)?;
        }
        let orders = self.desk.open_orders(&mut self.http, now).map_err(text)?;
        let account = self.desk.account(&mut self.http, now).map_err(text)?;
        Ok(Reading { account, orders })
    }

    /// What a close needs beside what is held: the markets' rules, and the venue's clock.
    pub(super) fn prepare(&mut self) -> Result<(), String> {
        let text = |error: crate::venue::DeskError| error.to_string();
        self.compare_clocks();
        if self.rules.is_empty() {
            self.rules = self.desk.rules(&mut self.http).map_err(text)?;
            self.rules.iter().for_each(|(pair, rules)| self.trader.set_rules(*pair, rules));
        }
        Ok(())
    }

    /// A venue that does not tell its time keeps no close away: ours is stated, and it is asked again.
    fn compare_clocks(&mut self) {
        if self.late_ms.is_none()
            && let Ok(offset) = clock_offset(self.desk.as_mut(), &mut self.http, &self.clock)
        {
            self.late_ms = Some(offset.unwrap_or_default().clamp(0, LATE_MAX_MS).unsigned_abs());
        }
    }

    /// The time that an order states: the venue's, where ours is behind it.
    pub(super) fn signing_ms(&self) -> u64 {
        self.clock.now().ms() + self.late_ms.unwrap_or_default()
    }

    pub(super) fn rules(&self, pair: PairId) -> Option<&MarketRules> {
        self.rules.iter().find(|(id, _)| *id == pair).map(|(_, rules)| rules)
    }

    pub(super) fn book(&mut self, pair: PairId) -> Result<BookUpdate, String> {
        self.desk.book(&mut self.http, pair).map_err(|error| error.to_string())
    }

    pub(super) fn cancel(&mut self, open: &OpenOrder, nonce: u64) -> Result<(), String> {
        self.compare_clocks();
        let now = self.clock.now();
        let target = CancelSpec {
            id: open.id.unwrap_or_default(),
            venue: self.id,
            pair: open.pair.unwrap_or_default(),
            venue_id: open.venue_id,
            signed_ms: self.signing_ms(),
            nonce,
        };
        self.desk.cancel(&mut self.http, &target, now).map_err(|error| error.to_string())
    }

    /// Brings up what orders leave by, unless it is up. Where they are requests, the stream that tells what became of
    /// them may be down: the next reading tells it too.
    pub(super) fn connect(&mut self) -> Result<(), String> {
        let begun = self.clock.now();
        let by_request = REGISTRY[self.id.index()].orders_by_request;
        let mut opened = [false; Role::ALL.len()];
        loop {
            self.poll();
            if self.trader.is_ready() {
                return Ok(());
            }
            for role in [Role::Orders, Role::Private] {
                if self.trader.missing()[role as usize] && !opened[role as usize] {
                    opened[role as usize] = true;
                    match self.open(role) {
                        Err(_) if role == Role::Private && by_request => return Ok(()),
                        outcome => outcome?,
                    }
                }
            }
            let waited_ms = self.clock.now().ms_since(begun);
            if waited_ms > STREAM_MAX_MS && by_request {
                return Ok(());
            }
            if waited_ms > CONNECT_MAX_MS {
                return Err(format!("the order connection was not up within {CONNECT_MAX_MS} ms"));
            }
            pause(LOOK_EVERY);
        }
    }

    fn open(&mut self, role: Role) -> Result<(), String> {
        let now = self.clock.now();
        let target = self.desk.target(&mut self.http, role, now).map_err(|error| error.to_string())?;
        let link = self.wires.open(&target, role).inspect_err(|why| self.desk.link_failed(role, why))?;
        let secret = match target {
            Target::WebSocket(target) => target.secret,
            Target::Http { secret, .. } => secret,
        };
        self.trader.install(ReadyLink { venue: self.id, role, link, secret }, now);
        Ok(())
    }

    /// Sends one close; its outcome is waited for by [`Station::is_done`].
    pub(super) fn send(&mut self, spec: OrderSpec) {
        let sent = self.trader.send(&spec, self.clock.now());
        let mut flight = Flight { spec, filled: Qty::ZERO, done: false, refused: None };
        if let Err(crate::venue::SendError::Nothing(why)) = sent {
            (flight.done, flight.refused) = (true, Some(why.to_string()));
        }
        self.flight = Some(flight);
    }

    /// Whether the order under way has an outcome, or can have none any more.
    pub(super) fn is_done(&mut self) -> bool {
        self.poll();
        let now_ms = self.clock.now().ms();
        self.flight.as_ref().is_none_or(|flight| {
            let end = flight.spec.signed_ms + u64::from(flight.spec.window_ms) + OUTCOME_MARGIN_MS;
            flight.done || now_ms > end
        })
    }

    /// Why it was refused, if it was. How much filled is what the next reading shows.
    pub(super) fn outcome(&mut self) -> Option<String> {
        self.flight.take()?.refused
    }

    fn poll(&mut self) {
        let mut events = Vec::new();
        self.trader.poll(self.clock.now(), &mut events);
        for event in events {
            if let (TraderEvent::Order { key, news, .. }, Some(flight)) = (event, &mut self.flight)
                && is_of(key, &flight.spec)
            {
                flight.take(news);
            }
        }
    }

    pub(super) fn close(&mut self) {
        self.trader.close();
    }
}

impl Flight {
    fn take(&mut self, news: OrderNews) {
        match news {
            OrderNews::Fill(fill, _) => {
                self.filled += fill.qty;
                self.done |= self.filled >= self.spec.qty;
            }
            OrderNews::Closed { filled, reason, .. } => {
                self.filled = self.filled.max(filled);
                self.refused = (self.filled.is_zero() && !reason.is_empty()).then(|| reason.to_string());
                self.done = true;
            }
            OrderNews::Rejected(reject) if reject.class != RejectClass::Ambiguous => {
                self.refused = Some(reject.code.to_string());
                self.done = true;
            }
            OrderNews::Acked | OrderNews::Rejected(_) | OrderNews::Busted(_) => {}
        }
    }
}

fn is_of(key: OrderKey, spec: &OrderSpec) -> bool {
    match key {
        OrderKey::Client(id) => id == spec.id && id != ClientId::default(),
        OrderKey::Nonce(nonce) => nonce == spec.nonce,
        OrderKey::Venue(_) => false,
    }
}

#[expect(clippy::disallowed_methods, reason = "flatten waits for the venues; it is a process of its own")]
pub(super) fn pause(time: Duration) {
    std::thread::sleep(time);
}
