//! One engine per account, whatever host it runs on (SAFETY L10, §7): a lock per account in the database that the
//! engines share, held by the session of thread `db` and gone with it, however its engine ends. `topology` takes it
//! before a venue is spoken to, `db` at each new connect. A database that is away keeps nobody from trading: then there
//! is no lock, and orders of another engine that a venue shows still halt (`order/news.rs`).
//!
//! A server of Postgres only. Whoever replaces this by a lease needs [`Claim::take`] and [`Claim::keep`].

use sha3::{Digest, Sha3_256};

use super::sql::{Database, DbError, Row, Statement, Value};
use crate::types::Nanos;

/// How often a holder speaks, by which others know that it lives, ms. What it says is also how it notices that its lock
/// has gone.
const SPEAK_EVERY_MS: u64 = 2_000;
/// A holder that was heard so often since it was first met is alive: once may be the end of a dead one's last words.
const HEARD_ENOUGH: u32 = 2;
/// The server drops the session of a host that has vanished within half a minute (`SESSION`). Whoever holds on for
/// longer without a word is taken for alive.
const DROPPED_AFTER_MS: u64 = 40_000;
/// Characters of a holder's own words that are repeated.
const SHOWN_MAX: usize = 63;

/// Our name, and how soon the server drops us when our host is gone: silence for 10 s, then three questions 5 s apart;
/// 30 s for what it has sent itself.
const SESSION: &str = "SELECT set_config('application_name', $1, false),
    set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),
    set_config('tcp_keepalives_count', '3', false), set_config('tcp_user_timeout', '30000', false)";
const TRY: &str = "SELECT CAST(CAST(pg_try_advisory_lock($1) AS INT) AS BIGINT)";
/// Who holds a lock: is it this session, its name, its address, when it last spoke, its server process.
const HOLDER: &str =
    "SELECT CAST(CAST(held.pid = pg_backend_pid() AS INT) AS BIGINT), COALESCE(session.application_name, ''),
        COALESCE(host(session.client_addr), ''), COALESCE(CAST(session.state_change AS TEXT), ''),
        CAST(held.pid AS BIGINT)
    FROM pg_locks AS held LEFT JOIN pg_stat_activity AS session ON session.pid = held.pid
    WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 1
        AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND ((CAST(held.classid AS BIGINT) << 32) | CAST(held.objid AS BIGINT)) = $1";

/// The accounts that an engine trades, and what it knows of their locks.
pub struct Claim {
    /// One per account, so that engines that share a single one meet.
    keys: Vec<i64>,
    name: String,
    speak_at: Nanos,
    rival: Option<Rival>,
}

/// Another holder, as it was met.
struct Rival {
    since: Nanos,
    spoke: String,
    heard: u32,
}

impl Claim {
    /// `accounts`: venue, environment and the account's address there. `engine`: process and host, shown to others.
    pub fn new<'a>(accounts: impl IntoIterator<Item = [&'a str; 3]>, engine: &str, started: Nanos) -> Self {
        let keys = accounts.into_iter().map(key).collect();
        // The start tells two of one host and process id apart: containers may share both.
        let engine: String = engine.chars().take(40).collect();
        let name = format!("bot4 {} {:x}", shown(&engine), started.ms());
        Self { keys, name, speak_at: Nanos::NEVER, rival: None }
    }

    /// Takes every lock, or says who has one. It does not wait; ask again until `sure`.
    ///
    /// # Errors
    /// [`DbError::Claimed`] where another holds one: `sure` once that one has been heard to live, or has held on for
    /// longer than the server keeps a dead one. [`DbError::Lingers`] where that is a session of our own that the server
    /// still takes for open.
    pub fn take(&mut self, database: &mut dyn Database, now: Nanos) -> Result<(), DbError> {
        database.query(&Statement { sql: SESSION, params: vec![Value::Text(self.name.clone())] })?;
        for key in self.keys.clone() {
            let taken = database.query(&statement(TRY, key))?;
            if first(&taken).is_none_or(|value| value.int() == 0) {
                return Err(self.refused(&database.query(&statement(HOLDER, key))?, now));
            }
        }
        self.rival = None;
        self.speak_at = now.plus_ms(SPEAK_EVERY_MS);
        Ok(())
    }

    /// To be called often while the session is at rest: speaks when that is due, and looks whether all is still held.
    ///
    /// # Errors
    /// The session is dead, or no longer the one that took the locks: a pooler has changed it. Take them anew.
    pub fn keep(&mut self, database: &mut dyn Database, now: Nanos) -> Result<(), DbError> {
        if now < self.speak_at {
            return Ok(());
        }
        self.speak_at = now.plus_ms(SPEAK_EVERY_MS);
        for key in &self.keys {
            let held = database.query(&statement(HOLDER, *key))?;
            if first(&held).is_none_or(|ours| ours.int() == 0) {
                return Err(DbError::ClaimLost);
            }
        }
        Ok(())
    }

    fn refused(&mut self, holder: &[Row], now: Nanos) -> DbError {
        let text =
            |column: usize| holder.first().and_then(|row| row.get(column)).map_or("", Value::text).to_owned();
        let (name, address, spoke) = (text(1), text(2), text(3));
        if name == self.name {
            return DbError::Lingers;
        }
        let process = holder.first().and_then(|row| row.get(4)).map_or(0, Value::int);
        let rival = self.rival.get_or_insert_with(|| Rival { since: now, spoke: spoke.clone(), heard: 0 });
        if rival.spoke != spoke {
            rival.heard += 1;
            rival.spoke = spoke;
        }
        let sure = rival.heard >= HEARD_ENOUGH || now.ms_since(rival.since) >= DROPPED_AFTER_MS;
        let holder = match name.as_str() {
            "" => format!("unnamed, server process {process}"),
            name => format!("{}, from {}, server process {process}", shown(name), shown(&address)),
        };
        DbError::Claimed { holder, sure }
    }
}

