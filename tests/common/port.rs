//! A port of loopback that stays ours while nobody listens on it: one to which a server comes back, or one at which
//! nothing ever answers.

use std::net::TcpListener;

/// Below the range out of which the kernel gives ports to connections and to whoever binds port 0 (32,768 and up).
const FIRST: u32 = 15_000;
const COUNT: u32 = 16_000;

/// A port of 127.0.0.1, kept from every other claim for as long as this lives.
pub struct Claim {
    port: u16,
    /// The same port of another loopback address: whoever claims a port has to get this one first.
    _held: TcpListener,
}

impl Claim {
    /// The next port that nobody has claimed and on which nobody listens.
    pub fn new() -> Self {
        let start = std::process::id();
        (0..COUNT)
            .find_map(|step| Self::of(u16::try_from(FIRST + (start % COUNT + step) % COUNT).unwrap()))
            .expect("a port is free")
    }

    fn of(port: u16) -> Option<Self> {
        let held = TcpListener::bind(("127.0.0.2", port)).ok()?;
        TcpListener::bind(("127.0.0.1", port)).ok()?;
        Some(Self { port, _held: held })
    }

    pub const fn port(&self) -> u16 {
        self.port
    }
}
