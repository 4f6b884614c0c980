//! What a restart finds in the journal's directory. Reads only: `FileJournal::start` tidies up afterwards.
//!
//! A tail that was being written when the machine died is cut and reported. Damage anywhere else is an error with
//! its place; [`salvage`] takes what stands before it and sets the rest aside, for a run that begins Halted. A
//! format that this release does not know is for a person alone.

use std::path::{Path, PathBuf};

use super::JournalError;
use super::codec::{self, CodecError, Frame, MAGIC};
use super::entry::Entry;
use super::segment::{self, HEADER, Header};
use crate::types::Nanos;

/// A journal as it was found.
#[derive(Debug, Default, PartialEq)]
pub struct Recovered {
    /// Entries from the newest complete opening (`Epoch` and snapshots) on.
    pub entries: Vec<Entry>,
    pub torn: Option<Torn>,
    /// Number that the next entry must have.
    pub next_seq: u64,
    /// Index of the segment that the next run opens.
    pub next_index: u64,
    /// When the journal was made, ns since the epoch; `None` = there is none yet.
    pub birth: Option<u64>,
    /// Last segment in use and its valid length.
    pub last: Option<(PathBuf, usize)>,
    /// Segments prepared but never used.
    pub unused: Vec<PathBuf>,
}

/// The end of the journal that was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    pub path: PathBuf,
    /// Byte at which the valid part ends.
    pub at: usize,
    /// Bytes that had been published after it.
    pub lost: usize,
}

/// Where the segments lie: a directory, or the memory of a simulation.
pub trait Shelf {
    /// Indices of the segments, rising.
    fn list(&self) -> Result<Vec<u64>, JournalError>;
    /// All bytes of a segment.
    fn read(&self, index: u64) -> Result<Vec<u8>, JournalError>;
    /// What a segment is called in errors, and where it is tidied up.
    fn path(&self, index: u64) -> PathBuf {
        segment::file_name(index).into()
    }
}

impl Shelf for Path {
    fn list(&self) -> Result<Vec<u64>, JournalError> {
        segment::list(self)
    }

    fn read(&self, index: u64) -> Result<Vec<u8>, JournalError> {
        let path = self.path(index);
        std::fs::read(&path).map_err(JournalError::io("cannot read", &path))
    }

    fn path(&self, index: u64) -> PathBuf {
        self.join(segment::file_name(index))
    }
}

/// Reads the journal in `dir`; an empty or missing directory is an empty journal (and is made).
pub fn recover(dir: &Path) -> Result<Recovered, JournalError> {
    std::fs::create_dir_all(dir).map_err(JournalError::io("cannot create", dir))?;
    recover_from(dir)
}

/// Reads the journal on a shelf.
pub fn recover_from(shelf: &(impl Shelf + ?Sized)) -> Result<Recovered, JournalError> {
    let mut found = Recovered::default();
    let mut newer: Vec<Scan> = Vec::new();
    for index in shelf.list()?.into_iter().rev() {
        let Some(scan) = Scan::of(shelf, index, newer.is_empty(), &mut found)? else { continue };
        check_joint(&scan, newer.last())?;
        let opens = scan.opens();
        newer.push(scan);
        if opens {
            break;
        }
    }
    found.next_index = newer.first().map_or(0, |scan| scan.header.index + 1);
    found.birth = newer.first().map(|scan| scan.header.birth);
    found.last = newer.first().map(|scan| (scan.path.clone(), scan.valid));
    let frames: Vec<Frame> = newer.into_iter().rev().flat_map(|scan| scan.frames).collect();
    found.next_seq = frames.last().map_or(0, |frame| frame.seq + 1);
    found.entries = frames.into_iter().map(|frame| frame.entry).collect();
    Ok(found)
}

/// What a damaged journal still tells.
#[derive(Debug)]
pub struct Salvaged {
    /// Entries from the newest complete opening before the damage on, as an empty journal would hold them. What they
    /// add up to may be old.
    pub recovered: Recovered,
    /// Where the damaged files are now.
    pub aside: PathBuf,
}

