//! Addresses that cannot be plaintext: the only URL type that the connections take. Pure; made by configuration checks
//! and from what a venue's desk names as a target.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use rustls::pki_types::ServerName;
use thiserror::Error;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Https,
    Wss,
}

/// An absolute `https://` or `wss://` URL without user information and fragment. Its path and query may hold a listen
/// key: neither `Debug` nor `Display` shows them.
#[derive(Clone, PartialEq, Eq)]
pub struct SecureUrl {
    scheme: Scheme,
    host: String,
    port: u16,
    target: String,
    name: ServerName<'static>,
}

/// Why a text is not such a URL. Never holds more of it than the scheme and the host.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UrlError {
    #[error("URL scheme: got {0}://, expected https:// or wss:// (plaintext is never used)")]
    Plaintext(&'static str),
    #[error("URL scheme: expected https:// or wss://")]
    Scheme,
    #[error("URL scheme: got {got:?}, expected {expected:?} here")]
    WrongScheme { got: Scheme, expected: Scheme },
    #[error("URL holds user information before an @: keys belong into .env")]
    UserInfo,
    #[error("URL holds a fragment (#)")]
    Fragment,
    #[error("URL holds a space, a control character or a character that is not ASCII at byte {0}")]
    Character(usize),
    #[error("URL host: got {0:?}, expected a name or an address")]
    Host(String),
    #[error("URL port: expected 1 to 65535")]
    Port,
}

impl SecureUrl {
    /// # Errors
    /// Anything but `https://` and `wss://`, user information, a fragment, a character that needs encoding, a host that
    /// no certificate can name, a port out of range.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if let Some(at) = text.bytes().position(|byte| !byte.is_ascii_graphic()) {
            return Err(UrlError::Character(at));
        }
        let (scheme, rest) = split_scheme(text)?;
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(UrlError::UserInfo);
        }
        let (host, port) = split_port(authority)?;
        Self::assemble(scheme, host, port, target)
    }

    /// The root of a host, for a connection that carries requests with paths of their own.
    ///
    /// # Errors
    /// A host that no certificate can name, port zero.
    pub fn https(host: &str, port: u16) -> Result<Self, UrlError> {
        if port == 0 {
            return Err(UrlError::Port);
        }
        Self::assemble(Scheme::Https, host, port, "/")
    }

    /// This URL, provided that it has the scheme.
    ///
    /// # Errors
    /// It has the other one.
    pub fn with_scheme(self, expected: Scheme) -> Result<Self, UrlError> {
        let got = self.scheme;
        if got == expected { Ok(self) } else { Err(UrlError::WrongScheme { got, expected }) }
    }

    fn assemble(scheme: Scheme, host: &str, port: u16, target: &str) -> Result<Self, UrlError> {
        let host = host.to_ascii_lowercase();
        let name = ServerName::try_from(host.clone()).map_err(|_| UrlError::Host(host.clone()))?;
        let root = if target.starts_with('/') { "" } else { "/" };
        Ok(Self { scheme, host, port, target: format!("{root}{target}"), name })
    }

    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Name or address, lower case, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// 443 when the URL names none.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Path and query, at least `/`. May hold a secret.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The name that the server's certificate must be valid for.
    pub fn server_name(&self) -> ServerName<'static> {
        self.name.clone()
    }

    /// Value of a `Host` header: the port only when it is not 443.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == 443 { host } else { format!("{host}:{}", self.port) }
    }

    /// Names this machine only, whatever a resolver says: `localhost` or a loopback address.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }
}

impl fmt::Display for SecureUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Https => "https",
            Scheme::Wss => "wss",
        };
        write!(f, "{scheme}://{}", self.authority())
    }
}

impl fmt::Debug for SecureUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn split_scheme(text: &str) -> Result<(Scheme, &str), UrlError> {
    let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
    match scheme.to_ascii_lowercase().as_str() {
        "https" => Ok((Scheme::Https, rest)),
        "wss" => Ok((Scheme::Wss, rest)),
        "http" => Err(UrlError::Plaintext("http")),
        "ws" => Err(UrlError::Plaintext("ws")),
        _ => Err(UrlError::Scheme),
    }
}

