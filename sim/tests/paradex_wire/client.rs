//! A run, a REST connection for each call, and sockets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bot4_sim::control::VenueName;
use bot4_sim::core::model::Script;
use bot4_sim::core::money;
use bot4_sim::{Options, Running, Sim};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::sbe::{Frame, decode};
use crate::signer::Signer;

pub const MARKET: &str = "BTC-USD-PERP";

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// A started simulator and the keys of its trader.
pub struct Venue {
    pub sim: Running,
    pub signer: Signer,
    port: u16,
    tls: Arc<ClientConfig>,
}

/// A response: status, lower-case head, JSON body (null when there is none).
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: Value,
}

pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

impl Venue {
    pub fn start() -> Venue {
        Venue::with(Options::default())
    }

    pub fn with(options: Options) -> Venue {
        let signer = Signer::new(&options.keys.paradex_subkey, &options.keys.paradex_account);
        let sim = Sim::start(options).unwrap();
        let url = &sim.endpoints.paradex.rest_url;
        let port = url.trim_start_matches("https://localhost:").trim_end_matches("/v1").parse().unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&sim.endpoints.ca_file).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let tls = Arc::new(tls.with_root_certificates(roots).with_no_client_auth());
        Venue { sim, signer, port, tls }
    }

    /// Holds prices still around 72,000, so that fills can be predicted.
    pub fn still(self) -> Venue {
        let script =
            Script { mid: Some(money::parse("72000").unwrap()), basis_bps: Some(0), ..Script::default() };
        self.sim.control.script(VenueName::Paradex, MARKET, script).unwrap();
        self
    }

    fn connect(&self) -> Tls {
        let name = ServerName::try_from("localhost").unwrap();
        let session = ClientConnection::new(self.tls.clone(), name).unwrap();
        let tcp = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        StreamOwned::new(session, tcp)
    }

    /// One request on a connection of its own.
    pub fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Response {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut stream = self.connect();
        let head =
            format!("{method} /v1{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}");
        let kind = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{kind}{body}").as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Response { status, head: head.to_lowercase(), body: serde_json::from_str(body).unwrap_or_default() }
    }

    pub fn get(&self, token: &str, path: &str) -> Response {
        self.call("GET", path, &[("Authorization", &format!("Bearer {token}"))], None)
    }

    /// Logs in with `signer`, at `path` (with query).
    pub fn log_in_with(&self, signer: &Signer, path: &str) -> Response {
        let now_s = now_ms() / 1_000;
        let (timestamp, expiration) = (now_s.to_string(), (now_s + 600).to_string());
        let headers = [
            ("PARADEX-STARKNET-ACCOUNT", signer.account()),
            ("PARADEX-STARKNET-SIGNATURE", signer.auth(now_s, now_s + 600)),
            ("PARADEX-TIMESTAMP", timestamp),
            ("PARADEX-SIGNATURE-EXPIRATION", expiration),
        ];
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.call("POST", path, &headers, None)
    }

    /// A token of the subkey; `query` may ask for a Retail one.
    pub fn token(&self, query: &str) -> String {
        let reply = self.log_in_with(&self.signer, &format!("/auth/{}{query}", self.signer.public_key()));
        reply.body["jwt_token"].as_str().unwrap().to_owned()
    }

    /// A signed body.
    pub fn order(&self, side: &str, kind: &str, size: &str, price: &str, instruction: &str) -> Value {
        let time = now_ms();
        let signature = self.signer.order(time, MARKET, side, kind, size, price);
        json!({
            "market": MARKET, "side": side, "type": kind, "size": size, "price": price,
            "instruction": instruction, "signature_timestamp": time, "signature": signature, "recv_window": 5_000,
        })
    }

    pub fn place(&self, token: &str, body: &Value) -> Response {
        self.call("POST", "/orders", &[("Authorization", &format!("Bearer {token}"))], Some(body))
    }

    pub fn try_socket(&self, query: &str) -> Result<Socket, u16> {
        let url = format!("wss://localhost:{}/v1{query}", self.port);
        match tungstenite::client(url, self.connect()) {
            Ok((socket, _)) => Ok(Socket { socket, next_id: 1, waiting: Vec::new() }),
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => {
                Err(response.status().as_u16())
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// A socket of schema version 2.
    pub fn socket(&self) -> Socket {
        self.try_socket("?sbeSchemaId=1&sbeSchemaVersion=2").ok().unwrap()
    }

    /// A socket that has authenticated and subscribed to these channels.
    pub fn private_socket(&self, token: &str, channels: &[&str]) -> Socket {
        let mut socket = self.socket();
        assert!(socket.request("auth", json!({"bearer": token}))["result"]["node_id"].is_string());
        channels.iter().for_each(|channel| socket.subscribe(channel));
        socket
    }
}

/// What a socket delivers besides replies.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivery {
    Frame(Frame),
    Event(Value),
    /// The close code; `None` when the connection just ended.
    Closed(Option<u16>),
}

pub struct Socket {
    socket: WebSocket<Tls>,
    next_id: u64,
    waiting: Vec<Delivery>,
}

impl Socket {
    /// Sends a request and returns its reply; what comes before it is kept.
    pub fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        loop {
            match self.read() {
                Ok(Delivery::Event(value)) if value["id"] == id => return value,
                Ok(delivery) => self.waiting.push(delivery),
                Err(code) => panic!("closed with {code:?}"),
            }
        }
    }

    /// Sends a request without waiting for anything.
    pub fn send(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let text = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string();
        self.socket.send(Message::text(text)).unwrap();
        id
    }

    /// Pings with this payload and returns that of the pong.
    pub fn ping(&mut self, payload: &'static [u8]) -> Vec<u8> {
        self.socket.send(Message::Ping(payload.into())).unwrap();
        loop {
            if let Message::Pong(bytes) = self.socket.read().unwrap() {
                return bytes.to_vec();
            }
        }
    }

    pub fn subscribe(&mut self, channel: &str) {
        let reply = self.request("subscribe", json!({"channel": channel}));
        assert_eq!(reply["result"]["channel"], channel, "{reply}");
    }

    /// The next thing that is no reply to a request that waits.
    pub fn next(&mut self) -> Delivery {
        if !self.waiting.is_empty() {
            return self.waiting.remove(0);
        }
        self.read().unwrap_or_else(Delivery::Closed)
    }

    /// The next delivery that `pick` takes.
    pub fn find<T>(&mut self, mut pick: impl FnMut(&Delivery) -> Option<T>) -> T {
        loop {
            let delivery = self.next();
            if let Some(found) = pick(&delivery) {
                return found;
            }
            assert!(!matches!(delivery, Delivery::Closed(_)), "{delivery:?}");
        }
    }

    /// The order event of `id` that closes it: its reason and what is still open.
    pub fn closed_order(&mut self, id: &str) -> (String, i64) {
        self.find(|delivery| match delivery {
            Delivery::Frame(Frame::Order { status: 4, id: this, reason, open, .. }) if this == id => {
                Some((reason.clone(), *open))
            }
            _ => None,
        })
    }

    fn read(&mut self) -> Result<Delivery, Option<u16>> {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return Ok(Delivery::Event(serde_json::from_str(&text).unwrap())),
                Ok(Message::Binary(bytes)) => return Ok(Delivery::Frame(decode(&bytes))),
                Ok(Message::Close(frame)) => return Err(frame.map(|frame| frame.code.into())),
                Ok(_) => {}
                Err(_) => return Err(None),
            }
        }
    }
}
