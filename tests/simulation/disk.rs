//! The journal's disk in memory, with a disk's failings: the bytes are those of the real segments, and the real
//! recovery reads them. What the death of the process keeps and a power cut loses is decided here (SAFETY §2.2).

use bot4::journal::codec::{self, FRAME_MAX, Frame};
use bot4::journal::entry::Entry;
use bot4::journal::recover::{Shelf, recover_from};
use bot4::journal::supply::SPARES;
use bot4::journal::{Durability, Journal, JournalError, Recovered, SEGMENT_HEADER, SegmentHeader};
use bot4_sim::core::rng::Rng;

use super::world::{Shared, lock};

/// What a disk writes at once: a power cut keeps or loses it whole.
const SECTOR: usize = 512;
/// Room of a disk that is not full, bytes.
const ROOMY: u64 = 1 << 40;

/// One segment file, as long as what was written to it.
struct Segment {
    header: SegmentHeader,
    sealed: bool,
    bytes: Vec<u8>,
    /// Bytes that a power cut cannot take any more.
    durable: usize,
}

impl Segment {
    fn new(index: u64, first_seq: u64, birth: u64) -> Self {
        let header = SegmentHeader { index, first_seq, birth, published: 0 };
        Self { header, sealed: false, bytes: vec![0; SEGMENT_HEADER], durable: 0 }
    }

    fn publish(&mut self) {
        self.header.published = self.bytes.len() as u64;
        self.write_header();
    }

    fn write_header(&mut self) {
        self.bytes[..SEGMENT_HEADER].copy_from_slice(&self.header.bytes(self.sealed));
    }

    /// Sectors that were not synced are kept or lost, each for itself, or all from one on.
    fn cut_power(&mut self, rng: &mut Rng) {
        let kept_ppm = *[0, 200_000, 500_000, 900_000].get(rng.between(0, 3) as usize).unwrap_or(&0);
        let from = self.durable.max(SEGMENT_HEADER);
        let mut at = from;
        while at < self.bytes.len() {
            let end = (at / SECTOR + 1) * SECTOR;
            let end = end.min(self.bytes.len());
            if !rng.chance(kept_ppm) {
                self.bytes[at..end].fill(0);
            }
            at = end;
        }
        if self.durable < self.bytes.len() && rng.chance(500_000) {
            // The header's sector is older than the rest.
            self.header.published = self.durable as u64;
        }
        self.write_header();
    }
}

/// All segments of the journal's directory.
pub struct Disk {
    segments: Vec<Segment>,
    /// Bytes of one segment.
    room: usize,
    durability: Durability,
    /// No segment can be prepared.
    pub full: bool,
    /// Segments prepared ahead, as `Supply` does it.
    spares: u64,
    /// Entries found no room, and no segment has opened with all that is known since.
    pub gap: bool,
    /// Next entry's number.
    seq: u64,
    birth: u64,
    /// Where the checker reads on: segment (by place) and byte.
    read: (usize, usize),
    /// What stood whole in the last segment, not yet shown when the process died: the start has found it.
    pub come_to_light: Vec<Entry>,
    /// Entries appended and entries that a power cut cannot take any more.
    pub durable_seq: u64,
    /// How often a new segment was begun.
    pub rotations: u64,
}

impl Disk {
    pub fn new(room: usize, durability: Durability) -> Self {
        assert!(room >= 8 * FRAME_MAX, "a segment holds more than a few entries");
        Self {
            segments: Vec::new(),
            room,
            durability,
            full: false,
            spares: SPARES,
            gap: false,
            seq: 0,
            birth: 0,
            read: (0, 0),
            come_to_light: Vec::new(),
            durable_seq: 0,
            rotations: 0,
        }
    }

    /// What a restart finds.
    pub fn recover(&self) -> Result<Recovered, JournalError> {
        recover_from(self)
    }

    /// A person has put the journal away: the next run begins an empty one.
    pub fn put_away(&mut self) {
        self.segments.clear();
        self.read = (0, 0);
        (self.seq, self.durable_seq) = (0, 0);
    }