/// Splits `host`, `host:port`, `[v6]` and `[v6]:port`.
fn split_port(authority: &str) -> Result<(&str, u16), UrlError> {
    let refused = || UrlError::Host(authority.to_owned());
    let (host, port) = if let Some(bracketed) = authority.strip_prefix('[') {
        let (host, after) = bracketed.split_once(']').ok_or_else(refused)?;
        host.parse::<Ipv6Addr>().map_err(|_| refused())?;
        (host, if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or_else(refused)?) })
    } else {
        authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)))
    };
    Ok((host, port.map_or(Ok(443), parse_port)?))
}

fn parse_port(text: &str) -> Result<u16, UrlError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&port: &u16| digits && port != 0).ok_or(UrlError::Port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_taken_apart() {
        let url = SecureUrl::parse("wss://Host.Example:8443/ws?listenKey=abc").unwrap();
        assert_eq!((url.scheme(), url.host(), url.port()), (Scheme::Wss, "host.example", 8443));
        assert_eq!((url.target(), url.authority().as_str()), ("/ws?listenKey=abc", "host.example:8443"));
        let url = SecureUrl::parse("https://host.example?x=1").unwrap();
        assert_eq!((url.port(), url.target(), url.authority().as_str()), (443, "/?x=1", "host.example"));
        let url = SecureUrl::parse("https://[::1]:9/").unwrap();
        assert_eq!((url.host(), url.authority().as_str(), url.is_loopback()), ("::1", "[::1]:9", true));
    }

    #[test]
    fn plaintext_cannot_be_written() {
        for (text, scheme) in [("ws://h/", "ws"), ("http://h/", "http"), ("HTTP://h/", "http")] {
            assert_eq!(SecureUrl::parse(text), Err(UrlError::Plaintext(scheme)), "{text}");
        }
        let url = SecureUrl::parse("https://h/").unwrap();
        assert!(url.clone().with_scheme(Scheme::Wss).is_err() && url.with_scheme(Scheme::Https).is_ok());
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "h",
            "//h",
            "ftp://h",
            "https://",
            "https:///p",
            "https://u@h/",
            "https://u:p@h/",
            "https://h/#f",
            "https://h:/",
            "https://h:0/",
            "https://h:65536/",
            "https://h:+1/",
            "https://h:1:2/",
            "https://h /",
            "https://h/\r\nX: y",
            "https://h/\u{e9}",
            "https://[::1",
            "https://[h]/",
            "https://[::1]9/",
            "https://-/",
            "https://a..b/",
            "https://h\\@e/",
            "https://h%2f/",
        ] {
            assert!(SecureUrl::parse(text).is_err(), "{text:?} was taken");
        }
        assert!(SecureUrl::https("h", 0).is_err() && SecureUrl::https("h/x", 1).is_err());
    }

    #[test]
    fn nothing_printed_holds_the_query() {
        let url = SecureUrl::parse("wss://h/path?listenKey=CANARY").unwrap();
        assert_eq!(format!("{url} {url:?}"), "wss://h wss://h");
        for text in ["https://CANARY@h/", "https://h/?CANARY#f", "xyz://CANARY/"] {
            let error = SecureUrl::parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("CANARY"), "{error}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (text, loopback) in [
            ("https://localhost/", true),
            ("https://127.0.0.1:1/", true),
            ("https://127.9.9.9/", true),
            ("https://localhost.example/", false),
            ("https://127.0.0.1.example/", false),
            ("https://10.0.0.1/", false),
        ] {
            assert_eq!(SecureUrl::parse(text).unwrap().is_loopback(), loopback, "{text}");
        }
    }

    #[test]
    fn no_damaged_url_panics() {
        let samples =
            ["wss://Host.Example:8443/ws?listenKey=abc", "https://[::1]:1/a?b=c", "https://10.0.0.1"];
        super::super::fuzz::fuzz("URL", &samples.map(|text| text.as_bytes().to_vec()), |bytes| {
            SecureUrl::parse(&String::from_utf8_lossy(bytes)).is_ok()
        });
    }
}
