//! A receiver of alerts on loopback: TLS, one request a connection, every body kept.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use bot4_sim::tls::{Authority, Flavour};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use super::bench::patience;

/// What came in: method and path, and the body.
type Call = (String, String);

pub struct AlertReceiver {
    pub ca_file: PathBuf,
    port: u16,
    calls: Receiver<Call>,
    /// Bodies of alerts so far.
    pub alerts: Vec<Value>,
    /// Pings of the dead man's switch so far.
    pub pings: usize,
}

impl AlertReceiver {
    /// Listens; its CA goes to `dir`. Its threads end with the process.
    pub fn start(dir: &Path) -> Self {
        Self::with(dir, Flavour::Good)
    }

    /// One that shows this certificate.
    pub fn with(dir: &Path, flavour: Flavour) -> Self {
        let authority = Authority::new().unwrap();
        let ca_file = dir.join("alerts-ca.pem");
        std::fs::write(&ca_file, authority.pem()).unwrap();
        let config = authority.server(flavour).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (send, calls) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (config, send) = (Arc::clone(&config), send.clone());
                std::thread::spawn(move || serve(stream, config, &send));
            }
        });
        Self { ca_file, port, calls, alerts: Vec::new(), pings: 0 }
    }

    /// The table `[alerts]` of a configuration that sends everything here.
    pub fn config(&self) -> String {
        format!(
            "[alerts]\nwebhook_url = \"https://localhost:{0}/hook/{SECRET}\"\n\
             dead_man_url = \"https://localhost:{0}/alive/{SECRET}\"\n\
             ca_file = \"{1}\"\ndead_man_every_s = 10\n",
            self.port,
            self.ca_file.display()
        )
    }

    /// The next alert of this kind; those before it are kept in `alerts`.
    pub fn wait_for(&mut self, kind: &str) -> Value {
        let end = Instant::now() + patience();
        while let Some(alert) = self.next(end) {
            if alert["kind"] == kind {
                return alert;
            }
        }
        panic!("no {kind} came in; there were {:?}", self.alerts);
    }

    /// Waits for a ping of the dead man's switch.
    pub fn wait_for_ping(&mut self) {
        let end = Instant::now() + patience();
        while self.pings == 0 {
            assert!(Instant::now() < end, "the dead man's switch was never pinged");
            self.listen(Duration::from_millis(100));
        }
    }

    /// Takes in what comes within this time.
    pub fn listen(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while self.next(end).is_some() {}
    }

    fn next(&mut self, end: Instant) -> Option<Value> {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let (head, body) = self.calls.recv_timeout(left).ok()?;
            if head == format!("GET /alive/{SECRET}") {
                self.pings += 1;
                continue;
            }
            assert_eq!(head, format!("POST /hook/{SECRET}"));
            let alert: Value = serde_json::from_str(&body).expect("the body is JSON");
            self.alerts.push(alert.clone());
            return Some(alert);
        }
    }
}

/// What makes the addresses secret.
pub const SECRET: &str = "T0KEN-that-nobody-may-see";

fn serve(stream: TcpStream, config: Arc<ServerConfig>, send: &Sender<Call>) {
    let connection = ServerConnection::new(config).unwrap();
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    while let Some(call) = read(&mut stream) {
        let _ = send.send(call);
        if stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n").is_err() {
            return;
        }
    }
}

fn read(stream: &mut impl BufRead) -> Option<Call> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let head = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            None => break,
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().ok()?;
            }
            Some(_) => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8(body).ok()?))
}
