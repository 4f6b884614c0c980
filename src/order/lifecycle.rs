//! The life of one order (SAFETY §2.0): what each piece of news makes of it, when it must be asked after, and when it
//! may be called dead. Pure; `order::core` owns the table and journals every change before it counts.

use crate::journal::entry::Done;
use crate::types::order::VenueOrderId;
use crate::types::planted::planted;
use crate::types::record::{OrderTimes, Stamps};
use crate::types::report::OrderQuery;
use crate::types::settings::ExecutionSettings;
use crate::types::{ClientId, Fill, Nanos, OrderReport, OrderSpec, OrderState, Price, Qty, Side, Usd};

/// Reads that must not know the order, asked after its window lapsed, before it is called dead.
const CLEAN_READS: u32 = 2;
/// So many of them, the last so long after the window, are proof without the position, and against an acknowledgement:
/// a market that strangers trade in never shows ours alone, and history and fills that lag for so long would be an
/// outage. Where all of them are so late, as after a restart, fewer do.
const CLEAN_READS_ALONE: u32 = 8;
const CLEAN_READS_LATE: u32 = 3;
const CLEAN_ALONE_MS: u64 = 25_000;
/// After the receive window, before a read counts as clean: clocks differ and histories lag.
const WINDOW_MARGIN_MS: u64 = 500;

/// A row that shows less than had filled is read again after this, ms.
const SHRUNK_AGAIN_MS: u64 = 500;

/// One live order.
#[derive(Clone, Debug)]
pub struct Order {
    pub spec: OrderSpec,
    pub leg: usize,
    /// Price expected at the decision.
    pub expected: Price,
    pub state: OrderState,
    pub venue_id: VenueOrderId,
    pub done: Done,
    /// Where the time went on its way out.
    pub stamps: Stamps,
    pub sent_at: Nanos,
    pub acked_at: Nanos,
    /// First time anything was known to be filled.
    pub filled_at: Nanos,
    /// The venue's own time of its last news.
    pub t_venue: Nanos,
    /// The venue closed it with this much filled, but not all fills have come.
    pub closed_with: Option<Qty>,
    /// Since when the outcome is not known.
    pub unknown_since: Nanos,
    /// When a cancel of it last left. One that got lost is sent again: cancelling twice harms nothing.
    pub cancelled_at: Nanos,
    /// The alarm for an unknown order was raised.
    pub alarmed: bool,
    /// Funding still to be read from the venue after a close without fill messages.
    pub unconfirmed: bool,
    /// Something other than an acknowledgement was told of it.
    pub heard: bool,
    /// When a stream that has said nothing of it is to be doubted.
    pub silent_at: Nanos,
    /// When the venue's row of it first showed less than had filled.
    pub shrunk: Nanos,
    /// Since when its row says that it is over and not what it filled: only the position tells that.
    pub ended: Nanos,
    /// Its venue has told of it what is not of this order (SAFETY O17).
    pub(super) disowned: bool,
    /// What the position has shown since then, and when that was first asked for.
    pub(super) shown: Option<(Nanos, Qty)>,
    /// Filled at least, by whatever was told or shown, with the average price of that where it was told.
    pub(super) at_least: (Qty, Option<Price>),
    /// Fees by the row that ended it.
    pub(super) fees_told: Usd,
    /// The account was read after the window with our own books' position.
    pub position_clean: bool,
    pub(super) queries: usize,
    pub(super) next_query: Nanos,
    clean_reads: u32,
    /// And those of them that were asked long after it.
    clean_late: u32,
    fills_seen: Vec<Fill>,
}

/// What a tick found that the order needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Nothing,
    /// No acknowledgement in time: its outcome is not known from here on.
    Doubt,
    /// Ask the venue.
    Query,
    /// Acknowledged long ago and not terminal: cancel it.
    Cancel,
}

/// Fills of one order that find room without allocating.
const FILLS_SEEN: usize = 32;

