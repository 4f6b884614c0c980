//! YAML into the tree of `node`. Aliases, duplicate keys and unknown tags are left to the parser, which refuses what it
//! does not know.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::super::error::{ConfigError, Place};
use super::{Entry, Node, Value, syntax};

/// Reads YAML with the same keys as the TOML form.
pub(super) fn parse(file: &Arc<str>, text: &str) -> Result<Node, ConfigError> {
    let tree: Spanned<Yaml> = serde_saphyr::from_str(text).map_err(|error| {
        let at = error.location().map_or(Place::whole(file), |location| place(file, &location));
        syntax(at, "YAML", &error.without_snippet().to_string())
    })?;
    Ok(Node { place: Place::whole(file), value: value(file, tree.value) })
}

/// A YAML value before it has learned the name of its file.
enum Yaml {
    Table(Vec<(Spanned<String>, Spanned<Yaml>)>),
    List(Vec<Spanned<Yaml>>),
    Leaf(Value),
}

fn place(file: &Arc<str>, location: &Location) -> Place {
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Place { file: Arc::clone(file), line: small(location.line()), column: small(location.column()) }
}

fn node(file: &Arc<str>, yaml: Spanned<Yaml>) -> Node {
    Node { place: place(file, &yaml.referenced), value: value(file, yaml.value) }
}

fn value(file: &Arc<str>, yaml: Yaml) -> Value {
    match yaml {
        Yaml::Leaf(leaf) => leaf,
        Yaml::List(items) => Value::List(items.into_iter().map(|item| node(file, item)).collect()),
        Yaml::Table(entries) => Value::Table(
            entries
                .into_iter()
                .map(|(key, yaml)| Entry {
                    place: place(file, &key.referenced),
                    key: key.value,
                    node: node(file, yaml),
                })
                .collect(),
        ),
    }
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(YamlVisitor)
    }
}

struct YamlVisitor;

impl<'de> Visitor<'de> for YamlVisitor {
    type Value = Yaml;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table, a list, a text, a number, true or false")
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Yaml, E> {
        Ok(Yaml::Leaf(Value::Flag(flag)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Yaml, E> {
        Ok(Yaml::Leaf(Value::Number(number.to_string())))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Yaml, E> {
        Ok(Yaml::Leaf(Value::Number(number.to_string())))
    }

    /// The parser has only the float left; its shortest text is the one that was written, up to 15 digits.
    fn visit_f64<E: Error>(self, number: f64) -> Result<Yaml, E> {
        Ok(Yaml::Leaf(Value::Number(number.to_string())))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Yaml, E> {
        Ok(Yaml::Leaf(Value::Text(text.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<Yaml, E> {
        Ok(Yaml::Leaf(Value::Other("nothing")))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Yaml, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Yaml::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Yaml, A::Error> {
        let mut table = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            table.push(entry);
        }
        Ok(Yaml::Table(table))
    }
}
