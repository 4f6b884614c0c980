//! The observer of everything: counts, times and states, turned into the summary and the status. Owned by the
//! `store` thread. What may be dropped (records) feeds times and displays; what must be right (orders sent,
//! pairs, profit, what is still open) comes from the journal.

use super::alert::{Alert, Kind};
use super::alerts::AlertWatch;
use super::attribution::Attribution;
use super::counts::{Feed, VenueTimes};
use super::latency::Times;
use super::status::{FeedStatus, LinkStatus, PairStatus, SpreadStatus, Status, VenueStatus};
use super::summary::{Legs, Summary};
use crate::journal::entry::Entry;
use crate::position::Ledger;
use crate::store::follow::Follow;
use crate::store::line::Line;
use crate::store::profit::Pnl;
use crate::store::{Names, Observer};
use crate::sys::ring::{Rx, Tx};
use crate::types::limits::{PAIRS_MAX, VENUES_MAX};
use crate::types::order::{Purpose, Reason};
use crate::types::record::{Record, RecordKind, Role, Stamps};
use crate::types::{Mode, Nanos, PairId, Rate, RejectClass, VenueId};

/// What re-arms a halted engine, as it is typed.
pub const UNLATCH_COMMAND: &str = "bot4 unlatch --reason \"<why>\"";

/// Questions for the status, and where the answers go.
pub struct StatusPort {
    pub asked: Rx<()>,
    pub answers: Tx<Box<Status>>,
}

/// Everything known of the run so far.
pub struct Telemetry {
    names: Names,
    started: Nanos,
    port: Option<StatusPort>,
    follow: Follow,
    ledger: Ledger,
    pairs_opened: u64,
    pairs_closed: u64,
    orders_sent: u64,
    orders_ready: u64,
    opportunities: u64,
    one_leg_count: u64,
    longest_one_leg_ns: u64,
    times: RunTimes,
    venues: [VenueTimes; VENUES_MAX],
    feeds: [[Feed; PAIRS_MAX]; VENUES_MAX],
    links: [[Link; Role::ALL.len()]; VENUES_MAX],
    spreads: [Option<Spreads>; PAIRS_MAX],
    mode: Mode,
    mode_why: Reason,
    alerts: Option<(AlertWatch, Tx<Alert>)>,
}

#[derive(Default)]
struct RunTimes {
    tick_to_wire: [Times; 2],
    attribution: Attribution,
    decision_to_terminal: Times,
    fill_skew: Times,
    miss_to_mend: Times,
    stale_to_off: Times,
}

#[derive(Clone, Copy, Default)]
struct Link {
    up: bool,
    at: Nanos,
}

#[derive(Clone, Copy)]
struct Spreads {
    adjusted: [Rate; 2],
    raw: [Rate; 2],
}

impl Telemetry {
    pub fn new(names: Names, started: Nanos, port: Option<StatusPort>) -> Self {
        Self {
            names,
            started,
            port,
            follow: Follow::default(),
            ledger: Ledger::default(),
            pairs_opened: 0,
            pairs_closed: 0,
            orders_sent: 0,
            orders_ready: 0,
            opportunities: 0,
            one_leg_count: 0,
            longest_one_leg_ns: 0,
            times: RunTimes::default(),
            venues: Default::default(),
            feeds: Default::default(),
            links: Default::default(),
            spreads: Default::default(),
            mode: Mode::default(),
            mode_why: Reason::EMPTY,
            alerts: None,
        }
    }

    /// Raises alerts into this ring as well.
    #[must_use]
    pub fn with_alerts(self, watch: AlertWatch, raised: Tx<Alert>) -> Self {
        Self { alerts: Some((watch, raised)), ..self }
    }

    /// Hands on what has been raised; what does not fit is counted by the ring.
    fn raise(&mut self, now: Nanos) {
        let Some((mut watch, mut raised)) = self.alerts.take() else { return };
        watch.on_poll(now, &self.follow, &self.names);
        if watch.wants_summary(now) {
            watch.raise(self.daily_summary(now));
        }
        for alert in watch.take() {
            let _ = raised.push(alert);
        }
        self.alerts = Some((watch, raised));
    }

    fn daily_summary(&self, now: Nanos) -> Alert {
        let Summary { seconds, pairs_opened, pairs_closed, orders_sent, one_leg_count, .. } =
            self.summary(now);
        let what = format!(
            "{} after {seconds} s: {pairs_opened} pairs opened, {pairs_closed} closed, {} held; \
             {orders_sent} orders sent, {} open; one leg alone {one_leg_count} times; profit {} USD",
            self.mode.name(),
            self.follow.held_pairs(),
            self.follow.open_orders(),
            self.ledger.total(),
        );
        Alert::new(Kind::DailySummary, now, what, "runs", "bot4 pnl")
    }

