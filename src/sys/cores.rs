//! Which processor cores this process may use, and pinning the calling thread to one of them. Called by `thread` and by
//! the topology's fallback; holds no state.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use thiserror::Error;

/// A core that the calling thread could not be pinned to.
#[derive(Debug, Error)]
pub enum PinError {
    #[error("core {core}: no machine has so many, expected one of {allowed:?}")]
    TooHigh { core: usize, allowed: Vec<usize> },
    #[error("core {core} is not available (allowed: {allowed:?}, isolated: {isolated:?}): {source}")]
    Refused { core: usize, allowed: Vec<usize>, isolated: Vec<usize>, source: io::Error },
}

/// Cores in the calling thread's mask. Call it before anything is pinned: a pinned thread sees only its own core.
/// Isolated cores are usually not in the mask, although a thread may be pinned to them.
pub fn allowed() -> Vec<usize> {
    sched_getaffinity(None)
        .map(|set| (0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect())
        .unwrap_or_default()
}

/// Cores that the kernel keeps free of other work (`isolcpus=`); empty when there are none or none are told.
pub fn isolated() -> Vec<usize> {
    std::fs::read_to_string("/sys/devices/system/cpu/isolated")
        .map(|text| parse_list(&text))
        .unwrap_or_default()
}

/// Cores that a thread of ours may be pinned to.
pub fn usable() -> Vec<usize> {
    let mut cores = allowed();
    cores.extend(isolated());
    cores.sort_unstable();
    cores.dedup();
    cores
}

/// Pins the calling thread. Threads started by it afterwards inherit the pin.
///
/// # Errors
/// When the core does not exist or a cpuset forbids it; the text lists the cores that would do.
pub fn pin_current(core: usize) -> Result<(), PinError> {
    let allowed = allowed();
    if core >= CpuSet::MAX_CPU {
        return Err(PinError::TooHigh { core, allowed });
    }
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(|errno| PinError::Refused {
        core,
        allowed,
        isolated: isolated(),
        source: errno.into(),
    })
}

/// The calling thread on one core, for as long as this lives.
pub struct Pinned(Option<CpuSet>);

impl Pinned {
    /// # Errors
    /// As [`pin_current`].
    pub fn to(core: usize) -> Result<Self, PinError> {
        let before = sched_getaffinity(None).ok();
        pin_current(core)?;
        Ok(Self(before))
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // A mask that was in force a moment ago is taken; if it is not, the thread is merely on one core.
        let _stays = self.0.as_ref().map(|before| sched_setaffinity(None, before));
    }
}

/// Reads the kernel's list form, e.g. `2-3,6`. Anything unreadable in it counts for nothing.
pub(super) fn parse_list(text: &str) -> Vec<usize> {
    text.trim().split(',').filter_map(parse_range).flatten().collect()
}

fn parse_range(part: &str) -> Option<std::ops::RangeInclusive<usize>> {
    let (first, last) = part.split_once('-').unwrap_or((part, part));
    let range = first.parse().ok()?..=last.parse().ok()?;
    (*range.end() < CpuSet::MAX_CPU).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lists_are_read() {
        assert_eq!(parse_list("2-4,7\n"), [2, 3, 4, 7]);
        assert_eq!(parse_list("\n"), [0_usize; 0]);
        assert_eq!(parse_list("x,1,3-y,0-99999999"), [1]);
    }

    #[test]
    fn a_thread_is_pinned_to_an_allowed_core() {
        let core = *allowed().last().unwrap();
        let inside = std::thread::scope(|scope| {
            scope.spawn(|| pin_current(core).map(|()| allowed())).join().unwrap().unwrap()
        });
        assert_eq!(inside, [core]);
    }

    #[test]
    fn a_core_that_is_not_there_is_named() {
        let error = pin_current(CpuSet::MAX_CPU - 1).unwrap_err().to_string();
        assert!(
            error.contains(&format!("core {}", CpuSet::MAX_CPU - 1)) && error.contains("allowed: ["),
            "{error}"
        );
        assert!(pin_current(usize::MAX).is_err());
    }
}
