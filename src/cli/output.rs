//! How verbs show rows and objects: aligned columns for people, JSON for programs. Text from venues and files is
//! escaped before it reaches a terminal.

use std::io::{self, Write};

use serde_json::Value;

use crate::store::line::Timestamp;
use crate::types::Nanos;

/// Rows under named columns, every cell a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) columns: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    /// For people: columns aligned, the last one left as it is.
    pub(super) fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let header: Vec<String> = self.columns.iter().map(|name| name.to_uppercase()).collect();
        let rows: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
        let width = |at: usize| {
            let cells = rows.iter().chain([&header]).filter_map(|row| row.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        for row in [&header].into_iter().chain(&rows) {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }

    /// These columns of objects.
    pub(super) fn of(columns: &[Column], objects: &[Value]) -> Self {
        let row = |object: &Value| columns.iter().map(|column| column.cell(object)).collect();
        Self {
            columns: columns.iter().map(|column| column.title).collect(),
            rows: objects.iter().map(row).collect(),
        }
    }
}

/// A column for people: its title, the field it shows (a name, or a path that begins with `/`), and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    title: &'static str,
    field: &'static str,
    show: Show,
}

#[derive(Clone, Copy, Debug)]
enum Show {
    AsIs,
    /// At most so many decimals.
    Cut(usize),
    /// Milliseconds as seconds.
    Span,
    /// Nanoseconds since 1970 as a date and a time, to the second; nothing for zero.
    Moment,
}

impl Column {
    pub(super) const fn text(title: &'static str, field: &'static str) -> Self {
        Self { title, field, show: Show::AsIs }
    }

    pub(super) const fn cut(title: &'static str, field: &'static str, places: usize) -> Self {
        Self { title, field, show: Show::Cut(places) }
    }

    pub(super) const fn span(title: &'static str, field: &'static str) -> Self {
        Self { title, field, show: Show::Span }
    }

    pub(super) const fn moment(title: &'static str, field: &'static str) -> Self {
        Self { title, field, show: Show::Moment }
    }

    fn cell(&self, object: &Value) -> String {
        let found =
            if self.field.starts_with('/') { object.pointer(self.field) } else { object.get(self.field) };
        let text = match found {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => return String::new(),
            Some(other) => other.to_string(),
        };
        let whole = || found.and_then(Value::as_u64).unwrap_or_default();
        match self.show {
            Show::AsIs => text,
            Show::Cut(places) => cut(&text, places),
            Show::Span => format!("{}.{} s", whole() / 1_000, whole() % 1_000 / 100),
            Show::Moment if whole() == 0 => String::new(),
            Show::Moment => {
                Timestamp(Nanos(whole())).to_string().chars().take("2026-01-01T00:00:00".len()).collect()
            }
        }
    }
}

/// A decimal number without what stands behind so many places.
pub(super) fn cut(number: &str, places: usize) -> String {
    match number.split_once('.') {
        Some((whole, rest)) if rest.len() > places => {
            format!("{whole}.{}", rest.chars().take(places).collect::<String>())
        }
        _ => number.to_owned(),
    }
}

/// Text that cannot move a terminal's cursor or its mind.
pub(super) fn plain(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if hidden(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl Fn(&mut dyn Write) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn tables_are_aligned_and_escaped() {
        let table = Table {
            columns: vec!["pair", "why"],
            rows: vec![vec!["BTC".into(), "a\u{1b}[2J".into()], vec!["LONGER".into(), "b".into()]],
        };
        assert_eq!(text(|out| table.write_text(out)), "PAIR    WHY\nBTC     a\\u{1b}[2J\nLONGER  b\n");
        let object = serde_json::json!({ "why": null, "pair": "BTC", "more": 1 });
        let columns = [Column::text("pair", "pair"), Column::text("why", "why")];
        assert_eq!(Table::of(&columns, &[object]).rows, [["BTC".to_owned(), String::new()]]);
    }

    #[test]
    fn columns_show_numbers_for_people() {
        let object = serde_json::json!({ "n": -0.123_456, "ms": 61_549, "at": 951_782_399_000_000_000_u64 });
        let cell = |column: Column| column.cell(&object);
        assert_eq!(cell(Column::cut("", "n", 4)), "-0.1234");
        assert_eq!(cell(Column::cut("", "ms", 4)), "61549");
        assert_eq!(cell(Column::span("", "/ms")), "61.5 s");
        assert_eq!(cell(Column::moment("", "at")), "2000-02-28T23:59:59");
        assert_eq!(cell(Column::moment("", "gone")), "");
    }
}
