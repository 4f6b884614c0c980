//! What a run needs of this machine: a journal directory to write to, cores, locked memory.

use std::fs::{self, File};
use std::path::Path;

use rustix::process::{Resource, getrlimit};

use super::Report;
use crate::config::{Config, Layout, Wait};
use crate::sys::host::Host;
use crate::sys::{cores, process};

/// Memory that the engine wants locked, bytes; a guess well above its rings and journal segments.
const LOCKED_WANTED: u64 = 512 << 20;

pub(super) fn check(config: &Config, report: &mut Report) {
    journal(&config.journal.dir, config.settings.upkeep.journal_free_min_mb, report);
    spinning_cores(config, report);
    realtime(config.threads.realtime_priority, report);
    locked_memory(config.trades_real_money(), report);
}

/// Writes and removes a file of its own name: permission bits alone do not tell.
fn journal(dir: &Path, free_min_mb: u32, report: &mut Report) {
    const CHECK: &str = "journal";
    let probe = dir.join(format!(".check-{}-{}", process::own_uid(), std::process::id()));
    let written =
        fs::create_dir_all(dir).and_then(|()| File::create_new(&probe)).and_then(|_| fs::remove_file(&probe));
    if let Err(error) = written {
        let said = format!("{}: cannot be written: {error}", dir.display());
        return report.failed(CHECK, said, "make the directory, owned by this user, or set [journal] dir");
    }
    match rustix::fs::statvfs(dir) {
        Err(error) => {
            report.warning(CHECK, format!("{}: free space unknown: {error}", dir.display()), "look at it");
        }
        Ok(disk) => {
            let free_mb = disk.f_bavail.saturating_mul(disk.f_frsize) >> 20;
            let said = format!("{}: writable, {free_mb} MB free, {free_min_mb} MB wanted", dir.display());
            if free_mb < u64::from(free_min_mb) {
                report.failed(CHECK, said, "free some space, or nothing will be opened");
            } else {
                report.ok(CHECK, said);
            }
        }
    }
}

/// Pinned cores must exist; spinning threads should have cores that the kernel keeps free.
fn spinning_cores(config: &Config, report: &mut Report) {
    const CHECK: &str = "cores";
    let (allowed, isolated) = (cores::allowed(), cores::isolated());
    let threads = &config.threads;
    let all = threads.md.iter().chain([&threads.spread, &threads.order]);
    let pinned: Vec<usize> = all.clone().filter_map(|thread| thread.core).map(usize::from).collect();
    let said = format!("{} allowed, isolated {isolated:?}, pinned {pinned:?}", allowed.len());
    if let Some(core) = pinned.iter().find(|core| !allowed.contains(core) && !isolated.contains(core)) {
        return report.failed(
            CHECK,
            format!("core {core} is not there; {said}"),
            "set another core in [threads]",
        );
    }
    let spins = all.clone().filter(|thread| thread.wait == Wait::Spin).count();
    if threads.layout == Layout::Dedicated && allowed.len().max(isolated.len()) < 5 {
        report.warning(
            CHECK,
            said,
            "set [threads] layout to auto, shared or single: dedicated wants five cores or more",
        );
    } else if spins > 0 && isolated.is_empty() {
        report.warning(CHECK, said, "keep cores free (isolcpus) for the threads that spin");
    } else {
        report.ok(CHECK, said);
    }
}

/// What real-time priority needs, where it is wanted.
fn realtime(priority: u8, report: &mut Report) {
    const CHECK: &str = "real-time priority";
    if priority == 0 {
        return;
    }
    let limit = getrlimit(Resource::Rtprio).current;
    let root = process::own_uid() == 0;
    if limit.is_some_and(|limit| limit < u64::from(priority)) && !root {
        let said = format!("{priority} wanted, {} allowed", limit.unwrap_or_default());
        report.failed(CHECK, said, "raise LimitRTPRIO= of the unit, or set [threads] realtime_priority = 0");
    } else if Host::this().throttles_realtime() {
        report.warning(
            CHECK,
            format!("{priority}, but the kernel holds a spinning thread up for 50 ms of each second"),
            "sysctl kernel.sched_rt_runtime_us=-1, on isolated cores only",
        );
    } else {
        report.ok(CHECK, priority.to_string());
    }
}

fn locked_memory(real: bool, report: &mut Report) {
    let limit = getrlimit(Resource::Memlock).current;
    let said = limit.map_or("unlimited".to_owned(), |bytes| format!("{} MB", bytes >> 20));
    if limit.is_some_and(|bytes| bytes < LOCKED_WANTED) {
        let mend = "raise it (LimitMEMLOCK=infinity), or pages may be swapped out";
        match real && !rustix::process::geteuid().is_root() {
            true => report.failed("locked memory", said, mend),
            false => report.warning("locked memory", said, mend),
        }
    } else {
        report.ok("locked memory", said);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal_says(dir: &Path, free_min_mb: u32) -> (bool, String) {
        let mut report = Report::default();
        journal(dir, free_min_mb, &mut report);
        (report.passed(), report.rows[0].said.clone())
    }

    #[test]
    fn a_journal_directory_is_made_and_left_empty() {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("a").join("journal");
        let (passed, said) = journal_says(&journal, 0);
        assert!(passed && said.contains("writable"), "{said}");
        assert_eq!(fs::read_dir(&journal).unwrap().count(), 0);
    }

    #[test]
    fn a_full_disk_and_a_file_in_the_way_fail() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!journal_says(dir.path(), u32::MAX).0);
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(!journal_says(&file, 0).0);
    }
}