/// Whether a journal that gave this error can be set aside: it is damaged, and not of another release.
pub fn can_be_salvaged(error: &JournalError) -> bool {
    match error {
        JournalError::Damaged { source, .. } => is_damage(source),
        JournalError::Gap { .. } => true,
        JournalError::Io { .. } | JournalError::Full { .. } | JournalError::Segment { .. } => false,
    }
}

/// Reads what stands before the first damage and moves every segment into a folder beside (`damaged-<now>`), so that a
/// new journal can begin. What is lost is asked of the venues.
pub fn salvage(dir: &Path, now: Nanos) -> Result<Salvaged, JournalError> {
    let (entries, indices) = (readable(dir)?, segment::list(dir)?);
    let aside = dir.join(format!("damaged-{}", now.ms()));
    std::fs::create_dir(&aside).map_err(JournalError::io("cannot create", &aside))?;
    for name in indices.into_iter().map(segment::file_name) {
        let from = dir.join(&name);
        std::fs::rename(&from, aside.join(&name)).map_err(JournalError::io("cannot move", &from))?;
    }
    segment::sync_dir(dir)?;
    Ok(Salvaged { recovered: Recovered { entries, ..Recovered::default() }, aside })
}

/// The entries from the newest complete opening before the first damage on.
pub fn readable(shelf: &(impl Shelf + ?Sized)) -> Result<Vec<Entry>, JournalError> {
    let mut entries = Vec::new();
    for index in shelf.list()? {
        let (path, bytes) = (shelf.path(index), shelf.read(index)?);
        let mut scan = Scan { path, header: Header::default(), frames: Vec::new(), valid: HEADER };
        // A gap ends it as damage does.
        let whole = scan.read(&bytes).is_ok() && rest_is_empty(&bytes, scan.valid);
        scan.drop_broken_batch();
        if scan.opens() {
            entries.clear();
        }
        entries.extend(scan.frames.iter().map(|frame| frame.entry));
        if !whole {
            break;
        }
    }
    Ok(entries)
}

/// One segment in use, read whole.
struct Scan {
    path: PathBuf,
    header: Header,
    frames: Vec<Frame>,
    /// Bytes up to the end of the last frame.
    valid: usize,
}

impl Scan {
    /// Reads a segment; `None` when nothing in it counts. Only the newest one may have a torn tail.
    fn of(
        shelf: &(impl Shelf + ?Sized),
        index: u64,
        newest: bool,
        found: &mut Recovered,
    ) -> Result<Option<Self>, JournalError> {
        let (path, bytes) = (shelf.path(index), shelf.read(index)?);
        let header = segment::parse_header(&path, &bytes)?;
        let Some(header) = header.filter(|header| header.published > 0 || has_frame(&bytes)) else {
            found.unused.push(path);
            return Ok(None);
        };
        let mut scan = Self { path, header, frames: Vec::new(), valid: HEADER };
        let stopped = scan.read(&bytes)?;
        let published = (header.published as usize).min(bytes.len());
        let mut lost = scan.valid < published;
        if let Err(source) = stopped {
            scan.believe(newest, source, &bytes)?;
            lost |= !rest_is_empty(&bytes, scan.valid);
        }
        lost |= scan.drop_broken_batch();
        if lost {
            let lost = published.saturating_sub(scan.valid);
            found.torn.get_or_insert(Torn { path: scan.path.clone(), at: scan.valid, lost });
        }
        if scan.frames.is_empty() {
            found.unused.push(scan.path);
            return Ok(None);
        }
        Ok(Some(scan))
    }

    /// Reads frames until the end or the first that is none.
    fn read(&mut self, bytes: &[u8]) -> Result<Result<(), CodecError>, JournalError> {
        while self.valid < bytes.len() {
            let (frame, len) = match codec::decode(bytes.get(self.valid..).unwrap_or_default()) {
                Ok(decoded) => decoded,
                Err(source) => return Ok(Err(source)),
            };
            if let Some(last) = self.frames.last()
                && frame.seq != last.seq + 1
            {
                return Err(self.gap(frame.seq, last.seq + 1));
            }
            self.frames.push(frame);
            self.valid += len;
        }
        Ok(Ok(()))
    }

