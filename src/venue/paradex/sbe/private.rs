//! Private templates: orders, fills, positions and the account (sheet 5.4, templates 20 to 23), read into the facts
//! that `events` knows; the JSON form of the same channels is read by `json`.

use super::{Block, Tail};
use crate::types::{Price, Qty, Side, Usd};
use crate::venue::WireError;
use crate::venue::paradex::events::{AccountFact, Fact, FillFact, FillKind, OrderFact, PositionFact};

const CLOSED: u8 = 4;
const INTERACTIVE: u8 = 1 << 3;
const ACCOUNT_LIQUIDATION: u8 = 2;
const POSITION_CLOSED: u8 = 2;
const TAKER: u8 = 2;

/// OrderEvent.
pub(super) fn order<'a>(block: Block<'a>, mut tail: Tail<'a>) -> Result<Fact<'a>, WireError> {
    let (venue_id, client_id, market) = (tail.text()?, tail.text()?, tail.text()?);
    Ok(Fact::Order(OrderFact {
        venue_id: venue_id.into(),
        client_id: client_id.into(),
        market: market.into(),
        side: side(&block),
        closed: block.byte(16) == Some(CLOSED),
        size: quantity(&block, 36)?,
        open: quantity(&block, 44)?,
        average: Price::from_raw(block.number(52).unwrap_or(0)),
        cancel_reason: tail.text()?.into(),
        interactive: block.byte(125).map(|flags| flags & INTERACTIVE != 0),
        at: block.time(0)?,
    }))
}

/// FillEvent.
pub(super) fn fill<'a>(block: Block<'a>, mut tail: Tail<'a>) -> Result<Fact<'a>, WireError> {
    let (id, order_id, client_id) = (tail.text()?, tail.text()?, tail.text()?);
    let _trade_id = tail.text()?;
    let kind = match block.byte(16) {
        Some(2 | 3) => FillKind::Takeover,
        Some(4) => FillKind::Settlement,
        _ => FillKind::Trade,
    };
    let price = block.required(19)?;
    if price <= 0 && kind == FillKind::Trade {
        return Err(block.bad("a positive fill price"));
    }
    Ok(Fact::Fill(FillFact {
        id: id.into(),
        order_id: order_id.into(),
        client_id: client_id.into(),
        market: tail.text()?.into(),
        side: side(&block).filter(|_| block.byte(18) == Some(TAKER)),
        kind,
        qty: quantity(&block, 27)?,
        price: Price::from_raw(price),
        fee: Usd::from_raw(block.required(35)?),
        funding: Usd::from_raw(block.required(99)?),
        at: block.time(0)?,
    }))
}

/// PositionEvent. The size on the wire is absolute; the side gives the sign.
pub(super) fn position<'a>(block: Block<'a>, mut tail: Tail<'a>) -> Result<Fact<'a>, WireError> {
    let size = quantity(&block, 17)?;
    let qty = match (block.byte(153), block.byte(16)) {
        (Some(POSITION_CLOSED), _) => Qty::ZERO,
        _ if size.is_zero() => Qty::ZERO,
        (_, Some(1)) => size,
        (_, Some(2)) => -size,
        _ => return Err(block.bad("side 1 (long) or 2 (short)")),
    };
    Ok(Fact::Position(PositionFact { market: tail.text()?.into(), qty }))
}

/// AccountEvent.
pub(super) fn account<'a>(block: Block<'a>) -> Result<Fact<'a>, WireError> {
    Ok(Fact::Account(AccountFact {
        equity: Usd::from_raw(block.required(48)?),
        free: Usd::from_raw(block.required(24)?),
        liquidation: block.byte(112) == Some(ACCOUNT_LIQUIDATION),
    }))
}

/// Side of an order or a fill. One that the venue cannot represent here is not told: what it did counts all the same.
fn side(block: &Block<'_>) -> Option<Side> {
    match block.byte(17) {
        Some(1) => Some(Side::Buy),
        Some(2) => Some(Side::Sell),
        _ => None,
    }
}

