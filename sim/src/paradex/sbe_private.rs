//! SBE frames of the private channels: orders, fills, positions, account.
//!
//! Used when private events travel as SBE, which is an option: the sheet leaves the form open (§10, row 1).
//! Source: Paradex sheet §5.4, templates 20 to 23.

use super::record::{Account, Fill, Order, Position};
use super::sbe::{Frame, NULL, Version};

const FILL_FLAG_INTERACTIVE: u8 = 1;
const POSITION_OPEN: u8 = 1;
const POSITION_CLOSED: u8 = 2;
const ACCOUNT_ACTIVE: u8 = 1;

/// Template 20: 126 bytes, 128 from version 2. Modifications are not offered, so the request is always none.
pub fn order(version: Version, o: &Order) -> Vec<u8> {
    let block = if version.has(2) { 128 } else { 126 };
    let mut frame = Frame::new(version, 20, block, 160);
    frame.i64s(&[o.published_at_us, o.seq_no]).raw(&[o.status as u8, o.side as u8, o.kind as u8]);
    frame.u8(o.instruction as u8).i64s(&[o.price, NULL, o.size, o.remaining]);
    frame.i64s(&[o.avg_fill_price.unwrap_or(NULL), o.created_at_us, o.updated_at_us]);
    frame.raw(&o.account.to_bytes_be()).i64s(&[o.received_at_us, o.published_at_us]);
    frame.u8(o.stp as u8).u8(o.flags.0);
    if version.has(2) {
        frame.raw(&[0, 0]);
    }
    frame.end_block().text(&o.id).text(&o.client_id).text(&o.market).text(&o.cancel_reason);
    if version.has(2) {
        frame.text("").text("");
    }
    frame.finish()
}

/// Template 21: 107 bytes, 116 from version 2.
pub fn fill(version: Version, f: &Fill) -> Vec<u8> {
    let block = if version.has(2) { 116 } else { 107 };
    let mut frame = Frame::new(version, 21, block, 160);
    frame.i64s(&[f.created_at_us, f.seq_no]).raw(&[f.kind as u8, f.side as u8]);
    frame.u8(if f.is_taker { 2 } else { 1 });
    frame.i64s(&[f.price, f.size, f.fee, f.realized_pnl, f.created_at_us]);
    frame.raw(&f.account.to_bytes_be()).i64s(&[f.underlying_price, f.realized_funding]);
    if version.has(2) {
        frame.u8(if f.interactive { FILL_FLAG_INTERACTIVE } else { 0 }).u64(f.book_seq);
    }
    frame.end_block().text(&f.id).text(&f.order_id).text(&f.client_id).text(&f.trade_id).text(&f.market);
    if version.has(2) {
        frame.text("USDC");
    }
    frame.finish()
}

/// Template 22: 154 bytes. The size is absolute, the side tells the sign, the mark price is always null.
pub fn position(version: Version, p: &Position) -> Vec<u8> {
    let mut frame = Frame::new(version, 22, 154, 80);
    frame.i64s(&[p.updated_at_us, p.seq_no]).u8(if p.is_long() { 1 } else { 2 });
    frame.i64s(&[p.size.saturating_abs(), p.avg_entry_price, p.unrealized_pnl, p.realized_pnl, NULL]);
    frame.i64s(&[p.liquidation_price.unwrap_or(NULL), p.leverage, p.updated_at_us]);
    frame.raw(&p.account.to_bytes_be()).i64s(&[p.avg_entry_price, p.cost, p.cost]);
    frame.i64s(&[p.funding_index, p.unrealized_funding]);
    frame.u8(if p.is_open() { POSITION_OPEN } else { POSITION_CLOSED });
    frame.end_block().text(&p.market).text(&p.last_fill_id).finish()
}

/// Template 23: 113 bytes, 121 from version 2. The unrealised profit is always null.
pub fn account(version: Version, a: &Account) -> Vec<u8> {
    let block = if version.has(2) { 121 } else { 113 };
    let mut frame = Frame::new(version, 23, block, 8);
    frame.i64s(&[a.updated_at_us, a.seq_no, a.total_collateral, a.free_collateral]);
    frame.i64s(&[a.initial_margin, a.maintenance_margin, a.value, NULL, a.updated_at_us]);
    frame.raw(&a.account.to_bytes_be()).i64s(&[a.value.saturating_sub(a.maintenance_margin)]);
    frame.u8(ACCOUNT_ACTIVE);
    if version.has(2) {
        frame.i64s(&[0]);
    }
    frame.end_block().text("USDC").finish()
}

#[cfg(test)]
mod tests {
    use super::super::record::{FillType, Instruction, OrderFlags, OrderStatus, OrderType, Side, Stp};
    use super::*;

    fn word(frame: &[u8], offset: usize) -> i64 {
        i64::from_le_bytes(frame[8 + offset..16 + offset].try_into().unwrap())
    }

    fn block(frame: &[u8]) -> u16 {
        u16::from_le_bytes([frame[0], frame[1]])
    }

