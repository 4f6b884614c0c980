//! The operator's file laid over the defaults. The default file holds every key, so a key that it lacks is unknown;
//! lists (`[[pairs]]` among them) are replaced whole. Called by `config::load` only.

use super::error::{ConfigError, shown};
use super::node::{Entry, Node, Value};

/// `over` laid over `base`: a table key by key, anything else whole. Refuses keys that `base` does not have.
pub(super) fn lay(base: Node, over: Node, path: &str) -> Result<Node, ConfigError> {
    match (base.value, over.value) {
        (Value::Table(defaults), Value::Table(entries)) => {
            Ok(Node { place: over.place, value: Value::Table(lay_table(defaults, entries, path)?) })
        }
        (_, value) => Ok(Node { place: over.place, value }),
    }
}

fn lay_table(mut defaults: Vec<Entry>, entries: Vec<Entry>, path: &str) -> Result<Vec<Entry>, ConfigError> {
    for entry in entries {
        let Some(at) = defaults.iter().position(|default| default.key == entry.key) else {
            let known: Vec<&str> = defaults.iter().map(|default| default.key.as_str()).collect();
            return Err(unknown(&entry, path, &known));
        };
        let default = defaults.swap_remove(at);
        let node = lay(default.node, entry.node, &join(path, &entry.key))?;
        defaults.push(Entry { key: entry.key, place: entry.place, node });
    }
    Ok(defaults)
}

/// Path of a key within its section.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The error of a key that nobody reads, with the nearest one that somebody does.
pub(super) fn unknown(entry: &Entry, path: &str, known: &[&str]) -> ConfigError {
    let mut nearest = known.to_vec();
    nearest.sort_by_key(|name| (distance(name, &entry.key), *name));
    let section = if path.is_empty() { "the top level".to_owned() } else { format!("[{path}]") };
    ConfigError {
        place: entry.place.clone(),
        what: "unknown key".to_owned(),
        got: shown(&join(path, &entry.key)),
        wanted: format!("a key of {section}"),
        mend: nearest.first().map_or("remove it".to_owned(), |name| format!("did you mean {name:?}?")),
    }
}

/// Edits between two words (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        for (cell, right) in row.iter_mut().skip(1).zip(&b) {
            let substituted = diagonal + usize::from(left != *right);
            diagonal = *cell;
            *cell = substituted.min(diagonal + 1).min(before + 1);
            before = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::node::parse;
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("max_hold", "max_hold_s"), 2);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn keys_are_laid_over_one_by_one() {
        let base = parse("base.toml", "[a]\nx = 1\ny = 2\n").unwrap();
        let over = parse("over.toml", "[a]\ny = 3\n").unwrap();
        let node = lay(base, over, "").unwrap();
        let digits = |key: &str| match &node.get("a").and_then(|a| a.get(key)).unwrap().value {
            Value::Number(digits) => digits.clone(),
            _ => panic!("not a number"),
        };
        assert_eq!((digits("x"), digits("y")), ("1".to_owned(), "3".to_owned()));
    }
}