    /// A stop is the end of what was written, or a torn tail, or an error: a whole frame that we cannot read,
    /// damage with valid frames behind it, or damage where later segments follow.
    fn believe(&self, newest: bool, source: CodecError, bytes: &[u8]) -> Result<(), JournalError> {
        let readable = is_damage(&source);
        let ended =
            rest_is_empty(bytes, self.valid) && (newest || self.valid >= self.header.published as usize);
        let torn = newest && !frame_after(bytes, self.valid + 1);
        if readable && (ended || torn) {
            return Ok(());
        }
        Err(JournalError::Damaged { path: self.path.clone(), at: self.valid, source })
    }

    /// Takes back a batch whose end is missing; true when there was one.
    fn drop_broken_batch(&mut self) -> bool {
        let mut broken = false;
        while let Some(last) = self.frames.last()
            && (last.rest > 0)
        {
            self.valid -= codec::encode(last).bytes().len();
            self.frames.pop();
            broken = true;
        }
        broken
    }

    fn opens(&self) -> bool {
        matches!(self.frames.first(), Some(Frame { entry: Entry::Epoch { .. }, .. }))
    }

    fn gap(&self, got: u64, expected: u64) -> JournalError {
        JournalError::Gap { path: self.path.clone(), at: self.valid, got, expected }
    }
}

/// The segment that follows must go on with the next number.
fn check_joint(scan: &Scan, next: Option<&Scan>) -> Result<(), JournalError> {
    let (Some(last), Some(first)) = (scan.frames.last(), next.and_then(|next| next.frames.first())) else {
        return Ok(());
    };
    if first.seq == last.seq + 1 { Ok(()) } else { Err(scan.gap(first.seq, last.seq + 1)) }
}

/// Bytes that are no frame, as against a frame that this release does not know.
const fn is_damage(error: &CodecError) -> bool {
    matches!(
        error,
        CodecError::Short { .. } | CodecError::Magic(_) | CodecError::Length(_) | CodecError::Checksum { .. }
    )
}

fn has_frame(bytes: &[u8]) -> bool {
    codec::decode(bytes.get(HEADER..).unwrap_or_default()).is_ok()
}

fn rest_is_empty(bytes: &[u8], at: usize) -> bool {
    bytes.get(at..).unwrap_or_default().iter().all(|&byte| byte == 0)
}

