//! Book messages of both venues, framed as their servers would.

use bot4::types::Price;

use super::{E8, SYMBOLS};

/// 20 levels a side, a dollar apart, one coin each.
pub fn vest_book(mid: i64) -> Vec<u8> {
    let side = |step: i64| {
        let level = |nth| format!(r#"["{}","1.0000"]"#, Price::from_raw(mid + step * nth * E8));
        (1..=20).map(level).collect::<Vec<_>>().join(",")
    };
    let (bids, asks) = (side(-1), side(1));
    framed(
        0x81,
        format!(r#"{{"channel":"BTC-PERP@depth","data":{{"bids":[{bids}],"asks":[{asks}]}}}}"#).as_bytes(),
    )
}

/// Without a mark, so that the prices of the frames alone count.
pub fn vest_ticker() -> Vec<u8> {
    let row = r#"{"symbol":"BTC-PERP","indexPrice":"80000","imbalance":"0","oneHrFundingRate":"0",
        "cumFunding":"0","status":"TRADING"}"#;
    framed(0x81, format!(r#"{{"channel":"tickers","data":[{row}]}}"#).as_bytes())
}

pub fn paradex_book(mid: i64, levels: i64) -> Vec<u8> {
    let side = |step: i64| (1..=levels).map(|nth| (mid + step * nth * E8, E8)).collect::<Vec<_>>();
    framed(0x82, &sbe(0, &side(-1), &side(1)))
}

/// Three sizes far from the touch.
pub fn paradex_delta(mid: i64) -> Vec<u8> {
    let far = |step: i64, nth: i64| (mid + step * nth * E8, 3 * E8);
    framed(0x82, &sbe(1, &[far(-1, 30), far(-1, 31)], &[far(1, 30)]))
}

/// A book message of schema 1, version 2 (sheet `paradex`, 5.4).
fn sbe(package: u8, bids: &[(i64, i64)], asks: &[(i64, i64)]) -> Vec<u8> {
    let mut bytes: Vec<u8> = [89_u16, 3, 1, 2].into_iter().flat_map(u16::to_le_bytes).collect();
    bytes.extend(1_800_000_000_000_000_i64.to_le_bytes());
    bytes.extend(0_i64.to_le_bytes());
    bytes.push(package);
    (0..9).for_each(|_| bytes.extend(i64::MIN.to_le_bytes()));
    for levels in [bids, asks] {
        bytes.extend(16_u16.to_le_bytes());
        bytes.extend((levels.len() as u16).to_le_bytes());
        levels
            .iter()
            .for_each(|(price, qty)| bytes.extend([price.to_le_bytes(), qty.to_le_bytes()].concat()));
    }
    bytes.push(SYMBOLS[1].len() as u8);
    bytes.extend(SYMBOLS[1].as_bytes());
    bytes
}

/// As a server frames a message of 126 bytes and more.
fn framed(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("short").to_be_bytes();
    [&[first, 126], &length[..], payload].concat()
}
