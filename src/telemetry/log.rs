//! The `tracing` layer: events of the cold code leave as the same flat lines through the same output. Fields go by an
//! allow-list, so that a new field is absent rather than leaked (SAFETY 5.5); events of other crates are not shown.

use std::fmt::Debug;

use tracing::field::{Field, Visit};
use tracing::{Event, Level as TracingLevel, Metadata, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::store::line::{Level, Line};
use crate::store::output::Output;
use crate::sys::clock::Clock;

/// Fields that may stand in a line, besides the message.
pub const FIELDS: [&str; 24] = [
    "event_type",
    "pair",
    "exchange",
    "spread",
    "threshold",
    "size",
    "side",
    "order",
    "count",
    "attempt",
    "attempts",
    "lag_ms",
    "latency_ms",
    "mode",
    "why",
    "link",
    "version",
    "epoch",
    "config_hash",
    "layout",
    "thread",
    "core",
    "path",
    "status",
];

/// Sends every event of this crate at or above the output's level to the output. Call once, before any thread starts.
pub fn install(output: Output, clock: Box<dyn Clock + Sync>) -> Result<(), SetTwice> {
    let subscriber = Registry::default().with(FlatLines { output, clock });
    tracing::subscriber::set_global_default(subscriber).map_err(|_| SetTwice)
}

/// There is one log per process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log was installed twice")]
pub struct SetTwice;

/// The layer itself.
pub struct FlatLines {
    output: Output,
    clock: Box<dyn Clock + Sync>,
}

impl FlatLines {
    pub fn new(output: Output, clock: Box<dyn Clock + Sync>) -> Self {
        Self { output, clock }
    }

    fn shows(&self, metadata: &Metadata<'_>) -> bool {
        let ours = metadata.target().split("::").next() == Some(env!("CARGO_PKG_NAME"));
        ours && self.output.takes(level(*metadata.level()))
    }
}

impl<S: Subscriber> Layer<S> for FlatLines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.shows(metadata)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut seen = Seen::default();
        event.record(&mut seen);
        let metadata = event.metadata();
        let level = level(*metadata.level());
        let mut line = Line::new(self.clock.now(), level, metadata.target(), seen.message);
        for (name, value) in seen.fields {
            line = match value {
                Seem::Text(text) => line.text(name, text),
                Seem::Json(json) => line.raw(name, json),
            };
        }
        self.output.clone().write(line);
    }
}

/// What an event said.
#[derive(Default)]
struct Seen {
    message: String,
    fields: Vec<(&'static str, Seem)>,
}

enum Seem {
    Text(String),
    Json(String),
}

impl Seen {
    fn keep(&mut self, field: &Field, value: Seem) {
        if let Some(name) = FIELDS.into_iter().find(|name| *name == field.name()) {
            self.fields.push((name, value));
        }
    }
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.keep(field, Seem::Text(format!("{value:?}")));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.keep(field, Seem::Text(value.to_owned()));
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, Seem::Json(value.to_string()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, Seem::Json(value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, Seem::Json(value.to_string()));
    }
}

fn level(level: TracingLevel) -> Level {
    match level {
        TracingLevel::ERROR => Level::Error,
        TracingLevel::WARN => Level::Warn,
        TracingLevel::INFO => Level::Info,
        _ => Level::Debug,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::store::output::tests::Lines;
    use crate::store::redact::Redactor;
    use crate::types::{Nanos, Secret};

    struct Fixed;

    impl Clock for Fixed {
        fn now(&self) -> Nanos {
            Nanos(1)
        }
    }

    #[test]
    fn events_become_flat_lines_with_allowed_fields_only() {
        let (sender, lines) = mpsc::channel();
        let redactor = Redactor::new(&[Secret::new("canary-canary".to_owned())]);
        let (output, guard) = Output::to(Lines(sender), redactor, Level::Info);
        let subscriber = Registry::default().with(FlatLines::new(output, Box::new(Fixed)));
        tracing::subscriber::with_default(subscriber, || {
            let (pair, key) = ("BTC", "canary-canary");
            tracing::info!(
                event_type = "CONFIG",
                pair,
                count = 2,
                signing_key = key,
                "[CONFIG] Loaded {pair} {key}"
            );
            tracing::debug!("below the level");
            tracing::info!(target: "elsewhere", "of another crate");
        });
        drop(guard);
        let text: String = lines.try_iter().collect();
        assert_eq!(text.lines().count(), 1, "{text}");
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["message"], "[CONFIG] Loaded BTC [REDACTED]");
        assert_eq!((&json["event_type"], &json["pair"]), (&"CONFIG".into(), &"BTC".into()));
        assert_eq!(json["count"], 2);
        assert!(json.get("signing_key").is_none());
    }
}
