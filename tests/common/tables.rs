//! The database's tables as tests look at them: the schema made, the rows read, the projection driven until nothing is
//! missing.

use bot4::store::sql::{Row, Statement};
use bot4::store::{DbError, DbThread, Target, check_version, migrate};
use bot4::types::Nanos;

use super::postgres::Server;

/// Every row that matters, in order.
pub fn rows(target: &Target) -> Vec<Vec<Row>> {
    let queries = [
        "SELECT * FROM positions ORDER BY journal, seq",
        "SELECT * FROM orders ORDER BY journal, client_id",
        "SELECT * FROM fills ORDER BY journal, seq",
        "SELECT * FROM ledger ORDER BY journal, seq",
        "SELECT * FROM marker ORDER BY journal",
    ];
    let mut database = target.open().unwrap();
    queries.iter().map(|sql| database.query(&Statement { sql, params: Vec::new() }).unwrap()).collect()
}

pub fn postgres(server: &Server, role: &str) -> Target {
    Target::parse(&server.url(role, server.port()), Some(&server.ca())).unwrap()
}

/// A server with the schema and the role of `docs/postgres.md`.
pub fn migrated() -> Server {
    let server = Server::start();
    server.psql("CREATE ROLE bot4 LOGIN");
    assert!(matches!(check_version(&postgres(&server, "bot4")), Err(DbError::Version { got: 0, .. })));
    migrate(&postgres(&server, "postgres")).unwrap();
    migrate(&postgres(&server, "postgres")).unwrap();
    check_version(&postgres(&server, "bot4")).unwrap();
    server
}

/// Polls until nothing is missing, on a clock that jumps over every pause.
pub fn catch_up(db: &mut DbThread, from_ms: u64) {
    let failures = db.health().failures();
    assert!(
        (1..100_000)
            .any(|turn| !db.poll(Nanos::from_ms(from_ms + turn * 60_000)) && db.health().lag_ms() == 0)
    );
    assert_eq!(db.health().failures(), failures);
}
