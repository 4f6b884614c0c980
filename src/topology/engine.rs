//! The engine as a whole: made from its parts, started in the order of the data, ended producers first.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;

use super::finish::{BLOCKED_MAX_MS, finish, finish_within};
use super::growth::Growth;
use super::hearts::{Hearts, MaxAges};
use super::operator::Operator;
use super::plan::plan;
use super::startup::begin;
use super::watch::{End, Last, Said, Watch, pause, remove_socket};
use super::wiring::{Maker, Records, Task, Wakers, spec, waking};
use super::workers::{AlertWorker, DbWorker, DiskWorker, OrderWorker, StoreWorker};
use super::{CLEAN, Opened, Part, RunOptions, SOMETHING_OPEN};
use crate::config::Config;
use crate::control::{self, HaltFile};
use crate::journal::{Syncer, Tail};
use crate::order::board::Board;
use crate::order::thread::OrderThread;
use crate::store::sql::Database;
use crate::store::{
    Claim, DbHealth, DbThread, DiskThread, Names, Output, PairName, StoreHealth, StoreThread, Target,
    VenueName,
};
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::cores;
use crate::sys::notify::Notifier;
use crate::sys::rest::UreqHttp;
use crate::sys::ring::{Rx, Tx, ring};
use crate::sys::signals::Signals;
use crate::sys::socket::Dialer;
use crate::sys::thread::{Handle, spawn};
use crate::sys::tls::Tls;
use crate::telemetry::alert::Alert;
use crate::telemetry::alerts::AlertWatch;
use crate::telemetry::pager::{Addresses, Pager, Pulse};
use crate::telemetry::status::Status;
use crate::telemetry::watch::{StatusPort, Telemetry, UNLATCH_COMMAND};
use crate::types::Secret;
use crate::types::limits::{ALERT_RING, COMMAND_RING};
use crate::types::settings::Upkeep;
use crate::venue::REGISTRY;

/// The engine, wired and not yet running.
pub struct Engine {
    hot: Vec<Task>,
    keepers: Vec<Task>,
    db: Task,
    disk: Task,
    store: Task,
    alerts: Task,
    main_alerts: Tx<Alert>,
    pulse: Pulse,
    operator: Operator,
    board: Arc<Board>,
    status: StatusEnds,
    remains: mpsc::Receiver<Vec<String>>,
    clock: SystemClock,
    control: control::Server,
    socket: PathBuf,
    options: RunOptions,
    store_health: Arc<StoreHealth>,
    database: Arc<DbHealth>,
    upkeep: Upkeep,
}

/// The database, the accounts' lock in it and the session that has taken it, where it answered at the start.
pub struct DbParts {
    pub target: Target,
    pub claim: Option<Claim>,
    pub session: Option<Box<dyn Database>>,
}

impl DbParts {
    fn into_thread(self, config: &Config, names: Names, clock: &SystemClock) -> DbThread {
        let thread = DbThread::new(config.journal.dir.clone(), self.target, names, clock.now());
        thread.with_claim(self.claim, self.session)
    }
}

/// How `main` asks the telemetry for the status object.
struct StatusEnds {
    ask: Tx<()>,
    answers: Rx<Box<Status>>,
}

