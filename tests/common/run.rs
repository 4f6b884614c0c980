//! A journal as a run of the engine would write it, in its own directory.

use std::path::{Path, PathBuf};

use bot4::journal::entry::{Entry, IntentEntry, IntentOrder};
use bot4::journal::recover::recover;
use bot4::journal::{FileJournal, Journal, Options, Supply};
use bot4::position::Ledger;
use bot4::store::{Names, PairName, VenueName};
use bot4::types::message::StopReason;
use bot4::types::order::{Reason, VenueOrderId};
use bot4::types::{
    ClientId, Direction, Fill, IntentKind, Nanos, OrderSpec, OrderState, PairId, Price, Purpose, Qty, Rate,
    Side, Usd, VenueId,
};
use tempfile::TempDir;

const PAIR: PairId = PairId(0);
const ONE: Qty = Qty::from_raw(100_000_000);

pub struct Run {
    dir: TempDir,
    writer: FileJournal,
    _supply: Supply,
    seq: u32,
}

impl Run {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let epoch = Entry::Epoch { epoch: 1, config_hash: 7, at: Nanos(1) };
        let options = Options { segment_bytes: 1 << 20, ..Options::default() };
        let found = recover(dir.path()).unwrap();
        let (writer, supply) = FileJournal::start(dir.path(), options, &found, &[epoch], Nanos(99)).unwrap();
        Self { dir, writer, _supply: supply, seq: 0 }
    }

    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        Path::new(self.dir.path()).join(name)
    }

    /// Opens the pair: both legs sent, filled and closed.
    pub fn open(&mut self) {
        self.trade(IntentKind::Enter(Direction::A), Purpose::Enter, [Side::Buy, Side::Sell]);
        let (direction, spread, at) = (Direction::A, Rate::from_bps(31), self.now());
        self.append(Entry::PairOpened { pair: PAIR, direction, qty: ONE, spread, at });
    }

    /// Closes it again.
    pub fn close(&mut self) {
        let reason = StopReason::Threshold;
        self.trade(IntentKind::Exit(reason), Purpose::Exit, [Side::Sell, Side::Buy]);
        let ledger = Ledger {
            entry_edge: Usd::from_raw(31_000_000),
            slippage: Usd::from_raw(-1_000_001),
            fees: Usd::from_raw(-8_000_000),
            ..Ledger::default()
        };
        let (spread, at) = (Rate::from_bps(-1), self.now());
        self.append(Entry::PairClosed { pair: PAIR, reason, spread, ledger, at });
    }

    fn trade(&mut self, kind: IntentKind, purpose: Purpose, sides: [Side; 2]) {
        self.seq += 1;
        let at = self.now();
        let orders = [0_u8, 1].map(|leg| Some(self.order(leg, purpose, sides[usize::from(leg)])));
        let (edge, basis) = (Rate::from_bps(31), Rate::from_bps(4));
        let (seq, mid, before) = (self.seq, Price::from_raw(10_000_000_000), [Qty::ZERO; 2]);
        let intent = IntentEntry { seq, pair: PAIR, kind: Some(kind), edge, basis, mid, orders, before, at };
        self.append(Entry::Intent { intent });
        for leg in 0..2 {
            let id = self.id(leg);
            self.append(Entry::Sent { id, at });
            self.append(Entry::Acked { id, venue_id: VenueOrderId::cut("0xab\0cd"), at });
            let fill = Fill {
                id: VenueOrderId::cut(&format!("fill-{id}")),
                qty: ONE,
                price: Price::from_raw(10_000_000_000 + i64::from(leg)),
                fee: Usd::from_raw(2_000_000),
                funding: Usd::ZERO,
            };
            self.append(Entry::Filled { id, fill, at });
            let (state, reason) = (OrderState::Filled, Reason::cut("done"));
            self.append(Entry::Closed { id, state, filled: ONE, reason, at });
        }
    }

    fn order(&self, leg: u8, purpose: Purpose, side: Side) -> IntentOrder {
        let spec = OrderSpec {
            id: self.id(leg),
            venue: VenueId(leg),
            pair: PAIR,
            side,
            purpose,
            qty: ONE,
            limit: Price::from_raw(10_100_000_000),
            reduce_only: purpose.reduce_only(),
            signed_ms: 1,
            nonce: u64::from(self.seq),
            window_ms: 500,
        };
        IntentOrder { spec, leg, expected: Price::from_raw(10_000_000_000) }
    }

    fn id(&self, leg: u8) -> ClientId {
        ClientId { epoch: 1, seq: self.seq, leg }
    }

    fn now(&self) -> Nanos {
        Nanos::from_ms(1_700_000_000_000 + u64::from(self.seq))
    }

    fn append(&mut self, entry: Entry) {
        self.writer.append(&entry).unwrap();
    }
}

pub fn names() -> Names {
    let venue = |name, title, order_wire| VenueName { name, title, order_wire };
    Names {
        pairs: vec![PairName { name: "BTC".to_owned(), venues: [VenueId(0), VenueId(1)] }],
        venues: vec![venue("vest", "Vest", "REST"), venue("paradex", "Paradex", "WS")],
    }
}
