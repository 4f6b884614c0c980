//! The database fails again and again while the engine trades: Postgres is killed, hangs, refuses to write, has no
//! room, loses its connection at COMMIT or anywhere else. Trading goes on each time, and after the fault the rows are
//! those of the journal.
//!
//! `scripts/campaign.sh postgres --count 200`, or `BOT4_DATABASE_FAULTS` and `BOT4_SEED` by hand.

mod common;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bot4::store::sql::Row;
use bot4::store::{DbThread, Target};
use bot4::types::Nanos;
use bot4_sim::Options;
use bot4_sim::core::rng::Rng;
use common::Bench;
use common::bench::patience;
use common::campaign::{Figures, number};
use common::postgres::Server;
use common::proxy::Proxy;
use common::run::names;
use common::tables::{catch_up, migrated, postgres, rows};

/// Faults of a run unless `BOT4_DATABASE_FAULTS` says otherwise.
const FAULTS: u64 = 10;
/// How long a fault lasts at most, ms.
const AWAY_MAX_MS: i64 = 3_000;

const LIMITS: &str =
    "[risk]\ndaily_loss_usd = 10000\nlosing_pairs_pause = 100\n[pauses]\ndaily_loss_share = 0.2";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// SIGKILL of the server and all its processes.
    Killed,
    /// SIGSTOP of all of them.
    Hung,
    /// The role may not write.
    ReadOnly,
    /// No file of the server may grow (RLIMIT_FSIZE, which needs no mount and no rights): it cannot write its log.
    Full,
    /// The commit is done and its reply never comes.
    CutAtCommit,
    /// The connection ends after any reply.
    CutAnywhere,
}

const ALL: [Fault; 6] =
    [Fault::Killed, Fault::Hung, Fault::ReadOnly, Fault::Full, Fault::CutAtCommit, Fault::CutAnywhere];

struct Campaign {
    bench: Bench,
    server: Server,
    proxy: Proxy,
    rng: Rng,
    done: BTreeMap<Fault, Figures>,
}

impl Campaign {
    fn start(seed: u64) -> Self {
        let server = migrated();
        let proxy = Proxy::start(server.port());
        let (url, ca) = (server.url("bot4", proxy.port()), server.ca());
        let store = format!("{LIMITS}\n[store]\nurl = \"{}\"\nca_file = \"{}\"", url.expose(), ca.display());
        let mut bench = Bench::with(Options { seed, ..Options::default() }, &store);
        bench.start();
        Self { bench, server, proxy, rng: Rng::new(seed, "databases"), done: BTreeMap::new() }
    }

    /// One fault, with a pair opened and closed in it, and the way back.
    fn fault(&mut self, fault: Fault) {
        let away = Duration::from_millis(self.rng.between(0, AWAY_MAX_MS) as u64);
        self.begin(fault);
        let until = Instant::now() + away;
        self.bench.open_pair();
        if fault == Fault::CutAtCommit {
            self.cut_at_commit();
        }
        self.bench.close_pair();
        self.bench.gap_bps(0);
        self.bench.saw_within(until.saturating_duration_since(Instant::now()), |_| false);
        self.end(fault);
        let took = self.wait_equal();
        self.done.entry(fault).or_default().add(took.as_secs_f64() * 1e3);
    }

    fn begin(&mut self, fault: Fault) {
        match fault {
            Fault::Killed => self.server.kill(),
            Fault::Hung => self.server.freeze(true),
            Fault::ReadOnly => self.read_only(true),
            Fault::Full => self.server.allow_no_growth(),
            Fault::CutAtCommit => self.proxy.delay_ms(100),
            Fault::CutAnywhere => self.proxy.allow(self.rng.between(0, 20)),
        }
    }

    fn end(&mut self, fault: Fault) {
        match fault {
            Fault::Killed => self.server.resume(true),
            Fault::Hung => self.server.freeze(false),
            Fault::ReadOnly => self.read_only(false),
            Fault::Full => {
                self.server.kill();
                self.server.resume(true);
            }
            Fault::CutAtCommit | Fault::CutAnywhere => {
                self.proxy.delay_ms(0);
                self.proxy.allow(i64::MAX);
            }
        }
    }

    fn read_only(&self, on: bool) {
        let word = if on { "on" } else { "off" };
        self.server.psql(&format!("ALTER ROLE bot4 SET default_transaction_read_only = {word}"));
        self.server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'bot4'");
    }

    /// Waits for a commit, whose reply is on its way slowly, and cuts that off.
    fn cut_at_commit(&self) {
        let marker = || self.server.psql("SELECT coalesce(max(next_seq), 0) FROM marker");
        let (before, end) = (marker(), Instant::now() + patience());
        while marker() == before {
            assert!(Instant::now() < end, "nothing is committed any more\n{}", self.bench.tail());
        }
        self.proxy.allow(0);
    }

    /// Waits until the database holds what the journal says, which another reader of the journal puts into a new one.
    fn wait_equal(&self) -> Duration {
        let begun = Instant::now();
        loop {
            let expected = self.expected();
            if rows(&postgres(&self.server, "bot4")) == expected {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < patience(), "the database never caught up\n{}", self.bench.tail());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn expected(&self) -> Vec<Vec<Row>> {
        let path = self.bench.dir.path().join("expected.db");
        let journal = self.bench.dir.path().join("journal");
        let copy = || Target::Sqlite(path.clone());
        catch_up(&mut DbThread::new(journal, copy(), names(), Nanos::from_ms(1)), 1);
        rows(&copy())
    }
}

#[test]
fn the_database_equals_the_journal_after_every_fault() {
    let (faults, seed) = (number("BOT4_DATABASE_FAULTS", FAULTS), number("BOT4_SEED", 1));
    println!("database: {faults} faults, seed {seed}");
    let mut campaign = Campaign::start(seed);
    for nth in 0..faults {
        campaign.fault(ALL[nth as usize % ALL.len()]);
        if nth % 20 == 19 {
            println!("{} done", nth + 1);
        }
    }
    let Campaign { mut bench, server, done, .. } = campaign;
    bench.stop_and_settle();
    assert_eq!(server.psql("SELECT count(*) FROM ledger"), faults.to_string(), "one closed pair a fault");
    println!("ms from the end of the fault until all rows are there:  times");
    for (fault, figures) in &done {
        println!("  {:<14} {figures}", format!("{fault:?}"));
    }
}
