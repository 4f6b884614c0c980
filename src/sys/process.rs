//! What the process asks of the operating system before it holds a key: locked memory, no core dumps, no tracing, a
//! panic message without values. Called by `main` once, before the threads.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::panic::PanicHookInfo;

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// Keeps all pages in memory, now and later: no swap file sees a key, no hot thread takes a page fault.
///
/// # Errors
/// With what the system said and the mend when the process may lock too little; then nothing is locked, because a lock
/// on future pages under a low limit would make later allocations fail.
pub fn lock_memory() -> Result<(), String> {
    let limit = getrlimit(Resource::Memlock).current;
    let refused = |why: String| {
        let mend = "set LimitMEMLOCK=infinity in the unit, ulimit -l unlimited in a shell; its filter of \
                    system calls has to pass @memlock, a container to have IPC_LOCK";
        format!("memory is not locked: {why} ({mend})")
    };
    if let (Some(bytes), false) = (limit, rustix::process::geteuid().is_root()) {
        return Err(refused(format!("RLIMIT_MEMLOCK is {bytes} bytes")));
    }
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE).map_err(|errno| refused(errno.to_string()))
}

/// What comes before anything is read: panics without values, no dumps.
///
/// # Errors
/// As [`forbid_dumps`].
pub fn guard() -> io::Result<()> {
    set_panic_hook(|| {});
    forbid_dumps()
}

/// Leaves the pages of this secret out of every dump, whoever makes it; its neighbours on those pages go with it.
///
/// # Errors
/// When the system refuses; the process is not dumpable anyway after [`guard`].
pub fn leave_out_of_dumps(secret: &[u8]) -> io::Result<()> {
    if secret.is_empty() {
        return Ok(());
    }
    let page = rustix::param::page_size();
    let from = secret.as_ptr().map_addr(|at| at & !(page - 1)).cast_mut();
    let len = secret.as_ptr().addr() + secret.len() - from.addr();
    // SAFETY: the range holds a live slice, so all its pages are mapped; the advice changes no byte of them.
    #[expect(unsafe_code, reason = "madvise takes a raw range")]
    unsafe {
        rustix::mm::madvise(from.cast(), len.next_multiple_of(page), rustix::mm::Advice::LinuxDontDump)
    }?;
    Ok(())
}

/// No core file (not even through a piped `core_pattern`), no debugger, `/proc/<pid>` not readable by the same user.
///
/// # Errors
/// Names the measure that the system refused.
pub fn forbid_dumps() -> io::Result<()> {
    let named =
        |what: &'static str| move |errno: rustix::io::Errno| io::Error::other(format!("{what}: {errno}"));
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(named("PR_SET_DUMPABLE"))?;
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).map_err(named("RLIMIT_CORE"))
}

/// Makes a panic say where it happened and nothing else: its message may hold a value. Then calls `and_then`, which
/// must not panic or block.
pub fn set_panic_hook(and_then: impl Fn() + Send + Sync + 'static) {
    std::panic::set_hook(Box::new(move |info| {
        // Nobody is left to tell when stderr is gone.
        let _closed = io::stderr().write_all(panic_line(info).as_bytes());
        and_then();
    }));
}

fn panic_line(info: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    format!(
        "bot4: internal error at {place} in thread {}; message withheld\n",
        thread.name().unwrap_or("without a name")
    )
}

/// Bytes of memory that this process holds now; `None` where the system does not tell.
pub fn resident_bytes() -> Option<u64> {
    status_bytes("VmRSS:")
}

/// One line of what the kernel says of this process.
fn status_bytes(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib << 10)
}

/// User id of whoever is at the other end of a Unix socket, as the kernel saw it at the connect.
///
/// # Errors
/// When the socket is not a connected Unix socket.
pub fn peer_uid(socket: impl AsFd) -> io::Result<u32> {
    Ok(rustix::net::sockopt::socket_peercred(socket)?.uid.as_raw())
}

