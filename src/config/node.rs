//! A configuration file as a tree whose every key and value knows its line and column. TOML and YAML both become this
//! tree, so that one reader and one set of errors serve both. Called by `config::load`; knows no key by name.

use std::sync::Arc;

use super::error::{ConfigError, Place};

mod toml_tree;
mod yaml_tree;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    pub place: Place,
    pub value: Value,
}

/// What a file can hold. Numbers keep their digits as text, so that money never passes through a float.
#[derive(Clone, Debug)]
pub enum Value {
    Table(Vec<Entry>),
    List(Vec<Node>),
    Text(String),
    Number(String),
    Flag(bool),
    /// Nothing that a key of ours takes (a date, a null), by its kind.
    Other(&'static str),
}

/// One key of a table.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    pub node: Node,
}

impl Value {
    /// Kind of the value in the words of an error.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Table(_) => "a table",
            Self::List(_) => "a list",
            Self::Text(_) => "a text",
            Self::Number(_) => "a number",
            Self::Flag(_) => "true or false",
            Self::Other(kind) => kind,
        }
    }
}

impl Node {
    /// The node under `key`, if this is a table that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Table(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node),
            _ => None,
        }
    }
}

/// Reads a file's text: YAML when its name ends in `.yaml` or `.yml`, TOML otherwise. Duplicate keys are refused by
/// both.
pub(super) fn parse(file: &str, text: &str) -> Result<Node, ConfigError> {
    let name: Arc<str> = file.into();
    if file.ends_with(".yaml") || file.ends_with(".yml") {
        yaml_tree::parse(&name, text)
    } else {
        toml_tree::parse(&name, text)
    }
}

/// The error of a text that its own format refuses.
fn syntax(place: Place, format: &'static str, why: &str) -> ConfigError {
    ConfigError {
        place,
        what: format!("not valid {format}"),
        got: why.lines().map(str::trim).collect::<Vec<_>>().join(" "),
        wanted: format!("{format} with every key once"),
        mend: "mend the line".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str = "mode = \"paper\"\n[risk]\nleverage = 3\nshare = 0.20\non = true\nlist = [1, 2]\n";
    const YAML: &str = "mode: paper\nrisk:\n  leverage: 3\n  share: 0.20\n  on: true\n  list: [1, 2]\n";

    fn digits(node: &Node, key: &str) -> String {
        match &node.get("risk").and_then(|risk| risk.get(key)).unwrap().value {
            Value::Number(digits) => digits.clone(),
            other => panic!("{}", other.kind()),
        }
    }

    #[test]
    fn both_formats_give_the_same_values_with_places() {
        for (file, text, line) in [("a.toml", TOML, 3), ("a.yaml", YAML, 3)] {
            let node = parse(file, text).unwrap();
            assert_eq!(digits(&node, "leverage"), "3");
            assert!(digits(&node, "share").starts_with("0.2"));
            let leverage = node.get("risk").and_then(|risk| risk.get("leverage")).unwrap();
            assert_eq!(
                (leverage.place.line, leverage.place.column),
                (line, if line == 3 && file.ends_with("toml") { 12 } else { 13 })
            );
        }
    }

    #[test]
    fn duplicate_keys_are_refused_with_their_line() {
        let toml = parse("a.toml", "a = 1\na = 2\n").err().unwrap();
        assert_eq!(toml.place.line, 2, "{toml}");
        let yaml = parse("a.yaml", "a: 1\na: 2\n").err().unwrap();
        assert_eq!(yaml.place.line, 2, "{yaml}");
    }

    #[test]
    fn columns_count_characters() {
        let node = parse("a.toml", "x = [\"é\", 1.5]\n").unwrap();
        let Value::List(items) = &node.get("x").unwrap().value else { panic!("not a list") };
        assert_eq!(items[1].place.column, 11);
    }
}
