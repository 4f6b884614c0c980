//! Bases of URLs as the configuration takes them: TLS by scheme, no query, no credentials, no trailing slash. What is
//! refused here cannot be spoken to by any later part. Errors never repeat the URL, which may hold a secret.

use std::fmt;
use std::net::IpAddr;

use thiserror::Error;

/// A checked base: `https://host/v2`, `wss://host:8443/ws-api`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url(String);

/// Which protocol a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Https,
    Wss,
}

impl Scheme {
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Https => "https://",
            Self::Wss => "wss://",
        }
    }
}

/// Why a text is not a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UrlError {
    #[error("a plaintext scheme")]
    Plaintext,
    #[error("another scheme")]
    Scheme,
    #[error("a user name or a password in the URL")]
    UserInfo,
    #[error("a query or a fragment")]
    Query,
    #[error("a trailing slash")]
    TrailingSlash,
    #[error("no usable host or port")]
    Host,
    #[error("a blank, a backslash or a character that is not ASCII")]
    Character,
}

impl Url {
    /// Reads a base of the wanted scheme.
    pub fn parse(text: &str, scheme: Scheme) -> Result<Self, UrlError> {
        if ["http://", "ws://"].iter().any(|plain| text.starts_with(plain)) {
            return Err(UrlError::Plaintext);
        }
        let rest = text.strip_prefix(scheme.prefix()).ok_or(UrlError::Scheme)?;
        if rest.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
            return Err(UrlError::Character);
        }
        if rest.contains(['?', '#']) {
            return Err(UrlError::Query);
        }
        if rest.contains('@') {
            return Err(UrlError::UserInfo);
        }
        if rest.ends_with('/') {
            return Err(UrlError::TrailingSlash);
        }
        check_authority(rest.split('/').next().unwrap_or_default())?;
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Host without its port; an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or_default();
        split_port(authority).0.trim_matches(['[', ']'])
    }

    /// Whether the host is this machine, by address or as `localhost`.
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Host and port text of an authority; the brackets of an IPv6 address stay with the host.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn check_authority(authority: &str) -> Result<(), UrlError> {
    let (host, port) = split_port(authority);
    let port_is_good = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number > 0));
    let host_is_good = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
            !host.is_empty() && host.bytes().all(letter)
        }
    };
    if port_is_good && host_is_good { Ok(()) } else { Err(UrlError::Host) }
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
            let url = Url::parse(text, Scheme::Https).unwrap();
            assert_eq!((url.host(), url.is_loopback()), (host, loopback), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_by_its_reason() {
        for (text, why) in [
            ("http://host/v1", UrlError::Plaintext),
            ("ws://host", UrlError::Plaintext),
            ("wss://host", UrlError::Scheme),
            ("HTTPS://host", UrlError::Scheme),
            ("https://user:pass@host", UrlError::UserInfo),
            ("https://host/v1?x=1", UrlError::Query),
            ("https://host/v1#x", UrlError::Query),
            ("https://host/v1/", UrlError::TrailingSlash),
            ("https://", UrlError::Host),
            ("https://host:0/v1", UrlError::Host),
            ("https://host:99999", UrlError::Host),
            ("https://[::1/v1", UrlError::Host),
            ("https://ho st", UrlError::Character),
            ("https://host\\@evil.com", UrlError::Character),
            ("https://hôst", UrlError::Character),
        ] {
            assert_eq!(Url::parse(text, Scheme::Https), Err(why), "{text}");
        }
    }
}
