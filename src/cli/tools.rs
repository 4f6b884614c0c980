//! What the verbs need of the outside world, so that a test can bring its own: a clock, an HTTP client, the store and
//! the venues' registrations.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::store::{DbError, Target, read};
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::rest::{Http, HttpError, UreqHttp};
use crate::sys::socket::Dialer;
use crate::sys::tls::Tls;
use crate::types::Secret;
use crate::venue::{REGISTRATIONS, Registration};

/// Reads rows of the database at a URL, with an extra root certificate; each row is an object.
pub(super) type ReadRows = fn(url: &Secret, ca_file: Option<&Path>) -> Result<Vec<Value>, String>;
/// Does something to the database and says what it found, in one line.
pub(super) type Visit = fn(url: &Secret, ca_file: Option<&Path>) -> Result<String, String>;

/// Makes a client that trusts the built-in roots and this certificate.
pub(super) type MakeHttp = fn(ca_file: Option<&Path>) -> Result<Box<dyn Http>, HttpError>;

/// The store as the verbs see it. Errors never hold the URL, which may hold a password.
#[derive(Clone, Copy)]
pub struct StoreTools {
    pub positions: ReadRows,
    pub pnl: ReadRows,
    pub migrate: Visit,
    pub check_version: Visit,
}

/// Everything that a verb may use.
pub struct Tools {
    pub clock: Box<dyn Clock>,
    pub http: MakeHttp,
    /// By `VenueId`.
    pub registrations: Vec<Option<Registration>>,
    pub store: StoreTools,
}

impl Tools {
    /// What the binary uses.
    pub fn production() -> Self {
        Self {
            clock: Box::new(SystemClock::start()),
            http: |ca_file| {
                let tls = Tls::new(ca_file).map_err(|error| HttpError(error.to_string()))?;
                Ok(Box::new(UreqHttp::new(Dialer::new(tls))))
            },
            registrations: REGISTRATIONS.to_vec(),
            store: StoreTools {
                positions: |url, ca_file| rows(&read::positions(&target(url, ca_file)?, POSITIONS_SHOWN)),
                pnl: |url, ca_file| rows(&read::pnl(&target(url, ca_file)?)),
                migrate: |url, ca_file| {
                    said(read::migrate(&target(url, ca_file)?), "the schema is up to date")
                },
                check_version: |url, ca_file| {
                    said(
                        read::check_version(&target(url, ca_file)?),
                        "answers, and its schema is this version's",
                    )
                },
            },
        }
    }
}

/// Round trips that `positions` shows, newest first.
const POSITIONS_SHOWN: u32 = 1_000;

fn target(url: &Secret, ca_file: Option<&Path>) -> Result<Target, String> {
    Target::parse(url, ca_file).map_err(|error| error.to_string())
}

fn rows<T: Serialize>(read: &Result<Vec<T>, DbError>) -> Result<Vec<Value>, String> {
    let rows = read.as_ref().map_err(ToString::to_string)?;
    rows.iter().map(|row| serde_json::to_value(row).map_err(|error| error.to_string())).collect()
}

fn said(done: Result<(), DbError>, text: &str) -> Result<String, String> {
    done.map(|()| text.to_owned()).map_err(|error| error.to_string())
}

#[cfg(test)]
pub(crate) mod fakes {
    //! Tools for tests: a clock that stands, venues that cannot be reached, a store with one row.

    use super::*;
    use crate::sys::clock::ManualClock;
    use crate::sys::rest::{Request, Response};
    use crate::types::Nanos;

    /// A network that never answers.
    pub(crate) struct Deaf;

    impl Http for Deaf {
        fn call(&mut self, _: Request) -> Result<Response, HttpError> {
            Err(HttpError("no network here".to_owned()))
        }
    }

    pub(crate) const NOW_MS: u64 = 1_800_000_000_000;

    pub(crate) fn tools() -> Tools {
        Tools {
            clock: Box::new(ManualClock::at(Nanos::from_ms(NOW_MS))),
            http: |_| Ok(Box::new(Deaf)),
            registrations: vec![
                Some(Registration {
                    verb: "register-one",
                    expiry_key: "ONE_EXPIRY",
                    register: |_, request| {
                        let primary = request.primary_key.expose();
                        let (prefix, expiry_ms) = (request.env_prefix, request.expiry_ms);
                        Ok(Secret::new(format!("{prefix}_EXPIRY={expiry_ms} of {primary}\n")))
                    },
                }),
                None,
            ],
            store: StoreTools {
                positions: |_, _| Ok(vec![serde_json::json!({ "pair": "BTC", "pnl_usd": 1.5 })]),
                pnl: |_, _| Err("database is down".to_owned()),
                migrate: |_, _| Ok("schema 1, nothing to do".to_owned()),
                check_version: |_, _| Ok("schema 1".to_owned()),
            },
        }
    }
}
