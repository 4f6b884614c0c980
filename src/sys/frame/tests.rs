//! The reader beside tungstenite: whatever the bytes and wherever they are cut, both find the same messages.

use std::io::{self, Cursor, Read, Write};

use tungstenite::error::Error as WsError;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

use super::*;
use crate::sys::fuzz::{Random, damage, fuzz_share};

/// Small, so that short streams reach them.
const CAPS: Caps = Caps { frame: 600, message: 1_000 };

/// A message as both sides show it: letter of its kind, code of a close, bytes.
type Seen = (Kind, u16, Vec<u8>);

/// How reading ended: more bytes are wanted, a close, or a broken rule.
#[derive(Debug, PartialEq)]
enum End {
    Hungry,
    Closed,
    Broken,
    /// tungstenite alone: a text that is not UTF-8. We leave that to whoever reads the text.
    NotUtf8,
}

/// Feeds the reader these pieces.
fn ours<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Seen>, End) {
    let (mut reader, mut seen) = (FrameReader::new(CAPS), Vec::new());
    reader.buffer.resize(64, 0);
    for mut piece in pieces {
        while !piece.is_empty() {
            let room = reader.room();
            let taken = piece.len().min(room.len());
            assert!(taken > 0, "a reader that wants more has room for it");
            room[..taken].copy_from_slice(&piece[..taken]);
            reader.filled(taken);
            piece = &piece[taken..];
            loop {
                match reader.find() {
                    Ok(Some(found)) => {
                        let code = if found.kind == Kind::Close { reader.close_code(&found) } else { 0 };
                        seen.push((found.kind, code, reader.bytes(&found).to_vec()));
                        if found.kind == Kind::Close {
                            return (seen, End::Closed);
                        }
                    }
                    Ok(None) => break,
                    Err(_) => return (seen, End::Broken),
                }
            }
        }
    }
    (seen, End::Hungry)
}

/// Gives its bytes, then says that there are none now.
struct Still(Cursor<Vec<u8>>);

impl Read for Still {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            bytes => Ok(bytes),
        }
    }
}

impl Write for Still {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn theirs(stream: &[u8]) -> (Vec<Seen>, End) {
    let config =
        WebSocketConfig::default().max_frame_size(Some(CAPS.frame)).max_message_size(Some(CAPS.message));
    let stream = Still(Cursor::new(stream.to_vec()));
    let mut socket = WebSocket::from_raw_socket(stream, Role::Client, Some(config));
    let mut seen = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => seen.push((Kind::Text, 0, text.as_bytes().to_vec())),
            Ok(Message::Binary(bytes)) => seen.push((Kind::Binary, 0, bytes.to_vec())),
            Ok(Message::Ping(bytes)) => seen.push((Kind::Ping, 0, bytes.to_vec())),
            Ok(Message::Pong(bytes)) => seen.push((Kind::Pong, 0, bytes.to_vec())),
            Ok(Message::Close(frame)) => {
                let frame =
                    frame.map_or((NO_CODE, Vec::new()), |f| (f.code.into(), f.reason.as_bytes().into()));
                seen.push((Kind::Close, frame.0, frame.1));
                return (seen, End::Closed);
            }
            Ok(Message::Frame(_)) => unreachable!("only written"),
            Err(WsError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                return (seen, End::Hungry);
            }
            Err(WsError::Utf8(_)) => return (seen, End::NotUtf8),
            Err(_) => return (seen, End::Broken),
        }
    }
}

/// Both say the same of a stream in these pieces. True when it ended well.
fn compare(stream: &[u8], pieces: &[&[u8]]) -> bool {
    let (they_saw, they_end) = theirs(stream);
    let (we_saw, we_end) = ours(pieces.iter().copied());
    let shown = || stream.escape_ascii().to_string();
    match they_end {
        End::NotUtf8 => assert!(we_saw.starts_with(&they_saw), "{}", shown()),
        // They replace a code that may not be sent by 1002; a broken head ends our reading before its frame is whole.
        End::Closed if we_end == End::Closed => {
            let (ours, theirs) = (we_saw.split_last().unwrap(), they_saw.split_last().unwrap());
            assert_eq!(ours.1, theirs.1, "{}", shown());
            let (ours, theirs) = (ours.0, theirs.0);
            assert!(theirs.1 == 1002 || (ours.1, &ours.2) == (theirs.1, &theirs.2), "{}", shown());
        }
        End::Hungry if we_end == End::Broken => assert_eq!(we_saw, they_saw, "{}", shown()),
        end => assert_eq!((&we_saw, &we_end), (&they_saw, &end), "{}", shown()),
    }
    matches!(we_end, End::Hungry | End::Closed)
}

