//! The stages' values as workers of threads: what each does in a cycle and at its end.

use std::sync::mpsc;

use crate::book::thread::BookThread;
use crate::keeper::thread::KeeperThread;
use crate::order::signer::SignerThread;
use crate::order::thread::OrderThread;
use crate::spread::thread::SpreadThread;
use crate::store::{DbThread, DiskThread, Output, StoreThread};
use crate::sys::thread::Worker;
use crate::telemetry::pager::Pager;
use crate::telemetry::watch::Telemetry;
use crate::types::Nanos;

pub(super) struct BookWorker(pub(super) BookThread);
pub(super) struct SpreadWorker(pub(super) SpreadThread);
pub(super) struct SignerWorker(pub(super) SignerThread);
pub(super) struct KeeperWorker(pub(super) KeeperThread);
pub(super) struct DbWorker(pub(super) DbThread);
pub(super) struct DiskWorker(pub(super) DiskThread);
pub(super) struct AlertWorker(pub(super) Pager);

pub(super) struct OrderWorker {
    pub(super) thread: OrderThread,
    /// What stood in the way of a clean end, for `main`.
    pub(super) remains: mpsc::Sender<Vec<String>>,
}

pub(super) struct StoreWorker {
    pub(super) thread: StoreThread<Telemetry>,
    pub(super) output: Output,
}

impl Worker for BookWorker {
    fn poll(&mut self, now: Nanos) -> bool {
        self.0.poll(now)
    }

    fn on_stop(&mut self, _now: Nanos) {
        self.0.close();
    }
}

impl Worker for SpreadWorker {
    fn poll(&mut self, now: Nanos) -> bool {
        self.0.poll(now)
    }

    fn due(&self) -> Nanos {
        self.0.due()
    }
}

impl Worker for SignerWorker {
    fn poll(&mut self, now: Nanos) -> bool {
        self.0.poll(now)
    }
}

impl Worker for KeeperWorker {
    fn poll(&mut self, now: Nanos) -> bool {
        self.0.poll(now)
    }
}

impl Worker for OrderWorker {
    fn poll(&mut self, now: Nanos) -> bool {
        self.thread.poll(now)
    }

    fn on_stop(&mut self, now: Nanos) {
        self.thread.close();
        // `main` may have given up listening; the lines are for it alone.
        let _ = self.remains.send(self.thread.core().remains(now));
    }
}

impl Worker for AlertWorker {
    fn poll(&mut self, now: Nanos) -> bool {
        self.0.poll(now)
    }

    fn on_stop(&mut self, now: Nanos) {
        self.0.finish(now);
    }
}

impl Worker for DbWorker {
    fn poll(&mut self, now: Nanos) -> bool {
        self.0.poll(now)
    }

    /// What is written by now is caught up; what is not is caught up at the next start.
    fn on_stop(&mut self, now: Nanos) {
        while self.0.poll(now) {}
    }
}

impl Worker for DiskWorker {
    fn poll(&mut self, now: Nanos) -> bool {
        self.0.poll(now)
    }

    fn on_stop(&mut self, now: Nanos) {
        self.0.finish(now);
    }
}

impl Worker for StoreWorker {
    fn poll(&mut self, now: Nanos) -> bool {
        self.thread.poll(now)
    }

    fn on_stop(&mut self, now: Nanos) {
        self.thread.finish(now);
        self.output.write(self.thread.observer().latency_line(now));
        self.output.write(self.thread.observer().summary(now).line(now));
    }
}
