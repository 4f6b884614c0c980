//! A file mapped into memory. The journal writes and tails through it; nobody else maps anything.
//!
//! The mapping is shared with other mappings of the same file, so plain references into it would be a lie to the
//! compiler: bytes go in and out by copy, and the words that order those copies are atomics.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU64;

use rustix::mm::{MapFlags, MsyncFlags, ProtFlags};

/// Largest page of any machine we run on: a multiple of every page size, bytes.
const PAGE_MAX: usize = 64 << 10;

/// A shared mapping of a whole file. Every offset is checked; one beyond the mapping is a programmer's error.
pub struct Map {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to this value alone until it is dropped, and nothing in it is bound to a thread.
unsafe impl Send for Map {}

impl Map {
    /// Maps the first `len` bytes for reading and writing and faults the pages in. The file must be that long.
    pub fn writable(file: &File, len: usize) -> io::Result<Self> {
        Self::map(file, len, ProtFlags::READ | ProtFlags::WRITE)
    }

    /// Maps the first `len` bytes for reading. The file must be that long and must not shrink while it is mapped.
    pub fn readable(file: &File, len: usize) -> io::Result<Self> {
        Self::map(file, len, ProtFlags::READ)
    }

    fn map(file: &File, len: usize, prot: ProtFlags) -> io::Result<Self> {
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        // SAFETY: a fresh mapping at an address of the kernel's choice overlaps nothing of ours.
        let start = unsafe { rustix::mm::mmap(ptr::null_mut(), len, prot, flags, file, 0) }?;
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at address zero"))?;
        Ok(Self { start, len })
    }

    pub const fn len(&self) -> usize {
        self.len
    }

    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies `bytes` to offset `at` of a writable mapping. Readers may look at them only after a release store of a
    /// [`Map::word`] that tells them so.
    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        self.check(at, bytes.len());
        // SAFETY: the range lies inside the mapping (checked above); `bytes` is ordinary memory and cannot overlap it.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.as_ptr().add(at), bytes.len()) }
    }

    /// Copies from offset `at`. The writer must have published the range: see [`Map::write`].
    pub fn read(&self, at: usize, into: &mut [u8]) {
        self.check(at, into.len());
        // SAFETY: the range lies inside the mapping (checked above); `into` is ordinary memory and cannot overlap it.
        unsafe { ptr::copy_nonoverlapping(self.start.as_ptr().add(at), into.as_mut_ptr(), into.len()) }
    }

    /// The eight bytes at `at` (a multiple of eight) as an atomic. Store only into a writable mapping.
    pub fn word(&self, at: usize) -> &AtomicU64 {
        self.check(at, size_of::<u64>());
        assert!(
            at.is_multiple_of(align_of::<AtomicU64>()),
            "an atomic word must be aligned, got offset {at}"
        );
        // SAFETY: inside the mapping and aligned (checked above; a mapping starts on a page); the borrow of `self`
        // keeps it mapped; every access to these eight bytes by any mapping is atomic.
        unsafe { AtomicU64::from_ptr(self.start.as_ptr().add(at).cast()) }
    }

    /// Waits until the pages that hold `len` bytes at `at` are on the disk.
    pub fn sync(&self, at: usize, len: usize) -> io::Result<()> {
        self.check(at, len);
        let first = at - at % PAGE_MAX;
        // SAFETY: the range lies inside the mapping and starts on a page; syncing changes no byte.
        unsafe {
            let start = self.start.as_ptr().add(first).cast();
            rustix::mm::msync(start, at + len - first, MsyncFlags::SYNC)?;
        }
        Ok(())
    }

    fn check(&self, at: usize, len: usize) {
        let inside = at.checked_add(len).is_some_and(|end| end <= self.len);
        assert!(inside, "{len} bytes at {at} lie outside a mapping of {}", self.len);
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: this value made the mapping and is its only owner. An error would mean a wrong range, which the
        // kernel refuses without effect.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn two_mappings_of_a_file_see_the_same_bytes() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8192).unwrap();
        let mut writer = Map::writable(&file, 8192).unwrap();
        let reader = Map::readable(&file, 8192).unwrap();
        writer.write(100, b"fact");
        writer.word(8).store(104, Ordering::Release);
        assert_eq!(reader.word(8).load(Ordering::Acquire), 104);
        let mut got = [0; 4];
        reader.read(100, &mut got);
        assert_eq!(&got, b"fact");
        writer.sync(5000, 10).unwrap();
    }
}