/// A frame of the venue.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(length as u8),
        length => {
            bytes.push(126);
            bytes.extend((length as u16).to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}

/// A stream with every kind of frame, one message in fragments with a ping among them, and a close.
fn stream() -> Vec<u8> {
    [
        frame(0x81, b"{\"data\":\"PONG\"}"),
        frame(0x82, &[7; 300]),
        frame(0x89, b"are you there"),
        frame(0x8A, b""),
        frame(0x01, "fränk".as_bytes()),
        frame(0x00, b"-"),
        frame(0x89, b"?"),
        frame(0x80, b"tail"),
        frame(0x82, b""),
        vec![0x82, 127, 0, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3],
        frame(0x88, &[&4004_u16.to_be_bytes()[..], b"key expired"].concat()),
    ]
    .concat()
}

#[test]
fn wherever_it_is_cut_the_messages_are_the_same() {
    let stream = stream();
    let (whole, end) = ours([&stream[..]]);
    assert_eq!((whole.len(), end), (9, End::Closed));
    assert_eq!(whole[5].2, "fränk-tail".as_bytes());
    assert_eq!(whole[8], (Kind::Close, 4004, b"key expired".to_vec()));
    for cut in 0..=stream.len() {
        assert!(compare(&stream, &[&stream[..cut], &stream[cut..]]), "{cut}");
        assert!(compare(&stream[..cut], &[&stream[..cut]]), "{cut}");
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert!(compare(&stream, &bytes));
}

#[test]
fn whole_messages_are_read_where_they_stand() {
    let mut reader = FrameReader::new(Caps::default());
    let stream = frame(0x82, &[7; 300]);
    reader.room()[..stream.len()].copy_from_slice(&stream);
    reader.filled(stream.len());
    let found = reader.find().unwrap().unwrap();
    assert_eq!(reader.bytes(&found).as_ptr(), reader.buffer[4..].as_ptr());
    assert!(reader.find().unwrap().is_none());
}

#[test]
fn what_breaks_the_protocol_is_refused() {
    let long = frame(0x82, &[0; 601]);
    let message = [frame(0x02, &[0; 600]), frame(0x80, &[0; 401])].concat();
    let masked = [0x82, 0x81, 1, 2, 3, 4, 5];
    let huge = [0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255];
    let cases: [(&[u8], FrameError); 12] = [
        (&frame(0xC2, b""), FrameError::ReservedBits),
        (&frame(0x83, b""), FrameError::Kind(3)),
        (&frame(0x8B, b""), FrameError::Kind(11)),
        (&masked, FrameError::Masked),
        (&frame(0x09, b""), FrameError::Control),
        (&frame(0x89, &[0; 126]), FrameError::Control),
        (&long, FrameError::FrameTooLarge(601)),
        (&huge, FrameError::FrameTooLarge(u64::MAX)),
        (&message, FrameError::MessageTooLarge),
        (&frame(0x80, b""), FrameError::Continuation),
        (&[frame(0x02, b""), frame(0x82, b"")].concat(), FrameError::Unfinished),
        (&frame(0x88, b"x"), FrameError::Close),
    ];
    for (bytes, why) in cases {
        let mut reader = FrameReader::new(CAPS);
        reader.room()[..bytes.len()].copy_from_slice(bytes);
        reader.filled(bytes.len());
        assert_eq!(reader.find().map(|_| ()).and_then(|()| reader.find().map(|_| ())), Err(why));
        assert!(!compare(bytes, &[bytes]));
    }
}

#[test]
fn endless_empty_fragments_end() {
    let stream = [frame(0x02, b""), frame(0x00, b"").repeat(WS_FRAGMENTS_MAX)].concat();
    assert_eq!(ours([&stream[..]]).1, End::Broken);
}

#[test]
fn fuzz_damaged_streams_read_as_tungstenite_reads_them() {
    let samples = [stream(), frame(0x82, &[1; 20]), [frame(0x01, b"a"), frame(0x80, b"b")].concat()];
    let mut random = Random::new(11);
    fuzz_share("WebSocket frames", 4, &samples, |bytes| {
        let cut = random.below(bytes.len() + 1);
        let (head, tail) = bytes.split_at(cut);
        let second = random.below(tail.len() + 1);
        compare(bytes, &[head, &tail[..second], &tail[second..]])
    });
}

#[test]
fn fuzz_random_streams_read_as_tungstenite_reads_them() {
    let mut random = Random::new(12);
    let mut ended_well = 0;
    for _ in 0..50_000 {
        let mut bytes = Vec::new();
        for _ in 0..1 + random.below(6) {
            let first = [0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x88, 0x89, 0x8A, 0xF0][random.below(10)];
            let payload: Vec<u8> = (0..random.below(140)).map(|_| random.below(256) as u8).collect();
            bytes.extend(frame(first, &payload));
        }
        if random.below(4) == 0 {
            damage(&mut bytes, &mut random);
        }
        let pieces: Vec<&[u8]> = bytes.chunks(1 + random.below(60)).collect();
        ended_well += u32::from(compare(&bytes, &pieces));
    }
    assert!((500..49_500).contains(&ended_well), "{ended_well}");
}

#[test]
fn what_we_write_is_read_by_a_server_and_no_mask_is_used_twice() {
    let mut writer = FrameWriter::new();
    let mut masks = std::collections::HashSet::new();
    for length in [0, 1, 3, 4, 125, 126, 600, 65_535, 65_536] {
        let text = "x".repeat(length);
        let frame = writer.frame(Kind::Text, text.as_bytes()).to_vec();
        masks.insert(frame[frame.len() - length - 4..][..4].to_vec());
        let mut server = WebSocket::from_raw_socket(Still(Cursor::new(frame)), Role::Server, None);
        assert_eq!(server.read().unwrap(), Message::text(text), "{length}");
    }
    assert_eq!(masks.len(), 9);
}
