//! One file of the journal: its name, its header and its mapping. `file` writes it, `tail` and `recover` read
//! it.
//!
//! The header is eight little-endian words: magic with format version, index of the segment, number of its
//! first entry, birth of the journal, bytes published (header included; zero = not in use yet), sealed (one =
//! the next segment goes on), two in reserve.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use super::JournalError;
use super::handover::{Handover, Next};
use crate::sys::mmap::Map;

/// Bytes of a segment's header.
pub const HEADER: usize = 64;

const MAGIC: u64 = u64::from_le_bytes(*b"B4JRNL\x01\0");
const MAGIC_AT: usize = 0;
const INDEX_AT: usize = 8;
const FIRST_AT: usize = 16;
const BIRTH_AT: usize = 24;
const PUBLISHED_AT: usize = 32;
const SEALED_AT: usize = 40;

/// A mapped segment.
pub struct Segment {
    pub path: PathBuf,
    pub index: u64,
    file: File,
    map: Map,
}

/// The words of a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    pub index: u64,
    /// Number of the first entry.
    pub first_seq: u64,
    /// When the journal was made, ns since the epoch: tells two journals apart in the database.
    pub birth: u64,
    /// Bytes published, header included; zero = not in use yet.
    pub published: u64,
}

impl Segment {
    /// Makes a segment of `len` bytes. All of them are allocated now, so that a full disk is found now.
    pub fn create(dir: &Path, index: u64, birth: u64, len: usize) -> Result<Self, JournalError> {
        let path = dir.join(file_name(index));
        let options = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).clone();
        let file = options.open(&path).map_err(JournalError::io("cannot create", &path))?;
        let made = allocate(&file, len).and_then(|()| Map::writable(&file, len));
        let map = made.map_err(|source| {
            let _ = std::fs::remove_file(&path);
            JournalError::Io { what: "cannot allocate", path: path.clone(), source }
        })?;
        for (at, word) in [(INDEX_AT, index), (BIRTH_AT, birth), (MAGIC_AT, MAGIC)] {
            map.word(at).store(word, Ordering::Release);
        }
        sync_dir(dir)?;
        Ok(Self { path, index, file, map })
    }

    /// Opens a segment for reading; `None` when there is none of this index or it is not in use yet.
    pub fn open(dir: &Path, index: u64) -> Result<Option<Self>, JournalError> {
        let path = dir.join(file_name(index));
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(JournalError::io("cannot open", &path))?,
        };
        let len = file.metadata().map_err(JournalError::io("cannot read", &path))?.len() as usize;
        if len <= HEADER {
            return Ok(None);
        }
        let map = Map::readable(&file, len).map_err(JournalError::io("cannot map", &path))?;
        let segment = Self { path, index, file, map };
        Ok((segment.published() > 0).then_some(segment))
    }

    pub const fn len(&self) -> usize {
        self.map.len()
    }

    pub fn birth(&self) -> u64 {
        self.map.word(BIRTH_AT).load(Ordering::Acquire)
    }

    pub fn first_seq(&self) -> u64 {
        self.map.word(FIRST_AT).load(Ordering::Acquire)
    }

    /// Bytes that may be read.
    pub fn published(&self) -> usize {
        self.handover().published() as usize
    }

    /// What there is for a reader who has read everything before `at`.
    pub fn next(&self, at: usize) -> Next {
        self.handover().next(at as u64)
    }

    fn handover(&self) -> Handover<'_> {
        Handover { published: self.map.word(PUBLISHED_AT), sealed: self.map.word(SEALED_AT) }
    }

    /// Takes the segment into use; its first entry will be `first_seq`.
    pub fn begin(&mut self, first_seq: u64) {
        self.map.word(FIRST_AT).store(first_seq, Ordering::Release);
    }

    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        assert!(at >= HEADER && at >= self.published(), "what was published is never written again");
        self.map.write(at, bytes);
    }

    /// Shows everything before `end` to the readers.
    pub fn publish(&mut self, end: usize) {
        self.handover().publish(end as u64);
    }

    /// Takes the pages that the next entries will be written to, from `at` on. After a sync the kernel gives each of
    /// them at its first write, which is a fault that an order would wait for.
    pub fn warm(&mut self, at: usize) {
        const PAGE: usize = 4_096;
        self.publish(self.published());
        for at in [at, at + PAGE] {
            if at < self.len() {
                self.write(at, &[0]);
            }
        }
    }

    /// Tells the readers that the next segment goes on.
    pub fn seal(&mut self) {
        self.handover().seal();
    }

    pub fn read(&self, at: usize, into: &mut [u8]) {
        self.map.read(at, into);
    }

    /// Waits until this range is on the disk.
    pub fn sync_range(&self, at: usize, len: usize) -> Result<(), JournalError> {
        self.map.sync(at, len).map_err(JournalError::io("cannot sync", &self.path))
    }

    /// Waits until the whole file is on the disk.
    pub fn sync(&self) -> Result<(), JournalError> {
        self.file.sync_data().map_err(JournalError::io("cannot sync", &self.path))
    }

    /// From now on every sync of the whole file fails.
    #[cfg(test)]
    pub fn break_sync(&mut self) -> io::Result<()> {
        // A device that has nothing to sync refuses to.
        self.file = File::open("/dev/null")?;
        Ok(())
    }
}

