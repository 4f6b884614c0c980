//! The last net under the secrets: every line passes it, and each registered secret in any of its spellings
//! becomes `[REDACTED]`. The first net is the type: a `Secret` cannot be printed at all.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::types::Secret;
use crate::types::text::REDACTED;

/// Shorter secrets are not looked for: an account group of `3` would blot out every 3.
const SECRET_MIN: usize = 8;

/// Spellings of the registered secrets, longest first. Not printable, wiped when dropped.
#[derive(Default)]
pub struct Redactor {
    spellings: Vec<Secret>,
}

impl Redactor {
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut all: Vec<String> =
            secrets.into_iter().flat_map(|secret| spellings(secret.expose())).collect();
        all.retain(|spelling| spelling.len() >= SECRET_MIN);
        all.sort_unstable_by_key(|spelling| std::cmp::Reverse(spelling.len()));
        all.dedup();
        Self { spellings: all.into_iter().map(Secret::new).collect() }
    }

    /// The line without secrets.
    pub fn clean(&self, mut line: String) -> String {
        for spelling in &self.spellings {
            if line.contains(spelling.expose()) {
                line = line.replace(spelling.expose(), REDACTED);
            }
        }
        line
    }
}

/// Raw, hex, base64 and (for a number in hex) decimal.
fn spellings(secret: &str) -> Vec<String> {
    let mut all = vec![secret.to_owned()];
    encodings(secret.as_bytes(), &mut all);
    let digits = secret.strip_prefix("0x").unwrap_or(secret);
    let even = if digits.len().is_multiple_of(2) { digits.to_owned() } else { format!("0{digits}") };
    if let Ok(bytes) = hex::decode(&even) {
        all.extend([digits.to_lowercase(), digits.to_uppercase(), decimal(&bytes)]);
        encodings(&bytes, &mut all);
    }
    all
}

fn encodings(bytes: &[u8], all: &mut Vec<String>) {
    all.extend([hex::encode(bytes), hex::encode_upper(bytes)]);
    all.extend([STANDARD_NO_PAD.encode(bytes), URL_SAFE_NO_PAD.encode(bytes)]);
}

/// A big-endian number in decimal.
fn decimal(bytes: &[u8]) -> String {
    let mut digits = vec![0_u8];
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            let value = u32::from(*digit) * 256 + carry;
            *digit = (value % 10) as u8;
            carry = value / 10;
        }
        while carry > 0 {
            digits.push((carry % 10) as u8);
            carry /= 10;
        }
    }
    digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_found() {
        let key = "0x00c0ffee00deadbeef";
        let token = "s3cret/with+signs";
        let redactor = Redactor::new(&[Secret::new(key.to_owned()), Secret::new(token.to_owned())]);
        let bytes = hex::decode(&key[2..]).unwrap();
        for leak in [
            key.to_owned(),
            key[2..].to_uppercase(),
            decimal(&bytes),
            STANDARD_NO_PAD.encode(&bytes),
            URL_SAFE_NO_PAD.encode(token),
            hex::encode(token),
            token.to_owned(),
        ] {
            assert_eq!(redactor.clean(format!("a {leak} z")), "a [REDACTED] z", "{leak}");
        }
        assert_eq!(redactor.clean("nothing here".to_owned()), "nothing here");
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(decimal(&[0]), "0");
        assert_eq!(decimal(&u64::MAX.to_be_bytes()), u64::MAX.to_string());
    }

    #[test]
    fn short_secrets_do_not_blot_out_the_log() {
        let redactor = Redactor::new(&[Secret::new("3".to_owned())]);
        assert_eq!(redactor.clean("3 pairs".to_owned()), "3 pairs");
    }
}
