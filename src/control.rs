//! The control socket: how the operator's verbs speak to a running engine. The server is a value that thread `main`
//! polls; the client blocks and belongs to the verbs. Unix only, mode 0600, the peer's user checked by the kernel's
//! word; one JSON request a line, one JSON reply a line, both capped. It decides nothing: the answer is the caller's.

mod halt_file;

use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::sys::process;
use crate::types::Nanos;
pub use halt_file::HaltFile;

/// Peers served at once; a person has one terminal, a supervisor one more.
const PEERS_MAX: usize = 8;
/// Longest request line, bytes.
const REQUEST_MAX: usize = 4 << 10;
/// Longest reply line, bytes.
const REPLY_MAX: u64 = 1 << 20;
/// A peer that says nothing, or does not read, is dropped after this.
const PEER_IDLE_MS: u64 = 5_000;
/// How long the client waits for the engine.
const CLIENT_WAIT: Duration = Duration::from_secs(5);

/// What an operator can ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Verb {
    Status,
    Pause,
    Resume,
    /// Latches Halted; closes every pair too when `flatten`.
    Halt {
        flatten: bool,
    },
    /// Takes the latch away, to Paused. The reason is a person's and goes into the journal.
    Unlatch {
        reason: String,
    },
    /// Takes what the venues hold as the book of this pair.
    Adopt {
        pair: String,
    },
}

/// One request line: `{"verb":"status"}`, `{"verb":{"halt":{"flatten":true}}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub verb: Verb,
}

/// One reply line: `{"done":…}` or `{"refused":"why"}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// It was done; the body is the verb's own (the status object, or the mode that follows).
    Done(serde_json::Value),
    Refused(String),
}

/// Why there is no control, on either end.
#[derive(Debug, Error)]
pub enum ControlError {
    #[error("{path}: an engine already listens there; stop it, or set another [control] socket")]
    InUse { path: PathBuf },
    #[error("{path}: is there and no socket; remove it, or set another [control] socket")]
    NotASocket { path: PathBuf },
    #[error("{path}: no engine listens there; start it, or give its configuration with --config")]
    NoEngine { path: PathBuf },
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("the engine's reply is not readable: {0}")]
    Reply(String),
}

/// The engine's end. Non-blocking: `poll` does what can be done at once.
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    peers: Vec<Peer>,
}

