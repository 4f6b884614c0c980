//! What every documented refusal of this venue means for an order (sheet 3.2, 4.3, 5.1; SAFETY O10): one table, read
//! by `rpc`, `events` and `client`; pure. A code that no sheet lists is ambiguous: it proves nothing, and the order is
//! resolved by query.

use crate::types::RejectClass::{self, Ambiguous, Definitive, Halt, RetryLater, TooLarge};
use crate::types::order::Reason;
use crate::types::{Reject, quoted};
use crate::venue::end::CloseCode;

/// Codes of REST bodies and of business refusals inside socket errors.
const CODES: [(&str, RejectClass); 57] = [
    // The order is wrong as it stands; another may do.
    ("VALIDATION_ERROR", Definitive),
    ("BINDING_ERROR", Definitive),
    ("INVALID_REQUEST_PARAMETER", Definitive),
    ("INVALID_ORDER_SIZE", TooLarge),
    ("INVALID_PRICE_PRECISION", Definitive),
    ("INVALID_SYMBOL", Definitive),
    ("INVALID_TIMESTAMP", Definitive),
    ("INVALID_SIGNATURE_EXPIRATION", Definitive),
    ("BATCH_SIZE_OUT_OF_RANGE", Definitive),
    ("NOT_ENOUGH_MARGIN", TooLarge),
    ("ORDER_EXCEEDS_POSITION_LIMIT", TooLarge),
    ("POST_ONLY_WOULD_CROSS", Definitive),
    ("RPI_ACCOUNT_NOT_WHITELISTED", Definitive),
    ("MMP_NOT_ENABLED", Definitive),
    ("MMP_TRIGGERED", Definitive),
    ("MMP_FROZEN", Definitive),
    ("MMP_DISABLED", Definitive),
    ("MMP_GREEKS_UNAVAILABLE", Definitive),
    ("MMP_NOT_CONFIGURED", Definitive),
    // The market, the venue or our token is not ready; the order was not taken.
    ("MARKET_NOT_OPEN", RetryLater),
    ("MARKET_MARGIN_RESTRICTED", RetryLater),
    ("SYSTEM_STATUS_POST_ONLY", RetryLater),
    ("SYSTEM_STATUS_CANCEL_ONLY", RetryLater),
    ("ORDER_IS_NOT_OPEN_YET", RetryLater),
    ("INVALID_TOKEN", RetryLater),
    // Keys, permissions, account or configuration: a person is needed.
    ("UNAUTHORIZED_ERROR", Halt),
    ("INVALID_TOKEN_SCOPE", Halt),
    ("INVALID_SUBKEY", Halt),
    ("INVALID_STARKNET_ADDRESS", Halt),
    ("INVALID_STARKNET_SIGNATURE", Halt),
    ("STARKNET_SIGNATURE_VERIFICATION_FAILED", Halt),
    ("INVALID_ORDER_SIGNATURE", Halt),
    ("BAD_STARKNET_REQUEST", Halt),
    ("PUBLIC_KEY_INVALID", Halt),
    ("NOT_ONBOARDED", Halt),
    ("ACCOUNT_NOT_FOUND", Halt),
    ("MARKET_NOT_FOUND", Halt),
    ("NO_ACCESS_TO_MARKET", Halt),
    ("ISOLATED_MARKET_ACCOUNT_MISMATCH", Halt),
    ("GEO_IP_BLOCK", Halt),
    ("IP_NOT_ALLOWED", Halt),
    ("REQUEST_NOT_ALLOWED", Halt),
    // The first order with this id got there, or nobody knows.
    ("DUPLICATED_CLIENT_ID", Ambiguous),
    ("INTERNAL_ERROR", Ambiguous),
    ("SERVICE_UNAVAILABLE", Ambiguous),
    ("NOT_FOUND", Ambiguous),
    ("ORDER_ID_NOT_FOUND", Ambiguous),
    ("CLIENT_ORDER_ID_NOT_FOUND", Ambiguous),
    ("ORDER_IS_CLOSED", Ambiguous),
    ("ORDER_IS_NOT_OPEN", Ambiguous),
    // Socket codes.
    ("-32700", Definitive),
    ("-32601", Definitive),
    ("40110", RetryLater),
    ("40111", RetryLater),
    ("40112", Halt),
    ("40300", RetryLater),
    ("42901", RetryLater),
];

