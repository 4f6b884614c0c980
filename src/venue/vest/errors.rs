//! What Vest's refusals mean: one table of every documented code (sheet `vest`, 6) and the reader of all the shapes in
//! which a refusal arrives. Called by `order_links`, `private` and `rest`. It never takes silence or garbage for a
//! refusal: what it cannot read is [`RejectClass::Ambiguous`].

use serde::Deserialize;

use super::json::{self, Code};
use crate::types::order::Reason;
use crate::types::{Reject, RejectClass, quoted};
use crate::venue::end::CloseCode;

use RejectClass::{Ambiguous, Definitive, Halt, RetryLater, TooLarge};

/// Codes that callers ask for by name.
pub const RATE_LIMITED: i64 = 429;
pub const DELETED_BY_LIQUIDATION: i64 = 3008;
pub const ORDER_NOT_FOUND: i64 = 3017;
pub const DECREASE_LEVERAGE_WITH_POSITION: i64 = 3021;

/// Every documented code: its class for an order that met it, and its short name. Codes of transfers and liquidity
/// provision say nothing about an order; a duplicate or a missing order is answered by a query, not by a guess.
const CODES: [(i64, RejectClass, &str); 50] = [
    (429, RetryLater, "RATE_LIMITED"),
    (1002, Halt, "UNAUTHORIZED"),
    (1003, RetryLater, "TOO_MANY_REQUESTS"),
    (1022, Halt, "INVALID_SIGNATURE"),
    (1023, Definitive, "INVALID_NONCE"),
    (1024, Halt, "INVALID_NETWORK_TYPE"),
    (1099, Halt, "ACCOUNT_NOT_FOUND"),
    (1111, Definitive, "BAD_DECIMALS"),
    (1116, Halt, "INVALID_ORDER_TYPE"),
    (1121, Halt, "BAD_SYMBOL"),
    (1125, RetryLater, "INVALID_LISTEN_KEY"),
    (1130, Definitive, "INVALID_PARAMETER"),
    (1131, Definitive, "BAD_RECV_WINDOW"),
    (1132, Definitive, "ORDER_EXPIRED"),
    (1133, Halt, "INVALID_TIME_IN_FORCE"),
    (1143, Ambiguous, "INVALID_TRANSACTION"),
    (1144, Ambiguous, "ALREADY_USE_TRANSACTION"),
    (1145, Definitive, "INVALID_TP_SL_PRICE"),
    (1146, Halt, "INVALID_ACCOUNT_GROUP"),
    (1147, Ambiguous, "DECLINE_WITHDRAW_FROM_MOBILE"),
    (1148, RetryLater, "MARKET_CLOSED"),
    (3001, Definitive, "PRICE_CHECK_FAILED"),
    (3002, TooLarge, "MARGIN_CHECK_FAILED"),
    (3003, Definitive, "PRICE_STALE"),
    (3004, Definitive, "ORDER_STALE"),
    (3006, Definitive, "INCREASE_WITH_SL_TP"),
    (3007, Halt, "INCREASE_DURING_INSOLVENCY"),
    (DELETED_BY_LIQUIDATION, Ambiguous, "DELETED_BY_LIQ"),
    (3010, TooLarge, "OI_CAP_EXCEEDED"),
    (3011, Definitive, "INVALID_LIMIT_PRICE"),
    (3015, Ambiguous, "DUPLICATE"),
    (ORDER_NOT_FOUND, Ambiguous, "ORDER_NOT_FOUND"),
    (3018, Definitive, "REDUCE_ONLY_INCREASES"),
    (3019, TooLarge, "REDUCE_ONLY_EXCEEDS_SIZE"),
    (3020, Halt, "ORDER_CHANGES_LEVERAGE"),
    (DECREASE_LEVERAGE_WITH_POSITION, Halt, "DECREASE_LEVERAGE_WITH_POSITION"),
    (3022, Definitive, "INVALID_TP_SL_PRICE"),
    (3023, Halt, "BAD_SYMBOL"),
    (3024, RetryLater, "MARKET_CLOSED"),
    (4001, Ambiguous, "LP_INSUFFICIENT_BALANCE"),
    (4002, Ambiguous, "LP_MARGIN_CHECK_FAILED"),
    (4003, Ambiguous, "LP_PRICE_STALE"),
    (4004, Ambiguous, "LP_ORDER_STALE"),
    (4007, Ambiguous, "LP_WITHDRAW_WITHOUT_SHARES"),
    (4010, Ambiguous, "LP_DUPLICATE"),
    (4012, Ambiguous, "LP_WITHDRAW_EXCEEDS_BALANCE"),
    (5002, Ambiguous, "TRANSFER_MARGIN_CHECK_FAILED"),
    (5009, Ambiguous, "TRANSFER_WITHDRAW_CAP_EXCEEDED"),
    (5010, Ambiguous, "TRANSFER_DUPLICATE"),
    (5013, Ambiguous, "TRANSFER_EXECUTION_FAILED"),
];

