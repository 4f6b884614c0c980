//! The checked form of this venue's section of the configuration and of its keys. Made once per part (feed, trader,
//! desk) from [`Setup`]; refuses plaintext, mixed environments and malformed credentials before anything connects.
//! Never holds a secret outside [`Secret`] and [`Signer`].

use std::net::IpAddr;

use super::sign::{self, Address, Signer};
use crate::types::report::KeyLife;
use crate::types::{OrderKind, PairId, Secret};
use crate::venue::{Secrets, Setup, SetupError};

pub const PRIMARY_ADDRESS: &str = "PRIMARY_ADDRESS";
pub const SIGNING_KEY: &str = "SIGNING_KEY";
pub const API_KEY: &str = "API_KEY";
pub const ACCOUNT_GROUP: &str = "ACCOUNT_GROUP";
pub const SIGNER_EXPIRY_MS: &str = "SIGNER_EXPIRY_MS";

/// Longest wire symbol taken; the longest seen is `NDX-USD-PERP` (sheet `vest`, 8).
const SYMBOL_MAX: usize = 32;

/// Longest API key and longest base URL taken, so that an order request always fits its buffer.
const API_KEY_MAX: usize = 512;
const URL_MAX: usize = 256;

/// One of the venue's environments (sheet `vest`, 2).
pub struct Environment {
    pub name: &'static str,
    /// `verifyingContract` of the registration proof.
    pub contract: Address,
    /// Part of the venue's own host names that no other environment may use.
    host_mark: &'static str,
    pub loopback_only: bool,
}

/// `sim` is the simulated venue on this machine; it takes the proofs of `dev`, which are worth nothing on `prod`.
const ENVIRONMENTS: [Environment; 3] = [
    Environment {
        name: "prod",
        contract: sign::address_of("919386306C47b2Fe1036e3B4F7C40D22D2461a23"),
        host_mark: "prod.hz.vestmarkets.com",
        loopback_only: false,
    },
    Environment {
        name: "dev",
        contract: sign::address_of("8E4D87AEf4AC4D5415C35A12319013e34223825B"),
        host_mark: "dev.hz.vestmarkets.com",
        loopback_only: false,
    },
    Environment {
        name: "sim",
        contract: sign::address_of("8E4D87AEf4AC4D5415C35A12319013e34223825B"),
        host_mark: "loopback",
        loopback_only: true,
    },
];

/// Values of `venues.vest.env`.
pub const ENVIRONMENT_NAMES: [&str; 3] = ["prod", "dev", "sim"];

/// The environment of this name.
pub fn environment(name: &str) -> Result<&'static Environment, SetupError> {
    let found = ENVIRONMENTS.iter().find(|env| env.name == name);
    found.ok_or_else(|| config(format!("env: got {name:?}, expected one of {ENVIRONMENT_NAMES:?}")))
}

/// Everything that the parts of this venue are made from.
pub struct Access {
    pub rest: Base,
    pub ws: Base,
    pub markets: Vec<(PairId, String)>,
    pub order_kind: OrderKind,
    /// `None` in paper mode: public calls only.
    pub keys: Option<Keys>,
}

/// Credentials of one account.
pub struct Keys {
    pub primary: Address,
    pub signer: Signer,
    pub api_key: Secret,
    /// Routing group; zero is valid.
    pub group: u32,
}

impl Access {
    pub fn read(setup: &Setup) -> Result<Self, SetupError> {
        let environment = environment(&setup.env)?;
        let rest = Base::parse(&setup.rest_url, "https")?;
        let ws = Base::parse(&setup.ws_url, "wss")?;
        rest.check_environment(environment)?;
        ws.check_environment(environment)?;
        for (_, symbol) in &setup.markets {
            check_symbol(symbol)?;
        }
        let keys = if setup.secrets.0.is_empty() { None } else { Some(Keys::read(&setup.secrets)?) };
        signer_life(&setup.secrets)?;
        Ok(Self { rest, ws, markets: setup.markets.clone(), order_kind: setup.order_kind, keys })
    }

    /// The pair that trades this wire symbol.
    pub fn pair_of(&self, symbol: &str) -> Option<PairId> {
        self.markets.iter().find(|market| market.1 == symbol).map(|market| market.0)
    }

