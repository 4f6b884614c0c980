//! The host fails under the engine: the process stands still for seconds with orders in flight, and the disk of its
//! journal has no room left. The real binary on both simulated venues; in the end no leg is alone, no order was sent
//! twice, none is open, and the journal agrees with the venues.
//!
//! `BOT4_STALLS=100 cargo test --release --test failures_host -- --nocapture` for more of the first kind.

mod common;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bot4_sim::Options;
use bot4_sim::core::fault::Action;
use bot4_sim::core::rng::Rng;
use common::Bench;
use common::bench::{Line, PARADEX, VEST};
use common::campaign::number;
use common::trouble::VENUES;
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

/// Stops of a run unless `BOT4_STALLS` says otherwise.
const STALLS: u64 = 4;

#[test]
fn an_engine_that_stood_still_with_orders_in_flight_comes_home() {
    let (stalls, seed) = (number("BOT4_STALLS", STALLS), number("BOT4_SEED", 1));
    let mut rng = Rng::new(seed, "stalls");
    let mut bench = Bench::with(Options { seed, ..Options::default() }, "[risk]\nlosing_pairs_pause = 100");
    bench.start();
    for nth in 0..stalls {
        let venue = VENUES[rng.between(0, 1) as usize];
        let hold = Action::HoldFill { ms: rng.between(1, 4_000) as u32 };
        let closing = nth % 2 == 1;
        if closing {
            bench.gap_bps(60);
            bench.wait_truth("a pair", |truth| {
                truth.vest.position(VEST) != 0 && truth.paradex.position(PARADEX) != 0
            });
            bench.gap_bps(20);
            bench.fault_closing(venue, 1, hold);
        } else {
            bench.fault_opening(venue, 1, hold);
        }
        let before = orders(&bench);
        bench.gap_bps(if closing { -20 } else { 60 });
        bench.wait_truth("both orders", |truth| {
            truth.vest.orders.len() > before[0] && truth.paradex.orders.len() > before[1]
        });
        bench.signal(Signal::STOP);
        // From a second to ten; the venues go on meanwhile.
        let still = Duration::from_millis(1_000 + rng.between(0, 9_000) as u64 * u64::from(nth > 0));
        std::thread::sleep(still);
        bench.gap_bps(0);
        bench.signal(Signal::CONT);
        bench.wait_for("STALLED");
        bench.wait_truth("every leg closed and every order ended", |truth| {
            let open = truth.vest.open_orders.len() + truth.paradex.open_orders.len();
            open == 0 && truth.vest.position(VEST) == 0 && truth.paradex.position(PARADEX) == 0
        });
        let kind = if closing { "a closing" } else { "an opening" };
        println!("stood still for {} ms with {kind} order held, home", still.as_millis());
    }
    // Lines of the pairs above may still be unread: the venues tell.
    bench.gap_bps(60);
    bench
        .wait_truth("a pair", |truth| truth.vest.position(VEST) != 0 && truth.paradex.position(PARADEX) != 0);
    bench.gap_bps(-20);
    bench.wait_truth("no pair", |truth| truth.vest.is_flat() && truth.paradex.is_flat());
    bench.stop_and_settle_journal();
}

fn orders(bench: &Bench) -> [usize; 2] {
    let truth = bench.control().truth();
    [truth.vest.orders.len(), truth.paradex.orders.len()]
}

fn held(line: &Line) -> bool {
    line["what"] == "entries held: the journal has little room"
}

/// No file of the engine may grow any more, which needs neither a mount nor rights: new segments cannot be allocated.
/// The engine trades on in those that it has, then opens nothing, and closes what it holds in the one kept for that.
#[test]
fn without_new_segments_nothing_is_opened_and_what_is_held_is_closed() {
    let mut bench = Bench::with(Options::default(), "[journal]\nsegment_kb = 16");
    bench.spawn_ignoring_limits(&["--live", "--auto-resume"]);
    bench.wait_for("STARTED");
    bench.open_pair();
    let pid = Pid::from_raw(bench.pid() as i32).expect("a process id");
    let none = Rlimit { current: Some(0), maximum: None };
    prlimit(Some(pid), Resource::Fsize, none).expect("it is ours");
    loop {
        bench.close_pair();
        if bench.log.iter().any(held) {
            break;
        }
        bench.gap_bps(60);
        let entered = |line: &Line| line["event_type"] == "ENTRY_EXECUTED";
        let line = bench.wait_until("an entry, or the hold", |line| entered(line) || held(line));
        // It came after the close was told: nothing is open that could be closed.
        if held(&line) {
            break;
        }
    }
    nothing_is_opened(&mut bench);
    assert!(bench.log.iter().any(|line| line.to_string().contains("cannot allocate")), "{}", bench.tail());
    bench.stop_and_settle_journal();
    bench.start();
    bench.open_pair();
    bench.close_pair();
    bench.stop_and_settle_journal();
}

/// A pair that is still held closes; a gap opens nothing.
fn nothing_is_opened(bench: &mut Bench) {
    bench.gap_bps(-20);
    bench.wait_truth("every leg closed", |truth| truth.vest.is_flat() && truth.paradex.is_flat());
    let before = orders(bench);
    bench.gap_bps(60);
    bench.saw_within(Duration::from_secs(2), |_| false);
    assert_eq!(orders(bench), before, "an entry without room for it\n{}", bench.tail());
    bench.gap_bps(0);
}

/// A file system of its own, filled to the last byte. Where mounting is not allowed the test above has to do.
#[test]
fn on_a_full_disk_nothing_is_opened_and_what_is_held_is_closed() {
    let mut bench = Bench::with(Options::default(), "[journal]\nsegment_kb = 64");
    let dir = bench.dir.path().join("journal");
    fs::create_dir_all(&dir).expect("a directory");
    let Some(mount) = Mount::small(&dir) else {
        assert!(std::env::var_os("CI").is_none(), "mounting is not allowed here");
        println!("mounting is not allowed here: not tested");
        return;
    };
    bench.start();
    bench.open_pair();
    let filler = dir.join("filler");
    fill(&filler);
    bench.wait_until("the hold", held);
    nothing_is_opened(&mut bench);
    fs::remove_file(filler).expect("it was there");
    bench.wait_until("room", |line| line["what"] == "entries allowed again");
    bench.open_pair();
    bench.close_pair();
    bench.stop_and_settle_journal();
    drop(mount);
}

/// A mounted file system of 96 MB; unmounted when dropped.
struct Mount<'a>(&'a Path);

impl<'a> Mount<'a> {
    fn small(dir: &'a Path) -> Option<Self> {
        let mut command = Command::new("mount");
        let mounted = command.args(["-t", "tmpfs", "-o", "size=96m", "tmpfs"]).arg(dir).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(dir))
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

fn fill(path: &Path) {
    let mut file = File::create(path).expect("a file");
    let mut piece = vec![1; 1 << 20];
    while !piece.is_empty() {
        if file.write_all(&piece).is_err() {
            piece.truncate(piece.len() / 2);
        }
    }
}