impl Order {
    pub fn new(spec: OrderSpec, leg: usize, expected: Price) -> Self {
        Self::in_place_of(None, spec, leg, expected)
    }

    /// As [`Order::new`], with the list of fills of an order that is over: a decision allocates nothing.
    pub fn in_place_of(spent: Option<Self>, spec: OrderSpec, leg: usize, expected: Price) -> Self {
        let mut fills_seen = spent.map_or_else(|| Vec::with_capacity(FILLS_SEEN), |spent| spent.fills_seen);
        fills_seen.clear();
        Self {
            spec,
            leg,
            expected,
            state: OrderState::Intent,
            venue_id: VenueOrderId::EMPTY,
            done: Done::default(),
            stamps: Stamps::default(),
            sent_at: Nanos::NEVER,
            acked_at: Nanos::NEVER,
            filled_at: Nanos::NEVER,
            t_venue: Nanos::NEVER,
            closed_with: None,
            unknown_since: Nanos::NEVER,
            cancelled_at: Nanos::NEVER,
            alarmed: false,
            unconfirmed: false,
            heard: false,
            silent_at: Nanos::NEVER,
            shrunk: Nanos::NEVER,
            ended: Nanos::NEVER,
            disowned: false,
            shown: None,
            at_least: (Qty::ZERO, None),
            fees_told: Usd::ZERO,
            position_clean: false,
            queries: 0,
            next_query: Nanos::NEVER,
            clean_reads: 0,
            clean_late: 0,
            fills_seen,
        }
    }

    /// Its whole way, when it is closed now.
    pub fn times(&self, now: Nanos) -> OrderTimes {
        OrderTimes {
            id: self.id(),
            venue: self.spec.venue,
            pair: self.spec.pair,
            purpose: self.spec.purpose,
            stamps: self.stamps,
            t_acked: self.acked_at,
            t_filled: self.filled_at,
            t_closed: now,
            t_venue: self.t_venue,
        }
    }

    pub fn id(&self) -> ClientId {
        self.spec.id
    }

    pub fn is_live(&self) -> bool {
        !self.state.is_terminal()
    }

    /// A close whose fills told no funding and whose row was not read, as far as the journal knows: the row is read
    /// again.
    pub fn may_owe_funding(&self) -> bool {
        self.spec.reduce_only && !self.done.filled.is_zero() && !self.done.funding_told
    }

    /// Average price of what is filled; zero when nothing is.
    pub fn average(&self) -> Price {
        if self.done.filled.is_zero() {
            return Price::ZERO;
        }
        let one = i128::from(crate::types::money::SCALE);
        Price::from_raw((i128::from(self.done.cost.raw()) * one / i128::from(self.done.filled.raw())) as i64)
    }

    /// When no copy of it can still be accepted.
    pub fn window_end(&self) -> Nanos {
        let waited_ms = match planted("window_not_waited_for") {
            true => 0,
            false => u64::from(self.spec.window_ms) + WINDOW_MARGIN_MS,
        };
        Nanos::from_ms(self.spec.signed_ms + waited_ms)
    }

    /// Whether this fill is new: by its id, or, for a venue without fill ids, always.
    pub fn is_new_fill(&self, fill: &Fill) -> bool {
        let any = fill.id.is_empty() || planted("fills_counted_twice");
        self.is_live() && (any || !self.fills_seen.iter().any(|seen| seen.id == fill.id))
    }

    /// It has filled by a row, a position or a snapshot, none of which names the single executions: one that is told
    /// now may be among those (SAFETY O16).
    pub fn has_unnamed_fills(&self) -> bool {
        let named = self.fills_seen.iter().fold(Qty::ZERO, |sum, seen| sum.saturating_add(seen.qty));
        self.is_live() && self.done.filled > named
    }

