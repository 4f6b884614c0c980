//! Opening a connection: name look-up, TCP, TLS handshake, all within one deadline. `keeper` and the cold client call
//! it; a hot thread only ever gets the finished stream.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};
use thiserror::Error;

use super::clock::Deadline;
use super::thread::within;
use super::tls::{Tls, explain};
use super::url::SecureUrl;
use crate::types::limits::{LINK_READ_TIMEOUT_MS, TCP_USER_TIMEOUT_MS};

/// A TLS connection over our socket.
pub type TlsStream = StreamOwned<ClientConnection, Socket>;

/// Why no connection could be made. Names the host, never the path.
#[derive(Debug, Error)]
pub enum DialError {
    #[error("{host}: name look-up: {why}")]
    Lookup { host: String, why: String },
    #[error("{host}: connect: {source}")]
    Connect { host: String, source: io::Error },
    #[error("{host}: TLS refused: {why}")]
    Tls { host: String, why: String },
}

/// Makes connections. Clones share the memory of addresses that worked.
#[derive(Clone)]
pub struct Dialer {
    tls: Tls,
    known: Addresses,
}

/// Addresses by host and port. Cold: taken once per connection attempt, never by a hot thread.
#[expect(clippy::disallowed_types, reason = "the clones live on cold threads that block anyway")]
type Addresses = Arc<std::sync::Mutex<HashMap<(String, u16), Vec<SocketAddr>>>>;

impl Dialer {
    pub fn new(tls: Tls) -> Self {
        Self { tls, known: Addresses::default() }
    }

    /// Looks up, connects and shakes hands. The stream is blocking and keeps the deadline until it is given another
    /// [`Pace`].
    ///
    /// # Errors
    /// No address (now or ever before), none of them answers, or the certificate is not the host's.
    pub fn dial(&self, url: &SecureUrl, deadline: Deadline) -> Result<TlsStream, DialError> {
        let host = || url.authority();
        let tcp = connect(&self.addresses(url, deadline)?, deadline)
            .map_err(|source| DialError::Connect { host: host(), source })?;
        let refused = |why| DialError::Tls { host: host(), why };
        let connection = ClientConnection::new(self.tls.config(), url.server_name())
            .map_err(|error| refused(explain(&error)))?;
        let mut stream = StreamOwned::new(connection, Socket { tcp, pace: Pace::Until(deadline), reads: 0 });
        stream.conn.complete_io(&mut stream.sock).map_err(|error| refused(explain_io(&error)))?;
        Ok(stream)
    }

    /// Fresh addresses; those of the last look-up that worked when the resolver fails or is slow (TLS still proves
    /// who answers).
    fn addresses(&self, url: &SecureUrl, deadline: Deadline) -> Result<Vec<SocketAddr>, DialError> {
        let key = (url.host().to_owned(), url.port());
        let found = look_up(key.clone(), deadline);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match found {
            Ok(fresh) => Ok(known.entry(key).insert_entry(fresh).get().clone()),
            Err(why) => known.get(&key).cloned().ok_or(DialError::Lookup { host: url.authority(), why }),
        }
    }
}

/// How reads and writes of a [`Socket`] wait.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// Until the deadline, over all calls together; then `TimedOut`.
    Until(Deadline),
    /// Reads return `WouldBlock` after 250 ms, writes when the kernel's buffer stays full for as long.
    Tick,
    /// Never: `WouldBlock` at once.
    Poll,
}

/// A TCP socket that waits as its [`Pace`] says.
#[derive(Debug)]
pub struct Socket {
    tcp: TcpStream,
    pace: Pace,
    /// Reads left before `WouldBlock` is answered without asking the kernel; only in [`Pace::Tick`].
    reads: u32,
}

/// Reads that one visit of a blocking link may take: a peer that drips single bytes holds it for 6 × 250 ms at most,
/// less than the age at which a heartbeat counts as lost. A large message merely needs several visits.
const READS_PER_VISIT: u32 = 6;

/// How long one read may look at the network card, µs; a read that must not block looks once.
const BUSY_POLL_US: u32 = 50;

