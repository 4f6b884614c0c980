//! A short text of fixed capacity: venue order ids, codes and reasons travel through rings and the journal in it. And
//! how the words of a stranger are repeated.

use std::fmt;

/// What stands in a text instead of a secret.
pub const REDACTED: &str = "[REDACTED]";

/// Characters of a foreign text that are repeated.
const QUOTED_MAX: usize = 200;
/// Words of this length that hold a digit look like a key or a token.
const OPAQUE_MIN: usize = 20;

/// A venue's own words, fit for a log: what looks like a key or a token is left out (a venue may quote ours back, or
/// the beginning of it), control characters are escaped, and the length is capped.
pub fn quoted(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-_.+/=".contains(c);
    let mut quoted = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next().filter(|_| quoted.len() < QUOTED_MAX) {
        let word = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
        if word.is_empty() {
            quoted.extend(first.escape_default());
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let opaque = word.len() >= OPAQUE_MIN && word.contains(|c: char| c.is_ascii_digit());
        quoted.push_str(if opaque { REDACTED } else { &word[..word.len().min(QUOTED_MAX)] });
        rest = &rest[word.len()..];
    }
    quoted.truncate(QUOTED_MAX);
    quoted
}

/// Up to `N` bytes of UTF-8, stored in place. Longer input is cut at a character boundary by [`Text::cut`] or refused
/// by [`Text::new`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Text<const N: usize> {
    len: u8,
    bytes: [u8; N],
}

impl<const N: usize> Text<N> {
    pub const EMPTY: Self = Self { len: 0, bytes: [0; N] };

    /// The whole text, or `None` when it does not fit.
    pub fn new(text: &str) -> Option<Self> {
        const { assert!(N <= 255, "the length is one byte") };
        (text.len() <= N).then(|| Self::cut(text))
    }

    /// As much of the text as fits, cut at a character boundary.
    pub fn cut(text: &str) -> Self {
        let mut end = text.len().min(N);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let mut bytes = [0; N];
        bytes[..end].copy_from_slice(&text.as_bytes()[..end]);
        Self { len: end as u8, bytes }
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }

    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// Appends; an error when it does not fit, and then nothing of it stands there.
impl<const N: usize> fmt::Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let start = usize::from(self.len);
        let room = self.bytes.get_mut(start..start + text.len()).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len += text.len() as u8;
        Ok(())
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_token_is_not_repeated() {
        let jwt = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjE3fQ.c2ln-_natur";
        assert_eq!(quoted(&format!("bad token '{jwt}'")), "bad token \\'[REDACTED]\\'");
        assert_eq!(quoted(&jwt[..20]), REDACTED, "nor its beginning");
        assert_eq!(
            quoted("STARKNET_SIGNATURE_VERIFICATION_FAILED"),
            "STARKNET_SIGNATURE_VERIFICATION_FAILED"
        );
        assert_eq!(quoted("order 7-42-1: size 0.00123 at 80000.5"), "order 7-42-1: size 0.00123 at 80000.5");
    }

    #[test]
    fn a_foreign_text_is_escaped_and_capped() {
        assert_eq!(quoted("\n{\u{1b}[31m\u{202e}"), r"\n{\u{1b}[31m\u{202e}");
        assert_eq!(quoted(&"x".repeat(1 << 20)).len(), QUOTED_MAX);
        assert_eq!(quoted(&"é".repeat(1 << 10)).len(), QUOTED_MAX);
    }

    #[test]
    fn cut_respects_characters() {
        assert_eq!(Text::<4>::cut("abcé").as_str(), "abc");
        assert_eq!(Text::<4>::cut("ab").as_str(), "ab");
        assert!(Text::<4>::new("abcde").is_none());
    }
}
