//! A proxy that cuts every connection after a number of replies: what the client asked for has then been
//! done, and the client does not know it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A running proxy. Its threads end with the process or with their connections.
pub struct Proxy {
    port: u16,
    replies_left: Arc<AtomicI64>,
}

impl Proxy {
    /// Forwards to `port` on loopback.
    pub fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self { port: listener.local_addr().unwrap().port(), replies_left: Arc::default() };
        let left = Arc::clone(&proxy.replies_left);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let requests = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || forward(requests.0, requests.1, &AtomicI64::new(i64::MAX)));
                let left = Arc::clone(&left);
                std::thread::spawn(move || forward(server, client, &left));
            }
        });
        proxy
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Lets this many more replies pass, of all connections together.
    pub fn allow(&self, replies: i64) {
        self.replies_left.store(replies, Ordering::SeqCst);
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, left: &AtomicI64) {
    let mut bytes = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if left.fetch_sub(1, Ordering::SeqCst) <= 0 || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
