//! The one type that holds a secret. It cannot be printed, serialised or copied, and is wiped when dropped.

use secrecy::{ExposeSecret, SecretString};

/// A key, token or URL with a password. No `Debug`, `Display`, `Serialize` or `Clone` (SAFETY 5.2).
pub struct Secret(SecretString);

impl Secret {
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// The text itself. Call it where the bytes are needed, never where a message is made.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Another holder of the same text, asked for by name so that copies can be found.
    pub fn duplicate(&self) -> Self {
        Self::new(self.expose().to_owned())
    }
}