    fn an_order() -> Order {
        Order {
            id: "1718941725080201704028870000".into(),
            account: 0x49u64.into(),
            market: "BTC-USD-PERP".into(),
            side: Side::Sell,
            kind: OrderType::Limit,
            instruction: Instruction::Ioc,
            size: 100,
            remaining: 40,
            price: 7,
            avg_fill_price: None,
            status: OrderStatus::Closed,
            cancel_reason: "EXPIRED".into(),
            client_id: "a1".into(),
            flags: OrderFlags(OrderFlags::REDUCE_ONLY),
            stp: Stp::Taker,
            signed_at_ms: 1,
            received_at_us: 2,
            created_at_us: 3,
            updated_at_us: 4,
            published_at_us: 5,
            seq_no: 6,
        }
    }

    #[test]
    fn the_order_frame_has_each_field_at_its_offset() {
        let [v1, v2] = [1, 2].map(|number| order(Version::new(number).unwrap(), &an_order()));
        assert_eq!((block(&v1), block(&v2)), (126, 128));
        assert_eq!(v1[8 + 16..8 + 20], [4, 2, 1, 2]);
        assert_eq!([word(&v1, 20), word(&v1, 28), word(&v1, 36), word(&v1, 44)], [7, NULL, 100, 40]);
        assert_eq!([word(&v1, 52), word(&v1, 60), word(&v1, 68)], [NULL, 3, 4]);
        assert_eq!(v1[8 + 107], 0x49);
        assert_eq!([word(&v1, 108), word(&v1, 116)], [2, 5]);
        assert_eq!(v1[8 + 124..8 + 126], [2, 1]);
        assert_eq!(&v1[8 + 126..], b"\x1c1718941725080201704028870000\x02a1\x0cBTC-USD-PERP\x07EXPIRED");
        assert_eq!(v2[v2.len() - 2..], [0, 0]);
    }

    #[test]
    fn the_fill_frame_grows_in_version_two() {
        let f = Fill {
            id: "9".into(),
            kind: FillType::Fill,
            trade_id: "8".into(),
            order_id: "7".into(),
            client_id: String::new(),
            account: 1u64.into(),
            market: "ETH-USD-PERP".into(),
            side: Side::Buy,
            is_taker: true,
            price: 11,
            size: 12,
            remaining: 0,
            fee: 13,
            realized_pnl: 14,
            realized_funding: 15,
            underlying_price: 16,
            book_seq: 17,
            interactive: true,
            created_at_us: 18,
            seq_no: 19,
        };
        let [v1, v2] = [1, 2].map(|number| fill(Version::new(number).unwrap(), &f));
        assert_eq!((block(&v1), block(&v2)), (107, 116));
        assert_eq!(v2[8 + 16..8 + 19], [1, 1, 2]);
        assert_eq!([word(&v2, 19), word(&v2, 27), word(&v2, 35), word(&v2, 43)], [11, 12, 13, 14]);
        assert_eq!([word(&v2, 91), word(&v2, 99), word(&v2, 108)], [16, 15, 17]);
        assert_eq!(v2[8 + 107], 1);
        assert!(v2.ends_with(b"\x0cETH-USD-PERP\x04USDC") && v1.ends_with(b"\x0cETH-USD-PERP"));
    }

    #[test]
    fn a_short_position_is_a_side_and_an_absolute_size() {
        let p = Position {
            account: 1u64.into(),
            market: "SOL-USD-PERP".into(),
            size: -5,
            avg_entry_price: 2,
            unrealized_pnl: 3,
            unrealized_funding: 4,
            realized_pnl: 6,
            liquidation_price: None,
            leverage: 7,
            cost: 8,
            funding_index: 9,
            last_fill_id: "x".into(),
            created_at_us: 1,
            updated_at_us: 2,
            seq_no: 3,
        };
        let frame = position(Version::new(2).unwrap(), &p);
        assert_eq!((block(&frame), frame[8 + 16], word(&frame, 17)), (154, 2, 5));
        assert_eq!([word(&frame, 49), word(&frame, 57), word(&frame, 65)], [NULL, NULL, 7]);
        assert_eq!([word(&frame, 137), word(&frame, 145)], [9, 4]);
        assert_eq!(frame[8 + 153], 1);
    }

    #[test]
    fn the_account_frame_gives_the_margin_cushion() {
        let a = Account {
            account: 1u64.into(),
            value: 100,
            total_collateral: 99,
            free_collateral: 98,
            initial_margin: 10,
            maintenance_margin: 5,
            updated_at_us: 1,
            seq_no: 2,
        };
        let [v1, v2] = [1, 2].map(|number| account(Version::new(number).unwrap(), &a));
        assert_eq!((block(&v1), block(&v2)), (113, 121));
        assert_eq!([word(&v1, 48), word(&v1, 56), word(&v1, 104)], [100, NULL, 95]);
        assert_eq!((v1[8 + 112], word(&v2, 113)), (1, 0));
    }
}