impl Server {
    /// Listens at `path`. A socket left by a dead engine is replaced; one that answers is not.
    pub fn bind(path: &Path) -> Result<Self, ControlError> {
        let failed = |source| ControlError::Io { path: path.to_owned(), source };
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        clear_stale(path)?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self { listener, path: path.to_owned(), peers: Vec::new() })
    }

    /// Accepts, reads, answers and writes what is ready. True when it did any work.
    pub fn poll(&mut self, now: Nanos, answer: &mut dyn FnMut(Request) -> Reply) -> bool {
        let mut worked = self.accept(now);
        for peer in &mut self.peers {
            worked |= peer.poll(now, answer);
        }
        self.peers.retain(|peer| peer.open && now.ms_since(peer.active_at) < PEER_IDLE_MS);
        worked
    }

    /// Takes waiting peers; strangers and those beyond the limit are hung up on.
    fn accept(&mut self, now: Nanos) -> bool {
        let mut worked = false;
        while let Ok((stream, _)) = self.listener.accept() {
            worked = true;
            if self.peers.len() < PEERS_MAX && is_ours(&stream) && stream.set_nonblocking(true).is_ok() {
                self.peers.push(Peer::new(stream, now));
            }
        }
        worked
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A file that is gone already is what we want; nobody is left to hear of another error.
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes the socket of an engine that is no more.
fn clear_stale(path: &Path) -> Result<(), ControlError> {
    let failed = |source| ControlError::Io { path: path.to_owned(), source };
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !meta.file_type().is_socket() {
        return Err(ControlError::NotASocket { path: path.to_owned() });
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(ControlError::InUse { path: path.to_owned() }),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(failed),
        Err(error) => Err(failed(error)),
    }
}

/// Whether the kernel says that the other end runs as our user.
fn is_ours(stream: &UnixStream) -> bool {
    process::peer_uid(stream).is_ok_and(|uid| uid == process::own_uid())
}

/// One connected operator.
struct Peer {
    stream: UnixStream,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    active_at: Nanos,
    open: bool,
}

impl Peer {
    fn new(stream: UnixStream, now: Nanos) -> Self {
        Self { stream, inbox: Vec::new(), outbox: Vec::new(), active_at: now, open: true }
    }

    fn poll(&mut self, now: Nanos, answer: &mut dyn FnMut(Request) -> Reply) -> bool {
        let mut worked = false;
        // Until its last reply has been taken a peer is not read: nobody can make the engine hold more than one.
        if self.outbox.is_empty() {
            worked |= self.read();
            if let Some(line) = self.next_line() {
                let reply = serde_json::from_slice(&line).map_or_else(not_understood, &mut *answer);
                self.outbox = encode(&reply);
                worked = true;
            }
        }
        worked |= self.write();
        if worked {
            self.active_at = now;
        }
        worked
    }

    fn read(&mut self) -> bool {
        let mut chunk = [0; REQUEST_MAX];
        match self.stream.read(&mut chunk) {
            Ok(0) => self.open = false,
            Ok(count) => {
                self.inbox.extend(chunk.iter().take(count));
                return true;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.open = false,
        }
        false
    }

    /// A whole request line, without its end. A line that outgrows its cap hangs up.
    fn next_line(&mut self) -> Option<Vec<u8>> {
        let Some(end) = self.inbox.iter().position(|byte| *byte == b'\n') else {
            self.open &= self.inbox.len() <= REQUEST_MAX;
            return None;
        };
        let rest = self.inbox.split_off(end + 1);
        let mut line = std::mem::replace(&mut self.inbox, rest);
        line.truncate(end);
        Some(line)
    }

    fn write(&mut self) -> bool {
        if self.outbox.is_empty() {
            return false;
        }
        match self.stream.write(&self.outbox) {
            Ok(count) => {
                self.outbox.drain(..count.min(self.outbox.len()));
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => false,
            Err(_) => {
                self.open = false;
                false
            }
        }
    }
}

fn not_understood(error: serde_json::Error) -> Reply {
    Reply::Refused(format!("request not understood: {error}"))
}

/// A line of JSON. A reply beyond the cap is replaced by the news that it was.
fn encode(reply: &Reply) -> Vec<u8> {
    let line = serde_json::to_vec(reply).ok().filter(|line| (line.len() as u64) < REPLY_MAX);
    let mut line = line.unwrap_or_else(|| br#"{"refused":"the reply is too large"}"#.to_vec());
    line.push(b'\n');
    line
}

/// Asks the engine that listens at `path`; blocks up to five seconds.
pub fn ask(path: &Path, request: &Request) -> Result<Reply, ControlError> {
    let failed = |source| ControlError::Io { path: path.to_owned(), source };
    let mut stream = UnixStream::connect(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            ControlError::NoEngine { path: path.to_owned() }
        }
        _ => failed(error),
    })?;
    stream.set_read_timeout(Some(CLIENT_WAIT)).map_err(failed)?;
    stream.set_write_timeout(Some(CLIENT_WAIT)).map_err(failed)?;
    let mut line = serde_json::to_vec(request).map_err(|error| ControlError::Reply(error.to_string()))?;
    line.push(b'\n');
    stream.write_all(&line).map_err(failed)?;
    let mut reply = String::new();
    BufReader::new(stream.take(REPLY_MAX)).read_line(&mut reply).map_err(failed)?;
    serde_json::from_str(&reply).map_err(|error| ControlError::Reply(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNKNOWN: &str = "{\"verb\":{\"halt\":{\"flatten\":true,\"now\":1}}}\n";
    const STATUS: Request = Request { verb: Verb::Status };

    fn server() -> (tempfile::TempDir, PathBuf, Server) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub").join("bot4.sock");
        let server = Server::bind(&path).unwrap();
        (dir, path, server)
    }

    fn echo(request: Request) -> Reply {
        Reply::Done(serde_json::json!({ "asked": request.verb }))
    }

    /// Sends bytes and polls until the server has answered or hung up.
    fn converse(server: &mut Server, path: &Path, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.write_all(bytes).unwrap();
        while server.poll(Nanos(1), &mut echo) {}
        server.poll(Nanos::from_ms(PEER_IDLE_MS + 1), &mut echo);
        let mut reply = String::new();
        let _ = stream.read_to_string(&mut reply);
        reply
    }

    #[test]
    fn a_request_is_answered() {
        let (_dir, path, mut server) = server();
        let reply = converse(&mut server, &path, b"{\"verb\":\"pause\"}\n{\"verb\":\"status\"}\n");
        assert_eq!(reply, "{\"done\":{\"asked\":\"pause\"}}\n{\"done\":{\"asked\":\"status\"}}\n");
    }

    #[test]
    fn a_verb_brings_what_it_needs() {
        let line = serde_json::to_string(&Request { verb: Verb::Unlatch { reason: "seen".into() } }).unwrap();
        assert_eq!(line, r#"{"verb":{"unlatch":{"reason":"seen"}}}"#);
        let halt: Request = serde_json::from_str(r#"{"verb":{"halt":{"flatten":true}}}"#).unwrap();
        assert_eq!(halt.verb, Verb::Halt { flatten: true });
    }

    #[test]
    fn nonsense_is_refused_and_floods_are_hung_up_on() {
        let (_dir, path, mut server) = server();
        for wrong in ["{}\n", "{\"verb\":\"fly\"}\n", "{\"verb\":\"pause\",\"x\":1}\n", UNKNOWN, "\u{0}\n"] {
            let reply = converse(&mut server, &path, wrong.as_bytes());
            assert!(reply.starts_with("{\"refused\":\"request not understood: "), "{wrong:?}: {reply}");
        }
        assert_eq!(converse(&mut server, &path, &[b'x'; REQUEST_MAX + 1]), "");
        assert!(server.peers.is_empty());
    }

    #[test]
    fn the_socket_is_private_and_goes_with_the_server() {
        let (_dir, path, server) = server();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(Server::bind(&path), Err(ControlError::InUse { .. })));
        drop(server);
        assert!(!path.exists());
        assert!(matches!(ask(&path, &STATUS), Err(ControlError::NoEngine { .. })));
    }

    #[test]
    fn a_dead_engines_socket_is_replaced_and_a_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        drop(UnixListener::bind(&path).unwrap());
        assert!(Server::bind(&path).is_ok());
        fs::write(&path, "precious").unwrap();
        assert!(matches!(Server::bind(&path), Err(ControlError::NotASocket { .. })));
    }

    #[test]
    fn peers_are_few() {
        let (_dir, path, mut server) = server();
        let _waiting: Vec<UnixStream> =
            (0..PEERS_MAX + 3).map(|_| UnixStream::connect(&path).unwrap()).collect();
        server.poll(Nanos(1), &mut echo);
        assert_eq!(server.peers.len(), PEERS_MAX);
    }

    #[test]
    fn no_damaged_request_panics() {
        let samples = [
            br#"{"verb":"status"}"#.to_vec(),
            br#"{"verb":{"halt":{"flatten":true}}}"#.to_vec(),
            br#"{"verb":{"unlatch":{"reason":"looked \u00e9 \n"}}}"#.to_vec(),
            br#"{"verb":{"adopt":{"pair":"BTC"}}}"#.to_vec(),
        ];
        crate::sys::fuzz::fuzz("control request", &samples, |bytes| {
            let request = serde_json::from_slice::<Request>(bytes);
            request.map_err(not_understood).map_err(|reply| encode(&reply)).is_ok()
        });
    }
}
