//! A proxy that cuts every connection after a number of replies: what the client asked for has then been
//! done, and the client does not know it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// A running proxy. Its threads end with the process or with their connections.
pub struct Proxy {
    port: u16,
    replies_left: Arc<AtomicI64>,
    /// Every reply waits so long, ms.
    delay_ms: Arc<AtomicU64>,
}

impl Proxy {
    /// Forwards to `port` on loopback.
    pub fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port_here = listener.local_addr().unwrap().port();
        let proxy = Self {
            port: port_here,
            replies_left: Arc::new(AtomicI64::new(i64::MAX)),
            delay_ms: Arc::default(),
        };
        let (left, delay) = (Arc::clone(&proxy.replies_left), Arc::clone(&proxy.delay_ms));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let requests = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let none = (AtomicI64::new(i64::MAX), AtomicU64::new(0));
                std::thread::spawn(move || forward(requests.0, requests.1, &none.0, &none.1));
                let (left, delay) = (Arc::clone(&left), Arc::clone(&delay));
                std::thread::spawn(move || forward(server, client, &left, &delay));
            }
        });
        proxy
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Holds every reply back for so long: time to look at what has been done already.
    pub fn delay_ms(&self, ms: u64) {
        self.delay_ms.store(ms, Ordering::SeqCst);
    }

    /// Lets this many more replies pass, of all connections together.
    pub fn allow(&self, replies: i64) {
        self.replies_left.store(replies, Ordering::SeqCst);
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, left: &AtomicI64, delay_ms: &AtomicU64) {
    let mut bytes = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        std::thread::sleep(Duration::from_millis(delay_ms.load(Ordering::SeqCst)));
        if left.fetch_sub(1, Ordering::SeqCst) <= 0 || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
