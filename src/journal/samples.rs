//! One entry of every kind, for tests of whoever writes, reads or follows the journal.

use super::entry::{
    Done, Entry, History, IntentEntry, IntentOrder, Markets, Name, Newest, Tail, Totals, Unproven,
};
use crate::position::{Adjustment, Ledger, LegBook, PairBook};
use crate::types::message::{Mode, StopReason};
use crate::types::order::{Reason, VenueOrderId};
use crate::types::tally::{Counted, TALLY_BUCKETS, Tally};
use crate::types::{
    ClientId, Direction, Fill, IntentKind, MarketRules, MarketStatus, Nanos, OrderSpec, OrderState, PairId,
    Price, Purpose, Qty, Rate, Side, Usd, VenueId,
};

/// Identity of leg `leg` of intent `seq` in run 1.
pub fn id(seq: u32, leg: u8) -> ClientId {
    ClientId { epoch: 1, seq, leg }
}

/// An order of one unit of pair 0 on the leg's venue, expected at 100.
pub fn order(seq: u32, leg: u8, side: Side, purpose: Purpose) -> IntentOrder {
    let spec = OrderSpec {
        id: id(seq, leg),
        venue: VenueId(leg),
        pair: PairId(0),
        side,
        purpose,
        qty: Qty::from_raw(100_000_000),
        limit: Price::from_raw(10_010_000_000),
        reduce_only: purpose.reduce_only(),
        signed_ms: 1_700_000_000_000,
        nonce: 77,
        window_ms: 600,
    };
    IntentOrder { spec, leg, expected: Price::from_raw(10_000_000_000) }
}

/// The intent that opens (long leg 0, short leg 1) or closes pair 0.
pub fn intent(seq: u32, kind: IntentKind) -> Entry {
    let (purpose, sides) = match kind {
        IntentKind::Enter(_) => (Purpose::Enter, [Side::Buy, Side::Sell]),
        IntentKind::Exit(_) => (Purpose::Exit, [Side::Sell, Side::Buy]),
    };
    let orders = [0_u8, 1].map(|leg| Some(order(seq, leg, sides[usize::from(leg)], purpose)));
    let intent = IntentEntry {
        seq,
        pair: PairId(0),
        kind: Some(kind),
        edge: Rate::from_bps(31),
        basis: Rate::ZERO,
        mid: Price::from_raw(10_000_000_000),
        orders,
        before: [Qty::ZERO; 2],
        at: Nanos(1_700_000_000_000_000_000 + u64::from(seq)),
    };
    Entry::Intent { intent }
}

fn rules() -> MarketRules {
    MarketRules {
        tick: Price::from_raw(1_000_000),
        lot: Qty::from_raw(10_000),
        min_qty: Qty::from_raw(20_000),
        max_qty: Qty::ZERO,
        min_notional: Usd::from_raw(1_000_000_000),
        price_places: 2,
        qty_places: 4,
        taker: Rate::from_bps(4),
        initial_margin: Rate::from_bps(1_000),
        maintenance_margin: Rate::from_bps(500),
        price_band: Rate::from_bps(300),
        ends_ms: Some(1_800_000_000_000),
        status: MarketStatus::Halted,
    }
}

fn markets() -> Markets {
    let symbols = ["ETH-PERP", "ETH-USD-PERP"].map(Name::cut);
    Markets { name: Name::cut("ETH"), venues: [VenueId(0), VenueId(1)], symbols }
}

/// One unit filled at `price` (whole dollars), fee 0.02.
pub fn filled(seq: u32, leg: u8, price: i64) -> Entry {
    let fill = Fill {
        id: VenueOrderId::cut(&format!("f-{seq}-{leg}")),
        qty: Qty::from_raw(100_000_000),
        price: Price::from_raw(price * 100_000_000),
        fee: Usd::from_raw(2_000_000),
        funding: Usd::ZERO,
    };
    Entry::Filled { id: id(seq, leg), fill, at: Nanos(1_700_000_000_000_000_000 + u64::from(seq)) }
}

/// The order's end, filled whole.
pub fn closed(seq: u32, leg: u8) -> Entry {
    Entry::Closed {
        id: id(seq, leg),
        state: OrderState::Filled,
        filled: Qty::from_raw(100_000_000),
        reason: Reason::EMPTY,
        at: Nanos(1_700_000_000_000_000_000 + u64::from(seq)),
    }
}

