//! The WebSocket hop: an order framed and masked for the wire, and a book update unframed, each beside tungstenite in
//! the same run. No socket, no TLS: those are the kernel's and ring's.

use std::hint::black_box;
use std::io::{self, Read, Write};

use bot4::sys::frame::{Caps, FrameReader, FrameWriter, Kind};
use criterion::{Criterion, criterion_group, criterion_main};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

/// A stream that takes everything and gives the same frame with every read.
struct Endless(Vec<u8>);

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer[..self.0.len()].copy_from_slice(&self.0);
        Ok(self.0.len())
    }
}

impl Write for Endless {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(black_box(bytes).len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// tungstenite as it was used: every message is written at once.
fn rival() -> WebSocket<Endless> {
    let config = WebSocketConfig::default().write_buffer_size(0);
    WebSocket::from_raw_socket(Endless(frame_in()), Role::Client, Some(config))
}

/// An unmasked text frame of 1,700 bytes: the size of a Paradex delta, read as both venues' texts would be.
fn frame_in() -> Vec<u8> {
    let mut frame = vec![0x81, 126, 0x06, 0xA4];
    frame.resize(4 + 0x06A4, b'7');
    frame
}

fn frame_out(criterion: &mut Criterion) {
    let order = "x".repeat(600);
    let (mut writer, mut stream) = (FrameWriter::new(), Endless(Vec::new()));
    criterion.bench_function("frame/out 600 B", |bench| {
        bench.iter(|| stream.write(writer.frame(Kind::Text, black_box(order.as_bytes()))));
    });
    let mut socket = rival();
    criterion.bench_function("frame/out 600 B, tungstenite", |bench| {
        bench.iter(|| socket.send(Message::text(black_box(order.as_str()))));
    });
}

fn frame_read(criterion: &mut Criterion) {
    let (mut reader, mut stream) = (FrameReader::new(Caps::default()), Endless(frame_in()));
    criterion.bench_function("frame/in 1700 B", |bench| {
        bench.iter(|| {
            let bytes = stream.read(reader.room()).expect("endless");
            reader.filled(bytes);
            let found = reader.find().expect("a frame").expect("whole");
            black_box(reader.bytes(&found)).len()
        });
    });
    let mut socket = rival();
    criterion.bench_function("frame/in 1700 B, tungstenite", |bench| {
        bench.iter(|| black_box(socket.read()).expect("a frame").len());
    });
}

criterion_group!(benches, frame_out, frame_read);
criterion_main!(benches);
