//! The other half of the journal's writer: prepares segments ahead, puts retired ones to rest and measures
//! the room that is left. Owned by `disk`; everything that blocks is here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::JournalError;
use super::file::Options;
use super::segment::Segment;
use crate::sys::ring::{Rx, Tx, ring};

/// Segments kept ready: one to move on to, one in reserve for unwinds on a full disk (SAFETY L5).
pub const SPARES: u64 = 2;

/// What both halves know of the room left.
pub(super) struct Room {
    /// Segments ready in the ring.
    pub spares: AtomicU64,
    /// Bytes free on the disk for the likes of us.
    pub disk_free: AtomicU64,
}

/// The writer's ends.
pub(super) struct Ends {
    pub spares: Rx<Segment>,
    pub retired: Tx<Segment>,
    pub room: Arc<Room>,
}

/// The blocking half.
pub struct Supply {
    dir: PathBuf,
    options: Options,
    next_index: u64,
    birth: u64,
    spares: Tx<Segment>,
    retired: Rx<Segment>,
    room: Arc<Room>,
}

impl Supply {
    /// Prepares the first spares, so that a full disk refuses the start and not the first rotation.
    pub(super) fn new(
        dir: &Path,
        options: Options,
        next_index: u64,
        birth: u64,
    ) -> Result<(Self, Ends), JournalError> {
        let (spares, spares_out) = ring(SPARES as usize);
        let (retired_in, retired) = ring(2 * SPARES as usize);
        let room = Arc::new(Room { spares: AtomicU64::new(0), disk_free: AtomicU64::new(0) });
        let dir = dir.to_owned();
        let mut supply = Self { dir, options, next_index, birth, spares, retired, room: Arc::clone(&room) };
        supply.poll()?;
        Ok((supply, Ends { spares: spares_out, retired: retired_in, room }))
    }

    /// Does what is due; true when it did anything. Call it every few tens of milliseconds. An error leaves
    /// the journal working with what it has; the next call tries again.
    pub fn poll(&mut self) -> Result<bool, JournalError> {
        let mut worked = false;
        while let Some(segment) = self.retired.pop() {
            segment.sync()?;
            worked = true;
        }
        while self.room.spares.load(Ordering::Acquire) < SPARES {
            let segment =
                Segment::create(&self.dir, self.next_index, self.birth, self.options.segment_bytes)?;
            self.next_index += 1;
            // Counted first: the writer subtracts as soon as it can see the segment.
            self.room.spares.fetch_add(1, Ordering::AcqRel);
            assert!(self.spares.push(segment).is_ok(), "the ring holds as many segments as are counted");
            worked = true;
        }
        self.measure()?;
        Ok(worked)
    }

    fn measure(&self) -> Result<(), JournalError> {
        let stat = rustix::fs::statvfs(&self.dir)
            .map_err(|errno| JournalError::io("cannot measure", &self.dir)(errno.into()))?;
        self.room.disk_free.store(stat.f_bavail.saturating_mul(stat.f_frsize), Ordering::Release);
        Ok(())
    }
}
