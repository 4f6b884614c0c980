//! The search for secrets in bytes: each one whole and by every stretch of eight bytes, in every spelling that a
//! program could give it by accident. Nothing here knows what the engine's own redaction looks for.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Bytes of a secret that must not be seen together.
const WINDOW: usize = 8;
/// Places of the filter that is asked before the table.
const FILTER: usize = 1 << 20;

/// Secrets and their spellings, by the first eight bytes of each.
pub struct Canaries {
    spellings: HashMap<[u8; WINDOW], Vec<(Vec<u8>, usize)>>,
    filter: Vec<bool>,
    names: Vec<String>,
}

impl Default for Canaries {
    fn default() -> Self {
        Self { spellings: HashMap::new(), filter: vec![false; FILTER], names: Vec::new() }
    }
}

impl Canaries {
    /// Looks for this secret from now on.
    pub fn add(&mut self, name: &str, secret: &str) {
        let mut spellings = vec![secret.as_bytes().to_vec()];
        whole_text(secret, &mut spellings);
        let number = number(secret);
        match &number {
            // Eight hexadecimal digits are four bytes: they occur by chance in any long list of numbers.
            Some(bytes) => spell(bytes, &mut spellings),
            None => spellings.extend(secret.as_bytes().windows(WINDOW).map(<[u8]>::to_vec)),
        }
        spell(secret.as_bytes(), &mut spellings);
        self.names.push(name.to_owned());
        for spelling in spellings {
            self.insert(spelling);
        }
    }

    fn insert(&mut self, spelling: Vec<u8>) {
        let Some(first) = spelling.first_chunk::<WINDOW>() else { return };
        self.filter[place(*first)] = true;
        self.spellings.entry(*first).or_default().push((spelling, self.names.len() - 1));
    }

    /// The secret that stands in these bytes, if any does, and where.
    pub fn find(&self, bytes: &[u8]) -> Option<(&str, usize)> {
        bytes.windows(WINDOW).enumerate().find_map(|(at, window)| {
            let first: [u8; WINDOW] = window.try_into().ok()?;
            if !self.filter[place(first)] {
                return None;
            }
            let spellings = self.spellings.get(&first)?;
            let (_, name) = spellings.iter().find(|(spelling, _)| bytes[at..].starts_with(spelling))?;
            Some((self.names[*name].as_str(), at))
        })
    }

    /// Fails when a secret stands in these bytes.
    pub fn assert_absent(&self, place: &str, bytes: &[u8]) {
        if let Some((name, at)) = self.find(bytes) {
            let near = &bytes[at.saturating_sub(120)..bytes.len().min(at + 40)];
            panic!("{name} stands in {place} at byte {at}: {}", near.escape_ascii());
        }
    }
}

fn place(first: [u8; WINDOW]) -> usize {
    (u64::from_le_bytes(first).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 44) as usize
}

/// The value of a secret that is a number in hexadecimal.
fn number(secret: &str) -> Option<Vec<u8>> {
    let digits = secret.strip_prefix("0x").unwrap_or(secret);
    hex::decode(format!("{}{digits}", if digits.len() % 2 == 1 { "0" } else { "" })).ok()
}

/// A text as it stands in a URL and inside a JSON string.
fn whole_text(secret: &str, spellings: &mut Vec<Vec<u8>>) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    for digits in [hex::encode, hex::encode_upper] as [fn([u8; 1]) -> String; 2] {
        let url = secret.bytes().map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{}", digits([byte])),
        });
        spellings.push(url.collect::<String>().into_bytes());
    }
    let json = serde_json::to_string(secret).unwrap();
    spellings.push(json.trim_matches('"').as_bytes().to_vec());
}

/// These bytes and every stretch of them: raw, hex, base64, decimal, percent-encoded, as a list, and turned around.
fn spell(bytes: &[u8], spellings: &mut Vec<Vec<u8>>) {
    let is_text = bytes.iter().all(u8::is_ascii_graphic);
    let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
    for bytes in [bytes, &reversed] {
        spellings.push(decimal(bytes).into_bytes());
        for stretch in bytes.windows(WINDOW).chain([bytes]) {
            if !is_text || stretch.len() > WINDOW {
                spellings.push(stretch.to_vec());
            }
            encode(stretch, spellings);
        }
    }
}

fn encode(bytes: &[u8], spellings: &mut Vec<Vec<u8>>) {
    let (lower, upper) = (hex::encode(bytes), hex::encode_upper(bytes));
    for digits in [&lower, &upper] {
        spellings.push(digits.clone().into_bytes());
        let pairs = digits.as_bytes().chunks(2).map(|pair| [b"%", pair].concat());
        spellings.push(pairs.collect::<Vec<_>>().concat());
    }
    let list: Vec<String> = bytes.iter().map(u8::to_string).collect();
    spellings.extend([list.join(", "), list.join(","), decimal(bytes)].map(String::into_bytes));
    base64(bytes, spellings);
}

/// Base64 as it would stand anywhere inside a longer text: the first and the last character depend on the neighbours.
fn base64(bytes: &[u8], spellings: &mut Vec<Vec<u8>>) {
    for (before, skip) in [(0, 0), (1, 2), (2, 3)] {
        let shifted = [vec![0; before], bytes.to_vec()].concat();
        for text in [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            spellings.push(text.as_bytes()[skip..text.len() - 1].to_vec());
        }
    }
}

/// A big-endian number in decimal.
pub fn decimal(bytes: &[u8]) -> String {
    let mut digits = vec![0_u32];
    for &byte in bytes {
        let mut carry = u32::from(byte);
        for digit in &mut digits {
            let value = *digit * 256 + carry;
            (*digit, carry) = (value % 10, value / 10);
        }
        while carry > 0 {
            digits.push(carry % 10);
            carry /= 10;
        }
    }
    digits.iter().rev().map(u32::to_string).collect()
}

/// Every file below a directory with what it holds, without the zeros that the journal is laid out with at its end.
pub fn files(dir: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(dir).expect("the directory is there").flatten() {
        let (path, kind) = (entry.path(), entry.file_type().expect("it has a kind"));
        if kind.is_dir() {
            files(&path, found);
        } else if kind.is_file() {
            let mut bytes = fs::read(&path).expect("it can be read");
            bytes.truncate(bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1));
            found.push((path.display().to_string(), bytes));
        }
    }
}