/// Socket codes that wrap a refusal whose own code stands in the message or the data. Where none stands there, an
/// invalid request (-32600, -32602) was never executed, and of the others nothing is known.
const WRAPPERS: [(i64, RejectClass); 4] =
    [(-32600, Definitive), (-32602, Definitive), (-32603, Ambiguous), (100, Ambiguous)];

/// Cancel reasons that are refusals of the whole order. Every other reason, listed or not, closes an order without
/// judging it: nothing is filled beyond the fills seen.
const REFUSING_REASONS: [&str; 8] = [
    "NOT_ENOUGH_MARGIN",
    "ORDER_EXCEEDS_POSITION_LIMIT",
    "POST_ONLY_WOULD_CROSS",
    "MMP_TRIGGERED",
    "MMP_FROZEN",
    "MMP_DISABLED",
    "MMP_GREEKS_UNAVAILABLE",
    "MMP_NOT_CONFIGURED",
];

/// Every close code that is known of this venue (sheet 5.2).
pub const CLOSE_CODES: [CloseCode; 1] = [CloseCode { code: 4031, name: "NO_SUBSCRIPTION", mend: None }];

/// What a person has to do where a step of a log-in was refused; `None` = another connection, with a fresh token, will
/// do.
pub fn mend(refusal: &Reject) -> Option<&'static str> {
    match (refusal.class, refusal.code.as_str()) {
        (Halt, "40112" | "GEO_IP_BLOCK" | "IP_NOT_ALLOWED") => {
            Some("run bot4 where the venue takes it: it refuses this country or address")
        }
        (Halt, _) => Some("compare the keys in .env with the venue's own page; bot4 check; restart"),
        _ => None,
    }
}

/// The refusal that a code of a REST body stands for.
pub fn rest_refusal(code: &str) -> Reject {
    Reject { class: class(code).unwrap_or(Ambiguous), code: Reason::cut(&quoted(code)) }
}

/// The refusal that a socket error stands for; `texts` are its message and its data.
pub fn socket_refusal(code: i64, texts: [&str; 2]) -> Reject {
    if let Some(&(_, bare)) = WRAPPERS.iter().find(|&&(wrapper, _)| wrapper == code) {
        let mut inner = texts.iter().flat_map(|text| codes_in(text));
        if let Some(known) = inner.clone().find(|inner| class(inner).is_some()) {
            return rest_refusal(known);
        }
        if let Some(unknown) = inner.next() {
            return rest_refusal(unknown);
        }
        let [message, data] = texts;
        let said = format!("{code} {} {}", quoted(message), quoted(data));
        return Reject { class: bare, code: Reason::cut(&said) };
    }
    rest_refusal(&code.to_string())
}

/// The refusal behind a cancel reason; `None` when the order was simply closed.
pub fn cancel_refusal(reason: &str) -> Option<Reject> {
    REFUSING_REASONS.contains(&reason).then(|| rest_refusal(reason))
}

/// Codes that say "this order is not open": what a cancel wanted (SAFETY O19), and what a look-up of open orders says
/// of a closed one.
pub fn says_not_open(code: &str) -> bool {
    matches!(
        code,
        "NOT_FOUND"
            | "ORDER_ID_NOT_FOUND"
            | "CLIENT_ORDER_ID_NOT_FOUND"
            | "ORDER_IS_CLOSED"
            | "ORDER_IS_NOT_OPEN"
    )
}

fn class(code: &str) -> Option<RejectClass> {
    CODES.iter().find(|&&(known, _)| known == code).map(|&(_, class)| class)
}

