//! One engine per account: the real binary on both simulated venues, and a real Postgres server that two engines share
//! as two hosts would, each with a state directory of its own.

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bot4::store::sql::{Database, Row, Statement, Value};
use bot4::store::{Claim, DbError, Target};
use bot4::types::Nanos;
use bot4_sim::Options;
use common::Bench;
use common::bench::patience;
use common::postgres::Server;
use common::receiver::AlertReceiver;
use common::tables::{migrated, postgres};

/// The locks of accounts that some session holds.
const LOCKS: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted";

/// A bench whose engines keep their database on this server.
fn bench(server: &Server, extra: &str) -> Bench {
    let (url, ca) = (server.url("bot4", server.port()), server.ca());
    let store = format!("[store]\nurl = \"{}\"\nca_file = \"{}\"\n{extra}", url.expose(), ca.display());
    Bench::with(Options::default(), &store)
}

/// The configuration of an engine on another host: the same accounts and database, a state directory of its own.
fn elsewhere(bench: &Bench) -> PathBuf {
    let text = fs::read_to_string(&bench.config).unwrap();
    let there = |name: &str| bench.dir.path().join(name).display().to_string();
    let text = text.replace(&there("journal"), &there("other-journal"));
    let path = bench.dir.path().join("other.toml");
    fs::write(&path, text.replace(&there("bot4.sock"), &there("other.sock"))).unwrap();
    path
}

/// Runs another engine to its end, which must come soon.
fn second(bench: &mut Bench) -> Output {
    let there = elsewhere(bench);
    let here = std::mem::replace(&mut bench.config, there);
    let mut command = bench.command("run");
    bench.config = here;
    command.args(["--live", "--auto-resume"]).stderr(Stdio::piped()).output().unwrap()
}