    /// An execution of an order that was held for dead: what proved it dead was wrong (SAFETY O5).
    pub fn is_resurrected_by(&self, fill: &Fill) -> bool {
        let seen = !fill.id.is_empty() && self.fills_seen.iter().any(|seen| seen.id == fill.id);
        let executed = !self.done.filled.is_zero() || !self.done.busted.is_zero();
        !self.is_live() && !executed && !seen
    }

    /// Takes one execution into the totals.
    pub fn fill(&mut self, fill: &Fill, at: Nanos) {
        if !fill.id.is_empty() {
            self.fills_seen.push(*fill);
        }
        self.done.filled += fill.qty;
        self.done.fee += fill.fee;
        self.done.cost += fill.price.times(fill.qty);
        self.done.funding_told |= !fill.funding.is_zero();
        if self.filled_at == Nanos::NEVER {
            self.filled_at = at;
        }
    }

    /// Takes an execution back (SAFETY O18). It stays among those seen, with nothing left to take back.
    pub fn bust(&mut self, fill: &Fill) {
        self.fills_seen.iter_mut().filter(|seen| seen.id == fill.id).for_each(|seen| seen.qty = Qty::ZERO);
        self.done.filled -= fill.qty;
        self.done.fee -= fill.fee;
        self.done.cost -= fill.price.times(fill.qty);
        self.done.busted += fill.qty;
    }

    /// The fill of this id, when it was taken before and still stands.
    pub fn seen_fill(&self, id: VenueOrderId) -> Option<Fill> {
        self.fills_seen.iter().find(|seen| seen.id == id && !seen.qty.is_zero()).copied()
    }

    /// The part of a report's execution that our fills do not hold yet, as one fill. What was taken back stays in the
    /// venue's lists.
    pub fn missing_fill(&self, report: &OrderReport) -> Option<Fill> {
        let filled = self.done.filled + self.done.busted;
        let known = if planted("report_on_top_of_fills") { Qty::ZERO } else { filled };
        let qty = report.filled - known;
        if qty.raw() <= 0 {
            return None;
        }
        let whole = report.average.times(report.filled);
        let one = i128::from(crate::types::money::SCALE);
        let known_cost = self.done.cost + report.average.times(self.done.busted);
        // Fills that a snapshot took over are not told apart: where they told any funding, no more is booked.
        let told = self.fills_seen.iter().fold(Usd::ZERO, |sum, fill| sum + fill.funding);
        let lumped = self.done.funding_told && told.is_zero();
        let price = i128::from((whole - known_cost).raw()) * one / i128::from(qty.raw());
        Some(Fill {
            id: VenueOrderId::EMPTY,
            qty,
            price: if self.done.filled.is_zero() { report.average } else { Price::from_raw(price as i64) },
            fee: report.fee - self.done.fee,
            funding: if lumped { Usd::ZERO } else { report.funding - told },
        })
    }

    /// Worse than its limit by more than the rounding of a tick: no venue may do that (SAFETY O17).
    pub fn is_beyond_limit(&self, price: Price, tick: Price) -> bool {
        match self.spec.side {
            Side::Buy => price > self.spec.limit + tick,
            Side::Sell => price + tick < self.spec.limit,
        }
    }

    /// A row of the ended order, asked for at `asked`, shows less than had filled. True when a row asked for a while
    /// earlier did so too: reads may lag, a history that was rolled back stays so (SAFETY V5, V13).
    pub fn has_shrunk(&mut self, report: &OrderReport, asked: Nanos) -> bool {
        if !report.terminal || !report.tells_fill || report.filled >= self.done.filled {
            self.shrunk = Nanos::NEVER;
            return false;
        }
        if self.shrunk == Nanos::NEVER {
            self.shrunk = asked;
            self.next_query = asked.plus_ms(SHRUNK_AGAIN_MS);
            return false;
        }
        asked >= self.shrunk.plus_ms(SHRUNK_AGAIN_MS)
    }

