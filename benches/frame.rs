//! The WebSocket hop: an order framed and masked for the wire, a book update unframed, and an empty round that shows
//! what the harness itself costs. No socket, no TLS: those are the kernel's and ring's.

use std::hint::black_box;
use std::io::{self, Read, Write};

use bot4::sys::ws::framing;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

/// A stream that takes everything and gives its bytes once.
struct Memory(io::Cursor<Vec<u8>>);

impl Read for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(black_box(bytes).len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A client whose stream holds these bytes.
fn client(bytes: Vec<u8>) -> WebSocket<Memory> {
    WebSocket::from_raw_socket(Memory(io::Cursor::new(bytes)), Role::Client, Some(framing()))
}

/// An unmasked binary frame of 1,700 bytes, the size of a Paradex delta.
fn frame_in() -> Vec<u8> {
    let mut frame = vec![0x82, 126, 0x06, 0xA4];
    frame.resize(4 + 0x06A4, 7);
    frame
}

fn benches(criterion: &mut Criterion) {
    criterion.bench_function("empty", |bench| bench.iter(|| black_box(0_u64)));

    let order = "x".repeat(600);
    let mut socket = client(Vec::new());
    criterion.bench_function("frame out, 600 B", |bench| {
        bench.iter(|| socket.send(Message::text(black_box(order.as_str()))).unwrap());
    });

    criterion.bench_function("frame in, 1700 B", |bench| {
        bench.iter_batched(
            || client(frame_in()),
            |mut socket| black_box(socket.read().unwrap()),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(frame, benches);
criterion_main!(frame);