/// A size: not negative.
fn quantity(block: &Block<'_>, at: usize) -> Result<Qty, WireError> {
    let raw = block.required(at)?;
    if raw < 0 {
        return Err(block.bad("a size that is not negative"));
    }
    Ok(Qty::from_raw(raw))
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::BTC;
    use super::super::build::{frame, put};
    use super::super::{Message, decode};
    use super::*;

    fn private(bytes: &[u8]) -> Fact<'_> {
        match decode(bytes).unwrap() {
            Message::Private(fact) => fact,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn orders_of_every_version() {
        let fill = |block: &mut [u8]| {
            put(block, 0, 5);
            (block[16], block[17]) = (CLOSED, 2);
            put(block, 36, 300);
            put(block, 44, 100);
            put(block, 52, i64::MIN);
            block[125] = INTERACTIVE;
        };
        let old = ["77", "3-9-1", BTC, "USER_CANCELED"];
        let new = ["77", "3-9-1", BTC, "USER_CANCELED", "r", "m"];
        for (version, length, texts) in [(0, 126, &old[..]), (2, 128, &new[..]), (2, 128, &old[..])] {
            let bytes = frame(20, version, length, fill, texts);
            let Fact::Order(order) = private(&bytes) else { panic!("not an order") };
            assert!(order.closed && order.interactive == Some(true));
            assert_eq!(order.side, Some(Side::Sell));
            assert_eq!((order.size.raw(), order.open.raw(), order.average), (300, 100, Price::ZERO));
            assert_eq!((&*order.venue_id, &*order.client_id, &*order.market), ("77", "3-9-1", BTC));
            assert_eq!((&*order.cancel_reason, order.at.0), ("USER_CANCELED", 5000));
        }
    }

    #[test]
    fn fills_of_every_version() {
        let fill = |block: &mut [u8]| {
            block[16..19].copy_from_slice(&[1, 2, TAKER]);
            put(block, 8, i64::MIN);
            put(block, 19, 6_485_290_000_000);
            put(block, 27, 1_000_000);
            put(block, 35, 19_455_870);
            put(block, 99, -7);
        };
        let texts = ["f1", "77", "3-9-1", "t1", BTC, "USDC"];
        for (version, length, texts) in [(1, 107, &texts[..5]), (2, 116, &texts[..])] {
            let bytes = frame(21, version, length, fill, texts);
            let Fact::Fill(fill) = private(&bytes) else { panic!("not a fill") };
            assert_eq!(
                (&*fill.id, &*fill.order_id, &*fill.client_id, &*fill.market),
                ("f1", "77", "3-9-1", BTC)
            );
            assert_eq!((fill.kind, fill.fee.to_string()), (FillKind::Trade, "0.1945587".into()));
            assert_eq!((fill.price.to_string(), fill.qty.to_string()), ("64852.9".into(), "0.01".into()));
            assert_eq!((fill.side, fill.funding), (Some(Side::Sell), Usd::from_raw(-7)));
        }
        for (side, liquidity) in [(2, 1), (254, TAKER), (0, TAKER)] {
            let doubtful = |block: &mut [u8]| {
                fill(block);
                block[17..19].copy_from_slice(&[side, liquidity]);
            };
            let bytes = frame(21, 1, 107, doubtful, &texts[..5]);
            let Fact::Fill(fill) = private(&bytes) else { panic!("not a fill") };
            assert_eq!(fill.side, None, "{side} {liquidity}");
        }
        let free = frame(21, 1, 107, |_| {}, &texts[..5]);
        assert!(decode(&free).is_err(), "a fill at a price of zero");
    }

    #[test]
    fn positions_take_their_sign_from_the_side() {
        let event = |side: u8, status: u8| {
            let fill = move |block: &mut [u8]| {
                block[16] = side;
                put(block, 17, 500);
                block[153] = status;
            };
            frame(22, 1, 154, fill, &[BTC, "f1"])
        };
        for (side, status, expected) in [(1, 1, 500), (2, 1, -500), (2, 2, 0)] {
            let bytes = event(side, status);
            let Fact::Position(position) = private(&bytes) else { panic!("not a position") };
            assert_eq!((position.qty.raw(), &*position.market), (expected, BTC));
        }
        assert!(decode(&event(254, 1)).is_err());
    }

    #[test]
    fn accounts_of_both_layouts() {
        let fill = |block: &mut [u8]| {
            put(block, 24, 40);
            put(block, 48, 50);
            block[112] = ACCOUNT_LIQUIDATION;
        };
        for (version, length) in [(1, 113), (2, 113), (2, 121)] {
            let bytes = frame(23, version, length, fill, &["USDC"]);
            let Fact::Account(account) = private(&bytes) else { panic!("not an account") };
            assert_eq!((account.equity.raw(), account.free.raw(), account.liquidation), (50, 40, true));
        }
    }
}
