//! The production binary with an allocator that counts for each thread. A line on standard input prints the counts so
//! far as one JSON object, `{"allocations":{"<thread>":n}}`.
#![allow(unsafe_code, reason = "a global allocator is unsafe by contract")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::io::BufRead;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Threads that are counted; the engine has about a dozen.
const THREADS_MAX: usize = 64;

static NEXT: AtomicUsize = AtomicUsize::new(0);
static IDS: [AtomicU32; THREADS_MAX] = [const { AtomicU32::new(0) }; THREADS_MAX];
static COUNTS: [AtomicU64; THREADS_MAX] = [const { AtomicU64::new(0) }; THREADS_MAX];

thread_local! {
    static SLOT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Counts what is allocated or grown by this thread.
fn count() {
    let slot = SLOT.try_with(|slot| {
        if slot.get() == usize::MAX {
            slot.set(NEXT.fetch_add(1, Relaxed));
            if let Some(id) = IDS.get(slot.get()) {
                id.store(rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs(), Relaxed);
            }
        }
        slot.get()
    });
    if let Some(counter) = slot.ok().and_then(|slot| COUNTS.get(slot)) {
        counter.fetch_add(1, Relaxed);
    }
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn counts() -> serde_json::Value {
    let threads = IDS.iter().zip(&COUNTS).filter_map(|(id, count)| {
        let id = id.load(Relaxed);
        let name = fs::read_to_string(format!("/proc/self/task/{id}/comm")).ok().filter(|_| id != 0)?;
        Some((name.trim().to_owned(), count.load(Relaxed).into()))
    });
    serde_json::Value::Object(threads.collect())
}

fn main() -> ExitCode {
    std::thread::spawn(|| {
        for _mark in std::io::stdin().lock().lines() {
            println!("{}", serde_json::json!({ "allocations": counts() }));
        }
    });
    ExitCode::from(bot4::cli::main(std::env::args_os(), &bot4::cli::Tools::production()))
}