    /// As `FileJournal::start`: the torn end is cut, what was never used goes, and a fresh segment opens.
    pub fn start(&mut self, found: &Recovered, opening: &[Entry], now: u64) {
        if let Some((path, len)) = &found.last
            && let Some(last) = self.segments.iter_mut().find(|segment| self_path(segment) == *path)
        {
            // A file is prepared with zeros: an entry that ends in them is whole before they were written.
            last.bytes.resize(*len, 0);
            last.sealed = true;
            last.publish();
            last.durable = last.bytes.len();
        }
        self.segments.retain(|segment| !found.unused.contains(&self_path(segment)));
        self.come_to_light = std::iter::from_fn(|| self.pull()).map(|frame| frame.entry).collect();
        // Older segments are never read again; the checker has read all of them.
        if self.segments.len() > 4 {
            self.segments.drain(..self.segments.len() - 4);
        }
        self.birth = found.birth.unwrap_or(now);
        self.seq = found.next_seq;
        self.durable_seq = self.seq;
        self.open(found.next_index, opening);
        // As the writer does: a run's number is on the disk before its first order.
        self.sync();
        self.read = (self.segments.len() - 1, SEGMENT_HEADER);
    }

    fn open(&mut self, index: u64, opening: &[Entry]) {
        let mut segment = Segment::new(index, self.seq, self.birth);
        for (done, entry) in opening.iter().enumerate() {
            let rest = (opening.len() - done - 1) as u16;
            let frame = Frame { seq: self.seq + done as u64, rest, entry: *entry };
            segment.bytes.extend_from_slice(codec::encode(&frame).bytes());
        }
        self.seq += opening.len() as u64;
        segment.publish();
        self.segments.push(segment);
        self.rotations += 1;
        self.gap = false;
        self.after_write();
    }

    /// The store's other turn: a segment that was moved on to is replaced while the disk has room.
    pub fn supply(&mut self) {
        if !self.full {
            self.spares = SPARES;
        }
    }

    fn free_bytes(&self) -> u64 {
        if self.full { self.left() as u64 + self.spares * self.room as u64 } else { ROOMY }
    }

    fn left(&self) -> usize {
        self.segments.last().map_or(0, |segment| self.room.saturating_sub(segment.bytes.len()))
    }

    fn take_spare(&mut self, wanted: usize) -> Result<(), JournalError> {
        self.spares = self.spares.checked_sub(1).ok_or(JournalError::Full { wanted })?;
        Ok(())
    }

    fn after_write(&mut self) {
        if self.durability == Durability::Power {
            self.sync();
        }
    }

    /// The store has synced: nothing written so far can be lost any more.
    pub fn sync(&mut self) {
        for segment in self.segments.iter_mut().rev() {
            if segment.durable == segment.bytes.len() {
                break;
            }
            segment.durable = segment.bytes.len();
        }
        self.durable_seq = self.seq;
    }

    /// `published` bytes of the last frame reach the file when the process dies in the middle of an append.
    fn append(&mut self, entry: &Entry, torn: Option<usize>) -> Result<(), JournalError> {
        let frame = codec::encode(&Frame { seq: self.seq, rest: 0, entry: *entry });
        let bytes = frame.bytes();
        if bytes.len() > self.left() {
            self.advance(bytes.len()).inspect_err(|_| self.gap = true)?;
        }
        let Some(segment) = self.segments.last_mut() else {
            return Err(JournalError::Full { wanted: bytes.len() });
        };
        if let Some(torn) = torn {
            segment.bytes.extend_from_slice(&bytes[..torn.min(bytes.len())]);
            return Ok(());
        }
        segment.bytes.extend_from_slice(bytes);
        segment.publish();
        self.seq += 1;
        self.after_write();
        Ok(())
    }

