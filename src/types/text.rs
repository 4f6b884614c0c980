//! A short text of fixed capacity: venue order ids, codes and reasons travel through rings and the journal in it.

use std::fmt;

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

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_respects_characters() {
        assert_eq!(Text::<4>::cut("abcé").as_str(), "abc");
        assert_eq!(Text::<4>::cut("ab").as_str(), "ab");
        assert!(Text::<4>::new("abcde").is_none());
    }
}
