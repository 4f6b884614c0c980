//! For tests only: a TLS server on loopback with a throw-away CA, whose certificate can have any of the usual flaws and
//! whose conduct is a closure.
#![cfg(test)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use super::clock::Deadline;
use super::socket::Dialer;
use super::tls::Tls;
use super::url::SecureUrl;

/// What is wrong with the server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    Nothing,
    Expired,
    NotYetValid,
    WrongHost,
    SelfSigned,
    UnknownCa,
}

impl Flaw {
    /// The bad ones, each with a word that the refusal must hold.
    pub(super) const BAD: [(Self, &'static str); 5] = [
        (Self::Expired, "expired"),
        (Self::NotYetValid, "not valid yet"),
        (Self::WrongHost, "another host"),
        (Self::SelfSigned, "unknown CA"),
        (Self::UnknownCa, "unknown CA"),
    ];
}

pub(super) type ServerStream = StreamOwned<ServerConnection, TcpStream>;

/// A listening server. Its thread serves `connections` one after the other and ends.
pub(super) struct Loopback {
    port: u16,
    folder: TempDir,
}

impl Loopback {
    pub(super) fn serve(
        flaw: Flaw,
        connections: usize,
        mut conduct: impl FnMut(&mut ServerStream) + Send + 'static,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Arc::new(server_config(flaw, &folder.path().join("ca.pem")));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for tcp in listener.incoming().take(connections) {
                let mut stream =
                    StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), tcp.unwrap());
                if stream.conn.complete_io(&mut stream.sock).is_ok() {
                    conduct(&mut stream);
                }
            }
        });
        Self { port, folder }
    }

    pub(super) fn url(&self, scheme: &str, target: &str) -> SecureUrl {
        SecureUrl::parse(&self.text(scheme, target)).unwrap()
    }

    pub(super) fn text(&self, scheme: &str, target: &str) -> String {
        format!("{scheme}://localhost:{}{target}", self.port)
    }

    pub(super) fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A dialer that trusts this server's CA beside the public roots.
    pub(super) fn dialer(&self) -> Dialer {
        Dialer::new(Tls::new(Some(&self.ca_file())).unwrap())
    }
}

/// Far enough that only a hang reaches it.
pub(super) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

/// Reads one request, head and sized body, and returns it.
pub(super) fn read_request(stream: &mut ServerStream) -> Vec<u8> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 1024]);
    loop {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some(head) = text.find("\r\n\r\n") {
            let length =
                text.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
            if bytes.len() >= head + 4 + length.unwrap_or(0) {
                return bytes;
            }
        }
        match stream.read(&mut chunk) {
            Ok(n) if n > 0 => bytes.extend_from_slice(&chunk[..n]),
            _ => return bytes,
        }
    }
}

/// Writes one TLS record and sends it at once.
pub(super) fn send(stream: &mut ServerStream, bytes: &[u8]) {
    let _gone = stream.write_all(bytes).and_then(|()| stream.flush());
}

fn server_config(flaw: Flaw, ca_file: &std::path::Path) -> ServerConfig {
    let (ca, trusted) = authority("trusted");
    std::fs::write(ca_file, trusted).unwrap();
    let (stranger, _) = authority("stranger");
    let name = if flaw == Flaw::WrongHost { "elsewhere.example" } else { "localhost" };
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    match flaw {
        Flaw::Expired => params.not_after = date_time_ymd(2020, 1, 1),
        Flaw::NotYetValid => params.not_before = date_time_ymd(2090, 1, 1),
        _ => {}
    }
    let key = KeyPair::generate().unwrap();
    let certificate = match flaw {
        Flaw::SelfSigned => params.self_signed(&key),
        Flaw::UnknownCa => params.signed_by(&key, &stranger),
        _ => params.signed_by(&key, &ca),
    };
    let chain = vec![certificate.unwrap().der().clone()];
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap()
}

fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), pem)
}