/// Whether a valid frame starts anywhere at or after `at`.
fn frame_after(bytes: &[u8], at: usize) -> bool {
    let rest = bytes.get(at..).unwrap_or_default();
    let magic = MAGIC.to_le_bytes();
    let mut starts = rest.windows(magic.len()).enumerate().filter(|(_, window)| *window == magic);
    starts.any(|(start, _)| codec::decode(rest.get(start..).unwrap_or_default()).is_ok())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::journal::file::{FileJournal, Options};
    use crate::journal::{Journal, samples};

    const OPTIONS: Options =
        Options { segment_bytes: 16 << 10, durability: crate::journal::Durability::Process };

    /// A run of one opening and a round trip; returns the file of its segment and where each frame starts.
    fn written(dir: &Path) -> (PathBuf, Vec<usize>) {
        let entries = samples::round_trip();
        let start = FileJournal::start(dir, OPTIONS, &recover(dir).unwrap(), &entries[..1], Nanos(5));
        let (mut journal, _supply) = start.unwrap();
        let mut starts = vec![HEADER];
        for (seq, entry) in entries.iter().enumerate() {
            let frame = Frame { seq: seq as u64, rest: 0, entry: *entry };
            starts.push(starts[seq] + codec::encode(&frame).bytes().len());
            if seq > 0 {
                journal.append(entry).unwrap();
            }
        }
        (dir.join(segment::file_name(0)), starts)
    }

    fn poke(path: &Path, at: usize, byte: u8) {
        let mut bytes = fs::read(path).unwrap();
        assert_ne!(bytes[at], byte);
        bytes[at] = byte;
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn an_empty_directory_is_an_empty_journal() {
        let dir = tempfile::tempdir().unwrap();
        let found = recover(&dir.path().join("new")).unwrap();
        assert_eq!((found.entries.len(), found.next_seq, found.torn), (0, 0, None));
    }

    #[test]
    fn everything_comes_back_after_a_death_of_the_process() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path());
        let found = recover(dir.path()).unwrap();
        assert_eq!(found.entries, samples::round_trip());
        assert_eq!((found.torn, found.unused.len()), (None, 2));
    }

    #[test]
    fn a_torn_tail_is_cut_at_every_byte() {
        let dir = tempfile::tempdir().unwrap();
        let (path, starts) = written(dir.path());
        let whole = fs::read(&path).unwrap();
        let (last, end) = (starts[starts.len() - 2], starts[starts.len() - 1]);
        for cut in last + 1..end {
            let mut bytes = whole.clone();
            bytes[cut..end].fill(0);
            if bytes == whole {
                continue;
            }
            fs::write(&path, &bytes).unwrap();
            let found = recover(dir.path()).unwrap();
            assert_eq!(found.entries.len(), starts.len() - 2, "cut at {cut}");
            assert_eq!(found.torn, Some(Torn { path: path.clone(), at: last, lost: end - last }));
        }
    }

    #[test]
    fn damage_in_the_middle_is_an_error_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let (path, starts) = written(dir.path());
        poke(&path, starts[3] + 30, 0xee);
        let error = recover(dir.path()).unwrap_err();
        let place = format!("00000000.journal is damaged at byte {}: checksum", starts[3]);
        assert!(error.to_string().contains(&place), "{error}");
    }

    #[test]
    fn what_stands_before_the_damage_is_kept_and_a_new_journal_begins() {
        let dir = tempfile::tempdir().unwrap();
        let (path, starts) = written(dir.path());
        poke(&path, starts[7] + 30, 0xee);
        assert!(can_be_salvaged(&recover(dir.path()).unwrap_err()));
        let found = salvage(dir.path(), Nanos::from_ms(5)).unwrap();
        assert_eq!(found.recovered.entries, samples::round_trip()[..7]);
        assert!(found.aside.join(segment::file_name(0)).exists());
        assert_eq!(recover(dir.path()).unwrap(), Recovered::default());
        written(dir.path());
        assert_eq!(recover(dir.path()).unwrap().entries, samples::round_trip());
    }

    #[test]
    fn a_format_of_another_release_is_left_for_a_person() {
        let place = PathBuf::new;
        let version = JournalError::Damaged { path: place(), at: 1, source: CodecError::Version(9) };
        assert!(!can_be_salvaged(&version));
        assert!(can_be_salvaged(&JournalError::Gap { path: place(), at: 1, got: 2, expected: 1 }));
    }

    #[test]
    fn a_new_run_seals_the_torn_segment_and_both_read_on() {
        let dir = tempfile::tempdir().unwrap();
        let (path, starts) = written(dir.path());
        poke(&path, starts[starts.len() - 2] + 30, 0xee);
        written(dir.path());
        assert_eq!(fs::read(&path).unwrap().len(), starts[starts.len() - 2]);
        let found = recover(dir.path()).unwrap();
        assert_eq!(found.entries, samples::round_trip());
        assert_eq!(found.next_seq as usize, 2 * samples::round_trip().len() - 1);
        fs::remove_file(dir.path().join(segment::file_name(0))).unwrap();
        assert_eq!(recover(dir.path()).unwrap().entries.len(), samples::round_trip().len());
    }

    #[test]
    fn an_opening_batch_counts_only_whole() {
        let dir = tempfile::tempdir().unwrap();
        let entries = samples::all();
        let (path, _) = written(dir.path());
        let kept = samples::round_trip();
        let opening = [entries[0], entries[entries.len() - 9]];
        let (journal, _supply) =
            FileJournal::start(dir.path(), OPTIONS, &recover(dir.path()).unwrap(), &opening, Nanos(5))
                .unwrap();
        drop(journal);
        assert_eq!(recover(dir.path()).unwrap().entries, opening);
        let newest = dir.path().join(segment::file_name(1));
        let seq = kept.len() as u64;
        let first = codec::encode(&Frame { seq, rest: 1, entry: opening[0] }).bytes().len();
        poke(&newest, HEADER + first + 30, 0xee);
        let found = recover(dir.path()).unwrap();
        assert_eq!(found.entries, kept);
        assert_eq!(found.torn.map(|torn| torn.at), Some(HEADER));
        assert_eq!(found.last.map(|last| last.0), Some(path));
    }
}