    /// What the run did until `now`.
    pub fn summary(&self, now: Nanos) -> Summary {
        Summary {
            seconds: now.ms_since(self.started) / 1000,
            updates: self.feeds.iter().flatten().map(|feed| feed.updates).sum(),
            opportunities: self.opportunities,
            pairs_opened: self.pairs_opened,
            pairs_closed: self.pairs_closed,
            pnl_usd: Pnl::from(&self.ledger),
            tick_to_wire_us: self.tick_to_wire(),
            decision_to_terminal_ms: self.times.decision_to_terminal.millis(),
            fill_skew_ms: self.times.fill_skew.millis(),
            miss_to_mend_us: self.times.miss_to_mend.micros(),
            stale_to_off_us: self.times.stale_to_off.micros(),
            longest_one_leg_ms: self.longest_one_leg_ns / 1_000_000,
            one_leg_count: self.one_leg_count,
            orders_sent: self.orders_sent,
            orders_ready: self.orders_ready,
            open_orders: self.follow.open_orders() as u64,
            positions_left: self.follow.held_pairs() as u64,
        }
    }

    /// What stands before the summary: where the orders' time went.
    pub fn latency_line(&self, now: Nanos) -> Line {
        self.times.attribution.line(&self.names, now)
    }

    /// The engine at `now`.
    pub fn status(&self, now: Nanos) -> Status {
        Status {
            mode: self.mode.name(),
            mode_why: self.mode_why.to_string(),
            next_command: if self.mode == Mode::Halted { UNLATCH_COMMAND } else { "" },
            seconds: now.ms_since(self.started) / 1000,
            links: self.link_rows(now),
            feeds: self.feed_rows(now),
            spreads: self.spread_rows(),
            pairs: self.pair_rows(now),
            open_orders: self.follow.open_orders() as u64,
            orders_sent: self.orders_sent,
            orders_ready: self.orders_ready,
            pairs_opened: self.pairs_opened,
            pairs_closed: self.pairs_closed,
            one_leg_count: self.one_leg_count,
            pnl_usd: Pnl::from(&self.ledger),
            tick_to_wire_us: self.tick_to_wire(),
            hops_us: self.times.attribution.hops(),
            worst_orders: self.times.attribution.worst(&self.names),
            venues: self.venue_rows(now),
            decision_to_terminal_ms: self.times.decision_to_terminal.millis(),
            fill_skew_ms: self.times.fill_skew.millis(),
        }
    }

    fn tick_to_wire(&self) -> Legs {
        let [first, second] = &self.times.tick_to_wire;
        Legs { first: first.micros(), second: second.micros() }
    }

    fn venue_ids(&self) -> impl Iterator<Item = VenueId> {
        (0..self.names.venues.len().min(VENUES_MAX) as u8).map(VenueId)
    }

    fn pair_ids(&self) -> impl Iterator<Item = PairId> {
        (0..self.names.pairs.len().min(PAIRS_MAX) as u8).map(PairId)
    }

    fn link_rows(&self, now: Nanos) -> Vec<LinkStatus> {
        let mut rows = Vec::new();
        for venue in self.venue_ids() {
            let links = self.links[venue.index()];
            let known = Role::ALL.into_iter().zip(links).filter(|(_, link)| link.at != Nanos::NEVER);
            rows.extend(known.map(|(role, link)| LinkStatus {
                exchange: self.names.venue(venue),
                link: role.name(),
                up: link.up,
                since_ms: now.ms_since(link.at),
            }));
        }
        rows
    }

    fn feed_rows(&self, now: Nanos) -> Vec<FeedStatus> {
        let mut rows = Vec::new();
        for venue in self.venue_ids() {
            rows.extend(self.pair_ids().map(|pair| {
                let feed = self.feeds[venue.index()][pair.index()];
                FeedStatus {
                    exchange: self.names.venue(venue),
                    pair: self.names.pair(pair).to_owned(),
                    updates: feed.updates,
                    updates_per_s: feed.per_s,
                    conflated: feed.conflated,
                    age_ms: now.ms_since(feed.at.max(self.started)),
                }
            }));
        }
        rows
    }

