//! Who runs where and how they wait: the operator's table, adapted to the machine that is there. With too few cores the
//! engine falls back by itself and says so in one line. Pure.

use crate::config::{Layout, ThreadSection, Threads, Wait as WantedWait};
use crate::sys::thread::Wait;

/// Longest sleep of a parked thread that also looks at sockets, ms: how late it may see a private event.
const PARK_SOCKETS_MS: u32 = 1;
/// Longest sleep of a parked thread that is woken for everything it has to do, ms.
const PARK_RINGS_MS: u32 = 5;
/// Longest sleep of the cold threads, ms.
const PARK_COLD_MS: u32 = 10;
/// Priority of the threads that must give way (DESIGN §1).
const COLD_NICE: i32 = 10;

/// Place and manners of one thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub core: Option<usize>,
    /// Real-time priority.
    pub realtime: Option<u8>,
    pub nice: i32,
    pub wait: Wait,
}

/// Which of the hot values share one OS thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Together {
    Nobody,
    /// The readers and `spread`.
    Readers,
    /// The readers, `spread` and `order`: nobody wakes anybody between a tick and its orders.
    All,
}

impl Together {
    const fn of(layout: Layout) -> Self {
        match layout {
            Layout::Auto | Layout::Dedicated => Self::Nobody,
            Layout::Shared => Self::Readers,
            Layout::Single => Self::All,
        }
    }

    /// Hot threads with so many readers.
    const fn threads(self, readers: usize) -> usize {
        match self {
            Self::Nobody => readers + 2,
            Self::Readers => 2,
            Self::All => 1,
        }
    }
}

/// The table as it will run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub together: Together,
    pub md: Vec<Place>,
    pub spread: Place,
    pub order: Place,
    pub signer: Place,
    pub keeper: Place,
    pub store: Place,
    pub db: Place,
    /// What differs from what was asked for, for the log; empty when nothing does.
    pub notes: Vec<String>,
}

/// Makes the plan for a machine on which these cores may be used, and these of them are kept free for us.
pub fn plan(wanted: &Threads, cores: &[usize], isolated: &[usize]) -> Plan {
    let together = Together::of(wanted.layout);
    let hot = together.threads(wanted.md.len());
    // One core must be left for the cold threads when every hot thread has its own.
    let enough = cores.len() > hot;
    let shared = together != Together::Nobody;
    let mut notes = Vec::new();
    if wanted.layout == Layout::Dedicated && !enough {
        notes.push(format!("{} cores for {hot} hot threads: they sleep instead of spinning", cores.len()));
    }
    let mut desk = Desk { cores, enough, notes };
    let md = wanted.md.iter().map(|section| desk.reader(section, shared)).collect();
    // Where it shares its thread with the readers, it waits as they must.
    let spread = desk.hot("spread", &wanted.spread, if shared { PARK_SOCKETS_MS } else { PARK_RINGS_MS });
    let order = desk.hot("order", &wanted.order, PARK_SOCKETS_MS);
    let [signer, keeper, store, db] =
        [&wanted.signer, &wanted.keeper, &wanted.store, &wanted.db].map(|section| desk.cold(section));
    if !enough && wanted.layout == Layout::Auto {
        desk.notes.push(format!("{} cores: hot threads sleep when idle (dedicated cores spin)", cores.len()));
    }
    let mut plan = Plan { together, md, spread, order, signer, keeper, store, db, notes: desk.notes };
    if wanted.realtime_priority > 0 {
        plan.give_realtime(wanted.realtime_priority, isolated);
    }
    plan
}

impl Plan {
    /// A thread that gives way to nobody starves whoever else is on its core: it must have an isolated one to itself.
    fn give_realtime(&mut self, priority: u8, isolated: &[usize]) {
        let hot: Vec<(&str, &mut Place)> = match self.together {
            Together::Nobody => {
                let md = self.md.iter_mut().map(|place| ("md", place));
                md.chain([("spread", &mut self.spread), ("order", &mut self.order)]).collect()
            }
            Together::Readers => vec![("spread", &mut self.spread), ("order", &mut self.order)],
            Together::All => vec![("order", &mut self.order)],
        };
        let mut taken = Vec::new();
        for (name, place) in hot {
            match place.core {
                Some(core) if isolated.contains(&core) && !taken.contains(&core) => {
                    taken.push(core);
                    place.realtime = Some(priority);
                }
                _ => self.notes.push(format!("{name}: no isolated core of its own: no real-time priority")),
            }
        }
    }
}

/// Gives out places.
struct Desk<'a> {
    cores: &'a [usize],
    enough: bool,
    notes: Vec<String>,
}

