//! A small blocking client for tests, written from the venue sheets: TLS, HTTP/1.1, WebSocket, signatures.
//!
//! It shares no code with the simulator it talks to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use k256::ecdsa::SigningKey;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use sha3::{Digest, Keccak256};

type Tls = StreamOwned<ClientConnection, TcpStream>;

pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

fn port_of(url: &str) -> u16 {
    let host = url.split("://").nth(1).unwrap().split('/').next().unwrap();
    host.split(':').nth(1).unwrap().parse().unwrap()
}

fn path_of(url: &str) -> String {
    let rest = url.split("://").nth(1).unwrap();
    rest[rest.find('/').unwrap()..].to_owned()
}

fn connect(ca_file: &Path, port: u16) -> Tls {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca_file).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let session =
        ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    let tcp = TcpStream::connect(("127.0.0.1", port)).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    StreamOwned::new(session, tcp)
}

pub struct Reply {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// A keep-alive REST connection with Vest's headers.
pub struct Client {
    stream: BufReader<Tls>,
    ca_file: std::path::PathBuf,
    url: String,
    pub api_key: String,
    pub group: Option<u32>,
}

impl Client {
    pub fn new(ca_file: &Path, url: &str) -> Self {
        Self {
            stream: BufReader::new(connect(ca_file, port_of(url))),
            ca_file: ca_file.to_owned(),
            url: url.to_owned(),
            api_key: "sim-vest-api-key-0001".into(),
            group: Some(0),
        }
    }

    pub fn reconnect(&mut self) {
        self.stream = BufReader::new(connect(&self.ca_file, port_of(&self.url)));
    }

    /// Reads until the other side is gone; true when it said nothing before.
    pub fn was_cut(&mut self) -> bool {
        !matches!(self.stream.read(&mut [0]), Ok(1..))
    }

    pub fn public(&mut self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        self.write(method, path, body, "");
        self.read()
    }

    pub fn private(&mut self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        self.write(method, path, body, &self.headers());
        self.read()
    }

    /// Writes a signed order and leaves the answer alone.
    pub fn send_order(&mut self, key: &SigningKey, order: &Value) {
        let body = json!({"order": order, "recvWindow": 5000, "signature": sign_order(key, order)});
        self.write("POST", "/orders", Some(&body), &self.headers());
    }

    fn headers(&self) -> String {
        let group = self.group.map(|g| format!("xrestservermm: restserver{g}\r\n")).unwrap_or_default();
        format!("X-API-KEY: {}\r\n{group}", self.api_key)
    }