/// What the account group of `.env` is mended by.
const GROUP: &str = "put the account group that bot4 register-vest prints into .env; restart";

/// Every documented close code (sheet `vest`, 6). Those of listen keys need nobody: each private connection begins with
/// a key that is asked for anew.
pub const CLOSE_CODES: [CloseCode; 8] = [
    CloseCode { code: 1011, name: "INTERNAL_ERROR", mend: None },
    CloseCode { code: 1012, name: "SERVICE_RESTART", mend: None },
    CloseCode { code: 4000, name: "WRONG_VERSION", mend: Some("get a bot4 that speaks the venue's version") },
    CloseCode { code: 4001, name: "ACCOUNT_GROUP_NOT_FOUND", mend: Some(GROUP) },
    CloseCode { code: 4002, name: "ACCOUNT_GROUP_INVALID", mend: Some(GROUP) },
    CloseCode { code: 4003, name: "LISTEN_KEY_REQUIRED", mend: None },
    CloseCode { code: 4004, name: "LISTEN_KEY_NOT_FOUND", mend: None },
    CloseCode { code: 4005, name: "LISTEN_KEY_EXPIRED", mend: None },
];

/// A refusal as it stood in a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    /// The venue's code; `None` where the reply had none that can be read.
    pub code: Option<i64>,
    /// The venue's words, or the start of an unreadable body; at most 200 bytes, control characters escaped.
    pub message: String,
}

impl Refusal {
    /// What it means for an order that this reply answers.
    pub fn reject(&self) -> Reject {
        match (self.status, self.code) {
            (500.., _) => Reject { class: Ambiguous, code: Reason::cut(&self.code_text()) },
            (_, Some(code)) => reject(code),
            (401 | 403, None) => Reject { class: Halt, code: Reason::cut(&self.code_text()) },
            (422, None) => Reject { class: Definitive, code: Reason::cut(&self.code_text()) },
            (429, None) => reject(RATE_LIMITED),
            _ => Reject { class: Ambiguous, code: Reason::cut(&self.code_text()) },
        }
    }

    /// Code and name, or the HTTP status where there is no code.
    pub fn code_text(&self) -> String {
        match self.code {
            Some(code) => code_text(code).as_str().to_owned(),
            None => format!("HTTP {}", self.status),
        }
    }
}

/// What a code means for the order that met it. Unknown codes are ambiguous.
pub fn reject(code: i64) -> Reject {
    let class = CODES.iter().find(|row| row.0 == code).map_or(Ambiguous, |row| row.1);
    Reject { class, code: code_text(code) }
}

/// `3010 OI_CAP_EXCEEDED`; an unknown code stands alone.
fn code_text(code: i64) -> Reason {
    match CODES.iter().find(|row| row.0 == code) {
        Some((_, _, name)) => Reason::cut(&format!("{code} {name}")),
        None => Reason::cut(&code.to_string()),
    }
}

/// Reads a reply that is not a success, in any of the shapes of sheet `vest`, 6: plain envelope, envelope in `detail`,
/// list of missing parameters, or something that is not JSON at all.
pub fn read_refusal(status: u16, body: &[u8]) -> Refusal {
    let (code, message) = match json::from_slice::<Envelope>(body) {
        Ok(Envelope { code: Some(Code(code)), msg, .. }) => (Some(code), msg.unwrap_or_default()),
        Ok(Envelope { detail: Some(Detail::Error { code, msg }), .. }) => (code.map(|c| c.0), msg),
        Ok(Envelope { detail: Some(Detail::Missing(rows)), .. }) => (None, missing_text(&rows)),
        _ => (None, String::from_utf8_lossy(body).into_owned()),
    };
    Refusal { status, code, message: quoted(&message) }
}