impl Socket {
    /// # Errors
    /// When the kernel refuses the socket option.
    pub fn set_pace(&mut self, pace: Pace) -> io::Result<()> {
        let tick = Some(Duration::from_millis(LINK_READ_TIMEOUT_MS));
        self.tcp.set_nonblocking(matches!(pace, Pace::Poll))?;
        if matches!(pace, Pace::Tick) {
            self.tcp.set_read_timeout(tick)?;
            self.tcp.set_write_timeout(tick)?;
        }
        self.pace = pace;
        Ok(())
    }

    /// Asks the kernel to look at the network card itself when a read finds nothing. Where that is not permitted (it
    /// takes `CAP_NET_ADMIN`), or the card does not know it, reads merely wait for the interrupt.
    pub fn poll_the_card(&self) {
        let _refused = socket2::SockRef::from(&self.tcp).set_busy_poll(BUSY_POLL_US);
    }

    /// A new visit of a blocking link begins.
    pub fn refill(&mut self) {
        self.reads = READS_PER_VISIT;
    }

    /// The peer has neither closed nor sent anything that was not read yet. Never blocks.
    pub fn is_quiet(&mut self) -> bool {
        let before = self.pace;
        let quiet = self.tcp.set_nonblocking(true).is_ok()
            && matches!(self.tcp.peek(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        self.set_pace(before).is_ok() && quiet
    }

    fn before_read(&mut self) -> io::Result<()> {
        match self.pace {
            Pace::Until(deadline) => self.tcp.set_read_timeout(Some(time_left(deadline)?)),
            Pace::Tick => {
                self.reads = self.reads.checked_sub(1).ok_or(io::ErrorKind::WouldBlock)?;
                Ok(())
            }
            Pace::Poll => Ok(()),
        }
    }

    fn before_write(&mut self) -> io::Result<()> {
        match self.pace {
            Pace::Until(deadline) => self.tcp.set_write_timeout(Some(time_left(deadline)?)),
            Pace::Tick | Pace::Poll => Ok(()),
        }
    }

    /// The kernel reports a lapsed socket timeout as `WouldBlock`; with a deadline it is the end.
    fn after(&self, error: io::Error) -> io::Error {
        match (self.pace, error.kind()) {
            (Pace::Until(_), io::ErrorKind::WouldBlock) => timed_out(),
            _ => error,
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.before_read()?;
        self.tcp.read(buffer).map_err(|error| self.after(error))
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.before_write()?;
        self.tcp.write(bytes).map_err(|error| self.after(error))
    }

    fn write_vectored(&mut self, buffers: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.before_write()?;
        self.tcp.write_vectored(buffers).map_err(|error| self.after(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The resolver has no deadline of its own, so it runs beside us.
fn look_up(key: (String, u16), deadline: Deadline) -> Result<Vec<SocketAddr>, String> {
    let limit = deadline.left().ok_or("out of time")?;
    let found = within(limit / 2, move || key.to_socket_addrs().map(Iterator::collect::<Vec<_>>));
    match found {
        None => Err("the resolver does not answer".to_owned()),
        Some(Err(error)) => Err(error.to_string()),
        Some(Ok(addresses)) if addresses.is_empty() => Err("the name has no address".to_owned()),
        Some(Ok(addresses)) => Ok(addresses),
    }
}

/// The first address that answers; each gets its share of the time.
fn connect(addresses: &[SocketAddr], deadline: Deadline) -> io::Result<TcpStream> {
    let mut last = timed_out();
    for (tried, address) in addresses.iter().enumerate() {
        let share = time_left(deadline)? / u32::try_from(addresses.len() - tried).unwrap_or(1);
        match TcpStream::connect_timeout(address, share) {
            Ok(tcp) => return prepare(tcp),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn prepare(tcp: TcpStream) -> io::Result<TcpStream> {
    tcp.set_nodelay(true)?;
    rustix::net::sockopt::set_tcp_user_timeout(&tcp, TCP_USER_TIMEOUT_MS)?;
    Ok(tcp)
}

fn time_left(deadline: Deadline) -> io::Result<Duration> {
    deadline.left().ok_or_else(timed_out)
}

fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "out of time")
}

/// rustls hands its own error through an `io::Error`.
fn explain_io(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    inner.map_or_else(|| error.to_string(), explain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::loopback::{Flaw, Loopback, send, soon};

    #[test]
    fn a_good_certificate_is_taken_and_bytes_flow() {
        let server = Loopback::serve(Flaw::Nothing, 1, |stream| send(stream, b"hello"));
        let mut stream = server.dialer().dial(&server.url("https", "/"), soon()).unwrap();
        let mut bytes = [0; 5];
        stream.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"hello");
    }

    #[test]
    fn five_bad_certificates_are_refused_and_told_apart() {
        for (flaw, word) in Flaw::BAD {
            let server =
                Loopback::serve(flaw, 1, |stream| panic!("took a bad certificate: {:?}", stream.conn));
            let error =
                server.dialer().dial(&server.url("https", "/?CANARY"), soon()).err().unwrap().to_string();
            assert!(error.starts_with("localhost:") && error.contains(word), "{flaw:?}: {error}");
            assert!(!error.contains("CANARY"));
        }
    }

    #[test]
    fn without_the_ca_file_the_private_ca_is_unknown() {
        let server = Loopback::serve(Flaw::Nothing, 1, |_| {});
        let dialer = Dialer::new(Tls::new(None).unwrap());
        let error = dialer.dial(&server.url("https", "/"), soon()).err().unwrap();
        assert!(error.to_string().contains("ca_file"), "{error}");
    }

    #[test]
    fn a_plaintext_server_is_refused() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = SecureUrl::https("127.0.0.1", listener.local_addr().unwrap().port()).unwrap();
        std::thread::spawn(move || listener.accept().unwrap().0.write_all(b"HTTP/1.1 400 Plain\r\n\r\n"));
        let error = Dialer::new(Tls::new(None).unwrap()).dial(&url, soon()).err().unwrap();
        assert!(matches!(error, DialError::Tls { .. }), "{error}");
    }

    #[test]
    fn a_silent_server_ends_at_the_deadline() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = SecureUrl::https("127.0.0.1", listener.local_addr().unwrap().port()).unwrap();
        let deadline = Deadline::after(Duration::from_millis(100));
        let error = Dialer::new(Tls::new(None).unwrap()).dial(&url, deadline).err().unwrap();
        assert!(error.to_string().contains("out of time"), "{error}");
        drop(listener);
        let error = Dialer::new(Tls::new(None).unwrap()).dial(&url, soon()).err().unwrap();
        assert!(matches!(error, DialError::Connect { .. }), "{error}");
    }

    #[test]
    fn the_last_good_address_outlives_the_resolver() {
        let dialer = Dialer::new(Tls::new(None).unwrap());
        let url = SecureUrl::https("gone.invalid", 443).unwrap();
        assert!(matches!(dialer.addresses(&url, soon()), Err(DialError::Lookup { .. })));
        let address = SocketAddr::from(([127, 0, 0, 1], 443));
        dialer.known.lock().unwrap().insert(("gone.invalid".to_owned(), 443), vec![address]);
        assert_eq!(dialer.clone().addresses(&url, soon()).unwrap(), [address]);
    }

    #[test]
    fn a_dripping_peer_cannot_hold_a_visit() {
        let server = Loopback::serve(Flaw::Nothing, 1, |stream| {
            stream.sock.write_all(&[0; 100]).unwrap();
            let _until_closed = stream.sock.read(&mut [0]);
        });
        let mut stream = server.dialer().dial(&server.url("https", "/"), soon()).unwrap();
        stream.sock.set_pace(Pace::Tick).unwrap();
        for visit in 0..3 {
            stream.sock.refill();
            let reads = std::iter::repeat_with(|| stream.sock.read(&mut [0])).take_while(Result::is_ok);
            assert_eq!(reads.count(), READS_PER_VISIT as usize, "visit {visit}");
        }
    }

    #[test]
    fn aes_128_is_what_both_sides_settle_on() {
        let server = Loopback::serve(Flaw::Nothing, 1, |stream| send(stream, b"x"));
        let stream = server.dialer().dial(&server.url("https", "/"), soon()).unwrap();
        let suite = stream.conn.negotiated_cipher_suite().unwrap().suite();
        assert_eq!(suite, rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
    }
}