    /// How the venue is asked for it, by every name.
    pub fn query(&self) -> OrderQuery {
        OrderQuery {
            id: self.id(),
            pair: self.spec.pair,
            venue_id: self.venue_id,
            nonce: self.spec.nonce,
            side: self.spec.side,
            qty: self.spec.qty,
            signed_ms: self.spec.signed_ms,
        }
    }

    /// Terminal state that goes with what is filled.
    pub fn closed_state(&self) -> OrderState {
        if self.done.filled.is_zero() { OrderState::NoFill } else { OrderState::Filled }
    }

    /// Starts (or hastens) the queries: the next one is due at once.
    pub fn ask_now(&mut self, now: Nanos) {
        self.next_query = now;
    }

    /// Starts the queries after the first pause, unless they run already.
    pub fn ask_soon(&mut self, now: Nanos, steps: &[u32]) {
        if self.next_query == Nanos::NEVER {
            self.next_query = now.plus_ms(pause(steps, 0));
        }
    }

    /// What was asked before is no reason to ask seldom from here on.
    pub fn ask_anew(&mut self, now: Nanos, steps: &[u32]) {
        let soon = now.plus_ms(pause(steps, 0));
        self.queries = 0;
        self.next_query = if self.next_query == Nanos::NEVER { soon } else { self.next_query.min(soon) };
    }

    /// A query left: the next one waits longer.
    pub fn asked(&mut self, now: Nanos, steps: &[u32]) {
        self.next_query = now.plus_ms(pause(steps, self.queries));
        self.queries += 1;
    }

    /// The venue answered a question of `asked` and knows no such order. True when that makes it dead: the window has
    /// lapsed, two reads were clean and the position has not moved (SAFETY rule 1 and 5).
    pub fn not_found(&mut self, asked: Nanos) -> bool {
        if asked > self.window_end() {
            self.clean_reads += 1;
            self.clean_late += u32::from(asked > self.window_end().plus_ms(CLEAN_ALONE_MS));
        }
        self.is_provably_dead()
    }

    /// Never one that its venue has acknowledged for two reads that do not know it: those lag (SAFETY rule 2, V13).
    pub fn is_provably_dead(&self) -> bool {
        let position = self.position_clean || planted("position_not_read");
        let read = self.clean_reads >= CLEAN_READS && position && !self.is_acknowledged();
        let many = self.clean_late > 0 && self.clean_reads >= CLEAN_READS_ALONE;
        self.done.filled.is_zero() && (read || many || self.clean_late >= CLEAN_READS_LATE)
    }

    /// The venue has it or had it, whatever is asked after since.
    pub fn is_acknowledged(&self) -> bool {
        self.acked_at != Nanos::NEVER
    }

    /// As a journal segment begins with it. An acknowledgement outlives the doubt after it: what is read back is in
    /// doubt in any case.
    pub fn lasting_state(&self) -> OrderState {
        match self.state {
            OrderState::Unknown if self.is_acknowledged() => OrderState::Acked,
            state => state,
        }
    }

    /// What the order needs at `now`.
    pub fn need(&self, now: Nanos, rules: &ExecutionSettings) -> Need {
        match self.state {
            OrderState::Sent if now.ms_since(self.sent_at) > u64::from(rules.ack_deadline_ms) => Need::Doubt,
            OrderState::Acked
                if self.closed_with.is_none()
                    && now.ms_since(self.acked_at.max(self.cancelled_at))
                        > u64::from(rules.pending_cancel_ms) =>
            {
                Need::Cancel
            }
            _ if self.query_due(now) || self.is_overdue(now, rules) => Need::Query,
            _ => Need::Nothing,
        }
    }

    /// Acknowledged a while ago and never asked for: its end may be known, and lost on the way.
    fn is_overdue(&self, now: Nanos, rules: &ExecutionSettings) -> bool {
        let waited = now.ms_since(self.acked_at);
        let early = self.state == OrderState::Acked && self.queries == 0 && self.cancelled_at == Nanos::NEVER;
        early && waited > u64::from(rules.pending_cancel_ms / 2)
    }

