//! The client's side of the SBE frames, as far as the tests look (sheet §5.4).

use std::collections::BTreeMap;

/// A decoded frame.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    Book { snapshot: bool, seq: i64, bids: Vec<(i64, i64)>, asks: Vec<(i64, i64)>, market: String },
    Bbo { bid: i64, ask: i64, market: String },
    Order { status: u8, open: i64, flags: u8, id: String, client_id: String, reason: String },
    Fill { price: i64, size: i64, fee: i64, book_seq: u64, order_id: String, currency: String },
    Position { side: u8, size: i64, status: u8 },
    Account { value: i64 },
    Other(u16),
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn u16(&mut self) -> usize {
        self.at += 2;
        usize::from(u16::from_le_bytes(self.bytes[self.at - 2..self.at].try_into().unwrap()))
    }

    fn text(&mut self) -> String {
        let length = usize::from(self.bytes[self.at]);
        let text = String::from_utf8(self.bytes[self.at + 1..self.at + 1 + length].to_vec()).unwrap();
        self.at += 1 + length;
        text
    }

    fn levels(&mut self) -> Vec<(i64, i64)> {
        assert_eq!(self.u16(), 16, "a level has a price and a size");
        let count = self.u16();
        let levels = (0..count).map(|i| (self.word(i * 16), self.word(i * 16 + 8))).collect();
        self.at += count * 16;
        levels
    }

    fn word(&self, offset: usize) -> i64 {
        i64::from_le_bytes(self.bytes[self.at + offset..self.at + offset + 8].try_into().unwrap())
    }
}

/// Decodes a frame of schema version 2.
pub fn decode(bytes: &[u8]) -> Frame {
    let mut header = Reader { bytes, at: 0 };
    let (block, template, schema, version) = (header.u16(), header.u16(), header.u16(), header.u16());
    assert_eq!((schema, version), (1, 2));
    let word = |offset: usize| i64::from_le_bytes(bytes[8 + offset..16 + offset].try_into().unwrap());
    let byte = |offset: usize| bytes[8 + offset];
    let mut rest = Reader { bytes, at: 8 + block };
    match template {
        2 => Frame::Bbo { bid: word(16), ask: word(32), market: rest.text() },
        3 => {
            let (bids, asks) = (rest.levels(), rest.levels());
            Frame::Book { snapshot: byte(16) == 0, seq: word(8), bids, asks, market: rest.text() }
        }
        20 => {
            let (id, client_id, _market, reason) = (rest.text(), rest.text(), rest.text(), rest.text());
            Frame::Order { status: byte(16), open: word(44), flags: byte(125), id, client_id, reason }
        }
        21 => {
            let (_fill, order_id, _client, _trade, _market) =
                (rest.text(), rest.text(), rest.text(), rest.text(), rest.text());
            let (book_seq, currency) = (word(108) as u64, rest.text());
            Frame::Fill { price: word(19), size: word(27), fee: word(35), book_seq, order_id, currency }
        }
        22 => Frame::Position { side: byte(16), size: word(17), status: byte(153) },
        23 => Frame::Account { value: word(48) },
        other => Frame::Other(other as u16),
    }
}

/// A book kept from frames: sizes are absolute, 0 removes.
#[derive(Default)]
pub struct Ladder {
    pub seq: i64,
    pub bids: BTreeMap<i64, i64>,
    pub asks: BTreeMap<i64, i64>,
}

impl Ladder {
    pub fn apply(&mut self, frame: &Frame) {
        let Frame::Book { snapshot, seq, bids, asks, .. } = frame else { return };
        if *snapshot {
            *self = Ladder::default();
        } else {
            assert_eq!(*seq, self.seq + 1, "deltas have no gaps");
        }
        self.seq = *seq;
        for (side, levels) in [(&mut self.bids, bids), (&mut self.asks, asks)] {
            levels.iter().for_each(|(price, size)| {
                side.insert(*price, *size);
            });
            side.retain(|_, size| *size != 0);
        }
    }
}
