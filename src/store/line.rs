//! One log line: a flat JSON object. The only place that writes log JSON, so that hostile text is escaped and
//! capped once for all. Called by `lines` and by the `tracing` layer of `telemetry`.

use std::fmt::{self, Display, Write};

use crate::types::Nanos;

/// Characters kept of any one text (SAFETY 5.5).
pub const TEXT_MAX: usize = 256;

/// How much a line matters. Ordered: a sink writes what is at or above its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }

    /// Reads the word of `log.level`, in any case.
    pub fn parse(word: &str) -> Option<Self> {
        let all = [Self::Debug, Self::Info, Self::Warn, Self::Error];
        all.into_iter().find(|level| level.name().eq_ignore_ascii_case(word))
    }
}

/// A line being built: `timestamp level target message`, then fields in the order added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub level: Level,
    json: String,
}

impl Line {
    pub fn new(at: Nanos, level: Level, target: &str, message: impl Display) -> Self {
        let line = Self { level, json: String::with_capacity(256) };
        let line = line.raw("timestamp", format_args!("\"{}\"", Timestamp(at)));
        line.text("level", level.name()).text("target", target).text("message", message)
    }

    /// Kind of event, such as `ORDER_PLACED`.
    #[must_use]
    pub fn event(self, event_type: &'static str) -> Self {
        self.text("event_type", event_type)
    }

    /// A text, whoever it is from.
    #[must_use]
    pub fn text(mut self, name: &str, value: impl Display) -> Self {
        self.name(name);
        self.json.push('"');
        let mut escaped = Escape { out: &mut self.json, left: TEXT_MAX };
        // A `Display` that fails has written what it could; the line stays valid.
        let _ = write!(escaped, "{value}");
        self.json.push('"');
        self
    }

    /// A number of ours (money, rates and counts print as plain decimals).
    #[must_use]
    pub fn number(self, name: &str, value: impl Display) -> Self {
        self.raw(name, value)
    }

    #[must_use]
    pub fn flag(self, name: &str, value: bool) -> Self {
        self.raw(name, value)
    }

    /// A value that is JSON already.
    #[must_use]
    pub fn raw(mut self, name: &str, json: impl Display) -> Self {
        self.name(name);
        let _ = write!(self.json, "{json}");
        self
    }

    /// The whole line with its line feed.
    pub fn finish(mut self) -> String {
        self.json.push_str("}\n");
        self.json
    }

    fn name(&mut self, name: &str) {
        self.json.push(if self.json.is_empty() { '{' } else { ',' });
        let _ = write!(self.json, "\"{name}\":");
    }
}

/// Writes text as the inside of a JSON string, at most `left` characters of it. Control characters and those
/// that turn the direction of text around are written as numbers, so that a terminal cannot be fooled.
struct Escape<'a> {
    out: &'a mut String,
    left: usize,
}

impl Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars().take(self.left) {
            match c {
                '"' | '\\' => {
                    self.out.push('\\');
                    self.out.push(c);
                }
                c if c.is_control() || turns_text(c) => write!(self.out, "\\u{:04x}", u32::from(c))?,
                c => self.out.push(c),
            }
        }
        self.left = self.left.saturating_sub(text.chars().count());
        Ok(())
    }
}

const fn turns_text(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{feff}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
}

/// A moment as RFC 3339 in UTC with microseconds.
pub struct Timestamp(pub Nanos);

impl Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.0.0 / 1_000_000_000, self.0.0 % 1_000_000_000 / 1000);
        let (year, month, day) = civil(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

/// Date of a day counted from 1970-01-01. Years are counted from March, so that the leap day is the last of
/// its year.
const fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    (era * 400 + year + (month <= 2) as u64, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_dates() {
        for (ns, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399_999_999_999, "2000-02-28T23:59:59.999999Z"),
            (951_782_400_000_001_000, "2000-02-29T00:00:00.000001Z"),
            (1_700_000_000_000_000_000, "2023-11-14T22:13:20.000000Z"),
        ] {
            assert_eq!(Timestamp(Nanos(ns)).to_string(), text);
        }
    }

    #[test]
    fn hostile_text_stays_one_valid_line() {
        let hostile = [
            "\n{\"level\":\"INFO\"}",
            "\u{1b}[2J\u{7f}\u{85}",
            "\u{202e}gnp.exe\u{2066}",
            "quote \" backslash \\",
            &"x".repeat(1 << 20),
        ];
        for text in hostile {
            let line = Line::new(Nanos(1), Level::Warn, "t", "m").event("E").text("why", text).finish();
            assert_eq!(line.matches('\n').count(), 1);
            assert!(line.len() < 2048);
            assert!(!line.trim_end().chars().any(|c| c.is_control() || turns_text(c)));
            let json: serde_json::Value = serde_json::from_str(&line).unwrap();
            let kept: String = text.chars().take(TEXT_MAX).collect();
            assert_eq!(json["why"], kept);
            assert_eq!(json["level"], "WARN");
        }
    }

    #[test]
    fn levels_are_read_in_any_case() {
        assert_eq!(Level::parse("Warn"), Some(Level::Warn));
        assert_eq!(Level::parse("loud"), None);
        assert!(Level::Debug < Level::Info);
    }
}
