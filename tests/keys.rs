//! What a stolen machine could be used for: types that hold a secret cannot be shown or copied by accident, and the
//! binary knows no way to move money out of an account, no switch that only tests need, and no environment variable
//! beyond those of systemd.

use std::fmt::{Debug, Display};
use std::fs;

use bot4::config::{Config, Credentials};
use bot4::sys::rest::{Request, Response};
use bot4::types::Secret;
use bot4::venue::vest::access::Keys;
use bot4::venue::{Secrets, paradex, vest};
use serde::Serialize;
use static_assertions::assert_not_impl_any;

assert_not_impl_any!(Secret: Debug, Display, Serialize, Clone);
assert_not_impl_any!(Secrets: Debug, Display, Serialize, Clone);
assert_not_impl_any!(Credentials: Debug, Display, Serialize, Clone);
assert_not_impl_any!(Config: Debug, Display, Serialize, Clone);
assert_not_impl_any!(Request: Debug, Display, Serialize, Clone);
assert_not_impl_any!(Response: Debug, Display, Serialize, Clone);
assert_not_impl_any!(Keys: Debug, Display, Serialize, Clone);
assert_not_impl_any!(vest::sign::Signer: Debug, Display, Serialize, Clone);
assert_not_impl_any!(paradex::sign::Signer: Debug, Display, Serialize, Clone);

/// The only variables of the environment that the engine looks at: where systemd put the keys, and its socket.
const VARIABLES: [&str; 2] = ["CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET"];

#[test]
fn the_environment_changes_nothing() {
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    let mut seen = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            if text.contains("#![cfg(test)]") {
                continue;
            }
            // Unit tests stand at the end of a file.
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            for line in code.lines().filter(|line| line.contains("env::var")) {
                let known = VARIABLES.iter().find(|name| line.contains(*name));
                seen.push(*known.unwrap_or_else(|| panic!("{}: {line}", path.display())));
            }
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, VARIABLES, "each is read in one place");
}

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
/// Switches of tests: what they would change must not be in the binary that trades. The last one is the function that
/// makes a deliberate mistake, as a symbol.
const SWITCHES: [&str; 4] = ["BOT4_TEST", "BOT4_FUZZ", "BOT4_KILLS", "7planted5plant"];

/// Calls that the binary must know: the search would find the others.
const TRADES: [&str; 2] = ["/orders/cancel", "order.create"];

#[test]
fn the_binary_knows_no_way_to_move_money_and_no_switch_of_the_tests() {
    let binary = fs::read(env!("CARGO_BIN_EXE_bot4")).unwrap();
    let binary = String::from_utf8_lossy(&binary);
    for call in TRADES {
        assert!(binary.contains(call), "{call}: the search is blind");
    }
    for switch in SWITCHES {
        assert!(!binary.contains(switch), "{switch}: a switch of the tests stands in the binary");
    }
    for call in MOVES_MONEY {
        assert!(!binary.contains(call), "{call} stands in the binary");
    }
}