/// Our own effective user id, to compare with [`peer_uid`].
pub fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// This process among those of every host: its id and the host's name.
pub fn own_name() -> String {
    let host = rustix::system::uname();
    format!("{}@{}", std::process::id(), host.nodename().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::process::Command;

    use super::*;

    #[test]
    fn dumps_are_off_afterwards() {
        forbid_dumps().unwrap();
        assert_eq!(rustix::process::dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
    }

    #[test]
    fn the_pages_of_a_secret_are_in_no_dump() {
        let secret = vec![7_u8; 3 * rustix::param::page_size()];
        let flags = |at: usize| {
            let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
            let holds = |head: &str| {
                let (from, to) = head.split(' ').next()?.split_once('-')?;
                let place = [from, to].map(|text| usize::from_str_radix(text, 16));
                Some(place[0].clone().ok()? <= at && at < place[1].clone().ok()?)
            };
            let mut lines = maps.lines().skip_while(|line| holds(line) != Some(true));
            lines.find(|line| line.starts_with("VmFlags")).unwrap().to_owned()
        };
        let middle = secret.as_ptr().addr() + secret.len() / 2;
        assert!(!flags(middle).contains(" dd"), "{}", flags(middle));
        leave_out_of_dumps(&secret).unwrap();
        assert!(flags(middle).contains(" dd"), "{}", flags(middle));
        leave_out_of_dumps(&[]).unwrap();
    }

    #[test]
    fn the_peer_of_a_unix_socket_is_known() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        assert_eq!(peer_uid(&ours).unwrap(), own_uid());
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(peer_uid(&tcp).is_err() || peer_uid(&tcp).unwrap() != own_uid());
    }

    #[test]
    fn what_is_allocated_is_resident() {
        let before = resident_bytes().unwrap();
        let held = vec![7_u8; 64 << 20];
        let grown = resident_bytes().unwrap().saturating_sub(before);
        assert!(std::hint::black_box(&held).len() == 64 << 20 && grown > 32 << 20, "grown by {grown}");
    }

    /// Runs one test of this file in a process of its own, where the whole process may be changed.
    fn alone(test: &str) -> std::process::Output {
        let this = std::env::current_exe().unwrap();
        let name = format!("sys::process::tests::{test}");
        Command::new(this)
            .args([&name, "--exact", "--nocapture"])
            .env("BOT4_TEST_ALONE", "1")
            .output()
            .unwrap()
    }

    fn is_alone() -> bool {
        std::env::var_os("BOT4_TEST_ALONE").is_some()
    }

    #[test]
    fn a_panic_tells_its_place_and_no_value() {
        if is_alone() {
            set_panic_hook(|| {
                let _closed = io::stderr().write_all(b"after\n");
            });
            let canary = std::hint::black_box("CANARY");
            panic!("value {canary}");
        }
        let output = alone("a_panic_tells_its_place_and_no_value");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!output.status.success());
        assert!(err.contains("src/sys/process.rs:") && err.contains("withheld\nafter\n"), "{err}");
        assert!(!format!("{out}{err}").contains("CANARY"), "{out}{err}");
    }

    #[test]
    fn locking_memory_works_or_says_what_to_set() {
        if is_alone() {
            let (told, held) = (lock_memory(), resident_bytes().unwrap());
            let locked = status_bytes("VmLck:").unwrap();
            match told {
                Ok(()) => assert!(locked > held / 2, "{locked} of {held} bytes"),
                Err(why) => assert!(locked == 0 && why.contains("LimitMEMLOCK=infinity"), "{locked}: {why}"),
            }
            return;
        }
        let output = alone("locking_memory_works_or_says_what_to_set");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
    }

    #[test]
    fn a_user_who_may_lock_little_locks_nothing_and_hears_what_to_set() {
        if is_alone() {
            let little = Rlimit { current: Some(64 << 10), maximum: Some(64 << 10) };
            setrlimit(Resource::Memlock, little).unwrap();
            let nobody = rustix::thread::Uid::from_raw(65_534);
            if rustix::process::geteuid().is_root() {
                rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            }
            let why = lock_memory().unwrap_err();
            assert!(why.contains("65536 bytes") && why.contains("LimitMEMLOCK=infinity"), "{why}");
            assert_eq!(status_bytes("VmLck:"), Some(0));
            return;
        }
        let output = alone("a_user_who_may_lock_little_locks_nothing_and_hears_what_to_set");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
