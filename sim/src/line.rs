//! One accepted TLS connection that can be cut from outside, and the list of all of them.
//!
//! Made by `server`; the wires mark what a connection is used for, the control port cuts by that mark.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::core::Socket;

#[derive(Default)]
struct State {
    /// Bits of `Socket`; none = `Orders`.
    kinds: AtomicU8,
    cut: AtomicBool,
    /// Nothing goes in or out, and nobody is told: the half-open connection of the field.
    stalled: AtomicBool,
    waker: AtomicWaker,
}

/// A handle on a connection: marks its use.
#[derive(Clone, Default)]
pub struct Peer(Arc<State>);

impl Peer {
    /// Says what the connection is used for; a new one is of kind `Orders`.
    pub fn mark(&self, kind: Socket) {
        self.0.kinds.store(bit(kind), Ordering::Relaxed);
    }

    /// Says what the connection is used for besides.
    pub fn also(&self, kind: Socket) {
        self.0.kinds.fetch_or(bit(kind), Ordering::Relaxed);
    }

    fn cut(&self) {
        self.0.cut.store(true, Ordering::Release);
        self.0.waker.wake();
    }

    fn stall(&self, stalled: bool) {
        self.0.stalled.store(stalled, Ordering::Release);
        self.0.waker.wake();
    }
}

/// The open connections of a venue.
#[derive(Default)]
pub struct Lines(Mutex<Vec<Weak<State>>>);

impl Lines {
    pub fn add(&self, peer: &Peer) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.retain(|line| line.strong_count() > 0);
        lines.push(Arc::downgrade(&peer.0));
    }

    /// Cuts every connection of this kind.
    pub fn cut(&self, socket: Socket) {
        self.each(socket, Peer::cut);
    }

    /// Holds up every byte of the open connections of this kind, or lets them flow again.
    pub fn stall(&self, socket: Socket, stalled: bool) {
        self.each(socket, |peer| peer.stall(stalled));
    }

    fn each(&self, socket: Socket, act: impl Fn(&Peer)) {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for state in lines.iter().filter_map(Weak::upgrade) {
            let kinds = state.kinds.load(Ordering::Relaxed);
            if kinds & bit(socket) != 0 || (kinds == 0 && matches!(socket, Socket::Orders | Socket::All)) {
                act(&Peer(state));
            }
        }
    }
}

/// The byte stream itself.
pub struct Line {
    stream: TlsStream<TcpStream>,
    peer: Peer,
}

impl Line {
    pub fn new(stream: TlsStream<TcpStream>, peer: Peer) -> Self {
        Self { stream, peer }
    }

    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Whether bytes may flow now; pending while stalled, an error once cut.
    fn flows(&self, context: &Context) -> Poll<io::Result<()>> {
        self.peer.0.waker.register(context.waker());
        if self.peer.0.cut.load(Ordering::Acquire) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        match self.peer.0.stalled.load(Ordering::Acquire) {
            true => Poll::Pending,
            false => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context, buf: &mut ReadBuf) -> Poll<io::Result<()>> {
        ready!(self.flows(cx))?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.flows(cx))?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context) -> Poll<io::Result<()>> {
        ready!(self.flows(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

fn bit(kind: Socket) -> u8 {
    match kind {
        Socket::Orders => 1,
        Socket::Md => 2,
        Socket::Private => 4,
        Socket::All => u8::MAX,
    }
}