fn wait_locks(server: &Server, count: &str) {
    let end = Instant::now() + patience();
    while server.psql(LOCKS) != count {
        assert!(Instant::now() < end, "{} locks are held, not {count}", server.psql(LOCKS));
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn trades(bench: &mut Bench) {
    bench.open_pair();
    bench.close_pair();
}

fn refused(output: &Output, pid: u32) {
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{line}");
    assert_eq!(line.trim_end().lines().count(), 1, "{line}");
    let holder = format!("another instance (bot4 {pid}@");
    for text in [&holder, ", from 127.0.0.1, server process ", "stop one of the two", "flatten needs no lock"]
    {
        assert!(line.contains(text), "{text:?} is not in: {line}");
    }
}

#[test]
fn a_second_engine_elsewhere_is_refused_until_the_first_is_gone() {
    let server = migrated();
    let mut bench = bench(&server, "");
    bench.start();
    refused(&second(&mut bench), bench.pid());
    trades(&mut bench);
    // Nothing asks its session to end: it ends with the process.
    bench.kill();
    bench.config = elsewhere(&bench);
    bench.start();
    trades(&mut bench);
    assert_eq!(bench.stop(), 0, "{}", bench.tail());
    bench.assert_home();
}

#[test]
fn a_database_that_is_away_at_the_start_is_locked_when_it_is_back() {
    let mut server = migrated();
    let mut bench = bench(&server, "");
    server.stop();
    bench.start();
    trades(&mut bench);
    server.resume(true);
    wait_locks(&server, "2");
    refused(&second(&mut bench), bench.pid());
    trades(&mut bench);
    assert_eq!(bench.stop(), 0, "{}", bench.tail());
}

#[test]
fn an_engine_that_meets_another_halts_says_so_and_closes_what_it_holds() {
    let server = migrated();
    let alerts = tempfile::tempdir().unwrap();
    let mut receiver = AlertReceiver::start(alerts.path());
    let mut bench = bench(&server, &receiver.config());
    bench.start();
    wait_locks(&server, "2");
    bench.open_pair();
    let rival = Rival::beside(&server);
    let met = bench
        .wait_until("the other", |line| line["event_type"] == "SECOND_ENGINE" && line["level"] == "ERROR");
    assert!(met["message"].as_str().unwrap().contains("another instance (a rival, from 127.0.0.1"), "{met}");
    let halt = bench.wait_for("HALT");
    assert!(halt["message"].as_str().unwrap().contains("another engine trades these accounts"), "{halt}");
    let alert = receiver.wait_for("SECOND_ENGINE");
    assert!(alert["next_command"].as_str().unwrap().contains("bot4 unlatch"), "{alert}");
    bench.close_pair();
    let unlatch = || {
        let mut command = bench.command("unlatch");
        let output = command.args(["--reason", "looked"]).stderr(Stdio::piped()).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (_, why) = unlatch();
    assert!(why.contains("stop one of the two first"), "the other still runs: {why}");
    drop(rival);
    let end = Instant::now() + patience();
    while !unlatch().0 {
        assert!(Instant::now() < end, "it never takes the lock again");
        std::thread::sleep(Duration::from_millis(100));
    }
    wait_locks(&server, "2");
    assert_eq!(bench.stop(), 0, "{}", bench.tail());
    bench.assert_flat_and_settled();
}

/// Another engine's session, which takes one of the locks when the engine's own connection is cut, and speaks on.
struct Rival {
    gone: Arc<AtomicBool>,
    session: Option<JoinHandle<()>>,
}

impl Rival {
    fn beside(server: &Server) -> Self {
        let mut session = postgres(server, "bot4").open().unwrap();
        run(&mut session, "SELECT set_config('application_name', 'a rival', false)", Vec::new());
        let one = "SELECT (CAST(classid AS BIGINT) << 32) | CAST(objid AS BIGINT) FROM pg_locks
                   WHERE locktype = 'advisory' ORDER BY 1 LIMIT 1";
        let key = run(&mut session, one, Vec::new()).remove(0);
        let gone = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&gone);
        let session = std::thread::spawn(move || {
            run(&mut session, "SELECT CAST(1 AS BIGINT) FROM pg_advisory_lock($1)", key);
            while !ends.load(Ordering::Relaxed) {
                run(&mut session, "SELECT CAST(1 AS BIGINT)", Vec::new());
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        while server.psql(waits) != "1" {}
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                   WHERE application_name LIKE 'bot4 %@%'";
        assert_eq!(server.psql(cut), "1");
        Self { gone, session: Some(session) }
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
        let ended = self.session.take().map(JoinHandle::join);
        assert!(matches!(ended, Some(Ok(()))), "the rival failed");
    }
}

fn run(session: &mut Box<dyn Database>, sql: &'static str, params: Vec<Value>) -> Vec<Row> {
    session.query(&Statement { sql, params }).unwrap()
}

/// Two engines' claims on one account of two that each trades, in sessions of their own.
#[test]
fn a_session_that_is_silent_is_waited_for_and_the_server_is_told_to_drop_it() {
    let server = migrated();
    let open = || postgres(&server, "bot4").open().unwrap();
    let claim =
        |engine, other| Claim::new([["a", "prod", other], ["b", "prod", "0x7"]], engine, Nanos::from_ms(1));
    let (mut here, mut there) = (open(), open());
    claim("1@here", "0x1").take(here.as_mut(), Nanos::from_ms(1)).unwrap();
    let mut second = claim("2@there", "0x2");
    for (at_s, expected) in [(100, false), (139, false), (140, true)] {
        match second.take(there.as_mut(), Nanos::from_ms(at_s * 1_000)) {
            Err(DbError::Claimed { holder, sure }) => {
                assert_eq!(sure, expected, "after {at_s} s");
                assert!(holder.starts_with("bot4 1@here 1, from 127.0.0.1, server process "), "{holder}");
            }
            other => panic!("{other:?}"),
        }
    }
    let settings =
        ["tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout"];
    let shown = settings.map(|name| {
        let (sql, params) = ("SELECT current_setting($1)", vec![Value::Text(name.to_owned())]);
        here.query(&Statement { sql, params }).unwrap()[0][0].text().to_owned()
    });
    assert_eq!(shown, ["10", "5", "3", "30000"]);
    drop(here);
    let end = Instant::now() + patience();
    while second.take(there.as_mut(), Nanos::from_ms(200_000)).is_err() {
        assert!(Instant::now() < end, "the lock outlives its session");
    }
    second.keep(there.as_mut(), Nanos::from_ms(202_000)).unwrap();
    let mut unlocked = Target::open(&postgres(&server, "bot4")).unwrap();
    let error = second.keep(unlocked.as_mut(), Nanos::from_ms(204_000)).unwrap_err();
    assert!(matches!(error, DbError::ClaimLost), "{error}");
}
