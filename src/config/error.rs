//! What is said when a configuration is refused: where, which key, what stood there, what was wanted and the mend.
//! Made all over `config`, printed by `cli` as one line. Never holds a secret: `got` of a URL or a credential is its
//! kind, not its text.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// Name of the compiled-in defaults, where another file would have its path.
pub const DEFAULTS_NAME: &str = "built-in defaults";

/// A place in a configuration file. Line and column count from one; zero = the file as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: Arc<str>,
    pub line: u32,
    /// In characters, not bytes.
    pub column: u32,
}

impl Place {
    /// The file as a whole.
    pub fn whole(file: &str) -> Self {
        Self { file: file.into(), line: 0, column: 0 }
    }

    /// Whether the operator wrote it.
    pub fn is_own(&self) -> bool {
        &*self.file != DEFAULTS_NAME
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}

/// A configuration that is refused. Its text is one line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{place}: {what}: got {got}, wanted {wanted}; {mend}")]
pub struct ConfigError {
    pub place: Place,
    /// The key, with its section (`risk.max_hold_s`), or what was being done.
    pub what: String,
    pub got: String,
    pub wanted: String,
    /// What to do about it.
    pub mend: String,
}

/// Longest text of a file that is shown back, characters.
const SHOWN_MAX: usize = 64;

/// Text of a file as it may be shown: quoted, control characters escaped, capped.
pub fn shown(text: &str) -> String {
    let cut: String = text.chars().take(SHOWN_MAX).collect();
    let dots = if cut.len() < text.len() { "…" } else { "" };
    format!("{cut:?}{dots}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_escaped_and_capped() {
        assert_eq!(shown("a\nb\u{1b}"), r#""a\nb\u{1b}""#);
        assert_eq!(shown(&"x".repeat(100)).chars().count(), SHOWN_MAX + 3);
    }

    #[test]
    fn a_place_without_line_is_the_file() {
        assert_eq!(Place::whole("a.toml").to_string(), "a.toml");
    }
}
