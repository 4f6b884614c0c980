//! Trouble on the order path, and the one end that every test of it wants. Each test makes one thing go wrong for an
//! order, lets the engine trade on, and looks at the venues' own books.

use std::time::{Duration, Instant};

use bot4::journal::entry::Entry;
use bot4::journal::recover::recover;
use bot4::position::Ledger;
use bot4_sim::control::VenueName;
use bot4_sim::core::Socket;
use bot4_sim::core::fault::{Action, Class, Rule};

use super::bench::{Bench, Line};

pub const VENUES: [VenueName; 2] = [VenueName::Vest, VenueName::Paradex];

/// Refused in the answer to the order.
pub fn reject(code: &str) -> Action {
    Action::Reject { code: code.to_owned(), message: "refused by the test".to_owned() }
}

/// Acknowledged and then refused by an order event.
pub fn late_reject(code: &str) -> Action {
    Action::LateReject { code: code.to_owned(), message: "refused by the test".to_owned() }
}

/// Name of a venue in log lines.
pub fn name(venue: VenueName) -> &'static str {
    match venue {
        VenueName::Vest => "vest",
        VenueName::Paradex => "paradex",
    }
}

/// The sockets of both venues and the line that says that they serve again. Of the order connections of Vest one may
/// outlive the cut, while it is being made: then the venue was never gone.
pub const SOCKETS: [(VenueName, Socket, &str); 5] = [
    (VenueName::Vest, Socket::Md, "CONNECTED"),
    (VenueName::Vest, Socket::Private, "RECONCILED"),
    (VenueName::Vest, Socket::Orders, "CONNECTED"),
    (VenueName::Paradex, Socket::Md, "CONNECTED"),
    (VenueName::Paradex, Socket::Private, "RECONCILED"),
];

impl Bench {
    /// Drops a socket and waits until it serves again; returns how long that took.
    pub fn reconnect(
        &mut self,
        (venue, socket, back): (VenueName, Socket, &str),
        code: Option<u16>,
    ) -> Duration {
        let mut begun = Instant::now();
        // A socket that is just being made may not be there to be cut yet.
        let cut = (0..12).any(|_| {
            begun = Instant::now();
            self.control().disconnect(venue, socket, code);
            self.saw_within(Duration::from_secs(5), |line| {
                line["event_type"] == "RECONNECT" && line["exchange"] == name(venue)
            })
        });
        assert!(cut, "{} never lost a connection\n{}", name(venue), self.tail());
        self.wait_at(venue, back);
        begun.elapsed()
    }

    /// The next `count` orders that open or complete a leg at this venue meet this.
    pub fn fault_opening(&self, venue: VenueName, count: u32, action: Action) {
        self.fault_orders(venue, false, count, action);
    }

    /// The next `count` orders that close at this venue meet this.
    pub fn fault_closing(&self, venue: VenueName, count: u32, action: Action) {
        self.fault_orders(venue, true, count, action);
    }

    fn fault_orders(&self, venue: VenueName, reduce_only: bool, count: u32, action: Action) {
        let rule = Rule::always(Class::Order, action);
        let rule = Rule { reduce_only: Some(reduce_only), count: Some(count), ..rule };
        self.control().fault(venue, rule);
    }

    /// From now on every private message of this class meets this.
    pub fn fault_events(&self, venue: VenueName, class: Class, action: Action) {
        self.control().fault(venue, Rule::always(class, action));
    }

    /// How many faults have met something, both venues together.
    pub fn faults_fired(&self) -> u64 {
        let truth = self.control().truth();
        truth.vest.faults_fired + truth.paradex.faults_fired
    }

    /// A gap until a pair is whole, by whichever way; then it stands still.
    pub fn open_through_trouble(&mut self) -> Line {
        let line = self.open_pair();
        assert!(self.faults_fired() > 0, "the fault met nothing:\n{}", self.tail());
        line
    }

    /// Closes the pair, stops the engine and finds everything in order.
    pub fn close_and_settle(&mut self) {
        self.close_pair();
        self.stop_and_settle();
    }

    /// Stops the engine, which must end flat and in order.
    pub fn stop_and_settle(&mut self) {
        let code = self.stop();
        assert_eq!(code, 0, "{}", self.tail());
        self.assert_flat_and_settled();
    }

    /// As [`Bench::stop_and_settle`] after a crash: the journal of all runs against the change of the balances.
    pub fn stop_and_settle_journal(&mut self) {
        let code = self.stop();
        assert_eq!(code, 0, "{}", self.tail());
        self.assert_flat_with(self.journal_ledger().into());
    }

    /// Result of all pairs closed in all runs, as the journal has it.
    fn journal_ledger(&self) -> Ledger {
        let recovered = recover(&self.dir.path().join("journal")).expect("the journal reads");
        let mut sum = Ledger::default();
        for entry in &recovered.entries {
            match entry {
                Entry::TotalsSnapshot { totals } => sum = totals.ledger,
                Entry::PairClosed { ledger, .. } => sum.add(ledger),
                _ => {}
            }
        }
        sum
    }

    /// Waits for a line about this venue.
    pub fn wait_at(&mut self, venue: VenueName, event_type: &str) -> Line {
        self.wait_until(event_type, |line| {
            line["event_type"] == event_type && line["exchange"] == name(venue)
        })
    }

    /// Whether any line so far has this message.
    pub fn said(&self, message: &str) -> bool {
        self.log.iter().any(|line| line["message"] == message)
    }
}