    fn write(&mut self, method: &str, path: &str, body: Option<&Value>, headers: &str) {
        let text = body.map(Value::to_string).unwrap_or_default();
        let base = path_of(&self.url);
        let request = format!(
            "{method} {base}{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{text}",
            text.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
    }

    fn read(&mut self) -> Reply {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut length = 0;
        loop {
            let mut header = String::new();
            self.stream.read_line(&mut header).unwrap();
            let header = header.trim().to_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        Reply { status, body }
    }
}

/// A WebSocket client: masked text out, text in.
pub struct Ws {
    stream: Tls,
}

/// One frame: its opcode and payload.
type Frame = (u8, Vec<u8>);

impl Ws {
    pub fn connect(ca_file: &Path, url: &str, query: &str) -> Self {
        let mut stream = connect(ca_file, port_of(url));
        let request = format!(
            "GET {}{query} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
            path_of(url)
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        Self { stream }
    }

    pub fn send(&mut self, message: &Value) {
        let text = message.to_string();
        let mut frame = vec![0x81];
        if text.len() < 126 {
            frame.push(0x80 | text.len() as u8);
        } else {
            frame.push(0x80 | 126);
            frame.extend((text.len() as u16).to_be_bytes());
        }
        // A mask of zeros is a mask.
        frame.extend([0; 4]);
        frame.extend(text.as_bytes());
        self.stream.write_all(&frame).unwrap();
    }

    pub fn next_text(&mut self) -> String {
        loop {
            let (opcode, payload) = self.frame().expect("the connection is open");
            if opcode == 1 {
                return String::from_utf8(payload).unwrap();
            }
            assert_ne!(opcode, 8, "closed: {payload:?}");
        }
    }

    pub fn next_json(&mut self) -> Value {
        serde_json::from_str(&self.next_text()).unwrap()
    }

    /// Reads to the end: the close code, or `None` when the connection was cut.
    pub fn closed_with(&mut self) -> Option<u16> {
        while let Some((opcode, payload)) = self.frame() {
            if opcode == 8 {
                return Some(u16::from_be_bytes([payload[0], payload[1]]));
            }
        }
        None
    }

    fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).ok()?;
        let length = match head[1] & 0x7f {
            126 => {
                let mut bytes = [0; 2];
                self.stream.read_exact(&mut bytes).ok()?;
                u64::from(u16::from_be_bytes(bytes))
            }
            127 => {
                let mut bytes = [0; 8];
                self.stream.read_exact(&mut bytes).ok()?;
                u64::from_be_bytes(bytes)
            }
            short => u64::from(short),
        };
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).ok()?;
        Some((head[0] & 0x0f, payload))
    }
}

pub fn key(private_hex: &str) -> SigningKey {
    SigningKey::from_slice(&hex::decode(&private_hex[2..]).unwrap()).unwrap()
}

pub fn address(key: &SigningKey) -> String {
    let point = key.verifying_key().to_sec1_point(false);
    let hash = Keccak256::digest(&point.as_bytes()[1..]);
    format!("0x{}", hex::encode(&hash[12..]))
}

/// Signs an order as the sheet's section 4.1 says.
pub fn sign_order(key: &SigningKey, order: &Value) -> String {
    let number = |name: &str| Field::Number(order[name].as_u64().unwrap());
    let text = |name: &str| Field::Text(order[name].as_str().unwrap().to_owned());
    let flag = |name: &str| Field::Number(u64::from(order[name].as_bool().unwrap()));
    let fields = [
        number("time"),
        number("nonce"),
        text("orderType"),
        text("symbol"),
        flag("isBuy"),
        text("size"),
        text("limitPrice"),
        flag("reduceOnly"),
    ];
    sign_fields(key, &fields)
}

pub fn cancellation(key: &SigningKey, time: u64, id: &str) -> Value {
    let signature = sign_fields(key, &[Field::Number(time), Field::Number(time), Field::Text(id.to_owned())]);
    json!({"order": {"time": time, "nonce": time, "id": id}, "recvWindow": 5000, "signature": signature})
}

pub fn registration(primary: &SigningKey, signing: &SigningKey, expiry: u64) -> Value {
    let hash = |text: &str| Keccak256::digest(text.as_bytes()).to_vec();
    let padded = |hex_address: &str| [vec![0; 12], hex::decode(&hex_address[2..]).unwrap()].concat();
    let domain = [
        hash("EIP712Domain(string name,string version,address verifyingContract)"),
        hash("VestRouterV2"),
        hash("0.0.1"),
        padded("0x8e4d87aef4ac4d5415c35a12319013e34223825b"),
    ];
    let proof = [
        hash("SignerProof(address approvedSigner,uint256 signerExpiry)"),
        padded(&address(signing)),
        [vec![0; 24], expiry.to_be_bytes().to_vec()].concat(),
    ];
    let message = [
        vec![0x19, 1],
        Keccak256::digest(domain.concat()).to_vec(),
        Keccak256::digest(proof.concat()).to_vec(),
    ];
    let signature = sign_digest(primary, &Keccak256::digest(message.concat()));
    json!({"signingAddr": address(signing), "primaryAddr": address(primary), "signature": signature,
        "expiryTime": expiry, "networkType": 0})
}

enum Field {
    Number(u64),
    Text(String),
}

fn sign_fields(key: &SigningKey, fields: &[Field]) -> String {
    let word = |number: usize| [vec![0; 24], (number as u64).to_be_bytes().to_vec()].concat();
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    for field in fields {
        match field {
            Field::Number(number) => head.extend(word(*number as usize)),
            Field::Text(text) => {
                head.extend(word(fields.len() * 32 + tail.len()));
                tail.extend(word(text.len()));
                tail.extend(text.as_bytes());
                while tail.len() % 32 != 0 {
                    tail.push(0);
                }
            }
        }
    }
    head.extend(tail);
    let mut message = b"\x19Ethereum Signed Message:\n32".to_vec();
    message.extend(Keccak256::digest(&head));
    sign_digest(key, &Keccak256::digest(&message))
}

fn sign_digest(key: &SigningKey, digest: &[u8]) -> String {
    let (signature, recovery) = key.sign_prehash_recoverable(digest);
    let v = 27 + u8::from(recovery.is_y_odd());
    format!("0x{}{v:02x}", hex::encode(signature.to_bytes()))
}
