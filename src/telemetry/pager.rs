//! The `alerts` thread: sends what was raised to the operator's webhook and pings the dead man's switch. It blocks,
//! with deadlines, on a client of its own; nobody waits for it. Both addresses are secrets: no error shows them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::alert::Alert;
use crate::store::line::{Level, Line};
use crate::store::{Names, Output, lines};
use crate::sys::rest::{Http, Method, Request};
use crate::sys::ring::Rx;
use crate::types::{Nanos, Secret};

/// Alerts that wait for the webhook at most; the oldest gives way, since the newest says how it is now.
const QUEUE_MAX: usize = 64;
/// First and longest pause between two tries, ms.
const RETRY_FIRST_MS: u64 = 1_000;
const RETRY_MAX_MS: u64 = 60_000;
/// An alert that nobody took by then is old news, ms.
const KEEP_MS: u64 = 3_600_000;
/// Heartbeats older than this are not fresh, ms.
const PULSE_MAX_MS: u64 = 5_000;
/// Alerts tried at the end of a run, once each.
const LAST_TRIES: usize = 4;

/// When `main` last saw every heart beat.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    pub fn beat(&self, now: Nanos) {
        self.0.store(now.0, Ordering::Relaxed);
    }

    fn is_fresh(&self, now: Nanos) -> bool {
        let last = Nanos(self.0.load(Ordering::Relaxed));
        last != Nanos::NEVER && now.ms_since(last) < PULSE_MAX_MS
    }
}

/// Where to, and how often.
pub struct Addresses {
    pub webhook: Option<Secret>,
    pub dead_man: Option<Secret>,
    pub dead_man_every_ms: u64,
}

/// The thread as a value.
pub struct Pager {
    raised: Vec<Rx<Alert>>,
    addresses: Addresses,
    http: Box<dyn Http>,
    names: Names,
    output: Output,
    pulse: Pulse,
    waiting: VecDeque<Waiting>,
    next_try: Nanos,
    pause_ms: u64,
    next_ping: Nanos,
    /// The webhook and the switch, as last said.
    webhook_ok: bool,
    dead_man_ok: bool,
    dropped: u64,
    /// Alerts refused by full rings, as last said.
    refused: u64,
}

struct Waiting {
    body: String,
    since: Nanos,
}

impl Pager {
    pub fn new(
        raised: Vec<Rx<Alert>>,
        addresses: Addresses,
        http: Box<dyn Http>,
        names: Names,
        output: Output,
        pulse: Pulse,
    ) -> Self {
        Self {
            raised,
            addresses,
            http,
            names,
            output,
            pulse,
            waiting: VecDeque::new(),
            next_try: Nanos::NEVER,
            pause_ms: RETRY_FIRST_MS,
            next_ping: Nanos::NEVER,
            webhook_ok: true,
            dead_man_ok: true,
            dropped: 0,
            refused: 0,
        }
    }

    /// One turn: logs what was raised, then at most one call each.
    pub fn poll(&mut self, now: Nanos) -> bool {
        let mut worked = self.take(now);
        if now >= self.next_try && !self.waiting.is_empty() {
            self.deliver(now);
            worked = true;
        }
        if self.addresses.dead_man.is_some() && now >= self.next_ping && self.pulse.is_fresh(now) {
            self.ping(now);
            worked = true;
        }
        worked
    }

    /// The last call: what is still there is tried once more, a few of them.
    pub fn finish(&mut self, now: Nanos) {
        self.take(now);
        for _ in 0..LAST_TRIES.min(self.waiting.len()) {
            if !self.deliver(now) {
                break;
            }
        }
        let left = self.waiting.len() as u64;
        if left > 0 {
            self.count_dropped(now, left, "the run has ended");
        }
    }

    fn take(&mut self, now: Nanos) -> bool {
        let mut worked = false;
        for at in 0..self.raised.len() {
            while let Some(alert) = self.raised[at].pop() {
                worked = true;
                self.output.write(alert.line(&self.names));
                if self.addresses.webhook.is_some() {
                    let body = self.output.clean(alert.line(&self.names).finish());
                    self.waiting.push_back(Waiting { body, since: now });
                }
            }
        }
        let refused = self.raised.iter().map(Rx::refused).sum();
        if refused > self.refused {
            let more = refused - std::mem::replace(&mut self.refused, refused);
            self.count_dropped(now, more, "too many at once");
        }
        let over = self.waiting.len().saturating_sub(QUEUE_MAX);
        if over > 0 {
            self.waiting.drain(..over);
            self.count_dropped(now, over as u64, "too many wait");
        }
        worked
    }