/// A run: pair 0 opened and closed once, with everything in between. Profit before fees: 0.28 - 0.01.
pub fn round_trip() -> Vec<Entry> {
    let at = Nanos(1_700_000_000_500_000_000);
    let venue_id = VenueOrderId::cut("0xabc");
    let ledger = Ledger {
        entry_edge: Usd::from_raw(200_000_000),
        exit_cost: Usd::from_raw(-100_000_000),
        fees: Usd::from_raw(-8_000_000),
        ..Ledger::default()
    };
    let mut entries = vec![Entry::Epoch { epoch: 1, config_hash: 5, at }];
    entries.push(intent(1, IntentKind::Enter(Direction::A)));
    for leg in 0..2 {
        entries.push(Entry::Sent { id: id(1, leg), at });
        entries.push(Entry::Acked { id: id(1, leg), venue_id, at });
        entries.push(filled(1, leg, 99 + 2 * i64::from(leg)));
        entries.push(closed(1, leg));
    }
    let (pair, qty) = (PairId(0), Qty::from_raw(100_000_000));
    entries.push(Entry::PairOpened { pair, direction: Direction::A, qty, spread: Rate::from_bps(31), at });
    entries.push(intent(2, IntentKind::Exit(StopReason::Threshold)));
    for leg in 0..2 {
        entries.push(Entry::Sent { id: id(2, leg), at });
        entries.push(filled(2, leg, 100));
        entries.push(closed(2, leg));
    }
    let reason = StopReason::Threshold;
    entries.push(Entry::PairClosed { pair, reason, spread: Rate::from_bps(1), ledger, at });
    entries
}

/// At least one entry of every kind.
pub fn all() -> Vec<Entry> {
    let at = Nanos(1_700_000_000_000_000_000);
    let book = PairBook {
        legs: [LegBook { qty: Qty::from_raw(-5), cash: Usd::from_raw(7), ..LegBook::default() }; 2],
        direction: Some(Direction::B),
        opened_at: at,
        ..PairBook::default()
    };
    let Entry::Filled { id, fill, .. } = filled(3, 0, 100) else { unreachable!("made as a fill") };
    let (state, venue_id) = (OrderState::Acked, VenueOrderId::cut("0xdef"));
    let (filled, busted) = (Qty::from_raw(7), Qty::from_raw(2));
    let done = Done { filled, busted, funding_told: true, ..Done::default() };
    let newest = Newest { epoch: 3, seq: 9, nonce: 77, at };
    let tail = Tail { epoch: 3, newest, since_ms: 5, before_ms: 6 };
    let mut entries = round_trip();
    entries.extend([
        Entry::PairSnapshot { pair: PairId(1), book },
        Entry::PairHeld { pair: PairId(1), spread: Rate::from_bps(31) },
        Entry::TotalsSnapshot {
            totals: Totals { pairs_opened: 3, halted: true, unjudged: true, ..Totals::default() },
        },
        Entry::OrderSnapshot { order: order(9, 1, Side::Sell, Purpose::Unwind), state, venue_id, done, at },
        Entry::Unknown { id, at },
        Entry::Busted { id, fill, at },
        Entry::Adjusted {
            pair: PairId(0),
            by: Adjustment {
                leg: 1,
                side: Side::Buy,
                qty: Qty::from_raw(5),
                price: Price::from_raw(9_900_000_000),
            },
            at,
        },
        Entry::Funding { venue: VenueId(1), pair: PairId(0), amount: Usd::from_raw(-3), at },
        Entry::Mode { mode: Mode::Halted, why: Reason::cut("day loss"), at },
        Entry::Tally {
            of: Counted::OrdersPerDay,
            venue: VenueId(1),
            tally: Tally { newest: 7, counts: [3; TALLY_BUCKETS] },
        },
        Entry::Unproven { pair: PairId(1), leg: 1, open: Unproven::default().with(Qty::from_raw(-6)), at },
        Entry::History { venue: VenueId(1), history: History { newest, unread: Some(tail) } },
        Entry::Rules { pair: PairId(1), leg: 0, rules: rules(), at },
        Entry::Named { pair: PairId(1), markets: markets() },
        Entry::Stopped { at },
    ]);
    entries
}