    fn spread_rows(&self) -> Vec<SpreadStatus> {
        let known =
            self.pair_ids().filter_map(|pair| self.spreads[pair.index()].map(|spreads| (pair, spreads)));
        let row = |(pair, spreads): (PairId, Spreads)| SpreadStatus {
            pair: self.names.pair(pair).to_owned(),
            a: spreads.adjusted[0],
            b: spreads.adjusted[1],
            raw_a: spreads.raw[0],
            raw_b: spreads.raw[1],
        };
        known.map(row).collect()
    }

    fn pair_rows(&self, now: Nanos) -> Vec<PairStatus> {
        let held = self.pair_ids().filter(|pair| !self.follow.book(*pair).is_flat());
        let row = |pair: PairId| {
            let book = self.follow.book(pair);
            PairStatus {
                pair: self.names.pair(pair).to_owned(),
                first_leg: book.legs[0].qty,
                second_leg: book.legs[1].qty,
                unhedged: book.net(),
                held_ms: now.ms_since(book.opened_at),
            }
        };
        held.map(row).collect()
    }

    fn venue_rows(&self, now: Nanos) -> Vec<VenueStatus> {
        let row = |id: VenueId| self.venues[id.index()].row(self.names.venue(id), now);
        self.venue_ids().map(row).collect()
    }

    fn placed(&mut self, venue: VenueId, purpose: Purpose, nth: u8, stamps: &Stamps) {
        self.venues[venue.index()].place(stamps.t_send);
        self.orders_ready += u64::from(stamps.ready);
        // A mending order starts from bad news, not from a book: its time is `miss_to_mend`.
        if matches!(purpose, Purpose::Enter | Purpose::Exit)
            && let Some(times) = self.times.tick_to_wire.get_mut(usize::from(nth))
        {
            times.add_between(stamps.t_wire, stamps.t_send);
            self.times.attribution.placed(nth, stamps);
        }
    }

    fn link(&mut self, venue: VenueId, role: Role, up: bool, at: Nanos) {
        self.links[venue.index()][role as usize] = Link { up, at };
    }
}

impl Observer for Telemetry {
    fn on_record(&mut self, record: &Record) {
        let at = record.at;
        if let Some((watch, _)) = &mut self.alerts {
            watch.on_record(record);
        }
        match record.kind {
            RecordKind::BookUpdated { venue, pair, updates, conflated } => {
                self.feeds[venue.index()][pair.index()].count(updates, conflated, at);
            }
            RecordKind::LinkUp { venue, role } => self.link(venue, role, true, at),
            RecordKind::LinkDown { venue, role, .. } => self.link(venue, role, false, at),
            RecordKind::Spread { pair, raw, adjusted, .. } => {
                self.spreads[pair.index()] = Some(Spreads { adjusted, raw });
            }
            RecordKind::SpreadDetected { .. } => self.opportunities += 1,
            RecordKind::OrderPlaced { venue, purpose, nth, stamps, .. } => {
                self.placed(venue, purpose, nth, &stamps);
            }
            RecordKind::OrderAcked { venue, latency_ns, .. } => {
                self.venues[venue.index()].ack.add(latency_ns);
            }
            RecordKind::OrderFilled { venue, latency_ns, .. } => {
                self.venues[venue.index()].filled(latency_ns);
            }
            RecordKind::OrderTimes(times) => self.times.attribution.closed(&times),
            RecordKind::OrderRejected { venue, class, .. } if class != RejectClass::Ambiguous => {
                self.venues[venue.index()].rejected += 1;
            }
            RecordKind::Margin { venue, free, runway } => {
                self.venues[venue.index()].margin = Some((free, runway));
            }
            RecordKind::KeyLeft { venue, hours, .. } => self.venues[venue.index()].key_hours = hours,
            RecordKind::EntryExecuted { decision_to_terminal_ns, fill_skew_ns, .. }
            | RecordKind::ExitExecuted { decision_to_terminal_ns, fill_skew_ns, .. } => {
                self.times.decision_to_terminal.add(decision_to_terminal_ns);
                self.times.fill_skew.add(fill_skew_ns);
            }
            RecordKind::Mended { one_leg_ns, wire_ns, .. } => {
                self.one_leg_count += 1;
                self.longest_one_leg_ns = self.longest_one_leg_ns.max(one_leg_ns);
                self.times.miss_to_mend.add(wire_ns);
            }
            RecordKind::StaleToOff { ns, .. } => self.times.stale_to_off.add(ns),
            RecordKind::ModeChanged { mode, why } => (self.mode, self.mode_why) = (mode, why),
            _ => {}
        }
    }