    /// Tries the oldest. True when it was taken.
    fn deliver(&mut self, now: Nanos) -> bool {
        let (Some(first), Some(url)) = (self.waiting.front(), &self.addresses.webhook) else { return false };
        let failed = post(self.http.as_mut(), url, first.body.clone());
        let old = now.ms_since(first.since) > KEEP_MS;
        match failed {
            Ok(()) => {
                self.waiting.pop_front();
                (self.next_try, self.pause_ms) = (now, RETRY_FIRST_MS);
                self.say_webhook(now, true, "the webhook takes alerts again");
                true
            }
            Err(why) => {
                self.next_try = now.plus_ms(self.pause_ms);
                self.pause_ms = (self.pause_ms * 2).min(RETRY_MAX_MS);
                self.say_webhook(now, false, &format!("the webhook does not take alerts: {why}"));
                if old {
                    self.waiting.pop_front();
                    self.count_dropped(now, 1, "not taken for an hour");
                }
                false
            }
        }
    }

    fn ping(&mut self, now: Nanos) {
        let Some(url) = &self.addresses.dead_man else { return };
        self.next_ping = now.plus_ms(self.addresses.dead_man_every_ms);
        let request = Request { url: url.expose().to_owned(), ..Request::default() };
        let outcome = call(self.http.as_mut(), request, url);
        if outcome.is_ok() == self.dead_man_ok {
            return;
        }
        self.dead_man_ok = outcome.is_ok();
        match outcome {
            Ok(()) => self.say(now, Level::Info, "DEAD_MAN", "the dead man's switch is reached again"),
            Err(why) => {
                self.say(
                    now,
                    Level::Error,
                    "DEAD_MAN",
                    &format!("the dead man's switch is not reached: {why}"),
                );
            }
        }
    }

    /// Said once per change.
    fn say_webhook(&mut self, now: Nanos, ok: bool, text: &str) {
        if std::mem::replace(&mut self.webhook_ok, ok) != ok {
            let level = if ok { Level::Info } else { Level::Error };
            self.say(now, level, "WEBHOOK", text);
        }
    }

    fn count_dropped(&mut self, now: Nanos, more: u64, why: &str) {
        self.dropped += more;
        let text = format!("{more} alerts not sent to the webhook, {why}; {} so far", self.dropped);
        self.say(now, Level::Error, "ALERTS_DROPPED", &text);
    }

    fn say(&mut self, now: Nanos, level: Level, event: &'static str, text: &str) {
        self.output.write(Line::new(now, level, lines::TARGET, text).event(event));
    }
}

fn post(http: &mut dyn Http, url: &Secret, body: String) -> Result<(), String> {
    let request = Request {
        method: Method::Post,
        url: url.expose().to_owned(),
        headers: vec![("Content-Type", "application/json".to_owned())],
        body: Some(body),
        ..Request::default()
    };
    call(http, request, url)
}

/// Any 2xx is a yes. An error names neither address nor host.
fn call(http: &mut dyn Http, request: Request, url: &Secret) -> Result<(), String> {
    match http.call(request) {
        Ok(reply) if (200..300).contains(&reply.status) => Ok(()),
        Ok(reply) => Err(format!("HTTP {}", reply.status)),
        Err(error) => Err(without_host(&error.to_string(), url.expose())),
    }
}

