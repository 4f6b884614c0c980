//! What a stolen machine could be used for: types that hold a secret cannot be shown or copied by accident, and the
//! binary knows no way to move money out of an account.

use std::fmt::{Debug, Display};
use std::fs;

use bot4::config::Credentials;
use bot4::types::Secret;
use bot4::venue::vest::access::Keys;
use bot4::venue::{Secrets, paradex, vest};
use serde::Serialize;
use static_assertions::assert_not_impl_any;

assert_not_impl_any!(Secret: Debug, Display, Serialize, Clone);
assert_not_impl_any!(Secrets: Debug, Display, Serialize, Clone);
assert_not_impl_any!(Credentials: Debug, Display, Serialize, Clone);
assert_not_impl_any!(Keys: Debug, Display, Serialize, Clone);
assert_not_impl_any!(vest::sign::Signer: Debug, Display, Serialize, Clone);
assert_not_impl_any!(paradex::sign::Signer: Debug, Display, Serialize, Clone);

/// Paths and calls of the two venues that move money or hand out rights. Sheets: Vest "Transfers" and "LP", Paradex
/// "Transfers", "Vaults" and "Subkeys".
const MOVES_MONEY: [&str; 8] = [
    "/transfer",
    "/withdraw",
    "POST /lp",
    "/vaults",
    "/account/subkeys",
    "/account/transfer",
    "transfer_on_l2",
    "requestWithdrawal",
];
/// Calls that the binary must know: the search would find the others.
const TRADES: [&str; 2] = ["/orders/cancel", "order.create"];

#[test]
fn the_binary_knows_no_way_to_move_money() {
    let binary = fs::read(env!("CARGO_BIN_EXE_bot4")).unwrap();
    let binary = String::from_utf8_lossy(&binary);
    for call in TRADES {
        assert!(binary.contains(call), "{call}: the search is blind");
    }
    for call in MOVES_MONEY {
        assert!(!binary.contains(call), "{call} stands in the binary");
    }
}
