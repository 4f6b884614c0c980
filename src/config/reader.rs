//! Typed reading of one section: every value is parsed once, held against its compiled-in range and noted for the
//! effective configuration. Called by the readers of sections; knows no key by name.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::error::{ConfigError, shown};
use super::node::{Entry, Node, Value};
use super::overlay;
use super::url::{self, BaseUrl, Scheme};
use crate::types::limits::NAME_MAX;
use crate::types::money::{DecimalError, parse_fixed};
use crate::types::{Qty, Rate, Secret, Usd};

/// What was read, `path = value`, in reading order; values that may hold a secret are noted as `(set)`.
#[derive(Default)]
pub struct Effective(RefCell<Vec<String>>);

impl Effective {
    fn note(&self, path: &str, value: &dyn Display) {
        self.0.borrow_mut().push(format!("{path} = {value}"));
    }

    pub fn into_lines(self) -> Vec<String> {
        self.0.into_inner()
    }
}

/// One table of the file and its path.
#[derive(Clone)]
pub struct Section<'a> {
    node: &'a Node,
    path: String,
    effective: &'a Effective,
}

/// A decimal's unit: how many of its places are kept and what it is called.
struct Unit {
    places: u32,
    name: &'static str,
}

const PERCENT: Unit = Unit { places: 10, name: "percent" };
const BPS: Unit = Unit { places: 8, name: "basis points" };
const SHARE: Unit = Unit { places: 12, name: "of one" };
const DOLLARS: Unit = Unit { places: 8, name: "USD" };
const BASE_UNITS: Unit = Unit { places: 8, name: "base units" };
const SECONDS: Unit = Unit { places: 3, name: "seconds" };

impl<'a> Section<'a> {
    /// The whole file.
    pub fn root(node: &'a Node, effective: &'a Effective) -> Self {
        Self { node, path: String::new(), effective }
    }