/// An address is one however it is spelt.
fn key([venue, env, account]: [&str; 3]) -> i64 {
    let account = account.trim().to_ascii_lowercase();
    let account = account.strip_prefix("0x").unwrap_or(&account).trim_start_matches('0');
    let digest = Sha3_256::digest(format!("bot4 account\n{venue}\n{env}\n{account}"));
    let bytes = std::array::from_fn(|at| digest[at]);
    i64::from_be_bytes(bytes)
}

fn statement(sql: &'static str, key: i64) -> Statement {
    Statement { sql, params: vec![Value::Int(key)] }
}

fn first(rows: &[Row]) -> Option<&Value> {
    rows.first().and_then(|row| row.first())
}

/// What a stranger calls itself, fit for a log.
fn shown(text: &str) -> String {
    let plain = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    text.chars().take(SHOWN_MAX).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server where the lock is held by another, who last spoke at `spoke`; zero = by nobody.
    struct Held {
        by: String,
        spoke: u64,
    }

    impl Database for Held {
        fn transact(&mut self, _: &[Statement]) -> Result<(), DbError> {
            Ok(())
        }
        fn query(&mut self, statement: &Statement) -> Result<Vec<Row>, DbError> {
            let text = |text: &str| Value::Text(text.to_owned());
            Ok(match statement.sql {
                TRY => vec![vec![Value::Int(i64::from(self.spoke == 0))]],
                HOLDER => {
                    let spoke = self.spoke.to_string();
                    vec![vec![Value::Int(0), text(&self.by), text("10.0.0.9"), text(&spoke), Value::Int(77)]]
                }
                _ => Vec::new(),
            })
        }
        fn migrate(&mut self) -> Result<(), DbError> {
            Ok(())
        }
    }

    fn claim() -> Claim {
        Claim::new([["vest", "prod", "0xAb"]], "12@here", Nanos::from_ms(0x123))
    }

    /// Whether another holds the lock for sure.
    fn sure(claim: &mut Claim, server: &mut Held, ms: u64) -> bool {
        match claim.take(server, Nanos::from_ms(ms)) {
            Err(DbError::Claimed { sure, .. }) => sure,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_account_is_one_however_its_address_is_spelt_and_another_is_not() {
        let same = ["0xAb12", "0x00ab12", "AB12", " 0XaB12\n"].map(|account| key(["vest", "prod", account]));
        assert!(same.iter().all(|key| *key == same[0]));
        for other in [["vest", "dev", "0xab12"], ["paradex", "prod", "0xab12"], ["vest", "prod", "0xab13"]] {
            assert_ne!(key(other), same[0], "{other:?}");
        }
    }

    #[test]
    fn a_holder_that_is_heard_twice_lives_and_a_silent_one_is_waited_for() {
        let (mut claim, mut server) = (claim(), Held { by: "bot4 9@there 1".to_owned(), spoke: 1 });
        assert!(!sure(&mut claim, &mut server, 1_000));
        server.spoke = 2;
        assert!(!sure(&mut claim, &mut server, 2_000), "a dead one's last words");
        assert!(!sure(&mut claim, &mut server, 3_000));
        server.spoke = 3;
        assert!(sure(&mut claim, &mut server, 4_000));
        server.spoke = 0;
        claim.take(&mut server, Nanos::from_ms(5_000)).unwrap();
        server.spoke = 4;
        assert!(!sure(&mut claim, &mut server, 6_000), "a new one is met anew");
        assert!(!sure(&mut claim, &mut server, 45_999));
        assert!(sure(&mut claim, &mut server, 46_000));
    }

    #[test]
    fn a_session_of_our_own_is_no_rival() {
        let (mut claim, mut server) = (claim(), Held { by: "bot4 12@here 123".to_owned(), spoke: 1 });
        for spoke in 1..5 {
            server.spoke = spoke;
            let error = claim.take(&mut server, Nanos::from_ms(spoke * 60_000)).unwrap_err();
            assert!(matches!(error, DbError::Lingers), "{error}");
        }
    }

    #[test]
    fn what_a_holder_calls_itself_cannot_write_into_a_log() {
        let by = format!("\u{1b}[31m\n{{\u{202e}{}", "x".repeat(1 << 20));
        let error = claim().take(&mut Held { by, spoke: 1 }, Nanos(1)).unwrap_err().to_string();
        assert!(error.contains("?[31m?{?xxx") && error.len() < 400, "{error}");
        assert!(error.contains("10.0.0.9, server process 77"), "{error}");
    }

    #[test]
    fn a_session_without_the_lock_is_noticed() {
        let (mut claim, mut server) = (claim(), Held { by: "x".to_owned(), spoke: 0 });
        claim.take(&mut server, Nanos::from_ms(10)).unwrap();
        claim.keep(&mut server, Nanos::from_ms(2_009)).unwrap();
        let error = claim.keep(&mut server, Nanos::from_ms(2_010)).unwrap_err();
        assert!(matches!(error, DbError::ClaimLost), "{error}");
    }
}
