//! The embedded database, the default. Migrates itself; several processes may read while the engine writes.

use std::path::Path;
use std::time::Duration;

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, params_from_iter};

use super::schema;
use super::sql::{Database, DbError, Row, Statement, Value};

/// How long a writer waits for another process.
const BUSY: Duration = Duration::from_secs(5);

pub struct Sqlite {
    connection: Connection,
}

impl Sqlite {
    /// Opens or makes the file (and its directory) and brings the schema up to date.
    pub fn open(path: &Path) -> Result<Self, DbError> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent {
            std::fs::create_dir_all(parent).map_err(|error| DbError::Connect(error.to_string()))?;
        }
        let connection = Connection::open(path).map_err(|error| DbError::Connect(error.to_string()))?;
        let mut sqlite = Self { connection };
        sqlite.prepare().map_err(refused)?;
        sqlite.migrate()?;
        Ok(sqlite)
    }

    fn prepare(&self) -> rusqlite::Result<()> {
        self.connection.busy_timeout(BUSY)?;
        self.connection.pragma_update(None, "journal_mode", "WAL")?;
        self.connection.pragma_update(None, "synchronous", "FULL")
    }
}

impl Database for Sqlite {
    fn transact(&mut self, statements: &[Statement]) -> Result<(), DbError> {
        let run = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            for statement in statements {
                let mut prepared = transaction.prepare_cached(&numbered(statement.sql))?;
                prepared.execute(params_from_iter(&statement.params))?;
            }
            transaction.commit()
        };
        run(&mut self.connection).map_err(refused)
    }

    fn query(&mut self, statement: &Statement) -> Result<Vec<Row>, DbError> {
        let run = |connection: &mut Connection| {
            let mut prepared = connection.prepare_cached(&numbered(statement.sql))?;
            let columns = prepared.column_count();
            let rows = prepared.query_map(params_from_iter(&statement.params), |row| {
                (0..columns).map(|column| value(row.get_ref(column)?)).collect()
            })?;
            rows.collect::<rusqlite::Result<_>>()
        };
        run(&mut self.connection).map_err(refused)
    }

    fn migrate(&mut self) -> Result<(), DbError> {
        self.connection.execute_batch(schema::TABLES).map_err(refused)?;
        self.transact(&[schema::set_version()])
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Int(value) => value.to_sql(),
            Self::Text(text) => text.to_sql(),
        }
    }
}

/// SQLite reads `$1` as a name; its numbered parameters are `?1`.
fn numbered(sql: &str) -> String {
    sql.replace('$', "?")
}

fn value(cell: ValueRef<'_>) -> rusqlite::Result<Value> {
    match cell {
        ValueRef::Integer(value) => Ok(Value::Int(value)),
        other => Ok(Value::Text(other.as_str()?.to_owned())),
    }
}

fn refused(error: rusqlite::Error) -> DbError {
    DbError::Query(error.to_string())
}
