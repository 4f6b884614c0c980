//! A look into the journal of an engine that runs, and the cut that makes of a dead engine's journal what a death at an
//! earlier instruction would have left: the published entries are a prefix of what was written later.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bot4::journal::Tail;
use bot4::journal::codec::{self, Frame};
use bot4::journal::entry::Entry;

/// The header of a segment, as `src/journal/segment.rs` lays it out.
const HEADER: usize = 64;
const FIRST_AT: u64 = 16;
const PUBLISHED_AT: u64 = 32;
const SEALED_AT: u64 = 40;

/// Index of one entry among those since the spy was set; `None` while it is not there.
pub type Mark = fn(&[Entry]) -> Option<usize>;

/// Where a journal is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Before,
    /// Half of the entry's bytes stay, unpublished: it was being written.
    Inside,
    After,
}

/// Follows the journal from the moment at which it was set.
#[derive(Clone)]
pub struct Spy(Arc<Mutex<Seen>>);

struct Seen {
    tail: Tail,
    entries: Vec<Entry>,
    from_seq: u64,
}

impl Spy {
    pub fn set(dir: &Path) -> Self {
        let mut tail = Tail::open(dir, u64::MAX).expect("the engine has begun its journal");
        let mut from_seq = 0;
        while let Some(frame) = tail.pull().expect("the journal reads") {
            from_seq = frame.seq + 1;
        }
        Self(Arc::new(Mutex::new(Seen { tail, entries: Vec::new(), from_seq })))
    }

    pub fn shows(&self, mark: Mark) -> bool {
        let mut seen = self.0.lock().unwrap();
        while let Some(frame) = seen.tail.pull().expect("the journal reads") {
            seen.entries.push(frame.entry);
        }
        mark(&seen.entries).is_some()
    }

    /// Index of the segment being written.
    pub fn segment(&self) -> u64 {
        self.shows(|_| None);
        self.0.lock().unwrap().tail.segment()
    }

    /// Number of the first entry after it was set.
    pub fn first_seq(&self) -> u64 {
        self.0.lock().unwrap().from_seq
    }
}

/// One segment in use: its file, and where each frame lies.
struct Segment {
    path: PathBuf,
    published: usize,
    frames: Vec<(usize, usize, Frame)>,
}

/// Segments in use, oldest first.
fn segments(dir: &Path) -> Vec<Segment> {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|ext| ext == "journal")).collect();
    paths.sort();
    paths.into_iter().filter_map(read).collect()
}

fn read(path: PathBuf) -> Option<Segment> {
    let bytes = fs::read(&path).unwrap();
    let word = bytes.get(PUBLISHED_AT as usize..)?.first_chunk()?;
    let published = u64::from_le_bytes(*word) as usize;
    let (mut at, mut frames) = (HEADER, Vec::new());
    while at < published {
        let (frame, len) = codec::decode(&bytes[at..]).expect("what was published reads");
        frames.push((at, len, frame));
        at += len;
    }
    (published > 0).then_some(Segment { path, published, frames })
}

impl Segment {
    /// Published up to `published`, with bytes up to `end`, and nothing after it.
    fn cut(&self, published: usize, end: usize) {
        let file = self.open();
        file.write_all_at(&(published as u64).to_le_bytes(), PUBLISHED_AT).unwrap();
        file.write_all_at(&0_u64.to_le_bytes(), SEALED_AT).unwrap();
        let rest = self.published.saturating_sub(end);
        file.write_all_at(&vec![0; rest], end as u64).unwrap();
    }

    /// As it was prepared, before it was taken into use.
    fn unuse(&self) {
        self.cut(0, HEADER);
        self.open().write_all_at(&0_u64.to_le_bytes(), FIRST_AT).unwrap();
    }

    fn open(&self) -> File {
        OpenOptions::new().write(true).open(&self.path).unwrap()
    }
}

/// Cuts the journal of a dead engine at an entry that the spy knew; false when it is not there.
pub fn cut(dir: &Path, spy: &Spy, place: Place, mark: Mark) -> bool {
    let segments = segments(dir);
    let all = segments.iter().enumerate();
    let frames = all.flat_map(|(nth, segment)| segment.frames.iter().map(move |frame| (nth, *frame)));
    let since: Vec<(usize, (usize, usize, Frame))> =
        frames.filter(|(_, (_, _, frame))| frame.seq >= spy.first_seq()).collect();
    let entries: Vec<Entry> = since.iter().map(|(_, (_, _, frame))| frame.entry).collect();
    let Some(index) = mark(&entries) else { return false };
    let (nth, (at, len, _)) = since[index];
    segments[nth + 1..].iter().for_each(Segment::unuse);
    match place {
        Place::Before => segments[nth].cut(at, at),
        Place::Inside => segments[nth].cut(at, at + len / 2),
        Place::After => segments[nth].cut(at + len, at + len),
    }
    true
}

/// Cuts the opening of the newest segment: nothing of it was written, or half of it. A death that came later, when
/// more stood behind the opening, leaves it whole: what was acted on was written.
pub fn cut_opening(dir: &Path, half: bool) {
    let segments = segments(dir);
    let newest = segments.last().expect("a segment is in use");
    let opening = newest.frames.iter().find(|(_, _, frame)| frame.rest == 0).expect("an opening ends");
    if newest.frames.last().is_some_and(|last| last.0 > opening.0) {
        return;
    }
    let end = if half { HEADER + (opening.0 + opening.1 - HEADER) / 2 } else { HEADER };
    // The segment before was sealed when this one was begun, and stays so.
    newest.cut(0, end);
}
