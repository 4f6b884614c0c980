//! Deliberate mistakes: each is one small branch where somebody could really make it, and the simulation must find it
//! (`scripts/campaign.sh planted`). Without the feature `planted`, which no production build has (`tests/keys.rs`
//! looks), the question is a constant and the branch is not there. The stub of a signature stands here for the same
//! reason: curves took a third of the simulation's time.

#[cfg(feature = "planted")]
use std::cell::Cell;

#[cfg(feature = "planted")]
thread_local! {
    static MADE: Cell<&'static str> = const { Cell::new("") };
    static STUBBED: Cell<bool> = const { Cell::new(false) };
}

/// Whether the mistake of this name is made in this thread.
#[cfg(feature = "planted")]
pub fn planted(name: &str) -> bool {
    MADE.get() == name
}

/// Never.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn planted(_name: &str) -> bool {
    false
}

/// Makes one mistake from now on in this thread; the empty name makes none.
#[cfg(feature = "planted")]
pub fn plant(name: &'static str) {
    MADE.set(name);
}

/// Whether this thread signs with stubs, which the simulation's venues then do not look at.
#[cfg(feature = "planted")]
pub fn signs_stubs() -> bool {
    STUBBED.get()
}

/// Never.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn signs_stubs() -> bool {
    false
}

/// Signs with stubs from now on in this thread, or no longer.
#[cfg(feature = "planted")]
pub fn stub_signatures(stubbed: bool) {
    STUBBED.set(stubbed);
}