impl Desk<'_> {
    fn core(&mut self, name: &str, wanted: Option<u16>) -> Option<usize> {
        let core = usize::from(wanted?);
        if self.cores.contains(&core) {
            return Some(core);
        }
        self.notes.push(format!("{name}: core {core} is not ours to use: not pinned"));
        None
    }

    fn busy(&self, park_ms: u32) -> Wait {
        if self.enough { Wait::Spin } else { Wait::Park { timeout_ms: park_ms } }
    }

    fn hot(&mut self, name: &str, section: &ThreadSection, park_ms: u32) -> Place {
        let park = Wait::Park { timeout_ms: park_ms };
        let wait = match section.wait {
            WantedWait::Spin if self.enough => Wait::Spin,
            WantedWait::Spin => {
                self.notes.push(format!("{name}: too few cores to spin: it parks"));
                park
            }
            WantedWait::Yield => Wait::Yield,
            WantedWait::Park | WantedWait::Block => park,
            WantedWait::Auto => self.busy(park_ms),
        };
        Place { core: self.core(name, section.core), realtime: None, nice: 0, wait }
    }

    /// A reader blocks in its socket unless it shares a thread or is told to spin.
    fn reader(&mut self, section: &ThreadSection, shared: bool) -> Place {
        let wait = match section.wait {
            _ if shared => self.busy(PARK_SOCKETS_MS),
            WantedWait::Spin if self.enough => Wait::Spin,
            WantedWait::Yield => Wait::Yield,
            _ => Wait::Block,
        };
        Place { core: self.core("md", section.core), realtime: None, nice: 0, wait }
    }

    fn cold(&mut self, section: &ThreadSection) -> Place {
        let wait = Wait::Park { timeout_ms: PARK_COLD_MS };
        Place { core: self.core("cold", section.core), realtime: None, nice: COLD_NICE, wait }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads(layout: Layout, wait: WantedWait) -> Threads {
        let section = ThreadSection { core: None, wait };
        Threads {
            layout,
            realtime_priority: 0,
            md: vec![section; 2],
            spread: section,
            order: section,
            signer: section,
            keeper: section,
            store: section,
            db: section,
            main: section,
        }
    }

    #[test]
    fn many_cores_spin_and_few_sleep() {
        let large = plan(&threads(Layout::Auto, WantedWait::Auto), &[0, 1, 2, 3, 4, 5], &[]);
        assert_eq!((large.spread.wait, large.order.wait), (Wait::Spin, Wait::Spin));
        assert!(large.notes.is_empty());
        let single = plan(&threads(Layout::Single, WantedWait::Auto), &[0, 1], &[]);
        assert_eq!((single.together, single.order.wait), (Together::All, Wait::Spin));
        assert!(single.notes.is_empty());
        let alone = plan(&threads(Layout::Single, WantedWait::Auto), &[0], &[]);
        assert!(matches!(alone.order.wait, Wait::Park { .. }));
        let small = plan(&threads(Layout::Auto, WantedWait::Auto), &[0, 1], &[]);
        assert!(matches!(small.order.wait, Wait::Park { .. }));
        assert_eq!(small.md[0].wait, Wait::Block);
        assert_eq!(small.notes.len(), 1);
    }

    #[test]
    fn real_time_priority_is_given_to_isolated_cores_of_ones_own() {
        let mut wanted = threads(Layout::Dedicated, WantedWait::Spin);
        wanted.realtime_priority = 40;
        let pin = |section: &mut ThreadSection, core| section.core = Some(core);
        wanted.md.iter_mut().zip([2, 3]).for_each(|(section, core)| pin(section, core));
        pin(&mut wanted.spread, 4);
        pin(&mut wanted.order, 4);
        let cores = [0, 1, 2, 3, 4, 5];
        let plan_on = |wanted: &Threads, isolated: &[usize]| plan(wanted, &cores, isolated);
        let crowded = plan_on(&wanted, &[3, 4, 5]);
        let given = |plan: &Plan| [&plan.md[0], &plan.md[1], &plan.spread, &plan.order].map(|of| of.realtime);
        assert_eq!(given(&crowded), [None, Some(40), Some(40), None]);
        assert_eq!(crowded.notes.len(), 2, "{:?}", crowded.notes);
        pin(&mut wanted.order, 5);
        assert_eq!(given(&plan_on(&wanted, &[2, 3, 4, 5])), [Some(40); 4]);
        wanted.layout = Layout::Single;
        assert_eq!(given(&plan_on(&wanted, &[2, 3, 4, 5])), [None, None, None, Some(40)]);
        wanted.realtime_priority = 0;
        assert_eq!(given(&plan_on(&wanted, &[2, 3, 4, 5])), [None; 4]);
    }

    #[test]
    fn what_cannot_be_is_said() {
        let mut wanted = threads(Layout::Dedicated, WantedWait::Spin);
        wanted.order.core = Some(9);
        let plan = plan(&wanted, &[0, 1], &[]);
        assert_eq!(plan.order.core, None);
        assert!(plan.notes.iter().any(|note| note.contains("core 9")), "{:?}", plan.notes);
        assert!(matches!(plan.spread.wait, Wait::Park { .. }));
    }
}