#[derive(Deserialize)]
struct Envelope {
    code: Option<Code>,
    msg: Option<String>,
    detail: Option<Detail>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Detail {
    Error {
        code: Option<Code>,
        #[serde(default)]
        msg: String,
    },
    Missing(Vec<MissingField>),
}

#[derive(Deserialize)]
struct MissingField {
    #[serde(default)]
    loc: Vec<String>,
    #[serde(default)]
    msg: String,
}

fn missing_text(rows: &[MissingField]) -> String {
    rows.iter().map(|row| format!("{}: {}", row.loc.join("."), row.msg)).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class_of(status: u16, body: &str) -> RejectClass {
        read_refusal(status, body.as_bytes()).reject().class
    }

    #[test]
    fn every_code_stands_once() {
        for (index, row) in CODES.iter().enumerate() {
            assert!(CODES[..index].iter().all(|other| other.0 != row.0), "{} stands twice", row.0);
        }
    }

    /// As section 6 of the sheet lists them, range by range.
    const SHEET: &str = "\
        429 1002 1003 1022 1023 1024 1099 1111 1116 1121 1125 1130 1131 1132 1133 1143 1144 1145 1146 1147 \
        1148 3001 3002 3003 3004 3006 3007 3008 3010 3011 3015 3017 3018 3019 3020 3021 3022 3023 3024 4001 \
        4002 4003 4004 4007 4010 4012 5002 5009 5010 5013";

    #[test]
    fn every_code_of_the_sheet_stands_in_the_table() {
        let sheet: Vec<i64> = SHEET.split_whitespace().map(|code| code.parse().unwrap()).collect();
        for code in &sheet {
            assert!(CODES.iter().any(|row| row.0 == *code), "{code} is documented and not listed");
        }
        assert_eq!(sheet.len(), CODES.len(), "the table lists what the sheet does not");
        assert!((0..10_000).filter(|code| !sheet.contains(code)).all(|code| reject(code).class == Ambiguous));
    }

    #[test]
    fn all_shapes_are_read() {
        let missing =
            r#"{"detail":[{"type":"missing","loc":["query","time"],"msg":"Field required","input":null}]}"#;
        let refusal = read_refusal(422, missing.as_bytes());
        assert_eq!((refusal.code, refusal.message.as_str()), (None, "query.time: Field required"));
        assert_eq!(refusal.reject().class, Definitive);
        let plain = r#"{"code":3017,"msg":"Order already processed or cancelled"}"#;
        assert_eq!(read_refusal(200, plain.as_bytes()).reject(), reject(ORDER_NOT_FOUND));
        let wrapped = r#"{"detail":{"code":3010,"msg":"cap"}}"#;
        assert_eq!(read_refusal(400, wrapped.as_bytes()).reject().code.as_str(), "3010 OI_CAP_EXCEEDED");
        let text = r#"{"detail":{"code":"3010","msg":"cap"}}"#;
        assert_eq!(read_refusal(400, text.as_bytes()).code, Some(3010));
    }

    #[test]
    fn what_proves_nothing_is_ambiguous() {
        assert_eq!(class_of(502, "<html>Bad Gateway</html>"), Ambiguous);
        assert_eq!(class_of(503, r#"{"code":3001,"msg":"x"}"#), Ambiguous);
        assert_eq!(class_of(200, ""), Ambiguous);
        assert_eq!(class_of(200, "{}"), Ambiguous);
        assert_eq!(class_of(400, r#"{"code":9999,"msg":"new"}"#), Ambiguous);
        assert_eq!(class_of(400, r#"{"code":3015,"msg":"dup"}"#), Ambiguous);
    }

    #[test]
    fn the_clear_ones_are_clear() {
        assert_eq!(class_of(401, ""), Halt);
        assert_eq!(class_of(403, "forbidden"), Halt);
        assert_eq!(class_of(429, ""), RetryLater);
        assert_eq!(class_of(200, r#"{"code":429,"msg":"Rate limited"}"#), RetryLater);
        assert_eq!(class_of(400, r#"{"code":3001,"msg":"x"}"#), Definitive);
    }

    #[test]
    fn venue_words_cannot_forge_a_log_line() {
        let refusal = read_refusal(500, b"\n{\"level\":\"INFO\"}\x1b[31m");
        assert!(refusal.message.is_ascii() && !refusal.message.contains(['\n', '\x1b']));
        assert!(read_refusal(500, "é".repeat(9999).as_bytes()).message.len() <= 200);
    }
}
