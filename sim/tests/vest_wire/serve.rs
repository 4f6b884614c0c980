//! The served simulator from outside: endpoints, files, the control port, certificates, connections cut
//! and held up.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bot4_sim::control::VenueName;
use bot4_sim::core::Socket;
use bot4_sim::tls::Flavour;
use bot4_sim::{Options, Sim};

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

use crate::client::Ws;

/// One request to the control port.
fn control(base: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let mut stream = TcpStream::connect(base.strip_prefix("http://").unwrap()).unwrap();
    let text = body.to_string();
    let length = text.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
    );
    stream.write_all(format!("{head}Content-Length: {length}\r\n\r\n{text}").as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let status = reply.split(' ').nth(1).unwrap().parse().unwrap();
    let body = reply.split_once("\r\n\r\n").unwrap().1;
    (status, serde_json::from_str(body).unwrap())
}

#[test]
fn serve_prints_where_everything_is_and_obeys_the_control_port() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_bot4-sim"))
        .args(["serve", "--seed", "3", "--scenario"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/scenario.jsonl"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let endpoints: Value = serde_json::from_str(&line).unwrap();
    let text = |pointer: &str| endpoints.pointer(pointer).and_then(Value::as_str).unwrap();
    assert!(text("/vest/rest_url").ends_with("/v2") && text("/vest/ws_url").ends_with("/ws-api"));
    assert!(
        text("/paradex/rest_url").ends_with("/v1") && text("/paradex/ws_url").starts_with("wss://localhost:")
    );
    assert_eq!(std::fs::metadata(text("/env_file")).unwrap().permissions().mode() & 0o777, 0o600);

    let base = text("/control");
    let (_, truth) = control(base, "GET", "/truth", &Value::Null);
    assert_eq!(truth["vest"]["ledger_total"], truth["vest"]["account"]["balance"]);
    let trade = json!({"venue": "paradex", "market": "ETH-USD-PERP", "side": "buy", "size": "0.5"});
    assert_eq!(control(base, "POST", "/trade", &trade), (200, json!({"ok": true})));
    std::thread::sleep(Duration::from_millis(200));
    let (_, truth) = control(base, "GET", "/truth", &Value::Null);
    assert_eq!(truth["paradex"]["positions"][1]["size"], 50_000_000);
    assert_eq!(truth["paradex"]["positions"][2]["size"], -300_000_000, "the scenario's trade");
    assert_eq!(truth["vest"]["mode"], "halt", "the scenario's mode");
    let fill = truth["paradex"]["fills"][0]["id"].clone();
    assert_eq!(control(base, "POST", "/bust", &json!({"venue": "paradex", "fill": fill})).0, 200);
    let (status, refusal) = control(base, "POST", "/mode", &json!({"venue": "vest", "mode": "asleep"}));
    assert_eq!(status, 400);
    assert!(refusal["error"].as_str().unwrap().contains("asleep"));
    assert!(control(base, "GET", "/stats", &Value::Null).1["venue_view_us"]["first"]["p99"].is_number());

    let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Whether a strict client completes its handshake.
fn handshake(flavour: Flavour) -> Result<(), String> {
    let running = Sim::start(Options { vest_tls: flavour, ..Options::default() }).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&running.endpoints.ca_file).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    let host = running.endpoints.vest.rest_url.replace("https://localhost", "127.0.0.1").replace("/v2", "");
    let mut stream = StreamOwned::new(session, TcpStream::connect(host).unwrap());
    stream
        .write_all(b"GET /v2/exchangeInfo HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .map_err(|e| e.to_string())?;
    let mut byte = [0];
    stream.read_exact(&mut byte).map_err(|e| e.to_string())
}

#[test]
fn every_bad_certificate_is_bad_in_its_own_way() {
    handshake(Flavour::Good).unwrap();
    let reason = |flavour| handshake(flavour).unwrap_err();
    assert!(reason(Flavour::Expired).contains("expired"));
    assert!(reason(Flavour::NotYetValid).contains("not valid yet"));
    assert!(reason(Flavour::WrongHost).contains("not valid for name"));
    for unknown in [Flavour::SelfSigned, Flavour::UnknownCa] {
        let reason = reason(unknown);
        assert!(reason.contains("UnknownIssuer") || reason.contains("CaUsedAsEndEntity"), "{reason}");
    }
}

#[test]
fn a_stalled_connection_is_silent_and_goes_on_later() {
    let running = Sim::start(Options::default()).unwrap();
    let ends = &running.endpoints;
    let mut ws = Ws::connect(&ends.ca_file, &ends.vest.ws_url, "?version=1.0");
    ws.send(&json!({"method": "SUBSCRIBE", "params": ["BTC-PERP@depth"], "id": 1}));
    (0..3).for_each(|_| drop(ws.next_json()));
    running.control.stall(VenueName::Vest, Socket::Md, true);
    let sent = || running.control.stats().updates_sent.get("vest").copied();
    std::thread::sleep(Duration::from_millis(500));
    let before = sent();
    std::thread::sleep(Duration::from_millis(1_000));
    assert_eq!(sent(), before, "nothing leaves a stalled connection");
    running.control.clear();
    assert_eq!(ws.next_json()["channel"], "BTC-PERP@depth");
    while sent() == before {
        ws.next_json();
    }
}