    /// The next segment, empty.
    fn advance(&mut self, wanted: usize) -> Result<(), JournalError> {
        self.take_spare(wanted)?;
        let index = self.segments.last().map_or(0, |segment| segment.header.index + 1);
        if let Some(last) = self.segments.last_mut() {
            last.sealed = true;
            last.write_header();
        }
        self.segments.push(Segment::new(index, self.seq, self.birth));
        self.rotations += 1;
        Ok(())
    }

    /// Number of the first entry that is not yet safe at the configured level.
    pub fn safe_seq(&self) -> u64 {
        match self.durability {
            Durability::Process => self.seq,
            Durability::Power => self.durable_seq,
        }
    }

    /// The next entry that the checker has not seen, read from the bytes.
    pub fn pull(&mut self) -> Option<Frame> {
        loop {
            let segment = self.segments.get(self.read.0)?;
            let published = segment.header.published as usize;
            if self.read.1 < published {
                let (frame, len) =
                    codec::decode(&segment.bytes[self.read.1..published]).expect("what was written");
                self.read.1 += len;
                return Some(frame);
            }
            self.segments.get(self.read.0 + 1)?;
            self.read = (self.read.0 + 1, SEGMENT_HEADER);
        }
    }

    /// Part of the journal is not yet safe from a power cut.
    pub fn is_behind(&self) -> bool {
        self.durable_seq < self.seq
    }

    /// The machine loses power: what was not synced may be lost, in part and in any order.
    pub fn cut_power(&mut self, rng: &mut Rng) {
        self.segments.iter_mut().for_each(|segment| segment.cut_power(rng));
    }
}

fn self_path(segment: &Segment) -> std::path::PathBuf {
    Shelf::path(&NoShelf, segment.header.index)
}

/// Names segments without a directory.
struct NoShelf;

impl Shelf for NoShelf {
    fn list(&self) -> Result<Vec<u64>, JournalError> {
        Ok(Vec::new())
    }

    fn read(&self, _index: u64) -> Result<Vec<u8>, JournalError> {
        Ok(Vec::new())
    }
}

impl Shelf for Disk {
    fn list(&self) -> Result<Vec<u64>, JournalError> {
        Ok(self.segments.iter().map(|segment| segment.header.index).collect())
    }

    /// As the preallocated file: zeros behind what was written.
    fn read(&self, index: u64) -> Result<Vec<u8>, JournalError> {
        let segment = self.segments.iter().find(|segment| segment.header.index == index);
        let mut bytes = segment.map(|segment| segment.bytes.clone()).unwrap_or_default();
        if segment.is_some_and(|segment| !segment.sealed) {
            bytes.resize(bytes.len() + FRAME_MAX, 0);
        }
        Ok(bytes)
    }
}

/// The order thread's end.
pub struct SimJournal(pub Shared);

impl Journal for SimJournal {
    fn append(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let mut world = lock(&self.0);
        if world.dead {
            return Ok(());
        }
        if !world.effect_of("append", Some(entry)) {
            let torn = world.rng.between(0, FRAME_MAX as i64) as usize;
            let _ = world.disk.append(entry, Some(torn));
            world.tags.hit("K1");
            return Ok(());
        }
        world.disk.append(entry, None)
    }

    fn free_bytes(&self) -> u64 {
        lock(&self.0).disk.free_bytes()
    }

    fn wants_rotation(&self) -> bool {
        let world = lock(&self.0);
        world.disk.left() < world.disk.room / 4
    }

    fn rotate(&mut self, snapshot: &[Entry]) -> Result<(), JournalError> {
        let mut world = lock(&self.0);
        if world.dead || !world.effect("rotate") {
            return Ok(());
        }
        let disk = &mut world.disk;
        disk.take_spare(FRAME_MAX)?;
        let index = disk.segments.last().map_or(0, |segment| segment.header.index + 1);
        if let Some(last) = disk.segments.last_mut() {
            last.sealed = true;
            last.write_header();
        }
        disk.open(index, snapshot);
        world.tags.hit("K20");
        Ok(())
    }
}