    /// The table under `key`.
    pub fn section(&self, key: &str) -> Result<Section<'a>, ConfigError> {
        let node = self.node_of(key)?;
        let Value::Table(_) = &node.value else { return Err(self.mistyped(key, node, "a table")) };
        Ok(Section { node, path: overlay::join(&self.path, key), effective: self.effective })
    }

    /// The tables of the list under `key`, by position.
    pub fn tables(&self, key: &str) -> Result<Vec<Section<'a>>, ConfigError> {
        let node = self.node_of(key)?;
        let Value::List(items) = &node.value else {
            return Err(self.mistyped(key, node, "a list of tables"));
        };
        let path = overlay::join(&self.path, key);
        let sections = items.iter().enumerate().map(|(at, node)| match &node.value {
            Value::Table(_) => Ok(Section { node, path: format!("{path}[{at}]"), effective: self.effective }),
            _ => Err(self.mistyped(key, node, "a table")),
        });
        sections.collect()
    }

    /// Refuses keys other than these; for tables that stand in a list and so have no default beneath them.
    pub fn only(&self, known: &[&str]) -> Result<(), ConfigError> {
        let stranger = |entry: &&Entry| !known.contains(&entry.key.as_str());
        match &self.node.value {
            Value::Table(entries) => match entries.iter().find(stranger) {
                Some(entry) => Err(overlay::unknown(entry, &self.path, known)),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    pub fn has(&self, key: &str) -> bool {
        self.node.get(key).is_some()
    }

    pub fn flag(&self, key: &str) -> Result<bool, ConfigError> {
        let node = self.node_of(key)?;
        let Value::Flag(flag) = node.value else { return Err(self.mistyped(key, node, "true or false")) };
        self.note(key, &flag);
        Ok(flag)
    }

    /// A whole number in `range`.
    pub fn int(&self, key: &str, range: RangeInclusive<u32>) -> Result<u32, ConfigError> {
        let node = self.node_of(key)?;
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        let Value::Number(digits) = &node.value else { return Err(self.mistyped(key, node, &wanted)) };
        let number = digits.parse().ok().filter(|number| range.contains(number));
        let number = number.ok_or_else(|| self.refused(key, digits.clone(), wanted))?;
        self.note(key, &number);
        Ok(number)
    }

    /// Whole numbers in `range`, strictly rising, at least one and at most `count`.
    pub fn rising(
        &self,
        key: &str,
        range: RangeInclusive<u32>,
        count: usize,
    ) -> Result<Vec<u32>, ConfigError> {
        let node = self.node_of(key)?;
        let wanted = format!("1 to {count} rising whole numbers from {} to {}", range.start(), range.end());
        let Value::List(items) = &node.value else { return Err(self.mistyped(key, node, &wanted)) };
        let number = |item: &Node| match &item.value {
            Value::Number(digits) => digits.parse().ok().filter(|number| range.contains(number)),
            _ => None,
        };
        let numbers: Option<Vec<u32>> = items.iter().map(number).collect();
        let good = |list: &Vec<u32>| (1..=count).contains(&list.len()) && list.is_sorted_by(|a, b| a < b);
        let numbers = numbers.filter(good).ok_or_else(|| self.refused(key, "another list".into(), wanted))?;
        self.note(key, &format!("{numbers:?}"));
        Ok(numbers)
    }

    /// Percent, from `low` to `high`, both excluded.
    pub fn percent(&self, key: &str, low: i64, high: i64) -> Result<Rate, ConfigError> {
        let one = 10_i64.pow(PERCENT.places);
        self.decimal(key, &PERCENT, low * one + 1, high * one - 1).map(Rate::from_raw)
    }

    /// Basis points in `range`, fractions allowed.
    pub fn bps(&self, key: &str, range: RangeInclusive<i64>) -> Result<Rate, ConfigError> {
        let one = 10_i64.pow(BPS.places);
        self.decimal(key, &BPS, range.start() * one, range.end() * one).map(Rate::from_raw)
    }

    /// A share of one, from `low` to `high` hundredths.
    pub fn share(&self, key: &str, hundredths: RangeInclusive<i64>) -> Result<Rate, ConfigError> {
        let one = 10_i64.pow(SHARE.places) / 100;
        self.decimal(key, &SHARE, hundredths.start() * one, hundredths.end() * one).map(Rate::from_raw)
    }

    /// US dollars in `range`.
    pub fn usd(&self, key: &str, range: RangeInclusive<i64>) -> Result<Usd, ConfigError> {
        let one = 10_i64.pow(DOLLARS.places);
        self.decimal(key, &DOLLARS, range.start() * one, range.end() * one).map(Usd::from_raw)
    }

    /// A positive quantity, at most a million base units.
    pub fn qty(&self, key: &str) -> Result<Qty, ConfigError> {
        let one = 10_i64.pow(BASE_UNITS.places);
        self.decimal(key, &BASE_UNITS, 1, 1_000_000 * one).map(Qty::from_raw)
    }

    /// Seconds in `range`, fractions to the millisecond allowed; returned in milliseconds.
    pub fn seconds_as_ms(&self, key: &str, range: RangeInclusive<u32>) -> Result<u32, ConfigError> {
        let ends = (i64::from(*range.start()) * 1000, i64::from(*range.end()) * 1000);
        let ms = self.decimal(key, &SECONDS, ends.0, ends.1)?;
        Ok(u32::try_from(ms).unwrap_or(u32::MAX))
    }

    /// One of the given words.
    pub fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<T, ConfigError> {
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let wanted = format!("one of {}", names.join(", "));
        let text = self.text_wanted(key, &wanted)?;
        let found = words.iter().find(|(name, _)| *name == text);
        let (name, value) = found.ok_or_else(|| self.refused(key, shown(text), wanted))?;
        self.note(key, &format!("{name:?}"));
        Ok(*value)
    }

    /// A text without control characters that is not empty.
    pub fn name(&self, key: &str) -> Result<String, ConfigError> {
        const WANTED: &str = "a name of 1 to 32 printable characters";
        const _: () = assert!(NAME_MAX == 32);
        let text = self.text_wanted(key, WANTED)?;
        let good = (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !good {
            return Err(self.refused(key, shown(text), WANTED.to_owned()));
        }
        self.note(key, &format!("{text:?}"));
        Ok(text.to_owned())
    }

    /// A path; relative ones are taken from the working directory.
    pub fn path(&self, key: &str) -> Result<PathBuf, ConfigError> {
        match self.optional_path(key)? {
            Some(path) => Ok(path),
            None => Err(self.refused(key, shown(""), "a path".to_owned())),
        }
    }

    /// A path, or `None` for the empty text.
    pub fn optional_path(&self, key: &str) -> Result<Option<PathBuf>, ConfigError> {
        let text = self.text_wanted(key, "a path")?;
        if text.contains('\0') {
            return Err(self.refused(key, shown(text), "a path".to_owned()));
        }
        self.note(key, &format!("{text:?}"));
        Ok((!text.is_empty()).then(|| PathBuf::from(text)))
    }

    /// A time of day, `HH:MM` in UTC, as its minute; `None` for the empty text.
    pub fn minute_of_day(&self, key: &str) -> Result<Option<u32>, ConfigError> {
        const WANTED: &str = "HH:MM in UTC, or nothing";
        let text = self.text_wanted(key, WANTED)?;
        let number = |part: &str, below: u32| {
            let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse().ok().filter(|&n: &u32| digits && n < below)
        };
        let minute = text.split_once(':').and_then(|(h, m)| Some(number(h, 24)? * 60 + number(m, 60)?));
        if minute.is_none() && !text.is_empty() {
            return Err(self.refused(key, shown(text), WANTED.to_owned()));
        }
        self.note(key, &format!("{text:?}"));
        Ok(minute)
    }

    /// A base of this scheme.
    pub fn url(&self, key: &str, scheme: Scheme) -> Result<BaseUrl, ConfigError> {
        let wanted = format!("a base like {}host/path", url::prefix(scheme));
        let text = self.text_wanted(key, &wanted)?;
        let url = BaseUrl::parse(text, scheme).map_err(|why| self.refused(key, why.to_string(), wanted))?;
        self.note(key, &format!("{:?}", url.as_str()));
        Ok(url)
    }

    /// An `https://` address whose path may be a secret (webhooks), or `None` for the empty text. Never shown.
    pub fn secret_url(&self, key: &str) -> Result<Option<Secret>, ConfigError> {
        const WANTED: &str = "an https:// address, or nothing";
        let text = self.text_wanted(key, WANTED)?;
        if text.is_empty() {
            self.note(key, &"(none)");
            return Ok(None);
        }
        url::secure(text, Scheme::Https)
            .map_err(|why| self.refused(key, why.to_string(), WANTED.to_owned()))?;
        self.note(key, &"(set)");
        Ok(Some(Secret::new(text.to_owned())))
    }

    /// The raw text under `key`, not noted: the caller checks it and calls [`Section::note`].
    pub fn text_wanted(&self, key: &str, wanted: &str) -> Result<&'a str, ConfigError> {
        let node = self.node_of(key)?;
        let Value::Text(text) = &node.value else { return Err(self.mistyped(key, node, wanted)) };
        Ok(text)
    }

    /// Whether the value is a number, for the few keys that take a word or a number.
    pub fn is_number(&self, key: &str) -> bool {
        matches!(self.node.get(key).map(|node| &node.value), Some(Value::Number(_)))
    }

    pub fn note(&self, key: &str, value: &dyn Display) {
        self.effective.note(&overlay::join(&self.path, key), value);
    }

    /// The error of a value that is of the right kind and still refused.
    pub fn refused(&self, key: &str, got: String, wanted: String) -> ConfigError {
        self.refused_because(key, got, wanted, "mend the value")
    }

    /// The error of two keys that do not go together: it names `key`, at the place of the one that the operator wrote.
    pub fn clash(&self, key: &str, other: &str, got: String, wanted: String) -> ConfigError {
        let error = self.refused_because(key, got, wanted, "change one of the two");
        let own = self.node.get(other).filter(|node| !error.place.is_own() && node.place.is_own());
        ConfigError { place: own.map_or(error.place.clone(), |node| node.place.clone()), ..error }
    }

    /// As [`Section::refused`], with the mend in words.
    pub fn refused_because(&self, key: &str, got: String, wanted: String, mend: &str) -> ConfigError {
        let place = self.node.get(key).map_or_else(|| self.node.place.clone(), |node| node.place.clone());
        ConfigError { place, what: overlay::join(&self.path, key), got, wanted, mend: mend.to_owned() }
    }

    fn decimal(&self, key: &str, unit: &Unit, low: i64, high: i64) -> Result<i64, ConfigError> {
        let node = self.node_of(key)?;
        let wanted = format!(
            "{} from {} to {}, as a plain decimal",
            unit.name,
            plain(low, unit.places),
            plain(high, unit.places)
        );
        let (Value::Number(text) | Value::Text(text)) = &node.value else {
            return Err(self.mistyped(key, node, &wanted));
        };
        let units = parse_fixed(text.as_bytes(), unit.places)
            .and_then(
                |units| if (low..=high).contains(&units) { Ok(units) } else { Err(DecimalError::Overflow) },
            )
            .map_err(|_| self.refused(key, shown(text), wanted))?;
        self.note(key, &plain(units, unit.places));
        Ok(units)
    }

    fn node_of(&self, key: &str) -> Result<&'a Node, ConfigError> {
        self.node.get(key).ok_or_else(|| {
            let wanted = "the key".to_owned();
            self.refused_because(key, "nothing".to_owned(), wanted, &format!("add a line `{key} = …`"))
        })
    }

    fn mistyped(&self, key: &str, node: &Node, wanted: &str) -> ConfigError {
        ConfigError {
            place: node.place.clone(),
            ..self.refused(key, node.value.kind().to_owned(), wanted.to_owned())
        }
    }
}

/// Units of 10^-`places` as the shortest plain decimal.
fn plain(units: i64, places: u32) -> String {
    let one = 10_u64.pow(places);
    let (whole, rest) = (units.unsigned_abs() / one, units.unsigned_abs() % one);
    let sign = if units < 0 { "-" } else { "" };
    let fraction = format!("{rest:0width$}", width = places as usize);
    match fraction.trim_end_matches('0') {
        "" => format!("{sign}{whole}"),
        digits => format!("{sign}{whole}.{digits}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::node::parse;
    use super::*;

    fn read<T>(line: &str, read: impl Fn(&Section<'_>) -> Result<T, ConfigError>) -> Result<T, String> {
        let node = parse("t.toml", line).unwrap();
        read(&Section::root(&node, &Effective::default())).map_err(|error| error.to_string())
    }

    #[test]
    fn decimals_keep_every_digit() {
        assert_eq!(read("x = 0.30", |s| s.percent("x", 0, 100)), Ok(Rate::from_bps(30)));
        assert_eq!(read("x = \"0.001\"", |s| s.qty("x")), Ok(Qty::from_raw(100_000)));
        assert_eq!(read("x = 2.5", |s| s.bps("x", 0..=10)), Ok(Rate::from_raw(250_000_000)));
        assert_eq!(read("x = 0.2", |s| s.seconds_as_ms("x", 0..=10)), Ok(200));
        assert_eq!(read("x = 0.20", |s| s.share("x", 1..=100)), Ok(Rate::from_bps(2_000)));
    }

    #[test]
    fn ends_of_a_range_are_named() {
        let text = read("x = 0", |s| s.percent("x", 0, 100)).unwrap_err();
        assert_eq!(
            text,
            "t.toml:1:5: x: got \"0\", wanted percent from 0.0000000001 to 99.9999999999, as a plain \
            decimal; \
             mend the value"
        );
        for wrong in ["x = nan", "x = inf", "x = 1e1", "x = \"30bps\"", "x = \"+1\""] {
            assert!(read(wrong, |s| s.percent("x", 0, 100)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn secret_urls_are_not_shown() {
        let text =
            read("x = \"http://hooks.example.com/T0KEN\"", |s| s.secret_url("x").map(|_| ())).unwrap_err();
        assert!(!text.contains("T0KEN"), "{text}");
    }
}
