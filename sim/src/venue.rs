//! A running venue: a stage behind a lock, driven by the wall clock.
//!
//! Called by `service` for the connections and by `control`. It alone turns a stage's times into real waiting; it
//! knows no wire format.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{Notify, watch};

use crate::core::{Exchange, Socket};
use crate::line::Lines;
use crate::meter::Meter;
use crate::stage::{Answered, Command, ControlError, SocketId, Stage};
use crate::wire::{Frame, Request, Response};

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
    pub meter: Arc<Meter>,
    /// Open connections, for cutting them.
    pub lines: Lines,
    /// Symbols and base assets.
    markets: Vec<(String, String)>,
    clock: Clock,
    stage: Mutex<Stage>,
    /// The time of the next thing due may have changed.
    wake: Notify,
    /// Something has become readable.
    stir: watch::Sender<()>,
}

impl Venue {
    pub fn new(stage: Stage, clock: Clock, meter: Arc<Meter>) -> Arc<Self> {
        let spec = stage.exchange().spec();
        Arc::new(Self {
            name: spec.name,
            meter,
            lines: Lines::default(),
            markets: spec.markets.iter().map(|m| (m.symbol.clone(), m.base.clone())).collect(),
            clock,
            stage: Mutex::new(stage),
            wake: Notify::new(),
            stir: watch::Sender::new(()),
        })
    }

    pub fn now_us(&self) -> i64 {
        self.clock.now_us()
    }

    /// Looks at or changes the stage at this moment; what is due happens before and after.
    pub fn stage<R>(&self, act: impl FnOnce(&mut Stage, i64) -> R) -> R {
        let result = self.quietly(act);
        self.wake.notify_one();
        result
    }

    /// The same without a word to who drives it.
    fn quietly<R>(&self, act: impl FnOnce(&mut Stage, i64) -> R) -> R {
        let (result, cuts, is_stirred) = {
            let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
            let now = self.now_us();
            stage.advance(now);
            let result = act(&mut stage, now);
            stage.advance(now);
            (result, stage.take_cuts(), stage.take_stirred())
        };
        cuts.into_iter().for_each(|socket| self.lines.cut(socket));
        if is_stirred {
            self.stir.send_replace(());
        }
        result
    }

    /// The same for the exchange, whose times are the venue's own.
    pub fn with<R>(&self, act: impl FnOnce(&mut Exchange, i64) -> R) -> R {
        self.stage(|stage, now| {
            let shown = stage.shown(now);
            act(stage.exchange_mut(), shown)
        })
    }

    /// Does what a command says. Stalls are the connections' own here.
    pub fn perform(&self, command: Command) -> Result<(), ControlError> {
        match command {
            Command::Stall { socket, stalled, .. } => {
                self.lines.stall(socket, stalled);
                Ok(())
            }
            Command::Clear {} => {
                self.lines.stall(Socket::All, false);
                self.stage(|stage, now| stage.perform(now, command))
            }
            command => self.stage(|stage, now| stage.perform(now, command)),
        }
    }

    /// Answers a request when the answer is due; a request without one waits for as long as its client does.
    pub async fn call(&self, request: Request<'_>) -> Response {
        let call = self.stage(|stage, now| stage.call(now, request));
        loop {
            match self.stage(|stage, now| stage.answer(call, now)) {
                Answered::Reply(response) => return response,
                Answered::Pending { due_us } => self.wait_until(due_us).await,
                Answered::Never => std::future::pending().await,
            }
        }
    }

    /// The next frame of a socket, when there is one.
    pub async fn recv(&self, id: SocketId) -> Frame {
        let mut stir = self.stir.subscribe();
        loop {
            stir.mark_unchanged();
            if let Some(frame) = self.stage(|stage, now| stage.recv(now, id)) {
                return frame;
            }
            // The sender lives as long as the venue.
            let _ = stir.changed().await;
        }
    }

    /// Drops all connections of a kind without a word; see `Event::Close` for the polite way.
    pub fn cut(&self, socket: Socket) {
        self.lines.cut(socket);
    }

    /// Books written: the service calls this after the last byte.
    pub fn update_written(&self) {
        self.meter.update_written(self.name);
    }

    /// The last byte of an order has been read, before any work on it.
    pub fn order_read(&self, text: &str) {
        if let Some((_, base)) = self.markets.iter().find(|(symbol, _)| text.contains(symbol.as_str())) {
            self.meter.order_read(self.name, base);
        }
    }

    pub async fn wait_until(&self, due_us: i64) {
        let left = due_us - self.now_us();
        if left > 0 {
            tokio::time::sleep(Duration::from_micros(left as u64)).await;
        }
    }

    /// Drives the stage; runs until its task is dropped.
    pub async fn drive(self: Arc<Self>) {
        loop {
            let due = self.quietly(|stage, _| stage.next_due());
            tokio::select! {
                () = self.wait_until(due) => {}
                () = self.wake.notified() => {}
            }
        }
    }
}
