//! The same job done with the usual stack: two feeds with tokio-tungstenite, trees of serde_json, a channel to the
//! strategy, floating-point prices, library signing when the decision has fallen, and reqwest for both orders at once.
//! Written as one would without a thought of microseconds, and warm like the engine: open connections, no log line.
//!
//! `bot4-baseline RUN.json` trades until its standard input ends, then prints what it measured. `bot4-baseline memory`
//! does the same job without venues: from a message to both requests ready for the client.

mod memory;
mod paradex;
mod vest;

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::Connector;

/// Base units per leg, and the prices of both edges, as the engine's configuration has them.
const SIZE: &str = "0.002";
const ENTER: f64 = 0.003;
const EXIT: f64 = 0.0002;
/// How far beyond the touch an order may fill.
const SLACK: f64 = 0.002;

/// Top of one venue's book.
#[derive(Clone, Copy, Debug)]
pub struct Top {
    pub venue: usize,
    pub bid: f64,
    pub ask: f64,
    /// When the message was there.
    pub at: Instant,
}

/// One order to send.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    pub buy: bool,
    pub limit: f64,
    pub reduce_only: bool,
}

/// What both venues' clients are made from.
pub struct Run {
    pub value: Value,
    pub http: reqwest::Client,
    pub tls: Connector,
}

impl Run {
    fn open(path: &str) -> Self {
        let value: Value =
            serde_json::from_slice(&std::fs::read(path).expect("the run's file")).expect("JSON");
        let pem = std::fs::read(value["ca_file"].as_str().expect("a path")).expect("the CA");
        Self::new(value, &pem)
    }

    fn new(value: Value, pem: &[u8]) -> Self {
        let mut http = reqwest::Client::builder().tcp_nodelay(true);
        for root in reqwest::Certificate::from_pem_bundle(pem).expect("certificates") {
            http = http.add_root_certificate(root);
        }
        let http = http.build().expect("a client");
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls::pki_types::pem::PemObject::pem_slice_iter(pem).flatten());
        let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Self { value, http, tls: Connector::Rustls(Arc::new(tls)) }
    }

    pub fn text(&self, pointer: &str) -> &str {
        self.value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer}"))
    }
}

pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis() as u64
}

/// Microseconds from the message to each order being handed to the HTTP client: its write is not even counted.
#[derive(Default)]
struct Measured {
    first: Vec<f64>,
    second: Vec<f64>,
}

impl Measured {
    fn add(&mut self, mut legs: [Duration; 2]) {
        legs.sort();
        self.first.push(legs[0].as_secs_f64() * 1e6);
        self.second.push(legs[1].as_secs_f64() * 1e6);
    }

    fn json(mut self) -> Value {
        let percentiles = |samples: &mut Vec<f64>| {
            samples.sort_by(f64::total_cmp);
            let at = |percent: usize| {
                samples.get((samples.len() * percent / 100).min(samples.len().saturating_sub(1)))
            };
            json!({"count": samples.len(), "p50": at(50), "p99": at(99), "max": samples.last()})
        };
        json!({"first": percentiles(&mut self.first), "second": percentiles(&mut self.second)})
    }
}

/// Holding nothing: sell on the venue that is dear. Holding: close when the gap has gone.
fn decide(tops: &[Option<Top>; 2], held: bool) -> Option<[Wish; 2]> {
    let [Some(vest), Some(paradex)] = *tops else { return None };
    let mid = (vest.bid + vest.ask + paradex.bid + paradex.ask) / 4.0;
    let wish = |buy: bool, touch: f64, reduce_only| {
        let limit = if buy { touch * (1.0 + SLACK) } else { touch * (1.0 - SLACK) };
        Wish { buy, limit, reduce_only }
    };
    if !held && (vest.bid - paradex.ask) / mid > ENTER {
        return Some([wish(false, vest.bid, false), wish(true, paradex.ask, false)]);
    }
    if held && (vest.ask - paradex.bid) / mid < EXIT {
        return Some([wish(true, vest.ask, true), wish(false, paradex.bid, true)]);
    }
    None
}

async fn trade(run: Arc<Run>, mut tops: mpsc::Receiver<Top>, mut stop: mpsc::Receiver<()>) -> Measured {
    let vest = vest::Orders::new(&run);
    let paradex = paradex::Orders::log_in(&run).await;
    let (mut book, mut held, mut measured) = ([None, None], false, Measured::default());
    loop {
        let top = tokio::select! {
            top = tops.recv() => top.expect("the feeds last"),
            _ = stop.recv() => return measured,
        };
        book[top.venue] = Some(top);
        let Some([on_vest, on_paradex]) = decide(&book, held) else { continue };
        let (vest_sent, paradex_sent) = tokio::join!(vest.send(&on_vest), paradex.send(&on_paradex));
        measured.add([vest_sent.duration_since(top.at), paradex_sent.duration_since(top.at)]);
        held = !held;
    }
}

#[tokio::main]
async fn main() {
    rustls::crypto::ring::default_provider().install_default().expect("the first provider");
    let path = std::env::args().nth(1).expect("the run's file");
    if path == "memory" {
        return memory::measure();
    }
    let run = Arc::new(Run::open(&path));
    let (send, tops) = mpsc::channel(1024);
    let (stop, stopped) = mpsc::channel(1);
    tokio::spawn(vest::feed(Arc::clone(&run), send.clone()));
    tokio::spawn(paradex::feed(Arc::clone(&run), send));
    std::thread::spawn(move || {
        let _until_its_end = std::io::stdin().read_to_end(&mut Vec::new());
        stop.blocking_send(())
    });
    let measured = trade(run, tops, stopped).await;
    println!("{}", measured.json());
    std::process::exit(0);
}