impl Engine {
    pub fn new(
        config: &Config,
        parts: Vec<Part>,
        opened: Opened,
        database: DbParts,
        output: Output,
        clock: &SystemClock,
        options: RunOptions,
    ) -> Result<Self, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let plan = plan(&config.threads, &cores::usable(), &cores::isolated());
        plan.notes.iter().for_each(|note| tracing::info!(event_type = "LAYOUT", "{note}"));
        let wakers = Wakers::new(parts.len(), &plan).map_err(|error| text(&error))?;
        let mut maker = Maker { config, plan: &plan, wakers: &wakers, clock, records: Records::default() };
        let names = names(config);
        let board = Arc::new(Board::default());
        let tail = Tail::open(&config.journal.dir, opened.first_seq).map_err(|error| text(&error))?;
        let syncer = Syncer::open(&config.journal.dir).map_err(|error| text(&error))?;
        let (commands, from_main) = waking(ring(COMMAND_RING), &wakers.order);
        let (remains_tx, remains) = mpsc::channel();
        let halt_file = HaltFile::of(&config.journal.dir);
        let halted = is_halted(&halt_file);
        let Opened { core, epoch, journal, supply, config_hash, .. } = opened;
        let wired = maker.wire(parts, options.live, |mut core_parts, rest| {
            let (core, effects) = begin(core, epoch, &core_parts.facts, clock.now(), options, halted);
            let signer = core_parts.signer.take();
            let thread = OrderThread::new(
                core,
                effects,
                config_hash,
                Arc::clone(&board),
                std::mem::take(&mut core_parts.traders),
                Box::new(journal),
                Box::new(*clock),
                core_parts.rings(from_main, rest),
            )
            .with_signer(signer);
            OrderWorker { thread, remains: remains_tx }
        })?;
        let (ask, asked) = ring(COMMAND_RING);
        let (answers, status_answers) = ring(COMMAND_RING);
        let (raise, raised) = waking(ring(ALERT_RING), &wakers.alerts);
        let (main_alerts, from_main) = waking(ring(ALERT_RING), &wakers.alerts);
        let pulse = Pulse::default();
        let pager = pager(config, vec![raised, from_main], &names, &output, &pulse)?;
        let telemetry = Telemetry::new(names.clone(), clock.now(), Some(StatusPort { asked, answers }))
            .with_alerts(AlertWatch::new(config.alerts.rules, clock.now()), raise);
        let records = maker.records.0;
        let store = StoreThread::new(records, Some(tail), names.clone(), output.clone(), telemetry);
        let db = database.into_thread(config, names, clock);
        let (store_health, database) = (store.health(), db.health());
        let disk = DiskThread::new(syncer, supply, output.clone(), Arc::clone(&store_health));
        let store = StoreWorker { thread: store, output };
        let control = control::Server::bind(&config.control_socket).map_err(|error| text(&error))?;
        Ok(Self {
            hot: wired.hot,
            keepers: wired.keepers,
            db: (spec("db", &plan.db, &wakers.db), Box::new(DbWorker(db))),
            disk: (spec("disk", &plan.db, &wakers.disk), Box::new(DiskWorker(disk))),
            alerts: (spec("alerts", &plan.db, &wakers.alerts), Box::new(AlertWorker(pager))),
            main_alerts,
            pulse,
            store: (spec("store", &plan.store, &wakers.store), Box::new(store)),
            operator: Operator::new(commands, halt_file, pair_names(config), halted),
            board,
            status: StatusEnds { ask, answers: status_answers },
            remains,
            clock: *clock,
            control,
            socket: config.control_socket.clone(),
            options,
            store_health,
            database,
            upkeep: config.settings.upkeep.clone(),
        })
    }

    /// Starts everything, waits for the end, and ends everything: producers before those who read them.
    pub fn run(self, signals: Signals) -> Result<u8, String> {
        let start = |(spec, worker): Task| -> Result<Handle, String> {
            spawn(spec, self.clock, worker).map_err(|error| error.to_string())
        };
        let alerts = start(self.alerts)?;
        let store = start(self.store)?;
        let [disk, db] = [start(self.disk)?, start(self.db)?];
        let keepers = self.keepers.into_iter().map(&start).collect::<Result<Vec<_>, _>>()?;
        let hot = self.hot.into_iter().map(&start).collect::<Result<Vec<_>, _>>()?;
        tracing::info!(event_type = "STARTED", "Bot runtime started");
        let max_ms = MaxAges {
            hot: u64::from(self.upkeep.heartbeat_max_ms),
            store: u64::from(self.upkeep.store_heartbeat_max_ms),
            may_block: u64::from(self.upkeep.blocking_heartbeat_max_ms),
        };
        let StatusEnds { mut ask, mut answers } = self.status;
        let mut watch = Watch {
            clock: self.clock,
            signals,
            notifier: Notifier::from_env().map_err(|error| error.to_string())?,
            control: self.control,
            operator: self.operator,
            board: self.board,
            hearts: Hearts { hot, store, may_block: keepers.into_iter().chain([disk, db]).collect(), max_ms },
            store_health: self.store_health,
            database: self.database,
            database_lag: self.upkeep.database,
            alerts: self.main_alerts,
            pulse: self.pulse,
            growth: Growth::new(self.clock.now(), self.upkeep.memory_growth_max_mb),
            said: Said::default(),
            late: 0,
            last: Last::default(),
            stop_deadline_ms: u64::from(self.upkeep.stop_deadline_s) * 1_000,
            flatten_on_stop: self.options.flatten_on_stop,
            status: Box::new(move || status(&mut ask, &mut answers)),
        };
        let end = watch.run();
        let code = conclude(end, &watch.board);
        remove_socket(&self.socket);
        let Hearts { hot, store, may_block, .. } = watch.hearts;
        finish(hot);
        for line in self.remains.try_iter().flatten() {
            tracing::error!(event_type = "SHUTDOWN", "left behind: {line}");
        }
        finish_within(may_block, BLOCKED_MAX_MS);
        if code == CLEAN {
            tracing::info!(event_type = "SHUTDOWN", "[SHUTDOWN] Clean exit, no pending orders");
        }
        finish(vec![store]);
        finish(vec![alerts]);
        Ok(code)
    }
}

