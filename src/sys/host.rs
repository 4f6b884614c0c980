//! What this host grants its threads, as the kernel tells it below `/proc` and `/sys`, and how long a spinning thread
//! is really kept off its core. Called by `bot4 check` only; it changes nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::clock::{Clock, SystemClock};
use super::cores::{self, PinError};

/// The kernel's files, below a root that tests replace.
pub struct Host(PathBuf);

/// An interrupt that may fall on a core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interrupt {
    pub number: u32,
    /// What raises it, as far as it is told.
    pub device: String,
}

impl Host {
    pub fn this() -> Self {
        Self(PathBuf::from("/"))
    }

    /// How the clock rate of a core is chosen; `None` where the host does not let the kernel choose.
    pub fn governor(&self, core: usize) -> Option<String> {
        self.read(&format!("sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor"))
    }

    /// Sleep states, beyond waiting in place, that this core may fall into.
    pub fn sleep_states(&self, core: usize) -> Vec<String> {
        let states = (1..).map(|n| format!("sys/devices/system/cpu/cpu{core}/cpuidle/state{n}"));
        let named = states.map_while(|state| Some((self.read(&format!("{state}/name"))?, state)));
        let awake = |state: &str| self.read(&format!("{state}/disable")).as_deref() == Some("1");
        named.filter(|(_, state)| !awake(state)).map(|(name, _)| name).collect()
    }

    /// Interrupts of devices that the kernel may deliver to one of these cores.
    pub fn interrupts(&self, cores: &[usize]) -> Vec<Interrupt> {
        let Ok(numbers) = fs::read_dir(self.0.join("proc/irq")) else { return Vec::new() };
        let numbers = numbers.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut all: Vec<Interrupt> = numbers.filter_map(|number| self.interrupt(number, cores)).collect();
        all.sort_by_key(|interrupt| interrupt.number);
        all
    }

    /// One that has a device and falls on our cores.
    fn interrupt(&self, number: u32, cores: &[usize]) -> Option<Interrupt> {
        let dir = format!("proc/irq/{number}");
        let mut inside = fs::read_dir(self.0.join(&dir)).ok()?.flatten();
        let device = inside.find(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))?;
        // Where it really goes, when the kernel says so; else where it may.
        let list = ["effective_affinity_list", "smp_affinity_list"];
        let text =
            list.iter().find_map(|name| self.read(&format!("{dir}/{name}")).filter(|t| !t.is_empty()))?;
        let hits = cores::parse_list(&text).iter().any(|core| cores.contains(core));
        hits.then(|| Interrupt { number, device: device.file_name().to_string_lossy().into_owned() })
    }

    /// Which memory gets huge pages: `always`, `madvise` or `never`.
    pub fn huge_pages(&self) -> Option<String> {
        let text = self.read("sys/kernel/mm/transparent_hugepage/enabled")?;
        let (_, rest) = text.split_once('[')?;
        Some(rest.split_once(']')?.0.to_owned())
    }

    /// Whether the kernel takes real-time threads off their core for a part of each second.
    pub fn throttles_realtime(&self) -> bool {
        self.read("proc/sys/kernel/sched_rt_runtime_us").is_some_and(|text| text != "-1")
    }

    /// What the kernel reads the time from.
    pub fn clock_source(&self) -> Option<String> {
        self.read("sys/devices/system/clocksource/clocksource0/current_clocksource")
    }

    /// How long a read polls the network card before it sleeps, µs.
    pub fn busy_read_us(&self) -> Option<u32> {
        self.read("proc/sys/net/core/busy_read")?.parse().ok()
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.0.join(Path::new(path))).ok().map(|text| text.trim().to_owned())
    }
}

/// The longest time that a spinning thread does not see, ns: it looks at the clock on this core for so long. The
/// calling thread is pinned meanwhile.
///
/// # Errors
/// When the core is not there or not for us.
pub fn longest_gap_ns(core: usize, time: Duration) -> Result<u64, PinError> {
    let pinned = cores::Pinned::to(core)?;
    let clock = SystemClock::start();
    let mut last = clock.now();
    let (end, mut longest) = (last.0 + time.as_nanos() as u64, 0);
    while last.0 < end {
        let now = clock.now();
        longest = longest.max(now.since(last));
        last = now;
    }
    drop(pinned);
    Ok(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let host = Host(dir.path().to_owned());
        (dir, host)
    }

    #[test]
    fn a_tuned_host_is_read() {
        let (_dir, host) = host(&[
            ("sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", "performance\n"),
            ("sys/devices/system/cpu/cpu2/cpuidle/state0/name", "POLL\n"),
            ("sys/devices/system/cpu/cpu2/cpuidle/state1/name", "C1\n"),
            ("sys/devices/system/cpu/cpu2/cpuidle/state1/disable", "1\n"),
            ("sys/devices/system/cpu/cpu2/cpuidle/state2/name", "C6\n"),
            ("sys/devices/system/cpu/cpu2/cpuidle/state2/disable", "0\n"),
            ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
            ("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"),
            ("proc/sys/net/core/busy_read", "50\n"),
        ]);
        assert_eq!(host.governor(2).as_deref(), Some("performance"));
        assert_eq!(host.governor(3), None);
        assert_eq!(host.sleep_states(2), ["C6"]);
        assert_eq!(host.huge_pages().as_deref(), Some("madvise"));
        assert_eq!(host.clock_source().as_deref(), Some("tsc"));
        assert_eq!(host.busy_read_us(), Some(50));
    }

    #[test]
    fn interrupts_are_those_of_devices_on_our_cores() {
        let (_dir, host) = host(&[
            ("proc/irq/9/eth0-rx/x", ""),
            ("proc/irq/9/smp_affinity_list", "0-5\n"),
            ("proc/irq/9/effective_affinity_list", "3\n"),
            ("proc/irq/10/nvme0q1/x", ""),
            ("proc/irq/10/smp_affinity_list", "0-1\n"),
            ("proc/irq/11/smp_affinity_list", "0-5\n"),
        ]);
        let eth0 = Interrupt { number: 9, device: "eth0-rx".to_owned() };
        assert_eq!(host.interrupts(&[2, 3]), [eth0]);
        assert_eq!(host.interrupts(&[4]), [], "it may, but does not");
        assert_eq!(host.interrupts(&[1]).len(), 1);
    }

    #[test]
    fn a_host_that_tells_nothing_is_no_error() {
        let (_dir, host) = host(&[]);
        assert_eq!((host.governor(0), host.huge_pages(), host.clock_source()), (None, None, None));
        assert!(host.sleep_states(0).is_empty() && host.interrupts(&[0]).is_empty());
    }

    #[test]
    fn the_gap_is_measured_on_the_core_and_the_pin_is_taken_back() {
        let before = cores::allowed();
        let time = Duration::from_millis(20);
        let gap = longest_gap_ns(before[0], time).unwrap();
        assert!(gap > 0, "two looks at the clock are never at once");
        assert_eq!(cores::allowed(), before);
        assert!(longest_gap_ns(usize::MAX, time).is_err());
    }
}
