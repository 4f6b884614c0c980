//! How verbs show rows and objects: aligned columns for people, JSON for programs. Text from venues and files is
//! escaped before it reaches a terminal.

use std::io::{self, Write};

use serde_json::{Map, Value};

/// Rows under named columns, every cell a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// For people: columns aligned, the last one left as it is.
    pub fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
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

    /// For programs: a list of objects.
    pub fn to_json(&self) -> Value {
        let object = |row: &Vec<String>| -> Value {
            let cells = self.columns.iter().zip(row);
            cells
                .map(|(name, cell)| ((*name).to_owned(), Value::String(cell.clone())))
                .collect::<Map<_, _>>()
                .into()
        };
        self.rows.iter().map(object).collect()
    }
}

/// An object for people: one `path = value` a line.
pub(super) fn write_object(value: &Value, out: &mut dyn Write) -> io::Result<()> {
    write_at(String::new(), value, out)
}

fn write_at(path: String, value: &Value, out: &mut dyn Write) -> io::Result<()> {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(entries) => {
            entries.iter().try_for_each(|(key, value)| write_at(below(&plain(key)), value, out))
        }
        Value::Array(items) => {
            items.iter().enumerate().try_for_each(|(at, item)| write_at(below(&at.to_string()), item, out))
        }
        Value::String(text) => writeln!(out, "{path} = {}", plain(text)),
        other => writeln!(out, "{path} = {other}"),
    }
}

/// Text that cannot move a terminal's cursor or its mind.
fn plain(text: &str) -> String {
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
        assert_eq!(table.to_json()[1]["pair"], "LONGER");
    }

    #[test]
    fn objects_become_paths() {
        let value = serde_json::json!({ "mode": "Active", "feeds": [{ "age_ms": 3 }], "x": null });
        assert_eq!(text(|out| write_object(&value, out)), "feeds.0.age_ms = 3\nmode = Active\nx = null\n");
    }
}
