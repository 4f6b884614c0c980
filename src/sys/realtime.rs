//! Real-time priority for a thread that has a core of its own. Who may have it is decided by `topology::plan`; here the
//! kernel is asked.

#![allow(unsafe_code)]

use std::io;

/// Gives the calling thread the policy `SCHED_FIFO`: on its core it gives way to nobody but the kernel's own threads,
/// whose priority is 50 and more. Threads started by it afterwards inherit it.
///
/// # Errors
/// When the kernel forbids it: `LimitRTPRIO=` of the unit is too low.
pub fn make_realtime(priority: u8) -> io::Result<()> {
    let param = libc::sched_param { sched_priority: priority.into() };
    // SAFETY: zero names the calling thread, and the structure is only read, during the call.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const param) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_given_as_asked_or_refused() {
        let policy = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
            // proc(5): the 40th and 41st field, of which two stand before the bracket.
            [fields[37], fields[38]].map(|field| field.parse::<u32>().unwrap())
        };
        let outcome = std::thread::spawn(move || (make_realtime(7), policy())).join().unwrap();
        match outcome {
            (Ok(()), told) => assert_eq!(told, [7, libc::SCHED_FIFO as u32]),
            (Err(error), told) => {
                assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
                assert_eq!(told, [0, 0]);
            }
        }
        assert_eq!(policy(), [0, 0], "no other thread is touched");
        assert_eq!(make_realtime(100).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    }
}
