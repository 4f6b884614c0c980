//! Starts a run: runtime, certificates, both venues, control port, and the files a client needs.
//!
//! Called by the binary and by integration tests. A run owns its threads: it works from plain tests, and
//! everything stops when it is dropped.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Serialize;
use thiserror::Error;
use tokio::runtime::Runtime;

use crate::control::Control;
use crate::control_port;
use crate::meter::Meter;
use crate::options::{Keys, Options};
use crate::scenario;
use crate::server;
use crate::service;
use crate::stage::Stage;
use crate::tls::{Authority, Flavour, TlsError};
use crate::venue::{Clock, Venue};
use crate::vest::Address;

/// The signing key in the `.env` is approved for so long, as the Vest wire knows it from the start.
const SIGNER_LIFE_MS: i64 = 7 * 24 * 60 * 60 * 1_000;

#[derive(Debug, Error)]
pub enum StartError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("{0}: {1}")]
    Io(&'static str, #[source] io::Error),
    #[error("{0} is no valid key")]
    BadKey(&'static str),
    #[error("no market: expected some of BTC, ETH, SOL, got {0:?}")]
    NoMarket(Vec<String>),
}

/// Base URLs of a venue, without queries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Urls {
    pub rest_url: String,
    pub ws_url: String,
}

/// Where everything is; printed by `serve` as one JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Endpoints {
    pub vest: Urls,
    pub paradex: Urls,
    /// PEM of the run's CA.
    pub ca_file: PathBuf,
    /// Throw-away keys, mode 0600.
    pub env_file: PathBuf,
    /// `http://127.0.0.1:PORT`.
    pub control: String,
}

/// The simulator.
pub struct Sim;

/// A run; stops when dropped.
pub struct Running {
    pub endpoints: Endpoints,
    pub control: Control,
    pub state_dir: PathBuf,
    runtime: Option<Runtime>,
    made_dir: bool,
}

impl Sim {
    /// Starts both venues and the control port on loopback and returns when they accept connections.
    pub fn start(options: Options) -> Result<Running, StartError> {
        if options.vest_spec(0).markets.is_empty() {
            return Err(StartError::NoMarket(options.bases));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("sim")
            .enable_all()
            .build()
            .map_err(|e| StartError::Io("cannot start threads", e))?;
        let (state_dir, made_dir) = state_dir(&options)?;
        let (endpoints, control) = runtime.block_on(start_venues(&options, &state_dir))?;
        Ok(Running { endpoints, control, state_dir, runtime: Some(runtime), made_dir })
    }
}

impl Running {
    /// Leaves the state directory in place when the run ends.
    pub fn keep_files(&mut self) {
        self.made_dir = false;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        if self.made_dir {
            // A directory left behind in the temporary one harms nobody.
            let _ = std::fs::remove_dir_all(&self.state_dir);
        }
    }
}

async fn start_venues(options: &Options, dir: &Path) -> Result<(Endpoints, Control), StartError> {
    let clock = Clock::start();
    let meter = Arc::new(Meter::default());
    let start_us = clock.now_us();
    let stage = Stage::vest(options, start_us).ok_or(StartError::BadKey("a Vest key of the options"))?;
    let vest = Venue::new(stage, clock, meter.clone());
    let stage =
        Stage::paradex(options, start_us).ok_or(StartError::BadKey("a Paradex key of the options"))?;
    let paradex = Venue::new(stage, clock, meter.clone());
    let authority = Authority::new()?;
    let vest_port = open(&authority, options.vest_tls, &vest, options.vest_port).await?;
    let paradex_port = open(&authority, options.paradex_tls, &paradex, options.paradex_port).await?;
    let control = Control::new(vest, paradex, meter);
    tokio::spawn(scenario::play(options.scenario.clone(), control.clone()));
    let served = server::serve_plain(control_port::router(control.clone()), options.control_port).await;
    let control_port = served.map_err(|e| StartError::Io("cannot open the control port", e))?;
    let endpoints = Endpoints {
        vest: urls(vest_port, "v2", "ws-api"),
        paradex: urls(paradex_port, "v1", "v1"),
        ca_file: write_public(dir, "ca.pem", &authority.pem())?,
        env_file: write_secret(dir, ".env", &env_text(&options.keys, start_us / 1_000)?)?,
        control: format!("http://127.0.0.1:{control_port}"),
    };
    Ok((endpoints, control))
}

async fn open(
    authority: &Authority,
    flavour: Flavour,
    venue: &Arc<Venue>,
    port: u16,
) -> Result<u16, StartError> {
    tokio::spawn(venue.clone().drive());
    let tls = authority.server(flavour)?;
    let served = server::serve_tls(service::router(venue.clone()), tls, venue.clone(), port).await;
    served.map_err(|e| StartError::Io("cannot open a venue's port", e))
}

fn urls(port: u16, rest: &str, ws: &str) -> Urls {
    Urls {
        rest_url: format!("https://localhost:{port}/{rest}"),
        ws_url: format!("wss://localhost:{port}/{ws}"),
    }
}

/// The directory of the run, and whether it was made here.
fn state_dir(options: &Options) -> Result<(PathBuf, bool), StartError> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let (dir, made) = match &options.state_dir {
        Some(dir) => (dir.clone(), false),
        None => {
            let run = RUNS.fetch_add(1, Ordering::Relaxed);
            (std::env::temp_dir().join(format!("bot4-sim-{}-{run}", std::process::id())), true)
        }
    };
    std::fs::create_dir_all(&dir).map_err(|e| StartError::Io("cannot make the state directory", e))?;
    Ok((dir, made))
}

fn env_text(keys: &Keys, now_ms: i64) -> Result<String, StartError> {
    let primary = Address::of_key(&keys.vest_primary).ok_or(StartError::BadKey("the Vest primary key"))?;
    let lines = [
        "# Throw-away keys of a simulated run. Never fund them.".to_owned(),
        format!("VEST_PRIMARY_ADDRESS={}", primary.text()),
        format!("VEST_SIGNING_KEY={}", keys.vest_signing),
        format!("VEST_SIGNER_EXPIRY_MS={}", now_ms + SIGNER_LIFE_MS),
        format!("VEST_API_KEY={}", keys.vest_api_key),
        format!("VEST_ACCOUNT_GROUP={}", keys.vest_account_group),
        format!("PARADEX_ACCOUNT_ADDRESS={}", keys.paradex_account),
        format!("PARADEX_SUBKEY={}", keys.paradex_subkey),
    ];
    Ok(lines.join("\n") + "\n")
}

fn write_public(dir: &Path, name: &str, text: &str) -> Result<PathBuf, StartError> {
    write(dir, name, text, 0o644)
}

fn write_secret(dir: &Path, name: &str, text: &str) -> Result<PathBuf, StartError> {
    write(dir, name, text, 0o600)
}

fn write(dir: &Path, name: &str, text: &str, mode: u32) -> Result<PathBuf, StartError> {
    let path = dir.join(name);
    let failed = |e| StartError::Io("cannot write into the state directory", e);
    // A file left by an earlier run would keep its own mode.
    let _ = std::fs::remove_file(&path);
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(&path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    Ok(path)
}