    fn on_entry(&mut self, entry: &Entry) {
        if let Entry::PairClosed { pair, .. } = entry {
            self.pairs_closed += u64::from(self.follow.is_whole(*pair));
        }
        self.follow.apply(entry);
        if let Some((watch, _)) = &mut self.alerts {
            watch.on_entry(entry);
        }
        match entry {
            Entry::Sent { .. } => self.orders_sent += 1,
            Entry::PairOpened { .. } => self.pairs_opened += 1,
            Entry::PairClosed { ledger, .. } => self.ledger.add(ledger),
            _ => {}
        }
    }

    fn on_poll(&mut self, now: Nanos) {
        self.raise(now);
        while self.port.as_mut().is_some_and(|port| port.asked.pop().is_some()) {
            let status = Box::new(self.status(now));
            // An asker who went away is no longer interested.
            let _ = self.port.as_mut().map(|port| port.answers.push(status));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::samples;
    use crate::store::names::tests::names;
    use crate::sys::ring::ring;
    use crate::types::{ClientId, Price, Qty, Side, Usd};

    fn placed(nth: u8, purpose: Purpose) -> RecordKind {
        let stamps =
            Stamps { t_wire: Nanos(1000), t_book: Nanos(2000), t_send: Nanos(51_000), ..Stamps::default() };
        RecordKind::OrderPlaced {
            id: ClientId::default(),
            venue: VenueId(nth),
            pair: PairId(0),
            side: Side::Buy,
            purpose,
            qty: Qty::from_raw(1),
            limit: Price::from_raw(1),
            nth,
            stamps,
        }
    }

    fn show(telemetry: &mut Telemetry, kinds: &[RecordKind]) {
        for kind in kinds {
            telemetry.on_record(&Record { at: Nanos::from_ms(5), kind: *kind });
        }
    }

    #[test]
    fn the_summary_adds_up_journal_and_records() {
        let mut telemetry = Telemetry::new(names(), Nanos::from_ms(1000), None);
        samples::round_trip().iter().for_each(|entry| telemetry.on_entry(entry));
        let book = |venue, updates| RecordKind::BookUpdated { venue, pair: PairId(0), updates, conflated: 0 };
        let (one_leg_ns, wire_ns, cost) = (7_900_000, 30_000, Usd::ZERO);
        let mended = RecordKind::Mended { pair: PairId(0), one_leg_ns, wire_ns, completed: true, cost };
        show(
            &mut telemetry,
            &[
                book(VenueId(0), 10),
                book(VenueId(0), 30),
                book(VenueId(1), 12),
                placed(0, Purpose::Enter),
                placed(1, Purpose::Enter),
                placed(1, Purpose::Unwind),
                mended,
            ],
        );
        let summary = telemetry.summary(Nanos::from_ms(61_500));
        assert_eq!((summary.seconds, summary.updates), (60, 42));
        assert_eq!((summary.pairs_opened, summary.pairs_closed, summary.orders_sent), (1, 1, 4));
        assert_eq!((summary.open_orders, summary.positions_left), (0, 0));
        assert_eq!(summary.pnl_usd.total, Usd::from_raw(92_000_000));
        assert_eq!((summary.longest_one_leg_ms, summary.one_leg_count), (7, 1));
        assert_eq!(telemetry.times.tick_to_wire.each_ref().map(Times::count), [1, 1]);
        assert!((49_900..=50_100).contains(&summary.tick_to_wire_us.second.p50.0));
    }

    #[test]
    fn the_status_shows_what_is_held_and_answers_who_asks() {
        let (mut ask, asked) = ring(1);
        let (answers, mut answer) = ring(1);
        let mut telemetry = Telemetry::new(names(), Nanos::from_ms(0), Some(StatusPort { asked, answers }));
        samples::round_trip()[..10].iter().for_each(|entry| telemetry.on_entry(entry));
        let up = RecordKind::LinkUp { venue: VenueId(1), role: Role::Orders };
        show(&mut telemetry, &[up, RecordKind::ModeChanged { mode: Mode::Active, why: Reason::EMPTY }]);
        telemetry.on_poll(Nanos::from_ms(15));
        assert!(answer.pop().is_none(), "nobody asked");
        ask.push(()).unwrap();
        telemetry.on_poll(Nanos::from_ms(15));
        let status = answer.pop().unwrap();
        assert_eq!(status.mode, "Active");
        assert_eq!((status.links.len(), status.links[0].since_ms), (1, 10));
        assert_eq!(status.pairs.len(), 1);
        assert_eq!(status.pairs[0].first_leg, Qty::from_raw(100_000_000));
        assert_eq!(status.pairs[0].unhedged, Qty::ZERO);
        assert!(serde_json::to_string(&status).unwrap().contains("\"exchange\":\"paradex\""));
    }
}
