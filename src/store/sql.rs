//! What `store` needs of a database, whichever it is: statements in one transaction, and a query. `sqlite`
//! and `postgres` implement it; SQL is written once, with `$1` for parameters.

use std::path::PathBuf;

use thiserror::Error;

use super::postgres::{Postgres, Server};
use super::sqlite::Sqlite;
use crate::types::Secret;

/// A value in a row or a parameter. Money, rates and times are integers in the engine's own units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Int(i64),
    Text(String),
}

impl Value {
    /// The integer, or zero for a text (the queries fix the types of their columns).
    pub const fn int(&self) -> i64 {
        match self {
            Self::Int(value) => *value,
            Self::Text(_) => 0,
        }
    }

    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Int(_) => "",
        }
    }
}

/// One parameterised statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub sql: &'static str,
    pub params: Vec<Value>,
}

pub type Row = Vec<Value>;

/// One session with a database.
pub trait Database: Send {
    /// Runs all statements in one transaction. After an error the session must be dropped: whether it
    /// committed is not known.
    fn transact(&mut self, statements: &[Statement]) -> Result<(), DbError>;
    fn query(&mut self, statement: &Statement) -> Result<Vec<Row>, DbError>;
    /// Creates or completes the schema.
    fn migrate(&mut self) -> Result<(), DbError>;
}

/// Why the database cannot be used. Never holds the URL, which may hold a password.
#[derive(Debug, Error)]
pub enum DbError {
    #[error("store.url: got {got}, expected {expected}")]
    Url { got: String, expected: &'static str },
    #[error("store.ca_file {}: {why}", path.display())]
    CaFile { path: PathBuf, why: String },
    #[error("cannot reach the database: {0}")]
    Connect(String),
    #[error("the database refused: {0}")]
    Query(String),
    #[error(
        "two sessions share one server process: this is a pooler in transaction mode, use the session-mode \
         or direct address (port 5432)"
    )]
    TransactionPooler,
    #[error("database schema: got version {got}, expected {expected}; run `bot4 migrate`")]
    Version { got: i64, expected: i64 },
    /// `sure`: that one lives; else it may be a dead one's session that the server has not dropped yet.
    #[error(
        "another instance ({holder}) trades these accounts, says their lock in the database: stop one of the \
         two; bot4 flatten needs no lock"
    )]
    Claimed { holder: String, sure: bool },
    #[error("a session of our own that was cut still holds the accounts' lock until the server drops it")]
    Lingers,
    #[error("the accounts' lock is gone: is there a pooler in between that changes server processes?")]
    ClaimLost,
    #[error(transparent)]
    Journal(#[from] crate::journal::JournalError),
}

/// Where the database is: `store.url` and `store.ca_file`, checked.
pub enum Target {
    Sqlite(PathBuf),
    Postgres(Box<Server>),
}

impl Target {
    /// Reads `sqlite:PATH` or `postgres://…`. The CA file is read now.
    pub fn parse(url: &Secret, ca_file: Option<&std::path::Path>) -> Result<Self, DbError> {
        if let Some(path) = url.expose().strip_prefix("sqlite:") {
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        Server::parse(url, ca_file).map(|server| Self::Postgres(Box::new(server)))
    }

    /// Engines on other hosts may use it too.
    pub const fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// Opens a session, with the checks that each database needs.
    pub fn open(&self) -> Result<Box<dyn Database>, DbError> {
        Ok(match self {
            Self::Sqlite(path) => Box::new(Sqlite::open(path)?),
            Self::Postgres(server) => Box::new(Postgres::connect(server)?),
        })
    }
}
