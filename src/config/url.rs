//! Bases of URLs as the configuration takes them: what `sys::url` takes, and no query and no trailing slash besides,
//! since the engine adds both. Errors say what is wrong and never repeat the URL, which may hold a secret.

use std::fmt;

use thiserror::Error;

pub use crate::sys::url::Scheme;
use crate::sys::url::{SecureUrl, UrlError};

/// A checked base: `https://host/v2`, `wss://host:8443/ws-api`.
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl {
    text: String,
    url: SecureUrl,
}

/// Why a text is not a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BaseUrlError {
    #[error("a plaintext {0}:// address")]
    Plaintext(&'static str),
    #[error("another scheme")]
    Scheme,
    #[error("a user name or a password in the address")]
    UserInfo,
    #[error("a query or a fragment")]
    Query,
    #[error("a trailing slash")]
    TrailingSlash,
    #[error("no usable host or port")]
    Host,
    #[error("a blank, or a character that is not ASCII")]
    Character,
}

impl BaseUrl {
    /// Reads a base of the wanted scheme.
    pub fn parse(text: &str, scheme: Scheme) -> Result<Self, BaseUrlError> {
        let url = secure(text, scheme)?;
        if text.contains('?') {
            return Err(BaseUrlError::Query);
        }
        if text.ends_with('/') {
            return Err(BaseUrlError::TrailingSlash);
        }
        Ok(Self { text: text.to_owned(), url })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn host(&self) -> &str {
        self.url.host()
    }

    /// Whether the host is this machine, by address or as `localhost`.
    pub fn is_loopback(&self) -> bool {
        self.url.is_loopback()
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// An address of this scheme, over TLS; a query is allowed.
pub fn secure(text: &str, scheme: Scheme) -> Result<SecureUrl, BaseUrlError> {
    SecureUrl::parse(text).and_then(|url| url.with_scheme(scheme)).map_err(|error| match error {
        UrlError::Plaintext(plain) => BaseUrlError::Plaintext(plain),
        UrlError::Scheme | UrlError::WrongScheme { .. } => BaseUrlError::Scheme,
        UrlError::UserInfo => BaseUrlError::UserInfo,
        UrlError::Fragment => BaseUrlError::Query,
        UrlError::Character(_) => BaseUrlError::Character,
        UrlError::Host(_) | UrlError::Port => BaseUrlError::Host,
    })
}

/// How a base of this scheme begins.
pub const fn prefix(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Https => "https://",
        Scheme::Wss => "wss://",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_are_taken_and_their_hosts_known() {
        for (text, host, loopback) in [
            ("https://api.example.com/v1", "api.example.com", false),
            ("https://localhost:8443/v2", "localhost", true),
            ("https://127.0.0.1:1", "127.0.0.1", true),
            ("https://[::1]:8443/v1", "::1", true),
            ("https://localhost.example.com", "localhost.example.com", false),
        ] {
            let url = BaseUrl::parse(text, Scheme::Https).unwrap();
            assert_eq!((url.host(), url.is_loopback()), (host, loopback), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_by_its_reason() {
        for (text, why) in [
            ("http://host/v1", BaseUrlError::Plaintext("http")),
            ("ws://host", BaseUrlError::Plaintext("ws")),
            ("wss://host", BaseUrlError::Scheme),
            ("ftp://host", BaseUrlError::Scheme),
            ("https://user:pass@host", BaseUrlError::UserInfo),
            ("https://host/v1?x=1", BaseUrlError::Query),
            ("https://host/v1#x", BaseUrlError::Query),
            ("https://host/v1/", BaseUrlError::TrailingSlash),
            ("https://", BaseUrlError::Host),
            ("https://host:0/v1", BaseUrlError::Host),
            ("https://host:99999", BaseUrlError::Host),
            ("https://[::1/v1", BaseUrlError::Host),
            ("https://ho st", BaseUrlError::Character),
            ("https://hôst", BaseUrlError::Character),
        ] {
            assert_eq!(BaseUrl::parse(text, Scheme::Https), Err(why), "{text}");
        }
    }
}
