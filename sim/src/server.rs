//! Serves a wire's router over TLS on loopback.
//!
//! Called by `Sim::start`. Handshakes run beside each other, so that a client that stalls in one holds
//! up nobody. It knows nothing of venues.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use crate::line::{Line, Peer};
use crate::venue::Venue;

/// Connections that may wait between handshake and service.
const READY_MAX: usize = 64;

/// Yields connections whose handshake is done.
pub struct TlsListener {
    ready: mpsc::Receiver<Line>,
    address: SocketAddr,
}

impl Listener for TlsListener {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        match self.ready.recv().await {
            Some(line) => (line, self.address),
            // The acceptor is gone: the runtime is shutting down.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        stream.io().peer().clone()
    }
}

/// Binds `127.0.0.1:port` (0 = any), serves in the background and returns the port.
pub async fn serve_tls(
    router: Router,
    tls: Arc<ServerConfig>,
    venue: Arc<Venue>,
    port: u16,
) -> io::Result<u16> {
    let tcp = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = tcp.local_addr()?;
    let (sender, ready) = mpsc::channel(READY_MAX);
    tokio::spawn(accept_loop(tcp, TlsAcceptor::from(tls), venue, sender));
    let service = router.into_make_service_with_connect_info::<Peer>();
    tokio::spawn(async move { axum::serve(TlsListener { ready, address }, service).await });
    Ok(address.port())
}

/// Binds a plain port on loopback (the control port).
pub async fn serve_plain(router: Router, port: u16) -> io::Result<u16> {
    let tcp = TcpListener::bind(("127.0.0.1", port)).await?;
    let port = tcp.local_addr()?.port();
    tokio::spawn(async move { axum::serve(tcp, router).await });
    Ok(port)
}

async fn accept_loop(tcp: TcpListener, tls: TlsAcceptor, venue: Arc<Venue>, ready: mpsc::Sender<Line>) {
    loop {
        let Ok((stream, _)) = tcp.accept().await else {
            continue;
        };
        tokio::spawn(handshake(stream, tls.clone(), venue.clone(), ready.clone()));
    }
}

async fn handshake(stream: TcpStream, tls: TlsAcceptor, venue: Arc<Venue>, ready: mpsc::Sender<Line>) {
    // A failed handshake is the client's business: a refused certificate ends here.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    if let Ok(stream) = tls.accept(stream).await {
        let peer = Peer::default();
        venue.lines.add(&peer);
        let _ = ready.send(Line::new(stream, peer)).await;
    }
}