/// Words that look like a code: capitals and digits with an underscore.
fn codes_in(text: &str) -> impl Iterator<Item = &str> + Clone {
    text.split(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_')
        .filter(|word| word.contains('_') && word.bytes().any(|b| b.is_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_stands_twice() {
        for (nth, (code, _)) in CODES.iter().enumerate() {
            assert!(CODES[nth + 1..].iter().all(|(other, _)| other != code), "{code}");
        }
    }

    #[test]
    fn every_code_of_the_sheet_is_listed() {
        let documented = "VALIDATION_ERROR BINDING_ERROR INTERNAL_ERROR NOT_FOUND SERVICE_UNAVAILABLE \
            INVALID_REQUEST_PARAMETER ORDER_ID_NOT_FOUND CLIENT_ORDER_ID_NOT_FOUND ORDER_IS_CLOSED \
            ORDER_IS_NOT_OPEN INVALID_ORDER_SIZE DUPLICATED_CLIENT_ID INVALID_SYMBOL INVALID_TOKEN \
            INVALID_STARKNET_ADDRESS INVALID_STARKNET_SIGNATURE STARKNET_SIGNATURE_VERIFICATION_FAILED \
            NOT_ONBOARDED INVALID_TIMESTAMP INVALID_ORDER_SIGNATURE PUBLIC_KEY_INVALID UNAUTHORIZED_ERROR \
            ACCOUNT_NOT_FOUND MARKET_NOT_FOUND MARKET_NOT_OPEN GEO_IP_BLOCK REQUEST_NOT_ALLOWED \
            BATCH_SIZE_OUT_OF_RANGE ISOLATED_MARKET_ACCOUNT_MISMATCH NO_ACCESS_TO_MARKET \
            RPI_ACCOUNT_NOT_WHITELISTED SYSTEM_STATUS_POST_ONLY SYSTEM_STATUS_CANCEL_ONLY \
            MARKET_MARGIN_RESTRICTED INVALID_SUBKEY INVALID_TOKEN_SCOPE IP_NOT_ALLOWED \
            INVALID_PRICE_PRECISION INVALID_SIGNATURE_EXPIRATION ORDER_IS_NOT_OPEN_YET BAD_STARKNET_REQUEST";
        for code in documented.split_whitespace() {
            assert!(class(code).is_some(), "{code}");
        }
        for code in [-32700, -32600, -32601, -32602, -32603, 100, 40110, 40111, 40112, 40300, 42901] {
            let bare = WRAPPERS.iter().any(|&(wrapper, _)| wrapper == code);
            assert!(bare || class(&code.to_string()).is_some(), "{code}");
        }
    }

    #[test]
    fn wrapped_refusals_show_their_own_code() {
        let margin = socket_refusal(-32600, ["invalid request", "{\"error\":\"NOT_ENOUGH_MARGIN\"}"]);
        assert_eq!((margin.class, margin.code.as_str()), (TooLarge, "NOT_ENOUGH_MARGIN"));
        let state = socket_refusal(100, ["rejected: SYSTEM_STATUS_CANCEL_ONLY", ""]);
        assert_eq!(state.class, RetryLater);
        let unknown = socket_refusal(-32600, ["SOME_NEW_RULE", ""]);
        assert_eq!((unknown.class, unknown.code.as_str()), (Ambiguous, "SOME_NEW_RULE"));
    }

    #[test]
    fn bare_socket_codes_have_their_class() {
        assert_eq!(socket_refusal(-32602, ["invalid params", "size"]).class, Definitive);
        assert_eq!(socket_refusal(-32603, ["internal error", ""]).class, Ambiguous);
        assert_eq!(socket_refusal(42901, ["rate limit", ""]).class, RetryLater);
        assert_eq!(socket_refusal(40112, ["geo", ""]).class, Halt);
        assert_eq!(socket_refusal(-1, ["", ""]).class, Ambiguous);
    }

    #[test]
    fn cancel_reasons_that_do_not_judge() {
        for reason in ["", "USER_CANCELED", "EXPIRED", "NEVER_HEARD_OF"] {
            assert_eq!(cancel_refusal(reason), None, "{reason}");
        }
        assert!(REFUSING_REASONS.iter().all(|reason| class(reason).is_some()));
    }
}
