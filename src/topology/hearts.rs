//! The heartbeats of the engine's threads as `main` judges them: whether all whose stillness is dangerous go on, who
//! has not come back, whether one has ended. Made by `engine` of the handles that it started; it never starts or stops
//! a thread.

use crate::sys::thread::Handle;
use crate::types::Nanos;

/// Every thread that is watched; `alerts` is not, whose silence the dead-man switch tells.
pub struct Hearts {
    /// They never block.
    pub hot: Vec<Handle>,
    /// It never blocks either, and gives way to all others.
    pub store: Handle,
    /// `keeper`, `db` and `disk`: they may wait for a venue, a database and the journal's disk.
    pub may_block: Vec<Handle>,
    pub max_ms: MaxAges,
}

/// From which age on a heartbeat is too old, ms.
#[derive(Clone, Copy, Debug)]
pub struct MaxAges {
    pub hot: u64,
    pub store: u64,
    pub may_block: u64,
}

impl Hearts {
    /// Whether the watchdogs may be fed. Without `store` nobody is told of what the journal says: it counts like the
    /// hot threads, after a time that a busy machine does not take.
    pub fn beat(&self, now: Nanos) -> bool {
        let hot = self.hot.iter().map(|handle| (handle, self.max_ms.hot));
        hot.chain([(&self.store, self.max_ms.store)]).all(|(handle, max_ms)| !is_late(now, handle, max_ms))
    }

    /// The name of the first of those that may wait and have done so for too long.
    pub fn blocked(&self, now: Nanos) -> Option<&str> {
        let may_block = self.may_block.iter().map(|handle| (handle, self.max_ms.may_block));
        let mut waiting = [(&self.store, self.max_ms.store)].into_iter().chain(may_block);
        waiting.find(|(handle, max_ms)| is_late(now, handle, *max_ms)).map(|(handle, _)| handle.name.as_str())
    }

    pub fn has_hot_one_ended(&self) -> bool {
        self.hot.iter().any(Handle::is_finished)
    }

    pub fn has_one_ended(&self) -> bool {
        self.has_hot_one_ended() || [&self.store].into_iter().chain(&self.may_block).any(Handle::is_finished)
    }
}

fn is_late(now: Nanos, handle: &Handle, max_ms: u64) -> bool {
    now.ms_since(handle.heartbeat.last()) >= max_ms
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::sys::clock::{Clock, ManualClock};
    use crate::sys::thread::{ThreadSpec, Wait, Worker, spawn};
    use crate::sys::waker::Waker;

    const START: Nanos = Nanos::from_ms(1_000_000);

    /// Says that it is in its cycle, and waits there for a word, unless the sender is gone.
    struct Waits(Sender<()>, Receiver<()>);

    impl Worker for Waits {
        fn poll(&mut self, _: Nanos) -> bool {
            let _ = self.0.send(());
            self.1.recv().is_ok()
        }
    }

    /// A thread, and what holds it in its first cycle while it is kept.
    pub fn thread(name: &str, clock: &ManualClock) -> (Handle, Sender<()>) {
        let ((held, word), (inside, entered)) = (channel(), channel());
        let (name, wait, waker) = (name.to_owned(), Wait::Yield, Waker::new().unwrap());
        let spec = ThreadSpec { name, core: None, realtime: None, nice: 0, wait, waker };
        let handle = spawn(spec, clock.clone(), Box::new(Waits(inside, word))).unwrap();
        entered.recv().unwrap();
        (handle, held)
    }

    pub fn until(is: impl Fn() -> bool) {
        while !is() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_store_that_stands_still_starves_the_watchdogs_and_is_told() {
        let clock = ManualClock::at(START);
        let ((hot, free), (keeper, keeper_held)) = (thread("hot", &clock), thread("keeper", &clock));
        let (store, held) = thread("store", &clock);
        drop(free);
        let max_ms = MaxAges { hot: 2_000, store: 10_000, may_block: 30_000 };
        let hearts = Hearts { hot: vec![hot], store, may_block: vec![keeper], max_ms };
        // Those that go on beat at the new time.
        let look = |after_ms: u64, go_on: &[&Handle]| {
            clock.set(START.plus_ms(after_ms));
            let now = clock.now();
            go_on.iter().for_each(|handle| until(|| handle.heartbeat.last() == now));
            (hearts.beat(now), hearts.blocked(now).map(str::to_owned))
        };
        let (hot, store) = (&hearts.hot[0], &hearts.store);
        assert_eq!(look(9_999, &[hot]), (true, None), "a busy machine");
        assert_eq!(look(10_000, &[hot]), (false, Some("store".to_owned())));
        drop(held);
        assert_eq!(look(10_001, &[hot, store]), (true, None));
        assert!(!hearts.has_one_ended());
        let keeper = Some("keeper".to_owned());
        assert_eq!(look(30_000, &[hot, store]), (true, keeper), "who may wait holds no watchdog back");
        drop(keeper_held);
        store.stop();
        until(|| store.is_finished());
        assert!(hearts.has_one_ended() && !hearts.has_hot_one_ended());
        [hot, &hearts.may_block[0]].into_iter().for_each(Handle::stop);
    }
}
