//! The projection against real databases: SQLite and a Postgres server with TLS, in good and bad weather.

mod common;

use std::path::Path;
use std::time::Duration;

use bot4::store::sql::{Row, Statement};
use bot4::store::{DbError, DbThread, Target, check_version, read};
use bot4::types::{Nanos, Secret};
use bot4_sim::tls::Flavour;
use common::postgres::Server;
use common::proxy::Proxy;
use common::run::{Run, names};
use common::tables::{catch_up, migrated, postgres, rows};

fn thread(run: &Run, target: Target) -> DbThread {
    DbThread::new(run.dir(), target, names(), Nanos::from_ms(1))
}

/// The rows that SQLite gets from the same journal.
fn expected(run: &Run, name: &str) -> Vec<Vec<Row>> {
    let path = run.path(name);
    catch_up(&mut thread(run, Target::Sqlite(path.clone())), 1);
    rows(&Target::Sqlite(path))
}

#[test]
fn both_databases_hold_equal_rows_and_the_role_can_do_no_more_than_it_must() {
    let server = migrated();
    let mut run = Run::start();
    let mut db = thread(&run, postgres(&server, "bot4"));
    run.open();
    catch_up(&mut db, 1);
    let open = read::restore(&postgres(&server, "bot4")).unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!((open[0].pair.as_str(), open[0].long_exchange.as_str()), ("BTC", "vest"));
    run.close();
    run.open();
    catch_up(&mut db, 10_000_000);
    let target = postgres(&server, "bot4");
    assert_eq!(rows(&target), expected(&run, "a.db"));
    let pnl = read::pnl(&target).unwrap();
    assert_eq!(pnl[0].pnl.total.raw(), 31_000_000 - 1_000_001 - 8_000_000);
    for sql in ["DELETE FROM positions", "DROP TABLE fills", "CREATE TABLE extra (x BIGINT)"] {
        let error = target.open().unwrap().query(&Statement { sql, params: Vec::new() }).unwrap_err();
        assert!(matches!(error, DbError::Query(_)), "{sql}: {error}");
    }
}

#[test]
fn a_server_that_was_down_is_caught_up_with() {
    let mut server = migrated();
    let mut run = Run::start();
    let mut db = thread(&run, postgres(&server, "bot4"));
    run.open();
    catch_up(&mut db, 1);
    server.stop();
    run.close();
    for minute in 100..105 {
        assert!(!db.poll(Nanos::from_ms(minute * 60_000)));
        run.open();
        run.close();
    }
    assert_eq!(db.health().failures(), 5);
    assert!(db.health().lag_ms() > 60_000);
    server.resume(true);
    catch_up(&mut db, 200 * 60_000);
    assert_eq!(rows(&postgres(&server, "bot4")), expected(&run, "a.db"));
}

#[test]
fn a_connection_cut_after_any_reply_doubles_and_loses_nothing() {
    let server = migrated();
    let proxy = Proxy::start(server.port());
    let mut run = Run::start();
    let target = Target::parse(&server.url("bot4", proxy.port()), Some(&server.ca())).unwrap();
    let mut db = thread(&run, target);
    let marker = || server.psql("SELECT coalesce(max(next_seq), 0) FROM marker");
    run.open();
    let mut minute = 0;
    for replies in 0..1000 {
        proxy.allow(replies);
        minute += 1;
        let failures = db.health().failures();
        db.poll(Nanos::from_ms(60_000 * minute));
        if db.health().failures() == failures {
            break;
        }
    }
    proxy.allow(i64::MAX);
    // The cut that matters most: the commit is done, and its reply never comes.
    run.close();
    proxy.delay_ms(500);
    let (before, failures) = (marker(), db.health().failures());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while marker() == before {
                std::thread::sleep(Duration::from_millis(2));
            }
            proxy.allow(0);
        });
        db.poll(Nanos::from_ms(60_000 * (minute + 1)));
    });
    assert_ne!(marker(), before, "it is committed");
    assert!(db.health().failures() > failures, "and the client does not know it");
    minute += 1;
    proxy.delay_ms(0);
    proxy.allow(i64::MAX);
    run.open();
    catch_up(&mut db, 60_000 * (minute + 1));
    assert_eq!(rows(&postgres(&server, "bot4")), expected(&run, "a.db"));
}

#[test]
fn a_server_that_cannot_prove_itself_is_refused() {
    let mut server = Server::start();
    let refusal = |url: &Secret, ca: &Path| {
        let target = Target::parse(url, Some(ca)).unwrap();
        let error = check_version(&target).unwrap_err();
        assert!(matches!(error, DbError::Connect(_)), "{error}");
        error.to_string()
    };
    let url = server.url("postgres", server.port());
    let text = refusal(&url, &server.other_ca());
    assert!(text.contains("certificate") && text.contains("UnknownIssuer"), "{text}");
    let named = Secret::new(format!("postgres://postgres@localhost:{}/postgres", server.port()));
    assert!(refusal(&named, &server.ca()).contains("certificate"), "the name must be verified");
    for flavour in
        [Flavour::Expired, Flavour::NotYetValid, Flavour::WrongHost, Flavour::SelfSigned, Flavour::UnknownCa]
    {
        server.stop();
        server.spoil(flavour);
        server.resume(true);
        let text = refusal(&url, &server.ca());
        assert!(text.contains("certificate"), "{flavour:?}: {text}");
    }
    server.stop();
    server.resume(false);
    let text = refusal(&url, &server.ca());
    assert!(text.contains("TLS"), "{text}");
}
