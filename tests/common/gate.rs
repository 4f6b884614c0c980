//! A gate before a venue: the engine's connections pass through it byte by byte, and from a chosen moment on nothing
//! that the engine sends reaches the venue any more, or half of one order does.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Pieces under this are pings and frames of TLS; an order is larger.
const ORDER_MIN: usize = 400;

/// What passes of the piece at which the gate shuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Nothing,
    /// The first half of an order.
    Half,
}

enum Valve {
    Open,
    /// `due` is asked at every piece; once it says yes, the gate shuts.
    Watching {
        due: Box<dyn FnMut() -> bool + Send>,
        way: Way,
    },
    /// Something was held.
    Shut,
}

impl Valve {
    /// How many bytes of a piece pass.
    fn pass(&mut self, piece: usize) -> usize {
        let Self::Watching { due, way } = self else {
            return if matches!(self, Self::Shut) { 0 } else { piece };
        };
        let way = *way;
        if !due() || (way == Way::Half && piece < ORDER_MIN) {
            return piece;
        }
        *self = Self::Shut;
        if way == Way::Half { piece / 2 } else { 0 }
    }
}

/// A running gate. Its threads end with the process or with their connections.
pub struct Gate {
    port: u16,
    valve: Arc<Mutex<Valve>>,
    refuses: Arc<AtomicBool>,
}

impl Gate {
    /// Before this port of loopback.
    pub fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port_here, valve) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Valve::Open)));
        let gate = Self { port: port_here, valve, refuses: Arc::default() };
        let (valve, refuses) = (Arc::clone(&gate.valve), Arc::clone(&gate.refuses));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if refuses.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let nodelay = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
                let copies = (client.try_clone(), server.try_clone());
                let (Ok(()), (Ok(from), Ok(to))) = (nodelay, copies) else { continue };
                let valve = Arc::clone(&valve);
                std::thread::spawn(move || forward(from, to, |piece| valve.lock().unwrap().pass(piece)));
                std::thread::spawn(move || forward(server, client, |piece| piece));
            }
        });
        gate
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    /// While it does, new connections end as soon as they are made.
    pub fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::SeqCst);
    }

    /// Shuts at the first piece at which `due` says yes.
    pub fn shut_when(&self, way: Way, due: impl FnMut() -> bool + Send + 'static) {
        *self.valve.lock().unwrap() = Valve::Watching { due: Box::new(due), way };
    }

    /// Whether it has shut.
    pub fn is_shut(&self) -> bool {
        matches!(*self.valve.lock().unwrap(), Valve::Shut)
    }

    /// Lets everything pass again. Connections of which something was held are worthless: open it when their client is
    /// dead.
    pub fn open(&self) {
        *self.valve.lock().unwrap() = Valve::Open;
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, mut pass: impl FnMut(usize) -> usize) {
    let mut bytes = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..pass(count)]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
