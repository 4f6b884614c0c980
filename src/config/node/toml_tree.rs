//! TOML into the tree of `node`. The parser keeps spans in bytes; here they become lines and columns.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::error::{ConfigError, Place};
use super::{Entry, Node, Value, syntax};

/// Reads TOML.
pub(super) fn parse(file: &Arc<str>, text: &str) -> Result<Node, ConfigError> {
    let source = Source { file, text };
    let table = DeTable::parse(text)
        .map_err(|error| syntax(source.place(error.span().unwrap_or_default()), "TOML", error.message()))?;
    Ok(Node { place: Place::whole(file), value: source.table(table.into_inner()) })
}

struct Source<'a> {
    file: &'a Arc<str>,
    text: &'a str,
}

impl Source<'_> {
    fn place(&self, span: Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count();
        let line = before.matches('\n').count();
        Place { file: Arc::clone(self.file), line: line as u32 + 1, column: column as u32 + 1 }
    }

    fn table(&self, table: DeTable<'_>) -> Value {
        let entries = table.into_iter().map(|(key, value)| Entry {
            place: self.place(key.span()),
            key: key.into_inner().into_owned(),
            node: self.node(value),
        });
        Value::Table(entries.collect())
    }

    fn node(&self, value: Spanned<DeValue<'_>>) -> Node {
        let place = self.place(value.span());
        let value = match value.into_inner() {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(number) if number.radix() == 10 => Value::Number(number.as_str().to_owned()),
            DeValue::Integer(_) => Value::Other("a number that is not decimal"),
            DeValue::Float(number) => Value::Number(number.as_str().to_owned()),
            DeValue::Boolean(flag) => Value::Flag(flag),
            DeValue::Datetime(_) => Value::Other("a date"),
            DeValue::Array(items) => Value::List(items.into_iter().map(|item| self.node(item)).collect()),
            DeValue::Table(table) => self.table(table),
        };
        Node { place, value }
    }
}