impl Header {
    /// The bytes of a header; `sealed` = the next segment goes on.
    pub fn bytes(&self, sealed: bool) -> [u8; HEADER] {
        let words = [
            (MAGIC_AT, MAGIC),
            (INDEX_AT, self.index),
            (FIRST_AT, self.first_seq),
            (BIRTH_AT, self.birth),
            (PUBLISHED_AT, self.published),
            (SEALED_AT, u64::from(sealed)),
        ];
        let mut bytes = [0; HEADER];
        for (at, word) in words {
            bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

/// Reads a header from the bytes of a file; `None` when the segment was never taken into use.
pub fn parse_header(path: &Path, bytes: &[u8]) -> Result<Option<Header>, JournalError> {
    let word = |at: usize| {
        let eight = bytes.get(at..).and_then(|rest| rest.first_chunk());
        eight.map_or(0, |eight| u64::from_le_bytes(*eight))
    };
    let header = Header {
        index: word(INDEX_AT),
        first_seq: word(FIRST_AT),
        birth: word(BIRTH_AT),
        published: word(PUBLISHED_AT),
    };
    match word(MAGIC_AT) {
        0 => Ok(None),
        MAGIC => Ok(Some(header)),
        got => Err(JournalError::Segment {
            path: path.to_owned(),
            got: format!("magic {got:#018x}"),
            expected: format!("{MAGIC:#018x} (a segment of this format)"),
        }),
    }
}

/// Closes a segment of an earlier run: cut to `len` bytes, all of them published, sealed.
pub fn retire(path: &Path, len: usize) -> Result<(), JournalError> {
    let write = || {
        let file = OpenOptions::new().write(true).open(path)?;
        file.write_all_at(&(len as u64).to_le_bytes(), PUBLISHED_AT as u64)?;
        file.write_all_at(&1_u64.to_le_bytes(), SEALED_AT as u64)?;
        file.set_len(len as u64)?;
        file.sync_all()
    };
    write().map_err(JournalError::io("cannot close", path))
}

/// Indices of the segments in a directory, rising.
pub fn list(dir: &Path) -> Result<Vec<u64>, JournalError> {
    let mut indices = Vec::new();
    for file in std::fs::read_dir(dir).map_err(JournalError::io("cannot list", dir))? {
        let name = file.map_err(JournalError::io("cannot list", dir))?.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
        indices.extend(stem.and_then(|stem| stem.parse::<u64>().ok()));
    }
    indices.sort_unstable();
    Ok(indices)
}

/// Name of a segment's file.
pub fn file_name(index: u64) -> String {
    format!("{index:08}{SUFFIX}")
}

/// Makes the names in a directory as durable as the files.
pub fn sync_dir(dir: &Path) -> Result<(), JournalError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(JournalError::io("cannot sync", dir))
}

const SUFFIX: &str = ".journal";

fn allocate(file: &File, len: usize) -> io::Result<()> {
    rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, len as u64)?;
    Ok(())
}