    fn query_due(&self, now: Nanos) -> bool {
        let asked_of = self.is_live() || self.unconfirmed || self.shrunk != Nanos::NEVER;
        asked_of && self.next_query != Nanos::NEVER && now >= self.next_query
    }
}

/// Pause before query number `nth`; the last step repeats.
fn pause(steps: &[u32], nth: usize) -> u64 {
    steps.get(nth).or(steps.last()).copied().map_or(1_000, u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{PairId, Purpose, VenueId};

    fn order() -> Order {
        let spec = OrderSpec {
            id: ClientId { epoch: 1, seq: 1, leg: 0 },
            venue: VenueId(0),
            pair: PairId(0),
            side: Side::Buy,
            purpose: Purpose::Enter,
            qty: Qty::from_raw(100),
            limit: Price::from_raw(1_000_000_000),
            reduce_only: false,
            signed_ms: 1_000,
            nonce: 1,
            window_ms: 500,
        };
        Order::new(spec, 0, Price::from_raw(1_000_000_000))
    }

    fn fill(id: &str, qty: i64) -> Fill {
        Fill {
            id: VenueOrderId::cut(id),
            qty: Qty::from_raw(qty),
            price: Price::from_raw(1_000_000_000),
            fee: Usd::ZERO,
            funding: Usd::ZERO,
        }
    }

    #[test]
    fn the_same_fill_counts_once() {
        let mut order = order();
        assert!(order.is_new_fill(&fill("a", 40)));
        order.fill(&fill("a", 40), Nanos(5));
        assert!(!order.is_new_fill(&fill("a", 40)));
        assert!(order.is_new_fill(&fill("b", 60)));
        assert_eq!(order.done.filled, Qty::from_raw(40));
    }

    #[test]
    fn not_found_kills_only_after_window_reads_and_position() {
        let mut order = order();
        order.position_clean = true;
        assert!(!order.not_found(Nanos::from_ms(1_100)), "inside the window it proves nothing");
        assert!(!order.not_found(Nanos::from_ms(2_100)));
        order.position_clean = false;
        assert!(!order.not_found(Nanos::from_ms(2_200)), "the position was not read");
        order.position_clean = true;
        assert!(order.not_found(Nanos::from_ms(2_300)));
    }

    #[test]
    fn a_position_that_strangers_move_is_no_witness_for_ever() {
        let mut order = order();
        for nth in 0..CLEAN_READS_ALONE {
            assert!(!order.not_found(Nanos::from_ms(2_100)), "read {nth}, soon after the window");
        }
        let late = order.window_end().plus_ms(CLEAN_ALONE_MS + 1);
        assert!(order.not_found(late));
        let mut restarted = self::order();
        let reads = [(); CLEAN_READS_LATE as usize].map(|()| restarted.not_found(late));
        assert_eq!(reads, [false, false, true]);
        order.fill(&fill("a", 1), Nanos(5));
        assert!(!order.is_provably_dead(), "what has filled has arrived");
    }

    #[test]
    fn a_report_is_booked_as_the_difference() {
        let mut order = order();
        order.fill(&fill("a", 40), Nanos(5));
        let report = OrderReport {
            venue: VenueId(0),
            id: order.id(),
            venue_id: VenueOrderId::EMPTY,
            told: crate::types::Told::default(),
            qty: Qty::from_raw(100),
            terminal: true,
            rejected: None,
            tells_fill: true,
            filled: Qty::from_raw(100),
            average: Price::from_raw(1_000_000_000),
            fee: Usd::from_raw(7),
            funding: Usd::ZERO,
            at: Nanos(9),
        };
        let missing = order.missing_fill(&report).unwrap();
        assert_eq!((missing.qty, missing.fee), (Qty::from_raw(60), Usd::from_raw(7)));
        order.fill(&missing, Nanos(9));
        assert!(order.missing_fill(&report).is_none());
    }
}