    /// The wire symbol of a pair.
    pub fn symbol_of(&self, pair: PairId) -> Option<&str> {
        self.markets.iter().find(|market| market.0 == pair).map(|market| market.1.as_str())
    }

    /// Routing group: that of the account, or 0 without one.
    pub fn group(&self) -> u32 {
        self.keys.as_ref().map_or(0, |keys| keys.group)
    }
}

impl Keys {
    fn read(secrets: &Secrets) -> Result<Self, SetupError> {
        let malformed = |key, why| SetupError::Malformed { key, why };
        let primary = sign::parse_address(secrets.get(PRIMARY_ADDRESS)?.expose())
            .ok_or_else(|| malformed(PRIMARY_ADDRESS, "want 0x and 40 hex digits"))?;
        let signer = Signer::parse(secrets.get(SIGNING_KEY)?).map_err(|why| malformed(SIGNING_KEY, why))?;
        if signer.address() == primary {
            // It can move money out, and whoever reads this machine's memory has it (SAFETY 5.1).
            let why = "this is the account's primary key, which must never be on this machine; make a new \
                       account key, then a signing key with `bot4 register-vest`";
            return Err(malformed(SIGNING_KEY, why));
        }
        let api_key = secrets.get(API_KEY)?;
        let length = api_key.expose().len();
        if length == 0
            || length > API_KEY_MAX
            || !api_key.expose().bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(malformed(API_KEY, "want at most 512 visible ASCII characters without blanks"));
        }
        let group = secrets.get(ACCOUNT_GROUP)?.expose().parse();
        let group = group.map_err(|_| malformed(ACCOUNT_GROUP, "want a whole number"))?;
        Ok(Self { primary, signer, api_key: api_key.duplicate(), group })
    }
}

/// How long the signing key lives: this venue's keys lapse, and no call of it tells when (SAFETY C8).
pub fn signer_life(secrets: &Secrets) -> Result<KeyLife, SetupError> {
    let Some(secret) = secrets.0.get(SIGNER_EXPIRY_MS) else { return Ok(KeyLife::Untold) };
    let why = "want milliseconds since the epoch";
    let malformed = |_| SetupError::Malformed { key: SIGNER_EXPIRY_MS, why };
    secret.expose().parse().map(KeyLife::Until).map_err(malformed)
}

/// A base URL taken apart. Holds no query and no user part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// The whole base, without a trailing slash.
    pub url: String,
    /// Name or address, without brackets.
    pub host: String,
    pub port: u16,
    /// Host and port as the `Host` header wants them.
    pub authority: String,
    /// Empty, or begins with a slash.
    pub path: String,
}

impl Base {
    /// Takes `scheme://host[:port][/path]` of TLS schemes only.
    fn parse(url: &str, scheme: &'static str) -> Result<Self, SetupError> {
        let refuse = || config(format!("URL {url:?}: expected {scheme}://host[:port]/path without query"));
        let url = url.strip_suffix('/').unwrap_or(url);
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#@\"\\".contains(&byte);
        let rest = url.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://")).ok_or_else(refuse)?;
        let cut = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(cut);
        let (host, port) = split_authority(authority).ok_or_else(refuse)?;
        if host.is_empty() || url.len() > URL_MAX || !rest.bytes().all(plain) {
            return Err(refuse());
        }
        let owned = str::to_owned;
        Ok(Self { url: owned(url), host: owned(host), port, authority: owned(authority), path: owned(path) })
    }

    /// The simulated venue lives on this machine alone, and the real environments are not mixed with one another.
    fn check_environment(&self, environment: &Environment) -> Result<(), SetupError> {
        let foreign =
            |other: &&Environment| other.name != environment.name && self.host.ends_with(other.host_mark);
        if environment.loopback_only && !self.is_loopback() {
            return Err(config(format!(
                "host {:?}: env {:?} is for loopback only",
                self.host, environment.name
            )));
        }
        match ENVIRONMENTS.iter().find(foreign) {
            Some(other) => Err(config(format!(
                "host {:?} is {:?}, env is {:?}",
                self.host, other.name, environment.name
            ))),
            None => Ok(()),
        }
    }

    fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// Host without brackets, and port (443 when there is none).
fn split_authority(authority: &str) -> Option<(&str, u16)> {
    let (host, rest) = match authority.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    match rest.strip_prefix(':') {
        Some(port) => Some((host, port.parse().ok()?)),
        None => rest.is_empty().then_some((host, 443)),
    }
}

fn check_symbol(symbol: &str) -> Result<(), SetupError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if symbol.is_empty() || symbol.len() > SYMBOL_MAX || !symbol.bytes().all(plain) {
        return Err(config(format!(
            "market {symbol:?}: expected letters, digits and hyphens, at most {SYMBOL_MAX}"
        )));
    }
    Ok(())
}

fn config(text: String) -> SetupError {
    SetupError::Config(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::vest::testing::{paper_setup, setup};

    fn refused(change: impl FnOnce(&mut Setup)) -> SetupError {
        let mut setup = setup();
        change(&mut setup);
        Access::read(&setup).err().unwrap()
    }

    #[test]
    fn a_whole_setup_is_read() {
        let access = Access::read(&setup()).unwrap();
        assert_eq!((access.rest.host.as_str(), access.rest.port), ("127.0.0.1", 8443));
        assert_eq!((access.rest.authority.as_str(), access.rest.path.as_str()), ("127.0.0.1:8443", "/v2"));
        assert_eq!(access.group(), 3);
        assert!(Access::read(&paper_setup()).unwrap().keys.is_none());
    }

    #[test]
    fn urls_are_tls_without_extras() {
        for bad in
            ["http://h/v2", "ws://h", "https://", "https://u@h/v2", "https://h/v2?x=1", "https://h:x/", "h"]
        {
            assert!(Base::parse(bad, "https").is_err(), "{bad}");
        }
        let six = Base::parse("https://[::1]:9/v2/", "https").unwrap();
        assert_eq!((six.host.as_str(), six.port, six.authority.as_str()), ("::1", 9, "[::1]:9"));
        assert!(six.is_loopback());
    }

    #[test]
    fn environments_do_not_mix() {
        refused(|s| s.rest_url = "https://example.org/v2".into());
        refused(|s| s.env = "staging".into());
        refused(|s| (s.env, s.rest_url) = ("prod".into(), "https://server-dev.hz.vestmarkets.com/v2".into()));
        refused(|s| (s.env, s.ws_url) = ("dev".into(), "wss://ws-prod.hz.vestmarkets.com/ws-api".into()));
    }

    #[test]
    fn a_key_whose_end_nobody_has_told_is_not_taken_for_endless() {
        let mut secrets = Secrets::default();
        assert_eq!(signer_life(&secrets), Ok(KeyLife::Untold));
        secrets.0.insert(SIGNER_EXPIRY_MS, Secret::new("99".into()));
        assert_eq!(signer_life(&secrets), Ok(KeyLife::Until(99)));
        assert!(KeyLife::Until(99).lasts_until(99) && !KeyLife::Until(99).lasts_until(100));
        assert!(KeyLife::Endless.lasts_until(u64::MAX) && !KeyLife::Untold.lasts_until(0));
    }

    #[test]
    fn credentials_are_named_never_shown() {
        assert_eq!(refused(|s| drop(s.secrets.0.remove(API_KEY))), SetupError::Missing(API_KEY));
        for key in [PRIMARY_ADDRESS, SIGNING_KEY, API_KEY, ACCOUNT_GROUP, SIGNER_EXPIRY_MS] {
            let canary = "canary\r\nX: 1";
            let error = refused(|s| drop(s.secrets.0.insert(key, Secret::new(canary.into()))));
            assert!(matches!(error, SetupError::Malformed { key: named, .. } if named == key));
            assert!(!error.to_string().contains("canary"));
        }
        refused(|s| s.markets[0].1 = "BTC\"PERP".into());
    }

    #[test]
    fn the_primary_key_is_refused_whatever_its_name() {
        let own = Signer::parse(setup().secrets.get(SIGNING_KEY).unwrap()).ok().unwrap().address();
        let own = Secret::new(format!("0x{}", hex::encode(own)));
        let error = refused(|s| drop(s.secrets.0.insert(PRIMARY_ADDRESS, own)));
        assert!(error.to_string().contains("primary key"), "{error}");
    }
}