fn without_host(text: &str, url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.split(':').next().unwrap_or_default();
    if host.is_empty() { text.to_owned() } else { text.replace(host, "(its host)") }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::store::names::tests::names;
    use crate::store::output::tests::Lines;
    use crate::store::{OutputGuard, Redactor};
    use crate::sys::rest::{HttpError, Response};
    use crate::sys::ring::{Tx, ring};
    use crate::telemetry::alert::Kind;

    const URL: &str = "https://hooks.example.com:8443/T0KEN";

    /// Answers with the statuses given, then not at all; tells what was asked.
    struct Hook {
        statuses: Vec<u16>,
        asked: Sender<Request>,
    }

    impl Http for Hook {
        fn call(&mut self, request: Request) -> Result<Response, HttpError> {
            self.asked.send(request).unwrap();
            if self.statuses.is_empty() {
                return Err(HttpError("hooks.example.com:8443: refused".to_owned()));
            }
            Ok(Response { status: self.statuses.remove(0), body: Vec::new(), retry_after: None })
        }
    }

    struct Rig {
        pager: Pager,
        raise: Tx<Alert>,
        asked: Receiver<Request>,
        lines: Receiver<String>,
        pulse: Pulse,
        guard: OutputGuard,
    }

    fn rig(statuses: &[u16]) -> Rig {
        let (raise, raised) = ring(128);
        let (asked_tx, asked) = channel();
        let (lines_tx, lines) = channel();
        let secret = Secret::new("s3cret-value".to_owned());
        let (output, guard) = Output::to(Lines(lines_tx), Redactor::new([&secret]), Level::Info);
        let hook = Hook { statuses: statuses.to_vec(), asked: asked_tx };
        let url = || Some(Secret::new(URL.to_owned()));
        let addresses = Addresses { webhook: url(), dead_man: url(), dead_man_every_ms: 60_000 };
        let pulse = Pulse::default();
        let pager = Pager::new(vec![raised], addresses, Box::new(hook), names(), output, pulse.clone());
        Rig { pager, raise, asked, lines, pulse, guard }
    }

    fn alert(what: &str) -> Alert {
        Alert::new(Kind::Halted, Nanos::from_ms(1), what, "waits", "bot4 status")
    }

    fn logged(rig: Rig) -> String {
        drop((rig.pager, rig.guard));
        rig.lines.try_iter().collect()
    }

    #[test]
    fn an_alert_is_posted_once_and_holds_no_secret() {
        let mut rig = rig(&[204]);
        rig.raise.push(alert("the key is s3cret-value")).unwrap();
        while rig.pager.poll(Nanos::from_ms(5)) {}
        let request = rig.asked.try_recv().unwrap();
        assert_eq!((request.method, request.url.as_str()), (Method::Post, URL));
        let body: serde_json::Value = serde_json::from_str(&request.body.unwrap()).unwrap();
        assert_eq!(body["message"], "the key is [REDACTED]");
        assert!(rig.asked.try_recv().is_err());
        let log = logged(rig);
        assert!(
            log.contains("\"event_type\":\"ALERT\"") && !log.contains("s3cret") && !log.contains("T0KEN")
        );
    }

    #[test]
    fn a_dead_webhook_is_said_once_and_tried_ever_more_slowly() {
        let mut rig = rig(&[500]);
        rig.raise.push(alert("a")).unwrap();
        let mut tried = Vec::new();
        for s in 0..200 {
            rig.pager.poll(Nanos::from_ms(1_000 * (s + 1)));
            tried.extend(rig.asked.try_iter().map(|_| s));
        }
        assert_eq!(tried, [0, 1, 3, 7, 15, 31, 63, 123, 183]);
        let log = logged(rig);
        assert_eq!(log.matches("does not take alerts").count(), 1, "{log}");
        assert!(log.contains("HTTP 500") && !log.contains("hooks.example.com"), "{log}");
    }

    #[test]
    fn what_does_not_fit_is_dropped_oldest_first_and_counted() {
        let mut rig = rig(&[]);
        rig.pager.next_try = Nanos::from_ms(1_000_000);
        for nth in 0..QUEUE_MAX + 3 {
            rig.raise.push(alert(&format!("nth {nth}"))).unwrap();
        }
        rig.pager.poll(Nanos::from_ms(1));
        assert_eq!(rig.pager.waiting.len(), QUEUE_MAX);
        assert!(rig.pager.waiting[0].body.contains("nth 3"));
        rig.pager.finish(Nanos::from_ms(2));
        assert_eq!(rig.asked.try_iter().count(), 1, "one try at the end, since it failed");
        let log = logged(rig);
        assert!(log.contains("3 alerts not sent") && log.contains("64 alerts not sent"), "{log}");
        assert!(!log.contains("T0KEN") && !log.contains("hooks.example.com"));
    }

    #[test]
    fn the_switch_is_pinged_only_while_hearts_beat() {
        let mut rig = rig(&[200, 200, 200]);
        let mut pings = Vec::new();
        for s in 1..=300 {
            let now = Nanos::from_ms(1_000 * s);
            if s < 100 {
                rig.pulse.beat(now);
            }
            rig.pager.poll(now);
            pings.extend(rig.asked.try_iter().map(|request| (request.method, s)));
        }
        assert_eq!(pings, [(Method::Get, 1), (Method::Get, 61)]);
    }
}
