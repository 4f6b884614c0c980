//! A running venue: the exchange core behind a lock, driven by the wall clock, with its events broadcast.
//!
//! Called by the wires (`vest`, `paradex`) and by `control`. It alone turns core time into real waiting;
//! it knows no wire format.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{Notify, broadcast};

use crate::core::fault::Class;
use crate::core::{Event, Exchange, NewOrder, OrderId, Reject, Reply, Socket, VenueSpec};
use crate::line::Lines;
use crate::meter::Meter;
use crate::options::{Keys, Switches};
use crate::watch::Watches;

/// Events that a connection may lag behind before it is dropped.
const BACKLOG: usize = 16_384;

/// Microseconds since the epoch; steady once started.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    epoch_us: i64,
    started: Instant,
}

impl Clock {
    pub fn start() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { epoch_us: since.as_micros() as i64, started: Instant::now() }
    }

    pub fn now_us(&self) -> i64 {
        self.epoch_us + self.started.elapsed().as_micros() as i64
    }
}

/// One venue of a run.
pub struct Venue {
    pub name: &'static str,
    pub switches: Switches,
    pub keys: Keys,
    pub meter: Arc<Meter>,
    /// Open connections, for cutting them.
    pub lines: Lines,
    pub watches: Watches,
    clock: Clock,
    core: Mutex<Exchange>,
    events: broadcast::Sender<Arc<Event>>,
    wake: Notify,
    revoked_us: AtomicI64,
    issued: Mutex<Vec<String>>,
}

impl Venue {
    pub fn new(
        spec: VenueSpec,
        clock: Clock,
        meter: Arc<Meter>,
        switches: Switches,
        keys: Keys,
    ) -> Arc<Self> {
        Arc::new(Self {
            name: spec.name,
            switches,
            keys,
            meter,
            lines: Lines::default(),
            watches: Watches::default(),
            clock,
            core: Mutex::new(Exchange::new(spec)),
            events: broadcast::channel(BACKLOG).0,
            wake: Notify::new(),
            revoked_us: AtomicI64::new(0),
            issued: Mutex::default(),
        })
    }

    pub fn now_us(&self) -> i64 {
        self.clock.now_us()
    }

    /// Looks at or changes the exchange at this moment; what is due happens first.
    pub fn with<R>(&self, act: impl FnOnce(&mut Exchange, i64) -> R) -> R {
        let mut core = self.lock();
        let now = self.now_us();
        self.publish(&mut core, now);
        let result = act(&mut core, now);
        self.publish(&mut core, now);
        drop(core);
        self.wake.notify_one();
        result
    }

    /// Subscribes to all events together with a look at the state they continue from.
    pub fn listen<R>(&self, look: impl FnOnce(&Exchange, i64) -> R) -> (R, broadcast::Receiver<Arc<Event>>) {
        self.with(|core, now| (look(core, now), self.events.subscribe()))
    }

    /// Places an order and waits until the answer is due; `None` = never answer.
    pub async fn submit(&self, mut order: NewOrder) -> Option<Result<OrderId, Reject>> {
        self.watches.meet(Class::Order);
        loop {
            match self.with(|core, now| core.submit(now, order.clone())) {
                Reply::Hold { until_us } => {
                    self.wait_until(until_us).await;
                    order.held = true;
                }
                reply => return self.deliver(reply).await,
            }
        }
    }

    /// Cancels an order; `None` = never answer.
    pub async fn cancel(&self, id: &str, bump_us: i64) -> Option<Result<(), Reject>> {
        self.watches.meet(Class::Cancel);
        let mut held = false;
        loop {
            match self.with(|core, now| core.cancel(now, id, bump_us, held)) {
                Reply::Hold { until_us } => {
                    self.wait_until(until_us).await;
                    held = true;
                }
                reply => return self.deliver(reply).await,
            }
        }
    }

    /// Passes a query or a login through the fault rules; `None` = never answer.
    pub async fn gate(&self, class: Class) -> Option<Result<(), Reject>> {
        self.watches.meet(class);
        let mut held = false;
        loop {
            match self.with(|core, now| core.gate(now, class, held)) {
                Reply::Hold { until_us } => {
                    self.wait_until(until_us).await;
                    held = true;
                }
                reply => return self.deliver(reply).await,
            }
        }
    }

    /// Tokens and listen keys issued before this moment are no longer valid.
    pub fn revoked_before_us(&self) -> i64 {
        self.revoked_us.load(Ordering::Relaxed)
    }

    pub fn revoke_tokens(&self) {
        self.revoked_us.store(self.now_us(), Ordering::Relaxed);
    }

    /// A token or a listen key has been given out.
    pub fn note_issued(&self, login: &str) {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner).push(login.to_owned());
    }

    /// Every token and listen key given out, oldest first: what a client's output must never hold.
    pub fn issued(&self) -> Vec<String> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Drops all connections of a kind without a word; see `Event::Close` for the polite way.
    pub fn cut(&self, socket: Socket) {
        self.lines.cut(socket);
    }

    /// Books written: the wires call this after the last byte.
    pub fn update_written(&self) {
        self.meter.update_written(self.name);
    }

    /// Orders read: the wires call this after the last byte.
    pub fn order_read(&self, base: &str) {
        self.meter.order_read(self.name, base);
    }

    pub async fn wait_until(&self, due_us: i64) {
        let left = due_us - self.now_us();
        if left > 0 {
            tokio::time::sleep(Duration::from_micros(left as u64)).await;
        }
    }

    /// Drives the exchange; runs until its task is dropped.
    pub async fn drive(self: Arc<Self>) {
        loop {
            let due = {
                let mut core = self.lock();
                let now = self.now_us();
                self.publish(&mut core, now);
                core.next_due()
            };
            tokio::select! {
                () = self.wait_until(due) => {}
                () = self.wake.notified() => {}
            }
        }
    }

    async fn deliver<T>(&self, reply: Reply<T>) -> Option<Result<T, Reject>> {
        match reply {
            Reply::At { due_us, result } => {
                self.wait_until(due_us).await;
                Some(result)
            }
            Reply::Hold { .. } | Reply::Never => None,
        }
    }

    fn publish(&self, core: &mut Exchange, now_us: i64) {
        let mut events = Vec::new();
        core.advance(now_us, &mut events);
        for event in events {
            if let Event::Close { socket, code: None } = event {
                self.lines.cut(socket);
                continue;
            }
            if let Some(class) = Class::of(&event) {
                self.watches.meet(class);
            }
            // Nobody listening is no error.
            let _ = self.events.send(Arc::new(event));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Exchange> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
