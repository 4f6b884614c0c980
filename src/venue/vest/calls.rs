//! The private calls, one function each: path, body, and what reply they take (sheet `vest`, 3.3, 5.2, 5.3). Used by
//! `desk`. `now` goes with every query that the venue wants a time in.

use serde::Deserialize;

use super::json;
use super::order_row::OrderRow;
use super::rest::{self, Rest};
use super::sign::{self, address_text};
use super::statements::{Account, Leverage};
use crate::sys::rest::{Http, Method};
use crate::types::{Nanos, Secret};
use crate::venue::{DeskError, WireError};

/// Rows of one query; the venue's own maximum.
pub(super) const ROWS: u32 = 1000;

impl Rest {
    /// Runs `use_account` on the account's statement, once it is known to be ours: a wrong group routes elsewhere.
    pub fn account<T>(
        &self,
        http: &mut dyn Http,
        now: Nanos,
        use_account: impl FnOnce(&Account<'_>) -> Result<T, WireError>,
    ) -> Result<T, DeskError> {
        const WHAT: &str = "GET /account";
        let path = format!("/account?time={}", now.ms());
        let response = self.private(http, WHAT, Method::Get, &path, None)?;
        let account: Account = rest::read(WHAT, &response, "a statement of the account")?;
        let primary = self.keys(WHAT)?.primary;
        if sign::parse_address(account.address) != Some(primary) {
            let want = address_text(&primary);
            let message = format!("expected the account of {want}: check the account group and the keys");
            return Err(rest::own_refusal(WHAT, "WRONG ACCOUNT", message));
        }
        use_account(&account).map_err(|error| rest::unreadable(WHAT, error))
    }

    /// Orders of a query; `filter` ends in `&` where it is not empty.
    pub fn orders<T>(
        &self,
        http: &mut dyn Http,
        now: Nanos,
        filter: &str,
        use_rows: impl FnOnce(&[OrderRow<'_>]) -> Result<T, WireError>,
    ) -> Result<T, DeskError> {
        const WHAT: &str = "GET /orders";
        let path = format!("/orders?{filter}limit={ROWS}&time={}", now.ms());
        let response = self.private(http, WHAT, Method::Get, &path, None)?;
        let rows: Vec<OrderRow> = rest::read(WHAT, &response, "a list of orders")?;
        use_rows(&rows).map_err(|error| rest::unreadable(WHAT, error))
    }

    /// `POST` makes a listen key or gives the one in force a new hour; `PUT` does only the latter.
    pub fn listen_key(&self, http: &mut dyn Http, method: Method) -> Result<Secret, DeskError> {
        const WHAT: &str = "/account/listenKey";
        let response = self.private(http, WHAT, method, WHAT, None)?;
        let reply: ListenKey = rest::read_secret(WHAT, &response, "a listen key")?;
        let key = reply.listen_key;
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let withheld = WireError::new("listenKey", b"(withheld)", "letters and digits");
            return Err(rest::unreadable(WHAT, withheld));
        }
        Ok(Secret::new(key.to_owned()))
    }

    /// Sends a signed cancel. `body` is that of [`super::body::BodyWriter::cancel`] with the same time.
    pub fn cancel(&self, http: &mut dyn Http, signed_ms: u64, body: String) -> Result<(), DeskError> {
        const WHAT: &str = "POST /orders/cancel";
        let path = format!("/orders/cancel?time={signed_ms}");
        let response = self.private(http, WHAT, Method::Post, &path, Some(body))?;
        let reply: Cancelled = rest::read(WHAT, &response, "the id of the order")?;
        json::order_id(reply.id).map(drop).map_err(|error| rest::unreadable(WHAT, error))
    }

    pub fn set_leverage(
        &self,
        http: &mut dyn Http,
        now: Nanos,
        symbol: &str,
        leverage: u32,
    ) -> Result<(), DeskError> {
        const WHAT: &str = "POST /account/leverage";
        let body = format!(r#"{{"time":{},"symbol":"{symbol}","value":{leverage}}}"#, now.ms());
        let response = self.private(http, WHAT, Method::Post, "/account/leverage", Some(body))?;
        let reply: Leverage = rest::read(WHAT, &response, "the leverage that was set")?;
        if reply.value != leverage {
            let message = format!("{symbol}: asked for {leverage}, the venue set {}", reply.value);
            return Err(rest::own_refusal(WHAT, "LEVERAGE", message));
        }
        Ok(())
    }

    pub fn has_leverage(
        &self,
        http: &mut dyn Http,
        now: Nanos,
        symbol: &str,
        leverage: u32,
    ) -> Result<bool, DeskError> {
        self.account(http, now, |account| {
            Ok(account.leverages.iter().any(|row| row.symbol == symbol && row.value == leverage))
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListenKey<'a> {
    listen_key: &'a str,
}

#[derive(Deserialize)]
struct Cancelled<'a> {
    id: &'a str,
}
