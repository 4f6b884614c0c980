//! How still the configured cores are: rate, sleep, interrupts, clock, memory pages, network card, and the longest gap
//! that a spinning thread meets. All of it costs microseconds, none of it safety: nothing here fails a check.

use std::time::Duration;

use super::Report;
use crate::config::Config;
use crate::sys::host::{self, Host};

/// How long each configured core is watched.
const WATCHED: Duration = Duration::from_secs(1);
/// A gap that costs a race, ns.
const GAP_MAX_NS: u64 = 50_000;
const TUNE: &str = "scripts/host_tune.sh shows what to change (docs/host.md)";

pub(super) fn check(config: &Config, report: &mut Report) {
    let threads = &config.threads;
    let all = threads.md.iter().chain([&threads.spread, &threads.order]);
    let mut cores: Vec<usize> = all.filter_map(|thread| thread.core).map(usize::from).collect();
    cores.sort_unstable();
    cores.dedup();
    let host = Host::this();
    machine(&host, report);
    if cores.is_empty() {
        return report.skipped("stillness", "no core is named in [threads]");
    }
    stillness(&host, &cores, report);
    cores.into_iter().for_each(|core| jitter(core, report));
}

/// What belongs to the whole machine.
fn machine(host: &Host, report: &mut Report) {
    match host.clock_source() {
        Some(source) if source == "tsc" => report.ok("clock source", source),
        Some(source) => {
            let mend =
                "boot with tsc=reliable where the processor's counter is sound: reading the time costs less";
            report.warning("clock source", source, mend);
        }
        None => report.skipped("clock source", "the kernel does not tell"),
    }
    match host.huge_pages() {
        Some(choice) if choice == "always" => report.warning("huge pages", choice, TUNE),
        Some(choice) => report.ok("huge pages", choice),
        None => report.skipped("huge pages", "the kernel has none"),
    }
    match host.busy_read_us() {
        Some(us @ 1..) => report.ok("card polling", format!("{us} us before a read sleeps")),
        Some(0) => report.warning("card polling", "off: a read sleeps until the interrupt", TUNE),
        None => report.skipped("card polling", "the kernel does not tell"),
    }
}

/// What belongs to the cores of ours.
fn stillness(host: &Host, cores: &[usize], report: &mut Report) {
    let governors: Vec<String> = cores.iter().filter_map(|&core| host.governor(core)).collect();
    match governors.iter().find(|governor| *governor != "performance") {
        Some(other) => report.warning("clock rate", format!("governor {other}"), TUNE),
        None if governors.is_empty() => report.skipped("clock rate", "not the kernel's to choose here"),
        None => report.ok("clock rate", "governor performance"),
    }
    let sleepy = cores.iter().find_map(|&core| {
        let states = host.sleep_states(core);
        (!states.is_empty()).then(|| format!("core {core} may sleep: {}", states.join(", ")))
    });
    match sleepy {
        Some(said) => report.warning("sleep states", said, TUNE),
        None => report.ok("sleep states", "none beyond waiting in place"),
    }
    let interrupts = host.interrupts(cores);
    let named: Vec<String> =
        interrupts.iter().map(|one| format!("{} ({})", one.number, one.device)).collect();
    if named.is_empty() {
        report.ok("interrupts", format!("none on {cores:?}"));
    } else {
        report.warning("interrupts", format!("on {cores:?}: {}", named.join(", ")), TUNE);
    }
}

fn jitter(core: usize, report: &mut Report) {
    let check = format!("jitter of core {core}");
    match host::longest_gap_ns(core, WATCHED) {
        Err(error) => report.warning(&check, error, "set another core in [threads]"),
        Ok(ns) => {
            let said =
                format!("longest gap {}.{} us in {} s", ns / 1_000, ns % 1_000 / 100, WATCHED.as_secs());
            match ns {
                0..=GAP_MAX_NS => report.ok(&check, said),
                _ => report.warning(&check, said, "isolate it: docs/host.md"),
            }
        }
    }
}