/// Whether a person keeps the engine halted from the start, which is said.
fn is_halted(file: &HaltFile) -> bool {
    let halted = file.is_there();
    if halted {
        let path = file.path().display();
        tracing::warn!(event_type = "HALT", "starts Halted: {path} is there; to re-arm: {UNLATCH_COMMAND}");
    }
    halted
}

/// The value of thread `alerts`, with a client of its own.
fn pager(
    config: &Config,
    raised: Vec<Rx<Alert>>,
    names: &Names,
    output: &Output,
    pulse: &Pulse,
) -> Result<Pager, String> {
    let wanted = &config.alerts;
    let tls = Tls::new(wanted.ca_file.as_deref()).map_err(|error| format!("alerts: {error}"))?;
    let addresses = Addresses {
        webhook: wanted.webhook_url.as_ref().map(Secret::duplicate),
        dead_man: wanted.dead_man_url.as_ref().map(Secret::duplicate),
        dead_man_every_ms: u64::from(wanted.dead_man_every_s) * 1_000,
    };
    let http = Box::new(UreqHttp::new(Dialer::new(tls)));
    Ok(Pager::new(raised, addresses, http, names.clone(), output.clone(), pulse.clone()))
}

/// The exit code of an end (DESIGN §4).
fn conclude(end: End, board: &Board) -> u8 {
    let closed = board.live_orders() == 0 && board.lone_legs() == 0;
    if end == End::Clean && closed {
        return CLEAN;
    }
    let (orders, lone, held) = (board.live_orders(), board.lone_legs(), board.held_pairs());
    tracing::error!(
        event_type = "SHUTDOWN",
        "[SHUTDOWN] ended with {orders} orders open or unknown, {lone} lone legs, {held} pairs held: \
         look at the venues"
    );
    SOMETHING_OPEN
}

/// The status object, asked of the telemetry; it answers within a few polls of `store`.
fn status(ask: &mut Tx<()>, answers: &mut Rx<Box<Status>>) -> serde_json::Value {
    while answers.pop().is_some() {}
    if ask.push(()).is_err() {
        return serde_json::Value::Null;
    }
    for _ in 0..100 {
        if let Some(status) = answers.pop() {
            return serde_json::to_value(status).unwrap_or_default();
        }
        pause();
    }
    serde_json::Value::Null
}

fn pair_names(config: &Config) -> Vec<String> {
    config.settings.pairs.iter().map(|pair| pair.name.clone()).collect()
}

fn names(config: &Config) -> Names {
    let pairs = config.settings.pairs.iter();
    let pairs = pairs.map(|pair| PairName { name: pair.name.clone(), venues: pair.venues }).collect();
    let venues = REGISTRY.iter();
    let venues = venues
        .map(|venue| VenueName { name: venue.name, title: venue.title, order_wire: venue.order_wire })
        .collect();
    Names { pairs, venues }
}
